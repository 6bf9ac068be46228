"""Networks rewritten to compute the same features in fewer passes over memory."""

from __future__ import annotations

import operator
from collections import Counter

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fused(network: nn.Module) -> nn.Module:
    """Rewrite a network to compute the same output in fewer passes over memory.

    Batch normalisation becomes part of the convolution before it; on CPU the sum with a shortcut
    and the ReLU after it do, too, and weights are laid out once as the convolution reads them.
    Features change by rounding alone. A network whose path depends on its input cannot be
    rewritten and is returned as it is.

    Parameters
    ----------
    network : in evaluation mode; its weights are taken, not copied, so pass a copy of one that is
        needed afterwards
    """
    on_cpu = next(network.parameters()).device.type == "cpu"
    try:
        network = fx.symbolic_trace(network)
    except fx.proxy.TraceError:
        return network.eval()
    calls = Counter(node.target for node in network.graph.nodes if node.op == "call_module")
    for node in list(network.graph.nodes):
        if node.op != "call_module" or calls[node.target] > 1:
            continue
        convolution = network.get_submodule(node.target)
        if not isinstance(convolution, nn.Conv2d):
            continue
        norm = _only_user(node)
        if norm is not None and norm.op == "call_module" and calls[norm.target] == 1:
            module = network.get_submodule(norm.target)
            if isinstance(module, nn.BatchNorm2d):
                convolution = fuse_conv_bn_eval(convolution, module)
                network.set_submodule(node.target, convolution)
                norm.replace_all_uses_with(node)
                network.graph.erase_node(norm)
        plain = convolution.padding_mode == "zeros" and isinstance(convolution.padding, tuple)
        if on_cpu and _PACKED_OPERATION and plain:
            _absorb_what_follows(network, node, convolution)
    network.delete_all_unused_submodules()
    network.recompile()
    return network.eval()


# Of the compiler's own: PyTorch has no public call that adds and rectifies with the convolution.
_PACKED_OPERATION = torch.backends.mkldnn.is_available() and hasattr(
    torch.ops.mkldnn, "_convolution_pointwise"
)
# Half precision is packed only where the processor multiplies it.
_IS_PACKED = {
    torch.float32: True,
    torch.bfloat16: _PACKED_OPERATION and torch.ops.mkldnn._is_mkldnn_bf16_supported(),
}


class _PackedConvolution(nn.Module):
    """A convolution on CPU, its weights in the order it reads them; then a sum, then a ReLU."""

    def __init__(self, convolution: nn.Conv2d, rectified: bool) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        shape = convolution.padding, convolution.stride, convolution.dilation
        self.shape = [list(numbers) for numbers in shape]
        self.groups = convolution.groups
        self.after = "relu" if rectified else "none"
        self.packed: Tensor | None = None

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        if not _IS_PACKED[x.dtype]:
            padding, stride, dilation = self.shape
            x = F.conv2d(x, self.weight, self.bias, stride, padding, dilation, self.groups)
            x = x if shortcut is None else x + shortcut
            return F.relu(x) if self.after == "relu" else x
        if self.packed is None:
            self.packed = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight, *self.shape, self.groups, list(x.shape)
            )
            self.weight = None  # not twice in memory
        operation, others, sums = torch.ops.mkldnn._convolution_pointwise, (), ()
        if shortcut is not None:
            operation, others, sums = operation.binary, (shortcut,), ("add", 1.0)
        return operation(
            x, *others, self.packed, self.bias, *self.shape, self.groups, *sums, self.after, [], ""
        )


def _absorb_what_follows(network: fx.GraphModule, node: fx.Node, convolution: nn.Conv2d) -> None:
    """Let a convolution do the sum with a shortcut and the ReLU that nothing else is between."""
    graph, place, inputs = network.graph, node, [node.args[0]]
    after = _only_user(node)
    if after is not None and after.target is operator.add and after.args[0] is node:
        rectifier = _only_user(after)
        if rectifier is not None and rectifier.target is F.relu:
            place, inputs = rectifier, [*inputs, after.args[1]]
    elif after is not None and after.target is F.relu:
        place = after
    network.set_submodule(node.target, _PackedConvolution(convolution, place is not node))
    if place is node:
        return
    with graph.inserting_before(place):
        place.replace_all_uses_with(graph.call_module(node.target, tuple(inputs)))
    for done in (place, after, node):
        if done in graph.nodes and not done.users:
            graph.erase_node(done)


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None
