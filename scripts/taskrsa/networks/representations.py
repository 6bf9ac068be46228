"""The features of one network under the choices of method, each way extracted once.

Of the choices, `clip` and `group_norm` are the public bank's: they apply to encoders of this
project (group norm to their compressed output alone), and leave other networks as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch

from taskrsa.data.pack import Photographs
from taskrsa.networks import extraction
from taskrsa.networks.preprocessing import input_of
from taskrsa.networks.taps import Precision, TapNetwork
from taskrsa.rsa.gram_cache import GramCache, digests_of
from taskrsa.rsa.rdm import ShiftedProducts

COMPRESSED = "compressed"  # the tap of this project's encoders that group norm is for
Features = extraction.Features | ShiftedProducts


class Representations:
    """Features of stimuli in a network.

    Parameters
    ----------
    network : of `taskrsa.networks.loading.tap_network`, of no other use afterwards
    images : (n, H, W, 3) uint8
    kept : layers whose features themselves will be asked for, by `layer`
    batch_size, features_mb : as of `extract`
    grams : folder of products kept between runs, and the digest of the code that features depend on
    """

    def __init__(
        self,
        network: TapNetwork,
        images: np.ndarray | Photographs,
        kept: Sequence[str] = (),
        *,
        batch_size: int,
        precision: Precision = "no",
        features_mb: float | None = None,
        grams: tuple[str, str] | None = None,
    ) -> None:
        self.row, self.grams = network.row, None
        self.normed = {
            name: layer.shape[0]  # channels
            for name, layer in network.chosen.items()
            if self.row.is_native and layer.name == COMPRESSED
        }
        self.whole = [name for name in network.chosen if name in kept or name in self.normed]
        if grams:
            self.grams, code = grams
            made_by = [*network.fingerprint(), self.row.features_key(), precision]
            self.key = {"made by": [*made_by, torch.__version__, code]}
            self.known = digests_of(images)
        self.extract = partial(
            extraction.extract,
            network.extractor(precision),
            images=images,
            batch_size=batch_size,
            model=self.row.name,
            features_mb=features_mb,
        )
        self._features: dict[tuple[str, bool, bool], extraction.Features] = {}

    def all_layers(self, choices: Mapping) -> dict[str, Features]:
        """Return the features of every layer, or products of them that `compute_rdm` takes.

        Parameters
        ----------
        choices : centre, clip and group_norm
        """
        taps = dict(self._extracted(choices))
        for name in self.whole:
            self._features[name, self._clip(choices), False] = taps[name]
            taps[name] = self.layer(name, choices)
        return taps

    def layer(self, name: str, choices: Mapping) -> extraction.Features:
        """Return the features of one of the layers `kept`, (n, d) float32."""
        clip = self._clip(choices)
        normed = bool(choices["group_norm"]) and name in self.normed
        if (name, clip, False) not in self._features:
            self._features[name, clip, False] = self._extracted(choices, [name])[name]
        if (name, clip, normed) not in self._features:
            plain = np.asarray(self._features[name, clip, False])
            self._features[name, clip, normed] = group_normed(plain, self.normed[name])
        return self._features[name, clip, normed]

    def _clip(self, choices: Mapping) -> bool:
        return bool(self.row.is_native and self.row.clip and choices["clip"])

    def _extracted(self, choices: Mapping, layers: list[str] | None = None) -> Mapping:
        clip = self._clip(choices)
        extracted = partial(self.extract, to_input=input_of(self.row, clip), layers=layers)
        if not self.grams:
            return extracted()
        cache = GramCache(self.grams, self.key | {"clip": clip})
        return cache.layers(self.known, layers, choices["centre"], extracted, whole=self.whole)


def group_normed(features: np.ndarray, channels: int) -> np.ndarray:
    """Return (n, d) features, channels last, each channel of each image normalised by itself.

    Off in Taskonomy's networks; PyTorch ports have it on, which changes RSA most of all. The
    features come back channels first, which no RDM depends on.
    """
    values = torch.from_numpy(features).view(len(features), -1, channels).transpose(1, 2)
    return torch.nn.functional.group_norm(values, channels).flatten(1).numpy()
