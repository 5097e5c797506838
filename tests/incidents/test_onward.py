"""Hosts that the intruder opened over the network from a desktop are on the path, though no rule says so."""

from __future__ import annotations

import json

import pytest

from tests.incidents.made_up import Logs, hit

ADDRESSES = (("MNT1", "172.31.7.20"), ("KIT1", "172.31.7.21"))


def intrusion(*logons: tuple[float, str | None, str, str, int]) -> dict[str, dict[str, str]]:
    """Return the hosts of the incident in which an intruder comes to MNT1 by remote desktop at hour 0."""
    logs = Logs(ADDRESSES)
    logs.names |= {("hospital", "MNT1"), ("hospital", "KIT1")}
    logs.logon(0, "10.8.0.7", "MNT1", "MNT1\\maint", 10)
    logs.hits.append(hit(0.2, "MNT1", "dump", "high", "credential_access", account="MNT1\\maint"))
    for logon in logons:
        logs.logon(*logon)
    incidents, _ = logs.tables()
    (row,) = incidents.to_pylist()
    assert row["severity"] == "low"  # what is only reached makes no incident worse
    return {host["host"]: host for host in json.loads(row["hosts"])}


def test_a_local_account_used_from_the_desktop_leads_on() -> None:
    found = intrusion((0.5, "172.31.7.20", "KIT1", "KIT1\\administrator", 3))
    assert set(found) == {"MNT1", "KIT1"}


def test_the_account_of_the_desktop_leads_on() -> None:
    assert "KIT1" in intrusion((0.5, "MNT1", "KIT1", "MNT1\\maint", 3))


@pytest.mark.parametrize(
    "logons",
    [
        [(-0.5, "172.31.7.20", "KIT1", "KIT1\\administrator", 3)],  # before anybody came
        [(-30, "MNT1", "KIT1", "KIT1\\backup", 3), (0.5, "MNT1", "KIT1", "KIT1\\backup", 3)],  # a routine
        [(0.5, "172.31.7.20", "KIT1", "HOSP\\sato", 3)],  # somebody else's domain account
        [(9, "172.31.7.20", "KIT1", "KIT1\\administrator", 3)],  # on the next day
        [(0.5, "172.31.7.99", "KIT1", "KIT1\\administrator", 3)],  # from elsewhere
        [(0.5, None, "KIT1", "KIT1\\administrator", 2)],  # at its console
        [(0.5, "MNT1", "KIT1", "KIT1$", 3)],  # a machine
    ],
)
def test_what_does_not_lead_on(logons: list[tuple[float, str | None, str, str, int]]) -> None:
    assert set(intrusion(*logons)) == {"MNT1"}
