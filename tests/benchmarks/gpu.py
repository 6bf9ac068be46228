"""Measure a graphics card: extraction, RDMs, fine-tuning and a race, beside its matrix products.

Run from anywhere on a machine with one card, with nothing else running:

    TASKRSA_DATA=... .venv/bin/python tests/benchmarks/gpu.py --out gpu.csv
    .venv/bin/python tests/benchmarks/gpu.py --small --out small.csv    # tiny, on any machine

Without a card the small form runs on the processor, to try the program. Images and masks are those
of $TASKRSA_DATA/voc or, without it, of the simulated outdoor world at the same size; weights are
random. Everything is done in float32, with TF32 and in bf16; `of_matmul` is the share of the rate
at which the card multiplies square matrices of that kind, which `matmul` measures first.

`extraction`: images per second of the bare forward pass in its best batch size, of `extract`, which
also prepares the images and fetches all layers, and of that with the RDMs. `rsa`: what each
precision changes in RDMs, and in similarities between networks. `rdm`: one RDM by the host and with
the card's products. `finetuning`: steps of the paper's recipe for Pascal VOC, and the share of
their time in which the card waits for a batch: as the workflow trains, and with batches made ahead
by threads. `race`: successive halving of five networks beside fine-tuning them all.

PyTorch has one thread on the host, as in the workflow's jobs, where `threads` says no other number.
What does not begin within `--minutes` is left out, with a line.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from card import PRECISIONS, SMALL, Bench, Form, host_threads, numerics, photographs, prepare
from gpu_training import finetuning, race
from rdm import some_features
from rows import Row, cell, write_rows
from taskrsa.errors import ConfigError
from taskrsa.networks.extraction import extract
from taskrsa.networks.loading import tap_network
from taskrsa.networks.network import Network
from taskrsa.networks.preprocessing import input_of
from taskrsa.networks.table import network, random_network
from taskrsa.networks.taps import TapNetwork
from taskrsa.rsa.rdm import ShiftedProducts, compute_rdm, pearson_rdm
from taskrsa.rsa.similarity import similarity_matrix

LEFT = 0.5  # minutes that what has begun may still take


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="tiny, to try the program")
    parser.add_argument("--minutes", type=float, default=8, help="that the run may take")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args(words)
    began, is_card = time.monotonic(), torch.cuda.is_available()
    if not is_card:
        print("no CUDA card: the small form, on the processor")
    form = Form() if is_card and not options.small else SMALL
    torch.set_num_threads(1)
    rows: list[Row] = []
    failed = False
    with tempfile.TemporaryDirectory() as folder, numerics():
        bench = Bench(form, Path(folder), is_card)
        deadline = began + 60 * (options.minutes - min(LEFT, options.minutes / 10))
        prepare(bench)
        for name, part in PARTS.items():
            found: list[Row] = []
            try:
                for row in until(deadline, name, part(bench)):
                    if row is not None:
                        found.append({"part": name, **row})
            except Exception:  # the other parts tell something nevertheless
                traceback.print_exc()
                failed = True
            rows += found
            tell(found)
            write_rows(options.out, rows)
    print(f"{time.monotonic() - began:.0f} s")
    return int(failed)


def until(deadline: float, name: str, part: Iterator[Row | None]) -> Iterator[Row | None]:
    """Yield a part's rows as long as there is time."""
    while time.monotonic() < deadline:
        try:
            yield next(part)
        except StopIteration:
            return
    part.close()
    print(f"{name}: what is left of it is left out, the time is up", flush=True)


def tell(rows: list[Row]) -> None:
    """Print rows as a table."""
    columns = dict.fromkeys(key for row in rows for key in row)
    cells = [{key: cell(row.get(key, "")) for key in columns} for row in rows]
    if cells:
        print(pd.DataFrame(cells).to_string(index=False), flush=True)


# --- the networks ---


def networks(form: Form) -> dict[str, Network]:
    """Return the rows of the networks that are extracted, by name."""
    rows = {"published encoder": random_network("encoder")}
    for name in form.libraries:
        cells = {"name": name, "loader": f"timm:{name}", "arguments": '{"pretrained": false}'}
        rows[name] = network(cells | {"size": form.library_side})
    return rows


def tapped(bench: Bench, row: Network) -> TapNetwork:
    """Return a network as the job of its RDMs has it, on the card if there is one."""
    weights = bench.folder / f"{row.name}.safetensors"
    with redirect_stdout(None):  # each time it is said at what size images are seen
        return tap_network(row, bench.form.side, weights if row.is_native else None)[0]


def loadable(bench: Bench) -> Iterator[tuple[str, Network]]:
    """Yield the networks whose library is installed."""
    for name, row in networks(bench.form).items():
        try:
            tapped(bench, row)
        except ConfigError as error:
            print(f"{name} is left out: {error}", flush=True)
            continue
        yield name, row


# --- the yardstick ---


def matmul(bench: Bench) -> Iterator[Row]:
    """Multiply two square matrices in every precision."""
    card = torch.cuda.get_device_name() if bench.is_card else "processor"
    n = bench.form.matrix
    for precision, (kind, tf32) in PRECISIONS.items():
        dtype = torch.bfloat16 if kind == "bf16" else torch.float32
        left, right = torch.randn(2, n, n, device=bench.device).to(dtype)
        with numerics(tf32):
            took = bench.seconds(partial(torch.matmul, left, right))
        bench.rates[precision] = 2 * n**3 / took
        yield {
            "what": f"{card}, {n} x {n}, PyTorch {torch.__version__}",
            "precision": precision,
            "tflops": bench.rates[precision] / 1e12,
        }


# --- extraction ---


def extraction(bench: Bench) -> Iterator[Row]:
    images = photographs(bench, bench.form.images)
    for name, row in loadable(bench):
        operations = operations_of(tapped(bench, row), images)
        for precision, (kind, tf32) in PRECISIONS.items():
            whole = tapped(bench, row)
            to_input, run = input_of(whole.row, clip=True), whole.extractor(kind)
            with numerics(tf32):
                bench.forget_peak()
                batch, per_s = best_batch(bench, run, to_input, images)
                speed = partial(bench.speed, precision, operations=operations)
                about = {"what": name, "precision": precision, "batch": batch}
                yield about | {"step": "forward pass"} | speed(per_s) | bench.peak()
                for threads in dict.fromkeys((1, bench.cores)):
                    with host_threads(threads):
                        of_features, of_rdms = extracted(run, to_input, images, batch, name)
                    for step, took in (("features", of_features), ("RDMs", of_rdms)):
                        more = {"step": step, "threads": threads}
                        yield about | more | speed(len(images) / took)


@torch.no_grad()
def operations_of(whole: TapNetwork, images: np.ndarray) -> float:
    """Return the operations of one image's forward pass: two for a product and a sum."""
    shown = input_of(whole.row, clip=True)(images[:1]).to(whole.device)
    with FlopCounterMode(display=False) as counter:
        whole(shown)
    return counter.get_total_flops()


@torch.inference_mode()
def best_batch(
    bench: Bench, run: Callable, to_input: Callable, images: np.ndarray
) -> tuple[int, float]:
    """Return the fastest batch size and its images a second, of images that are on the card."""
    best = 0, 0.0
    for batch in bench.form.batches:
        try:
            shown = to_input(images[:batch]).to(bench.device)
            per_s = batch / bench.seconds(partial(run, shown))
        except torch.OutOfMemoryError:
            break
        if per_s <= best[1]:
            break
        best = batch, per_s
    return best


def extracted(
    run: Callable, to_input: Callable, images: np.ndarray, batch: int, name: str
) -> tuple[float, float]:
    """Return seconds to the features of all layers, and to their RDMs."""
    start = time.perf_counter()
    taps = extract(run, to_input, images, batch, name)
    of_features = time.perf_counter() - start
    for layer, values in taps.items():
        compute_rdm(values, name=layer, constant="drop")
    return of_features, time.perf_counter() - start


# --- what precision changes ---


def rsa(bench: Bench) -> Iterator[Row]:
    images = photographs(bench, bench.form.compared)
    rows = dict(loadable(bench)) | {"published encoder, other weights": random_network("other")}
    last: dict[str, list[np.ndarray]] = {}
    for name, row in rows.items():
        exact: dict[str, np.ndarray] = {}
        for precision, (kind, tf32) in PRECISIONS.items():
            whole = tapped(bench, row)  # which turns TF32 off
            with numerics(tf32):
                rdms = rdms_of(bench, whole, images, kind)
            last.setdefault(precision, []).append(list(rdms.values())[-1])
            if precision == "float32":
                exact = rdms
                if bench.is_card and name == "published encoder":
                    host = rdms_of(bench, tapped(bench, row).cpu(), images, kind)
                    yield changed(name, "float32 of the processor", exact, host)
                continue
            yield changed(name, precision, exact, rdms)
    exact = similarity_matrix(np.stack(last["float32"]))
    for precision in ("TF32", "bf16"):
        change = np.abs(similarity_matrix(np.stack(last[precision])) - exact)
        yield {
            "what": f"similarities between {len(exact)} networks",
            "precision": precision,
            "similarity_change": float(change.max()),
        }


def rdms_of(
    bench: Bench, whole: TapNetwork, images: np.ndarray, kind: str
) -> dict[str, np.ndarray]:
    """Return the condensed RDMs of a network's layers."""
    batch = min(32, max(bench.form.batches))
    to_input = input_of(whole.row, clip=True)
    with host_threads(bench.cores):
        taps = extract(whole.extractor(kind), to_input, images, batch, whole.row.name)
        return {layer: compute_rdm(values).dissimilarities for layer, values in taps.items()}


def changed(
    name: str, precision: str, exact: dict[str, np.ndarray], rdms: dict[str, np.ndarray]
) -> Row:
    """Say how far a network's RDMs are from those in float32, at the layer where it is farthest."""
    agreement = {
        layer: similarity_matrix(np.stack([exact[layer], rdm]))[0, 1] for layer, rdm in rdms.items()
    }
    layer = min(agreement, key=agreement.get)
    return {
        "what": name,
        "precision": precision,
        "layer": layer,
        "spearman": float(agreement[layer]),
        "rdm_change": float(max(np.abs(exact[key] - rdm).max() for key, rdm in rdms.items())),
    }


# --- one RDM ---


def rdm(bench: Bench) -> Iterator[Row]:
    """The project's RDMs are the host's; here the card makes the products that they begin with."""
    features = some_features(*bench.form.features)
    exact = compute_rdm(features.astype(np.float64)).dissimilarities
    there = torch.from_numpy(features).to(bench.device)
    ways: list[tuple[str, str, int, Callable[[], np.ndarray]]] = [
        ("host", "float32", threads, lambda: compute_rdm(features).dissimilarities)
        for threads in dict.fromkeys((1, bench.cores))
    ]
    for precision in PRECISIONS:
        moved = partial(rdm_of_products, precision, bench.device, features)
        ways.append(("card's products, features moved there", precision, 1, moved))
        at_hand = partial(rdm_of_products, precision, bench.device, there)
        ways.append(("card's products, features there", precision, 1, at_hand))
    first = None
    for what, precision, threads, way in ways:
        with host_threads(threads), numerics(PRECISIONS[precision][1]):
            took, found = bench.seconds(way), way()
        first = first or took
        yield {
            "what": what,
            "precision": precision,
            "threads": threads,
            "ms": 1e3 * took,
            "of_host": took / first,
            "rdm_change": float(np.abs(found - exact).max()),
            "spearman": float(similarity_matrix(np.stack([exact, found]))[0, 1]),
        }


def rdm_of_products(
    precision: str, device: torch.device, features: np.ndarray | torch.Tensor
) -> np.ndarray:
    """Return a condensed RDM; as `compute_rdm`, but for what it checks."""
    rows = torch.as_tensor(features, device=device)
    shift = rows[torch.linspace(0, len(rows) - 1, 16).long()].mean(0)
    rows = rows - shift
    sums = rows.sum(1, dtype=torch.float64)
    products = ShiftedProducts(
        products_of(rows, precision).double().cpu().numpy(),
        (rows @ shift).double().cpu().numpy(),
        sums.cpu().numpy(),
        float(shift.double() @ shift.double()),
        float(shift.double().sum()),
        rows.shape[1],
    )
    use = np.ones(len(products), dtype=bool)
    return pearson_rdm(products.products(True, use), use)


def products_of(rows: torch.Tensor, precision: str) -> torch.Tensor:
    """Return the products of all rows, summed in float32."""
    if precision != "bf16":
        return rows @ rows.T
    half = rows.bfloat16()
    if rows.device.type == "cpu":
        return half.float() @ half.float().T
    return torch.mm(half, half.T, out_dtype=torch.float32)


PARTS: dict[str, Callable[[Bench], Iterator[Row | None]]] = {
    "matmul": matmul,
    "extraction": extraction,
    "rsa": rsa,
    "rdm": rdm,
    "finetuning": finetuning,
    "race": race,
}


if __name__ == "__main__":
    sys.exit(main())
