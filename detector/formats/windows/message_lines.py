"""The text of a Windows event's message, read into labels and values by its layout alone, in any language.

Nearly all messages are made the same way: a sentence, then items `Label:<tabs>value`, which stand alone or,
indented, below a heading `Heading:`; an empty line ends what stands below a heading; sentences that explain
the items follow. A value goes on in indented lines without a label (the privileges of 4672). See
https://learn.microsoft.com/windows/security/threat-protection/auditing/event-4624 for an example.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: A label is short, and the colon behind it ends the line or is followed by white space. Some languages write
#: a blank before the colon, or a full-width one.
_ITEM = re.compile(r"([ \t]*)([^\s:：][^\t:：\n]{0,79}?)[ \u00a0]?[:：](?:[ \t\u00a0]+|$)")


class MessageItem(NamedTuple):
    """One item of a message: the heading above it ('' for none), its label, its value.

    Lines of the value have CR LF between them. `at` is where it begins in the text, in which they have LF.
    """

    heading: str
    label: str
    value: str
    at: int


def message_items(text: str) -> list[MessageItem]:
    """Return the items of a message in their order; `text` has line feeds as line ends.

    Leading white space of a value is layout; trailing blanks are kept, for Windows has them in the event too
    (`Advapi  `). Lines that are neither item nor part of one (sentences) are left out.
    """
    items: list[MessageItem] = []
    heading, is_open = "", False
    lines = text.split("\n")
    at = 0
    for number, line in enumerate(lines):
        begin, at = at, at + len(line) + 1
        match = _ITEM.match(line)
        if match is None or (is_open and _deeper(match)):
            if is_open and (line[:2] == "\t\t" or (line.strip() and line[:1] in " \t")):
                items[-1] = items[-1]._replace(value=f"{items[-1].value}\r\n{line}")
                continue
            is_open = False
            if not line.strip():
                heading = ""
            continue
        indent, label, value = match[1], match[2], line[match.end() :]
        if number == 0 and value.rstrip().endswith((":", "：")):
            continue  # A title: "Remote Desktop Services: Session logon succeeded:"
        if not indent and not value.strip() and _has_items_below(lines, number + 1):
            heading, is_open = label, False
            continue
        items.append(MessageItem(heading if indent else "", label, value, begin + match.end()))
        is_open = True
    return items


def _deeper(match: re.Match[str]) -> bool:
    """Is a line that looks like an item part of the value above it, being indented further than items are?"""
    return match[1].startswith("\t\t")


def _has_items_below(lines: list[str], at: int) -> bool:
    """Does an indented item follow, with nothing between?"""
    if at >= len(lines) or not lines[at][:1].isspace() or lines[at].startswith("\t\t"):
        return False
    return _ITEM.match(lines[at]) is not None
