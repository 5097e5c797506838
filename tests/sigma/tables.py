"""Small event tables for tests: dictionaries to views of an engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from detector.case.channels import view_of
from detector.engines import Engine
from detector.tables.network import FIREWALL_COLUMNS, VPN_COLUMNS
from detector.tables.windows import WINDOWS_COLUMNS

TIME = datetime(2022, 10, 31, 5, 6, 7, 123456, tzinfo=UTC)


def windows_engine(events: Iterable[Mapping[str, Any]], engine: Engine | None = None) -> Engine:
    """Return an engine with the views of these events, keyed by column; Channel is Security if not given.

    engine: one to use again; views that the events do not fill keep what they had.
    """
    by_view: dict[str, list[dict[str, Any]]] = {}
    for offset, event in enumerate(events):
        row = {"site": "s", "evidence_id": "e", "evidence_offset": offset, "TimeCreated": TIME}
        row |= {"Channel": "Security", "Computer": "PC1", **event}
        by_view.setdefault(view_of(row["Channel"] or ""), []).append(row)
    engine = engine or Engine()
    for view, rows in by_view.items():
        engine.register(view, _table(rows, WINDOWS_COLUMNS))
    everything = [row for rows in by_view.values() for row in rows]
    engine.register("windows", _table(everything, WINDOWS_COLUMNS).select(list(WINDOWS_COLUMNS)))
    return engine


def network_engine(view: str, rows: Iterable[Mapping[str, Any]]) -> Engine:
    """Return an engine with a firewall or vpn view."""
    engine = Engine()
    columns = FIREWALL_COLUMNS if view == "firewall" else VPN_COLUMNS
    filled = [
        {"site": "s", "evidence_id": "e", "evidence_offset": offset, "time": TIME, **row}
        for offset, row in enumerate(rows)
    ]
    engine.register(view, _table(filled, columns))
    return engine


def _table(rows: list[dict[str, Any]], columns: Mapping[str, pa.DataType]) -> pa.Table:
    # Names that differ in case only are one column, as in a case.
    names = {name.lower(): name for row in reversed(rows) for name in row} | {
        name.lower(): name for name in columns
    }
    folded = [{name.lower(): value for name, value in row.items()} for row in rows]
    return pa.table(
        {
            name: pa.array([row.get(key) for row in folded], columns.get(name, pa.string()))
            for key, name in names.items()
        }
    )
