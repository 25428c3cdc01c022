"""Runs that differ from those of the paper's tables in their videos or their recipe."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """A change of a run.

    Attributes:
        name: Ending of the run's name, such as "-augmented".
        scene: Ending of its store's name, such as "-moving".
        overrides: ``key=value`` overrides of its config; the user's changes take precedence.
    """

    name: str = ""
    scene: str = ""
    overrides: tuple[str, ...] = ()


PLAIN = Variant()
"""No change."""
