"""The hospital's two administrators: Remote Desktop to servers, settings, new staff accounts."""

from __future__ import annotations

import random
from functools import partial

from detector.simulate.emit import desktop, logons, machine, network
from detector.simulate.simulation import MINUTE, SECOND, Activities, Simulation
from detector.simulate.world import DOMAIN, FIREWALL, Account, Host


def behaviours(sim: Simulation) -> list[Activities]:
    """Return a behaviour for each administrator."""
    return [_working_days(sim, number, account) for number, account in enumerate(sim.world.administrators)]


def _working_days(sim: Simulation, number: int, account: Account) -> Activities:
    rng = sim.rng(f"administrator/{account.name}")
    desk = sim.world.clients[number % len(sim.world.clients)]
    for day in sim.days():
        if number == 0 and rng.random() < 0.3:  # called at night
            moment = sim.local(day, rng.uniform(0.2, 5.0))
            yield moment, partial(_visit, sim, rng, account, desk, rng.choice(sim.world.servers), moment)
        if sim.weekday(day) >= 5:
            continue
        for hour in sorted(rng.uniform(9.0, 16.5) for _ in range(rng.randrange(1, 4))):
            moment = sim.local(day, hour)
            target = rng.choice(sim.world.servers)
            yield moment, partial(_visit, sim, rng, account, desk, target, moment)
        if rng.random() < 0.3:
            moment = sim.local(day, 16.8)
            yield moment, partial(_firewall, sim, rng, account, desk, moment)


def _visit(
    sim: Simulation, rng: random.Random, account: Account, desk: Host, target: Host, moment: int
) -> None:
    mark = sim.note("administration", "Administrator at work", f"{account.name} by RDP to {target.name}")
    own = logons.interactive_logon(sim, moment, account, desk, mark=mark)
    at = moment + 40 * SECOND
    opened = desktop.connect(
        sim, at, account, desktop.source_of(desk), target, from_session=own, package="Kerberos", mark=mark
    )
    sim.path(mark, at, desk.name, target.name, account.name, "rdp")
    end = at + rng.randrange(5, 60) * MINUTE
    console = machine.start_process(
        sim, at + 30 * SECOND, target, f"{machine.SYSTEM32}mmc.exe",
        f'"{machine.SYSTEM32}mmc.exe" {machine.SYSTEM32}eventvwr.msc', opened.session, mark=mark,
    )  # fmt: skip
    machine.end_process(sim, end - 10 * SECOND, target, console, mark)
    if rng.random() < 0.3:
        for number, command in enumerate(("ipconfig /all", "whoami", "net user", "quser")):
            program, _, rest = command.partition(" ")
            typed = machine.start_process(
                sim, at + (60 + 12 * number) * SECOND, target, f"{machine.SYSTEM32}{program}.exe",
                f"{program}  {rest}", opened.session, mark=mark,
            )  # fmt: skip
            machine.end_process(sim, at + (61 + 12 * number) * SECOND, target, typed, mark)
    if rng.random() < 0.15:
        machine.task_created(
            sim, at + 150 * SECOND, target, opened.session, "\\Hospital\\Check free space",
            "C:\\Scripts\\freespace.cmd", mark,
        )  # fmt: skip
    if rng.random() < 0.2:
        machine.service_start_type(
            sim, at + 3 * MINUTE, target, "Print Spooler", "Spooler", "auto start", "demand start",
            account.sid, mark,
        )  # fmt: skip
    if target.role == "dc" and rng.random() < 0.5:
        _new_colleague(sim, at + 4 * MINUTE, rng, target, opened.session, mark)
    if rng.random() < 0.3:  # the window closed for a while, the session kept
        desktop.disconnect(sim, at + 200 * SECOND, opened, mark=mark)
        desktop.reconnect(sim, at + 260 * SECOND, opened, mark)
    desktop.sign_out(sim, end, opened, mark=mark)
    logons.interactive_logoff(sim, end + 2 * MINUTE, own, mark)


def _new_colleague(
    sim: Simulation, moment: int, rng: random.Random, judge: Host, session: logons.Session, mark: int
) -> None:
    name = f"new{rng.randrange(100, 999)}"
    who = logons.subject(session, judge)
    target = {
        "TargetUserName": name, "TargetDomainName": "HOSP",
        "TargetSid": f"{sim.world.domain_sid}-{rng.randrange(8000, 9000)}",
    }  # fmt: skip
    details = {
        "PrivilegeList": "-", "SamAccountName": name, "DisplayName": name,
        "UserPrincipalName": f"{name}@{DOMAIN}", "HomeDirectory": "-", "HomePath": "-",
        "ScriptPath": "-", "ProfilePath": "-", "UserWorkstations": "-", "PasswordLastSet": "%%1794",
        "AccountExpires": "%%1794", "PrimaryGroupId": "513", "AllowedToDelegateTo": "-",
        "OldUacValue": "0x0", "NewUacValue": "0x15",
        "UserAccountControl": "\r\n\t\t%%2080\r\n\t\t%%2082\r\n\t\t%%2084", "UserParameters": "-",
        "SidHistory": "-", "LogonHours": "%%1793",
    }  # fmt: skip
    sim.event(judge, moment, "security.4720", who | target | details, mark)
    sim.event(judge, moment + SECOND, "security.4722", who | target, mark)
    sim.event(judge, moment + SECOND, "security.4724", who | target, mark)


def _firewall(sim: Simulation, rng: random.Random, account: Account, desk: Host, moment: int) -> None:
    if rng.random() < 0.3:
        network.admin_login(sim, FIREWALL, moment - 20 * SECOND, "admin", desk.ip, "10.1.1.1", success=False)
    network.admin_login(sim, FIREWALL, moment, "admin", desk.ip, "10.1.1.1", success=True)
    network.setting_changed(
        sim, FIREWALL, moment + 90 * SECOND, "admin", desk.ip, "firewall.address", "ward-printers",
        "subnet[10.1.16.0 255.255.240.0]",
    )  # fmt: skip
