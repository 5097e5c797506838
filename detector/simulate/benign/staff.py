"""Nurses, doctors, clerks: shifts, shared PCs, roaming, typos, expired passwords, shares, printing."""

from __future__ import annotations

import random
from functools import partial

from detector.simulate.emit import logons, machine
from detector.simulate.emit.logons import Session
from detector.simulate.simulation import HOUR, MILLISECOND, MINUTE, SECOND, Activities, Simulation
from detector.simulate.world import Account, Host

#: Shifts of a ward in local hours: day, late, night; and how busy a shared PC is in them.
_SHIFTS = ((8.4, 17.2, 1.0), (16.4, 25.0, 0.6), (24.4, 32.9, 0.4))
_OFFICE = (8.6, 17.5)
_DOCUMENTS = ("看護記録.docx", "退院サマリ.docx", "食事箋.xlsx", "勤務表.xlsx", "紹介状.docx", "検査依頼.pdf")
_PROGRAMS = (
    ("C:\\Program Files\\EMR\\emrclient.exe", '"C:\\Program Files\\EMR\\emrclient.exe" /terminal'),
    ("C:\\Program Files\\Microsoft Office\\root\\Office16\\EXCEL.EXE", '"EXCEL.EXE" /dde'),
    ("C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe", '"msedge.exe" --no-startup-window'),
)


def behaviours(sim: Simulation) -> list[Activities]:
    """Return a behaviour for each client PC, and one for the mistakes people make."""
    return [*(_shared_pc(sim, host) for host in sim.world.clients), _mistakes(sim)]


def _shared_pc(sim: Simulation, host: Host) -> Activities:
    """One PC: who uses it in which shift. Wards work around the clock, offices by day."""
    rng = sim.rng(f"staff/{host.name}")
    ward = any(part in host.name for part in ("-ER-", "-W3-", "-W4-", "-W5-", "-ICU-"))
    crew = rng.sample(sim.world.staff, min(5, len(sim.world.staff)))
    shifts = _SHIFTS if ward else ((*_OFFICE, 1.0),)
    # The night shift of the evening before the first day goes on into it.
    for day in range(-1, sim.options.days):
        weekend = sim.weekday(day) >= 5
        for begin, finish, share in shifts:
            if not ward and weekend:
                continue
            yield from _shift(sim, host, rng, crew, day, begin, finish, share)


def _shift(
    sim: Simulation, host: Host, rng: random.Random, crew: list[Account], day: int, begin: float,
    finish: float, share: float,
) -> Activities:  # fmt: skip
    if rng.random() > share + 0.3:
        return
    hour = begin + rng.uniform(-0.3, 0.5)
    while hour < finish - 0.4:
        length = min(rng.uniform(0.7, 4.0), finish + rng.uniform(0.0, 0.3) - hour)
        start, end = sim.local(day, hour), sim.local(day, hour + length)
        if end >= sim.end:
            return
        person = rng.choice(crew)
        if start >= sim.start:
            yield start, partial(_sit_down, sim, host, rng, person, start, end)
        hour += length + rng.uniform(0.05, 1.0)


def _sit_down(sim: Simulation, host: Host, rng: random.Random, person: Account, start: int, end: int) -> None:
    """One person at one PC from logon to logoff, with what the servers see of it."""
    if rng.random() < 0.06:
        logons.ticket_granting_ticket(sim, start - 9 * SECOND, person, host, status=0x18)
        logons.failed_logon(
            sim, start - 9 * SECOND, person, "127.0.0.1", host.name, host, logons.BAD_PASSWORD, logon_type=2
        )
    session = logons.interactive_logon(sim, start, person, host)
    policy = {
        "SupportInfo1": 1, "SupportInfo2": 4412, "ProcessingMode": 0,
        "ProcessingTimeInMilliseconds": rng.randrange(200, 1900),
        "DCName": f"\\\\{logons.controller(sim, host).computer}",
    }  # fmt: skip
    sim.event(host, start + 3 * SECOND, "system.1501", policy, user=person.sid)
    image, command = rng.choice(_PROGRAMS)
    process = machine.start_process(sim, start + 20 * SECOND, host, image, command, session)
    _use_servers(sim, rng, session, start + 30 * SECOND, end)
    for _ in range(rng.randrange(0, 3)):
        logons.unlock(sim, rng.randrange(start + MINUTE, max(start + 2 * MINUTE, end - MINUTE)), session)
    machine.end_process(sim, end - 5 * SECOND, host, process)
    logons.interactive_logoff(sim, end, session)


def _use_servers(sim: Simulation, rng: random.Random, session: Session, start: int, end: int) -> None:
    """The record server by Kerberos, the department's share, sometimes a printed page."""
    host, person = session.host, session.account
    for server in rng.sample(sim.world.servers, min(2, len(sim.world.servers))):
        if server.role not in ("emr", "print", "server"):
            continue
        at = start + rng.randrange(1, 120) * SECOND
        if rng.random() < 0.25:
            logons.ticket_granting_ticket(sim, at, person, host)
        # A share that was connected by its address is opened with NTLM.
        package = "NTLM" if rng.random() < 0.15 else "Kerberos"
        remote = logons.network_logon(sim, at, person, host.ip, host.name, server, package=package)
        local = "\\??\\D:\\Share\\ward"
        machine.share_opened(sim, at + 20 * MILLISECOND, remote, host.ip, "ward", local)
        for _ in range(rng.randrange(1, 4)):
            name = rng.choice(_DOCUMENTS)
            machine.share_file(sim, at + rng.randrange(1, 60) * SECOND, remote, host.ip, "ward", local, name)
        logons.logoff(sim, min(end, at + rng.randrange(2, 20) * MINUTE), remote)
    for server in sim.world.role("print"):
        if rng.random() < 0.4:
            printer = f"PRN-{host.name.split('-')[1]}"
            at = rng.randrange(start, max(start + 1, end))
            machine.printed(sim, at, server, person, host.name, rng.choice(_DOCUMENTS), printer, 1)


def _mistakes(sim: Simulation) -> Activities:
    """Wrong and expired passwords against servers: several a day, in working hours."""
    rng = sim.rng("mistakes")
    servers = [host for host in sim.world.servers if host.role in ("emr", "print", "server", "meal")]
    per_day = max(2, len(sim.world.clients) // 4)
    for day in sim.days():
        hours = sorted(rng.uniform(7.5, 21.0) for _ in range(per_day))
        for hour in hours:
            moment = sim.local(day, hour)
            args = rng.choice(sim.world.staff), rng.choice(sim.world.clients), rng.choice(servers)
            yield moment, partial(_mistake, sim, rng, moment, *args)


def _mistake(
    sim: Simulation, rng: random.Random, moment: int, person: Account, client: Host, server: Host
) -> None:
    expired = rng.random() < 0.2
    mark = sim.note(
        "expired_password" if expired else "password_typo",
        "Expired password" if expired else "Password typos",
        f"{person.name} at {client.name} against {server.name}, then right",
    )
    reason = logons.EXPIRED if expired else logons.BAD_PASSWORD
    at = moment
    for _ in range(1 if expired else rng.randrange(1, 4)):
        logons.failed_logon(sim, at, person, client.ip, client.name, server, reason, mark=mark)
        sim.touch(mark, at, server.name, person.name)
        at += rng.randrange(4, 25) * SECOND
    session = logons.network_logon(sim, at, person, client.ip, client.name, server, mark=mark)
    logons.logoff(sim, min(at + HOUR // 6, sim.end - SECOND), session, mark=mark)
