"""Both Snakefiles, from any folder, and the workflow as a module of another one."""

from __future__ import annotations

import ast
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Project, copy_project
from taskrsa.io.hdf5 import opened_hdf5

pytestmark = pytest.mark.workflow

OTHER = """
configfile: "config.yaml"


module ranked:
    snakefile:
        "{snakefile}"
    config:
        config["ranked"]
    prefix:
        "ranked"


use rule * from ranked as ranked_*


rule everything:
    default_target: True
    input:
        rules.ranked_all.input,
    output:
        "done.txt",
    shell:
        "touch {{output}}"
"""
LISTING = """
for known in workflow.rules:
    if not known.norun:
        memory = known.resources["mem_mb"]
        try:
            memory = memory.evaluate(None, attempt=1).value
        except AttributeError:  # it depends on the target
            memory = "by attempt"
        print("RULE", known.name, known.log[0], known.conda_env, memory, sep="\\t")
        print("SHELL", known.name, repr(known.shellcmd), sep="\\t")
"""
# A job of each kind: images, networks, RDMs, a target's data and its fine-tuning.
PARTS = (
    "tables/networks.csv",
    "rdms/random/random_00.h5",
    "targets/outdoor/finetuned/block4/random_small/s0/scores.csv",
)


@pytest.fixture
def elsewhere(project, tmp_path) -> Project:
    """Return a folder with another workflow that imports the project's."""
    folder = tmp_path / "other"
    folder.mkdir()
    text = OTHER.format(snakefile=project.path / "workflow/Snakefile")
    (folder / "Snakefile").write_text(text)
    smoke = yaml.safe_load((project.path / "config/smoke.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({"ranked": smoke}))
    return Project(folder)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_another_workflow_imports_it_with_a_prefix_and_runs_it(elsewhere, project):
    planned = elsewhere.planned()
    assert {"ranked_network_rdms", "ranked_finetune", "ranked_report_page"} <= planned
    files = [f"ranked/results/smoke/{part}" for part in PARTS]
    assert "the demo" not in elsewhere.snakemake("--", *files)
    for file in files:
        assert (elsewhere.path / file).stat().st_size > 0
    assert names(elsewhere.path) >= {"ranked", "config.yaml", "Snakefile"}
    assert not (elsewhere.path / "results").exists()
    assert not (project.path / "results").exists()
    assert elsewhere.planned("--", *files) == set()


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> str:
    """What Snakemake prints of every rule of the smoke run."""
    project = copy_project(tmp_path_factory.mktemp("listed") / "project")
    listing = project.path.parent / "listing.smk"
    listing.write_text(f'include: "{project.path}/workflow/Snakefile"\n' + LISTING)
    words = ("--snakefile", str(listing), "--configfile", "config/smoke.yaml")
    words += ("--set-resources", "tree:mem_mb=77", "--", "results/smoke/tables/tasks.csv")
    return project.snakemake("-n", *words)


def test_every_rule_has_what_a_cluster_needs(listed):
    """What a rule does not state is completed once all are read; what it states is kept."""
    lines = [line.split("\t") for line in listed.splitlines() if line.startswith("RULE\t")]
    assert len(lines) > 50
    found = {name: (log, environment, memory) for _, name, log, environment, memory in lines}
    for name, (log, environment, memory) in found.items():
        assert log.startswith(f"results/smoke/logs/{name}"), name
        assert environment.endswith("envs/taskrsa.yaml"), name
        assert memory.isdigit() or memory == "by attempt", name
    assert found["train_encoder"][0].startswith("results/smoke/logs/train_encoder_{network")
    assert found["claims"][2] == "1000"
    assert found["tree"][2] == "77"
    assert found["network_rdms"][2] == "3500"


def test_every_value_that_reaches_a_shell_is_quoted(listed):
    """The one that is not is a number that Snakemake makes itself."""
    lines = [line.split("\t") for line in listed.splitlines() if line.startswith("SHELL\t")]
    assert len(lines) > 50
    for _, name, text in lines:
        command = ast.literal_eval(text)
        places = re.findall(r"(?<!\{)\{([^{}]+)\}", command)
        assert "log:q" in places, name
        assert {place for place in places if not place.endswith(":q")} <= {"threads"}, name


def test_a_module_without_a_run_is_one_line(elsewhere):
    (elsewhere.path / "config.yaml").write_text("ranked: {seed: 3}\n")
    printed = elsewhere.snakemake("-n", ok=False)
    assert "error: config, run: is missing; set it" in printed
    assert "Traceback" not in printed


def test_both_snakefiles_make_the_same_plan_from_anywhere(project, tmp_path):
    smoke = str(project.path / "config/smoke.yaml")
    plans = []
    for folder, words in (
        (project.path, ()),
        (project.path, ("--snakefile", "workflow/Snakefile")),
        (tmp_path, ("--snakefile", str(project.path / "Snakefile"))),
        (project.path, ("--directory", str(tmp_path))),
    ):
        words = (*words, "--configfile", smoke, "--dry-run", "--quiet", "host")
        printed = Project(folder).snakemake(*words)
        jobs = re.search(r"Job stats:\n(.*?\ntotal +\d+)", printed, re.DOTALL)[1]
        plans.append(sorted(jobs.splitlines()))  # Snakemake lists equal counts in any order
    assert any(line.startswith("report_page") for line in plans[0])
    assert all(plan == plans[0] for plan in plans)


def test_cores_alone_limit_how_many_jobs_start_on_one_machine(project):
    """With Snakemake's limit of rates, the second job would wait for half a minute."""
    files = [f"results/smoke/{name}" for name in ("tables/networks.csv", "tables/tasks.csv")]
    rate = ("--max-jobs-per-timespan", "1/30s")
    printed = project.snakemake("--configfile", "config/smoke.yaml", *rate, "--", *files, cores=1)
    assert "2 of 2 steps" in printed
    assert "rate limit" not in printed


ODD = 'it\'s "$x" & more'


def test_a_job_runs_in_another_folder_by_a_configuration_of_its_own(tmp_path):
    """What that folder's config/ holds is not read, and what the demo sets is no default."""
    project = copy_project(tmp_path / ODD / "project")
    folder = tmp_path / f"else where {ODD}"
    (folder / "config").mkdir(parents=True)
    for name in ("config.yaml", "demo.yaml"):
        (folder / "config" / name).write_text("image_size: 99\nunknown_key: 1\n")
    smoke = yaml.safe_load((project.path / "config/smoke.yaml").read_text())
    del smoke["image_size"]
    (folder / "mine.yaml").write_text(yaml.safe_dump(smoke))
    files = ("results/smoke/tables/networks.csv", "results/smoke/data/train.h5")
    words = ("--snakefile", str(project.path / "Snakefile"), "--configfile", "mine.yaml")
    elsewhere = Project(folder)
    elsewhere.snakemake(*words, "--", *files)
    with opened_hdf5(folder / files[1]) as pack:
        assert pack["rgb"].shape == (96, 64, 64, 3)  # the default of image_size
    assert elsewhere.planned(*words, "--", *files) == set()
    assert not (project.path / "results").exists()


def made_by(words: str) -> list[list[str]]:
    """Return the commands of the Makefile that begin with Snakemake, less the path to it."""
    words = ["make", "--dry-run", "--old-file", ".venv/run", *words.split()]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = map(shlex.split, done.stdout.splitlines())
    return [line[1:] for line in lines if line and line[0].endswith("bin/snakemake")]


def test_make_resume_goes_on_after_a_kill(project):
    file = "results/smoke/data/train.h5"
    words = ("--cores", "1", "--configfile", "config/smoke.yaml", "--", file)
    killed = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *words],
        cwd=project.path,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 120
    while not list((project.path / ".snakemake").glob("incomplete/*")):
        assert killed.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert "lock" in project.snakemake(*words[2:], ok=False)
    unlock, resume = made_by("resume CONFIG=config/smoke.yaml")
    project.snakemake(*unlock)
    project.snakemake(*resume, "--", file)
    assert (project.path / file).is_file()


def test_make_clean_keeps_what_snakemake_knows_of_results():
    done = subprocess.run(
        ["make", "--dry-run", "clean"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    removed = done.stdout.split()[2:]
    assert ".venv" in removed
    assert not {".snakemake", "results"} & set(removed)


def test_the_demo_runs_only_where_no_file_is_named(project):
    printed = project.snakemake("-n", "--quiet", "host", "--config", "seed=3")
    assert "config: config/demo.yaml (the demo, for no --configfile names another run)" in printed
    (project.path / "mine.yaml").write_text("run: mine\n")
    printed = project.snakemake("-n", "--quiet", "host", "--configfile", "mine.yaml")
    assert "config: mine.yaml\n" in printed
    assert "demo" not in printed
    smoke = ("--configfile", "config/smoke.yaml", "mine.yaml")
    printed = project.snakemake("-n", "--quiet", "host", *smoke)
    assert "config: config/smoke.yaml mine.yaml\n" in printed
    printed = project.snakemake("-n", "--configfile", "absent.yaml", ok=False)
    assert "absent.yaml" in printed


def test_the_configuration_of_the_catalog_is_the_smoke_run(project):
    root = Path(__file__).parents[2]
    test = root / ".test/config/config.yaml"
    assert test.read_text() == (root / "config/smoke.yaml").read_text()
    catalog = yaml.safe_load((root / ".snakemake-workflow-catalog.yml").read_text())
    assert catalog["usage"]["software-stack-deployment"] == {"conda": True}
    words = ("--snakefile", "workflow/Snakefile", "--configfile", "config/smoke.yaml")
    graph = project.snakemake(*words, "--rulegraph", "mermaid-js")
    assert "report_page" in graph


def test_the_continuous_integration_runs_what_the_repository_says():
    steps = yaml.safe_load((Path(__file__).parents[2] / ".github/workflows/ci.yml").read_text())
    commands = [step.get("run") for step in steps["jobs"]["tests"]["steps"]]
    assert ".ci/run" in commands
