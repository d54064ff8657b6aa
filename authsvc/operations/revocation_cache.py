"""The directory that remembers revocation lists: their indexes, where each came from, and who fetches.

What lives here: files, their names, their writing and reading, and the lock that makes one process of a machine the
one that fetches. What does not: what a list means (`trust/`), when one is fetched (`revocation_urls.py`).

    <digest>.index    the index of one list, named by the SHA-256 of the list's octets; never changed once there
    <name>.json       what is known of one source: which list it has, when it was asked, what is wrong; named by the
                      SHA-256 of the source's own name
    lock, indexing    locked, never read

Invariants:

* A file is written beside its place, made durable and renamed: a reader sees all of the old one or all of the new one
  (threat T42), and what was mapped into memory stays what it was.
* An index counts only with the digest that its record names. Whatever cannot be read is as if it were not there: it is
  fetched or indexed again, never guessed.
* The directory is its owner's alone (0700): what stands in it is believed without its signature being a secret.
* A directory that cannot be used is no reason not to start: another one takes its place for the life of the process,
  and that is reported.
"""

import fcntl
import hashlib
import json
import mmap
import os
import shutil
import stat
import tempfile
import weakref
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

__all__ = ["Record", "RevocationCache", "Stamp", "stamp_of"]

_LARGEST_RECORD: Final = 64 * 1024
"""Octets of a record: a few hundred, and the certificate of an issuer."""

_MOST_RECORDS: Final = 10_000
"""Records that are looked at: far more than there can be sources, so that a directory of junk costs little."""

_INDEX: Final = ".index"
_RECORD: Final = ".json"
_BESIDE: Final = ".new-"
"""How the names begin of files that are being written, and of those that a process left that died."""

_LEFT_SECONDS: Final = 3_600
"""How old a file is that nobody refers to, before it is removed: nobody writes for an hour."""

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


class RevocationCache:
    """The directory. Made by `open`; every method may be called by any thread.

    Attributes:
        folder: where it is.
        writing: whether this process may write into it.

    """

    def __init__(self, folder: Path, *, writing: bool, problem: str = "", temporary: bool = False) -> None:
        self.folder = folder
        self.writing = writing
        self._opening_problem = problem
        self._writing_problem = ""
        self._lock: int | None = None
        self._remove = weakref.finalize(self, shutil.rmtree, folder, True) if temporary else None

    @classmethod
    def open(cls, folder: Path | None, *, writing: bool) -> "RevocationCache":
        """Open a directory, making it if need be; one that lasts as long as the process where it cannot be used.

        Args:
            folder: where; None for one that lasts as long as the process.
            writing: whether lists may be remembered there; else they are only looked up.

        """
        problem = ""
        if folder is not None:
            try:
                if writing:
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                status = folder.stat()
                if not stat.S_ISDIR(status.st_mode):
                    raise NotADirectoryError(20, "not a directory")
                # Root may look up in what is the service's own, as `explain` does; it writes only into its own.
                owned = status.st_uid == os.geteuid() or (os.geteuid() == 0 and not writing)
                if not owned or status.st_mode & 0o022:
                    problem = "expected a directory that its owner alone may write, and the owner to be this process"
                elif writing and status.st_mode & 0o077:
                    folder.chmod(0o700)
                if not problem and os.access(folder, os.R_OK | os.X_OK | (os.W_OK if writing else 0)):
                    return cls(folder, writing=writing)
                problem = problem or "not accessible"
            except OSError as error:
                problem = error.strerror or str(error)
            # A look-up in a directory that is not there yet finds nothing, which is nothing to report.
            problem = f"`{folder}`: revocation lists cannot be kept: {problem}" if writing else ""
        fresh = Path(tempfile.mkdtemp(prefix="authsvc-revocation-"))
        return cls(fresh, writing=True, problem=problem, temporary=True)

    @property
    def problem(self) -> str:
        """Why it is not where it was wanted, or why the last record could not be written; empty where all is well."""
        return self._opening_problem or self._writing_problem

    def close(self) -> None:
        """Let another process fetch, and remove a directory that was made for this one; a second time does nothing."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._remove is not None:
            self._remove()

    # ------------------------------------------------------------------------------------------------- locks

    def take_lock(self) -> bool:
        """Try to become, or stay, the one process that fetches; never waits.

        The system frees the lock of a process that ends, however it ends.
        """
        if self._lock is not None:
            return True
        if not self.writing:
            return False
        try:
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    @contextmanager
    def indexing(self) -> Iterator[None]:
        """Be the one process that indexes a large list; waits for the others, so that one of them does it for all."""
        if not self.writing:
            yield
            return
        lock = os.open(self.folder / "indexing", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    # ----------------------------------------------------------------------------------------------- records

    def record_stamp(self, source: str) -> Stamp | None:
        """Return what changes with the record of a source; None where there is none."""
        try:
            return stamp_of(self._record_path(source).stat())
        except OSError:
            return None

    def read_record(self, source: str) -> Record | None:
        """Return what is known of a source, None where nothing is."""
        record = _read_record(self._record_path(source))
        return record if record is not None and record.source == source else None

    def write_record(self, record: Record) -> None:
        """Remember what is known of a source.

        Raises:
            OSError: it cannot be written.

        """
        if not self.writing:
            return
        try:
            self._replace(self._record_path(record.source), _write_record(record))
        except OSError as error:
            why = error.strerror or str(error)
            self._writing_problem = f"`{self.folder}`: revocation lists cannot be kept: {why}"
            raise
        self._writing_problem = ""

    def learnt(self) -> tuple[Record, ...]:
        """Return the records of all distribution points, sorted."""
        found = (_read_record(path) for path in self._paths(_RECORD))
        return tuple(
            sorted(
                (each for each in found if each is not None and each.issuer is not None),
                key=lambda each: each.source,
            )
        )

    def directory_stamp(self) -> int:
        """Return what changes when a file is added to the directory, replaced or removed."""
        try:
            return self.folder.stat().st_mtime_ns
        except OSError:
            return 0

    def forget(self, source: str) -> None:
        """Forget a source."""
        if self.writing:
            with suppress(OSError):
                self._record_path(source).unlink()

    # ----------------------------------------------------------------------------------------------- indexes

    def find_index(self, digest: str, index_digest: str) -> mmap.mmap | None:
        """Return an index that was kept, mapped into memory; None where it is missing or not what it was."""
        if not digest:
            return None
        try:
            with (self.folder / f"{digest}{_INDEX}").open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            return None
        return mapped if hashlib.sha256(mapped).hexdigest() == index_digest else None

    def keep_index(self, digest: str, index: bytes) -> None:
        """Keep the index of the list with a digest.

        Raises:
            OSError: it cannot be written.

        """
        if self.writing:
            self._replace(self.folder / f"{digest}{_INDEX}", index)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield the name of a file that may be written, and removed at the end."""
        folder = self.folder if self.writing else None
        descriptor, name = tempfile.mkstemp(prefix=_BESIDE, dir=folder)
        os.close(descriptor)
        try:
            yield Path(name)
        finally:
            with suppress(OSError):
                Path(name).unlink()

    def tidy(self, now: datetime) -> None:
        """Remove indexes that no record names, and what was left half written; for the process that fetches."""
        if not self.writing:
            return
        paths = self._paths()
        if len(paths) >= _MOST_RECORDS:
            return  # what names an index may be among those that were not looked at
        records = (_read_record(path) for path in paths if path.suffix == _RECORD)
        named = {each.digest for each in records if each is not None}
        oldest = now.timestamp() - _LEFT_SECONDS
        for path in paths:
            unused = path.name.startswith(_BESIDE) or (path.suffix == _INDEX and path.stem not in named)
            with suppress(OSError):
                if unused and path.stat().st_mtime < oldest:
                    path.unlink()

    # ------------------------------------------------------------------------------------------------- files

    def _paths(self, suffix: str = "") -> list[Path]:
        try:
            with os.scandir(self.folder) as entries:
                names = [each.name for each, _ in zip(entries, range(_MOST_RECORDS), strict=False)]
        except OSError:
            return []
        return [self.folder / name for name in names if name.endswith(suffix)]

    def _record_path(self, source: str) -> Path:
        return self.folder / (hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest() + _RECORD)

    def _replace(self, path: Path, octets: bytes) -> None:
        descriptor, name = tempfile.mkstemp(prefix=_BESIDE, dir=self.folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(octets)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise


def _write_record(record: Record) -> bytes:
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


def _read_record(path: Path) -> Record | None:
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
