"""The file of an LDIF directory as it changes: which reading of it is used, and for how long.

What lives here: seeing that the file changed, reading it once for everybody, and the last good reading. What does not:
what stands in it (`content.py`), when to look while it is watched (`watch.py`).

Invariants:

* A file is read whole before any of it is used; then one reference is swapped. A question keeps the reading that it
  began with.
* A file that cannot be used (gone, not readable, half-written, no LDIF) is never an empty directory: what was read
  before is used for 60 seconds of the monotonic clock more, counted from when the change was first seen; then, and
  where nothing was read before, every question is `DirectoryUnavailable`.
* It is read by one thread at a time, and once for each state of the file, good or bad. No caller reads it: a caller
  waits, until its deadline, for the thread that does.

The 60 seconds are those that a verdict may be remembered for: a copy that takes a moment, or a slip that is corrected
at once, stops nobody; a decision does not rest on older content than it could anyway. While a change is being read for
the first time the clock does not stop anybody either: a large file takes as long as it takes.

NOTE: a file that is overwritten in place and ends, half-written, at the end of a line, is a shorter file to any reader.
While it is watched, a change is read only when the file has stayed as it is from one look to the next; who writes more
slowly than that writes beside it and renames.
"""

import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from directory_assistance.backends.ldif.content import LdifContent, read_content
from directory_assistance.backends.ldif.reading import LdifSyntaxError
from directory_assistance.errors import DirectoryUnavailable, shorten

__all__ = ["LARGEST_FILE", "LONGEST_STALENESS_SECONDS", "LOOK_SECONDS", "LdifSource", "Look"]

LARGEST_FILE = 1_073_741_824
"""Octets of a file, all of which are kept: a million entries with certificates."""

LOOK_SECONDS = 0.25
"""Between two looks at the file: soon enough for a person who edits it, and one system call."""

LONGEST_STALENESS_SECONDS = 60.0
"""How long what was read before is used when the file cannot be: see the module."""


_KEEPS_CHANGING = "it keeps changing while it is read"


class Look(Enum):
    """What a look at the file gave.

    `SAME`: it is as it was read, and in use. `WRITTEN`: it changed, and may still be changing. `READ`: it was read, and
    is in use now. `UNUSABLE`: it cannot be used.
    """

    SAME = "same"
    WRITTEN = "written"
    READ = "read"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class _FileState:
    """What changes when a file does; the change time, because a copy may keep the modification time."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


class _UnusableError(Exception):
    """Why the file cannot be used as it is."""


class _WrittenError(Exception):
    """The file changed while it was read."""


class LdifSource:
    """One file, and the last good reading of it.

    Args:
        domain: for the faults.
        path: absolute.
        clock: the monotonic clock, in seconds.

    """

    def __init__(self, domain: str, path: Path, clock: Callable[[], float]) -> None:
        self._domain = domain
        self._path = path
        self._clock = clock
        self._looking = threading.Lock()  # one thread looks and reads
        self._seen: _FileState | None = None  # by the last look
        self._tried: _FileState | None = None  # what was read, good or bad
        self._told = threading.Condition()  # guards what follows, and tells the end of each look
        self._content: LdifContent | None = None
        self._problem = ""
        self._behind_since: float | None = None
        self._last_look: float | None = None
        self._look_ordered = False
        self._is_reading = False
        self._watched = False
        self._closed = False

    def content(self, deadline: float) -> LdifContent:
        """Return what is to be used now.

        Args:
            deadline: monotonic seconds; a caller waits until then for a reading that it needs.

        Raises:
            DirectoryUnavailable: nothing may be used, see the module; the deadline has passed; it is closed.

        """
        with self._told:
            self._hold_open()
            now = self._clock()
            if now >= deadline:
                raise DirectoryUnavailable(self._domain, "no time left to ask")
            if self._is_look_due(now):
                self._look_ordered = True
                threading.Thread(target=self._look_as_ordered, name="ldif-look", daemon=True).start()
            self._told.wait_for(self._is_decided, timeout=deadline - now)
            self._hold_open()
            content = self._content
            if content is None:
                raise self._unavailable(self._problem or "it is not read yet")
            if self._is_too_old():
                raise self._unavailable(
                    f"{self._problem or _KEEPS_CHANGING}, and what was read before is too old by now"
                )
            return content

    @property
    def problem(self) -> str:
        """Why the file as it is cannot be used; empty where it can, and while nobody knows."""
        with self._told:
            return self._problem or (_KEEPS_CHANGING if self._is_too_old() else "")

    def look(self, *, settled: bool) -> Look:
        """Look at the file, and read it where it changed.

        Args:
            settled: read a change only when the file has stayed as it was at the last look. The first reading does not
                wait for that: another one follows, if the file was being written.

        """
        with self._looking:
            try:
                return self._look(settled=settled)
            finally:
                with self._told:
                    self._is_reading = False
                    self._last_look = self._clock()
                    self._told.notify_all()

    def set_watched(self, *, watched: bool) -> None:
        """Say whether a watch looks from now on; otherwise the questions make sure that somebody does."""
        with self._told:
            self._watched = watched
            self._told.notify_all()

    def close(self) -> None:
        """Refuse every question from now on, and let go of what was read."""
        with self._told:
            self._closed = True
            self._content = None
            self._told.notify_all()

    # --- questions; `_told` is held

    def _hold_open(self) -> None:
        if self._closed:
            raise DirectoryUnavailable(self._domain, "the directory is closed")

    def _is_look_due(self, now: float) -> bool:
        if self._watched or self._look_ordered:
            return False
        return self._last_look is None or now - self._last_look >= LOOK_SECONDS

    def _is_decided(self) -> bool:
        if self._closed:
            return True
        if self._watched:
            return self._content is not None or bool(self._problem)
        return not self._look_ordered

    def _is_too_old(self) -> bool:
        since = self._behind_since
        if since is None or (self._is_reading and not self._problem):
            return False
        return self._clock() - since > LONGEST_STALENESS_SECONDS

    def _unavailable(self, problem: str) -> DirectoryUnavailable:
        return DirectoryUnavailable(self._domain, f"`{shorten(str(self._path))}` cannot be used: {problem}")

    # --- looking; `_looking` is held

    def _look_as_ordered(self) -> None:
        try:
            self.look(settled=False)
        finally:
            with self._told:
                self._look_ordered = False
                self._told.notify_all()

    def _look(self, *, settled: bool) -> Look:
        try:
            state = _state_of(self._path.stat())
            before, self._seen = self._seen, state
            if state == self._tried:
                return self._stay()
            if settled and self._content is not None and state != before:
                self._fall_behind()
                return Look.WRITTEN
            with self._told:
                self._is_reading = True
            content = read_content(self._domain, _read_octets(self._path, state))
        except _WrittenError:
            self._fall_behind()
            return Look.WRITTEN
        except OSError as error:
            return self._refuse(None, error.strerror or str(error))
        except (_UnusableError, LdifSyntaxError) as error:
            return self._refuse(self._seen, str(error))
        self._tried = state
        with self._told:
            if not self._closed:
                self._content, self._problem, self._behind_since = content, "", None
        return Look.READ

    def _stay(self) -> Look:
        """The file is as it was read; whatever was seen in between is gone."""
        with self._told:
            if self._problem:
                return Look.UNUSABLE
            self._behind_since = None
            return Look.SAME

    def _refuse(self, tried: _FileState | None, problem: str) -> Look:
        self._tried = tried
        self._fall_behind(problem)
        return Look.UNUSABLE

    def _fall_behind(self, problem: str | None = None) -> None:
        with self._told:
            self._problem = self._problem if problem is None else problem
            if self._behind_since is None:
                self._behind_since = self._clock()


def _state_of(status: os.stat_result) -> _FileState:
    return _FileState(
        device=status.st_dev,
        inode=status.st_ino,
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
        changed_ns=status.st_ctime_ns,
    )


def _read_octets(path: Path, state: _FileState) -> bytes:
    """Read a file that is in this state, whole.

    Raises:
        OSError: it cannot be read.
        _UnusableError: it is no file, or too large.
        _WrittenError: it is in another state before all of it is read.

    """
    # Without O_NONBLOCK a named pipe would be waited for.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise _UnusableError("expected a file, found something else")
        if state.size > LARGEST_FILE:
            raise _UnusableError(f"expected a file of at most {LARGEST_FILE} octets, found {state.size}")
        octets = stream.read(state.size + 1)
        if _state_of(os.fstat(stream.fileno())) != state or len(octets) != state.size:
            raise _WrittenError
    return octets
