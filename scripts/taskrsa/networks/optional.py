"""Packages that only some loaders need: imported where they are asked for, or one line on how to
get them."""

from __future__ import annotations

import importlib
import importlib.util
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch

from taskrsa.errors import ConfigError, TaskrsaError, memory_lacked
from taskrsa.networks.network import Network

# Compiled operators that torchvision registers twice: in C++, and for tracing in Python.
_OPERATORS = ("nms", "qnms")
_ON_TORCHVISION = ("timm", "torchvision", "onnx2torch")
_AGAIN = "pip install --force-reinstall --no-deps"
_REPAIR = f"torchvision must be the release that fits torch: {_AGAIN} torchvision==VERSION"
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def optional_package(package: str, row: Network, extra: str | None = None) -> ModuleType:
    """Return an optional package; ConfigError, with how to install it, if it does not work here.

    Parameters
    ----------
    row : the network that needs it
    extra : the extra of this project that installs it; by default its own name
    """
    try:
        if package in _ON_TORCHVISION:
            let_torchvision_be_imported()
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        missing = error.name == package
        fault = "is not installed" if missing else f"cannot be imported ({reason_of(error)})"
        way = f'install it: pip install ".[{extra or package}]"'
    except Exception as error:  # whatever a broken installation raises
        fault = f"is installed but cannot be imported ({reason_of(error)})"
        way = _REPAIR if _is_of_torchvision(error) else f"repair it: {_AGAIN} {package}"
    raise ConfigError(f"{row.where('loader')}: {package} {fault}; {way}") from None


def _is_of_torchvision(error: BaseException) -> bool:
    """Tell whether an import failed inside torchvision, on which others build."""
    frames = traceback.extract_tb(error.__traceback__)
    return any("torchvision" in Path(frame.filename).parts for frame in frames)


def let_torchvision_be_imported() -> None:
    """Declare operators of torchvision whose compiled half does not fit this PyTorch.

    PyPI's torchvision is built for CUDA; beside a PyTorch for processors its library cannot be
    loaded, and `import torchvision` fails at operators that only detection networks use.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return
    for library in Path(spec.submodule_search_locations[0]).glob("_C.*"):
        try:
            torch.ops.load_library(library)
        except OSError:
            for name in _OPERATORS:
                if not hasattr(torch.ops.torchvision, name):
                    torch.library.define(f"torchvision::{name}", _SCHEMA)


@contextmanager
def blamed(row: Network, columns: str, what: str) -> Iterator[None]:
    """Turn whatever foreign code raises into one line that names the row."""
    try:
        yield
    except TaskrsaError:
        raise
    # A job would end as if all was well where foreign code calls exit().
    except (Exception, SystemExit) as error:
        if memory_lacked(error):
            raise MemoryError(str(error)) from error
        raise ConfigError(f"{row.where(columns)}: {what} ({reason_of(error)})") from error


def reason_of(error: BaseException) -> str:
    """Return type and message of an error, and where it was raised."""
    message = str(error).strip().split("\n")[0]
    frames = traceback.extract_tb(error.__traceback__)
    place = f", {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {message[:200]}{place}"
