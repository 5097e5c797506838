"""The form of the rule pack: what SigmaHQ demands of its rules, and what this project promises of its own."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from detector.tables.steps import STEP_IDS, step_of
from tests.rules.pack import EVENTS, RULES, cases, given_events, rule, rule_paths

PATHS = rule_paths()
KEYS = [
    "title", "id", "related", "status", "description", "references", "author", "date", "modified", "tags",
    "logsource", "detection", "falsepositives", "level",
]  # fmt: skip
LEVELS = {"informational", "low", "medium", "high", "critical"}

#: Tactics of ATT&CK 19, which split defense-evasion in two.
TACTICS = {
    "initial-access", "execution", "persistence", "privilege-escalation", "stealth", "defense-impairment",
    "credential-access", "discovery", "lateral-movement", "collection", "command-and-control", "exfiltration",
    "impact", "reconnaissance", "resource-development",
}  # fmt: skip

#: What a rule's file name begins with, by its log source, as SigmaHQ names files.
PREFIXES = {
    "process_creation": "proc_creation_win_",
    "file_event": "file_event_win_",
    "registry_set": "registry_set_",
    "registry_event": "registry_event_",
    "registry_delete": "registry_delete_",
    "process_access": "proc_access_win_",
    "pipe_created": "pipe_created_win_",
    "driver_load": "driver_load_win_",
    "image_load": "image_load_win_",
    "network_connection": "net_connection_win_",
    "create_remote_thread": "create_remote_thread_win_",
    "ps_script": "posh_ps_",
    "powershell-classic": "posh_pc_",
    "security": "win_security_",
    "sysmon": "sysmon_",
    "system": "win_system_",
    "application": "win_application_",
    "windefend": "win_defender_",
    "firewall-as": "win_firewall_as_",
    "terminalservices-localsessionmanager": "win_terminalservices_lsm_",
    "terminalservices-remoteconnectionmanager": "win_terminalservices_rcm_",
    "printservice-operational": "win_printservice_",
    "winrm": "win_winrm_",
    "wmi": "win_wmi_",
    "firewall": "firewall_",
    "vpn": "vpn_",
}

#: Small words that a title does not capitalise.
SMALL = {
    "a",
    "an",
    "and",
    "as",
    "at",
    "by",
    "for",
    "from",
    "in",
    "into",
    "of",
    "on",
    "or",
    "the",
    "to",
    "with",
    "its",
    "that",
}

each_rule = pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])


def source_of(path: Path) -> str:
    """Return the category of a rule; its service if that is all it has, or leaves one log of the category."""
    logsource = rule(path)["logsource"]
    return str(logsource.get("service") or logsource.get("category"))


def values(node: Any) -> list[str]:
    """Return all strings below a detection."""
    if isinstance(node, dict):
        return [text for each in node.values() for text in values(each)]
    if isinstance(node, list):
        return [text for each in node for text in values(each)]
    return [node] if isinstance(node, str) else []


def test_ids_titles_and_file_names_are_unique() -> None:
    for key in (lambda path: rule(path)["id"], lambda path: rule(path)["title"], lambda path: path.stem):
        counted = Counter(key(path) for path in PATHS)
        assert not [value for value, count in counted.items() if count > 1]


def test_every_test_file_has_its_rule() -> None:
    assert {path.stem for path in EVENTS.iterdir()} == {path.stem for path in PATHS}


def test_every_step_of_the_attack_has_rules() -> None:
    steps = {path.parent.name for path in PATHS}
    assert steps == set(STEP_IDS) - {"mass_logon"}  # which no single event can say


@each_rule
def test_folder_is_the_step_that_the_tags_mean(path: Path) -> None:
    assert path.parent.parent == RULES
    assert path.parent.name == step_of(rule(path)["tags"])


@each_rule
def test_keys_and_their_order(path: Path) -> None:
    keys = list(rule(path))
    assert keys == [key for key in KEYS if key in keys]
    assert set(KEYS) - {"related", "modified"} <= set(keys)


@each_rule
def test_identity(path: Path) -> None:
    given = rule(path)
    assert UUID(given["id"]).version == 4
    assert given["status"] in ("experimental", "test", "stable")
    assert given["level"] in LEVELS
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", str(given["date"]))
    assert given["author"] == "Lateral Movement Detector project"


@each_rule
def test_title(path: Path) -> None:
    title = rule(path)["title"]
    assert 10 <= len(title) <= 100
    assert not title.endswith(".")
    small = [word for word in title.split() if word[:1].islower() and word not in SMALL]
    assert not small


@each_rule
def test_description_says_what_and_what_it_needs(path: Path) -> None:
    description = " ".join(rule(path)["description"].split())
    assert description.startswith("Detects ")
    assert description.endswith(".")
    source = source_of(path)
    if source == "process_creation":
        assert "4688" in description and "Sysmon" in description
        if any("CommandLine" in text for text in _fields(rule(path)["detection"])) and "Image" not in _needed(
            path
        ):
            assert "command lines" in description
    elif path.stem.startswith(
        ("file_event", "registry", "proc_access", "pipe", "image_load", "net_conn", "create_r", "driver")
    ):
        assert "Sysmon" in description


def _fields(node: Any) -> list[str]:
    if isinstance(node, dict):
        return list(node) + [name for each in node.values() for name in _fields(each)]
    if isinstance(node, list):
        return [name for each in node for name in _fields(each)]
    return []


def _needed(path: Path) -> set[str]:
    return {name.split("|")[0] for name in _fields(rule(path)["detection"])}


@each_rule
def test_process_rules_do_not_rely_on_fields_that_4688_lacks(path: Path) -> None:
    if source_of(path) == "process_creation":
        assert not _needed(path) & {
            "OriginalFileName",
            "Hashes",
            "Imphash",
            "Description",
            "Product",
            "Company",
        }


@each_rule
def test_references_are_public_pages(path: Path) -> None:
    references = rule(path)["references"]
    assert references
    assert len(references) == len(set(references))
    assert all(re.fullmatch(r"https://[\w.-]+/\S+", reference) for reference in references)


@each_rule
def test_tags(path: Path) -> None:
    tags = rule(path)["tags"]
    names = [tag.removeprefix("attack.") for tag in tags]
    assert all(tag.startswith("attack.") for tag in tags)
    assert len(names) == len(set(names))
    techniques = [name for name in names if re.fullmatch(r"t\d{4}(\.\d{3})?", name)]
    assert techniques
    assert set(names) - set(techniques) <= TACTICS
    assert set(names) & TACTICS


@each_rule
def test_file_name(path: Path) -> None:
    assert re.fullmatch(r"[a-z0-9_]{10,70}", path.stem)
    assert path.stem.startswith(PREFIXES[source_of(path)])


@each_rule
def test_detection(path: Path) -> None:
    detection = rule(path)["detection"]
    names = set(detection) - {"condition"}
    assert all(re.match(r"(selection|filter_(main|optional)_)", name) for name in names)
    assert rule(path)["falsepositives"]
    # A sample's own names and addresses do not belong into a rule.
    assert not [
        text for text in values(detection) if re.search(r"IEUser|MSEDGEWIN10|insecurebank|theshire", text)
    ]


@each_rule
def test_events_name_their_rule_and_misses_are_near(path: Path) -> None:
    given = given_events(path.stem)
    assert given["rule"] == rule(path)["id"]
    assert given["hits"]
    assert given["misses"]
    for miss in given["misses"]:
        assert 1 <= len(miss["change"]) <= 3
    names = [case.name for case in cases(path.stem)]
    assert len(names) == len(set(names))
    network = rule(path)["logsource"].get("category") in ("firewall", "vpn")
    for case in cases(path.stem):
        assert case.table == (rule(path)["logsource"]["category"] if network else "windows")
        assert network or {"Channel", "Provider_Name", "EventID"} <= set(case.event)


@pytest.mark.corpus
def test_techniques_are_those_that_sigmahq_uses_or_known_others(corpus: Path) -> None:
    """The ATT&CK data itself is not here; the tags of the public rules stand in for it."""
    public: set[str] = set()
    for path in corpus.glob("sigmahq/rules*/**/*.yml"):
        public.update(re.findall(r"attack\.(t\d{4}(?:\.\d{3})?)\b", path.read_text(encoding="utf-8")))
    # AS-REP Roasting; Network Device Configuration Dump; Log Enumeration
    known_others = {"t1558.004", "t1602.002", "t1654"}
    used = {tag.removeprefix("attack.") for path in PATHS for tag in rule(path)["tags"]}
    assert {name for name in used if name.startswith("t1")} <= public | known_others
