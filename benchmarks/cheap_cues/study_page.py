"""The results of the cheap-cues study as Markdown tables, and the page that contains them."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cheap_cues.study_figure import draw
from benchmarks.cheap_cues.study_plan import (
    CLEAN,
    CONDITIONS,
    CROSS,
    OTHERS,
    TRAP,
    Condition,
    plan,
)
from benchmarks.cheap_cues.study_results import STARTS, accuracies, leads, pretrainings
from fastrot.evaluation.intervals import mean_of
from fastrot.report.grid import Grid
from fastrot.runs.training_accuracy import CONVERGED
from fastrot.synthetic.actions import ACTIONS
from pipelines.errors import FastrotError
from pipelines.files import write_file

BEGIN, END = "<!-- results -->", "<!-- /results -->"

CAPTION = (
    "Above: action accuracy after fine-tuning on clean videos and in the trap, by pre-training. Below: lead "
    "of linear probes over a random network's on clean videos, by block. Bars are 95 % intervals"
)


def label(start: str) -> str:
    """Return the words for a condition's name, or for another start of a transfer."""
    return {
        "scratch": "nothing (scratch)",
        "supervised": "nothing, all labels (bound)",
        CLEAN.name: "clean (static, plain)",
        TRAP.name: "trap (moving, horizon)",
        "moving-horizon-removed": "trap, camera motion removed",
        "static-horizon": "static, horizon",
        "moving-plain": "moving, plain",
    }[start]


def paired(one: Mapping[int, float], other: Mapping[int, float]) -> list[float]:
    """Return the differences of the seeds that both have."""
    return [value - other[seed] for seed, value in one.items() if seed in other]


def stated(values: Sequence[float], sign: str = "") -> str:
    """Return "mean ± half-width of the 95 % interval", only the mean of one value, or "" without values."""
    return mean_of(values).text(sign=sign) if values else ""


def tables(results: Mapping[str, Any]) -> str:
    """Return everything that the page prints of the results: tables with notes, in Markdown."""
    grids = [cross(results), singles(results), untuned(results)]
    return "\n".join(grid.to_markdown("##") for grid in grids if grid.rows)


def cross(results: Mapping[str, Any]) -> Grid:
    """Return the action accuracies of the cross, with gains over scratch."""
    rows = [_transfer(results, start, CROSS) for start in STARTS]
    rows = [row for row in rows if any(row[1:])]
    clean_less_trap = []
    for condition in CROSS:
        pair = [accuracies(results, start.name, condition.name) for start in CROSS]
        clean_less_trap += [stated(paired(*pair), "+"), "", ""]
    if any(clean_less_trap):
        rows.append(["clean minus trap", *clean_less_trap])
    header = ["pre-trained on"]
    for name in ("clean", "trap"):
        header += [f"fine-tuned on {name}", "gain", "training"]
    return Grid("The cross", header, rows, _cross_notes(results))


def _transfer(results: Mapping[str, Any], start: str, conditions: Iterable[Condition]) -> list[str]:
    row = [label(start)]
    for condition in conditions:
        found = accuracies(results, start, condition.name)
        none = accuracies(results, "scratch", condition.name)
        gain = "" if start == "scratch" else stated(paired(found, none), "+")
        train = accuracies(results, start, condition.name, "train_accuracy")
        row += [stated(list(found.values())), gain, stated(list(train.values()))]
    return row


def _cross_notes(results: Mapping[str, Any]) -> list[str]:
    shots = [each for each in results["trainings"].values() if each.get("shots")]
    if not shots:
        return []
    one = shots[0]
    cells = [accuracies(results, start, at.name) for start in STARTS for at in CROSS]
    seeds = {len(cell) for cell in cells if cell}
    return [
        f"Action top-1 per video in % (chance {100 / len(ACTIONS):.1f}) on {one['videos']} videos of unseen "
        f"subjects and scenes, {one['clips_per_video']} clips each, after fine-tuning on {one['shots']} "
        f"videos per class for {one['steps']} steps. Training: accuracy on the training clips of the last "
        "logged steps.",
        f"Mean ± half-width of the 95 % t interval over {_either(seeds)} seeds. Each seed has its own "
        "pre-training, few-shot subset and initial weights. Gains and differences are of pairs with the "
        "same seed. The interval does not cover the choice of test videos.",
        "The bound trains the same network from random weights on all labelled training videos of the "
        "condition, with the same config.",
        _short_of_the_end(results),
    ]


def _short_of_the_end(results: Mapping[str, Any]) -> str:
    """Return how many fine-tunings, over all conditions, are not converged."""
    reached = [each["train_accuracy"] for each in results["trainings"].values() if "top1" in each]
    short = [value for value in reached if value < CONVERGED]
    if not short:
        return f"All {len(reached)} fine-tunings end with a training accuracy of at least {CONVERGED:.0f} %."
    return (
        f"{len(short)} of {len(reached)} fine-tunings, those of the other conditions included, end below "
        f"{CONVERGED:.0f} % training accuracy, the lowest at {min(short):.1f}: they are not converged."
    )


def singles(results: Mapping[str, Any]) -> Grid:
    """Return the action accuracies of the other conditions."""
    rows = []
    for condition in OTHERS:
        found = accuracies(results, condition.name, condition.name)
        none = accuracies(results, "scratch", condition.name)
        if found and none:
            gain = stated(paired(found, none), "+")
            cells = (stated(list(none.values())), stated(list(found.values())), gain)
            rows.append([label(condition.name), *cells])
    notes = [
        "As in the cross, but pre-trained and fine-tuned under the same condition, from one "
        "pre-training. The interval therefore ignores the luck of the pre-training."
    ]
    header = ["condition", "scratch", "pre-trained", "gain"]
    return Grid("Other conditions", header, rows, notes)


def untuned(results: Mapping[str, Any]) -> Grid:
    """Return the rotation accuracies and the probes of the pre-trained networks."""
    rows, probed, count = [], set(), set()
    for condition in CONDITIONS:
        for tested in CROSS if condition in CROSS else (condition,):
            found = pretrainings(results, condition, tested)
            if not found:
                continue
            probed |= {each["probe_videos"] for each in found}
            count |= {each["videos"] for each in found}
            rows.append(
                [
                    label(condition.name),
                    label(tested.name),
                    str(len(found)),
                    stated([each["rotation"] for each in found]),
                    *(_probed(found, block) for block in found[0]["blocks"][1:]),
                ]
            )
    header = ["pre-trained on", "tested on", "networks", "rotation"]
    header += [f"probe {block}" for block in ("layer1", "layer2", "layer3", "layer4")]
    notes = [
        f"Before fine-tuning, in %, on {_either(count)} test videos: rotation accuracy of one clip (chance "
        f"25), and action top-1 of linear probes fitted on {_either(probed)} labelled videos, with the lead "
        "over a random network in brackets. ± as above, over the pre-trainings."
    ]
    return Grid("Before fine-tuning", header, rows, notes)


def _probed(found: Sequence[Mapping[str, Any]], block: str) -> str:
    """Return the mean top-1 of a block's probes and their lead: "41.0 (+2.5 ± 1.0)"."""
    at = found[0]["blocks"].index(block)
    ours = [each["probe"][at] for each in found]
    ahead = [leads(each)[at] for each in found]
    return f"{statistics.fmean(ours):.1f} ({stated(ahead, '+')})"


def _either(numbers: Iterable[int]) -> str:
    return " or ".join(map(str, sorted(numbers)))


def contents(results: Mapping[str, Any], figure: str) -> str:
    """Return what stands between the page's marks: ``figure``, a file name, and the tables."""
    if not results["trainings"]:
        return "Nothing has been measured yet.\n"
    measured, planned = len(results["trainings"]), len(list(plan(results["settings"]["seeds"])))
    so_far = "" if measured == planned else f"{measured} of {planned} trainings are measured.\n\n"
    return f"{so_far}![{CAPTION}]({figure})\n\n{tables(results)}"


def write_page(results: Mapping[str, Any], page: Path) -> None:
    """Put the results between the page's marks, and write the figure and the JSON next to it.

    Raises:
        FastrotError: The page has no marks, a file cannot be read or written, or Matplotlib is missing.
    """
    try:
        text = page.read_text()
    except OSError as error:
        raise FastrotError(f"{page} cannot be read: {error}") from None
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise FastrotError(f"{page} has no place for the results: add the lines {BEGIN} and {END}")
    figure = page.with_suffix(".png")
    if results["trainings"]:
        draw(results, figure)
    write_file(page.with_suffix(".json"), json.dumps(results, indent=1) + "\n")
    write_file(page, f"{before}{BEGIN}\n\n{contents(results, figure.name)}\n{END}{after}")
