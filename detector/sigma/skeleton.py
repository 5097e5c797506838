"""The frame of a new rule and of its test events."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from detector.errors import RuleError
from detector.sigma.channels import SERVICES
from detector.sigma.logsources import LogSource, source, sources_of, why_not_read

#: What a file name of SigmaHQ begins with, by category; others begin with `win_` and their service.
_PREFIXES = {
    "process_creation": "proc_creation_win_",
    "file_event": "file_event_win_",
    "registry_set": "registry_set_",
    "registry_event": "registry_event_",
    "process_access": "proc_access_win_",
    "pipe_created": "pipe_created_win_",
    "driver_load": "driver_load_win_",
    "image_load": "image_load_win_",
    "network_connection": "net_connection_win_",
    "create_remote_thread": "create_remote_thread_win_",
    "dns_query": "dns_query_win_",
    "ps_script": "posh_ps_",
    "ps_module": "posh_pm_",
}

#: A field to begin with, by category.
_FIELDS = {
    "process_creation": ("Image|endswith", "\\example.exe"),
    "process_access": ("TargetImage|endswith", "\\example.exe"),
    "image_load": ("ImageLoaded|endswith", "\\example.dll"),
    "driver_load": ("ImageLoaded|endswith", "\\example.sys"),
    "network_connection": ("Image|endswith", "\\example.exe"),
    "create_remote_thread": ("TargetImage|endswith", "\\example.exe"),
    "file_event": ("TargetFilename|endswith", "\\example.txt"),
    "registry_set": ("TargetObject|contains", "\\Example\\"),
    "registry_event": ("TargetObject|contains", "\\Example\\"),
    "pipe_created": ("PipeName|startswith", "\\example"),
    "dns_query": ("QueryName|endswith", ".example.com"),
    "ps_script": ("ScriptBlockText|contains", "Invoke-Example"),
    "firewall": ("dst_port", "3389"),
    "vpn": ("user", "example"),
}

_TEMPLATE = """\
title: {title}
id: {id}
status: experimental
description: Detects TODO, and what the log source must be set to record for it.
references:
    - https://example.com/TODO
author: {author}
date: {date}
tags:
    - attack.todo
logsource:
{logsource}
detection:
    selection:
        {field}: {value}
    condition: selection
falsepositives:
    - TODO
level: {level}
"""


@dataclass(frozen=True)
class Skeleton:
    """The files of a new rule: the rule, and its test events; `name` is the file name without suffix."""

    name: str
    rule_id: str
    rule: str
    tests: str


def skeleton(title: str, logsource: LogSource, level: str, author: str, today: date) -> Skeleton:
    """Return the frame of a rule, with a random id; raises RuleError for a log source that is not read."""
    if not sources_of(logsource):
        raise RuleError(f"{why_not_read(logsource)}; known services: {', '.join(SERVICES)}")
    rule_id = str(uuid.uuid4())
    field, value = _FIELDS.get(logsource.category or "", ("EventID", "1"))
    named = (("product", logsource.product), ("category", logsource.category), ("service", logsource.service))
    text = _TEMPLATE.format(
        title=_scalar(title),
        id=rule_id,
        author=_scalar(author),
        date=today.isoformat(),
        logsource="\n".join(f"    {key}: {name}" for key, name in named if name),
        field=field,
        value=value if value.isdigit() else f"'{value}'",
        level=level,
    )
    tests = _tests(rule_id, logsource, field, value)
    return Skeleton(file_name(title, logsource), rule_id, text, tests)


def file_name(title: str, logsource: LogSource) -> str:
    """Return a file name as SigmaHQ's rules have it, without suffix."""
    words = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    prefix = _PREFIXES.get(logsource.category or "")
    if prefix is None:
        kind = logsource.category or logsource.service or logsource.product or "rule"
        prefix = ("win_" if logsource.product == "windows" else "") + kind.replace("-", "_") + "_"
    return (prefix + (words or "new_rule"))[:86].rstrip("_")


def _scalar(text: str) -> str:
    """Return a text as YAML reads it back: as it is where that is safe, in single quotes otherwise."""
    plain = re.fullmatch(r"[A-Za-z][\w ,.()/-]*", text) is not None and text == text.strip()
    words = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
    return text if plain and text.lower() not in words else "'" + text.replace("'", "''") + "'"


def _tests(rule_id: str, logsource: LogSource, field: str, value: str) -> str:
    name = field.partition("|")[0]
    first = source(sources_of(logsource)[0])
    event: dict[str, object] = {}
    table = "windows"
    if first.kind == "network":
        table = first.views[0]
    else:
        event = dict(_head(logsource, first.event_ids))
    example: object = int(value) if value.isdigit() else f"C:{value}" if name.endswith("Image") else value
    other: object = example + 1 if isinstance(example, int) else "TODO a value near it"
    given = {
        "rule": rule_id,
        "hits": [{"name": "TODO what happens", "table": table, "event": {**event, name: example}}],
        "misses": [
            {"name": "TODO what is near it", "like": "TODO what happens", "change": {name: other}},
        ],
    }
    return json.dumps(given, indent=2, ensure_ascii=False) + "\n"


def _head(logsource: LogSource, event_ids: tuple[int, ...]) -> Mapping[str, object]:
    """Return the columns that say which log an event is of."""
    service = logsource.service or {"ps_script": "powershell", "ps_module": "powershell"}.get(
        logsource.category or "", "sysmon"
    )
    channel = SERVICES.get(service, ("System",))[0]
    providers = {
        "Security": "Microsoft-Windows-Security-Auditing",
        "Microsoft-Windows-PowerShell/Operational": "Microsoft-Windows-PowerShell",
    }
    provider = providers.get(channel, channel.partition("/")[0])
    return {"Channel": channel, "Provider_Name": provider, "EventID": event_ids[0] if event_ids else 1}


def write_skeleton(given: Skeleton, folder: Path) -> tuple[Path, Path]:
    """Write the rule and its tests (in `tests` below the folder); raises RuleError if one is there."""
    rule = folder / f"{given.name}.yml"
    tests = folder / "tests" / f"{given.name}.json"
    try:
        tests.parent.mkdir(parents=True, exist_ok=True)
        for path in (rule, tests):
            if path.exists():
                raise RuleError(f"{path} is there already: give another --title or --folder")
        for path, text in ((rule, given.rule), (tests, given.tests)):
            with path.open("x", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
    except OSError as error:
        raise RuleError(f"{error.filename or folder} cannot be written: {error.strerror or error}") from error
    return rule, tests
