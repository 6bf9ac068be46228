"""Time the training step of small models and the bank's beside a plain loop, data included.

Run from anywhere, with nothing else running:

    .venv/bin/python tests/benchmarks/training.py --out training.csv

The plain loop is what a tutorial writes: one image at a time from a data set, PyTorch's default
loader and collation, default memory layout, AdamW with its defaults. Both train the same network on
the same images with one thread, alternating in each round. Written are medians over the rounds: CPU
milliseconds per step, how many times faster than the plain loop of the round, and the share of a
step that is spent on making its batch.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate.state import AcceleratorState
from torch import nn
from torch.utils.data import DataLoader, Dataset

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from taskrsa.networks.decoders import SmallDecoder
from taskrsa.networks.encoder import SmallEncoder
from taskrsa.networks.preprocessing import network_input
from taskrsa.networks.spec import SmallSpec, encoder_spec
from taskrsa.networks.weights import random_encoder
from taskrsa.recipes import TrainConfig
from taskrsa.training.loop import LabelledImages, _endless, train
from taskrsa.training.losses import LOSSES

COLUMNS = ("network", "what", "cpu_ms_per_step", "speedup", "data_share")


class Plain(Dataset):
    """The same images, one at a time."""

    def __init__(self, images: LabelledImages) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, at: int) -> tuple:
        rgb = torch.from_numpy(self.images.images[at]).permute(2, 0, 1).float() / 127.5 - 1
        target = torch.from_numpy(self.images.targets[at]).float()
        return rgb, target, torch.from_numpy(self.images.valid[at])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=64, help="side of the images, pixels")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = some_images(options.size, n=256)
    rows = []
    for network in ("small model", "bank's network"):
        ways = {
            "plain loop": plain_loop,
            "taskrsa, float32": partial(ours, precision="no"),
            "taskrsa, bf16": partial(ours, precision="bf16"),
        }
        times = np.array(
            [
                [way(network, images, options) for way in ways.values()]
                for _ in range(options.rounds)
            ]
        )
        batch = np.median([data_seconds(images, options) for _ in range(options.rounds)])
        plain_batch = np.median([plain_seconds(images, options) for _ in range(options.rounds)])
        for at, what in enumerate(ways):
            step = np.median(times[:, at])
            share = (plain_batch if what == "plain loop" else batch) / step
            rows.append((network, what, 1000 * step, np.median(times[:, 0] / times[:, at]), share))
    with options.out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([*row[:2], *(f"{value:.4g}" for value in row[2:])] for row in rows)
    print(options.out.read_text())


def some_images(size: int, n: int) -> LabelledImages:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    targets = rng.random((n, 1, size // 2, size // 2)).astype(np.float16)
    valid = np.ones((n, size // 2, size // 2), bool)
    return LabelledImages(rgb, targets, valid, partial(network_input, clip=False))


def made(name: str, size: int) -> nn.Module:
    torch.manual_seed(0)
    if name == "small model":
        spec = SmallSpec(width=16, reduction=4)
        bottleneck, encoder = spec.bottleneck_channels, SmallEncoder(spec)
    else:
        spec = encoder_spec({"width": 8, "units": [1, 1, 1, 1], "strides": [2, 1, 1, 1]})
        bottleneck, encoder = spec.bottleneck_channels, random_encoder(spec, 0).requires_grad_(True)
    with torch.no_grad():
        side = encoder(torch.zeros(1, 3, size, size)).shape[-1]
    return nn.Sequential(encoder, SmallDecoder(bottleneck, side, 1, size // 2)).train()


def plain_loop(name: str, images: LabelledImages, options) -> float:
    """Return CPU seconds a step."""
    network = made(name, options.size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    loader = DataLoader(Plain(images), options.batch, shuffle=True, drop_last=True)
    loss = LOSSES["l1"]

    def run(n: int) -> float:
        done, start = 0, time.process_time()
        while True:
            for rgb, target, valid in loader:
                optimizer.zero_grad()
                value = loss(network(rgb), target, valid, generator=None)
                value.backward()
                optimizer.step()
                value.item()
                done += 1
                if done == n:
                    return (time.process_time() - start) / n

    run(3)
    return run(options.steps)


def ours(name: str, images: LabelledImages, options, precision: str) -> float:
    """Return CPU seconds per step, without what a run of a few steps takes to start."""
    few = LabelledImages(images.images[:1], images.targets[:1], images.valid[:1], images.to_input)

    def run(n: int) -> float:
        spec = TrainConfig(
            steps=n, batch_size=options.batch, learning_rate=1e-3, eval_every=n,
            precision=precision, device="cpu",
        )  # fmt: skip
        # One precision a process is its rule; here two are compared.
        AcceleratorState._reset_state(reset_partial_state=True)
        network = made(name, options.size)
        start = time.process_time()
        train(network, "l1", images, few, spec, seed=0)
        return time.process_time() - start

    run(3)
    few_steps = run(3)
    return (run(3 + options.steps) - few_steps) / options.steps


def data_seconds(images: LabelledImages, options) -> float:
    """Return CPU seconds to make a batch and the network's input, ours."""
    batches = _endless(images, options.batch, 0)
    start = time.process_time()
    for _ in range(options.steps):
        rgb, _, _ = next(batches)
        images.to_input(rgb)
    return (time.process_time() - start) / options.steps


def plain_seconds(images: LabelledImages, options) -> float:
    """Return CPU seconds to make a batch, by the plain loop's loader."""
    start, n = time.process_time(), 0
    for _ in DataLoader(Plain(images), options.batch, shuffle=True, drop_last=True):
        n += 1
    return (time.process_time() - start) / n


if __name__ == "__main__":
    main()
