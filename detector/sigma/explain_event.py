"""One event as a table of its own, from a case or from a dictionary, for `detector.sigma.explain`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from detector.case.channels import view_of
from detector.errors import RuleError
from detector.sigma.logsources import source
from detector.tables.network import FIREWALL_COLUMNS, VPN_COLUMNS
from detector.tables.windows import WINDOWS_COLUMNS

_NETWORK = {"firewall": FIREWALL_COLUMNS, "vpn": VPN_COLUMNS}
_MAX_INTEGER = 2**63 - 1


@dataclass(frozen=True)
class Event:
    """An event: the view in which a case has it, its row, and where it came from as people are told.

    `assumed` says what the event does not say of itself and was taken from the rule.
    """

    view: str
    row: pa.Table
    origin: str = ""
    assumed: str = ""

    def value(self, name: str) -> Any:
        """Return a column's value, None if the event lacks it."""
        return self.row[name][0].as_py() if name in self.row.column_names else None


def from_columns(
    values: Mapping[str, Any], sources: tuple[str, ...], table: str | None = None, origin: str = ""
) -> Event:
    """Return the event with these values of columns, by name; those of the System element are typed.

    sources: those of the rule, by which an event without Channel is placed. table: `windows`, `firewall` or
    `vpn`, None to tell from the values. Raises RuleError for a value that its column cannot hold.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if table in _NETWORK:
        return _network(given, table, origin)
    folded = {name.lower(): value for name, value in given.items()}
    if table is None and "channel" not in folded and source(sources[0]).kind == "network":
        return _network(given, sources[0].partition(":")[0], origin)
    assumed = ""
    if "channel" not in folded:
        view, number, assumed = _assumed(folded.get("eventid"), sources)
        if "eventid" not in folded and number is not None:
            given["EventID"] = number
    else:
        view = view_of(str(folded["channel"]))
    return Event(view, _table(given, WINDOWS_COLUMNS), origin, assumed)


def _assumed(event_id: Any, sources: tuple[str, ...]) -> tuple[str, int | None, str]:
    """Return view and EventID of an event that does not say where it is from: those that the rule reads."""
    candidates = [source(each) for each in sources]
    fitting = [each for each in candidates if event_id is not None and _integer(event_id) in each.event_ids]
    chosen = (fitting or candidates)[0]
    view = chosen.views[0] if chosen.views else "windows_security"
    number = chosen.event_ids[0] if chosen.event_ids and event_id is None else None
    what = view if number is None else f"{view}, EventID {number}"
    return view, number, f"the event names no Channel; taken for one of {what}, as the rule reads"


def _network(given: Mapping[str, Any], view: str, origin: str) -> Event:
    columns = _NETWORK[view]
    known = {name.lower() for name in columns}
    row = {name: value for name, value in given.items() if name.lower() in known}
    more = {name: _text(value) for name, value in given.items() if name.lower() not in known}
    if more:
        row["fields"] = more | dict(row.get("fields") or {})
    return Event(view, _table(row, columns), origin)


def _table(values: Mapping[str, Any], columns: Mapping[str, pa.DataType]) -> pa.Table:
    spelled = {name.lower(): name for name in columns}
    row: dict[str, Any] = dict.fromkeys(columns)
    for name, value in values.items():
        known = spelled.get(name.lower(), name)
        row[known] = _typed(known, value, columns[known]) if known in columns else _text(value)
    row |= {"evidence_id": row.get("evidence_id") or "", "evidence_offset": row.get("evidence_offset") or 0}
    return pa.table({name: pa.array([value], columns.get(name, pa.string())) for name, value in row.items()})


def _typed(name: str, value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_timestamp(kind):
        return _time(name, value)
    if pa.types.is_integer(kind):
        return _integer(value, name)
    if pa.types.is_floating(kind) and isinstance(value, (int, float)):
        return float(value)
    if pa.types.is_map(kind):
        if not isinstance(value, Mapping):
            raise RuleError(f"the event's {name} is to be an object, not {value!r}")
        return [(str(key), _text(each)) for key, each in value.items()]
    return _text(value)


def _time(name: str, value: Any) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise RuleError(f"the event's {name} is no point in time in ISO 8601: {value!r}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _integer(value: Any, name: str = "EventID") -> int | None:
    try:
        number = int(str(value), 0) if not isinstance(value, (int, float)) else int(value)
    except ValueError as error:
        raise RuleError(f"the event's {name} is no whole number: {value!r}") from error
    if abs(number) > _MAX_INTEGER:
        raise RuleError(f"the event's {name} is too large: {value!r}")
    return number


def _text(value: Any) -> str | None:
    """Return a value as readers store it (docs/architecture.md)."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "\n".join(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
