"""The steps of the attack that the product reconstructs, in the order of the committee's report.

Rules are mapped to a step by their ATT&CK tags, stages name theirs. The texts for people are in
`detector/report/locale`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One step: its id, its number in the report, and the ATT&CK techniques and tactics that belong to it."""

    id: str
    number: int
    techniques: tuple[str, ...]
    tactics: tuple[str, ...] = ()


#: Ordered as the attack went. A technique is looked up in order of the list, tactics after all techniques.
STEPS: tuple[Step, ...] = (
    Step("initial_access", 1, ("T1133", "T1190", "T1199"), ("initial-access",)),
    Step(
        "discovery",
        2,
        ("T1110", "T1046", "T1135", "T1018", "T1087", "T1069", "T1482"),
        ("discovery", "reconnaissance"),
    ),
    Step("remote_desktop", 3, ("T1021.001", "T1219", "T1572", "T1563.002", "T1090")),
    Step(
        "defense_evasion",
        4,
        ("T1562", "T1070", "T1685", "T1686", "T1687"),
        ("defense-evasion", "stealth", "defense-impairment"),
    ),
    Step("credential_access", 5, ("T1003", "T1555", "T1558", "T1552", "T1649"), ("credential-access",)),
    Step(
        "lateral_movement",
        6,
        ("T1021", "T1550", "T1569.002", "T1570", "T1047", "T1210"),
        ("lateral-movement",),
    ),
    Step("mass_logon", 7, ()),
    Step("impact", 8, ("T1486", "T1490", "T1489", "T1485", "T1491", "T1529"), ("impact",)),
    Step(
        "other",
        9,
        (),
        (
            "execution",
            "persistence",
            "privilege-escalation",
            "command-and-control",
            "collection",
            "exfiltration",
            "resource-development",
        ),
    ),
)

STEP_IDS: tuple[str, ...] = tuple(step.id for step in STEPS)


def step_of(tags: Iterable[str]) -> str:
    """Return the id of the step to which a rule with these Sigma tags belongs, 'other' if to none.

    Techniques decide before tactics, a sub-technique before its technique.
    """
    names = [tag.lower().removeprefix("attack.") for tag in tags]
    techniques = [name.upper() for name in names if name[:1] == "t" and name[1:2].isdigit()]
    for wanted in (techniques, [name.split(".")[0] for name in techniques]):
        for step in STEPS:
            if any(technique in step.techniques for technique in wanted):
                return step.id
    tactics = {name.replace("_", "-") for name in names}
    for step in STEPS:
        if tactics.intersection(step.tactics):
            return step.id
    return "other"
