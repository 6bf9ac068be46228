"""What the dimensions of features mean: which counts channels, and which positions.

Told by the operations that made them: a convolution's channels are the second dimension, a linear
layer's the last, and transpositions and changes of shape are followed. Tokens keep the grid of the
map that they were made of.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

Node = Hashable
Shape = tuple[int, ...]

_CONVOLUTION = re.compile("conv")
_LINEAR = re.compile("(addmm|b?mm|baddbmm|linear|gemm|matmul)$")
_CHANNELS_FIRST = re.compile(
    "conv|batch_?norm|group_?norm|instance_?norm|pool|upsample|resize|pixelshuffle|depthtospace"
)
_LAYER_NORM = re.compile("layer_?norm|rmsnorm")
_VIEW = re.compile("(view|unsafeview|reshapealias|reshape|flatten|squeeze|unsqueeze)$")
_JOINED = re.compile("(cat|concat)$")


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

    @property
    def is_weighted(self) -> bool:
        """Whether it applies weights, which a product of two activations does not."""
        known = _CONVOLUTION.search(self.kind) or _LINEAR.match(self.kind)
        return bool(known) and len({*self.operands} - {None}) == 1


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
        if at is None or at == images_at or len(shape) > 4 or (len(shape) == 4 and at == 2):
            return UNREADABLE
        grid, skipped = (self.grid, self.skipped) if self.fits(shape) else (None, 0)
        return Reading(at - (at > images_at), grid, skipped)


UNREADABLE = Reading()


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
    return Reading(1) if len(shape) == 2 else UNREADABLE


Operand = tuple[Node, Step, Reading]


def reading_of(
    steps: Mapping[Node, Step], node: Node, operands: Sequence[Operand], channels_at: int
) -> Reading:
    """Return what the dimensions of what a step makes mean.

    Parameters
    ----------
    steps : of the network
    operands : what the step works on and is read already, that of a shortcut before that of a block
    channels_at : the dimension of the images that holds their channels
    """
    step = steps[node]
    if not operands:
        return _with_positions(steps, step, channels_at if len(step.shape) == 4 else None, [])
    # Of a shortcut and a block, what the shortcut says: a block may mix positions in between.
    known = sorted(operands, key=lambda operand: operand[2].channels_at is None)
    like = [operand for operand in known if operand[1].shape == step.shape]
    same = [operand for operand in known if len(operand[1].shape) == len(step.shape)]
    _, source, reading = (like or same or known)[0]
    at = _channels_at(step, source.shape, reading.channels_at)
    return _with_positions(steps, step, at, known)


def _channels_at(step: Step, before: Shape, at: int | None) -> int | None:
    n = len(step.shape)
    if n < 2:
        return None
    tokens_mixed = n == 3 and at == 2 and _CONVOLUTION.search(step.kind)
    if n == 2 or (_CHANNELS_FIRST.search(step.kind) and not tokens_mixed):
        return 1
    if step.is_weighted and _LINEAR.match(step.kind):
        positions = at is not None and len(before) == n and at != n - 1
        return at if positions else n - 1
    if _LAYER_NORM.search(step.kind) and step.normalised == 1:
        return n - 1
    if at is None:
        return None
    if step.moved is not None:
        return step.moved.index(at)
    if _VIEW.match(step.kind):
        return _viewed(before, at, step.shape)
    return at if len(before) == n else _reduced(before, at, step.shape)


def _viewed(before: Shape, at: int, after: Shape) -> int | None:
    """Return where a dimension is once the same numbers in the same order have another shape; None
    if it was split or is part of another."""
    outer = math.prod(before[:at])
    for place, size in enumerate(after):
        if size == before[at] and math.prod(after[:place]) == outer:
            return place
    return None


def _reduced(before: Shape, at: int, after: Shape) -> int | None:
    """Return where a dimension is after others were dropped or added; None if that is unclear."""
    size = before[at]
    if at == len(before) - 1 and after[-1] == size:
        return len(after) - 1
    return after.index(size) if after.count(size) == 1 and after[0] != size else None


def _with_positions(
    steps: Mapping[Node, Step], step: Step, at: int | None, operands: Sequence[Operand]
) -> Reading:
    if len(step.shape) == 4 and at in (1, 3):
        return Reading(at, step.shape[2:] if at == 1 else step.shape[1:3])
    for node, source, reading in operands:
        if reading.grid is None or (len(source.shape) == 3 and not reading.fits(source.shape)):
            continue
        if step.moved is not None and len(step.shape) > 4:
            # Positions that are split into windows come out in another order.
            longest = max(size for place, size in enumerate(step.shape) if place != at)
            if longest < math.prod(reading.grid):
                continue
        found = Reading(at, reading.grid, _skipped(steps, step, node, reading.skipped))
        if len(step.shape) != 3 or found.fits(step.shape):
            return found
    return Reading(at)


def _skipped(steps: Mapping[Node, Step], step: Step, source: Node, skipped: int) -> int:
    """Return the tokens before the first position, after a step that may add or drop some; -1 if
    it cannot be told."""
    before = steps[source].shape
    if len(before) != len(step.shape) or before == step.shape:
        return skipped
    changed = [d for d, (old, new) in enumerate(zip(before, step.shape, strict=True)) if old != new]
    if _JOINED.match(step.kind) and len(changed) == 1:
        return skipped + _joined_before(steps, step, source, changed[0])
    return skipped if step.start is None else skipped - step.start


def _joined_before(steps: Mapping[Node, Step], step: Step, source: Node, along: int) -> int:
    """Return the length of what a concatenation puts before one of its operands, of those that
    depend on the images and those that do not; far below 0 if it cannot be told."""
    place = step.operands.index(source)
    first, then = (
        [None if node is None else steps[node].shape[along] for node in nodes]
        for nodes in (step.operands[:place], step.operands[place + 1 :])
    )
    if None not in first:
        return sum(first)
    if None in then:
        return -(2**31)
    return step.shape[along] - steps[source].shape[along] - sum(then)
