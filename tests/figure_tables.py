"""Tables that figures are drawn from, and what tests look at in figures."""

from importlib import import_module

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.text import Text
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform
from taskrsa.errors import TaskrsaError
from taskrsa.figures import sheet
from taskrsa.figures.registry import registered
from taskrsa.tasks.dictionary import TASKS

ALL = list(TASKS)
SMALL = [name for name in ALL if TASKS[name].has_small_model]
KNOWN = [name for name in ALL if TASKS[name].affinity_name]
FEW = [*ALL[3:8], *ALL[9:11], *ALL[18:20]]
FOUR = [ALL[0], ALL[8], ALL[16], ALL[19]]
BANKS = {"20": ALL, "17": KNOWN, "9": FEW, "4": FOUR}

# Networks of a user: nine types besides the paper's, one network without a type, labels that are
# long, or would be formulae if they were taken for such.
LONG = "a_transformer_of_my_own_with_a_long_name"
_USERS = {
    "clip": ("CLIP", "language"),
    "dollars": ("$5 & $6", "language"),
    "broken": ("$\\frac{a", "self-supervised"),
    "long": (LONG, "supervised with many labels"),
    "audio": ("audio", "$x$"),
    "flow": ("optical flow", "flow"),
    "pose": ("pose", "pose"),
    "video": ("video", "video"),
    "cortex": ("V1", "brain"),
    "ocr": ("OCR", "text"),
    "detector": ("detector", "detector"),
    "plain": ("plain", ""),
}
USERS = [*ALL[5:9], *_USERS]

LAYERS = ["block1", "block2", "block3", "block4", "compressed", "labels"]
DEPTHS = ["depth1", "depth2", "depth3", "depth4", "depth5", "last"]
_LEVEL = [0.77, 0.6, 0.48, 0.37, 0.26, 0.1]
_LIFT = [0.0, 0.03, 0.06, 0.1, 0.2, 0.2]


def networks(names=ALL):
    """The run's networks: name, label, type."""
    rows = [(name, *_USERS.get(name, (name, ""))) for name in names if name not in TASKS]
    rows = [(n, TASKS[n].label, TASKS[n].type) for n in names if n in TASKS] + rows
    return pd.DataFrame(rows, columns=["name", "label", "type"]).replace({"type": {"": None}})


def world(names, layer="compressed", seed=0):
    """Similarities that fall with depth and rise within types, as the paper's do."""
    at = (LAYERS if layer in LAYERS else DEPTHS).index(layer)
    rng = np.random.default_rng([seed, at])
    kinds = [TASKS[name].type if name in TASKS else name for name in names]
    same = np.array([[a == b for b in kinds] for a in kinds])
    noise = rng.normal(0, 0.07, same.shape)
    matrix = np.clip(_LEVEL[at] + _LIFT[at] * same + (noise + noise.T) / 2, -0.2, 0.97)
    np.fill_diagonal(matrix, 1)
    return matrix


def similarity(names, layers=LAYERS):
    rows = []
    for layer in layers:
        matrix = world(names, layer)
        for i in range(len(names)):
            rows += [(layer, names[i], names[j], matrix[i, j]) for j in range(i)]
    return pd.DataFrame(rows, columns=["layer", "model_a", "model_b", "rs"])


def merges(names):
    """The tree of `world`: (n - 1, 4) linkage."""
    return linkage(squareform(1 - world(names), checks=False), "average")


def tree(names, linked=None):
    """A tree as the workflow writes it."""
    linked = merges(names) if linked is None else linked
    columns = ["left", "right", "distance", "n_models"]
    both = [pd.DataFrame({"leaf": names}), pd.DataFrame(linked, columns=columns)]
    return pd.concat(both, ignore_index=True)


def separation(controls=("none", "pixels", "random", "pixels+random"), layers=LAYERS):
    rows = []
    for k, control in enumerate(controls):
        for i, layer in enumerate(layers):
            within, between = _LEVEL[i] + _LIFT[i] * (1 - 0.1 * k), _LEVEL[i]
            mean = np.nan if k or layer == "labels" else 0.8 - 0.1 * i
            rows.append((layer, "networks", control, within, between, 0.5 * 0.2**i, mean))
    columns = ["layer", "bank", "control", "within", "between", "p", "random_mean"]
    return pd.DataFrame(rows, columns=columns)


def label_agreement():
    p, spearman = [0.6, 0.06, 0.02, 1e-3, 1e-5], [-0.1, 0.2, 0.4, 0.6, 0.8]
    return pd.DataFrame({"layer": LAYERS[:-1], "spearman": spearman, "p": p})


def taxonomy_agreement():
    row = {"pearson": 0.62, "pearson_low": 0.5, "pearson_high": 0.71}
    row |= {"spearman": 0.65, "spearman_low": 0.53, "spearman_high": 0.74}
    keys = [("measured", "ours"), ("measured", "ours (rank)"), ("published", "ours")]
    return pd.DataFrame([{"affinities": a, "similarity": s} | row for a, s in keys])


def transfer(names):
    return similarity(names[::-1], ["block4"])[["model_a", "model_b", "rs"]]


def presets(layers=("compressed",)):
    rng = np.random.default_rng(2)
    choices = ["no centring", "no clipping of the input", "group norm on", "bfloat16"]
    rows = [
        (choice, layer, mean := rng.uniform(0, 0.4), mean + rng.uniform(0, 0.5), rng.uniform(0, 1))
        for choice in choices
        for layer in layers
    ]
    columns = ["choice", "layer", "mean_abs_change", "max_abs_change", "spearman"]
    return pd.DataFrame(rows, columns=columns)


def quality(names):
    removed = np.linspace(-0.6, 0.97, len(names))
    return pd.DataFrame({"model": names, "constant_loss": 2.0, "error_removed": removed})


def curves(names):
    step = np.arange(0, 1001, 50)
    found = []
    for k in range(len(names)):
        train = (0.3 + np.exp(-step / 200)) * (1 + k / 5)
        val = np.where(step % 200 == 0, 1.1 * train, np.nan)
        found.append(pd.DataFrame({"step": step, "train_loss": train, "val_loss": val}))
    return found


def study(names=("knn", "probe", "cka"), targets=("flowers", "depth"), *, extreme=False):
    """Tables of a study: a few measures, their combination, two layers of one, baselines."""
    rng = np.random.default_rng(4)
    methods = [(f"{name}@tap", name, name, "tap") for name in names]
    methods += [(f"{names[0]}@last", f"{names[0]}, last", names[0], "last")]
    joined = " ".join(names[:2])
    methods += [(f"{'+'.join(names[:2])}@tap", joined.replace(" ", " + "), joined, "tap")]
    methods += [("blind", "mean rank on the other targets", "", "")]
    methods += [("any", "a random pick, expected", "", "")]
    lost = np.sort(rng.uniform(0, 1, (len(methods), len(targets))), axis=0)
    if extreme:
        lost[:2], lost[-2:] = 0.0, 1.0
    rows = [
        (target, method, lost[m, t])
        for m, (method, *_) in enumerate(methods)
        for t, target in enumerate(targets)
    ]
    means = pd.DataFrame(methods, columns=["method", "label", "measures", "layer"])
    means = means.assign(regret=lost.mean(axis=1))
    means["n_targets"] = len(targets)
    means["regret_low"], means["regret_high"] = means["regret"] - 0.2, means["regret"] + 0.2
    by_target = pd.DataFrame(rows, columns=["target", "method", "regret"])
    return {"by_target": by_target, "summary": means}


def _tasks(names):
    return [name for name in names if name in SMALL] or names[:2]


def rankings(names, tasks=None, *, extreme=False):
    """Rankings of small models that follow the bank's, with intervals and q values."""
    tasks = _tasks(names) if tasks is None else tasks
    matrix = world(names)
    rng = np.random.default_rng(len(names))
    rows = []
    for task in tasks:
        for j, other in enumerate(names):
            rs_bank = matrix[names.index(task), j]
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
            rows.append((task, other, rs_small, *ends[:2], rs_bank, *ends[2:], q))
    columns = ["model", "other", "rs_small", "small_low", "small_high"]
    columns += ["rs_bank", "bank_low", "bank_high", "q_small"]
    return pd.DataFrame(rows, columns=columns)


def rankings_agreement(tasks, pearson=0.84, spearman=0.85):
    tasks = [*tasks, "mean", "published"]
    out = pd.DataFrame({"task": tasks, "own_task": "left out", "pearson": pearson})
    out["spearman"] = spearman
    included = out.assign(own_task="included", pearson=0.99, spearman=0.99)
    return pd.concat([included, out], ignore_index=True)


def small_pairs(names):
    small, bank = world(names, seed=1), world(names)
    rows = [
        (names[i], names[j], small[i, j], bank[i, j]) for i in range(len(names)) for j in range(i)
    ]
    return pd.DataFrame(rows, columns=["model_a", "model_b", "rs_small", "rs_bank"])


def small_agreement():
    return pd.DataFrame(
        {"seeds": ["mean", "0", "published"], "pearson": [0.85, 0.1, 0.85]}
        | {"pearson_low": [0.8, np.nan, np.nan], "pearson_high": [0.9, np.nan, np.nan]}
        | {"spearman": [0.88, 0.1, 0.88]}
    )


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


def selection(targets, *, extreme=False, methods=METHODS, affinities="measured"):
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
            ends = (np.nan, np.nan) if exact else (max(value - 2, 0), value)
            mean |= {name: value, f"{name}_low": ends[0], f"{name}_high": ends[1]}
        ends = (np.nan, np.nan) if exact else (level - 0.1, min(level + 0.1, 1))
        mean["spearman_low"], mean["spearman_high"] = ends
        rows.append(mean)
    return pd.DataFrame(rows).assign(affinities=affinities)


def robustness(tasks, factor, *, extreme=False):
    rng = np.random.default_rng(5)
    rows = []

    def level(share):
        return rng.uniform(-1, 1) if extreme else min(1.0, 1 - 0.4 * (1 - share) ** 2)

    if factor == "images":
        for n in (25, 50, 100, 250, 500):
            for reference in ("all images", "disjoint images")[: 1 + (n <= 250)]:
                for draw in range(6):
                    rows.append((n, "mean", draw, reference, level(n / 500) - draw / 100))
                rows += [(n, task, np.nan, reference, level(n / 500) - 0.1) for task in tasks]
    elif factor == "seed":
        for task in tasks:
            for a, b in ((0, 1), (0, 2), (1, 2)):
                value = level(rng.uniform(0.6, 1))
                rows.append((f"{a}-{b}", task, f"{a}-{b}", "another seed", value))
            for a in range(3):
                rows.append((str(a), task, str(a), "bank", level(rng.uniform(0.3, 0.6))))
            rows.append(("", task, np.nan, "another seed", 0.5))
    else:
        values = (4, 8, 16, 32, 64) if factor == "width" else (1, 5, 10, 25, 50, 100)
        for k, value in enumerate(values):
            for reference in ("bank", "default small model"):
                for task in [*tasks, "mean"]:
                    share = level((k + 1) / len(values)) - 0.1 * (reference == "bank")
                    rows.append((value, task, np.nan, reference, share))
    return pd.DataFrame(rows, columns=["value", "task", "draw", "reference", "spearman"])


def affinity(sources, targets, *, extreme=False):
    rng = np.random.default_rng(7)
    kinds = {name: TASKS[name].type if name in TASKS else name for name in [*sources, *targets]}
    rows = []
    for j, target in enumerate(targets):
        for source in sources:
            kin = kinds[source] == kinds[target]
            own = 0.5 * (source == target)
            value = 10.0 ** (j % 4 - 2) * (0.3 * kin + own + rng.normal(0, 0.1))
            if extreme and source == sources[0]:
                value *= 40
            rows.append((source, target, value))
    return pd.DataFrame(rows, columns=["source", "target", "affinity"])


def ranking(names, *, extreme=False):
    rng = np.random.default_rng(len(names))
    rs = rng.uniform(-1, 1, len(names)) if extreme else rng.uniform(0.02, 0.6, len(names))
    table = pd.DataFrame({"model": names, "rs": rs, "ci_low": rs - 0.03, "ci_high": rs + 0.04})
    return table.assign(stars=rng.choice(["***", "**", "*", ""], len(names)))


def beside_untrained(table, mean=0.3, reach=0.12):
    """A ranking with what untrained networks have, and stars of what is beyond it."""
    ends = {"untrained_low": mean - reach, "untrained_high": mean + reach}
    stars = np.where(table["rs"] > mean + reach, "*", "")
    return table.assign(untrained_mean=mean, **ends, n_untrained=5, stars=stars)


SCRATCH = {"random": "random, bank encoder", "random_small": "random, small encoder"}


def scores(names, *, extreme=False, scratch=(0.47, 0.30), metric="miou"):
    """Rows of networks and of others trained from scratch; extreme: all networks in two points."""
    rng = np.random.default_rng(len(names))
    rs = rng.uniform(0.02, 0.6, len(names))
    score = 0.45 + 0.3 * rs + rng.normal(0, 0.02, len(names))
    if extreme:
        rs, score = np.where(rs > 0.3, 0.5, 0.4999), np.full(len(names), 0.6)
    rows = pd.DataFrame({"model": names, "label": names, "rs": rs, "rs_low": rs - 0.02})
    rows = rows.assign(rs_high=rs + 0.03, score=score, score_sd=np.nan if extreme else 0.01)
    more = [
        {"model": name, "label": SCRATCH[name], "score": value, "score_sd": 0.005}
        for name, value in zip(SCRATCH, scratch, strict=False)
    ]
    return pd.concat([rows, pd.DataFrame(more)], ignore_index=True).assign(metric=metric)


def layers(names, *, extreme=False):
    """Every layer of networks by similarity to a target, most similar first, with a ceiling."""
    rng = np.random.default_rng(6)
    rows = [(name, layer) for name in names for layer in LAYERS[:-1]]
    table = pd.DataFrame(rows, columns=["model", "layer"])
    table["rs"] = rng.uniform(-0.1, 0.4, len(rows))
    if extreme:
        table["rs"] = rng.choice([-1.0, 0.0, 1.0], len(rows))
    table["ci_low"], table["ci_high"] = table["rs"] - 0.05, table["rs"] + 0.05
    return table.assign(ceiling_low=0.42, ceiling_high=0.61).sort_values("rs", ascending=False)


def prediction(**changed):
    ours = {"ranking": "small model", "spearman": 0.884, "spearman_low": 0.7}
    ours |= {"spearman_high": 0.95, "spearman_p": 0.0004} | changed
    return pd.DataFrame([ours, {"ranking": "published, Table 2", "spearman": 0.83}])


def choice(names, *, extreme=False):
    roles = {"best": 0.66, "choice": 0.65, "worst": 0.59, "mean": 0.63, "same_task": 0.64}
    roles |= {"random": 0.61, "random_small": 0.0 if extreme else 0.41}
    of = {"best": names[0], "choice": names[1], "worst": names[2], "same_task": names[-1]}
    rows = [
        {"statistic": role, "model": of.get(role), "value": v, "low": v - 0.01, "high": v + 0.01}
        for role, v in roles.items()
    ]
    rows.append({"statistic": "regret", "value": 0.01, "low": 0.0, "high": 0.02})
    rows.append({"statistic": "gain_over_mean", "value": -0.02})
    rows.append({"statistic": "choice_rank", "value": 4.0, "low": 1, "high": 6})
    table = pd.DataFrame(rows)
    if extreme:
        table.loc[table["statistic"].isin(["choice", "best", "mean"]), "value"] = 1.0
    return table


def tables_of(figure, names, *, extreme=False):
    """The arguments of a registered figure's function, tables and settings, for a bank."""
    tasks = _tasks(names)
    of = {"networks": networks(names)}
    if figure.startswith("robustness_"):
        factor = figure.removeprefix("robustness_")
        more = {} if factor == "seed" else {"factor": factor}
        return {"robustness": robustness(tasks, factor, extreme=extreme)} | of | more
    if figure in ("figure7", "figureS1"):
        table = rankings(names, tasks, extreme=extreme)
        worst = {"pearson": -0.97, "spearman": -0.98} if extreme else {}
        of |= {"rankings": table, "agreement": rankings_agreement(tasks, **worst)}
        return of | ({"figure7": tasks[:2]} if figure == "figure7" else {})
    if figure.startswith("figure6"):
        of |= {"transfer": transfer(names), "similarity": similarity(names)}
        kind = "published" if figure.endswith("published") else "measured"
        return of | {
            "agreement": taxonomy_agreement(),
            "layer": "compressed",
            "affinities": kind,
        }
    simple = {
        "figure4": lambda: (
            {"similarity": similarity(names), "tree": tree(names)}
            | {"layer": "compressed", "linkage": "average", "compare": "spearman"}
        ),
        "figure5": lambda: (
            {"similarity": similarity(names), "tree": tree(names)}
            | {"layer": "compressed", "compare": "spearman"}
        ),
        "label_agreement": lambda: (
            {"agreement": label_agreement(), "similarity": similarity(names)}
            | {"layer": "compressed", "compare": "spearman"}
        ),
        "figureS3": lambda: {"pairs": small_pairs(names), "agreement": small_agreement()},
        "selection": lambda: (
            {"selection": selection(names, extreme=extreme)} | {"affinities": "measured"}
        ),
        "affinity": lambda: {"affinity": affinity(names, names, extreme=extreme)},
        "ranking": lambda: {"ranking": ranking(names, extreme=extreme)},
        "layers": lambda: (
            {"similarity": layers(names, extreme=extreme)}
            | {"layers": LAYERS[:-1], "compare": "spearman"}
        ),
        "scores": lambda: {"scores": scores(names, extreme=extreme), "prediction": prediction()},
        "choice": lambda: {"choice": choice(names, extreme=extreme), "scores": scores(names)},
        "quality": lambda: {"quality": quality(names)},
        "learning_curves": lambda: (
            {"curves": curves(names), "quality": quality(names)} | {"trained": names}
        ),
    }
    if figure == "study":
        targets = [f"target {name}" for name in names[:9]]
        return study(targets=targets, extreme=extreme)
    if figure in simple:
        return of | simple[figure]()
    return {"type_separation": {"separation": separation()}, "presets": {"presets": presets()}}[
        figure
    ]


def drawn(figure, names=ALL, *, extreme=False, **changed):
    """Draw a registered figure of a bank; `changed` replaces arguments of its function."""
    known = registered()[figure]
    function = getattr(import_module(known.module), known.function)
    return function(**tables_of(figure, names, extreme=extreme) | changed)


def draw(figure, names=ALL, **options):
    return drawn(figure, names, **options).figure


# --- what is in a figure ---


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


def assert_clear(figure):
    """Texts are on the page, apart from each other and large enough to read."""
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


def assert_page(figure):
    """It is clear, from one column to a page wide, and not higher than a page."""
    assert_clear(figure)
    width, height = figure.get_size_inches()
    assert sheet.COLUMN_WIDTH - 0.01 <= width <= sheet.PAGE_WIDTH + 0.01
    assert height < 9.5


def words_of(figure):
    return [text.get_text() for text, _ in texts_of(figure)]


def notes_of(figure):
    return [text.get_text() for text in figure.texts]


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def tick_colours(axis):
    return {text.get_text(): to_hex(text.get_color()) for text in axis.get_ticklabels()}


def meshes_of(figure):
    return [c for axes in figure.axes for c in axes.collections if isinstance(c, QuadMesh)]


def whiskers(axes):
    """Return the ends of the horizontal intervals drawn in axes, as (low, high, y)."""
    found = []
    for lines in axes.collections:
        if isinstance(lines, LineCollection):
            found += [(s[0, 0], s[1, 0], s[0, 1]) for s in lines.get_segments()]
    return found


def message(error):
    """Return what an error says to a user: one line."""
    text = str(error.value)
    assert isinstance(error.value, TaskrsaError)
    assert "\n" not in text
    return text
