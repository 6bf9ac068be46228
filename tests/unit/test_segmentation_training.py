"""Segmentation networks, their batches, their scores, and training that can be cut off."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.segmentation import (
    HeadSpec,
    encoder_bytes,
    load_segmentation,
    segmentation_bytes,
    segmentation_network,
)
from taskrsa.networks.spec import EncoderSpec, SmallSpec
from taskrsa.networks.weights import load_encoder, random_encoder
from taskrsa.targets.devkit import open_devkit, write_devkit
from taskrsa.training.checkpoint import exclusive, key_of
from taskrsa.training.finetuning import (
    GREY,
    Batches,
    Recipe,
    augment,
    evaluate,
    fine_tune,
    image_of,
    pixel_loss,
    predict,
    settings_of,
    weights_digest,
)
from torch import nn
from torch.nn import functional as F

CLASSES = ("dark", "red", "green")
COLOURS = np.array([(20, 20, 20), (220, 40, 40), (40, 220, 40)])
BANK = EncoderSpec(width=4, units=(1, 1, 1, 1), strides=(1, 1, 1, 1))
HEAD = HeadSpec(width=8, rates=(1, 2), image_pooling=False)
RECIPE = Recipe(steps=6, batch_size=2, crop=32, device="cpu", scale=(0.8, 1.25))


def scene(seed: int, height: int = 32, width: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """A dark image with a red and a green rectangle, a void line, and noise."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    for label in (1, 2):
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        mask[top : top + height // 2, left : left + width // 2] = label
    rgb = COLOURS[mask] + rng.integers(-15, 16, (height, width, 3))
    mask[0] = 255
    return rgb.astype(np.uint8), mask


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Training and validation sets of files, the images of several sizes."""
    path = tmp_path_factory.mktemp("target") / "devkit"
    lists = {"train": [f"t{i}" for i in range(6)], "val": [f"v{i}" for i in range(3)]}
    ids = [name for names in lists.values() for name in names]
    images = ((name, *scene(i, 32 + i, 40 - i)) for i, name in enumerate(ids))
    write_devkit(path, lists, images, CLASSES, {"kind": "test"})
    return open_devkit(path, "train"), open_devkit(path, "val")


def network(seed: int = 0, tap: str = "block4", head: HeadSpec = HEAD, spec=BANK):
    return segmentation_network(random_encoder(spec, seed), tap, CLASSES, head, seed)


# --- networks ---


def test_images_can_be_shown_smaller_and_are_scored_at_their_own_size():
    head = replace(HEAD, input_scale=0.5)
    encoder = random_encoder(BANK, 0)
    shrunk = segmentation_network(encoder, "block4", CLASSES, head, 0).eval()
    plain = segmentation_network(random_encoder(BANK, 0), "block4", CLASSES, HEAD, 0).eval()
    images = torch.rand(1, 3, 49, 70) * 2 - 1
    with torch.no_grad():
        smaller = F.interpolate(images, size=(24, 35), mode="bilinear", antialias=True)
        expected = F.interpolate(plain(smaller), size=(49, 70), mode="bilinear")
        assert torch.equal(shrunk(images), expected)
    with pytest.raises(ConfigError, match="input_scale is 2; it must be above 0 and at most 1"):
        replace(HEAD, input_scale=2)


@pytest.mark.parametrize(
    ("spec", "tap", "channels"),
    [
        (BANK, "block4", 3),
        (BANK, "compressed", 3),
        (BANK.model_copy(update={"input_channels": 1}), "block4", 1),
        (BANK.model_copy(update={"strides": (2, 2, 1, 1)}), "block4", 3),
        (SmallSpec(width=4), "compressed", 3),
    ],
)
@pytest.mark.parametrize("size", [(32, 32), (37, 50), (5, 70)])
def test_scores_have_the_size_of_the_image(spec, tap, channels, size):
    net = network(tap=tap, spec=spec, head=HeadSpec(width=4, rates=(1, 3))).eval()
    assert net.input_channels == channels
    assert net(torch.zeros(2, channels, *size)).shape == (2, 3, *size)


def test_what_fills_up_an_image_is_cut_off_again():
    net = network().eval()
    image = torch.randn(1, 3, 30, 33, generator=torch.Generator().manual_seed(0))
    filled = torch.zeros(1, 3, 32, 36)
    filled[:, :, :30, :33] = image
    with torch.no_grad():
        assert torch.equal(net(image), net(filled)[:, :, :30, :33])


def reach(head: HeadSpec) -> list[list[int]]:
    """Return the first and last row and column of an image on which its middle's scores depend."""
    net = network(tap="compressed", spec=SmallSpec(width=4, reduction=1), head=head).eval()
    image = torch.randn(1, 3, 41, 41, generator=torch.Generator().manual_seed(0))
    image.requires_grad_(True)
    net(image)[0, :, 20, 20].sum().backward()
    seen = image.grad.abs().sum(1)[0].nonzero()
    return [seen.min(0).values.tolist(), seen.max(0).values.tolist()]


def test_the_head_sees_as_far_as_its_rates():
    # The encoder's four convolutions of 3 x 3 reach 4 pixels, the atrous one as many as its rate.
    head = HeadSpec(width=16, rates=(), image_pooling=False)
    assert reach(head) == [[16, 16], [24, 24]]
    assert reach(replace(head, rates=(5,))) == [[11, 11], [29, 29]]
    assert reach(replace(head, rates=(2, 9))) == [[7, 7], [33, 33]]
    assert reach(replace(head, image_pooling=True)) == [[0, 0], [40, 40]]


def test_what_the_tap_does_not_need_is_left_out():
    assert not [key for key in network(tap="block4").state_dict() if "compress" in key]
    assert [key for key in network(tap="compressed").state_dict() if "compress" in key]


def test_encoder_and_head_come_from_the_seed():
    first, second, other = network(0), network(0), network(1)
    assert weights_digest(first) == weights_digest(second) != weights_digest(other)
    encoder = random_encoder(BANK, 5)
    changed = segmentation_network(encoder, "block4", CLASSES, HEAD, 0)
    assert torch.equal(changed.head.classifier.weight, first.head.classifier.weight)
    assert all(p.requires_grad for p in changed.parameters())


def test_a_saved_network_predicts_the_same(tmp_path):
    net = network(head=HeadSpec(width=4, rates=(1, 2))).eval()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(segmentation_bytes(net, {"key": "x", "a": 1}))
    again = load_segmentation(path)
    rgb, _ = scene(0, 33, 41)
    assert torch.equal(predict(net, rgb), predict(again, rgb))
    assert again.classes == CLASSES
    assert segmentation_bytes(again, {"key": "x", "a": 1}) == path.read_bytes()
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_segmentation(path)
    with pytest.raises(DataError, match="no such weights file"):
        load_segmentation(tmp_path / "absent.safetensors")


@pytest.mark.parametrize(
    "spec", [BANK, SmallSpec(width=4), BANK.model_copy(update={"input_channels": 1})]
)
def test_the_encoder_alone_can_be_taken_out(tmp_path, spec):
    net = network(tap="compressed", spec=spec)
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(encoder_bytes(net))
    again = load_encoder(path)
    image = torch.randn(1, spec.input_channels, 32, 32)
    with torch.no_grad():
        assert torch.equal(again(image), net.eval().encoder(image))
    with pytest.raises(DataError, match="holds no segmentation network"):
        load_segmentation(path)
    with pytest.raises(ConfigError, match="trained at block4 has no compressed output"):
        encoder_bytes(network(tap="block4"))


def test_impossible_networks_are_named():
    with pytest.raises(ConfigError, match="the small encoder has no tap block4; there are comp"):
        network(tap="block4", spec=SmallSpec(width=4))
    with pytest.raises(ConfigError, match="no tap block2; there are block4, compressed"):
        network(tap="block2")
    with pytest.raises(ConfigError, match="at least two"):
        segmentation_network(random_encoder(BANK, 0), "block4", ("one",), HEAD, 0)
    with pytest.raises(ConfigError, match="head: there is no setting rate$"):
        HeadSpec.from_config({"rate": [1]})
    with pytest.raises(ConfigError, match="width and rates must be positive"):
        HeadSpec.from_config({"rates": [1, 0]})
    with pytest.raises(ConfigError, match="dropout is 1"):
        HeadSpec(dropout=1)
    assert HeadSpec.from_config({"rates": [1, 2]}).rates == (1, 2)


# --- batches ---


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
    recipe = replace(RECIPE, crop=32, scale=(1, 1))
    cuts = [augment(rgb, mask, recipe, np.random.default_rng(seed)) for seed in range(40)]
    for cut, labels in cuts:
        assert cut.shape == (32, 32, 3)
        assert (cut[..., 1] == labels * 50).all()
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
        recipe = replace(RECIPE, crop=32, scale=(2, 2))
        cut, labels = augment(rgb, mask, recipe, np.random.default_rng(seed))
        rows, columns = np.nonzero(labels == 1)
        assert (np.ptp(rows), np.ptp(columns), len(rows)) == (19, 27, 20 * 28)
        assert (cut[labels == 1] == 200).all()
        assert (cut[labels == 255] == GREY).all()
        corners.add((rows.min(), columns.min()))
    assert len(corners) > 10


def test_scales_cover_the_range():
    rgb, mask = np.full((20, 20, 3), 200, np.uint8), np.ones((20, 20), np.uint8)
    recipe = replace(RECIPE, crop=64, scale=(0.5, 2))
    areas = [
        (augment(rgb, mask, recipe, np.random.default_rng(seed))[1] == 1).sum()
        for seed in range(99)
    ]
    sides = np.sqrt(areas)
    assert 10 <= sides.min() < 11.5
    assert 38.5 < sides.max() <= 40


def test_nothing_is_changed_where_nothing_is_asked():
    rgb, mask = scene(0)
    recipe = replace(RECIPE, crop=32, scale=(1, 1), flip=False)
    cut, labels = augment(rgb, mask, recipe, np.random.default_rng(0))
    assert (cut == rgb).all()
    assert (labels == mask).all()
    coloured, labels = augment(rgb, mask, replace(recipe, colour=0.3), np.random.default_rng(0))
    assert (labels == mask).all()
    assert not (coloured == rgb).all()


def test_a_batch_depends_on_the_seed_and_the_step_alone(sets):
    batches = Batches(sets[0], RECIPE, seed=1, cache_mb=512)
    straight = list(batches.from_step(0))
    assert len(straight) == RECIPE.steps
    later = list(Batches(sets[0], RECIPE, seed=1, cache_mb=0).from_step(4))
    for (a, b), (c, d) in zip(straight[4:], later, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)
    other = Batches(sets[0], RECIPE, seed=2)[0]
    assert not torch.equal(other[0], straight[0][0])
    assert straight[0][0].shape == (2, 3, 32, 32)
    assert -1 <= straight[0][0].min() < straight[0][0].max() <= 1
    assert Batches(sets[0], RECIPE, seed=1, input_channels=1)[0][0].shape == (2, 1, 32, 32)


def test_crops_come_at_the_scale_the_encoder_sees(sets):
    assert Batches(sets[0], RECIPE, seed=0, input_scale=0.5)[0][0].shape == (2, 3, 16, 16)
    rgb, mask = scene(0)
    recipe = replace(RECIPE, crop=32, scale=(1, 1), flip=False).at_scale(0.5)
    small, few = augment(rgb, mask, recipe, np.random.default_rng(0))
    image = torch.from_numpy(rgb).permute(2, 0, 1)[None].float()
    expected = F.interpolate(image, size=(16, 16), mode="bilinear", antialias=True)
    assert np.abs(small - expected[0].permute(1, 2, 0).numpy()).max() < 2
    # Each label is one of the four that it stands for.
    fours = mask.reshape(16, 2, 16, 2).transpose(0, 2, 1, 3).reshape(16, 16, 4)
    assert (few[..., None] == fours).any(-1).all()


def test_a_network_does_not_shrink_what_is_shrunk():
    head = replace(HEAD, input_scale=0.5)
    network = segmentation_network(random_encoder(BANK, 0), "block4", CLASSES, head, 0).eval()
    images = torch.rand(1, 3, 32, 48)
    small = F.interpolate(images, size=(16, 24), mode="bilinear", antialias=True)
    with torch.no_grad():
        scores = network(small, shrunk=True)
        assert scores.shape == (1, 3, 16, 24)
        large = F.interpolate(scores, size=(32, 48), mode="bilinear")
        assert torch.allclose(network(images), large, atol=1e-6)


def test_only_so_many_images_are_kept_in_memory(sets):
    sizes = [4 * sets[0].mask(i).size for i in range(len(sets[0]))]
    batches = Batches(sets[0], RECIPE, seed=0, cache_mb=2.5 * max(sizes) / 1e6)
    list(batches.from_step(0))
    assert 0 < len(batches.cache) <= 3
    assert sum(sum(a.nbytes for a in pair) for pair in batches.cache.values()) <= 2.5 * max(sizes)


# --- scores and loss ---


class RedChannel(nn.Module):
    """A network whose prediction is written in the image: class = red / 50."""

    input_channels = 3

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        ids = ((images[:, 0] + 1) * 255 / 2 / 50).round().long()
        return nn.functional.one_hot(ids, 4).permute(0, 3, 1, 2).float()


class InMemory:
    """Masks and predictions as a set of labelled images."""

    name, void = "val", 255

    def __init__(self, *pairs, classes=("a", "b", "c", "d")):
        self.pairs = [tuple(np.array(part, np.uint8) for part in pair) for pair in pairs]
        self.classes = classes

    def __len__(self):
        return len(self.pairs)

    def mask(self, i):
        return self.pairs[i][0]

    def image(self, i):
        return np.repeat((self.pairs[i][1] * 50)[..., None], 3, 2)


def test_miou_is_that_of_all_pixels_together_without_void():
    net = RedChannel().train()
    images = InMemory(
        ([[0, 0, 0, 1]], [[0, 0, 1, 1]]),
        ([[1, 1], [255, 1], [255, 2]], [[1, 0], [0, 1], [2, 0]]),
    )
    scores = evaluate(net, images)
    # Worked by hand. a: hit 2, missed 1, wrongly given 2. b: hit 3, missed 1, wrongly given 1.
    # c: missed 1. d: nowhere.
    assert scores.by_class[:3] == pytest.approx([2 / 5, 3 / 5, 0])
    assert math.isnan(scores.by_class[3])
    assert scores.value == pytest.approx((2 / 5 + 3 / 5 + 0) / 3)
    assert scores.n_images == 2
    assert net.training


def test_nothing_to_score_is_an_error():
    with pytest.raises(DataError, match="every pixel is void"):
        evaluate(RedChannel(), InMemory(([[255]], [[0]])))
    with pytest.raises(DataError, match="split val has no image to score"):
        evaluate(RedChannel(), InMemory())


def test_void_has_no_loss():
    scores = torch.tensor([[[[0.0, 9.0]], [[math.log(3.0), -9.0]]]])
    assert pixel_loss(scores, torch.tensor([[[0, 255]]])).item() == pytest.approx(math.log(4))
    assert pixel_loss(scores, torch.tensor([[[255, 255]]])).item() == 0


def test_the_rate_falls_as_asked():
    recipe = Recipe(steps=100)
    assert [recipe.rate_factor(s) for s in (0, 50)] == pytest.approx([1, 0.5**0.9])
    assert 0 < recipe.rate_factor(99) < 0.02
    assert Recipe(steps=100, schedule="constant").rate_factor(99) == 1
    scored = [s for s in range(11) if Recipe(steps=10, eval_every=4).scores_at(s)]
    assert scored == [4, 8, 10]


# --- training ---


def test_a_network_learns_to_segment(sets):
    recipe = replace(RECIPE, steps=60, batch_size=4, learning_rate=0.01, eval_every=30)
    before = evaluate(network().eval(), sets[1]).value
    trained, progress = fine_tune(network(), *sets, recipe, seed=0)
    assert [row[0] for row in progress.curve] == [30, 60]
    assert progress.curve[-1][1] < progress.curve[0][1]
    assert progress.curve[-1][2] > max(0.6, before + 0.2)
    assert evaluate(trained, sets[1]).value == progress.curve[-1][2]
    assert not trained.training


@pytest.mark.parametrize("kind", ["frozen", "free"])
def test_statistics_are_frozen_or_free_and_weights_are_trained(sets, kind):
    start = network().state_dict()
    trained, _ = fine_tune(network(), *sets, replace(RECIPE, batch_norm=kind), seed=0)
    state = trained.state_dict()
    changed = {key: not torch.equal(start[key], state[key]) for key in state}
    for key, is_changed in changed.items():
        if key.startswith("encoder") and ("running" in key or "tracked" in key):
            assert is_changed == (kind == "free"), key
        elif "running" in key or key.endswith("weight"):
            assert is_changed, key


class Reading:
    """A store that keeps every state in memory and holds none at the start."""

    def __init__(self):
        self.states = []

    def load(self):
        return None

    def save(self, state):
        self.states.append(copy.deepcopy(state))


def test_rates_follow_the_schedule_and_only_convolutions_decay(sets):
    recipe = replace(RECIPE, checkpoint_steps=1, head_lr_factor=10, weight_decay=0.02)
    store = Reading()
    fine_tune(network(), *sets, recipe, seed=0, store=store)
    by_step = {state["progress"]["step"]: state["optimizer"] for state in store.states}
    assert sorted(by_step) == list(range(1, RECIPE.steps + 1))
    for step, optimizer in by_step.items():
        factor = (1 - (step - 1) / RECIPE.steps) ** 0.9
        rates = [group["lr"] for group in optimizer["param_groups"]]
        assert rates == pytest.approx([1e-4 * factor] * 2 + [1e-3 * factor] * 2)
        assert [group["weight_decay"] for group in optimizer["param_groups"]] == [0.02, 0] * 2
    trained = dict(network().named_parameters())
    decaying = sum(p.ndim == 4 for p in trained.values())
    groups = by_step[1]["param_groups"]
    assert sum(len(g["params"]) for g in groups) == len(trained)
    assert sum(len(g["params"]) for g in groups if g["weight_decay"]) == decaying


@pytest.fixture
def other_precision():
    """Let one process train in two precisions, which the library refuses."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


class Interrupted(Exception):
    """A stand-in for a kill."""


class Dying:
    """A store that takes so many states and then raises, before or after keeping the last."""

    def __init__(self, held, saves: int, keep: bool):
        self.held, self.saves, self.keep = held, saves, keep

    def load(self):
        return self.held.load()

    def save(self, state):
        self.saves -= 1
        if self.saves > 0 or self.keep:
            self.held.save(state)
        if self.saves <= 0:
            raise Interrupted


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "adamw", "eval_every": 2, "colour": 0.2},
        {"optimizer": "sgd", "batch_norm": "frozen", "head_lr_factor": 10},
        {"schedule": "constant", "precision": "bf16"},
    ],
)
def test_a_training_cut_off_anywhere_ends_the_same(tmp_path, sets, change, other_precision):
    recipe = replace(RECIPE, checkpoint_steps=1, **change)
    head = replace(HEAD, dropout=0.3)
    net = network(head=head)
    settings = settings_of(net, *sets, recipe, 3)
    straight, expected = fine_tune(net, *sets, recipe, seed=3)
    attempts = 0
    while True:
        net = network(head=head)
        with exclusive(tmp_path / "weights.resume", settings) as held:
            saves = (2, 1, 3)[attempts % 3]
            try:
                store = Dying(held, saves, keep=attempts % 2 == 0)
                resumed, progress = fine_tune(net, *sets, recipe, seed=3, store=store)
                break
            except Interrupted:
                attempts += 1
    assert attempts > 3
    assert progress == expected
    assert segmentation_bytes(resumed) == segmentation_bytes(straight)


def test_workers_change_nothing(sets):
    first, _ = fine_tune(network(), *sets, RECIPE, seed=0, workers=0)
    second, _ = fine_tune(network(), *sets, RECIPE, seed=0, workers=2)
    other, _ = fine_tune(network(), *sets, RECIPE, seed=1, workers=0)
    assert segmentation_bytes(first) == segmentation_bytes(second) != segmentation_bytes(other)


def test_training_leaves_the_random_numbers_of_others_alone(sets):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    fine_tune(network(), *sets, replace(RECIPE, steps=1), seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_settings_tell_apart_what_changes_the_result(tmp_path, sets):
    def key(net=None, train=sets[0], recipe=RECIPE, seed=0) -> str:
        return key_of(settings_of(net or network(), train, sets[1], recipe, seed))

    fewer = {name: getattr(sets[0], name)[:5] for name in ("ids", "images", "masks")}
    changed = (*sets[0].images[:5], tmp_path / "t5.png")
    (tmp_path / "t5.png").write_bytes(sets[0].images[5].read_bytes() + b" ")
    keys = [
        key(),
        key(network(1)),
        key(network(tap="compressed")),
        key(network(head=replace(HEAD, dropout=0.1))),
        key(train=replace(sets[0], **fewer)),
        key(train=replace(sets[0], images=changed)),
        key(recipe=replace(RECIPE, learning_rate=1e-3)),
        key(recipe=replace(RECIPE, steps=7)),
        key(seed=1),
    ]
    assert len(set(keys)) == len(keys)
    (tmp_path / "t5.png").write_bytes(sets[0].images[5].read_bytes())
    same = [
        key(),
        key(recipe=replace(RECIPE, checkpoint_seconds=1, checkpoint_steps=5)),
        key(train=replace(sets[0], images=changed)),
    ]
    assert set(same) == {keys[0]}


def test_a_diverging_loss_is_an_error(sets):
    recipe = replace(RECIPE, learning_rate=1e30, optimizer="sgd", schedule="constant")
    with pytest.raises(DataError, match=r"training: the loss is (nan|inf) at step \d; lower"):
        fine_tune(network(), *sets, recipe, seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedule": "cosine"}, "schedule is cosine; it must be poly or constant"),
        ({"optimizer": "adam"}, "optimizer is adam"),
        ({"batch_norm": "off"}, "batch_norm is off; it must be frozen or free"),
        ({"precision": "fp8"}, "precision is fp8"),
        ({"device": "tpu"}, "device is tpu"),
        ({"steps": 0}, "steps is 0; it must be positive"),
        ({"learning_rate": -1}, "learning_rate is -1; it must be positive"),
        ({"weight_decay": -1}, "weight_decay is -1; it cannot be negative"),
        ({"scale": [2, 0.5]}, "scale is .*give a least and a largest"),
        ({"colour": 1}, "colour is 1"),
        ({"step": 3}, "there is no setting step$"),
    ],
)
def test_bad_recipes_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        Recipe.from_config(change)


def test_what_does_not_fit_together_is_named(sets):
    empty = replace(sets[0], ids=(), images=(), masks=())
    with pytest.raises(DataError, match="split train has no image to train on"):
        Batches(empty, RECIPE, 0)
    with pytest.raises(ConfigError, match="split train has 2 classes, the network 3"):
        fine_tune(network(), replace(sets[0], classes=("a", "b")), sets[1], RECIPE, 0)
    pooling = network(head=HeadSpec(width=4, rates=(1,)))
    with pytest.raises(ConfigError, match="image_pooling needs a batch_size of at least 2"):
        fine_tune(pooling, *sets, replace(RECIPE, batch_size=1), 0)
    wrong = replace(sets[0], masks=sets[0].masks[::-1])
    with pytest.raises(DataError, match="but its image .*; export both at one size"):
        Batches(wrong, RECIPE, 0)[0]
