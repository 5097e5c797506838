"""The word that was probably meant."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str], cutoff: float = 0.72) -> str | None:
    """Return the known word most like this one, whatever its case, None if none is like it."""
    by_lower = {each.lower(): each for each in known}
    found = get_close_matches(word.lower(), by_lower, 1, cutoff)
    return by_lower[found[0]] if found else None


def instead(word: str, known: Collection[str], limit: int = 12) -> str:
    """Return what to write instead, for the end of a message: the nearest word, or all if they are few."""
    found = nearest(word, known)
    if found is not None:
        return f"; did you mean '{found}'?"
    return f"; write one of {', '.join(sorted(known))}" if len(known) <= limit else ""
