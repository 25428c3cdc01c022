"""Generate the reference of all config keys from the schema.

Run: python scripts/config_page.py > docs/reference/configuration.md
"""

import dataclasses
import inspect
import sys
import types
from typing import Any, Literal, Union, get_args, get_origin

import yaml

from fastrot.config.schema import Config
from fastrot.config.values import Range

HEAD = """# Configuration

Every key of a run's config, with its values and its default. A config is a YAML file, and `section.key=value`
on the command line overrides its value. An unknown key is an error, and the message names the
most similar known key. `--print-config` shows the resulting config.

The configs that come with fastrot are in `configs/`; comments give the source of each number. They can be
named from any folder, as `configs/pretrain/kinetics_rgb_16.yaml` or `pretrain/kinetics_rgb_16.yaml`. Your own
config can start from the values of another file with `extends: pretrain/kinetics_rgb_16.yaml`. The other file
is in the same folder or comes with fastrot.

`scripts/config_page.py` generates this page from the schema.
"""


def reference() -> str:
    """Return the page in Markdown: the top-level keys, then a table for each section."""
    fields = dataclasses.fields(Config)
    sections = [field for field in fields if dataclasses.is_dataclass(field.type)]
    parts = [HEAD, _section("The top level", "", Config)]
    parts += [_section(f"`{each.name}`", f"{each.name}.", each.type) for each in sections]
    return "\n".join(parts)


def _section(title: str, prefix: str, schema: Any) -> str:
    rows = []
    for field in dataclasses.fields(schema):
        if not dataclasses.is_dataclass(field.type):
            values = _values(field.type, field.metadata.get("within"))
            rows.append(f"| `{prefix}{field.name}` | {values} | `{_default(field)}` |")
    about = inspect.cleandoc(schema.__doc__ or "").replace("``", "`")
    return "\n".join(
        [f"## {title}", "", about, "", "| key | values | default |", "|---|---|---|", *rows, ""]
    )


def _values(kind: Any, within: Range | None = None) -> str:
    """Describe the values that a key accepts, with their range."""
    if get_origin(kind) in (Union, types.UnionType):
        inner = [_values(each, within) for each in get_args(kind) if each is not types.NoneType]
        return " or ".join([*inner, "`null`"])
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) is list:
        return f"list: {_values(get_args(kind)[0], within)}"
    words = {int: "whole number", float: "number", str: "text", bool: "`true`, `false`"}[kind]
    return f"{words} ({within.words.partition(' (')[0]})" if within else words


def _default(field: Any) -> str:
    value = field.default if field.default is not dataclasses.MISSING else field.default_factory()
    if value == "":
        return "''"
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()


if __name__ == "__main__":
    sys.stdout.write(reference())
