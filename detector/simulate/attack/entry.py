"""Steps 1 and 2: the supplier's VPN, and what the intruder finds behind it."""

from __future__ import annotations

from detector.simulate.attack.state import State
from detector.simulate.benign.vendors import ENGINEER
from detector.simulate.emit import desktop, logons, machine, network
from detector.simulate.simulation import HOUR, MILLISECOND, MINUTE, SECOND
from detector.simulate.world import VPN_GATEWAY, Account

_GUESSES = ("admin", "support", "vpnuser", "test", "guest", "backup", "kitchen")


def break_in(state: State, moment: int) -> None:
    """Write the guesses, then the login with the leaked account, from an address in another country.

    With the entry `leaked` nothing is guessed, and the account is used twice at once: its owner's session of
    the same night is still open.
    """
    sim = state.sim
    mark = state.marks["initial_access"]
    account = sim.world.vendor_account
    if sim.options.entry == "guessing":
        moment = _guess_accounts(state, moment, mark)
    else:
        early = moment - 20 * MINUTE
        network.vpn_session(
            sim, VPN_GATEWAY, early, moment + 25 * MINUTE, ENGINEER, account.name, "maintenance", "10.8.0.10"
        )
    _session(state, moment, mark)


def _guess_accounts(state: State, moment: int, mark: int) -> int:
    """Write refused logins; return when the next one may follow."""
    sim, rng = state.sim, state.rng
    at = moment - rng.randrange(6, 14) * MINUTE
    for name in rng.sample(_GUESSES, 5) * 2:
        reason = "sslvpn_login_unknown_user"
        network.vpn_failure(sim, VPN_GATEWAY, at, state.address, name, reason, mark)
        sim.touch(mark, at, VPN_GATEWAY)
        at += rng.randrange(3, 20) * SECOND
    for _ in range(rng.randrange(3, 7)):
        reason = "sslvpn_login_permission_denied"
        network.vpn_failure(sim, VPN_GATEWAY, at, state.address, sim.world.vendor_account.name, reason, mark)
        at += rng.randrange(4, 15) * SECOND
    return max(at, moment)


def _session(state: State, at: int, mark: int) -> None:
    """Write the intruder's session, and what it changes on the gateway."""
    sim, rng = state.sim, state.rng
    account = sim.world.vendor_account
    end = at + rng.randrange(95, 130) * MINUTE
    network.vpn_session(
        sim, VPN_GATEWAY, at, end, state.address, account.name, "maintenance", state.assigned, mark
    )
    sim.path(mark, at, state.address, VPN_GATEWAY, account.name, "vpn")
    network.admin_login(
        sim, VPN_GATEWAY, at + 70 * SECOND, "admin", state.assigned, "172.31.7.1", success=True, mark=mark
    )
    network.setting_changed(
        sim, VPN_GATEWAY, at + 3 * MINUTE, "admin", state.assigned, "user.local", account.name,
        "two-factor[fortitoken->disable]", mark,
    )  # fmt: skip
    sim.entry = {
        "time": at, "address": state.address, "country": network.country_of(state.address),
        "account": account.name, "gateway": VPN_GATEWAY, "assigned": state.assigned,
    }  # fmt: skip


def explore(state: State, moment: int) -> None:
    """Write the scan, the guessed passwords, the maintenance server's desktop, and what is typed there."""
    sim = state.sim
    mark = state.marks["discovery"]
    middle = sim.world.one("supplier_maintenance")
    _scan(state, moment, mark)
    at = _guess(state, moment + 4 * MINUTE, mark)
    user = sim.world.vendor_user
    source = (state.assigned, state.workstation)
    state.desktop = desktop.connect(sim, at, user, source, middle, mark=mark)
    sim.path(mark, at, state.assigned, middle.name, user.name, "rdp")
    at += 90 * SECOND
    commands = (
        "whoami /all", "ipconfig /all", "net view", "net user", "arp -a", "nltest /dclist:HOSP",
        "net view \\\\SUPP-KIT1 /all", "cmdkey /list", f"{state.folder}\\netscan.exe /hide /auto:result.xml",
    )  # fmt: skip
    for command in commands:
        image, line = _image(command)
        process = machine.start_process(
            sim, at, middle, image, line, state.desktop.session, _shell(state), mark
        )
        machine.end_process(sim, at + 2 * SECOND, middle, process, mark)
        at += state.rng.randrange(15, 120) * SECOND
    kitchen = sim.world.one("supplier_pc")
    remote = logons.network_logon(sim, at, kitchen.local_admin, middle.ip, middle.name, kitchen, mark=mark)
    sim.path(mark, at, middle.name, kitchen.name, kitchen.local_admin.name, "smb")
    logons.logoff(sim, at + 5 * MINUTE, remote, mark=mark)
    desktop.disconnect(sim, at + 20 * MINUTE, state.desktop, side="supplier-vpn", mark=mark)


def _image(command: str) -> tuple[str, str]:
    """Return the program's path and the command line as Windows records it."""
    program, _, rest = command.partition(" ")
    if "\\" in program:
        return program, command
    return f"{machine.SYSTEM32}{program}.exe", f"{program}  {rest}" if rest else program


def _shell(state: State) -> machine.Process:
    assert state.desktop is not None
    host = state.desktop.session.host
    image = f"{machine.SYSTEM32}cmd.exe"
    return machine.Process(host.pid_of("cmd.exe"), image, state.desktop.session, command=f'"{image}"')


def _scan(state: State, moment: int, mark: int) -> None:
    """Write what the gateway sees of a port scan from the VPN pool into the supplier's network."""
    sim, rng = state.sim, state.rng
    at = moment
    alive = {host.ip for host in sim.world.hosts.values() if host.site == "supplier"}
    for last in range(1, 61):
        for port in (445, 3389) if last % 3 else (135, 445, 3389):
            target = f"172.31.7.{last}"
            network.flow(
                sim, at, state.assigned, target, port, {445: "SMB", 3389: "RDP"}.get(port, f"tcp/{port}"),
                "supplier-vpn", action="close" if target in alive else "timeout", seconds=5,
                sent=120, received=80 if target in alive else 0, device=VPN_GATEWAY, mark=mark,
            )  # fmt: skip
            at += rng.randrange(200, 900) * MILLISECOND


def _guess(state: State, moment: int, mark: int) -> int:
    """Write failed logons against the maintenance server; return when the right password was found."""
    sim, rng = state.sim, state.rng
    middle = sim.world.one("supplier_maintenance")
    at = moment
    names = ("administrator", "admin", "maint", "maint01", "maint01", "administrator", "maint01", "user")
    for name in names * 2:
        known = name in (middle.local_admin.name, sim.world.vendor_user.name)
        account = Account(name, middle.name, "S-1-0-0", "guess")
        reason = logons.BAD_PASSWORD if known else logons.NO_SUCH_USER
        logons.failed_logon(sim, at, account, state.assigned, state.workstation, middle, reason, mark=mark)
        at += rng.randrange(2, 9) * SECOND
    sim.touch(mark, moment, middle.name)
    return at + HOUR // 60
