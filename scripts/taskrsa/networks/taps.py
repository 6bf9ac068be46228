"""Networks as the rest of the project sees them: where they can be tapped, and what comes out.

Every loader returns a `TapNetwork`. It says which layers there are, `tap` chooses some, and then
its forward pass returns their features, by name, images first.
"""

from __future__ import annotations

import gc
import hashlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from taskrsa.errors import RepresentationError
from taskrsa.io.files import sha256_of
from taskrsa.networks.fusing import fused
from taskrsa.networks.layers import Layer
from taskrsa.networks.network import Network
from taskrsa.networks.probing import Probe, first_tensor, slow_attention
from taskrsa.networks.reading import Reading

Precision = Literal["no", "bf16"]
Taps = dict[str, Tensor]


class TapNetwork(nn.Module, ABC):
    """A network of any loader.

    Attributes
    ----------
    row : its row in the bank, empty cells filled by what its library says
    trainable : whether gradients reach its weights
    keeps_layout : whether its code may rely on how tensors lie in memory
    """

    trainable: ClassVar[bool] = True
    keeps_layout: ClassVar[bool] = False

    def __init__(self, row: Network) -> None:
        super().__init__()
        self.row = row
        self.chosen: dict[str, Layer] = {}
        # Not every network has parameters to ask for its device.
        self.register_buffer("_marker", torch.zeros(()), persistent=False)

    @property
    def device(self) -> torch.device:
        return self._marker.device

    @property
    def n_parameters(self) -> int:
        return sum(values.numel() for values in self.parameters())

    @abstractmethod
    def find_layers(self, images: Tensor) -> list[Layer]:
        """Return where the network can be tapped, in the order in which images reach it.

        Parameters
        ----------
        images : (N, C, H, W) as the network takes them; N is at least 2
        """

    def tap(self, layers: Mapping[str, Layer]) -> None:
        """Choose the layers whose features a forward pass returns, by the names they get."""
        self.chosen = dict(layers)

    @abstractmethod
    def forward(self, images: Tensor) -> Taps:
        """Return the chosen layers' features, by name."""

    def fingerprint(self) -> list[str]:
        """Return hashes and versions of all of the network that features depend on: its weights,
        its structure and its code, unless it is part of this project."""
        digest = hashlib.sha256(repr(self).encode())
        for key, value in self.state_dict().items():
            digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return [digest.hexdigest()]

    def extractor(self, precision: Precision = "no") -> Callable[[Tensor], Taps]:
        """Return what turns images into features, on the device where the network is.

        With "bf16" matrix products and convolutions are in half precision (autocast); weights stay
        in single precision. The network may be changed by it and is not used otherwise afterwards.
        """
        self.eval()

        def run(images: Tensor) -> Taps:
            half = precision == "bf16"
            with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
                return self(images.to(self.device))

        return run


class NativeNetwork(TapNetwork):
    """An encoder of this project's architectures."""

    def __init__(self, encoder: nn.Module, row: Network) -> None:
        super().__init__(row)
        self.encoder = encoder

    def find_layers(self, images: Tensor) -> list[Layer]:
        with torch.inference_mode():
            taps = self.encoder.features(images.to(self.device))
        shapes = {name: tuple(values.shape[1:]) for name, values in taps.items()}
        return [
            Layer(name, "layer", shape, trunk=True, reading=Reading(0, shape[1:]))
            for name, shape in shapes.items()
        ]

    def forward(self, images: Tensor) -> Taps:
        taps = self.encoder.features(images)
        return {name: taps[layer.name] for name, layer in self.chosen.items()}

    def extractor(self, precision: Precision = "no") -> Callable[[Tensor], Taps]:
        """As of any network, rewritten to be faster (`taskrsa.networks.fusing`); with "bf16" all of
        it is in half precision."""
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        device = self.device
        network = fused(self.eval()).to(dtype=dtype, memory_format=torch.channels_last)
        if network is not self:
            del self.encoder  # not the weights before fusion beside those after it
        gc.collect()  # tracing leaves them in a cycle
        return lambda images: network(images.to(device, dtype))


class HookedNetwork(TapNetwork):
    """Any torch module; hooks keep what comes out of some of its modules.

    It runs as it is. Of a tuple, list or dictionary the first tensor is kept. With `has_new_head`
    its file had no weights of its head, which is then no layer.
    """

    keeps_layout = True

    def __init__(self, network: nn.Module, row: Network, has_new_head: bool = False) -> None:
        super().__init__(row)
        self.network, self.has_new_head = network, has_new_head
        self._kept: Taps = {}

    def find_layers(self, images: Tensor) -> list[Layer]:
        layers = Probe(self.network, images.to(self.device)).layers
        if not self.has_new_head:
            return layers
        fault = "has no weights in the file"
        return [replace(one, fault=one.fault or fault) if one.head else one for one in layers]

    def tap(self, layers: Mapping[str, Layer]) -> None:
        super().tap(layers)
        for name, layer in layers.items():
            self.network.get_submodule(layer.name).register_forward_hook(self._hook(name, layer))

    def _hook(self, name: str, layer: Layer) -> Callable:
        def keep(module: nn.Module, inputs: tuple, output: object) -> None:
            if name in self._kept:
                self._refuse(layer, "is called more than once for these images")
            values = first_tensor(output)
            if values is None:
                self._refuse(layer, "returns no tensor for these images")
            # What follows may work in place.
            self._kept[name] = values.clone()

        return keep

    def fingerprint(self) -> list[str]:
        """As of any network, with the source files of the classes of its modules and of the module
        that its loader names, PyTorch's own left out."""
        modules = {type(module).__module__ for module in self.network.modules()}
        modules = sorted(modules | {self.row.loader.partition(":")[0]})
        files = [getattr(sys.modules.get(name), "__file__", None) for name in modules]
        own = Path(torch.__file__).parent
        files = [file for file in files if file and own not in Path(file).parents]
        return [*super().fingerprint(), *map(sha256_of, files)]

    def forward(self, images: Tensor) -> Taps:
        """As of any network; RepresentationError if a module is not reached, or more than once, or
        does not give one row an image."""
        self._kept = {}
        with slow_attention():
            self.network(images.contiguous())
        taps = {}
        for name, layer in self.chosen.items():
            if name not in self._kept:
                self._refuse(layer, "is not reached by these images")
            values = self._kept[name]
            if values.is_inference() and not torch.is_inference_mode_enabled():
                values = values.clone()  # for a head that is trained on it
            if values.ndim <= layer.images_at or values.shape[layer.images_at] != len(images):
                self._refuse(layer, f"returns {tuple(values.shape)}, not one row per image")
            taps[name] = values.movedim(layer.images_at, 0)
        self._kept = {}
        return taps

    def _refuse(self, layer: Layer, fault: str) -> None:
        raise RepresentationError(
            f"{self.row.where('layers')}: module {layer.name} {fault}; name another module"
        )
