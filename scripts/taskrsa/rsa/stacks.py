"""RDMs of several networks at one layer, over the images that all of them have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from taskrsa.errors import DataError, RepresentationError
from taskrsa.rsa.inference import bootstrap_counts
from taskrsa.rsa.rdm import condensed, n_images_of, pairs_among, square_form
from taskrsa.rsa.rdm_file import RDMs, layers_of, read_rdms
from taskrsa.text import first_few


@dataclass(frozen=True)
class RDMStack:
    """One layer of several networks, over the images that all of them have."""

    models: tuple[str, ...]
    rdms: np.ndarray  # (m, n_pairs) without nan
    kept_images: np.ndarray | None = None  # their indices in the list of stimuli; None for all
    n_dropped: int = 0  # images dropped in at least one network
    stimuli_digest: str = ""
    # (n_images,) number of the scene or clip of each image; None where all are independent.
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.models)

    @property
    def n_images(self) -> int:
        return n_images_of(np.shape(self.rdms)[1])

    @property
    def images(self) -> np.ndarray:  # their (n_images,) indices in the list of stimuli
        return np.arange(self.n_images) if self.kept_images is None else self.kept_images

    @property
    def n_groups(self) -> int | None:
        """How many groups the images are of; None where all are independent."""
        return None if self.groups is None else len(np.unique(self.groups))

    def counts(
        self, n_resamples: int, seed: int | Sequence[int], size: int | None = None
    ) -> np.ndarray:
        """Return how often each image is in each resample of `bootstrap_counts`, (R, n_images)."""
        return bootstrap_counts(self.n_images, n_resamples, seed, groups=self.groups, size=size)

    def only(self, models: Sequence[str]) -> RDMStack:
        """Return the RDMs of some models, in the order given, or say which one is missing."""
        for model in models:
            if model not in self.models:
                raise RepresentationError(
                    f"no RDM of {model} among {', '.join(self.models)}; make it first"
                )
        rows = [self.models.index(model) for model in models]
        return replace(self, models=tuple(models), rdms=self.rdms[rows])

    def joined(self, other: RDMStack | None) -> RDMStack:
        """Return the RDMs of these and of others over the same images; None adds none."""
        if other is None:
            return self
        rdms = np.concatenate([self.rdms, other.rdms])
        return replace(self, models=(*self.models, *other.models), rdms=rdms)

    def over(self, images: Sequence[int]) -> RDMStack:
        """Return the RDMs over those of its images that are in `images`, indices of stimuli."""
        keep = np.flatnonzero(np.isin(self.images, list(images)))
        if len(keep) == self.n_images:
            return self
        rdms = [condensed(square_form(rdm)[np.ix_(keep, keep)]) for rdm in self.rdms]
        groups = None if self.groups is None else self.groups[keep]
        return replace(self, rdms=np.array(rdms), kept_images=self.images[keep], groups=groups)


def having_layer(paths: Sequence[str | os.PathLike], layer: str) -> list[Path]:
    """Return the RDM files that hold a layer; one printed line names the others."""
    found = {path: layer in layers_of(path) for path in map(Path, paths)}
    lacking = [path.stem for path, has in found.items() if not has]
    if lacking:
        print(f"layer {layer}: left out {first_few(lacking)}, without that layer", flush=True)
    return [path for path, has in found.items() if has]


def stack_rdms(paths: Sequence[str | os.PathLike], layer: str) -> RDMStack:
    """Read one layer of several networks for comparison.

    Images dropped in any network are dropped everywhere, and counted.

    Raises
    ------
    DataError
        If there is no file, or one is missing, truncated or not an RDM file.
    RepresentationError
        If a layer is missing, two files name one model, the files come from different lists of
        stimuli or differ in centring, or fewer than three images are left.
    """
    if len(paths) == 0:
        raise DataError(f"no RDM files to compare at layer {layer}; name at least one")
    read: dict[Path, RDMs] = {}
    for path in map(Path, paths):
        read[path] = read_rdms(path, [layer])
        _require_comparable(read, path)
    stack = list(read.values())
    n = len(stack[0].conditions)
    kept = np.ones(n, dtype=bool)
    for rdms in stack:
        kept[list(rdms.dropped[0])] = False
    if kept.sum() < 3:
        worst = max(stack, key=lambda rdms: len(rdms.dropped[0])).model
        raise RepresentationError(
            f"layer {layer}: only {int(kept.sum())} of {n} images are kept in all {len(stack)} "
            f"networks; leave out the network that drops most ({worst})"
        )
    pairs = slice(None) if kept.all() else pairs_among(kept)
    return RDMStack(
        models=tuple(rdms.model for rdms in stack),
        rdms=np.stack([rdms.dissimilarities[0][pairs] for rdms in stack]),
        kept_images=np.flatnonzero(kept),
        n_dropped=int(n - kept.sum()),
        stimuli_digest=stack[0].stimuli_digest,
        groups=_numbered_groups(stack[0].groups, kept),
    )


def stack_subjects(path: str | os.PathLike, patterns: Sequence[str]) -> RDMStack:
    """Read one RDM for each subject from a file: the mean of the layers that its pattern names.

    Models are named by the patterns, such as "subject1_*".

    Raises
    ------
    RepresentationError
        If a pattern names no layer, or two name the same.
    """
    layers = layers_of(path)
    named = [[layer for layer in layers if fnmatchcase(layer, one)] for one in patterns]
    for pattern, found in zip(patterns, named, strict=True):
        if not found:
            raise RepresentationError(
                f"{path}: no layer is named {pattern}; there are {first_few(layers)}: name "
                "those of every subject in the row's column layers"
            )
        twice = [layer for layer in found if sum(layer in others for others in named) > 1]
        if twice:
            raise RepresentationError(
                f"{path}: {twice[0]} is named by {pattern} and by another pattern; a layer is of "
                "one subject"
            )
    layers = [layer for found in named for layer in found]
    read = common_images(*(stack_rdms([path], layer) for layer in layers))
    stacks = dict(zip(layers, read, strict=True))
    means = [np.mean([stacks[layer].rdms[0] for layer in found], axis=0) for found in named]
    return replace(stacks[layers[0]], models=tuple(patterns), rdms=np.stack(means))


def _numbered_groups(groups: Sequence[str], kept: np.ndarray) -> np.ndarray | None:
    """Return the number of the group of each kept image, one of its own where it has none; None
    where no two are of one group."""
    if not any(groups):
        return None
    names = [(name, "") if name else ("", str(at)) for at, name in enumerate(groups)]
    numbers: dict[tuple[str, str], int] = {}
    found = [numbers.setdefault(names[at], len(numbers)) for at in np.flatnonzero(kept)]
    return np.array(found) if len(numbers) < len(found) else None


def common_images(*stacks: RDMStack) -> list[RDMStack]:
    """Return the stacks over the images that none dropped; RepresentationError if their stimuli
    differ."""
    first, last = stacks[0], stacks[-1]
    if len({stack.stimuli_digest for stack in stacks}) > 1:
        raise RepresentationError(
            f"{first.models[0]} and {last.models[0]} were shown different stimuli; "
            "make their RDMs from one list"
        )
    common = set(first.images.tolist()).intersection(*(stack.images.tolist() for stack in stacks))
    return [stack.over(sorted(common)) for stack in stacks]


def load_stacks(
    bank: Sequence[str | os.PathLike],
    others: Sequence[str | os.PathLike],
    layer: str,
    other_layer: str | None = None,
) -> list[RDMStack]:
    """Read one layer of the bank and of other networks, over the images that none dropped.

    Errors are those of `stack_rdms` and `common_images`.
    """
    return common_images(stack_rdms(bank, layer), stack_rdms(others, other_layer or layer))


def _require_comparable(read: dict[Path, RDMs], path: Path) -> None:
    """Check the file read last against the others."""
    first_path, first = next(iter(read.items()))
    for other, rdms in read.items():
        if other != path and rdms.model == read[path].model:
            raise RepresentationError(
                f"{other} and {path} are both of model {rdms.model}; leave one out"
            )
    rdms = read[path]
    if (first.stimuli_digest, first.conditions) != (rdms.stimuli_digest, rdms.conditions):
        raise RepresentationError(
            f"{first_path} and {path} come from different lists of stimuli; make both from one list"
        )
    if first.centre != rdms.centre:
        words = {True: "with", False: "without"}
        raise RepresentationError(
            f"{first_path} was made {words[first.centre]} centring and {path} "
            f"{words[rdms.centre]}; make both alike"
        )
