"""Ratios of two cases' figures, paired round by round, with their 95 % intervals."""

import math

from benchmarks.harness.compared import Ratio
from benchmarks.harness.measure import Outcome
from fastrot.evaluation.intervals import mean_of


def paired_ratio(name: str, above: Outcome, below: Outcome, figure: str) -> Ratio | None:
    """Return ``above``'s figure over ``below``'s, or None if either was not measured.

    Both were measured once in every round, one soon after the other, so load in the background changes
    their ratio less than their rates. The interval is Student's, of the logarithms of the ratios. Neither may
    be a case with ``first_s``, which is not measured in the first round.
    """
    if figure not in above.figures or figure not in below.figures:
        return None
    # A case can lack the last round, if the budget ended in it.
    both = zip(above.figures[figure].values, below.figures[figure].values, strict=False)
    mean = mean_of([math.log(over / under) for over, under in both])
    low, high = mean.interval or (None, None)
    return Ratio(
        name,
        above.name,
        below.name,
        math.exp(mean.mean),
        None if low is None else math.exp(low),
        None if high is None else math.exp(high),
        mean.count,
    )
