"""Which figures there are: what each reads, needs and writes, and what it is called.

A figure is a function of one of this folder's modules with a decorator, `style.figure`, whose
keywords are those of `Registration`. They are read from the text of the modules and not by
importing them: Snakemake reads the registry whenever it starts, for every job of a cluster, and
need not have Matplotlib then.
"""

from __future__ import annotations

import ast
import functools
import string
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from taskrsa.errors import ConfigError

FOLDER = Path(__file__).parent

# What a run must have for some of the figures, and how that is said of a run that lacks it.
NEEDS = MappingProxyType(
    {
        "trained networks": "networks that are trained here",
        "types": "at least two types of networks",
        "labels": "labels of the stimuli",
        "small models": "small models of its tasks",
        "several seeds": "small models of several seeds",
        "choices": "at least three networks with features, to which the choices of method apply",
        "affinities": "transfer affinities of its tasks, measured or published (affinities.path)",
        "measured affinities": "measured transfer affinities",
        "published affinities": "Taskonomy's published affinities (set affinities.path, or "
        "accept their licence)",
        "fine-tuning": "a target on which networks are fine-tuned in full (finetune: top3 or all)",
        "row": "a row of the table that stands for the target (kind: network)",
        "study": "at least three targets on which all networks are fine-tuned (finetune: all)",
    }
)
# Values of a run that figures take, and that names of tables may hold: the layer and the linkage of
# Figure 4, all layers, how RDMs are compared, whose affinities are used, the tasks of Figure 7, the
# networks that are trained.
SETTINGS = ("layer", "linkage", "layers", "compare", "affinities", "figure7", "trained")
TARGET = "target"  # in the name of a table: there is one figure for each target


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A figure.

    Attributes
    ----------
    name : of its files and of its rule
    title, caption, alt, category : on the page
    order : figures stand on the page and in lists by this number
    tables : the files drawn, by the argument of the function; paths below the run's folder, which
        may hold a setting in braces, or {target}. A setting of several values stands for as many
        files.
    needs : what the run must have, of `NEEDS`
    settings : which of `SETTINGS` the function takes, by the argument of that name
    constants : further arguments of the function
    texts : ends of names of text files that the function returns besides
    module, function : where it is drawn
    """

    name: str
    title: str
    caption: str
    alt: str
    category: str
    order: int
    tables: Mapping[str, str]
    needs: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    module: str
    function: str

    def __post_init__(self):
        held = {name for table in self.tables.values() for name in _fields(table)}
        unknown = (held | {*self.settings}) - {*SETTINGS, TARGET}
        unknown |= {*self.needs} - {*NEEDS}
        if unknown:
            raise ValueError(f"figure {self.name}: unknown {', '.join(sorted(unknown))}")

    @property
    def per_target(self) -> bool:
        """Whether there is one such figure for each target."""
        return any(TARGET in _fields(table) for table in self.tables.values())

    @property
    def code(self) -> str:
        """The file that draws it, below the library's folder and without its ending."""
        return self.module.replace(".", "/").partition("/")[2]

    def lacks(self, has: Set[str]) -> str:
        """Return the first of its needs that a run, or a target, does not have; "" if none."""
        return next((need for need in self.needs if need not in has), "")

    def require(self, has: Set[str]) -> None:
        """Raise ConfigError if a run, or a target, lacks something that the figure needs."""
        if lacking := self.lacks(has):
            raise ConfigError(f"{self.title}: needs {NEEDS[lacking]}")

    def inputs(self, run: str, settings: Mapping[str, Any]) -> dict[str, str | list[str]]:
        """Return the files that it is drawn from, by argument; {target} is left as it is.

        run is the run's folder, settings are its values of `SETTINGS`.
        """
        return {name: _files(f"{run}/{path}", settings) for name, path in self.tables.items()}

    def outputs(self, run: str) -> dict[str, str | list[str]]:
        """Return the files of the figure: "pdf", "png", "csv" and "texts"; {target} is left."""
        base = f"{run}/figures/{'{target}/' * self.per_target}{self.name}"
        files = {end: f"{base}.{end}" for end in ("pdf", "png", "csv")}
        return files | {"texts": [f"{base}_{end}" for end in self.texts]}

    def arguments(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the function takes besides tables."""
        return {name: settings[name] for name in self.settings} | dict(self.constants)


@functools.cache
def registered() -> Mapping[str, Registration]:
    """Return all figures by name, in their order.

    Raises ValueError if a registration is wrong, or two figures have one name.
    """
    found = [one for path in sorted(FOLDER.glob("*.py")) for one in _registrations(path)]
    by_name = {one.name: one for one in sorted(found, key=lambda one: (one.order, one.name))}
    if len(by_name) < len(found):
        raise ValueError("two figures have one name")
    return MappingProxyType(by_name)


def wanted(has: Set[str], *, per_target: bool = False) -> list[Registration]:
    """Return the figures of a run, or of a target, that have all they need; `has`: of `NEEDS`."""
    return [
        one for one in registered().values() if one.per_target == per_target and not one.lacks(has)
    ]


def left_out(has: Set[str], *, per_target: bool = False) -> list[str]:
    """Return a line for each thing that a run lacks: what it is, and the figures left out."""
    titles: dict[str, list[str]] = {}
    for one in registered().values():
        lacking = one.lacks(has)
        if lacking and one.per_target == per_target:
            titles.setdefault(lacking, []).append(one.title)
    return [f"{', '.join(names)}: needs {NEEDS[need]}" for need, names in titles.items()]


def _registrations(path: Path) -> list[Registration]:
    """Return the figures of a module in the order of their decorators, read from its text."""
    found = []
    for node in ast.parse(path.read_bytes()).body:
        for call in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "figure":
                values = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
                module = f"{__package__}.{path.stem}"
                found.append(Registration(module=module, function=node.name, **values))
    return found


def _fields(pattern: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(pattern) if name]


def _files(pattern: str, settings: Mapping[str, Any]) -> str | list[str]:
    """Put settings into a path; a list of paths where one of them has several values."""
    values = {**settings, TARGET: "{target}"}
    for name in _fields(pattern):
        if isinstance(values[name], (list, tuple)):
            return [pattern.format(**values | {name: value}) for value in values[name]]
    return pattern.format(**values)
