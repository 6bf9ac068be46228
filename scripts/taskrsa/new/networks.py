"""From words on the command line to rows of a table of networks, and what is not known of them.

A word is timm:<model>, torchvision:<model>, module:function, package:<name>/<file> or a file: an
ONNX network, an encoder of this project (.safetensors), RDMs (.h5, .npz), or a table (.tsv) whose
rows are copied. What can be tried without fetching anything is tried on two images.
"""

from __future__ import annotations

import difflib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from taskrsa.errors import ConfigError, DataError, TaskrsaError
from taskrsa.networks.file_kinds import kind_of_file
from taskrsa.networks.layers import choose
from taskrsa.networks.loading import layers_of, load_network, torchvision_input
from taskrsa.networks.network import LIBRARIES, PACKAGE, RDMS, hash_of, weights_file
from taskrsa.networks.onnx_network import OnnxNetwork
from taskrsa.networks.optional import optional_package, reason_of
from taskrsa.networks.table import network, table_rows
from taskrsa.networks.weights import load_encoder
from taskrsa.plan.networks import RESERVED
from taskrsa.rsa.given_rdms import read_given
from taskrsa.text import first_few, one_line

# Assumed where neither a library nor a file says how a network wants to be shown images.
SIDE = 224
NORMALISATIONS = {
    "rgb": ("0.485 0.456 0.406", "0.229 0.224 0.225"),  # of ImageNet's training images
    "grey": ("0.449", "0.226"),  # their means over the channels
}
UNTRAINED = "untrained"  # type of a network without training
WORDS = (
    "timm:<model>, torchvision:<model>, module:function, package:<name>/<file>, or a file: .onnx, "
    ".safetensors (an encoder of this project), .h5 or .npz (RDMs), .tsv (a table)"
)
_WITHOUT_WEIGHTS: dict[str, dict] = {
    "timm": {"pretrained": False},
    "torchvision": {"weights": None},
}
_STATES = (".pth", ".pt", ".ckpt", ".bin")
_HUBS = ("hf-hub:", "hf_hub:", "local-dir:")


@dataclass(frozen=True)
class Proposal:
    """A row, and what the user should know about it.

    Attributes
    ----------
    cells : by column; columns that are left out are empty
    known : what was found out
    doubts : what was not, and what was assumed instead
    side : of the images that it is shown, pixels, if that is known
    conditions : of a file of RDMs, how many images they are of
    origin : what tells its name from an equal one
    """

    cells: dict[str, str]
    known: str
    doubts: tuple[str, ...] = ()
    side: int | None = None
    conditions: int | None = None
    origin: str = ""

    @property
    def name(self) -> str:
        return self.cells["name"]


@dataclass
class _Names:
    """Names that are taken; files on some systems do not tell capitals from small letters."""

    taken: set[str] = field(default_factory=set)

    def free(self, name: str, origin: str) -> str:
        tries = [name, *([_safe(f"{origin}_{name}")] if origin else [])]
        tries += [f"{name}_{number}" for number in range(2, 1000)]
        found = next(
            one for one in tries if one.lower() not in self.taken and not RESERVED.fullmatch(one)
        )
        self.taken.add(found.lower())
        return found


def proposals(words: Sequence[str]) -> list[Proposal]:
    """Return a row for each word, those of a table for its word, and an untrained control.

    The control is the first network of timm or torchvision without its weights. It costs one pass
    over the images and shows whether pretraining matters for the target at all. There is none if a
    table has an untrained network, or no network is of a library.

    Raises
    ------
    ConfigError, DataError
        If a word is none of the above or given twice, or what it names is not there or not usable.
    """
    for word in words:
        if words.count(word) > 1:
            raise ConfigError(f"--networks {word}: is given twice; leave one out")
    found = [one for word in words for one in _of_word(word)]
    found += _control(found)
    names, named = _Names(), []
    for one in found:
        name = names.free(one.name, one.origin)
        named.append(replace(one, cells=one.cells | {"name": name}))
        network(named[-1].cells)  # refuses what a table could not hold
    return named


def _of_word(word: str) -> Iterable[Proposal]:
    kind, _, rest = word.partition(":")
    if kind in LIBRARIES and rest:
        return [_LIBRARIES[kind](word, rest)]
    of_file = _FILES.get(Path(word).suffix.lower())
    if of_file:
        return of_file(word)
    if Path(word).suffix.lower() in _STATES:
        if Path(word).is_file() and "TorchScript" in kind_of_file(Path(word)):
            raise ConfigError(
                f"--networks {word}: is a TorchScript network, which does not say how "
                "images must be prepared; write a row with loader torchscript (config/README.md) "
                "and give the table"
            )
        raise ConfigError(
            f"--networks {word}: holds weights, but not the network that they are of; write a row "
            "with the function that makes it (config/networks/example.tsv) and give the table"
        )
    if rest and kind != PACKAGE.rstrip(":") and "/" not in word:
        return [_of_function(word)]
    raise ConfigError(f"--networks {word}: is not one of {WORDS}")


def _safe(name: str) -> str:
    """Return a name that files may have."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.-") or "network"


def _cells(name: str, loader: str, **more: str) -> dict[str, str]:
    cells = {"name": _safe(name), "label": re.sub(r"[\s_]+", " ", name).strip()}
    return cells | {"loader": loader, "layers": "auto"} | more


def _control(found: Sequence[Proposal]) -> list[Proposal]:
    if any(network(one.cells).untrained for one in found):
        return []
    for one in found:
        library = one.cells["loader"].partition(":")[0]
        if library in LIBRARIES and not one.cells.get("weights"):
            arguments = json.loads(one.cells.get("arguments") or "{}") | _WITHOUT_WEIGHTS[library]
            more = {"name": UNTRAINED, "label": f"untrained {one.cells['label']}"}
            more |= {"type": UNTRAINED, "arguments": json.dumps(arguments)}
            known = f"control: {one.name} without its weights; it should not lead"
            return [replace(one, cells=one.cells | more, known=known, doubts=())]
    return []


# --- libraries ---


def _library(package: str, word: str) -> ModuleType:
    return optional_package(package, network(_cells(word, word, channels="rgb")))


def _unknown_model(word: str, package: str, model: str, models: Iterable[str]) -> ConfigError:
    close = difflib.get_close_matches(model.partition(".")[0], list(models), 3)
    hint = f"did you mean {' or '.join(close)}?" if close else "see its list of models"
    return ConfigError(f"--networks {word}: {package} has no model {model}; {hint}")


def _of_timm(word: str, model: str) -> Proposal:
    timm = _library("timm", word)
    cells = _cells(model.rpartition("/")[2], word, channels="rgb")
    if model.startswith(_HUBS):
        doubt = f"{model} was not looked up; the run fetches it"
        return Proposal(cells, "from timm, weights from a hub", (doubt,), origin="timm")
    if not timm.is_model(model):
        raise _unknown_model(word, "timm", model, timm.list_models())
    try:
        shown = timm.models.get_pretrained_cfg(model)
    except RuntimeError as error:
        tags = timm.list_pretrained(f"{model.partition('.')[0]}.*")
        raise ConfigError(
            f"--networks {word}: {one_line(error).rstrip('.')}; there are {first_few(tags)}"
        ) from None
    if shown is None or not shown.has_weights:
        raise ConfigError(f"--networks {word}: timm has no weights for {model}; name another model")
    _, height, width = shown.input_size
    doubts = ()
    if height != width:
        side = min(height, width)
        cells["size"] = str(side)
        doubts = (f"timm shows it {height} x {width} pixels; here {side} x {side} are assumed",)
    known = f"from timm; images at {min(height, width)} pixels, normalised as timm says"
    source = shown.hf_hub_id or shown.url or "timm"
    known += f"; the run fetches {source}" + (f" ({shown.license})" if shown.license else "")
    return Proposal(cells, known, doubts, min(height, width), origin="timm")


def _of_torchvision(word: str, model: str) -> Proposal:
    models = _library("torchvision", word).models
    if model not in models.list_models():
        raise _unknown_model(word, "torchvision", model, models.list_models())
    weights = models.get_model_weights(model).DEFAULT
    side, mean, std, _ = torchvision_input(weights)
    cells, doubts = _cells(model, word, channels="rgb"), ()
    if not (mean and std):
        cells["mean"], cells["std"] = NORMALISATIONS["rgb"]
        doubts = ("torchvision does not say its normalisation; ImageNet's is assumed",)
    size = f"images at {side} pixels" if side else "images at their own size"
    known = f"from torchvision; {size}; the run fetches {weights}"
    return Proposal(cells, known, doubts, side, origin="torchvision")


_LIBRARIES: dict[str, Callable[[str, str], Proposal]] = {
    "timm": _of_timm,
    "torchvision": _of_torchvision,
}


# --- files ---


def _file_cells(word: str, loader: str, **more: str) -> tuple[dict[str, str], Path]:
    """Return the cells of a file's row, and the file."""
    path = Path(word)
    cells = _cells(path.stem, loader, weights=word, **more)
    mean, std = NORMALISATIONS["rgb"]
    needed = {"channels": "rgb", "mean": mean, "std": std} if loader == "onnx" else {}
    row = network(cells | needed)
    file = weights_file(row)
    return cells | {"sha256": hash_of(row, file)}, file


def _origin(word: str) -> str:
    """Return what distinguishes a file from others of its name: its package or folder."""
    inside = word.removeprefix(PACKAGE)
    return inside.partition("/")[0] if word.startswith(PACKAGE) else Path(word).parent.name


def _of_onnx(word: str) -> list[Proposal]:
    cells, file = _file_cells(word, "onnx")
    first = None
    for channels, (mean, std) in NORMALISATIONS.items():
        given = cells | {"channels": channels, "mean": mean, "std": std}
        try:
            found = OnnxNetwork(network(given), file)
            break
        except ConfigError as error:
            first = first or error
    else:
        raise first
    height, width = found.sides
    if height != width:
        raise ConfigError(
            f"--networks {word}: takes images of {width or 'any'} x {height or 'any'} pixels; here "
            "networks are shown squares, so leave it out or export it for squares"
        )
    side = height or SIDE
    given["size"] = str(side)
    row = network(given)
    choose(layers_of(OnnxNetwork(row, file), side), row)
    doubts = (f"an ONNX file does not say how pixels are normalised: {_assumed(given)}",)
    if not height:
        doubts += (f"it takes images of any size: {side} pixels are assumed",)
    known = f"ONNX; {row.n_channels} channel{'s' * (row.n_channels > 1)}, images at {side} pixels"
    return [Proposal(given, known, doubts, side, origin=_origin(word))]


def _assumed(cells: dict[str, str]) -> str:
    return f"ImageNet's mean and std, and channels {cells['channels']}, are assumed"


def _of_encoder(word: str) -> list[Proposal]:
    cells, file = _file_cells(word, "checkpoint")
    try:
        spec = load_encoder(file).spec
    except (TaskrsaError, ValueError) as error:
        raise DataError(f"--networks {word}: is not an encoder of this project ({error})") from None
    cells["channels"] = "lightness" if spec.input_channels == 1 else "rgb"
    known = f"encoder of this project, {spec.family} of width {spec.width}"
    return [Proposal(cells, known, origin=_origin(word))]


def _of_rdms(word: str) -> list[Proposal]:
    cells, file = _file_cells(word, RDMS)
    given = read_given(file)
    known = f"{len(given.names)} RDMs of {given.n} images: {first_few(given.names)}"
    doubts = ()
    if given.conditions is None:
        doubts = ("its conditions have no names, so they must be in the order of the stimuli",)
    return [Proposal(cells, known, doubts, conditions=given.n, origin=_origin(word))]


def _of_table(word: str) -> list[Proposal]:
    found = []
    for where, cells in table_rows(word):
        try:
            row = network(cells)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
        if not row.is_address:
            weights_file(row)  # refuses a file that is not there
        known = f"{row.label}, a row of {word}"
        found.append(Proposal(cells, known, side=row.size, origin=Path(word).stem))
    return found


_FILES: dict[str, Callable[[str], list[Proposal]]] = {
    ".onnx": _of_onnx,
    ".safetensors": _of_encoder,
    ".h5": _of_rdms,
    ".hdf5": _of_rdms,
    ".npz": _of_rdms,
    ".tsv": _of_table,
}


# --- functions ---


def _of_function(word: str) -> Proposal:
    module, _, name = word.partition(":")
    mean, std = NORMALISATIONS["rgb"]
    cells = _cells(name.rpartition(".")[2], word, channels="rgb", mean=mean, std=std)
    cells["size"] = str(SIDE)
    row = network(cells)  # refuses what is not the name of a function
    try:
        function = pkgutil.resolve_name(word)
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        raise ConfigError(
            f"--networks {word}: cannot be imported ({reason_of(error)}); install it, or run from "
            "the folder that holds it"
        ) from None
    if not callable(function):
        raise ConfigError(f"--networks {word}: cannot be called; name a function or class")
    doubts = [f"how its images are prepared is unknown: {SIDE} pixels, and {_assumed(cells)}"]
    required, optional = _parameters(function)
    if required:
        doubts.append(
            f"it needs arguments ({', '.join(required)}): fill the cell arguments, such as "
            f"{json.dumps({required[0]: '...'})}; the run stops until then"
        )
        known = "function, not called"
    else:
        takes = f" (it knows {first_few(optional)})" if optional else ""
        known = f"function, called without arguments{takes}"
        try:
            choose(layers_of(load_network(row), SIDE), row)
        except TaskrsaError as error:
            doubts.append(f"it does not run like this: {one_line(error)}")
    doubts.append("the cell weights is empty: the function's own weights are used, if it has any")
    return Proposal(cells, known, tuple(doubts), SIDE, origin=module)


def _parameters(function: Callable) -> tuple[list[str], list[str]]:
    """Return names of the arguments that a function needs, and of others that it takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of compiled code
        return [], []
    named = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    required = [one.name for one in named if one.default is one.empty]
    return required, [one.name for one in named if one.name not in required]
