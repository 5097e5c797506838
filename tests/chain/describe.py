"""Write the list of stages in docs/stages.md from their headers: `python -m tests.chain.describe`."""

from __future__ import annotations

from pathlib import Path

from detector.chain import load_stages

DOCUMENT = Path(__file__).parents[2] / "docs" / "stages.md"
BEGIN = "<!-- written by: python -m tests.chain.describe -->\n"
END = "<!-- end -->\n"


def described(text: str) -> str:
    """Return the document with the list as the headers of today have it."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return before + BEGIN + "\n" + "\n".join(_stages()) + "\n" + END + after


def _stages() -> list[str]:
    lines: list[str] = []
    for stage in load_stages():
        lines += [f"### {stage.id}", "", f"{stage.finds[0].upper()}{stage.finds[1:]}.", ""]
        named = ", ".join(stage.techniques)
        lines += [f"Step `{stage.step}`, {named}, level {stage.level}. Blind spot: {stage.blind}.", ""]
        lines += [f"* `{each.name}` = `{str(each.default).lower()}`: {each.why}" for each in stage.parameters]
        lines += [""] if stage.parameters else []
    return lines


if __name__ == "__main__":
    DOCUMENT.write_text(described(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
