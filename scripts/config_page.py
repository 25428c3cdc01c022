"""The reference of all keys, written from the schema.

Run: python scripts/config_page.py > docs/reference/configuration.md
"""

import dataclasses
import inspect
import sys
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from fastrot.config.schema import Config

HEAD = """# Configuration

Every key of a run, its values and its default. A config is a YAML file; any key can be given on the command
line as `section.key=value`, which wins. An unknown key is an error that names the nearest known one, and
`--print-config` shows what results.

The configs that come with fastrot are in `configs/`, each number with its source. They are found from any
folder, by `configs/pretrain/kinetics_rgb_16.yaml` or `pretrain/kinetics_rgb_16.yaml`. A config of your own
starts from another file's values by `extends: pretrain/kinetics_rgb_16.yaml`: a file beside it, or one that
comes with fastrot.

This page is made from the schema: `python scripts/config_page.py > docs/reference/configuration.md`.
"""


def reference() -> str:
    """Return the page in Markdown: the top level, then a table for each section."""
    parts = [HEAD]
    sections = []
    hints = get_type_hints(Config)
    plain = []
    for field in dataclasses.fields(Config):
        if dataclasses.is_dataclass(hints[field.name]):
            sections.append((field.name, hints[field.name]))
        else:
            plain.append(field)
    parts.append(_section("The top level", "", Config, plain))
    for name, schema in sections:
        fields = list(dataclasses.fields(schema))
        parts.append(_section(f"`{name}`", f"{name}.", schema, fields))
    return "\n".join(parts)


def _section(title: str, prefix: str, schema: type[Any], fields: list[Any]) -> str:
    hints = get_type_hints(schema)
    rows = [
        f"| `{prefix}{field.name}` | {_values(hints[field.name])} | `{_default(field)}` |"
        for field in fields
    ]
    about = inspect.cleandoc(schema.__doc__ or "").replace("``", "`")
    return "\n".join(
        [f"## {title}", "", about, "", "| key | values | default |", "|---|---|---|", *rows, ""]
    )


def _values(kind: Any) -> str:
    """Say in words what a key takes."""
    if get_origin(kind) in (Union, types.UnionType):
        inner = [_values(each) for each in get_args(kind) if each is not types.NoneType]
        return " or ".join([*inner, "`null`"])
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) is list:
        return f"list: {_values(get_args(kind)[0])}"
    return {int: "whole number", float: "number", str: "text", bool: "`true`, `false`"}[kind]


def _default(field: Any) -> str:
    value = field.default if field.default is not dataclasses.MISSING else field.default_factory()
    if value == "":
        return "''"
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()


if __name__ == "__main__":
    sys.stdout.write(reference())
