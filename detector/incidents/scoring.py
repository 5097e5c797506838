"""Scoring: whether a group of observations is an incident, how severe, and why.

Rules, not arithmetic, decide the severity, so that each can be told to a person; the score only orders
incidents of one severity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from detector.incidents.observations import BURST, HIGH, MEDIUM, Observation, Reference
from detector.tables.steps import STEPS

SEVERITIES: tuple[str, ...] = ("low", "medium", "high", "critical")

_NUMBERS = {step.id: step.number for step in STEPS}
#: What an observation of a level counts in the score: medium, high, critical.
_WEIGHTS = {2: 1.0, 3: 3.0, 4: 6.0}


@dataclass(frozen=True)
class Assessment:
    """Severity (of `SEVERITIES`), score (0 to 100) and the reasons: code and values for report/locale."""

    severity: str
    score: float
    reasons: tuple[dict[str, Any], ...]


def starts_incident(observations: Sequence[Observation]) -> bool:
    """Whether a group is an incident at all, not only something to list beside the incidents.

    One observation of level high is; of level medium two independent kinds from two steps are needed.
    Low and informational ones never start an incident.
    """
    if any(observation.is_high for observation in observations):
        return True
    steps = {o.step for o in observations if o.rank >= MEDIUM and o.step != "other"}
    return len(steps) >= 2 and independent_kinds(observations) >= 2


def independent_kinds(observations: Sequence[Observation]) -> int:
    """Count the kinds of evidence: rules and stages that saw the same thing are one.

    They did if they share an event; or if both are of level medium and tell of the same account, from the
    same source, on the same hosts at the same time: one pass over the servers is in the logon log and in the
    share log, and is still one pass.
    """
    owner: dict[Reference, str] = {}
    parent: dict[str, str] = {}

    def find(kind: str) -> str:
        while parent[kind] != kind:
            kind = parent[kind]
        return kind

    for observation in observations:
        if observation.rank < MEDIUM:
            continue
        kind = f"{observation.kind}:{observation.source_id}"
        parent.setdefault(kind, kind)
        for event in observation.events:
            parent[find(owner.setdefault(event, kind))] = find(kind)
    lists = [o for o in observations if o.rank == MEDIUM and o.source is not None and len(o.hosts) > 1]
    for index, one in enumerate(lists):
        for other in lists[:index]:
            if _same_pass(one, other):
                parent[find(f"{one.kind}:{one.source_id}")] = find(f"{other.kind}:{other.source_id}")
    return sum(find(kind) == kind for kind in parent)


def _same_pass(one: Observation, other: Observation) -> bool:
    if one.source != other.source or one.account is None or other.account is None:
        return False
    if one.first > other.last + BURST or other.first > one.last + BURST:
        return False
    common = len(set(one.hosts) & set(other.hosts))
    return one.account.may_be(other.account) and 2 * common >= max(len(one.hosts), len(other.hosts))


def steps_in_order(observations: Sequence[Observation]) -> list[str]:
    """Return the longest series of steps first seen in the order of the attack, 'other' left out."""
    first: dict[str, datetime] = {}
    for observation in observations:
        if observation.rank >= MEDIUM and observation.step != "other":
            first[observation.step] = min(observation.first, first.get(observation.step, observation.first))
    ordered = sorted(first, key=lambda step: (first[step], _NUMBERS[step]))
    best: list[list[str]] = []
    for step in ordered:
        before = [series for series in best if _NUMBERS[series[-1]] < _NUMBERS[step]]
        best.append([*max(before, key=len, default=[]), step])
    return max(best, key=len, default=[])


def assess(
    observations: Sequence[Observation], recurring: Sequence[bool], hosts: int, moves: int
) -> Assessment:
    """Judge an incident: its observations, which of them recur, how many hosts and moves between hosts."""
    anchors = [o for o in observations if o.rank >= MEDIUM]
    series = steps_in_order(anchors)
    kinds = independent_kinds(anchors)
    strongest = max(anchors, key=lambda o: (o.rank, o.confidence), default=None)
    top = strongest.rank if strongest else 0
    impact = {host for o in anchors if o.step == "impact" and o.rank >= HIGH for host in o.hosts}
    severity = "low" if all(recurring) else _severity(len(series), kinds, top, len(impact), moves)
    reasons: list[dict[str, Any]] = []
    if len(series) > 1:
        reasons.append({"code": "steps_in_order", "steps": series})
    if impact:
        reasons.append({"code": "impact_seen", "hosts": len(impact)})
    reasons.append({"code": "kinds" if kinds > 1 else "single_kind", "count": kinds})
    if strongest is not None:
        reasons.append({"code": "strongest", "level": strongest.level})
    if moves:
        reasons.append({"code": "moves", "count": moves, "hosts": hosts})
    if all(recurring):
        days = len({o.first.date() for o in anchors})
        reasons.append({"code": "recurs", "days": days})
    raw = sum(_step_weights(anchors).values()) * (1 + 0.25 * max(0, len(series) - 1)) + math.log2(1 + hosts)
    score = 25 * SEVERITIES.index(severity) + 24.9 * (1 - math.exp(-raw / 20))
    return Assessment(severity, round(score, 1), tuple(reasons))


def _severity(in_order: int, kinds: int, top: int, impact_hosts: int, moves: int) -> str:
    if impact_hosts and kinds >= 2 and (in_order >= 3 or (in_order >= 2 and impact_hosts >= 2)):
        return "critical"
    if in_order >= 4 and kinds >= 4 and top >= HIGH:
        return "critical"
    if top >= HIGH and kinds >= 2 and (in_order >= 3 or (in_order >= 2 and moves)):
        return "high"
    if top > HIGH and kinds >= 2:
        return "high"
    if top > HIGH or (top >= HIGH and kinds >= 2) or in_order >= 3:
        return "medium"
    return "low"


def _step_weights(anchors: Sequence[Observation]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for observation in anchors:
        weight = _WEIGHTS.get(observation.rank, 0.0) * observation.confidence
        weights[observation.step] = max(weight, weights.get(observation.step, 0.0))
    return weights
