"""What is measured of a graphics card, in which size, and what its parts have in common.

The parts are in `gpu.py`, which is what to run, and in `gpu_training.py`.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import prepare_target
from rows import Row
from taskrsa.data.images import centre_square
from taskrsa.networks.spec import EncoderSpec
from taskrsa.networks.weights import random_encoder, save_encoder
from taskrsa.targets.config import OutdoorConfig
from taskrsa.targets.sets import LabelledSet, open_sets

# Precision as of `TapNetwork.extractor` and recipes, and whether float32 is rounded to TF32.
PRECISIONS = {"float32": ("no", False), "TF32": ("no", True), "bf16": ("bf16", False)}

_PUBLISHED = EncoderSpec()
_LIKE_VOC = OutdoorConfig(image_size=375, n_train=48, n_val=16)


@dataclass(frozen=True)
class Form:
    """How large everything is that is measured."""

    encoder: EncoderSpec = _PUBLISHED
    libraries: tuple[str, ...] = ("resnet50", "efficientnet_b0", "vit_small_patch16_224")
    library_side: str = ""  # of what libraries' networks see, pixels; "" for their own
    matrix: int = 8192  # side of the yardstick's matrices
    side: int = 256  # of photographs, pixels
    images: int = 256  # extracted
    compared: int = 200  # of them, where precisions are compared
    batches: tuple[int, ...] = (8, 32, 128, 256)
    features: tuple[int, int] = (500, 131_072)  # images and features of one RDM
    outdoor: OutdoorConfig = _LIKE_VOC
    crop: int = 513
    batch_size: int = 8
    recipe_head: dict = field(default_factory=dict)  # what differs from the paper's
    widths: tuple[int, ...] = (16, 24, 32, 48, 64)  # of the race's encoders
    race_steps: int = 60
    race_crop: int = 257
    least: float = 0.5  # seconds that a measurement takes at least
    least_training: float = 3.0
    ahead: tuple[int, ...] = (4, 16)  # threads that make batches ahead


SMALL = Form(
    encoder=EncoderSpec(width=8, units=(1, 1, 1, 1)),
    libraries=("test_resnet",),
    library_side="32",
    matrix=128,
    side=32,
    images=12,
    compared=12,
    batches=(2, 4),
    features=(64, 2048),
    outdoor=OutdoorConfig(image_size=32, n_train=10, n_val=3),
    crop=33,
    batch_size=2,
    recipe_head={"width": 4},
    widths=(8, 16, 24, 32, 40),
    race_steps=12,
    race_crop=17,
    least=0.0,
    least_training=0.0,
    ahead=(2,),
)


@dataclass
class Bench:
    """What the parts have in common."""

    form: Form
    folder: Path
    is_card: bool
    rates: dict[str, float] = field(default_factory=dict)  # by precision, operations a second

    @property
    def device(self) -> torch.device:
        return torch.device("cuda" if self.is_card else "cpu")

    @property
    def cores(self) -> int:
        """What the host may use where more than one thread is tried."""
        return 1 if self.form is SMALL else os.cpu_count() or 1

    @property
    def data(self) -> Path:
        return self.folder / "data.h5"

    def sets(self) -> dict[str, LabelledSet]:
        return open_sets(self.data)

    def speed(self, precision: str, per_s: float, operations: float) -> Row:
        """Return images a second of so many operations each, beside the card's rate."""
        rate = per_s * operations
        share = rate / self.rates[precision]
        return {"images_per_s": per_s, "tflops": rate / 1e12, "of_matmul": share}

    def peak(self) -> Row:
        """Return the card's memory at its peak since `forget_peak`."""
        return {"peak_gb": torch.cuda.max_memory_allocated() / 1e9} if self.is_card else {}

    def forget_peak(self) -> None:
        if self.is_card:
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def seconds(self, work: Callable[[], object]) -> float:
        """Return the median of at least three times, after one call that is not timed."""
        work()
        times: list[float] = []
        while len(times) < 3 or sum(times) < self.form.least:
            self.wait()
            start = time.perf_counter()
            work()
            self.wait()
            times.append(time.perf_counter() - start)
        return float(np.median(times))

    def wait(self) -> None:
        """Wait until the card has done all that it was told."""
        if self.is_card:
            torch.cuda.synchronize()


@contextmanager
def host_threads(n: int) -> Iterator[None]:
    """Let PyTorch and BLAS have so many threads for a while; PyTorch has one otherwise."""
    torch.set_num_threads(n)
    try:
        with threadpool_limits(n):
            yield
    finally:
        torch.set_num_threads(1)


@contextmanager
def numerics(tf32: bool | None = None) -> Iterator[None]:
    """Let the card round what it multiplies in float32 to TF32, or not, for a while; None leaves
    that as it is, and undoes what is done to it meanwhile."""
    switches = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches if tf32 is not None else ():
            switch.allow_tf32 = tf32
        yield
    finally:
        for switch, was in zip(switches, before, strict=True):
            switch.allow_tf32 = was


def prepare(bench: Bench) -> None:
    """Write a target of labelled images, and the weights of encoders."""
    voc = Path(os.environ.get("TASKRSA_DATA", ""), "voc/VOCdevkit/VOC2012")
    target: dict = {"kind": "segmentation", "path": str(voc)}
    if bench.form is SMALL or not voc.is_dir():
        outdoor = bench.form.outdoor.model_dump()
        target = {"kind": "segmentation", "source": "outdoor", "outdoor": outdoor}
    table = bench.folder / "images.csv"
    prepare_target.main(target, seed=0, data=bench.data, table=table, workers=bench.cores)
    specs = {"encoder": bench.form.encoder, "other": bench.form.encoder}
    for width in bench.form.widths:
        specs[f"width {width}"] = bench.form.encoder.model_copy(update={"width": width})
    for seed, (name, spec) in enumerate(specs.items()):
        save_encoder(bench.folder / f"{name}.safetensors", random_encoder(spec, seed))


def photographs(bench: Bench, n: int) -> np.ndarray:
    """Return (n, side, side, 3) uint8: those of the target, then the same moved to the side."""
    images = [one.image(i) for one in bench.sets().values() for i in range(len(one))][:n]
    squares = np.stack([centre_square(image, bench.form.side) for image in images])
    moved = [np.roll(squares, 8 * turn, axis=2) for turn in range(-(-n // len(squares)))]
    return np.concatenate(moved)[:n]
