"""How images flow through a network: what its outputs are made of, and where its head begins.

Torch networks and ONNX graphs alike are seen as steps, each an operation with the shape of what it
makes. The head is what makes the outputs; right before it lies the last *rich* value, wide
beside what the network is wide elsewhere, that most of the network's weights have worked on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from graphlib import TopologicalSorter
from operator import or_

from taskrsa.networks.reading import Node, Reading, Step, reading_of

Predecessors = Callable[[Node], Sequence[Node]]

RICH = 8  # the widest over this is the least width of rich features
LEAP = 2  # weighted operations that a shortcut may pass by before it hides the way through

# What a head may do to what its weights have made, without more weights.
_VIEWS = (
    "view unsafeview reshapealias reshape flatten squeeze unsqueeze identity alias clone tocopy "
    "cast permute transpose expand dropout nativedropout slice select"
)
_ENDS = (
    "softmax logsoftmax sigmoid logsigmoid softplus tanh relu leakyrelu clamp clampmin clampmax "
    "clip hardtanh hardsigmoid bias exp neg abs mean reducemean globalaveragepool averagepool "
    "sum reducesum max amax reducemax avgpool2d adaptiveavgpool2d pixelshuffle depthtospace resize"
)
_SUMS = "add sub rsub mul div stack maximum minimum"
_PASSED = re.compile(f"({'|'.join((_VIEWS + ' ' + _ENDS + ' ' + _SUMS).split())}|upsample.*)$")
_SUMMED = re.compile(f"({'|'.join(_SUMS.split())})$")


class Flow:
    """The steps of a network, each after those that it depends on.

    Parameters
    ----------
    steps : in any order; what has no operands is the images
    outputs : the nodes that make the network's outputs
    channels_at : the dimension of the images that holds their channels
    """

    def __init__(
        self, steps: Mapping[Node, Step], outputs: Sequence[Node], channels_at: int = 1
    ) -> None:
        self.steps = steps
        self.outputs = list(outputs)
        self._before = {
            node: [other for other in dict.fromkeys(step.operands) if other is not None]
            for node, step in steps.items()
        }
        self.order = list(TopologicalSorter(self._before).static_order())
        self.place = {node: at for at, node in enumerate(self.order)}
        self.weighted = [node for node in self.order if steps[node].is_weighted]
        self._weights: dict[Node, int] = {}  # bits: the weighted steps behind a node and it
        own = {node: 1 << at for at, node in enumerate(self.weighted)}
        self.readings: dict[Node, Reading] = {}
        for node in self.order:
            behind = (self._weights[other] for other in self._before[node])
            self._weights[node] = reduce(or_, behind, own.get(node, 0))
            behind = self.shallowest(self._before[node])
            known = [(n, steps[n], self.readings[n]) for n in behind if steps[n].shape]
            self.readings[node] = reading_of(steps, node, known, channels_at)
        self.leading = set(ancestors(self.outputs, self.predecessors))
        self._find_head()

    def predecessors(self, node: Node) -> Sequence[Node]:
        return self._before[node]

    def mixing(self, node: Node) -> Sequence[Node]:
        """Return what a node depends on, without the images where they are added to features."""
        learned = [other for other in self._before[node] if self._weights[other]]
        return learned or self._before[node]

    def depth(self, node: Node) -> int:
        """Return how many weighted steps a node depends on, itself among them."""
        return self._weights[node].bit_count()

    def shallowest(self, nodes: Iterable[Node]) -> list[Node]:
        return sorted(nodes, key=lambda node: (self.depth(node), self.place[node]))

    def width(self, node: Node) -> int:
        """Return a node's channels, 0 if unknown."""
        shape, at = self.steps[node].shape, self.readings[node].channels_at
        return shape[at] if at is not None else 0

    # --- the head ---

    def _find_head(self) -> None:
        self.makers = self._makers(narrow=-1)
        self.widest = max(
            (self.width(n) for n in self.weighted if n in self.leading - self.makers), default=0
        )
        self.makers |= self._makers(narrow=(self.widest - 1) // RICH)
        made = [self.width(n) for n in self.makers if self.steps[n].is_weighted]
        self._output_width = max((w for w in made if w * RICH < self.widest), default=0)

    def _makers(self, narrow: int) -> set[Node]:
        """Return the steps that make the outputs, back to the last that apply weights. An output
        that ends otherwise is made of features: it has no head."""
        found: set[Node] = set()
        for output in self.outputs:
            seen, left = set(), [output]
            while left:
                node = left.pop()
                if node in seen or not self._weights[node]:
                    continue
                seen.add(node)
                if self.steps[node].is_weighted:
                    continue
                if not self._passes(node, narrow):
                    seen = set()
                    break
                left += self._before[node]
            found |= seen
        return found

    def _passes(self, node: Node, narrow: int) -> bool:
        """Return whether a step belongs to the head that makes what it works on: what has few
        channels does, and what only changes the size or the range of one value, or adds up those of
        parallel heads, not of a block and the shortcut around it."""
        if 0 < self.width(node) <= narrow:
            return True
        kind, behind = self.steps[node].kind, self.mixing(node)
        if not _PASSED.match(kind):
            return False
        if len(behind) == 1:
            return True
        bits = [self._weights[other] for other in behind]
        nested = any(a | b == b for at, a in enumerate(bits) for b in bits[:at] + bits[at + 1 :])
        return bool(_SUMMED.match(kind)) and not nested

    def is_rich(self, node: Node) -> bool:
        """Return whether a value is wide enough for features: an eighth of the network's widest and
        more than twice the outputs' channels, unless these are many."""
        width = self.width(node)
        return width * RICH >= self.widest and width > 2 * self._output_width

    def last(self, nodes: Iterable[Node]) -> Node | None:
        """Return the deepest rich one of nodes before the head; where none is rich, the deepest."""
        before = [n for n in nodes if n in self.leading and n not in self.makers]
        before = [n for n in before if self._weights[n]]
        rich = [n for n in before if self.is_rich(n)]
        return max(rich or before, key=lambda n: (self.depth(n), self.place[n]), default=None)

    # --- the trunk ---

    def trunk(self, last: Node) -> set[Node]:
        """Return the nodes that all that reaches `last` passes through. Where a shortcut leaps over
        half of the network, as between the ends of a U-Net, those that the longest way
        passes through stand for it."""
        order = ancestors([last], self.mixing)
        found = bottlenecks(order, self.mixing)
        longest = self._longest(order)
        trunk = set(found)
        for start, end in zip([None, *found], found, strict=False):
            low = 0 if start is None else self.depth(start)
            leapt = self.depth(end) - low
            if leapt > LEAP and 2 * leapt >= self.depth(last):
                first = -1 if start is None else self.place[start]
                trunk |= {n for n in longest if first < self.place[n] < self.place[end]}
        return trunk

    def _longest(self, order: Sequence[Node]) -> list[Node]:
        """Return the way to the last node that passes the most weighted steps."""
        length: dict[Node, int] = {}
        came: dict[Node, Node | None] = {}
        weighted = set(self.weighted)
        for node in order:
            behind = self.mixing(node)
            came[node] = max(behind, key=lambda n: (length[n], self.place[n]), default=None)
            length[node] = length.get(came[node], 0) + (node in weighted)
        way, node = [], order[-1]
        while node is not None:
            way.append(node)
            node = came[node]
        return way


# --- graphs ---


def ancestors(nodes: Sequence[Node], predecessors: Predecessors) -> list[Node]:
    """Return all that some nodes depend on and these, each after those that it depends on."""
    before: dict[Node, Sequence[Node]] = {}
    left = list(nodes)
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
