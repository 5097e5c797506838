"""One attack: when each step happens, with which tools, and what one step leaves to the next."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from detector.simulate.attack import entry, foothold, impact, spread
from detector.simulate.attack.state import State
from detector.simulate.simulation import HOUR, MINUTE, Activities, Simulation

#: Steps by their id in detector.tables.steps, and what the truth says of each.
STEPS = {
    "initial_access": "Break-in at the supplier's VPN with a leaked maintenance account",
    "discovery": "Exploration of the supplier's network",
    "remote_desktop": "Remote Desktop from the supplier to the meal server",
    "defense_evasion": "Protection removed, logs cleared",
    "credential_access": "Credentials dumped on the meal server",
    "lateral_movement": "One local administrator's password on the other servers",
    "mass_logon": "Logons to the clients, all within minutes",
    "impact": "Backups destroyed, ransomware started",
}


class Campaign:
    """The attack of one simulation."""

    def __init__(self, sim: Simulation) -> None:
        """Draw the tools and plan the steps; they run when the activities are called."""
        self._sim = sim
        marks = {step: sim.note(step, step, text, attack=True) for step, text in STEPS.items()}
        self._state = State(sim, marks)

    def activities(self) -> Activities:
        """Yield the steps in order of time."""
        plan = self._plan()
        moments = [moment for moment, _ in plan]
        assert moments == sorted(moments)
        for moment, step in plan:
            if moment < self._sim.end:
                yield moment, partial(step, self._state, moment)

    def _plan(self) -> list[tuple[int, Callable[[State, int], None]]]:
        """Return when each step begins. With a single day everything happens in its first hours."""
        sim, options = self._sim, self._sim.options
        rng = self._state.rng
        jitter = rng.randrange(0, 12) * MINUTE
        if options.days == 1:
            first = sim.local(0, 0.4) + jitter
            second = first + 80 * MINUTE
        else:
            last_evening = options.days - 2
            first = sim.local(last_evening - options.dwell, options.break_in_hour) + jitter
            second = max(sim.local(last_evening, 23.4) + jitter, first + 80 * MINUTE)
        plan: list[tuple[int, Callable[[State, int], None]]] = [
            (first, entry.break_in),
            (first + 9 * MINUTE, entry.explore),
            (second, foothold.open_meal_server),
            (second + 12 * MINUTE, foothold.remove_protection),
            (second + 31 * MINUTE, foothold.dump_credentials),
            (second + 55 * MINUTE, spread.move_to_servers),
        ]
        if options.attack == "full":
            plan += [
                (second + 2 * HOUR + 50 * MINUTE, spread.log_on_to_clients),
                (second + 3 * HOUR + 40 * MINUTE, impact.run_ransomware),
            ]
        return plan
