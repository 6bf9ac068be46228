"""Jobs on a cluster that outlived the run that submitted them."""

from __future__ import annotations

import os
import shutil
import subprocess

from taskrsa.errors import ConfigError


def refuse_orphaned_jobs(prefix: str, folder: str | os.PathLike = ".") -> None:
    """Raise ConfigError where Slurm jobs of a run that was killed are still running in a folder.

    New jobs would write the same files beside them. A run that ends in any other way cancels its
    jobs or waits for them; another run in this folder has another `--slurm-jobname-prefix`.

    Parameters
    ----------
    prefix : what the names of this run's jobs begin with, before _
    folder : where they work
    """
    if shutil.which("squeue") is None:
        return
    listed = subprocess.run(
        ["squeue", "--noheader", f"--user={os.getuid()}", "--format=%A|%j|%Z"],
        capture_output=True,
        text=True,
        check=False,
    )
    jobs = [line.split("|", 2) for line in listed.stdout.splitlines()]
    here = os.path.realpath(folder)
    orphaned = {
        job
        for job, name, place in jobs
        if name.startswith(f"{prefix}_") and os.path.realpath(place) == here
    }
    if orphaned:
        raise ConfigError(
            "Slurm jobs of an earlier run are still running in this folder: "
            f"{' '.join(sorted(orphaned))}; wait for them to finish, or end them with scancel, "
            "and start again"
        )
