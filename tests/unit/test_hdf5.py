"""HDF5 files on disks that are full or have no locks; nothing else opens one."""

from __future__ import annotations

import fcntl
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from taskrsa.errors import DataError
from taskrsa.io.hdf5 import opened_hdf5, written_hdf5

SCRIPTS = Path(__file__).parents[2] / "scripts"
VALUES = np.random.default_rng(0).integers(0, 256, (300, 1000), dtype=np.uint8)
WRITER = """
import resource, sys
import numpy as np
from taskrsa.entry import run
from taskrsa.io.hdf5 import written_hdf5

def main(path: str, limit: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    values = np.random.default_rng(0).integers(0, 256, (300, 1000), dtype=np.uint8)
    with written_hdf5(path) as file:
        rows = file.create_dataset("rows", values.shape, "u1", chunks=(1, 1000), compression="gzip")
        for at, row in enumerate(values):
            rows[at] = row
        file["names"] = [str(at) for at in range(300)]

run(main)
"""


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "new" / "values.h5"
    with written_hdf5(path, libver="earliest") as file:
        file["values"] = VALUES
    with opened_hdf5(path) as file:
        assert np.array_equal(file["values"], VALUES)
    first = path.read_bytes()
    with written_hdf5(path, libver="earliest") as file:
        file["values"] = VALUES
    assert path.read_bytes() == first


# From where HDF5 has not yet written anything to where only its last words lack room.
@pytest.mark.parametrize("limit", [0, 500, 60_000, 299_000, 318_000])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, limit):
    path = tmp_path / "values.h5"
    path.write_text("as before")
    done = subprocess.run(
        [sys.executable, "-c", WRITER, "--path", str(path), "--limit", str(limit)],
        env={"PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {path}: cannot be written (File too large); free some space or make its folder "
        "writable, and run again\n"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["values.h5"]
    assert path.read_text() == "as before"


def test_a_fault_of_the_block_is_its_own(tmp_path):
    with pytest.raises(DataError, match="not this"), written_hdf5(tmp_path / "values.h5"):
        raise DataError("not this")
    assert not list(tmp_path.iterdir())


def test_a_file_that_another_program_has_locked_is_read(tmp_path):
    """As on file systems without locks, HDF5's own try to lock would fail."""
    import h5py

    path = tmp_path / "values.h5"
    with written_hdf5(path) as file:
        file["values"] = VALUES
    with path.open("rb+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="lock"):
            h5py.File(path, "r", locking=True)
        with opened_hdf5(path) as file:
            assert file["values"].shape == VALUES.shape


def test_nothing_else_opens_hdf5_files():
    found = [
        path.relative_to(SCRIPTS).as_posix()
        for path in SCRIPTS.rglob("*.py")
        if re.search(r"h5py\.File\(", path.read_text())
    ]
    assert found == ["taskrsa/io/hdf5.py"]


def test_a_full_disk_stops_tables_in_the_same_way(tmp_path):
    from taskrsa.io.files import write_table

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(DataError, match=r"table\.csv: cannot be written \(File too large\)"):
            write_table(({"row": row} for row in range(1000)), tmp_path / "table.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
