"""Tests beside rules of users: found, run, and reported with what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from detector.cli.rules import rules
from detector.errors import RuleError
from detector.sigma.rule_tests import read_tests, run_tests
from tests.sigma.test_loader import GOOD

ID = "0b0c5b1e-31d2-4a0e-8a3e-1f2d3c4b5a69"
EVENT = {"Channel": "Security", "Provider_Name": "Microsoft-Windows-Security-Auditing", "EventID": 4625}
TESTS = {
    "rule": ID,
    "hits": [{"name": "failed logon", "table": "windows", "event": EVENT}],
    "misses": [{"name": "a success", "like": "failed logon", "change": {"EventID": 4624}}],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DETECTOR_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "good.yml").write_text(GOOD, encoding="utf-8")
    return folder


def write(path: Path, given: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(given), encoding="utf-8")


@pytest.mark.parametrize("place", ["good.json", "tests/good.json", "../tests/good.json"])
def test_tests_are_found_beside_and_above_the_rule(folder: Path, place: str) -> None:
    write(folder / place, TESTS)
    run = run_tests([folder])
    assert [(v.event, v.found, v.passed) for v in run.verdicts] == [
        ("failed logon", True, True),
        ("a success", False, True),
    ]
    assert not run.untested


def test_failures_name_the_event_that_hit_or_did_not(folder: Path) -> None:
    wrong = json.loads(json.dumps(TESTS).replace("4625", "4776"))
    wrong["misses"][0]["change"]["EventID"] = 4625
    write(folder / "good.json", wrong)
    done = CliRunner().invoke(rules, ["test", str(folder)])
    assert done.exit_code == 1
    assert "the event 'failed logon' was not found, and must be" in done.output
    assert "the event 'a success' was found, and must not be" in done.output
    assert "0 as expected, 2 failed" in done.output
    report = json.loads(CliRunner().invoke(rules, ["test", str(folder), "--format", "json"]).stdout)
    assert (report["passed"], report["failed"]) == (0, 2)


def test_no_tests_is_no_success(folder: Path) -> None:
    done = CliRunner().invoke(rules, ["test", str(folder)])
    assert done.exit_code == 1
    assert "1 rule without tests" in done.output


def test_tests_of_another_rule_are_a_problem(folder: Path) -> None:
    write(folder / "good.json", {**TESTS, "rule": ID.replace("0b0c", "1b0c")})
    [problem] = run_tests([folder]).problems
    assert "its rule is 1b0c" in problem.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", ":1:2: no JSON"),
        ("[]", "not the form"),
        ('{"hits": [{"name": "a", "event": {}}]}', "no Channel"),
        ('{"hits": [{"name": "a", "table": "x", "event": {}}]}', "windows, firewall or vpn"),
        ('{"hits": [], "misses": [{"name": "m", "like": "x", "change": {}}]}', "'x'"),
    ],
)
def test_broken_test_files_say_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RuleError, match=str(path.name)) as raised:
        read_tests(path)
    assert said in str(raised.value)


def test_a_sysmon_process_is_tested_as_4688_too(folder: Path) -> None:
    text = GOOD.replace("service: security", "category: process_creation")
    (folder / "good.yml").write_text(
        text.replace("EventID: 4625", r"Image|endswith: \a.exe"), encoding="utf-8"
    )
    event = {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "Image": r"C:\a.exe"}
    write(folder / "good.json", {"rule": ID, "hits": [{"name": "a", "table": "windows", "event": event}]})
    verdicts = run_tests([folder]).verdicts
    assert [(v.event, v.passed) for v in verdicts] == [("a", True), ("a (4688)", True)]
