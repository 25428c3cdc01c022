"""Generate the command reference from the parsers.

Run: python scripts/command_page.py > docs/reference/commands.md
"""

import argparse
import re
import sys
from collections.abc import Iterator

from fastrot.cli import build_parser

HEAD = """# Commands

Every command with its arguments. `scripts/command_page.py` generates this page from the parsers;
`-h` after a command prints the same. [Exit codes](runs.md#exit-codes) are the same for all.
"""


def page() -> str:
    """Return the page in Markdown: a section for each command, with a subsection for each subcommand."""
    return "\n".join([HEAD, *_sections(build_parser(), 1)])


def _sections(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    for group in _groups(parser):
        abouts = {choice.dest: choice.help for choice in group._choices_actions}
        for name, command in group.choices.items():
            yield f"{'#' * (level + 1)} {command.prog}\n"
            yield f"{_sentence(command.description or abouts[name] or '')}\n"
            if _groups(command):
                yield from _sections(command, level + 1)
            else:
                yield from _arguments(command)


def _groups(
    parser: argparse.ArgumentParser,
) -> "list[argparse._SubParsersAction[argparse.ArgumentParser]]":
    return [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]


def _arguments(command: argparse.ArgumentParser) -> Iterator[str]:
    hidden = argparse.SUPPRESS
    actions = [a for a in command._actions if a.dest != "help" and a.help != hidden]
    if actions:
        yield "| argument | meaning | default |\n|---|---|---|"
        yield "\n".join(map(_row, actions)) + "\n"
    if command.epilog:
        yield f"{_escaped(command.epilog)}\n"


def _row(action: argparse.Action) -> str:
    value = action.metavar or action.dest.upper()
    if action.choices:
        value = ", ".join(map(str, action.choices))
    value = str(value).replace("|", "\\|")
    if not action.option_strings:
        name = f"`{value}`"
    elif action.nargs == 0:
        name = f"`{action.option_strings[-1]}`"
    else:
        name = f"`{action.option_strings[-1]}` `{value}`"
    about, default = _split(action)
    return f"| {name} | {_escaped(about)} | {default} |"


def _split(action: argparse.Action) -> tuple[str, str]:
    """Return the meaning and the default of an argument."""
    about = (action.help or "") % {**vars(action), "prog": "fastrot"}
    found = re.search(r" \(default: ([^()]*)\)", about)
    if found:
        return about.replace(found[0], ""), _escaped(found[1])
    return about, _default(action)


def _default(action: argparse.Action) -> str:
    if action.nargs == 0 or action.nargs == "*" or action.default in (None, [], argparse.SUPPRESS):
        return "required" if action.required and action.nargs != "*" else ""
    default = action.default if isinstance(action.default, list) else [action.default]
    return f"`{' '.join(map(str, default))}`"


def _sentence(text: str) -> str:
    text = _escaped(text)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    sys.stdout.write(page())
