"""Figures of the taxonomy, 4 to 6, and what backs them: true to their tables, clear when wrong."""

import itertools

import numpy as np
import pandas as pd
import pytest
from figure_tables import (
    ALL,
    BANKS,
    DEPTHS,
    FEW,
    FOUR,
    LAYERS,
    USERS,
    assert_clear,
    assert_page,
    draw,
    drawn,
    label_agreement,
    legend_texts,
    merges,
    meshes_of,
    networks,
    notes_of,
    presets,
    separation,
    similarity,
    taxonomy_agreement,
    tick_colours,
    transfer,
    tree,
    words_of,
    world,
)
from matplotlib.colors import to_hex
from scipy.cluster.hierarchy import leaves_list
from taskrsa.errors import DataError
from taskrsa.figures import style
from taskrsa.figures.sheet import Sheet
from taskrsa.figures.trees import draw_tree
from taskrsa.rsa.clustering import average_linkage
from taskrsa.tasks.dictionary import TASKS, TYPE_COLOURS


@pytest.mark.parametrize("bank", BANKS)
def test_names_carry_the_colours_of_their_types(bank):
    names = BANKS[bank]
    wanted = {TASKS[name].label: TYPE_COLOURS[TASKS[name].type] for name in names}
    matrix, _, dendrogram = draw("figure4", names).axes
    in_order = [TASKS[name].label for name in ALL if name in names]
    assert tick_colours(matrix.yaxis) == wanted
    assert list(tick_colours(matrix.yaxis)) == in_order
    assert list(tick_colours(matrix.xaxis)) == in_order
    assert tick_colours(dendrogram.yaxis) == wanted
    left, right, _ = draw("figure6", names).axes
    assert tick_colours(left.yaxis) == tick_colours(right.yaxis) == wanted


# --- Figure 4 ---


@pytest.mark.parametrize("n", [2, 3])
def test_small_banks_are_drawn(n):
    assert_clear(draw("figure4", ALL[:n]))
    assert_clear(draw("figure6", ALL[:n]))


def test_large_banks_are_drawn_without_overlap():
    names = [f"network_{i:02d}" for i in range(36)]
    figure = draw("figure4", names)
    assert_clear(figure)
    shown = words_of(figure)
    assert all(shown.count(name) == 3 for name in names)
    assert_clear(draw("figure5", names))


def test_cells_hold_the_values_of_the_table_in_the_order_of_the_names():
    shuffled = similarity(FEW, ["compressed"]).sample(frac=1, random_state=1)
    figure = draw("figure4", FEW, similarity=shuffled)
    cells = np.ma.masked_invalid(figure.axes[0].collections[0].get_array()).reshape(9, 9)
    off = ~np.eye(9, dtype=bool)
    assert np.ma.getmaskarray(cells)[~off].all()  # the diagonal is 1 by definition
    np.testing.assert_allclose(cells[off], world(FEW)[off])


def test_figures_take_any_layer_and_linkage():
    of = {"similarity": similarity(USERS, DEPTHS), "layer": "last", "linkage": "paper"}
    figure = draw("figure4", USERS, **of)
    assert_clear(figure)
    assert figure.axes[2].get_xlabel() == "distance of the matrix's rows"
    titles = [axes.get_title(loc="left") for axes in draw("figure5", USERS, **of_depths()).axes]
    assert titles[:2] == ["1  depth 1", "2  depth 2"]
    assert titles[5] == "6  last layer"
    labels = separation(["none", "pixels"], DEPTHS)
    ticks = draw("type_separation", separation=labels).axes[0].get_xticklabels()
    assert [text.get_text() for text in ticks][-2:] == ["depth\n5", "last\nlayer"]


def of_depths():
    return {"similarity": similarity(USERS, DEPTHS), "layer": "last"}


def test_the_tree_keeps_its_joins_and_puts_neighbours_together():
    axes = draw("figure4", ALL).axes[2]
    heights = {
        round(float(x0), 9) for (x0, _), (x1, _) in axes.collections[0].get_segments() if x0 == x1
    }
    assert heights == {round(float(z), 9) for z in merges(ALL)[:, 2]}
    matrix = pd.DataFrame(world(ALL), ALL, ALL)
    by_label = {TASKS[name].label: name for name in ALL}
    order = [by_label[text.get_text()] for text in axes.get_yticklabels()]
    plain = [ALL[leaf] for leaf in leaves_list(merges(ALL))]

    def length(names):
        return sum(1 - matrix.loc[a, b] for a, b in itertools.pairwise(names))

    assert sorted(order) == sorted(ALL)
    assert length(order) < length(plain)


def test_branches_of_one_type_take_its_colour_and_mixed_ones_none():
    # 2D 0, 1 join; 3D 2, 3 join; then all.
    names = [ALL[0], ALL[2], ALL[7], ALL[8]]
    z = np.array([[0, 1, 0.2, 2], [2, 3, 0.3, 2], [4, 5, 0.9, 4]], dtype=float)
    axes = Sheet(3, 2).axes(0.2, 0.2, 1, 1)
    styles = style.network_styles(names, networks())
    assert draw_tree(axes, z, names, styles, distance_label="distance") == names
    bars = {}
    lines = axes.collections[0]
    for segment, colour in zip(lines.get_segments(), lines.get_colors(), strict=True):
        (x0, _), (x1, _) = segment
        if x0 == x1:
            bars[float(x0)] = to_hex(colour)
    assert bars == {0.2: TYPE_COLOURS["2D"], 0.3: TYPE_COLOURS["3D"], 0.9: style.GREY}


def test_the_matrix_of_a_user_s_networks_has_the_order_of_the_leaves_level_with_the_tree():
    last = {"similarity": similarity(USERS, DEPTHS), "layer": "last"}
    figure = draw("figure4", USERS, **last)
    assert_clear(figure)
    matrix, _, dendrogram = figure.axes
    rows = list(tick_colours(matrix.yaxis))
    assert rows == list(tick_colours(matrix.xaxis)) == list(tick_colours(dendrogram.yaxis))
    for at, label in enumerate(matrix.get_yticklabels()):
        leaf = dendrogram.get_yticklabels()[at]
        heights = [text.get_window_extent().intervaly.mean() for text in (label, leaf)]
        assert abs(heights[0] - heights[1]) < 4, label.get_text()  # pixels, of 16 a row
    # All of the run are in one order; the key keeps that of the types.
    assert list(tick_colours(draw("figure5", USERS, **last).axes[0].yaxis)) == rows
    kinds = list(
        dict.fromkeys(s.type for s in style.network_styles(USERS, networks(USERS)).values())
    )
    assert legend_texts(figure) == [style.shorten(kind) for kind in kinds if kind]
    # The paper's types stand together, as in the paper.
    matrix, _, dendrogram = draw("figure4", ALL).axes
    assert list(tick_colours(matrix.yaxis)) == [TASKS[name].label for name in ALL]


def test_lines_part_types_only_where_these_stand_together():
    def lines(names, **of):
        return len(list(draw("figure4", names, **of).axes[0].lines))

    assert lines(ALL) == 2 * 3
    users = ["clip", ALL[0], "dollars", ALL[1]]  # the leaves mix the two types
    names = [*users[::2], *users[1::2]]
    mixed = pd.DataFrame(0.1, names, names)
    for a, b in (users[:2], users[2:]):
        mixed.loc[a, b] = mixed.loc[b, a] = 0.9
    pairs = [(a, b, mixed.loc[a, b]) for a, b in itertools.combinations(names, 2)]
    table = pd.DataFrame(pairs, columns=["model_a", "model_b", "rs"]).assign(layer="compressed")
    merges_of = tree(names, average_linkage(mixed.where(~np.eye(4, dtype=bool), 1).to_numpy()))
    assert lines(names, similarity=table, tree=merges_of) == 0


def test_a_tree_of_other_networks_is_refused():
    renamed = tree(["somebody", *FEW[1:]], merges(FEW))
    with pytest.raises(DataError, match="network somebody is not in the similarity table"):
        draw("figure4", FEW, tree=renamed)
    with pytest.raises(DataError, match="7 merges and 9 leaves do not make a tree"):
        draw("figure4", FEW, tree=tree(FEW, merges(FEW)[1:]))


def test_what_the_similarity_table_lacks_is_named():
    with pytest.raises(DataError, match=r"has no value for .*autoencoder"):
        draw("figure4", FOUR, similarity=similarity(FOUR, ["compressed"]).iloc[1:])
    with pytest.raises(DataError, match="no layer block9; it has block1"):
        draw("figure4", FOUR, layer="block9")


# --- Figure 5 ---


@pytest.mark.parametrize("layers", [["compressed"], LAYERS[:4], LAYERS[:5]])
@pytest.mark.parametrize("n", [2, 20])
def test_figure5_takes_any_number_of_layers_and_networks(layers, n):
    names = ALL[-n:]
    figure = draw("figure5", names, similarity=similarity(names, layers), layer=layers[-1])
    assert_clear(figure)
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    below = [axes for axes in panels if len(axes.get_xticks())]
    assert len(below) == min(3, len(layers))  # each column names its networks once


def test_figure5_has_one_colour_scale_that_holds_all_values():
    figure = draw("figure5", FEW)
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == [
        "1  block 1",
        "2  block 2",
        "3  block 3",
        "4  block 4",
        "5  compressed encoder output",
        "6  labels",
    ]
    meshes = [axes.collections[0] for axes in panels]
    assert len({mesh.get_clim() for mesh in meshes}) == 1
    low, high = meshes[0].get_clim()
    values = similarity(FEW)["rs"]
    assert low <= values.min() < values.max() <= high <= 1
    assert low <= 0


def test_a_network_without_labels_leaves_grey_cells():
    parts = [similarity(FEW, ["compressed"]), similarity(FEW[1:], ["labels"])]
    meshes = meshes_of(draw("figure5", FEW, similarity=pd.concat(parts)))
    hidden = [np.ma.getmaskarray(np.ma.masked_invalid(m.get_array())).sum() for m in meshes[:2]]
    assert hidden == [9, 9 + 16]


# --- Figure 6 ---


def test_equal_trees_face_each_other_without_crossings():
    of = similarity(ALL, ["compressed"])
    same = of.sample(frac=1, random_state=4)[["model_a", "model_b", "rs"]]
    left, right, middle = draw("figure6", ALL, transfer=same, similarity=of).axes
    assert list(tick_colours(left.yaxis)) == list(tick_colours(right.yaxis))
    assert len(middle.lines) == len(ALL)
    assert all(np.ptp(line.get_ydata()) < 1e-12 for line in middle.lines)


def test_figure6_draws_the_networks_that_have_affinities():
    result = drawn("figure6", ALL, transfer=transfer(FEW))
    assert len(tick_colours(result.figure.axes[0].yaxis)) == len(FEW)
    rows = result.numbers.set_index(["model_a", "model_b"])
    matrix = pd.DataFrame(world(ALL), ALL, ALL)
    assert len(rows) == 36
    for (a, b), row in rows.iterrows():
        assert row["ours"] == pytest.approx(matrix.loc[a, b])
    with pytest.raises(DataError, match="no network denoise, which affinities are of"):
        draw("figure6", FEW, transfer=transfer(ALL[:4]))


def test_the_trees_of_figure6_are_given_as_newick():
    result = drawn("figure6", FOUR)
    assert set(result.texts) == {"ours.nwk", "transfer.nwk"}
    for text in result.texts.values():
        assert text.endswith(";\n")
        assert all(name in text for name in FOUR)
    heights = average_linkage(world(FOUR[::-1], "block4"))[:, 2]
    assert f"{heights[0]:.6g}"[:6] in result.texts["transfer.nwk"]


def test_figure6_writes_the_agreement_with_its_interval():
    line = "Pearson 0.62 [0.50, 0.71], Spearman 0.65 [0.53, 0.74]"
    figure = draw("figure6_published", FEW)
    assert any(line in text for text in notes_of(figure))
    assert "Taskonomy (Zamir et al. 2018)" in notes_of(figure)
    table = taxonomy_agreement()
    plain = table[["affinities", "similarity", "pearson", "spearman"]]
    words = notes_of(draw("figure6", FEW, agreement=plain))
    assert any(text.endswith("Pearson 0.62, Spearman 0.65") for text in words)
    with pytest.raises(DataError, match="0 rows of measured affinities"):
        draw("figure6", FEW, agreement=table[table["affinities"] == "published"])


# --- Types, labels, choices of method ---


def test_separation_marks_significant_layers():
    figure = draw("type_separation")
    table = separation(["none"])
    weights = [t.get_weight() for t in figure.axes[0].texts if t.get_text().startswith("p")]
    assert weights == ["bold" if p < 0.05 else "normal" for p in table["p"]]
    points = figure.axes[1].collections[0].get_offsets()[:, 1]
    np.testing.assert_allclose(points, table["within"] - table["between"])
    assert [t.get_text() for t in figure.axes[0].texts][-2:] == ["p < .001", "p < .001"]


def test_separation_without_controls_is_one_panel():
    figure = draw("type_separation", separation=separation(["none"]))
    assert_page(figure)
    assert len(figure.axes) == 1
    assert "random weights" in legend_texts(figure)
    plain = separation(["none"]).drop(columns="random_mean")
    assert "random weights" not in legend_texts(draw("type_separation", separation=plain))
    table = separation()
    with pytest.raises(DataError, match="no control none"):
        draw("type_separation", separation=table[table["control"] != "none"])


def test_label_agreement_draws_the_pairs_of_one_layer():
    result = drawn("label_agreement", FEW)
    points = np.concatenate([c.get_offsets() for c in result.figure.axes[0].collections])
    rows = result.numbers[result.numbers["layer"] == "compressed"]
    expected = rows[["rs_labels", "rs_network"]].to_numpy()
    assert {tuple(np.round(p, 9)) for p in np.asarray(points)} == {
        tuple(np.round(p, 9)) for p in expected
    }
    table = label_agreement()
    at = result.figure.axes[1].collections[0].get_offsets()[:, 1]
    np.testing.assert_allclose(at, table["spearman"])
    with pytest.raises(DataError, match="no pairs of both layer pool5 and labels"):
        draw("label_agreement", FEW, layer="pool5")


def test_presets_draw_mean_largest_and_correlation_of_each_layer():
    table = presets(LAYERS[:-1])
    figure = draw("presets", presets=table)
    assert_page(figure)
    assert len(figure.axes) == 5
    for axes, layer in zip(figure.axes, LAYERS, strict=False):
        rows = table[table["layer"] == layer]
        widths = [bar.get_width() for bar in axes.patches]
        np.testing.assert_allclose(widths, rows["mean_abs_change"])
        assert [text.get_text() for text in axes.texts] == [f"{v:.2f}" for v in rows["spearman"]]
