"""The driver, the GPUs and their engines, asked of stand-ins: there is no GPU to ask here."""

import ctypes
import subprocess
from types import SimpleNamespace

import pytest

from fastrot.doctor.gpus import (
    DecodeCaps,
    Engines,
    Gpu,
    check_engines,
    check_gpus,
    find_engines,
    find_gpus,
)

H100 = Gpu("NVIDIA H100 80GB HBM3", "535.129.03", 81559, "9.0", mig=False)


def smi(text):
    return lambda *_, **__: SimpleNamespace(stdout=text)


def test_what_nvidia_smi_says_is_read():
    text = (
        "NVIDIA H100 80GB HBM3, 535.129.03, 81559, 9.0, Disabled\n"
        "NVIDIA T4, 535.129.03, 15360, 7.5, [N/A]\n"
    )
    first, second = find_gpus(smi(text))
    assert first == H100
    assert (second.memory, second.mig) == (15360, False)


@pytest.mark.parametrize(
    "error", [FileNotFoundError(), subprocess.CalledProcessError(9, "nvidia-smi")]
)
def test_without_nvidia_smi_there_are_no_gpus(error):
    def fail(*_, **__):
        raise error

    assert find_gpus(fail) == []
    assert [check.status for check in check_gpus([])] == ["missing", "missing"]


def test_mig_is_warned_of():
    assert [check.status for check in check_gpus([H100])] == ["good", "good"]
    sliced = Gpu("A100", "535.1", 40960, "8.0", mig=True)
    assert check_gpus([sliced])[1].status == "warning"


def test_the_layout_is_that_of_nvidias_header():
    # cuviddec.h: offsets by hand, from the sizes of the fields before.
    offsets = {"is_supported": 24, "engines": 25, "output_formats": 26, "max_width": 28}
    assert {name: getattr(DecodeCaps, name).offset for name in offsets} == offsets
    assert ctypes.sizeof(DecodeCaps) == 88


class FakeNvcuvid:
    def __init__(self, engines, status=0):
        self._engines, self._status = engines, status

    def cuvidGetDecoderCaps(self, pointer):  # noqa: N802
        caps = pointer._obj
        assert caps.chroma == 1
        assert bytes(caps.reserved_1) == bytes(12)
        caps.is_supported = caps.codec in self._engines
        caps.engines = self._engines.get(caps.codec, 0)
        return self._status


class FakeNvjpeg:
    def __init__(self, engines):
        self._engines = engines
        self.destroyed = False

    def nvjpegCreateSimple(self, handle):  # noqa: N802
        return 0

    def nvjpegGetHardwareDecoderInfo(self, handle, engines, cores):  # noqa: N802
        engines._obj.value = self._engines
        return 0 if self._engines else 9

    def nvjpegDestroy(self, handle):  # noqa: N802
        self.destroyed = True


def test_engines_are_counted():
    nvjpeg = FakeNvjpeg(7)

    def load(name):
        return FakeNvcuvid({4: 7, 10: 5}) if "nvcuvid" in name else nvjpeg

    engines = find_engines(load)
    assert (engines.h264, engines.vp9, engines.jpeg) == (7, 5, 7)
    assert nvjpeg.destroyed
    assert [check.status for check in check_engines(engines)] == ["good", "good"]


def test_an_old_driver_does_not_count_but_supports():
    engines = find_engines(lambda name: FakeNvcuvid({4: 0}) if "cuvid" in name else FakeNvjpeg(0))
    assert (engines.h264, engines.vp9, engines.jpeg) == (1, 0, 0)
    assert [check.status for check in check_engines(engines)] == ["good", "missing"]


def test_a_container_without_the_video_capability_is_told_the_remedy():
    def load(name):
        raise OSError(f"{name}: cannot open shared object file")

    nvdec, nvjpeg = check_engines(find_engines(load))
    assert nvdec.status == nvjpeg.status == "missing"
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility,video" in nvdec.remedy
    assert not nvdec.stops


def test_a_failing_library_is_told():
    engines = find_engines(lambda name: FakeNvcuvid({}, status=201))
    assert "failed with 201" in engines.nvdec_error
    assert check_engines(Engines(h264=0, vp9=0, jpeg=0))[0].found == "no engines"
