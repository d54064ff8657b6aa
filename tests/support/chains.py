"""Generated certification paths, with everything that RFC 5280 section 6 judges by, as batch cases.

What lives here: hypothesis strategies for chains over constraints, policies, mappings, path lengths, name constraints
of every kind, key usages, dates, self-issued certificates, cross-signs and revocation; and for certificates that
something was done to. What does not: who is right about them (`tests/differences.md`), pools made to be expensive
(`hostile.py`).

Most of a chain is in order, so that what is not decides; values come from small sets, so that they meet.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from ipaddress import ip_network
from typing import Literal, TypeVar

from cryptography import x509
from hypothesis import strategies as st

from directory_assistance.der import read_elements
from tests.support.batch import BatchCase, batch_case
from tests.support.pki import (
    CA_KEY_USAGE,
    CLIENT_AUTH,
    CLIENT_KEY_USAGE,
    NOW,
    SERVER_AUTH,
    Authority,
    Issued,
    IssuedCrl,
    PrivateKey,
    der_element,
    dns,
    generate_key,
    key_usage,
    mail,
    name_from_text,
    resigned,
    upn,
    uri,
)

__all__ = ["GeneratedCase", "chains", "mutations", "policy_mappings"]

ANY = "2.5.29.32.0"
POLICIES = tuple(f"1.3.6.1.4.1.99.{number}" for number in (1, 2, 3))

_POLICY_MAPPINGS = x509.ObjectIdentifier("2.5.29.33")
_UNKNOWN = x509.ObjectIdentifier("1.3.6.1.4.1.99.42")

_SUBJECTS = (
    "CN=Dave,O=Renovations",
    "CN=Dave,OU=Sales,O=Renovations",
    "CN=dave,OU=SALES,O=renovations",
    "CN=Eve,O=Elsewhere",
    "E=dave@renovations.example,CN=Dave,O=Renovations",
    "",
)
_ALTERNATIVES: tuple[Callable[[], x509.GeneralName], ...] = (
    lambda: mail("dave@renovations.example"),
    lambda: mail("dave@mail.renovations.example"),
    lambda: mail("eve@elsewhere.example"),
    lambda: dns("host.renovations.example"),
    lambda: dns("elsewhere.example"),
    lambda: dns("*.renovations.example"),
    lambda: uri("https://host.renovations.example/x"),
    lambda: uri("https://elsewhere.example"),
    lambda: x509.IPAddress(ip_network("192.0.2.7/32")[0]),
    lambda: x509.IPAddress(ip_network("2001:db8::7/128")[0]),
    lambda: x509.DirectoryName(name_from_text("CN=Dave,OU=Sales,O=Renovations")),
    lambda: x509.DirectoryName(name_from_text("CN=Eve,O=Elsewhere")),
    lambda: upn("dave@renovations.example"),
    lambda: x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")),
)
_WILDCARD = 5
"""Which of them that is."""

_SUBTREES: tuple[Callable[[], x509.GeneralName], ...] = (
    lambda: x509.DirectoryName(name_from_text("O=Renovations")),
    lambda: x509.DirectoryName(name_from_text("OU=Sales,O=Renovations")),
    lambda: x509.DirectoryName(name_from_text("O=Elsewhere")),
    lambda: mail("renovations.example"),
    lambda: mail(".renovations.example"),
    lambda: mail("dave@renovations.example"),
    lambda: dns("renovations.example"),
    lambda: dns("host.renovations.example"),
    lambda: dns("elsewhere.example"),
    lambda: uri("host.renovations.example"),
    lambda: uri(".renovations.example"),
    lambda: uri("elsewhere.example"),
    lambda: x509.IPAddress(ip_network("192.0.2.0/24")),
    lambda: x509.IPAddress(ip_network("198.51.100.0/24")),
    lambda: x509.IPAddress(ip_network("2001:db8::/32")),
    lambda: upn("dave@renovations.example"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedCase:
    """A batch case, and its marks: what is in it that `tests/differences.md` speaks of."""

    batch: BatchCase
    marks: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extensions:
    """What one certificate says about policies and names."""

    policies: tuple[str, ...] | None
    mappings: tuple[tuple[str, str], ...]
    require_explicit: int | None
    inhibit_mapping: int | None
    inhibit_any: int | None
    permitted: tuple[int, ...]
    excluded: tuple[int, ...]
    unknown_critical: bool

    def built(self) -> list[tuple[x509.ExtensionType, bool]]:
        """Return the extensions that are there, each with whether it is critical."""
        found: list[tuple[x509.ExtensionType, bool]] = []
        if self.policies is not None:
            policies = [x509.PolicyInformation(x509.ObjectIdentifier(one), None) for one in self.policies]
            found.append((x509.CertificatePolicies(policies), False))
        if self.mappings:
            found.append((policy_mappings(self.mappings), True))
        if self.require_explicit is not None or self.inhibit_mapping is not None:
            found.append((x509.PolicyConstraints(self.require_explicit, self.inhibit_mapping), True))
        if self.inhibit_any is not None:
            found.append((x509.InhibitAnyPolicy(self.inhibit_any), True))
        if self.permitted or self.excluded:
            found.append(
                (
                    x509.NameConstraints(
                        [_SUBTREES[one]() for one in self.permitted] or None,
                        [_SUBTREES[one]() for one in self.excluded] or None,
                    ),
                    True,
                )
            )
        if self.unknown_critical:
            found.append((x509.UnrecognizedExtension(_UNKNOWN, b"\x05\x00"), True))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _AuthorityPlan:
    extensions: _Extensions
    path_length: int | None
    constraints: bool
    usage: x509.KeyUsage | None
    dates: tuple[datetime, datetime] | None
    self_issued: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _LeafPlan:
    extensions: _Extensions
    subject: str
    alternatives: tuple[int, ...]
    usage: x509.KeyUsage | None
    eku: tuple[x509.ObjectIdentifier, ...] | None
    is_authority: bool
    dates: tuple[datetime, datetime] | None


@cache
def _keys() -> tuple[PrivateKey, ...]:
    """Return the keys of all chains: making new ones would cost more than everything else."""
    return tuple(generate_key() for _ in range(10))


def _key(number: int) -> PrivateKey:
    return _keys()[number]


def policy_mappings(mappings: Iterable[tuple[str, str]]) -> x509.UnrecognizedExtension:
    """Return the extension that `cryptography` has no class for (RFC 5280 section 4.2.1.5)."""
    pairs = b"".join(
        der_element(0x30, _oid(issuers) + _oid(subjects)) for issuers, subjects in dict.fromkeys(mappings)
    )
    return x509.UnrecognizedExtension(_POLICY_MAPPINGS, der_element(0x30, pairs))


def _oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    octets = [first * 40 + second]
    for arc in rest:
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(arc & 0x7F | 0x80)
        octets += reversed(digits)
    return der_element(0x06, bytes(octets))


_V = TypeVar("_V")


def _mostly(usual: _V, *odd: _V) -> st.SearchStrategy[_V]:
    """Return the usual value in nineteen of twenty draws: a chain has some twenty of them."""
    return st.integers(min_value=0, max_value=19).flatmap(
        lambda drawn: st.sampled_from(odd) if drawn == 13 else st.just(usual)
    )


_EXPIRED = (NOW - timedelta(days=30), NOW - timedelta(days=2))
_FUTURE = (NOW + timedelta(days=2), NOW + timedelta(days=30))
_DATES = _mostly(None, _EXPIRED, _FUTURE)
_POLICY_SETS = st.one_of(
    st.just((POLICIES[0],)),
    st.just(POLICIES[:2]),
    st.just((ANY,)),
    st.none(),
    st.lists(st.sampled_from((ANY, *POLICIES)), min_size=1, max_size=3, unique=True).map(tuple),
)
_SOME_MAPPINGS = st.lists(
    st.tuples(st.sampled_from(POLICIES), st.sampled_from(POLICIES)), min_size=1, max_size=3, unique=True
).map(tuple)
_MAPPINGS = st.one_of(st.just(()), st.just(()), st.just(()), _SOME_MAPPINGS)
_SKIPS = st.sampled_from((None, None, None, None, None, None, 0, 1, 2))


def _subtrees() -> st.SearchStrategy[tuple[int, ...]]:
    some = st.lists(st.sampled_from(range(len(_SUBTREES))), min_size=1, max_size=3, unique=True).map(tuple)
    return st.one_of(*([st.just(())] * 7), some)


_AUTHORITY_EXTENSIONS = st.builds(
    _Extensions,
    policies=_POLICY_SETS,
    mappings=_MAPPINGS,
    require_explicit=_SKIPS,
    inhibit_mapping=_SKIPS,
    inhibit_any=_SKIPS,
    permitted=_subtrees(),
    excluded=_subtrees(),
    unknown_critical=_mostly(False, True),
)
_LEAF_EXTENSIONS = st.builds(
    _Extensions,
    policies=_POLICY_SETS,
    mappings=st.just(()),
    require_explicit=_mostly(None, 0, 1),
    inhibit_mapping=st.none(),
    inhibit_any=st.none(),
    permitted=st.just(()),
    excluded=st.just(()),
    unknown_critical=_mostly(False, True),
)
_AUTHORITIES = st.builds(
    _AuthorityPlan,
    extensions=_AUTHORITY_EXTENSIONS,
    path_length=_mostly(None, 0, 1, 2),
    constraints=_mostly(True, False),
    usage=_mostly(CA_KEY_USAGE, None, key_usage("crl_sign")),
    dates=_DATES,
    self_issued=_mostly(False, True),
)
_LEAVES = st.builds(
    _LeafPlan,
    extensions=_LEAF_EXTENSIONS,
    subject=st.sampled_from(_SUBJECTS),
    alternatives=st.lists(st.sampled_from(range(len(_ALTERNATIVES))), max_size=3, unique=True).map(tuple),
    usage=_mostly(CLIENT_KEY_USAGE, None, key_usage("key_encipherment")),
    eku=_mostly((CLIENT_AUTH,), None, (SERVER_AUTH,)),
    is_authority=_mostly(False, True),
    dates=_DATES,
)


_ROOT_EXTENSIONS = _mostly(
    (),
    ((x509.NameConstraints([_SUBTREES[0]()], None), True),),
    ((x509.PolicyConstraints(0, None), True),),
    ((x509.InhibitAnyPolicy(0), True),),
)


@st.composite
def chains(draw: st.DrawFn, *, revocation: bool = False) -> GeneratedCase:
    """Return a strategy for chains of up to four intermediates, with hints beside them that lead elsewhere.

    Args:
        draw: hypothesis' own.
        revocation: whether lists are asked; then every authority has one, or lacks it, or revokes what is below it.

    """
    plans = draw(st.lists(_AUTHORITIES, max_size=4))
    leaf_plan = draw(_LEAVES)
    root_extensions = draw(_ROOT_EXTENSIONS)
    root_length = draw(_mostly(None, 0, 1))
    root = Authority.root(
        "CN=Root,O=Roots", now=NOW, key=_key(0), serial=1, path_length=root_length, extensions=root_extensions
    )
    authorities = [root]
    for number, plan in enumerate(plans, start=1):
        authorities.append(_issue_authority(authorities[-1], plan, number))
    leaf = _issue_leaf(authorities[-1], leaf_plan)
    hints = [one.der for one in authorities[1:]]
    marks = _marks(plans, leaf_plan)
    if root_extensions or root_length is not None:
        marks.add("constrained anchor")
    cross_signed = draw(_mostly(False, True))
    if plans and cross_signed:
        hints.append(_cross_signed(draw(st.sampled_from(authorities[1:]))).der)
        marks.add("cross-sign")
    if any(plan.self_issued for plan in plans):
        marks.add("self-issued")
    crls = draw(_lists(authorities, leaf)) if revocation else []
    profile: Literal["client", "rfc5280"] = draw(st.sampled_from(("rfc5280", "rfc5280", "rfc5280", "client")))
    if profile == "client":
        marks.add("client profile")
    return GeneratedCase(
        batch=batch_case(
            leaf,
            [root],
            intermediates=draw(st.permutations(hints)),
            crls=crls,
            policies=draw(st.sampled_from(((), (), (), POLICIES[:1], POLICIES[1:], POLICIES))),
            explicit_policy=draw(st.sampled_from((False, False, True))),
            inhibit_policy_mapping=draw(st.sampled_from((False, False, False, True))),
            inhibit_any_policy=draw(st.sampled_from((False, False, False, True))),
            profile=profile,
            revocation="require" if revocation else "off",
        ),
        marks=frozenset(marks),
    )


def _marks(plans: list[_AuthorityPlan], leaf: _LeafPlan) -> set[str]:
    """Return what is in a chain that implementations read in different ways."""
    marks = {f"alternative name {_ALTERNATIVES[one]().__class__.__name__}" for one in leaf.alternatives}
    for plan in plans:
        subtrees = (*plan.extensions.permitted, *plan.extensions.excluded)
        marks |= {f"constraint {_SUBTREES[one]().__class__.__name__}" for one in subtrees}
    if leaf.subject.startswith("E="):
        marks.add("mail in subject")
    if any(plan.extensions.mappings and ANY in (plan.extensions.policies or ()) for plan in plans):
        marks.add("mapped anyPolicy")
    if _WILDCARD in leaf.alternatives:
        marks.add("wildcard")
    return marks


@st.composite
def _lists(draw: st.DrawFn, authorities: list[Authority], leaf: Issued) -> list[IssuedCrl]:
    """Return a strategy for the lists of all authorities: mostly in order, some missing, expired or revoking."""
    below: list[Authority | Issued] = [*authorities[1:], leaf]
    crls = []
    for authority, subject in zip(authorities, below, strict=True):
        listed = draw(_mostly("nothing", "the one below", "no list", "expired list"))
        if listed != "no list":
            crls.append(
                authority.crl(
                    [subject] if listed == "the one below" else [4711],
                    next_update=NOW - timedelta(minutes=1) if listed == "expired list" else None,
                )
            )
    return crls


def _issue_authority(issuer: Authority, plan: _AuthorityPlan, number: int) -> Authority:
    begin, end = plan.dates or (None, None)
    subject = issuer.certificate.subject if plan.self_issued else f"CN=CA {number},O=Renovations"
    return issuer.issue_authority(
        subject,
        key=_key(number),
        not_before=begin,
        not_after=end,
        path_length=plan.path_length,
        basic_constraints=plan.constraints,
        key_usage=plan.usage,
        serial=number + 1,
        extensions=plan.extensions.built(),
    )


def _issue_leaf(issuer: Authority, plan: _LeafPlan) -> Issued:
    begin, end = plan.dates or (None, None)
    return issuer.issue(
        plan.subject,
        key=_key(9),
        not_before=begin,
        not_after=end,
        eku=plan.eku,
        key_usage=plan.usage,
        san=[_ALTERNATIVES[one]() for one in plan.alternatives],
        serial=99,
        basic_constraints=x509.BasicConstraints(ca=True, path_length=None) if plan.is_authority else None,
        extensions=plan.extensions.built(),
    )


def _cross_signed(authority: Authority) -> Authority:
    """Return another certificate of the same name and key, by a root that nobody trusts."""
    stranger = Authority.root("CN=Stranger", now=NOW, key=_key(8), serial=7)
    return stranger.issue_authority(
        authority.certificate.subject, key=authority.key, path_length=None, serial=8
    )


@st.composite
def mutations(draw: st.DrawFn) -> GeneratedCase:
    """Return a strategy for an ordinary chain of which one certificate had something done to it.

    Either to its octets as they are, so that the signature should break, or to the fields of its signed part, which are
    signed again: then reading must notice.
    """
    root = Authority.root("CN=Root,O=Roots", now=NOW, key=_key(0), serial=1)
    extensions = [
        (x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(POLICIES[0]), None)]), False),
        (x509.NameConstraints([_SUBTREES[0]()], None), True),
    ]
    issuing = root.issue_authority("CN=CA,O=Renovations", key=_key(1), serial=2, extensions=extensions)
    leaf = issuing.issue(
        key=_key(9), san=[mail("dave@renovations.example")], serial=3, extensions=extensions[:1]
    )
    of_leaf = draw(st.booleans())
    der = leaf.der if of_leaf else issuing.der
    signed_again = draw(st.booleans())
    if signed_again:
        key = issuing.key if of_leaf else root.key
        changed = resigned(der, key, edit=draw(_edits()))
    else:
        changed = draw(_scratches(der))
    return GeneratedCase(
        batch=batch_case(
            changed if of_leaf else leaf, [root], intermediates=[issuing.der if of_leaf else changed]
        ),
        marks=frozenset({"signed again" if signed_again else "scratched"} if changed != der else ()),
    )


@st.composite
def _scratches(draw: st.DrawFn, der: bytes) -> bytes:
    """Return a strategy for other octets than these: a bit, an octet, a piece left out or repeated, an end."""
    # a fraction, because a signature is an octet or two longer at one time than at another
    place = draw(st.integers(min_value=0, max_value=9_999)) * len(der) // 10_000
    piece = draw(st.integers(min_value=1, max_value=12))
    match draw(st.sampled_from(("bit", "octet", "cut", "left out", "repeated", "longer"))):
        case "bit":
            flipped = der[place] ^ 1 << draw(st.integers(min_value=0, max_value=7))
            return der[:place] + bytes([flipped]) + der[place + 1 :]
        case "octet":
            return der[:place] + bytes([draw(st.integers(min_value=0, max_value=255))]) + der[place + 1 :]
        case "cut":
            return der[:place] or der
        case "left out":
            return der[:place] + der[place + piece :] or der
        case "repeated":
            return der[: place + piece] + der[place:]
        case _:
            return der + draw(st.binary(min_size=1, max_size=8))


_Edit = Callable[[list[bytes]], list[bytes]]


@st.composite
def _edits(draw: st.DrawFn) -> _Edit:
    """Return a strategy for functions that change a list of encoded fields, in it or in a field of it."""
    what = draw(st.sampled_from(("repeat", "leave out", "swap", "another tag", "empty", "other octets")))
    place = draw(st.integers(min_value=0, max_value=9))
    other = draw(st.integers(min_value=0, max_value=9))
    tag = draw(
        st.sampled_from((0x02, 0x03, 0x04, 0x05, 0x0C, 0x13, 0x16, 0x17, 0x18, 0x30, 0x31, 0x80, 0xA0))
    )
    octet = draw(st.integers(min_value=0, max_value=255))
    depth = draw(st.integers(min_value=0, max_value=6))
    turns = draw(st.lists(st.integers(min_value=0, max_value=9), min_size=6, max_size=6))

    def change(fields: list[bytes]) -> list[bytes]:
        at, beside = place % len(fields), other % len(fields)
        (field,) = read_elements(fields[at])
        match what:
            case "repeat":
                return [*fields[: at + 1], *fields[at:]]
            case "leave out":
                return [*fields[:at], *fields[at + 1 :]]
            case "swap":
                swapped = list(fields)
                swapped[at], swapped[beside] = fields[beside], fields[at]
                return swapped
            case "another tag":
                return [*fields[:at], der_element(tag, field.content), *fields[at + 1 :]]
            case "empty":
                return [*fields[:at], der_element(field.tag, b""), *fields[at + 1 :]]
            case _:
                content = bytearray(field.content or b"\0")
                content[other % len(content)] = octet
                return [*fields[:at], der_element(field.tag, bytes(content)), *fields[at + 1 :]]

    def descend(fields: list[bytes], left: int) -> list[bytes]:
        """Go down into constructed fields as far as was drawn, and change there."""
        inner = [position for position, field in enumerate(fields) if field[0] & 0x20 and len(field) > 4]
        if left == 0 or not inner:
            return change(fields)
        at = inner[turns[left - 1] % len(inner)]
        (element,) = read_elements(fields[at])
        below = descend([one.encoded for one in read_elements(element.content)], left - 1)
        return [*fields[:at], der_element(element.tag, b"".join(below)), *fields[at + 1 :]]

    return lambda fields: descend(fields, depth)
