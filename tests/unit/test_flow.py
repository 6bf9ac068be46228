"""Where the head of a network of maps begins, whatever its outputs, shortcuts and last steps."""

from __future__ import annotations

import pytest
import torch
from small_targets import HEAD
from taskrsa.errors import ConfigError, RepresentationError
from taskrsa.networks.flow import bottlenecks
from taskrsa.networks.layers import choose
from taskrsa.networks.loading import layers_of, load_network
from taskrsa.networks.maps import as_map
from taskrsa.networks.target import HEAD_ONLY, PARTLY, WHOLE, target_network
from user_networks import row

SIDE = 64


def test_every_path_passes_a_bottleneck():
    # a -> b -> d, a -> c -> d, d -> e
    before = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": ["d"]}
    assert bottlenecks(list("abcde"), before.__getitem__) == ["a", "d", "e"]
    before["e"] = ["d", "a"]
    assert bottlenecks(list("abcde"), before.__getitem__) == ["a", "e"]


# The last rich layer, its shape at 64 pixels, and what makes the outputs.
LAST = {
    "Segmenter": ("refine", (32, 16, 16), {"logits"}),
    "Chosen": ("refine", (32, 16, 16), {"logits"}),
    "UNet": ("up.2", (8, 64, 64), {"out"}),
    "Edges": ("stages.3", (64, 4, 4), {"fuse", *(f"sides.{n}.2" for n in range(4))}),
    "Stages": ("stages.2", (32, 8, 8), set()),
    "Denoiser": ("layers.19", (16, 64, 64), {"layers.20"}),
    "Enhancer": ("convs.5", (32, 64, 64), {"convs.6"}),
    "Enlarger": ("body", (16, 64, 64), {"last"}),
    "Narrowing": ("three", (96, 8, 8), {"last"}),
    "Scores": ("stages.2", (64, 4, 4), {"scores.0", "up"}),
    "Frozen": ("refine", (32, 16, 16), {"logits"}),
    "Inferring": ("refine", (32, 16, 16), {"logits"}),
}


@pytest.mark.parametrize("name", LAST)
def test_the_last_rich_layer_and_what_makes_the_outputs(name):
    chosen = row(f"dense_networks:{name}")
    network = load_network(chosen)
    layers = layers_of(network, SIDE)
    auto = choose(layers, chosen)
    last, shape, makers = LAST[name]
    assert (auto["last"].name, auto["last"].shape) == (last, shape)
    assert (auto["last"].reading.grid, auto["last"].depth) == (shape[1:], 1)
    assert list(auto) == [*(f"depth{n}" for n in range(1, 6)), "last"]
    weighted = {
        layer.name
        for layer in layers
        if layer.head and [*network.network.get_submodule(layer.name).parameters(recurse=False)]
    }
    assert weighted == makers


def test_a_network_with_shortcuts_is_followed_down_and_up():
    chosen = row("dense_networks:UNet", arguments='{"stages": 4}')
    auto = choose(layers_of(load_network(chosen), SIDE), chosen)
    # No shortcut's end alone: the way that passes most layers, evenly.
    sides = [layer.shape[1] for layer in auto.values()]
    assert min(sides) <= SIDE // 8
    bottom = sides.index(min(sides))
    assert sides[: bottom + 1] == sorted(sides[: bottom + 1], reverse=True)
    assert sides[bottom:] == sorted(sides[bottom:])
    # What is narrow beside the widest, 8 of 128 channels, is none of its features.
    assert auto["last"].name == "up.2"
    assert auto["last"].shape == (16, 32, 32)


@pytest.mark.parametrize("kind", ["segmentation", "regression", "classification"])
@pytest.mark.parametrize(
    ("name", "trained", "tensors"),
    [
        ("Segmenter", WHOLE, (12, 12)),
        ("Edges", PARTLY, (16, 24)),
        ("Denoiser", WHOLE, (26, 26)),
        ("Frozen", PARTLY, (4, 12)),
        ("Inferring", HEAD_ONLY, (0, 12)),
    ],
)
def test_what_gets_gradients_is_counted_and_said(name, trained, tensors, kind, capsys):
    chosen = row(f"dense_networks:{name}")
    network = target_network(load_network(chosen), "", kind, ("a", "b"), HEAD, 32, 0)
    found = network.trained_share()
    assert (found.tensors, found.of) == tensors
    assert network.trained == trained
    assert network.trains_encoder == (trained != HEAD_ONLY)
    told = capsys.readouterr().out.splitlines()[-1]
    start = f"net: head at {LAST[name][0]}, {LAST[name][1][0]} x "
    assert told.startswith(start)
    assert "; images at 32 pixels; " in told
    count = "only the head is trained" if not tensors[0] else "{} of {} tensors".format(*tensors)
    assert f"pixels; {count}" in told
    # It is so: of what is trained all changes, and nothing else.
    before = {key: value.clone() for key, value in network.encoder.named_parameters()}
    network.train()
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    network(images).square().mean().backward()
    optimiser.step()
    after = dict(network.encoder.named_parameters())
    with_gradient = [key for key, value in after.items() if value.grad is not None]
    assert len(with_gradient) == tensors[0]
    assert sum(not torch.equal(after[key], value) for key, value in before.items()) <= tensors[0]


def test_where_no_gradient_arrives_statistics_are_kept():
    chosen = row("dense_networks:Inferring")
    network = target_network(load_network(chosen), "", "segmentation", ("a",), HEAD, 32, 0)
    network.train()
    norms = [m for m in network.encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert not any(weight.requires_grad for weight in network.encoder.parameters())


def test_the_count_leaves_weights_gradients_and_statistics_as_they_are():
    network = load_network(row("dense_networks:Segmenter"))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = torch.get_rng_state()
    tuned = target_network(network, "", "segmentation", ("a", "b"), HEAD, 32, 0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(weight.grad is None for weight in tuned.parameters())
    assert tuned.training


# --- the cell head ---


@pytest.mark.parametrize(
    ("head", "layers", "expected"),
    [
        ("body", "auto", "body"),
        ("depth1", "auto", "stem.1"),
        ("last", "auto", "refine"),
        ("early", "early=stem last=refine", "stem"),
        ("re*ne", "auto", "refine"),
    ],
)
def test_a_row_says_where_the_head_is(head, layers, expected):
    chosen = row("dense_networks:Segmenter", head=head, layers=layers)
    network = target_network(load_network(chosen), "", "segmentation", ("a", "b"), HEAD, 32, 0)
    assert network.tap == expected
    shape = (2, *network.layer.shape)
    assert network.eval().features(torch.zeros(2, 3, 32, 32)).shape == shape


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("nothing", "nothing is named nothing; there are stem"),
        ("stem.*", "stem.* matches 3, stem.0, stem.1, stem.2; name one"),
    ],
)
def test_a_head_that_cannot_be_is_one_line(head, words):
    chosen = row("dense_networks:Segmenter", head=head)
    with pytest.raises(ConfigError) as caught:
        target_network(load_network(chosen), "", "segmentation", ("a", "b"), HEAD, 32, 0)
    assert str(caught.value).startswith(f"bank, row net, head: {words}")
    assert "\n" not in str(caught.value)


def test_a_head_needs_what_the_target_s_kind_needs():
    chosen = row(head="pool", arguments='{"width": 4}')
    network = target_network(load_network(chosen), "", "segmentation", ("a", "b"), HEAD, 32, 0)
    assert network.layer.reading.grid == (4, 4)
    flat = row("user_networks:Tokens", head="head")
    with pytest.raises(ConfigError, match="head is 10 for one image, without the positions that a"):
        target_network(load_network(flat), "", "segmentation", ("a", "b"), HEAD, 32, 0)
    values = target_network(load_network(flat), "", "values", ("a",), HEAD, 32, 0)
    assert values(torch.zeros(2, 3, 32, 32)).shape == (2, 1)


# --- what can be read ---


def test_channels_before_positions_are_told_from_tokens():
    chosen = row("dense_networks:ChannelsFirst")
    network = target_network(load_network(chosen), "", "segmentation", ("a", "b"), HEAD, 32, 0)
    assert (network.tap, network.layer.shape) == ("mix", (16, 16))
    images = torch.rand(2, 3, 32, 32)
    kept = {}
    network.encoder.network.mix.register_forward_hook(lambda m, i, out: kept.update(mix=out))
    with torch.no_grad():
        features = network.eval().features(images)
    assert torch.equal(features, kept["mix"].unflatten(2, (4, 4)))


def test_what_cannot_be_read_is_refused_in_one_line():
    chosen = row("dense_networks:ChannelsFirst", head="split")
    for kind in ("segmentation", "values"):
        with pytest.raises(ConfigError) as caught:
            target_network(load_network(chosen), "", kind, ("a", "b"), HEAD, 32, 0)
        assert str(caught.value) == (
            "bank, row net, head: split is 4 x 16 x 4 for one image, which can be read neither as "
            "a map of positions nor as a vector; name another module"
        )
    network = load_network(chosen)
    split = next(layer for layer in layers_of(network, 32) if layer.name == "split")
    with pytest.raises(RepresentationError, match="split: .* can be read neither as maps nor as"):
        as_map(torch.zeros(2, 4, 16, 4), split)


def test_the_first_of_many_layers_does_not_stand_for_a_network():
    chosen = row("dense_networks:Flattened")
    with pytest.raises(ConfigError, match="net has no layer with positions before its head, which"):
        target_network(load_network(chosen), "", "segmentation", ("a",), HEAD, 32, 0)
    values = target_network(load_network(chosen), "", "values", ("a",), HEAD, 32, 0)
    assert values.layer.shape == (32,)
    # Where the row says so, it is taken, and the truth is told.
    chosen = row("dense_networks:Flattened", head="patches")
    network = target_network(load_network(chosen), "", "segmentation", ("a",), HEAD, 32, 0)
    assert (network.trained, network.trained_share().tensors) == (PARTLY, 2)


def test_without_gradients_order_and_shapes_have_to_tell():
    chosen = row("dense_networks:Numeric")
    network = target_network(load_network(chosen), "", "segmentation", ("a", "b"), HEAD, 32, 0)
    assert (network.tap, network.layer.reading.grid) == ("refine", (8, 8))
    # Weights are trained all the same.
    assert (network.trained, network.trained_share().tensors) == (WHOLE, 12)
