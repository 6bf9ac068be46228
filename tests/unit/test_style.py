"""How networks and layers are written and coloured, in the order they are drawn."""

import itertools

import numpy as np
import pandas as pd
import pytest
from figure_tables import ALL, DEPTHS, LAYERS, USERS, networks
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab
from taskrsa.figures import style
from taskrsa.figures.sheet import type_handles
from taskrsa.tasks.dictionary import TASKS, TYPE_COLOURS


def table(*rows):
    return pd.DataFrame(rows, columns=["name", "label", "type"])


def test_tasks_keep_the_papers_order_and_colours_whatever_the_order_given():
    styles = style.network_styles(ALL[::-1], networks())
    assert list(styles) == ALL
    assert all(s.colour == TASKS[name].colour for name, s in styles.items())
    by_type = {s.type: s.marker for s in styles.values()}
    assert len(set(by_type.values())) == len(by_type)  # types differ in shape as well


def test_networks_of_a_user_follow_type_by_type_those_without_a_type_last():
    known = table(
        ("plain", "Plain", None),
        ("zeta", "Zeta", "video"),
        ("edges", "Edges", "2D"),
        ("alpha", "Alpha", "video"),
    )
    styles = style.network_styles(["stranger", "plain", "alpha", "zeta", "edges"], known)
    assert list(styles) == ["edges", "zeta", "alpha", "plain", "stranger"]
    assert styles["zeta"].colour == styles["alpha"].colour
    assert styles["zeta"].colour not in TYPE_COLOURS.values()
    assert styles["edges"].colour == TYPE_COLOURS["2D"]
    assert (styles["plain"].label, styles["plain"].type) == ("Plain", "")
    assert (styles["stranger"].label, styles["stranger"].type) == ("stranger", "")
    assert styles["plain"].colour not in {*TYPE_COLOURS.values(), styles["zeta"].colour}


def test_a_type_has_one_colour_whichever_networks_are_drawn():
    everything = style.network_styles(USERS, networks(USERS))
    for name in USERS:
        assert style.network_styles([name], networks(USERS))[name] == everything[name]


def test_nine_types_of_a_user_and_the_papers_four_differ_in_colour_and_shape():
    types = [*TYPE_COLOURS, *(f"type {k}" for k in range(9))]
    styles = style.type_styles(types)
    assert len({colour for colour, _ in styles.values()}) == 13
    assert len({marker for _, marker in styles.values()}) == 13


def test_types_beyond_the_colours_share_one_that_the_key_explains():
    n = len(style.PALETTE) + len(TYPE_COLOURS) + 3
    known = table(*((f"n{k}", f"n{k}", f"type {k}") for k in range(n)))
    styles = style.network_styles(known["name"], known)
    others = [s for s in styles.values() if style.is_other(s)]
    assert len(others) == 3
    assert len({s.colour for s in others}) == 1
    labels = [handle.get_label() for handle in type_handles(styles)]
    assert labels[-1] == "other types (3)"
    assert len(labels) == len(style.PALETTE) + len(TYPE_COLOURS) + 1
    alone = {name: s for name, s in styles.items() if s.type == f"type {n - 1}"}
    assert [handle.get_label() for handle in type_handles(alone)] == [f"type {n - 1}"]


def test_a_user_s_types_take_the_paper_s_colours_last_and_only_where_these_are_free():
    n = len(style.PALETTE) + len(TYPE_COLOURS)
    alone = style.type_styles(f"type {k}" for k in range(n))
    assert len({alone[f"type {k}"] for k in range(n)}) == n
    assert [alone[f"type {k}"][0] for k in range(n - 4)] == list(style.PALETTE)
    beside = style.type_styles(["2D", *(f"type {k}" for k in range(n - 1))])
    assert len({beside[kind] for kind in beside if kind in {"2D", *alone}}) == n
    assert beside["2D"][0] == TYPE_COLOURS["2D"]


def test_colours_of_types_can_be_distinguished():
    colours = [*TYPE_COLOURS.values(), *style.PALETTE, style.GREY, style.INK]
    lab = rgb2lab(np.array([[to_rgb(colour) for colour in colours]]))[0]
    for a, b in itertools.combinations(range(len(colours)), 2):
        assert deltaE_ciede2000(lab[a], lab[b]) > 15, (colours[a], colours[b])


def test_long_labels_keep_both_ends():
    assert style.shorten("semantic segmentation") == "semantic segmentation"
    short = style.shorten("a_transformer_of_my_own_with_a_long_name")
    assert len(short) == 24
    assert short.startswith("a_transf")
    assert short.endswith("ong_name")


def test_layers_stand_as_they_came_and_labels_last():
    assert style.layer_order(["labels", *LAYERS]) == LAYERS
    assert style.layer_order([*DEPTHS, *DEPTHS]) == DEPTHS


@pytest.mark.parametrize(
    ("layer", "label", "short"),
    [
        ("block3", "block 3", "block\n3"),
        ("depth10", "depth 10", "depth\n10"),
        ("compressed", "compressed encoder output", "com-\npressed"),
        ("last", "last layer", "last\nlayer"),
        ("labels", "labels", "labels"),
        ("layer4.2", "layer4.2", "layer4.2"),
    ],
)
def test_names_of_layers(layer, label, short):
    assert style.layer_label(layer) == label
    assert style.layer_label(layer, short=True) == short
