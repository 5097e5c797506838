"""The case folder: open it, ask it, and store what was found."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from detector import __version__
from detector.case.channels import view_of
from detector.case.duplicate_lines import LINE_TABLES, line_candidates
from detector.case.duplicates import DUPLICATE_COLUMNS, duplicate_candidates, find_duplicates
from detector.case.journal import Journal, Part, ReadSegment, parse_time
from detector.case.lock import exclusive
from detector.case.site import SITE_TABLES, Site, load_site
from detector.case.sql_views import Needs, create_base_views, create_meaning_views, with_needs
from detector.case.writer import cannot_write, read_parquet, rows_table, state_of, unreadable, write_parquet
from detector.engines import Engine
from detector.errors import CaseError, StorageError
from detector.tables.evidence import EVIDENCE_COLUMNS, WARNING_COLUMNS
from detector.tables.results import (
    FINDING_COLUMNS,
    HIT_COLUMNS,
    INCIDENT_COLUMNS,
    TIMELINE_COLUMNS,
    schema,
)

_LAYOUT = 1

_CHANNEL_COLUMNS: dict[str, pa.DataType] = {
    "evidence_id": pa.string(),
    "view": pa.string(),
    "channel": pa.string(),
    "computer": pa.string(),
    "events": pa.int64(),
    "first_record_id": pa.int64(),
    "last_record_id": pa.int64(),
}

_RESULTS: dict[str, dict[str, pa.DataType]] = {
    "hits": HIT_COLUMNS,
    "findings": FINDING_COLUMNS,
    "incidents": INCIDENT_COLUMNS,
    "timeline": TIMELINE_COLUMNS,
}


#: Up to this number of events a case is read into memory where many queries follow: some 100 MB.
_SMALL_CASE = 50_000


class Case:
    """A case folder. `create` makes one or opens an existing one, `open` only opens."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = Journal.load(path / "journal.jsonl")

    @classmethod
    def open(cls, path: Path) -> Case:
        """Open an existing case; raises CaseError if there is none or another version made it."""
        description = path / "case.json"
        try:
            layout = json.loads(description.read_text(encoding="utf-8"))["layout"]
        except FileNotFoundError as error:
            raise CaseError(
                f"{path} is not a case folder; make one with: detector ingest PATH... --case {path}"
            ) from error
        except OSError as error:
            raise CaseError(f"{description} cannot be read: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise CaseError(
                f"{description} is damaged; if nothing else is, write this line into it: "
                + json.dumps({"layout": _LAYOUT, "tool": __version__})
            ) from error
        if layout != _LAYOUT:
            raise CaseError(f"{path} was made by another version (layout {layout}, this one reads {_LAYOUT})")
        return cls(path)

    @classmethod
    def create(cls, path: Path) -> Case:
        """Open the case at `path`, making it if the folder is empty or absent; raises CaseError."""
        try:
            if (path / "case.json").exists():
                return cls.open(path)
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise CaseError(f"{path} is neither empty nor a case folder; name another with --case")
            (path / "tables").mkdir()
            (path / "case.json").write_text(
                json.dumps({"layout": _LAYOUT, "tool": __version__}) + "\n", encoding="utf-8"
            )
        except OSError as error:
            raise CaseError(f"{path} cannot be written: {error.strerror or error}") from error
        return cls(path)

    def site(self) -> Site:
        """Return what `site.toml` in the case folder says; an empty Site if there is none."""
        path = self.path / "site.toml"
        return load_site(path) if _is_there(path) else Site()

    def set_site(self, source: Path) -> None:
        """Copy a site.toml into the case after checking it; raises SiteError, CaseError."""
        load_site(source)
        target = self.path / "site.toml"
        temporary = target.with_name("site.toml.part")
        content = source.read_bytes()
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        except OSError as error:
            raise CaseError(cannot_write(target, error)) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the case for writing; raises CaseError if another process writes it."""
        with exclusive(self.path / "case.lock"):
            # Another process may have written between our opening the case and our holding it: what it stored
            # would look like leftovers.
            self.journal = Journal.load(self.journal.path)
            yield

    def connect(
        self,
        needs: Needs | None = None,
        views: Collection[str] | None = None,
        meaning: bool = True,
        many_queries: bool = False,
    ) -> AbstractContextManager[Engine]:
        """Open an engine on which the views of the case exist; see docs/architecture.md for their names.

        `needs` are base views and columns that SQL will name though the case may lack them: view -> columns.
        `views` names the views that SQL will ask for, which saves the time to make the others; None means
        all. Without `meaning`, only base views are made. With `many_queries`, a small case is read into
        memory first. SQL can read nothing but the case and write nothing.
        """
        return self._connect(needs or {}, views, meaning, many_queries and self.events() <= _SMALL_CASE)

    @contextmanager
    def _connect(
        self, needs: Needs, views: Collection[str] | None, meaning: bool, in_memory: bool
    ) -> Iterator[Engine]:
        chosen = None if views is None else with_needs(views)
        with Engine(temp_directory=self.path / "tmp") as engine:
            root = self.path.resolve().as_posix() + "/"
            dropped = self._register(engine)
            with self._parts_blamed():
                create_base_views(engine, root, self.journal.parts(), dropped, needs, chosen, in_memory)
                engine.restrict([self.path.resolve() / "tables", self.path.resolve() / "tmp"])
                if meaning:
                    create_meaning_views(engine, chosen)
                yield engine

    @contextmanager
    def _parts_blamed(self) -> Iterator[None]:
        """Turn DuckDB's words about a file that it cannot read into a CaseError about the evidence in it."""
        try:
            yield
        except StorageError as error:
            for part in self.journal.parts():
                if reason := unreadable(self.path / part.file):
                    raise CaseError(self._lost(part, reason)) from error
            raise

    def _lost(self, part: Part, reason: str) -> str:
        """Say what a part file that cannot be read held, and what to do."""
        paths = sorted(
            {segment.path for work in self.journal.work if part in work.parts for segment in work.read}
        )
        shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
        return (
            f"{self.path / part.file} {reason}; it holds {part.rows:,} rows of {shown}: "
            "restore it from a copy of the case, or ingest the evidence into a new case"
        )

    def _register(self, engine: Engine) -> set[str]:
        """Register the tables that are not views on event files; return the views that have duplicates."""
        duplicates = self._duplicates()
        engine.register("duplicates", duplicates)
        engine.register("evidence", self.evidence())
        engine.register("channels", self._channels())
        engine.register("warnings", self._table("warnings", WARNING_COLUMNS))
        for name, columns in _RESULTS.items():
            engine.register(name, self.result(name, columns))
        site = self.site()
        for name, values in site.rows().items():
            labels = SITE_TABLES[name]
            kinds = {"site": pa.string(), **dict.fromkeys(labels, pa.string())}
            records = [{"site": site.name, **dict(zip(labels, row, strict=True))} for row in values]
            engine.register(name, rows_table(records, schema(kinds)))
        return set(duplicates.column("view").to_pylist()) | ({"windows"} if duplicates.num_rows else set())

    def _table(self, table: str, columns: dict[str, pa.DataType]) -> pa.Table:
        parts = [part for part in self.journal.parts() if part.table == table]
        parts.sort(key=lambda part: part.file)
        if not parts:
            return schema(columns).empty_table()
        for part in parts:
            if reason := unreadable(self.path / part.file, whole=False):
                raise CaseError(self._lost(part, reason))
        found = pa.concat_tables([read_parquet(self.path / part.file, schema(columns)) for part in parts])
        return found.sort_by([("path", "ascending"), ("offset", "ascending"), ("reason", "ascending")])

    def result(self, name: str, columns: dict[str, pa.DataType] | None = None) -> pa.Table:
        """Return a stored result (hits, findings, incidents, timeline), empty if nothing was stored yet."""
        path = self.path / "tables" / f"{name}.parquet"
        try:
            return read_parquet(path, schema(columns or _RESULTS[name]))
        except CaseError as error:
            raise CaseError(f"{error}; delete this file, which holds results only, and scan again") from error

    def store_result(self, name: str, table: pa.Table) -> None:
        """Replace a stored result; raises CaseError if the disk refuses."""
        path = self.path / "tables" / f"{name}.parquet"
        write_parquet(table.cast(schema(_RESULTS[name])), path, self._state())

    def scanned(self) -> bool:
        """Tell whether a scan has stored its results; raises CaseError if that cannot be seen."""
        return _is_there(self.path / "tables" / "incidents.parquet")

    def scan_is_old(self) -> bool:
        """Tell whether evidence was added after the results were stored, or a scan stored only some."""
        states = {state_of(self.path / "tables" / f"{name}.parquet") for name in _RESULTS}
        return states != {self._state()}

    def _state(self) -> str:
        """Return a name of the evidence that the case holds, whatever the order in which it came."""
        read = sorted(f"{segment.evidence_id}:{segment.segment}" for segment in self.journal.segments())
        return hashlib.sha256("\n".join(read).encode()).hexdigest()

    def evidence(self) -> pa.Table:
        """Return the `evidence` table, one row per file, ordered by path."""
        groups: dict[str, list[ReadSegment]] = defaultdict(list)
        for segment in self.journal.segments():
            groups[segment.evidence_id].append(segment)
        copies: dict[str, set[str]] = defaultdict(set)
        for copy in self.journal.copies:
            copies[copy.evidence_id].add(copy.path)
        duplicates: dict[str, int] = defaultdict(int)
        for each in self._duplicates().column("evidence_id").to_pylist():
            duplicates[each] += 1
        rows = [
            _evidence_row(segments, copies[evidence_id], duplicates[evidence_id])
            for evidence_id, segments in groups.items()
        ]
        rows.sort(key=lambda row: (row["path"], row["evidence_id"]))
        return rows_table(rows, schema(EVIDENCE_COLUMNS))

    def events(self) -> int:
        """Return the number of events that were stored, duplicates among them."""
        return sum(segment.events for segment in self.journal.segments())

    def incomplete(self) -> list[str]:
        """Return the paths of files of which an interrupted ingest has read only a part."""
        read: dict[str, set[int]] = defaultdict(set)
        wanted: dict[str, tuple[int, str]] = {}
        for segment in self.journal.segments():
            read[segment.evidence_id].add(segment.segment)
            wanted[segment.evidence_id] = (segment.segments, segment.path)
        return sorted(path for key, (count, path) in wanted.items() if len(read[key]) < count)

    def remove_leftovers(self) -> None:
        """Delete part files that no line of the journal names: those of interrupted work."""
        known = {(self.path / part.file).resolve() for part in self.journal.parts()}
        for table in ("windows", "firewall", "vpn", "warnings"):
            for path in (self.path / "tables" / table).rglob("*.parquet*"):
                if path.resolve() not in known:
                    try:
                        path.unlink(missing_ok=True)
                    except OSError as error:
                        raise CaseError(cannot_write(path, error)) from error

    def find_duplicates(self) -> int:
        """Find the events that more than one evidence file holds, store them, and return their number."""
        candidates = duplicate_candidates(self.journal.segments())
        lines = line_candidates(self.journal.segments())
        with Engine(temp_directory=self.path / "tmp") as engine:
            root = self.path.resolve().as_posix() + "/"
            views = {*candidates, *(LINE_TABLES if lines else ())}
            create_base_views(engine, root, self.journal.parts(), (), {}, views)
            found = find_duplicates(engine, candidates, lines)
        write_parquet(found, self.path / "tables" / "duplicates.parquet", self._state())
        return int(found.num_rows)

    def duplicates_known(self) -> bool:
        """Tell whether duplicates were looked for since evidence was last added."""
        return state_of(self.path / "tables" / "duplicates.parquet") == self._state()

    def duplicate_count(self) -> int:
        """Return the number of events that more than one evidence file holds."""
        return int(self._duplicates().num_rows)

    def _duplicates(self) -> pa.Table:
        path = self.path / "tables" / "duplicates.parquet"
        try:
            return read_parquet(path, schema(DUPLICATE_COLUMNS))
        except CaseError as error:
            raise CaseError(
                f"{error}; it is made anew by: detector ingest PATH... --case {self.path}"
            ) from error

    def _channels(self) -> pa.Table:
        rows: list[Mapping[str, Any]] = [
            {
                "evidence_id": segment.evidence_id,
                "view": view_of(each.channel),
                "channel": each.channel,
                "computer": each.computer,
                "events": each.events,
                "first_record_id": each.first_record_id,
                "last_record_id": each.last_record_id,
            }
            for segment in self.journal.segments()
            for each in segment.channels
        ]
        return rows_table([dict(row) for row in rows], schema(_CHANNEL_COLUMNS))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise CaseError(f"{path} cannot be read: {error.strerror or error}") from error


def _evidence_row(segments: list[ReadSegment], copies: set[str], duplicates: int) -> dict[str, Any]:
    first = segments[0]
    paths = sorted({segment.path for segment in segments} | copies)
    begins = [parse_time(segment.first_event) for segment in segments if segment.first_event]
    ends = [parse_time(segment.last_event) for segment in segments if segment.last_event]
    return {
        "evidence_id": first.evidence_id,
        "path": paths[0],
        "copies": paths[1:],
        "size": first.size,
        "sha256": first.sha256,
        "container_sha256": first.container_sha256,
        "format": first.format,
        "site": first.site,
        "time_zone": first.time_zone,
        "time_zone_basis": first.time_zone_basis,
        "first_event": min((time for time in begins if time), default=None),
        "last_event": max((time for time in ends if time), default=None),
        "events": sum(segment.events for segment in segments),
        "warnings": sum(segment.warnings for segment in segments),
        "duplicates": duplicates,
    }
