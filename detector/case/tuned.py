"""What the last scan was told to leave out, kept beside its results: `tuning.json` in the case folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detector.case.writer import cannot_write
from detector.errors import CaseError

TUNED_FILE = "tuning.json"


def store_tuned(case_folder: Path, record: Mapping[str, Any]) -> None:
    """Replace the record; an empty one means that nothing was left out. Raises CaseError."""
    target = case_folder / TUNED_FILE
    temporary = target.with_name(f"{TUNED_FILE}.part")
    try:
        if not record:
            target.unlink(missing_ok=True)
            return
        text = json.dumps(record, ensure_ascii=False, indent=1) + "\n"
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(target)
    except OSError as error:
        raise CaseError(cannot_write(target, error)) from error


def stored_tuned(case_folder: Path) -> dict[str, Any]:
    """Return the record of the last scan, {} if it left nothing out; raises CaseError if it is damaged."""
    path = case_folder / TUNED_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CaseError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise CaseError(f"{path} is damaged; delete it and scan again") from error
    if not isinstance(found, dict):
        raise CaseError(f"{path} is damaged; delete it and scan again")
    return found
