"""Run a rule's entry function from the command line: typed flags, one log file, one-line errors."""

from __future__ import annotations

import inspect
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from jsonargparse import auto_cli

from taskrsa.errors import TaskrsaError


def run(function: Callable[..., None], argv: Sequence[str] | None = None) -> None:
    """Call `function` with the flags of the command line and end the process.

    Flags are the function's parameters; lists take several words, dictionaries take JSON. With
    `--log FILE` everything printed goes to that file, at last how long the work took. An error that
    the user can fix ends with one line on the terminal and in the log and exit code 1; a bug ends
    with its traceback in the log.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    log = _take_flag(argv, "--log")
    terminal = os.dup(2)
    if log is not None:
        Path(log).parent.mkdir(parents=True, exist_ok=True)
        stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        os.close(stream)
    began, start_up = time.monotonic(), _processor_time()
    try:
        auto_cli(function, args=_join_lists(function, argv), as_positional=False)
    except TaskrsaError as error:
        line = f"error: {' '.join(str(error).split())}\n"
        _tell(terminal, log, line)
        raise SystemExit(1) from None
    except MemoryError:
        _tell(terminal, log, "error: out of memory; raise mem_mb for this rule or shrink batches\n")
        raise SystemExit(1) from None
    except OSError as error:
        # The user can fix a full disk or an unwritable folder, so it gets one line as well.
        traceback.print_exc()
        _tell(terminal, log, f"error: {error.filename or 'output'}: {error.strerror or error}\n")
        raise SystemExit(1) from None
    except Exception as error:
        traceback.print_exc()
        place = f"; see {log}" if log else ""
        _tell(terminal, None, f"error: {type(error).__name__}: {error}{place}\n")
        raise SystemExit(2) from None
    if log is not None:
        print(
            f"{Path(sys.argv[0]).name}: {time.monotonic() - began:.2f} s, "
            f"{_processor_time() - start_up:.2f} s of processor time, after {start_up:.2f} s of "
            "start-up"
        )
    sys.stdout.flush()
    sys.stderr.flush()
    # Files are closed by now; taking PyTorch's modules down would be another half second.
    os._exit(0)


def _processor_time() -> float:
    """Return the seconds that this process and those it started and saw end have used."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _tell(terminal: int, log: str | None, line: str) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(terminal, line.encode())
    if log is not None:
        os.write(2, line.encode())


def _take_flag(argv: list[str], flag: str) -> str | None:
    if flag not in argv:
        return None
    at = argv.index(flag)
    value = argv[at + 1]
    del argv[at : at + 2]
    return value


def _join_lists(function: Callable[..., None], argv: list[str]) -> list[str]:
    """Turn `--paths a b` into `--paths ["a", "b"]` for parameters annotated as lists.

    Lists of numbers and of JSON objects become `[1, 2]`.
    """
    annotations = {
        name: str(parameter.annotation)
        for name, parameter in inspect.signature(function).parameters.items()
    }
    joined: list[str] = []
    at = 0
    while at < len(argv):
        flag = argv[at]
        at += 1
        joined.append(flag)
        words = []
        while at < len(argv) and not argv[at].startswith("--"):
            words.append(argv[at])
            at += 1
        annotation = annotations.get(flag.removeprefix("--").replace("-", "_"), "")
        if annotation.startswith(("list[int]", "list[float]", "list[dict]")):
            joined.append(f"[{','.join(words)}]")
        elif annotation.startswith("list"):
            joined.append(json.dumps(words))
        else:
            joined.extend(words)
    return joined
