"""The driver, the GPUs, and the engines in them that decode videos and JPEGs."""

import ctypes
import importlib.util
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastrot.doctor.check import Check, good, missing, warning

QUERY = "name,driver_version,memory.total,compute_cap,mig.mode.current"


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver sees it; ``memory`` in MiB, ``capability`` such as "9.0"."""

    name: str
    driver: str
    memory: int
    capability: str
    mig: bool


@dataclass(frozen=True)
class Engines:
    """Decoding engines of the first GPU: how many, or None where none could be asked, and why not."""

    h264: int | None = None
    vp9: int | None = None
    jpeg: int | None = None
    nvdec_error: str = ""
    nvjpeg_error: str = ""


def find_gpus(run: Callable[..., Any] = subprocess.run) -> list[Gpu]:
    """Ask ``nvidia-smi``; an empty list where there is none, or it fails."""
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    try:
        answer = run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    gpus = []
    for line in answer.stdout.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 5:
            name, driver, memory, capability, mig = fields
            size = int(memory) if memory.isdigit() else 0
            gpus.append(Gpu(name, driver, size, capability, mig == "Enabled"))
    return gpus


class DecodeCaps(ctypes.Structure):
    """CUVIDDECODECAPS of NVIDIA's Video Codec SDK (cuviddec.h)."""

    _fields_ = (
        ("codec", ctypes.c_int),
        ("chroma", ctypes.c_int),
        ("bit_depth_minus_8", ctypes.c_uint),
        ("reserved_1", ctypes.c_uint * 3),
        ("is_supported", ctypes.c_ubyte),
        ("engines", ctypes.c_ubyte),
        ("output_formats", ctypes.c_ushort),
        ("max_width", ctypes.c_uint),
        ("max_height", ctypes.c_uint),
        ("max_macroblocks", ctypes.c_uint),
        ("min_width", ctypes.c_ushort),
        ("min_height", ctypes.c_ushort),
        ("histogram_supported", ctypes.c_ubyte),
        ("histogram_depth", ctypes.c_ubyte),
        ("histogram_bins", ctypes.c_ushort),
        ("reserved_3", ctypes.c_uint * 10),
    )


_H264, _VP9 = 4, 10  # cudaVideoCodec
_YUV420 = 1  # cudaVideoChromaFormat


def find_engines(load: Callable[[str], Any] = ctypes.CDLL) -> Engines:
    """Ask the driver's and nvJPEG's libraries. Needs a CUDA context, so call it where there is a GPU.

    Args:
        load: opens a shared library by name; OSError where there is none.
    """
    h264 = vp9 = jpeg = None
    nvdec_error = nvjpeg_error = ""
    try:
        nvcuvid = load("libnvcuvid.so.1")
        h264, vp9 = (_nvdec(nvcuvid, codec) for codec in (_H264, _VP9))
    except (OSError, AttributeError) as error:
        nvdec_error = str(error)
    try:
        jpeg = _nvjpeg(_load_first(load, _nvjpeg_names()))
    except (OSError, AttributeError) as error:
        nvjpeg_error = str(error)
    return Engines(h264, vp9, jpeg, nvdec_error, nvjpeg_error)


def _nvdec(library: Any, codec: int) -> int:
    caps = DecodeCaps(codec=codec, chroma=_YUV420)
    status = library.cuvidGetDecoderCaps(ctypes.byref(caps))
    if status:
        raise OSError(f"cuvidGetDecoderCaps failed with {status}")
    # Old drivers leave the number at 0.
    return max(1, int(caps.engines)) if caps.is_supported else 0


def _nvjpeg(library: Any) -> int:
    handle = ctypes.c_void_p()
    if status := library.nvjpegCreateSimple(ctypes.byref(handle)):
        raise OSError(f"nvjpegCreateSimple failed with {status}")
    engines, cores = ctypes.c_uint(), ctypes.c_uint()
    try:
        status = library.nvjpegGetHardwareDecoderInfo(
            handle, ctypes.byref(engines), ctypes.byref(cores)
        )
    finally:
        library.nvjpegDestroy(handle)
    return 0 if status else engines.value  # a GPU without engines answers with an error


def _nvjpeg_names() -> list[str]:
    """Return where libnvjpeg may be: in NVIDIA's wheels, or on the loader's path."""
    spec = importlib.util.find_spec("nvidia")
    roots = list(spec.submodule_search_locations or ()) if spec else []
    wheels = [
        str(path) for root in roots for path in sorted(Path(root).glob("*/lib/libnvjpeg.so*"))
    ]
    return [*wheels, "libnvjpeg.so.13", "libnvjpeg.so.12", "libnvjpeg.so"]


def _load_first(load: Callable[[str], Any], names: Sequence[str]) -> Any:
    for name in names:
        try:
            return load(name)
        except OSError:
            continue
    raise OSError("libnvjpeg is not installed")


def check_gpus(gpus: Sequence[Gpu]) -> list[Check]:
    """Judge the driver and the GPUs."""
    if not gpus:
        remedy = "if there is a GPU: nvidia-smi must work; in a container, start it with --gpus all"
        cost = "training runs on the CPU: right for the demo, too slow for the paper's runs"
        return [missing("driver", "nvidia-smi finds none", remedy), missing("GPUs", "none", cost)]
    names = ", ".join(f"{gpu.name} ({gpu.memory} MiB)" for gpu in gpus)
    checks = [good("driver", gpus[0].driver), good("GPUs", f"{len(gpus)}: {names}")]
    if any(gpu.mig for gpu in gpus):
        remedy = (
            "a slice has its share of the engines, and CUDA gives one process one slice only: for "
            "several processes a machine, use whole GPUs"
        )
        checks[1] = warning("GPUs", f"{len(gpus)}, MIG is on: {names}", remedy)
    return checks


def check_engines(engines: Engines) -> list[Check]:
    """Judge the engines of a machine that has a GPU."""
    if engines.nvdec_error:
        nvdec = missing(
            "NVDEC",
            f"it cannot be asked ({engines.nvdec_error})",
            "stores in h264 and vp9 cannot be decoded; raw and mjpeg can. In a container, set "
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility,video",
        )
    elif not engines.h264:
        nvdec = missing("NVDEC", "no engines", "stores in h264 cannot be decoded: use raw or mjpeg")
    else:
        nvdec = good("NVDEC", f"{engines.h264} engines for H.264, {engines.vp9} for VP9")
    if engines.nvjpeg_error:
        nvjpeg = missing(
            "nvJPEG",
            f"it cannot be asked ({engines.nvjpeg_error})",
            "how many JPEG engines there are stays unknown; DALI brings its own decoder",
        )
    elif not engines.jpeg:
        nvjpeg = missing(
            "nvJPEG",
            "no JPEG engines in this GPU",
            "mjpeg stores are decoded by its general cores, which then train less: see a raw store too",
        )
    else:
        nvjpeg = good("nvJPEG", f"{engines.jpeg} JPEG engines")
    return [nvdec, nvjpeg]
