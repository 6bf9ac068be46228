"""Figures of transfer, selection and affinities: true to their tables, clear when wrong."""

import numpy as np
import pandas as pd
import pytest
from figure_tables import (
    ALL,
    FEW,
    KNOWN,
    METHODS,
    affinity,
    assert_page,
    draw,
    legend_texts,
    meshes_of,
    selection,
    tick_colours,
    whiskers,
)
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from taskrsa.errors import DataError
from taskrsa.figures import style
from taskrsa.tasks.dictionary import TASKS


def draw_selection(table, **options):
    return draw("selection", selection=table, **options)


def test_selection_draws_means_targets_and_shares_of_the_table():
    table = selection(KNOWN)
    left, right = draw_selection(table).axes
    assert [text.get_text() for text in left.get_yticklabels()] == list(METHODS.values())
    means = table[table["target"] == "mean"].reset_index(drop=True)

    def marks(axes, marker):
        found = [line for line in axes.lines if line.get_marker() == marker]
        return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in found]

    wanted = list(zip(means["spearman"], range(len(means)), strict=True))
    np.testing.assert_allclose(marks(left, "D"), wanted)
    dots = [c for c in left.collections if isinstance(c, PathCollection)]
    places = np.concatenate([c.get_offsets() for c in dots])
    single = table[table["target"] != "mean"]
    assert len(places) == len(single)
    rows = np.round(places[:, 1]).astype(int)
    for y, method in enumerate(METHODS):
        values = single[single["method"] == method]["spearman"]
        np.testing.assert_allclose(np.sort(places[rows == y, 0]), np.sort(values))
    for place, (column, marker) in enumerate((("top1", "o"), ("top3", "s"), ("top5", "D"))):
        found = np.array(marks(right, marker))
        np.testing.assert_allclose(found[:, 0], means[column] / means["n_targets"])
        np.testing.assert_allclose(np.round(found[:, 1]), range(len(means)))
        shift = 0.24 * (place - 1)
        ends = [w for w in whiskers(right) if abs(w[2] - shift - round(w[2])) < 0.1]
        known = means[means[f"{column}_low"].notna()]
        lows = known[f"{column}_low"] / known["n_targets"]
        np.testing.assert_allclose([low for low, _, _ in ends], lows)
    assert "7, 14, 16 of 17" in [text.get_text() for text in right.texts]
    assert "0.9, 2.8, 4.7 of 17" in [text.get_text() for text in right.texts]


def test_selection_marks_chance_only_where_it_was_computed():
    def dotted(figure):
        lines = [x for x in figure.axes[1].lines if x.get_linestyle() == ":"]
        return [float(line.get_xdata()[0]) for line in lines]

    table = selection(KNOWN)
    np.testing.assert_allclose(dotted(draw_selection(table)), np.array([1, 3, 5]) / 18)
    figure = draw_selection(table[~table["method"].isin(["random", "published"])])
    assert_page(figure)
    assert not dotted(figure)
    assert "chance" not in legend_texts(figure)


def test_selection_hollows_methods_without_single_targets():
    axes = draw_selection(selection(KNOWN)).axes[0]
    faces = [to_hex(x.get_markerfacecolor()) for x in axes.lines if x.get_marker() == "D"]
    assert faces == [style.INK] * 8 + ["#ffffff"] * 2


def test_selection_draws_the_affinities_of_the_run():
    some = {name: METHODS[name] for name in [*METHODS][:3]}
    published = selection(KNOWN, methods=some, affinities="published")
    both = pd.concat([published, selection(FEW, methods=some)], ignore_index=True)
    left, right = draw_selection(both).axes
    assert [text.get_text()[-4:] for text in right.texts] == ["of 9"] * 3
    assert left.get_xlabel() == "rank correlation with the measured transfers"
    right = draw_selection(both, affinities="published").axes[1]
    assert [text.get_text()[-5:] for text in right.texts] == ["of 17"] * 3
    with pytest.raises(DataError, match="no affinities measured"):
        draw_selection(published)


def test_selection_says_what_is_wrong():
    table = selection(FEW)
    mean = table[(table["method"] == "rsa") & (table["target"] == "mean")]
    with pytest.raises(DataError, match=r"\(means\) table has two rows of method rsa;"):
        draw_selection(pd.concat([table, mean], ignore_index=True))
    table.loc[table["target"] == "mean", "top3"] = np.nan
    with pytest.raises(DataError, match="no value of top3 at method rsa"):
        draw_selection(table)


def test_affinity_colours_compare_sources_within_their_column():
    table = affinity(ALL, KNOWN).sample(frac=1, random_state=3)
    axes, bar = draw("affinity", affinity=table).axes
    mesh = axes.collections[0]
    drawn = np.asarray(mesh.get_array()).reshape(20, 17)
    values = table.pivot(index="source", columns="target", values="affinity").loc[ALL, KNOWN]
    own = values.index.to_numpy()[:, None] == values.columns.to_numpy()
    others = values.mask(own)
    np.testing.assert_allclose(drawn, (values - others.mean()) / others.std(ddof=0))
    low, high = mesh.get_clim()
    assert low == -high
    dots = [x for x in axes.lines if x.get_marker() == "o"]
    found = [(int(x.get_xdata()[0]), int(x.get_ydata()[0])) for x in dots]
    best = [(k, ALL.index(others[name].idxmax())) for k, name in enumerate(KNOWN)]
    assert found == best
    boxes = {p.get_xy() for p in axes.patches if p.get_width() == pytest.approx(0.76)}
    assert boxes == {(k + 0.12, ALL.index(name) + 0.12) for k, name in enumerate(KNOWN)}
    assert tick_colours(axes.yaxis) == {TASKS[name].label: TASKS[name].colour for name in ALL}
    assert tick_colours(axes.xaxis) == {TASKS[name].label: TASKS[name].colour for name in KNOWN}
    assert "transfer" in bar.get_ylabel()


def test_affinity_leaves_absent_pairs_and_columns_of_one_value_grey():
    table = affinity(FEW, FEW)
    table.loc[table["target"] == FEW[2], "affinity"] = 0.1 + 0.2
    table = table[(table["source"] != FEW[0]) | (table["target"] != FEW[1])]
    figure = draw("affinity", FEW, affinity=table)
    assert_page(figure)
    (mesh, *_) = meshes_of(figure)
    hidden = np.ma.getmaskarray(mesh.get_array()).reshape(9, 9)
    wanted = np.zeros((9, 9), dtype=bool)
    wanted[:, 2] = wanted[0, 1] = True
    np.testing.assert_array_equal(hidden, wanted)
    columns = [int(x.get_xdata()[0]) for x in figure.axes[0].lines if x.get_marker() == "o"]
    assert columns == [0, 1, 3, 4, 5, 6, 7, 8]
