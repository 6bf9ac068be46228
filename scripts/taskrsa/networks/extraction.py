"""Push the stimuli through a network once and keep the features of all its layers."""

from __future__ import annotations

import copy
import gc
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval
from tqdm import tqdm

from taskrsa.data.pack import Photographs
from taskrsa.errors import RepresentationError
from taskrsa.rsa.spill import SpilledFeatures

Features = np.ndarray | SpilledFeatures


@torch.inference_mode()
def extract(
    encoder: nn.Module,
    to_input: Callable[[np.ndarray], Tensor],
    images: np.ndarray | Photographs,
    batch_size: int,
    model: str,
    *,
    layers: Sequence[str] | None = None,
    precision: Literal["no", "bf16"] = "no",
    features_mb: float | None = None,
) -> dict[str, Features]:
    """Return the flattened features of every tap, by layer name.

    Parameters
    ----------
    encoder : a network in evaluation mode with a method `features`, left as it is, or what `fused`
        made of one, which saves time and memory when it is used again
    to_input : turns (N, H, W, 3) uint8 photographs into the network's input
    images : (n, H, W, 3) uint8, in memory or read batch by batch
    batch_size : images in one forward pass; small batches are fastest on CPU
    model : name for the progress bar and for errors
    layers : taps to keep; by default all
    precision : "bf16" multiplies in half precision, twice as fast where the processor has it
    features_mb : megabytes (1e6 bytes) of features to hold in memory; the largest layers beyond it
        go to a temporary file. By default all are held.

    Returns
    -------
    dict of (n, d) float32 arrays, or `SpilledFeatures`, one per layer in the order of the taps.
        The features of an image are in the order of rows, columns, channels.

    Raises
    ------
    RepresentationError
        If the network is in training mode, in which a batch would change each image's features, or
        has no such layer.
    DataError
        If there is no room for features that go to a temporary file.
    """
    if encoder.training:
        raise RepresentationError(f"{model}: is in training mode; call eval() before extraction")
    device = next(encoder.parameters()).device
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    network = fused(copy.deepcopy(encoder)) if hasattr(encoder, "features") else encoder
    network.to(dtype=dtype, memory_format=torch.channels_last)
    gc.collect()  # tracing leaves the weights before fusion in a cycle, as much memory again
    features: dict[str, Features] = {}
    for start in tqdm(range(0, len(images), batch_size), desc=model, mininterval=5):
        batch = to_input(images[start : start + batch_size]).to(device, dtype)
        taps = network(batch)
        if start == 0:
            features = _room(_chosen(taps, layers, model), len(images), features_mb)
        for layer, rows in features.items():
            _put(taps[layer], rows, start)
        del batch, taps  # not beside the next ones
    return features


class _Taps(nn.Module):
    """A network whose forward pass returns the features of all taps."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.encoder.features(images)


def fused(encoder: nn.Module) -> nn.Module:
    """Rewrite a network to compute the same taps in fewer passes over memory.

    Batch normalisation becomes part of the convolution before it; on CPU the sum with a shortcut
    and the ReLU after it do, too, and weights are laid out once as the convolution reads them.
    Features change by rounding alone. A network whose path depends on its input cannot be
    rewritten; then it computes them as it did. `extract` takes either.

    Parameters
    ----------
    encoder : a network in evaluation mode with a method `features`; its weights are taken, not
        copied, so pass a copy of one that is needed afterwards
    """
    network = _Taps(encoder)
    try:
        network = fx.symbolic_trace(network)
    except fx.proxy.TraceError:
        return network.eval()
    calls = Counter(node.target for node in network.graph.nodes if node.op == "call_module")
    on_cpu = next(encoder.parameters()).device.type == "cpu"
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


def _chosen(taps: dict[str, Tensor], layers: Sequence[str] | None, model: str) -> dict[str, Tensor]:
    for layer in layers or ():
        if layer not in taps:
            raise RepresentationError(f"{model}: no layer {layer}; it has {', '.join(taps)}")
    return {layer: values for layer, values in taps.items() if layers is None or layer in layers}


def _room(taps: dict[str, Tensor], n: int, features_mb: float | None) -> dict[str, Features]:
    """Make room for n images' features: in memory, the smallest layers first, or in files."""
    widths = {layer: values[0].numel() for layer, values in taps.items()}
    left = np.inf if features_mb is None else features_mb * 1e6
    room: dict[str, Features] = {}
    for layer in sorted(widths, key=widths.__getitem__):
        size = 4 * n * widths[layer]
        room[layer] = (
            np.empty((n, widths[layer]), np.float32)
            if size <= left
            else SpilledFeatures(n, widths[layer])
        )
        left -= size
    return {layer: room[layer] for layer in taps}


def _put(values: Tensor, rows: Features, start: int) -> None:
    """Store one batch of a tap, in the order in which channels-last values lie in memory."""
    if values.ndim == 4:
        values = values.permute(0, 2, 3, 1)
    if isinstance(rows, SpilledFeatures):
        rows.append(values.flatten(1).float().cpu().numpy())
        return
    place = torch.from_numpy(rows[start : start + len(values)])
    place.view(values.shape).copy_(values)  # converts and moves, without an array between
