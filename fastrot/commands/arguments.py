"""What several commands' parsers have in common."""

import argparse
from typing import Any


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
