"""What the intruder has: addresses, accounts, tools, open sessions, hosts taken."""

from __future__ import annotations

from dataclasses import dataclass, field

from detector.simulate.emit.desktop import DesktopSession
from detector.simulate.emit.logons import Session
from detector.simulate.simulation import Simulation
from detector.simulate.world import Account, Host


@dataclass
class State:
    """Drawn once from the seed, then filled as the attack goes on."""

    sim: Simulation
    marks: dict[str, int]
    desktop: DesktopSession | None = None
    meal: DesktopSession | None = None
    record: DesktopSession | None = None
    taken: list[Host] = field(default_factory=list)
    clients: list[Host] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Draw addresses and tools."""
        self.rng = self.sim.rng("attack")
        rng = self.rng
        self.address = f"198.51.100.{rng.randrange(10, 240)}"
        self.assigned = f"10.8.0.{rng.randrange(40, 90)}"
        self.workstation = rng.choice(("WIN-8QK2TR5J0PL", "DESKTOP-7H1M4QX", "WIN-LIVFRVQFMKO"))
        self.binary = rng.choice(("fast.exe", "winhost32.exe", "svcupd.exe"))
        self.folder = rng.choice(("C:\\PerfLogs", "C:\\Users\\Public\\Music", "C:\\ProgramData\\tmp"))
        self.dumper = rng.choice(("procdump", "comsvcs", "mimikatz"))
        self.service = rng.choice(("PSEXESVC", "PSEXESVC", "wdsvc" + str(rng.randrange(10, 99))))

    def reused(self, host: Host) -> Account:
        """Return the local administrator of a host: one name and, everywhere, one password."""
        return host.local_admin

    @property
    def meal_session(self) -> Session:
        """Return the intruder's session on the meal server."""
        assert self.meal is not None, "the meal server is opened before it is used"
        return self.meal.session
