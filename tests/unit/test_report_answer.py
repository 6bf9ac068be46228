"""What the page says first: the advice for a target, how sure it is, what speaks against it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from report_runs import bank, demo
from taskrsa.report.answer import bank_answer, target_answer
from taskrsa.report.inputs import Inputs


def said(given: Inputs, target: str = "mine") -> tuple[str, str, str]:
    found = target_answer(given, target)
    return found.headline, " ".join(found.sentences), " ".join(found.cautions)


def changed(given: Inputs, table: str, **columns) -> Inputs:
    """Return a run with other columns in a table of its target."""
    tables = given.targets["mine"]
    return replace(given, targets={"mine": {**tables, table: tables[table].assign(**columns)}})


def scored(*scores: float, small: float = 0.35) -> Inputs:
    return changed(bank(len(scores)), "scores", score=[*scores, small])


def test_a_clear_first_that_fine_tuning_confirms_is_advised():
    headline, sentences, cautions = said(bank())
    assert headline == "Fine-tune Net A."
    assert "Of 3 networks, Net A is the most similar to the target's small model: 0.80" in sentences
    assert "Every other network is less similar" in sentences
    assert (
        "With 8 images drawn at random, 50 % of the draws put the same network first; with 24, "
        "100 %." in sentences
    )
    assert "Fine-tuned, Net A reached 0.500 (mIoU), the best of the 3 networks" in sentences
    assert "6.00 times less" in sentences  # 180 seconds against 30 CPU seconds
    assert not cautions
    about = target_answer(bank(), "mine").about
    assert about == "segmentation, 24 training and 9 validation images"


def test_networks_that_are_alike_are_named_a_few_of_them():
    tied = changed(bank(), "ranking", tied=["yes", "yes", "no"])
    headline, sentences, _ = said(tied)
    assert headline == "Similarity suggests Net A."
    assert "cannot distinguish it from Net B (95 %): any of these 2 networks" in sentences
    headline, _, _ = said(changed(bank(), "ranking", tied="yes"))
    assert headline == "No clear first choice."
    many = changed(bank(100), "ranking", tied="yes")
    assert "from Net 1, Net 2, Net 3, Net 4 and 95 more (95 %)" in said(many)[1]


def test_what_speaks_against_the_advice_is_said():
    headline, _, cautions = said(scored(0.3, 0.4, 0.5))
    assert headline == "Similarity suggests Net A."
    assert "The best, Net C, reached 0.500: following the ranking costs 0.200." in cautions
    assert "learnt nothing: its mIoU is 0.200" in said(scored(0.5, 0.4, 0.3, small=0.2))[2]
    chance = changed(bank(), "ranking", q=0.4)
    assert "does not exceed chance (q 0.40)" in said(chance)[2]


def test_a_small_model_that_beats_all_that_were_fine_tuned_speaks_against_the_advice():
    headline, _, cautions = said(scored(0.5, 0.4, 0.3, small=0.6))
    assert headline == "Similarity suggests Net A."
    assert "trained from scratch, reached 0.600 (mIoU), more than any of the 3" in cautions
    # Not where the small model is only as good as the best.
    assert not said(scored(0.5, 0.4, 0.3, small=0.5))[2]


def test_a_first_choice_that_learnt_nothing_is_said():
    headline, _, cautions = said(scored(0.2, 0.1, 0.1, small=0.3))
    assert headline == "Similarity suggests Net A."
    assert "No network fine-tuned beat a constant answer (0.200)." in cautions
    assert "Fine-tuned, it did not beat a constant answer" in said(scored(0.2, 0.4, 0.1))[2]


def test_how_networks_were_trained_is_said_where_it_differs():
    how = ["head only", "whole network", "head only", "whole network"]
    given = changed(scored(0.3, 0.5, 0.3), "scores", trained=how, score=[0.3, 0.5, 0.3, 0.2])
    _, sentences, cautions = said(given)
    assert "Net A reached 0.300 (mIoU; head only)." in sentences
    assert "Net B, reached 0.500 (whole network)" in cautions


def test_what_choosing_gains_and_whether_the_ranking_predicts():
    given = bank(6)
    row = {"ranking": "small model", "spearman": 0.8, "spearman_low": 0.3, "spearman_high": 0.9}
    choice = pd.DataFrame(
        {
            "statistic": ["gain_over_mean", "gain_over_random", "choice_rank"],
            "model": "", "value": [0.1, -0.02, 1], "low": [0.05, -0.04, 1], "high": [0.2, 0.01, 2],
        }
    )  # fmt: skip

    def with_prediction(**more) -> Inputs:
        frames = {"prediction": pd.DataFrame([row | {"n_models": 6} | more]), "choice": choice}
        return replace(given, targets={"mine": {**given.targets["mine"], **frames}})

    _, sentences, cautions = said(with_prediction())
    assert "That is 0.100 [0.050, 0.200] above the mean of the 6 networks" in sentences
    assert f"and 0.020 [{chr(0x2212)}0.010, 0.040] below random initialisation." in sentences
    assert "the ranking correlates with the scores: Spearman 0.80 [0.30, 0.90]" in sentences
    assert not cautions
    headline, _, cautions = said(with_prediction(spearman_low=-0.1))
    assert "does not reliably predict the scores: Spearman 0.80" in cautions
    assert headline == "Similarity suggests Net A."
    assert "does not predict" in said(with_prediction(spearman=-0.2, spearman_low=-0.8))[2]
    # Of too few networks a correlation says nothing.
    assert not said(with_prediction(spearman_low=-0.1, n_models=3))[2]


def test_pretraining_that_does_not_help_is_said():
    given = bank()
    scores = given.targets["mine"]["scores"]
    scratch = scores.iloc[-1:].assign(model="random", label="untrained encoder", score=0.6)
    tables = {**given.targets["mine"], "scores": pd.concat([scores, scratch])}
    _, _, cautions = said(replace(given, targets={"mine": tables}))
    assert "An encoder without pretraining did no worse: it reached 0.600." in cautions


def test_labels_are_whole_in_the_sentences():
    long = "A network with quite a long name, untrained"
    assert target_answer(bank(label=long), "mine").headline == f"Fine-tune {long}."


def test_a_network_that_stands_for_the_target_is_named():
    given = bank(targets={"mine": {"kind": "network", "network": "n2"}})
    assert "most similar to Net C" in said(given)[1]
    assert target_answer(given, "mine").about == "a network of the table"


def test_fine_tuning_without_the_first_choice_still_warns_of_the_small_model():
    given = scored(0.5, 0.4, 0.3, small=0.1)
    tables = given.targets["mine"]
    for left_out in (["n0"], ["n0", "n1", "n2"]):
        rest = tables["scores"][~tables["scores"]["model"].isin(left_out)]
        headline, sentences, cautions = said(
            replace(given, targets={"mine": {**tables, "scores": rest}})
        )
        assert headline == "Similarity suggests Net A."
        assert "Fine-tuned" not in sentences
        assert "learnt nothing" in cautions


def test_without_a_target_the_bank_is_compared():
    given = bank(layers=("early", "last"), targets={})
    found = bank_answer(given)
    assert found.headline == "3 networks compared."
    assert found.sentences == [
        "Most alike are Net A and Net B, 0.70 [0.60, 0.80]; least alike are Net B and Net C, 0.10 "
        "[0.00, 0.20].",
        "This run has no target (targets in its config), so it does not rank the networks.",
    ]


def test_two_networks_have_one_similarity():
    found = bank_answer(bank(2, targets={}))
    assert "The similarity of Net A and Net B is 0.70 [0.60, 0.80]." in found.sentences
    assert "least" not in " ".join(found.sentences)


@pytest.mark.parametrize(("p", "headline"), [(0.001, "group"), (0.2, "do not group")])
def test_whether_types_separate_is_said(p, headline):
    row = {"layer": "last", "control": "none", "within": 0.5, "between": 0.2, "difference": 0.3}
    given = bank(targets={})
    tables = {**given.tables, "type_separation": pd.DataFrame([row | {"p": p}])}
    found = bank_answer(replace(given, tables=tables))
    assert found.headline == f"The 3 networks {headline} by type."
    assert "networks of one type have a mean similarity of 0.50" in found.sentences[0]
    # One type alone has no difference.
    tables["type_separation"] = pd.DataFrame([row | {"p": np.nan, "difference": np.nan}])
    assert bank_answer(replace(given, tables=tables)).headline == "3 networks compared."


def test_the_demo_s_answer_is_that_of_its_tables():
    given = demo()
    ranking, scores = (given.targets["outdoor"][name] for name in ("ranking", "scores"))
    first = ranking.sort_values("rank").iloc[0]
    found = target_answer(given, "outdoor")
    assert found.headline == f"Similarity suggests {first.label}."
    reached = scores.set_index("model").loc[first.model, "score"]
    assert f"Fine-tuned, {first.label} reached {reached:.3f} (mIoU)" in " ".join(found.sentences)
    best = scores[scores["rank"].notna()].sort_values("score").iloc[-1]
    assert f"The best, {best.label}, reached {best.score:.3f}" in " ".join(found.cautions)
