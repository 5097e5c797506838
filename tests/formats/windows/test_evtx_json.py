"""The short way through the Rust parser's text gives what the long way gives."""

from __future__ import annotations

from pathlib import Path

import evtx
import orjson
import pytest

from detector.formats.windows.evtx_json import event_from_text
from detector.formats.windows.fields import event_from_json

HEAD = (
    '{"Event":{"#attributes":{"xmlns":"http://schemas.microsoft.com/win/2004/08/events/event"},"System":{"Provider":'
    '{"#attributes":{"Name":"P","Guid":"54849625-5478-4994-A5BA-3E3B0328C30D"}},"EventID":4624,"Version":2,"Level":0,'
    '"Task":1,"Opcode":0,"Keywords":"0x8020000000000000","TimeCreated":{"#attributes":{"SystemTime":'
    '"2019-05-08T02:10:43.487217Z"}},"EventRecordID":7,"Correlation":null,"Execution":{"#attributes":'
    '{"ProcessID":444,"ThreadID":4632}},"Channel":"Security","Computer":"PC","Security":null}'
)


def test_on_all_recordings(corpus: Path) -> None:
    compared = 0
    for path in sorted((corpus / "evtx" / "attack-samples").rglob("*.evtx")):
        for record in evtx.PyEvtxParser(str(path), 1).records_json():
            text = record["data"]
            assert event_from_text(text) == event_from_json(orjson.loads(text), text), path
            compared += 1
    assert compared > 8000


@pytest.mark.parametrize(
    "text",
    [
        HEAD + ',"EventData":{"A":"x","B":1,"C":null}}}',
        HEAD + ',"EventData":{"A":"},\\"EventData\\":{","Event":43}}}',
        HEAD + ',"EventData":{"A":"x"},"UserData":{"X":{"B":"y"}}}}',
        HEAD + ',"EventData":{}}}',
        HEAD + ',"EventData":null}}',
        HEAD + ',"UserData":{"X":{"B":"y"}}}}',
        HEAD + ',"EventData":{"Data":{"#text":["a","b"]},"Binary":"00FF"}}}',
        HEAD + ',"EventData":{"#attributes":{"Name":"N"},"A":"x"}}}',
        HEAD + ',"EventData":{"LogonGuid":"a","X":"b","LogonGuid":"c"}}}',
        HEAD.replace('"Computer":"PC"', '"Computer":"P\\"C"') + ',"EventData":{"A":"x"}}}',
        HEAD.replace("2019-05-08T02:10:43.487217Z", "no time") + ',"EventData":{"A":"x"}}}',
        HEAD.replace('"EventRecordID":7', '"EventRecordID":18446744073709551615')
        + ',"EventData":{"A":"x"}}}',
        HEAD.replace('"Security":null', '"Security":{"#attributes":{"UserID":"S-1-5-18"}}')
        + ',"EventData":{"A":"x"}}}',
    ],
)
def test_odd_forms(text: str) -> None:
    for _ in range(2):  # the second time from the memory of kinds and names
        assert event_from_text(text) == event_from_json(orjson.loads(text), text)
