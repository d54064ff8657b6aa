"""A group, a place or a definition is never somebody, whatever in a certificate names it."""

import pytest

from directory_assistance.backends.ldap import LdapDirectory
from directory_assistance.backends.ldap.session import SearchRequest
from directory_assistance.candidates import Candidate, FindBy, SidCandidate, SubjectCandidate, TextCandidate
from directory_assistance.dn import read_ldap_dn, render_ldap
from directory_assistance.errors import DirectoryAnswerMalformed
from directory_assistance.filters import Equality
from directory_assistance.identifiers import read_sid
from tests.directory_assistance.test_ldap_hostile import DAVE_CN, dave, scripted
from tests.support import ldap_wire
from tests.support.directories import deadline
from tests.support.kinds import Kind, Kinds

SERVERS = ("slapd", "389-ds", "Samba AD")

MAIL = "sales-floor@airius.com"


@pytest.fixture(params=SERVERS)
def kind(request: pytest.FixtureRequest, kinds: Kinds) -> Kind:
    return kinds[request.param]


def add(kind: Kind, rdn: str, object_class: str, more: str) -> str:
    dn = render_ldap(kind.dn(f"{rdn}=Sales Floor,O=airius.com"))
    assert kind.change is not None
    kind.change(f"dn: {dn}\nchangetype: add\nobjectClass: {object_class}\n{more}")
    return dn


ENTRIES = [
    ("slapd", "CN", "groupOfNames", f"objectClass: extensibleObject\nmember: o=x\nmail: {MAIL}\n"),
    ("slapd", "OU", "organizationalUnit", f"objectClass: extensibleObject\ncn: Sales Floor\nmail: {MAIL}\n"),
    ("389-ds", "CN", "groupOfUniqueNames", f"objectClass: extensibleObject\nmail: {MAIL}\n"),
    ("389-ds", "OU", "organizationalUnit", f"objectClass: extensibleObject\ncn: Sales Floor\nmail: {MAIL}\n"),
    ("Samba AD", "CN", "group", f"mail: {MAIL}\n"),
]


@pytest.mark.parametrize(
    ("name", "rdn", "object_class", "more"), ENTRIES, ids=[f"{each[0]}: {each[2]}" for each in ENTRIES]
)
def test_t86_what_is_nobody_is_found_by_no_name_address_or_subject(
    kinds: Kinds, name: str, rdn: str, object_class: str, more: str
) -> None:
    kind = kinds[name]
    assert kind.change is not None
    dn = add(kind, rdn, object_class, more)
    try:
        candidates: list[Candidate] = [
            TextCandidate(find_by=FindBy.COMMON_NAME, text="Sales Floor"),
            TextCandidate(find_by=FindBy.MAIL, text=MAIL),
            SubjectCandidate(dn=read_ldap_dn(dn)),
        ]
        for candidate in candidates:
            assert kind.directory.find_entries(candidate, limit=5, deadline=deadline()).entries == ()
    finally:
        kind.change(f"dn: {dn}\nchangetype: delete\n")


def test_somebody_of_the_same_kind_of_entry_is_found(kind: Kind) -> None:
    """The neighbour: a person."""
    assert len(kind.directory.find_entries(DAVE_CN, limit=5, deadline=deadline()).entries) == 1


def test_t86_a_suffix_is_nobody(kind: Kind) -> None:
    assert isinstance(kind.directory, LdapDirectory)
    candidate = SubjectCandidate(dn=read_ldap_dn(kind.directory._base))
    assert kind.directory.find_entries(candidate, limit=5, deadline=deadline()).entries == ()


@pytest.mark.parametrize("who", ["Domain Admins", "the domain"])
def test_t87_the_identifier_of_a_group_or_of_the_domain_is_nobodys(kinds: Kinds, who: str) -> None:
    directory = kinds["Samba AD"].directory
    assert isinstance(directory, LdapDirectory)
    asked = (
        Equality(attribute="objectClass", value="domainDNS")
        if who == "the domain"
        else Equality(attribute="cn", value=who)
    )
    request = SearchRequest(
        base=directory._base, scope="SUBTREE", filter=asked, attributes=("objectSid",), size_limit=2
    )
    (there,) = directory._client.ask(request, deadline()).entries
    sid = read_sid(there.values["objectsid"][0])
    assert sid is not None
    assert directory.find_entries(SidCandidate(sid=sid), limit=2, deadline=deadline()).entries == ()


def test_it_costs_no_second_question() -> None:
    asked: list[int] = []

    def group(number: int) -> list[bytes]:
        asked.append(number)
        return [
            ldap_wire.entry(
                number, "cn=Dave Lawson,ou=groups,o=airius.com", objectClass=["top", "GroupOfNames"]
            ),
            *dave(number),
        ]

    with scripted(group) as directory:
        found = directory.find_entries(DAVE_CN, limit=5, deadline=deadline())
        assert [entry.display_name for entry in found.entries] == ["Dave Lawson"]
        assert len(asked) == 1


def test_an_entry_that_does_not_show_what_it_is_is_a_fault() -> None:
    def hidden(number: int) -> list[bytes]:
        return [
            ldap_wire.entry(number, "cn=Dave Lawson,o=airius.com", objectClass=[], cn=["Dave Lawson"]),
            ldap_wire.search_done(number),
        ]

    with scripted(hidden) as directory, pytest.raises(DirectoryAnswerMalformed, match="objectClass"):
        directory.find_entries(DAVE_CN, limit=5, deadline=deadline())
