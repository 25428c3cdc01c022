"""Chooses between several copies or versions of lists below one source."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.errors import FastrotError, UsageError


def only_copy(source: Path, paths: Sequence[Path]) -> Path:
    """Return the first of ``paths``, files of the same name that must have the same content.

    Raises:
        UsageError: They differ.
    """
    first = paths[0]
    for path in paths[1:]:
        if _bytes(path) != _bytes(first):
            raise two_choices(source, first, path)
    return first


def only_folder(
    source: Path, folders: Mapping[Path, set[str]], lists: Mapping[Path, Sequence[Path]]
) -> tuple[Path, list[str]]:
    """Return the folder whose lists to use, and warnings that name the lists that are not used.

    This is the folder whose lists cover all classes of the others and more: UCF101's recognition lists of 101
    classes are often found next to its detection lists of 24. Of identical copies, any is used.

    Args:
        source: The data set.
        folders: The classes covered by each folder's lists.
        lists: The lists in each folder.

    Raises:
        UsageError: The choice is ambiguous.
    """
    # On a tie this is the first one. It is compared with every other folder.
    best = max(folders, key=lambda folder: len(folders[folder]))
    warnings = []
    for folder, classes in folders.items():
        if folder == best or _same_lists(lists[folder], lists[best]):
            continue
        if not classes < folders[best]:
            raise two_choices(source, best, folder)
        warnings.append(
            f"using the lists in {best} ({_classes(folders[best])}), "
            f"not those in {folder} ({_classes(classes)})"
        )
    return best, warnings


def two_choices(source: Path, first: Path, second: Path) -> UsageError:
    """Return the error that asks the user to choose one of two lists."""
    return UsageError(
        f"{first} and {second} differ, and only one can be used: move the other one out of {source}, "
        "or give a folder that contains the videos and only the right lists"
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
        raise FastrotError(f"{path} cannot be read: {error.strerror}") from error
