"""A network as jobs get it: by way of JSON, its weights found and checked."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.network import Network, checked_weights, weights_file
from taskrsa.networks.table import read_bank

ROOT = Path(__file__).parents[2]
SHA256 = "ab" * 32
NETWORK = Network("resnet", "ResNet", "objects", "mine:make", "resnet.pth", SHA256)


def test_a_network_comes_back_from_json_without_its_label():
    for table in (ROOT / "config/networks").glob("*.tsv"):
        for network in read_bank(table).values():
            again = Network.from_json(json.loads(network.to_json()))
            shown = {"label": network.name, "prior": None, "untrained": False}  # of tables alone
            assert again == replace(network, **shown)
            assert again.layers == network.layers
    assert "label" not in NETWORK.to_json()


def test_weights_are_found_and_checked(tmp_path, monkeypatch):
    file = tmp_path / "a.pth"
    file.write_bytes(b"weights")
    monkeypatch.setenv("BANK", str(tmp_path))
    right = hashlib.sha256(b"weights").hexdigest()
    row = replace(NETWORK, weights="$BANK/a.pth", sha256=right)
    assert checked_weights(row) == checked_weights(replace(row, sha256="")) == file
    with pytest.raises(DataError, match=f"row resnet, sha256: .*has SHA-256 {right}, not {SHA256}"):
        checked_weights(NETWORK, file)
    with pytest.raises(DataError, match="row resnet, weights: there is no file resnet.pth"):
        weights_file(NETWORK)
    assert weights_file(replace(NETWORK, weights="", sha256="")) is None


def test_weights_inside_a_package(tmp_path, monkeypatch):
    folder = tmp_path / "some_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('must not be run')")
    (folder / "a.onnx").write_bytes(b"")
    monkeypatch.syspath_prepend(str(tmp_path))
    row = replace(NETWORK, weights="package:some_weights/a.onnx")
    assert weights_file(row) == folder / "a.onnx"
    with pytest.raises(ConfigError, match="weights: package no_such_one is not installed"):
        weights_file(replace(NETWORK, weights="package:no_such_one/a.onnx"))


def test_networks_are_known_without_pytorch():
    code = "import sys, taskrsa.networks.network; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "scripts", check=False)
    assert done.returncode == 0
