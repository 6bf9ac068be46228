"""Make a run's report: one HTML page that needs no network, the answer first.

Reads the run's tables, claims, pictures and timings; computes nothing about networks itself.
"""

from pathlib import Path

import pandas as pd
from taskrsa.analysis.tables import read_linkage
from taskrsa.entry import run
from taskrsa.io.costs import disk_use, read_jobs
from taskrsa.io.files import atomic_path, digest_of, read_tables
from taskrsa.paper.claims import with_timings
from taskrsa.report.page import Inputs, caption, render


def main(
    tables: list[str],
    bank_quality: list[str],
    small_quality: str,
    claims: str,
    pictures: list[str],
    captions: list[str],
    linkage: str,
    stimuli: str,
    target: list[str],
    results: str,
    benchmarks: str,
    gpu: bool,
    settings: dict,
    hashes: dict,
    packages: list[str],
    page: str,
) -> None:
    """`results` is the run's folder, of which only the sizes are read, `settings` its config;
    `gpu` says whether jobs had one."""
    found = read_tables(tables)
    # Two tables of one name.
    for name, paths in (("bank_quality", bank_quality), ("small_quality", [small_quality])):
        for path in paths:
            found[name] = read_tables([path])["quality"]
    judged = pd.read_csv(claims).astype(object)
    rows = judged.where(judged.notna(), None).to_dict("records")
    jobs = read_jobs(benchmarks)
    tree, leaves = read_linkage(linkage)
    inputs = Inputs(
        tables=found,
        claims=with_timings(rows, jobs, gpu),
        pictures={Path(path).stem: Path(path) for path in pictures},
        captions={Path(path).stem: caption(Path(path).read_text()) for path in captions},
        linkage=tree,
        leaves=leaves,
        settings=settings,
        digests=digests(stimuli, target) | hashes,
        packages=packages,
        jobs=jobs,
        disk=disk_use(results, but=page),
    )
    with atomic_path(page) as temporary:
        temporary.write_text(render(inputs), encoding="utf-8")


def digests(stimuli: str, target: list[str]) -> dict[str, str]:
    """Return one hash for each list of images; that of the stimuli is in every RDM file, too."""
    images = pd.read_csv(stimuli)
    both = [f"{row.image} {row.sha256}" for row in images.itertuples()]
    found = {f"{len(images)} stimuli": digest_of(both)}
    for path in target:
        rows = Path(path).read_text(encoding="utf-8").splitlines()
        found[f"{len(rows) - 1} images of the new task, with masks"] = digest_of(rows)
    return found


if __name__ == "__main__":
    run(main)
