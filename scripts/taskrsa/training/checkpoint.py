"""The state of a long training: saved whole, used once, by one process at a time.

A workflow deletes the outputs of a job that did not finish, so the state lies in a separate file
beside them. It is written under another name, forced to disk and renamed: whenever the machine or
the process dies, the last whole state is there. It names the settings that it was made with, and
its checksum; what does not match is left aside and said in the log.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from taskrsa.errors import DataError
from taskrsa.io.locks import locked
from taskrsa.text import one_line

MAGIC = b"taskrsa-resume-1 "
HEADER = len(MAGIC) + 64 + 1  # the magic, a SHA-256 in hexadecimal digits, a line feed
DAMAGE = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError)


def key_of(settings: dict) -> str:
    """Return the SHA-256 of settings (anything JSON can hold), whatever the order of the keys."""
    return hashlib.sha256(_canonical(settings).encode()).hexdigest()


def _canonical(settings: object) -> str:
    return json.dumps(settings, sort_keys=True)


def write_whole(path: str | os.PathLike, *parts: bytes | memoryview) -> None:
    """Write a file whole or not at all, whatever dies meanwhile, and replace what was there.

    The temporary name is fixed, so that what a kill leaves is overwritten by the next attempt;
    only the holder of the training's lock may write. DataError if the disk is full or the folder
    cannot be written; what was at `path` stays.
    """
    path = Path(path)
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as stream:
            for data in parts:
                stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); free some space or make its "
            "folder writable and run again: training continues from the last saved state"
        ) from None


def part_of(path: str | os.PathLike) -> Path:
    """Return the name under which `path` is written before it is whole."""
    path = Path(path)
    return path.with_name(f".{path.name}.part")


def _sync_folder(folder: Path) -> None:
    # The rename is on disk only when the folder is; not every file system can be asked for that.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _header(body: bytes | memoryview) -> bytes:
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n"


def read_state(path: str | os.PathLike, settings: dict) -> dict | None:
    """Return a state that was saved with these settings; None if there is none, with a line that
    says why where the file is damaged or of other settings."""

    def aside(reason: str) -> None:
        print(f"{path}: {reason}; training starts over", flush=True)

    path = Path(path)
    if not path.exists():
        return None
    with open(path, "rb") as stream:
        header, body = stream.read(HEADER), stream.read()
    if header != _header(body):
        return aside("is damaged")
    try:
        stored = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
        found, state = json.loads(stored["settings"]), stored["state"]
    except DAMAGE as error:
        # Whole, so another version of this program or of PyTorch wrote it.
        return aside(f"cannot be read ({one_line(error)})")
    differing = [
        name
        for name in sorted(found.keys() | settings.keys())
        if _canonical(found.get(name)) != _canonical(settings.get(name))
    ]
    if differing:
        return aside(f"was made with a different {', '.join(differing)}")
    return state


class Checkpoint:
    """The state file of one training while its lock is held; made by `exclusive`.

    waited: another process held the lock before.
    """

    def __init__(
        self,
        path: Path,
        settings: dict,
        waited: bool,
        starters: tuple[int, ...],
        before: tuple[Path, dict] | None = None,
    ):
        self.path = path
        self.settings = settings
        self.waited = waited
        self._before = before
        self._lock_path = lock_of(path)
        self._lock_id = self._identity()
        self._starters = starters

    def load(self) -> dict | None:
        """Return the last state that was saved with these settings, or None; where there is none,
        that of the training before, if one was given.

        A state that is damaged or was made with other settings is left aside, with a line that
        says so; the next `save` replaces it.
        """
        state = read_state(self.path, self.settings)
        if state is None and self._before is not None:
            return read_state(*self._before)
        return state

    def hand_on(self, path: str | os.PathLike) -> None:
        """Copy the state that was saved last to `path`, where another training begins with it."""
        write_whole(path, self.path.read_bytes())

    def save(self, state: dict) -> None:
        """Replace the state by another, of tensors, numbers, texts, lists and dictionaries;
        DataError if it cannot be written, or the lock was taken away."""
        if self._identity() != self._lock_id:
            raise DataError(
                f"{self._lock_path}: was removed or replaced while this training ran, so that "
                "another may be running; run again when it has ended"
            )
        body = io.BytesIO()
        torch.save({"settings": _canonical(self.settings), "state": state}, body)
        write_whole(self.path, _header(body.getbuffer()), body.getbuffer())

    def finish(self) -> None:
        """Remove the state after the outputs are written, unless whoever started this is gone.

        A workflow that was killed counts the job as unfinished and starts it again; then the state
        is still there, and nothing is trained twice.
        """
        if _starters() != self._starters:
            print(f"{self.path}: kept, as what started this training is gone", flush=True)
            return
        self.path.unlink(missing_ok=True)
        # While it is held: whoever waits sees that the file has no name any more and makes another.
        self._lock_path.unlink(missing_ok=True)

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self._lock_path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino


def _starters() -> tuple[int, ...]:
    """Return the processes that wait for this one: its parent and, where it can be known, the
    parent's parent (between a workflow and its job stands a shell)."""
    parent = os.getppid()
    try:
        status = Path(f"/proc/{parent}/stat").read_text()
    except OSError:
        return (parent,)
    # The second field, a name in brackets, may hold spaces; the parent is the second after it.
    return parent, int(status.rpartition(")")[2].split()[1])


def lock_of(path: str | os.PathLike) -> Path:
    """Return the lock file of a state file."""
    path = Path(path)
    return path.with_name(f"{path.name}.lock")


@contextmanager
def exclusive(
    path: str | os.PathLike,
    settings: dict,
    before: tuple[str | os.PathLike, dict] | None = None,
) -> Iterator[Checkpoint]:
    """Hold the lock of the state at `path`, alone on this file system, for a whole training.

    Another holder is waited for, with a line in the log (see `locked`, also for errors).

    Parameters
    ----------
    path : the state file; the lock and temporary files lie beside it
    settings : everything that decides the result, as JSON can hold it; names are shown to the user
    before : the state to begin with where there is none yet, and the settings it was made with
    """
    path = Path(path)
    starters = _starters()  # before any wait, during which they may go
    hold = locked(
        lock_of(path),
        lambda holder: f"{path}: {holder} is training here; waiting for it",
        "make its folder writable, on a file system with locks",
    )
    with hold as waited:
        part_of(path).unlink(missing_ok=True)
        yield Checkpoint(path, settings, waited, starters, before and (Path(before[0]), before[1]))
