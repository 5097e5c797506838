"""Windows events as flat JSON: NXLog's im_msvistalog, and exports in the same names (Hostname, SourceName).

One object an event; the System element's values and the EventData fields stand side by side. Read are

* NXLog `to_json()` (https://docs.nxlog.co/refman/current/im/msvistalog.html): `EventTime`, `Hostname`,
  `SourceName`, `ProviderGuid`, `RecordNumber`, `ExecutionProcessID` (an integer `ProcessID` in older
  versions), `ThreadID`, `EventType`, `SeverityValue`, …, with or without the keys that Logstash adds
  (`@timestamp`, `@version`, `host`, `port`, `tags`, `type`), as whole lines or behind a syslog header;
* exports with the same names and `TimeCreated` (the OTRF recordings since late 2020).

What becomes of the envelope: the System columns take what has a column. `EventType` (AUDIT_SUCCESS, INFO, …)
becomes `Level` where no level is written: NXLog writes none, and INFO may have been 0 or 4. Account, domain
and type of the event's `UserID`, resolved by the collector, stay as fields (`AccountName`, `Domain`,
`AccountType`), and so does `EventReceivedTime`. Words that only render a number (`Severity`, `Opcode`,
`Category`) and the keys of the transport are not kept. NXLog sends neither UserData nor unnamed Data: for
such events the text is in `Message` alone. `EventType` of the EventData (Sysmon 12 to 14) is told from
NXLog's own by `EventTypeOrignal` (sic) or its value.

Time: NXLog writes `EventTime` without zone in the local time of the machine it runs on, whole seconds. The
zone is found, in this order: in the time itself; from `EventReceivedTime` (same clock) beside Logstash's
`@timestamp` (UTC) of the same record; from Sysmon's `UtcTime`, or `@timestamp`, in the head of the file; from
option or site. A zone that is written is kept even if Sysmon's `UtcTime` contradicts it: that is a warning
with the difference, since exports exist that write local time with a 'Z'.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

from detector.errors import EvidenceError
from detector.formats.base import FIRST_YEAR, LAST_YEAR, Format, Input, Item, ReadContext
from detector.formats.windows.fields import (
    event_kind_of,
    field_names_of,
    guid,
    integer,
    optional_text,
    texts,
)
from detector.formats.windows.json_reader import Parts, read_objects, sample_objects, split_of
from detector.tables.evidence import ReadWarning
from detector.tables.windows import WindowsRecord

_TIMES = ("EventTime", "TimeCreated", "EventTimeWritten", "@timestamp")

#: Keys of the envelope, whoever wrote it.
_ENVELOPE = frozenset(
    {
        "Hostname",
        "SourceName",
        "ProviderGuid",
        "Channel",
        "EventID",
        "EventTime",
        "EventTimeWritten",
        "TimeCreated",
        "@timestamp",
        "Level",
        "Keywords",
        "Task",
        "Message",
        "RecordNumber",
        "ActivityID",
        "RelatedActivityID",
    }
)
#: Keys that NXLog adds, told by `SeverityValue` or `SourceModuleType`.
_NXLOG = _ENVELOPE | {
    "EventType",
    "EventTypeOrignal",
    "Severity",
    "SeverityValue",
    "Version",
    "Opcode",
    "OpcodeValue",
    "Category",
    "UserID",
    "ExecutionProcessID",
    "ThreadID",
    "SourceModuleName",
    "SourceModuleType",
    "ERROR_EVT_UNRESOLVED",
}
#: Keys that Logstash adds beside `@version`.
_LOGSTASH = frozenset({"@version", "host", "port", "tags", "type"})

_LEVELS = {
    "AUDIT_SUCCESS": 0,
    "AUDIT_FAILURE": 0,
    "CRITICAL": 1,
    "ERROR": 2,
    "WARNING": 3,
    "INFO": 4,
    "VERBOSE": 5,
    "DEBUG": 5,
}


def recognise(head: bytes) -> bool:
    """Are there flat Windows events with NXLog's names at the beginning?"""
    if b"EventID" not in head.replace(b"\0", b""):
        return False
    return any(_is_event(tree) for tree in sample_objects(head))


def _is_event(tree: dict[str, Any]) -> bool:
    return (
        "EventID" in tree
        and "Hostname" in tree
        and ("SourceName" in tree or "Source" in tree)
        and ("Channel" in tree or ("SeverityValue" in tree and "RecordNumber" in tree))
        and any(key in tree for key in _TIMES)
    )


def read(source: Input) -> Iterator[Item]:
    """Yield the events of the file; see the module for what becomes of each key."""
    clock = _Clock(source.head, source.context)

    def convert(tree: dict[str, Any], _: bytes) -> Parts:
        return _parts(tree, clock)

    for item in read_objects(source, convert):
        yield item
        if clock.contradiction is not None and isinstance(item, WindowsRecord):
            yield ReadWarning(item.offset, clock.contradiction, 0)
            clock.contradiction = None


class _Plan(NamedTuple):
    """What to do with the objects that have the same keys: worked out once.

    `fields` looks up the values of the EventData fields, and `names` are the names under which they are
    stored (sorted, since shippers write the keys in any order). `keys` names where the envelope's values
    are: level or event type, version, opcode, process, thread, user, provider.
    """

    names: tuple[str, ...]
    fields: Callable[[dict[str, Any]], tuple[Any, ...]]
    level: str
    version: str
    opcode: str
    process_id: str
    thread_id: str
    user_id: str
    provider: str


_PLANS: dict[tuple[tuple[str, ...], bool, bool], _Plan] = {}
_PLANS_LIMIT = 4096


def _plan(keys: tuple[str, ...], own_process: bool, own_type: bool) -> _Plan:
    """Return the plan for objects with these keys, and remember it.

    own_process: ProcessID is NXLog's (an integer), not a field of the event; own_type: EventType is NXLog's.
    """
    nxlog = "SeverityValue" in keys or "SourceModuleType" in keys
    rest = set(keys) - (_NXLOG if nxlog else _ENVELOPE)
    if "@version" in keys:
        rest -= _LOGSTASH
    level = "Level"
    if nxlog and "Level" not in keys:
        level = "EventTypeOrignal" if "EventTypeOrignal" in keys else "EventType" if own_type else "Level"
    if nxlog and "EventType" in keys and level != "EventType" and not own_type:
        rest.add("EventType")
    process_id = "ExecutionProcessID"
    if nxlog and own_process and process_id not in keys:
        process_id = "ProcessID"
        rest.discard(process_id)
    provider = "SourceName" if "SourceName" in keys else "Source"
    rest.discard(provider)
    ordered = tuple(sorted(rest))
    plan = _Plan(
        field_names_of(ordered),
        _getter(ordered),
        level,
        "Version" if nxlog else "",
        "OpcodeValue" if nxlog else "",
        process_id,
        "ThreadID" if nxlog else "",
        "UserID" if nxlog else "",
        provider,
    )
    if len(_PLANS) >= _PLANS_LIMIT:
        _PLANS.clear()
    _PLANS[keys, own_process, own_type] = plan
    return plan


def _getter(keys: tuple[str, ...]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """Return a function that gives the values of these keys as a tuple, however few they are."""
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda tree: tuple(tree[key] for key in keys)


def _parts(tree: dict[str, Any], clock: _Clock) -> Parts:
    """Return (system, names, values) of one object; raises EvidenceError if it is no Windows event."""
    get = tree.get
    kind = get("EventType")
    own = (
        type(get("ProcessID")) is int,
        type(kind) is str and kind in _LEVELS and "EventTypeOrignal" not in tree,
    )
    keys = tuple(tree)
    plan = _PLANS.get((keys, *own)) or _plan(keys, *own)
    event_id, provider = get("EventID"), get(plan.provider)
    if event_id is None or (provider is None and "Hostname" not in tree):
        raise EvidenceError("no Windows event: it has no EventID, Hostname or SourceName")
    level = get(plan.level)
    if plan.level != "Level":
        level = _LEVELS.get(level) if type(level) is str else None
    raw = (
        get("Channel"),
        provider,
        get("ProviderGuid"),
        event_id,
        None,
        get(plan.version),
        level,
        get("Task"),
        get(plan.opcode),
        get("Keywords"),
    )
    computer, message, activity = get("Hostname"), get("Message"), get("ActivityID")
    system = (
        clock.time_of(tree),
        *event_kind_of(raw),
        integer(get("RecordNumber")),
        computer if type(computer) is str else optional_text(computer),
        integer(get(plan.process_id)),
        integer(get(plan.thread_id)),
        None if activity is None else guid(activity),
        guid(get("RelatedActivityID")),
        optional_text(get(plan.user_id)),
        message if type(message) is str else optional_text(message),
    )
    return system, plan.names, texts(plan.fields(tree))


class _Clock:
    """Finds the UTC time of a record, as the module says; all segments of a file learn from its head."""

    def __init__(self, head: bytes, context: ReadContext) -> None:
        samples = sample_objects(head, limit=10_000) if head else []
        self._zone = context.time_zone
        self._beside: dict[tuple[str, str], timedelta | None] = {}
        self._times: dict[tuple[Any, Any, Any], datetime] = {}
        self._sysmon_seen = 0
        self.contradiction: str | None = None
        sysmon = _voted(_sysmon_offset(tree) for tree in samples)
        beside = _voted(self._offset_beside(tree) for tree in samples)
        #: Does the pair EventReceivedTime, @timestamp tell the truth?
        self._trust = sysmon is None or beside is None or sysmon == beside
        stamp = _voted(_stamp_offset(tree) for tree in samples)
        self._offset = sysmon if sysmon is not None else beside if beside is not None else stamp
        self._zone_fits = self._offset is None or _zone_fits(self._zone, self._offset, samples)
        self._needed = any(_naive(tree) is not None for tree in samples)
        if self._needed and self._offset is None:
            context.zone()

    @property
    def needs_zone(self) -> bool:
        """Are there times whose zone the head does not tell?"""
        return self._needed and self._offset is None

    def time_of(self, tree: dict[str, Any]) -> datetime | None:
        """Return the time of the event in UTC; None if it has none that can be understood."""
        written = tree.get("EventTime")
        if type(written) is str and len(written) == 19:
            # Whole seconds without zone: many events have the same.
            key = written, tree.get("EventReceivedTime"), tree.get("@timestamp")
            if type(key[2]) is str:
                key = written, key[1], key[2][:16]
            if (known := self._times.get(key)) is None and (known := self._utc(tree)) is not None:
                if len(self._times) >= 4096:
                    self._times.clear()
                self._times[key] = known
            return known
        return self._utc(tree)

    def _utc(self, tree: dict[str, Any]) -> datetime | None:
        time = _stated(tree)
        if time is None:
            return None
        if time.tzinfo is not None:
            if self._sysmon_seen < 100 and "UtcTime" in tree and self.contradiction is None:
                self._compare(tree, time)
            return time if time.tzinfo is UTC else time.astimezone(UTC)
        offset = self._offset_beside(tree) if self._trust else None
        if offset is None and self._zone is not None and self._zone_fits:
            return time.replace(tzinfo=self._zone).astimezone(UTC)
        if offset is None:
            offset = self._offset
        if offset is None:
            raise EvidenceError("its time states no zone, and nothing beside it tells one")
        return (time - offset).replace(tzinfo=UTC)

    def _offset_beside(self, tree: dict[str, Any]) -> timedelta | None:
        """Return local time minus UTC, from the collector's clock beside Logstash's."""
        received, stamp = tree.get("EventReceivedTime"), tree.get("@timestamp")
        if type(received) is not str or type(stamp) is not str:
            return None
        key = received[:16], stamp[:16]
        if key in self._beside:
            return self._beside[key]
        local, utc = _parse(received), _parse(stamp)
        offset = None
        if local is not None and local.tzinfo is None and utc is not None and utc.tzinfo is not None:
            offset = _round(local, utc, timedelta(minutes=10))
        if len(self._beside) >= 4096:
            self._beside.clear()
        self._beside[key] = offset
        return offset

    def _compare(self, tree: dict[str, Any], time: datetime) -> None:
        """Note it, once, if Sysmon's UtcTime is hours away from a time that states its zone."""
        self._sysmon_seen += 1
        offset = _sysmon_offset(tree)
        if offset:
            hours = offset / timedelta(hours=1)
            self.contradiction = (
                f"times are written as {time.tzname()}, but Sysmon's own UtcTime differs by {-hours:+g} h: "
                "the zone written is wrong; times of this file are kept as written"
            )
            self._sysmon_seen = 100


def _stated(tree: dict[str, Any]) -> datetime | None:
    """Return the time of the event as written, with a zone only if it states one."""
    for key in _TIMES:
        value = tree.get(key)
        if value is not None and (time := _parse(value)) is not None:
            return time
    return None


def _parse(value: Any) -> datetime | None:
    """Return a time from ISO 8601 text, with or without zone, or from a number since 1970 (s, ms or us)."""
    try:
        if type(value) is str:
            time = datetime.fromisoformat(value)
        elif type(value) is int:
            scale = 1 if value < 10**11 else 10**3 if value < 10**14 else 10**6
            time = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=value * (10**6 // scale))
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return time if FIRST_YEAR <= time.year <= LAST_YEAR else None


def _naive(tree: dict[str, Any]) -> datetime | None:
    time = _stated(tree)
    return time if time is not None and time.tzinfo is None else None


def _round(local: datetime, utc: datetime, tolerance: timedelta) -> timedelta | None:
    """Return the difference as a multiple of half an hour, as zones are; None if it is not near one."""
    difference = local.replace(tzinfo=None) - utc.astimezone(UTC).replace(tzinfo=None)
    offset = timedelta(minutes=30) * round(difference / timedelta(minutes=30))
    return offset if abs(difference - offset) <= tolerance and abs(offset) <= timedelta(hours=26) else None


def _sysmon_offset(tree: dict[str, Any]) -> timedelta | None:
    """Return the written time minus Sysmon's UtcTime (`2020-10-19 02:56:14.360`), if both name one moment."""
    time, utc = _stated(tree), _parse(tree.get("UtcTime"))
    if time is None or utc is None or "Sysmon" not in str(tree.get("SourceName")):
        return None
    if time.tzinfo is not None:
        time = time.astimezone(UTC)
    return _round(time, utc.replace(tzinfo=UTC), timedelta(seconds=30))


def _stamp_offset(tree: dict[str, Any]) -> timedelta | None:
    """Return the written time minus @timestamp, if the event was shipped at once."""
    time, stamp = _naive(tree), _parse(tree.get("@timestamp"))
    if time is None or stamp is None or stamp.tzinfo is None:
        return None
    return _round(time, stamp, timedelta(minutes=2))


def _voted(offsets: Iterator[timedelta | None]) -> timedelta | None:
    """Return the offset on which more than half of the records agree."""
    votes = Counter(offset for offset in offsets if offset is not None)
    if not votes:
        return None
    offset, count = votes.most_common(1)[0]
    return offset if count * 2 > votes.total() else None


def _zone_fits(zone: Any, offset: timedelta, samples: list[dict[str, Any]]) -> bool:
    """Does the zone that was given have the offset that the head shows? Then it knows summer time, too."""
    time = next((time for tree in samples if (time := _naive(tree)) is not None), None)
    return zone is not None and time is not None and time.replace(tzinfo=zone).utcoffset() == offset


def needs_zone(head: bytes) -> bool:
    """Are there times without zone, and nothing in the head that tells it?"""
    return _Clock(head, ReadContext(time_zone=UTC)).needs_zone


FORMAT = Format("json_nxlog", recognise, read, split_by_head=split_of, needs_zone=needs_zone)
