"""CSV and tab-separated text as Event Viewer saves a log ("Save All Events As").

One row an event, newest first: level or keywords, date and time, source, event id, task category, and a
column more than the header names: the message, in the language of the machine, quoted, of many lines. The
facts stand only there; `message_fields.py` reads them back. The header is told by its names in Japanese and
English, or, in other languages, by its rows: as many columns and one more, a time in the second, a number in
the fourth. Columns that a user added to the view (Log, Computer, User, ...) are read where they stand.

What the file does not say: the channel, told from source and event id (`messages/channels.toml`; a source
that is not there is taken to be of the channel that the head of the file shows, if it shows one); the
computer, told by `[[sources]]` of site.toml, else NULL; record numbers, versions, numbers of tasks. A
Security event has level 0. Times are local, whole seconds, without zone, in the order of the machine's
region, which is told over the head of the file (`local_times.py`); events of one second are kept apart by
microseconds in the order that the file has them. The zone is the one given, else that of Sysmon's `UtcTime`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache, lru_cache, partial
from pathlib import Path
from tomllib import loads
from typing import NamedTuple

from detector.errors import EvidenceError
from detector.formats.base import Format, Input, Item
from detector.formats.delimited import DELIMITERS, Row, head_rows, header_of, read_rows
from detector.formats.windows.fields import field_names_of
from detector.formats.windows.local_times import DateOrder, local_time, order_of
from detector.formats.windows.message_fields import account_sid, event_fields
from detector.tables.evidence import ReadWarning
from detector.tables.windows import WindowsRecord

#: Names of columns without blanks, in lower case.
_COLUMNS: dict[str, str] = {
    "level": "level", "レベル": "level",
    "keywords": "keywords", "キーワード": "keywords",
    "dateandtime": "time", "日付と時刻": "time",
    "source": "source", "ソース": "source",
    "eventid": "id", "イベントid": "id",
    "taskcategory": "task", "タスクのカテゴリ": "task",
    "user": "user", "ユーザー": "user",
    "log": "log", "ログ": "log",
    "computer": "computer", "コンピューター": "computer", "コンピュータ": "computer",
    "processid": "process_id", "プロセスid": "process_id",
    "threadid": "thread_id", "スレッドid": "thread_id",
}  # fmt: skip

_LEVELS = {
    "critical": 1, "重大": 1, "error": 2, "エラー": 2, "warning": 3, "警告": 3,
    "information": 4, "情報": 4, "verbose": 5, "詳細": 5,
}  # fmt: skip

_SUCCESS, _FAILURE = "0x8020000000000000", "0x8010000000000000"
_KEYWORDS = {
    "audit success": _SUCCESS, "成功の監査": _SUCCESS, "監査の成功": _SUCCESS, "監査成功": _SUCCESS,
    "audit failure": _FAILURE, "失敗の監査": _FAILURE, "監査の失敗": _FAILURE, "監査失敗": _FAILURE,
}  # fmt: skip

_UTC_TIME = re.compile(r"^UtcTime: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", re.MULTILINE)
_HALF_HOUR = timedelta(minutes=30)
#: How many events of one second are put in order together.
_AT_ONCE = 10_000


class _Plan(NamedTuple):
    """How to read a file: told from its head."""

    delimiter: str
    width: int
    columns: dict[str, int]
    order: DateOrder
    channel: str | None
    offset: timedelta | None
    newest_first: bool


def recognise(head: bytes) -> bool:
    """Does the file begin like a log that Event Viewer saved?"""
    return _plan(head) is not None


@lru_cache(4)
def _plan(head: bytes) -> _Plan | None:
    """Return how to read a file with this head; None if it is no such file."""
    delimiter, names = header_of(head)
    if delimiter not in DELIMITERS[:2] or not 4 <= len(names) <= 25:
        return None
    rows = head_rows(head, delimiter, 1000)[1:]
    found = [_COLUMNS.get("".join(name.split()).casefold()) for name in names]
    columns = {name: at for at, name in enumerate(found) if name}
    if not {"time", "source", "id"} <= columns.keys():
        columns = {"level": 0, "time": 1, "source": 2, "id": 3, "task": 4}
        if len(names) != 5 or not rows or any(len(row) != 6 for row in rows[:20]):
            return None
        if not all(row[3].strip().isdecimal() and order_of([row[1]]) for row in rows[:20]):
            return None
    rows = [row for row in rows if len(row) > columns["time"]]
    order = order_of([row[columns["time"]] for row in rows]) if rows else DateOrder("YMD")
    if order is None:
        return None
    full = [row for row in rows if len(row) > len(names) and row[columns["id"]].strip().isdecimal()]
    times = [time for row in rows if (time := local_time(row[columns["time"]], order.order)) is not None]
    return _Plan(
        delimiter,
        len(names),
        columns,
        order,
        _one_channel(full, columns),
        _offset(full, columns, order),
        not times or times[0] >= times[-1],
    )


def _one_channel(rows: list[list[str]], columns: dict[str, int]) -> str | None:
    """Return the channel of all rows whose source is known, if it is one: a file is saved from one log."""
    known = {_channel_of(_provider(row[columns["source"]]), int(row[columns["id"]])) for row in rows} - {None}
    return known.pop() if len(known) == 1 else None


def _offset(rows: list[list[str]], columns: dict[str, int], order: DateOrder) -> timedelta | None:
    """Return the local time less UTC, as most of Sysmon's events show it."""
    votes: Counter[timedelta] = Counter()
    for row in rows:
        time = local_time(row[columns["time"]], order.order)
        if time is None or "Sysmon" not in row[columns["source"]] or not (utc := _UTC_TIME.search(row[-1])):
            continue
        difference = time - datetime.fromisoformat(f"{utc[1]}Z")
        offset = _HALF_HOUR * round(difference / _HALF_HOUR)
        if abs(difference - offset) <= timedelta(seconds=30) and abs(offset) <= timedelta(hours=14):
            votes[offset] += 1
    if not votes:
        return None
    offset, count = votes.most_common(1)[0]
    return offset if count * 2 > votes.total() else None


def read(source: Input) -> Iterator[Item]:
    """Yield the events of the file; see the module. Raises TimeZoneError if nothing tells the zone."""
    plan = _plan(source.head)
    if plan is None:
        raise EvidenceError("its head is not that of a log saved by Event Viewer")
    zone = source.context.time_zone
    if zone is None and plan.offset is not None:
        zone = timezone(plan.offset)
    zone = zone or source.context.zone()
    if not plan.order.sure:
        shown = {"DMY": "day, month, year", "MDY": "month, day, year", "YMD": "year, month, day"}[
            plan.order.order
        ]
        yield ReadWarning(0, f"its dates do not tell day and month apart; read as {shown}", 0)
    waiting: list[WindowsRecord] = []
    for row in read_rows(source, plan.delimiter, partial(_begins, plan)):
        if row.offset == 0 and isinstance(row, Row):
            continue
        item = row if isinstance(row, ReadWarning) else _record(row, plan, zone, source.context.computer)
        if waiting and (
            not isinstance(item, WindowsRecord)
            or item.system[0] != waiting[0].system[0]
            or len(waiting) >= _AT_ONCE
        ):
            yield from _in_order(waiting, plan.newest_first)
            waiting = []
        if isinstance(item, WindowsRecord):
            waiting.append(item)
        else:
            yield item
    yield from _in_order(waiting, plan.newest_first)


def _in_order(records: list[WindowsRecord], newest_first: bool) -> Iterator[WindowsRecord]:
    """Yield the events of one second, in file order, each a microsecond behind the one that came before it.

    The file has whole seconds but knows the order: without that, what reads events by time would see them in
    the order of the file, which is the wrong way round.
    """
    for at, record in enumerate(records):
        time = record.system[0]
        assert isinstance(time, datetime)
        behind = len(records) - 1 - at if newest_first else at
        yield record._replace(system=(time + timedelta(microseconds=behind), *record.system[1:]))


def _begins(plan: _Plan, line: str) -> bool:
    """Does a line look like the beginning of a row?"""
    cells = line.split(plan.delimiter, plan.width)
    return (
        len(cells) > plan.width
        and cells[plan.columns["id"]].strip().isdecimal()
        and local_time(cells[plan.columns["time"]], plan.order.order) is not None
    )


def _record(row: Row, plan: _Plan, zone: tzinfo, computer: str | None) -> WindowsRecord | ReadWarning:
    values, columns = row.values, plan.columns
    if len(values) <= max(columns["time"], columns["id"], columns["source"]):
        return ReadWarning(row.offset, f"line {row.number}: no event, it has {len(values)} values")
    shown = values[columns["time"]]
    time = local_time(shown, plan.order.order, zone)
    number = values[columns["id"]].strip()
    if time is None or not (number.isascii() and number.isdecimal()) or len(number) > 9:
        what = f"no time: {shown[:40]!r}" if time is None else f"no event id: {number[:40]!r}"
        return ReadWarning(row.offset, f"line {row.number}: {what}")

    def cell(name: str) -> str | None:
        at = columns.get(name)
        return values[at].strip() or None if at is not None and at < len(values) else None

    event_id = int(number)
    provider = _provider(values[columns["source"]])
    message = plan.delimiter.join(values[plan.width :])
    channel = cell("log") or _channel_of(provider, event_id) or plan.channel
    level = _LEVELS.get((cell("level") or "").casefold())
    process_id, thread_id = cell("process_id") or "", cell("thread_id") or ""
    names, data = event_fields(provider, event_id, message)
    system = (
        time.astimezone(UTC),
        channel,
        provider or None,
        None,
        event_id,
        None,
        None,
        0 if channel == "Security" and level == 4 else level,
        None,
        None,
        _KEYWORDS.get((cell("keywords") or "").casefold()),
        None,
        cell("computer") or computer,
        int(process_id) if process_id.isascii() and process_id.isdecimal() else None,
        int(thread_id) if thread_id.isascii() and thread_id.isdecimal() else None,
        None,
        None,
        account_sid(user) if (user := cell("user")) else None,
        message or None,
    )
    return WindowsRecord(row.offset, row.number, system, field_names_of(names), data, len(message) + 64)


def _provider(shown: str) -> str:
    """Return the name of a provider from how Event Viewer shows it."""
    shown = shown.strip()
    table = _table()
    if shown in table.providers:
        return table.providers[shown]
    full = f"Microsoft-Windows-{shown}"
    return full if full in table.channels and shown not in table.channels else shown


def _channel_of(provider: str, event_id: int) -> str | None:
    table = _table()
    return table.by_event.get((provider, event_id)) or table.channels.get(provider)


class _Channels(NamedTuple):
    channels: dict[str, str]
    by_event: dict[tuple[str, int], str]
    providers: dict[str, str]


@cache
def _table() -> _Channels:
    path = Path(__file__).parent / "messages" / "channels.toml"
    data = loads(path.read_text(encoding="utf-8"))
    by_event = {
        (provider, int(number)): channel
        for provider, events in data["channels_by_event"].items()
        for number, channel in events.items()
    }
    return _Channels(data["channels"], by_event, data["providers"])


def needs_zone(head: bytes) -> bool:
    """Does nothing in the head tell the zone of its times?"""
    plan = _plan(head)
    return plan is not None and plan.offset is None


FORMAT = Format("csv_event_viewer", recognise, read, needs_zone=needs_zone)
