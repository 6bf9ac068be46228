"""The Taskonomy encoder: published shapes and names, strict loading, preprocessing."""

import numpy as np
import pytest
import torch
from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.encoder import LAYERS, EncoderSpec, TaskonomyEncoder
from taskrsa.networks.representations import group_normed
from taskrsa.networks.weights import load_encoder, random_encoder, save_encoder

SMALL = EncoderSpec(width=4, units=(1, 2, 1, 2), strides=(2, 1, 1, 1))


@pytest.fixture(scope="module")
def published():
    return random_encoder(EncoderSpec(), seed=0).eval()


def test_published_size_has_the_papers_tap_shapes(published):
    with torch.inference_mode():
        taps = published.features(torch.zeros(1, 3, 256, 256))
    assert [tuple(tap.shape[1:]) for tap in taps.values()] == [
        (256, 32, 32),
        (512, 16, 16),
        (1024, 16, 16),
        (2048, 16, 16),
        (8, 16, 16),
    ]
    assert tuple(taps) == LAYERS


def test_parameter_names_and_shapes_are_those_of_the_public_checkpoints(published):
    state = published.state_dict()
    prefixes = {key.split(".")[0] for key in state}
    expected = {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "compress1", "compress_bn"}
    assert prefixes == expected
    assert state["conv1.weight"].shape == (64, 3, 7, 7)
    assert state["compress1.weight"].shape == (8, 2048, 3, 3)
    assert "compress1.bias" not in state
    assert state["layer3.0.downsample.0.weight"].shape == (1024, 512, 1, 1)
    # Strided shortcuts pool and have no weights; a block has one shortcut with weights.
    assert not any(key.startswith("layer1.2.downsample") for key in state)
    units = {key.rsplit(".", 3)[0] for key in state if key.endswith("conv2.weight")}
    assert len([k for k in state if k.endswith("conv2.weight")]) == 3 + 4 + 6 + 3, units


def test_stages_one_and_two_stride_in_their_last_unit(published):
    strides = [
        [unit.conv2.stride[0] for unit in getattr(published, f"layer{n}")] for n in (1, 2, 3, 4)
    ]
    assert strides == [[1, 1, 2], [1, 1, 1, 2], [1] * 6, [1] * 3]
    assert isinstance(published.layer2[3].downsample[0], torch.nn.MaxPool2d)
    assert published.layer4[2].downsample is None


def test_forward_is_deterministic_and_equal_between_batch_sizes(published):
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        together = published(images)
        again = published(images)
        alone = torch.cat([published(image[None]) for image in images])
    assert torch.equal(together, again)
    assert torch.allclose(together, alone, atol=1e-5)


def test_group_norm_is_off_and_can_be_applied_afterwards():
    encoder = random_encoder(SMALL, 0).eval()
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        plain = encoder(image)
    assert (plain >= 0).all()
    channels = plain.shape[1]
    normal = group_normed(plain.permute(0, 2, 3, 1).flatten(1).numpy(), channels)
    expected = torch.nn.GroupNorm(channels, channels, affine=False)(plain)
    np.testing.assert_allclose(normal, expected.flatten(1).numpy(), atol=1e-6)


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(5)
    first = random_encoder(SMALL, 3).state_dict()
    torch.manual_seed(6)
    second = random_encoder(SMALL, 3).state_dict()
    other = random_encoder(SMALL, 4).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


def test_saved_weights_come_back_with_their_spec(tmp_path):
    encoder = random_encoder(SMALL, 1)
    path = tmp_path / "weights.safetensors"
    save_encoder(path, encoder)
    loaded = load_encoder(path)
    assert loaded.spec == SMALL
    assert not loaded.training
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[key])
    save_encoder(tmp_path / "again.safetensors", encoder)
    assert path.read_bytes() == (tmp_path / "again.safetensors").read_bytes()


def test_public_checkpoint_loads_strictly_also_with_one_input_channel(tmp_path):
    for channels in (1, 3):
        encoder = TaskonomyEncoder(EncoderSpec(input_channels=channels))
        state = encoder.state_dict()
        # Old checkpoints lack the counters of batch norm.
        old = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
        path = tmp_path / f"public_{channels}.pth"
        torch.save({"state_dict": old, "epoch": 3}, path)
        loaded = load_encoder(path)
        assert loaded.spec.input_channels == channels
        assert torch.equal(loaded.layer4[2].conv3.weight, encoder.layer4[2].conv3.weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("compress1.weight"), "missing compress1.weight"),
        (lambda s: s.update({"fc.weight": torch.zeros(1)}), "unexpected fc.weight"),
        (
            lambda s: s.update({"bn1.weight": torch.zeros(3)}),
            r"shape: bn1.weight is \(3,\), not \(64,\)",
        ),
    ],
)
def test_other_checkpoints_are_refused_with_the_difference(tmp_path, published, change, message):
    state = dict(published.state_dict())
    change(state)
    path = tmp_path / "other.pth"
    torch.save({"state_dict": state}, path)
    with pytest.raises(DataError, match=message) as caught:
        load_encoder(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


class Malicious:
    def __reduce__(self):
        return (print, ("code ran",))


def test_unsafe_or_broken_weights_are_refused(tmp_path, capsys):
    unsafe = tmp_path / "unsafe.pth"
    torch.save({"state_dict": Malicious()}, unsafe)
    with pytest.raises(DataError, match="which may do harm"):
        load_encoder(unsafe)
    assert "code ran" not in capsys.readouterr().out
    bare = tmp_path / "bare.pth"
    torch.save({"weights": torch.zeros(2)}, bare)
    with pytest.raises(DataError, match="holds no `state_dict`"):
        load_encoder(bare)
    half = tmp_path / "half.safetensors"
    save_encoder(half, random_encoder(SMALL, 0))
    half.write_bytes(half.read_bytes()[:1000])
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_encoder(half)
    half.write_text("<!doctype html><title>404</title>")
    with pytest.raises(DataError, match="half.safetensors: is a web page"):
        load_encoder(half)


def test_the_code_s_size_is_that_of_the_output():
    for spec, image_size in ((EncoderSpec(), 256), (SMALL, 64)):
        encoder = random_encoder(spec, 0).eval()
        with torch.inference_mode():
            bottleneck = encoder(torch.zeros(1, 3, image_size, image_size))
        assert bottleneck.shape[-1] == spec.bottleneck_size(image_size)
    with pytest.raises(ConfigError, match="image_size: 52 must be a multiple of 8"):
        SMALL.bottleneck_size(52)
