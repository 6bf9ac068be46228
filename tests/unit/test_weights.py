"""The public bank: exact layout, strict loading, the same numbers, what each network is shown.

Nothing here is taken from the encoder's own code: keys, shapes and the forward pass are written
down from the description of the bank. Checkpoints have the published size.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import subprocess
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.loading import native_encoder
from taskrsa.networks.network import Network
from taskrsa.networks.preprocessing import network_input
from taskrsa.networks.spec import EncoderSpec
from taskrsa.networks.table import asset_of, network, read_bank
from taskrsa.networks.weights import load_encoder
from taskrsa.tasks.dictionary import TASKS
from torch.nn import functional as F

ROOT = Path(__file__).parents[2]
LAYERS = ("block1", "block2", "block3", "block4", "compressed")
STAGES = ((1, 64, 3), (2, 128, 4), (3, 256, 6), (4, 512, 3))  # number, inner width, units


def manifest(channels: int = 3, counters: bool = True) -> dict[str, tuple[int, ...]]:
    """List every key of a public checkpoint with its shape, in the order they are saved."""
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"] = shape

    def batch_norm(name: str, width: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (width,)
        if counters:
            shapes[f"{name}.num_batches_tracked"] = ()

    convolution("conv1", 64, channels, 7, 7)
    batch_norm("bn1", 64)
    inputs = 64
    for stage, width, units in STAGES:
        for unit in range(units):
            name = f"layer{stage}.{unit}"
            convolution(f"{name}.conv1", width, inputs, 1, 1)
            batch_norm(f"{name}.bn1", width)
            convolution(f"{name}.conv2", width, width, 3, 3)
            batch_norm(f"{name}.bn2", width)
            convolution(f"{name}.conv3", 4 * width, width, 1, 1)
            batch_norm(f"{name}.bn3", 4 * width)
            if unit == 0:
                convolution(f"{name}.downsample.0", 4 * width, inputs, 1, 1)
                batch_norm(f"{name}.downsample.1", 4 * width)
            inputs = 4 * width
    convolution("compress1", 8, 2048, 3, 3)
    batch_norm("compress_bn", 8)
    return shapes


def random_state(channels: int = 3, counters: bool = True) -> OrderedDict:
    """Return random values in the published layout under which no layer dies or explodes."""
    generator = torch.Generator().manual_seed(channels)
    state = OrderedDict()
    for key, shape in manifest(channels, counters).items():
        kind = key.rpartition(".")[2]
        if kind == "num_batches_tracked":
            state[key] = torch.tensor(12_345)
        elif len(shape) == 4:
            deviation = math.sqrt(2 / math.prod(shape[1:]))
            state[key] = torch.randn(shape, generator=generator) * deviation
        elif kind in ("weight", "running_var"):
            state[key] = torch.rand(shape, generator=generator) + 0.5
        else:
            state[key] = torch.randn(shape, generator=generator) * 0.1
    # As a module's own state_dict has it, and pickles with it.
    state._metadata = OrderedDict([("", {"version": 1}), ("bn1", {"version": 2})])
    return state


def hollow_state(channels: int = 3) -> dict:
    """Return every key at its published shape, of one stored number each: small on disk."""
    return {
        key: torch.tensor(0) if not shape else torch.ones(1).expand(shape)
        for key, shape in manifest(channels).items()
    }


def publish(folder: Path, name: str, payload: object, legacy: bool = False) -> Path:
    """Save a checkpoint under the public bank's name for it."""
    temporary = folder / "temporary.pth"
    torch.save(payload, temporary, _use_new_zipfile_serialization=not legacy)
    digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
    return temporary.rename(folder / f"{name}_encoder-{digest}.pth")


def public_row(path: Path, **cells: str) -> Network:
    digest = path.stem.rpartition("-")[2]
    row = {"name": "normal", "loader": "taskonomy", "weights": str(path), "sha256": digest}
    return network(row | cells)


@pytest.fixture(scope="module")
def state() -> OrderedDict:
    return random_state()


@pytest.fixture
def folder(tmp_path):
    """Return a folder whose large files are gone after the test."""
    yield tmp_path
    for path in tmp_path.iterdir():
        path.unlink()


# --- layout and loading ---


def test_the_layout_is_a_resnet_50_without_its_classifier_and_with_a_compressed_output():
    without, with_counters = manifest(counters=False), manifest()
    assert (len(without), len(with_counters)) == (270, 324)
    learnt = {k: s for k, s in without.items() if "running" not in k}
    # 23,508,032 parameters of a ResNet-50 before its classifier; 8 x 2048 x 9 and 2 x 8 on top.
    assert sum(map(math.prod, learnt.values())) == 23_508_032 + 147_456 + 16
    assert sum(map(math.prod, manifest(1, False).values())) == sum(
        map(math.prod, without.values())
    ) - 2 * (64 * 49)


@pytest.mark.parametrize(
    ("task", "counters", "legacy", "extra"),
    [
        ("curvature", True, False, {"epoch": 17, "arch": "encoder"}),
        ("edge2d", False, True, {}),
        ("colorization", True, True, {"optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}}),
        ("colorization", False, False, {"best": {"loss": np.float64(0.5), "step": np.int64(3)}}),
    ],
)
def test_a_public_checkpoint_becomes_a_network_of_the_bank(folder, task, counters, legacy, extra):
    """Old and new file format, with and without counters, with other entries beside the weights."""
    definition = TASKS[task]
    channels = 1 if task == "colorization" else 3
    saved = random_state(channels, counters)
    path = publish(folder, definition.bank_name, {"state_dict": saved, **extra}, legacy)
    encoder = native_encoder(public_row(path, task=task))
    assert encoder.spec == EncoderSpec(input_channels=channels)
    assert not encoder.training
    loaded = encoder.state_dict()
    assert list(loaded) == list(manifest(channels))
    for key, value in saved.items():
        assert torch.equal(loaded[key], value), key
    # The loader without a given size recognises the one input channel, too.
    assert load_encoder(path).spec == encoder.spec


def change(**values):
    return lambda state: state.update(
        {key.replace("__", "."): value for key, value in values.items()}
    )


def only(prefix: str):
    def apply(state: dict) -> None:
        for key in list(state):
            state[f"{prefix}{key}"] = state.pop(key)

    return apply


def drop(*keys: str):
    return lambda state: [state.pop(key) for key in keys]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop("layer4.2.conv3.weight"), "fit the encoder: missing layer4.2.conv3.weight"),
        (
            drop(*[f"layer3.{n}.bn2.running_var" for n in range(5)]),
            "missing layer3.0.bn2.running_var, .* and 2 more",
        ),
        (
            change(groupnorm__weight=torch.ones(8), fc__bias=torch.ones(3)),
            "fit the encoder: unexpected fc.bias, groupnorm.weight",
        ),
        (
            change(compress1__weight=torch.ones(1).expand(16, 2048, 3, 3)),
            r"shape: compress1.weight is \(16, 2048, 3, 3\), not \(8, 2048, 3, 3\)",
        ),
        (
            change(conv1__weight=torch.ones(1).expand(64, 3, 5, 5)),
            r"shape: conv1.weight is \(64, 3, 5, 5\), not \(64, 3, 7, 7\)",
        ),
        (
            change(bn1__bias=torch.zeros(64, dtype=torch.float16)),
            "type: bn1.bias is float16, not float32",
        ),
        (
            change(bn1__num_batches_tracked=torch.tensor(1.0)),
            "type: bn1.num_batches_tracked is float32, not int64",
        ),
        (
            change(bn1__bias=torch.zeros(64).to_sparse()),
            "type: bn1.bias is float32, torch.sparse_coo, not float32",
        ),
        (
            change(bn1__bias=torch.full((64,), math.nan), bn1__weight=torch.full((64,), math.inf)),
            "not finite: bn1.bias, bn1.weight",
        ),
        (change(bn1__bias=[0.0] * 64), "missing bn1.bias"),
        (only("module."), "begin with module., as DataParallel saves them"),
        (only("encoder."), "missing bn1.bias, .*; unexpected encoder.bn1.bias, "),
        (lambda state: state.clear(), "missing bn1.bias"),
    ],
)
def test_anything_else_is_refused_in_one_line_that_names_the_difference(folder, damage, message):
    changed = hollow_state()
    damage(changed)
    path = publish(folder, "normal", {"state_dict": changed})
    with pytest.raises(DataError, match=message) as caught:
        native_encoder(public_row(path))
    assert str(caught.value).startswith(f"bank, row normal, weights: {path}: ")
    assert "\n" not in str(caught.value)


def test_the_hollow_checkpoint_itself_is_taken(folder):
    """So that what the refusals above refuse is the damage."""
    path = publish(folder, "normal", {"state_dict": hollow_state()})
    native_encoder(public_row(path))
    assert path.stat().st_size < 400_000


def test_half_precision_as_a_whole_is_refused(folder):
    halves = {k: v.half() if v.ndim else v for k, v in hollow_state().items()}
    path = publish(folder, "normal", {"state_dict": halves})
    with pytest.raises(DataError, match="type: bn1.bias is float16, not float32, .* and 267 more"):
        load_encoder(path)


class Foreign:
    def __reduce__(self):
        return (print, ("code ran",))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"state_dict": Foreign()}, "it asks for print, which weights do not need"),
        ({"state_dict": hollow_state(), "who": Foreign()}, "print, which weights do not need"),
        (hollow_state(), "holds no `state_dict`"),
        ([1, 2], "holds no `state_dict`"),
        ({"state_dict": [1, 2]}, "holds no `state_dict`"),
    ],
)
def test_code_and_other_payloads_are_refused(folder, capfd, payload, message):
    path = publish(folder, "normal", payload)
    with pytest.raises(DataError, match=message) as caught:
        load_encoder(path)
    assert "\n" not in str(caught.value)
    assert "code ran" not in capfd.readouterr().out


def test_numbers_beside_weights_are_left_aside(folder):
    """As in files of any other loader, whether they are Python's or NumPy's."""
    path = publish(folder, "normal", {"state_dict": hollow_state() | {"loss": np.float64(0.5)}})
    native_encoder(public_row(path))


PAGE = b"\n<!DOCTYPE html>\n<title>Sign in</title>" + "é".encode() * 3000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty: get it again"),
        (bytes(1000), "is full of zeros: get it again"),
        (b"<html>404</html>", "is a web page, as hosts send in place of a file: download"),
        (PAGE, "is a web page"),
        (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "is XML, not a checkpoint"),
        (b'{"error": "not found"}', "is JSON, not a checkpoint: download the file itself"),
        (b"Entry not found", "is text, not a checkpoint"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of Git LFS"),
        (b"\x89HDF\r\n\x1a\n", "is HDF5, as Keras writes it"),
        (gzip.compress(b"weights", mtime=0), r"is compressed \(gzip\): unpack it"),
        (save({"a": torch.zeros(2)}), "is a safetensors file: name it .safetensors"),
        (b"PK\x03\x04half", "is cut off or damaged: get it again"),
        (b"\x80\x02}q", "is not a PyTorch checkpoint, or is damaged; get it again"),
        (b"\xb6\x01\x02", "is not a PyTorch checkpoint, or is damaged; get it again"),
    ],
)
def test_files_that_are_no_checkpoints_are_refused(folder, content, words):
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"normal_encoder-{digest}.pth"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        load_encoder(path)
    assert "\n" not in str(caught.value)


def archive(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in names:
            file.writestr(name, "")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["net/constants.pkl", "net/data.pkl"], "TorchScript archive, which holds a network"),
        (["a.npy", "b.npy"], "an archive of NumPy arrays"),
        (["readme.txt", "net.pth"], r"an archive \(zip\) without a checkpoint: unpack it"),
    ],
)
def test_archives_that_are_no_checkpoints_are_refused(folder, names, words):
    (folder / "net.pth").write_bytes(archive(*names))
    with pytest.raises(DataError, match=words):
        load_encoder(folder / "net.pth")


@pytest.mark.parametrize("harm", [os.system, eval, exec, getattr, subprocess.Popen, __import__])
@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("as_zip", [True, False])
def test_pickles_that_would_do_harm_are_named_and_never_recommended(folder, harm, protocol, as_zip):
    class Harm:
        def __reduce__(self):
            return harm, ("import sys; sys.exit('ran')",)

    file = folder / "net.pth"
    torch.save(
        {"state_dict": Harm()},
        file,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=as_zip,
    )
    with pytest.raises(DataError) as caught:
        load_encoder(file)
    said = str(caught.value)
    assert "weights_only" not in said
    assert "\n" not in said
    if protocol == 2:
        assert harm.__name__ in said
        assert "which may do harm" in said


# --- the table of the public bank ---


def test_a_file_must_have_the_hash_of_the_table(folder):
    path = publish(folder, "edge_texture", {"state_dict": hollow_state()})
    row = public_row(path)
    content = path.read_bytes()
    for damaged in (content[:-1], content[:-1] + bytes([content[-1] ^ 1]), b""):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="row normal, sha256: .* has SHA-256 [0-9a-f]{64}, not"):
            native_encoder(row)
    path.unlink()
    with pytest.raises(DataError, match="row normal, weights: there is no file"):
        native_encoder(row)


def test_an_input_of_other_channels_is_refused(folder):
    path = publish(folder, "colorization", {"state_dict": hollow_state(channels=1)})
    with pytest.raises(ConfigError, match="row normal, channels: .*takes 1 channels and rgb has 3"):
        native_encoder(public_row(path))


def test_the_public_bank_is_a_table_of_all_tasks():
    bank = read_bank(ROOT / "config/networks/taskonomy.tsv")
    assert list(bank) == list(TASKS)
    for name, row in bank.items():
        task = TASKS[name]
        assert (row.loader, row.task, row.label, row.type) == (
            *("taskonomy", name),
            *(task.label, task.type),
        )
        assert (row.input, row.clip, row.n_channels) == (task.input, task.clip, task.input_channels)
        file = f"{NAMES[name]}_encoder-{row.sha256}.pth"
        assert row.weights.endswith(f"/{file}")
        assert asset_of(row).file == file
        assert [layer for _, layer in row.layers] == list(LAYERS)


NAMES = {
    "autoencoder": "autoencoding",
    "colorization": "colorization",
    "denoise": "denoising",
    "edge2d": "edge_texture",
    "inpainting_whole": "inpainting",
    "keypoint2d": "keypoints2d",
    "segment2d": "segment_unsup2d",
    "curvature": "curvature",
    "edge3d": "edge_occlusion",
    "keypoint3d": "keypoints3d",
    "reshade": "reshading",
    "rgb2depth": "depth_zbuffer",
    "rgb2mist": "depth_euclidean",
    "rgb2sfnorm": "normal",
    "segment25d": "segment_unsup25d",
    "room_layout": "room_layout",
    "vanishing_point": "vanishing_point",
    "class_1000": "class_object",
    "class_places": "class_scene",
    "segmentsemantic": "segment_semantic",
}


# --- the same numbers as a network written plainly ---


def plain_forward(state: dict, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Compute the five taps from the weights alone, step by step as the bank is described."""

    def batch_norm(name: str, x: torch.Tensor) -> torch.Tensor:
        scale = state[f"{name}.weight"] / (state[f"{name}.running_var"] + 1e-5).sqrt()
        shift = state[f"{name}.bias"] - state[f"{name}.running_mean"] * scale
        return x * scale[:, None, None] + shift[:, None, None]

    def convolve(name: str, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        # Every 3 x 3 convolution has a border of 1; the 7 x 7 one has none of its own.
        border = 1 if weight.shape[-1] == 3 else 0
        return F.conv2d(F.pad(x, [border] * 4), weight, stride=stride)

    x = F.pad(x, [3] * 4)
    x = batch_norm("bn1", convolve("conv1", x, 2)).clamp(min=0)
    # Max-pool 3/2 without a border; what does not fill a last window still makes one.
    rows, columns = (2 * math.ceil((side - 3) / 2) + 3 - side for side in x.shape[2:])
    x = F.pad(x, [0, columns, 0, rows], value=-math.inf)
    x = x.unfold(2, 3, 2).unfold(3, 3, 2).amax((-1, -2))
    taps = {}
    for stage, _, units in STAGES:
        for unit in range(units):
            name = f"layer{stage}.{unit}"
            stride = 2 if stage <= 2 and unit == units - 1 else 1
            y = batch_norm(f"{name}.bn1", convolve(f"{name}.conv1", x)).clamp(min=0)
            y = batch_norm(f"{name}.bn2", convolve(f"{name}.conv2", y, stride)).clamp(min=0)
            y = batch_norm(f"{name}.bn3", convolve(f"{name}.conv3", y))
            if unit == 0:
                x = batch_norm(f"{name}.downsample.1", convolve(f"{name}.downsample.0", x))
            # A 1 x 1 max-pool with a stride of 2 keeps every second pixel.
            x = (y + x[:, :, ::stride, ::stride]).clamp(min=0)
        taps[f"block{stage}"] = x
    taps["compressed"] = batch_norm("compress_bn", convolve("compress1", x)).clamp(min=0)
    return taps


def greatest_difference(values: torch.Tensor, others: torch.Tensor) -> float:
    """Return the greatest difference relative to the layer's scale, its greatest value."""
    assert values.shape == others.shape
    return ((values - others).abs().max() / others.abs().max()).item()


@pytest.mark.parametrize(("channels", "height", "width"), [(3, 96, 128), (1, 64, 64), (3, 66, 98)])
def test_the_network_is_the_published_one(folder, channels, height, width):
    """At single precision to 1e-5; sides other than multiples of 16 show how it treats borders."""
    state = random_state(channels)
    path = publish(folder, "any", {"state_dict": state})
    images = torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(0))
    images = images * 2 - 1
    expected = plain_forward({k: v.double() for k, v in state.items()}, images.double())
    with torch.inference_mode():
        found = load_encoder(path).features(images)
    assert tuple(found) == LAYERS == tuple(expected)
    for layer in LAYERS:
        assert expected[layer].std() > 0.01, layer
        assert greatest_difference(found[layer].double(), expected[layer]) < 1e-5, layer


def test_two_runs_are_bit_equal_and_batches_of_1_8_and_32_agree(folder, state):
    encoder = load_encoder(publish(folder, "any", {"state_dict": state}))
    encoder = encoder.to(memory_format=torch.channels_last)
    rng = np.random.default_rng(0)
    images = network_input(rng.integers(0, 256, (32, 64, 64, 3), dtype=np.uint8))
    with torch.inference_mode():
        runs = {
            size: [encoder.features(batch) for batch in images.split(size)] for size in (1, 8, 32)
        }
        again = encoder.features(images)
    for layer in LAYERS:
        found = {size: torch.cat([taps[layer] for taps in run]) for size, run in runs.items()}
        assert torch.equal(found[32], again[layer]), layer
        for size in (1, 8):
            assert greatest_difference(found[size], found[32]) < 2e-5, (layer, size)
