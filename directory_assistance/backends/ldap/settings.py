"""How an LDAP directory is reached and read, as values (made from configuration by `config.py`).

What lives here: hosts, bind, TLS, time limits, what kind of server it is. What does not: opening a
connection (`session.py`), and the match plan (`directory_assistance.candidates`).

INVARIANT: nothing crosses a network in clear text. `LdapHost.transport` decides that from the address
alone: `ldapi` and `ldap` to this machine are clear, `ldap` to anywhere else begins with StartTLS. There
is no switch.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote

from directory_assistance.dn import DistinguishedName
from directory_assistance.errors import NameSyntaxError, shorten

__all__ = [
    "AnonymousBind",
    "Bind",
    "ExternalBind",
    "GroupStyle",
    "LdapHost",
    "LdapSettings",
    "LdapTls",
    "ServerKind",
    "SimpleBind",
    "Transport",
    "read_ldap_uri",
]

_DEFAULT_PORTS = {"ldap": 389, "ldaps": 636}

_URI = re.compile(
    r"(?P<scheme>ldaps?)://(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?/?",
    re.ASCII,
)
"""Scheme, host and port of RFC 4516; base, attributes and filter of such a URI stand elsewhere in our
settings.
"""

_SOCKET_URI = re.compile(r"ldapi://(?P<path>[^/?#]+)/?", re.ASCII)


class ServerKind(StrEnum):
    """What is spelled differently per server: certificate look-up, account state, group names.

    `standard` is OpenLDAP and whatever follows RFC 4523.
    """

    STANDARD = "standard"
    ACTIVE_DIRECTORY = "active-directory"
    DS389 = "389ds"


class GroupStyle(StrEnum):
    """How the groups of somebody are found.

    By the attribute in which groups list their members (`member`, `unique_member`, `both`), or told at once, nested
    ones too, by an Active Directory: by the person's `tokenGroups`, or by its matching rule in chain.
    """

    MEMBER = "member"
    UNIQUE_MEMBER = "unique_member"
    BOTH = "both"
    TOKEN_GROUPS = "token_groups"  # noqa: S105 - a token of Windows, no secret
    IN_CHAIN = "in_chain"

    @property
    def needs_active_directory(self) -> bool:
        """Whether only an Active Directory can be asked so; others say politely that there are no groups."""
        return self in {GroupStyle.TOKEN_GROUPS, GroupStyle.IN_CHAIN}


class Transport(StrEnum):
    """How a connection is protected; see the module's invariant."""

    SOCKET = "socket"
    LOOPBACK = "loopback"
    START_TLS = "start_tls"
    TLS = "tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapHost:
    """One server to connect to.

    `uri` is as it was written. `host` is a name, an address without brackets, or the path of a socket;
    `port` is 0 for a socket.
    """

    uri: str
    host: str
    port: int
    transport: Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymousBind:
    """No name: the server shows what everybody may see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimpleBind:
    """Name and password (RFC 4513 section 5.1.3).

    `password_file` is read anew for every connection, so that a password can be rotated; one line end at
    its end does not belong to the password. Where the password is not in a file, a function returns it.
    """

    dn: str
    password_file: Path | Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalBind:
    """SASL EXTERNAL: we are whom our TLS client certificate names (PEM files). Needs TLS."""

    certificate: Path
    key: Path


Bind = AnonymousBind | SimpleBind | ExternalBind


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapTls:
    """What a server must show.

    `ca_file`: PEM; None means the authorities of the operating system. `verify_server_name`: whether the
    name in the server's certificate must be the configured host. `minimum_version`: `1.2` or `1.3`. That
    the certificate chains to a known authority and is in date is always checked.
    """

    ca_file: Path | None = None
    verify_server_name: bool = True
    minimum_version: str = "1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapSettings:
    """One LDAP directory.

    `hosts`: URIs, tried in order whenever a connection is opened. `base`: only entries at or below it exist
    for us. `connect_timeout`: for connecting and for the TLS handshake, per host. `timeout`: for each
    operation. `name_attribute`: whose value is the name for ACLs, in LDAP syntax. `watch`: whether the server is
    asked to tell changes.
    """

    hosts: tuple[str, ...]
    base: DistinguishedName
    bind: Bind = AnonymousBind()
    tls: LdapTls = LdapTls()
    connect_timeout: timedelta = timedelta(seconds=2)
    timeout: timedelta = timedelta(seconds=5)
    server: ServerKind = ServerKind.STANDARD
    name_attribute: str | None = None
    group_style: GroupStyle = GroupStyle.MEMBER
    watch: bool = True


def read_ldap_uri(text: str) -> LdapHost:
    """Read `ldap://host:port`, `ldaps://host:port` or `ldapi://%2Fpath`.

    RFC 4516, without what may follow the host there.

    Raises:
        NameSyntaxError: the text is no such URI.

    """
    if (match := _SOCKET_URI.fullmatch(text)) is not None:
        path = unquote(match["path"])
        if path.startswith("/") and "\0" not in path:
            return LdapHost(uri=text, host=path, port=0, transport=Transport.SOCKET)
    elif (match := _URI.fullmatch(text)) is not None:
        host = match["v6"] or match["name"]
        port = int(match["port"] or _DEFAULT_PORTS[match["scheme"]])
        if 0 < port < 65536 and (match["v6"] is None or _is_address(host)):
            return LdapHost(uri=text, host=host, port=port, transport=_transport(match["scheme"], host))
    raise NameSyntaxError(
        f"expected `ldap://host:port`, `ldaps://host:port` or `ldapi://%2Fpath`, found `{shorten(text)}`"
    )


def _transport(scheme: str, host: str) -> Transport:
    if scheme == "ldaps":
        return Transport.TLS
    if host == "localhost" or (_is_address(host) and ip_address(host).is_loopback):
        return Transport.LOOPBACK
    return Transport.START_TLS


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
