"""Ordinary life of a hospital network: behaviours, each a generator of activities in order of time."""

from __future__ import annotations

from detector.simulate.benign import admins, jobs, machines, staff, vendors
from detector.simulate.simulation import Activities, Simulation


def behaviours(sim: Simulation) -> list[Activities]:
    """Return every benign behaviour of this world."""
    return [
        *machines.behaviours(sim),
        *staff.behaviours(sim),
        *jobs.behaviours(sim),
        *admins.behaviours(sim),
        *vendors.behaviours(sim),
    ]
