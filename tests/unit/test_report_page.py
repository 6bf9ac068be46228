"""The report page: what it says, that it needs no network, and that it repeats itself."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from taskrsa.errors import DataError
from taskrsa.figures.style import task_style
from taskrsa.io.costs import Job
from taskrsa.io.files import read_tables
from taskrsa.paper.claims import Run, judge_all
from taskrsa.report import draw, view
from taskrsa.report.answer import answer, runners_up
from taskrsa.report.page import PICTURES, Inputs, caption, render
from taskrsa.tasks.dictionary import TASKS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results/reference"
SETTINGS = {
    "run": "demo",
    "seed": 3,
    "source": "simulated",
    "bank": {"source": "trained"},
    "small": {"seeds": [0, 1]},
    "pascal": {"source": "outdoor", "seeds": [0], "small": {"seeds": [0, 1]}},
}


def tree(similarity: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    rows = similarity[similarity["layer"] == "compressed"]
    names = list(dict.fromkeys([*rows["model_a"], *rows["model_b"]]))
    matrix = pd.DataFrame(1.0, index=names, columns=names)
    for row in rows.itertuples():
        matrix.loc[row.model_a, row.model_b] = matrix.loc[row.model_b, row.model_a] = row.rs
    return linkage(squareform(1 - matrix.to_numpy(), checks=False), "average"), names


def inputs(run: str = "demo") -> Inputs:
    folder = REFERENCE / run
    tables = read_tables(sorted(folder.glob("*.csv")))
    tables["bank_quality"] = tables.pop("quality")
    tables["small_quality"] = tables.pop("small_quality")
    jobs = [Job("rdms_trained_edge2d", 2, 1.5, 300), Job("finetune_block4_edge2d_s0", 9, 8, 400)]
    merges, leaves = tree(tables["similarity"])
    return Inputs(
        tables=tables,
        claims=judge_all(Run(tables, jobs)),
        pictures={path.stem: path for path in sorted(folder.glob("figure*.png"))},
        captions={
            path.stem: caption(path.read_text())
            for path in (ROOT / "workflow/report").glob("*.rst")
        },
        linkage=merges,
        leaves=leaves,
        settings=SETTINGS,
        digests={"500 stimuli": "ab" * 32},
        packages=["numpy", "no-such-package"],
        jobs=jobs,
        disk={"bank": 2_500_000, ".": 900},
    )


@pytest.fixture(scope="module")
def page() -> str:
    return render(inputs())


class Outline(HTMLParser):
    """Collects ids, links, headings, images and what is open, to see that all of it closes."""

    VOID = ("meta", "link", "img", "input", "br", "rect", "circle", "path")

    def __init__(self, text: str):
        super().__init__()
        self.open, self.ids, self.links, self.headings, self.images = [], [], [], [], []
        self.sources = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in self.VOID or tag in ("rect", "path"):
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


def test_the_page_is_sound(page):
    found = Outline(page)
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)
    assert found.headings[0] == 1
    steps = np.diff(found.headings)
    assert steps.max() <= 1
    assert found.headings.count(1) == 1


def test_the_page_needs_nothing_but_itself(page):
    found = Outline(page)
    assert [s for s in found.sources if not s.startswith(("data:", "#"))] == []
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|@import|url\(", page)
    assert len(page) < 6_000_000


def test_every_picture_is_there_with_its_caption_and_a_text_instead(page):
    found = Outline(page)
    names = [path.stem for path in sorted((REFERENCE / "demo").glob("figure*.png"))]
    assert len(found.images) == len(names)
    assert all(len(image["alt"]) > 20 for image in found.images)
    assert all(int(image["width"]) > 0 and int(image["height"]) > 0 for image in found.images)
    assert "Similarity of every network of the bank to the small model of the new task" in page


def test_same_inputs_give_the_same_bytes(page):
    assert render(inputs()) == page


def test_the_answer_comes_first_and_is_that_of_the_tables(page):
    first = pd.read_csv(REFERENCE / "demo/figure8.csv").sort_values("rank").iloc[0]
    # Fine-tuning did not bear the demo's ranking out.
    said = page.index(f"Similarity says: fine-tune {first.label}.</h2>")
    assert said < page.index("The paper's claims</h2>")
    reached = pd.read_csv(REFERENCE / "demo/table2.csv").set_index("model")
    assert f"it reached mIoU {reached.loc[first.model, 'miou_mean']:.3f}" in page


def test_claims_stand_with_published_and_ours(page):
    rows = judge_all(Run(inputs().tables, inputs().jobs))
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("&#39;", "'")
    for row in rows:
        assert row["statement"] in text, row["statement"]
    c4 = next(row for row in rows if row["claim"] == "C4")
    shown = f"{c4['ours']:.2f} [{c4['ci_low']:.2f}, {c4['ci_high']:.2f}]"
    assert f"Published: 0.62; here: {shown}" in text


def test_a_run_with_little_has_a_page_all_the_same():
    full = inputs()
    kept = ("similarity", "type_separation", "tasks")
    tables = {name: full.tables[name] for name in kept}
    settings = SETTINGS | {"pascal": {"source": None}, "bank": {"source": "taskonomy"}}
    little = replace(
        full,
        tables=tables,
        claims=judge_all(Run(tables, bank="taskonomy")),
        pictures={},
        settings=settings,
        jobs=(),
        disk={},
    )
    page = render(little)
    assert Outline(page).open == []
    assert "The 20 networks group by task type." in page
    assert "This run has no new task" in page
    assert "The bank is Taskonomy&#39;s own" in page
    assert "not comparable" in page
    assert "No job of this run was timed." in page


def test_a_table_without_a_column_is_named():
    full = inputs()
    tables = dict(full.tables) | {"figure8": full.tables["figure8"].drop(columns="ci_low")}
    with pytest.raises(DataError, match=r"a table of the report lacks 'ci_low'"):
        render(replace(full, tables=tables))


def test_names_of_a_user_s_own_are_no_markup():
    full = inputs()
    tables = dict(full.tables)
    name = "<b>&own"
    for table, column in (("similarity", "model_a"), ("figure8", "model"), ("table2", "model")):
        tables[table] = tables[table].replace({column: {"autoencoder": name}})
        if "label" in tables[table]:
            tables[table] = tables[table].replace({"label": {"autoencoding": name}})
    leaves = [name if leaf == "autoencoder" else leaf for leaf in full.leaves]
    page = render(replace(full, tables=tables, leaves=leaves, pictures={}))
    assert not re.search(r"<b>&(amp;)?own", page)
    assert "&lt;b&gt;&amp;own" in page


# --- parts ---


def test_captions_are_plain_text():
    files = list((ROOT / "workflow/report").glob("*.rst"))
    assert files
    for path in files:
        assert not re.search(r"``|\*|::|`_|\|", path.read_text()), path.name


def test_every_figure_of_the_rules_has_a_title_and_a_text():
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    drawn = set(re.findall(r'figure_files\(\s*"(\w+)"', rules))
    assert drawn
    assert drawn - {"own_bank", "own_ranking"} <= set(PICTURES)


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0.4652, 2, "0.47"),
        (-0.004, 2, "0.00"),
        (-0.4, 1, "\N{MINUS SIGN}0.4"),
        (np.nan, 2, ""),
        (None, 2, ""),
        ("x", 2, ""),
        (17, 0, "17"),
    ],
)
def test_numbers(value, digits, shown):
    assert view.number(value, digits) == shown


def test_estimates_p_values_and_sizes():
    assert view.estimate(0.4652, 0.436, 0.496) == "0.47 [0.44, 0.50]"
    assert view.estimate(0.4652, np.nan, np.nan) == "0.47"
    assert view.estimate(np.nan, 0.1, 0.2) == ""
    assert [view.p_value(p) for p in (0.0001, 0.0078, 0.051, 0.97, np.nan)] == [
        *("< 0.001", "0.0078", "0.051", "0.97", "")
    ]
    assert [view.size(n) for n in (900, 54_000, 2_500_000, 1.5e9)] == [
        *("0.9 kB", "54 kB", "2.5 MB", "1.5 GB")
    ]
    assert [view.claim_digits(x) for x in (10.0, 0.62, 0.016, 2.47, None)] == [0, 2, 3, 2, 2]


def test_columns_sort_by_value_and_blank_ones_go():
    frame = pd.DataFrame({"a": [0.5, np.nan], "b": [np.nan, np.nan], "t": ["B", "a"]})
    columns = [view.value("a", "A"), view.value("b", "B"), view.text("t", "T")]
    table = view.table_of(frame, "x", columns)
    assert [column.head for column in table.columns] == ["A", "T"]
    assert [[cell.key for cell in row] for row in table.rows] == [["0.5", "b"], ["", "a"]]
    assert view.table_of(frame.head(0), "x", columns) is None


def test_runners_up_are_those_whose_rank_may_be_the_first():
    ranking = pd.DataFrame({"model": list("abcd"), "rank": [2, 1, 3, 4], "rank_low": [1, 1, 2, 1]})
    assert runners_up(ranking) == ["a", "d"]


def test_runners_up_and_doubts_are_said():
    full = inputs()
    ranking = full.tables["figure8"].sort_values("rank").reset_index(drop=True)
    ranking.loc[[1, 2], "rank_low"] = 1
    styles = task_style(TASKS)
    claim = {"claim": "C10", "statement": "The ranking predicts fine-tuned mIoU", "ours": 0.3}
    claim |= {"ci_low": 0.2, "ci_high": 0.4, "verdict": "does not", "note": "why"}
    found = answer(dict(full.tables) | {"figure8": ranking}, [claim], styles)
    near = [styles[name].label for name in ranking["model"][1:3]]
    assert any(
        sentence.lower() == f"{near[0]} and {near[1]} cannot be told from it at 95 %.".lower()
        for sentence in found.sentences
    )
    assert "Spearman 0.30 [0.20, 0.40]; why" in found.cautions[0]
    assert found.headline.startswith("Similarity says: fine-tune ")
    sure = answer(full.tables, [claim | {"verdict": "holds"}], styles)
    assert sure.cautions == []
    assert sure.headline.startswith("Fine-tune ")


def test_matrix_has_every_pair_and_its_numbers():
    similarity = inputs().tables["similarity"].query("layer == 'compressed'")
    styles = task_style(TASKS)
    svg = draw.matrix(similarity, styles, "output")
    n = len({*similarity["model_a"], *similarity["model_b"]})
    assert svg.count("<rect ") == n * n
    row = similarity.iloc[0]
    names = [styles[row[side]].label for side in ("model_a", "model_b")]
    assert f"<title>{names[0]}, {names[1]}: {view.estimate(row.rs, row.ci_low, row.ci_high)}" in svg
    assert draw.shade(1.0) in svg
    assert draw.shade(-0.3) == draw.shade(0) != draw.shade(0.5)


def test_tree_has_the_leaves_in_the_order_of_scipy():
    merges, names = tree(inputs().tables["similarity"])
    styles = task_style(names)
    svg = draw.tree(merges, names, styles)
    shown = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    assert shown == [styles[names[at]].label for at in leaves_list(merges)]
    assert svg.count("<path ") == len(names) - 1


def test_pictures_are_reduced_and_keep_their_colours(tmp_path):
    big = np.full((300, 3000, 3), 255, np.uint8)
    big[:, :1000] = (214, 32, 32)
    Image.fromarray(big).save(tmp_path / "big.png")
    uri, width, height = draw.picture(tmp_path / "big.png")
    assert (width, height) == (1330, 133)
    import base64
    import io

    kept = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB")
    assert kept.size == (draw.WIDEST, 150)
    assert np.abs(np.array(kept.getpixel((100, 50))) - [214, 32, 32]).max() <= 3
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(DataError, match=r"bad.png: is no picture"):
        draw.picture(tmp_path / "bad.png")
    with pytest.raises(DataError, match=r"none.png: there is no such picture"):
        draw.picture(tmp_path / "none.png")
