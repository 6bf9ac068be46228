"""Time all measures of transfer of a network beside its forward pass over a target's images.

Run from anywhere, with nothing else running:

    .venv/bin/python tests/benchmarks/measures.py --out measures.csv
    .venv/bin/python tests/benchmarks/measures.py --network timm:resnet50 --out resnet50.csv

Random weights, images of random blobs whose classes are the labels, one thread. The rows: the bare
forward pass; the pass that keeps features, and the size of its file; every measure at the tap,
those of the advice with 200 resamples; all measures together. CPU seconds, and how many times the
forward pass's.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from taskrsa.networks.loading import load_network
from taskrsa.networks.table import network
from taskrsa.networks.taps import TapNetwork
from taskrsa.rsa.inference import bootstrap_counts
from taskrsa.targets.config import AdviceConfig
from taskrsa.targets.sets import ArraySet
from taskrsa.transferability.cells import choose_cells
from taskrsa.transferability.feature_file import read_features, write_features
from taskrsa.transferability.features import BATCH, TAP, extract_places
from taskrsa.transferability.measures import MEASURES
from taskrsa.transferability.measuring import Subject, measure_all
from taskrsa.transferability.registry import Rdms

COLUMNS = ("what", "cpu_s", "of_forward", "mb")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", default="timm:mobilenetv2_100")
    parser.add_argument(
        "--kind", choices=("segmentation", "classification"), default="segmentation"
    )
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--side", type=int, default=224, help="pixels")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        rows = measured(options)
    with options.out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for what, cpu, size in rows:
            writer.writerow([what, f"{cpu:.3g}", f"{cpu / rows[0][1]:.3g}", size])
    print(options.out.read_text())


def measured(options: argparse.Namespace) -> list[tuple[str, float, str]]:
    """Return what is timed, its CPU seconds, and the MB of a file that it wrote."""
    cells = {"name": "net", "loader": options.network, "arguments": '{"pretrained": false}'}
    row = network(cells | {"size": str(options.side)})
    images = blobs(options.kind, options.images, options.side, options.classes)
    advice = AdviceConfig()
    chosen = choose_cells(images, advice.n_images, advice.grid, advice.cells, seed=0)
    encoder = load_network(row)
    rows = [("forward pass", seconds(lambda: bare(encoder, images))[0], "")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.h5"

        def keep() -> None:
            found = extract_places(load_network(row), images, chosen, "block4", options.side)
            write_features(path, row.name, 1, found.layers, found.same)

        rows.append(("features", seconds(keep)[0], f"{path.stat().st_size / 1e6:.3g}"))
        features = read_features(path, [TAP]).layers
    counts = bootstrap_counts(len(chosen.images), advice.resamples, seed=0)
    rdms = Rdms(*(np.random.default_rng(n).random((n, 500 * 499 // 2)) for n in (1, 3)))
    subject = Subject(row.name, chosen.labels, 0, features, rdms, 1, 1.0, counts)
    spent, made = seconds(lambda: measure_all(subject, MEASURES.values(), [TAP], advice.measures))
    rows += [(one["measure"], one["seconds"], "") for one in made.seconds]
    return [*rows, ("all measures", spent, "")]


def blobs(kind: str, n: int, side: int, classes: int) -> ArraySet:
    """Return images in which blobs of a colour are of a class."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (classes, 3))
    pixels, labels = np.empty((n, side, side, 3), np.uint8), np.empty((n, side, side), np.uint8)
    for i in range(n):
        coarse = gaussian_filter(rng.normal(size=(classes, 28, 28)), (0, 3, 3)).argmax(axis=0)
        labels[i] = np.kron(coarse, np.ones((side // 28 + 1,) * 2, int))[:side, :side]
        pixels[i] = np.clip(colours[labels[i]] + rng.normal(0, 40, (side, side, 3)), 0, 255)
    names = tuple(f"class {i}" for i in range(classes))
    if kind == "classification":
        labels = labels[:, side // 2, side // 2]
    return ArraySet("train", kind, names, tuple(map(str, range(n))), pixels, labels)


@torch.inference_mode()
def bare(encoder: TapNetwork, images: ArraySet) -> None:
    for start in range(0, len(images), BATCH):
        pixels = torch.from_numpy(images.images[start : start + BATCH])
        encoder(pixels.permute(0, 3, 1, 2).float() / 255)


def seconds(way) -> tuple[float, object]:
    start = time.process_time()
    found = way()
    return time.process_time() - start, found


if __name__ == "__main__":
    main()
