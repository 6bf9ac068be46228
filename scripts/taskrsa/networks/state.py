"""State dicts as people save them: found in a checkpoint, and fitted to a network.

Loops of training store weights beside other things, and more than once, under the names of what
wrapped the network. What cannot be mistaken is undone, and one line of the log says what was. A
file may lack the network's head, which a target replaces, or have other heads; whatever else does
not fit is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from taskrsa.errors import DataError
from taskrsa.networks.weights import load_pickled, load_strictly, read_safetensors
from taskrsa.text import first_few

# Where loops store weights. Averages of the weights, which are those to be used, come first.
_SMOOTHED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema", "params_ema", "teacher")
_RAW = ("state_dict", "model_state_dict", "model", "params", "net", "network", "net_g", "weights")
_PARTS = ("module", "student", "backbone", "encoder")
ENTRIES = (*_SMOOTHED, *_RAW, *_PARTS)
# What wraps networks, and so stands before the names of their weights.
PREFIXES = ("module", "model", "_orig_mod", "backbone", "encoder", "net", "network", "student")
PREFIXES += ("teacher", "base_model", "trunk", "visual")
_HEADS = ("head", "heads", "fc", "classifier", "aux_classifier", "last_linear")
_DEEPEST = 4  # dictionaries inside each other


@dataclass(frozen=True)
class State:
    """Weights by name, and how they were found.

    Attributes
    ----------
    entry : names of the dictionaries that they were in, joined by dots; "" for the file itself
    others : names of further weights beside them
    left : names of what is not a tensor
    """

    values: dict[str, Tensor]
    entry: str = ""
    others: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def read_state(path: Path) -> State:
    """Return the weights of a file of safetensors or of `torch.save`; DataError if there are none,
    or the file is something else."""
    if path.suffix == ".safetensors":
        return State(read_safetensors(path)[0])
    payload, entries, others = load_pickled(path), [], []
    for _ in range(_DEEPEST):
        if not isinstance(payload, Mapping):
            break
        inside = [name for name, value in payload.items() if _holds_weights(value)]
        named = [name for name in ENTRIES if name in inside]
        is_state = any(isinstance(value, Tensor) for value in payload.values())
        if not named and (is_state or len(inside) != 1):
            break
        chosen = (named or inside)[0]
        entries.append(str(chosen))
        others += [str(name) for name in inside if name != chosen]
        payload = payload[chosen]
    entry = ".".join(entries)
    values, left = tensors_of(payload) if isinstance(payload, Mapping) else ({}, ())
    if not values:
        raise DataError(f"{path} holds no weights{_told(payload)}; save the network's state_dict")
    return State(values, entry, tuple(others), left)


def tensors_of(state: Mapping) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the weights of a state dict, and the names of what else is in it, such as the best
    loss of a training loop."""
    values = {
        key: value
        for key, value in state.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }
    return values, tuple(str(key) for key in state if key not in values)


def _holds_weights(value: object, depth: int = _DEEPEST) -> bool:
    """Tell whether a value is a dictionary of weights by name, or has one inside."""
    if not isinstance(value, Mapping) or not depth:
        return False
    inside = [one for key, one in value.items() if isinstance(key, str)]
    return any(isinstance(one, Tensor) or _holds_weights(one, depth - 1) for one in inside)


def _told(payload: object) -> str:
    if not isinstance(payload, Mapping):
        return f", but a {type(payload).__name__}"
    return f", but {first_few([*map(str, payload)], 5)}" if payload else ""


# --- fitting to a network ---


def load_state(
    network: nn.Module, path: Path, name: str, head_of: Callable[[], Collection[str]]
) -> bool:
    """Put the weights of a file into a network, say in one line what had to be done for it, and
    return whether its head keeps the weights that it had.

    Parameters
    ----------
    name : of the network, for the line
    head_of : returns the names of the modules that make the network's outputs

    Raises
    ------
    DataError
        As `read_state`, or if the file lacks other weights than the head's, or has weights that
        the network does not know within its parts.
    """
    state, expected = read_state(path), network.state_dict()
    prefix = best_prefix(state.values, expected)
    known = {
        key.removeprefix(prefix): value
        for key, value in state.values.items()
        if key.startswith(prefix)
    }
    left = [key for key in state.values if not key.startswith(prefix)]
    if known.keys() & expected.keys():
        left += [key for key in known if key not in expected and _is_other_part(key, expected)]
    known = {key: value for key, value in known.items() if key not in left}
    # Half-precision files fit networks in single precision; other types are another network's.
    for key, value in known.items():
        if key in expected and value.is_floating_point() and expected[key].is_floating_point():
            known[key] = value.to(expected[key].dtype)
    lacking = [
        key
        for key, value in expected.items()
        if not key.endswith("num_batches_tracked")
        and (key not in known or known[key].shape != value.shape)
    ]
    if lacking and len(lacking) < len(expected):
        head = set(head_of())
        if all(key.rpartition(".")[0] in head for key in lacking):
            known |= {key: expected[key] for key in lacking}
    load_strictly(network, known, path, "network")
    _tell(name, path, state, prefix, [*left, *state.left], lacking)
    return bool(lacking)


def best_prefix(state: Collection[str], expected: Mapping[str, Tensor]) -> str:
    """Return what to take off names so that most of them are the network's; the shortest such."""
    tries = {""}
    for key in state:
        parts = key.split(".")
        n = next((at for at, part in enumerate(parts) if part not in PREFIXES), len(parts))
        tries |= {".".join([*parts[:end], ""]) for end in range(1, n + 1)}

    def fit(prefix: str) -> int:
        return sum(key.startswith(prefix) and key.removeprefix(prefix) in expected for key in state)

    return max(sorted(tries, key=len), key=fit)


def _is_other_part(key: str, expected: Collection[str]) -> bool:
    """Tell whether weights are of a part that the network does not have at all, such as the head
    of another task; a block more in one of its parts is of another network."""
    part = key.split(".")[0]
    return part in _HEADS or not any(other.split(".")[0] == part for other in expected)


def _tell(
    name: str, path: Path, state: State, prefix: str, left: list[str], lacking: list[str]
) -> None:
    said = []
    if state.entry:
        said.append(f"entry {state.entry}")
    if state.others:
        said.append(f"not {first_few(list(state.others), 3)}")
    if prefix:
        said.append(f"{prefix} taken off the names")
    if left:
        said.append(f"{first_few(left, 3)} left out")
    if lacking:
        said.append(f"{first_few(lacking, 3)} not in the file or of other sizes: as drawn")
    if said:
        print(f"{name}: weights of {path.name}: {'; '.join(said)}", flush=True)
