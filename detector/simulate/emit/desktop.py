"""Remote Desktop sessions: what client, firewall, target and domain controller record of one connection."""

from __future__ import annotations

from dataclasses import dataclass

from detector.simulate.emit import logons, network
from detector.simulate.emit.logons import Session
from detector.simulate.simulation import MILLISECOND, SECOND, Simulation
from detector.simulate.world import NETBIOS, Account, Host

RDP_PORT = 3389


@dataclass(frozen=True)
class DesktopSession:
    """An open Remote Desktop session and what is needed to end it."""

    session: Session
    source_ip: str
    source_name: str
    number: int
    connection: str
    started: int


def source_of(host: Host) -> tuple[str, str]:
    """Return address and name by which a host appears as a client."""
    return host.ip, host.name


def connect(
    sim: Simulation,
    moment: int,
    account: Account,
    source: tuple[str, str],
    target: Host,
    *,
    from_session: Session | None = None,
    package: str = "NTLM",
    mark: int | None = None,
) -> DesktopSession:
    """Write a Remote Desktop logon with network level authentication.

    `source` is address and name of the client; `from_session` the session on a Windows client of ours that
    records the use of explicit credentials. Returns the session; `disconnect` or `sign_out` ends it.
    """
    ip, name = source
    target.rdp_connection += 1
    connection = f"RDP-Tcp#{target.rdp_connection}"
    if from_session is not None:
        server = target.computer if target.domain == NETBIOS else target.ip
        logons.explicit_credentials(
            sim, moment - 300 * MILLISECOND, from_session, from_session.host, account, server,
            f"TERMSRV/{server}", "C:\\Windows\\System32\\lsass.exe", mark=mark,
        )  # fmt: skip
    _knock(sim, moment, target, ip, mark)
    named = {"ConnectionName": connection}
    sim.event(target, moment + 60 * MILLISECOND, "rdpcore.65", named, mark)
    first = logons.network_logon(
        sim, moment + 700 * MILLISECOND, account, ip, name, target, package=package, service_port=RDP_PORT,
        mark=mark,
    )  # fmt: skip
    at = moment + 900 * MILLISECOND
    network_user = {"Param1": account.name, "Param2": account.domain, "Param3": ip}
    sim.event(target, at, "rcm.1149", network_user, mark)
    sim.event(target, at + 200 * MILLISECOND, "rdpcore.98", {}, mark)
    number = target.next_session()
    session = logons.interactive_logon(
        sim, at + 1500 * MILLISECOND, account, target, logon_type=10, address=ip, mark=mark
    )
    logons.logoff(sim, at + 2 * SECOND, first, mark=mark)
    sim.event(target, at + 2 * SECOND, "rdpcore.66", named | {"SessionID": number}, mark)
    _manager(sim, at + 2300 * MILLISECOND, target, 21, account, number, ip, mark)
    _manager(sim, at + 3800 * MILLISECOND, target, 22, account, number, ip, mark)
    return DesktopSession(session, ip, name, number, connection, moment)


def _knock(sim: Simulation, moment: int, target: Host, ip: str, mark: int | None) -> None:
    """Write the TCP connection before anybody has logged on: pfirewall.log, 131, 261."""
    port = 49152 + target.rng.randrange(16000)
    sim.connection(target, moment - 10 * MILLISECOND, ip, port, RDP_PORT, mark)
    sim.event(target, moment, "rdpcore.131", {"ConnType": "TCP", "ClientIP": f"{ip}:{port}"}, mark)
    sim.event(target, moment + 20 * MILLISECOND, "rcm.261", {"listenerName": "RDP-Tcp"}, mark)


def _manager(
    sim: Simulation, moment: int, host: Host, event: int, account: Account, number: int, ip: str,
    mark: int | None,
) -> None:  # fmt: skip
    values = {"User": account.logon_name, "SessionID": number, "Address": ip}
    if event == 23:
        del values["Address"]
    sim.event(host, moment, f"lsm.{event}", values, mark)


def disconnect(
    sim: Simulation, moment: int, desktop: DesktopSession, *, side: str | None = None,
    mark: int | None = None,
) -> None:  # fmt: skip
    """Write a closed window: the session goes on without a client. `side`: where the firewall saw it."""
    host, account = desktop.session.host, desktop.session.account
    sim.event(host, moment, "rdpcore.102", {}, mark)
    sim.event(host, moment + 5 * MILLISECOND, "rdpcore.103", {"ReasonCode": 14}, mark)
    _manager(sim, moment + 30 * MILLISECOND, host, 24, account, desktop.number, desktop.source_ip, mark)
    values = _window_station(desktop)
    sim.event(host, moment + 40 * MILLISECOND, "security.4779", values, mark)
    if side is not None:
        firewall_flow(sim, desktop, moment, side, mark)


def reconnect(sim: Simulation, moment: int, desktop: DesktopSession, mark: int | None = None) -> None:
    """Write the return to a disconnected session: 1149, 4624 of type 7, 25, 4778."""
    host, account = desktop.session.host, desktop.session.account
    _knock(sim, moment, host, desktop.source_ip, mark)
    first = logons.network_logon(
        sim, moment + 600 * MILLISECOND, account, desktop.source_ip, desktop.source_name, host,
        service_port=RDP_PORT, mark=mark,
    )  # fmt: skip
    user = {"Param1": account.name, "Param2": account.domain, "Param3": desktop.source_ip}
    sim.event(host, moment + 800 * MILLISECOND, "rcm.1149", user, mark)
    logons.logoff(sim, moment + 900 * MILLISECOND, first, mark=mark)
    _manager(sim, moment + 2 * SECOND, host, 25, account, desktop.number, desktop.source_ip, mark)
    sim.event(host, moment + 2 * SECOND, "security.4778", _window_station(desktop), mark)


def _window_station(desktop: DesktopSession) -> dict[str, object]:
    return {
        "AccountName": desktop.session.account.name,
        "AccountDomain": desktop.session.account.domain,
        "LogonID": desktop.session.logon_id,
        "SessionName": desktop.connection,
        "ClientName": desktop.source_name,
        "ClientAddress": desktop.source_ip,
    }


def sign_out(
    sim: Simulation, moment: int, desktop: DesktopSession, *, side: str | None = None,
    mark: int | None = None,
) -> None:  # fmt: skip
    """Write the end of the session: 23, 4647, 4634, and the closed connection."""
    logons.interactive_logoff(sim, moment, desktop.session, mark, desktop.number)
    host, account = desktop.session.host, desktop.session.account
    _manager(sim, moment + SECOND, host, 23, account, desktop.number, desktop.source_ip, mark)
    sim.event(host, moment + SECOND, "rdpcore.103", {"ReasonCode": 12}, mark)
    if side is not None:
        firewall_flow(sim, desktop, moment + SECOND, side, mark)


def firewall_flow(sim: Simulation, desktop: DesktopSession, end: int, side: str, mark: int | None) -> None:
    """Write the flow that the firewall at this side saw (`network.SIDES`)."""
    device = network.VPN_GATEWAY if side == "supplier-vpn" else network.FIREWALL
    seconds = max(1, (end - desktop.started) // SECOND)
    network.flow(
        sim, end, desktop.source_ip, desktop.session.host.ip, RDP_PORT, "RDP", side, seconds=seconds,
        sent=seconds * 900 + 4000, received=seconds * 7_500 + 90_000, device=device,
        mark=mark,
    )  # fmt: skip
