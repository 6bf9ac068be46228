"""Designs of timm, one of every family with random weights: where a target's head is attached, what
of its features is a map, what gets gradients."""

from __future__ import annotations

import functools
import importlib.util
import json

import pytest
import torch
from small_targets import HEAD
from taskrsa.networks.layers import Layer
from taskrsa.networks.loading import load_network
from taskrsa.networks.maps import as_map
from taskrsa.networks.target import WHOLE, TargetNetwork, target_network
from user_networks import row

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("timm") is None, reason="timm is not installed"
)
SIDE = 64
WINDOWS = {"window_size": 4, "embed_dim": 24, "depths": [2, 2, 2], "num_heads": [1, 2, 4]}
TWO = {"depth": 2, "img_size": SIDE}
# Arguments; where the head is for classes, its channels; the same for maps, with the side of the
# map and the tokens before it.
DESIGNS = {
    "resnet18": ({}, "global_pool", 512, "layer4", 512, 2, 0),
    "mobilenetv2_035": ({}, "global_pool", 1280, "bn2", 1280, 2, 0),
    "mobilenetv3_small_050": ({}, "act2", 1024, "blocks", 288, 2, 0),
    "efficientnet_lite0": ({}, "global_pool", 1280, "bn2", 1280, 2, 0),
    "convnext_atto": ({}, "head.norm", 320, "stages", 320, 2, 0),
    "repvgg_a0": ({}, "head.global_pool", 1280, "stages", 1280, 2, 0),
    "densenet121": ({}, "global_pool", 1024, "features", 1024, 2, 0),
    "poolformer_s12": ({}, "head.norm", 512, "stages", 512, 2, 0),
    "pvt_v2_b0": ({}, "head_drop", 256, "stages", 256, 2, 0),
    "vit_tiny_patch16_224": (TWO, "fc_norm", 192, "norm", 192, 4, 1),
    # Registers, with and without a token of the class.
    "vit_small_patch14_reg4_dinov2": (
        *({"depth": 2, "img_size": 56}, "fc_norm", 384),
        *("norm", 384, 4, 5),
    ),
    "vit_little_patch16_reg4_gap_256": (TWO, "fc_norm", 320, "blocks", 320, 4, 4),
    "deit_tiny_distilled_patch16_224": (TWO, "norm", 192, "norm", 192, 4, 2),
    "vit_base_patch16_siglip_224": (TWO, "attn_pool", 768, "norm", 768, 4, 0),
    # Height, width, channels.
    "swin_tiny_patch4_window7_224": (
        *({"img_size": SIDE, **WINDOWS}, "head.global_pool", 96),
        *("norm", 96, 4, 0),
    ),
    "mixer_s32_224": ({"img_size": SIDE}, "head_drop", 512, "norm", 512, 2, 0),
    "cait_xxs24_224": (TWO, "head_drop", 192, "norm", 192, 4, 1),
    "xcit_nano_12_p16_224": (TWO, "head_drop", 128, "norm", 128, 4, 1),
    "coat_tiny": ({"img_size": SIDE}, "aggregate", 152, "norm2", 152, 8, 1),
    "mambaout_femto": ({}, "head.pre_logits", 1152, "stages", 288, 2, 0),
}


def headed(name: str, kind: str, **changes: object) -> TargetNetwork:
    arguments = {"pretrained": False, **DESIGNS[name][0], **changes}
    side = arguments.get("img_size", SIDE)
    chosen = row(f"timm:{name}", size=str(side), arguments=json.dumps(arguments))
    return target_network(load_network(chosen), "", kind, ("a", "b"), HEAD, side, 0)


@pytest.mark.parametrize("name", DESIGNS)
def test_heads_of_classes(name):
    _, tap, channels, *_ = DESIGNS[name]
    network = headed(name, "classification")
    assert (network.tap, network.head.linear.in_features) == (tap, channels)
    # The old head aside, all of the network is trained.
    found = network.trained_share()
    assert (found.tensors, found.share) == (found.of, 1)
    assert network.trained == WHOLE


@pytest.mark.parametrize("name", DESIGNS)
def test_heads_of_maps_see_positions(name):
    *_, tap, channels, side, skipped = DESIGNS[name]
    network = headed(name, "segmentation").eval()
    assert network.tap == tap
    shape = network.layer.reading
    assert (shape.grid, shape.skipped) == ((side, side), skipped)
    with torch.no_grad():
        values = network.features(torch.zeros(2, 3, SIDE, SIDE))
    assert values.shape == (2, channels, side, side)
    assert network.trained_share().tensors > 0.6 * network.trained_share().of


@pytest.mark.parametrize(
    "name",
    ["swin_tiny_patch4_window7_224", "vit_small_patch14_reg4_dinov2", "cait_xxs24_224"],
)
def test_positions_of_features_are_those_of_the_image(name):
    """The patches at the top right change those features most that are read as the top right."""
    network = headed(name, "segmentation", **({} if "swin" in name else {"depth": 1})).eval()
    side = network.seen_at
    images = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    other = images.clone()
    other[:, :, : side // 4, -side // 4 :] = 1
    with torch.no_grad():
        change = (network.features(other) - network.features(images)).norm(dim=1)[0]
    rows, columns = change.shape
    place = divmod(int(change.argmax()), columns)
    assert place == (0, columns - 1), change
    assert rows == columns


def test_a_network_without_its_head_is_tapped_at_its_end():
    for arguments, taps in (
        ({"num_classes": 0}, ("global_pool", "layer4")),
        ({"features_only": True}, ("layer4", "layer4")),
    ):
        make = functools.partial(headed, "resnet18", **arguments)
        assert (make("classification").tap, make("segmentation").tap) == taps


def test_stages_of_a_network_with_channels_last_are_maps():
    network = headed("swin_tiny_patch4_window7_224", "segmentation", features_only=True)
    assert network.tap == "layers_2"
    assert network.layer.shape == (4, 4, 96)
    values = torch.arange(2 * 4 * 4 * 96.0).view(2, 4, 4, 96)
    assert torch.equal(as_map(values, network.layer)[1, :, 2, 3], values[1, 2, 3])


def test_tokens_of_other_sizes_and_shapes():
    layer: Layer = headed("vit_small_patch14_reg4_dinov2", "segmentation").layer
    assert layer.shape == (21, 384)
    values = torch.rand(2, 5 + 3 * 6, 384)
    grid = as_map(values, layer, aspect=0.5)
    assert grid.shape == (2, 384, 3, 6)
    assert torch.equal(grid[1, :, 2, 1], values[1, 5 + 2 * 6 + 1])
