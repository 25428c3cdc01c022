"""The file of scores: read as written, without pickles, and refused where something is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, top_k_accuracy_score

from fastrot.evaluation.scores import Scores, find_scores
from pipelines.errors import FastrotError


def random_scores(videos: int = 300, classes: int = 9, seed: int = 0) -> Scores:
    rng = np.random.default_rng(seed)
    return Scores(
        names=[f"v{i}.avi" for i in range(videos)],
        labels=rng.integers(classes, size=videos),
        softmax=rng.dirichlet(np.ones(classes), size=videos).astype(np.float32),
        classes=[f"class {i}" for i in range(classes)],
        protocol="as drawn",
    )


def test_accuracies_and_confusion_agree_with_scikit_learn() -> None:
    scores = random_scores()
    found = scores.softmax.argmax(axis=1)
    assert scores.top(1) == pytest.approx(accuracy_score(scores.labels, found))
    top5 = top_k_accuracy_score(scores.labels, scores.softmax, k=5, labels=range(9))
    assert scores.top(5) == pytest.approx(top5)
    assert scores.confusion().tolist() == confusion_matrix(scores.labels, found).tolist()


def test_scores_are_read_as_they_were_written(tmp_path: Path) -> None:
    scores, path = random_scores(), tmp_path / "new" / "scores.npz"
    scores.save(path)
    with np.load(path, allow_pickle=False) as archive:
        assert set(archive) == {"names", "labels", "softmax", "classes", "protocol"}
        assert archive["softmax"].dtype == np.float32
        assert archive["labels"].dtype == np.int64
    loaded = Scores.load(path)
    assert (loaded.names, loaded.classes) == (scores.names, scores.classes)
    assert loaded.protocol == "as drawn"
    np.testing.assert_array_equal(loaded.softmax, scores.softmax)
    np.testing.assert_array_equal(loaded.labels, scores.labels)
    assert [file.name for file in path.parent.iterdir()] == ["scores.npz"]


def valid() -> dict[str, Any]:
    return {
        "names": np.array(["a", "b"]),
        "labels": np.array([0, 1]),
        "softmax": np.array([[0.5, 0.5], [0.1, 0.9]]),
        "classes": np.array(["x", "y"]),
    }


def test_scores_of_another_tool_need_no_protocol(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", **valid())
    loaded = Scores.load(tmp_path / "other.npz")
    assert loaded.protocol == "not stated"
    assert loaded.softmax.dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"names": np.array(["a", "a"])}, "it contains a video name twice"),
        ({"names": np.array(["a", "b", "c"])}, "3 names, 2 classes, .* are inconsistent"),
        ({"labels": np.array([0, 2])}, r"a label is not in 0\.\.1"),
        ({"labels": np.array([0, -1])}, r"a label is not in 0\.\.1"),
        ({"softmax": np.array([[0.5, np.nan], [0.1, 0.9]])}, "a score is not a probability"),
        ({"softmax": np.array([[0.5, -2.0], [0.1, 0.9]])}, "a score is not a probability"),
        ({"names": np.array([["a"], None], dtype=object)}, "is not a readable score file"),
        ({"softmax": None}, "not a score file: .*softmax"),
        (
            {"names": np.array([], str), "labels": np.zeros(0), "softmax": np.zeros((0, 2))},
            "it contains no videos",
        ),
    ],
)
def test_what_is_no_file_of_scores_is_refused(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    values = {key: value for key, value in {**valid(), **changes}.items() if value is not None}
    path = tmp_path / "scores.npz"
    np.savez(path, **values)
    with pytest.raises(FastrotError, match=says) as error:
        Scores.load(path)
    assert str(path) in str(error.value)


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    random_scores().save(path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"text"):
        path.write_bytes(content)
        with pytest.raises(FastrotError, match="is not a readable score file"):
            Scores.load(path)
    np.save(tmp_path / "plain.npy", np.zeros(3))
    for name in ("plain.npy", "absent.npz"):
        with pytest.raises(FastrotError, match="is not a readable score file"):
            Scores.load(tmp_path / name)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FastrotError, match=r"scores\.npz cannot be written"):
        random_scores().save(tmp_path / "file" / "scores.npz")


def test_the_scores_of_a_run_are_found_where_there_is_one(tmp_path: Path) -> None:
    with pytest.raises(FastrotError, match="fastrot evaluate action"):
        find_scores(tmp_path)
    first = tmp_path / "evaluation" / "action-a" / "scores.npz"
    random_scores(5).save(first)
    assert find_scores(tmp_path) == find_scores(first.parent) == find_scores(first) == first
    random_scores(5).save(tmp_path / "evaluation" / "action-b" / "scores.npz")
    with pytest.raises(FastrotError, match=r"several evaluations.*action-a.*action-b"):
        find_scores(tmp_path)
