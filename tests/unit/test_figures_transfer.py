"""Figures of transfer: readable at any size and value, true to their tables, clear when wrong."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection, QuadMesh
from matplotlib.colors import to_hex
from taskrsa.errors import DataError
from taskrsa.figures import style, transfer
from taskrsa.figures.save import save_data, save_figure
from taskrsa.tasks.dictionary import TASKS, TYPE_COLOURS
from test_figures import (
    ALL,
    BANKS,
    OWN,
    OWN_GIVEN,
    assert_clear,
    legend_texts,
    message,
    texts_of,
    tick_colours,
    world,
)

SMALL = [name for name in ALL if TASKS[name].has_small_model]
KNOWN = [name for name in ALL if TASKS[name].affinity_name]
METHODS = {
    "rsa": "RSA (Pearson, Spearman)",
    "rsa_uncentred": "RSA, not centred",
    "cka_linear": "linear CKA",
    "pearson_z": "Pearson, z-normalised",
    "cosine_z": "cosine, z-normalised",
    "laplacian_z": "Laplacian, z-normalised",
    "rsa_small": "RSA, small models",
    "quality": "quality of the source",
    "random": "random order",
    "published": "published (RSA)",
}


def rankings_table(names, tasks=None, *, extreme=False):
    """Rankings of small models that follow the bank's, with intervals and q values."""
    tasks = [name for name in names if name in SMALL] if tasks is None else tasks
    matrix = world(names, "compressed")
    rng = np.random.default_rng(len(names))
    rows = []
    for task in tasks:
        for j, other in enumerate(names):
            rs_bank = matrix[names.index(task), j] if task in names else rng.uniform()
            rs_small = np.clip(0.6 * rs_bank + rng.normal(0, 0.05), -1, 1)
            if extreme:
                rs_bank, rs_small = (1.0 if task == other else v for v in rng.uniform(-1, 1, 2))
            ends = []
            for value in (rs_small, rs_bank):
                half = rng.uniform(0.02, 0.06)
                ends += [max(value - half, -1), min(value + half, 1)]
            if task == other:
                ends[2:] = [np.nan, np.nan]
            q = rng.choice([0.001, 0.049, 0.05, 0.4])
            rows.append((task, other, rs_small, *ends[:2], rs_bank, *ends[2:], q / 2, q))
    columns = ["model", "other", "rs_small", "small_low", "small_high"]
    columns += ["rs_bank", "bank_low", "bank_high", "p_small", "q_small"]
    return pd.DataFrame(rows, columns=columns)


def rankings_agreement(tasks, pearson=0.84, spearman=0.85):
    tasks = [*tasks, "mean", "published"]
    out = pd.DataFrame({"task": tasks, "own_task": "left out", "pearson": pearson})
    out["spearman"] = spearman
    included = out.assign(own_task="included", pearson=0.99, spearman=0.99)
    return pd.concat([included, out], ignore_index=True)


def small_pairs(names):
    small, bank = world(names, "compressed", 1), world(names, "compressed")
    rows = [
        (names[i], names[j], small[i, j], bank[i, j]) for i in range(len(names)) for j in range(i)
    ]
    return pd.DataFrame(rows, columns=["model_a", "model_b", "rs_small", "rs_bank"])


def matrix_agreement():
    return pd.DataFrame(
        {"seeds": ["mean", "0", "published"], "pearson": [0.85, 0.1, 0.85]}
        | {"pearson_low": [0.8, np.nan, np.nan], "pearson_high": [0.9, np.nan, np.nan]}
        | {"spearman": [0.88, 0.1, 0.88]}
    )


def selection_table(targets, *, extreme=False, methods=METHODS, affinities="published"):
    rng = np.random.default_rng(3)
    rows = []
    for method, label in methods.items():
        some = targets[: max(1, len(targets) - 3)] if method == "rsa_small" else targets
        n, values = len(some), []
        for target in some if method not in ("random", "published") else []:
            value = rng.uniform(-1, 1) if extreme else np.clip(rng.normal(0.6, 0.2), -1, 1)
            values.append(value)
            single = {"target": target, "spearman": value, "choice": targets[0]}
            rows.append({"method": method, "label": label} | single)
        level = 0.0 if method == "random" else np.mean(values) if values else 0.76
        share = np.array([1, 3, 5]) / (n + 1) if method == "random" else np.array([0.4, 0.8, 0.95])
        counts = n * share if method == "random" else np.round(n * share)
        mean = {"method": method, "label": label, "target": "mean", "spearman": level}
        mean["n_targets"] = n
        exact = method in ("quality", "published")
        for name, value in zip(("top1", "top3", "top5"), counts, strict=True):
            mean |= {name: value, f"{name}_low": max(value - 2, 0), f"{name}_high": value}
            if exact:
                mean |= {f"{name}_low": np.nan, f"{name}_high": np.nan}
        mean["spearman_low"], mean["spearman_high"] = level - 0.1, min(level + 0.1, 1)
        if exact:
            mean["spearman_low"] = mean["spearman_high"] = np.nan
        rows.append(mean)
    return pd.DataFrame(rows).assign(affinities=affinities)


def robustness_table(tasks, *, extreme=False):
    rng = np.random.default_rng(5)
    rows = []

    def level(share):
        return rng.uniform(-1, 1) if extreme else min(1.0, 1 - 0.4 * (1 - share) ** 2)

    for n in (25, 50, 100, 250, 500):
        for reference in ("all images", "disjoint images"):
            if reference == "disjoint images" and n > 250:
                continue
            for draw in range(6):
                value = min(1, level(n / 500) - rng.uniform(0, 0.05))
                rows.append(("images", n, "mean", draw, reference, value))
            for task in tasks:
                value = min(1, level(n / 500) - rng.uniform(0, 0.2))
                rows.append(("images", n, task, np.nan, reference, value))
    for factor, values in (("width", (4, 8, 16, 32, 64)), ("stage", (1, 5, 10, 25, 50, 100))):
        for k, value in enumerate(values):
            for reference in ("bank", "default small model"):
                for task in [*tasks, "mean"]:
                    share = level((k + 1) / len(values)) - 0.1 * (reference == "bank")
                    rows.append((factor, value, task, np.nan, reference, share))
    for task in tasks:
        for a, b in ((0, 1), (0, 2), (1, 2)):
            value = level(rng.uniform(0.6, 1))
            rows.append(("seed", f"{a}-{b}", task, f"{a}-{b}", "another seed", value))
        for a in range(3):
            rows.append(("seed", str(a), task, str(a), "bank", level(rng.uniform(0.3, 0.6))))
        rows.append(("seed", "", task, np.nan, "another seed", 0.5))
    columns = ["factor", "value", "task", "draw", "reference", "spearman"]
    return pd.DataFrame(rows, columns=columns).assign(pearson=0.5)


def affinity_table(sources, targets, *, extreme=False):
    rng = np.random.default_rng(7)
    kinds = {name: s.type for name, s in style.task_style([*sources, *targets]).items()}
    rows = []
    for j, target in enumerate(targets):
        for source in sources:
            kin = kinds[source] and kinds[source] == kinds[target]
            own = 0.5 * (source == target)
            value = 10.0 ** (j % 4 - 2) * (0.3 * bool(kin) + own + rng.normal(0, 0.1))
            if extreme and source == sources[0]:
                value *= 40
            rows.append((source, target, value))
    return pd.DataFrame(rows, columns=["source", "target", "affinity"])


def draw(kind, names, models=None, *, extreme=False):
    tasks = [name for name in names if name in SMALL] or names[:2]
    if kind in ("figure7", "figure7_all", "figure7_one", "figure7_plain"):
        table = rankings_table(names, tasks, extreme=extreme)
        if kind == "figure7_plain":
            return transfer.figure7(table.drop(columns="q_small"), models=models)
        chosen = {"figure7_all": tasks[:5], "figure7_one": tasks[:1]}.get(kind)
        return transfer.figure7(table, chosen, agreement=rankings_agreement(tasks), models=models)
    if kind == "figure_s1":
        table = rankings_table(names, tasks, extreme=extreme)
        worst = {"pearson": -0.97, "spearman": -0.98} if extreme else {}
        return transfer.figure_s1(table, rankings_agreement(tasks, **worst), models=models)
    if kind == "figure_s3":
        return transfer.figure_s3(small_pairs(names), matrix_agreement(), models=models)
    if kind == "selection":
        return transfer.figure_selection(selection_table(names, extreme=extreme), models=models)
    if kind == "affinity":
        table = affinity_table(names, names, extreme=extreme)
        return transfer.figure_affinity(table, models=models)
    factor = kind.removeprefix("robustness_")
    table = robustness_table(tasks, extreme=extreme)
    return transfer.figure_robustness(table, factor, models=models)


KINDS = ["figure7", "figure7_all", "figure7_one", "figure7_plain", "figure_s1", "figure_s3"]
KINDS += ["selection", "affinity"]
KINDS += [f"robustness_{factor}" for factor in ("images", "width", "stage", "seed")]
NAMES = {"20": ALL, "17": KNOWN, "9": [*ALL[3:8], *ALL[9:11], *ALL[18:20]], "4": BANKS[4]}
FEW = NAMES["9"]
CASES = [(kind, "20", True) for kind in KINDS]
# Those whose layout depends on the number of models.
SIZED = ("figure7", "figure_s1", "figure_s3", "affinity")
CASES += [(kind, key, key == "4") for kind in SIZED for key in ("17", "9", "4")]


def check_page(figure):
    assert_clear(figure)
    width, height = figure.get_size_inches()
    assert style.COLUMN_WIDTH - 0.01 <= width <= style.PAGE_WIDTH + 0.01
    return height


@pytest.mark.parametrize(("kind", "key", "extreme"), CASES)
def test_texts_are_on_the_page_apart_and_readable(kind, key, extreme):
    height = check_page(draw(kind, NAMES[key], extreme=extreme))
    assert height < 9 or kind == "figure7_all"  # three rows of it


@pytest.mark.parametrize("kind", KINDS)
def test_models_of_a_users_own_are_drawn(kind):
    figure = draw(kind, OWN, OWN_GIVEN)
    check_page(figure)
    shown = " ".join(text.get_text() for text, _ in texts_of(figure))
    if kind not in ("selection", *(k for k in KINDS if k.startswith("robustness"))):
        assert "CLIP" in shown
        assert "a_transformer_o…ong_name" in shown


def whiskers(axes):
    """Return the ends of the horizontal intervals drawn in axes, as (low, high, y)."""
    found = []
    for lines in axes.collections:
        if isinstance(lines, LineCollection):
            found += [(s[0, 0], s[1, 0], s[0, 1]) for s in lines.get_segments()]
    return found


def stars(axes):
    return [y for line in axes.lines if line.get_marker() == "*" for y in line.get_ydata()]


# --- Figures 7 and S1 ---


def test_bars_hold_the_values_in_the_order_of_the_banks_similarity():
    table = rankings_table(ALL).sample(frac=1, random_state=0)
    figure = transfer.figure7(table, tasks=["edge3d"])
    banks, smalls = figure.axes
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
    figure = transfer.figure7(rankings_table(ALL), tasks=["edge3d"])
    colour = TYPE_COLOURS["3D"]
    for axes in figure.axes:
        hatched = [bar for bar in axes.patches if bar.get_hatch()]
        assert hatched == axes.patches[:1]
        assert to_hex(hatched[0].get_facecolor()) == "#ffffff"
        assert to_hex(hatched[0].get_edgecolor()) == colour
    labels = figure.axes[0].get_yticklabels()
    assert [t.get_text() for t in labels if t.get_weight() == "bold"] == ["occlusion edges"]
    assert "own network" in legend_texts(figure)
    # 1 by definition does not squeeze the others: the bar runs beyond the axis and says so.
    assert figure.axes[0].get_xlim()[1] < 0.9
    assert [text.get_text() for text in figure.axes[0].texts] == ["1"]
    assert not figure.axes[1].texts


def test_bars_and_names_carry_the_colours_of_their_types():
    table = rankings_table(ALL)
    wanted = {TASKS[name].label: TYPE_COLOURS[TASKS[name].type] for name in ALL}
    banks, smalls = transfer.figure7(table, tasks=["edge3d"]).axes
    assert tick_colours(banks.yaxis) == wanted
    labels = [text.get_text() for text in banks.get_yticklabels()]
    for axes in (banks, smalls):
        faces = [to_hex(bar.get_facecolor()) for bar in axes.patches]
        assert faces[1:] == [wanted[label] for label in labels][1:]
    panels = transfer.figure_s1(table).axes
    assert tick_colours(panels[0].yaxis) == wanted
    assert list(tick_colours(panels[0].yaxis)) == [TASKS[name].label for name in ALL]
    dots = next(c for c in panels[0].collections if isinstance(c, PathCollection))
    assert [to_hex(c) for c in dots.get_facecolors()] == list(wanted.values())


def test_stars_mark_small_models_with_q_below_05():
    table = rankings_table(ALL, ["edge3d"])
    figure = transfer.figure7(table)
    order = table.sort_values("rs_bank", ascending=False)
    assert 0 < (order["q_small"] < 0.05).sum() < 20
    assert not stars(figure.axes[0])
    assert stars(figure.axes[1]) == list(np.flatnonzero(order["q_small"] < 0.05))
    assert "q < .05" in legend_texts(figure)
    untested = transfer.figure7(table.drop(columns="q_small"))
    assert not stars(untested.axes[1])
    assert "q < .05" not in legend_texts(untested)


def test_figure7_draws_the_papers_two_tasks_unless_told_otherwise():
    def titles(figure):
        return [text.get_text() for text in figure.texts]

    table = rankings_table(ALL)
    assert titles(transfer.figure7(table)) == ["2D keypoints", "surface normals"]
    some = table[~table["model"].isin(["keypoint2d"])]
    assert titles(transfer.figure7(some)) == ["autoencoding", "denoising"]
    assert titles(transfer.figure7(table, tasks=["reshade"])) == ["reshading"]


def test_correlations_written_are_those_without_the_own_task():
    table = rankings_table(ALL)
    agreement = rankings_agreement(SMALL)
    agreement.loc[agreement["task"] == "rgb2sfnorm", "spearman"] = [0.999, -0.004]
    agreement.loc[agreement["task"] == "keypoint2d", "pearson"] = [0.5, np.nan]
    texts = [text.get_text() for text in transfer.figure7(table, agreement=agreement).texts]
    assert "Pearson \N{EN DASH}, Spearman .85 (own task left out)" in texts
    assert "Pearson .84, Spearman .00 (own task left out)" in texts
    texts = [text.get_text() for text in transfer.figure_s1(table, agreement).texts]
    assert texts.count("Pearson .84, Spearman .85") == 12


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.844, ".84"), (1.0, "1.00"), (-0.12, "\N{MINUS SIGN}.12"), (0.0, ".00"), (0.999, "1.00")],
)
def test_correlations_in_words(value, text):
    assert transfer._correlation(value) == text


def test_figure_s1_shows_bank_and_small_of_every_task_on_one_axis():
    table = rankings_table(ALL).sample(frac=1, random_state=1)
    figure = transfer.figure_s1(table, rankings_agreement(SMALL))
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


@pytest.mark.parametrize("function", [transfer.figure7, transfer.figure_s1])
def test_intervals_that_are_empty_have_no_whiskers(function):
    columns = ["small_low", "small_high", "bank_low", "bank_high"]
    table = rankings_table(FEW)
    assert "95 % interval" in legend_texts(function(table))
    table[columns] = np.nan
    figure = function(table)
    check_page(figure)
    assert not [w for axes in figure.axes for w in whiskers(axes)]
    assert "95 % interval" not in legend_texts(figure)


def test_a_model_absent_for_one_task_leaves_its_row_empty():
    table = rankings_table(FEW)
    first = table["model"].iloc[0]
    table = table[(table["model"] != first) | (table["other"] != FEW[-1])]
    axes = transfer.figure_s1(table).axes
    assert [len(a.patches) for a in axes] == [8] + [9] * (len(axes) - 1)


# --- Figure S3 ---


def test_figure_s3_draws_small_and_bank_on_one_scale_and_against_each_other():
    names = NAMES["17"]
    pairs = small_pairs(names).sample(frac=1, random_state=2)
    figure = transfer.figure_s3(pairs, matrix_agreement())
    meshes = [m for a in figure.axes[:2] for m in a.collections if isinstance(m, QuadMesh)]
    assert len({mesh.get_clim() for mesh in meshes}) == 1
    for mesh, seed in zip(meshes, (1, 0), strict=True):
        drawn = np.ma.masked_invalid(mesh.get_array()).reshape(17, 17)
        off = ~np.eye(17, dtype=bool)
        np.testing.assert_allclose(drawn[off], world(names, "compressed", seed)[off])
    points = np.concatenate([c.get_offsets() for c in figure.axes[3].collections])
    assert len(points) == len(pairs)
    drawn = {tuple(np.round(point, 9)) for point in np.asarray(points)}
    assert drawn == {tuple(np.round(p, 9)) for p in pairs[["rs_bank", "rs_small"]].to_numpy()}
    colours = {to_hex(c.get_facecolors()[0]) for c in figure.axes[3].collections[1:]}
    assert colours == set(TYPE_COLOURS.values())
    words = [text.get_text() for text in figure.texts]
    assert "Pearson .85 [.80, .90]\nSpearman .88" in words


# --- Selection ---


def test_selection_draws_means_targets_and_shares_of_the_table():
    table = selection_table(KNOWN)
    left, right = transfer.figure_selection(table).axes
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

    table = selection_table(KNOWN)
    np.testing.assert_allclose(dotted(transfer.figure_selection(table)), np.array([1, 3, 5]) / 18)
    figure = transfer.figure_selection(table[~table["method"].isin(["random", "published"])])
    check_page(figure)
    assert not dotted(figure)
    assert "chance" not in legend_texts(figure)


def test_selection_hollows_methods_without_single_targets():
    axes = transfer.figure_selection(selection_table(KNOWN)).axes[0]
    faces = [to_hex(x.get_markerfacecolor()) for x in axes.lines if x.get_marker() == "D"]
    assert faces == [style.INK] * 8 + ["#ffffff"] * 2


def test_selection_of_several_affinities_must_be_told_which():
    names = [*METHODS][:3]
    some = {name: METHODS[name] for name in names}
    published = selection_table(KNOWN, methods=some)
    measured = selection_table(FEW, methods=some, affinities="measured")
    both = pd.concat([published, measured], ignore_index=True)
    with pytest.raises(DataError, match="no affinities None; it has published, measured"):
        transfer.figure_selection(both)
    axes = transfer.figure_selection(both, affinities="measured").axes[1]
    assert [text.get_text()[-4:] for text in axes.texts] == ["of 9"] * 3
    # The paper's own means alone are no affinities to choose.
    paper = selection_table(KNOWN, methods={"published": "published"})
    alone = transfer.figure_selection(pd.concat([measured, paper], ignore_index=True))
    assert len(alone.axes[1].texts) == 3


# --- Robustness ---


def test_robustness_draws_means_over_draws_bands_and_tasks():
    table = robustness_table(SMALL)
    axes = transfer.figure_robustness(table, "images").axes[0]
    some = table[table["factor"] == "images"]
    thick = [line for line in axes.lines if line.get_marker() != "None"]
    assert len(thick) == 2
    for line, reference in zip(thick, ("all images", "disjoint images"), strict=True):
        rows = some[(some["task"] == "mean") & (some["reference"] == reference)]
        means = rows.groupby("value")["spearman"].mean()
        np.testing.assert_allclose(line.get_xdata(), means.index)
        np.testing.assert_allclose(line.get_ydata(), means)
    band = axes.collections[0].get_paths()[0].get_extents()
    rows = some[(some["task"] == "mean") & (some["reference"] == "all images")]
    groups = rows.groupby("value")["spearman"]
    assert band.y0 == pytest.approx(groups.quantile(0.025).min())
    assert band.y1 == pytest.approx(groups.quantile(0.975).max())
    thin = [line for line in axes.lines if line.get_marker() == "None"]
    for line, task in zip(thin, SMALL, strict=True):
        rows = some[(some["task"] == task) & (some["reference"] == "all images")]
        np.testing.assert_allclose(line.get_ydata(), rows["spearman"])
        assert line.get_color() == transfer._pale(TASKS[task].colour, 0.35)


def test_widths_stand_on_an_axis_of_powers_of_two():
    axes = transfer.figure_robustness(robustness_table(SMALL[:2]), "width").axes[0]
    assert axes.get_xscale() == "log"
    axes.figure.draw(axes.figure.canvas.get_renderer())
    assert [text.get_text() for text in axes.get_xticklabels()] == ["4", "8", "16", "32", "64"]
    assert axes.get_xlabel() == "channels of the small model"
    assert not axes.collections  # one draw has no spread


def test_means_of_tasks_alone_draw_no_lines_of_tasks(tmp_path):
    table = robustness_table(SMALL[:3])
    table = table[table["task"] == "mean"]
    save_data(table, tmp_path / "table.csv")
    figure = transfer.figure_robustness(pd.read_csv(tmp_path / "table.csv"), "images")
    check_page(figure)
    assert len(figure.axes[0].lines) == 2
    assert "one task" not in legend_texts(figure)


def test_seeds_stand_task_by_task_the_bank_hollow():
    table = robustness_table(SMALL)
    axes = transfer.figure_robustness(table, "seed").axes[0]
    wanted = {TASKS[name].label: TASKS[name].colour for name in SMALL}
    assert tick_colours(axes.xaxis) == wanted
    dots = [c for c in axes.collections if isinstance(c, PathCollection)]
    assert len(dots) == 28
    rows = table[(table["factor"] == "seed") & table["draw"].notna()]
    for place, found in enumerate(dots):
        task, bank = SMALL[place % 14], place >= 14
        some = rows[(rows["task"] == task) & ((rows["reference"] == "bank") == bank)]
        x, y = found.get_offsets().T
        np.testing.assert_allclose(np.sort(y), np.sort(some["spearman"]))
        assert (np.round(x) == place % 14).all()
        assert (len(found.get_facecolors()) == 0) == bank
        assert to_hex(found.get_edgecolors()[0]) == TASKS[task].colour
    assert {"against another seed", "against the bank"} <= set(
        legend_texts(transfer.figure_robustness(table, "seed"))
    )


# --- Affinities ---


def test_affinity_colours_compare_sources_within_their_column():
    table = affinity_table(ALL, KNOWN).sample(frac=1, random_state=3)
    axes, bar = transfer.figure_affinity(table).axes
    (mesh,) = [c for c in axes.collections if isinstance(c, QuadMesh)]
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
    table = affinity_table(FEW, FEW)
    table.loc[table["target"] == FEW[2], "affinity"] = 0.1 + 0.2
    table = table[(table["source"] != FEW[0]) | (table["target"] != FEW[1])]
    figure = transfer.figure_affinity(table)
    check_page(figure)
    axes = figure.axes[0]
    (mesh,) = [c for c in axes.collections if isinstance(c, QuadMesh)]
    hidden = np.ma.getmaskarray(mesh.get_array()).reshape(9, 9)
    wanted = np.zeros((9, 9), dtype=bool)
    wanted[:, 2] = wanted[0, 1] = True
    np.testing.assert_array_equal(hidden, wanted)
    columns = [int(x.get_xdata()[0]) for x in axes.lines if x.get_marker() == "o"]
    assert columns == [0, 1, 3, 4, 5, 6, 7, 8]


# --- Files and errors ---


@pytest.mark.parametrize("kind", ["figure7", "affinity"])
def test_the_same_table_gives_the_same_bytes(kind, tmp_path):
    for name in "ab":
        save_figure(draw(kind, BANKS[4]), tmp_path / f"{name}.pdf", tmp_path / f"{name}.png")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


TABLES = {
    "rankings7": (transfer.figure7, rankings_table(FEW)),
    "rankings_s1": (transfer.figure_s1, rankings_table(FEW)),
    "pairs": (transfer.figure_s3, small_pairs(FEW)),
    "selection": (transfer.figure_selection, selection_table(FEW)),
    "images": (lambda t: transfer.figure_robustness(t, "images"), robustness_table(FEW[:2])),
    "seed": (lambda t: transfer.figure_robustness(t, "seed"), robustness_table(FEW[:2])),
    "affinity": (transfer.figure_affinity, affinity_table(FEW, FEW)),
}
NEEDED = {
    "rankings7": ["model", "other", "rs_small", "rs_bank", "small_low", "bank_high"],
    "rankings_s1": ["model", "rs_bank", "small_high"],
    "pairs": ["model_a", "model_b", "rs_small", "rs_bank"],
    "selection": ["affinities", "method", "label", "target", "spearman", "top3", "top5_high"],
    "images": ["factor", "value", "task", "draw", "reference", "spearman"],
    "seed": ["factor", "task", "draw", "spearman"],
    "affinity": ["source", "target", "affinity"],
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
    ("name", "column"),
    [
        ("rankings7", "rs_small"),
        ("pairs", "rs_bank"),
        ("affinity", "affinity"),
        ("images", "spearman"),
    ],
)
def test_missing_value_is_named(name, column):
    function, table = TABLES[name]
    table = table.copy()
    table.loc[table.index[3], column] = np.nan
    with pytest.raises(DataError) as error:
        function(table)
    assert f"no value of {column} at" in message(error)


def test_rankings_say_what_is_wrong():
    table = rankings_table(FEW)
    with pytest.raises(DataError, match="no model class_1000; it has"):
        transfer.figure7(table, tasks=["class_1000"])
    with pytest.raises(DataError, match=f"two rows for model {table['model'].iloc[0]} and"):
        transfer.figure_s1(pd.concat([table, table.iloc[:1]], ignore_index=True))
    agreement = rankings_agreement(["denoise"])
    with pytest.raises(DataError) as error:
        transfer.figure_s1(table, agreement)
    assert f"no row of task {table['model'].iloc[0]} with own_task left out" in message(error)


def test_figure_s3_says_what_is_wrong():
    pairs = small_pairs(FEW)
    with pytest.raises(DataError, match=f"no value for {FEW[1]} and {FEW[0]}|{FEW[0]} and"):
        transfer.figure_s3(pairs.iloc[1:])
    with pytest.raises(DataError, match="0 rows of seeds mean"):
        transfer.figure_s3(pairs, matrix_agreement().iloc[1:])


def test_selection_says_what_is_wrong():
    table = selection_table(FEW)
    with pytest.raises(DataError, match="no affinities measured; it has published"):
        transfer.figure_selection(table, affinities="measured")
    mean = table[(table["method"] == "rsa") & (table["target"] == "mean")]
    with pytest.raises(DataError, match="two mean rows of method rsa;"):
        transfer.figure_selection(pd.concat([table, mean], ignore_index=True))
    table.loc[table["target"] == "mean", "top3"] = np.nan
    with pytest.raises(DataError, match="no value of top3 at method rsa"):
        transfer.figure_selection(table)


def test_robustness_says_what_is_wrong():
    table = robustness_table(FEW[:2])
    with pytest.raises(DataError, match="no factor depth; it has images, width, stage, seed"):
        transfer.figure_robustness(table, "depth")
    odd = table.assign(value=table["value"].replace(50, "half"))
    with pytest.raises(DataError, match="value half of images is no number"):
        transfer.figure_robustness(odd, "images")
    with pytest.raises(DataError, match="no row of task mean for factor width"):
        transfer.figure_robustness(table[table["task"] != "mean"], "width")
    seeds = table[(table["factor"] != "seed") | (table["task"] == "mean")]
    means = pd.concat([seeds, table[table["factor"] == "seed"].iloc[:2].assign(task="mean")])
    with pytest.raises(DataError, match="no row of a single task for factor seed"):
        transfer.figure_robustness(means, "seed")


def test_two_affinities_of_one_pair_are_refused():
    table = affinity_table(FEW, FEW)
    with pytest.raises(DataError, match=f"two values for source {FEW[0]} and target {FEW[0]}"):
        transfer.figure_affinity(pd.concat([table, table.iloc[:1]], ignore_index=True))
