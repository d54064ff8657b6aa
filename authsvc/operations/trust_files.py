"""Trust material: anchors, intermediates and revocation lists, kept up to date.

Lives here: reading anchors and intermediates within size limits, noticing changes, swapping one immutable snapshot of
everything for the next, and saying what is going wrong. Not here: what the material means (`authsvc/trust/`), settings,
where revocation lists come from (`revocation_sources.py`).

Invariants:

* Everything is parsed before anything is swapped; a reader sees the old snapshot or the new one, whole
  (threat T42).
* Anchors and intermediates that are missing, empty or unreadable refuse the start; later they keep the old
  set and are reported. There are never system roots and never "no anchors" (threat T29).
* A revocation list that cannot be read at start is a problem in the snapshot, which makes certificates
  undecided; one that breaks or vanishes later is kept until its own next update, with a warning. A list older
  than the one at hand is refused (threat T37).
* A change is noticed by the file's identity, size and times, taken from the opened file before it is read,
  so that a write during the read shows as a further change.

Logs `trust_changed`, `trust_file_problem`, `trust_poll_failed`.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from authsvc.operations.fetching import Fetcher
from authsvc.operations.ocsp_responders import OcspSettings
from authsvc.operations.revocation_records import Stamp, stamp_of
from authsvc.operations.revocation_sources import RevocationSettings, RevocationSources
from authsvc.operations.revocation_states import SourceStatus
from authsvc.trust.anchors import (
    AnchorSettings,
    TrustAnchor,
    TrustMaterialError,
    TrustStore,
    read_certificates_pem,
)
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.path import VerifiedCertificate
from authsvc.trust.revocation import RevocationSnapshot, SourceProblem
from directory_assistance.errors import shorten

__all__ = ["AnchorFile", "TrustFiles", "TrustSettings", "TrustSnapshot", "UnusableTrustMaterialError"]

_LARGEST_CERTIFICATE_FILE: Final = 4 * 1024 * 1024
"""Octets of a file of certificates: a thousand of them."""

_LONGEST_LOOK_SECONDS: Final = 30.0
"""How long one look at everything may take before operators are told: a file system that hangs holds it up."""

POLL_INTERVAL: Final = timedelta(milliseconds=250)
"""Between two looks at the files: a change must count within a second, and a look costs a few microseconds a file."""

_logger = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorFile:
    """A PEM file whose certificates are trust anchors, all with one id and the same settings."""

    file: Path
    settings: AnchorSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSettings:
    """Which files there are, and where revocation lists come from. An empty `anchors` refuses the start.

    `ocsp`: None where nobody is asked.
    """

    anchors: tuple[AnchorFile, ...]
    intermediates: tuple[Path, ...] = ()
    revocation: RevocationSettings = field(default_factory=RevocationSettings)
    ocsp: OcspSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSnapshot:
    """All that trust depends on, at one instant; `generation` counts from 1, up with every change."""

    store: TrustStore
    revocation: RevocationSnapshot
    generation: int


class UnusableTrustMaterialError(TrustMaterialError):
    """The material cannot be used at start; carries every problem, not only the first."""

    def __init__(self, problems: Iterable[SourceProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(one.problem for one in self.problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class _CertificateFiles:
    """How the files of certificates looked when last read, and what is wrong with them now."""

    stamps: Mapping[Path, Stamp | None] = field(default_factory=dict)
    problems: tuple[SourceProblem, ...] = ()


class TrustFiles:
    """The current trust snapshot, kept up to date.

    Args:
        settings: the files, and where revocation lists come from.
        on_change: called after each swap, from the polling thread, so that caches purge; must not block.
        serving: whether revocation lists may be fetched and remembered; else only what is there is read.
        now: the wall clock, UTC.
        fetcher: calls servers; None for one of its own.

    Raises:
        UnusableTrustMaterialError: a file of anchors or intermediates cannot be used, or there is no anchor.

    """

    def __init__(
        self,
        settings: TrustSettings,
        *,
        on_change: Callable[[TrustSnapshot], None] | None = None,
        serving: bool = False,
        now: Callable[[], datetime] = _utc_now,
        fetcher: Fetcher | None = None,
    ) -> None:
        self._settings = settings
        self._now = now
        self._on_change = on_change
        self._certificates = _CertificateFiles()
        self._failure = ""
        self._looked_at = time.monotonic()
        self._polling = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        store = self._read_store()
        if store is None:
            raise UnusableTrustMaterialError(self._certificates.problems)
        self._sources = RevocationSources(settings.revocation, now=now, serving=serving, fetcher=fetcher)
        self._sources.poll(store.by_der.values(), first=True)
        self._current = TrustSnapshot(store=store, revocation=self._sources.snapshot(), generation=1)

    @property
    def current(self) -> TrustSnapshot:
        """The newest snapshot; one reference, swapped as a whole."""
        return self._current

    @property
    def generation(self) -> int:
        """The newest snapshot's generation."""
        return self._current.generation

    def poll(self) -> bool:
        """Look at everything, read again what changed, swap; say whether the snapshot is a new one.

        1. Certificates first: new authorities may explain lists that nobody could check before.
        2. Then the lists: those that changed, and all of them if the authorities did; what is due is fetched, in the
           background.
        3. Swap, then tell.
        """
        with self._polling:
            # 1
            old = self._current
            store = old.store
            authorities_changed = False
            if self._certificates_look_different():
                read = self._read_store()
                if read is not None and read != store:
                    store, authorities_changed = read, True
            # 2
            self._sources.poll(store.by_der.values(), authorities_changed=authorities_changed)
            revocation = self._sources.snapshot()
            # 3
            if not authorities_changed and revocation == old.revocation:
                return False
            self._current = TrustSnapshot(store=store, revocation=revocation, generation=old.generation + 1)
        _logger.info("trust_changed", extra={"generation": self._current.generation})
        if self._on_change is not None:
            self._on_change(self._current)
        return True

    def warnings(self, now: datetime) -> tuple[str, ...]:
        """Return what an operator should see to, sorted: for the log and for `/readyz`.

        Files that could not be read (again), sources that do not answer, lists that are stale, not valid yet, or have
        less than 20 % of their life left, anchors that have expired; and a look at all of it that does not end.
        """
        found = [one.problem for one in self._certificates.problems]
        if self._failure:
            found.append(self._failure)
        silent = time.monotonic() - self._looked_at
        if self._thread is not None and silent > _LONGEST_LOOK_SECONDS:
            found.append(f"trust files: the look at them takes more than {_LONGEST_LOOK_SECONDS:.0f} s")
        found += self._sources.warnings(now)
        for anchor in self._current.store.anchors:
            if now > anchor.facts.not_after:
                ended = anchor.facts.not_after.isoformat()
                found.append(f"trust anchor `{anchor.id}` (`{anchor.facts.subject_text}`) expired {ended}")
        return tuple(sorted(set(found)))

    def statuses(self, now: datetime) -> tuple[SourceStatus, ...]:
        """Return how every source of revocation lists stands at an instant."""
        return self._sources.statuses(now)

    @property
    def fetches(self) -> Mapping[tuple[str, ...], int]:
        """How often this process fetched a revocation list, by source and `success` or `failure`."""
        return self._sources.fetches

    def note(self, verified: VerifiedCertificate) -> str:
        """Learn where the certificates of a proven path say that their lists are; never waits.

        Returns:
            One of these places of which there is no list yet; empty where there is one of each, or no place.

        """
        return self._sources.note(verified)

    def start(
        self,
        interval: timedelta = POLL_INTERVAL,
        *,
        on_change: Callable[[TrustSnapshot], None] | None = None,
    ) -> None:
        """Poll in a thread of its own until `stop`; logs a warning each time the set of warnings changes.

        Args:
            interval: between two looks.
            on_change: takes the place of the constructor's, where it is given.

        """
        if self._thread is None:
            self._on_change = on_change or self._on_change
            self._stop.clear()
            self._looked_at = time.monotonic()
            self._thread = threading.Thread(
                target=self._run, args=(interval.total_seconds(),), name="trust-files", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """End the thread and what it began, and wait for it; a second time does nothing."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None
        self._sources.close()

    def log_warnings(self, known: frozenset[str], now: datetime) -> frozenset[str]:
        """Log each warning that is not known yet, once; return all that hold now."""
        holding = frozenset(self.warnings(now))
        for text in sorted(holding - known):
            _logger.warning("trust_file_problem", extra={"problem": text})
        return holding

    def _run(self, seconds: float) -> None:
        known: frozenset[str] = frozenset()
        while True:
            self._looked_at = time.monotonic()
            try:
                self.poll()
                self._failure = ""
            except Exception as error:
                # The outermost handler of this thread. If it ended, trust would silently grow stale; so the
                # defect is logged and shown in `warnings`, the old snapshot stays, and polling goes on.
                _logger.exception("trust_poll_failed")
                self._failure = f"trust files cannot be polled: {shorten(str(error))}"
            try:
                known = self.log_warnings(known, self._now())
            except Exception:
                _logger.exception("trust_poll_failed")
            if self._stop.wait(seconds):
                return

    def _certificate_paths(self) -> list[Path]:
        return [*(one.file for one in self._settings.anchors), *self._settings.intermediates]

    def _certificates_look_different(self) -> bool:
        return any(
            _stamp_of(path) != self._certificates.stamps.get(path) for path in self._certificate_paths()
        )

    def _read_store(self) -> TrustStore | None:
        """Read all anchors and intermediates; None, with all problems noted, if one file cannot be used."""
        problems: list[SourceProblem] = []
        stamps: dict[Path, Stamp | None] = {}
        anchors: list[TrustAnchor] = []
        intermediates: list[CertificateFacts] = []
        for anchor in self._settings.anchors:
            try:
                pem = _read_file(anchor.file, _LARGEST_CERTIFICATE_FILE, stamps)
                anchors += TrustAnchor.from_pem(anchor.settings, pem, source=str(anchor.file))
            except TrustMaterialError as error:
                problems.append(SourceProblem(source=str(anchor.file), problem=str(error)))
        for path in self._settings.intermediates:
            try:
                pem = _read_file(path, _LARGEST_CERTIFICATE_FILE, stamps)
                intermediates += read_certificates_pem(pem, source=str(path))
            except TrustMaterialError as error:
                problems.append(SourceProblem(source=str(path), problem=str(error)))
        store = None
        if not problems:
            try:
                store = TrustStore.of(anchors, intermediates)
            except TrustMaterialError as error:
                problems.append(SourceProblem(source="trust.anchors", problem=str(error)))
        self._certificates = _CertificateFiles(stamps=stamps, problems=tuple(problems))
        return store


def _stamp_of(path: Path) -> Stamp | None:
    try:
        return stamp_of(path.stat())
    except OSError:
        return None


def _read_file(path: Path, limit: int, stamps: dict[Path, Stamp | None]) -> bytes:
    """Read a file, noting how it looked before.

    Raises:
        TrustMaterialError: it is missing, unreadable, no regular file, or larger than the limit.

    """
    stamps[path] = None
    try:
        if path.exists() and not path.is_file():  # opening a named pipe would wait for its writer
            raise TrustMaterialError(f"`{path}`: expected a regular file")
        with path.open("rb") as file:
            stamps[path] = stamp_of(os.fstat(file.fileno()))
            octets = file.read(limit + 1)
    except OSError as error:
        raise TrustMaterialError(f"`{path}`: cannot be read: {error.strerror}") from error
    if len(octets) > limit:
        raise TrustMaterialError(f"`{path}`: expected at most {limit} octets, found more")
    return octets
