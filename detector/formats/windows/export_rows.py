"""What the readers of exports share: rows and objects with column names, System values, restored values.

An export (EvtxECmd, PowerShell, Splunk, Azure, Velociraptor, Hayabusa) writes the same events with other
types and spellings. What it changed and can be told is undone here, so that values are those of
docs/architecture.md.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from detector.errors import EvidenceError
from detector.formats.base import FIRST_YEAR, LAST_YEAR, Input, Item
from detector.formats.delimited import DELIMITERS, Row, head_rows, read_rows
from detector.formats.lines import text_of
from detector.formats.windows.fields import (
    Fields,
    SystemValues,
    event_kind_of,
    fields,
    guid,
    integer,
    optional_text,
    text,
)
from detector.formats.windows.json_reader import Parts, sample_objects
from detector.tables.evidence import ReadWarning
from detector.tables.windows import SYSTEM_COLUMNS, WindowsRecord

#: Turns a row, by column name, into (system, names, values); raises EvidenceError if it is no event.
ConvertRow = Callable[[dict[str, str]], Parts]

LEVELS = {
    "logalways": 0,
    "critical": 1,
    "error": 2,
    "warning": 3,
    "information": 4,
    "info": 4,
    "informational": 4,
    "verbose": 5,
}
#: The mask of an audit event: the bit of its outcome and the one by which all of Security-Auditing name a
#: channel.
AUDIT_SUCCESS, AUDIT_FAILURE = 0x8020000000000000, 0x8010000000000000
AUDITING = "Microsoft-Windows-Security-Auditing"

#: Ids of the Security log that the event log service itself writes.
_LOG_EVENTS = range(1100, 1109)
_RECORD_ID = list(SYSTEM_COLUMNS).index("EventRecordID")

_HEX = re.compile("0[xX][0-9a-fA-F]{1,16}")
_GUID = re.compile("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
#: Fields in which the provider itself writes a GUID as bare text.
_TEXT_GUIDS = frozenset({"ScriptBlockId", "Data", "Binary"})
#: Fields in which the provider itself writes hexadecimal digits in capitals.
_TEXT_HEX = frozenset({"StartAddress", "Data", "Binary"})

#: Fields that the providers' manifests declare as HexInt or Pointer, and exports with typed values as
#: numbers.
_HEX_FIELDS = {
    AUDITING: frozenset(
        {
            "SubjectLogonId",
            "TargetLogonId",
            "TargetLinkedLogonId",
            "LogonId",
            "LogonID",
            "NewProcessId",
            "ProcessId",
            "CallerProcessId",
            "SourceProcessId",
            "TargetProcessId",
            "Status",
            "SubStatus",
            "HandleId",
            "SourceHandleId",
            "TargetHandleId",
            "AccessMask",
            "TicketOptions",
            "TicketEncryptionType",
            "FailureCode",
            "OldUacValue",
            "NewUacValue",
        }
    ),
    "Microsoft-Windows-Sysmon": frozenset({"LogonId", "GrantedAccess"}),
    "Microsoft-Windows-Eventlog": frozenset({"SubjectLogonId"}),
}
#: Ids of Security-Auditing whose `ProcessId` is a plain number: those of the Windows Filtering Platform.
_FILTERING = range(5031, 5160)


def system_values(
    time: datetime | None,
    *,
    channel: Any = None,
    provider: Any = None,
    provider_guid: Any = None,
    event_id: Any = None,
    qualifiers: Any = None,
    version: Any = None,
    level: Any = None,
    task: Any = None,
    opcode: Any = None,
    keywords: Any = None,
    record_id: Any = None,
    computer: Any = None,
    process_id: Any = None,
    thread_id: Any = None,
    activity: Any = None,
    related: Any = None,
    user: Any = None,
    message: Any = None,
) -> SystemValues:
    """Return the System tuple from values as an export has them; empty text is none.

    Raises EvidenceError if there is no event id: what has none is no Windows event.
    """
    kind = event_kind_of(
        (
            channel,
            provider,
            provider_guid,
            event_id,
            qualifiers,
            version,
            level_number(level),
            task,
            opcode,
            keywords,
        )
    )
    if kind[3] is None:
        raise EvidenceError("no Windows event: it has no event id")
    return (
        time,
        *kind,
        integer(record_id),
        optional_text(computer),
        integer(process_id),
        integer(thread_id),
        _no_null(guid(activity)),
        _no_null(guid(related)),
        optional_text(user),
        optional_text(message),
    )


def _no_null(value: str | None) -> str | None:
    """Return the GUID, None for the null GUID, by which exports say that there is none."""
    return None if value == "{00000000-0000-0000-0000-000000000000}" else value


def level_number(level: Any) -> Any:
    """Return the number of a level's English word, and anything else as it is."""
    return LEVELS.get(level.lower(), level) if type(level) is str else level


def audit_keywords(words: Any) -> str | None:
    """Return the mask of `Audit Success` or `Audit Failure` in any spelling; None of other words."""
    word = str(words).strip().lower().replace("_", " ")
    if word.startswith("0x"):
        return word
    mask = {"audit success": AUDIT_SUCCESS, "audit failure": AUDIT_FAILURE}.get(word)
    return None if mask is None else f"0x{mask:x}"


def restored(pairs: Iterable[tuple[str, Any]], provider: Any = None, event_id: int | None = None) -> Fields:
    """Return names and values of fields as Windows writes them.

    Undone are: GUIDs without braces, hexadecimal digits in capitals, `True` and `False`, and numbers where
    the provider's manifest has hexadecimal ones.
    """
    hex_fields = _HEX_FIELDS.get(provider, frozenset()) if type(provider) is str else frozenset()
    found: list[tuple[str, str | None]] = []
    for name, value in pairs:
        if (
            type(value) is int
            and name in hex_fields
            and value >= 0
            and not (event_id in _FILTERING and name == "ProcessId")
        ):
            found.append((name, f"0x{value:x}"))
        else:
            found.append((name, restored_text(name, text(value))))
    return fields(found)


def restored_text(name: str, value: str) -> str:
    """Return one value as `restored` does, from its text."""
    size = len(value)
    if size == 36:
        return f"{{{value.lower()}}}" if name not in _TEXT_GUIDS and _GUID.fullmatch(value) else value
    if 3 <= size <= 18 and value[0] == "0" and name not in _TEXT_HEX and _HEX.fullmatch(value):
        return value.lower()
    return value.lower() if value in ("True", "False") else value


def message_values(provider: Any, event_id: int | None, message: str | None) -> Fields:
    """Return names and values of the fields that a message shows: all that some exports have of them."""
    if not message or type(provider) is not str or event_id is None:
        return (), []
    # Its tables take time to read, and most exports do without.
    from detector.formats.windows.message_fields import event_fields

    names, values = event_fields(provider, event_id, message)
    return names, [
        None if value is None else restored_text(name, value)
        for name, value in zip(names, values, strict=True)
    ]


def iso_time(value: Any) -> datetime | None:
    """Return a time in ISO 8601, also of seven digits or nine; UTC where it states no zone; None for none."""
    if type(value) is not str:
        return None
    try:
        time = datetime.fromisoformat(value.strip().replace(" +", "+").replace(" -", "-"))
    except ValueError:
        return None
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def channel_of(provider: str, event_id: int | None) -> str | None:
    """Return the channel in which a provider writes an event; None if it is not known."""
    data = _channels()
    events = data["channels_by_event"].get(provider, {})
    found = events.get(str(event_id)) or data["channels"].get(provider)
    return found if type(found) is str else None


def provider_of(channel: str, event_id: int | None) -> str | None:
    """Return the provider of an event by its channel; None if several write there and no id tells."""
    if channel == "Security":
        return "Microsoft-Windows-Eventlog" if event_id in _LOG_EVENTS else AUDITING
    if channel == "System" and event_id is not None and 7000 <= event_id <= 7046:
        return "Service Control Manager"
    data = _channels()
    if event_id is not None:
        found = [
            provider
            for provider, events in data["channels_by_event"].items()
            if events.get(str(event_id)) == channel
        ]
        if len(found) == 1:
            return found[0]
    writers = [provider for provider, other in data["channels"].items() if other == channel]
    return writers[0] if len(writers) == 1 else None


@cache
def _channels() -> dict[str, dict[str, Any]]:
    path = Path(__file__).parent / "messages" / "channels.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


# --- tables (CSV)


@lru_cache(maxsize=4)
def columns_of(head: bytes) -> tuple[str, tuple[str, ...]]:
    """Return (delimiter, column names) of a table's header row.

    Before it may stand `#TYPE …`, which Export-Csv of Windows PowerShell writes, or `sep=,`, which Excel
    reads.
    """
    if text_of(head[:512]).lstrip()[:1] in ("{", "["):
        return DELIMITERS[0], ()
    best: tuple[str, tuple[str, ...]] = (DELIMITERS[0], ())
    for delimiter in DELIMITERS:
        for row in head_rows(head, delimiter, 3):
            if not _is_preamble(row):
                if len(row) > len(best[1]):
                    best = delimiter, tuple(name.strip() for name in row)
                break
    return best


def _is_preamble(row: list[str]) -> bool:
    return row[0].startswith(("#TYPE ", "sep="))


@lru_cache(maxsize=4)
def samples_of(head: bytes) -> tuple[dict[str, Any], ...]:
    """Return the first JSON objects of a file, for recognising it; they are shared and not to be changed."""
    return tuple(sample_objects(head))


def head_table(head: bytes, count: int = 50) -> list[dict[str, str]]:
    """Return the first rows of a table by column name, as far as the head has them."""
    delimiter, columns = columns_of(head)
    found: list[dict[str, str]] = []
    seen = False
    for row in head_rows(head, delimiter, count):
        if seen:
            found.append(dict(zip(columns, row, strict=False)))
        seen = seen or not _is_preamble(row)
    return found


def read_table(
    source: Input, convert: ConvertRow, begins: Callable[[str], object] | None = None
) -> Iterator[Item]:
    """Yield a WindowsRecord for each row below the header, a ReadWarning for each that is no event.

    `begins` tells whether a line looks like the beginning of a row, by which reading goes on behind a cut
    one.
    """
    delimiter, columns = columns_of(source.head)
    header = list(columns)
    for row in read_rows(source, delimiter, begins):
        if isinstance(row, ReadWarning):
            yield row
        elif not _is_preamble(row.values) and [name.strip() for name in row.values] != header:
            yield _record(row, columns, convert)


def _record(row: Row, columns: tuple[str, ...], convert: ConvertRow) -> Item:
    values = row.values
    if len(values) > len(columns):
        reason = f"line {row.number}: it has {len(values)} values, the header {len(columns)}"
        return ReadWarning(row.offset, reason)
    try:
        system, names, found = convert(dict(zip(columns, values, strict=False)))
    except EvidenceError as error:
        return ReadWarning(row.offset, f"line {row.number}: {error}")
    return WindowsRecord(row.offset, row.number, system, names, found, sum(map(len, values)))


class Seen:
    """Remembers the events of a file of hits, in which an event stands once for each rule that hit it."""

    _LIMIT = 200_000

    def __init__(self) -> None:
        #: How many events came again.
        self.repeated = 0
        self._keys: dict[int, None] = {}

    def first(self, system: SystemValues) -> bool:
        """Is this event new? One without record id always is; of very many, the oldest are forgotten."""
        if system[_RECORD_ID] is None:
            return True
        key = hash((system[0], system[1], system[4], system[_RECORD_ID], system[_RECORD_ID + 1]))
        if key in self._keys:
            self.repeated += 1
            return False
        if len(self._keys) >= self._LIMIT:
            del self._keys[next(iter(self._keys))]
        self._keys[key] = None
        return True
