"""From the names a certificate asserts to the ordered questions put to a directory.

A *candidate* is one question: "whose common name is this?", "who holds this certificate?". Which questions,
and in which order, is the directory's *match plan*. Binding (what the entry found must hold) is
`search.py`; how a question is spelled for a server is the backend's affair.

Invariants:

* A way that cannot be asked is skipped with its reason, never asked in a weaker form: no fact, several
  facts without `multiple: first`, a fact that is blank, made of `*` only, or has characters that no name may hold
  (threats T44, T46, T47, T53).
* A candidate holds raw values; nothing here escapes.
* An unusable certificate yields no candidate at all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar, assert_never

from directory_assistance.certificate_names import CertificateNames, attribute_values
from directory_assistance.dn import DistinguishedName, render_ldap
from directory_assistance.filter_templates import FilterTemplate, fill_template, template_facts
from directory_assistance.filters import FactValue, Filter, is_blank_or_asterisks, is_unusable

__all__ = [
    "BindBy",
    "Candidate",
    "CandidatePlan",
    "CertificateCandidate",
    "FilterCandidate",
    "FindBy",
    "FindWay",
    "IssuerSerialCandidate",
    "MatchPlan",
    "SidCandidate",
    "SubjectCandidate",
    "SubjectKeyIdCandidate",
    "TextCandidate",
    "plan_candidates",
]


_Value = TypeVar("_Value", str, FactValue)


class FindBy(StrEnum):
    """The ways to find an entry (semantics: From certificate to entry)."""

    SUBJECT = "subject"
    COMMON_NAME = "common_name"
    MAIL = "mail"
    UPN = "upn"
    UID = "uid"
    CERTIFICATE = "certificate"
    ISSUER_SERIAL = "issuer_serial"
    SUBJECT_KEY_ID = "subject_key_id"
    SID = "sid"
    FILTER = "filter"

    @property
    def unique(self) -> bool:
        """Whether the fact belongs to one entry at most: asking for two is enough to see ambiguity."""
        return self in {FindBy.CERTIFICATE, FindBy.ISSUER_SERIAL, FindBy.SUBJECT_KEY_ID, FindBy.SID}


class BindBy(StrEnum):
    """What the entry found must hold (semantics: From certificate to entry)."""

    CERTIFICATE = "certificate"
    PUBLIC_KEY = "public_key"
    ISSUER_SERIAL = "issuer_serial"
    SUBJECT_KEY_ID = "subject_key_id"
    SID = "sid"
    NAME = "name"
    INSECURE_NAME_ONLY = "insecure_name_only"

    @property
    def needs_issued_by(self) -> bool:
        """Whether the binding rests on a statement of the CA, and so needs `issued_by`."""
        return self in {BindBy.ISSUER_SERIAL, BindBy.SUBJECT_KEY_ID, BindBy.SID, BindBy.NAME}


@dataclass(frozen=True, slots=True, kw_only=True)
class FindWay:
    """One way of a match plan, with its options.

    `first_of_several`: take the first of several values instead of skipping the way (`multiple: first`).
    `legacy_subject_email`: for `mail`, fall to the subject's emailAddress when the SAN has no rfc822Name.
    `template`: for `filter`, the RFC 4515 template as `read_filter_template` made it; None makes the way
    skipped.
    """

    find_by: FindBy
    first_of_several: bool = False
    legacy_subject_email: bool = False
    template: FilterTemplate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchPlan:
    """The ordered ways of one directory, what binds, and which anchors may make the CA's statements.

    INVARIANT: `bind_by.needs_issued_by` implies `issued_by` is not empty (configuration refuses it
    otherwise, and `search.py` treats an empty set as "none").
    """

    ways: tuple[FindWay, ...]
    bind_by: BindBy = BindBy.CERTIFICATE
    issued_by: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectCandidate:
    """Who has this distinguished name, as own name or as one of the names?"""

    dn: DistinguishedName
    find_by: FindBy = FindBy.SUBJECT


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCandidate:
    """Who has this text as common name (one of the names), mail, UPN or uid? `find_by` says which."""

    find_by: FindBy
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateCandidate:
    """Who holds this certificate (DER equal)? Some servers can only be asked by issuer and serial."""

    der: bytes
    issuer: DistinguishedName
    serial: int
    find_by: FindBy = FindBy.CERTIFICATE


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerSerialCandidate:
    """Who holds a certificate with this issuer and serial number?"""

    issuer: DistinguishedName
    serial: int
    find_by: FindBy = FindBy.ISSUER_SERIAL


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectKeyIdCandidate:
    """Who holds a certificate with this subject key identifier?"""

    subject_key_id: bytes
    find_by: FindBy = FindBy.SUBJECT_KEY_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class SidCandidate:
    """Who has this `objectSid` (text form)?"""

    sid: str
    find_by: FindBy = FindBy.SID


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterCandidate:
    """Who matches this filter, made from a template whose facts are all present?"""

    filter: Filter
    find_by: FindBy = FindBy.FILTER


Candidate = (
    SubjectCandidate
    | TextCandidate
    | CertificateCandidate
    | IssuerSerialCandidate
    | SubjectKeyIdCandidate
    | SidCandidate
    | FilterCandidate
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidatePlan:
    """What one certificate asks of one directory, in order, and the ways not asked, each with the reason."""

    candidates: tuple[Candidate, ...] = ()
    skipped: tuple[tuple[FindBy, str], ...] = ()

    def without(self, find_by: FindBy, why: str) -> "CandidatePlan":
        """Return the plan with the candidates of one way taken out, each noted as skipped for this reason."""
        kept = tuple(candidate for candidate in self.candidates if candidate.find_by is not find_by)
        taken = len(self.candidates) - len(kept)
        return replace(self, candidates=kept, skipped=self.skipped + ((find_by, why),) * taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Skip:
    """Why a way yields no candidate."""

    why: str


def plan_candidates(plan: MatchPlan, names: CertificateNames) -> CandidatePlan:
    """Turn the names of a certificate into the questions of a match plan.

    Total: each way gives a candidate or a reason, in the order of the plan. With `names.unusable` every way
    is skipped, also those that need no name; the search tells that apart from "no candidate" before it
    comes here.
    """
    candidates: list[Candidate] = []
    skipped: list[tuple[FindBy, str]] = []
    for way in plan.ways:
        planned = _Skip(why=names.unusable) if names.unusable else _plan_way(way, names)
        if isinstance(planned, _Skip):
            skipped.append((way.find_by, planned.why))
        else:
            candidates.append(planned)
    return CandidatePlan(candidates=tuple(candidates), skipped=tuple(skipped))


def _plan_way(  # noqa: C901, PLR0911 - one case for each way
    way: FindWay, names: CertificateNames
) -> Candidate | _Skip:
    match way.find_by:
        case FindBy.SUBJECT:
            return _plan_subject(names)
        case FindBy.COMMON_NAME:
            return _plan_text(way, "common name in the subject", names.common_names)
        case FindBy.MAIL:
            return _plan_mail(way, names)
        case FindBy.UPN:
            return _plan_text(way, "user principal name", names.san_upns)
        case FindBy.UID:
            return _plan_text(way, "UID in the subject", names.subject_uids)
        case FindBy.CERTIFICATE:
            return CertificateCandidate(der=names.der, issuer=names.issuer, serial=names.serial)
        case FindBy.ISSUER_SERIAL:
            return IssuerSerialCandidate(issuer=names.issuer, serial=names.serial)
        case FindBy.SUBJECT_KEY_ID:
            if not names.subject_key_id:
                return _Skip(why="the certificate has no subject key identifier")
            return SubjectKeyIdCandidate(subject_key_id=names.subject_key_id)
        case FindBy.SID:
            sid = _one("security identifier", names.sids, first_of_several=way.first_of_several)
            return sid if isinstance(sid, _Skip) else SidCandidate(sid=sid)
        case FindBy.FILTER:
            return _plan_filter(way, names)
        case _:
            assert_never(way.find_by)


def _plan_subject(names: CertificateNames) -> SubjectCandidate | _Skip:
    values = [attribute.value for rdn in names.subject.rdns for attribute in rdn.attributes]
    if not values:
        return _Skip(why="the subject is empty")
    if any(map(is_blank_or_asterisks, values)):
        return _Skip(why="a value in the subject is blank or made of `*` only")
    return SubjectCandidate(dn=names.subject)


def _plan_mail(way: FindWay, names: CertificateNames) -> TextCandidate | _Skip:
    """The subject's emailAddress counts only where the SAN has no mail at all, and the way says so."""
    if names.san_mails or not way.legacy_subject_email:
        return _plan_text(way, "mail address in the subject alternative name", names.san_mails)
    return _plan_text(
        way, "mail address in the subject alternative name or the subject", names.subject_emails
    )


def _plan_text(way: FindWay, what: str, values: tuple[str, ...]) -> TextCandidate | _Skip:
    text = _one(what, values, first_of_several=way.first_of_several)
    return text if isinstance(text, _Skip) else TextCandidate(find_by=way.find_by, text=text)


def _one(what: str, values: tuple[_Value, ...], *, first_of_several: bool) -> _Value | _Skip:
    """Return the one value of a fact; the same twice is one. A blank among several still counts."""
    distinct = tuple(dict.fromkeys(values))
    if not distinct:
        return _Skip(why=f"no {what}")
    if len(distinct) > 1 and not first_of_several:
        return _Skip(why=f"{len(distinct)} values for {what}, and the way does not say `multiple: first`")
    if is_blank_or_asterisks(distinct[0]):
        return _Skip(why=f"{what} is blank or made of `*` only")
    if is_unusable(distinct[0]):
        return _Skip(why=f"{what} has characters that no name may hold")
    return distinct[0]


def _plan_filter(way: FindWay, names: CertificateNames) -> FilterCandidate | _Skip:
    """Fill the way's template; the first fact, by name, without one usable value is the reason why not."""
    if way.template is None:
        return _Skip(why="the way has no filter template")
    facts: dict[str, tuple[FactValue, ...]] = {}
    for fact in sorted(template_facts(way.template)):
        value = _one(f"`{{{fact}}}`", _FACTS[fact](names), first_of_several=way.first_of_several)
        if isinstance(value, _Skip):
            return value
        facts[fact] = (value,)
    filled = fill_template(way.template, facts)
    assert filled is not None, "every fact has one usable value"
    return FilterCandidate(filter=filled)


def _of_subject(oid: str) -> "_Fact":
    return lambda names: attribute_values(names.subject, oid)


def _of_issuer(oid: str) -> "_Fact":
    return lambda names: attribute_values(names.issuer, oid)


_Fact = Callable[[CertificateNames], tuple[FactValue, ...]]

_FACTS: Mapping[str, _Fact] = MappingProxyType(
    {
        "certificate": lambda names: (names.der,),
        "issuer.c": _of_issuer("2.5.4.6"),
        "issuer.cn": _of_issuer("2.5.4.3"),
        "issuer.dn": lambda names: (render_ldap(names.issuer),),
        "issuer.o": _of_issuer("2.5.4.10"),
        "issuer.ou": _of_issuer("2.5.4.11"),
        "san.dns": lambda names: names.san_dns,
        "san.ip": lambda names: names.san_ips,
        "san.mail": lambda names: names.san_mails,
        "san.upn": lambda names: names.san_upns,
        "san.uri": lambda names: names.san_uris,
        "serial": lambda names: (str(names.serial),),
        "serial.hex": lambda names: (f"{names.serial:x}",),
        "sha256": lambda names: (names.sha256.hex(),),
        "sid": lambda names: names.sids,
        "skid": lambda names: (names.subject_key_id.hex(),) if names.subject_key_id else (),
        "subject.c": _of_subject("2.5.4.6"),
        "subject.cn": _of_subject("2.5.4.3"),
        "subject.dc": _of_subject("0.9.2342.19200300.100.1.25"),
        "subject.dn": lambda names: (render_ldap(names.subject),) if names.subject.rdns else (),
        "subject.givenname": _of_subject("2.5.4.42"),
        "subject.l": _of_subject("2.5.4.7"),
        "subject.mail": lambda names: names.subject_emails,
        "subject.o": _of_subject("2.5.4.10"),
        "subject.ou": _of_subject("2.5.4.11"),
        "subject.serialnumber": _of_subject("2.5.4.5"),
        "subject.sn": _of_subject("2.5.4.4"),
        "subject.st": _of_subject("2.5.4.8"),
        "subject.title": _of_subject("2.5.4.12"),
        "subject.uid": lambda names: names.subject_uids,
    }
)
"""Where each of `TEMPLATE_FACTS` comes from; a test holds the two together."""
