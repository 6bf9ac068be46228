"""Figures of a new task: readable at any size and value, true to their tables, clear when wrong."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from taskrsa.analysis.outcomes import RANDOM
from taskrsa.errors import DataError
from taskrsa.figures import pascal, style
from taskrsa.figures.save import save_figure
from taskrsa.paper.published import FIGURE8, MIOU
from taskrsa.tasks.dictionary import TASKS, TYPE_COLOURS
from test_figures import ALL, OWN, OWN_GIVEN, legend_texts, message, texts_of, tick_colours
from test_figures_transfer import FEW, NAMES, check_page, whiskers


def figure8_table(names, *, extreme=False):
    rng = np.random.default_rng(len(names))
    rs = rng.uniform(-1, 1, len(names)) if extreme else rng.uniform(0.02, 0.6, len(names))
    table = pd.DataFrame({"model": names, "rs": rs, "ci_low": rs - 0.03, "ci_high": rs + 0.04})
    return table.assign(stars=rng.choice(["***", "**", "*", ""], len(names)))


def table2_table(names, *, extreme=False, random=(0.47, 0.30)):
    """Rows of encoders and of random initialisations; extreme: all encoders in two points."""
    rng = np.random.default_rng(len(names))
    rs = rng.uniform(0.02, 0.6, len(names))
    miou = 0.45 + 0.3 * rs + rng.normal(0, 0.02, len(names))
    if extreme:
        rs, miou = np.where(rs > 0.3, 0.5, 0.4999), np.full(len(names), 0.6)
    rows = pd.DataFrame({"model": names, "rs": rs, "rs_low": rs - 0.02, "rs_high": rs + 0.03})
    rows = rows.assign(miou_mean=miou, miou_sd=np.nan if extreme else 0.01)
    more = [{"model": m, "miou_mean": v, "miou_sd": 0.005} for m, v in zip(RANDOM, random)]  # noqa: B905
    return pd.concat([rows, pd.DataFrame(more)], ignore_index=True)


def prediction_table(**changed):
    ours = {"ranking": "small model", "spearman": 0.884, "spearman_low": 0.7}
    ours |= {"spearman_high": 0.95, "spearman_p": 0.0004} | changed
    return pd.DataFrame([ours, {"ranking": "published, Table 2", "spearman": 0.83}])


def gain_table(names, *, extreme=False):
    value = dict(zip(("best", "choice", "worst", "mean", "own"), (0.66, 0.65, 0.59, 0.63, 0.64)))  # noqa: B905
    value |= {"random": 0.61, "random_small": 0.0 if extreme else 0.41}
    model = {"best": names[0], "choice": names[1], "worst": names[2], "own": names[-1]}
    rows = [
        {"statistic": k, "model": model.get(k, k if k in RANDOM else np.nan), "value": v}
        | {"low": v - 0.01, "high": v + 0.01}
        for k, v in value.items()
    ]
    rows.append({"statistic": "regret", "value": 0.01, "low": 0.0, "high": 0.02})
    rows.append({"statistic": "gain_over_mean", "value": -0.02, "low": np.nan, "high": np.nan})
    rows.append({"statistic": "choice_rank", "value": 4.0, "low": 1, "high": 6})
    table = pd.DataFrame(rows)
    if extreme:
        few = table["statistic"].isin(["choice", "best", "mean"])
        table.loc[few, "value"] = 1.0
    return table


def draw(kind, names, models=None, *, extreme=False):
    if kind == "figure8":
        return pascal.figure8(figure8_table(names, extreme=extreme), models=models)
    if kind == "figure8_baseline":
        lines = {"noise ceiling": 0.9, "random weights": 0.1}
        table = figure8_table(names, extreme=extreme)
        return pascal.figure8(table, models=models, baseline=lines)
    if kind == "table2":
        table = table2_table(names, extreme=extreme)
        return pascal.figure_table2(table, prediction_table(), models=models)
    if kind == "table2_plain":
        table = table2_table(names, extreme=extreme, random=())
        return pascal.figure_table2(table, models=models)
    return pascal.figure_choice(gain_table(names, extreme=extreme), models=models)


KINDS = ["figure8", "figure8_baseline", "table2", "table2_plain", "choice"]
CASES = [("figure8", key, key == "4") for key in ("20", "17", "9", "4")]
CASES += [("table2", key, key == "17") for key in ("20", "17", "9", "4")]
CASES += [(kind, "20", True) for kind in KINDS]


@pytest.mark.parametrize(("kind", "key", "extreme"), CASES)
def test_texts_are_on_the_page_apart_and_readable(kind, key, extreme):
    figure = draw(kind, NAMES[key], extreme=extreme)
    assert check_page(figure) < 5
    assert figure.get_size_inches()[0] == pytest.approx(style.COLUMN_WIDTH)


@pytest.mark.parametrize("kind", KINDS)
def test_models_of_a_users_own_are_drawn(kind):
    names = [OWN[4], OWN[6], *OWN[:4], OWN[5]]
    figure = draw(kind, names, OWN_GIVEN)
    check_page(figure)
    shown = " ".join(text.get_text() for text, _ in texts_of(figure))
    assert "CLIP" in shown
    assert "a_transformer_o…ong_name" in shown


def test_published_values_are_drawn():
    names = [name for name in FIGURE8 if name in MIOU]
    rs = np.r_[np.linspace(0.7, 0.2, 17), np.nan, np.nan]
    miou = [MIOU[name] for name in [*names, *RANDOM]]
    table = pd.DataFrame({"model": [*names, *RANDOM], "rs": rs, "miou_mean": miou})
    empty = dict.fromkeys(("rs_low", "rs_high", "miou_sd"), np.nan)
    figure = pascal.figure_table2(table.assign(**empty))
    check_page(figure)
    assert "beyond the axis: random, small encoder, mIoU .407" in [
        text.get_text() for text in figure.texts
    ]


# --- Figure 8 ---


def test_bars_hold_the_values_most_similar_on_top():
    table = figure8_table(ALL)
    (axes,) = pascal.figure8(table).axes
    rows = table.sort_values("rs", ascending=False)
    labels = [TASKS[name].label for name in rows["model"]]
    assert [text.get_text() for text in axes.get_yticklabels()] == labels
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], rows["rs"])
    np.testing.assert_allclose(
        [bar.get_y() + bar.get_height() / 2 for bar in axes.patches], range(20)
    )
    np.testing.assert_allclose(
        whiskers(axes), np.c_[rows[["ci_low", "ci_high"]].to_numpy(), range(20)]
    )
    colours = [TYPE_COLOURS[TASKS[name].type] for name in rows["model"]]
    assert [to_hex(bar.get_facecolor()) for bar in axes.patches] == colours
    assert list(tick_colours(axes.yaxis).values()) == colours
    assert axes.yaxis_inverted()


def test_stars_stand_at_their_bars_and_are_explained():
    table = figure8_table(ALL)
    figure = pascal.figure8(table)
    rows = table.sort_values("rs", ascending=False).reset_index(drop=True)
    drawn = {text.xy[1]: text.get_text() for text in figure.axes[0].texts}
    assert drawn == {i: stars for i, stars in enumerate(rows["stars"]) if stars}
    for text in figure.axes[0].texts:
        assert text.xy[0] == pytest.approx(rows["ci_high"].iloc[text.xy[1]])
    key = "* q < .05   ** q < .01   *** q < .001"
    assert key in [text.get_text() for text in figure.texts]
    untested = pascal.figure8(table.assign(stars=np.nan))
    assert not untested.axes[0].texts
    assert key not in [text.get_text() for text in untested.texts]


def test_intervals_that_are_empty_have_no_whiskers():
    table = figure8_table(ALL).assign(ci_low=np.nan)
    figure = pascal.figure8(table)
    assert not whiskers(figure.axes[0])
    assert "95 % interval" not in legend_texts(figure)
    assert "95 % interval" in legend_texts(pascal.figure8(figure8_table(ALL)))


def test_baselines_are_drawn_and_named():
    figure = pascal.figure8(figure8_table(FEW), baseline={"noise ceiling": 0.83})
    assert "noise ceiling" in legend_texts(figure)
    (axes,) = figure.axes
    assert 0.83 in [line.get_xdata()[0] for line in axes.lines]
    assert axes.get_xlim()[1] > 0.83


# --- Table 2 ---


def test_points_hold_the_values_of_the_table():
    table = table2_table(ALL).sample(frac=1, random_state=0)
    axes = pascal.figure_table2(table).axes[0]
    points = [c for c in axes.collections if isinstance(c, PathCollection)]
    rows = table.set_index("model")
    assert len(points) == 20
    for name, point in zip(ALL, points, strict=True):  # drawn type by type
        np.testing.assert_allclose(point.get_offsets()[0], rows.loc[name, ["rs", "miou_mean"]])
        assert to_hex(point.get_facecolors()[0]) == TYPE_COLOURS[TASKS[name].type]
    segments = [s for c in axes.collections if hasattr(c, "get_segments") for s in c.get_segments()]
    assert len(segments) == 40
    for name, level, upright in zip(ALL, segments[:20], segments[20:], strict=True):
        row = rows.loc[name]
        np.testing.assert_allclose(level[:, 0], row[["rs_low", "rs_high"]])
        np.testing.assert_allclose(upright[:, 1], row["miou_mean"] + np.array([-0.01, 0.01]))


def test_every_point_has_its_name_in_its_colour_and_near():
    table = table2_table(ALL)
    figure = pascal.figure_table2(table, prediction_table())
    axes = figure.axes[0]
    rows = table.set_index("model")
    names = {TASKS[name].label: name for name in ALL}
    drawn = {text.get_text(): text for text in axes.texts}
    assert set(drawn) == set(names)
    renderer = figure.canvas.get_renderer()
    gaps = []
    for label, text in drawn.items():
        name = names[label]
        assert to_hex(text.get_color()) == TYPE_COLOURS[TASKS[name].type]
        box = text.get_window_extent(renderer)
        point = axes.transData.transform(rows.loc[name, ["rs", "miou_mean"]].to_numpy(float))
        end = np.clip(point, (box.x0, box.y0), (box.x1, box.y1))
        gaps.append(np.linalg.norm(end - point) / figure.dpi)
        inside = axes.get_window_extent(renderer)
        assert inside.x0 - 1 <= box.x0 < box.x1 <= inside.x1 + 1
    assert max(gaps) < 0.6
    assert np.median(gaps) < 0.1  # inches


def boxes_apart(centres, halves):
    gap = np.abs(centres[:, None] - centres[None]) - halves[:, None] - halves[None]
    i, j = np.triu_indices(len(centres), 1)
    return (gap[i, j].max(axis=1) >= -1e-9).all()


@pytest.mark.parametrize("n", [1, 8, 20])
@pytest.mark.parametrize("crowd", [0.0, 0.2, 3.0])
def test_names_keep_apart_and_off_the_points(n, crowd):
    rng = np.random.default_rng(n)
    size = np.array([2.7, 2.6])
    points = np.clip(1.3 + crowd * rng.uniform(-0.5, 0.5, (n, 2)), 0, size)
    halves = np.c_[rng.uniform(0.15, 0.5, n), np.full(n, 0.048)]
    bars = np.empty((0, 4))
    centres = pascal.place_names(points, halves, size, bars)
    assert boxes_apart(centres, halves)
    assert (centres - halves >= -1e-9).all()
    assert (centres + halves <= size + 1e-9).all()
    off = np.abs(centres[:, None] - points[None]) - halves[:, None]
    assert (off.max(axis=2) > 0.02).all()
    if n == 1:
        assert off.max() < 0.1  # alone, next to its point


def test_names_avoid_lines_where_they_can():
    point, half, size = np.array([[1.0, 1.0]]), np.array([[0.3, 0.048]]), np.array([2.0, 2.0])
    bars = np.empty((0, 4))
    for _ in range(3):  # a line through wherever the name went: it goes elsewhere
        (centre,) = pascal.place_names(point, half, size, bars)
        for x0, y0, x1, y1 in bars:
            assert x1 <= centre[0] - 0.3 or x0 >= centre[0] + 0.3 or abs(y0 - centre[1]) >= 0.048
            assert y0 == y1
        line = [[centre[0] - 0.3, centre[1], centre[0] + 0.3, centre[1]]]
        bars = np.concatenate([bars, line])


def test_random_initialisations_are_lines_if_near_else_named_at_the_foot():
    figure = pascal.figure_table2(table2_table(ALL, random=(0.47, 0.2)))
    axes = figure.axes[0]
    level = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in level] == [0.47]
    assert "random, bank encoder" in legend_texts(figure)
    assert "random, small encoder" not in legend_texts(figure)
    assert axes.get_ylim()[0] > 0.2
    notes = [text.get_text() for text in figure.texts]
    assert "beyond the axis: random, small encoder, mIoU .200" in notes
    near = pascal.figure_table2(table2_table(ALL, random=(0.47, 0.45)))
    assert "random, small encoder" in legend_texts(near)
    assert not any("beyond" in text.get_text() for text in near.texts)


def test_prediction_is_written_with_interval_and_p():
    def words(**changed):
        figure = pascal.figure_table2(table2_table(FEW), prediction_table(**changed))
        return [text.get_text() for text in figure.texts]

    assert "Spearman .88 [.70, .95], p < .001" in words()
    assert "Spearman .88 [.70, .95], p = .042" in words(spearman_p=0.042)
    assert "Spearman \N{MINUS SIGN}.10" in words(
        spearman=-0.1, spearman_low=np.nan, spearman_p=np.nan
    )
    plain = pascal.figure_table2(table2_table(FEW))
    assert not any("Spearman" in text.get_text() for text in plain.texts)


# --- What choosing gains ---


def test_choices_hold_the_values_highest_on_top_the_choice_filled():
    figure = pascal.figure_choice(gain_table(ALL))
    (axes,) = figure.axes
    roles = [text.get_text() for text in axes.get_yticklabels()]
    below = ["random, bank encoder", "worst", "random, small encoder"]
    above = ["best", "first by similarity", "the task's own kind", "mean of all"]
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
    words = [text.get_text() for text in figure.texts]
    assert "best less choice .010 [.000, .020]" in words
    assert "choice less mean of all \N{MINUS SIGN}.020" in words


def test_choices_that_are_absent_are_left_out():
    table = gain_table(ALL)
    some = table[table["statistic"].isin(["choice", "best", "mean"])]
    axes = pascal.figure_choice(some).axes[0]
    roles = [text.get_text() for text in axes.get_yticklabels()]
    assert roles == ["best", "first by similarity", "mean of all"]


# --- Files and errors ---


@pytest.mark.parametrize("kind", ["figure8", "table2", "choice"])
def test_the_same_table_gives_the_same_bytes(kind, tmp_path):
    for name in "ab":
        save_figure(draw(kind, NAMES["4"]), tmp_path / f"{name}.pdf", tmp_path / f"{name}.png")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


TABLES = {
    "figure8": (pascal.figure8, figure8_table(FEW)),
    "table2": (pascal.figure_table2, table2_table(FEW)),
    "choice": (pascal.figure_choice, gain_table(FEW)),
}
NEEDED = {
    "figure8": ["model", "rs", "ci_low", "stars"],
    "table2": ["model", "rs", "rs_high", "miou_mean", "miou_sd"],
    "choice": ["statistic", "model", "value", "high"],
}


@pytest.mark.parametrize(("name", "column"), [(n, c) for n, cs in NEEDED.items() for c in cs])
def test_missing_column_is_named(name, column):
    function, table = TABLES[name]
    with pytest.raises(DataError) as error:
        function(table.drop(columns=column))
    assert f"no column {column}" in message(error)


@pytest.mark.parametrize("name", TABLES)
def test_empty_table_is_refused(name):
    function, table = TABLES[name]
    with pytest.raises(DataError, match="no rows"):
        function(table.iloc[:0])


@pytest.mark.parametrize(
    ("name", "column"), [("figure8", "rs"), ("table2", "rs"), ("choice", "value")]
)
def test_missing_value_is_named(name, column):
    function, table = TABLES[name]
    table = table.copy()
    table.loc[3, column] = np.nan
    with pytest.raises(DataError) as error:
        function(table)
    assert f"no value of {column} at" in message(error)


@pytest.mark.parametrize("name", TABLES)
def test_two_rows_of_one_model_are_refused(name):
    function, table = TABLES[name]
    with pytest.raises(DataError, match="two rows of (model|statistic)"):
        function(pd.concat([table, table.iloc[:1]], ignore_index=True))


def test_tables_say_what_is_wrong():
    table = gain_table(FEW)
    with pytest.raises(DataError, match="no row of statistic choice"):
        pascal.figure_choice(table[table["statistic"] != "choice"])
    with pytest.raises(DataError, match="0 rows of ranking small model"):
        pascal.figure_table2(table2_table(FEW), prediction_table().iloc[1:])
    only_random = table2_table(FEW).iloc[len(FEW) :]
    with pytest.raises(DataError, match=r"table2 \(encoders\) table has no rows"):
        pascal.figure_table2(only_random)
