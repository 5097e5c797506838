"""The documented list of stages is the list of stages."""

from __future__ import annotations

from tests.chain.describe import DOCUMENT, described


def test_the_document_is_up_to_date() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == described(text), "run: python -m tests.chain.describe"
