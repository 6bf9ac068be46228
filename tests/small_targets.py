"""Tiny targets and networks, for tests of fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from taskrsa.networks.spec import EncoderSpec, SmallSpec, Spec
from taskrsa.networks.target import TargetNetwork, target_network, untrained
from taskrsa.recipes import FinetuneConfig, HeadConfig, Section
from taskrsa.targets.sets import ArraySet

SIDE = 16
KINDS = ("segmentation", "classification", "regression", "values")
BANK = EncoderSpec(width=4, units=(1, 1, 1, 1), strides=(1, 1, 1, 1))
SMALL = SmallSpec(width=8, reduction=4)
HEAD = HeadConfig(width=8, rates=(1, 2), image_pooling=False)
# Not mirrored: which half is bright is the class.
RECIPE = FinetuneConfig(
    steps=40,
    batch_size=4,
    crop=SIDE,
    learning_rate=0.01,
    head_lr_factor=1,
    scale=(1, 1),
    flip=False,
    precision="no",
    device="cpu",
)
COLOURS = np.array([(20, 20, 20), (220, 40, 40), (40, 220, 40)])


def with_(section: Section, **changes) -> Section:
    """Return a section with other values, which are checked."""
    return type(section)(**section.model_dump() | changes)


def halves(kind: str, n: int = 12, seed: int = 0, name: str = "train") -> ArraySet:
    """Return images whose brightness by halves is all there is to learn."""
    rng = np.random.default_rng(seed)
    bright = rng.random((n, 2)) > 0.5
    bright[:2] = [[True, False], [False, True]]
    images = np.repeat(bright, SIDE // 2, axis=1)[:, None, :, None] * 160 + 20
    images = np.broadcast_to(images, (n, SIDE, SIDE, 3)).astype(np.uint8)
    images = images + rng.integers(0, 20, images.shape, dtype=np.uint8)
    dense = np.repeat(np.repeat(bright, SIDE // 2, axis=1)[:, None], SIDE, axis=1)
    labels = {
        "segmentation": dense.astype(np.uint8),
        "classification": bright[:, 0].astype(np.uint8),
        "regression": dense.astype(np.float32) * 2 - 1,
        "values": bright.astype(np.float32) * 2 - 1,
    }[kind]
    classes = {"regression": ("value",), "values": ("left", "right")}.get(kind, ("dark", "bright"))
    return ArraySet(name, kind, classes, tuple(map(str, range(n))), images, labels)


def network_of(
    kind: str = "segmentation",
    classes: tuple[str, ...] = ("dark", "bright"),
    spec: Spec = SMALL,
    tap: str = "compressed",
    head: HeadConfig = HEAD,
    seed: int = 0,
    side: int = SIDE,
) -> TargetNetwork:
    return target_network(untrained(spec, seed), tap, kind, classes, head, side, seed)


def scene(seed: int, height: int = 32, width: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Return a dark image with a red and a green rectangle, and its ids with a void line."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    for label in (1, 2):
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        mask[top : top + height // 2, left : left + width // 2] = label
    rgb = COLOURS[mask] + rng.integers(-15, 16, (height, width, 3))
    mask[0] = 255
    return rgb.astype(np.uint8), mask


@dataclass(frozen=True)
class Scenes:
    """Segmented images of several sizes, in memory."""

    name: str
    pairs: tuple[tuple[np.ndarray, np.ndarray], ...]
    classes: tuple[str, ...] = ("dark", "red", "green")
    kind: str = "segmentation"
    void: int = 255
    digest: str = "scenes"

    def __len__(self) -> int:
        return len(self.pairs)

    def image(self, i: int) -> np.ndarray:
        return self.pairs[i][0]

    def label(self, i: int) -> np.ndarray:
        return self.pairs[i][1]

    def first(self, n: int | None) -> Scenes:
        return replace(self, pairs=self.pairs[:n], digest=f"{n} scenes")


def scenes() -> tuple[Scenes, Scenes]:
    """Return what to train on and what to score on."""
    pairs = [scene(i, 32 + i, 40 - i) for i in range(9)]
    return Scenes("train", tuple(pairs[:6])), Scenes("val", tuple(pairs[6:]))
