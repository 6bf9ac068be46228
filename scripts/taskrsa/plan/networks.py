"""The networks of a run: those that are compared, the untrained controls, and their layers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from taskrsa.errors import ConfigError
from taskrsa.io.assets import Asset
from taskrsa.io.files import refuse_braces
from taskrsa.networks.network import AUTO, RDMS, Network, weights_file
from taskrsa.networks.table import asset_of, random_network, read_bank, trained_network
from taskrsa.plan.checking import Checked, sound
from taskrsa.plan.config import Config, EncoderConfig, expanded
from taskrsa.rsa.given_rdms import read_given
from taskrsa.tasks.dictionary import TASKS

NATIVE_LAYERS = ("block1", "block2", "block3", "block4", "compressed")
COMMON_LAYERS = ("depth1", "depth2", "depth3", "depth4", "depth5", "last")
FEWEST = 3  # networks of which a tree or a ranking says something
BASELINES = ("random", "random_small")  # untrained networks that are fine-tuned beside the bank
RESERVED = re.compile("|".join([*BASELINES, r"random_\d\d"]))  # names that no row may have


@dataclass(frozen=True)
class Bank:
    """The networks that are compared: rows by name, those of the untrained controls apart.

    Rankings are made at the last of the `layers`; `run` is the folder of the run's results;
    `checked` is what the check found, `left_out` holds why networks of the tables are not used.
    """

    run: str
    networks: dict[str, Network]
    random: dict[str, Network]
    layers: tuple[str, ...]
    checked: Mapping[str, Checked] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def layer(self) -> str:
        return self.layers[-1]

    @property
    def all_native(self) -> bool:
        """Whether all are encoders of this project's architectures."""
        return all(network.is_native for network in self.networks.values())

    @property
    def is_public(self) -> bool:
        """Whether encoders of Taskonomy's public bank are among them."""
        return any(network.loader == "taskonomy" for network in self.networks.values())

    @property
    def trained(self) -> list[str]:
        """Names of the networks that the run trains."""
        return [name for name, row in self.networks.items() if row.loader == "trained"]

    @property
    def untrained(self) -> list[str]:
        """Names of the untrained networks that the run makes: controls, and rows of the table."""
        return [name for name, row in self.all.items() if row.loader == "random"]

    @property
    def untrained_of(self) -> dict[str, list[str]]:
        """Names of the untrained networks of each network's design, itself left out: of controls,
        and of rows of the table. Files of RDMs and of ONNX do not say what design they are of."""
        designs = {name: _design(row) for name, row in self.all.items() if row.untrained}
        return {
            name: [other for other, design in designs.items() if design == own and other != name]
            if (own := _design(row))
            else []
            for name, row in self.networks.items()
        }

    def controls(self, layer: str) -> list[str]:
        """Return the names of the untrained controls that have a layer."""
        return [name for name, row in self.random.items() if has_layer(row, layer)]

    @property
    def with_features(self) -> list[str]:
        """Names of the networks that are shown images, which files of RDMs are not."""
        return [name for name, row in self.networks.items() if row.loader != RDMS]

    @property
    def given(self) -> list[str]:
        """Names of the others, files of RDMs."""
        return [name for name, row in self.networks.items() if row.loader == RDMS]

    @property
    def all_given(self) -> bool:
        """Whether all are files of RDMs, so that no image is shown to any."""
        return not self.with_features

    @property
    def all(self) -> dict[str, Network]:
        """The networks and the untrained controls."""
        return self.networks | self.random

    @property
    def types(self) -> dict[str, str]:
        """Types by the names of networks; "" is none."""
        return {name: row.type for name, row in self.networks.items()}

    def labels(self) -> dict[str, dict[str, str]]:
        """Return label, type and loader of each network."""
        return {
            name: {"label": row.label, "type": row.type, "loader": row.loader}
            for name, row in self.networks.items()
        }

    def at(self, layer: str) -> list[str]:
        """Return the names of the networks that have a layer."""
        return [
            name
            for name, row in self.networks.items()
            if has_layer(row, layer, self.checked.get(name))
        ]

    def beside(self, name: str) -> list[str]:
        """Return the files that a network is made of beside its weights; none of a baseline."""
        return list(self.checked[name].files) if name in self.checked else []

    def weights(self, name: str) -> str | list:
        """Return the file of a network's weights, [] where its loader brings them."""
        row = self.all[name]
        if row.loader in ("trained", "random"):
            return f"{self.run}/bank/{name}/weights.safetensors"
        file = str(weights_file(row) or "")
        refuse_braces(row.where("weights"), [file])
        return file or []

    def rdms(self, names: Iterable[str] | None = None, kind: str = "bank") -> list[str]:
        """Return the files of RDMs of networks, by default of all."""
        names = self.networks if names is None else names
        return [f"{self.run}/rdms/{kind}/{name}.h5" for name in names]


def _design(row: Network) -> str:
    """Return what networks share that differ in their weights alone; "" where that is not known."""
    if row.is_native:
        return "native"
    if row.loader in (RDMS, "onnx"):
        return ""
    # What says where weights come from is of no design.
    arguments = {k: v for k, v in row.arguments.items() if k not in ("pretrained", "weights")}
    return json.dumps([row.loader, arguments], sort_keys=True)


def has_layer(row: Network, layer: str, checked: Checked | None = None) -> bool:
    """Tell whether a network has a layer: as the check found, or else as far as its row, or its
    file of RDMs, says."""
    if checked is not None and checked.layers:
        return layer in checked.layers
    named = {name for name, _ in row.layers if name}
    patterns = {pattern for name, pattern in row.layers if not name}
    return (
        layer in named
        or (AUTO in patterns and layer in _common_layers(row))
        or any(fnmatchcase(layer, pattern) for pattern in patterns - {AUTO})
    )


def _common_layers(row: Network) -> tuple[str, ...]:
    """Return the layers that `auto` finds in a network."""
    if row.is_native:
        n = len(NATIVE_LAYERS)
    elif row.loader == RDMS:
        n = min(len(COMMON_LAYERS), len(read_given(weights_file(row)).names))
    else:
        n = len(COMMON_LAYERS)
    return (*COMMON_LAYERS[: n - 1], COMMON_LAYERS[-1])


def read_networks(config: Config) -> dict[str, Network]:
    """Return the rows of the tables that the config names, checked; none to train all here."""
    if config.networks == "trained":
        return {}
    tables = [config.networks] if isinstance(config.networks, str) else config.networks
    paths = expanded("networks", {table: table for table in tables})
    networks = read_bank(*paths.values())
    for name in networks:
        if RESERVED.fullmatch(name):
            raise ConfigError(f"bank, row {name}, name: is that of an untrained network; rename it")
    trained = [row.task for row in networks.values() if row.loader == "trained"]
    for task in trained:
        if trained.count(task) > 1:
            raise ConfigError(f"bank: {task} is trained in two rows; remove one")
    public = [name for name, row in networks.items() if row.loader == "taskonomy"]
    published = EncoderConfig()
    if public and not trained and config.encoder != published:
        raise ConfigError(
            f"config, encoder: Taskonomy's encoders, such as {public[0]}, have width "
            f"{published.width}, units {list(published.units)} and strides "
            f"{list(published.strides)}; leave it out"
        )
    return networks


def assets_of(networks: Mapping[str, Network]) -> dict[str, Asset]:
    """Return the weights that have to be fetched, as assets by name."""
    return {f"bank/{name}": asset_of(row) for name, row in networks.items() if row.is_address}


def compared_layers(config: Config, rows: Iterable[Network]) -> tuple[str, ...]:
    """Return the layers at which networks are compared, the last of them in rankings."""
    if config.layers != "auto":
        return tuple(config.layers)
    named = all(row.is_native and has_layer(row, name) for row in rows for name in NATIVE_LAYERS)
    return NATIVE_LAYERS if named else COMMON_LAYERS


def faults_of(
    config: Config, rows: Mapping[str, Network], checked: Mapping[str, Checked]
) -> dict[str, str]:
    """Return why networks cannot be used, by name: what the check says, or that they lack the layer
    of the rankings."""
    layer = compared_layers(config, rows.values())[-1]
    faults = {name: one.reason for name, one in checked.items() if one.reason}
    for name, row in rows.items():
        if name not in faults and not has_layer(row, layer, checked.get(name)):
            faults[name] = (
                f"bank, row {name}, layers: lacks {layer}, at which networks are ranked; "
                f"give one of its layers that name ({layer}=...)"
            )
    return {name: faults[name] for name in rows if name in faults}


def bank_of(
    config: Config,
    run: str,
    read: Mapping[str, Network],
    tasks: Iterable[str],
    checked: Mapping[str, Checked] | None = None,
) -> Bank:
    """Return the networks of a run: those of the tables, or one for each of the `tasks`.

    Raises
    ------
    ConfigError
        If there are fewer than two networks, or some cannot be used and are not to be skipped: a
        line for each.
    """
    checked = checked or {}
    faults = faults_of(config, read, checked) if read else {}
    networks = sound(read, faults, config.skip_broken)
    if faults and not networks:
        raise ConfigError(f"config, networks: none can be used: {'; '.join(faults.values())}")
    networks = networks or {task: trained_network(TASKS[task]) for task in tasks}
    if len(networks) < 2:
        raise ConfigError("config, networks: has one network; add others to compare it with")
    rows = networks.values()
    are_native = all(row.is_native for row in rows)
    layers, n_random = compared_layers(config, rows), config.n_random
    if n_random is None:
        n_random = 5 if are_native else 0
    names = [f"random_{number:02d}" for number in range(n_random)]
    random = {name: random_network(name) for name in names}
    if not set(layers) <= set(NATIVE_LAYERS):
        random = {name: replace(row, layers=(("", AUTO),)) for name, row in random.items()}
    return Bank(run, networks, random, layers, checked, faults)
