"""Which layers of a network are compared: by name, with wildcards, or by the network's own shape.

Apart from networks: a layer is a module of a torch network, a value of an ONNX graph or an RDM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from taskrsa.errors import ConfigError
from taskrsa.networks.network import Network
from taskrsa.networks.reading import UNREADABLE, Reading

N_AUTO = 6  # five evenly spaced, and the last before the head
LAST = "last"
AUTO_NAMES = (*(f"depth{step}" for step in range(1, N_AUTO)), LAST)
NEVER_REACHED = "is never reached"  # a fault
SHOWN = 8  # names that an error lists


@dataclass(frozen=True)
class Layer:
    """Where a network can be tapped.

    Attributes
    ----------
    name : of the module or value
    kind : class of the module or operation of the node
    shape : of what comes out for one image; empty if it cannot be used
    fault : why it cannot be used, or ""
    trunk : whether it is before the head and all that reaches the head passes through it
    images_at : dimension of the output that counts the images
    reading : what the dimensions of `shape` mean
    depth : share of the weighted operations before the head that it depends on; 1 if unknown
    head : whether it makes the output
    """

    name: str
    kind: str
    shape: tuple[int, ...] = ()
    fault: str = ""
    trunk: bool = False
    images_at: int = 0
    reading: Reading = UNREADABLE
    depth: float = 1.0
    head: bool = False


def choose(layers: Sequence[Layer], network: Network) -> dict[str, Layer]:
    """Return the layers that a row of a bank asks for, by the names it gives them.

    `*` matches any characters, dots too; of what a wildcard matches, layers that cannot be used
    are passed over. `auto` gives the names depth1 to depth5 and `last`, alike for all networks: at
    equal shares of the layers that all information passes through, in the order in which they are
    reached, the last right before the head. Of fewer than six all are taken. Blocks of a torch
    network count as one, without what is inside, if that leaves six. What the head is, says
    `taskrsa.networks.flow`.

    Raises
    ------
    ConfigError
        If a pattern matches nothing that can be used, or a name would stand for two layers.
    """
    if network.has_auto_layers:
        return _spread([layer for layer in layers if layer.trunk], network)
    where = network.where("layers")
    chosen: dict[str, Layer] = {}
    for name, pattern in network.layers:
        if name:
            matching = [one_matching(layers, pattern, where, f"{name}={pattern}")]
        else:
            matching = _matching(layers, pattern, where)
        for layer in matching:
            other = chosen.setdefault(name or layer.name, layer)
            if other is not layer:
                raise ConfigError(
                    f"{where}: {other.name} and {layer.name} would both be layer "
                    f"{name or layer.name}; rename one"
                )
    return chosen


def one_matching(
    layers: Sequence[Layer], pattern: str, where: str, shown: str | None = None
) -> Layer:
    """Return the one layer that a name or pattern, written as `shown`, stands for; ConfigError if
    there is none that can be used, or several."""
    matching = _matching(layers, pattern, where)
    if len(matching) > 1:
        raise ConfigError(
            f"{where}: {shown or pattern} matches {len(matching)}, {_list(matching)}; name one"
        )
    return matching[0]


def _matching(layers: Sequence[Layer], pattern: str, where: str) -> list[Layer]:
    exact = [layer for layer in layers if layer.name == pattern]
    matching = exact or [layer for layer in layers if fnmatchcase(layer.name, pattern)]
    if not matching:
        usable = [layer for layer in layers if not layer.fault]
        raise ConfigError(f"{where}: nothing is named {pattern}; there are {_list(usable)}")
    usable = [layer for layer in matching if not layer.fault]
    if not usable:
        raise ConfigError(f"{where}: {matching[0].name} cannot be used: it {matching[0].fault}")
    return usable


def _spread(layers: Sequence[Layer], network: Network) -> dict[str, Layer]:
    n = min(N_AUTO, len(layers))
    if not n:
        raise ConfigError(
            f"{network.where('layers')}: auto finds nothing before the head; name the layers"
        )
    picked = [layers[-(-len(layers) * step // n) - 1] for step in range(1, n + 1)]
    names = [*AUTO_NAMES[: n - 1], LAST]
    return dict(zip(names, picked, strict=True))


def _list(layers: Sequence[Layer]) -> str:
    step = max(1, len(layers) // SHOWN)
    shown = [layer.name for layer in layers[::step][:SHOWN]]
    more = f" and {len(layers) - len(shown)} more" if len(layers) > len(shown) else ""
    return ", ".join(shown) + more
