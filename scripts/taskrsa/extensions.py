"""Python files of the user's own that add tasks, measures of similarity or sources of images.

Their names stand in the environment variable TASKRSA_EXTENSIONS, so that a job knows what the
workflow knows; the workflow sets it from the config. A file is imported once in a process, as soon
as something is asked for that it may add to. It is code that is run: trust it as your own.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from taskrsa.errors import ConfigError, TaskrsaError

VARIABLE = "TASKRSA_EXTENSIONS"


def use(paths: Sequence[str | os.PathLike]) -> list[str]:
    """Make files known to this process and to those that it starts; return their full paths.

    Raises
    ------
    ConfigError
        If there is no such file, or its name cannot be that of a module.
    """
    found = [Path(os.path.expandvars(path)).absolute() for path in paths]
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
    folders = [str(path.parent) for path in found]
    searched = [*folders, *filter(None, [os.environ.get("PYTHONPATH")])]
    if folders:
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(searched))
    sys.path += [folder for folder in dict.fromkeys(folders) if folder not in sys.path]
    os.environ[VARIABLE] = os.pathsep.join(names)
    return [str(path) for path in found]


def _is_other(path: Path) -> bool:
    spec = importlib.util.find_spec(path.stem)
    return spec is not None and (spec.origin is None or Path(spec.origin) != path)


def load() -> None:
    """Import the files that are in use and not yet imported.

    Raises
    ------
    ConfigError
        If one of them cannot be imported.
    """
    for name in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        # One that is just being imported is there as well.
        if name in sys.modules:
            continue
        try:
            importlib.import_module(name)
        except TaskrsaError:
            raise
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            raise ConfigError(
                f"extension {name}: cannot be imported ({type(error).__name__}: {error}; "
                f"{last.filename}, line {last.lineno}); mend it"
            ) from error
