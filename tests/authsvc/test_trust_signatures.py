"""Signatures: which algorithm identifiers are known, and that a signature holds for one key, scheme, hash and text."""

import hashlib
from collections.abc import Callable, Mapping

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from hypothesis import given, settings
from hypothesis import strategies as st

from authsvc.trust.signatures import (
    SignatureAlgorithm,
    SignatureScheme,
    inherit_dsa_parameters,
    is_digest_signed_with,
    is_signed_with,
    needs_dsa_parameters,
    read_signature_algorithm,
)
from directory_assistance.der import BIT_STRING, INTEGER, SEQUENCE, read_element, read_elements
from tests.support.constraints import object_identifier
from tests.support.pki import der_element

TEXT = b"what is signed"
NULL = b"\x05\x00"
SHA1, SHA256, SHA512 = "1.3.14.3.2.26", "2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.3"
MGF1 = "1.2.840.113549.1.1.8"
PSS = "1.2.840.113549.1.1.10"


def identifier(oid: str, parameters: bytes = b"") -> bytes:
    return der_element(SEQUENCE, object_identifier(oid) + parameters)


def number(value: int) -> bytes:
    return der_element(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def pss(
    hash_type: str | None = SHA256,
    mask_hash: str | None = SHA256,
    salt: int | None = 32,
    *,
    mask_type: str = MGF1,
    trailer: int | None = None,
    further: bytes = b"",
) -> bytes:
    """Return the identifier of RSASSA-PSS; None leaves a parameter to its default."""
    content = b"" if hash_type is None else der_element(0xA0, identifier(hash_type, NULL))
    if mask_hash is not None:
        content += der_element(0xA1, identifier(mask_type, identifier(mask_hash, NULL)))
    content += b"" if salt is None else der_element(0xA2, number(salt))
    content += b"" if trailer is None else der_element(0xA3, number(trailer))
    return identifier(PSS, der_element(SEQUENCE, content + further))


# ---------------------------------------------------------------------------------------------- identifiers


@pytest.mark.parametrize(
    ("der", "printed"),
    [
        (identifier("1.2.840.113549.1.1.4", NULL), "RSA with md5 (1.2.840.113549.1.1.4)"),
        (identifier("1.2.840.113549.1.1.5", NULL), "RSA with sha1 (1.2.840.113549.1.1.5)"),
        (identifier("1.2.840.113549.1.1.14", NULL), "RSA with sha224 (1.2.840.113549.1.1.14)"),
        (identifier("1.2.840.113549.1.1.11", NULL), "RSA with sha256 (1.2.840.113549.1.1.11)"),
        (identifier("1.2.840.113549.1.1.11"), "RSA with sha256 (1.2.840.113549.1.1.11)"),
        (identifier("1.2.840.113549.1.1.12", NULL), "RSA with sha384 (1.2.840.113549.1.1.12)"),
        (identifier("1.2.840.113549.1.1.13", NULL), "RSA with sha512 (1.2.840.113549.1.1.13)"),
        (identifier("1.2.840.10045.4.1"), "ECDSA with sha1 (1.2.840.10045.4.1)"),
        (identifier("1.2.840.10045.4.3.1"), "ECDSA with sha224 (1.2.840.10045.4.3.1)"),
        (identifier("1.2.840.10045.4.3.2"), "ECDSA with sha256 (1.2.840.10045.4.3.2)"),
        (identifier("1.2.840.10045.4.3.3"), "ECDSA with sha384 (1.2.840.10045.4.3.3)"),
        (identifier("1.2.840.10045.4.3.4"), "ECDSA with sha512 (1.2.840.10045.4.3.4)"),
        (identifier("1.2.840.10040.4.3"), "DSA with sha1 (1.2.840.10040.4.3)"),
        (identifier("2.16.840.1.101.3.4.3.1"), "DSA with sha224 (2.16.840.1.101.3.4.3.1)"),
        (identifier("2.16.840.1.101.3.4.3.2"), "DSA with sha256 (2.16.840.1.101.3.4.3.2)"),
        (identifier("1.3.101.112"), "Ed25519 (1.3.101.112)"),
        (identifier("1.3.101.113"), "Ed448 (1.3.101.113)"),
        (pss(), f"RSA-PSS with sha256 ({PSS})"),
        (pss(None, None, None), f"RSA-PSS with sha1 ({PSS})"),
        (pss(SHA512, SHA512, 64, trailer=1), f"RSA-PSS with sha512 ({PSS})"),
    ],
)
def test_known_algorithms_are_told_by_type_and_parameters(der: bytes, printed: str) -> None:
    algorithm = read_signature_algorithm(der)
    assert algorithm is not None
    assert str(algorithm) == printed
    weak = any(name in printed for name in ("md5", "sha1 ", "sha224"))
    assert algorithm.is_modern != weak
    assert algorithm.hashes_itself == printed.startswith("Ed")


def test_the_salt_of_pss_is_read() -> None:
    salts = {length: read_signature_algorithm(pss(salt=length)) for length in (0, 20, 512)}
    assert [known.salt_length for known in salts.values() if known is not None] == [0, 20, 512]
    default = read_signature_algorithm(pss(salt=None))
    assert default is not None
    assert default.salt_length == 20


@pytest.mark.parametrize(
    "der",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x30\x00", id="no type"),
        pytest.param(identifier("1.2.3.4"), id="an unknown type"),
        pytest.param(identifier("1.2.840.113549.1.1.2", NULL), id="MD2"),
        pytest.param(identifier("1.2.840.113549.1.1.1", NULL), id="RSA without a hash"),
        pytest.param(
            identifier("1.2.840.113549.1.1.11", b"\x05\x01\x00"), id="RSA with a NULL that is not empty"
        ),
        pytest.param(identifier("1.2.840.113549.1.1.11", b"\x30\x00"), id="RSA with other parameters"),
        pytest.param(identifier("1.2.840.113549.1.1.11", NULL + NULL), id="RSA with NULL twice"),
        pytest.param(identifier("1.2.840.10045.4.3.2", NULL), id="ECDSA with NULL"),
        pytest.param(identifier("1.2.840.10040.4.3", NULL), id="DSA with NULL"),
        pytest.param(identifier("1.3.101.112", NULL), id="Ed25519 with NULL"),
        pytest.param(identifier("1.3.101.112") + b"\x00", id="octets left over"),
        pytest.param(identifier(PSS), id="PSS without parameters"),
        pytest.param(identifier(PSS, NULL), id="PSS with NULL"),
        pytest.param(identifier(PSS, b"\x30\x00\x05\x00"), id="PSS with more than parameters"),
        pytest.param(pss("1.2.3"), id="PSS with an unknown hash"),
        pytest.param(pss(SHA256, SHA512), id="PSS with two hashes"),
        pytest.param(pss(SHA256, None), id="PSS whose mask has another hash by default"),
        pytest.param(pss(None, SHA256), id="PSS whose hash is another by default"),
        pytest.param(pss(mask_type="1.2.3"), id="PSS with an unknown mask"),
        pytest.param(pss("1.2.3", "1.2.4"), id="PSS with two unknown hashes"),
        pytest.param(pss(salt=-1), id="PSS with a negative salt"),
        pytest.param(pss(salt=513), id="PSS with more salt than any key has room for"),
        pytest.param(pss(trailer=2), id="PSS with another trailer"),
        pytest.param(pss(further=NULL), id="PSS with a parameter too many"),
        pytest.param(
            identifier(PSS, der_element(SEQUENCE, der_element(0xA0, identifier(SHA1, b"\x30\x00")))),
            id="PSS with parameters of its hash",
        ),
        pytest.param(
            identifier(PSS, der_element(SEQUENCE, der_element(0xA0, identifier(SHA1, b"\x05\x01\x00")))),
            id="PSS with a NULL of its hash that is not empty",
        ),
        pytest.param(
            identifier(
                PSS, der_element(SEQUENCE, der_element(0xA1, identifier(MGF1, identifier(SHA1) + NULL)))
            ),
            id="PSS with a mask of more than a hash",
        ),
    ],
)
def test_t17_an_algorithm_that_its_standard_does_not_allow_is_none(der: bytes) -> None:
    assert read_signature_algorithm(der) is None


@settings(max_examples=300, deadline=None)
@given(der=st.binary(max_size=60) | st.binary(max_size=60).map(lambda body: identifier(PSS, body)))
def test_any_octets_are_an_algorithm_or_none(der: bytes) -> None:
    assert read_signature_algorithm(der) is None or isinstance(
        read_signature_algorithm(der), SignatureAlgorithm
    )
    assert isinstance(needs_dsa_parameters(der), bool)


# ----------------------------------------------------------------------------------------------- signatures

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - quick, for tests
RSA_OTHER = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - as above
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED25519_KEY = ed25519.Ed25519PrivateKey.generate()
ED448_KEY = ed448.Ed448PrivateKey.generate()
DSA_KEY = dsa.generate_private_key(1024)  # noqa: S505 - as above


def _known(der: bytes) -> SignatureAlgorithm:
    algorithm = read_signature_algorithm(der)
    assert algorithm is not None
    return algorithm


ALGORITHMS: Mapping[str, SignatureAlgorithm] = {
    "RSA": _known(identifier("1.2.840.113549.1.1.11", NULL)),
    "RSA-PSS": _known(pss()),
    "ECDSA": _known(identifier("1.2.840.10045.4.3.2")),
    "DSA": _known(identifier("2.16.840.1.101.3.4.3.2")),
    "Ed25519": _known(identifier("1.3.101.112")),
    "Ed448": _known(identifier("1.3.101.113")),
}
KEYS: Mapping[str, PublicKeyTypes] = {
    "RSA": RSA_KEY.public_key(),
    "RSA-PSS": RSA_KEY.public_key(),
    "ECDSA": EC_KEY.public_key(),
    "DSA": DSA_KEY.public_key(),
    "Ed25519": ED25519_KEY.public_key(),
    "Ed448": ED448_KEY.public_key(),
}
OTHER_KEYS: Mapping[str, PublicKeyTypes] = {
    "RSA": RSA_OTHER.public_key(),
    "RSA-PSS": RSA_OTHER.public_key(),
    "ECDSA": ec.generate_private_key(ec.SECP256R1()).public_key(),
    "DSA": DSA_KEY.parameters().generate_private_key().public_key(),
    "Ed25519": ed25519.Ed25519PrivateKey.generate().public_key(),
    "Ed448": ed448.Ed448PrivateKey.generate().public_key(),
}
SIGN: Mapping[str, Callable[[bytes], bytes]] = {
    "RSA": lambda text: RSA_KEY.sign(text, padding.PKCS1v15(), hashes.SHA256()),
    "RSA-PSS": lambda text: RSA_KEY.sign(
        text, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()
    ),
    "ECDSA": lambda text: EC_KEY.sign(text, ec.ECDSA(hashes.SHA256())),
    "DSA": lambda text: DSA_KEY.sign(text, hashes.SHA256()),
    "Ed25519": ED25519_KEY.sign,
    "Ed448": ED448_KEY.sign,
}


@pytest.mark.parametrize("scheme", sorted(SIGN))
def test_a_signature_holds_for_its_key_scheme_and_text_alone(scheme: str) -> None:
    algorithm, signature = ALGORITHMS[scheme], SIGN[scheme](TEXT)
    assert is_signed_with(KEYS[scheme], algorithm, signature=signature, signed=TEXT)
    assert is_digest_signed_with(KEYS[scheme], algorithm, signature=signature, digest=algorithm.digest(TEXT))
    assert not is_signed_with(KEYS[scheme], algorithm, signature=signature, signed=TEXT + b"!")
    assert not is_signed_with(OTHER_KEYS[scheme], algorithm, signature=signature, signed=TEXT)
    for spoiled in (
        b"",
        signature[:-1],
        signature + b"\x00",
        bytes(len(signature)),
        b"\xff" * len(signature),
    ):
        assert not is_signed_with(KEYS[scheme], algorithm, signature=spoiled, signed=TEXT)
    for other in sorted(SIGN):
        if other != scheme:
            assert not is_signed_with(KEYS[scheme], ALGORITHMS[other], signature=signature, signed=TEXT)
            assert not is_signed_with(KEYS[other], ALGORITHMS[other], signature=signature, signed=TEXT)
            if KEYS[other] is not KEYS[scheme] and other != "RSA" and not other.startswith("RSA"):
                assert not is_signed_with(KEYS[other], algorithm, signature=signature, signed=TEXT)


def test_the_digest_of_a_text_is_its_hash_and_for_edwards_curves_the_text() -> None:
    assert ALGORITHMS["RSA"].digest(memoryview(TEXT)) == hashlib.sha256(TEXT).digest()
    assert ALGORITHMS["Ed25519"].digest(memoryview(TEXT)) == TEXT
    for digest in (b"", TEXT, hashlib.sha512(TEXT).digest()):  # of another length than the hash function has
        assert not is_digest_signed_with(
            KEYS["RSA"], ALGORITHMS["RSA"], signature=SIGN["RSA"](TEXT), digest=digest
        )


@pytest.mark.parametrize("salt", [0, 31, 33, 512])
def test_another_length_of_salt_is_another_signature(salt: int) -> None:
    algorithm = _known(pss(salt=salt))
    assert not is_signed_with(KEYS["RSA"], algorithm, signature=SIGN["RSA-PSS"](TEXT), signed=TEXT)


def test_another_hash_function_is_another_signature() -> None:
    algorithm = _known(identifier("1.2.840.113549.1.1.13", NULL))
    assert not is_signed_with(KEYS["RSA"], algorithm, signature=SIGN["RSA"](TEXT), signed=TEXT)


def test_t17_an_ecdsa_signature_has_one_encoding() -> None:
    first, second = read_elements(read_element(SIGN["ECDSA"](TEXT), SEQUENCE).content)
    padded = der_element(INTEGER, b"\x00" + first.content)
    for content in (padded + second.encoded, first.encoded + second.encoded + NULL, first.encoded):
        signature = der_element(SEQUENCE, content)
        assert not is_signed_with(KEYS["ECDSA"], ALGORITHMS["ECDSA"], signature=signature, signed=TEXT)


# ----------------------------------------------------------------------------------- keys that inherit (DSA)


def spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def bare(key: dsa.DSAPublicKey, parameters: bytes = b"", *, oid: str = "1.2.840.10040.4.1") -> bytes:
    """Return SubjectPublicKeyInfo of a DSA key without its parameters."""
    bits = der_element(BIT_STRING, b"\x00" + number(key.public_numbers().y))
    return der_element(SEQUENCE, identifier(oid, parameters) + bits)


def test_a_key_without_parameters_has_those_of_its_issuer() -> None:
    key = DSA_KEY.public_key()
    other = DSA_KEY.parameters().generate_private_key().public_key()
    inherited = inherit_dsa_parameters(bare(key), other)
    assert inherited == key
    assert inherited is not None
    assert is_signed_with(inherited, ALGORITHMS["DSA"], signature=SIGN["DSA"](TEXT), signed=TEXT)


@pytest.mark.parametrize(
    ("key_info", "needs"),
    [
        pytest.param(bare(DSA_KEY.public_key()), True, id="a DSA key without parameters"),
        pytest.param(spki(DSA_KEY.public_key()), False, id="a DSA key with parameters"),
        pytest.param(bare(DSA_KEY.public_key(), oid="1.2.840.113549.1.1.1"), False, id="another kind of key"),
        pytest.param(spki(EC_KEY.public_key()), False, id="an ECDSA key"),
        pytest.param(b"", False, id="nothing"),
        pytest.param(der_element(SEQUENCE, identifier("1.2.840.10040.4.1")), False, id="no key"),
        pytest.param(
            der_element(SEQUENCE, identifier("1.2.840.10040.4.1") + b"\x03\x03\x01\x02\x00"),
            False,
            id="unused bits",
        ),
    ],
)
def test_only_a_dsa_key_without_parameters_inherits(key_info: bytes, needs: bool) -> None:
    assert needs_dsa_parameters(key_info) == needs
    assert (inherit_dsa_parameters(key_info, DSA_KEY.public_key()) is not None) == needs


def test_parameters_come_from_a_dsa_key_and_fit() -> None:
    key_info = bare(DSA_KEY.public_key())
    assert inherit_dsa_parameters(key_info, EC_KEY.public_key()) is None
    # The library reads a modulus of 1,000 bits, but makes no key with one.
    p, q, g = (1 << 999) + 1, (1 << 159) + 1, 2
    parameters = der_element(SEQUENCE, number(p) + number(q) + number(g))
    odd = serialization.load_der_public_key(bare(DSA_KEY.public_key(), parameters))
    assert isinstance(odd, dsa.DSAPublicKey)
    assert inherit_dsa_parameters(key_info, odd) is None


def test_the_names_of_schemes_are_those_of_messages() -> None:
    assert [scheme.value for scheme in SignatureScheme] == [
        "RSA",
        "RSA-PSS",
        "ECDSA",
        "DSA",
        "Ed25519",
        "Ed448",
    ]
