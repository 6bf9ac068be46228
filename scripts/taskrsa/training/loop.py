"""One training loop for every task: batches of photographs and labels, a loss, a learning curve."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler
from tqdm import tqdm

from taskrsa.errors import ConfigError, DataError
from taskrsa.training.losses import LOSSES

VAL_SEED = 12345  # noise and sampled pixel pairs of the validation loss, the same at every step


@dataclass(frozen=True)
class TrainingSpec:
    """How a network is trained.

    steps: optimiser steps; eval_every: steps between validations; learning_rate: the peak
    between a linear warm-up and a cosine decay to 0; keep: weights of
    the "best" validation or of the "last" step; precision: "no" (float32), "bf16", "fp16" or
    "auto" (bf16 where the hardware has it); device: "auto" or "cpu".
    """

    steps: int = 300
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    eval_every: int = 50
    keep: str = "best"
    precision: str = "no"
    device: str = "auto"

    def __post_init__(self):
        if self.keep not in ("best", "last"):
            raise ConfigError(f"training: keep must be best or last, not {self.keep}")
        if min(self.steps, self.batch_size, self.eval_every) < 1:
            raise ConfigError("training: steps, batch_size and eval_every must be positive")

    def scaled(self, factor: float) -> TrainingSpec:
        """Return the same recipe with `factor` times the steps."""
        return TrainingSpec(**{**asdict(self), "steps": max(1, round(self.steps * factor))})


class LabelledImages(Dataset):
    """Photographs with one task's labels; a whole batch is fetched at once.

    images (N, H, W, 3) uint8, targets and valid may be arrays in memory or HDF5 data sets, which
    are read row by row. `to_input` turns photographs into the encoder's input.
    """

    def __init__(self, images, targets, valid, to_input: Callable[..., Tensor]):
        if not len(images) == len(targets) == len(valid):
            raise DataError(
                f"{len(images)} images but {len(targets)} labels; derive the labels again"
            )
        if len(images) == 0:
            raise DataError("no image to train on; check data.train and data.val")
        self.images, self.targets, self.valid = images, targets, valid
        self.to_input = to_input

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, indices: list[int]) -> tuple[np.ndarray, Tensor, Tensor]:
        return (
            _take(self.images, indices),
            _tensor(_take(self.targets, indices)),
            _tensor(_take(self.valid, indices)),
        )

    def __getitems__(self, indices: list[int]) -> tuple[np.ndarray, Tensor, Tensor]:
        return self.rows(indices)

    def labels(self) -> tuple[Tensor, Tensor]:
        """Return all targets and their validity."""
        return _tensor(np.asarray(self.targets)), _tensor(np.asarray(self.valid))


def _tensor(array: np.ndarray) -> Tensor:
    # Ids are stored as unsigned integers, which few of PyTorch's operations take.
    return torch.from_numpy(array.astype(np.int64) if array.dtype.kind in "ui" else array)


def _take(array, indices: list[int]) -> np.ndarray:
    if isinstance(array, np.ndarray):
        return array[indices]
    return np.stack([array[index] for index in indices])


@dataclass
class Curve:
    """Losses by step, as written to `learning_curve.csv`."""

    step: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)

    def add(self, step: int, train_loss: float, val_loss: float) -> None:
        self.step.append(step)
        self.train_loss.append(train_loss)
        self.val_loss.append(val_loss)


def train(
    network: nn.Module,
    loss: str,
    train_images: LabelledImages,
    val_images: LabelledImages,
    spec: TrainingSpec,
    seed: int,
    after_step: Callable[[int, nn.Module], None] | None = None,
) -> tuple[nn.Module, Curve, float]:
    """Train `network` and return it with its learning curve and the validation loss of the
    weights it ends with.

    The same seed, data and machine give the same weights, bit by bit, on CPU. `after_step` is
    called with the number of steps done, 0 first, and the network as it is then; it must not
    change it.

    Raises
    ------
    DataError
        If the loss stops being finite.
    """
    accelerator = Accelerator(
        cpu=spec.device == "cpu", mixed_precision=resolved_precision(spec.precision)
    )
    loss_function = LOSSES[loss]
    optimizer = make_optimizer(
        torch.optim.AdamW,
        network.parameters(),
        lr=spec.learning_rate,
        weight_decay=spec.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, partial(_warm_up_then_cosine, spec.steps)
    )
    # What `prepare` returns may wrap the network, which shares its weights and stays as it is.
    plain = network.to(memory_format=torch.channels_last)
    network, optimizer = accelerator.prepare(plain, optimizer)
    noise = torch.Generator().manual_seed(seed)
    batches = _endless(train_images, spec.batch_size, seed)

    def batch_loss(batch, generator: torch.Generator) -> Tensor:
        rgb, target, valid = batch
        images = train_images.to_input(rgb, noise=generator).to(accelerator.device)
        with accelerator.autocast():
            prediction = network(images)
        target, valid = target.to(accelerator.device), valid.to(accelerator.device)
        if target.dtype == torch.float16:
            target = target.float()
        return loss_function(prediction.float(), target, valid, generator=generator)

    tell = after_step or (lambda step, network: None)
    tell(0, plain)
    curve, best, best_state, recent = Curve(), math.inf, None, []
    for step in tqdm(range(1, spec.steps + 1), desc="train", mininterval=5):
        network.train()
        value = batch_loss(next(batches), noise)
        accelerator.backward(value)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        recent.append(value.item())
        if not math.isfinite(recent[-1]):
            raise DataError(
                f"training: the loss is {recent[-1]} at step {step}; lower learning_rate"
            )
        tell(step, plain)
        if step % spec.eval_every == 0 or step == spec.steps:
            val_loss = _validate(network, val_images, spec.batch_size, batch_loss)
            curve.add(step, sum(recent) / len(recent), val_loss)
            recent = []
            if val_loss < best or spec.keep == "last":
                best = val_loss
                best_state = {k: v.detach().clone() for k, v in plain.state_dict().items()}
    if best_state is not None:
        plain.load_state_dict(best_state)
    return plain.eval(), curve, best


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
    for batch in _loader(images, BatchSampler(SequentialSampler(images), batch_size, False)):
        total += batch_loss(batch, generator).item() * len(batch[0])
    return total / len(images)


def _loader(images: LabelledImages, sampler) -> DataLoader:
    return DataLoader(images, batch_sampler=sampler, collate_fn=lambda batch: batch)


def _endless(images: LabelledImages, batch_size: int, seed: int) -> Iterator:
    generator = torch.Generator().manual_seed(seed)
    batch_size = min(batch_size, len(images))
    sampler = BatchSampler(RandomSampler(images, generator=generator), batch_size, drop_last=True)
    while True:
        yield from _loader(images, sampler)


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


def encoder_and_decoder(encoder: nn.Module, decoder: nn.Module) -> nn.Sequential:
    """Chain the two; the encoder can be taken back as the first part."""
    return nn.Sequential(encoder, decoder)
