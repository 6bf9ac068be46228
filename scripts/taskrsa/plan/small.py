"""Small models of a run's tasks, and what their rankings of the bank are tested against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from taskrsa.networks.spec import EncoderSpec
from taskrsa.networks.table import small_network
from taskrsa.plan.config import Config, EncoderConfig
from taskrsa.tasks.dictionary import TASKS

FEWEST = 3  # tasks of which rankings can be compared


@dataclass(frozen=True)
class Factor:
    """What small models of some tasks differ in: a value for each variant, one the default.

    `rdms` are files, all tasks of the first variant, then of the next.
    """

    tasks: list[str]
    variants: list[str]
    values: list[int]
    default: int
    rdms: list[str]


@dataclass(frozen=True)
class SmallModels:
    """Small models of a run.

    Variants are named w8_s0_p25: width 8, seed 0, after 25 % of the steps. Of the `tasks`, those
    `repeated` are trained at other widths as well; `run` is the folder of the run's results.
    """

    config: Config
    run: str
    tasks: list[str]
    repeated: list[str]

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.config.small.seeds

    @property
    def stages(self) -> list[int]:
        """Percentages of the training after which a model is kept."""
        return sorted({*self.config.robustness.stages, 100})

    @property
    def by_seed(self) -> list[str]:
        """The default models, one variant for each seed."""
        return [f"w{self.config.small.width}_s{seed}" for seed in self.seeds]

    @property
    def others(self) -> list[str]:
        """Variants at other widths and stages."""
        variants = [*self.factors["width"].variants, *self.factors["stage"].variants]
        return [variant for variant in variants if variant not in self.by_seed]

    @property
    def factors(self) -> dict[str, Factor]:
        """What small models differ in, by name."""
        width, seed = self.config.small.width, self.seeds[0]
        widths = sorted({*self.config.robustness.widths, width})
        by_width = [f"w{width}_s{seed}" for width in widths]
        by_stage = [f"{self.by_seed[0]}_p{percent}" for percent in self.stages]
        return {
            name: Factor(tasks, variants, list(values), default, self.rdms(tasks, variants))
            for name, tasks, variants, values, default in (
                ("width", self.repeated, by_width, widths, width),
                ("stage", self.repeated, by_stage, self.stages, 100),
                ("seed", self.tasks, self.by_seed, self.seeds, seed),
            )
        }

    @property
    def figure7(self) -> list[str]:
        chosen = [task for task in self.config.small.figure7 if task in self.tasks]
        return chosen or self.tasks[:2]

    def weights(self, task: str, variants: Iterable[str]) -> list[str]:
        """Return the files of a task's weights, one for each variant."""
        files = []
        for variant in variants:
            model, _, percent = variant.partition("_p")
            name = f"stage_{percent}" if percent else "weights"
            files.append(f"{self.run}/small/{task}/{model}/{name}.safetensors")
        return files

    def rdms(self, tasks: Iterable[str], variants: Iterable[str]) -> list[str]:
        """Return the files of RDMs: all tasks of the first variant, then of the next."""
        pairs = product(variants, tasks)
        return [f"{self.run}/rdms/small_{variant}/{task}.h5" for variant, task in pairs]

    def files(self, name: str) -> list[str]:
        """Return a file of every default model."""
        pairs = product(self.tasks, self.by_seed)
        return [f"{self.run}/small/{task}/{variant}/{name}" for task, variant in pairs]

    def rows(self, task: str, variants: Iterable[str]) -> list[str]:
        """Return a row for each variant of a task's small model, as JSON."""
        rows = [small_network(TASKS[task], f"{task}_{variant}") for variant in variants]
        return [row.to_json() for row in rows]


def small_models(config: Config, run: str, tasks: Iterable[str]) -> SmallModels:
    """Return the small models of a run, whose `tasks` have labels and a network in the bank.

    There are none where the tasks are too few to compare rankings of.
    """
    chosen = config.small.tasks
    if chosen == "auto":
        chosen = [task for task in TASKS if TASKS[task].has_small_model]
    tasks = [task for task in tasks if task in chosen]
    if len(tasks) < FEWEST:
        tasks = []
    repeated = config.robustness.tasks
    return SmallModels(
        config, run, tasks, [task for task in tasks if repeated == "auto" or task in repeated]
    )


def small_encoder(encoder: EncoderConfig, width: int) -> dict:
    """Describe a small encoder whose compressed output has the dimensions of the bank's."""
    reduction = EncoderSpec(**encoder.model_dump()).reduction
    return {"family": "small", "width": width, "reduction": reduction}
