"""Simulated worlds as numbered images, each a function of the world's seed and its own id alone."""

from __future__ import annotations

import operator
import re

import numpy as np

from taskrsa.errors import ConfigError, DataError

SPLITS = ("train", "val")
LIMITS = {  # options of a world: least and largest
    "image_size": (8, 4096),
    "n_train": (1, 1_000_000),
    "n_val": (1, 1_000_000),
    "seed": (0, 2**63 - 1),
}


class NumberedWorld:
    """Images numbered from 0 in the splits "train" and "val", in any order and any process.

    Parameters
    ----------
    image_size
        In pixels, 8 to 4096.
    n_train, n_val
        Number of images of each split, 1 to 1,000,000. An image does not depend on them.
    seed
        Of the whole world, 0 or more.

    Raises
    ------
    ConfigError
        If a value is not a whole number in its range.
    """

    name = "simulated world"  # for messages
    separator = "-"  # between split and number in ids
    stream: tuple[int, ...] = ()  # keeps the draws of worlds with the same seed apart

    def __init__(self, image_size: int, n_train: int, n_val: int, seed: int) -> None:
        self.image_size = self._whole_number("image_size", image_size)
        self.seed = self._whole_number("seed", seed)
        self._count = {
            "train": self._whole_number("n_train", n_train),
            "val": self._whole_number("n_val", n_val),
        }

    def _whole_number(self, option: str, value: object) -> int:
        low, high = LIMITS[option]
        try:
            number = operator.index(value)
        except TypeError:
            number = None
        if number is None or isinstance(value, bool) or not low <= number <= high:
            raise ConfigError(
                f"{self.name}: {option} is {value!r}; give a whole number from {low} to {high}"
            )
        return number

    def ids(self, split: str) -> list[str]:
        """Return the image ids of a split: "train-000000", "train-000001", ...

        Raises
        ------
        DataError
            If the split is neither "train" nor "val".
        """
        if split not in self._count:
            raise DataError(f"{self.name}: no split {split!r}; use train or val")
        return [f"{split}{self.separator}{i:06d}" for i in range(self._count[split])]

    def generator(self, image_id: str) -> np.random.Generator:
        """Return the random numbers of one image, always the same.

        Raises
        ------
        DataError
            If there is no such image.
        """
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
