import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch

from fastrot.config import Config
from fastrot.distributed.runtime import Runtime
from fastrot.rotation.op import rotate
from fastrot.rotation.sets import rotation_set
from fastrot.training import compiling
from tests.fastrot.training.steps import batch, losses

TinyConfig = Callable[..., Config]


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trace and differentiate ahead of time, as ever, but leave out inductor, which takes a minute."""
    monkeypatch.setattr(compiling, "BACKEND", "aot_eager")
    yield
    torch._dynamo.reset()


def compare(config: Config, runtime: Runtime) -> None:
    eager, before = losses(config, runtime)
    compiled, trainer = losses(replace(config, train=replace(config.train, compile=True)), runtime)
    assert compiled == pytest.approx(eager, rel=1e-4)
    state = trainer.state()["model"]
    assert state.keys() == before.state()["model"].keys()
    for name, value in before.state()["model"].items():
        torch.testing.assert_close(state[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "model", [{"shortcut": "A", "stem_channels": 4}, {"shortcut": "B", "freeze": 2}]
)
def test_compiled_training_equals_eager(
    tiny_config: TinyConfig, runtime: Runtime, traced: None, model: dict[str, object]
) -> None:
    compare(tiny_config(model=model), runtime)


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
def test_compiled_training_equals_eager_in_a_group(
    tiny_config: TinyConfig, runtime: Runtime, traced: None, group: None, accumulate: int
) -> None:
    # Claiming two processes wraps the network as for several; the group has one.
    compare(tiny_config(train={"accumulate": accumulate}), replace(runtime, world=2))


def test_the_rotation_op_is_one_node_of_the_graph(traced: None) -> None:
    graphs: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, inputs: object) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    def function(clips: torch.Tensor) -> torch.Tensor:
        turns = rotation_set([0, 90, 180, 270])
        return rotate(clips, turns, mean=(0, 0, 0), std=(1, 1, 1), dtype=torch.float32).relu()

    clips = batch().clips
    out = torch.compile(function, backend=keep, fullgraph=True)(clips)
    assert torch.equal(out, function(clips))
    calls = [str(node.target) for node in graphs[0].graph.nodes if node.op == "call_function"]
    assert len([name for name in calls if "fastrot.rotate" in name]) == 1


TRY = """
import torch
from fastrot.training.compiling import compiled
from pipelines.errors import UsageError
try:
    print(compiled(torch.nn.Linear(2, 2), torch.device("cpu"))(torch.zeros(1, 2)).shape)
except UsageError as error:
    print(error)
"""


@pytest.mark.slow
def test_without_a_compiler_it_says_what_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRY],
        env={**os.environ, "CXX": "no-such-compiler", "TORCHINDUCTOR_COMPILE_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "train.compile is true, but torch.compile does not work here" in done.stdout
    assert "C++ compiler (such as g++" in done.stdout
    assert len(done.stdout.splitlines()) == 1
