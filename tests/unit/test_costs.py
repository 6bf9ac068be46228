"""What jobs took: read from their benchmarks, by stage, and the folders they filled."""

import re
from pathlib import Path

import pytest
from snakemake.benchmark import BENCHMARK_INTERVAL, BENCHMARK_INTERVAL_SHORT
from taskrsa.io import costs
from taskrsa.io.costs import (
    Job,
    advice_seconds,
    by_stage,
    disk_use,
    ranking_seconds,
    read_jobs,
    stage_of,
    tuning_seconds,
)

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def benchmark(folder: Path, name: str, *rows: str) -> None:
    (folder / f"{name}.tsv").write_text(HEAD + "".join(rows))


def timed(s: object, rss: object, cpu: object) -> str:
    return f"{s}\t0:00:0\t{rss}\t1\t1\t1\t0\t0\t90\t{cpu}\n"


def test_benchmarks_are_read_summed_and_damaged_ones_left_out(tmp_path):
    benchmark(tmp_path, "train_bank_edge2d", timed(10.5, 400, 9.5), timed(14, 500, 13))
    benchmark(tmp_path, "train_small_edge2d_w8_s0", timed(0.4, "-", "-"))
    benchmark(tmp_path, "rdms_bank_edge2d", timed(3, 300, "NA"))
    (tmp_path / "finetune_half.tsv").write_text("s\tcpu")
    (tmp_path / "bad.tsv").write_bytes(b"s\t\xff\xfe\n")
    jobs = {job.name: job for job in read_jobs(tmp_path)}
    assert set(jobs) == {"train_bank_edge2d", "train_small_edge2d_w8_s0", "rdms_bank_edge2d"}
    assert jobs["train_bank_edge2d"] == Job("train_bank_edge2d", 24.5, 22.5, 500)
    assert jobs["train_small_edge2d_w8_s0"] == Job("train_small_edge2d_w8_s0", 0.4, None, None)
    assert jobs["rdms_bank_edge2d"].cpu_s is None
    stages = {stage["name"]: stage for stage in by_stage(jobs.values())}
    assert list(stages) == ["small models", "training of the networks", "RDMs of the networks"]
    assert stages["training of the networks"]["peak_mb"] == 500
    assert stages["small models"]["unsampled"] == 1
    assert read_jobs(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("wall", "sampled", "whole"),
    [
        (12, 11, 11),
        (31, 15.5, 31),
        (45, 7.75, 22.5),
        (46, 45.5, 46),
        (91, 75.5, 91),
        (20, "-", None),
    ],
)
def test_what_was_not_sampled_counts_at_the_rate_of_what_was(tmp_path, wall, sampled, whole):
    benchmark(tmp_path, "finetune_a", timed(wall, 400, sampled))
    (job,) = read_jobs(tmp_path)
    assert job.cpu_s == (whole if whole is None else pytest.approx(whole))


def test_snakemake_samples_as_is_assumed():
    first = BENCHMARK_INTERVAL_SHORT * (BENCHMARK_INTERVAL + 1)
    assert (first, BENCHMARK_INTERVAL) == (costs.OFTEN_UNTIL, costs.RARELY)


def test_every_timed_rule_has_a_stage():
    root = Path(__file__).parents[2] / "workflow/rules"
    names = {
        name
        for path in root.glob("*.smk")
        for name in re.findall(r"/benchmarks/([a-z_]+)", path.read_text())
    }
    assert names
    assert not [name for name in sorted(names) if stage_of(name) == "other"]


def test_a_ranking_took_the_networks_and_the_target_s_own_small_models():
    names = ["rdms_bank_a", "rdms_bank_b", "train_target_voc_s0", "rdms_target_voc_s0"]
    others = [
        "train_target_voc_2_s0",
        "rdms_target_voc_s",
        "finetune_voc_block4_a_s0",
        "prepare_voc",
    ]
    jobs = [Job(name, 3.0, 1.0, 1) for name in [*names, "rdms_target_voc", *others]]
    assert ranking_seconds(jobs, "voc") == 5.0
    assert ranking_seconds(jobs, "voc", gpu=True) == 15.0
    assert ranking_seconds(jobs, "voc_2") == 3.0
    assert ranking_seconds([Job("rdms_bank_a", 1.0, None, None)], "voc") == 0.0


def test_a_ranking_on_own_images_took_the_rdms_of_these():
    names = ["train_target_voc_s0", "rdms_own_voc.a", "rdms_own_voc.b", "rdms_own_voc.small.s0"]
    others = ["rdms_bank_a", "rdms_target_voc_s0", "rdms_own_voc_2.a"]
    jobs = [Job(name, 3.0, 1.0, 1) for name in [*names, *others]]
    assert ranking_seconds(iter(jobs), "voc") == 4.0
    assert ranking_seconds(jobs, "pets") == 1.0


def test_an_advice_and_fine_tuning_took_the_jobs_of_their_target():
    names = ["target_features_voc_a", "measures_voc_a", "measures_voc_2_a", "measures_voc_b"]
    tuned = ["finetune_voc_block4_a_s0", "finetune_voc_race_a_round1", "finetune_voc_2_block4_a_s0"]
    jobs = [Job(name, 3.0, 1.0, 1) for name in (*names, *tuned)]
    assert advice_seconds(jobs, "voc", ["a"]) == 2.0
    assert advice_seconds(jobs, "voc", ["a", "b"], gpu=True) == 9.0
    assert tuning_seconds(jobs, "voc") == 2.0
    assert tuning_seconds(jobs, "voc_2") == 1.0


def test_disk_use_by_folder(tmp_path):
    (tmp_path / "bank/edge2d").mkdir(parents=True)
    (tmp_path / "bank/edge2d/w").write_bytes(b"x" * 100)
    (tmp_path / "bank/v").write_bytes(b"x" * 10)
    (tmp_path / "stimuli.csv").write_bytes(b"x" * 5)
    (tmp_path / "report.html").write_bytes(b"x" * 7)
    (tmp_path / "link").symlink_to(tmp_path / "stimuli.csv")
    assert disk_use(tmp_path, but=tmp_path / "report.html") == {"bank": 110, ".": 5}
