"""Time how long Snakemake plans the jobs of many networks, and what memory that takes.

Run from anywhere, with nothing else running:

    .venv/bin/python tests/benchmarks/planning.py --out planning.csv

Tables of 100 and of 1,000 networks of timm, ranked for three sets of labelled images, in a copy of
what git has staged; a dry run each.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from processes import timed
from rows import show, write_rows

ROOT = Path(__file__).parents[2]
TARGETS = ("one", "two", "three")
HEADER = "name\tlabel\ttype\tloader\tweights\tsha256\tlayers\tsize\tmean\tstd\tchannels\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            ["git", "checkout-index", "--all", f"--prefix={folder}/"], cwd=ROOT, check=True
        )
        draw_images(folder / "images")
        rows = []
        for n in options.networks:
            rows.append({"networks": n, **planned(folder, n)})
            show(rows[-1])
    write_rows(options.out, rows)


def draw_images(folder: Path) -> None:
    """Write 16 photographs of noise, in two classes, to train on and to validate with."""
    rng = np.random.default_rng(0)
    for number in range(16):
        path = folder / ("train", "val")[number % 2] / ("a", "b")[number // 8] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)


def planned(folder: Path, n: int) -> dict[str, object]:
    """Return how many jobs a dry run lists, what it took, and its peak memory."""
    table = "".join(
        f"net{i}\tNetwork {i}\t{'abcd'[i % 4]}\ttimm:resnet10t\t\t\tauto\t96\t\t\trgb\n"
        for i in range(n)
    )
    (folder / "many.tsv").write_text(HEADER + table)
    images = folder / "images"
    targets = "".join(f"  {one}: {{kind: classification, path: {images}}}\n" for one in TARGETS)
    (folder / "many.yaml").write_text(
        "run: many\nnetworks: many.tsv\nimage_size: 64\nstimuli: {source: folder, n: 16}\n"
        f"folder: {{path: {images}}}\ntargets:\n{targets}"
    )
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile", "many.yaml"]
    took = timed(command, folder / "plan", folder)
    (jobs,) = set(re.findall(r"^total +(\d+)$", (folder / "plan").read_text(), re.MULTILINE))
    return {"jobs": int(jobs), **took}


if __name__ == "__main__":
    main()
