"""Made-up logs for the stages: a few rows in, an engine with all views of a case out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from detector.case.site import SITE_TABLES
from detector.case.sql_views import SqlFile, meaning_views, quoted
from detector.chain import Stage, load_stages, needs_of, run_stages
from detector.engines import Engine
from detector.tables.network import FIREWALL_COLUMNS, VPN_COLUMNS
from detector.tables.windows import TIME, WINDOWS_COLUMNS

#: A Monday, 09:00 in Tokyo.
START = datetime(2025, 10, 27, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """One event: the table, the time in hours after START, its columns, and the key of its evidence."""

    table: str
    hours: float
    columns: Mapping[str, Any]
    key: int = 0

    @property
    def time(self) -> datetime:
        return START + timedelta(hours=self.hours)


@dataclass(frozen=True)
class Logs:
    """A made-up case: events, and what site.toml would say."""

    rows: tuple[Row, ...]
    site: Mapping[str, Sequence[tuple[str | None, ...]]] = field(default_factory=dict)

    def plus(self, other: Iterable[Row]) -> Logs:
        return replace(self, rows=self.rows + tuple(other))

    def numbered(self) -> Logs:
        """Give every row its own evidence key, so that the order in which they are stored can change."""
        return replace(self, rows=tuple(replace(row, key=n) for n, row in enumerate(self.rows, 1)))

    def stretched(self, factor: float) -> Logs:
        """Let everything from START on take `factor` times as long; what came before stays."""
        return replace(
            self,
            rows=tuple(
                replace(row, hours=row.hours * factor if row.hours > 0 else row.hours) for row in self.rows
            ),
        )


def engine_of(logs: Logs, stages: Sequence[Stage] = (), views: Sequence[str] = ()) -> Engine:
    """Return an engine with the views of a case that holds these logs, in the order given.

    Only the meaning views that `stages` and `views` need, all if neither is given: binding all takes long.
    """
    engine = Engine()
    wanted: dict[str, set[str]] = defaultdict(set)
    for needs in [*(view.needs for view in meaning_views()), needs_of(stages or load_stages())]:
        for view, columns in needs.items():
            wanted[view] |= set(columns)
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in logs.rows:
        origin = {
            "site": "made",
            "evidence_id": "made",
            "evidence_offset": row.key,
            "evidence_record": row.key,
        }
        clock = "time" if row.table in ("firewall", "vpn") else "TimeCreated"
        rows[row.table].append({**origin, clock: row.time, **row.columns})
    meaning = {view.header["view"] for view in meaning_views()}
    for table in sorted({*rows, *(name for name in wanted if name.startswith("windows_"))} - meaning):
        if table in ("firewall", "vpn", "windows"):
            continue
        engine.register(table, _table(rows[table], WINDOWS_COLUMNS, wanted[table]))
    everything = [row for table, group in rows.items() if table.startswith("windows_") for row in group]
    engine.register("windows", _table(everything, WINDOWS_COLUMNS, ()))
    engine.register("firewall", _table(rows["firewall"], FIREWALL_COLUMNS, ()))
    engine.register("vpn", _table(rows["vpn"], VPN_COLUMNS, ()))
    for name, columns in SITE_TABLES.items():
        records = [
            dict(zip(("site", *columns), ("made", *values), strict=True))
            for values in logs.site.get(name, ())
        ]
        engine.register(
            name, pa.Table.from_pylist(records, pa.schema([(c, pa.string()) for c in ("site", *columns)]))
        )
    for view in _views_for([*(name for stage in stages for name in stage.sql.needs), *views]):
        engine.run(f"CREATE VIEW {quoted(view.header['view'])} AS {view.body}")
    return engine


def _views_for(names: list[str]) -> list[SqlFile]:
    views = {view.header["view"]: view for view in meaning_views()}
    names = names or list(views)
    wanted: set[str] = set()
    while names:
        name = names.pop()
        if name in views and name not in wanted:
            wanted.add(name)
            names.extend(views[name].needs)
    return [view for name, view in views.items() if name in wanted]


def _table(rows: list[dict[str, Any]], fixed: Mapping[str, pa.DataType], wanted: Iterable[str]) -> pa.Table:
    names = {name.lower(): name for name in fixed}
    for name in [*(name for row in rows for name in row), *sorted(wanted)]:
        names.setdefault(name.lower(), name)
    kinds = {name: fixed.get(name, pa.string()) for name in names.values()}
    if "TimeCreated" in kinds:
        kinds["TimeCreated"] = TIME
    kept = [{name: value for name, value in row.items() if name in kinds} for row in rows]
    return pa.Table.from_pylist(kept, pa.schema(list(kinds.items())))


def findings(
    stage: str, logs: Logs, *, time_zone: str = "Asia/Tokyo", **overrides: Any
) -> list[dict[str, Any]]:
    """Run one stage over made-up logs and return its findings as rows, details as a dict."""
    chosen = [each for each in load_stages() if each.id == stage]
    assert chosen, f"no stage {stage}"
    with engine_of(logs.numbered() if not logs.rows or logs.rows[0].key == 0 else logs, chosen) as engine:
        given = {stage: overrides} if overrides else {}
        result = run_stages(engine, chosen, overrides=given, time_zone=time_zone)
    assert not result.problems, result.problems
    rows: list[dict[str, Any]] = result.findings.to_pylist()
    return [{**row, "details": dict(row["details"])} for row in rows]


SID = "S-1-5-21-1-2-3-"


def security(hours: float, host: str, event_id: int, **fields: Any) -> Row:
    return Row(
        "windows_security",
        hours,
        {
            "EventID": event_id,
            "Computer": f"{host}.hosp.example",
            "Provider_Name": "Microsoft-Windows-Eventlog"
            if event_id == 1102
            else "Microsoft-Windows-Security-Auditing",
            "Channel": "Security",
            **fields,
        },
    )


def logon(
    hours: float,
    host: str,
    account: str,
    src_ip: str = "-",
    *,
    kind: int = 3,
    domain: str = "HOSP",
    package: str = "NTLM",
    workstation: str = "-",
    logon_id: str = "0x1000",
    sid: str | None = None,
    failure: str | None = None,
) -> Row:
    """4624, or 4625 if `failure` (the SubStatus) is given."""
    fields: dict[str, Any] = {
        "TargetUserName": account,
        "TargetDomainName": domain,
        "TargetUserSid": sid or SID + str(1000 + sum(account.encode())),
        "TargetLogonId": logon_id,
        "LogonType": str(kind),
        "AuthenticationPackageName": package,
        "WorkstationName": workstation,
        "IpAddress": src_ip,
        "IpPort": "50000",
    }
    if failure:
        fields |= {"Status": "0xc000006d", "SubStatus": failure, "TargetUserSid": "S-1-0-0"}
    return security(hours, host, 4625 if failure else 4624, **fields)


def history(hosts: Iterable[str], days: int = 10) -> list[Row]:
    """What the hosts logged in the days before START: machine accounts, nobody's logons."""
    return [
        logon(-24.0 * day, host, f"{host}$", "-", kind=3, package="Kerberos")
        for host in hosts
        for day in range(1, days + 1)
    ]


def process(
    hours: float, host: str, image: str, command: str, parent: str = "", account: str = "taro", **more: Any
) -> Row:
    return Row(
        "windows_sysmon",
        hours,
        {
            "EventID": 1,
            "Computer": f"{host}.hosp.example",
            "Image": image,
            "CommandLine": command,
            "ParentImage": parent or r"C:\Windows\explorer.exe",
            "User": f"HOSP\\{account}",
            **more,
        },
    )


def service(hours: float, host: str, name: str, path: str, sid: str = "S-1-5-18") -> Row:
    """7045."""
    return Row(
        "windows_system",
        hours,
        {
            "EventID": 7045,
            "Provider_Name": "Service Control Manager",
            "Computer": f"{host}.hosp.example",
            "ServiceName": name,
            "ImagePath": path,
            "StartType": "demand start",
            "AccountName": "LocalSystem",
            "Security_UserID": sid,
        },
    )


def service_state(hours: float, host: str, name: str, state: int) -> Row:
    """7036 as Windows writes it in any language: the state is in Binary only (1 stopped, 4 running)."""
    binary = "".join(f"{byte:02X}00" for byte in f"{name}/{state}".encode("ascii")) + "0000"
    return Row(
        "windows_system",
        hours,
        {
            "EventID": 7036,
            "Provider_Name": "Service Control Manager",
            "Computer": f"{host}.hosp.example",
            "param1": name,
            "param2": "…",
            "Binary": binary,
        },
    )


def installer(
    hours: float, host: str, event_id: int, product: str, sid: str = SID + "1001", version: str = "1.2.3"
) -> Row:
    data = (
        f"製品: {product} -- 操作は正常に完了しました。\n(NULL)"
        if event_id > 11000
        else f"{product}\n{version}\n1041\n0\nExample Corp\n(NULL)\n"
    )
    return Row(
        "windows_application",
        hours,
        {
            "EventID": event_id,
            "Provider_Name": "MsiInstaller",
            "Computer": f"{host}.hosp.example",
            "Data": data,
            "Security_UserID": sid,
        },
    )


def vpn(
    hours: float,
    user: str,
    src_ip: str,
    *,
    outcome: str = "success",
    country: str = "Japan",
    start: bool = True,
) -> Row:
    return Row(
        "vpn",
        hours,
        {
            "event_type": "session_start" if start and outcome == "success" else "authentication",
            "outcome": outcome,
            "user": user,
            "src_ip": src_ip,
            "src_country": country,
            "device": "VPN1",
            "assigned_ip": "10.8.0.5",
            "session_id": f"{user}-{hours}",
        },
    )


def flow(hours: float, src: str, dst: str, port: int, action: str = "allow") -> Row:
    return Row(
        "firewall",
        hours,
        {
            "event_type": "traffic",
            "device": "FW1",
            "action": action,
            "src_ip": src,
            "dst_ip": dst,
            "dst_port": port,
            "protocol": "tcp",
        },
    )


def share(
    hours: float, host: str, account: str, src_ip: str, name: str, target: str = "", mask: str = "0x1"
) -> Row:
    return security(
        hours,
        host,
        5145 if target else 5140,
        ShareName=f"\\\\*\\{name}",
        RelativeTargetName=target or None,
        AccessMask=mask,
        SubjectUserName=account,
        SubjectDomainName="HOSP",
        SubjectUserSid=SID + "1001",
        SubjectLogonId="0x2000",
        IpAddress=src_ip,
        IpPort="50000",
    )
