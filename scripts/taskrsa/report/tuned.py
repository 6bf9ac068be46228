"""What the page says of fine-tuning: what it showed, what earlier choices lost, what it cost."""

from __future__ import annotations

import pandas as pd

from taskrsa.analysis.outcomes import has_learnt
from taskrsa.io.costs import advice_seconds, ranking_seconds, tuning_seconds
from taskrsa.networks.network import RDMS
from taskrsa.report.advised import cheapest_said, is_of_rsa, measures_of
from taskrsa.report.choice import Choice, tuned_of
from taskrsa.report.inputs import SMALL, Inputs
from taskrsa.report.view import amount
from taskrsa.report.words import Said, listed, metric_of, names_of, ordinal, together
from taskrsa.text import is_known, joined, number, percent
from taskrsa.transferability.race_table import Outcome, outcome
from taskrsa.transferability.study import regrets

# In scores: encoders that are trained from scratch, the bank's and the small model's.
SCRATCH = ("random", "random_small")
WHOLE = "whole network"


def tuned(inputs: Inputs, target: str, choice: Choice) -> Said:
    """Return what fine-tuning or a race showed, and how the advice and RSA compare with it."""
    if tuned_of(inputs, target).empty:
        return Said()
    if len(inputs.table("race", target)):
        parts = [_raced(inputs, target), _against(inputs, target)]
    else:
        parts = [
            _best(inputs, target),
            _close(inputs, target, choice),
            _before(inputs, target),
            _since_the_start(inputs, target, choice),
            _against(inputs, target),
        ]
    return together(parts)


# --- all or some networks in full ---


def _best(inputs: Inputs, target: str) -> Said:
    tuned, metric = tuned_of(inputs, target), metric_of(inputs, target)
    best, n = tuned.iloc[0], len(tuned)
    mixed = tuned["trained"].nunique() > 1
    how = f"{metric}; {best['trained']}" if mixed else metric
    said = f"Fine-tuned, {inputs.label(best['model'])} reached {number(best['score'], 3)} ({how})"
    if n > 1:
        said += f", the best of the {n} fine-tuned networks; their mean is "
        said += number(tuned["score"].mean(), 3)
    else:
        said += "; no other network was fine-tuned"
    return Said([f"{said}."])


def _close(inputs: Inputs, target: str, choice: Choice) -> Said:
    """Say which networks the seeds cannot tell from the best."""
    tuned = tuned_of(inputs, target)
    if len(tuned) < 2:
        return Said()
    if not tuned["score"].iloc[0] > tuned["chance_score"].iloc[0]:
        return Said(cheapest_said(inputs, target, choice))
    if tuned["score_sd"].isna().all():
        said = "Each was fine-tuned once, so how much of the differences is chance is unknown."
        return Said(notes=[said])
    if not choice.others:
        return Said(["No other network comes within the deviation over seeds."])
    said = f"Within the deviation over seeds, {names_of(inputs, choice.others)} may be as good."
    if choice.none_differs:
        said = "All networks are within the deviation over seeds of the best."
    return Said([said, *cheapest_said(inputs, target, choice)])


def _before(inputs: Inputs, target: str) -> Said:
    """Say what taking the first of the advice, and that of RSA, would have lost."""
    if len(tuned_of(inputs, target)) < 2:
        return Said()
    advice = inputs.table("advice", target)
    firsts = {"the advice": _first(inputs, target, "advice")} if len(advice) else {}
    if advice.empty or measures_of(advice) != ["rsa"]:
        given = inputs.config.targets[target].arrays
        firsts["similarity" if given else "the paper's RSA"] = _first(inputs, target)
    best = tuned_of(inputs, target)["model"].iloc[0]
    right = [who for who, model in firsts.items() if model == best]
    lines = [_lost(inputs, target, who, model) for who, model in firsts.items() if model != best]
    if right:
        lines.insert(0, f"{_capital(joined(right))} had put it first as well.")
    return Said([line for line in lines if line])


def _first(inputs: Inputs, target: str, table: str = "ranking") -> str:
    return inputs.table(table, target).sort_values("rank", kind="stable")["model"].iloc[0]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _lost(inputs: Inputs, target: str, who: str, model: str) -> str:
    """Say what a choice made before fine-tuning lost; "" where that network was not fine-tuned."""
    tuned = tuned_of(inputs, target).reset_index(drop=True)
    at = tuned.index[tuned["model"] == model]
    if not len(at):
        return ""
    row = tuned.loc[at[0]]
    lost = regrets(tuned["score"].to_numpy(), row["chance_score"])[at[0]]
    reached = number(row["score"], 3)
    said = f"{_capital(who)} had put {inputs.label(model)} first; it reached {reached}"
    if tuned["trained"].nunique() > 1:
        said += f" ({row['trained']})"
    if is_known(lost):
        said += f" and lost {percent(lost)} of the range from chance to the best"
    return f"{said}."


def _since_the_start(inputs: Inputs, target: str, choice: Choice) -> Said:
    """Say which networks ended clearly below the probe that their head started from."""
    tuned = tuned_of(inputs, target)
    if "start_score" not in tuned:
        return Said()
    worse = [
        row
        for _, row in tuned.iterrows()
        if has_learnt(row["start_score"], row["score"], row["score_sd"])
    ]
    if not worse:
        return Said()
    fell = [
        f"{inputs.label(row['model'])} ({number(row['start_score'], 3)} to "
        f"{number(row['score'], 3)})"
        for row in worse
    ]
    said = (
        f"Fine-tuning ended below the linear probe it started from for {listed(fell)}: lower "
        "learning_rate in the recipe."
    )
    is_taken = choice.take in [row["model"] for row in worse]
    return Said((), [said]) if is_taken else Said(notes=[said])


def _against(inputs: Inputs, target: str) -> Said:
    """Say what of the scores speaks against starting from any pretrained network."""
    scores, metric = inputs.table("scores", target), metric_of(inputs, target)
    if scores.empty:
        return Said()
    by_model, tuned = scores.set_index("model"), tuned_of(inputs, target)
    best, against = tuned.iloc[0], []
    constant = number(best["chance_score"], 3)
    if not best["score"] > best["chance_score"]:
        against.append(f"No fine-tuned network beat a constant answer ({constant}).")
    scratch = by_model.loc[[one for one in SCRATCH if one in by_model.index], "score"]
    if len(scratch) and scratch.max() >= best["score"]:
        reached = number(scratch.max(), 3)
        against.append(f"An encoder without pretraining did no worse: it reached {reached}.")
    if SMALL in by_model.index and by_model.loc[SMALL, "score"] > best["score"]:
        reached = number(by_model.loc[SMALL, "score"], 3)
        all_of = f"any of the {len(tuned)} fine-tuned networks"
        all_of = all_of if len(tuned) > 1 else "the fine-tuned network"
        against.append(
            f"The small model, trained from scratch, reached {reached} ({metric}), more than "
            f"{all_of}: with this recipe, pretraining does not help."
        )
    return Said((), against)


# --- a race ---


def _raced(inputs: Inputs, target: str) -> Said:
    race, scores = inputs.table("race", target), inputs.table("scores", target)
    found, name = outcome(race), inputs.label(race.iloc[-1]["model"])
    said = [_won(inputs, race, found, name)]
    winner = scores[scores["model"] == found.winner] if len(scores) else scores
    if len(winner):
        row = winner.iloc[0]
        said.append(
            f"On the {row['n_val']:.0f} validation images, which decided nothing, it "
            f"reached {number(row['score'], 3)} ({metric_of(inputs, target)}; chance "
            f"{number(row['chance_score'], 3)})."
        )
    if found.runner_up and len(inputs.table("advice", target)):
        said.append(_fate(inputs, race, _first(inputs, target, "advice")))
    return Said(said)


def _won(inputs: Inputs, race: pd.DataFrame, found: Outcome, name: str) -> str:
    cost = f"{amount(found.cost)} times what fine-tuning one network in full costs"
    if found.runner_up is None:
        if (inputs.networks["loader"] != RDMS).sum() < 2:
            return f"{name} alone has weights, so there was no race. Training it took {cost}."
        return f"The budget was too small for a race: {name} alone was trained. It took {cost}."
    other = inputs.label(found.runner_up)
    n = race["n_val"].dropna()
    margin = f"{number(found.margin, 3)} behind" if found.margin > 0 else "level"
    return (
        f"{name} won a race of {found.entrants} networks; {other}, the runner-up, was {margin} on "
        f"the {n.iloc[0]:.0f} training images that decided. The race took {cost}."
    )


def _fate(inputs: Inputs, race: pd.DataFrame, model: str) -> str:
    """Say what became of the first of the advice in a race."""
    name, rows = inputs.label(model), race[race["model"] == model]
    if model == race.iloc[-1]["model"]:
        return "The advice had put it first as well."
    if rows.empty:
        return f"{name}, first by the advice, did not enter."
    last = rows.iloc[-1]
    n = (race["round"] == last["round"]).sum()
    return (
        f"{name}, first by the advice, was dropped in round {last['round']:.0f}, where it came "
        f"{ordinal(last['place'])} of {n}."
    )


# --- costs, and parts ---


def costs(inputs: Inputs, target: str) -> list[str]:
    """Say what fine-tuning took or would take, beside what ran before it."""
    before, what = _seconds_before(inputs, target)
    spent = tuning_seconds(inputs.jobs, target, inputs.gpu)
    cost = inputs.table("cost", target)
    if not before or not (spent or len(cost)):
        return []
    if spent and len(tuned_of(inputs, target)):
        took, said = spent, f"Fine-tuning took {amount(spent / 60)} minutes"
    elif len(cost):
        took = cost["seconds"].sum()
        said = (
            f"Fine-tuning all {len(cost)} networks would take about {amount(took / 60)} minutes "
            "here (estimated from a few timed steps of each)"
        )
    else:
        return []
    ratio = f"{amount(max(took, before) / min(took, before))} times"
    return [
        f"{said}; {what} took {amount(before / 60)} minutes, {ratio} "
        f"{'less' if took >= before else 'more'}."
    ]


def _seconds_before(inputs: Inputs, target: str) -> tuple[float, str]:
    """Return what the advice took or, without one, the ranking; and what it is called."""
    ranked = ranking_seconds(inputs.jobs, target, inputs.gpu)
    if inputs.table("advice", target).empty:
        return ranked, "ranking them"
    asked = advice_seconds(inputs.jobs, target, inputs.networks["name"], inputs.gpu)
    if is_of_rsa(inputs, target):
        return asked + ranked, "the advice"
    return asked, "the advice"


def parts_trained(inputs: Inputs, target: str, choice: Choice) -> Said:
    """Say of which networks fine-tuning trains the head or a part only."""
    how: dict[str, str] = {}
    for rows in (inputs.table("cost", target), tuned_of(inputs, target)):
        if len(rows):
            how |= dict(zip(rows["model"], rows["trained"], strict=True))
    mine = how.get(choice.take, WHOLE)
    said = [
        f"Fine-tuning trains {of} of {names_of(inputs, models)}."
        for kind, of in (("head only", "only the head"), ("part of network", "only a part"))
        if (models := [one for one, what in how.items() if what == kind and one != choice.take])
    ]
    if mine == WHOLE:
        return Said(notes=said)
    of = "only the head" if mine == "head only" else "only a part"
    return Said((), [f"Fine-tuning trains {of} of {inputs.label(choice.take)}."], said)
