"""Packages that only some loaders need: there, missing or broken."""

from __future__ import annotations

import sys

import pytest
from taskrsa.errors import ConfigError
from taskrsa.networks.optional import optional_package
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
    words = r"cannot be imported .RuntimeError: first line, stopped_one.py line 1.; install"
    with pytest.raises(ConfigError, match=words) as caught:
        optional_package("stopped_one", row())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_libraries_can_be_imported_whatever_pytorch_is_built_for(package):
    assert optional_package(package, row()) is sys.modules[package]
