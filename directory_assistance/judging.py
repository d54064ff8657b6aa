"""Judging in memory: whether a candidate means an entry, and whether a filter describes one.

What lives here: the one judge for every kind of directory that holds its entries itself. What does not: where the
entries are kept and how they are looked up (backends), what binds an entry (`binding.py`), and servers, which judge by
themselves.

Invariants:

* Total: any candidate and any entry give an answer. A filter that needs a schema is not judged; `can_judge` tells.
* Texts compare as `directory_assistance.dn.prepare` makes them, whatever the attribute; octets of a filter compare
  octet by octet.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import assert_never

from directory_assistance.candidates import (
    Candidate,
    CertificateCandidate,
    FilterCandidate,
    FindBy,
    IssuerSerialCandidate,
    SidCandidate,
    SubjectCandidate,
    SubjectKeyIdCandidate,
    TextCandidate,
)
from directory_assistance.certificate_names import StoredFacts, read_stored_certificate
from directory_assistance.dn import common_name_of, prepare, read_ldap_dn, render_ldap
from directory_assistance.entry import Entry
from directory_assistance.errors import NameSyntaxError, shorten
from directory_assistance.filters import (
    And,
    Comparison,
    Equality,
    Extensible,
    FactValue,
    Filter,
    Not,
    Or,
    Present,
    Substring,
    render_filter,
)

__all__ = [
    "TEXT_ATTRIBUTES",
    "Attributes",
    "attributes_of_candidate",
    "can_judge",
    "describe_candidate",
    "match_candidate",
    "match_filter",
]

Attributes = Mapping[str, Sequence[str]]
"""Texts by attribute name, casefolded; octets that are no UTF-8 as `surrogateescape` makes them."""

TEXT_ATTRIBUTES = {FindBy.UPN: "userprincipalname", FindBy.UID: "uid"}
"""The attributes of the ways whose values an `Entry` does not carry."""

_BINARY = ";binary"
"""The option that changes how a value is transferred, not which value it is (RFC 4522)."""


def match_candidate(  # noqa: PLR0911 - one answer per kind of candidate
    candidate: Candidate, entry: Entry, attributes: Attributes
) -> bool:
    """Tell whether a candidate means an entry.

    Args:
        candidate: the question.
        entry: whole.
        attributes: for the ways `upn`, `uid` and `filter`.

    """
    match candidate:
        case SubjectCandidate():
            return candidate.dn in entry.names or any(_is_dn(text, candidate) for text in entry.mapped_names)
        case TextCandidate():
            return _has_text(candidate, entry, attributes)
        case CertificateCandidate():
            return any(stored.der == candidate.der for stored in entry.certificates)
        case IssuerSerialCandidate():
            wanted = (candidate.issuer, candidate.serial)
            return wanted in entry.issuer_serials or any(
                (fact.issuer, fact.serial) == wanted for fact in _facts_of(entry)
            )
        case SubjectKeyIdCandidate():
            key_ids = (*entry.subject_key_ids, *(fact.subject_key_id for fact in _facts_of(entry)))
            return bool(candidate.subject_key_id) and candidate.subject_key_id in key_ids
        case SidCandidate():
            return entry.sid == candidate.sid
        case FilterCandidate():
            return match_filter(candidate.filter, attributes)
        case _:
            assert_never(candidate)


def _has_text(candidate: TextCandidate, entry: Entry, attributes: Attributes) -> bool:
    wanted = prepare(candidate.text)
    values: Iterable[str]
    if candidate.find_by is FindBy.COMMON_NAME:
        values = (common_name_of(name) or "" for name in entry.names)
    elif candidate.find_by is FindBy.MAIL:
        values = entry.mails
    else:
        values = attributes.get(TEXT_ATTRIBUTES[candidate.find_by], ())
    return bool(wanted) and wanted in map(prepare, values)


def _is_dn(text: str, candidate: SubjectCandidate) -> bool:
    try:
        return read_ldap_dn(text) == candidate.dn
    except NameSyntaxError:
        return False


def _facts_of(entry: Entry) -> Iterable[StoredFacts]:
    facts = (read_stored_certificate(stored.der) for stored in entry.certificates)
    return [fact for fact in facts if fact is not None]


def describe_candidate(candidate: Candidate) -> str:
    """Return the question in words, for the trace."""
    match candidate:
        case SubjectCandidate():
            return f"{candidate.find_by} is `{shorten(render_ldap(candidate.dn))}`"
        case TextCandidate():
            return f"{candidate.find_by} is `{shorten(candidate.text)}`"
        case FilterCandidate():
            return _describe_filter(candidate.filter)
        case _:
            return f"{candidate.find_by} is that of the certificate"


def _describe_filter(wanted: Filter) -> str:
    try:
        return f"`{shorten(render_filter(wanted))}`"
    except NameSyntaxError:  # a value that no octets stand for, such as a lone surrogate
        return "a filter that cannot be printed"


def attributes_of_candidate(candidate: Candidate) -> frozenset[str]:
    """Return the attributes that judging looks at beside the entry, in lower case, without options."""
    match candidate:
        case TextCandidate() if candidate.find_by in TEXT_ATTRIBUTES:
            return frozenset({TEXT_ATTRIBUTES[candidate.find_by]})
        case FilterCandidate():
            return frozenset(_attributes_of_filter(candidate.filter))
        case _:
            return frozenset()


def _attributes_of_filter(node: Filter) -> Iterator[str]:
    match node:
        case And() | Or():
            for part in node.parts:
                yield from _attributes_of_filter(part)
        case Not():
            yield from _attributes_of_filter(node.part)
        case _:
            yield node.attribute.casefold().partition(";")[0]


def can_judge(node: Filter) -> bool:
    """Whether a filter can be judged here: ordering and matching rules need a schema."""
    match node:
        case Comparison() | Extensible():
            return False
        case Equality() | Substring() | Present():
            return True
        case And() | Or():
            return all(map(can_judge, node.parts))
        case Not():
            return can_judge(node.part)
        case _:
            assert_never(node)


def match_filter(node: Filter, attributes: Attributes) -> bool:  # noqa: PLR0911 - one answer per kind
    """Judge a filter as a server with these attributes does (RFC 4511 section 4.5.1.7), texts by RFC 4518."""
    match node:
        case Equality():
            return any(_is_equal(node.value, text) for text in _values(node.attribute, attributes))
        case Substring():
            return any(_has_pieces(text, node) for text in _values(node.attribute, attributes))
        case Present():
            return bool(_values(node.attribute, attributes))
        case And():
            return all(match_filter(part, attributes) for part in node.parts)
        case Or():
            return any(match_filter(part, attributes) for part in node.parts)
        case Not():
            return not match_filter(node.part, attributes)
        case Comparison() | Extensible():
            return False
        case _:
            assert_never(node)


def _values(description: str, attributes: Attributes) -> Sequence[str]:
    return attributes.get(description.casefold().removesuffix(_BINARY), ())


def _is_equal(wanted: FactValue, text: str) -> bool:
    if isinstance(wanted, str):
        return prepare(wanted) == prepare(text)
    try:
        return wanted == text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate that stands for no octet
        return False


def _text(value: FactValue) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def _has_pieces(value: str, node: Substring) -> bool:
    text, initial, final = prepare(value), prepare(_text(node.initial)), prepare(_text(node.final))
    if not text.startswith(initial):
        return False
    at = len(initial)
    for piece in (prepare(_text(each)) for each in node.middle):
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return text[at:].endswith(final)
