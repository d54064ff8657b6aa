"""The compact index of serial numbers: a million of them in 26 MB of one octet string.

Lives here: laying the rows out, and looking a serial number up. Not here: lists (`crl_reading.py`, `crl.py`), and
what an entry means.

A section holds the certificates of one issuer. Its serial numbers lie in 2^b buckets, told by their b lowest bits:
two or so in each where the bits are well mixed, as they are in random and in consecutive numbers.

* The directory says where each bucket begins, and where the last one ends (32 bits each).
* A row is three words of 64 bits: the lowest bits of the serial number (its key); when and why, and how many words
  the rest of the number has; and that rest, signed, if it has one word, else where its words stand.

INVARIANT: a hit is confirmed with the whole serial number. Somebody who chooses the numbers so that they fall into
one bucket makes a look-up a binary search over all of them, not more; numbers with the same key are searched by the
rest.

Measured over 1,000,000 random numbers of 127 bits, microseconds of computing for one look-up, half of them hits
(Python 3.11.7, one of two shared and busy cores): binary search over the sorted keys 1.9; interpolated first guess
1.0; buckets by the top 16 bits of the key times an odd constant 0.9; buckets by the lowest bits, with 64, 16, 4 and 1
numbers in each, 0.67, 0.65, 0.51, 0.44, all without confirmation. With it: a hit 1.6 while keys, offsets and records
were columns of their own, 1.1 to 1.35 as rows; a miss 0.6 to 0.76. A dictionary of the bare numbers needs 0.5 to 0.7.
"""

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from authsvc.trust.times import date_of

__all__ = [
    "LONGEST_SERIAL_NUMBER",
    "LOW_BITS",
    "NO_REASON",
    "REASONS",
    "REASON_BITS",
    "REMOVE_FROM_CRL",
    "WORDS_BITS",
    "Columns",
    "Finder",
    "RevokedEntry",
    "SectionPlace",
    "open_section",
    "write_section",
]

LOW_BITS: Final = (1 << 64) - 1
"""Mask of the part of a serial number that is its key."""

LONGEST_SERIAL_NUMBER: Final = 1_024
"""Octets of a serial number: RFC 5280 has 20, and asks users to handle longer ones."""

WORDS_BITS: Final = 8
"""Bits of a row's second word that hold how many words the rest of the serial number has."""

REASONS: Final = (
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "",
    "removeFromCRL",
    "privilegeWithdrawn",
    "aACompromise",
)
"""CRLReason by its number (RFC 5280 section 5.3.1): 7 is not used there, and stands here for "not said"."""

NO_REASON: Final = 7
CERTIFICATE_HOLD: Final = 6
REMOVE_FROM_CRL: Final = 8

REASON_BITS: Final = 4
_REASON_MASK: Final = (1 << REASON_BITS) - 1
_WORDS: Final = (1 << WORDS_BITS) - 1
_ROW_WORDS: Final = 3
_WORD: Final = 8
_ROW: Final = _ROW_WORDS * _WORD
_unpack_row: Final = struct.Struct("=QQq").unpack_from

_REASON_OF_HEAD: Final = _REASON_MASK << WORDS_BITS
_REMOVAL_OF_HEAD: Final = REMOVE_FROM_CRL << WORDS_BITS

_LARGEST_UNSORTED: Final = 8
"""Serial numbers of a bucket that are looked at one after another, and need not be sorted."""

_MOST_BUCKET_BITS: Final = 24
"""Buckets of the largest section: 64 MB of directory for more entries than a list of 256 MB can have."""


class RevokedEntry(int):
    """One revoked certificate: since when, and why.

    A number, as the record has it, because making anything else of it costs as much as finding it.
    """

    __slots__ = ()

    @classmethod
    def of(cls, seconds: int, reason_code: int) -> "RevokedEntry":
        """Return the entry for seconds since the beginning of the year 1, and a number of CRLReason."""
        return cls(seconds << REASON_BITS | reason_code)

    def __repr__(self) -> str:
        """Print when and why."""
        return f"RevokedEntry(since={self.since.isoformat()}, reason={self.reason!r})"

    @property
    def since(self) -> datetime:
        """When it was revoked, as the list has it."""
        return date_of(self >> REASON_BITS)

    @property
    def reason(self) -> str:
        """RFC 5280's name of the reason, empty if not said."""
        return REASONS[self & _REASON_MASK]

    @property
    def is_hold(self) -> bool:
        """Whether a later list may lift it."""
        return self & _REASON_MASK == CERTIFICATE_HOLD

    @property
    def is_removal(self) -> bool:
        """Whether it says that the certificate is no longer on hold; only delta lists have such entries."""
        return self & _REASON_MASK == REMOVE_FROM_CRL


Finder = Callable[[int], RevokedEntry | None]
"""The look-up of a serial number, whatever integer it is, in one section."""


class SectionPlace(NamedTuple):
    """How many numbers a section has, bits of a bucket, and where directory and rows begin in the index (octets)."""

    entries: int
    bits: int
    directory: int
    rows: int


@dataclass(slots=True)
class Columns:
    """What was read of one issuer's certificates, in the order of the list: the three words of each row."""

    keys: "array[int]"
    heads: "array[int]"
    rests: "array[int]"

    @classmethod
    def empty(cls) -> "Columns":
        """Return columns without an entry."""
        return cls(array("Q"), array("Q"), array("Q"))

    def clear(self) -> None:
        """Forget everything."""
        self.keys, self.heads, self.rests = array("Q"), array("Q"), array("Q")

    def add(self, serial: int, entry: RevokedEntry, output: BytesIO) -> None:
        """Add any serial number of at most `LONGEST_SERIAL_NUMBER` octets; a long one is written to the output."""
        rest = serial >> 64
        words = rest.bit_length() // 64 + 1
        self.keys.append(serial & LOW_BITS)
        self.heads.append(entry << WORDS_BITS | words)
        if words == 1:
            self.rests.append(rest & LOW_BITS)
        else:
            self.rests.append(output.tell())
            output.write(rest.to_bytes(_WORD * words, "big", signed=True))


def write_section(output: BytesIO, columns: Columns) -> SectionPlace:
    """Write one section behind what is there, and forget the columns.

    1. Count how many numbers fall into each bucket.
    2. Put each row into the next free place of its bucket.
    3. Sort the large buckets: by key, then by the rest of the number; of entries for one number, removals come last.
    """
    count = len(columns.keys)
    bits = max(0, min(count.bit_length() - 1, _MOST_BUCKET_BITS))
    mask = (1 << bits) - 1
    # 1
    sizes = array("I", bytes(4 * (mask + 2)))
    for key in columns.keys:
        sizes[(key & mask) + 1] += 1
    directory = array("I", accumulate(sizes))
    # 2
    free, sizes = sizes, array("I")
    free[:] = directory
    rows = array("Q", bytes(_ROW * count))
    for key, head, rest in zip(columns.keys, columns.heads, columns.rests, strict=True):
        bucket = key & mask
        number = free[bucket]
        free[bucket] = number + 1
        place = _ROW_WORDS * number
        rows[place] = key
        rows[place + 1] = head
        rows[place + 2] = rest
    columns.clear()  # the memory is needed below
    # 3
    with output.getbuffer() as whole:
        for begin, end in pairwise(directory):
            if end - begin > _LARGEST_UNSORTED:
                _sort_bucket(rows, begin, end, whole)
    return SectionPlace(count, bits, _append(output, directory), _append(output, rows))


def _append(output: BytesIO, column: "array[int]") -> int:
    output.write(bytes(-output.tell() % _WORD))
    place = output.tell()
    output.write(memoryview(column))
    return place


def _sort_bucket(rows: "array[int]", begin: int, end: int, index: memoryview) -> None:
    words = rows[_ROW_WORDS * begin : _ROW_WORDS * end]
    listed = list(zip(words[0::3], words[1::3], words[2::3], strict=True))
    listed.sort(
        key=lambda row: (
            row[0],
            _rest_of(row[1], row[2], index),
            RevokedEntry(row[1] >> WORDS_BITS).is_removal,
        )
    )
    for number, row in enumerate(listed, start=begin):
        for word, value in enumerate(row):
            rows[_ROW_WORDS * number + word] = value


def _rest_of(head: int, rest: int, index: memoryview) -> int:
    """Return the serial number without its 64 lowest bits; `rest` is a row's third word, unsigned or signed."""
    words = head & _WORDS
    if words == 1:
        return rest - (rest >> 63 << 64) if rest >= 0 else rest
    return int.from_bytes(index[rest : rest + _WORD * words], "big", signed=True)


def open_section(  # noqa: C901 - two functions in one, see below
    index: memoryview, place: SectionPlace
) -> Finder:
    """Return the look-up in one section of an index.

    It is a function and not an object with a method because a look-up is so short that attributes count.

    Args:
        index: all of it.
        place: of the section.

    """
    mask = (1 << place.bits) - 1
    directory = index[place.directory : place.directory + 4 * (mask + 2)].cast("I")
    rows = index[place.rows : place.rows + _ROW * place.entries]
    words = rows.cast("Q")

    def find(serial: int) -> RevokedEntry | None:
        bucket = serial & mask
        begin, end = directory[bucket], directory[bucket + 1]
        if end - begin > _LARGEST_UNSORTED:
            return find_sorted(serial, begin, end)
        key = serial & LOW_BITS
        removal = None
        for position in range(_ROW_WORDS * begin, _ROW_WORDS * end, _ROW_WORDS):
            if words[position] == key:
                _, head, rest = _unpack_row(rows, _WORD * position)
                if head & _WORDS != 1:
                    rest = _rest_of(head, rest, index)
                if rest == serial >> 64:
                    entry = RevokedEntry(head >> WORDS_BITS)
                    if head & _REASON_OF_HEAD != _REMOVAL_OF_HEAD:
                        return entry
                    removal = entry
        return removal

    def rest_at(number: int) -> int:
        _, head, rest = _unpack_row(rows, _ROW * number)
        return _rest_of(head, rest, index)

    def find_sorted(serial: int, begin: int, end: int) -> RevokedEntry | None:
        numbers = range(end)
        key, rest = serial & LOW_BITS, serial >> 64
        begin = bisect_left(numbers, key, begin, end, key=lambda number: words[_ROW_WORDS * number])
        end = bisect_right(numbers, key, begin, end, key=lambda number: words[_ROW_WORDS * number])
        number = bisect_left(numbers, rest, begin, end, key=rest_at)
        if number == end or rest_at(number) != rest:
            return None
        return RevokedEntry(words[_ROW_WORDS * number + 1] >> WORDS_BITS)

    return find
