"""Archives of every kind, whole and damaged, as read-only streams."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import random
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from datetime import UTC, datetime
from pathlib import Path

import inflate64
import py7zr
import pytest

from detector.errors import ArchiveError
from detector.sources import Limits, Member, Refusal, is_archive, list_zip_members, walk

LOG = b"date=2024-03-01 time=00:00:01 logid=1\n" * 5000
NOISE = random.Random(7).randbytes(300_000)
FILES = {"a.log": LOG, "sub/b.bin": NOISE, "empty.txt": b""}


def read_all(path: Path, **options: object) -> tuple[dict[str | None, bytes | str], list[Refusal]]:
    """Return content (or the error) by member name, and the refusals."""
    found: dict[str | None, bytes | str] = {}
    refusals = []
    for item in walk(path, path.name, **options):  # type: ignore[arg-type]
        if isinstance(item, Refusal):
            refusals.append(item)
            continue
        member, stream = item
        assert member.location == path
        assert member.path == (path.name if member.name is None else f"{path.name}!/{member.name}")
        try:
            found[member.name] = stream.read()
        except ArchiveError as error:
            found[member.name] = str(error)
    return found, refusals


def make_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def make_tar(path: Path, mode: str, files: dict[str, bytes], fmt: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, mode, format=fmt) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = 1_700_000_000
            archive.addfile(info, io.BytesIO(data))
    return path


def make_7z(path: Path, files: dict[str, bytes], **options: object) -> Path:
    with py7zr.SevenZipFile(path, "w", **options) as archive:  # type: ignore[arg-type]
        for name, data in files.items():
            archive.writestr(data, name)
    return path


def test_plain_file_is_itself(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(LOG)
    generator = walk(path, "shown/x.log")
    member, stream = next(generator)  # type: ignore[misc]
    assert member == Member(path, None, "shown/x.log", len(LOG), member.modified)
    assert member.modified is not None and member.modified.utcoffset() is not None
    assert pickle.loads(pickle.dumps(member)) == member
    assert stream.seekable() and not stream.writable() and stream.read() == LOG
    assert list(generator) == []


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_zip_methods(tmp_path: Path, method: int) -> None:
    path = make_zip(tmp_path / "named.evtx", FILES, method)  # by magic, not by name
    assert read_all(path) == (FILES, [])


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("fmt", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_tar_kinds(tmp_path: Path, mode: str, fmt: int) -> None:
    files = dict(FILES) if fmt == tarfile.USTAR_FORMAT else FILES | {"long/" * 40 + "name": b"x"}
    path = make_tar(tmp_path / "t", mode, files, fmt)
    assert read_all(path) == (files, [])
    (member, _), *_ = walk(path, "t")  # type: ignore[misc]
    assert member.modified == datetime.fromtimestamp(1_700_000_000, UTC)


@pytest.mark.parametrize("opener", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("name", ["fw.log.gz", "fw.log.bz2", "fw.log.xz", "fw.log"])
def test_one_compressed_file(tmp_path: Path, opener: object, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(opener(LOG) + opener(NOISE))  # type: ignore[operator]  # concatenated, as rotation does
    found, refusals = read_all(path)
    [(member, data)] = found.items()
    assert data == LOG + NOISE
    assert refusals == []
    assert member is not None and member.startswith("fw.log")


@pytest.mark.parametrize("filters", [None, [{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 24}],
                                     [{"id": py7zr.FILTER_BZIP2}], [{"id": py7zr.FILTER_DEFLATE}],
                                     [{"id": py7zr.FILTER_COPY}]])  # fmt: skip
def test_7z(tmp_path: Path, filters: object) -> None:
    files = {"a.log": LOG, "sub/b.txt": NOISE.hex().encode(), "empty.txt": b""}
    path = make_7z(tmp_path / "x.7z", files, filters=filters)
    assert read_all(path) == (files, [])


def test_7z_unread_members_are_skipped(tmp_path: Path) -> None:
    path = make_7z(tmp_path / "x.7z", FILES | {"last.log": b"end"})
    assert read_all(path, wanted={"last.log"}) == ({"last.log": b"end"}, [])
    names = [item[0].name for item in walk(path, "x") if not isinstance(item, Refusal)]  # nothing read
    assert sorted(names) == ["a.log", "empty.txt", "last.log", "sub/b.bin"]


def test_wanted_and_nested(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", {"logs/s.log": LOG, "other": b"o"}).read_bytes()
    inner7 = make_7z(tmp_path / "inner.7z", {"deep.log": NOISE}).read_bytes()
    tgz = make_tar(tmp_path / "t.tgz", "w:gz", {"in.log": b"t", "i.zip": inner}).read_bytes()
    path = make_zip(
        tmp_path / "outer.zip",
        {"x.zip": inner, "y.7z": inner7, "t.tgz": tgz, "g.gz": gzip.compress(LOG), "p.log": b"p"},
    )
    everything = {
        "x.zip!/logs/s.log": LOG, "x.zip!/other": b"o", "y.7z!/deep.log": NOISE, "t.tgz!/in.log": b"t",
        "t.tgz!/i.zip!/logs/s.log": LOG, "t.tgz!/i.zip!/other": b"o", "g.gz!/g": LOG, "p.log": b"p",
    }  # fmt: skip
    assert read_all(path) == (everything, [])
    for name, data in everything.items():
        assert read_all(path, wanted=[name]) == ({name: data}, [])
    assert read_all(path, wanted=["x.zip"])[0] == {"x.zip!/logs/s.log": LOG, "x.zip!/other": b"o"}
    listed = list_zip_members(path, path.name)
    assert listed is not None
    assert [member.name for member in listed] == ["x.zip", "y.7z", "t.tgz", "g.gz", "p.log"]
    assert list_zip_members(tmp_path / "t.tgz", "t.tgz") is None


def test_depth_is_limited(tmp_path: Path) -> None:
    data = b"the core"
    for level in range(8):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(f"{level}.zip", data)
            archive.writestr("beside.txt", b"b")
        data = buffer.getvalue()
    path = tmp_path / "deep.zip"
    path.write_bytes(data)
    found, [refusal] = read_all(path)
    assert len(found) == Limits().max_depth
    assert "max_depth" in refusal.reason


def test_encrypted_zip_says_so(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"secret.evtx": LOG, "open.log": b"o"})
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1
    path.write_bytes(data)
    found, [refusal] = read_all(path)
    assert found == {"open.log": b"o"}
    assert refusal.path == "x.zip!/secret.evtx" and "encrypted (ZipCrypto)" in refusal.reason
    data[at + 10 : at + 12] = struct.pack("<H", 99)
    path.write_bytes(data)
    assert "AES" in read_all(path)[1][0].reason


@pytest.mark.parametrize("header", [False, True])
def test_encrypted_7z_says_so(tmp_path: Path, header: bool) -> None:
    path = make_7z(tmp_path / "x.7z", {"secret.evtx": LOG}, password="pw", header_encryption=header)
    found, [refusal] = read_all(path)
    assert found == {}
    assert "encrypted" in refusal.reason
    assert refusal.path == ("x.7z" if header else "x.7z!/secret.evtx")


def test_japanese_names_without_flag(tmp_path: Path) -> None:
    """What Windows Explorer in Japan writes: CP932, and no UTF-8 flag."""
    path = make_zip(tmp_path / "x.zip", {"XXXXXXXXXX.evtx": LOG})
    name = "表予ソセキュ".encode("cp932")[:10]  # holds the byte 0x5c (a backslash) as second byte
    path.write_bytes(path.read_bytes().replace(b"XXXXXXXXXX", name))
    assert list(read_all(path)[0]) == ["表予ソセキ.evtx"]


def test_utf8_and_unicode_path_field(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"監査ログ.evtx": LOG})
    assert list(read_all(path)[0]) == ["監査ログ.evtx"]
    info = zipfile.ZipInfo("plain.evtx")
    name = "本名.evtx".encode()
    info.extra = struct.pack("<HHBL", 0x7075, 5 + len(name), 1, zlib.crc32(b"plain.evtx")) + name
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, b"x")
    assert list(read_all(path)[0]) == ["本名.evtx"]


def test_names_that_leave_the_archive_are_read_and_escaped(tmp_path: Path) -> None:
    names = ["../../x", "/etc/passwd", "C:\\win.log", "a.log:stream", "\u202egpj.exe"]
    path = make_zip(tmp_path / "x.zip", dict.fromkeys(names, LOG))
    before = sorted(tmp_path.iterdir())
    found, refusals = read_all(path)
    assert list(found) == [
        "\\x2e\\x2e/\\x2e\\x2e/x",
        "\\x2fetc/passwd".replace("\\x2f", "\\x2f/"),
        "C\\x3a/win.log",
        "a.log\\x3astream",
        "\\u202egpj.exe",
    ]
    assert all(data == LOG for data in found.values()) and refusals == []
    assert sorted(tmp_path.iterdir()) == before


def test_same_name_twice(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for data in (b"1", b"2", b"3"):
            archive.writestr("a", data)
    assert read_all(path)[0] == {"a": b"1", "a#2": b"2", "a#3": b"3"}


def test_ratio_bomb_is_refused_and_the_rest_read(tmp_path: Path) -> None:
    limits = Limits(ratio_from_bytes=1 << 20)
    files = {"first": LOG, "bomb": bytes(20 << 20), "last": NOISE}
    path = make_zip(tmp_path / "x.zip", files)
    found, [refusal] = read_all(path, limits=limits)
    assert found == {"first": LOG, "last": NOISE}
    assert refusal.path == "x.zip!/bomb" and "max_ratio" in refusal.reason
    path = make_7z(tmp_path / "x.7z", {"bomb": bytes(20 << 20)})
    assert "max_ratio" in read_all(path, limits=limits)[1][0].reason


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_ratio_bomb_of_unknown_size_fails_midway(tmp_path: Path, compress: object) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(compress(bytes(30 << 20)))  # type: ignore[operator]
    generator = walk(path, "bomb.gz", limits=Limits(ratio_from_bytes=1 << 20))
    _, stream = next(generator)  # type: ignore[misc]
    count = 0
    with pytest.raises(ArchiveError, match=r"bomb\.gz!/bomb.*: .*max_ratio"):
        while block := stream.read(1 << 16):
            count += len(block)
    assert 1 << 20 <= count < 16 << 20


def test_bomb_inside_a_tar_gz_ends_the_archive_not_the_walk(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "x.tgz", "w:gz", {"first": LOG, "bomb": bytes(30 << 20), "last": b"l"})
    found, refusals = read_all(path, limits=Limits(ratio_from_bytes=1 << 20))
    assert found["first"] == LOG
    assert "max_ratio" in str(found["bomb"])
    assert [refusal.path for refusal in refusals] == ["x.tgz"]


def test_sparse_tar_bomb(tmp_path: Path) -> None:
    """GNU sparse: 1 TiB of hole stored in nothing."""
    info = tarfile.TarInfo("hole")
    info.type = b"S"
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:398], header[398:410] = b"00000000000\0", b"00000000000\0"
    header[483:495] = struct.pack(">Q", 0).rjust(12, b"\0")
    header[483] = 0x80
    header[487:495] = struct.pack(">Q", 1 << 40)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "x.tar"
    path.write_bytes(bytes(header) + bytes(10240))
    found, [refusal] = read_all(path)
    assert found == {}
    assert refusal.path == "x.tar!/hole" and "max_" in refusal.reason


def test_member_count_and_totals(tmp_path: Path) -> None:
    files = {f"{n:03}": b"x" * 100 for n in range(50)}
    for path in (
        make_tar(tmp_path / "t", "w", files),
        make_7z(tmp_path / "s", files),
        make_zip(tmp_path / "z", files),
    ):
        found, refusals = read_all(path, limits=Limits(max_members=10))
        assert len(refusals) == 1 and "max_members" in refusals[0].reason
        assert len(found) == (10 if path.name == "t" else 0)
        found, refusals = read_all(path, limits=Limits(max_total_bytes=1050))
        assert len(found) == 10
        assert len(refusals) == 40 and "max_total_bytes" in refusals[0].reason
        found, refusals = read_all(path, limits=Limits(max_member_bytes=99))
        assert len(found) == 0 and len(refusals) == 50


def test_overlapping_entries(tmp_path: Path) -> None:
    """Two directory entries that share one compressed body."""
    path = make_zip(tmp_path / "x.zip", {"a": LOG, "b": NOISE})
    data = path.read_bytes()
    directory = data.find(b"PK\x01\x02")
    second = data.find(b"PK\x01\x02", directory + 4)
    patched = bytearray(data)
    patched[second + 42 : second + 46] = patched[directory + 42 : directory + 46]
    path.write_bytes(patched)
    _, refusals = read_all(path)
    assert any("overlap" in refusal.reason for refusal in refusals)


def test_lying_size_and_bad_checksum(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"a": LOG, "b": NOISE, "c": b"c"})
    data = bytearray(path.read_bytes())
    first = data.find(b"PK\x01\x02")
    data[first + 24 : first + 28] = struct.pack("<L", 1000)  # says 1000 bytes
    second = data.find(b"PK\x01\x02", first + 4)
    data[second + 16] ^= 0xFF
    path.write_bytes(data)
    found, refusals = read_all(path)
    assert refusals == [] and found["c"] == b"c"
    assert "checksum" in str(found["a"]) and "checksum" in str(found["b"])
    walker = walk(path, "x", wanted=["b"])
    _, stream = next(walker)  # type: ignore[misc]
    assert stream.read(len(NOISE)) == NOISE  # the bytes are handed out, then the checksum speaks
    with pytest.raises(ArchiveError, match=r"x!/b: checksum"):
        stream.read(1)


def test_damage_inside_a_member(tmp_path: Path) -> None:
    text = NOISE.hex().encode()
    path = make_zip(tmp_path / "x.zip", {"a": text, "b": b"fine"})
    data = bytearray(path.read_bytes())
    data[200_000:200_400] = b"\xff" * 400
    path.write_bytes(data)
    walker = walk(path, "x.zip")
    _, stream = next(walker)  # type: ignore[misc]
    got = stream.read(250_000)
    assert got == text[:250_000]
    with pytest.raises(ArchiveError, match=r"x\.zip!/a"):
        while stream.read(100_000):
            pass
    _, stream = next(walker)  # type: ignore[misc]
    assert stream.read() == b"fine"


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])  # bzip2 has only one block here: nothing to save
@pytest.mark.parametrize("part", [0.3, 0.7, 0.97])
def test_truncated_tar(tmp_path: Path, mode: str, part: float) -> None:
    files = {f"{n}": random.Random(n).randbytes(50_000) for n in range(8)}
    path = make_tar(tmp_path / "x.tar", mode, files)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    walker = walk(path, "x.tar")
    whole, failed, refusals = {}, 0, []
    for item in walker:
        if isinstance(item, Refusal):
            refusals.append(item)
            continue
        try:
            content = b""
            while block := item[1].read(4096):
                content += block
            whole[item[0].name] = content
        except ArchiveError:
            failed += 1
            assert files[str(item[0].name)].startswith(content)
    assert all(files[str(name)] == content for name, content in whole.items())
    assert len(refusals) + failed >= 1 and len(whole) >= int(8 * part) - 2


def test_tar_cut_between_members_is_noticed(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "x.tar", "w", {"a": b"1" * 512, "b": b"2" * 512}, tarfile.USTAR_FORMAT)
    path.write_bytes(path.read_bytes()[:1024])
    found, [refusal] = read_all(path)
    assert found == {"a": b"1" * 512}
    assert refusal.path == "x.tar" and "cut short" in refusal.reason


def test_truncated_7z_and_damaged_7z(tmp_path: Path) -> None:
    path = make_7z(tmp_path / "x.7z", FILES)
    data = path.read_bytes()
    cut = tmp_path / "cut.7z"
    cut.write_bytes(data[:-100])
    found, [refusal] = read_all(cut)
    assert found == {} and "damaged" in refusal.reason
    harmed = bytearray(data)
    harmed[2000:2100] = bytes(100)
    cut.write_bytes(harmed)
    found, refusals = read_all(cut)
    assert found.pop("empty.txt") == b""
    assert any(isinstance(value, str) for value in found.values()) or refusals


@pytest.mark.parametrize("make", [make_zip, make_7z])
def test_every_flipped_byte_is_survived(tmp_path: Path, make: object) -> None:
    """No damage raises anything but ArchiveError, and no content that is handed out whole is wrong."""
    files = {"a.log": LOG[:500], "b/c.log": NOISE[:300]}
    data = make(tmp_path / "x", files).read_bytes()  # type: ignore[operator]
    path = tmp_path / "harmed"
    rng = random.Random(3)
    for _ in range(150):
        harmed = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            harmed[rng.randrange(len(harmed))] = rng.randrange(256)
        path.write_bytes(harmed[: rng.choice([len(harmed)] * 3 + [rng.randrange(len(harmed))])])
        for item in walk(path, "harmed"):
            if not isinstance(item, Refusal):
                try:
                    while item[1].read(100):
                        pass
                except ArchiveError:
                    pass


def test_deflate64(tmp_path: Path) -> None:
    """Method 9: Windows Explorer takes it for files above 2 GB."""
    data = LOG + NOISE
    deflater = inflate64.Deflater()
    packed = deflater.deflate(data) + deflater.flush()
    path = make_zip(tmp_path / "x.zip", {"a": packed}, zipfile.ZIP_STORED)
    raw = bytearray(path.read_bytes())
    for magic, method, crc, size in ((b"PK\x03\x04", 8, 14, 22), (b"PK\x01\x02", 10, 16, 24)):
        at = raw.find(magic)
        raw[at + method : at + method + 2] = struct.pack("<H", 9)
        raw[at + crc : at + crc + 4] = struct.pack("<L", zlib.crc32(data))
        raw[at + size : at + size + 4] = struct.pack("<L", len(data))
    path.write_bytes(raw)
    assert read_all(path) == ({"a": data}, [])


def test_unsupported_containers_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"Rar!\x1a\x07\x01\x00" + bytes(600))
    assert is_archive(path.read_bytes())
    found, [refusal] = read_all(path)
    assert found == {} and "RAR" in refusal.reason
    zipped = make_zip(tmp_path / "z", {"in.rar": path.read_bytes()})
    assert "RAR" in read_all(zipped)[1][0].reason


def test_links_and_devices_in_tar(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (("d", tarfile.DIRTYPE), ("l", tarfile.SYMTYPE), ("p", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "../../etc/passwd"
            archive.addfile(info)
    found, refusals = read_all(path)
    assert found == {}
    assert [refusal.path for refusal in refusals] == ["x.tar!/l", "x.tar!/p"]


@pytest.mark.parametrize("kind", ["zip", "bz2zip", "lzmazip", "gz", "xz", "bz2", "7z", "tgz"])
def test_memory_is_bounded(tmp_path: Path, kind: str) -> None:
    """300 MB of zeros in a zip, 36 MB in the others are read in a few MB, however well they are packed."""
    path = tmp_path / "x"
    size = (300 if kind == "zip" else 36) << 20
    zeros = bytes(1 << 20)
    if kind.endswith("zip"):
        method = {"zip": 8, "bz2zip": 12, "lzmazip": 14}[kind]
        with zipfile.ZipFile(path, "w", method) as archive, archive.open("a", "w") as target:
            for _ in range(size >> 20):
                target.write(zeros)
    elif kind in ("gz", "xz", "bz2"):
        opener = {"gz": gzip.open, "xz": lzma.open, "bz2": bz2.open}[kind]
        with opener(path, "wb") as target:  # type: ignore[operator]
            for _ in range(size >> 20):
                target.write(zeros)
    elif kind == "7z":
        make_7z(path, {"a": bytes(size)})
    else:
        make_tar(path, "w:gz", {"a": bytes(size)})
    generator = walk(path, "x", limits=Limits(max_ratio=10**9))
    tracemalloc.start()
    _, stream = next(generator)  # type: ignore[misc]
    count = 0
    while block := stream.read(1 << 16):
        count += len(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == size
    assert peak < 24 << 20


def test_evidence_is_never_touched(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", FILES)
    path.chmod(0o444)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    read_all(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    found, [refusal] = read_all(tmp_path / "absent")
    assert found == {} and "cannot be opened" in refusal.reason
