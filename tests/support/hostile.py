"""Pools of certificates that somebody made to be expensive, as batch cases, each with a harmless neighbour.

What lives here: making them. What does not: how long they may take (`tests/authsvc/test_hostile_pools.py`). The anchor
is always reachable by name, so that nothing ends early for that; what is asked for is never there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from directory_assistance.der import SEQUENCE, read_element, read_elements
from tests.support.batch import BatchCase, batch_case
from tests.support.chains import policy_mappings
from tests.support.pki import (
    CLIENT_KEY_USAGE,
    NOW,
    Authority,
    Issued,
    KeyKind,
    PrivateKey,
    der_element,
    dns,
    generate_key,
    key_usage,
    mail,
    name_from_text,
)

__all__ = ["HOSTILE", "HostilePool"]

_SHA256_WITH_RSA = bytes.fromhex("300d06092a864886f70d01010b0500")

CriticalExtension = tuple[x509.ExtensionType, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostilePool:
    """A case that must be refused, and one of the same kind that is modest and in order."""

    refused: BatchCase
    allowed: BatchCase


@cache
def _keys() -> tuple[PrivateKey, ...]:
    return tuple(generate_key() for _ in range(12))


def _root(subject: str = "CN=Root") -> Authority:
    return Authority.root(subject, now=NOW, key=_keys()[0])


def _authority(
    issuer: Authority, subject: str, key: int, *, extensions: Sequence[CriticalExtension] = ()
) -> Authority:
    return issuer.issue_authority(subject, key=_keys()[key], path_length=None, extensions=extensions)


def _cross_signs(
    subjects: Sequence[str], *, keys: Sequence[int], ends_at_anchor: bool
) -> tuple[list[Authority], Issued]:
    """Return authorities of which each certifies each, and a certificate of the first.

    With `ends_at_anchor` the root certifies the last of them too.
    """
    selves = [
        Authority.root(subject, now=NOW, key=_keys()[key])
        for subject, key in zip(subjects, keys, strict=True)
    ]
    pool = [
        _authority(above, subject, key)
        for above in selves
        for subject, key in zip(subjects, keys, strict=True)
    ]
    if ends_at_anchor:
        pool.append(_authority(_root(), subjects[-1], keys[-1]))
    return pool, selves[0].issue(key=_keys()[11])


def a_cycle_of_cross_signs() -> HostilePool:
    """Ten authorities certify one another; the anchor has the name of one of them, and another key."""
    names = [f"CN=CA {number}" for number in range(10)]
    pool, leaf = _cross_signs(names, keys=range(1, 11), ends_at_anchor=False)
    small, other = _cross_signs(names[:3], keys=(1, 2, 3), ends_at_anchor=True)
    return HostilePool(
        refused=batch_case(leaf, [_root(names[5])], intermediates=pool),
        allowed=batch_case(other, [_root()], intermediates=small),
    )


def ten_times_ten_of_one_name() -> HostilePool:
    """Ten keys of one name certify one another, a hundred certificates; the anchor has the name, and another key."""
    pool, leaf = _cross_signs(["CN=CA"] * 10, keys=range(1, 11), ends_at_anchor=False)
    small, other = _cross_signs(["CN=CA"] * 3, keys=(1, 2, 3), ends_at_anchor=True)
    return HostilePool(
        refused=batch_case(leaf, [_root("CN=CA")], intermediates=pool),
        allowed=batch_case(other, [_root()], intermediates=small),
    )


def ten_levels_of_ten() -> HostilePool:
    """Ten levels of ten authorities of one name and one key each: 10^10 ways up, none of which ends at the anchor."""

    def levels(depth: int, width: int) -> list[Authority]:
        return [
            _authority(
                Authority.root(f"CN=Level {level + 1}", now=NOW, key=_keys()[level % 9 + 2]),
                f"CN=Level {level}",
                (level - 1) % 9 + 2,
            )
            for level in range(1, depth)
            for _ in range(width)
        ]

    leaf = Authority.root("CN=Level 1", now=NOW, key=_keys()[2]).issue()
    top = _authority(_root(), "CN=Level 3", 4)
    return HostilePool(
        refused=batch_case(leaf, [_root("CN=Level 10")], intermediates=levels(10, 10)),
        allowed=batch_case(leaf, [_root()], intermediates=[*levels(3, 2), top]),
    )


def a_hundred_anchors_of_one_name() -> HostilePool:
    """A hundred anchors of one name, none of which issued the certificate."""
    anchors = [
        Authority.root("CN=CA", now=NOW, key=_keys()[number % 9 + 1], serial=number + 1)
        for number in range(100)
    ]
    right = Authority.root("CN=CA", now=NOW, key=_keys()[11])
    return HostilePool(
        refused=batch_case(right.issue(), anchors),
        allowed=batch_case(right.issue(), [*anchors[:20], right]),
    )


def a_path_of_a_hundred() -> HostilePool:
    """A hundred authorities one above the other, all in order."""

    def tower(height: int) -> tuple[list[Authority], Issued]:
        above, pool = _root(), []
        for number in range(height):
            above = _authority(above, f"CN=CA {number}", number % 10 + 1)
            pool.append(above)
        return pool, above.issue(key=_keys()[11])

    high, leaf = tower(100)
    low, other = tower(4)
    return HostilePool(
        refused=batch_case(leaf, [_root()], intermediates=high),
        allowed=batch_case(other, [_root()], intermediates=low),
    )


def _constrained(
    names: Sequence[x509.GeneralName],
    *,
    permitted: Sequence[x509.GeneralName],
    excluded: Sequence[x509.GeneralName],
) -> BatchCase:
    """Return a case of one authority with constraints, and a certificate with alternative names."""
    constraints = x509.NameConstraints(permitted or None, excluded or None)
    issuing = _authority(_root(), "CN=CA", 1, extensions=[(constraints, True)])
    return batch_case(issuing.issue(san=names), [_root()], intermediates=[issuing])


def host_names_against_constraints() -> HostilePool:
    """A thousand host names against two thousand subtrees that all have to be looked at."""
    hosts = [dns(f"h{number}.renovations.example") for number in range(1_000)]
    subtrees = [dns(f"n{number}.elsewhere.example") for number in range(2_000)]
    return HostilePool(
        refused=_constrained(hosts, permitted=[], excluded=subtrees),
        allowed=_constrained(hosts[:50], permitted=[], excluded=subtrees[:50]),
    )


def mail_addresses_against_constraints() -> HostilePool:
    """A thousand addresses, permitted by the last of fifteen hundred subtrees only."""
    addresses = [mail(f"a{number}@renovations.example") for number in range(1_000)]
    subtrees = [mail(f"n{number}.elsewhere.example") for number in range(1_500)]
    right = mail("renovations.example")
    return HostilePool(
        refused=_constrained(addresses, permitted=[*subtrees, right], excluded=[]),
        allowed=_constrained(addresses[:50], permitted=[*subtrees[:50], right], excluded=[]),
    )


def directory_names_against_constraints() -> HostilePool:
    """A thousand directory names against twelve hundred subtrees that all have to be looked at."""

    def directory(number: int, organisation: str) -> x509.GeneralName:
        return x509.DirectoryName(name_from_text(f"OU=u{number},O={organisation}"))

    names = [directory(number, "Renovations") for number in range(1_000)]
    subtrees = [directory(number, "Elsewhere") for number in range(1_200)]
    return HostilePool(
        refused=_constrained(names, permitted=[], excluded=subtrees),
        allowed=_constrained(names[:50], permitted=[], excluded=subtrees[:50]),
    )


def _mapped(width: int, depth: int, *, wanted: str, end: bool = True) -> BatchCase:
    """Return a case in which each authority has every policy and maps each to all of them."""
    policies = [f"1.3.6.1.4.1.99.{number}" for number in range(1, width + 1)]
    told = (
        x509.CertificatePolicies(
            [x509.PolicyInformation(x509.ObjectIdentifier(one), None) for one in policies]
        ),
        False,
    )
    mappings = (policy_mappings([(above, below) for above in policies for below in policies]), True)
    above, pool = _root(), []
    for number in range(depth):
        above = _authority(above, f"CN=CA {number}", number + 1, extensions=[told, mappings])
        pool.append(above)
    leaf = above.issue(extensions=[told] if end else [])
    return batch_case(leaf, [_root()], intermediates=pool, policies=[wanted], explicit_policy=True)


def policies_that_map_each_to_all() -> HostilePool:
    """Twenty policies, mapped each to all of them at each of seven authorities: 20^7 nodes of RFC 5280's tree."""
    return HostilePool(
        refused=_mapped(20, 7, wanted="1.3.6.1.4.1.99.4711"),
        allowed=_mapped(4, 3, wanted="1.3.6.1.4.1.99.1"),
    )


def five_hundred_policies() -> HostilePool:
    """Five hundred policies at each of seven authorities, without mappings, and none of them in the certificate."""
    policies = [f"1.3.6.1.4.1.99.{number}" for number in range(1, 501)]

    def tower(count: int, height: int, *, end: bool) -> BatchCase:
        told = (
            x509.CertificatePolicies(
                [x509.PolicyInformation(x509.ObjectIdentifier(one), None) for one in policies[:count]]
            ),
            False,
        )
        above, pool = _root(), []
        for number in range(height):
            above = _authority(above, f"CN=CA {number}", number + 1, extensions=[told])
            pool.append(above)
        leaf = above.issue(extensions=[told] if end else [])
        return batch_case(leaf, [_root()], intermediates=pool, explicit_policy=True)

    return HostilePool(refused=tower(500, 7, end=False), allowed=tower(20, 3, end=True))


def _rsa_public_key(bits: int, exponent: int = 65_537) -> rsa.RSAPublicKey:
    """Return a public key of which nobody has the private one: any odd number looks like a modulus."""
    return rsa.RSAPublicNumbers(exponent, (1 << bits) - 159).public_key()


def _with_key(
    certificate: x509.Certificate, issuer: Authority, key: rsa.RSAPublicKey, serial: int = 1
) -> bytes:
    """Return a certificate of the same content with another public key, rightly signed."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(certificate.subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
    )
    for extension in certificate.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    assert isinstance(issuer.key, ec.EllipticCurvePrivateKey)
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _signed_by_nobody(der: bytes, octets: int) -> bytes:
    """Return a certificate with a signature that looks like one of an RSA key of so many octets."""
    signed = read_elements(read_element(der, SEQUENCE).content)[0]
    fields = [field.encoded for field in read_elements(signed.content)]
    position = next(index for index, field in enumerate(fields) if field[0] == SEQUENCE)
    fields[position] = _SHA256_WITH_RSA
    content = der_element(SEQUENCE, b"".join(fields))
    signature = der_element(0x03, b"\x00" + b"\x5a" * octets)
    return der_element(SEQUENCE, content + _SHA256_WITH_RSA + signature)


def _under_rsa(bits: int, exponent: int, count: int) -> BatchCase:
    """Return a case in which so many authorities of one name have such keys, and none of them signed."""
    root = _root()
    issuing = _authority(root, "CN=CA", 1)
    pool = [
        _with_key(issuing.certificate, root, _rsa_public_key(bits - 2 * number, exponent), number + 1)
        for number in range(count)
    ]
    leaf = _signed_by_nobody(issuing.issue().der, bits // 8)
    return batch_case(leaf, [root], intermediates=pool)


def _under_modest_rsa() -> BatchCase:
    root = _root()
    issuing = root.issue_authority("CN=CA", key=_rsa_key())
    return batch_case(issuing.issue(key=_keys()[11]), [root], intermediates=[issuing])


@cache
def _rsa_key() -> PrivateKey:
    return generate_key(KeyKind.RSA_3072)


def issuers_with_rsa_16384() -> HostilePool:
    """Twenty issuers with RSA keys of 16384 bits: one check of a signature takes milliseconds."""
    return HostilePool(refused=_under_rsa(16_384, 65_537, 20), allowed=_under_modest_rsa())


def issuers_with_huge_exponents() -> HostilePool:
    """Twenty issuers with exponents as long as their moduli: one check takes as long as a signature does."""
    return HostilePool(refused=_under_rsa(8_192, (1 << 8_000) + 1, 20), allowed=_under_modest_rsa())


def issuers_with_the_largest_rsa_keys_that_count() -> HostilePool:
    """A hundred issuers with RSA keys of 8192 bits, none of which signed: only the number of checks limits them."""
    return HostilePool(refused=_under_rsa(8_192, 65_537, 100), allowed=_under_modest_rsa())


def a_certificate_with_rsa_16384() -> HostilePool:
    """The certificate's own key has 16384 bits."""
    root = _root()
    leaf = root.issue(key=_keys()[11])
    large = _with_key(leaf.certificate, root, _rsa_public_key(16_384))
    return HostilePool(
        refused=batch_case(large, [root], profile="client"),
        allowed=batch_case(root.issue(key=_rsa_key()), [root], profile="client"),
    )


def an_anchor_with_rsa_16384() -> HostilePool:
    """The anchor's own key has 16384 bits."""
    root = _root()
    large = _with_key(root.certificate, root, _rsa_public_key(16_384))
    leaf = _signed_by_nobody(root.issue(key=_keys()[11]).der, 2_048)
    modest = Authority.root("CN=Root", now=NOW, key=_rsa_key())
    return HostilePool(
        refused=batch_case(leaf, [large]), allowed=batch_case(modest.issue(key=_keys()[11]), [modest])
    )


def _padding(octets: int) -> CriticalExtension:
    return (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99.7"), b"\x5a" * octets), False)


def _large_authorities(count: int, extension: Callable[[], Sequence[CriticalExtension]]) -> list[Authority]:
    return [_authority(_root(), "CN=CA", number + 1, extensions=extension()) for number in range(count)]


def ten_large_intermediates() -> HostilePool:
    """Ten intermediates of almost 64 KB, all of the issuer's name, none of which signed."""
    pool = _large_authorities(10, lambda: [_padding(64_000)])
    leaf = Authority.root("CN=CA", now=NOW, key=_keys()[11]).issue(key=_keys()[11])
    return HostilePool(
        refused=batch_case(leaf, [_root()], intermediates=pool),
        allowed=batch_case(pool[0].issue(extensions=[_padding(64_000)]), [_root()], intermediates=pool[:1]),
    )


def ten_large_hints_beside_the_certificate() -> HostilePool:
    """The same, presented with the certificate, as a client would."""
    pool = _large_authorities(10, lambda: [_padding(64_000)])
    leaf = Authority.root("CN=CA", now=NOW, key=_keys()[11]).issue(key=_keys()[11])
    refused = batch_case(leaf, [_root()])
    refused["certificate"] += "".join(one.pem for one in pool)
    allowed = batch_case(pool[0].issue(), [_root()])
    allowed["certificate"] += pool[0].pem
    return HostilePool(refused=refused, allowed=allowed)


def a_certificate_over_the_limit() -> HostilePool:
    """A certificate of more than 64 KB, otherwise in order."""
    root = _root()
    return HostilePool(
        refused=batch_case(root.issue(extensions=[_padding(66_000)]), [root]),
        allowed=batch_case(root.issue(extensions=[_padding(60_000)]), [root]),
    )


def hundreds_of_extensions() -> HostilePool:
    """Ten intermediates with three hundred extensions each, none of which signed."""

    def extensions(count: int) -> list[CriticalExtension]:
        return [
            (
                x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.3.6.1.4.1.99.7.{number}"), b"\x05\x00"),
                False,
            )
            for number in range(count)
        ]

    pool = _large_authorities(10, lambda: extensions(300))
    leaf = Authority.root("CN=CA", now=NOW, key=_keys()[11]).issue(key=_keys()[11])
    modest = _authority(_root(), "CN=CA", 1, extensions=extensions(20))
    return HostilePool(
        refused=batch_case(leaf, [_root()], intermediates=pool),
        allowed=batch_case(modest.issue(), [_root()], intermediates=[modest]),
    )


def names_that_grow_when_they_are_prepared() -> HostilePool:
    """Ten intermediates whose names have a thousand characters, each of which becomes eighteen for comparison."""

    def name(count: int) -> x509.Name:
        attributes = [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "\ufdfa" * 60) for _ in range(count)
        ]
        return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, "CA")])

    def authorities(count: int, names: int) -> list[Authority]:
        return [
            _root().issue_authority(name(names), key=_keys()[number + 1], path_length=None)
            for number in range(count)
        ]

    pool = authorities(10, 20)
    leaf = Authority.root(name(20), now=NOW, key=_keys()[11]).issue(key=_keys()[11])
    (modest,) = authorities(1, 2)
    return HostilePool(
        refused=batch_case(leaf, [_root()], intermediates=pool),
        allowed=batch_case(modest.issue(), [_root()], intermediates=[modest]),
    )


def alternative_names_that_grow_when_they_are_prepared() -> HostilePool:
    """A certificate with 60 KB of such names beside its subject."""

    def case(count: int) -> BatchCase:
        names = [
            x509.DirectoryName(
                x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "\ufdfa" * 300)])
            )
            for _ in range(count)
        ]
        root = _root()
        constraints = x509.NameConstraints(None, [x509.DirectoryName(name_from_text("O=Elsewhere"))])
        issuing = _authority(root, "CN=CA", 1, extensions=[(constraints, True)])
        usage = key_usage("key_encipherment")  # what the client profile refuses last
        return batch_case(
            issuing.issue(san=names, key_usage=usage if count > 1 else CLIENT_KEY_USAGE),
            [root],
            intermediates=[issuing],
            profile="client",
        )

    return HostilePool(refused=case(65), allowed=case(1))


HOSTILE: dict[str, Callable[[], HostilePool]] = {
    made.__name__: made
    for made in (
        a_cycle_of_cross_signs,
        ten_times_ten_of_one_name,
        ten_levels_of_ten,
        a_hundred_anchors_of_one_name,
        a_path_of_a_hundred,
        host_names_against_constraints,
        mail_addresses_against_constraints,
        directory_names_against_constraints,
        policies_that_map_each_to_all,
        five_hundred_policies,
        issuers_with_rsa_16384,
        issuers_with_huge_exponents,
        issuers_with_the_largest_rsa_keys_that_count,
        a_certificate_with_rsa_16384,
        an_anchor_with_rsa_16384,
        ten_large_intermediates,
        ten_large_hints_beside_the_certificate,
        a_certificate_over_the_limit,
        hundreds_of_extensions,
        names_that_grow_when_they_are_prepared,
        alternative_names_that_grow_when_they_are_prepared,
    )
}
"""Every pool by its name."""
