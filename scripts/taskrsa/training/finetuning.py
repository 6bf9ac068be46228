"""Train a network with a new head on a target, and say what decides the result.

A training that was cut off goes on exactly as if it had not been: see `taskrsa.training.batches`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import chain
from math import nan
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn
from tqdm import tqdm

from taskrsa.errors import ConfigError, DataError
from taskrsa.io.files import digest_of, sha256_of
from taskrsa.networks.target import TargetNetwork
from taskrsa.recipes import FinetuneConfig
from taskrsa.targets.sets import LabelledSet
from taskrsa.training.batches import DROPOUT, Batches, generator
from taskrsa.training.checkpoint import Checkpoint
from taskrsa.training.head_start import IMAGES as PROBED_IMAGES
from taskrsa.training.head_start import start_at_probe
from taskrsa.training.loop import make_optimizer, require_finite, resolved_precision
from taskrsa.training.objectives import OBJECTIVES, Scores

POLY_POWER = 0.9
MOMENTUM = 0.9
HOLD = ("checkpoint_seconds", "checkpoint_steps")  # settings that leave the result as it is


@dataclass
class Progress:
    """How far a training has come, apart from its weights."""

    step: int = 0  # steps done
    # [step, mean training loss since the row before, score]
    curve: list[list[float]] = field(default_factory=list)
    loss_sum: float = 0.0  # of the steps since the last row
    loss_count: int = 0
    by_class: list[float] = field(default_factory=list)  # scores at the last row
    n_images: int = 0

    def scored(self) -> bool:
        """Return whether the curve has a row of the present step."""
        return bool(self.curve) and self.curve[-1][0] == self.step

    def add(self, scores: Scores) -> None:
        """Add a row to the curve; there is no loss before the first step."""
        loss = self.loss_sum / self.loss_count if self.loss_count else nan
        self.curve.append([self.step, loss, scores.value])
        self.by_class, self.n_images = list(scores.by_class), scores.n_images
        self.loss_sum, self.loss_count = 0.0, 0


def rate_factor(recipe: FinetuneConfig, step: int) -> float:
    """Return the learning rate of a step, counted from 0, as a share of the first."""
    return (1 - step / recipe.steps) ** POLY_POWER if recipe.schedule == "poly" else 1.0


def starts_at_probe(network: TargetNetwork) -> bool:
    """Return whether the head's linear part starts as a probe of the training images."""
    return network.head_config.start == "probe"


def keeps_statistics(network: TargetNetwork, recipe: FinetuneConfig) -> bool:
    """Return whether the encoder normalises by the statistics it came with.

    A probe is fitted to features that are normalised by them: those of small batches differ, which
    spoils it within the first steps.
    """
    if recipe.batch_norm == "auto":
        return starts_at_probe(network)
    return recipe.batch_norm == "frozen"


def scores_at(recipe: FinetuneConfig, step: int) -> bool:
    """Return whether the network is scored after this number of steps."""
    regular = recipe.eval_every and step > 0 and step % recipe.eval_every == 0
    return step == recipe.steps or bool(regular)


# --- what decides the result ---


def settings_of(
    network: TargetNetwork,
    train_set: LabelledSet,
    val_set: LabelledSet,
    recipe: FinetuneConfig,
    seed: int,
) -> dict:
    """Return everything that decides the result of `finetune`, by name; call it before training.

    Data and weights are given by their content, the hardware by what it does to the numbers, the
    program by its source.
    """
    device = None
    if recipe.device != "cpu":
        device = torch.accelerator.current_accelerator(check_available=True)
    kept = {key: value for key, value in recipe.model_dump(mode="json").items() if key not in HOLD}
    return {
        **{f"recipe.{key}": value for key, value in kept.items()},
        "recipe.precision": resolved_precision(recipe.precision),
        "recipe.device": device.type if device else "cpu",
        "seed": seed,
        "network": network.encoder.row.to_json(),
        "tap": network.tap,
        "kind": network.kind,
        "head": network.head_config.model_dump(mode="json"),
        "classes": train_set.classes,
        "initial weights": weights_digest(network),
        "training images": train_set.digest,
        "validation images": val_set.digest,
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


@lru_cache(maxsize=1)
def program_digest() -> str:
    """Return one SHA-256 for the sources on which the result of a training depends."""
    library = Path(__file__).parents[1]
    files = (library.glob(f"{folder}/*.py") for folder in ("networks", "targets", "training"))
    return digest_of(f"{path.name} {sha256_of(path)}" for path in sorted(chain(*files)))


# --- training ---


def finetune(
    network: TargetNetwork,
    train_set: LabelledSet,
    val_set: LabelledSet,
    recipe: FinetuneConfig,
    seed: int,
    store: Checkpoint | None = None,
    until: int | None = None,
) -> tuple[TargetNetwork, Progress]:
    """Train `network` as a whole; return it as the last step left it, and its learning curve.

    With a `store`, training continues from the state it holds, and saves its own there. The same
    seed, data and machine give the same weights, bit by bit, on CPU, cut off or not. With `until`
    it ends after that step of the recipe's, scored and saved, for another call to go on from.

    Raises
    ------
    DataError
        If the loss stops being finite, an image cannot be read, or the state cannot be saved.
    ConfigError
        If the recipe does not fit the head.
    """
    objective = OBJECTIVES[network.kind]
    run = _Run(network, recipe, seed, store)
    batches = Batches(
        train_set, recipe, seed, network.input_channels, network.head_config.input_scale
    )
    progress, end = run.progress, recipe.steps if until is None else until
    if progress.step == 0 and starts_at_probe(network):
        start_at_probe(run.plain, train_set, seed)
        progress.add(objective.evaluate(run.plain, val_set))
    bar = tqdm(total=end, initial=progress.step, desc="train", mininterval=5)
    source = batches.since(progress.step, run.loading_threads)
    with bar, closing(source), torch.random.fork_rng(devices=[]):
        while True:
            is_end = progress.step == end
            if (is_end or scores_at(recipe, progress.step)) and not progress.scored():
                progress.add(objective.evaluate(run.plain, val_set))
                run.save()
            if is_end:
                break
            run.step(*next(source), objective.loss)
            bar.update()
            # The last step's state is kept before the score, which may take long, begins.
            if progress.step == end or run.is_due():
                run.save()
    return run.plain.eval(), progress


class _Run:
    """A training at some step: network, optimiser, progress, and where they are saved."""

    def __init__(
        self, network: TargetNetwork, recipe: FinetuneConfig, seed: int, store: Checkpoint | None
    ) -> None:
        if recipe.batch_size == 1 and network.is_dense and network.head_config.image_pooling:
            raise ConfigError("head: image_pooling needs a batch_size of at least 2 in the recipe")
        self.recipe, self.seed, self.store = recipe, seed, store
        self.accelerator = Accelerator(
            cpu=recipe.device == "cpu", mixed_precision=resolved_precision(recipe.precision)
        )
        # What `prepare` returns may wrap the network, which shares its weights and stays as it is.
        self.plain = network.to(memory_format=torch.channels_last)
        self.plain.freeze_statistics(keeps_statistics(network, recipe))
        self.network, self.optimizer = self.accelerator.prepare(
            self.plain, _optimizer(self.plain, recipe)
        )
        self.progress = self._restored()
        self.saved_at, self.saved_step = time.monotonic(), self.progress.step

    def step(
        self,
        shown: torch.Tensor,
        labels: torch.Tensor,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> None:
        """Train on one batch."""
        step, device = self.progress.step, self.accelerator.device
        torch.manual_seed(int(generator(self.seed, DROPOUT, step).integers(2**63)))
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = group["first_lr"] * rate_factor(self.recipe, step)
        with self.accelerator.autocast():
            outputs = self.network(shown.to(device), shrunk=True)
        value = loss(outputs.float(), labels.to(device))
        self.accelerator.backward(value)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.progress.step += 1
        self.progress.loss_sum += require_finite(value.item(), step + 1)
        self.progress.loss_count += 1

    @property
    def loading_threads(self) -> int:
        """Return how many threads make batches ahead: those of the job, where a card computes."""
        return 0 if self.accelerator.device.type == "cpu" else torch.get_num_threads()

    def is_due(self) -> bool:
        """Return whether the recipe asks for the state to be saved now."""
        recipe, steps = self.recipe, self.progress.step - self.saved_step
        seconds = time.monotonic() - self.saved_at
        by_time = recipe.checkpoint_seconds and seconds >= recipe.checkpoint_seconds
        return bool(by_time or 0 < recipe.checkpoint_steps <= steps)

    def save(self) -> None:
        """Save the state where there is a store."""
        if self.store is not None:
            scaler = self.accelerator.scaler
            self.store.save(
                {
                    "network": self.plain.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "scaler": scaler.state_dict() if scaler is not None else None,
                    "progress": asdict(self.progress),
                }
            )
        self.saved_at, self.saved_step = time.monotonic(), self.progress.step

    def _restored(self) -> Progress:
        state = self.store.load() if self.store is not None else None
        if state is None:
            return Progress()
        self.plain.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        progress = Progress(**state["progress"])
        print(f"training continues from step {progress.step}", flush=True)
        return progress


def _optimizer(network: TargetNetwork, recipe: FinetuneConfig) -> torch.optim.Optimizer:
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


def seconds_of_training(
    network: TargetNetwork,
    train_set: LabelledSet,
    val_set: LabelledSet,
    recipe: FinetuneConfig,
    steps: int = 4,
    enough: float = 10,
) -> tuple[float, float]:
    """Return seconds a step, and seconds of what is done once: the start of the head and the scores
    of a whole set; from a few steps and images.

    No more than `steps` are timed, and none after `enough` seconds of them.
    """
    objective = OBJECTIVES[network.kind]
    brief = recipe.model_copy(update={"steps": 1 + steps})
    run = _Run(network, brief, seed=0, store=None)
    batches = Batches(train_set, brief, 0, network.input_channels, network.head_config.input_scale)
    source = batches.since(0, run.loading_threads)
    once, took, scorings = 0.0, [], 1
    with closing(source), torch.random.fork_rng(devices=[]):
        if starts_at_probe(network):
            scorings = 2
            some = train_set.first(1 + steps)
            start = time.perf_counter()
            start_at_probe(run.plain, some, seed=0)
            share = min(len(train_set), PROBED_IMAGES) / len(some)
            once += (time.perf_counter() - start) * share
        run.step(*next(source), objective.loss)  # what is done once a process
        while not took or (len(took) < steps and sum(took) < enough):
            start = time.perf_counter()
            run.step(*next(source), objective.loss)
            took.append(time.perf_counter() - start)
        some = val_set.first(1 + steps)
        start = time.perf_counter()
        with suppress(DataError):  # so few images may have nothing to score
            objective.evaluate(run.plain, some)
        once += (time.perf_counter() - start) / len(some) * len(val_set) * scorings
    return sum(took) / len(took), once
