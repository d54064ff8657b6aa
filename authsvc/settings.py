"""The settings of the service as values: what `config.py` reads and the edges wire.

What lives here: listeners, front ends, and everything else of `authsvc.yaml`. What does not: reading it
(`config.py`), secrets (their files are named here and read where they are used), what the core makes of it.

INVARIANT: what `config.py` makes of these classes is sound; a configuration error never becomes one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

from authsvc.access.routes import RouteTable
from authsvc.decision.request import FrontEndPolicy
from authsvc.operations.trust_files import TrustSettings
from authsvc.presented.original_headers import OriginalKind, OriginalPart
from authsvc.presented.registry import Dialect, DialectHeaders
from directory_assistance.dn import Name
from directory_assistance.errors import Problem
from directory_assistance.settings import DirectoryAssistanceSettings

__all__ = [
    "ApiSettings",
    "FrontEndSettings",
    "ListenAddress",
    "Settings",
    "TlsFiles",
    "UnknownCertificate",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """Where a listener is: a unix socket, or host (name or address, without brackets) and port."""

    socket: Path | None = None
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        """Print as it is written: `unix:/run/a.sock`, `127.0.0.1:8443`, `[::1]:8443`."""
        if self.socket is not None:
            return f"unix:{self.socket}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect: a unix socket, `localhost` or a loopback address."""
        if self.socket is not None or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def clashes(self, other: "ListenAddress") -> bool:
        """Whether two listeners cannot both have their address."""
        if self.socket is not None or other.socket is not None:
            return self.socket == other.socket
        if self.port != other.port:
            return False
        if self.host == other.host or _is_any(self.host) or _is_any(other.host):
            return True
        return "localhost" in {self.host, other.host} and self.is_local and other.is_local


def _is_any(host: str) -> bool:
    """Whether a host stands for every address of this machine."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The certificate (with its chain) and the key of a TLS listener, PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """The listener of `/v1`, the console, health and metrics; `tls` is None on this machine only."""

    listen: ListenAddress
    tls: TlsFiles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEndSettings:
    """One front end (contract section 2).

    `headers`: the names of the dialect's fields. `original_parts`: the parts of the original request that the
    web server sets. `peers`, `secret_file`, `client_name` with `client_ca_file`: who may connect; all that
    are given must hold, and only a unix socket or dialect `tls` has none. `accept_expired`: zero for none.
    `response_cache`: how long a web server may keep an allow, None for never.
    """

    name: str
    dialect: Dialect
    listen: ListenAddress
    headers: DialectHeaders
    original_request: OriginalKind = OriginalKind.NONE
    original_parts: frozenset[OriginalPart] = frozenset()
    anonymous: bool = False
    peers: tuple[IPv4Network | IPv6Network, ...] = ()
    secret_file: Path | None = None
    client_name: str | None = None
    client_ca_file: Path | None = None
    tls: TlsFiles | None = None
    insecure_plaintext: bool = False
    accept_expired: timedelta = timedelta(0)
    response_cache: timedelta | None = None

    @property
    def policy(self) -> FrontEndPolicy:
        """What the decision must know of it."""
        return FrontEndPolicy(name=self.name, anonymous=self.anonymous, accept_expired=self.accept_expired)


class UnknownCertificate(StrEnum):
    """What a valid certificate without an entry is: refused, or no certificate at all."""

    DENY = "deny"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration of the service, both files.

    `file`: `authsvc.yaml` itself. `identity_headers`: new names by default name. `header_budget` in bytes.
    `cache_time`: the longest life of a cached verdict. `deny_access`: names of primary groups.
    `warnings`: what the files were warned of, to be logged at start.
    """

    file: Path
    directory_assistance_file: Path
    directory_assistance: DirectoryAssistanceSettings
    api: ApiSettings
    front_ends: tuple[FrontEndSettings, ...]
    trust: TrustSettings
    clock_skew: timedelta = timedelta(0)
    unknown_certificate: UnknownCertificate = UnknownCertificate.DENY
    routes: RouteTable = field(default_factory=RouteTable)
    audit_file: Path
    deny_access: tuple[str, ...] = ()
    full_access_administrators: frozenset[Name] = frozenset()
    expose_reasons: bool = False
    header_budget: int = 3_500
    identity_headers: Mapping[str, str] = field(default_factory=dict)
    cache_time: timedelta = timedelta(seconds=60)
    warnings: tuple[Problem, ...] = ()

    @property
    def folder(self) -> Path:
        """Where `authsvc.yaml` stands."""
        return self.file.parent
