"""Packages that only some loaders need: there, missing or broken."""

from __future__ import annotations

import sys

import pytest
import torch
from taskrsa.errors import ConfigError, memory_lacked
from taskrsa.networks.optional import blamed, optional_package
from user_networks import row


def test_a_package_that_is_missing_or_broken_is_one_line(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    words = r'row net, loader: no_such is not installed; install it: pip install "\.\[no_such\]"'
    with pytest.raises(ConfigError, match=words):
        optional_package("no_such", row())
    (tmp_path / "broken_one.py").write_text("import another_that_is_missing")
    words = r"broken_one cannot be imported .ModuleNotFoundError: .*another.*\[onnx\]"
    with pytest.raises(ConfigError, match=words):
        optional_package("broken_one", row(), "onnx")
    (tmp_path / "stopped_one.py").write_text("raise RuntimeError('first line\\nsecond')")
    words = r"is installed but cannot be imported .RuntimeError: first line, stopped_one.py line 1"
    with pytest.raises(ConfigError, match=words) as caught:
        optional_package("stopped_one", row())
    assert "\n" not in str(caught.value)


def test_what_pytorch_says_of_too_little_memory_is_a_memory_error():
    """PyTorch has no error of its own for it on processors: this asks for 4 exabytes."""
    with pytest.raises(MemoryError), blamed(row(), "loader", "fails"):
        torch.empty(2**60)
    for said, lacked in [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"), "memory of"),
        (RuntimeError("Failed to allocate memory for requested buffer of size 8"), "memory"),
        (RuntimeError("shapes do not fit"), ""),
        (ValueError("out of memory"), ""),
    ]:
        assert memory_lacked(said).startswith(lacked)
        assert bool(memory_lacked(said)) == bool(lacked)


def test_a_torchvision_that_does_not_fit_is_not_installed_again(tmp_path, monkeypatch):
    """Whatever package imports it: what is there has to be of another release."""
    folder = tmp_path / "torchvision"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('operator nms does not exist')\n")
    (tmp_path / "uses_it.py").write_text("import torchvision\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    words = (
        "uses_it is installed but cannot be imported .RuntimeError: operator nms does not exist.*"
        "; torchvision must be the release that fits torch: pip install --force-reinstall"
    )
    with pytest.raises(ConfigError, match=words):
        optional_package("uses_it", row())


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_libraries_can_be_imported_whatever_pytorch_is_built_for(package):
    assert optional_package(package, row()) is sys.modules[package]
