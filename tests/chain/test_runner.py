"""The runner: headers that are checked, failures that are reported, ids and order that stay."""

from __future__ import annotations

from importlib.resources import files

import pyarrow as pa
import pytest

from detector.chain import load_stages, needs_of, parse_stage, run_stages
from detector.chain.runner import finding_id
from detector.errors import StageError
from detector.tables.results import FINDING_COLUMNS, schema
from detector.tables.steps import STEPS
from tests.chain.made import Logs, engine_of, logon, security, share

HEADER = """-- stage: discovery_test
-- step: discovery
-- techniques: T1046, T1021.001
-- level: low
-- finds: something
-- blind: nothing
-- needs: windows_security(EventID)
-- parameter: least = 2 because one is none,
--   and three are many
"""
BODY = """SELECT min(TimeCreated) AS first_seen, min(site) AS site,
    MAP {'count': CAST(count(*) AS VARCHAR), 'nothing': NULL} AS details,
    list({'evidence_id': evidence_id, 'evidence_offset': evidence_offset} ORDER BY TimeCreated) AS events
FROM windows_security HAVING count(*) >= $least"""

CLEARED = Logs(tuple(security(hour, "SRV1", 1102, SubjectUserName="taro") for hour in (1, 2, 3))).numbered()


def test_header() -> None:
    stage = parse_stage("discovery_test.sql", HEADER + BODY)
    assert stage.techniques == ("T1046", "T1021.001")
    assert stage.sql.needs == {"windows_security": frozenset({"EventID"})}
    (least,) = stage.parameters
    assert (least.name, least.default, least.why) == ("least", 2, "because one is none, and three are many")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("-- level: low", "-- level: bad", "level 'bad'"),
        ("-- step: discovery", "-- step: impact", "step 'impact'"),
        ("T1046", "TA0001", "'TA0001'"),
        ("-- blind: nothing\n", "", "lacks 'blind'"),
        ("-- stage: discovery_test", "-- stage: other", "calls it 'other'"),
        ("$least", "2", "least"),
        ("$least", "$most", "least, most"),
        ("SELECT min", "DELETE FROM x; SELECT min", "one statement"),
        ("= 2 because", "= two because", "not a TOML value"),
    ],
)
def test_wrong_headers_are_refused(old: str, new: str, reason: str) -> None:
    with pytest.raises(StageError, match=reason):
        parse_stage("discovery_test.sql", (HEADER + BODY).replace(old, new))


def test_rows_become_findings() -> None:
    stage = parse_stage("discovery_test.sql", HEADER + BODY)
    with engine_of(CLEARED, [stage]) as engine:
        result = run_stages(engine, [stage])
    assert result.findings.schema == schema(FINDING_COLUMNS)
    (row,) = result.findings.to_pylist()
    assert row["finding_id"] == finding_id("discovery_test", [("made", 3), ("made", 1), ("made", 2)])
    assert (row["stage"], row["step"], row["level"]) == ("discovery_test", "discovery", "low")
    assert row["details"] == [("count", "3")]
    assert row["last_seen"] == row["first_seen"]
    assert [event["evidence_offset"] for event in row["events"]] == [1, 2, 3]
    assert (row["hosts"], row["accounts"]) == ([], [])


def test_a_failing_stage_is_reported_and_the_others_run() -> None:
    good = parse_stage("discovery_test.sql", HEADER + BODY)
    broken = parse_stage("discovery_test.sql", HEADER + BODY.replace("min(TimeCreated)", "min(NoSuchColumn)"))
    odd = parse_stage("discovery_test.sql", HEADER + BODY.replace("min(site) AS site", "min(site) AS place"))
    unleveled = parse_stage(
        "discovery_test.sql", HEADER + BODY.replace("min(site) AS site", "'awful' AS level")
    )
    with engine_of(CLEARED, [good]) as engine:
        result = run_stages(engine, [broken, good, odd, unleveled])
    assert result.findings.num_rows == 1
    assert [problem.stage for problem in result.problems] == ["discovery_test"] * 3
    assert "NoSuchColumn" in result.problems[0].reason
    assert "'place'" in result.problems[1].reason
    assert "'awful'" in result.problems[2].reason


def test_overrides_are_checked() -> None:
    stage = parse_stage("discovery_test.sql", HEADER + BODY)
    with engine_of(CLEARED, [stage]) as engine:
        assert run_stages(engine, [stage], overrides={"discovery_test": {"least": 4}}).findings.num_rows == 0
        with pytest.raises(StageError, match=r"no parameter 'most'; it has: least"):
            run_stages(engine, [stage], overrides={"discovery_test": {"most": 4}})
        with pytest.raises(StageError, match="is not a int"):
            run_stages(engine, [stage], overrides={"discovery_test": {"least": "4"}})
        with pytest.raises(StageError, match="no such stage"):
            run_stages(engine, [stage], overrides={"discovery_tset": {"least": 4}})


def test_the_engine_is_left_as_it_was() -> None:
    logs = Logs(
        (logon(1, "SRV1", "taro", "10.1.2.3"), share(1, "SRV1", "taro", "10.1.2.3", "IPC$"))
    ).numbered()
    with engine_of(logs) as engine:
        before = engine.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").num_rows
        run_stages(engine, [stage for stage in load_stages() if "share" in stage.id])
        assert engine.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").num_rows == before
        assert engine.execute("SELECT count(*) AS n FROM logons").column("n")[0].as_py() == 1


def test_an_empty_case_has_no_findings_and_no_problems() -> None:
    with engine_of(Logs(())) as engine:
        result = run_stages(engine)
    assert result.problems == ()
    assert result.findings.num_rows == 0
    assert isinstance(result.findings, pa.Table)


def test_all_stages_are_well_formed() -> None:
    stages = load_stages()
    assert len(stages) >= 18
    assert len({stage.id for stage in stages}) == len(stages)
    assert {stage.step for stage in stages} == {step.id for step in STEPS} - {"other"}
    for stage in stages:
        assert len(stage.finds) > 40, stage.id
        assert all(len(parameter.why) > 15 for parameter in stage.parameters), stage.id
    assert "windows_security" in needs_of(stages) or "logons" in needs_of(stages)


def test_every_stage_of_the_package_is_one_select() -> None:
    folder = files("detector.chain.stages")
    names = [entry.name for entry in folder.iterdir() if entry.name.endswith(".sql")]
    read = {parse_stage(name, (folder / name).read_text("utf-8")).id for name in names}
    assert read == {stage.id for stage in load_stages()}
