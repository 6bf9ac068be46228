"""The splits of a target: in files or in memory, written, read back, cut short, told apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from labelled_files import grey, photo
from taskrsa.errors import DataError
from taskrsa.io.files import sha256_of
from taskrsa.targets.pixels import as_png
from taskrsa.targets.sets import ArraySet, FileSet, held_out, open_sets, write_sets

SIDE = 6


def array_set(kind: str, name: str = "train", n: int = 8, seed: int = 0) -> ArraySet:
    rng = np.random.default_rng(seed)
    labels = {
        "classification": np.repeat([0, 1], n // 2).astype(np.uint8),
        "regression": rng.normal(size=(n, SIDE, SIDE)).astype(np.float32),
        "values": rng.normal(size=(n, 2)).astype(np.float32),
    }[kind]
    classes = {"classification": ("cat", "dog"), "regression": ("value",), "values": ("a", "b")}
    images = rng.integers(0, 256, (n, SIDE, SIDE, 3), dtype=np.uint8)
    return ArraySet(name, kind, classes[kind], tuple(map(str, range(n))), images, labels)


def file_set(folder, name: str = "train", sizes=((5, 7), (4, 4), (9, 5))) -> FileSet:
    ids = tuple(f"{name}{at}" for at in range(len(sizes)))
    images = tuple(folder / f"{one}.png" for one in ids)
    masks = tuple(folder / f"{one}_mask.png" for one in ids)
    for at, (height, width) in enumerate(sizes):
        photo(images[at], at, (width, height))
        grey(masks[at], np.full((height, width), at, np.uint8))
    hashes = tuple((sha256_of(a), sha256_of(b)) for a, b in zip(images, masks, strict=True))
    return FileSet(name, ("x", "y", "z"), ids, images, masks, hashes)


@pytest.mark.parametrize("kind", ["classification", "regression", "values"])
def test_arrays_are_read_as_they_were_written(tmp_path, kind):
    sets = [array_set(kind, "train", 8, 0), array_set(kind, "val", 4, 1)]
    write_sets(tmp_path / "data.h5", sets)
    for one in sets:
        again = open_sets(tmp_path / "data.h5")[one.name]
        assert (again.kind, again.classes, again.ids) == (one.kind, one.classes, one.ids)
        assert again.digest == one.digest
        assert np.isnan(again.void) == (kind != "classification")
        for i in range(len(one)):
            np.testing.assert_array_equal(again.image(i), one.image(i))
            np.testing.assert_array_equal(again.label(i), one.label(i))
            assert again.label(i).dtype == one.label(i).dtype


def test_files_are_read_where_they_are(tmp_path):
    sets = [file_set(tmp_path, "train"), file_set(tmp_path, "val", ((3, 8),))]
    write_sets(tmp_path / "data.h5", sets)
    found = open_sets(tmp_path / "data.h5")
    assert found == {one.name: one for one in sets}
    assert found["train"].image(2).shape == (9, 5, 3)
    np.testing.assert_array_equal(found["train"].label(2), np.full((9, 5), 2))
    assert found["val"].kind == "segmentation"
    photo(tmp_path / "val0.png", 9)
    grey(tmp_path / "val0_mask.png", np.full((3, 8), 4, np.uint8))
    with pytest.raises(DataError, match="val0_mask.png: holds class id 4, but ids go from 0 to 2"):
        found["val"].label(0)


def test_rendered_images_are_kept_whole(tmp_path):
    rng = np.random.default_rng(0)
    shown = [rng.integers(0, 256, (4, side, 3), dtype=np.uint8) for side in (5, 9)]
    files = [as_png(rgb, np.full(rgb.shape[:2], at, np.uint8)) for at, rgb in enumerate(shown)]
    images, masks = zip(*files, strict=True)
    one = FileSet("train", ("a", "b"), ("0", "1"), images, masks, (("", ""), ("", "")))
    write_sets(tmp_path / "data.h5", [one, replace(one, name="val")])
    first = (tmp_path / "data.h5").read_bytes()
    write_sets(tmp_path / "data.h5", [one, replace(one, name="val")])
    assert (tmp_path / "data.h5").read_bytes() == first
    again = open_sets(tmp_path / "data.h5")["train"]
    for at, rgb in enumerate(shown):
        np.testing.assert_array_equal(again.image(at), rgb)
        np.testing.assert_array_equal(again.label(at), np.full(rgb.shape[:2], at))


def test_the_first_few_of_a_classification_are_of_every_class():
    train = array_set("classification")
    few = train.first(5)
    assert np.bincount(few.labels).tolist() == [3, 2]
    at = [train.ids.index(name) for name in few.ids]
    np.testing.assert_array_equal(few.images, train.images[at])
    np.testing.assert_array_equal(few.labels, train.labels[at])
    for n in (None, len(train), 99):
        assert train.first(n).digest == train.digest
    assert array_set("values").first(3).ids == ("0", "1", "2")


def test_the_first_files(tmp_path):
    train = file_set(tmp_path)
    few = train.first(2)
    assert few.ids == train.ids[:2]
    assert (len(few), len(few.images), len(few.masks), len(few.hashes)) == (2, 2, 2, 2)
    assert train.first(None) == train


def test_a_digest_tells_what_is_trained_on(tmp_path):
    arrays = array_set("regression")
    other = replace(arrays, labels=arrays.labels + 1)
    assert len({arrays.digest, other.digest, arrays.first(3).digest}) == 3
    files = file_set(tmp_path)
    moved = replace(files, images=tuple(tmp_path / "elsewhere" / p.name for p in files.images))
    assert moved.digest == files.digest
    swapped = replace(files, hashes=files.hashes[::-1])
    assert len({files.digest, swapped.digest, files.first(2).digest}) == 3
    assert replace(files, upright=True).digest != files.digest


def test_what_is_not_a_target(tmp_path):
    with pytest.raises(DataError, match="none.h5: is not a prepared target"):
        open_sets(tmp_path / "none.h5")
    (tmp_path / "data.h5").write_bytes(b"none")
    with pytest.raises(DataError, match="is not a prepared target .*; prepare it again"):
        open_sets(tmp_path / "data.h5")


# --- held out ---


def test_a_part_of_every_class_is_held_out():
    data = array_set("classification", n=20)
    data = replace(data, labels=np.array([0] * 12 + [1] * 7 + [2], np.uint8))
    rest, held = held_out(data, 0.25, seed=3)
    assert sorted([*rest.ids, *held.ids], key=int) == list(data.ids)
    assert np.bincount(held.labels).tolist() == [3, 2]
    assert np.bincount(rest.labels).tolist() == [9, 5, 1]
    for part in (rest, held):
        for at, name in enumerate(part.ids):
            assert np.array_equal(part.image(at), data.image(int(name)))
    assert held_out(data, 0.25, 3)[1].ids == held.ids != held_out(data, 0.25, 4)[1].ids


def test_a_part_of_files_is_held_out(tmp_path):
    data = file_set(tmp_path)
    rest, held = held_out(data, 0.1, seed=0)
    assert len(held) == 1
    at = data.ids.index(held.ids[0])
    assert (held.masks[0], held.hashes[0]) == (data.masks[at], data.hashes[at])
    assert set(rest.ids) == set(data.ids) - set(held.ids)


def test_one_image_cannot_be_split():
    data = array_set("values").first(1)
    with pytest.raises(DataError, match="1 images are too few to hold some of them out for a race"):
        held_out(data, 0.25, 0)
