# ruff: noqa: E501 - a pattern stays on its line
"""SoftEther VPN Server: its own log (`server_log/vpn_20230421.log`, `security_log/<hub>/…`), English and Japanese.

`2023-04-21 00:11:07.141 [HUB "name"] sentence`: local time without zone. The sentences are those of the string
tables of the source (https://github.com/SoftEtherVPN/SoftEtherVPN, src/bin/hamcore/strtable_en.stb, strtable_ja.stb:
LS_ server, LH_ hub, LA_ administration). A client is first a connection (`CID-7`): `is attempting to connect` and
`Successfully authenticated` name its user; then a session (`SID-MAINT-3`): `The new session` names connection, session
and address, and the end has the session and its bytes. `session_id` is the session's name where a line has it; the name has the user's in capitals.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from detector.formats.base import ReadContext
from detector.formats.network.devices import Device, Parsed, device_format
from detector.formats.network.sentences import (
    MAX_SENTENCE,
    Sentence,
    columns,
    find,
    firewall,
    heading,
    meaning,
    opened,
    vpn,
)  # fmt: skip
from detector.formats.network.values import local_time

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{3}) ")
_HUB = re.compile(r'\[(?:HUB|仮想 HUB) "(?P<hub>[^"]*)"\] ')
_OWN = re.compile(
    r'(?:Connection|Session|コネクション|セッション) "[CS]ID-|SSL communication for connection "|\[HUB "'
)
_CID = r'"(?P<connection>[^"]*)"'
_SID = r'"(?P<session_id>[^"]*)"'
_USER = r'"(?P<user>[^"]*)"'

_ENGLISH: tuple[Sentence, ...] = (
    vpn("On the TCP Listener", r'On the TCP Listener \(Port (?P<dst_port>\d+)\), a Client \(IP address (?P<src_ip>[^,]*), Host name "(?P<src_host>[^"]*)", Port number (?P<src_port>\d+)\) has connected',
        "tunnel", "create", "success"),
    vpn("The connection with the client", r"The connection with the client \(IP address (?P<src_ip>[^,]*), Port number (?P<src_port>\d+)\) has been disconnected",
        "tunnel", "close", "success"),
    vpn("For the client (", rf'For the client \(IP address: (?P<src_ip>[^,]*), host name: "(?P<src_host>[^"]*)", port number: (?P<src_port>\d+)\), connection {_CID} has been created',
        "tunnel", "create", "success"),
    vpn("is attempting to connect to the Virtual Hub", rf'The connection {_CID} \(IP address: (?P<src_ip>[^,]*), Host name: (?P<src_host>[^,]*), Port number: (?P<src_port>\d+), Client name: "(?P<client>[^"]*)", Version: (?P<version>[^,]*), Build: (?P<build>\d+)\) is attempting to connect to the Virtual Hub\. The auth type provided is "(?P<auth_type>[^"]*)" and the user name is {_USER}',
        "authentication", "other", "unknown"),
    vpn("Successfully authenticated as", rf"Connection {_CID}: Successfully authenticated as user {_USER}", "authentication", "login", "success"),
    vpn("User authentication failed", rf"Connection {_CID}: (?P<reason>User authentication failed)\. The user name that has been provided was {_USER}(?:, from (?P<src_ip>[^\s]*?))?\.?$",
        "authentication", "login", "failure"),
    vpn("is blank", rf"Connection {_CID}: The remote login has been refused because of (?P<reason>the password for user {_USER} is blank)", "authentication", "login", "failure"),
    vpn("Access has been refused to user", rf"Connection {_CID}: Access has been refused to user {_USER} (?P<reason>.*)", "authentication", "login", "failure"),
    vpn("made a login attempt", rf"Connection {_CID}: Although the user {_USER} made a login attempt, (?P<reason>.*)", "authentication", "login", "failure"),
    vpn("Source IP Address Limit List", rf'Connection {_CID}: The source IP address "(?P<src_ip>[^"]*)" of the client has refused (?P<reason>.*)', "authentication", "login", "failure"),
    vpn("The new session", rf"Connection {_CID}: The new session {_SID} has been created\.(?: \(IP address: (?P<src_ip>[^,]*), Port number: (?P<src_port>\d+))?",
        "session_start", "login", "success"),
    vpn("The session has been terminated", rf"Session {_SID}: The session has been terminated\. The statistical information is as follows: Total outgoing data size: (?P<bytes_received>\d+) bytes, Total incoming data size: (?P<bytes_sent>\d+) bytes",
        "session_end", "logout", "success"),
    vpn("VPN Client details", rf'Session {_SID}: VPN Client details: \((?P<details>(?:.*?Client product name: "(?P<client>[^"]*)")?.*)', "tunnel", "other", "unknown"),
    vpn("on another session", rf'Session "(?P<dhcp_session>[^"]*)": The DHCP server of host "[^"]*" \([^)]*\) on this session allocated, for host {_SID} on another session "(?P<mac_of>[^"]*)", the new IP address (?P<assigned_ip>[\da-fA-F.:]+?)\.?$',
        "tunnel", "other", "success"),
    vpn("Changing of password failed", rf"Connection {_CID}: (?P<reason>Changing of password failed)\. .*user {_USER}", "authentication", "other", "failure"),
    vpn("The password of user", rf"Connection {_CID}: The password of user {_USER} has been changed", "authentication", "other", "success"),
    vpn("terminated by the cause", rf'Connection {_CID} terminated by the cause "(?P<reason>[^"]*)" \(code (?P<code>\d+)\)', "tunnel", "close", "unknown"),
    vpn("has been terminated", rf"Connection {_CID} has been terminated", "tunnel", "close", "success"),
    vpn("IPsec ", r"IPsec (?P<what>Client|IKE Session|ESP Session) [^>]{0,160}?\((?P<src_ip>[\da-fA-F.:]+):(?P<src_port>\d+) -> (?P<dst_ip>[\da-fA-F.:]+):(?P<dst_port>\d+)\): ",
        "tunnel", "other", "unknown"),
    firewall("successfully logged in using administration mode", rf"Connection {_CID} successfully logged in using administration mode", "admin", "login", "success"),
    firewall("was unable to log in using administration mode", rf"Connection {_CID} was unable to log in using administration mode\. (?P<cause>.*)", "admin", "login", "failure"),
    firewall("adminip.txt", rf"Connection {_CID} attempted to connect using administration mode from an IP address whose permission is denied", "admin", "login", "failure"),
    firewall("HTTPS API client", rf'HTTPS API client "(?P<src_ip>[^"]*):\d+" .*accepted the successful login\. Username: {_USER}', "admin", "login", "success"),
    firewall("HTTPS API client", rf'HTTPS API client "(?P<src_ip>[^"]*):\d+" .*refused a login attempt\. Username: {_USER}', "admin", "login", "failure"),
)  # fmt: skip
_JAPANESE: tuple[Sentence, ...] = (
    vpn("TCP リスナー", r'TCP リスナー \(ポート (?P<dst_port>\d+)\) にクライアント \(IP アドレス (?P<src_ip>[^,]*), ホスト名 "(?P<src_host>[^"]*)", ポート番号 (?P<src_port>\d+)\) が接続しました',
        "tunnel", "create", "success"),
    vpn("との間のコネクションは切断されました", r"クライアント \(IP アドレス (?P<src_ip>[^,]*), ポート番号 (?P<src_port>\d+)\) との間のコネクションは切断されました",
        "tunnel", "close", "success"),
    vpn("に対応するコネクション", rf'クライアント \(IP アドレス (?P<src_ip>[^,]*), ホスト名 "(?P<src_host>[^"]*)", ポート番号 (?P<src_port>\d+)\) に対応するコネクション {_CID} が作成されました',
        "tunnel", "create", "success"),
    vpn("として正しく認証されました", rf"コネクション {_CID}: ユーザー {_USER} として正しく認証されました", "authentication", "login", "success"),
    vpn("への接続を試行しています", rf'コネクション {_CID} \(IP アドレス (?P<src_ip>[^,]*), ホスト名 (?P<src_host>[^,]*), ポート番号 (?P<src_port>\d+), クライアント名 "(?P<client>[^"]*)", バージョン (?P<version>\S*) ビルド (?P<build>\d+)\) が仮想 HUB への接続を試行しています。提示している認証方法は "(?P<auth_type>[^"]*)" でユーザー名は {_USER}',
        "authentication", "other", "unknown"),
    vpn("ユーザー認証に失敗しました", rf'コネクション {_CID}: (?P<reason>ユーザー認証に失敗しました)。提示されたユーザー名は {_USER} (?:、接続元は "(?P<src_ip>[^"]*)" )?でした',
        "authentication", "login", "failure"),
    vpn("接続元 IP 制限リストによって", rf'コネクション {_CID}: クライアントの接続元 IP アドレス "(?P<src_ip>[^"]*)" は、(?P<reason>.*)',
        "authentication", "login", "failure"),
    vpn("VPN Client の詳細", rf'セッション {_SID}: VPN Client の詳細: \((?P<details>(?:.*?(?:Client product name|クライアント製品名): "(?P<client>[^"]*)")?.*)', "tunnel", "other", "unknown"),
    vpn("パスワードの変更に失敗しました", rf"コネクション {_CID}: (?P<reason>パスワードの変更に失敗しました)。(?:指定した)?ユーザー {_USER}", "authentication", "other", "failure"),
    vpn("リモートからのログインは拒否されました", rf"コネクション {_CID}: ユーザー {_USER} の(?P<reason>パスワードが空白)", "authentication", "login", "failure"),
    vpn("アクセスが拒否され", rf"コネクション {_CID}: ユーザー {_USER} (?P<reason>.*)", "authentication", "login", "failure"),
    vpn("がログインしようとしましたが", rf"コネクション {_CID}: ユーザー {_USER} がログインしようとしましたが、(?P<reason>.*)", "authentication", "login", "failure"),
    vpn("新しいセッション", rf"コネクション {_CID}: 新しいセッション {_SID} が作成されました。(?:\(IP アドレス (?P<src_ip>[^,]*), ポート番号 (?P<src_port>\d+))?",
        "session_start", "login", "success"),
    vpn("セッションが終了しました", rf"セッション {_SID}: セッションが終了しました。統計情報は次の通りです。合計送信データサイズ: (?P<bytes_received>\d+) バイト, 合計受信データサイズ: (?P<bytes_sent>\d+) バイト",
        "session_end", "logout", "success"),
    vpn("に対して新しい IP アドレス", rf'セッション "(?P<dhcp_session>[^"]*)": このセッション上のホスト .{{0,120}}? は、別のセッション {_SID} 上のホスト "(?P<mac_of>[^"]*)" に対して新しい IP アドレス (?P<assigned_ip>[\da-fA-F.:]+) を割り当てました',
        "tunnel", "other", "success"),
    vpn("のパスワードを変更しました", rf"コネクション {_CID}: ユーザー {_USER} のパスワードを変更しました", "authentication", "other", "success"),
    vpn("で終了しました", rf'コネクション {_CID} は理由 "(?P<reason>[^"]*)" \(コード (?P<code>\d+)\) で終了しました', "tunnel", "close", "unknown"),
    vpn("が終了しました", rf"コネクション {_CID} が終了しました", "tunnel", "close", "success"),
    firewall("管理モードでのログインに成功しました", rf"コネクション {_CID} が管理モードでのログインに成功しました", "admin", "login", "success"),
    firewall("管理モードにログインできませんでした", rf"コネクション {_CID} は管理モードにログインできませんでした。(?P<cause>.*)", "admin", "login", "failure"),
    firewall("adminip.txt", rf"コネクション {_CID} は adminip\.txt ", "admin", "login", "failure"),
    firewall("HTTPS API クライアント", rf'HTTPS API クライアント "(?P<src_ip>[^"]*):\d+" .*を用いてログインに成功しました。使用されたユーザー名: {_USER}', "admin", "login", "success"),
    firewall("HTTPS API クライアント", rf'HTTPS API クライアント "(?P<src_ip>[^"]*):\d+" .*を用いてログインに失敗しました。使用されたユーザー名: {_USER}', "admin", "login", "failure"),
)  # fmt: skip
_SENTENCES = _ENGLISH + _JAPANESE

#: SID-user-number, SID-user-[L2TP]-number; the server's own sessions are no users'.
_SESSION_NAME = re.compile(r"SID-(.{1,256}?)(?:-\[[^\]]{1,32}\])?-\d+")
_NO_USERS = frozenset({"SECURENAT", "LOCALBRIDGE", "BRIDGE", "CASCADE", "L3SW"})

#: What an administrator did: `Administration mode [RPC-1]: User "x" has been created.`
_ADMINISTRATION = re.compile(
    r"(?:Administration mode|管理モード) \[(?P<rpc>[^\]]*)\](?: \([^)]*\))?: (?P<change>.*)"
)
_CHANGES = (
    (re.compile(r"has been (?:created|added|registered)|^Added |[をに]作成しました|追加しました|登録しました"), "create"),
    (re.compile(r"has been (?:deleted|removed)|^Deleted |(?:[をの]|から)削除しました"), "delete"),
    (re.compile(r"ha(?:s|ve) been (?:set|changed|updated|written|enabled|disabled|edited|re-generated)|is now (?:online|offline)|設定(?:され|し)ました|再生成しました|変更しました|更新しました|有効|無効|書き込みました|オンライン|オフライン"), "modify"),
)  # fmt: skip


def parse(text: str, context: ReadContext) -> Parsed | None:
    """Read one line."""
    if len(text) > MAX_SENTENCE:
        return None
    stamp = _STAMP.match(text)
    if stamp is not None:
        local = local_time(stamp[1], stamp[2])
        zone = context.time_zone
        time = local.replace(tzinfo=zone).astimezone(UTC) if local is not None and zone is not None else None
        return _parsed(text[stamp.end() :], time, None, local is not None and time is None)
    if "ID-" not in text and " [" not in text:
        return None
    envelope, zoneless = opened(text, context)
    return _parsed(envelope.message, envelope.time, envelope.host, zoneless)


def _parsed(message: str, time: datetime | None, device: str | None, zoneless: bool) -> Parsed | None:
    """Say what a message means; None if it is not SoftEther's."""
    hub = _HUB.match(message)
    sentence = message[hub.end() :] if hub is not None else message
    head = heading(time, device, "SoftEther", "SoftEther VPN")
    head["message"] = message
    fields = {"hub": hub["hub"]} if hub is not None else {}
    changed = _ADMINISTRATION.match(sentence)
    if changed is not None:
        fields |= changed.groupdict()
        return Parsed("firewall", head | _change(changed["change"]), fields, zoneless)
    found = find(_SENTENCES, sentence)
    if found is None:
        if hub is None and _OWN.match(sentence) is None:
            return None
        head |= {"event_type": "system", "action": "other", "outcome": "unknown", "vpn_type": "softether"}
        return Parsed("vpn", head, fields or {"message": sentence}, zoneless)
    fields |= found[1]
    head |= columns(found[0].table, fields) | meaning(found[0])
    if found[0].table == "vpn":
        head["vpn_type"] = "softether"
    if head["event_type"] in ("session_start", "session_end"):
        head |= _user_of_session(fields)
    if "connection" in fields and "session_id" not in head:
        head["session_id"] = fields["connection"]
    return Parsed(found[0].table, head, fields, zoneless)


def _user_of_session(fields: dict[str, str]) -> dict[str, Any]:
    """Return the user that a session's name has in capitals, as the server names sessions of users."""
    found = _SESSION_NAME.fullmatch(fields.get("session_id", ""))
    return columns("vpn", {"user": found[1]}) if found is not None and found[1] not in _NO_USERS else {}


def _change(text: str) -> dict[str, Any]:
    """Return the columns of what was done in administration mode; reading settings is no change."""
    action = next((name for pattern, name in _CHANGES if pattern.search(text)), None)
    return {"event_type": "config" if action else "admin", "action": action or "other", "outcome": "success"}


_MARKS = (
    "[HUB ", "TCP Listener", "TCP リスナー", ' connection "', 'onnection "', 'Session "', "コネクション", "セッション",
    "The connection with the client", "Administration mode [", "管理モード", "HTTPS API ", "IPsec ",
)  # fmt: skip
DEVICE = Device("softether", parse, marks=_MARKS)
FORMAT = device_format(DEVICE)
