"""Identities of hosts, addresses and accounts."""

from __future__ import annotations

import pytest

from detector.incidents.entities import AddressUse, Hosts, Node, parse_account
from tests.incidents.made_up import at


def test_names_of_one_host() -> None:
    hosts = Hosts([("a", "PC1"), ("a", "pc1.hospital.example")])
    assert hosts.host("a", "PC1") == hosts.host("a", "pc1.Hospital.example.") == Node("a", "PC1")
    assert hosts.host("b", "PC1") == Node("b", "PC1")


def test_short_name_in_two_domains_is_two_hosts() -> None:
    hosts = Hosts([("a", "DC1.one.example"), ("a", "DC1.two.example")])
    assert hosts.host("a", "DC1.one.example") != hosts.host("a", "DC1.two.example")


@pytest.mark.parametrize("nothing", [None, "", "-", "localhost"])
def test_no_host(nothing: str | None) -> None:
    assert Hosts([]).host("a", nothing) is None


def test_address_is_resolved_by_time() -> None:
    hosts = Hosts(
        [],
        [
            AddressUse("a", "PC1", "10.0.0.5", at(0), at(8)),
            AddressUse("a", "PC2", "10.0.0.5", at(10), at(20)),
            AddressUse("a", "PC3", "10.0.0.6", None, None),
        ],
    )
    assert hosts.source("a", "10.0.0.5", None, at(4)) == Node("a", "PC1")
    assert hosts.source("a", "10.0.0.5", None, at(12)) == Node("a", "PC2")
    assert hosts.source("a", "10.0.0.5", None, at(9)) == Node("a", "PC1")
    assert hosts.source("a", "10.0.0.5", None) == Node("a", "10.0.0.5")
    assert hosts.source("a", "::ffff:10.0.0.6", None) == Node("a", "PC3")
    assert hosts.source("b", "10.0.0.6", None) == Node("b", "10.0.0.6")


@pytest.mark.parametrize(("ip", "name"), [("127.0.0.1", None), ("::1", "-"), ("0.0.0.0", ""), (None, None)])
def test_no_source(ip: str | None, name: str | None) -> None:
    assert Hosts([]).source("a", ip, name) is None


def test_claimed_name_counts_only_where_such_a_host_is_known_or_no_address_is() -> None:
    hosts = Hosts([("a", "PC1")])
    assert hosts.source("a", "10.0.0.9", "PC1") == Node("a", "PC1")
    assert hosts.source("a", "10.0.0.9", "KALI") == Node("a", "10.0.0.9")
    assert hosts.source("a", None, "KALI") == Node("a", "KALI")


def test_host_of_a_supplier_needs_name_and_address() -> None:
    hosts = Hosts([("hospital", "MEALSRV")], [AddressUse("supplier", "MNT1", "172.31.7.20", None, None)])
    assert hosts.source("hospital", "172.31.7.20", "MNT1") == Node("supplier", "MNT1")
    assert hosts.source("hospital", "172.31.7.20", "OTHER") == Node("hospital", "172.31.7.20")
    assert hosts.source("hospital", "172.31.7.21", "MNT1") == Node("hospital", "172.31.7.21")


def test_accounts() -> None:
    hosts = Hosts([("a", "PC1"), ("a", "PC2")])
    place = Node("a", "PC1")

    def account(text: str) -> object:
        return parse_account(text, hosts, "a", place)

    assert str(account("HOSP\\Taro")) == "HOSP\\taro"
    assert account("taro@hosp.example") == account("HOSP\\taro")
    local, other = parse_account("PC1\\adm", hosts, "a", place), parse_account("PC2\\adm", hosts, "a")
    bare = parse_account("adm", hosts, "a", place)
    assert local is not None and other is not None and bare is not None
    assert local.local and other.local and not local.may_be(other)
    assert local.same_name(other)
    assert bare.may_be(local) and bare.may_be(other)
    for text in ("NT AUTHORITY\\SYSTEM", "PC1$", "ANONYMOUS LOGON", "Window Manager\\DWM-1", "S-1-5-18"):
        found = parse_account(text, hosts, "a", place)
        assert found is not None and not found.personal, text
    assert parse_account("-", hosts, "a") is None
