"""Training survives: real kills, two at once, damaged states, full disks; the result is the same.

Most trainers here are forked from a server that has imported PyTorch already, which makes many
kills cheap; each is a process of its own that runs the entry as the command line does.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import finetune
import numpy as np
import pytest
from taskrsa.entry import run
from taskrsa.targets.pixels import as_png
from taskrsa.targets.sets import FileSet, write_sets
from taskrsa.training.checkpoint import lock_of, part_of

SCRIPTS = Path(__file__).parents[2] / "scripts"
STEPS = 40
RECIPE = {
    "steps": STEPS,
    "batch_size": 2,
    "crop": 32,
    "learning_rate": 0.003,
    "eval_every": 25,
    "checkpoint_steps": 1,
    "device": "cpu",
}
OUTPUTS = ("weights.safetensors", "curve.csv", "scores.csv", "encoder.safetensors")
LIMIT = 60  # seconds that a tiny training never takes


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A prepared target, images of noise and blocks."""
    rng = np.random.default_rng(0)
    sets = []
    for role, n in (("train", 6), ("val", 3)):
        pairs = []
        for _ in range(n):
            mask = np.repeat(np.repeat(rng.integers(0, 3, (4, 5)), 8, 0), 8, 1).astype(np.uint8)
            rgb = np.repeat((mask * 80 + 40)[..., None], 3, 2) + rng.integers(0, 20, (32, 40, 3))
            mask[0] = 255
            pairs.append(as_png(rgb.astype(np.uint8), mask))
        images, masks = zip(*pairs, strict=True)
        ids = tuple(f"{role}{at}" for at in range(n))
        sets.append(FileSet(role, ("a", "b", "c"), ids, images, masks, (("", ""),) * n))
    path = tmp_path_factory.mktemp("target") / "data.h5"
    write_sets(path, sets)
    return path


@pytest.fixture(scope="module")
def server():
    """Where trainers are forked from, with everything imported."""
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "PYTHONPATH")}
    os.environ.update(OMP_NUM_THREADS="1", PYTHONPATH=str(SCRIPTS))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["finetune"])
    context.Process(target=int).start()
    yield context
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@dataclass
class Training:
    """One training's folder, and how it is run there."""

    data: Path
    folder: Path
    recipe: dict

    def argv(self, log: str = "training.log") -> list[str]:
        encoder = {"family": "small", "width": 4, "reduction": 4}
        flags = {
            "log": self.folder / log,
            "model": "tiny",
            "data": self.data,
            "tap": "compressed",
            "head": json.dumps({"width": 8, "rates": [1, 2], "dropout": 0.1}),
            "recipe": json.dumps(self.recipe),
            "seed": 5,
            "encoder": json.dumps(encoder),
            "output_weights": self.folder / OUTPUTS[0],
            "curve": self.folder / OUTPUTS[1],
            "scores": self.folder / OUTPUTS[2],
            "output_encoder": self.folder / OUTPUTS[3],
        }
        return [word for name, value in flags.items() for word in (f"--{name}", str(value))]

    def command(self) -> list[str]:
        return [sys.executable, str(SCRIPTS / "finetune.py"), *self.argv()]

    def start(self, server, log: str = "training.log"):
        process = server.Process(target=run, args=(finetune.main, self.argv(log)))
        process.start()
        return process

    def finish(self, server) -> None:
        """Run it to its end; what it says is in `log` only."""
        process = self.start(server)
        process.join(LIMIT)
        assert process.exitcode == 0, self.log

    @property
    def resume(self) -> Path:
        return self.folder / "weights.resume"

    @property
    def log(self) -> str:
        path = self.folder / "training.log"
        return path.read_text() if path.exists() else ""

    def results(self) -> dict[str, bytes]:
        return {name: (self.folder / name).read_bytes() for name in OUTPUTS}

    def left(self) -> set[str]:
        """Return the files that are there besides logs."""
        return {path.name for path in self.folder.iterdir() if path.suffix != ".log"}


@pytest.fixture
def training(data, tmp_path) -> Training:
    folder = tmp_path / "run"
    folder.mkdir()
    return Training(data, folder, RECIPE)


@pytest.fixture(scope="module")
def straight(data, server, tmp_path_factory) -> Training:
    """A training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("straight")
    uninterrupted = Training(data, folder, RECIPE)
    uninterrupted.finish(server)
    assert uninterrupted.left() == set(OUTPUTS)
    return uninterrupted


def wait_until(condition, process=None, pause: float = 0.001) -> bool:
    """Wait for a condition; return False if the process ended without it."""
    end = time.monotonic() + LIMIT
    while not condition():
        if process is not None and not process.is_alive():
            return bool(condition())
        assert time.monotonic() < end, "waited too long"
        time.sleep(pause)
    return True


def kill(process) -> None:
    process.kill()
    process.join(LIMIT)
    assert process.exitcode == -signal.SIGKILL


def steps_of(log: str) -> int | None:
    """Return the step from which a training says that it went on."""
    lines = [line for line in log.splitlines() if "training continues from step" in line]
    return int(lines[-1].split()[-1]) if lines else None


def states_saved(training: Training, n: int):
    """Return a condition: the state has been saved n times from now on."""

    def when() -> int:
        return training.resume.stat().st_mtime_ns if training.resume.exists() else 0

    seen = {when()}

    def enough() -> bool:
        seen.add(when())
        return len(seen) > n

    return enough


def catch_writing(training: Training, process) -> None:
    """Stop a training while it writes its state."""
    part = part_of(training.resume)
    while wait_until(part.exists, process, pause=0):
        os.kill(process.pid, signal.SIGSTOP)
        if part.exists():
            return
        os.kill(process.pid, signal.SIGCONT)


def cut_off(training: Training, server, states: int) -> None:
    """Kill a new training after it has saved its state that many times."""
    enough = states_saved(training, states)
    process = training.start(server)
    assert wait_until(enough, process)
    kill(process)


def test_kills_at_any_moment_change_nothing(training, straight, server):
    rng = random.Random(0)
    killed, from_steps, halfway = 0, [], 0
    while True:
        # Outputs are deleted before every attempt, as a workflow does.
        for name in OUTPUTS:
            (training.folder / name).unlink(missing_ok=True)
        process = training.start(server)
        kind = ("starting", "between", "writing")[killed % 3]
        if kind == "starting":
            time.sleep(rng.uniform(0, 0.5))
        elif kind == "between":
            wait_until(states_saved(training, rng.randint(1, 8)), process)
            time.sleep(rng.uniform(0, 0.02))
        else:
            wait_until(states_saved(training, rng.randint(1, 4)), process)
            catch_writing(training, process)
        process.kill()
        process.join(LIMIT)
        found = steps_of(training.log)
        if found is not None:
            from_steps.append(found)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        killed += 1
        halfway += part_of(training.resume).exists()
        assert not (training.folder / OUTPUTS[0]).exists() or training.resume.exists()
        assert killed < 200
    assert killed >= 5
    assert halfway >= 1
    assert len(set(from_steps)) >= 3
    assert from_steps == sorted(from_steps)
    assert training.results() == straight.results()
    assert training.left() == set(OUTPUTS)


def test_a_kill_among_the_outputs_changes_nothing(training, straight, server):
    # A pipe without a reader stops the writer of the weights just where it is to be killed.
    pipe = part_of(training.folder / "weights.safetensors")
    os.mkfifo(pipe)
    process = training.start(server)
    assert wait_until((training.folder / "scores.csv").exists, process)
    kill(process)
    pipe.unlink()
    assert training.left() >= {"curve.csv", "scores.csv", "weights.resume"}
    assert not (training.folder / "weights.safetensors").exists()
    training.finish(server)
    assert steps_of(training.log) == STEPS
    assert training.results() == straight.results()
    assert training.left() == set(OUTPUTS)


def test_the_command_line_survives_a_kill(training, straight):
    process = subprocess.Popen(training.command(), env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert wait_until(training.resume.exists)
    process.kill()
    process.wait()
    done = subprocess.run(
        training.command(),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert 0 < steps_of(training.log) < STEPS
    assert training.results() == straight.results()


def test_the_second_of_two_waits_for_the_first(training, straight, server):
    first = training.start(server, "first.log")
    assert wait_until(training.resume.exists, first)
    os.kill(first.pid, signal.SIGSTOP)  # it would be done before the other has begun
    second = training.start(server)
    assert wait_until(lambda: "is training here; waiting for it" in training.log, second)
    os.kill(first.pid, signal.SIGCONT)
    for process in (first, second):
        process.join(LIMIT)
        assert process.exitcode == 0, training.log
    assert f"process {first.pid} on" in training.log
    assert "the other process has finished it" in training.log
    assert "train:" not in training.log
    assert training.results() == straight.results()
    assert training.left() == set(OUTPUTS)


def test_the_second_goes_on_when_the_first_is_killed(training, straight, server):
    first = training.start(server, "first.log")
    assert wait_until(training.resume.exists, first)
    os.kill(first.pid, signal.SIGSTOP)  # it would be done before the other has begun
    second = training.start(server)
    assert wait_until(lambda: "is training here; waiting for it" in training.log, second)
    kill(first)
    second.join(LIMIT)
    assert second.exitcode == 0, training.log
    assert steps_of(training.log) > 0
    assert training.results() == straight.results()


def test_a_training_whose_starter_was_killed_is_not_done_twice(training, straight):
    # Between a workflow and its job stands a shell; here `sh` stands for both.
    words = " ".join(f"'{word}'" for word in training.command())
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    shell = subprocess.Popen(["sh", "-c", f"{words}; true"], env=environment)
    assert wait_until(training.resume.exists)
    shell.kill()
    shell.wait()
    assert wait_until((training.folder / OUTPUTS[0]).exists, pause=0.01)
    assert wait_until(lambda: "seed 5: miou" in training.log, pause=0.01)
    assert training.resume.exists()
    # The workflow counts the job as unfinished and deletes what it has made.
    for name in OUTPUTS:
        (training.folder / name).unlink()
    subprocess.run(training.command(), env=environment, check=True)
    assert steps_of(training.log) == STEPS
    assert training.results() == straight.results()
    assert training.left() == set(OUTPUTS)


def test_other_settings_start_over(training, data, server, tmp_path):
    cut_off(training, server, 5)
    training.recipe = {**RECIPE, "learning_rate": 0.001}
    training.finish(server)
    assert "was made with a different recipe.learning_rate; training starts over" in training.log
    assert steps_of(training.log) is None
    (tmp_path / "fresh").mkdir()
    fresh = Training(data, tmp_path / "fresh", training.recipe)
    fresh.finish(server)
    assert training.results() == fresh.results()


@pytest.mark.parametrize("damage", ["cut", "garbage"])
def test_a_damaged_state_starts_over(training, straight, server, damage):
    cut_off(training, server, 5)
    whole = training.resume.read_bytes()
    left = whole[: len(whole) // 2] if damage == "cut" else os.urandom(len(whole))
    training.resume.write_bytes(left)
    training.finish(server)
    assert "is damaged; training starts over" in training.log
    assert training.results() == straight.results()


def run_once(training: Training, **options) -> str:
    """Run the command, which must fail with one line; return that line."""
    done = subprocess.run(
        training.command(),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in training.log
    return done.stderr


def test_without_room_it_ends_with_one_line_and_goes_on_later(training, straight, server):
    cut_off(training, server, 3)
    kept = training.resume.read_bytes()

    def limit():
        # As large as the log may grow, and smaller than a state.
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    line = run_once(training, preexec_fn=limit)
    assert "weights.resume: cannot be written" in line
    assert training.left() == {"weights.resume", lock_of(training.resume).name}
    assert training.resume.read_bytes() == kept
    training.finish(server)
    assert steps_of(training.log) > 0
    assert training.results() == straight.results()


@pytest.fixture
def small_disk(tmp_path):
    """Return a function that mounts a file system in memory with options; needs to be root."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = []

    def mount(options: str) -> Path:
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        done = subprocess.run(words, capture_output=True, check=False)
        if done.returncode:
            pytest.skip("file systems cannot be mounted here")
        mounted.append(place)
        return place

    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a file system")
    yield mount
    for path in mounted:
        subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_ends_with_one_line(training, small_disk):
    training.folder = small_disk("size=48k")
    line = run_once(training)
    assert "weights.resume: cannot be written (No space left on device); free some space" in line
    assert training.left() <= {"weights.resume", lock_of(training.resume).name}


def test_a_folder_that_cannot_be_written_ends_with_one_line(training, small_disk):
    disk = small_disk("size=1m,ro")
    training.folder = disk / "run"
    words = training.argv()[2:]  # without a log, which has no place there either
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "finetune.py"), *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "(Read-only file system); make its folder writable" in done.stderr
