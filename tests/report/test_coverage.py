"""What the logs hold and lack, from made-up events, and in every format."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from datetime import UTC

import pytest

from detector.incidents.log_coverage import (
    COVERAGE_VIEWS,
    SECTIONS,
    CoverageRow,
    coverage_rows,
    span,
)
from detector.report.coverage import COVERAGE_FORMATS, coverage_output
from detector.report.output import Style
from detector.report.texts import LANGUAGES, load
from tests.chain.made import Logs, Row, engine_of, flow, logon, security


def rows(*events: Row, section: str | None = None) -> list[CoverageRow]:
    with engine_of(Logs(events).numbered(), views=COVERAGE_VIEWS) as engine:
        found = coverage_rows(engine)
    return [row for row in found if section in (None, row.section)]


def numbered(marks: Iterable[tuple[float, int]], event_id: int = 4624, **fields: str) -> list[Row]:
    """Events of the Security log of SRV1 at these hours with these record numbers."""
    return [security(hours, "SRV1", event_id, EventRecordID=number, **fields) for hours, number in marks]


def test_first_and_last_of_every_log() -> None:
    (source,) = rows(*numbered([(2, 11), (1, 10), (3, 12)]), section="sources")
    assert (source.host, source.item, source.number, source.key) == ("SRV1", "Security", 3, "records")
    assert (source.first, source.last) == (security(1, "", 1).time, security(3, "", 1).time)
    assert source.values == {"first": "10", "last": "12"}


def test_record_numbers_that_are_missing() -> None:
    holes = rows(*numbered([(1, 10), (2, 12), (3, 13), (4, 113)]), section="holes")
    assert [(hole.number, hole.values["total"], hole.values["holes"]) for hole in holes] == [
        (1, "100", "2"),
        (99, "100", "2"),
    ]
    assert rows(*numbered([(1, 10), (2, 11)]), section="holes") == []


def test_a_silence_far_longer_than_usual() -> None:
    busy = [(minute / 60, minute) for minute in range(60)]
    (hole,) = rows(*numbered([*busy, *((h + 9, n + 60) for h, n in busy)]), section="holes")
    assert (hole.key, hole.values["length"], hole.values["usual"]) == ("hole_silence", "8 h 1 min", "1 min")
    assert rows(*numbered([*busy, *((h + 1.5, n + 60) for h, n in busy)]), section="holes") == []


def test_a_device_that_fell_silent() -> None:
    busy = [minute / 60 for minute in range(60)]
    flows = [flow(hours, "10.1.2.3", "10.1.1.1", 445) for hours in [*busy, *(h + 9 for h in busy)]]
    assert [row.host for row in rows(*flows, section="holes")] == ["FW1"]
    (device,) = rows(*flows, section="devices")
    assert (device.host, device.item, device.number) == ("FW1", "firewall", 120)


def test_a_clock_that_went_back() -> None:
    (change,) = rows(*numbered([(1, 10), (5, 11), (2, 12), (3, 13)]), section="clocks")
    assert (change.key, change.values["by"], change.host) == ("clock_back", "3 h", "SRV1")
    assert rows(*numbered([(1, 10), (2, 11), (2 - 0.01, 12)]), section="clocks") == []


def test_a_clock_that_was_set() -> None:
    def changed(previous: str, new: str) -> Row:
        return security(
            1, "SRV1", 4616, PreviousTime=previous, NewTime=new, SubjectUserName="admin", EventRecordID=1
        )

    (change,) = rows(
        changed("2025-10-27T10:00:00.1234567Z", "2025-10-27T07:00:00.1234567Z"), section="clocks"
    )
    assert (change.key, change.values) == ("clock_set_back", {"by": "3 h", "account": "admin"})
    assert rows(changed("2025-10-27T10:00:00.1Z", "2025-10-27T10:00:00.9Z"), section="clocks") == []


def test_cleared_logs() -> None:
    (clear,) = rows(
        security(1, "SRV1", 1102, SubjectUserName="Admin", SubjectDomainName="HOSP"), section="cleared"
    )
    assert (clear.item, clear.values) == ("Security", {"account": "HOSP\\admin", "event": "1102"})


def test_audit_settings_that_events_betray() -> None:
    seen, missing = rows(logon(1, "SRV1", "taro"), security(1, "SRV1", 5145), section="audit")
    assert seen.values["names"] == "Detailed File Share (5145); Logon (4624)"
    assert "Process Creation" in missing.values["names"]
    assert "Detailed File Share" not in missing.values["names"]


def test_changes_of_the_audit_policy() -> None:
    guid = "{0cce922b-69ae-11d9-bed3-505054503030}"
    (change,) = rows(
        security(1, "SRV1", 4719, SubcategoryGuid=guid, AuditPolicyChanges="%%8448, %%8450",
                 SubjectUserName="x"),
        section="audit_changes",
    )  # fmt: skip
    assert (change.item, change.values["changes"]) == ("Process Creation", "success removed, failure removed")


def test_what_cannot_be_seen() -> None:
    keys = {row.item: row.key for row in rows(logon(1, "SRV1", "taro"), section="steps")}
    assert keys["mass_logon"] == "step_visible"
    assert keys["lateral_movement"] == "step_partly"
    assert keys["initial_access"] == keys["credential_access"] == "step_not_visible"
    with_network = {row.item: row.key for row in rows(flow(1, "10.1.2.3", "10.1.1.1", 445), section="steps")}
    assert with_network["initial_access"] == "step_partly"


def test_a_case_without_events_says_nothing() -> None:
    assert rows() == []


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.04, "0.0 s"), (61, "1 min 1 s"), (90061, "1 d 1 h"), (3600, "1 h")]
)
def test_lengths_of_time(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


EVERYTHING = (
    *numbered([(1, 10), (5, 20), (2, 30)]),
    security(1, "=cmd()", 1102, SubjectUserName="=cmd|' /C calc'!A0"),
    flow(1, "10.1.2.3", "10.1.1.1", 445),
)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("form", COVERAGE_FORMATS)
def test_every_format_says_everything(form: str, language: str) -> None:
    found = rows(*EVERYTHING)
    text = "".join(coverage_output(found, form, Style(load(language), UTC)))
    texts = load(language)
    for row in found:
        assert texts.has("coverage", row.key), row.key
    if form == "json":
        assert len(json.loads(text)) == len(found)
    elif form == "csv":
        cells = list(csv.reader(io.StringIO(text.lstrip("\ufeff"))))
        assert len(cells) == len(found) + 1
        assert not any(cell.startswith("=") for line in cells for cell in line)
    else:
        assert "SRV1" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_section_has_a_title(language: str) -> None:
    assert all(load(language).has("coverage", section) for section in SECTIONS)
