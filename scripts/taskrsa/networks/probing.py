"""Where a torch network can be tapped: one pass shows what is called and what depends on what."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from taskrsa.networks.flow import Flow, ancestors
from taskrsa.networks.layers import N_AUTO, NEVER_REACHED, Layer
from taskrsa.networks.reading import UNREADABLE, Node, Reading, Step, guessed

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
        self.ends: dict[str, Node | None] = {}  # of the graph of gradients, of each output
        self.nodes: dict[str, Node | None] = {}  # the same without views
        self.network = network
        try:
            with _gradients():
                output = self._run(images.clone().requires_grad_())
        except RuntimeError:
            # Some networks cannot be differentiated with respect to their input.
            output = self._run(images)
        self.flow = self._flow(output)
        self.layers = self._layers()

    def _run(self, images: Tensor) -> object:
        for kept in (self.calls, self.ends, self.nodes):
            kept.clear()
        modules = [(name, module) for name, module in self.network.named_modules() if name]
        with ExitStack() as hooks, torch.enable_grad(), slow_attention():
            for name, module in modules:
                try:
                    handle = module.register_forward_hook(self._hook(name))
                except RuntimeError:
                    if not isinstance(module, torch.jit.ScriptModule):
                        raise
                    continue  # nobody sees what TorchScript of a file calls inside
                hooks.callback(handle.remove)
            # Not the leaf itself, which may not be changed in place.
            return self.network(images * 1)

    def _modules(self) -> dict[str, nn.Module]:
        return dict(self.network.named_modules())

    def _hook(self, name: str) -> Callable:
        def note(module: nn.Module, inputs: tuple, output: object) -> None:
            values = first_tensor(output)
            self.calls[name].append(None if values is None else tuple(values.shape))
            self.ends[name] = None if values is None else values.grad_fn
            self.nodes[name] = None if values is None else _made_by(values)

        return note

    def _flow(self, output: object) -> Flow | None:
        """Return how images flow to the outputs; None if gradients do not show it."""
        outputs = [values.grad_fn for values in _tensors(output) if values.grad_fn is not None]
        inside = [node for node in self.ends.values() if node is not None]
        # Of classes chosen, say, there are no gradients: then what was made last is the output.
        outputs = outputs or inside[-1:]
        if not outputs:
            return None
        return Flow({n: _step(n) for n in ancestors([*outputs, *inside], _predecessors)}, outputs)

    def _trunk(self) -> tuple[set[str], Node | None]:
        """Return the modules before the head that everything passes through, and what the last of
        them puts out."""
        usable = [name for name in self.calls if not self._fault(name)]
        if self.flow is None:
            return set(usable[:-1]), None
        readable = [n for n in usable if self._reading(n).channels_at is not None]
        last = self.flow.last(self.nodes[n] for n in readable if self.nodes[n] is not None)
        if last is None:
            return set(), None
        nodes = self.flow.trunk(last)
        return self._blocks([name for name in usable if self.nodes[name] in nodes]), last

    def _blocks(self, trunk: list[str]) -> set[str]:
        """Return the outermost modules of a trunk, opened until there are enough; of a stage and
        its last block, which put out the same, the outer one. A list of blocks is none itself."""
        modules = self._modules()
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
            return NEVER_REACHED
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

    def _reading(self, name: str) -> Reading:
        """Return what the dimensions of a module's output mean, that of the images among them."""
        if self.flow is not None:
            end = self.ends[name]
            return UNREADABLE if end is None else self.flow.readings[end]
        return guessed(self.calls[name][0])

    def _layers(self) -> list[Layer]:
        found = []
        trunk, last = self._trunk()
        makers = self._makers()
        modules = self._modules()
        left = [name for name in modules if name and name not in self.calls]
        for name in [*self.calls, *left]:
            kind, fault = type(modules[name]).__name__, self._fault(name)
            made = name in makers
            if fault:
                found.append(Layer(name, kind, fault=fault, head=made))
                continue
            shape = self.calls[name][0]
            at = self._images_at(shape)
            depth = 1.0 if last is None else self._depth(name) / self.flow.depth(last)
            found.append(
                Layer(
                    name,
                    kind,
                    shape[:at] + shape[at + 1 :],
                    trunk=name in trunk,
                    images_at=at,
                    reading=self._reading(name).of_one_image(shape, at),
                    depth=depth,
                    head=made,
                )
            )
        return found

    def _makers(self) -> set[str]:
        """Return the modules that make the outputs; where gradients do not show it, the last."""
        if self.flow is None:
            return set([*self.calls][-1:])
        return {name for name, node in self.nodes.items() if node in self.flow.makers}

    def _depth(self, name: str) -> int:
        node = self.nodes[name]
        return 0 if node is None else self.flow.depth(node)


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


def _predecessors(node: Node) -> list:
    """Return the nodes of the graph of gradients that one depends on."""
    return [other for other, _ in node.next_functions if other is not None]


def _step(node: Node) -> Step:
    """Return what a node of the graph of gradients does."""
    made = getattr(node, "_input_metadata", ())  # of the gradients that come in
    if hasattr(node, "variable"):  # the images themselves
        shape = tuple(node.variable.shape)
    else:
        shape = tuple(made[0].shape) if made else ()
    moved, n = None, len(shape)
    if hasattr(node, "_saved_dims") and type(node).__name__.startswith("Permute"):
        moved = tuple(_index(at, n) for at in node._saved_dims)
    elif hasattr(node, "_saved_dim0"):
        one, other = _index(node._saved_dim0, n), _index(node._saved_dim1, n)
        swapped = {one: other, other: one}
        moved = tuple(swapped.get(at, at) for at in range(n))
    return Step(
        kind=re.sub(r"(Backward\w*)?$", "", type(node).__name__).lower(),
        shape=shape,
        operands=tuple(other for other, _ in node.next_functions),
        moved=moved,
        start=getattr(node, "_saved_start", None),
        normalised=len(getattr(node, "_saved_normalized_shape", (1,))),
    )


def _index(at: int, n: int) -> int:
    """Return a dimension from 0 on; those from the end are saved as unsigned 64-bit numbers."""
    return (at - 2**64 if at >= 2**63 else at) % n


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


@contextmanager
def _gradients() -> Iterator[None]:
    """Let gradients show what depends on what where the network's code turns them off."""
    before = torch._C._InferenceMode
    torch._C._InferenceMode = nullcontext
    try:
        with _KeepGradients():
            yield
    finally:
        torch._C._InferenceMode = before


class _KeepGradients(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch._C._set_grad_enabled:
            return None
        if function in (torch.Tensor.detach, torch.detach):
            return args[0].view_as(args[0])
        return function(*args, **(kwargs or {}))
