"""The service without its listeners: settings become open directories, trust, databases, a snapshot and a decider.

The one wiring place below `web`: `serve`, `explain` and the API all decide through a `Service`. What changes
while it runs (trust files, the store's generation, a reload) makes a new snapshot and a new epoch by swapping
one reference.

Not here: listeners and HTTP (`web/`), reading configuration files (`config.py`).
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from authsvc.decision.pipeline import DIRECTORY_DATABASE, Moment, Policy, Snapshot, decide
from authsvc.decision.ports import StoreFault
from authsvc.decision.request import DecisionRequest
from authsvc.decision.verdict import Verdict
from authsvc.operations.audit import AuditFault, AuditLog, DecisionRecord
from authsvc.operations.decider import Decider
from authsvc.operations.trust_files import TrustFiles
from authsvc.settings import Settings, UnknownCertificate
from authsvc.store.bootstrap import note_manager_used, verify_token
from authsvc.store.databases import SqlDatabases
from authsvc.store.errors import SchemaRefused
from authsvc.store.migrate import migrate, require_schema
from authsvc.store.schema import open_engine
from directory_assistance.backends import open_directory
from directory_assistance.backends.sql import SqlDirectory
from directory_assistance.candidates import BindBy
from directory_assistance.dn import render_name
from directory_assistance.domains import DirectoryAssistance, PrimaryDomain, SecondaryDomain
from directory_assistance.entry import Identity
from directory_assistance.errors import DirectoryFault
from directory_assistance.settings import DirectoryAssistanceSettings, SqlSettings
from directory_assistance.trace import TraceRecorder

__all__ = ["API_NAME", "Readiness", "Service", "open_assistance"]

_LOG = logging.getLogger("authsvc.service")

API_NAME = "api"
"""Name of the administration listener, and what an anchor's `front_ends` calls it."""

GENERATION_INTERVAL = timedelta(milliseconds=250)
"""Between two looks at the stores' generation: a change by another process counts within this time."""

_HEALTH_SECONDS = 2.0
"""How long a directory may take to answer `/readyz`."""


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


def open_assistance(settings: DirectoryAssistanceSettings) -> DirectoryAssistance:
    """Open every directory; no connection is made yet."""
    primary = settings.primary
    directory = open_directory(primary.domain, primary.directory)
    assert isinstance(directory, SqlDirectory)  # the configuration knows no other kind for the primary
    return DirectoryAssistance(
        primary=PrimaryDomain(
            domain=primary.domain,
            directory=directory,
            plan=primary.plan,
            size_limit=primary.size_limit,
            expansion=primary.expansion,
        ),
        domains=tuple(
            SecondaryDomain(
                domain=each.domain,
                directory=open_directory(each.domain, each.directory),
                plan=each.plan,
                rules=each.rules,
                enabled=each.enabled,
                search_order=each.search_order,
                size_limit=each.size_limit,
                on_unavailable=each.on_unavailable,
                may_assert_primary_names=each.may_assert_primary_names,
                group_authorization=each.group_authorization,
                plain_group_names=each.plain_group_names,
                mail_domains=each.mail_domains,
                expansion=each.expansion,
            )
            for each in settings.domains
        ),
        ambiguity=settings.ambiguity,
    )


class Service:
    """Everything that decides, open. Made by `open`; `close` releases it.

    `decider` answers requests, `settings` is the configuration it was made of, `version` names it in every
    answer.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        engines: tuple[Engine, ...],
        assistance: DirectoryAssistance,
        trust: TrustFiles,
        now: Callable[[], datetime],
    ) -> None:
        self.settings = settings
        self.now = now
        self.policies = {each.name: each.policy for each in settings.front_ends}
        self.version = _version_of(settings)
        self._engines = engines
        self._assistance = assistance
        self._trust = trust
        self._databases = SqlDatabases(engines[0])
        self._policy = Policy(
            deny_access=settings.deny_access,
            full_access_administrators=settings.full_access_administrators,
            anonymous_without_entry=settings.unknown_certificate is UnknownCertificate.ANONYMOUS,
            clock_skew=settings.clock_skew,
            allowed_lifetime=settings.cache_time,
        )
        self._generations: tuple[int, ...] | None = None
        self._current: tuple[Snapshot, object | None] = (self._snapshot(), None)
        self.audit = AuditLog(settings.audit_file)
        self.decider = Decider(lambda: self._current, now=now)
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    @classmethod
    def open(
        cls, settings: Settings, *, create: bool = False, now: Callable[[], datetime] = _utc_now
    ) -> "Service":
        """Open everything that a decision needs.

        Args:
            settings: the configuration.
            create: whether to create or migrate the schema of every sql directory; otherwise a schema that is
                not this version's is refused.
            now: the wall clock (UTC).

        Raises:
            StoreFault: a database did not answer.
            SchemaRefused: a database has a schema that is not ours, or not this version's.
            TrustMaterialError: anchors or intermediates cannot be used.

        """
        engines = tuple(open_engine(each.url) for each in _sql_directories(settings.directory_assistance))
        try:
            for engine in engines:
                (migrate if create else require_schema)(engine)
            trust = TrustFiles(settings.trust)
        except (StoreFault, SchemaRefused, ValueError):
            for engine in engines:
                engine.dispose()
            raise
        assistance = open_assistance(settings.directory_assistance)
        return cls(settings, engines=engines, assistance=assistance, trust=trust, now=now)

    def start(self) -> None:
        """Begin to watch what changes: trust files and the generation of every sql directory."""
        self._trust.start()
        self._look()
        self._watcher = threading.Thread(target=self._watch, name="generations", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Stop watching, let running decisions end, close every connection."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()
        self.decider.close()
        self._trust.stop()
        self._assistance.close()
        for engine in self._engines:
            engine.dispose()
        self.audit.close()

    def explain(self, request: DecisionRequest) -> Verdict:
        """Decide afresh in this thread, and look for a second owner."""
        moment = Moment(now=self.now(), deadline=time.monotonic() + 10 * _HEALTH_SECONDS)
        return decide(request, self._snapshot(), moment, TraceRecorder(time.monotonic), exhaustive=True)

    def verify_bootstrap_token(self, token: str) -> bool:
        """Whether a text is the bootstrap token and it still works; False when the store does not answer."""
        try:
            return verify_token(self._engines[0], token)
        except StoreFault as fault:
            _LOG.warning("store_unavailable", extra={"problem": str(fault)})
            return False

    def note_manager_used(self, identity: Identity) -> None:
        """Close the bootstrap token's door: a certificate with Manager access to `directory` was used."""
        try:
            if note_manager_used(self._engines[0], actor=render_name(identity.name), now=self.now()):
                _LOG.info("bootstrap_token_closed")
        except StoreFault as fault:
            _LOG.warning("store_unavailable", extra={"problem": str(fault)})

    def record_decision(self, record: DecisionRecord) -> bool:
        """Write an audit record; False when it could not be written (an allow must then not leave the service)."""
        try:
            self.audit.record(record)
        except AuditFault as fault:
            _LOG.error("audit_failed", extra={"problem": str(fault)})
            return False
        return True

    def readiness(self) -> Readiness:
        """Ask everything that decisions rest on. Blocking; a directory may take two seconds."""
        problems: list[str] = []
        warnings = list(self._trust.warnings(self.now()))
        try:
            if self._databases.find(DIRECTORY_DATABASE) is None:
                problems.append(f"the built-in database `{DIRECTORY_DATABASE}` is missing")
        except StoreFault as fault:
            problems.append(str(fault))
        deadline = time.monotonic() + _HEALTH_SECONDS
        for domain in self._assistance.every_domain:
            if isinstance(domain, SecondaryDomain) and not domain.enabled:
                continue
            try:
                domain.directory.check(deadline=deadline)
            except DirectoryFault as fault:
                (problems if isinstance(domain, PrimaryDomain) else warnings).append(str(fault))
        if self.audit.problem:
            problems.append(f"audit: {self.audit.problem}")
        return Readiness(problems=tuple(problems), warnings=tuple(warnings))

    @property
    def authorities(self) -> tuple[bytes, ...]:
        """All anchors and intermediates (DER): what completes and ends the chains of a TLS handshake."""
        store = self._trust.current.store
        return (*(anchor.der for anchor in store.anchors), *(facts.der for facts in store.intermediates))

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

    def _snapshot(self) -> Snapshot:
        trust = self._trust.current
        return Snapshot(
            trust=trust.store,
            revocation=trust.revocation,
            assistance=self._assistance,
            databases=self._databases,
            policy=self._policy,
            version=self.version,
        )

    def _watch(self) -> None:
        while not self._stop.wait(GENERATION_INTERVAL.total_seconds()):
            self._look()

    def _look(self) -> None:
        """Make a new snapshot and epoch if anything changed; an unknown generation is an unknown epoch."""
        try:
            generations: tuple[int, ...] | None = tuple(
                SqlDatabases(engine).generation() for engine in self._engines
            )
        except StoreFault as fault:
            if self._generations is not None:
                _LOG.warning("store_unavailable", extra={"problem": str(fault)})
            generations = None
        self._generations = generations
        epoch = None if generations is None else (self._trust.generation, generations)
        if epoch != self._current[1] or epoch is None:
            self._current = (self._snapshot(), epoch)


def _version_of(settings: Settings) -> str:
    """Return what names a configuration: a digest of both files as they are now."""
    digest = hashlib.sha256()
    for file in (settings.file, settings.directory_assistance_file):
        octets = file.read_bytes()
        digest.update(len(octets).to_bytes(8, "big") + octets)
    return digest.hexdigest()[:12]


def _sql_directories(settings: DirectoryAssistanceSettings) -> Iterable[SqlSettings]:
    """Return the sql directories, the primary's first."""
    yield settings.primary.directory
    for domain in settings.domains:
        if isinstance(domain.directory, SqlSettings):
            yield domain.directory
