"""Remote access in the views: sessions paired from whatever lines there are, and Windows' own gateways."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.case.test_views_meaning import rows
from tests.chain.made import Row, security


def line(hours: float, kind: str, user: str | None = "taro", **columns: Any) -> Row:
    return Row("vpn", hours, {"event_type": kind, "user": user, "device": "VPN1", **columns})


def login(hours: float, user: str | None = "taro", **columns: Any) -> Row:
    return line(hours, "authentication", user, outcome="success", **columns)


def start(hours: float, user: str | None = "taro", **columns: Any) -> Row:
    return line(hours, "session_start", user, **columns)


def end(hours: float, user: str | None = "taro", **columns: Any) -> Row:
    return line(hours, "session_end", user, **columns)


def sessions(*events: Row) -> list[dict[str, Any]]:
    return rows("vpn_sessions", *events, order="started NULLS FIRST, ended")


def test_a_session_has_what_its_beginning_and_its_end_say() -> None:
    (found,) = sessions(
        start(1, "HOSP\\Taro", src_ip="203.0.113.5", session_id="7", vpn_type="ssl",
            user_original="HOSP\\Taro"),
        end(3, "taro@hosp.example", session_id="7", assigned_ip="10.8.0.5", bytes_sent=5, bytes_received=9,
            client="Client 7.0", reason="idle", duration=7190.0),
    )  # fmt: skip
    assert (found["account"], found["account_domain"], found["account_original"]) == (
        "taro", "HOSP", "HOSP\\Taro",
    )  # fmt: skip
    assert (found["src_ip"], found["assigned_ip"], found["client"]) == (
        "203.0.113.5", "10.8.0.5", "Client 7.0",
    )  # fmt: skip
    assert (found["duration"], found["bytes_sent"], found["bytes_received"]) == (7190.0, 5, 9)
    assert (found["state"], found["outcome"], found["reason"], found["vpn_type"]) == (
        "closed", "success", "idle", "ssl",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        ({"session_id": "1", "src_ip": "203.0.113.5"}, {"session_id": "1"}),
        ({"assigned_ip": "10.8.0.5"}, {"assigned_ip": "10.8.0.5", "user": None}),
        ({"src_ip": "203.0.113.5"}, {"src_ip": "203.0.113.5"}),
        ({"src_ip": "203.0.113.5"}, {"src_ip": "203.0.113.5", "session_id": "9"}),
        ({"src_ip": "203.0.113.5"}, {}),
        ({}, {}),
    ],
)
def test_an_end_finds_its_beginning(begins: dict[str, Any], ends: dict[str, Any]) -> None:
    (found,) = sessions(start(1, **begins), end(2, **{"user": "taro", **ends}))
    assert (found["state"], found["duration"]) == ("closed", 3600.0)


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        ({"session_id": "1"}, {"session_id": "2"}),
        ({"assigned_ip": "10.8.0.5"}, {"assigned_ip": "10.8.0.6"}),
        ({"src_ip": "203.0.113.5"}, {"src_ip": "203.0.113.6"}),
        ({}, {"user": "hanako"}),
        ({}, {"device": "VPN2"}),
        ({}, {"duration": 60.0}),
    ],
)
def test_an_end_of_another_session_does_not_close_this_one(
    begins: dict[str, Any], ends: dict[str, Any]
) -> None:
    found = sessions(start(1, **begins), end(9, **{"user": "taro", **ends}))
    assert {row["state"] for row in found} == {"open", "end_only"}


def test_one_side_is_missing() -> None:
    found = sessions(end(2, duration=600.0, bytes_sent=1), end(1, "hanako"), start(5, "jiro", session_id="3"))
    by_user = {row["account"]: row for row in found}
    computed, unknown, still_open = by_user["taro"], by_user["hanako"], by_user["jiro"]
    assert (computed["state"], computed["started"]) == ("end_only", end(2 - 1 / 6).time)
    assert (unknown["state"], unknown["started"], unknown["ended"]) == ("end_only", None, end(1).time)
    assert (still_open["state"], still_open["ended"], still_open["duration"]) == ("open", None, None)


def test_a_beginning_told_twice_is_one() -> None:
    (found,) = sessions(
        start(1, src_ip="203.0.113.5"),
        start(1.002, src_ip="203.0.113.5", assigned_ip="10.8.0.5", session_id="4"),
        end(2, src_ip="203.0.113.5"),
        end(2.01, session_id="4"),
    )
    assert (found["assigned_ip"], found["session_id"], found["duration"]) == ("10.8.0.5", "4", 3600.0)


def test_two_tunnels_at_once_stay_two() -> None:
    found = sessions(
        start(1, session_id="1", src_ip="203.0.113.5"),
        start(1.001, session_id="2", src_ip="198.51.100.9"),
        end(2, session_id="1"),
        end(4, session_id="2"),
    )
    assert [(row["src_ip"], round(row["duration"])) for row in found] == [
        ("203.0.113.5", 3600), ("198.51.100.9", 10796),
    ]  # fmt: skip


def test_a_session_id_used_again() -> None:
    found = sessions(
        start(1, session_id="1"), end(2, session_id="1"), start(30, session_id="1"), end(31, session_id="1")
    )
    assert [(row["state"], row["duration"]) for row in found] == [("closed", 3600.0)] * 2


def test_an_end_hours_after_the_end_is_of_a_session_whose_beginning_is_lost() -> None:
    found = sessions(start(1), end(2), end(9))
    assert [row["state"] for row in found] == ["end_only", "closed"]
    assert found[1]["duration"] == 3600.0


def test_a_login_begins_the_session_where_only_its_end_is_logged() -> None:
    (found,) = sessions(login(1, src_ip="203.0.113.5"), end(2))
    assert (found["started"], found["src_ip"], found["state"]) == (login(1).time, "203.0.113.5", "closed")


def test_a_login_of_a_session_begins_no_other() -> None:
    found = sessions(login(1, src_ip="203.0.113.5"), start(1.001, session_id="1"), end(2, session_id="2"))
    assert [row["state"] for row in found] == ["end_only", "open"]
    assert found[1]["src_ip"] == "203.0.113.5"


def test_the_user_of_a_line_that_names_a_tunnel_only() -> None:
    (found,) = sessions(
        login(1, session_id="PP[ANONYMOUS01]"),
        start(1.01, None, session_id="PP[ANONYMOUS01]", assigned_ip="10.8.0.5"),
        end(2, None, session_id="PP[ANONYMOUS01]"),
    )
    assert (found["account"], found["assigned_ip"], found["state"]) == ("taro", "10.8.0.5", "closed")
    (later,) = sessions(login(1, session_id="PP[ANONYMOUS01]"), start(2, None, session_id="PP[ANONYMOUS01]"))
    assert later["account"] is None


def test_failures_are_no_sessions() -> None:
    failed = line(1, "session_start", outcome="failure")
    assert sessions(failed) == []
    assert [row["outcome"] for row in rows("vpn_logins", failed)] == ["failure"]


def test_the_order_of_the_lines_in_the_case_changes_nothing() -> None:
    events = [
        Row(row.table, row.hours, row.columns, key)
        for key, row in enumerate(
            [
                login(0.9, src_ip="203.0.113.5"), start(1, session_id="1"), end(2, session_id="1"),
                end(3, "jiro"), start(4, "hanako", src_ip="198.51.100.1"),
                start(4, "hanako", src_ip="198.51.100.2"),
                end(5, "hanako", src_ip="198.51.100.1"), end(5, "hanako", src_ip="198.51.100.2"),
            ],
            1,
        )
    ]  # fmt: skip
    wanted = {str(row) for row in map(_without_key, sessions(*events))}
    for seed in range(3):
        mixed = random.Random(seed).sample(events, len(events))
        assert {str(row) for row in map(_without_key, sessions(*mixed))} == wanted


def _without_key(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.endswith("evidence_offset")}


def ras(hours: float, event_id: int, *values: str) -> Row:
    """As Windows writes it: the ids of the routing domain and of the connection come first."""
    ids = ("RoutingDomainID- {00000000-0000-0000-0000-000000000000}", "CoID={A1B2}")
    return Row(
        "windows_system",
        hours,
        {
            "EventID": event_id,
            "Provider_Name": "RemoteAccess",
            "Computer": "ras1.hosp.example",
            "Data": "\n".join([*ids, *values]),
        },
    )


def test_routing_and_remote_access() -> None:
    events = (
        ras(0, 20271, "HOSP\\taro", "203.0.113.5", "The user name or password is wrong."),
        ras(1, 20250, "HOSP\\taro", "VPN2-127"),
        ras(1, 20274, "HOSP\\taro", "VPN2-127", "10.8.0.5"),
        ras(2, 20272, "HOSP\\taro", "VPN2-127", "2025/10/27", "10:00", "2025/10/27", "11:00", "60", "2",
            "2000", "1000", "user request", "WAN Miniport (IKEv2)", "not NAP-capable"),
        ras(2, 20275, "10.8.0.5"),
    )  # fmt: skip
    failed, accepted, assigned = rows("vpn_logins", *events, order="time, event_id")
    assert (failed["outcome"], failed["src_ip"], failed["account"], failed["device"]) == (
        "failure", "203.0.113.5", "taro", "RAS1",
    )  # fmt: skip
    assert (accepted["outcome"], assigned["assigned_ip"]) == ("success", "10.8.0.5")
    (found,) = sessions(*events)
    assert (found["duration"], found["bytes_sent"], found["bytes_received"]) == (3602.0, 1000, 2000)
    assert (found["account"], found["account_domain"], found["session_id"]) == ("taro", "HOSP", "{A1B2}")
    assert (found["assigned_ip"], found["state"], found["reason"]) == ("10.8.0.5", "closed", "user request")


def test_other_events_of_the_system_log_are_no_remote_access() -> None:
    other = ras(1, 20274, "HOSP\\taro", "VPN2-127", "10.8.0.5")
    other = Row(other.table, 1, {**other.columns, "Provider_Name": "RasClient"})
    assert rows("remote_access", other) == []


def nps(hours: float, event_id: int, user: str, caller: str) -> Row:
    return security(
        hours, "NPS1", event_id, SubjectUserName=user, SubjectDomainName="HOSP",
        FullyQualifiedSubjectUserName=f"HOSP\\{user}", CallingStationID=caller, ClientName="FW1",
        AccountSessionIdentifier="-", ReasonCode="16" if event_id == 6273 else "0",
    )  # fmt: skip


def test_network_policy_server() -> None:
    refused, accepted = rows(
        "vpn_logins", nps(1, 6273, "taro", "203.0.113.5"), nps(2, 6272, "taro", "203.0.113.5"), order="time"
    )
    assert (refused["outcome"], refused["reason"], refused["device"]) == ("failure", "16", "FW1")
    assert (accepted["outcome"], accepted["account"], accepted["src_ip"]) == (
        "success",
        "taro",
        "203.0.113.5",
    )


def test_network_policy_server_for_the_radio_or_beside_the_appliance_is_left_out() -> None:
    assert rows("vpn_logins", nps(1, 6272, "taro", "00-11-22-33-44-55")) == []
    logged = login(1.01, "taro", src_ip="203.0.113.5")
    assert [row["source"] for row in rows("vpn_logins", nps(1, 6272, "taro", "203.0.113.5"), logged)] == [
        "vpn"
    ]


def test_public_address_of_a_windows_session_is_that_of_the_policy_server() -> None:
    (found,) = sessions(
        nps(1, 6272, "taro", "203.0.113.5"), ras(1.01, 20274, "HOSP\\taro", "VPN2-127", "10.8.0.5")
    )
    assert (found["src_ip"], found["assigned_ip"]) == ("203.0.113.5", "10.8.0.5")
    (late,) = sessions(nps(1, 6272, "taro", "203.0.113.5"), ras(2, 20274, "HOSP\\taro", "P", "10.8.0.5"))
    assert late["src_ip"] is None


def gateway(hours: float, event_id: int, resource: str = "srv1.hosp.example", **fields: str) -> Row:
    return Row(
        "windows_terminalservices_gateway",
        hours,
        {
            "EventID": event_id,
            "Computer": "gw1.hosp.example",
            "Username": "HOSP\\taro",
            "IpAddress": "203.0.113.5",
            "Resource": resource,
            "Correlation_ActivityID": "{7cf86876}",
            "ErrorCode": "0",
            **fields,
        },
    )


def test_remote_desktop_gateway() -> None:
    ended = {"BytesReceived": "2000", "BytesTransfered": "1000", "SessionDuration": "3599"}
    events = (gateway(1, 300), gateway(1, 302), gateway(1.1, 302, "srv2"), gateway(2, 303, **ended))
    one, two = sessions(*events)
    assert (one["target"], one["duration"], one["bytes_sent"], one["bytes_received"]) == (
        "srv1.hosp.example", 3599.0, 1000, 2000,
    )  # fmt: skip
    assert (two["target"], two["state"], two["src_ip"]) == ("srv2", "open", "203.0.113.5")
    refused = gateway(3, 301, ErrorCode="23002")
    assert [(row["outcome"], row["reason"]) for row in rows("vpn_logins", refused)] == [("failure", "23002")]
    assert rows("remote_access", gateway(1, 312), gateway(1, 313)) == []
