"""The values behind names: attributes, components, names, wildcards, and the key by which they compare.

Here: string preparation (RFC 4518, case-ignore form), the attribute types known by a short name, the value
types. Not here: reading texts (`dn_reading.py`), printing them (`dn_printing.py`), questions about names
(`dn.py`). Import everything from `directory_assistance.dn`.

INVARIANT: two names are equal exactly when their `key` is equal, and keys of different forms (hierarchical,
flat, Internet, wildcard) never are. A key is made once, with the value, and is never parsed again.
INVARIANT: every text is kept as it came (`value`, `text`); only the key is prepared.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final, NewType

__all__ = [
    "COMMON_NAME",
    "COUNTRY",
    "OID_BY_DESCRIPTOR",
    "ORGANISATION",
    "ORGANISATIONAL_UNIT",
    "SHORT_NAME_BY_OID",
    "Attribute",
    "DistinguishedName",
    "FlatName",
    "InternetName",
    "MemberReference",
    "Name",
    "NameKey",
    "RelativeDistinguishedName",
    "WildcardName",
    "has_unusable_characters",
    "is_blank",
    "prepare",
]

NameKey = NewType("NameKey", str)

COMMON_NAME: Final = "2.5.4.3"
COUNTRY: Final = "2.5.4.6"
ORGANISATION: Final = "2.5.4.10"
ORGANISATIONAL_UNIT: Final = "2.5.4.11"

SHORT_NAME_BY_OID: Final = {
    COMMON_NAME: "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    COUNTRY: "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    ORGANISATION: "O",
    ORGANISATIONAL_UNIT: "OU",
    "2.5.4.12": "title",
    "2.5.4.13": "description",
    "2.5.4.15": "businessCategory",
    "2.5.4.17": "postalCode",
    "2.5.4.41": "name",
    "2.5.4.42": "givenName",
    "2.5.4.43": "initials",
    "2.5.4.44": "generationQualifier",
    "2.5.4.46": "dnQualifier",
    "2.5.4.65": "pseudonym",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.3": "mail",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}
"""The descriptor printed for an attribute type (RFC 4514 section 3, RFC 4519, RFC 2985, X.520)."""

OID_BY_DESCRIPTOR: Final = {name.casefold(): oid for oid, name in SHORT_NAME_BY_OID.items()} | {
    "commonname": COMMON_NAME,
    "surname": "2.5.4.4",
    "countryname": COUNTRY,
    "localityname": "2.5.4.7",
    "s": "2.5.4.8",  # Microsoft prints S for stateOrProvinceName
    "stateorprovincename": "2.5.4.8",
    "streetaddress": "2.5.4.9",
    "organizationname": ORGANISATION,
    "organizationalunitname": ORGANISATIONAL_UNIT,
    "gn": "2.5.4.42",
    "userid": "0.9.2342.19200300.100.1.1",
    "rfc822mailbox": "0.9.2342.19200300.100.1.3",
    "domaincomponent": "0.9.2342.19200300.100.1.25",
    "e": "1.2.840.113549.1.9.1",  # Microsoft and OpenSSL spellings of emailAddress
    "email": "1.2.840.113549.1.9.1",
    "pkcs9email": "1.2.840.113549.1.9.1",
}
"""Every descriptor that is read, casefolded, and the attribute type it stands for."""

_MAPPED_TO_SPACE: Final = "\t\n\v\f\r\x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""RFC 4518 section 2.2: line and paragraph controls and every separator (categories Zs, Zl, Zp)."""

_MAPPED_TO_NOTHING: Final = (
    "\u00ad\u034f\u06dd\u070f\u1806\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2063\u206a-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffc\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
)
"""RFC 4518 section 2.2: soft hyphens, joiners, direction marks, variation selectors, tags: invisible in
print.
"""

_ODD_SPACES: Final = re.compile(f"[{_MAPPED_TO_SPACE}]")
_INVISIBLE: Final = re.compile(f"[{_MAPPED_TO_NOTHING}]+")
_UNUSABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_KEY_SYNTAX: Final = re.compile(r"[\\,+=]")
_KEY_SPECIAL: Final = re.compile(f"{_UNUSABLE.pattern}|{_KEY_SYNTAX.pattern}")

_LONG_RUN_OF_MARKS: Final = re.compile(rb"[^\0]{31}")
"""More combining marks after one another than are normalised: 30, and no language has more (UAX 15, stream-safe text).

Sorting a run of n marks costs n squared steps: the 60,000 that fit into a certificate took CPython 22 s.
"""


def has_unusable_characters(text: str) -> bool:
    """Tell whether a text holds a NUL, another control character (category Cc) or an unpaired surrogate.

    No name with one is ever used (semantics: Names): such characters are cut off, hidden or refused by other
    parsers.
    """
    return _UNUSABLE.search(text) is not None


def _has_long_run_of_marks(text: str) -> bool:
    # A combining class is a number below 256, so that the classes of a text are octets: looking for a run among them
    # costs a tenth of what a loop over the characters does.
    return _LONG_RUN_OF_MARKS.search(bytes(map(unicodedata.combining, text))) is not None


def _collapse_spaces(text: str) -> str:
    """Make a run of spaces one; halving runs is quicker than replacing them one by one."""
    spaced = _ODD_SPACES.sub(" ", text)
    while "  " in spaced:
        spaced = spaced.replace("  ", " ")
    return spaced.strip(" ")


def _prepare_once(text: str) -> str:
    mapped = _INVISIBLE.sub("", text).casefold()
    if not mapped.isascii() and not _has_long_run_of_marks(mapped):
        mapped = unicodedata.normalize("NFKC", mapped)
    return _collapse_spaces(mapped)


def prepare(text: str) -> str:
    """Return the form in which two values of an attribute are compared (RFC 4518, case-ignore).

    Total; nothing is raised. The steps, in the RFC's order:

    1. map: invisible characters to nothing, case folded in full (`ß` to `ss`)
    2. normalise: NFKC, unless more than 30 combining marks follow one another (then the text stays as
       spelled, and equals only the same spelling)
    3. insignificant spaces: every separator is a space, a run of them is one, none at either end

    They are repeated until nothing changes, because a normalised character may fold again (`U+1D400`, a bold
    A, to `A` to `a`); so `prepare(prepare(text)) == prepare(text)`.

    Departures: the RFC pads with spaces and doubles inner ones, which gives the same equalities. It maps
    control characters to nothing; here they stay, so that no name equals another by hidden ones. It refuses
    unassigned and private characters; here they equal themselves only. Today's Unicode tables are used, not
    those of Unicode 3.2.
    """
    if text.isascii():  # nothing to normalise, nothing invisible, and folding once is enough: most names
        return _collapse_spaces(text.casefold())
    prepared = _prepare_once(text)
    while (again := _prepare_once(prepared)) != prepared:
        prepared = again
    return prepared


def is_blank(text: str) -> bool:
    """Tell whether nothing of a text is left to compare: empty, spaces, invisible characters."""
    return not prepare(text)


def _escape_key_character(match: re.Match[str]) -> str:
    return "\\" + match[0]


def _escape_unstorable_character(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _key_part(text: str) -> str:
    # Injective: a backslash before each character of the key's own syntax, and a code for what SQL cannot
    # store (NUL in PostgreSQL, surrogates anywhere). `\u` cannot be an escaped letter, since only syntax is
    # escaped by itself.
    if _KEY_SPECIAL.search(text) is None:
        return text
    return _UNUSABLE.sub(_escape_unstorable_character, _KEY_SYNTAX.sub(_escape_key_character, text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute type and value of an RDN.

    `oid` is the dotted type, or the casefolded descriptor where this program does not know the type (such a
    type then equals only the same descriptor, never a dotted one). `value` is raw text; a value that is no
    string in ASN.1 is `#` and the lower-case hexadecimal of its BER encoding. `prepared` is what compares.
    """

    oid: str
    value: str = field(compare=False)
    prepared: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Prepare the value once."""
        object.__setattr__(self, "prepared", prepare(self.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class RelativeDistinguishedName:
    """One component of a distinguished name: a set of attributes, in the order in which they were written."""

    attributes: tuple[Attribute, ...] = field(compare=False)
    key: NameKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the key once; the attributes are a set, so their order and repetition do not count."""
        parts = {
            f"{_key_part(attribute.oid)}={_key_part(attribute.prepared)}" for attribute in self.attributes
        }
        object.__setattr__(self, "key", NameKey("+".join(sorted(parts))))


def _joined_key(form: str, rdns: tuple[RelativeDistinguishedName, ...]) -> NameKey:
    # A count keeps "no component" and "one component without attributes" apart.
    return NameKey(f"{form}:{len(rdns)}:" + ",".join(rdn.key for rdn in rdns))


@dataclass(frozen=True, slots=True, kw_only=True)
class DistinguishedName:
    """A hierarchical name, leaf first.

    Without components it is the empty subject that RFC 5280 allows; no reader makes one.
    """

    rdns: tuple[RelativeDistinguishedName, ...] = field(compare=False)
    key: NameKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the key once."""
        object.__setattr__(self, "key", _joined_key("dn", self.rdns))


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatName:
    """A name without components and without `@`: `Dave Lawson`."""

    text: str = field(compare=False)
    key: NameKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the key once."""
        object.__setattr__(self, "key", NameKey("flat:" + _key_part(prepare(self.text))))


@dataclass(frozen=True, slots=True, kw_only=True)
class InternetName:
    """A mail address as a name: `dave@renovations.com`; all of it compares case-ignore, as LDAP's `mail`."""

    text: str = field(compare=False)
    key: NameKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the key once."""
        object.__setattr__(self, "key", NameKey("internet:" + _key_part(prepare(self.text))))


@dataclass(frozen=True, slots=True, kw_only=True)
class WildcardName:
    """Every hierarchical name that ends in `suffix` and has at least one component before it: `*/Sales/Acme`.

    An empty suffix matches nothing (an empty list never means all); no reader makes one.
    """

    suffix: tuple[RelativeDistinguishedName, ...] = field(compare=False)
    key: NameKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the key once."""
        object.__setattr__(self, "key", _joined_key("wildcard", self.suffix))


Name = DistinguishedName | FlatName | InternetName
MemberReference = Name | WildcardName
