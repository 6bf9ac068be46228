"""Files that a network is made of beside its weights: data of an ONNX file, modules of the user."""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from taskrsa.io.imports import imported_names

_LIBRARY = Path(__file__).parents[1]


def external_files(path: Path) -> list[Path]:
    """Return the files that hold tensors of an ONNX file, in the order of their names; none if
    there are none, the file is damaged or the package onnx is not installed."""
    try:
        onnx = importlib.import_module("onnx")
        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception:  # the loader of networks says what is wrong
        return []
    names = {
        entry.value
        for tensor in _tensors(graph)
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [path.parent / name for name in sorted(names)]


def _tensors(graph) -> Iterator:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def module_files(module: str, more: Iterable[str] = ()) -> list[str]:
    """Return the files of a module that is imported, and of those that it imports, at any depth:
    the user's own, which are not installed as packages.

    Parameters
    ----------
    more : names of other modules that count as well, such as those that its functions import

    Returns
    -------
    paths, relative for files below the working folder
    """
    found: set[Path] = set()
    left = [module, *more]
    while left:
        name = left.pop()
        file = getattr(sys.modules.get(name), "__file__", None)
        if name.count("."):
            left.append(name.rpartition(".")[0])
        if file is None or Path(file).suffix != ".py" or not _is_the_user_s(Path(file)):
            continue
        if Path(file) not in found:
            found.add(Path(file))
            package = name if Path(file).name == "__init__.py" else name.rpartition(".")[0]
            left += imported_names(Path(file).read_text(encoding="utf-8"), package)
    here = Path.cwd()
    return sorted(
        os.path.relpath(path, here) if path.is_relative_to(here) else str(path) for path in found
    )


def _is_the_user_s(file: Path) -> bool:
    installed = {*map(Path, sysconfig.get_paths().values()), _LIBRARY}
    parts = {"site-packages", "dist-packages"}
    return not parts & {*file.parts} and not any(file.is_relative_to(one) for one in installed)
