"""What a Python file imports, found in its text."""

from __future__ import annotations

import ast


def imported_names(text: str, package: str) -> set[str]:
    """Return full names of the modules that a source may import: those of `from a import b` are
    `a` and `a.b`. None if it is not Python.

    Parameters
    ----------
    package : that the module is in, from which dots count; "" for none
    """
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):
        return set()
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join(filter(None, [*(parts if node.level else ()), node.module]))
            names |= {base} | {".".join(filter(None, [base, one.name])) for one in node.names}
    return names - {""}
