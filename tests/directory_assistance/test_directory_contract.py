"""The contract of `directory_assistance.directory`, the same for every kind of directory.

Each test runs over a memory directory, an SQLite file, a real slapd and an LDIF file, which hold the same people and
groups.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from directory_assistance.backends.ldap import LdapDirectory
from directory_assistance.backends.ldif import LdifDirectory, LdifSettings
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
from directory_assistance.filters import And, Equality, Not, Or, Present, Substring
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
    ldap_directory,
    ldap_settings,
    ldif_directory,
    memory_directory,
    sql_directory,
    world_ldif,
)
from tests.support.pki import Issued
from tests.support.slapd import SlapdServer, serve

KINDS = ("memory", "SQLite", "slapd", "LDIF")

DAVE_DN = "CN=Dave Lawson,OU=East,O=airius.com"
ALAN_DN = "CN=Alan Jones,O=airius.com"
PERIL_CN = 'Peril (of) * \\ "x", Jr.'


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlapdServer]:
    with serve(tmp_path_factory.mktemp("slapd") / "s", world_ldif()) as server:
        yield server


@pytest.fixture(scope="session")
def directories(
    tmp_path_factory: pytest.TempPathFactory, slapd: SlapdServer
) -> Iterator[dict[str, Directory]]:
    opened: dict[str, Directory] = {
        "memory": memory_directory(),
        "SQLite": sql_directory(tmp_path_factory.mktemp("sql")),
        "slapd": LdapDirectory(DOMAIN, ldap_settings(slapd)),
        "LDIF": ldif_directory(tmp_path_factory.mktemp("ldif")),
    }
    yield opened
    for directory in opened.values():
        directory.close()


@pytest.fixture(params=KINDS)
def directory(request: pytest.FixtureRequest, directories: dict[str, Directory]) -> Directory:
    return directories[request.param]


def find(directory: Directory, candidate: Candidate, limit: int = 100) -> LookUp:
    return directory.find_entries(candidate, limit=limit, deadline=deadline())


def owners(found: LookUp) -> list[str]:
    """Return the first names found, sorted, as LDAP text."""
    assert found.supported
    assert not found.exceeded
    firsts = [entry.names[0] for entry in found.entries]
    return sorted(render_ldap(name) for name in firsts if isinstance(name, DistinguishedName))


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
        ["CN=John Smith,OU=East,O=airius.com", "CN=John Smith,OU=West,O=airius.com"],
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
    ("a letter without its mark is another letter", text(FindBy.COMMON_NAME, "Jurgen Groß"), []),
    (
        "a common name of special characters finds exactly its owner",
        text(FindBy.COMMON_NAME, PERIL_CN),
        [PEOPLE[-1].dn],
    ),
    ("the mail address finds the owner", text(FindBy.MAIL, "ALAN.jones@airius.com"), [ALAN_DN]),
    ("a mail address of nobody finds nobody", text(FindBy.MAIL, "nobody@airius.com"), []),
]


@pytest.mark.parametrize(
    ("candidate", "expected"), [case[1:] for case in FOUND], ids=[case[0] for case in FOUND]
)
def test_a_candidate_finds_exactly_those_who_are_meant(
    directory: Directory, candidate: Candidate, expected: list[str]
) -> None:
    assert owners(find(directory, candidate)) == sorted(render_ldap(read_ldap_dn(dn)) for dn in expected)


def test_an_entry_is_handed_on_whole(directory: Directory) -> None:
    (entry,) = find(directory, certificate(DAVE), limit=2).entries
    assert (entry.names[0], entry.display_name, entry.mails, entry.disabled) == (
        read_ldap_dn(DAVE_DN),
        "Dave J. Lawson",
        ("dave@airius.com",),
        False,
    )
    assert set(entry.certificates) == {StoredCertificate(der=DAVE.der), StoredCertificate(der=DAVE_OLD.der)}


def test_the_names_after_the_first_only_find_and_are_handed_on(directory: Directory) -> None:
    (entry,) = find(directory, text(FindBy.MAIL, "alan.jones@airius.com")).entries
    assert {FlatName(text="AJones"), FlatName(text="Al Jones")} <= set(entry.names[1:])


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

INJECTIONS = [
    "*",
    "**",
    "Dave*",
    "*Lawson",
    "D*n",
    "Dave Lawson*",
    "Dave Lawson)(cn=*",
    "Dave Lawson)(|(cn=*",
    "*)(objectClass=*",
    "*)(&",
    "x)(|(uid=*))",
    "Dave Lawson))(|(cn=*",
    "Dave\\20Lawson",
    "\\44ave Lawson",
    "\\2a",
    "\\",
    "\\\\",
    "Dave Lawson\\",
    "Dave Lawson\0",
    "Dave Lawson\0*",
    "\0",
    "Dave Lawson' OR '1'='1",
    "Dave Lawson'; DROP TABLE people; --",
    "%",
    "Dave%",
    "D_ve Lawson",
    "{subject.cn}",
    "Dave Lawson\ud800",
    "Dave Lawson\x1b[2J",
    "Dave Lawson\r\ncn: x",
    "( cn = Dave Lawson )",
    "&",
    "!",
    "=",
    "#44617665",
    "CN=Dave Lawson",
    "",
    " ",
    "\u200b",
    "\u3000",
    "\uff0a",
]


@pytest.mark.parametrize("value", INJECTIONS, ids=ascii)
@pytest.mark.parametrize("find_by", TEXT_WAYS)
def test_t44_a_value_that_imitates_a_filter_or_statement_finds_nobody(
    directory: Directory, find_by: FindBy, value: str
) -> None:
    found = find(directory, text(find_by, value))
    assert (found.entries, found.exceeded) == ((), False)


@pytest.mark.parametrize("value", INJECTIONS, ids=ascii)
def test_t45_a_subject_that_imitates_names_or_filters_finds_nobody(directory: Directory, value: str) -> None:
    """The value stands in a component of the name asked for, as a certificate could carry it."""
    leaf = RelativeDistinguishedName(attributes=(Attribute(oid="2.5.4.3", value=value),))
    forged = DistinguishedName(rdns=(leaf, *read_ldap_dn(DAVE_DN).rdns[1:]))
    assert owners(find(directory, SubjectCandidate(dn=forged))) == []


def test_t46_a_blank_value_does_not_find_those_who_have_none(directory: Directory) -> None:
    """Alan has neither UPN nor uid, others have no mail: nothing equals nothing."""
    assert [find(directory, text(find_by, "")).entries for find_by in TEXT_WAYS] == [()] * 4


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(), max_size=20), find_by=st.sampled_from(TEXT_WAYS))
def test_t79_no_value_makes_a_directory_look_unavailable(
    directory: Directory, value: str, find_by: FindBy
) -> None:
    find(directory, text(find_by, value))
    leaf = RelativeDistinguishedName(attributes=(Attribute(oid="2.5.4.3", value=value),))
    find(directory, SubjectCandidate(dn=DistinguishedName(rdns=(leaf, *read_ldap_dn(ALAN_DN).rdns[1:]))))
    find(
        directory,
        CertificateCandidate(
            der=value.encode("utf-8", "replace"), issuer=DistinguishedName(rdns=(leaf,)), serial=1
        ),
    )
    directory.find_groups([DistinguishedName(rdns=(leaf,)), FlatName(text=value)], deadline=deadline())


UNSUPPORTED = {
    "memory": set(),
    "SQLite": {FindBy.UPN, FindBy.UID, FindBy.SID, FindBy.FILTER},
    "slapd": {FindBy.SUBJECT_KEY_ID, FindBy.SID},
    "LDIF": set(),
}

EVERY_KIND: list[Candidate] = [
    subject(DAVE_DN),
    *(text(find_by, "x") for find_by in TEXT_WAYS),
    certificate(DAVE),
    issuer_serial(DAVE),
    SubjectKeyIdCandidate(subject_key_id=b"\1" * 20),
    SidCandidate(sid="S-1-5-21-1-2-3-1104"),
    FilterCandidate(filter=Equality(attribute="cn", value="x")),
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_directory_says_which_candidates_it_cannot_be_asked_for(
    kind: str, directories: dict[str, Directory]
) -> None:
    answers = {candidate.find_by: find(directories[kind], candidate) for candidate in EVERY_KIND}
    assert {find_by for find_by, answer in answers.items() if not answer.supported} == UNSUPPORTED[kind]
    assert all(answer.asked for answer in answers.values())
    assert not any(answer.entries for answer in answers.values() if not answer.supported)


@pytest.mark.parametrize("kind", ["memory", "slapd", "LDIF"])
def test_upn_and_uid_find_the_owner(kind: str, directories: dict[str, Directory]) -> None:
    directory = directories[kind]
    assert owners(find(directory, text(FindBy.UPN, "DAVE@corp.airius.com"))) == [DAVE_DN]
    assert owners(find(directory, text(FindBy.UID, "DLawson"))) == [DAVE_DN]


@pytest.mark.parametrize("kind", ["memory", "SQLite", "LDIF"])
def test_the_subject_key_identifier_finds_the_owner(kind: str, directories: dict[str, Directory]) -> None:
    key_id = read_certificate_names(PERIL.der).subject_key_id
    assert key_id is not None
    found = find(directories[kind], SubjectKeyIdCandidate(subject_key_id=key_id))
    assert owners(found) == [render_ldap(read_ldap_dn(PEOPLE[-1].dn))]
    assert owners(find(directories[kind], SubjectKeyIdCandidate(subject_key_id=b""))) == []


FILTERS = [
    (Equality(attribute="mail", value="dave@airius.com"), [DAVE_DN]),
    (And(parts=(Equality(attribute="cn", value="John Smith"), Present(attribute="mail"))), None),
    (
        Or(parts=(Equality(attribute="cn", value="Al Jones"), Equality(attribute="uid", value="dlawson"))),
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


@pytest.mark.parametrize("kind", ["memory", "slapd", "LDIF"])
@pytest.mark.parametrize(("wanted", "expected"), FILTERS)
def test_a_filter_finds_whom_it_describes(
    kind: str, directories: dict[str, Directory], wanted: Equality, expected: list[str] | None
) -> None:
    found = owners(find(directories[kind], FilterCandidate(filter=wanted)))
    johns = ["CN=John Smith,OU=East,O=airius.com", "CN=John Smith,OU=West,O=airius.com"]
    assert found == (johns if expected is None else expected)


def group_names(directory: Directory, *members: MemberReference) -> list[str]:
    return [group.name for group in directory.find_groups(members, deadline=deadline())]


def test_the_groups_that_list_somebody_are_found_sorted_by_name(directory: Directory) -> None:
    assert group_names(directory, read_ldap_dn("cn=ALAN jones,o=airius.com")) == ["Buyers", "Sales"]


def test_only_direct_groups_are_found_and_their_references_lead_on(directory: Directory) -> None:
    (sales,) = directory.find_groups([read_ldap_dn(DAVE_DN)], deadline=deadline())
    (managers,) = directory.find_groups([sales.reference], deadline=deadline())
    assert (sales.name, managers.name) == ("Sales", "Managers")
    assert [group.name for group in directory.find_groups([managers.reference], deadline=deadline())] == [
        "Everybody"
    ]


def test_a_group_that_lists_several_of_the_members_is_found_once(directory: Directory) -> None:
    assert group_names(directory, read_ldap_dn(DAVE_DN), read_ldap_dn(ALAN_DN)) == ["Buyers", "Sales"]


def test_whoever_is_in_no_group_has_none_and_nobody_at_all_has_none(directory: Directory) -> None:
    assert group_names(directory, read_ldap_dn("CN=Nobody,O=airius.com"), InternetName(text="a@b")) == []
    assert group_names(directory) == []


def test_many_members_may_be_asked_for_at_once(directory: Directory) -> None:
    crowd = [read_ldap_dn(f"CN=Person {number},O=airius.com") for number in range(600)]
    assert group_names(directory, *crowd, read_ldap_dn(ALAN_DN)) == ["Buyers", "Sales"]


@pytest.mark.parametrize("kind", ["memory", "SQLite", "LDIF"])
def test_a_wildcard_member_is_found_by_its_reference(kind: str, directories: dict[str, Directory]) -> None:
    assert group_names(directories[kind], read_member("*/East/airius.com")) == ["The East"]
    assert group_names(directories[kind], *wildcards_of(read_ldap_dn(DAVE_DN))) == ["The East"]


def test_wildcards_and_flat_names_are_no_members_of_an_ldap_group(directories: dict[str, Directory]) -> None:
    assert group_names(directories["slapd"], read_member("*/airius.com"), FlatName(text="Sales")) == []


@pytest.mark.parametrize("kind", ["memory", "SQLite"])
def test_the_primary_knows_every_name_that_is_taken(kind: str, directories: dict[str, Directory]) -> None:
    primary = directories[kind]
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


def test_calls_from_several_threads_do_not_mix_their_answers(directory: Directory) -> None:
    expected: list[tuple[Candidate, list[str]]] = [
        (certificate(DAVE), [DAVE_DN]),
        (text(FindBy.COMMON_NAME, "Al Jones"), [ALAN_DN]),
        (certificate(STRANGER), []),
        (text(FindBy.MAIL, "dave@airius.com"), [DAVE_DN]),
    ]

    def ask(number: int) -> bool:
        candidate, whom = expected[number % len(expected)]
        return owners(find(directory, candidate)) == whom

    with ThreadPoolExecutor(max_workers=12) as workers:
        assert all(workers.map(ask, range(120)))


def test_a_directory_that_answers_passes_its_check_and_knows_its_domain(directory: Directory) -> None:
    directory.check(deadline=deadline())
    assert directory.domain == DOMAIN


CALLS: list[tuple[str, Callable[[Directory], object]]] = [
    ("a look-up by certificate", lambda directory: find(directory, certificate(DAVE))),
    ("a look-up by subject", lambda directory: find(directory, subject(DAVE_DN))),
    ("a look-up of nobody", lambda directory: find(directory, text(FindBy.MAIL, "nobody@airius.com"))),
    (
        "a question for groups",
        lambda directory: directory.find_groups([read_ldap_dn(DAVE_DN)], deadline=deadline()),
    ),
    ("a check", lambda directory: directory.check(deadline=deadline())),
]


@contextmanager
def out_of_reach(how: str, folder: Path) -> Iterator[Directory]:
    """Yield a directory that answered once and then went out of reach, or never was within."""
    if how.startswith("slapd"):
        with ldap_directory(folder / "s") as (server, directory):
            directory.check(deadline=deadline())
            if how == "slapd killed":
                server.kill()
            else:
                directory.close()
            yield directory
        return
    databases = {"SQLite without tables": "empty.db", "SQLite without a folder": "gone/directory.db"}
    if how in databases:
        empty = SqlDirectory(DOMAIN, create_engine(f"sqlite:///{folder / databases[how]}"))
        yield empty
        empty.close()
        return
    if how == "LDIF without a file":
        yield LdifDirectory(DOMAIN, LdifSettings(path=folder / "gone.ldif"))
        return
    makers: dict[str, Callable[[Path], Directory]] = {
        "memory": lambda _folder: memory_directory(),
        "SQLite": sql_directory,
        "LDIF": ldif_directory,
    }
    closed: Directory = makers[how.partition(" ")[0]](folder)
    closed.check(deadline=deadline())
    closed.close()
    yield closed


OUTAGES = [
    "memory closed",
    "SQLite closed",
    "SQLite without tables",
    "SQLite without a folder",
    "slapd closed",
    "slapd killed",
    "LDIF closed",
    "LDIF without a file",
]


@pytest.fixture(params=OUTAGES)
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Directory]:
    with out_of_reach(request.param, tmp_path) as directory:
        yield directory


@pytest.mark.parametrize("call", [case[1] for case in CALLS], ids=[case[0] for case in CALLS])
def test_t50_a_directory_out_of_reach_raises_and_never_answers_nobody(
    broken: Directory, call: Callable[[Directory], object]
) -> None:
    with pytest.raises(DirectoryUnavailable):
        call(broken)


@pytest.mark.parametrize("kind", ["SQLite", "slapd", "LDIF"])
def test_a_question_after_its_deadline_is_not_put(kind: str, directories: dict[str, Directory]) -> None:
    with pytest.raises(DirectoryUnavailable, match="no time left"):
        directories[kind].find_entries(certificate(DAVE), limit=2, deadline=deadline(-1))


def test_entries_have_keys_that_tell_them_apart(directory: Directory) -> None:
    entries: tuple[Entry, ...] = find(directory, text(FindBy.MAIL, "office@airius.com")).entries
    assert len({entry.key for entry in entries}) == len(entries) == 4
