"""Functions that build HTML. External text is escaped here and only here."""

import base64
from html import escape


def text(value: object) -> str:
    """Escape a value for HTML text and attributes."""
    return escape(str(value), quote=True)


def element(tag: str, content: str, **attributes: object) -> str:
    """Return ``<tag a="b">content</tag>``; ``content`` is HTML, attributes are escaped, ``a_b`` means a-b."""
    names = {name.strip("_").replace("_", "-"): value for name, value in attributes.items()}
    extra = "".join(f' {name}="{text(value)}"' for name, value in names.items())
    return f"<{tag}{extra}>{content}</{tag}>"


def details(title: object, content: str) -> str:
    """Return a collapsible section."""
    return element("details", element("summary", text(title)) + content)


def code(content: object) -> str:
    """Return preformatted text."""
    return element("pre", text(content), tabindex=0)


def png(content: bytes, caption: object, *, pixels: bool = False) -> str:
    """Return an embedded picture with its caption; ``pixels`` disables smoothing."""
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    kind = 'class="pixels" ' if pixels else ""
    image = f'<img {kind}src="{source}" alt="{text(caption)}">'
    return element("figure", image + element("figcaption", text(caption)))


def anchor(name: str) -> str:
    """Convert a name to an id within the page."""
    return "".join(char if char.isalnum() else "-" for char in name)
