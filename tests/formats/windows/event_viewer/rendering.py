"""Turns events into the CSV that Event Viewer would save of them, with message texts of Windows.

The texts in `ja.txt` and `en.txt` are whole messages with places for values; nothing of the product's tables
is used. What Event Viewer does is done here too: SIDs are shown as account names, codes (%%1833) as texts.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from detector.tables.windows import SYSTEM_COLUMNS

_PLACE = re.compile(r"\{([^{}]+)\}")
_SYSTEM = list(SYSTEM_COLUMNS)
#: Names of the first column, by which a header is told.
_FIRST = ("レベル", "キーワード", "Level", "Keywords", "Ebene")

#: Accounts that every Windows shows by name.
_NAMES = {
    "S-1-0-0": "NULL SID",
    "S-1-5-18": "SYSTEM",
    "S-1-5-19": "LOCAL SERVICE",
    "S-1-5-20": "NETWORK SERVICE",
}
_LABELS = {
    "S-1-16-4096": "Mandatory Label\\Low Mandatory Level",
    "S-1-16-8192": "Mandatory Label\\Medium Mandatory Level",
    "S-1-16-12288": "Mandatory Label\\High Mandatory Level",
    "S-1-16-16384": "Mandatory Label\\System Mandatory Level",
}


class Language(NamedTuple):
    """What differs between the languages, beside the messages."""

    header: list[str]
    user: str
    time: str
    levels: dict[int, str]
    codes: dict[str, str]


LANGUAGES = {
    "ja": Language(
        ["レベル", "日付と時刻", "ソース", "イベント ID", "タスクのカテゴリ"],
        "ユーザー",
        "%Y/%m/%d %H:%M:%S",
        {0: "情報", 1: "重大", 2: "エラー", 3: "警告", 4: "情報", 5: "詳細"},
        {
            "%%1832": "識別", "%%1833": "偽装", "%%1840": "委任", "%%1842": "はい", "%%1843": "いいえ",
            "%%2313": "ユーザー名を認識できないか、またはパスワードが間違っています。",
            "%%4416": "ReadData (または ListDirectory)", "%%4484": "プロセス メモリからの読み取り",
        },
    ),
    "en": Language(
        ["Level", "Date and Time", "Source", "Event ID", "Task Category"],
        "User",
        "%m/%d/%Y %I:%M:%S %p",
        {0: "Information", 1: "Critical", 2: "Error", 3: "Warning", 4: "Information", 5: "Verbose"},
        {
            "%%1832": "Identification", "%%1833": "Impersonation", "%%1840": "Delegation", "%%1842": "Yes",
            "%%1843": "No", "%%2313": "Unknown user name or bad password.",
            "%%4416": "ReadData (or ListDirectory)", "%%4484": "Read from process memory",
        },
    ),
}  # fmt: skip


@cache
def texts(language: str) -> dict[tuple[str, int], str]:
    """Return the message texts of a language by provider and event id."""
    found = {}
    whole = (Path(__file__).parent / f"{language}.txt").read_text(encoding="utf-8")
    for part in whole.split("\n=== ")[1:]:
        head, _, text = part.partition("\n")
        provider, _, number = head.rpartition(" ")
        found[provider, int(number)] = text.rstrip("\n")
    return found


Event = tuple[tuple[Any, ...], tuple[str, ...], Sequence[str | None]]


def accounts(events: Iterable[Event]) -> dict[str, str]:
    """Return the names of accounts by SID, as a machine of the domain resolves them."""
    found = dict(_NAMES)
    for _, names, values in events:
        fields = dict(zip(names, values, strict=True))
        for sid, prefix in (
            ("TargetUserSid", "Target"),
            ("SubjectUserSid", "Subject"),
            ("TargetSid", "Target"),
        ):
            user, domain = fields.get(f"{prefix}UserName"), fields.get(f"{prefix}DomainName")
            if user and domain and str(fields.get(sid)).startswith("S-1-5-21-"):
                found.setdefault(str(fields[sid]), f"{domain}\\{user}")
    return found


def message(
    system: dict[str, Any], fields: dict[str, str | None], language: str, known: dict[str, str]
) -> str:
    """Return the message that Windows shows of an event."""
    text = texts(language).get((system["Provider_Name"], system["EventID"]))
    if text is None:
        return {"ja": "操作は正常に終了しました。", "en": "The operation completed."}[language]
    unnamed = (fields.get("Data") or "").split("\n", 2 if system["Provider_Name"] == "PowerShell" else -1)

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name.isdecimal():
            shown = unnamed[int(name)]
        else:
            shown = fields.get(name) or fields.get(f"EventData_{name}") or ""
        if name.endswith("Sid"):
            return known.get(shown, shown)
        if name == "MandatoryLabel":
            return _LABELS.get(shown, shown)
        codes = LANGUAGES[language].codes
        return re.sub(r"%%\d+", lambda code: codes.get(code[0], code[0]), shown)

    return _PLACE.sub(value, text).replace("\r\n", "\n")


def rows(
    events: Iterable[Event], language: str, zone: ZoneInfo, known: dict[str, str], user: bool = False
) -> list[list[str]]:
    """Return the rows of events, newest first, behind the header; `user`: with the column of the user."""
    told = LANGUAGES[language]
    found = []
    for values, names, data in events:
        system = dict(zip(_SYSTEM, values, strict=True))
        time: datetime = system["TimeCreated"].astimezone(zone)
        shown = time.strftime(told.time)
        level = told.levels[system["Level"] or 0]
        text = message(system, dict(zip(names, data, strict=True)), language, known)
        row = [level, shown, system["Provider_Name"], str(system["EventID"]), ""]
        if user:
            row.append(known.get(system["Security_UserID"] or "", system["Security_UserID"] or "N/A"))
        row.append(text)
        found.append((time, system["EventRecordID"] or 0, row))
    found.sort(key=lambda item: item[:2], reverse=True)
    return [told.header + ([told.user] if user else []), *(row for _, _, row in found)]


def csv_of(table: list[list[str]], delimiter: str = ",") -> str:
    """Return rows as Event Viewer writes them: only the message in quotes, always, and CRLF."""
    out = io.StringIO()
    plain = csv.writer(out, delimiter=delimiter, lineterminator="")
    for number, row in enumerate(table):
        plain.writerow(row if number == 0 and row[0] in _FIRST else row[:-1])
        if not (number == 0 and row[0] in _FIRST):
            quoted = row[-1].replace('"', '""').replace("\n", "\r\n")
            out.write(f'{delimiter}"{quoted}"')
        out.write("\r\n")
    return out.getvalue()
