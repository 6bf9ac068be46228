"""Which layers of a network are compared: by name, with wildcards, or by the network's own shape.

Apart from networks: a place is a module of a torch network or a value of an ONNX graph.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from taskrsa.errors import ConfigError
from taskrsa.networks.table import AUTO, Network

N_AUTO = 6  # five evenly spaced, and the last before the head
LAST = "last"
SHOWN = 8  # names that an error lists
# Operations at the end that the head is said to include with what they are applied to.
PASSED = ("softmax", "logsoftmax", "sigmoid", "bias", "identity")


@dataclass(frozen=True)
class Place:
    """Where a network can be listened to.

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


def choose(places: Sequence[Place], network: Network) -> dict[str, Place]:
    """Return the places that a row of a bank asks for, by the names of their layers.

    `*` matches any characters, dots too; of what a wildcard matches, places that cannot be used
    are passed over. `auto` gives layers the names depth1 to depth5 and `last`, alike for all
    networks: at equal shares of the places that all information passes through, in the order in
    which they are reached, the last right before the head. Of fewer than six all are taken. Blocks
    of a torch network count as one, without what is inside, if that leaves six. The head is what
    makes the output, with a softmax or sigmoid after it.

    Raises
    ------
    ConfigError
        If a pattern matches nothing, or nothing that can be used, two layers would have one name, a
        named place cannot be used, or a new name is given to several.
    """
    if network.layers == (("", AUTO),):
        return _spread([place for place in places if place.trunk], network)
    where = network.where("layers")
    chosen: dict[str, Place] = {}
    for name, pattern in network.layers:
        found = _matching(places, pattern, where)
        if name and len(found) > 1:
            raise ConfigError(
                f"{where}: {name}={pattern} matches {len(found)}, {_list(found)}; name one"
            )
        for place in found:
            other = chosen.setdefault(name or place.name, place)
            if other is not place:
                raise ConfigError(
                    f"{where}: {other.name} and {place.name} would both be layer "
                    f"{name or place.name}; rename one"
                )
    return chosen


def _matching(places: Sequence[Place], pattern: str, where: str) -> list[Place]:
    exact = [place for place in places if place.name == pattern]
    found = exact or [place for place in places if fnmatchcase(place.name, pattern)]
    if not found:
        usable = [place for place in places if not place.fault]
        raise ConfigError(f"{where}: nothing is named {pattern}; there are {_list(usable)}")
    usable = [place for place in found if not place.fault]
    if not usable:
        raise ConfigError(f"{where}: {found[0].name} cannot be used: it {found[0].fault}")
    return usable


def _spread(places: Sequence[Place], network: Network) -> dict[str, Place]:
    n = min(N_AUTO, len(places))
    if not n:
        raise ConfigError(
            f"{network.where('layers')}: auto finds nothing before the head; name the layers"
        )
    picked = [places[-(-len(places) * step // n) - 1] for step in range(1, n + 1)]
    names = [*(f"depth{step}" for step in range(1, n)), LAST]
    return dict(zip(names, picked, strict=True))


def _list(places: Sequence[Place]) -> str:
    step = max(1, len(places) // SHOWN)
    shown = [place.name for place in places[::step][:SHOWN]]
    more = f" and {len(places) - len(shown)} more" if len(places) > len(shown) else ""
    return ", ".join(shown) + more


# --- the shape of a network ---

Node = Hashable
Predecessors = Callable[[Node], Sequence[Node]]


def ancestors(outputs: Sequence[Node], predecessors: Predecessors) -> list[Node]:
    """Return the nodes that the deepest of the outputs depends on, itself last, each after those
    that it depends on. The deepest output is the one with most such nodes."""
    return max((_ordered(node, predecessors) for node in outputs), key=len, default=[])


def _ordered(output: Node, predecessors: Predecessors) -> list[Node]:
    order: dict[Node, None] = {}
    seen = {output}
    stack = [(output, iter(predecessors(output)))]
    while stack:
        node, left = stack[-1]
        following = next((other for other in left if other not in seen), None)
        if following is None:
            order[node] = None
            stack.pop()
        else:
            seen.add(following)
            stack.append((following, iter(predecessors(following))))
    return list(order)


def bottlenecks(order: Sequence[Node], predecessors: Predecessors) -> list[Node]:
    """Return the nodes that every path from the first to the last node passes through.

    These are the nodes that no edge leaps over, in whatever order that respects the edges.

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
    """Return the nodes that make the outputs, with those that a softmax or the like is applied to.

    Parameters
    ----------
    kind : tells the operation of a node
    """
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
