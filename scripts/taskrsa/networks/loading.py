"""Networks of every loader, from a row of a bank.

What `package.module:function` names is code that is run, as trusted as any other that the user
imports; state dictionaries are only read (`weights_only`).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path

import torch
from torch import nn

from taskrsa.errors import ConfigError, DataError
from taskrsa.networks.layers import Layer, choose
from taskrsa.networks.network import TORCHSCRIPT, Network, checked_weights
from taskrsa.networks.onnx_network import OnnxNetwork
from taskrsa.networks.onnx_torch import as_torch
from taskrsa.networks.optional import blamed, let_torchvision_be_imported, optional_package
from taskrsa.networks.preprocessing import normalisation_of
from taskrsa.networks.script_network import ScriptNetwork, read_script
from taskrsa.networks.state import load_state
from taskrsa.networks.taps import HookedNetwork, NativeNetwork, TapNetwork
from taskrsa.networks.weights import load_encoder, on_accelerator

PROBED = 2  # images that a network is tried with
SIDE = 224  # pixels of them, where nothing says


def load_network(row: Network, weights: str | os.PathLike | None = None) -> TapNetwork:
    """Return the network of a row, in evaluation mode and single precision, without gradients.

    Parameters
    ----------
    weights : as `fetched` of `weights_file`

    Raises
    ------
    ConfigError
        If the loader's package is missing, there is no such function or it fails.
    DataError
        If the weights are missing, have another SHA-256 or do not fit; keys are named.
    """
    if row.is_native:
        network = NativeNetwork(native_encoder(row, weights), row)
    elif row.loader == "onnx":
        network = OnnxNetwork(row, checked_weights(row, weights))
        if row.arguments.get("trainable"):
            network = as_torch(network)
    elif row.loader == TORCHSCRIPT:
        network = ScriptNetwork(read_script(checked_weights(row, weights), row), row)
    else:
        network = _torch_network(row, checked_weights(row, weights))
    return network.eval().requires_grad_(False)


def native_encoder(row: Network, weights: str | os.PathLike | None = None) -> nn.Module:
    """Return an encoder of this project's architectures as `load_network` does.

    Errors are those of `load_encoder`, and of a file that is of another kind or takes other
    channels.
    """
    path = checked_weights(row, weights)
    if path is None:
        raise DataError(f"{row.where('weights')}: is empty; name the file that the run has made")
    if row.loader != "taskonomy" and path.suffix != ".safetensors":
        raise ConfigError(
            f"{row.where('weights')}: {path} is not a .safetensors file, as this project writes "
            "encoders; for the public bank's set loader to taskonomy"
        )
    try:
        encoder = load_encoder(path)
    except DataError as error:
        raise DataError(f"{row.where('weights')}: {error}") from None
    taken = encoder.spec.input_channels
    if taken != row.n_channels:
        fit = "lightness" if taken == 1 else "rgb"
        raise ConfigError(
            f"{row.where('channels')}: {path} takes {taken} channels and {row.channels} has "
            f"{row.n_channels}; set channels to {fit}"
        )
    return encoder


def layers_of(network: TapNetwork, side: int) -> list[Layer]:
    """Return where a network can be tapped, in the order in which images reach it, and what they
    never reach last; ConfigError if the network refuses its input.

    Parameters
    ----------
    side : of the stimuli, pixels; what the network is shown where its row gives no size
    """
    row = network.row
    side = row.size or side
    # Any images would do; noise reaches everything that does not ask for a certain content.
    pixels = torch.rand(PROBED, 3, side, side, generator=torch.Generator().manual_seed(0))
    shape = f"{row.n_channels} x {side} x {side}"
    with blamed(row, "channels and size", f"the network fails on images of {shape}"):
        return network.find_layers(normalisation_of(row)(pixels))


def where_it_runs(network: TapNetwork, side: int) -> tuple[TapNetwork, list[Layer]]:
    """Return a network on the accelerator, or on the processor if there is none or it fails there,
    and its layers; `side` and errors are as of `layers_of`."""
    network = on_accelerator(network)
    try:
        return network, layers_of(network, side)
    except (ConfigError, MemoryError) as error:
        device, name = network.device.type, network.row.name
        if device == "cpu":
            raise
        print(f"{name}: fails on {device}, so it runs on the processor ({error})")
        network = network.cpu()
        return network, layers_of(network, side)


def tap_network(
    row: Network, side: int, weights: str | os.PathLike | None = None
) -> tuple[TapNetwork, dict[str, Layer]]:
    """Return a row's network, on the accelerator if there is one, tapped at the row's layers.

    Parameters and errors are those of `load_network`, `layers_of` and
    `taskrsa.networks.layers.choose`.
    """
    network, layers = where_it_runs(load_network(row, weights), side)
    chosen = choose(layers, row)
    if not row.library:  # which have told it already
        print(f"{row.name}: images at {network.row.size or side} pixels", flush=True)
    network.tap(chosen)
    return network, chosen


# --- torch modules ---


def _torch_network(row: Network, path: Path | None) -> TapNetwork:
    # Weights that a function draws are the same in every job.
    with torch.random.fork_rng(devices=[]), blamed(row, "loader", f"{row.loader} fails"):
        torch.manual_seed(0)
        network, row = _MAKERS.get(row.library, _from_function)(row, path is None)
    if isinstance(network, torch.jit.ScriptModule):
        if path is not None:
            raise ConfigError(
                f"{row.where('weights')}: {row.loader} returns a TorchScript network, which has "
                "its weights; leave the cell empty"
            )
        return ScriptNetwork(network, row)
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"{row.where('loader')}: {row.loader} returns {type(network).__name__}, not a torch "
            "module; return the network"
        )
    if any(nn.parameter.is_lazy(tensor) for tensor in network.parameters()):
        raise ConfigError(
            f"{row.where('loader')}: {row.loader} returns a network of lazy modules; run it once "
            "on a batch before it is returned"
        )
    network.float()
    is_new = path is not None and _load_state(network, path, row)
    return HookedNetwork(network, row, has_new_head=is_new)


def _from_timm(row: Network, pretrained: bool) -> tuple[object, Network]:
    timm = optional_package("timm", row)
    name = row.loader.partition(":")[2]
    network = timm.create_model(name, **{"pretrained": pretrained, **row.arguments})
    config = timm.data.resolve_model_data_config(network)
    _, height, width = config["input_size"]
    if row.size is None and height != width:
        raise ConfigError(f"{row.where('size')}: timm's is {height} x {width}; give one number")
    return network, _completed(row, height, config["mean"], config["std"], config["interpolation"])


def _from_torchvision(row: Network, pretrained: bool) -> tuple[object, Network]:
    models = optional_package("torchvision", row).models
    name = row.loader.partition(":")[2]
    asked = row.arguments.get("weights") or "DEFAULT"
    known = getattr(models.get_model_weights(name), asked.rpartition(".")[2])
    network = models.get_model(name, **{"weights": known if pretrained else None, **row.arguments})
    return network, _completed(row, *torchvision_input(known))


def torchvision_input(weights: Enum) -> tuple[int | None, Sequence[float], Sequence[float], str]:
    """Return how weights of torchvision want images: their side in pixels, mean, std and the
    interpolation. Weights of other tasks than classification know some of it only; the rest is
    None or empty."""
    shown = vars(weights.transforms())
    sides = shown.get("crop_size") or shown.get("resize_size") or [None]
    mean, std = (shown.get(column) or () for column in ("mean", "std"))
    return sides[0], mean, std, getattr(shown.get("interpolation"), "value", "")


def _completed(
    row: Network,
    size: int | None,
    mean: Sequence[float],
    std: Sequence[float],
    interpolation: str,
) -> Network:
    """Fill a row's empty cells with what a library says of its network.

    Its centre crop is left out: networks are compared by what they make of the same image.
    """
    for column, values in (("mean", mean), ("std", std)):
        if not getattr(row, column) and len(values) != row.n_channels:
            raise ConfigError(
                f"{row.where(column)}: {row.library} gives {len(values)} numbers for the "
                f"{row.n_channels} channels of {row.channels}; fill it in"
            )
    found = replace(
        row,
        size=row.size or size,
        mean=row.mean or tuple(map(float, mean)),
        std=row.std or tuple(map(float, std)),
        interpolation="bicubic" if interpolation == "bicubic" else "bilinear",
    )
    numbers = (" ".join(f"{v:g}" for v in values) for values in (found.mean, found.std))
    print(
        f"{row.name}: images at {found.size or 'their own'} pixels, {found.interpolation}, mean "
        "{}, std {}".format(*numbers)
        + f"; {row.library}'s where the table has empty cells",
        flush=True,
    )
    return found


def _from_function(row: Network, pretrained: bool) -> tuple[object, Network]:
    module, _, name = row.loader.partition(":")
    function = _function(module, name, row)
    print(f"{row.name}: runs {row.loader}, code that you need to trust", flush=True)
    return function(**row.arguments), row


_MAKERS = {"timm": _from_timm, "torchvision": _from_torchvision}


def _function(module: str, name: str, row: Network) -> Callable:
    """Import a function of the user's; modules in the working folder are found, too."""
    where = row.where("loader")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    let_torchvision_be_imported()
    try:
        found: object = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # a module that the user's own imports
        raise ConfigError(
            f"{where}: there is no module {error.name}, neither installed nor in {here}; install "
            "it or correct the name"
        ) from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise ConfigError(f"{where}: {module} has no {name}; correct the name")
        found = getattr(found, part)
    if not callable(found):
        raise ConfigError(f"{where}: {row.loader} cannot be called; name a function or class")
    return found


def _load_state(network: nn.Module, path: Path, row: Network) -> bool:
    """Put a file's weights into a network; return whether its head keeps what it had."""

    def head() -> set[str]:
        tapped = HookedNetwork(network, row).eval().requires_grad_(False)
        layers = layers_of(tapped, SIDE)
        return {layer.name for layer in layers if layer.head}

    try:
        return load_state(network, path, row.name, head)
    except DataError as error:
        raise DataError(f"{row.where('weights')}: {error}") from None
