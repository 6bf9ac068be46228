"""The JSON schema of a configuration, for editors and readers: made from the model."""

from __future__ import annotations

from typing import Any

import yaml

from taskrsa.plan.config import Config


def schema() -> str:
    """Return the JSON schema of a configuration, as YAML."""
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    described |= _shortened(Config.model_json_schema())
    return "# Made by: python -m taskrsa schema\n" + yaml.safe_dump(
        described, sort_keys=False, width=96, allow_unicode=True, default_flow_style=None
    )


def _shortened(values: Any) -> Any:
    """Leave out titles, which pydantic makes from names, and defaults that the keys have."""
    if isinstance(values, list):
        return [*map(_shortened, values)]
    if not isinstance(values, dict):
        return values
    kept = {
        key: value for key, value in values.items() if key != "title" or not isinstance(value, str)
    }
    if "$ref" in kept and "default" in kept:
        kept["default"] = {}
    return {key: _shortened(value) for key, value in kept.items()}
