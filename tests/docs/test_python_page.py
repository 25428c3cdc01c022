"""The Python reference has every public name, and every type of ours that these take or return."""

import inspect
import re
import typing

import fastrot
from tests.docs.pages import ROOT

LISTED = set(re.findall(r"^::: (\S+)$", (ROOT / "docs/reference/python.md").read_text(), re.M))


def home(thing):
    return f"{thing.__module__}.{thing.__qualname__}"


def test_every_public_name_is_on_the_page():
    homes = {f"{fastrot._HOMES[name]}.{name}" for name in fastrot.__all__}
    assert homes <= LISTED


def test_every_type_that_they_take_or_return_is_on_the_page():
    functions = [inspect.unwrap(getattr(fastrot, name)) for name in fastrot.__all__]
    functions = [function for function in functions if inspect.isfunction(function)]
    ours = {
        home(kind)
        for function in functions
        for kind in typing.get_type_hints(function).values()
        if inspect.isclass(kind) and kind.__module__.startswith(("fastrot.", "pipelines."))
    }
    assert "fastrot.training.result.TrainResult" in ours
    assert ours <= LISTED
