"""Logons as Windows records them: at the target, at the source, and at the domain controller.

Sources of what is not obvious: Microsoft's reference of audit events (learn.microsoft.com, "Advanced security
audit policy settings"), compared with recorded logons of the same kinds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from detector.simulate.simulation import MILLISECOND, Simulation
from detector.simulate.world import DOMAIN, NETBIOS, Account, Host

NULL_SID = "S-1-0-0"
SYSTEM_SID = "S-1-5-18"
NULL_GUID = "{00000000-0000-0000-0000-000000000000}"
SYSTEM_LOGON = 0x3E7
YES, NO = "%%1842", "%%1843"
IMPERSONATION = "%%1833"

# Failure reasons: message numbers and NTSTATUS of 4625 (learn.microsoft.com, event 4625).
BAD_PASSWORD = ("%%2313", 0xC000006D, 0xC000006A)
NO_SUCH_USER = ("%%2313", 0xC000006D, 0xC0000064)
EXPIRED = ("%%2309", 0xC000006E, 0xC0000071)
DISABLED = ("%%2310", 0xC000006E, 0xC0000072)

_PRIVILEGES = (
    "SeSecurityPrivilege", "SeTakeOwnershipPrivilege", "SeLoadDriverPrivilege", "SeBackupPrivilege",
    "SeRestorePrivilege", "SeDebugPrivilege", "SeSystemEnvironmentPrivilege", "SeImpersonatePrivilege",
    "SeDelegateSessionUserImpersonatePrivilege",
)  # fmt: skip
ADMIN_PRIVILEGES = "\r\n\t\t\t".join(_PRIVILEGES)
SYSTEM_PRIVILEGES = "\r\n\t\t\t".join(("SeAssignPrimaryTokenPrivilege", "SeTcbPrivilege", *_PRIVILEGES[:8],
                                       "SeAuditPrivilege"))  # fmt: skip
NTLM_PACKAGE = "MICROSOFT_AUTHENTICATION_PACKAGE_V1_0"


@dataclass(frozen=True)
class Session:
    """A logon session on a host, as later records name it."""

    host: Host
    account: Account
    logon_id: int
    logon_type: int
    port: int = 0
    linked_id: int = 0


def subject(session: Session | None, host: Host) -> dict[str, Any]:
    """Return the Subject fields: a session's user, or the machine itself."""
    if session is None:
        return {
            "SubjectUserSid": SYSTEM_SID,
            "SubjectUserName": f"{host.name}$",
            "SubjectDomainName": host.domain if host.domain == NETBIOS else "WORKGROUP",
            "SubjectLogonId": SYSTEM_LOGON,
        }
    return {
        "SubjectUserSid": session.account.sid,
        "SubjectUserName": session.account.name,
        "SubjectDomainName": session.account.domain,
        "SubjectLogonId": session.logon_id,
    }


_NOBODY = {"SubjectUserSid": NULL_SID, "SubjectUserName": "-", "SubjectDomainName": "-", "SubjectLogonId": 0}


def _logon(host: Host, account: Account, logon_id: int, logon_type: int, **fields: Any) -> dict[str, Any]:
    """Return the fields of 4624 with the values that most logons share."""
    return {
        **_NOBODY,
        "TargetUserSid": account.sid,
        "TargetUserName": account.name,
        "TargetDomainName": account.domain,
        "TargetLogonId": logon_id,
        "LogonType": logon_type,
        "LogonProcessName": "NtLmSsp ",
        "AuthenticationPackageName": "NTLM",
        "WorkstationName": "-",
        "LogonGuid": NULL_GUID,
        "TransmittedServices": "-",
        "LmPackageName": "-",
        "KeyLength": 0,
        "ProcessId": 0,
        "ProcessName": "-",
        "IpAddress": "-",
        "IpPort": "-",
        "ImpersonationLevel": IMPERSONATION,
        "RestrictedAdminMode": "-",
        "TargetOutboundUserName": "-",
        "TargetOutboundDomainName": "-",
        "VirtualAccount": NO,
        "TargetLinkedLogonId": 0,
        "ElevatedToken": YES if account.admin else NO,
    } | fields


def controller(sim: Simulation, host: Host) -> Host:
    """Return the domain controller that a host uses."""
    controllers = sim.world.role("dc")
    return controllers[sum(host.name.encode()) % len(controllers)]


def _is_local(account: Account, target: Host) -> bool:
    return account.domain not in (NETBIOS, "NT AUTHORITY") or target.domain != NETBIOS


def ntlm_check(
    sim: Simulation,
    moment: int,
    target: Host,
    account: Account,
    workstation: str,
    mark: int | None,
    status: int = 0,
) -> None:
    """Write 4776 where the credentials are checked: at the account's own machine or a domain controller."""
    judge = target if _is_local(account, target) else controller(sim, target)
    values = {
        "PackageName": NTLM_PACKAGE,
        "TargetUserName": account.name,
        "Workstation": workstation,
        "Status": status,
    }
    sim.event(judge, moment, "security.4776", values, mark, failure=status != 0)


def privileges(sim: Simulation, moment: int, session: Session, mark: int | None = None) -> None:
    """Write 4672, which follows every logon with administrator's rights."""
    system = session.logon_id == SYSTEM_LOGON
    values = subject(session, session.host) | {
        "PrivilegeList": SYSTEM_PRIVILEGES if system else ADMIN_PRIVILEGES
    }
    sim.event(session.host, moment, "security.4672", values, mark)


def network_logon(
    sim: Simulation,
    moment: int,
    account: Account,
    source_ip: str,
    workstation: str,
    target: Host,
    *,
    package: str = "NTLM",
    service_port: int = 445,
    mark: int | None = None,
) -> Session:
    """Write a successful network logon (type 3): 4776 or 4769, then 4624 and, for administrators, 4672.

    `service_port` is where the client connected: 445, or 3389 for network level authentication.
    """
    port = 49152 + target.rng.randrange(16000)
    if service_port == 445:
        sim.connection(target, moment - 20 * MILLISECOND, source_ip, port, 445, mark)
    session = Session(target, account, target.next_logon_id(), 3, port)
    fields: dict[str, Any] = {"IpAddress": source_ip, "IpPort": str(port)}
    if package == "Kerberos":
        guid = sim.guid(target.rng)
        service_ticket(sim, moment, account, source_ip, target, guid, mark)
        fields |= {
            "LogonProcessName": "Kerberos",
            "AuthenticationPackageName": "Kerberos",
            "LogonGuid": guid,
        }
    else:
        ntlm_check(sim, moment, target, account, workstation, mark)
        fields |= {"WorkstationName": workstation, "LmPackageName": "NTLM V2", "KeyLength": 128}
    sim.event(target, moment + 2 * MILLISECOND, "security.4624",
              _logon(target, account, session.logon_id, 3, **fields), mark)  # fmt: skip
    if account.admin:
        privileges(sim, moment + 2 * MILLISECOND, session, mark)
    return session


def failed_logon(
    sim: Simulation,
    moment: int,
    account: Account,
    source_ip: str,
    workstation: str,
    target: Host,
    reason: tuple[str, int, int],
    *,
    logon_type: int = 3,
    mark: int | None = None,
) -> None:
    """Write a failed logon: 4776 with the status, and 4625 at the target."""
    text, status, sub_status = reason
    ntlm_check(sim, moment, target, account, workstation, mark, sub_status)
    interactive = logon_type in (2, 7, 10)
    values = (subject(None, target) if interactive else dict(_NOBODY)) | {
        "TargetUserSid": NULL_SID,
        "TargetUserName": account.name,
        "TargetDomainName": account.domain,
        "Status": status,
        "FailureReason": text,
        "SubStatus": sub_status,
        "LogonType": logon_type,
        "LogonProcessName": "User32 " if interactive else "NtLmSsp ",
        "AuthenticationPackageName": "Negotiate" if interactive else "NTLM",
        "WorkstationName": target.name if interactive else workstation,
        "TransmittedServices": "-",
        "LmPackageName": "-",
        "KeyLength": 0,
        "ProcessId": target.pid_of("svchost") if interactive else 0,
        "ProcessName": "C:\\Windows\\System32\\svchost.exe" if interactive else "-",
        "IpAddress": source_ip,
        "IpPort": "0" if interactive else str(49152 + target.rng.randrange(16000)),
    }
    sim.event(target, moment + 3 * MILLISECOND, "security.4625", values, mark, failure=True)


def logoff(
    sim: Simulation, moment: int, session: Session, *, initiated: bool = False, mark: int | None = None
) -> None:
    """Write the end of a session: 4647 where the user asked for it, and 4634."""
    values = {
        "TargetUserSid": session.account.sid,
        "TargetUserName": session.account.name,
        "TargetDomainName": session.account.domain,
        "TargetLogonId": session.logon_id,
    }
    if initiated:
        sim.event(session.host, moment, "security.4647", values, mark)
        moment += 900 * MILLISECOND
    sim.event(session.host, moment, "security.4634", values | {"LogonType": session.logon_type}, mark)
    if session.linked_id:
        linked = values | {"TargetLogonId": session.linked_id, "LogonType": session.logon_type}
        sim.event(session.host, moment, "security.4634", linked, mark)


def explicit_credentials(
    sim: Simulation,
    moment: int,
    session: Session | None,
    source: Host,
    account: Account,
    server: str,
    info: str,
    process: str,
    *,
    address: tuple[str, str] = ("-", "-"),
    mark: int | None = None,
) -> None:
    """Write 4648 at the machine where somebody's credentials were used by another session."""
    values = subject(session, source) | {
        "LogonGuid": NULL_GUID,
        "TargetUserName": account.name,
        "TargetDomainName": account.domain,
        "TargetLogonGuid": NULL_GUID,
        "TargetServerName": server,
        "TargetInfo": info,
        "ProcessId": source.pid_of(process.rpartition("\\")[2]),
        "ProcessName": process,
        "IpAddress": address[0],
        "IpPort": address[1],
    }
    sim.event(source, moment, "security.4648", values, mark)


def ticket_granting_ticket(
    sim: Simulation,
    moment: int,
    account: Account,
    source: Host,
    *,
    status: int = 0,
    mark: int | None = None,
) -> None:
    """Write 4768, or 4771 for a wrong password (status 0x18, with pre-authentication), at the controller."""
    judge = controller(sim, source)
    address = "::1" if judge is source else f"::ffff:{source.ip}"
    common = {
        "TargetUserName": account.name,
        "TargetSid": account.sid,
        "TicketOptions": 0x40810010,
        "Status": status,
        "PreAuthType": "2",
        "IpAddress": address,
        "IpPort": str(source.next_port()) if judge is not source else "0",
        "CertIssuerName": "",
        "CertSerialNumber": "",
        "CertThumbprint": "",
    }
    if status == 0x18:
        values = common | {"ServiceName": f"krbtgt/{NETBIOS}"}
        sim.event(judge, moment, "security.4771", values, mark, failure=True)
        return
    values = common | {
        "TargetDomainName": DOMAIN.upper() if account.name.endswith("$") else NETBIOS,
        "ServiceName": "krbtgt",
        "ServiceSid": f"{sim.world.domain_sid}-502",
        "TicketEncryptionType": 0x12,
    }
    sim.event(judge, moment, "security.4768", values, mark, failure=status != 0)


def service_ticket(
    sim: Simulation,
    moment: int,
    account: Account,
    source_ip: str,
    target: Host,
    guid: str,
    mark: int | None = None,
) -> None:
    """Write 4769: a ticket for the target machine, which the logon there names by its GUID."""
    values = {
        "TargetUserName": f"{account.name}@{DOMAIN.upper()}",
        "TargetDomainName": DOMAIN.upper(),
        "ServiceName": f"{target.name}$",
        "ServiceSid": target.account.sid,
        "TicketOptions": 0x40810000,
        "TicketEncryptionType": 0x12,
        "IpAddress": f"::ffff:{source_ip}",
        "IpPort": str(49152 + target.rng.randrange(16000)),
        "Status": 0,
        "LogonGuid": guid,
        "TransmittedServices": "-",
    }
    sim.event(controller(sim, target), moment, "security.4769", values, mark)


def interactive_logon(
    sim: Simulation,
    moment: int,
    account: Account,
    host: Host,
    *,
    logon_type: int = 2,
    address: str = "127.0.0.1",
    mark: int | None = None,
) -> Session:
    """Write a logon at the console or by RDP: 4648 and 4624 (twice for a split token), 4672, 7001.

    `logon_type` is 2 (console), 10 (RDP) or 11 (cached). The elevated session is returned; its linked id is
    the filtered one.
    """
    if not _is_local(account, host) and logon_type != 11:
        ticket_granting_ticket(sim, moment, account, host, mark=mark)
        service_ticket(sim, moment + 2 * MILLISECOND, account, host.ip, host, sim.guid(host.rng), mark)
    process = "C:\\Windows\\System32\\svchost.exe"
    explicit_credentials(
        sim, moment + 4 * MILLISECOND, None, host, account, "localhost", "localhost", process,
        address=(address, "0"), mark=mark,
    )  # fmt: skip
    first, second = host.next_logon_id(), host.next_logon_id() if account.admin else 0
    common: dict[str, Any] = subject(None, host) | {
        "LogonProcessName": "User32 ",
        "AuthenticationPackageName": "Negotiate",
        "WorkstationName": host.name,
        "ProcessId": host.pid_of("svchost.exe"),
        "ProcessName": process,
        "IpAddress": address,
        "IpPort": "0",
    }
    at = moment + 5 * MILLISECOND
    values = _logon(host, account, first, logon_type, **common, TargetLinkedLogonId=second)
    sim.event(host, at, "security.4624", values, mark)
    session = Session(host, account, first, logon_type, linked_id=second)
    if second:
        filtered = values | {"TargetLogonId": second, "TargetLinkedLogonId": first, "ElevatedToken": NO}
        sim.event(host, at, "security.4624", filtered, mark)
        privileges(sim, at, session, mark)
    desktop = {"TSId": host.session if logon_type == 10 else 1, "UserSid": account.sid}
    sim.event(host, at + 400 * MILLISECOND, "system.7001", desktop, mark)
    return session


def interactive_logoff(
    sim: Simulation, moment: int, session: Session, mark: int | None = None, number: int = 1
) -> None:
    """Write the end of a console or RDP session that the user asked for: 4647, 4634, 7002.

    `number` is that of the Terminal Services session; the console is 1.
    """
    logoff(sim, moment, session, initiated=True, mark=mark)
    desktop = {"TSId": number, "UserSid": session.account.sid}
    sim.event(session.host, moment + 700 * MILLISECOND, "system.7002", desktop, mark)


def unlock(sim: Simulation, moment: int, session: Session) -> None:
    """Write an unlocked screen: a logon of type 7 that ends at once."""
    host, account = session.host, session.account
    logon_id = host.next_logon_id()
    values = _logon(
        host, account, logon_id, 7,
        **(subject(None, host) | {
            "LogonProcessName": "Negotiat", "AuthenticationPackageName": "Negotiate",
            "WorkstationName": host.name, "ProcessId": host.pid_of("lsass"),
            "ProcessName": "C:\\Windows\\System32\\lsass.exe",
        }),
    )  # fmt: skip
    sim.event(host, moment, "security.4624", values)
    unlocked = Session(host, account, logon_id, 7)
    if account.admin:
        privileges(sim, moment, unlocked)
    logoff(sim, moment + 80 * MILLISECOND, unlocked)


def service_logon(
    sim: Simulation,
    moment: int,
    host: Host,
    account: Account | None = None,
    logon_type: int = 5,
    mark: int | None = None,
) -> Session:
    """Write a logon of a service (5) or a scheduled task (4): of SYSTEM where no account is given."""
    if account is None:
        account = Account("SYSTEM", "NT AUTHORITY", SYSTEM_SID, "system", True)
        logon_id = SYSTEM_LOGON
    else:
        logon_id = host.next_logon_id()
        if not _is_local(account, host):
            ticket_granting_ticket(sim, moment, account, host, mark=mark)
    process = "services.exe" if logon_type == 5 else "svchost.exe"
    values = _logon(
        host, account, logon_id, logon_type,
        **(subject(None, host) | {
            "LogonProcessName": "Advapi  ", "AuthenticationPackageName": "Negotiate",
            "ProcessId": host.pid_of(process.removesuffix(".exe") if process == "services.exe" else process),
            "ProcessName": f"C:\\Windows\\System32\\{process}",
        }),
    )  # fmt: skip
    sim.event(host, moment, "security.4624", values, mark)
    session = Session(host, account, logon_id, logon_type)
    privileges(sim, moment, session, mark)
    return session


def anonymous_fields(session: Session, source_ip: str) -> dict[str, Any]:
    """Return the fields of an anonymous network logon, which browsing for machines causes."""
    return _logon(
        session.host, session.account, session.logon_id, 3,
        IpAddress=source_ip, IpPort=str(49152 + session.host.rng.randrange(16000)), LmPackageName="NTLM V1",
    )  # fmt: skip
