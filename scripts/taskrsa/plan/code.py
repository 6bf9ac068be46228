"""The files that stand behind a rule: its entry script and every module that this imports."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable
from pathlib import Path


def files_of(folder: Path, entry: str, lazily_imported: Iterable[str] = ()) -> list[Path]:
    """Return an entry script and all modules of the library that it imports, at any depth, with
    the tables that lie beside them.

    As inputs they make a result stale exactly when the code behind it changes: Snakemake compares
    such small files by content, so a touched or newly checked out file changes nothing.

    Parameters
    ----------
    folder : holds the entries and the package `taskrsa`
    entry : name of the script without .py
    lazily_imported : modules in `taskrsa` that are imported by a name that is not in the code,
        such as data/rgbd
    """
    first = folder / f"{entry}.py"
    found = set(_imports(folder, first))
    for module in lazily_imported:
        found |= _imports(folder, folder / f"taskrsa/{module}.py")
    return [first, *sorted(found - {first})]


@functools.cache
def _imports(folder: Path, first: Path) -> frozenset[Path]:
    found, left = set(), [first]
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            if path.suffix == ".py":
                left += _imported_by(folder, path)
    return frozenset(found)


@functools.cache
def _imported_by(folder: Path, path: Path) -> frozenset[Path]:
    """Return the modules that a module imports itself, and the tables beside it that it names."""
    names, found = set(), set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and re.fullmatch(r"[\w.-]+\.tsv", str(node.value)):
            found.add(path.with_name(node.value))
    found = {table for table in found if table.is_file()}
    for name in names:
        parts = name.split(".")
        for n in range(1, len(parts) + 1):
            place = folder.joinpath(*parts[:n])
            choices = (place.with_suffix(".py"), place / "__init__.py")
            found |= {choice for choice in choices if choice.is_file()}
    return frozenset(found)


@functools.cache
def flags_of(script: Path) -> dict[str, bool]:
    """Map the parameters of a script's `main` to whether they must be given."""
    main = next(
        node
        for node in ast.parse(script.read_bytes()).body
        if isinstance(node, ast.FunctionDef) and node.name == "main"
    )
    names = [argument.arg for argument in main.args.args]
    required = len(names) - len(main.args.defaults)
    return {name: at < required for at, name in enumerate(names)}


def command(script: Path, before: str = "", **sources: str) -> str:
    """Return the shell command of a rule: the entry with its flags, everything quoted.

    Entries that take `threads` or `workers` get the rule's threads.

    Parameters
    ----------
    script : the entry, the first file of the rule's input `code`
    before : variables of the environment, in front of the command
    sources : for wildcards, input, params and output, the names of flags that come from there,
        separated by spaces; `flag=name` where the rule calls it otherwise

    Raises
    ------
    ValueError
        If a flag is unknown to the entry, or one that it needs is missing.
    """
    known = flags_of(script)
    words = {}
    for source, names in sources.items():
        for word in names.split():
            flag, _, name = word.partition("=")
            words[flag] = f"--{flag} {{{source}.{name or flag}:q}}"
    for flag in ("threads", "workers"):
        if flag in known:
            words[flag] = f"--{flag} {{threads}}"
    unknown = [flag for flag in words if flag not in known]
    missing = [flag for flag, needed in known.items() if needed and flag not in words]
    if unknown or missing:
        raise ValueError(f"{script.name}: unknown flags {unknown}, missing flags {missing}")
    if "workers" in words:
        # Each of the workers computes with one thread.
        before = f"{before} OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1"
    start = "python {input.code[0]:q} --log {log:q}"
    return " ".join([before, start, *words.values()]).strip()
