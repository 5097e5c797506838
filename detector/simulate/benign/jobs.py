"""Jobs that touch many machines quickly and are no attack: backup, deployment, scans, antivirus."""

from __future__ import annotations

import random
from functools import partial

from detector.simulate.emit import logons, machine, network
from detector.simulate.emit.logons import Session
from detector.simulate.simulation import MILLISECOND, MINUTE, SECOND, Activities, Simulation
from detector.simulate.world import Account, Host

ANTIVIRUS = "Example Endpoint Protection"
ANTIVIRUS_MAKER = "Example Security"
ANTIVIRUS_SERVICE = ("Example Endpoint Protection Service", "ExEpSvc")
_OLD, _NEW = "11.2.0.118", "11.3.1.004"
_BACKUP_COMMANDS = (
    "wbadmin  start systemstatebackup -backuptarget:E: -quiet",
    "wbadmin  delete systemstatebackup -keepVersions:7 -quiet",
    "vssadmin  list shadows",
)


def antivirus(new: bool = True) -> tuple[str, str, str]:
    """Return name, version and maker of the antivirus product."""
    return ANTIVIRUS, _NEW if new else _OLD, ANTIVIRUS_MAKER


def management_host(sim: Simulation) -> Host:
    """Return the machine from which software is distributed."""
    found = sim.world.role("management") or sim.world.role("backup")
    return found[0]


def behaviours(sim: Simulation) -> list[Activities]:
    """Return the nightly backup, the morning deployment, the weekly scan and the antivirus upgrade."""
    return [_backup(sim), _deployment(sim), _scan(sim), _antivirus_upgrade(sim)]


def _backup(sim: Simulation) -> Activities:
    """Every night the backup server logs on to every server within minutes."""
    rng = sim.rng("backup")
    source, account = sim.world.one("backup"), sim.world.services["svc_backup"]
    for day in sim.days():
        moment = sim.local(day, 0.75 + rng.uniform(0.0, 0.2))
        yield moment, partial(_backup_night, sim, rng, source, account, moment)


def _backup_night(sim: Simulation, rng: random.Random, source: Host, account: Account, moment: int) -> None:
    mark = sim.note("backup", "Nightly backup", f"{account.name} from {source.name} to every server")
    own = logons.service_logon(sim, moment, source, account, logon_type=4, mark=mark)
    sim.touch(mark, moment, source.name, account.name)
    parent = machine.Process(source.pid_of("svchost.exe"), f"{machine.SYSTEM32}svchost.exe", None)
    for number, command in enumerate(_BACKUP_COMMANDS):
        program = f"{machine.SYSTEM32}{command.split()[0]}.exe"
        machine.start_process(sim, moment + number * SECOND, source, program, command, own, parent, mark)
    at = moment + 3 * SECOND
    for target in sim.world.servers:
        if target is source:
            continue
        session = logons.network_logon(
            sim, at, account, source.ip, source.name, target, package="Kerberos", mark=mark
        )
        machine.share_opened(sim, at + 30 * MILLISECOND, session, source.ip, "C$", "\\??\\C:\\", mark)
        machine.service_state(sim, at + SECOND, target, "Volume Shadow Copy", "VSS", "running", mark)
        end = min(at + rng.randrange(10, 50) * MINUTE, sim.end - SECOND)
        machine.service_state(sim, end, target, "Volume Shadow Copy", "VSS", "stopped", mark)
        logons.logoff(sim, end, session, mark=mark)
        sim.path(mark, at, source.name, target.name, account.name, "backup")
        at += rng.randrange(5, 40) * SECOND
    logons.logoff(sim, min(at + 50 * MINUTE, sim.end - SECOND), own, mark=mark)


def _deployment(sim: Simulation) -> Activities:
    """Every working morning the deployment service touches every PC: logons, an agent's service."""
    rng = sim.rng("deployment")
    source, account = management_host(sim), sim.world.services["svc_deploy"]
    for day in sim.days():
        if sim.weekday(day) < 5:
            moment = sim.local(day, 7.2 + rng.uniform(0.0, 0.3))
            yield moment, partial(_deploy, sim, rng, source, account, moment)


def _deploy(sim: Simulation, rng: random.Random, source: Host, account: Account, moment: int) -> None:
    mark = sim.note("deployment", "Software deployment", f"{account.name} from {source.name} to every PC")
    own = logons.service_logon(sim, moment, source, account, mark=mark)
    sim.touch(mark, moment, source.name, account.name)
    at = moment + 2 * SECOND
    agent = "C:\\Program Files\\DeployAgent\\agentsvc.exe"
    for target in sim.world.clients:
        if rng.random() < 0.12:  # switched off
            continue
        session = logons.network_logon(
            sim, at, account, source.ip, source.name, target, package="Kerberos", mark=mark
        )
        if rng.random() < 0.05:
            machine.install_service(
                sim, at + SECOND, target, "DeployAgent", agent, session, start_type="auto start", mark=mark
            )
        logons.logoff(sim, at + rng.randrange(5, 90) * SECOND, session, mark=mark)
        sim.path(mark, at, source.name, target.name, account.name, "deployment")
        at += rng.randrange(1500, 9000) * MILLISECOND
    logons.logoff(sim, at + MINUTE, own, mark=mark)


def _scan(sim: Simulation) -> Activities:
    """A vulnerability scanner in the IT segment, twice a week in the evening."""
    rng = sim.rng("scan")
    source, account = management_host(sim), sim.world.services["svc_scan"]
    for day in sim.days():
        if sim.weekday(day) in (1, 4):
            moment = sim.local(day, 19.0 + rng.uniform(0.0, 0.5))
            yield moment, partial(_scan_evening, sim, rng, source, account, moment)


def _scan_evening(sim: Simulation, rng: random.Random, source: Host, account: Account, moment: int) -> None:
    mark = sim.note("scanner", "Vulnerability scan", f"{account.name} from {source.name}, many refused")
    at = moment
    guess = Account("scanner_test", account.domain, "S-1-0-0", "scanner")
    for target in sim.world.servers:
        if target is source:
            continue
        sim.touch(mark, at, target.name, account.name)
        logons.failed_logon(
            sim, at, guess, source.ip, source.name, target, logons.NO_SUCH_USER, mark=mark
        )  # fmt: skip
        session = logons.network_logon(sim, at + SECOND, account, source.ip, source.name, target, mark=mark)
        pipe = Session(target, account, session.logon_id, 3, session.port)
        machine.share_opened(sim, at + SECOND + 5 * MILLISECOND, pipe, source.ip, "IPC$", "", mark)
        logons.logoff(sim, at + 20 * SECOND, session, mark=mark)
        at += rng.randrange(20, 60) * SECOND
    for number in range(120):
        port = rng.choice((21, 22, 23, 80, 135, 139, 443, 445, 1433, 3306, 3389, 5900, 8080))
        network.flow(
            sim, moment + number * 700 * MILLISECOND, source.ip, f"172.31.7.{rng.randrange(1, 64)}", port,
            f"tcp/{port}", "to-vendor", action="deny", mark=mark,
        )  # fmt: skip


def _antivirus_upgrade(sim: Simulation) -> Activities:
    """A new version of the antivirus product: the old one removed, the new one installed at once."""
    if sim.options.antivirus != "product":
        return
    rng = sim.rng("antivirus")
    day = 0 if sim.options.days < 3 else 1
    moment = sim.local(day, 12.6)
    targets = [host for host in sim.world.servers if host.role in ("meal", "backup", "management", "print")]
    for target in targets:
        yield moment, partial(_upgrade, sim, rng, target, moment)
        moment += rng.randrange(3, 12) * MINUTE


def _upgrade(sim: Simulation, rng: random.Random, host: Host, moment: int) -> None:
    mark = sim.note("antivirus_upgrade", "Antivirus upgrade", f"{host.name}: {_OLD} to {_NEW}")
    sim.touch(mark, moment, host.name, "SYSTEM")
    package = "C:\\ProgramData\\ExEp\\upgrade\\exep-11.3.1.msi"
    display, service = ANTIVIRUS_SERVICE
    machine.service_state(sim, moment, host, display, service, "stopped", mark)
    machine.installer(sim, moment + SECOND, host, None, antivirus(False), package, install=False, mark=mark)
    later = moment + rng.randrange(35, 70) * SECOND
    machine.installer(sim, later, host, None, antivirus(True), package, install=True, mark=mark)
    machine.install_service(
        sim, later + 20 * SECOND, host, service, '"C:\\Program Files\\ExEp\\exepsvc.exe"', None,
        start_type="auto start", mark=mark,
    )  # fmt: skip
    machine.service_state(sim, later + 26 * SECOND, host, display, service, "running", mark)
