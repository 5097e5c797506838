"""Many rules over many events in one scan, compared with the oracle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from detector.engines import Engine
from detector.sigma.compiler import compile_document
from detector.sigma.model import CompiledRule, RuleDocument, RuleProblem
from detector.sigma.placeholders import Placeholders
from detector.sigma.scan import scan
from tests.sigma import oracle
from tests.sigma.tables import windows_engine

Detection = Mapping[str, Any]
Event = Mapping[str, Any]


@cache
def _engine() -> Engine:
    return Engine()


def compile_one(
    detection: Detection, number: int = 0, placeholders: Mapping[str, Sequence[str]] | None = None
) -> object:
    """Compile a rule for Windows' Security log; the number makes its id."""
    data = {
        "title": f"Rule {number}",
        "id": str(UUID(int=number, version=4)),
        "logsource": {"product": "windows", "service": "security"},
        "detection": detection,
    }
    values = {name: tuple(each) for name, each in (placeholders or {}).items()}
    document = RuleDocument("rule.yml", 1, data, "0" * 64, placeholders=Placeholders(values))
    return compile_document(document)


def full(event: Event) -> dict[str, Any]:
    """Return an event with the columns that every event of a case has."""
    return {"Channel": "Security", "Computer": "PC1", **event}


def hits(rules: Sequence[CompiledRule], events: Sequence[Event]) -> list[set[int]]:
    """Return the positions of the events that each rule matches, found by one scan of all."""
    result = scan(windows_engine([full(event) for event in events], _engine()), rules)
    assert not result.problems, result.problems[0]
    found: dict[str, set[int]] = {rule.id: set() for rule in rules}
    for rule_id, offset in zip(
        result.hits["rule_id"].to_pylist(), result.hits["evidence_offset"].to_pylist(), strict=True
    ):
        found[rule_id].add(offset)
    return [found[rule.id] for rule in rules]


def differences(
    detections: Sequence[Detection],
    events: Sequence[Event],
    placeholders: Mapping[str, Sequence[str]] | None = None,
) -> list[tuple[Detection, dict[str, Any], bool]]:
    """Return (detection, event, what the engine says) for each verdict in which engine and oracle differ.

    Raises AssertionError if a rule does not compile.
    """
    rules: list[CompiledRule] = []
    for number, detection in enumerate(detections):
        found = compile_one(detection, number, placeholders)
        assert isinstance(found, CompiledRule), f"{found} in {detection}"
        rules.append(found)
    wrong: list[tuple[Detection, dict[str, Any], bool]] = []
    for detection, offsets in zip(detections, hits(rules, events), strict=True):
        for position, event in enumerate(events):
            expected = oracle.matches(detection, full(event), placeholders)
            if expected != (position in offsets):
                wrong.append((detection, dict(event), not expected))
    return wrong


def refusal(detection: Detection, placeholders: Mapping[str, Sequence[str]] | None = None) -> str:
    """Return the message with which a rule is refused."""
    found = compile_one(detection, 0, placeholders)
    assert isinstance(found, RuleProblem), f"not refused: {detection}"
    return found.message
