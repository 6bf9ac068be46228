"""Claims: verdicts by their rules, values from a run's tables, and never a crash for what lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from claims import main
from taskrsa.analysis.outcomes import LITTLE
from taskrsa.errors import DataError
from taskrsa.io.costs import Job
from taskrsa.io.files import read_tables
from taskrsa.paper import claims
from taskrsa.paper.claims import COLUMNS, FAILS, HOLDS, NOTHING, OPEN, Found, Run
from taskrsa.paper.published import CLAIMS, RULES
from taskrsa.tasks.dictionary import TASKS

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
    conditions = {rule for claim in CLAIMS for rule in claim.rules[1:]}
    assert {rule.name for rule in conditions} == set(claims.CONDITIONS)
    assert {rule.threshold for rule in conditions} == {LITTLE}


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
    tables["scores"] = tables["scores"].assign(chance_score=0.0)
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
    row = judged(found, "C4", "pearson")
    ways = tables["taxonomy_agreement"].query("affinities == 'measured'")
    assert row["ours"] == agreement.loc[("measured", "ours"), "pearson"]
    ends = (ways["pearson_low"].min(), ways["pearson_high"].max())
    assert (row["ci_low"], row["ci_high"]) == ends
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
    assert own["note"].endswith("affinities of Taskonomy")


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


# --- the clusters of the authors' tree ---


def similarity_of(matrix: np.ndarray, names: list[str]) -> pd.DataFrame:
    i, j = np.triu_indices(len(names), 1)
    pairs = {"model_a": np.array(names)[i], "model_b": np.array(names)[j], "rs": matrix[i, j]}
    return pd.DataFrame({"layer": "compressed", **pairs})


def test_the_tree_is_cut_as_the_authors_cut_it():
    names = [name for name, task in TASKS.items() if task.type in ("2D", "3D", "semantic")]
    types = np.array([TASKS[name].type for name in names])
    # Networks are alike within types, and one is like none, whose distance is that of two types.
    matrix = np.where(types[:, None] == types, 0.8, 0.2)
    apart = names.index("keypoint2d")
    matrix[apart] = matrix[:, apart] = 0.05
    row = judged(Run({"similarity": similarity_of(matrix, names)}), "C1", "clusters")
    assert row["verdict"] == HOLDS
    assert 0.5 < row["ours"] < 1  # one of the types is torn
    assert "alone: 2D keypoints (in the paper" in row["note"]
    assert "average linkage, cut into 3:" in row["note"]
    shuffled = np.random.default_rng(0).permutation(len(names))
    mixed = matrix[np.ix_(shuffled, shuffled)]
    row = judged(Run({"similarity": similarity_of(mixed, names)}), "C1", "clusters")
    assert (row["verdict"], row["ours"] < 0.5) == (FAILS, True)
    few = similarity_of(matrix[:4, :4], names[:4])
    assert judged(Run({"similarity": few}), "C1", "clusters")["verdict"] == OPEN
    assert judged(Run({"similarity": few.assign(layer="last")}), "C1", "clusters")["note"] == (
        "the run has no similarities at the compressed output"
    )


# --- ways that the paper leaves open ---


def agreement(*ways: tuple[float, float, float, float]) -> pd.DataFrame:
    """One row a way: value, low, high and p; the first is the default."""
    names = ["zscore", "log", "rank", "sum", "none"]
    rows = [
        {
            "affinities": "measured",
            "similarity": "ours" if not at else f"ours ({names[at]})",
            "normalisation": names[at],
            "n_tasks": 17,
            **dict(zip(("pearson", "pearson_low", "pearson_high", "pearson_p"), way, strict=True)),
        }
        for at, way in enumerate(ways)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("ways", "expected", "why"),
    [
        # The published value, 0.62, is inside: one way is above and another below it.
        ([(0.40, 0.35, 0.45, 0.001), (0.70, 0.65, 0.75, 0.001)], HOLDS, "2 ways"),
        # Inside by an interval alone, and by the decimals that were published.
        ([(0.40, 0.35, 0.45, 0.001), (0.58, 0.54, 0.63, 0.001)], HOLDS, "with intervals 0.35"),
        ([(0.40, 0.35, 0.45, 0.001), (0.58, 0.54, 0.616, 0.001)], HOLDS, "2 ways"),
        # All are stronger, or within 0.1.
        ([(0.70, 0.66, 0.75, 0.001), (0.80, 0.76, 0.85, 0.001)], HOLDS, "2 ways"),
        ([(0.56, 0.54, 0.58, 0.001), (0.55, 0.53, 0.57, 0.001)], HOLDS, "2 ways"),
        # One is within 0.1 and the other is not.
        ([(0.40, 0.35, 0.45, 0.001), (0.56, 0.54, 0.58, 0.001)], OPEN, "decides"),
        # Inside, but one way does not exceed chance.
        ([(0.10, -0.1, 0.20, 0.300), (0.70, 0.65, 0.75, 0.001)], OPEN, "decides"),
        ([(0.60, 0.55, 0.65, 0.100), (0.60, 0.55, 0.65, 0.100)], OPEN, "chance are both possible"),
        # None comes near.
        ([(0.40, 0.35, 0.45, 0.001), (0.30, 0.25, 0.35, 0.001)], FAILS, "weaker than published"),
        ([(0.10, -0.1, 0.20, 0.300), (0.05, -0.1, 0.20, 0.4)], FAILS, "no better than chance"),
    ],
)
def test_where_the_paper_leaves_the_way_open_the_range_is_judged(ways, expected, why):
    row = judged(Run({"taxonomy_agreement": agreement(*ways)}), "C4", "pearson")
    assert (row["published"], row["ours"], row["verdict"]) == (0.62, ways[0][0], expected)
    assert why in row["note"]
    assert row["ci_low"] == min(low for _, low, _, _ in ways)
    assert row["ci_high"] == max(high for _, _, high, _ in ways)


# --- networks that have learnt nothing ---


def scores(best: float, small: float = 0.5, deviation: float = 0.01) -> pd.DataFrame:
    """Four networks fine-tuned, chance at 0.2, and the target's small model."""
    models = ["autoencoder", "vanishing_point", "denoise", "random", "small"]
    table = pd.DataFrame({"model": models, "score": [0.21, 0.2, best, 0.15, small]})
    return table.assign(chance_score=0.2, score_sd=[deviation] * 4 + [0.01])


def quality(**removed: float) -> pd.DataFrame:
    return pd.DataFrame({"task": list(removed), "error_removed": list(removed.values())})


def failing() -> dict[str, pd.DataFrame]:
    """Tables by which claims fail: a ranking that is wrong, similarities that say nothing."""
    high = {f"a{n}": ("2D", 0.5 + n / 100) for n in range(6)}
    low = {"segmentsemantic": ("semantic", 0.9), **{f"b{n}": ("3D", n / 100) for n in range(6)}}
    no_order = {"ranking": "small model", "spearman": -0.5, "spearman_low": -0.6}
    no_order |= {"spearman_high": -0.4, "spearman_p": 0.9, "n_models": 4, "seeds_agree": np.nan}
    gain = {"statistic": "gain_over_mean", "value": -0.1, "low": -0.2, "high": -0.05}
    choice = {"statistic": "choice", "model": "denoise", "value": 0.1}
    weak = {"task": "mean", "own_task": "left out", "n_tasks": 3, "pearson": 0.1}
    return {
        "ranking": ranking(high | low),
        "prediction": pd.DataFrame([no_order]),
        "choice": pd.DataFrame([choice, gain]),
        "small_vs_bank": pd.DataFrame([weak]),
        "type_separation": pd.DataFrame(
            [
                {"layer": "compressed", "control": "none", "within": 0.1, "between": 0.2}
                | {"difference": -0.1, "p": 0.9}
            ]
        ),
        "taxonomy_agreement": agreement((0.1, 0.05, 0.15, 0.001)),
        "scores": scores(0.6),
    }


LEARNT = {"autoencoder": 0.5, "vanishing_point": 0.3, "denoise": 0.2, "segmentsemantic": 0.4}


@pytest.mark.parametrize(
    ("key", "without", "words"),
    [
        (("C1", "separation"), "quality", "2 of 4 networks of the bank learnt next to nothing"),
        (("C4", "pearson"), "quality", "the median removed 0.215 of the error"),
        (("C5", "pearson"), "quality", "2 of 4 networks of the bank"),
        (("C5", "pearson"), "small_quality", "2 of 2 small models learnt next to nothing"),
        (("C9", "types"), "quality", "2 of 4 networks of the bank"),
        (("C9", "types"), "small", "the target's small model reached 0.239, chance is 0.200"),
        (("C9", "same_task"), "small", "the target's small model reached 0.239"),
        (("C9", "same_task"), "same_task", "semantic segmentation removed 0.010 of the error"),
        (("C10", "prediction"), "small", "the target's small model reached 0.239"),
        (("C10", "prediction"), "tuned", "the best fine-tuned network reached 0.239"),
        (("C10", "gain_mean"), "tuned", "the best fine-tuned network reached 0.239"),
        (("C10", "gain_mean"), "spread", "the best fine-tuned network reached 0.600"),
        (("C10", "below_scratch"), "tuned", "the best fine-tuned network reached 0.239"),
        (("C10", "below_scratch"), "pair", "the bank's network of vanishing point removed 0.020"),
    ],
)
def test_no_claim_fails_for_networks_that_learnt_nothing(key, without, words):
    tables = failing() | {"quality": quality(**LEARNT), "small_quality": quality(a=0.2, b=0.3)}
    assert judged(Run(tables), *key)["verdict"] == FAILS
    changed = {
        "quality": {"quality": quality(**LEARNT | {"denoise": 0.03, "vanishing_point": 0.01})},
        "small_quality": {"small_quality": quality(a=0.05, b=-0.1)},
        "same_task": {"quality": quality(**LEARNT | {"segmentsemantic": 0.01})},
        "pair": {"quality": quality(**LEARNT | {"vanishing_point": 0.02})},
        "small": {"scores": scores(0.6, small=0.239)},  # 0.24 is 0.05 of the way from 0.2 to 1
        "tuned": {"scores": scores(0.239)},
        "spread": {"scores": scores(0.6, deviation=0.41)},
    }
    row = judged(Run(tables | changed[without]), *key)
    assert row["verdict"] == OPEN
    assert row["note"].startswith(NOTHING)
    assert words in row["note"]


def test_what_clearly_beats_chance_is_judged():
    for changed in (scores(0.241, small=0.241), scores(0.6, deviation=np.nan)):
        assert judged(Run(failing() | {"scores": changed}), "C10", "prediction")["verdict"] == FAILS
    # One network that learnt nothing among many is told, and speaks for itself alone.
    tables = failing() | {"quality": quality(**LEARNT | {"denoise": 0.01})}
    row = judged(Run(tables), "C9", "types")
    assert row["verdict"] == FAILS
    assert row["note"].endswith("1 of 4 networks of the bank learnt next to nothing")
    old = failing() | {"scores": scores(0.6).drop(columns="chance_score")}
    row = judged(Run(old), "C10", "prediction")
    assert (row["verdict"], "no column chance_score" in row["note"]) == (OPEN, True)


@pytest.mark.parametrize(
    ("learnt", "expected", "words"),
    [
        ([0.8, 0.8], OPEN, "nothing was learnt of some tasks, which decides: 0.80 [0.75, 0.85]"),
        ([0.3, 0.3], FAILS, "weaker than published, yet above chance; 0.30 [0.25, 0.35] without"),
    ],
)
@pytest.mark.parametrize("key", [("C5", "pearson"), ("C7", "pearson")])
def test_a_mean_fails_only_if_it_does_without_what_was_not_learnt(key, learnt, expected, words):
    values = [-0.5, *learnt]
    mean = float(np.mean(values))
    names = ["curvature", "reshade", "rgb2depth", "mean"]
    table = pd.DataFrame({"task": names, "pearson": [*values, max(mean, 0.1)]})
    table["pearson_low"], table["pearson_high"] = table["pearson"] - 0.05, table["pearson"] + 0.05
    table = table.assign(own_task="left out", n_tasks=3, n_targets=3, method="rsa")
    table = table.assign(target=table["task"], affinities="measured")
    if key[0] == "C7":
        table = table.drop(columns="task")
    removed = quality(curvature=0.02, reshade=0.2, rgb2depth=0.3)
    tables = {"small_vs_bank": table, "selection": table, "quality": removed}
    row = judged(Run(tables), *key)
    assert (row["verdict"], row["ours"]) == (expected, max(mean, 0.1))
    assert words in row["note"]
    del tables["quality"]
    assert judged(Run(tables), *key)["verdict"] == FAILS


def test_the_lowest_small_model_is_one_that_learnt():
    rows = [("curvature", -0.5), ("reshade", 0.8), ("rgb2depth", 0.9), ("mean", 0.4)]
    table = pd.DataFrame(rows, columns=["task", "pearson"]).assign(own_task="left out")
    small = quality(curvature=0.02, reshade=0.2, rgb2depth=0.3)
    row = judged(Run({"small_vs_bank": table, "small_quality": small}), "C5", "lowest_3d")
    assert (row["ours"], row["verdict"]) == (0.8, HOLDS)
    assert "lowest of 2: reshading" in row["note"]
    assert "next to nothing was learnt: curvature (0.020)" in row["note"]
    assert judged(Run({"small_vs_bank": table}), "C5", "lowest_3d")["ours"] == -0.5
    none = {"small_vs_bank": table[:1], "small_quality": small}
    assert judged(Run(none), "C5", "lowest_3d")["note"].startswith(NOTHING)


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


# --- the script ---


def test_the_script_judges_by_what_the_networks_learnt(tmp_path):
    def written(name: str, table: pd.DataFrame) -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        table.to_csv(path, index=False)
        return str(path)

    tables = [written(f"{name}.csv", table) for name, table in failing().items()]
    common = {"tables": tables, "same_task": "segmentsemantic", "bank": "trained"}
    claims_file = tmp_path / "claims.csv"
    # Both tables have the same name in a run.
    bank = written("bank/quality.csv", quality(**LEARNT))
    small = written("small/quality.csv", quality(a=0.0, b=0.01))
    main(**common, claims=str(claims_file), quality=[bank], small_quality=[small])
    found = pd.read_csv(claims_file).set_index(["claim", "statement"])["verdict"]
    assert set(found["C5"]) == {OPEN}
    assert FAILS in set(found["C1"])
    main(**common, claims=str(claims_file))
    assert FAILS in set(pd.read_csv(claims_file).set_index("claim").loc["C5", "verdict"])
