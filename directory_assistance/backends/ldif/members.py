"""What a group in an LDIF file lists: each value of `member` and `uniqueMember` as the key of a reference.

What lives here: how a value is read, and which values name nobody. What does not: what follows from one that cannot be
read (`content.py`).

A value is a distinguished name, as LDAP servers have it; where it is none, whatever groups of Domino list: a wildcard
(`*/East/Acme`), a plain name, a name in slash form.
"""

import re

from directory_assistance.dn import (
    MemberReference,
    NameKey,
    has_unusable_characters,
    is_blank,
    read_ldap_dn,
    read_member,
)
from directory_assistance.errors import NameSyntaxError

__all__ = ["MemberReader"]

_ESCAPED_CONTROL = re.compile(r"\\(?:[01][0-9A-Fa-f]|7[Ff])")
"""A control character as RFC 4514 writes it; Active Directory puts `\\0A` into the names of conflicting entries."""


class MemberReader:
    """Reads one value after another; remembers what it read, because many groups list the same people."""

    def __init__(self) -> None:
        self._keys: dict[bytes, NameKey | None] = {}

    def learn(self, octets: bytes, key: NameKey) -> None:
        """Remember the name of an entry, which is how groups will list it."""
        self._keys[octets] = key

    def read(self, octets: bytes) -> NameKey | None:
        """Return the key of the reference; None for a value that names nobody.

        Nobody is named by a blank value, which servers demand of empty groups, nor by a name with a control
        character, which no name in use has.

        Raises:
            NameSyntaxError: it means somebody, and cannot be read.

        """
        if octets in self._keys:
            return self._keys[octets]
        try:
            text = octets.decode("utf-8")
        except UnicodeDecodeError as error:
            raise NameSyntaxError("expected UTF-8, found other octets") from error
        names_nobody = (
            is_blank(text) or has_unusable_characters(text) or _ESCAPED_CONTROL.search(text) is not None
        )
        key = self._keys[octets] = None if names_nobody else NameKey(_read(text).key)
        return key


def _read(text: str) -> MemberReference:
    """Read a text without a comma in the way of Domino first: `CN=Dave/O=Acme` is two components there, one in LDAP."""
    first, second = (read_ldap_dn, read_member) if "," in text else (read_member, read_ldap_dn)
    try:
        return first(text)
    except NameSyntaxError as error:
        try:
            return second(text)
        except NameSyntaxError:
            raise error from None
