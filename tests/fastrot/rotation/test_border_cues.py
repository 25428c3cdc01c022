"""The label must not be readable off the border: a network would learn that and nothing else.

A known way to get this wrong is an interpolating warp about (size/2, size/2) where the centre is
(size-1)/2: the picture shifts by a pixel and the warp repeats the border to fill the gap.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from fastrot.rotation.op import rotate
from fastrot.rotation.sets import rotation_set

SET = rotation_set([0, 90, 180, 270])
CLIPS = 500


def ours(clips: Tensor) -> Tensor:
    return rotate(clips, SET, mean=(0.5,) * 3, std=(0.2,) * 3, dtype=torch.float32)


def about_the_wrong_centre(clips: Tensor) -> Tensor:
    """Shift what `ours` gives by the pixel that the wrong centre costs, repeating the border."""
    out = ours(clips).clone()
    _, turned90, turned180, turned270 = out.chunk(4)
    for rows in (turned90, turned180):
        rows[..., 1:, :] = rows[..., :-1, :].clone()
    for columns in (turned180, turned270):
        columns[..., 1:] = columns[..., :-1].clone()
    return out


def border_statistics(x: Tensor) -> NDArray[np.float32]:
    """Of each of the four borders: mean, deviation, and mean absolute step to its neighbours inside."""
    features = []
    for k in range(4):
        side = x.rot90(k, dims=(3, 4))
        border, inside = side[..., 0, :].flatten(1), side[..., 1, :].flatten(1)
        features += [border.mean(1), border.std(1), (border - inside).abs().mean(1)]
    return torch.stack(features, dim=1).numpy()


def accuracy(rotation: Callable[[Tensor], Tensor]) -> float:
    """Train a linear classifier on half of the clips, test it on the other half."""
    generator = torch.Generator().manual_seed(7)
    shape = (2, CLIPS, 2, 12, 12, 3)
    train, test = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    labels = SET.labels(CLIPS, "cpu").numpy()
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    classifier.fit(border_statistics(rotation(train)), labels)
    return float(classifier.score(border_statistics(rotation(test)), labels))


def test_border_statistics_do_not_tell_the_rotation() -> None:
    # 2,000 guesses at 1 in 4: the standard deviation is 1 %.
    assert accuracy(ours) == pytest.approx(0.25, abs=0.04)


def test_the_same_classifier_sees_a_repeated_border() -> None:
    assert accuracy(about_the_wrong_centre) > 0.95
