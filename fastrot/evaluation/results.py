"""The file of an evaluation's numbers: what was measured, of what, how, and where."""

import json
from dataclasses import asdict
from pathlib import Path

from fastrot.evaluation.action import ActionResult
from fastrot.evaluation.rotation import RotationResult
from fastrot.runs import environment
from fastrot.runtime import Runtime
from pipelines.errors import FastrotError


def write_results(
    out: Path,
    measure: str,
    checkpoint: Path,
    result: RotationResult | ActionResult,
    runtime: Runtime,
) -> Path:
    """Write ``results.json`` into the folder ``out``, made if absent, and return its path.

    Raises:
        FastrotError: it cannot be written.
    """
    values = {
        "measure": measure,
        "checkpoint": str(checkpoint),
        **asdict(result),
        "environment": environment(runtime),
    }
    path = out / "results.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, indent=1) + "\n")
    except OSError as error:
        raise FastrotError(f"{path} cannot be written: {error}") from None
    return path
