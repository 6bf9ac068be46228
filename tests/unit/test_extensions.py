"""Tasks, measures and sources from files outside the package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from taskrsa import extensions
from taskrsa.data.sources import add_source
from taskrsa.errors import ConfigError
from taskrsa.rsa.measures import measure
from taskrsa.tasks.dictionary import INPUTS, LOSSES_OF, TASKS, task

SCRIPTS = Path(__file__).parents[2] / "scripts"
TASK = """
from taskrsa.tasks.labels import Label
from taskrsa.tasks.dictionary import task

@task("mine", label="mine", type="new", output="image", loss="l1")
def mine(view, info):
    raise NotImplementedError
"""


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Leave the environment and the path as they were."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv(extensions.VARIABLE, "")


def run(code: str, *files: Path) -> subprocess.CompletedProcess:
    """Run code in a process of its own that knows the files."""
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    environment[extensions.VARIABLE] = json.dumps([*map(str, files)])
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "first",
    [
        "taskrsa.tasks.dictionary",
        "taskrsa.tasks.labels",
        "taskrsa.data.sources",
        "taskrsa.rsa.measures",
    ],
)
def test_a_task_is_there_whatever_is_imported_first(tmp_path, first):
    file = tmp_path / "a_task_of_mine.py"
    file.write_text(TASK)
    done = run(
        f"import {first}\nfrom taskrsa.tasks.dictionary import TASKS\n"
        "print(TASKS['mine'].derive, len(TASKS))",
        file,
    )
    assert done.stdout.split() == ["a_task_of_mine:mine", str(len(TASKS) + 1)], done.stderr
    assert (
        run("from taskrsa.tasks.dictionary import TASKS; print(len(TASKS))").stdout.strip() == "20"
    )


def test_a_label_function_is_found_where_nothing_else_has_asked_for_the_file(tmp_path):
    """A job knows the task from its flags only, as here."""
    (tmp_path / "a_task_of_mine.py").write_text(TASK)
    done = run(
        "from taskrsa.tasks.labels import available_tasks\nfrom taskrsa.tasks.task import Task\n"
        "import sys; assert 'taskrsa.tasks.dictionary' not in sys.modules\n"
        "task = Task('mine', 'image', 'l1', 'a_task_of_mine:mine')\n"
        "try: available_tasks([task], None, None)\n"
        "except NotImplementedError: print('called')",
        tmp_path / "a_task_of_mine.py",
    )
    assert done.stdout == "called\n", done.stderr


def test_files_are_made_known_to_what_is_started_later_and_imported_once(tmp_path, monkeypatch):
    file = tmp_path / "known_later.py"
    file.write_text("import helper_of_mine\nprint('imported', helper_of_mine.VALUE)\n")
    (tmp_path / "helper_of_mine.py").write_text("VALUE = 7\n")
    monkeypatch.setenv("MINE", str(tmp_path))
    assert extensions.use(["$MINE/sub/../known_later.py"]) == [str(file)]
    done = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import taskrsa.tasks.dictionary, taskrsa.data.sources, taskrsa.tasks.labels",
        ],
        env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "imported 7\n"


def test_neighbours_of_a_file_do_not_stand_in_for_other_modules(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for path in ("a/random.py", "a/numpy.py", "a/second_of_mine.py"):
        (tmp_path / path).write_text("raise SystemError('a neighbour is imported')\n")
    (tmp_path / "a/a_task_of_mine.py").write_text(TASK)
    (tmp_path / "b/second_of_mine.py").write_text("print('the second')\n")
    done = run(
        "from taskrsa.tasks.dictionary import TASKS; import numpy, random; print('mine' in TASKS)",
        tmp_path / "a/a_task_of_mine.py",
        tmp_path / "b/second_of_mine.py",
    )
    assert done.stdout == "the second\nTrue\n", done.stderr


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


@pytest.mark.parametrize("wrong", [5, None, ["a.py"]])
def test_what_is_no_path_is_refused(wrong):
    with pytest.raises(ConfigError, match="config, extensions: .* is not a path; name a Python"):
        extensions.use([wrong])


def test_a_folder_may_have_any_name(tmp_path):
    """Of a path with a colon, two would be made where colons split a list of paths."""
    folder = tmp_path / "a:b c;'"
    folder.mkdir()
    (folder / "in_odd_folder.py").write_text("print('imported')\n")
    extensions.use([folder / "in_odd_folder.py"])
    done = subprocess.run(
        [sys.executable, "-c", "from taskrsa import extensions; extensions.load()"],
        env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "imported\n", done.stderr


def test_two_files_of_one_name(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "twice_named.py").write_text("")
    with pytest.raises(ConfigError, match="another module named twice_named"):
        extensions.use([tmp_path / "a/twice_named.py", tmp_path / "b/twice_named.py"])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "x = 1\ny = x.nothing\n",
            r"it_fails.py, line 2: cannot be imported \(AttributeError: .*\)",
        ),
        ("\n\nimport nowhere_at_all\n", "it_fails.py, line 3: cannot .*ModuleNotFoundError: No"),
        ("\ndef f(:\n", "it_fails.py, line 2: cannot be imported .SyntaxError"),
        ("import json\n\njson.loads('')\n", "it_fails.py, line 3: cannot .*JSONDecodeError"),
        (
            "raise ValueError('two\\nlines')\n",
            "line 1: cannot be imported .ValueError: two lines.; correct",
        ),
        ("raise SystemExit(3)\n", "it_fails.py, line 1: cannot be imported .SystemExit: 3"),
        (
            TASK.replace("mine", "edge2d"),
            "it_fails.py, line 5: task edge2d: registered twice; give",
        ),
        (
            TASK.replace("l1", "l3"),
            "line 5: task mine: loss 'l3' does not fit .*; choose l1 or l2$",
        ),
    ],
)
def test_a_file_that_fails_is_one_line_that_names_it(tmp_path, code, message):
    (tmp_path / "it_fails.py").write_text(code)
    extensions.use([tmp_path / "it_fails.py"])
    # It is not taken for imported the second time.
    for _ in range(2):
        with pytest.raises(ConfigError, match=message) as caught:
            extensions.load()
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(f"extension {tmp_path}")


def test_the_file_that_fails_is_named_where_another_one_loads_it(tmp_path):
    (tmp_path / "it_fails.py").write_text("import nowhere_at_all\n")
    (tmp_path / "a_task_of_mine.py").write_text(TASK)
    done = run(
        "from taskrsa import extensions\nfrom taskrsa.errors import ConfigError\n"
        "try: extensions.load()\nexcept ConfigError as error: print(error)",
        tmp_path / "a_task_of_mine.py",
        tmp_path / "it_fails.py",
    )
    assert done.stdout.startswith(f"extension {tmp_path / 'it_fails.py'}, line 1: "), done.stderr


def test_names_that_are_taken():
    with pytest.raises(ConfigError, match="task edge2d: registered twice"):
        task("edge2d", label="", type="", output="image", loss="l1")
    with pytest.raises(ConfigError, match="task '2d edge': an id has letters"):
        task("2d edge", label="", type="", output="image", loss="l1")
    with pytest.raises(ConfigError, match="task random_x: names in random are for untrained"):
        task("random_x", label="", type="", output="image", loss="l1")
    with pytest.raises(ConfigError, match="measure rsa: registered twice"):
        measure("rsa", label="", compare="spearman", source="")
    for kind in ("simulated", "folder"):
        with pytest.raises(ConfigError, match=f"source {kind}: the name is taken"):
            add_source(kind, lambda: None)
    with pytest.raises(ConfigError, match="source 'My source': a kind has small letters"):
        add_source("My source", lambda: None)


def test_outputs_losses_and_inputs_that_there_are():
    from taskrsa.training.losses import LOSSES

    assert {loss for losses in LOSSES_OF.values() for loss in losses} == set(LOSSES)
    for row in TASKS.values():
        assert row.loss in LOSSES_OF[row.output]
        assert row.input in INPUTS
    names = {"label": "", "type": ""}
    with pytest.raises(ConfigError, match="task new: no output 'map'; choose one of image, ids"):
        task("new", **names, output="map", loss="l1")
    with pytest.raises(ConfigError, match="task new: no input 'grey'; choose one of rgb, light"):
        task("new", **names, output="image", loss="l1", input="grey")
    with pytest.raises(ConfigError, match="task new: has no channels to embed in; set embedding"):
        task("new", **names, output="embedding", loss="metric")
    assert "new" not in TASKS
