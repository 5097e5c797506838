"""Binary XML as EVTX chunks hold it: elements, templates, and the tables of names and templates of a chunk.

A chunk (64 KiB) is read by itself. The first record that needs an element name or a template carries its
definition; whatever follows in the same chunk refers to the definition by its offset. Definitions are found
through two hash tables in the chunk header, 64 buckets of names and 32 of templates, chained through the
definitions themselves.

Layout: [MS-EVEN6] 2.2.12 and J. Metz, "Windows XML Event Log (EVTX) format"; both leave the bucket of a
template open. Comparison with the chunks of real logs shows it for format 3.1: the name hash, over the GUID
taken as eight 16-bit words, modulo 32. Format 3.2 uses another function, not known; a reader finds each
definition by its offset and needs the table only to list them, so the one of 3.1 is used for both.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from detector.errors import EvidenceError
from detector.simulate.evtx.values import utf16

CHUNK_SIZE = 0x10000
CHUNK_HEADER_SIZE = 0x200
NAME_BUCKETS = 64
TEMPLATE_BUCKETS = 32

FRAGMENT_HEADER = b"\x0f\x01\x01\x00"
# Token 0x0c, 0x01, first four bytes of the template's GUID, offset of the definition in the chunk.
_TEMPLATE_INSTANCE = struct.Struct("<BBII")
INSTANCE_SIZE = len(FRAGMENT_HEADER) + _TEMPLATE_INSTANCE.size
_DEFINITION = struct.Struct("<I16sI")
_NAME = struct.Struct("<IHH")
_U32 = struct.Struct("<I")

_END_OF_STREAM = b"\x00"
_CLOSE_START = 0x02
_CLOSE_EMPTY = 0x03
_END_ELEMENT = 0x04
_NO_DEPENDENCY = 0xFFFF
_XML_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*(:[A-Za-z_][A-Za-z0-9_.\-]*)?")


def name_hash(units: tuple[int, ...]) -> int:
    """Return the 32-bit hash of 16-bit units (UTF-16 code units of a name, or the words of a GUID).

    A name's stored hash is the low 16 bits ([MS-EVEN6] 2.2.12, NameHash).
    """
    value = 0
    for unit in units:
        value = (value * 65599 + unit) & 0xFFFFFFFF
    return value


@lru_cache(maxsize=1024)
def _name_parts(name: str) -> tuple[int, bytes]:
    """Return a name's 16-bit hash and its bytes after the link: hash, length, text, terminator."""
    if not _XML_NAME.fullmatch(name):
        raise EvidenceError(f"{name!r} cannot be the name of an XML element or attribute")
    text = utf16(name)
    digest = name_hash(struct.unpack(f"<{len(name)}H", text)) & 0xFFFF
    return digest, struct.pack("<HH", digest, len(name)) + text + b"\0\0"


@dataclass(frozen=True)
class Text:
    """Fixed text of a template."""

    text: str

    def encode(self) -> bytes:
        """Return the value token: type string, number of characters, text."""
        data = utf16(self.text)
        if len(data) > 0xFFFF:
            raise EvidenceError(f"{self.text[:40]!r}…: a text in a template cannot exceed 32,767 characters")
        return struct.pack("<BBH", 0x05, 0x01, len(data) // 2) + data


@dataclass(frozen=True)
class Substitution:
    """A place of a template that each record fills with the value of its index."""

    index: int
    value_type: int
    optional: bool = False
    """An optional substitution whose value is null takes its attribute away; a normal one stays, empty."""

    def encode(self) -> bytes:
        """Return the substitution token."""
        return struct.pack("<BHB", 0x0E if self.optional else 0x0D, self.index, self.value_type)


Content = Text | Substitution


@dataclass(frozen=True)
class Element:
    """An element of a template."""

    name: str
    attributes: tuple[tuple[str, Content], ...] = ()
    children: tuple[Element | Content, ...] | None = None
    """None writes `<name/>`, an empty tuple `<name></name>`."""
    dependency: int = _NO_DEPENDENCY
    """Index of the value without which Windows leaves the element out."""


class ChunkTables:
    """The names and templates that one chunk has defined so far, and their hash tables.

    Treated as immutable: `define` returns new tables, so that a record that does not fit leaves no trace.
    """

    _REMEMBERED_DEPTH = 2
    _REMEMBERED = 256

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.instances: dict[bytes, bytes] = {}
        """Start of an instance of each defined template, by GUID: fragment header, token, id, offset."""
        self.name_buckets = [0] * NAME_BUCKETS
        self.template_buckets = [0] * TEMPLATE_BUCKETS
        self._depth = 0
        self._successors: dict[tuple[bytes, int], tuple[bytes, ChunkTables]] = {}

    def define(self, template: Template, offset: int) -> tuple[bytes, ChunkTables]:
        """Return an instance's start at `offset` with the template's definition, and the tables after it.

        The first record of every chunk defines its templates at the same places, so these results are kept.
        """
        key = (template.guid, offset)
        found = self._successors.get(key)
        if found is None:
            tables = ChunkTables()
            tables.names = dict(self.names)
            tables.instances = dict(self.instances)
            tables.name_buckets = list(self.name_buckets)
            tables.template_buckets = list(self.template_buckets)
            tables._depth = self._depth + 1
            found = (tables._add(template, offset), tables)
            if self._depth < self._REMEMBERED_DEPTH:
                if len(self._successors) >= self._REMEMBERED:
                    self._successors.clear()
                self._successors[key] = found
        return found

    def _add(self, template: Template, offset: int) -> bytes:
        place = offset + INSTANCE_SIZE
        bucket = name_hash(struct.unpack("<8H", template.guid)) % TEMPLATE_BUCKETS
        link = self.template_buckets[bucket]
        self.template_buckets[bucket] = place
        short_id = int.from_bytes(template.guid[:4], "little")
        instance = FRAGMENT_HEADER + _TEMPLATE_INSTANCE.pack(0x0C, 0x01, short_id, place)
        self.instances[template.guid] = instance
        body = template.body(self, place + _DEFINITION.size)
        return instance + _DEFINITION.pack(link, template.guid, len(body)) + body

    def define_name(self, name: str, offset: int) -> bytes:
        """Add a name, while a template is being added, that will stand at `offset`; return its definition."""
        digest, tail = _name_parts(name)
        bucket = digest % NAME_BUCKETS
        link = self.name_buckets[bucket]
        self.name_buckets[bucket] = self.names[name] = offset
        return _U32.pack(link) + tail


@dataclass
class _Output:
    """Bytes of a template body, its place in the chunk, and where names are referred to."""

    tables: ChunkTables
    base: int
    data: bytearray = field(default_factory=bytearray)
    references: list[tuple[int, str]] = field(default_factory=list)
    inline: bool = False

    def put_name(self, name: str) -> None:
        offset = self.tables.names.get(name)
        self.references.append((len(self.data), name))
        if offset is not None:
            self.data += _U32.pack(offset)
            return
        self.inline = True
        place = self.base + len(self.data) + 4
        self.data += _U32.pack(place)
        self.data += self.tables.define_name(name, place)

    def put_size_of(self, start: int) -> None:
        """Fill the 4-byte size at `start` with the number of bytes after it."""
        _U32.pack_into(self.data, start, len(self.data) - start - 4)

    def put_element(self, element: Element) -> None:
        start = len(self.data) + 3
        self.data += struct.pack("<BHI", 0x41 if element.attributes else 0x01, element.dependency, 0)
        self.put_name(element.name)
        if element.attributes:
            list_start = len(self.data)
            self.data += bytes(4)
            for number, (name, content) in enumerate(element.attributes, 1):
                self.data.append(0x06 if number == len(element.attributes) else 0x46)
                self.put_name(name)
                self.data += content.encode()
            self.put_size_of(list_start)
        if element.children is None:
            self.data.append(_CLOSE_EMPTY)
        else:
            self.data.append(_CLOSE_START)
            for child in element.children:
                if isinstance(child, Element):
                    self.put_element(child)
                else:
                    self.data += child.encode()
            self.data.append(_END_ELEMENT)
        self.put_size_of(start)


class Template:
    """One shape of XML; a chunk defines it once and its records refer to the definition."""

    def __init__(self, root: Element) -> None:
        self.root = root
        self._settled: tuple[bytes, list[tuple[int, str]]] | None = None

    @cached_property
    def guid(self) -> bytes:
        """The template's identifier, derived from its content: equal templates have equal identifiers."""
        return hashlib.md5(repr(self.root).encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()

    def body(self, tables: ChunkTables, offset: int) -> bytes:
        """Return the definition's body for its place in a chunk, defining the names that the chunk lacks.

        Where every name is known already only the name offsets differ between chunks, so the body is kept.
        """
        names = tables.names
        if self._settled is not None and all(name in names for _, name in self._settled[1]):
            data = bytearray(self._settled[0])
            for position, name in self._settled[1]:
                _U32.pack_into(data, position, names[name])
            return bytes(data)
        output = _Output(tables, offset)
        output.data += FRAGMENT_HEADER
        output.put_element(self.root)
        output.data += _END_OF_STREAM
        body = bytes(output.data)
        if not output.inline:
            self._settled = (body, output.references)
        return body
