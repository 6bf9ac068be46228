"""Tables of networks: what a row may say, and the line that tells what is wrong with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.network import Network, weights_file
from taskrsa.networks.table import (
    COLUMNS,
    asset_of,
    network,
    random_network,
    read_bank,
    small_network,
    styles,
    trained_network,
)
from taskrsa.tasks.dictionary import TASKS

ROOT = Path(__file__).parents[2]
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


def test_where_the_head_of_a_target_is():
    assert network(ROW).head == ""
    found = network(ROW | {"head": "layer4.1"})
    assert found.head == "layer4.1"
    assert Network.from_json(json.loads(found.to_json())).head == "layer4.1"
    # RDMs do not depend on it.
    assert found.features_key() == network(ROW).features_key()
    with pytest.raises(ConfigError, match="^bank, row resnet, head: 'a b' is more than one name"):
        network(ROW | {"head": "a b"})
    row = {"name": "net", "loader": "random", "head": "block4"}
    with pytest.raises(
        ConfigError, match="^bank, row net, head: has no effect on random; leave it"
    ):
        network(row)


def test_what_may_be_left_empty():
    empty = dict.fromkeys(COLUMNS, "")
    found = network(empty | {"name": "depth", "loader": "taskonomy", "weights": "depth.pth"})
    assert found == Network("depth", "depth", "", "taskonomy", "depth.pth")
    found = network(empty | {"name": "net", "loader": "timm:resnet10t"})
    assert (found.size, found.mean, found.std, found.channels) == (None, (), (), "rgb")
    found = network(empty | {"name": "brain", "loader": "rdms", "weights": "it.npz"})
    assert found == Network("brain", "brain", "", "rdms", "it.npz")


@pytest.mark.parametrize(
    ("cells", "untrained"),
    [
        ({}, False),
        ({"loader": "random", "weights": "", "sha256": ""}, True),
        ({"untrained": "yes"}, True),
        ({"weights": "", "sha256": "", "arguments": '{"pretrained": false}'}, True),
        ({"weights": "", "sha256": "", "arguments": '{"weights": null}'}, True),
        ({"arguments": '{"pretrained": false}'}, False),  # a file brings the weights
        ({"weights": "", "sha256": "", "arguments": '{"pretrained": true}'}, False),
        ({"arguments": '{"weights": null}', "untrained": "no", "weights": "", "sha256": ""}, False),
    ],
)
def test_whether_a_network_is_untrained(cells, untrained):
    empty = {"size": "", "mean": "", "std": "", "channels": "", "layers": ""}
    row = ROW | cells
    if cells.get("loader") == "random":
        row |= empty
    assert network(row).untrained is untrained


def test_a_prior_is_a_number_and_makes_no_features_stale():
    found = network(ROW | {"prior": "1/2"})
    assert found.prior == 0.5
    assert network(ROW).prior is None
    assert (
        found.to_json() == network(ROW | {"untrained": "yes"}).to_json() == network(ROW).to_json()
    )


def test_a_task_gives_encoders_their_input_and_every_network_its_label_and_type():
    empty = dict.fromkeys(COLUMNS, "")
    found = network(empty | {"name": "a", "loader": "trained", "task": "colorization"})
    assert (found.label, found.type) == ("colorization", "2D")
    assert (found.input, found.clip, found.channels) == ("lightness", False, "lightness")
    assert found.mean == (0.5,)
    found = network(empty | {"name": "a", "loader": "random", "task": "class_1000"})
    assert (found.input, found.clip) == ("rgb", False)
    found = network(ROW | {"label": "", "type": "", "task": "class_1000"})
    assert (found.label, found.type, found.clip) == ("object class", "semantic", True)
    plain = network(empty | {"name": "a", "loader": "random", "channels": "lightness"})
    assert (plain.input, plain.clip) == ("lightness", True)


def test_rows_that_a_run_makes_are_those_that_a_table_would_hold():
    empty = dict.fromkeys(COLUMNS, "")
    layers = "block1 block2 block3 block4 compressed"
    for task in TASKS.values():
        cells = {"name": task.id, "loader": "trained", "layers": layers, "task": task.id}
        assert trained_network(task) == network(empty | cells)
    small = small_network(TASKS["colorization"], "colorization_w4_s0")
    assert (small.loader, small.channels) == ("small", "lightness")
    assert small.layers == (("", "compressed"),)
    cells = {"name": "random_00", "loader": "random", "layers": layers}
    assert random_network("random_00") == network(empty | cells)


def test_a_table_keeps_its_order_and_passes_comments_over(tmp_path):
    path = table(tmp_path / "bank.tsv", ROW | {"name": "b"}, ROW | {"name": "a", "type": "küche"})
    path.write_text("# my networks\n\n" + path.read_text())
    found = read_bank(path)
    assert list(found) == ["b", "a"]
    assert styles(found) == {"b": ("ResNet", "objects"), "a": ("ResNet", "küche")}


def test_the_example_is_a_bank():
    found = read_bank(ROOT / "config/networks/example.tsv")
    kinds = {row.loader.partition(":")[0] for row in found.values()}
    assert {"taskonomy", "onnx", "timm"} <= kinds


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prior": "good"}, "prior: 'good' is not a number"),
        ({"untrained": "maybe"}, "untrained: 'maybe' is neither yes nor no"),
        ({"name": "../x"}, r"row \.\./x, name: '\.\./x' must be letters"),
        ({"loader": "keras"}, r"loader: there is no loader 'keras'; give trained, random"),
        ({"loader": "timm:"}, "no loader 'timm:'"),
        ({"loader": "onnx", "weights": "", "sha256": ""}, "weights: is empty; onnx needs a file"),
        ({"sha256": "12"}, "sha256: '12' is not 64"),
        ({"weights": "https://x.org/a.pth", "sha256": ""}, "sha256: is empty; what is downloaded"),
        ({"weights": ""}, "sha256: is given without weights"),
        ({"weights": "package:timm"}, "weights: 'package:timm' does not name a file"),
        ({"channels": "hsv"}, "channels: 'hsv' is not one of rgb, bgr, grey, lightness, rgba"),
        ({"channels": ""}, "channels: '' is not one of"),
        ({"size": "-3"}, "size: '-3' is not a number"),
        ({"size": "²"}, "size: '²' is not a number"),
        ({"mean": "0.5 0.5"}, r"mean: '0.5 0.5' must be 1 or 3 numbers for the channels rgb"),
        ({"mean": ""}, "mean: '' must be"),
        ({"mean": "nan"}, "mean: 'nan' must be"),
        ({"std": "1/0"}, "std: '1/0' must be"),
        ({"std": "0"}, "std: must be positive"),
        ({"arguments": "{"}, "arguments: is not JSON"),
        ({"arguments": '{"a": ' + "[" * 4000}, "arguments: is nested too deeply; give a plain"),
        ({"arguments": "x" * 3_000_000}, "arguments: has 3000000 characters; a cell has 10000"),
        ({"size": "5000000"}, "size: 5000000 pixels are not within 1 to 4096"),
        ({"size": "1" * 26}, "size: '1+' is not a number of pixels"),
        ({"name": "x" * 101}, "name: 'x+' must be letters, .* 100 at most"),
        ({"label": "a\0b"}, r"label: 'a\\x00b' holds a control character; remove it"),
        ({"weights": "a\u2028b"}, r"weights: 'a\\u2028b' holds a control character"),
        ({"arguments": "[1]"}, "arguments: must be a JSON object"),
        ({"loader": "onnx", "arguments": '{"a": 1}'}, "arguments: a has no effect on onnx"),
        ({"loader": "onnx", "arguments": '{"trainable": 1}'}, "arguments: trainable is true or"),
        ({"loader": "onnx", "arguments": '{"inputs": [1]}'}, "arguments: inputs must be a JSON"),
        ({"layers": "auto layer1"}, "layers: auto stands alone"),
        ({"layers": "a=layer1 a=layer2"}, "layers: a is given twice"),
        ({"task": "juggling"}, "task: there is no task 'juggling'; there are autoencoder"),
        ({"loader": "trained", "weights": "", "sha256": ""}, "task: is empty; name the task"),
        ({"loader": "random"}, "weights: has no effect on random"),
        ({"loader": "small"}, "no loader 'small'"),
        ({"loader": "checkpoint"}, r"mean: checkpoint networks take \[-1, 1\]"),
        (
            {"loader": "checkpoint", "channels": "lightness", "task": "edge2d"},
            "channels: networks of edge2d take rgb, not lightness",
        ),
        ({"loader": "rdms"}, "size: has no effect on rdms"),
    ],
)
def test_what_is_wrong_with_a_row_is_one_line(changes, words):
    with pytest.raises(ConfigError, match=words) as caught:
        network(ROW | changes)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("bank, row ")


def test_what_is_wrong_with_a_table(tmp_path):
    def refuses(words: str, *paths: Path) -> None:
        with pytest.raises(ConfigError, match=words):
            read_bank(*paths)

    path = tmp_path / "bank.tsv"
    refuses("bank.tsv: no such table", path)
    refuses("has no row; add a network", table(path))
    refuses(r"line 3: name resnet is used twice", table(path, ROW, ROW))
    refuses("has no column std", table(path, header="\t".join(COLUMNS[:-2])))
    refuses("unknown column 'colour'", table(path, header="\t".join([*COLUMNS, "colour"])))
    refuses(
        "a column appears twice in the header", table(path, header="\t".join([*COLUMNS, "name"]))
    )
    refuses("line 2: 12 cells for 11 columns", table(path, ROW | {"more": "x"}))
    refuses(r"line 2: bank, row resnet, size", table(path, ROW | {"size": "big"}))
    rows = (ROW | {"name": "a", "std": "0"}, ROW, ROW | {"name": "c", "size": "big"}, ROW)
    refuses(
        r"^3 rows of networks cannot be used:\n  .*line 2: bank, row a, std: .*\n  .*line 4: bank, "
        r"row c, size: .*\n  .*line 5: name resnet is used twice; rename one$",
        table(path, *rows),
    )
    other = table(tmp_path / "other.tsv", ROW)
    refuses("other.tsv, line 2: name resnet is used twice", table(path, ROW), other)
    path.write_bytes(b"\xff\xfe")
    refuses("cannot be read .not UTF-8", path)


def test_weights_at_an_address_are_fetched_like_any_other_file(tmp_path):
    row = network(ROW | {"weights": "https://example.org/v1/model final.pth?raw=1"})
    asset = asset_of(row)
    assert asset.address == row.weights
    assert asset.file == f"{SHA256[:12]}-model_final.pth"
    assert asset.hash == f"sha256:{SHA256}"
    with pytest.raises(DataError, match="is not fetched yet"):
        weights_file(row)
    named = network(ROW | {"weights": f"https://example.org/normal_encoder-{SHA256}.pth"})
    assert asset_of(named).file == f"normal_encoder-{SHA256}.pth"
    (tmp_path / asset.file).write_bytes(b"")
    assert weights_file(row, tmp_path / asset.file) == tmp_path / asset.file


def test_tables_are_read_without_pytorch():
    code = "import sys, taskrsa.networks.table; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "scripts", check=False)
    assert done.returncode == 0


def test_mean_and_std_may_be_fractions():
    found = network(ROW | {"mean": "127.5/255", "std": "1/255"})
    assert (found.mean, found.std) == ((0.5,) * 3, (1 / 255,) * 3)


def test_a_fourth_channel_has_its_own_mean_and_std():
    found = network(ROW | {"channels": "rgba", "mean": "0.4 0.5 0.6 1", "std": "0.2 0.2 0.2 1"})
    assert found.n_channels == 4
    assert found.mean == (0.4, 0.5, 0.6, 1)
