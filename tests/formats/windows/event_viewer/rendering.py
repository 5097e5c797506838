"""Turns events into the CSV that Event Viewer would save of them, with message texts of Windows.

The texts in `ja.txt` and `en.txt` are whole messages with places for values; nothing of the product's tables is
used. What Event Viewer does is done here too: SIDs are shown as account names, codes (%%1833) as texts.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from detector.tables.windows import SYSTEM_COLUMNS

_PLACE = re.compile(r"\{([^{}]+)\}")
_SYSTEM = list(SYSTEM_COLUMNS)

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
    time: str
    levels: dict[int, str]
    codes: dict[str, str]


LANGUAGES = {
    "ja": Language(
        ["レベル", "日付と時刻", "ソース", "イベント ID", "タスクのカテゴリ"],
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


def message(system: dict[str, Any], fields: dict[str, str | None], language: str) -> str:
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
            return _account(shown, name, fields)
        if name == "MandatoryLabel":
            return _LABELS.get(shown, shown)
        codes = LANGUAGES[language].codes
        return re.sub(r"%%\d+", lambda code: codes.get(code[0], code[0]), shown)

    return _PLACE.sub(value, text).replace("\r\n", "\n")


def _account(sid: str, name: str, fields: dict[str, str | None]) -> str:
    """Return a SID as Event Viewer shows it: by the name of the account, which the event often has too."""
    prefix = name.removesuffix("UserSid").removesuffix("Sid")
    user, domain = fields.get(f"{prefix}UserName"), fields.get(f"{prefix}DomainName")
    if not sid.startswith("S-1-5-21-"):
        return _NAMES.get(sid, sid)
    return f"{domain}\\{user}" if user and domain else sid


def rows(
    events: Iterable[tuple[tuple[Any, ...], tuple[str, ...], Iterable[str | None]]],
    language: str,
    zone: ZoneInfo,
) -> list[list[str]]:
    """Return the rows of events, newest first, behind the header."""
    told = LANGUAGES[language]
    found = []
    for values, names, data in events:
        system = dict(zip(_SYSTEM, values, strict=True))
        time: datetime = system["TimeCreated"].astimezone(zone)
        shown = time.strftime(told.time)
        level = told.levels[system["Level"] or 0]
        text = message(system, dict(zip(names, data, strict=True)), language)
        row = [level, shown, system["Provider_Name"], str(system["EventID"]), "", text]
        found.append((time, system["EventRecordID"] or 0, row))
    found.sort(key=lambda item: item[:2], reverse=True)
    return [told.header, *(row for _, _, row in found)]


def csv_of(table: list[list[str]], delimiter: str = ",") -> str:
    """Return rows as Event Viewer writes them: only the message in quotes, always, and CRLF."""
    out = io.StringIO()
    plain = csv.writer(out, delimiter=delimiter, lineterminator="")
    for row in table:
        plain.writerow(row[:5])
        if len(row) > 5:
            quoted = row[5].replace('"', '""').replace("\n", "\r\n")
            out.write(f'{delimiter}"{quoted}"')
        out.write("\r\n")
    return out.getvalue()
