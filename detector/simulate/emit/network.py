"""Lines of the two FortiGates: the hospital's firewall and the supplier's VPN gateway.

Keys, their order and quoting follow FortiOS 7.0 (docs.fortinet.com, "FortiOS Log Message Reference": 13
traffic forward, 39943 new connection, 39424 / 39947 tunnel up, 39425 / 39948 tunnel down, 39426 login
fail, 32001 / 32002 / 32003 administrators, 44547 changed settings), compared with lines that other projects'
parser tests hold.
"""

from __future__ import annotations

import random
from ipaddress import ip_address

from detector.simulate.simulation import SECOND, Simulation
from detector.simulate.world import FIREWALL, VPN_GATEWAY

#: Which interfaces and policy a flow through the hospital's firewall uses, by the side it comes from.
SIDES: dict[str, tuple[str, str, int, str]] = {
    "vendor": ("port3", "port1", 12, "vendor-remote-maintenance"),
    "remote": ("ssl.root", "port1", 15, "ssl-vpn-to-servers"),
    "outbound": ("port1", "wan1", 5, "servers-to-internet"),
    "to-vendor": ("port1", "port3", 0, ""),
    "supplier-vpn": ("ssl.root", "internal", 7, "ssl-vpn-to-lan"),
}

#: Countries as FortiOS names them, for the documentation ranges of this simulation.
COUNTRIES = {"203.0.113.": "Japan", "198.51.100.": "Netherlands"}

#: Public addresses of the two devices.
GATEWAY_ADDRESS = "203.0.113.40"
FIREWALL_ADDRESS = "203.0.113.2"


def country_of(address: str) -> str:
    """Return the country that FortiOS would name: `Reserved` for private addresses."""
    for prefix, country in COUNTRIES.items():
        if address.startswith(prefix):
            return country
    return "Reserved"


def flow(
    sim: Simulation,
    end: int,
    source: str,
    target: str,
    port: int,
    service: str,
    side: str,
    *,
    action: str = "close",
    protocol: int = 6,
    seconds: int = 1,
    sent: int = 800,
    received: int = 1200,
    device: str = FIREWALL,
    mark: int | None = None,
) -> None:
    """Write one flow through a firewall, logged when it ends (`deny`: at once)."""
    rng = _rng(sim, device)
    denied = action == "deny"
    content = _ends(source, target, port, rng.randrange(49152, 65535), side)
    content |= {
        "level": "warning" if denied else "notice",
        "sessionid": rng.randrange(10**5, 10**8),
        "proto": protocol,
        "action": action,
        "policyid": 0 if denied else SIDES[side][2],
        "policytype": "policy",
    }
    if not denied:
        content["policyname"] = SIDES[side][3]
    content |= {
        "service": service,
        "trandisp": "snat" if SIDES[side][1] == "wan1" else "noop",
        "duration": 0 if denied else seconds,
        "sentbyte": 0 if denied else sent,
        "rcvdbyte": 0 if denied else received,
        "sentpkt": 0 if denied else max(3, sent // 700),
        "rcvdpkt": 0 if denied else max(3, received // 900),
        "appcat": "unscanned",
    }
    if denied:
        content |= {"crscore": 30, "craction": 131072, "crlevel": "high"}
    sim.firewall(device, end, content, mark)


def _ends(source: str, target: str, port: int, source_port: int, side: str) -> dict[str, object]:
    """Return a flow's first keys: what kind of line it is, and from where to where."""
    inside, outside = SIDES[side][:2]
    return {
        "logid": "0000000013",
        "type": "traffic",
        "subtype": "forward",
        "level": "notice",
        "vd": "root",
        "srcip": ip_address(source),
        "srcport": source_port,
        "srcintf": inside,
        "srcintfrole": "wan" if inside == "wan1" else "lan",
        "dstip": ip_address(target),
        "dstport": port,
        "dstintf": outside,
        "dstintfrole": "wan" if outside == "wan1" else "lan",
        "srccountry": country_of(source),
        "dstcountry": country_of(target),
    }


def _rng(sim: Simulation, device: str) -> random.Random:
    # One generator per device: flows get ports and session numbers in the order they are written.
    return sim.device_random(device)


def vpn_connection(sim: Simulation, device: str, moment: int, address: str, mark: int | None = None) -> None:
    """Write a client that opens the VPN's page (39943), and the connection to the device (14)."""
    own = GATEWAY_ADDRESS if device == VPN_GATEWAY else FIREWALL_ADDRESS
    sim.firewall(device, moment + SECOND, {
        "logid": "0001000014", "type": "traffic", "subtype": "local", "level": "notice", "vd": "root",
        "srcip": ip_address(address), "srcport": _rng(sim, device).randrange(20000, 65000), "srcintf": "wan1",
        "srcintfrole": "wan", "dstip": ip_address(own), "dstport": 10443, "dstintf": "root",
        "dstintfrole": "undefined", "srccountry": country_of(address), "dstcountry": country_of(own),
        "sessionid": _rng(sim, device).randrange(10**5, 10**8), "proto": 6, "action": "close", "policyid": 0,
        "policytype": "local-in-policy", "service": "tcp/10443", "trandisp": "noop", "app": "tcp/10443",
        "duration": 1, "sentbyte": 1480, "rcvdbyte": 4200, "sentpkt": 9, "rcvdpkt": 8, "appcat": "unscanned",
    }, mark)  # fmt: skip
    content = _vpn(device, "0101039943", "information", "SSL VPN new connection", "ssl-new-con") | {
        "tunneltype": "ssl", "tunnelid": 0, "remip": ip_address(address), "user": "N/A", "group": "N/A",
        "dst_host": "N/A", "reason": "N/A", "msg": "SSL new connection",
    }  # fmt: skip
    sim.firewall(device, moment, content, mark)


def vpn_failure(
    sim: Simulation, device: str, moment: int, address: str, user: str, reason: str, mark: int | None = None
) -> None:
    """Write a refused VPN login (39426)."""
    content = _vpn(device, "0101039426", "alert", "SSL VPN login fail", "ssl-login-fail") | {
        "tunneltype": "ssl-web", "tunnelid": 0, "remip": ip_address(address), "user": user, "group": "N/A",
        "dst_host": "N/A", "reason": reason, "msg": "SSL user failed to logged in",
    }  # fmt: skip
    sim.firewall(device, moment, content, mark)


def vpn_session(
    sim: Simulation,
    device: str,
    start: int,
    end: int,
    address: str,
    user: str,
    group: str,
    assigned: str,
    mark: int | None = None,
) -> None:
    """Write a VPN session: web login (39424), tunnel up (39947), tunnel down (39948), logout (39425)."""
    rng = _rng(sim, device)
    tunnel = rng.randrange(10**8, 2**31)
    who: dict[str, object] = {"tunnelid": tunnel, "remip": ip_address(address)}
    user_group = {"user": user, "group": group, "dst_host": "N/A"}
    vpn_connection(sim, device, start - 2 * SECOND, address, mark)
    up = _vpn(device, "0101039424", "information", "SSL VPN tunnel up", "tunnel-up")
    sim.firewall(device, start, up | {"tunneltype": "ssl-web"} | who | user_group
                 | {"reason": "login successfully", "msg": "SSL tunnel established"}, mark)  # fmt: skip
    tunnelled = who | {"tunnelip": ip_address(assigned)} | user_group
    up = _vpn(device, "0101039947", "information", "SSL VPN tunnel up", "tunnel-up")
    sim.firewall(device, start + 3 * SECOND, up | {"tunneltype": "ssl-tunnel"} | tunnelled
                 | {"reason": "tunnel established", "msg": "SSL tunnel established"}, mark)  # fmt: skip
    seconds = max(1, (end - start) // SECOND)
    down = _vpn(device, "0101039948", "information", "SSL VPN tunnel down", "tunnel-down")
    volume = {"duration": seconds, "sentbyte": seconds * 9_000, "rcvdbyte": seconds * 1_100}
    sim.firewall(device, end, down | {"tunneltype": "ssl-tunnel"} | tunnelled
                 | {"reason": "tunnel closed"} | volume | {"msg": "SSL tunnel shutdown"}, mark)  # fmt: skip
    down = _vpn(device, "0101039425", "information", "SSL VPN tunnel down", "tunnel-down")
    sim.firewall(device, end + SECOND, down | {"tunneltype": "ssl-web"} | who | user_group
                 | {"reason": "User requested termination of service"} | volume
                 | {"msg": "SSL tunnel shutdown"}, mark)  # fmt: skip


def _vpn(device: str, logid: str, level: str, description: str, action: str) -> dict[str, object]:
    return {
        "logid": logid, "type": "event", "subtype": "vpn", "level": level, "vd": "root",
        "logdesc": description, "action": action,
    }  # fmt: skip


def admin_login(
    sim: Simulation, device: str, moment: int, user: str, address: str, own: str, *, success: bool,
    mark: int | None = None,
) -> None:  # fmt: skip
    """Write an administrator's login to the device's web interface (32001, 32002)."""
    place = f"https({address})"
    done = "logged in successfully" if success else "login failed"
    tail = f" from {place}" + ("" if success else " because of invalid password")
    content: dict[str, object] = {
        "logid": "0100032001" if success else "0100032002",
        "type": "event", "subtype": "system", "level": "information" if success else "alert", "vd": "root",
        "logdesc": "Admin login successful" if success else "Admin login failed",
        "sn": str(moment // SECOND) if success else "0", "user": user, "ui": place, "method": "https",
        "srcip": ip_address(address), "dstip": ip_address(own), "action": "login",
        "status": "success" if success else "failed", "reason": "none" if success else "passwd_invalid",
    }  # fmt: skip
    if success:
        content["profile"] = "super_admin"
    sim.firewall(device, moment, content | {"msg": f"Administrator {user} {done}{tail}"}, mark)


def setting_changed(
    sim: Simulation, device: str, moment: int, user: str, address: str, path: str, name: str, change: str,
    mark: int | None = None,
) -> None:  # fmt: skip
    """Write a changed setting of the device (44547)."""
    sim.firewall(device, moment, {
        "logid": "0100044547", "type": "event", "subtype": "system", "level": "information", "vd": "root",
        "logdesc": "Object attribute configured", "user": user, "ui": f"GUI({address})", "action": "Edit",
        "cfgtid": _rng(sim, device).randrange(10**6, 10**8), "cfgpath": path, "cfgobj": name,
        "cfgattr": change, "msg": f"Edit {path} {name}",
    }, mark)  # fmt: skip


__all__ = [
    "COUNTRIES",
    "FIREWALL",
    "SIDES",
    "VPN_GATEWAY",
    "admin_login",
    "country_of",
    "flow",
    "setting_changed",
    "vpn_connection",
    "vpn_failure",
    "vpn_session",
]
