"""Transfer affinities by linear probes: against direct solutions, and on features made by hand."""

import json
from functools import partial

import numpy as np
import pandas as pd
import probe_source
import pytest
import torch
from scipy.optimize import minimize
from skimage.color import rgb2lab
from taskrsa.data.pack import write_labels, write_pack
from taskrsa.data.view import SourceInfo, View
from taskrsa.errors import ConfigError, DataError, RepresentationError
from taskrsa.networks.decoders import DenseDecoder
from taskrsa.networks.encoder import EncoderSpec
from taskrsa.networks.preprocessing import NOISE_VARIANCE, network_input, transfer_input
from taskrsa.networks.weights import random_encoder, save_encoder
from taskrsa.recipes import TrainConfig
from taskrsa.tasks.dictionary import TASKS
from taskrsa.training.loop import LabelledImages, train
from taskrsa.training.losses import constant_loss
from taskrsa.training.probe import (
    CLASSIFIER_PENALTIES,
    RIDGE_PENALTIES,
    Labels,
    SourceProbe,
    Stage,
    classifier_errors,
    compressed_features,
    constant_error,
    labels_at_positions,
    log_frequencies,
    neighbourhoods,
    ridge_errors,
    validation_images,
)

IMAGE, NORMALS = TASKS["edge2d"], TASKS["rgb2sfnorm"]
VECTOR, CLASS, CLASS_MAP = TASKS["room_layout"], TASKS["class_places"], TASKS["segmentsemantic"]
N, M, SIDE, CHANNELS = 160, 60, 4, 3


def features(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of training and held-out images, as unlike in scale as those of a real encoder."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(N + M, CHANNELS, SIDE, SIDE, generator=generator).relu()
    drawn *= torch.tensor([1.0, 30.0, 0.01])[:, None, None]
    return drawn[:N], drawn[N:]


def image_labels(maps: torch.Tensor, valid: np.ndarray | None = None) -> Labels:
    valid = np.ones((len(maps), *maps.shape[2:]), bool) if valid is None else valid
    return labels_at_positions(NORMALS, maps.numpy(), valid, maps.shape[1], SIDE)


def linear_maps(drawn: torch.Tensor, seed: int = 1) -> torch.Tensor:
    """Maps (n, 2, 8, 8) that the 3 x 3 features around a position determine, but for its mean."""
    generator = torch.Generator().manual_seed(seed)
    scaled = drawn / torch.tensor([1.0, 30.0, 0.01])[:, None, None]
    kernel = torch.randn(8, CHANNELS, 3, 3, generator=generator)
    place = 5 * torch.randn(2, 8, 8, generator=generator)
    maps = torch.nn.functional.conv2d(scaled, kernel, padding=1)
    return torch.nn.functional.pixel_shuffle(maps, 2) + place


# ----------------------------------------------------------------------------------- recovery


def test_a_linear_map_is_recovered():
    train_features, held_out = features()
    found = SourceProbe(train_features, held_out).transfer(
        NORMALS, image_labels(linear_maps(train_features)), image_labels(linear_maps(held_out))
    )
    assert found.affinity > 0.9999
    assert found.measure == "squared error"
    assert found.penalty == min(RIDGE_PENALTIES)
    assert found.affinity == 1 - found.error / found.constant_error


def test_the_neighbourhood_decides_what_a_position_sees():
    train_features, held_out = features()
    labels = [image_labels(linear_maps(part)) for part in (train_features, held_out)]
    alone = SourceProbe(train_features, held_out, neighbourhood=1).transfer(NORMALS, *labels)
    # One of nine equal and independent parts lies at the position itself (fewer at the borders).
    assert 0.05 < alone.affinity < 0.25


def test_noise_is_worth_nothing():
    drawn = torch.randn(N + M, 2, 8, 8, generator=torch.Generator().manual_seed(5)) + 3
    found = SourceProbe(*features()).transfer(
        NORMALS, image_labels(drawn[:N]), image_labels(drawn[N:])
    )
    assert -0.01 < found.affinity < 0.005
    assert found.penalty == max(RIDGE_PENALTIES)


def test_a_whole_image_is_predicted_from_the_whole_code():
    train_features, held_out = features()
    weights = torch.randn(CHANNELS * SIDE**2, 9, generator=torch.Generator().manual_seed(1))
    weights /= torch.tensor([1.0, 30.0, 0.01]).repeat_interleave(SIDE**2)[:, None]
    labels = [
        labels_at_positions(
            VECTOR, (part.flatten(1) @ weights + 7).numpy(), np.ones(len(part), bool), 9, SIDE
        )
        for part in (train_features, held_out)
    ]
    assert SourceProbe(train_features, held_out).transfer(VECTOR, *labels).affinity > 0.9999


def test_a_dead_code_scores_nothing():
    dead = torch.zeros(N, 2, SIDE, SIDE), torch.zeros(M, 2, SIDE, SIDE)
    maps = linear_maps(torch.cat(features()))
    found = SourceProbe(*dead).transfer(NORMALS, image_labels(maps[:N]), image_labels(maps[N:]))
    assert found.affinity == pytest.approx(0, abs=1e-6)


# -------------------------------------------------------------------------- against direct solves


def standardised(features: torch.Tensor, like: torch.Tensor) -> np.ndarray:
    """Centre at each position and divide by the deviation over all, in float64."""
    mean = like.double().mean(0)
    deviation = (like.double() - mean).square().mean((0, 1)).sqrt()
    return ((features.double() - mean) / deviation).flatten(0, 1).numpy()


def test_every_penalty_equals_a_direct_solution():
    train_features, held_out = features()
    noise = torch.randn(N + M, 2, 8, 8, generator=torch.Generator().manual_seed(2))
    maps = linear_maps(torch.cat([train_features, held_out])) + 4 * noise
    fit, test = image_labels(maps[:N]), image_labels(maps[N:])
    around = neighbourhoods(train_features, 3), neighbourhoods(held_out, 3)
    penalties = [10.0, 0.3, 1e-3, 1e-6]
    found = ridge_errors(Stage.of(*around), fit, test, penalties)

    x, x_test = standardised(around[0], around[0]), standardised(around[1], around[0])
    mean = fit.values.double().mean(0)
    y, y_test = (
        (part.values.double() - mean).flatten(0, 1).flatten(1).numpy() for part in (fit, test)
    )
    covariance = x.T @ x / len(x)
    unit = np.trace(covariance) / len(covariance)
    for penalty, error in zip(penalties, found, strict=True):
        matrix = covariance + penalty * unit * np.eye(len(covariance))
        weights = np.linalg.solve(matrix, x.T @ y / len(x))
        assert error == pytest.approx(((y_test - x_test @ weights) ** 2).mean(), rel=1e-5)


def class_problem(seed: int = 3) -> tuple[Labels, Labels]:
    """Soft labels (n, P, 4) that depend on the features at the position, some of them invalid."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.cat(features()).permute(0, 2, 3, 1).flatten(1, 2)
    logits = drawn * torch.tensor([1.0, 1 / 30, 100.0]) @ torch.randn(3, 4, generator=generator)
    logits += torch.tensor([1.0, 0.0, -2.0, 0.0])
    shares = (logits + torch.randn(logits.shape, generator=generator)).softmax(-1)
    valid = torch.rand(N + M, SIDE**2, generator=generator) < 0.8
    both = Labels(shares, valid)
    return both.rows(slice(N)), both.rows(slice(N, None))


def test_the_classifier_equals_a_plain_optimisation(monkeypatch):
    monkeypatch.setattr("taskrsa.training.probe.TOLERANCE", 1e-8)
    fit, test = class_problem()
    around = tuple(neighbourhoods(part, 1) for part in features())
    penalties = [1.0, 0.01]
    stage = Stage.of(*around)
    found = classifier_errors(stage, fit, test, penalties)

    x = torch.from_numpy(standardised(around[0], around[0])).view(N, SIDE**2, 3)
    x_test = torch.from_numpy(standardised(around[1], around[0])).view(M, SIDE**2, 3)
    unit = float((x.flatten(0, 1).T @ x.flatten(0, 1) / (N * SIDE**2)).diagonal().mean())
    prior = log_frequencies(fit).double()

    def entropy(weights, features, labels):
        logits = prior + features @ weights[:-1] + weights[-1]
        return -(labels.values * logits.log_softmax(-1)).sum(-1)[labels.valid].mean()

    def objective(point, penalty):
        weights = torch.from_numpy(point).view(4, 4).requires_grad_()
        loss = entropy(weights, x, fit) + penalty * unit / 2 * weights[:-1].square().sum()
        loss.backward()
        return loss.item(), weights.grad.flatten().numpy()

    for penalty, error in zip(penalties, found, strict=True):
        best = minimize(objective, np.zeros(16), (penalty,), jac=True, options={"gtol": 1e-8})
        direct = entropy(torch.from_numpy(best.x).view(4, 4), x_test, test).item()
        assert error == pytest.approx(direct, rel=1e-5)
    assert found[1] < 0.95 * constant_error(fit, test)


def test_a_classifier_recovers_classes_and_ignores_noise():
    train_features, held_out = features()
    winner = (
        torch.cat([train_features, held_out])
        .flatten(2)
        .mean(2)
        .mul(torch.tensor([1.0, 1 / 30, 100.0]))
    )
    one_hot = torch.nn.functional.one_hot(winner.argmax(1), 3).float().numpy()
    valid = np.ones(N + M, bool)
    seen = labels_at_positions(CLASS, one_hot, valid, 3, SIDE)
    probe = SourceProbe(train_features, held_out)
    found = probe.transfer(CLASS, seen.rows(slice(N)), seen.rows(slice(N, None)))
    assert found.measure == "cross-entropy"
    assert found.affinity > 0.5
    shuffled = one_hot[np.random.default_rng(0).permutation(N + M)]
    chance = labels_at_positions(CLASS, shuffled, valid, 3, SIDE)
    nothing = probe.transfer(CLASS, chance.rows(slice(N)), chance.rows(slice(N, None)))
    assert -0.1 < nothing.affinity < 0.05
    assert nothing.penalty == max(CLASSIFIER_PENALTIES)


def test_penalties_end_once_the_error_rises():
    fit, test = class_problem()
    stage = Stage.of(*(neighbourhoods(part, 3) for part in features(seed=9)))  # unrelated features
    few = fit.rows(slice(10))
    short = Stage(stage.eigenvalues, stage.fit[:10], stage.test)
    found = classifier_errors(short, few, test, [10.0, 0.1, 1e-2, 1e-3])
    assert len(found) == 2
    assert found[1] > found[0]


def test_a_classifier_fits_a_seeded_sample_of_positions():
    fit, test = class_problem()
    stage = Stage.of(*(neighbourhoods(part, 1) for part in features()))
    few = partial(classifier_errors, stage, fit, test, [0.1])
    assert few(300, 0) == few(300, 0) != few(300, 1)
    whole = few()
    assert few(300, 0) > whole
    assert few(int(fit.valid.sum()), 0) == whole


# --------------------------------------------------------------------------- validity, constants


def test_invalid_pixels_do_not_count():
    drawn = torch.cat(features())
    maps = linear_maps(drawn)
    valid = np.random.default_rng(0).random((N + M, 8, 8)) < 0.7
    probe = SourceProbe(*features())

    def transfer(filled: torch.Tensor):
        both = image_labels(filled, valid)
        return probe.transfer(NORMALS, both.rows(slice(N)), both.rows(slice(N, None)))

    found = transfer(maps)
    wrecked = maps.clone()
    wrecked.permute(0, 2, 3, 1)[~torch.from_numpy(valid)] = float("nan")
    assert transfer(wrecked) == found
    # The covariance with labels that are valid here and there is noisier, but not biased.
    assert 0.97 < found.affinity < 0.9999


def test_the_constant_is_the_one_that_networks_are_compared_with():
    rng = np.random.default_rng(0)
    maps = torch.from_numpy(rng.normal(size=(30, 2, 8, 8)).astype(np.float32))
    maps += torch.arange(8.0)  # each position has its own mean
    valid = rng.random((30, 8, 8)) < 0.8
    valid[:20, 3, 5] = False  # never seen in training
    both = image_labels(maps, valid)
    split = [(maps[part], torch.from_numpy(valid[part])) for part in (slice(20), slice(20, None))]
    assert constant_error(both.rows(slice(20)), both.rows(slice(20, None))) == pytest.approx(
        constant_loss("l2", *split), rel=1e-5
    )

    shares = torch.from_numpy(rng.dirichlet(np.ones(5), 30).astype(np.float32))
    seen = torch.from_numpy(rng.random(30) < 0.8)
    both = labels_at_positions(CLASS, shares.numpy(), seen.numpy(), 5, SIDE)
    split = [(shares[part], seen[part]) for part in (slice(20), slice(20, None))]
    assert constant_error(both.rows(slice(20)), both.rows(slice(20, None))) == pytest.approx(
        constant_loss("soft_cross_entropy", *split), rel=1e-4
    )

    ids = rng.integers(0, 3, (30, SIDE, SIDE))
    ids[:, 0] = 1  # each position has its own frequencies
    both = labels_at_positions(CLASS_MAP, ids, np.ones(ids.shape, bool), 3, SIDE)
    split = [
        (torch.from_numpy(ids[part]), torch.ones(ids[part].shape, dtype=torch.bool))
        for part in (slice(20), slice(20, None))
    ]
    assert constant_error(both.rows(slice(20)), both.rows(slice(20, None))) == pytest.approx(
        constant_loss("cross_entropy", *split, classes=3), rel=1e-3
    )


def test_the_same_seed_repeats_and_another_draws_other_validation_images():
    noise = torch.randn(N + M, 2, 8, 8, generator=torch.Generator().manual_seed(2))
    maps = linear_maps(torch.cat(features())) + 4 * noise
    labels = image_labels(maps[:N]), image_labels(maps[N:])
    first, second = (SourceProbe(*features(), seed=1).transfer(NORMALS, *labels) for _ in range(2))
    assert first == second
    assert validation_images(50, 0).sum() == 10
    assert (validation_images(50, 0) != validation_images(50, 1)).any()


# -------------------------------------------------------------------------- labels at positions


def test_a_position_takes_the_pixels_under_it():
    maps = np.arange(16, dtype=np.float16).reshape(1, 1, 4, 4)
    valid = np.ones((1, 4, 4), bool)
    valid[0, 0, 3] = False
    labels = labels_at_positions(IMAGE, maps, valid, 1, 2)
    assert labels.values[0, :, 0].tolist() == [
        [0, 1, 4, 5],
        [2, 3, 6, 7],
        [8, 9, 12, 13],
        [10, 11, 14, 15],
    ]
    assert labels.valid[0, 1, 0].tolist() == [True, False, True, True]


def test_a_position_takes_the_majority_class():
    ids = np.array([[[0, 1, 0, 2], [1, 2, 2, 0], [2, 2, 1, 1], [2, 2, 1, 0]]], np.uint8)
    valid = np.ones((1, 4, 4), bool)
    valid[0, 1, 2:] = False  # half is enough
    valid[0, 2:, 1:3] = valid[0, 3, 3] = False  # the lower right is known at one pixel in four
    labels = labels_at_positions(CLASS_MAP, ids, valid, 3, 2)
    assert labels.values.argmax(-1).tolist() == [[1, 0, 2, 1]]
    assert labels.valid.tolist() == [[True, True, True, False]]


def test_segments_become_borders_and_bins_colours():
    ids = np.zeros((1, 4, 4), np.uint8)
    ids[0, :, 2:] = 7
    labels = labels_at_positions(TASKS["segment2d"], ids, np.ones((1, 4, 4), bool), 64, 2)
    assert labels.values[0, :, 0].tolist() == [[0, 1, 0, 1], [0] * 4, [0, 1, 0, 0], [0] * 4]
    assert labels.valid[0, :, 0].tolist() == [
        [True] * 4,
        [True, False, True, False],
        [True, True, False, False],
        [True, False, False, False],
    ]
    bins = np.array([[10.0, -20.0], [30.0, 40.0]])
    colours = labels_at_positions(
        TASKS["colorization"],
        np.array([[[0, 1], [1, 1]]], np.uint8),
        np.ones((1, 2, 2), bool),
        2,
        2,
        bins,
    )
    assert colours.values[0, :, :, 0].tolist() == [[10, -20], [30, 40], [30, 40], [30, 40]]


def test_neighbourhoods_are_padded_with_zeros():
    around = neighbourhoods(torch.arange(1.0, 5).reshape(1, 1, 2, 2), 3)
    assert around[0, 0].tolist() == [0, 0, 0, 0, 1, 2, 0, 3, 4]
    assert around[0, 3].tolist() == [1, 2, 0, 3, 4, 0, 0, 0, 0]


# -------------------------------------------------------------------------------------- errors


def labels_of(maps: torch.Tensor, valid: np.ndarray) -> tuple[Labels, Labels]:
    both = labels_at_positions(IMAGE, maps.numpy(), valid, 1, SIDE)
    return both.rows(slice(N)), both.rows(slice(N, None))


def test_labels_that_cannot_be_scored_are_refused():
    probe = SourceProbe(*features())
    maps = torch.rand(N + M, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    valid = np.ones((N + M, 8, 8), bool)
    nowhere = np.zeros_like(valid)
    with pytest.raises(DataError, match="edge2d: no valid label among the training images"):
        probe.transfer(IMAGE, *labels_of(maps, nowhere))
    nowhere[:N] = True
    with pytest.raises(DataError, match="edge2d: no valid label among the held-out images"):
        probe.transfer(IMAGE, *labels_of(maps, nowhere))
    flat = torch.full_like(maps, 0.1) + torch.arange(8.0)
    with pytest.raises(DataError, match="edge2d: every held-out label is the constant"):
        probe.transfer(IMAGE, *labels_of(flat, valid))
    one_class = np.tile(np.float32([0, 1, 0]), (N + M, 1))
    both = labels_at_positions(CLASS, one_class, np.ones(N + M, bool), 3, SIDE)
    with pytest.raises(DataError, match="class_places: every held-out label is the constant"):
        probe.transfer(CLASS, both.rows(slice(N)), both.rows(slice(N, None)))
    spoilt = maps.clone()
    spoilt[3] = float("nan")
    with pytest.raises(DataError, match="edge2d: a valid label is not finite"):
        probe.transfer(IMAGE, *labels_of(spoilt, valid))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="label_size: the label map of edge2d has 6 pixels"):
        labels_at_positions(IMAGE, np.zeros((2, 1, 6, 6)), np.ones((2, 6, 6), bool), 1, SIDE)
    with pytest.raises(ConfigError, match="neighbourhood: must be odd and positive, not 2"):
        neighbourhoods(features()[0], 2)
    with pytest.raises(ConfigError, match="n_train: probes need at least 2 training images"):
        SourceProbe(features()[0][:1], features()[1])


TINY = EncoderSpec(width=4, units=(1, 1, 1, 1), strides=(2, 1, 1, 1))


def test_networks_that_cannot_be_probed_are_refused():
    images = np.zeros((3, 32, 32, 3), np.uint8)
    encoder = random_encoder(TINY, 0)
    with torch.no_grad():
        encoder.compress_bn.bias.fill_(float("inf"))
    with pytest.raises(RepresentationError, match="net: its compressed output is not finite"):
        compressed_features(encoder.eval(), network_input, images, 2, "net")


def test_codes_are_those_of_the_encoder_in_any_batch():
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    encoder = random_encoder(TINY, 0).eval()
    with torch.inference_mode():
        expected = encoder(network_input(images))
    for batch_size in (2, 5):
        found = compressed_features(encoder, network_input, images, batch_size, "net")
        torch.testing.assert_close(found, expected.contiguous(), rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------------------ what is shown

PHOTOGRAPHS = np.random.default_rng(3).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
CENTRE = (slice(None), slice(None), slice(4, 12), slice(4, 12))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["rgb", "lightness", "masked", "noisy"])
def test_a_source_sees_the_targets_input_in_its_own_format(channels, kind):
    def noise():
        return torch.Generator().manual_seed(9)

    shown = transfer_input(PHOTOGRAPHS, channels, kind, noise())
    assert shown.shape == (2, channels, 16, 16)
    assert shown.dtype == torch.float32
    assert shown.is_contiguous(memory_format=torch.channels_last)
    plain = network_input(PHOTOGRAPHS, "rgb" if channels == 3 else "lightness", clip=False)
    if kind in ("rgb", "lightness"):
        lightness = network_input(PHOTOGRAPHS, "lightness", clip=False)
        expected = plain if kind == "rgb" else lightness.expand(-1, channels, -1, -1)
        torch.testing.assert_close(shown, expected)
    elif kind == "masked":
        grey = 0.0 if channels == 3 else rgb2lab(np.full((1, 1, 3), 0.5))[0, 0, 0] / 50 - 1
        torch.testing.assert_close(shown[CENTRE], torch.full_like(shown[CENTRE], grey))
        torch.testing.assert_close(shown[:, :, :4], plain[:, :, :4])
        torch.testing.assert_close(shown[:, :, :, 12:], plain[:, :, :, 12:])
    else:
        noisy = torch.from_numpy(PHOTOGRAPHS).float() / 255
        noisy += torch.randn(noisy.shape, generator=noise()) * NOISE_VARIANCE**0.5
        expected = noisy if channels == 3 else torch.from_numpy(rgb2lab(noisy)[..., :1]) / 100
        torch.testing.assert_close(shown, (expected * 2 - 1).permute(0, 3, 1, 2))
        assert shown.amax() > 1 or shown.amin() < -1  # nothing is clipped


def test_one_noise_is_drawn_for_each_seed():
    first, second, other = (
        transfer_input(PHOTOGRAPHS, 3, "noisy", torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


# ------------------------------------------------------------------------- trained, end to end


def shapes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Photographs of a textured square on a texture of the same colours, and the square's map."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, 32, 32, 3), np.uint8)
    maps = np.zeros((n, 1, 8, 8), np.float16)
    stripes = 60 + 130 * (np.arange(32) // 2 % 2)
    for image, label in zip(images, maps, strict=True):
        phase, top, left = rng.integers(4), *rng.integers(0, 5, 2)
        image[...] = np.roll(stripes, phase)[:, None, None]
        square = slice(4 * top, 4 * top + 16), slice(4 * left, 4 * left + 16)
        image[square] = np.roll(stripes, phase)[None, square[1], None]
        label[0, top : top + 4, left : left + 4] = 1
    return images, maps


@pytest.fixture
def two_threads():
    """With one, oneDNN of PyTorch 2.13 aborts in this backward pass on some AMD processors."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_a_trained_network_serves_its_own_task_better_than_a_random_one(two_threads):
    (images, maps), (new_images, new_maps) = shapes(128, 0), shapes(48, 1)
    valid, new_valid = np.ones((128, 8, 8), bool), np.ones((48, 8, 8), bool)
    to_input = partial(network_input, clip=False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        decoder = DenseDecoder(8, 4, 1, 8, width=8)
    recipe = TrainConfig(
        steps=60, batch_size=16, eval_every=60, learning_rate=6e-3, precision="no", device="cpu"
    )
    trained, _, _ = train(
        torch.nn.Sequential(random_encoder(TINY, 0), decoder),
        "l2",
        LabelledImages(images, maps, valid, to_input),
        LabelledImages(new_images, new_maps, new_valid, to_input),
        recipe,
        seed=0,
    )
    labels = (
        labels_at_positions(IMAGE, maps, valid, 1, 4),
        labels_at_positions(IMAGE, new_maps, new_valid, 1, 4),
    )

    def affinity(encoder) -> float:
        seen = (
            compressed_features(encoder.eval(), to_input, part, 16, "net")
            for part in (images, new_images)
        )
        return SourceProbe(*seen, neighbourhood=1).transfer(IMAGE, *labels).affinity

    own, random = affinity(trained[0]), affinity(random_encoder(TINY, 0))
    assert own > random + 0.1
    assert own > 0.5


def view(index: int) -> View:
    return View(
        f"{index:03d}", np.random.default_rng(index).integers(0, 256, (32, 32, 3), np.uint8)
    )


@pytest.fixture
def files(tmp_path) -> dict:
    """Return the flags of the entry script for a random encoder, packs and labels on disk."""
    rng = np.random.default_rng(0)
    sizes = {"train": 20, "val": 10}
    paths = {}
    for split, n in sizes.items():
        paths[split] = tmp_path / f"{split}.h5"
        start = 100 * (split == "val")
        write_pack(paths[split], (view(start + i) for i in range(n)), SourceInfo(), n)

    def drawn(name: str, n: int) -> np.ndarray:
        task = TASKS[name]
        if task.output == "vector":
            return rng.normal(size=(n, 9))
        if task.output == "class":
            return rng.dirichlet(np.ones(3), n)
        if task.output == "ids":
            return rng.integers(0, 3, (n, 8, 8))
        return rng.random((n, 3, 8, 8))

    names = ["denoise", "room_layout", "colorization", "class_places", "autoencoder"]
    names += ["inpainting_whole", "segmentsemantic"]
    labels = []
    for name in names:
        task = TASKS[name]
        splits = {}
        for split, n in sizes.items():
            shape = (n, 8, 8) if task.dense else (n,)
            splits[split] = drawn(name, n), np.ones(shape, bool)
        write_labels(tmp_path / f"{name}.h5", task, splits)
        labels.append(str(tmp_path / f"{name}.h5"))
    save_encoder(tmp_path / "weights.safetensors", random_encoder(TINY, 0))
    return {
        "row": {"name": "net", "type": "", "loader": "trained"},
        "targets": {name: TASKS[name].definition() for name in names},
        "neighbourhood": 3,
        "n_train": None,
        "seed": 0,
        "batch_size": 8,
        "train_images": str(paths["train"]),
        "val_images": str(paths["val"]),
        "weights": str(tmp_path / "weights.safetensors"),
        "labels": labels,
        "table": str(tmp_path / "table.csv"),
    }


def test_the_script_writes_a_row_a_target_in_the_order_given(files, tmp_path):
    files["targets"] = json.loads(json.dumps(files["targets"]))
    probe_source.main(**files)
    table = pd.read_csv(files["table"])
    columns = "source,target,affinity,error,constant_error,penalty,measure"
    assert ",".join(table.columns) == columns
    assert list(table["target"]) == list(files["targets"])
    assert (table["source"] == "net").all()
    classes = table["target"].isin(["class_places", "segmentsemantic"])
    assert (table["measure"] == np.where(classes, "cross-entropy", "squared error")).all()
    assert np.isfinite(table["affinity"]).all()

    again = files | {"table": str(tmp_path / "again.csv")}
    probe_source.main(**again)
    pd.testing.assert_frame_equal(table, pd.read_csv(again["table"]))
    fewer = files | {"table": str(tmp_path / "fewer.csv"), "n_train": 12}
    probe_source.main(**fewer)
    assert (pd.read_csv(fewer["table"])["constant_error"] != table["constant_error"]).all()


def test_the_script_refuses_flags_that_contradict_each_other(files):
    row = files["row"] | {"channels": "lightness"}
    with pytest.raises(ConfigError, match="row net, channels: .* takes 3 channels and lightness"):
        probe_source.main(**files | {"row": row})
    with pytest.raises(ConfigError, match="labels: 6 files for 7 targets"):
        probe_source.main(**files | {"labels": files["labels"][:-1]})
