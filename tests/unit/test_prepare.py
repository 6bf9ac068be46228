"""From labelled files to a target's data.h5: what is kept, what is refused, the entry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from labelled_files import grey, photo, write_devkit
from PIL import Image
from prepare_target import main as prepare_target
from taskrsa.errors import DataError
from taskrsa.targets.config import TargetData
from taskrsa.targets.pixels import write_mask
from taskrsa.targets.prepare import files_of, read_layout, write_target
from taskrsa.targets.sets import FileSet, open_sets
from taskrsa.worlds.outdoor import CLASSES, OutdoorWorld


def target(kind: str, path: Path, **more) -> TargetData:
    return TargetData(kind=kind, path=str(path), **{"image_size": 12, **more})


def prepared(kind: str, path: Path, seed: int = 0, **more):
    """Return both sets and the rows of a target."""
    what = target(kind, path, **more)
    data = path.parent / "data.h5"
    rows = write_target(what, read_layout(what, seed), data)
    return open_sets(data), rows


def prepared_or_error(*words, **more):
    try:
        return prepared(*words, **more)
    except DataError as error:
        return str(error)


# --- images with a class ---


@pytest.fixture
def classes(tmp_path) -> Path:
    for at in range(8):
        photo(tmp_path / f"set/cat/{at}.png", at)
        photo(tmp_path / f"set/dog/{at}.jpg", 10 + at)
    return tmp_path / "set"


def test_images_with_a_class_are_kept_as_squares(classes):
    sets, rows = prepared("classification", classes)
    assert sets["train"].classes == ("cat", "dog")
    assert np.bincount(sets["val"].labels).tolist() == [2, 2]
    assert np.bincount(sets["train"].labels).tolist() == [6, 6]
    assert sets["train"].images.shape == (12, 12, 12, 3)
    assert sets["train"].label(0).shape == ()
    assert {row["label"] for row in rows} == {"cat", "dog"}
    assert {(row["height"], row["width"]) for row in rows} == {(18, 24)}
    assert all(len(row["image_sha256"]) == 64 for row in rows)
    for role, one in sets.items():
        assert one.ids == tuple(row["id"] for row in rows if row["split"] == role)
    assert len(files_of(target("classification", classes))) == 16


def test_as_many_classes_as_a_byte_holds(tmp_path):
    lines = [f"{at}.png,c{at // 2:03}" for at in range(2 * 257)]
    for at, line in enumerate(lines):
        photo(tmp_path / line.partition(",")[0], at, size=(4, 4))
    table = tmp_path / "labels.csv"
    more = {"val_share": 0.5, "image_size": 8}
    table.write_text("\n".join(["image,label", *lines[: 2 * 255]]))
    sets, _ = prepared("classification", table, **more)
    assert sorted(sets["train"].labels.tolist()) == list(range(255))
    table.write_text("\n".join(["image,label", *lines]))
    with pytest.raises(DataError, match="257 classes; give at most 255"):
        prepared("classification", table, **more)


@pytest.mark.parametrize(("keeps", "message"), [(300, "Truncated|truncated"), (None, "exceeds")])
def test_photographs_that_are_damaged_or_far_too_large(classes, monkeypatch, keeps, message):
    file = classes / "dog/3.jpg"
    if keeps:
        file.write_bytes(file.read_bytes()[:-keeps])
    else:
        photo(file, size=(60, 60))
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60 * 60 // 2 - 1)
    message = f"1 problem in 16 .*dog/3.jpg: cannot be read .*({message})"
    with pytest.raises(DataError, match=message):
        prepared("classification", classes)


# --- masks ---


@pytest.fixture
def masks(tmp_path) -> Path:
    for at in range(6):
        size = (24 + at, 18)
        photo(tmp_path / f"set/images/{at}.png", at, size)
        ids = np.random.default_rng(at).integers(0, 3, size[::-1]).astype(np.uint8)
        ids[0, 0] = 255
        grey(tmp_path / f"set/masks/{at}.png", ids)
    return tmp_path / "set"


def test_images_with_masks_keep_their_size(masks):
    sets, rows = prepared("segmentation", masks)
    assert sets["train"].classes == ("class_0", "class_1", "class_2")
    assert {role: len(one) for role, one in sets.items()} == {"train": 4, "val": 2}
    for one in sets.values():
        assert isinstance(one, FileSet)
        for i, name in enumerate(one.ids):
            shown = np.asarray(Image.open(masks / f"images/{name}.png"))
            np.testing.assert_array_equal(one.image(i), shown)
            ids = np.asarray(Image.open(masks / f"masks/{name}.png"))
            np.testing.assert_array_equal(one.label(i), ids)
    by_id = {row["id"]: row for row in rows}
    assert (by_id["3"]["height"], by_id["3"]["width"]) == (18, 27)
    assert (by_id["3"]["image"], by_id["3"]["label"]) == ("images/3.png", "masks/3.png")
    (masks / "classes.txt").write_text("sky\nroad\ncar\ntree\n")
    assert prepared("segmentation", masks)[0]["val"].classes == ("sky", "road", "car", "tree")


def turned(path: Path, orientation: int, height: int, width: int) -> None:
    """Write images of these stored sizes with a tag, the left half bright."""
    path.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for at in range(2):
        pixels = np.full((height, width, 3), 10 * at, np.uint8)
        pixels[:, : width // 2] = 255
        Image.fromarray(pixels).save(path / f"{at}.jpg", exif=exif, quality=95)


def test_a_photograph_that_is_turned_by_exif(tmp_path):
    # Turned by 90 degrees the bright half is at the top.
    turned(tmp_path / "set/images", 6, 20, 40)
    for at in range(2):
        ids = np.zeros((40, 20), np.uint8)
        ids[:20] = 1
        grey(tmp_path / f"set/masks/{at}.png", ids)
    train = prepared("segmentation", tmp_path / "set", val_share=0.5)[0]["train"]
    assert ((train.image(0).mean(2) > 127) == (train.label(0) == 1)).mean() > 0.9


@pytest.mark.parametrize(("kind", "folder"), [("segmentation", "masks"), ("regression", "maps")])
@pytest.mark.parametrize(
    ("orientation", "stored"),
    [(6, (20, 40)), (3, (20, 40)), (2, (20, 40)), (6, (32, 32))],
    ids=["as stored", "upside down", "mirrored", "square"],
)
def test_a_label_of_either_way_round_is_refused(tmp_path, kind, folder, orientation, stored):
    turned(tmp_path / "set/images", orientation, *stored)
    for at in range(2):
        labels = np.zeros(stored, np.uint8)
        labels[:, :15] = 1
        grey(tmp_path / f"set/{folder}/{at}.png", labels)
    with pytest.raises(DataError) as caught:
        prepared(kind, tmp_path / "set", val_share=0.5)
    assert str(caught.value) == (
        "2 problems in 2 labelled images: images/0.jpg, images/1.jpg: its EXIF tag turns it, and "
        "its label may fit either orientation; save such images as they appear, without the tag, "
        "and compare them with their labels"
    )
    turned(tmp_path / "set/images", 1, *stored)  # a tag that says that it is upright
    assert prepared(kind, tmp_path / "set", val_share=0.5)


def test_masks_of_0_and_255_are_two_classes_if_the_target_says_so(masks):
    written = {}
    for at in range(6):
        written[str(at)] = np.random.default_rng(at).integers(0, 2, (18, 24 + at), np.uint8) * 255
        grey(masks / f"masks/{at}.png", written[str(at)])
    with pytest.raises(
        DataError,
        match=r"one class only, 0, and 255, which is void; if 255 is a "
        r"class, set mask_values of the target to \[0, 255\]",
    ):
        prepared("segmentation", masks)
    sets, _ = prepared("segmentation", masks, mask_values=(0, 255))
    for one in sets.values():
        assert one.classes == ("class_0", "class_255")
        for i, name in enumerate(one.ids):
            np.testing.assert_array_equal(one.label(i), written[name] // 255)
    (masks / "classes.txt").write_text("ground\nplant\n")
    assert prepared("segmentation", masks, mask_values=(0, 255))[0]["val"].classes[1] == "plant"
    (masks / "classes.txt").write_text("ground\nplant\nsky\n")
    with pytest.raises(DataError, match="3 names in classes.txt and 2 mask_values"):
        prepared("segmentation", masks, mask_values=(0, 255))


def test_ids_with_wide_gaps_need_to_be_listed(masks):
    place = np.array([0, 7, 200], np.uint8)
    for at in range(6):
        ids = place[np.random.default_rng(at).integers(0, 3, (18, 24 + at))]
        ids[0, 0] = 255
        grey(masks / f"masks/{at}.png", ids)
    with pytest.raises(
        DataError,
        match=r"hold 3 of the ids from 0 to 200 only; set mask_values of "
        r"the target to \[0, 7, 200\], or name all",
    ):
        prepared("segmentation", masks)
    train = prepared("segmentation", masks, mask_values=(0, 7, 200))[0]["train"]
    assert train.classes == ("class_0", "class_7", "class_200")
    assert set(np.unique(train.label(0))) == {0, 1, 2, 255}
    with pytest.raises(DataError, match="6 problems .*masks/4.png: holds the value 7, which mask_"):
        prepared("segmentation", masks, mask_values=(0, 200))


@pytest.mark.parametrize("name", ["masks/1.png", "images/1.png"])
def test_what_is_far_too_large_is_named_itself(masks, monkeypatch, name):
    grey(masks / name, np.zeros((90, 90), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    with pytest.raises(DataError, match=f"1 problem in 6 .*{name}: cannot be read .*exceeds"):
        prepared("segmentation", masks)


def test_copies_may_not_be_scored_or_have_two_labels(classes):
    copy = classes / "dog/copy.jpg"
    copy.write_bytes((classes / "dog/3.jpg").read_bytes())
    sets = [prepared_or_error("classification", classes, seed) for seed in range(20)]
    # Both in one split are twice the same example; where the draw separates them, they leak.
    refused = [one for one in sets if isinstance(one, str)]
    assert 0 < len(refused) < 20
    line = "1 of 17 labelled images are identical to another one in the other split or with "
    assert all(one.startswith(line) for one in refused)
    copy.write_bytes((classes / "cat/0.png").read_bytes())
    assert all(
        isinstance(prepared_or_error("classification", classes, seed), str) for seed in range(3)
    )


def test_masks_without_anything_to_learn(masks):
    for at in range(6):
        grey(masks / f"masks/{at}.png", np.zeros((18, 24 + at), np.uint8))
    with pytest.raises(DataError, match="the masks hold one class only"):
        prepared("segmentation", masks)
    for at in range(6):
        grey(masks / f"masks/{at}.png", np.full((18, 24 + at), 255, np.uint8))
    with pytest.raises(DataError, match="no pixel of split train has a label"):
        prepared("segmentation", masks)


def test_problems_of_masks_are_named_together(masks):
    grey(masks / "masks/1.png", np.zeros((18, 24, 3), np.uint8))
    grey(masks / "masks/2.png", np.zeros((9, 24), np.uint8))
    (masks / "images/3.png").write_bytes(b"no image")
    (masks / "masks/3.png").write_bytes(b"no mask")
    with pytest.raises(DataError, match="4 problems in 6 labelled images: ") as caught:
        prepared("segmentation", masks)
    text = str(caught.value)
    assert "masks/1.png: is in mode RGB" in text
    assert "masks/2.png: is 24 x 9 pixels, but its image is 26 x 18" in text
    assert "images/3.png: cannot be read" in text
    assert "masks/3.png: cannot be read" in text
    assert "\n" not in text
    assert not (masks.parent / "data.h5").exists()
    (masks / "classes.txt").write_text("sky\nroad\n")
    with pytest.raises(DataError, match="7 problems") as caught:
        prepared("segmentation", masks)
    assert "holds class id 2, but ids go from 0 to 1" in str(caught.value)


def test_a_file_that_vanished_is_a_problem_too(masks):
    what = target("segmentation", masks)
    layout = read_layout(what, 0)
    (masks / "masks/0.png").unlink()
    with pytest.raises(DataError, match=r"1 problem in 6 .*0\.png: file not found; restore it"):
        write_target(what, layout, masks.parent / "data.h5")


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
            grey(path, values)
        else:
            path.parent.mkdir(exist_ok=True)
            np.save(path, np.where(values == 0, np.nan, values.astype(float)))
    sets, _ = prepared("regression", tmp_path / "set", image_size=18, unknown=0)
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


def test_image_and_map_stay_aligned(tmp_path):
    # What is bright is high, in an image that is wider than high.
    for at in range(2):
        values = np.zeros((40, 80), np.uint8)
        values[10:30, 30 + at : 60] = 255
        grey(tmp_path / f"set/maps/{at}.png", values)
        grey(tmp_path / f"set/images/{at}.png", np.repeat(values[..., None], 3, axis=2))
    sets, _ = prepared("regression", tmp_path / "set", image_size=20, val_share=0.5)
    shown = sets["train"].images[0].mean(2) > 127
    labels = sets["train"].label(0)
    high = labels > labels.min()
    assert 0.2 < high.mean() < 0.6
    assert (shown != high).mean() < 0.05


def test_maps_that_cannot_be_used(tmp_path):
    for at in range(3):
        photo(tmp_path / f"set/images/{at}.png", at)
    maps = tmp_path / "set/maps"
    maps.mkdir()
    np.save(maps / "0.npy", np.zeros((18, 24, 2)))
    np.save(maps / "1.npy", np.zeros((24, 18)))
    np.save(maps / "2.npy", np.ones((18, 24)))
    with pytest.raises(DataError, match="2 problems in 3 labelled") as caught:
        prepared("regression", tmp_path / "set")
    assert "0.npy: holds float64 of shape (18, 24, 2)" in str(caught.value)
    assert "1.npy: is 18 x 24 pixels, but its image is 24 x 18" in str(caught.value)
    for at in (0, 1):
        np.save(maps / f"{at}.npy", np.ones((18, 24)))
    with pytest.raises(DataError, match="value is the same in all training labels; there is noth"):
        prepared("regression", tmp_path / "set")
    with pytest.raises(DataError, match="no label of split train has a known value"):
        prepared("regression", tmp_path / "set", unknown=1)


# --- numbers ---


def numbers(folder: Path, rows: list[str], header: str = "image,price,age") -> Path:
    for at in range(len(rows)):
        photo(folder / f"{at}.png", at)
    table = folder / "houses.csv"
    table.write_text("\n".join([header, *(f"{at}.png,{row}" for at, row in enumerate(rows))]))
    return table


def test_numbers_are_in_units_of_the_training_values_spread(tmp_path):
    rng = np.random.default_rng(0)
    raw = np.stack([rng.integers(100_000, 900_000, 12), rng.integers(1, 90, 12)], 1).astype(float)
    table = numbers(tmp_path, [f"{price:.0f},{age:.0f}" for price, age in raw])
    sets, rows = prepared("values", table)
    assert sets["train"].classes == ("price", "age")
    assert {role: len(one) for role, one in sets.items()} == {"train": 9, "val": 3}
    seen = raw[[int(name) for name in sets["train"].ids]]
    centre = np.median(seen, axis=0)
    spread = np.abs(seen - centre).mean(axis=0)
    for one in sets.values():
        assert one.labels.dtype == np.float32
        expected = (raw[[int(name) for name in one.ids]] - centre) / spread
        np.testing.assert_allclose(one.labels, expected, rtol=1e-5, atol=1e-6)
    assert rows[0]["label"] == f"{raw[0, 0]:g} {raw[0, 1]:g}"
    assert files_of(target("values", table))[0] == str(table)


def test_a_number_may_be_unknown(tmp_path):
    table = numbers(tmp_path, [f"{at},{-1 if at % 3 == 0 else at}" for at in range(12)])
    sets, _ = prepared("values", table, unknown=-1)
    known = [int(name) % 3 != 0 for name in sets["train"].ids]
    np.testing.assert_array_equal(~np.isnan(sets["train"].labels[:, 1]), known)
    assert not np.isnan(sets["train"].labels[:, 0]).any()


def test_numbers_with_nothing_to_learn_or_score(tmp_path):
    table = numbers(tmp_path, [f"{at},7" for at in range(8)])
    with pytest.raises(DataError, match="age is the same in all training labels; there is nothing"):
        prepared("values", table)
    rows = [f"{at},{at % 2 if at < 6 else 0.5},{'train' if at < 6 else 'val'}" for at in range(8)]
    table = numbers(tmp_path, rows, "image,price,age,split")
    with pytest.raises(DataError, match="age equals the training median in all validation labels"):
        prepared("values", table)


# --- what is read ---


def test_a_devkit_is_a_segmentation(tmp_path):
    shapes = [("a", (6, 9)), ("b", (7, 9)), ("c", (8, 9))]
    images = [
        (name, np.zeros((*shape, 3), np.uint8), np.full(shape, at % 2, np.uint8))
        for at, (name, shape) in enumerate(shapes)
    ]
    kit = write_devkit(
        tmp_path / "kit", {"train": ["a", "b"], "few": ["c"]}, images, ("sky", "road")
    )
    sets, _ = prepared("segmentation", kit, val_list="few")
    assert sets["val"].ids == ("c",)
    assert sets["train"].classes == ("sky", "road")
    assert not sets["train"].upright
    assert len(files_of(target("segmentation", kit, val_list="few"))) == 3 + 6
    # What the lists of a published set hold twice is theirs to say.
    (kit / "JPEGImages/c.png").write_bytes((kit / "JPEGImages/b.png").read_bytes())
    write_mask(kit / "SegmentationClass/c.png", np.ones((7, 9), np.uint8))
    assert prepared("segmentation", kit, val_list="few")
    with pytest.raises(DataError, match="is a devkit, whose masks hold ids; leave out mask_values"):
        prepared("segmentation", kit, val_list="few", mask_values=(0, 255))


def test_what_has_no_files():
    outdoor = TargetData(kind="segmentation", source="outdoor")
    assert files_of(outdoor) == []
    assert files_of(TargetData(kind="network")) == []


# --- the entry ---


def test_the_entry_writes_data_and_a_table(classes, tmp_path):
    what = {"kind": "classification", "path": str(classes), "image_size": 16, "val_share": 0.5}
    data, table = tmp_path / "t/data.h5", tmp_path / "t/images.csv"
    prepare_target(what, 3, str(data), str(table))
    rows = pd.read_csv(table)
    assert list(rows) == [
        "id", "split", "image", "label", "height", "width", "image_sha256", "label_sha256",
    ]  # fmt: skip
    sets = open_sets(data)
    assert sets["val"].ids == tuple(rows.loc[rows["split"] == "val", "id"])
    assert sets["val"].images.shape == (8, 16, 16, 3)


def test_the_entry_writes_nothing_of_a_damaged_set(masks, tmp_path):
    (masks / "masks/1.png").write_bytes(b"")
    what = {"kind": "segmentation", "path": str(masks)}
    with pytest.raises(DataError, match="cannot be read as an image"):
        prepare_target(what, 0, str(tmp_path / "data.h5"), str(tmp_path / "t.csv"))
    assert not (tmp_path / "t.csv").exists()
    assert not (tmp_path / "data.h5").exists()


def test_the_world_outdoors_is_the_same_with_any_number_of_workers(tmp_path):
    options = {"image_size": 16, "n_train": 5, "n_val": 3, "seed": 1}
    what = {"kind": "segmentation", "source": "outdoor", "outdoor": options}
    for workers in (1, 2):
        paths = [str(tmp_path / f"{workers}.{end}") for end in ("h5", "csv")]
        prepare_target(what, 0, *paths, workers)
    for end in ("h5", "csv"):
        assert (tmp_path / f"1.{end}").read_bytes() == (tmp_path / f"2.{end}").read_bytes()
    sets = open_sets(tmp_path / "1.h5")
    assert sets["train"].classes == CLASSES
    assert [len(one) for one in sets.values()] == [5, 3]
    _, rgb, mask = OutdoorWorld(**options).labelled("val_000002")
    np.testing.assert_array_equal(sets["val"].image(2), rgb)
    np.testing.assert_array_equal(sets["val"].label(2), mask)


# --- real files ---


def test_real_voc_images_are_listed(real_data, tmp_path):
    what = TargetData(kind="segmentation", path=str(real_data / "voc"))
    rows = write_target(what, read_layout(what, 0), tmp_path / "data.h5")
    sets = open_sets(tmp_path / "data.h5")
    assert (len(sets["train"]), len(sets["val"])) == (140, 70)
    assert len({(row["height"], row["width"]) for row in rows}) > 5
    val = sets["val"]
    assert val.image(0).shape[:2] == val.label(0).shape
    seen = np.unique(np.concatenate([val.label(i).ravel() for i in range(5)]))
    assert 255 in seen
    assert seen[:-1].max() <= 20
