"""Make a run's report: one self-contained HTML page, the answer for each target first.

Reads the run's tables, claims, pictures and timings; computes nothing about networks itself.
"""

from taskrsa.entry import run
from taskrsa.io.costs import disk_use, read_jobs
from taskrsa.io.files import atomic_path
from taskrsa.paper.claims import with_timings
from taskrsa.plan.config import Config, parse
from taskrsa.report import read
from taskrsa.report.inputs import Inputs
from taskrsa.report.page import render


def main(
    networks: str,
    layer: str,
    tables: list[str],
    target_tables: list[str],
    curves: list[str],
    claims: list[str],
    pictures: list[str],
    linkage: list[str],
    stimuli: str,
    left_out: list[str],
    results: str,
    benchmarks: str,
    settings: dict,
    hashes: dict,
    packages: list[str],
    gpu: bool,
    page: str,
    paper_target: str = "",
) -> None:
    """Paths lie in `results`, the run's folder. `layer` is that of the rankings, `settings` the
    whole config, `hashes` those of weights and other files by what they are of; `gpu` says whether
    jobs had one; `paper_target` is the target that the claims are about, if they are about one."""
    config, _ = parse(settings, added=settings.keys() - Config.model_fields.keys())
    jobs, judged = read_jobs(benchmarks), read.claims_of(claims)
    inputs = Inputs(
        config=config,
        settings=settings,
        networks=read.networks_of(networks),
        layer=layer,
        tables=read.tables_of(tables),
        targets=read.targets_of(results, target_tables, curves),
        pictures=read.pictures_of(results, pictures),
        claims=with_timings(judged, jobs, gpu, paper_target) if judged else [],
        paper_target=paper_target,
        tree=read.tree_of(linkage),
        left_out=left_out,
        digests=read.digests_of(results, stimuli, target_tables) | hashes,
        packages=packages,
        jobs=jobs,
        disk=disk_use(results, but=page),
        gpu=gpu,
    )
    with atomic_path(page) as temporary:
        temporary.write_text(render(inputs), encoding="utf-8")


if __name__ == "__main__":
    run(main)
