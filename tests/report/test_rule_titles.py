"""Every rule of the project's own pack has a Japanese title, and the Japanese outputs show it."""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from detector.engines import Engine
from detector.report.output import Style, timeline_output
from detector.report.safe_text import width
from detector.report.texts import load, rule_titles
from detector.tables.evidence import EVIDENCE_COLUMNS
from detector.tables.results import schema
from tests.incidents.made_up import Logs, hit
from tests.rules.pack import RULES, rule, rule_paths

#: Columns of a terminal, two for a full-width character: 40 of these.
WIDEST = 80
LOG_CLEARED = "49eed29a-d1a3-4d0b-b9f4-989c7c8e8191"
FOREIGN = "00000000-0000-4000-8000-000000000001"


def text() -> str:
    return files("detector.report").joinpath("locale", "rules.ja.toml").read_text(encoding="utf-8")


def titles() -> dict[str, str]:
    return tomllib.loads(text())


def names_and_ids() -> list[tuple[str, str]]:
    """Return file name and id of each rule, in the order of the rules' paths."""
    paths = sorted(rule_paths(), key=lambda path: path.relative_to(RULES).with_suffix("").parts)
    return [(path.stem, rule(path)["id"]) for path in paths]


def test_every_rule_has_a_title_and_no_title_lacks_its_rule() -> None:
    ids = {rule(path)["id"]: path.stem for path in rule_paths()}
    assert ids
    missing = {stem for rule_id, stem in ids.items() if rule_id not in titles()}
    assert not missing, "no title in detector/report/locale/rules.ja.toml"
    assert not set(titles()) - set(ids), "titles of rules that do not exist"


def test_titles_stand_in_the_order_of_the_rules_below_their_file_names() -> None:
    found = re.findall(r"^# (\w+)\n([0-9a-f-]{36}) = ", text(), re.MULTILINE)
    assert found == names_and_ids()


def test_titles_are_unique() -> None:
    assert [title for title, count in Counter(titles().values()).items() if count > 1] == []


def test_titles_are_short_japanese_headings() -> None:
    for rule_id, title in titles().items():
        assert re.search(r"[\u3041-\u30ff\u4e00-\u9fff]", title), (rule_id, title)
        assert title == title.strip(), (rule_id, title)
        assert not title.endswith(("。", "、", ".", "する", "した", "された", "である")), (rule_id, title)
        # Half-width katakana, full-width Latin letters and digits are not used in the locale.
        assert not re.search(r"[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff65-\uff9f]", title), (
            rule_id,
            title,
        )
        assert width(title) <= WIDEST, (rule_id, title)


def test_own_rule_is_translated_and_foreign_rule_keeps_its_title() -> None:
    own = "Security Log Cleared"
    assert load("ja").rule(LOG_CLEARED, own) == "セキュリティログの消去"
    assert load("ja").rule(LOG_CLEARED.upper(), own) == "セキュリティログの消去"
    assert load("en").rule(LOG_CLEARED, own) == own
    assert load("ja").rule(FOREIGN, "A Rule Of Somebody Else") == "A Rule Of Somebody Else"


def test_titles_are_read_only_when_a_rule_is_shown() -> None:
    rule_titles.cache_clear()
    load.cache_clear()
    texts = load("ja")
    assert rule_titles.cache_info().currsize == 0
    texts.rule(LOG_CLEARED, "")
    assert rule_titles.cache_info().currsize == 1


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    logs = Logs()
    logs.hits += [
        hit(1, "EMR01", LOG_CLEARED, step="defense_evasion", rule_title="Security Log Cleared"),
        hit(2, "EMR01", FOREIGN, rule_title="A Rule Of Somebody Else"),
    ]
    incidents, timeline = logs.tables()
    with Engine() as opened:
        opened.register("incidents", incidents)
        opened.register("timeline", timeline)
        opened.register("evidence", pa.Table.from_pylist([], schema=schema(EVIDENCE_COLUMNS)))
        yield opened


def style(language: str) -> Style:
    return Style(load(language), ZoneInfo("Asia/Tokyo"), 100, "mycase")


@pytest.mark.parametrize(
    ("language", "own"), [("ja", "セキュリティログの消去"), ("en", "Security Log Cleared")]
)
def test_timeline_shows_the_title_of_the_language(engine: Engine, language: str, own: str) -> None:
    table = "".join(timeline_output(engine, "csv", style(language)))
    rows = list(csv.reader(io.StringIO(table.removeprefix("\ufeff"), newline="")))
    column = rows[0].index(load(language).label("what"))
    assert [row[column] for row in rows[1:]] == [own, "A Rule Of Somebody Else"]
    for form in ("table", "markdown"):
        shown = "".join(timeline_output(engine, form, style(language)))
        assert own in shown
        assert ("Security Log Cleared" in shown) == (language == "en")


def test_json_lines_keep_the_rule_of_every_language(engine: Engine) -> None:
    """Programs that read the output find the rule by its id and its own title, whatever the language."""
    lines = [json.loads(line) for line in timeline_output(engine, "jsonl", style("ja"))]
    assert lines[0]["source_id"] == LOG_CLEARED
    assert lines[0]["title"] == "Security Log Cleared"
