"""Identifiers of entries as servers store them: security identifiers, and what stays when an entry is renamed.

Pure. What lives elsewhere: names of certificates in `altSecurityIdentities` (`identities.py`). Sources: MS-DTYP
sections 2.3.4 and 2.4.2, RFC 4530.
"""

import re
from uuid import UUID

__all__ = ["read_guid", "read_sid", "read_uuid", "sid_octets"]

_SID_TEXT = re.compile(r"S-1-(0|[1-9][0-9]{0,14})((?:-(?:0|[1-9][0-9]{0,9})){1,15})", re.ASCII)

_UUID_TEXT = re.compile(
    r"[0-9A-F]{8}-(?:[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}|[0-9A-F]{8}-[0-9A-F]{8}-[0-9A-F]{8})",
    re.ASCII | re.IGNORECASE,
)

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


def read_sid(octets: bytes) -> str | None:
    """Return the text of a stored security identifier, None if the octets are none."""
    if len(octets) < 12 or octets[0] != 1 or len(octets) != 8 + 4 * octets[1] or octets[1] > 15:
        return None
    parts = [int.from_bytes(octets[at : at + 4], "little") for at in range(8, len(octets), 4)]
    return "-".join(["S", "1", str(int.from_bytes(octets[2:8], "big")), *map(str, parts)])


def read_guid(octets: bytes) -> str | None:
    """Return the canonical text of a stored `objectGUID` (MS-DTYP section 2.3.4), None if the octets are none."""
    return str(UUID(bytes_le=octets)) if len(octets) == 16 else None


def read_uuid(text: str) -> str | None:
    """Return the canonical text of an `entryUUID` (RFC 4530) or `nsUniqueId`, None if the text is none.

    389-ds writes the same sixteen octets in four groups instead of five; both spellings of one value become one.
    """
    return None if _UUID_TEXT.fullmatch(text) is None else str(UUID(hex=text.replace("-", "")))
