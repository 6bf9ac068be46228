"""The figure of the study: true to its tables, clear when wrong."""

import numpy as np
import pytest
from figure_tables import draw, study, whiskers
from matplotlib.collections import PathCollection

LABELS = ["knn", "probe", "cka", "knn + probe", "mean rank on the other targets"]


def test_measures_at_their_best_layer_and_the_best_combination():
    tables = study()
    (axes,) = draw("study", **tables).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == LABELS
    means = tables["summary"].set_index("label")["regret"]
    marks = {
        line.get_ydata()[0]: line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"
    }
    assert marks == pytest.approx(dict(enumerate(means[LABELS])))
    dotted = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]
    assert dotted == [means["a random pick, expected"]]
    low, high, y = sorted(whiskers(axes), key=lambda one: one[2])[0]
    assert (low, high, y) == pytest.approx((max(means["knn"] - 0.2, 0), means["knn"] + 0.2, 0))


def test_every_target_has_its_point():
    tables = study()
    (axes,) = draw("study", **tables).axes
    dots = [one for one in axes.collections if isinstance(one, PathCollection)]
    assert len(dots) == 2
    labels = tables["summary"][["method", "label"]]
    for target, one in zip(("flowers", "depth"), dots, strict=True):
        places = np.asarray(one.get_offsets())
        some = tables["by_target"].query(f"target == '{target}'").merge(labels, on="method")
        some = some.set_index("label")["regret"]
        found = dict(zip(np.round(places[:, 1]).astype(int), places[:, 0], strict=True))
        assert found == pytest.approx(dict(enumerate(some[LABELS])))


def test_where_nothing_can_be_lost_the_figure_says_so():
    tables = study()
    tables["summary"]["regret"] = np.nan
    figure = draw("study", **tables)
    assert not figure.axes
    assert "better than chance" in figure.texts[0].get_text()


def test_what_only_some_targets_have_is_not_drawn_where_another_layer_has_more():
    tables = study()
    summary = tables["summary"].set_index("method")
    summary.loc["knn@last", ["regret", "n_targets"]] = [0.0, 1]
    (axes,) = draw("study", **tables | {"summary": summary.reset_index()}).axes
    assert "knn, last" not in [text.get_text() for text in axes.get_yticklabels()]
