"""Write the results of ``fastrot reproduce pretexts`` into docs/recipes.md, all numbers into recipes.json.

Run: python scripts/recipes_page.py OUT
"""

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastrot.report.grid import Grid
from fastrot.reproduce.tables.pretexts import PRETRAININGS
from pipelines.files import write_file

PAGE = Path(__file__).parents[1] / "docs" / "recipes.md"
BEGIN, END = "<!-- results -->", "<!-- /results -->"
TABLES = ("pretexts", "pretexts-compared", "pretexts-probe")
GAIN = "Gain over scratch"

Entry = dict[str, Any]


def main(out: Path, page: Path) -> None:
    """Replace what is between the page's marks, and write the numbers next to it.

    Raises:
        SystemExit: A table is missing or not finished.
    """
    tables = {key: _read(out, key) for key in TABLES}
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    grids = [
        Grid(table["title"], table["header"], table["rows"], table["notes"]).to_markdown("##")
        for table in tables.values()
    ]
    found = [*summary(tables["pretexts-compared"]["entries"]), tables["pretexts"]["about"], *grids]
    write_file(page, f"{before}{BEGIN}\n\n" + "\n\n".join(found).rstrip() + f"\n\n{END}{after}")
    numbers = {
        key: [{name: each for name, each in entry.items() if name != "runs"} for entry in entries]
        for key, entries in ((key, table["entries"]) for key, table in tables.items())
    }
    write_file(page.with_suffix(".json"), json.dumps(numbers, indent=1) + "\n")


def _read(out: Path, key: str) -> dict[str, Any]:
    path = out / "tables" / f"{key}.json"
    if not path.exists():
        raise SystemExit(
            f"{path} does not exist: run `fastrot reproduce pretexts` with --out {out}"
        )
    table: dict[str, Any] = json.loads(path.read_text())
    for entry in table["entries"]:
        if entry["ours"] is None:
            raise SystemExit(
                f"{path}: {entry['row']} ({entry['column']}) is not finished: run `fastrot reproduce "
                f"pretexts` with --out {out} again"
            )
    return table


def summary(entries: Sequence[Entry]) -> list[str]:
    """Return paragraphs: the main comparison and what it shows, then the exploratory ones, nulls included."""
    (main,) = [each for each in entries if "main" in each["row"] and each["column"] == GAIN]
    others = [each for each in entries if each is not main]
    shown = [_stated(each) for each in others if not each["gain_is_small"]]
    null = [_stated(each) for each in others if each["gain_is_small"]]
    low, high = main["gain_interval"]
    verdict = (
        "The interval contains 0: a difference is not shown"
        if main["gain_is_small"]
        else f"The interval is {'above' if main['gain'] > 0 else 'below'} 0"
    )
    by_start = ", ".join(f"{mean:+.1f}" for mean in by_pretraining(main["gain_values"]))
    paragraphs = [
        f"**Main comparison, named before the run**: {_stated(main)}, 95 % interval {low:+.1f} to "
        f"{high:+.1f}. {verdict}. Means of the pairs of each pre-training: {by_start}."
        + ("" if main["converged"] else " Not all of its runs are converged."),
        f"**Exploratory**: {len(others)} comparisons with the paper's recipe. Without any effect, about "
        f"{len(others) / 20:.1f} would have an interval without 0 by chance.",
    ]
    for title, found in (("The interval excludes 0", shown), ("Null: it contains 0", null)):
        paragraphs.append(
            f"{title} ({len(found)}):\n\n" + "\n".join(f"- {each}" for each in found or ["none"])
        )
    return paragraphs


def by_pretraining(pairs: Sequence[float]) -> list[float]:
    """Return the mean over the pairs that share a pre-training, for each one; they take turns."""
    return [statistics.fmean(pairs[start::PRETRAININGS]) for start in range(PRETRAININGS)]


def _stated(entry: Entry) -> str:
    low, high = entry["gain_interval"]
    row = entry["row"].removesuffix(" (main comparison)")
    difference = f"{entry['gain']:+.1f} ± {(high - low) / 2:.1f}"
    return f"{row}, {entry['column'].lower()} minus the paper's: {difference}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), PAGE)
