"""How much two representations have in common under a measure, and how sure that is.

Apart from the measures themselves, so that what is made of features does not depend on how it is
compared afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from taskrsa.rsa.alignment import alignment_matrix, resampled_alignment
from taskrsa.rsa.inference import resampled_similarity
from taskrsa.rsa.measures import measure_named
from taskrsa.rsa.similarity import similarity_matrix

_COMPARED = {
    "spearman": similarity_matrix,
    "rho_a": partial(similarity_matrix, compare="rho_a"),
    "alignment": alignment_matrix,
}


def compare(name: str, matrices: np.ndarray, *, names: Sequence[str] | None = None) -> np.ndarray:
    """Return the similarities (m, m) of matrices (m, p) of `represent`, as the measure says.

    Arguments and errors are as for `similarity_matrix` or `alignment_matrix`, and ConfigError where
    there is no such measure.
    """
    return _COMPARED[measure_named(name).compare](matrices, names=names)


def resampled(
    name: str, matrices: np.ndarray, counts: np.ndarray, groups: np.ndarray | None = None
) -> np.ndarray:
    """Return what `compare` gives for each resample: (R, m, m), of (R, n) counts of the images.

    The numbers of a pair are those of all images: where a measure subtracts a feature's mean or
    divides by its deviation, they are not recomputed for each resample, so the spread is that of
    which images are compared, not of the normalisation. `groups` are those that the counts draw
    whole; alignments take pairs of a group as those of two. See `resampled_similarity` and
    `resampled_alignment`.
    """
    how = measure_named(name).compare
    if how == "alignment":
        return resampled_alignment(matrices, counts)
    return resampled_similarity(matrices, counts, groups=groups, compare=how)
