"""The program as its users call it: real logs, pipes, exit codes, bad input."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from detector.cli.main import _COMMANDS, cli

COMMANDS = sorted(_COMMANDS)


def detector(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own, with pipes for its output."""
    return subprocess.run(
        [sys.executable, "-m", "detector", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        check=False,
    )


@pytest.fixture(scope="module")
def logs(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of attacks on one folder: remote execution, a credential dump, cleared logs."""
    folder = tmp_path_factory.mktemp("logs")
    samples = corpus / "evtx" / "attack-samples"
    for name in (
        "LM_4624_mimikatz_sekurlsa_pth_source_machine",
        "LM_Remote_Service02_7045",
        "DE_1102_security_log_cleared",
    ):
        (found,) = samples.rglob(f"{name}.evtx")
        shutil.copyfile(found, folder / found.name)
    return folder


@pytest.fixture(scope="module")
def case(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scanned case of these logs."""
    path = tmp_path_factory.mktemp("cases") / "case"
    for arguments in (("ingest", logs, "--case", path), ("scan", "--case", path)):
        done = detector(*arguments)
        assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example(name: str) -> None:
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert isinstance(command, click.Command)
    commands = list(command.commands.values()) if isinstance(command, click.Group) else [command]
    for each in commands:
        text = each.get_help(click.Context(each, info_name=name))
        assert "Example" in text, f"{name} {each.name}"
        assert "detector " in text


def test_help_starts_fast_and_lists_all_commands() -> None:
    done = detector("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)


def test_run_does_everything(logs: Path, tmp_path: Path) -> None:
    done = detector("run", logs, "--case", tmp_path / "case")
    assert done.returncode == 0, done.stderr
    assert "read 3 files" in done.stdout
    assert "Incident" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr, "no terminal codes in a pipe"
    japanese = detector("timeline", "--case", tmp_path / "case", "--lang", "ja", "--tz", "Asia/Tokyo")
    assert "+09:00" in japanese.stdout


def test_hits_carry_the_event_and_its_evidence(case: Path, logs: Path) -> None:
    done = detector("hits", "--case", case, "--format", "jsonl")
    hits = [json.loads(line) for line in done.stdout.splitlines()]
    assert hits
    wanted = {
        "time", "rule_id", "rule_title", "level", "tags", "site", "host", "channel", "event_id", "record_id",
        "evidence", "event",
    }  # fmt: skip
    for hit in hits:
        assert wanted <= hit.keys()
        assert len(hit["evidence"]["sha256"]) == 64
        assert Path(hit["evidence"]["path"]).parent == logs
        assert hit["event"]["EventID"] == hit["event_id"]
        assert hit["event"]["EventRecordID"] == hit["record_id"]
        assert hit["time"].endswith("+00:00")
    times = [hit["time"] for hit in hits]
    assert times == sorted(times)


def test_every_timeline_line_leads_to_evidence(case: Path) -> None:
    done = detector("timeline", "--case", case, "--format", "jsonl")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines
    assert all(line["events"] for line in lines)


@pytest.mark.parametrize("command", ["incidents", "timeline"])
@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize("form", ["table", "csv", "jsonl", "markdown"])
def test_all_forms_of_the_report(case: Path, command: str, lang: str, form: str) -> None:
    done = detector(command, "--case", case, "--format", form, "--lang", lang)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_query_in_three_forms(case: Path) -> None:
    sql = "SELECT EventID, Computer FROM windows ORDER BY ALL LIMIT 3"
    rows = [
        json.loads(line)
        for line in detector("query", "--case", case, "--format", "jsonl", sql).stdout.splitlines()
    ]
    assert len(rows) == 3
    table = list(
        csv.DictReader(io.StringIO(detector("query", "--case", case, "--format", "csv", sql).stdout))
    )
    assert [row["Computer"] for row in table] == [row["Computer"] for row in rows]
    assert rows[0]["Computer"] in detector("query", "--case", case, sql).stdout


@pytest.mark.parametrize(
    "sql",
    ["DROP VIEW windows", "SELECT * FROM read_text('/etc/hosts')", "SELECT nonsense FROM windows", "SELEC"],
)
def test_a_bad_query_is_one_message(case: Path, sql: str) -> None:
    done = detector("query", "--case", case, sql)
    assert done.returncode == 1
    assert done.stderr.startswith("detector: ")
    assert "Traceback" not in done.stderr


def test_values_are_data_in_every_form(case: Path) -> None:
    sql = "SELECT '=1+1' AS formula, chr(27) || '[2Jx' AS control"
    table = detector("query", "--case", case, "--format", "csv", sql).stdout
    assert next(csv.DictReader(io.StringIO(table)))["formula"] == "'=1+1"
    assert "\x1b" not in detector("query", "--case", case, sql).stdout
    row = json.loads(detector("query", "--case", case, "--format", "jsonl", sql).stdout)
    assert row == {"formula": "=1+1", "control": "\x1b[2Jx"}


def test_bad_input_goes_on_and_says_so(logs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(logs, folder)
    (folder / "empty.evtx").write_bytes(b"")
    (folder / "notes.docx").write_bytes(b"PK\x05\x06" + bytes(18))
    (folder / "half.evtx").write_bytes(next(logs.iterdir()).read_bytes()[:9000])
    done = detector("ingest", folder, "--case", tmp_path / "case")
    assert done.returncode == 3
    assert "empty.evtx: empty file" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("scan", "--case", "nowhere"), 1, "not a case folder"),
        (("timeline", "--case", "nowhere"), 1, "not a case folder"),
        (("ingest", "x", "--case", "c", "--tz", "Tokio"), 1, "Asia/Tokyo"),
        (("ingest", "--case", "c"), 2, "PATH"),
        (("nonsense",), 2, "No such command"),
        (("scan", "--case", "c", "--rules", "absent.yml"), 2, "absent.yml"),
    ],
)
def test_wrong_use_is_one_clear_message(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = detector(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_output_file_is_written_whole(case: Path, tmp_path: Path) -> None:
    target = tmp_path / "timeline.csv"
    done = detector("timeline", "--case", case, "--format", "csv", "-o", target)
    assert done.returncode == 0, done.stderr
    assert target.read_text(encoding="utf-8-sig").count("\n") > 1
    refused = detector("timeline", "--case", case, "--format", "csv", "-o", tmp_path / "no" / "x.csv")
    assert refused.returncode == 1
    assert "cannot be written" in refused.stderr


def test_a_reader_that_leaves_early_is_no_error(case: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "detector",
            "query",
            "--case",
            str(case),
            "--format",
            "jsonl",
            "FROM range(300000)",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    process.wait()
    assert "Traceback" not in errors
