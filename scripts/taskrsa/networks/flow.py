"""How images flow through a network: what its outputs are made of, where its head begins, and what
the dimensions of its features mean.

Networks of torch and ONNX graphs alike are seen as steps, each an operation with the shape of what
it makes. The head is what makes the outputs; right before it lies the last *rich* value, wide
beside what the network is wide elsewhere, that most of the network's weights have worked on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from graphlib import TopologicalSorter
from operator import or_

Node = Hashable
Predecessors = Callable[[Node], Sequence[Node]]
Shape = tuple[int, ...]

RICH = 8  # the widest over this is the least width of rich features
LEAP = 6  # weighted operations that a shortcut may pass by before it hides the way through

_CONVOLUTION = re.compile("conv")
_LINEAR = re.compile("(addmm|mm|linear|gemm|matmul)$")
_CHANNELS_FIRST = re.compile(
    "conv|batch_?norm|group_?norm|instance_?norm|pool|upsample|resize|pixelshuffle|depthtospace"
)
_LAYER_NORM = re.compile("layer_?norm|rmsnorm")
_JOINED = re.compile("(cat|concat)$")
# What a head may do to what its weights have made, without more weights.
_VIEWS = (
    "view unsafeview reshapealias reshape flatten squeeze unsqueeze identity alias clone tocopy "
    "cast permute transpose expand dropout nativedropout slice select"
)
_ENDS = (
    "softmax logsoftmax sigmoid logsigmoid softplus tanh relu leakyrelu clamp clampmin clampmax "
    "clip hardtanh hardsigmoid bias exp neg abs mean reducemean globalaveragepool averagepool "
    "avgpool2d adaptiveavgpool2d pixelshuffle depthtospace resize"
)
_SUMS = "add sub rsub mul div"
_PASSED = re.compile(f"({'|'.join((_VIEWS + ' ' + _ENDS + ' ' + _SUMS).split())}|upsample.*)$")
_SUMMED = re.compile(f"({'|'.join(_SUMS.split())})$")


@dataclass(frozen=True)
class Step:
    """An operation on what depends on the images.

    Attributes
    ----------
    kind : name of the operation, lower case, as torch's gradients or ONNX have it
    shape : of what it makes, images included; () if unknown
    operands : what it works on, in order; None for constants, weights among them
    moved : of a transposition, where each dimension comes from
    start : of a slice, the first place that it keeps
    normalised : of a layer norm, how many dimensions it normalises
    """

    kind: str
    shape: Shape = ()
    operands: tuple[Node | None, ...] = ()
    moved: tuple[int, ...] | None = None
    start: int | None = None
    normalised: int = 1


@dataclass(frozen=True)
class Reading:
    """What the dimensions of a value mean.

    Attributes
    ----------
    channels_at : the dimension of channels; None if it cannot be told
    grid : height and width in positions; None if it has no positions, or they make no grid
    skipped : tokens before the first position, such as that of the class
    """

    channels_at: int | None = None
    grid: tuple[int, int] | None = None
    skipped: int = 0

    def fits(self, shape: Shape) -> bool:
        """Return whether the grid is within a value of that shape."""
        if self.grid is None or self.skipped < 0 or len(shape) < 3:
            return False
        if len(shape) > 3 or self.channels_at is None:
            return True
        # Images or tokens come first; there are two images where networks are probed.
        tokens = max(size for at, size in enumerate(shape) if at != self.channels_at)
        return self.skipped + math.prod(self.grid) <= tokens


    def of_one_image(self, shape: Shape, images_at: int) -> Reading:
        """Return the same for one image of a value of that shape; nothing can be told of a grid
        that does not fit."""
        at = self.channels_at
        if at is None or at == images_at:
            return Reading()
        grid, skipped = (self.grid, self.skipped) if self.fits(shape) else (None, 0)
        return Reading(at - (at > images_at), grid, skipped)


def guessed(shape: Shape) -> Reading:
    """Return what the dimensions of a value mean by its shape alone: of a map of a square image the
    two that are equal count positions, tokens make a square behind at most one of the class."""
    if len(shape) == 4:
        last = shape[1] == shape[2] != shape[3]
        return Reading(3, shape[1:3]) if last else Reading(1, shape[2:])
    if len(shape) == 3:
        for extra in (0, 1):
            side = math.isqrt(shape[1] - extra)
            if side > 1 and side**2 == shape[1] - extra:
                return Reading(2, (side, side), extra)
        return Reading(2)
    return Reading(1) if len(shape) == 2 else Reading()


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
        self.weighted = [node for node in self.order if self._is_weighted(node)]
        self._weights: dict[Node, int] = {}  # bits: the weighted steps behind a node and it
        own = {node: 1 << at for at, node in enumerate(self.weighted)}
        self.readings: dict[Node, Reading] = {}
        for node in self.order:
            behind = (self._weights[other] for other in self._before[node])
            self._weights[node] = reduce(or_, behind, own.get(node, 0))
            self.readings[node] = _reading(self, node, channels_at)
        self.leading = set(ancestors(self.outputs, self.predecessors))
        self._find_head()

    def _is_weighted(self, node: Node) -> bool:
        """Return whether a step applies weights, which a product of two activations does not."""
        kind = self.steps[node].kind
        found = _CONVOLUTION.search(kind) or _LINEAR.match(kind)
        return bool(found) and len(self._before[node]) == 1

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
        made = [self.width(n) for n in self.makers if self._is_weighted(n)]
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
                if self._is_weighted(node):
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
        return max(
            rich or before, key=lambda n: (self.depth(n), self.place[n]), default=None
        )

    # --- the trunk ---

    def trunk(self, last: Node) -> set[Node]:
        """Return the nodes that all that reaches `last` passes through. Where a shortcut leaps over
        more than half of the network, as between the ends of a U-Net, those that the longest way
        passes through stand for it."""
        order = ancestors([last], self.mixing)
        found = bottlenecks(order, self.mixing)
        longest = self._longest(order)
        trunk = set(found)
        for start, end in zip([None, *found], found, strict=False):
            low = 0 if start is None else self.depth(start)
            leapt = self.depth(end) - low
            if leapt > LEAP and 2 * leapt > self.depth(last):
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


# --- what dimensions mean ---


def _reading(flow: Flow, node: Node, images_at: int) -> Reading:
    """Return what a node's dimensions mean, from those of what it works on and what it does."""
    step = flow.steps[node]
    known = [n for n in flow.shallowest(flow.predecessors(node)) if flow.steps[n].shape]
    if not known:
        at = images_at if len(step.shape) == 4 else None
        return _with_positions(flow, node, at, [])
    # Of a shortcut and a block, what the shortcut says: a block may mix positions in between.
    known.sort(key=lambda n: flow.readings[n].channels_at is None)
    like = [n for n in known if flow.steps[n].shape == step.shape]
    same = [n for n in known if len(flow.steps[n].shape) == len(step.shape)]
    source = (like or same or known)[0]
    at = _channels_at(step, flow.steps[source].shape, flow.readings[source].channels_at)
    return _with_positions(flow, node, at, known)


def _channels_at(step: Step, before: Shape, at: int | None) -> int | None:
    n = len(step.shape)
    if n < 2:
        return None
    if n == 2 or (n > 2 and _CHANNELS_FIRST.search(step.kind)):
        return 1
    if _LINEAR.match(step.kind):
        positions = at is not None and len(before) == n and at != n - 1
        return at if positions else n - 1
    if _LAYER_NORM.search(step.kind) and step.normalised == 1:
        return n - 1
    if at is None:
        return None
    if step.moved is not None:
        return step.moved.index(at)
    viewed = re.match("(view|unsafeview|reshapealias|reshape|flatten)$", step.kind)
    return at if len(before) == n and not viewed else _kept(before, at, step.shape)


def _kept(before: Shape, at: int, after: Shape) -> int | None:
    """Return where a dimension is after a change of shape; None if it was split or is unclear."""
    size, outer = before[at], math.prod(before[:at])
    for place, other in enumerate(after):
        if other == size and math.prod(after[:place]) == outer:
            return place
    if at == len(before) - 1 and after[-1] == size:
        return len(after) - 1
    return after.index(size) if after.count(size) == 1 and after[0] != size else None


def _with_positions(flow: Flow, node: Node, at: int | None, known: Sequence[Node]) -> Reading:
    step = flow.steps[node]
    if len(step.shape) == 4 and at in (1, 3):
        return Reading(at, step.shape[2:] if at == 1 else step.shape[1:3])
    for other in known:
        reading, shape = flow.readings[other], flow.steps[other].shape
        if reading.grid is None or (len(shape) == 3 and not reading.fits(shape)):
            continue
        found = Reading(at, reading.grid, _skipped(flow, step, other, reading.skipped))
        if len(step.shape) != 3 or found.fits(step.shape):
            return found
    return Reading(at)


def _skipped(flow: Flow, step: Step, source: Node, skipped: int) -> int:
    """Return the tokens before the first position, after a step that may add or drop some; -1 if
    it cannot be told."""
    before = flow.steps[source].shape
    if len(before) != len(step.shape) or before == step.shape:
        return skipped
    grown = [d for d, (old, new) in enumerate(zip(before, step.shape, strict=True)) if old != new]
    if _JOINED.match(step.kind) and len(grown) == 1:
        place = step.operands.index(source)
        first, then = step.operands[:place], step.operands[place + 1 :]
        sizes = [_size(flow, n, grown[0]) for n in first]
        if None in sizes:  # constants, of which the shape is not known
            after = [_size(flow, n, grown[0]) for n in then]
            if None in after:
                return -1
            return skipped + step.shape[grown[0]] - before[grown[0]] - sum(after)
        return skipped + sum(sizes)
    return skipped if step.start is None else skipped - step.start


def _size(flow: Flow, node: Node | None, dimension: int) -> int | None:
    shape = () if node is None else flow.steps[node].shape
    return shape[dimension] if len(shape) > dimension else None
