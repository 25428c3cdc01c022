"""Load configs from YAML files and ``key=value`` overrides, and write them back."""

import dataclasses
import difflib
import math
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import yaml

from fastrot.config.builtin import resolve, suggestion
from fastrot.config.schema import Config
from pipelines.errors import FastrotError, UsageError

EXTENDS = "extends"


class _Text(str):
    """A value from the command line: parsed as YAML, unless the key is of type text."""


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Load a config from a YAML file, the files it ``extends``, and dotted ``key=value`` overrides.

    Overrides take precedence over the file, and the file over the files it extends. A relative path that
    does not exist is looked up among the built-in configs. ``extends: other.yaml`` starts from the other
    file's values; the path is relative to the extending file, or that of a built-in config. A run without a
    name is named after the file.

    Raises:
        FastrotError: A file cannot be read.
        UsageError: A file is not YAML, a key is unknown, or a value has the wrong type or range.
    """
    path = resolve(Path(path))
    values = _read_with_bases(path, [])
    values.setdefault("name", path.stem)
    try:
        for override in overrides:
            _set(values, override)
        return from_mapping(values)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def from_mapping(values: Mapping[str, Any]) -> Config:
    """Return the config with these (nested) values and defaults for the rest.

    Raises:
        UsageError: A key is unknown, or a value has the wrong type or range.
    """
    config: Config = _fill(Config, values, "")
    return config


def to_mapping(config: Config) -> dict[str, Any]:
    """Return the config as nested dicts of plain values, with mean and std written out."""
    values = dataclasses.asdict(config)
    values["data"]["mean"], values["data"]["std"] = map(list, config.data.statistics)
    return values


def to_yaml(config: Config) -> str:
    """Return the config as YAML, with mean and std written out."""
    return yaml.safe_dump(to_mapping(config), sort_keys=False)


def _read_with_bases(path: Path, above: list[Path]) -> dict[str, Any]:
    if path.resolve() in above:
        raise UsageError(f"{path}: the files extend each other in a cycle")
    values = _read_yaml(path)
    base = values.pop(EXTENDS, None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise UsageError(f"{path}: {EXTENDS} is {base!r}: it must be the path of a YAML file")
    try:
        below = _read_with_bases(resolve(Path(base), beside=path.parent), [*above, path.resolve()])
    except FastrotError as error:
        raise type(error)(f"{path} extends {base}: {error}") from None
    return _merge(below, values)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise FastrotError(f"config {path} does not exist{suggestion(path)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FastrotError(f"the config {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not valid YAML: {error}") from None
    except ValueError as error:  # such as the 30th of February
        raise UsageError(f"{path} contains an invalid value: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"{path} must contain keys and values, such as 'task: rotation'")
    return values


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _set(values: dict[str, Any], override: str) -> None:
    """Apply one override ``a.b=value`` to nested ``values``."""
    dotted, equals, text = override.partition("=")
    *sections, key = dotted.strip().split(".")
    if not equals or not key:
        raise UsageError(f"{override!r} is not an override: write key=value, such as data.crop=112")
    for section in sections:
        below = values.setdefault(section, {})
        if below is None:  # an empty section in YAML
            values[section] = below = {}
        if not isinstance(below, dict):
            raise UsageError(f"{dotted}: {section} has no keys: write {section}=VALUE")
        values = below
    values[key] = _Text(text)


def _fill(schema: type[Any], values: Any, prefix: str) -> Any:
    """Build the dataclass ``schema`` from a mapping; ``prefix`` is its dotted path, for messages."""
    section = prefix.rstrip(".")
    if values is None:
        values = {}
    if not isinstance(values, Mapping):
        keys = ", ".join(f.name for f in dataclasses.fields(schema))
        raise UsageError(f"{section} is {values!r}, but it is a section: set its keys ({keys})")
    types_of = {field.name: field.type for field in dataclasses.fields(schema)}
    filled = {}
    for key, value in values.items():
        if key not in types_of:
            raise UsageError(_unknown_key(str(key), list(types_of), prefix))
        kind = types_of[key]
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            filled[key] = _fill(kind, value, f"{prefix}{key}.")
        else:
            filled[key] = _convert(f"{prefix}{key}", value, kind)
    return schema(**filled)


def _unknown_key(key: str, known: list[str], prefix: str) -> str:
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"; did you mean {prefix}{nearest[0]}?" if nearest else "."
    where = f"The keys of {prefix.rstrip('.')}" if prefix else "The keys"
    return f"unknown key {prefix}{key}{hint} {where} are {', '.join(known)}"


def _convert(key: str, value: Any, kind: Any) -> Any:
    """Return ``value`` as ``kind``, or raise a UsageError that names ``key``."""
    optional = get_origin(kind) in (Union, types.UnionType)
    if optional:
        (kind,) = (option for option in get_args(kind) if option is not types.NoneType)
    if isinstance(value, _Text):
        value = str(value) if kind is str and value != "null" else _parse_text(key, value)
    if optional and value is None:
        return None
    if get_origin(kind) is Literal:
        return value  # the schema checks the choice
    if get_origin(kind) is list:
        if not isinstance(value, list | tuple):
            raise UsageError(f"{key} is {value!r}: it must be a list, such as [1, 2]")
        (item,) = get_args(kind)
        return [_convert(f"{key}[{i}]", each, item) for i, each in enumerate(value)]
    if kind is float:
        return _to_float(key, value)
    wanted = {int: "a whole number", str: "text", bool: "true or false"}[kind]
    # bool is a subclass of int in Python, but true is not a number in a config
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(f"{key} is {value!r}: it must be {wanted}")
    return value


def _to_float(key: str, value: Any) -> float:
    """Convert a number, or a string such as 1e-3, which is not a number in YAML 1.1."""
    number = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{key} is {value!r}: it must be a finite number")
    return number


def _parse_text(key: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise UsageError(f"{key}={text} is not valid YAML: quote the value") from None
    except ValueError as error:
        raise UsageError(f"{key} is {text!r}: {error}") from None
