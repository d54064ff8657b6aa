"""Reading listeners: addresses, TLS, the API, the front ends and who may speak as one (contract section 2).

What lives here: the keys of `api` and of one front end, and what listeners must not share. What does not:
the dialects themselves (`presented/`), opening sockets (`web/server.py`).

Invariants: a listener that anybody could reach and speak as a web server is a mistake, not a warning. What
only a web server may say is refused on dialect `tls`, where the callers are the clients themselves.
"""

import re
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final

from authsvc.config_models import (
    DIALECTS_TO_COME,
    ApiModel,
    FrontEndModel,
    HeadersModel,
    ResponseCacheModel,
    TlsModel,
)
from authsvc.presented.original_headers import DEFAULT_PARTS, OriginalKind, OriginalPart
from authsvc.presented.registry import DEFAULT_HEADERS, Dialect, DialectHeaders, PresentationReader
from authsvc.settings import ApiSettings, FrontEndSettings, ListenAddress, TlsFiles
from authsvc.trust.anchors import TrustMaterialError, read_certificates_pem
from directory_assistance.config_reading import ConfigReader, describe_ssl_error
from directory_assistance.errors import shorten
from directory_assistance.yaml_lines import YamlPath, suggest

__all__ = ["API_NAME", "ListenerReader"]

API_NAME: Final = "api"
"""What trust anchors call the API's listener; so no front end is called that."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
"""A front end's name stands in logs, audit records and metrics."""

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?", re.ASCII)
_TCP_ADDRESS = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<host>[^\[\]:]+)):(?P<port>[0-9]{1,5})", re.ASCII
)
_DNS_NAME = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9-]{1,63}", re.ASCII)

_LONGEST_SOCKET_PATH: Final = 107
"""Bytes of `sun_path` on Linux, without its closing NUL."""

_LONGEST_MAX_AGE: Final = timedelta(hours=1)
"""A web server's cache is out of our reach: no purge gets there."""

_FOR_WEB_SERVERS: Final = (
    "headers",
    "original_request",
    "original_headers",
    "peers",
    "secret_file",
    "client_name",
    "client_ca_file",
    "insecure_plaintext",
    "response_cache",
)
"""Keys of a front end whose callers are web servers; none of them has a meaning on dialect `tls`."""

_ALLOWED_APPENDED: Final = frozenset({OriginalPart.HOST, OriginalPart.PROTO})


def _read_address(text: str) -> ListenAddress:
    """Read `host:port` or `[address]:port`.

    Raises:
        ValueError: it is neither.

    """
    match = _TCP_ADDRESS.fullmatch(text)
    if match is not None:
        host, port = match["v6"] or match["host"], int(match["port"])
        readable = _is_address(host) if match["v6"] else _HOST.fullmatch(host) is not None
        if readable and 0 < port < 65_536:
            return ListenAddress(host=host.casefold(), port=port)
    raise ValueError(
        f"expected `127.0.0.1:8443`, `[::1]:8443` or `unix:run/name.sock`, found `{shorten(text)}`"
    )


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _read_network(text: str) -> IPv4Network | IPv6Network:
    """Read a network such as `10.0.0.0/8`, or one address.

    Raises:
        ValueError: it is none, or has bits beyond its prefix.

    """
    try:
        return ip_network(text, strict=True)
    except ValueError as error:
        raise ValueError(
            f"expected a network such as `10.0.0.0/8`, or an address, found `{shorten(text)}`"
        ) from error


@dataclass(slots=True)
class ListenerReader:
    """Reads `api` and every front end of a file; remembers which names and addresses are taken."""

    reader: ConfigReader
    names: dict[str, YamlPath] = field(default_factory=dict)
    addresses: list[tuple[ListenAddress, YamlPath]] = field(default_factory=list)

    def api(self) -> ApiSettings | None:
        """Read `api`; None if there is none that could be opened."""
        reader, path = self.reader, ("api",)
        reader.require(path, hint="the listener of `/v1`, health and metrics")
        model = reader.model(ApiModel, path) if reader.stands(path) else None
        if model is None:
            return None
        listen = self._listen(path, model.listen)
        tls = self._tls((*path, "tls"), model.tls)
        if listen is None:
            return None
        if not listen.is_local and not reader.stands((*path, "tls")):
            reader.error(
                path,
                f"`{listen}` is open to other machines and needs `tls`",
                hint="`tls: {certificate, key}`",
            )
        return ApiSettings(listen=listen, tls=tls)

    def front_end(self, path: YamlPath) -> FrontEndSettings | None:
        """Read one front end; None if it is none that could be opened."""
        reader = self.reader
        model = reader.model(FrontEndModel, path)
        if model is None:
            return None
        name = self._name(path, model.name)
        dialect = self._dialect(path, model.dialect)
        listen = self._listen(path, model.listen)
        tls = self._tls((*path, "tls"), model.tls)
        peers = self._peers(path, model)
        secret_file = reader.secret((*path, "secret_file"), model.secret_file)
        client_ca_file = self._client_name(path, model)
        kind, parts = self._original(path, model)
        headers = self._headers(path, model.headers, dialect)
        self._check_options(path, model)
        if dialect is Dialect.TLS:
            self._check_direct(path)
        elif listen is not None:
            self._check_web_server(path, listen)
        if name is None or dialect is None or listen is None:
            return None
        return FrontEndSettings(
            name=name,
            dialect=dialect,
            listen=listen,
            headers=headers,
            original_request=kind,
            original_parts=parts,
            anonymous=model.anonymous,
            peers=peers,
            secret_file=secret_file,
            client_name=model.client_name,
            client_ca_file=client_ca_file,
            tls=tls,
            insecure_plaintext=model.insecure_plaintext,
            accept_expired=model.insecure_accept_expired,
            response_cache=None if model.response_cache is None else model.response_cache.max_age,
        )

    # --- what every listener has

    def _listen(self, path: YamlPath, text: str | None) -> ListenAddress | None:
        here = (*path, "listen")
        self.reader.require(here, hint="`127.0.0.1:8443` or `unix:run/name.sock`")
        if text is None:
            return None
        if text.startswith("unix:"):
            listen = self._socket(here, text.removeprefix("unix:"))
        else:
            listen = self.reader.read(here, text, _read_address)
        if listen is None:
            return None
        for other, where in self.addresses:
            if listen.clashes(other):
                line = self.reader.loaded.line_of(where)
                self.reader.error(
                    here, f"`{shorten(text)}` is taken by another listener", hint=f"line {line}"
                )
                break
        self.addresses.append((listen, here))
        return listen

    def _socket(self, path: YamlPath, text: str) -> ListenAddress | None:
        located = self.reader.located(path, text) if text else None
        if not text:
            self.reader.error(path, "expected a path after `unix:`, found nothing")
        if located is None:
            return None
        if len(str(located).encode("utf-8", "surrogateescape")) > _LONGEST_SOCKET_PATH:
            self.reader.error(
                path,
                f"expected a path of at most {_LONGEST_SOCKET_PATH} bytes, found `{shorten(str(located))}`",
            )
            return None
        return ListenAddress(socket=located)

    def _tls(self, path: YamlPath, model: TlsModel | None) -> TlsFiles | None:
        if model is None:
            return None
        reader = self.reader
        reader.require((*path, "certificate"))
        reader.require((*path, "key"))
        certificate = reader.existing((*path, "certificate"), model.certificate)
        key = reader.secret((*path, "key"), model.key)
        if certificate is None or key is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # An empty password: OpenSSL would ask on the terminal for that of an encrypted key.
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reader.error(path, f"certificate and key cannot be used together: {describe_ssl_error(error)}")
            return None
        return TlsFiles(certificate=certificate, key=key)

    # --- the parts of a front end

    def _name(self, path: YamlPath, name: str | None) -> str | None:
        here = (*path, "name")
        self.reader.require(here)
        if name is None:
            return None
        if _NAME.fullmatch(name) is None or name == API_NAME:
            self.reader.error(
                here,
                f"expected a name of letters, digits, `_.-`, other than `api`, found `{shorten(name)}`",
            )
            return None
        first = self.names.setdefault(name.casefold(), here)
        if first != here:
            line = self.reader.loaded.line_of(first)
            self.reader.error(here, f"`{name}` is the name of another front end", hint=f"line {line}")
        return name

    def _dialect(self, path: YamlPath, name: str | None) -> Dialect | None:
        here = (*path, "dialect")
        known = ", ".join(f"`{dialect}`" for dialect in Dialect)
        self.reader.require(here, hint=f"one of {known}")
        if name is None:
            return None
        if name in set(Dialect):
            return Dialect(name)
        if name in DIALECTS_TO_COME:
            self.reader.error(
                here, f"dialect `{name}` is not yet supported by this version", hint=f"known are {known}"
            )
        else:
            self.reader.error(
                here, f"expected a dialect, found `{shorten(name)}`", hint=suggest(name, Dialect)
            )
        return None

    def _peers(self, path: YamlPath, model: FrontEndModel) -> tuple[IPv4Network | IPv6Network, ...]:
        here = (*path, "peers")
        if model.peers == ():
            self.reader.error(here, "expected at least one network, found none", hint="`[10.0.0.0/8]`")
        read = [
            self.reader.read((*here, position), text, _read_network)
            for position, text in enumerate(model.peers or ())
        ]
        networks = tuple(network for network in read if network is not None)
        for position, network in enumerate(read):
            if network is not None and network.prefixlen == 0:
                self.reader.warn((*here, position), f"`{network}` is everybody")
        return networks

    def _client_name(self, path: YamlPath, model: FrontEndModel) -> Path | None:
        """Read `client_ca_file`, which stands beside `client_name` and nowhere else."""
        reader = self.reader
        has_name, has_file = reader.stands((*path, "client_name")), reader.stands((*path, "client_ca_file"))
        if has_name and not has_file:
            reader.error(
                (*path, "client_name"),
                "needs `client_ca_file`: the authorities of web servers are not those of clients",
            )
        if has_file and not has_name:
            reader.error(
                (*path, "client_ca_file"),
                "needs `client_name`: the name that the web server's certificate has",
            )
        if has_name and not reader.stands((*path, "tls")):
            reader.error((*path, "client_name"), "needs `tls`, in which the web server shows its certificate")
        if model.client_name is not None and _DNS_NAME.fullmatch(model.client_name) is None:
            reader.error(
                (*path, "client_name"),
                f"expected a DNS name (without `*`), found `{shorten(model.client_name)}`",
            )
        found = reader.content((*path, "client_ca_file"), model.client_ca_file)
        if found is None:
            return None
        try:
            read_certificates_pem(found[1], source=str(model.client_ca_file))
        except TrustMaterialError as error:
            reader.error((*path, "client_ca_file"), str(error))
        return found[0]

    def _original(self, path: YamlPath, model: FrontEndModel) -> tuple[OriginalKind, frozenset[OriginalPart]]:
        """Read where the original request stands; no dialect infers it (contract section 1)."""
        kind = model.original_request or OriginalKind.NONE
        parts, here = model.original_headers, (*path, "original_headers")
        if parts is None:
            return kind, DEFAULT_PARTS[kind]
        self.reader.unique(here, parts)
        if not parts:
            self.reader.error(
                here, "expected at least one part, found none", hint="leave it out for the default"
            )
        if kind is OriginalKind.NONE and not self.reader.stands((*path, "original_request")):
            self.reader.error(here, "needs `original_request: x-original` or `x-forwarded`")
        if kind is OriginalKind.APPENDED and not frozenset(parts) <= _ALLOWED_APPENDED:
            self.reader.error(
                here,
                "expected `host` and `proto` at most: an appended request brings its own method and path",
            )
        return kind, frozenset(parts)

    def _headers(self, path: YamlPath, model: HeadersModel, dialect: Dialect | None) -> DialectHeaders:
        """Read other names for the dialect's headers; those not named keep theirs."""
        if dialect is None:
            return DialectHeaders()
        defaults = DEFAULT_HEADERS[dialect]
        headers = DialectHeaders(
            certificate=model.certificate or defaults.certificate,
            chain=model.chain or defaults.chain,
            verify=model.verify or defaults.verify,
        )
        if dialect is not Dialect.TLS:
            self.reader.read((*path, "headers"), "", lambda _: PresentationReader(dialect, headers))
        return headers

    # --- what does not go together

    def _check_options(self, path: YamlPath, model: FrontEndModel) -> None:
        reader = self.reader
        if model.insecure_accept_expired > timedelta(0):
            reader.warn(
                (*path, "insecure_accept_expired"),
                "certificates are accepted after their end, when nobody need revoke them any more",
            )
        cache: ResponseCacheModel | None = model.response_cache
        if cache is None:
            return
        here = (*path, "response_cache", "max_age")
        reader.require(here)
        if cache.max_age is not None and not timedelta(seconds=1) <= cache.max_age <= _LONGEST_MAX_AGE:
            found = reader.loaded.value_at(here)
            reader.error(here, f"expected a time between `1s` and `1h`, found `{found}`")

    def _check_direct(self, path: YamlPath) -> None:
        """Check a front end that clients themselves connect to."""
        self.reader.require((*path, "tls"), hint="dialect `tls` is TLS to this service: `{certificate, key}`")
        for key in _FOR_WEB_SERVERS:
            if self.reader.stands((*path, key)):
                self.reader.error(
                    (*path, key), "is for web servers, and on dialect `tls` clients connect themselves"
                )

    def _check_web_server(self, path: YamlPath, listen: ListenAddress) -> None:
        """Check who may speak as a web server here."""
        reader = self.reader
        given = [key for key in ("peers", "secret_file", "client_name") if reader.stands((*path, key))]
        if listen.socket is not None:
            if "peers" in given:
                reader.error((*path, "peers"), "a unix socket has no addresses, so nobody would be admitted")
            return
        if not given:
            reader.error(
                path,
                f"`{listen}` would believe anybody: needs `peers`, `secret_file` or `client_name`",
                hint="or a unix socket",
            )
        if listen.is_local:
            if given == ["peers"]:
                reader.warn(
                    (*path, "peers"),
                    "every process of this machine is then a web server",
                    hint="add `secret_file`",
                )
            return
        plaintext = reader.loaded.value_at((*path, "insecure_plaintext")) is True
        if plaintext and not reader.stands((*path, "tls")):
            reader.warn(
                (*path, "insecure_plaintext"),
                "certificates, secret and answers cross the network in clear text",
            )
        elif not reader.stands((*path, "tls")):
            reader.error(
                path,
                f"`{listen}` is open to other machines and needs `tls`",
                hint="or, if you must, `insecure_plaintext: true`",
            )
