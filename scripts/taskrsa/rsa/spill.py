"""Features of one layer that do not fit in memory: in a temporary file, read block by block."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from taskrsa.errors import DataError


class SpilledFeatures:
    """An (n, d) float32 matrix on disk, filled row by row and read column by column.

    The file lies in the folder for temporary files (TMPDIR) and has no name there: its space is
    free again when the object is gone or the process ends in any way, `kill -9` included. Blocks of
    `width` columns lie in it one after the other, so that reading a block reads the disk in order.

    `features[:, start:stop]`, `features[i]` and `features[[i, ...]]` give arrays as NumPy would;
    `numpy.asarray` reads all of it.

    Raises
    ------
    DataError
        If it cannot be written, with the folder, the size and what to do.
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(self, n: int, d: int, width: int = 4096) -> None:
        self.shape = (n, d)
        self._width = width
        self._filled = 0
        self._file = None
        with _explained(n * d * self.dtype.itemsize):
            self._file = tempfile.TemporaryFile()  # noqa: SIM115, it lives as long as the object
            os.posix_fallocate(self._file.fileno(), 0, max(1, n * d * self.dtype.itemsize))

    def __len__(self) -> int:
        return self.shape[0]

    def append(self, rows: np.ndarray) -> None:
        """Write the next rows, (k, d) float32."""
        n, d = self.shape
        if rows.shape[1:] != (d,) or self._filled + len(rows) > n:
            raise ValueError(f"rows of shape {rows.shape} do not fit ({n}, {d})")
        with _explained(n * d * self.dtype.itemsize):
            for start in range(0, d, self._width):
                part = np.ascontiguousarray(rows[:, start : start + self._width], self.dtype)
                _write(self._file.fileno(), part, self._place(self._filled, start))
        self._filled += len(rows)

    def __getitem__(self, key: object) -> np.ndarray:
        if isinstance(key, tuple) and len(key) == 2 and key[0] == slice(None):
            start, stop, step = key[1].indices(self.shape[1])
            if step == 1:
                return self._columns(start, max(start, stop))
        elif isinstance(key, (int, np.integer)):
            return self._row(range(len(self))[key])
        elif not isinstance(key, tuple):
            rows = np.arange(len(self))[key]
            return np.array([self._row(row) for row in rows]).reshape(len(rows), self.shape[1])
        raise IndexError(f"{key!r}: spilled features have blocks of columns, and rows")

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("spilled features need a copy")
        return self._columns(0, self.shape[1]).astype(dtype or self.dtype, copy=False)

    def _place(self, row: int, start: int) -> int:
        """Return where a row of the block that begins at column `start` stands, in bytes."""
        n, d = self.shape
        width = min(self._width, d - start)
        return (n * start + row * width) * self.dtype.itemsize

    def _columns(self, start: int, stop: int) -> np.ndarray:
        n, d = self.shape
        values = np.empty((n, stop - start), self.dtype)
        for first in range(start - start % self._width, stop, self._width):
            width = min(self._width, d - first)
            whole = start == first and stop == first + width
            block = values if whole else np.empty((n, width), self.dtype)
            _read(self._file.fileno(), block, self._place(0, first))
            if not whole:
                low, high = max(start, first), min(stop, first + width)
                values[:, low - start : high - start] = block[:, low - first : high - first]
        return values

    def _row(self, row: int) -> np.ndarray:
        values = np.empty(self.shape[1], self.dtype)
        for start in range(0, self.shape[1], self._width):
            part = values[start : start + self._width]
            _read(self._file.fileno(), part, self._place(row, start))
        return values


@contextmanager
def _explained(size: int) -> Iterator[None]:
    """Turn a failure to write a temporary file into a line that says how to go on."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{tempfile.gettempdir()}: no room for {size / 1e6:,.0f} MB of features "
            f"({error.strerror}); set TMPDIR to a folder with more, or raise rsa.features_mb and "
            f"rsa.mem_mb"
        ) from None


def _write(handle: int, values: np.ndarray, place: int) -> None:
    rest = memoryview(values).cast("B")
    while rest:
        written = os.pwrite(handle, rest, place)
        rest, place = rest[written:], place + written


def _read(handle: int, values: np.ndarray, place: int) -> None:
    rest = memoryview(values).cast("B")
    while rest:
        read = os.preadv(handle, [rest], place)
        if read == 0:
            raise EOFError("spilled features were read before all rows were written")
        rest, place = rest[read:], place + read
