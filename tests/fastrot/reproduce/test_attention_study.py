"""What the notes say of the correlations of attention maps."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

from fastrot.analysis.correlations import CUES
from fastrot.reproduce.attention_study import OURS, SUPERVISED, UNTRAINED, Study


@pytest.mark.parametrize("still", [0, 1])
def test_videos_without_a_correlation_are_counted(still):
    found = np.array([[0.2, 0.3], [0.4, 0.5], [0.6, 0.7]])
    found[:still] = np.nan
    names = OURS, SUPERVISED, UNTRAINED, CUES["dif"]
    network = SimpleNamespace(config=SimpleNamespace(data=SimpleNamespace(modality="dif")))
    study = Study(
        dict.fromkeys(names[:3], network),
        None,
        "test1",
        3,
        np.arange(3),
        dict.fromkeys(combinations(names, 2), found),
    )
    assert f"{OURS} with {UNTRAINED} {0.5 if still else 0.4:.3f} ±" in study.notes[0]
    left_out = [note for note in study.notes if "constant" in note]
    assert [note.split()[1] for note in left_out] == ["1"] * still
