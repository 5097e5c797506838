"""`detector incidents` and `detector timeline` on a case with made-up results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from detector.case.store import Case
from detector.cli.incidents import incidents
from detector.cli.timeline import timeline
from detector.errors import OutputError, TimeZoneError
from detector.tables.results import FINDING_COLUMNS, HIT_COLUMNS, schema
from tests.incidents.made_up import Logs, hospital_attack


@pytest.fixture
def case(tmp_path: Path) -> Path:
    made = Case.create(tmp_path / "case")
    made.store_result("hits", schema(HIT_COLUMNS).empty_table())
    made.store_result("findings", schema(FINDING_COLUMNS).empty_table())
    logs = Logs()
    hospital_attack(logs)
    for name, table in zip(("incidents", "timeline"), logs.tables(), strict=True):
        made.store_result(name, table)
    return made.path


def test_incidents_in_japanese_and_local_time(case: Path) -> None:
    done = CliRunner().invoke(incidents, ["--case", str(case), "--lang", "ja", "--tz", "Asia/Tokyo"])
    assert done.exit_code == 0
    assert "侵入口" in done.output
    assert "2022-10-30 03:00:00.000000 +09:00" in done.output


def test_without_a_zone_times_are_utc_and_a_note_says_so(case: Path) -> None:
    done = CliRunner().invoke(incidents, ["--case", str(case)])
    assert "2022-10-29 18:00:00.000000 +00:00" in done.stdout
    assert "--tz" in done.stderr


def test_zone_of_the_site_is_used(case: Path) -> None:
    (case / "site.toml").write_text('time_zone = "Asia/Tokyo"\n', encoding="utf-8")
    done = CliRunner().invoke(timeline, ["--case", str(case), "--format", "jsonl"])
    assert done.stderr == ""
    assert json.loads(done.stdout.splitlines()[0])["time"] == "2022-10-30T03:00:00.000000+09:00"


def test_timeline_of_one_incident_by_the_beginning_of_its_id(case: Path) -> None:
    full = json.loads(CliRunner().invoke(incidents, ["--case", str(case), "--format", "jsonl"]).stdout)
    done = CliRunner().invoke(
        timeline, ["--case", str(case), "--format", "jsonl", "--tz", "UTC", full["incident_id"][:5]]
    )
    assert {json.loads(line)["incident_id"] for line in done.stdout.splitlines()} == {full["incident_id"]}


def test_csv_in_a_file_is_for_spreadsheets_and_on_the_screen_is_plain(case: Path, tmp_path: Path) -> None:
    arguments = ["--case", str(case), "--format", "csv", "--tz", "UTC"]
    path = tmp_path / "timeline.csv"
    assert CliRunner().invoke(timeline, [*arguments, "-o", str(path)]).exit_code == 0
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbfTime,")
    assert content.count(b"\r\n") == content.count(b"\n") == 10
    plain = CliRunner().invoke(timeline, arguments).stdout_bytes
    assert plain.startswith(b"Time,") and b"\r" not in plain


def test_wrong_zone_and_wrong_incident_are_named(case: Path) -> None:
    wrong_zone = CliRunner().invoke(incidents, ["--case", str(case), "--tz", "Asia/Osaka"])
    assert isinstance(wrong_zone.exception, TimeZoneError)
    wrong_id = CliRunner().invoke(timeline, ["--case", str(case), "--tz", "UTC", "nope"])
    assert isinstance(wrong_id.exception, OutputError)
    both = CliRunner().invoke(timeline, ["--case", str(case), "--not-joined", "nope"])
    assert both.exit_code == 2


def test_case_without_scan_says_what_to_do(tmp_path: Path) -> None:
    Case.create(tmp_path / "case")
    done = CliRunner().invoke(incidents, ["--case", str(tmp_path / "case"), "--tz", "UTC"])
    assert done.exit_code == 0
    assert "detector scan" in done.stderr
    assert "No incident was found." in done.stdout
