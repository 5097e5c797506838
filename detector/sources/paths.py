"""Walking folders in a stable order."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from detector.sources.model import Refusal

#: A folder that holds this file is a case made by this tool, not evidence.
CASE_FILE = "case.json"
_MAX_CASE_FILE = 4096


def expand(paths: Iterable[Path], own_case: Path | None = None) -> Iterator[Path | Refusal]:
    """Yield every regular file at or below `paths`: the given paths in their order, folders sorted by name.

    Linked folders are entered once; a link that leads back to a folder already visited, a folder that cannot
    be listed, a path that does not exist, anything that is neither file nor folder, and a case folder are
    refusals. `own_case` is the case that is being written, which may lie within. Nothing but a case.json is
    opened.
    """
    visited: dict[Path, Path] = {}
    own = None if own_case is None else own_case.resolve()
    for path in paths:
        yield from _expand(path, visited, own)


def _expand(path: Path, visited: dict[Path, Path], own_case: Path | None) -> Iterator[Path | Refusal]:
    """Walk with an own stack: a deep tree must not end in a RecursionError."""
    stack = [path]
    while stack:
        current = stack.pop()
        try:
            mode = current.stat().st_mode
        except (OSError, ValueError) as error:
            reason = _reason(current, error) if isinstance(error, OSError) else str(error)
            yield Refusal(str(current), reason)
            continue
        if stat.S_ISREG(mode):
            yield current
        elif stat.S_ISDIR(mode):
            children = _children(current, visited, own_case)
            if isinstance(children, Refusal):
                yield children
            else:
                stack.extend(reversed(children))
        else:
            yield Refusal(str(current), f"{_special(mode)}, not a file")


def _children(folder: Path, visited: dict[Path, Path], own_case: Path | None) -> list[Path] | Refusal:
    """Return the sorted contents of a folder, or why it is not entered."""
    try:
        real = folder.resolve(strict=True)
        if real in visited:
            return Refusal(str(folder), f"the same folder as {visited[real]}, which is read once", lost=False)
        visited[real] = folder
        if real == own_case:
            return Refusal(str(folder), "the folder of this case", lost=False)
        children = sorted(folder.iterdir(), key=lambda child: child.name)
        if any(child.name == CASE_FILE for child in children) and _is_case(folder / CASE_FILE):
            return Refusal(str(folder), "a case folder of this tool, not evidence")
    except OSError as error:
        return Refusal(str(folder), f"the folder cannot be read: {error.strerror or error}")
    except RuntimeError as error:  # a loop of links, in words of pathlib
        return Refusal(str(folder), f"the folder cannot be read: {error}")
    return children


def _is_case(description: Path) -> bool:
    """Tell whether `detector.case` wrote this file; others, an attacker too, may call one case.json."""
    if not description.is_file() or description.stat().st_size > _MAX_CASE_FILE:
        return False
    try:
        content = json.loads(description.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"layout", "tool"} <= content.keys()


def _reason(path: Path, error: OSError) -> str:
    with suppress(OSError):  # what failed may fail again: a name that is too long
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
