"""Clips of h264 and vp9 on a CPU, against whole videos decoded by PyAV."""

import functools
import io
import shutil

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import VideoReformatter

from pipelines.errors import FastrotError
from pipelines.loading import clip_decoder
from pipelines.loading.loader import Loader
from pipelines.loading.options import LoaderOptions
from pipelines.loading.replacement import Tolerance
from pipelines.loading.video_sources import VideoFileSource
from pipelines.plan import Clips, ClipSpec, TrainPlan, frame_numbers
from pipelines.prepare.encode import GOP, encode
from pipelines.store.codecs import CODECS
from pipelines.store.reading import Settings, Store
from pipelines.store.shard_files import ShardFiles
from pipelines.store.writing import writing
from tests.helpers import moving_frames
from tests.pipelines.store.old_formats import of_format

CPU = torch.device("cpu")
CODEC = pytest.mark.parametrize("codec", ["h264", "vp9"])


class Given:
    """A plan of given clips: (video, first frame) each."""

    def __init__(self, spec, clips):
        self.spec = spec
        video, start = np.array(clips, dtype=np.int64).T
        at = np.arange(len(clips))
        side = np.full_like(at, spec.crop)
        self.all = Clips(
            at, video, start, (5 * at) % 28, (3 * at) % 28, at % 2 == 1, side, side, 0 * at - 1
        )

    def clips(self, first, count):
        columns = {name: column[first : first + count] for name, column in vars(self.all).items()}
        return Clips(**columns)


def load(store, plan, total, **options):
    ranges = [(first, min(4, total - first)) for first in range(0, total, 4)]
    with Loader(
        store, plan, ranges, batch=4, device=CPU, options=LoaderOptions(**options)
    ) as loader:
        clips = [clip for batch in loader for clip in batch.clips.numpy()]
        assert loader.rebuilds == 0
        return clips, loader.stats.bytes_read


@functools.cache
def decode_whole(store, video):
    """Decode a whole stored file by PyAV's fast conversion: the truth, but for its darkness by one."""
    data = ShardFiles().read_video(store, video).tobytes()
    with av.open(io.BytesIO(data)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == store.frames[video]
    return np.minimum(np.stack(frames).astype(int) + 1, 255)


def expected(store, plan):
    numbers = frame_numbers(plan.all, plan.spec, store.frames)
    for row, (video, y, x, flip) in enumerate(
        zip(plan.all.video, plan.all.y, plan.all.x, plan.all.flip, strict=True)
    ):
        crop = plan.spec.crop
        clip = decode_whole(store, int(video))[numbers[row], y : y + crop, x : x + crop]
        clip = clip[:, :, ::-1] if flip else clip
        yield np.diff(clip, axis=0) if plan.spec.modality == "dif" else clip


def places(store, frames):
    """Return clips at the start, the middle and the end of each video, and at the borders of groups."""
    return [
        (video, start)
        for video in range(len(store))
        for start in (0, GOP - 1, GOP, int(store.frames[video]) - frames, 3)
        if 0 <= start < store.frames[video]
    ]


@CODEC
@pytest.mark.parametrize("modality", ["rgb", "dif"])
@pytest.mark.parametrize(
    ("frames", "stride"),
    # The shortest of the videos has 12 frames.
    [(1, 1), (6, 1), (4, 2), (3, 9), (20, 1), (14, 3), (50, 1)],
)
def test_clips_are_those_of_whole_videos(make_store, codec, modality, frames, stride):
    store = make_store(codec, size=128)
    spec = ClipSpec(frames=frames, stride=stride, crop=100, modality=modality)
    plan = Given(spec, places(store, frames))
    found, _ = load(store, plan, len(plan.all), threads=2)
    for clip, wanted in zip(found, expected(store, plan), strict=True):
        np.testing.assert_array_equal(clip, wanted)


@CODEC
@pytest.mark.parametrize("old", [1, 2])
def test_stores_without_an_index_give_the_same_clips(make_store, tmp_path, codec, old):
    store = make_store(codec, size=128)
    plan = Given(ClipSpec(frames=6, crop=100), places(store, 6))
    new, read = load(store, plan, len(plan.all))
    shutil.copytree(store.path, tmp_path / "old")
    found, read_whole = load(of_format(Store.open(tmp_path / "old"), old), plan, len(plan.all))
    np.testing.assert_array_equal(found, new)
    assert read_whole == store.bytes[plan.all.video].sum()
    assert read < 0.6 * read_whole


@CODEC
def test_each_packet_is_decoded_once_and_a_clip_is_converted_at_once(
    make_store, monkeypatch, codec
):
    store = make_store(codec, size=128)
    video = int(np.argmax(store.frames))
    decoded, threads = [], []
    decode = clip_decoder._decode

    def watched(context, packet, number):
        decoded.append(number)
        return decode(context, packet, number)

    class Watched:
        def __init__(self):
            self._own = VideoReformatter()

        def reformat(self, picture, **options):
            threads.append(options.get("threads"))
            return self._own.reformat(picture, **options)

    monkeypatch.setattr(clip_decoder, "_decode", watched)
    monkeypatch.setattr(clip_decoder, "VideoReformatter", Watched)
    spec = ClipSpec(frames=8, stride=2, crop=100)  # 34 36 38 38 36 34 32 30
    load(store, Given(spec, [(video, 34)]), 1)
    assert decoded == [*range(24, 31), *range(32, 39)]
    assert threads == [1]  # more would start a team of threads for each clip


@CODEC
def test_videos_of_many_headers_and_threads_are_not_mixed_up(tmp_path, codec):
    """More frame rates, and so headers, than a thread keeps decoders: each clip is still its video's."""
    settings = Settings(codec, 128, None, "folder", quality=CODECS[codec].quality)
    with writing(tmp_path, settings) as writer:
        for i in range(20):
            frames = list(moving_frames(3, 128, 128, i))
            video = encode(frames, codec, settings.quality, 10.0 + i)
            writer.add(f"{i:02d}", video, label=None, splits=())
    store = Store.open(tmp_path)
    assert len({store.header(video) for video in range(20)}) == (20 if codec == "h264" else 1)
    plan = Given(ClipSpec(frames=2, crop=100), [(i % 20, i % 2) for i in range(60)])
    found, _ = load(store, plan, 60, threads=3)
    truth = [decode_whole(store, video) for video in range(20)]
    for row, clip in enumerate(found):
        y, x = plan.all.y[row], plan.all.x[row]
        wanted = truth[row % 20][row % 2 : row % 2 + 2, y : y + 100, x : x + 100]
        np.testing.assert_array_equal(clip, wanted[:, :, ::-1] if plan.all.flip[row] else wanted)


@CODEC
@pytest.mark.parametrize(("start", "frames", "stride"), [(10, 6, 3), (36, 8, 1), (0, 2, 33)])
def test_files_for_dali_have_the_frames_at_the_given_numbers(
    make_store, codec, start, frames, stride
):
    store = make_store(codec, size=128)
    video = int(np.argmax(store.frames))
    spec = ClipSpec(frames=frames, stride=stride, crop=100)
    clips = Given(spec, [(video, start)]).all
    source = VideoFileSource(store, spec, check=True)
    data = source.buffer(1)
    (numbers,) = frame_numbers(clips, spec, store.frames)
    read = source.read(data, clips, 0, numbers)
    assert read < store.bytes[video]
    with av.open(io.BytesIO(data.files[0].tobytes())) as container:
        small = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
    wanted = decode_whole(store, video)[numbers]
    np.testing.assert_array_equal(np.minimum(small[data.numbers[0]].astype(int) + 1, 255), wanted)


def damaged_copy(make_store, tmp_path, codec):
    """Flip a bit in the second group of pictures of the longest video."""
    shutil.copytree(make_store(codec, size=128).path, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    video = int(np.argmax(store.frames))
    data = ShardFiles().read_video(store, video).tobytes()
    with av.open(io.BytesIO(data)) as container:
        at = [packet.pos for packet in container.demux(video=0) if packet.size][GOP] + 50
    with store.shard_path(video).open("r+b") as file:
        file.seek(int(store.offset[video]) + at)
        file.write(bytes([data[at] ^ 4]))
    return store, video


@CODEC
def test_clips_of_a_damaged_group_are_replaced_and_no_others(make_store, tmp_path, codec):
    store, video = damaged_copy(make_store, tmp_path, codec)
    plan = TrainPlan(store, store.select("all"), ClipSpec(frames=4, crop=100), seed=3)
    clips = plan.clips(0, 100)
    bad = (clips.video == video) & (clips.start > GOP - 4) & (clips.start < 2 * GOP)
    wanted = [next(j for j in range(i, 100) if not bad[j]) for i in range(60)]
    ranges = [(first, 4) for first in range(0, 60, 4)]
    with Loader(store, plan, ranges, batch=4, device=CPU, tolerance=Tolerance(0.01)) as loader:
        samples = np.concatenate([batch.samples for batch in loader])
        replaced = loader.take_replaced()
        assert loader.rebuilds == 0
    assert samples.tolist() == wanted
    assert 0 < len(replaced) < sum(clips.video[:60] == video)
    assert {each.video for each in replaced} == {store.name(video)}
    assert all("do not match their checksum" in each.reason for each in replaced)
    with (
        Loader(store, plan, ranges, batch=4, device=CPU) as loader,
        pytest.raises(FastrotError, match=rf"{store.name(video)}.* is damaged: frames 8 to"),
    ):
        list(loader)


def test_frames_of_another_size_are_refused(tmp_path):
    """A damaged or foreign video must not be cropped beyond its pixels."""
    video = encode(list(moving_frames(3, 64, 64)), "h264", 18, 25.0)
    with writing(tmp_path, Settings("h264", 128, None, "folder", quality=18)) as writer:
        writer.add("small", video, label=None, splits=())
    store = Store.open(tmp_path)
    with pytest.raises(FastrotError, match=r"'small'.*frame 0 has 64x64 pixels, expected 128"):
        load(store, Given(ClipSpec(frames=2, crop=100), [(0, 0)]), 1)


@CODEC
def test_a_packet_without_a_frame_is_refused(make_store, tmp_path, codec):
    """Without checksums, only the decoder can notice."""
    shutil.copytree(make_store(codec, size=128).path, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    data = ShardFiles().read_video(store, 0)
    with store.shard_path(0).open("r+b") as file:
        file.seek(int(store.offset[0]) + 60)
        file.write(bytes(len(data) - 60))
    with pytest.raises(FastrotError, match=rf"{store.name(0)}.* is damaged: .*frame 0"):
        load(store, Given(ClipSpec(frames=2, crop=100), [(0, 0)]), 1, check=False)
