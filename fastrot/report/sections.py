"""The sections of the page: a training run, or a folder written by ``fastrot reproduce``."""

import json
from pathlib import Path
from typing import Any

from fastrot.report.grid import Grid, environment_grid
from fastrot.report.markup import code, details, element, png, text
from fastrot.report.svg import Curve, chart
from fastrot.runs.run_state import read_state
from pipelines.errors import FastrotError, UsageError

INDEX = "results.json"
METRICS = "metrics.jsonl"


def section(path: Path) -> tuple[str, str]:
    """Return the title and the HTML of the section about one folder.

    Raises:
        UsageError: It is neither a run nor a folder of reproduced tables.
        FastrotError: One of its files is damaged.
    """
    name = path.resolve().name  # also for "." and paths that end in a slash
    if (path / METRICS).exists():
        return name, run_section(path)
    if (path / INDEX).exists() and "tables" in _read_json(path / INDEX):
        return name, reproduced_section(path)
    raise UsageError(
        f"{path} is neither a run (it contains no {METRICS}) nor a folder of `fastrot reproduce`"
    )


def reproduced_section(path: Path) -> str:
    """Return the tables, the figures, the environment, and the curves of every run."""
    index = _read_json(path / INDEX)
    tables = [_read_json(path / "tables" / f"{key}.json") for key in index["tables"]]
    shared = (table[key] for table in tables for key in ("about", "legend"))
    parts = [element("p", text(line)) for line in dict.fromkeys(shared)]
    for table in tables:
        grid = Grid(*(table[key] for key in ("title", "header", "rows", "notes")))
        parts.append(grid.to_html())
    pictures = [
        png(_read_bytes(path / "figures" / f"{name}.png"), caption)
        for name, caption in index["figures"].items()
    ]
    if pictures:
        parts += [element("h3", "Figures"), element("div", "".join(pictures), _class="pictures")]
    parts.append(environment_grid(index.get("environment", {})).to_html())
    runs = sorted(folder.parent for folder in (path / "runs").glob(f"*/{METRICS}"))
    if runs:
        curves = [details(run.name, curves_of(run)) for run in runs]
        parts.append(details(f"Curves of {len(runs)} training runs", "".join(curves)))
    return "".join(parts)


def run_section(path: Path) -> str:
    """Return the curves, evaluations, first-layer kernels, environment and config of a run."""
    parts = [_state(path), curves_of(path), _evaluations(path), _kernels(path)]
    if (path / "env.json").exists():
        parts.append(environment_grid(_read_json(path / "env.json")).to_html())
    if (path / "config.yaml").exists():
        parts.append(details("Config", code(_read_bytes(path / "config.yaml").decode())))
    return "".join(parts)


def curves_of(path: Path) -> str:
    """Return the charts of the metrics of a run."""
    lines = _read_metrics(path / METRICS)

    def points(key: str, factor: float = 1.0) -> list[tuple[float, float]]:
        found = []
        for line in lines:
            value = line.get(key)
            if isinstance(value, int | float) and isinstance(line.get("step"), int):
                found.append((float(line["step"]), factor * value))
        return found

    charts = [
        chart("loss", "", [Curve("training", points("loss"))]),
        chart(
            "accuracy",
            "%",
            [
                Curve("training", points("accuracy", 100)),
                Curve("evaluation", points("eval_accuracy", 100)),
                Curve("training, speed", points("speed_accuracy", 100)),
            ],
        ),
        chart("learning rate", "", [Curve("lr", points("lr"))]),
        chart("throughput", "clips/s", [Curve("clips/s", points("clips_per_s"))]),
    ]
    drawn = "".join(each for each in charts if each)
    return element("div", drawn, _class="charts") if drawn else element("p", "No metrics yet.")


def _state(path: Path) -> str:
    state = read_state(path)
    if state is None:
        return ""
    line = f"State: {state['state']}, last checkpoint at step {state.get('step')}"
    if state.get("reason"):
        line += f" ({state['reason']})"
    return element("p", text(f"{line}; {state.get('time')} on {state.get('host')}."))


def _evaluations(path: Path) -> str:
    rows = []
    for file in sorted(path.glob(f"evaluation/*/{INDEX}")):
        values = _read_json(file)
        numbers = [
            f"{key} {100 * value:.2f} %"
            for key, value in values.items()
            if isinstance(value, float) and 0 <= value <= 1
        ]
        rows.append((file.parent.name, "; ".join(numbers)))
    return Grid("Evaluations", ("evaluation", "result"), rows).to_html() if rows else ""


def _kernels(path: Path) -> str:
    last = path / "checkpoints" / "last.pt"
    if not last.exists():
        return ""
    from fastrot.analysis.kernels import kernel_sheet
    from fastrot.analysis.picture import encode_png
    from fastrot.runs.checkpoint import load_checkpoint

    weight = load_checkpoint(last)["model"]["conv1.weight"]
    picture = png(
        encode_png(kernel_sheet(weight)),
        "Kernels of the first convolution; each is a strip of its slices in time.",
        pixels=True,
    )
    return element("h3", "First layer") + picture


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FastrotError(f"{path} cannot be read: {error}") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(_read_bytes(path))
    except ValueError as error:
        raise FastrotError(f"{path} is damaged: {error}") from None
    if not isinstance(values, dict):
        raise FastrotError(f"{path} is damaged: expected a JSON object")
    return values


def _read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file that may still be written; an incomplete last line is ignored."""
    lines = []
    for line in _read_bytes(path).splitlines(keepends=True):
        if line.endswith(b"\n"):
            try:
                lines.append(json.loads(line))
            except ValueError as error:
                raise FastrotError(f"{path} is damaged: {error}") from None
    return lines
