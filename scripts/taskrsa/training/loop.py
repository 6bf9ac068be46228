"""One training loop for every task: batches of photographs and labels, a loss, a learning curve."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import BatchSampler, RandomSampler
from tqdm import tqdm

from taskrsa.errors import DataError
from taskrsa.recipes import TrainConfig
from taskrsa.training.losses import LOSSES

VAL_SEED = 12345  # noise and sampled pixel pairs of the validation loss, the same at every step


def scaled(recipe: TrainConfig, factor: float) -> TrainConfig:
    """Return the same recipe with `factor` times the steps."""
    return recipe.model_copy(update={"steps": max(1, round(recipe.steps * factor))})


class LabelledImages:
    """Photographs (N, H, W, 3) uint8 with one task's labels; indexed by the rows of a batch.

    `to_input` turns photographs into the encoder's input.
    """

    def __init__(
        self,
        images: np.ndarray,
        targets: np.ndarray,
        valid: np.ndarray,
        to_input: Callable[..., Tensor],
    ):
        if len(images) == 0:
            raise DataError("no image to train on; check data.train and data.val")
        self.images, self.targets, self.valid = images, targets, valid
        self.to_input = to_input

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: list[int] | slice) -> tuple[np.ndarray, Tensor, Tensor]:
        return self.images[rows], *self.labels(rows)

    def labels(self, rows: list[int] | slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Return targets and their validity, by default of all images."""
        return _tensor(self.targets[rows]), _tensor(self.valid[rows])


def _tensor(array: np.ndarray) -> Tensor:
    # Ids are stored as unsigned integers, which few of PyTorch's operations take.
    return torch.from_numpy(array.astype(np.int64) if array.dtype.kind in "ui" else array)


def train(
    network: nn.Module,
    loss: str,
    train_images: LabelledImages,
    val_images: LabelledImages,
    recipe: TrainConfig,
    seed: int,
    after_step: Callable[[int, nn.Module], None] | None = None,
) -> tuple[nn.Module, list[dict], float]:
    """Train `network` and return it with its learning curve (rows of step, train_loss and
    val_loss) and the validation loss of the weights it ends with.

    The recipe's learning rate is the peak between a linear warm-up and a cosine decay to 0. The
    same seed, data and machine give the same weights, bit by bit, on CPU. `after_step` is called
    with the number of steps done, 0 first, and the network as it is then; it must not change it.
    DataError if the loss stops being finite.
    """
    accelerator = Accelerator(
        cpu=recipe.device == "cpu", mixed_precision=resolved_precision(recipe.precision)
    )
    # What `prepare` returns may wrap the network, which shares its weights and stays as it is.
    plain = network.to(memory_format=torch.channels_last)
    optimizer, schedule = _optimizer(plain, recipe)
    network, optimizer = accelerator.prepare(plain, optimizer)
    noise = torch.Generator().manual_seed(seed)
    batches = _endless(train_images, recipe.batch_size, seed)

    def batch_loss(batch, generator: torch.Generator) -> Tensor:
        rgb, *labels = batch
        images = train_images.to_input(rgb, noise=generator).to(accelerator.device)
        with accelerator.autocast():
            prediction = network(images)
        target, valid = (part.to(accelerator.device) for part in labels)
        target = target.float() if target.dtype == torch.float16 else target
        return LOSSES[loss](prediction.float(), target, valid, generator=generator)

    curve, recent, kept_loss, kept = [], [], math.inf, None
    after_step = after_step or (lambda step, network: None)
    after_step(0, plain)
    for step in tqdm(range(1, recipe.steps + 1), desc="train", mininterval=5):
        network.train()
        value = batch_loss(next(batches), noise)
        accelerator.backward(value)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        recent.append(require_finite(value.item(), step))
        after_step(step, plain)
        if step % recipe.eval_every == 0 or step == recipe.steps:
            val_loss = _validate(network, val_images, recipe.batch_size, batch_loss)
            train_loss = sum(recent) / len(recent)
            curve.append({"step": step, "train_loss": train_loss, "val_loss": val_loss})
            recent = []
            if val_loss < kept_loss or recipe.keep == "last":
                kept_loss = val_loss
                kept = {k: v.detach().clone() for k, v in plain.state_dict().items()}
    if kept is not None:
        plain.load_state_dict(kept)
    return plain.eval(), curve, kept_loss


def require_finite(loss: float, step: int) -> float:
    """Return the loss of a step; DataError unless it is finite."""
    if not math.isfinite(loss):
        raise DataError(f"training: the loss is {loss} at step {step}; lower learning_rate")
    return loss


def _optimizer(network: nn.Module, recipe: TrainConfig):
    optimizer = make_optimizer(
        torch.optim.AdamW,
        network.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
    )
    shape = partial(_warm_up_then_cosine, recipe.steps)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, shape)


def make_optimizer(
    kind: type[torch.optim.Optimizer], parameters: Iterable, **options
) -> torch.optim.Optimizer:
    """Return an optimiser whose step is one call for all parameters."""
    # PyTorch's optimisers import torch.compile only to keep it away from themselves: 1.4
    # CPU-seconds, a fifth of a short training. These methods are the same without its guards.
    for method in vars(torch.optim.Optimizer).values():
        guarded = getattr(method, "__wrapped__", None)
        if guarded is not None:
            guarded.__dynamo_disable = guarded
    step = torch.no_grad()(inspect.unwrap(kind.step))
    kind = type(kind.__name__, (kind,), {"step": step})
    return kind(parameters, fused=True, **options)


@torch.no_grad()
def _validate(network, images: LabelledImages, batch_size: int, batch_loss) -> float:
    network.eval()
    generator = torch.Generator().manual_seed(VAL_SEED)
    total = 0.0
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        total += batch_loss(batch, generator).item() * len(batch[0])
    return total / len(images)


def _endless(images: LabelledImages, batch_size: int, seed: int) -> Iterator:
    generator = torch.Generator().manual_seed(seed)
    batch_size = min(batch_size, len(images))
    sampler = BatchSampler(RandomSampler(images, generator=generator), batch_size, drop_last=True)
    while True:
        for rows in sampler:
            yield images[rows]


def _warm_up_then_cosine(steps: int, step: int) -> float:
    """Return the learning rate of a step as a share of the peak."""
    warm_up = max(1, steps // 10)
    return min((step + 1) / warm_up, 0.5 * (1 + math.cos(math.pi * step / steps)))


def resolved_precision(name: str) -> str:
    """Resolve "auto": bf16 where the hardware multiplies it natively, else float32."""
    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "no"
