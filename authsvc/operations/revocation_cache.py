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
import mmap
import os
import shutil
import stat
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from authsvc.operations.revocation_records import Record, Stamp, read_record, stamp_of, write_record

__all__ = ["RevocationCache"]

_MOST_RECORDS: Final = 10_000
"""Records that are looked at: far more than there can be sources, so that a directory of junk costs little."""

_INDEX: Final = ".index"
_RECORD: Final = ".json"
_BESIDE: Final = ".new-"
"""How the names begin of files that are being written, and of those that a process left that died."""

_MAPPED: Final = 256 * 1024
"""Octets from which an index is mapped into memory instead of read."""

_LEFT_SECONDS: Final = 3_600
"""How old a file is that nobody refers to, before it is removed: nobody writes for an hour."""


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
        record = read_record(self._record_path(source))
        return record if record is not None and record.source == source else None

    def write_record(self, record: Record) -> None:
        """Remember what is known of a source.

        Raises:
            OSError: it cannot be written.

        """
        if not self.writing:
            return
        try:
            self._replace(self._record_path(record.source), write_record(record))
        except OSError as error:
            why = error.strerror or str(error)
            self._writing_problem = f"`{self.folder}`: revocation lists cannot be kept: {why}"
            raise
        self._writing_problem = ""

    def records(self) -> tuple[Record, ...]:
        """Return everything that is known, sorted by source."""
        found = (read_record(path) for path in self._paths(_RECORD))
        return tuple(sorted((each for each in found if each is not None), key=lambda each: each.source))

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

    def find_index(self, digest: str, index_digest: str) -> bytes | mmap.mmap | None:
        """Return an index that was kept, None where it is missing or not what it was.

        A large one is mapped into memory, which all processes share; a small one is read, because what is mapped keeps
        a file open, and there may be a thousand of them.
        """
        if not digest:
            return None
        index: bytes | mmap.mmap
        try:
            with (self.folder / f"{digest}{_INDEX}").open("rb") as file:
                if os.fstat(file.fileno()).st_size > _MAPPED:
                    index = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                else:
                    index = file.read()
        except (OSError, ValueError):
            return None
        return index if hashlib.sha256(index).hexdigest() == index_digest else None

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
        records = (read_record(path) for path in paths if path.suffix == _RECORD)
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
