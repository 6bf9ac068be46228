"""The study of measures: made tables whose answers are known by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t
from taskrsa.errors import DataError
from taskrsa.transferability.study import (
    Method,
    choice_rows,
    judged,
    methods_of,
    order_of,
    outcome,
    regrets,
    study_rows,
    summary_rows,
    with_t_interval,
)
from taskrsa.transferability.study_cost import cost_rows

NAMES = ("a", "b", "c", "none")


def tables(reached, measures, seeds=(0,), chance=0.2):
    """Return runs, measures and advice of a target: scores by network, and by (measure, layer)."""
    # The second seed is .02 above the first, but for c, which reaches the same.
    shifts = {0: -0.01, 1: 0.01} if len(seeds) > 1 else {0: 0.0}
    runs = [
        {"model": name, "seed": seed, "score": score + shifts[seed] * (name != "c")}
        for name, score in zip(NAMES, reached, strict=True)
        for seed in seeds
    ]
    runs.append({"model": "small", "seed": 9, "score": 0.99})
    rows = [
        {"model": name, "measure": measure, "layer": layer or None, "score": score}
        for (measure, layer), scores in measures.items()
        for name, score in zip(NAMES, scores, strict=True)
    ]
    advice = pd.DataFrame({"model": NAMES, "untrained": ["no", "no", "no", "yes"]})
    return pd.DataFrame(runs).assign(chance_score=chance), pd.DataFrame(rows), advice


GOOD, BAD = (0.9, 0.5, 0.3, 0.1), (0.1, 0.3, 0.5, 0.9)
REACHED = (0.7, 0.6, 0.45, 0.1)  # of a range of 0.5 lost are 0, 0.2, 0.5 and, below chance, 1
TARGETS = {
    "x": outcome(
        *tables(REACHED, {("good", "tap"): GOOD, ("bad", "tap"): BAD, ("size", ""): GOOD})
    ),
    "y": outcome(
        *tables(REACHED, {("good", "tap"): GOOD, ("bad", "tap"): BAD, ("size", ""): GOOD})
    ),
    # Here size errs, and good by a place.
    "z": outcome(
        *tables(
            REACHED,
            {("good", "tap"): (0.5, 0.9, 0.3, 0.1), ("bad", "tap"): GOOD, ("size", ""): BAD},
        )
    ),
}


def test_what_a_network_loses():
    np.testing.assert_allclose(regrets(np.array(REACHED), 0.2), [0, 0.2, 0.5, 1])
    assert np.isnan(regrets(np.array([0.1, 0.2]), 0.2)).all()


def test_an_order_is_judged_by_its_first_choices():
    reached, untrained = np.array(REACHED), np.array([False, False, False, True])
    right = judged(np.array(GOOD), reached, 0.2, untrained)
    assert right == pytest.approx(
        {"spearman": 1, "weighted_tau": 1, "regret": 0, "untrained_first": 0}
    )
    wrong = judged(np.array(BAD), reached, 0.2, untrained)
    assert wrong == pytest.approx(
        {"spearman": -1, "weighted_tau": -1, "regret": 1, "untrained_first": 1}
    )
    # The second and the untrained one are equally good by it.
    tied = judged(np.array([0, 1, 0, 1]), reached, 0.2, untrained)
    assert tied["regret"] == pytest.approx(0.6)
    assert tied["untrained_first"] == 0.5


def test_weighted_tau_by_hand():
    # The two best are exchanged: of the pairs' additive hyperbolic weights 1/r + 1/s, which sum to
    # 6.25, theirs, 1.5, counts against.
    swapped = judged(np.array([2, 3, 1, 0]), np.array(REACHED), 0.2, np.zeros(4, dtype=bool))
    assert swapped["weighted_tau"] == pytest.approx((6.25 - 2 * 1.5) / 6.25)
    assert swapped["spearman"] == pytest.approx(0.8)
    assert swapped["regret"] == pytest.approx(0.2)


def test_measures_are_combined_by_their_ranks():
    target = TARGETS["z"]
    np.testing.assert_array_equal(order_of(Method(("good",), "tap"), target), [-2, -1, -3, -4])
    both = order_of(Method(("good", "size"), "tap"), target)
    np.testing.assert_array_equal(both, [-3, -2, -2.5, -2.5])
    assert order_of(Method(("good",), "depth1"), target) is None
    # What scores no network is left out; a network without a score is last.
    other = outcome(
        *tables(REACHED, {("good", "tap"): (np.nan, 0.5, 0.9, 0.1), ("no", "tap"): [np.nan] * 4})
    )
    np.testing.assert_array_equal(order_of(Method(("good", "no"), "tap"), other), [-4, -2, -1, -3])
    assert order_of(Method(("no",), "tap"), other) is None


def test_every_measure_and_all_combinations():
    names = [method.name for method in methods_of(TARGETS)]
    assert names == [
        *("bad@tap", "good@tap", "size"),
        *("bad+good@tap", "bad+size@tap", "good+size@tap", "bad+good+size@tap"),
    ]


def test_rows_of_targets_and_baselines():
    rows = study_rows(TARGETS, [Method(("good",), "tap"), Method(("good",), "depth1")])
    assert rows["label"].iloc[0] == "good"
    assert list(rows["method"]) == ["good@tap"] * 3 + ["blind"] * 3 + ["any"] * 3
    good = rows[rows["method"] == "good@tap"].set_index("target")
    assert good.loc["x", ["first", "n_models", "layer"]].tolist() == ["a", 4, "tap"]
    assert good.loc["z", "first"] == "b"
    assert good.loc["z", "regret"] == pytest.approx(0.2)
    # The targets agree, so what was best on the others is best.
    assert (rows.loc[rows["method"] == "blind", "regret"] == 0).all()
    anyone = rows[rows["method"] == "any"]
    np.testing.assert_allclose(anyone["regret"], (0 + 0.2 + 0.5 + 1) / 4)
    assert (anyone["untrained_first"] == 0.25).all()
    assert (anyone["weighted_tau"] == 0).all()


def test_blind_does_not_look_at_the_target():
    upside_down = outcome(*tables(REACHED[::-1], {("good", "tap"): GOOD}))
    rows = study_rows({**TARGETS, "w": upside_down}, [])
    blind = rows[rows["method"] == "blind"].set_index("target")
    assert blind.loc["w", "first"] == "a"
    assert blind.loc["w", "regret"] == 1


def test_seeds_are_a_ceiling():
    target = outcome(*tables((0.7, 0.69, 0.695, 0.1), {("good", "tap"): GOOD}, seeds=(0, 1)))
    np.testing.assert_allclose(target.scores, [0.7, 0.69, 0.695, 0.1])
    rows = study_rows({"w": target, **TARGETS}, []).set_index(["target", "method"])
    # Seed 0 reaches .69 .68 .695 .09 and puts c first, which by seed 1 (.71 .70 .695 .11) loses
    # .015 of .51; seed 1 puts a first, which by seed 0 loses .005 of .495.
    assert rows.loc[("w", "seeds"), "regret"] == pytest.approx((0.015 / 0.51 + 0.005 / 0.495) / 2)
    assert ("y", "seeds") not in rows.index


def test_means_over_targets():
    rows = study_rows(TARGETS, methods_of(TARGETS))
    summary = summary_rows(rows, 3).set_index("method")
    assert summary.index[0] == "blind"
    regret = summary.loc["good@tap"]
    assert regret["regret"] == pytest.approx(0.2 / 3)
    assert regret["regret_worst"] == pytest.approx(0.2)
    reach = t.ppf(0.975, 2) * np.std([0, 0, 0.2], ddof=1) / 3**0.5
    assert regret["regret_high"] == pytest.approx(0.2 / 3 + reach)
    assert summary.loc["bad@tap", "untrained_first"] == pytest.approx(2 / 3)
    one = with_t_interval("regret", np.array([0.5, np.nan]))
    assert one["regret"] == 0.5
    assert np.isnan(one["regret_low"])
    assert with_t_interval("regret", np.array([0.0, 0.5]))["regret_low"] == 0


def test_a_method_is_chosen_on_the_other_targets():
    rows = study_rows(TARGETS, methods_of(TARGETS))
    choice = choice_rows(rows)
    single = choice[choice["family"] == "single measures"].set_index("held_out")
    # On x and y good and size lose nothing, alike in all; the name decides. Without x or y good
    # loses .1 on average, and size .5.
    assert single.loc[["x", "y", "z"], "method"].tolist() == ["good@tap"] * 3
    assert single.loc[["x", "y", "z"], "regret_others"].tolist() == pytest.approx([0.1, 0.1, 0])
    assert single.loc[["x", "y", "z"], "regret"].tolist() == pytest.approx([0, 0, 0.2])
    assert single.loc["mean", "regret"] == pytest.approx(0.2 / 3)
    assert single.loc["mean", "regret_worst"] == pytest.approx(0.2)
    assert single.loc["none", "method"] == "good@tap"
    assert single.loc["none", "regret_others"] == pytest.approx(0.2 / 3)
    assert set(choice["family"]) == {"single measures", "combinations", "all"}


def test_what_says_nothing_of_a_target_is_not_chosen():
    better = {("good", "tap"): BAD, ("new", "tap"): GOOD}
    targets = {
        "x": outcome(*tables(REACHED, {("good", "tap"): BAD})),
        **dict.fromkeys("yz", outcome(*tables(REACHED, better))),
    }
    rows = study_rows(targets, methods_of(targets))
    single = choice_rows(rows).query("family == 'single measures'")
    assert set(single["method"]) == {"good@tap", ""}
    assert choice_rows(rows[rows["target"] != "z"]).empty
    summary = summary_rows(rows, 3)
    assert summary.set_index("method").loc["new@tap", "n_targets"] == 2
    assert summary["method"].iloc[-1] in ("new@tap",)


def test_a_network_without_a_run_is_named():
    runs, measures, advice = tables(REACHED, {("good", "tap"): GOOD}, seeds=(0, 1))
    with pytest.raises(DataError, match="study: 4 networks were fine-tuned, with a run of every"):
        outcome(runs.drop(index=0), measures, advice)


def test_costs(tmp_path):
    seconds = pd.DataFrame(
        {
            "measure": ["good", "good", "size"],
            "layer": ["tap", "depth1", None],
            "seconds": [1, 2, 0.5],
        }
    )
    for name, cpu in (
        ("finetune_x_block4_a_s0", 12),
        ("finetune_y_block4_a_s0", 4),
        ("finetune_other_a", 99),
    ):
        (tmp_path / f"{name}.tsv").write_text(f"s\tmax_rss\tcpu_time\n{cpu + 1}\t100\t{cpu}\n")
    found = cost_rows(seconds, tmp_path, ["x", "y"]).set_index("what")
    assert found.loc["good", "cpu_seconds"] == 1.5
    assert found.loc["good", "of_finetuning"] == pytest.approx(1.5 / 8)
    whole = "fine-tuning, all networks and seeds"
    assert found.loc[whole, ["cpu_seconds", "of_finetuning"]].tolist() == [8, 1]
    assert "small models" not in found.index
