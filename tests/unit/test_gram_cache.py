"""Products of features kept between runs: what they serve, and what they leave to be extracted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import network_rdms
import numpy as np
import pytest
from taskrsa.data.pack import write_pack
from taskrsa.data.view import SourceInfo, View
from taskrsa.errors import DataError
from taskrsa.networks.spec import EncoderSpec
from taskrsa.networks.table import random_network
from taskrsa.networks.weights import random_encoder, save_encoder
from taskrsa.rsa.gram_cache import GramCache, digests_of
from taskrsa.rsa.rdm import ShiftedProducts, compute_rdm, shifted_products
from taskrsa.rsa.rdm_file import read_rdms

N = 90
WIDE, NARROW, CODE = "block1", "pooled", "compressed"
FILES = ("rdms", "variant_rdms", "measures")
KEY = {"weights": "a", "input": ["rgb", True]}


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (N, 4, 4, 3), dtype=np.uint8)


@pytest.fixture
def taps() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    common = rng.normal(size=6000)
    wide = np.maximum(rng.normal(size=(N, 6000)) + 0.5 * common, 0).astype(np.float32)
    return {
        WIDE: wide,
        NARROW: rng.normal(size=(N, 30)).astype(np.float32),
        CODE: rng.normal(size=(N, 2048)).astype(np.float32),
    }


@pytest.fixture
def cache(tmp_path, images, taps) -> GramCache:
    made = GramCache(tmp_path / "grams", KEY)
    assert made.keep(digests_of(images), taps, whole=[CODE])
    return made


@pytest.mark.parametrize("centre", [True, False])
def test_all_images_give_the_rdm_of_the_features(cache, images, taps, centre):
    found = cache.recall(digests_of(images), None, centre)
    assert list(found) == list(taps)
    for layer, features in taps.items():
        expected = compute_rdm(features, centre=centre).dissimilarities
        again = compute_rdm(found[layer], centre=centre)
        assert len(again.dropped) == 0
        np.testing.assert_allclose(again.dissimilarities, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("centre", [True, False])
def test_some_images_in_another_order_are_centred_over_themselves(cache, images, taps, centre):
    rows = np.random.default_rng(2).permutation(N)[:70]
    found = cache.recall(digests_of(images[rows]), [WIDE], centre)
    assert list(found) == [WIDE]
    expected = compute_rdm(taps[WIDE][rows].astype(np.float64), centre=centre)
    again = compute_rdm(found[WIDE], centre=centre)
    np.testing.assert_allclose(again.dissimilarities, expected.dissimilarities, rtol=0, atol=3e-7)
    assert again.square().shape == (70, 70)


def test_patterns_that_all_images_share_may_stay_in(tmp_path, images, taps):
    """Without centring little is left of such features but what they have in common."""
    rng = np.random.default_rng(4)
    common = np.linspace(0, 4, 6000)
    taps[WIDE] = (common + rng.normal(size=(N, 6000)) + 2).astype(np.float32)
    cache = GramCache(tmp_path, KEY)
    assert cache.keep(digests_of(images), taps, whole=[CODE])
    found = cache.recall(digests_of(images), [WIDE], False)
    expected = compute_rdm(taps[WIDE].astype(np.float64), centre=False)
    np.testing.assert_allclose(
        compute_rdm(found[WIDE], centre=False).dissimilarities,
        expected.dissimilarities,
        rtol=0,
        atol=2e-6,
    )


def test_narrow_layers_and_those_asked_for_come_back_as_features(cache, images, taps):
    rows = np.arange(N)[::-1]
    found = cache.recall(digests_of(images[rows]), None, True)
    assert isinstance(found[WIDE], ShiftedProducts)
    for layer in (NARROW, CODE):
        np.testing.assert_array_equal(found[layer], taps[layer][rows])


def test_a_layer_takes_half_a_gram_matrix(tmp_path, images, taps):
    alone = GramCache(tmp_path, KEY)
    alone.keep(digests_of(images), {WIDE: taps[WIDE]})
    assert alone.path.stat().st_size < 4 * N * N + 20_000


def test_other_images_weights_input_or_layers_are_not_served(cache, images):
    others = images.copy()
    others[3, 0, 0, 0] ^= 1
    assert cache.recall(digests_of(others), None, True) is None
    assert cache.recall(digests_of(images), ["block9"], True) is None
    assert cache.recall(digests_of(images.reshape(N, 2, 8, 3)), None, True) is None
    for change in ({"weights": "b"}, {"input": ["rgb", False]}):
        other = GramCache(cache.path.parent, KEY | change)
        assert other.recall(digests_of(images), None, True) is None
    assert GramCache(cache.path.parent, KEY).path == cache.path


def test_fewer_images_than_single_precision_is_good_for_are_not_served(cache, images):
    assert cache.recall(digests_of(images[:63]), [WIDE], True) is None
    assert cache.recall(digests_of(images[:63]), [NARROW], True) is not None


def test_images_that_only_features_tell_apart_are_not_served(tmp_path, images, taps):
    taps[WIDE][5] = taps[WIDE][4]
    cache = GramCache(tmp_path, KEY)
    assert cache.keep(digests_of(images), taps)
    assert cache.recall(digests_of(images), [WIDE], True) is None
    assert cache.recall(digests_of(np.delete(images, 5, axis=0)), [WIDE], True) is not None


def broken(taps: dict, how: str) -> dict:
    wide = taps[WIDE].copy()
    if how == "a constant image":
        wide[7] = 0.5
    elif how == "not finite":
        wide[7, 3] = np.nan
    else:
        wide = wide.astype(np.float64)
    return {WIDE: wide}


@pytest.mark.parametrize("how", ["a constant image", "not finite", "double precision"])
def test_what_products_do_not_tell_is_not_kept(tmp_path, images, taps, how):
    cache = GramCache(tmp_path / "grams", KEY)
    assert not cache.keep(digests_of(images), broken(taps, how))
    assert not cache.path.parent.exists()


def test_the_same_image_twice_is_not_kept(tmp_path, images, taps):
    images[1] = images[0]
    assert not GramCache(tmp_path, KEY).keep(digests_of(images), taps)


def test_layers_extracts_once(tmp_path, images, taps, capsys):
    cache, known = GramCache(tmp_path, KEY), digests_of(images)
    times = []

    def extracted():
        times.append(1)
        return taps

    first = cache.layers(known, None, True, extracted, whole=[CODE])
    assert first is taps
    second = cache.layers(known[10:], None, False, extracted, whole=[CODE])
    assert len(times) == 1
    assert len(second[WIDE]) == N - 10
    printed = capsys.readouterr().out
    assert re.findall("kept in|from", printed) == ["kept in", "from"]
    assert str(cache.path) in printed


def test_one_layer_does_not_pass_for_all(tmp_path, images, taps):
    cache, known = GramCache(tmp_path, KEY), digests_of(images)
    only = {CODE: taps[CODE]}
    cache.layers(known, [CODE], True, lambda: only, whole=[CODE])
    assert list(cache.recall(known, [CODE], True)) == [CODE]
    assert list(cache.layers(known, None, True, lambda: taps, whole=[CODE])) == list(taps)
    assert list(cache.recall(known, None, True)) == list(taps)


def test_a_damaged_file_is_told_in_one_line(cache, images):
    whole = cache.path.read_bytes()
    cache.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not a whole file of Gram matrices; delete it"):
        cache.recall(digests_of(images), None, True)


def test_products_of_some_are_those_of_all(taps):
    rows = np.array([8, 3, 40])
    some = shifted_products(taps[WIDE]).of(rows)
    assert len(some) == 3
    np.testing.assert_allclose(
        some.squares(), (taps[WIDE][rows].astype(np.float64) ** 2).sum(axis=1), rtol=1e-5
    )


class Network:
    """A random-weight encoder, photographs and the rule's script, in a folder."""

    def __init__(self, folder: Path, n: int) -> None:
        self.folder = folder
        rng = np.random.default_rng(3)
        grain = rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
        self.photographs = grain.repeat(8, axis=1).repeat(8, axis=2)
        spec = EncoderSpec(width=8, units=(1, 1, 1, 1), strides=(2, 1, 1, 1))
        save_encoder(folder / "weights.safetensors", random_encoder(spec, 0))

    def rdms(
        self, name: str, rows: np.ndarray, centre: bool, grams: Path | None = None
    ) -> dict[str, bytes]:
        """Return the files that the rule writes of some of the photographs."""
        views = [View(f"image{row}", self.photographs[row]) for row in rows]
        write_pack(self.folder / f"{name}.h5", views, SourceInfo(), len(views))
        written = {key: self.folder / name / f"{key}.h5" for key in FILES}
        choices = {"centre": centre, "clip": True, "group_norm": True}
        row = random_network("a").to_json()
        network_rdms.main(
            rows=[json.loads(row)],
            choices=choices,
            constant_images="error",
            batch_size=8,
            stimuli=str(self.folder / f"{name}.h5"),
            weights=[str(self.folder / "weights.safetensors")],
            variants={"unclipped": choices | {"clip": False}},
            **{key: [str(path)] for key, path in written.items()},
            grams=grams and str(grams),
        )
        return {key: path.read_bytes() for key, path in written.items()}


def test_a_network_is_run_once_for_other_centring_and_fewer_images(tmp_path, capsys):
    network, grams = Network(tmp_path, 80), tmp_path / "grams"
    everything, some = np.arange(80), np.delete(np.arange(80), [3, 50])
    plain = network.rdms("plain", everything, True)
    assert str(grams) not in capsys.readouterr().out
    assert network.rdms("first", everything, True, grams) == plain
    assert capsys.readouterr().out.count(": kept in") == 2  # clipped and not
    for name, rows, centre in (("other", everything, False), ("fewer", some, True)):
        network.rdms(name, rows, centre, grams)
        printed = capsys.readouterr().out
        assert (printed.count(": from"), printed.count("kept in")) == (2, 0)
        network.rdms(f"{name} again", rows, centre)
        for key in FILES:
            recalled = read_rdms(tmp_path / name / f"{key}.h5")
            again = read_rdms(tmp_path / f"{name} again" / f"{key}.h5")
            np.testing.assert_allclose(
                recalled.dissimilarities, again.dissimilarities, rtol=0, atol=1e-6
            )
            assert recalled.conditions == again.conditions
    assert len(list(grams.iterdir())) == 2
