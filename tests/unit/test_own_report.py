"""The page of a bank of the user's own: the answer, and what speaks against it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from taskrsa.costs import Job
from taskrsa.errors import DataError
from taskrsa.figures.style import task_style
from taskrsa.report.own import own_answer, render_own
from taskrsa.report.page import Inputs
from taskrsa.rsa.advice import advice_by_images, advice_rows, verified_rows
from taskrsa.rsa.inference import bootstrap_counts

N = 24
BANK = {"a": ("Net A", "objects"), "b": ("Net B", "text"), "c": ("Net C", "text")}


def rdms(*mixes: float) -> np.ndarray:
    """Return RDMs that share more or less with the first's features."""
    rng = np.random.default_rng(1)
    common = rng.normal(size=(N, 12))
    found = []
    for mix in mixes:
        features = mix * common + (1 - mix) * rng.normal(size=(N, 12))
        found.append(1 - np.corrcoef(features)[np.triu_indices(N, 1)])
    return np.array(found)


def inputs(mixes=(0.9, 0.3, 0.0), scores=(0.5, 0.4, 0.3), small=0.35, layers=("last",)) -> Inputs:
    names = list(BANK)
    target, bank = rdms(1.0, *mixes)[:1], rdms(1.0, *mixes)[1:]
    counts = bootstrap_counts(N, 60, 0)
    ranking = advice_rows(target, bank, names, N, counts, 99, 0, models=BANK)
    images = advice_by_images(target, bank, names, N, [8, 24], 40, 0)
    runs = [
        {"model": name, "seed": 0, "how": "whole network", "floor": 0.2, "miou": miou, "n_val": 9}
        for name, miou in zip([*names, "small model"], [*scores, small], strict=True)
    ]
    pairs = [
        {"layer": layer, "model_a": a, "model_b": b, "rs": rs, "ci_low": rs - 0.1,
         "ci_high": rs + 0.1, "p": 0.01, "n_images": N}
        for layer in layers
        for rs, (a, b) in zip((0.7, 0.2, 0.1), combinations(names, 2), strict=True)
    ]  # fmt: skip
    cost = [{"model": n, "how": "whole network", "steps": 60, "seeds": 1, "seconds_per_step": 1.0,
             "seconds": 60.0} for n in names]  # fmt: skip
    return Inputs(
        tables={
            "similarity": pd.DataFrame(pairs),
            "target_ranking": ranking,
            "target_images": images,
            "target_scores": verified_rows(ranking, pd.DataFrame(runs), "miou"),
            "cost": pd.DataFrame(cost),
        },
        claims=(),
        pictures={},
        captions={},
        linkage=np.empty((0, 4)),
        leaves=(),
        settings={"run": "mine", "seed": 7, "target": {"seeds": [0], "small": {"seeds": [4]}}},
        digests={"24 stimuli": "ab" * 32},
        packages=["numpy"],
        jobs=[Job("rdms_own_a", 30, 15, 300), Job("train_own_target_s0", 30, 15, 300)],
    )


def said(given: Inputs, target: str = "") -> tuple[str, str, str]:
    found = own_answer(given, task_style(BANK, BANK), target)
    return found.headline, " ".join(found.sentences), " ".join(found.cautions)


def test_a_clear_first_that_fine_tuning_bears_out_is_advised():
    headline, sentences, cautions = said(inputs())
    assert headline == "Fine-tune Net A."
    assert "told from all the others" in sentences
    assert "8 in" in sentences
    assert "100 %" in sentences
    assert "the best of 3" in sentences
    assert "6.00 times less" in sentences  # 180 seconds against 30 CPU-seconds
    assert not cautions


def test_networks_that_are_alike_are_named():
    given = inputs()
    ranking = given.tables["target_ranking"].assign(tied=["yes", "yes", "no"])
    tied = replace(given, tables={**given.tables, "target_ranking": ranking})
    headline, sentences, _ = said(tied)
    assert headline == "Similarity says: fine-tune Net A."
    assert "cannot tell it from Net B at 95 %: any of the 2" in sentences
    ranking = ranking.assign(tied="yes")
    headline, _, _ = said(replace(given, tables={**given.tables, "target_ranking": ranking}))
    assert headline == "These images cannot tell the networks apart."


def test_what_speaks_against_the_advice_is_said():
    headline, _, cautions = said(inputs(scores=(0.3, 0.4, 0.5)))
    assert headline == "Similarity says: fine-tune Net A."
    assert "Net C reached 0.500: following the ranking loses 0.200" in cautions
    assert "learnt nothing" in said(inputs(small=0.2))[2]
    given = inputs()
    ranking = given.tables["target_ranking"].assign(q=0.4)
    chance = replace(given, tables={**given.tables, "target_ranking": ranking})
    assert "no more than chance (q 0.40)" in said(chance)[2]


def test_without_a_target_the_bank_is_compared():
    given = inputs(layers=("early", "last"))
    given = replace(given, tables={"similarity": given.tables["similarity"]})
    headline, sentences, _ = said(given)
    assert headline == "3 networks compared."
    assert "no target" in sentences
    text = render_own(given, BANK, "last")
    assert text.count("<svg") == 3  # two matrices and the tree
    assert 'id="layer-last" checked' in text
    assert "Scores" not in text


def test_the_page_holds_its_numbers_and_needs_no_network():
    text = render_own(inputs(), BANK, "last")
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    for shown in ("Net A", "Net C", "0.350", "From fewer images", "ab" * 32, "numpy", "seed: 7"):
        assert shown in text
    assert "Dwivedi" not in text  # no claims of the paper are judged here
    assert text == render_own(inputs(), BANK, "last")


def test_a_network_that_stands_for_the_target_is_named():
    assert "most similar to Net C" in said(inputs(), target="c")[1]


def test_a_table_that_lacks_a_column_is_one_line():
    given = inputs()
    ranking = given.tables["target_ranking"].drop(columns="tied")
    with pytest.raises(DataError, match="lacks 'tied'; make the tables again"):
        render_own(replace(given, tables={**given.tables, "target_ranking": ranking}), BANK, "last")
