"""Open a source of images by its kind: the name of a module in `taskrsa.data`, or of one that an
extension added.

Modules are imported by name, when they are asked for, so that runs depend only on the source they
use.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import numpy as np

from taskrsa import extensions
from taskrsa.data.view import Source
from taskrsa.errors import ConfigError
from taskrsa.io.files import refuse_braces

_KIND = r"[a-z_][a-z0-9_]*"
ADDED: dict[str, SimpleNamespace] = {}


def add_source(
    kind: str, open_source: Callable[..., Source], files: Callable[..., list[str]] | None = None
) -> None:
    """Add a source of images, whose options stand in the config's section of its name; ConfigError
    if the kind is taken or cannot be used.

    Parameters
    ----------
    kind : what the config's `source` names it by
    open_source : from options, with `image_size` among them, to the source
    files : from the option `path`, None where there is none, to the files that are read
    """
    if not re.fullmatch(_KIND, kind):
        raise ConfigError(f"source {kind!r}: a kind has small letters, digits and _ only")
    if kind in ADDED or importlib.util.find_spec(f"taskrsa.data.{kind}"):
        raise ConfigError(f"source {kind}: the name is taken; choose another")
    ADDED[kind] = SimpleNamespace(open_source=open_source, files=files)


def source_module(kind: str) -> ModuleType | SimpleNamespace:
    """Return the module of a source; ConfigError if there is none of that name."""
    if kind in ADDED:
        return ADDED[kind]
    name = f"taskrsa.data.{kind}"
    known = re.fullmatch(_KIND, kind) and importlib.util.find_spec(name)
    module = importlib.import_module(name) if known else None
    if not hasattr(module, "open_source"):
        raise ConfigError(
            f"kind: there is no source {kind!r}; give "
            f"{', '.join(['simulated', 'rgbd', 'taskonomy', *ADDED])} or folder"
        )
    return module


def open_source(kind: str, **options: object) -> Source:
    """Open the source of a kind with its own options; ConfigError if one is unknown, missing or of
    no use, DataError if the source's files are."""
    factory = source_module(kind).open_source
    parameters = inspect.signature(factory).parameters.values()
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        names = [parameter.name for parameter in parameters]
        for option in options:
            if option not in names:
                raise ConfigError(
                    f"{option}: source {kind} has no such option; its options are "
                    f"{', '.join(names)}"
                )
        for parameter in parameters:
            if parameter.default is parameter.empty and parameter.name not in options:
                raise ConfigError(f"{parameter.name}: source {kind} needs this option; set it")
    return factory(**options)


def source_files(kind: str, path: str | None) -> list[str]:
    """Return the files a source reads, so that results made from them become stale with them."""
    list_files = getattr(source_module(kind), "files", None)
    files = list_files(path) if list_files else []
    refuse_braces(f"source {kind}", map(str, files))
    return files


def choose(
    ids: list[str], n: int | None, split: str, generator: np.random.Generator | None
) -> list[str]:
    """Return `n` of the ids of a split, all for None: the first ones, or a random sample without
    replacement, in the source's order. ConfigError if there are fewer.

    A sample of images, the same for every network, are the conditions of the RDMs (section 5.1).
    """
    if n is None:
        return list(ids)
    if n > len(ids):
        raise ConfigError(
            f"{n} images are wanted of split {split}, which has {len(ids)}; lower "
            "the number in the config"
        )
    if generator is None:
        return list(ids[:n])
    return [ids[index] for index in sorted(generator.choice(len(ids), n, replace=False))]


def unavailable_tasks(options: dict, tasks: list) -> dict[str, str]:
    """Return, for each task that a source cannot label, the reason, judged by its first view."""
    from taskrsa.tasks.labels import available_tasks

    source = open_source(**options)
    return available_tasks(tasks, source.view(source.ids("train")[0]), source.info)[1]


extensions.load()
