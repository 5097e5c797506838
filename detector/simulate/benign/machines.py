"""What machines do by themselves: services, tickets, policy, time, updates, restarts, the internet."""

from __future__ import annotations

import random
from functools import partial

from detector.simulate.emit import logons, machine, network
from detector.simulate.simulation import HOUR, MILLISECOND, SECOND, Activities, Simulation
from detector.simulate.world import DOMAIN, NETBIOS, Account, Host

_SERVICES = (
    ("Windows Update", "wuauserv"), ("Background Intelligent Transfer Service", "BITS"),
    ("Windows Modules Installer", "TrustedInstaller"), ("WMI Performance Adapter", "wmiApSrv"),
    ("Volume Shadow Copy", "VSS"), ("Windows Error Reporting Service", "WerSvc"),
    ("Software Protection", "sppsvc"), ("Device Setup Manager", "DsmSvc"),
)  # fmt: skip
_TASKS = (
    ("\\Microsoft\\Windows\\Application Experience\\Microsoft Compatibility Appraiser",
     "%windir%\\system32\\compattelrunner.exe"),
    ("\\Microsoft\\Windows\\Defrag\\ScheduledDefrag", "%windir%\\system32\\defrag.exe"),
    ("\\Microsoft\\Windows\\UpdateOrchestrator\\Schedule Scan", "%systemroot%\\system32\\usoclient.exe"),
)  # fmt: skip
_PROGRAMS = (
    ("C:\\Windows\\System32\\taskhostw.exe", "taskhostw.exe Install $(Arg0)"),
    ("C:\\Windows\\System32\\svchost.exe", "C:\\Windows\\System32\\svchost.exe -k wsappx -p"),
    ("C:\\Windows\\System32\\wbem\\WmiPrvSE.exe",
     "C:\\Windows\\system32\\wbem\\wmiprvse.exe -secured -Embedding"),
    ("C:\\Windows\\System32\\conhost.exe", "\\??\\C:\\Windows\\system32\\conhost.exe 0xffffffff -ForceV1"),
    ("C:\\Windows\\System32\\SearchProtocolHost.exe",
     "SearchProtocolHost.exe Global\\UsGthrFltPipeMssGthrPipe1_"),
)  # fmt: skip
_ANONYMOUS = Account("ANONYMOUS LOGON", "NT AUTHORITY", "S-1-5-7", "system")


def behaviours(sim: Simulation) -> list[Activities]:
    """Return the behaviours of all machines."""
    found: list[Activities] = []
    for host in sim.world.hosts.values():
        found.append(_background(sim, host))
        found.append(_daily(sim, host))
        if host.domain == NETBIOS:
            found.append(_domain_member(sim, host))
    found.append(_internet(sim))
    return found


def _background(sim: Simulation, host: Host) -> Activities:
    """Service starts and system logons, at a steady rate."""
    rng = sim.rng(f"background/{host.name}")
    per_hour = (6.0 if host.is_server else 3.0) * sim.options.rate
    if per_hour <= 0:
        return
    moment = sim.start + round(rng.expovariate(per_hour) * HOUR)
    while moment < sim.end:
        yield moment, partial(_background_once, sim, host, rng, moment)
        moment += max(1, round(rng.expovariate(per_hour) * HOUR))


def _background_once(sim: Simulation, host: Host, rng: random.Random, moment: int) -> None:
    what = rng.random()
    if what < 0.55:
        logons.service_logon(sim, moment, host)
    elif what < 0.72:
        display, name = rng.choice(_SERVICES)
        if name == "BITS":
            # This service changes its own start type whenever it has work, and back.
            for seconds, before, after in ((0, "demand", "auto"), (310, "auto", "demand")):
                machine.service_start_type(
                    sim, moment + seconds * SECOND, host, display, name, f"{before} start", f"{after} start",
                    "S-1-5-18",
                )  # fmt: skip
        machine.service_state(sim, moment, host, display, name, "running")
        machine.service_state(sim, moment + rng.randrange(20, 900) * SECOND, host, display, name, "stopped")
    elif what < 0.80:
        task, path = rng.choice(_TASKS)
        machine.task_started(sim, moment, host, task, path)
    elif what < 0.82 and host.is_server:
        session = logons.Session(host, _ANONYMOUS, host.next_logon_id(), 3)
        values = logons.anonymous_fields(session, "10.1.16.99")
        sim.event(host, moment, "security.4624", values)
        logons.logoff(sim, moment + 300 * MILLISECOND, session)
    else:
        image, command = rng.choice(_PROGRAMS)
        parent = machine.Process(host.pid_of("svchost.exe"), "C:\\Windows\\System32\\svchost.exe", None)
        process = machine.start_process(sim, moment, host, image, command, None, parent)
        machine.end_process(sim, moment + rng.randrange(1, 300) * SECOND, host, process)


def _domain_member(sim: Simulation, host: Host) -> Activities:
    """Machine account: tickets, and its logons at the domain controller for policy (SYSVOL)."""
    rng = sim.rng(f"member/{host.name}")
    every = 1.5 * HOUR / max(sim.options.rate, 0.05)
    moment = sim.start + rng.randrange(int(every))
    while moment < sim.end:
        yield moment, partial(_policy, sim, host, rng, moment)
        moment += round(every * rng.uniform(0.8, 1.3))


def _policy(sim: Simulation, host: Host, rng: random.Random, moment: int) -> None:
    judge = logons.controller(sim, host)
    if rng.random() < 0.2:
        logons.ticket_granting_ticket(sim, moment, host.account, host)
    session = logons.network_logon(
        sim, moment + 5 * MILLISECOND, host.account, host.ip, host.name, judge, package="Kerberos"
    )
    local = "\\??\\C:\\Windows\\SYSVOL\\sysvol"
    machine.share_opened(sim, moment + 30 * MILLISECOND, session, host.ip, "SYSVOL", local)
    name = f"{DOMAIN}\\Policies\\{{31B2F340-016D-11D2-945F-00C04FB984F9}}\\gpt.ini"
    machine.share_file(sim, moment + 40 * MILLISECOND, session, host.ip, "SYSVOL", local, name)
    logons.logoff(sim, moment + rng.randrange(3, 40) * SECOND, session)
    values = {
        "SupportInfo1": 1, "SupportInfo2": 4412, "ProcessingMode": 0,
        "ProcessingTimeInMilliseconds": rng.randrange(400, 3000), "DCName": f"\\\\{judge.computer}",
    }  # fmt: skip
    sim.event(host, moment + 2 * SECOND, "system.1500", values)


def _daily(sim: Simulation, host: Host) -> Activities:
    """Once a day: time source, uptime, signature update; sometimes updates and a restart at night."""
    rng = sim.rng(f"daily/{host.name}")
    for day in sim.days():
        plan = [
            (rng.uniform(1.0, 4.5), partial(_maintenance, sim, host, rng)),
            (rng.uniform(4.6, 9.0), partial(_signatures, sim, host, rng, day)),
            (12.0, partial(_uptime, sim, host, day)),
        ]
        if sim.weekday(day) == 2 and rng.random() < 0.5:
            plan.append((rng.uniform(12.6, 13.4), partial(_update, sim, host, rng)))
        for hour, act in plan:
            moment = sim.local(day, hour)
            yield moment, partial(act, moment)


def _maintenance(sim: Simulation, host: Host, rng: random.Random, moment: int) -> None:
    if host.domain == NETBIOS:
        judge = logons.controller(sim, host)
        source = f"{judge.computer} (ntp.d|0x0|0.0.0.0:123->{judge.ip}:123)"
        sim.event(host, moment, "system.37", {"TimeSource": source})
        values = {"TimeSource": source, "TimeSourceRefId": 167837962, "CurrentStratumNumber": 3}
        sim.event(host, moment + SECOND, "system.35", values)
    task, path = rng.choice(_TASKS)
    machine.task_started(sim, moment + 5 * SECOND, host, task, path)
    if host.is_server and host.site == "hospital":
        _inventory(sim, host, moment + 60 * SECOND)


def _inventory(sim: Simulation, host: Host, moment: int) -> None:
    """The hospital's own script, every night on every server: PowerShell that is no attack."""
    program = f"{machine.SYSTEM32}WindowsPowerShell\\v1.0\\powershell.exe"
    command = "powershell.exe -NoProfile -ExecutionPolicy Bypass -File C:\\Scripts\\inventory.ps1"
    machine.task_started(sim, moment, host, "\\Hospital\\Inventory", "powershell.exe")
    logons.service_logon(sim, moment, host, logon_type=5)
    parent = machine.Process(host.pid_of("svchost.exe"), f"{machine.SYSTEM32}svchost.exe", None)
    process = machine.start_process(sim, moment + SECOND, host, program, command, None, parent)
    machine.powershell_started(sim, moment + 2 * SECOND, host, command)
    machine.end_process(sim, moment + 40 * SECOND, host, process)


def _signatures(sim: Simulation, host: Host, rng: random.Random, day: int, moment: int) -> None:
    if host.is_server and sim.options.antivirus == "product":
        return
    values = {
        "Current Signature Version": f"1.401.{1000 + day * 7}.0",
        "Previous Signature Version": f"1.401.{993 + day * 7}.0",
        "Unused": "", "Unused2": "", "Unused3": "", "Domain": "NT AUTHORITY", "User": "SYSTEM",
        "SID": "S-1-5-18", "Signature Type Index": "1", "Signature Type": "%%800",
        "Update Type Index": "2", "Update Type": "%%804", "Current Engine Version": "1.1.23100.2009",
        "Previous Engine Version": "1.1.23100.2009",
    }  # fmt: skip
    machine.defender(sim, moment, host, 2000, values)
    if rng.random() < 0.1:
        change = "HKLM\\SOFTWARE\\Microsoft\\Windows Defender\\Scan\\LastScanRun = "
        values = {"Old Value": change + "0x1DA3", "New Value": change + "0x1DA4"}
        machine.defender(sim, moment + 2 * SECOND, host, 5007, values)


def _uptime(sim: Simulation, host: Host, day: int, moment: int) -> None:
    machine.uptime(sim, moment, host, 300_000 + day * 86_400 + len(host.name))


def _update(sim: Simulation, host: Host, rng: random.Random, moment: int) -> None:
    title = "Security Intelligence Update for Microsoft Defender Antivirus - KB2267602"
    update = {"updateTitle": title, "updateGuid": sim.guid(rng), "updateRevisionNumber": 200}
    sim.event(host, moment, "system.44", update)
    sim.event(host, moment + 40 * SECOND, "system.43", update)
    done = update | {"serviceGuid": "{9482F4B4-E343-43B6-B170-9A65BC822C77}"}
    sim.event(host, moment + 95 * SECOND, "system.19", done)
    if not host.is_server and rng.random() < 0.5:
        system = Account("SYSTEM", "NT AUTHORITY", "S-1-5-18", "system")
        reason = "Operating System: Service pack (Planned)"
        machine.shutdown(sim, moment + 300 * SECOND, host, system, reason, 70 * SECOND)


def _internet(sim: Simulation) -> Activities:
    """Flows through the hospital's firewall: updates, mail, and what the internet tries at its door."""
    rng = sim.rng("internet")
    sources = [host.ip for host in sim.world.servers]
    per_hour = 8.0 * max(sim.options.rate, 0.05)
    moment = sim.start
    while True:
        moment += max(1, round(rng.expovariate(per_hour) * HOUR))
        if moment >= sim.end:
            return
        port, service = rng.choice(((443, "HTTPS"), (443, "HTTPS"), (123, "NTP"), (53, "DNS")))
        yield moment, partial(
            network.flow, sim, moment, rng.choice(sources), f"203.0.113.{rng.randrange(100, 200)}", port,
            service, "outbound", protocol=6 if port == 443 else 17, seconds=rng.randrange(1, 180),
            sent=rng.randrange(200, 20_000), received=rng.randrange(200, 400_000),
        )  # fmt: skip
