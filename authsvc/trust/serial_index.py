"""The compact index of serial numbers: a million of them in 26 MB of one octet string, found in half a microsecond.

Lives here: laying the columns out, and looking a serial number up. Not here: lists (`crl_reading.py`, `crl.py`), and
what an entry means.

A section holds the certificates of one issuer. Its serial numbers lie in 2^b buckets, told by their b lowest bits:
two or so in each where the bits are well mixed, as they are in random and in consecutive numbers. Columns:

* directory: where each bucket begins, and where the last one ends (32 bits each);
* keys: the 64 lowest bits of each serial number, sorted within a bucket where it is large;
* offsets: where each one's record begins (32 bits).

A record is what only a hit reads: eight octets that hold when and why and how many words follow, and the serial
number without its 64 lowest bits, in words of 64 bits (one at least, the first one signed).

INVARIANT: a hit is confirmed with the whole serial number. Somebody who chooses the numbers so that they fall into
one bucket makes a look-up a binary search over all of them, not more; numbers with the same 64 bits are searched by
the rest.

Measured over 1,000,000 random numbers of 127 bits, half of them hits, microseconds for one look-up (Python 3.11.7,
one of two shared cores): binary search over the sorted keys 1.9; interpolated first guess 1.0; buckets by the top 16
bits of the key times an odd constant 0.9; buckets by the lowest bits, with 64, 16, 4 and 1 numbers in each, 0.67,
0.65, 0.51, 0.44. Two in each costs half of the directory that one would. Sorting small buckets would cost a fifth of
the time of indexing, and gains nothing.
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
    "RECORD_HEAD",
    "REMOVE_FROM_CRL",
    "Columns",
    "Finder",
    "RevokedEntry",
    "SectionPlace",
    "open_section",
    "write_record",
    "write_section",
]

LOW_BITS: Final = (1 << 64) - 1
"""Mask of the part of a serial number that is its key."""

LONGEST_SERIAL_NUMBER: Final = 1_024
"""Octets of a serial number: RFC 5280 has 20, and asks users to handle longer ones."""

RECORD_HEAD: Final = 8
"""Octets of a record before the words: seconds since the year 1, the reason (4 bits), how many words (8 bits)."""

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
_WORDS: Final = 0xFF
_REASON_OF_HEAD: Final = _REASON_MASK << 8
_REMOVAL_OF_HEAD: Final = REMOVE_FROM_CRL << 8
_unpack_record: Final = struct.Struct(">Qq").unpack_from
_PER_BUCKET_BITS: Final = 1
"""Two serial numbers in a bucket, on average."""

_LARGEST_UNSORTED: Final = 8
"""Serial numbers of a bucket that are looked at one after another, and need not be sorted."""

_MOST_BUCKET_BITS: Final = 24
"""Buckets of the largest section: 64 MB of directory for more entries than a list of 256 MB can have."""

_ALIGNMENT: Final = 8


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


@dataclass(slots=True)
class Columns:
    """What was read of one issuer's certificates, in the order of the list: keys, and where the records begin."""

    keys: "array[int]"
    offsets: "array[int]"

    @classmethod
    def empty(cls) -> "Columns":
        """Return columns without an entry."""
        return cls(array("Q"), array("I"))


class SectionPlace(NamedTuple):
    """Where the columns of a section begin in the index (octets), how many numbers it has, and bits of a bucket."""

    entries: int
    bits: int
    directory: int
    keys: int
    offsets: int


def write_record(serial: int, entry: RevokedEntry) -> bytes:
    """Return the record of any serial number of at most `LONGEST_SERIAL_NUMBER` octets."""
    rest = serial >> 64
    words = rest.bit_length() // 64 + 1
    return (entry << 8 | words).to_bytes(RECORD_HEAD, "big") + rest.to_bytes(8 * words, "big", signed=True)


def write_section(output: BytesIO, columns: Columns) -> SectionPlace:
    """Write the columns of one section behind what is there; the records have been written before.

    1. Count how many numbers fall into each bucket.
    2. Put each into the next free place of its bucket.
    3. Sort the large buckets: by key, then by the rest of the number; of entries for one number, removals come last.
    """
    count = len(columns.keys)
    bits = max(0, min(count.bit_length() - 1 - _PER_BUCKET_BITS, _MOST_BUCKET_BITS))
    mask = (1 << bits) - 1
    # 1
    sizes = array("I", bytes(4 * (mask + 2)))
    for key in columns.keys:
        sizes[(key & mask) + 1] += 1
    directory = array("I", accumulate(sizes))
    # 2
    free, sizes = sizes, array("I")
    free[:] = directory
    keys, offsets = array("Q", bytes(8 * count)), array("I", bytes(4 * count))
    for key, offset in zip(columns.keys, columns.offsets, strict=True):
        bucket = key & mask
        place = free[bucket]
        free[bucket] = place + 1
        keys[place] = key
        offsets[place] = offset
    columns.keys, columns.offsets = array("Q"), array("I")  # the memory is needed below
    # 3
    with output.getbuffer() as records:
        for begin, end in pairwise(directory):
            if end - begin > _LARGEST_UNSORTED:
                _sort_bucket(keys, offsets, begin, end, records)
    return SectionPlace(
        count,
        bits,
        _append(output, memoryview(directory)),
        _append(output, memoryview(keys)),
        _append(output, memoryview(offsets)),
    )


def _sort_bucket(
    keys: "array[int]", offsets: "array[int]", begin: int, end: int, records: memoryview
) -> None:
    pairs = sorted(zip(keys[begin:end], offsets[begin:end], strict=True))
    if any(one[0] == other[0] for one, other in pairwise(pairs)):
        pairs.sort(key=lambda pair: (pair[0], *_order_in_tie(records, pair[1])))
    for place, (key, offset) in enumerate(pairs, start=begin):
        keys[place] = key
        offsets[place] = offset


def _order_in_tie(records: memoryview, offset: int) -> tuple[int, bool, int]:
    rest, entry = _read_record(records, offset)
    return (rest, entry.is_removal, entry)


def _append(output: BytesIO, column: memoryview) -> int:
    output.write(bytes(-output.tell() % _ALIGNMENT))
    place = output.tell()
    output.write(column)
    return place


def _read_record(records: memoryview, offset: int) -> tuple[int, RevokedEntry]:
    """Return the serial number without its 64 lowest bits, and when and why."""
    head, rest = _unpack_record(records, offset)
    words = head & _WORDS
    if words != 1:
        begin = offset + RECORD_HEAD
        rest = int.from_bytes(records[begin : begin + 8 * words], "big", signed=True)
    return rest, RevokedEntry(head >> 8)


def open_section(  # noqa: C901 - two functions in one, see below
    index: memoryview, place: SectionPlace
) -> Finder:
    """Return the look-up in one section of an index.

    It is a function and not an object with a method because that is a quarter of its time.

    Args:
        index: all of it.
        place: of the section.

    """
    buckets = (1 << place.bits) + 1
    mask = (1 << place.bits) - 1
    directory = index[place.directory : place.directory + 4 * buckets].cast("I")
    keys = index[place.keys : place.keys + 8 * place.entries].cast("Q")
    offsets = index[place.offsets : place.offsets + 4 * place.entries].cast("I")

    def find(serial: int) -> RevokedEntry | None:
        bucket = serial & mask
        begin, end = directory[bucket], directory[bucket + 1]
        if begin == end:
            return None
        if end - begin > _LARGEST_UNSORTED:
            return find_sorted(serial, begin, end)
        key = serial & LOW_BITS
        removal = None
        for number in range(begin, end):
            if keys[number] == key:
                head, rest = _unpack_record(index, offsets[number])
                if head & _WORDS != 1:
                    rest, _ = _read_record(index, offsets[number])
                if rest == serial >> 64:
                    entry = RevokedEntry(head >> 8)
                    if head & _REASON_OF_HEAD != _REMOVAL_OF_HEAD:
                        return entry
                    removal = entry
        return removal

    def find_sorted(serial: int, begin: int, end: int) -> RevokedEntry | None:
        key, rest = serial & LOW_BITS, serial >> 64
        begin = bisect_left(keys, key, begin, end)
        end = bisect_right(keys, key, begin, end)
        number = bisect_left(offsets, rest, begin, end, key=lambda offset: _read_record(index, offset)[0])
        if number == end:
            return None
        found, entry = _read_record(index, offsets[number])
        return entry if found == rest else None

    return find
