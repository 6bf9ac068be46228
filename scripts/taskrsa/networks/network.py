"""A network: one row of a table, its cells read. Jobs get it as JSON; PyTorch is not needed.

Apart from `taskrsa.networks.table`, which reads and checks cells: what only changes how they are
checked leaves results as they are.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taskrsa.errors import ConfigError, DataError
from taskrsa.io.files import full_path, sha256_of
from taskrsa.networks.beside import external_files

CHANNELS = {"rgb": 3, "bgr": 3, "grey": 1, "lightness": 1, "rgba": 4}
# Encoders of this project's architectures, whose input is known.
NATIVE_LOADERS = ("trained", "random", "small", "taskonomy", "checkpoint")
LIBRARIES = ("timm", "torchvision")  # loaders that know how their networks want to be shown images
RDMS = "rdms"
TORCHSCRIPT = "torchscript"
AUTO = "auto"
PACKAGE = "package:"


@dataclass(frozen=True)
class Network:
    """One row of a table; `config/README.md` says what its columns hold.

    Attributes
    ----------
    layers : the patterns, each with the name that its layer gets or "" for the module's own
    size : side of the input in pixels, or None for the library's or else the stimuli's own
    mean, std : one number for each channel; empty for those of the library
    input, clip : what an encoder of this project is shown, as `network_input` takes it
    interpolation : how photographs are resized, "bilinear" or "bicubic"
    head : the layer or module that a target's head is attached to; "" for the last before its own
    prior : what the user expects of it, the higher the better; None for nothing
    untrained : whether its weights are random
    """

    name: str
    label: str
    type: str
    loader: str
    weights: str = ""
    sha256: str = ""
    layers: tuple[tuple[str, str], ...] = (("", AUTO),)
    size: int | None = None
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    channels: str = "rgb"
    arguments: dict = field(default_factory=dict)
    task: str = ""
    input: str = "rgb"
    clip: bool = True
    interpolation: str = "bilinear"
    head: str = ""
    prior: float | None = None
    untrained: bool = False

    @classmethod
    def from_json(cls, values: Mapping) -> Network:
        """Return the network that `to_json` wrote, once decoded."""
        values = {"label": values["name"], **values}
        if "layers" in values:
            values["layers"] = tuple(map(tuple, values["layers"]))
        for key in values.keys() & {"mean", "std"}:
            values[key] = tuple(values[key])
        return cls(**values)

    def to_json(self) -> str:
        """Return all that a job needs, as JSON: the fields that differ from their defaults.

        Label, prior and untrained are left out, which only tables and figures take: new ones make
        no features stale.
        """
        plain = {f.name: f.default for f in dataclasses.fields(self)} | {"arguments": {}}
        values = {key: value for key, value in vars(self).items() if value != plain[key]}
        for key in ("label", "prior", "untrained"):
            values.pop(key, None)
        return json.dumps(values)

    def features_key(self) -> str:
        """Return what features depend on, beside weights and clipping, as JSON."""
        names = ("loader", "layers", "size", "mean", "std", "channels", "arguments", "input")
        values = {name: getattr(self, name) for name in (*names, "interpolation")}
        return json.dumps(values, sort_keys=True)

    @property
    def n_channels(self) -> int:
        return CHANNELS[self.channels]

    @property
    def is_native(self) -> bool:
        """Whether it is an encoder of this project's architectures."""
        return self.loader in NATIVE_LOADERS

    @property
    def has_auto_layers(self) -> bool:
        """Whether the network's own shape tells which layers are compared."""
        return self.layers == (("", AUTO),)

    @property
    def library(self) -> str:
        """The library that makes the network, one of `LIBRARIES`, or ""."""
        kind = self.loader.partition(":")[0]
        return kind if kind in LIBRARIES else ""

    @property
    def is_address(self) -> bool:
        """Whether the weights have to be fetched."""
        return self.weights.startswith(("http://", "https://"))

    def where(self, column: str) -> str:
        """Return how an error names a cell of this row."""
        return f"bank, row {self.name}, {column}"


def weights_file(network: Network, fetched: str | os.PathLike | None = None) -> Path | None:
    """Return the file of a network's weights, None if the loader brings its own.

    Parameters
    ----------
    fetched : where the file lies whose address is in the table, or that the run has made

    Raises
    ------
    ConfigError
        If the file is inside a package that is not installed.
    DataError
        If there is no such file, or it is yet to be fetched.
    """
    if fetched is None and not network.weights:
        return None
    where = network.where("weights")
    path = Path(full_path(fetched or network.weights))
    if fetched is None and network.is_address:
        raise DataError(
            f"{where}: {network.weights} is not fetched yet; fetch it and name the file"
        )
    if fetched is None and network.weights.startswith(PACKAGE):
        package, _, inside = network.weights.removeprefix(PACKAGE).partition("/")
        path = _package_folder(package, where) / inside
    if not path.is_file():
        raise DataError(f"{where}: there is no file {path}; correct the path")
    return path


def _package_folder(package: str, where: str) -> Path:
    """Find an installed package without running its code."""
    try:
        spec = importlib.util.find_spec(package) if package.isidentifier() else None
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"{where}: package {package} is not installed; install it with pip")
    return Path(next(iter(spec.submodule_search_locations)))


def checked_weights(network: Network, fetched: str | os.PathLike | None = None) -> Path | None:
    """Return the file of `weights_file`; DataError unless it has the table's SHA-256, if any."""
    path = weights_file(network, fetched)
    if path is not None and network.sha256:
        found = hash_of(network, path)
        if found != network.sha256:
            raise DataError(
                f"{network.where('sha256')}: {path} has SHA-256 {found}, not {network.sha256}; it "
                "is another file or damaged: get it again or correct the table"
            )
    return path


def hash_of(network: Network, path: Path) -> str:
    """Return the SHA-256 of a network's weights; of an ONNX file with external data that of the
    file and its data files one after the other. DataError if one of these is missing."""
    return sha256_of(path, *data_files(network, path))


def data_files(network: Network, path: Path) -> list[Path]:
    """Return the data files of an ONNX network, in the order of their names; DataError if one is
    missing."""
    files = external_files(path) if network.loader == "onnx" else []
    for file in files:
        if not file.is_file():
            raise DataError(
                f"{network.where('weights')}: there is no file {file}, where {path} keeps its "
                "data; put it there"
            )
    return files
