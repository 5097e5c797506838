# ruff: noqa: E501 - log lines are long
"""A user's own log, by a mapping: the example of the documentation, the forms, and every mistake with its line."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from detector.cli.main import cli
from detector.errors import MappingError, TimeZoneError
from detector.formats.base import Input, ReadContext
from detector.formats.mapped import mapped_format
from detector.formats.mapping import load_mappings
from detector.formats.registry import recognise
from detector.tables.evidence import ReadWarning
from detector.tables.network import NetworkRecord
from tests.formats.network.vendor_checks import check

DOC = Path(__file__).parents[2] / "docs" / "map-your-own-log.md"
NIGHT = datetime(2022, 10, 30, 17, 15, tzinfo=UTC)


def example(kind: str) -> str:
    """Return the first block of a kind in the documentation."""
    found = re.search(rf"```{kind}\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def read(tmp_path: Path, toml: str, data: bytes, **context: Any) -> list[Any]:
    path = tmp_path / "m.toml"
    path.write_text(toml, encoding="utf-8")
    [mapping] = load_mappings(path)
    form = recognise(data[:65536], (mapping,))
    assert form is not None and form.name == mapping.name
    items = list(form.read(Input(io.BytesIO(data), data[:65536], ReadContext(**context))))
    for item in items:
        if isinstance(item, NetworkRecord):
            check(item)  # type: ignore[arg-type]
    return items


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp932"])
def test_the_example_of_the_documentation(tmp_path: Path, encoding: str) -> None:
    text = example("csv").replace("wrong password", "パスワードの誤り")
    up, failed, down = read(tmp_path, example("toml"), text.encode(encoding))
    assert up.columns == {
        "vendor": "Example", "product": "Clinic Gateway", "device": "gw1", "time": NIGHT, "user": "m.tanaka",
        "user_domain": "CLINIC", "user_original": "CLINIC\\m.tanaka", "src_ip": "203.0.113.9",
        "assigned_ip": "10.8.0.2", "event_type": "session_start", "action": "login", "outcome": "success",
    }  # fmt: skip
    assert failed.columns["event_type"] == "authentication" and failed.columns["outcome"] == "failure"
    assert failed.columns["reason"] == failed.fields["Note"] == "パスワードの誤り, 2nd time"
    assert failed.raw.endswith('"パスワードの誤り, 2nd time"')
    assert down.columns["action"] == "logout" and down.columns["duration"] == 3000.0
    assert [item.number for item in (up, failed, down)] == [2, 3, 4]


def test_the_example_through_the_program(tmp_path: Path) -> None:
    (tmp_path / "gateway.csv").write_text(example("csv"), encoding="utf-8")
    (tmp_path / "gateway.toml").write_text(example("toml"), encoding="utf-8")
    case = str(tmp_path / "case")
    mapping = ["--mapping", str(tmp_path / "gateway.toml")]
    runner = CliRunner()
    done = runner.invoke(cli, ["ingest", str(tmp_path / "gateway.csv"), *mapping, "--case", case])
    assert done.exit_code == 0, done.output
    assert re.search(r"clinic-gateway +1 +3 +0", done.output)
    sql = re.search(r'--case mycase "(select.*)"', DOC.read_text("utf-8"))
    assert sql is not None
    shown = runner.invoke(cli, ["query", "--case", case, sql[1], "--format", "csv"])
    assert shown.exit_code == 0, shown.output
    assert [line.split(",")[1:] for line in shown.output.splitlines()[1:]] == [
        ["m.tanaka", "203.0.113.9", "authentication", "failure"],
        ["m.tanaka", "203.0.113.9", "session_start", "success"],
        ["m.tanaka", "203.0.113.9", "session_end", "success"],
    ]


def test_mappings_in_site_toml(tmp_path: Path) -> None:
    (tmp_path / "gateway.csv").write_text(example("csv"), encoding="utf-8")
    (tmp_path / "site.toml").write_text('name = "clinic"\n' + example("toml"), encoding="utf-8")
    case = str(tmp_path / "case")
    arguments = ["ingest", str(tmp_path / "gateway.csv"), "--site-config", str(tmp_path / "site.toml")]
    done = CliRunner().invoke(cli, [*arguments, "--case", case])
    assert done.exit_code == 0 and "clinic-gateway" in done.output


HEAD = '[[mappings]]\nname = "m"\nform = "{}"\ntable = "firewall"\n'


def test_json_lines_behind_an_envelope(tmp_path: Path) -> None:
    toml = HEAD.format("json") + (
        'contains = "gw-event"\n[mappings.columns]\nsrc_ip = "client.ip"\ndst_ip = "to"\ndst_port = "port"\n'
        'action = "verdict"\nuser = "who"\n[mappings.constants]\nprotocol = "6"\n'
    )
    line = '{"type": "gw-event", "client": {"ip": "::ffff:192.0.2.1"}, "to": "198.51.100.1", "port": 3389, "verdict": "blocked", "who": "a@b", "tags": ["x"], "none": null}'
    data = f"<13>1 2022-10-30T17:15:00Z fw9 - - - - {line}\n<13>1 2022-10-30T17:15:01Z fw9 - - - - other\n".encode()
    record, warning = read(tmp_path, toml, data)
    assert record.columns == {
        "src_ip": "192.0.2.1", "dst_ip": "198.51.100.1", "dst_port": 3389, "action": "deny", "outcome": "failure",
        "user": "a", "user_domain": "b", "user_original": "a@b", "event_type": "traffic", "time": NIGHT,
        "device": "fw9", "protocol": "tcp",
    }  # fmt: skip
    assert record.fields["tags"] == '["x"]' and record.fields["client.ip"] == "::ffff:192.0.2.1"
    assert isinstance(warning, ReadWarning) and "line 2" in warning.reason


def test_key_value_and_its_zone(tmp_path: Path) -> None:
    toml = HEAD.format("key-value") + 'contains = "gw="\n[mappings.columns]\ntime = "at"\nsrc_ip = "from"\n'
    data = b'gw=1 at="2022-10-31 02:15:00" from=192.0.2.1\n'
    with pytest.raises(TimeZoneError, match="--tz"):
        read(tmp_path, toml, data)
    [record] = read(tmp_path, toml + '[mappings.time]\nzone = "Asia/Tokyo"\n', data)
    assert record.columns["time"] == NIGHT
    [epoch] = read(tmp_path, toml, b"gw=1 at=1667150100.5 from=192.0.2.1\n")
    assert epoch.columns["time"] == NIGHT + timedelta(milliseconds=500)


def test_csv_without_names(tmp_path: Path) -> None:
    toml = HEAD.format("csv") + (
        'contains = "GW"\nheader = ["when", "what", "from"]\ndelimiter = ";"\n'
        '[mappings.columns]\ntime = "when"\nsrc_ip = "from"\naction = "what"\n'
    )
    data = b"2022-10-30T17:15:00Z;GW permit;192.0.2.1\n2022-10-30T17:15:00Z;GW drop;192.0.2.2;more\n\n"
    first, second = read(tmp_path, toml, data)
    assert first.columns["action"] == "allow" and first.columns["time"] == NIGHT
    assert second.columns["action"] == "drop" and second.fields["column_4"] == "more"


GOOD = HEAD.format("csv") + '[mappings.columns]\nsrc_ip = "a"\naction = "b"\n'


@pytest.mark.parametrize(
    ("toml", "line", "reason"),
    [
        (GOOD.replace("src_ip", "srcip"), 6, "did you mean 'src_ip'"),
        (GOOD.replace("name =", "nam ="), 1, "needs a name"),
        (GOOD.replace('"csv"', '"tsv"'), 3, "one of csv, json, key-value"),
        (GOOD.replace('"firewall"', '"fw"'), 4, "one of firewall, vpn"),
        (GOOD.replace("table =", "tabel ="), 4, "did you mean 'table'"),
        (GOOD + '[mappings.values.action]\n"x" = "block"\n', 9, "none of allow"),
        (GOOD + '[mappings.values.outcome]\n"x" = "success"\n', 8, "columns has no 'outcome'"),
        (GOOD + '[mappings.constants]\noutcome = "fine"\n', 9, "none of failure"),
        (GOOD + '[mappings.constants]\naction = "deny"\n', 9, "both columns and constants"),
        (GOOD + '[mappings.time]\nzone = "Tokyo"\n', 9, "such as Asia/Tokyo"),
        (GOOD + '[mappings.time]\nformat = "dd/MM/yyyy"\n', 9, "such as %d/%m/%Y"),
        (GOOD.replace('"csv"', '"json"'), 2, "contains"),
        (GOOD.replace('"a"', "5"), 6, "a text or a list"),
        (GOOD.replace('src_ip = "a"', 'src_ip = ["a", "b"]'), 6, "only the time"),
        (GOOD + GOOD, 2, "two mappings are named 'm'"),
        ("mapping = 1\n", 1, "unknown key 'mapping'"),
        (GOOD + "x = \n", 8, "Invalid value"),
        (HEAD.format("csv") + 'header = ["q"]\ncontains = "q"\n[mappings.columns]\nuser = "p"\n', 8, "not in the header"),
        (HEAD.format("csv"), 2, "a table [mappings.columns]"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_line(tmp_path: Path, toml: str, line: int, reason: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(toml, encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        load_mappings(path)
    message = str(caught.value)
    assert reason in message and str(path) in message
    assert f"line {line}" in message, message


def test_a_mistake_on_the_command_line_changes_nothing(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(GOOD.replace("src_ip", "srcip"), encoding="utf-8")
    arguments = ["ingest", str(tmp_path), "--mapping", str(wrong), "--case", str(tmp_path / "case")]
    done = CliRunner().invoke(cli, arguments)
    assert isinstance(done.exception, MappingError) and "line 6" in str(done.exception)
    assert not (tmp_path / "case").exists()
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(MappingError, match="cannot be read"):
            load_mappings(path)


@given(st.binary(max_size=300), st.sampled_from(["csv", "json", "key-value"]))
def test_any_bytes_are_records_or_warnings(data: bytes, form: str) -> None:
    from detector.formats.mapping import mappings_of

    columns = {"time": ["t", "u"], "src_ip": "a", "action": "b", "user": "c"}
    [mapping] = mappings_of(
        [{"name": "m", "form": form, "table": "vpn", "contains": "a", "columns": columns}]
    )
    known = mapped_format(mapping)
    for content in (data, b"t,u,a,b,c\n" + data, b'{"a": "1", "b": 2}\n' + data, b"a=1 b=2 " + data):
        known.recognise(content)
        for item in known.read(Input(io.BytesIO(content), content, ReadContext(time_zone=UTC))):
            if isinstance(item, NetworkRecord):
                check(item)  # type: ignore[arg-type]
