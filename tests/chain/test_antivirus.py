"""Antivirus taken away, and what only looks so: upgrades, and what site.toml says of the products."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chain.made import SID, Logs, Row, findings, installer, logon

OLD, NEW = "14.0.1", "14.0.2"
PRODUCT = "Trend Micro Apex One Security Agent"


def removed(*rows: Row, antivirus: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    site = {"site_antivirus": [(product,) for product in antivirus]}
    return findings("defense_evasion_protection_removed", Logs(rows, site).numbered())


@pytest.mark.parametrize(
    "after",
    [
        installer(1.2, "SRV1", 1033, PRODUCT, version=NEW),
        installer(1.2, "SRV1", 11707, PRODUCT),
        installer(0.8, "SRV1", 1033, PRODUCT, version=NEW),  # the new one first, then the old one removed
        installer(1.2, "SRV1", 1033, "ESET Endpoint Security"),  # another vendor's in its place
    ],
)
def test_an_upgrade_is_no_removal(after: Row) -> None:
    removal = [
        installer(1, "SRV1", 1034, PRODUCT, version=OLD),
        installer(1.001, "SRV1", 11724, PRODUCT),
    ]
    assert removed(*removal, after) == []


@pytest.mark.parametrize(
    "other",
    [
        installer(1.2, "SRV2", 1033, PRODUCT, version=NEW),  # another host
        installer(3, "SRV1", 1033, PRODUCT, version=NEW),  # hours later
        installer(0.8, "SRV1", 1033, PRODUCT, version=OLD),  # the same was installed before: a change of mind
        installer(1.2, "SRV1", 1035, "Microsoft Security Client", version=NEW),  # only reconfigured
        installer(1.2, "SRV1", 1033, "Example Word Processor"),
        installer(1.2, "SRV1", 11708, PRODUCT),  # failed to install
    ],
)
def test_a_removal_that_nothing_replaces(other: Row) -> None:
    (found,) = removed(installer(1, "SRV1", 1034, PRODUCT, version=OLD), other)
    assert (found["host"], found["level"], found["details"]["actions"]) == ("SRV1", "medium", "removed")


def test_site_toml_makes_it_surer_or_less_so() -> None:
    removal = installer(1, "SRV1", 1034, PRODUCT)
    confidence = {
        antivirus: [(row["confidence"], row["level"]) for row in removed(removal, antivirus=antivirus)]
        for antivirus in ((), ("Trend Micro",), ("ESET",))
    }
    assert confidence == {
        (): [(0.85, "medium")],
        ("Trend Micro",): [(0.95, "medium")],
        ("ESET",): [(0.65, "low")],
    }
    session = logon(0.5, "SRV1", "mealmaint", "10.1.1.50", kind=10, sid=SID + "1001")
    (found,) = removed(session, removal, antivirus=("ESET",))
    assert (found["level"], found["details"]["expected"]) == ("high", "no")


def test_a_product_that_only_site_toml_knows() -> None:
    removal = installer(1, "SRV1", 1034, "Kyoei Guard 5 Agent")
    assert removed(removal) == []
    (found,) = removed(removal, antivirus=("KYOEI guard",))
    assert found["details"]["products"] == "Kyoei Guard 5 Agent"
