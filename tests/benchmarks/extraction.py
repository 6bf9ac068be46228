"""Time extraction and RDMs of an encoder of the published size beside a bare forward pass.

Run from anywhere, with nothing else running:

    .venv/bin/python tests/benchmarks/extraction.py --out extraction.csv
    .venv/bin/python tests/benchmarks/extraction.py --job-images 500 --job-rounds 1 --out full.csv

Random weights, random photographs of 256 pixels, one thread. Rounds interleave a batch's forward
pass as PyTorch does it by default (eager), channels last, fused as `extract` uses it, and fused in
bf16. Then whole jobs, each in a process of its own: photographs to the RDMs of all five layers,
and the bare fused forward passes alone. CPU seconds; medians over the rounds; peak memory.

Last, what bf16 does to similarities: RDMs of several random-weight encoders in float32 and bf16,
and the largest change of their Spearman similarities at each layer.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from rows import Row, show, write_rows

SIZE = 256
BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="of single batches")
    parser.add_argument("--job-images", type=int, default=64)
    parser.add_argument("--job-rounds", type=int, default=3)
    parser.add_argument("--networks", type=int, default=4, help="whose similarities are compared")
    parser.add_argument("--photographs", type=Path, help="folder; random noise without it")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args()
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    rows = alone(batches, options.rounds)
    jobs: dict[str, list[Row]] = {
        "forward alone": [],
        "photographs to RDMs": [],
        "photographs to RDMs, bf16": [],
    }
    n = options.job_images
    for _ in range(options.job_rounds):
        jobs["forward alone"].append(alone(forward_job, n))
        jobs["photographs to RDMs"].append(alone(rdm_job, n, "no"))
        jobs["photographs to RDMs, bf16"].append(alone(rdm_job, n, "bf16"))
    bare = np.median([run["cpu_s"] for run in jobs["forward alone"]])
    for what, runs in jobs.items():
        median = {key: float(np.median([run[key] for run in runs])) for key in runs[0]}
        rows.append({"what": f"{what}, {n} images", "of_forward": median["cpu_s"] / bare, **median})
    rows += alone(precision, options.networks, options.photographs)
    for row in rows:
        show(row)
    write_rows(options.out, rows)


def alone(function, *arguments):
    """Call a function in a process of its own, so that peak memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def photographs(n: int, folder: Path | None = None) -> np.ndarray:
    """Return (n, 256, 256, 3) uint8: those of a folder, or noise."""
    if folder is None:
        return np.random.default_rng(0).integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)
    from PIL import Image

    files = sorted(folder.iterdir())[:: max(1, len(list(folder.iterdir())) // n)][:n]
    shown = [Image.open(file).convert("RGB").resize((SIZE, SIZE)) for file in files]
    return np.stack([np.asarray(image) for image in shown])


def encoder(seed: int = 0):
    """Return a network of the published size, tapped at its five layers."""
    import torch
    from taskrsa.networks.encoder import LAYERS
    from taskrsa.networks.layers import Layer
    from taskrsa.networks.spec import EncoderSpec
    from taskrsa.networks.table import random_network
    from taskrsa.networks.taps import NativeNetwork
    from taskrsa.networks.weights import random_encoder

    torch.set_num_threads(1)
    network = NativeNetwork(random_encoder(EncoderSpec(), seed), random_network("random"))
    network.tap({name: Layer(name, "layer") for name in LAYERS})
    return network.eval().requires_grad_(False)


def batches(rounds: int) -> list[Row]:
    """Return CPU milliseconds an image of one batch's forward pass, five taps, by variant."""
    import copy

    import torch
    from taskrsa.networks.fusing import fused
    from taskrsa.networks.preprocessing import network_input

    network = encoder()
    last = torch.channels_last
    images = network_input(photographs(BATCH))
    contiguous = images.contiguous()
    variants = {
        "eager": (network, contiguous),
        "channels last": (copy.deepcopy(network).to(memory_format=last), images),
        "fused": (fused(copy.deepcopy(network)).to(memory_format=last), images),
        "fused, bf16": (
            fused(copy.deepcopy(network)).to(dtype=torch.bfloat16, memory_format=last),
            images.bfloat16(),
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    error = {}
    with torch.inference_mode():
        exact = network(contiguous)
        for turn in range(rounds + 1):  # the first one warms up
            for name, (forward, shown) in variants.items():
                start = time.process_time()
                taps = forward(shown)
                if turn:
                    seconds[name].append(time.process_time() - start)
                error[name] = max(
                    float((taps[layer].float() - values).abs().max() / values.abs().max())
                    for layer, values in exact.items()
                )
    eager = np.median(seconds["eager"])
    return [
        {
            "what": f"forward, {name}",
            "cpu_ms_per_image": 1e3 * float(np.median(times)) / BATCH,
            "speedup": float(eager / np.median(times)),
            "error": error[name],
        }
        for name, times in seconds.items()
    ]


def forward_job(n: int) -> Row:
    """Push n photographs through the fused network and keep nothing."""
    import torch
    from taskrsa.networks.fusing import fused
    from taskrsa.networks.preprocessing import network_input

    images = photographs(n)
    network = fused(encoder()).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        shown = [network_input(images[start : start + BATCH]) for start in range(0, n, BATCH)]
        network(shown[0])
        cpu = time.process_time()
        for batch in shown:
            network(batch)
    return spent(cpu, 0)


def rdm_job(n: int, precision: str) -> Row:
    """Make the RDMs of all five layers from n photographs."""
    from taskrsa.networks.extraction import extract
    from taskrsa.networks.preprocessing import network_input
    from taskrsa.rsa.rdm import compute_rdm

    images, network = photographs(n), encoder()
    cpu = time.process_time()
    taps = extract(network.extractor(precision), network_input, images, BATCH, "encoder")
    extracted = time.process_time()
    for layer, values in taps.items():
        compute_rdm(values, name=layer)
    row = spent(cpu, sum(values.nbytes for values in taps.values()))
    return row | {"rdms_cpu_s": time.process_time() - extracted}


def spent(since: float, features_bytes: int) -> Row:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    features = features_bytes / 1e6
    return {"cpu_s": time.process_time() - since, "peak_mb": peak, "features_mb": features}


def precision(networks: int, folder: Path | None) -> list[Row]:
    """Return what bf16 changes in RDMs and in their similarities, layer by layer."""
    from taskrsa.networks.extraction import extract
    from taskrsa.networks.preprocessing import network_input
    from taskrsa.rsa.rdm import compute_rdm
    from taskrsa.rsa.similarity import similarity_matrix

    images = photographs(48, folder)
    rdms: dict[tuple[str, str], list[np.ndarray]] = {}
    for seed in range(networks):
        for kind in ("no", "bf16"):
            run = encoder(seed).extractor(kind)
            taps = extract(run, network_input, images, BATCH, f"{seed}")
            for layer, values in taps.items():
                rdm = compute_rdm(values).dissimilarities
                rdms.setdefault((layer, kind), []).append(rdm)
    rows = []
    for layer in dict.fromkeys(layer for layer, _ in rdms):
        exact, half = (np.stack(rdms[layer, kind]) for kind in ("no", "bf16"))
        change = np.abs(similarity_matrix(half) - similarity_matrix(exact))
        pairs = change[np.triu_indices(networks, 1)]
        rows.append(
            {
                "what": f"bf16 at {layer}",
                "rdm_change": float(np.abs(half - exact).mean()),
                "similarity_change": float(pairs.mean()),
                "largest_similarity_change": float(pairs.max()),
            }
        )
    return rows


if __name__ == "__main__":
    main()
