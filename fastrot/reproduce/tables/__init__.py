"""All tables and figures by name, in the paper's order, followed by those that are not in the paper."""

from collections.abc import Callable

from fastrot.reproduce.presets import Preset
from fastrot.reproduce.run_plan import Item
from fastrot.reproduce.tables import audit, beyond, figures, lengths, rotations, transfers

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
