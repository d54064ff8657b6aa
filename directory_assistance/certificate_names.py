"""The names an X.509 certificate asserts, read once and strictly (RFC 5280, X.509).

What lives here: subject, issuer, serial number, public key, key identifier, every kind of subject
alternative name, Microsoft's user principal name and security identifier. The only file of the library that
reads certificates. What does not: trust (paths, signatures, dates, usages: the caller's), and which of the
names may find anybody (`candidates.py`).

Invariants:

* One certificate has one reading or none. A certificate counts as readable only if both `cryptography`
  (which decides about trust) and the strict walk here accept it; both read only DER. What is compared later
  (public key, issuer) is cut out of the certificate's own octets, never encoded anew.
* Each fact comes from its own ASN.1 type. Nothing is taken for a mail address because it holds an `@`.
* A name that holds a NUL, another control character or an unpaired surrogate makes the certificate
  unusable: then `unusable` says why, every list of names is empty, and subject and issuer are for display
  only. Nothing is truncated.
* Values are raw: not trimmed, not folded, not escaped.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from directory_assistance.certificate_frame import CertificateFrame, read_certificate_frame
from directory_assistance.der import (
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    SET,
    DerSyntaxError,
    Element,
    Fields,
    read_element,
    read_elements,
    read_members,
    read_object_identifier,
)
from directory_assistance.dn import DistinguishedName, dn_from_attributes, has_unusable_characters
from directory_assistance.errors import CertificateSyntaxError, shorten

__all__ = [
    "CertificateNames",
    "OtherName",
    "StoredFacts",
    "attribute_values",
    "read_certificate_names",
    "read_distinguished_name",
    "read_names_of_frame",
    "read_stored_certificate",
    "read_validity",
]

_LARGEST_CERTIFICATE = 65_536
"""Octets of a certificate: real ones have one or two thousand; web servers stop at 8 to 64 thousand."""

_LONGEST_SERIAL_NUMBER = 20
"""Octets of a serial number (RFC 5280 section 4.1.2.2), not counting the one that keeps it positive."""

_MOST_ATTRIBUTES = 100
"""Attributes of one distinguished name: people have about five; each costs a comparison key."""

_LONGEST_NAME = 4_096
"""Octets of one distinguished name: people's have about a hundred. Preparing a name for comparison may make eighteen
characters of one, so that the 64 KiB of a certificate would take a fifth of a second (threat T24).
"""

_MOST_GENERAL_NAMES = 1_000
"""Names of one subject alternative name: large web hosts come near it, people have a few."""

_VERSION_3 = 2
"""How version 3 is encoded."""

_COMMON_NAME = "2.5.4.3"
_EMAIL_ADDRESS = "1.2.840.113549.1.9.1"
_USER_ID = "0.9.2342.19200300.100.1.1"

_SUBJECT_KEY_IDENTIFIER = "2.5.29.14"
_SUBJECT_ALTERNATIVE_NAME = "2.5.29.17"
_SECURITY_IDENTIFIER = "1.3.6.1.4.1.311.25.2"
_SECURITY_IDENTIFIER_VALUE = "1.3.6.1.4.1.311.25.2.1"
_USER_PRINCIPAL_NAME = "1.3.6.1.4.1.311.20.2.3"

_EXPLICIT_0 = 0xA0
_EXPLICIT_3 = 0xA3
_ISSUER_UNIQUE_ID = 0x81
_SUBJECT_UNIQUE_ID = 0x82

_UTF8_STRING = 0x0C
_IA5_STRING = 0x16

_STRING_CODECS = {
    _UTF8_STRING: "utf-8",
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # T61String: the CAs that used it wrote Latin-1, not T.61, and OpenSSL reads that
    _IA5_STRING: "ascii",
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString: surrogate pairs are read as everybody reads them
}
"""Identifier octet of each character string that may stand in a distinguished name, and its encoding."""

_SID = re.compile(r"S-1-5(?:-(?:0|[1-9][0-9]{0,9})){1,15}", re.ASCII)
"""A security identifier of the NT authority as text (MS-DTYP section 2.4.2.1), without padded numbers."""

_SID_URI = "tag:microsoft.com,2022-09-14:sid:"
"""What stands before a security identifier in a uniformResourceIdentifier (KB5014754: certificates made offline)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherName:
    """A subject alternative name of a kind not read here: dotted type, and the DER of its value."""

    oid: str
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateNames:
    """What one certificate says about its holder and itself; see the module's invariants.

    `der` is the whole certificate, `sha256` the digest of it (32 octets). `subject` and `issuer` are leaf
    first (X.509 writes the root first); `issuer_der` is the issuer as the certificate has it. `serial` is
    positive, at most 20 octets. `public_key_info` is the DER of SubjectPublicKeyInfo. `common_names`,
    `subject_emails` and `subject_uids` are the subject's values of CN, emailAddress and UID, leaf first.
    The `san_...` are the subject alternative names by kind, in the order of the certificate: `san_mails`
    rfc822Name, `san_upns` user principal name, `san_dns` dNSName, `san_uris` uniformResourceIdentifier,
    `san_ips` iPAddress as text, `san_directory_names` directoryName, `san_registered_ids` dotted,
    `san_other_names` the rest. `sids` are the different security identifiers in text form, of the extension and of
    tag URIs together: a certificate that contradicts itself has several. `subject_key_id` is None where the
    extension is absent. `unusable` is empty, or why the names cannot be used.
    """

    der: bytes = field(repr=False)
    sha256: bytes
    subject: DistinguishedName
    issuer: DistinguishedName
    issuer_der: bytes = field(repr=False)
    serial: int
    public_key_info: bytes = field(repr=False)
    common_names: tuple[str, ...] = ()
    subject_emails: tuple[str, ...] = ()
    subject_uids: tuple[str, ...] = ()
    san_mails: tuple[str, ...] = ()
    san_upns: tuple[str, ...] = ()
    san_dns: tuple[str, ...] = ()
    san_uris: tuple[str, ...] = ()
    san_ips: tuple[str, ...] = ()
    san_directory_names: tuple[DistinguishedName, ...] = ()
    san_registered_ids: tuple[str, ...] = ()
    san_other_names: tuple[OtherName, ...] = ()
    sids: tuple[str, ...] = ()
    subject_key_id: bytes | None = None
    unusable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFacts:
    """What binding compares in a certificate that an entry holds; fields as in `CertificateNames`."""

    issuer: DistinguishedName
    serial: int
    public_key_info: bytes
    subject_key_id: bytes | None


def read_certificate_names(der: bytes, *, any_serial: bool = False) -> CertificateNames:
    """Read the names of one certificate.

    Args:
        der: the certificate and nothing after it.
        any_serial: whether a serial number of zero, a negative or a longer one is read too; never for a decision.

    Returns:
        The names; with `unusable` set where they must not be used.

    Raises: CertificateSyntaxError: the octets are not one readable certificate: not DER, over 64 KiB, not
        what RFC 5280 section 4.1 allows (serial number, version, repeated extension), a character string
        that its type does not allow, a user principal name that is no UTF8String, a malformed security
        identifier, in the extension or in a tag URI.

    Not checked: signature, dates, usages, whether anybody should believe it.

    """
    try:
        frame = read_certificate_frame(der, any_serial=any_serial)
        if not any_serial:  # such a number is what the second reading warns of
            _require_second_reading(der)
        return _read_names(frame)
    except DerSyntaxError as error:
        raise CertificateSyntaxError(f"certificate is not DER as RFC 5280 has it: {error}") from error


def read_names_of_frame(
    frame: CertificateFrame, *, issuer: DistinguishedName | None = None
) -> CertificateNames:
    """Read the names of a certificate that has been cut, and that `cryptography` has read or will read.

    Args:
        frame: the certificate.
        issuer: what `read_distinguished_name` gave for the octets of its issuer, where somebody has asked before:
            reading a name is a tenth of a whole verification, and issuers are few.

    Raises:
        CertificateSyntaxError: as `read_certificate_names`, whose second reading is the caller's here.

    """
    try:
        return _read_names(frame, issuer)
    except DerSyntaxError as error:
        raise CertificateSyntaxError(f"certificate is not DER as RFC 5280 has it: {error}") from error


def read_stored_certificate(der: bytes) -> StoredFacts | None:
    """Read what binding compares out of a certificate that a directory holds.

    A directory may hold anything; what is not one readable certificate, or has an issuer with unusable
    characters, is None and so binds nothing (fails closed).
    """
    names = _Names()
    try:
        parts = read_certificate_frame(der)
        _require_second_reading(der)
        issuer = names.read_dn(parts.issuer, "issuer")
        subject_key_id = _read_subject_key_id(parts.extensions)
    except (DerSyntaxError, CertificateSyntaxError):
        return None
    if names.unusable:
        return None
    return StoredFacts(
        issuer=issuer,
        serial=parts.serial,
        public_key_info=parts.public_key_info,
        subject_key_id=subject_key_id,
    )


def read_distinguished_name(encoded: bytes) -> DistinguishedName | None:
    """Read one Name as a certificate encodes it (RFC 5280 section 4.1.2.4), leaf first; it may be empty.

    None where it cannot be read, or must take part in no comparison: see `CertificateNames.unusable`.
    """
    names = _Names()
    try:
        name = names.read_dn(read_element(encoded, SEQUENCE), "name")
    except (DerSyntaxError, CertificateSyntaxError):
        return None
    return None if names.unusable else name


def read_validity(der: bytes) -> tuple[datetime, datetime] | None:
    """Return the first and the last instant of a certificate's life (UTC), None if it cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        return None
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def attribute_values(dn: DistinguishedName, oid: str) -> tuple[str, ...]:
    """Return every value that a distinguished name has for an attribute type (dotted), leaf first."""
    return tuple(attribute.value for rdn in dn.rdns for attribute in rdn.attributes if attribute.oid == oid)


def _read_names(parts: CertificateFrame, known_issuer: DistinguishedName | None = None) -> CertificateNames:
    names = _Names()
    subject = names.read_dn(parts.subject, "subject")
    issuer = names.read_dn(parts.issuer, "issuer") if known_issuer is None else known_issuer
    if not issuer.rdns:
        raise CertificateSyntaxError("issuer is empty")
    alternatives = _AlternativeNames(names)
    alternatives.read(parts.extensions.get(_SUBJECT_ALTERNATIVE_NAME))
    sids = _read_sids(parts.extensions.get(_SECURITY_IDENTIFIER))
    subject_key_id = _read_subject_key_id(parts.extensions)
    always = CertificateNames(
        der=parts.der,
        sha256=parts.sha256,
        subject=subject,
        issuer=issuer,
        issuer_der=parts.issuer.encoded,
        serial=parts.serial,
        public_key_info=parts.public_key_info,
        subject_key_id=subject_key_id,
        unusable=names.unusable,
    )
    if names.unusable:
        return always
    return replace(
        always,
        common_names=attribute_values(subject, _COMMON_NAME),
        subject_emails=attribute_values(subject, _EMAIL_ADDRESS),
        subject_uids=attribute_values(subject, _USER_ID),
        san_mails=tuple(alternatives.mails),
        san_upns=tuple(alternatives.upns),
        san_dns=tuple(alternatives.dns),
        san_uris=tuple(alternatives.uris),
        san_ips=tuple(alternatives.ips),
        san_directory_names=tuple(alternatives.directory_names),
        san_registered_ids=tuple(alternatives.registered_ids),
        san_other_names=tuple(alternatives.other_names),
        sids=tuple(dict.fromkeys((*sids, *map(_read_sid_uri, filter(_is_sid_uri, alternatives.uris))))),
    )


def _require_second_reading(der: bytes) -> None:
    """Have `cryptography` read the certificate: what it refuses must not have names here (threat T17).

    It comes after the own walk, because it answers some certificates that the walk refuses (a serial number
    of zero) with a warning instead of an error. It also checks what the walk passes over: dates, key,
    signature.
    """
    try:
        x509.load_der_x509_certificate(der)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise CertificateSyntaxError(
            f"certificate cannot be read a second time: {shorten(str(error))}"
        ) from error


def _read_subject_key_id(extensions: dict[str, bytes]) -> bytes | None:
    value = extensions.get(_SUBJECT_KEY_IDENTIFIER)
    return None if value is None else read_element(value, OCTET_STRING).content


def _read_sids(value: bytes | None) -> tuple[str, ...]:
    """Read Microsoft's security identifier extension (MS-WCCE section 2.2.2.7.7.4).

    GeneralNames of otherName 1.3.6.1.4.1.311.25.2.1, each an OCTET STRING of the text form. Anything else
    in it makes the certificate unreadable: a part that is passed over could be the part another reader
    takes.
    """
    if value is None:
        return ()
    sids = []
    for element in read_members(read_element(value, SEQUENCE).content, _EXPLICIT_0):
        oid, encoded = _read_other_name(element)
        if oid != _SECURITY_IDENTIFIER_VALUE:
            raise CertificateSyntaxError(f"security identifier extension holds an otherName of type {oid}")
        sids.append(_require_sid(read_element(encoded, OCTET_STRING).content.decode("latin-1")))
    return tuple(sids)


def _is_sid_uri(uri: str) -> bool:
    return uri.casefold().startswith(_SID_URI)


def _read_sid_uri(uri: str) -> str:
    """Return the security identifier of a tag URI (RFC 4151, KB5014754).

    Another spelling of what stands before it (tags compare by their characters) or anything that is no identifier
    after it makes the certificate unreadable, as in the extension: another reader might take it.
    """
    if not uri.startswith(_SID_URI):
        raise CertificateSyntaxError(f"expected `{_SID_URI}` in small letters, found `{shorten(uri)}`")
    return _require_sid(uri.removeprefix(_SID_URI))


def _require_sid(text: str) -> str:
    if _SID.fullmatch(text) is None:
        raise CertificateSyntaxError(f"expected a security identifier `S-1-5-...`, found `{shorten(text)}`")
    return text


def _read_other_name(element: Element) -> tuple[str, bytes]:
    """Return type (dotted) and DER of the value of an otherName (RFC 5280 section 4.2.1.6)."""
    fields = Fields(element.content)
    oid = read_object_identifier(fields.take(OBJECT_IDENTIFIER).content)
    value = fields.take(_EXPLICIT_0).content
    fields.finish()
    return oid, value


class _Names:
    """Decodes character strings, and remembers the first that makes the certificate unusable."""

    def __init__(self) -> None:
        self.unusable = ""

    def read_text(self, octets: bytes, codec: str, where: str) -> str:
        """Decode octets; unusable characters come back as U+FFFD, for display, and are remembered.

        Surrogates are decoded rather than refused, so that they are reported as what they are.
        """
        try:
            text = octets.decode(codec, "surrogatepass" if codec.startswith("utf") else "strict")
        except UnicodeDecodeError as error:
            raise CertificateSyntaxError(f"{where} is not {codec}: {error.reason}") from error
        if not has_unusable_characters(text):
            return text
        self.refuse(f"{where} holds a control character or an unpaired surrogate: `{shorten(text)}`")
        return "".join("\N{REPLACEMENT CHARACTER}" if has_unusable_characters(one) else one for one in text)

    def refuse(self, reason: str) -> None:
        """Make the certificate unusable; the first reason stays."""
        self.unusable = self.unusable or reason

    def read_dn(self, element: Element, where: str) -> DistinguishedName:
        """Read a Name (RFC 5280 section 4.1.2.4), leaf first; an empty one is allowed here."""
        if len(element.content) > _LONGEST_NAME:
            raise CertificateSyntaxError(f"{where} has more than {_LONGEST_NAME} octets")
        rdns: list[list[tuple[str, str]]] = []
        count = 0
        for rdn in read_members(element.content, SET, at_least=0):
            attributes = read_members(rdn.content, SEQUENCE)
            encodings = [attribute.encoded for attribute in attributes]
            if encodings != sorted(encodings):
                raise DerSyntaxError(f"set in the {where} is not in order")
            count += len(attributes)
            if count > _MOST_ATTRIBUTES:
                raise CertificateSyntaxError(f"{where} has more than {_MOST_ATTRIBUTES} attributes")
            rdns.append([self._read_attribute(attribute, where) for attribute in attributes])
        return dn_from_attributes(list(reversed(rdns)))

    def _read_attribute(self, attribute: Element, where: str) -> tuple[str, str]:
        fields = Fields(attribute.content)
        oid = read_object_identifier(fields.take(OBJECT_IDENTIFIER).content)
        value = fields.take_any()
        fields.finish()
        codec = _STRING_CODECS.get(value.tag)
        if codec is None:
            # A bit string (x500UniqueIdentifier) or a structure has no text of its own: any text made for it
            # could also stand there as a text, so it must not take part in comparisons.
            self.refuse(f"{where} attribute {oid} is no character string (tag 0x{value.tag:02x})")
            return oid, "\N{REPLACEMENT CHARACTER}"
        return oid, self.read_text(value.content, codec, f"{where} attribute {oid}")


class _AlternativeNames:
    """Collects the subject alternative names, each kind into its own list (RFC 5280 section 4.2.1.6)."""

    def __init__(self, names: _Names) -> None:
        self._names = names
        self.mails: list[str] = []
        self.upns: list[str] = []
        self.dns: list[str] = []
        self.uris: list[str] = []
        self.ips: list[str] = []
        self.directory_names: list[DistinguishedName] = []
        self.registered_ids: list[str] = []
        self.other_names: list[OtherName] = []

    def read(self, value: bytes | None) -> None:
        """Read the extension, or do nothing where it is absent."""
        if value is None:
            return
        elements = read_elements(read_element(value, SEQUENCE).content)
        if not 0 < len(elements) <= _MOST_GENERAL_NAMES:
            raise CertificateSyntaxError(
                f"expected 1 to {_MOST_GENERAL_NAMES} subject alternative names, found {len(elements)}"
            )
        for element in elements:
            self._read_general_name(element)

    def _read_general_name(self, element: Element) -> None:
        match element.tag:
            case 0xA0:
                self._read_other_name(element)
            case 0x81:
                self.mails.append(self._read_ia5(element, "rfc822Name"))
            case 0x82:
                self.dns.append(self._read_ia5(element, "dNSName"))
            case 0xA4:
                name = read_element(element.content, SEQUENCE)
                self.directory_names.append(self._names.read_dn(name, "directoryName"))
            case 0x86:
                self.uris.append(self._read_ia5(element, "uniformResourceIdentifier"))
            case 0x87:
                self.ips.append(_read_ip(element.content))
            case 0x88:
                self.registered_ids.append(read_object_identifier(element.content))
            case _:
                # x400Address and ediPartyName: nobody issues them, and `cryptography` refuses them too.
                raise CertificateSyntaxError(
                    f"subject alternative name of an unknown kind (tag 0x{element.tag:02x})"
                )

    def _read_ia5(self, element: Element, kind: str) -> str:
        return self._names.read_text(element.content, "ascii", kind)

    def _read_other_name(self, element: Element) -> None:
        oid, value = _read_other_name(element)
        if oid != _USER_PRINCIPAL_NAME:
            self.other_names.append(OtherName(oid=oid, value=value))
            return
        # Microsoft writes a UTF8String and reads nothing else. Passing over another type could turn two user
        # principal names into one.
        text = read_element(value, _UTF8_STRING).content
        self.upns.append(self._names.read_text(text, "utf-8", "user principal name"))


def _read_ip(content: bytes) -> str:
    if len(content) not in {4, 16}:
        raise CertificateSyntaxError(f"expected an iPAddress of 4 or 16 octets, found {len(content)}")
    return str(ip_address(content))
