"""Run SQL over a case; the only room that knows an engine."""

from __future__ import annotations

from detector.engines.beside import Beside
from detector.engines.duckdb_engine import Engine, check_read_only

__all__ = ["Beside", "Engine", "check_read_only"]
