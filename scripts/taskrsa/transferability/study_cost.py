"""What measures and fine-tuning took: CPU-seconds of the jobs of a run, so no table of results.

Read are the seconds that each measure notes of itself and the benchmark files of Snakemake, as in
`taskrsa.io.costs`. Jobs too short to be sampled count by their wall time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import pandas as pd

from taskrsa.io.costs import read_jobs

# What one needs before a measure can be made: steps, and the beginnings of their jobs' names.
STEPS = {
    "features of the target's images": "target_features_",
    "small models": "train_target_",
    "RDMs of the networks": "rdms_bank_",
    "RDMs of the small models": "rdms_target_",
    "RDMs on images of the targets": "rdms_own_",
    "fine-tuning, all networks and seeds": "finetune_",
}


def cost_rows(
    seconds: pd.DataFrame, benchmarks: str | os.PathLike, targets: Sequence[str]
) -> pd.DataFrame:
    """Return CPU-seconds for one target, all networks together, the mean over targets.

    Parameters
    ----------
    seconds : columns target, model, measure, layer and seconds
    benchmarks : folder of the run's benchmark files; a step without files is left out

    Returns
    -------
    Rows what (a measure, for all its layers together, or a step of `STEPS`), kind ("measure" or
    "step"), cpu_seconds, and of_finetuning, their share of the fine-tuning (blank without it).
    Networks' RDMs are made once for all targets, and are shared out among them.
    """
    by_measure = seconds.groupby("measure", sort=True)["seconds"].sum() / len(targets)
    rows = [
        {"what": str(name), "kind": "measure", "cpu_seconds": value}
        for name, value in by_measure.items()
    ]
    jobs = read_jobs(benchmarks)
    for what, beginning in STEPS.items():
        found = [job for job in jobs if _is_of(job.name, beginning, targets)]
        if found:
            spent = sum((job.cpu_s or job.wall_s or 0) for job in found)
            rows.append({"what": what, "kind": "step", "cpu_seconds": spent / len(targets)})
    table = pd.DataFrame(rows, columns=["what", "kind", "cpu_seconds"])
    whole = table.loc[table["what"] == list(STEPS)[-1], "cpu_seconds"]
    table["of_finetuning"] = table["cpu_seconds"] / whole.iloc[0] if len(whole) else float("nan")
    return table


def _is_of(job: str, beginning: str, targets: Iterable[str]) -> bool:
    """Tell whether a job is of a step and, where steps are of targets, of one of these."""
    if not job.startswith(beginning):
        return False
    if beginning == STEPS["RDMs of the networks"]:
        return True
    return any(job.startswith((f"{beginning}{name}_", f"{beginning}{name}.")) for name in targets)
