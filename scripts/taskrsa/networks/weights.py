"""Encoders of every family: built from a seed, saved with their spec, loaded strictly."""

from __future__ import annotations

import json
import pickle
import re
import warnings
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PosixPath, WindowsPath

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from taskrsa.errors import DataError, memory_lacked
from taskrsa.io.files import atomic_path
from taskrsa.networks.encoder import SmallEncoder, TaskonomyEncoder
from taskrsa.networks.file_kinds import instead_of, kind_of_file
from taskrsa.networks.spec import EncoderSpec, Spec, encoder_spec
from taskrsa.text import first_few

# What loops of training store beside weights, and what is only data.
_PLAIN = (Namespace, PosixPath, WindowsPath)
NETWORKS = {"taskonomy": TaskonomyEncoder, "small": SmallEncoder}


def random_encoder(spec: Spec, seed: int) -> nn.Module:
    """Return an untrained encoder whose weights depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NETWORKS[spec.family](spec)


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


def safetensors_of(module: nn.Module, header: Mapping[str, object]) -> bytes:
    """Return a safetensors file of all weights, with the header's entries as JSON."""
    # Weights that a network uses at two places are stored twice: the file is read without its code.
    state = {
        key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in module.state_dict().items()
    }
    return save(state, metadata={key: json.dumps(value) for key, value in header.items()})


@contextmanager
def opened_safetensors(path: Path) -> Iterator[safe_open]:
    """Open a safetensors file; DataError if it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        why = instead_of("safetensors", path) or f"not a whole safetensors file ({error})"
        raise DataError(f"{path}: {why}") from None


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return weights and header of a safetensors file; DataError if it is damaged."""
    with opened_safetensors(path) as file:
        return {key: file.get_tensor(key) for key in list(file.keys())}, file.metadata() or {}


def save_encoder(path: str | Path, encoder: nn.Module) -> None:
    """Write weights as safetensors with the spec in the header, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(safetensors_of(encoder, {"encoder": encoder_header(encoder)}))


def load_encoder(path: str | Path) -> nn.Module:
    """Load an encoder in evaluation mode.

    Parameters
    ----------
    path : a `.safetensors` file of this project, whose header holds the spec, or a checkpoint of
        the public bank (a dictionary with `state_dict`), loaded with `weights_only=True`: of the
        published size, with as many input channels as its first convolution has

    Raises
    ------
    DataError
        If the file cannot be read, or its keys, shapes or types are not exactly the encoder's.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        state, header = read_safetensors(path)
        spec = encoder_spec(json.loads(header.get("encoder", "{}")))
    else:
        state, spec = _read_public(path)
    encoder = NETWORKS[spec.family](spec)
    load_strictly(encoder, state, path)
    return encoder.eval().requires_grad_(False)


def _read_public(path: Path) -> tuple[dict[str, Tensor], EncoderSpec]:
    payload = load_pickled(path)
    state = payload.get("state_dict") if isinstance(payload, dict) else None
    if not isinstance(state, dict):
        raise DataError(f"{path}: holds no `state_dict`; a checkpoint of the public bank does")
    # Training loops put numbers beside weights.
    state = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    if state and all(key.startswith("module.") for key in state):
        raise DataError(
            f"{path}: its keys begin with module., as DataParallel saves them; save the "
            "state_dict of its `module` instead"
        )
    first = state.get("conv1.weight")
    # Colorization sees lightness only, so its first convolution has one input channel.
    known = first is not None and first.ndim == 4 and first.shape[1] > 0
    return state, EncoderSpec(input_channels=first.shape[1]) if known else EncoderSpec()


def load_pickled(path: Path) -> object:
    """Return what `torch.save` wrote; DataError if it is more than weights and numbers, or the
    file is not one."""
    kind = kind_of_file(path)
    if kind:
        raise DataError(f"{path}: is {kind}")
    try:
        with torch.serialization.safe_globals([*_numbers(), *_PLAIN]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other protocols of pickles
            return torch.load(path, map_location="cpu", weights_only=True)
    except (
        *(pickle.UnpicklingError, RuntimeError, EOFError, ValueError),
        *(LookupError, TypeError, AttributeError, AssertionError),
    ) as error:
        if memory_lacked(error):
            raise MemoryError(str(error)) from error
        raise DataError(f"{path}: {_unpickling_reason(error)}") from None


def _numbers() -> list:
    """Return what builds NumPy numbers, such as the best loss of a training loop, and nothing else,
    under the names that its module had before NumPy 2 and has since."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, bool)}
    names = [f"numpy.{core}.multiarray.scalar" for core in ("core", "_core")]
    return [np.dtype, *kinds, *((scalar, name) for name in names)]


def _unpickling_reason(error: Exception) -> str:
    """Say why a file was not loaded. PyTorch's own text would have it loaded without the check."""
    asked = re.search(
        r"(?:unsupported (?:global|class)\W+(?:GLOBAL )?|GLOBAL )([A-Za-z_][\w.]*)",
        str(error),
        re.IGNORECASE,
    )
    if asked:
        return (
            f"it asks for {asked[1]}, which weights do not need and which may do harm; save the "
            "network's state_dict, and use no file of a source that you do not trust"
        )
    return "is not a PyTorch checkpoint, or is damaged; get it again, or save the state_dict again"


def load_strictly(
    network: nn.Module, state: dict[str, Tensor], path: Path, what: str = "encoder"
) -> None:
    """Put weights into a network; DataError, with the difference named, unless all of them fit."""
    expected = network.state_dict()
    # Checkpoints older than PyTorch 0.4.1 lack these counters, which evaluation does not use.
    counters = {key for key in expected if key.endswith("num_batches_tracked")}
    both = {key: (state[key], expected[key]) for key in sorted(expected.keys() & state.keys())}
    faults = {
        "missing": sorted(expected.keys() - state.keys() - counters),
        "unexpected": sorted(state.keys() - expected.keys()),
        "shape:": [
            f"{key} is {tuple(found.shape)}, not {tuple(wanted.shape)}"
            for key, (found, wanted) in both.items()
            if found.shape != wanted.shape
        ],
        "type:": [
            f"{key} is {_type(found)}, not {_type(wanted)}"
            for key, (found, wanted) in both.items()
            if _type(found) != _type(wanted)
        ],
    }
    if not faults["type:"]:  # not all foreign types can be searched
        faults["not finite:"] = [
            key
            for key, (found, _) in both.items()
            if found.is_floating_point() and not torch.isfinite(found).all()
        ]
    lines = [f"{name} {first_few(keys, 3)}" for name, keys in faults.items() if keys]
    if lines:
        raise DataError(f"{path}: does not fit the {what}: {'; '.join(lines)}")
    network.load_state_dict({key: expected[key] for key in counters} | state)


def _type(value: Tensor) -> str:
    name = str(value.dtype).removeprefix("torch.")
    return name if value.layout == torch.strided else f"{name}, {value.layout}"
