"""What each codec does to pixels, colours and orientation."""

import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from nvidia.dali import fn

from pipelines.errors import UsageError
from pipelines.loading.dali_graph import build_pipeline
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions
from pipelines.plan import ClipSpec, TrainPlan, frame_numbers
from pipelines.prepare.encode import GOP, encode
from pipelines.prepare.transcode import Job, transcode
from pipelines.shares import train_ranges
from pipelines.store.codecs import CODECS, check_quality, check_size, grid_warnings
from pipelines.store.reading import Settings, Store
from pipelines.store.writing import writing
from tests.helpers import decode_with_pyav, moving_frames, turn_on_its_side, write_video
from tests.pipelines.prepare.frames import read_frames

BARS = [
    (255, 255, 255), (255, 255, 0), (0, 255, 255), (0, 255, 0),
    (255, 0, 255), (255, 0, 0), (0, 0, 255), (16, 16, 16),
]  # fmt: skip


def colour_bars(size: int) -> np.ndarray:
    """Return eight vertical bars of full colours, (size, size, 3)."""
    return np.repeat(np.array(BARS, dtype=np.uint8), size // 8, axis=0)[None].repeat(size, axis=0)


@pytest.mark.parametrize("codec", ["mjpeg", "h264", "vp9"])
def test_colour_bars_keep_their_colours(codec, tmp_path):
    """A wrong matrix (709 for 601) shifts pure red by 20 levels, a wrong range white by 20."""
    bars = colour_bars(128)
    quality = CODECS[codec].quality
    with writing(tmp_path, Settings(codec, 128, None, "folder", (), quality)) as writer:
        writer.add("bars", encode([bars] * 2, codec, quality, 25), label=None, splits=())
    store = Store.open(tmp_path)
    plan = TrainPlan(store, store.select("all"), ClipSpec(frames=1, crop=128), seed=0, flip=0)
    with Loader(store, plan, [(0, 1)], batch=1, device=torch.device("cpu")) as loader:
        got = next(loader).clips[0, 0].numpy()
    for i, colour in enumerate(BARS):
        centre = got[40:90, 16 * i + 6 : 16 * i + 10].reshape(-1, 3).mean(axis=0)
        np.testing.assert_allclose(centre, colour, atol=4, err_msg=f"bar {i}")


def test_h264_is_tagged_with_the_matrix_and_range_it_was_made_with():
    bars = colour_bars(64)
    with av.open(io.BytesIO(encode([bars] * 2, "h264", 10, 25).data)) as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_range) == (5, 1)  # BT.601 (470BG), limited
    got = frame.to_ndarray(format="rgb24")
    for i, colour in enumerate(BARS):
        centre = got[20:40, 8 * i + 3 : 8 * i + 5].reshape(-1, 3).mean(axis=0)
        np.testing.assert_allclose(centre, colour, atol=6, err_msg=f"bar {i}")


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_packets_are_the_frames_in_order_with_a_key_frame_every_gop(codec):
    frames = list(moving_frames(40, 128, 128))
    data = encode(frames, codec, CODECS[codec].quality, 30).data
    with av.open(io.BytesIO(data)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert [packet.pts for packet in packets] == sorted(packet.pts for packet in packets)
    assert [i for i, packet in enumerate(packets) if packet.is_keyframe] == [*range(0, 40, GOP)]
    with av.open(io.BytesIO(data)) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert np.abs(np.stack(decoded).astype(int) - np.stack(frames)).mean() < 3


@pytest.mark.parametrize("codec", ["h264", "vp9"])
@pytest.mark.parametrize("modality", ["rgb", "dif"])
@pytest.mark.parametrize("stride", [1, 3])
def test_clips_of_videos_are_the_planned_frames(make_store, videos, codec, stride, modality):
    store = make_store(codec, size=128)
    spec = ClipSpec(frames=6, stride=stride, crop=101, modality=modality)
    plan = TrainPlan(store, store.select("all"), spec, seed=2)
    ranges = train_ranges(batch=6, start_step=0, steps=2)
    with Loader(store, plan, ranges, batch=6, device=torch.device("cpu")) as loader:
        batches = list(loader)
    for batch, first in zip(batches, (0, 6), strict=True):
        clips = plan.clips(first, 6)
        numbers = frame_numbers(clips, spec, store.frames)
        for row in range(6):
            frames = decode_with_pyav(videos / store.name(int(clips.video[row])), 128)
            y, x = clips.y[row], clips.x[row]
            clip = frames[numbers[row], y : y + 101, x : x + 101].astype(int)
            clip = clip[:, :, ::-1] if clips.flip[row] else clip
            clip = np.diff(clip, axis=0) if modality == "dif" else clip
            assert batch.clips[row].shape == clip.shape
            assert np.abs(batch.clips[row].numpy() - clip).mean() < (3 if modality == "rgb" else 4)


@pytest.mark.parametrize("codec", sorted(CODECS))
@pytest.mark.parametrize("modality", ["rgb", "dif"])
def test_the_gpu_graph_builds_and_serializes_without_a_gpu(codec, modality):
    pipeline = build_pipeline(
        lambda _: None,
        codec,
        ClipSpec(frames=4, crop=112, modality=modality),
        batch=2,
        device=torch.device("cuda"),
        options=LoaderOptions(hw_decoder_load=0.28125),
    )
    graph = pipeline.serialize()
    decoder = {
        "raw": b"",
        "mjpeg": b"ImageCrop",
        "h264": b"decoders__Video",
        "vp9": b"decoders__Video",
    }
    assert decoder[codec] in graph
    assert b"mixed" in graph or codec == "raw"
    assert (b"Cast" in graph) == (modality == "dif")
    # The value itself, as protobuf writes it.
    assert (struct.pack("<f", 0.28125) in graph) == (codec == "mjpeg")


def test_jpeg_decoders_reserve_little_memory_for_each_thread(monkeypatch):
    given = {}
    decode = fn.decoders.image_crop

    def recorded(*inputs, **options):
        given.update(options)
        return decode(*inputs, **options)

    monkeypatch.setattr(fn.decoders, "image_crop", recorded)
    build_pipeline(
        lambda _: None,
        "mjpeg",
        ClipSpec(frames=4, crop=112),
        batch=2,
        device=torch.device("cuda"),
        options=LoaderOptions(),
    ).serialize()
    paddings = {name: given[name] for name in given if "padding" in name}
    assert paddings == {"device_memory_padding": 2**20, "host_memory_padding": 2**20}


@pytest.mark.parametrize(
    ("codec", "size", "message"),
    [
        ("vp9", 64, r"vp9 only from 128 pixels"),
        ("h264", 32, r"h264 only from 48 pixels"),
        ("h264", 113, r"even.*--size 114"),
    ],
)
def test_sizes_that_nvdec_refuses_are_refused_before_the_work(codec, size, message):
    with pytest.raises(UsageError, match=message):
        check_size(codec, size)


@pytest.mark.parametrize(
    ("codec", "size", "advice"),
    [
        ("raw", 137, None),
        ("mjpeg", 136, None),
        ("mjpeg", 100, "--size 96 or 104"),
        ("h264", 136, "--size 128 or 144"),
        ("h264", 144, None),
        ("h264", 50, "--size 48 or 64"),
        ("vp9", 136, "--size 128 or 192"),
        ("vp9", 128, None),
    ],
)
def test_frames_of_broken_blocks_give_a_warning(codec, size, advice):
    (*warnings,) = grid_warnings(codec, size)
    assert len(warnings) == (advice is not None)
    assert all(advice in warning for warning in warnings)


def test_good_sizes_and_qualities_pass():
    for codec in CODECS:
        check_size(codec, 136)
    assert check_quality("mjpeg", None) == 2
    assert check_quality("raw", 7) is None
    assert check_quality("vp9", 63) == 63
    with pytest.raises(UsageError, match=r"--quality is 40, but mjpeg supports 1"):
        check_quality("mjpeg", 40)


@pytest.mark.parametrize("clockwise", [90, 180, 270])
@pytest.mark.parametrize("fit", ["stretch", "crop"])
def test_the_display_matrix_is_applied(tmp_path, clockwise, fit):
    path = write_video(tmp_path / "phone.mp4", moving_frames(3, 48, 64))
    upright, _, _ = read_frames(path, None, 40, fit)
    turn_on_its_side(path, clockwise)
    shown, _, _ = read_frames(path, None, 40, fit)
    for before, after in zip(upright, shown, strict=True):
        np.testing.assert_array_equal(after, np.rot90(before, -clockwise // 90))  # rot90 is ccw


@pytest.mark.parametrize(("height", "width"), [(48, 96), (96, 48), (50, 64)])
def test_fit_crop_keeps_the_aspect_and_the_centre(tmp_path, height, width):
    """A disc stays a disc: as wide as high; stretched, it becomes an ellipse."""
    y, x = np.mgrid[:height, :width]
    disc = ((y - height / 2 + 0.5) ** 2 + (x - width / 2 + 0.5) ** 2) < (
        min(height, width) / 3
    ) ** 2
    frame = np.where(disc[..., None], 255, 0).astype(np.uint8).repeat(3, axis=2)
    path = write_video(tmp_path / "disc.avi", np.stack([frame] * 2))

    def extents(fit):
        (square, *_), _, _ = read_frames(path, None, 40, fit)
        bright = square[..., 1] > 128
        return bright.any(axis=1).sum(), bright.any(axis=0).sum()

    tall, wide = extents("crop")
    assert abs(tall - wide) <= 1
    assert tall == pytest.approx(40 * 2 / 3, abs=1.5)
    tall, wide = extents("stretch")
    assert tall / wide == pytest.approx(width / height, rel=0.1)


@pytest.mark.parametrize("modality", ["rgb", "dif"])
def test_the_same_plan_gives_the_same_clips_through_every_codec(make_store, modality):
    spec = ClipSpec(frames=6, stride=2, crop=101, modality=modality)
    clips = {}
    for codec in ("raw", "mjpeg", "h264", "vp9"):
        store = make_store(codec, size=128)
        plan = TrainPlan(store, store.select("all"), spec, seed=4)
        with Loader(store, plan, [(0, 12)], batch=12, device=torch.device("cpu")) as loader:
            clips[codec] = next(loader).clips.numpy().astype(int)
    for codec, most in (("mjpeg", 2), ("h264", 4), ("vp9", 4)):
        assert np.abs(clips[codec] - clips["raw"]).mean() < most
    assert clips["raw"].std() > 5


@pytest.mark.parametrize("codec", sorted(CODECS))
@pytest.mark.parametrize("rate", [Fraction(1, 3600), Fraction(1, 10**6), Fraction(90000)])
def test_any_frame_rate_is_stored_in_every_codec(codec, rate):
    frames = list(moving_frames(5, 128, 128))
    video = encode(frames, codec, CODECS[codec].quality, float(rate))
    assert (video.frames, video.fps) == (5, float(rate))
    if CODECS[codec].video:
        with av.open(io.BytesIO(video.data)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 5
            # A frame a day is the least that MP4 is given.
            assert container.streams.video[0].average_rate == max(rate, Fraction(1, 24 * 3600))


def test_a_timelapse_is_transcoded_with_its_own_rate(tmp_path):
    path = write_video(
        tmp_path / "slow.mp4", moving_frames(6, 48, 64), codec="libx264", fps=Fraction(1, 3600)
    )
    settings = Settings("vp9", 128, None, "folder", quality=20)
    video = transcode(Job(path, settings))
    assert video.frames == 6
    assert video.fps == pytest.approx(1 / 3600)
