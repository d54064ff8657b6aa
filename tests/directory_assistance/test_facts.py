"""Facts: what a candidate asks for meets what an entry can be found by, wherever a directory would find it."""

import pytest

from directory_assistance.backends.memory import MemoryDirectory
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
from directory_assistance.certificate_names import read_certificate_names
from directory_assistance.dn import DistinguishedName, FlatName, read_ldap_dn
from directory_assistance.entry import Entry, StoredCertificate
from directory_assistance.facts import facts_of_candidate, facts_of_entry
from directory_assistance.filters import Present
from directory_assistance.stored_certificates import CertificatePeeker
from tests.support.directories import ALAN, DAVE, DOMAIN, ROOT, STRANGER, deadline

NAMES = read_certificate_names(DAVE.der)
ENTRY = Entry(
    key="1",
    names=(read_ldap_dn("CN=Dave Lawson,OU=East,O=Airius"), FlatName(text="D. Lawson")),
    mapped_names=("CN=Mapped,O=Airius", "no name at all"),
    mails=("dave@airius.com",),
    certificates=(StoredCertificate(der=DAVE.der), StoredCertificate(der=b"no certificate")),
    subject_key_ids=(b"\1\2\3",),
    issuer_serials=((read_ldap_dn("CN=Elsewhere CA,O=Elsewhere"), 0x80FF),),
    sid="S-1-5-21-1-2-3-1104",
)
FURTHER = {"1": {"uid": ["dlawson"], "userPrincipalName": ["dave@corp"]}}
TEXTS = {FindBy.UID: ["dlawson"], FindBy.UPN: ["dave@corp"]}

assert NAMES.subject_key_id is not None

MEET: list[Candidate] = [
    SubjectCandidate(dn=read_ldap_dn("cn=dave  LAWSON,ou=east,o=airius")),
    SubjectCandidate(dn=read_ldap_dn("cn=mapped,o=airius")),
    TextCandidate(find_by=FindBy.COMMON_NAME, text="Dave  lawson"),
    TextCandidate(find_by=FindBy.COMMON_NAME, text="d. LAWSON"),
    TextCandidate(find_by=FindBy.MAIL, text="DAVE@airius.com"),
    TextCandidate(find_by=FindBy.UID, text="DLawson"),
    TextCandidate(find_by=FindBy.UPN, text="Dave@CORP"),
    CertificateCandidate(der=DAVE.der, issuer=NAMES.issuer, serial=NAMES.serial),
    CertificateCandidate(der=b"no certificate", issuer=DistinguishedName(rdns=()), serial=1),
    IssuerSerialCandidate(issuer=NAMES.issuer, serial=NAMES.serial),
    IssuerSerialCandidate(issuer=read_ldap_dn("cn=elsewhere ca,o=elsewhere"), serial=0x80FF),
    SubjectKeyIdCandidate(subject_key_id=NAMES.subject_key_id),
    SubjectKeyIdCandidate(subject_key_id=b"\1\2\3"),
    SidCandidate(sid="S-1-5-21-1-2-3-1104"),
]


def _other(issued: bytes) -> list[Candidate]:
    names = read_certificate_names(issued)
    return [
        CertificateCandidate(der=issued, issuer=names.issuer, serial=names.serial),
        IssuerSerialCandidate(issuer=names.issuer, serial=names.serial),
        SubjectKeyIdCandidate(subject_key_id=names.subject_key_id or b"\0"),
    ]


MISS: list[Candidate] = [
    SubjectCandidate(dn=read_ldap_dn("CN=Dave Lawson,O=Airius")),
    TextCandidate(find_by=FindBy.COMMON_NAME, text="Dave"),
    TextCandidate(find_by=FindBy.MAIL, text="dlawson"),
    TextCandidate(find_by=FindBy.UID, text="dave@corp"),
    IssuerSerialCandidate(issuer=NAMES.issuer, serial=NAMES.serial + 1),
    IssuerSerialCandidate(issuer=read_ldap_dn("CN=Elsewhere CA,O=Elsewhere"), serial=0xFF80),
    SidCandidate(sid="S-1-5-21-1-2-3-1105"),
    *_other(STRANGER.der),
    *_other(ALAN.der),
]


def found(candidate: Candidate) -> bool:
    directory = MemoryDirectory(DOMAIN, [ENTRY], attributes=FURTHER)
    return bool(directory.find_entries(candidate, limit=2, deadline=deadline()).entries)


@pytest.mark.parametrize("candidate", MEET, ids=str)
def test_where_a_directory_finds_an_entry_the_facts_meet(candidate: Candidate) -> None:
    assert found(candidate)
    wanted = facts_of_candidate(candidate)
    assert wanted is not None
    assert wanted & facts_of_entry(ENTRY, TEXTS)


@pytest.mark.parametrize("candidate", MISS, ids=str)
def test_where_a_directory_finds_nobody_the_facts_do_not_meet(candidate: Candidate) -> None:
    assert not found(candidate)
    assert not (facts_of_candidate(candidate) or frozenset()) & facts_of_entry(ENTRY, TEXTS)


def test_an_entry_without_common_name_identifier_and_key_identifier_has_the_facts_that_it_has() -> None:
    bare = ROOT.issue("UID=1,O=airius.com", subject_key_id=False)
    entry = Entry(
        key="1", names=(read_ldap_dn("UID=1,O=airius.com"),), certificates=(StoredCertificate(der=bare.der),)
    )
    ways = sorted(find_by for find_by, _text in facts_of_entry(entry))
    assert ways == [FindBy.CERTIFICATE, FindBy.CERTIFICATE, FindBy.ISSUER_SERIAL, FindBy.SUBJECT]


def test_a_renewed_certificate_meets_an_entry_that_holds_the_old_one_by_its_key() -> None:
    """An Active Directory finds the entry by the key's digest; whoever keeps the answer must drop it."""
    renewed = read_certificate_names(ROOT.issue("CN=Dave Lawson,O=airius.com", key=DAVE.key).der)
    candidate = CertificateCandidate(der=renewed.der, issuer=renewed.issuer, serial=renewed.serial)
    assert (facts_of_candidate(candidate) or frozenset()) & facts_of_entry(ENTRY)


def test_a_filter_has_no_facts_because_only_the_directory_can_judge_it() -> None:
    assert facts_of_candidate(FilterCandidate(filter=Present(attribute="cn"))) is None


def test_the_cheap_reader_of_certificates_gives_the_same_facts() -> None:
    cheap = facts_of_entry(ENTRY, TEXTS, read_certificate=CertificatePeeker().peek)
    assert cheap == facts_of_entry(ENTRY, TEXTS)
