"""The columns that a rule's SQL reads, made from what a view has.

A field is looked up: what the log source says of it; a column of that name, whatever its case; another name
of the same System column; a column whose name differs in spaces, `_`, `-` and `.` only (Defender writes
`Threat Name`, rules `ThreatName`); for network devices a key of the line. What is nowhere is NULL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property

from detector.sigma.logsources import Source
from detector.sigma.quoting import column, identifier, literal
from detector.tables.network import FIREWALL_COLUMNS, VPN_COLUMNS
from detector.tables.windows import ORIGIN_COLUMNS, TIME, WINDOWS_COLUMNS

#: Other names that rules give to columns of the System element.
_ALIASES = {
    "computername": "Computer",
    "hostname": "Computer",
    "providername": "Provider_Name",
    "source": "Provider_Name",
    "logname": "Channel",
    "eventlog": "Channel",
    "recordid": "EventRecordID",
    "userid": "Security_UserID",
    "systemtime": "TimeCreated",
}

_TEMPLATE = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")
#: A text that may stand in a whole number.
_DIGITS = re.compile(r"-?[0-9]+")
_WHOLE_NUMBERS = frozenset(
    f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "", "BIG", "HUGE")
) | {"INTEGER", "UINTEGER"}
_IGNORED = re.compile(r"[ _.\-]")

#: Types that the schemas promise for columns a view lacks.
_TYPES = {
    name.lower(): "TIMESTAMP WITH TIME ZONE" if kind == TIME else "BIGINT"
    for name, kind in (WINDOWS_COLUMNS | FIREWALL_COLUMNS | VPN_COLUMNS).items()
    if kind == TIME or str(kind) == "int64"
}


class Provider:
    """Gives columns of one view to the rules of one log source.

    columns: those of the view, name -> DuckDB type, as `Engine.columns` gives them. table: what is read, if
    it is not the view itself.
    """

    def __init__(self, source: Source, view: str, columns: Mapping[str, str], table: str = "") -> None:
        self.source = source
        self.view = view
        self._table = table or view
        self.columns = columns
        #: Columns of the view that any SQL given out so far reads.
        self.read: set[str] = set()
        self._by_name = {name.lower(): name for name in columns}

    def over(self, table: str) -> Provider:
        """Return one that reads the same columns from a table that holds some events of the view."""
        return Provider(self.source, self.view, self.columns, table)

    def base(self, wanted: Iterable[tuple[str, str]], more: Iterable[str] = ()) -> str:
        """Return a SELECT of the events of the log source with the wanted (form, field) columns.

        more: further select-list entries.
        """
        listed = [f"{self._form(form, name)} AS {column(form, name)}" for form, name in wanted]
        return f"SELECT {', '.join([*more, *listed])} FROM {identifier(self._table)}{self.restriction()}"

    def restriction(self) -> str:
        """Return the WHERE clause that leaves the events of the log source, '' if all are."""
        conditions: list[str] = []
        if self.source.event_ids:
            conditions.append(self.of_its_ids())
        if self.source.condition:
            conditions.append(f"({self._filled(self.source.condition)})")
        return f" WHERE {' AND '.join(conditions)}" if conditions else ""

    def of_its_ids(self) -> str:
        """Return the test whether an event has one of the EventIDs of the log source, which has some."""
        listed = ", ".join(str(number) for number in self.source.event_ids)
        return f"{self.name('EventID')} IN ({listed})"

    def name(self, name: str) -> str:
        """Return a column of the view by its exact name, NULL of its type where the view lacks it."""
        found = self._by_name.get(name.lower())
        if found is not None:
            return self._named(found)
        return f"CAST(NULL AS {_TYPES.get(name.lower(), 'VARCHAR')})"

    def own(self, name: str) -> str:
        """Return a name for a column beside those of the view, which none of them has."""
        return self._prefix + name

    @cached_property
    def _prefix(self) -> str:
        prefix = "sigma "
        while any(name.startswith(prefix) for name in self._by_name):
            prefix = f"_{prefix}"
        return prefix

    def text(self, name: str) -> str:
        """Return SQL of a field of a rule as text."""
        return self._text(name)

    def all_fields(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Return the columns in which a keyword may be that has one of the texts."""
        whole = any(_DIGITS.fullmatch(text) for text in texts)
        return tuple(name for name in self._all_fields if whole or self.columns[name] == "VARCHAR")

    def _named(self, column: str) -> str:
        self.read.add(column)
        return identifier(column)

    def has(self, name: str) -> bool:
        """Tell whether the view has a column of this name."""
        return name.lower() in self._by_name

    def _form(self, form: str, name: str) -> str:
        if form in ("texts", "lowers"):
            wrap = "lower({})" if form == "lowers" else "{}"
            listed = (
                wrap.format(self._named(each))
                if self.columns[each] == "VARCHAR"
                else f"CAST({self._named(each)} AS VARCHAR)"
                for each in self._all_fields
            )
            return f"[{', '.join(listed)}]::VARCHAR[]"
        if form == "":
            return self._typed(name)
        text = self._text(name)
        return f"lower({text})" if form == "lower" else text

    def _typed(self, name: str) -> str:
        kind = _TYPES.get(name.lower())
        sql, found = self._value(name)
        return sql if kind is None or found == kind else f"TRY_CAST({sql} AS {kind})"

    def _text(self, name: str) -> str:
        sql, kind = self._value(name)
        if kind == "VARCHAR":
            return sql
        if kind.startswith("TIMESTAMP"):
            return f"strftime(timezone('UTC', {sql}), '%Y-%m-%dT%H:%M:%S.%fZ')"
        return f"CAST({sql} AS VARCHAR)"

    def _value(self, name: str) -> tuple[str, str]:
        """Return SQL and type of a field."""
        lower = name.lower()
        mapped = self.source.fields.get(lower)
        if mapped is not None:
            return f"({self._filled(mapped)})", "VARCHAR"
        found = self._by_name.get(lower) or self._by_name.get(_ALIASES.get(lower, "").lower())
        if self.source.kind == "network" and self.has("fields"):
            key = (
                f"list_filter(map_entries({self.name('fields')}), "
                f"lambda e: lower(e.key) = {literal(lower)})[1].value"
            )
            if found is None:
                return key, "VARCHAR"
            if self.source.vendor_fields:
                return f"coalesce({key}, CAST({self._named(found)} AS VARCHAR))", "VARCHAR"
        if found is None:
            found = self._similar.get(_IGNORED.sub("", lower))
        if found is None:
            kind = _TYPES.get(lower, "VARCHAR")
            return f"CAST(NULL AS {kind})", kind
        return self._named(found), self.columns[found]

    @cached_property
    def _similar(self) -> dict[str, str]:
        """Columns by name without spaces and such; a name that two would have is none's."""
        found: dict[str, str | None] = {}
        for name in self.columns:
            key = _IGNORED.sub("", name.lower())
            found[key] = None if key in found else name
        return {key: name for key, name in found.items() if name is not None}

    @cached_property
    def _all_fields(self) -> tuple[str, ...]:
        """Columns of texts and whole numbers that the event has, not those that say where it is kept."""
        hidden = {name.lower() for name in ORIGIN_COLUMNS}
        return tuple(
            name
            for name, kind in self.columns.items()
            if (kind == "VARCHAR" or kind in _WHOLE_NUMBERS) and name.lower() not in hidden
        )

    def _filled(self, template: str) -> str:
        def fill(found: re.Match[str]) -> str:
            return self.name(found[1]) if found[1] else found[0][0]

        return _TEMPLATE.sub(fill, template)
