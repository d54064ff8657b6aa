"""The contract again: groups of a person, watches, unique ids, deadlines, and certificates that are no trouble.

As `test_directory_contract.py`: over every kind, with a cache before it and without.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.backends.sql import SqlDirectory
from directory_assistance.candidates import (
    BindBy,
    FindBy,
    FindWay,
    MatchPlan,
    TextCandidate,
    plan_candidates,
)
from directory_assistance.certificate_names import read_certificate_names
from directory_assistance.directory import Directory, HostState, KnowsHosts
from directory_assistance.dn import FlatName
from directory_assistance.domains import DirectoryAssistance, PrimaryDomain, SecondaryDomain
from directory_assistance.errors import (
    CertificateSyntaxError,
    DirectoryAnswerMalformed,
    DirectoryUnavailable,
    ExpansionLimitExceeded,
)
from directory_assistance.groups import ExpansionLimits, expand_groups, references_of
from directory_assistance.naming import read_naming_rule
from directory_assistance.search import NoMatch, SearchRefusal, SearchRequest, search
from directory_assistance.trace import TraceRecorder
from directory_assistance.watching import Change, Watch, WatchState
from tests.support.directories import CROWD, DAVE, DOMAIN, LOOP, ROOT, deadline
from tests.support.kinds import KINDS, LDAP_KINDS, WITH_AND_WITHOUT_CACHE, Kind, Kinds
from tests.support.pki import der_element, mail, resigned, upn

DAVE_DN = "CN=Dave Lawson,OU=East,O=airius.com"
ALAN_DN = "CN=Alan Jones,O=airius.com"

PRIMARY_GROUP = "Domain Users"
"""Everybody's in an Active Directory, and listed nowhere; `Users` lists it, outside the base of no one."""


@pytest.fixture(params=WITH_AND_WITHOUT_CACHE)
def kind(request: pytest.FixtureRequest, kinds: Kinds) -> Kind:
    return kinds.with_or_without_cache(request.param)


# --- the groups of a person


def expanded(kind: Kind, dn: str, limits: ExpansionLimits | None = None) -> dict[str, tuple[str, ...]]:
    """Return the groups of somebody of the world, and the groups between."""
    found = expand_groups(
        kind.directory,
        references_of([kind.dn(dn)]),
        counts=lambda group: group.name in {*LOOP, "Crowd", "Sales", "Buyers", "Managers", "Everybody"},
        limits=limits or ExpansionLimits(),
        deadline=deadline(),
    )
    return {each.group.name: each.via for each in found}


def test_the_groups_of_a_person_are_at_least_those_that_list_the_person(kind: Kind) -> None:
    alan = [kind.dn(ALAN_DN)]
    listed = kind.directory.find_groups(alan, deadline=deadline())
    told = kind.directory.find_groups_of_person(alan, deadline=deadline())
    assert ["Buyers", "Sales"] == [group.name for group in listed]
    assert set(listed) <= set(told.groups)
    further = {group.name for group in told.groups} - {group.name for group in listed}
    assert further == ({PRIMARY_GROUP} if kind.name == "Samba AD" else set())
    assert [group.name for group in told.groups] == sorted(group.name for group in told.groups)
    assert not told.complete


def test_whoever_is_nobody_has_no_groups_of_a_person(kind: Kind) -> None:
    told = kind.directory.find_groups_of_person([kind.dn("CN=Nobody,O=airius.com")], deadline=deadline())
    assert told.groups == ()


def test_nested_groups_are_the_same_from_every_kind(kind: Kind) -> None:
    assert expanded(kind, DAVE_DN) == {
        "Everybody": ("Sales", "Managers"),
        "Managers": ("Sales",),
        "Sales": (),
    }


def test_t63_a_loop_of_groups_is_each_group_once(kind: Kind) -> None:
    somebody, ring, back = LOOP
    assert expanded(kind, somebody) == {ring: (), back: (ring,)}
    assert expanded(kind, somebody, ExpansionLimits(max_depth=2)) == {ring: (), back: (ring,)}


@pytest.mark.parametrize(
    "limits", [ExpansionLimits(max_depth=2), ExpansionLimits(max_groups=2)], ids=["depth", "count"]
)
def test_t63_a_limit_that_is_exceeded_is_a_fault_from_every_kind(kind: Kind, limits: ExpansionLimits) -> None:
    with pytest.raises(ExpansionLimitExceeded):
        expanded(kind, DAVE_DN, limits)
    assert len(expanded(kind, DAVE_DN, ExpansionLimits(max_depth=3, max_groups=3))) == 3


def test_t63_a_group_of_a_thousand_is_found_by_each_of_them_and_by_nobody_else(kind: Kind) -> None:
    """A server that gives the values of an attribute in ranges is asked for the group, never for its members."""
    for dn in (CROWD[0], CROWD[499], CROWD[-1]):
        found = kind.directory.find_groups([kind.dn(dn)], deadline=deadline())
        assert [group.name for group in found] == ["Crowd"]
    beyond = kind.dn(f"CN=Member {len(CROWD)},O=airius.com")
    assert kind.directory.find_groups([beyond], deadline=deadline()) == ()
    many = [kind.dn(dn) for dn in CROWD[:500]]
    assert [group.name for group in kind.directory.find_groups(many, deadline=deadline())] == ["Crowd"]


# --- entries


def named(directory: Directory, name: str) -> tuple[str | None, bool]:
    candidate = TextCandidate(find_by=FindBy.COMMON_NAME, text=name)
    (entry,) = directory.find_entries(candidate, limit=2, deadline=deadline()).entries
    return entry.unique_id, entry.disabled


def test_an_entry_of_a_server_has_a_unique_id_and_keeps_it(kind: Kind) -> None:
    dave, again, gone = (
        named(kind.directory, name)[0] for name in ("Dave Lawson", "dave LAWSON", "Gone Away")
    )
    if kind.name not in LDAP_KINDS:
        assert (dave, gone) == (None, None)
        return
    assert dave is not None
    assert gone is not None
    assert (dave, len(dave)) == (again, len(gone))
    assert dave != gone
    assert dave == dave.lower()
    by_certificate = plan_candidates(
        MatchPlan(ways=(FindWay(find_by=FindBy.CERTIFICATE),)), DAVE_NAMES
    ).candidates
    (entry,) = kind.directory.find_entries(by_certificate[0], limit=2, deadline=deadline()).entries
    assert entry.unique_id == dave


DAVE_NAMES = read_certificate_names(DAVE.der)


def test_t57_a_disabled_owner_is_refused_from_every_kind(kind: Kind) -> None:
    """By name and binding alike; the neighbour is found."""
    states = {name: named(kind.directory, name)[1] for name in ("Gone Away", "Dave Lawson", "Alan Jones")}
    assert states == {"Gone Away": True, "Dave Lawson": False, "Alan Jones": False}
    names = replace(DAVE_NAMES, common_names=("Gone Away",))
    plan = MatchPlan(
        ways=(FindWay(find_by=FindBy.COMMON_NAME),), bind_by=BindBy.NAME, issued_by=frozenset({"corp"})
    )
    domain = SecondaryDomain(
        domain=DOMAIN,
        directory=kind.directory,
        plan=plan,
        rules=(read_naming_rule("*", trusted=True),),
    )
    primary = PrimaryDomain(domain="Renovations", directory=MemoryDirectory("Renovations"), plan=plan)
    assistance = DirectoryAssistance(primary=primary, domains=(domain,))
    refused = search(
        assistance, SearchRequest(names=names, anchor_id="corp", deadline=deadline()), TraceRecorder()
    )
    assert isinstance(refused, NoMatch)
    assert refused.refusal is SearchRefusal.ENTRY_DISABLED


# --- watches


def is_live(watch: Watch) -> bool:
    return watch.status.state is WatchState.LIVE


def test_a_watch_becomes_live_tells_nothing_after_it_is_closed_and_may_be_begun_again(kind: Kind) -> None:
    directory = kind.open_directory()
    try:
        for _again in range(2):
            told = threading.Condition()
            changes: list[Change] = []

            def tell(
                change: Change, told: threading.Condition = told, changes: list[Change] = changes
            ) -> None:
                with told:
                    changes.append(change)
                    told.notify_all()

            watch = directory.watch(tell)
            if kind.name in {"memory", "SQLite", "PostgreSQL"}:
                assert watch is None, "somebody else sees to its changes"
                return
            assert watch is not None
            with told:
                assert told.wait_for(partial(is_live, watch), 20)
            watch.close()
            with told:
                before = len(changes)
            named(directory, "Dave Lawson")
            assert len(changes) == before
    finally:
        directory.close()


# --- deadlines and ends


def test_t50_no_question_is_put_after_its_deadline(kind: Kind) -> None:
    dave = kind.dn(DAVE_DN)
    directory = kind.directory
    calls: dict[str, Callable[[], object]] = {
        "entries": lambda: directory.find_entries(
            TextCandidate(find_by=FindBy.MAIL, text="late@airius.com"), limit=2, deadline=deadline(-1)
        ),
        "groups": lambda: directory.find_groups([dave, FlatName(text="late")], deadline=deadline(-1)),
        "groups of a person": lambda: directory.find_groups_of_person([dave], deadline=deadline(-1)),
        "check": lambda: directory.check(deadline=deadline(-1)),
    }
    if isinstance(directory, MemoryDirectory):  # nothing there takes time
        return
    if kind.name == "memory":
        del calls["check"]
    for words, call in calls.items():
        with pytest.raises(DirectoryUnavailable):
            pytest.fail(f"{words}: {call()}")


@pytest.mark.parametrize("name", ["memory", "SQLite", "PostgreSQL"])
def test_t50_a_closed_primary_does_not_say_that_a_name_is_free(name: str, kinds: Kinds) -> None:
    primary = kinds[name].open_directory()
    assert isinstance(primary, MemoryDirectory | SqlDirectory)
    assert not primary.holds_name(FlatName(text="Nobody"), deadline=deadline())
    primary.close()
    with pytest.raises(DirectoryUnavailable):
        primary.holds_name(FlatName(text="Nobody"), deadline=deadline())
    with pytest.raises(DirectoryUnavailable):
        primary.holds_group("Nobody", deadline=deadline())


@pytest.mark.parametrize("name", ["SQLite", "PostgreSQL"])
def test_t50_a_primary_does_not_say_that_a_name_is_free_after_the_deadline(name: str, kinds: Kinds) -> None:
    primary = kinds[name].directory
    assert isinstance(primary, SqlDirectory)
    with pytest.raises(DirectoryUnavailable):
        primary.holds_name(FlatName(text="Nobody"), deadline=deadline(-1))
    with pytest.raises(DirectoryUnavailable):
        primary.holds_group("Nobody", deadline=deadline(-1))


def test_groups_asked_for_from_several_threads_are_not_mixed_up(kind: Kind) -> None:
    expected = {
        ALAN_DN: ["Buyers", "Sales"],
        DAVE_DN: ["Sales"],
        LOOP[0]: ["Ring"],
        "CN=Nobody,O=airius.com": [],
    }

    def ask(number: int) -> bool:
        dn, groups = list(expected.items())[number % len(expected)]
        found = kind.directory.find_groups([kind.dn(dn)], deadline=deadline())
        return groups == [group.name for group in found]

    with ThreadPoolExecutor(max_workers=12) as workers:
        assert all(workers.map(ask, range(80)))


# --- T79: a certificate is no trouble of a server


def crafted() -> list[bytes]:
    """Return certificates that a client could have made up, as far as they can be read."""
    texts = [
        "",
        " ",
        "*",
        "\\",
        "(",
        ")(cn=*",
        "\u202e",
        "a" * 10_000,
        "\x7f",
        "\ufffd",
        '"',
        "a,b=c",
        "=",
        "#04",
    ]
    made = [
        ROOT.issue(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64] or "x", _validate=False)]),
            san=[mail("a@b"), upn(text)],
        )
        for text in texts
    ]
    odd_serials = [ROOT.issue("CN=x", serial=serial) for serial in (1, 127, 128, 255, 2**159 - 1)]
    broken = [resigned(DAVE.der, ROOT.key, edit=partial(spoiled, at)) for at in range(8)]
    return [*(issued.der for issued in (*made, *odd_serials)), *broken]


def spoiled(at: int, fields: list[bytes]) -> list[bytes]:
    """Return the fields of a certificate, one of which is garbage."""
    return [*fields[: at % len(fields)], der_element(0x04, b"\xff" * 40), *fields[at % len(fields) + 1 :]]


ALL_WAYS = MatchPlan(ways=tuple(FindWay(find_by=way) for way in FindBy if way is not FindBy.FILTER))


@pytest.mark.parametrize("name", KINDS)
def test_t79_no_certificate_takes_a_server_out(name: str, kinds: Kinds) -> None:
    """Whatever is asked because of them, every host is as it was, and the next question is answered."""
    directory = kinds[name].open_directory()
    try:
        named(directory, "Dave Lawson")
        asked = 0
        for der in crafted():
            try:
                names = read_certificate_names(der)
            except CertificateSyntaxError:
                continue
            for candidate in plan_candidates(ALL_WAYS, names).candidates:
                asked += 1
                try:
                    directory.find_entries(candidate, limit=2, deadline=deadline())
                except DirectoryAnswerMalformed:
                    continue
        assert asked > 60
        if isinstance(directory, KnowsHosts):
            assert {status.state for status in directory.host_statuses} == {HostState.UP}
        assert isinstance(directory, KnowsHosts) is (name in LDAP_KINDS)
        assert not named(directory, "Dave Lawson")[1]
    finally:
        directory.close()
