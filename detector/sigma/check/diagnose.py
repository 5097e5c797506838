"""What to write instead, for problems of the loader and the compiler."""

from __future__ import annotations

from dataclasses import replace

from detector.sigma.model import RuleProblem

_QUOTES = "put the value in single quotes"


def diagnose(problem: RuleProblem, content: bytes) -> RuleProblem:
    """Return the problem with its place and with what to write instead, as far as the file tells it.

    content: the bytes of the file. YAML's own messages say what the parser met, not what is to be changed.
    """
    if problem.message.startswith("YAML: ") and problem.line is not None:
        return _of_yaml(problem, content)
    hint = _HINTS.get(problem.message)
    return replace(problem, message=f"{problem.message}; {hint}") if hint else problem


#: Problems of the loader that have one remedy.
_HINTS = {
    "a rule is a mapping of keys to values": "begin with title:, without a - before it",
    "not UTF-8": "save the file as UTF-8",
    "every key of a rule is a text": "put the key in quotes",
}


def _of_yaml(problem: RuleProblem, content: bytes) -> RuleProblem:
    lines = content.decode("utf-8-sig", "replace").splitlines()
    number, column = problem.line or 1, problem.column or 1
    text = lines[number - 1] if number <= len(lines) else ""
    for index in range(min(number, len(lines)), max(0, number - 2), -1):
        indentation = lines[index - 1][: len(lines[index - 1]) - len(lines[index - 1].lstrip())]
        if "\t" in indentation:
            message = "a tab in the indentation: YAML wants spaces there"
            return replace(problem, line=index, column=indentation.index("\t") + 1, message=message)
    hint = _by_character(text, column) or _by_message(problem.message, text)
    if hint is None:
        return problem
    start = _start_of_value(text, column)
    return replace(problem, column=start, message=f"{problem.message}; {hint}")


def _start_of_value(text: str, column: int) -> int:
    """Return the column of a special character that begins the value in which a column lies."""
    for start in (column, column - 1):
        if 0 < start <= len(text) and text[start - 1] in "*&!%@`|>":
            return start
    before = text[: column - 1]
    for mark in ("*", "&"):
        if mark in before and before[: before.rindex(mark)].rstrip().endswith((":", "-", ",", "[")):
            return before.rindex(mark) + 1
    return column


def _by_character(text: str, column: int) -> str | None:
    start = _start_of_value(text, column)
    char = text[start - 1 : start]
    if char in ("*", "&") and text[: start - 1].rstrip().endswith((":", "-", ",", "[")):
        what = "refers to an anchor" if char == "*" else "names an anchor"
        return f"an unquoted {char} {what}: {_QUOTES}, '{_word(text, start)}'"
    if char == "!" and text[: start - 1].rstrip().endswith((":", "-", ",", "[")):
        return f"an unquoted ! begins a tag: {_QUOTES}"
    if char and char in "%@`":
        return f"a value cannot begin with {char}: {_QUOTES}, '{_word(text, start)}'"
    return None


def _word(text: str, start: int) -> str:
    return text[start - 1 :].strip().replace("'", "''")[:60]


def _by_message(message: str, text: str) -> str | None:
    if "mapping values are not allowed" in message:
        return "put a value that contains ': ' in quotes, or mend the indentation"
    if "unknown escape character" in message:
        return "in double quotes a backslash begins an escape: use single quotes"
    if "did not find expected key" in message or "expected <block end>" in message:
        if text.count("'") > 2 or text.count('"') > 2:
            return "a quote inside quotes: write '' for ' within single quotes"
        return (
            "this line begins at another column than those it belongs to, or a quote before it is not closed"
        )
    if "quoted scalar" in message and "end of stream" in message:
        return "a quote is not closed"
    if "could not find expected ':'" in message:
        return "a key needs a : behind it"
    if "expected ',' or" in message:
        return "a [ or { is not closed; put a value that begins with one in quotes"
    return None
