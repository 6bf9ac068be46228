"""The profiles on a real Slurm of two nodes and a stand-in GPU, brought up on this machine.

Jobs are the workflow's own, of the smoke configuration: they end, they have too little memory, are
cancelled, lose their node; and Snakemake itself is killed while one runs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Project, copy_project

SLURM = ROOT / "tests/cluster/slurm.sh"
LIMIT = 180  # seconds that nothing here takes, however busy the machine
# The first look at a job after 5 seconds; later ones come at growing distances.
QUICK = ("--slurm-init-seconds-before-status-checks", "5")
MEMORY = 100  # MB that no attempt of Snakemake itself gets by with
TASKS = "results/smoke/tables/tasks.csv"
RDMS = "results/smoke/rdms/random/random_00.h5"
FINE_TUNED = "results/smoke/targets/outdoor/finetuned/block4/random/s0"
SMALL = "results/smoke/targets/outdoor/small/s0"
SETTINGS = {
    "targets": {
        "outdoor": {
            "recipe": {"steps": 100, "checkpoint_steps": 1},
            "small": {"recipe": {"steps": 100, "checkpoint_steps": 1}},
        }
    }
}
GPU = {"training": {"gpu": 1}}

cluster = pytest.mark.cluster


@dataclass
class Slurm:
    """The cluster of the test, whose state lies in a folder."""

    folder: Path

    def call(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [SLURM, *words],
            env={**os.environ, "TASKRSA_SLURM": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def slurm():
    """Bring up Slurm for the tests of this file, or skip where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("only root can bring up a Slurm")
    for program in ("slurmctld", "slurmd", "munged", "pgrep"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (apt-get install slurm-wlm munge procps)")
    # Its daemon of secrets, which is not root, has to get there.
    folder = Path(tempfile.mkdtemp(prefix="taskrsa-slurm-", dir="/tmp"))
    found = Slurm(folder)
    came_up = found.call("up")
    try:
        if "it is left alone" in came_up.stderr:
            pytest.skip(came_up.stderr.strip())
        assert came_up.returncode == 0, came_up.stderr
        yield found
    finally:
        found.call("down")
        shutil.rmtree(folder)


@dataclass
class Job:
    """What Slurm says of a job; memory as it was asked for."""

    number: str
    rule: str
    state: str
    memory: str
    partition: str
    node: str


def jobs_of(project: Project, rule: str = "") -> list[Job]:
    """List the project's jobs of a rule, or all, in the order they were submitted."""
    listed = subprocess.run(
        ["squeue", "--noheader", "--states=all", "--sort=i", "--format=%Z|%A|%j|%k|%T|%m|%P|%N"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = []
    for line in listed.stdout.splitlines():
        folder, number, name, comment, *rest = line.split("|")
        # The Slurm plugin names the rule in the comment, our submit.sh in the name.
        named = comment.removeprefix("rule_").partition("_wildcards_")[0]
        if comment == "(null)":
            named = name.removeprefix("taskrsa_")
        if Path(folder) == project.path and rule in ("", named):
            found.append(Job(number, named, *rest))
    return found


def scontrol(*words: str) -> str:
    done = subprocess.run(["scontrol", *words], capture_output=True, text=True, check=True)
    return done.stdout


class Run:
    """Snakemake with a profile, started in a project; what it prints goes to a file."""

    def __init__(self, project: Project, *words: str, profile: str = "slurm"):
        self.log = project.path / f"run_{len(list(project.path.glob('run_*.log')))}.log"
        quick = QUICK if profile == "slurm" else ("--seconds-between-status-checks", "2")
        command = [
            *(sys.executable, "-m", "snakemake", "--workflow-profile"),
            *(f"workflow/profiles/{profile}", *quick),
            *("--configfile", "config/smoke.yaml", "settings.yaml", *words),
        ]
        environment = {k: v for k, v in os.environ.items() if k != "TASKRSA_DATA"}
        with self.log.open("w") as stream:
            self.process = subprocess.Popen(
                command,
                cwd=project.path,
                env={**environment, "OMP_NUM_THREADS": "1"},
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    @property
    def printed(self) -> str:
        return self.log.read_text()

    def until(self, condition, seconds: float = LIMIT):
        """Wait until a condition holds while Snakemake runs; return what it gave."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            if found := condition():
                return found
            time.sleep(0.1)
        self.process.kill()
        pytest.fail(f"waited in vain; Snakemake printed\n{self.printed[-6000:]}")

    def ended(self, code: int = 0) -> str:
        """Wait for the end, which must be with this exit code; return what was printed."""
        try:
            assert self.process.wait(LIMIT) == code, self.printed[-6000:]
        finally:
            self.process.kill()
        return self.printed


def with_settings(project: Project, settings: dict) -> Project:
    (project.path / "settings.yaml").write_text(yaml.safe_dump(settings))
    return project


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> Project:
    """Return a project in which what is compared below was made, without a cluster, in one go."""
    project = with_settings(copy_project(tmp_path_factory.mktemp("straight") / "project"), SETTINGS)
    words = ("--configfile", "config/smoke.yaml", "settings.yaml", "--")
    project.snakemake(*words, RDMS, f"{FINE_TUNED}/scores.csv")
    return project


@pytest.fixture
def prepared(straight, tmp_path) -> Project:
    """Return a project in which nothing is left to do but to fine-tune."""
    shutil.copytree(straight.path, tmp_path / "project")
    project = Project(tmp_path / "project")
    shutil.rmtree(project.path / FINE_TUNED)
    return project


def fine_tuned(project: Project) -> dict[str, bytes]:
    """Return what is there of the fine-tuned network, by file name."""
    return {path.name: path.read_bytes() for path in (project.path / FINE_TUNED).iterdir()}


def environment_of(word: str, project: Project) -> dict[str, str] | None:
    """Return the environment of a process of the project with a word in its command line."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = path.joinpath("cmdline").read_bytes().decode().split("\0")
            if word in words and path.joinpath("cwd").resolve() == project.path:
                pairs = path.joinpath("environ").read_bytes().decode().split("\0")
                return dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        except OSError:  # it has ended meanwhile
            continue
    return None


def grew_until_it_ended(attempts: list[Job]) -> Job:
    """Check that each attempt had once more MEMORY and the last was enough; return the first."""
    memory = [job.memory for job in attempts]
    assert memory == [f"{MEMORY * number}M" for number in range(1, len(attempts) + 1)]
    assert [job.state for job in attempts] == ["FAILED"] * (len(attempts) - 1) + ["COMPLETED"]
    assert len(attempts) > 1
    return attempts[0]


@cluster
def test_a_part_of_the_run_ends_and_its_gpu_is_asked_for_and_given(slurm, project, straight):
    run = Run(with_settings(project, GPU), "--", RDMS)
    seen = run.until(lambda: environment_of("scripts/network_rdms.py", project))
    printed = run.ended()
    assert "Using workflow specific profile workflow/profiles/slurm" in printed
    assert seen["CUDA_VISIBLE_DEVICES"] == "0"
    jobs = {job.rule: job for job in jobs_of(project)}
    assert {rule: (job.partition, job.memory, job.state) for rule, job in jobs.items()} == {
        "prepare_stimuli": ("cpu", "3000M", "COMPLETED"),
        "random_encoders": ("cpu", "2000M", "COMPLETED"),
        "other_rdms": ("gpu", "3500M", "COMPLETED"),
    }
    asked = {rule: "gres:gpu:1" in scontrol("show", "job", jobs[rule].number) for rule in jobs}
    assert asked == {"prepare_stimuli": False, "random_encoders": False, "other_rdms": True}
    assert (project.path / RDMS).read_bytes() == (straight.path / RDMS).read_bytes()


@cluster
def test_jobs_that_fail_are_tried_again_and_go_on(slurm, prepared, straight):
    """One has too little memory, one is cancelled, and one loses its node, which comes back."""
    run = Run(
        prepared,
        "--set-resources",
        f"list_tasks:mem_mb={MEMORY}",
        "list_tasks:slurm_extra=--nodelist=n2",
        "finetune:slurm_extra=--nodelist=n2",
        "train_target_model:slurm_extra=--nodelist=n1",
        "--",
        TASKS,
        f"{FINE_TUNED}/scores.csv",
        f"{SMALL}/scores.csv",
    )
    run.until((prepared.path / FINE_TUNED / "weights.resume").exists)
    (cancelled,) = jobs_of(prepared, "finetune")
    subprocess.run(["scancel", cancelled.number], check=True)

    run.until((prepared.path / SMALL / "weights.resume").exists)
    (lost,) = jobs_of(prepared, "train_target_model")
    assert lost.node == "n1"
    assert slurm.call("lose", "n1").returncode == 0
    run.until(lambda: jobs_of(prepared, "train_target_model")[0].state == "PENDING")
    assert slurm.call("recover", "n1").returncode == 0
    # Slurm itself would wait two minutes before it starts the job again. Not at once, for what it
    # had to say to the lost node arrives now.
    scontrol("update", f"jobid={lost.number}", "starttime=now+5")
    run.ended()

    failed = grew_until_it_ended(jobs_of(prepared, "list_tasks"))
    (said,) = prepared.path.glob(f".snakemake/slurm_logs/rule_list_tasks/{failed.number}.log")
    assert "exceeded memory limit" in said.read_text()

    assert [job.state for job in jobs_of(prepared, "finetune")] == ["CANCELLED", "COMPLETED"]
    logs = prepared.path / "results/smoke/logs"
    log = (logs / "finetune_random_0_block4_outdoor.log").read_text()
    assert "training continues from step" in log
    assert fine_tuned(prepared) == fine_tuned(straight)

    (again,) = jobs_of(prepared, "train_target_model")
    assert (again.number, again.state) == (lost.number, "COMPLETED")
    assert "Restarts=1" in scontrol("show", "job", lost.number)
    assert "training continues from step" in (logs / "train_target_model_0_outdoor.log").read_text()


@cluster
def test_snakemake_is_killed_and_no_two_jobs_write_one_file(slurm, prepared, straight):
    target = f"{FINE_TUNED}/scores.csv"
    run = Run(prepared, "--", target)
    run.until((prepared.path / FINE_TUNED / "weights.resume").exists)
    run.process.kill()
    run.process.wait()
    (first,) = jobs_of(prepared)
    assert first.state == "RUNNING"
    # It would be done before Snakemake has looked for it.
    scontrol("suspend", first.number)

    assert "Directory cannot be locked" in Run(prepared, "--", target).ended(1)
    prepared.snakemake("--configfile", "config/smoke.yaml", "settings.yaml", "--unlock")
    lines = Run(prepared, "--", target).ended(1).splitlines()
    assert [line for line in lines if line.startswith("error: ")] == [
        f"error: Slurm jobs of an earlier run are still running in this folder: {first.number}; "
        "wait for them to finish, or end them with scancel, and start again"
    ]
    assert not any("Traceback" in line for line in lines)
    assert len(jobs_of(prepared)) == 1

    # What the job does after Snakemake was killed counts.
    scontrol("resume", first.number)
    end = time.monotonic() + LIMIT
    while jobs_of(prepared)[0].state != "COMPLETED" and time.monotonic() < end:
        time.sleep(0.2)
    assert "Nothing to be done" in Run(prepared, "--", target).ended()
    assert len(jobs_of(prepared)) == 1
    assert fine_tuned(prepared) == fine_tuned(straight)


@cluster
def test_any_scheduler_by_scripts_of_one_s_own(slurm, prepared):
    """The generic profile with its scripts: a job ends, fails for memory, is submitted again."""
    words = ("--set-resources", f"list_tasks:mem_mb={MEMORY}", "--", TASKS)
    printed = Run(prepared, *words, profile="generic").ended()
    assert "Using workflow specific profile workflow/profiles/generic" in printed
    grew_until_it_ended(jobs_of(prepared, "list_tasks"))
    assert (prepared.path / TASKS).read_text().startswith("task,label,type")


def rules_with_gpus() -> set[str]:
    """Name the rules whose jobs may ask for GPUs, and those made of them by `use rule`."""
    text = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    parts = re.split(r"^(?:rule|checkpoint) (\w+):\n", text, flags=re.MULTILINE)
    bodies = zip(parts[1::2], parts[2::2], strict=True)
    found = {name for name, body in bodies if re.search(r"\*\*(needs\(|FINETUNING)", body)}
    derived = re.findall(r"^use rule (\w+) as (\w+) with:", text, flags=re.MULTILINE)
    return found | {name for base, name in derived if base in found}


def test_the_profile_says_how_every_job_with_a_gpu_asks_for_gres():
    text = (ROOT / "workflow/profiles/slurm/config.yaml").read_text()
    told = yaml.safe_load(re.search(r"# set-resources:\n(#   .*\n)+", text)[0].replace("# ", ""))
    assert set(told["set-resources"]) == rules_with_gpus()
    assert all(value == {"gpu": 0, "gres": "gpu:1"} for value in told["set-resources"].values())
