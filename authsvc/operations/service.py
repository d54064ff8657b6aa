"""The service without its listeners: settings become open directories, trust, databases, a snapshot and a decider.

The one wiring place below `web`: `serve`, `explain` and the API all decide through a `Service`. What changes
while it runs (trust files, the store's generation, the state of a watch, a reload) makes a new snapshot and a new
epoch by swapping one reference. A change that a directory tells is in the epoch at once: the epoch ends with the
number of changes told, which is read anew for every question.

Not here: listeners and HTTP (`web/`), reading configuration files (`config.py`).
"""

import hashlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from authsvc.decision.pipeline import DIRECTORY_DATABASE, Moment, Policy, Snapshot, decide
from authsvc.decision.ports import StoreFault
from authsvc.decision.request import DecisionRequest
from authsvc.decision.verdict import Verdict
from authsvc.operations import watches
from authsvc.operations.assistance import not_watched, open_assistance, without_memory
from authsvc.operations.audit import AuditFault, AuditLog, DecisionRecord
from authsvc.operations.block_register import BlockRegister
from authsvc.operations.decider import Decider
from authsvc.operations.fetching import Fetcher
from authsvc.operations.hosts import HostLog, host_statuses
from authsvc.operations.metrics import DirectoryFigures, Figures
from authsvc.operations.ocsp_responders import OcspResponders
from authsvc.operations.ocsp_states import OcspFigures
from authsvc.operations.revocation_states import SourceStatus
from authsvc.operations.self_tests import SelfTests
from authsvc.operations.trust_files import TrustFiles, TrustSnapshot
from authsvc.operations.verifying import DirectoryVerifier
from authsvc.operations.watches import Watches
from authsvc.reason import Reason
from authsvc.settings import Settings, UnknownCertificate
from authsvc.store.blocks import SqlBlocks
from authsvc.store.bootstrap import note_manager_used, verify_token
from authsvc.store.databases import SqlDatabases
from authsvc.store.migrate import migrate, require_schema
from authsvc.store.schema import GenerationReader, open_engine
from authsvc.trust.anchors import TrustAnchor
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.direct_lists import is_listed
from directory_assistance.backends.caching import CachingDirectory
from directory_assistance.candidates import BindBy
from directory_assistance.directory import KnowsHosts
from directory_assistance.dn import render_name
from directory_assistance.domains import AnyDomain, DirectoryAssistance, PrimaryDomain
from directory_assistance.entry import Identity
from directory_assistance.errors import DirectoryFault
from directory_assistance.settings import DirectoryAssistanceSettings, SqlSettings
from directory_assistance.sql_engine import open_engine as open_reading_engine
from directory_assistance.trace import TraceRecorder

__all__ = ["API_NAME", "Readiness", "Service", "migrate_stores"]

_LOG = logging.getLogger("authsvc.service")

API_NAME = "api"
"""Name of the administration listener, and what an anchor's `front_ends` calls it."""

GENERATION_INTERVAL = timedelta(milliseconds=250)
"""Between two looks at the stores' generation: a change by another process counts within this time."""

_LONGEST_SILENCE_SECONDS = 2.0
"""How long ago the generations may have been read for the cache to be believed: eight looks."""

_HEALTH_SECONDS = 2.0
"""How long a directory may take to answer `/readyz`."""

_EXPLAIN_SECONDS = 20.0
"""The deadline of an explanation on the command line: it asks every directory, and nobody else waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether decisions can be made, and what stands in the way or soon will."""

    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.problems


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Service:
    """Everything that decides, open. Made by `open`; `close` releases it.

    `decider` answers requests, `settings` is the configuration it was made of, `version` names it in every
    answer. `audit` is None where nothing is served. `verifier` looks at single directories. `answers` counts them by
    front end and true reason; of the event loop alone. `block_register` keeps the emergency blocks.

    INVARIANT: nobody is answered from the cache unless the stores' generations were read less than
    `_LONGEST_SILENCE_SECONDS` ago: a store that fails, or that hangs, makes the epoch unknown. New trust counts at
    once, whatever the one who looks for changes is waiting for.
    """

    def __init__(  # noqa: PLR0913 - what a service is made of; only `open` makes one
        self,
        settings: Settings,
        *,
        version: str,
        engines: tuple[Engine, ...],
        assistance: DirectoryAssistance,
        trust: TrustFiles,
        ocsp: OcspResponders | None,
        audit: AuditLog | None,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.now = now
        self.policies = {each.name: each.policy for each in settings.front_ends}
        self.version = version
        self.audit = audit
        self.answers: Counter[tuple[str, Reason]] = Counter()
        self._monotonic = monotonic
        self._engines = engines
        self._assistance = assistance
        self._without_memory = without_memory(assistance)
        self._trust = trust
        self._ocsp = ocsp
        self._host_log = HostLog(assistance)
        self._wake = threading.Event()
        self._watches = Watches(
            assistance, off=not_watched(settings.directory_assistance), wake=self._wake.set
        )
        self._databases = SqlDatabases(engines[0])
        self._blocks = SqlBlocks(engines[0])
        self.block_register = BlockRegister(engines[0], now=now)
        self._generations = tuple(map(GenerationReader, engines))
        self.verifier = self._verifier_of(assistance)
        asking = self._verifier_of(self._without_memory)
        self._self_tests = SelfTests(asking.sampled_domains, asking.look_for_sample, monotonic=monotonic)
        self._policy = Policy(
            deny_access=settings.deny_access,
            full_access_administrators=settings.full_access_administrators,
            anonymous_without_entry=settings.unknown_certificate is UnknownCertificate.ANONYMOUS,
            clock_skew=settings.clock_skew,
            allowed_lifetime=settings.cache_time,
            refused_lifetime=min(settings.cache_time, Policy().refused_lifetime),
        )
        self._store_problem = ""
        self._looked_at = -_LONGEST_SILENCE_SECONDS
        self._current: tuple[Snapshot, object | None] = (self._snapshot(trust.current), None)
        self._ahead: Snapshot | None = None
        self.decider = Decider(self._current_snapshot, afresh=self._afresh, now=now, monotonic=monotonic)
        self._on_trust_change: Callable[[], None] = lambda: None
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    def _verifier_of(self, assistance: DirectoryAssistance) -> DirectoryVerifier:
        return DirectoryVerifier(
            self.settings.directory_assistance,
            assistance,
            trust=lambda: self._trust.current.store,
            front_ends=(API_NAME, *self.policies),
            now=self.now,
            monotonic=self._monotonic,
        )

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        serving: bool = False,
        now: Callable[[], datetime] = _utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> "Service":
        """Open everything that a decision needs; if anything fails, nothing stays open.

        Args:
            settings: the configuration.
            serving: whether requests will be answered: then the schema of every enabled sql directory is created
                or migrated, and the audit file is opened. Otherwise a schema that is not this version's is
                refused, a database file that is not there is a fault, and nothing can be written.
            now: the wall clock (UTC).
            monotonic: the clock of deadlines, in seconds.

        Raises:
            StoreFault: a database did not answer.
            SchemaRefused: a database has a schema that is not ours, or not this version's.
            TrustMaterialError: anchors or intermediates cannot be used.
            AuditFault: the audit file cannot be opened.
            ConfigurationError: an address of a database cannot be used.
            OSError: a configuration file has vanished since it was read.

        """
        with ExitStack() as opened:
            engines: list[Engine] = []
            for each in _sql_directories(settings.directory_assistance):
                engines.append((open_engine if serving else open_reading_engine)(each.url))
                opened.callback(engines[-1].dispose)
            for engine in engines:
                (migrate if serving else require_schema)(engine)
            trust = TrustFiles(settings.trust, serving=serving, now=now)
            opened.callback(trust.stop)
            ocsp = _open_ocsp(settings, trust, now=now, monotonic=monotonic)
            assistance = open_assistance(
                settings.directory_assistance, cache_time=settings.cache_time, monotonic=monotonic
            )
            opened.callback(assistance.close)
            audit = AuditLog(settings.audit_file) if serving else None
            if audit is not None:
                opened.callback(audit.close)
            service = cls(
                settings,
                version=_version_of(settings),
                engines=tuple(engines),
                assistance=assistance,
                trust=trust,
                ocsp=ocsp,
                audit=audit,
                now=now,
                monotonic=monotonic,
            )
            opened.pop_all()
        return service

    def start(self, *, on_trust_change: Callable[[], None] = lambda: None) -> None:
        """Begin to watch what changes: trust files, the generation of every sql directory, every other directory.

        Args:
            on_trust_change: called from a thread of its own after anchors or intermediates changed; must not block.

        """
        self._on_trust_change = on_trust_change
        self._trust.start(on_change=lambda _snapshot: self._wake.set())
        if self._ocsp is not None:
            self._ocsp.start()
        self._watcher = threading.Thread(target=self._watch, name="generations", daemon=True)
        self._watcher.start()

    def take_over(self, former: "Service") -> None:
        """Know what the service of a former configuration heard to be revoked: a reload unsays nothing."""
        if self._ocsp is not None and former._ocsp is not None:  # noqa: SLF001 - of the same class
            self._ocsp.take_over(former._ocsp)  # noqa: SLF001 - as above

    def close(self) -> None:
        """Stop watching, let running decisions end, close every connection; a second time does nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._wake.set()
        if self._watcher is not None:
            self._watcher.join()
        self._self_tests.close()
        self._watches.close()
        self.decider.close()
        self._trust.stop()
        if self._ocsp is not None:
            self._ocsp.close()
        self._assistance.close()
        self._databases.close()
        self._blocks.close()
        for reader in self._generations:
            reader.close()
        for engine in self._engines:
            engine.dispose()
        if self.audit is not None:
            self.audit.close()

    def explain(self, request: DecisionRequest) -> Verdict:
        """Decide afresh in this thread, and look for a second owner."""
        moment = Moment(now=self.now(), deadline=self._monotonic() + _EXPLAIN_SECONDS)
        trace = TraceRecorder(self._monotonic)
        snapshot = self._afresh(self._snapshot(self._trust.current))
        return decide(request, snapshot, moment, trace, exhaustive=True)

    def verify_bootstrap_token(self, token: str) -> bool:
        """Whether a text is the bootstrap token and it still works. Blocking.

        Raises:
            StoreFault: the store did not answer, so nobody knows.

        """
        return verify_token(self._engines[0], token)

    def note_manager_used(self, identity: Identity) -> None:
        """Close the bootstrap token's door: a certificate that `directory`'s ACL makes Manager was used. Blocking."""
        try:
            if note_manager_used(self._engines[0], actor=render_name(identity.name), now=self.now()):
                _LOG.info("bootstrap_token_closed")
        except StoreFault as fault:
            _LOG.warning("store_unavailable", extra={"problem": str(fault)})

    def record_decision(self, record: DecisionRecord) -> bool:
        """Write an audit record, and count it; on the event loop.

        Returns:
            False when it could not be written: an allow must then not leave the service.

        """
        if self.audit is None:
            return False
        reason = record.reason
        try:
            self.audit.record(record)
        except AuditFault as fault:
            _LOG.error("audit_failed", extra={"problem": str(fault)})
            self.answers[record.front_end, Reason.STORE_UNAVAILABLE if reason.status == 200 else reason] += 1
            return False
        self.answers[record.front_end, reason] += 1
        return True

    def figures(self) -> Figures:
        """Return everything that is counted; on the event loop. Never waits for a directory."""
        now = self.now()
        return Figures(
            answers=self.answers,
            cache_hits=self.decider.cache_hits,
            now=now,
            revocation=self.revocation_sources(now),
            fetches=self._trust.fetches,
            watches=self._watches.domains,
            ocsp=OcspFigures() if self._ocsp is None else self._ocsp.figures(),
            directories=tuple(
                DirectoryFigures(
                    domain=each.domain,
                    cache=each.directory.counts if isinstance(each.directory, CachingDirectory) else None,
                    hosts=each.directory.host_statuses if isinstance(each.directory, KnowsHosts) else (),
                )
                for each in self._assistance.every_domain
                if isinstance(each, PrimaryDomain) or each.enabled
            ),
        )

    def readiness(self) -> Readiness:
        """Ask everything that decisions rest on. Blocking; a directory may take two seconds."""
        problems: list[str] = []
        warnings = list(self._trust.warnings(self.now()))
        if self._ocsp is not None:
            warnings.extend(self._ocsp.warnings())
        try:
            if self._databases.find(DIRECTORY_DATABASE) is None:
                problems.append(f"the built-in database `{DIRECTORY_DATABASE}` is missing")
            self._blocks.current()
        except StoreFault as fault:
            problems.append(str(fault))
        silent: set[str] = set()
        for domain, problem in self.check_directories():
            if problem:
                (problems if isinstance(domain, PrimaryDomain) else warnings).append(problem)
                silent.add(domain.domain)
        # Of a directory that does not answer, its servers and its watch say the same once more.
        warnings.extend(self._host_log.warnings(but=silent))
        warnings.extend(watches.warnings(self._watches.domains, but=silent))
        warnings.extend(self._self_tests.warnings(but=silent))
        if self.audit is None or self.audit.problem:
            problems.append(f"audit: {'no file is open' if self.audit is None else self.audit.problem}")
        return Readiness(problems=tuple(problems), warnings=tuple(warnings))

    @property
    def domains(self) -> tuple[AnyDomain, ...]:
        """The primary, then the others as configured, disabled ones too."""
        return self._assistance.every_domain

    @property
    def anchors(self) -> tuple[TrustAnchor, ...]:
        """All trust anchors as they are now."""
        return self._trust.current.store.anchors

    @property
    def authorities(self) -> tuple[bytes, ...]:
        """All anchors and intermediates (DER): what completes and ends the chains of a TLS handshake."""
        store = self._trust.current.store
        return (*(anchor.der for anchor in store.anchors), *(facts.der for facts in store.intermediates))

    def revocation_sources(self, now: datetime) -> tuple[SourceStatus, ...]:
        """Return how every source of revocation lists stands at an instant; nobody is asked."""
        return self._trust.statuses(now)

    def log_insecure_options(self) -> None:
        """Log what is configured to be insecure, once at start."""
        for domain in self._assistance.every_domain:
            if domain.plan.bind_by is BindBy.INSECURE_NAME_ONLY:
                _LOG.warning(
                    "insecure_option", extra={"option": "insecure_name_only", "domain": domain.domain}
                )
        for name, policy in self.policies.items():
            if policy.accept_expired:
                _LOG.warning(
                    "insecure_option", extra={"option": "insecure_accept_expired", "front_end": name}
                )

    def check_directories(self) -> list[tuple[AnyDomain, str]]:
        """Ask every enabled directory at once, so that one that hangs takes no other's time. Blocking, two seconds.

        Returns:
            Each with its problem, empty where it answers.

        """
        domains = [
            domain
            for domain in self._assistance.every_domain
            if isinstance(domain, PrimaryDomain) or domain.enabled
        ]
        deadline = self._monotonic() + _HEALTH_SECONDS

        def check(domain: AnyDomain) -> str:
            try:
                domain.directory.check(deadline=deadline)
            except DirectoryFault as fault:
                return str(fault)
            return ""

        with ThreadPoolExecutor(max_workers=len(domains), thread_name_prefix="health") as threads:
            problems = threads.map(check, domains)
            return list(zip(domains, problems, strict=True))

    def _snapshot(self, trust: TrustSnapshot) -> Snapshot:
        return Snapshot(
            trust=trust.store,
            revocation=trust.revocation,
            paths=self._trust,
            ocsp=self._ocsp,
            assistance=self._assistance,
            databases=self._databases,
            policy=self._policy,
            version=self.version,
            blocks=self._blocks,
        )

    def _current_snapshot(self) -> tuple[Snapshot, object | None]:
        """Return the newest snapshot with its epoch; None as epoch where it may have ended unseen.

        The number of changes is read here, before the decision: one that is told during it makes the verdict
        nobody's but the asker's.
        """
        snapshot, epoch = self._current
        trust = self._trust.current
        if snapshot.trust is not trust.store or snapshot.revocation is not trust.revocation:
            return self._snapshot_ahead(trust), None
        if epoch is None or self._monotonic() - self._looked_at >= _LONGEST_SILENCE_SECONDS:
            return snapshot, None
        return snapshot, (epoch, self._watches.changes, 0 if self._ocsp is None else self._ocsp.changes)

    def _snapshot_ahead(self, trust: TrustSnapshot) -> Snapshot:
        """Return the snapshot with trust that the next look will find: the same one until trust changes again."""
        ahead = self._ahead
        if ahead is None or ahead.trust is not trust.store or ahead.revocation is not trust.revocation:
            ahead = self._ahead = self._snapshot(trust)
        return ahead

    def _afresh(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot whose directories remember nothing."""
        return replace(snapshot, assistance=self._without_memory)

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self._watches.start()  # in this thread, because a directory may take its time
                self._look()
                self._self_tests.observe(self._watches.domains, host_statuses(self._assistance))
            except Exception:  # noqa: BLE001 - see below
                # The outermost handler of this thread. If it ended, nobody would see a change any more; so the
                # defect is logged, nothing is served from the cache meanwhile, and watching goes on.
                _LOG.exception("watch_failed")
                self._current = (self._current[0], None)
            self._wake.wait(GENERATION_INTERVAL.total_seconds())
            self._wake.clear()  # before the look: what wakes during it wakes once more

    def _look(self) -> None:
        """Make a new snapshot and epoch if anything changed; an unknown generation is an unknown epoch.

        The state of every watch is in the epoch, because the policy is made of it: what was decided while a watch
        was believed to be live ends when it is known to be lost.
        """
        looked_at = self._monotonic()  # before the question: what is written after it is not in the answer
        trust = self._trust.current
        self._host_log.observe()
        domains = self._watches.observe()
        states = tuple((each.domain, each.status.state) for each in domains)
        try:
            generations = tuple(reader.read() for reader in self._generations)
            problem = "" if all(generations) else "the store has lost its generation: nobody can see a change"
        except StoreFault as fault:
            generations, problem = (), str(fault)
        if problem and not self._store_problem:
            _LOG.warning("store_unavailable", extra={"problem": problem})
        self._store_problem = problem
        epoch = None if problem else (trust.generation, generations, states)
        if epoch is None or epoch != self._current[1]:
            changed = self._current[0].trust is not trust.store
            self._policy = replace(self._policy, domain_lifetimes=watches.verdict_lifetimes(domains))
            self._current = (self._snapshot(trust), epoch)
            if changed:
                self._on_trust_change()
        self._looked_at = looked_at


def migrate_stores(settings: Settings) -> None:
    """Create or migrate the schema of every sql directory that `Service.open` will open to serve; close it again.

    Raises:
        StoreFault: a database did not answer.
        SchemaRefused: a database has a schema that is not ours, or not this version's.

    """
    for each in _sql_directories(settings.directory_assistance):
        engine = open_engine(each.url)
        try:
            migrate(engine)
        finally:
            engine.dispose()


def _open_ocsp(
    settings: Settings,
    trust: TrustFiles,
    *,
    now: Callable[[], datetime],
    monotonic: Callable[[], float],
) -> OcspResponders | None:
    """Return who asks about single certificates, None where nobody does; no connection is made yet."""
    if settings.trust.ocsp is None:
        return None

    def is_revoked(facts: CertificateFacts, issuer: CertificateFacts, at: datetime) -> bool | None:
        return is_listed(trust.current.revocation.lists, facts, issuer, now=at)

    return OcspResponders(
        settings.trust.ocsp,
        fetcher=Fetcher(ca_file=settings.trust.revocation.fetch.ca_file),
        is_revoked=is_revoked,
        now=now,
        monotonic=monotonic,
    )


def _version_of(settings: Settings) -> str:
    """Return what names a configuration: a digest of both files as they are now."""
    digest = hashlib.sha256()
    for file in (settings.file, settings.directory_assistance_file):
        octets = file.read_bytes()
        digest.update(len(octets).to_bytes(8, "big") + octets)
    return digest.hexdigest()[:12]


def _sql_directories(settings: DirectoryAssistanceSettings) -> Iterable[SqlSettings]:
    """Return the sql directories that decisions may ask, the primary's first; a disabled domain is not opened."""
    yield settings.primary.directory
    for domain in settings.domains:
        if domain.enabled and isinstance(domain.directory, SqlSettings):
            yield domain.directory
