"""Import of user-defined classes by the name in a config or a checkpoint."""

import difflib
import importlib
import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from pipelines.errors import FastrotError, UsageError, first_line

T = TypeVar("T")


def import_class(name: str, base: type[T], key: str) -> type[T]:
    """Import a class from an installed package or from the working folder.

    This runs the module's code. The working folder is searched last, and only for this import, so that a
    file in it cannot shadow an installed package.

    Args:
        name: ``package.module:Class``.
        base: Required base class.
        key: Config key that contains the name, for messages.

    Raises:
        UsageError: The module or class does not exist, does not derive from ``base``, or is abstract.
        FastrotError: The module's own code fails.
    """
    module_name, _, class_name = name.partition(":")
    module = _import_module(module_name, f"{key} is {name}")
    found = getattr(module, class_name, None)
    if found is None:
        nearest = difflib.get_close_matches(class_name, dir(module), n=1)
        hint = f"; did you mean {module_name}:{nearest[0]}?" if nearest else ""
        raise UsageError(f"{key} is {name}: {_place(module)} has no {class_name}{hint}")
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise UsageError(
            f"{key} is {name}: {class_name} of {_place(module)} must be a class that derives from "
            f"{base.__module__}.{base.__name__}"
        )
    if inspect.isabstract(found):
        lacking = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise UsageError(f"{key} is {name}: the class does not implement {lacking}")
    return found


def failed(error: Exception, doing: str) -> FastrotError:
    """Return the error to raise when user code fails, with the file and line of the failure."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place, line = frame.filename, frame.lineno
    if isinstance(error, SyntaxError):  # the faulty line is not in the traceback
        place, line = error.filename or place, error.lineno or line
    return FastrotError(
        f"{doing}: {type(error).__name__}: {first_line(error)} ({place}, line {line})"
    )


def _import_module(name: str, what: str) -> ModuleType:
    folder = str(Path.cwd())
    try:
        with _last_in_path(folder):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # The module's own imports may fail too: only its name and its parent packages come from the config.
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(
                f"{what}: module {error.name} does not exist in {folder} or among the installed packages: "
                "run fastrot in the folder that contains it, or install it"
            ) from None
        raise failed(error, f"{what}: importing {name} failed") from None
    except FastrotError:
        raise
    except Exception as error:
        raise failed(error, f"{what}: importing {name} failed") from None


@contextmanager
def _last_in_path(folder: str) -> Iterator[None]:
    importlib.invalidate_caches()  # the file may be newer than the cached folder listing
    sys.path.append(folder)
    try:
        yield
    finally:
        # Remove the last one: the folder may have been in the path before, and the module may add entries.
        del sys.path[len(sys.path) - 1 - sys.path[::-1].index(folder)]


def _place(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or module.__name__
