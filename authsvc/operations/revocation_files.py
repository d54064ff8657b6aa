"""Revocation lists in files and in directories of files, kept up to date by looking at them.

What lives here: noticing changes, reading within limits, keeping the last good list. What does not: what a list means
(`trust/`), anchors (`trust_files.py`), fetching (`revocation_urls.py`).

Invariants:

* A change is noticed by the file's identity, size and times, taken from the opened file before it is read, so that a
  write during the read shows as a further change.
* What was held stays held where a file breaks, vanishes, or turns to an older list of the same series, also when that
  happened while this service did not run: the cache remembers it (threats T37, T42).
* A large list is indexed in another process, in the background; looking at the other files goes on meanwhile.
* A directory gives the files that stand in it: a symbolic link that leads out of it is not read, and said to be a
  problem (threat T43).

Logs `revocation_index_failed`, for a defect.
"""

import hashlib
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from authsvc.operations.indexing import index_in_process
from authsvc.operations.list_indexes import INDEXED_ELSEWHERE, goes_back, is_kept_by, older_list, open_list
from authsvc.operations.revocation_cache import RevocationCache
from authsvc.operations.revocation_records import Record, Stamp, stamp_of
from authsvc.operations.revocation_states import ListState, SourceKind
from authsvc.trust.anchors import TrustMaterialError
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.crl import LARGEST_CRL, RevocationList, index_crl
from directory_assistance.errors import shorten

__all__ = ["FileLists"]

_LOG = logging.getLogger("authsvc.revocation")

_SUFFIXES: Final = (".crl", ".pem", ".der")
"""How the names end of lists in a directory; and `.r0` to `.r9`, as `openssl rehash` names them."""

_MOST_IN_FOLDER: Final = 1_000
"""Lists in one directory: each costs a look four times a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """What reading a file gave: its list, the digests of its octets and of its index."""

    held: RevocationList
    digest: str
    index_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A file that is looked at, and the directory that it must stand in, None for a file that was named itself."""

    path: Path
    root: Path | None = None


class _Job:
    """A large list being indexed in the background. `outcome` is there once the thread has ended."""

    def __init__(self, path: Path, work: Callable[[], _Loaded]) -> None:
        self._path = path
        self._work = work
        self.outcome: _Loaded | TrustMaterialError | None = None
        self._thread = threading.Thread(target=self._run, name="list-indexing", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self.outcome = self._work()
        except TrustMaterialError as error:
            self.outcome = error
        except OSError as error:
            self.outcome = TrustMaterialError(f"`{self._path}`: cannot be indexed: {error.strerror or error}")
        except Exception as error:  # noqa: BLE001 - see below
            # The outermost handler of this thread: without an outcome, whoever looks would break off, and with it the
            # look at every other file. So the defect is logged, and the file has a problem.
            _LOG.exception("revocation_index_failed", extra={"source": str(self._path)})
            self.outcome = TrustMaterialError(f"`{self._path}`: a defect: {shorten(str(error))}")


class FileLists:
    """The lists of files and directories. For one thread at a time; `states` may be read by any.

    Args:
        paths: files and directories, told apart when they are looked at.
        cache: remembers indexes.
        grace: how long a list counts after its next update.

    """

    def __init__(self, paths: Sequence[Path], cache: RevocationCache, *, grace: timedelta) -> None:
        self._paths = tuple(paths)
        self._cache = cache
        self._grace = grace
        self._stamps: dict[Path, Stamp | None] = {}
        self._jobs: dict[Path, tuple[Stamp, _Job]] = {}
        self._files: dict[Path, ListState] = {}
        self._folders: tuple[ListState, ...] = ()
        self._known_folders: set[Path] = set()

    @property
    def states(self) -> tuple[ListState, ...]:
        """Every file, and every directory that something is wrong with."""
        return (*self._folders, *self._files.values())

    def poll(
        self,
        issuers: Iterable[CertificateFacts],
        *,
        now: datetime,
        authorities_changed: bool = False,
        waiting: bool = False,
    ) -> None:
        """Look at every file, read again what changed.

        Args:
            issuers: the authorities that may have signed lists.
            now: aware.
            authorities_changed: whether they are others than the last time: then everything is read again.
            waiting: whether to wait for large lists, instead of taking them at a later look.

        """
        known = tuple(issuers)
        if authorities_changed:
            self._stamps.clear()
            self._jobs.clear()  # what is under way knows the old ones: it ends, and nobody asks for its outcome
        places, self._folders = self._find_places(known, now)
        files: dict[Path, ListState] = {}
        for place in places:
            before = self._files.get(place.path) or self._remembered(place.path, known)
            files[place.path] = self._look(place, before, known, waiting=waiting)
        self._files = files
        for gone in self._stamps.keys() - files.keys():
            del self._stamps[gone]

    def close(self) -> None:
        """Wait a moment for what is being indexed."""
        for _stamp, job in self._jobs.values():
            job.join(5)

    def _find_places(
        self, issuers: Sequence[CertificateFacts], now: datetime
    ) -> tuple[list[_Place], tuple[ListState, ...]]:
        places: dict[Path, _Place] = {}
        problems: list[ListState] = []
        for path in self._paths:
            if not _is_folder(path):
                places[path] = _Place(path=path)
                continue
            found, problem = _list_folder(path)
            self._remember_gone(path, frozenset(found), issuers)
            places.update((each, _Place(path=each, root=path)) for each in found)
            if problem:
                problems.append(ListState(source=str(path), kind=SourceKind.DIRECTORY, problem=problem))
        for path, state in self._files.items():
            if path not in places and self._is_missed(state, now):
                places[path] = _Place(path=path, root=path.parent)
        return list(places.values()), tuple(problems)

    def _remember_gone(
        self, folder: Path, there: frozenset[Path], issuers: Sequence[CertificateFacts]
    ) -> None:
        """Take from the cache, once, the lists that stood in a directory and do not any more."""
        if folder in self._known_folders:
            return
        self._known_folders.add(folder)
        for record in self._cache.records():
            path = Path(record.source)
            if path.parent == folder and path not in there and path not in self._files:
                self._files[path] = self._remembered(path, issuers)

    def _is_missed(self, gone: ListState, now: datetime) -> bool:
        """Whether the list of a file that is in its directory no more still counts, and nothing took its place."""
        held = gone.held
        if held is None or now - self._grace >= held.next_update:
            return False
        return not any(
            other is not gone and other.held is not None and is_kept_by(held, other.held)
            for other in self._files.values()
        )

    def _remembered(self, path: Path, issuers: Sequence[CertificateFacts]) -> ListState:
        """Return the last good list of a file from the cache, also where the file has another one by now."""
        state = ListState(source=str(path), kind=SourceKind.FILE)
        record = self._cache.read_record(str(path))
        if record is None:
            return state
        index = self._cache.find_index(record.digest, record.index_digest)
        if index is None:
            return state
        with suppress(TrustMaterialError):
            held = open_list(index, issuers, source=str(path))
            self._stamps[path] = record.stamp
            return replace(state, held=held, digest=record.digest)
        return state

    def _look(
        self, place: _Place, before: ListState, issuers: Sequence[CertificateFacts], *, waiting: bool
    ) -> ListState:
        """Return the state of one file: as before where nothing changed."""
        path = place.path
        if path in self._jobs:
            stamp, job = self._jobs[path]
            if not job.ended:
                return before
            del self._jobs[path]
            assert job.outcome is not None
            self._stamps[path] = stamp
            return self._judged(before, stamp, job.outcome)
        seen = _stamp_at(path)
        if path in self._stamps and seen == self._stamps[path]:
            return before
        try:
            return self._read(place, before, issuers, waiting=waiting)
        except _UnopenedError as error:
            self._stamps[path] = seen
            return replace(before, problem=str(error))

    def _read(
        self, place: _Place, before: ListState, issuers: Sequence[CertificateFacts], *, waiting: bool
    ) -> ListState:
        """Read a file that looks different, or begin to where it is large.

        Raises:
            _UnopenedError: it cannot be opened.

        """
        path = place.path
        descriptor, stamp = _open_file(place)
        with os.fdopen(descriptor, "rb") as file:
            if stamp[2] > INDEXED_ELSEWHERE and not waiting:
                self._jobs[path] = (stamp, _Job(path, lambda: self._load_large(path, stamp, issuers)))
                return before
            try:
                if stamp[2] > INDEXED_ELSEWHERE:
                    outcome = self._load_large(path, stamp, issuers)
                else:
                    # One that grows meanwhile is cut off, refused, and read again.
                    outcome = self._load_small(path, file.read(INDEXED_ELSEWHERE), issuers)
            except OSError as error:
                return replace(before, problem=f"`{path}`: cannot be read: {error.strerror}")
            except TrustMaterialError as error:
                self._stamps[path] = stamp
                return replace(before, problem=str(error))
            self._stamps[path] = stamp
            return self._judged(before, stamp, outcome)

    def _load_small(self, path: Path, octets: bytes, issuers: Sequence[CertificateFacts]) -> _Loaded:
        with _named(path):
            index = index_crl(octets)
        held = open_list(index, issuers, source=str(path))
        digest = hashlib.sha256(octets).hexdigest()
        with suppress(OSError):
            self._cache.keep_index(digest, index)
        return _Loaded(held=held, digest=digest, index_digest=hashlib.sha256(index).hexdigest())

    def _load_large(self, path: Path, stamp: Stamp, issuers: Sequence[CertificateFacts]) -> _Loaded:
        """Index a list in another process, unless somebody has done it already; blocking."""
        if stamp[2] > LARGEST_CRL:
            raise TrustMaterialError(
                f"`{path}`: too large: expected a list of at most {LARGEST_CRL} octets, found {stamp[2]}"
            )
        with self._cache.indexing():
            record = self._cache.read_record(str(path))
            if record is not None and record.stamp == stamp:
                kept = self._cache.find_index(record.digest, record.index_digest)
                if kept is not None:
                    held = open_list(kept, issuers, source=str(path))
                    return _Loaded(held=held, digest=record.digest, index_digest=record.index_digest)
            with self._cache.scratch() as made, _named(path):
                digest = index_in_process(path, made, maximum_octets=LARGEST_CRL)
                index = made.read_bytes()
            index_digest = hashlib.sha256(index).hexdigest()
            with suppress(OSError):
                self._cache.keep_index(digest, index)
            held = open_list(self._cache.find_index(digest, index_digest) or index, issuers, source=str(path))
            loaded = _Loaded(held=held, digest=digest, index_digest=index_digest)
            self._remember(path, stamp, loaded)
            return loaded

    def _judged(self, before: ListState, stamp: Stamp, outcome: _Loaded | TrustMaterialError) -> ListState:
        """Take a list that was read, unless it is an older one."""
        if isinstance(outcome, TrustMaterialError):
            return replace(before, problem=str(outcome))
        if before.held is not None and goes_back(outcome.held, before.held):
            return replace(before, problem=older_list(before.source, outcome.held, before.held))
        self._remember(Path(before.source), stamp, outcome)
        same = before.held is not None and before.digest == outcome.digest
        held = before.held if same else outcome.held
        return replace(before, held=held, digest=outcome.digest, problem="")

    def _remember(self, path: Path, stamp: Stamp, loaded: _Loaded) -> None:
        """Remember the list of a file, unless the one that is remembered is newer (threat T37)."""
        record = Record(source=str(path), digest=loaded.digest, index_digest=loaded.index_digest, stamp=stamp)
        remembered = self._cache.read_record(str(path))
        if remembered == record:
            return
        if remembered is not None and remembered.digest != record.digest:
            index = self._cache.find_index(remembered.digest, remembered.index_digest)
            with suppress(TrustMaterialError):
                if index is not None and goes_back(
                    loaded.held, RevocationList.from_index(index, source=str(path))
                ):
                    return
        with suppress(OSError):  # the cache tells it
            self._cache.write_record(record)


class _UnopenedError(TrustMaterialError):
    """A file that cannot be opened for reading."""


class _named:  # noqa: N801 - used as a statement
    """Put the name of a file before the text of a TrustMaterialError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, TrustMaterialError):
            raise TrustMaterialError(f"`{self._path}`: {error}") from error


def _is_folder(path: Path) -> bool:
    """Whether a path is a directory; not where nobody can tell, and then opening it says why."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _list_folder(folder: Path) -> tuple[list[Path], str]:
    """Return the lists in a directory, sorted, and what is wrong with it as a whole."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                each.name
                for each, _ in zip(entries, range(4 * _MOST_IN_FOLDER), strict=False)
                if _is_list_name(each.name)
            )
    except OSError as error:
        return [], f"`{folder}`: cannot be read: {error.strerror}"
    if len(names) > _MOST_IN_FOLDER:
        return [], f"`{folder}`: expected at most {_MOST_IN_FOLDER} lists, found more"
    problem = "" if names else f"`{folder}`: expected lists (`.crl`, `.pem`, `.der`, `.r0`), found none"
    return [folder / name for name in names], problem


def _is_list_name(name: str) -> bool:
    if name.startswith("."):
        return False
    stem, dot, last = name.rpartition(".")
    hashed = len(last) == 2 and last[0] == "r" and last[1] in "0123456789"
    return name.endswith(_SUFFIXES) or (bool(stem and dot) and hashed)


def _stamp_at(path: Path) -> Stamp | None:
    try:
        return stamp_of(path.stat())
    except OSError:
        return None


def _open_file(place: _Place) -> tuple[int, Stamp]:
    """Open a file for reading; one of a directory only where it stands in there, whatever links say.

    Raises:
        _UnopenedError: it is missing, unreadable, no regular file, or elsewhere.

    """
    path = place.path
    try:
        real = path.resolve(strict=True)
        if place.root is not None and not real.is_relative_to(place.root.resolve()):
            raise _UnopenedError(f"`{path}`: expected a file in this directory, found a link to `{real}`")
        # Not blocking: opening a named pipe would wait for its writer.
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) else "a link that leads to itself"
        raise _UnopenedError(f"`{path}`: cannot be read: {why}") from error
    status = os.fstat(descriptor)
    # Resolved once more: a link that was exchanged between the look and the opening leads elsewhere now.
    if not stat.S_ISREG(status.st_mode) or (place.root is not None and path.resolve() != real):
        os.close(descriptor)
        raise _UnopenedError(f"`{path}`: expected a regular file")
    return descriptor, stamp_of(status)
