"""Figures of what rankings depend on: true to their tables, clear when wrong."""

import numpy as np
import pytest
from figure_tables import (
    ALL,
    FEW,
    SMALL,
    assert_page,
    draw,
    legend_texts,
    robustness,
    tick_colours,
)
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from taskrsa.errors import DataError
from taskrsa.figures.files import save_data
from taskrsa.figures.marks import pale
from taskrsa.io.files import read_table
from taskrsa.tasks.dictionary import TASKS


def test_means_over_draws_bands_and_tasks_are_drawn():
    table = robustness(SMALL, "images")
    axes = draw("robustness_images", ALL).axes[0]
    thick = [line for line in axes.lines if line.get_marker() != "None"]
    assert len(thick) == 2
    for line, reference in zip(thick, ("all images", "disjoint images"), strict=True):
        rows = table[(table["task"] == "mean") & (table["reference"] == reference)]
        means = rows.groupby("value")["spearman"].mean()
        np.testing.assert_allclose(line.get_xdata(), means.index)
        np.testing.assert_allclose(line.get_ydata(), means)
    band = axes.collections[0].get_paths()[0].get_extents()
    rows = table[(table["task"] == "mean") & (table["reference"] == "all images")]
    groups = rows.groupby("value")["spearman"]
    assert band.y0 == pytest.approx(groups.quantile(0.025).min())
    assert band.y1 == pytest.approx(groups.quantile(0.975).max())
    thin = [line for line in axes.lines if line.get_marker() == "None"]
    for line, task in zip(thin, SMALL, strict=True):
        rows = table[(table["task"] == task) & (table["reference"] == "all images")]
        np.testing.assert_allclose(line.get_ydata(), rows["spearman"])
        assert line.get_color() == pale(TASKS[task].colour, 0.35)


def test_widths_stand_on_an_axis_of_powers_of_two():
    figure = draw("robustness_width", SMALL[:2])
    figure.draw(figure.canvas.get_renderer())
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["4", "8", "16", "32", "64"]
    assert axes.get_xlabel() == "channels of the small model"
    assert not axes.collections  # one draw has no spread


def test_means_of_tasks_alone_draw_no_lines_of_tasks(tmp_path):
    table = robustness(SMALL[:3], "images")
    save_data(table[table["task"] == "mean"], tmp_path / "table.csv")
    figure = draw("robustness_images", ALL, robustness=read_table(tmp_path / "table.csv"))
    assert_page(figure)
    assert len(figure.axes[0].lines) == 2
    assert "one task" not in legend_texts(figure)


def test_seeds_stand_task_by_task_the_bank_hollow():
    table = robustness(SMALL, "seed")
    figure = draw("robustness_seed", ALL)
    axes = figure.axes[0]
    assert tick_colours(axes.xaxis) == {TASKS[name].label: TASKS[name].colour for name in SMALL}
    dots = [c for c in axes.collections if isinstance(c, PathCollection)]
    assert len(dots) == 28
    rows = table[table["draw"].notna()]
    for place, found in enumerate(dots):
        task, bank = SMALL[place % 14], place >= 14
        some = rows[(rows["task"] == task) & ((rows["reference"] == "bank") == bank)]
        x, y = found.get_offsets().T
        np.testing.assert_allclose(np.sort(y), np.sort(some["spearman"]))
        assert (np.round(x) == place % 14).all()
        assert (len(found.get_facecolors()) == 0) == bank
        assert to_hex(found.get_edgecolors()[0]) == TASKS[task].colour
    assert {"against another seed", "against the bank"} <= set(legend_texts(figure))


def test_what_is_wrong_is_said():
    table = robustness(FEW[:2], "width")
    with pytest.raises(DataError, match="no row of task mean"):
        draw("robustness_width", FEW, robustness=table[table["task"] != "mean"])
    means = robustness(FEW[:2], "seed").assign(task="mean")
    with pytest.raises(DataError, match="no row of a single task"):
        draw("robustness_seed", FEW, robustness=means)
