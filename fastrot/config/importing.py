"""Classes of the user's own, imported by the name that a config or a checkpoint holds."""

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
    """Import a class from an installed package, or else from the working folder.

    This runs the module's code. The working folder comes last and for this import only, so that no file of
    the user's takes the place of an installed package.

    Args:
        name: ``package.module:Class``.
        base: what the class must derive from.
        key: the config's key that holds the name, for messages.

    Raises:
        UsageError: there is no such module or class, or it does not derive from ``base``, or is abstract.
        FastrotError: the module's own code fails.
    """
    module_name, _, class_name = name.partition(":")
    module = _import_module(module_name, f"{key} is {name}")
    found = getattr(module, class_name, None)
    if found is None:
        nearest = difflib.get_close_matches(class_name, dir(module), n=1)
        hint = f": did you mean {module_name}:{nearest[0]}?" if nearest else ""
        raise UsageError(f"{key} is {name}: {_place(module)} has no {class_name}{hint}")
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise UsageError(
            f"{key} is {name}: {class_name} of {_place(module)} must be a class that derives from "
            f"{base.__module__}.{base.__name__}"
        )
    if inspect.isabstract(found):
        lacking = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise UsageError(f"{key} is {name}: the class lacks {lacking}")
    return found


def failed(error: Exception, doing: str) -> FastrotError:
    """Return the error to raise for one of the user's own code, with the line that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place, line = frame.filename, frame.lineno
    if isinstance(error, SyntaxError):  # the line is not one that ran
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
        # Its own imports may be what is missing: only its name and its packages' are the config's fault.
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(
                f"{what}: there is no module {error.name} among the installed packages or in {folder}. Run "
                "fastrot in the folder that holds it, or install it"
            ) from None
        raise failed(error, f"{what}: importing {name} failed") from None
    except FastrotError:
        raise
    except Exception as error:
        raise failed(error, f"{what}: importing {name} failed") from None


@contextmanager
def _last_in_path(folder: str) -> Iterator[None]:
    importlib.invalidate_caches()  # the file may be younger than the folder's listing
    sys.path.append(folder)
    try:
        yield
    finally:
        # The last one: the folder may have been there before, and the module may have added others.
        del sys.path[len(sys.path) - 1 - sys.path[::-1].index(folder)]


def _place(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or module.__name__
