"""The incident: from a supplier's VPN to ransomware, step by step, as the public reports reconstruct it."""

from __future__ import annotations

from detector.simulate.attack.campaign import Campaign
from detector.simulate.simulation import Activities, Simulation


def behaviours(sim: Simulation) -> list[Activities]:
    """Return the attack that the options ask for; nothing for `none`."""
    return [] if sim.options.attack == "none" else [Campaign(sim).activities()]


__all__ = ["Campaign", "behaviours"]
