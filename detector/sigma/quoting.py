"""Names and texts of rules as SQL: nothing that a rule says can end a literal or an identifier."""

from __future__ import annotations


def identifier(name: str) -> str:
    """Return a name as a quoted SQL identifier; raises ValueError for what no SQL text can hold."""
    if "\0" in name:
        raise ValueError("a name with a NUL character")
    return '"' + _encodable(name).replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as a SQL string literal; raises ValueError for what no SQL text can hold."""
    pieces = ["'" + piece.replace("'", "''") + "'" for piece in _encodable(text).split("\0")]
    return pieces[0] if len(pieces) == 1 else "(" + " || chr(0) || ".join(pieces) + ")"


def column(form: str, field: str) -> str:
    """Return the column in which a scan provides a rule's field: form '' (as stored), 'text' or 'lower'."""
    name = field.lower()
    return identifier(f"{form}({name})" if form else name)


def _encodable(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("half of a surrogate pair, which is no character") from error
    return text
