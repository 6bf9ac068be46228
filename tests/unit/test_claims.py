"""Claims: verdicts by their rules, values from a run's tables, and never a crash for what lacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from taskrsa.errors import DataError
from taskrsa.io.costs import Job, by_stage, disk_use, read_jobs, stage_of
from taskrsa.paper import claims
from taskrsa.paper.claims import CLAIMS, COLUMNS, FAILS, HOLDS, OPEN, Found, NotComparable, Run

REFERENCE = Path(__file__).parents[2] / "results/reference"
BY_KEY = {(claim.id, claim.key): claim for claim in CLAIMS}


def reference(run: str) -> dict[str, pd.DataFrame]:
    return claims.read_tables(sorted((REFERENCE / run).glob("*.csv")))


def judged(run: Run, id: str, key: str) -> dict:
    return claims.judge(BY_KEY[id, key], run)


# --- the table of claims ---


def test_every_claim_of_the_paper_is_there_once():
    assert list(dict.fromkeys(claim.id for claim in CLAIMS)) == [f"C{n}" for n in range(1, 13)]
    assert len(BY_KEY) == len(CLAIMS)
    assert len({claim.statement for claim in CLAIMS}) == len(CLAIMS)
    assert all(claim.source and claim.rule.words.startswith("holds ") for claim in CLAIMS)


def test_published_values_are_those_of_the_tables_they_stand_in():
    from taskrsa.analysis.affinity import PUBLISHED_AGREEMENT
    from taskrsa.analysis.ranking import PUBLISHED_MATRICES, PUBLISHED_RANKING
    from taskrsa.analysis.selection import PUBLISHED_SELECTION

    tables = {
        "C4": PUBLISHED_AGREEMENT,
        "C5": PUBLISHED_RANKING,
        "C6": PUBLISHED_MATRICES,
        "C7": PUBLISHED_SELECTION,
    }
    for id, table in tables.items():
        for how in ("pearson", "spearman"):
            assert BY_KEY[id, how].published == table[how], (id, how)
    for n in (1, 3, 5):
        assert BY_KEY["C8", f"top{n}"].published == PUBLISHED_SELECTION[f"top{n}"] / 17
    prediction = pd.read_csv(REFERENCE / "demo/table2_prediction.csv").set_index("ranking")
    assert BY_KEY["C10", "prediction"].published == pytest.approx(
        prediction.loc["published, Figure 8", "spearman"], abs=1e-5
    )
    assert (
        pytest.approx(prediction.loc["published, Table 2", "spearman"], abs=1e-5)
        == claims.PUBLISHED_PREDICTION_6
    )
    choice = pd.read_csv(REFERENCE / "demo/table2_choice.csv").set_index("statistic")
    for key in ("gain_mean", "gain_random"):
        expected = choice.loc[key.replace("gain_", "gain_over_"), "published"]
        assert BY_KEY["C10", key].published == pytest.approx(expected, abs=1e-5)
    # Table 2: 0.6083 random, 0.5901 and 0.5891 for the two tasks.
    assert BY_KEY["C10", "below_scratch"].published == pytest.approx(0.0187, abs=1e-4)


# --- rules ---


@pytest.mark.parametrize(
    ("value", "low", "high", "p", "expected"),
    [
        (0.80, 0.75, 0.90, None, HOLDS),  # the interval reaches 0.85
        (0.76, 0.74, 0.78, None, HOLDS),  # within 0.1
        (0.75, None, None, None, HOLDS),  # at exactly 0.1
        (0.95, 0.93, 0.97, None, HOLDS),  # better is no failure
        (0.74, 0.70, 0.78, None, FAILS),  # weaker, yet above chance
        (0.20, -0.1, 0.50, None, FAILS),  # neither
        (0.40, -0.2, 0.90, None, OPEN),  # both are possible
        (0.80, 0.75, 0.90, 0.20, OPEN),  # an interval over images, but chance over networks
        (0.40, 0.30, 0.50, 0.20, FAILS),
    ],
)
def test_a_correlation_reaches_the_published_one_or_not(value, low, high, p, expected):
    verdict, why = claims.REACHES.judge(0.85, Found(value, low, high, p))
    assert verdict == expected
    assert bool(why) == (expected != HOLDS)


def test_counts_may_be_two_targets_in_17_below():
    judge = claims.REACHES_COUNT.judge
    assert judge(14 / 17, Found(12 / 17, 12 / 17, 12 / 17, chance=3 / 17))[0] == HOLDS
    assert judge(14 / 17, Found(11 / 17, 11 / 17, 11 / 17, chance=3 / 17))[0] == FAILS
    assert judge(7 / 17, Found(6 / 17, 1 / 17, 8 / 17, chance=1.06 / 17))[0] == OPEN


def test_the_other_rules():
    assert claims.SIGNIFICANT.judge(None, Found(0.1, p=0.04))[0] == HOLDS
    assert claims.SIGNIFICANT.judge(None, Found(0.1, p=0.05))[0] == FAILS
    assert claims.SIGNIFICANT.judge(None, Found(-0.1, p=0.01))[0] == FAILS
    assert claims.SIGNIFICANT.judge(None, Found(0.4, p=0.01, chance=0.5))[0] == FAILS
    assert claims.NOT_SIGNIFICANT.judge(None, Found(0.1, p=0.04))[0] == FAILS
    assert claims.NOT_SIGNIFICANT.judge(None, Found(0.1, p=0.06))[0] == HOLDS
    assert claims.NOT_SIGNIFICANT.judge(None, Found(-0.1, p=0.01))[0] == HOLDS
    assert claims.POSITIVE.judge(None, Found(0.1, 0.01, 0.2)) == (HOLDS, "")
    assert claims.POSITIVE.judge(None, Found(0.1, -0.1, 0.2)) == (FAILS, "the interval reaches 0")
    assert claims.POSITIVE.judge(None, Found(-0.1)) == (FAILS, "not above 0")
    assert claims.NOT_FIRST.judge(10, Found(3, 2, 4))[0] == HOLDS
    assert claims.NOT_FIRST.judge(10, Found(3, 1, 4))[0] == OPEN
    assert claims.NOT_FIRST.judge(10, Found(1, 1, 4))[0] == FAILS


# --- values ---


def test_a_run_without_anything_is_not_comparable_and_says_why():
    rows = claims.judge_all(Run({}))
    assert [row["claim"] for row in rows] == [claim.id for claim in CLAIMS]
    assert all(tuple(row) == COLUMNS for row in rows)
    assert {row["verdict"] for row in rows} == {OPEN}
    assert all(row["note"] and row["ours"] is None for row in rows)
    notes = {row["claim"]: row["note"] for row in rows}
    assert notes["C4"] == "the run has no transfer affinities"
    assert notes["C10"] == "the run has no new task"
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
    ranking = tables["figure8"].set_index("model")
    assert ours("C9", "own") == ranking.loc["segmentsemantic", "rank"]
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


def figure8(rs: dict[str, tuple[str, float]]) -> pd.DataFrame:
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
    row = judged(Run({"figure8": figure8(high | low)}), "C9", "types")
    assert (row["ours"], row["verdict"]) == (1, HOLDS)
    swapped = {
        name: ("2D" if kind == "3D" else "3D", rs) for name, (kind, rs) in (high | low).items()
    }
    row = judged(Run({"figure8": figure8(swapped)}), "C9", "types")
    assert (row["ours"], row["verdict"]) == (0, FAILS)
    assert judged(Run({"figure8": figure8(high)}), "C9", "types")["verdict"] == OPEN


def table2(second: float) -> pd.DataFrame:
    """Three networks; the best, of vanishing points, has 0.8 of background and a second class."""
    classes = {"background": [0.7, 0.8, 0.7], "chair": [0.1, second, 0.1], "dog": [0.0, 0.04, 0.0]}
    table = pd.DataFrame({f"iou_{name}": values for name, values in classes.items()})
    table["miou_mean"] = table.mean(axis=1)
    return table.assign(model=["autoencoder", "vanishing_point", "random"])


def test_fine_tuning_on_the_floor_is_not_comparable():
    number, most = claims.classes_found(table2(0.8))
    assert (round(number, 9), most) == (2.05, "background")

    def row_of(second: float, seeds_agree: float) -> dict:
        prediction = pd.DataFrame([{"ranking": "small model", "seeds_agree": seeds_agree}])
        tables = {"table2": table2(second), "table2_prediction": prediction}
        return judged(Run(tables), "C10", "below_scratch")

    assert row_of(0.8, np.nan)["verdict"] == FAILS
    assert row_of(0.3, 0.6)["verdict"] == FAILS
    assert row_of(0.3, np.nan)["verdict"] == OPEN
    row = row_of(0.3, 0.4)
    assert row["verdict"] == OPEN
    assert row["note"].endswith("the best network, mIoU 0.380, finds little but background")
    nothing = table2(0.3)
    nothing[["iou_background", "iou_chair", "iou_dog"]] = 0.0
    with pytest.raises(NotComparable, match="no class at all"):
        claims.classes_found(nothing)
    with pytest.raises(NotComparable, match="no class at all"):
        claims.classes_found(nothing[["model", "miou_mean"]])


def test_two_rows_where_one_is_meant_are_an_error():
    table = reference("demo")["small_agreement"]
    with pytest.raises(DataError, match=r"small_agreement.csv has 2 rows"):
        judged(Run({"small_agreement": pd.concat([table, table])}), "C6", "pearson")
    with pytest.raises(DataError, match=r"small_agreement.csv has no column seeds"):
        judged(Run({"small_agreement": table.drop(columns="seeds")}), "C6", "pearson")


def test_tables_that_are_none(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    assert claims.read_tables([tmp_path / "empty.csv"])["empty"].empty
    (tmp_path / "torn.csv").write_text('a,b\n1,2\n"3,4\n5,6,7')
    with pytest.raises(DataError, match=r"torn.csv: is no table"):
        claims.read_tables([tmp_path / "torn.csv"])
    with pytest.raises(DataError, match=r"none.csv: there is no such table"):
        claims.read_tables([tmp_path / "none.csv"])


# --- cost ---

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def benchmark(folder: Path, name: str, *rows: str) -> None:
    (folder / f"{name}.tsv").write_text(HEAD + "".join(rows))


def timed(s: object, rss: object, cpu: object) -> str:
    return f"{s}\t0:00:0\t{rss}\t1\t1\t1\t0\t0\t90\t{cpu}\n"


def test_benchmarks_are_read_summed_and_damaged_ones_left_out(tmp_path):
    benchmark(tmp_path, "train_edge2d", timed(10.5, 400, 9.5), timed(20, 500, 18))
    benchmark(tmp_path, "train_small_edge2d_w8_s0", timed(0.4, "-", "-"))
    benchmark(tmp_path, "rdms_trained_edge2d", timed(3, 300, "NA"))
    (tmp_path / "finetune_half.tsv").write_text("s\tcpu")
    (tmp_path / "bad.tsv").write_bytes(b"s\t\xff\xfe\n")
    jobs = {job.name: job for job in read_jobs(tmp_path)}
    assert set(jobs) == {"train_edge2d", "train_small_edge2d_w8_s0", "rdms_trained_edge2d"}
    assert jobs["train_edge2d"] == Job("train_edge2d", 30.5, 27.5, 500)
    assert jobs["train_small_edge2d_w8_s0"] == Job("train_small_edge2d_w8_s0", 0.4, None, None)
    assert jobs["rdms_trained_edge2d"].cpu_s is None
    stages = {stage.name: stage for stage in by_stage(jobs.values())}
    assert list(stages) == ["small models", "the bank: training", "RDMs of the bank"]
    assert stages["the bank: training"].peak_mb == 500
    assert stages["small models"].unsampled == 1
    assert read_jobs(tmp_path / "none") == []


def test_every_timed_rule_has_a_stage():
    import re

    root = Path(__file__).parents[2] / "workflow/rules"
    names = {
        name
        for path in root.glob("*.smk")
        for name in re.findall(r"/benchmarks/([a-z_]+)", path.read_text())
    }
    assert names
    assert not [name for name in sorted(names) if stage_of(name) == "other"]


def test_cost_is_a_ratio_by_hand():
    jobs = [
        *(Job(f"rdms_trained_{n}", 9, 2.0, 1) for n in "abc"),
        *(
            Job(f"finetune_block4_{n}_s{s}", 90, cpu, 1)
            for n, cpu in (("a", 8), ("b", 12))
            for s in "01"
        ),
        Job("train_target_model_s0", 50, 4.0, 1),
        Job("rdms_target", 9, 1.0, 1),
    ]
    run = Run({}, jobs)
    row = judged(run, "C12", "network")
    assert (row["ours"], row["verdict"]) == (10 / 2, HOLDS)
    of_choice = 3 * 10 / (3 * 2 + 1 + 4)
    assert judged(run, "C12", "choice")["ours"] == of_choice
    on_gpu = Run({}, jobs, gpu=True)
    assert judged(on_gpu, "C12", "network")["ours"] == 90 / 9
    assert "seconds on a GPU" in judged(on_gpu, "C12", "network")["note"]
    open_rows = claims.judge_all(Run({}, None))
    assert {row["verdict"] for row in open_rows if row["claim"] == "C12"} == {OPEN}
    timed = claims.with_timings(open_rows, jobs, gpu=False)
    assert [row["claim"] for row in timed] == [row["claim"] for row in open_rows]
    assert [row["ours"] for row in timed if row["claim"] == "C12"] == [10 / 2, of_choice]
    dear = Run({}, [Job("rdms_trained_a", 1, 5.0, 1), Job("finetune_a", 1, 4.0, 1)])
    assert judged(dear, "C12", "network")["verdict"] == FAILS
    assert judged(dear, "C12", "choice")["note"] == "no small model was timed"


def test_disk_use_by_folder(tmp_path):
    (tmp_path / "bank/edge2d").mkdir(parents=True)
    (tmp_path / "bank/edge2d/w").write_bytes(b"x" * 100)
    (tmp_path / "bank/v").write_bytes(b"x" * 10)
    (tmp_path / "stimuli.csv").write_bytes(b"x" * 5)
    (tmp_path / "report.html").write_bytes(b"x" * 7)
    (tmp_path / "link").symlink_to(tmp_path / "stimuli.csv")
    assert disk_use(tmp_path, but=tmp_path / "report.html") == {"bank": 110, ".": 5}
