"""The `evidence` and `warnings` tables: which files a case holds, and what of them could not be read."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from detector.tables.windows import TIME

EVIDENCE_COLUMNS: dict[str, pa.DataType] = {
    "evidence_id": pa.string(),  # first 16 hexadecimal digits of the SHA-256
    "path": pa.string(),  # as given; a member of an archive is archive!/member
    "copies": pa.list_(pa.string()),  # other paths with the same content
    "size": pa.int64(),
    "sha256": pa.string(),
    "container_sha256": pa.string(),  # of the archive that held it, else NULL
    "format": pa.string(),  # name in detector.formats.registry
    "site": pa.string(),
    "time_zone": pa.string(),  # the zone assumed for times without one, else NULL
    "time_zone_basis": pa.string(),  # record, option, site, or NULL
    "first_event": TIME,
    "last_event": TIME,
    "events": pa.int64(),
    "warnings": pa.int64(),
    "duplicates": pa.int64(),  # events that another evidence file holds too
}

WARNING_COLUMNS: dict[str, pa.DataType] = {
    "evidence_id": pa.string(),
    "path": pa.string(),
    "offset": pa.int64(),  # byte offset in the (decompressed) file, or NULL
    "records": pa.int64(),  # how many records are lost by it, 0 if none, NULL if unknown
    "reason": pa.string(),
}


class ReadWarning(NamedTuple):
    """Something of an evidence file could not be read; the reader went on behind it."""

    offset: int | None
    reason: str
    records: int | None = 1
