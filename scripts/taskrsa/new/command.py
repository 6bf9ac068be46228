"""`python -m taskrsa new`: looks at a target and at networks, and writes a run that ranks them."""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from taskrsa.data.folder import files
from taskrsa.errors import ConfigError
from taskrsa.io.files import atomic_path, full_path
from taskrsa.networks.table import network, read_bank
from taskrsa.new.networks import SIDE, Proposal, proposals
from taskrsa.new.target import Found, look_at
from taskrsa.new.text import Settings, config_text, table_text
from taskrsa.plan.config import Config, parse
from taskrsa.plan.networks import bank_of

STIMULI = 100  # that a first answer is made from
_TABLE, _CONFIG, _LIST = "networks.tsv", "config.yaml", "stimuli.txt"
_CONTROL = ("Cc", "Cs", "Zl", "Zp")  # Unicode's: control, surrogates, ends of lines
_STEP = 16  # encoders of this project take images of its multiples
_LEAST, _MOST = 32, 256  # sides of images in pixels; larger ones make small models slow


def new(
    folder: str,
    networks: Sequence[str],
    target: str,
    kind: str | None = None,
    stimuli: str | None = None,
) -> None:
    """Write a table of networks and a configuration to `folder`, and print what was understood of
    the target and the networks, and what was not.

    Parameters
    ----------
    networks : words as of `taskrsa.new.networks.proposals`
    target : a labelled folder, devkit or CSV file
    kind : of the target, where its layout may be read in several ways
    stimuli : folder, glob or list of photographs that networks are shown; the target's training
        images without it

    Raises
    ------
    ConfigError, DataError
        If the folder holds such files, or as of `proposals` and `look_at`. Then nothing is written.
    """
    for flag, path in (("the folder", folder), ("--target", target), ("--stimuli", stimuli)):
        _refuse_control_signs(flag, path or "")
    place = Path(folder)
    _refuse_to_overwrite(place)
    found = look_at(target, kind)
    rows = proposals(networks)
    shown, listed, n = _stimuli(place, target, found, stimuli)
    _check_conditions(rows, n)
    command = f"snakemake --cores all --configfile {shlex.quote(str(place / _CONFIG))}"
    settings = Settings(
        command=command,
        run=_key(place),
        networks=str(place / _TABLE),
        stimuli=shown,
        n=n,
        side=_side(found, rows),
        target=_key(Path(target), suffix=Path(full_path(target)).is_dir()),
        data=_data(found),
        are_own=not stimuli,
    )
    table, config = table_text(rows), config_text(settings)
    # What only a run would refuse, such as a single network, is refused here.
    bank_of(
        parse(yaml.safe_load(config))[0], "", {row.name: network(row.cells) for row in rows}, ()
    )
    written = _write(place, table, config, listed)
    _print_target(found, target, f"{n} of {shown}")
    _print_networks(rows)
    _print_doubts(found, rows, settings.run)
    print(f"written: {', '.join(written)}")
    print(f"run:     {command}")


def _refuse_control_signs(flag: str, path: str) -> None:
    """Refuse a path that a line of a file cannot hold, such as one with a line break."""
    if any(unicodedata.category(sign) in _CONTROL for sign in path):
        raise ConfigError(
            f"{flag} {path!r}: holds a line break or another character that files of a run cannot "
            "hold; rename it"
        )


def _refuse_to_overwrite(place: Path) -> None:
    if place.exists() and not place.is_dir():
        raise ConfigError(f"{place}: is a file; name a new folder")
    if "$" in str(place):
        raise ConfigError(f"{place}: holds $, which stands for a variable in a configuration")
    for name in (_CONFIG, _TABLE, _LIST):
        if (place / name).exists():
            raise ConfigError(
                f"{place / name}: already exists and is not overwritten; name another folder, or "
                "remove the file"
            )


def _key(path: Path, suffix: bool = True) -> str:
    """Return a name that keys of a configuration may have, from that of a folder or, without its
    suffix, of a file."""
    path = _absolute(path)
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", path.name if suffix else path.stem).strip("_")
    return name or "mine"


def _absolute(path: Path) -> Path:
    """Return a path without . and .., with links as they are named."""
    return Path(os.path.abspath(path))  # noqa: PTH100  pathlib's resolves links


def _data(found: Found) -> dict[str, Any]:
    data = {"kind": found.data.kind, "path": found.data.path}
    if found.data.mask_values:
        data["mask_values"] = list(found.data.mask_values)
    return data | ({"val_share": found.data.val_share} if found.is_drawn else {})


def _side(found: Found, rows: Sequence[Proposal]) -> int:
    """Return the side of the run's images: what the target's have and the networks can use."""
    used = max((row.side or 0 for row in rows), default=0) or SIDE
    side = min(max(min(found.side, used), _LEAST), _MOST)
    return side // _STEP * _STEP


# --- stimuli ---


def _stimuli(
    place: Path, target: str, found: Found, given: str | None
) -> tuple[str, list[str] | None, int]:
    """Return the folder or list of the stimuli, lines of that list if it is to be written, and how
    many are shown."""
    listed = None
    if given:
        shown, n = given, len(files(full_path(given)))
    else:
        shown, listed = _own_images(place, target, found)
        n = len(files(full_path(shown)) if listed is None else listed)
    n = min(n, STIMULI)
    if n < 4:
        raise ConfigError(f"{given or target}: has {n} images to show to networks; give 4 or more")
    return shown, listed, n


def _own_images(place: Path, target: str, found: Found) -> tuple[str, list[str] | None]:
    """Return the folder of a target's training images; or, where that holds other images too, the
    name of a list and its lines."""
    images = [_absolute(one.image) for one in found.of("train")]
    folder = Path(os.path.commonpath([image.parent for image in images]))
    known = {str(_absolute(one.image)) for one in found.layout.examples}
    if {*files(folder)} - known:
        return str(place / _LIST), sorted(map(str, images))
    # As the target is given, so that the configuration fits other machines, too.
    start = Path(target) if Path(full_path(target)).is_dir() else Path(target).parent
    below = os.path.relpath(folder, full_path(start))
    return str(start / below), None


def _check_conditions(rows: Sequence[Proposal], n: int) -> None:
    for row in rows:
        if row.conditions not in (None, n):
            raise ConfigError(
                f"--networks {row.name}: holds RDMs of {row.conditions} images, and {n} would be "
                "shown; give the folder of those images as --stimuli"
            )


# --- files ---


def _write(place: Path, table: str, config: str, listed: list[str] | None) -> list[str]:
    """Write all files or none, after what will read them has read them."""
    lines = None if listed is None else "".join(f"{line}\n" for line in listed)
    checked: list[tuple[str, str | None, Callable]] = [
        (_TABLE, table, read_bank),
        (_LIST, lines, files),
        (_CONFIG, config, _read_config),
    ]
    written = []
    with ExitStack() as stack:
        for name, text, check in checked:
            if text is None:
                continue
            temporary = stack.enter_context(atomic_path(place / name))
            temporary.write_text(text, encoding="utf-8")
            check(temporary)
            written.append(str(place / name))
    return written


def _read_config(path: Path) -> Config:
    return parse(yaml.safe_load(path.read_text(encoding="utf-8")))[0]


# --- what is printed ---


def _print_target(found: Found, target: str, stimuli: str) -> None:
    print(f"target: {target}")
    facts = [*found.facts, ("stimuli", stimuli)]
    width = max(len(subject) for subject, _ in facts)
    for subject, said in facts:
        print(f"  {subject.ljust(width)}  {said}")


def _print_networks(rows: Sequence[Proposal]) -> None:
    print("networks:")
    width = max(len(row.name) for row in rows)
    for row in rows:
        print(f"  {row.name.ljust(width)}  {row.known}")


def _print_doubts(found: Found, rows: Sequence[Proposal], run: str) -> None:
    doubts = [*found.doubts, *(f"{row.name}: {doubt}" for row in rows for doubt in row.doubts)]
    if Path("results", run).exists():
        doubts.append(
            f"results/{run} already exists, and the run would continue it; to keep it, change run"
        )
    print("to check:" if doubts else "to check: nothing")
    for doubt in doubts:
        print(f"  - {doubt}")
