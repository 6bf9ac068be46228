"""Figures: nothing overlaps, nothing is cut off, colours mean types, and bytes are reproducible."""

import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from taskrsa.errors import DataError, TaskrsaError
from taskrsa.figures import bank, style, taxonomy
from taskrsa.figures.save import save_data, save_figure
from taskrsa.tasks.dictionary import TASKS, TYPE_COLOURS

LAYERS = ["block1", "block2", "block3", "block4", "compressed", "labels"]
LEVEL = dict(zip(LAYERS, [0.77, 0.6, 0.48, 0.37, 0.26, 0.1], strict=True))
LIFT = dict(zip(LAYERS, [0.0, 0.03, 0.06, 0.1, 0.2, 0.2], strict=True))
ALL = list(TASKS)
BANKS = {
    20: ALL,
    8: [*ALL[3:6], *ALL[7:9], ALL[15], *ALL[18:20]],
    4: [ALL[0], ALL[8], ALL[16], ALL[19]],
}
# A user's own bank: known tasks, a model with a type of its own, one with a colour, one with
# neither and a long name.
OWN = [*ALL[5:9], "clip_rn50", "grey_control", "a_transformer_of_my_own_with_a_long_name"]
OWN_GIVEN = {"clip_rn50": ("CLIP", "language"), "grey_control": ("control", "#777777")}


def world(names, layer, seed=0):
    """Similarities that fall with depth and rise within types, as the paper's do."""
    rng = np.random.default_rng([seed, LAYERS.index(layer)])
    kinds = [TASKS[name].type if name in TASKS else name for name in names]
    same = np.array([[a == b for b in kinds] for a in kinds])
    noise = rng.normal(0, 0.07, same.shape)
    matrix = np.clip(LEVEL[layer] + LIFT[layer] * same + (noise + noise.T) / 2, -0.2, 0.97)
    np.fill_diagonal(matrix, 1)
    return matrix


def similarity_table(names, layers=LAYERS):
    rows = []
    for layer in layers:
        matrix = world(names, layer)
        for i in range(len(names)):
            for j in range(i):
                rows.append((layer, names[i], names[j], matrix[i, j]))
    return pd.DataFrame(rows, columns=["layer", "model_a", "model_b", "rs"])


def tree(names, seed=0):
    return linkage(squareform(1 - world(names, "compressed", seed), checks=False), "average")


def separation_table(controls=("none", "pixels", "random", "pixels+random")):
    rows = []
    for k, control in enumerate(controls):
        for i, layer in enumerate(LAYERS):
            within, between = LEVEL[layer] + LIFT[layer] * (1 - 0.1 * k), LEVEL[layer]
            p, mean = 0.5 * 0.2**i, np.nan if k or layer == "labels" else 0.8 - 0.1 * i
            rows.append((layer, "trained", control, within, between, within - between, p, mean))
    columns = ["layer", "bank", "control", "within", "between", "difference", "p", "random_mean"]
    return pd.DataFrame(rows, columns=columns)


def quality_table(names):
    removed = np.linspace(-0.6, 0.97, len(names))
    kinds = [TASKS[name].type if name in TASKS else "own" for name in names]
    return pd.DataFrame(
        {"model": names, "task": names, "val_loss": 1 - removed, "constant_loss": 1.0}
        | {"error_removed": removed, "type": kinds}
    )


def curves_table(names):
    step = np.arange(0, 1001, 50)
    frames = []
    for k, name in enumerate(names):
        train = (0.3 + np.exp(-step / 200)) * 10.0 ** (k % 6 - 4)
        val = np.where(step % 200 == 0, 1.1 * train, np.nan)
        frames.append(
            pd.DataFrame({"model": name, "step": step, "train_loss": train, "val_loss": val})
        )
    return pd.concat(frames, ignore_index=True)


def pairs_table(names):
    labels = world(names, "labels")
    rows = []
    for layer in LAYERS[:-1]:
        network = world(names, layer)
        for i in range(len(names)):
            for j in range(i):
                rows.append((layer, names[i], names[j], labels[i, j], network[i, j]))
    return pd.DataFrame(rows, columns=["layer", "model_a", "model_b", "rs_labels", "rs_network"])


AGREEMENT = pd.DataFrame(
    {
        "layer": LAYERS[:-1],
        "spearman": [-0.1, 0.2, 0.4, 0.6, 0.8],
        "p": [0.6, 0.06, 0.02, 1e-3, 1e-5],
    }
)
TREES = {
    "pearson": 0.62,
    "pearson_low": 0.5,
    "pearson_high": 0.71,
    "spearman": 0.65,
    "spearman_low": 0.53,
    "spearman_high": 0.74,
}


def presets_table():
    rng = np.random.default_rng(2)
    choices = ["no centring", "no clipping of the input", "group norm on", "bfloat16"]
    rows = [
        (choice, layer, mean := rng.uniform(0, 0.4), mean + rng.uniform(0, 0.5), rng.uniform(0, 1))
        for choice in choices
        for layer in LAYERS[:-1]
    ]
    columns = ["choice", "layer", "mean_abs_change", "max_abs_change", "spearman"]
    return pd.DataFrame(rows, columns=columns)


def draw(kind, names, models=None):
    similarity = similarity_table(names)
    if kind == "figure4":
        return taxonomy.figure4(similarity, tree(names), names, models=models)
    if kind == "figure5":
        return taxonomy.figure5(similarity, models=models)
    if kind == "figure6":
        ours, theirs = (tree(names), names), (tree(names[::-1], 7), names[::-1])
        return taxonomy.figure6(ours, theirs, TREES, models=models)
    if kind == "separation":
        return taxonomy.figure_separation(separation_table())
    if kind == "separation_plain":
        return taxonomy.figure_separation(separation_table(["none"]))
    if kind == "quality":
        return bank.figure_quality(quality_table(names), models=models)
    if kind == "quality_all_learnt":
        table = quality_table(names)
        return bank.figure_quality(table.assign(error_removed=table["error_removed"].abs() / 2))
    if kind == "curves":
        return bank.figure_learning_curves(curves_table(names), models=models)
    if kind == "curves_shared":
        constants = curves_table(names).groupby("model")["train_loss"].max().to_dict()
        return bank.figure_learning_curves(
            curves_table(names), models=models, constant_loss=constants
        )
    if kind == "labels":
        return taxonomy.figure_label_agreement(AGREEMENT, pairs_table(names), models=models)
    table = presets_table()
    if kind == "presets_one_layer":
        table = table[table["layer"] == "compressed"]
    return taxonomy.figure_presets(table)


PER_BANK = ["figure4", "figure5", "figure6", "quality", "curves", "curves_shared", "labels"]
CASES = [(kind, names, None) for kind in PER_BANK for names in BANKS.values()]
CASES += [(kind, OWN, OWN_GIVEN) for kind in PER_BANK]
ONCE = ("separation", "separation_plain", "presets", "presets_one_layer", "quality_all_learnt")
CASES += [(kind, BANKS[4], None) for kind in ONCE]
IDS = [f"{kind}-{len(names)}{'-own' if given else ''}" for kind, names, given in CASES]


def texts_of(figure):
    """Return the visible texts of a figure with their boxes on the page."""
    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    found = []
    # Hidden axes (axis off) and hidden tick labels are not on the page.
    for text in figure.findobj(Text):
        axes = text.axes
        if axes is not None and not axes.axison and text not in axes.texts:
            continue
        if text.get_visible() and text.get_text().strip():
            found.append((text, text.get_window_extent(renderer)))
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            # Matplotlib keeps ticks beyond the limits, and never draws them.
            low, high = sorted(axis.get_view_interval())
            slack = 1e-6 * (high - low)
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low - slack <= tick.get_loc() <= high + slack:
                    gone = {tick.label1, tick.label2}
                    found = [(text, box) for text, box in found if text not in gone]
    return found


@pytest.mark.parametrize(("kind", "names", "given"), CASES, ids=IDS)
def test_texts_are_on_the_page_apart_and_readable(kind, names, given):
    figure = draw(kind, names, given)
    assert isinstance(figure, Figure)
    width = figure.get_size_inches()[0]
    assert style.COLUMN_WIDTH - 0.01 <= width <= style.PAGE_WIDTH + 0.01
    assert_clear(figure)


def assert_clear(figure):
    texts = texts_of(figure)
    assert len(texts) > 5
    for text, box in texts:
        assert text.get_fontsize() >= 5.5, text.get_text()
        assert box.x0 >= 0, text.get_text()
        assert box.y0 >= 0, text.get_text()
        assert box.x1 <= figure.bbox.x1, text.get_text()
        assert box.y1 <= figure.bbox.y1, text.get_text()
    tolerance = 0.3 * figure.dpi / 72  # a third of a point
    for i, (first, a) in enumerate(texts):
        for second, b in texts[:i]:
            across = min(a.x1, b.x1) - max(a.x0, b.x0)
            down = min(a.y1, b.y1) - max(a.y0, b.y0)
            assert across <= tolerance or down <= tolerance, (first, second)


def tick_colours(axis):
    return {text.get_text(): to_hex(text.get_color()) for text in axis.get_ticklabels()}


@pytest.mark.parametrize("n", BANKS)
def test_names_of_tasks_carry_the_colours_of_their_types(n):
    names = BANKS[n]
    wanted = {TASKS[name].label: TYPE_COLOURS[TASKS[name].type] for name in names}
    matrix, _, dendrogram = draw("figure4", names).axes
    in_order = [TASKS[name].label for name in ALL if name in names]
    assert tick_colours(matrix.yaxis) == wanted
    assert list(tick_colours(matrix.yaxis)) == in_order
    assert list(tick_colours(matrix.xaxis)) == in_order
    assert tick_colours(dendrogram.yaxis) == wanted
    left, right, _ = draw("figure6", names).axes
    assert tick_colours(left.yaxis) == tick_colours(right.yaxis) == wanted
    assert tick_colours(draw("quality", names).axes[0].yaxis) == wanted


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize("kind", PER_BANK)
def test_every_figure_with_type_colours_has_a_key_of_the_types_present(kind):
    some = [ALL[0], ALL[1], ALL[17], ALL[18]]
    texts = legend_texts(draw(kind, some))
    assert [text for text in texts if text in TYPE_COLOURS] == ["2D", "semantic"]


@pytest.mark.parametrize("layers", [["compressed"], LAYERS[:4], LAYERS[:5]])
@pytest.mark.parametrize("n", [2, 3, 20])
def test_figure5_takes_any_number_of_layers_and_models(layers, n):
    figure = taxonomy.figure5(similarity_table(ALL[-n:], layers))
    assert_clear(figure)
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    below = [axes for axes in panels if len(axes.get_xticks())]
    assert len(below) == min(3, len(layers))  # each column names its tasks once


@pytest.mark.parametrize("n", [2, 3])
def test_small_trees_are_drawn(n):
    names = ALL[:n]
    assert_clear(draw("figure4", names))
    assert_clear(draw("figure6", names))


def meshes_of(figure):
    return [c for axes in figure.axes for c in axes.collections if isinstance(c, QuadMesh)]


def test_figure5_has_one_colour_scale_that_holds_all_values():
    similarity = similarity_table(BANKS[8])
    figure = taxonomy.figure5(similarity)
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
    assert len({mesh.get_cmap().name for mesh in meshes}) == 1
    low, high = meshes[0].get_clim()
    assert low <= similarity["rs"].min() < similarity["rs"].max() <= high <= 1
    assert low <= 0


def test_matrix_cells_hold_the_values_of_the_table_in_the_order_of_the_names():
    names = BANKS[8]
    shuffled = similarity_table(names, ["compressed"]).sample(frac=1, random_state=1)
    figure = taxonomy.figure4(shuffled, tree(names), names)
    drawn = np.ma.masked_invalid(figure.axes[0].collections[0].get_array()).reshape(8, 8)
    expected = world(names, "compressed")
    off = ~np.eye(8, dtype=bool)
    assert np.ma.getmaskarray(drawn)[~off].all()  # the diagonal is 1 by definition
    np.testing.assert_allclose(drawn[off], expected[off])


def test_table_may_hold_both_orders_and_the_diagonal():
    once = similarity_table(BANKS[4], ["compressed"])
    swapped = once.rename(columns={"model_a": "model_b", "model_b": "model_a"})
    diagonal = pd.DataFrame(
        {"layer": "compressed", "model_a": BANKS[4], "model_b": BANKS[4], "rs": 1.0}
    )
    both = pd.concat([once, swapped, diagonal], ignore_index=True)
    first = taxonomy.similarity_matrix(once, "compressed")
    second = taxonomy.similarity_matrix(both, "compressed")
    pd.testing.assert_frame_equal(first, second.loc[first.index, first.columns])


def test_tree_of_figure4_keeps_its_joins_and_puts_neighbours_together():
    names = BANKS[20]
    axes = draw("figure4", names).axes[2]
    heights = set()
    for (x0, _), (x1, _) in axes.collections[0].get_segments():
        if x0 == x1:
            heights.add(round(float(x0), 9))
    assert heights == {round(float(z), 9) for z in tree(names)[:, 2]}
    matrix = pd.DataFrame(world(names, "compressed"), names, names)
    by_label = {TASKS[name].label: name for name in names}
    drawn = [by_label[text.get_text()] for text in axes.get_yticklabels()]
    plain = [names[leaf] for leaf in leaves_list(tree(names))]

    def length(order):
        return sum(1 - matrix.loc[a, b] for a, b in itertools.pairwise(order))

    assert sorted(drawn) == sorted(names)
    assert length(drawn) < length(plain)


def test_branches_of_one_type_take_its_colour_and_mixed_ones_none():
    # 2D 0, 1 join; 3D 2, 3 join; then all.
    names = [ALL[0], ALL[2], ALL[7], ALL[8]]
    z = np.array([[0, 1, 0.2, 2], [2, 3, 0.3, 2], [4, 5, 0.9, 4]], dtype=float)
    figure = style.new_figure(3, 2)
    axes = style.add_axes(figure, 0.2, 0.2, 1, 1)
    order = taxonomy.draw_tree(axes, z, names, style.task_style(names))
    assert order == names
    bars = {}
    lines = axes.collections[0]
    for segment, colour in zip(lines.get_segments(), lines.get_colors(), strict=True):
        (x0, _), (x1, _) = segment
        if x0 == x1:
            bars[float(x0)] = to_hex(colour)
    assert bars == {0.2: TYPE_COLOURS["2D"], 0.3: TYPE_COLOURS["3D"], 0.9: style.GREY}


def test_equal_trees_face_each_other_without_crossings():
    names = BANKS[20]
    order = np.random.default_rng(4).permutation(len(names))
    matrix = world(names, "compressed")
    other = [names[i] for i in order]
    theirs = linkage(squareform(1 - matrix[np.ix_(order, order)], checks=False), "average")
    figure = taxonomy.figure6((tree(names), names), (theirs, other))
    left, right, middle = figure.axes
    assert list(tick_colours(left.yaxis)) == list(tick_colours(right.yaxis))
    assert len(middle.lines) == len(names)
    assert all(np.ptp(line.get_ydata()) < 1e-12 for line in middle.lines)


def test_figure6_writes_the_agreement_with_its_interval():
    texts = [text.get_text() for text in draw("figure6", BANKS[8]).texts]
    line = "Pearson 0.62 [0.50, 0.71], Spearman 0.65 [0.53, 0.74]"
    assert any(line in text for text in texts)
    plain = taxonomy._agreement({"pearson": 0.5, "spearman": 0.25})
    assert plain.endswith("Pearson 0.50, Spearman 0.25")


def test_task_of_one_tree_only_has_no_line():
    names = BANKS[8]
    figure = taxonomy.figure6((tree(names), names), (tree(names[1:]), names[1:]))
    assert len(figure.axes[2].lines) == len(names) - 1


def test_separation_marks_significant_layers():
    figure = draw("separation", BANKS[4])
    table = separation_table(["none"])
    weights = [t.get_weight() for t in figure.axes[0].texts if t.get_text().startswith("p")]
    assert weights == ["bold" if p < 0.05 else "normal" for p in table["p"]]
    drawn = figure.axes[1].collections[0].get_offsets()[:, 1]
    np.testing.assert_allclose(drawn, table["within"] - table["between"])


def test_labels_stand_beside_the_layers_of_the_bank():
    table = separation_table(["none", "pixels"])
    table.loc[table["layer"] == "labels", "bank"] = "labels"
    other = separation_table(["none", "pixels"]).assign(bank="untrained")
    axes = taxonomy.figure_separation(pd.concat([table, other])).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()][-1] == "labels"
    drawn = axes.collections[0].get_offsets()[:, 1]
    np.testing.assert_allclose(drawn, table[table["control"] == "none"]["within"])


def test_bars_of_quality_have_the_lengths_of_the_table():
    table = quality_table(BANKS[8])
    table.loc[0, "error_removed"] = -40.0  # diverged: the bar is cut, the number is not
    axes = bank.figure_quality(table).axes[0]
    np.testing.assert_allclose([b.get_width() for b in axes.patches], table["error_removed"])
    assert -2 < axes.get_xlim()[0] <= -1
    assert "\N{MINUS SIGN}40.00" in [text.get_text() for text in axes.texts]


def test_two_networks_of_one_task_are_told_apart():
    table = quality_table([ALL[0], ALL[0], ALL[8]]).assign(model=["seed0", "seed1", ALL[8]])
    labels = list(tick_colours(bank.figure_quality(table).axes[0].yaxis))
    assert labels == ["autoencoding (seed0)", "autoencoding (seed1)", "occlusion edges"]


def test_learning_curves_against_a_constant_are_shares_of_it():
    names = BANKS[4]
    constants = {name: 2.0 * (k + 1) for k, name in enumerate(names)}
    curves = curves_table(names)
    figure = bank.figure_learning_curves(curves, constant_loss=constants)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    for name, axes in zip(names, figure.axes, strict=True):
        wanted = curves[curves["model"] == name]["train_loss"] / constants[name]
        np.testing.assert_allclose(axes.lines[0].get_ydata(), wanted)


# --- Styles ---


def test_styles_follow_the_paper_whatever_the_order_given():
    styles = style.task_style(ALL[::-1])
    assert list(styles) == ALL
    assert all(s.colour == TASKS[name].colour for name, s in styles.items())
    by_type = {s.type: s.marker for s in styles.values()}
    assert len(set(by_type.values())) == len(by_type)  # types differ in shape as well


def test_styles_of_a_users_own_models():
    names = ["plain", "zeta", "alpha", "grey", *ALL[:2]]
    given = {"zeta": ("Zeta", "own"), "alpha": ("Alpha", "own"), "grey": ("Control", "#777777")}
    styles = style.task_style(names, given)
    assert list(styles) == [*ALL[:2], "zeta", "alpha", "plain", "grey"]
    assert styles["zeta"].colour == styles["alpha"].colour
    assert styles["zeta"].colour not in TYPE_COLOURS.values()
    assert styles["grey"].colour == "#777777"
    assert (styles["plain"].label, styles["plain"].type) == ("plain", "")
    assert styles["plain"].colour not in {*TYPE_COLOURS.values(), styles["zeta"].colour}


def test_a_mapping_may_rename_and_retype_a_known_task():
    styles = style.task_style([ALL[0], ALL[8]], {ALL[0]: ("reconstruction", "semantic")})
    assert styles[ALL[0]].label == "reconstruction"
    assert styles[ALL[0]].colour == TYPE_COLOURS["semantic"]
    assert list(styles) == [ALL[8], ALL[0]]


def test_large_banks_of_unknown_models_are_drawn_without_overlap():
    names = [f"network_{i:02d}" for i in range(36)]
    figure = taxonomy.figure4(similarity_table(names, ["compressed"]), tree(names), names)
    assert_clear(figure)
    shown = [text.get_text() for text, _ in texts_of(figure)]
    assert all(shown.count(name) == 3 for name in names)
    assert_clear(taxonomy.figure5(similarity_table(names)))


def test_overlaps_and_cut_texts_are_found():
    figure = draw("figure4", BANKS[8])
    assert_clear(figure)
    figure.axes[0].set_yticks(
        np.arange(8) / 8 + 0.5, [text.get_text() for text in figure.axes[0].get_yticklabels()]
    )
    with pytest.raises(AssertionError):
        assert_clear(figure)
    figure = draw("figure4", BANKS[8])
    figure.text(0.98, 0.5, "beyond the edge")
    with pytest.raises(AssertionError, match="beyond"):
        assert_clear(figure)


def test_long_labels_keep_both_ends():
    assert style.shorten("semantic segmentation") == "semantic segmentation"
    short = style.shorten("a_transformer_of_my_own_with_a_long_name")
    assert len(short) == 24
    assert short.startswith("a_transf")
    assert short.endswith("ong_name")


@pytest.mark.parametrize(
    ("p", "text"), [(0.55, ".55"), (0.034, ".034"), (0.0002, "< .001"), (1.0, "1.00")]
)
def test_p_values(p, text):
    assert style.format_p(p) == text


def test_drawing_leaves_the_users_settings_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw("figure4", BANKS[4])
    assert dict(matplotlib.rcParams) == before


def test_a_users_settings_do_not_reach_the_figures(tmp_path):
    import matplotlib

    save_figure(draw("figure6", BANKS[4]), tmp_path / "a.pdf", tmp_path / "a.png")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "lines.linewidth": 9}):
        save_figure(draw("figure6", BANKS[4]), tmp_path / "b.pdf", tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


# --- Files ---


@pytest.mark.parametrize("kind", ["figure4", "figure5", "separation", "curves"])
def test_the_same_table_gives_the_same_bytes(kind, tmp_path):
    for name in "ab":
        save_figure(draw(kind, BANKS[4]), tmp_path / f"{name}.pdf", tmp_path / f"{name}.png")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pdf", "a.png", "b.pdf", "b.png"]


def test_bytes_do_not_depend_on_the_process(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_figures as t; "
        "t.save_figure(t.draw('figure4', t.BANKS[8]), sys.argv[2], sys.argv[3])"
    )
    digests = set()
    for seed in ("1", "2"):
        pdf, png = tmp_path / f"{seed}.pdf", tmp_path / f"{seed}.png"
        here = str(Path(__file__).parent)
        library = str(Path(taxonomy.__file__).parents[2])
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": library}
        subprocess.run([sys.executable, "-c", code, here, pdf, png], check=True, env=env)
        digests.add(hashlib.sha256(pdf.read_bytes() + png.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_pdf_embeds_its_fonts_as_text(tmp_path):
    save_figure(draw("figure6", BANKS[4]), tmp_path / "a.pdf", tmp_path / "a.png")
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/CIDFontType2" in pdf  # Type 42; Type 3 would say /Type3
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf


def test_numbers_survive_the_csv(tmp_path):
    table = similarity_table(BANKS[8])
    save_data(table, tmp_path / "new" / "figure5.csv")
    again = pd.read_csv(tmp_path / "new" / "figure5.csv")
    pd.testing.assert_frame_equal(again, table, rtol=1e-5, check_dtype=False)
    taxonomy.figure5(again)  # and the figure can be drawn from it
    save_data(again, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "new/figure5.csv").read_bytes()


# --- What is missing is named ---


def message(error):
    text = str(error.value)
    assert isinstance(error.value, TaskrsaError)
    assert "\n" not in text
    return text


def test_missing_pair_is_named():
    table = similarity_table(BANKS[4], ["compressed"]).iloc[1:]
    with pytest.raises(DataError) as error:
        taxonomy.figure4(table, tree(BANKS[4]), BANKS[4])
    assert "autoencoder" in message(error)
    assert "edge3d" in message(error)


def test_missing_value_is_named():
    table = similarity_table(BANKS[4])
    table.loc[7, "rs"] = np.nan
    with pytest.raises(DataError) as error:
        taxonomy.figure5(table)
    row = table.loc[7]
    assert all(part in message(error) for part in ("rs", row.layer, row.model_a, row.model_b))


def test_two_values_for_one_pair_are_refused():
    table = similarity_table(BANKS[4], ["compressed"])
    swapped = table.rename(columns={"model_a": "model_b", "model_b": "model_a"}).iloc[:1]
    both = pd.concat([table, swapped.assign(rs=0.9)], ignore_index=True)
    with pytest.raises(DataError, match="two values for"):
        taxonomy.similarity_matrix(both, "compressed")


def test_missing_layer_is_named():
    with pytest.raises(DataError) as error:
        taxonomy.figure5(similarity_table(BANKS[4], ["block1"]), layers=["block1", "block4"])
    assert "block4" in message(error)
    assert "block1" in message(error)


def test_model_without_labels_leaves_grey_cells():
    names = BANKS[8]
    table = pd.concat(
        [similarity_table(names, ["compressed"]), similarity_table(names[1:], ["labels"])]
    )
    meshes = meshes_of(taxonomy.figure5(table))
    hidden = [np.ma.getmaskarray(np.ma.masked_invalid(m.get_array())).sum() for m in meshes[:2]]
    assert hidden == [8, 8 + 14]


@pytest.mark.parametrize("column", ["layer", "model_a", "rs"])
def test_missing_column_is_named(column):
    with pytest.raises(DataError, match=f"no column {column}"):
        taxonomy.figure5(similarity_table(BANKS[4]).drop(columns=column))


@pytest.mark.parametrize(
    "call",
    [
        lambda: taxonomy.figure_separation(separation_table().iloc[:0]),
        lambda: bank.figure_quality(quality_table(BANKS[4]).iloc[:0]),
        lambda: taxonomy.figure_presets(presets_table().iloc[:0]),
        lambda: save_data(pd.DataFrame({"rs": []}), "unused.csv"),
    ],
)
def test_empty_tables_are_refused(call):
    with pytest.raises(DataError, match=r"no rows|no numbers"):
        call()


def test_tree_of_other_models_is_refused():
    names = BANKS[8]
    table = similarity_table(names)
    with pytest.raises(DataError, match="does not join 8 models"):
        taxonomy.figure4(table, tree(names[1:]), names)
    renamed = ["somebody", *names[1:]]
    with pytest.raises(DataError, match="somebody"):
        taxonomy.figure4(table, tree(renamed), renamed)
    twice = [names[1], *names[1:]]
    with pytest.raises(DataError, match="named twice"):
        taxonomy.check_tree(tree(names), twice)
    broken = tree(names)
    broken[3, 2] = np.nan
    with pytest.raises(DataError, match="row 3"):
        taxonomy.check_tree(broken, names)


def test_trees_without_a_common_task_are_refused():
    with pytest.raises(DataError, match="share no task"):
        taxonomy.figure6((tree(ALL[:4]), ALL[:4]), (tree(ALL[4:8]), ALL[4:8]))


def test_agreement_without_a_value_is_refused():
    names = BANKS[4]
    both = (tree(names), names)
    with pytest.raises(DataError, match="no spearman"):
        taxonomy.figure6(both, both, {"pearson": 0.5})


def test_separation_says_what_is_absent():
    table = separation_table()
    with pytest.raises(DataError, match="no bank random; it has trained"):
        taxonomy.figure_separation(table, bank="random")
    with pytest.raises(DataError, match="no control none"):
        taxonomy.figure_separation(table[table["control"] != "none"])
    table.loc[2, "within"] = np.nan
    with pytest.raises(DataError, match="no value of within at layer block3"):
        taxonomy.figure_separation(table)


def test_learning_curves_say_which_model_lacks_losses():
    table = curves_table(BANKS[4])
    table.loc[table["model"] == "edge3d", "val_loss"] = np.nan
    with pytest.raises(DataError, match="edge3d has no val_loss"):
        bank.figure_learning_curves(table)
    with pytest.raises(DataError, match="edge3d has no positive constant"):
        bank.figure_learning_curves(
            curves_table(BANKS[4]),
            constant_loss={name: 1.0 for name in BANKS[4] if name != "edge3d"},
        )
    with pytest.raises(DataError, match="no column val_loss"):
        bank.figure_learning_curves(curves_table(BANKS[4]).drop(columns="val_loss"))


def test_label_agreement_says_which_layers_it_has():
    with pytest.raises(DataError, match="no layer pool5; it has block1"):
        taxonomy.figure_label_agreement(AGREEMENT, pairs_table(BANKS[4]), layer="pool5")
