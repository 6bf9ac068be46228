"""The bank is checked as a whole when a run is planned, before anything trains.

Networks are loaded in a process of their own (`taskrsa.networks.checking`). What was found is kept
in a file, so that only rows are checked whose cells or files have changed;
what cannot be used is checked again each time, since the reason may be gone. Jobs read the file.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from taskrsa.errors import ConfigError, DataError, TaskrsaError
from taskrsa.io.files import atomic_path, digest_of
from taskrsa.networks.network import Network, weights_file
from taskrsa.networks.table import MADE_HERE
from taskrsa.plan.config import Config
from taskrsa.plan.fetching import Fetching
from taskrsa.text import first_few, one_line

_SCRIPTS = Path(__file__).parents[2]


@dataclass(frozen=True)
class Checked:
    """What is known of a network before it is used.

    Attributes
    ----------
    reason : why it cannot be used, or ""
    layers : names of those that its row selects
    files : of which it is made beside its weights
    key : digest of all that this depends on
    """

    reason: str = ""
    layers: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    key: str = ""


Check = Callable[[Config, Mapping[str, Network], Fetching], dict[str, Checked]]


def checker(folder: str | os.PathLike, is_made: bool) -> Check:
    """Return what checks the networks of a run and keeps what it finds in a folder. Unless
    `is_made`, none is loaded, and what the last check found counts as long as row and files are the
    same."""

    def check(
        config: Config, rows: Mapping[str, Network], fetching: Fetching
    ) -> dict[str, Checked]:
        record = Path(folder, f"{config.run}.json")
        kinds = sorted({one.kind for one in config.targets.values() if one} - {"network"})
        about = {"side": config.image_size, "kinds": kinds}
        known, found, new = _read(record), {}, {}
        for name, row in rows.items():
            if row.loader in MADE_HERE:
                continue
            try:
                weights = _weights(name, row, fetching)
            except TaskrsaError as error:
                found[name] = Checked(reason=one_line(error))
                continue
            one = known.get(name, Checked())
            is_same = one.key == _key(row, weights, one.files, about)
            if is_same and (not one.reason or (config.skip_broken and not is_made)):
                found[name] = one
            elif weights != _TO_COME:
                found[name] = Checked(files=one.files)
                new[name] = weights
        if is_made and new and importlib.util.find_spec("torch") is None:
            # Jobs may have an environment of their own.
            print("networks are not checked first: no PyTorch here", file=sys.stderr)
        elif is_made:
            if new:
                found |= _checked({name: rows[name] for name in new}, new, about)
            _write(record, found)
        return found

    return check


def sound(rows: Mapping[str, Network], faults: Mapping[str, str], skip: bool) -> dict[str, Network]:
    """Return the networks without faults; with any, ConfigError unless they are to be skipped.

    The error has a line for each of them.
    """
    if faults and not skip:
        way = "fix or remove the row, or set skip_broken: true to go on without it"
        if len(faults) == 1:
            raise ConfigError(f"{next(iter(faults.values()))} ({way})")
        lines = "".join(f"\n  {reason}" for reason in faults.values())
        raise ConfigError(
            f"{len(faults)} of {len(rows)} networks cannot be used; fix or remove their rows, or "
            f"set skip_broken: true to go on without them:{lines}"
        )
    return {name: row for name, row in rows.items() if name not in faults}


# --- files ---

_TO_COME = "to come"  # in the place of weights that are yet to be fetched


def _weights(name: str, row: Network, fetching: Fetching) -> str | None:
    """Return the file of a network's weights, None if its loader brings them."""
    if row.is_address:
        fetched = fetching.path(f"bank/{name}")
        return fetched if Path(fetched).is_file() else _TO_COME
    found = weights_file(row)
    return None if found is None else str(found)


def _key(row: Network, weights: str | None, files: Iterable[str], about: Mapping) -> str:
    stats = [_stat(file) for file in (*filter(None, [weights]), *files)]
    return digest_of([row.to_json(), str(weights), json.dumps(about), *stats])


def _stat(file: str) -> str:
    try:
        found = Path(file).stat()
    except OSError:
        return f"{file} is missing"
    return f"{file} {found.st_size} {found.st_mtime_ns}"


def _read(record: Path) -> dict[str, Checked]:
    try:
        values = json.loads(record.read_text(encoding="utf-8"))
        return {
            name: Checked(one["reason"], tuple(one["layers"]), tuple(one["files"]), one["key"])
            for name, one in values.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # whatever is wrong with it, the check is made again


def _write(record: Path, found: Mapping[str, Checked]) -> None:
    record.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({name: asdict(one) for name, one in found.items()}, indent=1)
    if not record.is_file() or record.read_text(encoding="utf-8") != text:
        with atomic_path(record) as temporary:
            temporary.write_text(text, encoding="utf-8")


# --- the process that loads ---


def _checked(
    rows: Mapping[str, Network], weights: Mapping[str, str | None], about: Mapping
) -> dict[str, Checked]:
    print(f"checking {first_few(list(rows))}", file=sys.stderr, flush=True)
    found, left = {}, dict(rows)
    while left:
        lines, end = _run(left, weights, about)
        for name, line in zip(list(left), lines, strict=False):
            row, files = left.pop(name), tuple(line.get("files", ()))
            key = _key(row, weights[name], files, about)
            found[name] = Checked(line.get("reason", ""), tuple(line.get("layers", ())), files, key)
        if left:
            name, row = next(iter(left.items()))
            reason = f"{row.where('loader')}: ends the process that loads it ({end})"
            found[name] = Checked(reason, key=_key(row, weights[name], (), about))
            del left[name]
    return found


def _run(
    rows: Mapping[str, Network], weights: Mapping[str, str | None], about: Mapping
) -> tuple[list[dict], str]:
    """Return what a process found until it ended, and how that was."""
    networks = [
        {"row": json.loads(row.to_json()), "weights": weights[name]} for name, row in rows.items()
    ]
    path = os.pathsep.join(filter(None, [str(_SCRIPTS), ".", os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder, "answers")
        done = subprocess.run(
            [sys.executable, "-m", "taskrsa.networks.checking", str(answers)],
            input=json.dumps({**about, "networks": networks}),
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        lines = answers.read_text(encoding="utf-8").splitlines() if answers.is_file() else []
    if not lines and "taskrsa" in done.stderr and "Traceback" in done.stderr:
        raise DataError(f"the check of the networks failed: {done.stderr.splitlines()[-1]}")
    code = done.returncode
    end = f"signal {-code}, perhaps for lack of memory" if code < 0 else f"exit code {code}"
    return [json.loads(line) for line in lines], end
