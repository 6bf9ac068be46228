"""The report page: what it shows of any run, that it is self-contained, and repeats itself."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from report_runs import DEMO, LABELLED, bank, demo, race
from taskrsa.errors import DataError
from taskrsa.paper.claims import Run, judge_all
from taskrsa.report.answer import Answer, said_once
from taskrsa.report.inputs import Inputs
from taskrsa.report.page import render

SECTION = "How alike the networks are</h2>"
MANY_TYPES = [f"type {at}" for at in range(12)]


@pytest.fixture(scope="module")
def page() -> str:
    return render(demo())


class Outline(HTMLParser):
    """Collects ids, links, headings, images and what is open, to see that all of it closes."""

    VOID = ("meta", "link", "img", "input", "br", "circle")

    def __init__(self, text: str):
        super().__init__()
        self.open, self.ids, self.links, self.headings, self.images = [], [], [], [], []
        self.sources = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in self.VOID or tag in ("rect", "path", "circle"):
            self.open.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a":
            self.links.append(values["href"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "img":
            self.images.append(values)
        self.sources += [
            values[name] for name in ("src", "href", "srcset", "data") if name in values
        ]

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("&#39;", "'")


def assert_sound(page: str) -> None:
    found = Outline(page)
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)
    assert found.headings[0] == 1
    assert np.diff(found.headings).max() <= 1
    assert found.headings.count(1) == 1


# --- the demo ---


def test_the_page_is_sound(page):
    assert_sound(page)


def test_the_page_needs_nothing_but_itself(page):
    found = Outline(page)
    assert [s for s in found.sources if not s.startswith(("data:", "#"))] == []
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|@import|url\(", page)
    assert len(page) < 6_000_000


def test_every_picture_is_there_with_its_caption_and_a_text_instead(page):
    found = Outline(page)
    assert len(found.images) == len(list(DEMO.glob("*.png")))
    assert all(len(image["alt"]) > 20 for image in found.images)
    assert all(int(image["width"]) > 0 and int(image["height"]) > 0 for image in found.images)


def test_same_inputs_give_the_same_bytes(page):
    assert render(demo()) == page


def test_answer_then_taxonomy_then_claims_then_cost(page):
    titles = [
        "Fine-tuned, ",
        "Target outdoor</h2>",
        "How alike the networks are (",
        "The paper&#39;s claims</h2>",
    ]
    page = page[page.index("<main>") :]
    titles += ["What it cost</h2>", "What it was made from</h2>"]
    assert sorted(titles, key=page.index) == titles


def test_claims_stand_with_published_and_ours(page):
    rows, text = demo().claims, text_of(page)
    for row in rows:
        assert row["statement"] in text, row["statement"]
    c4 = next(row for row in rows if row["claim"] == "C4")
    shown = f"{c4['ours']:.2f} [{c4['ci_low']:.2f}, {c4['ci_high']:.2f}]"
    assert f"Published: 0.62 ; here: {shown}" in text.replace("0.62;", "0.62 ;")
    n = sum(row["verdict"] == "holds" for row in rows)
    assert f"Of {len(rows)} numbers, {n} hold" in text


def test_claims_about_a_target_stand_with_the_paper_s_target_only():
    given = demo()
    assert text_of(render(given)).count("C9") > text_of(
        render(replace(given, paper_target=""))
    ).count("C9")


def test_a_run_with_little_has_a_page_all_the_same():
    full = demo()
    kept = ("similarity", "type_separation", "tasks")
    tables = {name: full.tables[name] for name in kept}
    little = replace(
        full,
        networks=full.networks.assign(loader="taskonomy"),
        tables=tables,
        targets={},
        claims=judge_all(Run(tables, bank="taskonomy")),
        pictures=(),
        jobs=(),
        disk={},
        left_out=["Figure 6: needs transfer affinities"],
    )
    page = render(little)
    assert_sound(page)
    assert "The 20 networks group by type." in page
    assert "This run has no target" in page
    assert "These are Taskonomy&#39;s own networks" in page
    assert "not comparable" in page
    assert "No job of this run was timed." in page
    assert "Figure 6: needs transfer affinities" in page


def test_names_of_a_user_s_own_are_no_markup():
    given = bank(label="<b>&own {}")
    page = render(given)
    assert not re.search(r"<b>&(amp;)?own", page)
    assert "&lt;b&gt;&amp;own" in page


# --- a user's networks and targets ---


def test_the_page_of_a_user_s_networks_holds_its_numbers():
    page = render(bank())
    assert_sound(page)
    text = text_of(page)
    for shown in ("Net A", "Net C", "0.350", "Rankings from fewer images", "ab" * 32, "seed: 7"):
        assert shown in text
    assert "not installed" in text
    assert "Dwivedi" not in text  # no claims of the paper are judged here
    assert "section 6.1" not in text


@pytest.mark.parametrize(
    ("n", "types"), [(2, ()), (3, ("one",)), (27, MANY_TYPES), (100, ()), (100, MANY_TYPES)]
)
def test_tables_of_any_size_and_types_have_a_page(n, types):
    page = render(bank(n, types, layers=("early", "last")))
    assert_sound(page)
    assert len(page) < 3_000_000
    assert page.count('<figure class="layer">') == (2 if n <= 40 else 1)
    assert ('class="types"' in page) == (len(types[:n]) > 1)
    assert (f"The first 20 of {n} networks, as advised" in page) == (n > 20)
    assert text_of(page).count(f"Net {'A' if n <= 26 else 0}") > 4


def test_types_differ_in_sign_or_colour():
    given = bank(24, MANY_TYPES)
    seen = {(mark.glyph, mark.colour) for mark in given.marks.values()}
    assert len(seen) == 12
    assert len(given.marks) == 12


def test_several_targets_each_have_an_answer_and_a_section():
    targets = {
        "roads": {"kind": "segmentation", **LABELLED},
        "leaves": {"kind": "classification", **LABELLED},
        "brain": {"kind": "network", "network": "n2"},
    }
    page = render(bank(targets=targets))
    assert_sound(page)
    text = text_of(page)
    assert text.count("Fine-tune Net A.") == 3
    assert "Target roads : segmentation, 24 training and 9 validation images" in text
    assert "Target brain : a network of the table" in text
    assert {"target-roads", "target-leaves", "target-brain"} <= set(Outline(page).ids)
    assert "First choice for each target" in text
    assert "fine-tuned accuracy" in text
    assert page.index("Target <b>roads") < page.index("Target <b>leaves") < page.index(SECTION)


def test_what_targets_share_is_said_once():
    targets = {name: {"kind": "network", "network": "n2"} for name in ("one", "two")}
    pictures = [picture for picture in demo().pictures if picture.figure.name == "ranking"]
    given = bank(targets=targets)
    both = [picture._replace(target=name) for picture in pictures for name in targets]
    page = text_of(render(replace(given, pictures=both)))
    assert page.count("The run has no untrained networks to compare with") == 1
    assert page.count("Band, broken line") == 1
    assert re.search(r"Read like the figure for +one", page)
    labelled = {name: {"kind": "segmentation", **LABELLED} for name in ("one", "two")}
    assert text_of(render(bank(targets=labelled))).count("Measures have units of their own") == 1


def test_a_note_that_some_targets_share_names_them():
    answers = [Answer("", [], target=name, notes=["Same."]) for name in ("a", "b")]
    answers.append(Answer("", ["Own."], target="c", notes=["Other."]))
    notes, rest = said_once(answers)
    assert notes == ["a and b: Same."]
    assert [answer.said for answer in rest] == [[], [], ["Own.", "Other."]]


def test_a_target_that_was_not_ranked_is_left_out():
    given = bank()
    page = render(replace(given, targets={"mine": {"images": given.table("images", "mine")}}))
    assert "This run has no target" not in page or "How alike are these networks?" in page
    assert "Target mine" not in text_of(page)


def test_the_matrix_of_the_ranking_s_layer_is_shown_first():
    layers = ("early", "last")
    page = render(bank(layers=layers))
    assert 'id="layer-last" checked' in page
    assert page.count("<svg") == 3  # two matrices and the tree
    assert 'id="layer-early" checked' in render(bank(layers=layers, layer="none", tree=None))


def test_matrix_and_tree_have_one_order():
    given = bank(5, types=("b", "a"))
    page = render(given)
    matrix, tree = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    rows = re.findall(r'text-anchor="end">(Net \w)', matrix)
    assert rows == re.findall(r"(Net \w)<title>", tree)
    assert sorted(rows) == [f"Net {letter}" for letter in "ABCDE"]


def test_a_table_without_a_column_is_one_line():
    given = bank()
    tables = given.targets["mine"]
    advice = tables["advice"].drop(columns="untrained")
    with pytest.raises(DataError, match=r"no column 'untrained'; make it again"):
        render(replace(given, targets={"mine": {**tables, "advice": advice}}))


def rows_of(page: str, title: str) -> list[list[str]]:
    """Return the cells of the table below a heading, with its heads first."""
    table = re.search(rf">{re.escape(title)}</h3>.*?</table>", page, flags=re.DOTALL)[0]
    found = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table.split("<tr>")[1:]]
    return [[text_of(cell).strip() for cell in row] for row in found]


def test_advice_and_measures_stand_before_the_paper_s_ranking():
    page = render(bank())
    titles = ["The advice: mean of the ranks by measures", "All measures of the networks"]
    titles.append("Ranking by the paper&#39;s RSA")
    assert sorted(titles, key=page.index) == titles
    heads, first, *_ = rows_of(page, titles[0])
    assert heads[-2:] == ["by linear probe", "by linear CKA with labels"]
    assert first[:2] == ["1", "Net A"]
    # One row a network, at the layer of the advice; measures without a score are left out.
    assert rows_of(page, titles[1]) == [
        ["network", "linear probe", "linear CKA with labels", "size"],
        ["Net A", "0.900", "0.450", "6.900"],
        ["Net B", "0.600", "0.300", "6.600"],
        ["Net C", "0.300", "0.150", "6.300"],
        ["constant answer", "0.250", "", ""],
    ]
    # A target without labels has a ranking only, which stands beside the answer.
    page = render(bank(targets={"mine": {"kind": "network", "network": "n2"}}))
    assert not [title for title in titles if title in page]
    assert "The 3 networks, ranked by similarity" in page


def test_advice_and_measures_stand_before_the_paper_s_figures():
    given, full = bank(), demo()
    tables = {**full.targets["outdoor"], **given.targets["mine"]}
    pictures = [one._replace(target="mine") for one in full.pictures if one.target]
    page = render(replace(given, pictures=pictures, targets={"mine": tables}))
    assert_sound(page)
    assert page.index("All measures of the networks") < page.index('<figure class="picture">')
    assert page.index('<figure class="picture">') < page.index("Ranking by the paper&#39;s RSA")


def test_a_race_has_its_rounds_shown():
    given = bank()
    tables = given.targets["mine"]
    won = tables["scores"][tables["scores"]["model"] == "n1"]
    rounds = race(["n1", "n0", "n2"], ["n1", "n0"], ["n1"])
    page = render(replace(given, targets={"mine": {**tables, "race": rounds, "scores": won}}))
    assert_sound(page)
    heads, *rows = rows_of(page, "The race")
    assert heads[:2] == ["round", "network"]
    assert [row[1] for row in rows] == ["Net B", "Net A", "Net C", "Net B", "Net A", "Net B"]
    assert [row[-1] for row in rows] == ["yes", "yes", "no", "yes", "no", "yes"]


def test_the_first_choice_for_each_target_is_that_of_its_headline():
    targets = {name: {"kind": "segmentation", **LABELLED} for name in ("tuned", "advised")}
    given = bank(targets=targets)
    tables = given.targets["advised"]
    tied = tables["advice"].assign(tied="yes")
    cheap = tables["cost"].assign(seconds=[3, 2, 1])
    only = {name: frame for name, frame in tables.items() if name != "scores"}
    of_targets = {**given.targets, "advised": {**only, "advice": tied, "cost": cheap}}
    page = text_of(render(replace(given, targets=of_targets)))
    assert "tuned Net A fine-tuning 1 segmentation 0.500 mIoU" in page
    assert "advised Net C advice 3 segmentation" in page
    assert "take the cheapest, Net C." in page


def curves(*steps: int) -> pd.DataFrame:
    runs = [("n0", 0), ("n0", 1), ("small", 4)]
    rows = [
        {"model": model, "seed": seed, "step": step, "train_loss": 1 / step,
         "score": 0.2 + 0.01 * step}
        for model, seed in runs
        for step in steps
    ]  # fmt: skip
    return pd.DataFrame(rows)


def with_curves(given: Inputs, frame: pd.DataFrame) -> str:
    return render(replace(given, targets={"mine": {**given.targets["mine"], "curves": frame}}))


def test_curves_are_drawn_for_every_network_once_there_are_two_points():
    plain = render(bank())
    assert 'class="panels"' not in plain
    one = with_curves(bank(), curves(10))
    assert 'class="panels"' not in one  # a point makes no curve; the table has it
    assert "Learning curves (3 rows)" in one
    page = with_curves(bank(), curves(10, 20))
    assert page.count("<svg") == plain.count("<svg") + 2  # a panel a network, not one a seed
    assert page.count("step 20: 0.400") == 3
    assert "Net A, seed 1" in page
    assert "<b>small model</b>" in page


# --- in a browser ---


@pytest.mark.parametrize("width", [360, 1280])
def test_every_one_of_many_layers_can_be_seen(browser, tmp_path, width):
    layers = tuple(f"depth.{n}" for n in range(9))
    path = tmp_path / "report.html"
    path.write_text(render(bank(layers=layers)), encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    opened = context.new_page()
    opened.goto(path.as_uri())
    for layer in ("depth.8", "depth.6", "depth.0"):
        opened.locator(f'[id="layer-{layer}"]').check(force=True)
        shown = opened.locator("figure.layer:visible .scroll")
        assert shown.get_attribute("aria-label") == f"Similarity matrix, {layer}"
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@pytest.mark.parametrize("label", ["Net {}", "efficientnet_b0.ra_in1k_with_a_very_long_name_{}"])
def test_on_a_phone_the_advice_is_seen_without_scrolling(browser, tmp_path, label):
    path = tmp_path / "report.html"
    targets = {name: {"kind": "segmentation", **LABELLED} for name in ("mine", "other")}
    path.write_text(render(bank(27, MANY_TYPES, label=label, targets=targets)), encoding="utf-8")
    context = browser.new_context(viewport={"width": 360, "height": 900}, offline=True)
    opened = context.new_page()
    opened.goto(path.as_uri())
    for table in opened.locator("#answer table").all():
        heads = table.locator("th").all_inner_texts()
        number = "mean rank" if "mean rank" in heads else "by"
        box = table.locator("tbody tr").first.locator("td").nth(heads.index(number))
        edges = box.bounding_box()
        assert edges["x"] + edges["width"] <= 360
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_long_tables_show_their_first_rows_until_more_are_asked_for(browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render(bank(100)), encoding="utf-8")
    context = browser.new_context(viewport={"width": 390, "height": 900}, offline=True)
    opened = context.new_page()
    opened.goto(path.as_uri())
    table = opened.locator(".shown").filter(has=opened.locator(".rows")).first
    rows = table.locator("tbody tr:visible")
    assert rows.count() == 20
    table.locator(".find").fill("Net 77")
    assert rows.count() == 1
    table.locator(".find").fill("")
    table.locator(".rows").check()
    assert rows.count() == 100
    # On a phone the less important columns are folded as well.
    heads = table.locator("th:visible")
    folded = heads.count()
    table.locator(".columns").check()
    assert heads.count() > folded
    context.close()


@pytest.mark.parametrize("n", [3, 20, 27, 100])
def test_matrix_and_tree_stand_side_by_side_on_a_desk(browser, tmp_path, n):
    path = tmp_path / "report.html"
    path.write_text(render(bank(n, label="a network with a long name {}")), encoding="utf-8")
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    opened = context.new_page()
    opened.goto(path.as_uri())
    matrix, tree = (
        opened.locator(f"figure.{name} svg").bounding_box() for name in ("layer", "tree")
    )
    assert tree["x"] > matrix["x"] + matrix["width"]
    # The rows of the matrix lie beside the leaves.
    assert abs(matrix["y"] + matrix["height"] - tree["y"] - tree["height"]) < 1
    context.close()
