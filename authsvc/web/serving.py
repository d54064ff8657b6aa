"""`serve`: the listeners of a configuration, the sub-request endpoint and the API on them, reload and drain.

One process. A reload (HUP) reads both files, opens everything anew and swaps it in as a whole; anything wrong
keeps the old configuration and says why. Listeners themselves (addresses, dialects) are opened once: a reload
that changes them is refused, because a web server would meet a closed door.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from fastapi import FastAPI

from authsvc.config import read_settings
from authsvc.decision.ports import StoreFault
from authsvc.decision.request import DecisionRequest
from authsvc.decision.verdict import Verdict
from authsvc.operations.audit import DecisionRecord
from authsvc.operations.service import API_NAME, Service
from authsvc.presented.admission import FrontEndAdmission
from authsvc.presented.registry import Dialect, PresentationReader
from authsvc.settings import FrontEndSettings, Settings, TlsFiles
from authsvc.store.errors import SchemaRefused
from authsvc.trust.anchors import TrustMaterialError, read_certificates_pem
from authsvc.web.app import create_app
from authsvc.web.auth import AuthEndpoint, AuthSettings, FrontEnd, TargetReader
from authsvc.web.connection import Receive, Scope, Send, connection_of
from authsvc.web.responses import IdentityHeaders, Responses
from authsvc.web.server import Listener, ListenerError, Listeners, run_event_loop, serve_listeners
from authsvc.web.tls_contexts import ClientCertificates, TlsSettings
from directory_assistance.errors import ConfigurationError

__all__ = ["SecretUnreadable", "serve"]

_LOG = logging.getLogger("authsvc.serving")

_OLD_SERVICE_SECONDS = 1.0
"""How long a replaced service stays open for requests that already hold it."""

_CALLS_OF_FRONT_ENDS = frozenset({"/v1/authenticate", "/v1/authorize"})
"""What an admitted web server may ask beside `/auth`; everything else is the API listener's."""


class SecretUnreadable(Exception):  # noqa: N818 - says what is wrong, as the other errors of the start do
    """A secret file of a front end cannot be used; names the file, never its content."""


class _Running:
    """What a reload replaces: the service, and what the endpoint and the API know of the configuration."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.auth = _auth_settings(service)
        self.app: FastAPI = create_app(service)
        self.app.state.front_ends = self.auth.front_ends

    # The ports of `AuthEndpoint`: whoever holds this object asks the service of the moment.

    def cached(self, request: DecisionRequest) -> Verdict | None:
        return self.service.decider.cached(request)

    async def decide(self, request: DecisionRequest) -> Verdict:
        return await self.service.decider.decide(request)

    def record(self, record: DecisionRecord) -> None:
        self.service.audit.record(record)

    def replace(self, service: Service) -> Service:
        """Swap a new service in; return the old one."""
        auth = _auth_settings(service)
        old, self.service, self.auth = self.service, service, auth
        self.app.state.service = service
        self.app.state.front_ends = auth.front_ends
        return old


class _Dispatch:
    """The ASGI application of all listeners: which of them reaches what."""

    def __init__(self, running: _Running, endpoint: AuthEndpoint) -> None:
        self._running = running
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a request to the sub-request endpoint or to the API."""
        if scope["type"] != "http":
            return  # no lifespan, no web sockets
        listener = connection_of(scope).listener
        if listener == API_NAME or scope["path"] in _CALLS_OF_FRONT_ENDS:
            await self._running.app(scope, receive, send)
        else:
            await self._endpoint(scope, receive, send)


def serve(settings: Settings, *, on_ready: Callable[[Mapping[str, tuple[str, ...]]], None]) -> None:
    """Serve a configuration until TERM or INT; HUP reloads.

    Args:
        settings: from `read_settings`.
        on_ready: called once with the addresses of each listener, when all accept connections.

    Raises:
        StoreFault, SchemaRefused, TrustMaterialError, SecretUnreadable, ListenerError: it cannot start;
            nothing is left open.

    """
    service = Service.open(settings, create=True)
    try:
        running = _Running(service)
        endpoint = AuthEndpoint(running.auth, running, running)
        listeners = Listeners(_listeners(service, endpoint), _Dispatch(running, endpoint))
        listeners.open()
    except BaseException:
        service.close()
        raise
    for warning in settings.warnings:
        _LOG.warning("configuration_warning", extra={"problem": str(warning)})
    service.log_insecure_options()
    service.start()

    def ready() -> None:
        _LOG.info("ready", extra={"policy_version": running.service.version})
        on_ready(listeners.addresses)

    def reload() -> None:
        _reload(running, endpoint, listeners)

    try:
        run_event_loop(serve_listeners(listeners, on_ready=ready, on_reload=reload))
    finally:
        running.service.close()
        _LOG.info("ended")


def _reload(running: _Running, endpoint: AuthEndpoint, listeners: Listeners) -> None:
    """Read everything anew and swap it in, or keep the old and say why."""
    old = running.service.settings
    try:
        service = Service.open(_read_for_reload(old), create=True)
    except (
        ConfigurationError,
        ListenerError,
        StoreFault,
        SchemaRefused,
        TrustMaterialError,
        OSError,
    ) as error:
        _LOG.error("reload_refused", extra={"problem": str(error), "policy_version": running.service.version})
        return
    try:
        previous = running.replace(service)
    except SecretUnreadable as error:
        service.close()
        _LOG.error("reload_refused", extra={"problem": str(error), "policy_version": running.service.version})
        return
    endpoint.settings = running.auth
    service.start()
    for listener in _listeners(service, endpoint):
        if listener.tls is not None:
            try:
                listeners.replace_tls(listener.name, listener.tls)
            except ListenerError as error:
                _LOG.error("reload_tls_kept", extra={"problem": str(error)})
    # Not at once: a request may have taken the old service in hand in this very turn of the event loop. And
    # in a thread: decisions under way are waited for.
    close = threading.Thread(target=previous.close, name="close-old-configuration")
    asyncio.get_running_loop().call_later(_OLD_SERVICE_SECONDS, close.start)
    _LOG.info("reloaded", extra={"policy_version": service.version})


def _read_for_reload(old: Settings) -> Settings:
    settings = read_settings(old.file)
    if _places(settings) != _places(old):
        raise ListenerError("listeners, dialects and their TLS files change with a restart only")
    return settings


def _places(settings: Settings) -> object:
    return (
        settings.api,
        tuple((each.name, each.dialect, each.listen, each.tls) for each in settings.front_ends),
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


def _listeners(service: Service, endpoint: AuthEndpoint) -> list[Listener]:
    settings = service.settings
    api = Listener(
        name=API_NAME,
        address=str(settings.api.listen),
        tls=_tls(settings.api.tls, ClientCertificates.OPTIONAL, service.authorities),
    )
    return [api, *(_listener(each, service, endpoint) for each in settings.front_ends)]


def _listener(front_end: FrontEndSettings, service: Service, endpoint: AuthEndpoint) -> Listener:
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
        oversized=endpoint,  # a certificate header that is too large is refused and audited, not a bare 431
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
