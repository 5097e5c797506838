"""Golden output of the made-up hospital attack, in every format and both languages.

To renew the golden files after a wanted change: DETECTOR_UPDATE_GOLDEN=1 pytest tests/report/test_outputs.py
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from detector.engines import Engine
from detector.errors import OutputError
from detector.report.clock import local_time
from detector.report.output import Style, choose_incident, incidents_output, timeline_output
from detector.report.safe_text import width
from detector.report.texts import load
from detector.tables.evidence import EVIDENCE_COLUMNS
from detector.tables.results import schema
from tests.incidents.made_up import Logs, at, finding, hit, hospital_attack

GOLDEN = Path(__file__).parent / "golden"
TOKYO = ZoneInfo("Asia/Tokyo")
HOSTILE = "EVIL|PC\x1b[31m<b>`\u202e"


def attack() -> Logs:
    logs = Logs()
    hospital_attack(logs)
    logs.findings[0] = finding(
        0.0,
        ["FW1"],
        "initial_access_vpn_break_in",
        "high",
        "initial_access",
        account="mealmaint",
        src_ip="203.0.113.7",
        details={"failures": "12", "country": "NL", "new_country": "yes", "assigned_ip": "10.8.0.5"},
    )
    logs.hits.append(
        hit(2.5, "EMR02", "hostile", "high", "other", account="EMR02\\administrator", src_host=HOSTILE)
    )
    logs.hits.append(hit(1, "XRAY7", "odd_script", "medium", "other", account="HOSP\\ito"))
    for host in ("MEALSRV", "EMR01"):
        logs.log(host, "Security", 4624)
        logs.log(host, "System", 7036)
    logs.log("EMR01", "Security", 1102, 6.0, 6.0)
    logs.log("MEALSRV", "Security", 1102, -50.0, -50.0)
    logs.network.add(("hospital", "vpn"))
    return logs


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    incidents, timeline = attack().tables()
    events = [event for row in timeline["events"].to_pylist() for event in row]
    events += [json.loads(entry)["event"] for entry in incidents["entry"].to_pylist()]
    keys = sorted({(event["evidence_id"], event["evidence_offset"]) for event in events})
    evidence = [
        {"evidence_id": key, "path": f"logs\\{key[:4]}.evtx", "sha256": (key * 4)[:64]}
        for key in sorted({key for key, _ in keys})
    ]
    windows = [
        {
            "evidence_id": key,
            "evidence_offset": offset,
            "evidence_record": number,
            "EventRecordID": 1000 + number,
            "Channel": "Security",
            "EventID": 4624,
            "Computer": "HOST",
        }
        for number, (key, offset) in enumerate(keys)
    ]
    with Engine() as opened:
        opened.register("incidents", incidents)
        opened.register("timeline", timeline)
        opened.register("evidence", pa.Table.from_pylist(evidence, schema=schema(EVIDENCE_COLUMNS)))
        opened.register("windows", pa.Table.from_pylist(windows))
        yield opened


def style(language: str) -> Style:
    return Style(load(language), TOKYO, 100, "mycase")


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("command", ["incidents", "timeline"])
@pytest.mark.parametrize("form", ["table", "csv", "jsonl", "markdown"])
def test_golden(engine: Engine, command: str, form: str, language: str) -> None:
    output = incidents_output if command == "incidents" else timeline_output
    text = "".join(output(engine, form, style(language)))
    ending = {"table": "txt", "csv": "csv", "jsonl": "jsonl", "markdown": "md"}[form]
    path = GOLDEN / f"{command}_{language}.{ending}"
    if os.environ.get("DETECTOR_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8", newline="")
    with path.open(encoding="utf-8", newline="") as stream:
        assert text == stream.read()


@pytest.mark.parametrize("form", ["table", "csv", "jsonl", "markdown"])
def test_no_output_carries_control_characters(engine: Engine, form: str) -> None:
    for output in (incidents_output, timeline_output):
        text = "".join(output(engine, form, style("en")))
        assert "\x1b" not in text
        assert "\u202e" not in text
    if form == "markdown":
        assert "<b>" not in text.replace("\\<b\\>", "")


def test_screen_fits_its_columns(engine: Engine) -> None:
    for language in ("en", "ja"):
        for output in (incidents_output, timeline_output):
            for line in "".join(output(engine, "table", style(language))).splitlines():
                assert width(line) <= 102, line


def test_every_timeline_line_leads_to_evidence(engine: Engine) -> None:
    lines = [json.loads(line) for line in timeline_output(engine, "jsonl", style("en"))]
    assert len(lines) == 10
    for line in lines:
        assert len(line["events"]) == line["count"] > 0
        assert all(len(event["sha256"]) == 64 and event["record_id"] for event in line["events"])
        assert line["time"].endswith("+09:00")


def test_csv_has_the_same_cells_as_columns(engine: Engine) -> None:
    text = "".join(timeline_output(engine, "csv", style("ja")))
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert {len(row) for row in rows} == {13}
    assert rows[0][0] == "時刻"
    assert rows[1][0] == "2022-10-30 03:00:00.000000 +09:00"


def test_times_keep_their_microseconds() -> None:
    assert local_time(at(0, 0.123456), TOKYO) == "2022-10-30 03:00:00.123456 +09:00"
    assert local_time(at(0), UTC) == "2022-10-29 18:00:00.000000 +00:00"
    assert local_time(at(0), ZoneInfo("America/St_Johns")).endswith("-02:30")


def test_observations_that_joined_nothing_are_listed_apart(engine: Engine) -> None:
    lines = [json.loads(line) for line in timeline_output(engine, "jsonl", style("en"), None, True)]
    assert [line["source_id"] for line in lines] == ["odd_script"]


def test_incident_is_chosen_by_the_beginning_of_its_id(engine: Engine) -> None:
    (full,) = engine.execute("SELECT incident_id FROM incidents")["incident_id"].to_pylist()
    assert choose_incident(engine, full[:4].upper()) == full
    with pytest.raises(OutputError, match="no incident begins with 'zz'; there are"):
        choose_incident(engine, "zz")
