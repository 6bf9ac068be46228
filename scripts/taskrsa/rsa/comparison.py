"""How much two representations have in common under a measure, and how sure that is.

Apart from the measures themselves, so that what is made of features does not depend on how it is
compared afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from taskrsa.rsa.alignment import alignment_matrix, resampled_alignment
from taskrsa.rsa.inference import resampled_similarity
from taskrsa.rsa.measures import measure_named
from taskrsa.rsa.similarity import similarity_matrix

_COMPARED = {"spearman": similarity_matrix, "alignment": alignment_matrix}
_RESAMPLED = {"spearman": resampled_similarity, "alignment": resampled_alignment}


def compare(name: str, matrices: np.ndarray, *, names: Sequence[str] | None = None) -> np.ndarray:
    """Return the similarities of matrices made by `represent`, as the measure compares them.

    Parameters
    ----------
    matrices
        (m, p) condensed matrices over the same images.
    names
        The m models, for messages; by default the row numbers.

    Returns
    -------
    (m, m) float64 in [-1, 1], symmetric with ones on its diagonal.

    Raises
    ------
    ConfigError
        If there is no such measure.
    RepresentationError
        If a matrix holds nan or nothing that varies.
    """
    return _COMPARED[measure_named(name).compare](matrices, names=names)


def resampled(
    name: str, matrices: np.ndarray, counts: np.ndarray, *, names: Sequence[str] | None = None
) -> np.ndarray:
    """Return the similarities over images taken as often as `counts` says.

    Exactly what `compare` gives for the pairs of each resample, repeats and all, with pairs of an
    image with itself left out. The numbers of a pair are those of all images: where a measure
    subtracts a feature's mean or divides by its deviation, they are not recomputed for each
    resample, so the spread is that of which images are compared, not of the normalisation.

    Parameters
    ----------
    matrices, names
        As for `compare`, over n images.
    counts
        (R, n) whole numbers, say those of `inference.bootstrap_counts`; rows of 0 and 1 are
        subsets of the images.

    Returns
    -------
    (R, m, m) float64; nan where a resample leaves nothing that varies.

    Raises
    ------
    ConfigError
        If there is no such measure.
    RepresentationError
        As `compare`, and if a resample has too few different images: 3 for Spearman correlations,
        4 for alignments.
    """
    return _RESAMPLED[measure_named(name).compare](matrices, counts, names=names)
