"""Pictures of the page: every pair in the matrix, leaves in SciPy's order, curves in a panel."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from report_runs import bank
from scipy.cluster.hierarchy import leaves_list
from taskrsa.errors import DataError
from taskrsa.report import draw
from taskrsa.report.sections import TEMPLATES
from taskrsa.report.view import Mark
from taskrsa.text import estimate


def test_matrix_has_every_pair_and_its_numbers():
    given = bank(7)
    similarity = given.tables["similarity"]
    svg = draw.matrix(similarity, list(given.styles), given.styles, "output")
    assert svg.count("<rect ") == 7 * 7
    row = similarity.iloc[0]
    shown = estimate(row.rs, row.ci_low, row.ci_high)
    assert f"<title>Net A, Net B: {shown}</title>" in svg
    assert draw.shade(1.0) in svg
    assert draw.shade(-0.3) == draw.shade(0) != draw.shade(0.5)


def test_matrix_leaves_out_networks_that_a_layer_lacks():
    given = bank(4)
    rows = given.tables["similarity"].query("model_a != 'n0' and model_b != 'n0'")
    svg = draw.matrix(rows, list(given.styles), given.styles, "early")
    assert svg.count("<rect ") == 3 * 3
    assert "Net A" not in svg


def test_long_labels_are_cut_and_whole_when_pointed_at():
    given = bank(3, label="A network with quite a long name, {}")
    svg = draw.matrix(given.tables["similarity"], list(given.styles), given.styles, "")
    assert "A network with " in svg
    assert "<title>A network with quite a long name, B</title>" in svg
    shown = re.findall(r'text-anchor="end">([^<]+)<', svg)
    assert all(len(label) <= 27 for label in shown)


def test_tree_has_the_leaves_in_the_order_of_scipy():
    given = bank(9)
    tree = given.tree
    svg = draw.tree(tree.linkage, tree.leaves, given.styles)
    shown = re.findall(r"(Net \w)<title>", svg)
    assert shown == [given.label(tree.leaves[at]) for at in leaves_list(tree.linkage)]
    assert svg.count("<path ") == 8


def test_a_curve_keeps_inside_its_panel():
    svg = draw.curves({"seed 0": [(10, 0.1), (20, 0.3)]}, (0.1, 0.3), 20, "Net <A>", 0.2)
    assert svg.count("<circle") == 2
    assert "Net &lt;A&gt;" in svg
    inside = [float(y) for y in re.findall(r'cy="([\d.]+)"', svg)]
    assert 0 < min(inside) < max(inside) < draw.PANEL[1]
    flat = draw.curves({"": [(1, 0.5)]}, (0.5, 0.5), 1, "flat", 0.5)
    assert "nan" not in flat


@pytest.mark.parametrize("colour", ["#ffffff", "#000000", "#fd8d5d", "#1f3fd1", "#777777"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_of_types_are_legible_in_both_schemes(colour, scheme):
    def light(text: str) -> float:
        parts = [int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        parts = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))

    low, high = sorted(map(light, (draw.readable(colour, scheme), draw.PAPER[scheme])))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_legible_colours_stay_as_they_are():
    assert draw.readable("#1f3fd1", "light") == "#1f3fd1"


def test_the_papers_background_is_that_of_the_style_sheet():
    light, dark = re.findall(r"--paper: (#\w+)", (TEMPLATES / "page.css").read_text())[:2]
    assert {"light": light, "dark": dark} == draw.PAPER


def test_types_have_a_rule_each_in_both_schemes():
    css = draw.type_css([Mark("type-0", "●", "#1f3fd1"), Mark("type-1", "■", "#149414")])
    assert css.count("--type-0:#") == css.count("--type-1:#") == 2
    assert '.type-1::before{content:"■' in css


def test_pictures_are_reduced_and_keep_their_colours(tmp_path):
    big = np.full((300, 3000, 3), 255, np.uint8)
    big[:, :1000] = (214, 32, 32)
    Image.fromarray(big).save(tmp_path / "big.png")
    uri, width, height = draw.picture(tmp_path / "big.png")
    assert (width, height) == (1330, 133)
    kept = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB")
    assert kept.size == (draw.WIDEST, 150)
    assert np.abs(np.array(kept.getpixel((100, 50))) - [214, 32, 32]).max() <= 3
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(DataError, match=r"bad.png: not a picture"):
        draw.picture(tmp_path / "bad.png")
    with pytest.raises(DataError, match=r"none.png: picture not found"):
        draw.picture(tmp_path / "none.png")
