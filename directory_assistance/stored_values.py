"""What an entry of LDAP holds, in octets, read as an entry or a group, wherever the octets come from.

What lives here: how the octets of an `inetOrgPerson`, or of a group, become an `Entry` or a `Group`. What does not:
where they come from (a server, a file), which attributes are asked for, and which entry a candidate names.

Invariants:

* A value that cannot be read makes the answer malformed; nothing is guessed, dropped or cut. Stored certificates are
  the exception: they are handed on as octets, and bind nothing unless they are equal.
* The state of an account is read from every attribute that any kind of server keeps it in, and one sign is enough. An
  account of Active Directory whose state is not shown is disabled: unknown is no (threat T57). `lockoutTime` of
  Active Directory is no such sign: a certificate is no password. `pwdAccountLockedTime` of OpenLDAP is one, because an
  administrator's lock looks the same.

Sources: RFC 4519 and RFC 4523 (attributes), RFC 4530 (`entryUUID`), MS-ADA1 and MS-ADTS (accounts).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain

from directory_assistance.alternative_identities import read_issuer_serial_identity, read_key_id_identity
from directory_assistance.dn import DistinguishedName, FlatName, common_name_of, prepare, read_ldap_dn
from directory_assistance.entry import Entry, Group, GroupType, StoredCertificate
from directory_assistance.errors import DirectoryAnswerMalformed, NameSyntaxError, shorten
from directory_assistance.identifiers import read_guid, read_sid, read_uuid

__all__ = [
    "ENTRY_ATTRIBUTES",
    "GROUP_ATTRIBUTES",
    "GROUP_CLASSES",
    "StoredValues",
    "is_nobody",
    "read_stored_entry",
    "read_stored_group",
]

ENTRY_ATTRIBUTES = (
    "objectClass",
    "cn",
    "displayName",
    "mail",
    "userCertificate",
    "userCertificate;binary",  # some servers give the octets only under this description
    "nsAccountLock",
    "pwdAccountLockedTime",
    "userAccountControl",
    "accountExpires",
    "objectSid",
    "altSecurityIdentities",
    "entryUUID",
    "nsUniqueId",
    "objectGUID",
)

GROUP_ATTRIBUTES = ("cn",)

GROUP_CLASSES = frozenset(
    {
        b"dominogroup",
        b"group",
        b"groupofcertificates",
        b"groupofentries",
        b"groupofmembers",
        b"groupofnames",
        b"groupofuniquenames",
        b"groupofurls",
        b"nisnetgroup",
        b"posixgroup",
    }
)
"""Object classes of groups, in lower case."""

_NOBODY = GROUP_CLASSES | {
    # where others stand
    b"builtindomain",
    b"container",
    b"country",
    b"domain",
    b"domaindns",
    b"locality",
    b"nscontainer",
    b"organization",
    b"organizationalunit",
    # what others rest on
    b"cossuperdefinition",
    b"costemplate",
    b"ldapsubentry",
    b"nsroledefinition",
    b"subentry",
    # an account of another domain, as a place in groups of this one; the account is there
    b"foreignsecurityprincipal",
}
"""Object classes of what is no person and no service: it has names, an address and in an Active Directory a security
identifier, so a certificate may name it, and must not become it."""

_LONGEST_TEXT = 8_192
"""Octets of one text value: names, addresses and identities have a hundred."""

_MOST_VALUES = 5_000
"""Values of one attribute: an entry of a person has one or a few, also of certificates. An Active Directory stores
about 1,300 of an attribute that is no link, about 3,200 since Windows Server 2025, and gives 1,500 or 5,000 at once;
more than it can store need not be read."""

_ACCOUNT_DISABLED = 0x2
"""ADS_UF_ACCOUNTDISABLE of `userAccountControl` (MS-ADTS section 2.2.16)."""

_NEVER = frozenset({0, 0x7FFF_FFFF_FFFF_FFFF})
"""Values of `accountExpires` that mean no end (MS-ADA1 section 2.1)."""

_FIRST_INSTANT = datetime(1601, 1, 1, tzinfo=UTC)
"""What `accountExpires` counts from, in tenths of a microsecond."""


def is_nobody(object_classes: Iterable[bytes]) -> bool:
    """Whether an entry of these classes is a group, a place or a definition, and so never somebody's."""
    return any(each.lower() in _NOBODY for each in object_classes)


class StoredValues:
    """The values of one entry, attribute options folded away.

    Args:
        domain: for the fault.
        dn: the name of the entry, in octets.
        values: by attribute description in lower case.

    Raises:
        DirectoryAnswerMalformed: an attribute is there in part only (`range=`), or has more than 5,000 values.

    """

    def __init__(self, domain: str, dn: bytes, values: Mapping[str, Sequence[bytes]]) -> None:
        self._domain = domain
        self._dn = dn
        self._values: dict[str, tuple[bytes, ...]] = {}
        for description, octets in values.items():
            name, _, options = description.partition(";")
            if "range=" in options:
                raise self.malformed(f"only a part of the values of `{shorten(name)}` is there")
            # A certificate may come under two descriptions.
            self._values[name] = tuple(dict.fromkeys((*self._values.get(name, ()), *octets)))
            if len(self._values[name]) > _MOST_VALUES:
                raise self.malformed(f"`{shorten(name)}` has more than {_MOST_VALUES} values")

    def malformed(self, problem: str) -> DirectoryAnswerMalformed:
        """Return the fault: which entry, and what is wrong with it."""
        return DirectoryAnswerMalformed(
            self._domain, f"entry `{shorten(self._dn.decode('utf-8', 'replace'))}`: {problem}"
        )

    def octets(self, name: str) -> tuple[bytes, ...]:
        """Return the values of an attribute as they are stored."""
        return self._values.get(name.lower(), ())

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the values of an attribute that holds text."""
        return tuple(self._read_text(name, octets) for octets in self.octets(name))

    def read_dn(self) -> DistinguishedName:
        """Return the name of the entry."""
        try:
            return read_ldap_dn(self._read_text("dn", self._dn))
        except NameSyntaxError as error:
            raise self.malformed(f"its name cannot be read: {error}") from error

    def read_sid(self) -> str | None:
        """Return the one security identifier, None if the entry has none."""
        stored = self.octets("objectSid")
        if not stored:
            return None
        sid = read_sid(stored[0])
        if sid is None or len(stored) > 1:
            raise self.malformed("expected one security identifier in `objectSid`")
        return sid

    def read_disabled(self) -> bool:
        """Tell whether any sign of any kind of server says that the account is disabled or locked."""
        if self.octets("pwdAccountLockedTime"):
            return True
        if any(text.strip().casefold() == "true" for text in self.texts("nsAccountLock")):
            return True
        controls = self.texts("userAccountControl")
        if not controls and self.octets("objectSid"):
            return True
        return any(self._read_integer("userAccountControl", text) & _ACCOUNT_DISABLED for text in controls)

    def read_expiry(self) -> datetime | None:
        """Return the earliest end of the account; one beyond the calendar is none."""
        counts = [self._read_integer("accountExpires", text) for text in self.texts("accountExpires")]
        ends = [count for count in counts if count not in _NEVER]
        if not ends:
            return None
        try:
            return _FIRST_INSTANT + timedelta(microseconds=min(ends) // 10)
        except OverflowError:
            return None if min(ends) > 0 else _FIRST_INSTANT

    def read_unique_id(self) -> str | None:
        """Return what stays when the entry is renamed, canonical.

        `nsUniqueId` comes before `entryUUID`: a 389-ds may have both, and tells changes by the first.
        """
        for name in ("nsUniqueId", "entryUUID"):
            for text in self.texts(name):
                return self._required(name, read_uuid(text))
        for octets in self.octets("objectGUID"):
            return self._required("objectGUID", read_guid(octets))
        return None

    def _required(self, name: str, value: str | None) -> str:
        if value is None:
            raise self.malformed(f"expected a universally unique identifier in `{name}`")
        return value

    def _read_integer(self, name: str, text: str) -> int:
        try:
            return int(text)
        except ValueError as error:
            raise self.malformed(f"expected an integer in `{name}`, found `{shorten(text)}`") from error

    def _read_text(self, name: str, octets: bytes) -> str:
        if len(octets) > _LONGEST_TEXT:
            raise self.malformed(f"a value of `{shorten(name)}` is longer than {_LONGEST_TEXT} octets")
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.malformed(f"a value of `{shorten(name)}` is not UTF-8") from error


def read_stored_entry(values: StoredValues, *, name_attribute: str | None = None) -> Entry:
    """Read an entry about somebody: its names are its DN and, only to find it, the values of `cn`.

    Args:
        values: those of `ENTRY_ATTRIBUTES`, and of the name attribute.
        name_attribute: whose values are the mapped names.

    Raises:
        DirectoryAnswerMalformed: a value that cannot be read.

    """
    dn = values.read_dn()
    common_names = values.texts("cn")
    display_names = values.texts("displayName")
    identities = values.texts("altSecurityIdentities")
    key_ids = (read_key_id_identity(identity) for identity in identities)
    return Entry(
        key=dn.key,
        names=(dn, *(FlatName(text=text) for text in common_names)),
        dn=dn,
        mapped_names=values.texts(name_attribute) if name_attribute is not None else (),
        display_name=(*display_names, *common_names, "")[0],
        mails=values.texts("mail"),
        certificates=tuple(StoredCertificate(der=der) for der in values.octets("userCertificate")),
        sid=values.read_sid(),
        subject_key_ids=tuple(key_id for key_id in key_ids if key_id is not None),
        issuer_serials=tuple(chain.from_iterable(map(read_issuer_serial_identity, identities))),
        disabled=values.read_disabled(),
        expires=values.read_expiry(),
        unique_id=values.read_unique_id(),
    )


def read_stored_group(values: StoredValues) -> Group:
    """Read a group: its name is its `cn`, where there are several the one in its DN.

    Raises:
        DirectoryAnswerMalformed: the DN cannot be read, or the group has no `cn` or none that is its name: a group
            left out could as well raise somebody's access as lower it.

    """
    dn = values.read_dn()
    names = values.texts("cn")
    if len(names) > 1:
        naming = prepare(common_name_of(dn) or "")
        names = tuple(name for name in names if prepare(name) == naming)
    if len(names) != 1:
        raise values.malformed("expected one `cn` as the name of the group, found several or none")
    return Group(name=names[0], type=GroupType.MULTI, reference=dn)
