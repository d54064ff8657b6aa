"""The contract of `directory_assistance.directory`, the same for every kind of directory.

Each test runs over every kind of `tests/support/kinds.py`: values, SQLite, PostgreSQL, an LDIF file, slapd,
389-ds and an Active Directory, which hold the same people and groups; and over each of them behind a cache, which is
asked everything twice. What a kind cannot be asked is refused there by name (`Kind.not_asked`); what its nature makes
impossible stands in `DEVIATIONS` with the reason.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.backends.sql import SqlDirectory
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
from directory_assistance.directory import Directory, LookUp
from directory_assistance.dn import (
    Attribute,
    DistinguishedName,
    FlatName,
    InternetName,
    MemberReference,
    Name,
    RelativeDistinguishedName,
    read_ldap_dn,
    read_member,
    render_ldap,
    wildcards_of,
)
from directory_assistance.entry import Entry, StoredCertificate
from directory_assistance.errors import DirectoryUnavailable
from directory_assistance.filters import And, Equality, Filter, Not, Or, Present, Substring
from directory_assistance.sql_engine import open_engine
from tests.support.directories import (
    ALAN,
    DAVE,
    DAVE_OLD,
    DOMAIN,
    JOHN_WEST,
    PEOPLE,
    PERIL,
    STRANGER,
    deadline,
)
from tests.support.kinds import KINDS, LDAP_KINDS, WITH_AND_WITHOUT_CACHE, Kind, Kinds
from tests.support.pki import Issued
from tests.support.postgresql import PostgresqlServer

DAVE_DN = "CN=Dave Lawson,OU=East,O=airius.com"
ALAN_DN = "CN=Alan Jones,O=airius.com"
JOHN_DNS = ["CN=John Smith,OU=East,O=airius.com", "CN=John Smith,OU=West,O=airius.com"]
PERIL_CN = 'Peril (of) * \\ "x", Jr.'


@pytest.fixture(params=WITH_AND_WITHOUT_CACHE)
def kind(request: pytest.FixtureRequest, kinds: Kinds) -> Kind:
    return kinds.with_or_without_cache(request.param)


@pytest.fixture
def directory(kind: Kind) -> Directory:
    return kind.directory


def find(directory: Directory, candidate: Candidate, limit: int = 100) -> LookUp:
    return directory.find_entries(candidate, limit=limit, deadline=deadline())


def owners(found: LookUp) -> list[str]:
    """Return the first names found, sorted, as LDAP text."""
    assert found.supported
    assert not found.exceeded
    firsts = [entry.names[0] for entry in found.entries]
    return sorted(render_ldap(name) for name in firsts if isinstance(name, DistinguishedName))


def printed(kind: Kind, people: Iterable[str]) -> list[str]:
    """Return people of the world as `owners` prints them."""
    return sorted(render_ldap(kind.dn(dn)) for dn in people)


def holds(kind: Kind, candidate: Candidate, expected: Iterable[str]) -> None:
    """Assert that a candidate finds these people of the world, or that this kind says it cannot be asked so."""
    found = find(kind.directory, kind.placed(candidate))
    if candidate.find_by in kind.not_asked:
        assert (found.supported, found.entries) == (False, ())
    else:
        assert owners(found) == printed(kind, expected)


def text(find_by: FindBy, value: str) -> TextCandidate:
    return TextCandidate(find_by=find_by, text=value)


def subject(dn: str) -> SubjectCandidate:
    return SubjectCandidate(dn=read_ldap_dn(dn))


def certificate(issued: Issued) -> CertificateCandidate:
    names = read_certificate_names(issued.der)
    return CertificateCandidate(der=issued.der, issuer=names.issuer, serial=names.serial)


def issuer_serial(issued: Issued) -> IssuerSerialCandidate:
    names = read_certificate_names(issued.der)
    return IssuerSerialCandidate(issuer=names.issuer, serial=names.serial)


FOUND: list[tuple[str, Candidate, list[str]]] = [
    ("the certificate itself finds its owner", certificate(DAVE), [DAVE_DN]),
    ("each of several stored certificates finds the owner", certificate(DAVE_OLD), [DAVE_DN]),
    ("an issuer with quotes, commas and plus signs is found", certificate(ALAN), [ALAN_DN]),
    (
        "of two people of one name the certificate finds one",
        certificate(JOHN_WEST),
        ["CN=John Smith,OU=West,O=airius.com"],
    ),
    ("a certificate that nobody holds finds nobody", certificate(STRANGER), []),
    ("issuer and serial number find the owner", issuer_serial(DAVE), [DAVE_DN]),
    ("a serial number of 20 octets finds the owner", issuer_serial(ALAN), [ALAN_DN]),
    ("issuer and serial number of nobody find nobody", issuer_serial(STRANGER), []),
    ("the subject finds the entry of that name", subject(DAVE_DN), [DAVE_DN]),
    (
        "the subject is compared without case and inner blanks",
        subject("cn=DAVE  lawson,ou=east,o=AIRIUS.com"),
        [DAVE_DN],
    ),
    ("a subject that is only a part of a name finds nobody", subject("OU=Nowhere,O=airius.com"), []),
    ("a subject in other order finds nobody", subject("CN=Dave Lawson,O=airius.com,OU=East"), []),
    ("a subject elsewhere finds nobody", subject("CN=Dave Lawson,OU=East,O=elsewhere"), []),
    ("a subject above every entry finds nobody", subject("CN=airius.com"), []),
    ("the common name finds the owner", text(FindBy.COMMON_NAME, "Dave Lawson"), [DAVE_DN]),
    (
        "the common name is compared without case and inner blanks",
        text(FindBy.COMMON_NAME, " dAVE   lawson "),
        [DAVE_DN],
    ),
    ("an alias finds the owner", text(FindBy.COMMON_NAME, "al jones"), [ALAN_DN]),
    (
        "several people of one common name are all found",
        text(FindBy.COMMON_NAME, "John Smith"),
        JOHN_DNS,
    ),
    (
        "letters outside ASCII are found",
        text(FindBy.COMMON_NAME, "jürgen GROß"),
        ["CN=Jürgen Groß,O=airius.com"],
    ),
    (
        "decomposed letters are the same letters",
        text(FindBy.COMMON_NAME, "Ju\u0308rgen Groß"),
        ["CN=Jürgen Groß,O=airius.com"],
    ),
    (
        "full-width letters are the same letters",
        text(FindBy.COMMON_NAME, "\uff24ave \uff2cawson"),
        [DAVE_DN],
    ),
    (
        "invisible characters are none",
        text(FindBy.COMMON_NAME, "Da\u200bve Law\u00adson"),
        [DAVE_DN],
    ),
    (
        "a subject of decomposed letters is the same subject",
        subject("CN=Ju\u0308rgen Groß,O=airius.com"),
        ["CN=Jürgen Groß,O=airius.com"],
    ),
    (
        "a subject of full-width letters is the same subject",
        subject("CN=\uff24ave \uff2cawson,OU=East,O=airius.com"),
        [DAVE_DN],
    ),
    ("a subject without its mark is another subject", subject("CN=Jurgen Groß,O=airius.com"), []),
    ("a letter without its mark is another letter", text(FindBy.COMMON_NAME, "Jurgen Groß"), []),
    (
        "a common name of special characters finds exactly its owner",
        text(FindBy.COMMON_NAME, PERIL_CN),
        [PEOPLE[-1].dn],
    ),
    ("the mail address finds the owner", text(FindBy.MAIL, "ALAN.jones@airius.com"), [ALAN_DN]),
    ("a mail address of nobody finds nobody", text(FindBy.MAIL, "nobody@airius.com"), []),
]


DEVIATIONS: dict[tuple[str, str], tuple[list[str], str]] = {
    ("Samba AD", "an alias finds the owner"): ([], "`cn` has one value in Active Directory"),
}
"""What a kind finds instead, and why it cannot do otherwise."""


@pytest.mark.parametrize("case", FOUND, ids=[case[0] for case in FOUND])
def test_a_candidate_finds_exactly_those_who_are_meant(
    kind: Kind, case: tuple[str, Candidate, list[str]]
) -> None:
    words, candidate, expected = case
    deviation = DEVIATIONS.get((kind.name, words))
    holds(kind, candidate, expected if deviation is None else deviation[0])


def test_a_deviation_is_one_of_a_kind_and_a_case() -> None:
    assert {name for name, _words in DEVIATIONS} <= set(KINDS)
    assert {words for _name, words in DEVIATIONS} <= {case[0] for case in FOUND}


def test_an_entry_is_handed_on_whole(kind: Kind) -> None:
    (entry,) = find(kind.directory, certificate(DAVE), limit=2).entries
    assert (entry.names[0], entry.display_name, entry.mails, entry.disabled) == (
        kind.dn(DAVE_DN),
        "Dave J. Lawson",
        ("dave@airius.com",),
        False,
    )
    assert set(entry.certificates) == {StoredCertificate(der=DAVE.der), StoredCertificate(der=DAVE_OLD.der)}


def test_the_names_after_the_first_only_find_and_are_handed_on(kind: Kind) -> None:
    (entry,) = find(kind.directory, text(FindBy.MAIL, "alan.jones@airius.com")).entries
    aliases = {FlatName(text="AJones"), FlatName(text="Al Jones")}
    assert (aliases if kind.has_aliases else set()) == aliases & set(entry.names[1:])


def test_a_disabled_entry_is_found_and_says_so(directory: Directory) -> None:
    (entry,) = find(directory, text(FindBy.COMMON_NAME, "Gone Away")).entries
    assert entry.disabled


def test_t48_more_entries_than_the_limit_are_none_and_exceeded(directory: Directory) -> None:
    office = text(FindBy.MAIL, "office@airius.com")
    assert len(find(directory, office, limit=4).entries) == 4
    found = find(directory, office, limit=3)
    assert (found.exceeded, found.entries) == (True, ())


def test_a_certificate_of_the_same_name_and_issuer_does_not_find_the_owner_of_another(
    directory: Directory,
) -> None:
    """The question may be put by issuer and serial number; what counts is every octet."""
    names = read_certificate_names(DAVE.der)
    forged = CertificateCandidate(der=STRANGER.der, issuer=names.issuer, serial=names.serial)
    assert owners(find(directory, forged)) == []


TEXT_WAYS = [FindBy.COMMON_NAME, FindBy.MAIL, FindBy.UPN, FindBy.UID]


def test_t46_a_blank_value_does_not_find_those_who_have_none(directory: Directory) -> None:
    """Alan has neither UPN nor uid, others have no mail: nothing equals nothing."""
    assert [find(directory, text(find_by, "")).entries for find_by in TEXT_WAYS] == [()] * 4


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(), max_size=20), find_by=st.sampled_from(TEXT_WAYS))
def test_t79_no_value_makes_a_directory_look_unavailable(kind: Kind, value: str, find_by: FindBy) -> None:
    directory = kind.directory
    find(directory, text(find_by, value))
    leaf = RelativeDistinguishedName(attributes=(Attribute(oid="2.5.4.3", value=value),))
    find(directory, SubjectCandidate(dn=DistinguishedName(rdns=(leaf, *kind.dn(ALAN_DN).rdns[1:]))))
    find(
        directory,
        CertificateCandidate(
            der=value.encode("utf-8", "replace"), issuer=DistinguishedName(rdns=(leaf,)), serial=1
        ),
    )
    directory.find_groups([DistinguishedName(rdns=(leaf,)), FlatName(text=value)], deadline=deadline())


EVERY_KIND: list[Candidate] = [
    subject(DAVE_DN),
    *(text(find_by, "x") for find_by in TEXT_WAYS),
    certificate(DAVE),
    issuer_serial(DAVE),
    SubjectKeyIdCandidate(subject_key_id=b"\1" * 20),
    SidCandidate(sid="S-1-5-21-1-2-3-1104"),
    FilterCandidate(filter=Equality(attribute="cn", value="x")),
]


def test_a_directory_says_which_candidates_it_cannot_be_asked_for(kind: Kind) -> None:
    answers = {candidate.find_by: find(kind.directory, kind.placed(candidate)) for candidate in EVERY_KIND}
    assert {find_by for find_by, answer in answers.items() if not answer.supported} == set(kind.not_asked)
    assert all(answer.asked for answer in answers.values())
    assert not any(answer.entries for answer in answers.values() if not answer.supported)


def test_upn_and_uid_find_the_owner(kind: Kind) -> None:
    holds(kind, text(FindBy.UPN, "DAVE@corp.airius.com"), [DAVE_DN])
    holds(kind, text(FindBy.UID, "DLawson"), [DAVE_DN])


def test_the_subject_key_identifier_finds_the_owner(kind: Kind) -> None:
    key_id = read_certificate_names(PERIL.der).subject_key_id
    assert key_id is not None
    holds(kind, SubjectKeyIdCandidate(subject_key_id=key_id), [PEOPLE[-1].dn])
    holds(kind, SubjectKeyIdCandidate(subject_key_id=key_id[:-1]), [])
    holds(kind, SubjectKeyIdCandidate(subject_key_id=b""), [])


def test_the_security_identifier_finds_the_owner(kinds: Kinds) -> None:
    """Only a domain controller gives its people one."""
    domain = kinds["Samba AD"]
    (entry,) = find(domain.directory, certificate(DAVE)).entries
    assert entry.sid is not None
    holds(domain, SidCandidate(sid=entry.sid), [DAVE_DN])
    holds(domain, SidCandidate(sid=f"{entry.sid}0"), [])


FILTERS: list[tuple[Filter, list[str]]] = [
    (Equality(attribute="mail", value="dave@airius.com"), [DAVE_DN]),
    (And(parts=(Equality(attribute="cn", value="John Smith"), Present(attribute="mail"))), JOHN_DNS),
    (
        Or(
            parts=(
                Equality(attribute="mail", value="alan.jones@airius.com"),
                Equality(attribute="uid", value="dlawson"),
            )
        ),
        [ALAN_DN, DAVE_DN],
    ),
    (
        And(
            parts=(Present(attribute="mail"), Not(part=Equality(attribute="mail", value="office@airius.com")))
        ),
        [ALAN_DN, DAVE_DN],
    ),
    (Substring(attribute="mail", initial="dav", middle=("@",), final=".com"), [DAVE_DN]),
    (Substring(attribute="mail", initial="dave", middle=("dave",)), []),
    (Equality(attribute="noSuchAttribute", value="x"), []),
]


@pytest.mark.parametrize(("wanted", "expected"), FILTERS)
def test_a_filter_finds_whom_it_describes(kind: Kind, wanted: Filter, expected: list[str]) -> None:
    holds(kind, FilterCandidate(filter=wanted), expected)


def group_names(directory: Directory, *members: MemberReference) -> list[str]:
    return [group.name for group in directory.find_groups(members, deadline=deadline())]


def test_the_groups_that_list_somebody_are_found_sorted_by_name(kind: Kind) -> None:
    assert group_names(kind.directory, kind.dn("cn=ALAN jones,o=airius.com")) == ["Buyers", "Sales"]


def test_only_direct_groups_are_found_and_their_references_lead_on(kind: Kind) -> None:
    (sales,) = kind.directory.find_groups([kind.dn(DAVE_DN)], deadline=deadline())
    (managers,) = kind.directory.find_groups([sales.reference], deadline=deadline())
    assert (sales.name, managers.name) == ("Sales", "Managers")
    assert group_names(kind.directory, managers.reference) == ["Everybody"]


def test_a_group_that_lists_several_of_the_members_is_found_once(kind: Kind) -> None:
    assert group_names(kind.directory, kind.dn(DAVE_DN), kind.dn(ALAN_DN)) == ["Buyers", "Sales"]


def test_whoever_is_in_no_group_has_none_and_nobody_at_all_has_none(kind: Kind) -> None:
    assert group_names(kind.directory, kind.dn("CN=Nobody,O=airius.com"), InternetName(text="a@b")) == []
    assert group_names(kind.directory) == []


def test_many_members_may_be_asked_for_at_once(kind: Kind) -> None:
    crowd = [kind.dn(f"CN=Person {number},O=airius.com") for number in range(600)]
    assert group_names(kind.directory, *crowd, kind.dn(ALAN_DN)) == ["Buyers", "Sales"]


def test_a_wildcard_member_is_found_by_its_reference_but_for_ldap_where_there_is_none(kind: Kind) -> None:
    expected = [] if kind.name in LDAP_KINDS else ["The East"]
    assert expected == group_names(kind.directory, read_member("*/East/airius.com"))
    assert expected == group_names(kind.directory, *wildcards_of(read_ldap_dn(DAVE_DN)))


def test_flat_names_are_no_members_of_an_ldap_group(kind: Kind) -> None:
    expected = [] if kind.name in {*LDAP_KINDS, "LDIF"} else ["Managers"]
    assert expected == group_names(kind.directory, FlatName(text="Sales"))


@pytest.mark.parametrize("name", ["memory", "SQLite", "PostgreSQL"])
def test_the_primary_knows_every_name_that_is_taken(name: str, kinds: Kinds) -> None:
    primary = kinds[name].directory
    assert isinstance(primary, MemoryDirectory | SqlDirectory)
    names: dict[Name, bool] = {
        read_ldap_dn("cn=dave LAWSON,ou=east,o=airius.com"): True,
        FlatName(text="al  jones"): True,
        FlatName(text="SALES"): True,
        FlatName(text="Dave Lawson"): False,
        FlatName(text="Nobody"): False,
        read_ldap_dn("CN=Dave Lawson,O=airius.com"): False,
        InternetName(text="dave@airius.com"): False,
    }
    assert {name: primary.holds_name(name, deadline=deadline()) for name in names} == names
    groups = {
        "sales": True,
        "The  East": True,
        "Dave Lawson": False,
        "": False,
        "a\0b": False,
        "Nobody": False,
    }
    assert {name: primary.holds_group(name, deadline=deadline()) for name in groups} == groups


def test_calls_from_several_threads_do_not_mix_their_answers(kind: Kind) -> None:
    expected: list[tuple[Candidate, list[str]]] = [
        (certificate(DAVE), [DAVE_DN]),
        (text(FindBy.COMMON_NAME, "Alan Jones"), [ALAN_DN]),
        (certificate(STRANGER), []),
        (text(FindBy.MAIL, "dave@airius.com"), [DAVE_DN]),
    ]

    def ask(number: int) -> bool:
        candidate, whom = expected[number % len(expected)]
        return owners(find(kind.directory, candidate)) == printed(kind, whom)

    with ThreadPoolExecutor(max_workers=12) as workers:
        assert all(workers.map(ask, range(120)))


def test_a_directory_that_answers_passes_its_check_and_knows_its_domain(directory: Directory) -> None:
    directory.check(deadline=deadline())
    assert directory.domain == DOMAIN


CALLS: list[tuple[str, Callable[[Directory, DistinguishedName], object]]] = [
    ("a look-up by certificate", lambda directory, _dave: find(directory, certificate(DAVE))),
    ("a look-up by subject", lambda directory, dave: find(directory, SubjectCandidate(dn=dave))),
    (
        "a look-up of nobody",
        lambda directory, _dave: find(directory, text(FindBy.MAIL, "nobody@airius.com")),
    ),
    (
        "a question for groups",
        lambda directory, dave: directory.find_groups([dave], deadline=deadline()),
    ),
    (
        "a question for the groups of a person",
        lambda directory, dave: directory.find_groups_of_person([dave], deadline=deadline()),
    ),
    ("a check", lambda directory, _dave: directory.check(deadline=deadline())),
]


def raises_unavailable(directory: Directory, dave: DistinguishedName) -> None:
    """Assert that every call raises, and none answers."""
    for words, call in CALLS:
        try:
            answer = call(directory, dave)
        except DirectoryUnavailable:
            continue
        pytest.fail(f"{words} was answered: {answer}")


def test_t50_a_closed_directory_raises_and_never_answers_nobody(kind: Kind) -> None:
    directory = kind.open_directory()
    directory.check(deadline=deadline())
    directory.close()
    raises_unavailable(directory, kind.dn(DAVE_DN))


@pytest.mark.parametrize("name", [name for name in KINDS if name not in {"memory", "SQLite", "LDIF"}])
def test_t50_a_directory_whose_server_is_gone_raises_and_answers_again_when_it_is_back(
    name: str, kinds: Kinds
) -> None:
    kind = kinds[name]
    directory = kind.open_directory()
    directory.check(deadline=deadline())
    assert kind.outage is not None
    with kind.outage():
        raises_unavailable(directory, kind.dn(DAVE_DN))
    assert owners(find(directory, certificate(DAVE))) == printed(kind, [DAVE_DN])
    directory.close()


@pytest.mark.parametrize("database", ["empty.db", "gone/directory.db"])
def test_t50_a_file_without_tables_or_without_a_folder_raises(database: str, tmp_path: Path) -> None:
    directory = SqlDirectory(DOMAIN, create_engine(f"sqlite:///{tmp_path / database}"))
    raises_unavailable(directory, read_ldap_dn(DAVE_DN))
    directory.close()


def test_t50_a_server_without_the_tables_or_without_the_database_raises(postgresql: PostgresqlServer) -> None:
    with postgresql.database() as url:
        for address in (url, postgresql.url("no_such_database")):
            directory = SqlDirectory(DOMAIN, open_engine(address))
            raises_unavailable(directory, read_ldap_dn(DAVE_DN))
            directory.close()


@pytest.mark.parametrize("name", [name for name in KINDS if name != "memory"])
def test_a_question_after_its_deadline_is_not_put(name: str, kinds: Kinds) -> None:
    with pytest.raises(DirectoryUnavailable, match="no time left"):
        kinds[name].directory.find_entries(certificate(DAVE), limit=2, deadline=deadline(-1))


def test_entries_have_keys_that_tell_them_apart(directory: Directory) -> None:
    entries: tuple[Entry, ...] = find(directory, text(FindBy.MAIL, "office@airius.com")).entries
    assert len({entry.key for entry in entries}) == len(entries) == 4
