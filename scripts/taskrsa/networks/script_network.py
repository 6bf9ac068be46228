"""TorchScript networks: scripted, traced or frozen modules, with values inside as further outputs.

Hooks do not see what such a module does inside, and its file need not keep the names of modules. So
the values of its graph are its layers, by the names that they have there. Operations that work in
place are replaced by others that do not, or a value would be changed by what follows it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from taskrsa.errors import DataError, RepresentationError, memory_lacked
from taskrsa.networks.file_kinds import kind_of_file
from taskrsa.networks.layers import Layer
from taskrsa.networks.network import Network
from taskrsa.networks.probing import Probe
from taskrsa.networks.taps import TapNetwork, Taps

Values = dict[str, object]


def read_script(path: Path, row: Network) -> torch.jit.ScriptModule:
    """Return the network of a TorchScript file, on the processor; DataError if it holds none. None
    of the code in it is Python's."""
    where = row.where("weights")
    try:
        return torch.jit.load(path, map_location="cpu")
    except (RuntimeError, ValueError) as error:
        if memory_lacked(error):
            raise MemoryError(str(error)) from error
        kind = kind_of_file(path)
        said = (
            f"is {kind}" if kind and "torchscript" not in kind else "holds no TorchScript network"
        )
        raise DataError(f"{where}: {path} {said}; write it with torch.jit.save") from None


class ScriptNetwork(TapNetwork):
    """A TorchScript module that is compared as it is; its head alone is trained."""

    trainable = False

    def __init__(self, network: torch.jit.ScriptModule, row: Network) -> None:
        super().__init__(row)
        self.network = network
        for weights in network.parameters():  # modules of TorchScript cannot be told at once
            weights.requires_grad_(False)
        self._run, self.kinds = _with_values(network)

    def requires_grad_(self, requires_grad: bool = True) -> ScriptNetwork:
        """As of any module; weights of TorchScript stay as they are."""
        return self

    def find_layers(self, images: Tensor) -> list[Layer]:
        return _ScriptProbe(self, images.to(self.device)).layers

    def forward(self, images: Tensor) -> Taps:
        """As of any network; RepresentationError if a value does not have one row an image."""
        _, values = self._run(images)
        taps = {}
        for name, layer in self.chosen.items():
            found = values[layer.name]
            if found.ndim <= layer.images_at or found.shape[layer.images_at] != len(images):
                raise RepresentationError(
                    f"{self.row.where('layers')}: {layer.name} is {tuple(found.shape)} for "
                    f"{len(images)} images, not one row per image; name another value"
                )
            taps[name] = found.movedim(layer.images_at, 0)
        return taps

    def fingerprint(self) -> list[str]:
        return [*super().fingerprint(), str(self.network.inlined_graph)]


def _with_values(
    network: torch.jit.ScriptModule,
) -> tuple[Callable[[Tensor], tuple[object, Values]], dict[str, str]]:
    """Return what turns images into a network's output and all values inside, by name, and which
    operation makes each."""
    graph = network.inlined_graph
    torch._C._jit_pass_remove_mutation(graph)
    kind = torch._C.TensorType.get()
    inside = {
        value.debugName(): value
        for node in graph.nodes()
        for value in node.outputs()
        if value.type().isSubtypeOf(kind) and not node.kind().startswith("prim::")
    }
    kinds = {name: value.node().kind().rpartition(":")[2] for name, value in inside.items()}
    before = list(graph.outputs())
    outputs = [*before, *inside.values()]
    packed = graph.create("prim::TupleConstruct", outputs, 1)
    graph.appendNode(packed)
    packed.output().setType(torch._C.TupleType([value.type() for value in outputs]))
    for _ in before:
        graph.eraseOutput(0)
    graph.registerOutput(packed.output())
    function, names = torch._C._create_function_from_graph("values", graph), list(inside)

    def run(images: Tensor) -> tuple[object, Values]:
        # What is fused has no gradients of its own, by which layers are found.
        with torch.jit.optimized_execution(False):
            output, *values = function(network._c, images)
        return output, dict(zip(names, values, strict=True))

    return run, kinds


class _Value(nn.Module):
    """What stands for a value where a module would be."""


class _ScriptProbe(Probe):
    """As of a module, by the values of its graph."""

    def _run(self, images: Tensor) -> object:
        for kept in (self.calls, self.ends, self.nodes):
            kept.clear()
        with torch.enable_grad():
            output, values = self.network._run(images * 1)
        for name, value in values.items():
            self._hook(name)(None, (), value)
        return output

    def _modules(self) -> dict[str, nn.Module]:
        kinds = {kind: type(kind, (_Value,), {})() for kind in set(self.network.kinds.values())}
        return {name: kinds[kind] for name, kind in self.network.kinds.items()}
