r"""Reading LDIF: the octets of a file as records, each a name and its values (RFC 2849).

What lives here: the grammar, strictly, and the limits. What does not: the file itself (`source.py`), and what the
values of an entry mean (`content.py`).

Invariants:

* One text has one reading or none. What does not fit is a `LdifSyntaxError` that says in which line, what was
  expected and what was found; nothing is dropped, repaired or cut.
* Nothing but the text is read: a value at a URL (`:<`) is refused, because a file that somebody hands in must not
  choose which other files are read.
* Entries are read, not changes: `changetype:` and `control:` are refused.
* A text that ends in the middle of a line is refused: it may be half of one.

Departures from RFC 2849, each met in real exports: values may hold UTF-8 as it is (the RFC wants base64), the version
line may be missing (`ldapsearch -LLL` writes none), attribute names may have underscores and ranges, and a byte order
mark may stand at the start.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from directory_assistance.errors import shorten

__all__ = [
    "LARGEST_VALUE",
    "LONGEST_LINE",
    "MOST_ENTRIES",
    "MOST_VALUES",
    "LdifRecord",
    "LdifSyntaxError",
    "ValueReader",
    "normalise_ldif",
    "read_record",
    "read_records",
]

LARGEST_VALUE = 1_048_576
"""Octets of one value: certificates have two thousand, photographs some hundred thousand."""

LONGEST_LINE = 2 * LARGEST_VALUE
"""Octets of one line as it stands in the file: the largest value fits into one, in base64, unfolded."""

MOST_ENTRIES = 1_000_000
"""Entries of a file: ten times a large export; that many are read in a minute and a half."""

MOST_VALUES = 1_000_000
"""Values of one attribute of one entry: a group of everybody lists as many as there are entries."""

_LONGEST_NAME = 255
"""Octets of an attribute description; the longest registered name has 60."""

_DESCRIPTION = re.compile(
    rb"(?:[A-Za-z][A-Za-z0-9_-]*|(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+)"
    rb"(?:;[A-Za-z0-9-]+(?:=[0-9]+-(?:[0-9]+|\*))?)*"
)
"""AttributeDescription (RFC 2849), with the underscores of some vendors and the ranges of Active Directory."""

_SECRET = re.compile(rb"passw|pwd|hash|secret|key", re.IGNORECASE)
"""What the names of attributes with passwords, their hashes and keys have in them; a fault must not repeat those."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CHANGES = frozenset({b"changetype", b"control"})


class LdifSyntaxError(ValueError):
    """A text is not LDIF as it is read here.

    Args:
        line: counts from 1, in the text as it stands.
        problem: `expected ..., found ...`.

    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class LdifRecord:
    """One entry: where it stands, its name in octets, and its values by attribute description in lower case.

    `start` and `end` are octets of the normalised text, `line` is the line of `start`.
    """

    start: int
    end: int
    line: int
    dn: bytes
    values: Mapping[str, tuple[bytes, ...]]


class _LineError(ValueError):
    """What is wrong with the line that is being read: `expected` and what follows."""


def normalise_ldif(octets: bytes) -> bytes:
    """Return a text with line feeds alone, without byte order mark; lines keep their numbers.

    Raises:
        LdifSyntaxError: an octet stands in it that no LDIF holds (NUL, a carriage return inside a line), or the
            last line does not end.

    """
    octets = octets.removeprefix(_BYTE_ORDER_MARK)
    if b"\r" in octets:
        octets = octets.replace(b"\r\n", b"\n")
    for octet, name in ((b"\0", "NUL"), (b"\r", "a carriage return")):
        place = octets.find(octet)
        if place >= 0:
            line = octets.count(b"\n", 0, place) + 1
            raise LdifSyntaxError(line, f"expected text (such values are written in base64), found {name}")
    if octets and not octets.endswith(b"\n"):
        line = octets.count(b"\n") + 1
        raise LdifSyntaxError(line, "expected a line end after the last line, found the end of the file")
    return octets


def read_records(text: bytes) -> Iterator[LdifRecord]:
    """Read the records of a text, one after another.

    Args:
        text: as `normalise_ldif` gives it.

    Raises:
        LdifSyntaxError: at the first record that is none.

    """
    reader = _Reader()
    count = 0
    for start, end, line in _find_blocks(text):
        record = reader.read(text[start:end], start, line)
        if record is None:
            continue
        count += 1
        if count > MOST_ENTRIES:
            raise LdifSyntaxError(line, f"expected at most {MOST_ENTRIES} entries, found more")
        yield record


def read_record(text: bytes, start: int, end: int) -> LdifRecord:
    """Read one record again, at the place where `read_records` found it."""
    record = _Reader().read(text[start:end], start, 1)
    assert record is not None, "a record stands where one stood"
    return record


class ValueReader:
    """Reads the values of a few attributes of records that `read_records` has read, and passes over the rest.

    Args:
        names: of attributes, in lower case, without options.

    """

    def __init__(self, names: frozenset[str]) -> None:
        self._wanted = frozenset(name.encode() for name in names)
        self._names: dict[bytes, str] = {}  # by description as written; empty where it is not wanted

    def read(self, text: bytes, start: int, end: int) -> dict[str, list[bytes]]:
        """Read the record at a place; values by attribute description in lower case."""
        if not self._wanted:
            return {}
        values: dict[str, list[bytes]] = {}
        names = self._names
        lines = iter(text[start:end].replace(b"\n ", b"").split(b"\n"))
        while next(lines)[:3].lower() != b"dn:":  # behind comments and the version
            pass
        for line in lines:
            description, _colon, rest = line.partition(b":")
            name = names.get(description)
            if name is None:
                name = names[description] = self._name_of(description)
            if name:
                values.setdefault(name, []).append(_read_value(rest, line))
        return values

    def _name_of(self, description: bytes) -> str:
        lower = description.lower()
        is_wanted = not lower.startswith(b"#") and lower.partition(b";")[0] in self._wanted
        return lower.decode() if is_wanted else ""


def _find_blocks(text: bytes) -> Iterator[tuple[int, int, int]]:
    """Find what stands between blank lines: start, end without the last line end, number of the first line."""
    start, line = 0, 1
    while True:
        while text.startswith(b"\n", start):
            start += 1
            line += 1
        if start == len(text):
            return
        end = text.find(b"\n\n", start)
        if end < 0:
            end = len(text) - 1
        yield start, end, line
        line += text.count(b"\n", start, end) + 1
        start = end + 1


class _Reader:
    """Reads record after record; remembers which attribute names are sound, and whether the first thing was read."""

    def __init__(self) -> None:
        self._names: dict[bytes, str] = {}
        self._begun = False
        self._at = 0

    def read(self, raw: bytes, start: int, line: int) -> LdifRecord | None:
        """Read one record; None where there are only comments, or the version line.

        Args:
            raw: without the line end of its last line.
            start: where it stands.
            line: the number of its first line.

        Raises:
            LdifSyntaxError: it is none.

        """
        if raw.startswith(b" "):
            raise LdifSyntaxError(line, "expected the start of an entry, found a continued line (a space)")
        if len(raw) > LONGEST_LINE:
            _hold_line_length(raw, line)
        self._at = 0
        lines = raw.replace(b"\n ", b"").split(b"\n")
        try:
            if not raw.isascii():
                self._hold_encoding(lines)
            self._at = 0
            self._pass_version(lines)
            if self._at == len(lines):
                return None
            self._begun = True
            dn = _read_dn(lines[self._at])
            values = self._read_values(lines)
        except _LineError as error:
            raise LdifSyntaxError(_line_of(raw, line, self._at), f"expected {error}") from error
        return LdifRecord(start=start, end=start + len(raw), line=line, dn=dn, values=values)

    def _hold_encoding(self, lines: list[bytes]) -> None:
        for self._at, line in enumerate(lines):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise _LineError(f"UTF-8, found `{_shown(line)}`") from error

    def _pass_version(self, lines: list[bytes]) -> None:
        """Go on to the name of the entry: behind comments, and the version line, which may stand first of all."""
        while self._at < len(lines):
            line = lines[self._at]
            if not line.startswith(b"#"):
                if self._begun or not line.lower().startswith(b"version:"):
                    return
                if line.partition(b":")[2].strip(b" ") != b"1":
                    raise _LineError(f"`version: 1`, found `{_shown(line)}`")
                self._begun = True
            self._at += 1

    def _read_values(self, lines: list[bytes]) -> dict[str, tuple[bytes, ...]]:
        values: dict[str, list[bytes]] = {}
        names = self._names
        for line in lines[self._at + 1 :]:
            self._at += 1
            if line.startswith(b"#"):
                continue
            description, colon, rest = line.partition(b":")
            name = names.get(description) if colon else None
            if name is None:
                name = names[description] = _read_description(description, colon, line)
            known = values.setdefault(name, [])
            known.append(_read_value(rest, line))
            if len(known) > MOST_VALUES:
                raise _LineError(f"at most {MOST_VALUES} values of `{name}`, found more")
        return {name: tuple(known) for name, known in values.items()}


def _hold_line_length(raw: bytes, first: int) -> None:
    for number, line in enumerate(raw.split(b"\n"), first):
        if len(line) > LONGEST_LINE:
            raise LdifSyntaxError(
                number, f"expected a line of at most {LONGEST_LINE} octets, found {len(line)}"
            )


def _line_of(raw: bytes, first: int, wanted: int) -> int:
    """Return the number of the line in which an unfolded line starts."""
    starts = [number for number, line in enumerate(raw.split(b"\n"), first) if not line.startswith(b" ")]
    return starts[wanted]


def _read_dn(line: bytes) -> bytes:
    description, colon, rest = line.partition(b":")
    if not colon or description.lower() != b"dn":
        raise _LineError(f"`dn:` at the start of an entry, found `{_shown(line)}`")
    return _read_value(rest, line)


def _read_description(description: bytes, colon: bytes, line: bytes) -> str:
    if not colon or len(description) > _LONGEST_NAME or not _DESCRIPTION.fullmatch(description):
        raise _LineError(f"an attribute name and a colon, found `{_shown(line)}`")
    name = description.lower()
    if name in _CHANGES:
        raise _LineError(f"entries as they are, found a change (`{_shown(line)}`)")
    if name == b"dn":
        raise _LineError(f"a blank line before the next entry, found `{_shown(line)}`")
    return name.decode("ascii")


def _read_value(rest: bytes, line: bytes) -> bytes:
    """Read what follows the first colon: value-spec of RFC 2849."""
    if rest.startswith(b" "):
        value = rest.lstrip(b" ")
        if value.startswith((b":", b"<")):
            raise _LineError(f"a value that starts with `:` or `<` in base64, found `{_shown(line)}`")
    elif rest.startswith(b":"):
        value = _read_base64(rest[1:].lstrip(b" "), line)
    elif rest.startswith(b"<"):
        raise _LineError(f"the value itself, found a reference to another place (`{_shown(line)}`)")
    else:
        value = rest
    if len(value) > LARGEST_VALUE:
        raise _LineError(f"a value of at most {LARGEST_VALUE} octets, found {len(value)} (`{_shown(line)}`)")
    return value


def _read_base64(text: bytes, line: bytes) -> bytes:
    try:
        return a2b_base64(text, strict_mode=True) if text else b""
    except Base64Error as error:
        raise _LineError(f"base64 after `::`, found `{_shown(line)}`") from error


def _shown(line: bytes) -> str:
    """Return a line as an error text quotes it: without the value where that may be a secret."""
    name, colon, _value = line.partition(b":")
    if colon and _SECRET.search(name):
        line = name + b": (not shown)"
    return shorten(line.decode("utf-8", "backslashreplace"))
