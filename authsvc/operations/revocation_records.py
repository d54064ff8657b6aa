"""What is remembered of one source of revocation lists, as a value and as a small JSON file.

What lives here: the record, writing and reading it. What does not: where it is kept (`revocation_cache.py`).

INVARIANT: what cannot be read as a whole, each field of its type, is no record.
"""

import json
import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

__all__ = ["Record", "Stamp", "read_record", "stamp_of", "write_record"]

_LARGEST_RECORD: Final = 64 * 1024
"""Octets of a record: a few hundred, and the certificate of an issuer."""

Stamp = tuple[int, int, int, int, int]
"""Device, inode, size, modification and change time of a file (nanoseconds)."""


def stamp_of(status: os.stat_result) -> Stamp:
    """Return what tells one state of a file from the next."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of a source.

    `digest`: SHA-256 (hexadecimal) of the octets of the last good list, empty where there was none; `index_digest` of
    its index. `stamp`: of the file it was read from. `etag`, `last_modified`: of the answer it came in.
    `attempted`, `succeeded`: when it was last asked, and last answered with a list that could be used, or with "nothing
    newer". `successes`, `failures`: how often in all; `failing`: how often in a row. `due`: when to ask next.
    `issuer`: of a distribution point, the certificate (DER) of the authority whose certificates name it, and `anchor`
    the trust anchor that their paths end at.
    """

    source: str
    digest: str = ""
    index_digest: str = ""
    stamp: Stamp | None = None
    etag: str = ""
    last_modified: str = ""
    attempted: datetime | None = None
    succeeded: datetime | None = None
    successes: int = 0
    failures: int = 0
    failing: int = 0
    problem: str = ""
    due: datetime | None = None
    issuer: bytes | None = None
    anchor: str = ""


def write_record(record: Record) -> bytes:
    """Write a record as JSON."""

    def instant(when: datetime | None) -> str | None:
        return None if when is None else when.astimezone(UTC).isoformat()

    return json.dumps(
        {
            "source": record.source,
            "digest": record.digest,
            "index_digest": record.index_digest,
            "stamp": None if record.stamp is None else list(record.stamp),
            "etag": record.etag,
            "last_modified": record.last_modified,
            "attempted": instant(record.attempted),
            "succeeded": instant(record.succeeded),
            "successes": record.successes,
            "failures": record.failures,
            "failing": record.failing,
            "problem": record.problem,
            "due": instant(record.due),
            "issuer": None if record.issuer is None else b64encode(record.issuer).decode(),
            "anchor": record.anchor,
        },
        indent=1,
    ).encode()


def read_record(path: Path) -> Record | None:
    """Read a record; None where there is none that can be read as a whole."""
    try:
        with path.open("rb") as file:
            octets = file.read(_LARGEST_RECORD + 1)
        if len(octets) > _LARGEST_RECORD:
            return None
        found = _Fields(json.loads(octets))
        return Record(
            source=found.text("source"),
            digest=found.digest("digest"),
            index_digest=found.digest("index_digest"),
            stamp=found.stamp("stamp"),
            etag=found.text("etag"),
            last_modified=found.text("last_modified"),
            attempted=found.instant("attempted"),
            succeeded=found.instant("succeeded"),
            successes=found.number("successes"),
            failures=found.number("failures"),
            failing=found.number("failing"),
            problem=found.text("problem"),
            due=found.instant("due"),
            issuer=found.octets("issuer"),
            anchor=found.text("anchor"),
        )
    except (OSError, ValueError, KeyError, RecursionError, OverflowError):
        return None


class _Fields:
    """The fields of a record, each of its type; ValueError or KeyError where one is not."""

    def __init__(self, found: object) -> None:
        if not isinstance(found, Mapping):
            raise ValueError("expected a mapping")  # noqa: TRY004 - every way to be no record is one error
        self._found: Mapping[object, object] = found

    def text(self, name: str) -> str:
        value = self._found[name]
        if not isinstance(value, str):
            raise ValueError(name)  # noqa: TRY004 - as above
        return value

    def digest(self, name: str) -> str:
        value = self.text(name)
        if value and (len(value) != 64 or set(value) - set("0123456789abcdef")):
            raise ValueError(name)
        return value

    def number(self, name: str) -> int:
        value = self._found[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(name)
        return value

    def instant(self, name: str) -> datetime | None:
        if self._found[name] is None:
            return None
        when = datetime.fromisoformat(self.text(name))
        if when.tzinfo is None:
            raise ValueError(name)
        return when.astimezone(UTC)

    def octets(self, name: str) -> bytes | None:
        if self._found[name] is None:
            return None
        try:
            return b64decode(self.text(name), validate=True)
        except Base64Error as error:
            raise ValueError(name) from error

    def stamp(self, name: str) -> Stamp | None:
        value = self._found[name]
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 5 or not all(isinstance(each, int) for each in value):
            raise ValueError(name)
        return (value[0], value[1], value[2], value[3], value[4])
