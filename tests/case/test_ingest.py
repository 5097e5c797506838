"""Evidence into a case: account of every file and record, order, workers, copies, interruption, bad input."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from detector.case import ingest as ingest_module
from detector.case import inspect as inspect_module
from detector.case.ingest import IngestOptions, IngestReport, ingest
from detector.case.store import Case
from detector.errors import CaseError, TimeZoneError
from detector.formats.windows.evtx_chunks import CHUNK_BYTES, FILE_HEADER_BYTES


@pytest.fixture
def logs(corpus: Path, tmp_path: Path) -> Path:
    """A folder with a few real logs."""
    folder = tmp_path / "logs"
    folder.mkdir()
    for name in ("system.evtx", "security.evtx", "Security_short_selected.evtx", "issue_201.evtx"):
        shutil.copyfile(corpus / "evtx" / "parser" / name, folder / name)
    return folder


def take(case: Path, *paths: Path, **options: Any) -> IngestReport:
    return ingest(Case.create(case), paths, IngestOptions(**options))


def events_of(case: Path) -> list[tuple[Any, ...]]:
    """Return all events of a case with all System columns, in a fixed order."""
    with Case.open(case).connect() as engine:
        table = engine.execute("SELECT * EXCLUDE site FROM windows ORDER BY evidence_id, evidence_offset")
    return [tuple(row.values()) for row in table.to_pylist()]


def test_events_in_are_events_stored(logs: Path, tmp_path: Path) -> None:
    report = take(tmp_path / "case", logs)
    assert report.files == 4
    assert report.events > 500
    with Case.open(tmp_path / "case").connect() as engine:
        totals = "SELECT sum(events)::BIGINT e, sum(duplicates)::BIGINT d FROM evidence"
        (row,) = engine.execute(totals).to_pylist()
        (stored,) = engine.execute("SELECT count(*) n FROM windows").to_pylist()
    assert row["e"] == report.events
    assert stored["n"] == report.events - report.duplicates
    assert row["d"] == report.duplicates


def test_order_and_workers_do_not_matter(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take(tmp_path / "a", logs)
    files = sorted(logs.iterdir(), reverse=True)
    take(tmp_path / "b", *files, workers=1)
    monkeypatch.setattr(ingest_module, "_ALONE_BYTES", 0)
    take(tmp_path / "c", logs, workers=2)
    assert events_of(tmp_path / "a") == events_of(tmp_path / "b") == events_of(tmp_path / "c")


def test_a_large_file_read_in_segments_is_the_same(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(tmp_path / "whole", logs / "system.evtx")
    monkeypatch.setattr(inspect_module, "SEGMENT_BYTES", 2 * CHUNK_BYTES)
    report = take(tmp_path / "cut", logs / "system.evtx")
    assert max(segment.segments for segment in report.read) > 1
    assert events_of(tmp_path / "whole") == events_of(tmp_path / "cut")


def test_the_same_file_is_read_once(logs: Path, tmp_path: Path) -> None:
    shutil.copyfile(logs / "system.evtx", logs / "copy of system.evtx")
    first = take(tmp_path / "case", logs)
    assert len(first.already) == 1
    before = events_of(tmp_path / "case")
    again = take(tmp_path / "case", logs)
    assert again.events == 0
    assert events_of(tmp_path / "case") == before
    rows = Case.open(tmp_path / "case").evidence().to_pylist()
    copies = [row["copies"] for row in rows if row["copies"]]
    assert copies == [[str(logs / "system.evtx")]]


def test_the_same_record_in_two_files_is_one_event(logs: Path, tmp_path: Path) -> None:
    data = (logs / "system.evtx").read_bytes()
    (logs / "earlier export.evtx").write_bytes(data[: FILE_HEADER_BYTES + 3 * CHUNK_BYTES])
    take(tmp_path / "one", logs / "system.evtx")
    both = take(tmp_path / "both", logs / "system.evtx", logs / "earlier export.evtx")
    assert both.duplicates > 0
    assert len(events_of(tmp_path / "both")) == len(events_of(tmp_path / "one"))
    later = take(tmp_path / "later", logs / "earlier export.evtx")
    assert later.duplicates == 0
    later = take(tmp_path / "later", logs / "system.evtx")
    assert events_of(tmp_path / "later") == events_of(tmp_path / "both")


def test_interrupted_work_goes_on(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect_module, "SEGMENT_BYTES", 2 * CHUNK_BYTES)
    monkeypatch.setattr("detector.case.plan.SEGMENT_BYTES", 2 * CHUNK_BYTES)
    real = ingest_module.read_task
    calls = 0

    def stops(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "read_task", stops)
        with pytest.raises(KeyboardInterrupt):
            take(tmp_path / "case", logs)
    part = tmp_path / "case" / "tables" / "windows" / "System" / "leftover-0.parquet"
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(b"cut off")
    finished = len(Case.open(tmp_path / "case").journal.work)
    assert finished == 2
    take(tmp_path / "case", logs)
    assert not part.exists()
    assert not Case.open(tmp_path / "case").incomplete()
    take(tmp_path / "at once", logs)
    assert events_of(tmp_path / "case") == events_of(tmp_path / "at once")


def test_a_journal_line_cut_off_by_a_crash_is_ignored(logs: Path, tmp_path: Path) -> None:
    take(tmp_path / "case", logs / "issue_201.evtx")
    journal = tmp_path / "case" / "journal.jsonl"
    with journal.open("ab") as stream:
        stream.write(b'{"type": "work", "task": "cut o')
    take(tmp_path / "case", logs)
    lines = journal.read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line)["type"] in ("work", "copy") for line in lines)
    assert len(Case.open(tmp_path / "case").evidence()) == 4


def test_bad_files_are_named_and_the_rest_goes_on(logs: Path, tmp_path: Path) -> None:
    (logs / "empty.evtx").write_bytes(b"")
    (logs / "picture.evtx").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(5000))
    (logs / "short.evtx").write_bytes((logs / "system.evtx").read_bytes()[:100])
    (logs / "truncated.evtx").write_bytes((logs / "system.evtx").read_bytes()[:100_000])
    report = take(tmp_path / "case", logs, tmp_path / "does not exist")
    reasons = {Path(refusal.path).name: refusal.reason for refusal in report.refused}
    assert "empty" in reasons["empty.evtx"]
    assert "not recognised" in reasons["picture.evtx"]
    assert "no such file" in reasons["does not exist"]
    assert report.files == 6
    with Case.open(tmp_path / "case").connect() as engine:
        rows = engine.execute("SELECT path, reason FROM warnings ORDER BY path").to_pylist()
    warned = {Path(row["path"]).name for row in rows}
    assert {"short.evtx", "truncated.evtx"} <= warned


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="file modes do not bind this user")
def test_an_unreadable_file_is_named(logs: Path, tmp_path: Path) -> None:
    (logs / "system.evtx").chmod(0)
    report = take(tmp_path / "case", logs)
    assert [refusal.reason for refusal in report.refused] == ["permission denied"]


def test_evidence_is_not_changed(logs: Path, tmp_path: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in logs.iterdir()}
    take(tmp_path / "case", logs)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in logs.iterdir()} == before


def test_a_full_disk_keeps_what_is_stored(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(tmp_path / "case", logs / "security.evtx")
    before = events_of(tmp_path / "case")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pyarrow.parquet.ParquetWriter", full)
        with pytest.raises(CaseError, match="No space left on device"):
            take(tmp_path / "case", logs)
    assert events_of(tmp_path / "case") == before


def test_only_one_writes(logs: Path, tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case")
    with case.locked(), pytest.raises(CaseError, match="another detector process"):
        take(tmp_path / "case", logs)


def test_a_folder_with_other_things_is_not_made_a_case(logs: Path) -> None:
    with pytest.raises(CaseError, match="neither empty nor a case"):
        Case.create(logs)


def test_what_is_no_case_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="detector ingest"):
        Case.open(tmp_path)


def test_an_unknown_zone_is_refused(logs: Path, tmp_path: Path) -> None:
    with pytest.raises(TimeZoneError, match="Asia/Tokyo"):
        take(tmp_path / "case", logs, time_zone="Tokio")


def test_a_damaged_archive_gives_what_can_be_read(logs: Path, tmp_path: Path) -> None:
    archive = tmp_path / "logs.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as writer:
        for path in sorted(logs.iterdir()):
            writer.write(path, path.name)
    whole = take(tmp_path / "whole", archive)
    data = bytearray(archive.read_bytes())
    at = data.find((logs / "system.evtx").read_bytes()[:4096])
    data[at + 500_000] ^= 0xFF  # the member's checksum fails at its end
    archive.write_bytes(data)
    report = take(tmp_path / "damaged", archive)
    assert report.files == whole.files
    assert report.events >= whole.events - 200
    assert report.warnings > 0


def test_members_of_archives_are_read_like_files(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(tmp_path / "files", logs)
    zipped = Path(shutil.make_archive(str(tmp_path / "a"), "zip", logs))
    tarred = Path(shutil.make_archive(str(tmp_path / "b"), "gztar", logs))
    take(tmp_path / "zip", zipped)
    take(tmp_path / "tar", tarred)
    monkeypatch.setattr(ingest_module, "_ALONE_BYTES", 0)
    take(tmp_path / "divided", zipped, workers=2)
    expected = events_of(tmp_path / "files")
    for name in ("zip", "tar", "divided"):
        assert events_of(tmp_path / name) == expected
    both = take(tmp_path / "files", zipped)
    assert both.events == 0
    row = Case.open(tmp_path / "zip").evidence().to_pylist()[0]
    assert "!/" in row["path"]
    assert row["container_sha256"] == hashlib.sha256(zipped.read_bytes()).hexdigest()
