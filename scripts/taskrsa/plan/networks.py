"""The networks of a run: those that are compared, the untrained controls, and their layers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from taskrsa.errors import ConfigError
from taskrsa.io.assets import Asset
from taskrsa.networks.network import AUTO, RDMS, Network, weights_file
from taskrsa.networks.table import asset_of, random_network, read_bank, trained_network
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

    Rankings are made at the last of the `layers`; `run` is the folder of the run's results.
    """

    run: str
    networks: dict[str, Network]
    random: dict[str, Network]
    layers: tuple[str, ...]

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
        return [name for name, row in self.networks.items() if has_layer(row, layer)]

    def weights(self, name: str) -> str | list:
        """Return the file of a network's weights, [] where its loader brings them."""
        row = self.all[name]
        if row.loader in ("trained", "random"):
            return f"{self.run}/bank/{name}/weights.safetensors"
        return str(weights_file(row) or "") or []

    def rdms(self, names: Iterable[str] | None = None, kind: str = "bank") -> list[str]:
        """Return the files of RDMs of networks, by default of all."""
        names = self.networks if names is None else names
        return [f"{self.run}/rdms/{kind}/{name}.h5" for name in names]


def has_layer(row: Network, layer: str) -> bool:
    """Tell whether a network has a layer, as far as its row, or its file of RDMs, says."""
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


def bank_of(config: Config, run: str, read: Mapping[str, Network], tasks: Iterable[str]) -> Bank:
    """Return the networks of a run: those of the tables, or one for each of the `tasks`.

    Raises
    ------
    ConfigError
        If there are fewer than two networks, or one lacks the layer of the rankings.
    """
    networks = dict(read) or {task: trained_network(TASKS[task]) for task in tasks}
    if len(networks) < 2:
        raise ConfigError("config, networks: has one network; add others to compare it with")
    rows = networks.values()
    are_native = all(row.is_native for row in rows)
    layers, n_random = config.layers, config.n_random
    if layers == "auto":
        named = are_native and all(has_layer(row, name) for row in rows for name in NATIVE_LAYERS)
        layers = NATIVE_LAYERS if named else COMMON_LAYERS
    if n_random is None:
        n_random = 5 if are_native else 0
    names = [f"random_{number:02d}" for number in range(n_random)]
    random = {name: random_network(name) for name in names}
    if not set(layers) <= set(NATIVE_LAYERS):
        random = {name: replace(row, layers=(("", AUTO),)) for name, row in random.items()}
    bank = Bank(run, networks, random, tuple(layers))
    for name, row in networks.items():
        if not has_layer(row, bank.layer):
            raise ConfigError(
                f"bank, row {name}, layers: lacks {bank.layer}, at which networks are ranked; "
                f"name one of its layers so ({bank.layer}=...)"
            )
    return bank
