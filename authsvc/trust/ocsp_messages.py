"""OCSP messages as octets: a request is written, a response is read, strictly and once (RFC 6960, RFC 9654).

Lives here: the shape of the messages, and the addresses that a certificate names. Not here: whether a response may be
believed (`ocsp.py`), sending (`authsvc/operations/ocsp_responders.py`).

Invariants: whatever the octets, reading ends in a value or in a `DerSyntaxError`; nothing is parsed lazily. The signed
part is cut out as it stands, never encoded anew. What was not understood is not passed over: an extension that is
repeated, a time that is none, an element left over, and the response does not exist.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.general_names import read_name_key
from authsvc.trust.signatures import SignatureAlgorithm, read_signature_algorithm
from directory_assistance.der import (
    BIT_STRING,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    DerSyntaxError,
    Element,
    Fields,
    read_element,
    read_elements,
    read_integer,
    read_object_identifier,
    read_octets_of_bits,
)
from directory_assistance.dn import NameKey
from directory_assistance.extensions import read_extensions

__all__ = [
    "LARGEST_RESPONSE",
    "MOST_EMBEDDED_CERTIFICATES",
    "BasicResponse",
    "CertificateId",
    "FailedResponse",
    "SingleResponse",
    "build_request",
    "hash_of_key",
    "read_response",
    "responder_urls",
]

LARGEST_RESPONSE: Final = 65_536
"""Octets of a response, checked before parsing: real ones have half a thousand to three thousand (threat T33)."""

MOST_EMBEDDED_CERTIFICATES: Final = 8
"""Certificates in one response: real ones have none, the responder's, or that and its issuer's (threat T24)."""

_MOST_URLS: Final = 4
"""Responders that one certificate names: real ones name one or two."""

_LONGEST_URL: Final = 2_048
"""Characters of an address; what web servers take at least."""

_ENUMERATED: Final = 0x0A
_GENERALIZED_TIME: Final = 0x18
_EXPLICIT_0: Final = 0xA0
_EXPLICIT_1: Final = 0xA1
_EXPLICIT_2: Final = 0xA2
_GOOD: Final = 0x80
_REVOKED: Final = 0xA1
_UNKNOWN: Final = 0x82

_BASIC_RESPONSE: Final = "1.3.6.1.5.5.7.48.1.1"
_NONCE: Final = "1.3.6.1.5.5.7.48.1.2"

_SUCCESSFUL: Final = 0
_FAILURES: Final = MappingProxyType(
    {1: "malformedRequest", 2: "internalError", 3: "tryLater", 5: "sigRequired", 6: "unauthorized"}
)
"""OCSPResponseStatus (RFC 6960 section 4.2.1); 4 is not used."""

_REASONS: Final = MappingProxyType(
    {
        0: "unspecified",
        1: "keyCompromise",
        2: "cACompromise",
        3: "affiliationChanged",
        4: "superseded",
        5: "cessationOfOperation",
        6: "certificateHold",
        8: "removeFromCRL",
        9: "privilegeWithdrawn",
        10: "aACompromise",
    }
)
"""CRLReason (RFC 5280 section 5.3.1); 7 is not used."""

_HASH_NAMES: Final = MappingProxyType(
    {
        "1.3.14.3.2.26": "sha1",
        "2.16.840.1.101.3.4.2.1": "sha256",
        "2.16.840.1.101.3.4.2.2": "sha384",
        "2.16.840.1.101.3.4.2.3": "sha512",
    }
)

_TIME = re.compile(rb"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})Z")
"""GeneralizedTime as RFC 5280 section 4.1.2.5.2 has it: seconds, no fraction, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateId:
    """Which certificate: the hashes of its issuer's name and key, and its serial number.

    `hash_name` is empty where the hash function is not known: it then names no certificate of ours.
    """

    hash_name: str
    name_hash: bytes
    key_hash: bytes
    serial: int

    def names(self, facts: CertificateFacts, issuer: CertificateFacts) -> bool:
        """Whether it names a certificate, issued by the holder of another. The hashes are computed anew.

        The name is that of the issuer as the certificate itself has it (RFC 6960 section 4.1.1).
        """
        return (
            self.serial == facts.serial
            and bool(self.hash_name)
            and self.name_hash == _digest(self.hash_name, facts.issuer_der)
            and self.key_hash == _digest(self.hash_name, _key_octets(issuer))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleResponse:
    """What is said of one certificate. `revoked_since` is None unless it is revoked; `reason` is empty if not said.

    Not revoked and not `known` is "unknown". Dates are aware. `critical`: types of its critical extensions.
    """

    certificate_id: CertificateId
    known: bool
    revoked_since: datetime | None
    reason: str
    this_update: datetime
    next_update: datetime | None
    critical: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedResponse:
    """The responder answers nothing, and says why. Nobody signed that."""

    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicResponse:
    """A basic response, read and not believed yet.

    `signed` are the octets that `signature` is over; `algorithm` is None where it is not known. Of `responder_name` and
    `responder_key_hash` one is None. `critical`: types of critical extensions. `certificates` are not read.
    """

    signed: bytes = field(repr=False)
    algorithm: SignatureAlgorithm | None
    signature: bytes = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    responder_name: NameKey | None
    responder_key_hash: bytes | None
    produced_at: datetime
    responses: tuple[SingleResponse, ...]
    nonce: bytes | None
    critical: frozenset[str]

    def is_named(self, facts: CertificateFacts) -> bool:
        """Whether the response says that the holder of a certificate signed it."""
        if self.responder_name is not None:
            return self.responder_name == facts.subject_key
        return self.responder_key_hash == hash_of_key(facts)


def hash_of_key(facts: CertificateFacts) -> bytes:
    """Return the SHA-1 of a public key, as a responder names itself by (RFC 6960 section 4.2.1). It proves nothing."""
    return _digest("sha1", _key_octets(facts))


def build_request(facts: CertificateFacts, issuer: CertificateFacts, *, nonce: bytes | None) -> bytes:
    """Return a request for the status of one certificate.

    The certificate is named by SHA-1: it is the one hash that every responder knows, RFC 5019 section 2.1.1 knows no
    other, and nothing rests on it. What proves whose status is told is that the issuer's own key, or that of somebody
    it delegated to, has signed the answer; a second key of the same SHA-1 would be another CA's.

    Args:
        facts: the certificate.
        issuer: the certificate of who issued it.
        nonce: random octets that the response should repeat (RFC 9654: 32 of them), None for none.

    Returns:
        The DER of an OCSPRequest, unsigned.

    """
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        _digest("sha1", facts.issuer_der),
        _digest("sha1", _key_octets(issuer)),
        facts.serial,
        hashes.SHA1(),  # noqa: S303 - see above
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(serialization.Encoding.DER)


def responder_urls(facts: CertificateFacts) -> tuple[str, ...]:
    """Return the addresses at which a certificate says that its status is told, in its order, four at most.

    They are what the certificate's issuer wrote, and nothing more: whether anybody may be asked there is decided
    elsewhere, and after the path has been proven (threat T31).
    """
    extension = facts.extensions.get(x509.AuthorityInformationAccess.oid.dotted_string)
    if extension is None or not isinstance(extension.value, x509.AuthorityInformationAccess):
        return ()
    found = [
        description.access_location.value
        for description in extension.value
        if description.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(description.access_location, x509.UniformResourceIdentifier)
        and len(description.access_location.value) <= _LONGEST_URL
    ]
    return tuple(dict.fromkeys(found))[:_MOST_URLS]


def read_response(der: bytes) -> BasicResponse | FailedResponse:
    """Read an OCSPResponse (RFC 6960 section 4.2.1).

    Args:
        der: the response and nothing after it; the caller has looked at its size.

    Returns:
        The response; nothing of it is checked. Or what the responder says why there is none.

    Raises:
        DerSyntaxError: it is none, no basic one, or has more certificates than `MOST_EMBEDDED_CERTIFICATES`.

    """
    outer = Fields(read_element(der, SEQUENCE).content)
    status = read_integer(outer.take(_ENUMERATED).content)
    if status != _SUCCESSFUL:
        return FailedResponse(status=_FAILURES.get(status, f"status {status}"))
    octets = Fields(read_element(outer.take(_EXPLICIT_0).content, SEQUENCE).content)
    outer.finish()
    response_type = read_object_identifier(octets.take(OBJECT_IDENTIFIER).content)
    if response_type != _BASIC_RESPONSE:
        raise DerSyntaxError(f"expected a basic response, found type {response_type}")
    basic = Fields(read_element(octets.take(OCTET_STRING).content, SEQUENCE).content)
    octets.finish()
    signed = basic.take(SEQUENCE)
    algorithm = read_signature_algorithm(basic.take(SEQUENCE).encoded)
    signature = read_octets_of_bits(basic.take(BIT_STRING).content)
    certificates = basic.take_optional(_EXPLICIT_0)
    basic.finish()
    return _read_signed(signed, algorithm, signature, _read_certificates(certificates))


def _read_certificates(field_element: Element | None) -> tuple[bytes, ...]:
    if field_element is None:
        return ()
    elements = read_elements(read_element(field_element.content, SEQUENCE).content)
    if len(elements) > MOST_EMBEDDED_CERTIFICATES:
        raise DerSyntaxError(
            f"expected at most {MOST_EMBEDDED_CERTIFICATES} certificates, found {len(elements)}"
        )
    return tuple(element.encoded for element in elements)


def _read_signed(
    signed: Element, algorithm: SignatureAlgorithm | None, signature: bytes, certificates: tuple[bytes, ...]
) -> BasicResponse:
    """Read ResponseData."""
    fields = Fields(signed.content)
    version = fields.take_optional(_EXPLICIT_0)
    if version is not None and read_integer(read_element(version.content, INTEGER).content) != 0:
        raise DerSyntaxError("expected a response of version 1, found another")
    by_name = fields.take_optional(_EXPLICIT_1)
    by_key = None if by_name is not None else fields.take(_EXPLICIT_2)
    produced_at = _read_time(fields.take(_GENERALIZED_TIME).content)
    responses = tuple(map(_read_single, read_elements(fields.take(SEQUENCE).content)))
    extensions, critical = _read_extensions(fields.take_optional(_EXPLICIT_1))
    fields.finish()
    nonce = extensions.get(_NONCE)
    return BasicResponse(
        signed=signed.encoded,
        algorithm=algorithm,
        signature=signature,
        certificates=certificates,
        responder_name=None if by_name is None else _read_name(by_name.content),
        responder_key_hash=None if by_key is None else read_element(by_key.content, OCTET_STRING).content,
        produced_at=produced_at,
        responses=responses,
        nonce=None if nonce is None else read_element(nonce, OCTET_STRING).content,
        critical=critical - {_NONCE},
    )


def _read_name(content: bytes) -> NameKey:
    return read_name_key(read_element(content, SEQUENCE).encoded)


def _read_single(element: Element) -> SingleResponse:
    if element.tag != SEQUENCE:
        raise DerSyntaxError(f"expected a single response, found tag 0x{element.tag:02x}")
    fields = Fields(element.content)
    certificate_id = _read_certificate_id(fields.take(SEQUENCE).content)
    known, revoked_since, reason = _read_status(fields.take_any())
    this_update = _read_time(fields.take(_GENERALIZED_TIME).content)
    next_update = fields.take_optional(_EXPLICIT_0)
    _, critical = _read_extensions(fields.take_optional(_EXPLICIT_1))
    fields.finish()
    return SingleResponse(
        certificate_id=certificate_id,
        known=known,
        revoked_since=revoked_since,
        reason=reason,
        this_update=this_update,
        next_update=None
        if next_update is None
        else _read_time(read_element(next_update.content, _GENERALIZED_TIME).content),
        critical=critical,
    )


def _read_certificate_id(content: bytes) -> CertificateId:
    fields = Fields(content)
    algorithm = Fields(fields.take(SEQUENCE).content)
    hash_type = read_object_identifier(algorithm.take(OBJECT_IDENTIFIER).content)
    name_hash, key_hash = fields.take(OCTET_STRING).content, fields.take(OCTET_STRING).content
    serial = read_integer(fields.take(INTEGER).content)
    fields.finish()
    return CertificateId(
        hash_name=_HASH_NAMES.get(hash_type, ""), name_hash=name_hash, key_hash=key_hash, serial=serial
    )


def _read_status(element: Element) -> tuple[bool, datetime | None, str]:
    """Return whether the certificate is known, since when it is revoked, and why."""
    if element.tag in {_GOOD, _UNKNOWN}:
        if element.content:
            raise DerSyntaxError("status good or unknown has a content")
        return element.tag == _GOOD, None, ""
    if element.tag != _REVOKED:
        raise DerSyntaxError(f"expected a status, found tag 0x{element.tag:02x}")
    fields = Fields(element.content)
    since = _read_time(fields.take(_GENERALIZED_TIME).content)
    why = fields.take_optional(_EXPLICIT_0)
    fields.finish()
    if why is None:
        return True, since, ""
    reason = read_integer(read_element(why.content, _ENUMERATED).content)
    return True, since, _REASONS.get(reason, f"reason {reason}")


def _read_extensions(field_element: Element | None) -> tuple[Mapping[str, bytes], frozenset[str]]:
    """Return the values of extensions by their dotted types, and the types of the critical ones."""
    if field_element is None:
        return {}, frozenset()
    extensions = read_extensions(read_element(field_element.content, SEQUENCE).content)
    values = {oid: extension.value for oid, extension in extensions.items()}
    return values, frozenset(oid for oid, extension in extensions.items() if extension.is_critical)


def _read_time(content: bytes) -> datetime:
    match = _TIME.fullmatch(content)
    if match is None:
        raise DerSyntaxError("expected a time as YYYYMMDDHHMMSSZ, found another text")
    try:
        year, month, day, hour, minute, second = map(int, match.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise DerSyntaxError("expected a time, found one that the calendar does not have") from error


def _key_octets(facts: CertificateFacts) -> bytes:
    """Return the content of subjectPublicKey, without tag, length and number of unused bits."""
    fields = Fields(read_element(facts.key_info, SEQUENCE).content)
    fields.take(SEQUENCE)
    return fields.take(BIT_STRING).content[1:]


def _digest(hash_name: str, octets: bytes) -> bytes:
    return hashlib.new(hash_name, octets, usedforsecurity=False).digest()
