"""Claims: verdicts by their rules, values from a run's tables, and never a crash for what lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from taskrsa.errors import DataError
from taskrsa.io.costs import Job
from taskrsa.io.files import read_tables
from taskrsa.paper import claims
from taskrsa.paper.claims import COLUMNS, FAILS, HOLDS, OPEN, Found, NotComparable, Run
from taskrsa.paper.published import CLAIMS, RULES

REFERENCE = Path(__file__).parents[2] / "results/reference"
BY_KEY = {(claim.id, claim.key): claim for claim in CLAIMS}


def reference(run: str) -> dict[str, pd.DataFrame]:
    return read_tables(sorted((REFERENCE / run).glob("*.csv")))


def verdict_by(rule: str, found: Found, published: float | None = None) -> tuple[str, str]:
    some = replace(CLAIMS[0], rules=(RULES[rule],), published=published, from_voc2012=False)
    return claims.verdict_of(some, found)


def judged(run: Run, id: str, key: str) -> dict:
    return claims.judge(BY_KEY[id, key], run)


# --- the table of claims ---


def test_every_claim_can_be_found_and_judged():
    assert set(claims.FINDERS) == set(BY_KEY)
    assert {claim.rules[0].judge for claim in CLAIMS} == set(claims.JUDGES)
    assert {key for key, claim in BY_KEY.items() if claim.from_voc2012} == set(claims.FROM_VOC2012)


def test_values_that_follow_from_the_published_miou():
    tables = reference("nyuv2")
    prediction = tables["prediction"].set_index("ranking")["spearman"]
    expected = {
        ("C9", "same_task"): 10,
        ("C10", "prediction"): prediction["published, Figure 8"],
        # Table 2: 0.6083 random, 0.5901 and 0.5891 for the two tasks.
        ("C10", "below_scratch"): 0.6083 - (0.590164 + 0.589181) / 2,
    }
    choice = tables["choice"].set_index("statistic")["published"]
    for key in ("gain_mean", "gain_random"):
        expected["C10", key] = choice[key.replace("gain_", "gain_over_")]
    for key, value in expected.items():
        assert claims.published_value(BY_KEY[key]) == pytest.approx(value, abs=1e-5), key
    note = judged(Run(tables), "C10", "prediction")["note"]
    assert f"on the six tasks of Table 2: {prediction['published, Table 2']:.2f}" in note


# --- rules ---


@pytest.mark.parametrize(
    ("value", "low", "high", "p", "expected"),
    [
        (0.80, 0.75, 0.90, None, HOLDS),  # the interval reaches 0.85
        (0.76, 0.74, 0.78, None, HOLDS),  # within 0.1
        (0.75, None, None, None, HOLDS),  # at exactly 0.1
        (0.95, 0.93, 0.97, None, HOLDS),  # better is not a failure
        (0.74, 0.70, 0.78, None, FAILS),  # weaker, yet above chance
        (0.20, -0.1, 0.50, None, FAILS),  # neither
        (0.40, -0.2, 0.90, None, OPEN),  # both are possible
        (0.80, 0.75, 0.90, 0.20, OPEN),  # an interval over images, but chance over networks
        (0.40, 0.30, 0.50, 0.20, FAILS),
    ],
)
def test_a_correlation_reaches_the_published_one_or_not(value, low, high, p, expected):
    verdict, why = verdict_by("reaches", Found(value, low, high, p), 0.85)
    assert verdict == expected
    assert bool(why) == (expected != HOLDS)


def test_counts_may_be_two_targets_in_17_below():
    def verdict(found: Found, published: float) -> str:
        return verdict_by("reaches_count", found, published)[0]

    assert verdict(Found(12 / 17, 12 / 17, 12 / 17, chance=3 / 17), 14 / 17) == HOLDS
    assert verdict(Found(11 / 17, 11 / 17, 11 / 17, chance=3 / 17), 14 / 17) == FAILS
    assert verdict(Found(6 / 17, 1 / 17, 8 / 17, chance=1.06 / 17), 7 / 17) == OPEN


@pytest.mark.parametrize(
    ("rule", "found", "expected", "why"),
    [
        ("significant", Found(0.1, p=0.04), HOLDS, "p 0.04"),
        ("significant", Found(0.1, p=0.05), FAILS, "p 0.05"),
        ("significant", Found(-0.1, p=0.01), FAILS, "p 0.01"),
        ("significant", Found(0.4, p=0.0001, chance=0.5), FAILS, "p < 0.001"),
        ("not_significant", Found(0.1, p=0.04), FAILS, "p 0.04"),
        ("not_significant", Found(0.1, p=0.06), HOLDS, "p 0.06"),
        ("not_significant", Found(-0.1, p=0.01), HOLDS, "p 0.01"),
        ("positive", Found(0.1, 0.01, 0.2), HOLDS, ""),
        ("positive", Found(0.1, -0.1, 0.2), FAILS, "the interval reaches 0"),
        ("positive", Found(-0.1), FAILS, "not above 0"),
        ("not_first", Found(3, 2, 4), HOLDS, ""),
        ("not_first", Found(3, 1, 4), OPEN, "the 95 % interval includes the first place"),
        ("not_first", Found(1, 1, 4), FAILS, "it ranks first"),
        ("alike", Found(0.7), HOLDS, ""),
        ("alike", Found(0.69), FAILS, ""),
        ("low", Found(0.3), HOLDS, ""),
        ("low", Found(0.31), FAILS, ""),
        ("clusters", Found(0.5), HOLDS, ""),
        ("same_ranking", Found(0.79), FAILS, ""),
        ("cheaper", Found(0.9), FAILS, ""),
    ],
)
def test_the_other_rules(rule, found, expected, why):
    assert verdict_by(rule, found) == (expected, why)


# --- values ---


def test_a_run_without_anything_is_not_comparable_and_says_why():
    rows = claims.judge_all(Run({}))
    assert [row["claim"] for row in rows] == [claim.id for claim in CLAIMS]
    assert all(tuple(row) == COLUMNS for row in rows)
    assert {row["verdict"] for row in rows} == {OPEN}
    assert all(row["note"] and row["ours"] is None for row in rows)
    notes = {row["claim"]: row["note"] for row in rows}
    assert notes["C4"] == "the run has no transfer affinities"
    assert notes["C9"] == "the run does not have the paper's target"
    assert notes["C10"] == "no network was fine-tuned on the paper's target"
    assert notes["C12"] == "no fine-tuning was timed"


@pytest.mark.parametrize("run", ["demo", "nyuv2"])
def test_values_are_those_of_the_tables(run):
    tables = reference(run)
    found = Run(tables)

    def ours(id: str, key: str) -> float:
        return judged(found, id, key)["ours"]

    separation = tables["type_separation"].set_index(["layer", "control"])
    at_output = separation.loc[("compressed", "none")]
    assert ours("C1", "separation") == at_output["difference"]
    assert ours("C1", "clusters") == at_output["ari_average"]
    assert ours("C3", "labels") == separation.loc[("labels", "none"), "difference"]
    means = tables["similarity"].groupby("layer")["rs"].mean()
    steps = -np.diff(means[[*(f"block{n}" for n in range(1, 5)), "compressed"]])
    assert ours("C2", "fall") == pytest.approx(steps.min())
    agreement = tables["taxonomy_agreement"].set_index(["affinities", "similarity"])
    assert ours("C4", "spearman") == agreement.loc[("measured", "ours"), "spearman"]
    small = tables["small_vs_bank"].set_index(["task", "own_task"])
    row = judged(found, "C5", "pearson")
    assert row["ours"] == small.loc[("mean", "left out"), "pearson"]
    assert row["ci_low"] == small.loc[("mean", "left out"), "pearson_low"]
    edges = ["autoencoder", "denoise", "edge2d", "inpainting_whole", "keypoint2d"]
    lowest = small.xs("left out", level="own_task").loc[edges, "pearson"].min()
    assert ours("C5", "lowest_2d") == lowest
    top = tables["table1"].set_index("method").loc["rsa"]
    assert ours("C8", "top3") == top["top3"] / top["n"]
    ranking = tables["ranking"].set_index("model")
    assert ours("C9", "same_task") == ranking.loc["segmentsemantic", "rank"]
    width = tables["robustness_width"].query("task == 'mean' and reference != 'bank'")
    assert ours("C11", "width") == width["spearman"].min()


def test_published_affinities_of_another_bank_are_named_so():
    tables = reference("nyuv2")
    both = judged(Run(tables), "C4", "pearson")
    assert "measured here by probes; with Taskonomy's, of another bank" in both["note"]
    table = tables["taxonomy_agreement"]
    only = {"taxonomy_agreement": table[table["affinities"] == "published"]}
    assert "which belong to another bank" in judged(Run(only), "C4", "pearson")["note"]
    own = judged(Run(only, bank="taskonomy"), "C4", "pearson")
    assert own["note"].endswith("Taskonomy's affinities")


def test_superiority_counts_pairs():
    assert claims.superiority([3, 4], [1, 2]) == 1
    assert claims.superiority([1, 2], [3, 4]) == 0
    assert claims.superiority([1, 3], [2, 3]) == pytest.approx((0 + 0 + 1 + 0.5) / 4)


def ranking(rs: dict[str, tuple[str, float]]) -> pd.DataFrame:
    rows = sorted(((name, kind, value) for name, (kind, value) in rs.items()), key=lambda r: -r[2])
    return pd.DataFrame(
        [
            {
                "model": n,
                "label": n,
                "type": k,
                "rs": v,
                "rank": at,
                "rank_low": at,
                "rank_high": at,
            }
            for at, (n, k, v) in enumerate(rows, 1)
        ]
    )


def test_semantic_and_3d_above_2d():
    high = {f"a{n}": ("3D", 0.5 + n / 100) for n in range(6)}
    low = {f"b{n}": ("2D", 0.1 + n / 100) for n in range(6)}
    row = judged(Run({"ranking": ranking(high | low)}), "C9", "types")
    assert (row["ours"], row["verdict"]) == (1, HOLDS)
    swapped = {
        name: ("2D" if kind == "3D" else "3D", rs) for name, (kind, rs) in (high | low).items()
    }
    row = judged(Run({"ranking": ranking(swapped)}), "C9", "types")
    assert (row["ours"], row["verdict"]) == (0, FAILS)
    assert judged(Run({"ranking": ranking(high)}), "C9", "types")["verdict"] == OPEN


def scores(second: float) -> pd.DataFrame:
    """Three networks; the best, of vanishing points, has 0.8 of background and a second class."""
    classes = {"background": [0.7, 0.8, 0.7], "chair": [0.1, second, 0.1], "dog": [0.0, 0.04, 0.0]}
    table = pd.DataFrame({f"iou_{name}": values for name, values in classes.items()})
    table["score"] = table.mean(axis=1)
    return table.assign(model=["autoencoder", "vanishing_point", "random"])


def test_fine_tuning_on_the_floor_is_not_comparable():
    number, most = claims.classes_found(scores(0.8))
    assert (round(number, 9), most) == (2.05, "background")

    def row_of(second: float, seeds_agree: float) -> dict:
        prediction = pd.DataFrame([{"ranking": "small model", "seeds_agree": seeds_agree}])
        tables = {"scores": scores(second), "prediction": prediction}
        return judged(Run(tables), "C10", "below_scratch")

    assert row_of(0.8, np.nan)["verdict"] == FAILS
    assert row_of(0.3, 0.6)["verdict"] == FAILS
    assert row_of(0.3, np.nan)["verdict"] == OPEN
    row = row_of(0.3, 0.4)
    assert row["verdict"] == OPEN
    assert row["note"].endswith("the best network, mIoU 0.380, finds little but background")
    nothing = scores(0.3)
    nothing[["iou_background", "iou_chair", "iou_dog"]] = 0.0
    with pytest.raises(NotComparable, match="no class at all"):
        claims.classes_found(nothing)
    with pytest.raises(NotComparable, match="no class at all"):
        claims.classes_found(nothing[["model", "score"]])


def test_two_rows_where_one_is_meant_are_an_error():
    table = reference("demo")["small_agreement"]
    with pytest.raises(DataError, match=r"small_agreement.csv has 2 rows"):
        judged(Run({"small_agreement": pd.concat([table, table])}), "C6", "pearson")
    with pytest.raises(DataError, match=r"small_agreement.csv has no column seeds"):
        judged(Run({"small_agreement": table.drop(columns="seeds")}), "C6", "pearson")


# --- cost ---


def test_cost_is_a_ratio_by_hand():
    jobs = [
        *(Job(f"rdms_bank_{n}", 9, 2.0, 1) for n in "abc"),
        *(
            Job(f"finetune_voc_block4_{n}_s{s}", 90, cpu, 1)
            for n, cpu in (("a", 8), ("b", 12))
            for s in "01"
        ),
        Job("train_target_voc_s0", 50, 4.0, 1),
        Job("rdms_target_voc", 9, 1.0, 1),
    ]
    run = Run({}, jobs)
    row = judged(run, "C12", "network")
    assert (row["ours"], row["verdict"]) == (10 / 2, HOLDS)
    of_choice = 3 * 10 / (3 * 2 + 1 + 4)
    assert judged(run, "C12", "choice")["ours"] == of_choice
    others = [Job("finetune_pets_block4_a_s0", 1, 99.0, 1), Job("rdms_target_pets", 1, 99.0, 1)]
    assert judged(Run({}, jobs + others, target="voc"), "C12", "choice")["ours"] == of_choice
    assert judged(Run({}, jobs, target="pets"), "C12", "choice")["verdict"] == OPEN
    on_gpu = Run({}, jobs, gpu=True)
    assert judged(on_gpu, "C12", "network")["ours"] == 90 / 9
    assert "seconds on a GPU" in judged(on_gpu, "C12", "network")["note"]
    open_rows = claims.judge_all(Run({}, None))
    assert {row["verdict"] for row in open_rows if row["claim"] == "C12"} == {OPEN}
    timed = claims.with_timings(open_rows, jobs, gpu=False)
    assert [row["claim"] for row in timed] == [row["claim"] for row in open_rows]
    assert [row["ours"] for row in timed if row["claim"] == "C12"] == [10 / 2, of_choice]
    dear = Run({}, [Job("rdms_bank_a", 1, 5.0, 1), Job("finetune_voc_block4_a_s0", 1, 4.0, 1)])
    assert judged(dear, "C12", "network")["verdict"] == FAILS
    assert judged(dear, "C12", "choice")["note"] == "no small model was timed"
