"""Which layers of a network are compared: by name, with wildcards, or by the network's own shape.

Apart from networks: a layer is a module of a torch network, a value of an ONNX graph or an RDM.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from graphlib import TopologicalSorter

from taskrsa.errors import ConfigError
from taskrsa.networks.network import AUTO, Network

N_AUTO = 6  # five evenly spaced, and the last before the head
LAST = "last"
SHOWN = 8  # names that an error lists
# Operations at the end that count as part of the head, with what they are applied to.
PASSED = ("softmax", "logsoftmax", "sigmoid", "bias", "identity")


@dataclass(frozen=True)
class Layer:
    """Where a network can be tapped.

    Attributes
    ----------
    name : of the module or value
    kind : class of the module or operation of the node
    shape : of what comes out for one image; empty if it cannot be used
    fault : why it cannot be used, or ""
    trunk : whether it is before the head and all that reaches the output passes through it
    images_at : dimension of the output that counts the images
    """

    name: str
    kind: str
    shape: tuple[int, ...] = ()
    fault: str = ""
    trunk: bool = False
    images_at: int = 0


def choose(layers: Sequence[Layer], network: Network) -> dict[str, Layer]:
    """Return the layers that a row of a bank asks for, by the names it gives them.

    `*` matches any characters, dots too; of what a wildcard matches, layers that cannot be used
    are passed over. `auto` gives the names depth1 to depth5 and `last`, alike for all networks: at
    equal shares of the layers that all information passes through, in the order in which they are
    reached, the last right before the head. Of fewer than six all are taken. Blocks of a torch
    network count as one, without what is inside, if that leaves six. The head is what makes the
    output, with a softmax or sigmoid after it.

    Raises
    ------
    ConfigError
        If a pattern matches nothing that can be used, or a name would stand for two layers.
    """
    if network.layers == (("", AUTO),):
        return _spread([layer for layer in layers if layer.trunk], network)
    where = network.where("layers")
    chosen: dict[str, Layer] = {}
    for name, pattern in network.layers:
        matching = _matching(layers, pattern, where)
        if name and len(matching) > 1:
            raise ConfigError(
                f"{where}: {name}={pattern} matches {len(matching)}, {_list(matching)}; name one"
            )
        for layer in matching:
            other = chosen.setdefault(name or layer.name, layer)
            if other is not layer:
                raise ConfigError(
                    f"{where}: {other.name} and {layer.name} would both be layer "
                    f"{name or layer.name}; rename one"
                )
    return chosen


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
    names = [*(f"depth{step}" for step in range(1, n)), LAST]
    return dict(zip(names, picked, strict=True))


def _list(layers: Sequence[Layer]) -> str:
    step = max(1, len(layers) // SHOWN)
    shown = [layer.name for layer in layers[::step][:SHOWN]]
    more = f" and {len(layers) - len(shown)} more" if len(layers) > len(shown) else ""
    return ", ".join(shown) + more


# --- the shape of a network ---

Node = Hashable
Predecessors = Callable[[Node], Sequence[Node]]


def ancestors(outputs: Sequence[Node], predecessors: Predecessors) -> list[Node]:
    """Return the nodes that the deepest of the outputs, which is that with most such nodes, depends
    on, itself last, each after those that it depends on."""
    return max((_ordered(node, predecessors) for node in outputs), key=len, default=[])


def _ordered(output: Node, predecessors: Predecessors) -> list[Node]:
    before: dict[Node, Sequence[Node]] = {}
    left = [output]
    while left:
        node = left.pop()
        if node not in before:
            before[node] = predecessors(node)
            left += before[node]
    return list(TopologicalSorter(before).static_order())


def bottlenecks(order: Sequence[Node], predecessors: Predecessors) -> list[Node]:
    """Return the nodes that every path from the first to the last node passes through: those that
    no edge leaps over, in whatever order that respects the edges.

    Parameters
    ----------
    order : nodes, each after those that it depends on; all of them lead to the last
    """
    position = {node: place for place, node in enumerate(order)}
    furthest = [0] * len(order)
    for place, node in enumerate(order):
        for other in predecessors(node):
            furthest[position[other]] = place
    found, reach = [], 0
    for place, node in enumerate(order):
        if reach <= place:
            found.append(node)
        reach = max(reach, furthest[place])
    return found


def head(outputs: Sequence[Node], predecessors: Predecessors, kind: Callable[[Node], str]) -> set:
    """Return the nodes that make the outputs, with those that a softmax or the like is applied to;
    `kind` tells a node's operation."""
    found, left = set(), list(outputs)
    while left:
        node = left.pop()
        if node in found:
            continue
        found.add(node)
        name = re.sub(r"(Backward\w*)?$", "", kind(node)).lower()
        if name in PASSED:
            left += predecessors(node)
    return found
