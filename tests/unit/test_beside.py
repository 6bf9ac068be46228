"""The user's modules that a network is made of, at any depth; not what is installed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from taskrsa.io.imports import imported_names
from taskrsa.networks.beside import module_files


@pytest.mark.parametrize(
    ("text", "package", "expected"),
    [
        ("import a.b, c as d", "", {"a.b", "c"}),
        ("from a import b as x, c", "", {"a", "a.b", "a.c"}),
        ("from . import b", "p.q", {"p.q", "p.q.b"}),
        ("from .a import b", "p.q", {"p.q.a", "p.q.a.b"}),
        ("from ..a import b", "p.q", {"p.a", "p.a.b"}),
        ("def f():\n    import late", "", {"late"}),
        ("not python (", "", set()),
    ],
)
def test_names_that_a_source_imports(text, package, expected):
    assert imported_names(text, package) == expected


def test_files_are_the_user_s_own_however_they_are_imported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    files = {
        "mine_first.py": "import json, numpy, torch\nfrom mine_package.sub import deep\n",
        "mine_package/__init__.py": "",
        "mine_package/sub/__init__.py": "from ..other import thing\n",
        "mine_package/sub/deep.py": "",
        "mine_package/other.py": "thing = 1\n",
        "mine_package/unused.py": "",
        "mine_late.py": "",
    }
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    importlib.import_module("mine_first")
    expected = sorted(files.keys() - {"mine_package/unused.py", "mine_late.py"})
    assert module_files("mine_first") == expected
    importlib.import_module("mine_late")
    assert module_files("mine_first", ["mine_late"]) == sorted([*expected, "mine_late.py"])
    assert module_files("timm") == module_files("no_such") == []
    for name in [name for name in sys.modules if name.startswith("mine_")]:
        del sys.modules[name]
