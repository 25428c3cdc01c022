"""Every key of the schema with values that nobody means: an error that names the key, never a traceback."""

import contextlib
import dataclasses
import math
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrot.cli import main
from fastrot.config import Config, from_mapping, load_config, to_mapping
from pipelines.errors import FastrotError, UsageError


def keys(schema: type, prefix: str = "") -> dict[str, Any]:
    """Return the type of every dotted key."""
    found: dict[str, Any] = {}
    for name, kind in get_type_hints(schema).items():
        if dataclasses.is_dataclass(kind):
            found.update(keys(kind, f"{prefix}{name}."))
        else:
            found[prefix + name] = kind
    return found


KEYS = keys(Config)


def nested(dotted: str, value: Any) -> dict[str, Any]:
    """Return a mapping that a run could have, but for one key."""
    values: dict[str, Any] = {
        "name": "fuzz",
        "data": {"store": "there is no such store"},
        "train": {"iterations": 1},
    }
    section, _, key = dotted.rpartition(".")
    if dotted == "train.epochs":
        values["train"] = {}
    if section:
        values.setdefault(section, {})[key] = value
    else:
        values[key] = value
    return values


def fits(kind: Any, value: Any) -> bool:
    """Return whether a value has the type of a key, by the rules that a reader would expect."""
    if get_origin(kind) in (Union, types.UnionType):
        return any(fits(option, value) for option in get_args(kind))
    if kind is types.NoneType:
        return value is None
    if get_origin(kind) is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(kind))
    if get_origin(kind) is list:
        return isinstance(value, list) and all(fits(get_args(kind)[0], each) for each in value)
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return False
        try:
            return math.isfinite(float(value))
        except (ValueError, OverflowError):
            return False
    return type(value) is kind


plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 2**31, 2**63, 10**400, -(2**63)])
    | st.floats(allow_nan=True)
    | st.sampled_from([math.nan, math.inf, -0.0, 1e308, 5e-324])
    | st.text("a é\n0.,[{:", max_size=8)
    | st.sampled_from(["", "../..", "nan", "1e999", "é\n"])
    | st.binary(max_size=4)
    | st.dates()
)
anything = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("key", KEYS)
@settings(max_examples=12, deadline=None)
@given(value=anything)
def test_a_value_is_taken_or_refused_by_its_key(key, value):
    try:
        config = from_mapping(nested(key, value))
        config.check_runnable()
    except UsageError as error:
        said = str(error)
        assert key in said
    else:
        assert fits(KEYS[key], value), f"{key} took {value!r}"
        assert yaml.safe_load(yaml.safe_dump(to_mapping(config))) is not None


NUMBERS = [key for key, kind in KEYS.items() if kind in (int, float, int | None, float | None)]


@pytest.mark.parametrize("key", NUMBERS)
def test_numbers_beyond_reason_are_refused(key):
    for value in (-1, 10**19, -(10**400), 10**400, math.nan, math.inf, "nan", 1e300, True, [1]):
        with pytest.raises(UsageError, match=key.replace(".", r"\.")):
            from_mapping(nested(key, value)).check_runnable()


SOME = {
    "data.frames": "999999999",
    "train.timeout_s": ".nan",
    "rotation.degrees": "[0, 91]",
    "model.width": "0xffffffffffffffff",
    "optim.lr": "[[[[]]]]",
    "data.mean": "{a: 1}",
    "seed": "2020-99-99",
    "train.batch": "1" * 5000,
    "name": "a/b",
}


@pytest.mark.parametrize("key", SOME)
def test_the_command_line_says_the_key_before_it_looks_for_data(tmp_path, capsys, key):
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(nested("seed", 0)))
    assert main(["pretrain", str(file), f"{key}={SOME[key]}"]) == 2
    said = capsys.readouterr().err
    assert key in said
    assert "no such" not in said


@pytest.mark.parametrize(
    "text",
    [
        "seed: 2020-13-45",
        "seed: " + "9" * 5000,
        "data: &a {store: *a}",
        "? [1, 2]\n: 3",
        "\0",
        "!!python/object/apply:os.system ['touch owned']",
        "name: !!binary aGVsbG8=",
    ],
)
def test_files_with_odd_values_are_refused_by_name(tmp_path, text):
    file = tmp_path / "odd.yaml"
    file.write_text(text)
    with pytest.raises(FastrotError, match=r"odd\.yaml"):
        load_config(file)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=60) | st.text("a:[]{}&*!-\"\n ',0", max_size=60).map(str.encode))
def test_whatever_a_file_holds_there_is_no_traceback(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    file.write_bytes(data)
    with contextlib.suppress(FastrotError):
        load_config(file)
