"""Names of certificates in `altSecurityIdentities` of Active Directory: read, and spelled for a question.

What lives here: the strong forms of Microsoft's description of certificate mappings (KB5014754, MS-PKCA section
3.1.5.2.1.3), as values. What does not: which entry is meant (`questions.py`), and what binds (`binding.py`).

* `X509:<I>` issuer `<SR>` serial number, its octets last first
* `X509:<SKI>` subject key identifier
* `X509:<SHA1-PUKEY>` SHA-1 of the public key: only ever asked for, never compared, because it is SHA-1

Invariants:

* The weak forms (`<I>...<S>...`, `<S>`, `<RFC822>`) and every form not named above are never read nor asked for: the
  names in them can be had again by others.
* An issuer is compared as a parsed name, a serial number as a number. A text that is no name is no identity; it is
  never repaired.
* The order of the issuer's components cannot be seen in the text: Microsoft writes the root first, RFC 4514 the leaf.
  So a text names both readings, and is asked for in both.
"""

import hashlib
import re
from itertools import product

from directory_assistance.der import SEQUENCE, Fields, read_element
from directory_assistance.dn import DistinguishedName, NameSyntaxError, read_ldap_dn, render_ldap

__all__ = [
    "issuer_serial_identities",
    "key_id_identity",
    "public_key_identities",
    "read_issuer_serial_identity",
    "read_key_id_identity",
]

_KEY_ID_IDENTITY = re.compile(r"X509:<SKI>((?:[0-9A-F]{2}){1,64})", re.ASCII | re.IGNORECASE)

_ISSUER_SERIAL_IDENTITY = re.compile(
    r"X509:<I>(?P<issuer>.+)<SR>(?P<serial>(?:[0-9A-F]{2}){1,32})", re.ASCII | re.IGNORECASE
)
"""A serial number has 21 octets at most (RFC 5280 section 4.1.2.2); zeros after it are as good as none."""

_COMPONENT = re.compile(
    r"""[ ]*(?P<type>[A-Za-z][A-Za-z0-9-]*|(?:OID\.)?[0-9]+(?:\.[0-9]+)+)[ ]*=[ ]*+
    (?:"(?P<quoted>(?:[^"]|"")*+)"[ ]*|(?P<plain>(?:\\.|[^"+,;<>\\])*+))(?P<separator>[,+]|\Z)""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
"""A component as Windows prints it (X.500 names of CertNameToStr), or RFC 4514 does."""

_BIT_STRING = 0x03

_MICROSOFT_KEYWORDS = {
    "2.5.4.8": "S",
    "2.5.4.12": "T",
    "2.5.4.42": "G",
    "2.5.4.43": "I",
    "1.2.840.113549.1.9.1": "E",
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "SERIALNUMBER",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.13": "Description",
    "2.5.4.17": "PostalCode",
    "2.5.4.18": "POBox",
    "2.5.4.20": "Phone",
    "0.9.2342.19200300.100.1.25": "DC",
}
"""What Windows prints for an attribute type; for every other one `OID.` and the dotted type."""

_OID_BY_MICROSOFT_KEYWORD = {keyword.casefold(): oid for oid, keyword in _MICROSOFT_KEYWORDS.items()}

_NEEDS_QUOTES = re.compile(r'[,+="\n<>#;\\]|\A | \Z|\A\Z')
"""What Windows quotes, and the backslash, which it leaves bare: bare, it reads as an escape of RFC 4514."""

_NEEDS_BACKSLASH = re.compile(r'[ "#+,;<=>\\]')


def key_id_identity(subject_key_id: bytes) -> str:
    """Return the value that names a certificate by subject key identifier."""
    return f"X509:<SKI>{subject_key_id.hex().upper()}"


def read_key_id_identity(value: str) -> bytes | None:
    """Return the subject key identifier in an identity, None if it is of another kind."""
    match = _KEY_ID_IDENTITY.fullmatch(value)
    return None if match is None else bytes.fromhex(match[1])


def public_key_identities(public_key_info: bytes) -> tuple[str, ...]:
    """Return the values that name a public key by SHA-1.

    Args:
        public_key_info: the DER of SubjectPublicKeyInfo, of a certificate that was read.

    Microsoft says "SHA1 hash of public key" and not of which octets. Tools hash the content of the bit string (as RFC
    5280 section 4.2.1.2 does for key identifiers) or the whole structure, so both are asked for; what is found is
    compared with the whole key.

    """
    fields = Fields(read_element(public_key_info, SEQUENCE).content)
    fields.take(SEQUENCE)
    key = fields.take(_BIT_STRING).content[1:]  # the first octet counts unused bits
    return tuple(f"X509:<SHA1-PUKEY>{_sha1(octets)}" for octets in (key, public_key_info))


def _sha1(octets: bytes) -> str:
    return hashlib.sha1(octets, usedforsecurity=False).hexdigest().upper()


def issuer_serial_identities(issuer: DistinguishedName, serial: int) -> tuple[str, ...]:
    """Return the values that may name a certificate by issuer and serial number, the documented spelling first.

    Active Directory compares the texts, so each spelling that is in use must be asked for: root or leaf first, with or
    without a blank after the comma, the keywords and quotes of Windows or of RFC 4514, and a serial number whose first
    bit is set with and without the zero octet that DER puts before it. At most 16.
    """
    octets = serial.to_bytes(max(1, (serial.bit_length() + 7) // 8), "big")
    serials = [octets, b"\0" + octets] if octets[0] & 0x80 else [octets]
    names = [
        separator.join(component(DistinguishedName(rdns=(rdn,))) for rdn in rdns)
        for rdns, separator, component in product(
            (issuer.rdns[::-1], issuer.rdns), (",", ", "), (_render_microsoft, render_ldap)
        )
    ]
    return tuple(
        f"X509:<I>{name}<SR>{spelling[::-1].hex().upper()}"
        for name in dict.fromkeys(names)
        for spelling in serials
    )


def _render_microsoft(component: DistinguishedName) -> str:
    """Print one component as Windows does."""
    return " + ".join(
        f"{_MICROSOFT_KEYWORDS.get(attribute.oid, f'OID.{attribute.oid}')}={_quote(attribute.value)}"
        for rdn in component.rdns
        for attribute in rdn.attributes
    )


def _quote(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if _NEEDS_QUOTES.search(value) else value


def read_issuer_serial_identity(value: str) -> tuple[tuple[DistinguishedName, int], ...]:
    """Return issuer and serial number in an identity, once for each order of the issuer; nothing for other kinds.

    Total: a text that is no name names nobody.
    """
    match = _ISSUER_SERIAL_IDENTITY.fullmatch(value)
    text = None if match is None else _as_ldap(match["issuer"])
    if match is None or text is None:
        return ()
    try:
        issuer = read_ldap_dn(text)
    except NameSyntaxError:
        return ()
    serial = int.from_bytes(bytes.fromhex(match["serial"]), "little")
    readings = (DistinguishedName(rdns=issuer.rdns[::-1]), issuer)
    return tuple((reading, serial) for reading in dict.fromkeys(readings))


def _as_ldap(text: str) -> str | None:
    """Spell a name as RFC 4514 has it, without Windows' keywords and quotes; None if it is none."""
    parts: list[str] = []
    position = 0
    while True:
        match = _COMPONENT.match(text, position)
        if match is None:
            return None
        kind = match["type"].casefold().removeprefix("oid.")
        quoted = match["quoted"]
        plain = (
            match["plain"] if quoted is None else _NEEDS_BACKSLASH.sub(r"\\\g<0>", quoted.replace('""', '"'))
        )
        parts.append(f"{_OID_BY_MICROSOFT_KEYWORD.get(kind, kind)}={plain}{match['separator']}")
        position = match.end()
        if not match["separator"]:
            return "".join(parts)
