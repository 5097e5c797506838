"""Texts in the user's language: `locale/en.toml` and `locale/ja.toml`, the same keys in both.

Rules have English titles of their own; `locale/rules.ja.toml` has those of the project's pack in Japanese.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from detector.errors import OutputError

LANGUAGES: tuple[str, ...] = ("en", "ja")

#: Details of findings whose values are keywords of the stages, translated by the section [values].
KEYWORDS: frozenset[str] = frozenset({"kinds", "kind", "ways", "actions", "zone"})


class Texts:
    """The texts of one language. A text that is missing shows as its key, never as an error."""

    def __init__(self, language: str, tables: Mapping[str, Any]) -> None:
        self.language = language
        self._tables = tables

    def text(self, section: str, key: str, values: Mapping[str, object] | None = None) -> str:
        """Return a text with its {places} filled from `values`; a value that is missing shows as ?."""
        found = self._tables.get(section, {}).get(key)
        return fill(found, values or {}) if isinstance(found, str) else key

    def label(self, key: str) -> str:
        """Return a heading or another short text of the output."""
        return self.text("labels", key)

    def count(self, key: str, number: int) -> str:
        """Return a text that says how many: `key` or, for one in English, `key_one`."""
        singular = f"{key}_one"
        chosen = singular if number == 1 and singular in self._tables.get("counts", {}) else key
        return self.text("counts", chosen, {"n": f"{number:,}"})

    def stage_title(self, stage: str) -> str:
        """Return the title of a stage, its id if the language has none for it."""
        found = self._tables.get("stages", {}).get(stage, {}).get("title")
        return found if isinstance(found, str) else stage

    def stage_sentence(self, stage: str, values: Mapping[str, str]) -> str:
        """Return what a finding says, in the parts of the stage's sentence that apply.

        The first part always does; another one if all its places have a value and its condition
        (`key=value:` before the text), if it has one, holds.
        """
        parts = self._tables.get("stages", {}).get(stage, {}).get("sentence", [])
        shown = {key: self._words(value) if key in KEYWORDS else value for key, value in values.items()}
        chosen: list[str] = []
        for index, part in enumerate(parts):
            condition, template = split_condition(part)
            if condition is not None and values.get(condition[0]) != condition[1]:
                continue
            if index == 0 or all(values.get(place) for place in places(template)):
                chosen.append(fill(template, shown))
        return "".join(chosen)

    def _words(self, value: str) -> str:
        """Return a list of keywords in the user's language."""
        words = [self.text("values", word) for word in value.split(", ")]
        return self.text("sentences", "comma").join(words)

    def has(self, section: str, key: str) -> bool:
        """Whether there is a text of this key."""
        return isinstance(self._tables.get(section, {}).get(key), str)

    def rule(self, rule_id: str, title: str) -> str:
        """Return the title of a rule: the translated one where there is one, else the rule's own."""
        return rule_titles(self.language).get(rule_id.lower(), title)


@cache
def load(language: str) -> Texts:
    """Return the texts of a language of `LANGUAGES`; raises OutputError for another."""
    if language not in LANGUAGES:
        raise OutputError(f"no texts in language {language!r}; there are {', '.join(LANGUAGES)}")
    folder = files("detector.report").joinpath("locale")
    tables = tomllib.loads(folder.joinpath(f"{language}.toml").read_text(encoding="utf-8"))
    return Texts(language, tables)


@cache
def rule_titles(language: str) -> Mapping[str, str]:
    """Return the titles of the project's own rules by id, read when the first rule is shown.

    Empty for English, in which the rules themselves are written.
    """
    source = files("detector.report").joinpath("locale", f"rules.{language}.toml")
    return tomllib.loads(source.read_text(encoding="utf-8")) if source.is_file() else {}


_CONDITION = re.compile(r"(\w+)=(\w+):", re.ASCII)


def split_condition(part: str) -> tuple[tuple[str, str] | None, str]:
    """Split a part of a sentence into its condition (key, value), None if it has none, and its template."""
    found = _CONDITION.match(part)
    return ((found[1], found[2]), part[found.end() :]) if found else (None, part)


def places(template: str) -> set[str]:
    """Return the names of the {places} of a template."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def fill(template: str, values: Mapping[str, object]) -> str:
    """Fill the {places} of a template; values are put in as text and never read as templates."""
    parts: list[str] = []
    for literal, name, _, _ in string.Formatter().parse(template):
        parts.append(literal)
        if name is not None:
            value = values.get(name)
            parts.append("?" if value is None or value == "" else str(value))
    return "".join(parts)
