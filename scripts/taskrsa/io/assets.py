"""Third-party files that a run needs: a table of what they are, and one way to fetch them.

An asset comes from the first place that has it: folders and mirrors of the user's, by file name,
then its own address. Whatever comes is checked before it takes its name: against the hash or the
size in the table; where none is published, archives are read through and the SHA-256 of what came
is written beside it (`<file>.sha256`), so that another content is noticed when it is fetched again.

A download grows in `<file>.part`, with `<file>.part.json` saying where it comes from. Cut off or
killed it goes on from there (RFC 9110, Range with If-Range), or starts again where the server
cannot do that. One process at a time fetches a file; the others wait and find it there.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

from taskrsa.errors import ConfigError, DataError
from taskrsa.io.archive import check
from taskrsa.io.files import atomic_path, sha256_of
from taskrsa.io.locks import locked

CHUNK = 1 << 17  # bytes read at once
TIMEOUTS = (15, 60)  # seconds to connect, and without a byte
TRANSIENT = (429, 500, 502, 503, 504)  # answers that another try may change
LONGEST_WAIT = 300  # seconds that a server may ask us to wait
ARCHIVES = (".tar", ".tgz", ".tar.gz", ".zip")

# What Taskonomy's files hold the labels of a task; depth says where labels in space are valid.
_DEPTH = "depth_zbuffer"
_ALWAYS = ("rgb", "point_info")
_DOMAINS_OF = {
    "edge2d": ("edge_texture",),
    "keypoint2d": ("keypoints2d",),
    "segment2d": ("segment_unsup2d",),
    "curvature": ("principal_curvature", _DEPTH),
    "edge3d": ("edge_occlusion", _DEPTH),
    "keypoint3d": ("keypoints3d", _DEPTH),
    "reshade": ("reshading", _DEPTH),
    "rgb2depth": (_DEPTH,),
    "rgb2mist": ("depth_euclidean",),
    "rgb2sfnorm": ("normal",),
    "segment25d": ("segment_unsup25d",),
    "class_1000": ("class_object",),
    "class_places": ("class_scene",),
    "segmentsemantic": ("segment_semantic",),
}


def taskonomy_domains(tasks: Iterable[str]) -> list[str]:
    """Return the domains of Taskonomy that label tasks, photographs and cameras always."""
    wanted = [domain for task in tasks for domain in _DOMAINS_OF.get(task, ())]
    return list(dict.fromkeys([*_ALWAYS, *wanted]))


# --- the table ---


@dataclass(frozen=True)
class Asset:
    """One row of the table (workflow/schemas/assets.schema.yaml).

    `address` and `file` may hold {places} that `of` fills. `hash` is empty and `size` (bytes) None
    where none is published. `accept` says whether the user must have accepted the licence.
    """

    name: str
    address: str
    file: str
    how: str = "http"
    hash: str = ""
    size: int | None = None
    licence: str = ""
    licence_address: str = ""
    accept: bool = False
    needs: str = ""

    def of(self, **parts: str) -> Asset:
        """Return the asset with the {places} of its address and file filled in."""
        name = "/".join([self.name, *parts.values()])
        address, file = self.address.format(**parts), self.file.format(**parts)
        return replace(self, name=name, address=address, file=file)


def read_table(path: str | os.PathLike, schema: Mapping) -> dict[str, Asset]:
    """Return the rows of a tab-separated table by name; `schema` is the JSON schema of a row.

    Raises
    ------
    ConfigError
        If the table is missing, a row breaks the schema, or a name or file is listed twice.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    validator = Draft202012Validator(schema)
    assets: dict[str, Asset] = {}
    files: set[str] = set()
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t", restkey="", restval=""))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); restore it") from None
    for line, row in enumerate(rows, start=2):
        if row.get("size", "").isdecimal():
            row["size"] = int(row["size"])
        error = best_match(validator.iter_errors(row))
        if error is not None:
            column = ".".join(map(str, error.absolute_path)) or "columns"
            raise ConfigError(f"{path}, line {line}, {column}: {error.message}; correct it")
        for column, seen in (("name", assets), ("file", files)):
            if row[column] in seen:
                raise ConfigError(f"{path}, line {line}: {column} {row[column]} is listed twice")
        files.add(row["file"])
        row["accept"] = row["accept"] == "yes"
        row["size"] = row["size"] or None
        assets[row["name"]] = Asset(**row)
    return assets


def check_licence(asset: Asset, accepted: Collection[str]) -> None:
    """Raise ConfigError unless the licence of an asset is accepted or asks for no acceptance."""
    if asset.accept and asset.licence not in accepted:
        raise ConfigError(
            f"assets.accept_licences: {asset.file} comes under the licence {asset.licence}, which "
            f"is not accepted; read {asset.licence_address} and add {asset.licence} to the list"
        )


# --- checks of content ---


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.{ending}")


def _fault(path: Path, asset: Asset, record: Path) -> str:
    """Return why a file is not the asset, or an empty string."""
    size = path.stat().st_size
    if asset.size is not None and size != asset.size:
        return f"has {size} bytes where {asset.size} are expected"
    if asset.hash:
        algorithm, _, expected = asset.hash.partition(":")
        with open(path, "rb") as stream:
            found = hashlib.file_digest(stream, algorithm).hexdigest()
        if found != expected:
            name = algorithm.upper().replace("SHA256", "SHA-256")
            return f"wrong content: {name} {expected} expected, found {found}"
        return ""
    if record.exists():
        before = record.read_text(encoding="utf-8").split(maxsplit=1)[0]
        found = sha256_of(path)
        if found != before:
            return (
                f"its SHA-256 {found} differs from the last download's, {before}; remove "
                f"{record} to take the new content"
            )
    elif asset.file.endswith(ARCHIVES):
        try:
            check(path)
        except DataError as error:
            return str(error).removeprefix(f"{path}: ").partition(";")[0]
    return ""


def _write_record(target: Path, asset: Asset) -> None:
    record = _beside(target, "sha256")
    if asset.hash or record.exists():
        return
    with atomic_path(record) as temporary:
        temporary.write_text(f"{sha256_of(target)}  {target.name}\n", encoding="utf-8")


# --- fetching ---


class _Unavailable(Exception):
    """A place does not give the asset, for the reason that is the message."""


class _Cut(Exception):
    """A connection broke while the file was coming."""


def fetch(
    asset: Asset,
    target: str | os.PathLike,
    local: Iterable[str] = (),
    accepted: Collection[str] = (),
    offline: bool = False,
    tries: int = 6,
    pause_s: float = 1.0,
) -> None:
    """Put an asset at `target`: a checked copy of the user's is linked, anything else downloaded.

    Parameters
    ----------
    asset : without unfilled {places}
    target : its path; `.part`, `.part.json`, `.lock` and `.sha256` lie beside it
    local : folders and addresses of mirrors (http...) to look into first, by the asset's file name
    accepted : ids of the licences that the user has accepted
    offline : whether the network is forbidden, mirrors included
    tries : how often a server is asked again after a failure; progress resets the count
    pause_s : unit of the pauses between tries, seconds; they double from one to the next

    Raises
    ------
    ConfigError
        If the licence is not accepted.
    DataError
        If no place has the asset with the right content, or the disk is full.
    """
    check_licence(asset, accepted)
    target = Path(target)
    places = [
        f"{place.rstrip('/')}/{asset.file}" if _is_address(place) else str(Path(place, asset.file))
        for place in local
    ]
    if asset.how == "http":
        places.append(asset.address)
    with _alone(target):
        if target.exists() and not _fault(target, asset, _beside(target, "sha256")):
            print(f"{target}: is already there", flush=True)
            _write_record(target, asset)
            return
        looked = []
        for place in dict.fromkeys(
            places
        ):  # content that is wrong there once is not asked for again
            if offline and _is_address(place):
                continue
            try:
                if _is_address(place):
                    _download(place, asset, target, tries, pause_s)
                else:
                    _link(Path(place), asset, target)
            except _Unavailable as reason:
                looked.append((place, str(reason)))
                print(f"{place}: {reason}", flush=True)
                continue
            print(f"{target}: from {place}", flush=True)
            _write_record(target, asset)
            return
    raise _nowhere(asset, looked, offline)


def _is_address(place: str) -> bool:
    return place.startswith(("http://", "https://"))


def _nowhere(asset: Asset, looked: list[tuple[str, str]], offline: bool) -> DataError:
    seen = ", ".join(f"{place} ({reason})" for place, reason in looked)
    put = f"put a copy named {asset.file} into a folder that assets.local lists"
    if asset.how == "hand":
        seen = seen and f"; looked for it at {seen}"
        return DataError(
            f"{asset.file}: only a browser can get it, from {asset.address}; {put}{seen}"
        )
    if offline:
        seen = f"looked for it at {seen}" if seen else "assets.local lists no folder"
        return DataError(
            f"{asset.file}: assets.offline forbids the network; {seen}; {put} or allow the network"
        )
    if len(looked) == 1:
        return DataError(f"{looked[0][0]}: {looked[0][1]}; run again later, or {put}")
    return DataError(f"{asset.file}: could not be fetched: {seen}; run again later, or {put}")


def _link(source: Path, asset: Asset, target: Path) -> None:
    """Link a checked copy of the user's; it is only ever read."""
    if not source.is_file():
        raise _Unavailable("no such file")
    if source.resolve() == target.resolve():
        raise _Unavailable("is the file to be fetched itself")
    fault = _fault(source, asset, _beside(target, "sha256"))
    if fault:
        raise _Unavailable(fault)
    link = target.with_name(f".{target.name}.link")
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(source.absolute())
    except OSError:  # a file system without links
        try:
            shutil.copyfile(source, link)
        except OSError as error:
            link.unlink(missing_ok=True)
            raise _unwritable(target, error) from None
    os.replace(link, target)
    _discard(_beside(target, "part"))


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Hold the lock of a file while it is fetched."""
    place = _beside(target, "lock")
    hold = locked(
        place,
        lambda holder: f"{target}: another process is fetching it; waiting",
        "choose an assets.folder that can be written, on a file system with locks",
    )
    with hold:
        try:
            yield
        finally:
            # While it is held: who waits sees that the file has no name any more and makes another.
            place.unlink(missing_ok=True)


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _beside(part, "json").unlink(missing_ok=True)


def _unwritable(target: Path, error: OSError) -> DataError:
    return DataError(
        f"{target}: cannot be written ({error.strerror or error}); free some space or set "
        "assets.folder to another disk and run again: what was downloaded is kept"
    )


def _download(address: str, asset: Asset, target: Path, tries: int, pause_s: float) -> None:
    """Bring `address` to `target`, whole and checked; wrong content is thrown away."""
    part = _beside(target, "part")
    while True:
        old = part.exists()  # of an earlier process, perhaps of another content
        _receive(address, asset, part, tries, pause_s)
        fault = _fault(part, asset, _beside(target, "sha256"))
        if not fault:
            break
        _discard(part)
        if not old:
            raise _Unavailable(fault)
        print(f"{address}: {fault}; starting again", flush=True)
    try:
        with open(part, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(part, target)
    except OSError as error:
        raise _unwritable(target, error) from None
    _discard(part)


def _receive(address: str, asset: Asset, part: Path, tries: int, pause_s: float) -> None:
    """Fill `part` from `address`, however often the connection breaks."""
    import requests
    from urllib3.exceptions import MaxRetryError
    from urllib3.util import Retry

    fresh = Retry(
        total=tries,
        backoff_factor=pause_s,
        backoff_max=LONGEST_WAIT,
        retry_after_max=LONGEST_WAIT,
        status_forcelist=TRANSIENT,
        allowed_methods=("GET",),
        raise_on_status=False,
    )
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=fresh))
        session.headers["User-Agent"] = "taskrsa"
        left, furthest = fresh, _size(part)
        while True:
            try:
                if _one_answer(session, address, asset, part):
                    return
                reason = "its answer does not resume where the download stopped"
            except _Cut as cut:
                reason = str(cut)
            except requests.RequestException as error:  # after all tries to connect
                raise _Unavailable(_reason(error)) from None
            print(f"{address}: {reason} after {_size(part)} bytes", flush=True)
            if _size(part) > furthest:
                left, furthest = fresh, _size(part)
            try:
                left = left.increment("GET", address, error=requests.ConnectionError(reason))
            except (MaxRetryError, requests.ConnectionError):
                raise _Unavailable(f"{reason}, repeatedly") from None
            left.sleep()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: Exception) -> str:
    """Return the innermost reason of an error of requests, without the objects around it."""
    while True:
        causes = [*error.args, getattr(error, "reason", None)]
        inner = next((cause for cause in causes if isinstance(cause, Exception)), None)
        if inner is None:
            break
        error = inner
    return " ".join(str(error).rpartition("): ")[2].split()) or type(error).__name__


def _one_answer(session, address: str, asset: Asset, part: Path) -> bool:
    """Ask once for what `part` lacks and append it; False if the part had to be thrown away."""
    have, headers = _resume(address, asset, part)
    answer = session.get(
        address,
        # The bytes as they lie on the server: only those can be resumed and hashed.
        headers={"Accept-Encoding": "identity", **headers},
        stream=True,
        timeout=TIMEOUTS,
    )
    with answer:
        start, total = _extent(answer)
        if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            if total == have:
                return True
            _discard(part)
            return False
        if answer.status_code == HTTPStatus.PARTIAL_CONTENT:
            if start != have:
                _discard(part)
                return False
        elif answer.status_code == HTTPStatus.OK:
            have = 0
        else:
            raise _Unavailable(f"{answer.status_code} {answer.reason}")
        if None not in (total, asset.size) and total != asset.size:
            raise _Unavailable(f"announces {total} bytes where {asset.size} are expected")
        try:
            _append(answer, address, part, have, total, asset.file)
        except OSError as error:
            raise _unwritable(part, error) from None
    return True


def _resume(address: str, asset: Asset, part: Path) -> tuple[int, dict[str, str]]:
    """Return how many bytes of `part` can be kept, and the headers that ask for the rest."""
    have = _size(part)
    try:
        state = json.loads(_beside(part, "json").read_text(encoding="utf-8"))
        validator = state["validator"] if state["address"] == address else None
    except (OSError, ValueError, KeyError, TypeError):
        validator = None
    # Without a sign that the file is still the same one, only a hash can show it afterwards.
    if not have or not (validator or asset.hash):
        return 0, {}
    headers = {"Range": f"bytes={have}-"}
    if validator:
        headers["If-Range"] = validator
    return have, headers


def _extent(answer) -> tuple[int, int | None]:
    """Return the first byte of an answer and the size of the whole file, None if not given."""
    found = re.fullmatch(
        r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", answer.headers.get("Content-Range", "").strip()
    )
    if found:
        return int(found[1] or 0), None if found[2] == "*" else int(found[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _validator(answer) -> str | None:
    """Return what If-Range may hold: a strong entity tag or else the date of the file."""
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified")


def _append(
    answer, address: str, part: Path, have: int, total: int | None, description: str
) -> None:
    from tqdm import tqdm
    from urllib3.exceptions import HTTPError

    free = shutil.disk_usage(part.parent).free
    if total is not None and total - have > free:
        raise DataError(
            f"{part}: {(total - have) / 1e9:.3g} GB are needed and {free / 1e9:.3g} GB are free; "
            "free some space or set assets.folder to another disk and run again"
        )
    if not have:
        part.unlink(missing_ok=True)
        state = {"address": address, "validator": _validator(answer)}
        _beside(part, "json").write_text(json.dumps(state), encoding="utf-8")
    bar = tqdm(
        total=total, initial=have, desc=description, unit="B", unit_scale=True, mininterval=5
    )
    with open(part, "ab") as stream, bar:
        chunks = answer.raw.stream(CHUNK, decode_content=False)
        while True:
            try:
                chunk = next(chunks, None)
            except HTTPError as error:
                raise _Cut(f"the connection broke ({_reason(error)})") from None
            if chunk is None:
                break
            stream.write(chunk)
            stream.flush()  # what was downloaded survives a kill
            bar.update(len(chunk))
    if total is not None and _size(part) < total:
        raise _Cut("the connection broke")
