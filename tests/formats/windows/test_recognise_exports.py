"""No reader of an export takes a file of another form, over all recordings; damage never raises."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.formats import registry
from detector.formats.base import HEAD_BYTES, Input, ReadContext
from detector.formats.windows import (
    azure,
    chainsaw,
    evtxecmd,
    hayabusa,
    powershell_csv,
    splunk,
    velociraptor,
    winevtlog,
)
from detector.tables.evidence import ReadWarning
from detector.tables.windows import SYSTEM_COLUMNS

EXPORTS = (azure, chainsaw, evtxecmd, hayabusa, powershell_csv, splunk, velociraptor, winevtlog)
#: Folders of recordings in these forms.
OWN = {
    "netlogs/windows/fluentbit_winevtlog": "winevtlog",
    "netlogs/windows/sekoia_azure-windows.messages.log": "azure",
}
SAMPLES = Path(__file__).parents[3] / "samples" / "formats"
#: Sample files, by the format that must read each.
FILES = {
    "evtxecmd.csv": evtxecmd,
    "velociraptor.json": velociraptor,
    "winevtlog.json": winevtlog,
    "chainsaw.json": chainsaw,
    "splunk.csv": splunk,
    "splunk_wineventlog.txt": splunk,
    "powershell.csv": powershell_csv,
    "azure_securityevent.csv": azure,
    "azure_windowsevent.json": azure,
    "hayabusa.csv": hayabusa,
}
CONTEXT = ReadContext(__import__("zoneinfo").ZoneInfo("Asia/Tokyo"), "option")


def takers(head):
    return [module.FORMAT.name for module in EXPORTS if module.FORMAT.recognise(head)]


def test_recordings_of_other_forms_are_not_taken(corpus):
    seen = 0
    for folder in ("netlogs", "evtx", "sigmahq/regression_data"):
        for path in sorted(each for each in (corpus / folder).rglob("*") if each.is_file()):
            name = path.relative_to(corpus).as_posix()
            with path.open("rb") as stream:
                head = stream.read(HEAD_BYTES)
            wanted = [form for prefix, form in OWN.items() if name.startswith(prefix)]
            assert takers(head) == wanted, name
            seen += 1
    assert seen > 1500


def test_recordings_of_otrf_are_not_taken(corpus):
    """But for the one that was exported from Sentinel."""
    taken = []
    for archive in sorted(corpus.glob("otrf/**/*.zip")):
        with zipfile.ZipFile(archive) as opened:
            for member in opened.infolist():
                with opened.open(member) as stream:
                    found = takers(stream.read(HEAD_BYTES))
                taken.extend((name, member.filename.rpartition("/")[2]) for name in found)
    assert taken == [("azure", "sysmon_log4shell_cve2021_44228_java_serialized_object_2022-05-13045800.json")]


@pytest.mark.parametrize("name", FILES)
def test_each_sample_is_taken_by_its_own_reader(name):
    head = (SAMPLES / name).read_bytes()
    assert takers(head) == [FILES[name].FORMAT.name]
    assert registry.recognise(head) is FILES[name].FORMAT


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(".txt")])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_and_encodings(name, encoding):
    """PowerShell and editors write a mark, or UTF-16: the same events."""
    plain = (SAMPLES / name).read_bytes()
    data = plain.decode("utf-8-sig").encode(encoding)
    module = FILES[name]
    assert registry.recognise(data) is module.FORMAT
    found = [
        [
            item[2:5]
            for item in module.FORMAT.read(Input(io.BytesIO(each), each, CONTEXT))
            if not isinstance(item, ReadWarning)
        ]
        for each in (plain, data)
    ]
    assert found[0] == found[1] != []


def test_no_sample_of_another_format_is_taken():
    others = [path for path in SAMPLES.iterdir() if path.is_file() and path.name not in FILES]
    for path in others:
        assert takers(path.read_bytes()[:HEAD_BYTES]) == [], path.name


def check_items(module, data):
    for item in module.FORMAT.read(Input(io.BytesIO(data), data[:HEAD_BYTES], CONTEXT)):
        if isinstance(item, ReadWarning):
            assert item.reason
        else:
            assert len(item.system) == len(SYSTEM_COLUMNS)
            assert len(item.names) == len(item.values)
            assert all(value is None or type(value) is str for value in item.values)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_files_give_records_or_warnings(name, data):
    """Cut, doubled, overwritten: whatever comes, no exception."""
    whole = (SAMPLES / name).read_bytes()
    at = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(at, min(len(whole), at + 60)))
    put = data.draw(
        st.one_of(st.binary(max_size=8), st.sampled_from([b"\0", b'"', b"\xff\xfe", b"}{", b"1e999"]))
    )
    damaged = whole[:at] + put + whole[end:]
    module = FILES[name]
    if module.FORMAT.recognise(damaged[:HEAD_BYTES]):
        check_items(module, damaged)


@pytest.mark.parametrize("module", EXPORTS)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    head=st.one_of(
        st.binary(max_size=400), st.text(max_size=400).map(lambda text: text.encode("utf-8", "ignore"))
    )
)
def test_recognisers_never_raise(module, head):
    assert module.FORMAT.recognise(head) in (True, False)
