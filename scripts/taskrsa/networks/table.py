"""Tables of networks: a bank is a table, a row is a network. Read and checked without PyTorch.

A table is tab-separated with one header line. Its columns:

name       what files and tables call the network: letters, digits, `_`, `-`, `.`
label      what figures write; by default the name
type       a word or a few for its kind; networks of one type share a colour
loader     `taskonomy`: a checkpoint of the public bank; `checkpoint`: an encoder of this project;
           `onnx`; `timm:<model>`; `torchvision:<model>`; `package.module:function`, a function (or
           class, or `Class.method`) that returns a torch module. A function is code that is run, so
           trust it as your own.
weights    a file ($VARIABLES are expanded), an address (https://...), or `package:<name>/<file>`, a
           file inside an installed Python package. Empty: those that the loader comes with.
sha256     SHA-256 of the weights; may be empty for a file of one's own, not for an address
layers     `auto`, or names of modules (ONNX: of values) with wildcards, separated by spaces;
           `early=layer1` names a layer otherwise, so that networks of other designs share its name
size       side of the input, pixels; empty: that of the stimuli
mean, std  one number, or one for each channel in the order of `channels`, separated by spaces, on
           the scale of 0 to 1; fractions such as 1/255 may be written. May be empty (0.5, which is
           [-1, 1]) for `taskonomy` and `checkpoint`.
channels   `rgb`, `bgr`, `grey`, or `lightness` (of LAB, in one channel)
arguments  may be left out: JSON object of keyword arguments for the function or the model
"""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

from taskrsa.errors import ConfigError, DataError
from taskrsa.io.assets import Asset
from taskrsa.io.files import sha256_of

COLUMNS = (
    *("name", "label", "type", "loader", "weights", "sha256"),
    *("layers", "size", "mean", "std", "channels"),
)
CHANNELS = {"rgb": 3, "bgr": 3, "grey": 1, "lightness": 1}
OWN = ("taskonomy", "checkpoint")  # loaders of encoders whose input is known
NEED_WEIGHTS = (*OWN, "onnx")
AUTO = "auto"
_FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_PACKAGE = "package:"


@dataclass(frozen=True)
class Network:
    """One row of a table, its numbers read; the columns are those of the module's docstring.

    Attributes
    ----------
    layers : the patterns, each with the name that its layer gets or "" for the module's own
    size : pixels, or None for the stimuli's own
    mean, std : one number for each channel
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

    @property
    def n_channels(self) -> int:
        return CHANNELS[self.channels]

    @property
    def is_address(self) -> bool:
        """Whether the weights have to be fetched."""
        return self.weights.startswith(("http://", "https://"))

    def where(self, column: str) -> str:
        """Return how an error names a cell of this row."""
        return f"bank, row {self.name}, {column}"


def read_bank(path: str | os.PathLike, schema: Mapping | None = None) -> dict[str, Network]:
    """Return the networks of a table, by name in the order of its rows.

    Parameters
    ----------
    path : the table
    schema : JSON schema of one row, which is checked first

    Raises
    ------
    ConfigError
        If the table is missing or empty, columns are missing or unknown, a name stands twice, or
        `network` refuses a row.
    """
    networks: dict[str, Network] = {}
    for line, row in read_rows(path):
        if schema is not None:
            _check_schema(row, schema, f"{path}, line {line}")
        try:
            found = network(row)
        except ConfigError as error:
            raise ConfigError(f"{path}, line {line}: {error}") from None
        if found.name in networks:
            raise ConfigError(f"{path}, line {line}: name {found.name} stands twice; rename one")
        networks[found.name] = found
    if not networks:
        raise ConfigError(f"{path}: has no row; add a network")
    return networks


def read_rows(path: str | os.PathLike) -> list[tuple[int, dict[str, str]]]:
    """Return line and cells of every row of a table; empty lines and those with # are left out.

    Raises
    ------
    ConfigError
        If the table cannot be read, or columns are missing, unknown or too many in a row.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such table of networks; correct the path") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError(f"{path}: cannot be read ({reason}); save it as UTF-8 text") from None
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    ]
    # Cells are JSON at times, so quotes are what they are.
    cells = csv.reader((line for _, line in lines), delimiter="\t", quoting=csv.QUOTE_NONE)
    header = [name.strip() for name in next(cells, [])]
    for column in COLUMNS:
        if column not in header:
            raise ConfigError(
                f"{path}: has no column {column}; the header is {' '.join(COLUMNS)}, split by tabs"
            )
    for column in header:
        if column not in (*COLUMNS, "arguments"):
            raise ConfigError(f"{path}: unknown column {column!r}; correct or remove it")
    if len(set(header)) < len(header):
        raise ConfigError(f"{path}: a column stands twice in the header; remove one")
    rows = []
    for (number, _), values in zip(lines[1:], cells, strict=True):
        if len(values) > len(header):
            raise ConfigError(
                f"{path}, line {number}: {len(values)} cells for {len(header)} columns; "
                "remove a tab"
            )
        values = [*map(str.strip, values), *[""] * (len(header) - len(values))]
        rows.append((number, dict(zip(header, values, strict=True))))
    return rows


def _check_schema(row: Mapping, schema: Mapping, where: str) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(row))
    if error is not None:
        column = ".".join(map(str, error.absolute_path)) or "columns"
        raise ConfigError(f"{where}, row {row['name']}, {column}: {error.message}; correct it")


def network(row: Mapping[str, str]) -> Network:
    """Return a network from the cells of its row.

    Raises
    ------
    ConfigError
        If a cell cannot be used, or the cells do not go together.
    """
    name = row.get("name", "")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ConfigError(
            f"bank, row {name or '?'}, name: {name!r} must be letters, digits, _, - and ., for it "
            "becomes the name of files"
        )

    def refuse(column: str, what: str) -> None:
        raise ConfigError(f"bank, row {name}, {column}: {what}")

    for column in row:
        if column not in (*COLUMNS, "arguments"):
            refuse(column, "there is no such column; correct or remove it")
    cells = {column: row.get(column) or "" for column in (*COLUMNS, "arguments")}
    loader, weights, sha256 = cells["loader"], cells["weights"], cells["sha256"].lower()
    kind, _, rest = loader.partition(":")
    extra = kind in ("timm", "torchvision") and bool(rest)
    if loader not in NEED_WEIGHTS and not extra and not _FACTORY.fullmatch(loader):
        refuse(
            "loader",
            f"there is no loader {loader!r}; give taskonomy, checkpoint, onnx, timm:<model>, "
            "torchvision:<model> or package.module:function",
        )
    if loader in NEED_WEIGHTS and not weights:
        refuse("weights", f"is empty; {loader} needs a file")
    if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256):
        refuse("sha256", f"{sha256!r} is not 64 hexadecimal digits")
    if weights.startswith(("http://", "https://")) and not sha256:
        refuse("sha256", "is empty; what an address gives must be checked, so give its SHA-256")
    if sha256 and not weights:
        refuse("sha256", "is given without weights; name the file")
    if weights.startswith(_PACKAGE) and "/" not in weights:
        refuse("weights", f"{weights!r} names no file; give package:<name>/<file>")
    channels = cells["channels"] or ("rgb" if loader in OWN else "")
    if channels not in CHANNELS:
        refuse("channels", f"{channels!r} is none of {', '.join(CHANNELS)}")
    size = cells["size"]
    if size and not (size.isascii() and size.isdecimal() and int(size) > 0):
        refuse("size", f"{size!r} is no number of pixels; give a whole number or nothing")
    numbers = {}
    for column in ("mean", "std"):
        text = cells[column] or ("0.5" if loader in OWN else "")
        numbers[column] = values = _numbers(text)
        if len(values) not in (1, CHANNELS[channels]):
            refuse(
                column,
                f"{text!r} must be 1 or {CHANNELS[channels]} numbers for the channels {channels}, "
                "on the scale of 0 to 1, such as 0.485 or 1/255",
            )
        numbers[column] = values * (CHANNELS[channels] // len(values))
    if min(numbers["std"]) <= 0:
        refuse("std", "must be positive")
    try:
        arguments = json.loads(cells["arguments"] or "{}")
    except ValueError as error:
        refuse("arguments", f"is no JSON ({error})")
    if not isinstance(arguments, dict):
        refuse("arguments", 'must be a JSON object, such as {"num_classes": 10}')
    if arguments and loader in NEED_WEIGHTS:
        refuse("arguments", f"is of no use to {loader}; leave it empty")
    return Network(
        name=name,
        label=cells["label"] or name,
        type=cells["type"],
        loader=loader,
        weights=weights,
        sha256=sha256,
        layers=_patterns(name, cells["layers"] or AUTO),
        size=int(size) if size else None,
        mean=numbers["mean"],
        std=numbers["std"],
        channels=channels,
        arguments=arguments,
    )


def _numbers(text: str) -> tuple[float, ...]:
    """Return the numbers of a cell, none where a word is no finite number."""
    try:
        numbers = tuple(float(Fraction(word)) for word in text.split())
    except (ValueError, ZeroDivisionError, OverflowError):
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()


def _patterns(name: str, text: str) -> tuple[tuple[str, str], ...]:
    """Split a cell of layers into pairs of the layer's name, which may be empty, and a pattern."""
    pairs = []
    for word in text.split():
        # Names of ONNX values may hold anything; only a plain word before = is a new name.
        match = re.fullmatch(r"([A-Za-z]\w*)=(.+)", word)
        pairs.append((match[1], match[2]) if match else ("", word))
    where = f"bank, row {name}, layers"
    if ("", AUTO) in pairs and len(pairs) > 1:
        raise ConfigError(f"{where}: auto stands alone; leave out the rest or auto")
    given = [layer for layer, _ in pairs if layer]
    for layer in given:
        if given.count(layer) > 1:
            raise ConfigError(f"{where}: {layer} is given twice; rename one")
    return tuple(pairs)


def styles(networks: Mapping[str, Network]) -> dict[str, tuple[str, str]]:
    """Return label and type of each network, as the figures take them; they colour by type."""
    return {name: (network.label, network.type) for name, network in networks.items()}


# --- weights ---


def asset_of(network: Network) -> Asset:
    """Return how to fetch the weights of a network whose `weights` is an address.

    The file on disk is named by the start of its hash, since many addresses end alike.
    """
    name = PurePosixPath(urlparse(network.weights).path).name or "weights"
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return Asset(
        name=f"bank/{network.name}",
        address=network.weights,
        file=f"{network.sha256[:12]}-{name}",
        hash=f"sha256:{network.sha256}",
        needs=f"weights of {network.name}",
    )


def weights_file(network: Network, fetched: str | os.PathLike | None = None) -> Path | None:
    """Return the file of a network's weights, None if the loader brings its own.

    Parameters
    ----------
    fetched : where the file lies whose address is in the table

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
    if fetched is None and network.is_address:
        raise DataError(
            f"{where}: {network.weights} is not fetched yet; fetch it and name the file"
        )
    if fetched is None and network.weights.startswith(_PACKAGE):
        package, _, inside = network.weights.removeprefix(_PACKAGE).partition("/")
        path = _package_folder(package, where) / inside
    else:
        path = Path(os.path.expandvars(fetched or network.weights))
    if not path.is_file():
        raise DataError(f"{where}: there is no file {path}; correct the path")
    return path


def _package_folder(package: str, where: str) -> Path:
    """Return the folder of an installed package, without running its code."""
    try:
        spec = importlib.util.find_spec(package) if package.isidentifier() else None
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"{where}: package {package} is not installed; install it with pip")
    return Path(next(iter(spec.submodule_search_locations)))


def check_weights(network: Network, path: str | os.PathLike) -> None:
    """Raise DataError unless a file has the SHA-256 of the table, if one is given there."""
    if network.sha256:
        found = sha256_of(path)
        if found != network.sha256:
            raise DataError(
                f"{network.where('sha256')}: {path} has SHA-256 {found}, not {network.sha256}; it "
                "is another file or damaged: get it again or correct the table"
            )
