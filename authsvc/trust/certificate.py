"""What trust needs to know of one certificate, read once and strictly (RFC 5280 section 4.1).

Lives here: `CertificateFacts`, for end entities, intermediates and anchors alike. Not here: whether any of it
is good enough (`profile.py`), paths (`path.py`), and the names a certificate asserts for its holder
(`directory_assistance.certificate_names`).

Invariants: whatever the octets, reading ends in facts or in a `CertificateSyntaxError`; everything that
`cryptography` parses lazily, and might refuse later, has been parsed. Names and keys are compared as the
octets that the certificate has, never encoded anew. A certificate that the strict DER walk and `cryptography`
read differently is not readable.
"""

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.utils import CryptographyDeprecationWarning

from authsvc.trust.general_names import read_name_key
from authsvc.trust.signatures import SignatureAlgorithm, needs_dsa_parameters, read_signature_algorithm
from directory_assistance.certificate_frame import (
    LARGEST_CERTIFICATE,
    CertificateFrame,
    read_certificate_frame,
)
from directory_assistance.der import DerSyntaxError
from directory_assistance.dn import NameKey
from directory_assistance.errors import CertificateSyntaxError, shorten

__all__ = [
    "LARGEST_CERTIFICATE",
    "READ_ERRORS",
    "CertificateFacts",
    "KeyFacts",
    "describe_name",
    "read_certificate",
    "read_facts_of_frame",
]

READ_ERRORS = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    x509.ExtensionNotFound,
)
"""What `cryptography` raises on hostile octets, at loading or later (measured over mutated certificates)."""

_DSA_KEY_TYPE = bytes.fromhex("06072a8648ce380401")
"""DER of 1.2.840.10040.4.1, id-dsa (RFC 3279 section 2.3.2)."""

_NO_KEY_TYPE = bytes.fromhex("06072a8648ce38047f")
"""DER of 1.2.840.10040.4.127, which is assigned to nothing."""

_CURVE_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """A public key: kind as printed (`RSA`, `P-256`, ...), size in bits, for RSA the exponent (else 0).

    `inherits`: a DSA key that has its parameters from its issuer's key (then `bits` is 0).
    """

    kind: str
    bits: int
    exponent: int = 0
    inherits: bool = False

    def __str__(self) -> str:
        """Print as `RSA-2048`, `P-256`, `Ed25519`."""
        return f"{self.kind}-{self.bits}" if self.kind in {"RSA", "DSA"} else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """One certificate of version 3, read; two are equal if their octets are.

    `der` is the whole certificate, `sha256` its digest. `subject_der` and `issuer_der` are the names as
    encoded, `subject_key` and `issuer_key` what names compare by (RFC 5280 section 7.1); `key_info` is
    SubjectPublicKeyInfo and `key_sha256` its digest: who issued is told by name and key, never by name alone.
    Dates are aware, inclusive at both ends (RFC 5280 section 4.1.2.5). `signed` are the octets that `signature`
    is over; `algorithm` is None where it is not known, `signature_algorithm` its dotted type in any case,
    `signature_hash` the name of its hash function, empty for EdDSA and for what is not supported. `extensions` maps
    the dotted type to the extension, `extension_values` to the DER of its value.
    """

    der: bytes = field(repr=False)
    sha256: bytes = field(compare=False)
    certificate: x509.Certificate = field(repr=False, compare=False)
    subject_der: bytes = field(repr=False, compare=False)
    issuer_der: bytes = field(repr=False, compare=False)
    serial: int = field(compare=False)
    subject_key: NameKey = field(repr=False, compare=False)
    issuer_key: NameKey = field(repr=False, compare=False)
    key_info: bytes = field(repr=False, compare=False)
    key_sha256: bytes = field(compare=False)
    key: KeyFacts = field(compare=False)
    signed: bytes = field(repr=False, compare=False)
    signature: bytes = field(repr=False, compare=False)
    algorithm: SignatureAlgorithm | None = field(repr=False, compare=False)
    signature_algorithm: str = field(compare=False)
    signature_hash: str = field(compare=False)
    not_before: datetime = field(compare=False)
    not_after: datetime = field(compare=False)
    extensions: Mapping[str, x509.Extension[x509.ExtensionType]] = field(repr=False, compare=False)
    extension_values: Mapping[str, bytes] = field(repr=False, compare=False)

    @property
    def issuer_is_subject(self) -> bool:
        """Whether the certificate is self-issued (RFC 5280 section 3.2)."""
        return self.subject_key == self.issuer_key

    @property
    def is_authority(self) -> bool:
        """Whether basicConstraints say that it is a certification authority's."""
        constraints = self.basic_constraints
        return constraints is not None and constraints.ca

    @property
    def basic_constraints(self) -> x509.BasicConstraints | None:
        """The extension, or None where it is absent."""
        extension = self.extensions.get(x509.BasicConstraints.oid.dotted_string)
        return extension.value if extension and isinstance(extension.value, x509.BasicConstraints) else None

    @property
    def key_usage(self) -> x509.KeyUsage | None:
        """The extension, or None where it is absent."""
        extension = self.extensions.get(x509.KeyUsage.oid.dotted_string)
        return extension.value if extension and isinstance(extension.value, x509.KeyUsage) else None

    @property
    def extended_key_usage(self) -> frozenset[str] | None:
        """The purposes, dotted, or None where the extension is absent."""
        extension = self.extensions.get(x509.ExtendedKeyUsage.oid.dotted_string)
        if extension is None or not isinstance(extension.value, x509.ExtendedKeyUsage):
            return None
        return frozenset(purpose.dotted_string for purpose in extension.value)

    @property
    def name_constraints(self) -> x509.NameConstraints | None:
        """The extension, or None where it is absent."""
        extension = self.extensions.get(x509.NameConstraints.oid.dotted_string)
        return extension.value if extension and isinstance(extension.value, x509.NameConstraints) else None

    @property
    def subject_text(self) -> str:
        """The subject for messages: RFC 4514, shortened, never compared."""
        return describe_name(self.certificate.subject)

    @property
    def issuer_text(self) -> str:
        """The issuer for messages: RFC 4514, shortened, never compared."""
        return describe_name(self.certificate.issuer)


def describe_name(name: x509.Name) -> str:
    """Return a name for messages: RFC 4514, control characters escaped, at most 200 characters."""
    return shorten(name.rfc4514_string()) or "(empty name)"


def read_certificate(
    der: bytes, *, names: tuple[NameKey, NameKey] | None = None, any_serial: bool = False
) -> CertificateFacts:
    """Read one certificate.

    Args:
        der: the certificate and nothing after it.
        names: the keys of subject and issuer, where somebody has read them before: making them is a fifth of the
            work.
        any_serial: whether a serial number of zero, a negative or a longer one is read too. RFC 5280 section 4.1.2.2
            asks users to handle what they meet; only the bare path algorithm does (profile `rfc5280`).

    Returns:
        Its facts. Not checked: signature, dates, usages, strength.

    Raises:
        CertificateSyntaxError: not DER, over 64 KiB, not version 3, a serial number that is not positive
            or has more than 20 octets, a repeated extension, or anything that `cryptography` cannot read.

    """
    try:
        frame = read_certificate_frame(der, any_serial=any_serial)
    except DerSyntaxError as error:
        raise CertificateSyntaxError(f"certificate is not DER as RFC 5280 has it: {error}") from error
    return read_facts_of_frame(frame, names=names, any_serial=any_serial)


def read_facts_of_frame(
    frame: CertificateFrame,
    *,
    names: tuple[NameKey, NameKey] | None = None,
    issuer_is_read: bool = False,
    any_serial: bool = False,
) -> CertificateFacts:
    """Read a certificate that has been cut already; otherwise as `read_certificate`.

    `issuer_is_read`: whether `cryptography` has read the octets of the issuer before, in another certificate.
    """
    try:
        return _read(frame, names, issuer_is_read=issuer_is_read, any_serial=any_serial)
    except CertificateSyntaxError:
        raise
    except READ_ERRORS as error:
        raise CertificateSyntaxError(f"certificate cannot be read: {shorten(str(error))}") from error


def _read(
    frame: CertificateFrame,
    names: tuple[NameKey, NameKey] | None,
    *,
    issuer_is_read: bool,
    any_serial: bool,
) -> CertificateFacts:
    if not frame.is_version_3:
        raise CertificateSyntaxError("expected X.509 version 3, found another")
    # `cryptography` parses lazily: each property is touched here. It comes after the strict cut, because it answers
    # a serial number of zero with a warning only.
    certificate = _load_leniently(frame) if any_serial else x509.load_der_x509_certificate(frame.der)
    _subject = certificate.subject
    if not issuer_is_read:
        _issuer = certificate.issuer
    if not frame.issuer.content:
        raise CertificateSyntaxError("issuer is empty")
    subject, issuer = frame.subject.encoded, frame.issuer.encoded
    subject_key, issuer_key = names or (read_name_key(subject), read_name_key(issuer))
    algorithm = read_signature_algorithm(frame.algorithm)
    return CertificateFacts(
        der=frame.der,
        sha256=frame.sha256,
        certificate=certificate,
        subject_der=subject,
        issuer_der=issuer,
        serial=frame.serial,
        subject_key=subject_key,
        issuer_key=issuer_key,
        key_info=frame.public_key_info,
        key_sha256=hashlib.sha256(frame.public_key_info).digest(),
        key=_read_key(certificate, frame.public_key_info),
        signed=frame.signed,
        signature=frame.signature,
        algorithm=algorithm,
        signature_algorithm=certificate.signature_algorithm_oid.dotted_string,
        signature_hash=algorithm.hash_name if algorithm is not None else "",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        extensions=MappingProxyType({one.oid.dotted_string: one for one in certificate.extensions}),
        extension_values=MappingProxyType(frame.extensions),
    )


def _load_leniently(frame: CertificateFrame) -> x509.Certificate:
    """Have `cryptography` read what it refuses or warns of, and RFC 5280 allows.

    It warns of odd serial numbers. It refuses a DSA key without parameters of its own, so it gets the certificate
    with the key's type replaced by one of the same length that nobody uses: to it the key is then of an unknown kind,
    and everything else is as it stands. What is hashed, checked and compared is the frame's, never that copy's.
    """
    der = frame.der
    if needs_dsa_parameters(frame.public_key_info):
        key_info = frame.public_key_info.replace(_DSA_KEY_TYPE, _NO_KEY_TYPE, 1)
        der = der.replace(frame.public_key_info, key_info, 1)
    with warnings.catch_warnings():  # not for threads: only the command line reads this way
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return x509.load_der_x509_certificate(der)


def _read_key(  # noqa: PLR0911 - one return for each kind
    certificate: x509.Certificate, public_key_info: bytes
) -> KeyFacts:
    """Return what kind of key it is; a kind that `cryptography` does not know is `unsupported`."""
    try:
        key: object = certificate.public_key()
    except UnsupportedAlgorithm:
        key = None
    match key:
        case rsa.RSAPublicKey():
            return KeyFacts(kind="RSA", bits=key.key_size, exponent=key.public_numbers().e)
        case ec.EllipticCurvePublicKey():
            return KeyFacts(kind=_CURVE_NAMES.get(key.curve.name, key.curve.name), bits=key.key_size)
        case ed25519.Ed25519PublicKey():
            return KeyFacts(kind="Ed25519", bits=256)
        case ed448.Ed448PublicKey():
            return KeyFacts(kind="Ed448", bits=456)
        case dsa.DSAPublicKey():
            return KeyFacts(kind="DSA", bits=key.key_size)
        case _ if needs_dsa_parameters(public_key_info):
            return KeyFacts(kind="DSA", bits=0, inherits=True)
        case _:
            return KeyFacts(kind="unsupported", bits=0)
