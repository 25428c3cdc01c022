import pytest
import torch

from fastrot.rotation.sets import RotationSet, rotation_set
from pipelines.errors import UsageError


def test_labels_are_rotation_major() -> None:
    labels = rotation_set([90, 180, 270]).labels(2, "cpu")
    assert labels.dtype == torch.int64
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    "degrees",
    [
        (0, 90), (0, 180), (0, 270), (90, 180), (90, 270), (180, 270),
        (0, 90, 180), (0, 90, 270), (0, 180, 270), (90, 180, 270),
        (0, 90, 180, 270),
    ],
)  # fmt: skip
def test_every_subset_of_two_or_more_is_a_set(degrees: tuple[int, ...]) -> None:
    assert rotation_set(list(degrees)) == RotationSet(degrees)
    assert len(rotation_set(degrees)) == len(degrees)


@pytest.mark.parametrize(
    "degrees", [(), (0,), (0, 45), (90, 0), (0, 0), (0, 90, 90), (0, 360), (-90, 0), ("0", "90")]
)
def test_anything_else_is_refused_with_the_choices(degrees: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"two of \[0, 90, 180, 270\] in ascending order"):
        rotation_set(degrees)
