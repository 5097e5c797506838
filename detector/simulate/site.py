"""The site.toml of the simulated hospital: what its logs cannot say."""

from __future__ import annotations

from detector.simulate.benign import vendors
from detector.simulate.simulation import Simulation
from detector.simulate.world import (
    CLIENT_NETWORK,
    DOMAIN,
    FIREWALL,
    HOSPITAL_POOL,
    NETBIOS,
    SERVER_NETWORK,
    VENDOR_NETWORK,
    VENDOR_POOL,
    VPN_GATEWAY,
)

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def site_toml(sim: Simulation) -> str:
    """Return the text of site.toml."""
    world, zone = sim.world, _text(sim.options.time_zone)
    lines = [
        'name = "Simulated hospital"',
        f"time_zone = {zone}",
        f"domain = {_text(DOMAIN)}",
        f"netbios = {_text(NETBIOS)}",
        "",
        "[networks]",
        f"servers = {_list(SERVER_NETWORK)}",
        f"clients = {_list(CLIENT_NETWORK)}",
        f"vpn_pools = {_list(HOSPITAL_POOL)}",
        "",
        *_vendor("meal supplier", world.vendor_account.name, world.one("meal").name,
                 networks=_list(VENDOR_NETWORK), pools=_list(VENDOR_POOL)),
        *_vendor("record system maker", world.record_vendor.name, world.one("emr").name,
                 networks="[]", pools=_list(HOSPITAL_POOL)),
        *_window("meal supplier", vendors.MEAL_DAYS, vendors.MEAL_HOURS),
        *_window("record system maker", vendors.RECORD_DAYS, vendors.RECORD_HOURS),
        "[servers]",
        *(f"{_text(host.name)} = {{ ip = {_text(host.ip)}, role = {_text(host.role)} }}"
          for host in world.servers),
        "",
        "[firewalls]",
        f'{_text(FIREWALL)} = {{ file = "firewall/*.log", time_zone = {zone} }}',
        f'{_text(VPN_GATEWAY)} = {{ file = "supplier-vpn/*.log", time_zone = {zone} }}',
        "",
        "[accounts]",
        f"administrators = {_list(*(account.name for account in world.administrators))}",
        f"services = {_list(*world.services)}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    # Names here hold no quotes, backslashes or control characters, so that this is a TOML string.
    return f'"{value}"'


def _list(*values: str) -> str:
    return "[" + ", ".join(map(_text, values)) + "]"


def _vendor(name: str, account: str, reaches: str, *, networks: str, pools: str) -> list[str]:
    return [
        "[[vendors]]",
        f"name = {_text(name)}",
        f"networks = {networks}",
        f"vpn_pools = {pools}",
        f"accounts = {_list(account)}",
        f"reaches = {_list(reaches)}",
        "",
    ]


def _window(who: str, days: tuple[int, ...], hours: tuple[float, float]) -> list[str]:
    return [
        "[[maintenance_windows]]",
        f"who = {_text(who)}",
        f"days = {_list(*(_DAYS[day] for day in days))}",
        f'from = "{int(hours[0]):02}:00"',
        f'to = "{int(hours[1]):02}:00"',
        "",
    ]
