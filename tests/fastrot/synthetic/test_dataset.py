"""The demo set on disk."""

import re
from collections import defaultdict
from dataclasses import replace

import av
import numpy as np
import pytest

from fastrot.synthetic.actions import ACTIONS
from fastrot.synthetic.dataset import DemoPaths, DemoSpec, _shots, make_dataset, unlabelled_actions
from fastrot.synthetic.film import Shot, film
from pipelines.errors import FastrotError, UsageError

SPEC = DemoSpec(unlabelled=5, groups=3, clips_per_group=1, frames=6, size=32, seed=3)
TOTAL = 5 + 12 * 3


def decode(path):
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def files(paths):
    return sorted(p.relative_to(paths.root) for p in paths.root.rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("demo") / "set", SPEC)


def test_layout_is_ucf101s(made):
    index = (made.splits / "classInd.txt").read_text().splitlines()
    assert index == [f"{n} {name}" for n, name in enumerate(sorted(ACTIONS), start=1)]
    numbers = {name: number for number, name in (line.split(" ") for line in index)}
    on_disk = {str(p.relative_to(made.videos)) for p in made.videos.rglob("*.avi")}
    assert len(on_disk) == 12 * 3
    pattern = re.compile(r"(?P<name>[A-Za-z]+)/v_(?P=name)_g(?P<group>\d\d)_c\d\d\.avi")
    tested = []
    for split in ("01", "02", "03"):
        train = (made.splits / f"trainlist{split}.txt").read_text().splitlines()
        test = (made.splits / f"testlist{split}.txt").read_text().splitlines()
        groups = {"train": set(), "test": set()}
        for line in train:
            path, number = line.split(" ")
            match = pattern.fullmatch(path)
            assert numbers[match["name"]] == number
            groups["train"].add(match["group"])
        groups["test"] = {pattern.fullmatch(line)["group"] for line in test}
        assert not groups["train"] & groups["test"]
        assert {line.split(" ")[0] for line in train} | set(test) == on_disk
        tested += test
    assert sorted(tested) == sorted(on_disk)  # each video is tested on in one split


def test_default_set_has_enough_of_each_class():
    spec = DemoSpec()
    per_group = spec.clips_per_group
    assert spec.groups // 3 * per_group >= 20  # test videos of a class
    assert spec.groups // 3 * 2 * per_group >= 12  # training videos of a class
    assert spec.unlabelled == 1400


def test_videos_are_mpeg4_in_avi_with_the_asked_frames(made):
    for path in [*made.unlabelled.iterdir(), *made.videos.rglob("*.avi")]:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert container.format.name == "avi"
            assert stream.codec_context.name == "mpeg4"
            assert (stream.width, stream.height) == (32, 32)
            assert stream.average_rate == 25
        assert len(decode(path)) == 6


def test_compression_keeps_the_picture(made):
    path, shot = next(iter(_shots(made, SPEC)))
    with av.open(str(path)) as container:
        decoded = [f.to_ndarray()[:32] for f in container.decode(video=0)]  # the luma plane
    images = film(shot, seed=3, frames=6, size=32)
    drawn = [
        av.VideoFrame.from_ndarray(i, format="rgb24").reformat(format="yuv420p") for i in images
    ]
    luma = [f.to_ndarray()[:32] for f in drawn]
    assert np.abs(np.array(luma, int) - decoded).mean() < 2


def test_subjects_and_scenes_of_test_groups_are_never_trained_on(made):
    shots = dict(_shots(made, SPEC))
    used = defaultdict(set)
    for path, shot in shots.items():
        group = re.search(r"_g(\d\d)_", path.name)
        used[group[1] if group else shot.name].update({shot.subject, shot.scene})
    owners = [name for names in used.values() for name in names]
    assert len(used) == 3 + 5
    assert len(owners) == len(set(owners))


def test_every_unlabelled_video_has_a_scene_of_its_own(made):
    means = [decode(path).mean(axis=0) for path in sorted(made.unlabelled.iterdir())]
    for number, one in enumerate(means):
        for other in means[:number]:
            alike = np.corrcoef(one.ravel(), other.ravel())[0, 1]  # whatever their contrasts
            assert alike < 0.6


def test_actions_of_unlabelled_videos_are_those_that_are_filmed(made):
    told = unlabelled_actions(SPEC)
    # What each shows, by its pixels: the film of the recorded action.
    for number, (name, action) in enumerate(told.items(), 1):
        key = f"unlabelled {number}"
        shot = Shot(key, action, key, key)
        expected = film(shot, seed=SPEC.seed, frames=SPEC.frames, size=SPEC.size).astype(float)
        assert np.abs(decode(made.unlabelled / name) - expected).mean() < 12
    assert set(told) == {path.name for path in made.unlabelled.iterdir()}


def test_same_videos_whatever_the_number_of_workers(made, tmp_path):
    parallel = make_dataset(tmp_path / "set", SPEC, workers=2)
    assert files(parallel) == files(made)
    for path in files(made):
        if path.suffix == ".avi":
            np.testing.assert_array_equal(decode(parallel.root / path), decode(made.root / path))
        else:
            assert (parallel.root / path).read_bytes() == (made.root / path).read_bytes()


def test_videos_do_not_depend_on_the_size_of_the_set(made, tmp_path):
    smaller = make_dataset(tmp_path / "set", replace(SPEC, unlabelled=1))
    one = smaller.unlabelled / "v_00001.avi"
    assert one.read_bytes() == (made.unlabelled / "v_00001.avi").read_bytes()
    other = make_dataset(tmp_path / "other", replace(SPEC, unlabelled=1, seed=4))
    assert one.read_bytes() != (other.unlabelled / "v_00001.avi").read_bytes()


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_moves_far_more_than_the_noise(action):
    for take in range(3):
        shot = Shot(f"take {take}", action, f"subject {take}", f"scene {take}")
        frames = film(shot, seed=0, frames=17, size=64).astype(int)
        still = np.abs(frames[2::2] - frames[:-2:2]).mean(-1) < 12
        assert 0.005 < 1 - still.mean() < 0.5
        assert still.all(axis=0).mean() > 0.3  # the camera does not move


def test_camera_and_horizon_change_what_is_around_the_figure():
    shot = Shot("take 1", "Walk", "subject 1", "scene 1")
    settings = {"seed": 0, "frames": 17, "size": 64}
    plain = film(shot, **settings).astype(int)
    np.testing.assert_array_equal(plain, film(shot, **settings, camera="static", horizon=False))
    still = film(shot, **settings, figure=False).astype(int)
    moving = film(shot, **settings, figure=False, camera="moving").astype(int)
    changed = [(np.abs(np.diff(f, axis=0)).mean(-1) > 9).mean() for f in (still, plain, moving)]
    assert changed[0] < 1e-3 < changed[1]
    assert changed[2] > changed[1] + 0.02
    outdoors = film(shot, **settings, figure=False, horizon=True).astype(int)
    rows = outdoors.mean(axis=(0, 2, 3))
    assert np.abs(np.diff(rows)).max() > 2 * np.abs(np.diff(still.mean(axis=(0, 2, 3)))).max()


def test_spec_reaches_the_videos(tmp_path):
    spec = DemoSpec(unlabelled=1, groups=3, clips_per_group=1, frames=2, size=64)
    for number, options in enumerate([{}, {"camera": "moving"}, {"horizon": True}]):
        made = make_dataset(tmp_path / str(number), replace(spec, **options))
        path, shot = next(iter(_shots(made, spec)))
        expected = film(shot, seed=0, frames=2, size=64, **options).astype(int)
        assert np.abs(decode(path) - expected).mean() < 6


def test_finished_set_is_left_alone_and_an_interrupted_one_gone_on_with(made, tmp_path):
    calls = []
    root = tmp_path / "set"

    class StoppedError(Exception):
        pass

    def stop(done, total):
        calls.append((done, total))
        if done:
            raise StoppedError

    with pytest.raises(StoppedError):
        make_dataset(root, SPEC, progress=stop)
    assert calls == [(0, TOTAL), (16, TOTAL)]
    there = {p: p.stat().st_mtime_ns for p in root.rglob("*.avi")}
    assert len(there) == 16
    calls.clear()
    resumed = make_dataset(root, SPEC, progress=lambda *call: calls.append(call))
    assert calls[0] == (16, TOTAL)
    assert calls[-1] == (TOTAL, TOTAL)
    assert all(p.stat().st_mtime_ns == before for p, before in there.items())
    assert files(resumed) == files(made)
    last = next(iter(sorted(resumed.videos.rglob("*.avi"), reverse=True)))
    same = made.videos / last.relative_to(resumed.videos)
    np.testing.assert_array_equal(decode(last), decode(same))
    calls.clear()
    make_dataset(root, SPEC, progress=lambda *call: calls.append(call))
    assert calls == [(TOTAL, TOTAL)]


def test_set_of_another_spec_is_not_touched(made):
    before = files(made)
    with pytest.raises(FastrotError, match="other settings"):
        make_dataset(made.root, replace(SPEC, seed=9))
    assert files(made) == before


def test_folder_of_other_videos_is_not_touched(tmp_path):
    (tmp_path / "unlabelled").mkdir()
    with pytest.raises(FastrotError, match=r"no demo\.json"):
        make_dataset(tmp_path, SPEC)
    assert files(DemoPaths(tmp_path)) == []


def test_unwritable_place_is_said_plainly(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FastrotError, match="cannot be written"):
        make_dataset(tmp_path / "file" / "set", SPEC)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"groups": 4}, "multiple of 3"),
        ({"size": 33}, "even"),
        ({"frames": 0}, "frames is 0"),
        ({"unlabelled": -1}, "unlabelled is -1"),
        ({"camera": "shaky"}, "camera is 'shaky'"),
    ],
)
def test_bad_values_are_refused(values, match):
    with pytest.raises(UsageError, match=match):
        DemoSpec(**values)
