"""Signatures of certificates, revocation lists and OCSP responses: which algorithm, and whether a key made one.

Lives here: reading an AlgorithmIdentifier (RFC 5280 section 4.1.1.2, RFC 4055, RFC 5758, RFC 8410) and checking
a signature over octets, or over the digest of octets that were hashed elsewhere. Not here: whether an algorithm or
a key is good enough (`profile.py`), and how many checks somebody may cause (`path_building.py`).

Invariants: the octets are checked as they stand, never encoded anew. An algorithm that is not known, whose
parameters are not the ones that its standard allows, or that does not fit the key, signs nothing: the answer is
"no", never an exception.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from directory_assistance.der import (
    BIT_STRING,
    INTEGER,
    OBJECT_IDENTIFIER,
    SEQUENCE,
    DerSyntaxError,
    Element,
    Fields,
    read_element,
    read_integer,
    read_object_identifier,
    read_octets_of_bits,
)

__all__ = [
    "MODERN_HASHES",
    "SignatureAlgorithm",
    "SignatureScheme",
    "inherit_dsa_parameters",
    "is_digest_signed_with",
    "is_signed_with",
    "needs_dsa_parameters",
    "read_signature_algorithm",
]

MODERN_HASHES: Final = frozenset({"sha256", "sha384", "sha512"})
"""Hash functions of the client profile: SHA-2 of 256 bits or more (semantics section 8)."""


class SignatureScheme(StrEnum):
    """How a signature is made."""

    RSA = "RSA"
    RSA_PSS = "RSA-PSS"
    ECDSA = "ECDSA"
    DSA = "DSA"
    ED25519 = "Ed25519"
    ED448 = "Ed448"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureAlgorithm:
    """A known algorithm: dotted type, scheme, name of the hash function (empty for EdDSA), octets of salt (PSS)."""

    oid: str
    scheme: SignatureScheme
    hash_name: str
    salt_length: int = 0

    @property
    def is_modern(self) -> bool:
        """Whether the hash function is one of the client profile; EdDSA has its own."""
        return self.hash_name in MODERN_HASHES or self.hashes_itself

    @property
    def hashes_itself(self) -> bool:
        """Whether the whole text is needed to check a signature, because no digest can stand for it (EdDSA)."""
        return not self.hash_name

    def digest(self, signed: bytes | memoryview) -> bytes:
        """Return the digest that `is_digest_signed_with` takes; for EdDSA the octets themselves."""
        if self.hashes_itself:
            return bytes(signed)
        return hashlib.new(self.hash_name, signed, usedforsecurity=False).digest()

    def __str__(self) -> str:
        """Print as `ECDSA with sha256 (1.2.840.10045.4.3.2)`."""
        with_hash = f" with {self.hash_name}" if self.hash_name else ""
        return f"{self.scheme.value}{with_hash} ({self.oid})"


_HASHES: Final = MappingProxyType(
    {
        "md5": hashes.MD5(),  # noqa: S303 - this and SHA-1 are known so that "weak" is told from "untrusted";
        "sha1": hashes.SHA1(),  # noqa: S303 - the client profile refuses both
        "sha224": hashes.SHA224(),
        "sha256": hashes.SHA256(),
        "sha384": hashes.SHA384(),
        "sha512": hashes.SHA512(),
    }
)

_HASH_TYPES: Final = MappingProxyType(
    {
        "1.3.14.3.2.26": "sha1",
        "2.16.840.1.101.3.4.2.1": "sha256",
        "2.16.840.1.101.3.4.2.2": "sha384",
        "2.16.840.1.101.3.4.2.3": "sha512",
        "2.16.840.1.101.3.4.2.4": "sha224",
    }
)

_PLAIN_TYPES: Final = MappingProxyType(
    {
        "1.2.840.113549.1.1.4": (SignatureScheme.RSA, "md5"),
        "1.2.840.113549.1.1.5": (SignatureScheme.RSA, "sha1"),
        "1.2.840.113549.1.1.14": (SignatureScheme.RSA, "sha224"),
        "1.2.840.113549.1.1.11": (SignatureScheme.RSA, "sha256"),
        "1.2.840.113549.1.1.12": (SignatureScheme.RSA, "sha384"),
        "1.2.840.113549.1.1.13": (SignatureScheme.RSA, "sha512"),
        "1.2.840.10045.4.1": (SignatureScheme.ECDSA, "sha1"),
        "1.2.840.10045.4.3.1": (SignatureScheme.ECDSA, "sha224"),
        "1.2.840.10045.4.3.2": (SignatureScheme.ECDSA, "sha256"),
        "1.2.840.10045.4.3.3": (SignatureScheme.ECDSA, "sha384"),
        "1.2.840.10045.4.3.4": (SignatureScheme.ECDSA, "sha512"),
        "1.2.840.10040.4.3": (SignatureScheme.DSA, "sha1"),
        "2.16.840.1.101.3.4.3.1": (SignatureScheme.DSA, "sha224"),
        "2.16.840.1.101.3.4.3.2": (SignatureScheme.DSA, "sha256"),
        "1.3.101.112": (SignatureScheme.ED25519, ""),
        "1.3.101.113": (SignatureScheme.ED448, ""),
    }
)

_PSS_TYPE: Final = "1.2.840.113549.1.1.10"
_MGF1_TYPE: Final = "1.2.840.113549.1.1.8"
_DSA_KEY_TYPE: Final = "1.2.840.10040.4.1"
_NULL: Final = b"\x05\x00"

_MOST_SALT: Final = 512
"""Octets of a PSS salt: more than fits into the largest RSA key that is accepted."""


def read_signature_algorithm(der: bytes) -> SignatureAlgorithm | None:
    """Read an AlgorithmIdentifier of a signature.

    Args:
        der: the whole SEQUENCE.

    Returns:
        The algorithm; None where it is unknown, or has parameters other than its standard allows (RSA: NULL or
        none, RFC 4055 section 5; ECDSA, DSA and EdDSA: none).

    """
    try:
        fields = Fields(read_element(der, SEQUENCE).content)
        oid = read_object_identifier(fields.take(OBJECT_IDENTIFIER).content)
        if oid == _PSS_TYPE:
            parameters = fields.take(SEQUENCE)
            fields.finish()
            return _read_pss(parameters)
        known = _PLAIN_TYPES.get(oid)
        if known is None:
            return None
        scheme, hash_name = known
        if scheme is SignatureScheme.RSA:
            null = fields.take_optional(_NULL[0])
            if null is not None and null.encoded != _NULL:
                return None
        fields.finish()
    except DerSyntaxError:
        return None
    return SignatureAlgorithm(oid=oid, scheme=scheme, hash_name=hash_name)


def _read_pss(parameters: Element) -> SignatureAlgorithm | None:
    """Read RSASSA-PSS-params (RFC 4055 section 3.1); the mask must be made with the same hash function."""
    fields = Fields(parameters.content)
    hash_field, mask_field = fields.take_optional(0xA0), fields.take_optional(0xA1)
    salt_field, trailer_field = fields.take_optional(0xA2), fields.take_optional(0xA3)
    fields.finish()
    hash_name = "sha1" if hash_field is None else _read_hash(hash_field.content)
    mask_name: str | None = "sha1"
    if mask_field is not None:
        mask = Fields(read_element(mask_field.content, SEQUENCE).content)
        mask_type = read_object_identifier(mask.take(OBJECT_IDENTIFIER).content)
        mask_name = _read_hash(mask.take(SEQUENCE).encoded) if mask_type == _MGF1_TYPE else None
        mask.finish()
    salt = 20 if salt_field is None else read_integer(read_element(salt_field.content, INTEGER).content)
    trailer = (
        1 if trailer_field is None else read_integer(read_element(trailer_field.content, INTEGER).content)
    )
    if hash_name is None or mask_name != hash_name or trailer != 1 or not 0 <= salt <= _MOST_SALT:
        return None
    return SignatureAlgorithm(
        oid=_PSS_TYPE, scheme=SignatureScheme.RSA_PSS, hash_name=hash_name, salt_length=salt
    )


def _read_hash(der: bytes) -> str | None:
    fields = Fields(read_element(der, SEQUENCE).content)
    oid = read_object_identifier(fields.take(OBJECT_IDENTIFIER).content)
    null = fields.take_optional(_NULL[0])
    fields.finish()
    return _HASH_TYPES.get(oid) if null is None or null.encoded == _NULL else None


def is_signed_with(
    key: PublicKeyTypes, algorithm: SignatureAlgorithm, *, signature: bytes, signed: bytes
) -> bool:
    """Whether the private part of a key made a signature over octets."""
    if algorithm.hashes_itself:
        return is_digest_signed_with(key, algorithm, signature=signature, digest=signed)
    return is_digest_signed_with(key, algorithm, signature=signature, digest=algorithm.digest(signed))


def is_digest_signed_with(
    key: PublicKeyTypes, algorithm: SignatureAlgorithm, *, signature: bytes, digest: bytes
) -> bool:
    """Whether the private part of a key made a signature over what `algorithm.digest` gave.

    The kind of key must be the scheme's; a signature that cannot be read is none.
    """
    try:
        _check(key, algorithm, signature, digest)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        # The library's ways to say no: a wrong signature; a curve or hash it does not do; a signature that
        # does not fit the key's size.
        return False
    return True


def _check(key: PublicKeyTypes, algorithm: SignatureAlgorithm, signature: bytes, digest: bytes) -> None:
    """Check; raises where it does not hold."""
    scheme = algorithm.scheme
    if scheme is SignatureScheme.ED25519 and isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, digest)
        return
    if scheme is SignatureScheme.ED448 and isinstance(key, ed448.Ed448PublicKey):
        key.verify(signature, digest)
        return
    if algorithm.hashes_itself:
        raise InvalidSignature
    hash_function = _HASHES[algorithm.hash_name]
    hashed = utils.Prehashed(hash_function)
    if scheme is SignatureScheme.ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, digest, ec.ECDSA(hashed))
    elif scheme is SignatureScheme.RSA and isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, digest, padding.PKCS1v15(), hashed)
    elif scheme is SignatureScheme.RSA_PSS and isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, digest, padding.PSS(padding.MGF1(hash_function), algorithm.salt_length), hashed)
    elif scheme is SignatureScheme.DSA and isinstance(key, dsa.DSAPublicKey):
        key.verify(signature, digest, hashed)
    else:
        raise InvalidSignature


def needs_dsa_parameters(public_key_info: bytes) -> bool:
    """Whether a SubjectPublicKeyInfo is a DSA key that has its issuer's parameters (RFC 3279 section 2.3.2)."""
    try:
        return _read_bare_dsa_key(public_key_info) is not None
    except DerSyntaxError:
        return False


def inherit_dsa_parameters(public_key_info: bytes, issuer_key: PublicKeyTypes) -> PublicKeyTypes | None:
    """Return a key without parameters of its own with those of its issuer; None where either is not of that kind."""
    if not isinstance(issuer_key, dsa.DSAPublicKey) or not needs_dsa_parameters(public_key_info):
        return None
    y = _read_bare_dsa_key(public_key_info)
    assert y is not None
    try:
        return dsa.DSAPublicNumbers(y, issuer_key.parameters().parameter_numbers()).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _read_bare_dsa_key(public_key_info: bytes) -> int | None:
    fields = Fields(read_element(public_key_info, SEQUENCE).content)
    algorithm = Fields(fields.take(SEQUENCE).content)
    oid = read_object_identifier(algorithm.take(OBJECT_IDENTIFIER).content)
    if oid != _DSA_KEY_TYPE or algorithm.take_optional(SEQUENCE) is not None:
        return None
    key = read_octets_of_bits(fields.take(BIT_STRING).content)
    return read_integer(read_element(key, INTEGER).content)
