"""Bad input, interruptions, full disks, as users meet them: one message, an exit code, no traceback."""

from __future__ import annotations

import contextlib
import gzip
import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests.cli.test_commands import detector

_EVENT = {
    "EventTime": "2022-10-30T01:02:03Z",
    "Hostname": "PC1",
    "EventID": 4624,
    "SourceName": "Microsoft-Windows-Security-Auditing",
    "Channel": "Security",
    "TargetUserName": "suzuki",
}
_FORTIGATE = (
    'date=2022-10-30 time=01:02:03 tz="+0900" devname="FG" devid="FG1" logid="0000000013" type="traffic" '
    'subtype="forward" level="notice" vd="root" srcip=10.0.0.1 srcport=1 dstip=10.0.0.2 dstport=3389 '
    'action="accept" proto=6'
)
_PFIREWALL = (
    "#Version: 1.5\n#Software: Microsoft Windows Firewall\n#Time Format: Local\n"
    "#Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags tcpsyn tcpack tcpwin "
    "icmptype icmpcode info path\n\n"
    "2022-10-30 01:02:03 ALLOW TCP 10.0.0.1 10.0.0.2 50000 3389 0 - 0 0 0 - - - RECEIVE\n"
)


def event(number: int, **fields: object) -> str:
    """One line of NXLog JSON."""
    return json.dumps({**_EVENT, "RecordNumber": number, **fields}, ensure_ascii=False) + "\n"


def rows(case: Path, sql: str) -> list[dict[str, object]]:
    """Ask a case."""
    done = detector("query", "--case", case, "--format", "jsonl", sql)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def write(path: Path, text: str) -> Path:
    """Write a log."""
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two small logs, `logs`, and with a scanned case of them, `case`."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "logs").mkdir()
    write(folder / "logs" / "a.json", "".join(event(number) for number in range(1, 6)))
    write(folder / "logs" / "b.json", "".join(event(number, Hostname="PC2") for number in range(1, 4)))
    for arguments in (("ingest", folder / "logs"), ("scan",)):
        done = detector(*arguments, "--case", folder / "case")
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def logs(made: Path, tmp_path: Path) -> Path:
    """The two logs, to change at will."""
    return Path(shutil.copytree(made / "logs", tmp_path / "logs"))


@pytest.fixture
def case(made: Path, tmp_path: Path) -> Path:
    """The case of the two logs, to damage at will."""
    return Path(shutil.copytree(made / "case", tmp_path / "case"))


# --- evidence


def test_times_at_the_ends_of_the_calendar_stop_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    odd = [
        _FORTIGATE.replace("2022-10-30", date).replace("+0900", zone)
        for date in ("0001-01-01", "9999-12-31")
        for zone in ("+0900", "-0900")
    ]
    write(folder / "fg.log", "\n".join([_FORTIGATE, *odd, _FORTIGATE]) + "\n")
    times = ("0001-01-01T00:00:00+09:00", "9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59.999Z")
    write(folder / "x.json", event(1) + "".join(event(2 + n, EventTime=t) for n, t in enumerate(times)))
    done = detector("run", folder, "--case", tmp_path / "case", "--tz", "Asia/Tokyo")
    assert "Traceback" not in done.stderr
    assert rows(tmp_path / "case", "SELECT count(*) AS n FROM firewall") == [{"n": 6}]
    assert rows(tmp_path / "case", "SELECT count(*) AS n, count(TimeCreated) AS t FROM windows") == [
        {"n": 4, "t": 1}
    ]


def test_numbers_below_zero_and_beyond_64_bits(tmp_path: Path) -> None:
    numbers = [-5, -1, 2**63, 10**30]
    write(tmp_path / "a.json", "".join(event(number) for number in numbers))
    write(tmp_path / "b.json", "".join(event(number, Hostname="pc1") for number in numbers) + event(7))
    done = detector("ingest", tmp_path / "a.json", tmp_path / "b.json", "--case", tmp_path / "case")
    assert done.returncode == 0, done.stderr
    assert "9 events stored" in done.stdout


def test_an_error_in_a_reader_costs_one_file(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from detector.case.ingest import IngestOptions, ingest
    from detector.case.inspect import Inspected
    from detector.case.store import Case
    from detector.formats.registry import format_named

    known = format_named("json_nxlog")
    real = known.read

    def failing(source):  # type: ignore[no-untyped-def]
        for number, item in enumerate(real(source)):
            if b"PC2" in source.head and number == 1:
                raise KeyError("a mistake")
            yield item

    monkeypatch.setattr(Inspected, "known_format", replace(known, read=failing))
    case = Case.create(tmp_path / "case")
    report = ingest(case, [logs], IngestOptions(workers=1))
    assert (report.events, report.warnings) == (6, 1)
    with case.connect() as engine:
        (warning,) = engine.execute("SELECT path, reason FROM warnings").to_pylist()
    assert warning["path"].endswith("b.json")
    assert "KeyError: 'a mistake'" in warning["reason"]


def test_one_bad_byte_in_the_first_line_hides_no_file(tmp_path: Path) -> None:
    lines = (event(1, TargetUserName="ZZZ") + event(2)).encode()
    (tmp_path / "a.json").write_bytes(lines.replace(b"ZZZ", b"\xff\x00\x1b"))
    done = detector("ingest", tmp_path / "a.json", "--case", tmp_path / "case")
    assert done.returncode == 0, done.stderr
    assert "2 events stored" in done.stdout


def test_rare_reasons_do_not_drown(logs: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(logs / "many.zip", "w") as archive:
        for number in range(200):
            archive.writestr(f"f{number}.evtx", b"")
    write(logs / "notes.txt", "hello\n")
    done = detector("ingest", logs, "--case", tmp_path / "case")
    assert done.returncode == 3
    assert "not taken: 201" in done.stderr
    assert "notes.txt: format not recognised" in done.stderr
    assert "199 more files in" in done.stderr
    assert len(done.stderr.splitlines()) < 8


def test_a_bomb_is_named_once_and_the_rest_is_taken(logs: Path, tmp_path: Path) -> None:
    (logs / "bomb.xz").write_bytes(lzma.compress(bytes(270 << 20), preset=0))
    (logs / "cut.json.gz").write_bytes(gzip.compress((logs / "a.json").read_bytes())[:-30])
    done = detector("ingest", logs, "--case", tmp_path / "case")
    assert done.returncode == 3
    assert done.stderr.count("bomb.xz!/bomb") == 1 and "max_ratio" in done.stderr
    (warning,) = rows(tmp_path / "case", "SELECT reason FROM warnings WHERE reason LIKE '%archive%'")
    assert "cut.json" not in str(warning["reason"])


def test_times_without_zone_name_the_option_and_the_rest_goes_on(logs: Path, tmp_path: Path) -> None:
    write(logs / "pfirewall.log", _PFIREWALL)
    done = detector("ingest", logs, "--case", tmp_path / "case")
    assert done.returncode == 3
    assert "8 events stored" in done.stdout
    assert "pfirewall.log: its times state no zone" in done.stderr and "--tz" in done.stderr
    again = detector("ingest", logs, "--case", tmp_path / "case", "--tz", "Asia/Tokyo")
    assert again.returncode == 0, again.stderr
    # What the case holds needs no zone any more.
    third = detector("ingest", logs, "--case", tmp_path / "case")
    assert third.returncode == 0, third.stderr
    assert "3 files not read again" in third.stdout


def test_long_records_cost_themselves(tmp_path: Path) -> None:
    long = event(2, CommandLine="A" * (20 << 20))
    write(tmp_path / "a.json", event(1, CommandLine="B" * (4 << 20)) + long + event(3))
    write(tmp_path / "fg.log", f'{_FORTIGATE}\n{_FORTIGATE} msg="{"C" * (33 << 20)}"\n{_FORTIGATE}\n')
    done = detector("ingest", tmp_path / "a.json", tmp_path / "fg.log", "--case", tmp_path / "case")
    assert done.returncode == 3
    assert "4 events stored, 2 warnings" in done.stdout
    found = rows(tmp_path / "case", 'SELECT reason, "offset" FROM warnings ORDER BY path')
    assert [row["reason"] for row in found] == ["line 2 is longer than 16777216 bytes"] * 2
    assert found[1]["offset"] == len(_FORTIGATE) + 1


def test_channels_whose_names_give_one_folder_keep_their_events(tmp_path: Path) -> None:
    channels = ["セキュリティ", "システム", "a/b", "a_b", "A b", "security", "Security"]
    write(tmp_path / "a.json", "".join(event(n, Channel=name) for n, name in enumerate(channels)))
    done = detector("ingest", tmp_path / "a.json", "--case", tmp_path / "case")
    assert done.returncode == 0, done.stderr
    found = rows(tmp_path / "case", "SELECT Channel FROM windows ORDER BY EventRecordID")
    assert [row["Channel"] for row in found] == channels


_NASTY = "\x1b[2J\x1b]0;owned\x07=cmd|calc \u202egnp.exe <script>alert(1)</script> \"'`|[a](http://x)\x9b1m\n\r\t\x00"


def test_texts_of_logs_are_data_in_every_form(tmp_path: Path) -> None:
    nasty = {"Hostname": _NASTY, "SubjectUserName": "=1+1" + _NASTY, "TargetUserName": "@x" + _NASTY}
    name, ending = "日本 'q' [b] # %20.json", ""
    if sys.platform != "win32":
        name, ending = '\x1b[31m\n"d" *?' + name, "*"
    folder = tmp_path / "logs [1]"
    folder.mkdir()
    cleared = event(1, EventID=1102, SourceName="Microsoft-Windows-Eventlog", **nasty)
    command = {"NewProcessName": "C:\\vssadmin.exe", "CommandLine": "vssadmin delete shadows /all " + _NASTY}
    write(folder / name, cleared + event(2, EventID=4688, **command, **nasty))
    case = tmp_path / f"case [x]{ending}"
    outputs = [detector("run", folder, "--case", case)]
    assert outputs[0].returncode == 0, outputs[0].stderr
    assert "hits" in outputs[0].stdout and ": 0 hits" not in outputs[0].stdout
    for form in ("table", "csv", "markdown", "jsonl"):
        outputs += [
            detector(command, "--case", case, "--format", form, "--lang", "ja")
            for command in ("incidents", "timeline")
        ]
    for form in ("table", "csv", "jsonl"):
        outputs.append(detector("hits", "--case", case, "--format", form))
        for sql in ("FROM windows", "FROM evidence"):
            outputs.append(detector("query", "--case", case, "--format", form, sql))
    escape = chr(27)
    outputs.append(detector("query", "--case", case, f"SELECT error('{escape}[2J') AS \"{escape}\""))
    for done in outputs:
        assert "Traceback" not in done.stderr
        text = done.stdout + done.stderr
        assert not {"\x1b", "\x07", "\x9b", "\x00", "\r", "\u202e"} & set(text), done.args
        if "csv" in done.args:
            assert not any(line.startswith(("=", "@", '"=', '"@')) for line in text.splitlines())


def test_the_case_may_lie_in_the_evidence(logs: Path) -> None:
    first = detector("run", ".", cwd=logs)
    assert first.returncode == 0, first.stderr
    second = detector("run", ".", cwd=logs)
    assert second.returncode == 0, second.stderr
    assert "passed over: 1\n  case: the folder of this case" in second.stderr
    assert "2 files not read again" in second.stdout


def test_a_folder_named_twice_is_no_loss(logs: Path, tmp_path: Path) -> None:
    done = detector("ingest", logs, f"{logs}/", f"{logs}/../logs", "--case", tmp_path / "case")
    assert done.returncode == 0, done.stderr
    assert "8 events stored" in done.stdout


def test_nothing_taken_is_a_failure(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt", "hello")
    for path in (tmp_path / "absent", tmp_path / "notes.txt"):
        assert detector("ingest", path, "--case", tmp_path / "case").returncode == 1


def test_paths_that_are_none(tmp_path: Path) -> None:
    empty = detector("ingest", "", "--case", tmp_path / "case", cwd=tmp_path)
    assert empty.returncode == 2 and "a path is empty" in empty.stderr
    odd = ("y" * 5000, "~/x", "C:\\logs\\x.evtx", "a\n\x1b[31mb")
    done = detector("ingest", *odd, "--case", tmp_path / "case", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("not taken: 4\n")
    assert done.stderr.count("there is no such file") == 3 and "\x1b" not in done.stderr


@pytest.mark.parametrize("change", ["append", "cut", "delete", "replace"])
def test_evidence_that_changes_while_it_is_read_says_so(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    from detector.case import ingest
    from detector.case.store import Case

    victim, choose = logs / "a.json", ingest._choose

    def changing(*given):  # type: ignore[no-untyped-def]
        chosen = choose(*given)
        content = victim.read_text(encoding="utf-8")
        new = {"append": content + event(9), "cut": content[: len(content) // 2], "replace": "\0" * 900}
        if change == "delete":
            victim.unlink()
        else:
            write(victim, new[change])
            os.utime(victim, (2_000_000_000, 2_000_000_000))
        return chosen

    monkeypatch.setattr(ingest, "_choose", changing)
    case = Case.create(tmp_path / "case")
    report = ingest.ingest(case, [logs], ingest.IngestOptions(workers=1))
    with case.connect() as engine:
        reasons = [row["reason"] for row in engine.execute("FROM warnings").to_pylist()]
        count = engine.execute("SELECT count(*) AS n FROM windows").to_pylist()[0]["n"]
    assert report.events == count
    wanted = "cannot be read" if change == "delete" else "was changed while it was being read"
    assert any(wanted in reason for reason in reasons), reasons


def test_the_same_file_for_another_site_is_said(logs: Path, tmp_path: Path) -> None:
    assert detector("ingest", logs, "--case", tmp_path / "case", "--site", "A").returncode == 0
    done = detector("ingest", logs, "--case", tmp_path / "case", "--site", "B")
    assert "a.json: the case holds it for site 'A'" in done.stderr


def test_evidence_is_left_as_it_was(logs: Path, tmp_path: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in logs.iterdir()}
    assert detector("run", logs, "--case", tmp_path / "case").returncode == 0
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in logs.iterdir()} == before


# --- interruptions


def test_the_second_of_two_runs_does_not_take_the_first_ones_files_for_leftovers(
    logs: Path, tmp_path: Path
) -> None:
    from detector.case.ingest import IngestOptions, ingest
    from detector.case.store import Case

    first, second = Case.create(tmp_path / "case"), Case.create(tmp_path / "case")
    assert ingest(first, [logs / "a.json"], IngestOptions(workers=1)).events == 5
    assert ingest(second, [logs / "b.json"], IngestOptions(workers=1)).events == 3
    assert rows(tmp_path / "case", "SELECT count(*) AS n FROM windows") == [{"n": 8}]


def test_duplicates_are_found_though_the_ingest_that_brought_them_was_interrupted(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from detector.case.ingest import IngestOptions, ingest
    from detector.case.store import Case

    case = Case.create(tmp_path / "case")
    ingest(case, [logs / "a.json"], IngestOptions(workers=1))
    write(logs / "copy.json", (logs / "a.json").read_text(encoding="utf-8") + event(9))

    def interrupted(_: Case) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Case, "find_duplicates", interrupted)
        ingest(case, [logs / "copy.json"], IngestOptions(workers=1))
    assert ingest(Case.open(case.path), [logs / "copy.json"], IngestOptions(workers=1)).duplicates == 5
    assert rows(case.path, "SELECT count(*) AS n FROM windows") == [{"n": 6}]


def test_results_older_than_the_evidence_say_so(case: Path, logs: Path) -> None:
    assert "older" not in detector("timeline", "--case", case).stderr
    write(logs / "c.json", event(77))
    assert detector("ingest", logs, "--case", case).returncode == 0
    for command in ("timeline", "incidents", "hits"):
        done = detector(command, "--case", case)
        assert done.returncode == 0
        assert "the results are older than the evidence" in done.stderr


def _many(folder: Path, files: int) -> Path:
    folder.mkdir()
    for number in range(files):
        write(folder / f"{number}.json", "".join(event(each, Hostname=f"PC{number}") for each in range(4000)))
    return folder


def _started(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "detector", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _running(session: int) -> list[str]:
    """Return the processes of a session that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError):
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if entry.name.isdigit() and int(fields[3]) == session and fields[0] != "Z":
                found.append((entry / "cmdline").read_text().replace("\0", " "))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("way", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_an_interrupted_ingest_leaves_no_process_and_goes_on(tmp_path: Path, way: str) -> None:
    logs, case = _many(tmp_path / "logs", 8), tmp_path / "case"
    process = _started("ingest", logs, "--case", case, "--workers", "2")
    deadline = time.monotonic() + 60
    while not (case / "journal.jsonl").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(getattr(signal, way))
    _, errors = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("it had ended before")
    if way != "SIGKILL":
        assert process.returncode == 130
        assert errors.strip().startswith("interrupted"), errors
        assert len(errors.strip().splitlines()) == 1
    while (left := _running(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left
    kept = rows(case, "SELECT count(*) AS n FROM windows")[0]["n"]
    assert isinstance(kept, int) and kept > 0
    done = detector("ingest", logs, "--case", case, "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert rows(case, "SELECT count(*) AS n, count(DISTINCT Computer) AS c FROM windows") == [
        {"n": 32000, "c": 8}
    ]


def test_ctrl_c_in_a_query_is_an_interruption() -> None:
    import duckdb

    from detector.engines.duckdb_engine import _translated_errors
    from detector.errors import QueryError, StorageError

    wrapped = "Invalid Input Error: Python exception occurred while executing the UDF: KeyboardInterrupt: \n"
    for error in (RuntimeError("Query interrupted"), duckdb.InvalidInputException(wrapped)):
        with pytest.raises(KeyboardInterrupt), _translated_errors():
            raise error
    with pytest.raises(QueryError), _translated_errors():
        raise duckdb.BinderException("no such column")
    with pytest.raises(StorageError), _translated_errors():
        raise duckdb.IOException("no such file")


# --- the case folder


def _part(case: Path) -> Path:
    return next((case / "tables" / "windows").rglob("*.parquet"))


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped"])
def test_a_damaged_part_is_named_with_what_it_held(case: Path, damage: str) -> None:
    part = _part(case)
    content = part.read_bytes()
    part.unlink()
    if damage != "missing":
        middle = content[:40] + bytes(300) + content[340:]
        part.write_bytes({"empty": b"", "cut": content[:900], "flipped": middle}[damage])
    for arguments in (("query", "FROM windows_security"), ("scan",)):
        done = detector(*arguments, "--case", case)
        assert done.returncode == 1, done.stdout
        assert part.name in done.stderr and "a.json" in done.stderr and "restore" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "content"), [("hits", "text"), ("timeline", "other table"), ("duplicates", "text")]
)
def test_a_damaged_result_says_how_to_make_it_anew(case: Path, name: str, content: str) -> None:
    target = case / "tables" / f"{name}.parquet"
    other = "hits" if name != "hits" else "duplicates"
    target.write_bytes(b"x" if content == "text" else (case / "tables" / f"{other}.parquet").read_bytes())
    done = detector("timeline", "--case", case)
    assert done.returncode == 1
    assert f"{name}.parquet is damaged" in done.stderr
    assert "scan again" in done.stderr or "detector ingest" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("case.json", "", "case.json is damaged"),
        ("case.json", "[]", "case.json is damaged"),
        ("case.json", '{"layout": 99}', "another version"),
        ("journal.jsonl", "garbage\n", "line 1: the journal is damaged"),
        ("journal.jsonl", "[]\n", "line 1: the journal is damaged"),
        ("journal.jsonl", '{"type": "work", "task": "x", "read": [], "parts": 5}\n', "journal is damaged"),
        ("journal.jsonl", None, "journal.jsonl cannot be read"),
        ("site.toml", "=", "site.toml"),
    ],
)
def test_a_damaged_case_is_one_message(
    case: Path, logs: Path, file: str, content: str | None, words: str
) -> None:
    (case / file).unlink(missing_ok=True)
    if content is None:
        (case / file).mkdir()
    else:
        write(case / file, content)
    for arguments in (("timeline",), ("ingest", logs)):
        done = detector(*arguments, "--case", case)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_a_journal_cut_in_its_last_line_costs_that_line(case: Path, logs: Path) -> None:
    journal = case / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"type":"work","task":"x","re')
    assert rows(case, "SELECT count(*) AS n FROM windows") == [{"n": 8}]
    journal.write_bytes(whole[:-20])
    done = detector("ingest", logs, "--case", case)
    assert done.returncode == 0, done.stderr
    assert rows(case, "SELECT count(*) AS n FROM windows") == [{"n": 8}]


def test_a_wrong_option_makes_no_case(logs: Path, tmp_path: Path) -> None:
    write(tmp_path / "site.toml", "naem = 'x'")
    for wrong in (("--tz", "Tokio"), ("--site-config", tmp_path / "site.toml")):
        done = detector("run", logs, "--case", tmp_path / "case", *wrong)
        assert done.returncode == 1
        assert not (tmp_path / "case").exists()


# --- what the system refuses. Root may do everything, unless it gives that up first.


def _confined(script: str, mounts: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a shell script as nobody special, or with mounts of its own; skip where that is not possible."""
    if mounts:
        tool = ["unshare", "-m", "--"]
    elif os.name == "posix" and os.getuid() == 0:
        lost = "-dac_override,-dac_read_search"
        tool = ["setpriv", "--bounding-set", lost, "--inh-caps", lost, "--"]
    else:
        tool = []
    if tool and (shutil.which(tool[0]) is None or subprocess.run([*tool, "true"], check=False).returncode):
        pytest.skip(f"{tool[0]} cannot be used here")
    if sys.platform == "win32":
        pytest.skip("file modes do not bind here")
    program = f'detector() {{ {sys.executable} -m detector "$@"; echo "exit $?"; }}\n'
    return subprocess.run(
        ["sh" if not tool else tool[0], *tool[1:], *(["sh"] if tool else []), "-c", program + script],
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_must_not_be_read_is_named_and_the_rest_is_taken(logs: Path, tmp_path: Path) -> None:
    (logs / "shut").mkdir()
    (logs / "b.json").chmod(0)
    (logs / "shut").chmod(0)
    done = _confined(f"detector ingest {logs} --case {tmp_path}/case")
    (logs / "shut").chmod(0o755)
    assert "5 events stored" in done.stdout and "exit 3" in done.stdout
    assert "b.json: cannot be opened: Permission denied" in done.stderr
    assert "shut: the folder cannot be read: Permission denied" in done.stderr


def test_a_path_that_must_not_be_read_does_not_stop_the_others(logs: Path, tmp_path: Path) -> None:
    (logs / "b.json").chmod(0)
    done = _confined(f"detector ingest {logs}/b.json {logs}/a.json --case {tmp_path}/case")
    assert "5 events stored" in done.stdout and "exit 3" in done.stdout
    assert "b.json: cannot be opened: Permission denied" in done.stderr


def test_a_case_on_a_read_only_medium_can_be_read(case: Path, tmp_path: Path) -> None:
    for path in (*case.rglob("*"), case):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        for command in ("timeline", "query 'FROM logons'"):
            done = _confined(f"detector {command} --case {case}")
            assert "exit 0" in done.stdout, done.stderr
        for command in ("scan", f"ingest {tmp_path}"):
            done = _confined(f"detector {command} --case {case}")
            assert "exit 1" in done.stdout
            assert "cannot be written: Permission denied" in done.stderr
            assert "Traceback" not in done.stderr
    finally:
        for path in (case, *case.rglob("*")):
            path.chmod(0o755)


@pytest.mark.parametrize("shut", ["journal.jsonl", "tables", "tables/hits.parquet", "."])
def test_a_case_that_must_not_be_read(case: Path, shut: str) -> None:
    mode = (case / shut).stat().st_mode
    (case / shut).chmod(0)
    done = _confined(f"detector timeline --case {case}")
    (case / shut).chmod(mode)
    assert "exit 0" not in done.stdout
    assert "ermission denied" in done.stderr or "not readable" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_disk_that_fills_keeps_what_was_stored(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    noise = os.urandom(300_000).hex()
    write(logs / "a.json", event(1))
    write(logs / "b.json", event(2, CommandLine=noise) + event(3))
    disk = tmp_path / "disk"
    disk.mkdir()
    done = _confined(
        f"""
        mount -t tmpfs -o size=200k tmpfs {disk} || exit 99
        detector ingest {logs}/a.json --case {disk}/c
        detector ingest {logs}/b.json --case {disk}/c
        detector query --case {disk}/c --format csv "SELECT count(*) AS n FROM windows"
        yes | head -c 1000000 > {disk}/full
        detector scan --case {disk}/c
        {sys.executable} -m detector query --case {disk}/c --format csv "FROM range(9999)" > {disk}/out
        echo "exit $?"
        detector query --case {disk}/c --format csv "FROM range(9999)" -o {disk}/out
        rm {disk}/full
        mount -o remount,size=20m {disk}
        detector ingest {logs}/b.json --case {disk}/c
        detector query --case {disk}/c --format csv "SELECT count(*) AS n FROM windows"
        """,
        mounts=True,
    )
    if "exit" not in done.stdout:
        pytest.skip("no file system can be mounted here")
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr, done.stderr
    assert "No space left on device; make room and run the same command again" in done.stderr
    codes = [line for line in done.stdout.splitlines() if line.startswith("exit")]
    assert codes == [f"exit {code}" for code in (0, 1, 0, 1, 1, 1, 0, 0)], done.stdout
    counts = [line for line in done.stdout.splitlines() if line.isdigit()]
    assert counts == ["1", "3"]


# --- consoles


@pytest.mark.parametrize("encoding", ["ascii", "cp932"])
def test_japanese_on_any_console(case: Path, encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LANG": "C", "LC_ALL": "C", "COLUMNS": "3"}
    for arguments in (("incidents", "--lang", "ja"), ("query", "FROM windows")):
        done = subprocess.run(
            [sys.executable, "-m", "detector", *arguments, "--case", str(case)],
            capture_output=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
    assert "suzuki" in detector("query", "--case", case, "SELECT TargetUserName FROM windows_security").stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell that closes streams")
def test_closed_streams(case: Path) -> None:
    for closed in (">&-", "2>&-", ">&- 2>&-", ">/dev/full", ">/dev/full 2>&1"):
        command = f"{sys.executable} -m detector query --case {case} 'FROM evidence' {closed}"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == (1 if "full" in closed else 0)
        assert "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_columns_that_are_no_number(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in ("wide", "0"):
        monkeypatch.setenv("COLUMNS", columns)
        assert detector("query", "--case", case, "FROM evidence").returncode == 0


def test_output_never_replaces_evidence_or_what_the_case_needs(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    line = (
        'date=2026-04-01 time=08:00:00 devname="F" devid="FGT60F0000000001" logid="0101039426" type="event" '
        'subtype="vpn" level="alert" action="ssl-login-fail" remip=203.0.113.7 user="sato"\n'
    )
    log = write(tmp_path / "logs" / "fw.log", line)
    archive = tmp_path / "logs.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("in.log", line.replace("08:00", "09:00"))
    case = tmp_path / "case"
    assert detector("ingest", log, archive, "--case", case, "--tz", "UTC").returncode == 0
    elsewhere = tmp_path / "a copy.log"
    elsewhere.write_bytes(archive.read_bytes())
    contents = {path: path.read_bytes() for path in (log, archive, elsewhere)}
    for path in contents:
        done = detector("query", "FROM evidence", "--case", case, "-o", path, "--force")
        assert done.returncode == 1 and "is evidence of this case" in done.stderr
    with log.open("a", encoding="utf-8") as grown:
        grown.write("more\n")
    assert "is evidence" in detector("query", "FROM evidence", "--case", case, "-o", log, "--force").stderr
    for path in (case / "journal.jsonl", case / "site.toml", case / "tables" / "new.csv"):
        done = detector("query", "FROM evidence", "--case", case, "-o", path, "--force")
        assert done.returncode == 1 and "is in the case folder" in done.stderr
    assert all(path.read_bytes() == content for path, content in contents.items() if path != log)
    assert not (case / "site.toml").exists()


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no devices that look like files")
def test_output_never_replaces_a_device(case: Path) -> None:
    done = detector("query", "FROM evidence", "--case", case, "-o", "/dev/null", "--force")
    assert done.returncode == 1 and "no ordinary file" in done.stderr
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("command", ["timeline", "query 'FROM range(9)'"])
def test_output_goes_where_it_can_or_says_why_not(case: Path, tmp_path: Path, command: str) -> None:
    words = command.replace("'", "").split(" ", 1)
    done = detector(*words, "--case", case, "-o", tmp_path)
    assert done.returncode == 2 and "is a directory" in done.stderr
    absent = detector(*words, "--case", case, "-o", tmp_path / "no" / "out")
    assert absent.returncode == 1 and "cannot be written" in absent.stderr
    target = write(tmp_path / "out", "old")
    there = detector(*words, "--case", case, "-o", target)
    assert there.returncode == 1 and "--force" in there.stderr
    assert target.read_text(encoding="utf-8") == "old"
    assert detector(*words, "--case", case, "-o", target, "--force").returncode == 0
    assert target.read_text(encoding="utf-8") != "old"
    assert not list(tmp_path.glob("*.part"))
