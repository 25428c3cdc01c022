"""The table of what each codec costs, from the figures of ``codec_costs``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastrot.report.grid import Grid

FIGURES = Path(__file__).parents[1] / "results" / "codecs.json"


def load_costs(path: Path = FIGURES) -> dict[str, Any]:
    """Return the figures that ``codec_costs`` wrote."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def default_costs(found: Mapping[str, Any], codec: str) -> Mapping[str, Any]:
    """Return the costs of a codec at its default quality."""
    return next(row for row in found["costs"] if row["codec"] == codec and row["default"])


def costs_grid(found: Mapping[str, Any]) -> Grid:
    """Return the table; what does not exist or was not measured is "-"."""
    header = [
        "store",
        "kB per frame",
        "PSNR, dB",
        "CPU ms per clip",
        "kB read per clip",
        "clips/s, warm cache",
        "cold",
        "format 2: kB read per clip",
        "clips/s, cold",
    ]
    rows = [
        [
            row["codec"] if row["quality"] is None else f"{row['codec']} {row['quality']}",
            f"{row['kb_per_frame']:.2f}",
            _cell(row, "psnr", ".1f"),
            f"{row['cpu_ms']:.2f}",
            f"{row['read_kb']:,.1f}",
            _cell(row, "warm", ",.0f"),
            _cell(row, "cold", ",.0f"),
            _cell(row, "whole_kb", ",.1f"),
            _cell(row, "whole_cold", ",.0f"),
        ]
        for row in found["costs"]
    ]
    return Grid("Codecs", header, rows)


def _cell(row: Mapping[str, Any], name: str, form: str) -> str:
    return format(row[name], form) if name in row else "-"
