"""The rules by which claims are judged pass on the paper's own encoders, where these are published.

Their RDMs are those of the authors' later repository (cosine distances of z-normalised outputs), so
not of the paper's recipe, and their affinities are Taskonomy's.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from taskrsa.analysis.affinity import affinity_matrix, agreement_rows, read_affinity_pickle
from taskrsa.analysis.selection import baseline_rows, selection_rows, table1
from taskrsa.analysis.separation import type_separation
from taskrsa.analysis.taxonomy import similarity_table
from taskrsa.paper.claims import HOLDS, Run, judge_all
from taskrsa.paper.published import CLAIMS
from taskrsa.rsa.inference import bootstrap_similarity
from taskrsa.rsa.similarity import similarity_matrix
from taskrsa.rsa.stacks import RDMStack
from taskrsa.tasks.dictionary import TASKS

SHA256 = "6b2d42a7281fe4eac2f5f32499f12c3da63292d4a5d8f04bf1b8b97d9687260c"
AFFINE = [task.id for task in TASKS.values() if task.affinity_name]
RESAMPLES = 200
TESTED = [claim for claim in CLAIMS if not claim.untested]


def folder() -> Path:
    root = os.environ.get("TASKRSA_DATA")
    if not root or not (Path(root) / "taskonomy_bank").is_dir():
        pytest.skip("TASKRSA_DATA does not name a folder that holds taskonomy_bank")
    return Path(root)


@pytest.fixture(scope="module", params=["rdms_a", "rdms_b"])
def judged(request) -> dict[tuple[str, str], dict]:
    root = folder()
    with np.load(root / f"taskonomy_bank/{request.param}.npz") as file:
        bank = RDMStack(tuple(map(str, file["tasks"])), file["rdms"].astype(np.float64))
    bank = bank.only(list(TASKS))
    published = read_affinity_pickle(root / "taskonomy/all_affinities.pkl", SHA256)
    affinity, affine = affinity_matrix(published, AFFINE), bank.only(AFFINE)
    square = pd.DataFrame(similarity_matrix(affine.rdms, names=AFFINE), AFFINE, AFFINE)
    draws = bootstrap_similarity(affine.rdms, RESAMPLES, 0)
    selection = selection_rows("published", "rsa", "RSA", square, draws, affinity)
    selection = pd.DataFrame([*selection, *baseline_rows("published", affinity)])
    types = [task.type for task in TASKS.values()]
    separation = type_separation(similarity_matrix(bank.rdms), types, 999, 0)
    agreement = agreement_rows(affine, affinity, RESAMPLES, 999, 0)
    tables = {
        "similarity": similarity_table(bank, "compressed", 10, 9, 0),
        "type_separation": pd.DataFrame([separation]).assign(layer="compressed", control="none"),
        "taxonomy_agreement": pd.DataFrame(agreement).assign(affinities="published"),
        "selection": selection,
        "table1": table1(selection),
    }
    rows = judge_all(Run(tables, jobs=None, bank="taskonomy"))
    return {(c.id, c.key): row for c, row in zip(CLAIMS, rows, strict=True)}


def test_the_rules_pass_on_the_paper_s_own_encoders(judged):
    for claim in TESTED:
        row = judged[claim.id, claim.key]
        assert row["verdict"] == HOLDS, (claim.id, claim.key, row["ours"], row["note"])


def test_what_they_give(judged):
    assert judged["C1", "clusters"]["ours"] == pytest.approx(0.67, abs=0.01)
    assert "average linkage, cut into 4: 0.76" in judged["C1", "clusters"]["note"]
    assert judged["C7", "spearman"]["ours"] == pytest.approx(0.831, abs=0.001)
    assert judged["C8", "top3"]["ours"] == 14 / 17
    low, high = (judged["C4", "spearman"][end] for end in ("ci_low", "ci_high"))
    assert low < 0.47 < 0.59 < high


def test_every_other_rule_says_why_it_is_not_tested():
    assert {claim.id for claim in TESTED} == {"C1", "C4", "C7", "C8"}
    assert all(len(claim.untested.split()) > 3 for claim in CLAIMS if claim.untested)
