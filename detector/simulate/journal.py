"""Where the records of all logs are collected while the simulation runs, in the order each log has.

Activities are simulated in order of their start, but write records of later moments too (the logoff of a
session). Each log holds those back until the simulation has passed them, so that a log is in order and memory
holds only what is still open; finished records beyond a limit wait in temporary files.
"""

from __future__ import annotations

import pickle
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

_SPILL_AT = 150_000
_TIME = itemgetter(0)


class Record(NamedTuple):
    """One record of a log. `time` is in microseconds since 1970 UTC, by the clock of the machine.

    `body` is what the log's writer understands: for a Windows log (event key, field values, options), for a
    text log the line's content. `mark` is the truth's label, None for ordinary life.
    """

    time: int
    body: Any
    mark: int | None


class _Cleared:
    """Stands in a log for the moment at which it was cleared."""


CLEARED = _Cleared()


class LogFile:
    """One log of one machine, and the file it becomes."""

    def __init__(self, path: str, host: str, channel: str, kind: str, first_id: int) -> None:
        """Take the path below the output folder, the machine, and the id of the first record ever kept."""
        self.path = path
        self.host = host
        self.channel = channel
        self.kind = kind
        self.first_id = first_id
        self.pending: list[Record] = []
        self.ready: list[Record] = []
        self.spilled: Path | None = None
        self.count = 0
        self.cleared = 0
        self.lost_marks: dict[int, int] = {}

    def add(self, time: int, body: Any, mark: int | None) -> None:
        """Add a record; records of one moment stay in the order they were added."""
        self.pending.append(Record(time, body, mark))

    def settle(self, now: int | None) -> int:
        """Move what is older than `now` (all, where None) to the finished records; return how many."""
        pending = self.pending
        if not pending:
            return 0
        pending.sort(key=_TIME)
        end = len(pending) if now is None else bisect_left(pending, now, key=_TIME)
        for record in pending[:end]:
            if record.body is CLEARED:
                self._forget()
            else:
                self.ready.append(record)
                self.count += 1
        del pending[:end]
        return end

    def _forget(self) -> None:
        for record in self.records():
            if record.mark is not None:
                self.lost_marks[record.mark] = self.lost_marks.get(record.mark, 0) + 1
        self.cleared += self.count
        self.first_id += self.count
        self.count = 0
        self.ready.clear()
        if self.spilled is not None:
            self.spilled.unlink()
            self.spilled = None

    def spill(self, folder: Path, number: int) -> None:
        """Move the finished records to a temporary file."""
        if not self.ready:
            return
        if self.spilled is None:
            self.spilled = folder / f"{number}.pickle"
        with self.spilled.open("ab") as file:
            pickle.dump([tuple(record) for record in self.ready], file, protocol=pickle.HIGHEST_PROTOCOL)
        self.ready.clear()

    def records(self) -> Iterator[Record]:
        """Yield the finished records in order."""
        if self.spilled is not None:
            with self.spilled.open("rb") as file:
                while True:
                    try:
                        # Our own temporary file, written by `spill` in this process.
                        block = pickle.load(file)
                    except EOFError:
                        break
                    yield from map(Record._make, block)
        yield from self.ready


class Journal:
    """All logs of the simulated world."""

    def __init__(self, spill_folder: Path) -> None:
        """Take the folder for temporary files, which the caller removes."""
        self._folder = spill_folder
        self._logs: dict[tuple[str, str], LogFile] = {}
        self._finished = 0

    def open(self, path: str, host: str, channel: str, kind: str, first_id: int = 1) -> LogFile:
        """Create a log; each (host, channel) has one."""
        log = LogFile(path, host, channel, kind, first_id)
        self._logs[host, channel] = log
        return log

    def log(self, host: str, channel: str) -> LogFile | None:
        """Return the log of a machine, None where the machine keeps no such log."""
        return self._logs.get((host, channel))

    def settle(self, now: int | None) -> None:
        """Finish every record older than `now`, or all of them."""
        for log in self._logs.values():
            self._finished += log.settle(now)
        if self._finished >= _SPILL_AT:
            for number, log in enumerate(self._logs.values()):
                log.spill(self._folder, number)
            self._finished = 0

    @property
    def logs(self) -> Sequence[LogFile]:
        """Every log, in the order they were opened."""
        return list(self._logs.values())
