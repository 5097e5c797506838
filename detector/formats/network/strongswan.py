# ruff: noqa: E501 - a pattern stays on its line
"""strongSwan's charon (IKEv1 and IKEv2), also as it runs in pfSense, OPNsense, EdgeOS, VyOS and others.

A message is `08[IKE] <con1|62> …`: thread, part of the daemon, connection and number of the IKE_SA. The number is
`session_id`: it is known from the first packet to the end, and a restart begins again with 1. It comes by syslog or
from a log file, whose lines begin with a time without year and zone (`Mar  1 10:20:30 12[IKE] …`) or an ISO time.

Messages: source of strongSwan (https://github.com/strongswan/strongswan, src/libcharon: sa/ikev1 and sa/ikev2 tasks,
sa/ike_sa.c, plugins eap_*, xauth_*, attributes/mem_pool.c). A user has a session when he has a virtual address:
`assigning virtual IP 10.9.0.2 to peer 'alice'` begins it and `lease 10.9.0.2 by 'alice' went offline` ends it, both
without his public address, which `IKE_SA con1[62] established between …` has under the same `session_id`: both ends
are authenticated then. An IKE_SA without virtual address joins two sites.
"""

from __future__ import annotations

import re

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.sentences import (
    MAX_SENTENCE,
    Sentence,
    columns,
    find,
    heading,
    meaning,
    opened_head,
    vpn,
)  # fmt: skip
from detector.formats.network.values import address

_PARTS = (
    "DMN", "MGR", "IKE", "CHD", "JOB", "CFG", "KNL", "NET", "ASN", "ENC", "TNC", "IMC", "IMV", "PTS", "TLS", "APP",
    "ESP", "LIB",
)  # fmt: skip
_BEGIN = re.compile(
    rf"(?<!\d)(?P<thread>\d\d)\[(?P<part>{'|'.join(_PARTS)})\d?\] +(?:<(?:(?P<connection>[^<>|]*)\|)?(?P<session_id>\d+)>)? *"
)
_APP = re.compile(r"(?:charon|ipsec|strongswan|swanctl)", re.IGNORECASE)
_BETWEEN = r"between (?P<local>[^\[\s]+)\[(?P<local_id>.*?)\]\.\.\.(?P<remote>[^\[\s]+)\[(?P<remote_id>.*)\]"

_SENTENCES: tuple[Sentence, ...] = (
    vpn("packet: from ", r"(?P<what>received|sending) packet: from (?P<src_ip>[^\[\s]+)\[(?P<src_port>\d+)\] to (?P<dst_ip>[^\[\s]+)\[(?P<dst_port>\d+)\]",
        "tunnel", "other", "unknown"),
    vpn(" is initiating a", r"(?P<src_ip>\S+) is initiating an? ", "tunnel", "other", "unknown"),
    vpn("initiating ", r"initiating (?:\w+ Mode )?IKE_SA \S+ to (?P<dst_ip>\S+)", "tunnel", "other", "unknown"),
    vpn("looking for ", r"looking for [\w ,]{0,60}configs matching (?P<local>[^\[\s]+)\[.*?\]\.\.\.(?P<src_ip>[^\[\s]+)\[(?P<remote_id>[^\]]*)\]",
        "tunnel", "other", "unknown"),
    vpn(" username: '", r"(?P<method>EAP-[\w-]+) username: '(?P<user>[^']*)'", "authentication", "other", "unknown"),
    vpn("received EAP identity", r"received EAP identity '(?P<user>[^']*)'", "authentication", "other", "unknown"),
    vpn(" verification failed", r"(?P<method>EAP-[\w-]+) (?P<reason>verification failed)", "authentication", "login", "failure"),
    vpn("no EAP key found", r"(?P<reason>no EAP key found) for hosts '(?P<local_id>[^']*)' - '(?P<user>[^']*)'", "authentication", "other", "failure"),
    vpn(" failed for peer ", r"(?P<reason>EAP method \w+ failed) for peer (?P<user>\S.*)", "authentication", "login", "failure"),
    vpn(" succeeded, ", r"(?:EAP method (?P<method>\w+)|RADIUS authentication of '(?P<user>[^']*)') succeeded", "authentication", "other", "success"),
    vpn("RADIUS authentication of", r"(?P<reason>RADIUS authentication) of '(?P<user>[^']*)' (?:failed|timed out)", "authentication", "login", "failure"),
    vpn("RADIUS authentication of", r"RADIUS authentication of '(?P<user>[^']*)' successful", "authentication", "other", "success"),
    vpn("XAuth authentication of", r"XAuth authentication of '(?P<user>[^']*)' (?:\(myself\) )?successful", "authentication", "login", "success"),
    vpn("XAuth authentication of", r"(?P<reason>XAuth authentication) of '(?P<user>[^']*)' (?:\(myself\) )?failed", "authentication", "login", "failure"),
    vpn("pam_authenticate for", r"(?:XAuth|EAP-GTC) pam_authenticate for '(?P<user>[^']*)' failed: (?P<reason>.*)", "authentication", "other", "failure"),
    vpn("authentication of '", r"authentication of '(?P<local_id>[^']*)' \(myself\)", "tunnel", "other", "success"),
    vpn("authentication of '", r"authentication of '(?P<user>[^']*)' with EAP successful", "authentication", "login", "success"),
    vpn("authentication of '", r"authentication of '(?P<remote_id>[^']*)' with (?P<method>.*?) successful", "authentication", "other", "success"),
    vpn("authentication of '", r"authentication of '(?P<remote_id>[^']*)' with (?P<method>.*?) failed", "authentication", "other", "failure"),
    vpn("AUTHENTICATION_FAILED", r"received AUTHENTICATION_FAILED (?:notify )?error", "authentication", "other", "failure"),
    vpn("assigning virtual IP", r"assigning virtual IP (?P<assigned_ip>\S+) to peer '(?P<user>[^']*)'", "session_start", "login", "success"),
    vpn("went offline", r"lease (?P<assigned_ip>\S+) by '(?P<user>[^']*)' went offline", "session_end", "logout", "success"),
    vpn("IKE_SA ", rf"IKE_SA (?P<sa>\S+) established {_BETWEEN}", "authentication", "other", "success"),
    vpn("deleting IKE_SA ", rf"deleting IKE_SA (?P<sa>\S+) {_BETWEEN}", "tunnel", "close", "success"),
    vpn("deleting half open", r"(?P<reason>deleting half open IKE_SA) with (?P<src_ip>\S+) after timeout", "tunnel", "close", "failure"),
    vpn("CHILD_SA ", r"CHILD_SA (?P<sa>\S+) established", "tunnel", "create", "success"),
    vpn("closing CHILD_SA ", r"closing CHILD_SA (?P<sa>\S+) with SPIs \S+ \((?P<bytes_sent>\d+) bytes\) \S+ \((?P<bytes_received>\d+) bytes\)",
        "tunnel", "close", "success"),
    vpn("no ", r"(?P<reason>no (?:proposal chosen|(?:matching )?(?:peer|IKE) config found|shared key found|trusted \w+ public key found))",
        "tunnel", "other", "failure"),
    vpn("received NO_PROPOSAL_CHOSEN", r"(?P<reason>received NO_PROPOSAL_CHOSEN)", "tunnel", "other", "failure"),
)  # fmt: skip


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    if len(text) > MAX_SENTENCE:
        return None
    begin = _BEGIN.search(text, 0, 512)
    if begin is None:
        return None
    envelope, zoneless = opened_head(text[: begin.start()], context)
    if envelope.app is not None and _APP.match(envelope.app) is None:
        return None
    rest = text[begin.end() :]
    result = heading(envelope.time, envelope.host, "strongSwan", "strongSwan")
    result["vpn_type"], result["message"] = "ipsec", text[begin.start() :]
    fields = {key: value for key, value in begin.groupdict().items() if value}
    found = find(_SENTENCES, rest)
    if found is None:
        result |= {"event_type": "system" if "session_id" not in fields else "tunnel"}
        result |= {"action": "other", "outcome": "unknown"}
    else:
        result |= meaning(found[0])
        fields |= found[1]
        _add_ends(fields)
    result |= columns("vpn", fields)
    return Parsed("vpn", result, fields, zoneless)


def _add_ends(fields: dict[str, str]) -> None:
    """Take the ends of an SA: the remote one is the source, its identity the user if it looks like one.

    An address, a distinguished name and a host's name (a dot and no @) are no users.
    """
    if "remote" in fields:
        fields["src_ip"], fields["dst_ip"] = fields["remote"], fields["local"]
    identity = fields.get("remote_id", "")
    is_name = identity and "=" not in identity and address(identity) is None
    if "user" not in fields and is_name and ("@" in identity or "." not in identity):
        fields["user"] = identity


DEVICE = Device("strongswan", parse, marks=tuple(f"[{part}" for part in _PARTS))
FORMAT = device_format(DEVICE)
