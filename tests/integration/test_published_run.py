"""The run on the real encoders, from what their authors published: its tables hold known numbers.

The numbers were found from the same files independently of the workflow; those of the notebook and
of the follow-up (Dwivedi et al. 2020) are the authors'.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import copy_project
from taskrsa.analysis.separation import adjusted_rand_index
from taskrsa.analysis.tables import similarity_square
from taskrsa.io.files import read_table
from taskrsa.rsa.alignment import alignment_matrix
from taskrsa.rsa.clustering import average_linkage, cut, paper_linkage
from taskrsa.tasks.dictionary import TASKS

pytestmark = pytest.mark.workflow

CONFIGS = {
    "published": ["config/published.yaml"],
    "published_b": ["config/published.yaml", "config/published_b.yaml"],
}
# Only of the draws of similarities are intervals looked at.
FEW = "rsa: {bootstraps: 20, permutations: 19}\n"


@pytest.fixture(scope="module")
def ran(tmp_path_factory, real_data):
    """Return a function that reads a table of one of the runs."""
    if not (real_data / "taskonomy_bank").is_dir():
        pytest.skip("TASKRSA_DATA has no taskonomy_bank")
    project = copy_project(tmp_path_factory.mktemp("published") / "project")
    (project.path / "few.yaml").write_text(FEW)
    for run, files in CONFIGS.items():
        goal = f"results/{run}/claims.csv"
        project.snakemake("--configfile", *files, "few.yaml", "--", goal, data=real_data)
    return lambda run, name: read_table(project.path / f"results/{run}/{name}.csv")


def rows(table: pd.DataFrame, **where: str) -> pd.DataFrame:
    for column, value in where.items():
        table = table[table[column] == value]
    return table


@pytest.mark.parametrize(
    ("run", "means"), [("published", (0.69, 0.39)), ("published_b", (0.68, 0.38))]
)
def test_types_separate_and_trees_show_them(ran, run, means):
    (row,) = rows(ran(run, "tables/type_separation"), layer="compressed").to_dict("records")
    assert (round(row["within"], 2), round(row["between"], 2)) == means
    assert row["p"] == pytest.approx(1 / 10001, rel=1e-4)
    assert round(row["ari_average"], 2) == 0.76
    matrix = similarity_square(ran(run, "tables/similarity"), "compressed")
    types = [TASKS[name].type for name in matrix.index]
    clusters = pd.Series(cut(paper_linkage(matrix.to_numpy()), 5), index=matrix.index)
    assert round(adjusted_rand_index(types, clusters), 2) == 0.67
    # In the paper's tree, of other RDMs, 2D keypoints are alone in place of colorization.
    alone = clusters.index[~clusters.duplicated(keep=False)]
    assert {*alone} == {"vanishing_point", "colorization"}
    average = cut(average_linkage(matrix.to_numpy()), 4)
    assert round(adjusted_rand_index(types, average), 2) == 0.76


@pytest.mark.parametrize(
    ("run", "zscore"), [("published", (0.55, 0.46)), ("published_b", (0.58, 0.49))]
)
def test_agreement_with_transfer_depends_on_the_way(ran, run, zscore):
    table = rows(ran(run, "tables/taxonomy_agreement"), affinities="published")
    ours = table.set_index("similarity")[["pearson", "spearman"]]
    assert tuple(ours.loc["ours"].round(2)) == zscore
    ways = ours[ours.index.str.startswith("ours")]
    assert ways["pearson"].min() < 0.62 < ways["pearson"].max()
    assert 0.55 < ways["spearman"].max() < 0.65


@pytest.mark.parametrize(
    ("run", "correlations", "tops"),
    [
        ("published", (0.761, 0.831), (10, 14, 16)),
        ("published_b", (0.770, 0.831), (11, 14, 17)),
    ],
)
def test_similarity_predicts_transfer(ran, run, correlations, tops):
    table = rows(ran(run, "tables/selection"), affinities="published", target="mean")
    (row,) = rows(table, method="rsa").to_dict("records")
    assert (round(row["pearson"], 3), round(row["spearman"], 3)) == correlations
    assert tuple(row[f"top{n}"] for n in (1, 3, 5)) == tops
    centred = rows(table, method="pearson_centering").iloc[0]
    assert (round(centred["pearson"], 3), round(centred["spearman"], 3)) == (0.621, 0.700)
    assert tuple(centred[f"top{n}"] for n in (1, 3, 5)) == (4, 11, 14)
    (named,) = rows(ran(run, "tables/table1"), affinities="published", method="rsa").to_dict(
        "records"
    )
    assert tuple(named[f"top{n}"] for n in (1, 3, 5)) == tops


def test_the_authors_notebook_and_their_follow_up(ran):
    table = ran("published", "tables/selection")
    means = rows(table, target="mean").set_index(["affinities", "method"])
    # Their notebook's 0.8572664359861593, to the digits of a table.
    assert means.loc[("published", "rsa"), "spearman_with_own"] == 0.857266
    # The RDMs, aligned, are the published matrix of their measure, which has six decimals.
    for truth in ("published", "win rates"):
        own, theirs = (
            means.loc[(truth, method), "spearman_with_own"]
            for method in ("alignment", "cosine_znorm")
        )
        assert own == theirs
    known = means.dropna(subset="spearman_published")
    assert len(known) == 10
    assert (known["spearman_with_own"] - known["spearman_published"]).abs().max() <= 0.0005
    cells = means.index[means.index.get_level_values("method").str.contains("_")]
    assert len(cells) == 36
    pascal = rows(table, target="voc").dropna(subset="spearman_published")
    assert len(pascal) == 6
    assert (pascal["spearman"] - pascal["spearman_published"]).abs().max() <= 0.0005


def test_similarities_of_the_target_s_own_domain_predict_mIoU(ran):
    prediction = ran("published", "targets/voc/prediction").iloc[0]
    assert round(prediction["spearman"], 3) == 0.727
    assert prediction["spearman_low"] < 0.727 < prediction["spearman_high"]
    choice = ran("published", "targets/voc/choice").set_index("statistic")
    assert round(choice.loc["regret", "value"], 3) == 0.007
    table = ran("published", "tables/selection")
    best = rows(table, target="voc").set_index("method")["spearman"]
    assert (best.idxmax(), round(best.max(), 3)) in {
        ("pascal_lap_None", 0.774),
        ("pascal_lap_centering", 0.774),
    }
    indoor = rows(table, target="voc_indoor")["spearman"]
    assert indoor.min() > 0.49
    assert indoor.max() < 0.545
    assert indoor.max() < best.min() + 0.01


def test_claims_are_judged(ran):
    claims = ran("published", "claims").groupby("claim")["verdict"].agg(set)
    for claim in ("C7", "C8", "C9", "C10"):
        assert claims[claim] == {"holds"}
    assert claims["C5"] == {"not comparable"}


def test_the_rdms_are_those_of_the_published_matrix(real_data, ran):
    folder = real_data / "taskonomy_bank"
    with np.load(folder / "rdms_a.npz") as file:
        names, rdms = file["tasks"].tolist(), file["rdms"]
    mine = pd.DataFrame(alignment_matrix(rdms), names, names)
    table = rows(
        read_table(folder / "similarities.csv"),
        stimuli="taskonomy",
        dissimilarity="cosine",
        normalisation="znorm",
    )
    differences = [mine.loc[row.task_a, row.task_b] - row.similarity for row in table.itertuples()]
    # That table has six decimals.
    assert np.abs(differences).max() <= 0.5e-6 + 1e-12
