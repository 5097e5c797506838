"""The tools of other people take the pack: sigma-cli's validators, Splunk's and Elasticsearch's backends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sigma.backends.elasticsearch import EqlBackend, ESQLBackend, LuceneBackend
from sigma.backends.splunk import SplunkBackend
from sigma.collection import SigmaCollection
from sigma.pipelines.elasticsearch import ecs_windows
from sigma.pipelines.splunk import splunk_windows_pipeline
from sigma.plugins import InstalledSigmaPlugins
from sigma.validation import SigmaValidator

from tests.rules.pack import RULES, rule_paths

#: These two download the ATT&CK and D3FEND data when they run; tags are checked in test_all_rules.
ONLINE = {"attacktag", "d3_fendtag"}


@pytest.fixture(scope="module")
def collection() -> SigmaCollection:
    return SigmaCollection.load_ruleset([RULES])


def test_the_collection_is_the_pack(collection: SigmaCollection) -> None:
    """Test events beside the rules are not taken for rules."""
    assert len(collection.rules) == len(rule_paths())
    assert not collection.errors


def test_validators_find_nothing(collection: SigmaCollection) -> None:
    known = InstalledSigmaPlugins.autodiscover().validators
    assert known.keys() >= ONLINE
    validator = SigmaValidator(kind for name, kind in known.items() if name not in ONLINE)
    assert [str(issue) for issue in validator.validate_rules(iter(collection.rules))] == []


def test_sigma_check_passes() -> None:
    tool = Path(sys.executable).with_name("sigma.exe" if sys.platform == "win32" else "sigma")
    if not tool.exists():
        pytest.skip(f"no sigma-cli beside {sys.executable}")
    command = [tool, "check", "--fail-on-issues", "-x", "attacktag", "-x", "d3_fendtag", RULES]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param(lambda: SplunkBackend(), id="splunk"),
        pytest.param(lambda: SplunkBackend(splunk_windows_pipeline()), id="splunk with its pipeline"),
        pytest.param(lambda: LuceneBackend(), id="lucene"),
        pytest.param(lambda: LuceneBackend(ecs_windows()), id="lucene with ECS"),
        pytest.param(lambda: EqlBackend(ecs_windows()), id="eql with ECS"),
        pytest.param(lambda: ESQLBackend(), id="esql"),
    ],
)
def test_every_rule_converts(backend: object) -> None:
    converter = backend()  # type: ignore[operator]
    for path in rule_paths():
        queries = converter.convert(SigmaCollection.from_yaml(path.read_text(encoding="utf-8")))
        assert len(queries) == 1, path
        assert queries[0].strip(), path
