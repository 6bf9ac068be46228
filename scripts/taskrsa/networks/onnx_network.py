"""ONNX networks: run by ONNX Runtime, with values inside the graph as further outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from taskrsa.errors import ConfigError, DataError, RepresentationError
from taskrsa.io.files import sha256_of
from taskrsa.networks.layers import Layer, ancestors, bottlenecks, head
from taskrsa.networks.network import Network
from taskrsa.networks.optional import optional_package
from taskrsa.networks.taps import Precision, TapNetwork, Taps

_SIZES = ("Shape", "Size")  # operations whose result does not depend on what images show
_VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout")  # the same numbers


class OnnxNetwork(TapNetwork):
    """A network in a file, run on the processor, without gradients.

    A network for one image at a time is given one image at a time. Images are handed over in the
    order of dimensions that its input has, and in its type.

    Raises
    ------
    ConfigError
        If ONNX Runtime is not installed, or the network takes something else than images of the
        row's channels.
    DataError
        If the file is no ONNX network.
    """

    trainable = False
    device = torch.device("cpu")

    def __init__(self, row: Network, path: Path) -> None:
        super().__init__(row)
        self.path = path
        self.onnx, self.runtime = (
            optional_package(name, row, "onnx") for name in ("onnx", "onnxruntime")
        )
        try:
            self.model = self.onnx.load(str(path))
            self.onnx.checker.check_model(self.model)
        except Exception as error:  # protobuf and the checker have errors of their own
            reason = " ".join(str(error).split())[:200]
            raise DataError(
                f"{row.where('weights')}: {path} is not a whole ONNX network ({reason})"
            ) from None
        self._read_input()
        self.session = None

    @property
    def n_parameters(self) -> int:
        """Numbers that are not whole in the arrays of the file; those of shapes are."""
        arrays = list(self.model.graph.initializer)
        for node in self.model.graph.node:
            # Some exporters write weights as nodes.
            if node.op_type == "Constant":
                arrays += [one.t for one in node.attribute if one.name == "value"]
        kind = self.onnx.helper.tensor_dtype_to_np_dtype
        return sum(math.prod(one.dims) for one in arrays if kind(one.data_type).kind == "f")

    def _read_input(self) -> None:
        graph = self.model.graph
        constants = {constant.name for constant in graph.initializer}
        inputs = [value for value in graph.input if value.name not in constants]
        if len(inputs) != 1:
            names = ", ".join(value.name for value in inputs)
            raise ConfigError(
                f"{self.row.where('weights')}: {self.path} has {len(inputs)} inputs ({names}); a "
                "network that takes images alone is needed"
            )
        self.input = inputs[0].name
        kind = inputs[0].type.tensor_type
        dims = [max(0, dim.dim_value) for dim in kind.shape.dim]  # names and -1: any
        self.type = self.onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        if len(dims) != 4 or self.type.kind != "f":
            raise ConfigError(
                f"{self.row.where('weights')}: input {self.input} of {self.path} is "
                f"{self.type.name} with {len(dims)} dimensions; images are floating-point numbers "
                "with 4"
            )
        self.channels_last = dims[1] not in (1, 3) and dims[3] in (1, 3)
        self.batch, *rest = dims
        channels, *self.sides = [rest[2], *rest[:2]] if self.channels_last else rest
        if channels not in (0, self.row.n_channels):
            raise ConfigError(
                f"{self.row.where('channels')}: {self.path} takes {channels} channels and "
                f"{self.row.channels} has {self.row.n_channels}"
            )

    def _session(self, outputs: Iterable[str]):
        model = type(self.model)()
        model.CopyFrom(self.model)
        del model.graph.output[:]
        for name in outputs:
            model.graph.output.append(self.onnx.ValueInfoProto(name=name))
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return self.runtime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def _run(self, session, images: Tensor, batch: int) -> list:
        """Return every output for a batch, in steps of `batch` images; not all are arrays."""
        pixels = images.float().contiguous().numpy().astype(self.type, copy=False)
        if self.channels_last:
            pixels = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        short = -len(pixels) % batch
        pixels = np.concatenate([pixels, np.repeat(pixels[-1:], short, axis=0)])
        parts = [
            session.run(None, {self.input: pixels[start : start + batch]})
            for start in range(0, len(pixels), batch)
        ]
        return list(zip(*parts, strict=True))

    def find_layers(self, images: Tensor) -> list[Layer]:
        """Return the values inside the graph that depend on the images, in its order; ConfigError
        if the network takes images of another size."""
        for fixed, side in zip(self.sides, images.shape[2:], strict=True):
            if fixed not in (0, side):
                raise ConfigError(
                    f"{self.row.where('size')}: {self.path} takes images of {self.sides[0]} x "
                    f"{self.sides[1]} pixels, not {images.shape[2]} x {images.shape[3]}; set size"
                )
        graph = _Graph(self.model.graph, self.input)
        values = self._try(images, graph.values)
        trunk = graph.trunk()
        return [
            self._layer(name, kind, value, name in trunk)
            for (name, kind), value in zip(graph.values.items(), values, strict=True)
        ]

    def _try(self, images: Tensor, names: Iterable[str]) -> list:
        session = self._session(names)
        if not self.batch:
            try:
                return [parts[0] for parts in self._run(session, images, len(images))]
            except Exception:  # whatever the runtime raises where a graph is made for one image
                self.batch = 1
        return [parts[0] for parts in self._run(session, images[: self.batch], self.batch)]

    def _layer(self, name: str, kind: str, value: object, trunk: bool) -> Layer:
        n = self.batch or 2
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            return Layer(name, kind, fault="holds no floating-point numbers")
        if value.ndim < 2 or len(value) != n:
            return Layer(
                name, kind, fault=f"is {value.shape} for {n} images, not one row per image"
            )
        return Layer(name, kind, value.shape[1:], trunk=trunk)

    def tap(self, layers: Mapping[str, Layer]) -> None:
        super().tap(layers)
        self.names = list(dict.fromkeys(layer.name for layer in layers.values()))
        self.session = self._session(self.names)

    def forward(self, images: Tensor) -> Taps:
        """As of any network; RepresentationError if there is not one row an image."""
        outputs = self._run(self.session, images.cpu(), self.batch or len(images))
        values = dict(zip(self.names, map(np.concatenate, outputs), strict=True))
        taps = {}
        for name, layer in self.chosen.items():
            rows = torch.from_numpy(values[layer.name])
            if len(rows) < len(images):
                raise RepresentationError(
                    f"{self.row.where('layers')}: {layer.name} is {tuple(rows.shape)} for "
                    f"{len(images)} images, not one row per image; name another value"
                )
            taps[name] = rows[: len(images)]
        return taps

    def fingerprint(self) -> list[str]:
        return [sha256_of(self.path), self.runtime.__version__]

    def extractor(self, precision: Precision = "no") -> Callable[[Tensor], Taps]:
        """As of any network, in the precision of the file whatever is asked for."""
        if precision != "no":
            print(f"{self.row.name}: ONNX networks run in the precision of their file", flush=True)
        return self.eval()


class _Graph:
    """The nodes of a graph that depend on what the images show."""

    def __init__(self, graph, source: str) -> None:
        self.nodes = []
        self.values: dict[str, str] = {}  # operation that makes each value
        made: dict[str, int] = {}  # the node that makes each value
        self.before: list[list[int]] = []
        for node in graph.node:
            read = set(_reads(node))
            if node.op_type in _SIZES or not (source in read or read & made.keys()):
                continue
            number = len(self.nodes)
            self.nodes.append(node)
            self.before.append(sorted({made[name] for name in read & made.keys()}))
            for name in filter(None, node.output):
                made[name] = number
                self.values[name] = node.op_type
        self.outputs = [made[value.name] for value in graph.output if value.name in made]
        self.source = {n for n, node in enumerate(self.nodes) if source in _reads(node)}

    def trunk(self) -> set[str]:
        """Return the values before the head that all that reaches the output passes through."""
        start = -1  # the input, which several nodes may read

        def predecessors(number: int) -> Sequence[int]:
            if number == start:
                return []
            return [*([start] if number in self.source else []), *self.before[number]]

        order = ancestors(self.outputs, predecessors)
        makers = head(self.outputs, predecessors, self._kind)
        found = [n for n in bottlenecks(order, predecessors) if n != start and n not in makers]
        nodes = [self.nodes[number] for number in found]
        return {node.output[0] for node in nodes if node.op_type not in _VIEWS}

    def _kind(self, number: int) -> str:
        """Return the operation of a node; the sum with a constant is a bias."""
        if number < 0:
            return ""
        node = self.nodes[number]
        constant = len(self.before[number]) == 1 and len(set(node.input)) == 2
        return "bias" if node.op_type == "Add" and constant else node.op_type


def _reads(node) -> list[str]:
    """Return the values that a node reads, those of graphs inside it too."""
    names = list(node.input)
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for other in inner.node:
                names += _reads(other)
    return names
