"""From the names a certificate asserts to the ordered questions put to a directory.

A *candidate* is one question: "whose common name is this?", "who holds this certificate?". Which questions, and in
which order, is the directory's *match plan*. Binding (what the entry found must hold) is `search.py`; how a question
is spelled for a server is the backend's affair.
"""

from dataclasses import dataclass
from enum import StrEnum

from directory_assistance.dn import DistinguishedName
from directory_assistance.filters import Filter

__all__ = [
    "BindBy",
    "Candidate",
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
]


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
        """Whether the fact belongs to one entry at most, so that asking for two is enough to see ambiguity."""
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
    `template`: for `filter`, the RFC 4515 template.
    """

    find_by: FindBy
    first_of_several: bool = False
    legacy_subject_email: bool = False
    template: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchPlan:
    """The ordered ways of one directory, what binds, and which anchors may make the CA's statements.

    INVARIANT: `bind_by.needs_issued_by` implies `issued_by` is not empty (configuration refuses it otherwise, and
    `search.py` treats an empty set as "none").
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
    """Who holds this certificate (DER equal)? Issuer and serial go along for servers that can only ask by those.

    `issuer_ldap` is the issuer in RFC 4514 form as printed from the certificate.
    """

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
