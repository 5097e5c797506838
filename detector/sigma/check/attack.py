"""Tags of ATT&CK: whether the tactic or technique exists.

`data/attack.json` has the ids of Enterprise ATT&CK 19 (tactics, techniques, and those revoked with what took
their place): https://attack.mitre.org, release of 2026-04-14. Ids of software, groups, campaigns and the
like are checked for their form alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from detector.sigma.check.words import nearest

_OTHER = re.compile(r"(s|g|c|m|ds|dc|det|an)\d{4}")
_TECHNIQUE = re.compile(r"t\d{4}(\.\d{3})?")


@cache
def attack_data() -> Mapping[str, Any]:
    """Return the bundled ids."""
    source = files("detector.sigma.check").joinpath("data", "attack.json")
    loaded: Mapping[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    return loaded


@cache
def _techniques() -> frozenset[str]:
    return frozenset(name.lower() for name in attack_data()["techniques"])


def attack_problem(tag: str) -> str | None:
    """Return what is wrong with a tag of the namespace `attack`, None if nothing is."""
    data = attack_data()
    version = data["version"]
    name = tag.partition(".")[2]
    lower = name.lower()
    if _TECHNIQUE.fullmatch(lower):
        return _technique_problem(name)
    if re.fullmatch(r"ta\d{4}", lower):
        return None if name.upper() in data["tactics"] else f"ATT&CK {version} has no tactic {name.upper()}"
    if _OTHER.fullmatch(lower):
        return None
    tactics = list(data["tactics"].values())
    if name in tactics:
        return None
    hyphens = lower.replace("_", "-").replace(" ", "-")
    if hyphens in tactics:
        return f"'{tag}': tactics are written in lower case with hyphens: attack.{hyphens}"
    parts = data["withdrawn_tactics"].get(hyphens)
    if parts:
        listed = " or ".join(f"attack.{part}" for part in parts)
        return f"ATT&CK {version} has no tactic '{hyphens}' any more; write {listed}"
    found = nearest(lower, tactics)
    meant = f"; did you mean attack.{found}?" if found else ""
    return f"'{tag}' is no tactic, technique or other id of ATT&CK {version}{meant}"


def _technique_problem(name: str) -> str | None:
    data = attack_data()
    if name in _techniques():
        return None
    if name.lower() in _techniques():
        return f"technique ids are written in lower case: attack.{name.lower()}"
    successor = data["revoked"].get(name.upper())
    if successor:
        return f"ATT&CK revoked {name.upper()}; write attack.{successor.lower()}"
    parent = name.upper().partition(".")[0]
    what = "no such sub-technique" if "." in name and parent in data["techniques"] else "no such technique"
    return f"ATT&CK {data['version']} has {what}: {name.upper()} (mistyped, or withdrawn without a successor)"
