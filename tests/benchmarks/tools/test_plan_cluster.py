import re
from pathlib import Path

import pytest

from benchmarks.tools import plan_cluster
from benchmarks.tools.plan_cluster import KINETICS, MEASURED, MILLION_HOURS, Node, nodes_for, plan
from fastrot.models.network import pretext_network

PAGE = Path(plan_cluster.__file__).parents[2] / "docs" / "scaling.md"
MEASUREMENTS = PAGE.with_name("measurements.md")


@pytest.mark.parametrize(
    "make", [plan_cluster.rates_table, plan_cluster.hours_table, plan_cluster.nodes_table]
)
def test_the_page_shows_the_tables(make):
    assert make(Node()).to_markdown() in PAGE.read_text()


def test_the_parameters_are_the_networks():
    weights = sum(weight.numel() for weight in pretext_network(4).parameters())
    assert weights == plan_cluster.PARAMETERS


def test_a_node_that_the_gpus_bound():
    found = plan(KINETICS, "mjpeg", 1, Node())
    # 8 GPUs x 102 TFLOP/s over 4 rotations x 43.17 GFLOP.
    assert found.limits["GPUs"] == pytest.approx(8 * 102e12 / (4 * 43.1676e9), rel=1e-4)
    # The page's table: 112 cores, each of which takes the CPU time of a clip; kB read per clip.
    (row,) = re.findall(r"^\| mjpeg 2 \|(.*)\|$", MEASUREMENTS.read_text(), re.MULTILINE)
    _, _, cpu_ms, read_kb, *_ = (float(cell) for cell in row.split("|")[:4])
    assert found.limits["decode"] == pytest.approx(112 * 1e3 / cpu_ms, rel=2e-3)
    assert found.limits["disk"] == pytest.approx(25e9 / (1e3 * read_kb), rel=1e-3)
    assert "network" not in found.limits
    assert found.first == "GPUs"
    assert found.hours == pytest.approx(104_000 * 32 / 4_725.8 / 3600, rel=1e-3)
    assert found.prepare_hours == pytest.approx(480_000 * 300 / (660 * 112) / 3600)
    # The paper's 104,000 x 128 clips are 94 minutes of one GPU at this rate.
    one = plan(KINETICS, "raw", 1, Node(gpus=1))
    assert one.hours * 60 == pytest.approx(93.9, abs=0.1)


def test_each_resource_becomes_the_first_when_it_is_scarce():
    assert plan(KINETICS, "vp9", 1, Node(cores=20)).first == "decode"
    assert plan(KINETICS, "raw", 1, Node(disk=1e9)).first == "disk"
    assert plan(KINETICS, "raw", 2, Node(network=1e9)).first == "network"


def test_two_nodes_send_every_gradient_once():
    found = plan(KINETICS, "mjpeg", 2, Node(gpus=8, network=10e9))
    # 2 (n - 1) / n = 1 for two nodes; one exchange serves the 2 x 8 x 32 videos of a step.
    seconds = 4 * plan_cluster.PARAMETERS / 10e9
    assert found.limits["network"] == pytest.approx(2 * 8 * 32 / seconds)


def test_a_store_too_large_for_the_disks_is_read_from_the_shared_file_system():
    node = Node(disk=100e9, shared=1e9)
    small, large = plan(KINETICS, "raw", 1, node), plan(MILLION_HOURS, "raw", 1, node)
    assert small.local
    assert not large.local
    assert small.limits["disk"] == pytest.approx(100 * large.limits["disk"])
    assert large.store_bytes == pytest.approx(360e6 * 160 * MEASURED["raw"].frame_bytes)


def test_nodes_for_a_deadline_are_the_fewest():
    def hours(nodes):
        found = plan(MILLION_HOURS, "mjpeg", nodes, Node())
        return found.hours + found.prepare_hours

    nodes = nodes_for(MILLION_HOURS, "mjpeg", Node(), hours=24)
    assert hours(nodes) <= 24 < hours(nodes - 1)
    with pytest.raises(ValueError, match="cannot be prepared and trained"):
        nodes_for(MILLION_HOURS, "mjpeg", Node(), hours=1e-6)
