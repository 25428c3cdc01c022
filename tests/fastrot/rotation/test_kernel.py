"""The kernel and the custom op against NumPy, in Triton's interpreter and, marked gpu, on a card."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fastrot.rotation import op
from fastrot.rotation.pixels import Pixels
from fastrot.rotation.sets import RotationSet, rotation_set
from fastrot.rotation.traffic import bytes_moved, floor_seconds
from tests.afresh import load_afresh

ALL = rotation_set([0, 90, 180, 270])
SUBSETS = [rotation_set(s) for n in (2, 3, 4) for s in combinations((0, 90, 180, 270), n)]
MEAN = (0.4339, 0.4046, 0.3776)
STD = (0.151987, 0.14855, 0.1569)
OUTPUTS = [torch.float32, torch.bfloat16, torch.float16]
INPUTS = [torch.uint8, torch.int16]

Rotate = Callable[..., Tensor]
View = Callable[[Tensor], Tensor]

KERNEL = "fastrot.rotation.kernel"


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    return load_afresh(KERNEL)


@pytest.fixture(
    params=["interpreted", "cpu", pytest.param("cuda", marks=pytest.mark.gpu)],
)
def rotate(request: pytest.FixtureRequest) -> Rotate:
    """Return the op as one of its implementations: takes CPU clips, gives a result on the CPU."""
    if request.param == "interpreted":
        kernel = request.getfixturevalue("interpreted")

        def by_interpreter(clips: Tensor, rotations: RotationSet, **options: Any) -> Tensor:
            out: Tensor = kernel.rotate(clips, rotations.degrees, Pixels(**options))
            return out

        return by_interpreter

    def by_op(clips: Tensor, rotations: RotationSet, **options: Any) -> Tensor:
        if request.param == "cuda":
            # A copy of the whole storage, so that a view keeps its strides and offset.
            whole = torch.empty(0, dtype=clips.dtype).set_(clips.untyped_storage()).cuda()
            clips = whole.as_strided(clips.size(), clips.stride(), clips.storage_offset())
        out = op.rotate(clips, rotations, **options)
        assert out.device.type == request.param
        return out.cpu()

    return by_op


def noise(shape: tuple[int, ...], dtype: torch.dtype = torch.uint8) -> Tensor:
    low = -255 if dtype == torch.int16 else 0
    generator = torch.Generator().manual_seed(0)
    return torch.randint(low, 256, (*shape, 3), dtype=dtype, generator=generator)


def expected(clips: Tensor, rotations: RotationSet) -> Tensor:
    """Return the expected result in float32, by NumPy."""
    mean = np.array([255 * m for m in MEAN], dtype=np.float32)
    scale = np.array([1 / (255 * s) for s in STD], dtype=np.float32)
    values = (clips.numpy().astype(np.float32) - mean) * scale
    turned = [np.rot90(values, turn // 90, axes=(2, 3)) for turn in rotations.degrees]
    return torch.from_numpy(np.concatenate(turned)).permute(0, 4, 1, 2, 3)


def check(
    rotate: Rotate,
    clips: Tensor,
    rotations: RotationSet = ALL,
    dtype: torch.dtype = torch.float32,
    channels: int = 3,
) -> None:
    out = rotate(clips, rotations, mean=MEAN, std=STD, dtype=dtype, channels=channels)
    truth = expected(clips, rotations)
    assert out.dtype == dtype
    assert out.shape == (len(truth), channels, *truth.shape[2:])
    assert out.is_contiguous(memory_format=torch.channels_last_3d)
    assert not out[:, 3:].any()
    if dtype == torch.bfloat16 and rotate.__name__ == "by_interpreter":
        # The interpreter cuts a float32 off where a GPU rounds it: one last digit, towards zero.
        torch.testing.assert_close(out[:, :3].float(), truth, rtol=2**-7, atol=0)
        assert (out[:, :3].float().abs() <= truth.abs()).all()
    else:
        assert torch.equal(out[:, :3], truth.to(dtype))


@pytest.mark.parametrize("rotations", SUBSETS, ids=str)
def test_every_set_of_rotations(rotate: Rotate, rotations: RotationSet) -> None:
    check(rotate, noise((2, 1, 5, 5)), rotations)


@pytest.mark.parametrize("dtype", OUTPUTS, ids=str)
@pytest.mark.parametrize("pixels", INPUTS, ids=str)
def test_every_type(rotate: Rotate, pixels: torch.dtype, dtype: torch.dtype) -> None:
    check(rotate, noise((1, 1, 9, 9), pixels), dtype=dtype)


@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1, 1), (3, 1, 16, 16), (1, 1, 33, 33), (2, 5, 3, 3), (0, 2, 8, 8)],
)
def test_frames_and_times_that_do_not_divide_a_tile(rotate: Rotate, shape: tuple[int, ...]) -> None:
    check(rotate, noise(shape))


@pytest.mark.parametrize("shape", [(2, 1, 5, 18), (1, 2, 34, 7)])
def test_oblong_frames_turn_by_halves(rotate: Rotate, shape: tuple[int, ...]) -> None:
    check(rotate, noise(shape), rotation_set([0, 180]))


@pytest.mark.parametrize("dtype", OUTPUTS, ids=str)
@pytest.mark.parametrize("channels", [4, 8])
def test_channels_beyond_the_colours_are_zero(
    rotate: Rotate, channels: int, dtype: torch.dtype
) -> None:
    check(rotate, noise((1, 1, 17, 17)), dtype=dtype, channels=channels)


@pytest.mark.parametrize("channels", [4, 8])
def test_padded_oblong_frames(rotate: Rotate, channels: int) -> None:
    rotations = rotation_set([0, 180])
    check(rotate, noise((1, 2, 3, 18), torch.int16), rotations, channels=channels)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[:, 1::2],
        lambda x: x[:, :2],
        lambda x: x[:, :, 2:8, 3:9],
        lambda x: x.transpose(0, 1),
        lambda x: x.transpose(2, 3),
        lambda x: x[..., :1].expand(-1, -1, -1, -1, 3),
    ],
    ids=["every second frame", "shorter", "crop", "time first", "columns first", "grey"],
)
def test_views(rotate: Rotate, view: View) -> None:
    clips = view(noise((2, 3, 9, 9)))
    assert not clips.is_contiguous()
    check(rotate, clips, rotation_set([90, 180]))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("channels", [3, 4, 8])
def test_every_configuration(channels: int, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1" if device == "cpu" else "0")
    kernel = load_afresh(KERNEL)
    clips = noise((1, 1, 17, 17))
    truth = expected(clips, ALL)
    pixels = Pixels(MEAN, STD, torch.float32, channels)
    for config in kernel._CONFIGS:
        kernel._launch.configs = [config]
        out = kernel.rotate(clips.to(device), ALL.degrees, pixels).cpu()
        assert torch.equal(out[:, :3], truth), config
        assert not out[:, 3:].any(), config


def test_the_kernel_is_launched_on_the_clips_gpu(
    interpreted: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    current: list[Tensor] = []
    launched: list[bool] = []

    @contextmanager
    def device_of(clips: Tensor) -> Iterator[None]:
        current.append(clips)
        yield
        current.clear()

    class Launch:
        def __getitem__(self, grid: object) -> Callable[..., None]:
            return lambda clips, *_, **__: launched.append(current == [clips])

    monkeypatch.setattr(torch.cuda, "device_of", device_of)
    monkeypatch.setattr(interpreted, "_launch", Launch())
    pixels = Pixels(MEAN, STD, torch.float32, 3)
    interpreted.rotate(torch.zeros(1, 1, 4, 4, 3, dtype=torch.uint8), (0,), pixels)
    assert launched == [True]


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_clips_on_another_than_the_current_gpu() -> None:
    clips = torch.randint(256, (2, 3, 20, 20, 3), dtype=torch.uint8)
    options: dict[str, Any] = {"mean": MEAN, "std": STD, "dtype": torch.float32}
    got = op.rotate(clips.to("cuda:1"), ALL, **options)
    torch.testing.assert_close(got.cpu(), op.rotate(clips, ALL, **options))


def test_a_frame_beyond_the_kernels_offsets_is_refused(interpreted: ModuleType) -> None:
    one_row = torch.zeros(3 * 2**15, dtype=torch.uint8)
    huge = one_row.view(1, 1, 1, 2**15, 3).expand(-1, -1, 2**15, -1, -1)
    with pytest.raises(ValueError, match="32768x32768 pixels are too large"):
        interpreted.rotate(huge, (0,), Pixels(MEAN, STD, torch.float32))


@pytest.mark.parametrize("channels", [0, 2, 5])
def test_other_numbers_of_channels_are_refused(channels: int) -> None:
    with pytest.raises(ValueError, match=f"channels must be 3, 4 or 8, got {channels}"):
        op.rotate(
            noise((1, 1, 4, 4)), ALL, mean=MEAN, std=STD, dtype=torch.float32, channels=channels
        )


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("channels", [3, 8])
def test_torch_accepts_the_op_and_its_fake(device: str, channels: int) -> None:
    clips = noise((2, 3, 6, 6))[:, ::2].to(device)
    arguments = (clips, [0, 90], list(MEAN), list(STD), torch.bfloat16, channels)
    torch.library.opcheck(torch.ops.fastrot.rotate.default, arguments)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_compile_sees_through_the_op(device: str) -> None:
    def inputs(clips: Tensor) -> Tensor:
        return op.rotate(clips, ALL, mean=MEAN, std=STD, dtype=torch.float32) * 2

    clips = noise((2, 3, 6, 6)).to(device)
    compiled = torch.compile(inputs, fullgraph=True, backend="aot_eager")(clips)
    assert torch.equal(compiled, inputs(clips))
    assert compiled.is_contiguous(memory_format=torch.channels_last_3d)


def test_the_result_asks_for_no_gradient() -> None:
    with torch.enable_grad():
        out = op.rotate(noise((1, 1, 4, 4)), ALL, mean=MEAN, std=STD, dtype=torch.float32)
    assert not out.requires_grad


def test_without_triton_a_gpu_falls_back_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.delitem(sys.modules, "fastrot.rotation.kernel", raising=False)
    monkeypatch.delattr("fastrot.rotation.kernel", raising=False)
    monkeypatch.setitem(sys.modules, "triton", None)
    op._kernel.cache_clear()
    try:
        arguments = ((0, 90, 180, 270), MEAN, STD, torch.float32, 3)
        clips = noise((1, 2, 4, 4))
        for _ in range(2):
            assert torch.equal(op._rotate_by_triton(clips, *arguments), expected(clips, ALL))
    finally:
        op._kernel.cache_clear()
    assert [str(w.message)[:42] for w in recwarn] == ["the Triton rotation kernel is unavailable "]


@pytest.mark.parametrize("channels", [3, 4, 8])
def test_each_byte_is_loaded_once_and_stores_are_16_bytes_wide(
    channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compile for an H100, which needs none, at a frame size that 16 divides: coalesced by proof."""
    compiler = pytest.importorskip("triton.compiler")
    backends = pytest.importorskip("triton.backends.compiler")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    kernel = load_afresh(KERNEL)._kernel
    names = kernel.arg_names
    constants = {"turns": (0, 1, 2, 3), "channels": channels, "tile": 16, "depth": 4}
    types = {"clips": "*u8", "out": "*bf16"}
    for name in names:
        default = "fp32" if name.startswith(("mean", "scale")) else "i32"
        types.setdefault(name, "constexpr" if name in constants else default)
    aligned = ("clips", "out", "stride_b", "stride_t", "stride_h", "height", "width")
    source = compiler.ASTSource(
        kernel,
        types,
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in aligned},
    )
    target = backends.GPUTarget("cuda", 90, 32)
    ptx = compiler.compile(source, target=target, options={"num_warps": 1}).asm["ptx"]
    stores = re.findall(r"st\.global\S*", ptx)
    assert (
        stores == ["st.global.v4.b32"] * 4 * channels
    )  # 256 pixels are 8 a thread, 16 bytes a channel
    loads = re.findall(r"ld\.global\S*", ptx)
    assert loads == ["ld.global.b8"] * 3 * 8  # each byte once


def test_another_number_of_clips_or_frames_needs_no_compilation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backends = pytest.importorskip("triton.backends.compiler")
    jit = pytest.importorskip("triton.runtime.jit")
    compiler = pytest.importorskip("triton.compiler")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    kernel = load_afresh(KERNEL)._kernel
    backend = compiler.make_backend(backends.GPUTarget("cuda", 90, 32))
    bind = jit.create_function_from_signature(kernel.signature, kernel.params, backend)

    def compiled_for(batch: int, frames: int, size: int) -> object:
        clips = torch.empty(batch, frames, size, size, 3, dtype=torch.uint8)
        numbers = (*clips.stride()[:3], batch, frames, size, size, *MEAN, *STD)
        constants = {"turns": (0,), "channels": 4, "tile": 16, "depth": 4}
        return bind(clips, clips.to(torch.bfloat16), *numbers, **constants)[1]

    usual = compiled_for(32, 16, 112)
    assert compiled_for(13, 16, 112) == compiled_for(1, 17, 112) == usual
    assert compiled_for(32, 16, 100) != usual


def test_bytes_and_their_floor() -> None:
    # The paper's batch: 32 clips of 16x112x112, 0.6 MB each, and four times 1.2 MB in half precision.
    clips = torch.empty((32, 16, 112, 112, 3), dtype=torch.uint8)
    moved = bytes_moved(clips, 4, torch.bfloat16)
    assert moved == 32 * 16 * 112 * 112 * 3 * (1 + 4 * 2)
    assert bytes_moved(clips.short(), 1, torch.float32, 8) == 32 * 16 * 112 * 112 * (3 * 2 + 8 * 4)
    assert floor_seconds(moved, 3e12) == pytest.approx(57.8e-6, rel=1e-3)
