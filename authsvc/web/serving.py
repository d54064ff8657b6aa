"""`serve`: the listeners of a configuration, the sub-request endpoint and the API on them, reload and drain.

One process, alone or as a worker of a supervisor (`supervisor.py`). A reload (HUP) reads both files, opens
everything anew beside the old, and swaps it in as a whole; anything wrong keeps the old configuration and says why.
Listeners themselves (addresses, dialects) are opened once: a reload that changes them is refused, because a web
server would meet a closed door.

Invariants:

* A request is answered by one configuration from its first byte to its last (threat T70): what it took in
  hand stays open until it has been answered.
* Whatever can fail in a reload has been done before anything is swapped, and none of it on the event loop.
"""

import asyncio
import hashlib
import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from authsvc.config import read_settings
from authsvc.decision.ports import StoreFault
from authsvc.operations.audit import AuditFault
from authsvc.operations.metrics import samples_of
from authsvc.operations.service import API_NAME, Service
from authsvc.operations.shared_figures import PUBLISH_SECONDS, SharedFigures
from authsvc.presented.admission import FrontEndAdmission
from authsvc.presented.registry import Dialect, PresentationReader
from authsvc.settings import FrontEndSettings, Settings, TlsFiles
from authsvc.store.errors import SchemaRefused
from authsvc.trust.anchors import TrustMaterialError, read_certificates_pem
from authsvc.web.app import create_app
from authsvc.web.auth import AuthEndpoint, AuthSettings, FrontEnd, TargetReader
from authsvc.web.connection import Application, Receive, Scope, Send, connection_of, is_oversized
from authsvc.web.responses import IdentityHeaders, Responses
from authsvc.web.server import Listener, Listeners, run_event_loop, serve_listeners
from authsvc.web.sharing import ConnectionCounts
from authsvc.web.sockets import ListenerError
from authsvc.web.tls_contexts import ClientCertificates, SwitchableContext, TlsMaterialError, TlsSettings
from authsvc.web.worker_link import SupervisorLink
from directory_assistance.errors import ConfigurationError

__all__ = [
    "START_ERRORS",
    "SecretUnreadable",
    "WorkerPlace",
    "log_warnings",
    "name_places",
    "serve",
    "serve_as_worker",
]

_LOG = logging.getLogger("authsvc.serving")

_CALLS_OF_FRONT_ENDS: Final = frozenset({"/v1/authenticate", "/v1/authorize"})
"""What an admitted web server may ask beside `/auth`; everything else is the API listener's."""


class SecretUnreadable(Exception):  # noqa: N818 - says what is wrong, as the other errors of the start do
    """A secret file of a front end cannot be used; names the file, never its content."""


START_ERRORS: Final = (
    ConfigurationError,
    StoreFault,
    SchemaRefused,
    TrustMaterialError,
    AuditFault,
    SecretUnreadable,
    ListenerError,
    TlsMaterialError,
    OSError,
)
"""What an operator can mend, when a configuration cannot be opened."""


class _InForce:
    """One configuration in force: its service, and what answers with it. Closed when nobody uses it any more."""

    def __init__(self, service: Service, figures: SharedFigures | None = None) -> None:
        """Make everything that answers.

        Args:
            service: open.
            figures: of all workers, where this process is one of them.

        Raises:
            SecretUnreadable, TrustMaterialError, OSError: a file of a front end cannot be used; the service stays
                open.

        """
        settings = _auth_settings(service)
        self.service = service
        self.endpoint = AuthEndpoint(settings, service.decider, service.audit, counts=service.answers)
        self._app = create_app(service, settings.front_ends, figures=figures)
        # On dialect `tls` anybody could ask about anybody: there is no such path there.
        self._callers = {API_NAME} | {
            name for name, each in settings.front_ends.items() if each.reader.dialect is not Dialect.TLS
        }
        self._requests = 0
        self._replaced = False

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a request to the sub-request endpoint or to the API."""
        self._requests += 1
        try:
            if self._is_call(scope):
                await self._app(scope, receive, send)
            else:
                await self.endpoint(scope, receive, send)
        finally:
            self._requests -= 1
            self._close_if_unused()

    def retire(self) -> None:
        """Close once the last request that has this in hand is answered; another one is in force now."""
        self._replaced = True
        self._close_if_unused()

    def _is_call(self, scope: Scope) -> bool:
        listener = connection_of(scope).listener
        if listener == API_NAME:
            return True
        # Of a head that exceeds its limits only the endpoint knows what to make.
        return scope["path"] in _CALLS_OF_FRONT_ENDS and listener in self._callers and not is_oversized(scope)

    def _close_if_unused(self) -> None:
        if self._replaced and not self._requests:
            # In a thread: closing waits for decisions whose callers have hung up.
            threading.Thread(target=self.service.close, name="close-old-configuration").start()


class _Serving:
    """The configuration in force, and how another takes its place. Lives on the event loop."""

    def __init__(self, first: _InForce, place: "WorkerPlace | None" = None) -> None:
        self.in_force = first
        self._figures = None if place is None else place.figures
        self.listeners = Listeners(
            _listeners(first.service, self), self, is_fair=None if place is None else place.is_fair
        )
        self._reload_wanted = False
        self._reloading: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of any listener; the ASGI application of all of them."""
        if scope["type"] == "http":  # no lifespan, no web sockets
            await self.in_force.answer(scope, receive, send)

    def start(self) -> None:
        """Watch what changes; on the event loop."""
        loop, watched = asyncio.get_running_loop(), self.in_force

        def on_trust_change() -> None:
            with suppress(RuntimeError):  # the loop has ended, and with it every listener
                loop.call_soon_threadsafe(self._renew_authorities, watched)

        watched.service.start(on_trust_change=on_trust_change)

    def publish(self) -> None:
        """Tell the other workers what this one has counted."""
        if self._figures is not None:
            service = self.in_force.service
            self._figures.publish(samples_of(service.figures()), service.version)

    async def keep_publishing(self) -> None:
        """Tell it again and again, until cancelled."""
        while True:
            self.publish()
            await asyncio.sleep(PUBLISH_SECONDS)

    def reload(self) -> None:
        """Begin a reload; one that is asked for during another begins after it."""
        self._reload_wanted = True
        if self._reloading is None:
            self._reloading = asyncio.get_running_loop().create_task(self._reload_while_wanted())

    async def _reload_while_wanted(self) -> None:
        while self._reload_wanted:
            self._reload_wanted = False
            try:
                fresh = await asyncio.to_thread(_open_again, self.in_force.service.settings, self._figures)
                self._put_in_force(fresh)
            except START_ERRORS as error:
                self._keep(error)
            except Exception:  # noqa: BLE001 - the outermost handler of a reload: a bug keeps the old configuration
                _LOG.exception("reload_failed")
        self._reloading = None

    def _keep(self, error: Exception) -> None:
        version = self.in_force.service.version
        problem = "; ".join(str(error).splitlines())
        _LOG.error("reload_refused", extra={"problem": problem, "policy_version": version})
        try:
            # HUP also says that the log files have been moved away, whatever became of the configuration.
            if self.in_force.service.audit is not None:
                self.in_force.service.audit.reopen()
        except AuditFault as fault:
            _LOG.error("audit_not_reopened", extra={"problem": str(fault)})

    def _put_in_force(self, fresh: _InForce) -> None:
        fresh.service.take_over(self.in_force.service)
        old, self.in_force = self.in_force, fresh
        # Shared: requests in hand still count.
        fresh.service.answers = fresh.endpoint.counts = old.endpoint.counts
        self._replace_tls(fresh)
        self.start()
        old.retire()
        _LOG.info("reloaded", extra={"policy_version": fresh.service.version})

    def _renew_authorities(self, watched: _InForce) -> None:
        """Let handshakes know the anchors that decisions know; an old configuration's are of no interest."""
        if watched is self.in_force:
            self._replace_tls(watched)

    def _replace_tls(self, fresh: _InForce) -> None:
        try:
            for listener in _listeners(fresh.service, self):
                if listener.tls is not None:
                    self.listeners.replace_tls(listener.name, listener.tls)
        except START_ERRORS as error:
            # A file that could be used a moment ago. The handshake keeps its sieve; decisions do not rest on it.
            _LOG.error("tls_kept", extra={"problem": str(error)})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlace:
    """What a worker serves: sockets that its supervisor has bound, `places` being what for; and its ties to others.

    `number`: its own, in `figures` and `connections`.
    """

    number: int
    places: str
    sockets: Mapping[str, Sequence[socket.socket]]
    link: SupervisorLink
    figures: SharedFigures
    connections: ConnectionCounts

    def is_fair(self, connections: int) -> bool:
        """Tell the others how many connections this worker has; return whether it may have one more at once."""
        self.connections.put(self.number, connections)
        return self.connections.is_fair(connections)


def serve(settings: Settings, *, on_ready: Callable[[Mapping[str, tuple[str, ...]]], None]) -> None:
    """Serve a configuration until TERM or INT; HUP reloads.

    Args:
        settings: from `read_settings`.
        on_ready: called once with the addresses of each listener, when all accept connections.

    Raises:
        StoreFault, SchemaRefused, TrustMaterialError, AuditFault, SecretUnreadable, ListenerError,
        ConfigurationError, OSError: it cannot start; nothing is left open.

    """
    serving = _open(settings)
    log_warnings(settings)
    serving.in_force.service.log_insecure_options()

    def ready() -> None:
        serving.start()
        _LOG.info("ready", extra={"policy_version": serving.in_force.service.version})
        on_ready(serving.listeners.addresses)

    try:
        run_event_loop(serve_listeners(serving.listeners, on_ready=ready, on_reload=serving.reload))
    finally:
        serving.in_force.service.close()
        _LOG.info("ended")


def serve_as_worker(settings: Settings, place: WorkerPlace) -> None:
    """Serve a configuration on inherited sockets, until the supervisor says so or is gone.

    Raises:
        One of `START_ERRORS`: it cannot start; nothing is left open.

    """
    if name_places(settings) != place.places:  # changed since the supervisor read it
        raise _other_places()
    serving = _open(settings, place)
    serving.in_force.service.log_insecure_options()

    def ready() -> None:
        serving.start()
        serving.publish()
        place.connections.put(place.number, 0)
        place.link.tell_ready(serving.in_force.service.version)

    async def main() -> None:
        publishing = asyncio.create_task(serving.keep_publishing())
        try:
            await serve_listeners(
                serving.listeners, on_ready=ready, on_reload=serving.reload, link=place.link
            )
        finally:
            publishing.cancel()
            serving.publish()

    try:
        run_event_loop(main())
    finally:
        serving.in_force.service.close()


def log_warnings(settings: Settings) -> None:
    """Log what the files were warned of."""
    for warning in settings.warnings:
        _LOG.warning("configuration_warning", extra={"problem": str(warning)})


def name_places(settings: Settings) -> str:
    """Return what names the listeners of a configuration: two that must not be swapped have different names."""
    return hashlib.sha256(repr(_places(settings)).encode()).hexdigest()[:12]


def _open(settings: Settings, place: WorkerPlace | None = None) -> _Serving:
    """Open everything; if anything fails, nothing stays open."""
    figures = None if place is None else place.figures
    service = Service.open(settings, serving=True)
    try:
        serving = _Serving(_InForce(service, figures), place)
        serving.listeners.open(None if place is None else place.sockets)
    except BaseException:
        service.close()
        raise
    return serving


def _open_again(old: Settings, figures: SharedFigures | None) -> _InForce:
    """Read both files and open everything anew; if anything fails, nothing stays open.

    Raises:
        One of `START_ERRORS`.

    """
    settings = read_settings(old.file)
    if _places(settings) != _places(old):
        raise _other_places()
    service = Service.open(settings, serving=True)
    try:
        fresh = _InForce(service, figures)
        for listener in _listeners(service, fresh.endpoint):
            if listener.tls is not None:
                SwitchableContext(listener.tls)
    except BaseException:
        service.close()
        raise
    service.log_insecure_options()
    return fresh


def _other_places() -> ListenerError:
    return ListenerError("expected the listeners as they are, found others: they change with a restart only")


def _places(settings: Settings) -> object:
    """Return what a reload may not change: where one connects, what is spoken there, and to whom."""
    return (
        settings.api,
        tuple(
            (each.name, each.dialect, each.listen, each.tls, each.client_ca_file)
            for each in settings.front_ends
        ),
    )


def _auth_settings(service: Service) -> AuthSettings:
    settings = service.settings
    return AuthSettings(
        front_ends={each.name: _front_end(each) for each in settings.front_ends},
        targets=TargetReader(settings.routes),
        responses=Responses(
            identity_headers=IdentityHeaders.of(settings.identity_headers),
            header_budget=settings.header_budget,
            expose_reasons=settings.expose_reasons,
        ),
        policy_version=service.version,
    )


def _front_end(settings: FrontEndSettings) -> FrontEnd:
    admission = None
    if settings.dialect is not Dialect.TLS:
        admission = FrontEndAdmission(
            peers=settings.peers,
            secret=_read_secret(settings.secret_file) if settings.secret_file is not None else None,
            client_name=settings.client_name,
        )
    return FrontEnd(
        policy=settings.policy,
        reader=PresentationReader(settings.dialect, settings.headers),
        admission=admission,
        original_kind=settings.original_request,
        original_parts=settings.original_parts,
        max_age_seconds=None
        if settings.response_cache is None
        else int(settings.response_cache.total_seconds()),
    )


def _read_secret(file: Path) -> bytes:
    """Read a front end's secret.

    Raises:
        SecretUnreadable: the file cannot be read, or holds nothing: an empty secret would admit everybody.

    """
    try:
        secret = file.read_bytes().strip()
    except OSError as error:
        raise SecretUnreadable(f"secret file `{file}`: {error.strerror or error}") from error
    if not secret:
        raise SecretUnreadable(f"secret file `{file}`: expected a secret, found nothing")
    return secret


def _listeners(service: Service, oversized: Application) -> list[Listener]:
    settings = service.settings
    api = Listener(
        name=API_NAME,
        address=str(settings.api.listen),
        tls=_tls(settings.api.tls, ClientCertificates.OPTIONAL, service.authorities),
    )
    return [api, *(_listener(each, service, oversized) for each in settings.front_ends)]


def _listener(front_end: FrontEndSettings, service: Service, oversized: Application) -> Listener:
    asked, authorities = ClientCertificates.IGNORED, tuple[bytes, ...]()
    if front_end.dialect is Dialect.TLS:
        asked, authorities = ClientCertificates.OPTIONAL, service.authorities
    elif front_end.client_ca_file is not None:
        # The web server's own certificate is held against its own CA, never against the anchors of people.
        asked, authorities = ClientCertificates.REQUIRED, _read_authorities(front_end.client_ca_file)
    return Listener(
        name=front_end.name,
        address=str(front_end.listen),
        tls=_tls(front_end.tls, asked, authorities),
        oversized=oversized,  # a certificate header that is too large is refused and audited, not a bare 431
    )


def _read_authorities(file: Path) -> tuple[bytes, ...]:
    return tuple(facts.der for facts in read_certificates_pem(file.read_bytes(), source=str(file)))


def _tls(
    files: TlsFiles | None, asked: ClientCertificates, authorities: tuple[bytes, ...]
) -> TlsSettings | None:
    if files is None:
        return None
    return TlsSettings(
        certificate=files.certificate, key=files.key, client_certificates=asked, authorities=authorities
    )
