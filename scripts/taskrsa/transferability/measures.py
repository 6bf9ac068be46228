"""All measures of transfer: those of the package, and what extensions add with `measure`."""

from __future__ import annotations

from collections.abc import Iterable

from taskrsa import extensions
from taskrsa.errors import ConfigError
from taskrsa.transferability import alignments, evidence, plain, probes
from taskrsa.transferability.registry import MEASURES, Inapplicable, Measure, Score, measure

__all__ = ["MEASURES", "Inapplicable", "Measure", "Score", "measure", "measure_label", "named"]

# What registers them; an unused import would look like a mistake.
MODULES = (plain, alignments, evidence, probes)


def named(names: Iterable[str], where: str) -> list[Measure]:
    """Return measures by name; ConfigError, which begins with `where`, if there is no such one."""
    for name in names:
        if name not in MEASURES:
            raise ConfigError(
                f"{where}: there is no measure {name}; choose from {', '.join(MEASURES)}"
            )
    return [MEASURES[name] for name in names]


def measure_label(name: str) -> str:
    """Return what a measure is called; its name where no code of it is known."""
    return MEASURES[name].label if name in MEASURES else name


extensions.load()
