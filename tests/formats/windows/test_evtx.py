"""EVTX: every record that a file claims becomes an event or a warning, whatever is broken."""

from __future__ import annotations

import io
from pathlib import Path

import evtx
import pytest

from detector.errors import EvidenceError
from detector.formats.base import HEAD_BYTES, Input, Item, ReadContext
from detector.formats.registry import recognise
from detector.formats.windows.evtx import FORMAT, read, segments
from detector.formats.windows.evtx_chunks import CHUNK_BYTES, FILE_HEADER_BYTES
from detector.tables.evidence import ReadWarning
from detector.tables.windows import WindowsRecord


def read_bytes(data: bytes, **context: object) -> list[Item]:
    """Read a whole file given as bytes."""
    return list(read(Input(io.BytesIO(data), data[:HEAD_BYTES], ReadContext(**context))))  # type: ignore[arg-type]


def split(items: list[Item]) -> tuple[list[WindowsRecord], list[ReadWarning]]:
    records = [item for item in items if isinstance(item, WindowsRecord)]
    warnings = [item for item in items if isinstance(item, ReadWarning)]
    assert len(records) + len(warnings) == len(items)
    return records, warnings


def reference(path: Path) -> list[int]:
    """Return the record numbers that the reference parser yields."""
    found: list[int] = []
    iterator = evtx.PyEvtxParser(str(path), 1).records_json()
    while True:
        try:
            found.append(next(iterator)["event_record_id"])  # type: ignore[call-overload]
        except StopIteration:
            return found
        except RuntimeError:
            continue


def test_every_file_gives_what_the_reference_parser_gives(corpus: Path) -> None:
    files = sorted((corpus / "evtx").rglob("*.evtx"))
    assert len(files) > 280
    rescued = 0
    for path in files:
        data = path.read_bytes()
        assert recognise(data[:HEAD_BYTES]) is FORMAT, path
        records, _ = split(read_bytes(data))
        numbers = [record.number for record in records]
        expected = reference(path)
        missing = set(expected) - set(numbers)
        assert not missing, f"{path}: {sorted(missing)}"
        assert len(numbers) >= len(expected), path
        rescued += len(numbers) - len(expected)
        offsets = [record.offset for record in records]
        assert len(set(offsets)) == len(offsets), path
        for record in records[:3] + records[-3:]:
            assert data[record.offset : record.offset + 4] == b"\x2a\x2a\x00\x00", path
    # python-evtx reads records behind the broken one, where the reference stops.
    assert rescued > 50


def test_the_second_parser_reads_the_same(corpus: Path) -> None:
    path = corpus / "evtx" / "attack-samples" / "Credential Access" / "CA_DCSync_4662.evtx"
    first, _ = split(read_bytes(path.read_bytes(), parser="evtx"))
    second, warnings = split(read_bytes(path.read_bytes(), parser="python-evtx"))
    assert not warnings
    assert [record.number for record in first] == [record.number for record in second]
    for one, other in zip(first, second, strict=True):
        assert one.names == other.names
        assert one.system[1:] == other.system[1:]


def test_segments_together_are_the_whole(corpus: Path) -> None:
    path = max((corpus / "evtx").rglob("*.evtx"), key=lambda each: each.stat().st_size)
    data = path.read_bytes()
    whole = read_bytes(data)
    cuts = [0, *segments(len(data), 2 * CHUNK_BYTES)]
    pieces: list[Item] = []
    for start, end in zip(cuts, [*cuts[1:], None], strict=True):
        stream = io.BytesIO(data)
        stream.seek(start)
        pieces += read(Input(stream, data[:HEAD_BYTES], ReadContext(), start, end))
    assert len(cuts) > 3
    assert pieces == whole


@pytest.fixture
def sample(corpus: Path) -> bytes:
    """A healthy file of several chunks."""
    return (corpus / "evtx" / "parser" / "system.evtx").read_bytes()


def test_truncated_in_a_chunk(sample: bytes) -> None:
    whole, _ = split(read_bytes(sample))
    cut = FILE_HEADER_BYTES + CHUNK_BYTES + 30_000
    records, warnings = split(read_bytes(sample[:cut]))
    assert 0 < len(records) < len(whole)
    assert records == whole[: len(records)]
    assert [warning.offset for warning in warnings] == [pytest.approx(cut, abs=4096), None]
    assert "breaks here" in warnings[0].reason
    assert "2 of the 3 chunks" in warnings[1].reason


def test_cut_at_a_chunk_it_looks_whole_and_is_not(sample: bytes) -> None:
    cut = sample[: FILE_HEADER_BYTES + CHUNK_BYTES]
    records, warnings = split(read_bytes(cut))
    assert records
    assert ["1 of the 3 chunks" in warning.reason for warning in warnings] == [True]
    records, warnings = split(read_bytes(sample[:FILE_HEADER_BYTES]))
    assert not records
    assert "0 of the 3 chunks" in warnings[0].reason


def test_a_chunk_overwritten_costs_that_chunk_only(sample: bytes) -> None:
    whole, _ = split(read_bytes(sample))
    start = FILE_HEADER_BYTES + CHUNK_BYTES
    broken = sample[:start] + b"\xde\xad" * (CHUNK_BYTES // 2) + sample[start + CHUNK_BYTES :]
    records, warnings = split(read_bytes(broken))
    lost = [record for record in whole if start <= record.offset < start + CHUNK_BYTES]
    assert lost
    assert records == [record for record in whole if record not in lost]
    assert warnings[0].offset == start
    assert "no EVTX chunk" in warnings[0].reason


def test_file_header_lost(sample: bytes) -> None:
    whole, _ = split(read_bytes(sample))
    records, warnings = split(read_bytes(b"\x00" * FILE_HEADER_BYTES + sample[FILE_HEADER_BYTES:]))
    assert [record.number for record in records] == [record.number for record in whole]
    assert "header" in warnings[0].reason
    headless, _ = split(read_bytes(sample[FILE_HEADER_BYTES:]))
    assert [record.number for record in headless] == [record.number for record in whole]


def test_chunks_out_of_step_are_found(sample: bytes) -> None:
    whole, _ = split(read_bytes(sample))
    start = FILE_HEADER_BYTES + CHUNK_BYTES
    records, warnings = split(read_bytes(sample[:start] + b"garbage" * 100 + sample[start:]))
    assert [record.number for record in records] == [record.number for record in whole]
    assert [warning.offset for warning in warnings] == [start]


def test_a_record_with_broken_content_is_one_warning_at_its_offset(sample: bytes) -> None:
    whole, _ = split(read_bytes(sample))
    victim = whole[5]
    data = bytearray(sample)
    data[victim.offset + 24 : victim.offset + 60] = b"\xff" * 36
    records, warnings = split(read_bytes(bytes(data)))
    assert victim.number not in [record.number for record in records]
    assert [warning.offset for warning in warnings] == [victim.offset]
    assert str(victim.number) in warnings[0].reason


def test_a_file_that_ends_in_its_header_cannot_be_read() -> None:
    with pytest.raises(EvidenceError, match="ends inside the EVTX file header"):
        read_bytes(b"ElfFile\x00" + bytes(100))
