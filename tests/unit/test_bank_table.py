"""Tables of networks: what a row may say, and the line that tells what is wrong with it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.table import (
    COLUMNS,
    Network,
    asset_of,
    check_weights,
    network,
    read_bank,
    styles,
    weights_file,
)

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/bank.schema.yaml").read_text())
SHA256 = "ab" * 32
ROW = {
    "name": "resnet",
    "label": "ResNet",
    "type": "objects",
    "loader": "mine:make",
    "weights": "resnet.pth",
    "sha256": SHA256,
    "layers": "auto",
    "size": "224",
    "mean": "0.485 0.456 0.406",
    "std": "1/4",
    "channels": "rgb",
}


def table(path: Path, *rows: dict, header: str = "\t".join(COLUMNS)) -> Path:
    lines = ["\t".join(row.values()) for row in rows]
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


def test_a_row_is_read_into_numbers():
    found = network(ROW | {"arguments": '{"depth": [2, 3]}', "layers": "early=layer1 layer4*"})
    assert (found.size, found.mean, found.std) == (224, (0.485, 0.456, 0.406), (0.25,) * 3)
    assert found.arguments == {"depth": [2, 3]}
    assert found.layers == (("early", "layer1"), ("", "layer4*"))
    assert found.n_channels == 3
    assert network(ROW | {"mean": "127/255", "channels": "grey"}).mean == (127 / 255,)


def test_what_may_be_left_empty():
    empty = dict.fromkeys(COLUMNS, "")
    found = network(empty | {"name": "depth", "loader": "taskonomy", "weights": "depth.pth"})
    assert found == Network("depth", "depth", "", "taskonomy", "depth.pth")


def test_a_table_keeps_its_order_and_passes_comments_over(tmp_path):
    path = table(tmp_path / "bank.tsv", ROW | {"name": "b"}, ROW | {"name": "a", "type": "küche"})
    path.write_text("# my networks\n\n" + path.read_text())
    found = read_bank(path, SCHEMA)
    assert list(found) == ["b", "a"]
    assert styles(found) == {"b": ("ResNet", "objects"), "a": ("ResNet", "küche")}


def test_the_example_is_a_bank():
    found = read_bank(ROOT / "config/banks/example.tsv", SCHEMA)
    kinds = {row.loader.partition(":")[0] for row in found.values()}
    assert {"taskonomy", "onnx", "timm"} <= kinds


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "../x"}, r"row \.\./x, name: '\.\./x' must be letters"),
        ({"loader": "keras"}, r"row resnet, loader: there is no loader 'keras'; give taskonomy"),
        ({"loader": "timm:"}, "no loader 'timm:'"),
        ({"loader": "onnx", "weights": "", "sha256": ""}, "weights: is empty; onnx needs a file"),
        ({"sha256": "12"}, "sha256: '12' is not 64"),
        ({"weights": "https://x.org/a.pth", "sha256": ""}, "sha256: is empty; what an address"),
        ({"weights": ""}, "sha256: is given without weights"),
        ({"weights": "package:timm"}, "weights: 'package:timm' names no file"),
        ({"channels": "hsv"}, "channels: 'hsv' is none of rgb, bgr, grey, lightness"),
        ({"channels": ""}, "channels: '' is none of"),
        ({"size": "-3"}, "size: '-3' is no number"),
        ({"size": "²"}, "size: '²' is no number"),
        ({"mean": "0.5 0.5"}, r"mean: '0.5 0.5' must be 1 or 3 numbers for the channels rgb"),
        ({"mean": ""}, "mean: '' must be"),
        ({"mean": "nan"}, "mean: 'nan' must be"),
        ({"std": "1/0"}, "std: '1/0' must be"),
        ({"std": "0"}, "std: must be positive"),
        ({"arguments": "{"}, "arguments: is no JSON"),
        ({"arguments": "[1]"}, "arguments: must be a JSON object"),
        ({"loader": "onnx", "arguments": '{"a": 1}'}, "arguments: is of no use to onnx"),
        ({"layers": "auto layer1"}, "layers: auto stands alone"),
        ({"layers": "a=layer1 a=layer2"}, "layers: a is given twice"),
        ({"colour": "red"}, "colour: there is no such column"),
    ],
)
def test_what_is_wrong_with_a_row_is_one_line(changes, words):
    with pytest.raises(ConfigError, match=words) as caught:
        network(ROW | changes)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("bank, row ")


def test_what_is_wrong_with_a_table(tmp_path):
    def refuses(words: str, path: Path, schema: dict | None = None) -> None:
        with pytest.raises(ConfigError, match=words):
            read_bank(path, schema)

    path = tmp_path / "bank.tsv"
    refuses("bank.tsv: no such table", path)
    refuses("has no row; add a network", table(path))
    refuses(r"line 3: name resnet stands twice", table(path, ROW, ROW))
    refuses("has no column std", table(path, header="\t".join(COLUMNS[:-2])))
    refuses("unknown column 'colour'", table(path, header="\t".join([*COLUMNS, "colour"])))
    refuses("a column stands twice", table(path, header="\t".join([*COLUMNS, "name"])))
    refuses("line 2: 12 cells for 11 columns", table(path, ROW | {"more": "x"}))
    refuses(r"line 2: bank, row resnet, size", table(path, ROW | {"size": "big"}))
    refuses(r"line 2, row resnet, size: 'big' does not match", path, SCHEMA)
    path.write_bytes(b"\xff\xfe")
    refuses("cannot be read .not UTF-8", path)


def test_schema_and_library_know_the_same_columns():
    assert SCHEMA["required"] == list(COLUMNS)
    assert list(SCHEMA["properties"]) == [*COLUMNS, "arguments"]


def test_weights_are_found_and_checked(tmp_path, monkeypatch):
    file = tmp_path / "a.pth"
    file.write_bytes(b"weights")
    monkeypatch.setenv("BANK", str(tmp_path))
    right = hashlib.sha256(b"weights").hexdigest()
    row = network(ROW | {"weights": "$BANK/a.pth", "sha256": right})
    assert weights_file(row) == file
    check_weights(row, file)
    with pytest.raises(DataError, match=f"row resnet, sha256: .*has SHA-256 {right}, not {SHA256}"):
        check_weights(network(ROW), file)
    with pytest.raises(DataError, match="row resnet, weights: there is no file resnet.pth"):
        weights_file(network(ROW))
    assert weights_file(network(ROW | {"weights": "", "sha256": ""})) is None


def test_weights_inside_a_package(tmp_path, monkeypatch):
    folder = tmp_path / "some_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('must not be run')")
    (folder / "a.onnx").write_bytes(b"")
    monkeypatch.syspath_prepend(str(tmp_path))
    row = network(ROW | {"weights": "package:some_weights/a.onnx"})
    assert weights_file(row) == folder / "a.onnx"
    with pytest.raises(ConfigError, match="weights: package no_such_one is not installed"):
        weights_file(network(ROW | {"weights": "package:no_such_one/a.onnx"}))


def test_weights_at_an_address_are_fetched_like_any_other_file(tmp_path):
    row = network(ROW | {"weights": "https://example.org/v1/model final.pth?raw=1"})
    asset = asset_of(row)
    assert asset.address == row.weights
    assert asset.file == f"{SHA256[:12]}-model_final.pth"
    assert asset.hash == f"sha256:{SHA256}"
    with pytest.raises(DataError, match="is not fetched yet"):
        weights_file(row)
    (tmp_path / asset.file).write_bytes(b"")
    assert weights_file(row, tmp_path / asset.file) == tmp_path / asset.file


def test_tables_are_read_without_pytorch():
    code = "import sys, taskrsa.networks.table; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "scripts", check=False)
    assert done.returncode == 0
