"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CORPUS = Path(os.environ.get("DETECTOR_CORPUS", Path(__file__).parents[1] / ".." / "shared" / "corpus")).resolve()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Return the folder of recordings that nobody here wrote; the test is skipped where it is absent."""
    if not CORPUS.is_dir():
        pytest.skip(f"no recordings at {CORPUS} (set DETECTOR_CORPUS to the folder that holds evtx/, otrf/, …)")
    return CORPUS
