"""What `python -m taskrsa new` says of a target's folder or file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from image_files import photograph, refuses, save, truncate
from taskrsa.errors import ConfigError, DataError
from taskrsa.new import target as module
from taskrsa.new.target import Found, look_at
from taskrsa.targets.prepare import write_target


def facts(found: Found) -> dict[str, str]:
    return dict(found.facts)


def classes(root: Path, names: tuple[str, ...] = ("cat", "dog"), n: int = 8) -> Path:
    for at, name in enumerate(names):
        for number in range(n):
            save(root / name / f"{number}.png", photograph(100 * at + number))
    return root


def pairs(root: Path, name: str, label, n: int = 8, side: int = 32) -> Path:
    for number in range(n):
        save(root / "images" / f"{number}.png", photograph(number, side, side))
        save(root / name / f"{number}.png", label(number, side))
    return root


def mask(number: int, side: int = 32) -> np.ndarray:
    ids = np.zeros((side, side), np.uint8)
    ids[: side // 2] = 1 + number % 3
    return ids


def depth(number: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 4000, (side, side), dtype=np.uint16)


def listed(root: Path, text: str, n: int = 16) -> Path:
    """Write a CSV whose lines hold {n}, one for each of n images, below its header."""
    header, line = text.split("|")
    for number in range(n):
        save(root / f"photographs/{number}.png", photograph(number))
    lines = [f"photographs/{n}.png,{line.format(n=n, m=n % 2)}" for n in range(n)]
    path = root / "list.csv"
    path.write_text("\n".join([f"image,{header}", *lines]) + "\n")
    return path


def readable(found: Found, tmp_path: Path) -> bool:
    """Tell whether a run could prepare the target that was found."""
    data = found.data.model_copy(update={"image_size": 32})
    return len(write_target(data, found.layout, tmp_path / "data.h5")) == len(found.layout.examples)


def test_folders_of_classes(tmp_path):
    root = classes(tmp_path / "pets")
    save(root / "loose.png", photograph(1))
    (root / "notes.txt").write_text("mine")
    (root / "cat" / ".hidden").write_text("")
    found = look_at(str(root))
    assert found.data.kind == "classification"
    assert found.is_drawn
    assert found.side == 32
    said = facts(found)
    assert said["classes"] == "2: cat, dog; 6 training images each"
    assert said["images"].startswith("12 to train on, 4 to score on (drawn, as")
    assert said["size"] == "32 x 32 pixels"
    assert said["ignored"] == "1 image without a label (loose.png), 1 file .txt"
    assert not found.doubts
    assert readable(found, tmp_path)


def test_a_split_in_folders_and_few_images_of_a_class(tmp_path):
    classes(tmp_path / "pets/train", n=3)
    classes(tmp_path / "pets/val", n=2)
    classes(tmp_path / "pets/test", n=1)
    found = look_at(str(tmp_path / "pets"))
    assert not found.is_drawn
    assert facts(found)["images"] == ("6 to train on, 4 to score on (folders train and val)")
    assert facts(found)["ignored"] == "2 images without a label (0.png, 0.png)"
    assert found.doubts == ("fewer than 5 training images of cat, dog",)


def test_images_and_masks_without_names(tmp_path):
    found = look_at(str(pairs(tmp_path / "streets", "masks", mask)))
    said = facts(found)
    assert said["kind"] == "segmentation (images and masks)"
    assert said["classes"] == "4, class_0 to class_3"
    assert "void" not in said
    assert "classes have no names" in found.doubts[0]
    assert readable(found, tmp_path)


@pytest.mark.parametrize("held", [(0, 255), (0, 7, 200)])
def test_masks_of_other_values_are_classes_by_these(tmp_path, held):
    def mask_of(number, side):
        return np.array(held, np.uint8)[mask(number, side) % len(held)]

    found = look_at(str(pairs(tmp_path / "streets", "masks", mask_of)))
    assert found.data.mask_values == held
    assert facts(found)["classes"].startswith(f"{len(held)}: class_0, class_{held[1]}")
    assert "(mask_values)" in found.doubts[0]
    assert readable(found, tmp_path)


def test_images_and_masks_with_names_and_void(tmp_path):
    def with_void(number, side):
        ids = mask(number, side)
        ids[:, : side // 4] = 255
        return ids

    root = pairs(tmp_path / "streets", "masks", with_void)
    (root / "classes.txt").write_text("road\nsky\ntree\nhouse\ncar\n")
    found = look_at(str(root))
    said = facts(found)
    assert said["classes"] == "5: road, sky, tree, house, car (classes.txt); 4 of them seen"
    assert said["void"] == "25.0 % of the pixels (id 255)"
    assert not found.doubts
    (root / "classes.txt").write_text("road\nsky\n")
    refuses(DataError, "holds class id 2", lambda: look_at(str(root)))


def test_images_and_maps(tmp_path):
    found = look_at(str(pairs(tmp_path / "rooms", "maps", lambda n, side: depth(n) + 5)))
    assert found.data.kind == "regression"
    assert facts(found)["values"].startswith("from 5 to ")
    assert not found.doubts

    def with_holes(number, side):
        values = depth(number) + 5
        values[:8] = 0
        return values

    found = look_at(str(pairs(tmp_path / "holes", "maps", with_holes)))
    assert found.doubts == ("25.0 % of the pixels are 0; if that means unknown, add unknown: 0",)
    assert readable(found, tmp_path)


def test_masks_and_maps_are_ambiguous(tmp_path):
    root = pairs(tmp_path / "both", "masks", mask)
    pairs(root, "maps", lambda n, side: depth(n))
    found = look_at(str(root))
    assert found.data.kind == "segmentation"
    assert "for maps, add --kind regression" in found.doubts[0]
    assert look_at(str(root), "regression").data.kind == "regression"


def test_a_devkit(tmp_path):
    root = tmp_path / "VOC2012"
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    for number in range(6):
        save(root / f"JPEGImages/{number}.jpg", photograph(number, 40, 60))
        save(root / f"SegmentationClass/{number}.png", np.full((40, 60), number, np.uint8))
    save(root / "JPEGImages/unlisted.jpg", photograph(9))
    (lists / "train.txt").write_text("0\n1\n2\n3\n")
    (lists / "val.txt").write_text("4\n5\n")
    found = look_at(str(tmp_path))
    said = facts(found)
    assert found.data.kind == "segmentation"
    assert "devkit" in said["kind"]
    assert said["classes"].startswith("21: background, aeroplane")
    assert said["classes"].endswith("(Pascal VOC's); 6 of them seen")
    assert said["images"].endswith("(lists train and val)")
    assert said["ignored"] == "1 image without a label (unlisted.jpg)"
    assert said["size"] == "60 x 40 pixels"
    assert found.side == 40


@pytest.mark.parametrize(
    ("text", "kind", "doubt"),
    [
        ("label|class {m}", "classification", ""),
        ("label|{m}", "classification", "if they measure something, add --kind values"),
        ("label|{n}.5", "values", ""),
        ("label|{m}.5", "values", "if they are classes, add --kind classification"),
        ("price|{n}.25", "values", ""),
        ("price|{m}", "values", "if they are classes, name the column label"),
        ("price,age|{m},{n}", "values", ""),
    ],
)
def test_lists_of_classes_and_numbers(tmp_path, text, kind, doubt):
    found = look_at(str(listed(tmp_path, text)))
    assert found.data.kind == kind
    assert found.is_drawn
    if doubt:
        assert doubt in found.doubts[0]
    else:
        assert not found.doubts
    assert readable(found, tmp_path)


def test_a_kind_that_is_given_goes_first(tmp_path):
    path = listed(tmp_path, "label|{m}")
    found = look_at(str(path), "values")
    assert found.data.kind == "values"
    assert facts(found)["label"] == "from 0 to 1"
    refuses(DataError, "no column label", lambda: look_at(
        str(listed(tmp_path, "price|{n}")), "classification"))  # fmt: skip


def test_what_a_list_leaves_out(tmp_path):
    path = listed(tmp_path, "label,split,owner|class {m},train,me", n=10)
    path.write_text(path.read_text().replace("9.png,class 1,train", "9.png,class 1,val"))
    save(tmp_path / "photographs/other.png", photograph(3))
    found = look_at(str(path))
    assert not found.is_drawn
    assert facts(found)["images"] == "9 to train on, 1 to score on (column split)"
    assert facts(found)["ignored"] == "column owner, 1 image without a label (other.png)"


def test_large_sets_are_looked_at_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOOKED_AT", 5)
    found = look_at(str(classes(tmp_path / "pets")))
    assert found.doubts == ("only 4 of the images were opened; the run checks all of them",)


def test_environment_variables_stay(tmp_path, monkeypatch):
    classes(tmp_path / "pets")
    monkeypatch.setenv("PETS", str(tmp_path))
    assert look_at("$PETS/pets").data.path == "$PETS/pets"
    refuses(ConfigError, "variable that is not set", lambda: look_at("$NO_PETS/pets"))


def test_what_is_no_target_is_one_line(tmp_path):
    refuses(DataError, "there is no such folder", lambda: look_at(str(tmp_path / "none")))
    (tmp_path / "empty").mkdir()
    refuses(DataError, "has an unknown layout", lambda: look_at(str(tmp_path / "empty")))
    save(tmp_path / "bare/images/1.png", photograph(0))
    refuses(DataError, "neither masks", lambda: look_at(str(tmp_path / "bare")))
    (tmp_path / "text.csv").write_text("image,species\na.png,rose\n")
    refuses(
        DataError, "neither classes .* nor numbers", lambda: look_at(str(tmp_path / "text.csv"))
    )
    (tmp_path / "gone.csv").write_text("image,label\na.png,1\nb.png,2\n")
    refuses(
        DataError, "gone.csv: 2 images are missing", lambda: look_at(str(tmp_path / "gone.csv"))
    )
    root = pairs(tmp_path / "odd", "masks", mask)
    (root / "masks/3.png").unlink()
    refuses(DataError, "have no partner", lambda: look_at(str(root)))
    root = classes(tmp_path / "broken")
    truncate(root / "cat/0.png")
    refuses(DataError, "cat/0.png", lambda: look_at(str(root)))
