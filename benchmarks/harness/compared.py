"""What figures are compared with: another case's figure, or a goal."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """How many times one case's figure is another's.

    Attributes:
        name: What is compared.
        above: The name of the case in the numerator.
        below: The name of the case in the denominator.
        value: The geometric mean of the rounds' ratios.
        low: The lower end of its 95 % interval; None with a single round.
        high: The upper end.
        rounds: The number of rounds in which both were measured.
    """

    name: str
    above: str
    below: str
    value: float
    low: float | None
    high: float | None
    rounds: int


@dataclass(frozen=True)
class Goal:
    """A figure and its lower bound, or its upper bound if ``at_most``.

    ``value`` is None if it was not measured; such a goal is not met. Nor is one whose value is of a single
    measurement, which may have been cold: ``judged`` is False (see ``repeated``).
    """

    name: str
    value: float | None
    goal: float
    at_most: bool = False
    judged: bool = True

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        if self.value is None or not self.judged:
            return False
        return self.value <= self.goal if self.at_most else self.value >= self.goal
