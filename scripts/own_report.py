"""Make the page of a bank of the user's own: one HTML file that needs no network."""

from pathlib import Path

import numpy as np
import pandas as pd
from taskrsa.entry import run
from taskrsa.io.costs import disk_use, read_jobs
from taskrsa.io.files import atomic_path, digest_of, read_tables
from taskrsa.networks.table import read_bank, styles
from taskrsa.report.own import SMALL, render_own
from taskrsa.report.page import Inputs, caption


def main(
    networks: str,
    similarity: list[str],
    tables: list[str],
    curves: list[str],
    pictures: list[str],
    captions: list[str],
    stimuli: str,
    labelled: list[str],
    layer: str,
    results: str,
    benchmarks: str,
    settings: dict,
    packages: list[str],
    page: str,
    target_name: str = "",
) -> None:
    """`networks` is the table of the bank, `layer` that of the ranking, `target_name` the network
    that stands for the target, if one does; `results` is the run's folder, of which only the sizes
    are read, `settings` its config."""
    found = read_tables(tables)
    found["similarity"] = pd.concat([pd.read_csv(path) for path in similarity], ignore_index=True)
    if curves:
        found["curves"] = pd.concat([_curve(path) for path in curves], ignore_index=True)
    bank = read_bank(networks)
    images = pd.read_csv(stimuli)
    digests = {
        f"{len(images)} stimuli": digest_of(f"{r.image} {r.sha256}" for r in images.itertuples())
    }
    for path in labelled:
        rows = Path(path).read_text(encoding="utf-8").splitlines()
        digests[f"{len(rows) - 1} labelled images"] = digest_of(rows)
    digests |= {f"weights of {net.label}": net.sha256 for net in bank.values() if net.sha256}
    inputs = Inputs(
        tables=found,
        claims=(),
        pictures={Path(path).stem: Path(path) for path in pictures},
        captions={Path(path).stem: caption(Path(path).read_text()) for path in captions},
        linkage=np.empty((0, 4)),
        leaves=(),
        settings=settings,
        digests=digests,
        packages=packages,
        jobs=read_jobs(benchmarks),
        disk=disk_use(results, but=page),
    )
    with atomic_path(page) as temporary:
        text = render_own(inputs, styles(bank), layer, target_name)
        temporary.write_text(text, encoding="utf-8")


def _curve(path: str) -> pd.DataFrame:
    """Return a learning curve, told by its folders: tuned/<network>/s<seed> or small/s<seed>."""
    frame = pd.read_csv(path)
    frame = frame.rename(columns={frame.columns[-1]: "score"})
    kind, network, seed = Path(path).parts[-4:-1]
    model = network if kind == "tuned" else SMALL
    return frame.assign(model=model, seed=int(seed.removeprefix("s")))


if __name__ == "__main__":
    run(main)
