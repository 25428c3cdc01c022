"""The parts write the figures that they promise, with the smallest sizes on a CPU."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.acceptance.measures import VARIANTS
from benchmarks.acceptance.parts import PARTS
from benchmarks.acceptance.rows import ROWS, parts_of, read_rows
from benchmarks.training.train_cases import QUICK, compiled_case, variant_cases
from fastrot.distributed.runtime import Runtime
from tests.benchmarks.acceptance.bare import bare_environment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]

LATE = ("variants", "tests", "compiled")

RUN = """
import sys, time
from importlib import import_module
from pathlib import Path
sys.path.insert(0, {root!r})
from benchmarks.acceptance.parts import PARTS
from benchmarks.acceptance.rows import Turn
for part in PARTS:
    if part.name in {names!r}:
        module, _, function = part.function.partition(".")
        turn = Turn(Path({rows!r}), part.name, time.time() + 6, quick=True)
        getattr(import_module("benchmarks.acceptance." + module), function)(turn)
"""


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Run the measuring parts of the first stage in one process of a bare machine."""
    folder = tmp_path_factory.mktemp("bare")
    names = [part.name for part in PARTS if part.stage < 2 and part.name not in LATE]
    code = RUN.format(root=str(ROOT), names=names, rows=str(folder / ROWS))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=bare_environment(folder),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = parts_of(read_rows(folder / ROWS))
    assert list(found) == names
    return found


def measured(part):
    return {name: case["figures"] for name, case in part["cases"].items() if case["figures"]}


def test_the_machine_is_described(parts):
    (machine,) = parts["machine"]["environments"].values()
    assert machine["environment"]["packages"]["torch"]
    assert machine["environment"]["command"] == ["python", "-m", "benchmarks.acceptance"]


def test_the_profile_lists_what_takes_most_time(parts):
    figures = measured(parts["profile"])
    step = figures.pop("step")
    own = [one["own_ms_per_step"]["median"] for one in figures.values()]
    assert own == sorted(own, reverse=True)
    assert 0 < sum(own) <= step["ms_in_kernels"]["median"] * 1.0001
    assert step["ms_in_kernels"]["median"] <= step["ms_per_step"]["median"]
    assert any("convolution" in name for name in figures)
    shares = [one["share"]["median"] for one in figures.values()]
    assert 0.5 < sum(shares) <= 1.0001


def test_the_limits_are_measured(parts):
    figures = measured(parts["limits"])
    assert figures["copy"]["gb_per_s"]["median"] > 0
    assert figures["matmul"]["tflop_per_s"]["median"] > 0


def test_the_op_is_next_to_eager_torch(parts):
    figures = measured(parts["rotation"])
    assert {"fused", "rot90 + cat + normalise", "the same, channels first"} <= figures.keys()
    assert not {"fused, int16", "compiled"} & parts["rotation"]["cases"].keys()


def test_the_step_is_next_to_a_contiguous_and_a_plain_one(parts):
    assert {"fastrot", "contiguous", "plain PyTorch"} <= measured(parts["step"]).keys()
    assert "stem of 4 channels" not in parts["step"]["cases"]


def test_the_variants_that_are_asked_for_exist_on_a_gpu():
    gpu = Runtime(torch.device("cuda", 0), rank=0, world=1, threads=1, precision="bf16")
    cases = [*variant_cases(QUICK, gpu), compiled_case(QUICK, gpu)]
    assert {case.name for case in cases} == {*VARIANTS, "contiguous", "compiled"}


def test_the_stems_forms_for_a_gpu_are_next_to_the_plain_ones(parts):
    figures = measured(parts["candidates"])
    assert set(figures) == {"stem on pairs of columns", "first block with both"}
    for each in figures.values():
        one = {figure: spread["median"] for figure, spread in each.items()}
        assert one["relative_difference"] < 1e-4
        assert one["plain_ms"] > 0
        assert one["ours_ms"] > 0
    tail = parts["candidates"]["cases"]["stem's tail in one kernel"]
    assert tail["not_here"] == "the op needs a GPU and Triton"
