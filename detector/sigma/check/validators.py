"""The validators that come with pySigma (`sigma check`), run without the internet.

Left out: `attacktag` and `d3_fendtag`, which download data (ATT&CK tags are checked in `attack`), those that
compare files with each other (done for the whole set in `run`), what other modules here say more exactly, and
`escaped_wildcard`: of its 63 findings in SigmaHQ's rules, those that were read are meant literally.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any

from sigma.exceptions import SigmaError
from sigma.plugins import InstalledSigmaPlugins
from sigma.rule import SigmaDetectionItem, SigmaLogSource, SigmaRule
from sigma.types import SigmaString
from sigma.validation import SigmaValidator

from detector.sigma.check.places import Place, Places
from detector.sigma.check.schema import Said

LEFT_OUT = frozenset(
    {
        "attacktag", "d3_fendtag", "duplicate_filename", "duplicate_title", "identifier_uniqueness",
        "dangling_condition", "fieldname_logsource", "custom_attributes", "tag_format",
        "escaped_wildcard",
    }
)  # fmt: skip

#: What to write instead, by the name of the issue.
_INSTEAD = {
    "DanglingDetectionIssue": "the selection is not used in the condition: use it or delete it",
    "NumberAsStringIssue": "a number in quotes: write it without",
    "DoubleWildcardIssue": "two * in a row mean the same as one",
    "IdentifierExistenceIssue": "a rule needs an id; `detector rules new` makes one",
    "WildcardsInsteadOfContainsModifierIssue": "write |contains instead of * on both sides",
    "WildcardInsteadOfStartswithIssue": "write |startswith instead of a * at the end",
    "WildcardInsteadOfEndswithIssue": "write |endswith instead of a * at the beginning",
    "ThemConditionWithSingleDetectionIssue": "there is one selection only: write its name instead of 'them'",
    "AllOfThemConditionIssue": "'all of them' also means filters: write 'all of selection_*'",
    "DuplicateReferencesIssue": "the reference is there twice",
    "DuplicateTagIssue": "the tag is there twice",
    "AllWithoutContainsModifierIssue": "'all' needs another modifier: no field equals several values",
    "Base64OffsetWithoutContainsModifierIssue": "base64offset needs contains: write |base64offset|contains",
    "WindowsDashCombinedWithAllModifierIssue": "windash and all: no command line has every kind of dash",
}


@cache
def _validator_classes() -> tuple[Any, ...]:
    # Plugins may bring validators of their own: only those of pySigma itself are the same everywhere.
    known = InstalledSigmaPlugins.autodiscover().validators
    return tuple(
        kind
        for name, kind in sorted(known.items())
        if name not in LEFT_OUT and kind.__module__.startswith("sigma.validators.core")
    )


def validator_findings(rule: SigmaRule, places: Places) -> Iterator[Said]:
    """Yield what the validators say of one rule."""
    validator = SigmaValidator(_validator_classes())
    try:
        issues = [*validator.validate_rule(rule), *validator.finalize()]
    except (SigmaError, AttributeError, TypeError, ValueError):
        # A rule that pySigma reads and its validators cannot; what is wrong with it is said elsewhere.
        return
    for issue in issues:
        name = type(issue).__name__
        details = [
            getattr(issue, field.name)
            for field in fields(issue)
            if field.name not in ("rules", "severity", "description")
        ]
        message = _INSTEAD.get(name) or _sentence(str(issue.description), details)
        yield "warning", f"{message} ({name.removesuffix('Issue')})", _place(details, places)


def _sentence(description: str, details: list[Any]) -> str:
    shown = [str(each) for each in details if isinstance(each, str | int)]
    shown += [f"category: {each.category}" for each in details[2:3] if isinstance(each, SigmaLogSource)]
    return f"{description}: {', '.join(shown)}" if shown else description


def _place(details: list[Any], places: Places) -> Place:
    for each in details:
        if isinstance(each, SigmaLogSource):
            return places.key("logsource")
        if isinstance(each, SigmaDetectionItem):
            return _of_item(each, places)
        for text in _texts(each):
            found = _of_text(text, places)
            if found is not None:
                return found
    return places.value("id") if not details else places.key("title")


def _of_item(item: SigmaDetectionItem, places: Places) -> Place:
    for path, place in places.keys().items():
        last = path[-1] if path else None
        if isinstance(last, str) and len(path) > 2 and last.split("|")[0] == (item.field or ""):
            values = item.original_value
            listed = values if isinstance(values, list) else [values]
            texts = {text for each in listed for text in _texts(each)}
            if any(_of_text(text, places, path) for text in texts):
                return place
    return places.key("detection")


def _texts(value: Any) -> list[str]:
    if isinstance(value, SigmaString):
        return [str(value), value.to_plain()]
    return [str(value)] if value is not None else []


def _of_text(text: str, places: Places, below: tuple[str | int, ...] = ()) -> Place | None:
    """Return the place of a scalar of this text, or of a key, escapes left aside."""
    wanted = re.sub(r"\\+", "", text)
    for path, written in places.scalars().items():
        if path[: len(below)] == below and re.sub(r"\\+", "", written) == wanted:
            return places.value(*path)
    for path, place in places.keys().items():
        if path and path[-1] == text:
            return place
    return None
