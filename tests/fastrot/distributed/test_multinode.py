"""Two nodes of two processes each: as many agents of torchrun, which meet on the loopback device."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fastrot.config import Config, to_yaml
from fastrot.training.run import train
from tests.fastrot.distributed.test_ddp import assert_same_training, lines
from tests.processes import free_port

TinyConfig = Callable[..., Config]

# Each process notes the clips it is given, then trains as `fastrot pretrain` does.
RECORD = """
import os, sys
from pathlib import Path
from fastrot.config import load_config
from fastrot.training.run import train
from fastrot.training.trainer import Trainer

config, seen = load_config(sys.argv[1]), Path(sys.argv[2])
prepare = Trainer.advance

def advance(self, batches):
    def noted():
        for batch in batches:
            file = seen / f"step{self.step}-rank{os.environ.get('RANK', '0')}"
            with file.open("a") as out:
                out.write(" ".join(map(str, batch.samples)) + "\\n")
            yield batch
    prepare(self, noted())

Trainer.advance = advance
train(config, quiet=True)
"""


def run_nodes(*command: str, nodes: int, processes: int) -> None:
    """Start one agent a node and wait for all."""
    port = free_port()
    agent = [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--nnodes", str(nodes), "--nproc-per-node", str(processes)),
        *("--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "test"),
        *("--local-addr", "127.0.0.1"),
    ]
    agents = [
        subprocess.Popen(
            [*agent, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(nodes)
    ]
    try:
        said = [each.communicate(timeout=300)[0] for each in agents]
    finally:
        for each in agents:
            each.kill()
    assert [each.returncode for each in agents] == [0] * nodes, "\n".join(said)


def clips_of(folder: Path, step: int) -> list[int]:
    """Return the samples of a step, over its processes and micro-batches, in the order of the plan."""
    files = folder.glob(f"step{step}-rank*")
    return sorted(int(sample) for file in files for sample in file.read_text().split())


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="compares CPU processes")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="torchrun's rendezvous needs POSIX")
def test_two_nodes_of_two_equal_one_process_that_accumulates_four_micro_batches(
    tiny_config: TinyConfig, tmp_path: Path
) -> None:
    one = tiny_config(name="one", train={"accumulate": 4, "batch": 4, "iterations": 3})
    four = replace(one, name="four", train=replace(one.train, accumulate=1))
    script, file, seen = tmp_path / "record.py", tmp_path / "four.yaml", tmp_path / "seen"
    script.write_text(RECORD)
    file.write_text(to_yaml(four))
    seen.mkdir()
    train(one)
    run_nodes(str(script), str(file), str(seen), nodes=2, processes=2)

    # Every process gets a quarter of each step, and together they get what a single process gets.
    assert len(list(seen.glob("step0-rank*"))) == 4
    for step in range(3):
        assert clips_of(seen, step) == list(range(4 * step, 4 * step + 4))
    assert [line["step"] for line in lines(four)] == [1, 2, 3]
    assert_same_training(one, four, slots=4)
