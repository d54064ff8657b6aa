"""Name constraints over a certification path (RFC 5280 sections 4.2.1.10 and 6.1.4 (g)), every kind of name.

Lives here: reading the extension, and comparing every name that it constrains. Not here: what a name is
(`general_names.py`), where the path comes from (`path_building.py`).

Constraints of an authority hold for every certificate below it, but not for self-issued authorities (section 6.1.3
(b)). A subject counts as a directoryName, and each emailAddress in it as an rfc822Name whether or not the
certificate repeats it as one (RFC 5280 asks that only where there is no subject alternative name; this is stricter, as
OpenSSL is). The anchor's own constraints hold too (RFC 5937).

How each uncertainty falls: a kind that RFC 5280 gives no comparison for (x400Address, ediPartyName, registeredID,
otherName) is compared by equality; an excluded one then refuses every name of its kind, because "within" cannot be
told. A user principal name compares as a mail address does. A URI without a host that is a name, a mail address of
another spelling (RFC 9598) under mail constraints, a range that is no range: refused. More comparisons than the
budget: refused (threat T24).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.general_names import (
    GeneralName,
    GeneralNameKind,
    read_general_name,
    read_general_names,
    read_name_key,
)
from directory_assistance.certificate_names import attribute_values, read_distinguished_name
from directory_assistance.der import (
    SEQUENCE,
    DerSyntaxError,
    Element,
    Fields,
    read_element,
    read_elements,
    read_integer,
)
from directory_assistance.dn import DistinguishedName, prepare
from directory_assistance.errors import shorten

__all__ = ["find_name_constraint_problem"]

_NAME_CONSTRAINTS: Final = "2.5.29.30"
_ALTERNATIVE_NAME: Final = "2.5.29.17"
_EMAIL_ADDRESS: Final = "1.2.840.113549.1.9.1"
_USER_PRINCIPAL_NAME: Final = "1.3.6.1.4.1.311.20.2.3"
_INTERNATIONAL_MAIL: Final = "1.3.6.1.5.5.7.8.9"
"""SmtpUTF8Mailbox (RFC 9598): a mail address that is no rfc822Name."""

_PERMITTED: Final = 0xA0
_EXCLUDED: Final = 0xA1
_MINIMUM: Final = 0x80
_UTF8_STRING: Final = 0x0C

_MOST_SUBTREES: Final = 10_000
"""Subtrees of one certificate: 64 KiB have room for a few more."""

_MOST_COMPARISONS: Final = 50_000
"""Comparisons of one path, about 50 ms; the largest honest authorities have some hundred constraints (threat T24)."""

_HOST: Final = re.compile(
    r"\.?(?:[a-z0-9_*](?:[a-z0-9_-]{0,62})\.)*[a-z0-9_](?:[a-z0-9_-]{0,62})\.?", re.ASCII
)
_ADDRESS: Final = re.compile(r"[0-9.]+|\[.*\]?|.*:.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Constraints:
    permitted: tuple[GeneralName, ...]
    excluded: tuple[GeneralName, ...]


@dataclass(slots=True)
class _Budget:
    left: int = _MOST_COMPARISONS

    def spend(self, comparisons: int) -> None:
        self.left -= comparisons
        if self.left < 0:
            raise _TooMuchError


class _TooMuchError(Exception):
    """The budget is used up."""


class _NoComparisonError(Exception):
    """A name cannot be compared with a constraint of its kind; the text says why."""


def find_name_constraint_problem(path: Sequence[CertificateFacts]) -> str:
    """Say which name of a path its authorities may not certify, or return an empty text.

    Args:
        path: leaf first, anchor last.

    """
    budget = _Budget()
    names_of: dict[bytes, tuple[GeneralName, ...]] = {}
    for position, authority in enumerate(path):
        value = authority.extension_values.get(_NAME_CONSTRAINTS)
        if value is None or position == 0:
            continue
        where = f"issuer `{authority.subject_text}`"
        try:
            constraints = _read_constraints(value)
        except DerSyntaxError as error:
            return f"{where}: name constraints cannot be read: {shorten(str(error))}"
        for below, facts in enumerate(path[:position]):
            if below > 0 and facts.issuer_is_subject:
                continue
            try:
                if facts.der not in names_of:
                    names_of[facts.der] = _names_of(facts)
                problem = _find_problem(names_of[facts.der], constraints, budget)
            except DerSyntaxError as error:
                problem = f"its names cannot be read: {shorten(str(error))}"
            except _TooMuchError:
                return f"{where}: more name constraints and names than are compared"
            if problem:
                return f"{where} may not certify `{facts.subject_text}`: {problem}"
    return ""


def _read_constraints(value: bytes) -> _Constraints:
    fields = Fields(read_element(value, SEQUENCE).content)
    permitted, excluded = fields.take_optional(_PERMITTED), fields.take_optional(_EXCLUDED)
    fields.finish()
    if permitted is None and excluded is None:
        raise DerSyntaxError("neither permitted nor excluded subtrees")
    return _Constraints(permitted=_read_subtrees(permitted), excluded=_read_subtrees(excluded))


def _read_subtrees(subtrees: Element | None) -> tuple[GeneralName, ...]:
    if subtrees is None:
        return ()
    elements = read_elements(subtrees.content)
    if not 0 < len(elements) <= _MOST_SUBTREES:
        raise DerSyntaxError(f"expected one to {_MOST_SUBTREES} subtrees, found {len(elements)}")
    bases = []
    for element in elements:
        fields = Fields(read_element(element.encoded, SEQUENCE).content)
        base = read_general_name(fields.take_any())
        minimum = fields.take_optional(_MINIMUM)
        if minimum is not None and read_integer(minimum.content) != 0:
            raise DerSyntaxError("a subtree has a minimum, which RFC 5280 forbids")
        fields.finish()  # a maximum is left over: forbidden too
        bases.append(base)
    return tuple(bases)


def _names_of(facts: CertificateFacts) -> tuple[GeneralName, ...]:
    """Return every name of a certificate that constraints speak about."""
    value = facts.extension_values.get(_ALTERNATIVE_NAME)
    names = list(() if value is None else read_general_names(read_element(value, SEQUENCE).content))
    subject = read_distinguished_name(facts.subject_der)
    if subject is None or subject.rdns:
        names.append(
            GeneralName(
                kind=GeneralNameKind.DIRECTORY_NAME,
                key=read_name_key(facts.subject_der),
                content=facts.subject_der,
                name=subject,
            )
        )
    mails = () if subject is None else attribute_values(subject, _EMAIL_ADDRESS)
    names.extend(
        GeneralName(kind=GeneralNameKind.MAIL, key=mail, text=mail, content=mail.encode()) for mail in mails
    )
    return tuple(names)


def _find_problem(names: Sequence[GeneralName], constraints: _Constraints, budget: _Budget) -> str:
    for name in names:
        budget.spend(len(constraints.excluded) + len(constraints.permitted))
        excluded = [one for one in constraints.excluded if _constrains(one, name)]
        permitted = [one for one in constraints.permitted if _constrains(one, name)]
        try:
            for one in excluded:
                if _is_within(name, one, excluding=True):
                    return f"{_describe(name)} is excluded by {_describe(one)}"
            if permitted and not any(_is_within(name, one, excluding=False) for one in permitted):
                return f"{_describe(name)} is in none of the permitted subtrees"
        except _NoComparisonError as error:
            return f"{_describe(name)} cannot be compared: {error}"
    return ""


def _constrains(constraint: GeneralName, name: GeneralName) -> bool:
    """Whether a constraint speaks about a name at all: same kind, and for otherName the same type."""
    if constraint.kind is GeneralNameKind.MAIL and name.kind is GeneralNameKind.OTHER_NAME:
        return name.text == _INTERNATIONAL_MAIL
    if constraint.kind is not name.kind:
        return False
    return constraint.kind is not GeneralNameKind.OTHER_NAME or constraint.text == name.text


def _is_within(name: GeneralName, constraint: GeneralName, *, excluding: bool) -> bool:
    """Whether a name is in a subtree of its kind; where that cannot be told, it falls against the certificate."""
    if name.kind is GeneralNameKind.OTHER_NAME and name.text == _USER_PRINCIPAL_NAME:
        return _is_mail_within(_read_utf8(name.content), _read_utf8(constraint.content), excluding=excluding)
    within = _COMPARISONS.get(name.kind)
    if within is None:
        return excluding or name.key == constraint.key
    return within(name, constraint, excluding)


def _is_mail_name_within(name: GeneralName, constraint: GeneralName, excluding: bool) -> bool:  # noqa: FBT001 - one signature for all kinds
    return _is_mail_within(name.text, constraint.text, excluding=excluding)


def _is_mail_within(address: str, constraint: str, *, excluding: bool) -> bool:
    """Compare a mail address (RFC 5280 section 4.2.1.10): a mailbox, a host, or a domain that begins with a dot."""
    local, separator, host = address.rpartition("@")
    if not separator or not local or not host:
        raise _NoComparisonError("it is no mail address")
    # What is excluded falls under every spelling; what is permitted must be spelt so, but for ASCII case.
    fold = prepare if excluding else _ascii_lower
    host, wanted = fold(host), fold(constraint.rpartition("@")[2])
    if "@" in constraint:
        wanted_local = constraint.rpartition("@")[0]
        if not wanted_local:
            raise _NoComparisonError("the constraint is no mail address")
        return host == wanted and (
            prepare(local) == prepare(wanted_local) if excluding else local == wanted_local
        )
    if wanted.startswith("."):
        return host.endswith(wanted)
    return not wanted or host == wanted


def _ascii_lower(text: str) -> str:
    return text.encode("utf-8").lower().decode("utf-8")  # octets fold in ASCII only


def _is_dns_within(name: GeneralName, constraint: GeneralName, excluding: bool) -> bool:  # noqa: FBT001 - as above
    """Compare a DNS name: the constraint, or labels before it; a dot at its beginning asks for one label at least."""
    host = _ascii_lower(name.text).removesuffix(".")
    wanted = _ascii_lower(constraint.text).removesuffix(".")
    if _HOST.fullmatch(host) is None:
        raise _NoComparisonError("it is no DNS name")
    if wanted.startswith("."):
        inside = host.endswith(wanted)
    else:
        inside = not wanted or host == wanted or host.endswith(f".{wanted}")
    if inside or not excluding or not host.startswith("*."):
        return inside
    # A wildcard stands for names below its own: one of them may be, or be in, the excluded subtree.
    return wanted.removeprefix(".").endswith(host[1:])


def _is_uri_within(name: GeneralName, constraint: GeneralName, excluding: bool) -> bool:  # noqa: FBT001, ARG001 - as above
    """Compare the host of a URI: equal to the constraint, or below it where it begins with a dot."""
    try:
        parts: SplitResult = urlsplit(name.text)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or _ADDRESS.fullmatch(host) is not None or _HOST.fullmatch(host) is None:
        raise _NoComparisonError("it has no host that is a name")
    host, wanted = host.removesuffix("."), _ascii_lower(constraint.text).removesuffix(".")
    return host.endswith(wanted) if wanted.startswith(".") else not wanted or host == wanted


def _is_address_within(name: GeneralName, constraint: GeneralName, excluding: bool) -> bool:  # noqa: FBT001, ARG001 - as above
    """Compare an IP address with a network: address and mask (RFC 4632)."""
    address, network = name.content, constraint.content
    half = len(network) // 2
    if half not in (4, 16) or len(network) % 2 or len(address) not in (4, 16):
        raise _NoComparisonError("it, or the constraint, is no address of its length")
    mask = int.from_bytes(network[half:], "big")
    if not _is_contiguous(mask, half * 8):
        raise _NoComparisonError("the mask of the constraint is no prefix")
    if len(address) != half:
        return False
    return (int.from_bytes(address, "big") ^ int.from_bytes(network[:half], "big")) & mask == 0


def _is_contiguous(mask: int, bits: int) -> bool:
    inverted = mask ^ ((1 << bits) - 1)
    return inverted & (inverted + 1) == 0


def _is_directory_name_within(name: GeneralName, constraint: GeneralName, excluding: bool) -> bool:  # noqa: FBT001, ARG001 - as above
    """Compare distinguished names: the subtree's components are the last ones of the name, leaf first."""
    if constraint.name is None or name.name is None:
        raise _NoComparisonError("it, or the constraint, has characters or values that cannot be compared")
    return _ends_in(name.name, constraint.name)


def _ends_in(name: DistinguishedName, suffix: DistinguishedName) -> bool:
    count = len(suffix.rdns)
    return count <= len(name.rdns) and name.rdns[len(name.rdns) - count :] == suffix.rdns


_COMPARISONS: Final[dict[GeneralNameKind, Callable[[GeneralName, GeneralName, bool], bool]]] = {
    GeneralNameKind.MAIL: _is_mail_name_within,
    GeneralNameKind.DNS: _is_dns_within,
    GeneralNameKind.URI: _is_uri_within,
    GeneralNameKind.IP_ADDRESS: _is_address_within,
    GeneralNameKind.DIRECTORY_NAME: _is_directory_name_within,
}
"""How names of a kind compare; kinds that are not here compare by equality."""


def _read_utf8(value: bytes) -> str:
    try:
        return read_element(value, _UTF8_STRING).content.decode("utf-8")
    except (DerSyntaxError, UnicodeDecodeError) as error:
        raise _NoComparisonError("it, or the constraint, is no UTF8String") from error


def _describe(name: GeneralName) -> str:
    text = name.text or (name.content.hex() if name.kind is not GeneralNameKind.DIRECTORY_NAME else "")
    return f"{name.kind.value} `{shorten(text)}`" if text else f"its {name.kind.value}"
