"""The page of a bank of the user's own: the answer, and what speaks against it."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from taskrsa.analysis.advice import advice_by_images, advice_rows, verified_rows
from taskrsa.errors import DataError
from taskrsa.io.costs import Job
from taskrsa.report import draw
from taskrsa.report.own import own_answer, render_own
from taskrsa.report.page import Inputs
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
    found = own_answer(given, BANK, "last", target)
    return found.headline, " ".join(found.sentences), " ".join(found.cautions)


def test_a_clear_first_that_fine_tuning_bears_out_is_advised():
    headline, sentences, cautions = said(inputs())
    assert headline == "Fine-tune Net A."
    assert "told from all the others" in sentences
    assert "8 images put the same network first in 100 % of the draws" in sentences
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


def test_a_small_model_that_beats_all_that_were_fine_tuned_speaks_against_the_advice():
    headline, _, cautions = said(inputs(small=0.6))
    assert headline == "Similarity says: fine-tune Net A."
    assert "trained from scratch reached 0.600 (mIoU), more than any of the 3" in cautions
    # Not where the small model is only as good as the best.
    assert not said(inputs(small=0.5))[2]


def test_a_first_choice_that_learnt_nothing_is_said():
    headline, _, cautions = said(inputs(scores=(0.2, 0.1, 0.1), small=0.3))
    assert headline == "Similarity says: fine-tune Net A."
    assert "no better than a constant answer (0.200)" in cautions


def test_labels_are_whole_in_the_sentences():
    long = "A network with quite a long name, untrained"
    given = inputs()
    found = own_answer(given, BANK | {"a": (long, "objects")}, "last")
    assert found.headline == f"Fine-tune {long}."


def test_without_a_target_the_bank_is_compared():
    given = inputs(layers=("early", "last"))
    given = replace(given, tables={"similarity": given.tables["similarity"]})
    headline, sentences, _ = said(given)
    assert headline == "3 networks compared."
    assert "no target" in sentences
    assert "Net A and Net B, 0.70 [0.60, 0.80]; least Net B and Net C, 0.10" in sentences
    table = own_answer(given, BANK, "last").tables[0]
    assert len(table.rows) == 3  # of one layer
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


def test_two_networks_have_one_similarity():
    given = inputs()
    pair = given.tables["similarity"].iloc[:1]
    _, sentences, _ = said(replace(given, tables={"similarity": pair}))
    assert "similarity of Net A and Net B is 0.70 [0.60, 0.80]" in sentences
    assert "least" not in sentences


def test_curves_are_drawn_for_every_network_once_there_are_two_points():
    def curves(*steps: int) -> pd.DataFrame:
        runs = [("a", 0), ("a", 1), ("small model", 4)]
        rows = [
            {"model": model, "seed": seed, "step": step, "train_loss": 1 / step,
             "score": 0.2 + 0.01 * step}
            for model, seed in runs
            for step in steps
        ]  # fmt: skip
        return pd.DataFrame(rows)

    given = inputs()
    plain = render_own(given, BANK, "last")
    assert 'id="curves"' not in plain
    one = render_own(replace(given, tables={**given.tables, "curves": curves(10)}), BANK, "last")
    assert 'id="curves"' not in one  # a point is no curve; the table has it
    assert "Learning curves (3 rows)" in one
    two = {**given.tables, "curves": curves(10, 20)}
    text = render_own(replace(given, tables=two), BANK, "last")
    assert text.count("<svg") == plain.count("<svg") + 2  # a panel a network, not one a seed
    assert text.count("step 20: 0.400") == 3
    assert "Net A, seed 1" in text


def test_a_curve_keeps_inside_its_panel():
    svg = draw.curves({"seed 0": [(10, 0.1), (20, 0.3)]}, (0.1, 0.3), 20, "Net <A>", 0.2)
    assert svg.count("<circle") == 2
    assert "Net &lt;A&gt;" in svg
    inside = [float(x) for x in re.findall(r'cy="([\d.]+)"', svg)]
    assert 0 < min(inside) < max(inside) < draw.PANEL[1]
    flat = draw.curves({"": [(1, 0.5)]}, (0.5, 0.5), 1, "flat", 0.5)
    assert "nan" not in flat


def test_a_layer_of_the_ranking_that_was_not_compared_shows_the_first():
    given = inputs(layers=("early", "late"))
    text = render_own(given, BANK, "last")
    assert 'id="layer-early" checked' in text


def test_every_one_of_many_layers_can_be_seen(browser, tmp_path):
    layers = tuple(f"depth.{n}" for n in range(9))
    page = tmp_path / "own_report.html"
    page.write_text(render_own(inputs(layers=layers), BANK, "depth.8"), encoding="utf-8")
    context = browser.new_context(viewport={"width": 360, "height": 900}, offline=True)
    opened = context.new_page()
    opened.goto(page.as_uri())
    for layer in ("depth.8", "depth.6", "depth.0"):
        opened.locator(f'[id="layer-{layer}"]').check(force=True)
        shown = opened.locator("figure.layer:visible .scroll")
        assert shown.get_attribute("aria-label") == f"Similarity matrix, {layer}"
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_a_network_that_stands_for_the_target_is_named():
    assert "most similar to Net C" in said(inputs(), target="c")[1]


def test_a_table_that_lacks_a_column_is_one_line():
    given = inputs()
    ranking = given.tables["target_ranking"].drop(columns="tied")
    with pytest.raises(DataError, match="lacks 'tied'; make the tables again"):
        render_own(replace(given, tables={**given.tables, "target_ranking": ranking}), BANK, "last")
