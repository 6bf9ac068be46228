"""The code behind a rule, and the command that runs it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from taskrsa.plan import code

SCRIPTS = Path(__file__).parents[2] / "scripts"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def scripts(tmp_path):
    write(
        tmp_path,
        {
            "entry.py": "from taskrsa.a import b\n\n\ndef main(x, y=2, threads=1):"
            "\n    from taskrsa import c\n",
            "taskrsa/__init__.py": "",
            "taskrsa/a/__init__.py": "",
            "taskrsa/a/b.py": "import numpy\nimport taskrsa.d\n",
            "taskrsa/c.py": "from taskrsa.a import b\n",
            "taskrsa/d.py": "from taskrsa import (\n    a,  # of use, too\n    e,\n)\n"
            "HERE / 'rows.tsv', HERE / 'absent.tsv'",
            "taskrsa/e.py": "",
            "taskrsa/rows.tsv": "",
            "taskrsa/alone.py": "",
        },
    )
    return tmp_path


def test_an_entry_stands_first_then_every_module_that_it_imports(scripts):
    files = [str(path.relative_to(scripts)) for path in code.files_of(scripts, "entry")]
    assert files[0] == "entry.py"
    assert files[1:] == sorted(files[1:])
    assert set(files[1:]) == {
        *("taskrsa/__init__.py", "taskrsa/a/__init__.py"),
        *("taskrsa/a/b.py", "taskrsa/c.py", "taskrsa/d.py", "taskrsa/e.py"),
        # A table of the library that one of them reads.
        "taskrsa/rows.tsv",
    }
    lazily = code.files_of(scripts, "entry", ["alone"])
    assert scripts / "taskrsa/alone.py" in lazily


def test_code_is_known_by_its_text(scripts, tmp_path):
    files = code.files_of(scripts, "entry")
    before = code.digest(files)
    code.content.cache_clear()
    (tmp_path / "taskrsa/e.py").touch()
    assert code.digest(files) == before
    code.content.cache_clear()
    (tmp_path / "taskrsa/e.py").write_text("changed = 1\n")
    assert code.digest(files) != before


def test_a_command_quotes_every_value_and_takes_the_rule_s_threads(scripts):
    entry = str(scripts / "entry.py")
    found = code.command(entry, wildcards="x=width", params="y")
    assert found == (
        f"python {entry} --log {{log:q}} --x {{wildcards.width:q}} --y {{params.y:q}} "
        "--threads {threads}"
    )
    assert code.command(entry, "A=1", input="x").startswith("A=1 python ")


def test_a_folder_of_any_name_can_hold_the_workflow(tmp_path):
    write(tmp_path, {"a {b} 'c'/entry.py": "def main():\n    pass\n"})
    found = code.command(str(tmp_path / "a {b} 'c'/entry.py"))
    words = shlex.split(found.replace("{log:q}", "log").format())
    assert words[1] == str(tmp_path / "a {b} 'c'/entry.py")


def test_workers_compute_with_one_thread_each():
    flags = {"params": "source split", "output": "pack"}
    found = code.command(str(SCRIPTS / "prepare_images.py"), **flags)
    assert found.startswith("OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python ")
    assert found.endswith("--workers {threads}")


def test_a_flag_that_the_entry_does_not_have_or_lacks_is_refused(scripts):
    with pytest.raises(ValueError, match=r"unknown flags \['z'\], missing flags \['x'\]"):
        code.command(str(scripts / "entry.py"), params="y z")


def test_every_entry_has_a_main_with_parameters():
    for path in SCRIPTS.glob("*.py"):
        assert code.flags_of(path), path.name
