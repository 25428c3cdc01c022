"""Options and argument types shared by several commands."""

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from fastrot.config.data_config import DataConfig
from fastrot.config.loading import load_config
from fastrot.config.schema import Precision
from fastrot.distributed.error_file import record_error
from fastrot.terminal.wrapping import fit
from pipelines.errors import UsageError
from pipelines.layouts import LAYOUTS

if TYPE_CHECKING:
    from fastrot.distributed.runtime import Runtime
    from fastrot.evaluation.clip_set import ClipSet


class _Help(argparse.HelpFormatter):
    """Ends the help of an option with its default in the form ``(default: all)``."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text, default = action.help or "", action.default
        if not action.option_strings or default in (None, False, [], argparse.SUPPRESS):
            return text
        if "(default: " in text:
            return text
        words = default if isinstance(default, list) else [default]
        return f"{text} (default: {' '.join(map(str, words))})"


class Parser(argparse.ArgumentParser):
    """A parser whose help, and that of its subparsers, ends every option with its default.

    An option whose default is no value, such as a name that depends on other options, contains
    ``(default: ...)`` in its help. A usage error is also recorded for torchrun's summary.

    Attributes:
        instead: By the name of a flag, the option to offer to those who give the flag a value.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": _Help, **kwargs})
        self.instead: dict[str, str] = {}

    def error(self, message: str) -> NoReturn:
        """Record the error, print it with the usage, and exit with code 2."""
        valued = re.fullmatch(r"argument (\S+): ignored explicit argument '(.*)'", message)
        if valued:
            flag, value = valued.groups()
            offer = f": use {self.instead[flag]} {value}" if flag in self.instead else ""
            message = f"{flag} takes no value{offer}"
        message += self._choices_of(message)
        record_error(UsageError(message))
        self.print_usage(sys.stderr)
        self.exit(2, fit(f"{self.prog}: error: {message}\n", sys.stderr))

    def _choices_of(self, message: str) -> str:
        """Return the choices of a missing command, since argparse only prints its placeholder."""
        for action in self._actions:
            if action.choices and message.endswith(f"required: {action.metavar}"):
                return f": choose from {', '.join(action.choices)}"
        return ""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Reject a value that is not among the choices, and offer the nearest one."""
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            near = difflib.get_close_matches(str(value), map(str, action.choices or ()), n=1)
            if near:
                error.message = f"{error.message}; did you mean {near[0]!r}?"
            raise


def offer_instead(parser: argparse.ArgumentParser, flag: str, option: str) -> None:
    """Offer ``option`` to those who give a value to ``flag``, which takes none."""
    assert isinstance(parser, Parser)
    parser.instead[flag] = option


def positive(text: str) -> int:
    """Parse an option's value as an integer that is at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is too small: it must be at least 1")
    return value


def seconds(text: str) -> float:
    """Parse an option's value as a time in seconds, above 0."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return value


def share(text: str) -> tuple[int, int]:
    """Parse an option's value such as "3/8" as (I, N): the I-th (from 1) of N shares."""
    index, _, parts = text.partition("/")
    if not (index.isdigit() and parts.isdigit() and 1 <= int(index) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text} is not I/N with I from 1 to N, such as 3/8")
    return int(index), int(parts)


def add_action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    about: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    """Add and return the parser of one action of a command."""
    parser = actions.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
    )
    parser.set_defaults(run=run)
    return parser


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add the options for the network, the store, the batch size and the precision."""
    parser.add_argument(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT",
        help="checkpoint of a run, or the run's folder for its last one; for features also an exported "
        "backbone",
    )
    parser.add_argument("--store", type=Path, required=True, help="a store made by fastrot prepare")
    parser.add_argument("--batch", type=positive, default=16, help="clips per batch and process")
    parser.add_argument(
        "--precision",
        choices=get_args(Precision),
        default="auto",
        help="auto: bf16 on GPUs that support it; CPUs use fp32 only",
    )


def add_clips(parser: argparse.ArgumentParser, default: int = 10) -> None:
    """Add the option for the number of clips averaged per video."""
    parser.add_argument(
        "--clips", type=positive, default=default, metavar="K", help="uniform clips per video"
    )


def add_trained_on(parser: argparse.ArgumentParser) -> None:
    """Add the option that describes the clips of a file from another project."""
    parser.add_argument(
        "--trained-on",
        metavar="CONFIG",
        help="config whose data section describes the clips that the network was trained on; only for files "
        "that do not contain this, such as another project's",
    )


def trained_on(args: argparse.Namespace) -> DataConfig | None:
    """Return the clips given by the option of ``add_trained_on``."""
    return None if args.trained_on is None else load_config(args.trained_on).data


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option that prints only the value that the command gives to ``args.emit``."""
    parser.add_argument(
        "--json",
        dest="as_json",
        action="store_true",
        help="print the result as JSON, and everything else to standard error",
    )


def add_layout(parser: argparse.ArgumentParser) -> None:
    """Add the options for the layout of a data set on disk."""
    parser.add_argument(
        "--layout", choices=sorted(LAYOUTS), default="folder", help="layout of SOURCE on disk"
    )
    parser.add_argument(
        "--list",
        dest="lists",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="with --layout list: a file with lines such as `a/b.mp4 swimming`; its name, such as train.csv, "
        "is the name of the split (may be repeated)",
    )


def add_split(
    parser: argparse.ArgumentParser, option: str, about: str, *, dest: str = "split"
) -> None:
    """Add an option for a split that ``started`` requires.

    The parser does not require it, so that a wrong path is named first, and a missing split is reported with
    the splits to choose from.
    """
    parser.add_argument(
        option, dest=dest, metavar=option[2:].upper().replace("-", "_"), help=f"required: {about}"
    )
    parser.set_defaults(splits={**(parser.get_default("splits") or {}), option: dest})


def _require_splits(args: argparse.Namespace, known: Iterable[str]) -> None:
    for option, dest in vars(args).get("splits", {}).items():
        if getattr(args, dest) is None:
            raise UsageError(
                f"{option} is missing: choose one of the splits of {args.store}: "
                f"{', '.join(['all', *known])}"
            )


@contextmanager
def started(args: argparse.Namespace) -> "Iterator[tuple[ClipSet, Runtime]]":
    """Start the runtime and open the store given by the options of ``add_network`` and ``add_clips``.

    A run's folder is replaced by its last checkpoint in ``args``.
    """
    from fastrot.distributed.runtime import Runtime, require_launcher
    from fastrot.evaluation.clip_set import ClipSet
    from fastrot.runs.checkpoint import find_checkpoint
    from pipelines.store.reading import Store

    require_launcher()
    with Runtime.start(args.precision, setting="--precision") as runtime:
        store = Store.open(args.store)
        args.checkpoint = find_checkpoint(args.checkpoint)
        _require_splits(args, store.splits)
        yield ClipSet(store, args.split, args.clips, args.batch), runtime


def options_anywhere(parser: argparse.ArgumentParser, words: str) -> None:
    """Accept options anywhere among the words: argparse rejects a word after an option (bpo-14191).

    Args:
        parser: Parser whose last positional argument takes any number of words.
        words: Name of that argument.
    """
    parse = parser.parse_known_args

    def parse_all_words(args: Any = None, namespace: Any = None) -> Any:
        found, rest = parse(args, namespace)
        later = [word for word in rest if not word.startswith("-")]
        setattr(found, words, [*getattr(found, words), *later])
        for word in rest:
            if word.startswith("--") and "." in word.partition("=")[0]:
                parser.error(
                    f"{word}: write a key of the config without dashes: {word.lstrip('-')}"
                )
        return found, [word for word in rest if word.startswith("-")]

    parser.parse_known_args = parse_all_words  # type: ignore[method-assign]
