"""Errors a user can cause, each a single line: what was given, what is allowed, what to do.

Everything here is a ``PalmetteError``; the command line prints its text without a traceback and exits with code 2.
"""


class PalmetteError(ValueError):
    """The one base of all errors that a different input would have avoided."""


class ArchitectureError(PalmetteError):
    """An architecture, code or choice that does not belong to the space it was given to."""


class LimitError(PalmetteError):
    """Limits that are malformed or that no architecture of the space meets."""


class DataError(PalmetteError):
    """A data set that cannot be used as given."""


class StorageError(PalmetteError):
    """A run directory, checkpoint or file that is damaged, foreign, in use or cannot be written."""


class DivergedError(PalmetteError):
    """A training whose loss is no longer finite."""


class MissingExtraError(PalmetteError):
    """An optional dependency that the request needs; the text names the extra to install."""
