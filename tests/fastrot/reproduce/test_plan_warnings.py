"""Warnings about a plan: too few videos, and too few clips for BatchNorm."""

import pytest

from fastrot.reproduce.plan_warnings import small_batches, too_few_videos
from fastrot.reproduce.presets import Changes
from fastrot.reproduce.run_plan import make_plan
from fastrot.reproduce.settings import paper_setting
from fastrot.reproduce.tables import BUILDERS


def test_rows_of_table_4_that_a_smaller_store_cannot_run_are_named(make_store, tmp_path):
    store = make_store()  # a few videos
    setting = paper_setting(tmp_path, {"kinetics": str(store.path)}, None, Changes())
    plan = make_plan([BUILDERS["table4"](setting.preset)])
    lines = too_few_videos(plan, setting)
    assert [line.partition(" ")[0] for line in lines] == [
        f"kinetics-rgb-16-{videos}-videos" for videos in (100_000, 200_000, 400_000)
    ]
    assert f"needs 400,000 videos, and the split all of {store.path} has {len(store)}" in lines[2]
    assert "Kinetics-600" in lines[2]


def test_nothing_is_said_of_a_store_of_unknown_size(paper_preset):
    plan = make_plan([BUILDERS["table4"](paper_preset.preset)])
    assert too_few_videos(plan, paper_preset) == []


def batches(preset, processes):
    return small_batches(make_plan([BUILDERS["table2"](preset)]), processes)


@pytest.mark.parametrize(("processes", "clips"), [(4, 8), (8, 4), (16, 2)])
def test_few_clips_for_batchnorm_are_named_with_the_way_out(paper_preset, processes, clips):
    # fine-tuning has 32 clips per step, pre-training 32 videos in 4 rotations: 128
    (line,) = batches(paper_preset.preset, processes)
    assert f"with {clips}: add train.sync_bn=true" in line
    assert line.startswith("6 runs" if processes <= 8 else "8 runs")


def test_enough_clips_or_synchronised_ones_are_no_warning(paper_preset, tmp_path):
    assert batches(paper_preset.preset, 0) == []
    assert batches(paper_preset.preset, 2) == []
    synced = paper_setting(tmp_path, {}, None, Changes((), ("train.sync_bn=true",))).preset
    assert batches(synced, 8) == []
    assert len(batches(synced, 16)) == 1  # pre-training: 8 clips
