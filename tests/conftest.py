"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).parents[1] / ".." / "shared" / "corpus"
CORPUS = Path(os.environ.get("DETECTOR_CORPUS", _BESIDE)).resolve()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Return the folder of recordings that nobody here wrote; the test is skipped where it is absent."""
    if not CORPUS.is_dir():
        pytest.skip(f"no recordings at {CORPUS} (DETECTOR_CORPUS names the folder with evtx/, otrf/, …)")
    return CORPUS
