"""Encoders of every family: built from a seed, saved with their spec, loaded strictly."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from taskrsa.errors import DataError
from taskrsa.io.files import atomic_path
from taskrsa.networks.encoder import TaskonomyEncoder
from taskrsa.networks.small import SmallEncoder
from taskrsa.networks.spec import EncoderSpec, Spec, encoder_spec
from taskrsa.text import first_few

NETWORKS = {"taskonomy": TaskonomyEncoder, "small": SmallEncoder}


def _build(spec: Spec) -> nn.Module:
    return NETWORKS[spec.family](spec)


def random_encoder(spec: Spec, seed: int) -> nn.Module:
    """Return an untrained encoder whose weights depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _build(spec)


def on_accelerator(network: nn.Module) -> nn.Module:
    """Move a network to the GPU or the like, if there is one, and keep single precision there."""
    device = torch.accelerator.current_accelerator(check_available=True)
    if device is None:
        return network
    # By default convolutions round their inputs to 10 bits there, which features would show.
    torch.backends.cudnn.allow_tf32 = False
    return network.to(device)


def encoder_header(encoder: nn.Module) -> dict:
    """Return what a file of weights says of its encoder: its family and its spec."""
    return {"family": encoder.spec.family, **encoder.spec.model_dump(mode="json")}


def save_encoder(path: str | Path, encoder: nn.Module) -> None:
    """Write weights as safetensors with the spec in the header, atomically."""
    from safetensors.torch import save_file

    state = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
    header = encoder_header(encoder)
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={"encoder": json.dumps(header)})


def load_encoder(path: str | Path, spec: Spec | None = None) -> nn.Module:
    """Load an encoder in evaluation mode.

    Parameters
    ----------
    path : a `.safetensors` file of this project, whose header holds the spec, or a checkpoint of
        the public bank (a dictionary with `state_dict`), loaded with `weights_only=True`.
    spec : what the file must hold. By default what its header says, and for a public checkpoint
        the published size with as many input channels as its first convolution has.

    Raises
    ------
    DataError
        If the file cannot be read, or its keys, shapes or types are not exactly the encoder's.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such weights file; check the bank's `weights` entry")
    read = _read_safetensors if path.suffix == ".safetensors" else _read_public
    state, stored = read(path)
    encoder = _build(spec or stored or EncoderSpec())
    load_strictly(encoder, state, path)
    return encoder.eval().requires_grad_(False)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Spec | None]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("encoder", "null"))
            state = {key: file.get_tensor(key) for key in list(file.keys())}
    except SafetensorError as error:
        raise DataError(f"{path}: not a whole safetensors file ({error})") from None
    if header is None:
        return state, None
    return state, encoder_spec(header)


def _read_public(path: Path) -> tuple[dict[str, Tensor], Spec | None]:
    payload = load_pickled(path)
    state = payload.get("state_dict") if isinstance(payload, dict) else None
    if not isinstance(state, dict):
        raise DataError(f"{path}: holds no `state_dict`; a checkpoint of the public bank does")
    _check_entries(state, path)
    first = state.get("conv1.weight")
    # Colorization sees lightness only, so its first convolution has one input channel.
    known = first is not None and first.ndim == 4 and first.shape[1] > 0
    return state, EncoderSpec(input_channels=first.shape[1]) if known else None


def load_pickled(path: Path) -> object:
    """Return what `torch.save` wrote; DataError if it is more than weights and numbers."""
    try:
        with torch.serialization.safe_globals(_numbers()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (
        *(pickle.UnpicklingError, RuntimeError, EOFError, ValueError),
        *(LookupError, TypeError, AttributeError, AssertionError),
    ) as error:
        raise DataError(
            f"{path}: cannot be loaded with weights_only=True ({_unpickling_reason(error)})"
        ) from None


def _numbers() -> list:
    """Return what builds a NumPy number and nothing else: training loops keep a best loss as one,
    under the name that its module had before NumPy 2 or has since."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, bool)}
    names = [f"numpy.{core}.multiarray.scalar" for core in ("core", "_core")]
    return [np.dtype, *kinds, *((scalar, name) for name in names)]


def _unpickling_reason(error: Exception) -> str:
    """Say in one line why a checkpoint cannot be unpickled."""
    asked = re.search(r"Unsupported (?:global|class|operand)\W+(?:GLOBAL )?([\w.]+)", str(error))
    if asked:
        return f"it asks for {asked[1]}, which weights do not need"
    return str(error).split("\n")[0] or type(error).__name__


def _check_entries(state: dict, path: Path) -> None:
    """Refuse a state dictionary that holds anything but tensors under the encoder's own names."""
    foreign = [
        f"{key} is a {type(value).__name__}"
        for key, value in state.items()
        if not isinstance(key, str) or not isinstance(value, Tensor)
    ]
    if foreign:
        raise DataError(f"{path}: its state_dict holds more than tensors: {first_few(foreign, 3)}")
    if state and all(key.startswith("module.") for key in state):
        raise DataError(
            f"{path}: its keys begin with module., as DataParallel saves them; save the "
            "state_dict of its `module` instead"
        )


def load_strictly(encoder: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Put weights into a network; DataError, with the difference named, unless all of them fit."""
    expected = encoder.state_dict()
    # Checkpoints older than PyTorch 0.4.1 lack these counters, which evaluation does not use.
    counters = {key for key in expected if key.endswith("num_batches_tracked")}
    missing = sorted(expected.keys() - state.keys() - counters)
    unexpected = sorted(state.keys() - expected.keys())
    common = sorted(expected.keys() & state.keys())
    shapes = [
        f"{key} is {tuple(state[key].shape)}, not {tuple(expected[key].shape)}"
        for key in common
        if state[key].shape != expected[key].shape
    ]
    types = [
        f"{key} is {_type(state[key])}, not {_type(expected[key])}"
        for key in common
        if _type(state[key]) != _type(expected[key])
    ]
    # Foreign types are named first: not all of them can be searched.
    values = [
        key
        for key in common
        if not types and state[key].is_floating_point() and not torch.isfinite(state[key]).all()
    ]
    faults = [
        f"{name} {first_few(keys, 3)}"
        for name, keys in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("shape:", shapes),
            ("type:", types),
            ("not finite:", values),
        )
        if keys
    ]
    if faults:
        raise DataError(f"{path}: does not fit the encoder: {'; '.join(faults)}")
    state = {**{key: expected[key] for key in counters}, **state}
    encoder.load_state_dict(state, strict=True)


def _type(value: Tensor) -> str:
    name = str(value.dtype).removeprefix("torch.")
    return name if value.layout == torch.strided else f"{name}, {value.layout}"
