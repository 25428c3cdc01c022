from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import gmean
from sklearn.metrics import accuracy_score, top_k_accuracy_score

from fastrot.evaluation.fusion import fuse, geometric_mean, label_of
from fastrot.evaluation.scores import Scores
from pipelines.errors import FastrotError

CLASSES = [f"class {i}" for i in range(11)]


def draw(seed: int, videos: int = 200) -> Scores:
    """Return random scores; the labels are those of any other seed."""
    rng = np.random.default_rng(seed)
    return Scores(
        names=[f"v{i}.avi" for i in range(videos)],
        labels=np.random.default_rng(99).integers(11, size=videos),
        softmax=rng.dirichlet(np.full(11, 0.3), size=videos).astype(np.float32),
        classes=CLASSES,
        protocol=f"seed {seed}",
    )


def saved(scores: Scores, path: Path) -> Path:
    scores.save(path)
    return path


def test_the_fusion_is_scipys_geometric_mean(tmp_path: Path) -> None:
    rgb, dif = draw(1), draw(2)
    result, fused = fuse(saved(rgb, tmp_path / "rgb.npz"), saved(dif, tmp_path / "dif.npz"))

    both = np.stack([rgb.softmax, dif.softmax]).astype(np.float64)
    mean = gmean(np.maximum(both, np.finfo(np.float32).tiny), axis=0)
    expected = mean / mean.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fused.softmax, expected, rtol=1e-5)
    assert result.video_top1 == pytest.approx(accuracy_score(rgb.labels, expected.argmax(axis=1)))
    top5 = top_k_accuracy_score(rgb.labels, expected, k=5, labels=range(11))
    assert result.video_top5 == pytest.approx(top5)
    alone = [accuracy_score(each.labels, each.softmax.argmax(axis=1)) for each in (rgb, dif)]
    assert [each.video_top1 for each in result.inputs] == pytest.approx(alone)
    assert [each.protocol for each in result.inputs] == ["seed 1", "seed 2"]
    assert result.protocol == fused.protocol == "geometric mean of [seed 1] and [seed 2]"
    assert f"top-1 {100 * result.video_top1:.2f} %" in result.lines()[2]


def test_a_fusion_is_fused_again(tmp_path: Path) -> None:
    first, second = saved(draw(1), tmp_path / "a.npz"), saved(draw(2), tmp_path / "b.npz")
    _, fused = fuse(first, second)
    # With itself it stays what it is.
    path = saved(fused, tmp_path / "ab.npz")
    _, again = fuse(path, path)
    np.testing.assert_allclose(again.softmax, fused.softmax, rtol=1e-5, atol=1e-30)


def test_the_order_of_the_videos_may_differ(tmp_path: Path) -> None:
    rgb, dif = draw(1), draw(2)
    order = np.random.default_rng(0).permutation(200)
    turned = replace(
        dif,
        names=[dif.names[i] for i in order],
        labels=dif.labels[order],
        softmax=dif.softmax[order],
    )
    first = saved(rgb, tmp_path / "rgb.npz")
    _, expected = fuse(first, saved(dif, tmp_path / "dif.npz"))
    _, found = fuse(first, saved(turned, tmp_path / "turned.npz"))
    assert found.names == rgb.names
    np.testing.assert_array_equal(found.softmax, expected.softmax)


def test_networks_that_are_sure_of_different_classes_can_be_fused() -> None:
    sure = [np.eye(3, dtype=np.float32)[[0]], np.eye(3, dtype=np.float32)[[1]]]
    np.testing.assert_allclose(geometric_mean(sure), [[0.5, 0.5, 0]], atol=1e-15)


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    mine = draw(1, videos=5)
    first, second = saved(mine, tmp_path / "a.npz"), tmp_path / "b.npz"

    renamed = replace(mine, names=["v0.avi", "v1.avi", "w.avi", "v3.avi", "x.avi"])
    four = replace(mine, names=mine.names[:4], labels=mine.labels[:4], softmax=mine.softmax[:4])
    relabelled = replace(mine, labels=(mine.labels + np.array([0, 0, 1, 0, 1])) % 11)
    regrouped = replace(mine, classes=[*CLASSES[:3], "other", *CLASSES[4:]])
    wider = replace(
        mine, classes=[*CLASSES, "more"], softmax=np.pad(mine.softmax, ((0, 0), (0, 1)))
    )
    for other, says in (
        (
            renamed,
            r"a\.npz has 5, .*b\.npz has 5; 2 only in the first, such as v2\.avi; "
            r"2 only in the second, such as w\.avi",
        ),
        (four, r"has 5, .*b\.npz has 4; 1 only in the first, such as v4\.avi\."),
        (relabelled, r"2 of 5 videos have different labels in .*b\.npz .*such as v2\.avi: class"),
        (regrouped, "11 classes, .* 11; class 3 is class 3 in the first and other in the second"),
        (wider, r"a\.npz has 11 classes, .*b\.npz 12; more is in only one of them"),
    ):
        other.save(second)
        with pytest.raises(FastrotError, match=says):
            fuse(first, second)


def test_names_of_fusions(tmp_path: Path) -> None:
    assert label_of(tmp_path / "runs/rgb/evaluation/action-ucf-test1-last/scores.npz") == (
        "rgb-action-ucf-test1-last"
    )
    assert label_of(tmp_path / "fusion/rgb+dif/scores.npz") == "rgb+dif"
    assert label_of(tmp_path / "resnet.npz") == "resnet"
