"""A certificate factory: authorities, certificates and revocation lists for `demo`, `init` and tests.

Every default makes a correct certificate of our client profile, so that a caller passes only the deviation
and the deviation is visible in the call. The reference instant `now` is passed in, once, to the root; nothing
here reads a clock. Keys are new each time and serials random (RFC 5280 section 4.1.2.2), unless given. Text
subjects are RFC 4514, leaf first.

Not here: checking certificates (`authsvc/trust/`), files, and what the builder of `cryptography` refuses to
make (SHA-1 signatures, lists without nextUpdate, odd DER; tests patch those by hand). The authorities made
here are for development and samples: their keys are unprotected.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = [
    "CA_KEY_USAGE",
    "CLIENT_AUTH",
    "CLIENT_KEY_USAGE",
    "SERVER_AUTH",
    "SID_EXTENSION_OID",
    "UPN_OID",
    "Authority",
    "Issued",
    "IssuedCrl",
    "KeyKind",
    "PrivateKey",
    "der_element",
    "dns",
    "generate_key",
    "host",
    "key_usage",
    "mail",
    "name_from_text",
    "sid_extension",
    "upn",
    "uri",
]

PrivateKey = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)
"""The private keys that this factory makes and signs with."""

CriticalExtension = tuple[x509.ExtensionType, bool]
"""An extension and whether it is critical."""

CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH

UPN_OID = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
"""otherName type of Microsoft's user principal name (value: UTF8String)."""

SID_EXTENSION_OID = x509.ObjectIdentifier("1.3.6.1.4.1.311.25.2")
"""Extension that carries an account's security identifier (MS-WCCE section 2.2.2.7.7.4)."""

_SID_VALUE_OID = bytes.fromhex("060a2b060104018237190201")
"""DER of 1.3.6.1.4.1.311.25.2.1, the otherName type inside that extension."""

_BACKDATED = timedelta(days=1)
"""How long before `now` a certificate starts to be valid."""

_LEAF_LIFETIME = timedelta(days=365)
_AUTHORITY_LIFETIME = timedelta(days=3650)
_CRL_LIFETIME = timedelta(days=7)

_CRL_AGE = timedelta(hours=1)
"""How long before `now` a revocation list was issued."""

_SHORT_NAMES = {
    "CN": NameOID.COMMON_NAME,
    "C": NameOID.COUNTRY_NAME,
    "DC": NameOID.DOMAIN_COMPONENT,
    "E": NameOID.EMAIL_ADDRESS,
    "EMAILADDRESS": NameOID.EMAIL_ADDRESS,
    "GIVENNAME": NameOID.GIVEN_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "SERIALNUMBER": NameOID.SERIAL_NUMBER,
    "SN": NameOID.SURNAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "STREET": NameOID.STREET_ADDRESS,
    "TITLE": NameOID.TITLE,
    "UID": NameOID.USER_ID,
}
_ATTRIBUTE_TYPES = (
    _SHORT_NAMES
    | {short.lower(): oid for short, oid in _SHORT_NAMES.items()}
    | {
        "emailAddress": NameOID.EMAIL_ADDRESS,
        "givenName": NameOID.GIVEN_NAME,
        "serialNumber": NameOID.SERIAL_NUMBER,
    }
)


class KeyKind(StrEnum):
    """The kinds of key, good and bad, that a case may ask for."""

    RSA_1024 = "rsa-1024"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    P256 = "p-256"
    P384 = "p-384"
    P521 = "p-521"
    SECP256K1 = "secp256k1"
    ED25519 = "ed25519"
    ED448 = "ed448"


_CURVES: dict[KeyKind, ec.EllipticCurve] = {
    KeyKind.P256: ec.SECP256R1(),
    KeyKind.P384: ec.SECP384R1(),
    KeyKind.P521: ec.SECP521R1(),
    KeyKind.SECP256K1: ec.SECP256K1(),
}


def generate_key(kind: KeyKind = KeyKind.P256) -> PrivateKey:
    """Return a new private key of the kind."""
    if kind is KeyKind.ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    if kind is KeyKind.ED448:
        return ed448.Ed448PrivateKey.generate()
    curve = _CURVES.get(kind)
    if curve is not None:
        return ec.generate_private_key(curve)
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("rsa-")))


def name_from_text(text: str) -> x509.Name:
    """Return the name that an RFC 4514 text (leaf first) stands for; an empty text is the empty name.

    Raises:
        ValueError: the text is not RFC 4514, or names an attribute type not known here.

    """
    return x509.Name.from_rfc4514_string(text, _ATTRIBUTE_TYPES) if text else x509.Name([])


def key_usage(*bits: str) -> x509.KeyUsage:
    """Return the keyUsage extension with the named bits (attributes of `x509.KeyUsage`) set."""
    wanted = frozenset(bits)
    return x509.KeyUsage(
        digital_signature="digital_signature" in wanted,
        content_commitment="content_commitment" in wanted,
        key_encipherment="key_encipherment" in wanted,
        data_encipherment="data_encipherment" in wanted,
        key_agreement="key_agreement" in wanted,
        key_cert_sign="key_cert_sign" in wanted,
        crl_sign="crl_sign" in wanted,
        encipher_only="encipher_only" in wanted,
        decipher_only="decipher_only" in wanted,
    )


CLIENT_KEY_USAGE = key_usage("digital_signature")
CA_KEY_USAGE = key_usage("key_cert_sign", "crl_sign")


def mail(address: str) -> x509.GeneralName:
    """Return a subject alternative name of type rfc822Name."""
    return x509.RFC822Name(address)


def dns(name: str) -> x509.GeneralName:
    """Return a subject alternative name of type dNSName."""
    return x509.DNSName(name)


def uri(text: str) -> x509.GeneralName:
    """Return a subject alternative name of type uniformResourceIdentifier."""
    return x509.UniformResourceIdentifier(text)


def host(text: str) -> x509.GeneralName:
    """Return an iPAddress if the text is an address, else a dNSName."""
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def upn(text: str) -> x509.GeneralName:
    """Return Microsoft's user principal name: an otherName that holds a UTF8String."""
    return x509.OtherName(UPN_OID, der_element(0x0C, text.encode()))


def sid_extension(sid: str) -> x509.UnrecognizedExtension:
    """Return Microsoft's security identifier extension for a text such as `S-1-5-21-1-2-3-1104`.

    GeneralNames with one otherName whose value is an OCTET STRING of the text (MS-WCCE section 2.2.2.7.7.4).
    """
    value = der_element(0xA0, der_element(0x04, sid.encode()))
    return x509.UnrecognizedExtension(
        SID_EXTENSION_OID, der_element(0x30, der_element(0xA0, _SID_VALUE_OID + value))
    )


def der_element(tag: int, content: bytes) -> bytes:
    """Return a DER element with a one-byte tag."""
    length = len(content)
    if length < 128:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate with its private key; `chain` holds the intermediates above it, without the root."""

    certificate: x509.Certificate
    key: PrivateKey
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        """The certificate as DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> str:
        """The certificate alone, as PEM text."""
        return _pem(self.certificate)

    @property
    def bundle_pem(self) -> str:
        """The certificate and the intermediates above it, as `curl --cert` and web servers want it."""
        return self.pem + "".join(_pem(element) for element in self.chain)

    @property
    def key_pem(self) -> str:
        """The private key as unencrypted PKCS #8 PEM text."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCrl:
    """A revocation list as its issuer published it."""

    crl: x509.CertificateRevocationList

    @property
    def der(self) -> bytes:
        """The list as DER."""
        return self.crl.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> str:
        """The list as PEM text."""
        return self.crl.public_bytes(serialization.Encoding.PEM).decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certification authority: a root of `Authority.root`, or an issuing one of `issue_authority`.

    `now` is the reference instant (aware) from which default dates are counted; it is handed down.
    `chain` holds the intermediates from this authority (if it is one) upwards, without the root.
    """

    certificate: x509.Certificate
    key: PrivateKey
    now: datetime
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        """The authority's certificate as DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> str:
        """The authority's certificate as PEM text."""
        return _pem(self.certificate)

    @property
    def key_pem(self) -> str:
        """The authority's private key as unencrypted PKCS #8 PEM text."""
        return Issued(certificate=self.certificate, key=self.key).key_pem

    @classmethod
    def root(  # noqa: PLR0913 - each argument is one deviation that a case can ask for
        cls,
        subject: str | x509.Name = "CN=Renovations Root CA,O=Renovations",
        *,
        now: datetime,
        key: PrivateKey | KeyKind = KeyKind.P256,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        path_length: int | None = None,
        key_usage: x509.KeyUsage | None = CA_KEY_USAGE,
        serial: int | None = None,
        extensions: Sequence[CriticalExtension] = (),
        hash_algorithm: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None = None,
    ) -> "Authority":
        """Return a self-signed authority. Arguments as for `issue`; `path_length` None means unlimited."""
        signing_key = _key(key)
        certificate = _build(
            subject=_name(subject),
            issuer=_name(subject),
            public_key_of=signing_key,
            signing_key=signing_key,
            dates=(not_before or now - _BACKDATED, not_after or now + _AUTHORITY_LIFETIME),
            serial=serial,
            hash_algorithm=hash_algorithm,
            extensions=[
                (x509.BasicConstraints(ca=True, path_length=path_length), True),
                *_optional(key_usage, critical=True),
                (x509.SubjectKeyIdentifier.from_public_key(signing_key.public_key()), False),
                *extensions,
            ],
        )
        return cls(certificate=certificate, key=signing_key, now=now)

    @classmethod
    def from_pem(
        cls, certificate_pem: str, key_pem: str, *, now: datetime, chain_pem: str = ""
    ) -> "Authority":
        """Return an authority that was made earlier and kept in files.

        Raises:
            ValueError: a text is not PEM, the key is of a kind that this factory does not make, or it is not
                the certificate's key.

        """
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        key = serialization.load_pem_private_key(key_pem.encode(), password=None)
        if not isinstance(key, PrivateKey):
            raise ValueError("expected an RSA, ECDSA or EdDSA private key")  # noqa: TRY004 - the text is wrong, not the call
        if key.public_key() != certificate.public_key():
            raise ValueError("the private key is not the key of the certificate")
        chain = tuple(x509.load_pem_x509_certificates(chain_pem.encode())) if chain_pem else ()
        return cls(certificate=certificate, key=key, now=now, chain=chain)

    def issue(  # noqa: PLR0913 - each argument is one deviation that a case can ask for
        self,
        subject: str | x509.Name = "CN=Dave Lawson,O=Renovations",
        *,
        key: PrivateKey | KeyKind = KeyKind.P256,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        eku: Sequence[x509.ObjectIdentifier] | None = (CLIENT_AUTH,),
        key_usage: x509.KeyUsage | None = CLIENT_KEY_USAGE,
        san: Sequence[x509.GeneralName] = (),
        serial: int | None = None,
        basic_constraints: x509.BasicConstraints | None = None,
        subject_key_id: bool = True,
        authority_key_id: bool = True,
        issuer_name: str | x509.Name | None = None,
        signing_key: PrivateKey | None = None,
        hash_algorithm: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None = None,
        extensions: Sequence[CriticalExtension] = (),
    ) -> Issued:
        """Return an end-entity certificate that this authority signed.

        Args:
            subject: RFC 4514 text, leaf first, or a name.
            key: the subject's key, or the kind of a new one.
            not_before: default one day before `now`.
            not_after: default 365 days after `now`.
            eku: extended key usages; None leaves the extension out.
            key_usage: None leaves the extension out.
            san: subject alternative names; none leaves the extension out.
            serial: default random.
            basic_constraints: None leaves the extension out, which means "no CA".
            subject_key_id: whether the extension is there.
            authority_key_id: whether the extension is there (it always tells this authority's own key).
            issuer_name: another issuer name than this authority's subject.
            signing_key: another key than this authority's, for a signature that does not fit.
            hash_algorithm: None means SHA-256, for Ed25519 and Ed448 none.
            extensions: further ones, each with whether it is critical.

        """
        subject_key = _key(key)
        wanted: list[CriticalExtension] = [
            *_optional(basic_constraints, critical=True),
            *_optional(key_usage, critical=True),
            *_optional(x509.ExtendedKeyUsage(eku) if eku is not None else None, critical=False),
            *_optional(x509.SubjectAlternativeName(san) if san else None, critical=False),
            *self._key_identifiers(subject_key, subject=subject_key_id, authority=authority_key_id),
            *extensions,
        ]
        certificate = _build(
            subject=_name(subject),
            issuer=self.certificate.subject if issuer_name is None else _name(issuer_name),
            public_key_of=subject_key,
            signing_key=signing_key or self.key,
            dates=(not_before or self.now - _BACKDATED, not_after or self.now + _LEAF_LIFETIME),
            serial=serial,
            hash_algorithm=hash_algorithm,
            extensions=wanted,
        )
        return Issued(certificate=certificate, key=subject_key, chain=self.chain)

    def issue_server(
        self,
        *hosts: str,
        key: PrivateKey | KeyKind = KeyKind.P256,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Issued:
        """Return a certificate for a TLS server under these host names and addresses (default localhost).

        Other arguments as for `issue`.
        """
        names = hosts or ("localhost", "127.0.0.1", "::1")
        return self.issue(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]),
            key=key,
            not_before=not_before,
            not_after=not_after,
            eku=(SERVER_AUTH,),
            san=[host(name) for name in names],
        )

    def issue_authority(  # noqa: PLR0913 - each argument is one deviation that a case can ask for
        self,
        subject: str | x509.Name = "CN=Renovations Issuing CA,O=Renovations",
        *,
        key: PrivateKey | KeyKind = KeyKind.P256,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        path_length: int | None = 0,
        basic_constraints: bool = True,
        key_usage: x509.KeyUsage | None = CA_KEY_USAGE,
        serial: int | None = None,
        authority_key_id: bool = True,
        issuer_name: str | x509.Name | None = None,
        signing_key: PrivateKey | None = None,
        hash_algorithm: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None = None,
        extensions: Sequence[CriticalExtension] = (),
    ) -> "Authority":
        """Return an authority below this one. Arguments as for `issue`.

        `path_length` None means unlimited; `basic_constraints` False leaves the extension out.
        """
        subject_key = _key(key)
        wanted: list[CriticalExtension] = [
            *_optional(
                x509.BasicConstraints(ca=True, path_length=path_length) if basic_constraints else None,
                critical=True,
            ),
            *_optional(key_usage, critical=True),
            *self._key_identifiers(subject_key, subject=True, authority=authority_key_id),
            *extensions,
        ]
        certificate = _build(
            subject=_name(subject),
            issuer=self.certificate.subject if issuer_name is None else _name(issuer_name),
            public_key_of=subject_key,
            signing_key=signing_key or self.key,
            dates=(not_before or self.now - _BACKDATED, not_after or self.now + _AUTHORITY_LIFETIME),
            serial=serial,
            hash_algorithm=hash_algorithm,
            extensions=wanted,
        )
        return Authority(
            certificate=certificate, key=subject_key, now=self.now, chain=(certificate, *self.chain)
        )

    def crl(  # noqa: PLR0913 - each argument is one deviation that a case can ask for
        self,
        revoked: Iterable["Issued | Authority | int"] = (),
        *,
        this_update: datetime | None = None,
        next_update: datetime | None = None,
        revocation_date: datetime | None = None,
        reason: x509.ReasonFlags | None = None,
        number: int | None = 1,
        authority_key_id: bool = True,
        issuer_name: str | x509.Name | None = None,
        signing_key: PrivateKey | None = None,
        entry_extensions: Sequence[CriticalExtension] = (),
        extensions: Sequence[CriticalExtension] = (),
    ) -> IssuedCrl:
        """Return a revocation list that this authority signed.

        Args:
            revoked: certificates, authorities or bare serial numbers.
            this_update: default one hour before `now`.
            next_update: default seven days after `now`.
            revocation_date: default the list's this update.
            reason: of every entry; None leaves the entry extension out.
            number: None leaves the extension out.
            authority_key_id: whether the extension is there.
            issuer_name: another issuer name than this authority's subject.
            signing_key: another key than this authority's.
            entry_extensions: further ones of every entry.
            extensions: further ones of the list.

        """
        issued_at = this_update or self.now - _CRL_AGE
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject if issuer_name is None else _name(issuer_name))
            .last_update(issued_at)
            .next_update(next_update or self.now + _CRL_LIFETIME)
        )
        wanted: list[CriticalExtension] = [
            *_optional(x509.CRLNumber(number) if number is not None else None, critical=False),
            *self._key_identifiers(self.key, subject=False, authority=authority_key_id),
            *extensions,
        ]
        for extension, critical in wanted:
            builder = builder.add_extension(extension, critical)
        for element in revoked:
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(element if isinstance(element, int) else element.certificate.serial_number)
                .revocation_date(revocation_date or issued_at)
            )
            reason_extension = _optional(
                x509.CRLReason(reason) if reason is not None else None, critical=False
            )
            for extension, critical in (*reason_extension, *entry_extensions):
                entry = entry.add_extension(extension, critical)
            builder = builder.add_revoked_certificate(entry.build())
        key = signing_key or self.key
        return IssuedCrl(crl=builder.sign(key, _hash_for(key, None)))

    def _key_identifiers(
        self, subject_key: PrivateKey, *, subject: bool, authority: bool
    ) -> list[CriticalExtension]:
        wanted: list[CriticalExtension] = []
        if subject:
            wanted.append((x509.SubjectKeyIdentifier.from_public_key(subject_key.public_key()), False))
        if authority:
            wanted.append((x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False))
        return wanted


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _key(key: PrivateKey | KeyKind) -> PrivateKey:
    return generate_key(key) if isinstance(key, KeyKind) else key


def _name(name: str | x509.Name) -> x509.Name:
    return name_from_text(name) if isinstance(name, str) else name


def _optional(extension: x509.ExtensionType | None, *, critical: bool) -> list[CriticalExtension]:
    return [] if extension is None else [(extension, critical)]


def _hash_for(
    key: PrivateKey, wanted: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None
) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        return None
    return wanted or hashes.SHA256()


def _build(  # noqa: PLR0913 - the fields of a certificate
    *,
    subject: x509.Name,
    issuer: x509.Name,
    public_key_of: PrivateKey,
    signing_key: PrivateKey,
    dates: tuple[datetime, datetime],
    serial: int | None,
    hash_algorithm: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None,
    extensions: Sequence[CriticalExtension],
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key_of.public_key())
        .serial_number(x509.random_serial_number() if serial is None else serial)
        .not_valid_before(dates[0])
        .not_valid_after(dates[1])
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signing_key, _hash_for(signing_key, hash_algorithm))
