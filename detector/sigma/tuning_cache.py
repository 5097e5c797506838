"""The compiled filters of a detector.toml, kept by content as those of rule files are (sigma.pack).

It only saves the second that pySigma takes to be imported: what is missing or damaged is compiled again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from detector.sigma.model import CompiledFilter
from detector.sigma.pack import cache_key

#: Files that are kept; a site has one, and those it had before.
_KEPT = 50


def cached_filters(folder: Path | None, sha256: str, count: int) -> tuple[CompiledFilter, ...] | None:
    """Return the filters of the file with this SHA-256, None if they are not known."""
    if folder is None:
        return None
    try:
        listed = orjson.loads(_path(folder, sha256).read_bytes())
        found = tuple(
            CompiledFilter(**{key: _tuples(value) for key, value in each.items()}) for each in listed
        )
    except (OSError, orjson.JSONDecodeError, TypeError, AttributeError):
        return None
    return found if len(found) == count else None


def keep_filters(folder: Path | None, sha256: str, filters: Sequence[CompiledFilter]) -> None:
    """Keep filters; a cache that cannot be written is no error."""
    if folder is None or not filters:
        return
    path = _path(folder, sha256)
    temporary = path.with_suffix(".tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(orjson.dumps([asdict(each) for each in filters]))
        temporary.replace(path)
        others = sorted(folder.glob("filters-*.json"), key=lambda each: each.stat().st_mtime)
        for old in others[:-_KEPT]:
            old.unlink(missing_ok=True)
    except OSError:
        return


def _path(folder: Path, sha256: str) -> Path:
    return folder / f"filters-{cache_key()}-{sha256[:32]}.json"


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
