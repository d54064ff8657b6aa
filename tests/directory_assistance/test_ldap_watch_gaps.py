"""What a watch could miss: entries that leave, what many entries rest on, hosts that come and go, odd tellings."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from directory_assistance.backends.ldap import LdapDirectory, LdapSettings
from directory_assistance.backends.ldap.messages import FoundEntry, write_element
from directory_assistance.backends.ldap.notifications import WriteLedger
from directory_assistance.backends.ldap.root_dse import AD_NOTIFICATION
from directory_assistance.backends.ldap.settings import read_ldap_uri
from directory_assistance.dn import read_ldap_dn, render_ldap
from directory_assistance.watching import EVERYTHING, WatchState, WatchStatus
from tests.directory_assistance.test_ldap_hostile import DAVE_CN, dave
from tests.directory_assistance.test_ldap_watch import (
    LIVE_KINDS,
    _class_of,
    by_mail,
    found,
    live,
    refresh_done,
    sync_info,
    telling,
    watching,
)
from tests.support import ldap_wire
from tests.support.directories import DOMAIN, deadline
from tests.support.kinds import Kind, Kinds
from tests.support.slapd import SUFFIX


@pytest.fixture(params=LIVE_KINDS)
def kind(request: pytest.FixtureRequest, kinds: Kinds) -> Kind:
    return kinds[request.param]


@pytest.fixture
def change(kind: Kind) -> Callable[[str], None]:
    assert kind.change is not None
    return kind.change


@pytest.fixture
def units(kind: Kind, change: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """Two organizational units that come and go with the test."""
    names = [render_ldap(kind.dn(f"OU={unit},O=airius.com")) for unit in ("Staff", "Gone")]
    for name, unit in zip(names, ("Staff", "Gone"), strict=True):
        change(f"dn: {name}\nchangetype: add\nobjectClass: organizationalUnit\nou: {unit}\n")
    yield names[0], names[1]
    for name in names:
        change(f"dn: {name}\nchangetype: delete\n")


def below(kind: Kind, base: str) -> LdapDirectory:
    assert isinstance(kind.directory, LdapDirectory)
    return LdapDirectory(DOMAIN, replace(kind.directory._settings, base=read_ldap_dn(base)))


def test_an_entry_that_is_moved_out_of_the_base_is_told(
    kind: Kind, change: Callable[[str], None], units: tuple[str, str]
) -> None:
    staff, gone = units
    change(f"dn: cn=Mona,{staff}\nchangetype: add\n{_class_of(kind)}\nmail: mona@airius.com\n")
    directory = below(kind, staff)
    try:
        with watching(directory) as (listener, watch):
            live(listener, watch)
            (entry,) = found(directory, "mona@airius.com")
            before = len(listener.told)
            change(
                f"dn: cn=Mona,{staff}\nchangetype: modrdn\nnewrdn: cn=Mona\ndeleteoldrdn: 1\nnewsuperior: {gone}\n"
            )
            listener.wait(
                lambda: any(
                    each.everything or each.unique_id == entry.unique_id for each in listener.told[before:]
                )
            )
            assert found(directory, "mona@airius.com") == []
    finally:
        directory.close()
        for unit in units:
            if below_has(kind, unit):
                change(f"dn: cn=Mona,{unit}\nchangetype: delete\n")


def below_has(kind: Kind, unit: str) -> bool:
    directory = below(kind, unit)
    try:
        return bool(directory.find_entries(by_mail("mona@airius.com"), limit=5, deadline=deadline()).entries)
    finally:
        directory.close()


def test_t57_a_role_that_is_locked_disables_whoever_has_it_and_is_told_as_everything(kinds: Kinds) -> None:
    """389-ds reckons `nsAccountLock` from roles and classes of service: the person's own entry does not change."""
    kind = kinds["389-ds"]
    assert kind.change is not None
    assert isinstance(kind.directory, LdapDirectory)
    base = render_ldap(kind.dn("O=airius.com"))
    role = f"cn=Contractors,{base}"
    kind.change(
        f"dn: {role}\nchangetype: add\nobjectClass: ldapSubEntry\nobjectClass: nsRoleDefinition\n"
        "objectClass: nsSimpleRoleDefinition\nobjectClass: nsManagedRoleDefinition\n"
    )
    kind.change(
        f"dn: cn=Lola,{base}\nchangetype: add\nobjectClass: inetOrgPerson\nsn: x\nmail: lola@airius.com\n"
        f"nsRoleDN: {role}\n"
    )
    directory = below(kind, base)
    try:
        with watching(directory) as (listener, watch):
            live(listener, watch)
            (before,) = found(directory, "lola@airius.com")
            told = len(listener.told)
            kind.change(
                f"dn: cn=locked,{base}\nchangetype: add\nobjectClass: ldapSubEntry\n"
                "objectClass: cosSuperDefinition\nobjectClass: cosClassicDefinition\n"
                f"cosTemplateDn: cn=templates,{base}\ncosSpecifier: nsRole\n"
                "cosAttribute: nsAccountLock operational\n"
            )
            kind.change(f"dn: cn=templates,{base}\nchangetype: add\nobjectClass: nsContainer\n")
            kind.change(
                f'dn: cn="{role}",cn=templates,{base}\nchangetype: add\nobjectClass: extensibleObject\n'
                "objectClass: cosTemplate\nobjectClass: ldapSubEntry\ncosPriority: 1\nnsAccountLock: true\n"
            )
            # The definition, the template, and once more when the server has reckoned.
            listener.wait(lambda: listener.told[told:].count(EVERYTHING) >= 3)
            (after,) = found(directory, "lola@airius.com")
            assert (before.disabled, after.disabled) == (False, True)
    finally:
        directory.close()
        for dn in (
            f'cn="{role}",cn=templates,{base}',
            f"cn=templates,{base}",
            f"cn=locked,{base}",
            f"cn=Lola,{base}",
            role,
        ):
            kind.change(f"dn: {dn}\nchangetype: delete\n")


# --- odd tellings


def test_what_was_not_named_when_a_server_names_all_again_is_gone() -> None:
    """A second refresh by presence (RFC 4533 section 3.3.1) names what is there; the rest is gone without a word."""

    def present(number: int) -> bytes:
        return sync_info(number, write_element(0xA2, b""))

    with telling(refresh_done, present) as (listener, _watch):
        listener.wait(lambda: listener.told == [EVERYTHING, EVERYTHING])


NUMBERLESS: list[tuple[str, bytes | None]] = [
    ("shows no number of the last write", b""),
    ("shows a number of five thousand digits", b"9" * 5_000),
    ("shows no root DSE at all", None),
]


@pytest.mark.parametrize("number", [case[1] for case in NUMBERLESS], ids=[case[0] for case in NUMBERLESS])
def test_an_active_directory_whose_removals_cannot_be_noticed_is_not_live(number: bytes | None) -> None:
    seen = threading.Event()

    def root_dse(message_id: int) -> bytes:
        done = ldap_wire.search_done(message_id)
        if seen.is_set() and number is None:
            return done
        more = {} if not number else {"highestCommittedUSN": [number]}
        seen.set()
        shown = ldap_wire.entry(message_id, "", supportedControl=[AD_NOTIFICATION], **more)
        return shown + done

    with ldap_wire.serving(lambda _n: [], root_dse=root_dse) as uri:
        directory = LdapDirectory(DOMAIN, LdapSettings(hosts=(uri,), base=read_ldap_dn(SUFFIX)))
        with watching(directory) as (listener, watch):
            listener.wait(lambda: watch.status.state is WatchState.LOST)
            assert "by which removals are noticed" in watch.status.problem
        directory.close()


def ledger_of(*numbers: int) -> list[bool]:
    """Return whether each look, at one number of the last write after the other, balances when nothing was heard."""
    ledger = WriteLedger()
    return [
        ledger.balances(FoundEntry(dn=b"", values={"highestcommittedusn": (str(each).encode(),)}))
        for each in numbers
    ]


def test_an_active_directory_that_was_restored_has_changed() -> None:
    assert ledger_of(100, 100, 90, 90) == [True, True, False, True]


# --- hosts


PSEARCH = "2.16.840.1.113730.3.4.3"


def test_what_was_read_of_an_unwatched_host_is_forgotten_when_the_host_goes_down() -> None:
    """The others are live then, so that an answer of a replica that lagged behind would be believed from there on."""

    def root_dse(number: int) -> bytes:
        return ldap_wire.entry(number, "", supportedControl=[PSEARCH]) + ldap_wire.search_done(number)

    with ldap_wire.serving(lambda _n: [], root_dse=root_dse) as watched, ExitStack() as unwatched:
        other = unwatched.enter_context(ldap_wire.serving(dave))
        settings = LdapSettings(hosts=(other, watched), base=read_ldap_dn(SUFFIX))
        directory = LdapDirectory(DOMAIN, settings)
        with watching(directory) as (listener, watch):
            listener.wait(lambda: listener.told.count(EVERYTHING) >= 2)  # one live, one unsupported
            assert watch.status == WatchStatus(
                state=WatchState.UNSUPPORTED, problem="the server offers no way to be told of changes"
            )
            assert directory.find_entries(DAVE_CN, limit=5, deadline=deadline()).entries
            told = len(listener.told)
            unwatched.close()
            directory._client._hosts.note_down(read_ldap_uri(other), "gone")
            assert EVERYTHING in listener.told[told:]
            assert watch.status == WatchStatus(state=WatchState.LIVE, how="persistent search")
        directory.close()
