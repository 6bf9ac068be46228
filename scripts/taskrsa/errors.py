"""User-fixable errors. Each message is one line: what is wrong, where, and how to fix it."""


class TaskrsaError(Exception):
    """Base of every error caused by data, configuration or a file, not by a bug."""


class ConfigError(TaskrsaError):
    """A configuration value cannot be used."""


class DataError(TaskrsaError):
    """An input file is missing, damaged or contradicts another."""


class RepresentationError(TaskrsaError):
    """The features or RDMs of a network cannot be compared."""
