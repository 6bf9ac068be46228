"""Run a rule's entry function from the command line: typed flags, one log file, one-line errors."""

from __future__ import annotations

import inspect
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import validate_call

from taskrsa.errors import TaskrsaError, memory_lacked


def run(function: Callable[..., None], words: Sequence[str] | None = None) -> None:
    """Call `function` with flags, `words` or those of the command line, and end the process.

    Flags are the function's parameters; lists take several words, dictionaries take JSON. With
    `--log FILE` everything printed goes to that file, at last how long the work took. An error that
    the user can fix ends with one line on the terminal and in the log and exit code 1; a bug ends
    with its traceback in the log.
    """
    arguments = _arguments(function, words)
    log = arguments.pop("log")
    terminal = os.dup(2)
    if log is not None:
        try:
            Path(log).parent.mkdir(parents=True, exist_ok=True)
            stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError as error:
            sys.exit(f"error: {log}: {error.strerror}; free some space or make it writable")
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        os.close(stream)
    began, start_up = time.monotonic(), _processor_time()
    try:
        validate_call(function)(**arguments)
    except TaskrsaError as error:
        line = f"error: {' '.join(str(error).split())}\n"
        _tell(terminal, log, line)
        raise SystemExit(1) from None
    # A job would end as if all was well where foreign code calls exit().
    except (Exception, SystemExit) as error:
        _print_traceback()
        lacked = memory_lacked(error)
        if lacked:
            way = "raise mem_mb for this rule or shrink" if lacked == "memory" else "shrink"
            _tell(terminal, log, f"error: out of {lacked}; {way} batch_size or size\n")
            raise SystemExit(1) from None
        if isinstance(error, OSError):
            # The user can fix a full disk or an unwritable folder, so it gets one line as well.
            place = error.filename or "output"
            _tell(terminal, log, f"error: {place}: {error.strerror or error}\n")
            raise SystemExit(1) from None
        place = f"; see {log}" if log else ""
        _tell(terminal, None, f"error: {type(error).__name__}: {error}{place}\n")
        raise SystemExit(2) from None
    if log is not None:
        print(
            f"{Path(sys.argv[0]).name}: {time.monotonic() - began:.2f} s, "
            f"{_processor_time() - start_up:.2f} s of processor time, after {start_up:.2f} s of "
            "start-up"
        )
    _flush()
    # Files are closed by now; taking PyTorch's modules down would be another half second.
    os._exit(0)


def _processor_time() -> float:
    """Return the seconds that this process and those it started and saw end have used."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


# The log may lie on a full disk, which must not hide what is said on the terminal.
def _print_traceback() -> None:
    with suppress(OSError):
        traceback.print_exc()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()


def _tell(terminal: int, log: str | None, line: str) -> None:
    os.write(terminal, line.encode())
    _flush()
    if log is not None:
        with suppress(OSError):
            os.write(2, line.encode())


def _arguments(function: Callable[..., None], words: Sequence[str] | None) -> dict[str, Any]:
    """Return what the flags give: texts as they stand, anything else is JSON.

    A word is a flag if it is the first that is one by name; every other word is a value, whatever
    it begins with.
    """
    known = inspect.signature(function).parameters
    given: dict[str, list[str]] = {}
    values = given.setdefault("", [])
    for word in sys.argv[1:] if words is None else words:
        name = word[2:] if word.startswith("--") else ""
        if name in {*known, "log"} - given.keys():
            values = given.setdefault(name, [])
        else:
            values.append(word)
    if given.pop(""):
        sys.exit(f"error: flags are {', '.join(f'--{name}' for name in (*known, 'log'))}")
    missing = [name for name in known if known[name].default is inspect.Parameter.empty]
    for name in missing:
        if name not in given:
            sys.exit(f"error: --{name} is missing")
    found: dict[str, Any] = {"log": None}
    for name, texts in given.items():
        kind = str(known[name].annotation) if name in known else "str"
        read = _text_of(kind) if "str" in kind else json.loads
        if not kind.startswith("list") and len(texts) != 1:
            sys.exit(f"error: --{name} takes one value, not {' '.join(texts) or 'none'}")
        try:
            values = [read(text) for text in texts]
        except ValueError as error:
            sys.exit(f"error: --{name}: {' '.join(texts)} is not JSON ({error})")
        found[name] = values if kind.startswith("list") else values[0]
    return found


def _text_of(kind: str) -> Callable[[str], str | None]:
    """Return what reads a text; "null" is a name like any other where there must be one."""
    return (lambda word: None if word == "null" else word) if "None" in kind else str
