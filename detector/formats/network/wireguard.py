# ruff: noqa: E501 - a pattern stays on its line
"""WireGuard, where it logs at all: messages of the Linux kernel's module, most of them only with dynamic debug.

`wireguard: wg0: Receiving handshake initiation from peer 2 (203.0.113.9:51820)` (drivers/net/wireguard: receive.c,
send.c, noise.c, timers.c, device.c, peer.c). WireGuard has no users, no sessions and no end of either: a peer is a
key, and the kernel writes its number (in the order in which keys were added), not the key. What the log cannot
tell: who a peer is, which address he has inside the tunnel, how long he stayed; a roaming peer's change of
address; and without `echo module wireguard +p > /sys/kernel/debug/dynamic_debug/control` there is no log.
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

_BEGIN = re.compile(r"\bwireguard: (?P<interface>[\w.@:-]{1,32}): (?=\S)")
_END = r"\[?(?P<ip>[\da-fA-F.:]+?)\]?:(?P<port>\d+)(?=\)|$|\s|,)"

_SENTENCES: tuple[Sentence, ...] = (
    vpn("Receiving handshake initiation", rf"Receiving handshake initiation from peer (?P<peer>\d+) \({_END}",
        "tunnel", "create", "unknown"),
    vpn("Sending handshake response", rf"Sending handshake response to peer (?P<peer>\d+) \({_END}",
        "tunnel", "create", "success"),
    vpn("Receiving handshake response", rf"Receiving handshake response from peer (?P<peer>\d+) \({_END}",
        "tunnel", "create", "success"),
    vpn("Sending handshake initiation", rf"Sending handshake initiation to peer (?P<peer>\d+) \({_END}",
        "tunnel", "create", "unknown"),
    vpn("Keypair ", r"Keypair (?P<keypair>\d+) created for peer (?P<peer>\d+)", "tunnel", "create", "success"),
    vpn("Keypair ", r"Keypair (?P<keypair>\d+) destroyed for peer (?P<peer>\d+)", "tunnel", "close", "success"),
    vpn("Invalid ", rf"(?P<reason>Invalid (?:handshake \w+|MAC of handshake, dropping packet)) from {_END}",
        "tunnel", "other", "failure"),
    vpn("unallowed src IP", rf"(?P<reason>Packet has unallowed src IP) \((?P<inner>[^)]*)\) from peer (?P<peer>\d+) \({_END}",
        "tunnel", "other", "failure"),
    vpn("did not complete", rf"Handshake for peer (?P<peer>\d+) \({_END}\) (?P<reason>did not complete[^,]*)",
        "tunnel", "other", "failure"),
    vpn(" peer ", rf"[\w ,]{{1,80}} peer (?P<peer>\d+) \({_END}", "tunnel", "other", "unknown"),
    vpn("Peer ", r"Peer (?P<peer>\d+) created", "system", "create", "success"),
    vpn("Peer ", r"Peer (?P<peer>\d+) (?:\([^)]*\) )?destroyed", "system", "delete", "success"),
    vpn("Interface ", r"Interface created", "system", "create", "success"),
    vpn("Interface ", r"Interface destroyed", "system", "delete", "success"),
)  # fmt: skip


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    if len(text) > MAX_SENTENCE:
        return None
    begin = _BEGIN.search(text, 0, 512)
    if begin is None:
        return None
    envelope, zoneless = opened_head(text[: begin.start()], context)
    message = text[begin.end() :].rstrip()
    fields = {"interface": begin["interface"]}
    result = heading(envelope.time, envelope.host, "Linux", "WireGuard")
    result |= {"vpn_type": "wireguard", "message": message}
    found = find(_SENTENCES, message)
    if found is None:
        result |= {"event_type": "system", "action": "other", "outcome": "unknown"}
    else:
        fields |= found[1]
        result |= meaning(found[0])
        outwards = message.startswith("Sending handshake initiation")
        ends = {"dst_ip": "ip", "dst_port": "port"} if outwards else {"src_ip": "ip", "src_port": "port"}
        named = {name: fields[key] for name, key in ends.items() if key in fields}
        result |= columns("vpn", fields | named)
        if "peer" in fields:
            result["session_id"] = f"{fields['interface']} peer {fields['peer']}"
    return Parsed("vpn", result, fields, zoneless)


DEVICE = Device("wireguard", parse, marks=("wireguard: ",))
FORMAT = device_format(DEVICE)
