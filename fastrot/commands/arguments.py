"""Options and argument types shared by several commands."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from fastrot.config.schema import Precision
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
    ``(default: ...)`` in its help.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": _Help, **kwargs})


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
        type=_checkpoint,
        metavar="CHECKPOINT",
        help="checkpoint of a run, or the run's folder (its last.pt); for features also an exported backbone",
    )
    parser.add_argument("--store", type=Path, required=True, help="a store made by fastrot prepare")
    parser.add_argument("--batch", type=positive, default=16, help="clips per batch and process")
    parser.add_argument(
        "--precision",
        choices=get_args(Precision),
        default="auto",
        help="auto: bf16 on GPUs that support it; CPUs use fp32 only",
    )


def _checkpoint(text: str) -> Path:
    """Return the path of a checkpoint, which for a run's folder is its last one."""
    last = Path(text) / "checkpoints" / "last.pt"
    return last if last.exists() else Path(text)


def add_clips(parser: argparse.ArgumentParser, default: int = 10) -> None:
    """Add the option for the number of clips averaged per video."""
    parser.add_argument(
        "--clips", type=positive, default=default, metavar="K", help="uniform clips per video"
    )


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


@contextmanager
def started(args: argparse.Namespace) -> "Iterator[tuple[ClipSet, Runtime]]":
    """Start the runtime and open the store given by the options of ``add_network`` and ``add_clips``."""
    from fastrot.distributed.runtime import Runtime, require_launcher
    from fastrot.evaluation.clip_set import ClipSet
    from pipelines.store.reading import Store

    require_launcher()
    with Runtime.start(args.precision, setting="--precision") as runtime:
        yield ClipSet(Store.open(args.store), args.split, args.clips, args.batch), runtime


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
