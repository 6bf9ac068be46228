"""Encoders of every family: built from a seed, saved with their spec, loaded strictly."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from taskrsa.errors import DataError
from taskrsa.files import atomic_path
from taskrsa.models.encoder import TaskonomyEncoder
from taskrsa.models.small import SmallEncoder
from taskrsa.models.spec import EncoderSpec, Spec, encoder_spec

NETWORKS = {"taskonomy": TaskonomyEncoder, "small": SmallEncoder}


def _build(spec: Spec) -> nn.Module:
    return NETWORKS[spec.family](spec)


def random_encoder(spec: Spec, seed: int) -> nn.Module:
    """Return an untrained encoder whose weights depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _build(spec)


def encoder_header(encoder: nn.Module) -> dict:
    """Return what a file of weights says of its encoder: its family and its spec."""
    return {"family": encoder.spec.family, **asdict(encoder.spec)}


def save_encoder(path: str | Path, encoder: nn.Module) -> None:
    """Write weights as safetensors with the spec in the header, atomically."""
    from safetensors.torch import save_file

    state = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
    header = encoder_header(encoder)
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={"encoder": json.dumps(header)})


def load_encoder(path: str | Path, spec: EncoderSpec | None = None) -> nn.Module:
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
    encoder = _build(stored or spec or EncoderSpec())
    _load_strictly(encoder, state, path)
    return encoder.eval().requires_grad_(False)


def _read_state(path: Path) -> tuple[dict[str, Tensor], Spec | None]:
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
        return state, encoder_spec(header, channels)
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
