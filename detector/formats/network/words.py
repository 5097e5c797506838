"""What words of devices mean in the closed lists, for formats that any vendor may write."""

from __future__ import annotations

import re
from functools import lru_cache

#: Words of actions; each with what it is and what came of it. The line's own outcome wins.
_ACTIONS: dict[str, tuple[str, str]] = {
    word: meaning
    for meaning, words in {
        ("allow", "success"): "accept accepted allow allowed permit permitted pass passed forward forwarded "
        "start open opened built initiated monitor monitored detect detected alert alerted log logged "
        "notified bypass bypassed exempt passthrough connect connected established",
        ("close", "success"): "close closed end ended teardown finish finished terminate terminated timeout "
        "disconnect disconnected",
        ("deny", "failure"): "deny denied block blocked reject rejected refuse refused prevent prevented "
        "quarantine quarantined prohibited",
        ("drop", "failure"): "drop dropped discard discarded clear_session",
        ("reset", "failure"): "reset",
        ("login", "unknown"): "login logon logged-in signin authenticate authentication auth",
        ("logout", "success"): "logout logoff signout logged-out",
        ("create", "success"): "add added create created insert",
        ("modify", "success"): "edit edited modify modified change changed update updated set configure",
        ("delete", "success"): "delete deleted remove removed purge",
    }.items()
    for word in words.split()
}
_OUTCOMES: dict[str, str] = {
    **dict.fromkeys(
        ("success", "successful", "succeed", "succeeded", "ok", "done", "pass", "passed", "true", "granted"),
        "success",
    ),
    **dict.fromkeys(
        ("failure", "failed", "fail", "failing", "error", "denied", "invalid", "rejected", "refused", "false",
         "unsuccessful", "incorrect", "locked"),
        "failure",
    ),
}  # fmt: skip
_WORD = re.compile(r"[a-z][a-z_\-]*")
#: Longer texts are sentences, not words for what was done.
_MAX = 200


@lru_cache(maxsize=4096)
def action_of(text: str | None) -> tuple[str, str]:
    """Return (action, outcome) by the first word that is known; ('other', 'unknown') if none is."""
    for word in _words(text):
        if (found := _ACTIONS.get(word)) is not None:
            return found
    return "other", "unknown"


@lru_cache(maxsize=4096)
def outcome_of(text: str | None) -> str:
    """Return the outcome by the words for it: 'failure' if one says so, else 'success', else 'unknown'."""
    found = {_OUTCOMES[word] for word in _words(text) if word in _OUTCOMES}
    return "failure" if "failure" in found else "success" if found else "unknown"


def _words(text: str | None) -> list[str]:
    """Return the words of a text, and the parts of those joined by a hyphen or underscore behind them."""
    if not text:
        return []
    words = _WORD.findall(text[:_MAX].lower())
    return [part for word in words for part in dict.fromkeys((word, *re.split(r"[_\-]", word)))]
