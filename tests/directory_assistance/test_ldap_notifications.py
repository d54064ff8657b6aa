"""How servers are asked to tell changes, and what they say, in octets; real servers are in `test_ldap_watch.py`."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory_assistance.backends.ldap.messages import (
    Control,
    FoundEntry,
    Message,
    MessageSyntaxError,
    read_message,
)
from directory_assistance.backends.ldap.notifications import (
    Means,
    SyncInfo,
    SyncState,
    WriteLedger,
    choose_means,
    notification_controls,
    read_sync_info,
    read_sync_state,
    write_csn_cookie,
)
from directory_assistance.backends.ldap.root_dse import RootDse
from tests.support.pki import der_element

SYNC = "1.3.6.1.4.1.4203.1.9.1.1"
SYNC_STATE = "1.3.6.1.4.1.4203.1.9.1.2"
SYNC_INFO = b"1.3.6.1.4.1.4203.1.9.1.4"
PERSISTENT = "2.16.840.1.113730.3.4.3"
NOTIFICATION = "1.2.840.113556.1.4.528"
SHOW_DELETED = "1.2.840.113556.1.4.417"


# --- asking


@pytest.mark.parametrize(
    ("controls", "expected"),
    [
        ({SYNC, PERSISTENT, NOTIFICATION}, Means.PERSISTENT_SEARCH),
        ({SYNC, NOTIFICATION}, Means.SYNCREPL),
        ({NOTIFICATION}, Means.AD_NOTIFICATION),
        ({"1.2.840.113556.1.4.319"}, None),
        (set(), None),
    ],
    ids=["every means", "no persistent search", "notification alone", "another control", "none"],
)
def test_the_means_is_the_best_that_the_server_offers(controls: set[str], expected: Means | None) -> None:
    assert expected is choose_means(RootDse(controls=frozenset(controls)))


CONTROLS = [
    (
        Means.SYNCREPL,
        b"",
        (Control(oid=SYNC, critical=True, value=bytes.fromhex("30030a0103")),),
    ),
    (
        Means.SYNCREPL,
        b"rid=000",
        (Control(oid=SYNC, critical=True, value=bytes.fromhex("300c0a0103 0407") + b"rid=000"),),
    ),
    (
        Means.PERSISTENT_SEARCH,
        b"",
        (Control(oid=PERSISTENT, critical=True, value=bytes.fromhex("300902010f0101ff0101ff")),),
    ),
    (
        Means.AD_NOTIFICATION,
        b"",
        (Control(oid=NOTIFICATION, critical=True), Control(oid=SHOW_DELETED, critical=False)),
    ),
]


@pytest.mark.parametrize(("means", "cookie", "expected"), CONTROLS)
def test_each_means_has_its_controls(means: Means, cookie: bytes, expected: tuple[Control, ...]) -> None:
    assert expected == notification_controls(means, cookie=cookie)


def test_a_search_without_a_cookie_says_that_nothing_is_known_yet() -> None:
    assert notification_controls(Means.SYNCREPL) == CONTROLS[0][2]


def test_the_means_have_the_words_of_status_and_metrics() -> None:
    assert ["syncrepl", "persistent search", "change notification"] == [means.value for means in Means]


def test_the_cookie_names_every_change_number_or_there_is_none() -> None:
    assert b"" == write_csn_cookie(())
    assert b"rid=000,csn=a" == write_csn_cookie(("a",))
    assert b"rid=000,csn=a;b" == write_csn_cookie(("a", "b"))


# --- the state of an entry

UNIQUE = bytes(range(16))


def with_state(value: bytes | None) -> Message:
    """Return an entry whose Sync State control has a value."""
    control = b"" if value is None else der_element(0x30, text(SYNC_STATE) + der_element(0x04, value))
    controls = der_element(0xA0, control) if control else b""
    found = der_element(0x64, text("cn=x") + der_element(0x30, b""))
    return read_message(der_element(0x30, bytes.fromhex("020101") + found + controls))


def text(value: str | bytes) -> bytes:
    return der_element(0x04, value.encode() if isinstance(value, str) else value)


def state(number: int, unique: bytes = UNIQUE, further: bytes = b"") -> bytes:
    return der_element(0x30, der_element(0x0A, bytes((number,))) + text(unique) + further)


@pytest.mark.parametrize(
    ("number", "deleted"),
    [(0, False), (1, False), (2, False), (3, True)],
    ids=["present", "add", "modify", "delete"],
)
def test_the_state_of_an_entry_is_its_id_and_whether_it_is_gone(number: int, *, deleted: bool) -> None:
    expected = SyncState(unique_id=str(UUID(bytes=UNIQUE)), deleted=deleted)
    assert expected == read_sync_state(with_state(state(number)))
    assert expected == read_sync_state(with_state(state(number, further=text("a cookie"))))


def test_an_entry_without_the_control_has_no_state() -> None:
    assert read_sync_state(with_state(None)) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        der_element(0x30, b""),
        der_element(0x31, state(1)[2:]),
        der_element(0x30, der_element(0x0A, b"\x01")),
        der_element(0x30, text(UNIQUE) + der_element(0x0A, b"\x01")),
        der_element(0x30, der_element(0x02, b"\x01") + text(UNIQUE)),
        state(1, UNIQUE[:15]),
        state(1, UNIQUE + b"x"),
        b"\x30\x05",
    ],
    ids=["empty", "no parts", "a set", "no id", "reversed", "an integer", "a short id", "a long id", "cut"],
)
def test_a_state_that_is_none_is_not_understood(value: bytes) -> None:
    with pytest.raises(MessageSyntaxError):
        read_sync_state(with_state(value))


# --- what stands between entries


def intermediate(*choices: bytes, name: bytes = SYNC_INFO, valued: bool = True) -> Message:
    value = der_element(0x81, b"".join(choices)) if valued else b""
    return read_message(
        der_element(0x30, bytes.fromhex("020101") + der_element(0x79, der_element(0x80, name) + value))
    )


INFOS = [
    ("a cookie alone", der_element(0x80, b"c"), SyncInfo()),
    ("what is gone was told, and that is all", der_element(0xA1, b""), SyncInfo(refresh_done=True)),
    ("what is there was told, and that is all", der_element(0xA2, b""), SyncInfo(refresh_done=True)),
    ("with a cookie", der_element(0xA2, text("c")), SyncInfo(refresh_done=True)),
    ("done, said in words", der_element(0xA1, bytes.fromhex("0101ff")), SyncInfo(refresh_done=True)),
    ("done by any octet but zero", der_element(0xA1, bytes.fromhex("010101")), SyncInfo(refresh_done=True)),
    ("not done", der_element(0xA1, bytes.fromhex("010100")), SyncInfo()),
    ("not done, with a cookie", der_element(0xA2, text("c") + bytes.fromhex("010100")), SyncInfo()),
    ("a set of ids", der_element(0xA3, der_element(0x31, text(UNIQUE))), SyncInfo(changes=True)),
]


@pytest.mark.parametrize(
    ("choice", "expected"), [case[1:] for case in INFOS], ids=[case[0] for case in INFOS]
)
def test_what_is_told_between_entries(choice: bytes, expected: SyncInfo) -> None:
    assert expected == read_sync_info(intermediate(choice))


def test_a_cookie_alone_says_neither_that_it_is_over_nor_that_anything_changed() -> None:
    """Each flag by itself: a default that is turned round would be on both sides of the comparisons above."""
    told = [read_sync_info(intermediate(der_element(tag, b""))) for tag in (0x80, 0xA1, 0xA3)]
    assert [each and (each.refresh_done, each.changes) for each in told] == [
        (False, False),
        (True, False),
        (False, True),
    ]


def test_another_intermediate_response_is_not_ours() -> None:
    assert read_sync_info(intermediate(der_element(0xA3, b""), name=b"1.2.3")) is None


@pytest.mark.parametrize(
    "message",
    [
        intermediate(),
        intermediate(valued=False),
        intermediate(der_element(0x80, b"c"), der_element(0xA3, b"")),
        intermediate(der_element(0xA4, b"")),
        intermediate(der_element(0x04, b"")),
        intermediate(der_element(0xA1, b"\x01\x05")),
    ],
    ids=["nothing", "no value", "two things", "another choice", "no choice", "cut"],
)
def test_what_is_told_in_no_known_way_is_not_understood(message: Message) -> None:
    with pytest.raises(MessageSyntaxError):
        read_sync_info(message)


# --- whether every write was heard of


def wrote(number: int | str | None) -> FoundEntry:
    values = {} if number is None else {"usnchanged": (str(number).encode(),)}
    return FoundEntry(dn=b"cn=x", values=values)


def shows(number: int | str | None) -> FoundEntry:
    values = {} if number is None else {"highestcommittedusn": (str(number).encode(),)}
    return FoundEntry(dn=b"", values=values)


def ledger(highest: int, *heard: int) -> WriteLedger:
    made = WriteLedger()
    assert made.balances(shows(highest)), "the first time there is nothing to compare"
    for number in heard:
        made.hear(wrote(number))
    return made


BALANCES = [
    ("nothing was written", (), 10, True),
    ("what was written was heard of", (11, 12), 12, True),
    ("heard of in another order", (12, 11), 12, True),
    ("one write was not heard of", (12,), 12, False),
    ("the last write was not heard of", (11,), 12, False),
    ("none was heard of", (), 12, False),
    ("one heard of twice does not stand for two", (12, 12), 12, False),
    ("one from before does not stand for one since", (10,), 11, False),
    ("one to come does not stand for one that was", (12,), 11, False),
    ("the number went back: another server answers", (), 9, True),
]


@pytest.mark.parametrize(
    ("heard", "highest", "expected"), [case[1:] for case in BALANCES], ids=[case[0] for case in BALANCES]
)
def test_t66_a_ledger_balances_when_every_number_taken_was_heard(
    heard: tuple[int, ...], highest: int, *, expected: bool
) -> None:
    assert expected is ledger(10, *heard).balances(shows(highest))


def test_a_change_that_was_heard_before_its_number_was_shown_counts_when_it_is() -> None:
    made = ledger(10, 11, 12, 13)
    assert made.balances(shows(11))
    assert made._heard == {12, 13}, "what was compared is not kept for ever"
    assert made.balances(shows(13))
    assert made._heard == set()
    assert not made.balances(shows(14))
    assert made.balances(shows(14)), "said once, and everything was forgotten then"


def test_numbers_heard_before_the_first_look_are_no_credit() -> None:
    made = WriteLedger()
    made.hear(wrote(5))
    assert made.balances(shows(10))
    assert not made.balances(shows(11))


@pytest.mark.parametrize("odd", [None, "", "-1", "x", "1.5"])
def test_a_server_that_shows_no_number_never_balances(odd: str | None) -> None:
    """Not the first time either; and what happened meanwhile is still asked for when one is shown again."""
    assert WriteLedger().balances(shows(odd)) is False
    made = ledger(10)
    assert not made.balances(shows(odd))
    made.hear(wrote(12))
    assert not made.balances(shows(12))
    again = ledger(10, 11, 12)
    assert not again.balances(shows(odd))
    assert again.balances(shows(12))


@pytest.mark.parametrize("odd", [None, "", "-1", "x"])
def test_a_change_without_its_number_is_not_heard_of(odd: str | None) -> None:
    made = ledger(10)
    made.hear(wrote(odd))
    assert not made.balances(shows(11))


def test_several_numbers_at_one_entry_are_none() -> None:
    made = ledger(10)
    made.hear(FoundEntry(dn=b"cn=x", values={"usnchanged": (b"11", b"12")}))
    assert not made.balances(shows(11))


@given(
    first=st.integers(0, 20),
    taken=st.lists(st.booleans(), max_size=12),
    cuts=st.sets(st.integers(1, 12)),
)
def test_t66_a_missed_write_is_told_at_the_next_look_whenever_one_looks(
    first: int, taken: list[bool], cuts: set[int]
) -> None:
    """`taken`: of each number in turn, whether its change is heard of; `cuts`: after which numbers one looks."""
    made = ledger(first)
    missed = False
    for count, is_heard in enumerate(taken, 1):
        missed = missed or not is_heard
        if is_heard:
            made.hear(wrote(first + count))
        if count in cuts:
            assert made.balances(shows(first + count)) is not missed
            missed = False
