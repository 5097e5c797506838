"""The rule pack and its test events, as the tests of this folder read them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).parents[2] / "rules"
EVENTS = RULES / "tests"


@dataclass(frozen=True)
class Case:
    """One test event of a rule: what it is called, where it is stored, and its columns."""

    rule: str
    name: str
    table: str
    event: dict[str, Any]
    hit: bool

    def __str__(self) -> str:
        return f"{self.rule}: {'hits' if self.hit else 'misses'} {self.name}"


@cache
def rule_paths() -> tuple[Path, ...]:
    """Return all rule files, sorted."""
    return tuple(sorted(RULES.rglob("*.yml")))


@cache
def rule(path: Path) -> dict[str, Any]:
    """Return the YAML of a rule file."""
    with path.open(encoding="utf-8") as stream:
        loaded: dict[str, Any] = yaml.safe_load(stream)
    return loaded


@cache
def given_events(stem: str) -> dict[str, Any]:
    """Return the test file of a rule as it stands."""
    with (EVENTS / f"{stem}.json").open(encoding="utf-8") as stream:
        loaded: dict[str, Any] = json.load(stream)
    return loaded


def cases(stem: str) -> list[Case]:
    """Return the events of a rule; a miss is a hit's event with its changes, null removing a column."""
    given = given_events(stem)
    hits = {hit["name"]: Case(stem, hit["name"], hit["table"], hit["event"], True) for hit in given["hits"]}
    found = list(hits.values())
    for miss in given["misses"]:
        base = hits[miss["like"]]
        event = {name: value for name, value in (base.event | miss["change"]).items() if value is not None}
        found.append(Case(stem, miss["name"], base.table, event, False))
    return found


def as_process_event_of_security(case: Case) -> Case | None:
    """Return a process_creation rule's Sysmon event as Windows' own 4688, which has fewer fields, or None."""
    if not case.rule.startswith("proc_creation_") or "Sysmon" not in str(case.event.get("Channel")):
        return None
    event = {
        "Channel": "Security",
        "Provider_Name": "Microsoft-Windows-Security-Auditing",
        "EventID": 4688,
        "NewProcessName": case.event.get("Image"),
        "CommandLine": case.event.get("CommandLine"),
        "ParentProcessName": case.event.get("ParentImage"),
    }
    return Case(case.rule, f"{case.name} (4688)", case.table, event, case.hit)
