"""Both accuracies of a network that classifies rotation and speed, against a clip by clip reference."""

import shutil
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix
from torch import Tensor

from fastrot.config import Config
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.pretext import evaluate_pretext
from fastrot.evaluation.rotation_accuracy import evaluate_rotation
from fastrot.evaluation.scramble import Scramble
from fastrot.evaluation.speed_accuracy import SpeedResult, evaluate_speeds
from fastrot.evaluation.trained import Trained
from pipelines.errors import UsageError
from pipelines.loading.loader import Loader
from pipelines.plan import ClipSpec, EvalPlan
from pipelines.store.reading import Store
from tests.fastrot.evaluation.test_evaluation import trained_network
from tests.fastrot.evaluation.test_unreadable import spoil

TinyConfig = Callable[..., Config]
SPEEDS = [4, 1]
SHORT = 1  # the video of 12 frames: a clip of 4 frames at speed 4 has 13


@pytest.fixture
def trained(tiny_config: TinyConfig, runtime: Runtime) -> Trained:
    return trained_network(tiny_config(rotation={"speeds": SPEEDS}), runtime)


def measured(trained: Trained, clips: ClipSet, runtime: Runtime) -> SpeedResult:
    result = evaluate_pretext(trained, clips, runtime)
    assert isinstance(result, SpeedResult)
    return result


def every_answer(trained: Trained, store: Store, k: int) -> Iterator[tuple[int, int, int, Tensor]]:
    """Yield video, speed, rotation and the seven logits of each view, from one clip at a time."""
    mean = torch.tensor([0.4339, 0.4046, 0.3776])
    std = torch.tensor([0.151987, 0.14855, 0.1569])
    trained.network.eval()
    for number, speed in enumerate(SPEEDS):
        spec = ClipSpec(frames=4, stride=speed, crop=32)
        plan = EvalPlan(store, store.select("all"), spec, clips_per_video=k)
        ranges = [(sample, 1) for sample in range(len(plan))]
        with Loader(store, plan, ranges, batch=1, device=torch.device("cpu")) as loader:
            for batch in loader:
                clip = ((batch.clips / 255 - mean) / std).permute(0, 4, 1, 2, 3)
                for turn in range(4):
                    with torch.no_grad():
                        (logits,) = trained.network(torch.rot90(clip, turn, dims=(3, 4)))
                    yield int(batch.videos[0]), number, turn, logits


def test_both_accuracies_are_those_of_every_clip_at_every_speed(
    trained: Trained, runtime: Runtime
) -> None:
    store = Store.open(trained.config.data.store)
    assert store.frames[SHORT] == 12
    result = measured(trained, ClipSet(store, "all", 2, batch=5, quiet=True), runtime)
    assert trained.network.training

    answers = list(every_answer(trained, store, 2))
    assert len(answers) == 6 * 2 * 2 * 4
    video, speed, turn = np.array([answer[:3] for answer in answers]).T
    logits = torch.stack([answer[3] for answer in answers])
    found_turn, found_speed = (part.argmax(dim=1).numpy() for part in logits.split([4, 2], dim=1))
    assert len(set(found_speed.tolist())) == 2  # a constant answer would show little
    assert result.confusion == confusion_matrix(turn, found_turn, labels=range(4)).tolist()
    right = np.equal(turn, found_turn)
    assert result.accuracy == pytest.approx(right.mean())
    of_videos = [right[video == each].mean() for each in range(6)]
    assert result.accuracy_standard_error == pytest.approx(statistics.stdev(of_videos) / 6**0.5)
    assert result.rotation_per_speed == pytest.approx(
        [right[speed == each].mean() for each in range(2)]
    )
    assert result.clips == 24

    room = video != SHORT
    expected = confusion_matrix(speed[room], found_speed[room], labels=range(2))
    assert result.speed_confusion == expected.tolist()
    right = np.equal(speed, found_speed)
    of_videos = [right[video == each].mean() for each in range(6) if each != SHORT]
    assert result.speed_accuracy == pytest.approx(np.mean(of_videos))
    assert result.speed_standard_error == pytest.approx(statistics.stdev(of_videos) / 5**0.5)
    assert result.speed_per_class == pytest.approx(expected.diagonal() / expected.sum(axis=1))
    assert result.speed_videos == 5
    width = 277.6445 * result.speed_standard_error  # scipy.stats.t.ppf(0.975, 4)
    (line,) = [line for line in result.lines() if line.startswith("speed accuracy")]
    assert line.startswith(f"speed accuracy {100 * np.mean(of_videos):.1f} ± {width:.1f} % (x4 ")
    assert "chance 50.0 %), of 5 videos with room for the fastest clip" in line
    assert (
        "2 uniform clips per video, 4 RGB frames at stride 1 x speeds 4, 1," in result.lines()[-1]
    )


def test_at_one_speed_it_is_measured_like_any_network(trained: Trained, runtime: Runtime) -> None:
    clips = ClipSet(Store.open(trained.config.data.store), "all", quiet=True)
    plain = evaluate_rotation(trained, clips, runtime)
    paced = measured(trained, clips, runtime)
    assert plain.accuracy == paced.rotation_per_speed[SPEEDS.index(1)]
    assert not isinstance(plain, SpeedResult)


def test_a_video_unreadable_at_one_speed_counts_at_none(
    trained: Trained, runtime: Runtime, tmp_path: Path
) -> None:
    whole = Store.open(trained.config.data.store)
    shutil.copytree(whole.path, tmp_path / "spoilt")
    spoilt = Store.open(tmp_path / "spoilt")
    broken = int(np.argmax(spoilt.frames))
    start, each = int(spoilt.offset[broken]), int(spoilt.bytes[broken]) // 40
    assert spoilt.frames[broken] == 40
    with spoilt.shard_path(broken).open("r+b") as file:
        file.seek(start + 15 * each)  # the middle clip has frames 18 to 21, or 13 17 21 25 ...
        file.write(bytes(each))
        file.seek(start + 17 * each)
        file.write(bytes(each))
    found = measured(trained, ClipSet(spoilt, "all", quiet=True), runtime)
    assert [skipped.video for skipped in found.skipped] == [whole.name(broken)]
    assert (found.protocol.videos, found.clips, found.speed_videos) == (5, 10, 4)
    spoil(spoilt, broken)
    assert (
        measured(trained, ClipSet(spoilt, "all", quiet=True), runtime).confusion == found.confusion
    )


def test_without_room_anywhere_the_speed_is_not_measured(
    tiny_config: TinyConfig, runtime: Runtime
) -> None:
    far = trained_network(tiny_config(rotation={"speeds": [1, 30]}), runtime)
    store = Store.open(far.config.data.store)
    result = measured(far, ClipSet(store, "all", quiet=True), runtime)
    assert (result.speed_accuracy, result.speed_videos, result.clips) == (None, 0, 12)
    assert any(line.startswith("speed accuracy not measured") for line in result.lines())


def test_scrambled_clips_are_measured_at_every_speed_too(
    trained: Trained, runtime: Runtime
) -> None:
    store = Store.open(trained.config.data.store)
    plain = measured(trained, ClipSet(store, "all", quiet=True), runtime)
    clips = ClipSet(store, "all", quiet=True, scramble=Scramble("phase"))
    scrambled = measured(trained, clips, runtime)
    assert scrambled.confusion != plain.confusion
    assert "scrambled (phase) frames at stride 1 x speeds 4, 1" in str(scrambled.protocol)


def test_other_networks_have_no_speed(tiny_config: TinyConfig, runtime: Runtime) -> None:
    plain = trained_network(tiny_config(), runtime)
    with pytest.raises(
        UsageError, match="does not classify speeds: use `fastrot evaluate rotation"
    ):
        evaluate_speeds(plain, ClipSet(Store.open(plain.config.data.store), "all"), runtime)
