"""What happens on one machine: services, processes, shared files, tasks, software, start and stop."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from detector.simulate.emit.logons import NULL_SID, Session, subject
from detector.simulate.simulation import MILLISECOND, SECOND, Simulation, to_datetime
from detector.simulate.world import Account, Host

SYSTEM32 = "C:\\Windows\\System32\\"
#: Access lists as 5140 and 5145 print them (message numbers of the rights in the mask).
_READ = "%%4416\r\n\t\t\t\t"
_WRITE = "%%1538\r\n\t\t\t\t%%4417\r\n\t\t\t\t%%4423\r\n\t\t\t\t"
_MANDATORY_HIGH, _MANDATORY_SYSTEM = "S-1-16-12288", "S-1-16-16384"


@dataclass(frozen=True)
class Process:
    """A running process, as the events of its children and its end name it."""

    pid: int
    image: str
    session: Session | None
    guid: str = ""
    command: str = ""


def start_process(
    sim: Simulation,
    moment: int,
    host: Host,
    image: str,
    command: str,
    session: Session | None,
    parent: Process | None = None,
    mark: int | None = None,
) -> Process:
    """Write 4688 (and Sysmon 1) where the machine records processes; return the process."""
    parent = parent or Process(host.pid_of("explorer.exe"), "C:\\Windows\\explorer.exe", session)
    process = Process(host.next_pid(), image, session, sim.guid(host.rng), command)
    if host.audit_processes:
        values = subject(session, host) | {
            "NewProcessId": process.pid,
            "NewProcessName": image,
            "TokenElevationType": "%%1937" if session and session.linked_id else "%%1936",
            "ProcessId": parent.pid,
            "CommandLine": command,
            "TargetUserSid": NULL_SID,
            "TargetUserName": "-",
            "TargetDomainName": "-",
            "TargetLogonId": 0,
            "ParentProcessName": parent.image,
            "MandatoryLabel": _MANDATORY_HIGH if session else _MANDATORY_SYSTEM,
        }
        sim.event(host, moment, "security.4688", values, mark)
    if host.name in sim.sysmon:
        _sysmon_process(sim, moment, host, process, parent, mark)
    return process


def end_process(sim: Simulation, moment: int, host: Host, process: Process, mark: int | None = None) -> None:
    """Write 4689 where the machine records processes."""
    if host.audit_processes:
        values = subject(process.session, host) | {
            "Status": 0, "ProcessId": process.pid, "ProcessName": process.image,
        }  # fmt: skip
        sim.event(host, moment, "security.4689", values, mark)


def _utc(moment: int) -> str:
    return to_datetime(moment).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _sysmon_process(
    sim: Simulation, moment: int, host: Host, process: Process, parent: Process, mark: int | None
) -> None:
    digest = sha256(process.image.encode()).hexdigest().upper()
    session = process.session
    values = {
        "RuleName": "", "UtcTime": _utc(moment + host.clock_offset), "ProcessGuid": process.guid,
        "ProcessId": process.pid, "Image": process.image, "FileVersion": "?", "Description": "?",
        "Product": "?", "Company": "?", "CommandLine": process.command, "CurrentDirectory": SYSTEM32,
        "User": session.account.logon_name if session else "NT AUTHORITY\\SYSTEM",
        "LogonGuid": sim.guid(host.rng), "LogonId": session.logon_id if session else 0x3E7,
        "TerminalSessionId": 2 if session else 0, "IntegrityLevel": "High" if session else "System",
        "Hashes": f"SHA256={digest}", "ParentProcessGuid": parent.guid or sim.guid(host.rng),
        "ParentProcessId": parent.pid, "ParentImage": parent.image,
        "ParentCommandLine": parent.command or parent.image,
    }  # fmt: skip
    sim.event(host, moment, "sysmon.1", values, mark)


def process_access(
    sim: Simulation, moment: int, host: Host, process: Process, target: str, access: int,
    mark: int | None = None,
) -> None:  # fmt: skip
    """Write Sysmon 10: a process opens another one, for example LSASS to read its memory."""
    if host.name not in sim.sysmon:
        return
    values = {
        "RuleName": "", "UtcTime": _utc(moment + host.clock_offset), "SourceProcessGUID": process.guid,
        "SourceProcessId": process.pid, "SourceThreadId": host.next_pid(), "SourceImage": process.image,
        "TargetProcessGUID": sim.guid(host.rng), "TargetProcessId": host.pid_of("lsass"),
        "TargetImage": target, "GrantedAccess": access,
        "CallTrace": f"{SYSTEM32}ntdll.dll+9c4e4|{SYSTEM32}KERNELBASE.dll+2726e|UNKNOWN(000002AC51C2A5B2)",
    }  # fmt: skip
    sim.event(host, moment, "sysmon.10", values, mark)


def object_access(
    sim: Simulation, moment: int, host: Host, session: Session, process: Process, name: str, kind: str,
    mark: int | None = None,
) -> None:  # fmt: skip
    """Write 4656 and 4663: a handle to an object under audit (LSASS with the rights to read its memory)."""
    handle = host.rng.randrange(0x100, 0xFFF) & ~3
    values = subject(session, host) | {
        "ObjectServer": "Security", "ObjectType": kind, "ObjectName": name, "HandleId": handle,
        "TransactionId": "{00000000-0000-0000-0000-000000000000}",
        "AccessList": "%%4484\r\n\t\t\t\t", "AccessReason": "-", "AccessMask": 0x10, "PrivilegeList": "-",
        "RestrictedSidCount": 0, "ProcessId": process.pid, "ProcessName": process.image,
        "ResourceAttributes": "-",
    }  # fmt: skip
    sim.event(host, moment, "security.4656", values, mark)
    sim.event(host, moment + MILLISECOND, "security.4663", values, mark)


def install_service(
    sim: Simulation, moment: int, host: Host, name: str, image: str, session: Session | None,
    *, start_type: str = "demand start", account: str = "LocalSystem", mark: int | None = None,
) -> None:  # fmt: skip
    """Write 7045 and 4697: a new service."""
    values = {
        "ServiceName": name, "ImagePath": image, "ServiceType": "user mode service",
        "StartType": start_type, "AccountName": account,
    }  # fmt: skip
    sim.event(host, moment, "system.7045", values, mark, user=session.account.sid if session else "S-1-5-18")
    if host.is_server:
        audit = subject(session, host) | {
            "ServiceName": name, "ServiceFileName": image, "ServiceType": 0x10,
            "ServiceStartType": 2 if start_type == "auto start" else 3, "ServiceAccount": account,
        }  # fmt: skip
        sim.event(host, moment + 5 * MILLISECOND, "security.4697", audit, mark)


def service_state(
    sim: Simulation, moment: int, host: Host, display: str, name: str, state: str, mark: int | None = None
) -> None:
    """Write 7036: a service entered the running or the stopped state."""
    code = 4 if state == "running" else 1
    binary = f"{name}/{code}".encode("utf-16-le") + b"\0\0"
    sim.event(host, moment, "system.7036", {"param1": display, "param2": state, "Binary": binary}, mark)


def service_start_type(
    sim: Simulation, moment: int, host: Host, display: str, name: str, before: str, after: str, user: str,
    mark: int | None = None,
) -> None:  # fmt: skip
    """Write 7040: the start type of a service was changed."""
    values = {"param1": display, "param2": before, "param3": after, "param4": name}
    sim.event(host, moment, "system.7040", values, mark, user=user)


def share_opened(
    sim: Simulation, moment: int, session: Session, source_ip: str, share: str, local: str,
    mark: int | None = None,
) -> None:  # fmt: skip
    """Write 5140: a share was opened over the network."""
    host = session.host
    if not host.audit_shares:
        return
    values = subject(session, host) | {
        "ObjectType": "File", "IpAddress": source_ip, "IpPort": str(session.port or 49200),
        "ShareName": f"\\\\*\\{share}", "ShareLocalPath": local, "AccessMask": 1, "AccessList": _READ,
    }  # fmt: skip
    sim.event(host, moment, "security.5140", values, mark)


def share_file(
    sim: Simulation, moment: int, session: Session, source_ip: str, share: str, local: str, name: str,
    *, write: bool = False, mark: int | None = None,
) -> None:  # fmt: skip
    """Write 5145: a file or pipe in a share was checked for access."""
    host = session.host
    if not host.audit_shares:
        return
    values = subject(session, host) | {
        "ObjectType": "File", "IpAddress": source_ip, "IpPort": str(session.port or 49200),
        "ShareName": f"\\\\*\\{share}", "ShareLocalPath": local, "RelativeTargetName": name,
        "AccessMask": 0x130197 if write else 0x120089, "AccessList": _WRITE if write else _READ,
        "AccessReason": "-",
    }  # fmt: skip
    sim.event(host, moment, "security.5145", values, mark)


def task_created(
    sim: Simulation, moment: int, host: Host, session: Session, name: str, command: str,
    mark: int | None = None,
) -> None:  # fmt: skip
    """Write 4698 and the Task Scheduler's 106: a task was registered."""
    content = (
        '<?xml version="1.0" encoding="UTF-16"?>\r\n<Task version="1.2" '
        'xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">\r\n  <Principals>\r\n'
        '    <Principal id="Author">\r\n      <UserId>S-1-5-18</UserId>\r\n'
        "      <RunLevel>HighestAvailable</RunLevel>\r\n    </Principal>\r\n  </Principals>\r\n"
        f'  <Actions Context="Author">\r\n    <Exec>\r\n      <Command>{command}</Command>\r\n'
        "    </Exec>\r\n  </Actions>\r\n</Task>"
    )
    if host.is_server:
        values = subject(session, host) | {"TaskName": name, "TaskContent": content}
        sim.event(host, moment, "security.4698", values, mark)
    user = session.account.logon_name
    sim.event(host, moment + 5 * MILLISECOND, "task.106", {"TaskName": name, "UserContext": user}, mark)


def task_started(sim: Simulation, moment: int, host: Host, name: str, path: str) -> None:
    """Write the Task Scheduler's 129: a task's process was started."""
    values = {"TaskName": name, "Path": path, "ProcessID": host.next_pid(), "Priority": 16384}
    sim.event(host, moment, "task.129", values)


def log_cleared(
    sim: Simulation, moment: int, host: Host, session: Session, channel: str, mark: int | None = None
) -> None:
    """Empty a log and write 1102 (Security) or, in System, 104."""
    sim.clear_log(host, channel, moment)
    who = subject(session, host)
    if channel == "Security":
        sim.event(host, moment, "security.1102", who, mark)
    else:
        values = who | {"Channel": channel, "BackupPath": ""}
        sim.event(host, moment, "system.104", values, mark, user=session.account.sid)


def defender(
    sim: Simulation, moment: int, host: Host, event: int, values: dict[str, str], mark: int | None = None
) -> None:
    """Write an event of Microsoft Defender Antivirus: 2000, 5001, 5007."""
    common = {"Product Name": "%%827", "Product Version": "4.18.23110.3"}
    sim.event(host, moment, f"defender.{event}", common | values, mark)


def installer(
    sim: Simulation, moment: int, host: Host, account: Account | None, product: tuple[str, str, str],
    package: str, *, install: bool, mark: int | None = None,
) -> None:  # fmt: skip
    """Write an installation or removal by Windows Installer: 1040, 11707 / 11724, 1033 / 1034, 1042.

    `product` is name, version, manufacturer; `account` None for the system.
    """
    name, version, maker = product
    user = account.sid if account else "S-1-5-18"
    code = "{" + sha256(f"{name}{version}".encode()).hexdigest()[:32].upper() + "}"
    code = f"{code[:9]}-{code[9:13]}-{code[13:17]}-{code[17:21]}-{code[21:]}"
    binary = code.encode("ascii")

    def write(at: int, event: int, strings: list[str], payload: bytes | None) -> None:
        values = {"Data": tuple(strings), "Binary": payload}
        sim.event(host, at, f"application.{event}", values, mark, user=user)

    begun = [package, str(host.next_pid()), "(NULL)", "(NULL)", "(NULL)", "(NULL)", ""]
    write(moment, 1040, begun, None)
    done = "Installation completed successfully." if install else "Removal completed successfully."
    at = moment + 24 * SECOND
    empty = ["(NULL)"] * 5 + [""]
    write(at, 11707 if install else 11724, [f"Product: {name} -- {done}", *empty], binary)
    details = [name, version, "1041", "0", maker, "(NULL)", ""]
    write(at + 10 * MILLISECOND, 1033 if install else 1034, details, binary)
    write(at + SECOND, 1042, begun, None)


def shutdown(sim: Simulation, moment: int, host: Host, account: Account, reason: str, down: int) -> None:
    """Write a restart: 1074, 6006, 13, then, `down` microseconds later, 12, 6009, 6005, 4608 and the like."""
    who = account.logon_name
    values = {
        "param1": f"{SYSTEM32}svchost.exe ({host.name})", "param2": host.name, "param3": reason,
        "param4": "0x80020010", "param5": "restart", "param6": "", "param7": who,
    }  # fmt: skip
    sim.event(host, moment, "system.1074", values, user=account.sid)
    sim.event(host, moment + 8 * SECOND, "security.1100", {})
    sim.event(host, moment + 9 * SECOND, "system.6006", {"Data": ("",), "Binary": b"\1\0\0\0\0\0\0\0"})
    stop = moment + 12 * SECOND
    sim.event(host, stop, "system.13", {"StopTime": stop + host.clock_offset})
    boot = moment + down
    sim.event(host, boot, "system.12", {
        "MajorVersion": 10, "MinorVersion": 0, "BuildVersion": int(host.build), "QfeVersion": 3803,
        "ServiceVersion": 0, "BootMode": 0, "StartTime": boot + host.clock_offset - 500 * MILLISECOND,
    })  # fmt: skip
    up = boot + 15 * SECOND
    edition = ("10.00.", host.build, "", "Multiprocessor Free", "0")
    sim.event(host, up, "system.6009", {"Data": edition, "Binary": None})
    sim.event(host, up, "system.6005", {"Data": ("",), "Binary": b""})
    sim.event(host, up, "security.4608", {})
    sim.event(host, up, "security.4902", {"PuaCount": 0, "PuaPolicyId": host.rng.randrange(0x5000, 0xFFFF)})
    sim.event(host, up + SECOND, "security.5033", {})
    sim.event(host, up + 2 * SECOND, "security.5024", {})


def uptime(sim: Simulation, moment: int, host: Host, seconds: int) -> None:
    """Write 6013: the time since the start of the system, once a day at noon."""
    strings = ("", "", "", "", str(seconds), "60", "-540 Tokyo Standard Time")
    sim.event(host, moment, "system.6013", {"Data": strings, "Binary": None})


def printed(
    sim: Simulation, moment: int, host: Host, account: Account, client: str, document: str, printer: str,
    pages: int, mark: int | None = None,
) -> None:  # fmt: skip
    """Write 307: a document was printed."""
    values = {
        "Param1": host.rng.randrange(2, 250), "Param2": document, "Param3": account.name,
        "Param4": f"\\\\{client}", "Param5": printer, "Param6": f"{printer}_PORT",
        "Param7": pages * 61_440, "Param8": pages,
    }  # fmt: skip
    sim.event(host, moment, "print.307", values, mark, user=account.sid)


def powershell_started(
    sim: Simulation, moment: int, host: Host, command: str, mark: int | None = None
) -> None:
    """Write the engine's 600 and 400 in `Windows PowerShell`."""
    rng = host.rng
    common = (
        f"\tHostName=ConsoleHost\r\n\tHostVersion=5.1.{host.build}.1\r\n\tHostId={sim.guid(rng)[1:-1].lower()}"
        f"\r\n\tHostApplication={command}\r\n\tEngineVersion={{engine}}\r\n\tRunspaceId={{runspace}}"
        "\r\n\tPipelineId=\r\n\tCommandName=\r\n\tCommandType=\r\n\tScriptName=\r\n\tCommandPath="
        "\r\n\tCommandLine="
    )
    number = 1
    for provider in ("Registry", "FileSystem", "Function"):
        details = common.format(engine="", runspace="")
        text = f"\tProviderName={provider}\r\n\tNewProviderState=Started\r\n"
        text += f"\r\n\tSequenceNumber={number}\r\n\r\n"
        values = {"Data": (provider, "Started", text + details), "Binary": None}
        sim.event(host, moment + number * MILLISECOND, "powershell.600", values, mark)
        number += 2
    details = common.format(engine=f"5.1.{host.build}.1", runspace=sim.guid(rng)[1:-1].lower())
    text = (
        f"\tNewEngineState=Available\r\n\tPreviousEngineState=None\r\n\r\n\tSequenceNumber={number}\r\n\r\n"
    )
    values = {"Data": ("Available", "None", text + details), "Binary": None}
    sim.event(host, moment + 300 * MILLISECOND, "powershell.400", values, mark)
