"""Keys of the schema: default and range, checked by their section."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pipelines.errors import UsageError

MANY = 10**9
"""Upper bound of ranges without a natural one: a larger value is a typing error."""


class Range(NamedTuple):
    """The numbers that a key accepts, both ends included, and their description for messages."""

    low: float
    high: float
    words: str


def between(low: float, high: float) -> Range:
    """Return the range from ``low`` to ``high``."""
    return Range(low, high, f"between {low} and {high}")


def least(low: float) -> Range:
    """Return the range from ``low`` upwards."""
    return Range(low, MANY, f"at least {low} (and at most {MANY})")


ABOVE_0 = Range(math.ulp(0.0), 1e6, "above 0 (and at most 1e6)")


def key(default: Any, within: Range) -> Any:
    """Return a dataclass field whose value, or each number in its list, must be within a range."""
    metadata = {"within": within}
    if isinstance(default, list):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


class Section:
    """Base of the dataclasses of keys; checks the values on creation."""

    def __post_init__(self) -> None:
        section = type(self).__name__.removesuffix("Config").lower()
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            name = f"{section}.{field.name}" if section else field.name
            value = getattr(self, field.name)
            if get_origin(field.type) is Literal:
                _check_choice(name, value, get_args(field.type))
            within = field.metadata.get("within")
            if within is not None and value is not None:
                for number in value if isinstance(value, list) else [value]:
                    if not within.low <= number <= within.high:
                        raise UsageError(f"{name} is {number!r}: it must be {within.words}")


def _check_choice(name: str, value: Any, choices: Sequence[str] | Sequence[int]) -> None:
    # True equals 1 in Python, but true is not 1 in a config.
    if value not in choices or isinstance(value, bool | float):
        raise UsageError(f"{name} is {value!r}: choose one of {', '.join(map(str, choices))}")
