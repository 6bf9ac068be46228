"""The same DAG on a few of the NYUv2 photographs, and Figure 6 from the published affinities."""

import pandas as pd
import pytest
import yaml
from conftest import copy_project

pytestmark = pytest.mark.workflow

TINY = {
    "run": "tiny",
    "images": {"train": 24, "val": 8},
    "image_size": 32,
    "label_size": 16,
    "stimuli": {"n": 20},
    "encoder": {"width": 4, "strides": [1, 1, 1, 1]},
    "training": {"recipe": {"steps": 12, "batch_size": 8, "learning_rate": 0.001}},
    "small": {
        "seeds": [0],
        "recipe": {"steps": 8, "batch_size": 8},
        "tasks": ["edge2d", "denoise", "curvature", "rgb2depth"],
    },
    "robustness": {"subsets": 2, "images": [10, 20], "widths": [4], "tasks": ["edge2d"]},
    "targets": {"voc": None},
    "n_random": 2,
    "rsa": {"bootstraps": 20, "permutations": 19, "type_permutations": 19},
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, real_data):
    project = copy_project(tmp_path_factory.mktemp("nyuv2") / "project")
    (project.path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    files = ("config/nyuv2.yaml", "tiny.yaml")
    printed = project.snakemake("--configfile", *files, data=real_data)
    return project, printed


def test_tasks_without_labels_are_left_out_with_a_reason(tiny):
    project, printed = tiny
    assert "left out: room_layout: the source gives no room layout" in printed
    tasks = pd.read_csv(project.path / "results/tiny/tables/tasks.csv").set_index("task")
    left_out = set(tasks.index[~tasks["included"]])
    assert left_out == {"room_layout", "vanishing_point", "class_places"}
    assert tasks.loc[list(left_out), "reason"].str.len().min() > 10
    quality = pd.read_csv(project.path / "results/tiny/bank/quality.csv")
    assert set(quality["task"]) == set(tasks.index[tasks["included"]])


def test_figure6_compares_with_the_published_affinities(tiny):
    project, _ = tiny
    agreement = pd.read_csv(project.path / "results/tiny/tables/taxonomy_agreement.csv")
    assert set(agreement["affinities"]) == {"measured", "published"}
    agreement = agreement[agreement["affinities"] == "published"].set_index("similarity")
    assert agreement.loc["published", ["pearson", "spearman"]].tolist() == [0.62, 0.65]
    assert agreement.loc["ours", "n_tasks"] == 15
    assert -1 <= agreement.loc["ours", "pearson_low"] <= agreement.loc["ours", "pearson_high"] <= 1
    affinity = pd.read_csv(project.path / "results/tiny/tables/affinity_published.csv")
    assert list(affinity) == ["source", "target", "affinity"]
    assert len(affinity) == 15 * 15
    for name in ("figure6", "figure6_published"):
        assert (project.path / f"results/tiny/figures/{name}.pdf").stat().st_size > 1000


def test_without_published_affinities_what_needs_them_is_left_out_in_one_line(project):
    printed = project.snakemake("--dry-run", "--configfile", "config/smoke.yaml")
    lines = [line for line in printed.splitlines() if "left out" in line]
    wanted = "needs Taskonomy's published affinities (set affinities.path, or accept their licence)"
    assert lines == [f"left out: Figure 6, published affinities: {wanted}"]
    asked = project.snakemake(
        "--configfile", "config/smoke.yaml", "--", "figure6_published", ok=False
    )
    assert asked.splitlines().count(f"error: Figure 6, published affinities: {wanted}") == 1
    (project.path / "use.yaml").write_text(yaml.safe_dump({"affinities": {"use": "published"}}))
    words = ("--configfile", "config/smoke.yaml", "use.yaml")
    printed = project.snakemake("--dry-run", *words)
    wanted = "needs transfer affinities of its tasks, measured or published (affinities.path)"
    assert f"Figure 6, Similarity against transfer, Transfer affinities: {wanted}" in printed
    assert not project.planned(*words) & {"probe_source", "figure6", "model_selection", "table1"}


def test_the_published_affinities_can_be_the_bank_s(tiny, real_data):
    project, _ = tiny
    (project.path / "use.yaml").write_text(yaml.safe_dump({"affinities": {"use": "published"}}))
    words = ("--configfile", "config/nyuv2.yaml", "tiny.yaml", "use.yaml")
    project.snakemake(*words, "--", "table1", "figure6", data=real_data)
    table1 = pd.read_csv(project.path / "results/tiny/tables/table1.csv").set_index("method")
    assert set(table1["affinities"]) == {"published"}
    assert table1.loc["rsa", "n"] == 15
    used = pd.read_csv(project.path / "results/tiny/tables/affinity.csv")
    published = pd.read_csv(project.path / "results/tiny/tables/affinity_published.csv")
    pd.testing.assert_frame_equal(used, published)


def test_an_affinity_file_of_another_content_is_refused(tiny, tmp_path, real_data):
    project, _ = tiny
    other = tmp_path / "all_affinities.pkl"
    other.write_bytes(b"not the published file")
    (project.path / "other.yaml").write_text(yaml.safe_dump({"affinities": {"path": str(other)}}))
    printed = project.snakemake(
        "--configfile", "config/nyuv2.yaml", "tiny.yaml", "other.yaml", data=real_data, ok=False
    )
    line = next(line for line in printed.splitlines() if line.startswith("error:"))
    assert str(other) in line
    assert "6b2d42a7281f" in line
