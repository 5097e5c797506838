"""Steps 3 and 4: the meal server, its protection, and the credentials it holds."""

from __future__ import annotations

from detector.simulate.attack.state import State
from detector.simulate.benign.jobs import ANTIVIRUS_SERVICE, antivirus
from detector.simulate.emit import desktop, logons, machine, network
from detector.simulate.emit.machine import SYSTEM32
from detector.simulate.simulation import HOUR, MINUTE, SECOND
from detector.simulate.world import VPN_GATEWAY


def open_meal_server(state: State, moment: int) -> None:
    """Write the second night: VPN again, the supplier's desktop left open, and from there the hospital."""
    sim, rng = state.sim, state.rng
    mark = state.marks["remote_desktop"]
    middle, meal = sim.world.one("supplier_maintenance"), sim.world.one("meal")
    account = sim.world.vendor_account
    before = moment - 7 * MINUTE
    end = moment + 5 * HOUR + rng.randrange(0, 20) * MINUTE
    network.vpn_session(
        sim, VPN_GATEWAY, before, end, state.address, account.name, "maintenance", state.assigned,
        state.marks["initial_access"],
    )  # fmt: skip
    assert state.desktop is not None
    desktop.reconnect(sim, before + 2 * MINUTE, state.desktop, mark)
    for number in range(2):
        logons.failed_logon(
            sim, moment - 80 * SECOND + number * 15 * SECOND, meal.local_admin, middle.ip, middle.name, meal,
            logons.BAD_PASSWORD, mark=mark,
        )  # fmt: skip
    state.meal = desktop.connect(
        sim, moment, account, desktop.source_of(middle), meal, from_session=state.desktop.session, mark=mark
    )
    sim.path(mark, moment, middle.name, meal.name, account.name, "rdp")
    state.taken.append(meal)
    close = end - 10 * MINUTE
    desktop.disconnect(sim, close, state.meal, side="vendor", mark=mark)
    desktop.disconnect(sim, close + 2 * MINUTE, state.desktop, side="supplier-vpn", mark=mark)


def _shell(state: State, name: str = "cmd.exe") -> machine.Process:
    session = state.meal_session
    image = f"{SYSTEM32}{name}"
    return machine.Process(session.host.pid_of(name), image, session, command=f'"{image}"')


def run(state: State, moment: int, image: str, command: str, mark: int) -> machine.Process:
    """Write a command typed in the session on the meal server."""
    session = state.meal_session
    return machine.start_process(
        state.sim, moment, session.host, image, command, session, _shell(state), mark
    )


def remove_protection(state: State, moment: int) -> None:
    """Write the antivirus product's removal, or Defender switched off."""
    sim = state.sim
    mark = state.marks["defense_evasion"]
    session = state.meal_session
    host, account = session.host, session.account
    sim.touch(mark, moment, host.name, account.name)
    if sim.options.antivirus == "product":
        display, service = ANTIVIRUS_SERVICE
        code = "{7D3C9A51-0B62-4E0F-9C1E-5A6F1D2B8E44}"
        run(state, moment, f"{SYSTEM32}msiexec.exe", f"msiexec.exe /x {code} /qn REBOOT=ReallySuppress", mark)
        machine.service_state(sim, moment + 4 * SECOND, host, display, service, "stopped", mark)
        package = "C:\\Windows\\Installer\\2f1a8c.msi"
        machine.installer(
            sim, moment + 3 * SECOND, host, account, antivirus(), package, install=False, mark=mark
        )
        return
    command = "powershell.exe Set-MpPreference -DisableRealtimeMonitoring $true"
    run(state, moment, f"{SYSTEM32}WindowsPowerShell\\v1.0\\powershell.exe", command, mark)
    machine.powershell_started(sim, moment + SECOND, host, command, mark)
    machine.defender(sim, moment + 3 * SECOND, host, 5001, {}, mark)
    key = "HKLM\\SOFTWARE\\Microsoft\\Windows Defender\\Real-Time Protection\\DisableRealtimeMonitoring = "
    machine.defender(
        sim, moment + 3 * SECOND, host, 5007, {"Old Value": key + "0x0", "New Value": key + "0x1"}, mark
    )


def dump_credentials(state: State, moment: int) -> None:
    """Write the memory dump of LSASS and the saved registry hives."""
    sim = state.sim
    mark = state.marks["credential_access"]
    session, folder = state.meal_session, state.folder
    host = session.host
    sim.touch(mark, moment, host.name, session.account.name)
    image, command = {
        "procdump": (f"{folder}\\procdump64.exe",
                     f"procdump64.exe -accepteula -ma lsass.exe {folder}\\ls.dmp"),
        "comsvcs": (f"{SYSTEM32}rundll32.exe",
                    f"rundll32.exe {SYSTEM32}comsvcs.dll, MiniDump {host.pid_of('lsass')} "
                    f"{folder}\\ls.dmp full"),
        "mimikatz": (f"{folder}\\mimikatz.exe",
                     'mimikatz.exe "privilege::debug" "sekurlsa::logonpasswords" exit'),
    }[state.dumper]  # fmt: skip
    dumper = run(state, moment, image, command, mark)
    lsass = f"{SYSTEM32}lsass.exe"
    machine.process_access(sim, moment + SECOND, host, dumper, lsass, 0x1FFFFF, mark)
    if host.audit_processes:
        machine.object_access(
            sim, moment + SECOND, host, session, dumper,
            "\\Device\\HarddiskVolume2\\Windows\\System32\\lsass.exe", "Process", mark,
        )  # fmt: skip
    at = moment + 4 * MINUTE
    for hive in ("sam", "system", "security"):
        run(state, at, f"{SYSTEM32}reg.exe", f"reg  save hklm\\{hive} {folder}\\{hive}.hiv /y", mark)
        at += 7 * SECOND
