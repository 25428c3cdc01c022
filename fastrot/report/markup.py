"""HTML by small functions: whatever comes from outside is escaped here, and nowhere else."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path


def text(value: object) -> str:
    """Return a value as text that is safe in HTML, in attributes too."""
    return escape(str(value), quote=True)


def element(tag: str, content: str, **attributes: object) -> str:
    """Return ``<tag a="b">content</tag>``; ``content`` is HTML, attributes are escaped, ``a_b`` is a-b."""
    names = {name.strip("_").replace("_", "-"): value for name, value in attributes.items()}
    extra = "".join(f' {name}="{text(value)}"' for name, value in names.items())
    return f"<{tag}{extra}>{content}</{tag}>"


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of plain cells, the first of each row its name; it scrolls by itself where narrow."""
    head = "".join(element("th", text(cell), scope="col") for cell in header)
    lines = [
        element("th", text(row[0]), scope="row")
        + "".join(element("td", text(cell)) for cell in row[1:])
        for row in rows
    ]
    body = "".join(element("tr", line) for line in lines)
    inner = element("thead", element("tr", head)) + element("tbody", body)
    return element("div", element("table", inner), _class="wide", tabindex=0)


def notes(lines: Iterable[object]) -> str:
    """Return a list of remarks, empty if there are none."""
    items = "".join(element("li", text(line)) for line in lines)
    return element("ul", items, _class="notes") if items else ""


def details(title: object, content: str) -> str:
    """Return a part that opens on a click."""
    return element("details", element("summary", text(title)) + content)


def code(content: object) -> str:
    """Return preformatted text."""
    return element("pre", text(content), tabindex=0)


def png(content: bytes, caption: object, *, pixels: bool = False) -> str:
    """Return a picture that is part of the page, with what it shows; ``pixels`` keeps them square."""
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    kind = 'class="pixels" ' if pixels else ""
    image = f'<img {kind}src="{source}" alt="{text(caption)}">'
    return element("figure", image + element("figcaption", text(caption)))


def anchor(name: str) -> str:
    """Return a name as an id within the page."""
    return "".join(char if char.isalnum() else "-" for char in name)


def short(path: Path) -> str:
    """Return a path's last part, also of "." and paths that end in a slash."""
    return path.resolve().name
