"""Notes below a table that depend on its numbers."""

from collections.abc import Sequence

from fastrot.reproduce.averages import Cell


def untrained(cells: Sequence[Cell]) -> list[str]:
    """Return a note for each error that is not shown to be below that of random answers.

    A network with such an error did not learn its task, so its transfer says nothing about the task.
    """
    return [
        f"{cell.entry.row}: not trained. Its {cell.entry.column[:1].lower()}{cell.entry.column[1:]} is not "
        f"shown to be below {cell.entry.chance:g}, that of random answers."
        for cell in cells
        if cell.entry.lower and cell.gain is not None
        if cell.gain.mean >= 0 or cell.gain.small
    ]
