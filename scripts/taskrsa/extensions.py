"""Python files of the user that add tasks, measures of similarity or sources of images.

Their paths stand in the environment variable TASKRSA_EXTENSIONS, a JSON list, so that a job knows
what the workflow knows; the workflow sets it from the config. A file is imported once in a process,
as soon as something is asked for that it may add to. It is code that is run: trust it as your own.

They are imported by path, and their folders come last in what is searched for modules: what else
lies there must not stand in for a module of Python's. A file that is missing, cannot be imported or
adds what cannot be added is a ConfigError.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from taskrsa.errors import ConfigError, TaskrsaError
from taskrsa.io.files import full_path

VARIABLE = "TASKRSA_EXTENSIONS"


def use(paths: Sequence[str | os.PathLike]) -> list[str]:
    """Make files known to this process and to those that it starts; return their full paths."""
    for path in paths:
        if not isinstance(path, str | os.PathLike):
            raise ConfigError(f"config, extensions: {path!r} is not a path; name a Python file")
    found = [Path(full_path(path)) for path in paths]
    found = [path.parent.resolve() / path.name for path in found]
    for path in found:
        if path.suffix != ".py" or not path.is_file():
            raise ConfigError(f"config, extensions: there is no Python file {path}; correct it")
        if not path.stem.isidentifier():
            raise ConfigError(
                f"config, extensions: {path.name} cannot be imported; name it by letters, digits "
                "and _"
            )
    names = [path.stem for path in found]
    for path in found:
        if names.count(path.stem) > 1 or _is_other(path):
            raise ConfigError(
                f"config, extensions: there is another module named {path.stem}; rename {path}"
            )
    os.environ[VARIABLE] = json.dumps([*map(str, found)])
    return [str(path) for path in found]


def _is_other(path: Path) -> bool:
    """Tell whether a module of the file's name is there that is not the file."""
    spec = importlib.util.find_spec(path.stem)
    if spec is None:
        return False
    return not (spec.has_location and Path(spec.origin).samefile(path))


def load() -> None:
    """Import the files that are in use and not yet imported."""
    for path in map(Path, json.loads(os.environ.get(VARIABLE) or "[]")):
        # One that is just being imported is there as well.
        if path.stem not in sys.modules:
            _import(path)


def _import(path: Path) -> None:
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    # Snakemake would end without a word where a file calls exit().
    except (Exception, SystemExit) as error:
        del sys.modules[path.stem]
        # An extension may import what loads the next one, whose error has its name already.
        if isinstance(error, TaskrsaError) and str(error).startswith("extension "):
            raise
        where = f"extension {path}{line_of(error, path)}"
        if isinstance(error, TaskrsaError):
            raise ConfigError(f"{where}: {error}") from error
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"{where}: cannot be imported ({reason}); correct it") from error


def line_of(error: BaseException, path: str | os.PathLike) -> str:
    """Say which line of a file an error came by; nothing if it came by none of its lines."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    return f", line {lines[-1]}" if lines else ""
