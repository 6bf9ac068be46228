"""Where a run's images come from: options and files of its sources, and what they can label.

What cannot be used, such as a path that is not set, is a ConfigError or a DataError.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from taskrsa.data import nyuv2, sources
from taskrsa.data.folder import FOLDERS
from taskrsa.errors import ConfigError
from taskrsa.io.assets import taskonomy_domains
from taskrsa.networks.network import RDMS, Network, weights_file
from taskrsa.plan.config import Config, expanded, parse_section
from taskrsa.plan.fetching import Fetching
from taskrsa.rsa.given_rdms import read_given
from taskrsa.targets.config import UNLABELLED
from taskrsa.tasks.dictionary import TASKS

# Assets that stand in for the path of a source.
_ASSET_OF = {"taskonomy": "taskonomy", "rgbd": "nyuv2"}


@dataclass(frozen=True)
class Data:
    """The sources of a run.

    Attributes
    ----------
    added : the sections of sources that extensions added
    source, stimuli : where labelled images of the tasks ("" where none are needed) and stimuli
        come from ("" where they are the conditions of files of RDMs)
    given : these files
    """

    config: Config
    fetching: Fetching
    added: Mapping[str, dict]
    source: str
    stimuli: str
    given: tuple[str, ...] = ()

    @property
    def n_stimuli(self) -> int:
        return read_given(self.given[0]).n if self.given else self.config.stimuli.n

    def modules(self, kind: str) -> list[str]:
        """Name the library's module of a source; an extension's file is known otherwise."""
        return [f"data/{kind}"] if kind and kind not in self.added else []

    @property
    def have_labels(self) -> bool:
        """Whether stimuli have labels: their source is the labelled one, read as for training."""
        if not self.source or self.stimuli != self.source:
            return False
        sections = [self._section(self.source, of_stimuli) for of_stimuli in (False, True)]
        return sections[0].get("domains") == sections[1].get("domains")

    @property
    def labelled_splits(self) -> list[str]:
        return ["train", "val"] + ["stimuli"] * self.have_labels

    def _section(self, kind: str, of_stimuli: bool = False) -> dict:
        """Return the options of a source, those for the stimuli put in."""
        if not kind:
            raise ConfigError(
                "config, source: is not set; name where labelled images of the tasks come from"
            )
        section = self.added.get(kind)
        if section is None:
            section = getattr(self.config, kind).model_dump()
        return section | (self.config.stimuli.options or {} if of_stimuli else {})

    # --- Taskonomy and NYU Depth v2, which can be fetched ---

    @property
    def taskonomy_is_fetched(self) -> bool:
        return not self.config.taskonomy.path and self.fetching.is_accepted("taskonomy")

    @property
    def nyuv2_is_converted(self) -> bool:
        rgbd = self.config.rgbd
        return not rgbd.path and (bool(rgbd.mat) or self.fetching.is_accepted("nyuv2"))

    @property
    def nyuv2_folder(self) -> str:
        return f"{self.fetching.folder}/nyuv2_rgbd"

    @property
    def nyuv2_classes(self) -> dict[str, str]:
        """The file of the names of classes, by the name of an output, if there are classes."""
        classes = self.config.rgbd.convert.classes
        return {"classes": f"{self.nyuv2_folder}/classes.txt"} if classes else {}

    def nyuv2_file(self) -> str:
        """Return NYU Depth v2's file: the one of the config, or the one that is fetched."""
        mat = self.config.rgbd.mat
        return _existing("rgbd", "mat", mat) if mat else self.fetching.path("nyuv2")

    def nyuv2_tables(self) -> list[str]:
        """Return the tables of split and classes that the conversion of NYU Depth v2 reads."""
        options = self.config.rgbd.convert
        named = {"splits": options.splits, "classes": options.classes}
        return [
            _existing("rgbd.convert", key, path)
            for key, path in named.items()
            if path not in (None, "names")
        ]

    def nyuv2_options(self) -> dict:
        """Return the options of the conversion."""
        return expanded("rgbd.convert", self.config.rgbd.convert.model_dump())

    def _domains(self, values: Mapping) -> list[str]:
        """List the domains of Taskonomy to fetch: those of the config, or what the tasks need."""
        if values["domains"] is not None:
            return list(dict.fromkeys(["rgb", *values["domains"]]))
        tasks = self.config.tasks
        return taskonomy_domains(tasks if tasks != "auto" else TASKS)

    # --- any source ---

    def options(self, kind: str, of_stimuli: bool = False) -> dict:
        """Return what opens a source: its kind, its section of the config and the working size."""
        values = self._section(kind, of_stimuli)
        if kind == "taskonomy" and self.taskonomy_is_fetched and not values["path"]:
            values["path"] = f"{self.fetching.folder}/taskonomy"
            # Other runs may have fetched more of the same buildings.
            values["domains"] = self._domains(values)
        if kind == "rgbd":
            conversion, _ = values.pop("convert"), values.pop("mat")
            if self.nyuv2_is_converted:
                values["path"] = self.nyuv2_folder
                if values["classes"] is None and conversion["classes"]:
                    values["classes"] = self.nyuv2_classes["classes"]
        hint = self.fetching.or_accept(_ASSET_OF.get(kind, ""))
        options = expanded(kind, values, hint)
        return {"kind": kind, **options, "image_size": self.config.image_size}

    def files(self, kind: str, of_stimuli: bool = False) -> list[str]:
        """List the files that a source reads, so that changed data make its results stale.

        Of data that the workflow fetches the lists of what was unpacked stand for the files, which
        are not there yet when the rules are read.
        """
        values = self._section(kind, of_stimuli)
        if kind == "taskonomy" and self.taskonomy_is_fetched and not values["path"]:
            buildings = [*(values["train_buildings"] or ()), *(values["val_buildings"] or ())]
            if not buildings:
                raise ConfigError(
                    "config, taskonomy.train_buildings: is not set; name the buildings to fetch"
                )
            return [
                f"{self.fetching.folder}/taskonomy/{building}/{domain}.csv"
                for building in dict.fromkeys(buildings)
                for domain in self._domains(values)
            ]
        if kind == "rgbd" and self.nyuv2_is_converted:
            return [f"{self.nyuv2_folder}/images.csv", *self.nyuv2_classes.values()]
        options = self.options(kind, of_stimuli)
        groups = options.get("groups") if kind == "folder" else None
        listed = [groups] if groups and groups != FOLDERS else []
        return [*sources.source_files(kind, options.get("path")), *listed]

    def reasons(self) -> dict[str, str]:
        """Map every task of the config to "" or to the reason why the source cannot label it."""
        if self.config.tasks != "auto":
            return dict.fromkeys(self.config.tasks, "")
        tasks = list(TASKS.values())
        if self.source == "taskonomy" and self.taskonomy_is_fetched:
            # No image is there yet to ask; all domains are published.
            if self.config.taskonomy.domains is not None:
                raise ConfigError(
                    "config, tasks: list the tasks that the fetched taskonomy.domains can label"
                )
            reasons = {}
        elif self.source == "rgbd" and self.nyuv2_is_converted:
            has_classes = self.options(self.source)["classes"] is not None
            reasons = nyuv2.unavailable_tasks(tasks, has_classes)
        else:
            reasons = sources.unavailable_tasks(self.options(self.source), tasks)
        return {task: reasons.get(task, "") for task in TASKS}


def _existing(section: str, key: str, path: str) -> str:
    path = expanded(section, {key: path})[key]
    if not Path(path).is_file():
        raise ConfigError(f"config, {section}.{key}: there is no file {path}; correct the path")
    return path


def data_of(
    config: Config, fetching: Fetching, added: Mapping[str, dict], rows: Mapping[str, Network]
) -> Data:
    """Return the sources of a run, checked: they exist, the stimuli's options are of theirs.

    `rows` are the networks of its tables. Where these are files of RDMs only, no images are needed.
    """
    source = config.source or ("simulated" if config.networks == "trained" else "")
    stimuli = config.stimuli.source or source
    given = () if stimuli else _given(config, rows)
    if not stimuli and not given:
        raise ConfigError(
            "config, stimuli.source: is not set; name the source of the images that all networks "
            "are shown, such as folder"
        )
    for key, kind in (("source", source), ("stimuli.source", stimuli)):
        try:
            if kind:
                sources.source_module(kind)
        except ConfigError as error:
            raise ConfigError(f"config, {key}: {str(error).removeprefix('kind: ')}") from None
    if stimuli and stimuli not in added:
        section = getattr(config, stimuli)
        parse_section(type(section), config.stimuli.options or {}, "stimuli.options")
    data = Data(config, fetching, added, source, stimuli, given)
    if given and "n" in config.stimuli.model_fields_set and config.stimuli.n != data.n_stimuli:
        raise ConfigError(
            f"config, stimuli.n: {given[0]} holds RDMs of {data.n_stimuli} conditions, which are "
            "the stimuli; leave it out"
        )
    return data


def _given(config: Config, rows: Mapping[str, Network]) -> tuple[str, ...]:
    """Return the files of RDMs that all networks are; () where images are shown to any model."""
    if not rows or config.n_random or any(row.loader != RDMS for row in rows.values()):
        return ()
    for name, target in config.targets.items():
        if target and target.kind not in UNLABELLED:
            raise ConfigError(
                f"config, stimuli.source: is not set; the small models of target {name} have to be "
                "shown the images that the RDMs are of, such as those of a folder"
            )
    return tuple(dict.fromkeys(str(weights_file(row)) for row in rows.values()))
