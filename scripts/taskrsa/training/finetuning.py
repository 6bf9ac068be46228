"""Train a segmentation network as a whole, and score it by the mean intersection over union.

Everything random in a step is a function of the seed and the number of the step, so that a
training that was cut off goes on exactly as if it had not been, without any generator's state.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image, ImageEnhance
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from taskrsa.errors import ConfigError, DataError
from taskrsa.io.files import digest_of, sha256_of
from taskrsa.networks.preprocessing import transfer_input
from taskrsa.networks.segmentation import SegmentationNetwork
from taskrsa.targets.devkit import SegmentationSet
from taskrsa.training.loop import make_optimizer, resolved_precision

GREY = 127  # what stands around an image that is smaller than the crop
POLY_POWER = 0.9
MOMENTUM = 0.9
HOLD = ("checkpoint_seconds", "checkpoint_steps")  # settings that leave the result as it is
ORDER, AUGMENTATION, DROPOUT = range(3)  # streams of random numbers


@dataclass(frozen=True)
class Recipe:
    """How every segmentation network is trained.

    steps : optimiser steps; batch_size : crops in each; crop : their side in pixels
    learning_rate : at the start; schedule : "poly" to 0 with power 0.9, or "constant"
    head_lr_factor : the head's learning rate as a multiple of the encoder's
    optimizer : "adamw", or "sgd" with momentum 0.9; weight_decay : of convolutions' weights only
    batch_norm : the encoder's statistics are "frozen" at those it came with, or "free"
    scale : least and largest random scale; flip : mirror half of the images; colour : largest
        relative change of brightness, contrast and saturation, 0 for none
    eval_every : steps between two scores on the validation set, 0 for one at the end
    checkpoint_seconds, checkpoint_steps : the state is saved whenever one of them has passed since
        the last time, 0 for never by it; and at every score and the end
    precision : as in `taskrsa.training.loop`; device : "auto" or "cpu"
    """

    steps: int = 30000
    batch_size: int = 8
    crop: int = 513
    learning_rate: float = 1e-4
    schedule: str = "poly"
    head_lr_factor: float = 1.0
    optimizer: str = "adamw"
    weight_decay: float = 1e-4
    batch_norm: str = "free"
    scale: tuple[float, float] = (0.5, 2.0)
    flip: bool = True
    colour: float = 0.0
    eval_every: int = 0
    checkpoint_seconds: float = 600
    checkpoint_steps: int = 0
    precision: str = "no"
    device: str = "auto"

    def __post_init__(self):
        for key, allowed in (
            ("schedule", ("poly", "constant")),
            ("optimizer", ("adamw", "sgd")),
            ("batch_norm", ("frozen", "free")),
            ("precision", ("no", "bf16", "fp16", "auto")),
            ("device", ("auto", "cpu")),
        ):
            if getattr(self, key) not in allowed:
                raise ConfigError(
                    f"recipe: {key} is {getattr(self, key)}; it must be {' or '.join(allowed)}"
                )
        for key in ("steps", "batch_size", "crop", "learning_rate", "head_lr_factor"):
            if not getattr(self, key) > 0:
                raise ConfigError(f"recipe: {key} is {getattr(self, key)}; it must be positive")
        for key in ("weight_decay", "eval_every", "checkpoint_seconds", "checkpoint_steps"):
            if not getattr(self, key) >= 0:
                raise ConfigError(f"recipe: {key} is {getattr(self, key)}; it cannot be negative")
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1]:
            raise ConfigError(
                f"recipe: scale is {list(self.scale)}; give a least and a largest, both positive"
            )
        if not 0 <= self.colour < 1:
            raise ConfigError(f"recipe: colour is {self.colour}; it must be from 0 to below 1")

    @classmethod
    def from_config(cls, values: dict) -> Recipe:
        """Build a recipe from a configuration section; ConfigError for what it does not know."""
        unknown = values.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise ConfigError(f"recipe: there is no setting {', '.join(sorted(unknown))}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def at_scale(self, factor: float) -> Recipe:
        """Return the recipe for images shrunk by `factor`: crops show as much of the scene."""
        scale = tuple(factor * bound for bound in self.scale)
        return replace(self, crop=max(1, round(self.crop * factor)), scale=scale)

    def rate_factor(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0, as a share of the first."""
        return (1 - step / self.steps) ** POLY_POWER if self.schedule == "poly" else 1.0

    def scores_at(self, step: int) -> bool:
        """Say whether the network is scored after so many steps."""
        regular = self.eval_every and step > 0 and step % self.eval_every == 0
        return step == self.steps or bool(regular)


# --- batches ---


def _generator(seed: int, *place: int) -> np.random.Generator:
    return np.random.default_rng([seed, *place])


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, n: int) -> np.ndarray:
    return _generator(seed, ORDER, epoch).permutation(n)


def image_of(seed: int, step: int, place: int, batch_size: int, n: int) -> int:
    """Return which of `n` images stands at a place of a step's batch.

    Every image is shown once before any is shown again; the order is new each time.
    """
    epoch, position = divmod(step * batch_size + place, n)
    return int(_order(seed, epoch, n)[position])


def augment(
    rgb: np.ndarray, mask: np.ndarray, recipe: Recipe, rng: np.random.Generator, void: float = 255
) -> tuple[np.ndarray, np.ndarray]:
    """Scale an image and its labels, cut a crop at random, mirror it and change its colours.

    Parameters
    ----------
    rgb : (H, W, 3) uint8; mask : (H, W) uint8 or float32, or () for the class of the whole image

    Returns
    -------
    rgb (crop, crop, 3) and mask (crop, crop); where the scaled image does not reach, mid-grey and
    void, with the image anywhere inside. A class stays as it is.
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
    cut_mask = mask
    if mask.ndim:
        labels = Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)
        cut_mask = np.full((side, side), void, mask.dtype)
        cut_mask[to_y, to_x] = np.asarray(labels)[from_y, from_x]
    if recipe.flip and rng.random() < 0.5:
        cut = cut[:, ::-1]
        cut_mask = cut_mask[:, ::-1] if mask.ndim else mask
    return cut, cut_mask


def _overlap(start: int, length: int, side: int) -> tuple[slice, slice]:
    """Return the part of an image's side under a crop that starts at `start`, and its place in
    the crop."""
    low, high = max(start, 0), min(start + side, length)
    return slice(low, high), slice(low - start, high - start)


class Batches(Dataset):
    """The batches of a training by step, each a function of the seed and the step alone.

    Crops come at `input_scale`, that at which the encoder sees them: to shrink images and labels
    once, when they are scaled at random anyway, costs a fraction of scores at full size. Decoded
    images are kept in memory up to `cache_mb` megabytes, first come, first kept.
    """

    def __init__(
        self,
        images: SegmentationSet,
        recipe: Recipe,
        seed: int,
        input_channels: int = 3,
        input_scale: float = 1.0,
        cache_mb: float = 512,
    ):
        if len(images) == 0:
            raise DataError(f"split {images.name} has no image to train on; check its list")
        self.images, self.recipe, self.seed = images, recipe.at_scale(input_scale), seed
        self.input_channels = input_channels
        self.room = cache_mb * 1e6
        self.cache: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the network's input (B, channels, crop, crop) and the labels: ids (B, crop, crop)
        or (B,) int64, or values (B, crop, crop) float32."""
        pairs = [self.example(step, place) for place in range(self.recipe.batch_size)]
        rgb, masks = (np.stack(parts) for parts in zip(*pairs, strict=True))
        shown = transfer_input(rgb, self.input_channels, "rgb")
        kind = np.float32 if masks.dtype.kind == "f" else np.int64
        return shown, torch.from_numpy(masks.astype(kind))

    def example(self, step: int, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one augmented image of a step's batch with its labels."""
        index = image_of(self.seed, step, place, self.recipe.batch_size, len(self.images))
        rng = _generator(self.seed, AUGMENTATION, step, place)
        return augment(*self._decoded(index), self.recipe, rng, self.images.void)

    def _decoded(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index in self.cache:
            return self.cache[index]
        pair = self.images.image(index), self.images.mask(index)
        if pair[1].ndim and pair[0].shape[:2] != pair[1].shape:
            raise DataError(
                f"{self.images.masks[index]}: is {pair[1].shape} but its image "
                f"{pair[0].shape[:2]}; export both at one size"
            )
        size = sum(array.nbytes for array in pair)
        if size <= self.room:
            self.room -= size
            self.cache[index] = pair
        return pair

    def from_step(self, step: int, workers: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of a step, counted from 0, and of all that follow."""
        return iter(
            DataLoader(
                self,
                sampler=range(step, len(self)),
                batch_size=None,
                num_workers=workers,
                # Of its own, so that the random numbers of others stay as they are.
                generator=torch.Generator(),
                pin_memory=torch.cuda.is_available() and self.recipe.device != "cpu",
            )
        )


# --- scores ---


@dataclass(frozen=True)
class Scores:
    """value: what networks are compared by, such as the mean IoU over the classes that occur;
    by_class: of every class, nan for those that occur neither in the labels nor in the
    predictions; n_images: how many were scored."""

    value: float
    by_class: tuple[float, ...]
    n_images: int


@torch.no_grad()
def predict(network: SegmentationNetwork, rgb: np.ndarray) -> Tensor:
    """Return the class ids of one image (H, W, 3) uint8 at its own size, (H, W) int64.

    The network must be in evaluation mode.
    """
    device = next(network.parameters()).device
    # A copy, because what an image file is read into cannot be written and PyTorch warns of that.
    shown = transfer_input(np.array(rgb)[None], network.input_channels, "rgb")
    return network(shown.to(device))[0].argmax(0)


def evaluate(network: SegmentationNetwork, images: SegmentationSet) -> Scores:
    """Score a network on a whole set, each image at its own size, void left out.

    Raises
    ------
    DataError
        If the set has no image, or no pixel that is not void.
    """
    # Three seconds of imports, which no other job needs.
    from torchmetrics.classification import MulticlassJaccardIndex

    if len(images) == 0:
        raise DataError(f"split {images.name} has no image to score; check its list")
    metric = MulticlassJaccardIndex(
        len(images.classes), average=None, ignore_index=images.void, zero_division=math.nan
    ).to(next(network.parameters()).device)
    training = network.training
    network.eval()
    for i in range(len(images)):
        labels = torch.from_numpy(images.mask(i).astype(np.int64))
        metric.update(predict(network, images.image(i)), labels.to(metric.device))
    network.train(training)
    iou = metric.compute().double().cpu()
    if iou.isnan().all():
        raise DataError(f"split {images.name}: every pixel is void; there is nothing to score")
    return Scores(iou.nanmean().item(), tuple(iou.tolist()), len(images))


# --- training ---


@dataclass(frozen=True)
class Goal:
    """What a network learns.

    loss : of its outputs, the labels and what stands for no label
    evaluate : the scores of a network on a set
    """

    loss: Callable[[Tensor, Tensor, float], Tensor]
    evaluate: Callable[[nn.Module, SegmentationSet], Scores]


class Store(Protocol):
    """Where a training keeps its state, such as `taskrsa.training.checkpoint.Checkpoint`."""

    def load(self) -> dict | None: ...

    def save(self, state: dict) -> None: ...


@dataclass
class Progress:
    """How far a training has come, apart from its weights.

    step: steps done; curve: [step, mean training loss since the row before, score]; loss_sum and
    loss_count: of the steps since the last row; by_class: scores at the last row; n_images.
    """

    step: int = 0
    curve: list[list[float]] = field(default_factory=list)
    loss_sum: float = 0.0
    loss_count: int = 0
    by_class: list[float] = field(default_factory=list)
    n_images: int = 0

    def scored(self) -> bool:
        """Say whether the curve has a row of the present step."""
        return bool(self.curve) and self.curve[-1][0] == self.step

    def add(self, scores: Scores) -> None:
        """Add a row to the curve."""
        self.curve.append([self.step, self.loss_sum / self.loss_count, scores.value])
        self.by_class, self.n_images = list(scores.by_class), scores.n_images
        self.loss_sum, self.loss_count = 0.0, 0


def settings_of(
    network: SegmentationNetwork,
    train_set: SegmentationSet,
    val_set: SegmentationSet,
    recipe: Recipe,
    seed: int,
) -> dict:
    """Return everything that decides the result of `fine_tune`, by name; call it before training.

    Data and weights are told by their content, not by where they lie; the hardware by what it
    does to the numbers; the program by its source.
    """
    device = None
    if recipe.device != "cpu":
        device = torch.accelerator.current_accelerator(check_available=True)
    kept = {key: value for key, value in asdict(recipe).items() if key not in HOLD}
    return {
        **{f"recipe.{key}": value for key, value in kept.items()},
        "recipe.precision": resolved_precision(recipe.precision),
        "recipe.device": device.type if device else "cpu",
        "seed": seed,
        "tap": network.tap,
        "head": asdict(network.head_spec),
        "classes": train_set.classes,
        "initial weights": weights_digest(network),
        "training images": set_digest(train_set),
        "validation images": set_digest(val_set),
        "program": program_digest(),
        "PyTorch": torch.__version__,
    }


def weights_digest(network: nn.Module) -> str:
    """Return one SHA-256 for the names and values of a network's weights and statistics."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def set_digest(images: SegmentationSet) -> str:
    """Return one SHA-256 for the ids, images and masks of a set, in their order."""
    if hasattr(images, "digest"):
        return images.digest
    parts = [str(images.void)]
    for name, image, mask in zip(images.ids, images.images, images.masks, strict=True):
        parts += [name, sha256_of(image), sha256_of(mask)]
    return digest_of(parts)


@lru_cache(maxsize=1)
def program_digest() -> str:
    """Return one SHA-256 for the sources on which the result of a training depends."""
    library = Path(__file__).parents[1]
    names = ("training/finetuning.py", "targets/devkit.py", "networks/preprocessing.py")
    networks = [f"networks/{name}.py" for name in ("segmentation", "encoder", "small", "spec")]
    return digest_of(sha256_of(library / name) for name in (*names, *networks))


def fine_tune(
    network: SegmentationNetwork,
    train_set: SegmentationSet,
    val_set: SegmentationSet,
    recipe: Recipe,
    seed: int,
    store: Store | None = None,
    workers: int = 0,
    cache_mb: float = 512,
    goal: Goal | None = None,
) -> tuple[SegmentationNetwork, Progress]:
    """Train `network` as a whole; return it as the last step left it, and its learning curve.

    With a `store`, training goes on from the state it holds, and saves its own there. The same
    seed, data and machine give the same weights, bit by bit, on CPU, cut off or not.

    Parameters
    ----------
    workers : processes that prepare batches, 0 for none besides this one
    cache_mb : megabytes of decoded images that each of them keeps
    goal : what is learnt; by default classes of pixels

    Raises
    ------
    DataError
        If the loss stops being finite, an image cannot be read, or the state cannot be saved.
    ConfigError
        If the sets have other classes than the network.
    """
    goal = goal or Goal(pixel_loss, evaluate)
    for images in (train_set, val_set):
        if images.classes != network.classes:
            raise ConfigError(
                f"split {images.name} has {len(images.classes)} classes, the network "
                f"{len(network.classes)}, or they differ; give both the same"
            )
    if recipe.batch_size == 1 and network.head_spec.image_pooling:
        raise ConfigError("head: image_pooling needs a batch_size of at least 2 in the recipe")
    accelerator = Accelerator(
        cpu=recipe.device == "cpu", mixed_precision=resolved_precision(recipe.precision)
    )
    network = network.to(memory_format=torch.channels_last)
    network.freeze_statistics(recipe.batch_norm == "frozen")
    # What `prepare` returns may wrap the network, which shares its weights and stays as it is.
    plain = network
    network, optimizer = accelerator.prepare(plain, _optimizer(plain, recipe))
    progress = _restore(store, plain, optimizer, accelerator.scaler)
    scale = plain.head_spec.input_scale
    batches = Batches(train_set, recipe, seed, plain.input_channels, scale, cache_mb)
    coming = batches.from_step(progress.step, workers)
    saved_at, saved_step = time.monotonic(), progress.step

    def save() -> None:
        nonlocal saved_at, saved_step
        if store is not None:
            store.save(_state(plain, optimizer, accelerator.scaler, progress))
        saved_at, saved_step = time.monotonic(), progress.step

    bar = tqdm(total=recipe.steps, initial=progress.step, desc="train", mininterval=5)
    with bar, torch.random.fork_rng(devices=[]):
        while True:
            if recipe.scores_at(progress.step) and not progress.scored():
                progress.add(goal.evaluate(plain, val_set))
                save()
            if progress.step == recipe.steps:
                break
            shown, labels = next(coming)
            torch.manual_seed(int(_generator(seed, DROPOUT, progress.step).integers(2**63)))
            network.train()
            for group in optimizer.param_groups:
                group["lr"] = group["first_lr"] * recipe.rate_factor(progress.step)
            with accelerator.autocast():
                scores = network(shown.to(accelerator.device), shrunk=True)
            loss = goal.loss(scores.float(), labels.to(accelerator.device), train_set.void)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
            value = loss.item()
            if not math.isfinite(value):
                raise DataError(
                    f"training: the loss is {value} at step {progress.step + 1}; "
                    "lower learning_rate"
                )
            progress.step += 1
            progress.loss_sum += value
            progress.loss_count += 1
            bar.update()
            # The last step's state is kept before the score, which may take long, begins.
            if progress.step == recipe.steps or _due(recipe, saved_at, progress.step - saved_step):
                save()
    return plain.eval(), progress


def pixel_loss(scores: Tensor, labels: Tensor, void: int = 255) -> Tensor:
    """Return the mean cross entropy over the pixels that are not void, 0 if there are none.

    Parameters
    ----------
    scores : (N, K, H, W); labels : (N, H, W) int64
    """
    total = F.cross_entropy(scores, labels, ignore_index=void, reduction="sum")
    return total / (labels != void).sum().clamp(min=1)


def _optimizer(network: SegmentationNetwork, recipe: Recipe) -> torch.optim.Optimizer:
    groups = []
    for part, factor in ((network.encoder, 1.0), (network.head, recipe.head_lr_factor)):
        weights = [p for p in part.parameters() if p.ndim > 1]
        others = [p for p in part.parameters() if p.ndim <= 1]
        rate = recipe.learning_rate * factor
        for parameters, decay in ((weights, recipe.weight_decay), (others, 0.0)):
            # `first_lr` is saved with the state; the schedule is a function of it and the step.
            groups.append(
                {"params": parameters, "lr": rate, "first_lr": rate, "weight_decay": decay}
            )
    if recipe.optimizer == "sgd":
        return make_optimizer(torch.optim.SGD, groups, momentum=MOMENTUM)
    return make_optimizer(torch.optim.AdamW, groups)


def _due(recipe: Recipe, saved_at: float, steps: int) -> bool:
    by_time = recipe.checkpoint_seconds and time.monotonic() - saved_at >= recipe.checkpoint_seconds
    return bool(by_time or (recipe.checkpoint_steps and steps >= recipe.checkpoint_steps))


def _state(network, optimizer, scaler, progress: Progress) -> dict:
    return {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict() if scaler is not None else None,
        "progress": asdict(progress),
    }


def _restore(store: Store | None, network, optimizer, scaler) -> Progress:
    state = store.load() if store is not None else None
    if state is None:
        return Progress()
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    if scaler is not None:
        scaler.load_state_dict(state["scaler"])
    progress = Progress(**state["progress"])
    print(f"training goes on from step {progress.step}", flush=True)
    return progress
