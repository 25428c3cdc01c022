"""The HTML page: a single file without external resources."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from fastrot.report.markup import anchor, element, text
from fastrot.report.sections import section
from fastrot.version import __version__

# Makes the browser block all external resources.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def make_page(paths: Sequence[Path], title: str) -> str:
    """Return the HTML page about runs and folders of reproduced tables.

    Raises:
        UsageError: A path is neither.
        FastrotError: A file is damaged or cannot be read.
    """
    sections = [section(path) for path in paths]
    links = "".join(
        element("a", text(name), href=f"#{number}-{anchor(name)}")
        for number, (name, _) in enumerate(sections)
    )
    body = element("h1", text(title))
    if len(sections) > 1:
        body += element("nav", links)
    for number, (name, content) in enumerate(sections):
        body += element("h2", text(name), id=f"{number}-{anchor(name)}") + content
    body += element("p", f"fastrot {text(__version__)}", _class="notes")
    style = resources.files("fastrot.report").joinpath("style.css").read_text()
    head = (
        '<meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"{element('title', text(title))}{element('style', style)}"
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{body}</body></html>\n'
