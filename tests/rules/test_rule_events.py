"""Every rule hits its own events and none of its near misses, in the project's own engine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from detector.case.channels import view_of
from detector.engines import Engine
from detector.sigma.pack import Pack, load_pack
from detector.sigma.scan import scan
from detector.tables.network import FIREWALL_COLUMNS, VPN_COLUMNS
from detector.tables.windows import WINDOWS_COLUMNS
from tests.rules.pack import Case, as_process_event_of_security, cases, rule, rule_paths

STEMS = [path.stem for path in rule_paths()]
NOW = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)


def all_cases() -> list[Case]:
    found = []
    for stem in STEMS:
        for case in cases(stem):
            found.append(case)
            other_log = as_process_event_of_security(case)
            if other_log is not None:
                found.append(other_log)
    return found


def table_of(rows: Iterable[dict[str, Any]], columns: dict[str, pa.DataType]) -> pa.Table:
    """Return rows as the case stores them: the columns of the schema, all else as text."""
    rows = list(rows)
    spelled = {name.lower(): name for name in columns}
    kinds = dict(columns)
    for row in rows:
        for name in row:
            if name.lower() not in spelled:
                spelled[name.lower()] = name
                kinds[name] = pa.string()
    data: dict[str, list[Any]] = {name: [None] * len(rows) for name in kinds}
    for number, row in enumerate(rows):
        for name, value in row.items():
            data[spelled[name.lower()]][number] = value
    return pa.table({name: pa.array(values, kinds[name]) for name, values in data.items()})


def store(engine: Engine, stored: list[Case]) -> None:
    """Register the events of all cases under the views in which a case has them."""
    by_view: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number, case in enumerate(stored):
        origin = {"site": "test", "evidence_id": "test", "evidence_offset": number, "evidence_record": number}
        row = case.event | origin
        if case.table == "windows":
            row["TimeCreated"] = NOW
            row.setdefault("Computer", "SRV-MEAL")
            by_view[view_of(row["Channel"])].append(row)
        else:
            row["time"] = NOW
            by_view[case.table].append(row)
    network = {"firewall": FIREWALL_COLUMNS, "vpn": VPN_COLUMNS}
    every = [row for view, rows in by_view.items() if view not in network for row in rows]
    system = [{name: value for name, value in row.items() if name in WINDOWS_COLUMNS} for row in every]
    engine.register("windows", table_of(system, WINDOWS_COLUMNS))
    for view, rows in by_view.items():
        engine.register(view, table_of(rows, network.get(view, WINDOWS_COLUMNS)))


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack(rule_paths())


@pytest.fixture(scope="module")
def verdicts(pack: Pack) -> dict[str, list[tuple[Case, bool]]]:
    """Return for each rule its events and whether the engine found them."""
    stored = all_cases()
    ids = {path.stem: rule(path)["id"] for path in rule_paths()}
    with Engine() as engine:
        store(engine, stored)
        result = scan(engine, pack.rules)
    assert not result.problems
    columns = result.hits.select(["rule_id", "evidence_offset"]).to_pydict()
    hits = set(zip(columns["rule_id"], columns["evidence_offset"], strict=True))
    found: dict[str, list[tuple[Case, bool]]] = defaultdict(list)
    for number, case in enumerate(stored):
        found[case.rule].append((case, (ids[case.rule], number) in hits))
    return found


def test_the_engine_takes_every_rule(pack: Pack) -> None:
    assert not pack.problems
    assert not pack.skipped
    assert len(pack.rules) == len(STEMS)


@pytest.mark.parametrize("stem", STEMS)
def test_hits_are_found_and_near_misses_are_not(
    stem: str, verdicts: dict[str, list[tuple[Case, bool]]]
) -> None:
    wrong = [str(case) for case, found in verdicts[stem] if found != case.hit]
    assert not wrong


def test_the_fixture_can_fail(pack: Pack) -> None:
    """A hit's event without its fields is found by no rule: the scan above does look at the fields."""
    with Engine() as engine:
        store(engine, [Case("none", "empty", "windows", {"Channel": "System", "EventID": 7045}, False)])
        assert scan(engine, pack.rules).hits.num_rows == 0
