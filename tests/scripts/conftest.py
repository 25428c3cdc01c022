"""Running the Slurm scripts here: stand-ins take the places of Slurm's commands."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SETTINGS = [
    "SOURCE",
    "STORE",
    "PARTS",
    "COMMAND",
    "STAGE",
    "REQUEUE",
    "TARGET",
    "PRESET",
    "SRUN_OPTIONS",
]
"""What the scripts read from the environment."""

RunScript = Callable[..., "subprocess.CompletedProcess[str]"]

STANDINS = {
    # Options of srun's own come first, then the command.
    "srun": 'echo "srun $*" >> "$CALLS"; while [[ "$1" == --* ]]; do shift; done; exec "$@"',
    "scontrol": 'if [[ "$1" == show ]]; then echo localhost; else echo "scontrol $*" >> "$CALLS"; fi',
    "python": 'exec "$PYTHON" "$@"',
    "fastrot": 'exec "$PYTHON" -m fastrot "$@"',
    "torchrun": 'exec "$PYTHON" -m torch.distributed.run "$@"',
}


@pytest.fixture
def slurm(tmp_path: Path) -> RunScript:
    """Return a function that runs a script as Slurm would, in ``tmp_path``.

    Its keywords are variables of the environment, and ``standins``, which replace the usual ones. What
    the script asks of srun and scontrol is written to the file ``calls``.
    """
    programs = tmp_path / "bin"
    programs.mkdir()

    def run(
        script: str, *arguments: object, standins: dict[str, str] | None = None, **variables: object
    ) -> "subprocess.CompletedProcess[str]":
        for name, body in {**STANDINS, **(standins or {})}.items():
            path = programs / name
            path.write_text(f"#!/usr/bin/env bash\n{body}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        environment = {
            **{
                key: value
                for key, value in os.environ.items()
                if key not in SETTINGS and not key.startswith("SLURM_")
            },
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "CALLS": str(tmp_path / "calls"),
            "SLURM_JOB_ID": "123456",
            "SLURM_JOB_NODELIST": "node1",
            "SLURM_JOB_NUM_NODES": "1",
            "SLURM_CPUS_PER_TASK": "16",
            **{key: str(value) for key, value in variables.items()},
        }
        return subprocess.run(
            ["bash", str(ROOT / "scripts" / "slurm" / script), *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
