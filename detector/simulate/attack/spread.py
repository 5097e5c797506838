"""Steps 5 and 6: one password on every server, then every client."""

from __future__ import annotations

from detector.simulate.attack.foothold import run
from detector.simulate.attack.state import State
from detector.simulate.emit import desktop, logons, machine
from detector.simulate.emit.machine import SYSTEM32
from detector.simulate.simulation import MILLISECOND, MINUTE, SECOND
from detector.simulate.world import Host

_ORDER = ("backup", "emr", "dc", "management", "print", "server")


def move_to_servers(state: State, moment: int) -> None:
    """Write the way from the meal server to the other servers with the reused password."""
    sim, rng = state.sim, state.rng
    mark = state.marks["lateral_movement"]
    meal = sim.world.one("meal")
    targets = [host for host in sim.world.servers if host is not meal]
    targets.sort(key=lambda host: (_ORDER.index(host.role), host.name))
    if sim.options.movement == "psexec":
        run(state, moment - 20 * SECOND, f"{state.folder}\\PsExec64.exe",
            f"PsExec64.exe \\\\{targets[0].name} -u {targets[0].local_admin.name} -accepteula cmd",
            mark)  # fmt: skip
    at, pause = moment, max(60, min(9 * 60, 6000 // max(1, len(targets))))
    for target in targets:
        move(state, at, meal, target, mark)
        state.taken.append(target)
        at += rng.randrange(pause // 2, pause) * SECOND
    record = sim.world.one("emr")
    _desktop(state, at, record, mark)


def move(state: State, moment: int, source: Host, target: Host, mark: int) -> None:
    """Write one movement from the meal server to a target by the chosen means."""
    sim, session = state.sim, state.meal_session
    account = state.reused(target)
    process = (
        f"{state.folder}\\PsExec64.exe" if sim.options.movement == "psexec" else f"{SYSTEM32}wbem\\WMIC.exe"
    )
    if sim.options.movement == "rdp":
        opened = desktop.connect(
            sim, moment, account, desktop.source_of(source), target, from_session=session, mark=mark
        )
        sim.path(mark, moment, source.name, target.name, account.name, "rdp")
        desktop.sign_out(sim, moment + state.rng.randrange(4, 15) * MINUTE, opened, mark=mark)
        return
    logons.explicit_credentials(
        sim, moment - 40 * MILLISECOND, session, source, account, target.name, target.name, process, mark=mark
    )
    remote = logons.network_logon(sim, moment, account, source.ip, source.name, target, mark=mark)
    sim.path(mark, moment, source.name, target.name, account.name, sim.options.movement)
    if sim.options.movement == "psexec":
        _psexec(state, moment, source, remote, mark)
    else:
        parent = machine.Process(
            target.pid_of("WmiPrvSE.exe"), f"{SYSTEM32}wbem\\WmiPrvSE.exe", None,
            command=f"{SYSTEM32}wbem\\wmiprvse.exe -secured -Embedding",
        )  # fmt: skip
        command = "cmd.exe /Q /c whoami /all 1> \\\\127.0.0.1\\ADMIN$\\__1671 2>&1"
        machine.start_process(
            sim, moment + 3 * SECOND, target, f"{SYSTEM32}cmd.exe", command, remote, parent, mark
        )
    logons.logoff(sim, moment + state.rng.randrange(3, 8) * MINUTE, remote, mark=mark)


def _psexec(state: State, moment: int, source: Host, remote: logons.Session, mark: int) -> None:
    """Write what a PsExec-like tool leaves: the admin share, its service, the command it starts."""
    sim, host, name = state.sim, remote.host, state.service
    local = "\\??\\C:\\Windows"
    machine.share_opened(sim, moment + 60 * MILLISECOND, remote, source.ip, "ADMIN$", local, mark)
    machine.share_file(
        sim,
        moment + 80 * MILLISECOND,
        remote,
        source.ip,
        "ADMIN$",
        local,
        f"{name}.exe",
        write=True,
        mark=mark,
    )
    image = f"%SystemRoot%\\{name}.exe"
    machine.install_service(sim, moment + 700 * MILLISECOND, host, name, image, remote, mark=mark)
    machine.service_state(sim, moment + 900 * MILLISECOND, host, name, name, "running", mark)
    for pipe in ("", "-stdin", "-stdout", "-stderr"):
        pipe_name = name + (f"-{source.name}-{host.next_pid()}{pipe}" if pipe else "")
        machine.share_file(
            sim, moment + SECOND, remote, source.ip, "IPC$", "", pipe_name, write=True, mark=mark
        )
    parent = machine.Process(host.pid_of("services"), f"{SYSTEM32}services.exe", None)
    service = machine.start_process(
        sim, moment + SECOND, host, f"C:\\Windows\\{name}.exe", f"C:\\Windows\\{name}.exe", None, parent, mark
    )
    at = moment + 2 * SECOND
    for command in ("cmd", "net localgroup administrators", "quser"):
        image = f"{SYSTEM32}{command.split()[0]}.exe"
        machine.start_process(sim, at, host, image, command, None, service, mark)
        at += state.rng.randrange(8, 40) * SECOND
    machine.service_state(sim, at + 20 * SECOND, host, name, name, "stopped", mark)


def _desktop(state: State, moment: int, target: Host, mark: int) -> None:
    """Write a desktop session on the record server, from which the clients are reached later."""
    sim, meal = state.sim, state.sim.world.one("meal")
    account = state.reused(target)
    opened = desktop.connect(
        sim, moment, account, desktop.source_of(meal), target, from_session=state.meal_session, mark=mark
    )
    sim.path(mark, moment, meal.name, target.name, account.name, "rdp")
    state.record = opened
    if target.role == "emr" and sim.options.movement != "rdp":
        dc = sim.world.one("dc")
        parent = machine.Process(dc.pid_of("services"), f"{SYSTEM32}services.exe", None)
        machine.start_process(
            sim, moment + 3 * MINUTE, dc, f"{SYSTEM32}ntdsutil.exe",
            f'ntdsutil "ac i ntds" "ifm" "create full {state.folder}\\n" q q', None, parent,
            state.marks["credential_access"],
        )  # fmt: skip
        sim.touch(state.marks["credential_access"], moment + 3 * MINUTE, dc.name)


def log_on_to_clients(state: State, moment: int) -> None:
    """Write the logons to all clients, seconds apart; most succeed, for the password is the same."""
    sim, rng = state.sim, state.rng
    mark = state.marks["mass_logon"]
    record = state.record
    assert record is not None
    source = record.session.host
    if source.audit_processes:
        machine.start_process(
            sim, moment - 5 * SECOND, source, f"{state.folder}\\{state.binary}",
            f"{state.binary} -spread clients.txt", record.session, mark=mark,
        )  # fmt: skip
    at = moment
    # Thousands of clients are tried in parallel, so that a hospital takes minutes whatever its size.
    pause = max(40, min(4000, 1_800_000 // max(1, len(sim.world.clients))))
    for client in sim.world.clients:
        account = state.reused(client)
        logons.explicit_credentials(
            sim, at, record.session, source, account, client.name, client.name,
            f"{state.folder}\\{state.binary}", mark=mark,
        )  # fmt: skip
        sim.path(mark, at, source.name, client.name, account.name, "smb")
        if rng.random() < 0.18:
            logons.failed_logon(
                sim, at, account, source.ip, source.name, client, logons.BAD_PASSWORD, mark=mark
            )
        else:
            session = logons.network_logon(sim, at, account, source.ip, source.name, client, mark=mark)
            logons.logoff(sim, at + rng.randrange(4, 30) * SECOND, session, mark=mark)
            state.clients.append(client)
        at += rng.randrange(pause // 2, pause) * MILLISECOND
