"""Networks of the user's own: loaded as a row of a bank says, and listened to at some modules.

A network runs as it is, in evaluation mode and single precision; hooks on its modules keep what
comes out. Of a tuple, list or dictionary the first tensor is kept. What `package.module:function`
names is code that is run, as trusted as any other that the user imports; state dictionaries are
only read (`weights_only`).
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from taskrsa.errors import ConfigError, DataError, RepresentationError, TaskrsaError
from taskrsa.networks.layers import N_AUTO, Place, ancestors, bottlenecks, choose, head
from taskrsa.networks.preprocessing import network_input
from taskrsa.networks.table import OWN, Network, check_weights, weights_file
from taskrsa.networks.weights import load_encoder, load_strictly, unpickling_reason

PROBED = 2  # images that a network is tried with
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_WRAPPED = ("state_dict", "model")  # under which training loops store the weights
_VIEWS = ("ViewBackward", "ReshapeAlias", "UnsafeView", "Squeeze", "Unsqueeze")
_LISTS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_DEFAULT_SIDE = 256  # pixels, of stimuli


def network_of(row: Network, weights: str | os.PathLike | None = None) -> nn.Module:
    """Return the network of a row, in evaluation mode and single precision, without gradients.

    Parameters
    ----------
    weights : where the file lies whose address is in the table

    Raises
    ------
    ConfigError
        If the loader's package is missing, there is no such function or it fails.
    DataError
        If the weights are missing, have another SHA-256 or do not fit; keys are named.
    """
    path = weights_file(row, weights)
    if path is not None:
        check_weights(row, path)
    if row.loader in OWN:
        return _own(row, path)
    if row.loader == "onnx":
        from taskrsa.networks.onnx_network import OnnxNetwork

        return OnnxNetwork(row, path)
    # Weights that a function draws are the same in every job.
    with torch.random.fork_rng(devices=[]), _blamed(row, "loader", f"{row.loader} fails"):
        torch.manual_seed(0)
        network = _maker(row, comes_with_weights=path is None)()
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"{row.where('loader')}: {row.loader} returns a {type(network).__name__}, not a torch "
            "module; return the network"
        )
    if any(nn.parameter.is_lazy(tensor) for tensor in network.parameters()):
        raise ConfigError(
            f"{row.where('loader')}: {row.loader} returns a network of lazy modules; run it once "
            "on a batch before it is returned"
        )
    network.float()
    if path is not None:
        _load_state(network, path, row)
    return network.eval().requires_grad_(False)


def places_of(network: nn.Module, row: Network, side: int = _DEFAULT_SIDE) -> list[Place]:
    """Return where a network can be listened to, in the order in which it is reached, and what it
    never reaches last.

    Parameters
    ----------
    network : of `network_of`
    side : of the stimuli, pixels; what the network is shown where its row gives no size

    Raises
    ------
    ConfigError
        If the network refuses its input.
    """
    side = row.size or side
    # Any images would do; noise reaches everything that does not ask for a certain content.
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(PROBED, row.n_channels, side, side, generator=generator)
    images = (pixels - _numbers(row.mean)) / _numbers(row.std)
    refusal = f"the network fails on images of {row.n_channels} x {side} x {side}"
    if hasattr(network, "places"):
        with _blamed(row, "channels and size", refusal):
            return network.places(images)
    if row.loader in OWN:
        with _blamed(row, "channels and size", refusal), torch.inference_mode():
            taps = network.features(images)
        return [Place(name, "layer", tuple(v.shape[1:]), trunk=True) for name, v in taps.items()]
    with _blamed(row, "channels and size", refusal):
        return _Probe(network, images).places


def listening(
    row: Network, side: int, weights: str | os.PathLike | None = None
) -> tuple[nn.Module, dict[str, Place]]:
    """Return a row's network as `taskrsa.networks.extraction.extract` takes it, and what its
    layers are.

    Parameters
    ----------
    side : of the stimuli, pixels
    weights : where the file lies whose address is in the table

    Raises
    ------
    ConfigError, DataError
        As `network_of`, `places_of` and `taskrsa.networks.layers.choose`.
    """
    network = network_of(row, weights)
    chosen = choose(places_of(network, row, side), row)
    if hasattr(network, "listen"):
        network.listen(chosen)
        return network, chosen
    wrap = Own if row.loader in OWN else Foreign
    return wrap(network, chosen, row).eval(), chosen


def input_of(row: Network) -> Callable[[np.ndarray], Tensor]:
    """Return what turns (N, H, W, 3) uint8 photographs into a network's input, (N, C, size, size).

    Photographs are resized first (bilinear, over the area when they become smaller), then turned
    into the row's channels on the scale of 0 to 1, then normalised.
    """

    def to_input(rgb: np.ndarray) -> Tensor:
        return normalise(torch.from_numpy(rgb).permute(0, 3, 1, 2).float() / 255)

    normalise = normalisation_of(row)
    return to_input


def normalisation_of(row: Network) -> Callable[[Tensor], Tensor]:
    """Return what turns photographs (N, 3, H, W) on [0, 1] into a network's input; see
    `input_of`."""

    def normalise(images: Tensor) -> Tensor:
        if row.size is not None and images.shape[2:] != (row.size, row.size):
            images = F.interpolate(images, (row.size,) * 2, mode="bilinear", antialias=True)
        if row.channels == "bgr":
            images = images.flip(1)
        elif row.channels == "grey":
            images = (images * _numbers(LUMA)).sum(1, keepdim=True)
        elif row.channels == "lightness":
            shown = images.clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
            images = ((network_input(shown, "lightness", clip=False) + 1) / 2).to(images.device)
        mean, std = (_numbers(values).to(images.device) for values in (row.mean, row.std))
        return (images - mean) / std

    return normalise


class Own(nn.Module):
    """An encoder of this project, its taps under the names of the row's layers."""

    def __init__(self, encoder: nn.Module, chosen: Mapping[str, Place], row: Network) -> None:
        super().__init__()
        self.encoder = encoder
        self.chosen = {layer: place.name for layer, place in chosen.items()}

    def features(self, images: Tensor) -> dict[str, Tensor]:
        taps = self.encoder.features(images)
        return {layer: taps[name] for layer, name in self.chosen.items()}


class Foreign(nn.Module):
    """A network whose forward pass returns what came out of some of its modules.

    It has no method `features`: extraction then runs it as it is, instead of a rewritten copy.

    Parameters
    ----------
    network : any torch module
    chosen : its modules to listen to, by the names of their layers
    row : its row in the bank, for errors
    """

    def __init__(self, network: nn.Module, chosen: Mapping[str, Place], row: Network) -> None:
        super().__init__()
        # What extraction asks for its device: not every network has parameters.
        self.place = nn.Parameter(torch.zeros(()), requires_grad=False)
        self.network = network
        self.chosen = dict(chosen)
        self.row = row
        self._heard: dict[str, Tensor] = {}
        for layer, place in self.chosen.items():
            network.get_submodule(place.name).register_forward_hook(self._hook(layer, place))

    def _hook(self, layer: str, place: Place) -> Callable:
        def keep(module: nn.Module, inputs: tuple, output: object) -> None:
            if layer in self._heard:
                self._refuse(place, "is called more than once for these images")
            values = _first_tensor(output)
            if values is None:
                self._refuse(place, "returns no tensor for these images")
            # What follows may work in place.
            self._heard[layer] = values.clone()

        return keep

    def to(self, *words: object, memory_format: object = None, **names: object) -> Foreign:
        """As of any module, but the layout stays: `view` in foreign code may rely on it."""
        return super().to(*words, **names)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the layers' features, by name, images first.

        Raises
        ------
        RepresentationError
            If a module is not reached, or more than once, or gives no row an image.
        """
        self._heard = {}
        with _slow_attention():
            self.network(images.contiguous())
        taps = {}
        for layer, place in self.chosen.items():
            if layer not in self._heard:
                self._refuse(place, "is not reached by these images")
            values = self._heard[layer]
            if values.ndim <= place.images_at or values.shape[place.images_at] != len(images):
                self._refuse(place, f"returns {tuple(values.shape)}, not one row an image")
            taps[layer] = values.movedim(place.images_at, 0)
        self._heard = {}
        return taps

    def _refuse(self, place: Place, fault: str) -> None:
        raise RepresentationError(
            f"{self.row.where('layers')}: module {place.name} {fault}; name another module"
        )


class _Probe:
    """One pass with gradients, which shows what is called and what depends on what."""

    def __init__(self, network: nn.Module, images: Tensor) -> None:
        self.n = len(images)
        self.calls: dict[str, list] = defaultdict(list)  # outputs of each module, in order
        self.nodes: dict[str, object] = {}  # of the graph of gradients
        self.network = network
        try:
            output = self._run(images.clone().requires_grad_())
        except RuntimeError:
            # Some networks cannot be differentiated with respect to their input.
            output = self._run(images)
        self.places = self._places(self._trunk(output))

    def _run(self, images: Tensor) -> object:
        self.calls.clear()
        self.nodes.clear()
        modules = [(name, module) for name, module in self.network.named_modules() if name]
        with ExitStack() as hooks, torch.enable_grad(), _slow_attention():
            for name, module in modules:
                handle = module.register_forward_hook(self._hook(name))
                hooks.callback(handle.remove)
            # Not the leaf itself, which may not be changed in place.
            return self.network(images * 1)

    def _hook(self, name: str) -> Callable:
        def note(module: nn.Module, inputs: tuple, output: object) -> None:
            values = _first_tensor(output)
            self.calls[name].append(None if values is None else tuple(values.shape))
            self.nodes[name] = None if values is None else _made_by(values)

        return note

    def _trunk(self, output: object) -> set[str]:
        """Return the modules before the head that everything passes through."""
        outputs = [values.grad_fn for values in _tensors(output) if values.grad_fn is not None]
        usable = [name for name in self.calls if not self._fault(name)]
        if not outputs:
            return set(usable[:-1])
        before: dict[object, list] = {}

        def predecessors(node: object) -> list:
            if node not in before:
                before[node] = [other for other, _ in node.next_functions if other is not None]
            return before[node]

        order = ancestors(outputs, predecessors)
        makers = head(outputs, predecessors, lambda node: type(node).__name__)
        nodes = [node for node in bottlenecks(order, predecessors) if node not in makers]
        trunk = [name for name in usable if self.nodes[name] in set(nodes)]
        return self._blocks(trunk)

    def _blocks(self, trunk: list[str]) -> set[str]:
        """Return the outermost modules of a trunk, opened until there are enough.

        A list of blocks is none itself. A stage and its last block put out the same: the outer one
        stands for both.
        """
        modules = dict(self.network.named_modules())
        opened = {name for name, module in modules.items() if type(module) in _LISTS}
        while True:
            closed = [f"{name}." for name in trunk if name not in opened]
            found: dict[object, str] = {}
            for name in trunk:
                if name.startswith(tuple(before for before in closed if before != f"{name}.")):
                    continue
                other = found.setdefault(self.nodes[name], name)
                if name.count(".") < other.count("."):
                    found[self.nodes[name]] = name
            larger = {
                name
                for name in found.values()
                if name not in opened and any(other.startswith(f"{name}.") for other in trunk)
            }
            if len(found) >= N_AUTO or not larger:
                return set(found.values())
            opened |= larger

    def _fault(self, name: str) -> str:
        calls = self.calls.get(name, [])
        if not calls:
            return "is never reached"
        if len(calls) > 1:
            return f"is called {len(calls)} times for one image"
        if calls[0] is None:
            return "returns no tensor"
        if self._images_at(calls[0]) is None:
            return f"returns {calls[0]} for {self.n} images, not one row an image"
        return ""

    def _images_at(self, shape: tuple[int, ...]) -> int | None:
        """Return the dimension that counts the images; tokens may come before them."""
        if shape[:1] == (self.n,) and len(shape) > 1:
            return 0
        return 1 if len(shape) == 3 and shape[1] == self.n else None

    def _places(self, trunk: set[str]) -> list[Place]:
        found = []
        modules = dict(self.network.named_modules())
        left = [name for name in modules if name and name not in self.calls]
        for name in [*self.calls, *left]:
            kind, fault = type(modules[name]).__name__, self._fault(name)
            if fault:
                found.append(Place(name, kind, fault=fault))
                continue
            shape = self.calls[name][0]
            at = self._images_at(shape)
            shape = shape[:at] + shape[at + 1 :]
            found.append(Place(name, kind, shape, trunk=name in trunk, images_at=at))
        return found


# --- loaders ---


def _own(row: Network, path: Path) -> nn.Module:
    if row.loader == "checkpoint" and path.suffix != ".safetensors":
        raise ConfigError(
            f"{row.where('weights')}: {path} is no .safetensors file, as this project writes "
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


def _maker(row: Network, comes_with_weights: bool) -> Callable[[], object]:
    kind, _, name = row.loader.partition(":")
    if kind == "timm":
        create = extra(kind, row).create_model
        return lambda: create(name, pretrained=comes_with_weights, **row.arguments)
    if kind == "torchvision":
        create = extra(kind, row).models.get_model
        weights = "DEFAULT" if comes_with_weights else None
        return lambda: create(name, weights=weights, **row.arguments)
    function = _function(kind, name, row)
    print(f"{row.name}: runs {row.loader}, code that you trust as your own", flush=True)
    return lambda: function(**row.arguments)


def extra(package: str, row: Network, extra: str | None = None) -> ModuleType:
    """Return an optional package; if it is missing say how to install it.

    Raises
    ------
    ConfigError
        If it is missing or does not work here.
    """
    extra = extra or package
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            fault = f"{package} cannot be imported ({_reason(error)})"
        else:
            fault = f"{package} is not installed"
    except Exception as error:  # whatever a broken installation raises
        fault = f"{package} cannot be imported ({_reason(error)})"
    raise ConfigError(
        f'{row.where("loader")}: {fault}; install it: pip install ".[{extra}]"'
    ) from None


def _function(module: str, name: str, row: Network) -> Callable:
    """Import a function of the user's; modules in the working folder are found, too."""
    where = row.where("loader")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
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


def _load_state(network: nn.Module, path: Path, row: Network) -> None:
    where = row.where("weights")
    state = _read_state(path, where)
    if state and all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    # Half-precision files fit networks in single precision; other types are another network's.
    expected = network.state_dict()
    for key, value in state.items():
        if key in expected and value.is_floating_point() and expected[key].is_floating_point():
            state[key] = value.to(expected[key].dtype)
    try:
        load_strictly(network, state, path)
    except DataError as error:
        line = str(error).replace("does not fit the encoder", "does not fit the network")
        raise DataError(f"{where}: {line}") from None


def _read_state(path: Path, where: str) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise DataError(f"{where}: {path} is no whole safetensors file ({error})") from None
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except (
        *(pickle.UnpicklingError, RuntimeError, EOFError, ValueError),
        *(LookupError, TypeError, AttributeError, AssertionError),
    ) as error:
        raise DataError(
            f"{where}: {path} cannot be loaded with weights_only=True "
            f"({unpickling_reason(error)}); save the network's state_dict"
        ) from None
    for key in _WRAPPED:
        if isinstance(payload, dict) and isinstance(payload.get(key), dict):
            payload = payload[key]
            break
    if not isinstance(payload, dict) or not payload:
        raise DataError(f"{where}: {path} holds no state_dict; save the network's")
    for key, value in payload.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise DataError(
                f"{where}: {path} holds a {type(value).__name__} under {key!r}; save the network's "
                "state_dict alone"
            )
    return dict(payload)


# --- helpers ---


def _numbers(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1)


def _tensors(output: object) -> Iterator[Tensor]:
    """Yield the tensors of an output in order, whatever they are packed in."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, (tuple, list)):
        for value in output:
            yield from _tensors(value)


def _made_by(values: Tensor) -> object:
    """Return the node of the graph of gradients that made the numbers, whatever their shape is."""
    node = values.grad_fn
    while node is not None and type(node).__name__.startswith(_VIEWS):
        before = [other for other, _ in node.next_functions if other is not None]
        if len(before) != 1:
            break
        node = before[0]
    return node


def _first_tensor(output: object) -> Tensor | None:
    return next(_tensors(output), None)


@contextmanager
def _slow_attention() -> Iterator[None]:
    """Let transformers call their modules one by one: their fast path passes hooks by."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def _blamed(row: Network, columns: str, what: str) -> Iterator[None]:
    """Turn whatever foreign code raises into one line that names the row."""
    try:
        yield
    except (TaskrsaError, MemoryError):
        raise
    except Exception as error:
        raise ConfigError(f"{row.where(columns)}: {what} ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    """Return type and message of an error, and where it was raised."""
    message = str(error).strip().split("\n")[0]
    frames = traceback.extract_tb(error.__traceback__)
    place = f", {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {message[:200]}{place}"
