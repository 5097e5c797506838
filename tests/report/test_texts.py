"""Every stage, step and label has both languages, and templates use only what the stages give."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import Any

import pytest

from detector.incidents.scoring import SEVERITIES
from detector.incidents.visibility import SOURCES
from detector.report.texts import LANGUAGES, fill, load, places, split_condition
from detector.tables.results import LEVELS
from detector.tables.steps import STEP_IDS

#: What the timeline adds to a finding's details (detector.report.timeline.what_was_done).
ALWAYS = {"host", "account", "source", "host_count"}
_STAGES = sorted(
    entry.name.removesuffix(".sql")
    for entry in files("detector.chain").joinpath("stages").iterdir()
    if entry.name.endswith(".sql")
)


def tables(language: str) -> dict[str, Any]:
    return tomllib.loads(
        files("detector.report").joinpath("locale", f"{language}.toml").read_text(encoding="utf-8")
    )


def details_of(stage: str) -> set[str]:
    sql = files("detector.chain").joinpath("stages", f"{stage}.sql").read_text(encoding="utf-8")
    found = re.search(r"MAP \{(.*?)\} AS details", sql, re.DOTALL)
    return set(re.findall(r"'(\w+)':", found[1])) if found else set()


def test_both_languages_have_the_same_keys() -> None:
    english, japanese = tables("en"), tables("ja")
    # English says "1 host"; Japanese has no number of the noun.
    for section in english:
        plain = {key for key in english[section] if section != "counts" or not key.endswith("_one")}
        assert plain == set(japanese[section]), section
    assert set(english) == set(japanese)


def test_same_text_has_the_same_places_in_both_languages() -> None:
    english, japanese = tables("en"), tables("ja")
    for section, texts in english.items():
        for key, text in texts.items():
            if isinstance(text, str) and key in japanese[section]:
                assert places(text) == places(japanese[section][key]), (section, key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_is_shown_by_name_has_a_text(language: str) -> None:
    texts = tables(language)
    assert set(texts["steps"]) == set(STEP_IDS)
    assert set(texts["levels"]) == set(LEVELS)
    assert set(texts["severities"]) == set(SEVERITIES)
    network = {
        source.channel for sources in SOURCES.values() for source in sources if source.channel.islower()
    }
    assert network <= set(texts["log_sources"])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("stage", _STAGES)
def test_stage_has_title_and_sentence_of_its_own_details(language: str, stage: str) -> None:
    text = tables(language)["stages"].get(stage)
    assert text is not None, f"{stage} has no text in {language}.toml"
    assert text["title"]
    for part in text["sentence"]:
        condition, template = split_condition(part)
        used = places(template) | ({condition[0]} if condition else set())
        assert used <= details_of(stage) | ALWAYS, (stage, part)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_for_a_stage_that_does_not_exist(language: str) -> None:
    assert set(tables(language)["stages"]) <= set(_STAGES)


def test_parts_of_a_sentence_are_shown_only_if_they_apply() -> None:
    texts = load("en")
    values = {"account": "meal", "source": "203.0.113.7", "new_country": "yes", "failures": "0"}
    sentence = texts.stage_sentence("initial_access_vpn_break_in", values | {"failures": ""})
    assert sentence == "meal logged in from 203.0.113.7; a country the account never used before"


def test_keywords_are_translated_and_others_stay() -> None:
    values = {"host": "DC1", "kinds": "ntds, something_new"}
    assert load("ja").stage_sentence("credential_access_dump", values) == (
        "DC1 において認証情報が取得された（ディレクトリデータベースの複製、something_new）"
    )


def test_values_are_never_read_as_templates() -> None:
    assert fill("by {account}", {"account": "{host} {0} {"}) == "by {host} {0} {"
    assert fill("by {account}", {}) == "by ?"


@pytest.mark.parametrize(
    ("language", "shown"), [("en", "outside the maintenance window; at night"), ("ja", "夜間")]
)
def test_the_hour_of_a_vpn_login_is_shown(language: str, shown: str) -> None:
    values = {"account": "meal", "source": "203.0.113.7", "outside_window": "yes", "at_night": "yes"}
    assert shown in load(language).stage_sentence("initial_access_vpn_break_in", values)
    assert shown not in load(language).stage_sentence(
        "initial_access_vpn_break_in", {**values, "at_night": ""}
    )
