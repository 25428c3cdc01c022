"""Reading the project's Markdown pages."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, "" where none is named, and its text."""

    language: str
    text: str


def blocks(page):
    return [Block(*found) for found in _FENCE.findall(page.read_text())]


def prose(page):
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def inline_code(page):
    return _INLINE.findall(prose(page))


def links(page):
    return [first or second for first, second in _LINK.findall(_INLINE.sub("", prose(page)))]


def anchors(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ +(.*)$", prose(page), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", title.lower()) for title in titles]
    return {title.replace(" ", "-") for title in plain}


def commands(page):
    """Yield the words of every fastrot command in a page's blocks, however it is started."""
    for block in blocks(page):
        if block.language not in ("", "bash", "sh"):
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            if "fastrot" not in line or line.lstrip().startswith("#"):
                continue
            try:
                words = shlex.split(line, comments=True)
            except ValueError:  # a table or a drawing
                continue
            if "torchrun" in words and "-m" in words:
                words = words[words.index("-m") + 1 :]
            while words and "=" in words[0]:
                words = words[1:]
            if words[:1] == ["fastrot"]:
                yield words[1:]
