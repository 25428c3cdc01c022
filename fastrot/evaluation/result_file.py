"""The file of evaluation results, with the settings, the protocol and the environment."""

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
) -> dict[str, Any]:
    """Write ``results.json`` into the folder ``out``, which is created if missing, and return its values.

    Args:
        out: The folder.
        measure: The kind of evaluation.
        of: What was evaluated and with which settings, as plain values.
        result: The result of the evaluation, including its protocol.
        runtime: The processes and their device.

    Raises:
        FastrotError: The file cannot be written.
    """
    values = {
        "measure": measure,
        **of,
        **asdict(result),
        "environment": environment(runtime),
    }
    write_file(out / "results.json", json.dumps(values, indent=1) + "\n")
    return values
