"""The library's modules import each other without circles, and at the top of the file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

LIBRARY = Path(__file__).parents[2] / "scripts/taskrsa"

# Imports inside a function, each with the reason why it is not at the top.
DEFERRED = {
    ("data.nyuv2", "tasks.labels"): "SciPy, which reading a configuration does without",
    ("data.pack", "tasks.geometry"): "SciPy, which those who only read packs do without",
    (
        "plan.targets",
        "transferability.stimuli",
    ): "SciPy, which most runs do without",
    ("data.sources", "tasks.labels"): "SciPy, which reading a configuration does without",
}


def module_of(path: Path) -> str:
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_of(path): path for path in sorted(LIBRARY.rglob("*.py"))}


def imported(node: ast.AST) -> Iterator[str]:
    """Yield the library's modules that one statement imports."""
    names = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            names.append(inner if inner.removeprefix("taskrsa.") in MODULES else node.module)
    for name in names:
        if name.startswith("taskrsa."):
            yield name.removeprefix("taskrsa.")


def imports_of(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield each library module that a file imports, and whether inside a function.

    Imports for annotations only (`if TYPE_CHECKING`) are left out.
    """

    def walk(node: ast.AST, inside: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        for name in imported(node):
            yield name, inside
        inside = inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), False)


IMPORTS = {name: set(imports_of(path)) for name, path in MODULES.items()}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules along a circle; an empty list where there is none."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            if found := visit(other, [*path, name]):
                return found
        done.add(name)
        return []

    return next((found for name in graph if (found := visit(name, []))), [])


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_circle_of_imports_deferred_ones_included():
    assert len(MODULES) > 50
    graph = {name: {other for other, _ in found} for name, found in IMPORTS.items()}
    assert circle(graph) == []


def test_deferred_imports_have_a_reason():
    deferred = {
        (name, other) for name, found in IMPORTS.items() for other, inside in found if inside
    }
    assert deferred <= set(DEFERRED)


# --- what jobs import before they begin ---

TORCH = {
    "finetune",
    "network_rdms",
    "probe_source",
    "race_leg",
    "random_encoders",
    "submission",
    "target_cost",
    "target_features",
    "train_encoder",
}
SLOW = {
    "torch": TORCH,
    "sklearn": {"target_measures"},
    "matplotlib": {"figure", "report_page"},
    "seaborn": set(),
    "timm": set(),
    "onnx": set(),
}
ENTRIES = sorted(LIBRARY.parent.glob("*.py"))


def packages_of(path: Path) -> set[str]:
    """Return the packages that a file imports at its top."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def packages_behind(entry: Path) -> set[str]:
    """Return the packages that an entry and the library's modules behind it import first of all."""
    found, left, seen = packages_of(entry), [], set()
    left += [name for name, inside in imports_of(entry) if not inside]
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        found |= packages_of(MODULES[name])
        left += [other for other, inside in IMPORTS[name] if not inside]
    return found


def test_only_jobs_that_train_or_show_images_to_networks_wait_for_pytorch():
    behind = {entry.stem: packages_behind(entry) for entry in ENTRIES}
    assert len(behind) > 40
    for package, entries in SLOW.items():
        assert {name for name, found in behind.items() if package in found} == entries, package
