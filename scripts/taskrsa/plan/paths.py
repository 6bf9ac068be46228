"""Paths in a configuration: environment variables put in, files looked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskrsa.errors import ConfigError


def expanded(section: str, values: Mapping[str, Any], hint: str = "") -> dict[str, Any]:
    """Return a section's values with environment variables put into texts.

    Parameters
    ----------
    section : the section's key, which errors name
    hint : what else can be done where a `path` is empty

    Raises
    ------
    ConfigError
        If a variable is not set, or `path` is among the values and empty.
    """
    found = {
        key: os.path.expandvars(value) if isinstance(value, str) else value
        for key, value in values.items()
    }
    if "path" in found and not found["path"]:
        raise ConfigError(f"config, {section}.path: is not set; name the folder of images{hint}")
    for value in found.values():
        if isinstance(value, str) and "$" in value:
            raise ConfigError(
                f"config, {section}: {value} names an environment variable that is not set; "
                "export it"
            )
    return found


def existing_file(section: str, key: str, path: str) -> str:
    """Return the file that a key names, with environment variables put in.

    Raises
    ------
    ConfigError
        If a variable is not set or there is no such file.
    """
    path = expanded(section, {key: path})[key]
    if not Path(path).is_file():
        raise ConfigError(f"config, {section}.{key}: there is no file {path}; correct the path")
    return path
