"""What the page says first: the network to take, how sure that is, what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from report_runs import bank, demo, race
from taskrsa.io.costs import Job
from taskrsa.report.answer import bank_answer, target_answer
from taskrsa.report.inputs import Inputs

NETWORK = {"mine": {"kind": "network", "network": "n2"}}


def said(given: Inputs, target: str = "mine") -> tuple[str, str, str]:
    found = target_answer(given, target)
    return found.headline, " ".join(found.said), " ".join(found.cautions)


def having(given: Inputs, **tables: pd.DataFrame | None) -> Inputs:
    """Return a run with other tables of its target; None takes one away."""
    found = {**given.targets["mine"], **tables}
    kept = {name: table for name, table in found.items() if table is not None}
    return replace(given, targets={"mine": kept})


def changed(given: Inputs, table: str, **columns) -> Inputs:
    """Return a run with other columns in a table of its target."""
    return having(given, **{table: given.targets["mine"][table].assign(**columns)})


def scored(*scores: float, small: float = 0.35) -> Inputs:
    return changed(bank(len(scores)), "scores", score=[*scores, small])


def untuned(n: int = 3, **more) -> Inputs:
    """Return a run in which no network was fine-tuned."""
    given = bank(n, **more)
    scores = given.targets["mine"]["scores"]
    return having(given, scores=scores[scores["model"] == "small"])


# --- before fine-tuning: the advice ---


def test_the_advice_says_what_to_take_and_what_it_rests_on():
    headline, sentences, cautions = said(untuned())
    assert headline == "Fine-tune Net A."
    assert (
        "Net A has the best mean rank of 3 networks, 1.00, by linear probe and linear CKA with "
        "labels." in sentences
    )
    assert "24 labelled training images (16 cells of each at most)" in sentences
    assert "at the layer that the head sees." in sentences
    assert (
        "a linear probe of Net A reaches 0.90 (share of the squared error removed; chance 0.25), "
        "that of Net B, the second, 0.60." in sentences
    )
    assert "no other network is likely to be as good (95 %)" in sentences
    assert not cautions
    about = target_answer(untuned(), "mine").about
    assert about == "segmentation, 24 training and 9 validation images"


def test_the_images_that_the_advice_saw_are_those_of_its_config():
    section = {"kind": "classification", "path": "here", "n_train": 20}
    for advice, n in ({"n_images": 500}, 20), ({"n_images": 7, "layer": "last"}, 7):
        given = bank(targets={"mine": {**section, "advice": advice}})
        _, sentences, _ = said(given)
        assert f"{n} labelled training images and" in sentences
        assert "accuracy" in sentences
    # Those at another layer are not mixed in.
    assert "at the last layer." in sentences
    assert "probe of Net A reaches 0.70" in sentences


def test_few_that_may_be_as_good_are_named():
    headline, sentences, _ = said(changed(untuned(5), "advice", tied=["yes", "yes", *["no"] * 3]))
    assert headline == "Fine-tune Net A, probably."
    assert "With the images resampled, Net B may be as good (95 %)." in sentences


def test_where_most_may_be_as_good_the_cheapest_is_advised():
    seconds = [90, 60, 30, 10, 10]
    given = changed(untuned(5), "cost", seconds=seconds)
    headline, sentences, _ = said(changed(given, "advice", tied=[*["yes"] * 3, "no", "no"]))
    assert headline == "No clear first choice: take the cheapest of these 3, Net C."
    assert "The cheapest of these is Net C: fine-tuning it takes about 0.50 minutes." in sentences
    given = changed(given, "advice", tied="yes")
    headline, sentences, _ = said(given)
    assert headline == "These networks cannot be told apart: take the cheapest, Net D."
    assert "any of the networks may be the best" in sentences
    # Where no cost is known, that with the fewest parameters.
    headline, sentences, _ = said(having(given, cost=None))
    assert headline == "These networks cannot be told apart: take the cheapest, Net E."
    assert "The smallest of these is Net E, with 2.00 million parameters." in sentences
    many = changed(untuned(100), "advice", tied="yes")
    assert "take the cheapest, Net 0." in said(many)[0]


def test_an_advice_without_resampling_is_not_said_to_be_sure():
    headline, sentences, _ = said(changed(untuned(), "advice", tied=np.nan))
    assert headline == "Fine-tune Net A, probably."
    assert "how certain its order is remains unknown" in sentences


def test_an_untrained_network_is_never_first_without_a_warning():
    headline, _, cautions = said(changed(untuned(), "advice", untrained=["yes", "no", "no"]))
    assert headline == "Pretraining does not help here: Net A, untrained, comes first."
    assert "Net A is untrained: pretraining does not help here." in cautions
    assert "The best with pretrained weights is Net B." in cautions
    # Nor is it the cheapest to take, and it is named where it may be as good.
    tied = changed(untuned(), "advice", tied="yes", untrained=["no", "no", "yes"])
    headline, _, cautions = said(changed(tied, "cost", seconds=[30, 20, 10]))
    assert headline == "These networks cannot be told apart: take the cheapest, Net B."
    assert "Net C is untrained, and it may be as good" in cautions
    assert not said(changed(untuned(), "advice", untrained=["no", "yes", "no"]))[2]


def test_an_untrained_network_that_fine_tuning_puts_first_is_warned_of():
    given = changed(scored(0.3, 0.4, 0.5), "advice", untrained=["no", "no", "yes"])
    headline, _, cautions = said(given)
    assert headline == "Pretraining does not help here: Net C, untrained, comes first."
    assert "The best with pretrained weights is Net B." in cautions


def test_probes_that_find_nothing_speak_against_any_advice():
    measures = untuned().targets["mine"]["measures"]
    nothing = having(untuned(), measures=measures.assign(chance=0.95))
    headline, _, cautions = said(nothing)
    assert headline == "Fine-tune Net A, probably."
    assert "No linear probe does better than a constant answer" in cautions
    # One that finds something is enough.
    assert not said(having(untuned(), measures=measures.assign(chance=0.8)))[2]
    without = measures[measures["measure"] != "probe"]
    assert "probe of" not in said(having(untuned(), measures=without))[1]


def test_networks_of_which_a_part_is_trained_are_named():
    how = ["head only", "whole network", "part of network"]
    headline, sentences, cautions = said(changed(untuned(), "cost", trained=how))
    assert headline == "Fine-tune Net A, probably."
    assert "Fine-tuning trains only the head of Net A." in cautions
    assert "Fine-tuning trains only a part of Net C." in sentences


# --- beside it: the paper's RSA ---


def test_where_rsa_disagrees_with_the_advice_is_said():
    _, sentences, _ = said(untuned())
    assert (
        "The paper's RSA agrees: Net A is the most similar to the target's small model, 0.80 "
        "[0.75, 0.85]." in sentences
    )
    other = changed(untuned(), "ranking", rank=[2, 1, 3], tied=["no", "yes", "no"])
    assert "The paper's RSA disagrees: Net B is the most" in said(other)[1]
    assert "and Net A 2nd of 3." in said(other)[1]
    tied = changed(other, "ranking", tied="yes")
    assert "Net A 2nd of 3, but these images cannot tell the two apart." in said(tied)[1]


@pytest.mark.parametrize(
    ("score", "deviation", "had"),
    [(0.2, np.nan, "nothing"), (0.23, np.nan, "next to nothing"), (0.3, 0.15, "next to nothing")],
)
def test_a_small_model_that_learnt_little_cannot_tell(score, deviation, had):
    given = changed(untuned(), "scores", score=score, score_sd=deviation)
    headline, sentences, cautions = said(given)
    assert f"The small model learnt {had}: it reached {score:.3f} (mIoU); chance is 0.200." in (
        sentences
    )
    assert "RSA cannot tell here" in sentences
    # It speaks against RSA, not against what does not rest on it.
    assert (headline, cautions) == ("Fine-tune Net A.", "")
    advice = given.targets["mine"]["advice"]
    by_rsa = advice.drop(columns=["rank_probe", "rank_cka"]).assign(rank_rsa=advice["rank"])
    headline, sentences, cautions = said(having(given, advice=by_rsa))
    assert headline == "Fine-tune Net A, probably."
    assert "Net A is first of 3 networks by RSA to small models." in sentences
    assert "labelled training images" not in sentences
    assert f"learnt {had}" in cautions


def test_what_a_small_model_learnt_is_said():
    _, sentences, _ = said(changed(untuned(), "scores", score=0.3, score_sd=0.02))
    assert (
        "The small model, by which RSA ranks, reached 0.300 (mIoU); chance is 0.200." in sentences
    )
    assert "cannot tell" not in sentences


def test_untrained_networks_are_said_beside_the_first():
    assert "The run has no untrained networks to compare with" in said(untuned())[1]
    of = {"n_untrained": 5, "untrained_mean": 0.3, "untrained_low": 0.1, "untrained_high": 0.5}
    beside = changed(untuned(), "ranking", **of, q_untrained=0.01)
    _, sentences, cautions = said(beside)
    assert "3 of 3 networks are more similar than an untrained one would be (q < 0.05)" in sentences
    assert (
        "5 untrained networks of the design of Net A have 0.30 [0.10, 0.50] (mean, and" in sentences
    )
    none = "no network is more similar to the target than an untrained one of its design would be"
    assert none not in sentences + cautions
    given = changed(bank(targets=NETWORK), "ranking", **of, q_untrained=0.2)
    assert none in said(given)[2]
    # What speaks against RSA does not speak against an advice that rests on other measures.
    given = changed(untuned(), "ranking", **of, q_untrained=0.2)
    assert (none in said(given)[1], none in said(given)[2]) == (True, False)


def test_what_rsa_rests_on_and_whether_the_run_s_stimuli_agree_is_said():
    assert "RSA rests" not in said(untuned())[1]
    shown = having(untuned(), stimuli=pd.DataFrame({"image": range(24)}))
    assert "RSA rests on 24 training images of the target." in said(shown)[1]
    assert "run's stimuli" not in said(shown)[1]
    same = changed(shown, "ranking", rs_bank=[0.7, 0.6, 0.5], rank_bank=[1, 2, 3])
    line = "The run's stimuli put Net A first as well (Spearman of the two rankings 1.00)."
    assert line in said(same)[1]
    other = changed(shown, "ranking", rs_bank=[0.6, 0.5, 0.7], rank_bank=[2, 3, 1])
    line = "The run's stimuli put Net C first instead (Spearman of the two rankings \N{MINUS SIGN}"
    assert f"{line}0.50)." in said(other)[1]


def test_similarities_that_do_not_exceed_chance_are_said():
    assert "does not exceed chance (q 0.40)" in said(changed(untuned(), "ranking", q=0.4))[1]
    given = changed(bank(targets=NETWORK), "ranking", q=0.4)
    assert "does not exceed chance (q 0.40)" in said(given)[2]


# --- fine-tuning ---


def test_what_fine_tuning_showed_comes_before_the_advice():
    headline, sentences, cautions = said(bank())
    assert headline == "Fine-tune Net A."
    assert (
        "Fine-tuned, Net A reached 0.500 (mIoU), the best of the 3 fine-tuned networks; their "
        "mean is 0.400." in sentences
    )
    assert "The advice and the paper's RSA had put it first as well." in sentences
    assert "Before fine-tuning, Net A had the best mean rank" in sentences
    assert "Each was fine-tuned once" in sentences
    assert not cautions
    headline, sentences, _ = said(scored(0.44, 0.3, 0.5))
    assert headline == "Fine-tune Net C."
    assert (
        "The advice had put Net A first; it reached 0.440 and lost 20 % of the range from chance "
        "to the best." in sentences
    )
    ranked = changed(scored(0.44, 0.3, 0.5), "ranking", rank=[2, 3, 1])
    sentences = said(ranked)[1]
    assert "The paper's RSA had put it first as well." in sentences
    assert "The advice had put Net A first" in sentences


def test_the_first_of_the_advice_may_not_have_been_fine_tuned():
    given = bank()
    scores = given.targets["mine"]["scores"]
    headline, sentences, _ = said(having(given, scores=scores[scores["model"] != "n0"]))
    assert headline == "Fine-tune Net B."
    assert "had put" not in sentences
    # A single network that was fine-tuned has beaten none.
    headline, sentences, _ = said(
        having(given, scores=scores[scores["model"].isin(["n1", "small"])])
    )
    assert headline == "Fine-tune Net A."
    assert "Net B reached 0.400 (mIoU); no other network was fine-tuned." in sentences


def test_networks_within_the_deviation_over_seeds_may_be_as_good():
    given = changed(scored(0.50, 0.46, 0.3, 0.3), "scores", score_sd=[0.01, 0.05, 0.05, 0.05, 0])
    headline, sentences, _ = said(given)
    assert headline == "Fine-tune Net A, probably."
    assert "Within the deviation over seeds, Net B may be as good." in sentences
    sure = changed(given, "scores", score_sd=0.03)
    assert said(sure)[0] == "Fine-tune Net A."
    assert "No other network comes within the deviation over seeds." in said(sure)[1]
    assert said(changed(given, "scores", score_sd=0.2))[0].startswith("These networks cannot")


def test_networks_that_fine_tuning_made_worse_than_their_probe_are_named():
    given, started = scored(0.5, 0.4, 0.3), [0.4, 0.7, 0.31, np.nan]
    worse = "the linear probe it started from for Net B (0.700 to 0.400): lower learning_rate"
    found = target_answer(changed(given, "scores", start_score=started), "mine")
    assert any(worse in line for line in found.notes)
    assert worse not in " ".join(found.cautions)
    # Of the network to take it is a warning.
    started[0] = 0.6
    _, _, cautions = said(changed(given, "scores", start_score=started))
    assert "for Net A (0.600 to 0.500) and Net B (0.700 to 0.400)" in cautions


def test_a_target_that_no_network_learnt_is_said():
    headline, sentences, cautions = said(scored(0.2, 0.1, 0.1, small=0.1))
    assert headline == "These networks cannot be told apart: take the cheapest, Net A."
    assert "No fine-tuned network beat a constant answer (0.200)." in cautions
    assert "deviation over seeds" not in sentences


def test_pretraining_that_does_not_help_is_said():
    headline, _, cautions = said(scored(0.5, 0.4, 0.3, small=0.6))
    assert headline == "Fine-tune Net A, probably."
    assert "trained from scratch, reached 0.600 (mIoU), more than any of the 3" in cautions
    # Not where the small model is only as good as the best.
    assert not said(scored(0.5, 0.4, 0.3, small=0.5))[2]
    scores = bank().targets["mine"]["scores"]
    for name in ("random", "random_small"):
        scratch = scores.iloc[-1:].assign(model=name, label="untrained encoder", score=0.6)
        _, _, cautions = said(having(bank(), scores=pd.concat([scores, scratch])))
        assert "An encoder without pretraining did no worse: it reached 0.600." in cautions


def test_how_networks_were_trained_is_said_where_it_differs():
    how = ["head only", "whole network", "head only", "whole network"]
    given = changed(scored(0.3, 0.5, 0.3), "scores", trained=how, score=[0.3, 0.5, 0.3, 0.2])
    _, sentences, _ = said(given)
    assert "Net B reached 0.500 (mIoU; whole network)" in sentences
    assert "put Net A first; it reached 0.300 (head only)" in sentences
    assert "Fine-tuning trains only the head of Net A and Net C." in sentences


def test_whether_the_ranking_predicts_is_said():
    given = bank(6)
    row = {"ranking": "small model", "spearman": 0.8, "spearman_low": 0.3, "spearman_high": 0.9}

    def with_prediction(**more) -> str:
        return said(having(given, prediction=pd.DataFrame([row | {"n_models": 6} | more])))[1]

    assert "the ranking by RSA predicts the scores: Spearman 0.80 [0.30, 0.90]" in with_prediction()
    assert "does not reliably predict the scores" in with_prediction(spearman_low=-0.1)
    assert "does not predict the" in with_prediction(spearman=-0.2, spearman_low=-0.8)
    # Of too few networks a correlation says nothing.
    assert "predict" not in with_prediction(spearman_low=-0.1, n_models=3)


def test_what_fine_tuning_costs_is_said_beside_the_advice():
    names = ["target_features_mine_n0", "measures_mine_n0", "target_features_other_n0"]
    jobs = [Job(name, 20, 15, 300) for name in (*names, "train_target_mine_s4")]
    _, sentences, _ = said(untuned(jobs=jobs))
    assert (
        "Fine-tuning all 3 networks would take about 3.00 minutes here (estimated from a few timed "
        "steps of each); the advice took 0.50 minutes, 6.00 times less." in sentences
    )
    jobs.append(Job("finetune_mine_block4_n0_s0", 100, 90, 300))
    assert "Fine-tuning took 1.50 minutes; the advice took 0.50 minutes" in said(bank(jobs=jobs))[1]


# --- a race ---


def raced(*rounds: Sequence[str], **more) -> Inputs:
    """Return a run with a race, and the winner's score on the validation images."""
    given = bank(4)
    scores = given.targets["mine"]["scores"]
    kept = scores["model"].isin([rounds[-1][0], "small"])
    return having(given, race=race(*rounds, **more), scores=scores[kept])


def test_the_winner_of_a_race_is_advised():
    given = raced(["n2", "n1", "n0", "n3"], ["n2", "n1"], ["n2"])
    headline, sentences, cautions = said(given)
    assert headline == "Fine-tune Net C."
    assert (
        "Net C won a race of 4 networks; Net B, the runner-up, was 0.050 behind on the 6 training "
        "images that decided. The race took 2.33 times what fine-tuning one network in full costs."
    ) in sentences
    reached = given.targets["mine"]["scores"].set_index("model").loc["n2", "score"]
    assert f"it reached {reached:.3f} (mIoU; chance 0.200)." in sentences
    assert (
        "Net A, first by the advice, was dropped in round 1, where it came 3rd of 4." in sentences
    )
    assert not cautions
    won = said(raced(["n0", "n1"], ["n0"]))[1]
    assert "The advice had put it first as well." in won


def test_who_is_level_with_the_winner_may_be_as_good():
    headline, sentences, _ = said(raced(["n2", "n1", "n3"], ["n2", "n1"], ["n2"], margin=0.0))
    assert headline == "Fine-tune Net C, probably."
    assert "Net B, the runner-up, was level on" in sentences
    assert "Net A, first by the advice, did not enter." in sentences


def test_a_race_of_one_decided_nothing():
    headline, sentences, _ = said(raced(["n0"]))
    assert headline == "Fine-tune Net A."
    assert "The budget was too small for a race: Net A alone was trained." in sentences
    assert "has the best mean rank of 4 networks" in sentences
    given = raced(["n0"])
    loaders = ["timm:resnet18", "rdms", "rdms", "rdms"]
    given = replace(given, networks=given.networks.assign(loader=loaders))
    assert "Net A alone has weights, so there was no race. Training it took" in said(given)[1]


# --- a target without labels, and the bank ---


def test_labels_are_whole_in_the_sentences():
    long = "A network with quite a long name, untrained"
    assert target_answer(bank(label=long), "mine").headline == f"Fine-tune {long}."


def test_without_labels_similarity_is_all_there_is():
    given = bank(targets=NETWORK)
    headline, sentences, cautions = said(given)
    assert headline == "Fine-tune Net A."
    assert "Of 3 networks, Net A is the most similar to Net C: 0.80 [0.75, 0.85]" in sentences
    assert "Every other network is less similar" in sentences
    assert (
        "With 8 images drawn at random, 50 % of the draws put the same network first; with 24, "
        "100 %." in sentences
    )
    assert not cautions
    assert target_answer(given, "mine").about == "a network of the table"
    tied = changed(given, "ranking", tied=["yes", "yes", "no"])
    headline, sentences, _ = said(tied)
    assert headline == "Similarity suggests Net A."
    assert "cannot distinguish it from Net B (95 %): any of these 2 networks" in sentences
    assert said(changed(given, "ranking", tied="yes"))[0] == "No clear first choice."
    many = changed(bank(100, targets=NETWORK), "ranking", tied="yes")
    assert "from Net 1, Net 2, Net 3, Net 4 and 95 more (95 %)" in said(many)[1]


def test_given_similarities_are_those_of_a_model_and_have_no_test():
    section = {"kind": "similarities", "path": "z.npz", "arrays": ["z"]}
    given = changed(bank(targets={"mine": section}), "ranking", q=np.nan)
    given = having(given, ranking_images=None)
    headline, sentences, cautions = said(given)
    assert headline == "Fine-tune Net A."
    assert "Net A is the most similar to the target's model: 0.80 [0.75, 0.85]" in sentences
    assert not cautions
    assert target_answer(given, "mine").about == "similarities made elsewhere"


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
    found = target_answer(given, "outdoor")
    sentences = " ".join(found.sentences)
    best = scores[scores["rank"].notna()].sort_values("score").iloc[-1]
    assert f"Fine-tuned, {best.label} reached {best.score:.3f} (mIoU)" in sentences
    assert best.label in found.headline or "take the cheapest" in found.headline
    first = ranking.sort_values("rank").iloc[0]
    assert f"The paper's RSA had put {first.label} first" in sentences
    assert f"{first.label} is the most similar to the target's small model" in sentences
