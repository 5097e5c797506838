"""Write what commands really print into README.md and README.ja.md.

Usage: python tools/readme_output.py

A block in a README that looks so is filled with the command and what it prints on standard output:

    <!-- output: detector incidents --case demo/case --tz Asia/Tokyo -->
    <!-- keep: 1-3 "Entry point" -1 -->
    …
    <!-- end -->

`keep`, which may be left out, chooses paragraphs by number, counted from 1 or from the end, or by a text that
the paragraph contains (the first that does); what is left out becomes a line `[…]`. The commands run in a
temporary folder that holds `samples/` and the folder that `make demo` makes, so that no path of this machine
is in the output. tests/test_docs.py fails while a README and the program differ.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
READMES = (ROOT / "README.md", ROOT / "README.ja.md")
CUT = "[…]"

BLOCK = re.compile(
    r"(?P<head><!-- output: (?P<command>[^\n]+?) -->\n(?:<!-- keep: (?P<keep>[^\n]+?) -->\n)?)"
    r"(?P<body>.*?)(?P<end><!-- end -->)",
    re.DOTALL,
)

#: Columns of tables; texts have 100 where there is no terminal.
_WIDTH = "100"
_DEMO = "from pathlib import Path; from detector.demo import main; main(Path.cwd() / 'samples')"


class Session:
    """A folder in which the demo was run, and in which commands are run, each once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "samples", folder / "samples")
        self._printed = {"make demo": self._run("-c", _DEMO).strip("\n")}

    def printed(self, command: str) -> str:
        """Return the command behind a prompt and what it prints; raises CalledProcessError if it fails."""
        if command not in self._printed:
            program, *arguments = shlex.split(command)
            if program != "detector":
                raise ValueError(f"only make demo and detector can be run here, not: {command}")
            self._printed[command] = f"$ {command}\n{self._run('-m', 'detector', *arguments)}".rstrip("\n")
        return self._printed[command]

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, "COLUMNS": _WIDTH, "PYTHONUTF8": "1"},
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        )
        return done.stdout


def fill(text: str, printed: Callable[[str], str]) -> str:
    """Return the text of a README with every block filled; raises ValueError if `keep` finds nothing."""

    def one(match: re.Match[str]) -> str:
        shown = shorten(printed(match["command"]), match["keep"])
        return f"{match['head']}```console\n{shown}\n```\n{match['end']}"

    return BLOCK.sub(one, text)


def shorten(output: str, keep: str | None) -> str:
    """Return the chosen paragraphs of an output, and a mark wherever something was left out."""
    if keep is None:
        return output
    paragraphs = [part.strip("\n") for part in re.split(r"\n{2,}", output)]
    chosen = {index for part in shlex.split(keep) for index in _indices(part, paragraphs)}
    shown: list[str] = []
    for index, paragraph in enumerate(paragraphs):
        if index in chosen:
            shown.append(paragraph)
        elif not shown or shown[-1] != CUT:
            shown.append(CUT)
    return "\n\n".join(shown)


def _indices(part: str, paragraphs: list[str]) -> range:
    """Return which paragraphs a number (`3`, `-1`), a range (`1-4`) or a text means."""
    if numbers := re.fullmatch(r"(\d+)-(\d+)", part):
        return range(int(numbers[1]) - 1, min(int(numbers[2]), len(paragraphs)))
    if re.fullmatch(r"-?\d+", part):
        index = int(part) - 1 if int(part) > 0 else len(paragraphs) + int(part)
        return range(index, index + 1)
    for index, paragraph in enumerate(paragraphs):
        if part in paragraph:
            return range(index, index + 1)
    raise ValueError(f"no paragraph of the output contains {part!r}")


def main() -> None:
    """Run the demo and fill the blocks of both files."""
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Path(folder))
        for readme in READMES:
            text = readme.read_text(encoding="utf-8")
            readme.write_text(fill(text, session.printed), encoding="utf-8", newline="\n")
            print(readme)


if __name__ == "__main__":
    main()
