"""Jobs of an earlier run are refused; a fake squeue tells of them."""

from __future__ import annotations

import errno
import json

import pytest
from snakemake.io import contains_wildcard
from taskrsa.errors import ConfigError
from taskrsa.plan.jobs import as_json, asked, refuse_orphaned_jobs


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """Return a function that sets the lines of squeue."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")

    def lists(*lines: str) -> None:
        squeue = programs / "squeue"
        squeue.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
        squeue.chmod(0o755)

    return lists


def test_jobs_of_this_folder_are_named(queue, tmp_path):
    here = tmp_path / "here"
    (here / "logs").mkdir(parents=True)
    (tmp_path / "link").symlink_to(here)
    queue(f"7|taskrsa_train_1|{here}", f"5|taskrsa_rdms|{tmp_path}/link", f"6|other_job|{here}")
    with pytest.raises(
        ConfigError, match="earlier run are still running in this folder: 5 7; wait for"
    ):
        refuse_orphaned_jobs("taskrsa", "logs", here)


def test_others_jobs_and_other_folders_do_not_matter(queue, tmp_path):
    (tmp_path / "logs").mkdir(parents=True)
    queue(f"7|mine_train|{tmp_path}", "8|taskrsa_train|/elsewhere")
    refuse_orphaned_jobs("taskrsa", "logs", tmp_path)


def test_where_no_job_of_slurm_ran_nothing_is_asked(queue, tmp_path):
    queue(f"7|taskrsa_train_1|{tmp_path}")
    refuse_orphaned_jobs("taskrsa", "logs", tmp_path)


def test_without_slurm_nothing_is_asked(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    refuse_orphaned_jobs("taskrsa", "logs", tmp_path)


def test_braces_in_texts_are_no_wildcards():
    values = {"label": 'a {x} "{y}" \\', "sizes": [{"n": {}}]}
    assert json.loads(as_json(values)) == values
    assert not contains_wildcard(as_json(values))


def test_what_the_disk_refuses_is_one_line():
    @asked
    def long():
        raise OSError(errno.ENAMETOOLONG, "File name too long", "aaa.tsv")

    with pytest.raises(SystemExit, match="^error: aaa.tsv: File name too long$"):
        long()
