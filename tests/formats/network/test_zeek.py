# ruff: noqa: E501 - log lines are long
"""Zeek: against what Elastic expects of its recordings, tab-separated files, and the recordings of OTRF."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.formats.base import Input, ReadContext
from detector.formats.network import zeek
from detector.formats.network.devices import parse_line
from detector.formats.registry import recognise
from detector.tables.evidence import ReadWarning
from detector.tables.network import NetworkRecord
from tests.formats.network.vendor_checks import CONTEXT, check, elastic, linear, one, strangers

HEADER = (
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t{}\n#fields\t{}\n"
)


def read(data: bytes) -> list[Any]:
    form = recognise(data[:65536])
    assert form is zeek.FORMAT
    items = list(form.read(Input(io.BytesIO(data), data[:65536], ReadContext())))
    for item in items:
        if isinstance(item, NetworkRecord):
            check(item)  # type: ignore[arg-type]
    return items


@pytest.mark.corpus
def test_what_elastic_expects(corpus: Path) -> None:
    count = 0
    for name in ("connection", "ntlm"):
        for expected in elastic(corpus / f"netlogs/zeek/elastic_zeek_{name}"):
            found = parse_line(expected["event.original"], CONTEXT)
            assert found is not None
            columns = found.columns
            count += 1
            assert columns["time"].timestamp() == pytest.approx(
                datetime.fromisoformat(expected["@timestamp"]).timestamp(), abs=0.001
            )  # they cut to milliseconds
            assert columns.get("src_ip") == expected.get("source.ip")
            assert columns.get("dst_ip") == expected.get("destination.ip")
            for ours, theirs in (("src_port", "source.port"), ("dst_port", "destination.port")):
                assert columns.get(ours) == expected.get(theirs)
            if name == "ntlm":
                assert (
                    columns["user"] == expected["user.name"]
                    and columns["user_domain"] == expected["user.domain"]
                )
                continue
            assert columns.get("protocol") == expected.get("network.transport")
            assert columns.get("application") == expected.get("network.protocol")
            # Theirs count packets' bytes with their headers (orig_ip_bytes), ours the payload, as flows do.
            assert columns.get("packets_sent") == expected.get("source.packets")
            assert columns.get("direction") == expected.get("network.direction")
    assert count >= 15


@pytest.mark.corpus
def test_samples_of_all_kinds(corpus: Path) -> None:
    kinds: Counter[tuple[str, str]] = Counter()
    for path in sorted((corpus / "netlogs/zeek/elastic_zeek_samples").glob("*.log")):
        for line in path.read_text("utf-8").splitlines():
            found = parse_line(line, CONTEXT)
            if found is not None and found.columns["vendor"] == "Zeek":
                check(found)
                kinds[found.columns["event_id"], found.columns["event_type"]] += 1
    assert kinds["conn", "traffic"] == 16 and kinds["rdp", "traffic"] == 1
    assert kinds["kerberos", "authentication"] == 1 and kinds["notice", "threat"] == 4


@pytest.mark.corpus
def test_tab_separated_files(corpus: Path) -> None:
    data = (corpus / "netlogs/zeek/rita_tsv_proxy/conn.log").read_bytes()
    items = read(data)
    lines = [line for line in data.decode().splitlines() if line and not line.startswith("#")]
    assert [item.raw for item in items] == lines
    first = items[0].columns
    assert (first["src_ip"], first["dst_ip"], first["dst_port"]) == ("10.136.0.18", "10.136.0.16", 3128)
    assert (first["action"], first["outcome"], first["direction"]) == ("close", "success", "internal")
    assert (first["bytes_sent"], first["bytes_received"], first["duration"]) == (1030, 20275, 0.084044)
    assert first["time"] == datetime(2023, 1, 4, 14, 37, 36, 913119, tzinfo=UTC)
    assert "tunnel_parents" not in items[0].fields
    assert data[items[7].offset :].decode().startswith(items[7].raw)


@pytest.mark.corpus
def test_recordings_of_otrf(corpus: Path) -> None:
    count: Counter[str] = Counter()
    users = set()
    for path in sorted((corpus / "otrf").rglob("*zeek*.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                wanted = name.rsplit("/", 1)[-1] in (
                    "conn.log",
                    "rdp.log",
                    "ntlm.log",
                    "smb_mapping.log",
                    "kerberos.log",
                )
                if not wanted or "__MACOSX" in name:
                    continue
                for item in read(archive.read(name)):
                    assert isinstance(item, NetworkRecord), item
                    count[item.columns["event_id"]] += 1
                    users.add(item.columns.get("user"))
    assert count["conn"] > 100 and count["kerberos"] > 10 and count["smb_mapping"] > 5
    assert len(users) > 1


@pytest.mark.corpus
def test_no_other_lines_are_taken(corpus: Path) -> None:
    assert not strangers(zeek.DEVICE, corpus / "netlogs", {"zeek"})


def test_authentication() -> None:
    fields = "ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\trequest_type\tclient\tservice\tsuccess\terror_msg"
    start = (
        "1667150100.5\tC1\t192.0.2.1\t50000\t192.0.2.2\t88\tAS\tm.tanaka/CLINIC.LOCAL\tkrbtgt/CLINIC.LOCAL\t"
    )
    ends = ("T\t-", "F\tKDC_ERR_PREAUTH_FAILED", "F\tKDC_ERR_PREAUTH_REQUIRED")
    items = read(
        (
            HEADER.format("kerberos", fields) + "\n".join(start + end for end in ends) + "\n#close\tx\n"
        ).encode()
    )
    assert [item.columns["outcome"] for item in items] == ["success", "failure", "unknown"]
    columns = items[0].columns
    assert (columns["user"], columns["user_domain"]) == ("m.tanaka", "CLINIC.LOCAL")
    assert columns["event_type"] == "authentication" and columns["message"] == "AS krbtgt/CLINIC.LOCAL"
    rdp = {"ts": "2022-10-30T17:15:00.000000Z", "uid": "C2", "id": {"orig_h": "192.0.2.1", "orig_p": 1, "resp_h": "192.0.2.2", "resp_p": 3389},
           "cookie": "CLINIC\\adm", "result": "Success", "security_protocol": "HYBRID", "client_name": "PC7"}  # fmt: skip
    found = one(zeek.DEVICE, json.dumps(rdp)).columns
    assert (found["user"], found["user_domain"], found["src_host"]) == ("adm", "CLINIC", "PC7")
    assert found["application"] == "rdp" and found["dst_port"] == 3389 and found["outcome"] == "success"
    assert found["time"] == datetime(2022, 10, 30, 17, 15, tzinfo=UTC)


def test_headers_again_and_cut_lines() -> None:
    one_, two = "ts\tid.orig_h\tid.resp_h", "ts\tuid"
    data = (
        HEADER.format("conn", one_)
        + "1667150100\t192.0.2.1\t192.0.2.2\n16671\n"
        + HEADER.format("x", two)
        + "1667150101\tC9\n"
    )
    first, warning, second = read(data.encode())
    assert first.columns["src_ip"] == "192.0.2.1" and second.columns["session_id"] == "C9"
    assert isinstance(warning, ReadWarning) and "line 8" in warning.reason


@given(
    st.text(),
    st.dictionaries(
        st.text(max_size=5) | st.sampled_from(["_path", "service", "client", "conn_state"]),
        st.text() | st.integers() | st.floats() | st.none() | st.lists(st.integers()) | st.booleans(),
    ),
)
def test_lines_are_a_record_or_none(text: str, more: dict[str, Any]) -> None:
    for line in (text, json.dumps({"ts": 1.5, "id.orig_h": "x"} | more), "{" + text):
        parsed = zeek.parse(line, CONTEXT)
        if parsed is not None:
            check(parsed)
    content = (HEADER.format("conn", "ts\tid.orig_h") + text).encode("utf-8", "replace")
    list(zeek.FORMAT.read(Input(io.BytesIO(content), content)))


def test_hostile_lines_take_linear_time() -> None:
    for piece in ("{", '{"ts":', "\t", '"id.orig_h"', "["):
        assert linear(zeek.parse, lambda size, p=piece: '{"ts":1,"id.orig_h":' + p * (size // len(p)), 8000)  # type: ignore[misc]


def test_sample() -> None:
    data = (Path(__file__).parents[3] / "samples" / "formats" / "zeek.log").read_bytes()
    rdp, scan = read(data)
    assert rdp.columns["application"] == "rdp" and rdp.columns["bytes_received"] == 3400
    assert scan.columns["outcome"] == "failure" and scan.columns["dst_port"] == 445
