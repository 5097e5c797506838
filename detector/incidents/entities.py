"""Who and where: the identities of hosts, addresses and accounts, so that one machine has one name.

Logs write the same host as `MEALSRV`, `mealsrv.hospital.example` or `10.1.1.50`, and the same account as
`HOSP\\taro`, `taro@hospital.example` or `taro`. Everything is scoped to a site: `MEALSRV` at two hospitals is
two hosts, and 10.1.1.50 at two hospitals two addresses.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

#: Accounts of Windows itself: they act for anybody, so sharing one says nothing about who acted. Names of
#: the well-known SIDs S-1-5-7, S-1-5-18, S-1-5-19, S-1-5-20, and the virtual accounts of the desktop.
_WINDOWS_ACCOUNTS = re.compile(
    r"(system|local system|localsystem|local service|network service|anonymous logon|anonymous|nobody"
    r"|dwm-\d+|umfd-\d+|iusr|everyone|s-1-0-0|s-1-5-(7|17|18|19|20)|-|n/a)",
    re.IGNORECASE,
)
_WINDOWS_DOMAINS = frozenset(
    {"NT AUTHORITY", "NT SERVICE", "WINDOW MANAGER", "FONT DRIVER HOST", "IIS APPPOOL"}
)
_NO_DOMAIN = frozenset({"", "-", ".", "WORKGROUP", "MICROSOFTACCOUNT", "AZUREAD", "N/A"})
_NO_HOST = frozenset({"", "-", "N/A", "LOCALHOST", "UNKNOWN", "(UNKNOWN)", "LOCAL", "ローカル"})


class Node(NamedTuple):
    """A host or an address of one site; `name` is a host's short name in capitals, or a canonical address."""

    site: str
    name: str

    @property
    def is_address(self) -> bool:
        """Whether only an address is known of it."""
        return parse_address(self.name) is not None


@dataclass(frozen=True, order=True)
class Account:
    """An account as far as the log names it: `name` in lower case, `domain` in capitals or '' if unknown.

    `local` marks an account of one machine: its domain is that machine's name. `personal` is False for the
    accounts of Windows itself and for computer accounts: they never tell who acted.
    """

    name: str
    domain: str
    local: bool
    personal: bool

    def may_be(self, other: Account) -> bool:
        """Whether both can be the same account: the names agree, and the domains where both are known."""
        if self.name != other.name:
            return False
        return self.domain == other.domain or not self.domain or not other.domain

    def same_name(self, other: Account) -> bool:
        """Whether the names agree, or both are local accounts: then it may be one password on many hosts."""
        return self.may_be(other) or (self.name == other.name and self.local and other.local)

    def __str__(self) -> str:
        return f"{self.domain}\\{self.name}" if self.domain else self.name


@lru_cache(65536)
def parse_address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address in `text`, IPv4 inside IPv6 unwrapped, or None if it is not an address."""
    if not text or not (text[0].isdigit() or ":" in text):
        return None
    try:
        address = ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_account(
    text: str | None, hosts: Hosts, site: str, host: Node | None = None, domain: str | None = None
) -> Account | None:
    """Return the account that `text` (DOMAIN\\user, user@domain or user) names at a site, None if none.

    `host` is where it acted, `domain` the value of a separate domain field, if the log has one.
    """
    if text is None or not text.strip() or text.strip() in {"-", "N/A"}:
        return None
    name = text.strip()
    if "\\" in name:
        domain, name = name.split("\\", 1)
    elif "@" in name:
        name, domain = name.rsplit("@", 1)
    given = (domain or "").strip().upper()
    short = given if parse_address(given) else given.split(".", 1)[0]
    own = host is not None and short == host.name.split(".", 1)[0]
    local = own or hosts.is_host(site, short)
    personal = not (_WINDOWS_ACCOUNTS.fullmatch(name) or name.endswith("$") or given in _WINDOWS_DOMAINS)
    return Account(name.lower(), "" if given in _NO_DOMAIN else short, local, personal)


class AddressUse(NamedTuple):
    """Log evidence that `host` used `address` from `first` to `last` (None: at some time)."""

    site: str
    host: str
    address: str
    first: datetime | None
    last: datetime | None


class Hosts:
    """Resolves names and addresses to nodes; built from every host name and address use that a case knows."""

    def __init__(self, names: Iterable[tuple[str, str]], uses: Iterable[AddressUse] = ()) -> None:
        uses = list(uses)
        long_names: dict[Node, set[str]] = {}
        for site, name in sorted({*names, *((use.site, use.host) for use in uses)}):
            if _is_name(name):
                full = name.strip().upper().rstrip(".")
                long_names.setdefault(Node(site, _short(full)), set()).add(full)
        self._known = frozenset(long_names)
        self._sites = {node.site for node in long_names}
        # Two machines of one site may share a short name in two domains: then only the long names are hosts.
        self._ambiguous = frozenset(
            node for node, fulls in long_names.items() if len({full for full in fulls if "." in full}) > 1
        )
        self._uses: dict[Node, list[tuple[AddressUse, Node]]] = {}
        for use in sorted(
            uses, key=lambda use: (use.site, use.address, use.host, str(use.first), str(use.last))
        ):
            address, host = parse_address(use.address), self.host(use.site, use.host)
            if address is not None and host is not None and not _says_nothing(address):
                self._uses.setdefault(Node(use.site, str(address)), []).append((use, host))

    def is_host(self, site: str, short: str) -> bool:
        """Whether a host of that short name (in capitals) is known at the site."""
        return Node(site, short) in self._known

    def addresses_of(self, nodes: Collection[Node]) -> list[str]:
        """Return every address that one of these hosts used at some time, or that is one of these nodes."""
        used = {
            address.name for address, uses in self._uses.items() if any(host in nodes for _, host in uses)
        }
        return sorted(used | {node.name for node in nodes if node.is_address})

    def host(self, site: str, name: str | None, time: datetime | None = None) -> Node | None:
        """Return the node of a host that a log names by name or address, None if it names none."""
        address = parse_address(name)
        if address is not None:
            return self._by_address(site, str(address), time) or Node(site, str(address))
        if name is None or not _is_name(name):
            return None
        full = name.strip().upper().rstrip(".")
        short = Node(site, _short(full))
        return Node(site, full) if short in self._ambiguous else short

    def source(
        self, site: str, src_ip: str | None, src_host: str | None, time: datetime | None = None
    ) -> Node | None:
        """Return where something came from, None if the log does not say or says the machine itself.

        The address decides if a host is known by it: the workstation name is what the client claims.
        A claimed name counts where a host of that name is known, or where there is no address.
        """
        address = parse_address(src_ip)
        if address is not None and not _says_nothing(address):
            found = self._by_address(site, str(address), time)
            if found is not None:
                return found
        claimed = src_host.strip().lstrip("\\") if src_host else None
        named = self.host(site, claimed, time)
        if named is not None and (named in self._known or address is None):
            return named
        if address is None or _says_nothing(address):
            return None
        return self._elsewhere(site, str(address), claimed, time) or Node(site, str(address))

    def _elsewhere(self, site: str, address: str, claimed: str | None, time: datetime | None) -> Node | None:
        """Return the host of another site (a supplier's) that has this name and this address there.

        Both must agree, since sites use the same private addresses and the same names.
        """
        if claimed is None or not _is_name(claimed):
            return None
        name = _short(claimed.upper())
        found = [
            host
            for other in self._sites - {site}
            if (host := self._by_address(other, address, time)) is not None and _short(host.name) == name
        ]
        return found[0] if len(found) == 1 else None

    def _by_address(self, site: str, address: str, time: datetime | None) -> Node | None:
        """Return the host that used the address at that time; None if none or, with DHCP, if unclear."""
        uses = self._uses.get(Node(site, address), [])
        hosts = {host for _, host in uses}
        if len(hosts) > 1 and time is not None:
            hosts = {
                host for use, host in uses if use.first and use.last and use.first <= time <= use.last
            } or _latest_before(uses, time)
        return next(iter(hosts)) if len(hosts) == 1 else None


def _latest_before(uses: list[tuple[AddressUse, Node]], time: datetime) -> set[Node]:
    """Return the host whose use of an address ended last before `time`."""
    past = [(use.last, host) for use, host in uses if use.last is not None and use.last <= time]
    return {max(past)[1]} if past else set()


def _short(full: str) -> str:
    return full.split(".", 1)[0]


def _is_name(name: str) -> bool:
    return name.strip().upper() not in _NO_HOST and parse_address(name.strip()) is None


def _says_nothing(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_loopback or address.is_unspecified
