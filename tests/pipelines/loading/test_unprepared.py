import numpy as np
import pytest
import torch

from pipelines.errors import FastrotError
from pipelines.loading.dali_graph import new_pipeline
from pipelines.loading.options import LoaderOptions
from pipelines.loading.unprepared import ReaderLoader, define_windows
from pipelines.plan import ClipSpec, WindowPlan
from pipelines.shares import Share
from tests.helpers import moving_frames, write_streams, write_video

SPEC = ClipSpec(frames=5, stride=2, crop=49)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Return a folder of two VP9 videos of different shape, and one that is too short for a window."""
    root = tmp_path_factory.mktemp("films")
    for name, count, height, width in (
        ("a", 40, 128, 160),
        ("b", 25, 128, 128),
        ("c", 9, 128, 128),
    ):
        frames = moving_frames(count, height, width, ord(name))
        write_video(root / f"{name}.mp4", frames, codec="libvpx-vp9")
    return root


def loader(films, spec=SPEC, **options):
    return loader_of(sorted(films.glob("*.mp4")), spec, **options)


def loader_of(paths, spec=SPEC, **options):
    plan = {"size": 64, "step": 4, "seed": 3, "flip": 0.5}
    plan = WindowPlan(spec, **{name: options.pop(name, value) for name, value in plan.items()})
    return ReaderLoader(paths, plan, **{"batch": 4, "device": torch.device("cpu"), **options})


def test_every_window_comes_once_an_epoch(films):
    """Windows need T * stride = 10 frames: 8 of 40 frames and 4 of 25 begin at multiples of 4."""
    with loader(films) as windows:
        assert windows.windows == 12
        batches = [next(windows) for _ in range(3)]
    videos = np.concatenate([batch.videos for batch in batches])
    assert np.bincount(videos).tolist() == [8, 4]
    assert all(batch.clips.shape == (4, 5, 49, 49, 3) for batch in batches)
    assert all(batch.clips.dtype == torch.uint8 for batch in batches)
    assert (batches[0].labels == -1).all()


def test_dif_is_the_difference_of_the_same_windows(films):
    with loader(films, ClipSpec(frames=4, stride=2, crop=49, modality="dif")) as windows:
        dif = next(windows)
    with loader(films) as windows:
        rgb = next(windows).clips.to(torch.int16)
    torch.testing.assert_close(dif.clips, rgb[:, 1:] - rgb[:, :-1])


def test_the_clip_is_the_window_of_the_video(films):
    """Some window of the video, resized by another library, is close to the clip."""
    import av

    with loader(films, ClipSpec(frames=5, stride=2, crop=64), flip=0.0) as windows:
        batch = next(windows)
    name = sorted(films.glob("*.mp4"))[batch.videos[0]]
    with av.open(str(name)) as container:
        frames = np.stack(
            [
                frame.to_ndarray(format="rgb24", width=64, height=64, interpolation="BILINEAR")
                for frame in container.decode(video=0)
            ]
        ).astype(int)
    errors = [
        np.abs(frames[start : start + 9 : 2] - batch.clips[0].numpy()).mean()
        for start in range(0, len(frames) - 9, 4)
    ]
    assert min(errors) < 5  # another library's resampling
    assert sorted(errors)[1] > 5 * min(errors)


def test_a_resumed_reader_goes_on_with_other_crops(films):
    with loader(films) as windows:
        first, second = next(windows), next(windows)
    with loader(films, first=1) as windows:
        resumed = next(windows)
    np.testing.assert_array_equal(resumed.samples, second.samples)
    assert not np.array_equal(resumed.samples, first.samples)


def test_codecs_that_the_cpu_cannot_decode_say_what_to_do(tmp_path):
    write_video(tmp_path / "a.mp4", moving_frames(20, 64, 64), codec="libx264")
    with (
        pytest.raises(FastrotError, match=r"fastrot prepare|DALI's reader failed"),
        loader(tmp_path) as windows,
    ):
        next(windows)


@pytest.mark.parametrize("preview_first", [True, False])
def test_of_several_streams_dali_reads_the_one_that_prepare_stores(tmp_path, preview_first):
    path = write_streams(tmp_path / "film.mkv", preview_first=preview_first, codec="libvpx-vp9")
    with loader_of([path], ClipSpec(frames=4, crop=32), size=40, batch=2) as windows:
        clips = next(windows).clips
    assert clips.float().mean().item() == pytest.approx(200, abs=4)  # the preview has 40


def test_videos_that_do_not_decode_are_named(films, tmp_path):
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(4000))
    with pytest.raises(
        FastrotError, match=r"1 of 4 videos.*noise\.mp4: FFmpeg cannot decode the file"
    ):
        loader_of([*films.glob("*.mp4"), tmp_path / "noise.mp4"])


def test_the_gpu_reader_builds_and_serializes_without_a_gpu(films):
    plan = WindowPlan(SPEC, size=64, step=4, seed=0)
    files = [str(path) for path in films.glob("*.mp4")]
    device = torch.device("cuda")
    with new_pipeline(2, device, LoaderOptions(threads=1)) as pipeline:
        define_windows(pipeline, lambda _: None, files, plan, Share(), device)
    assert b"readers__Video" in pipeline.serialize()
