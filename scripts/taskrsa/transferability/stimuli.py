"""The training images of a target that networks are shown for RSA.

Stimuli of the target's own domain say more of transfer than those of another: on Taskonomy's
encoders and Pascal VOC, similarity over photographs of VOC predicts the fine-tuned scores better
than similarity over photographs of rooms, whatever the measure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from taskrsa.data.images import centre_square
from taskrsa.data.view import View
from taskrsa.errors import DataError
from taskrsa.rsa.given_rdms import GivenRDMs
from taskrsa.targets.config import TargetData
from taskrsa.targets.prepare import read_layout
from taskrsa.targets.sets import ArraySet, LabelledSet
from taskrsa.transferability.cells import chosen_images

FEWEST = 4  # images: of fewer, an RDM has too few pairs to be compared


def choose_stimuli(train: LabelledSet, n: int, seed: int) -> np.ndarray:
    """Return which of the training images are shown, `n` or all, ascending.

    The choice is that of `chosen_images`, so the measures of transfer see the same images, or more
    of them. DataError if there are too few to compare networks on.
    """
    if len(train) < FEWEST:
        raise DataError(
            f"split {train.name}: {len(train)} images are too few to rank networks on; add some, "
            "or set stimuli of the target to bank"
        )
    return chosen_images(train, n, seed)


def views_of(train: LabelledSet, rows: Sequence[int], side: int) -> Iterator[View]:
    """Yield the centre square of images at side x side pixels, as the run's stimuli are shown."""
    for row in rows:
        yield View(train.ids[row], centre_square(train.image(row), side))


def are_conditions(
    given: GivenRDMs, target: TargetData, n_train: int | None, n: int, seed: int
) -> bool:
    """Tell whether RDMs made elsewhere are of the images that `choose_stimuli` returns of the
    first `n_train` training images; that can be known of labelled files alone."""
    if given.conditions is None or target.source == "outdoor":
        return False
    try:
        layout = read_layout(target, seed)
    except DataError:
        return False  # not fetched yet; what is damaged is said where it is read
    some = [one for one in layout.examples if one.split == "train"]
    is_classes = target.kind == "classification"
    labels = [layout.classes.index(one.label) if is_classes else 0 for one in some]
    ids = tuple(one.id for one in some)
    # Which images are taken depends on their number and classes alone; none is opened.
    train = ArraySet("train", target.kind, layout.classes, ids, np.empty((len(ids), 0)),
                     np.array(labels)).first(n_train)  # fmt: skip
    return {train.ids[row] for row in chosen_images(train, n, seed)} == {*given.conditions}
