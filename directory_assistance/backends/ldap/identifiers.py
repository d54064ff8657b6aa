"""Identifiers that only Active Directory holds, as it is asked for them: security identifiers, names of certificates.

Pure. Reading them is `directory_assistance.stored_values`. Sources: MS-DTYP section 2.4.2 (security identifiers), and
Microsoft's description of strong certificate mappings (KB5014754) for `altSecurityIdentities`.
"""

import re

from directory_assistance.dn import DistinguishedName, render_ldap

__all__ = [
    "issuer_serial_identities",
    "key_id_identity",
    "sid_octets",
]

_SID_TEXT = re.compile(r"S-1-(0|[1-9][0-9]{0,14})((?:-(?:0|[1-9][0-9]{0,9})){1,15})", re.ASCII)

_LARGEST_SUB_AUTHORITY = 0xFFFF_FFFF
_LARGEST_AUTHORITY = 0xFFFF_FFFF_FFFF


def sid_octets(text: str) -> bytes | None:
    """Return a security identifier as a directory stores it, None if the text is none."""
    match = _SID_TEXT.fullmatch(text)
    if match is None:
        return None
    authority = int(match[1])
    parts = [int(part) for part in match[2].split("-")[1:]]
    if authority > _LARGEST_AUTHORITY or max(parts) > _LARGEST_SUB_AUTHORITY:
        return None
    head = bytes((1, len(parts))) + authority.to_bytes(6, "big")
    return head + b"".join(part.to_bytes(4, "little") for part in parts)


def issuer_serial_identities(issuer: DistinguishedName, serial: int) -> tuple[str, ...]:
    """Return the values by which `altSecurityIdentities` names a certificate by issuer and serial number.

    The issuer is written root first, the serial number's octets last first. Both spellings of a serial number
    whose first bit is set are in use: with and without the zero octet that DER puts before it.
    """
    name = render_ldap(DistinguishedName(rdns=issuer.rdns[::-1]))
    octets = serial.to_bytes(max(1, (serial.bit_length() + 7) // 8), "big")
    spellings = [octets, b"\0" + octets] if octets[0] & 0x80 else [octets]
    return tuple(f"X509:<I>{name}<SR>{spelling[::-1].hex().upper()}" for spelling in spellings)


def key_id_identity(subject_key_id: bytes) -> str:
    """Return the value by which `altSecurityIdentities` names a certificate by subject key identifier."""
    return f"X509:<SKI>{subject_key_id.hex().upper()}"
