"""The advice: mean ranks, how certain they are, and networks or measures without a score."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from taskrsa.errors import DataError
from taskrsa.transferability.advice import advise
from taskrsa.transferability.draws_file import read_draws, write_draws

NAMES = ("a", "b", "c", "d")
NETWORKS = {name: {"label": name.upper(), "type": "t", "untrained": "no"} for name in NAMES}


def table(**scores) -> pd.DataFrame:
    """Return scores by measure, of each network at the tap; a text is a reason."""
    rows = []
    for measure, values in scores.items():
        for name, value in zip(NAMES, values, strict=True):
            known = not isinstance(value, str)
            rows.append(
                {
                    "model": name,
                    "measure": measure,
                    "layer": np.nan if measure == "size" else "tap",
                    "score": value if known else np.nan,
                    "reason": np.nan if known else value,
                }
            )
    return pd.DataFrame(rows)


def around(scores: dict, spread: float, n: int = 400, seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    return {
        (name, measure): value + spread * rng.normal(size=n)
        for measure, values in scores.items()
        for name, value in zip(NAMES, values, strict=True)
        if not isinstance(value, str)
    }


def advised(scores: dict, draws=None, measures=None, networks=None) -> pd.DataFrame:
    found = advise(
        table(**scores), draws or {}, networks or NETWORKS, measures or list(scores), "tap"
    )
    return found.set_index("model")


def test_networks_are_in_the_order_of_their_mean_ranks():
    scores = {"probe": [0.1, 0.4, 0.3, 0.2], "knn": [0.5, 0.6, 0.9, 0.5], "size": [1, 2, 3, 4]}
    found = advised(scores)
    assert list(found.index) == ["c", "b", "d", "a"]
    assert found["rank_probe"].to_dict() == {"b": 1, "c": 2, "d": 3, "a": 4}
    assert found["rank_knn"].to_dict() == {"c": 1, "b": 2, "a": 3.5, "d": 3.5}
    assert found.loc["d", "mean_rank"] == pytest.approx((3 + 3.5 + 1) / 3)
    assert list(found["rank"]) == [1, 2, 3, 4]
    assert list(found.columns) == [
        *("label", "type", "untrained", "mean_rank", "rank", "rank_low", "rank_high", "tied"),
        *("rank_probe", "rank_knn", "rank_size"),
    ]
    assert found["rank_low"].isna().all()
    assert (found["tied"] == "").all()


def test_only_the_measures_of_the_advice_count():
    scores = {"probe": [1, 2, 3, 4], "knn": [4, 3, 2, 1]}
    assert list(advised(scores, measures=["knn"]).index) == list(NAMES)


def test_other_layers_do_not_count():
    scores = table(probe=[1, 2, 3, 4])
    other = scores.assign(layer="last", score=-scores["score"])
    found = advise(pd.concat([other, scores]), {}, NETWORKS, ["probe"], "tap")
    assert list(found["model"]) == ["d", "c", "b", "a"]


def test_a_network_without_a_score_is_last_and_a_measure_without_any_is_left_out(capsys):
    scores = {
        "probe": ["only RDMs", 0.2, "only RDMs", 0.1],
        "hscore": ["not for values"] * 4,
    }
    found = advised(scores, around({"probe": scores["probe"]}, 0.001))
    assert found["rank_probe"].to_dict() == {"b": 1, "d": 2, "a": 3.5, "c": 3.5}
    assert "rank_hscore" not in found
    assert capsys.readouterr().out == "hscore: left out, not for values\n"
    assert found.loc["a", ["rank", "rank_low", "rank_high"]].tolist() == [3, 3, 3]
    assert found["tied"].to_dict() == {"b": "yes", "d": "no", "a": "no", "c": "no"}


def test_no_score_at_all_is_one_line():
    with pytest.raises(DataError, match=r"no network has a score by hscore \(not for values\); na"):
        advised({"hscore": ["not for values"] * 4})
    with pytest.raises(DataError, match=r"by cka \(it was not computed\)"):
        advised({"probe": [1, 2, 3, 4]}, measures=["cka"])


def test_what_resampling_exchanges_is_tied():
    scores = {"probe": [0.9, 0.89, 0.5, 0.1], "knn": [0.9, 0.89, 0.5, 0.1]}
    found = advised(scores, around(scores, 0.03))
    assert found["tied"].to_dict() == {"a": "yes", "b": "yes", "c": "no", "d": "no"}
    assert found.loc["a", ["rank_low", "rank_high"]].tolist() == [1, 2]
    assert found.loc["c", ["rank_low", "rank_high"]].tolist() == [3, 3]
    sure = advised(scores, around(scores, 1e-5))
    assert sure["tied"].to_dict() == {"a": "yes", "b": "no", "c": "no", "d": "no"}


def test_a_measure_that_is_not_resampled_keeps_its_ranks():
    scores = {"probe": [0.9, 0.89, 0.5, 0.1], "size": [4, 3, 2, 1]}
    drawn = around({"probe": scores["probe"]}, 10)
    found = advised(scores, drawn)
    # By the probe alone any may be the last; by size a is always the first.
    assert advised({"probe": scores["probe"]}, drawn)["rank_high"].tolist() == [4] * 4
    assert found.loc["a", "rank_high"] < 4
    # Of a measure of which one network has no draws, none are used.
    del drawn["b", "probe"]
    assert advised(scores, drawn)["rank_low"].isna().all()


def test_resamples_that_give_no_score_are_left_out():
    scores = {"probe": [0.9, 0.8, 0.5, 0.1]}
    drawn = around(scores, 1e-4)
    drawn["a", "probe"][:20] = np.nan
    found = advised(scores, drawn)
    assert found["rank_high"].tolist() == [1, 2, 3, 4]


def test_untrained_networks_are_marked():
    networks = {name: about | {"untrained": "yes"} for name, about in NETWORKS.items()}
    networks["a"] = NETWORKS["a"]
    found = advised({"probe": [4, 3, 2, 1]}, networks=networks)
    assert found["untrained"].tolist() == ["no", "yes", "yes", "yes"]


def test_draws_are_kept_by_measure_and_layer(tmp_path):
    draws = {("probe", "tap"): np.arange(3.0), ("rsa", ""): np.array([0.5, np.nan])}
    for name in ("a", "b"):
        write_draws(tmp_path / f"{name}.h5", draws)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    read = read_draws(tmp_path / "a.h5")
    assert set(read) == set(draws)
    for key, values in draws.items():
        np.testing.assert_array_equal(read[key], values)
    write_draws(tmp_path / "none.h5", {})
    assert read_draws(tmp_path / "none.h5") == {}
    with pytest.raises(DataError, match="absent.h5: holds no draws"):
        read_draws(tmp_path / "absent.h5")
