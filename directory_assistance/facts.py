"""Facts: what a candidate asks for, and what an entry can be found by, as keys that are equal where they meet.

What lives here: the one translation of candidates and of entries into comparable keys. Whoever keeps entries in
memory finds them by it (an index by fact), and whoever keeps answers drops by it exactly those that a changed entry
could change. What does not: asking a directory (backends), and whether an entry found is bound (`binding.py`).

INVARIANT: if a directory would find an entry by a candidate, then the candidate's facts and the entry's facts meet,
or the candidate has no facts at all (`facts_of_candidate` returns None: only the directory can judge a filter).
Facts may meet where the directory would not find the entry; they are never the decision, `binds` is.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
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
from directory_assistance.dn import DistinguishedName, common_name_of, key_text, prepare, read_ldap_dn
from directory_assistance.entry import Entry
from directory_assistance.errors import NameSyntaxError
from directory_assistance.stored_certificates import CertificateFacts

__all__ = ["Fact", "facts_of_candidate", "facts_of_entry", "issuer_serial_fact"]

Fact = tuple[FindBy, str]
"""The way it is found by, and what is compared, prepared."""


def facts_of_candidate(  # noqa: PLR0911 - one answer per kind of candidate
    candidate: Candidate,
) -> frozenset[Fact] | None:
    """Return the facts that an entry meant by a candidate has at least one of; None for a filter.

    A certificate is asked for by its octets, by some servers only by issuer and serial number or by its key: it has
    all three facts.
    """
    match candidate:
        case SubjectCandidate():
            return frozenset({_subject_fact(candidate.dn)})
        case TextCandidate():
            return frozenset({(candidate.find_by, prepare(candidate.text))})
        case CertificateCandidate():
            issued = issuer_serial_fact(candidate.issuer, candidate.serial)
            read = read_stored_certificate(candidate.der)
            keys = () if read is None else (_public_key_fact(read.public_key_info),)
            return frozenset({_certificate_fact(candidate.der), issued, *keys})
        case IssuerSerialCandidate():
            return frozenset({issuer_serial_fact(candidate.issuer, candidate.serial)})
        case SubjectKeyIdCandidate():
            return frozenset({_key_id_fact(candidate.subject_key_id)})
        case SidCandidate():
            return frozenset({(FindBy.SID, candidate.sid)})
        case FilterCandidate():
            return None
        case _:
            assert_never(candidate)


def facts_of_entry(
    entry: Entry,
    texts: Mapping[FindBy, Sequence[str]] = MappingProxyType({}),
    *,
    read_certificate: Callable[[bytes], StoredFacts | CertificateFacts | None] = read_stored_certificate,
) -> frozenset[Fact]:
    """Return everything an entry can be found by but for filters.

    Args:
        entry: with all its names and certificates.
        texts: values that an `Entry` does not carry, by the way that compares them (`upn`, `uid`).
        read_certificate: a cheaper reader, for whoever reads a hundred thousand.

    """
    found: set[Fact] = {(FindBy.MAIL, prepare(mail)) for mail in entry.mails}
    for name in entry.names:
        common_name = common_name_of(name)
        if common_name is not None:
            found.add((FindBy.COMMON_NAME, prepare(common_name)))
        if isinstance(name, DistinguishedName):
            found.add(_subject_fact(name))
    found.update(_mapped_facts(entry.mapped_names))
    for stored in entry.certificates:
        found.add(_certificate_fact(stored.der))
        facts = read_certificate(stored.der)
        if facts is not None:
            found.add(issuer_serial_fact(facts.issuer, facts.serial))
            found.add(_public_key_fact(facts.public_key_info))
            if facts.subject_key_id:
                found.add(_key_id_fact(facts.subject_key_id))
    found.update(_key_id_fact(key_id) for key_id in entry.subject_key_ids)
    found.update(issuer_serial_fact(issuer, serial) for issuer, serial in entry.issuer_serials)
    if entry.sid is not None:
        found.add((FindBy.SID, entry.sid))
    found.update((find_by, prepare(text)) for find_by, values in texts.items() for text in values)
    return frozenset(found)


def issuer_serial_fact(issuer: DistinguishedName, serial: int) -> Fact:
    """Return the fact of a certificate's issuer and serial number."""
    return (FindBy.ISSUER_SERIAL, f"{serial:x} {key_text(issuer)}")


def _subject_fact(dn: DistinguishedName) -> Fact:
    return (FindBy.SUBJECT, key_text(dn))


def _certificate_fact(der: bytes) -> Fact:
    return (FindBy.CERTIFICATE, hashlib.sha256(der).hexdigest())


def _public_key_fact(public_key_info: bytes) -> Fact:
    return (FindBy.CERTIFICATE, f"key {hashlib.sha256(public_key_info).hexdigest()}")


def _key_id_fact(key_id: bytes) -> Fact:
    return (FindBy.SUBJECT_KEY_ID, key_id.hex())


def _mapped_facts(texts: Iterable[str]) -> Iterable[Fact]:
    """Return the facts of mapped names; a value that is no name finds nobody."""
    for text in texts:
        try:
            yield _subject_fact(read_ldap_dn(text))
        except NameSyntaxError:
            continue
