"""The hospital, its supplier and its people, drawn from a seed.

Roles only: no name here is that of a real organisation, and public addresses are from the ranges reserved for
documentation (RFC 5737).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from detector.simulate.options import SimulationOptions

DOMAIN = "hospital.example"
NETBIOS = "HOSP"
SUPPLIER_DOMAIN = "SUPPLIER"
SERVER_NETWORK = "10.1.1.0/24"
CLIENT_NETWORK = "10.1.16.0/20"
VENDOR_NETWORK = "172.31.7.0/24"
VENDOR_POOL = "10.8.0.0/24"
HOSPITAL_POOL = "10.9.0.0/24"
FIREWALL = "HOSP-FW1"
VPN_GATEWAY = "SUPPLIER-VPN1"

SERVER_2019 = "Windows Server 2019"
WINDOWS_10 = "Windows 10"

_SURNAMES = (
    ("sato", "佐藤"), ("suzuki", "鈴木"), ("takahashi", "高橋"), ("tanaka", "田中"), ("ito", "伊藤"),
    ("watanabe", "渡辺"), ("yamamoto", "山本"), ("nakamura", "中村"), ("kobayashi", "小林"), ("kato", "加藤"),
    ("yoshida", "吉田"), ("yamada", "山田"), ("sasaki", "佐々木"), ("matsumoto", "松本"), ("inoue", "井上"),
    ("kimura", "木村"), ("hayashi", "林"), ("shimizu", "清水"), ("saito", "斎藤"), ("mori", "森"),
)  # fmt: skip


@dataclass(frozen=True)
class Account:
    """A user, service or machine account; `domain` is the domain or, for a local one, the machine."""

    name: str
    domain: str
    sid: str
    role: str
    admin: bool = False
    display: str = ""

    @property
    def logon_name(self) -> str:
        """Return DOMAIN\\name."""
        return f"{self.domain}\\{self.name}"


@dataclass
class Host:
    """A machine and what it counts while it runs.

    `site` is `hospital` or `supplier`; `clock_offset` is what its clock is ahead of the true time, in
    microseconds. The counters give logon ids, process ids, ports and session numbers that ascend as on a
    real machine.
    """

    name: str
    ip: str
    role: str
    os: str
    site: str
    domain: str
    machine_sid: str
    account: Account
    local_admin: Account
    audit_processes: bool
    audit_shares: bool
    firewall_log: bool
    rng: random.Random
    clock_offset: int = 0
    logon_id: int = 0
    port: int = 49200
    session: int = 1
    rdp_connection: int = 0
    system_pids: dict[str, int] = field(default_factory=dict)

    @property
    def is_server(self) -> bool:
        """Return whether this is a server of the hospital or the supplier."""
        return self.os == SERVER_2019

    @property
    def computer(self) -> str:
        """Return the name that the machine writes into its events."""
        return f"{self.name}.{DOMAIN}" if self.domain == NETBIOS else self.name

    @property
    def build(self) -> str:
        """Return the build number of its Windows."""
        return "17763" if self.is_server else "19045"

    def next_logon_id(self) -> int:
        """Return a new logon session id (LUID)."""
        self.logon_id += self.rng.randrange(0x41, 0x1F00)
        return self.logon_id

    def next_pid(self) -> int:
        """Return a process id: a multiple of four, as Windows gives them."""
        return self.rng.randrange(0x3E8, 0x2FFF) & ~3

    def next_port(self) -> int:
        """Return a port of the dynamic range, 49152 to 65535."""
        self.port += self.rng.randrange(1, 9)
        if self.port > 65535:
            self.port = 49152 + self.rng.randrange(0, 64)
        return self.port

    def next_session(self) -> int:
        """Return the number of a new Terminal Services session."""
        self.session += 1
        return self.session

    def pid_of(self, process: str) -> int:
        """Return the process id of one of the machine's own processes; 4 is the kernel, 0 nobody."""
        if process in ("system", "zero"):
            return 4 if process == "system" else 0
        pid = self.system_pids.get(process)
        if pid is None:
            pid = self.system_pids[process] = self.next_pid()
        return pid


@dataclass(frozen=True)
class World:
    """Everything that exists before anything happens."""

    domain_sid: str
    hosts: dict[str, Host]
    staff: tuple[Account, ...]
    administrators: tuple[Account, ...]
    services: dict[str, Account]
    vendor_account: Account
    vendor_user: Account
    record_vendor: Account

    def role(self, role: str) -> list[Host]:
        """Return the hosts of a role, in order of their names."""
        return [host for host in self.hosts.values() if host.role == role]

    def one(self, role: str) -> Host:
        """Return the first host of a role."""
        return self.role(role)[0]

    @property
    def servers(self) -> list[Host]:
        """Return the hospital's servers."""
        return [host for host in self.hosts.values() if host.site == "hospital" and host.is_server]

    @property
    def clients(self) -> list[Host]:
        """Return the hospital's client PCs."""
        return [host for host in self.hosts.values() if host.site == "hospital" and not host.is_server]


def _sid(rng: random.Random) -> str:
    return "S-1-5-21-" + "-".join(str(rng.randrange(10**8, 2**32)) for _ in range(3))


class _Builder:
    def __init__(self, options: SimulationOptions) -> None:
        self.options = options
        self.rng = random.Random(f"{options.seed}/world")
        self.domain_sid = _sid(self.rng)
        self.rid = 1103
        self.hosts: dict[str, Host] = {}
        # The image from which every machine was installed: one local administrator, one password.
        self.local_admin_name = "管理者" if options.japanese_names else "Administrator"

    def account(self, name: str, role: str, *, admin: bool = False, display: str = "") -> Account:
        self.rid += 1
        return Account(name, NETBIOS, f"{self.domain_sid}-{self.rid}", role, admin, display)

    def host(self, name: str, ip: str, role: str, os: str, *, site: str = "hospital") -> None:
        domain = NETBIOS if site == "hospital" else SUPPLIER_DOMAIN
        rng = random.Random(f"{self.options.seed}/host/{name}")
        machine_sid = _sid(rng)
        audited = self.options.process_auditing
        server = os == SERVER_2019
        if domain == NETBIOS:
            machine = self.account(f"{name}$", "machine")
        else:
            machine = Account(f"{name}$", domain, f"{machine_sid}-1000", "machine")
        is_dc = role == "dc"
        local_sid = f"{self.domain_sid if is_dc else machine_sid}-500"
        self.hosts[name] = Host(
            name=name,
            ip=ip,
            role=role,
            os=os,
            site=site,
            domain=domain,
            machine_sid=machine_sid,
            account=machine,
            local_admin=Account(
                self.local_admin_name, NETBIOS if is_dc else name, local_sid, "local_administrator", True
            ),
            audit_processes=audited == "all" or (audited == "servers" and server),
            audit_shares=server,
            # One server whose own firewall was told to log, as the maker of the meal system asked.
            firewall_log=role == "meal",
            rng=rng,
            clock_offset=self._skew(rng, site),
            logon_id=rng.randrange(0x20000, 0x90000),
            port=rng.randrange(49200, 60000),
        )

    def _skew(self, rng: random.Random, site: str) -> int:
        # Members of the domain follow its controller; only the supplier's clocks run free.
        limit = self.options.clock_skew
        return 0 if site == "hospital" or not limit else rng.choice((-1, 1)) * rng.randint(1, limit) * 10**6


def build_world(options: SimulationOptions) -> World:
    """Return the world of these options: equal options give an equal world."""
    builder = _Builder(options)
    _add_servers(builder)
    _add_clients(builder)
    rng = builder.rng
    builder.host("SUPP-MNT1", "172.31.7.20", "supplier_maintenance", SERVER_2019, site="supplier")
    builder.host("SUPP-KIT1", "172.31.7.31", "supplier_pc", WINDOWS_10, site="supplier")
    maintenance = builder.hosts["SUPP-MNT1"]
    staff = _staff(builder, rng)
    services = {
        name: builder.account(name, "service", admin=True)
        for name in ("svc_backup", "svc_deploy", "svc_scan", "svc_emr")
    }
    administrators = tuple(
        builder.account(f"adm.{surname}", "administrator", admin=True)
        for surname, _ in rng.sample(_SURNAMES, 2)
    )
    return World(
        domain_sid=builder.domain_sid,
        hosts=builder.hosts,
        staff=staff,
        administrators=administrators,
        services=services,
        vendor_account=builder.account("mealmaint", "vendor", admin=True),
        vendor_user=Account(
            "maint01", "SUPP-MNT1", f"{maintenance.machine_sid}-1001", "vendor", admin=True, display="保守"
        ),
        record_vendor=builder.account("emrvendor", "vendor", admin=True),
    )


def _add_servers(builder: _Builder) -> None:
    hosts = builder.options.hosts
    roles = [("DC1", "dc"), ("MEALSRV", "meal"), ("EMRSRV1", "emr"), ("BACKUPSRV", "backup")]
    if hosts >= 8:
        roles.append(("MGMTSRV", "management"))
    if hosts >= 10:
        roles.append(("PRINTSRV", "print"))
    if hosts >= 16:
        roles += [("DC2", "dc"), ("EMRSRV2", "emr")]
    if hosts >= 20:
        roles.append(("LABSRV", "server"))
    for number in range(1, max(0, hosts // 12 - 1)):
        roles.append((f"APPSRV{number:02}", "server"))
    for number, (name, role) in enumerate(roles[:200]):
        builder.host(name, f"10.1.1.{10 + number}", role, SERVER_2019)


def _add_clients(builder: _Builder) -> None:
    first = IPv4Address("10.1.16.11")
    wards = ("ER", "OPD", "W3", "W4", "W5", "ICU", "LAB", "PHARM", "ADM")
    for number in range(builder.options.hosts - len(builder.hosts)):
        ward = wards[number % len(wards)]
        builder.host(f"PC-{ward}-{number + 1:04}", str(first + number), "client", WINDOWS_10)


def _staff(builder: _Builder, rng: random.Random) -> tuple[Account, ...]:
    """Return the staff: about three people for every two clients; every one has administrator rights."""
    clients = sum(1 for host in builder.hosts.values() if not host.is_server)
    people = []
    for number in range(max(4, clients * 3 // 2)):
        romaji, kanji = rng.choice(_SURNAMES)
        role = "doctor" if number % 4 == 3 else ("clerk" if number % 7 == 5 else "nurse")
        name = f"{kanji}{number + 1:03}" if builder.options.japanese_names else f"{romaji}{number + 1:03}"
        people.append(builder.account(name, role, admin=True, display=kanji))
    return tuple(people)
