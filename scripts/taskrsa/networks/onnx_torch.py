"""ONNX networks as torch modules, which can be trained: converted by onnx2torch, and checked."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from taskrsa.errors import ConfigError
from taskrsa.networks.onnx_network import OnnxNetwork
from taskrsa.networks.optional import blamed, optional_package
from taskrsa.networks.probing import first_tensor
from taskrsa.networks.taps import HookedNetwork

_SIDE = 64  # pixels of the images of the check, where neither file nor row names a size
_TOLERANCE = 1e-3  # of the largest output, or of 1 if that is larger: single precision


def as_torch(network: OnnxNetwork) -> HookedNetwork:
    """Return an ONNX network as a torch module with the same weights.

    Weights are the numbers of its layers and all other constants of more than one number. The file
    may fix the size of its input; the module takes any size that its operations do.

    Raises
    ------
    ConfigError
        If onnx2torch is not installed, lacks an operation of the file, or makes a network whose
        first output is not that of ONNX Runtime for random images.
    """
    row = network.row
    onnx2torch = optional_package("onnx2torch", row)
    with blamed(row, "arguments", "onnx2torch cannot convert the network; leave trainable out"):
        converted = onnx2torch.convert(_with_initializers(network.model))
    _let_constants_be_trained(converted)
    module = _ChannelsLast(converted) if network.channels_last else converted
    _check(network, module.eval())
    return HookedNetwork(module, row)


class _ChannelsLast(nn.Module):
    """A network that takes images as (N, H, W, C)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> object:
        return self.network(images.permute(0, 2, 3, 1))


def _with_initializers(model):
    """Return a copy whose constants are initializers: some exporters, Paddle's for one, write
    weights as nodes, which onnx2torch does not take for weights."""
    found = type(model)()
    found.CopyFrom(model)
    nodes = list(found.graph.node)
    del found.graph.node[:]
    for node in nodes:
        value = next((a for a in node.attribute if a.name == "value"), None)
        if node.op_type == "Constant" and value is not None:
            value.t.name = node.output[0]
            found.graph.initializer.append(value.t)
        else:
            found.graph.node.append(node)
    return found


def _let_constants_be_trained(converted: nn.Module) -> None:
    """Make parameters of the constants that onnx2torch keeps as buffers of one module, such as the
    matrices of a transformer; single numbers are part of formulas."""
    constants = getattr(converted, "initializers", nn.Module())
    for name, values in list(constants.named_buffers(recurse=False)):
        if values.is_floating_point() and values.numel() > 1:
            delattr(constants, name)
            constants.register_parameter(name, nn.Parameter(values))


def _check(network: OnnxNetwork, module: nn.Module) -> None:
    """Raise ConfigError unless the module gives what ONNX Runtime does."""
    row = network.row
    sides = [fixed or row.size or _SIDE for fixed in network.sides]
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(network.batch or 2, row.n_channels, *sides, generator=generator)
    expected = network.output(images)
    with torch.no_grad(), blamed(row, "arguments", "the converted network fails"):
        found = first_tensor(module(images)).numpy()
    if found.shape != expected.shape or _differs(found, expected):
        raise ConfigError(
            f"{row.where('arguments')}: onnx2torch's network of {network.path} differs from ONNX "
            "Runtime's; leave trainable out, and fine-tuning trains the head alone"
        )


def _differs(found: np.ndarray, expected: np.ndarray) -> bool:
    largest = max(1.0, float(np.abs(expected).max(initial=0)))
    return not float(np.abs(found - expected).max(initial=0)) <= _TOLERANCE * largest
