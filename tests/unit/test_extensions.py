"""Tasks, measures and sources from files outside the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from taskrsa import extensions
from taskrsa.data.sources import add_source
from taskrsa.errors import ConfigError
from taskrsa.rsa.measures import measure
from taskrsa.tasks import TASKS, task

SCRIPTS = Path(__file__).parents[2] / "scripts"
TASK = """
from taskrsa.labels import Label
from taskrsa.tasks import task

@task("mine", label="mine", type="new", output="image", loss="l1")
def mine(view, info):
    raise NotImplementedError
"""


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Leave the environment and the path as they were."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in (extensions.VARIABLE, "PYTHONPATH"):
        monkeypatch.setenv(name, os.environ.get(name, ""))


def run(code: str, *files: Path) -> subprocess.CompletedProcess:
    """Run code in a process of its own that knows the files."""
    names = os.pathsep.join(file.stem for file in files)
    folders = [str(SCRIPTS), *(str(file.parent) for file in files)]
    environment = os.environ | {extensions.VARIABLE: names}
    environment["PYTHONPATH"] = os.pathsep.join(folders)
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "first", ["taskrsa.tasks", "taskrsa.labels", "taskrsa.data.sources", "taskrsa.rsa.measures"]
)
def test_a_task_is_there_whatever_is_imported_first(tmp_path, first):
    file = tmp_path / "a_task_of_mine.py"
    file.write_text(TASK)
    done = run(
        f"import {first}\nfrom taskrsa.tasks import TASKS\nprint(TASKS['mine'].derive, len(TASKS))",
        file,
    )
    assert done.stdout.split() == ["a_task_of_mine:mine", str(len(TASKS) + 1)], done.stderr
    assert run("from taskrsa.tasks import TASKS; print(len(TASKS))").stdout.strip() == "20"


def test_files_are_made_known_to_what_is_started_later(tmp_path):
    (tmp_path / "known_later.py").write_text("VALUE = 7\n")
    assert extensions.use([tmp_path / "known_later.py"]) == [str(tmp_path / "known_later.py")]
    done = subprocess.run(
        [sys.executable, "-c", "import known_later; print(known_later.VALUE)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "7\n"
    extensions.load()
    assert sys.modules.pop("known_later").VALUE == 7


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.py", "there is no Python file .*none.py; correct it"),
        ("data.csv", "there is no Python file .*data.csv"),
        ("not-a-name.py", "not-a-name.py cannot be imported; name it by letters"),
        ("json.py", "there is another module named json; rename .*json.py"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, name, message):
    if name != "none.py":
        (tmp_path / name).write_text("")
    with pytest.raises(ConfigError, match=message):
        extensions.use([tmp_path / name])


def test_two_files_of_one_name(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "twice_named.py").write_text("")
    with pytest.raises(ConfigError, match="another module named twice_named"):
        extensions.use([tmp_path / "a/twice_named.py", tmp_path / "b/twice_named.py"])


def test_a_file_that_fails_is_one_line_that_names_it(tmp_path):
    (tmp_path / "it_fails.py").write_text("x = 1\ny = x.nothing\n")
    extensions.use([tmp_path / "it_fails.py"])
    with pytest.raises(ConfigError, match=r"it_fails: .*AttributeError.*it_fails.py, line 2\)"):
        extensions.load()


def test_names_that_are_taken():
    with pytest.raises(ConfigError, match="task edge2d: registered twice"):
        task("edge2d", label="", type="", output="image", loss="l1")
    with pytest.raises(ConfigError, match="task '2d edge': an id has letters"):
        task("2d edge", label="", type="", output="image", loss="l1")
    with pytest.raises(ConfigError, match="measure rsa: registered twice"):
        measure("rsa", label="", compare="spearman", source="")
    for kind in ("simulated", "folder"):
        with pytest.raises(ConfigError, match=f"source {kind}: there is one of that name"):
            add_source(kind, lambda: None)
    with pytest.raises(ConfigError, match="source 'My source': a kind has small letters"):
        add_source("My source", lambda: None)
