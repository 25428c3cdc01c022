"""``--rows``: a part of a table."""

import dataclasses
from collections.abc import Sequence

from fastrot.reproduce.run_plan import Item, Table
from pipelines.errors import UsageError


def choose_rows(item: Item, names: Sequence[str]) -> Table:
    """Return the table with the named rows only; what they are compared with stays part of the plan.

    Args:
        item: A table.
        names: Names of rows, or a part of a name that only one row has (upper and lower case are the same).

    Raises:
        UsageError: The item has no rows, or a name is not one row's.
    """
    if not isinstance(item, Table):
        raise UsageError(f"--rows: {item.key} is pictures and has no rows: remove --rows")
    rows = list(dict.fromkeys(entry.row for entry in item.entries))
    chosen = {_find(name, rows, item.key) for name in names}
    return dataclasses.replace(
        item, entries=[entry for entry in item.entries if entry.row in chosen]
    )


def _find(name: str, rows: Sequence[str], key: str) -> str:
    if name in rows:
        return name
    found = [row for row in rows if name.lower() in row.lower()]
    if len(found) != 1:
        problem = "is in several rows" if found else "is in no row"
        raise UsageError(f"--rows {name!r} {problem} of {key}: {'; '.join(found or rows)}")
    return found[0]
