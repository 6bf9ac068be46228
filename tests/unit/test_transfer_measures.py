"""Measures of transfer against their authors' formulas, written out, and against scikit-learn."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, spearmanr
from sklearn.covariance import LedoitWolf
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from taskrsa.analysis.advice import rank_networks
from taskrsa.errors import ConfigError
from taskrsa.rsa.inference import bootstrap_counts, retrained
from taskrsa.rsa.stacks import RDMStack
from taskrsa.transferability import alignments
from taskrsa.transferability.cells import Labels
from taskrsa.transferability.measures import MEASURES, named
from taskrsa.transferability.measuring import Subject, measure_all
from taskrsa.transferability.probes import FOLDS, NEIGHBOURS, PENALTIES, folds_of, ridge
from taskrsa.transferability.registry import Inapplicable, Rdms, Score, measure

KINDS = ("segmentation", "classification", "regression", "values")
N_IMAGES = 23


def made(kind: str, seed: int = 0, width: int = 6, noise: float = 1.0):
    """Return features with something of the labels in them, and labels."""
    rng = np.random.default_rng(seed)
    dense = kind in ("segmentation", "regression")
    groups = np.repeat(np.arange(N_IMAGES), rng.integers(1, 5, N_IMAGES) if dense else 1)
    n, k = len(groups), {"regression": 1, "values": 2}.get(kind, 3)
    hidden = rng.normal(size=(n, k))
    if kind == "segmentation":
        values = np.exp(2 * hidden) / np.exp(2 * hidden).sum(axis=1, keepdims=True)
    elif kind == "classification":
        values = np.eye(k)[hidden.argmax(axis=1)]
    else:
        values = hidden
    features = np.hstack([hidden, rng.normal(size=(n, width - k))]) @ rng.normal(
        size=(width, width)
    ) + noise * rng.normal(size=(n, width))
    names = tuple(f"c{i}" for i in range(k))
    return (features + 1).astype(np.float32), Labels(kind, names, values.astype("f4"), groups)


def call(name: str, features, labels, counts=None, seed: int = 0):
    known = {"features": features, "labels": labels, "counts": counts, "seed": seed}
    one = MEASURES[name]
    found = one.function(**{need: known[need] for need in one.needs})
    return found


def value(name: str, features, labels, **more) -> float:
    found = call(name, features, labels, **more)
    return float(getattr(found, "value", found))


def repeated(features, labels, count):
    """Return what there would be if every image were there as often as drawn."""
    rows, groups = [], []
    for image, times in enumerate(count):
        for _ in range(times):
            of_image = np.flatnonzero(labels.groups == image)
            rows += of_image.tolist()
            groups += [groups[-1] + 1 if groups else 0] * len(of_image)
    return features[rows], Labels(
        labels.kind, labels.classes, labels.values[rows], np.array(groups)
    )


# --- CKA ---


def gram_cka(x, y):
    n = len(x)
    centre = np.eye(n) - 1 / n
    k, lab = (centre @ (m.astype(float) @ m.T.astype(float)) @ centre for m in (x, y))
    return np.trace(k @ lab) / math.sqrt(np.trace(k @ k) * np.trace(lab @ lab))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [0, 10_000])
def test_cka_is_that_of_gram_matrices_and_its_draws_those_of_repeated_images(
    kind, rows, monkeypatch
):
    monkeypatch.setattr(alignments, "_KERNEL_ROWS", rows)
    monkeypatch.setattr(alignments, "_BLOCK", 3)
    features, labels = made(kind)
    counts = bootstrap_counts(N_IMAGES, 4, seed=1)
    found = call("cka", features, labels, counts)
    assert found.value == pytest.approx(gram_cka(features, labels.values), rel=1e-4)
    for draw, count in zip(found.draws, counts, strict=True):
        x, drawn = repeated(features, labels, count)
        assert draw == pytest.approx(gram_cka(x, drawn.values), rel=1e-4)


def test_cka_of_labels_with_themselves_is_one_and_ignores_turns_and_scales():
    features, labels = made("values")
    assert value("cka", labels.values, labels) == pytest.approx(1)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))
    turned = (7 * features @ turn + 3).astype(np.float32)
    assert value("cka", turned, labels) == pytest.approx(value("cka", features, labels), rel=1e-4)


# --- PARC ---


@pytest.mark.parametrize("kind", KINDS)
def test_parc_is_the_correlation_of_two_matrices_of_distances(kind):
    features, labels = made(kind)
    one_hot = np.eye(3)[labels.values.argmax(axis=1)] if labels.are_classes else None
    ours, theirs = [], []
    for i in range(len(features)):
        for j in range(i):
            ours.append(1 - np.corrcoef(features[i], features[j])[0, 1])
            if one_hot is not None:
                theirs.append(1 - np.corrcoef(one_hot[i], one_hot[j])[0, 1])
            else:
                theirs.append(np.linalg.norm(labels.values[i] - labels.values[j]))
    assert value("parc", features, labels) == pytest.approx(
        spearmanr(ours, np.round(theirs, 6)).statistic, abs=2e-4
    )


def test_parc_takes_a_sample_of_many_places():
    features, labels = made("segmentation")
    many = Labels("segmentation", labels.classes, np.tile(labels.values, (20, 1)), np.arange(0))
    few = value("parc", features, labels)
    assert value("parc", np.tile(features, (20, 1)), many) == pytest.approx(few, abs=0.1)


# --- LogME and H-score ---


def highest_evidence(f, y):
    """Maximise the density of labels under both precisions, without any shortcut."""

    def minus(logs):
        alpha, beta = np.exp(logs)
        covariance = np.eye(len(y)) / beta + f @ f.T / alpha
        return -multivariate_normal(np.zeros(len(y)), covariance).logpdf(y) / len(y)

    return -min(minimize(minus, start, method="Nelder-Mead").fun for start in ([0, 0], [2, -1]))


@pytest.mark.parametrize(
    ("kind", "width"),
    # Where features outnumber places and say nothing of a class, the highest evidence is at a
    # precision without bounds, which the authors' constants keep away from.
    [*((kind, 6) for kind in KINDS), ("segmentation", 80), ("regression", 80)],
)
def test_logme_is_the_highest_evidence(kind, width):
    features, labels = made(kind, width=width)
    expected = np.mean(
        [highest_evidence(features.astype(float), y.astype(float)) for y in labels.values.T]
    )
    assert value("logme", features, labels) == pytest.approx(expected, abs=2e-3)


def test_logme_leaves_out_classes_that_are_nowhere():
    features, labels = made("classification")
    wider = np.hstack([labels.values, np.zeros((len(labels.values), 2), np.float32)])
    more = Labels("classification", tuple("abcde"), wider, labels.groups)
    assert value("logme", features, more) == pytest.approx(value("logme", features, labels))


@pytest.mark.parametrize("kind", ["segmentation", "classification"])
@pytest.mark.parametrize("width", [6, 80])
def test_hscore_is_the_trace_of_the_authors(kind, width):
    features, labels = made(kind, width=width)
    classes = labels.values.argmax(axis=1)
    fitted = LedoitWolf().fit(features)
    means = np.array([features[classes == k].mean(axis=0) for k in classes])
    between = np.cov(means, rowvar=False, bias=True)
    expected = (1 - fitted.shrinkage_) * np.trace(np.linalg.inv(fitted.covariance_) @ between)
    assert value("hscore", features, labels) == pytest.approx(expected, rel=1e-3)


def test_hscore_of_many_places_is_the_plain_one():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 20_000)
    features = (rng.normal(size=(20_000, 4)) + 3 * np.eye(4)[classes]).astype(np.float32)
    labels = Labels(
        "classification", tuple("abc"), np.eye(3, dtype="f4")[classes], np.arange(20_000)
    )
    means = np.array([features[classes == k].mean(axis=0) for k in range(3)])[classes]
    plain = np.trace(np.linalg.inv(np.cov(features.T)) @ np.cov(means.T))
    assert value("hscore", features, labels) == pytest.approx(plain, rel=1e-2)


# --- neighbours and the probe ---


@pytest.mark.parametrize("kind", KINDS)
def test_folds_hold_whole_images_and_classes_are_spread(kind):
    _, labels = made(kind)
    fold = folds_of(labels, seed=2)
    for image in range(N_IMAGES):
        assert len(set(fold[labels.groups == image])) == 1
    assert set(fold) == set(range(FOLDS))
    if kind == "classification":
        for one in range(3):
            sizes = np.bincount(fold[labels.majority == one], minlength=FOLDS)
            assert np.ptp(sizes) <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_are_those_of_scikit_learn(kind):
    features, labels = made(kind)
    split = PredefinedSplit(folds_of(labels, seed=0))
    model = KNeighborsClassifier if labels.are_classes else KNeighborsRegressor
    known = labels.majority if labels.are_classes else labels.values
    x = (features - features.mean(axis=0)).astype(float)
    predicted = cross_val_predict(model(NEIGHBOURS, metric="cosine"), x, known, cv=split)
    found = value("knn", features, labels)
    if kind == "classification":
        assert found == pytest.approx((predicted == known).mean())
    elif kind == "segmentation":
        assert found == pytest.approx(balanced_accuracy_score(known, predicted))
    else:
        constant = cross_val_predict(DummyRegressor(), x, known, cv=split).reshape(known.shape)
        errors = [((known - answer) ** 2).sum(axis=0) for answer in (predicted, constant)]
        assert found == pytest.approx((1 - errors[0] / errors[1]).mean(), abs=1e-5)


def naive_ridge(features, values, fold):
    """Return nested cross-validated predictions, every fit by scikit-learn."""
    x, y = features.astype(float), values.astype(float)

    def fitted(rows, penalty):
        centred = x[rows] - x[rows].mean(axis=0)
        alpha = penalty * (centred**2).sum() / min(x.shape[1], len(rows))
        return Ridge(alpha).fit(x[rows], y[rows])

    predicted, names = np.empty_like(y), np.unique(fold)
    for one in names:
        errors = []
        for penalty in PENALTIES:
            error = 0.0
            for other in names[names != one]:
                rows = np.flatnonzero((fold != one) & (fold != other))
                tried = np.flatnonzero(fold == other)
                guess = fitted(rows, penalty).predict(x[tried]).reshape(len(tried), -1)
                error += ((guess - y[tried]) ** 2).sum()
            errors.append(error)
        best = PENALTIES[int(np.argmin(errors))]
        guess = fitted(np.flatnonzero(fold != one), best).predict(x[fold == one])
        predicted[fold == one] = guess.reshape(-1, y.shape[1])
    return predicted


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [6, 80])
def test_the_probe_is_nested_ridge_regression(kind, width):
    features, labels = made(kind, width=width)
    fold = folds_of(labels, seed=0)
    expected = naive_ridge(features, labels.values, fold)
    np.testing.assert_allclose(ridge(features, labels.values, fold), expected, atol=1e-4)
    found = value("probe", features, labels)
    if kind == "classification":
        assert found == (expected.argmax(axis=1) == labels.majority).mean()
        return
    constant = np.array([labels.values[fold != one].mean(axis=0) for one in fold])
    removed = 1 - ((expected - labels.values) ** 2).sum(axis=0) / (
        (constant - labels.values) ** 2
    ).sum(axis=0)
    assert found == pytest.approx(removed.mean(), abs=1e-4)


@pytest.mark.parametrize("name", ["knn", "probe"])
@pytest.mark.parametrize("kind", ["segmentation", "regression"])
def test_cells_of_one_image_never_help_each_other(name, kind):
    # Features say which image it is, and nothing else; labels are those of the image.
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 8)
    features = (20 * rng.normal(size=(60, 80))[groups]).astype(np.float32)
    features += rng.normal(size=features.shape).astype(np.float32)
    of_image = rng.integers(0, 2, 60)
    values = np.eye(2)[of_image][groups] if kind == "segmentation" else of_image[groups, None]
    labels = Labels(kind, ("a", "b")[: values.shape[1]], values.astype("f4"), groups)
    by_row = Labels(kind, labels.classes, labels.values, np.arange(len(groups)))
    known, chance = value(name, features, by_row), call(name, features, labels).chance
    assert known > 0.95
    assert value(name, features, labels) < chance + 0.2


@pytest.mark.parametrize("name", ["knn", "probe"])
@pytest.mark.parametrize("kind", KINDS)
def test_draws_weigh_the_images(name, kind):
    features, labels = made(kind)
    counts = np.vstack([np.ones(N_IMAGES, int), bootstrap_counts(N_IMAGES, 50, seed=3)])
    found = call(name, features, labels, counts)
    assert found.draws[0] == pytest.approx(found.value)
    assert np.isfinite(found.draws).all()
    assert found.draws[1:].std() > 0.005
    if kind == "classification":
        one_image = np.eye(N_IMAGES, dtype=int)
        assert set(call(name, features, labels, one_image).draws) == {0.0, 1.0}


@pytest.mark.parametrize("name", ["knn", "probe", "cka", "logme", "parc"])
@pytest.mark.parametrize("kind", KINDS)
def test_better_features_score_higher(name, kind):
    scores = [value(name, *made(kind, noise=noise)) for noise in (0.1, 30)]
    assert scores[0] > scores[1]


def test_chance_is_that_of_the_constant_answer():
    features, labels = made("classification")
    assert call("knn", features, labels).chance == np.bincount(labels.majority).max() / N_IMAGES
    assert call("knn", *made("segmentation")).chance == pytest.approx(1 / 3)
    assert call("probe", *made("values")).chance == 0


def test_two_images_are_too_few_for_a_probe():
    with pytest.raises(Inapplicable, match="2 labelled images; a probe needs at least 3"):
        folds_of(Labels("values", ("a",), np.ones((2, 1), "f4"), np.arange(2)), 0)


# --- measures that need no features ---


def rdms(seed=0, n=12):
    rng = np.random.default_rng(seed)
    pairs = n * (n - 1) // 2
    common = rng.random(pairs)
    return Rdms(common[None] + rng.random((1, pairs)), common + rng.random((2, pairs)))


def subject(kind="values", **known) -> Subject:
    features, labels = made(kind)
    counts = bootstrap_counts(N_IMAGES, 20, seed=0)
    known = {"layers": {"tap": features}, "parameters": 1000, "prior": 2.5} | known
    known = {"rdms": rdms(), "bank_rdms": rdms(2, n=15)} | known
    drawn = {"stimulus_counts": 12, "bank_counts": 15}
    known = {name: bootstrap_counts(n, 20, seed=0) for name, n in drawn.items()} | known
    return Subject("a", labels, 0, counts=counts, **known)


def rows_of(made_rows) -> dict:
    return {row["measure"]: row for row in made_rows}


def test_rsa_is_the_similarity_of_the_ranking():
    known = rdms()
    target = RDMStack(("s0", "s1"), known.small)
    bank = RDMStack(("a", "b"), np.vstack([known.network, rdms(1).network]))
    counts = bootstrap_counts(12, 20, seed=0)
    ranking = rank_networks(target, bank, counts, permutations=9, seed=0).set_index("model")
    found = measure_all(subject(), named(["rsa"], "here"), ["tap"], ["rsa"])
    assert found.rows[0]["score"] == pytest.approx(ranking.loc["a", "rs"])
    drawn = retrained(found.draws["rsa", ""][..., None], 0)
    assert found.draws["rsa", ""].shape == (20, 2)
    assert drawn.std() > 1.2 * found.draws["rsa", ""].mean(axis=1).std()
    of_one = rank_networks(target.only(["s0"]), bank, counts, permutations=9, seed=0)
    one = subject(rdms=Rdms(known.network, known.small[:1]))
    alone = measure_all(one, named(["rsa"], "here"), ["tap"], ["rsa"])
    low, high = np.quantile(alone.draws["rsa", ""], [0.025, 0.975])
    ranking = of_one.set_index("model")
    assert (low, high) == pytest.approx(tuple(ranking.loc["a", ["ci_low", "ci_high"]]))


def test_rsa_on_the_run_s_stimuli_is_the_same_over_these():
    found = measure_all(subject(), named(["rsa", "rsa_bank"], "here"), ["tap"], ["rsa_bank"])
    same = subject(rdms=rdms(2, n=15), stimulus_counts=bootstrap_counts(15, 20, seed=0))
    expected = measure_all(same, named(["rsa"], "here"), ["tap"], ["rsa"])
    own, bank = (row["score"] for row in found.rows)
    assert bank == expected.rows[0]["score"] != own
    np.testing.assert_array_equal(found.draws["rsa_bank", ""], expected.draws["rsa", ""])


def test_every_measure_has_a_score_or_a_reason():
    found = measure_all(subject(), MEASURES.values(), ["tap"], ["probe", "knn", "cka"])
    rows = rows_of(found.rows)
    assert set(rows) == set(MEASURES)
    assert rows["hscore"]["reason"] == "it is not for targets of kind values"
    assert rows["hscore"]["score"] is None
    assert rows["size"]["score"] == pytest.approx(3)
    assert rows["size"]["layer"] == ""
    assert rows["prior"]["score"] == 2.5
    assert set(found.draws) == {("probe", "tap"), ("knn", "tap"), ("cka", "tap")}
    assert all(len(draws) == 20 for draws in found.draws.values())
    assert all(row["seconds"] >= 0 for row in found.seconds)
    for name in set(rows) - {"hscore"}:
        assert np.isfinite(rows[name]["score"]), name
        assert rows[name]["reason"] == ""


def test_what_a_network_lacks_is_the_reason():
    given = {"layers": {}, "rdms": None, "bank_rdms": None, "parameters": None, "prior": None}
    rows = rows_of(measure_all(subject(**given), MEASURES.values(), ["tap"], []).rows)
    for name in ("probe", "knn", "cka", "parc", "logme"):
        assert rows[name]["reason"] == "it has no features: only its RDMs are known"
    assert rows["rsa"]["reason"] == "it has no RDM of the images that networks are ranked on"
    assert rows["rsa_bank"]["reason"] == "networks are not ranked on the run's stimuli as well"
    assert rows["size"]["reason"] == "its number of parameters is not known"
    assert rows["prior"]["reason"] == "the table of networks has no prior for it"
    assert 0 <= rows["random"]["score"] < 1
    rows = rows_of(measure_all(subject(), named(["cka"], ""), ["block1"], []).rows)
    assert rows["cka"]["reason"] == "it has no layer block1"


def test_features_and_labels_that_say_nothing_are_the_reason():
    _, labels = made("values")
    dead = {"tap": np.ones((len(labels.values), 5), np.float32)}
    rows = rows_of(measure_all(subject(layers=dead), named(["knn"], ""), ["tap"], []).rows)
    assert rows["knn"]["reason"] == "its features are the same for all images"
    same = Labels("values", labels.classes, np.ones_like(labels.values), labels.groups)
    one = Subject("a", same, 0, {"tap": made("values")[0]})
    rows = rows_of(measure_all(one, named(["knn", "logme"], ""), ["tap"], []).rows)
    assert rows["logme"]["reason"] == rows["knn"]["reason"] == "all labels are the same"


def test_random_differs_between_networks_and_not_between_runs():
    scores = [
        measure_all(Subject(name, made("values")[1], seed), named(["random"], ""), ["tap"], [])
        for name, seed in (("a", 0), ("b", 0), ("a", 1), ("a", 0))
    ]
    first, other, seeded, again = (found.rows[0]["score"] for found in scores)
    assert first == again
    assert len({first, other, seeded}) == 3


def test_a_measure_that_cannot_be_registered_is_one_line():
    with pytest.raises(ConfigError, match="measure knn: registered twice"):
        measure("knn", label="mine")(lambda features: 0.0)
    with pytest.raises(ConfigError, match="measure mine: there is no pixels; choose from features"):
        measure("mine", label="mine")(lambda pixels: 0.0)
    with pytest.raises(ConfigError, match="measure mine: there is no sounds; choose from segment"):
        measure("mine", label="mine", kinds=("sounds",))(lambda features: 0.0)
    with pytest.raises(ConfigError, match="here: there is no measure nn; choose from parc, "):
        named(["nn"], "here")
    assert "mine" not in MEASURES


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise KeyError('two\\nlines')", r"line 2: measure mine fails \(KeyError: .*lines'\)"),
        ("raise SystemExit(0)", "line 2: measure mine fails"),
        ("return None", r"measure mine fails \(TypeError: .*NoneType"),
        ("return features[0]", "measure mine fails"),
        ("return Score('much')", r"measure mine fails \(ValueError: .*much"),
        ("return Score(1.0, [0.5, 1.0])", r"shape \(2,\), and not \(20,\)"),
        ("features[:] = 0", "line 2: measure mine fails .*read-only"),
        ("labels.values[:] = 0", "line 2: measure mine fails .*read-only"),
    ],
)
def test_a_measure_of_the_user_that_fails_is_one_line(tmp_path, monkeypatch, body, expected):
    file, known = tmp_path / "mine.py", {"Score": Score, "__name__": "mine"}
    exec(compile(f"def mine(features, labels):\n    {body}\n", file, "exec"), known)
    monkeypatch.setitem(MEASURES, "mine", None)
    del MEASURES["mine"]
    measure("mine", label="mine")(known["mine"])
    line = f"^extension {re.escape(str(file))}.*{expected}"
    with pytest.raises(ConfigError, match=line) as found:
        measure_all(subject(), named(["mine"], ""), ["tap"], [])
    assert "\n" not in str(found.value)


def test_equations_without_a_solution_are_the_reason():
    values = np.eye(2, dtype=np.float32)
    labels = Labels("classification", ("a", "b"), values, np.arange(2))
    features = np.random.default_rng(0).normal(size=(2, 20)).astype(np.float32)
    made_rows = measure_all(
        Subject("a", labels, 0, layers={"tap": features}), named(["hscore"], ""), ["tap"], []
    ).rows
    assert made_rows[0]["score"] is None
    assert made_rows[0]["reason"].startswith("its equations have no solution here (")


def test_the_measure_of_the_documentation_tells_classes_apart(monkeypatch):
    text = (Path(__file__).parents[2] / "config/EXTENDING.md").read_text()
    code = re.search(r"^`my_transfer.py`:\n\n```python\n(.*?)```", text, re.MULTILINE | re.DOTALL)
    monkeypatch.delitem(MEASURES, "fisher", raising=False)
    exec(compile(code[1], "my_transfer.py", "exec"), {})
    try:
        scores = [value("fisher", *made("classification", noise=noise)) for noise in (0.1, 30)]
        assert scores[0] > scores[1] > 0
        rows = rows_of(measure_all(subject(), named(["fisher"], ""), ["tap"], []).rows)
        assert rows["fisher"]["reason"] == "it is not for targets of kind values"
    finally:
        del MEASURES["fisher"]
