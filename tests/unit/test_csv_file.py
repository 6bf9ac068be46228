"""CSV files of labelled photographs: classes and numbers, splits, and what can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labelled_files import photo
from taskrsa.errors import DataError
from taskrsa.targets.csv_file import read_csv


@pytest.fixture
def table(tmp_path) -> Path:
    for at in range(8):
        photo(tmp_path / f"set/{at}.png", at)
    return tmp_path / "labels.csv"


def write(table: Path, header: str, rows: list[str]) -> Path:
    table.write_text("\n".join([header, *rows]) + "\n")
    return table


def images(n: int = 8) -> list[str]:
    return [f"set/{at}.png" for at in range(n)]


# --- classes ---


def test_classes_are_drawn_separately(table):
    rows = [f"{image},{'purr' if at < 4 else 'bark'}" for at, image in enumerate(images())]
    layout = read_csv("classification", write(table, "image,label", rows), 0.5, 0)
    assert layout.classes == ("bark", "purr")
    val = [one.label for one in layout.examples if one.split == "val"]
    assert sorted(val) == ["bark"] * 2 + ["purr"] * 2
    assert layout.files()[0] == str(table)
    assert len(layout.files()) == 9


def test_a_split_is_taken_as_it_is(table):
    rows = [f"{image},{'ab'[at % 2]},{'val' if at > 5 else 'train'}"
            for at, image in enumerate(images())]  # fmt: skip
    layout = read_csv("classification", write(table, "image,label,split", rows), 0.5, 0)
    assert [one.id for one in layout.examples if one.split == "val"] == ["set/6", "set/7"]


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("photo,label", ["a.png,x"], "has no column image; add it"),
        ("image,class", ["a.png,x"], "has no column label; add it"),
        ("image,label", [], "has no row; list images"),
        ("image,label", ["set/0.png,"], "line 2: has no label"),
        ("image,label", [",x"], "line 2: needs an image"),
        ("image,label,split", ["set/0.png,x,test"], "line 2: needs an image, and train, val or"),
        ("image,label,split", ["set/0.png,x,train", "set/1.png,y,"], "some rows have a split and"),
        ("image,label", ["set/0.png,x", "none.png,y"], "1 images are missing: .*none.png"),
        ("image,label", ["set/0.png,x", "set/1.png,x"], "one label only"),
        ("image,label", ["set/0.png,x", "set/1.png,x", "set/2.png,y"], "class y has 1 images; at"),
        ("image,label,split", ["set/0.png,x,train", "set/1.png,y,val"], "classes y are in val but"),
        ("image,label,split", ["set/0.png,x,val", "set/1.png,y,val"], "train has no images"),
        ("image,label,split", ["set/0.png,x,train", "set/1.png,y,train"], "val has no images"),
        ("image,label", ["set/0.png,x", "set/0.png,y"], "images are named set/0"),
        ("image,label,label", ["set/0.png,x,y"], "column label is listed twice"),
        ("image,label", ["set/0.png,x,y"], "line 2: has more cells than the header"),
        ("image;label", ["set/0.png;x"], "is separated by semicolons; save it with commas"),
        ("image\tlabel", ["set/0.png\tx"], "is separated by tabs; save it with commas"),
        ("image,label", [".,x"], "line 2: needs an image"),
        ("image,label", ["set/0.png,x", f"{'n' * 5000}.png,y"], "1 images are missing"),
    ],
)
def test_classes_that_cannot_be_used(table, header, rows, message):
    write(table, header, rows)
    with pytest.raises(DataError, match=message) as caught:
        read_csv("classification", table, 0.25, 0)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(DataError, match="none.csv: no such CSV file; correct the target's path"):
        read_csv("values", tmp_path / "none.csv", 0.25, 0)
    with pytest.raises(DataError, match="is a folder; name the CSV file in it"):
        read_csv("values", tmp_path, 0.25, 0)
    (tmp_path / "a.csv").write_bytes(b"\xff\xfeimage")
    with pytest.raises(DataError, match="cannot be read .*save it as UTF-8 CSV"):
        read_csv("values", tmp_path / "a.csv", 0.25, 0)


# --- numbers ---


def test_every_other_column_is_a_number(table):
    rows = [f"{250_000 + at}, {image},{-at / 2},1e{at}" for at, image in enumerate(images())]
    layout = read_csv("values", write(table, "price,image,slope,area", rows), 0.25, 0)
    assert layout.classes == ("price", "slope", "area")
    assert layout.examples[3].label == (250_003, -1.5, 1000)
    assert layout.examples[3].image == table.parent / "set/3.png"
    assert sorted(one.split for one in layout.examples) == ["train"] * 6 + ["val"] * 2
    other = read_csv("values", table, 0.25, 1)
    assert [one.split for one in other.examples] != [one.split for one in layout.examples]


def test_a_number_may_mean_unknown(table):
    rows = [f"{image},{-1 if at == 2 else at}" for at, image in enumerate(images())]
    layout = read_csv("values", write(table, "image,age", rows), 0.25, 0, unknown=-1)
    assert np.isnan(layout.examples[2].label[0])
    assert layout.examples[3].label == (3.0,)


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("image", ["set/0.png"], "has no column of numbers besides image"),
        ("image,split", ["set/0.png,train"], "has no column of numbers besides image"),
        ("image,age", ["set/0.png,1", "set/1.png,old"], "line 3: age is 'old', not a number"),
        ("image,age", ["set/0.png,1", "set/1.png,"], "line 3: age is '', not a number; correct"),
        ("image,age", ["set/0.png,nan"], "line 2: age is 'nan', not a number"),
        ("image,age", ["set/0.png,inf"], "line 2: age is 'inf', not a number"),
        ("image,age", ["set/0.png,1"], "there are 1 images; at least one to train on and one"),
        ("image,age", ['"set/0.png",1', '"no\nne.png",2', "x.png,b"], "line 5: age is 'b'"),
    ],
)
def test_numbers_that_cannot_be_used(table, header, rows, message):
    write(table, header, rows)
    with pytest.raises(DataError, match=message):
        read_csv("values", table, 0.25, 0)
