"""Figures of a target, ranking, scores and choice: true to their tables, clear when wrong."""

import numpy as np
import pandas as pd
import pytest
from figure_tables import (
    ALL,
    FEW,
    SCRATCH,
    USERS,
    assert_page,
    beside_untrained,
    choice,
    draw,
    layers,
    legend_texts,
    notes_of,
    prediction,
    ranking,
    scores,
    tick_colours,
    whiskers,
)
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_hex
from taskrsa.errors import DataError
from taskrsa.paper.published import MIOU
from taskrsa.tasks.dictionary import TASKS, TYPE_COLOURS

# --- The ranking ---


def test_bars_hold_the_values_most_similar_on_top():
    table = ranking(ALL)
    (axes,) = draw("ranking").axes
    rows = table.sort_values("rs", ascending=False)
    labels = [TASKS[name].label for name in rows["model"]]
    assert [text.get_text() for text in axes.get_yticklabels()] == labels
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], rows["rs"])
    middles = [bar.get_y() + bar.get_height() / 2 for bar in axes.patches]
    np.testing.assert_allclose(middles, range(20))
    ends = np.c_[rows[["ci_low", "ci_high"]].to_numpy(), range(20)]
    np.testing.assert_allclose(whiskers(axes), ends)
    colours = [TYPE_COLOURS[TASKS[name].type] for name in rows["model"]]
    assert [to_hex(bar.get_facecolor()) for bar in axes.patches] == colours
    assert list(tick_colours(axes.yaxis).values()) == colours
    assert axes.yaxis_inverted()


def test_stars_stand_at_their_bars_and_are_explained():
    table = ranking(ALL)
    figure = draw("ranking")
    rows = table.sort_values("rs", ascending=False).reset_index(drop=True)
    drawn = {text.xy[1]: text.get_text() for text in figure.axes[0].texts}
    assert drawn == {i: stars for i, stars in enumerate(rows["stars"]) if stars}
    for text in figure.axes[0].texts:
        assert text.xy[0] == pytest.approx(rows["ci_high"].iloc[text.xy[1]])
    key = "* q < .05   ** q < .01   *** q < .001"
    assert key in notes_of(figure)
    assert "Stars: more alike than with randomised labels" in notes_of(figure)
    untested = draw("ranking", ranking=table.assign(stars=np.nan))
    assert not untested.axes[0].texts
    assert key not in notes_of(untested)


def band(axes):
    """The ends of the band behind the rows, and the places of the broken line."""
    (area,) = [c for c in axes.collections if isinstance(c, PolyCollection)]
    (line,) = [one for one in axes.lines if one.get_linestyle() == "--"]
    return np.unique(area.get_paths()[0].vertices[:, 0]), line.get_xdata()


def test_untrained_networks_stand_behind_the_bars_and_stars_are_of_them():
    table = beside_untrained(ranking(ALL), reach=0.2)
    figure = draw("ranking", ranking=table)
    assert_page(figure)
    (axes,) = figure.axes
    ends, mean = band(axes)
    np.testing.assert_allclose(ends, [0.1, 0.5])
    np.testing.assert_allclose(mean, 0.3)
    assert "untrained networks, mean and 95 % range" in legend_texts(figure)
    assert "Stars: more alike than an untrained network" in notes_of(figure)
    assert axes.get_xlim()[0] <= 0 < 0.5 < axes.get_xlim()[1]
    wide = draw("ranking", ranking=beside_untrained(ranking(ALL), reach=0.9))
    assert wide.axes[0].get_xlim()[0] <= -0.6
    assert "No network is more alike than an untrained one (q < .05)" in notes_of(wide)
    assert "untrained networks, mean and 95 % range" not in legend_texts(draw("ranking"))


def test_each_row_has_the_untrained_networks_of_its_own_design():
    table = beside_untrained(ranking(ALL))
    table.loc[table.index[:10], ["untrained_mean", "untrained_low", "untrained_high"]] = np.nan
    figure = draw("ranking", ranking=table)
    order = table.sort_values("rs", ascending=False)["untrained_mean"].to_numpy()
    line = next(one for one in figure.axes[0].lines if one.get_linestyle() == "--")
    np.testing.assert_allclose(line.get_xdata(), np.repeat(order, 2))


def test_intervals_that_are_empty_have_no_whiskers():
    figure = draw("ranking", ranking=ranking(ALL).assign(ci_low=np.nan))
    assert not whiskers(figure.axes[0])
    assert "95 % interval" not in legend_texts(figure)
    assert "95 % interval" in legend_texts(draw("ranking"))


# --- Layers ---


def test_points_of_layers_and_the_ceiling_hold_the_values_of_the_table():
    table = layers(FEW)
    figure = draw("layers", FEW)
    (axes,) = figure.axes
    order = list(table.drop_duplicates("model")["model"])  # most similar first, on top
    shown = [text.get_text() for text in axes.get_yticklabels()]
    assert shown == [TASKS[name].label for name in order]
    points = [c for c in axes.collections if isinstance(c, PathCollection)]
    for y, (name, of_network) in enumerate(zip(order, points, strict=True)):
        rows = table[table["model"] == name]
        np.testing.assert_allclose(of_network.get_offsets(), np.c_[rows["rs"], [y] * len(rows)])
    best = table.drop_duplicates("model")[["ci_low", "ci_high"]].to_numpy()
    np.testing.assert_allclose(whiskers(axes), np.c_[best, range(len(order))])
    assert (axes.patches[0].get_x(), axes.patches[0].get_width()) == pytest.approx((0.42, 0.19))
    assert "noise ceiling" in legend_texts(figure)
    assert axes.get_xlabel() == "similarity to the target ($r_s$)"


def test_without_subjects_there_is_no_ceiling_and_rho_a_is_called_so():
    table = layers(FEW).assign(ceiling_low=np.nan, ceiling_high=np.nan)
    figure = draw("layers", FEW, similarity=table, compare="rho_a")
    assert not figure.axes[0].patches
    assert "noise ceiling" not in legend_texts(figure)
    assert figure.axes[0].get_xlabel() == r"similarity to the target ($\rho_a$)"


# --- Scores ---


def test_points_hold_the_values_of_the_table():
    table = scores(ALL).sample(frac=1, random_state=0)
    axes = draw("scores", scores=table).axes[0]
    points = [c for c in axes.collections if isinstance(c, PathCollection)]
    rows = table.set_index("model")
    assert len(points) == 20
    for name, point in zip(ALL, points, strict=True):  # drawn type by type
        at = rows.loc[name, ["rs", "score"]].to_numpy(float)
        np.testing.assert_allclose(point.get_offsets()[0], at)
        assert to_hex(point.get_facecolors()[0]) == TYPE_COLOURS[TASKS[name].type]
    segments = [s for c in axes.collections if hasattr(c, "get_segments") for s in c.get_segments()]
    assert len(segments) == 40
    for name, level, upright in zip(ALL, segments[:20], segments[20:], strict=True):
        row = rows.loc[name]
        np.testing.assert_allclose(level[:, 0], row[["rs_low", "rs_high"]].to_numpy(float))
        np.testing.assert_allclose(upright[:, 1], row["score"] + np.array([-0.01, 0.01]))


@pytest.mark.parametrize("names", [ALL, FEW, USERS, ALL[:1]])
@pytest.mark.parametrize("extreme", [False, True])
def test_names_stand_apart_by_the_height_of_their_points_and_are_joined_to_them(names, extreme):
    table = scores(names, extreme=extreme)
    figure = draw("scores", names, scores=table)
    assert_page(figure)
    axes = figure.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts]
    heights = [box.y0 + box.height / 2 for box in boxes]
    joins = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert len(axes.texts) == len(joins) == len(names)
    assert len({text.get_text() for text in axes.texts}) == len(names)
    points = np.array([(line.get_xdata()[0], line.get_ydata()[0]) for line in joins])
    known = table[table["rs"].notna()][["rs", "score"]].to_numpy()
    np.testing.assert_allclose(points[np.lexsort(points.T)], known[np.lexsort(known.T)])
    by_height = np.argsort(heights)
    assert (np.diff(points[by_height, 1]) >= 0).all()
    frame = axes.get_window_extent()
    assert all(frame.x1 < box.x0 for box in boxes)
    for line, height in zip(joins, heights, strict=True):
        end = axes.transData.transform((line.get_xdata()[-1], line.get_ydata()[-1]))
        assert abs(end[1] - height) < 3
        assert frame.y0 <= end[1] <= frame.y1


def test_networks_trained_from_scratch_are_lines_if_near_else_named_at_the_foot():
    figure = draw("scores", scores=scores(ALL, scratch=(0.47, 0.2)))
    axes = figure.axes[0]
    level = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in level] == [0.47]
    assert SCRATCH["random"] in legend_texts(figure)
    assert SCRATCH["random_small"] not in legend_texts(figure)
    assert axes.get_ylim()[0] > 0.2
    assert "beyond the axis: random, small encoder, mIoU .200" in notes_of(figure)
    near = draw("scores", scores=scores(ALL, scratch=(0.47, 0.45)))
    assert SCRATCH["random_small"] in legend_texts(near)
    assert not any("beyond" in text for text in notes_of(near))


def test_published_scores_can_be_drawn():
    names = [name for name in MIOU if name in TASKS]
    table = pd.DataFrame({"model": names, "rs": np.linspace(0.7, 0.2, len(names))})
    table["score"] = [MIOU[name] for name in names]
    more = [{"model": name, "score": MIOU[name]} for name in SCRATCH]
    table = pd.concat([table, pd.DataFrame(more)]).assign(metric="miou")
    table["label"] = [SCRATCH.get(name, name) for name in table["model"]]
    empty = dict.fromkeys(("rs_low", "rs_high", "score_sd"), np.nan)
    figure = draw("scores", scores=table.assign(**empty))
    assert_page(figure)
    assert "beyond the axis: random, small encoder, mIoU .407" in notes_of(figure)


@pytest.mark.parametrize(
    ("metric", "words"),
    [("accuracy", "accuracy"), ("error_removed", "share of the error removed"), ("miou", "mIoU")],
)
def test_scores_are_called_what_they_are(metric, words):
    table = scores(FEW, metric=metric)
    axes = draw("scores", FEW, scores=table).axes[0]
    assert axes.get_ylabel() == f"{words} after fine-tuning"
    axes = draw("choice", FEW, scores=table).axes[0]
    assert axes.get_xlabel() == f"{words} after fine-tuning"


def test_the_prediction_is_written_with_interval_and_p():
    def words(table):
        return notes_of(draw("scores", FEW, prediction=table))

    assert "Spearman .88 [.70, .95], p < .001" in words(prediction())
    assert "Spearman .88 [.70, .95], p = .042" in words(prediction(spearman_p=0.042))
    few = prediction(spearman=-0.1, spearman_low=np.nan, spearman_p=np.nan)
    assert "Spearman \N{MINUS SIGN}.10" in words(few)
    # Of two networks there is none.
    unknown = prediction(spearman=np.nan, spearman_low=np.nan, spearman_p=np.nan)
    assert not any("Spearman" in text for text in words(unknown))


def test_scores_without_a_network_of_the_bank_are_refused():
    with pytest.raises(DataError, match=r"scores \(networks\) table has no rows"):
        draw("scores", FEW, scores=scores(FEW).iloc[len(FEW) :])


# --- What choosing gains ---


def test_choices_hold_the_values_highest_on_top_the_choice_filled():
    figure = draw("choice")
    (axes,) = figure.axes
    roles = [text.get_text() for text in axes.get_yticklabels()]
    below = ["random, bank encoder", "worst", "random, small encoder"]
    above = ["best", "first by similarity", "of the same task", "mean of all"]
    assert roles == above + below
    dots = [line for line in axes.lines if line.get_marker() not in ("None", None, "")]
    assert [dot.get_xdata()[0] for dot in dots] == [0.66, 0.65, 0.64, 0.63, 0.61, 0.59, 0.41]
    assert [dot.get_ydata()[0] for dot in dots] == list(range(7))
    filled = [i for i, dot in enumerate(dots) if dot.get_markerfacecolor() != "white"]
    assert filled == [1]
    np.testing.assert_allclose(np.array(whiskers(axes))[0], [0.65, 0.67, 0])
    assert [text.get_text() for text in axes.texts][:2] == [
        f".660 {TASKS[ALL[0]].label}",
        f".650 {TASKS[ALL[1]].label}",
    ]
    assert "best minus choice .010 [.000, .020]" in notes_of(figure)
    assert "choice minus mean of all \N{MINUS SIGN}.020" in notes_of(figure)


def test_choices_that_are_absent_are_left_out():
    table = choice(ALL)
    some = table[table["statistic"].isin(["choice", "best", "mean"])]
    axes = draw("choice", choice=some).axes[0]
    roles = [text.get_text() for text in axes.get_yticklabels()]
    assert roles == ["best", "first by similarity", "mean of all"]
    with pytest.raises(DataError, match="no row of statistic choice"):
        draw("choice", choice=table[table["statistic"] != "choice"])
