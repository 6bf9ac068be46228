"""What a user came for: which network to fine-tune, how sure that is, what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from taskrsa.report.advised import advised, untrained_said
from taskrsa.report.choice import SIMILARITY, Choice, choice_of, untrained_of
from taskrsa.report.inputs import Inputs
from taskrsa.report.similar import ALPHA, similar
from taskrsa.report.tuned import costs, parts_trained, tuned
from taskrsa.report.words import Said, place, together
from taskrsa.text import estimate, joined, number, p_value

KINDS = {
    "regression": "regression of maps",
    "values": "regression of numbers",
    "network": "a network of the table",
    "similarities": "similarities made elsewhere",
}


@dataclass(frozen=True)
class Answer:
    """One headline, the sentences below it, and what speaks against trusting it; `notes` hold
    whichever network comes first."""

    headline: str
    sentences: Sequence[str]
    cautions: Sequence[str] = ()
    target: str = ""
    about: str = ""  # kind and size of the target
    notes: Sequence[str] = ()

    @property
    def said(self) -> list[str]:
        """All sentences but the cautions, in the page's order."""
        return [*self.sentences, *self.notes]


# --- a target ---


def target_answer(inputs: Inputs, target: str) -> Answer:
    """Return which network to fine-tune for a target, how sure that is and what it gains."""
    choice = choice_of(inputs, target)
    said = together(
        [
            untrained_said(inputs, target, choice),
            tuned(inputs, target, choice),
            advised(inputs, target, choice),
            similar(inputs, target, choice),
            parts_trained(inputs, target, choice),
            Said(costs(inputs, target)),
        ]
    )
    is_untrained = choice.model in untrained_of(inputs, target)
    headline = _headline(inputs, choice, is_untrained, bool(said.cautions))
    about = _about(inputs, target)
    return Answer(headline, said.sentences, said.cautions, target, about, said.notes)


def said_once(answers: Sequence[Answer]) -> tuple[list[str], list[Answer]]:
    """Return the notes that several targets share, each once, and the answers without these."""
    targets: dict[str, list[str]] = {}
    for answer in answers:
        for note in answer.notes:
            targets.setdefault(note, []).append(answer.target)
    shared = {note: names for note, names in targets.items() if len(names) > 1}
    notes = [
        note if len(names) == len(answers) else f"{joined(names)}: {note}"
        for note, names in shared.items()
    ]
    rest = [
        replace(answer, notes=[note for note in answer.notes if note not in shared])
        for answer in answers
    ]
    return notes, rest


def _headline(inputs: Inputs, choice: Choice, is_untrained: bool, in_doubt: bool) -> str:
    name, cheapest = inputs.label(choice.model), inputs.label(choice.cheapest)
    others = len(choice.others)
    if choice.basis == SIMILARITY:
        if choice.none_differs:
            return "No clear first choice."
        return f"Similarity suggests {name}." if others or in_doubt else f"Fine-tune {name}."
    if choice.none_differs:
        return f"These networks cannot be told apart: take the cheapest, {cheapest}."
    if choice.is_open:
        return f"No clear first choice: take the cheapest of these {others + 1}, {cheapest}."
    if is_untrained:
        return f"Pretraining does not help here: {name}, untrained, comes first."
    in_doubt = in_doubt or others or not choice.is_sure
    return f"Fine-tune {name}, probably." if in_doubt else f"Fine-tune {name}."


def _about(inputs: Inputs, target: str) -> str:
    """Return kind and size of a target."""
    kind, images = inputs.config.targets[target].kind, inputs.table("images", target)
    kind = KINDS.get(kind, kind)
    if images.empty:
        return kind
    n = images["split"].value_counts()
    return f"{kind}, {n.get('train', 0):,} training and {n.get('val', 0):,} validation images"


# --- the bank ---


def bank_answer(inputs: Inputs) -> Answer:
    """Return the answer of a run without a target: do types separate, what is alike."""
    headline, sentences = about_bank(inputs)
    lacking = "This run has no target (targets in its config), so it does not rank the networks."
    return Answer(headline, [*sentences, *filter(None, [inputs.grouped]), lacking])


def about_bank(inputs: Inputs) -> tuple[str, list[str]]:
    """Return a headline and sentences on how alike the networks of the bank are."""
    n, headline, sentences = len(inputs.networks), "", []
    separation = inputs.table("type_separation")
    if len(separation):
        at = (separation["layer"] == inputs.layer) & (separation["control"] == "none")
        for row in separation[at & separation["difference"].notna()].to_dict("records"):
            apart = row["p"] < ALPHA and row["difference"] > 0
            headline = f"The {n} networks {'' if apart else 'do not '}group by type."
            sentences.append(
                f"At {place(inputs.layer)}, networks of one type have a mean similarity of "
                f"{number(row['within'])}, networks of different types {number(row['between'])} "
                f"(p {p_value(row['p'])})."
            )
    similarity = inputs.table("similarity")
    rows = similarity[similarity["layer"] == inputs.layer].dropna(subset="rs")
    rows = rows.sort_values("rs", ascending=False, kind="stable")
    pairs = [
        f"{inputs.label(row.model_a)} and {inputs.label(row.model_b)}" for row in rows.itertuples()
    ]
    values = [estimate(row.rs, row.ci_low, row.ci_high) for row in rows.itertuples()]
    if len(rows) == 1:
        sentences.append(f"The similarity of {pairs[0]} is {values[0]}.")
    elif len(rows):
        sentences.append(
            f"Most alike are {pairs[0]}, {values[0]}; least alike are {pairs[-1]}, {values[-1]}."
        )
    return headline or f"{n} networks compared.", sentences
