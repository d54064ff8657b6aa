"""What the extensions of a revocation list and of its entries say (RFC 5280 sections 5.2 and 5.3), read strictly.

Lives here: which extensions are understood, and their values. Not here: the list around them (`crl_reading.py`),
scope and distribution points (`distribution_points.py`).

INVARIANT: an extension that stands twice, a critical one that is not understood, and one that is understood but
cannot be read refuse the list (threat T36). What is neither critical nor understood says nothing that matters.
"""

from dataclasses import dataclass
from typing import Final

from authsvc.trust.distribution_points import (
    EVERYTHING,
    Scope,
    fetchable_urls,
    read_distribution_points,
    read_scope,
)
from authsvc.trust.general_names import GeneralName, GeneralNameKind, read_general_names
from authsvc.trust.serial_index import NO_REASON, REASONS
from authsvc.trust.times import read_generalized_time
from directory_assistance.der import (
    INTEGER,
    SEQUENCE,
    DerSyntaxError,
    Fields,
    read_element,
    read_integer,
)
from directory_assistance.extensions import read_extensions

__all__ = ["EntryExtensions", "ListExtensions", "read_entry_extensions", "read_list_extensions"]

_CRL_NUMBER: Final = "2.5.29.20"
_REASON_CODE: Final = "2.5.29.21"
_INVALIDITY_DATE: Final = "2.5.29.24"
_DELTA_INDICATOR: Final = "2.5.29.27"
_ISSUING_POINT: Final = "2.5.29.28"
_CERTIFICATE_ISSUER: Final = "2.5.29.29"
_AUTHORITY_KEY: Final = "2.5.29.35"
_FRESHEST: Final = "2.5.29.46"

_UNDERSTOOD_IN_LIST: Final = frozenset(
    {_CRL_NUMBER, _DELTA_INDICATOR, _ISSUING_POINT, _AUTHORITY_KEY, _FRESHEST}
)
_UNDERSTOOD_IN_ENTRY: Final = frozenset({_REASON_CODE, _INVALIDITY_DATE, _CERTIFICATE_ISSUER})

_ENUMERATED: Final = 0x0A
_GENERALIZED_TIME: Final = 0x18
_KEY_IDENTIFIER: Final = 0x80

_LARGEST_NUMBER: Final = 20
"""Octets of a list's number (RFC 5280 section 5.2.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListExtensions:
    """What the extensions of a list say.

    `number`: -1 for none. `base_number`: of the list that a delta list completes; None for a complete list.
    `authority_key_id`: empty for none. `freshest_urls`: where its delta lists are.
    """

    number: int = -1
    base_number: int | None = None
    authority_key_id: bytes = b""
    scope: Scope = EVERYTHING
    freshest_urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryExtensions:
    """What the extensions of an entry say. `issuer`: from this entry on, whose certificates are listed; else None."""

    reason_code: int = NO_REASON
    issuer: GeneralName | None = None


def read_list_extensions(content: bytes, issuer_der: bytes) -> ListExtensions:
    """Read the content of a list's Extensions.

    Raises:
        DerSyntaxError: an extension is not understood, or cannot be read; a delta list without a number.

    """
    values = _read_values(content, _UNDERSTOOD_IN_LIST, "critical extension {} of the list is not supported")
    found = ListExtensions(
        number=_read_number(values[_CRL_NUMBER]) if _CRL_NUMBER in values else -1,
        base_number=_read_number(values[_DELTA_INDICATOR]) if _DELTA_INDICATOR in values else None,
        authority_key_id=_read_key_identifier(values[_AUTHORITY_KEY]) if _AUTHORITY_KEY in values else b"",
        scope=read_scope(values[_ISSUING_POINT], issuer_der) if _ISSUING_POINT in values else EVERYTHING,
        freshest_urls=fetchable_urls(read_distribution_points(values[_FRESHEST], issuer_der))
        if _FRESHEST in values
        else (),
    )
    if found.base_number is not None and found.number < 0:
        raise DerSyntaxError("a delta list without a number cannot be combined with its base")
    return found


def read_entry_extensions(content: bytes) -> EntryExtensions:
    """Read the content of an entry's Extensions.

    Raises:
        DerSyntaxError: an extension is not understood, or cannot be read.

    """
    values = _read_values(content, _UNDERSTOOD_IN_ENTRY, "critical extension {} is not supported")
    reason_code = NO_REASON
    if _REASON_CODE in values:
        reason_code = read_integer(read_element(values[_REASON_CODE], _ENUMERATED).content)
        if reason_code == NO_REASON or not 0 <= reason_code < len(REASONS):
            raise DerSyntaxError(f"expected a reason code of RFC 5280, found {reason_code}")
    if _INVALIDITY_DATE in values:
        read_generalized_time(read_element(values[_INVALIDITY_DATE], _GENERALIZED_TIME).content)
    issuer = None
    if _CERTIFICATE_ISSUER in values:
        issuer = _read_certificate_issuer(values[_CERTIFICATE_ISSUER])
    return EntryExtensions(reason_code=reason_code, issuer=issuer)


def _read_values(content: bytes, understood: frozenset[str], refusal: str) -> dict[str, bytes]:
    """Return the values of the extensions that are understood, by dotted type."""
    extensions = read_extensions(content)
    if not extensions:
        raise DerSyntaxError("expected an extension, found none")
    for oid, extension in extensions.items():
        if extension.is_critical and oid not in understood:
            raise DerSyntaxError(refusal.format(oid))
    return {oid: extension.value for oid, extension in extensions.items() if oid in understood}


def _read_number(value: bytes) -> int:
    content = read_element(value, INTEGER).content
    number = read_integer(content)
    if number < 0 or len(content) > _LARGEST_NUMBER:
        raise DerSyntaxError(f"expected a list's number of at most {_LARGEST_NUMBER} octets, not negative")
    return number


def _read_key_identifier(value: bytes) -> bytes:
    """Return the keyIdentifier of authorityKeyIdentifier, empty where it has none; the rest is not looked at."""
    identifier = Fields(read_element(value, SEQUENCE).content).take_optional(_KEY_IDENTIFIER)
    return b"" if identifier is None else identifier.content


def _read_certificate_issuer(value: bytes) -> GeneralName:
    names = [
        name
        for name in read_general_names(read_element(value, SEQUENCE).content)
        if name.kind is GeneralNameKind.DIRECTORY_NAME
    ]
    if len(names) != 1:
        raise DerSyntaxError(f"expected one directory name of the certificate's issuer, found {len(names)}")
    return names[0]
