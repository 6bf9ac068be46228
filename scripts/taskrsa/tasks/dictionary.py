"""The task dictionary: the 20 tasks of the paper, and those that extensions add.

`tasks.tsv` has a row for each task of the paper (section 5.1; Zamir et al. 2018), in the order of
its figures. Types and colours are those of Fig. 4. The loss and the input preprocessing are those
of the public bank.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from taskrsa import extensions
from taskrsa.errors import ConfigError
from taskrsa.io.files import read_rows
from taskrsa.tasks.task import Task

# The losses that fit an output, for tasks that are added.
LOSSES_OF = {
    "image": ("l1", "l2"),
    "ids": ("cross_entropy",),
    "embedding": ("metric",),
    "vector": ("l1", "l2"),
    "class": ("soft_cross_entropy",),
}
INPUTS = ("rgb", "lightness", "masked", "noisy")
TYPE_COLOURS = {"2D": "#1f3fd1", "3D": "#149414", "geometric": "#d62020", "semantic": "#c512c5"}


@dataclass(frozen=True)
class BankTask(Task):
    """A task with its names: in the public bank, in figures, in the published affinities."""

    bank_name: str = ""  # name of the task in the public PyTorch bank
    label: str = ""  # name in figures
    type: str = ""  # "2D", "3D", "geometric" or "semantic"
    affinity_name: str | None = None  # None where no affinities were published
    has_small_model: bool = False  # one of the paper's 14 small models (section 5.2)

    @property
    def colour(self) -> str:
        return TYPE_COLOURS[self.type]


def _read() -> dict[str, BankTask]:
    tasks = {}
    for row in read_rows(Path(__file__).with_name("tasks.tsv")):
        cells = row | {
            "derive": f"taskrsa.tasks.labels:{row['id']}",
            "embedding": int(row["embedding"]),
            "affinity_name": row["affinity_name"] or None,
        }
        flags = {name: row[name] == "yes" for name in ("clip", "quarter_size", "has_small_model")}
        tasks[row["id"]] = BankTask(**cells | flags)
    return tasks


TASKS = _read()


def task(
    id: str, *, label: str, type: str, output: str, loss: str, **more
) -> Callable[[Callable], Callable]:
    """Register the decorated function, from a view and its source's information to a label, as
    the task that predicts it.

    Parameters
    ----------
    id : of letters, digits and _, for it becomes part of the names of files
    label, type : of figures; a new type gets a colour of its own
    output, loss, more : fields of `taskrsa.tasks.task.Task`

    Raises
    ------
    ConfigError
        If the id is taken or cannot be used, or the output, loss or input is unknown.
    """
    if not id.isidentifier():
        raise ConfigError(f"task {id!r}: an id has letters, digits and _ only; rename it")
    if id.startswith("random"):
        raise ConfigError(f"task {id}: names in random are for untrained networks; rename it")
    if id in TASKS:
        raise ConfigError(f"task {id}: registered twice; give the second another id")
    if more.get("input", "rgb") not in INPUTS:
        raise ConfigError(
            f"task {id}: no input {more['input']!r}; choose one of {', '.join(INPUTS)}"
        )
    if output not in LOSSES_OF:
        raise ConfigError(f"task {id}: no output {output!r}; choose one of {', '.join(LOSSES_OF)}")
    if loss not in LOSSES_OF[output]:
        raise ConfigError(
            f"task {id}: loss {loss!r} does not fit output {output!r}; choose "
            f"{' or '.join(LOSSES_OF[output])}"
        )
    if output == "embedding" and more.get("embedding", 0) < 1:
        raise ConfigError(f"task {id}: has no channels to embed in; set embedding, such as 64")

    def register(derive: Callable) -> Callable:
        where = f"{derive.__module__}:{derive.__qualname__}"
        TASKS[id] = BankTask(id, output, loss, where, label=label, type=type, **more)
        return derive

    return register


extensions.load()
