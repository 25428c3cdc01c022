"""The file of an evaluation's numbers: what was measured, of what, how, and where."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.fusion import FusionResult
from fastrot.evaluation.protocol import Result
from fastrot.runs.environment import environment
from pipelines.files import write_file


def write_results(
    out: Path,
    measure: str,
    of: Mapping[str, Any],
    result: Result | FusionResult,
    runtime: Runtime,
) -> None:
    """Write ``results.json`` into the folder ``out``, made if absent.

    Args:
        out: the folder.
        measure: the kind of evaluation.
        of: what was evaluated and with which settings, plain values.
        result: the evaluation's result, its protocol included.
        runtime: where it was measured.

    Raises:
        FastrotError: it cannot be written.
    """
    values = {
        "measure": measure,
        **of,
        **asdict(result),
        "environment": environment(runtime),
    }
    write_file(out / "results.json", json.dumps(values, indent=1) + "\n")
