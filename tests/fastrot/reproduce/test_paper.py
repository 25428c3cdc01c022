"""The paper's numbers against its own arithmetic: what does not add up is a known slip, and nothing else."""

import pytest

from fastrot.reproduce import paper
from fastrot.reproduce.paper import HMDB, UCF


def test_table_2s_gains_add_up_but_for_one_slip():
    for (row, column), gain in paper.TRANSFER_GAIN.items():
        true = paper.TRANSFER[row, column] - paper.TRANSFER["scratch", column]
        if (row, column) == ("MT", UCF):
            assert (gain, round(true, 1)) == (19.2, 20.3)
        else:
            assert gain == pytest.approx(true)
    assert "20.3" in paper.SLIPS["table2"]


def test_table_3s_losses_add_up():
    four = paper.ROTATION_SETS[0, 90, 180, 270]
    assert paper.ROTATION_SETS_LOSS[0, 90] == pytest.approx(paper.ROTATION_SETS[0, 90] - four)
    assert pytest.approx(paper.EIGHT_ROTATIONS - four) == paper.EIGHT_ROTATIONS_LOSS
    assert pytest.approx(paper.REGRESSION - four) == paper.REGRESSION_LOSS


def test_table_4s_gains_add_up():
    for (amount, column), gain in paper.AMOUNT_GAIN.items():
        assert gain == pytest.approx(paper.AMOUNT[amount, column] - paper.AMOUNT[0, column])


def test_table_5s_gains_add_up():
    for scratch, ours, gain in paper.SHOTS.values():
        assert gain == pytest.approx(ours - scratch, abs=0.05)  # 8.33 has a digit more


def test_what_stands_in_several_tables_is_the_same():
    for column in (UCF, HMDB):
        assert paper.TRANSFER["scratch", column] == paper.AMOUNT[0, column]
        assert paper.TRANSFER["Kinetics", column] == paper.AMOUNT[None, column]
        assert paper.TRANSFER["Kinetics", column] == paper.LENGTH[16, "rgb", column]
    assert paper.SHOTS[0] == (42.5, 62.9, 20.4)
    assert paper.ROTATION_SETS[0, 90, 180, 270] == paper.TRANSFER["Kinetics", UCF]


def test_table_7s_fusion_and_its_slip():
    for column in (UCF, HMDB):
        fused, dif = paper.OURS["fusion", column], paper.OURS["dif", column]
        assert paper.FUSION_GAIN[column] == pytest.approx(fused - dif)
    (cubic,) = [row for row in paper.OTHERS if "CubicPuzzle" in row.row]
    assert cubic.hmdb is not None
    assert paper.OURS["rgb", HMDB] - cubic.hmdb == pytest.approx(3.4)
    assert "3.4" in paper.SLIPS["table7"]
