"""Tables of networks: a bank is one or several tables, a row is a network.

A table is tab-separated with one header line. Its columns:

name       what files and tables call the network: letters, digits, `_`, `-`, `.`
label      what figures write; by default the task's, or the name
type       a word or a few for its kind; networks of one type share a colour
loader     `trained`: an encoder that this run trains for `task`; `random`: an untrained one;
           `taskonomy`: a checkpoint of the public bank; `checkpoint`: an encoder of this project;
           `onnx`; `timm:<model>`; `torchvision:<model>`; `package.module:function`, a function (or
           class, or `Class.method`) that returns a torch module; `rdms`: a file of RDMs, which is
           compared and never fine-tuned. A function is code that is run, so trust it as your own.
weights    a file ($VARIABLES are expanded), an address (https://...), or `package:<name>/<file>`, a
           file inside an installed Python package. Empty: those that the loader comes with.
sha256     SHA-256 of the weights; an address needs it, a file of your own does not
layers     `auto`, or names of modules (ONNX: of values; rdms: of RDMs) with wildcards, separated by
           spaces; `early=layer1` gives a layer another name, so that networks of different designs
           share its name. `taskrsa.networks.layers.choose` says what `auto` takes.
size       side of the input, pixels; empty: the library's (timm, torchvision), else the stimuli's
mean, std  one number, or one for each channel in the order of `channels`, separated by spaces, on
           the scale of 0 to 1; fractions such as 1/255 may be written. Empty for the library's, and
           for encoders of this project, which take [-1, 1].
channels   `rgb`, `bgr`, `grey`, or `lightness` (of LAB, in one channel)
arguments  optional: JSON object of keyword arguments for the function or the model, such as
           {"pretrained": false} for timm
task       optional: a task of the dictionary. It gives encoders of this project their input (kind
           and clipping) and every network its default label and type.

`taskrsa.rsa.given_rdms` says what a file of RDMs may hold.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

from taskrsa.errors import ConfigError
from taskrsa.io.assets import Asset
from taskrsa.networks.network import (
    AUTO,
    CHANNELS,
    LIBRARIES,
    NATIVE_LOADERS,
    PACKAGE,
    RDMS,
    Network,
)
from taskrsa.tasks.dictionary import TASKS, BankTask

COLUMNS = (
    *("name", "label", "type", "loader", "weights", "sha256"),
    *("layers", "size", "mean", "std", "channels"),
)
OPTIONAL = ("arguments", "task")
NEED_WEIGHTS = ("taskonomy", "checkpoint", "onnx", RDMS)
MADE_HERE = ("trained", "random")  # loaders whose weights the run makes
_FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LOADERS = (
    "trained, random, taskonomy, checkpoint, onnx, rdms, timm:<model>, torchvision:<model> or "
    "package.module:function"
)
_NATIVE_LAYERS = ("block1", "block2", "block3", "block4", "compressed")


def read_bank(*paths: str | os.PathLike) -> dict[str, Network]:
    """Return the networks of tables, by name in the order of the rows.

    Raises
    ------
    ConfigError
        If a table is missing or empty, columns are missing or unknown, a name is used twice, or
        `network` refuses a row.
    """
    networks: dict[str, Network] = {}
    for path in paths:
        rows = _read_rows(path)
        if not rows:
            raise ConfigError(f"{path}: has no row; add a network")
        for line, row in rows:
            try:
                found = network(row)
            except ConfigError as error:
                raise ConfigError(f"{path}, line {line}: {error}") from None
            if found.name in networks:
                raise ConfigError(
                    f"{path}, line {line}: name {found.name} is used twice; rename one"
                )
            networks[found.name] = found
    return networks


def _read_rows(path: str | os.PathLike) -> list[tuple[int, dict[str, str]]]:
    """Return line and cells of every row of a table, without empty lines and comments (#)."""
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
    # Cells may be JSON, so quotes are taken as they are.
    cells = csv.reader((line for _, line in lines), delimiter="\t", quoting=csv.QUOTE_NONE)
    header = [name.strip() for name in next(cells, [])]
    for column in COLUMNS:
        if column not in header:
            raise ConfigError(
                f"{path}: has no column {column}; the header is {' '.join(COLUMNS)}, split by tabs"
            )
    for column in header:
        if column not in (*COLUMNS, *OPTIONAL):
            raise ConfigError(f"{path}: unknown column {column!r}; correct or remove it")
    if len(set(header)) < len(header):
        raise ConfigError(f"{path}: a column is twice in the header; remove one")
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


def network(row: Mapping[str, str]) -> Network:
    """Return a network from the cells of its row.

    Raises
    ------
    ConfigError
        If a cell cannot be used, or the cells contradict each other.
    """
    cells = _Cells(row)
    task = cells.task()
    native = cells.loader in NATIVE_LOADERS
    kind = cells.native_input(task) if native else "rgb"
    channels = cells.channels(kind)
    return Network(
        name=cells.name,
        label=cells["label"] or (task.label if task else cells.name),
        type=cells["type"] or (task.type if task else ""),
        loader=cells.loader,
        weights=cells["weights"],
        sha256=cells.sha256(),
        layers=cells.layers(),
        size=cells.size(),
        mean=cells.numbers("mean", channels),
        std=cells.numbers("std", channels),
        channels=channels,
        arguments=cells.arguments(),
        task=cells["task"],
        input=kind,
        clip=task.clip if native and task else True,
    )


class _Cells:
    """The cells of one row, and the checks that turn each into a value."""

    def __init__(self, row: Mapping[str, str]) -> None:
        self.name = row.get("name", "")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise ConfigError(
                f"bank, row {self.name or '?'}, name: {self.name!r} must be letters, digits, _, - "
                "and ., as files are named by it"
            )
        for column in row:
            if column not in (*COLUMNS, *OPTIONAL):
                self.refuse(column, "there is no such column; correct or remove it")
        self.cells = {column: row.get(column) or "" for column in (*COLUMNS, *OPTIONAL)}
        self.loader = self.cells["loader"]
        kind, _, rest = self.loader.partition(":")
        self.library = kind if kind in LIBRARIES and rest else ""
        known = self.loader in (*MADE_HERE, *NEED_WEIGHTS) or self.library
        if not known and not _FACTORY.fullmatch(self.loader):
            self.refuse("loader", f"there is no loader {self.loader!r}; give {_LOADERS}")
        self._check_weights()
        if self.loader == RDMS:
            for column in ("size", "mean", "std", "channels"):
                self._must_be_empty(column)

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def refuse(self, column: str, what: str) -> None:
        raise ConfigError(f"bank, row {self.name}, {column}: {what}")

    def _must_be_empty(self, column: str) -> None:
        if self[column]:
            self.refuse(column, f"has no effect on {self.loader}; leave it empty")

    def _check_weights(self) -> None:
        weights = self["weights"]
        if self.loader in MADE_HERE:
            self._must_be_empty("weights")
        if self.loader in NEED_WEIGHTS and not weights:
            self.refuse("weights", f"is empty; {self.loader} needs a file")
        if weights.startswith(PACKAGE) and "/" not in weights:
            self.refuse("weights", f"{weights!r} names no file; give package:<name>/<file>")

    def sha256(self) -> str:
        sha256, weights = self["sha256"].lower(), self["weights"]
        if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256):
            self.refuse("sha256", f"{sha256!r} is not 64 hexadecimal digits")
        if weights.startswith(("http://", "https://")) and not sha256:
            self.refuse("sha256", "is empty; what is downloaded must be checked, so give it")
        if sha256 and not weights:
            self.refuse("sha256", "is given without weights; name the file")
        return sha256

    def task(self) -> BankTask | None:
        task = self["task"]
        if not task and self.loader == "trained":
            self.refuse("task", "is empty; name the task that the network is trained for")
        if task and task not in TASKS:
            self.refuse("task", f"there is no task {task!r}; there are {', '.join(TASKS)}")
        return TASKS[task] if task else None

    def native_input(self, task: BankTask | None) -> str:
        """Return what an encoder of this project is shown: its task's input, or photographs."""
        channels = self["channels"]
        if task is None:
            return "lightness" if channels == "lightness" else "rgb"
        fit = "lightness" if task.input == "lightness" else "rgb"
        if channels not in ("", fit):
            self.refuse("channels", f"networks of {task.id} take {fit}, not {channels}")
        return task.input

    def channels(self, kind: str) -> str:
        if self.loader in NATIVE_LOADERS:
            default = "lightness" if kind == "lightness" else "rgb"
        else:
            default = "rgb" if self.library or self.loader == RDMS else ""
        channels = self["channels"] or default
        if channels not in CHANNELS:
            self.refuse("channels", f"{channels!r} is none of {', '.join(CHANNELS)}")
        return channels

    def size(self) -> int | None:
        size = self["size"]
        if size and not (size.isascii() and size.isdecimal() and int(size) > 0):
            self.refuse("size", f"{size!r} is not a number of pixels; give a whole number")
        return int(size) if size else None

    def numbers(self, column: str, channels: str) -> tuple[float, ...]:
        """Return mean or std; those of encoders of this project, 0.5, may be written or not."""
        native = self.loader in NATIVE_LOADERS
        if not self[column] and self.library:
            return ()
        text = self[column] or ("0.5" if native or self.loader == RDMS else "")
        values, n = _numbers(text), CHANNELS[channels]
        if len(values) not in (1, n):
            self.refuse(
                column,
                f"{text!r} must be 1 or {n} numbers for the channels {channels}, on the scale of 0 "
                "to 1, such as 0.485 or 1/255",
            )
        if column == "std" and min(values) <= 0:
            self.refuse(column, "must be positive")
        if native and set(values) != {0.5}:
            self.refuse(column, f"{self.loader} networks take [-1, 1]; leave it empty")
        return values * (n // len(values))

    def arguments(self) -> dict:
        try:
            arguments = json.loads(self["arguments"] or "{}")
        except ValueError as error:
            self.refuse("arguments", f"is not JSON ({error})")
        if not isinstance(arguments, dict):
            self.refuse("arguments", 'must be a JSON object, such as {"num_classes": 10}')
        if self.loader in (*NATIVE_LOADERS, *NEED_WEIGHTS):
            self._must_be_empty("arguments")
        return arguments

    def layers(self) -> tuple[tuple[str, str], ...]:
        """Return pairs of the layer's name, which may be empty, and a pattern."""
        pairs = []
        for word in (self["layers"] or AUTO).split():
            # Names of ONNX values may hold anything; only a plain word before = is a new name.
            match = re.fullmatch(r"([A-Za-z]\w*)=(.+)", word)
            pairs.append((match[1], match[2]) if match else ("", word))
        if ("", AUTO) in pairs and len(pairs) > 1:
            self.refuse("layers", "auto stands alone; leave out auto or the rest")
        given = [layer for layer, _ in pairs if layer]
        for layer in given:
            if given.count(layer) > 1:
                self.refuse("layers", f"{layer} is given twice; rename one")
        return tuple(pairs)


def _numbers(text: str) -> tuple[float, ...]:
    """Return the numbers of a cell; none if a word is not a finite number."""
    try:
        numbers = tuple(float(Fraction(word)) for word in text.split())
    except (ValueError, ZeroDivisionError, OverflowError):
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()


# --- rows that a run makes itself ---


def trained_network(task: BankTask) -> Network:
    """Return the row of the encoder that a run trains for a task."""
    return _task_network(task, task.id, "trained", _NATIVE_LAYERS)


def small_network(task: BankTask, name: str) -> Network:
    """Return the row of a small model of a task."""
    return _task_network(task, name, "small", ("compressed",))


def random_network(name: str) -> Network:
    """Return the row of an untrained encoder."""
    return Network(name, name, "", "random", layers=_named(_NATIVE_LAYERS))


def _task_network(task: BankTask, name: str, loader: str, layers: tuple[str, ...]) -> Network:
    return Network(
        name=name,
        label=task.label,
        type=task.type,
        loader=loader,
        layers=_named(layers),
        mean=(0.5,) * task.input_channels,
        std=(0.5,) * task.input_channels,
        channels="lightness" if task.input == "lightness" else "rgb",
        task=task.id,
        input=task.input,
        clip=task.clip,
    )


def _named(layers: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(("", layer) for layer in layers)


def styles(networks: Mapping[str, Network]) -> dict[str, tuple[str, str]]:
    """Return label and type of each network, as the figures take them; they colour by type."""
    return {name: (network.label, network.type) for name, network in networks.items()}


def asset_of(network: Network) -> Asset:
    """Return how to fetch the weights of a network whose `weights` is an address.

    The file on disk is named by the start of its hash, unless its name holds the hash already:
    many addresses end alike, and a copy of the public bank is found by its own names.
    """
    name = PurePosixPath(urlparse(network.weights).path).name or "weights"
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    if network.sha256 not in name:
        name = f"{network.sha256[:12]}-{name}"
    return Asset(
        name=f"bank/{network.name}",
        address=network.weights,
        file=name,
        hash=f"sha256:{network.sha256}",
        needs=f"weights of {network.name}",
    )
