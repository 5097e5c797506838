"""Step 7: backups destroyed, services stopped, the same new binary everywhere, logs cleared, notes printed.

What the ransomware runs is what published analyses of the Phobos family list: shadow copies, boot recovery
and backup catalogue deleted, the firewall switched off, a copy of itself started at every logon.
"""

from __future__ import annotations

from detector.simulate.attack.state import State
from detector.simulate.emit import logons, machine
from detector.simulate.emit.machine import SYSTEM32
from detector.simulate.simulation import MILLISECOND, MINUTE, SECOND
from detector.simulate.world import Host

_COMMANDS = (
    ("netsh.exe", "netsh  advfirewall set currentprofile state off"),
    ("vssadmin.exe", "vssadmin  delete shadows /all /quiet"),
    ("wbem\\WMIC.exe", "wmic  shadowcopy delete"),
    ("bcdedit.exe", "bcdedit  /set {default} bootstatuspolicy ignoreallfailures"),
    ("bcdedit.exe", "bcdedit  /set {default} recoveryenabled no"),
    ("wbadmin.exe", "wbadmin  delete catalog -quiet"),
)
_STOPPED = (
    ("SQL Server (MSSQLSERVER)", "MSSQLSERVER"), ("SQL Server Agent (MSSQLSERVER)", "SQLSERVERAGENT"),
    ("Volume Shadow Copy", "VSS"), ("Windows Backup", "SDRSVC"), ("IIS Admin Service", "IISADMIN"),
    ("World Wide Web Publishing Service", "W3SVC"), ("Print Spooler", "Spooler"),
)  # fmt: skip


def run_ransomware(state: State, moment: int) -> None:
    """Write the ransomware on every server taken, and on the clients that let the intruder in."""
    sim, rng = state.sim, state.rng
    mark = state.marks["impact"]
    at = moment
    for host in state.taken:
        _encrypt_server(state, at, host, mark)
        at += rng.randrange(8, 45) * SECOND
    for client in state.clients[: max(1, len(state.clients) * 6 // 10)]:
        _encrypt_client(state, at, client, mark)
        at += rng.randrange(300, 1500) * MILLISECOND
    if sim.options.print_notes:
        _print_notes(state, at + 2 * MINUTE, mark)
    if sim.options.clear_logs:
        cleared = state.marks["defense_evasion"]
        for host in [host for host in state.taken if host.role in ("emr", "backup")]:
            _clear(state, at + 4 * MINUTE, host, cleared)


def _parent(host: Host) -> machine.Process:
    return machine.Process(host.pid_of("services"), f"{SYSTEM32}services.exe", None)


def _encrypt_server(state: State, moment: int, host: Host, mark: int) -> None:
    sim = state.sim
    account = host.local_admin if host.role != "meal" else state.meal_session.account
    sim.touch(mark, moment, host.name, account.name)
    image = f"{state.folder}\\{state.binary}"
    name = state.binary.removesuffix(".exe")
    machine.install_service(sim, moment, host, name, image, None, start_type="auto start", mark=mark)
    binary = machine.start_process(sim, moment + SECOND, host, image, image, None, _parent(host), mark)
    shell = machine.start_process(
        sim,
        moment + 2 * SECOND,
        host,
        f"{SYSTEM32}cmd.exe",
        '"C:\\Windows\\system32\\cmd.exe"',
        None,
        binary,
        mark,
    )
    at = moment + 3 * SECOND
    for program, command in _COMMANDS:
        machine.start_process(sim, at, host, f"{SYSTEM32}{program}", command, None, shell, mark)
        at += state.rng.randrange(400, 2500) * MILLISECOND
    for display, service in _STOPPED:
        machine.service_state(sim, at, host, display, service, "stopped", mark)
        at += 150 * MILLISECOND
    machine.service_start_type(
        sim, at, host, "Volume Shadow Copy", "VSS", "demand start", "disabled", "S-1-5-18", mark
    )
    if host.role == "dc":
        remote = logons.network_logon(
            sim, at, host.local_admin, sim.world.one("meal").ip, "MEALSRV", host, mark=mark
        )
        machine.task_created(sim, at + SECOND, host, remote, f"\\{name}", image, mark)
        logons.logoff(sim, at + 20 * SECOND, remote, mark=mark)
    run_key = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run"
    machine.start_process(
        sim, at, host, f"{SYSTEM32}reg.exe", f"reg  add {run_key} /v {name} /t REG_SZ /d {image} /f", None,
        shell, mark,
    )  # fmt: skip


def _encrypt_client(state: State, moment: int, host: Host, mark: int) -> None:
    sim = state.sim
    assert state.record is not None
    source = state.record.session.host
    session = logons.network_logon(sim, moment, state.reused(host), source.ip, source.name, host, mark=mark)
    image = f"{state.folder}\\{state.binary}"
    name = state.binary.removesuffix(".exe")
    machine.install_service(sim, moment + 600 * MILLISECOND, host, name, image, session, mark=mark)
    machine.service_state(sim, moment + 800 * MILLISECOND, host, name, name, "running", mark)
    machine.start_process(sim, moment + 900 * MILLISECOND, host, image, image, None, _parent(host), mark)
    logons.logoff(sim, moment + 20 * SECOND, session, mark=mark)
    sim.path(mark, moment, source.name, host.name, session.account.name, "service")


def _print_notes(state: State, moment: int, mark: int) -> None:
    """Write the note on every printer, as in the case of 2021."""
    sim = state.sim
    servers = sim.world.role("print") or sim.world.role("emr")
    account = servers[0].local_admin
    for number in range(12):
        machine.printed(
            sim, moment + number * 2 * SECOND, servers[0], account, servers[0].name, "info.txt",
            f"PRN-{number + 1:02}", 3, mark,
        )  # fmt: skip


def _clear(state: State, moment: int, host: Host, mark: int) -> None:
    sim = state.sim
    account = state.reused(host)
    record = state.record
    if record is not None and record.session.host is host:
        session = record.session
    else:
        meal = sim.world.one("meal")
        session = logons.network_logon(sim, moment - SECOND, account, meal.ip, meal.name, host, mark=mark)
        logons.logoff(sim, moment + MINUTE, session, mark=mark)
    for number, channel in enumerate(("Application", "Security", "System")):
        at = moment + number * 2 * SECOND
        machine.start_process(
            sim, at - 500 * MILLISECOND, host, f"{SYSTEM32}wevtutil.exe", f"wevtutil  cl {channel}", session,
            mark=mark,
        )  # fmt: skip
        machine.log_cleared(sim, at, host, session, channel, mark)
    sim.touch(mark, moment, host.name, account.name)
