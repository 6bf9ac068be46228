"""The state of a training: whole or not there, of these settings or left aside, one holder."""

import json
import os
import resource
import signal
import time
from pathlib import Path

import pytest
import torch
from taskrsa.errors import DataError
from taskrsa.io import locks
from taskrsa.training import checkpoint
from taskrsa.training.checkpoint import exclusive, key_of, lock_of, part_of, write_whole

SETTINGS = {"seed": 0, "recipe.steps": 10, "scale": (0.5, 2.0)}


def state(step: int) -> dict:
    weights = torch.full((64, 64), float(step))
    return {"progress": {"step": step, "curve": [[1, 0.5, float("nan")]]}, "weights": weights}


def save(path: Path, step: int, settings: dict = SETTINGS) -> None:
    with exclusive(path, settings) as held:
        held.save(state(step))


def load(path: Path, settings: dict = SETTINGS) -> dict | None:
    with exclusive(path, settings) as held:
        return held.load()


def in_a_child(action) -> int:
    """Run `action` in a forked process and return its process id."""
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(0)
    return child


def wait_until(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.005)


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "run" / "weights.resume"
    assert load(path) is None
    save(path, 3)
    save(path, 4)
    found = load(path, {**SETTINGS, "scale": [0.5, 2.0]})
    assert found["progress"]["step"] == 4
    assert torch.equal(found["weights"], state(4)["weights"])


def test_the_key_depends_on_every_setting_but_not_on_their_order():
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": (2,), "a": 1})
    assert len({key_of(x) for x in ({"a": 1}, {"a": 2}, {"b": 1}, {"a": 1.5}, {})}) == 5


def test_other_settings_are_named_and_left_aside(tmp_path, capsys):
    path = tmp_path / "weights.resume"
    save(path, 3)
    assert load(path, {**SETTINGS, "seed": 1, "new": 0}) is None
    assert "was made with a different new, seed; training starts over" in capsys.readouterr().out
    assert load(path)["progress"]["step"] == 3


@pytest.mark.parametrize("damage", ["empty", "cut", "cut in its header", "garbage", "one bit"])
def test_a_damaged_state_is_left_aside(tmp_path, capsys, damage):
    path = tmp_path / "weights.resume"
    save(path, 3)
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    if damage == "one bit":
        whole[middle] ^= 1
    left = {
        "empty": b"",
        "cut": whole[:middle],
        "cut in its header": whole[:40],
        "garbage": os.urandom(5000),
        "one bit": whole,
    }[damage]
    path.write_bytes(left)
    assert load(path) is None
    assert f"{path}: is damaged; training starts over" in capsys.readouterr().out
    save(path, 5)
    assert load(path)["progress"]["step"] == 5


def test_a_state_of_another_program_is_left_aside(tmp_path, capsys):
    path = tmp_path / "weights.resume"
    body = b"not what torch.save writes"
    write_whole(path, checkpoint._header(body), body)
    assert load(path) is None
    assert "cannot be read" in capsys.readouterr().out


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_kill_while_writing_leaves_the_state_before(tmp_path, moment):
    path = tmp_path / "weights.resume"
    save(path, 3)
    before = path.read_bytes()

    def die_while_writing():
        with exclusive(path, SETTINGS) as held:
            setattr(os, moment, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            held.save(state(4))

    child = in_a_child(die_while_writing)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert part_of(path).exists()
    assert path.read_bytes() == before
    assert load(path)["progress"]["step"] == 3
    assert not part_of(path).exists()


def test_a_killed_holder_holds_nobody_up(tmp_path):
    path = tmp_path / "weights.resume"

    def hold():
        with exclusive(path, SETTINGS) as held:
            held.save(state(1))
            time.sleep(60)

    child = in_a_child(hold)
    wait_until(path.exists)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert lock_of(path).exists()
    started = time.monotonic()
    with exclusive(path, SETTINGS) as held:
        assert not held.waited
        assert held.load()["progress"]["step"] == 1
    assert time.monotonic() - started < 5


def test_a_second_process_waits_and_says_for_whom(tmp_path, capsys):
    path = tmp_path / "weights.resume"
    go = tmp_path / "go"

    def hold():
        with exclusive(path, SETTINGS) as held:
            held.save(state(1))
            wait_until(go.exists)
            held.save(state(2))

    child = in_a_child(hold)
    wait_until(path.exists)

    def let_go():
        time.sleep(0.3)
        go.touch()

    other = in_a_child(let_go)
    with exclusive(path, SETTINGS) as held:
        assert held.waited
        assert held.load()["progress"]["step"] == 2
    os.waitpid(child, 0)
    os.waitpid(other, 0)
    printed = capsys.readouterr().out
    assert f"{path}: process {child} on " in printed
    assert "is training here; waiting for it" in printed


def test_many_at_once_are_never_two(tmp_path, monkeypatch):
    # Each removes the lock file when it is done, which the others have open by then.
    monkeypatch.setattr(locks, "POLL_SECONDS", 0.002)
    path, inside, failed = (tmp_path / name for name in ("weights.resume", "inside", "failed"))

    def work():
        try:
            for _ in range(5):
                with exclusive(path, SETTINGS) as held:
                    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                    time.sleep(0.002)
                    held.save(state(1))
                    inside.unlink()
                    held.finish()
        except BaseException as error:
            failed.write_text(repr(error))
            raise

    children = [in_a_child(work) for _ in range(4)]
    for child in children:
        os.waitpid(child, 0)
    assert not failed.exists(), failed.read_text()
    assert not inside.exists()


def test_without_its_lock_nothing_is_saved(tmp_path):
    path = tmp_path / "weights.resume"
    with exclusive(path, SETTINGS) as held:
        held.save(state(1))
        lock_of(path).unlink()
        with pytest.raises(DataError, match="was removed or replaced while this training ran"):
            held.save(state(2))
        lock_of(path).write_text("another's")
        with pytest.raises(DataError, match="was removed or replaced"):
            held.save(state(2))
    assert load(path)["progress"]["step"] == 1


def test_a_finished_training_leaves_nothing(tmp_path):
    path = tmp_path / "weights.resume"
    with exclusive(path, SETTINGS) as held:
        held.save(state(1))
        held.finish()
    assert list(tmp_path.iterdir()) == []


def test_the_state_stays_when_whoever_started_the_training_is_gone(tmp_path, monkeypatch, capsys):
    path = tmp_path / "weights.resume"
    with exclusive(path, SETTINGS) as held:
        held.save(state(1))
        monkeypatch.setattr(checkpoint, "_starters", lambda: (1, 0))
        held.finish()
    assert "kept, as what started this training is gone" in capsys.readouterr().out
    assert load(path)["progress"]["step"] == 1


def test_starters_are_the_parent_and_its_parent():
    here = os.getpid()
    reading, writing = os.pipe()
    child = in_a_child(lambda: os.write(writing, json.dumps(checkpoint._starters()).encode()))
    os.waitpid(child, 0)
    found = json.loads(os.read(reading, 100))
    known = Path("/proc/self/stat").exists()
    assert found == ([here, os.getppid()] if known else [here])


def test_a_full_disk_is_one_line_and_the_old_file_stays(tmp_path):
    path = tmp_path / "weights.resume"
    save(path, 3)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with exclusive(path, SETTINGS) as held:
        # To the writer, a limit on the size of files is like a disk without room.
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            with pytest.raises(DataError, match="weights.resume: cannot be written .*free some"):
                held.save(state(4))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert not part_of(path).exists()


def test_an_unusable_folder_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(DataError, match=r"cannot be locked \(Not a directory|File exists"),
        exclusive(tmp_path / "file" / "weights.resume", SETTINGS),
    ):
        pass
    with pytest.raises(DataError, match="table.csv: cannot be written"):
        write_whole(tmp_path / "file" / "table.csv", b"")


def test_a_training_begins_with_the_state_before_until_it_has_its_own(tmp_path):
    before, own = tmp_path / "one.state", tmp_path / "two.resume"
    earlier, settings = SETTINGS | {"until": 3}, SETTINGS | {"until": 9}
    with exclusive(tmp_path / "one.resume", earlier) as held:
        held.save(state(3))
        held.hand_on(before)
        held.finish()
    with exclusive(own, settings, (before, earlier)) as held:
        assert held.load()["progress"]["step"] == 3
        held.save(state(4))
    with exclusive(own, settings, (before, earlier)) as held:
        assert held.load()["progress"]["step"] == 4
        held.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["one.state"]
    with exclusive(own, settings, (before, earlier | {"seed": 1})) as held:
        assert held.load() is None
