"""Which lists are meant where several lie below one source; never the first by chance."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.errors import FastrotError, UsageError


def only_copy(source: Path, paths: Sequence[Path]) -> Path:
    """Return the first of ``paths``, lists of one name, which must all be the same.

    Raises:
        UsageError: they differ.
    """
    first = paths[0]
    for path in paths[1:]:
        if _bytes(path) != _bytes(first):
            raise two_choices(source, first, path)
    return first


def only_folder(
    source: Path, folders: Mapping[Path, set[str]], lists: Mapping[Path, Sequence[Path]]
) -> tuple[Path, list[str]]:
    """Return the folder whose lists are meant, and warnings that name those that were not taken.

    A folder whose lists cover all classes of the others', and more, is meant: detection lists of 24
    classes of UCF101 lie beside the recognition lists of all 101. Copies are as good as each other.

    Args:
        source: the data set.
        folders: the classes that each folder's lists cover.
        lists: each folder's lists.

    Raises:
        UsageError: it cannot be told.
    """
    # The first of several with as many classes; it is compared with every other one.
    best = max(folders, key=lambda folder: len(folders[folder]))
    warnings = []
    for folder, classes in folders.items():
        if folder == best or _same_lists(lists[folder], lists[best]):
            continue
        if not classes < folders[best]:
            raise two_choices(source, best, folder)
        warnings.append(
            f"the lists of {best} ({_classes(folders[best])}) were taken, "
            f"not those of {folder} ({_classes(classes)})"
        )
    return best, warnings


def two_choices(source: Path, first: Path, second: Path) -> UsageError:
    """Return the error that asks for one of two."""
    return UsageError(
        f"{first} and {second} differ, and only one can be meant: move the other one out of {source}, "
        "or give a folder that holds the videos and the right lists only"
    )


def _classes(names: set[str]) -> str:
    return f"{len(names)} class{'es' * (len(names) != 1)}"


def _same_lists(first: Sequence[Path], second: Sequence[Path]) -> bool:
    return {path.name: _bytes(path) for path in first} == {
        path.name: _bytes(path) for path in second
    }


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FastrotError(f"cannot read {path}: {error.strerror}") from error
