"""What only an LDIF directory does: a file that changes, breaks and vanishes, and whatever stands in it."""

import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from directory_assistance.backends.ldif import LdifDirectory, LdifSettings, source
from directory_assistance.backends.ldif.content import LdifContent, read_content
from directory_assistance.backends.ldif.source import LdifSource, Look
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
from directory_assistance.directory import LookUp
from directory_assistance.dn import FlatName, MemberReference, read_ldap_dn, read_member
from directory_assistance.entry import Entry, Group, GroupType, StoredCertificate
from directory_assistance.errors import (
    DirectoryAnswerMalformed,
    DirectoryFault,
    DirectoryUnavailable,
    ExpansionLimitExceeded,
)
from directory_assistance.filters import Comparison, Equality, Operator, Present
from directory_assistance.groups import ExpansionLimits, expand_groups
from directory_assistance.watching import EVERYTHING, Change, Watch, WatchState, WatchStatus
from tests.support.directories import DAVE, DOMAIN, deadline
from tests.support.slapd import Value, ldif

ANN_DN = "cn=Ann,o=Acme"
ANN = read_ldap_dn(ANN_DN)
EVE = read_ldap_dn("cn=Eve,o=Acme")
PERSON = "objectClass: inetOrgPerson\n"

WAIT_SECONDS = 20.0
"""For a thread that looks four times a second, on a machine that is busy."""


def person(name: str, *lines: str) -> str:
    return f"dn: cn={name},o=Acme\n{PERSON}cn: {name}\n" + "".join(f"{line}\n" for line in lines) + "\n"


def group(name: str, *members: str, kind: str = "groupOfNames", attribute: str = "member") -> str:
    listed = "".join(f"{attribute}: {member}\n" for member in members)
    return f"dn: cn={name},o=Acme\nobjectClass: {kind}\ncn: {name}\n{listed}\n"


class Clock:
    """A monotonic clock that tests turn; `step` seconds pass at every reading."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.step = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.ldif"


@pytest.fixture
def directory(file: Path, clock: Clock) -> Iterator[LdifDirectory]:
    """Return a directory on the file, which is not there yet."""
    opened = LdifDirectory(DOMAIN, LdifSettings(path=file), clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def holding(file: Path, directory: LdifDirectory) -> Callable[[str], LdifDirectory]:
    """Return what writes the file and gives the directory."""

    def write(text: str) -> LdifDirectory:
        file.write_text(text, encoding="utf-8")
        return directory

    return write


def replace(file: Path, text: str) -> None:
    """Put another file in the place of this one, whole at once."""
    beside = file.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(file)


def until(clock: Clock) -> float:
    return clock.now + WAIT_SECONDS


def find(directory: LdifDirectory, candidate: Candidate, limit: int = 10) -> LookUp:
    return directory.find_entries(candidate, limit=limit, deadline=1e9)


def common_name(text: str) -> TextCandidate:
    return TextCandidate(find_by=FindBy.COMMON_NAME, text=text)


def who(directory: LdifDirectory, name: str) -> int:
    """Return how many entries have this common name."""
    return len(find(directory, common_name(name)).entries)


def groups_of(directory: LdifDirectory, *members: MemberReference) -> list[str]:
    return [each.name for each in directory.find_groups(members, deadline=1e9)]


# --- entries

WHOLE: dict[str, list[Value]] = {
    "objectClass": ["user"],
    "cn": ["Ann", "Ann A."],
    "cn;lang-de": ["Anna"],
    "displayName": ["Ann Acme"],
    "mail": ["ann@acme.com", "a@acme.com"],
    "userCertificate;binary": [DAVE.der],
    "userCertificate": [DAVE.der, b"no certificate"],
    "objectSid": [bytes.fromhex("010500000000000515000000dcf4dc3b833d2b46828ba62800020000")],
    "userAccountControl": ["512"],
    "accountExpires": ["133497504000000000"],
    "objectGUID": [bytes(range(16))],
    "altSecurityIdentities": ["X509:<SKI>010203", "X509:<I>o=x<SR>01"],
    "jpegPhoto": [b"\xff\xd8" * 10_000],
    "memberOf": [f"cn={number},o=Acme" for number in range(2_000)],
}


def test_an_entry_is_read_as_over_ldap(holding: Callable[[str], LdifDirectory]) -> None:
    directory = holding(ldif((ANN_DN, WHOLE)))
    expected = Entry(
        key=ANN.key,
        names=(ANN, FlatName(text="Ann"), FlatName(text="Ann A."), FlatName(text="Anna")),
        dn=ANN,
        display_name="Ann Acme",
        mails=("ann@acme.com", "a@acme.com"),
        certificates=(StoredCertificate(der=DAVE.der), StoredCertificate(der=b"no certificate")),
        sid="S-1-5-21-1004336348-1177238915-682003330-512",
        subject_key_ids=(b"\1\2\3",),
        issuer_serials=((read_ldap_dn("o=x"), 1),),
        expires=datetime(2024, 1, 15, tzinfo=UTC),
        unique_id="03020100-0504-0706-0809-0a0b0c0d0e0f",
    )
    names = read_certificate_names(DAVE.der)
    ways: list[Candidate] = [
        SubjectCandidate(dn=ANN),
        common_name("anna"),
        TextCandidate(find_by=FindBy.MAIL, text="A@acme.com"),
        CertificateCandidate(der=DAVE.der, issuer=names.issuer, serial=names.serial),
        SubjectKeyIdCandidate(subject_key_id=b"\1\2\3"),
        SidCandidate(sid="S-1-5-21-1004336348-1177238915-682003330-512"),
        IssuerSerialCandidate(issuer=read_ldap_dn("o=x"), serial=1),
        FilterCandidate(filter=Equality(attribute="displayname", value="ann  ACME")),
        FilterCandidate(filter=Equality(attribute="userCertificate;binary", value=DAVE.der)),
        FilterCandidate(filter=Equality(attribute="cn;lang-de", value="Anna")),
    ]
    assert [find(directory, way).entries for way in ways] == [(expected,)] * len(ways)


def test_a_filter_does_not_find_by_the_value_of_another_attribute_or_option(
    holding: Callable[[str], LdifDirectory],
) -> None:
    directory = holding(ldif((ANN_DN, WHOLE)))
    for attribute, value in (("cn;lang-de", "Ann"), ("sn", "Ann"), ("dn", ANN_DN), ("version", "1")):
        wanted = FilterCandidate(filter=Equality(attribute=attribute, value=value))
        assert find(directory, wanted) == LookUp(asked=f"`({attribute}={value})`")


def test_a_filter_that_needs_a_schema_is_not_answered(holding: Callable[[str], LdifDirectory]) -> None:
    ordering = Comparison(attribute="cn", operator=Operator.AT_LEAST, value="A")
    found = find(holding(person("Ann")), FilterCandidate(filter=ordering))
    assert (found.supported, found.entries, found.asked) == (False, (), "`(cn>=A)`")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nsAccountLock: TRUE", True),
        ("nsAccountLock: false", False),
        ("pwdAccountLockedTime: 000001010000Z", True),
        ("userAccountControl: 514", True),
        ("userAccountControl: 512", False),
        ("description: disabled", False),
    ],
)
def test_t57_an_account_is_disabled_by_the_sign_of_any_server(
    line: str, expected: bool, holding: Callable[[str], LdifDirectory]
) -> None:
    (entry,) = find(holding(person("Ann", line)), common_name("Ann")).entries
    assert entry.disabled is expected


def test_every_record_is_an_entry_but_groups_and_places(holding: Callable[[str], LdifDirectory]) -> None:
    directory = holding(
        "dn: o=Acme\nobjectClass: organization\no: Acme\n\n"
        "dn: ou=Attic,o=Acme\nobjectClass: organizationalUnit\nou: Attic\ncn: Attic\n\n"
        + person("Ann")
        + group("Sales", ANN_DN)
        + "dn: cn=Box,o=Acme\nobjectClass: device\ncn: Box\nmember: cn=Ann,o=Acme\n"
    )
    assert find(directory, SubjectCandidate(dn=read_ldap_dn("O=acme"))).entries == ()
    assert [who(directory, name) for name in ("Ann", "Sales", "Box", "Attic")] == [1, 0, 0, 0]
    assert find(directory, FilterCandidate(filter=Present(attribute="member"))).entries == ()


MALFORMED: list[tuple[str, list[str], str]] = [
    ("userAccountControl: many", ["Ann"], "expected an integer in `userAccountControl`, found `many`"),
    ("objectSid: S-1-5", ["Ann"], "expected one security identifier in `objectSid`"),
    ("displayName:: /w==", ["Ann"], "a value of `displayName` is not UTF-8"),
    ("cn:: /w==", ["Ann", "\udcff"], "a value of `cn` is not UTF-8"),
    (f"mail: {'m' * 8_193}", ["Ann"], "a value of `mail` is longer than 8192 octets"),
    ("\n".join(f"mail: {number}" for number in range(5_001)), ["Ann"], "`mail` has more than 5000 values"),
    ("cn;range=0-0: A", ["Ann", "A"], "only a part of the values of `cn` is there"),
]


@pytest.mark.parametrize(("line", "names", "problem"), MALFORMED, ids=[case[2] for case in MALFORMED])
def test_a_value_that_cannot_be_read_is_a_fault_of_its_entry_alone(
    line: str, names: list[str], problem: str, holding: Callable[[str], LdifDirectory]
) -> None:
    directory = holding(person("Eve", "mail: eve@acme.com") + person("Ann", "mail: ann@acme.com", line))
    ways: list[Candidate] = [
        SubjectCandidate(dn=ANN),
        TextCandidate(find_by=FindBy.MAIL, text="ann@acme.com"),
        FilterCandidate(filter=Equality(attribute="mail", value="ann@acme.com")),
        *(common_name(name) for name in names),
    ]
    for way in ways:
        with pytest.raises(DirectoryAnswerMalformed, match=f"line 6: entry `cn=Ann,o=Acme`: {problem}"):
            find(directory, way)
    assert who(directory, "Eve") == 1


def test_an_entry_of_two_security_identifiers_is_a_fault_by_either(
    holding: Callable[[str], LdifDirectory],
) -> None:
    octets = [bytes.fromhex(f"0102000000000005150000000{number}000000") for number in (1, 2)]
    directory = holding(ldif((ANN_DN, {"cn": ["Ann"], "objectSid": list(octets)})))
    for sid in ("S-1-5-21-1", "S-1-5-21-2"):
        with pytest.raises(DirectoryAnswerMalformed, match="expected one security identifier"):
            find(directory, SidCandidate(sid=sid))
    assert find(directory, SidCandidate(sid="S-1-5-21-3")).entries == ()


def test_t18_a_name_with_a_nul_is_a_fault_and_never_the_name_without(
    holding: Callable[[str], LdifDirectory],
) -> None:
    nul = ldif(("cn=Ann\\00,o=Acme", {"cn": ["Ann", "Eve\0", "Eve"]}), ("cn=Ann\0,o=Acme", {"cn": ["Ann"]}))
    directory = holding(nul + "\n" + person("Bob"))
    assert (who(directory, "Bob"), find(directory, SubjectCandidate(dn=ANN)).entries) == (1, ())
    for name in ("Ann", "Eve", "Eve\0"):
        with pytest.raises(DirectoryAnswerMalformed, match=r"its name cannot be read: expected a "):
            find(directory, common_name(name))


def test_a_common_name_with_a_nul_finds_by_all_of_it_alone(holding: Callable[[str], LdifDirectory]) -> None:
    directory = holding(ldif((ANN_DN, {"cn": ["Admin\0x"]})))
    assert [who(directory, name) for name in ("Admin", "Admin\0x", "Admin\0")] == [0, 1, 0]


# --- groups


@pytest.mark.parametrize(
    ("kind", "attribute"),
    [
        ("groupOfNames", "member"),
        ("GROUPOFUNIQUENAMES", "uniqueMember"),
        ("group", "member"),
        ("posixGroup", "member"),
        ("dominoGroup", "member"),
        ("organizationalRole", "member"),
    ],
)
def test_groups_of_every_class_list_members_by_their_names(
    kind: str, attribute: str, holding: Callable[[str], LdifDirectory]
) -> None:
    listed = group("Sales", "CN=ann,O=Acme", "cn=Ann,o=Acme", kind=kind, attribute=attribute)
    directory = holding(listed + person("Ann"))
    expected = Group(name="Sales", type=GroupType.MULTI, reference=read_ldap_dn("cn=Sales,o=Acme"))
    assert directory.find_groups([ANN, FlatName(text="Ann")], deadline=1e9) == (expected,)
    told = directory.find_groups_of_person([ANN], deadline=1e9)
    assert (told.groups, told.complete) == ((expected,), False)
    assert groups_of(directory, EVE, FlatName(text="Ann")) == []


def test_a_posix_group_without_names_of_entries_has_no_members(
    holding: Callable[[str], LdifDirectory],
) -> None:
    directory = holding(group("staff", "Ann", kind="posixGroup", attribute="memberUid"))
    assert groups_of(directory, ANN, FlatName(text="Ann")) == []
    assert who(directory, "staff") == 0


@pytest.mark.parametrize(
    ("listed", "means"),
    [
        ("*/East/Acme", "*/East/Acme"),
        ("*,OU=East,O=Acme", "*/OU=East/O=Acme"),
        ("Ann/East/Acme", "CN=Ann/OU=East/O=Acme"),
        ("CN=Ann/O=Acme", "CN=Ann/O=Acme"),
        ("CN=Smith, John/O=Acme", '"CN=Smith, John/O=Acme"'.strip('"')),
        ("Other Group", "Other Group"),
        ("ann@acme.com", "ann@acme.com"),
    ],
)
def test_groups_of_domino_list_wildcards_and_names_in_every_form(
    listed: str, means: str, holding: Callable[[str], LdifDirectory]
) -> None:
    directory = holding(group("Sales", listed, kind="dominoGroup"))
    assert groups_of(directory, read_member(means)) == ["Sales"]
    assert groups_of(directory, read_member("Eve/East/Acme"), read_member("*/Acme")) == []


def test_a_name_of_ldap_is_read_as_ldap_has_it(holding: Callable[[str], LdifDirectory]) -> None:
    """Slashes in a DN separate nothing; in a text without a comma they do where both readings are possible."""
    directory = holding(group("Net", "cn=TCP/IP,o=Acme", "cn=A/B"))
    assert groups_of(directory, read_ldap_dn("cn=TCP/IP,o=Acme")) == ["Net"]
    assert groups_of(directory, read_ldap_dn("cn=A/B")) == ["Net"]
    assert groups_of(directory, read_ldap_dn("cn=TCP,o=Acme")) == []


def test_a_group_of_several_names_is_named_by_its_dn(holding: Callable[[str], LdifDirectory]) -> None:
    good = group("Sales", ANN_DN).replace("cn: Sales", "cn: Sold\ncn: sales")
    assert groups_of(holding(good), ANN) == ["sales"]


@pytest.mark.parametrize("names", ["cn: Sold\ncn: Selling", "description: x"])
def test_t63_a_group_without_one_name_is_a_fault_for_its_members_alone(
    names: str, holding: Callable[[str], LdifDirectory]
) -> None:
    directory = holding(group("Sales", ANN_DN).replace("cn: Sales", names) + group("Net", "cn=Eve,o=Acme"))
    with pytest.raises(DirectoryAnswerMalformed, match="line 1: entry `cn=Sales,o=Acme`: expected one `cn`"):
        groups_of(directory, ANN)
    assert groups_of(directory, EVE) == ["Net"]


@pytest.mark.parametrize("blank", ["", " ", r"CN=x\0ACNF:1,O=Acme", "cn=a\\00,o=Acme", "cn=a\x7f,o=Acme"])
def test_a_member_that_can_be_nobody_lists_nobody(
    blank: str, holding: Callable[[str], LdifDirectory]
) -> None:
    directory = holding(group("Sales", blank, ANN_DN))
    assert groups_of(directory, ANN) == ["Sales"]
    assert groups_of(directory, EVE) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('member: cn="Smith, John",o=Acme', "a member cannot be read: expected "),
        ("member: cn=Ann;o=Acme", "a member cannot be read: expected "),
        ("member: */*/Acme", "a member cannot be read: expected "),
        ("member:: /w==", "a member cannot be read: expected UTF-8"),
        ("member;range=0-1499: cn=Eve,o=Acme", "only a part of the values of `member;range=0-1499` is there"),
    ],
)
def test_t63_groups_whose_members_are_not_known_answer_nobody(
    line: str, problem: str, holding: Callable[[str], LdifDirectory]
) -> None:
    """Whoever asks may be the one whom the value means; a missing group can raise access as well as lower it."""
    directory = holding(
        person("Ann")
        + group("Net", ANN_DN)
        + group("Sales", ANN_DN).replace("cn: Sales", f"cn: Sales\n{line}")
    )
    for member in (ANN, EVE):
        with pytest.raises(DirectoryAnswerMalformed, match=f"line 10: group `cn=Sales,o=Acme`: {problem}"):
            groups_of(directory, member)
    assert who(directory, "Ann") == 1


def test_t63_a_loop_of_groups_is_expanded_once(holding: Callable[[str], LdifDirectory]) -> None:
    text = group("A", ANN_DN, "cn=C,o=Acme") + group("B", "cn=A,o=Acme") + group("C", "cn=B,o=Acme")
    directory = holding(text + group("Self", "cn=Self,o=Acme", ANN_DN))
    found = expand_groups(
        directory, [ANN], counts=lambda _group: True, limits=ExpansionLimits(), deadline=1e9
    )
    assert [(each.group.name, each.via) for each in found] == [
        ("A", ()),
        ("B", ("A",)),
        ("C", ("A", "B")),
        ("Self", ()),
    ]


def test_t63_fifty_thousand_groups_are_too_many_for_one_person(
    holding: Callable[[str], LdifDirectory],
) -> None:
    crowd = "".join(group(f"G{number}", ANN_DN) for number in range(50_000))
    directory = holding(crowd + group("Net", "cn=Eve,o=Acme"))
    with pytest.raises(ExpansionLimitExceeded, match="more groups than 10000 in one answer"):
        groups_of(directory, ANN)
    assert groups_of(directory, EVE) == ["Net"]


# --- a file that is refused

REFUSED: list[tuple[str, str, str]] = [
    (
        "an entry without a name",
        person("Ann") + "cn: Eve\n",
        "line 5: expected `dn:` at the start of an entry",
    ),
    (
        "two entries of one name",
        person("Ann") + person("Eve") + "dn: CN=ANN, O=acme\n",
        "line 9: expected each name once, found `CN=ANN, O=acme` again, which is that of line 1",
    ),
    (
        "an entry and a group of one name",
        group("Ann", "") + person("Ann"),
        "line 6: expected each name once, found `cn=Ann,o=Acme` again, which is that of line 1",
    ),
    (
        "a malformed entry of a name that stands before",
        person("Ann") + person("Ann", "userAccountControl: x"),
        "line 5: expected each name once",
    ),
    (
        "a value of ten million octets",
        person("Ann", f"description: {'x' * 10_000_000}"),
        "line 4: expected a line",
    ),
    ("a NUL", person("Ann", "sn: A\0"), "line 4: expected text"),
    ("half an entry", person("Ann")[:-5], "line 3: expected a line end after the last line"),
    ("changes", "dn: cn=Ann,o=Acme\nchangetype: delete\n", "line 2: expected entries as they are"),
]


@pytest.mark.parametrize(
    ("text", "problem"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_t50_a_file_that_is_no_ldif_is_never_an_empty_directory(
    text: str, problem: str, holding: Callable[[str], LdifDirectory], file: Path
) -> None:
    directory = holding(text)
    calls: list[Callable[[], object]] = [
        lambda: who(directory, "Ann"),
        lambda: groups_of(directory, ANN),
        lambda: directory.check(deadline=1e9),
    ]
    for call in calls:
        with pytest.raises(DirectoryUnavailable) as caught:
            call()
        assert caught.value.problem.startswith(f"`{file}` cannot be used: {problem}")


def test_two_unreadable_names_are_not_the_same_name(holding: Callable[[str], LdifDirectory]) -> None:
    directory = holding("dn: nobody\ncn: Ann\n\ndn: nobody\ncn: Eve\n\n" + person("Bob"))
    assert who(directory, "Bob") == 1


@pytest.mark.parametrize(
    ("make", "problem"), [(os.mkdir, "Is a directory"), (os.mkfifo, "expected a file, found something else")]
)
def test_what_is_no_file_is_unavailable_at_once(
    make: Callable[[Path], None], problem: str, directory: LdifDirectory, file: Path
) -> None:
    make(file)
    with pytest.raises(DirectoryUnavailable, match=f"people.ldif` cannot be used: {problem}"):
        directory.check(deadline=1e9)


def test_a_file_beyond_the_largest_size_is_not_read(
    holding: Callable[[str], LdifDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = person("Ann")
    monkeypatch.setattr(source, "LARGEST_FILE", len(text) - 1)
    with pytest.raises(DirectoryUnavailable, match=f"at most {len(text) - 1} octets, found {len(text)}"):
        holding(text).check(deadline=1e9)


# --- a file that changes, without a watch


def test_the_file_is_read_at_the_first_question_and_not_before(directory: LdifDirectory, file: Path) -> None:
    file.write_text(person("Ann"), encoding="utf-8")
    assert who(directory, "Ann") == 1


def test_a_changed_file_is_read_at_a_question_a_quarter_of_a_second_later(
    holding: Callable[[str], LdifDirectory], file: Path, clock: Clock
) -> None:
    directory = holding(person("Ann"))
    assert [who(directory, name) for name in ("Ann", "Eve")] == [1, 0]
    replace(file, person("Eve"))
    clock.now += 0.249
    assert [who(directory, name) for name in ("Ann", "Eve")] == [1, 0]
    clock.now += 0.001
    assert [who(directory, name) for name in ("Ann", "Eve")] == [0, 1]


def test_a_copy_that_keeps_size_and_time_is_seen(
    holding: Callable[[str], LdifDirectory], file: Path, clock: Clock
) -> None:
    directory = holding(person("Ann"))
    before = file.stat()
    assert who(directory, "Ann") == 1
    with file.open("r+", encoding="utf-8") as stream:
        stream.write(person("Eve"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    file.chmod(0o600)
    clock.now += 1
    assert [who(directory, name) for name in ("Ann", "Eve")] == [0, 1]


def test_a_file_that_was_missing_is_found_later(directory: LdifDirectory, file: Path, clock: Clock) -> None:
    with pytest.raises(DirectoryUnavailable, match="No such file or directory"):
        who(directory, "Ann")
    file.write_text(person("Ann"), encoding="utf-8")
    clock.now += 0.25
    assert who(directory, "Ann") == 1


def put_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


BREAKAGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("gone", Path.unlink, "No such file or directory"),
    ("overwritten with something else", lambda file: file.write_text("<html>\n"), "line 1: expected `dn:`"),
    (
        "half-written",
        lambda file: file.write_text(person("Eve") + "dn: cn=Ann,o=Acme\ncn: An", encoding="utf-8"),
        "line 6: expected a line end",
    ),
    ("a folder", put_a_folder, "Is a directory"),
]


@pytest.mark.parametrize(
    ("breaking", "problem"), [case[1:] for case in BREAKAGES], ids=[case[0] for case in BREAKAGES]
)
def test_t42_a_file_that_breaks_is_used_as_it_was_for_sixty_seconds_and_no_longer(
    breaking: Callable[[Path], object],
    problem: str,
    holding: Callable[[str], LdifDirectory],
    file: Path,
    clock: Clock,
) -> None:
    directory = holding(person("Ann"))
    assert who(directory, "Ann") == 1
    breaking(file)
    clock.now += 1
    assert who(directory, "Ann") == 1
    clock.now += 60
    assert who(directory, "Ann") == 1
    clock.now += 0.01
    for _ in range(2):
        with pytest.raises(
            DirectoryUnavailable, match=f"{problem}.*, and what was read before is too old by now"
        ):
            who(directory, "Ann")
        clock.now += 1
    if file.is_dir():
        file.rmdir()
    replace(file, person("Eve"))
    clock.now += 1
    assert [who(directory, name) for name in ("Ann", "Eve")] == [0, 1]


def test_a_file_that_broke_and_was_mended_may_break_again_for_sixty_seconds(
    holding: Callable[[str], LdifDirectory], file: Path, clock: Clock
) -> None:
    directory = holding(person("Ann"))
    for text in (person("Ann"), "x\n") * 3:
        replace(file, text)
        clock.now += 59
        assert who(directory, "Ann") == 1


# --- who reads it


def count_readings(monkeypatch: pytest.MonkeyPatch, release: threading.Event | None = None) -> list[str]:
    """Count how often a file is read, by the name of the thread; each waits for the event."""
    threads: list[str] = []

    def read(domain: str, octets: bytes) -> LdifContent:
        threads.append(threading.current_thread().name)
        assert release is None or release.wait(WAIT_SECONDS)
        return read_content(domain, octets)

    monkeypatch.setattr(source, "read_content", read)
    return threads


def test_t72_many_who_ask_at_once_wait_for_one_reading_by_a_thread_of_its_own(
    holding: Callable[[str], LdifDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = count_readings(monkeypatch)
    directory = holding("".join(person(f"P{number}") for number in range(2_000)))
    with ThreadPoolExecutor(max_workers=12) as workers:
        assert list(workers.map(lambda number: who(directory, f"P{number}"), range(48))) == [1] * 48
    assert threads == ["ldif-look"]


def test_a_broken_file_is_read_once_for_all_who_ask(
    holding: Callable[[str], LdifDirectory], monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    threads = count_readings(monkeypatch)
    directory = holding("x\n")
    for _ in range(3):
        with pytest.raises(DirectoryUnavailable, match="line 1: expected `dn:`"):
            who(directory, "Ann")
        clock.now += 1
    assert len(threads) == 1


def test_whoever_runs_out_of_time_gets_a_fault_and_the_reading_goes_on(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    threads = count_readings(monkeypatch, release)
    file.write_text(person("Ann"), encoding="utf-8")
    directory = LdifDirectory(DOMAIN, LdifSettings(path=file))
    for _ in range(2):
        with pytest.raises(DirectoryUnavailable, match="it is not read yet"):
            directory.check(deadline=deadline(0.02))
    release.set()
    assert len(directory.find_entries(common_name("Ann"), limit=2, deadline=deadline()).entries) == 1
    assert len(threads) == 1
    directory.close()


def test_a_question_that_waits_ends_when_the_directory_is_closed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    threads = count_readings(monkeypatch, release)
    file.write_text(person("Ann"), encoding="utf-8")
    directory = LdifDirectory(DOMAIN, LdifSettings(path=file))
    with ThreadPoolExecutor(max_workers=1) as workers:
        asked = workers.submit(directory.check, deadline=deadline())
        while not threads:
            release.wait(0.001)
        directory.close()
        with pytest.raises(DirectoryUnavailable, match="the directory is closed"):
            asked.result(WAIT_SECONDS)
    release.set()


def test_the_deadline_ends_a_look_through_all_entries(
    holding: Callable[[str], LdifDirectory], clock: Clock
) -> None:
    directory = holding("".join(person(f"P{number}") for number in range(600)))
    wanted = FilterCandidate(filter=Equality(attribute="sn", value="x"))
    assert find(directory, wanted).entries == ()
    clock.step = 1.0
    with pytest.raises(DirectoryUnavailable, match="no time left to look through all entries"):
        directory.find_entries(wanted, limit=2, deadline=clock.now + 2.5)


# --- watched


class Watching:
    """A directory being watched, and what it tells."""

    def __init__(self, directory: LdifDirectory) -> None:
        self.directory = directory
        self.told: queue.Queue[Change] = queue.Queue()
        self.watch: Watch = directory.watch(self.told.put)

    def wait(self) -> WatchStatus:
        """Wait for something to be told; it is always everything."""
        assert self.told.get(timeout=WAIT_SECONDS) == EVERYTHING
        return self.watch.status


@pytest.fixture
def watching(holding: Callable[[str], LdifDirectory]) -> Iterator[Watching]:
    watched = Watching(holding(person("Ann")))
    yield watched
    watched.watch.close()


LIVE = WatchStatus(state=WatchState.LIVE, how="file")


def test_a_change_is_told_after_it_can_be_read(
    watching: Watching, directory: LdifDirectory, file: Path
) -> None:
    assert watching.wait() == LIVE
    assert who(directory, "Ann") == 1
    replace(file, person("Eve"))
    assert watching.wait() == LIVE
    assert [who(directory, name) for name in ("Ann", "Eve")] == [0, 1]
    assert watching.told.empty()


def test_a_file_overwritten_in_place_is_read_when_it_is_whole(
    watching: Watching, directory: LdifDirectory, file: Path
) -> None:
    assert watching.wait() == LIVE
    file.write_text(person("Eve"), encoding="utf-8")
    assert watching.wait() == LIVE
    assert who(directory, "Eve") == 1


@pytest.mark.parametrize(
    ("breaking", "problem"), [case[1:] for case in BREAKAGES], ids=[case[0] for case in BREAKAGES]
)
def test_t42_a_watch_on_a_broken_file_is_lost_and_the_last_good_content_stays_for_sixty_seconds(
    breaking: Callable[[Path], object], problem: str, watching: Watching, file: Path, clock: Clock
) -> None:
    directory = watching.directory
    assert watching.wait() == LIVE
    breaking(file)
    status = watching.wait()
    assert (status.state, status.how) == (WatchState.LOST, "file")
    assert problem in status.problem
    assert who(directory, "Ann") == 1
    clock.now += 61
    with pytest.raises(DirectoryUnavailable, match=problem):
        who(directory, "Ann")
    if file.is_dir():
        file.rmdir()
    replace(file, person("Eve"))
    assert watching.wait() == LIVE
    assert [who(directory, name) for name in ("Ann", "Eve")] == [0, 1]


def test_a_watch_on_a_file_that_is_not_there_is_lost_until_it_is(
    directory: LdifDirectory, file: Path
) -> None:
    watched = Watching(directory)
    assert watched.wait().state is WatchState.LOST
    with pytest.raises(DirectoryUnavailable, match="No such file or directory"):
        directory.check(deadline=1e9)
    replace(file, person("Ann"))
    assert watched.wait() == LIVE
    directory.check(deadline=1e9)


def test_a_question_waits_for_the_first_reading_of_the_watch(
    holding: Callable[[str], LdifDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = count_readings(monkeypatch)
    directory = holding(person("Ann"))
    watched = Watching(directory)
    assert who(directory, "Ann") == 1
    assert watched.wait() == LIVE
    assert threads == ["ldif-watch"]


def test_nothing_is_told_after_the_watch_is_closed(
    watching: Watching, directory: LdifDirectory, file: Path, clock: Clock
) -> None:
    """The questions then make sure themselves that the file is looked at."""
    assert watching.wait() == LIVE
    watching.watch.close()
    watching.watch.close()
    replace(file, person("Eve"))
    clock.now += 1
    assert who(directory, "Eve") == 1
    assert watching.told.empty()


def test_whoever_is_told_may_close_the_watch(holding: Callable[[str], LdifDirectory]) -> None:
    directory = holding(person("Ann"))
    closed = threading.Event()
    watches: list[Watch] = []
    begun = threading.Event()

    def close(_change: Change) -> None:
        assert begun.wait(WAIT_SECONDS)
        watches[0].close()
        closed.set()

    watches.append(directory.watch(close))
    begun.set()
    assert closed.wait(WAIT_SECONDS)


def test_a_watch_can_be_begun_again_after_it_was_closed(watching: Watching, directory: LdifDirectory) -> None:
    with pytest.raises(AssertionError, match="one watch at a time"):
        directory.watch(watching.told.put)
    watching.watch.close()
    again = Watching(directory)
    assert again.wait() == LIVE


def test_a_closed_directory_watches_no_longer(
    watching: Watching, directory: LdifDirectory, file: Path
) -> None:
    assert watching.wait() == LIVE
    directory.close()
    replace(file, person("Eve"))
    with pytest.raises(DirectoryUnavailable, match="the directory is closed"):
        who(directory, "Eve")
    assert watching.told.empty()


def test_a_watch_that_breaks_is_lost_and_the_questions_look_instead(
    holding: Callable[[str], LdifDirectory], file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, looks = LdifSource.look, queue.Queue[Look]()

    def end(self: LdifSource, *, settled: bool) -> Look:
        if settled and not looks.empty():
            raise RuntimeError("a bug")
        looks.put(look(self, settled=settled))
        return Look.READ

    monkeypatch.setattr(LdifSource, "look", end)
    directory = holding(person("Ann"))
    watched = Watching(directory)
    assert watched.wait() == LIVE
    assert watched.wait() == WatchStatus(
        state=WatchState.LOST, how="file", problem="a defect of the watch: a bug"
    )
    replace(file, person("Eve"))
    clock.now += 1
    assert who(directory, "Eve") == 1


# --- a file that is being written, look by look


def test_a_change_is_read_when_the_file_stayed_as_it_was_from_one_look_to_the_next(
    file: Path, clock: Clock
) -> None:
    file.write_text(person("Ann"), encoding="utf-8")
    looked = LdifSource(DOMAIN, file, clock)
    looked.set_watched(watched=True)
    assert [looked.look(settled=True) for _ in range(2)] == [Look.READ, Look.SAME]
    before = looked.content(1e9)
    for name in ("Eve", "Everett", "Evelyn"):
        file.write_text(person(name), encoding="utf-8")
        assert looked.look(settled=True) is Look.WRITTEN
        assert looked.content(1e9) is before
    assert [looked.look(settled=True) for _ in range(2)] == [Look.READ, Look.SAME]
    assert looked.content(1e9) is not before
    assert looked.problem == ""


def test_t42_a_file_that_keeps_changing_is_not_used_as_it_was_for_ever(file: Path, clock: Clock) -> None:
    file.write_text(person("Ann"), encoding="utf-8")
    looked = LdifSource(DOMAIN, file, clock)
    looked.set_watched(watched=True)
    looked.look(settled=True)
    for number in range(61):
        file.write_text(person("E" * (number + 1)), encoding="utf-8")
        assert looked.look(settled=True) is Look.WRITTEN
        looked.content(1e9)
        clock.now += 1
    with pytest.raises(
        DirectoryUnavailable, match="it keeps changing while it is read, and what was read before"
    ):
        looked.content(1e9)
    assert looked.problem == "it keeps changing while it is read"
    assert looked.look(settled=True) is Look.READ
    looked.content(1e9)


def test_a_file_that_changes_while_it_is_read_is_read_again(
    file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state before and after must be one, or the octets may be of two files."""
    file.write_text(person("Ann"), encoding="utf-8")
    looked = LdifSource(DOMAIN, file, clock)
    state_of = source._state_of

    def change(status: os.stat_result) -> object:
        file.chmod(0o600 if status.st_mode & 0o077 else 0o644)
        return state_of(status)

    with monkeypatch.context() as patched:
        patched.setattr(source, "_state_of", change)
        assert looked.look(settled=False) is Look.WRITTEN
    with pytest.raises(DirectoryFault, match="it is not read yet"):
        looked.content(1e9)
    assert looked.look(settled=False) is Look.READ


def test_a_file_that_is_again_as_it_was_read_is_not_behind(
    file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a file is moved away and back, on a file system that does not count that as a change."""
    monkeypatch.setattr(source, "_state_of", lambda status: source._FileState(0, 0, status.st_size, 0, 0))
    file.write_text(person("Ann"), encoding="utf-8")
    looked = LdifSource(DOMAIN, file, clock)
    looked.set_watched(watched=True)
    looked.look(settled=True)
    file.write_text(person("Everett"), encoding="utf-8")
    assert looked.look(settled=True) is Look.WRITTEN
    file.write_text(person("Ann"), encoding="utf-8")
    assert looked.look(settled=True) is Look.SAME
    clock.now += 61
    looked.content(1e9)


@pytest.mark.parametrize(("text", "expected"), [(person("Eve"), Look.READ), ("x\n", Look.UNUSABLE)])
def test_a_large_change_may_take_longer_to_read_than_old_content_is_used(
    text: str, expected: Look, file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it turns out to be wrong: what was read before is too old at once then."""
    file.write_text(person("Ann"), encoding="utf-8")
    looked = LdifSource(DOMAIN, file, clock)
    looked.set_watched(watched=True)
    looked.look(settled=True)
    replace(file, text)
    assert looked.look(settled=True) is Look.WRITTEN
    release = threading.Event()
    threads = count_readings(monkeypatch, release)
    with ThreadPoolExecutor(max_workers=1) as workers:
        looking = workers.submit(looked.look, settled=True)
        while not threads:
            release.wait(0.001)
        clock.now += 61
        looked.content(1e9)
        release.set()
        assert looking.result(WAIT_SECONDS) is expected
    if expected is Look.UNUSABLE:
        with pytest.raises(DirectoryUnavailable, match="line 1: expected `dn:`"):
            looked.content(1e9)
    else:
        looked.content(1e9)
