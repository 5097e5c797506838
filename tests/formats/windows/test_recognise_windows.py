"""Recognisers see the heads of all recordings: a file is taken by one format at most, the right one."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest

from detector.formats.base import HEAD_BYTES
from detector.formats.windows import json_ecs, json_evtx_dump, json_nxlog, xml

FORMATS = (json_nxlog.FORMAT, json_ecs.FORMAT, json_evtx_dump.FORMAT, xml.FORMAT)

#: Not in a Windows folder, but rendered Windows events all the same (IIS logs to a channel of its own).
WINDOWS_ELSEWHERE = {"netlogs/iis/crowdsec_iis-xml-logs/iis-logs.log"}

FOLDERS = {
    "netlogs/windows/winlogbeat_evtx_golden": "json_ecs",
    "netlogs/windows/elastic_system_security": "json_ecs",
    "netlogs/windows/elastic_windows_forwarded": "json_ecs",
    "netlogs/windows/nxlog_json": "json_nxlog",
    "sigmahq/regression_data": "json_evtx_dump",
}


def takers(head):
    return [entry.name for entry in FORMATS if entry.recognise(head)]


def head_of(path):
    with path.open("rb") as stream:
        return stream.read(HEAD_BYTES)


def test_files_of_other_products_are_not_taken(corpus):
    seen = 0
    for path in sorted(corpus.glob("netlogs/**/*")):
        name = path.relative_to(corpus).as_posix()
        if not path.is_file() or name.startswith("netlogs/windows/"):
            continue
        assert takers(head_of(path)) == (["xml"] if name in WINDOWS_ELSEWHERE else []), name
        seen += 1
    assert seen > 500


def test_no_windows_file_is_taken_twice(corpus):
    for path in sorted(corpus.glob("netlogs/windows/**/*")):
        if path.is_file():
            assert len(takers(head_of(path))) <= 1, path


@pytest.mark.parametrize("folder", FOLDERS)
def test_json_of_each_shipper_is_taken(corpus, folder):
    suffixes = (".json", ".ndjson", ".log")
    names = [path for path in (corpus / folder).rglob("*") if path.name.endswith(suffixes)]
    names = [path for path in names if not path.name.endswith("-expected.json")]
    assert names
    for path in names:
        assert takers(head_of(path)) == [FOLDERS[folder]], path


def test_recordings_of_otrf(corpus):
    """Archives hold Windows events as NXLog's JSON, beside captures, Zeek logs and logs of Linux."""
    taken = 0
    for archive in sorted(corpus.glob("otrf/**/*.zip")):
        with zipfile.ZipFile(archive) as opened:
            for member in opened.infolist():
                with opened.open(member) as stream:
                    found = takers(stream.read(HEAD_BYTES))
                assert found in ([], ["json_nxlog"]), member.filename
                assert not (found and member.filename.endswith((".log", ".cap", ".pcap", ".csv")))
                taken += bool(found)
    assert taken >= 65


def test_an_evtx_file_imports_no_other_format() -> None:
    """Forty formats with their regular expressions take a third of a second to import."""
    code = (
        "import sys; from detector.formats.registry import recognise; recognise(b'ElfFile' + bytes(100)); "
        "print(*[name for name in sys.modules if name.startswith('detector.formats.network.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "detector.formats.network.fortigate" not in done.stdout
