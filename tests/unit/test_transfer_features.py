"""Features of a target's images: what the head sees, by places, and the file that keeps them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.distance import pdist
from small_targets import BANK, HEAD, KINDS, SIDE, SMALL, Scenes, halves, scene
from taskrsa.errors import DataError, RepresentationError
from taskrsa.networks.loading import load_network
from taskrsa.networks.preprocessing import transfer_input
from taskrsa.networks.target import target_network, untrained
from taskrsa.transferability import feature_file
from taskrsa.transferability.cells import choose_cells
from taskrsa.transferability.feature_file import read_features, reduced, write_features
from taskrsa.transferability.features import TAP, extract_places, pool
from torch.nn import functional as F
from user_networks import row


def user_network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return load_network(row())


def expected(network, images, cells, side) -> np.ndarray:
    """Return what the head of a fine-tuned network sees, place by place."""
    network.eval()
    found = []
    for group, image in enumerate(cells.images):
        rgb = Image.fromarray(images.image(image)).resize((side, side), Image.Resampling.BILINEAR)
        shown = transfer_input(np.array(rgb)[None], network.input_channels, "rgb")
        with torch.no_grad():
            maps = network.features(shown)
        if cells.grid == 1:
            found.append(maps.mean((2, 3)).numpy())
            continue
        sides = [min(length, cells.grid) for length in maps.shape[2:]]
        maps = F.interpolate(F.adaptive_avg_pool2d(maps, sides), (cells.grid,) * 2, mode="bilinear")
        places = cells.places[cells.labels.groups == group]
        found.append(maps[0].flatten(1).T.numpy()[places])
    return np.concatenate(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [user_network, lambda: untrained(BANK, 0)], ids=["user", "own"])
def test_the_tap_holds_what_the_head_sees(kind, make):
    images = halves(kind, 11)
    cells = choose_cells(images, 500, 3, 4, seed=0)
    found = extract_places(make(), images, cells, "block4", SIDE)
    tuned = target_network(make(), "block4", kind, images.classes, HEAD, SIDE, seed=0)
    tap = found.layers[found.same.get(TAP, TAP)]
    np.testing.assert_allclose(tap, expected(tuned, images, cells, SIDE), atol=1e-5)


def test_images_of_any_size_are_seen_whole():
    images = Scenes("train", tuple(scene(i, 30 + 5 * i, 44 - 3 * i) for i in range(4)))
    cells = choose_cells(images, 500, 4, 16, seed=0)
    found = extract_places(untrained(SMALL, 0), images, cells, "compressed", 32)
    tuned = target_network(
        untrained(SMALL, 0), "compressed", "segmentation", images.classes, HEAD, 32, seed=0
    )
    tap = found.layers[found.same.get(TAP, TAP)]
    np.testing.assert_allclose(tap, expected(tuned, images, cells, 32), atol=1e-5)


def test_layers_of_the_row_are_kept_by_their_names_and_the_tap_once():
    images = halves("classification", 5)
    cells = choose_cells(images, 500, 8, 16, seed=0)
    found = extract_places(user_network(), images, cells, "block4", SIDE)
    assert set(found.layers) | set(found.same) == {
        *(f"depth{i}" for i in range(1, 6)), "last", TAP,
    }  # fmt: skip
    assert len(found.layers) == 6
    assert all(len(values) == 5 for values in found.layers.values())


def test_maps_are_averaged_over_cells_or_interpolated_between_positions():
    maps = torch.arange(16.0).view(1, 1, 4, 4)
    assert pool(maps, 2)[0, :, 0].tolist() == [2.5, 4.5, 10.5, 12.5]
    coarse = pool(maps[:, :, :2, :2], 4)[0, :, 0].view(4, 4)
    assert coarse[0, :].tolist() == [0, 0.25, 0.75, 1]
    assert pool(maps[:, :, :1], 2).shape == (1, 4, 1)


# --- the file ---


def test_half_precision_changes_nothing_that_matters(tmp_path):
    rng = np.random.default_rng(0)
    layers = {
        "tiny": 1e-7 * rng.normal(size=(50, 8)) + 1e-3,
        "huge": 1e9 * rng.normal(size=(50, 8)),
        "dead": np.full((50, 3), 4.0),
    }
    write_features(tmp_path / "a.h5", "net", 12, layers, {TAP: "huge"})
    read = read_features(tmp_path / "a.h5")
    assert (read.model, read.parameters) == ("net", 12)
    assert set(read.layers) == {*layers, TAP}
    for name in ("tiny", "huge"):
        deviations = layers[name] - layers[name].mean(axis=0)
        kept = read.layers[name] - read.layers[name].mean(axis=0, dtype=float)
        assert np.abs(kept - deviations).max() < 2e-3 * np.abs(deviations).max()
    np.testing.assert_array_equal(read.layers["dead"], layers["dead"].astype(np.float32))
    np.testing.assert_array_equal(read.layers[TAP], read.layers["huge"])
    assert set(read_features(tmp_path / "a.h5", ["tiny", "none"]).layers) == {"tiny"}


def test_equal_features_are_equal_bytes(tmp_path):
    layers = {"tap": np.random.default_rng(0).normal(size=(900, 1500)).astype(np.float32)}
    for name in ("a", "b"):
        write_features(tmp_path / f"{name}.h5", "net", 1, layers)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_wide_layer_keeps_distances_and_correlations_in_few_columns(monkeypatch):
    monkeypatch.setattr(feature_file, "WIDTH", 20)
    monkeypatch.setattr(feature_file, "ROOM", 0)
    rng = np.random.default_rng(0)
    # 12 directions hold all but a little, beside a mean far from 0.
    features = rng.normal(size=(200, 12)) @ rng.normal(size=(12, 90)) + 3 * rng.random(90)
    features = (features + 1e-3 * rng.normal(size=features.shape)).astype(np.float32)
    kept = reduced(features)
    assert kept.shape == (200, 20)
    np.testing.assert_allclose(kept @ kept.T, features @ features.T, rtol=1e-3, atol=0.1)
    for metric in ("euclidean", "correlation"):
        np.testing.assert_allclose(pdist(kept, metric), pdist(features, metric), rtol=5e-3)
    narrow = features[:, :20]
    assert reduced(narrow) is narrow


def test_a_file_stays_small(tmp_path):
    rng = np.random.default_rng(0)
    layers = {f"depth{i}": rng.random((8000, 300), dtype=np.float32) for i in range(5)}
    write_features(tmp_path / "a.h5", "net", 1, layers, {TAP: "depth4"})
    assert (tmp_path / "a.h5").stat().st_size < 21e6


def test_features_that_are_no_numbers_are_one_line(tmp_path):
    with pytest.raises(RepresentationError, match="net, tap: NaN or infinite features"):
        write_features(tmp_path / "a.h5", "net", 1, {"tap": np.array([[1.0, np.nan]])})
    assert not (tmp_path / "a.h5").exists()
    with pytest.raises(DataError, match="holds no features"):
        read_features(tmp_path / "a.h5")
