"""What several commands' parsers have in common."""

import argparse
from pathlib import Path
from typing import Any

from pipelines.layouts import LAYOUTS


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
