"""Correlations over recorded attacks, from files to what a user reads, compared with the oracle."""

from __future__ import annotations

import json
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from detector.case.ingest import IngestOptions, ingest
from detector.case.store import Case
from detector.cli.hits import hits
from detector.scan import scan
from detector.sigma.pack import load_pack
from detector.sigma.scan import scan as scan_rules
from tests.sigma.correlation_oracle import Event, Oracle, Rule

pytestmark = pytest.mark.corpus

MINUTE = 60_000_000
FIELDS = ("Computer", "IpAddress", "TargetUserName", "Image")

BASE = """
title: Kerberos pre-authentication failed
name: kerberos_failure
id: 10000000-0000-4000-8000-000000000001
logsource: {product: windows, service: security}
detection: {selection: {EventID: 4771}, condition: selection}
---
title: Logon
name: logon
id: 10000000-0000-4000-8000-000000000002
logsource: {product: windows, service: security}
detection: {selection: {EventID: 4624, LogonType: [3, 10]}, condition: selection}
---
title: Process started
name: process
id: 10000000-0000-4000-8000-000000000004
logsource: {product: windows, category: process_creation}
detection: {selection: {Image|contains: 'e'}, condition: selection}
---
title: Share read
name: share
id: 10000000-0000-4000-8000-000000000005
logsource: {product: windows, service: security}
detection: {selection: {EventID: 5145}, condition: selection}
"""

RULES: list[tuple[Rule, dict[str, Any]]] = [
    (
        Rule("shares", "event_count", ("share",), 5 * MINUTE, ("IpAddress",), lambda number: number >= 20),
        {"gte": 20},
    ),
    (
        Rule(
            "spray",
            "value_count",
            ("kerberos_failure",),
            10 * MINUTE,
            ("IpAddress",),
            lambda number: number >= 2,
            ("TargetUserName",),
        ),
        {"gte": 2, "field": "TargetUserName"},
    ),
    (
        Rule(
            "spread",
            "value_count",
            ("share",),
            30 * 24 * 60 * MINUTE,
            ("IpAddress",),
            lambda number: number >= 2,
            ("Computer",),
        ),
        {"gte": 2, "field": "Computer"},
    ),
    (
        Rule("busy", "event_count", ("process",), MINUTE, ("Computer",), lambda number: number >= 10),
        {"gte": 10},
    ),
    (
        Rule(
            "shares_near_logon",
            "temporal",
            ("logon", "share"),
            30 * MINUTE,
            ("Computer",),
            lambda number: number == Fraction(2),
        ),
        {"gte": 2},
    ),
    (
        Rule(
            "busy_after_logon",
            "temporal_ordered",
            ("logon", "busy"),
            60 * MINUTE,
            ("Computer",),
            lambda number: number == Fraction(2),
        ),
        {"gte": 2},
    ),
]


def _rules_text() -> str:
    text = BASE
    for number, (rule, condition) in enumerate(RULES):
        body = {
            "type": rule.kind,
            "rules": list(rule.rules),
            "group-by": list(rule.group_by),
            "timespan": f"{rule.timespan // 1_000_000}s",
            "condition": condition,
            "generate": True,
        }
        head = {"title": rule.name, "name": rule.name, "level": "high", "tags": ["attack.t1110"]}
        head["id"] = f"20000000-0000-4000-8000-00000000000{number}"
        text += "---\n" + json.dumps({**head, "correlation": body}) + "\n"
    return text


@pytest.fixture(scope="module")
def case(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Path]:
    folder = tmp_path_factory.mktemp("correlations")
    made = Case.create(folder / "case")
    ingest(made, [corpus / "evtx" / "attack-samples"], IngestOptions(workers=1))
    rules = folder / "rules.yml"
    rules.write_text(_rules_text(), encoding="utf-8")
    return made, rules


def _events(case: Case, rules: Path) -> list[Event]:
    """Return what the single rules match, with the fields of interest, for the oracle."""
    pack = load_pack([rules])
    with case.connect() as engine:
        single = scan_rules(engine, pack.rules).hits.to_pylist()
        found: dict[tuple[str, int], dict[str, Any]] = {}
        names = {rule.id: rule.name or "" for rule in pack.rules}
        for view in {row["table"] for row in single}:
            columns = {name.lower(): name for name in engine.columns(view)}
            wanted = {name: columns[name.lower()] for name in FIELDS if name.lower() in columns}
            listed = ", ".join(f'"{column}" AS "{name}"' for name, column in wanted.items())
            sql = f"SELECT evidence_id, evidence_offset, epoch_us(TimeCreated) AS us, {listed} FROM {view}"
            for row in engine.execute(sql).to_pylist():
                found[row.pop("evidence_id"), row.pop("evidence_offset")] = row
    matched: dict[tuple[str, int], set[str]] = {}
    for row in single:
        matched.setdefault((row["evidence_id"], row["evidence_offset"]), set()).add(names[row["rule_id"]])
    return [
        Event(
            key,
            found[key]["us"],
            frozenset(rules_of),
            {name: text for name, text in found[key].items() if name != "us" and text is not None},
        )
        for key, rules_of in matched.items()
    ]


def test_recordings_give_what_the_oracle_finds(case: tuple[Case, Path]) -> None:
    made, rules = case
    report = scan(made, [rules])
    assert not report.problems
    done = CliRunner().invoke(hits, ["--case", str(made.path), "--format", "jsonl"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    oracle = Oracle(_events(made, rules), [rule for rule, _ in RULES])
    for rule, _ in RULES:
        expected = [(match.group, sorted(match.events)) for match in oracle.matches[rule.name]]
        found = [
            (
                tuple(row["correlation"]["grouped_by"].values()),
                sorted(
                    (each["evidence_id"], each["evidence_offset"]) for each in row["correlation"]["events"]
                ),
            )
            for row in rows
            if row["rule_title"] == rule.name
        ]
        assert expected, rule.name
        assert sorted(found) == sorted(expected), rule.name


def test_matches_reach_the_timeline_with_all_their_events(case: tuple[Case, Path]) -> None:
    made, rules = case
    scan(made, [rules])
    titles = {rule.name for rule, _ in RULES}
    with made.connect() as engine:
        matches = engine.execute("SELECT * FROM hits WHERE events IS NOT NULL").to_pylist()
        lines = engine.execute("SELECT * FROM timeline WHERE kind = 'rule'").to_pylist()
    shown = {
        (line["title"], frozenset((each["evidence_id"], each["evidence_offset"]) for each in line["events"]))
        for line in lines
        if line["title"] in titles
    }
    for match in matches:
        events = frozenset((each["evidence_id"], each["evidence_offset"]) for each in match["events"])
        assert (match["rule_title"], events) in shown
        assert match["first_seen"] <= match["time"] <= match["last_seen"] + timedelta(days=1)
