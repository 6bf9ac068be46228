"""How similar every layer of networks is to what stands for a target, and how similar it could be.

Columns of the table, one row for each network and layer, most similar first:

model, label, type, layer
rs          mean over the subjects of the similarity to each one's RDM, where subjects are known;
            ci_low and ci_high are its 95 % percentile interval over resamples of the images. With
            few subjects, others might give other values: the interval does not include them
rank        1 for the most similar (equal ones share the better rank)
behind      the similarity of the first less this one's; behind_low and behind_high are an interval
            that holds for all rows at once with 95 %, as in `advice`
tied        "yes" where that interval reaches 0: such a layer cannot be distinguished from the first
ceiling_low, ceiling_high
            bounds of the highest similarity that a model can have, as the subjects differ: the mean
            similarity of each with the mean of the others, and of all (Nili et al. 2014); blank
            with one
n_subjects, n_images
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from taskrsa.analysis.advice import ROUNDING, Styles, behind_first
from taskrsa.rsa.inference import confidence_interval, noise_ceiling, resampled_similarity
from taskrsa.rsa.rdm import descending_ranks
from taskrsa.rsa.similarity import RankCorrelation, similarity_between
from taskrsa.rsa.stacks import RDMStack


def layer_table(
    target: RDMStack,
    layers: Mapping[str, RDMStack],
    counts: np.ndarray,
    *,
    styles: Styles | None = None,
    compare: RankCorrelation = "spearman",
) -> pd.DataFrame:
    """Return the table of the module's text.

    `target` holds one RDM for each subject, or one, and `layers` the RDMs of the networks that have
    a layer, all over the same images; `counts` (R, n) come from `bootstrap_counts`.
    RepresentationError if an RDM cannot be ranked.
    """
    styles = styles or {}
    rows = [(model, layer) for layer, stacked in layers.items() for model in stacked.models]
    rdms = np.concatenate([stacked.rdms for stacked in layers.values()])
    names = [f"{model}, {layer}" for model, layer in rows]
    rs = similarity_between(
        target.rdms, rdms, names=target.models, other_names=names, compare=compare
    ).mean(axis=0)
    draws = resampled_similarity(
        target.rdms, counts, others=rdms, compare=compare, groups=target.groups
    ).mean(axis=1)
    low, high = confidence_interval(draws)
    behind, behind_low, behind_high = behind_first(rs, draws)
    several = len(target) > 1
    ceiling = noise_ceiling(target.rdms, compare) if several else (np.nan, np.nan)
    table = pd.DataFrame(
        {
            "model": [model for model, _ in rows],
            "label": [styles.get(model, (model, ""))[0] for model, _ in rows],
            "type": [styles.get(model, (model, ""))[1] for model, _ in rows],
            "layer": [layer for _, layer in rows],
            "rs": rs,
            "ci_low": low,
            "ci_high": high,
            "rank": descending_ranks(rs),
            "behind": behind,
            "behind_low": behind_low,
            "behind_high": behind_high,
            "tied": np.where(behind_low > ROUNDING, "no", "yes"),
            "ceiling_low": ceiling[0],
            "ceiling_high": ceiling[1],
            "n_subjects": len(target) if several else np.nan,
            "n_images": target.n_images,
        }
    )
    return table.sort_values("rs", ascending=False, kind="stable", ignore_index=True)
