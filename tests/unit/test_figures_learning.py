"""Figures of what networks have learnt: true to their tables, clear when wrong."""

import numpy as np
import pytest
from figure_tables import FEW, FOUR, curves, draw, drawn, quality, tick_colours
from taskrsa.errors import DataError
from taskrsa.tasks.dictionary import TASKS


def test_bars_have_the_lengths_of_the_table_in_the_order_of_the_types():
    table = quality(FEW)
    table.loc[0, "error_removed"] = -40.0  # diverged: the bar is cut, the number is not
    axes = draw("quality", FEW, quality=table.iloc[::-1]).axes[0]
    np.testing.assert_allclose([b.get_width() for b in axes.patches], table["error_removed"])
    assert list(tick_colours(axes.yaxis)) == [TASKS[name].label for name in FEW]
    assert -2 < axes.get_xlim()[0] <= -1
    assert "\N{MINUS SIGN}40.00" in [text.get_text() for text in axes.texts]


def test_curves_are_shares_of_the_constants_loss_on_one_scale():
    table = quality(FOUR).assign(constant_loss=[2.0, 4.0, 6.0, 8.0])
    result = drawn("learning_curves", FOUR, quality=table)
    assert len({axes.get_ylim() for axes in result.figure.axes}) == 1
    given = zip(FOUR, curves(FOUR), table["constant_loss"], strict=True)
    for (name, curve, constant), axes in zip(given, result.figure.axes, strict=True):
        np.testing.assert_allclose(axes.lines[0].get_ydata(), curve["train_loss"] / constant)
        losses = result.numbers[result.numbers["model"] == name]["train_loss"]
        np.testing.assert_allclose(losses, curve["train_loss"])


def test_a_network_without_losses_or_constant_is_named():
    empty = [c.assign(val_loss=np.nan) if k == 1 else c for k, c in enumerate(curves(FOUR))]
    with pytest.raises(DataError, match=f"learning curve of {FOUR[1]} has no losses"):
        draw("learning_curves", FOUR, curves=empty)
    with pytest.raises(DataError, match=f"no positive constant_loss of {FOUR[1]}"):
        draw("learning_curves", FOUR, quality=quality([FOUR[0], *FOUR[2:]]))
    short = [curve.drop(columns="val_loss") for curve in curves(FOUR)]
    with pytest.raises(DataError, match="no column val_loss"):
        draw("learning_curves", FOUR, curves=short)
