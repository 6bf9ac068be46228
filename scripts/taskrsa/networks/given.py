"""The RDMs of a row of loader rdms, by layer. PyTorch is not needed."""

from __future__ import annotations

import os
from collections.abc import Sequence

from taskrsa.networks.layers import LAST, Layer, choose
from taskrsa.networks.network import Network, checked_weights
from taskrsa.rsa.given_rdms import read_given


def given_layers(row: Network, path: str | os.PathLike, stimuli: Sequence[str]) -> dict:
    """Return the RDMs that a row of loader rdms takes from its file, by layer: (p,) float32 each.

    `auto` takes all under their own names, one alone as the layer `last`.

    Raises
    ------
    ConfigError, DataError
        As `taskrsa.networks.layers.choose`, `read_given` and `GivenRDMs.of`.
    """
    path = checked_weights(row, path)
    given = read_given(path)
    where = row.where("weights")
    rdms = dict(zip(given.names, given.of(stimuli, f"{where}: {path}"), strict=True))
    if given.conditions is None:
        print(f"{row.name}: {path} does not name its conditions, so their order is the stimuli's")
    if row.has_auto_layers:
        return rdms if len(rdms) > 1 else dict.fromkeys([LAST], *rdms.values())
    chosen = choose([Layer(name, "RDM") for name in given.names], row)
    return {layer: rdms[found.name] for layer, found in chosen.items()}
