"""The values that go into and come out of the key columns of `sql_tables.py`.

Writer (the store of the service) and reader (`backends/sql.py`) both take their keys from here, so that what
one wrote the other finds. What does not live here: statements, and what makes a good person or group.

INVARIANT: an empty key is "nothing to find": it is stored where a row has no such value, and never asked for.
"""

import hashlib
from dataclasses import dataclass

from directory_assistance.certificate_names import read_stored_certificate
from directory_assistance.dn import (
    DistinguishedName,
    MemberReference,
    Name,
    common_name_of,
    has_unusable_characters,
    key_text,
    prepare,
    read_name,
)

__all__ = [
    "CertificateValues",
    "certificate_digest",
    "certificate_values",
    "common_name_key",
    "group_key",
    "issuer_key",
    "member_key",
    "name_key",
    "serial_text",
    "text_key",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateValues:
    """What the table `certificates` holds beside the DER; field names are column names."""

    sha256: bytes
    issuer_key: str
    serial: str
    subject_key_id: bytes | None


def name_key(name: Name) -> str:
    """Return `person_names.key` and `people.name_key`: equal exactly for equal names."""
    return key_text(name)


def member_key(member: MemberReference) -> str:
    """Return `group_members.key`; a wildcard's key differs from every name's."""
    return key_text(member)


def group_key(name: str) -> str:
    """Return `groups.name_key`: that of the name as a member text would be read, so that groups nest.

    Raises:
        NameSyntaxError: the text is no name.

    """
    return key_text(read_name(name))


def text_key(text: str) -> str:
    """Return `people.mail_key`: the prepared text (RFC 4518, case-ignore).

    Empty where nothing is left to compare, and for a text with control characters or lone surrogates, which
    no name and no address may hold and no SQL column can store.
    """
    return "" if has_unusable_characters(text) else prepare(text)


def common_name_key(name: Name) -> str:
    """Return `person_names.common_name_key`: of a flat name, or of the CN of a hierarchical name's leaf.

    Empty for a name that has no common name.
    """
    common_name = common_name_of(name)
    return "" if common_name is None else text_key(common_name)


def serial_text(serial: int) -> str:
    """Return `certificates.serial`: lower-case hexadecimal without leading zeros."""
    return f"{serial:x}"


def certificate_digest(der: bytes) -> bytes:
    """Return `certificates.sha256`."""
    return hashlib.sha256(der).digest()


def certificate_values(der: bytes) -> CertificateValues:
    """Return the columns of one stored certificate.

    Total: what is no readable certificate is found by its digest alone; its issuer and serial are empty.
    """
    facts = read_stored_certificate(der)
    return CertificateValues(
        sha256=certificate_digest(der),
        issuer_key="" if facts is None else issuer_key(facts.issuer),
        serial="" if facts is None else serial_text(facts.serial),
        subject_key_id=None if facts is None else facts.subject_key_id,
    )


def issuer_key(issuer: DistinguishedName) -> str:
    """Return `certificates.issuer_key`."""
    return key_text(issuer)
