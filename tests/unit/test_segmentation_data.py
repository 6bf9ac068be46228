"""Devkits of labelled images: read, refused, checked, merged with SBD, written, submitted."""

import os
import tarfile

import numpy as np
import pytest
from PIL import Image
from prepare_target import main as prepare_target
from scipy.io import savemat
from taskrsa.errors import ConfigError, DataError
from taskrsa.targets import sbd
from taskrsa.targets.devkit import (
    VOC_CLASSES,
    VOID,
    SegmentationSet,
    check_set,
    devkit_root,
    files,
    open_devkit,
    open_splits,
    read_mask,
    set_rows,
    voc_palette,
    write_devkit,
    write_mask,
    write_submission,
)

CLASSES = ("ground", "cat", "dog")


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def ids_map(height, width, seed=0, n=3):
    mask = np.random.default_rng(seed).integers(0, n, (height, width), dtype=np.uint8)
    mask[0, 0] = VOID
    return mask


@pytest.fixture
def devkit(tmp_path):
    """Four images of two sizes: a, b to train with, c, d to score by."""
    images = [(name, picture(6 + i, 9, i), ids_map(6 + i, 9, i)) for i, name in enumerate("abcd")]
    lists = {"train": ["a", "b"], "val": ["c", "d"], "trainval": ["a", "b", "c", "d"]}
    write_devkit(tmp_path / "kit", lists, images, CLASSES, {"kind": "test"})
    return tmp_path / "kit"


def list_file(devkit, name="train"):
    return devkit / "ImageSets/Segmentation" / f"{name}.txt"


def mask_file(devkit, name):
    return devkit / "SegmentationClass" / f"{name}.png"


def test_what_is_written_is_read_back(devkit):
    val = open_devkit(devkit, "val")
    assert (val.name, val.classes, val.ids, len(val)) == ("val", CLASSES, ("c", "d"), 2)
    for i in range(2):
        np.testing.assert_array_equal(val.image(i), picture(8 + i, 9, 2 + i))
        np.testing.assert_array_equal(val.mask(i), ids_map(8 + i, 9, 2 + i))
        assert val.mask(i).dtype == np.uint8
    assert check_set(val) == [(8, 9), (9, 9)]
    assert open_devkit(devkit, "val", classes=("x", "y", "z")).classes == ("x", "y", "z")


@pytest.mark.parametrize("below", ["", "VOC2012", "VOCdevkit/VOC2012"])
def test_a_devkit_is_found_below_its_folder(devkit, tmp_path, below):
    above = tmp_path / "above"
    (above / below).parent.mkdir(parents=True, exist_ok=True)
    os.replace(devkit, above / below)
    assert devkit_root(above) == above / below
    with pytest.raises(DataError, match="no folder ImageSets/Segmentation there"):
        devkit_root(tmp_path)


def test_without_a_file_of_classes_they_are_those_of_voc(devkit):
    (devkit / "classes.txt").unlink()
    assert open_devkit(devkit, "train").classes == VOC_CLASSES
    assert len(VOC_CLASSES) == 21
    assert VOC_CLASSES.index("person") == 15


def test_a_grey_mask_reads_as_a_palette_mask(devkit):
    Image.fromarray(ids_map(6, 9)).save(mask_file(devkit, "a"))
    with Image.open(mask_file(devkit, "a")) as grey, Image.open(mask_file(devkit, "b")) as palette:
        assert (grey.mode, palette.mode) == ("L", "P")
    np.testing.assert_array_equal(open_devkit(devkit, "train").mask(0), ids_map(6, 9))


def test_grey_and_transparent_photographs_become_rgb(devkit):
    rgb = picture(6, 9)
    Image.fromarray(rgb[..., 0]).save(devkit / "JPEGImages/a.png")
    Image.fromarray(np.dstack([rgb, rgb[..., :1]])).save(devkit / "JPEGImages/b.png")
    train = open_devkit(devkit, "train")
    np.testing.assert_array_equal(train.image(0), np.repeat(rgb[..., :1], 3, axis=2))
    np.testing.assert_array_equal(train.image(1), rgb)


def test_a_test_set_has_images_only(devkit):
    mask_file(devkit, "c").unlink()
    test = open_devkit(devkit, "val", labelled=False)
    assert test.masks == ()
    assert test.image(0).shape == (8, 9, 3)
    assert check_set(test) == [(8, 9), (9, 9)]
    with pytest.raises(DataError, match="has no masks"):
        test.mask(0)


# --- refusals ---


def test_lists_that_cannot_be_used_are_refused(devkit):
    with pytest.raises(DataError, match=r"other\.txt: file not found"):
        open_devkit(devkit, "other")
    for text, message in (
        ("\n \n", r"train\.txt: is empty"),
        ("a\nb\na\n", r"train\.txt: holds a twice"),
        ("a 1\n", r"train\.txt: 'a 1' is no image id"),
        ("../a\n", r"'../a' is no image id"),
    ):
        list_file(devkit).write_text(text)
        with pytest.raises(DataError, match=message):
            open_devkit(devkit, "train")
    list_file(devkit).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is not UTF-8"):
        open_devkit(devkit, "train")


def test_windows_line_ends_are_understood(devkit):
    list_file(devkit).write_bytes(b"\xef\xbb\xbfa\r\nb\r\n")
    assert open_devkit(devkit, "train").ids == ("a", "b")


def test_ids_without_files_are_named_together(devkit):
    list_file(devkit).write_text("".join(f"{name}\n" for name in "apqrstuv"))
    with pytest.raises(DataError, match=r"7 of 8 ids have no image .*: p, q, r, s, t, and 2 more"):
        open_devkit(devkit, "train")
    mask_file(devkit, "d").unlink()
    with pytest.raises(DataError, match=r"val\.txt: 1 of 2 ids have no mask in .*: d; restore"):
        open_devkit(devkit, "val")


def test_an_image_to_train_with_cannot_be_scored(devkit):
    assert list(open_splits(devkit)) == ["train", "val"]
    list_file(devkit).write_text("a\nc\n")
    with pytest.raises(DataError, match=r"train\.txt: 1 ids are in val\.txt as well: c"):
        open_splits(devkit)


@pytest.mark.parametrize(
    ("text", "message"),
    [("x\ny\nx\n", "holds x twice"), ("x\n", "has 1 classes"), ("\n", "is empty")],
)
def test_classes_that_cannot_be_used_are_refused(devkit, text, message):
    (devkit / "classes.txt").write_text(text)
    with pytest.raises(DataError, match=rf"classes\.txt: {message}"):
        open_devkit(devkit, "train")


def damage(devkit, what):
    file = mask_file(devkit, "a")
    if what == "colour":
        Image.fromarray(picture(6, 9)).save(file)
    elif what == "size":
        write_mask(file, ids_map(9, 6))
    elif what == "id":
        mask = ids_map(6, 9)
        mask[3, 3] = 3  # classes go to 2
        write_mask(file, mask)
    elif what == "cut mask":
        file.write_bytes(file.read_bytes()[:-30])
    elif what == "16 bits":
        Image.fromarray(ids_map(6, 9).astype(np.uint16)).save(file)
    else:
        (devkit / "JPEGImages/a.png").unlink()
        file = devkit / "JPEGImages/a.jpg"
        Image.fromarray(picture(200, 300)).save(file)
        write_mask(mask_file(devkit, "a"), ids_map(200, 300))
        if what == "cut image":
            file.write_bytes(file.read_bytes()[:-2000])
    return file


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("colour", "is in mode RGB, not a map of class ids"),
        ("16 bits", "is in mode I;16, not a map"),
        ("size", "is 6 x 9 pixels but a.png is 9 x 6"),
        ("id", "holds class id 3, but ids go from 0 to 2, with 255 for void"),
        ("cut mask", "cannot be read as an image"),
        ("cut image", "cannot be read as an image .*truncated"),
    ],
)
def test_the_check_names_a_damaged_file(devkit, what, message):
    file = damage(devkit, what)
    with pytest.raises(
        DataError, match=rf"train has 1 problem: .*{file.name}: {message}"
    ) as caught:
        check_set(open_devkit(devkit, "train"))
    assert "\n" not in str(caught.value)
    assert check_set(open_devkit(devkit, "val"))


def test_a_whole_jpeg_passes_the_check(devkit):
    damage(devkit, "none: a JPEG instead of a PNG")
    train = open_devkit(devkit, "train")
    assert train.images[0].name == "a.jpg"
    assert check_set(train) == [(200, 300), (7, 9)]


def test_problems_are_reported_together(tmp_path):
    names = [f"x{i}" for i in range(8)]
    images = [(name, picture(4, 5), ids_map(4, 5)) for name in names]
    write_devkit(tmp_path / "kit", {"train": names}, images, CLASSES, {})
    for name in names[:7]:
        write_mask(mask_file(tmp_path / "kit", name), np.full((4, 5), 9))
    with pytest.raises(DataError) as caught:
        check_set(open_devkit(tmp_path / "kit", "train"))
    text = str(caught.value)
    assert text.startswith("split train has 7 problems: ")
    assert text.endswith("; and 2 more")
    assert [name for name in names if f"{name}.png" in text] == names[:5]


def test_a_file_that_vanished_is_a_problem_too(devkit):
    train = open_devkit(devkit, "train")
    mask_file(devkit, "b").unlink()
    (devkit / "JPEGImages/b.png").unlink()
    with pytest.raises(DataError, match=r"2 problems: .*b\.png: file not found.*b\.png: file not"):
        check_set(train)


# --- the files a result depends on, and the table ---


def test_every_file_read_is_listed_once(devkit):
    listed = files(devkit, "train", "val", "trainval")
    assert len(listed) == len(set(listed)) == 1 + 3 + 8
    assert {str(list_file(devkit, n)) for n in ("train", "val", "trainval")} <= set(listed)
    assert str(mask_file(devkit, "c")) in listed
    assert len(files(devkit, "train")) == 1 + 1 + 4


def test_the_table_tells_the_hash_of_every_mask(devkit):
    train = open_devkit(devkit, "train")
    before = set_rows("train", train, check_set(train))
    assert [(row["id"], row["height"], row["width"]) for row in before] == [
        ("a", 6, 9),
        ("b", 7, 9),
    ]
    assert before[0]["mask"] == "SegmentationClass/a.png"
    write_mask(mask_file(devkit, "a"), np.zeros((6, 9)))
    after = set_rows("train", train, check_set(train))
    assert before[0]["mask_sha256"] != after[0]["mask_sha256"]
    assert before[0]["image_sha256"] == after[0]["image_sha256"]
    assert before[1] == after[1]


# --- writing ---


def test_the_palette_is_that_of_voc():
    palette = voc_palette()
    for index, colour in {
        0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 8: (64, 0, 0), 15: (192, 128, 128),
        20: (0, 64, 128), 255: (224, 224, 192),
    }.items():  # fmt: skip
        assert tuple(palette[index]) == colour
    assert len(np.unique(palette, axis=0)) == 256


def test_a_failed_devkit_leaves_nothing_and_another_is_kept(devkit, tmp_path):
    def broken():
        yield "a", picture(6, 9), ids_map(6, 9)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        write_devkit(devkit, {"train": ["a"]}, broken(), CLASSES, {})
    assert len(open_devkit(devkit, "trainval")) == 4
    with pytest.raises(RuntimeError):
        write_devkit(tmp_path / "new", {"train": ["a"]}, broken(), CLASSES, {})
    assert [file.name for file in tmp_path.iterdir()] == ["kit"]
    one = [("z", picture(6, 9), ids_map(6, 9))]
    write_devkit(devkit, {"train": ["z"]}, one, CLASSES, {})
    assert open_devkit(devkit, "train").ids == ("z",)
    assert not list_file(devkit, "val").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["kit"]


def test_a_folder_of_the_user_is_never_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("dear")
    with pytest.raises(DataError, match=r"mine: holds files of yours"):
        write_devkit(tmp_path / "mine", {"train": []}, [], CLASSES, {})
    assert (tmp_path / "mine/thesis.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([("a", 6, 6), ("b", 6, 6), ("e", 6, 6)], "image e is in no list"),
        ([("a", 6, 6), ("a", 6, 6)], "image a is in no list or was given before"),
        ([("a", 6, 6)], "listed images were not given: b"),
        ([("a", 6, 7), ("b", 6, 6)], "image a has shape"),
    ],
)
def test_a_devkit_holds_what_its_lists_say(tmp_path, images, message):
    given = [(name, picture(h, 6), ids_map(w, 6)) for name, h, w in images]
    with pytest.raises(DataError, match=message):
        write_devkit(tmp_path / "kit", {"train": ["a", "b"]}, given, CLASSES, {})
    assert not (tmp_path / "kit").exists()


def test_a_submission_is_what_the_server_takes(tmp_path):
    masks = [("t1", ids_map(5, 7, 1, 21)), ("t2", ids_map(6, 4, 2, 21))]
    for _, mask in masks:
        mask[0, 0] = 20
    write_submission(tmp_path / "one.tar", iter(masks))
    first = (tmp_path / "one.tar").read_bytes()
    write_submission(tmp_path / "two.tar", masks)
    assert first == (tmp_path / "two.tar").read_bytes()
    folder = "results/VOC2012/Segmentation/comp6_test_cls"
    with tarfile.open(tmp_path / "one.tar") as tar:
        assert tar.getnames() == [f"{folder}/t1.png", f"{folder}/t2.png"]
        assert {entry.mtime for entry in tar} == {0}
        tar.extractall(tmp_path, filter="data")
    for name, mask in masks:
        np.testing.assert_array_equal(read_mask(tmp_path / folder / f"{name}.png"), mask)
        with Image.open(tmp_path / folder / f"{name}.png") as image:
            assert image.mode == "P"
            assert image.getpalette()[:6] == [0, 0, 0, 128, 0, 0]


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([], "no predictions"),
        ([("a", ids_map(4, 4))], "the prediction of a holds id 255"),
        ([("a", np.zeros((4, 4), np.uint8))] * 2, "two predictions of a"),
    ],
)
def test_a_wrong_submission_is_refused_whole(tmp_path, masks, message):
    with pytest.raises(DataError, match=message):
        write_submission(tmp_path / "out.tar", masks)
    assert list(tmp_path.iterdir()) == []


# --- SBD ---


def names(start, stop):
    return [f"2008_{i:06d}" for i in range(start, stop)]


def test_the_merged_list_has_the_published_number_of_images():
    # 1,111 of VOC's val and 1,126 of its train are in SBD, which has 11,355 in all.
    voc_train, voc_val = names(0, 1464), names(1464, 2913)
    in_sbd = names(0, 1126) + names(1464, 2575) + names(3000, 12118)
    order = np.random.default_rng(0).permutation(in_sbd).tolist()
    sbd_train, sbd_val = order[:8498], order[8498:]
    assert (len(voc_train), len(voc_val), len(sbd_val)) == (1464, 1449, 2857)
    merged = sbd.merge_lists(voc_train, voc_val, sbd_train, sbd_val)
    assert len(merged) == len(set(merged)) == 10582
    assert not set(merged) & set(voc_val)
    assert set(voc_train) <= set(merged)
    assert merged == sorted(merged)


def test_val_is_taken_out_even_if_it_is_in_voc_train():
    assert sbd.merge_lists(["b", "a"], ["c", "d"], ["c", "e"], ["b", "f"]) == ["a", "b", "e", "f"]


@pytest.fixture
def both(devkit, tmp_path):
    """The devkit (train a, b; val c, d) and an SBD with b, c and the new ids e, f."""
    root = tmp_path / "benchmark_RELEASE/dataset"
    (root / "cls").mkdir(parents=True)
    (root / "img").mkdir()
    (root / "train.txt").write_text("b\nc\n")
    (root / "val.txt").write_text("e\nf\n")
    for i, name in enumerate("bcef"):
        segmentation = np.full((7, 9), i % 3, np.uint8)
        boundaries = np.array([np.eye(3), np.zeros((2, 2))], dtype=object)
        struct = {"Segmentation": segmentation, "Boundaries": boundaries}
        savemat(root / f"cls/{name}.mat", {"GTcls": struct}, do_compression=True)
        Image.fromarray(picture(7, 9, 40 + i)).save(root / f"img/{name}.jpg")
    (devkit / "classes.txt").unlink()
    return devkit, tmp_path


def test_sets_are_merged_and_voc_goes_first(both, tmp_path):
    devkit, extra = both
    sbd.merge_devkit(devkit, extra, tmp_path / "merged")
    splits = open_splits(tmp_path / "merged")
    train, val = splits["train"], splits["val"]
    assert (train.ids, val.ids) == (("a", "b", "e", "f"), ("c", "d"))
    assert check_set(train) == [(6, 9), (7, 9), (7, 9), (7, 9)]
    np.testing.assert_array_equal(train.mask(1), ids_map(7, 9, 1))  # VOC's, with void
    np.testing.assert_array_equal(train.mask(2), np.full((7, 9), 2))  # SBD's
    np.testing.assert_array_equal(val.mask(0), ids_map(8, 9, 2))
    with Image.open(train.masks[2]) as image:
        assert image.mode == "P"
    np.testing.assert_array_equal(train.image(1), picture(7, 9, 1))
    listed = sbd.files(devkit, extra)
    assert len(listed) == len(set(listed)) == 4 + 2 * 6
    assert any(file.endswith("cls/e.mat") for file in listed)
    assert not any(file.endswith("cls/b.mat") for file in listed)


def test_what_sbd_lacks_is_named_and_nothing_is_left(both, tmp_path):
    devkit, extra = both
    (extra / "benchmark_RELEASE/dataset/cls/e.mat").rename(tmp_path / "e.mat")
    with pytest.raises(DataError, match="1 of 6 listed ids have no mask: e"):
        sbd.merge_devkit(devkit, extra, tmp_path / "merged")
    (tmp_path / "e.mat").rename(extra / "benchmark_RELEASE/dataset/cls/e.mat")
    (extra / "benchmark_RELEASE/dataset/img/f.jpg").unlink()
    with pytest.raises(DataError, match="1 of 6 listed ids have no image: f"):
        sbd.merge_devkit(devkit, extra, tmp_path / "merged")
    mask_file(devkit, "d").unlink()
    with pytest.raises(DataError, match="no folder cls there"):
        sbd.sbd_root(devkit)
    assert not (tmp_path / "merged").exists()


def test_a_val_image_is_scored_by_vocs_mask_only(both, tmp_path):
    devkit, extra = both
    mask_file(devkit, "c").unlink()  # SBD has labels of c, without void
    with pytest.raises(DataError, match="have no mask: c"):
        sbd.merge_devkit(devkit, extra, tmp_path / "merged")


def test_damaged_labels_of_sbd_are_refused(tmp_path):
    file = tmp_path / "x.mat"
    with pytest.raises(DataError, match=r"x\.mat: file not found"):
        sbd.mask_of_mat(file)
    # Noise does not compress: what is cut off is missed.
    noise = np.random.default_rng(0).integers(0, 21, (60, 60), dtype=np.uint8)
    savemat(file, {"GTcls": {"Segmentation": noise}}, do_compression=True)
    np.testing.assert_array_equal(sbd.mask_of_mat(file), noise)
    file.write_bytes(file.read_bytes()[:900])
    with pytest.raises(DataError, match=r"x\.mat: is no MATLAB file"):
        sbd.mask_of_mat(file)
    for content, message in (
        ({"GTinst": {"Segmentation": noise}}, "has no GTcls.Segmentation"),
        ({"GTcls": {"Boundaries": noise}}, "has no GTcls.Segmentation"),
        ({"GTcls": noise}, "has no GTcls.Segmentation"),
        ({"GTcls": {"Segmentation": noise / 2}}, "is no map of class ids"),
        ({"GTcls": {"Segmentation": noise.astype(np.uint16) + 300}}, "holds id 3"),
    ):
        savemat(file, content)
        with pytest.raises(DataError, match=message):
            sbd.mask_of_mat(file)


# --- the entry ---


def test_the_entry_lists_a_devkit(devkit, tmp_path):
    prepare_target({"kind": "voc", "path": str(devkit)}, str(tmp_path / "t.csv"))
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0] == "id,split,image,mask,height,width,image_sha256,mask_sha256"
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["a", "train"], ["b", "train"], ["c", "val"], ["d", "val"],
    ]  # fmt: skip


def test_the_entry_merges_sbd(both, tmp_path):
    devkit, extra = both
    source = {"kind": "voc", "path": str(devkit), "sbd": str(extra)}
    prepare_target(source, str(tmp_path / "t.csv"), str(tmp_path / "merged"))
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 1 + 6
    with pytest.raises(ConfigError, match="folder: name the folder"):
        prepare_target(source, str(tmp_path / "t.csv"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"kind": "coco"}, "no target data 'coco'"),
        ({"kind": "voc"}, "path: set it"),
        ({"kind": "voc", "path": "x", "seed": 1}, "seed: voc has no such option"),
        ({"kind": "outdoor", "n": 3}, "unknown option 'n'"),
    ],
)
def test_the_entry_refuses_what_it_does_not_know(tmp_path, source, message):
    with pytest.raises(ConfigError, match=message):
        prepare_target(source, str(tmp_path / "t.csv"), str(tmp_path / "kit"))


def test_the_entry_writes_no_table_of_a_damaged_set(devkit, tmp_path):
    damage(devkit, "id")
    with pytest.raises(DataError, match="holds class id 3"):
        prepare_target({"kind": "voc", "path": str(devkit)}, str(tmp_path / "t.csv"))
    assert not (tmp_path / "t.csv").exists()


# --- real files ---


def test_real_voc_images_read(real_data):
    splits = open_splits(real_data / "voc")
    train, val = splits["train"], splits["val"]
    assert isinstance(train, SegmentationSet)
    assert (len(train), len(val)) == (140, 70)
    sizes = check_set(val)
    assert len(set(sizes)) > 5
    mask = val.mask(0)
    assert val.image(0).shape == (*mask.shape, 3)
    assert VOID in np.unique(np.concatenate([val.mask(i).ravel() for i in range(5)]))
    with Image.open(val.masks[0]) as image:
        assert image.getpalette()[: 3 * 21] == voc_palette()[:21].ravel().tolist()
