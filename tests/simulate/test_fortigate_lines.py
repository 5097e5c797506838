"""The FortiGates' lines: form, order, zone, and keys that real lines have."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.simulate.conftest import Simulated

PAIR = re.compile(r'([A-Za-z_]\w*)=("(?:[^"\\]|\\.)*"|[^\s"]+)')
FILES = ("firewall/hosp-fw1.log", "supplier-vpn/supplier-vpn1.log")


def lines(simulated: Simulated, file: str) -> list[dict[str, str]]:
    text = (simulated.out / "logs" / file).read_text(encoding="utf-8")
    return [dict(PAIR.findall(line)) for line in text.splitlines()]


@pytest.mark.parametrize("file", FILES)
def test_lines_are_key_value_pairs_in_order_of_time(simulated: Simulated, file: str) -> None:
    text = (simulated.out / "logs" / file).read_text(encoding="utf-8")
    header = re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d HOSP-FW1 ")
    for line in text.splitlines():
        assert bool(header.match(line)) == file.startswith("firewall")
        assert PAIR.sub("", header.sub("", line)).strip() == "", line
    moments = [int(line["eventtime"]) for line in lines(simulated, file)]
    assert moments == sorted(moments)
    assert len(moments) > 30


@pytest.mark.parametrize("file", FILES)
def test_local_time_zone_and_eventtime_say_the_same(simulated: Simulated, file: str) -> None:
    for line in lines(simulated, file):
        stated = datetime.strptime(
            f"{line['date']} {line['time']} {line['tz'].strip(chr(34))}", "%Y-%m-%d %H:%M:%S %z"
        )
        assert stated.astimezone(UTC) == datetime.fromtimestamp(int(line["eventtime"]) // 10**9, UTC)
        assert line["tz"] == '"+0900"'


def test_the_flow_to_the_meal_server_matches_its_remote_desktop(simulated: Simulated) -> None:
    flows = [
        line
        for line in lines(simulated, FILES[0])
        if line["type"] == '"traffic"' and line.get("dstport") == "3389" and line["srcip"] == "172.31.7.20"
    ]
    assert flows
    meal = next(host["ip"] for host in simulated.truth.hosts if host["role"] == "meal")
    assert {line["dstip"] for line in flows} == {meal}
    assert all(int(line["duration"]) > 60 for line in flows)


def test_every_tunnel_that_goes_up_comes_down(simulated: Simulated) -> None:
    for file in FILES:
        tunnels: dict[str, list[str]] = defaultdict(list)
        for line in lines(simulated, file):
            if line["subtype"] == '"vpn"' and line["tunnelid"] != "0":
                tunnels[line["tunnelid"]].append(line["logid"].strip('"'))
        for logids in tunnels.values():
            assert logids == ["0101039424", "0101039947", "0101039948", "0101039425"]


#: Keys that no line at hand has: docs.fortinet.com, log message reference 7.0, of the message named.
DOCUMENTED = {
    "0101039947": {"tunnelip"}, "0101039948": {"tunnelip", "duration", "sentbyte", "rcvdbyte"},
    "0101039425": {"duration", "sentbyte", "rcvdbyte"}, "0100044547": {"cfgobj"},
}  # fmt: skip


@pytest.mark.corpus
def test_keys_are_those_of_real_lines(simulated: Simulated, corpus: Path) -> None:
    """Each key is one that a recorded line of the same type and subtype has, or a documented one."""
    known: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in sorted((corpus / "netlogs" / "fortigate").rglob("*.*")):
        content = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".json":
            parsed = json.loads(content)
            content = parsed["input"]["message"] if "input" in parsed else ""
        for text in content.splitlines():
            line = dict(PAIR.findall(text))
            if "logid" in line:
                known[line.get("type", "").strip('"'), line.get("subtype", "").strip('"')] |= set(line)
    forms = set()
    for file in FILES:
        for line in lines(simulated, file):
            kind = line["type"].strip('"'), line["subtype"].strip('"')
            extra = DOCUMENTED.get(line["logid"].strip('"'), set())
            assert set(line) <= known[kind] | extra | {"devname", "devid", "tz"}, line
            forms.add(kind)
    assert forms >= {("traffic", "forward"), ("traffic", "local"), ("event", "vpn"), ("event", "system")}
