"""Programs that benchmarks run in processes of their own: what they took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def timed(command: Sequence[object], log: Path, folder: Path | None = None) -> dict[str, float]:
    """Run a program with one thread, in `folder`, and return its CPU and wall seconds and its peak
    memory in MB. What it prints goes to `log`, with which this program exits if that one fails."""
    one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    start = time.perf_counter()
    with log.open("w") as file:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env={**os.environ, **one},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(log.read_text())
    return {
        "cpu_s": used.ru_utime + used.ru_stime,
        "wall_s": time.perf_counter() - start,
        "peak_mb": used.ru_maxrss * 1024 / 1e6,
    }
