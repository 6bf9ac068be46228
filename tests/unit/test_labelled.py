"""Labelled folders of the user's own: layouts, splits, pixels, and what can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from taskrsa.errors import ConfigError, DataError
from taskrsa.targets.labelled import (
    files,
    find_examples,
    open_labelled,
    square_label,
    write_labelled,
)


def photo(path: Path, seed: int = 0, size: tuple[int, int] = (24, 18)) -> np.ndarray:
    """Write a photograph, width by height, and return its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def mask(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def prepared(kind: str, path: Path, size: int = 12, share: float = 0.25, **more):
    examples, classes = find_examples(kind, path, share, 0)
    rows = write_labelled(kind, examples, classes, size, path.parent / "data.h5", **more)
    return open_labelled(path.parent / "data.h5"), rows


# --- classification ---


@pytest.fixture
def classes(tmp_path) -> Path:
    for at in range(8):
        photo(tmp_path / f"set/cat/{at}.png", at)
        photo(tmp_path / f"set/dog/{at}.jpg", 10 + at)
    return tmp_path / "set"


def test_one_folder_a_class(classes):
    sets, rows = prepared("classification", classes)
    assert sets["train"].classes == ("cat", "dog")
    # A quarter of every class.
    assert np.bincount(sets["val"].labels).tolist() == [2, 2]
    assert np.bincount(sets["train"].labels).tolist() == [6, 6]
    assert set(sets["train"].ids).isdisjoint(sets["val"].ids)
    assert sets["train"].images.shape == (12, 12, 12, 3)
    assert sets["train"].mask(0).shape == ()
    assert {row["label"] for row in rows} == {"cat", "dog"}
    assert all(len(row["image_sha256"]) == 64 for row in rows)
    other, _ = find_examples("classification", classes, 0.25, 1)
    same, _ = find_examples("classification", classes, 0.25, 0)
    assert [e.split for e in other] != [e.split for e in same]
    assert [row["split"] for row in rows] == [e.split for e in same]


def test_train_and_val_folders_are_the_split(classes, tmp_path):
    classes.rename(tmp_path / "train")
    photo(tmp_path / "val/dog/9.png", 30)
    sets, _ = prepared("classification", tmp_path)
    assert (len(sets["train"]), sets["val"].ids) == (16, ("val/dog/9",))
    assert sets["val"].labels.tolist() == [1]
    photo(tmp_path / "val/cow/9.png", 31)
    with pytest.raises(DataError, match="classes cow are in val but not in train"):
        find_examples("classification", tmp_path, 0.25, 0)


def test_a_csv_file(classes, tmp_path):
    table = tmp_path / "labels.csv"
    lines = [f"set/cat/{at}.png,purr" for at in range(4)]
    lines += [f"set/dog/{at}.jpg,bark" for at in range(4)]
    table.write_text("\n".join(["image,label", *lines]))
    sets, _ = prepared("classification", table, share=0.5)
    assert sets["train"].classes == ("bark", "purr")
    assert np.bincount(sets["val"].labels).tolist() == [2, 2]
    splits = ["train", "train", "train", "val"] * 2
    rows = [f"{line},{split}" for line, split in zip(lines, splits, strict=True)]
    table.write_text("\n".join(["image,label,split", *rows]))
    sets, _ = prepared("classification", table)
    assert sets["val"].ids == ("set/cat/3", "set/dog/3")
    assert str(table) in files("classification", table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("photo,label\na.png,x\n", "has no column image"),
        ("image,label\n", "has no column image or no row"),
        ("image,label\nset/cat/0.png,\n", "line 2: needs an image, a label"),
        ("image,label,split\nset/cat/0.png,x,test\n", "line 2: needs an image"),
        ("image,label,split\nset/cat/0.png,x,train\nset/dog/0.jpg,y,\n", "some rows have a split"),
        ("image,label\nset/cat/0.png,x\nnone.png,y\n", "1 images are missing: .*none.png"),
        ("image,label\nset/cat/0.png,x\nset/cat/1.png,x\n", "one label only"),
        ("image,label\nset/cat/0.png,x\nset/cat/1.png,x\nset/dog/1.jpg,y\n", "class y has 1 im"),
        ("image,label,split\nset/cat/0.png,x,val\nset/dog/0.jpg,y,val\n", "are in val but not in"),
        ("image,label,split\nset/cat/0.png,x,train\nset/dog/0.jpg,y,train\n", "is in split val"),
        ("image,label\nset/cat/0.png,x\nset/cat/0.png,y\n", "is there twice: set/cat/0; leave"),
    ],
)
def test_a_csv_file_that_cannot_be_used(classes, tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        find_examples("classification", tmp_path / "labels.csv", 0.25, 0)
    assert "\n" not in str(caught.value)


def test_folders_of_classes_that_cannot_be_used(classes, tmp_path):
    photo(classes / "cat/0.jpg", 40)
    with pytest.raises(DataError, match=r"one name .*: cat/0; leave each once"):
        find_examples("classification", classes, 0.25, 0)
    (classes / "cat/0.jpg").unlink()
    photo(classes / "cow/0.jpg", 41)
    with pytest.raises(DataError, match="class cow has 1 images; one to train and one to validate"):
        find_examples("classification", classes, 0.25, 0)
    photo(tmp_path / "single/cat/0.png")
    with pytest.raises(DataError, match="1 folders of classes; put the photographs of each class"):
        find_examples("classification", tmp_path / "single", 0.25, 0)


def test_as_many_classes_as_a_byte_holds(tmp_path):
    lines = [f"{at}.png,c{at // 2:03}" for at in range(2 * 257)]
    for line in lines:
        photo(tmp_path / line.partition(",")[0], size=(4, 4))
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["image,label", *lines[: 2 * 255]]))
    sets, _ = prepared("classification", table, size=4, share=0.5)
    assert sorted(sets["train"].labels.tolist()) == list(range(255))
    table.write_text("\n".join(["image,label", *lines]))
    with pytest.raises(DataError, match="257 classes; at most 255 are possible"):
        prepared("classification", table, size=4)


def test_the_first_few_are_of_every_class(classes):
    train = prepared("classification", classes)[0]["train"]
    few = train.first(5)
    assert np.bincount(few.labels).tolist() == [3, 2]
    at = [train.ids.index(name) for name in few.ids]
    np.testing.assert_array_equal(few.images, train.images[at])
    np.testing.assert_array_equal(few.labels, train.labels[at])
    for n in (None, len(train), 99):
        assert train.first(n).digest == train.digest


@pytest.mark.parametrize(("keeps", "message"), [(300, "Truncated|truncated"), (None, "exceeds")])
def test_photographs_that_are_damaged_or_far_too_large(classes, monkeypatch, keeps, message):
    file = classes / "dog/3.jpg"
    if keeps:
        file.write_bytes(file.read_bytes()[:-keeps])
    else:
        photo(file, size=(60, 60))
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60 * 60 // 2 - 1)
    with pytest.raises(DataError, match=f"1 of 16 .*dog/3.jpg: cannot be read .*({message})"):
        prepared("classification", classes)


# --- masks ---


@pytest.fixture
def masks(tmp_path) -> Path:
    for at in range(6):
        photo(tmp_path / f"set/images/{at}.png", at)
        ids = np.random.default_rng(at).integers(0, 3, (18, 24)).astype(np.uint8)
        ids[0, 0] = 255
        mask(tmp_path / f"set/masks/{at}.png", ids)
    return tmp_path / "set"


def test_masks_with_and_without_names(masks):
    sets, _ = prepared("segmentation", masks)
    assert sets["train"].classes == ("class_0", "class_1", "class_2")
    assert (len(sets["train"]), len(sets["val"])) == (4, 2)
    (masks / "classes.txt").write_text("sky\nroad\ncar\ntree\n")
    sets, _ = prepared("segmentation", masks)
    assert sets["train"].classes == ("sky", "road", "car", "tree")
    assert str(masks / "classes.txt") in files("segmentation", masks)


@pytest.mark.parametrize("at", ["", "train"])
def test_masks_in_train_and_val_folders(masks, at):
    masks.rename(masks.parent / "train")
    root = masks.parent / "both"
    root.mkdir()
    (masks.parent / "train").rename(root / "train")
    photo(root / "val/images/deep/x.png", 9)
    mask(root / "val/masks/deep/x.png", np.ones((18, 24), np.uint8))
    # For both at once, or beside those it is of.
    (root / at / "classes.txt").write_text("sky\nroad\ncar\n")
    sets, rows = prepared("segmentation", root)
    assert sets["val"].ids == ("val/deep/x",)
    assert sets["train"].ids == tuple(f"train/{n}" for n in range(6))
    assert sets["val"].classes == sets["train"].classes == ("sky", "road", "car")
    assert rows[-1]["label"] == "x.png"
    assert str(root / at / "classes.txt") in files("segmentation", root)


def test_what_is_written_is_what_is_read(masks):
    sets, rows = prepared("segmentation", masks, size=18)
    for role, found in sets.items():
        assert (found.kind, found.name, found.void) == ("segmentation", role, 255)
        assert found.ids == tuple(row["id"] for row in rows if row["split"] == role)
        for at, name in enumerate(found.ids):
            # A square of 18 pixels is cut out and nothing resized.
            shown = np.asarray(Image.open(masks / f"images/{name}.png"))[:, 3:21]
            ids = np.asarray(Image.open(masks / f"masks/{name}.png"))[:, 3:21]
            np.testing.assert_array_equal(found.image(at), shown)
            np.testing.assert_array_equal(found.mask(at), ids)


def test_masks_without_anything_to_learn(masks):
    for at in range(6):
        mask(masks / f"masks/{at}.png", np.zeros((18, 24), np.uint8))
    with pytest.raises(DataError, match="the masks hold one class only"):
        prepared("segmentation", masks)
    for at in range(6):
        mask(masks / f"masks/{at}.png", np.full((18, 24), 255, np.uint8))
    with pytest.raises(DataError, match="no pixel of split train has a label"):
        prepared("segmentation", masks)


def test_image_and_mask_stay_aligned(tmp_path):
    # What is bright is class 1, in an image that is wider than high.
    for at in range(2):
        ids = np.zeros((40, 80), np.uint8)
        ids[10:30, 30 + at : 60] = 1
        pixels = np.repeat(ids[..., None] * 255, 3, axis=2)
        mask(tmp_path / f"set/masks/{at}.png", ids)
        mask(tmp_path / f"set/images/{at}.png", pixels)
    sets, _ = prepared("segmentation", tmp_path / "set", size=20, share=0.5)
    shown = sets["train"].images[0].mean(2) > 127
    labels = sets["train"].mask(0) == 1
    assert 0.2 < labels.mean() < 0.6
    assert (shown != labels).mean() < 0.05


def test_the_nearest_label_of_the_centre_square():
    values = np.arange(4 * 6).reshape(4, 6)
    np.testing.assert_array_equal(square_label(values, 4), values[:, 1:5])
    np.testing.assert_array_equal(square_label(values.T, 2), values.T[[2, 4]][:, [1, 3]])


def test_a_photograph_that_is_turned_by_exif(tmp_path):
    for at in range(2):
        pixels = np.zeros((20, 40, 3), np.uint8)
        pixels[:, :20] = 255  # turned by 90 degrees the bright half is at the top
        exif = Image.Exif()
        exif[0x0112] = 6
        (tmp_path / "set/images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / f"set/images/{at}.jpg", exif=exif, quality=95)
        ids = np.zeros((40, 20), np.uint8)
        ids[:20] = 1
        mask(tmp_path / f"set/masks/{at}.png", ids)
    sets, _ = prepared("segmentation", tmp_path / "set", size=10, share=0.5)
    assert ((sets["train"].images[0].mean(2) > 127) == (sets["train"].mask(0) == 1)).mean() > 0.9


def test_a_devkit_is_a_segmentation(tmp_path):
    root = tmp_path / "kit"
    for name in ("a", "b", "c"):
        photo(root / f"JPEGImages/{name}.jpg")
        mask(root / f"SegmentationClass/{name}.png", np.full((18, 24), 7, np.uint8))
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\n")
    (lists / "val.txt").write_text("c\n")
    sets, _ = prepared("segmentation", root)
    assert sets["val"].ids == ("c",)
    assert sets["train"].classes[7] == "car"


def test_problems_of_masks_are_named_together(masks):
    mask(masks / "masks/1.png", np.zeros((18, 24, 3), np.uint8))
    mask(masks / "masks/2.png", np.zeros((9, 24), np.uint8))
    (masks / "images/3.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="3 of 6 labelled images cannot be used") as caught:
        prepared("segmentation", masks)
    text = str(caught.value)
    assert "masks/1.png: is in mode RGB" in text
    assert "masks/2.png: is 24 x 9 pixels, its image 24 x 18" in text
    assert "images/3.png: cannot be read" in text
    assert "\n" not in text
    assert not (masks.parent / "data.h5").exists()


def test_ids_and_names_must_agree(masks):
    (masks / "classes.txt").write_text("sky\nroad\n")
    with pytest.raises(DataError, match="holds class id 2, but there are 2 classes"):
        prepared("segmentation", masks)
    (masks / "masks/5.png").unlink()
    with pytest.raises(DataError, match=r"1 files have no partner: images/5; every image"):
        find_examples("segmentation", masks, 0.25, 0)
    with pytest.raises(DataError, match="maps: no such folder; regression needs images and maps"):
        find_examples("regression", masks, 0.25, 0)


# --- maps ---


@pytest.mark.parametrize(
    ("suffix", "highest"), [("npy", 5000), ("png", 5000), ("png", 255)], ids=["npy", "16", "8"]
)
def test_maps_are_in_units_of_their_spread(tmp_path, suffix, highest):
    rng = np.random.default_rng(0)
    raw = {}
    for at in range(4):
        photo(tmp_path / f"set/images/{at}.png", at)
        kind = np.uint16 if highest > 255 else np.uint8
        values = rng.integers(1, highest + 1, (18, 24)).astype(kind)
        values[:9] = 0
        raw[str(at)] = values[9:, 3:21].astype(float)
        path = tmp_path / f"set/maps/{at}.{suffix}"
        if suffix == "png":
            mask(path, values)
        else:
            path.parent.mkdir(exist_ok=True)
            np.save(path, np.where(values == 0, np.nan, values.astype(float)))
    sets, _ = prepared("regression", tmp_path / "set", size=18, unknown=0)
    train = sets["train"].labels
    assert train.dtype == np.float32
    known = train[~np.isnan(train)]
    assert np.isnan(train[:, :9]).all()
    assert np.median(known) == pytest.approx(0, abs=1e-3)
    assert np.abs(known).mean() == pytest.approx(1, abs=1e-3)
    assert sets["train"].classes == ("value",)
    # Those of validation are in the same units: of the training values alone.
    seen = np.array([raw[name] for name in sets["train"].ids])
    centre = np.median(seen)
    spread = np.abs(seen - centre).mean()
    expected = (np.array([raw[name] for name in sets["val"].ids]) - centre) / spread
    np.testing.assert_allclose(sets["val"].labels[:, 9:], expected, atol=1e-4)


def test_a_value_may_stand_for_none(tmp_path):
    for at in range(2):
        photo(tmp_path / f"set/images/{at}.png", at, size=(8, 8))
        values = np.arange(64.0).reshape(8, 8)
        values[0, 0], values[0, 1], values[0, 2] = -1, np.nan, np.inf
        (tmp_path / "set/maps").mkdir(exist_ok=True)
        np.save(tmp_path / f"set/maps/{at}.npy", values)
    unknown = prepared("regression", tmp_path / "set", size=8, share=0.5, unknown=-1)[0]["train"]
    assert np.argwhere(np.isnan(unknown.labels[0])).tolist() == [[0, 0], [0, 1], [0, 2]]
    none = prepared("regression", tmp_path / "set", size=8, share=0.5)[0]["train"]
    assert np.argwhere(np.isnan(none.labels[0])).tolist() == [[0, 1], [0, 2]]


def test_maps_that_cannot_be_used(tmp_path):
    for at in range(3):
        photo(tmp_path / f"set/images/{at}.png", at)
    maps = tmp_path / "set/maps"
    maps.mkdir()
    np.save(maps / "0.npy", np.zeros((18, 24, 2)))
    np.save(maps / "1.npy", np.array([{"a": 1}]), allow_pickle=True)
    np.save(maps / "2.npy", np.ones((18, 24)))
    with pytest.raises(DataError, match="2 of 3 labelled") as caught:
        prepared("regression", tmp_path / "set")
    assert "0.npy: holds float64 of shape (18, 24, 2)" in str(caught.value)
    assert "1.npy: cannot be read as a map" in str(caught.value)
    for at in (0, 1):
        np.save(maps / f"{at}.npy", np.ones((18, 24)))
    with pytest.raises(DataError, match="all training maps hold one value; there is nothing"):
        prepared("regression", tmp_path / "set")
    with pytest.raises(DataError, match="no pixel of split train has a label"):
        prepared("regression", tmp_path / "set", unknown=1)


def test_maps_that_hold_something_else(tmp_path):
    maps = tmp_path / "set/maps"
    for at in range(6):
        photo(tmp_path / f"set/images/{at}.png", at)
        mask(maps / f"{at}.png", np.full((18, 24), at, np.uint8))
    colours = Image.open(maps / "1.png").convert("RGB")
    colours.save(maps / "0.png")
    colours.convert("P").save(maps / "1.png")
    (maps / "2.png").write_bytes((maps / "2.png").read_bytes()[:50])
    (maps / "3.png").unlink()
    with open(maps / "3.npy", "wb") as stream:
        np.savez(stream, values=np.ones((18, 24)))
    mask(maps / "4.png", np.zeros((24, 18), np.uint8))
    with pytest.raises(DataError, match="5 of 6 labelled") as caught:
        prepared("regression", tmp_path / "set")
    text = str(caught.value)
    assert "0.png: holds uint8 of shape (18, 24, 3)" in text
    assert "1.png: holds colours of a palette" in text
    assert "2.png: cannot be read as a map" in text
    assert "3.npy: is an archive of arrays" in text
    assert "4.png: is 18 x 24 pixels, its image 24 x 18" in text
    assert "\n" not in text
    np.save(maps / "5.npy", np.ones((18, 24)))
    with pytest.raises(DataError, match=r"5.png: 5.npy is of the same image"):
        find_examples("regression", tmp_path / "set", 0.25, 0)
    (maps / "5.npy").unlink()
    photo(tmp_path / "set/images/5.jpg")
    with pytest.raises(DataError, match="5.png: another image is named 5; rename one"):
        find_examples("regression", tmp_path / "set", 0.25, 0)


# --- whatever the kind ---


def test_what_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="no kind 'boxes'"):
        find_examples("boxes", tmp_path, 0.2, 0)
    with pytest.raises(DataError, match="no such folder of labelled images; correct target.path"):
        find_examples("segmentation", tmp_path / "none", 0.2, 0)
    with pytest.raises(DataError, match="none.csv: no such folder"):
        find_examples("classification", tmp_path / "none.csv", 0.2, 0)
    with pytest.raises(DataError, match="images: no such folder; segmentation needs images and"):
        find_examples("segmentation", tmp_path, 0.2, 0)
    with pytest.raises(DataError, match="0 folders of classes"):
        find_examples("classification", tmp_path, 0.2, 0)
    (tmp_path / "data.h5").write_bytes(b"none")
    with pytest.raises(DataError, match="is no labelled set"):
        open_labelled(tmp_path / "data.h5")


def test_a_digest_tells_what_is_trained_on(classes):
    sets, _ = prepared("classification", classes)
    again, _ = prepared("classification", classes)
    assert sets["train"].digest == again["train"].digest
    assert sets["train"].first(3).digest != sets["train"].digest
    photo(classes / "cat/0.png", 99)
    other, _ = prepared("classification", classes)
    assert {sets[r].digest for r in sets} != {other[r].digest for r in other}
