"""Zip archives whose central directory is missing: cut downloads, and damage at the end."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from pathlib import Path

import pytest

from detector.sources import Limits
from tests.sources.test_walk import make_zip, read_all

NOISE = random.Random(7).randbytes(40_000)
FILES = {"a.log": b"first " * 5000, "logs/b.evtx": NOISE, "empty": b"", "c/d.txt": b"last"}


class _Pipe(io.RawIOBase):
    """A stream that cannot be sought: sizes and checksums then stand behind the data (bit 3)."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]


def streamed(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:  # type: ignore[arg-type]
        for name, data in files.items():
            archive.writestr(name, data)
    assert struct.unpack_from("<H", pipe.data, 6)[0] & 8
    return bytes(pipe.data)


def archives(tmp_path: Path) -> list[bytes]:
    known = [
        make_zip(tmp_path / f"{method}.zip", FILES, method).read_bytes()
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    ]
    return [*known, streamed(FILES), streamed(FILES, zipfile.ZIP_BZIP2)]


def test_without_directory_all_members_are_there(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    for data in archives(tmp_path):
        path.write_bytes(data[: data.rfind(b"PK\x01\x02", 0, data.find(b"PK\x01\x02") + 4)])
        found, refusals = read_all(path)
        assert found == FILES
        assert [refusal.path for refusal in refusals] == ["x.zip"]
        assert "no central directory" in refusals[0].reason and "own headers" in refusals[0].reason


def test_damaged_directory(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", FILES)
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    data[at : at + 4] = b"XXXX"
    path.write_bytes(data)
    found, refusals = read_all(path)
    assert found == FILES
    assert (
        "directory is damaged" in refusals[0].reason and "no member can be recognised" in refusals[1].reason
    )


def test_cut_anywhere_gives_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    rng = random.Random(3)
    for data in archives(tmp_path):
        ends = _ends(data)
        for cut in [*(rng.randrange(4, len(data)) for _ in range(25)), *(end + 1 for end in ends.values())]:
            path.write_bytes(data[:cut])
            found, refusals = read_all(path)
            whole = {name for name, end in ends.items() if end <= cut}
            assert {name: found[name] for name in whole} == {name: FILES[name] for name in whole}
            assert all(isinstance(found[name], str) for name in found.keys() - whole), "cut, and says so"
            assert refusals


def _ends(data: bytes) -> dict[str, int]:
    """Return where the data of each member end (with their descriptor), by the directory."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        starts = [*[info.header_offset for info in infos][1:], archive.start_dir]
    return {info.filename: end for info, end in zip(infos, starts, strict=True)}


def test_what_came_of_a_cut_member_is_handed_out(tmp_path: Path) -> None:
    from detector.sources import walk

    text = NOISE.hex().encode()
    for data in (make_zip(tmp_path / "k.zip", {"a.log": text}).read_bytes(), streamed({"a.log": text})):
        path = tmp_path / "x.zip"
        path.write_bytes(data[: len(data) // 2])
        streams = [item for item in walk(path, "x.zip") if isinstance(item, tuple)]
        assert len(streams) == 1
    walker = walk(path, "x.zip")
    next(walker)
    _, stream = next(walker)  # type: ignore[misc]
    assert stream.read(20_000) == text[:20_000]


@pytest.mark.parametrize("known", [True, False])
def test_bombs_are_still_refused(tmp_path: Path, known: bool) -> None:
    files = {"bomb": b"\0" * 3_000_000, "b.log": b"fine"}
    data = make_zip(tmp_path / "k.zip", files).read_bytes() if known else streamed(files)
    path = tmp_path / "x.zip"
    path.write_bytes(data[: data.find(b"PK\x01\x02")])
    found, refusals = read_all(path, limits=Limits(max_ratio=10, ratio_from_bytes=1000))
    said = " ".join([*(refusal.reason for refusal in refusals), *(str(each) for each in found.values())])
    assert "max_ratio" in said and found.get("bomb") != files["bomb"]
    assert found.get("b.log", b"fine") == b"fine" and ("b.log" in found) == known


def test_too_many_members(tmp_path: Path) -> None:
    data = make_zip(tmp_path / "k.zip", {f"{n}": b"x" for n in range(50)}).read_bytes()
    path = tmp_path / "x.zip"
    path.write_bytes(data[: data.find(b"PK\x01\x02")])
    found, refusals = read_all(path, limits=Limits(max_members=10))
    assert len(found) <= 10 and "max_members" in refusals[-1].reason


def test_encrypted_members_are_named_and_passed(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"secret": b"s" * 50, "open.log": b"o"})
    data = bytearray(path.read_bytes()[: path.read_bytes().find(b"PK\x01\x02")])
    data[6] |= 1
    path.write_bytes(data)
    found, refusals = read_all(path)
    assert found == {"open.log": b"o"}
    assert "encrypted" in refusals[1].reason
