"""Walking folders in a stable order."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from detector.sources.model import Refusal

#: A folder that holds this file is a case made by this tool, not evidence.
CASE_FILE = "case.json"


def expand(paths: Iterable[Path]) -> Iterator[Path | Refusal]:
    """Yield every regular file at or below `paths`: the given paths in their order, folders sorted by name.

    Linked folders are entered once; a link that leads back to a folder already visited, a folder that cannot
    be listed, a path that does not exist, anything that is neither file nor folder, and a case folder are
    refusals. Nothing is opened.
    """
    visited: dict[Path, Path] = {}
    for path in paths:
        yield from _expand(path, visited)


def _expand(path: Path, visited: dict[Path, Path]) -> Iterator[Path | Refusal]:
    """Walk with an own stack: a deep tree must not end in a RecursionError."""
    stack = [path]
    while stack:
        current = stack.pop()
        try:
            mode = current.stat().st_mode
        except OSError as error:
            yield Refusal(str(current), _reason(current, error))
            continue
        if stat.S_ISREG(mode):
            yield current
        elif stat.S_ISDIR(mode):
            children = _children(current, visited)
            if isinstance(children, Refusal):
                yield children
            else:
                stack.extend(reversed(children))
        else:
            yield Refusal(str(current), f"{_special(mode)}, not a file")


def _children(folder: Path, visited: dict[Path, Path]) -> list[Path] | Refusal:
    """Return the sorted contents of a folder, or why it is not entered."""
    try:
        real = folder.resolve(strict=True)
        if real in visited:
            return Refusal(str(folder), f"the same folder as {visited[real]}, which was already read")
        visited[real] = folder
        children = sorted(folder.iterdir(), key=lambda child: child.name)
    except (OSError, RuntimeError) as error:
        return Refusal(str(folder), f"the folder cannot be read: {error}")
    if any(child.name == CASE_FILE for child in children):
        return Refusal(str(folder), f"a case folder (it holds {CASE_FILE}), not evidence")
    return children


def _reason(path: Path, error: OSError) -> str:
    if path.is_symlink():
        return f"a link that leads nowhere: {error.strerror or error}"
    if isinstance(error, FileNotFoundError):
        return "there is no such file or folder"
    return f"cannot be looked at: {error.strerror or error}"


def _special(mode: int) -> str:
    kinds = (
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISCHR, "a character device"),
    )
    return next((words for test, words in kinds if test(mode)), "a special file")
