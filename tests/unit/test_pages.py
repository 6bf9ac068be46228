"""The pages hold what tests/pages.py writes into them; what is measured is said by tables."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from pages import pages, written  # noqa: E402
from taskrsa.text import MINUS  # noqa: E402

NAMES = [str(path.relative_to(ROOT)) for path in pages()]


@pytest.mark.parametrize("name", NAMES)
def test_generated_parts_are_what_the_tables_say(name):
    text = (ROOT / name).read_text()
    assert written(text) == text, f"{name} is out of date: run make pages"


# The one estimate, which its comment derives, is of the run that was never made.
CONFIGS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("config/*.yaml"))
CONFIGS.remove("config/paper.yaml")


@pytest.mark.parametrize("name", [*NAMES, *CONFIGS])
def test_how_long_a_run_takes_is_said_by_a_benchmark_alone(name):
    by_hand = re.sub(r"<!-- begin .*?<!-- end -->", "", (ROOT / name).read_text(), flags=re.DOTALL)
    assert not re.findall(r"[^\n]*\d (?:min|minutes|h|hours)\b[^\n]*", by_hand)


@pytest.mark.parametrize("name", NAMES)
def test_files_that_a_page_links_to_are_there(name):
    text = (ROOT / name).read_text()
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (ROOT / name).parent.joinpath(link).exists(), link


@pytest.mark.parametrize("name", NAMES)
def test_no_line_of_prose_begins_with_a_comment(name):
    """Markdown would take the rest of the line for HTML."""
    for line in (ROOT / name).read_text().splitlines():
        assert not re.match(r"\s*<!--.*-->.*\w", line), line


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= 1400


@pytest.fixture
def numbers(tmp_path):
    file = tmp_path / "numbers.csv"
    file.write_text("what,cpu_s,of\na b,90,0.5\nc,-30,\n")
    return file


def test_a_number_in_a_sentence(numbers):
    begin = f"<!-- begin value: {numbers} what='a b' '{{cpu_s/60:.1f}} min' -->"
    text = f"It took {begin}2.0 min<!-- end --> here."
    assert written(text) == f"It took {begin}1.5 min<!-- end --> here."
    assert written(written(text)) == written(text)


def test_a_table_with_blanks_quotients_and_minus_signs(numbers):
    columns = "'job={what}' 'time={cpu_s:.0f} s' 'times={1/of:.0f}'"
    begin = f"<!-- begin table: {numbers} {columns} -->"
    lines = ["| job | time | times |", "| --- | --- | --- |", "| a b | 90 s | 2 |"]
    expected = "\n".join([begin, *lines, f"| c | {MINUS}30 s |  |", "<!-- end -->"])
    assert written(f"{begin}\nold\n<!-- end -->") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- begin nothing -->\n<!-- end -->", "no such generator"),
        ("<!-- begin value: {file} what=c '{{of}}' -->", "lacks its beginning or its end"),
        ("a <!-- end -->", "lacks its beginning or its end"),
        ("<!-- begin value: {file} what=d '{{of}}' -->1<!-- end -->", "no row with what=d"),
        ("<!-- begin value: {file} '{{of}}' -->1<!-- end -->", "has 2 rows"),
        ("<!-- begin value: {file} what=c '{{cost}}' -->1<!-- end -->", "no column cost"),
    ],
)
def test_mistakes_are_named(numbers, text, message):
    with pytest.raises(ValueError, match=message):
        written(text.format(file=numbers))
