"""The encoder of the Taskonomy bank, at its published size or smaller.

A ResNet-50 with the differences of the public bank: each stage strides in its last unit, the stem
pads by hand, and a 3 x 3 convolution compresses the last block to 8 channels (paper section 5.2).
Parameter names are those of the public PyTorch checkpoints, so that these load strictly.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from taskrsa.errors import ConfigError, DataError
from taskrsa.files import atomic_path

LAYERS = ("block1", "block2", "block3", "block4", "compressed")
EXPANSION = 4  # a bottleneck's output is four times its inner width


@dataclass(frozen=True)
class EncoderSpec:
    """The size of an encoder. The defaults are those of the public bank.

    width: channels of the stem; block k puts out 4 * width * 2^(k-1) channels.
    units: residual units in each of the four blocks.
    strides: stride of each block; with the stem (4) they give the code's size.
    """

    width: int = 64
    units: tuple[int, int, int, int] = (3, 4, 6, 3)
    strides: tuple[int, int, int, int] = (2, 2, 1, 1)
    code_channels: int = 8
    input_channels: int = 3
    group_norm: bool = False

    @classmethod
    def from_config(cls, values: dict, input_channels: int = 3) -> EncoderSpec:
        """Build a spec from a configuration section.

        Raises
        ------
        ConfigError
            If a list does not have four entries or a number is not positive.
        """
        values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        spec = cls(**values, input_channels=input_channels)
        for key in ("units", "strides"):
            numbers = getattr(spec, key)
            if len(numbers) != 4 or min(numbers) < 1:
                raise ConfigError(
                    f"encoder: {key} needs four positive numbers, not {list(numbers)}"
                )
        if spec.width < 1 or spec.code_channels < 1:
            raise ConfigError("encoder: width and code_channels must be positive")
        return spec

    @property
    def reduction(self) -> int:
        """How many times smaller the code is than the image, along each side."""
        reduction = 4
        for stride in self.strides:
            reduction *= stride
        return reduction

    def code_size(self, image_size: int) -> int:
        """Return the side of the code of an image, in positions.

        Raises
        ------
        ConfigError
            If the image is no multiple of the reduction, so that borders would be lost.
        """
        if image_size % self.reduction:
            raise ConfigError(
                f"image_size: {image_size} must be a multiple of {self.reduction}, the encoder's "
                "reduction; change it or encoder.strides"
            )
        return image_size // self.reduction


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1 convolutions with a shortcut; the 3 x 3 strides."""

    def __init__(self, inputs: int, width: int, stride: int = 1, shortcut: nn.Module | None = None):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * EXPANSION, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * EXPANSION)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + shortcut)


def _block(inputs: int, width: int, units: int, stride: int) -> nn.Sequential:
    """Build one stage: the first unit widens, the last one strides."""
    outputs = width * EXPANSION
    # With a single unit, the widening shortcut has to stride as well.
    first_stride = stride if units == 1 else 1
    widen = nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, stride=first_stride, bias=False), nn.BatchNorm2d(outputs)
    )
    parts = [Bottleneck(inputs, width, first_stride, widen)]
    parts += [Bottleneck(outputs, width) for _ in range(units - 2)]
    if units > 1:
        # The bank's strided shortcut has no weights: it keeps every second pixel.
        subsample = nn.Sequential(nn.MaxPool2d(1, stride)) if stride > 1 else None
        parts.append(Bottleneck(outputs, width, stride, subsample))
    return nn.Sequential(*parts)


class TaskonomyEncoder(nn.Module):
    """Encoder with taps at its four blocks and at the compressed output.

    At 256 x 256 the published size yields block1 256 x 32 x 32, block2 512 x 16 x 16, block3
    1024 x 16 x 16, block4 2048 x 16 x 16 and the compressed output 8 x 16 x 16.
    """

    def __init__(self, spec: EncoderSpec | None = None):
        super().__init__()
        self.spec = spec = spec or EncoderSpec()
        self.conv1 = nn.Conv2d(spec.input_channels, spec.width, 7, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(spec.width)
        inputs = spec.width
        for number, (units, stride) in enumerate(zip(spec.units, spec.strides, strict=True)):
            width = spec.width * 2**number
            setattr(self, f"layer{number + 1}", _block(inputs, width, units, stride))
            inputs = width * EXPANSION
        self.compress1 = nn.Conv2d(inputs, spec.code_channels, 3, padding=1, bias=False)
        self.compress_bn = nn.BatchNorm2d(spec.code_channels)
        self.use_group_norm(spec.group_norm)

    def use_group_norm(self, on: bool) -> None:
        """Normalise every channel of the compressed output, or leave it as it is.

        Off for Taskonomy's networks; PyTorch ports switch it on, which changes RSA most of all.
        """
        channels = self.spec.code_channels
        self.groupnorm = nn.GroupNorm(channels, channels, affine=False) if on else nn.Identity()

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return every tap, by layer name in the order of `LAYERS`.

        Parameters
        ----------
        images : (N, input_channels, H, W) tensor in [-1, 1]
        """
        x = F.pad(images, (3, 3, 3, 3))
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        taps = {}
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
            taps[f"block{number}"] = x
        taps["compressed"] = self.groupnorm(F.relu(self.compress_bn(self.compress1(x))))
        return taps

    def forward(self, images: Tensor) -> Tensor:
        """Return the compressed output, (N, code_channels, H / reduction, W / reduction)."""
        return self.features(images)["compressed"]


def random_encoder(spec: EncoderSpec, seed: int) -> TaskonomyEncoder:
    """Return an untrained encoder whose weights depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TaskonomyEncoder(spec)


def save_encoder(path: str | Path, encoder: TaskonomyEncoder) -> None:
    """Write weights as safetensors with the spec in the header, atomically."""
    from safetensors.torch import save_file

    state = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={"encoder": json.dumps(asdict(encoder.spec))})


def load_encoder(path: str | Path, spec: EncoderSpec | None = None) -> TaskonomyEncoder:
    """Load an encoder in evaluation mode.

    Parameters
    ----------
    path : a `.safetensors` file of this project, whose header holds the spec, or a checkpoint of
        the public bank (a dictionary with `state_dict`), loaded with `weights_only=True`.
    spec : needed for a public checkpoint of another size than the published one.

    Raises
    ------
    DataError
        If the file cannot be read, or its keys or shapes are not exactly the encoder's.
    """
    path = Path(path)
    state, stored = _read_state(path)
    encoder = TaskonomyEncoder(stored or spec or EncoderSpec())
    _load_strictly(encoder, state, path)
    return encoder.eval().requires_grad_(False)


def _read_state(path: Path) -> tuple[dict[str, Tensor], EncoderSpec | None]:
    import pickle

    if not path.is_file():
        raise DataError(f"{path}: no such weights file; check the bank's `weights` entry")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads((file.metadata() or {}).get("encoder", "null"))
                state = {key: file.get_tensor(key) for key in list(file.keys())}
        except SafetensorError as error:
            raise DataError(f"{path}: not a whole safetensors file ({error})") from None
        if header is None:
            return state, None
        channels = header.pop("input_channels")
        return state, EncoderSpec.from_config(header, input_channels=channels)
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise DataError(f"{path}: cannot be loaded with weights_only=True ({reason})") from None
    state = payload.get("state_dict") if isinstance(payload, dict) else None
    if not isinstance(state, dict):
        raise DataError(f"{path}: holds no `state_dict`; a checkpoint of the public bank does")
    spec = None
    if "conv1.weight" in state and state["conv1.weight"].ndim == 4:
        # Colorization sees lightness only, so its first convolution has one input channel.
        spec = EncoderSpec(input_channels=state["conv1.weight"].shape[1])
    return state, spec


def _load_strictly(encoder: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    expected = encoder.state_dict()
    # Checkpoints older than PyTorch 0.4.1 lack these counters, which evaluation does not use.
    counters = {key for key in expected if key.endswith("num_batches_tracked")}
    missing = sorted(expected.keys() - state.keys() - counters)
    unexpected = sorted(state.keys() - expected.keys())
    shapes = [
        f"{key} is {tuple(state[key].shape)}, not {tuple(expected[key].shape)}"
        for key in sorted(expected.keys() & state.keys())
        if state[key].shape != expected[key].shape
    ]
    faults = [
        f"{name} {_some(keys)}"
        for name, keys in (("missing", missing), ("unexpected", unexpected), ("shape:", shapes))
        if keys
    ]
    if faults:
        raise DataError(f"{path}: does not fit the encoder: {'; '.join(faults)}")
    state = {**{key: expected[key] for key in counters}, **state}
    encoder.load_state_dict(state, strict=True)


def _some(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
