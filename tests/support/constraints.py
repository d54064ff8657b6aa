"""Certificates for tests of one extension: facts with the octets of extensions as a case wants them, unsigned.

What is tested with these reads `extension_values` and `subject_der` alone; names that `cryptography` would not read are
possible. Each has a digest of its own.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network

from authsvc.trust.certificate import CertificateFacts
from directory_assistance.der import OBJECT_IDENTIFIER, SEQUENCE
from tests.support.pki import NOW, Authority, der_element, name_from_text
from tests.support.trust import facts_of

__all__ = [
    "ALTERNATIVE_NAMES",
    "INHIBIT_ANY",
    "INTERNATIONAL_MAIL",
    "NAME_CONSTRAINTS",
    "POLICIES",
    "POLICY_CONSTRAINTS",
    "POLICY_MAPPINGS",
    "UPN",
    "Templates",
    "constraints_der",
    "general_name",
    "names_der",
    "object_identifier",
    "policies_der",
    "policy_constraints_der",
    "policy_mappings_der",
]

ALTERNATIVE_NAMES = "2.5.29.17"
NAME_CONSTRAINTS = "2.5.29.30"
POLICIES = "2.5.29.32"
POLICY_MAPPINGS = "2.5.29.33"
POLICY_CONSTRAINTS = "2.5.29.36"
INHIBIT_ANY = "2.5.29.54"

UPN = "1.3.6.1.4.1.311.20.2.3"
INTERNATIONAL_MAIL = "1.3.6.1.5.5.7.8.9"

_TEXT_TAGS = {"mail": 0x81, "dns": 0x82, "uri": 0x86}


def object_identifier(dotted: str) -> bytes:
    """Return the DER of an OBJECT IDENTIFIER."""
    first, second, *further = map(int, dotted.split("."))
    content = b"".join(map(_arc, (40 * first + second, *further)))
    return der_element(OBJECT_IDENTIFIER, content)


def _arc(number: int) -> bytes:
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(number & 0x7F | 0x80)
    return bytes(reversed(octets))


def general_name(text: str) -> bytes:  # noqa: PLR0911 - one return for each kind
    """Return the DER of a GeneralName that is written as `kind:text`.

    Kinds: `mail`, `dns`, `uri`, `ip` (an address or a network with its prefix), `dn` (RFC 4514), `upn`,
    `international` (SmtpUTF8Mailbox), `other` (type, space, hexadecimal value), `rid` (dotted), `tag` (identifier octet
    and content in hexadecimal).
    """
    kind, _, value = text.partition(":")
    if kind in _TEXT_TAGS:
        return der_element(_TEXT_TAGS[kind], value.encode("latin-1"))
    match kind:
        case "ip" if "/" in value:
            network = ip_network(value)
            return der_element(0x87, network.network_address.packed + network.netmask.packed)
        case "ip":
            return der_element(0x87, ip_address(value).packed)
        case "dn":
            return der_element(0xA4, name_from_text(value).public_bytes())
        case "upn":
            return _other_name(UPN, der_element(0x0C, value.encode()))
        case "international":
            return _other_name(INTERNATIONAL_MAIL, der_element(0x0C, value.encode()))
        case "other":
            oid, _, content = value.partition(" ")
            return _other_name(oid, bytes.fromhex(content))
        case "rid":
            return der_element(0x88, object_identifier(value)[2:])
        case "tag":
            octets = bytes.fromhex(value)
            return der_element(octets[0], octets[1:])
        case _:
            raise AssertionError(f"no kind of name `{kind}`")


def _other_name(oid: str, value: bytes) -> bytes:
    return der_element(0xA0, object_identifier(oid) + der_element(0xA0, value))


def names_der(names: Iterable[str]) -> bytes:
    """Return the value of subjectAltName."""
    return der_element(SEQUENCE, b"".join(map(general_name, names)))


def constraints_der(permitted: Iterable[str] = (), excluded: Iterable[str] = ()) -> bytes:
    """Return the value of nameConstraints; a list without members is left out."""
    content = b""
    for tag, names in ((0xA0, permitted), (0xA1, excluded)):
        subtrees = b"".join(der_element(SEQUENCE, general_name(name)) for name in names)
        content += der_element(tag, subtrees) if subtrees else b""
    return der_element(SEQUENCE, content)


def policies_der(policies: Iterable[str]) -> bytes:
    """Return the value of certificatePolicies."""
    return der_element(
        SEQUENCE, b"".join(der_element(SEQUENCE, object_identifier(policy)) for policy in policies)
    )


def policy_mappings_der(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return the value of policyMappings."""
    return der_element(
        SEQUENCE,
        b"".join(
            der_element(SEQUENCE, object_identifier(first) + object_identifier(second))
            for first, second in pairs
        ),
    )


def policy_constraints_der(explicit: int | None = None, mapping: int | None = None) -> bytes:
    """Return the value of policyConstraints, skip counts below 128."""
    content = b"" if explicit is None else der_element(0x80, bytes((explicit,)))
    return der_element(SEQUENCE, content + (b"" if mapping is None else der_element(0x81, bytes((mapping,)))))


class Templates:
    """Makes paths whose certificates have the extensions of a case; the keys and signatures do not matter."""

    def __init__(self) -> None:
        root = Authority.root(now=NOW)
        upper = root.issue_authority("CN=Upper,O=Renovations", path_length=None)
        issuing = upper.issue_authority(path_length=None)
        self._authority = facts_of(issuing)
        self._self_issued = facts_of(issuing.issue_authority(path_length=None))
        self._leaf = facts_of(issuing.issue())
        self._root = facts_of(root)

    def certificate(
        self,
        extensions: Mapping[str, bytes],
        *,
        leaf: bool = False,
        self_issued: bool = False,
        subject_der: bytes | None = None,
    ) -> CertificateFacts:
        """Return one certificate; `subject_der` for another subject, which does not chain."""
        template = self._leaf if leaf else self._self_issued if self_issued else self._authority
        subject = template.subject_der if subject_der is None else subject_der
        digest = hashlib.sha256(repr((template.sha256, sorted(extensions.items()), subject)).encode())
        return replace(
            template, extension_values=dict(extensions), subject_der=subject, sha256=digest.digest()
        )

    def leaf(
        self, extensions: Mapping[str, bytes], *, subject: str = "CN=Dave Lawson,O=Renovations"
    ) -> CertificateFacts:
        """Return an end entity."""
        return self.certificate(extensions, leaf=True, subject_der=name_from_text(subject).public_bytes())

    @property
    def root(self) -> CertificateFacts:
        """An anchor without any of these extensions."""
        return replace(self._root, extension_values={})
