"""The files that stand behind a rule: its entry script and every module that this imports."""

from __future__ import annotations

import ast
import functools
import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from taskrsa.io.files import digest_of, sha256_of

# Import statements are found as text: Snakemake reads this at every start, and to parse all modules
# takes seconds. What merely looks like one could only add a file of the library.
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]+)|import[ \t]+([^\n#]+))",
    re.MULTILINE,
)
TABLE = re.compile(r"[\"']([\w.-]+\.tsv)[\"']")


def files_of(folder: Path, entry: str, lazily_imported: Iterable[str] = ()) -> list[Path]:
    """Return an entry script and all modules of the library that it imports, at any depth, with
    the tables that lie beside them.

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


def digest(files: Iterable[Path | str]) -> str:
    """Return one SHA-256 of files' contents.

    As a param of a rule it makes results stale exactly when the code behind them changes. The
    files themselves, about a hundred a rule, would be looked at for every job.
    """
    return digest_of(map(content, map(str, files)))


content = functools.cache(sha256_of)


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
    text = path.read_text(encoding="utf-8")
    names = set()
    for module, members, modules in IMPORT.findall(text):
        names |= {module} | {f"{module}.{name}" for name in _names(members)} if module else set()
        names |= set(_names(modules))
    parents = {".".join(name.split(".")[:n]) for name in names for n in range(1, 9)}
    known = _modules(folder)
    tables = map(path.with_name, TABLE.findall(text))
    return frozenset([*map(known.get, parents & known.keys()), *filter(Path.is_file, tables)])


@functools.cache
def _modules(folder: Path) -> dict[str, Path]:
    """Map the names of all modules below a folder to their files."""
    files = {path.relative_to(folder).with_suffix(""): path for path in folder.rglob("*.py")}
    return {".".join(name.parts).removesuffix(".__init__"): path for name, path in files.items()}


def _names(listed: str) -> list[str]:
    """Return the names of an import statement; what each is called here does not matter."""
    parts = re.sub(r"#.*", "", listed).strip("()").split(",")
    return [part.split()[0] for part in parts if part.strip()]


@functools.cache
def flags_of(script: str | Path) -> dict[str, bool]:
    """Map the parameters of a script's `main` to whether they must be given."""
    main = next(
        node
        for node in ast.parse(Path(script).read_bytes()).body
        if isinstance(node, ast.FunctionDef) and node.name == "main"
    )
    names = [argument.arg for argument in main.args.args]
    required = len(names) - len(main.args.defaults)
    return {name: at < required for at, name in enumerate(names)}


def command(script: str, before: str = "", **sources: str) -> str:
    """Return the shell command of a rule: the entry with its flags, everything quoted.

    Entries that take `threads` or `workers` get the rule's threads.

    Parameters
    ----------
    script : path of the entry
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
        raise ValueError(f"{script}: unknown flags {unknown}, missing flags {missing}")
    if "workers" in words:
        # Each of the workers computes with one thread.
        before = f"{before} OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1"
    start = f"python {quoted(script)} --log {{log:q}}"
    return " ".join([before, start, *words.values()]).strip()


def quoted(word: str) -> str:
    """Return a word for a shell, its braces as Snakemake takes them."""
    return shlex.quote(word).replace("{", "{{").replace("}", "}}")
