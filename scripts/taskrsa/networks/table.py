"""Tables of networks: a bank is one or several tables, a row is a network.

`config/README.md` says what loaders and columns there are. A table is tab-separated with one header
line; empty lines and comments (#) are passed over. `mean` and `std` hold one number, or one for
each channel in the order of `channels`, and nothing for encoders of this project: they take
[-1, 1].
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import zip_longest
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
    TORCHSCRIPT,
    Network,
)
from taskrsa.tasks.dictionary import TASKS, BankTask

COLUMNS = (
    *("name", "label", "type", "loader", "weights", "sha256"),
    *("layers", "size", "mean", "std", "channels"),
)
OPTIONAL = ("arguments", "task", "head", "prior", "untrained")
NEED_WEIGHTS = ("taskonomy", "checkpoint", "onnx", TORCHSCRIPT, RDMS)
MADE_HERE = ("trained", "random")  # loaders whose weights the run makes
MOST_PIXELS = 4096  # a side of the input
_CONTROL = ("Cc", "Cs", "Zl", "Zp")  # Unicode's: control, surrogates, ends of lines
LONGEST = 10_000  # characters of a cell: rows are handed to jobs on the command line
_FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LOADERS = (
    "trained, random, taskonomy, checkpoint, onnx, torchscript, rdms, timm:<model>, "
    "torchvision:<model> or package.module:function"
)
_COMPRESSED = ("", "compressed")
_NATIVE_LAYERS = (("", "block1"), ("", "block2"), ("", "block3"), ("", "block4"), _COMPRESSED)


def read_bank(*paths: str | os.PathLike) -> dict[str, Network]:
    """Return the networks of tables, by name in the order of the rows.

    Raises
    ------
    ConfigError
        If a table is missing or empty, columns are missing or unknown, names are used twice, or
        `network` refuses rows: a line for each.
    """
    networks: dict[str, Network] = {}
    faults = []
    for path in paths:
        for where, row in table_rows(path):
            try:
                found = network(row)
            except ConfigError as error:
                faults.append(f"{where}: {error}")
                continue
            if found.name in networks:
                faults.append(f"{where}: name {found.name} is used twice; rename one")
            networks[found.name] = found
    if len(faults) > 1:
        lines = "".join(f"\n  {fault}" for fault in faults)
        raise ConfigError(f"{len(faults)} rows of networks cannot be used:{lines}")
    if faults:
        raise ConfigError(faults[0])
    return networks


def table_rows(path: str | os.PathLike) -> list[tuple[str, dict[str, str]]]:
    """Return place and cells of every row of a table, without empty lines and comments (#).

    ConfigError if it is missing or empty, or has other columns or more cells than it should.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such table of networks; correct the path") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError(f"{path}: cannot be read ({reason}); save it as UTF-8 text") from None
    # Cells may be JSON, so quotes are taken as they are.
    lines = [
        (f"{path}, line {number}", [cell.strip() for cell in line.split("\t")])
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip() and not line.startswith("#")
    ]
    header = lines[0][1] if lines else []
    for column in COLUMNS:
        if column not in header:
            raise ConfigError(
                f"{path}: has no column {column}; the header is {' '.join(COLUMNS)}, split by tabs"
            )
    for column in header:
        if column not in (*COLUMNS, *OPTIONAL):
            raise ConfigError(f"{path}: unknown column {column!r}; correct or remove it")
    if len(set(header)) < len(header):
        raise ConfigError(f"{path}: a column appears twice in the header; remove one")
    for where, cells in lines:
        if len(cells) > len(header):
            raise ConfigError(
                f"{where}: {len(cells)} cells for {len(header)} columns; remove a tab"
            )
    if len(lines) < 2:
        raise ConfigError(f"{path}: has no row; add a network")
    return [(where, dict(zip_longest(header, cells, fillvalue=""))) for where, cells in lines[1:]]


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
        head=cells.head(),
        prior=cells.prior(),
        untrained=cells.untrained(),
    )


class _Cells:
    """The cells of one row, and the checks that turn each into a value."""

    def __init__(self, row: Mapping[str, str]) -> None:
        self.name = row.get("name", "")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", self.name):
            raise ConfigError(
                f"bank, row {self.name or '?'}, name: {self.name!r} must be letters, digits, _, - "
                "and ., 100 at most, as files are named by it"
            )
        self.cells = {column: row.get(column) or "" for column in (*COLUMNS, *OPTIONAL)}
        for column, cell in self.cells.items():
            if len(cell) > LONGEST:
                self.refuse(column, f"has {len(cell)} characters; a cell has {LONGEST} at most")
            if any(unicodedata.category(sign) in _CONTROL for sign in cell):
                self.refuse(column, f"{cell!r} holds a control character; remove it")
        self.loader = self.cells["loader"]
        kind, _, rest = self.loader.partition(":")
        self.library = kind if kind in LIBRARIES and rest else ""
        known = self.loader in (*MADE_HERE, *NEED_WEIGHTS) or self.library
        if not known and not _FACTORY.fullmatch(self.loader):
            self.refuse("loader", f"there is no loader {self.loader!r}; give {_LOADERS}")
        weights = self["weights"]
        if self.loader in NEED_WEIGHTS and not weights:
            self.refuse("weights", f"is empty; {self.loader} needs a file")
        if weights.startswith(PACKAGE) and "/" not in weights:
            self.refuse("weights", f"{weights!r} does not name a file; give package:<name>/<file>")
        self._must_be_empty("weights", of=MADE_HERE)
        self._must_be_empty("size", "mean", "std", "channels", of=(RDMS,))

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def refuse(self, column: str, what: str) -> None:
        raise ConfigError(f"bank, row {self.name}, {column}: {what}")

    def _must_be_empty(self, *columns: str, of: Sequence[str]) -> None:
        for column in columns:
            if self[column] and self.loader in of:
                self.refuse(column, f"has no effect on {self.loader}; leave it empty")

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
            self.refuse("channels", f"{channels!r} is not one of {', '.join(CHANNELS)}")
        return channels

    def size(self) -> int | None:
        size = self["size"]
        if size and not re.fullmatch("[0-9]{1,9}", size):
            self.refuse("size", f"{size!r} is not a number of pixels; give a whole number")
        if size and not 1 <= int(size) <= MOST_PIXELS:
            self.refuse("size", f"{size} pixels are not within 1 to {MOST_PIXELS}; correct it")
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
        except RecursionError:
            self.refuse("arguments", "is nested too deeply; give a plain JSON object")
        if not isinstance(arguments, dict):
            self.refuse("arguments", 'must be a JSON object, such as {"num_classes": 10}')
        if self.loader == "onnx":
            self._check_onnx(arguments)
        else:
            self._must_be_empty("arguments", of=(*NATIVE_LOADERS, *NEED_WEIGHTS))
        return arguments

    def head(self) -> str:
        """Return where a target's head is attached; targets say so for encoders of this project."""
        self._must_be_empty("head", of=(*NATIVE_LOADERS, RDMS))
        if len(self["head"].split()) > 1:
            self.refuse("head", f"{self['head']!r} is more than one name; name one layer or module")
        return self["head"]

    def prior(self) -> float | None:
        values = _numbers(self["prior"])
        if self["prior"] and len(values) != 1:
            self.refuse("prior", f"{self['prior']!r} is not a number; the higher, the better")
        return values[0] if values else None

    def untrained(self) -> bool:
        """Tell whether the weights are random: the column says so, or the loader or arguments by
        which the libraries leave out theirs do."""
        if self["untrained"] not in ("", "yes", "no"):
            self.refuse("untrained", f"{self['untrained']!r} is neither yes nor no")
        if self["untrained"]:
            return self["untrained"] == "yes"
        arguments = self.arguments()
        without = arguments.get("pretrained", True) is False
        without |= "weights" in arguments and arguments["weights"] is None
        return self.loader == "random" or (without and not self["weights"])

    def _check_onnx(self, arguments: dict) -> None:
        for key in arguments.keys() - {"trainable", "inputs"}:
            self.refuse("arguments", f"{key} has no effect on onnx; give trainable or inputs")
        if not isinstance(arguments.get("trainable", False), bool):
            self.refuse("arguments", "trainable is true or false")
        if not isinstance(arguments.get("inputs", {}), dict):
            self.refuse("arguments", 'inputs must be a JSON object, such as {"style": [1, 0]}')

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
        return tuple(_number(word) for word in text.split())
    except (ValueError, ZeroDivisionError, OverflowError):
        return ()


def _number(word: str) -> float:
    """Return a number or a fraction of two, such as 127.5/255."""
    above, slash, below = word.partition("/")
    return float(Fraction(above) / Fraction(below) if slash else Fraction(above))


# --- rows that a run makes itself ---


def trained_network(task: BankTask) -> Network:
    """Return the row of the encoder that a run trains for a task."""
    return _task_network(task, task.id, "trained", _NATIVE_LAYERS)


def small_network(task: BankTask, name: str) -> Network:
    """Return the row of a small model of a task."""
    return _task_network(task, name, "small", (_COMPRESSED,))


def random_network(name: str) -> Network:
    """Return the row of an untrained encoder."""
    return Network(name, name, "", "random", layers=_NATIVE_LAYERS, untrained=True)


def _task_network(task: BankTask, name: str, loader: str, layers: tuple) -> Network:
    return Network(
        name=name,
        label=task.label,
        type=task.type,
        loader=loader,
        layers=layers,
        mean=(0.5,) * task.input_channels,
        std=(0.5,) * task.input_channels,
        channels="lightness" if task.input == "lightness" else "rgb",
        task=task.id,
        input=task.input,
        clip=task.clip,
    )


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
