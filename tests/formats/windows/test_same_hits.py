"""The project's own rules find the same in the same events, whatever tool exported them."""

from __future__ import annotations

from datetime import timedelta, timezone
from functools import cache
from pathlib import Path

import orjson
import pytest

from detector.case.ingest import IngestOptions, ingest
from detector.case.store import Case
from detector.formats.windows.export_rows import provider_of
from detector.sigma.pack import load_pack
from detector.sigma.scan import scan
from tests.formats.windows import export_forms as forms
from tests.formats.windows.support import event, fields_of, parsed_events, system_of

pytestmark = pytest.mark.corpus

HITS = """
    SELECT h.rule_id, w.Computer, w.EventRecordID, w.EventID
    FROM hits AS h JOIN windows AS w USING (evidence_id, evidence_offset)
"""


@pytest.fixture(scope="module")
def events(corpus):
    """Return (JSON, (system, fields, XML)) of events of all recordings, none of them twice."""
    found = {}
    for path in sorted(corpus.glob("evtx/attack-samples/**/*.evtx")):
        for number, (as_json, as_xml) in enumerate(parsed_events(path)):
            if number == 4:
                break
            parts = event(as_json)
            system = system_of(parts)
            key = system["Computer"], system["Channel"], system["EventRecordID"], system["TimeCreated"]
            if not forms.UNWRITABLE.search(as_xml):
                found.setdefault(key, (as_json, (system, fields_of(parts), as_xml)))
    return list(found.values())


@cache
def pack():
    return load_pack([Path(__file__).parents[3] / "rules"])


def hits(folder, name, data):
    """Return rule and event of each hit in a case of one file."""
    evidence = folder / name
    evidence.write_bytes(data)
    case = Case.create(folder / f"{name}.case")
    report = ingest(case, [evidence], IngestOptions(workers=1))
    assert report.events, name
    with case.connect() as engine:
        engine.register("hits", scan(engine, pack().rules).hits)
        return {tuple(row.values()) for row in engine.execute(HITS).to_pylist()}


@pytest.fixture(scope="module")
def expected(events, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dump")
    found = hits(folder, "dump.jsonl", b"\n".join(as_json for as_json, _ in events))
    assert len(found) > 100
    return found


def as_splunk(samples):
    rows = [[as_xml, "2026-04-12T14:32:01.000+0000"] for _, _, as_xml in samples]
    return forms.csv_bytes(["_raw", "_time"], rows)


WRITERS = {
    "evtxecmd.csv": forms.as_evtxecmd_csv,
    "velociraptor.json": forms.as_velociraptor,
    "winevtlog.json": lambda samples: forms.as_winevtlog(samples, timezone(timedelta(hours=9))),
    "splunk.csv": as_splunk,
    "azure.json": lambda samples: orjson.dumps([forms.windows_event_row(each) for each in samples]),
    "hayabusa.json": lambda samples: b"\n".join(
        orjson.dumps(forms.hayabusa_row(each, "A rule", {})) for each in samples
    ),
}


#: Events in which a form lacks what a rule may look for, though it has the event.
LACKING = {
    # Several unnamed values are joined by a comma.
    "evtxecmd.csv": lambda system, fields: "\n" in fields.get("Data", ""),
    # The provider is not in the file, and the channel does not tell it.
    "hayabusa.json": lambda system, fields: provider_of(system["Channel"], system["EventID"]) is None,
}


@pytest.mark.parametrize("name", WRITERS)
def test_same_hits(events, expected, tmp_path, name):
    found = hits(tmp_path, name, WRITERS[name]([sample for _, sample in events]))
    lacks = LACKING.get(name, lambda system, fields: False)
    lacking = {
        (system["Computer"], system["EventRecordID"], system["EventID"])
        for _, (system, fields, _) in events
        if lacks(system, fields)
    }
    assert len(lacking) < len(events) / 10
    assert {each for each in found ^ expected if each[1:] not in lacking} == set()


def test_same_hits_in_chainsaw(events, expected, tmp_path):
    data = forms.as_chainsaw([orjson.loads(as_json) for as_json, _ in events], lines=True)
    assert hits(tmp_path, "chainsaw.jsonl", data) == expected
