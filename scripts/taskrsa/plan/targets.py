"""The targets of a run: where their data lie, what ranks the bank for them, what is fine-tuned."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from taskrsa.errors import ConfigError, DataError, TaskrsaError
from taskrsa.networks.network import RDMS, Network, weights_file
from taskrsa.networks.table import styles
from taskrsa.plan.config import Config, EncoderConfig, expanded
from taskrsa.plan.fetching import Fetching
from taskrsa.plan.networks import BASELINES, Bank
from taskrsa.plan.small import small_encoder
from taskrsa.recipes import HeadConfig
from taskrsa.rsa.given_rdms import read_given
from taskrsa.targets.config import UNLABELLED, TargetConfig, TargetData
from taskrsa.targets.devkit import CLASSES_FILE, devkit_root, is_devkit
from taskrsa.targets.prepare import files_of
from taskrsa.tasks.dictionary import TASKS
from taskrsa.transferability import TAP, measures
from taskrsa.transferability.race import Round, race_rounds

TOP = 3  # networks that are fine-tuned for `finetune: top3`
FEWEST_OWN = 2  # networks that can be compared on a target's own images
OWN, BANK = "own", "bank"  # stimuli: a target's own images, those of the run


@dataclass(frozen=True)
class Target:
    """One target: its section, with sizes and environment variables put in, and what it is of."""

    name: str
    config: TargetConfig
    run: Config
    bank: Bank
    fetching: Fetching

    @property
    def folder(self) -> str:
        return f"{self.bank.run}/targets/{self.name}"

    @property
    def is_pascal(self) -> bool:
        """Whether it is Pascal VOC, so that published values can be set beside its own."""
        data = self.config.data
        if self.is_given_pascal:
            return True
        if data.kind != "segmentation" or data.source == "outdoor":
            return False
        if data.source == "voc2012":
            return True
        return is_devkit(data.path) and not (devkit_root(data.path) / CLASSES_FILE).is_file()

    @property
    def has(self) -> set[str]:
        """What figures of a target may need (`taskrsa.figures.registry.NEEDS`)."""
        holds = {"fine-tuning": self.has_scores, "row": self.is_row}
        return {name for name, true in holds.items() if true}

    @property
    def is_labelled(self) -> bool:
        return self.config.kind not in UNLABELLED

    @property
    def is_given(self) -> bool:
        """Whether its similarities to the networks come from a file."""
        return self.config.kind == "similarities"

    @property
    def is_given_pascal(self) -> bool:
        """Whether they are set beside the published scores on Pascal VOC."""
        return self.config.scores == "voc2012"

    @property
    def has_scores(self) -> bool:
        """Whether it is known what several networks reach, which shows what a ranking is worth."""
        return self.is_compared or self.config.scores is not None

    @property
    def is_row(self) -> bool:
        """Whether a row of the table stands for it, with which layers can be compared."""
        return self.config.kind == "network"

    # --- data ---

    @property
    def is_fetched(self) -> bool:
        """Whether Pascal VOC is fetched for it."""
        is_at_hand = self.config.source != "voc2012" or bool(self.config.path)
        return not is_at_hand and self.fetching.is_accepted("voc2012")

    @property
    def _sbd_is_fetched(self) -> bool:
        return self.is_fetched and not self.config.sbd and self.fetching.is_accepted("sbd")

    def data(self) -> TargetData:
        """Return what its images are read from, or raise ConfigError where nothing is named."""
        data = self.config.data
        if data.source == "outdoor" or data.kind in UNLABELLED:
            return data
        if self.is_fetched:
            unpacked = {"path": f"{self.fetching.folder}/voc2012/VOCdevkit/VOC2012"}
            if self._sbd_is_fetched:
                unpacked["sbd"] = f"{self.fetching.folder}/sbd"
            return data.model_copy(update=unpacked)
        hint = self.fetching.or_accept(data.source)
        expanded(f"targets.{self.name}", {"path": data.path}, hint)
        return data

    def files(self) -> list[str]:
        """List the files that it is read from, so that changed data make its results stale."""
        if self.is_given:
            if not Path(self.config.path).is_file():
                raise DataError(
                    f"config, targets.{self.name}.path: there is no file {self.config.path}; "
                    "correct the path"
                )
            return [self.config.path]
        if self.is_fetched:
            lists = [f"{self.fetching.folder}/voc2012.csv"]
            return [*lists, *[f"{self.fetching.folder}/sbd.csv"] * self._sbd_is_fetched]
        return files_of(self.data())

    # --- what ranks the bank ---

    @property
    def small_seeds(self) -> tuple[int, ...]:
        return self.config.small.seeds if self.is_labelled else ()

    @property
    def small_encoder(self) -> dict:
        return small_encoder(self.run.encoder, self.config.small.width)

    def small_row(self, seed: int | str) -> Network:
        name = f"{self.name}_s{seed}"
        return Network(name, name, "", "small", layers=(("", "compressed"),), clip=False)

    @property
    def small_scores(self) -> list[str]:
        return [f"{self.folder}/small/s{seed}/scores.csv" for seed in self.small_seeds]

    @property
    def layer(self) -> str:
        return "compressed" if self.is_labelled else self.bank.layer

    @property
    def ranked(self) -> list[str]:
        return [name for name in self.bank.networks if name != self.config.network]

    @property
    def labels(self) -> dict[str, tuple[str, str]]:
        """Label and type of the networks that are ranked, by name."""
        return styles({name: self.bank.networks[name] for name in self.ranked})

    @property
    def controls(self) -> list[str]:
        """The untrained networks that are set beside the ranked ones, none of them ranked."""
        return self.bank.controls(self.bank.layer)

    @property
    def control_rdms(self) -> list[str]:
        if self.stimuli[0] == BANK:
            return self.bank.rdms(self.controls, "random")
        return self._rdms_of(self.controls, OWN)

    @property
    def untrained(self) -> dict[str, list[str]]:
        """For each network that is ranked, the untrained ones of its design."""
        there, of = {*self.ranked, *self.controls}, self.bank.untrained_of
        return {name: [other for other in of[name] if other in there] for name in self.ranked}

    # --- the images that networks are ranked on ---

    @property
    def stimuli(self) -> tuple[str, ...]:
        """What networks are ranked on, `OWN` or `BANK` or both; the first decides."""
        asked = self.config.stimuli
        if asked == BANK or not self.is_labelled or len(self.own_ranked) < FEWEST_OWN:
            return (BANK,)
        return (OWN, BANK) if asked == "both" else (OWN,)

    @cached_property
    def own_ranked(self) -> list[str]:
        """The networks that can be compared on its own images: those that are shown images, and
        files of RDMs that are of just these images."""
        return [name for name in self.ranked if self._sees_own(self.bank.networks[name])]

    def _sees_own(self, row: Network) -> bool:
        if row.loader != RDMS:
            return True
        # Half a second of SciPy, which runs without such files are spared.
        from taskrsa.transferability.stimuli import are_conditions

        config = self.config
        try:
            given, data = read_given(weights_file(row)), self.data()
        except TaskrsaError:
            return False  # where they are needed, one line says what is wrong
        return are_conditions(given, data, config.n_train, config.n_stimuli, self.run.seed)

    def compared(self, stimuli: str) -> tuple[list[str], list[str]]:
        """Return the RDMs, over one kind of stimuli, of the networks that are ranked and of what
        ranks them. With both kinds the networks are the same, so that ranks can be compared."""
        networks = self.own_ranked if OWN in self.stimuli else self.ranked
        return self._rdms_of(networks, stimuli), self._ranking_rdms(stimuli)

    @property
    def beside(self) -> tuple[list[str], list[str]]:
        """The same over the stimuli that do not decide; none without such."""
        return self.compared(self.stimuli[1]) if len(self.stimuli) > 1 else ([], [])

    @property
    def rdms(self) -> list[str]:
        """The RDMs that rank the bank: of its small models, or of a network that stands for it."""
        return self._ranking_rdms(self.stimuli[0])

    def _ranking_rdms(self, stimuli: str) -> list[str]:
        if not self.is_labelled:
            return self.bank.rdms(filter(None, [self.config.network]))
        if stimuli == OWN:
            return [f"{self.folder}/small/s{seed}/rdms.h5" for seed in self.small_seeds]
        return [f"{self.bank.run}/rdms/target_{self.name}/s{seed}.h5" for seed in self.small_seeds]

    def _rdms_of(self, networks: Iterable[str], stimuli: str) -> list[str]:
        if stimuli == BANK:
            return self.bank.rdms(networks)
        return [f"{self.folder}/rdms/{name}.h5" for name in networks]

    def image_counts(self, of_bank: list[int]) -> list[int]:
        """Return the numbers of images to rank from; `of_bank` are those of the run's stimuli."""
        if self.stimuli[0] == BANK:
            return of_bank
        n = self.config.n_stimuli
        return [count for count in self.run.robustness.images if count <= n] or [n]

    # --- measures of transfer ---

    @property
    def measures(self) -> list[str]:
        """The measures that are made: those of the advice, then the others asked for."""
        also = self.config.advice.also
        if also == "all":
            found = measures.MEASURES.items()
            also = [name for name, one in found if self.beside[0] or "bank_rdms" not in one.needs]
        return list(dict.fromkeys([*self.config.advice.measures, *also]))

    @property
    def measured_layers(self) -> list[str]:
        """The layers that networks are measured at, that of the advice first."""
        every = [*self.bank.layers, TAP] if self.config.advice.all_layers else []
        return list(dict.fromkeys([self.config.advice.layer, *every]))

    @property
    def side(self) -> int:
        """Of the images that encoders see in fine-tuning, pixels."""
        return max(1, round(self.config.recipe.crop * self.config.head.input_scale))

    def features(self, network: str) -> list[str]:
        """Return the file of a network's features; none of a file of RDMs, or where no measure
        needs them."""
        asked = self._needs("features") and network in self.trainable
        return [f"{self.folder}/features/{network}.h5"] if asked else []

    def compared_rdms(self, network: str, need: str = "rdms") -> tuple[list[str], list[str]]:
        """Return the RDMs of a network and of the target's small models that a measure needs as
        "rdms", over the stimuli that decide, or "bank_rdms", over those beside them."""
        places = self.stimuli[:1] if need == "rdms" else self.stimuli[1:]
        for stimuli in places if self._needs(need) else ():
            if stimuli == BANK or network in self.own_ranked:
                return self._rdms_of([network], stimuli), self._ranking_rdms(stimuli)
        return [], []

    def _needs(self, what: str) -> bool:
        chosen = measures.named(self.measures, f"config, targets.{self.name}.advice")
        return any(what in one.needs for one in chosen)

    def measured(self, kind: str) -> list[str]:
        """Return the files of all networks' measures: "measures.csv", "draws.h5"."""
        folder, _, ending = kind.partition(".")
        return [f"{self.folder}/{folder}/{name}.{ending}" for name in self.advised]

    @property
    def advised(self) -> dict[str, dict[str, str]]:
        """What the advice says of each network beside ranks: label, type, whether untrained.

        Files of RDMs, which cannot be fine-tuned, are advised only where there is nothing else.
        """
        return {
            name: {
                "label": row.label,
                "type": row.type,
                "untrained": "yes" if row.untrained else "no",
            }
            for name, row in self.bank.networks.items()
            if name in (self.trainable or self.ranked)
        }

    # --- fine-tuning ---

    def tables(self) -> list[str]:
        names = ["ranking", *["ranking_images"] * (not self.is_given)]
        names += ["stimuli"] if OWN in self.stimuli else []
        names += ["images", "measures", "advice"] if self.is_labelled else []
        # Where everything is fine-tuned, what it takes is seen.
        names += ["cost"] if self.is_labelled and self.config.finetune != "all" else []
        names += ["layers"] if self.is_row else []
        names += ["scores"] if self.is_finetuned or self.has_scores else []
        names += ["prediction", "choice"] if self.has_scores else []
        names += ["race"] if self.is_raced else []
        names += ["taps"] if self.compared_taps else []
        return [f"{self.folder}/{name}.csv" for name in names]

    @property
    def trainable(self) -> list[str]:
        """The networks that have weights, which files of RDMs have not."""
        return [name for name in self.ranked if self.bank.networks[name].loader != RDMS]

    @property
    def is_finetuned(self) -> bool:
        return self.config.finetune != "none"

    @property
    def is_raced(self) -> bool:
        """Whether networks are fine-tuned by halves, of which one ends with a full training."""
        return self.config.finetune == "race"

    @property
    def is_compared(self) -> bool:
        """Whether several networks are fine-tuned in full, which shows what a ranking is worth."""
        return self.is_finetuned and not self.is_raced

    @property
    def rounds(self) -> list[Round]:
        """The rounds of the race, the last of its winner alone; none without a race."""
        if not self.is_raced or not self.trainable:
            return []
        return race_rounds(len(self.trainable), self.config.recipe.steps, self.config.budget)

    @property
    def compared_taps(self) -> list[str]:
        """Networks that are fine-tuned at both taps."""
        chosen = self.config.compare_taps if self.is_compared else ()
        return [name for name in chosen if name in self.bank.networks]

    @property
    def same_task(self) -> str | None:
        """The network of its task in another domain, if the bank has it."""
        return self.config.same_task if self.config.same_task in self.bank.networks else None

    @property
    def baselines(self) -> list[str]:
        """Untrained networks that are fine-tuned beside the bank."""
        if not self.is_compared:
            return []
        return list(BASELINES if self.bank.all_native else BASELINES[1:])

    @property
    def rows(self) -> dict[str, Network]:
        """The rows of these networks, by name."""
        return {name: self.bank.networks[name] for name in self.trainable}

    def encoder(self, network: str) -> EncoderConfig | dict | None:
        """Return the encoder that a baseline is, None for a network of the bank."""
        return {"random": self.run.encoder, "random_small": self.small_encoder}.get(network)

    def head(self, network: str) -> HeadConfig:
        """Return the head that is put on a network: one at random on an untrained one, whose
        statistics are not those of data, so that a probe would not fit what it learns."""
        row, head = self.bank.networks.get(network), self.config.head
        if network in BASELINES or (row and row.untrained):
            return head.model_copy(update={"start": "random"})
        return head

    def order(self, table: str | os.PathLike) -> list[str]:
        """Return the networks that can be trained in the order of a table, best first: of the
        advice, or of what a round of the race decided."""
        with open(table, newline="", encoding="utf-8") as stream:
            listed = [row["model"] for row in csv.DictReader(stream)]
        return [name for name in listed if name in self.trainable]

    def finetuned(self, table: str | os.PathLike | None = None) -> list[str]:
        """Return the networks that are fine-tuned in full at the target's own tap.

        `finetune: top3` needs the table of the advice, `race` that of the last round in which
        some were dropped, or the advice where there is none.
        """
        chosen, how = self.trainable, self.config.finetune
        if how in ("top3", "race"):
            chosen = self.order(table)[: TOP if how == "top3" else 1]
        return [*chosen, *self.baselines] if self.is_finetuned else []

    def entrants(self, number: int, table: str | os.PathLike) -> list[str]:
        """Return the networks of a round of the race, from 1, in the order of the table that
        decides it: the advice, or what the round before decided."""
        return self.order(table)[: self.rounds[number - 1].entrants]

    @property
    def decisions(self) -> list[str]:
        """The tables of the rounds of the race in which some are dropped."""
        rounds = range(1, len(self.rounds))
        return [f"{self.folder}/race/round{number}.csv" for number in rounds]

    def leg(self, network: str, number: int | str) -> str:
        """Return the folder of what a network leaves in a round of the race."""
        return f"{self.folder}/race/{network}/round{number}"

    def state_before(self, network: str, number: int) -> list[str]:
        """Return the state with which a network begins a round of the race, from 1; none for the
        first."""
        return [f"{self.leg(network, number - 1)}/training.state"] * (number > 1)

    def runs(self, tap: str, table: str | os.PathLike | None = None) -> list[str]:
        """Return the scores of all fine-tunings at a tap; `table` is as in `finetuned`."""
        networks = self.finetuned(table) if tap == self.config.tap else self.compared_taps
        return [
            f"{self.folder}/finetuned/{tap}/{network}/s{seed}/scores.csv"
            for network in networks
            for seed in self.config.seeds
        ]


def targets_of(config: Config, bank: Bank, fetching: Fetching) -> dict[str, Target]:
    """Return the targets of a run by name, their networks and environment variables checked."""
    targets = {}
    for name, values in config.targets.items():
        if values is None:
            continue
        section = f"targets.{name}"
        places = expanded(section, {"folder": values.path, "sbd": values.sbd})
        update = {"path": places["folder"], "sbd": places["sbd"]}
        target = values.model_copy(update=update).resolved(config.image_size)
        _check_networks(section, target, bank.networks)
        _check_advice(section, target, bank)
        targets[name] = Target(name, target, config, bank, fetching)
    return targets


def _check_networks(section: str, target: TargetConfig, networks: Mapping[str, Network]) -> None:
    named = {
        "network": [target.network] if target.network else [],
        "same_task": [target.same_task] if target.same_task else [],
        "compare_taps": target.compare_taps,
    }
    for key, names in named.items():
        for name in names:
            # A task may be left out of a run, of which nothing else is known.
            if name not in networks and (key == "network" or name not in TASKS):
                raise ConfigError(
                    f"config, {section}.{key}: no network named {name}; there are "
                    f"{', '.join(networks)}"
                )
    if target.finetune == "race" and all(one.loader == RDMS for one in networks.values()):
        raise ConfigError(
            f"config, {section}.finetune: no network has weights to race with; set it to none"
        )
    for name in target.compare_taps:
        if name in networks and not networks[name].is_native:
            raise ConfigError(
                f"config, {section}.compare_taps: {name} has other layers; taps are those of "
                "encoders of this project"
            )


def _check_advice(section: str, target: TargetConfig, bank: Bank) -> None:
    advice, where = target.advice, f"config, {section}.advice"
    chosen = measures.named(advice.measures, f"{where}.measures")
    if target.kind not in UNLABELLED and not any(target.kind in one.kinds for one in chosen):
        fit = [name for name, one in measures.MEASURES.items() if target.kind in one.kinds]
        raise ConfigError(
            f"{where}.measures: none of {', '.join(advice.measures)} is for targets of kind "
            f"{target.kind}; add one of {', '.join(fit)}"
        )
    measures.named(() if advice.also == "all" else advice.also, f"{where}.also")
    if advice.layer not in (TAP, *bank.layers):
        raise ConfigError(
            f"{where}.layer: there is no layer {advice.layer}; choose from "
            f"{', '.join((TAP, *bank.layers))}"
        )
