"""Transfer affinities measured by linear probes of a frozen encoder's bottleneck.

What a source's bottleneck says about a target task is what a linear read-out of it can predict: by
ridge regression where the target is a value, by multinomial logistic regression where it is a
class. The affinity is the share of a constant predictor's error that the read-out removes on
held-out images. Zamir et al. (2018, section 3.2) train a small network for each pair instead; a
linear probe is its cheap stand-in, and one factorisation of the features serves every target that
sees the same input.

Two geometries. A map is predicted at each position of the bottleneck, from the neighbourhood of
that position and with the same weights everywhere; a label of a whole image from the whole
bottleneck. The intercept is each position's own: features and labels are centred there. So the
constant predictor, which answers with its own training mean at every position, is the probe with an
infinite penalty, and a bottleneck that says nothing scores 0, up to chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn import functional as F

from taskrsa.errors import ConfigError, DataError, RepresentationError
from taskrsa.tasks.label_features import borders
from taskrsa.tasks.task import Task

# Penalties in units of the mean eigenvalue of the standardised features' covariance.
RIDGE_PENALTIES = tuple(np.logspace(3, -6, 10))
CLASSIFIER_PENALTIES = tuple(np.logspace(1, -4, 6))  # from strong to weak
CLASSIFIER_ROWS = 32768  # positions that a classifier is fitted to, at most
ITERATIONS = 100  # of a classifier, at each penalty
TOLERANCE = 1e-5  # a classifier's loss has converged once a step lowers it by a smaller share
VALIDATION_SHARE = 5  # one training image in five chooses the penalty
SMALLEST_FREQUENCY = 1e-6  # of a class, as in `taskrsa.training.losses.constant_loss`

_IMAGES = 128  # images worked on at once
_CONSTANT = 1e-6  # a feature or label whose deviation is a smaller share than this is constant


@dataclass(frozen=True)
class Transfer:
    """One transfer, scored on held-out images."""

    affinity: float  # 1 - error / constant_error, which may be negative
    error: float
    constant_error: float
    penalty: float  # the one chosen, in units of `Stage.unit`
    measure: str  # what the errors are, "squared error" or "cross-entropy"


@dataclass(frozen=True)
class Labels:
    """One task's labels at the P positions of a bottleneck; P is 1 for labels of a whole image.

    values: (N, P, C, S) numbers, S the pixels under a position, or (N, P, K) shares of classes.
    valid: (N, P, 1, S) or (N, P) bool.
    """

    values: Tensor
    valid: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, images: slice | Tensor) -> Labels:
        return Labels(self.values[images], self.valid[images])

    @property
    def are_classes(self) -> bool:
        return self.values.ndim == 3


# ------------------------------------------------------------------------------ features and labels


@torch.inference_mode()
def compressed_features(
    encoder: nn.Module,
    to_input: Callable[[np.ndarray], Tensor],
    images: np.ndarray,
    batch_size: int,
    source: str,
) -> Tensor:
    """Return the bottleneck of photographs, (N, C, c, c) float32; RepresentationError if it is not
    finite.

    Parameters
    ----------
    encoder : a network in evaluation mode
    to_input : turns (N, H, W, 3) uint8 photographs into the network's input
    source : name for errors
    """
    device = next(encoder.parameters()).device
    encoder = encoder.to(memory_format=torch.channels_last)
    parts = []
    for start in range(0, len(images), batch_size):
        batch = to_input(images[start : start + batch_size]).to(device)
        parts.append(encoder(batch).float().cpu().contiguous())
    features = torch.cat(parts)
    if not features.isfinite().all():
        raise RepresentationError(
            f"{source}: its compressed output is not finite; train it again or leave it out"
        )
    return features


def neighbourhoods(features: Tensor, side: int) -> Tensor:
    """Return the side x side features of (N, C, h, w) around each position, zero padded:
    (N, h * w, side^2 * C). ConfigError if `side` is even."""
    if side % 2 == 0:
        raise ConfigError(f"neighbourhood: must be odd and positive, not {side}")
    height, width = features.shape[2:]
    padded = F.pad(features, [side // 2] * 4).permute(0, 2, 3, 1)
    shifted = [padded[:, y : y + height, x : x + width] for y in range(side) for x in range(side)]
    return torch.cat(shifted, -1).flatten(1, 2)


def labels_at_positions(
    task: Task,
    targets: np.ndarray,
    valid: np.ndarray,
    n_outputs: int,
    grid: int,
    ab_bins: np.ndarray | None = None,
) -> Labels:
    """Lay a task's labels out at the positions of a bottleneck.

    A position takes the pixels that lie under it: values as they are, colour bins as the colours
    they stand for, segments, whose ids mean nothing across images, as their borders (the last row
    and column, which lack a neighbour, are invalid). Class maps become the majority's class, valid
    where at least half of the pixels are; the lowest class wins a draw. ConfigError if a map cannot
    be divided among the positions.

    Parameters
    ----------
    targets, valid : labels as `taskrsa.data.pack.read_labels` returns them
    n_outputs, ab_bins : as in `taskrsa.tasks.label_features.label_features`
    grid : positions along each side of the bottleneck
    """
    valid = np.asarray(valid, bool)
    if task.output == "class":
        return Labels(torch.from_numpy(targets)[:, None], torch.from_numpy(valid)[:, None])
    if task.output == "vector":
        values = torch.from_numpy(targets)[:, None, :, None]
        return Labels(values, torch.from_numpy(valid)[:, None, None, None])
    size = targets.shape[-1]
    if size % grid:
        raise ConfigError(
            f"label_size: the label map of {task.id} has {size} pixels per side, which must be a "
            f"multiple of the bottleneck's {grid} positions; change it or encoder.strides"
        )
    if task.output == "embedding":
        values, known = borders(targets, valid)
        edge = ((0, 0), (0, 1), (0, 1))
        values, valid = np.pad(values, edge)[:, None], np.pad(known, edge)
    elif task.output == "ids" and ab_bins is None:
        return _majority(_patches(targets[:, None], grid), valid, n_outputs, grid)
    elif task.output == "ids":
        values = np.moveaxis(np.asarray(ab_bins, np.float32)[targets], -1, 1)
    else:
        values = targets
    values, valid = _patches(values, grid), _patches(valid[:, None], grid)
    return Labels(torch.from_numpy(values), torch.from_numpy(valid))


def _patches(maps: np.ndarray, grid: int) -> np.ndarray:
    """Cut maps (N, C, L, L) into the pixels under each position, (N, grid^2, C, S)."""
    n, channels, size = maps.shape[:3]
    side = size // grid
    cut = maps.reshape(n, channels, grid, side, grid, side).transpose(0, 2, 4, 1, 3, 5)
    return cut.reshape(n, grid**2, channels, side**2)


def _majority(ids: np.ndarray, valid: np.ndarray, classes: int, grid: int) -> Labels:
    """Make labels of the most frequent valid class under each position; ids (N, P, 1, S)."""
    known = _patches(valid[:, None], grid)
    n, positions, _, pixels = ids.shape
    row = np.arange(n * positions).reshape(n, positions, 1, 1) * classes
    counts = np.bincount((row + ids)[known], minlength=n * positions * classes)
    winner = counts.reshape(n, positions, classes).argmax(-1)
    shares = F.one_hot(torch.from_numpy(winner), classes).float()
    return Labels(shares, torch.from_numpy(2 * known.sum((2, 3)) >= pixels))


def validation_images(n: int, seed: int) -> Tensor:
    """Choose a fifth of n training images, but at least one, as a mask (n,); ConfigError if there
    are fewer than two."""
    if n < 2:
        raise ConfigError(f"n_train: probes need at least 2 training images, not {n}")
    chosen = torch.zeros(n, dtype=torch.bool)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    chosen[order[: max(1, n // VALIDATION_SHARE)]] = True
    return chosen


# --------------------------------------------------------------------------------------- probes


@dataclass(frozen=True)
class Stage:
    """Features to fit probes to and features to score them on, standardised and in the basis of
    the eigenvectors of the former's correlation matrix."""

    eigenvalues: Tensor  # (D,) float64
    fit: Tensor  # (N, P, D) float32
    test: Tensor  # (M, P, D) float32

    @classmethod
    def of(cls, fit: Tensor, test: Tensor) -> Stage:
        """Standardise features (N, P, D) and (M, P, D) float32 as the former ask for.

        They are centred at each position and divided by their deviation over all positions; one
        that never varies is left out. The matrix is decomposed in double precision.
        """
        n, positions, width = fit.shape
        mean = fit.mean(0)
        gram = torch.zeros(width, width, dtype=torch.float64)
        for images in _chunks(n):
            centred = (fit[images].double() - mean).flatten(0, 1)
            gram += centred.T @ centred
        covariance = gram / (n * positions)
        deviation = covariance.diagonal().sqrt()
        largest = torch.stack(fit.aminmax()).abs().max()
        inverse = torch.where(deviation > _CONSTANT * largest, 1 / deviation, 0.0)
        values, vectors = torch.linalg.eigh(covariance * inverse[:, None] * inverse)
        rotation = (inverse[:, None] * vectors).float()

        def rotated(features: Tensor) -> Tensor:
            found = torch.empty_like(features)
            for images in _chunks(len(features)):
                found[images] = (features[images] - mean) @ rotation
            return found

        return cls(values.clamp(min=0), rotated(fit), rotated(test))

    @property
    def unit(self) -> float:
        """The mean eigenvalue: the unit of the penalties."""
        return float(self.eigenvalues.mean()) or 1.0  # any unit will do for a dead bottleneck


class SourceProbe:
    """The features (N, C, c, c) and (M, C, c, c) of one source for one kind of input, ready to
    serve any target.

    For each geometry the features are factorised twice, whatever the number of targets: without the
    validation images, to choose the penalties, and with them, for the fit that is scored on the
    held-out images. `neighbourhood` is the side of what predicts the pixels under a position;
    `seed` draws the validation images and the positions that classifiers are fitted to.
    """

    def __init__(
        self, train: Tensor, held_out: Tensor, neighbourhood: int = 3, seed: int = 0
    ) -> None:
        self._features = train, held_out
        self._neighbourhood = neighbourhood
        self._seed = seed
        self._validation = validation_images(len(train), seed)
        self._stages: dict[bool, tuple[Stage, Stage]] = {}

    @property
    def grid(self) -> int:
        return self._features[0].shape[-1]

    def transfer(self, task: Task, train: Labels, held_out: Labels) -> Transfer:
        """Measure the transfer to a task whose labels `labels_at_positions` has laid out.

        Raises
        ------
        DataError
            If there is no valid label, one that is not finite, or no held-out label that differs
            from the training images' mean.
        """
        first = train.rows(~self._validation)
        second = train.rows(self._validation)
        parts = {"training": first, "validation": second, "held-out": held_out}
        for split, labels in parts.items():
            if not labels.valid.any():
                raise DataError(
                    f"{task.id}: no valid label among the {split} images; give more images or "
                    "leave the task out"
                )
        if _is_constant(train, held_out):
            raise DataError(
                f"{task.id}: every held-out label is the constant predictor's answer, so there is "
                "no error to remove; give more images or leave the task out"
            )
        constant = constant_error(train, held_out)
        if not np.isfinite(constant):
            raise DataError(f"{task.id}: a valid label is not finite; derive the labels again")
        choosing, final = self._both_stages(task.dense)
        if train.are_classes:
            penalties, measure = CLASSIFIER_PENALTIES, "cross-entropy"
            errors_of = partial(classifier_errors, seed=self._seed)
        else:
            penalties, measure, errors_of = RIDGE_PENALTIES, "squared error", ridge_errors
        penalty = penalties[int(np.argmin(errors_of(choosing, first, second, penalties)))]
        error = errors_of(final, train, held_out, [penalty])[0]
        return Transfer(1 - error / constant, float(error), constant, float(penalty), measure)

    def _both_stages(self, dense: bool) -> tuple[Stage, Stage]:
        if dense not in self._stages:
            train, held_out = (
                neighbourhoods(features, self._neighbourhood)
                if dense
                else features.flatten(1)[:, None]
                for features in self._features
            )
            self._stages[dense] = (
                Stage.of(train[~self._validation], train[self._validation]),
                Stage.of(train, held_out),
            )
        return self._stages[dense]


def constant_error(train: Labels, test: Labels) -> float:
    """Return the error per valid value of the best predictor that ignores the image, as that of
    `taskrsa.training.losses.constant_loss`."""
    if train.are_classes:
        answer = log_frequencies(train)
        return _cross_entropy(answer.expand_as(test.values), test)
    mean = _means(train)
    total = sum(
        float(_residuals(test, mean, images).square().sum(dtype=torch.float64))
        for images in _chunks(len(test))
    )
    return total / _count(test)


def ridge_errors(
    stage: Stage, train: Labels, test: Labels, penalties: Sequence[float]
) -> np.ndarray:
    """Return the squared error, per valid value, of the ridge fit at each penalty, (L,) float64.

    Minimised is, for each output, the mean over images and positions of the squared residual plus
    penalty x (mean eigenvalue) x |w|^2, with w the weights of the standardised features. In the
    basis of the eigenvectors that divides the covariance of features and labels by eigenvalue +
    penalty.

    The covariance of features and labels is over the valid labels, that of the features over all.
    This is the ridge fit where all labels are valid, and else approximates one fit for each output
    to its own valid labels, well as long as validity has little to do with the bottleneck.

    Labels have `values` (N, P, C, S), and as many images and positions as the stage.
    """
    mean = _means(train)
    outputs = mean[0].numel()
    moment = torch.zeros(stage.fit.shape[-1], outputs, dtype=torch.float64)
    for images in _chunks(len(train)):
        residuals = _residuals(train, mean, images).flatten(0, 1).flatten(1)
        moment += stage.fit[images].flatten(0, 1).double().T @ residuals.double()
    valid = train.valid.sum((0, 1)).clamp(min=1)  # (1, S)
    moment /= valid.expand(mean.shape[1:]).reshape(-1)
    shrunk = [moment / (stage.eigenvalues + penalty * stage.unit)[:, None] for penalty in penalties]
    weights = torch.cat(shrunk, 1).float()
    totals = torch.zeros(len(penalties), dtype=torch.float64)
    for images in _chunks(len(test)):
        residuals = _residuals(test, mean, images).flatten(0, 1).flatten(1)
        valid = test.valid[images].expand(-1, -1, *mean.shape[1:]).reshape(residuals.shape)
        predicted = stage.test[images].flatten(0, 1) @ weights
        errors = residuals[:, None] - predicted.view(len(residuals), len(penalties), outputs)
        errors *= valid[:, None]
        totals += errors.square_().sum((0, 2)).double()  # single precision within a chunk
    return (totals / _count(test)).numpy()


def _chunks(n: int) -> list[slice]:
    return [slice(start, start + _IMAGES) for start in range(0, n, _IMAGES)]


def _count(labels: Labels) -> int:
    """Return the number of valid values."""
    return int(labels.valid.sum()) * (1 if labels.are_classes else labels.values.shape[2])


def _means(labels: Labels) -> Tensor:
    """Return the mean of the valid values at each position, (P, C, S) float32.

    Where none is valid it is the mean of all, as in `taskrsa.training.losses.constant_loss`.
    """
    total = torch.zeros(labels.values.shape[1:], dtype=torch.float64)
    for images in _chunks(len(labels)):
        values = labels.values[images].float()
        total += torch.where(labels.valid[images], values, 0).sum(0).double()
    known = labels.valid.sum(0)
    overall = total.sum() / max(_count(labels), 1)
    return torch.where(known > 0, total / known.clamp(min=1), overall).float()


def _residuals(labels: Labels, mean: Tensor, images: slice) -> Tensor:
    """Return values less the mean, 0 where invalid, (n, P, C, S) float32."""
    return torch.where(labels.valid[images], labels.values[images].float() - mean, 0)


def _is_constant(train: Labels, test: Labels) -> bool:
    """Tell whether every valid label to be scored is the training mean at its position."""
    if train.are_classes:
        train, test = (
            Labels(labels.values[..., None], labels.valid[..., None, None])
            for labels in (train, test)
        )
    mean = _means(train)
    spread = size = 0.0
    for images in _chunks(len(test)):
        spread += float(_residuals(test, mean, images).square().sum(dtype=torch.float64))
        values = torch.where(test.valid[images], test.values[images].float(), 0)
        size += float(values.square().sum(dtype=torch.float64))
    return spread <= _CONSTANT**2 * size


# ----------------------------------------------------------------------------------- classifiers


def log_frequencies(labels: Labels) -> Tensor:
    """Return the logarithm of the classes' frequencies at each position, (P, K) float32.

    One image more, with the overall frequencies, keeps a class from having none at a position.
    """
    counts = (labels.values * labels.valid[..., None]).sum(0, dtype=torch.float64)
    overall = (counts.sum(0) / counts.sum()).clamp(min=SMALLEST_FREQUENCY)
    counts = counts + overall / overall.sum()
    return (counts / counts.sum(1, keepdim=True)).log().float()


def classifier_errors(
    stage: Stage,
    train: Labels,
    test: Labels,
    penalties: Sequence[float],
    max_rows: int = CLASSIFIER_ROWS,
    seed: int = 0,
) -> np.ndarray:
    """Return the cross-entropy, per valid label, of the linear classifier at each penalty.

    Multinomial logistic regression against shares of classes. Minimised is the mean cross-entropy
    plus penalty x (mean eigenvalue) / 2 x |w|^2, with w the weights of the standardised features. A
    class's logit starts from the logarithm of its frequency at the position, and its intercept is
    free. Fits run from the first penalty, the strongest, to the last, each from the one
    before, and end once the error on `test` rises: so fewer errors than penalties may come back.

    Labels have `values` (N, P, K). At most `max_rows` valid positions are fitted, sampled with
    `seed`.
    """
    prior = log_frequencies(train)
    where = train.valid.flatten().nonzero()[:, 0]
    if len(where) > max_rows:
        order = torch.randperm(len(where), generator=torch.Generator().manual_seed(seed))
        where = where[order[:max_rows].sort().values]
    features = stage.fit.flatten(0, 1)[where]
    shares = train.values.flatten(0, 1)[where]
    offset = prior[where % len(prior)]
    weights = torch.zeros(features.shape[1] + 1, shares.shape[1], dtype=torch.float64)
    errors: list[float] = []
    for penalty in penalties:
        weights = _fit_classifier(
            features, shares, offset, stage.eigenvalues, penalty * stage.unit, weights
        )
        logits = prior + stage.test @ weights[:-1].float() + weights[-1].float()
        errors.append(_cross_entropy(logits, test))
        if errors[-1] > min(errors):
            break
    return np.array(errors)


def _cross_entropy(logits: Tensor, labels: Labels) -> float:
    losses = -(labels.values * logits.log_softmax(-1)).sum(-1)
    return float(losses[labels.valid].mean(dtype=torch.float64))


def _fit_classifier(
    features: Tensor,
    shares: Tensor,
    offset: Tensor,
    eigenvalues: Tensor,
    penalty: float,
    start: Tensor,
) -> Tensor:
    """Return weights (D + 1, K) float64, the intercepts last, that minimise the penalised loss.

    L-BFGS in coordinates in which the loss curves alike in all directions: at weights of 0 its
    second derivative for class k along eigenvector i is about f (1 - f) x eigenvalue + penalty,
    with f the class's frequency.
    """
    rows = len(shares)
    frequency = shares.mean(0, dtype=torch.float64)
    spread = (frequency * (1 - frequency)).clamp(min=1 / rows)
    scale = torch.cat([eigenvalues[:, None] * spread + penalty, spread[None]]).rsqrt()

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.from_numpy(point).view(scale.shape) * scale
        slopes, intercepts = weights[:-1], weights[-1]
        log_shares = (
            torch.addmm(offset, features, slopes.float()) + intercepts.float()
        ).log_softmax(1)
        value = -(shares * log_shares).sum(dtype=torch.float64) / rows
        value += 0.5 * penalty * slopes.square().sum()
        excess = log_shares.exp_().sub_(shares)
        gradient = torch.cat(
            [
                (features.T @ excess).double() / rows + penalty * slopes,
                excess.sum(0, keepdim=True, dtype=torch.float64) / rows,
            ]
        )
        return float(value), (gradient * scale).flatten().numpy()

    found = minimize(
        loss,
        (start / scale).flatten().numpy(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": ITERATIONS, "ftol": TOLERANCE, "gtol": 1e-5},
    )
    return torch.from_numpy(found.x).view(scale.shape) * scale
