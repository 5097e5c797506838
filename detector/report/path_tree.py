"""The path of an incident as an indented tree: from where to which host, with which account, when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from detector.report.clock import local_second
from detector.report.safe_text import terminal_text
from detector.report.texts import Texts

#: More moves of the same kind from one host than this, into hosts from which nothing went on, are one line.
LONGEST_FAN = 4
#: Names that such a line shows.
SHOWN_NAMES = 4


def path_tree(path: Sequence[Mapping[str, Any]], texts: Texts, zone: tzinfo) -> list[str]:
    """Return the tree: each node below the one from which it was reached first, in order of time."""
    moves = _first_moves(path)
    children: dict[str, list[Mapping[str, Any]]] = {}
    for move in moves:
        children.setdefault(move["src"], []).append(move)
    reached = {move["dst"] for move in moves}
    roots = dict.fromkeys(move["src"] for move in moves if move["src"] not in reached)
    lines: list[str] = []
    for root in roots:
        lines.append(terminal_text(root))
        _branches(root, children, texts, zone, "", lines)
    return lines


def _first_moves(path: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the move by which each node was reached first, leaving out those that would close a circle."""
    parent: dict[str, str] = {}
    kept: list[Mapping[str, Any]] = []
    for move in sorted(path, key=lambda move: (move["time"], move["src"], move["dst"])):
        source, destination = move["src"], move["dst"]
        above: str | None = source
        while above is not None and above != destination:
            above = parent.get(above)
        if destination not in parent and above is None:
            parent[destination] = source
            kept.append(move)
    return kept


def _branches(
    node: str,
    children: Mapping[str, Sequence[Mapping[str, Any]]],
    texts: Texts,
    zone: tzinfo,
    indent: str,
    lines: list[str],
) -> None:
    groups = _grouped(children.get(node, []), children)
    for index, group in enumerate(groups):
        last = index == len(groups) - 1
        lines.append(f"{indent}{'`-' if last else '+-'} {_text(group, texts, zone)}")
        if len(group) == 1:
            deeper = indent + ("   " if last else "|  ")
            _branches(group[0]["dst"], children, texts, zone, deeper, lines)


def _grouped(
    moves: Sequence[Mapping[str, Any]], children: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[list[Mapping[str, Any]]]:
    """Put moves of one kind into hosts from which nothing went on together, if they are many."""
    kinds: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for move in moves:
        account = (move["account"] or "").rsplit("\\", 1)[-1]
        alone = (move["dst"],) if children.get(move["dst"]) else ()
        kinds.setdefault((move["method"], account, *alone), []).append(move)
    groups: list[list[Mapping[str, Any]]] = []
    for kind in kinds.values():
        groups += [kind] if len(kind) > LONGEST_FAN else [[move] for move in kind]
    return sorted(groups, key=lambda group: (group[0]["time"], group[0]["dst"]))


def _text(group: Sequence[Mapping[str, Any]], texts: Texts, zone: tzinfo) -> str:
    move = group[0]
    account = terminal_text(move["account"] or "")
    values = {
        "method": texts.text("ways", move["method"]),
        "host": terminal_text(move["dst"]),
        "account": account,
    }
    if len(group) > 1:
        values["account"] = account = account.rsplit("\\", 1)[-1]
        names = texts.text("sentences", "comma").join(
            terminal_text(other["dst"]) for other in group[:SHOWN_NAMES]
        )
        values["host"] = texts.count("hosts", len(group))
    when = local_second(datetime.fromisoformat(move["time"]), zone)
    text = f"{when}  {texts.text('sentences', 'move' if account else 'move_no_account', values)}"
    return f"{text}: {names} …" if len(group) > 1 else text
