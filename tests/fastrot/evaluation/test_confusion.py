import csv
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, recall_score

from fastrot.evaluation.confusion import (
    confusion_counts,
    write_confusion,
    write_per_class,
)

PNG = b"\x89PNG\r\n\x1a\n"


def rows_of(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_the_tables_agree_with_scikit_learn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels, found = rng.integers(7, size=500), rng.integers(7, size=500)
    names = [f"class {i}" for i in range(7)]
    counts = confusion_counts(labels, found, 7)
    expected = confusion_matrix(labels, found, labels=range(7))
    assert counts.tolist() == expected.tolist()

    assert write_confusion(tmp_path, names, counts)[0] == "confusion.csv"
    header, *rows = rows_of(tmp_path / "confusion.csv")
    assert header == ["true / found", *names]
    assert [row[0] for row in rows] == names
    assert [[int(cell) for cell in row[1:]] for row in rows] == expected.tolist()

    write_per_class(tmp_path, names, counts)
    header, *rows = rows_of(tmp_path / "per_class.csv")
    assert header == ["class", "videos", "top1"]
    recall = recall_score(labels, found, average=None, labels=range(7))
    assert [float(row[2]) for row in rows] == pytest.approx(recall, abs=1e-6)
    assert [int(row[1]) for row in rows] == np.bincount(labels).tolist()


def test_a_class_without_videos_has_no_accuracy_and_any_name(tmp_path: Path) -> None:
    write_per_class(tmp_path, ['say "hé", run', "none"], np.array([[3, 1], [0, 0]]))
    assert rows_of(tmp_path / "per_class.csv")[1:] == [
        ['say "hé", run', "4", "0.75"],
        ["none", "0", ""],
    ]


def test_without_matplotlib_there_is_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    (tmp_path / "confusion.png").write_bytes(PNG)  # of an earlier evaluation
    assert write_confusion(tmp_path, ["a", "b"], np.eye(2, dtype=np.int64)) == ["confusion.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["confusion.csv"]


@pytest.mark.parametrize("classes", [2, 101, 400])
def test_with_matplotlib_there_is_a_picture(tmp_path: Path, classes: int) -> None:
    image = pytest.importorskip("matplotlib.image")
    names = [f"${{$ class_{i}" for i in range(classes)]
    counts = np.zeros((classes, classes), dtype=np.int64)
    counts[0, 0], counts[0, 1], counts[1, 1] = 1, 3, 5  # the others have no videos
    assert write_confusion(tmp_path, names, counts) == ["confusion.csv", "confusion.png"]
    pixels = image.imread(tmp_path / "confusion.png")
    assert pixels.shape[0] >= 600
    assert pixels.shape[1] > pixels.shape[0]


def test_the_picture_shows_shares_of_each_row(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib.image")

    def picture(counts: list[list[int]]) -> bytes:
        write_confusion(tmp_path, ["a", "b"], np.array(counts))
        return (tmp_path / "confusion.png").read_bytes()

    few = picture([[1, 3], [0, 5]])
    many = picture([[10, 30], [0, 50]])
    other = picture([[3, 1], [0, 5]])
    assert few.startswith(PNG)
    assert few == many
    assert few != other
