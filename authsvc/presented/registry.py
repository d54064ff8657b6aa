"""The dialects by name, and the one way from a request's header fields to a presentation.

What every dialect has in common is done here: which fields are its own, and the refusal of everything that
could be read in two ways (contract section 2): a field of a dialect that this front end does not speak
(threat T2), a duplicate line (T3), another spelling of a field's name and `Connection` naming a field (T4), a
value over the limit (T9).

INVARIANT: reading is total. Any fields give a `Presentation`; none raise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final, assert_never

from authsvc.presented.encodings import EncodingError
from authsvc.presented.fields import CertificateFields
from authsvc.presented.header_fields import (
    LARGEST_VALUE_BYTES,
    HeaderField,
    connection_names,
    field_name,
    normal_name,
    strip_value,
)
from authsvc.presented.nginx import read_nginx
from authsvc.presented.presentation import Presentation, UnreadableCertificate
from authsvc.presented.rfc9440 import read_rfc9440
from authsvc.presented.tls import read_tls
from directory_assistance.errors import shorten

__all__ = [
    "DEFAULT_HEADERS",
    "KNOWN_CERTIFICATE_HEADERS",
    "Dialect",
    "DialectHeaders",
    "HandshakeCertificates",
    "PresentationReader",
    "read_presentation",
]


class Dialect(StrEnum):
    """How a front end's certificate arrives."""

    RFC9440 = "rfc9440"
    NGINX = "nginx"
    TLS = "tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class DialectHeaders:
    """The names of the fields of a dialect; None where it has no such field."""

    certificate: str | None = None
    chain: str | None = None
    verify: str | None = None


DEFAULT_HEADERS: Final[Mapping[Dialect, DialectHeaders]] = MappingProxyType(
    {
        Dialect.RFC9440: DialectHeaders(certificate="Client-Cert", chain="Client-Cert-Chain"),
        Dialect.NGINX: DialectHeaders(certificate="X-SSL-Client-Cert", verify="X-SSL-Client-Verify"),
        Dialect.TLS: DialectHeaders(),
    }
)
"""What each dialect's fields are called unless the configuration says otherwise (contract section 2)."""

KNOWN_CERTIFICATE_HEADERS: Final = frozenset(
    {
        b"client-cert",  # rfc9440
        b"client-cert-chain",
        b"x-ssl-client-cert",  # nginx, apache, haproxy, caddy
        b"x-ssl-client-verify",
        b"ssl-client-cert",  # ingress-nginx
        b"ssl-client-verify",
        b"x-forwarded-client-cert",  # envoy
        b"x-forwarded-tls-client-cert",  # traefik
        b"x-amzn-mtls-clientcert",  # aws-alb
        b"x-amzn-mtls-clientcert-leaf",
        b"x-client-cert-leaf",  # gcp, the names of its documents
        b"x-client-cert-chain",
        b"x-client-cert-chain-verified",
        b"x-arr-clientcert",  # azure
        b"cf-client-cert-der-base64",  # cloudflare
        b"cf-client-cert-sha256",
        b"cf-cert-presented",
        b"cf-cert-verified",
    }
)
"""Fields that carry a certificate, or a word about one, in any dialect there is: only a front end's own are
read, and the others refuse the request, because a web server that passes one on has not removed its
client's."""

_CACHED_VALUE_BYTES: Final = 8_192
"""Largest fields whose reading is remembered: an ordinary certificate and chain; more would let strangers
fill memory."""

_CACHED_READINGS: Final = 1_024
"""Readings remembered per front end: 1,024 x 8 KB, twice over, is 16 MB at worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeCertificates:
    """What a client sent in the TLS handshake with us: its certificate (DER), and what else it sent."""

    certificate: bytes | None = None
    chain: tuple[bytes, ...] = ()


class PresentationReader:
    """Reads the presentations of one front end, and remembers recent readings.

    Args:
        dialect: the one dialect that this front end speaks.
        headers: its field names; None for the defaults.

    Raises:
        ValueError: a name is no header name, two are the same, or a field that the dialect needs has no name.

    """

    def __init__(self, dialect: Dialect, headers: DialectHeaders | None = None) -> None:
        names = headers if headers is not None else DEFAULT_HEADERS[dialect]
        _check_names(dialect, names)
        self.dialect = dialect
        self._certificate = _optional_name(names.certificate)
        self._chain = _optional_name(names.chain)
        self._verify = _optional_name(names.verify)
        self._own = frozenset(
            name for name in (self._certificate, self._chain, self._verify) if name is not None
        )
        self._watched = KNOWN_CERTIFICATE_HEADERS | self._own
        # NOTE: caches of this instance, not of the class: they die with the configuration that made the
        # reader.
        self._is_watched = lru_cache(maxsize=1_024)(lambda name: normal_name(name) in self._watched)
        self._read_remembered = lru_cache(maxsize=_CACHED_READINGS)(self._read_fields)

    @property
    def header_names(self) -> tuple[bytes, ...]:
        """The names of the fields that are read, sorted; none for dialect `tls`."""
        return tuple(sorted(self._own))

    def read(
        self, headers: Sequence[HeaderField], handshake: HandshakeCertificates | None = None
    ) -> Presentation:
        """Read what a request presents.

        Args:
            headers: all field lines of the request, names in lower case, values as sent.
            handshake: what came by TLS; looked at by dialect `tls` alone.

        """
        mine = tuple(field for field in headers if self._is_watched(field[0]))
        problem = self._find_removed(headers)
        if problem:
            return UnreadableCertificate(problem=problem)
        if self.dialect is Dialect.TLS and handshake is not None:
            return self._read_handshake(mine, handshake)
        if sum(len(value) for _, value in mine) <= _CACHED_VALUE_BYTES:
            return self._read_remembered(mine)
        return self._read_fields(mine)

    def _find_removed(self, headers: Sequence[HeaderField]) -> str:
        named = connection_names(headers) & self._watched
        return f"`Connection` names the certificate header `{_text(min(named))}`" if named else ""

    def _read_handshake(
        self, mine: tuple[HeaderField, ...], handshake: HandshakeCertificates
    ) -> Presentation:
        try:
            self._refuse_ambiguous(mine)
            return read_tls(handshake.certificate, handshake.chain)
        except EncodingError as error:
            return UnreadableCertificate(problem=str(error))

    def _read_fields(self, mine: tuple[HeaderField, ...]) -> Presentation:
        try:
            self._refuse_ambiguous(mine)
            return self._decode(
                CertificateFields(
                    certificate=self._value(mine, self._certificate),
                    chain=tuple(strip_value(value) for name, value in mine if name == self._chain),
                    verify=self._value(mine, self._verify),
                )
            )
        except EncodingError as error:
            return UnreadableCertificate(problem=str(error))

    def _refuse_ambiguous(self, mine: tuple[HeaderField, ...]) -> None:
        """Refuse what could be read in two ways.

        Raises:
            EncodingError: says which field, and why.

        """
        total: dict[bytes, int] = {}
        for name, value in mine:
            if name not in self._own:
                kind = "another dialect" if name in KNOWN_CERTIFICATE_HEADERS else "another spelling"
                raise EncodingError(
                    f"`{_text(name)}` is a certificate header of {kind}, expected only our own"
                )
            if (
                name in total and name != self._chain
            ):  # RFC 9440 section 2.3 lets the chain have several lines
                raise EncodingError(f"expected one line of `{_text(name)}`, found several")
            total[name] = total.get(name, 0) + len(value)
            if total[name] > LARGEST_VALUE_BYTES:
                raise EncodingError(f"expected at most {LARGEST_VALUE_BYTES} bytes of `{_text(name)}`")

    def _decode(self, fields: CertificateFields) -> Presentation:
        match self.dialect:
            case Dialect.RFC9440:
                return read_rfc9440(fields)
            case Dialect.NGINX:
                return read_nginx(fields)
            case Dialect.TLS:
                return read_tls(None, ())
            case _:
                assert_never(self.dialect)

    @staticmethod
    def _value(mine: tuple[HeaderField, ...], wanted: bytes | None) -> bytes | None:
        return next((strip_value(value) for name, value in mine if name == wanted), None)


def read_presentation(
    dialect: Dialect,
    headers: Sequence[HeaderField],
    settings: DialectHeaders | None = None,
    handshake: HandshakeCertificates | None = None,
) -> Presentation:
    """Read one request without remembering it; see `PresentationReader`."""
    return PresentationReader(dialect, settings).read(headers, handshake)


def _check_names(dialect: Dialect, names: DialectHeaders) -> None:
    defaults = DEFAULT_HEADERS[dialect]
    for part, given, default in (
        ("certificate", names.certificate, defaults.certificate),
        ("chain", names.chain, defaults.chain),
        ("verify", names.verify, defaults.verify),
    ):
        if given is not None and default is None:
            raise ValueError(f"dialect `{dialect}` has no {part} header")
        if given is None and default is not None:
            raise ValueError(f"dialect `{dialect}` needs the name of its {part} header")
        if given is not None and normal_name(field_name(given)) != field_name(given):
            # a name with `_` or `.` is another field to other programs on the way
            raise ValueError(f"expected a header name of letters, digits and `-`, found `{given}`")
    given_names = [name for name in (names.certificate, names.chain, names.verify) if name is not None]
    if len({field_name(name) for name in given_names}) != len(given_names):
        raise ValueError(f"dialect `{dialect}` needs a name of its own for each header")


def _optional_name(name: str | None) -> bytes | None:
    return None if name is None else field_name(name)


def _text(name: bytes) -> str:
    return shorten(name.decode("latin-1"))
