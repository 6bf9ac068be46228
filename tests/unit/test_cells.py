"""Labelled places of a target: which images and cells, and their labels pooled from full size."""

from __future__ import annotations

import numpy as np
import pytest
from small_targets import SIDE, Scenes, halves, scene
from taskrsa.errors import DataError
from taskrsa.targets.sets import ArraySet
from taskrsa.transferability.cells import choose_cells, chosen_images, pool_label, read_cells
from taskrsa.transferability.cells import write_cells as write


def chosen(images, n_images=500, grid=4, cells=16, seed=0):
    return choose_cells(images, n_images, grid, cells, seed)


def test_shares_of_classes_are_those_of_the_labelled_pixels_of_a_cell():
    rgb, mask = scene(3, 37, 50)
    pooled = pool_label(Scenes("train", ((rgb, mask),)), 0, 5)
    for cell in range(25):
        top, left = divmod(cell, 5)
        pixels = [
            mask[y, x]
            for y in range(37)
            for x in range(50)
            if int((y + 0.5) / 37 * 5) == top and int((x + 0.5) / 50 * 5) == left
        ]
        known = [value for value in pixels if value != 255]
        np.testing.assert_allclose(pooled[cell], [known.count(k) / len(known) for k in range(3)])


def test_values_are_means_of_what_is_known_and_cells_without_any_are_left_out():
    images = halves("regression", 4)
    images.labels[0, :, : SIDE // 4] = np.nan
    images.labels[0, 0, :] = np.nan
    pooled = pool_label(images, 0, 4)
    assert np.isnan(pooled[::4]).all()
    assert set(np.unique(pooled[~np.isnan(pooled)])) <= {-1.0, 1.0}
    found = chosen(images)
    assert len(found) == 4 * 16 - 4
    assert not (found.places[found.labels.groups == 0] % 4 == 0).any()


def test_void_cells_are_left_out():
    rgb, mask = scene(0, 32, 32)
    mask[:16] = 255
    found = chosen(Scenes("train", ((rgb, mask), scene(1, 24, 40))))
    assert found.places[found.labels.groups == 0].min() == 8
    np.testing.assert_allclose(found.labels.values.sum(axis=1), 1, atol=1e-6)
    assert np.bincount(found.labels.groups).tolist() == [8, 16]


def test_a_sample_of_cells_is_a_function_of_the_seed():
    images = halves("segmentation", 6)
    first, again, other = (chosen(images, cells=5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.places, again.places)
    assert (first.places != other.places).any()
    assert np.bincount(first.labels.groups).tolist() == [5] * 6
    # Another number of images changes none of those that stay.
    fewer = chosen(images, n_images=3, cells=5, seed=1)
    for group, image in enumerate(fewer.images):
        same = first.labels.groups == list(first.images).index(image)
        np.testing.assert_array_equal(
            fewer.places[fewer.labels.groups == group], first.places[same]
        )


def test_images_of_a_classification_are_of_every_class():
    n, counts = 100, {0: 90, 1: 7, 2: 3}
    labels = np.repeat(list(counts), list(counts.values())).astype(np.uint8)
    pixels = np.zeros((n, 8, 8, 3), np.uint8)
    images = ArraySet("train", "classification", ("a", "b", "c"), tuple("i" * n), pixels, labels)
    picked = chosen_images(images, 12, seed=3)
    assert np.bincount(labels[picked]).tolist() == [5, 4, 3]
    assert (np.diff(picked) > 0).all()
    assert len(chosen_images(images, 500, seed=3)) == n
    found = chosen(images, 12, seed=3)
    assert found.grid == 1
    np.testing.assert_array_equal(found.labels.values, np.eye(3)[labels[picked]])


def test_unknown_numbers_count_as_the_mean_of_their_column():
    images = halves("values", 6)
    images.labels[0, 0] = np.nan
    images.labels[1] = np.nan
    found = chosen(images)
    assert 1 not in found.images
    known = images.labels[[2, 3, 4, 5], 0]
    assert found.labels.values[0, 0] == pytest.approx(known.mean())


def test_nothing_labelled_is_one_line():
    images = halves("regression", 3)
    images.labels[:] = np.nan
    with pytest.raises(DataError, match="split train: no image has a label"):
        chosen(images)


def test_a_file_holds_all_and_equal_cells_are_equal_bytes(tmp_path):
    found = chosen(halves("segmentation", 5), cells=3)
    for name in ("a", "b"):
        write(tmp_path / f"{name}.h5", found)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    read = read_cells(tmp_path / "a.h5")
    for ours, theirs in ((read, found), (read.labels, found.labels)):
        for name, value in vars(theirs).items():
            if name != "labels":
                np.testing.assert_array_equal(getattr(ours, name), value)
    (tmp_path / "bad.h5").write_bytes(b"no")
    with pytest.raises(DataError, match=r"bad.h5: holds no labelled cells"):
        read_cells(tmp_path / "bad.h5")
