"""`detector rules new` and `detector rules convert`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from detector.cli.rules import rules
from detector.errors import OutputError, RuleError
from detector.sigma.check.run import check_rules
from detector.sigma.logsources import LogSource
from detector.sigma.rule_tests import run_tests
from detector.sigma.skeleton import file_name
from tests.sigma.check_files import RULE

SOURCES = [
    "windows/process_creation", "windows//security", "windows//system", "windows/registry_set", "/firewall",
    "/vpn", "windows/ps_script", "windows/dns_query", "windows/pipe_created", "windows//winrm",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DETECTOR_CACHE_DIR", str(tmp_path / "cache"))


NEW = [
    *((source, "A New Rule") for source in SOURCES),
    *((SOURCES[0], title) for title in ("Quotes ' and: a # {x} \\", "yes", "日本語の題")),
]


@pytest.mark.parametrize(("source", "title"), NEW)
def test_a_new_rule_passes_but_for_what_is_to_be_filled_in(tmp_path: Path, source: str, title: str) -> None:
    folder = tmp_path / "new"
    command = ["new", "--title", title, "--logsource", source, "--folder", str(folder), "--level", "high"]
    done = CliRunner().invoke(rules, command)
    assert done.exit_code == 0, done.output
    [path] = folder.glob("*.yml")
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["title"] == title
    report = check_rules([folder])
    assert not report.errors
    assert [each.message for each in report.warnings] == [
        "'attack.todo' is no tactic, technique or other id of ATT&CK 19"
    ]
    run = run_tests([folder])
    assert run.verdicts
    assert not run.failures, [str(each) for each in run.failures]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    command = ["new", "--folder", str(tmp_path / "r")]
    assert CliRunner().invoke(rules, command).exit_code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "r").rglob("*.*")}
    done = CliRunner().invoke(rules, command)
    assert isinstance(done.exception, RuleError)
    assert "is there already" in str(done.exception)
    assert {path: path.read_bytes() for path in (tmp_path / "r").rglob("*.*")} == before


def test_a_log_source_that_is_not_read_is_refused() -> None:
    done = CliRunner().invoke(rules, ["new", "--logsource", "linux//sshd"])
    assert "not read by this tool: product linux" in str(done.exception)
    assert CliRunner().invoke(rules, ["new", "--logsource", "a/b/c/d"]).exit_code == 2


def test_file_names_are_those_of_sigmahq() -> None:
    assert file_name("A: B!", LogSource("windows", "process_creation", None)) == "proc_creation_win_a_b"
    assert file_name("A", LogSource("windows", None, "security")) == "win_security_a"
    assert file_name("あ", LogSource(None, "firewall", None)) == "firewall_new_rule"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.yml").write_text(RULE, encoding="utf-8")
    bad = RULE.replace("0b0c", "1b0c").replace("Image|startswith", "Image|unknown")
    (folder / "bad.yml").write_text(bad, encoding="utf-8")
    (folder / "broken.yml").write_text("title: [", encoding="utf-8")
    return folder


def test_backends_are_listed() -> None:
    done = CliRunner().invoke(rules, ["convert"])
    assert done.exit_code == 0
    assert "splunk" in done.output
    assert "splunk_windows" in done.output


def test_rules_that_cannot_be_converted_are_named_and_the_others_are(folder: Path) -> None:
    command = ["convert", "--to", "splunk", "-p", "splunk_windows", str(folder)]
    done = CliRunner().invoke(rules, command)
    assert done.exit_code == 3
    assert "sc.exe" in done.stdout
    assert f"{folder / 'bad.yml'}:1:1: not converted by Splunk" in done.stderr
    assert f"{folder / 'broken.yml'}:" in done.stderr
    assert "1 rule converted, 2 not" in done.stderr


def test_formats_of_documents_hold_all_rules_once(folder: Path, tmp_path: Path) -> None:
    (folder / "c.yml").write_text(RULE.replace("0b0c", "2b0c").replace("A Service", "C"), encoding="utf-8")
    output = tmp_path / "out.conf"
    command = ["convert", "--to", "splunk", "-f", "savedsearches", "-o", str(output), str(folder)]
    assert CliRunner().invoke(rules, command).exit_code == 3
    text = output.read_text(encoding="utf-8")
    assert text.count("[default]") == 1
    assert text.count("sc.exe") == 2
    assert isinstance(CliRunner().invoke(rules, command).exception, OutputError)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--to", "splnk"], "no backend 'splnk'; did you mean 'splunk'?"),
        (["--to", "splunk", "-f", "x"], "no format of splunk 'x'"),
        (
            ["--to", "splunk", "-p", "splunk_window"],
            "no pipeline 'splunk_window'; did you mean 'splunk_windows'",
        ),
    ],
)
def test_what_is_unknown_is_said_with_what_there_is(folder: Path, options: list[str], said: str) -> None:
    done = CliRunner().invoke(rules, ["convert", *options, str(folder)])
    assert said in str(done.exception)


def test_titles_in_japanese() -> None:
    done = CliRunner().invoke(rules, ["list", "--lang", "ja", "--format", "json"])
    titles = [each["title"] for each in json.loads(done.stdout)]
    assert all(any(ord(char) > 0x3000 for char in title) for title in titles)
