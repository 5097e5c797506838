"""From collected records to files: EVTX, FortiGate lines; with the record numbers that the truth names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from detector.simulate.evtx import (
    ClassicData,
    Event,
    EventData,
    EvtxWriter,
    FileTime,
    Guid,
    HexInt32,
    HexInt64,
    Int32,
    Int64,
    Pointer,
    Sid,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    UserData,
)
from detector.simulate.journal import LogFile, Record
from detector.simulate.specs import AUDIT_FAILURE, EventSpec
from detector.simulate.world import FIREWALL, Host, World

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS_1601_TO_1970 = 116_444_736_000_000_000

#: Serial numbers of the two devices, in the form that the maker gives them.
DEVICES = {"HOSP-FW1": "FGT60FTK20000001", "SUPPLIER-VPN1": "FGT60ETK18000002"}

_TYPES: dict[str, Callable[[Any], Any]] = {
    "str": str, "sid": Sid, "guid": Guid, "hex32": HexInt32, "hex64": HexInt64, "size": Pointer,
    "u8": UInt8, "u16": UInt16, "u32": UInt32, "u64": UInt64, "i32": Int32, "i64": Int64, "bool": bool,
    "binary": bytes, "filetime": lambda moment: FileTime(moment * 10 + _TICKS_1601_TO_1970),
}  # fmt: skip

PFIREWALL_HEADER = (
    "#Version: 1.5",
    "#Software: Microsoft Windows Firewall",
    "#Time Format: Local",
    "#Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags tcpsyn tcpack tcpwin"
    " icmptype icmpcode info path",
    "",
)

#: What the truth is told of each record with a mark: mark, record id or line number, time.
Told = tuple[int, int, int]


def write_evtx(log: LogFile, folder: Path, world: World) -> Iterator[Told]:
    """Write a Windows log; yield mark, EventRecordID and time of each record that has a mark."""
    host = world.hosts[log.host]
    path = folder / log.path
    path.parent.mkdir(parents=True, exist_ok=True)
    convert: dict[str, Callable[[tuple[Any, ...]], Any]] = {}
    # Windows 10 2004 and later write 3.2, Server 2019 and earlier 3.1.
    minor = 1 if host.is_server else 2
    with EvtxWriter(path, log.channel, first_record_id=log.first_id, minor_version=minor) as writer:
        for record in log.records():
            number = writer.write(_event(record, host, convert))
            if record.mark is not None:
                yield record.mark, number, record.time


def _event(record: Record, host: Host, convert: dict[str, Callable[[tuple[Any, ...]], Any]]) -> Event:
    spec, values, process, thread, user, failure = record.body
    data = convert.get(spec.key)
    if data is None:
        data = convert[spec.key] = _converter(spec)
    return Event(
        time=_EPOCH + timedelta(microseconds=record.time),
        provider=spec.provider,
        event_id=spec.event_id,
        computer=host.computer,
        data=data(values),
        provider_guid=spec.provider_guid,
        version=spec.version,
        level=spec.level,
        task=spec.task,
        opcode=spec.opcode,
        keywords=AUDIT_FAILURE if failure else spec.keywords,
        process_id=process,
        thread_id=thread,
        user_sid=user,
        qualifiers=spec.qualifiers,
        event_source_name=spec.event_source,
    )


def _converter(spec: EventSpec) -> Callable[[tuple[Any, ...]], Any]:
    """Return what turns the values of an event into the data that the EVTX writer takes."""
    if spec.fields and spec.fields[0][1] == "str[]":
        return lambda values: ClassicData(values[0], values[1])
    typed = [(name, _TYPES[kind]) for name, kind in spec.fields]

    def named(values: tuple[Any, ...]) -> dict[str, Any]:
        return {name: make(value) for (name, make), value in zip(typed, values, strict=True)}

    if spec.user_data is not None:
        element, namespace = spec.user_data, spec.namespace
        return lambda values: UserData(element, namespace, named(values))
    if spec.event_data_name is not None:
        title = spec.event_data_name
        return lambda values: EventData(title, named(values))
    if not typed:
        return lambda _: None
    return named


def write_pfirewall(log: LogFile, folder: Path, zone: ZoneInfo) -> Iterator[Told]:
    """Write Windows Firewall's own log, in local time; yield mark, line number and time where a mark is.

    Fields and header as Windows writes them (learn.microsoft.com, "Configure Windows Firewall logging").
    """
    path = folder / log.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\r\n") as file:
        file.writelines(f"{line}\n" for line in PFIREWALL_HEADER)
        for number, record in enumerate(log.records(), start=len(PFIREWALL_HEADER) + 1):
            source, target, source_port, port = record.body
            local = (_EPOCH + timedelta(microseconds=record.time)).astimezone(zone)
            file.write(
                f"{local:%Y-%m-%d %H:%M:%S} ALLOW TCP {source} {target} {source_port} {port}"
                " 0 - 0 0 0 - - - RECEIVE\n"
            )
            if record.mark is not None:
                yield record.mark, number, record.time


def write_fortigate(log: LogFile, folder: Path, zone: ZoneInfo) -> Iterator[Told]:
    """Write a FortiGate's lines in its local time; yield mark, line number and time where a mark is.

    The hospital's firewall logs to a syslog server, which puts its own header before each line; the gateway's
    log was downloaded from its web interface and has none.
    """
    path = folder / log.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number, record in enumerate(log.records(), start=1):
            file.write(_line(record, log.host, zone))
            if record.mark is not None:
                yield record.mark, number, record.time


def _line(record: Record, device: str, zone: ZoneInfo) -> str:
    local = (_EPOCH + timedelta(microseconds=record.time)).astimezone(zone)
    common: dict[str, object] = {
        "date": _Bare(local.strftime("%Y-%m-%d")),
        "time": _Bare(local.strftime("%H:%M:%S")),
        "devname": device,
        "devid": DEVICES[device],
        "eventtime": record.time * 1000,
        "tz": local.strftime("%z"),
    }
    text = " ".join(_pairs(common | record.body))
    header = f"{local:%b} {local.day:>2} {local:%H:%M:%S} {device} " if device == FIREWALL else ""
    return f"{header}{text}\n"


class _Bare(str):
    """Text that FortiOS writes without quotes."""

    __slots__ = ()


def _pairs(content: dict[str, object]) -> Iterable[str]:
    # FortiOS quotes strings, not numbers and addresses.
    for key, value in content.items():
        quoted = isinstance(value, str) and not isinstance(value, _Bare)
        yield f'{key}="{value}"' if quoted else f"{key}={value}"
