"""The public rules and recordings: all rules compile or say why not, and hit what they were recorded for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from evtx import PyEvtxParser

from detector.engines import Engine
from detector.formats.windows.fields import event_from_json
from detector.sigma import scan as scan_module
from detector.sigma.model import Pack
from detector.sigma.pack import load_pack
from detector.sigma.scan import scan
from detector.tables.windows import SYSTEM_COLUMNS
from tests.sigma.oracle import matches
from tests.sigma.tables import windows_engine

pytestmark = pytest.mark.corpus

FOLDERS = ("rules", "rules-threat-hunting", "rules-emerging-threats")

#: Of the 100 recordings one says that one event matches, where the rule as it is written matches three: its
#: three events are alike but for the last part of TargetObject (`https`, `http`, `*`), which the rule leaves
#: open, and have the same Details, `DWORD (0x00000002)`, which the rule's filter does not list.
MISCOUNTED = {"45e112d0-7759-4c2a-aa36-9f8fb79d3393": 3}


@pytest.fixture(scope="module")
def public_rules(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return load_pack([corpus / "sigmahq" / name for name in FOLDERS], tmp_path_factory.mktemp("cache"))


def test_every_public_rule_compiles_or_says_why_not(public_rules: Pack, corpus: Path) -> None:
    files = [path for name in FOLDERS for path in (corpus / "sigmahq" / name).rglob("*.yml")]
    known = {each.path for each in (*public_rules.rules, *public_rules.skipped, *public_rules.problems)}
    assert known == {str(path) for path in files}
    assert all("placeholder" in problem.message for problem in public_rules.problems)
    not_read = {rule.reason for rule in public_rules.skipped}
    assert all(reason.startswith("log source not read by this tool") for reason in not_read)
    assert not [
        rule
        for rule in public_rules.skipped
        if "product windows" in rule.reason and "no event log" not in rule.reason
    ]
    assert len(public_rules.rules) > 0.9 * len(files)


def test_recorded_events_hit_their_rules_as_often_as_said(public_rules: Pack, corpus: Path) -> None:
    rules = {rule.id: rule for rule in public_rules.rules}
    engine = Engine()
    wrong: list[tuple[str, int, int]] = []
    count = 0
    for info in sorted((corpus / "sigmahq" / "regression_data").glob("**/info.yml")):
        said = yaml.safe_load(info.read_text(encoding="utf-8"))
        for test in said["regression_tests_info"]:
            events = list(_events(corpus / "sigmahq" / test["path"]))
            for rule_id in (each["id"] for each in said["rule_metadata"]):
                hits = scan(windows_engine(events, engine), [rules[rule_id]]).hits.num_rows
                expected = MISCOUNTED.get(rule_id, test.get("match_count"))
                count += 1
                if hits == 0 or (expected is not None and hits != expected):
                    wrong.append((rule_id, hits, expected))
    assert wrong == []
    assert count == 100


def test_the_miscounted_recording_has_three_events_that_the_rule_cannot_tell_apart(corpus: Path) -> None:
    (rule_id,) = MISCOUNTED
    (path,) = (corpus / "sigmahq" / "regression_data").rglob(f"{rule_id}.evtx")
    (rule,) = (corpus / "sigmahq" / "rules").rglob("registry_set_change_security_zones.yml")
    detection = yaml.safe_load(rule.read_text(encoding="utf-8"))["detection"]
    events = list(_events(path))
    assert len(events) == MISCOUNTED[rule_id]
    assert {event["Details"] for event in events} == {"DWORD (0x00000002)"}
    assert len({event["TargetObject"].rpartition("\\")[0] for event in events}) == 1
    assert all(matches(detection, event) for event in events)


def test_the_prefilter_loses_nothing(
    public_rules: Pack, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted((corpus / "evtx" / "attack-samples").glob("**/*.evtx"))[::6]
    engine = windows_engine(event for path in paths for event in _events(path))
    found = scan(engine, public_rules.rules)
    assert found.problems == ()
    monkeypatch.setattr(scan_module._Scan, "_split", lambda self, provider, indexes: ([], indexes))
    everything = scan(engine, public_rules.rules)
    assert found.hits.equals(everything.hits)
    assert found.hits.num_rows > 100
    assert found.evaluated < everything.evaluated / 2


def _events(path: Path) -> Iterator[dict[str, Any]]:
    for number, record in enumerate(PyEvtxParser(str(path)).records_json()):
        system, names, values = event_from_json(orjson.loads(record["data"]), record["data"])
        yield {
            **dict(zip(SYSTEM_COLUMNS, system, strict=True)),
            **dict(zip(names, values, strict=True)),
            "evidence_id": path.name,
            "evidence_offset": number,
        }
