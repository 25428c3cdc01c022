"""The results of the spectrum benchmark as Markdown tables and a figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastrot.report.grid import Grid
from fastrot.runs.plots import new_figure, write_figure

ORDER = "second difference"
"""The order of the differences that are shown: it shows the finest detail."""

_COLOURS = {"Y": "tab:gray", "Cb": "tab:blue", "Cr": "tab:red"}
_SCRAMBLES = {"intact": "none", "phase": "phases random"}


def ledger_table(results: Mapping[str, Any]) -> str:
    """Return the log ratios of each store as a Markdown table."""
    header = ["store", "videos", *(f"{channel}, log ratio | axis" for channel in _COLOURS)]
    header = [part for name in header for part in name.split(" | ")]
    rows = []
    for name, ledger in results["ledger"].items():
        row = [name, str(ledger["videos"])]
        for axis in ledger["axes"]:
            if axis["order"] == ORDER:
                row += [
                    f"{axis['mean']:+.3f} ± {axis['interval']:.3f}",
                    f"{100 * axis['told']:.0f} %",
                ]
        rows.append(row)
    note = (
        f"Natural logarithm of horizontal to vertical energy of the {ORDER}s: mean over videos ± half of "
        "the 95 % interval. Axis: the share of videos whose axis a threshold at 0 reveals (chance 50 %)."
    )
    return Grid("Ledger", header, rows, [note]).to_markdown()


def rotation_table(results: Mapping[str, Any]) -> str:
    """Return the accuracies on scrambled clips as a Markdown table."""
    rows = [
        [
            _scramble(name),
            f"{found['accuracy']:.1f} ± {found['half_width']:.1f}",
            f"{found['axis']:.1f} ± {found['axis_half_width']:.1f}",
        ]
        for name, found in results["rotation"].items()
    ]
    intact = results["rotation"]["intact"]
    protocol = intact["protocol"]
    note = (
        f"In %, ± half of the 95 % interval over {intact['videos']} videos; {protocol['frames']} "
        f"{protocol['modality'].upper()} frames at stride {protocol['stride']}, crop {protocol['crop']} of "
        f"{protocol['size']}, one centre clip per video. Chance: 25 for the rotation, 50 for the axis."
    )
    return Grid("Scrambles", ["scramble", "rotation", "axis"], rows, [note]).to_markdown()


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Draw the log ratios of each store, and the accuracies on scrambled clips.

    Raises:
        FastrotError: Matplotlib is not installed, or the file cannot be written.
    """
    figure = new_figure(11, 4.8)
    cues, rotations = figure.subplots(1, 2, width_ratios=(3, 2))
    names = list(results["ledger"])
    for at, (channel, colour) in enumerate(_COLOURS.items()):
        axes = [
            axis
            for name in names
            for axis in results["ledger"][name]["axes"]
            if (axis["channel"], axis["order"]) == (channel, ORDER)
        ]
        cues.errorbar(
            [axis["mean"] for axis in axes],
            [row + 0.2 * (at - 1) for row in range(len(axes))],
            xerr=[axis["interval"] for axis in axes],
            color=colour,
            label=channel,
            marker="o",
            linestyle="none",
            capsize=2,
        )
    cues.set_yticks(range(len(names)), names)
    cues.invert_yaxis()
    # The intervals of three videos are wider than all that is to be compared.
    cues.set_xlim(-1.2, 1.2)
    cues.axvline(0, color="grey", linewidth=0.8)
    cues.set_xlabel(f"log ratio of horizontal to vertical energy, {ORDER}s")
    cues.legend(fontsize="small")
    cues.set_title("detail by axis, without training", fontsize="medium")

    found = results["rotation"]
    labels = [_scramble(name) for name in found]
    for label, key, error, marker in (
        ("rotation", "accuracy", "half_width", "o"),
        ("axis", "axis", "axis_half_width", "s"),
    ):
        rotations.errorbar(
            range(len(found)),
            [each[key] for each in found.values()],
            yerr=[each[error] for each in found.values()],
            label=label,
            marker=marker,
            fillstyle="none" if key == "axis" else "full",
            linestyle="none",
            capsize=3,
        )
    for level, text in ((25, "chance of the rotation"), (50, "chance of the axis")):
        rotations.axhline(level, color="grey", linewidth=0.8, linestyle=":")
        rotations.annotate(
            text, (len(found) - 1, level), ha="right", va="bottom", fontsize="x-small"
        )
    rotations.set_xticks(range(len(found)), labels, rotation=30, ha="right")
    rotations.set_ylim(0, 100)
    rotations.set_ylabel("accuracy on scrambled clips, %")
    rotations.set_title("a network on generated videos", fontsize="medium")
    rotations.legend(fontsize="small")
    write_figure(figure, path)


def _scramble(name: str) -> str:
    return _SCRAMBLES.get(name) or f"blurred by {name.partition(':')[2]} px"
