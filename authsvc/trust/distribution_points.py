"""Distribution points: where a certificate says its lists are, and what a list says it is (RFC 5280 4.2.1.13, 5.2.5).

Lives here: reading cRLDistributionPoints, freshestCRL and issuingDistributionPoint, and whether a point and the scope
of a list meet (section 6.3.3 (b)). Not here: looking anything up (`revocation.py`), fetching.

Invariants: names of points are compared as general names are (`general_names.py`), a name relative to an issuer after
it has been put behind that issuer's name. Reasons are a mask of the bits of ReasonFlags; bit 0, which has no meaning,
is never set in it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.general_names import GeneralName, GeneralNameKind, read_general_names, read_name_key
from directory_assistance.der import (
    SEQUENCE,
    SET,
    DerSyntaxError,
    Fields,
    read_element,
    read_elements,
    read_true,
)
from directory_assistance.dn import NameKey

__all__ = [
    "ALL_REASONS",
    "CRL_DISTRIBUTION_POINTS",
    "EVERYTHING",
    "DistributionPoint",
    "Scope",
    "fetchable_urls",
    "implicit_point",
    "read_distribution_points",
    "read_scope",
]

CRL_DISTRIBUTION_POINTS: Final = "2.5.29.31"

ALL_REASONS: Final = 0b1_1111_1110
"""Every reason of ReasonFlags: bits 1 (keyCompromise) to 8 (aACompromise)."""

_MOST_POINTS: Final = 1_000
"""Distribution points of one extension: real ones have one or two."""

_POINT_NAME: Final = 0xA0
_FULL_NAME: Final = 0xA0
_RELATIVE_NAME: Final = 0xA1
_POINT_REASONS: Final = 0x81
_POINT_ISSUER: Final = 0xA2
_ONLY_END_ENTITIES: Final = 0x81
_ONLY_AUTHORITIES: Final = 0x82
_ONLY_REASONS: Final = 0x83
_INDIRECT: Final = 0x84
_ONLY_ATTRIBUTES: Final = 0x85

_MOST_UNUSED_BITS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionPoint:
    """One point: its names (None where it has none), the reasons that it is for, and who signs its lists.

    `issuers`: the directory names under cRLIssuer; None where the certificate's own issuer signs.
    """

    names: frozenset[GeneralName] | None
    reasons: int = ALL_REASONS
    issuers: frozenset[GeneralName] | None = None

    def is_signed_under(self, issuer: NameKey, own: NameKey) -> bool:
        """Whether lists of this point come under an issuer's name; `own` is the certificate's own issuer."""
        if self.issuers is None:
            return issuer == own
        return any(name.key == issuer for name in self.issuers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which certificates, and which reasons, a list speaks for (issuingDistributionPoint); all, without arguments.

    `names`: only for certificates that name one of these points; None for all.
    """

    names: frozenset[GeneralName] | None = None
    only_end_entities: bool = False
    only_authorities: bool = False
    only_attributes: bool = False
    reasons: int = ALL_REASONS
    indirect: bool = False

    @property
    def is_everything(self) -> bool:
        """Whether the list speaks for every certificate of its issuer, and for every reason."""
        return self == EVERYTHING

    def covers(self, point: DistributionPoint, *, is_authority: bool) -> bool:
        """Whether the silence of a list means something for a certificate that has this point (6.3.3 (b)).

        Not checked: names of issuers, and whether the reasons suffice.
        """
        if (
            self.only_attributes
            or (self.only_end_entities and is_authority)
            or (self.only_authorities and not is_authority)
        ):
            return False
        if point.issuers is not None and not self.indirect:
            return False
        if self.names is None:
            return True
        wanted = point.names if point.names is not None else point.issuers
        return wanted is not None and not self.names.isdisjoint(wanted)


EVERYTHING: Final = Scope()


def implicit_point(facts: CertificateFacts) -> DistributionPoint:
    """Return the point that every certificate has besides its own: that of its issuer's name (6.3.3, at the end)."""
    name = GeneralName(
        kind=GeneralNameKind.DIRECTORY_NAME, key=facts.issuer_key, content=facts.issuer_der, name=None
    )
    return DistributionPoint(names=frozenset({name}))


def read_distribution_points(value: bytes, issuer_der: bytes) -> tuple[DistributionPoint, ...]:
    """Read cRLDistributionPoints or freshestCRL.

    Args:
        value: the extension's value.
        issuer_der: the name of who issued what has the extension, for names relative to it.

    Raises:
        DerSyntaxError: it cannot be read, or has more than 1,000 points.

    """
    elements = read_elements(read_element(value, SEQUENCE).content)
    if not 0 < len(elements) <= _MOST_POINTS:
        raise DerSyntaxError(f"expected 1 to {_MOST_POINTS} distribution points, found {len(elements)}")
    return tuple(
        _read_point(read_element(element.encoded, SEQUENCE).content, issuer_der) for element in elements
    )


def _read_point(content: bytes, issuer_der: bytes) -> DistributionPoint:
    fields = Fields(content)
    name, reasons = fields.take_optional(_POINT_NAME), fields.take_optional(_POINT_REASONS)
    issuer = fields.take_optional(_POINT_ISSUER)
    fields.finish()
    if name is None and issuer is None:
        raise DerSyntaxError("distribution point with neither a name nor an issuer of lists")
    issuers = None
    if issuer is not None:
        issuers = frozenset(
            one for one in read_general_names(issuer.content) if one.kind is GeneralNameKind.DIRECTORY_NAME
        )
        if len(issuers) == 1:
            issuer_der = next(iter(issuers)).content
    return DistributionPoint(
        names=None if name is None else _read_point_names(name.content, issuer_der),
        reasons=ALL_REASONS if reasons is None else _read_reasons(reasons.content),
        issuers=issuers,
    )


def _read_point_names(content: bytes, issuer_der: bytes) -> frozenset[GeneralName]:
    """Read a DistributionPointName: full names, or one relative to the issuer of the list."""
    fields = Fields(content)
    full = fields.take_optional(_FULL_NAME)
    if full is not None:
        fields.finish()
        return frozenset(read_general_names(full.content))
    relative = fields.take(_RELATIVE_NAME)
    fields.finish()
    below = read_element(issuer_der, SEQUENCE).content
    der = _write(SEQUENCE, below + _write(SET, relative.content))
    name = GeneralName(kind=GeneralNameKind.DIRECTORY_NAME, key=read_name_key(der), content=der)
    return frozenset({name})


def _write(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content


def _read_reasons(content: bytes) -> int:
    """Read ReasonFlags, a BIT STRING of named bits; bits beyond the known ones mean nothing to us."""
    if not content or content[0] > _MOST_UNUSED_BITS or (len(content) == 1 and content[0]):
        raise DerSyntaxError("reasons are no bit string")
    unused, octets = content[0], content[1:]
    if octets and octets[-1] & ((1 << unused) - 1):
        raise DerSyntaxError("unused bits of the reasons are set")
    mask = 0
    for bit in range(8 * len(octets)):
        if octets[bit // 8] & (0x80 >> bit % 8):
            mask |= 1 << bit
    return mask & ALL_REASONS


def read_scope(value: bytes, issuer_der: bytes) -> Scope:
    """Read issuingDistributionPoint.

    Args:
        value: the extension's value.
        issuer_der: the name of the list's issuer, for a name relative to it.

    Raises:
        DerSyntaxError: it cannot be read, or says more than one of "only end entities", "only authorities" and "only
        attribute
            certificates".

    """
    fields = Fields(read_element(value, SEQUENCE).content)
    name = fields.take_optional(_POINT_NAME)
    end_entities, authorities = _take_true(fields, _ONLY_END_ENTITIES), _take_true(fields, _ONLY_AUTHORITIES)
    reasons = fields.take_optional(_ONLY_REASONS)
    indirect, attributes = _take_true(fields, _INDIRECT), _take_true(fields, _ONLY_ATTRIBUTES)
    fields.finish()
    if end_entities + authorities + attributes > 1:
        raise DerSyntaxError(
            "issuing distribution point is for one kind of certificates only, and for another only"
        )
    return Scope(
        names=None if name is None else _read_point_names(name.content, issuer_der),
        only_end_entities=end_entities,
        only_authorities=authorities,
        only_attributes=attributes,
        reasons=ALL_REASONS if reasons is None else _read_reasons(reasons.content),
        indirect=indirect,
    )


def _take_true(fields: Fields, tag: int) -> bool:
    element = fields.take_optional(tag)
    if element is None:
        return False
    read_true(element.content)
    return True


def fetchable_urls(points: Iterable[DistributionPoint]) -> tuple[str, ...]:
    """Return every URI among the names of points, sorted, each once."""
    return tuple(
        sorted(
            {name.text for point in points for name in point.names or () if name.kind is GeneralNameKind.URI}
        )
    )
