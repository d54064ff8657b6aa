"""Watching an LDIF file: one thread that looks at it four times a second, and tells when something else is in use.

What lives here: the thread, and the state it is in. What does not: looking and reading (`source.py`).

Invariants are those of `directory_assistance.watching`. What questions are answered from changes only when this thread
swaps it, so nothing changes unseen while the state is `LIVE`; how old it may be is the affair of `source.py`.
"""

import threading

from directory_assistance.backends.ldif.source import LOOK_SECONDS, LdifSource, Look
from directory_assistance.errors import shorten
from directory_assistance.watching import EVERYTHING, OnChange, WatchState, WatchStatus

__all__ = ["LdifWatch"]

_HOW = "file"


class LdifWatch:
    """A file being watched, from when it is made until it is closed.

    Args:
        source: the file; this is the only one that looks at it.
        on_change: told `EVERYTHING` when the watch becomes live, when it is lost, and at every change.

    """

    def __init__(self, source: LdifSource, on_change: OnChange) -> None:
        self._source = source
        self._on_change = on_change
        self._status = WatchStatus(state=WatchState.STARTING, how=_HOW)
        self._stop = threading.Event()
        self._telling = threading.RLock()  # whoever is told may close the watch
        source.set_watched(watched=True)
        threading.Thread(target=self._run, name="ldif-watch", daemon=True).start()

    @property
    def status(self) -> WatchStatus:
        """How it stands now; may be read from any thread."""
        return self._status

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._stop.is_set()

    def close(self) -> None:
        """Stop watching; nothing is told afterwards. A second time does nothing."""
        with self._telling:
            if not self._stop.is_set():
                self._stop.set()
                self._source.set_watched(watched=False)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._take(self._source.look(settled=True))
                self._stop.wait(LOOK_SECONDS)
        except Exception as error:  # noqa: BLE001 - see below
            # The outermost handler of this thread. Nobody looks any more, and that must be known: the questions make
            # sure again that somebody does.
            self._lose(f"a defect of the watch: {shorten(str(error))}")
            self.close()

    def _take(self, look: Look) -> None:
        problem = self._source.problem
        if problem:
            self._lose(problem)
        elif look is Look.READ or (look is Look.SAME and self._status.state is not WatchState.LIVE):
            self._tell(WatchStatus(state=WatchState.LIVE, how=_HOW))

    def _lose(self, problem: str) -> None:
        status = WatchStatus(state=WatchState.LOST, how=_HOW, problem=problem)
        if self._status.state is WatchState.LOST:
            self._status = status
        else:
            self._tell(status)

    def _tell(self, status: WatchStatus) -> None:
        with self._telling:
            if not self._stop.is_set():
                self._status = status
                self._on_change(EVERYTHING)
