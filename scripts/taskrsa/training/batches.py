"""The batches of a fine-tuning: crops of labelled images, augmented.

Everything random in a step is a function of the seed and the number of the step, so that a
training that was cut off goes on exactly as if it had not been, without any generator's state.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import count
from threading import Lock

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from taskrsa.networks.preprocessing import transfer_input
from taskrsa.recipes import FinetuneConfig
from taskrsa.targets.sets import LabelledSet

GREY = 127  # what stands around an image that is smaller than the crop
ORDER, AUGMENTATION, DROPOUT = range(3)  # streams of random numbers
CACHE_MB = 512  # of decoded images in memory


def generator(seed: int, *place: int) -> np.random.Generator:
    """Return the random numbers of one stream at one place."""
    return np.random.default_rng([seed, *place])


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, n: int) -> np.ndarray:
    return generator(seed, ORDER, epoch).permutation(n)


def image_of(seed: int, step: int, place: int, batch_size: int, n: int) -> int:
    """Return which of `n` images stands at a place of a step's batch.

    Every image is shown once before any is shown again; the order is new each time.
    """
    epoch, position = divmod(step * batch_size + place, n)
    return int(_order(seed, epoch, n)[position])


def at_scale(recipe: FinetuneConfig, factor: float) -> FinetuneConfig:
    """Return the recipe for images shrunk by `factor`: crops show as much of the scene."""
    scale = tuple(factor * bound for bound in recipe.scale)
    return recipe.model_copy(update={"crop": max(1, round(recipe.crop * factor)), "scale": scale})


def augment(
    rgb: np.ndarray,
    label: np.ndarray,
    recipe: FinetuneConfig,
    rng: np.random.Generator,
    void: float = 255,
) -> tuple[np.ndarray, np.ndarray]:
    """Scale an image and its labels, cut a crop at random, mirror it and change its colours.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
    label : (H, W) uint8 or float32; or (), (K,) of the whole image

    Returns
    -------
    rgb (crop, crop, 3) and labels (crop, crop); where the scaled image does not reach, mid-grey and
    void, with the image anywhere inside. Labels of the whole image stay as they are.
    """
    scale = rng.uniform(*recipe.scale)
    height, width = (max(1, round(side * scale)) for side in rgb.shape[:2])
    image = Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR)
    if recipe.colour:
        for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            image = change(image).enhance(1 + rng.uniform(-recipe.colour, recipe.colour))
    side = recipe.crop
    cut = np.full((side, side, 3), GREY, np.uint8)
    # The crop's corner in the image; negative where the image is smaller than the crop.
    (from_y, to_y), (from_x, to_x) = (
        _overlap(int(rng.integers(min(0, length - side), max(0, length - side) + 1)), length, side)
        for length in (height, width)
    )
    cut[to_y, to_x] = np.asarray(image)[from_y, from_x]
    is_dense = label.ndim == 2
    cut_label = label
    if is_dense:
        labels = Image.fromarray(label).resize((width, height), Image.Resampling.NEAREST)
        cut_label = np.full((side, side), void, label.dtype)
        cut_label[to_y, to_x] = np.asarray(labels)[from_y, from_x]
    if recipe.flip and rng.random() < 0.5:
        cut = cut[:, ::-1]
        cut_label = cut_label[:, ::-1] if is_dense else label
    return cut, cut_label


def _overlap(start: int, length: int, side: int) -> tuple[slice, slice]:
    """Return the part of an image's side under a crop that starts at `start`, and its place in
    the crop."""
    low, high = max(start, 0), min(start + side, length)
    return slice(low, high), slice(low - start, high - start)


class Batches:
    """The batches of a training by step, each a function of the seed and the step alone.

    Crops come at `input_scale`, that at which the encoder sees them: to shrink images and labels
    once, when they are scaled at random anyway, costs a fraction of scores at full size. Decoded
    images are kept in memory up to `cache_mb` megabytes, first come, first kept.
    """

    def __init__(
        self,
        images: LabelledSet,
        recipe: FinetuneConfig,
        seed: int,
        input_channels: int = 3,
        input_scale: float = 1.0,
        cache_mb: float = CACHE_MB,
    ):
        self.images, self.recipe, self.seed = images, at_scale(recipe, input_scale), seed
        self.input_channels = input_channels
        self.room = cache_mb * 1e6
        self.cache: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.keeping = Lock()

    def since(self, first: int, threads: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches from a step on: made when asked for or, with threads, one of each
        ahead. What they hold is the same."""
        if not threads:
            yield from map(self.__getitem__, count(first))
        with ThreadPoolExecutor(threads) as pool:
            made = deque(pool.submit(self.__getitem__, first + at) for at in range(threads))
            for step in count(first + threads):
                batch = made.popleft().result()
                made.append(pool.submit(self.__getitem__, step))
                yield batch

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the network's input (B, channels, crop, crop) and the labels: ids (B, crop, crop)
        or (B,) int64, or values (B, crop, crop) or (B, K) float32."""
        pairs = [self.example(step, place) for place in range(self.recipe.batch_size)]
        rgb, labels = (np.stack(parts) for parts in zip(*pairs, strict=True))
        shown = transfer_input(rgb, self.input_channels, "rgb")
        kind = np.float32 if labels.dtype.kind == "f" else np.int64
        return shown, torch.from_numpy(labels.astype(kind))

    def example(self, step: int, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one augmented image of a step's batch with its labels."""
        index = image_of(self.seed, step, place, self.recipe.batch_size, len(self.images))
        rng = generator(self.seed, AUGMENTATION, step, place)
        return augment(*self._decoded(index), self.recipe, rng, self.images.void)

    def _decoded(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index in self.cache:
            return self.cache[index]
        pair = self.images.image(index), self.images.label(index)
        size = sum(array.nbytes for array in pair)
        with self.keeping:
            if size <= self.room and index not in self.cache:
                self.room -= size
                self.cache[index] = pair
        return pair
