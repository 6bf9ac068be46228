"""Values as texts that the flags of a job take."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import Any

from pydantic import BaseModel

from taskrsa.networks.network import Network


def as_json(value: Any) -> str:
    """Return a value as JSON: sections of the config, networks, assets, lists of them."""
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Network):
        return json.loads(value.to_json())
    if is_dataclass(value):
        return asdict(value)
    raise TypeError(f"{value!r} is not JSON")
