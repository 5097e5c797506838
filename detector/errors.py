"""The one tree of exceptions: whatever the project raises on purpose derives from `DetectorError`.

A message names the file and the place, and says what the user can do next. Library code raises; only
`detector.cli` prints and exits.
"""

from __future__ import annotations


class DetectorError(Exception):
    """Base of every error that this project raises on purpose."""


class EvidenceError(DetectorError):
    """An evidence file cannot be read as far as asked (unreadable, damaged, refused)."""


class ArchiveError(EvidenceError):
    """An archive is damaged, encrypted, or exceeds the limits that stop a decompression bomb."""


class TimeZoneError(DetectorError):
    """A time has no zone and none was given, or a zone name is unknown."""


class CaseError(DetectorError):
    """A case folder is missing, not a case, made by another version, or cannot be written."""


class SiteError(DetectorError):
    """A site.toml cannot be understood; the message names the key."""


class MappingError(DetectorError):
    """A mapping of a user's own log cannot be understood; the message names file, line and key."""


class RuleError(DetectorError):
    """A Sigma rule cannot be loaded or compiled; the message names file and place."""


class TuningError(DetectorError):
    """A detector.toml cannot be understood; the message names the file, the line and the key."""


class StageError(DetectorError):
    """A chain stage's SQL or header is wrong."""


class QueryError(DetectorError):
    """A user's SQL is not a single read-only statement, or the engine refused it."""


class StorageError(DetectorError):
    """The engine could not read a file that it needs, whatever was asked: no fault of the one query."""


class OutputError(DetectorError):
    """A report cannot be written where it was asked for."""


class SimulationError(DetectorError):
    """A simulation is asked for something that cannot be; the message names the option."""


class MissingExtraError(DetectorError):
    """An optional dependency is absent; the message names the extra that brings it."""
