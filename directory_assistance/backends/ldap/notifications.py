"""How servers are asked to tell changes, and what they then say, as octets and values.

Three means: content synchronisation (RFC 4533; OpenLDAP and 389-ds), persistent search
(draft-ietf-ldapext-psearch-03; 389-ds and its kin), and the notification control of Active Directory (MS-ADTS section
3.1.1.3.4.1.9). What lives here: the controls of each, written and read. What does not: the thread that listens
(`watch.py`).

NOTE: Active Directory tells nobody but an administrator that an entry was removed. Every write takes a number, and the
root DSE shows the highest (MS-ADTS section 3.1.1.3.2.14): `WriteLedger` tells whether each one taken was heard of.

INVARIANT: what cannot be read raises `MessageSyntaxError`; a change is never passed over because it was spelled oddly.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from directory_assistance.backends.ldap.messages import (
    Control,
    FoundEntry,
    Message,
    MessageSyntaxError,
    read_elements,
    write_element,
    write_integer,
)
from directory_assistance.backends.ldap.root_dse import (
    AD_NOTIFICATION,
    PERSISTENT_SEARCH,
    SYNC_REQUEST,
    RootDse,
)

__all__ = [
    "Means",
    "SyncInfo",
    "SyncState",
    "WriteLedger",
    "choose_means",
    "notification_controls",
    "read_sync_info",
    "read_sync_state",
    "write_csn_cookie",
]

_SYNC_STATE = "1.3.6.1.4.1.4203.1.9.1.2"
_SYNC_INFO = b"1.3.6.1.4.1.4203.1.9.1.4"
_SHOW_DELETED = "1.2.840.113556.1.4.417"

_REFRESH_AND_PERSIST = 3
_EVERY_CHANGE = 0x0F
"""changeTypes of a persistent search: add, delete, modify, modDN."""

_SEQUENCE = 0x30
_ENUMERATED = 0x0A
_OCTET_STRING = 0x04
_NEW_COOKIE = 0x80
_REFRESH_DELETE = 0xA1
_REFRESH_PRESENT = 0xA2
_SYNC_ID_SET = 0xA3
_BOOLEAN = 0x01

_UUID_OCTETS = 16

_LONGEST_NUMBER = 20
"""Digits of the number of a write: it has 64 bits."""

_MOST_HEARD = 100_000
"""Numbers that are kept from one look to the next, a second later at most: far more than writes."""


class Means(StrEnum):
    """By what a server tells changes; the words that status and metrics use."""

    SYNCREPL = "syncrepl"
    PERSISTENT_SEARCH = "persistent search"
    AD_NOTIFICATION = "change notification"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """The Sync State control of an entry (RFC 4533 section 2.3).

    `unique_id`: as in `Entry`. `deleted`: whether the entry is gone.
    """

    unique_id: str
    deleted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncInfo:
    """A Sync Info message (RFC 4533 section 2.5).

    `refresh_done`: the first phase is over. `changes`: it names entries that changed or are gone, without more, or says
    that whatever was not named is gone (refreshPresent).
    """

    refresh_done: bool = False
    changes: bool = False


def choose_means(root: RootDse) -> Means | None:
    """Return by what a server can tell changes, None if by nothing that we know.

    A persistent search comes before content synchronisation: it begins with the next change, where content
    synchronisation with 389-ds begins by sending every entry there is. OpenLDAP knows no persistent search.
    """
    for control, means in (
        (PERSISTENT_SEARCH, Means.PERSISTENT_SEARCH),
        (SYNC_REQUEST, Means.SYNCREPL),
        (AD_NOTIFICATION, Means.AD_NOTIFICATION),
    ):
        if control in root.controls:
            return means
    return None


def notification_controls(means: Means, *, cookie: bytes = b"") -> tuple[Control, ...]:
    """Return the controls of the search that tells changes; `cookie` says what is known already (syncrepl)."""
    if means is Means.SYNCREPL:
        known = write_element(_OCTET_STRING, cookie) if cookie else b""
        value = write_element(_SEQUENCE, write_integer(_REFRESH_AND_PERSIST, _ENUMERATED) + known)
        return (Control(oid=SYNC_REQUEST, critical=True, value=value),)
    if means is Means.PERSISTENT_SEARCH:
        changes_only = return_change_controls = b"\x01\x01\xff"
        value = write_element(_SEQUENCE, write_integer(_EVERY_CHANGE) + changes_only + return_change_controls)
        return (Control(oid=PERSISTENT_SEARCH, critical=True, value=value),)
    return (
        Control(oid=AD_NOTIFICATION, critical=True),
        Control(oid=_SHOW_DELETED, critical=False),  # else nobody hears of an entry that is removed
    )


def write_csn_cookie(context_csns: tuple[str, ...]) -> bytes:
    """Return the cookie by which OpenLDAP knows that everything up to these change numbers is known."""
    return f"rid=000,csn={';'.join(context_csns)}".encode() if context_csns else b""


def read_sync_state(message: Message) -> SyncState | None:
    """Read the Sync State control of an entry; None where there is none.

    Raises:
        MessageSyntaxError: it is none.

    """
    value = message.controls.get(_SYNC_STATE)
    if value is None:
        return None
    parts = [
        part for tag, content in read_elements(value) if tag == _SEQUENCE for part in read_elements(content)
    ]
    tags = [tag for tag, _content in parts[:2]]
    if tags != [_ENUMERATED, _OCTET_STRING] or len(parts[1][1]) != _UUID_OCTETS:
        raise MessageSyntaxError("expected the state of an entry")
    return SyncState(unique_id=str(UUID(bytes=parts[1][1])), deleted=parts[0][1] == b"\x03")


def read_sync_info(message: Message) -> SyncInfo | None:
    """Read an intermediate response as a Sync Info message; None where it is another.

    Raises:
        MessageSyntaxError: it is a malformed one.

    """
    parts = dict(read_elements(message.content))
    if parts.get(0x80) != _SYNC_INFO:
        return None
    choices = tuple(read_elements(parts.get(0x81, b"")))
    if len(choices) != 1:
        raise MessageSyntaxError("expected one thing that is told")
    tag, content = choices[0]
    if tag in {_REFRESH_DELETE, _REFRESH_PRESENT}:
        booleans = [octets for kind, octets in read_elements(content) if kind == _BOOLEAN]
        return SyncInfo(
            refresh_done=not booleans or booleans[0] != b"\x00",  # DEFAULT TRUE
            changes=tag == _REFRESH_PRESENT,
        )
    if tag == _SYNC_ID_SET:
        return SyncInfo(changes=True)
    if tag != _NEW_COOKIE:
        raise MessageSyntaxError(f"expected something that is told, found tag 0x{tag:02x}")
    return SyncInfo()


class WriteLedger:
    """Whether every write to an Active Directory was heard of, by the numbers that writes take."""

    __slots__ = ("_heard", "_highest", "_looked")

    def __init__(self) -> None:
        self._highest: int | None = None
        self._heard: set[int] = set()
        self._looked = False

    def hear(self, found: FoundEntry) -> None:
        """Note the number (`uSNChanged`) of a change that was told. What goes beyond the limit counts as unheard."""
        number = _number(found, "usnchanged")
        if number is not None and len(self._heard) < _MOST_HEARD:
            self._heard.add(number)

    def balances(self, root: FoundEntry) -> bool:
        """Whether each number taken since the last time was heard; the first time there is nothing to compare.

        A number whose change is still on its way counts as unheard; so does everything where the highest is lower than
        before, as in a server that was restored.

        Raises:
            MessageSyntaxError: the highest number is not there, so that removals would never be noticed.

        """
        self._looked = True
        highest, before = _number(root, "highestcommittedusn"), self._highest
        if highest is None:
            raise MessageSyntaxError("no `highestCommittedUSN`, by which removals are noticed")
        self._highest = highest
        if before is None:
            return True
        heard = sum(1 for number in self._heard if before < number <= highest)
        self._heard = {number for number in self._heard if number > highest}
        return heard == highest - before

    def end_look(self) -> None:
        """Note that a look at the root DSE is over.

        Raises:
            MessageSyntaxError: it showed none.

        """
        looked, self._looked = self._looked, False
        if not looked:
            raise MessageSyntaxError("no root DSE, by which removals are noticed")


def _number(found: FoundEntry, name: str) -> int | None:
    values = found.values.get(name, ())
    readable = len(values) == 1 and values[0].isdigit() and len(values[0]) <= _LONGEST_NUMBER
    return int(values[0]) if readable else None
