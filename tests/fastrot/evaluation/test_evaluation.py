"""Evaluations against a slow reference: clip by clip, with scikit-learn's measures."""

import statistics
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, top_k_accuracy_score
from torch import Tensor

from fastrot.config import Config
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.action import score_action
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.features import block_features
from fastrot.evaluation.rotation_accuracy import evaluate_rotation
from fastrot.evaluation.scores import in_top
from fastrot.evaluation.trained import Trained, load_trained
from fastrot.tasks import make_task
from fastrot.training.run import train
from pipelines.errors import FastrotError, UsageError
from pipelines.loading.loader import Loader
from pipelines.plan import ClipSpec, EvalPlan
from pipelines.store.reading import Store

TinyConfig = Callable[..., Config]
CLASSES = ["class0", "class1"]


def trained_network(config: Config, runtime: Runtime) -> Trained:
    """Return a network whose running statistics are not the initial ones, left in training mode."""
    torch.manual_seed(1)
    task = make_task(config, CLASSES)
    network = task.network(config.model)
    runtime.place(network)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(8, 3, 4, 32, 32))
    return Trained(network, task, config)


def clips_one_by_one(store: Store, split: str, k: int) -> Iterator[tuple[Tensor, int]]:
    """Yield each normalised clip (1, 3, T, H, W) and its label, straight from the plan's crops."""
    plan = EvalPlan(store, store.select(split), ClipSpec(frames=4, crop=32), clips_per_video=k)
    ranges = [(sample, 1) for sample in range(len(plan))]
    mean = torch.tensor([0.4339, 0.4046, 0.3776])
    std = torch.tensor([0.151987, 0.14855, 0.1569])
    with Loader(store, plan, ranges, batch=1, device=torch.device("cpu")) as loader:
        for batch in loader:
            clip = (batch.clips / 255 - mean) / std
            yield clip.permute(0, 4, 1, 2, 3), int(batch.labels)


def test_rotation_accuracy_is_that_of_every_rotation_by_itself(
    tiny_config: TinyConfig, runtime: Runtime
) -> None:
    trained = trained_network(tiny_config(), runtime)
    store = Store.open(trained.config.data.store)
    result = evaluate_rotation(trained, ClipSet(store, "all", 2, batch=5), runtime)
    assert trained.network.training

    trained.network.eval()
    truth, found = [], []
    with torch.no_grad():
        for clip, _ in clips_one_by_one(store, "all", 2):
            for turn in range(4):
                turned = torch.rot90(clip, turn, dims=(3, 4))
                truth.append(turn)
                found.append(int(trained.network(turned).argmax()))
    expected = confusion_matrix(truth, found, labels=range(4))
    assert result.confusion == expected.tolist()
    assert result.accuracy == pytest.approx(accuracy_score(truth, found))
    assert result.per_class == pytest.approx(expected.diagonal() / expected.sum(axis=1))
    assert result.clips == 12
    # Eight answers for each of the six videos, which are in the order of the store.
    right = np.reshape(np.equal(truth, found), (6, 8)).mean(axis=1)
    assert result.accuracy_standard_error == pytest.approx(statistics.stdev(right) / 6**0.5)
    axis = np.reshape(np.mod(truth, 2) == np.mod(found, 2), (6, 8)).mean(axis=1)
    assert result.axis_accuracy == pytest.approx(axis.mean())
    assert result.axis_standard_error == pytest.approx(statistics.stdev(axis) / 6**0.5)
    width = 257.0582 * result.accuracy_standard_error  # scipy.stats.t.ppf(0.975, 5)
    assert result.lines()[0].startswith(
        f"rotation accuracy {100 * right.mean():.1f} ± {width:.1f} % ("
    )
    width = 257.0582 * result.axis_standard_error
    assert result.lines()[1].startswith(f"axis accuracy {100 * axis.mean():.1f} ± {width:.1f} % (")
    assert "2 uniform clips per video, 4 RGB frames at stride 1, centre crop 32 of 40" in str(
        result.protocol
    )


@pytest.mark.parametrize(
    ("degrees", "axes"),
    [
        ([0, 90], "as the rotation"),
        ([0, 180], "one"),
        ([0, 90, 180], "one more often than the other"),
    ],
)
def test_only_sets_with_both_axes_alike_have_an_axis_accuracy(
    tiny_config: TinyConfig, runtime: Runtime, degrees: list[int], axes: str
) -> None:
    trained = trained_network(tiny_config(rotation={"degrees": degrees}), runtime)
    store = Store.open(trained.config.data.store)
    result = evaluate_rotation(trained, ClipSet(store, "all"), runtime)
    same = axes == "as the rotation"
    assert result.axis_accuracy == (result.accuracy if same else None)
    assert result.axis_standard_error == (result.accuracy_standard_error if same else None)


def test_a_short_last_batch_is_padded_where_shapes_cost_a_search(
    tiny_config: TinyConfig, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = trained_network(tiny_config(), runtime)
    clips = ClipSet(Store.open(trained.config.data.store), "all", 2, batch=5)
    seen: list[tuple[int, bool]] = []

    def note(_: torch.nn.Module, inputs: tuple[Tensor]) -> None:
        last = inputs[0].is_contiguous(memory_format=torch.channels_last_3d)
        seen.append((len(inputs[0]), last))

    trained.network.conv1.register_forward_pre_hook(note)
    plain = (evaluate_rotation(trained, clips, runtime), block_features(trained, clips, runtime))
    # 12 clips, in four rotations and then upright.
    assert [rows for rows, _ in seen] == [20, 20, 8, 5, 5, 2]
    seen.clear()
    monkeypatch.setattr(Runtime, "searches_kernels", True)
    padded = (evaluate_rotation(trained, clips, runtime), block_features(trained, clips, runtime))
    assert seen == [(20, True)] * 3 + [(5, True)] * 3
    assert padded[0] == plain[0]
    for mine, theirs in zip(padded[1].blocks, plain[1].blocks, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_action_accuracy_is_that_of_every_clip_by_itself(
    tiny_config: TinyConfig, runtime: Runtime, batch: int
) -> None:
    trained = trained_network(tiny_config(task="action"), runtime)
    store = Store.open(trained.config.data.store)
    result, found = score_action(trained, ClipSet(store, "all", 3, batch=batch), runtime)
    assert trained.network.training

    trained.network.eval()
    scores, labels = [], []
    with torch.no_grad():
        for clip, label in clips_one_by_one(store, "all", 3):
            scores.append(trained.network(clip).softmax(dim=1)[0].numpy())
            labels.append(label)
    of_clips, of_videos = np.array(scores), np.array(scores).reshape(-1, 3, 2).mean(axis=1)
    assert result.clip_top1 == pytest.approx(accuracy_score(labels, of_clips.argmax(axis=1)))
    assert result.video_top1 == pytest.approx(
        accuracy_score(store.labels, of_videos.argmax(axis=1))
    )
    assert (result.clip_top5, result.video_top5) == (1.0, 1.0)  # of two classes
    np.testing.assert_allclose(found.softmax, of_videos, rtol=1e-4)
    assert (
        found.confusion().tolist()
        == confusion_matrix(store.labels, of_videos.argmax(axis=1), labels=range(2)).tolist()
    )
    assert found.names == [store.name(i) for i in range(6)]
    assert found.labels.tolist() == store.labels.tolist()
    assert (found.classes, found.protocol) == (CLASSES, str(result.protocol))
    assert "all weights trained from scratch" in str(result.protocol)


@pytest.mark.parametrize("k", [1, 5, 20])
def test_top_k_agrees_with_scikit_learn(k: int) -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.random((200, 12)), rng.integers(12, size=200)
    hits = in_top(torch.from_numpy(scores), torch.from_numpy(labels), k)
    expected = top_k_accuracy_score(labels, scores, k=k, labels=range(12)) if k < 12 else 1.0
    assert hits.float().mean().item() == pytest.approx(expected)


def test_of_equal_scores_the_first_is_the_higher() -> None:
    scores, labels = torch.tensor([[0.2, 0.4, 0.4]] * 3), torch.tensor([0, 1, 2])
    assert in_top(scores, labels, 1).tolist() == [False, True, False]
    assert in_top(scores, labels, 2).tolist() == [False, True, True]


def test_the_protocol_says_which_weights_were_trained(
    tiny_config: TinyConfig, runtime: Runtime
) -> None:
    store = Store.open(tiny_config().data.store)
    for changes, says in (
        ({"model": {"freeze": 3}}, "first 3 of 5 convolution blocks frozen"),
        ({"init": "some.pt"}, "full fine-tuning"),
    ):
        trained = trained_network(tiny_config(task="action", **changes), runtime)
        result, _ = score_action(trained, ClipSet(store, "test1"), runtime)
        assert str(result.protocol).endswith(says)


def test_networks_are_loaded_with_all_that_feeds_them(
    tiny_config: TinyConfig, runtime: Runtime
) -> None:
    config = tiny_config(task="action", data={"modality": "dif"})
    loaded = load_trained(train(config).last, runtime)
    assert loaded.task.outputs == 2
    assert loaded.config.data.statistics == ([0.0] * 3, [0.1] * 3)
    store = Store.open(config.data.store)
    result, _ = score_action(loaded, ClipSet(store, "test1"), runtime)
    assert "DIF" in str(result.protocol)


def test_what_does_not_fit_is_refused(tiny_config: TinyConfig, runtime: Runtime) -> None:
    pretext = trained_network(tiny_config(), runtime)
    action = trained_network(tiny_config(task="action"), runtime)
    store = Store.open(pretext.config.data.store)
    clips = ClipSet(store, "all")
    with pytest.raises(UsageError, match="fastrot evaluate rotation"):
        score_action(pretext, clips, runtime)
    with pytest.raises(UsageError, match="fastrot evaluate action"):
        evaluate_rotation(action, clips, runtime)
    store.classes = ["walk", "run"]
    with pytest.raises(UsageError, match=r"2 classes \(class0, class1\).*2 \(walk, run\)"):
        score_action(action, clips, runtime)
    with pytest.raises(FastrotError, match=r"checkpoint nowhere\.pt does not exist"):
        load_trained("nowhere.pt", runtime)
