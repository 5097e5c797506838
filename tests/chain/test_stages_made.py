"""Every stage on small made-up logs: what it must find, the near miss, the same too slowly, and any order."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from detector.chain import load_stages
from tests.chain.made import (
    SID,
    Logs,
    Row,
    findings,
    flow,
    history,
    installer,
    logon,
    process,
    security,
    service,
    service_state,
    share,
    vpn,
)

SERVERS = [f"SRV{n}" for n in range(1, 9)]
CLIENTS = [f"PC{n:03}" for n in range(1, 41)]
MINUTE = 1 / 60
MEAL = "10.1.1.50"
VENDOR = "172.31.7.20"
BAD_PASSWORD = "0xc000006a"
SITE = {
    "site_networks": [
        ("servers", "", "10.1.1.0/24"),
        ("clients", "", "10.1.2.0/23"),
        ("vendor", "meal supplier", "172.31.7.0/24"),
    ],
    "site_windows": [("meal supplier", "Tue", "14:00", "16:00"), ("meal supplier", "Fri", "14:00", "16:00")],
    "site_reaches": [("meal supplier", "MEALSRV")],
}


@dataclass(frozen=True)
class Example:
    """A stage's positive logs, its near miss, and how much slower the positive must be to be nothing.

    `slow` is None where no time span decides whether there is a finding.
    """

    stage: str
    positive: Callable[[], Logs]
    near_miss: Callable[[], Logs]
    slow: float | None
    hosts: frozenset[str] = frozenset()
    level: str = "high"


def _logs(*rows: Row, background: list[Row] | None = None) -> Logs:
    return Logs((*(background or []), *rows))


def _mass_logon(hosts: list[str], *, src: str = MEAL, account: str = "administrator") -> Logs:
    rows = [
        logon(
            1 + n * 0.5 * MINUTE,
            host,
            account,
            src,
            domain=host,
            failure=BAD_PASSWORD if n % 4 == 0 else None,
        )
        for n, host in enumerate(hosts)
    ]
    return _logs(*rows, background=history(CLIENTS))


def _two_sources(hosts: list[str]) -> Logs:
    rows = [
        logon(1 + n * MINUTE, host, "adm", MEAL if n % 2 else "10.1.1.60", package="Kerberos")
        for n, host in enumerate(hosts)
    ]
    return _logs(*rows, background=history(CLIENTS))


def _nightly(hosts: list[str]) -> Logs:
    """A backup account that touches all servers every night, log and habit beginning together."""
    return _logs(
        *(
            logon(24 * day + 2 + n * 0.5 * MINUTE, host, "svc_backup", "10.1.1.9")
            for day in range(5)
            for n, host in enumerate(hosts)
        )
    )


def _shared_password(count: int) -> Logs:
    rows = [
        logon(1 + n * 10 * MINUTE, host, "Administrator", MEAL, domain=host)
        for n, host in enumerate(SERVERS[:count])
    ]
    return _logs(*rows, background=history(SERVERS))


def _guesses(count: int, *, success: bool) -> Logs:
    rows = [
        logon(1 + n * 0.2 * MINUTE, "SRV1", "administrator", MEAL, failure=BAD_PASSWORD) for n in range(count)
    ]
    if success:
        rows.append(logon(1 + (count + 1) * 0.2 * MINUTE, "SRV1", "administrator", MEAL))
    return _logs(*rows, background=history(["SRV1"]))


def _spray(accounts: int, *, shared_terminal: bool = False) -> Logs:
    rows = [
        security(
            1 + n * 0.2 * MINUTE,
            "DC1",
            4771,
            TargetUserName=f"user{n:02}",
            IpAddress="::ffff:10.1.2.9",
            Status="0x18",
            ServiceName="krbtgt/HOSP",
        )
        for n in range(accounts)
    ]
    if shared_terminal:
        rows += [
            security(
                1 + n * 0.1 * MINUTE,
                "DC1",
                4768,
                TargetUserName=f"staff{n:02}",
                IpAddress="::ffff:10.1.2.9",
                Status="0x0",
                ServiceName="krbtgt",
            )
            for n in range(accounts)
        ]
    return _logs(*rows)


def _vpn_break_in(*, country: str = "Netherlands", address: str = "198.51.100.7", failures: int = 6) -> Logs:
    usual = [vpn(-24 * day + 5, "mealmaint", "203.0.113.5") for day in range(1, 9)]
    tries = [
        vpn(13 + n * MINUTE, "mealmaint", address, outcome="failure", country=country)
        for n in range(failures)
    ]
    return _logs(*usual, *tries, vpn(13 + failures * MINUTE, "mealmaint", address, country=country))


def _vpn_guessing(accounts: int) -> Logs:
    return _logs(
        *(
            vpn(1 + n * 5 * MINUTE, f"user{n}", "198.51.100.7", outcome="failure", country="Netherlands")
            for n in range(accounts)
        )
    )


def _admin_login(address: str) -> Logs:
    usual = [
        Row(
            "firewall",
            -24 * day + 1,
            {
                "event_type": "admin",
                "action": "login",
                "outcome": "success",
                "user": "fwadmin",
                "src_ip": "10.1.1.5",
                "device": "FW1",
            },
        )
        for day in range(1, 6)
    ]
    return _logs(
        *usual,
        Row(
            "firewall",
            15,
            {
                "event_type": "admin",
                "action": "login",
                "outcome": "success",
                "user": "fwadmin",
                "src_ip": address,
                "device": "FW1",
            },
        ),
        Row(
            "firewall", 15.1, {"event_type": "config", "action": "modify", "user": "fwadmin", "device": "FW1"}
        ),
    )


def _vendor_desktop(hour: float, *, public: bool = False) -> Logs:
    """Remote desktop from the vendor to the meal server, `hour` after Monday 09:00 in Tokyo."""
    source = "198.51.100.7" if public else VENDOR
    usual = [
        logon(hours, "MEALSRV", "mealmaint", VENDOR, kind=10, package="Negotiate")
        for hours in (-24 * 6 + 5.5, -24 * 3 + 5.5)  # Tuesday and Friday, 14:30 in Tokyo
    ]
    return Logs(
        (
            *history(["MEALSRV"]),
            *usual,
            Row(
                "windows_terminalservices_localsessionmanager",
                hour,
                {
                    "EventID": 21,
                    "Computer": "MEALSRV",
                    "User": "HOSP\\mealmaint",
                    "SessionID": "2",
                    "Address": source,
                },
            ),
        ),
        SITE,
    )


def _hop(delay: float, *, known: bool = False) -> Logs:
    own = Row(
        "windows_sysmon",
        -1,
        {
            "EventID": 3,
            "Computer": "MEALSRV",
            "Initiated": "true",
            "SourceIp": MEAL,
            "DestinationIp": "10.1.1.2",
        },
    )
    before = (
        [logon(-24 * day + 1, "SRV1", "administrator", MEAL, kind=10) for day in range(1, 6)] if known else []
    )
    return _logs(
        own,
        *before,
        logon(1, "MEALSRV", "mealmaint", VENDOR, kind=10),
        logon(1 + delay, "SRV1", "administrator", MEAL, kind=10),
        background=history(["MEALSRV", "SRV1"]),
    )


def _tunnel(address: str) -> Logs:
    return _logs(logon(1, "SRV1", "taro", address, kind=10), logon(1.1, "SRV1", "taro", address, kind=10))


def _antivirus(*, upgrade: bool) -> Logs:
    rows = [
        logon(1, "MEALSRV", "mealmaint", VENDOR, kind=10, sid=SID + "1001"),
        installer(1.2, "MEALSRV", 1034, "Example Endpoint Protection"),
        installer(1.2, "MEALSRV", 11724, "Example Endpoint Protection"),
    ]
    if upgrade:
        rows.append(installer(1.3, "MEALSRV", 1033, "Example Endpoint Protection"))
    return _logs(*rows)


def _clear(hours: float, host: str, account: str = "administrator") -> Row:
    return security(
        hours,
        host,
        1102,
        SubjectUserName=account,
        SubjectDomainName="HOSP",
        SubjectUserSid=SID + "500",
        SubjectLogonId="0x99",
    )


def _lsass(hours: float, host: str, image: str, access: str) -> Row:
    return Row(
        "windows_sysmon",
        hours,
        {
            "EventID": 10,
            "Computer": host,
            "SourceImage": image,
            "TargetImage": r"C:\Windows\System32\lsass.exe",
            "GrantedAccess": access,
            "CallTrace": r"C:\Windows\SYSTEM32\ntdll.dll+9c584",
        },
    )


def _remote_service(delay: float, *, sid: str = SID + "1001") -> Logs:
    return _logs(
        logon(1, "SRV1", "administrator", MEAL, sid=SID + "1001"),
        service(1 + delay, "SRV1", "upd", r"%SystemRoot%\upd.exe", sid),
    )


def _spread(count: int, path: str = r"%SystemRoot%\upd.exe") -> Logs:
    return _logs(*(service(1 + n * 20 * MINUTE, host, "upd", path) for n, host in enumerate(SERVERS[:count])))


def _remote_shell(command: str, image: str = r"C:\Windows\System32\cmd.exe") -> Logs:
    return _logs(
        logon(1, "SRV1", "administrator", MEAL),
        process(
            1 + MINUTE, "SRV1", image, command, r"C:\Windows\System32\wbem\WmiPrvSE.exe", "administrator"
        ),
    )


def _new_account(*, used: bool, group: str = "S-1-5-32-544") -> Logs:
    member = SID + "1108"
    rows = [
        security(
            1,
            "SRV1",
            4720,
            TargetUserName="helper",
            TargetSid=member,
            SubjectUserName="adm",
            SubjectDomainName="HOSP",
        ),
        security(
            1.1,
            "SRV1",
            4732,
            TargetUserName="Administrators",
            TargetSid=group,
            MemberSid=member,
            MemberName="-",
            SubjectUserName="adm",
            SubjectDomainName="HOSP",
        ),
    ]
    if used:
        rows.append(logon(3, "SRV1", "helper", MEAL, domain="SRV1"))
    return _logs(*rows)


def _scan(machines: int, *, days: int = 1) -> Logs:
    return _logs(
        *(
            flow(24 * day + 1 + n * 0.2 * MINUTE, VENDOR, f"10.1.2.{n}", 445, "deny")
            for day in range(days)
            for n in range(machines)
        )
    )


def _enumeration(hosts: int) -> Logs:
    return _logs(
        *(
            share(1 + n * 4 * MINUTE, host, "taro", "10.1.2.9", "IPC$")
            for n, host in enumerate(SERVERS[:hosts])
        )
    )


def _written(name: str, mask: str = "0x2", target: str = r"Windows\upd.exe") -> Logs:
    return _logs(
        *(share(1 + n * MINUTE, host, "adm", MEAL, name, target, mask) for n, host in enumerate(SERVERS[:4]))
    )


def _shadow(hours: float, host: str, command: str = "vssadmin  delete shadows /all /quiet") -> Row:
    return process(hours, host, r"C:\Windows\System32\vssadmin.exe", command)


def _stops(count: int, *, shutdown: bool = False) -> Logs:
    rows = [service_state(1 + n * 0.1 * MINUTE, "SRV1", f"Service{n}", 1) for n in range(count)]
    if shutdown:
        rows.append(
            Row(
                "windows_system",
                1 + 2 * MINUTE,
                {"EventID": 1074, "Provider_Name": "User32", "Computer": "SRV1.hosp.example"},
            )
        )
    return _logs(*rows)


def _programs(count: int, image: str = r"C:\PerfLogs\win32.exe") -> Logs:
    return _logs(
        *(process(1 + n * 30 * MINUTE, host, image, image) for n, host in enumerate(SERVERS[:count]))
    )


EXAMPLES = [
    Example(
        "mass_logon_one_source",
        lambda: _mass_logon(CLIENTS),
        lambda: _mass_logon(CLIENTS[:9]),
        120,
        frozenset(CLIENTS),
    ),
    Example(
        "mass_logon_one_source",
        lambda: _mass_logon(CLIENTS[:10]),
        lambda: _nightly(CLIENTS[:20]),
        120,
        frozenset(CLIENTS[:10]),
    ),
    Example(
        "mass_logon_one_account",
        lambda: _two_sources(CLIENTS),
        lambda: _two_sources(CLIENTS[:8]),
        60,
        frozenset(CLIENTS),
    ),
    Example(
        "lateral_movement_shared_password",
        lambda: _shared_password(5),
        lambda: _shared_password(2),
        20,
        frozenset(SERVERS[:5]),
    ),
    Example(
        "lateral_movement_shared_password",
        lambda: _shared_password(3),
        lambda: _nightly(SERVERS),
        20,
        frozenset(SERVERS[:3]),
    ),
    Example(
        "discovery_password_guessing",
        lambda: _guesses(20, success=True),
        lambda: _guesses(9, success=True),
        100,
        frozenset({"SRV1"}),
    ),
    Example(
        "discovery_password_guessing",
        lambda: _guesses(10, success=False),
        lambda: _guesses(4, success=True),
        100,
        frozenset({"SRV1"}),
        "medium",
    ),
    Example("discovery_password_spraying", lambda: _spray(12), lambda: _spray(7), 100, frozenset({"DC1"})),
    Example(
        "discovery_password_spraying",
        lambda: _spray(12),
        lambda: _spray(12, shared_terminal=True),
        100,
        frozenset({"DC1"}),
    ),
    Example(
        "initial_access_vpn_break_in",
        _vpn_break_in,
        lambda: _vpn_break_in(country="Japan", address="203.0.113.5", failures=2),
        None,
        frozenset({"VPN1"}),
    ),
    Example(
        "initial_access_vpn_guessing",
        lambda: _vpn_guessing(6),
        lambda: _vpn_guessing(4),
        100,
        frozenset({"VPN1"}),
        "low",
    ),
    Example(
        "initial_access_device_administration",
        lambda: _admin_login("198.51.100.7"),
        lambda: _admin_login("10.1.1.5"),
        None,
        frozenset({"FW1"}),
    ),
    Example(
        "remote_desktop_from_outside",
        lambda: _vendor_desktop(14.5),
        lambda: _vendor_desktop(29.5),
        None,
        frozenset({"MEALSRV"}),
    ),
    Example(
        "remote_desktop_hop", lambda: _hop(1), lambda: _hop(1, known=True), 40, frozenset({"SRV1"}), "medium"
    ),
    Example(
        "remote_desktop_tunnel",
        lambda: _tunnel("127.0.0.1"),
        lambda: _tunnel("10.1.2.9"),
        None,
        frozenset({"SRV1"}),
    ),
    Example(
        "defense_evasion_protection_removed",
        lambda: _antivirus(upgrade=False),
        lambda: _antivirus(upgrade=True),
        None,
        frozenset({"MEALSRV"}),
    ),
    Example(
        "defense_evasion_logs_cleared",
        lambda: _logs(_clear(1, "SRV1")),
        lambda: _logs(security(1, "SRV1", 1100)),
        None,
        frozenset({"SRV1"}),
    ),
    Example(
        "credential_access_dump",
        lambda: _logs(_lsass(1, "SRV1", r"C:\Users\taro\a.exe", "0x1410")),
        lambda: _logs(
            _lsass(1, "SRV1", r"C:\Users\taro\a.exe", "0x1400"),
            _lsass(1, "SRV1", r"C:\Program Files\Agent\agent.exe", "0x1410"),
        ),
        None,
        frozenset({"SRV1"}),
    ),
    Example(
        "lateral_movement_remote_execution",
        lambda: _remote_service(MINUTE / 10),
        lambda: _remote_service(MINUTE / 10, sid="S-1-5-18"),
        4000,
        frozenset({"SRV1"}),
    ),
    Example(
        "lateral_movement_service_spread", lambda: _spread(4), lambda: _spread(2), 20, frozenset(SERVERS[:4])
    ),
    Example(
        "lateral_movement_service_spread",
        lambda: _spread(3),
        lambda: _spread(8, r'"C:\Program Files\Agent\agent.exe"'),
        20,
        frozenset(SERVERS[:3]),
    ),
    Example(
        "lateral_movement_remote_process",
        lambda: _remote_shell("cmd.exe /c whoami"),
        lambda: _remote_shell("winsat.exe", r"C:\Windows\System32\winsat.exe"),
        None,
        frozenset({"SRV1"}),
    ),
    Example(
        "lateral_movement_new_account",
        lambda: _new_account(used=True),
        lambda: _new_account(used=True, group="S-1-5-32-545"),
        200,
        frozenset({"SRV1"}),
    ),
    Example("discovery_network_scan", lambda: _scan(40), lambda: _scan(20), 100),
    Example("discovery_network_scan", lambda: _scan(40), lambda: _scan(40, days=4), 100),
    Example(
        "discovery_share_enumeration",
        lambda: _enumeration(6),
        lambda: _enumeration(4),
        30,
        frozenset(SERVERS[:6]),
        "medium",
    ),
    Example(
        "lateral_movement_admin_share_tools",
        lambda: _written("ADMIN$"),
        lambda: _written("ADMIN$", "0x1"),
        None,
        frozenset(SERVERS[:4]),
    ),
    Example(
        "impact_recovery_destroyed",
        lambda: _logs(_shadow(1, "SRV1")),
        lambda: _logs(_shadow(1, "SRV1", "vssadmin delete shadows /for=C: /oldest")),
        None,
        frozenset({"SRV1"}),
    ),
    Example(
        "impact_services_stopped",
        lambda: _stops(14),
        lambda: _stops(14, shutdown=True),
        100,
        frozenset({"SRV1"}),
        "medium",
    ),
    Example(
        "impact_same_new_program", lambda: _programs(6), lambda: _programs(4), 30, frozenset(SERVERS[:6])
    ),
    Example(
        "impact_same_new_program",
        lambda: _programs(5),
        lambda: _programs(8, r"C:\Program Files\Office\winword.exe"),
        30,
        frozenset(SERVERS[:5]),
    ),
    Example(
        "impact_many_hosts",
        lambda: _logs(_shadow(1, "SRV1"), _clear(1.2, "SRV2"), _shadow(1.4, "SRV3")),
        lambda: _logs(_shadow(1, "SRV1"), _clear(1.2, "SRV1"), _shadow(1.4, "SRV2")),
        20,
        frozenset(SERVERS[:3]),
        "critical",
    ),
]


def _name(example: Example) -> str:
    return example.stage


def test_every_stage_has_an_example() -> None:
    assert {example.stage for example in EXAMPLES} == {stage.id for stage in load_stages()}


@cache
def _found(number: int) -> list[dict[str, Any]]:
    return findings(EXAMPLES[number].stage, EXAMPLES[number].positive().numbered())


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=lambda number: EXAMPLES[number].stage)
def test_positive(number: int) -> None:
    example = EXAMPLES[number]
    logs = example.positive().numbered()
    found = [row for row in _found(number) if row["level"] != "informational"]
    assert len(found) == 1
    finding = found[0]
    assert set(finding["hosts"]) == example.hosts
    assert finding["level"] == example.level or (finding["level"] == "critical" and example.level == "high")
    assert finding["host"] == (next(iter(example.hosts)) if len(example.hosts) == 1 else None)
    times = {row.key: row.time for row in logs.rows}
    told = [times[event["evidence_offset"]] for event in finding["events"]]
    assert told == sorted(told)
    assert finding["first_seen"] <= finding["last_seen"]
    assert len({event["evidence_offset"] for event in finding["events"]}) == len(told)


@pytest.mark.parametrize("example", EXAMPLES, ids=_name)
def test_near_miss(example: Example) -> None:
    found = findings(example.stage, example.near_miss())
    assert [row for row in found if row["level"] not in ("informational", "low")] == []


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.slow], ids=_name)
def test_too_slow(example: Example) -> None:
    assert example.slow is not None
    found = findings(example.stage, example.positive().stretched(example.slow))
    slow_level = ("informational", "low", "medium") if example.stage == "lateral_movement_new_account" else ()
    assert [row for row in found if row["level"] not in slow_level] == []


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=lambda number: EXAMPLES[number].stage)
def test_order_of_the_files_does_not_matter(number: int) -> None:
    logs = EXAMPLES[number].positive().numbered()
    shuffled = list(logs.rows)
    random.Random(7).shuffle(shuffled)
    assert findings(EXAMPLES[number].stage, Logs(tuple(shuffled), logs.site)) == _found(number)


def test_reversed_sequence_is_no_hop() -> None:
    """Out by remote desktop before anybody came in: the session onward was not the intruder's."""
    assert findings("remote_desktop_hop", _hop(-2)) == []


def test_round_of_a_named_administrator_is_less_than_anybody_elses() -> None:
    """From one desk to a few servers never reached before; nobody came to that desk by remote desktop."""

    def level(servers: int, *, named: bool) -> list[str]:
        rows = [
            logon(1 + n * 10 * MINUTE, f"SRV{n + 1}", "adm.ito", "10.1.2.9", kind=10) for n in range(servers)
        ]
        rows += history([f"SRV{n + 1}" for n in range(servers)])
        accounts = [("adm.ito", "administrator", None)] if named else []
        logs = Logs(tuple(rows), {"site_accounts": accounts, **SITE})
        return [row["level"] for row in findings("remote_desktop_hop", logs)]

    assert level(4, named=False) == ["medium"]
    assert level(4, named=True) == ["low"]
    assert level(12, named=True) == ["medium"]


def test_logon_after_the_service_did_not_make_it() -> None:
    assert findings("lateral_movement_remote_execution", _remote_service(-1)) == []


def test_session_after_the_removal_was_not_the_one() -> None:
    logs = _logs(
        installer(1, "MEALSRV", 1034, "Example Endpoint Protection"),
        logon(2, "MEALSRV", "mealmaint", VENDOR, kind=10, sid=SID + "1001"),
    )
    (finding,) = findings("defense_evasion_protection_removed", logs)
    assert finding["details"]["in_remote_session"] == "no"
    assert finding["src_ip"] is None


def test_success_before_the_guessing_is_no_break_in() -> None:
    logs = _logs(logon(0.5, "SRV1", "administrator", MEAL)).plus(_guesses(20, success=False).rows)
    (finding,) = findings("discovery_password_guessing", logs)
    assert finding["details"]["succeeded"] == "no"


def test_lockout_is_told_and_lowers_the_level() -> None:
    lockout = security(1 + 3 * MINUTE, "DC1", 4740, TargetUserName="administrator", TargetDomainName="PC001")
    (finding,) = findings("discovery_password_guessing", _guesses(20, success=False).plus([lockout]))
    assert (finding["level"], finding["details"]["lockouts"]) == ("low", "1")


def test_vendor_in_its_window_is_informational() -> None:
    found = findings("remote_desktop_from_outside", _vendor_desktop(29.5))  # Tuesday 14:30 in Tokyo
    assert {row["level"] for row in found} == {"informational"}


def test_vendor_outside_its_window() -> None:
    found = findings("remote_desktop_from_outside", _vendor_desktop(14.5))  # Monday 23:30 in Tokyo
    (high,) = [row for row in found if row["level"] == "high"]
    assert high["details"]["outside_window"] == "yes"
    assert (high["account"], high["src_ip"], high["confidence"]) == (r"HOSP\mealmaint", VENDOR, 0.9)


def test_from_the_internet_is_high_without_any_site_toml() -> None:
    logs = Logs(_vendor_desktop(3, public=True).rows)
    assert "high" in {row["level"] for row in findings("remote_desktop_from_outside", logs, time_zone="")}


def test_machine_accounts_and_anonymous_are_no_mass_logon() -> None:
    rows = [logon(1 + n * 0.1 * MINUTE, host, "MGMT$", MEAL) for n, host in enumerate(CLIENTS)]
    rows += [
        logon(1 + n * 0.1 * MINUTE, host, "ANONYMOUS LOGON", MEAL, domain="NT AUTHORITY", sid="S-1-5-7")
        for n, host in enumerate(CLIENTS)
    ]
    assert findings("mass_logon_one_source", _logs(*rows, background=history(CLIENTS))) == []


def test_service_tickets_alone_show_the_mass_logon() -> None:
    """The destinations' logs are missing; the controller's 4769 tell it."""
    rows = [
        security(
            1 + n * 0.2 * MINUTE,
            "DC1",
            4769,
            TargetUserName="adm@HOSP.EXAMPLE",
            ServiceName=f"{host}$",
            Status="0x0",
            IpAddress="::ffff:10.1.1.50",
        )
        for n, host in enumerate(CLIENTS)
    ]
    (finding,) = findings("mass_logon_one_source", _logs(*rows, background=history(["DC1"])))
    assert set(finding["hosts"]) == set(CLIENTS)
    assert finding["src_ip"] == "10.1.1.50"


def test_a_stuck_program_is_no_guessing() -> None:
    rows = [
        logon(hour + n * 5 * MINUTE, "SRV1", "svc_old", "10.1.2.9", failure=BAD_PASSWORD)
        for hour in range(24)
        for n in range(12)
    ]
    assert findings("discovery_password_guessing", _logs(*rows)) == []


def test_security_products_reading_lsass_everywhere_are_no_theft() -> None:
    rows = [
        _lsass(24 * day + n * MINUTE, host, r"C:\ProgramData\agent.exe", "0x1fffff")
        for day in range(4)
        for n, host in enumerate(SERVERS)
    ]
    assert findings("credential_access_dump", _logs(*rows)) == []


def test_signs_far_apart_are_findings_of_their_own() -> None:
    logs = _logs(_clear(1, "SRV1"), _clear(1.2, "SRV1"), _clear(30, "SRV1"))
    assert [len(row["events"]) for row in findings("defense_evasion_logs_cleared", logs)] == [2, 1]


def test_two_vpn_sessions_at_once() -> None:
    rows = [vpn(-24 * day, "yamada", "203.0.113.5") for day in range(1, 8)]
    rows += [vpn(1, "yamada", "203.0.113.5"), vpn(2, "yamada", "203.0.113.99")]
    end = Row(
        "vpn",
        5,
        {
            "event_type": "session_end",
            "user": "yamada",
            "src_ip": "203.0.113.5",
            "device": "VPN1",
            "session_id": "yamada-1",
        },
    )
    found = findings("initial_access_vpn_break_in", _logs(*rows, end))
    assert [row["details"]["other_session_from"] for row in found] == ["203.0.113.5"]


def _session(begin: float, end: float, address: str, *, country: str | None = "Japan") -> list[Row]:
    start = vpn(begin, "mealmaint", address)
    columns = {**start.columns, "src_country": country}
    return [
        Row("vpn", begin, columns),
        Row("vpn", end, {**columns, "event_type": "session_end", "outcome": None}),
    ]


def _break_in(*sessions: list[Row], more: tuple[Row, ...] = ()) -> list[dict[str, Any]]:
    site = {
        "site_accounts": [("mealmaint", "service", "meal supplier")],
        "site_windows": SITE["site_windows"],
    }
    rows = [row for session in sessions for row in session]
    return findings("initial_access_vpn_break_in", Logs((*rows, *more), site).numbered())


def test_leaked_account_beside_its_owner_is_a_break_in_though_the_log_has_just_begun() -> None:
    """The country stands in the firewall's line of the same address, as FortiGate writes it."""
    place = Row(
        "firewall",
        13.6,
        {"event_type": "traffic", "src_ip": "198.51.100.7", "src_country": "Netherlands", "device": "VPN1"},
    )
    home = Row(
        "firewall",
        13.2,
        {"event_type": "traffic", "src_ip": "203.0.113.5", "src_country": "Japan", "device": "VPN1"},
    )
    owner = _session(13.3, 14.2, "203.0.113.5", country=None)
    later = _session(29, 31, "203.0.113.5", country=None)
    intruder = _session(13.7, 15, "198.51.100.7", country=None)
    (finding,) = _break_in(owner, intruder, later, more=(place, home))
    assert (finding["level"], finding["src_ip"]) == ("high", "198.51.100.7")
    assert finding["details"]["country"] == "Netherlands"
    assert finding["details"]["other_session_from"] == "203.0.113.5"
    known = [_session(-24 * day + 5, -24 * day + 6, "203.0.113.5", country=None) for day in range(1, 8)]
    (sure,) = _break_in(*known, owner, intruder, later, more=(place, home))
    assert sure["confidence"] > finding["confidence"]


def test_owner_who_comes_after_the_guesser_is_not_the_stranger() -> None:
    """Failures of several accounts from one address, then a success; the owner's only login is later."""
    tries = tuple(
        vpn(13 + n * MINUTE, user, "198.51.100.7", outcome="failure", country="Netherlands")
        for n, user in enumerate(("admin", "test", "vpn", "mealmaint", "guest", "mealmaint"))
    )
    sessions = [_session(at, at + 1, "198.51.100.7", country="Netherlands") for at in (13.2, 38)]
    (finding,) = _break_in(*sessions, _session(29.5, 30.5, "203.0.113.5"), more=tries)
    assert (finding["src_ip"], finding["details"]["failures"]) == ("198.51.100.7", "6")
    assert {event["evidence_offset"] for event in finding["events"]} == {1, 3, 7, 8, 9, 10, 11, 12}


def test_of_two_places_at_once_the_strange_one_is_told_even_if_it_was_first() -> None:
    intruder = _session(13, 16, "198.51.100.7", country="Netherlands")
    owner = [_session(hour, hour + 1, "203.0.113.5") for hour in (14, 29, 53)]
    (finding,) = _break_in(intruder, *owner)
    assert (finding["level"], finding["src_ip"]) == ("high", "198.51.100.7")


def test_new_country_with_short_history_is_less_than_with_a_long_one() -> None:
    owner = [_session(-24 * day + 5, -24 * day + 6, "203.0.113.5") for day in range(1, 9)]
    intruder = _session(5, 6, "198.51.100.7", country="Netherlands")
    assert [row["level"] for row in _break_in(*owner[:2], intruder)] == ["medium"]
    assert [row["level"] for row in _break_in(*owner, intruder)] == ["high"]


def test_new_network_counts_more_outside_the_maintenance_window() -> None:
    """START is Monday 09:00 in Tokyo; the window is Tuesday 14 to 16, hours 29 to 31."""
    owner = [_session(29.2, 30, "203.0.113.5"), _session(24 * 8 + 5.1, 24 * 8 + 6, "203.0.113.5")]
    inside, outside = (_session(at, at + 0.5, "198.51.100.7") for at in (30.2, 26.0))
    assert [(row["level"], row["src_ip"]) for row in _break_in(*owner, inside)] == [("low", "198.51.100.7")]
    assert [row["level"] for row in _break_in(*owner, outside)] == ["medium"]


def test_roaming_in_one_country_by_day_stays_low() -> None:
    """From the office, then from a telephone before the office's tunnel has timed out."""
    office = [_session(-24 * day + 2, -24 * day + 4, "203.0.113.5") for day in range(1, 8)]
    roaming = [_session(2, 4, "203.0.113.5"), _session(3.5, 5, "198.51.100.7")]
    user = [
        [Row(row.table, row.hours, {**row.columns, "user": "yamada"}) for row in session]
        for session in (*office, *roaming)
    ]
    assert [row["level"] for row in _break_in(*user)] == ["low"]


def test_reconnecting_and_the_first_login_of_all_are_nothing() -> None:
    again = [_session(hour, hour + 0.4, "203.0.113.5") for hour in (1, 1.3, 1.5, 3)]
    assert _break_in(*again) == []
    assert _break_in(_session(13, 14, "198.51.100.7", country="Netherlands")) == []


def test_parameters_can_be_overridden() -> None:
    logs = _shared_password(2)
    assert findings("lateral_movement_shared_password", logs) == []
    assert len(findings("lateral_movement_shared_password", logs, hosts=2)) == 1
