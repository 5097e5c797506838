"""Vendors who may come in from outside, in their windows: the meal supplier and the record system's maker."""

from __future__ import annotations

import random
from functools import partial

from detector.simulate.emit import desktop, logons, network
from detector.simulate.simulation import MINUTE, SECOND, Activities, Simulation
from detector.simulate.world import FIREWALL, VPN_GATEWAY

#: Days (Monday is 0) and local hours of the agreed windows; site.toml names the same.
MEAL_DAYS, MEAL_HOURS = (1, 4), (14.0, 16.0)
RECORD_DAYS, RECORD_HOURS = (0, 3), (13.0, 15.0)
ENGINEER, RECORD_MAKER = "203.0.113.77", "203.0.113.150"


def behaviours(sim: Simulation) -> list[Activities]:
    """Return the visits of both vendors, and the failed tries at both VPNs that are everyday noise."""
    return [_meal_supplier(sim), _record_maker(sim), _noise(sim)]


def _meal_supplier(sim: Simulation) -> Activities:
    rng = sim.rng("meal supplier")
    for day in sim.days():
        if sim.weekday(day) in MEAL_DAYS:
            moment = sim.local(day, MEAL_HOURS[0] + rng.uniform(0.1, 0.6))
            yield moment, partial(_meal_visit, sim, rng, moment)


def _meal_visit(sim: Simulation, rng: random.Random, moment: int) -> None:
    """An engineer comes to the supplier by VPN, to its maintenance server, and from there to the hospital."""
    world = sim.world
    user, account = world.vendor_user, world.vendor_account
    middle, target = world.one("supplier_maintenance"), world.one("meal")
    mark = sim.note("vendor_maintenance", "Maintenance of the meal system",
                    f"{account.name} through {VPN_GATEWAY} and {middle.name} to {target.name}")  # fmt: skip
    assigned = "10.8.0.10"
    end = moment + rng.randrange(30, 70) * MINUTE
    network.vpn_session(
        sim, VPN_GATEWAY, moment, end + 5 * MINUTE, ENGINEER, account.name, "maintenance", assigned, mark
    )
    sim.touch(mark, moment, None, account.name)
    first = desktop.connect(sim, moment + 2 * MINUTE, user, (assigned, "ENG-NOTE07"), middle, mark=mark)
    sim.path(mark, moment + 2 * MINUTE, assigned, middle.name, user.name, "rdp")
    second = desktop.connect(
        sim, moment + 5 * MINUTE, account, desktop.source_of(middle), target, from_session=first.session,
        mark=mark,
    )  # fmt: skip
    sim.path(mark, moment + 5 * MINUTE, middle.name, target.name, account.name, "rdp")
    desktop.sign_out(sim, end, second, side="vendor", mark=mark)
    desktop.sign_out(sim, end + 2 * MINUTE, first, side="supplier-vpn", mark=mark)


def _record_maker(sim: Simulation) -> Activities:
    rng = sim.rng("record maker")
    for day in sim.days():
        if sim.weekday(day) in RECORD_DAYS:
            moment = sim.local(day, RECORD_HOURS[0] + rng.uniform(0.1, 0.6))
            yield moment, partial(_record_visit, sim, rng, moment)


def _record_visit(sim: Simulation, rng: random.Random, moment: int) -> None:
    account, target = sim.world.record_vendor, sim.world.one("emr")
    mark = sim.note("vendor_maintenance", "Maintenance of the record system",
                    f"{account.name} by {FIREWALL}'s own VPN to {target.name}")  # fmt: skip
    assigned = "10.9.0.21"
    end = moment + rng.randrange(20, 60) * MINUTE
    network.vpn_session(
        sim, FIREWALL, moment, end + 3 * MINUTE, RECORD_MAKER, account.name, "emr-vendor", assigned, mark
    )
    at = moment + 90 * SECOND
    if rng.random() < 0.3:
        source = (assigned, "EMR-SUP12")
        logons.failed_logon(sim, at - 20 * SECOND, account, *source, target, logons.BAD_PASSWORD, mark=mark)
    opened = desktop.connect(sim, at, account, (assigned, "EMR-SUP12"), target, mark=mark)
    sim.path(mark, at, assigned, target.name, account.name, "rdp")
    desktop.sign_out(sim, end, opened, side="remote", mark=mark)


def _noise(sim: Simulation) -> Activities:
    """Passers-by who try names at the VPN pages: a few refused logins a day."""
    rng = sim.rng("vpn noise")
    for day in sim.days():
        for hour in sorted(rng.uniform(0.0, 23.9) for _ in range(4)):
            moment = sim.local(day, hour)
            device = rng.choice((FIREWALL, VPN_GATEWAY))
            address = f"203.0.113.{rng.randrange(201, 250)}"
            name = rng.choice(("admin", "test", "user", "vpn"))
            yield (
                moment,
                partial(network.vpn_failure, sim, device, moment, address, name, "sslvpn_login_unknown_user"),
            )
