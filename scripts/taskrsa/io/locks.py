"""One process at a time: file locks that the kernel releases when their holder dies."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from taskrsa.errors import DataError

POLL_SECONDS = 0.5  # between two looks at the lock of another process


@contextmanager
def locked(place: Path, waiting: Callable[[str], str], remedy: str) -> Iterator[bool]:
    """Hold the lock file `place`; yield whether another process held it before.

    A lock file that a killed holder leaves behind holds nobody up. `waiting` makes the line to
    print while another holds it, from who that is; `remedy` is what the user can do where no lock
    can be had (DataError): the folder cannot be written, or its file system has no locks.
    """
    lock = FileLock(place, fallback_to_soft=False, on_acquired=_sign)
    waited = False
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            waited = True
            print(waiting(_holder(place)), flush=True)
            lock.acquire(poll_interval=POLL_SECONDS)
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{place}: cannot be locked ({reason}); {remedy}") from None
    try:
        yield waited
    finally:
        lock.release()


def _sign(handle: int) -> None:
    # For people only: who holds the lock. A full disk must not matter here.
    with suppress(OSError):
        os.truncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)


def _holder(place: Path) -> str:
    try:
        return place.read_text().strip() or "another process"
    except OSError:
        return "another process"
