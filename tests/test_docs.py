"""What the texts for newcomers say is what the program does."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click
import pytest

from detector.cli.main import cli

ROOT = Path(__file__).parents[1]
OUTPUT = runpy.run_path(str(ROOT / "tools" / "readme_output.py"))

READMES = [ROOT / "README.md", ROOT / "README.ja.md"]
#: The project's own Markdown: the top, docs/, and the README of each folder.
TEXTS = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("[a-z]*/README.md")})

FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<!`)`(?P<code>[^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
OWN_LOGS = re.compile(r"<!-- own logs -->\n(.*?)<!-- end of own logs -->", re.DOTALL)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def fences(text: str) -> Iterator[tuple[str, str]]:
    for match in FENCE.finditer(text):
        yield match["kind"], match["body"]


# --- commands ---


def shown_commands(text: str) -> Iterator[tuple[str, bool]]:
    """Yield every command that a text shows, and whether it stands in a block, where it must be complete."""
    for kind, body in fences(text):
        for line in body.splitlines():
            # Of a pasted run only what was typed: the rest is output.
            command = line.removeprefix("$ ") if line.startswith("$ ") else line.strip()
            if (kind != "console" or line.startswith("$ ")) and re.match(r"(detector|make) ", command):
                for each in command.split(" | "):
                    if re.match(r"(detector|make) ", each):
                        yield each, True
    for match in INLINE.finditer(FENCE.sub("", text)):
        if re.match(r"(detector|make) ", match["code"]):
            yield match["code"], False


def check(command: str, complete: bool) -> None:
    """Raise an error that says what the program would not understand in a command."""
    program, *arguments = shlex.split(command.replace("\\", "/"))
    if program == "make":
        targets = re.findall(r"^(\w+):.*##", read(ROOT / "Makefile"), re.MULTILINE)
        unknown = [word for word in arguments if "=" not in word and word not in targets]
        assert not unknown, f"no target of the Makefile: {unknown}"
        return
    found: click.Command = cli
    context = click.Context(cli, info_name="detector", **cli.context_settings)
    while isinstance(found, click.Group) and arguments:
        following = found.get_command(context, arguments[0])
        if following is None:
            break
        found = following
        context = click.Context(found, parent=context, info_name=arguments.pop(0))
    if isinstance(found, click.Group):
        assert not [word for word in arguments if word not in ("--help", "--version")], "no such command"
        return
    values, rest, _ = found.make_parser(context).parse_args(arguments)
    assert not rest, f"left over: {rest}"
    for parameter in found.params:
        given = values.get(parameter.name or "")
        if isinstance(parameter.type, click.Choice) and isinstance(given, str):
            parameter.type.convert(given, parameter, context)
        if complete and parameter.required:
            assert given not in (None, ()), f"{parameter.human_readable_name} is missing"


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_commands_shown_exist(path: Path) -> None:
    wrong = []
    for command, complete in shown_commands(read(path)):
        try:
            check(command, complete)
        except (click.UsageError, AssertionError, ValueError) as error:
            wrong.append(f"{command}: {error}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "command",
    [
        "detector timelines --case x",
        "detector timeline --case x --language ja",
        "detector timeline --case x --lang de",
        "detector timeline --case x one two",
        "detector ingest exports",
        "detector rules tests",
        "make dmo",
    ],
)
def test_a_wrong_command_would_be_noticed(command: str) -> None:
    with pytest.raises((click.UsageError, AssertionError)):
        check(command, complete=True)


def test_reference_is_the_help_of_every_command() -> None:
    # In a process of its own: click keeps the first help option that a command was asked for.
    done = subprocess.run([sys.executable, ROOT / "tools" / "cli_reference.py", "--check"], check=False)
    assert done.returncode == 0, "run: make docs"


# --- what the READMEs show ---


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The demo, run in a folder of its own."""
    return OUTPUT["Session"](tmp_path_factory.mktemp("docs"))


def test_readmes_show_what_the_program_prints(session: Any) -> None:
    for path in READMES:
        text = read(path)
        assert OUTPUT["BLOCK"].search(text)
        for match in OUTPUT["BLOCK"].finditer(text):
            shown = OUTPUT["fill"](match[0], session.printed)
            assert match[0].splitlines() == shown.splitlines(), f"{name(path)}: run: make docs"


def test_readmes_say_the_same_in_both_languages() -> None:
    english, japanese = (read(path) for path in READMES)
    assert skeleton(english) == skeleton(japanese)
    assert links(english) == links(japanese)


def skeleton(text: str) -> list[str]:
    """Return what does not depend on the language: blocks, commands with pasted output, depth of headings."""
    block: re.Pattern[str] = OUTPUT["BLOCK"]
    text = block.sub(lambda match: f"```shown\n{match['command'].replace(' --lang ja', '')}\n```", text)
    parts = re.finditer(rf"{FENCE.pattern}|^(?P<depth>#+) ", text, FENCE.flags)
    return [match["depth"] or match[0] for match in parts]


def links(text: str) -> set[str]:
    """Return where a README links to, but for the other README."""
    return set(LINK.findall(text)) - {path.name for path in READMES}


@pytest.mark.parametrize(
    ("keep", "shown"),
    [
        (None, "a\n\n\nb\n\nc\nd\n\ne"),
        ("1-2", "a\n\nb\n\n[…]"),
        ("-1 d", "[…]\n\nc\nd\n\ne"),
        ("2", "[…]\n\nb\n\n[…]"),
    ],
)
def test_shortened_output_says_where(keep: str | None, shown: str) -> None:
    assert OUTPUT["shorten"]("a\n\n\nb\n\nc\nd\n\ne", keep) == shown


def test_an_excerpt_that_is_gone_is_an_error() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        OUTPUT["shorten"]("a\n\nb", "nowhere")


def test_commands_for_own_logs_work(tmp_path: Path) -> None:
    (part,) = OWN_LOGS.findall(read(READMES[0]))
    commands = [line for kind, body in fences(part) if kind == "sh" for line in body.splitlines()]
    assert len(commands) > 10
    (tmp_path / "exports").mkdir()
    shutil.copy(ROOT / "samples" / "hospital-incident.zip", tmp_path / "exports")
    shutil.copy(ROOT / "samples" / "site.toml", tmp_path)
    shutil.copytree(ROOT / "rules" / "defense_evasion", tmp_path / "myrules")
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "detector"
        done = subprocess.run(
            [sys.executable, "-m", "detector", *arguments],
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONUTF8": "1"},
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        if (written := re.search(r" -o (\S+)", command)) is not None:
            assert (tmp_path / written[1]).stat().st_size
        else:
            assert done.stdout, command


# --- links and paths ---


def anchors(text: str) -> set[str]:
    """Return the anchors of headings as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_links_resolve(path: Path) -> None:
    broken = []
    for target in LINK.findall(FENCE.sub("", read(path))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / unquote(file)) if file else path
        if not found.exists() or (anchor and unquote(anchor) not in anchors(read(found))):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_files_named_exist(path: Path) -> None:
    """Paths in backticks that begin with a folder of the project are there."""
    folders = "|".join(["detector", "docs", "notebooks", "rules", "samples", "tests", "tools"])
    named = [match["code"] for match in INLINE.finditer(read(path))]
    files = [
        code for code in named if re.fullmatch(rf"({folders})/[\w./-]*\w+\.\w+|({folders})/[\w./-]*/", code)
    ]
    assert [code for code in files if not (ROOT / code).exists()] == []


# --- notebooks ---


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=name)
def test_notebooks_run(path: Path, session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETECTOR_CASE", str(session.folder / "demo" / "case"))
    cells = json.loads(read(path))["cells"]
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code"), "clear the outputs"
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{path.name} cell {number}", "exec"), names)
    frames = [value for value in names.values() if type(value).__name__ == "DataFrame"]
    assert frames
    assert all(len(frame) for frame in frames), "the sample has something of everything that is asked"
