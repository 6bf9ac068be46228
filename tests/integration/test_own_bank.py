"""A table of the user's networks, compared by the workflow."""

from __future__ import annotations

import pytest
from taskrsa.rsa.rdm_file import read_rdms

NETWORK = """
from torch import nn

def make(width):
    code = nn.Linear(width * 14 * 14, 4)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(inplace=True), nn.Flatten(), code)
"""


TABLE = """name\tlabel\ttype\tloader\tweights\tsha256\tlayers\tsize\tmean\tstd\tchannels\targuments
narrow\tNarrow\tmine\tmynets:make\t\t\tlast=1\t16\t0.5\t0.5\trgb\t{"width": 3}
wide\tWide\tmine\tmynets:make\t\t\tlast=1\t16\t0.5\t0.5\trgb\t{"width": 5}
grey\tGrey\tother\tmynets:make\t\t\tlast=0\t16\t0.5\t0.5\tbgr\t{"width": 4}
"""


@pytest.mark.workflow
def test_a_table_of_networks_is_compared_and_only_a_changed_row_made_again(project):
    (project.path / "mynets.py").write_text(NETWORK)
    table = project.path / "mine.tsv"
    table.write_text(TABLE)
    (project.path / "own.yaml").write_text("bank: {table: mine.tsv}\n")
    words = ("--configfile", "config/smoke.yaml", "own.yaml")
    project.snakemake(*words, "--", "own_bank")
    results = project.path / "results/smoke"
    rows = (results / "tables/own_similarity_last.csv").read_text().splitlines()
    assert [row.split(",")[:3] for row in rows[1:]] == [
        ["last", "narrow", "wide"],
        ["last", "narrow", "grey"],
        ["last", "wide", "grey"],
    ]
    assert read_rdms(results / "rdms/own/grey.h5").task == "other"
    assert not project.planned(*words, "--", "own_bank")
    made = {name: (results / f"rdms/own/{name}.h5").stat().st_mtime_ns for name in ("wide", "grey")}
    table.write_text(TABLE.replace("other", "another"))
    stale = {"bank_rdms", "own_similarity", "own_report", "own_bank"}
    assert project.planned(*words, "--", "own_bank") == stale
    project.snakemake(*words, "--", "own_bank")
    now = {name: (results / f"rdms/own/{name}.h5").stat().st_mtime_ns for name in made}
    assert now["wide"] == made["wide"]
    assert now["grey"] > made["grey"]


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mynets:make", "mynets", "mine.tsv, line 2, row narrow, loader: 'mynets' does not match"),
        ("narrow", "wide", "mine.tsv, line 3: name wide stands twice; rename one"),
    ],
)
def test_a_wrong_table_is_one_line(project, old, new, message):
    (project.path / "mine.tsv").write_text(TABLE.replace(old, new, 1))
    (project.path / "own.yaml").write_text("bank: {table: mine.tsv}\n")
    words = ("--configfile", "config/smoke.yaml", "own.yaml", "--", "own_bank")
    printed = project.snakemake("-n", *words, ok=False)
    lines = [line for line in printed.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, printed
    assert message in lines[0]
    absent = project.snakemake(
        "-n", *words[:2], "--config", "bank={table: absent.tsv}", "--", "own_bank", ok=False
    )
    assert "error: absent.tsv: " in absent
