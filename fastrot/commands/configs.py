"""``fastrot configs``: list the configs that come with fastrot."""

import argparse

from fastrot.config.builtin import built_in


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "configs",
        help="list the configs that come with fastrot",
        description="List the configs that come with fastrot, each with its first line. Pass a name to "
        "`fastrot pretrain` or `fastrot finetune` from any folder, or extend it in a file of your own "
        "(`extends: NAME`). `fastrot pretrain NAME --print-config` prints all of its values.",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print one line per config."""
    from fastrot.terminal.console import say

    abouts = built_in()
    width = max(map(len, abouts))
    for name, about in abouts.items():
        say(f"{name:{width}}  {about}", hang=width + 2)
    return 0
