"""ONNX networks: run by ONNX Runtime, with values inside the graph as further outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from taskrsa.errors import ConfigError, DataError, RepresentationError
from taskrsa.networks.file_kinds import instead_of
from taskrsa.networks.flow import Flow
from taskrsa.networks.layers import Layer
from taskrsa.networks.network import CHANNELS, Network, data_files, hash_of
from taskrsa.networks.optional import blamed, optional_package
from taskrsa.networks.reading import Step
from taskrsa.networks.taps import Precision, TapNetwork, Taps

_SIZES = ("Shape", "Size")  # operations whose result does not depend on what images show
_VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout")  # the same numbers


class OnnxNetwork(TapNetwork):
    """A network in a file, run on the processor, without gradients (`onnx_torch` has some).

    A network for one image at a time is given one image at a time. Images are handed over in the
    order of dimensions that its input has, in its type and of its size.

    Raises
    ------
    ConfigError
        If ONNX Runtime is not installed, or the network takes anything other than images of the
        row's channels.
    DataError
        If the file is not an ONNX network.
    """

    trainable = False
    device = torch.device("cpu")

    def __init__(self, row: Network, path: Path) -> None:
        super().__init__(row)
        self.path = path
        self.onnx, self.runtime = (
            optional_package(name, row, "onnx") for name in ("onnx", "onnxruntime")
        )
        data_files(row, path)  # refuses where one is missing
        try:
            self.model = self.onnx.load(str(path))
            self.onnx.checker.check_model(self.model)
        except Exception as error:  # protobuf and the checker have errors of their own
            reason = " ".join(str(error).split())[:200]
            why = instead_of("ONNX", path) or f"is not a whole ONNX network ({reason})"
            raise DataError(f"{row.where('weights')}: {path} {why}") from None
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
        self._fix_inputs(self.row.arguments.get("inputs", {}))
        constants = {constant.name for constant in graph.initializer}
        inputs = [value for value in graph.input if value.name not in constants]
        if len(inputs) != 1:
            names = ", ".join(value.name for value in inputs)
            raise ConfigError(
                f"{self.row.where('weights')}: {self.path} has {len(inputs)} inputs ({names}); one "
                "takes images, and numbers for the others go into the column arguments, as "
                '{"inputs": {"NAME": [...]}}'
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
        counts = set(CHANNELS.values())
        self.channels_last = dims[1] not in counts and dims[3] in counts
        self.batch, *rest = dims
        channels, *self.sides = [rest[2], *rest[:2]] if self.channels_last else rest
        if channels not in (0, self.row.n_channels):
            raise ConfigError(
                f"{self.row.where('channels')}: {self.path} takes {channels} channels and "
                f"{self.row.channels} has {self.row.n_channels}"
            )
        height, width = self.sides
        if self.row.size is None and height == width > 0:
            self.row = replace(self.row, size=height)

    def _fix_inputs(self, values: Mapping[str, list]) -> None:
        """Make constants of the inputs that the row has numbers for."""
        graph, where = self.model.graph, self.row.where("arguments")
        by_name = {value.name: value.type.tensor_type for value in graph.input}
        for name, numbers in values.items():
            if name not in by_name:
                raise ConfigError(f"{where}: {self.path} has no input {name}; correct the name")
            kind = self.onnx.helper.tensor_dtype_to_np_dtype(by_name[name].elem_type)
            with blamed(self.row, "arguments", f"input {name} cannot be {numbers}"):
                constant = np.asarray(numbers, dtype=kind)
            graph.initializer.append(self.onnx.numpy_helper.from_array(constant, name))

    def output(self, images: Tensor) -> np.ndarray:
        """Return the network's first output for images, as many as it takes at once."""
        session = self._session([self.model.graph.output[0].name])
        return self._run(session, images, len(images))[0][0]

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
        graph = _Graph(self.onnx, self.model.graph, self.input)
        values = self._try(images, graph.values)
        arrays = dict(zip(graph.values, values, strict=True))
        shape = (len(images), *images.shape[1:])
        flow = graph.flow(
            {name: np.shape(value) for name, value in arrays.items()},
            (shape[0], *shape[2:], shape[1]) if self.channels_last else shape,
            3 if self.channels_last else 1,
        )
        found = [self._layer(graph, flow, name, value) for name, value in arrays.items()]
        usable = [layer for layer in found if not layer.fault]
        readable = [layer for layer in usable if layer.reading.channels_at is not None]
        last = flow.last(graph.made[layer.name] for layer in readable)
        if last is None:
            return found
        trunk = graph.first_values(flow.trunk(last))
        return [
            replace(
                layer,
                trunk=layer.name in trunk and not layer.fault,
                depth=flow.depth(graph.made[layer.name]) / flow.depth(last),
            )
            for layer in found
        ]

    def _try(self, images: Tensor, names: Iterable[str]) -> list:
        session = self._session(names)
        if not self.batch:
            try:
                return [parts[0] for parts in self._run(session, images, len(images))]
            except Exception:  # whatever the runtime raises where a graph is made for one image
                self.batch = 1
        return [parts[0] for parts in self._run(session, images[: self.batch], self.batch)]

    def _layer(self, graph: _Graph, flow: Flow, name: str, value: object) -> Layer:
        n, kind, node = self.batch or 2, graph.values[name], graph.made[name]
        head = node in flow.makers
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            return Layer(name, kind, fault="holds no floating-point numbers", head=head)
        if value.ndim < 2 or len(value) != n:
            fault = f"is {value.shape} for {n} images, not one row per image"
            return Layer(name, kind, fault=fault, head=head)
        reading = flow.readings[node].of_one_image(value.shape, 0)
        return Layer(name, kind, value.shape[1:], reading=reading, head=head)

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
        return [hash_of(self.row, self.path), self.runtime.__version__]

    def extractor(self, precision: Precision = "no") -> Callable[[Tensor], Taps]:
        """As of any network, in the precision of the file whatever is asked for."""
        if precision != "no":
            print(f"{self.row.name}: ONNX networks run in the precision of their file", flush=True)
        return self.eval()


class _Graph:
    """The nodes of a graph that depend on what the images show, by number; the images are -1.

    Attributes
    ----------
    values : the operation that makes each value
    made : the node that does
    """

    def __init__(self, onnx, graph, source: str) -> None:
        self.onnx, self.source = onnx, source
        self.constants = {array.name: array for array in graph.initializer}
        self.nodes = []
        self.values: dict[str, str] = {}
        self.made: dict[str, int] = {}
        for node in graph.node:
            if node.op_type == "Constant":
                self.constants |= {node.output[0]: _attribute(node, "value")}
            read = set(_reads(node))
            if node.op_type in _SIZES or not (source in read or read & self.made.keys()):
                continue
            for name in filter(None, node.output):
                self.made[name] = len(self.nodes)
                self.values[name] = node.op_type
            self.nodes.append(node)
        self.outputs = [self.made[value.name] for value in graph.output if value.name in self.made]

    def flow(
        self, shapes: Mapping[str, tuple[int, ...]], images: tuple[int, ...], channels_at: int
    ) -> Flow:
        """Return how images of a shape flow through the graph, by the shapes of its values."""
        steps = {-1: Step("images", images)}
        for number, node in enumerate(self.nodes):
            steps[number] = self._step(node, shapes[next(filter(None, node.output))])
        return Flow(steps, self.outputs, channels_at)

    def _step(self, node, shape: tuple[int, ...]) -> Step:
        places = {**self.made, self.source: -1}
        inner = [name for name in _reads(node)[len(node.input) :] if name in places]
        kind, moved, start, normalised = node.op_type.lower(), None, None, 1
        if kind == "transpose":
            moved = _attribute(node, "perm")
            moved = tuple(moved or reversed(range(len(shape))))
        elif kind == "slice" and len(node.input) > 1 and node.input[1] in self.constants:
            starts = self.onnx.numpy_helper.to_array(self.constants[node.input[1]])
            start = int(starts.flat[0]) if starts.size == 1 else None
        elif kind == "layernormalization":
            axis = _attribute(node, "axis")
            normalised = 1 if axis in (None, -1) else len(shape) - axis % len(shape)
        operands = tuple(places.get(name) for name in [*node.input, *inner])
        return Step(kind, shape, operands, moved, start, normalised)

    def first_values(self, numbers: Iterable[int]) -> set[str]:
        """Return the first value of each node, without those that are others in another shape."""
        nodes = [self.nodes[number] for number in numbers if number >= 0]
        return {node.output[0] for node in nodes if node.op_type not in _VIEWS}


def _attribute(node, name: str):
    """Return an attribute of a node, None if it is not given."""
    for attribute in node.attribute:
        if attribute.name == name:
            return attribute.t if attribute.HasField("t") else list(attribute.ints) or attribute.i
    return None


def _reads(node) -> list[str]:
    """Return the values that a node reads, those of graphs inside it too."""
    names = list(node.input)
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for other in inner.node:
                names += _reads(other)
    return names
