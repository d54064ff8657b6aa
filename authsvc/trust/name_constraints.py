"""Name constraints over a certification path (RFC 5280 sections 4.2.1.10 and 6.1.4 (g)), every kind of name.

Lives here: reading the extension, and comparing every name that it constrains. Not here: what a name is
(`general_names.py`), where the path comes from (`path_building.py`).

Constraints of an authority hold for every certificate below it, but not for self-issued authorities (section 6.1.3
(b)). A subject counts as a directoryName, and each emailAddress in it as an rfc822Name whether or not the
certificate repeats it as one (RFC 5280 asks that only where there is no subject alternative name; this is stricter, as
OpenSSL is). The anchor's own constraints hold too (RFC 5937).

How each uncertainty falls: a kind that RFC 5280 gives no comparison for (x400Address, ediPartyName, registeredID,
otherName) is compared by equality; an excluded one then refuses every name of its kind, because "within" cannot be
told. A user principal name compares as a mail address does. A name under constraints of its kind, and a constraint,
must be what its kind says, in one reading (no second `@`, no backslash, no partial wildcard, no address in a host's
place, no mail address of another spelling (RFC 9598)), else the certificate is refused. An IPv4 address is excluded as
an IPv6 address too that stands for it. More comparisons than the budget: refused (threat T24).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

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
    read_integer,
    read_members,
)
from directory_assistance.dn import DistinguishedName, prepare
from directory_assistance.errors import shorten

__all__ = ["NameConstraintChecks"]

_NAME_CONSTRAINTS: Final = "2.5.29.30"
_ALTERNATIVE_NAME: Final = "2.5.29.17"
_EMAIL_ADDRESS: Final = "1.2.840.113549.1.9.1"
_EMAIL_ADDRESS_DER: Final = bytes.fromhex("06092a864886f70d010901")
_USER_PRINCIPAL_NAME: Final = "1.3.6.1.4.1.311.20.2.3"
_INTERNATIONAL_MAIL: Final = "1.3.6.1.5.5.7.8.9"
"""SmtpUTF8Mailbox (RFC 9598): a mail address that is no rfc822Name."""

_PERMITTED: Final = 0xA0
_EXCLUDED: Final = 0xA1
_MINIMUM: Final = 0x80
_UTF8_STRING: Final = 0x0C

_MOST_SUBTREES: Final = 1_000
"""Permitted, or excluded, subtrees of one certificate; reading them takes 10 ms. Honest ones have some hundred."""

_MOST_COMPARISONS: Final = 20_000
"""Comparisons of all paths of one question, some 50 ms; the largest honest ones need some thousand (threat T24)."""

_OCTETS_OF_A_COMPARISON: Final = 16
"""Octets of text for which one comparison more is counted: folding a long text costs more than anything else here."""

_LABEL: Final = r"[a-z0-9_][a-z0-9_-]{0,62}"
_HOST: Final = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}\.?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
"""The last label of what browsers and C libraries take for an IPv4 address: `127.1`, `0x7f.1`."""

_URI: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[^@/?#\\\[\]]*@)?(?P<host>[a-z0-9_.-]+)(?::[0-9]*)?(?:[/?#][^\\]*)?", re.ASCII
)
"""A URI with a host (RFC 3986 section 3), in small letters; what two readers might split differently is none."""

_NOT_IN_HOSTS: Final = re.compile(r"[\s\x00-\x20\x7f\"(),:;<>@\[\\\]]")

_IPV4_IN_IPV6: Final = bytes(10) + b"\xff\xff"
"""How an IPv6 address begins that stands for an IPv4 address (RFC 4291 section 2.5.5.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Constraints:
    permitted: tuple[GeneralName, ...]
    excluded: tuple[GeneralName, ...]


class _TooMuchError(Exception):
    """The budget is used up."""


class _NoComparisonError(Exception):
    """A name cannot be compared with a constraint of its kind; the text says why."""


class NameConstraintChecks:
    """Holds the names of paths against the constraints of their authorities: one budget for all paths of a question.

    Each certificate is read once, and each pair of authority and certificate compared once, however many paths go
    through it.
    """

    __slots__ = ("_constraints", "_left", "_names", "_problems")

    def __init__(self) -> None:
        self._left = _MOST_COMPARISONS
        self._constraints: dict[bytes, _Constraints | str] = {}
        self._names: dict[bytes, tuple[GeneralName, ...]] = {}
        self._problems: dict[tuple[bytes, bytes], str] = {}

    def find_problem(self, path: Sequence[CertificateFacts]) -> str:
        """Say which name of a path its authorities may not certify, or return an empty text.

        Args:
            path: leaf first, anchor last.

        """
        for position, authority in enumerate(path):
            value = authority.extension_values.get(_NAME_CONSTRAINTS)
            if value is None or position == 0:
                continue
            where = f"issuer `{authority.subject_text}`"
            constraints = self._read_constraints(authority.sha256, value)
            if isinstance(constraints, str):
                return f"{where}: name constraints cannot be read: {constraints}"
            for below, facts in enumerate(path[:position]):
                if below > 0 and facts.issuer_is_subject:
                    continue
                try:
                    problem = self._compare(authority, facts, constraints)
                except _TooMuchError:
                    return f"{where}: more name constraints and names than are compared"
                if problem:
                    return f"{where} may not certify `{facts.subject_text}`: {problem}"
        return ""

    def _read_constraints(self, digest: bytes, value: bytes) -> "_Constraints | str":
        """Return constraints, or why they cannot be read."""
        if digest not in self._constraints:
            try:
                self._constraints[digest] = _read_constraints(value)
            except DerSyntaxError as error:
                self._constraints[digest] = shorten(str(error))
        return self._constraints[digest]

    def _compare(
        self, authority: CertificateFacts, facts: CertificateFacts, constraints: _Constraints
    ) -> str:
        pair = (authority.sha256, facts.sha256)
        if pair not in self._problems:
            try:
                if facts.sha256 not in self._names:
                    self._names[facts.sha256] = _names_of(facts)
                self._problems[pair] = self._find_problem(self._names[facts.sha256], constraints)
            except DerSyntaxError as error:
                self._problems[pair] = f"its names cannot be read: {shorten(str(error))}"
        return self._problems[pair]

    def _find_problem(self, names: Sequence[GeneralName], constraints: _Constraints) -> str:
        for name in names:
            excluded = [one for one in constraints.excluded if _constrains(one, name)]
            permitted = [one for one in constraints.permitted if _constrains(one, name)]
            self._spend(len(constraints.excluded) + len(constraints.permitted))
            self._spend(
                sum(map(_length, (*excluded, *permitted, name))) + len(excluded + permitted) * _length(name)
            )
            try:
                for one in excluded:
                    if _is_within(name, one, excluding=True):
                        return f"{_describe(name)} is excluded by {_describe(one)}"
                # All are asked, so that one which cannot be compared refuses wherever it stands.
                inside = [_is_within(name, one, excluding=False) for one in permitted]
                if permitted and not any(inside):
                    return f"{_describe(name)} is in none of the permitted subtrees"
            except _NoComparisonError as error:
                return f"{_describe(name)} cannot be compared: {error}"
        return ""

    def _spend(self, comparisons: int) -> None:
        self._left -= comparisons
        if self._left < 0:
            raise _TooMuchError


def _length(name: GeneralName) -> int:
    """Return how many comparisons the folding of a name is worth; distinguished names are folded when read."""
    return 0 if name.kind is GeneralNameKind.DIRECTORY_NAME else len(name.content) // _OCTETS_OF_A_COMPARISON


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
    elements = read_members(subtrees.content, SEQUENCE)
    if len(elements) > _MOST_SUBTREES:
        raise DerSyntaxError(f"expected at most {_MOST_SUBTREES} subtrees, found {len(elements)}")
    bases = []
    for element in elements:
        fields = Fields(element.content)
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
    if subject is not None:
        mails = attribute_values(subject, _EMAIL_ADDRESS)
    else:
        # What stands there cannot be told: an empty one is in no subtree.
        mails = ("",) if _EMAIL_ADDRESS_DER in facts.subject_der else ()
    names.extend(
        GeneralName(kind=GeneralNameKind.MAIL, key=mail, text=mail, content=mail.encode()) for mail in mails
    )
    return tuple(names)


def _constrains(constraint: GeneralName, name: GeneralName) -> bool:
    """Whether a constraint speaks about a name at all: same kind, and for otherName the same type."""
    if constraint.kind is GeneralNameKind.MAIL and name.kind is GeneralNameKind.OTHER_NAME:
        return name.text == _INTERNATIONAL_MAIL
    if constraint.kind is not name.kind:
        return False
    return constraint.kind is not GeneralNameKind.OTHER_NAME or constraint.text == name.text


def _is_within(name: GeneralName, constraint: GeneralName, *, excluding: bool) -> bool:
    """Whether a name is in a subtree of its kind; where that cannot be told, it falls against the certificate."""
    if name.kind is not constraint.kind:
        raise _NoComparisonError("it is a mail address of another spelling")
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
    # What is excluded falls under every spelling; what is permitted must be spelt so, but for ASCII case.
    fold = _fold_all if excluding else _ascii_lower
    local, host = _split_mail(address, "it is no mail address")
    host = fold(host)
    if "@" in constraint:
        wanted_local, wanted = _split_mail(constraint, "the constraint is no mail address")
        same_local = prepare(local) == prepare(wanted_local) if excluding else local == wanted_local
        return same_local and host == fold(wanted)
    wanted = fold(constraint)
    if wanted:
        _require_host(wanted.removeprefix("."), "the constraint is no host or domain")
    if excluding and "xn--" in host + wanted and not (host + wanted).isascii():
        raise _NoComparisonError("it, or the constraint, is an internationalised name of another spelling")
    return host.endswith(wanted) if wanted.startswith(".") else not wanted or host == wanted


def _split_mail(address: str, otherwise: str) -> tuple[str, str]:
    """Return local part and host. A second `@` may stand in a quoted local part only, so that all split alike."""
    local, _, host = address.rpartition("@")
    quoted = len(local) > 2 and local.startswith('"') and local.endswith('"')
    if not local or ("@" in local and not quoted):
        raise _NoComparisonError(otherwise)
    _require_host(host, otherwise)
    return local, host


def _require_host(host: str, otherwise: str) -> None:
    """Refuse what no host of a mail address looks like; letters of all scripts may stand in one."""
    if not all(host.split(".")) or _NOT_IN_HOSTS.search(host) is not None:
        raise _NoComparisonError(otherwise)


def _fold_all(host: str) -> str:
    return prepare(host).replace(
        "\N{IDEOGRAPHIC FULL STOP}", "."
    )  # a dot to whoever looks the host up (RFC 3490)


def _ascii_lower(text: str) -> str:
    return text.encode("utf-8").lower().decode("utf-8")  # octets fold in ASCII only


def _is_dns_within(name: GeneralName, constraint: GeneralName, excluding: bool) -> bool:  # noqa: FBT001 - as above
    """Compare a DNS name: the constraint, or labels before it; a dot at its beginning asks for one label at least."""
    host = _ascii_lower(name.text)
    if _HOST.fullmatch(host.removeprefix("*.")) is None:
        raise _NoComparisonError("it is no DNS name")
    host, wanted = host.removesuffix("."), _read_host_constraint(constraint)
    if wanted.startswith("."):
        inside = host.endswith(wanted)
    else:
        inside = not wanted or host == wanted or host.endswith(f".{wanted}")
    if inside or not excluding or not host.startswith("*."):
        return inside
    # A wildcard stands for names below its own: one of them may be, or be in, the excluded subtree.
    return wanted.removeprefix(".").endswith(host[1:])


def _read_host_constraint(constraint: GeneralName) -> str:
    """Return the host or, beginning with a dot, the domain of a constraint in small letters; empty for every host."""
    wanted = _ascii_lower(constraint.text)
    if wanted and _HOST.fullmatch(wanted.removeprefix(".")) is None:
        raise _NoComparisonError("the constraint is no host or domain")
    return wanted.removesuffix(".")


def _is_uri_within(name: GeneralName, constraint: GeneralName, excluding: bool) -> bool:  # noqa: FBT001, ARG001 - as above
    """Compare the host of a URI: equal to the constraint, or below it where it begins with a dot."""
    parts = _URI.fullmatch(_ascii_lower(name.text))
    if parts is None or not name.text.isprintable() or " " in name.text:
        raise _NoComparisonError("it has no host, or not one alone")
    host = parts["host"]
    if (
        _HOST.fullmatch(host) is None
        or _NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]) is not None
    ):
        raise _NoComparisonError("its host is no name")
    host, wanted = host.removesuffix("."), _read_host_constraint(constraint)
    return host.endswith(wanted) if wanted.startswith(".") else not wanted or host == wanted


def _is_address_within(name: GeneralName, constraint: GeneralName, excluding: bool) -> bool:  # noqa: FBT001 - as above
    """Compare an IP address with a network: address and mask (RFC 4632)."""
    address, half = name.content, len(constraint.content) // 2
    network, mask = constraint.content[:half], constraint.content[half:]
    if half not in (4, 16) or len(network) != len(mask) or len(address) not in (4, 16):
        raise _NoComparisonError("it, or the constraint, is no address of its length")
    if not _is_contiguous(int.from_bytes(mask, "big"), half * 8):
        raise _NoComparisonError("the mask of the constraint is no prefix")
    if _is_in_network(address, network, mask):
        return True
    if not excluding:
        return False
    if network.startswith(_IPV4_IN_IPV6) and mask.startswith(b"\xff" * len(_IPV4_IN_IPV6)):
        network, mask = network[len(_IPV4_IN_IPV6) :], mask[len(_IPV4_IN_IPV6) :]
    return _is_in_network(_as_ipv4(address), network, mask)


def _is_in_network(address: bytes, network: bytes, mask: bytes) -> bool:
    differing = int.from_bytes(address, "big") ^ int.from_bytes(network, "big")
    return len(address) == len(network) and differing & int.from_bytes(mask, "big") == 0


def _as_ipv4(address: bytes) -> bytes:
    """Return the IPv4 address that an IPv6 address stands for; any other as it is."""
    return address.removeprefix(_IPV4_IN_IPV6)


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
