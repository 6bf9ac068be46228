"""The schedule of a race: which networks are fine-tuned how far, until one is left.

Successive halving (Jamieson & Talwalkar 2016): all that enter are trained for a while, the better
half goes on, and so on; trainings continue, and the last one left ends with a full fine-tuning.
Libraries that halve (Optuna, Ray Tune, scikit-learn) hold trainings in one process or start again
in each round; here a round is known before anything runs, so that each leg is a job of the
workflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

# The least share of a full fine-tuning after which a network may be dropped: before, scores tell
# little more than chance. It limits how many enter.
LEAST = Fraction(1, 20)


@dataclass(frozen=True)
class Round:
    """Part of a race: `entrants` networks are trained from step `since` to step `until`."""

    entrants: int
    since: int
    until: int

    @property
    def cost(self) -> int:
        """Steps that it takes, of all its networks."""
        return self.entrants * (self.until - self.since)


def race_rounds(networks: int, steps: int, budget: float) -> list[Round]:
    """Return the rounds of a race; the last is that of the winner, up to the last step.

    One full fine-tuning is the winner's. Of what the budget leaves, each round gets an equal share,
    for those that will not win; what it does not need, because its networks are trained in full,
    goes to the first.

    Parameters
    ----------
    networks : in the bank; fewer enter if each could be trained for less than `LEAST` of the steps
        before half are dropped
    steps : of a full fine-tuning
    budget : what all may take, in full fine-tunings, at least 1

    Returns
    -------
    One round at least. Each has fewer networks than the one before, all but the last at least one
    step, and together they cost at most budget * steps.
    """
    if networks < 1 or steps < 1 or budget < 1:
        raise ValueError(f"no race of {networks} networks, {steps} steps and budget {budget}")
    spare = (Fraction(budget).limit_denominator(10**6) - 1) * steps  # 1.2 means 6 fifths
    for entrants in range(networks, 1, -1):
        ends = _ends(entrants, steps, spare)
        if ends[0] >= max(1, LEAST * steps):
            return _rounds(_halved(entrants), ends, steps)
    return [Round(1, 0, steps)]


def _halved(n: int) -> list[int]:
    """Return the networks of each round in which some are dropped."""
    counts = [n]
    while counts[-1] > 2:
        counts.append(-(-counts[-1] // 2))
    return counts


def _ends(entrants: int, steps: int, spare: Fraction) -> list[int]:
    """Return the step at which each round in which some are dropped ends; `spare` steps are there
    for all but the winner."""
    losers = [n - 1 for n in _halved(entrants)]
    lengths = [spare / len(losers) / n for n in losers]
    if (total := sum(lengths)) > steps:
        lengths = [length * steps / total for length in lengths]
        needed = sum(length * n for length, n in zip(lengths, losers, strict=True))
        # Between these rounds and a single one in which all are trained in full.
        room = losers[0] * steps - needed
        share = min(Fraction(1), (spare - needed) / room) if room else Fraction(0)
        lengths = [(1 - share) * length for length in lengths]
        lengths[0] += share * steps
    # Ends are rounded down, which only saves steps: each costs as many as are dropped at it.
    return [int(sum(lengths[: at + 1])) for at in range(len(lengths))]


def _rounds(counts: list[int], ends: list[int], steps: int) -> list[Round]:
    """Return the rounds, those without a step left out: the one before decides for them."""
    rounds, since = [], 0
    for entrants, until in zip(counts, ends, strict=True):
        if until > since:
            rounds.append(Round(entrants, since, until))
            since = until
    return [*rounds, Round(1, since, steps)]
