"""Groups as an Active Directory tells them, over answers made of values: limits, and what is a fault."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from directory_assistance.backends.ldap.ad_groups import (
    AdPort,
    find_told_groups,
    missing_capability,
    primary_groups,
)
from directory_assistance.backends.ldap.session import FoundEntry, SearchAnswer, SearchRequest
from directory_assistance.backends.ldap.settings import GroupStyle
from directory_assistance.dn import read_ldap_dn
from directory_assistance.errors import (
    DirectoryAnswerMalformed,
    DirectoryFault,
    DirectoryUnavailable,
    ExpansionLimitExceeded,
)
from directory_assistance.filters import render_filter
from directory_assistance.identifiers import sid_octets

BASE = "DC=airius,DC=test"
DAVE = f"CN=Dave,{BASE}"
DOMAIN_SID = "S-1-5-21-1-2-3"
TOLD = (GroupStyle.TOKEN_GROUPS, GroupStyle.IN_CHAIN)


def octets(sid: str) -> bytes:
    stored = sid_octets(sid)
    assert stored is not None
    return stored


ACCOUNT: Mapping[str, Sequence[bytes]] = {
    "objectsid": [octets(f"{DOMAIN_SID}-1104")],
    "primarygroupid": [b"513"],
    "useraccountcontrol": [b"512"],
    "tokengroups": [octets(f"{DOMAIN_SID}-513"), octets(f"{DOMAIN_SID}-2000"), octets("S-1-5-32-545")],
}


@dataclass(kw_only=True)
class Server:
    """Answers by the questions' own texts, and remembers them."""

    people: Mapping[str, Mapping[str, Sequence[bytes]]] = field(default_factory=lambda: {DAVE: ACCOUNT})
    groups: Mapping[str, str] = field(
        default_factory=lambda: {"Domain Users": f"{DOMAIN_SID}-513", "Sales": f"{DOMAIN_SID}-2000"}
    )
    asked: list[SearchRequest] = field(default_factory=list)

    def ask(self, request: SearchRequest) -> SearchAnswer:
        self.asked.append(request)
        if request.scope == "BASE":
            values = self.people.get(request.base)
            entries = (
                []
                if values is None
                else [
                    FoundEntry(
                        dn=request.base.encode(),
                        values={
                            name: tuple(held)
                            for name, held in values.items()
                            if name.partition(";")[0] in {wanted.lower() for wanted in request.attributes}
                        },
                    )
                ]
            )
        elif "objectSid" in render_filter(request.filter):
            entries = [
                self.group(name)
                for name, sid in self.groups.items()
                if printed(sid) in render_filter(request.filter)
            ]
        else:
            entries = [self.group("Sales")] if f"1941:={DAVE}" in render_filter(request.filter) else []
        return SearchAnswer(code=0, message="", matched_dn="", entries=tuple(entries), references=())

    def group(self, name: str) -> FoundEntry:
        return FoundEntry(dn=f"CN={name},{BASE}".encode(), values={"cn": (name.encode(),)})

    def port(self, most: int = 100) -> AdPort:
        return AdPort(domain="Corp", base=read_ldap_dn(BASE), most=most, ask=self.ask)


def printed(sid: str) -> str:
    return "".join(f"\\{octet:02x}" for octet in octets(sid))


def told(server: Server, style: GroupStyle, *names: str, most: int = 100) -> list[str]:
    found = find_told_groups(server.port(most), style, [read_ldap_dn(name) for name in names or (DAVE,)])
    return [group.name for group in found]


def account(**deviations: Sequence[bytes]) -> Server:
    return Server(people={DAVE: {**ACCOUNT, **deviations}})


@pytest.mark.parametrize("style", TOLD)
def test_the_primary_group_and_the_listed_ones_are_told_and_other_identifiers_left_out(
    style: GroupStyle,
) -> None:
    """The group of every account that Windows is born with has no entry below this base."""
    assert told(Server(), style) == ["Domain Users", "Sales"]


def test_the_primary_group_is_found_by_the_number_in_the_persons_own_domain() -> None:
    groups = primary_groups(Server().port(), [read_ldap_dn(DAVE)])
    assert [group.name for group in groups] == ["Domain Users"]
    other = {**ACCOUNT, "objectsid": [octets("S-1-5-21-9-9-9-1104")]}
    assert primary_groups(Server(people={DAVE: other}).port(), [read_ldap_dn(DAVE)]) == ()


def test_the_chain_begins_at_the_primary_group_too_because_it_lists_nobody() -> None:
    server = Server()
    told(server, GroupStyle.IN_CHAIN)
    assert [render_filter(request.filter) for request in server.asked][-1] == (
        f"(|(member:1.2.840.113556.1.4.1941:={DAVE})(member:1.2.840.113556.1.4.1941:=CN=Domain Users,{BASE}))"
    )


@pytest.mark.parametrize("style", TOLD)
@pytest.mark.parametrize("name", [f"CN=Nobody,{BASE}", "CN=Dave,DC=elsewhere,DC=test"])
def test_who_is_not_in_this_directory_is_in_none_of_its_groups(style: GroupStyle, name: str) -> None:
    assert told(Server(), style, name) == []
    assert primary_groups(Server().port(), [read_ldap_dn(name)]) == ()


def test_a_name_outside_of_the_base_is_not_asked_for() -> None:
    server = Server(people={"CN=Dave,DC=elsewhere,DC=test": ACCOUNT})
    assert told(server, GroupStyle.TOKEN_GROUPS, "CN=Dave,DC=elsewhere,DC=test") == []
    assert server.asked == []


def test_a_contact_has_no_primary_group() -> None:
    assert primary_groups(Server(people={DAVE: {}}).port(), [read_ldap_dn(DAVE)]) == ()


HIDDEN: list[tuple[Server, type[DirectoryFault], str]] = [
    (account(tokengroups=[]), DirectoryUnavailable, "no `tokenGroups`"),
    (account(tokengroups=[b"x"]), DirectoryAnswerMalformed, "no security identifier"),
]


@pytest.mark.parametrize(("server", "fault", "problem"), HIDDEN)
def test_t65_a_token_that_is_not_shown_is_a_fault_and_never_no_groups(
    server: Server, fault: type[DirectoryFault], problem: str
) -> None:
    with pytest.raises(fault, match=problem):
        told(server, GroupStyle.TOKEN_GROUPS)


@pytest.mark.parametrize(
    "deviation",
    [
        {"primarygroupid": []},
        {"objectsid": []},
        {"objectsid": [], "primarygroupid": []},
        {"primarygroupid": [b"513", b"514"]},
        {"primarygroupid": [b"many"]},
        {"primarygroupid": [b"\xc2\xb2"]},
    ],
)
def test_a_primary_group_that_is_not_shown_is_a_fault(deviation: dict[str, Sequence[bytes]]) -> None:
    with pytest.raises(DirectoryUnavailable, match="primaryGroupID"):
        primary_groups(account(**deviation).port(), [read_ldap_dn(DAVE)])


def test_t63_a_token_with_thousands_of_identifiers_is_asked_for_in_batches_of_fifty() -> None:
    many = [octets(f"{DOMAIN_SID}-{number}") for number in range(5_000, 7_000)]
    server = account(tokengroups=[octets(f"{DOMAIN_SID}-2000"), *many])
    assert told(server, GroupStyle.TOKEN_GROUPS, most=10_000) == ["Sales"]
    filters = [render_filter(request.filter) for request in server.asked[1:]]
    assert len(filters) == 41
    assert max(text.count("(objectSid=") for text in filters) == 50


def test_t63_somebody_in_a_hundred_thousand_groups_is_a_fault_before_they_are_asked_for() -> None:
    many = [octets(f"{DOMAIN_SID}-{number}") for number in range(100_000)]
    server = account(tokengroups=many)
    with pytest.raises(ExpansionLimitExceeded):
        told(server, GroupStyle.TOKEN_GROUPS, most=10_000)
    assert len(server.asked) == 1


def test_t63_a_token_of_which_a_part_was_sent_is_a_fault() -> None:
    values = {**ACCOUNT, "tokengroups;range=0-1499": ACCOUNT["tokengroups"]}
    with pytest.raises(ExpansionLimitExceeded, match="only a part of `tokenGroups`"):
        told(Server(people={DAVE: values}), GroupStyle.TOKEN_GROUPS)


def test_t63_more_groups_than_the_limit_are_a_fault_and_so_many_are_not() -> None:
    assert told(Server(), GroupStyle.IN_CHAIN, most=2) == ["Domain Users", "Sales"]
    with pytest.raises(ExpansionLimitExceeded):
        told(Server(), GroupStyle.IN_CHAIN, most=1)


@pytest.mark.parametrize(
    ("style", "capabilities", "fits"),
    [
        (GroupStyle.TOKEN_GROUPS, ["1.2.840.113556.1.4.800"], True),
        (GroupStyle.TOKEN_GROUPS, [], False),
        (GroupStyle.TOKEN_GROUPS, ["1.2.840.113556.1.4.1851"], False),
        (GroupStyle.IN_CHAIN, ["1.2.840.113556.1.4.1935", "1.2.840.113556.1.4.800"], True),
        (GroupStyle.IN_CHAIN, ["1.2.840.113556.1.4.800"], False),
        (GroupStyle.IN_CHAIN, ["1.2.840.113556.1.4.1935"], False),
        (GroupStyle.MEMBER, [], True),
    ],
)
def test_t65_a_server_must_say_that_it_can_be_asked_so(
    style: GroupStyle, capabilities: list[str], *, fits: bool
) -> None:
    problem = missing_capability(style, capabilities)
    assert (problem == "", problem.endswith("use `style: member`")) == (fits, not fits)


def test_a_group_found_twice_is_one() -> None:
    names = [read_ldap_dn(DAVE)] * 2
    assert len(find_told_groups(Server().port(most=3), GroupStyle.TOKEN_GROUPS, names)) == 2
