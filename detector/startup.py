"""What a process of ours does before its work, to start at once."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is left out of this process", name=fullname)


def leave_out_pandas() -> None:
    """Keep this process from importing pandas, for programs that hand pyarrow no data frames.

    pyarrow imports it when it first builds an array, only to see whether it was given one: half a second.
    """
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _NoPandas())


def collect_garbage_less_often() -> None:
    """Look for reference cycles after 50,000 new objects instead of 700: rows are many and form none."""
    gc.set_threshold(50_000, 20, 100)
