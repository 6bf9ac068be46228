"""The schedule of a race: within its budget, each round fewer networks, the winner in full."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from taskrsa.transferability.race import LEAST, Round, race_rounds
from taskrsa.transferability.race_table import Outcome, decided, outcome, race_rows


@given(st.integers(1, 60), st.integers(1, 5000), st.floats(1, 40))
def test_a_race_keeps_its_budget_and_ends_with_a_full_training(networks, steps, budget):
    rounds = race_rounds(networks, steps, budget)
    # A budget is meant to six digits.
    assert sum(one.cost for one in rounds) <= (budget + 1e-6) * steps
    assert rounds[0].since == 0
    assert rounds[0].entrants <= networks
    assert (rounds[-1].entrants, rounds[-1].until) == (1, steps)
    for before, after in pairwise(rounds):
        assert before.entrants > after.entrants
        assert before.since < before.until == after.since
        assert before.until >= LEAST * steps


@given(st.integers(2, 60), st.integers(20, 5000), st.floats(1, 40), st.floats(0, 5))
def test_a_larger_budget_lets_more_in_and_trains_them_longer(networks, steps, budget, more):
    small, large = (race_rounds(networks, steps, b) for b in (budget, budget + more))
    assert small[0].entrants <= large[0].entrants
    if 1 < small[0].entrants == large[0].entrants:
        assert small[0].until <= large[0].until


def test_rounds_share_what_the_budget_leaves():
    # 200 steps are left beside the winner's, a third a round for 7, 3 and 1 that will not win.
    assert race_rounds(8, 100, 3) == [
        Round(8, 0, 9), Round(4, 9, 31), Round(2, 31, 98), Round(1, 98, 100),
    ]  # fmt: skip
    assert race_rounds(18, 300, 3)[0] == Round(11, 0, 15)
    assert race_rounds(6, 100, 1.2)[0] == Round(3, 0, 5)


@pytest.mark.parametrize(
    ("networks", "budget", "rounds"),
    [
        (1, 3, [Round(1, 0, 100)]),
        (5, 1, [Round(1, 0, 100)]),
        (2, 3, [Round(2, 0, 100), Round(1, 100, 100)]),
        (3, 3, [Round(3, 0, 100), Round(1, 100, 100)]),
        (4, 3, [Round(4, 0, 50), Round(2, 50, 100), Round(1, 100, 100)]),
        (7, 50, [Round(7, 0, 100), Round(1, 100, 100)]),
    ],
)
def test_small_races_and_large_budgets(networks, budget, rounds):
    assert race_rounds(networks, 100, budget) == rounds


def test_a_training_of_few_steps_has_rounds_of_whole_steps():
    assert race_rounds(4, 4, 2) == [Round(3, 0, 1), Round(2, 1, 3), Round(1, 3, 4)]
    assert race_rounds(20, 1, 3) == [Round(3, 0, 1), Round(1, 1, 1)]


@pytest.mark.parametrize("wrong", [(0, 1, 1), (1, 0, 1), (1, 1, 0.5)])
def test_what_is_no_race_is_refused(wrong):
    with pytest.raises(ValueError, match="no race of"):
        race_rounds(*wrong)


# --- what is decided ---


def runs(**scores: float) -> pd.DataFrame:
    rows = [{"model": name, "score": score} for name, score in scores.items()]
    return pd.DataFrame(rows).assign(
        trained="whole network", metric="accuracy", n_val=8, tap="last"
    )


def test_equal_scores_are_placed_in_the_order_of_entry():
    table = decided(runs(a=0.5, b=0.7, c=0.5, d=0.1), 2)
    assert table["model"].tolist() == ["b", "a", "c", "d"]
    assert table["survives"].tolist() == ["yes", "yes", "no", "no"]


def test_the_table_says_who_won_what_it_cost_and_by_how_much():
    rounds = race_rounds(4, 12, 2)
    tables = [decided(runs(a=0.5, b=0.7, c=0.6, d=0.1), 2), decided(runs(b=0.75, c=0.875), 1)]
    names = {name: (name.upper(), "mine") for name in "abcd"}
    rows = race_rows(tables, runs(c=0.9), rounds, names)
    assert rows["model"].tolist() == ["b", "c", "a", "d", "c", "b", "c"]
    assert rows["label"].tolist() == list("BCADCBC")
    assert rows["place"].tolist() == [1, 2, 3, 4, 1, 2, 1]
    assert rows["survives"].tolist() == ["yes", "yes", "no", "no", "yes", "no", "yes"]
    assert rows["cost"].sum() == sum(one.cost for one in rounds) <= 2 * 12
    assert rows["steps"].iloc[-1] == 12
    assert outcome(rows) == Outcome("c", 4, 2.0, "b", 0.125)


def test_one_network_has_no_runner_up():
    rows = race_rows([], runs(a=0.9), race_rounds(1, 12, 2), {"a": ("A", "")})
    assert outcome(rows) == Outcome("a", 1, 1.0, None, None)
    assert rows["n_val"].isna().all()
