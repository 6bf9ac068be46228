"""Fine-tuning: it learns, repeats itself, goes on where it was cut off, and says when it cannot."""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from math import isnan

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from small_targets import BANK, HEAD, KINDS, RECIPE, SMALL, halves, network_of, scenes, with_
from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.target import target_bytes
from taskrsa.recipes import HeadConfig
from taskrsa.training.checkpoint import exclusive, key_of
from taskrsa.training.finetuning import (
    finetune,
    rate_factor,
    scores_at,
    seconds_of_training,
    settings_of,
    weights_digest,
)
from taskrsa.training.head_start import start_at_probe
from taskrsa.training.objectives import OBJECTIVES, miou

CLASSES = ("dark", "red", "green")
BRIEF = with_(
    RECIPE, steps=6, batch_size=2, crop=32, learning_rate=1e-4, scale=(0.8, 1.25), flip=True
)


@pytest.fixture(scope="module")
def sets():
    return scenes()


def network(seed: int = 0, tap: str = "block4", head: HeadConfig = HEAD):
    return network_of("segmentation", CLASSES, BANK, tap, head, seed, side=32)


def test_the_rate_falls_as_asked():
    recipe = with_(RECIPE, steps=100)
    assert [rate_factor(recipe, s) for s in (0, 50)] == pytest.approx([1, 0.5**0.9])
    assert 0 < rate_factor(recipe, 99) < 0.02
    assert rate_factor(with_(recipe, schedule="constant"), 99) == 1
    recipe = with_(RECIPE, steps=10, eval_every=4)
    assert [s for s in range(11) if scores_at(recipe, s)] == [4, 8, 10]


@pytest.mark.parametrize("kind", KINDS)
def test_the_small_model_learns_and_repeats_itself(kind):
    data = halves(kind)
    networks = [network_of(kind, data.classes, SMALL, seed=1) for _ in range(2)]
    (first, progress), (second, again) = (finetune(n, data, data, RECIPE, 0) for n in networks)
    assert progress.curve[-1][2] > OBJECTIVES[kind].chance(data, data) + 0.2
    assert progress == again
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert not first.training


def test_images_of_several_sizes_are_learned_from(sets):
    recipe = with_(BRIEF, steps=60, batch_size=4, learning_rate=0.01, eval_every=30)
    before = miou(network().eval(), sets[1]).value
    trained, progress = finetune(network(), *sets, recipe, seed=0)
    assert [row[0] for row in progress.curve] == [30, 60]
    assert progress.curve[-1][1] < progress.curve[0][1]
    assert progress.curve[-1][2] > max(0.6, before + 0.2)
    assert miou(trained, sets[1]).value == progress.curve[-1][2]


@pytest.mark.parametrize(
    ("kind", "start", "are_free"),
    [
        ("frozen", "random", False),
        ("free", "random", True),
        ("auto", "random", True),
        ("auto", "probe", False),
        ("free", "probe", True),
    ],
)
def test_statistics_are_frozen_or_free_and_weights_are_trained(sets, kind, start, are_free):
    head = with_(HEAD, start=start)
    before = network(head=head).state_dict()
    trained, _ = finetune(network(head=head), *sets, with_(BRIEF, batch_norm=kind), seed=0)
    state = trained.state_dict()
    changed = {key: not torch.equal(before[key], state[key]) for key in state}
    for key, is_changed in changed.items():
        if key.startswith("encoder") and ("running" in key or "tracked" in key):
            assert is_changed == are_free, key
        elif "running" in key or key.endswith("weight"):
            assert is_changed, key


def test_a_head_that_starts_as_a_probe_is_scored_before_the_first_step(sets):
    head = with_(HEAD, start="probe")
    started = network(head=head)
    start_at_probe(started, sets[0], 0)
    _, progress = finetune(network(head=head), *sets, BRIEF, seed=0)
    assert [row[0] for row in progress.curve] == [0, BRIEF.steps]
    assert isnan(progress.curve[0][1])
    assert progress.curve[0][2] == miou(started.eval(), sets[1]).value


class Reading:
    """A store that keeps every state in memory and holds none at the start."""

    def __init__(self):
        self.states = []

    def load(self):
        return None

    def save(self, state):
        self.states.append(copy.deepcopy(state))


def test_rates_follow_the_schedule_and_only_convolutions_decay(sets):
    recipe = with_(BRIEF, checkpoint_steps=1, head_lr_factor=10, weight_decay=0.02)
    store = Reading()
    finetune(network(), *sets, recipe, seed=0, store=store)
    by_step = {state["progress"]["step"]: state["optimizer"] for state in store.states}
    assert sorted(by_step) == list(range(1, BRIEF.steps + 1))
    for step, optimizer in by_step.items():
        factor = (1 - (step - 1) / BRIEF.steps) ** 0.9
        rates = [group["lr"] for group in optimizer["param_groups"]]
        assert rates == pytest.approx([1e-4 * factor] * 2 + [1e-3 * factor] * 2)
        assert [group["weight_decay"] for group in optimizer["param_groups"]] == [0.02, 0] * 2
    trained = dict(network().named_parameters())
    decaying = sum(p.ndim == 4 for p in trained.values())
    groups = by_step[1]["param_groups"]
    assert sum(len(g["params"]) for g in groups) == len(trained)
    assert sum(len(g["params"]) for g in groups if g["weight_decay"]) == decaying


# --- cut off and gone on ---


@pytest.fixture
def other_precision():
    """Let one process train in two precisions, which the library refuses."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


class Interrupted(Exception):
    """A stand-in for a kill."""


class Dying:
    """A store that takes a number of states and then raises, before or after keeping the last."""

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
    recipe = with_(BRIEF, checkpoint_steps=1, **change)
    head = with_(HEAD, dropout=0.3)
    net = network(head=head)
    settings = settings_of(net, *sets, recipe, 3)
    straight, expected = finetune(net, *sets, recipe, seed=3)
    attempts = 0
    while True:
        net = network(head=head)
        with exclusive(tmp_path / "weights.resume", settings) as held:
            saves = (2, 1, 3)[attempts % 3]
            try:
                store = Dying(held, saves, keep=attempts % 2 == 0)
                resumed, progress = finetune(net, *sets, recipe, seed=3, store=store)
                break
            except Interrupted:
                attempts += 1
    assert attempts > 3
    assert progress == expected
    assert target_bytes(resumed) == target_bytes(straight)


def test_training_leaves_the_random_numbers_of_others_alone(sets):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    finetune(network(), *sets, with_(BRIEF, steps=1), seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_settings_differ_where_the_result_may(sets):
    def key(net=None, train=sets[0], recipe=BRIEF, seed=0) -> str:
        return key_of(settings_of(net or network(), train, sets[1], recipe, seed))

    keys = [
        key(),
        key(network(1)),
        key(network(tap="compressed")),
        key(network(head=with_(HEAD, dropout=0.1))),
        key(train=sets[0].first(5)),
        key(train=replace(sets[0], digest="others")),
        key(recipe=with_(BRIEF, learning_rate=1e-3)),
        key(recipe=with_(BRIEF, steps=7)),
        key(seed=1),
    ]
    assert len(set(keys)) == len(keys)
    same = key(recipe=with_(BRIEF, checkpoint_seconds=1, checkpoint_steps=5))
    assert same == key() == keys[0]
    row = network()
    row.encoder.row = replace(row.encoder.row, mean=(0.4,) * 3)
    assert key(row) != keys[0]
    assert weights_digest(network()) == weights_digest(network()) != weights_digest(network(1))


# --- what cannot be trained ---


def test_a_diverging_loss_is_an_error(sets):
    diverged = network()
    with torch.no_grad():
        next(diverged.parameters()).fill_(torch.inf)
    with pytest.raises(DataError, match=r"training: the loss is (nan|inf) at step \d; lower"):
        finetune(diverged, *sets, BRIEF, seed=0)


def test_what_does_not_fit_together_is_named(sets):
    pooling = network(head=HeadConfig(width=4, rates=(1,), image_pooling=True))
    with pytest.raises(ConfigError, match="image_pooling needs a batch_size of at least 2"):
        finetune(pooling, *sets, with_(BRIEF, batch_size=1), 0)


def test_seconds_are_measured():
    data = halves("classification")
    network = network_of("classification", data.classes)
    step, once = seconds_of_training(network, data, data, RECIPE, steps=3)
    assert step > 0
    assert once > 0


def test_the_seconds_are_about_those_that_training_takes():
    """Within a factor that a busy machine may make, not by a factor of thousands."""
    data = halves("classification")
    recipe = RECIPE.model_copy(update={"steps": 30, "eval_every": 0})
    step, once = seconds_of_training(network_of("classification", data.classes), data, data, recipe)
    start = time.perf_counter()
    finetune(network_of("classification", data.classes), data, data, recipe, seed=0)
    took = time.perf_counter() - start
    assert took / 20 < 30 * step + once < 20 * took


def test_few_steps_are_timed_where_each_takes_long():
    data = halves("classification")
    network = network_of("classification", data.classes)
    batches = []
    network.register_forward_hook(lambda *_: batches.append(network.training))
    seconds_of_training(network, data, data, RECIPE, steps=6, enough=0)
    assert sum(batches) == 2  # one before the clock starts


def test_seconds_are_measured_where_the_first_images_have_nothing_to_score():
    data = halves("regression")
    unknown = replace(data, labels=np.full_like(data.labels, np.nan))
    network = network_of("regression", data.classes)
    assert min(seconds_of_training(network, data, unknown, RECIPE, steps=3)) > 0
