"""One writer at a time on a case folder; the lock ends with the process, however it ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from detector.errors import CaseError

if sys.platform == "win32":
    import msvcrt

    def _take(stream: IO[bytes]) -> None:
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(stream: IO[bytes]) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`; raises CaseError if another process holds it."""
    try:
        stream = path.open("ab")
    except OSError as error:
        raise CaseError(f"{path.parent} cannot be written: {error.strerror or error}") from error
    with stream:
        try:
            _take(stream)
        except OSError as error:
            raise CaseError(f"{path.parent} is being written by another detector process") from error
        yield
