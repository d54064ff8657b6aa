"""Verification of directories for administrators: on the command line and in the API.

What lives here: one verification from its settings to its checks, within limits of time and number, and what
only the service knows of a sample: the anchor that its path ends in. What does not: the checks
(`directory_assistance`), who may ask (`web/api`), how they are shown (`cli`).

Invariants:

* Never more than `MOST_VERIFICATIONS` at a time in one process, each within `LONGEST_VERIFICATION` (threat
  T75): each opens connections and asks slow questions.
* A directory that is not enabled is looked at only when it is named.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from authsvc.presented.body import read_certificate_file
from authsvc.presented.presentation import PresentedCertificate
from authsvc.store.errors import SchemaRefused, StoreUnavailable
from authsvc.store.migrate import require_schema
from authsvc.trust.anchors import TrustStore
from authsvc.trust.path import PathRefusal, verify_path
from directory_assistance.backends.verifying import kind_of, verify_kind
from directory_assistance.certificate_names import read_certificate_names
from directory_assistance.dn import prepare, render_ldap
from directory_assistance.domains import AnyDomain, DirectoryAssistance, PrimaryDomain
from directory_assistance.errors import CertificateSyntaxError, shorten
from directory_assistance.settings import (
    DirectoryAssistanceSettings,
    DomainSettings,
    PrimarySettings,
    SqlSettings,
)
from directory_assistance.sql_engine import open_engine
from directory_assistance.verification import Check, CheckRecorder, Sample, Verification, verify_sample

__all__ = ["LONGEST_VERIFICATION", "MOST_VERIFICATIONS", "DirectoryVerifier", "VerifierBusy"]

MOST_VERIFICATIONS: Final = 2
"""Verifications under way in one process: as many as explanations, and for the same reason (threat T75)."""

LONGEST_VERIFICATION: Final = timedelta(seconds=30)
"""The deadline of one verification: three hosts that hang at every step."""


class VerifierBusy(Exception):  # noqa: N818 - says what is the matter, as the other refusals do
    """As many verifications as may be are under way."""


class DirectoryVerifier:
    """Verifies the directories of one configuration. Its calls block, and may come from several threads.

    Args:
        settings: the directories as configured.
        assistance: the same, open.
        trust: returns the anchors that a sample is held against, None where they cannot be used.
        front_ends: the listeners in whose name a sample may be verified, the first that accepts it counts.
        now: the wall clock (UTC).
        monotonic: the clock of deadlines, in seconds.

    """

    def __init__(  # noqa: PLR0913 - what it is made of; the service and the command line make one
        self,
        settings: DirectoryAssistanceSettings,
        assistance: DirectoryAssistance,
        *,
        trust: Callable[[], TrustStore | None],
        front_ends: Sequence[str],
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._configured: tuple[PrimarySettings | DomainSettings, ...] = (settings.primary, *settings.domains)
        self._assistance = assistance
        self._trust = trust
        self._front_ends = tuple(front_ends)
        self._now = now
        self._monotonic = monotonic
        self._places = threading.BoundedSemaphore(MOST_VERIFICATIONS)

    @property
    def enabled_domains(self) -> tuple[str, ...]:
        """The names of what is verified when nothing is named: the primary, and every enabled domain."""
        return tuple(
            domain.domain
            for domain in self._assistance.every_domain
            if isinstance(domain, PrimaryDomain) or domain.enabled
        )

    @property
    def sampled_domains(self) -> tuple[str, ...]:
        """Those of `enabled_domains` that have a sample."""
        sampled = {each.domain for each in self._configured if each.sample is not None}
        return tuple(name for name in self.enabled_domains if name in sampled)

    def find(self, name: str) -> str | None:
        """Return the domain that is meant by a name, in whatever case, or None."""
        return next(
            (
                domain.domain
                for domain in self._assistance.every_domain
                if prepare(domain.domain) == prepare(name)
            ),
            None,
        )

    def verify(self, name: str) -> Verification:
        """Verify one directory.

        Args:
            name: of its domain, as `find` or `enabled_domains` gives it.

        Raises:
            VerifierBusy: too many are under way.

        """
        position = [domain.domain for domain in self._assistance.every_domain].index(name)
        domain, settings = self._assistance.every_domain[position], self._configured[position]
        with self._place():
            return self._verify(domain, settings)

    def look_for_sample(self, name: str, deadline: float) -> tuple[Check, ...]:
        """Ask one directory for the owner of its sample, and for nothing else; no place is taken.

        Args:
            name: of its domain, one of `sampled_domains`.
            deadline: monotonic seconds.

        """
        position = [domain.domain for domain in self._assistance.every_domain].index(name)
        domain, settings = self._assistance.every_domain[position], self._configured[position]
        recorder = CheckRecorder(self._monotonic)
        sample = self._read_sample(recorder, domain, settings.sample)
        if sample is not None:
            verify_sample(recorder, domain, sample, deadline=deadline)
        return recorder.checks

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise VerifierBusy(f"{MOST_VERIFICATIONS} verifications are under way")
        try:
            yield
        finally:
            self._places.release()

    def _verify(self, domain: AnyDomain, settings: PrimarySettings | DomainSettings) -> Verification:
        """Look at the connection, then at the sample.

        1. What the kind of directory has to show.
        2. The sample certificate, and the anchor its path ends in.
        3. Each way of the match plan with it, and what would become of the entry.
        """
        recorder = CheckRecorder(self._monotonic)
        deadline = self._monotonic() + LONGEST_VERIFICATION.total_seconds()
        if not isinstance(domain, PrimaryDomain) and not domain.searchable:
            found = "nobody is looked for here: it is not enabled, or has no enabled trusted rule"
            recorder.skip(
                "domain", domain.domain, found, advice="`enabled: true`, a rule with `trusted: true`"
            )
        reached = verify_kind(
            recorder,
            domain,
            settings.directory,
            schema_problem=_schema_problem,
            now=self._now(),
            deadline=deadline,
        )  # 1
        if not reached.answers:
            advice = "see the checks before"
            recorder.skip("sample", domain.domain, "not asked for: nothing can be asked here", advice=advice)
        else:
            sample = self._read_sample(recorder, domain, settings.sample)  # 2
            if sample is not None:
                verify_sample(recorder, domain, sample, deadline=deadline, now=self._now())  # 3
        return Verification(
            domain=domain.domain,
            kind=kind_of(settings.directory),
            checks=recorder.checks,
            connected=reached.connected,
        )

    def _read_sample(self, recorder: CheckRecorder, domain: AnyDomain, file: Path | None) -> Sample | None:
        if file is None:
            advice = "`sample: FILE`, a certificate that is known to be in this directory"
            recorder.skip("sample", domain.domain, "no certificate to look for", advice=advice)
            return None
        recorder.begin()
        try:
            presented = read_certificate_file(file.read_bytes())
        except OSError as error:
            found = f"`{file}`: {(error.strerror or str(error)).lower()}"
            recorder.fail("sample", file.name, found, advice="the file that `sample` names")
            return None
        if not isinstance(presented, PresentedCertificate):
            recorder.fail(
                "sample", file.name, "the file holds no certificate", advice="a certificate, PEM or DER"
            )
            return None
        try:
            names = read_certificate_names(presented.der)
        except CertificateSyntaxError as error:
            why = "the file holds a certificate whose names cannot be read"
            recorder.fail("sample", file.name, shorten(str(error)), advice="another certificate", why=why)
            return None
        shown = f"`{shorten(render_ldap(names.subject))}`"
        if names.unusable:
            why = "the file holds a certificate whose names cannot be used"
            found = f"{shown}: {names.unusable}"
            recorder.fail("sample", file.name, found, advice="another certificate", why=why)
            return None
        anchor_id, problem = self._anchor_of(presented)
        if problem:
            advice = (
                "a sample that is trusted, or `trust` in authsvc.yaml; the look-ups are made all the same"
            )
            recorder.warn("sample", file.name, f"{shown}: {problem}", advice=advice)
        else:
            recorder.ok("sample", file.name, f"{shown}, by anchor `{anchor_id}`")
        return Sample(names=names, anchor_id=anchor_id)

    def _anchor_of(self, presented: PresentedCertificate) -> tuple[str, str]:
        """Return the anchor that the path ends in, or why there is none."""
        store = self._trust()
        if store is None:
            return "", "the trust anchors cannot be used"
        problem = ""
        for front_end in self._front_ends:
            verified = verify_path(
                presented,
                store,
                front_end=front_end,
                now=self._now(),
                clock_skew=timedelta(0),
                accept_expired=timedelta(0),
            )
            if not isinstance(verified, PathRefusal):
                return verified.anchor_id, ""
            problem = problem or f"{verified.reason.value}: {verified.detail}"
        return "", problem


def _schema_problem(settings: SqlSettings) -> str:
    """Return what is wrong with the schema of an sql directory, empty for nothing."""
    engine = open_engine(settings.url)  # that of readers: looking makes no file and no table
    try:
        require_schema(engine)
    except (SchemaRefused, StoreUnavailable) as error:
        return shorten(str(error))
    finally:
        engine.dispose()
    return ""
