"""User-fixable errors. Each message is one line: what is wrong, where, and how to fix it."""

import re

_MEMORY = re.compile(
    r"out of memory|(can't|cannot|failed to) allocate|not enough memory|bad_?alloc", re.IGNORECASE
)
_OF_GPU = re.compile("CUDA|HIP|MPS|XPU|GPU")


class TaskrsaError(Exception):
    """Base of every error caused by data, configuration or a file, not by a bug."""


class ConfigError(TaskrsaError):
    """A configuration value cannot be used."""


class DataError(TaskrsaError):
    """An input file is missing, damaged or contradicts another."""


class RepresentationError(TaskrsaError):
    """The features or RDMs of a network cannot be compared."""


def memory_lacked(error: BaseException) -> str:
    """Return what an error says there is too little of, "memory" or "memory of the GPU"; "" if it
    says nothing of the kind. PyTorch and ONNX Runtime have no class of error for it."""
    is_of_memory = isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | OSError) and _MEMORY.search(str(error))
    )
    if not is_of_memory:
        return ""
    return "memory of the GPU" if _OF_GPU.search(str(error)) else "memory"
