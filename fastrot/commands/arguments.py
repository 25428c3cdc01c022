"""What several commands' parsers have in common."""

import argparse
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.layouts import LAYOUTS

if TYPE_CHECKING:
    from fastrot.distributed.runtime import Runtime
    from fastrot.evaluation.clip_set import ClipSet


def add_layout(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a data set lies on disk."""
    parser.add_argument(
        "--layout", choices=sorted(LAYOUTS), default="folder", help="how SOURCE lies on disk"
    )
    parser.add_argument(
        "--list",
        dest="lists",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="with --layout list: a list with lines such as `a/b.mp4 swimming`, whose name is that of the "
        "split, such as train.csv (may be given again)",
    )


def add_clips(parser: argparse.ArgumentParser, per_video: int) -> None:
    """Add the options that ``started`` reads, but ``--split``: where a network's clips come from."""
    parser.add_argument("--store", required=True, help="a store made by fastrot prepare")
    parser.add_argument("--batch", type=positive, default=16, help="clips at a time and process")
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16", "fp16"),
        default="auto",
        help="auto: bf16 on a GPU that has it; a CPU computes in fp32 only",
    )
    parser.add_argument(
        "--clips",
        type=positive,
        default=per_video,
        metavar="K",
        help="uniform clips of each video",
    )


@contextmanager
def started(args: argparse.Namespace) -> "Iterator[tuple[ClipSet, Runtime]]":
    """Start the process, and open the store whose clips the options of ``add_clips`` and ``--split`` name."""
    from fastrot.distributed.runtime import Runtime, require_launcher
    from fastrot.evaluation.clip_set import ClipSet
    from pipelines.store.reading import Store

    require_launcher()
    with Runtime.start(args.precision, setting="--precision") as runtime:
        yield ClipSet(Store.open(args.store), args.split, args.clips, args.batch), runtime


def positive(text: str) -> int:
    """Return a whole number above 0."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)


def part(text: str) -> tuple[int, int]:
    """Return the I and N of ``I/N``."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text} is not I/N with I from 1 to N, such as 3/8")
    return int(found[1]), int(found[2])


def options_anywhere(parser: argparse.ArgumentParser) -> None:
    """Let options stand anywhere: argparse refuses a key=value after one (bpo-14191).

    Options and their values are moved behind everything else. Only options of one value, or none, are known.
    """
    parse = parser.parse_known_args

    def parse_reordered(args: Any = None, namespace: Any = None) -> Any:
        return parse(_words_first(parser, list(args)), namespace)

    parser.parse_known_args = parse_reordered  # type: ignore[method-assign]


def _words_first(parser: argparse.ArgumentParser, args: list[str]) -> list[str]:
    words, options = [], []
    rest = iter(args)
    for arg in rest:
        if not arg.startswith("-"):
            words.append(arg)
            continue
        options.append(arg)
        action = parser._option_string_actions.get(arg)
        if action is not None and action.nargs != 0:
            options += [value for value in [next(rest, None)] if value is not None]
    return [*words, *options]
