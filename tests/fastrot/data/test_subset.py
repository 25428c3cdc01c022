"""Training on a part of a split (Table 4)."""

import pytest

from fastrot.data.training_data import training_data
from pipelines.errors import UsageError


def test_a_part_of_the_videos_is_another_training_set(tiny_config):
    whole = training_data(tiny_config())
    part = training_data(tiny_config(data={"videos": 2}))
    assert (whole.videos, part.videos) == (4, 2)
    assert whole.digest != part.digest
    assert part.digest == training_data(tiny_config(data={"videos": 2})).digest


def test_shots_and_videos_exclude_each_other(tiny_config):
    with pytest.raises(UsageError, match="exclude each other"):
        tiny_config(data={"videos": 2, "shots": 1})
