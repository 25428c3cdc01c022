"""Write the results of a plan: tables, figures, and an index of them for the report.

::

    OUT/tables/KEY.{md,csv,json}   a table: paper, ours, difference
    OUT/figures/KEY.{png,svg}      a figure
    OUT/results.md                 all tables of the last call
    OUT/results.json               index of the tables and figures, and the environment
"""

import json
from pathlib import Path
from typing import Any

from fastrot.distributed.runtime import Runtime
from fastrot.reproduce.averages import fill_in, protocols
from fastrot.reproduce.execute import Workshop
from fastrot.reproduce.gains import spreads_of
from fastrot.reproduce.output import LEGEND, Page
from fastrot.reproduce.pictures import draw_gallery, draw_table
from fastrot.reproduce.presets import Preset
from fastrot.reproduce.run_plan import Gallery, Item, Table
from fastrot.reproduce.tables import BUILDERS
from fastrot.runs.environment import environment
from fastrot.terminal.console import say, show
from pipelines.files import write_file


def publish(
    items: tuple[Item, ...], workshop: Workshop, preset: Preset, supervised: Path | None
) -> dict[str, Any]:
    """Print and write every table, and draw every figure.

    Args:
        items: Tables and galleries.
        workshop: The folder of their runs.
        preset: The preset, which describes how to interpret the numbers.
        supervised: File of a supervised network in Hara's format, if the user gave one.

    Returns:
        The content of each table's JSON, by the table's name.

    Raises:
        FastrotError: A file cannot be read or written.
    """
    tables, figures = workshop.out / "tables", workshop.out / "figures"
    with Runtime.start() as runtime:
        where = environment(runtime)
    generated = preset.name == "demo"
    builders = [build(preset) for build in BUILDERS.values()]
    spreads = spreads_of([item for item in builders if isinstance(item, Table)], workshop)
    markdown, values = [], {}
    if any(isinstance(item, Table) for item in items):
        markdown.append(f"{preset.about}\n\n{LEGEND}\n")
        say(f"{preset.about}\n{LEGEND}\n")
    for item in items:
        if isinstance(item, Gallery):
            drawn = draw_gallery(item, workshop, figures, supervised, generated=generated)
            captions = dict.fromkeys(drawn.names, drawn.caption)
            _register(workshop.out, "figures", captions, where)
            if drawn.names:
                pictures = [f"![{name}](figures/{name}.png)" for name in drawn.names]
                markdown.append("\n\n".join([f"## {drawn.title}", *pictures, *drawn.notes]) + "\n")
            continue
        cells = fill_in(item, workshop, spreads)
        page = Page(item, cells, preset.about, protocols(item, workshop), generated=generated)
        show(page.grid.to_rich())
        page.write(tables, workshop)
        values[item.key] = json.loads((tables / f"{item.key}.json").read_text())
        _register(workshop.out, "tables", {item.key: page.title}, where)
        markdown.append(page.grid.to_markdown("##"))
        if draw_table(item.key, page.title, cells, figures, generated=generated):
            _register(workshop.out, "figures", {item.key: page.title}, where)
            markdown.append(f"![{item.key}](figures/{item.key}.png)\n")
    write_file(workshop.out / "results.md", "\n".join(markdown))
    say(f"wrote results.md, tables and figures to {workshop.out}")
    return values


def _place(name: str) -> tuple[int, str]:
    """Return the sort key of a table or figure: the paper's order."""
    order = list(BUILDERS)
    key = name.partition("-")[0]
    return (order.index(key) if key in order else len(order), name)


def _register(out: Path, kind: str, found: dict[str, str], where: dict[str, Any]) -> None:
    """Add tables or figures and the environment to OUT/results.json, which may exist from earlier calls."""
    path = out / "results.json"
    values = json.loads(path.read_text()) if path.exists() else {"tables": {}, "figures": {}}
    known = values[kind] | found
    values[kind] = dict(sorted(known.items(), key=lambda item: _place(item[0])))
    values["environment"] = where
    write_file(path, json.dumps(values, indent=1) + "\n")
