"""Extensions as certificates, revocation lists and OCSP responses have them (RFC 5280 section 4.1.2.9).

Lives here: cutting them apart, strictly and once for all who read them. Not here: what an extension means.
"""

from typing import Final, NamedTuple

from directory_assistance.der import (
    BOOLEAN,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    DerSyntaxError,
    Fields,
    read_members,
    read_object_identifier,
    read_true,
)

__all__ = ["Extension", "read_extensions"]


_MOST_EXTENSIONS: Final = 100
"""Extensions of one certificate, list, entry or response: real ones have fewer than twenty (threat T24)."""


class Extension(NamedTuple):
    """One extension: whether it is critical, and the content of extnValue."""

    is_critical: bool
    value: bytes


def read_extensions(content: bytes) -> dict[str, Extension]:
    """Read the content of a SEQUENCE OF Extension.

    Returns:
        The extensions by dotted type, in their order; empty where there are none.

    Raises:
        DerSyntaxError: one cannot be read, writes "not critical" out, or stands twice; or there are more than 100.

    """
    extensions: dict[str, Extension] = {}
    members = read_members(content, SEQUENCE, at_least=0)
    if len(members) > _MOST_EXTENSIONS:
        raise DerSyntaxError(f"expected at most {_MOST_EXTENSIONS} extensions, found {len(members)}")
    for element in members:
        fields = Fields(element.content)
        oid = read_object_identifier(fields.take(OBJECT_IDENTIFIER).content)
        critical = fields.take_optional(BOOLEAN)
        if critical is not None:
            read_true(critical.content)
        value = fields.take(OCTET_STRING).content
        fields.finish()
        if oid in extensions:
            raise DerSyntaxError(f"extension {oid} stands twice")
        extensions[oid] = Extension(critical is not None, value)
    return extensions
