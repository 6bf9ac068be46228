"""Jobs and the rules behind them: their values as text, their defaults, errors on one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from taskrsa.errors import ConfigError, TaskrsaError
from taskrsa.networks.network import Network

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')  # of JSON


def as_json(value: Any) -> str:
    """Return a value as JSON: sections of the config, networks, assets, lists of them. Braces in
    texts are escaped, as Snakemake takes a word in braces for a wildcard."""
    return _TEXT.sub(
        lambda text: text[0].replace("{", "\\u007b").replace("}", "\\u007d"),
        json.dumps(value, default=_plain),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Network):
        return json.loads(value.to_json())
    if is_dataclass(value):
        return asdict(value)
    raise TypeError(f"{value!r} is not JSON")


def asked(function: Callable) -> Callable:
    """Return a function whose errors, which a user can fix, end the process with one line.

    An exception would add where in the workflow it was raised.
    """

    @wraps(function)
    def ask(*arguments, **named):
        try:
            return function(*arguments, **named)
        except TaskrsaError as error:
            sys.exit(f"error: {error}")
        except OSError as error:
            sys.exit(f"error: {error.filename or 'output'}: {error.strerror or error}")

    return ask


def complete(
    rules: Iterable, environment: str, logs: str, overwritten: Mapping[str, Mapping]
) -> None:
    """Give rules what they do not state: environment, log, memory and time.

    A job that is submitted again (`retries` of a profile) asks for its memory once more.

    Parameters
    ----------
    rules : of the workflow
    environment : the file of the environment
    logs : the folder of log files, which are named after rule and wildcards
    overwritten : resources that the command line or a profile sets, by rule
    """
    for rule in rules:
        rule.conda_env = rule.conda_env or environment
        if not rule.log:
            parts = [rule.name, *(f"{{{name}}}" for name in sorted(rule.wildcard_names))]
            rule.log_modifier = rule.output_modifier
            rule.set_log(f"{logs}/{'_'.join(parts)}.log")
        stated = {*(rule.ruleinfo.resources[1] if rule.ruleinfo.resources else ())}
        stated.update(overwritten.get(rule.name, {}).keys())
        for resource, little in (("mem_mb", 1000), ("runtime", 10)):
            if resource not in stated:
                rule.resources[resource] = little
        memory = rule.resources["mem_mb"]
        if not memory.is_evaluable() and memory.value:
            rule.resources["mem_mb"] = lambda wildcards, attempt, mb=memory.value: attempt * mb


def refuse_orphaned_jobs(
    prefix: str, logs: str | os.PathLike, folder: str | os.PathLike = "."
) -> None:
    """Raise ConfigError where Slurm jobs of a run that was killed are still running in a folder.

    New jobs would write the same files beside them. A run that ends in any other way cancels its
    jobs or waits for them; another run in this folder has another `--slurm-jobname-prefix`.

    Parameters
    ----------
    prefix : what the names of this run's jobs begin with, before _
    logs : where jobs of Slurm leave their logs, below `folder`; where there are none, none ran
    folder : where they work
    """
    # squeue waits long for a controller that is away.
    if shutil.which("squeue") is None or not Path(folder, logs).exists():
        return
    listed = subprocess.run(
        ["squeue", "--noheader", f"--user={os.getuid()}", "--format=%A|%j|%Z"],
        capture_output=True,
        text=True,
        check=False,
    )
    jobs = [line.split("|", 2) for line in listed.stdout.splitlines()]
    here = os.path.realpath(folder)
    orphaned = {
        job
        for job, name, place in jobs
        if name.startswith(f"{prefix}_") and os.path.realpath(place) == here
    }
    if orphaned:
        raise ConfigError(
            "Slurm jobs of an earlier run are still running in this folder: "
            f"{' '.join(sorted(orphaned))}; wait for them to finish, or end them with scancel, "
            "and start again"
        )
