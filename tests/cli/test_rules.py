"""`detector rules`: exit codes, counts, places."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from detector.cli.rules import rules
from tests.sigma.test_loader import GOOD


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DETECTOR_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "good.yml").write_text(GOOD, encoding="utf-8")
    other = GOOD.replace("0b0c", "1b0c").replace("windows", "linux").replace("Good", "Other")
    (folder / "other.yml").write_text(other, encoding="utf-8")
    return folder


def test_check_counts_and_places(folder: Path) -> None:
    done = CliRunner().invoke(rules, ["check", str(folder)])
    assert done.exit_code == 0
    assert "2 files: 1 rules compiled, 1 not run, 0 errors, 0 warnings" in done.output
    assert "1 not run: log source not read by this tool: product linux, service security" in done.output
    (folder / "bad.yml").write_text("title: a\ntitle: b\n", encoding="utf-8")
    done = CliRunner().invoke(rules, ["check", str(folder)])
    assert done.exit_code == 1
    assert f"{folder / 'bad.yml'}:2:1: error: the key 'title' is there twice" in done.output


def test_check_as_json(folder: Path) -> None:
    (folder / "bad.yml").write_text("[", encoding="utf-8")
    done = CliRunner().invoke(rules, ["check", str(folder), "--format", "json"])
    report = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (report["compiled"], len(report["not_run"]), len(report["problems"])) == (1, 1, 1)


def test_list_of_own_and_of_other_rules(folder: Path) -> None:
    done = CliRunner().invoke(rules, ["list", "--rules", str(folder), "--format", "json"])
    assert done.exit_code == 0
    assert [rule["title"] for rule in json.loads(done.stdout)] == ["Good"]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(rules, ["list"])
    assert done.exit_code == 0
    assert "remote_desktop" in done.output


def test_terminal_control_characters_of_a_rule_are_not_printed(folder: Path) -> None:
    (folder / "evil.yml").write_text('title: "a\\e[2Jb"\nlevel: x\n', encoding="utf-8")
    done = CliRunner().invoke(rules, ["check", str(folder)])
    assert done.exit_code == 1
    assert "\x1b" not in done.output


@pytest.mark.parametrize("command", [[], ["list"], ["check"]])
def test_help_has_an_example(command: list[str]) -> None:
    done = CliRunner().invoke(rules, [*command, "--help"])
    assert done.exit_code == 0
    assert "detector rules" in done.output


def test_correlations_are_listed(folder: Path) -> None:
    (folder / "burst.yml").write_text(
        "title: Many\nid: 2b0c2e7e-5f1d-4f0e-9a3c-0d6c1b5f7a11\nstatus: test\ndescription: d\n"
        "author: a\ndate: 2026-11-22\ntags: [attack.discovery]\nlevel: high\n"
        "correlation:\n  type: event_count\n  rules: ['" + _id_of(GOOD) + "']\n"
        "  timespan: 5m\n  condition: {gte: 5}\n",
        encoding="utf-8",
    )
    done = CliRunner().invoke(rules, ["list", "--rules", str(folder), "--format", "json"])
    listed = {row["title"]: row for row in json.loads(done.stdout)}
    assert listed["Many"]["level"] == "high"
    assert listed["Many"]["log source"] == f"event_count of {_id_of(GOOD)}"


def _id_of(rule: str) -> str:
    return next(line.removeprefix("id: ") for line in rule.splitlines() if line.startswith("id: "))
