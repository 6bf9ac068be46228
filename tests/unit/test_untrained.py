"""Is a network more alike than untrained ones of its design? Columns, and the size of the test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_rdms import write
from rank_networks import main as rank_networks_main
from scipy.stats import false_discovery_control, norm, t
from similarity import main as similarity_main
from taskrsa.analysis.advice import rank_networks
from taskrsa.analysis.taxonomy import similarity_table
from taskrsa.analysis.untrained import (
    COLUMNS,
    Untrained,
    adjusted,
    harder,
    stars,
    untrained_columns,
)
from taskrsa.rsa.inference import bootstrap_counts, resampled_similarity
from taskrsa.rsa.similarity import similarity_between, similarity_matrix
from taskrsa.rsa.stacks import RDMStack

N = 24  # images
CONTROLS = tuple(f"random_{n:02d}" for n in range(5))


def rdms(features: np.ndarray) -> np.ndarray:
    """Return condensed RDMs (m, p) of features (m, N, d)."""
    return np.array([1 - np.corrcoef(one)[np.triu_indices(N, 1)] for one in features])


def networks(shares: list[float], seed: int) -> tuple[RDMStack, RDMStack, RDMStack]:
    """Return a target, networks that share so much of its features, and five untrained ones.

    All see the same images, of which every network, trained or not, represents something.
    """
    rng = np.random.default_rng(seed)
    images, task = rng.normal(size=(2, N, 20))

    def made(share: float) -> np.ndarray:
        noise = rng.normal(size=(N, 20))
        return np.hstack([rng.uniform(0.4, 0.8) * images, share * task + (1 - share) * noise])

    target = RDMStack(("target",), rdms(np.array([np.hstack([0.6 * images, task])])))
    names = tuple(f"net{at}" for at in range(len(shares)))
    bank = RDMStack(names, rdms(np.array([made(share) for share in shares])))
    return target, bank, RDMStack(CONTROLS, rdms(np.array([made(0) for _ in CONTROLS])))


def null_of(bank: RDMStack, controls: RDMStack) -> Untrained:
    return Untrained(controls, dict.fromkeys(bank.models, controls.models))


def ranked(shares: list[float], seed: int, resamples: int = 100) -> pd.DataFrame:
    target, bank, controls = networks(shares, seed)
    counts = bootstrap_counts(N, resamples, seed)
    table = rank_networks(target, bank, counts, 99, seed, untrained=null_of(bank, controls))
    return table.set_index("model").loc[list(bank.models)]


# --- the test ---


def test_a_network_that_learnt_the_task_is_told_from_untrained_ones():
    table = ranked([0.95, 0.0], 0)
    target, _, controls = networks([0.95, 0.0], 0)
    values = similarity_between(target.rdms, controls.rdms)[0]
    np.testing.assert_allclose(table["untrained_mean"], values.mean())
    assert (table["n_untrained"] == 5).all()
    assert table.loc["net0", "rs"] > table.loc["net0", "untrained_high"]
    assert table.loc["net0", "q_untrained"] < 0.05
    assert table.loc["net0", "stars"].startswith("*")
    # It is alike the target beyond chance, as every network is, and no more than an untrained one.
    assert table.loc["net1", "q"] < 0.05
    assert table.loc["net1", "q_untrained"] > 0.05
    assert table.loc["net1", "stars"] == ""
    np.testing.assert_allclose(table["q_untrained"], false_discovery_control(table["p_untrained"]))


def test_an_untrained_network_is_rarely_starred_and_mostly_in_the_range():
    # Each network is another untrained one, in many sets of data: p is below 0.05 in about 5 %.
    tables = [ranked([0.0], seed, resamples=60) for seed in range(150)]
    found = pd.concat(tables)
    assert 0.005 <= (found["p_untrained"] < 0.05).mean() <= 0.09
    inside = found["rs"].between(found["untrained_low"], found["untrained_high"])
    assert inside.mean() >= 0.91
    # The paper's test finds what all networks have in common.
    assert (found["p"] < 0.05).mean() > 0.5


def test_p_and_range_are_those_of_another_untrained_network():
    rng = np.random.default_rng(3)
    names = ["a", "b", "u", "v", "w"]
    rs = np.array([0.6, 0.5, 0.3, 0.34, 0.41])
    # Of one image, as it were: what all draws share changes nothing.
    draws = rs + rng.normal(size=(9, 1))
    of = {"a": ["u", "v", "w"], "b": ["v"], "u": ["v", "w"]}
    table = untrained_columns(names, rs, draws, of)
    null = rs[2:]
    spread = null.std(ddof=1) * np.sqrt(4 / 3)
    expected = t.sf((0.6 - null.mean()) / spread, 2)
    assert table.loc["a", "p_untrained"] == pytest.approx(expected, rel=1e-6)
    low, high = table.loc["a", ["untrained_low", "untrained_high"]]
    assert low == pytest.approx(null.mean() - t.ppf(0.975, 2) * spread)
    assert high == pytest.approx(null.mean() + t.ppf(0.975, 2) * spread)
    assert table.loc["b", "p_untrained"] == pytest.approx(1 / 10)
    assert np.isnan(table.loc["b", "untrained_low"])
    assert table.loc["b", "untrained_mean"] == rs[3]
    assert list(table["n_untrained"]) == [3, 1, 2]
    assert tuple(table.loc["u", ["untrained_low", "untrained_high"]]) < (0, 1)
    none = untrained_columns(["c"], rs[:1], draws[:, :1], {"c": []})
    assert none["n_untrained"].tolist() == [0]
    assert none.drop(columns="n_untrained").isna().all(axis=None)


def test_what_images_change_of_a_network_alone_widens_its_test():
    rng = np.random.default_rng(4)
    rs = np.array([0.6, 0.3, 0.34, 0.41])
    noise = rng.normal(size=(400, 4))
    of = {"a": list("uvw")}

    def p(*deviations: float) -> float:
        draws = rs + noise * np.array(deviations)
        return untrained_columns(list("auvw"), rs, draws, of).loc["a", "p_untrained"]

    # As much as of the untrained ones is in their deviation already.
    assert p(0.02, 0.02, 0.02, 0.02) == pytest.approx(p(0, 0, 0, 0), rel=0.02)
    assert p(0.3, 0.02, 0.02, 0.02) > 2 * p(0.02, 0.02, 0.02, 0.02)
    # With all variance from images it is a normal test.
    expected = norm.sf((0.6 - rs[1:].mean()) / np.hypot(0.3 * noise[:, 0].std(), 0.065))
    assert p(0.3, 0, 0, 0) == pytest.approx(expected, rel=0.1)


def test_draws_that_cannot_be_ranked_are_left_out():
    draws = np.array([[0.5, 0.1, 0.2], [np.nan, 0.1, 0.2], [0.4, 0.1, 0.2]])
    of = {"a": ["b", "c"]}
    table = untrained_columns(list("abc"), draws[0], draws, of)
    pd.testing.assert_frame_equal(
        table, untrained_columns(list("abc"), draws[0], draws[[0, 2]], of)
    )
    assert 0 < table.loc["a", "p_untrained"] < 0.2


def test_stars_and_adjusted_p():
    assert stars([0.0009, 0.009, 0.049, 0.05, np.nan]) == ["***", "**", "*", "", ""]
    found = adjusted([0.01, np.nan, 0.04])
    np.testing.assert_allclose(found[[0, 2]], false_discovery_control([0.01, 0.04]))
    assert np.isnan(found[1])
    assert np.isnan(adjusted([np.nan])).all()


# --- tables ---


def test_without_untrained_networks_the_stars_are_the_paper_s():
    target, bank, controls = networks([0.9, 0.3, 0.0], 1)
    counts = bootstrap_counts(N, 40, 0)
    plain = rank_networks(target, bank, counts, 199, 0)
    assert list(plain["stars"]) == stars(plain["q"])
    assert (plain["n_untrained"] == 0).all()
    assert plain["q_untrained"].isna().all()
    beside = rank_networks(target, bank, counts, 199, 0, untrained=null_of(bank, controls))
    same = [column for column in plain if "untrained" not in column and column != "stars"]
    pd.testing.assert_frame_equal(plain[same], beside[same])
    # Of networks without an untrained one of their design nothing is said.
    some = Untrained(controls, {"net0": CONTROLS})
    table = rank_networks(target, bank, counts, 199, 0, untrained=some).set_index("model")
    assert table["n_untrained"].to_dict() == {"net0": 5, "net1": 0, "net2": 0}
    assert table.loc["net0", "stars"] != ""
    assert (table.loc[["net1", "net2"], "stars"] == "").all()


def test_an_untrained_network_of_the_bank_is_compared_with_the_others():
    target, bank, controls = networks([0.9], 2)
    both = bank.joined(controls.only(CONTROLS[:3]))
    of = {name: [c for c in CONTROLS[:3] if c != name] for name in both.models}
    table = rank_networks(
        target, both, bootstrap_counts(N, 40, 0), 19, 0, untrained=Untrained(of=of)
    )
    assert table.set_index("model")["n_untrained"].to_dict() == {
        "net0": 3,
        **dict.fromkeys(CONTROLS[:3], 2),
    }


def test_a_pair_is_compared_with_an_untrained_network_in_the_place_of_either():
    _, bank, controls = networks([0.9, 0.8, 0.0], 4)
    table = similarity_table(bank, "x", 60, 9, 0, untrained=null_of(bank, controls))
    plain = similarity_table(bank, "x", 60, 9, 0)
    same = [column for column in plain if "untrained" not in column]
    pd.testing.assert_frame_equal(plain[same], table[same])
    np.testing.assert_allclose(table["q"], false_discovery_control(table["p"]))
    every = bank.joined(controls)
    rs = similarity_matrix(every.rdms)
    draws = resampled_similarity(every.rdms, bootstrap_counts(N, 60, 0))
    of = dict.fromkeys(bank.models, CONTROLS)
    first, second = (untrained_columns(every.models, rs[a], draws[:, a], of) for a in (0, 1))
    expected = max(first.loc["net1", "p_untrained"], second.loc["net0", "p_untrained"])
    row = table.iloc[0]
    assert (row["model_a"], row["model_b"]) == ("net0", "net1")
    assert row["p_untrained"] == pytest.approx(expected)
    means = {rs[0, 3:].mean(), rs[1, 3:].mean()}
    assert min(abs(row["untrained_mean"] - mean) for mean in means) < 1e-9
    by_pair = table.set_index(["model_a", "model_b"])
    assert by_pair.loc[("net0", "net1"), "q_untrained"] < 0.05
    assert by_pair.loc[("net0", "net2"), "q_untrained"] > 0.05


def test_of_two_comparisons_one_may_be_lacking():
    known = pd.DataFrame([[0.2, 0.1, 0.3, 5, 0.01]], columns=list(COLUMNS))
    lacking = pd.DataFrame([[np.nan, np.nan, np.nan, 0, np.nan]], columns=list(COLUMNS))
    for pair in ((known, lacking), (lacking, known)):
        assert harder(*pair)["p_untrained"].tolist() == [0.01]
        assert harder(*pair)["n_untrained"].tolist() == [5]


# --- scripts ---


def test_scripts_read_controls_and_untrained_rows_of_the_table(tmp_path):
    bank = [write(tmp_path / f"{name}.h5", name, seed) for seed, name in enumerate("abu")]
    random = [write(tmp_path / f"r{n}.h5", f"r{n}", 10 + n) for n in range(3)]
    target = write(tmp_path / "target.h5", "target", 20)
    files = {"bank": list(map(str, bank)), "random": list(map(str, random))}
    of = {"a": ["r0", "r1", "r2"], "b": ["u"], "u": []}
    common = {"resamples": 20, "permutations": 9, "seed": 0, "untrained": of}
    table, by_images = str(tmp_path / "ranking.csv"), str(tmp_path / "by_images.csv")
    rank_networks_main(
        networks={},
        layer="compressed",
        target=[str(target)],
        target_layer="compressed",
        sizes=[4, 8],
        table=table,
        by_images=by_images,
        **files,
        **common,
    )
    found = pd.read_csv(table).set_index("model")
    assert sorted(found.index) == ["a", "b", "u"]
    assert found["n_untrained"].to_dict() == {"a": 3, "b": 1, "u": 0}
    assert found["q_untrained"].notna().to_dict() == {"a": True, "b": True, "u": False}
    assert found.loc["b", "untrained_mean"] == pytest.approx(found.loc["u", "rs"])
    similarity_main(
        layer="compressed",
        rdms=files["bank"],
        random=files["random"],
        compare="spearman",
        table=table,
        **common,
    )
    pairs = pd.read_csv(table).set_index(["model_a", "model_b"])
    assert len(pairs) == 3
    # Of the pair of a and u, only a has untrained networks of its design: compared by u.
    assert pairs.loc[("a", "u"), "n_untrained"] == 3
    common |= {"compare": "spearman"}
    similarity_main(layer="compressed", rdms=files["bank"], table=table, **common)
    # Without the controls there is none of their design, as at a layer that they lack.
    alone = pd.read_csv(table).set_index(["model_a", "model_b"])
    assert alone["n_untrained"].to_dict() == {("a", "b"): 1, ("a", "u"): 0, ("b", "u"): 0}
