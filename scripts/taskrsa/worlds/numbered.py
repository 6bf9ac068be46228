"""Simulated worlds as numbered images, each a function of the world's seed and its own id alone."""

from __future__ import annotations

import re

import numpy as np

from taskrsa.errors import DataError

SPLITS = ("train", "val")


class NumberedWorld:
    """Images numbered from 0 in the splits "train" and "val", in any order and any process.

    Parameters
    ----------
    image_size : in pixels
    n_train, n_val : images of each split, which an image does not depend on
    seed : of the whole world
    """

    name = "simulated world"  # for messages
    separator = "-"  # between split and number in ids
    stream: tuple[int, ...] = ()  # keeps the draws of worlds with the same seed apart

    def __init__(
        self, image_size: int = 64, n_train: int = 512, n_val: int = 128, seed: int = 0
    ) -> None:
        self.image_size, self.seed = image_size, seed
        self._count = dict(zip(SPLITS, (n_train, n_val), strict=True))

    def ids(self, split: str) -> list[str]:
        """Return the image ids of a split, "train-000000" and so on; DataError if there is none."""
        if split not in self._count:
            raise DataError(f"{self.name}: no split {split!r}; use train or val")
        return [f"{split}{self.separator}{i:06d}" for i in range(self._count[split])]

    def generator(self, image_id: str) -> np.random.Generator:
        """Return the random numbers of one image; DataError if there is no such image."""
        pattern = rf"(train|val){self.separator}([0-9]{{6}})"
        match = re.fullmatch(pattern, image_id) if isinstance(image_id, str) else None
        if match is None or int(match[2]) >= self._count[match[1]]:
            counts = " and ".join(f"{n} {split}" for split, n in self._count.items())
            raise DataError(
                f"{self.name}: no image {image_id!r}; there are {counts} images, from "
                f"train{self.separator}000000 on"
            )
        key = (*self.stream, SPLITS.index(match[1]), int(match[2]))
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
