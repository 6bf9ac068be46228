"""Batches of a fine-tuning: a function of seed and step, images and labels aligned."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import torch
from small_targets import RECIPE, halves, scene, scenes, with_
from taskrsa.errors import DataError
from taskrsa.training.batches import GREY, Batches, at_scale, augment, image_of
from torch.nn import functional as F

PLAIN = with_(RECIPE, steps=6, batch_size=2, crop=32)
RANDOM = with_(PLAIN, scale=(0.8, 1.25), flip=True)


def cut(rgb, label, recipe, seed: int = 0):
    return augment(rgb, label, recipe, np.random.default_rng(seed))


def test_every_image_is_shown_once_before_any_is_shown_again():
    n, batch_size = 7, 3
    shown = [image_of(0, s, p, batch_size, n) for s in range(14) for p in range(batch_size)]
    epochs = [shown[start : start + n] for start in range(0, len(shown), n)]
    assert all(sorted(epoch) == list(range(n)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert shown != [image_of(1, s, p, batch_size, n) for s in range(14) for p in range(batch_size)]


def test_labels_move_with_the_pixels():
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 3, (40, 50)).astype(np.uint8)
    rgb = np.repeat((mask * 50)[..., None], 3, 2)
    cuts = [cut(rgb, mask, with_(PLAIN, flip=True), seed) for seed in range(40)]
    for shown, labels in cuts:
        assert shown.shape == (32, 32, 3)
        assert (shown[..., 1] == labels * 50).all()
    mirrored = [
        any((labels == mask[y : y + 32, x : x + 32][:, ::-1]).all()
            for y in range(9) for x in range(19))
        for _, labels in cuts
    ]  # fmt: skip
    assert 8 < sum(mirrored) < 32
    assert len({labels.tobytes() for _, labels in cuts}) > 30


def test_around_a_small_image_are_grey_and_void():
    rgb, mask = np.full((10, 14, 3), 200, np.uint8), np.ones((10, 14), np.uint8)
    corners = set()
    for seed in range(30):
        shown, labels = cut(rgb, mask, with_(PLAIN, scale=(2, 2)), seed)
        rows, columns = np.nonzero(labels == 1)
        assert (np.ptp(rows), np.ptp(columns), len(rows)) == (19, 27, 20 * 28)
        assert (shown[labels == 1] == 200).all()
        assert (shown[labels == 255] == GREY).all()
        corners.add((rows.min(), columns.min()))
    assert len(corners) > 10


def test_scales_cover_the_range():
    rgb, mask = np.full((20, 20, 3), 200, np.uint8), np.ones((20, 20), np.uint8)
    recipe = with_(PLAIN, crop=64, scale=(0.5, 2))
    sides = np.sqrt([(cut(rgb, mask, recipe, seed)[1] == 1).sum() for seed in range(99)])
    assert 10 <= sides.min() < 11.5
    assert 38.5 < sides.max() <= 40


def test_nothing_is_changed_where_nothing_is_asked():
    rgb, mask = scene(0)
    shown, labels = cut(rgb, mask, PLAIN)
    assert (shown == rgb).all()
    assert (labels == mask).all()
    coloured, labels = cut(rgb, mask, with_(PLAIN, colour=0.3))
    assert (labels == mask).all()
    assert not (coloured == rgb).all()


@pytest.mark.parametrize("kind", ["classification", "values"])
def test_labels_of_the_whole_image_stay_as_they_are(kind):
    data = halves(kind)
    for seed in range(5):
        shown, label = cut(data.image(0), data.label(0), with_(RANDOM, crop=8), seed)
        assert shown.shape == (8, 8, 3)
        np.testing.assert_array_equal(label, data.label(0))
    _, labels = Batches(data, RECIPE, seed=0)[0]
    assert labels.shape == ((4,) if kind == "classification" else (4, 2))
    assert labels.dtype == (torch.int64 if kind == "classification" else torch.float32)


def test_maps_are_void_where_there_is_no_image():
    data = halves("regression")
    _, labels = Batches(data, with_(RECIPE, crop=32), seed=0)[0]
    assert labels.dtype == torch.float32
    assert labels.isnan().sum() == 4 * (32**2 - 16**2)


def test_a_batch_depends_on_the_seed_and_the_step_alone():
    train, _ = scenes()
    batches, later = (Batches(train, RANDOM, seed=1, cache_mb=mb) for mb in (512, 0))
    straight = [batches[step] for step in range(6)]
    later = [later[step] for step in (4, 5)]
    for (a, b), (c, d) in zip(straight[4:], later, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)
    other = Batches(train, RANDOM, seed=2)[0]
    assert not torch.equal(other[0], straight[0][0])
    assert straight[0][0].shape == (2, 3, 32, 32)
    assert -1 <= straight[0][0].min() < straight[0][0].max() <= 1
    assert Batches(train, RANDOM, seed=1, input_channels=1)[0][0].shape == (2, 1, 32, 32)


def test_threads_ahead_make_the_same_batches():
    train, _ = scenes()
    batches = Batches(train, RANDOM, seed=1)
    with closing(batches.since(2, threads=3)) as ahead, closing(batches.since(2)) as asked:
        for _ in range(6):
            for made, expected in zip(next(ahead), next(asked), strict=True):
                assert torch.equal(made, expected)


def test_what_cannot_be_read_ahead_is_told_where_it_is_asked_for(monkeypatch):
    train, _ = scenes()
    batches = Batches(train, RANDOM, seed=1)
    make = batches.example

    def fail(step: int, place: int):
        if step == 4:
            raise DataError("image 4 is damaged")
        return make(step, place)

    monkeypatch.setattr(batches, "example", fail)
    with closing(batches.since(2, threads=3)) as ahead:
        next(ahead), next(ahead)
        with pytest.raises(DataError, match="damaged"):
            next(ahead)


def test_crops_come_at_the_scale_the_encoder_sees():
    train, _ = scenes()
    assert Batches(train, RANDOM, seed=0, input_scale=0.5)[0][0].shape == (2, 3, 16, 16)
    rgb, mask = scene(0)
    small, few = cut(rgb, mask, at_scale(PLAIN, 0.5))
    image = torch.from_numpy(rgb).permute(2, 0, 1)[None].float()
    expected = F.interpolate(image, size=(16, 16), mode="bilinear", antialias=True)
    assert np.abs(small - expected[0].permute(1, 2, 0).numpy()).max() < 2
    # Each label is one of the four that it stands for.
    fours = mask.reshape(16, 2, 16, 2).transpose(0, 2, 1, 3).reshape(16, 16, 4)
    assert (few[..., None] == fours).any(-1).all()


def test_images_in_memory_are_limited():
    train, _ = scenes()
    sizes = [4 * train.label(i).size for i in range(len(train))]
    batches = Batches(train, RANDOM, seed=0, cache_mb=2.5 * max(sizes) / 1e6)
    for step in range(RANDOM.steps):
        batches[step]
    assert 0 < len(batches.cache) <= 3
    assert sum(sum(a.nbytes for a in pair) for pair in batches.cache.values()) <= 2.5 * max(sizes)
