"""Figures 7, S1 and S3, of small models beside the bank: true to their tables, clear when wrong."""

import numpy as np
import pytest
from figure_tables import (
    ALL,
    BANKS,
    FEW,
    SMALL,
    assert_clear,
    assert_page,
    draw,
    legend_texts,
    message,
    notes_of,
    rankings,
    rankings_agreement,
    small_agreement,
    small_pairs,
    tick_colours,
    whiskers,
    world,
)
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from taskrsa.errors import DataError
from taskrsa.tasks.dictionary import TASKS, TYPE_COLOURS

EDGES = {"rankings": rankings(ALL), "figure7": ["edge3d"]}


def stars(axes):
    return [y for line in axes.lines if line.get_marker() == "*" for y in line.get_ydata()]


@pytest.mark.parametrize("n", [1, 5])
def test_figure7_draws_any_number_of_tasks(n):
    figure = draw("figure7", ALL, figure7=SMALL[:n])
    assert_clear(figure)
    assert [note for note in notes_of(figure) if "Pearson" not in note] == [
        TASKS[task].label for task in SMALL[:n]
    ]


def test_bars_hold_the_values_in_the_order_of_the_banks_similarity():
    table = rankings(ALL).sample(frac=1, random_state=0)
    banks, smalls = draw("figure7", ALL, rankings=table, figure7=["edge3d"]).axes
    rows = table[table["model"] == "edge3d"].sort_values("rs_bank", ascending=False)
    wanted = [TASKS[name].label for name in rows["other"]]
    assert [text.get_text() for text in banks.get_yticklabels()] == wanted
    assert wanted[0] == "occlusion edges"
    for axes, what in ((banks, "bank"), (smalls, "small")):
        np.testing.assert_allclose([b.get_width() for b in axes.patches], rows[f"rs_{what}"])
        places = [b.get_y() + b.get_height() / 2 for b in axes.patches]
        np.testing.assert_allclose(places, range(20))
        ends = rows[[f"{what}_low", f"{what}_high"]].to_numpy()
        known = np.isfinite(ends[:, 0])
        drawn = np.array(whiskers(axes))
        np.testing.assert_allclose(drawn[:, :2], ends[known])
        np.testing.assert_allclose(drawn[:, 2], np.flatnonzero(known))


def test_own_task_is_hatched_outlined_and_named_in_bold_and_no_other():
    figure = draw("figure7", ALL, **EDGES)
    for axes in figure.axes:
        hatched = [bar for bar in axes.patches if bar.get_hatch()]
        assert hatched == axes.patches[:1]
        assert to_hex(hatched[0].get_facecolor()) == "#ffffff"
        assert to_hex(hatched[0].get_edgecolor()) == TYPE_COLOURS["3D"]
    labels = figure.axes[0].get_yticklabels()
    assert [t.get_text() for t in labels if t.get_weight() == "bold"] == ["occlusion edges"]
    assert "own network" in legend_texts(figure)
    # 1 by definition does not squeeze the others: the bar runs beyond the axis and says so.
    assert figure.axes[0].get_xlim()[1] < 0.9
    assert [text.get_text() for text in figure.axes[0].texts] == ["1"]
    assert not figure.axes[1].texts


def test_bars_and_names_carry_the_colours_of_their_types():
    wanted = {TASKS[name].label: TYPE_COLOURS[TASKS[name].type] for name in ALL}
    banks, smalls = draw("figure7", ALL, **EDGES).axes
    assert tick_colours(banks.yaxis) == wanted
    labels = [text.get_text() for text in banks.get_yticklabels()]
    for axes in (banks, smalls):
        faces = [to_hex(bar.get_facecolor()) for bar in axes.patches]
        assert faces[1:] == [wanted[label] for label in labels][1:]
    panels = draw("figureS1", ALL).axes
    assert tick_colours(panels[0].yaxis) == wanted
    assert list(tick_colours(panels[0].yaxis)) == [TASKS[name].label for name in ALL]
    dots = next(c for c in panels[0].collections if isinstance(c, PathCollection))
    assert [to_hex(c) for c in dots.get_facecolors()] == list(wanted.values())


def test_stars_mark_small_models_with_q_below_05():
    table = rankings(ALL, ["edge3d"])
    figure = draw("figure7", ALL, rankings=table, figure7=["edge3d"])
    order = table.sort_values("rs_bank", ascending=False)
    assert 0 < (order["q_small"] < 0.05).sum() < 20
    assert not stars(figure.axes[0])
    assert stars(figure.axes[1]) == list(np.flatnonzero(order["q_small"] < 0.05))
    assert "q < .05" in legend_texts(figure)
    untested = table.drop(columns="q_small")
    untested = draw("figure7", ALL, rankings=untested, figure7=["edge3d"])
    assert not stars(untested.axes[1])
    assert "q < .05" not in legend_texts(untested)


def test_stars_are_of_untrained_networks_where_there_are_any():
    table = rankings(ALL, ["edge3d"])
    of = {"untrained_mean": 0.3, "untrained_low": 0.1, "untrained_high": 0.5}
    columns = {
        f"{name}_{which}": value for name, value in of.items() for which in ("small", "bank")
    }
    q = np.where(table["rs_small"] > 0.4, 0.01, 0.5)
    figure = draw(
        "figure7", ALL, rankings=table.assign(**columns, q_untrained_small=q), figure7=["edge3d"]
    )
    assert_clear(figure)
    order = table.sort_values("rs_bank", ascending=False)
    assert stars(figure.axes[1]) == list(np.flatnonzero(order["rs_small"] > 0.4))
    assert {"more alike than untrained, q < .05", "untrained networks, mean and 95 % range"} <= set(
        legend_texts(figure)
    )
    for axes in figure.axes:
        (mean,) = [line for line in axes.lines if line.get_linestyle() == "--"]
        np.testing.assert_allclose(mean.get_xdata(), 0.3)
    none = table.assign(**columns, q_untrained_small=np.nan)
    drawn = draw("figure7", ALL, rankings=none, figure7=["edge3d"])
    assert stars(drawn.axes[1]) == list(np.flatnonzero(order["q_small"] < 0.05))


def test_correlations_written_are_those_without_the_own_task():
    agreement = rankings_agreement(SMALL)
    agreement.loc[agreement["task"] == "rgb2sfnorm", "spearman"] = [0.999, -0.004]
    agreement.loc[agreement["task"] == "keypoint2d", "pearson"] = [0.5, np.nan]
    of = {"agreement": agreement, "figure7": ["keypoint2d", "rgb2sfnorm"]}
    texts = notes_of(draw("figure7", ALL, **of))
    assert "Pearson \N{EN DASH}, Spearman .85 (own task left out)" in texts
    assert "Pearson .84, Spearman .00 (own task left out)" in texts
    texts = notes_of(draw("figureS1", ALL, agreement=agreement))
    assert texts.count("Pearson .84, Spearman .85") == 12


def test_figure_s1_shows_bank_and_small_of_every_task_on_one_axis():
    table = rankings(ALL).sample(frac=1, random_state=1)
    figure = draw("figureS1", ALL, rankings=table)
    assert len(figure.axes) == 14
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    for task, axes in zip(SMALL, figure.axes, strict=True):
        rows = table[table["model"] == task].set_index("other")
        bars = {round(b.get_y() + 0.25 + 0.16): b.get_width() for b in axes.patches}
        np.testing.assert_allclose([bars[y] for y in range(20)], rows.loc[ALL, "rs_bank"])
        hatched = [round(b.get_y() + 0.41) for b in axes.patches if b.get_hatch()]
        assert hatched == [ALL.index(task)]
        dots = next(c for c in axes.collections if isinstance(c, PathCollection))
        points = {round(y - 0.24): x for x, y in dots.get_offsets()}
        np.testing.assert_allclose([points[y] for y in range(20)], rows.loc[ALL, "rs_small"])
        assert len(whiskers(axes)) == 20 + 19  # the bank's own has none
    named = [axes for axes in figure.axes if any(t.get_text() for t in axes.get_yticklabels())]
    assert named == figure.axes[::5]


@pytest.mark.parametrize("name", ["figure7", "figureS1"])
def test_intervals_that_are_empty_have_no_whiskers(name):
    assert "95 % interval" in legend_texts(draw(name, FEW))
    table = rankings(FEW)
    table[["small_low", "small_high", "bank_low", "bank_high"]] = np.nan
    figure = draw(name, FEW, rankings=table)
    assert_page(figure)
    assert not [w for axes in figure.axes for w in whiskers(axes)]
    assert "95 % interval" not in legend_texts(figure)


def test_a_network_absent_for_one_task_leaves_its_row_empty():
    table = rankings(FEW)
    first = table["model"].iloc[0]
    table = table[(table["model"] != first) | (table["other"] != FEW[-1])]
    axes = draw("figureS1", FEW, rankings=table).axes
    assert [len(a.patches) for a in axes] == [8] + [9] * (len(axes) - 1)


def test_rankings_say_what_is_wrong():
    with pytest.raises(DataError, match="no model class_1000; choose tasks that it has"):
        draw("figure7", FEW, figure7=["class_1000"])
    with pytest.raises(DataError) as error:
        draw("figureS1", FEW, agreement=rankings_agreement(["denoise"]))
    first = rankings(FEW)["model"].iloc[0]
    assert f"no row of task {first} with own_task left out" in message(error)


def test_figure_s3_draws_small_and_bank_on_one_scale_and_against_each_other():
    names = BANKS["17"]
    pairs = small_pairs(names).sample(frac=1, random_state=2)
    figure = draw("figureS3", names, pairs=pairs)
    meshes = [axes.collections[0] for axes in figure.axes[:2]]
    assert len({mesh.get_clim() for mesh in meshes}) == 1
    for mesh, seed in zip(meshes, (1, 0), strict=True):
        drawn = np.ma.masked_invalid(mesh.get_array()).reshape(17, 17)
        off = ~np.eye(17, dtype=bool)
        np.testing.assert_allclose(drawn[off], world(names, seed=seed)[off])
    points = np.concatenate([c.get_offsets() for c in figure.axes[3].collections])
    assert len(points) == len(pairs)
    drawn = {tuple(np.round(point, 9)) for point in np.asarray(points)}
    assert drawn == {tuple(np.round(p, 9)) for p in pairs[["rs_bank", "rs_small"]].to_numpy()}
    colours = {to_hex(c.get_facecolors()[0]) for c in figure.axes[3].collections[1:]}
    assert colours == set(TYPE_COLOURS.values())
    assert "Pearson .85 [.80, .90]\nSpearman .88" in notes_of(figure)


def test_figure_s3_says_what_is_wrong():
    with pytest.raises(DataError, match=f"no value for {FEW[1]} and {FEW[0]}|{FEW[0]} and"):
        draw("figureS3", FEW, pairs=small_pairs(FEW).iloc[1:])
    with pytest.raises(DataError, match="0 rows of seeds mean"):
        draw("figureS3", FEW, agreement=small_agreement().iloc[1:])
