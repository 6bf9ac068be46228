"""What a run may fetch: the table of assets, the licences that count as accepted, the folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from taskrsa.errors import ConfigError
from taskrsa.io.assets import Asset, check_licence, read_table
from taskrsa.plan.config import AssetsConfig, expanded


@dataclass(frozen=True)
class Fetching:
    """Assets by name, and how they are fetched.

    Attributes
    ----------
    accepted : ids of the licences that count as accepted
    folder : where files are kept, for all runs
    settings : what `taskrsa.io.assets.fetch` takes
    note : one line on licences that a dry run takes as accepted, or ""
    """

    assets: dict[str, Asset]
    accepted: frozenset[str]
    folder: str
    settings: dict
    note: str = ""

    def path(self, name: str) -> str:
        """Return where an asset lies; a rule that has it as input fetches it."""
        return f"{self.folder}/{self.assets[name].file}"

    def wanted(self, asset: str = "", **parts: str) -> Asset:
        """Return what a job fetches: the file `asset`, or of Taskonomy one building and domain."""
        if parts:
            return self.assets["taskonomy"].of(**parts)
        return next(row for row in self.assets.values() if row.file == asset)

    def is_accepted(self, name: str) -> bool:
        """Tell whether an asset may be fetched as far as its licence goes."""
        asset = self.assets[name]
        return not asset.accept or asset.licence in self.accepted

    def require_licence(self, asset: Asset) -> None:
        """Raise ConfigError, which names the licence, unless it counts as accepted."""
        check_licence(asset, self.accepted)

    def or_accept(self, name: str) -> str:
        """Say how an asset can be fetched where the user has no copy; "" if there is none."""
        asset = self.assets.get(name)
        if asset is None:
            return ""
        return (
            f", or add the licence {asset.licence} ({asset.licence_address}) to "
            "assets.accept_licences to have it fetched"
        )


def fetching(
    settings: AssetsConfig,
    table: str | os.PathLike,
    schema: Mapping,
    more: Mapping[str, Asset],
    dry_run: bool,
    inside: str = "",
) -> Fetching:
    """Return what a run may fetch.

    Parameters
    ----------
    table, schema : the table of assets, and the JSON schema of one of its rows
    more : other assets by name: weights of networks whose address is in a table of networks
    dry_run : then `plan_unaccepted` counts
    inside : the folder that a relative `folder` lies in

    Raises
    ------
    ConfigError
        If the table cannot be used, or a licence that does not exist is accepted.
    """
    assets = read_table(Path(table), schema)
    licences = {asset.licence for asset in assets.values()}
    for licence in settings.accept_licences:
        if licence not in licences:
            raise ConfigError(
                f"config, assets.accept_licences: no licence named {licence}; there are "
                f"{', '.join(sorted(licences))}"
            )
    accepted = frozenset(settings.accept_licences)
    lacking = {asset.licence for asset in assets.values() if asset.accept} - accepted
    note = ""
    if lacking and settings.plan_unaccepted and dry_run:
        accepted |= lacking
        note = f"dry run: planned as if the licences {', '.join(sorted(lacking))} were accepted"
    places = {name: name for name in (settings.folder, *settings.local)}
    places = expanded("assets", places)
    return Fetching(
        assets=assets | more,
        accepted=accepted,
        folder=str(Path(inside, places[settings.folder])),
        settings={
            "local": [places[name] for name in settings.local],
            "accepted": list(settings.accept_licences),
            **settings.model_dump(include={"offline", "tries", "pause_s"}),
        },
        note=note,
    )
