"""`detector rules explain`: events from files, pipes and cases; what is printed; what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from detector.case.ingest import IngestOptions, ingest
from detector.case.store import Case
from detector.cli.main import cli
from detector.errors import DetectorError, RuleError, TuningError
from detector.report.evidence_reference import load_references
from detector.report.hit_rows import hit_rows
from detector.report.texts import load as texts_of
from detector.scan import scan

WHOAMI = "7cf913b3-3737-4843-b6ec-8c71a4f157d0"
EVENT = {
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "EventID": 1,
    "Image": "C:\\Windows\\System32\\whoami.exe",
    "CommandLine": "whoami /priv",
}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("DETECTOR_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "explain-cache"))
    monkeypatch.delenv("DETECTOR_CASE", raising=False)
    monkeypatch.setenv("COLUMNS", "160")  # a row of the table is one line


def explain(*arguments: str | Path, given: str | bytes | None = None) -> Result:
    done = CliRunner().invoke(cli, ["rules", "explain", *map(str, arguments)], input=given)
    if isinstance(done.exception, DetectorError):
        raise done.exception
    return done


def told(*arguments: str | Path, given: str | bytes | None = None) -> list[dict[str, Any]]:
    done = explain(*arguments, "--format", "json", given=given)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_a_table_shows_what_is_wanted_and_what_the_event_has(tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    path.write_text(json.dumps({**EVENT, "CommandLine": "whoami \u202e/x"}), encoding="utf-8")
    done = explain(WHOAMI, "--event", path)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert "verdict  does not match" in lines
    (switch,) = [line for line in lines if "CommandLine|contains" in line]
    assert switch.startswith("false")
    assert "✗ ' /priv'" in switch
    assert "'whoami \\u202e/x'" in done.stdout
    assert "\u202e" not in done.stdout
    (image,) = [line for line in lines if "Image|endswith" in line and "Parent" not in line]
    assert image.startswith("true")
    assert "(missing)" in done.stdout


@pytest.mark.parametrize(
    "given",
    [
        json.dumps(EVENT),
        json.dumps({"rule_id": "x", "event": EVENT, "evidence": {"path": "a.evtx", "offset": 5}}),
        json.dumps({"event": EVENT}),
        json.dumps([EVENT]),
        "\ufeff" + json.dumps(EVENT, indent=2),
        json.dumps({"CommandLine": "whoami /priv", "Image": "C:\\whoami.exe"}),
        json.dumps({"channel": "Security", "EventID": "4688", "NewProcessName": "C:\\whoami.exe"})[:-1]
        + ', "CommandLine": "whoami /all"}',
        json.dumps(
            {
                "Event": {
                    "System": {
                        "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
                        "EventID": 1,
                        "Channel": EVENT["Channel"],
                        "TimeCreated": {"#attributes": {"SystemTime": "2026-01-02T03:04:05.678Z"}},
                    },
                    "EventData": {"Image": EVENT["Image"], "CommandLine": "whoami /groups"},
                }
            }
        ),
    ],
)
def test_events_in_every_form(given: str) -> None:
    (found,) = told(WHOAMI, "--event", "-", given=given)
    assert found["hit"], found
    assert found["verdict"] == "matches: a hit"


def test_several_events_are_explained_one_by_one() -> None:
    given = "\n".join(json.dumps(each) for each in (EVENT, {**EVENT, "CommandLine": "whoami"})) + "\n"
    assert [each["hit"] for each in told(WHOAMI, "--event", "-", given=given)] == [True, False]


def test_a_line_of_a_firewall() -> None:
    line = (
        'date=2026-01-02 time=03:04:05 tz="+0900" devname="FW1" devid="FGT6" logid="0100032095" type="event" '
        'subtype="system" level="warning" user="admin" action="download" '
        'msg="System config file has been downloaded by user admin via GUI(203.0.113.77)"\n'
    )
    (found,) = told("da232a5d-55ff-4fe5-8073-725ed55c5fb7", "--event", "-", given=line)
    assert found["event"]["view"] == "firewall"
    assert found["hit"], found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "no event in a form that is read"),
        ("no log", "no event in a form that is read"),
        ("[]", "no event"),
        ('{"Channel": "Security", "EventID": "x"}', "no whole number"),
        (b"\xff\xfe\x00", "no event"),
    ],
)
def test_what_is_no_event_is_refused(given: str | bytes, message: str) -> None:
    with pytest.raises(RuleError, match=message):
        explain(WHOAMI, "--event", "-", given=given)


def test_placeholders_of_the_config_and_of_a_file(tmp_path: Path) -> None:
    rule = tmp_path / "rule.yml"
    rule.write_text(
        "title: Expanded\nid: 1f7a3c1e-3b1c-4f0c-9d0e-0c6f5a1b2c3d\n"
        "logsource: {product: windows, service: security}\n"
        "detection:\n    s:\n        TargetUserName|expand: '%Admins%'\n    condition: s\n",
        encoding="utf-8",
    )
    config, file = tmp_path / "detector.toml", tmp_path / "values.yml"
    config.write_text('[placeholders]\nAdmins = ["adm_*", "root"]\n', encoding="utf-8")
    file.write_text("Admins: eve\n", encoding="utf-8")
    event = json.dumps({"Channel": "Security", "TargetUserName": "ADM_1"})
    assert told(rule, "--event", "-", "--config", config, given=event)[0]["hit"]
    assert not told(rule, "--event", "-", "--config", config, "--placeholders", file, given=event)[0]["hit"]
    with pytest.raises(RuleError, match="placeholder %Admins% has no value"):
        explain(rule, "--event", "-", given=event)


def test_wrong_use() -> None:
    assert explain(WHOAMI).exit_code == 2
    assert explain(WHOAMI, "--event", "a", "--evidence", "b", "--case", ".").exit_code == 2
    assert explain(WHOAMI, "--evidence", "aaaaaa:1").exit_code == 2
    with pytest.raises(RuleError, match="cannot be read"):
        explain(WHOAMI, "--event", "nosuchfile")
    with pytest.raises(RuleError, match="no rule has the id, name or title"):
        explain("nosuch", "--event", "-", given=json.dumps(EVENT))


def test_a_filter_and_a_disabled_rule_of_the_config(tmp_path: Path) -> None:
    config = tmp_path / "detector.toml"
    config.write_text(
        '[[filters]]\ntitle = "Ours"\nlogsource = { product = "windows" }\n[filters.filter]\nrules = "any"\n'
        'selection = { "CommandLine|endswith" = "/priv" }\ncondition = "not selection"\n',
        encoding="utf-8",
    )
    (found,) = told(WHOAMI, "--event", "-", "--config", config, given=json.dumps(EVENT))
    assert found["verdict"] == "matches, and is left out by the filter 'Ours': no hit"
    assert (found["hit"], found["matches"], found["filters"][0]["keeps"]) == (False, True, False)
    shown = explain(WHOAMI, "--event", "-", "--config", config, given=json.dumps(EVENT)).stdout
    assert f"filter Ours ({config}:1)" in "".join(shown.split("\n")) or "filter Ours" in shown
    assert "left out" in shown
    config.write_text(f'[rules]\ndisabled = ["{WHOAMI}"]\n', encoding="utf-8")
    (found,) = told(WHOAMI, "--event", "-", "--config", config, given=json.dumps(EVENT))
    assert found["disabled_by"] == WHOAMI
    assert not found["hit"]
    config.write_text("[rule]\n", encoding="utf-8")
    with pytest.raises(TuningError, match="unknown key"):
        explain(WHOAMI, "--event", "-", "--config", config, given=json.dumps(EVENT))


@pytest.fixture(scope="module")
def case(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scanned case of one recording."""
    folder = tmp_path_factory.mktemp("explain") / "case"
    (path,) = (corpus / "evtx" / "attack-samples").rglob("LM_Remote_Service02_7045.evtx")
    made = Case.create(folder)
    ingest(made, [path], IngestOptions())
    scan(made)
    return folder


@pytest.mark.corpus
def test_events_of_a_case_by_key_and_as_timelines_print_them(case: Path) -> None:
    made = Case.open(case)
    with made.connect(meaning=False) as engine:
        hits = list(hit_rows(engine))
        keys = [(hit["evidence"]["evidence_id"], hit["evidence"]["offset"]) for hit in hits]
        references = load_references(engine, keys)
    assert hits
    for hit, key in zip(hits[:2], keys, strict=False):
        forms = [f"{key[0]}:{key[1]}", f"{hit['evidence']['sha256'][:12]}:{key[1]}"]
        forms += [references[key].short(texts_of(language)) for language in ("en", "ja")]
        for form in forms:
            (found,) = told(hit["rule_id"], "--case", case, "--evidence", form)
            assert found["hit"], form
    for wrong in ("aaaaaaaaaaaa:1", f"{keys[0][0]}:1", "Security.evtx record 1"):
        with pytest.raises(RuleError):
            explain(WHOAMI, "--case", case, "--evidence", wrong)


@pytest.mark.corpus
def test_scan_says_what_was_tuned_and_keeps_it(case: Path) -> None:
    made = Case.open(case)
    with made.connect(meaning=False) as engine:
        hits = list(hit_rows(engine))
    rule, others = hits[0]["rule_id"], {hit["rule_id"] for hit in hits} - {hits[0]["rule_id"]}
    config = case / "detector.toml"
    try:
        config.write_text(
            '[[filters]]\ntitle = "All"\nlogsource = { product = "windows" }\n[filters.filter]\n'
            f'rules = ["{rule}"]\nselection = {{ "EventID|exists" = true }}\ncondition = "not selection"\n',
            encoding="utf-8",
        )
        done = CliRunner().invoke(cli, ["scan", "--case", str(case)])
        assert done.exit_code == 0, done.output
        count = sum(hit["rule_id"] == rule for hit in hits)
        plural = "hit" if count == 1 else "hits"
        assert f"1 filter applied, which left out {count} {plural}" in done.output
        record = json.loads((case / "tuning.json").read_text(encoding="utf-8"))
        assert record["filters"][0]["left_out_by_rule"] == {rule: count}
        with made.connect(meaning=False) as engine:
            assert {hit["rule_id"] for hit in hit_rows(engine)} == others
        done = CliRunner().invoke(cli, ["hits", "--case", str(case)])
        assert "the scan left out what detector.toml and filters say" in done.stderr
        config.write_text('[stages]\ndisabled = ["no_such_stage"]\n', encoding="utf-8")
        done = CliRunner().invoke(cli, ["scan", "--case", str(case)])
        assert isinstance(done.exception, TuningError)
        assert "detector.toml:2: stages.disabled: there is no stage 'no_such_stage'" in str(done.exception)
    finally:
        config.unlink()
    done = CliRunner().invoke(cli, ["scan", "--case", str(case)])
    assert "tuned" not in done.output
    assert not (case / "tuning.json").exists()
    with made.connect(meaning=False) as engine:
        assert list(hit_rows(engine)) == hits


def test_list_shows_the_rules_as_tuned(tmp_path: Path) -> None:
    config = tmp_path / "detector.toml"
    config.write_text(f'[rules.levels]\n"{WHOAMI}" = "critical"\n"tag:no.such" = "low"\n', encoding="utf-8")
    done = CliRunner().invoke(cli, ["rules", "list", "--format", "json", "--config", str(config)])
    assert done.exit_code == 0
    assert [rule["level"] for rule in json.loads(done.stdout) if rule["id"] == WHOAMI] == ["critical"]
    assert "tag:no.such fits no rule" in done.stderr
