"""Records into Parquet part files, in bounded memory.

Windows events are gathered by channel and by list of field names: all events of one kind share it, so that
columns come from transposing rows. Those that come as texts are gathered by kind, and become columns without
ever being rows if they are many. A batch is written when it reaches `BATCH_ROWS` or `BATCH_BYTES`.
"""

from __future__ import annotations

import errno
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detector.case.journal import Part
from detector.case.network_table import Placed, network_table
from detector.engines.json_columns import json_columns
from detector.errors import CaseError, EvidenceError
from detector.formats.windows.evtx_columns import event_columns
from detector.formats.windows.evtx_json import beginning_of, event_from_text
from detector.tables.evidence import WARNING_COLUMNS, ReadWarning
from detector.tables.network import FIREWALL_COLUMNS, VPN_COLUMNS, NetworkRecord
from detector.tables.results import schema
from detector.tables.windows import ORIGIN_COLUMNS, WINDOWS_COLUMNS, EncodedEvents, WindowsRecord

BATCH_ROWS = 30_000
BATCH_BYTES = 32 * 1024 * 1024

#: Fewer texts of one kind are read one by one, which costs less than planning to read them together.
FEW_TEXTS = 300

#: Events of one EventID that are a row group of their own; each group costs a query some time per column.
_ROW_GROUP = 2_000

_COMPRESSION = "zstd"
_STATE = b"detector.state"
_CHANNEL_AT = list(WINDOWS_COLUMNS).index("Channel") - len(ORIGIN_COLUMNS)
_FIXED = tuple(WINDOWS_COLUMNS.items())
_SCHEMAS = {
    "firewall": schema(FIREWALL_COLUMNS),
    "vpn": schema(VPN_COLUMNS),
    "warnings": schema(WARNING_COLUMNS),
}


_RANGE_OF_TIMES = [("TimeCreated", "min"), ("TimeCreated", "max")]


@dataclass
class Statistics:
    """What was written of one evidence file: events, warnings, first and last time, records by channel.

    `channels` is (channel, computer) -> [events, first record id, last record id].
    """

    events: int = 0
    warnings: int = 0
    first: datetime | None = None
    last: datetime | None = None
    channels: dict[tuple[str, str], tuple[int, int | None, int | None]] = field(default_factory=dict)

    def add_events(self, count: int, first: datetime | None, last: datetime | None) -> None:
        """Count events of a batch, which lie between two times."""
        self.events += count
        self.first = _least(self.first, first)
        self.last = _most(self.last, last)

    def add_channel(self, key: tuple[str, str], count: int, first: int | None, last: int | None) -> None:
        """Count events of a batch by channel and computer."""
        events, least, most = self.channels.get(key, (0, None, None))
        self.channels[key] = (events + count, _least(least, first), _most(most, last))


def _least(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else min(one, other)


def _most(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else max(one, other)


class PartWriter:
    """Gathers the records of one piece of work and writes them below `tables/` of a case folder.

    `task` names the piece of work and makes the file names unique. `statistics` says, after `finish`, what
    was written of each evidence file. Raises CaseError when the disk refuses.
    """

    def __init__(self, case: Path, task: str, few_texts: int = FEW_TEXTS) -> None:
        self._case = case
        self._few_texts = few_texts
        self._task = task
        self._parts: list[Part] = []
        # channel -> field names -> rows of (origin + System + values)
        self._windows: dict[str, dict[tuple[str, ...], list[tuple[Any, ...]]]] = {}
        # (channel, field names) -> the same rows, for one look-up per record
        self._shapes: dict[tuple[object, tuple[str, ...]], list[tuple[Any, ...]]] = {}
        # beginning -> (site, evidence id, path, offset, number, text)
        self._texts: dict[str, list[tuple[str, str, str, int, int, str]]] = {}
        self._network: dict[str, list[Placed]] = {"firewall": [], "vpn": []}
        self._warnings: list[dict[str, Any]] = []
        self._rows = 0
        self._bytes = 0
        self._count = 0
        # One part file is written while the next table is made.
        self._behind = ThreadPoolExecutor(1, "parts")
        self._writing: Future[None] | None = None
        self.statistics: dict[str, Statistics] = defaultdict(Statistics)

    def add_windows(self, record: WindowsRecord, site: str, evidence_id: str) -> None:
        """Add one Windows event."""
        offset, number, system, names, values, size = record
        rows = self._shapes.get((system[_CHANNEL_AT], names))
        if rows is None:
            rows = self._new_shape(str(system[_CHANNEL_AT] or ""), system[_CHANNEL_AT], names)
        rows.append((site, evidence_id, offset, number, *system, *values))
        self._rows += 1
        self._bytes += size
        if self._rows >= BATCH_ROWS or self._bytes >= BATCH_BYTES:
            self._flush()

    def add_encoded(self, events: EncodedEvents, site: str, evidence_id: str, path: str) -> None:
        """Add Windows events that are read when their batch is written; then one may become a warning."""
        kinds = self._texts
        for offset, number, text in zip(*events, strict=True):
            beginning = beginning_of(text)
            rows = kinds.get(beginning)
            if rows is None:
                rows = kinds[beginning] = []
            rows.append((site, evidence_id, path, offset, number, text))
        self._rows += len(events.texts)
        self._bytes += sum(map(len, events.texts))
        if self._rows >= BATCH_ROWS or self._bytes >= BATCH_BYTES:
            self._flush()

    def _new_shape(self, channel: str, key: object, names: tuple[str, ...]) -> list[tuple[Any, ...]]:
        rows = self._windows.setdefault(channel, {}).setdefault(names, [])
        self._shapes[key, names] = rows
        return rows

    def add_network(self, record: NetworkRecord, site: str, evidence_id: str) -> None:
        """Add one line of a network device."""
        self._network[record.table].append((record, site, evidence_id))
        self._grown(len(record.raw) * 3)

    def add_warning(self, warning: ReadWarning, evidence_id: str, path: str) -> None:
        """Add a warning."""
        self._add_warning(warning, evidence_id, path)
        self._grown(len(warning.reason))

    def _add_warning(self, warning: ReadWarning, evidence_id: str, path: str) -> None:
        self._warnings.append(
            {
                "evidence_id": evidence_id,
                "path": path,
                "offset": warning.offset,
                "records": warning.records,
                "reason": warning.reason,
            }
        )

    def finish(self) -> tuple[Part, ...]:
        """Write what is left and return all part files written."""
        try:
            self._flush()
            self._wait()
        finally:
            self._behind.shutdown()
        return tuple(self._parts)

    def _wait(self) -> None:
        """Wait for the part file that is being written; raises CaseError if the disk refuses."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def _grown(self, size: int) -> None:
        self._rows += 1
        self._bytes += size
        if self._rows >= BATCH_ROWS or self._bytes >= BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        tables = self._read_texts()
        for channel in dict.fromkeys([*tables, *self._windows]):
            table = windows_table(self._windows.get(channel, {}), tables.get(channel, []))
            self._write("windows", channel, table)
            self._note_windows(channel, table)
        for name, rows in self._network.items():
            if rows:
                table = network_table(rows, _SCHEMAS[name])
                rows.clear()
                self._write(name, None, table)
                self._note_others(name, table)
        if self._warnings:
            table = rows_table(self._warnings, _SCHEMAS["warnings"])
            self._warnings.clear()
            self._write("warnings", None, table)
            self._note_others("warnings", table)
        self._windows.clear()
        self._shapes.clear()
        self._rows = self._bytes = 0

    def _read_texts(self) -> dict[str, list[pa.Table]]:
        """Read the texts of this batch: tables by channel of those read together, the others become rows."""
        tables: dict[str, list[pa.Table]] = defaultdict(list)
        for beginning, rows in self._texts.items():
            left: Iterable[int] = range(len(rows))
            if beginning and len(rows) >= self._few_texts:
                together, left = _read_together(rows)
                for channel, table in together:
                    tables[channel].append(table)
            for index in left:
                self._read_text(*rows[index])
        self._texts.clear()
        return tables

    def _read_text(self, site: str, evidence_id: str, path: str, offset: int, number: int, text: str) -> None:
        try:
            system, names, values = event_from_text(text)
        except (EvidenceError, ValueError) as error:
            self._add_warning(
                ReadWarning(offset, f"record {number}: not an event: {error}"), evidence_id, path
            )
            return
        rows = self._shapes.get((system[_CHANNEL_AT], names))
        if rows is None:
            rows = self._new_shape(str(system[_CHANNEL_AT] or ""), system[_CHANNEL_AT], names)
        rows.append((site, evidence_id, offset, number, *system, *values))

    def _note_windows(self, channel: str, table: pa.Table) -> None:
        """Keep account of the events of each evidence file by channel and computer."""
        grouped = table.group_by(["evidence_id", "Computer"]).aggregate(
            [("evidence_id", "count"), *_RANGE_OF_TIMES, ("EventRecordID", "min"), ("EventRecordID", "max")]
        )
        for row in grouped.to_pylist():
            statistics = self.statistics[row["evidence_id"]]
            count = row["evidence_id_count"]
            statistics.add_events(count, row["TimeCreated_min"], row["TimeCreated_max"])
            key = (channel, row["Computer"] or "")
            statistics.add_channel(key, count, row["EventRecordID_min"], row["EventRecordID_max"])

    def _note_others(self, name: str, table: pa.Table) -> None:
        if name == "warnings":
            for row in table.group_by("evidence_id").aggregate([("evidence_id", "count")]).to_pylist():
                self.statistics[row["evidence_id"]].warnings += row["evidence_id_count"]
            return
        grouped = table.group_by("evidence_id").aggregate(
            [("evidence_id", "count"), ("time", "min"), ("time", "max")]
        )
        for row in grouped.to_pylist():
            statistics = self.statistics[row["evidence_id"]]
            statistics.add_events(row["evidence_id_count"], row["time_min"], row["time_max"])

    def _write(self, table: str, channel: str | None, data: pa.Table) -> None:
        folder = f"tables/{table}" if channel is None else f"tables/{table}/{_folder_name(channel)}"
        # Numbered, since two channels may have one folder (names without Latin letters, or of another case).
        file = f"{folder}/{self._task}-{self._count}.parquet"
        self._count += 1
        self._wait()
        write = write_parquet if channel is None else write_by_event_id
        self._writing = self._behind.submit(write, data, self._case / file)
        self._parts.append(Part(table, channel, file, data.num_rows, tuple(data.column_names)))


def _read_together(
    rows: Sequence[tuple[str, str, str, int, int, str]],
) -> tuple[list[tuple[str, pa.Table]], list[int]]:
    """Return (channel, table) of the texts that can be read together, and the places of the others."""
    sites, ids, _, offsets, numbers, texts = zip(*rows, strict=True)
    together, left = event_columns(texts, json_columns)
    if not together:
        return [], left
    columns = zip((sites, ids, offsets, numbers), ORIGIN_COLUMNS.values(), strict=True)
    origin = [array_of(column, kind) for column, kind in columns]
    tables = []
    for each in together:
        mine = origin if len(each.rows) == len(rows) else [column.take(each.rows) for column in origin]
        names = [*WINDOWS_COLUMNS, *each.names]
        tables.append((each.channel, pa.table([*mine, *each.columns], names=names)))
    return tables, left


def windows_table(
    shapes: dict[tuple[str, ...], list[tuple[Any, ...]]], tables: Iterable[pa.Table] = ()
) -> pa.Table:
    """Return one Arrow table of the events of one channel, given as tables, and as rows by their field names.

    Columns: WINDOWS_COLUMNS, then the fields. Names that differ in case only are one column.
    """
    canonical: dict[str, str] = {}
    tables = [
        each.rename_columns([canonical.setdefault(name.lower(), name) for name in each.column_names])
        for each in tables
    ]
    for names, rows in shapes.items():
        columns = list(zip(*rows, strict=True))
        arrays = [array_of(column, kind) for column, (_, kind) in zip(columns, _FIXED, strict=False)]
        arrays += [text_array(column) for column in columns[len(_FIXED) :]]
        labels = [name for name, _ in _FIXED]
        labels += [canonical.setdefault(name.lower(), name) for name in names]
        tables.append(pa.table(arrays, names=labels))
    return pa.concat_tables(tables, promote_options="default")


def array_of(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return a column; events of one kind agree in many, which is quick to see and to repeat."""
    if values and values.count(values[0]) == len(values):
        return pa.repeat(pa.scalar(values[0], kind), len(values))
    return pa.array(values, kind)


def text_array(values: Sequence[str | None]) -> pa.Array:
    """Return a text column; lone surrogates, which no valid log holds, are written as escapes."""
    try:
        return array_of(values, pa.string())
    except UnicodeEncodeError:
        clean = [None if v is None else v.encode("utf-8", "backslashreplace").decode() for v in values]
        return pa.array(clean, pa.string())


def rows_table(rows: Iterable[dict[str, Any]], wanted: pa.Schema) -> pa.Table:
    """Return an Arrow table of rows given as dictionaries; keys that they lack are NULL."""
    rows = list(rows)
    arrays = [
        text_array([row.get(entry.name) for row in rows])
        if pa.types.is_string(entry.type)
        else pa.array([row.get(entry.name) for row in rows], entry.type)
        for entry in wanted
    ]
    return pa.table(arrays, schema=wanted)


def write_parquet(data: pa.Table, path: Path, state: str = "", row_groups: Sequence[int] = ()) -> None:
    """Write a table so that the file is there whole or not at all; raises CaseError with the reason.

    `state` is kept in the file for `state_of`. `row_groups` are sizes that add up to the number of rows.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = data.replace_schema_metadata({_STATE: state}) if state else data
        with pq.ParquetWriter(temporary, kept.schema, compression=_COMPRESSION) as writer:
            begin = 0
            for size in row_groups or (max(1, kept.num_rows),):
                writer.write_table(kept.slice(begin, size), row_group_size=max(1, size))
                begin += size
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise CaseError(cannot_write(path, error)) from error


def write_by_event_id(data: pa.Table, path: Path) -> None:
    """Write Windows events with a row group for each frequent EventID: a query for it reads little else.

    Raises CaseError with the reason if it cannot.
    """
    if data.num_rows <= _ROW_GROUP:
        write_parquet(data, path)
        return
    data = data.take(pc.sort_indices(data, [("EventID", "ascending")]))
    write_parquet(data, path, row_groups=_row_groups(data.column("EventID")))


def _row_groups(event_ids: pa.ChunkedArray) -> list[int]:
    """Return sizes of row groups: many rows of one EventID are a group, few are with their neighbours."""
    sizes: list[int] = []
    pending = 0
    for run in pc.run_end_encode(event_ids).chunks:
        before = 0
        for end in run.run_ends.to_pylist():
            size, before = end - before, end
            if size >= _ROW_GROUP and pending:
                sizes.append(pending)
                pending = 0
            pending += size
            if pending >= _ROW_GROUP:
                sizes.append(pending)
                pending = 0
    return [*sizes, pending] if pending else sizes


def cannot_write(path: Path, error: OSError) -> str:
    """Say that a file of a case cannot be written, why, and that the rest is safe."""
    # Arrow's errors have the number, but a text of their own.
    reason = os.strerror(error.errno) if error.errno else str(error)
    full = "; make room and run the same command again" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return f"{path} cannot be written: {reason}{full} (what was stored before stays)"


def unreadable(path: Path, whole: bool = True) -> str | None:
    """Return why a Parquet file cannot be read, None if it can; `whole` looks at all rows, group by group."""
    try:
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups if whole else 0):
            file.read_row_group(group)
    except FileNotFoundError:
        return "is missing"
    except PermissionError:
        return "cannot be read: permission denied"
    except (OSError, pa.ArrowException) as error:
        return f"is damaged: {error}"
    return None


def state_of(path: Path) -> str | None:
    """Return the `state` that a file was written with; None if there is no such file, or it is damaged."""
    try:
        metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
        return metadata.get(_STATE, b"").decode()
    except (OSError, pa.ArrowException):
        return None


def _folder_name(channel: str) -> str:
    """Return a folder name for a channel that every file system takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", channel)[:80].strip("_") or "unknown"


def read_parquet(path: Path, wanted: pa.Schema) -> pa.Table:
    """Read a whole file with the columns of a schema; an empty table if there is none.

    A column that an earlier version did not write is NULL. Raises CaseError if the file is damaged.
    """
    try:
        # Not `read_table`, which imports the dataset module for one file.
        found = pq.ParquetFile(path).read()
        if foreign := sorted(set(found.column_names) - set(wanted.names)):
            raise KeyError(f"it has a column {foreign[0]}, as another table")
        columns = [
            found.column(each.name).cast(each.type)
            if each.name in found.column_names
            else pa.nulls(found.num_rows, each.type)
            for each in wanted
        ]
        return pa.table(columns, schema=wanted)
    except FileNotFoundError:
        return wanted.empty_table()
    except PermissionError as error:
        raise CaseError(f"{path} cannot be read: permission denied") from error
    except (OSError, pa.ArrowException, KeyError) as error:
        raise CaseError(f"{path} is damaged: {error}") from error
