"""The certificate factory for tests: `authsvc.sample_world.pki`, a fixed instant, and a small world.

What the builder of `cryptography` refuses to make (SHA-1, odd fields) is patched here by `resigned`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from authsvc.sample_world.pki import (
    CA_KEY_USAGE,
    CLIENT_AUTH,
    CLIENT_KEY_USAGE,
    SERVER_AUTH,
    SID_EXTENSION_OID,
    UPN_OID,
    Authority,
    Issued,
    IssuedCrl,
    KeyKind,
    PrivateKey,
    der_element,
    dns,
    generate_key,
    host,
    key_usage,
    mail,
    name_from_text,
    sid_extension,
    upn,
    uri,
)
from directory_assistance.der import SEQUENCE, read_element, read_elements

__all__ = [
    "BEGIN",
    "CA_KEY_USAGE",
    "CLIENT_AUTH",
    "CLIENT_KEY_USAGE",
    "END",
    "NOW",
    "SERVER_AUTH",
    "SID_EXTENSION_OID",
    "UPN_OID",
    "Authority",
    "Issued",
    "IssuedCrl",
    "KeyKind",
    "PrivateKey",
    "SmallWorld",
    "der_element",
    "dns",
    "generate_key",
    "host",
    "key_usage",
    "mail",
    "name_from_text",
    "resigned",
    "sid_extension",
    "small_world",
    "unchanged",
    "upn",
    "uri",
]

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
"""The instant at which tests happen."""

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
END = datetime(2120, 1, 1, tzinfo=UTC)
"""Dates of what takes part in a real TLS handshake: that is checked by the clock of the machine, not at `NOW`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallWorld:
    """A root, an issuing authority below it, and Dave Lawson's correct certificate."""

    root: Authority
    issuing: Authority
    dave: Issued


def small_world(now: datetime = NOW) -> SmallWorld:
    """Return a new small world, correct in everything."""
    root = Authority.root(now=now)
    issuing = root.issue_authority()
    return SmallWorld(root=root, issuing=issuing, dave=issuing.issue())


_BIT_STRING = 0x03

_ECDSA_ALGORITHMS: dict[type[hashes.HashAlgorithm], bytes] = {
    hashes.SHA1: bytes.fromhex("300906072a8648ce3d0401"),
    hashes.SHA224: bytes.fromhex("300a06082a8648ce3d040301"),
    hashes.SHA256: bytes.fromhex("300a06082a8648ce3d040302"),
}
"""AlgorithmIdentifier of ECDSA with each hash (RFC 5758)."""


def unchanged(fields: list[bytes]) -> list[bytes]:
    """Return the fields of a signed part as they are."""
    return fields


def resigned(
    der: bytes,
    key: PrivateKey,
    *,
    edit: Callable[[list[bytes]], list[bytes]] = unchanged,
    hash_algorithm: hashes.SHA1 | hashes.SHA224 | hashes.SHA256 | None = None,
) -> bytes:
    """Return a certificate or list, edited and signed again, where the builder would refuse.

    Args:
        der: the certificate or list to start from.
        key: an ECDSA key.
        edit: maps the encoded fields of the signed part to others.
        hash_algorithm: of the new signature; None means SHA-256.

    """
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    chosen = hash_algorithm or hashes.SHA256()
    algorithm = _ECDSA_ALGORITHMS[type(chosen)]
    signed = read_elements(read_element(der, SEQUENCE).content)[0]
    fields = [field.encoded for field in read_elements(signed.content)]
    # the first SEQUENCE of a signed part is its signature algorithm
    position = next(index for index, field in enumerate(fields) if field[0] == SEQUENCE)
    fields[position] = algorithm
    content = der_element(SEQUENCE, b"".join(edit(fields)))
    signature = der_element(_BIT_STRING, b"\x00" + key.sign(content, ec.ECDSA(chosen)))
    return der_element(SEQUENCE, content + algorithm + signature)
