"""Errors of paired differences and the chance of retrieval, against hand computation and drawing."""

import itertools

import numpy as np
import pytest
import torch

from fastrot.evaluation.paired import chance_of_hits, differences, paired_errors, shares


def test_pairs_by_hand() -> None:
    ours = torch.tensor([True, True, True, False])
    other = torch.tensor([True, False, False, True])
    # differences 0, 1, 1, -1: mean 1/4, squares about it 1/16 + 9/16 + 9/16 + 25/16 = 2.75; / 3 / 4
    (error,) = paired_errors([ours], [other])
    assert error == pytest.approx((2.75 / 3 / 4) ** 0.5)
    (found,) = differences(shares([ours]), shares([other]), [error], 4)
    assert found.mean == pytest.approx(25)
    assert (found.error, found.freedom) == (pytest.approx(100 * (2.75 / 12) ** 0.5), 3)


def test_networks_that_are_right_on_the_same_videos_differ_for_certain() -> None:
    """Independent errors would be 2 * 0.5 / 10 = 0.07."""
    right = torch.arange(100) % 2 == 0
    assert paired_errors([right], [right]) == [0.0]


def test_one_video_has_no_error() -> None:
    assert paired_errors([torch.tensor([True])], [torch.tensor([False])]) == [None]


@pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
def test_the_chance_of_retrieval_is_that_of_every_possible_draw(k: int) -> None:
    known, asked = [3, 1, 2], [2, 5, 1]
    gallery = np.repeat(np.arange(3), known)
    draws = list(itertools.combinations(gallery, min(k, 6)))
    hits = [np.mean([label in draw for draw in draws]) for label in range(3)]
    assert chance_of_hits(known, asked, k) == pytest.approx(np.average(hits, weights=asked))


def test_a_class_without_training_videos_is_never_hit() -> None:
    assert chance_of_hits([4, 0], [0, 3], 4) == 0
