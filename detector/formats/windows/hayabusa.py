"""Windows events in Hayabusa's timelines: JSON, JSON lines, CSV.

A row is a hit of a rule. It names computer, channel (abbreviated), event id and record id; the event's
fields stand in `AllFieldInfo` or `ExtraFieldInfo` under Windows' own names, and in `Details` under labels of
Hayabusa's own (`Cmdline`, `TgtUser`), which are turned back where they mean one field of the event
(`default_details.txt` of hayabusa-rules); other labels stay names. Rows of one event that stand together are
read as one, with the fields of all of them; which rules hit is not kept.

What a timeline lacks: events that no rule hit, so that counts and gaps mean nothing; level, keywords, task,
process and activity of the event; with the smaller profiles, most fields. The provider is told by channel
and event id. CSV has blanks for line ends inside values. Times carry their zone; of Hayabusa's forms the
default, UTC and ISO 8601 are understood.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from detector.errors import EvidenceError
from detector.formats.base import Format, Input, Item
from detector.formats.windows.export_rows import (
    Seen,
    columns_of,
    iso_time,
    provider_of,
    read_table,
    restored,
    samples_of,
    system_values,
)
from detector.formats.windows.fields import integer, text
from detector.formats.windows.json_reader import Parts, read_objects
from detector.tables.evidence import ReadWarning
from detector.tables.windows import WindowsRecord

_KEYS = frozenset({"Timestamp", "RuleTitle", "Computer", "Channel", "EventID"})
_SEPARATOR = " ¦ "
_INFO = ("Details", "ExtraFieldInfo", "AllFieldInfo")

#: config/channel_abbreviations.txt of hayabusa-rules, where an abbreviation means one channel.
_CHANNELS = {
    "App": "Application",
    "BitsCli": "Microsoft-Windows-Bits-Client/Operational",
    "CodeInteg": "Microsoft-Windows-CodeIntegrity/Operational",
    "DHCP-Svr": "Microsoft-Windows-DHCP-Server/Operational",
    "DNS-Svr": "DNS Server",
    "Defender": "Microsoft-Windows-Windows Defender/Operational",
    "DvrFmwk": "Microsoft-Windows-DriverFrameworks-UserMode/Operational",
    "Exchange": "MSExchange Management",
    "Firewall": "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall",
    "GroupPolicy": "Microsoft-Windows-GroupPolicy/Operational",
    "NTLM": "Microsoft-Windows-NTLM/Operational",
    "OpenSSH": "OpenSSH/Operational",
    "PrintAdm": "Microsoft-Windows-PrintService/Admin",
    "PrintOp": "Microsoft-Windows-PrintService/Operational",
    "PwSh": "Microsoft-Windows-PowerShell/Operational",
    "PwShClassic": "Windows PowerShell",
    "PwShCore": "PowerShellCore/Operational",
    "RDP-Cli": "Microsoft-Windows-TerminalServices-RDPClient/Operational",
    "RDP-CoreTS": "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational",
    "RDS-GTW": "Microsoft-Windows-TerminalServices-Gateway/Operational",
    "RDS-LSM": "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational",
    "RDS-RCM": "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational",
    "Sec": "Security",
    "SmbCliSec": "Microsoft-Windows-SmbClient/Security",
    "Sys": "System",
    "Sysmon": "Microsoft-Windows-Sysmon/Operational",
    "TaskSch": "Microsoft-Windows-TaskScheduler/Operational",
    "WMI": "Microsoft-Windows-WMI-Activity/Operational",
    "WinRM": "Microsoft-Windows-WinRM/Operational",
}

#: Labels of `Details` and the fields that they mean in all events of a channel, then in single ones.
_SYSMON = (
    "Cmdline=CommandLine CmdLine=CommandLine Cmd=CommandLine Proc=Image ParentCmdline=ParentCommandLine "
    "ParentCmd=ParentCommandLine LID=LogonId LGUID=LogonGuid PID=ProcessId PGUID=ProcessGuid "
    "ParentPID=ParentProcessId ParentPGUID=ParentProcessGuid Path=TargetFilename Proto=Protocol "
    "SrcIP=SourceIp "
    "SrcPort=SourcePort SrcHost=SourceHostname TgtIP=DestinationIp TgtPort=DestinationPort "
    "TgtHost=DestinationHostname SrcProc=SourceImage TgtProc=TargetImage SrcUser=SourceUser "
    "TgtUser=TargetUser "
    "Access=GrantedAccess SrcPID=SourceProcessId TgtPID=TargetProcessId TgtObj=TargetObject Pipe=PipeName "
    "Sig=SignatureStatus Hash=Hashes Query=QueryName Result=QueryResults Op=Operation"
)
_SECURITY = (
    "User=SubjectUserName SID=SubjectUserSid Domain=SubjectDomainName LID=SubjectLogonId "
    "TgtUser=TargetUserName "
    "TgtSID=TargetSid TgtDomain=TargetDomainName Type=LogonType SrcComp=WorkstationName SrcIP=IpAddress "
    "Proc=ProcessName PID=ProcessId AuthPkg=AuthenticationPackageName Svc=ServiceName "
    "SrcUser=SubjectUserName "
    "TgtGrp=TargetUserName SamUser=SamAccountName UAC=UserAccountControl OldUAC=OldUacValue "
    "NewUAC=NewUacValue "
    "PrivList=PrivilegeList UPN=UserPrincipalName ObjSvr=ObjectServer ObjType=ObjectType ObjName=ObjectName "
    "HID=HandleId OpType=OperationType ObjDN=ObjectDN AttrLDAPName=AttributeLDAPDisplayName"
)
_LABELS = {
    "Sysmon": _SYSMON,
    "Sysmon 6": "Path=ImageLoaded Sig=Signature",
    "Sysmon 7": "Image=ImageLoaded",
    "Sysmon 8": "SrcPGUID=SourceProcessGuid TgtPGUID=TargetProcessGuid",
    "Sysmon 10": "SrcPGUID=SourceProcessGUID TgtPGUID=TargetProcessGUID",
    "Sysmon 15": "Hash=Hash",
    "Sysmon 16": "Config=Configuration",
    "Sysmon 19": "Namespace=EventNamespace Query=Query",
    "Sysmon 20": "Tgt=Destination Type=Type",
    "Sysmon 25": "Type=Type",
    "Sec": _SECURITY,
    "Sec 4624": "LID=TargetLogonId",
    "Sec 4648": "TgtSvr=TargetServerName",
    "Sec 4672": "TgtUser=SubjectUserName",
    "Sec 4674": "Svc=ObjectName",
    "Sec 4688": "Cmdline=CommandLine CmdLine=CommandLine Path=NewProcessName "
    "Proc=NewProcessName PID=NewProcessId",
    "Sec 4697": "Path=ServiceFileName SvcAcct=ServiceAccount SvcType=ServiceType "
    "SvcStartType=ServiceStartType",
    "Sec 4698": "Name=TaskName Content=TaskContent",
    "Sec 4699": "Name=TaskName",
    "Sec 4728": "SrcSID=MemberSid",
    "Sec 4732": "SrcSID=MemberSid",
    "Sec 4756": "SrcSID=MemberSid",
    "Sec 4776": "SrcComp=Workstation",
    "Sec 4778": "SrcUser=AccountName Domain=AccountDomain SrcIP=ClientAddress SrcComp=ClientName LID=LogonID",
    "Sec 4779": "SrcUser=AccountName Domain=AccountDomain SrcIP=ClientAddress SrcComp=ClientName LID=LogonID",
    "Sec 5140": "SharePath=ShareLocalPath",
    "Sec 5145": "SharePath=ShareLocalPath Path=RelativeTargetName",
    "Sec 5156": "Proc=Application SrcIP=SourceAddress SrcPort=SourcePort TgtIP=DestAddress TgtPort=DestPort "
    "PID=ProcessID",
    "PwSh 4103": "",
    "PwSh 4104": "ScriptBlock=ScriptBlockText",
    "Sys 7045": "Svc=ServiceName Path=ImagePath Acct=AccountName",
    "RDS-RCM 1149": "TgtUser=Param1 User=Param1 Domain=Param2 SrcIP=Param3",
    "RDS-LSM": "TgtUser=User SessID=SessionID SrcIP=Address",
}


def recognise(head: bytes) -> bool:
    """Does the file begin with rows of a timeline?"""
    if set(columns_of(head)[1]) >= _KEYS:
        return True
    return any(tree.keys() >= _KEYS for tree in samples_of(head))


def read(source: Input) -> Iterator[Item]:
    """Yield each event once: rows of the same one that follow each other are joined, later ones left out."""
    if set(columns_of(source.head)[1]) >= _KEYS:
        items = read_table(source, _parts)
    else:
        items = read_objects(source, lambda tree, _: _parts(tree))
    seen = Seen()
    waiting: WindowsRecord | None = None
    for item in items:
        if not isinstance(item, WindowsRecord):
            if isinstance(item, ReadWarning):
                yield item
        elif seen.first(item.system):
            if waiting is not None:
                yield waiting
            waiting = item
        elif waiting is not None and waiting.system == item.system:
            waiting = _joined(waiting, item)
    if waiting is not None:
        yield waiting
    if seen.repeated:
        yield ReadWarning(
            None, f"{seen.repeated} hits repeat an event that stands before; it is read once", 0
        )


def _joined(first: WindowsRecord, second: WindowsRecord) -> WindowsRecord:
    """Return the first record with the fields that only the second has."""
    more = [(n, v) for n, v in zip(second.names, second.values, strict=True) if n not in first.names]
    names = (*first.names, *(name for name, _ in more))
    values = [*first.values, *(value for _, value in more)]
    return first._replace(names=names, values=values, size=first.size + second.size)


def _parts(row: dict[str, Any]) -> Parts:
    """Return (system, names, values) of one row."""
    get = row.get
    short, event_id = text(get("Channel") or ""), integer(get("EventID"))
    if event_id is None:
        raise EvidenceError("a hit that stands for no single event")
    time = iso_time(get("Timestamp"))
    if time is None:
        raise EvidenceError(f"its time is not understood: {str(get('Timestamp'))[:40]!r}")
    channel = _CHANNELS.get(short, short)
    provider = provider_of(channel, event_id)
    system = system_values(
        time,
        channel=channel,
        provider=provider,
        event_id=event_id,
        record_id=get("RecordID"),
        computer=get("Computer"),
    )
    labels = _labels(_short_of(short), event_id)
    found: dict[str, Any] = {}
    for info in _INFO:
        for name, value in _info_pairs(get(info)):
            name = labels.get(name, name) if info == "Details" else name
            if value != "n/a":
                found[name] = value
    return system, *restored(found.items(), provider, event_id)


def _info_pairs(info: Any) -> list[tuple[str, Any]]:
    """Return (name, value) of a column of fields: an object in JSON, `name: value ¦ name: value` in CSV."""
    if type(info) is dict:
        return list(info.items())
    if type(info) is not str or info in ("", "-"):
        return []
    pairs = []
    for part in info.split(_SEPARATOR):
        name, colon, value = part.partition(":")
        if colon:
            pairs.append((name.strip(), value.strip()))
    return pairs


def _short_of(channel: str) -> str:
    """Return the abbreviation of a channel that a profile writes in full."""
    return next((short for short, full in _CHANNELS.items() if full == channel), channel)


@cache
def _labels(short: str, event_id: int) -> dict[str, str]:
    """Return the fields that labels of an event mean."""
    written = f"{_LABELS.get(short, '')} {_LABELS.get(f'{short} {event_id}', '')}".split()
    return dict(pair.split("=") for pair in written)


FORMAT = Format("hayabusa", recognise, read)
