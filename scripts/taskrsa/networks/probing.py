"""Where a torch network can be tapped: one pass shows what is called and what depends on what."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from taskrsa.networks.layers import N_AUTO, Layer, ancestors, bottlenecks, head

_VIEWS = ("ViewBackward", "ReshapeAlias", "UnsafeView", "Squeeze", "Unsqueeze")
_LISTS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class Probe:
    """One pass with gradients; `layers` are the modules in the order in which images reach them,
    then the others.

    Parameters
    ----------
    network : in evaluation mode
    images : (N, C, H, W), N at least 2 so that the dimension of images stands out
    """

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
        self.layers = self._layers(self._trunk(output))

    def _run(self, images: Tensor) -> object:
        self.calls.clear()
        self.nodes.clear()
        modules = [(name, module) for name, module in self.network.named_modules() if name]
        with ExitStack() as hooks, torch.enable_grad(), slow_attention():
            for name, module in modules:
                handle = module.register_forward_hook(self._hook(name))
                hooks.callback(handle.remove)
            # Not the leaf itself, which may not be changed in place.
            return self.network(images * 1)

    def _hook(self, name: str) -> Callable:
        def note(module: nn.Module, inputs: tuple, output: object) -> None:
            values = first_tensor(output)
            self.calls[name].append(None if values is None else tuple(values.shape))
            self.nodes[name] = None if values is None else _made_by(values)

        return note

    def _trunk(self, output: object) -> set[str]:
        """Return the modules before the head that everything passes through."""
        outputs = [values.grad_fn for values in _tensors(output) if values.grad_fn is not None]
        usable = [name for name in self.calls if not self._fault(name)]
        if not outputs:
            return set(usable[:-1])
        predecessors = functools.cache(_predecessors)
        order = ancestors(outputs, predecessors)
        makers = head(outputs, predecessors, lambda node: type(node).__name__)
        nodes = [node for node in bottlenecks(order, predecessors) if node not in makers]
        trunk = [name for name in usable if self.nodes[name] in set(nodes)]
        return self._blocks(trunk)

    def _blocks(self, trunk: list[str]) -> set[str]:
        """Return the outermost modules of a trunk, opened until there are enough; of a stage and
        its last block, which put out the same, the outer one. A list of blocks is none itself."""
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
            return f"returns {calls[0]} for {self.n} images, not one row per image"
        return ""

    def _images_at(self, shape: tuple[int, ...]) -> int | None:
        """Return the dimension that counts the images; tokens may come before them."""
        if shape[:1] == (self.n,) and len(shape) > 1:
            return 0
        return 1 if len(shape) == 3 and shape[1] == self.n else None

    def _layers(self, trunk: set[str]) -> list[Layer]:
        found = []
        modules = dict(self.network.named_modules())
        left = [name for name in modules if name and name not in self.calls]
        for name in [*self.calls, *left]:
            kind, fault = type(modules[name]).__name__, self._fault(name)
            if fault:
                found.append(Layer(name, kind, fault=fault))
                continue
            shape = self.calls[name][0]
            at = self._images_at(shape)
            shape = shape[:at] + shape[at + 1 :]
            found.append(Layer(name, kind, shape, trunk=name in trunk, images_at=at))
        return found


def _tensors(output: object) -> Iterator[Tensor]:
    """Yield the tensors of an output in order, whatever they are packed in."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, (Mapping, tuple, list)):
        for value in output.values() if isinstance(output, Mapping) else output:
            yield from _tensors(value)


def first_tensor(output: object) -> Tensor | None:
    """Return the first tensor of what a module puts out, whatever it is packed in."""
    return next(_tensors(output), None)


def _predecessors(node: object) -> list:
    """Return the nodes of the graph of gradients that one depends on."""
    return [other for other, _ in node.next_functions if other is not None]


def _made_by(values: Tensor) -> object:
    """Return the node of the graph of gradients that made the numbers, whatever their shape is."""
    node = values.grad_fn
    while node is not None and type(node).__name__.startswith(_VIEWS):
        before = _predecessors(node)
        if len(before) != 1:
            break
        node = before[0]
    return node


@contextmanager
def slow_attention() -> Iterator[None]:
    """Let transformers call their modules one by one: their fast path passes hooks by."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
