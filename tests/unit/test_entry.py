"""Entry points: typed flags, the log, and one-line errors."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
ENTRY = """
import sys
sys.path.insert(0, {scripts!r})
from taskrsa.entry import run
from taskrsa.errors import DataError

def main(paths: list[str], options: dict, n: int | None = None) -> None:
    print(paths, options, n)
    if options.get("fail") == "user":
        raise DataError("rgb/0001.jpg: is truncated;\\n fetch it again")
    if options.get("fail") == "bug":
        raise KeyError("surprise")
    if options.get("fail") == "exit":
        sys.exit(0)  # as foreign code may
    if options.get("fail") == "memory":
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: "
                           "can't allocate memory: you tried to allocate 8 bytes.\\nmore")
    if options.get("fail") == "disk":
        open(__file__ + "/table.csv", "w")

run(main)
"""


def call(tmp_path: Path, *flags: str) -> subprocess.CompletedProcess:
    script = tmp_path / "entry.py"
    script.write_text(ENTRY.format(scripts=str(SCRIPTS)))
    return subprocess.run(
        [sys.executable, script, *flags], capture_output=True, text=True, check=False
    )


def test_flags_are_typed_and_lists_take_several_words(tmp_path):
    done = call(tmp_path, "--paths", "a", "b", "--options", '{"x": [1, 2]}', "--n", "3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['a', 'b'] {'x': [1, 2]} 3"


def test_a_list_may_be_empty_or_of_one_word(tmp_path):
    assert call(tmp_path, "--paths", "--options", "{}").stdout.startswith("[] {}")
    assert call(tmp_path, "--paths", "1", "--options", "{}").stdout.startswith("['1'] {}")


def test_output_goes_to_the_log(tmp_path):
    log = tmp_path / "logs" / "job.log"
    done = call(tmp_path, "--log", str(log), "--paths", "a", "--options", "{}")
    assert done.stdout == done.stderr == ""
    printed, took = log.read_text().splitlines()
    assert printed == "['a'] {} None"
    assert re.fullmatch(
        r"entry\.py: [\d.]+ s, [\d.]+ s of processor time, after .* s of start-up", took
    )


def test_a_user_s_error_is_one_line_on_the_terminal_and_in_the_log(tmp_path):
    log = tmp_path / "job.log"
    done = call(tmp_path, "--log", str(log), "--paths", "a", "--options", '{"fail": "user"}')
    assert done.returncode == 1
    assert done.stderr == "error: rgb/0001.jpg: is truncated; fetch it again\n"
    assert done.stderr in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_bug_leaves_its_traceback_in_the_log(tmp_path):
    log = tmp_path / "job.log"
    done = call(tmp_path, "--log", str(log), "--paths", "a", "--options", '{"fail": "bug"}')
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(log) in done.stderr
    assert "Traceback" in log.read_text()


def test_code_that_calls_exit_does_not_end_a_job_as_if_all_was_well(tmp_path):
    done = call(tmp_path, "--paths", "a", "--options", '{"fail": "exit"}')
    assert done.returncode == 2
    assert "error: SystemExit: 0" in done.stderr


def test_too_little_memory_is_said_whoever_ran_out_of_it(tmp_path):
    done = call(tmp_path, "--paths", "a", "--options", '{"fail": "memory"}')
    assert done.returncode == 1
    line = "error: out of memory; raise mem_mb for this rule or shrink batch_size or size"
    assert done.stderr.splitlines()[-1] == line


def test_an_unwritable_place_is_named(tmp_path):
    done = call(tmp_path, "--paths", "a", "--options", '{"fail": "disk"}')
    assert done.returncode == 1
    assert "entry.py/table.csv: Not a directory" in done.stderr


def test_a_value_may_begin_and_look_as_flags_do(tmp_path):
    words = ("--paths", "-a", "--typo", "; touch x", "--paths", "--options", '{"x": "--n"}', "--n")
    done = call(tmp_path, *words, "-3")
    assert done.stdout == "['-a', '--typo', '; touch x', '--paths'] {'x': '--n'} -3\n", done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--options", "{}"), "error: --paths is missing"),
        (("--paths", "--options"), "error: --options takes one value, not none"),
        (("--paths", "--options", "{"), "error: --options: { is not JSON (Expecting "),
        (("a", "--paths"), "error: flags are --paths, --options, --n, --log"),
    ],
)
def test_what_the_flags_lack_is_one_line(tmp_path, words, message):
    done = call(tmp_path, *words)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_an_unknown_flag_is_an_error(tmp_path):
    done = call(tmp_path, "--paths", "a", "--options", "{}", "--typo", "1")
    assert done.returncode != 0
    assert "typo" in done.stderr


def test_lists_of_numbers_are_numbers(tmp_path):
    script = tmp_path / "counts.py"
    script.write_text(
        "from taskrsa.entry import run\n"
        "def main(counts: list[int], shares: list[float] | None = None):\n"
        "    print(sum(counts), shares)\n"
        "run(main)\n"
    )
    words = [sys.executable, str(script), "--counts", "1", "20", "--shares", "0.5"]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "21 [0.5]\n", done.stderr


def test_a_name_may_be_null_where_there_must_be_one(tmp_path):
    script = tmp_path / "names.py"
    script.write_text(
        "from taskrsa.entry import run\n"
        "def main(names: list[str], one: str, other: str | None = None):\n"
        "    print(names, one, other)\n"
        "run(main)\n"
    )
    words = ["--names", "null", "--one", "null", "--other", "null"]
    done = subprocess.run(
        [sys.executable, str(script), *words],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "['null'] null None\n"


def test_a_full_disk_of_logs_does_not_hide_an_error(tmp_path, monkeypatch):
    """/dev/full takes nothing, as a full disk."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    words = ("--log", "/dev/full", "--paths", "a", "--options")
    for fail, line in (
        ("user", "error: rgb/0001.jpg: is truncated; fetch it again\n"),
        ("bug", "error: KeyError: 'surprise'; see /dev/full\n"),
    ):
        done = call(tmp_path, *words, f'{{"fail": "{fail}"}}')
        assert done.returncode > 0
        assert done.stderr == line
    assert call(tmp_path, *words, "{}").returncode == 0
