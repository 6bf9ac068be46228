"""Run the job of one network, from photographs to all its RDMs, as the rule does: time and memory.

Run from anywhere, with nothing else running:

    .venv/bin/python tests/benchmarks/network.py --photographs FOLDER --out network.csv

An encoder of the published size with random weights, 500 photographs of 256 pixels, four of them in
a forward pass, as in `config/paper.yaml`; one thread.
First without a cache of Gram matrices; then with one that is empty, then for RDMs without
centring and for all but a fifth of the photographs. CPU seconds, peak memory, how many times the
first job's time, and the cache's size.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from processes import timed
from rows import show, write_rows
from taskrsa.data.pack import write_pack
from taskrsa.data.view import SourceInfo, View
from taskrsa.networks.spec import EncoderSpec
from taskrsa.networks.table import random_network
from taskrsa.networks.weights import random_encoder, save_encoder
from taskrsa.rsa.presets import variants_of

SCRIPT = Path(__file__).parents[2] / "scripts/network_rdms.py"
SIZE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photographs", type=Path, required=True, help="folder")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args()
    n = options.images
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_encoder(folder / "weights.safetensors", random_encoder(EncoderSpec(), 0))
        pack(options.photographs, range(n), folder / "all.h5")
        pack(options.photographs, [row for row in range(n) if row % 5], folder / "fewer.h5")
        for what, stimuli, centre, cached in (
            ("without a cache", "all", True, False),
            ("without a cache, one is made", "all", True, True),
            ("from the cache, without centring", "all", False, True),
            ("from the cache, four fifths of the photographs", "fewer", True, True),
        ):
            row = {"what": what, **job(folder, stimuli, centre, cached)}
            row["of_first"] = row["cpu_s"] / (rows[0] if rows else row)["cpu_s"]
            kept = folder.joinpath("grams").glob("*")
            row["cache_mb"] = sum(file.stat().st_size for file in kept) / 1e6
            rows.append(row)
            show(row)
    write_rows(options.out, rows)


def pack(folder: Path, numbers: list[int] | range, path: Path) -> None:
    """Write the photographs of these numbers, in the order of their names, cut to a square."""
    from PIL import Image, ImageOps

    files = sorted(folder.iterdir())

    def view(number: int) -> View:
        image = ImageOps.fit(Image.open(files[number]).convert("RGB"), (SIZE, SIZE))
        return View(files[number].stem, np.asarray(image))

    write_pack(path, map(view, numbers), SourceInfo(), len(numbers))


def job(folder: Path, stimuli: str, centre: bool, cached: bool) -> dict[str, float]:
    choices = {"centre": centre, "clip": True, "group_norm": True}
    command = [
        *(sys.executable, SCRIPT, "--rows", random_network("network").to_json()),
        *("--choices", json.dumps(choices), "--constant_images", "error"),
        *("--batch_size", "4", "--stimuli", folder / f"{stimuli}.h5"),
        *("--weights", folder / "weights.safetensors", "--rdms", folder / "rdms.h5"),
        *("--variants", json.dumps(variants_of(choices)), "--variant_rdms", folder / "variants.h5"),
        *("--measures", folder / "measures.h5", "--log", folder / "log"),
        *(("--grams", folder / "grams") if cached else ()),
    ]
    return timed(command, folder / "output")


if __name__ == "__main__":
    main()
