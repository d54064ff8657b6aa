"""Answers that come in parts: values by ranges, entries by pages. All of them, or a fault."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import pytest

from directory_assistance.alternative_identities import issuer_serial_identities
from directory_assistance.backends.ldap import GroupStyle, LdapDirectory, ServerKind
from directory_assistance.backends.ldap import directory as directory_module
from directory_assistance.backends.ldap.messages import write_element, write_integer
from directory_assistance.backends.ldap.session import SearchRequest
from directory_assistance.candidates import IssuerSerialCandidate
from directory_assistance.dn import read_ldap_dn, render_ldap
from directory_assistance.errors import DirectoryAnswerMalformed, DirectoryFault, ExpansionLimitExceeded
from directory_assistance.filters import Present
from tests.directory_assistance.test_ldap_hostile import DAVE_CN, DAVE_DN, scripted
from tests.directory_assistance.test_ldap_watch import with_controls
from tests.support import ldap_wire
from tests.support.directories import deadline
from tests.support.kinds import Kinds

MANY = 1_700

ISSUER = read_ldap_dn("CN=Issuer,O=airius.com")


@pytest.fixture
def samba(kinds: Kinds) -> Iterator[tuple[LdapDirectory, Callable[[str], None], str]]:
    """A domain, what changes it, and the DN of somebody with more identities than a range holds."""
    kind = kinds["Samba AD"]
    assert kind.change is not None
    dn = render_ldap(kind.dn("CN=Many Cards,O=airius.com"))
    identities = "".join(
        f"altSecurityIdentities: {issuer_serial_identities(ISSUER, serial)[0]}\n"
        for serial in range(1, MANY + 1)
    )
    kind.change(f"dn: {dn}\nchangetype: add\nobjectClass: user\nuserAccountControl: 544\n{identities}")
    directory = kind.open_directory()
    assert isinstance(directory, LdapDirectory)
    yield directory, kind.change, dn
    directory.close()
    kind.change(f"dn: {dn}\nchangetype: delete\n")


def test_t63_somebody_with_more_values_than_a_range_is_found_by_the_last_of_them(
    samba: tuple[LdapDirectory, Callable[[str], None], str],
) -> None:
    directory, _change, _dn = samba
    last = IssuerSerialCandidate(issuer=ISSUER, serial=MANY)
    (entry,) = directory.find_entries(last, limit=2, deadline=deadline()).entries
    assert len({serial for _issuer, serial in entry.issuer_serials}) == MANY
    beyond = IssuerSerialCandidate(issuer=ISSUER, serial=MANY + 1)
    assert directory.find_entries(beyond, limit=2, deadline=deadline()).entries == ()


def test_t63_the_rest_of_a_range_is_fetched_live(
    samba: tuple[LdapDirectory, Callable[[str], None], str],
) -> None:
    """Samba gives ranges to whoever asks for one, and everything to whoever does not."""
    directory, _change, dn = samba
    request = SearchRequest(
        base=dn,
        scope="BASE",
        filter=Present(attribute="objectClass"),
        attributes=("altSecurityIdentities;range=0-499",),
        size_limit=1,
    )
    (found,) = directory._client.ask(request, deadline()).entries
    assert [*found.values] == ["altsecurityidentities"]
    assert len(set(found.values["altsecurityidentities"])) == MANY


# --- ranges by a script


def ranged(*parts: tuple[str, int] | None) -> ldap_wire.Script:
    """Answer with one part after the other, the last one again and again; None for an entry that is gone."""
    left = list(parts)

    def answer(number: int) -> list[bytes]:
        part = left.pop(0) if len(left) > 1 else left[0]
        if part is None:
            return [ldap_wire.search_done(number, 32)]
        values: dict[str, Sequence[str | bytes]] = {
            "cn": ["Dave Lawson"],
            f"mail__range={part[0]}": [f"{part[0]} {each}@x" for each in range(part[1])],
        }
        return [ldap_wire.entry(number, DAVE_DN, **values), ldap_wire.search_done(number)]

    return answer


def test_t63_the_parts_of_a_range_are_joined() -> None:
    with scripted(ranged(("0-1", 2), ("2-4", 3), ("5-*", 1))) as directory:
        (entry,) = directory.find_entries(DAVE_CN, limit=5, deadline=deadline()).entries
        assert entry.mails == ("0-1 0@x", "0-1 1@x", "2-4 0@x", "2-4 1@x", "2-4 2@x", "5-* 0@x")


BROKEN: list[tuple[str, tuple[tuple[str, int] | None, ...]]] = [
    ("begins late", (("1-2", 2), ("3-*", 1))),
    ("leaves some out", (("0-1", 2), ("3-*", 1))),
    ("gives some twice", (("0-1", 2), ("1-*", 2))),
    ("holds fewer than it says", (("0-9", 2), ("10-*", 1))),
    ("holds more than it says", (("0-1", 3), ("2-*", 1))),
    ("is empty and goes on", (("0-1", 2), ("2-5", 0))),
    ("gives the same part for ever", (("0-1", 2),)),
    ("is gone in between", (("0-1", 2), None)),
    ("is no range", (("a-b", 2),)),
    ("has numbers without end", ((f"0-{'9' * 5000}", 2),)),
]


@pytest.mark.parametrize("parts", [case[1] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_t63_parts_that_make_no_whole_are_a_fault(parts: tuple[tuple[str, int] | None, ...]) -> None:
    with scripted(ranged(*parts)) as directory, pytest.raises(DirectoryAnswerMalformed, match="part"):
        directory.find_entries(DAVE_CN, limit=5, deadline=deadline())


def test_t63_a_range_that_never_ends_is_a_fault() -> None:
    at = 0

    def endless(number: int) -> list[bytes]:
        nonlocal at
        at += 1
        values: dict[str, Sequence[str | bytes]] = {f"mail__range={at - 1}-{at - 1}": [f"{at}@x"]}
        return [ldap_wire.entry(number, DAVE_DN, cn=["Dave Lawson"], **values), ldap_wire.search_done(number)]

    patient = timedelta(seconds=60)
    with (
        scripted(endless, timeout=patient) as directory,
        pytest.raises(DirectoryAnswerMalformed, match="more than 100 parts"),
    ):
        directory.find_entries(DAVE_CN, limit=5, deadline=deadline())


# --- pages


def groups_of(directory: LdapDirectory, dn: str) -> set[str]:
    told = directory.find_groups([read_ldap_dn(dn)], deadline=deadline())
    return {group.name for group in told}


@pytest.mark.parametrize("count", [10, 11, 25])
def test_t63_more_groups_than_a_page_are_all_found(
    samba: tuple[LdapDirectory, Callable[[str], None], str], monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """With pages of ten: Samba takes minutes to enter a thousand groups of one person."""
    monkeypatch.setattr(directory_module, "PAGE_SIZE", 10)
    directory, change, dn = samba
    parent = dn.partition(",")[2]
    names = [f"Page {each}" for each in range(count)]
    change(
        "\n".join(
            f"dn: CN={name},{parent}\nchangetype: add\nobjectClass: group\nmember: {dn}\n" for name in names
        )
    )
    try:
        assert groups_of(directory, dn) == set(names)
    finally:
        change("\n".join(f"dn: CN={name},{parent}\nchangetype: delete\n" for name in names))


PAGED = b"1.2.840.113556.1.4.319"


def page(number: int, cookie: bytes | None, *groups: str, value: bytes | None = None) -> list[bytes]:
    """Return a page of groups; None for no control."""
    done = ldap_wire.search_done(number)
    if cookie is not None or value is not None:
        told = (
            value
            if value is not None
            else write_element(0x30, write_integer(0) + write_element(0x04, cookie or b""))
        )
        control = write_element(0x30, write_element(0x04, PAGED) + write_element(0x04, told))
        done = with_controls(done, write_element(0xA0, control))
    return [*(ldap_wire.entry(number, f"cn={name},o=airius.com", cn=[name]) for name in groups), done]


def paging(*pages: Callable[[int], list[bytes]]) -> ldap_wire.Script:
    left = list(pages)

    def answer(number: int) -> list[bytes]:
        return (left.pop(0) if len(left) > 1 else left[0])(number)

    return answer


def active(script: ldap_wire.Script, seconds: float = 5) -> set[str]:
    kind, patient = ServerKind.ACTIVE_DIRECTORY, timedelta(seconds=20)
    with scripted(script, server=kind, group_style=GroupStyle.MEMBER, timeout=patient) as directory:
        told = directory.find_groups([read_ldap_dn(DAVE_DN)], deadline=deadline(seconds))
        return {group.name for group in told}


def test_t63_pages_are_joined_an_empty_one_too() -> None:
    script = paging(lambda n: page(n, b"1", "A"), lambda n: page(n, b"2"), lambda n: page(n, b"", "B"))
    assert active(script) == {"A", "B"}


def first(number: int) -> list[bytes]:
    return page(number, b"1", "A")


ODD_PAGES: list[tuple[str, ldap_wire.Script, type[DirectoryFault]]] = [
    ("no control", paging(lambda n: page(n, None, "A")), DirectoryAnswerMalformed),
    (
        "a second page without control",
        paging(first, lambda n: page(n, None, "B")),
        DirectoryAnswerMalformed,
    ),
    (
        "a control that is none",
        paging(lambda n: page(n, None, "A", value=b"\x30\x00")),
        DirectoryAnswerMalformed,
    ),
    ("a cookie of a megabyte", paging(lambda n: page(n, bytes(1_000_000), "A")), DirectoryAnswerMalformed),
    (
        "the same page without end",
        paging(lambda n: page(n, b"1", *"ABCDEFGHIJ" * 100)),
        ExpansionLimitExceeded,
    ),
    (
        "the limit of the root on the second page",
        paging(first, lambda n: [ldap_wire.search_done(n, 4)]),
        ExpansionLimitExceeded,
    ),
    (
        "an end on the second page",
        paging(first, lambda _n: [ldap_wire.notice_of_disconnection()]),
        DirectoryFault,
    ),
]


@pytest.mark.parametrize(
    ("script", "fault"), [case[1:] for case in ODD_PAGES], ids=[case[0] for case in ODD_PAGES]
)
def test_t63_pages_that_make_no_whole_are_a_fault(
    script: ldap_wire.Script, fault: type[DirectoryFault]
) -> None:
    with pytest.raises(fault):
        active(script, 20)


def test_t63_empty_pages_without_end_end_with_the_deadline() -> None:
    began = time.monotonic()
    with pytest.raises(DirectoryFault, match="in time"):
        active(paging(lambda n: page(n, b"1")), 1)
    assert time.monotonic() - began < 5
