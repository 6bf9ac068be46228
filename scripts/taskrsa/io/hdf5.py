"""HDF5 files on any disk: without locks, and a full disk is an error like any other.

Files are written beside their place and renamed, and read when they are whole, so nobody waits for
anybody: locks, which some network file systems lack, would add nothing. HDF5 itself may crash where
it cannot write; here it writes to a file of Python's, whose error is kept until HDF5 has closed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from taskrsa.io.files import atomic_path

if TYPE_CHECKING:
    import h5py


class _Sink(FileIO):
    """A file that takes everything and keeps its first error in writing, `failure`."""

    failure: OSError | None = None

    def write(self, content: bytes) -> int:
        rest = memoryview(content).cast("B")
        size = len(rest)
        try:
            while rest and self.failure is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failure = error
        return size


@contextmanager
def written_hdf5(path: str | os.PathLike, **options: object) -> Iterator[h5py.File]:
    """Yield an HDF5 file to fill, which gets its name when the block succeeds; errors are those of
    `atomic_path`. The options are those of `h5py.File`."""
    import h5py

    with atomic_path(path) as temporary, _Sink(temporary, "w+") as sink:
        try:
            with h5py.File(sink, "w", **options) as file:
                yield file
        finally:
            if sink.failure is not None:
                raise sink.failure from None


def opened_hdf5(path: str | os.PathLike, **options: object) -> h5py.File:
    """Open an HDF5 file to read, as `h5py.File` does."""
    import h5py

    return h5py.File(Path(path), "r", locking=False, **options)
