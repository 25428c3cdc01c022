"""All tables and figures by name, in the paper's order, followed by those that are not in the paper."""

from collections.abc import Callable, Sequence

from fastrot.reproduce.presets import Preset
from fastrot.reproduce.run_plan import Item
from fastrot.reproduce.tables import (
    audit,
    beyond,
    figures,
    lengths,
    pretexts,
    rotations,
    transfers,
)

BUILDERS: dict[str, Callable[[Preset], Item]] = {
    "table1": rotations.table1,
    "table2": transfers.table2,
    "table3": rotations.table3,
    "table4": transfers.table4,
    "table5": transfers.table5,
    "table6": lengths.table6,
    "table7": lengths.table7,
    "figure4a": figures.figure4a,
    "figure4b": figures.figure4b,
    "figure5": figures.figure5,
    "attention": figures.attention,
    "budget": transfers.budget,
    "probe": beyond.probe,
    "retrieval": beyond.retrieval,
    "supervised": beyond.supervised,
    "fit": beyond.fit,
    "audit": audit.audit,
}

STUDIES: dict[str, tuple[Callable[[Preset], Item], ...]] = {
    "pretexts": (pretexts.pretexts, pretexts.compared, pretexts.probed),
}
"""Targets of several tables, which take about as long as all others and are not part of ``all``."""


def items_of(targets: Sequence[str], preset: Preset) -> tuple[Item, ...]:
    """Return the tables and figures of targets, in their order."""
    builders = [build for target in targets for build in STUDIES.get(target) or (BUILDERS[target],)]
    return tuple(build(preset) for build in builders)
