"""What a run does: its configuration turned into tasks, networks, targets and files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskrsa.analysis.separation import separable
from taskrsa.errors import ConfigError
from taskrsa.io.files import full_path, refuse_braces
from taskrsa.networks.network import RDMS, Network
from taskrsa.plan.checking import Check
from taskrsa.plan.config import Config, expanded, parse
from taskrsa.plan.data import Data, data_of
from taskrsa.plan.fetching import Fetching, fetching
from taskrsa.plan.networks import (
    FEWEST,
    Bank,
    assets_of,
    bank_of,
    faults_of,
    read_networks,
)
from taskrsa.plan.small import SmallModels, small_models
from taskrsa.plan.targets import Target, targets_of
from taskrsa.rsa.presets import PRESETS, variants_of
from taskrsa.tasks.dictionary import TASKS
from taskrsa.transferability import FEWEST_TARGETS

_CHOICES = ("centre", "clip", "group_norm")


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Attributes
    ----------
    config : every key but those of sources that extensions added
    added : the sections of these, by name
    run : the folder of its results
    reasons : for every task "", or why it is left out
    """

    config: Config
    added: dict[str, dict]
    run: str
    fetching: Fetching
    data: Data
    reasons: dict[str, str]
    bank: Bank
    small: SmallModels
    targets: dict[str, Target]

    # --- tasks ---

    @property
    def tasks(self) -> list[str]:
        """Tasks that have labels and a network of this project in the bank."""
        return [task for task, reason in self.reasons.items() if not reason]

    @property
    def task_networks(self) -> list[str]:
        """Networks that stand for tasks: encoders of this project, or RDMs, named after one."""
        return [
            name
            for name, row in self.bank.networks.items()
            if name == row.task and (row.is_native or row.loader == RDMS)
        ]

    def steps_factor(self, network: str) -> float:
        """Return how much longer a network of the bank is trained than others."""
        return self.config.training.steps_factor.get(self.bank.all[network].task, 1)

    def weights(self, network: str) -> str | list:
        """Return what `Bank.weights` does, or the file that is fetched from the row's address."""
        if self.bank.all[network].is_address:
            return self.fetching.path(f"bank/{network}")
        return self.bank.weights(network)

    def start(self, network: str) -> str | list:
        """Return the weights that a fine-tuning starts from; [] for a baseline."""
        return self.weights(network) if network in self.bank.networks else []

    @property
    def task_rdms(self) -> list[str]:
        """The RDMs of the networks that stand for tasks."""
        return self.bank.rdms(self.task_networks)

    @property
    def have_quality(self) -> bool:
        """Whether it is known what the network of every task has learnt."""
        return bool(self.tasks) and set(self.tasks) <= set(self.bank.trained)

    # --- comparisons ---

    @property
    def choices(self) -> dict[str, Any]:
        """Choices of method: those of the preset but for what the config changes."""
        changed = self.config.rsa.choices.model_dump(exclude_none=True)
        return PRESETS[self.config.rsa.preset] | changed

    @property
    def rdm_choices(self) -> dict[str, bool]:
        return {key: self.choices[key] for key in _CHOICES}

    @property
    def variants(self) -> dict[str, dict]:
        """Other choices for RDMs, with which those of the run are compared."""
        variants = variants_of(self.rdm_choices)
        # Clipping and group norm are for encoders of this project.
        return variants if self.bank.all_native else {"centring": variants["centring"]}

    @property
    def gram_cache(self) -> str | None:
        """The folder of products that are kept between runs."""
        return expanded("rsa", {"gram_cache": self.config.rsa.gram_cache})["gram_cache"]

    @property
    def layers(self) -> list[str]:
        """Layers that at least three networks have, or where there are but two, both."""
        fewest = min(FEWEST, len(self.bank.networks))
        return [layer for layer in self.bank.layers if len(self.bank.at(layer)) >= fewest]

    @property
    def have_labels(self) -> bool:
        """Whether the labels of the stimuli are compared as networks are."""
        return self.data.have_labels and len(self.tasks) >= FEWEST

    @property
    def compared(self) -> list[str]:
        """The layers of the table of similarities; `labels` counts as one."""
        return [*self.layers, *["labels"] * self.have_labels]

    @property
    def label_rdms(self) -> list[str]:
        return self.bank.rdms(self.tasks, "labels") if self.have_labels else []

    @property
    def types(self) -> dict[str, str]:
        """Types of networks, and of tasks whose labels are compared, by name."""
        of_labels = {task: TASKS[task].type for task in self.tasks} if self.have_labels else {}
        return of_labels | self.bank.types

    def rdms_at(self, layer: str) -> list[str]:
        """Return the RDMs that are compared at a layer, `labels` among the layers."""
        return self.label_rdms if layer == "labels" else self.bank.rdms(self.bank.at(layer))

    @property
    def image_counts(self) -> list[int]:
        """Numbers of images to rank from: with fewer stimuli than the smallest, all of them."""
        n = self.data.n_stimuli
        return [count for count in self.config.robustness.images if count <= n] or [n]

    # --- transfer affinities ---

    @property
    def affinities(self) -> str | None:
        """The file of Taskonomy's published affinities, None if it is neither here nor fetched."""
        return self._published("affinities", self.config.affinities.path)

    @property
    def win_rates(self) -> str | None:
        """The file of Taskonomy's win rates, as `affinities`; of use beside the published ones."""
        is_of_use = self.config.affinities.use == "published" and self.have_selection
        return self._published("winrates", self.config.affinities.win_rates) if is_of_use else None

    def _published(self, asset: str, local: str | None) -> str | None:
        path = full_path(local or "")
        if path and "$" not in path and Path(path).exists():
            return path
        is_fetched = self.fetching.is_accepted(asset)
        return self.fetching.path(asset) if is_fetched else None

    @property
    def truths(self) -> list[str]:
        """What selection is judged by: the affinities of the bank, and win rates."""
        return ["affinity", *["win_rates"] * bool(self.win_rates)]

    @property
    def matrices(self) -> list[str]:
        """The file of similarity matrices that are judged beside the run's own, if there is one."""
        path = self.config.affinities.matrices.path
        return [expanded("affinities.matrices", {"file": path})["file"]] if path else []

    def required_affinities(self) -> str:
        """Return the file of published affinities, or raise ConfigError: how to have it."""
        if self.affinities is None:
            raise ConfigError(
                "config, affinities: Taskonomy's published affinities are needed; set "
                "affinities.path to a local copy of all_affinities.pkl"
                f"{self.fetching.or_accept('affinities')}"
            )
        return self.affinities

    @property
    def affinity_kinds(self) -> list[str]:
        """Affinities that the bank is compared with: its own, and the published ones."""
        if len(self.task_networks) < FEWEST:
            return []
        measured = self.config.affinities.use == "measured" and len(self.tasks) >= FEWEST
        return ["measured"] * measured + ["published"] * bool(self.affinities)

    # --- what there is, and what is left out ---

    @property
    def has(self) -> set[str]:
        """What figures may need of a run (`taskrsa.figures.registry.NEEDS`)."""
        kinds = self.affinity_kinds
        holds = {
            "trained networks": bool(self.bank.trained),
            "types": separable([*filter(None, self.bank.types.values())]),
            "labels": self.have_labels,
            "small models": bool(self.small.tasks),
            "several seeds": bool(self.small.tasks) and len(self.small.seeds) > 1,
            "choices": len(self.bank.with_features) >= FEWEST,
            "affinities": bool(kinds),
            "measured affinities": "measured" in kinds,
            "published affinities": "published" in kinds,
            "study": bool(self.study),
        }
        return {name for name, true in holds.items() if true}

    @property
    def study(self) -> list[str]:
        """The targets by which measures of transfer are judged; none if there are few."""
        whole = [name for name, one in self.targets.items() if one.config.finetune == "all"]
        return whole if len(whole) >= FEWEST_TARGETS else []

    @property
    def have_selection(self) -> bool:
        """Whether similarity can be set beside the affinities that belong to the bank."""
        return self.config.affinities.use in self.affinity_kinds and self.have_queries

    @property
    def have_queries(self) -> bool:
        """Whether tasks rank the bank: by small models or, where there are only RDMs, by these."""
        return bool(self.small.tasks) or self.bank.all_given

    @property
    def queries(self) -> dict[str, list[str]]:
        """The tasks that rank the bank from fewer images: "tasks", and RDMs of the first seed."""
        if self.small.tasks:
            rdms = self.small.rdms(self.small.tasks, self.small.by_seed[:1])
            return {"tasks": self.small.tasks, "rdms": rdms}
        return {"tasks": self.task_networks, "rdms": self.task_rdms}

    @property
    def have_claims(self) -> bool:
        """Whether the paper's claims apply: the networks are those of tasks."""
        return len(self.task_networks) >= FEWEST and self.have_queries

    @property
    def is_taskonomy(self) -> bool:
        """Whether the networks are Taskonomy's own, to which the published affinities belong."""
        by_rdms = self.bank.all_given and self.config.affinities.use == "published"
        return self.bank.is_public or by_rdms

    @property
    def paper_target(self) -> str:
        """The target that the claims are about, of the paper's kind; "" if there is none."""
        chosen = (
            name
            for name, target in self.targets.items()
            if target.is_given_pascal
            or (target.config.kind == "segmentation" and target.is_compared)
        )
        return next(chosen, "") if self.have_claims else ""

    @property
    def same_task(self) -> str:
        """The network of the task of that target, trained in the domain of the bank."""
        target = self.targets.get(self.paper_target)
        return (target.same_task if target else "") or ""

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of weights and of other files that the results come from."""
        rows = self.bank.networks.values()
        hashes = {f"weights of {row.label}": row.sha256 for row in rows if row.sha256}
        if "published" in self.affinity_kinds:
            published = self.fetching.assets["affinities"].hash.removeprefix("sha256:")
            hashes["Taskonomy's affinities"] = published
        if self.win_rates:
            hashes["Taskonomy's win rates"] = self.fetching.assets["winrates"].hash.removeprefix(
                "sha256:"
            )
        return hashes

    @property
    def figure_settings(self) -> dict[str, Any]:
        """What figures take of the run (`taskrsa.figures.registry.SETTINGS`)."""
        return {
            "layer": self.bank.layer,
            "linkage": self.choices["linkage"],
            "layers": list(self.bank.layers),
            "compare": self.config.rsa.compare,
            "affinities": self.config.affinities.use,
            "figure7": self.small.figure7,
            "trained": self.bank.trained,
        }


def _named_after_tasks(rows: Mapping[str, Network]) -> list[str]:
    return [name for name, row in rows.items() if row.is_native and name == row.task]


def make_plan(
    values: Mapping[str, Any],
    added: Iterable[str],
    assets: str | os.PathLike,
    schema: Mapping,
    dry_run: bool = False,
    downloads_in: str = "",
    check: Check | None = None,
) -> Plan:
    """Return what a run does.

    Parameters
    ----------
    values : the keys of its configuration
    added : kinds of sources that extensions added
    assets, schema : the table of what can be fetched, and the JSON schema of one of its rows
    dry_run : whether nothing will be run, so that licences may count as accepted
    downloads_in : the folder that a relative assets.folder lies in
    check : of `taskrsa.plan.checking.checker`, what tells which networks can be used

    Raises
    ------
    ConfigError, DataError
        If a key, a table or data cannot be used.
    """
    config, sections = parse(values, added)
    _check_tasks(config)
    rows = read_networks(config)
    what = fetching(config.assets, assets, schema, assets_of(rows), dry_run, downloads_in)
    data = data_of(config, what, sections, rows)
    run = f"results/{config.run}"
    checked = check(config, rows, what) if check and rows else {}
    used = {name: row for name, row in rows.items() if name not in faults_of(config, rows, checked)}
    reasons = _reasons(data, used)
    tasks = [task for task, reason in reasons.items() if not reason]
    bank = bank_of(config, run, rows, tasks, checked)
    plan = Plan(
        config=config,
        added=sections,
        run=run,
        fetching=what,
        data=data,
        reasons=reasons,
        bank=bank,
        small=small_models(config, run, tasks),
        targets=targets_of(config, bank, what),
    )
    refuse_braces("config, affinities.path", [plan.affinities or ""])
    if plan.gram_cache and Path(plan.gram_cache).is_file():
        raise ConfigError(f"config, rsa.gram_cache: {plan.gram_cache} is a file; name a folder")
    return plan


def _reasons(data: Data, rows: Mapping[str, Network]) -> dict[str, str]:
    """Map tasks to "" or why they are left out: a source cannot label them, or no network."""
    named = _named_after_tasks(rows)
    if rows and not (named and data.source):
        return {}
    reasons = data.reasons()
    if rows:
        reasons |= {
            task: f"{task}: the bank has no network of it" for task in reasons if task not in named
        }
    return reasons


def _check_tasks(config: Config) -> None:
    """Refuse a key that names a task that does not exist, or one without a map."""
    small, robustness = config.small, config.robustness
    named = {
        "tasks": config.tasks,
        "training.steps_factor": config.training.steps_factor,
        "small.steps_factor": small.steps_factor,
        "small.tasks": small.tasks,
        "small.figure7": small.figure7,
        "robustness.tasks": robustness.tasks,
    }
    for key, tasks in named.items():
        for task in () if tasks == "auto" else tasks:
            if task not in TASKS:
                raise ConfigError(
                    f"config, {key}: no task named {task}; there are {', '.join(TASKS)}"
                )
            is_of_maps = key in ("small.tasks", "small.figure7", "robustness.tasks")
            if is_of_maps and not TASKS[task].dense:
                raise ConfigError(
                    f"config, {key}: {task} has no map to decode; small models are for dense tasks"
                )
