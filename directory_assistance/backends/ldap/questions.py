"""Candidates as questions to a kind of LDAP server, and which of the entries found are meant.

What lives here: which filter finds somebody on which server, and the comparison of what came back. What
does not: asking (`directory.py`), escaping (`directory_assistance.filters`).

Invariants:

* The wrong certificate filter finds nothing and says so politely, so the strategy follows the kind of
  server, and a server of that kind that cannot be asked is not asked (`NotAsked`).
* A server may find more than was meant (another certificate of that issuer and number, a name without its
  accents). An entry counts only if it has the fact, compared as `directory_assistance.dn` compares. Whoever
  matches an administrator's own filter is whom the server says.

Standards: RFC 4515 (filters), RFC 4523 (certificateExactMatch).
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from directory_assistance.alternative_identities import (
    issuer_serial_identities,
    key_id_identity,
    public_key_identities,
)
from directory_assistance.backends.ldap.reading import ReadEntry
from directory_assistance.backends.ldap.settings import LdapSettings, ServerKind
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
from directory_assistance.certificate_names import read_stored_certificate
from directory_assistance.dn import (
    Attribute,
    DistinguishedName,
    NameSyntaxError,
    RelativeDistinguishedName,
    has_unusable_characters,
    prepare,
    read_ldap_dn,
    render_ldap,
)
from directory_assistance.filters import (
    Equality,
    Filter,
    Or,
    Present,
    certificate_exact_assertion,
    is_blank_or_asterisks,
)
from directory_assistance.identifiers import sid_octets

__all__ = ["ANY_ENTRY", "EntryQuestion", "FilterQuestion", "NotAsked", "Question", "plan_questions"]

ANY_ENTRY = Present(attribute="objectClass")
"""True of every entry (RFC 4512 section 2.4)."""

_TEXT_ATTRIBUTES = {
    FindBy.COMMON_NAME: "cn",
    FindBy.MAIL: "mail",
    FindBy.UPN: "userPrincipalName",
    FindBy.UID: "uid",
}


_RESPELLINGS: tuple[Callable[[str], str], ...] = (str, partial(unicodedata.normalize, "NFC"), prepare)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryQuestion:
    """Read the entry of this name, if there is one."""

    dn: DistinguishedName


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterQuestion:
    """Search below the base; only entries that `accepts` holds for are meant.

    `compared`: the attributes that `accepts` looks at beyond what every entry is read with.
    """

    filter: Filter
    accepts: Callable[[ReadEntry], bool]
    compared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAsked:
    """This kind of server cannot be asked so, and why."""

    why: str


Question = EntryQuestion | FilterQuestion


def plan_questions(  # noqa: PLR0911 - one answer per kind of candidate
    candidate: Candidate, settings: LdapSettings
) -> tuple[Question, ...] | NotAsked:
    """Return what to ask for a candidate; nothing to ask means that nobody can be meant.

    Total: any candidate gives questions or a reason.
    """
    match candidate:
        case SubjectCandidate():
            return _ask_subject(candidate, settings)
        case TextCandidate():
            return _ask_text(candidate)
        case CertificateCandidate():
            return _ask_certificate(candidate, settings.server)
        case IssuerSerialCandidate():
            return _ask_issuer_serial(candidate, settings.server)
        case SubjectKeyIdCandidate():
            return _ask_subject_key_id(candidate, settings.server)
        case SidCandidate():
            return _ask_sid(candidate, settings.server)
        case FilterCandidate():
            return (FilterQuestion(filter=candidate.filter, accepts=_anybody),)
        case _:
            assert_never(candidate)


def _anybody(_found: ReadEntry) -> bool:
    return True


def _ask_subject(candidate: SubjectCandidate, settings: LdapSettings) -> tuple[Question, ...]:
    """Whose DN, or whose mapped name, is this subject?

    A server may cut a value at a character that no name may hold, or take the question for broken; so with one in the
    subject nobody is asked for.
    """
    values = (attribute.value for rdn in candidate.dn.rdns for attribute in rdn.attributes)
    if any(map(has_unusable_characters, values)):
        return ()
    questions: list[Question] = []
    below = len(settings.base.rdns)
    if DistinguishedName(rdns=candidate.dn.rdns[-below:]) == settings.base:
        questions += [EntryQuestion(dn=dn) for dn in _spellings_of_dn(candidate.dn)]
    attribute = settings.name_attribute
    if attribute is not None and candidate.dn.rdns:

        def accepts(found: ReadEntry) -> bool:
            return any(_is_dn(text, candidate.dn) for text in found.texts[attribute.lower()])

        wanted = _any_of(attribute, [render_ldap(dn) for dn in _spellings_of_dn(candidate.dn)])
        questions.append(FilterQuestion(filter=wanted, accepts=accepts, compared=(attribute,)))
    return tuple(questions)


def _is_dn(text: str, dn: DistinguishedName) -> bool:
    try:
        return read_ldap_dn(text) == dn
    except NameSyntaxError:
        return False


def _ask_text(candidate: TextCandidate) -> tuple[Question, ...]:
    attribute = _TEXT_ATTRIBUTES[candidate.find_by]
    if is_blank_or_asterisks(candidate.text) or has_unusable_characters(candidate.text):
        return ()  # candidates are never such; should one be, it must not find everybody
    wanted = prepare(candidate.text)

    def accepts(found: ReadEntry) -> bool:
        return any(prepare(text) == wanted for text in found.texts[attribute.lower()])

    equality = _any_of(attribute, _spellings(candidate.text))
    return (FilterQuestion(filter=equality, accepts=accepts, compared=(attribute,)),)


def _spellings(text: str) -> tuple[str, ...]:
    """Return how a value that equals a text is likely to be stored: as the text is, composed, and prepared.

    RFC 4518 makes them equal. Of the servers only OpenLDAP knows, and not of invisible characters either; 389-ds and
    Active Directory fold case and blanks, and would not find `Jürgen` by `Jurgen` and a combining mark.
    """
    return tuple(dict.fromkeys(_respell(text, respelling) for respelling in _RESPELLINGS))


def _spellings_of_dn(dn: DistinguishedName) -> tuple[DistinguishedName, ...]:
    """Return how a name that equals this one is likely to be stored; see `_spellings`."""
    respelled = (_respell_dn(dn, respelling) for respelling in _RESPELLINGS)
    return tuple({render_ldap(each): each for each in respelled}.values())


def _respell_dn(dn: DistinguishedName, respelling: Callable[[str], str]) -> DistinguishedName:
    return DistinguishedName(
        rdns=tuple(
            RelativeDistinguishedName(
                attributes=tuple(
                    Attribute(oid=attribute.oid, value=_respell(attribute.value, respelling))
                    for attribute in rdn.attributes
                )
            )
            for rdn in dn.rdns
        )
    )


def _respell(text: str, respelling: Callable[[str], str]) -> str:
    return text if text.isascii() else respelling(text)


def _any_of(attribute: str, values: Sequence[str]) -> Filter:
    parts = tuple(Equality(attribute=attribute, value=value) for value in values)
    return parts[0] if len(parts) == 1 else Or(parts=parts)


def _ask_certificate(candidate: CertificateCandidate, kind: ServerKind) -> tuple[Question, ...] | NotAsked:
    def accepts(found: ReadEntry) -> bool:
        return any(stored.der == candidate.der for stored in found.entry.certificates)

    match kind:
        case ServerKind.STANDARD:
            return _ask_exact_match(candidate.issuer, candidate.serial, accepts)
        case ServerKind.DS389:
            octets = Equality(attribute="userCertificate;binary", value=candidate.der)
            return (FilterQuestion(filter=octets, accepts=accepts),)
        case ServerKind.ACTIVE_DIRECTORY:
            return (_ask_identities_of(candidate),)
        case _:
            assert_never(kind)


def _ask_identities_of(candidate: CertificateCandidate) -> FilterQuestion:
    """Ask for every strong identity that may name the certificate; who holds it, or its key, is meant.

    Active Directory cannot be asked for stored certificates: it compares them one by one, without an index. Which
    identity found an entry does not count (a SHA-1 of a key proves nothing); the whole certificate does, or the whole
    key, so that a renewal is found for `bind_by: public_key`.
    """
    identities = list(issuer_serial_identities(candidate.issuer, candidate.serial))
    asked = read_stored_certificate(candidate.der)
    if asked is not None:
        identities += [] if not asked.subject_key_id else [key_id_identity(asked.subject_key_id)]
        identities += public_key_identities(asked.public_key_info)

    def accepts(found: ReadEntry) -> bool:
        stored = [certificate.der for certificate in found.entry.certificates]
        facts = (read_stored_certificate(der) for der in stored)
        return candidate.der in stored or (
            asked is not None
            and any(fact is not None and fact.public_key_info == asked.public_key_info for fact in facts)
        )

    return FilterQuestion(filter=_any_identity(tuple(identities)), accepts=accepts)


def _ask_issuer_serial(candidate: IssuerSerialCandidate, kind: ServerKind) -> tuple[Question, ...] | NotAsked:
    def holds(found: ReadEntry) -> bool:
        facts = (read_stored_certificate(stored.der) for stored in found.entry.certificates)
        return any(
            fact is not None and fact.serial == candidate.serial and fact.issuer == candidate.issuer
            for fact in facts
        )

    match kind:
        case ServerKind.STANDARD:
            return _ask_exact_match(candidate.issuer, candidate.serial, holds)
        case ServerKind.DS389:
            return NotAsked(why="389-ds cannot be asked for issuer and serial number")
        case ServerKind.ACTIVE_DIRECTORY:
            wanted = (candidate.issuer, candidate.serial)
            identities = issuer_serial_identities(candidate.issuer, candidate.serial)
            return (
                FilterQuestion(
                    filter=_any_identity(identities),
                    accepts=lambda found: wanted in found.entry.issuer_serials or holds(found),
                ),
            )
        case _:
            assert_never(kind)


def _ask_exact_match(
    issuer: DistinguishedName, serial: int, accepts: Callable[[ReadEntry], bool]
) -> tuple[Question, ...] | NotAsked:
    """Ask as OpenLDAP wants it: only this form uses the index, and octets find nobody."""
    if not render_ldap(issuer).isascii():
        return NotAsked(why="OpenLDAP finds no certificate whose issuer has characters outside ASCII")
    assertion = certificate_exact_assertion(issuer, serial)
    return (FilterQuestion(filter=Equality(attribute="userCertificate", value=assertion), accepts=accepts),)


def _ask_subject_key_id(
    candidate: SubjectKeyIdCandidate, kind: ServerKind
) -> tuple[Question, ...] | NotAsked:
    if kind is not ServerKind.ACTIVE_DIRECTORY:
        return NotAsked(why="only Active Directory can be asked for a subject key identifier")
    if not candidate.subject_key_id:
        return ()
    wanted = candidate.subject_key_id

    def accepts(found: ReadEntry) -> bool:
        facts = (read_stored_certificate(stored.der) for stored in found.entry.certificates)
        return wanted in found.entry.subject_key_ids or any(
            fact is not None and fact.subject_key_id == wanted for fact in facts
        )

    return (FilterQuestion(filter=_any_identity((key_id_identity(wanted),)), accepts=accepts),)


def _ask_sid(candidate: SidCandidate, kind: ServerKind) -> tuple[Question, ...] | NotAsked:
    if kind is not ServerKind.ACTIVE_DIRECTORY:
        return NotAsked(why="only Active Directory can be asked for a security identifier")
    octets = sid_octets(candidate.sid)
    if octets is None:
        return ()

    def accepts(found: ReadEntry) -> bool:
        return found.entry.sid == candidate.sid

    return (FilterQuestion(filter=Equality(attribute="objectSid", value=octets), accepts=accepts),)


def _any_identity(identities: tuple[str, ...]) -> Filter:
    return Or(parts=tuple(Equality(attribute="altSecurityIdentities", value=each) for each in identities))
