"""Reading a revocation list (RFC 5280 section 5.1) by our own strict walk, into its compact index.

Lives here: `index_crl`, and reading the head of an index again. Not here: the columns (`serial_index.py`), the list
as a value and its signature (`crl.py`), what it means for a certificate (`revocation.py`).

Invariants:

* A list that is not wholly understood does not exist: one entry that cannot be read, one unknown critical extension,
  and it is refused (threat T36). There is no other reader of lists that could see something else in the same octets
  (threat T17).
* The index is a function of the list alone: the same octets give the same index, on machines of one byte order.
* The signature is not checked here; the index carries what that needs: the signature, its algorithm, and the digest
  of the signed part as it stands (for EdDSA, which hashes itself, the signed part).

The walk is Python, at 1.5 µs for an ordinary entry; what is unusual about one (a long form of length, an extension
not met before, GeneralizedTime) is read by the slow path, which is the definition of what the quick one may accept.
The whole list is never copied: it is read through a window. `benchmarks/revocation.py` has the figures.
"""

import hashlib
import struct
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from mmap import MADV_DONTNEED, mmap
from typing import Final

from authsvc.trust.anchors import TrustMaterialError, read_pem_blocks
from authsvc.trust.crl_extensions import (
    EntryExtensions,
    ListExtensions,
    read_entry_extensions,
    read_list_extensions,
)
from authsvc.trust.general_names import read_name_key
from authsvc.trust.serial_index import (
    LONGEST_SERIAL_NUMBER,
    LOW_BITS,
    REASON_BITS,
    REMOVE_FROM_CRL,
    WORDS_BITS,
    Columns,
    RevokedEntry,
    SectionPlace,
    write_section,
)
from authsvc.trust.signatures import SignatureAlgorithm, read_signature_algorithm
from authsvc.trust.times import date_of, read_time
from directory_assistance.der import (
    BIT_STRING,
    INTEGER,
    SEQUENCE,
    DerSyntaxError,
    Element,
    Fields,
    read_element,
    read_integer,
    read_octets_of_bits,
)
from directory_assistance.dn import NameKey

__all__ = ["LARGEST_CRL", "IndexHead", "index_crl", "read_head"]

LARGEST_CRL: Final = 256 * 1024 * 1024
"""Octets of a list, checked before parsing: a million entries have about 50 MB (threat T33)."""

_LARGEST_FIELD: Final = 1024 * 1024
"""Octets of anything in a list but its entries as a whole: names, extensions, signature, one entry."""

_MOST_ISSUERS: Final = 1_000
"""Issuers whose certificates one indirect list has: each costs a section, and a name to read at every load."""

_CRL_LABELS: Final = frozenset({b"X509 CRL"})

_VERSION_2: Final = 1
_EXTENSIONS: Final = 0xA0
_TIMES: Final = frozenset({0x17, 0x18})
_HIGH_TAG_NUMBER: Final = 0x1F
_LONGEST_LENGTH: Final = 4
"""Octets of a long-form length, as in `directory_assistance.der`."""

_WINDOW: Final = 256 * 1024
"""Octets of the list that are copied at a time."""

_LONGEST_QUICK_ENTRY: Final = 2 + 0x7F
"""Octets of an entry whose length has the short form."""

_MOST_REMEMBERED: Final = 4_096
"""Different extensions of entries that are remembered: most lists have a dozen, some a date in each."""

_UTC_TIME_HEADER: Final = b"\x17\x0d"
_UTC_TIME_SIZE: Final = 15
_LONG_FORM: Final = 0x80
_SIGN: Final = 0x80
_PADDING: Final = frozenset({0x00, 0xFF})
_WORD: Final = 8
_NEGATIVE: Final = b"\xff" * _WORD
_ZERO: Final = bytes(_WORD)
_unpack_word: Final = struct.Struct(">Q").unpack_from
_unpack_words: Final = struct.Struct(">QQ").unpack_from

_MAGIC: Final = b"authsvcR"
_FORMAT: Final = 1
_PREFIX: Final = struct.Struct("=8sHxxxxxxQQ32s")
"""Magic, format, where the head begins, octets of head and body together, SHA-256 of the head. Native byte order: an
index of another machine has another format number, and is refused."""

_DATES: Final = struct.Struct("=QQ")
_PLACE: Final = struct.Struct("=QQQQ")
_LENGTH: Final = struct.Struct("=I")
_TEXTS: Final = 5
"""Issuer, algorithm, signature, digest, extensions."""

_SHA256_SIZE: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexHead:
    """What an index says apart from the serial numbers.

    `fingerprint`: SHA-256 that stands for all of the index. `body`: begin and end of what is between prefix and head,
    and `body_sha256` its digest, which nobody compares at loading. `digest`: of the signed part, as
    `SignatureAlgorithm.digest` has it. `sections`: by the name of the certificates' issuer.
    """

    fingerprint: bytes
    body_sha256: bytes
    this_update: datetime
    next_update: datetime
    issuer_der: bytes
    algorithm: SignatureAlgorithm
    signature: bytes
    digest: bytes
    extensions: ListExtensions
    sections: tuple[tuple[NameKey, SectionPlace], ...]
    body: slice


def index_crl(octets: "bytes | mmap") -> bytes:
    """Read a list, PEM or DER, strictly and whole, and return its compact index.

    1. Decode PEM.
    2. Read the frame: signed part, algorithm, signature.
    3. Read the fields before the entries, and the extensions after them.
    4. Read every entry.
    5. Write records, sections and head.

    Args:
        octets: the file, or the file mapped into memory; that is for a child process, because a file that is cut
        while
            it is mapped ends the process.

    Returns:
        The index: one octet string that describes itself, to be written to a file, and shared.

    Raises:
        TrustMaterialError: too large, unreadable, an algorithm of signature that is not known, without next update,
            an entry for another issuer in a list that is not indirect, removeFromCRL outside of a delta list; changed
            while it was read.

    """
    if len(octets) > LARGEST_CRL:
        raise TrustMaterialError(f"expected a list of at most {LARGEST_CRL} octets, found {len(octets)}")
    try:
        # 1
        if octets[:1] != b"\x30":
            blocks = read_pem_blocks(octets[:], labels=_CRL_LABELS, source="revocation list")
            if len(blocks) != 1:
                raise TrustMaterialError(f"expected one revocation list, found {len(blocks)}")
            return _ListReader(blocks[0]).index()
        return _ListReader(octets).index()
    except DerSyntaxError as error:
        raise TrustMaterialError(f"revocation list cannot be read: {error}") from error


def _give_back(octets: "bytes | mmap") -> None:
    """Give the memory of a mapped file back: the system reads its pages again if need be.

    Not where it was mapped for writing: then memory may hold what no file has.
    """
    with memoryview(octets) as view:
        readonly = view.readonly
    if readonly and isinstance(octets, mmap):
        octets.madvise(MADV_DONTNEED)


def _cut(octets: "bytes | mmap", position: int, end: int) -> tuple[int, int, int]:
    """Return tag, begin and end of the content of the element at a position; the same rules as `read_elements`."""
    header = octets[position : min(end, position + 2 + _LONGEST_LENGTH)]
    if len(header) < 2:
        raise DerSyntaxError(f"expected an element at octet {position}, found the end")
    tag, length = header[0], header[1]
    if tag & _HIGH_TAG_NUMBER == _HIGH_TAG_NUMBER:
        raise DerSyntaxError(f"tag number above 30 at octet {position}")
    begin = position + 2
    if length >= 0x80:
        count = length & 0x7F
        if not 0 < count <= _LONGEST_LENGTH or len(header) < 2 + count:
            raise DerSyntaxError(f"length indefinite, too long or cut off at octet {position + 1}")
        length = int.from_bytes(header[2 : 2 + count], "big")
        if length < 0x80 or header[2] == 0:
            raise DerSyntaxError(f"length not minimal at octet {position + 1}")
        begin += count
    if begin + length > end:
        raise DerSyntaxError(f"element at octet {position} wants {length} octets, {end - begin} are left")
    return tag, begin, begin + length


class _ListReader:
    """One reading of one list.

    Args:
        octets: the DER.

    """

    def __init__(self, octets: "bytes | mmap") -> None:
        self._octets = octets
        self._position = 0
        self._end = len(octets)

    def index(self) -> bytes:
        # 2
        tag, begin, end = _cut(self._octets, 0, self._end)
        if tag != SEQUENCE or end != self._end:
            raise DerSyntaxError("expected one SEQUENCE and nothing after it")
        signed_begin = self._position = begin
        signed_content = self._enter(SEQUENCE)
        signed_end = self._end
        self._position, self._end = signed_end, end
        algorithm = self._take(SEQUENCE)
        signature = read_octets_of_bits(self._take(BIT_STRING).content)
        self._finish()
        # 3
        self._position, self._end = signed_content, signed_end
        version = self._take_optional(INTEGER)
        if version is not None and read_integer(version.content) != _VERSION_2:
            raise DerSyntaxError("expected version 2 or no version")
        if self._take(SEQUENCE) != algorithm:
            raise TrustMaterialError("signature algorithm inside and outside of the signed part differ")
        known = read_signature_algorithm(algorithm.encoded)
        if known is None:
            raise TrustMaterialError("the algorithm of the list's signature is not known")
        issuer = self._take(SEQUENCE)
        if not issuer.content:
            raise TrustMaterialError("the list's issuer is empty")
        this_update, next_update = self._take_dates()
        entries_begin = entries_end = self._position
        if self._next_tag() == SEQUENCE:
            end = self._end
            entries_begin = self._enter(SEQUENCE)
            entries_end = self._position = self._end
            self._end = end
        extensions = self._take_extensions()
        self._finish()
        said = _read_said(extensions, issuer.encoded)
        # 4
        if extensions and version is None:
            raise DerSyntaxError("extensions in a list of version 1")
        digest = self._digest(known, signed_begin, signed_end)
        entries = _EntryReader(self._octets, issuer, said, has_extensions=version is not None)
        entries.read(entries_begin, entries_end)
        if isinstance(self._octets, mmap) and self._digest(known, signed_begin, signed_end) != digest:
            # Else the signature would prove what was there before, and the index hold what came after (threat T42).
            raise TrustMaterialError("the file was changed while it was read")
        # 5
        return entries.write(
            _DATES.pack(this_update, next_update),
            (issuer.encoded, algorithm.encoded, signature, digest, extensions),
        )

    def _digest(self, algorithm: SignatureAlgorithm, begin: int, end: int) -> bytes:
        with memoryview(self._octets) as view, view[begin:end] as signed:
            digest = algorithm.digest(signed)
        _give_back(self._octets)
        return digest

    def _enter(self, tag: int) -> int:
        """Go into an element: what is read next is its content. Return where that begins."""
        found, begin, end = _cut(self._octets, self._position, self._end)
        if found != tag:
            raise DerSyntaxError(f"expected tag 0x{tag:02x}, found tag 0x{found:02x}")
        self._position, self._end = begin, end
        return begin

    def _next_tag(self) -> int:
        """Return the tag of the next element, -1 at the end."""
        return self._octets[self._position] if self._position < self._end else -1

    def _take_optional(self, *tags: int) -> Element | None:
        if self._next_tag() not in tags:
            return None
        begin = self._position
        tag, content, end = _cut(self._octets, begin, self._end)
        if end - begin > _LARGEST_FIELD:
            raise DerSyntaxError(f"expected a field of at most {_LARGEST_FIELD} octets, found {end - begin}")
        self._position = end
        return Element(tag, self._octets[content:end], self._octets[begin:end])

    def _take(self, *tags: int) -> Element:
        element = self._take_optional(*tags)
        if element is None:
            wanted = " or ".join(f"0x{tag:02x}" for tag in sorted(tags))
            found = self._next_tag()
            raise DerSyntaxError(
                f"expected tag {wanted}, found {f'tag 0x{found:02x}' if found >= 0 else 'the end'}"
            )
        return element

    def _finish(self) -> None:
        if self._position != self._end:
            raise DerSyntaxError(f"expected the end, found tag 0x{self._next_tag():02x}")

    def _take_dates(self) -> tuple[int, int]:
        this_update = read_time(self._take(*_TIMES))
        next_field = self._take_optional(*_TIMES)
        if next_field is None:
            raise TrustMaterialError("the list has no next update, so that nobody can tell when it is stale")
        next_update = read_time(next_field)
        if next_update <= this_update:
            raise TrustMaterialError("the list's next update is not after its this update")
        return this_update, next_update

    def _take_extensions(self) -> bytes:
        """Return the list's Extensions, empty where there are none."""
        field = self._take_optional(_EXTENSIONS)
        return b"" if field is None else read_element(field.content, SEQUENCE).encoded


def _seconds_of_minutes() -> dict[bytes, int]:
    return {
        b"%02d%02d" % (hour, minute): 60 * (60 * hour + minute) for hour in range(24) for minute in range(60)
    }


class _EntryReader:
    """Reads the entries of one list, and writes the index.

    Args:
        octets: the list.
        issuer: of the list, whose certificates the first entries are about.
        said: the list's extensions.
        has_extensions: whether entries may have extensions (version 2).

    """

    def __init__(
        self, octets: "bytes | mmap", issuer: Element, said: ListExtensions, *, has_extensions: bool
    ) -> None:
        self._octets = octets
        self._said = said
        self._has_extensions = has_extensions
        self._columns = Columns.empty()
        self._by_issuer = {read_name_key(issuer.encoded): (issuer.encoded, self._columns)}
        self._output = BytesIO()
        self._output.write(bytes(_PREFIX.size))
        self._days: dict[bytes, int] = {}
        self._minutes = _seconds_of_minutes()
        self._seconds = {b"%02dZ" % second: second for second in range(60)}
        self._reasons: dict[bytes, int] = {}

    def read(self, begin: int, end: int) -> None:
        """Read the entries between two places."""
        position = window_begin = window_end = begin
        window = b""
        while position < end:
            if window_end < end and window_end - position < _LONGEST_QUICK_ENTRY:
                window_begin, window_end = position, min(end, position + _WINDOW)
                window = self._octets[window_begin:window_end]
                _give_back(self._octets)
            position = window_begin + self._read_quickly(window, position - window_begin)
            more = window_end < end and window_end - position < _LONGEST_QUICK_ENTRY
            if position < end and not more:
                position = self._read_slowly(position, end)

    def _read_quickly(self, window: bytes, position: int) -> int:
        """Read ordinary entries from a place in a window on; return where it stopped.

        It stops at what `_read_slowly` has to look at, and at the last entries of the window.
        """
        last = len(window) - _LONGEST_QUICK_ENTRY
        if position > last:
            return position
        output, columns = self._output, self._columns
        add_key, add_head, add_rest = columns.keys.append, columns.heads.append, columns.rests.append
        offset = output.tell()
        pieces: list[bytes] = []
        days, minutes, seconds, reasons = self._days, self._minutes, self._seconds, self._reasons
        try:
            while position <= last and window[position] == SEQUENCE and window[position + 2] == INTEGER:
                short, length, first = window[position + 1], window[position + 3], window[position + 4]
                begin, end = position + 4, position + 2 + short
                date = begin + length
                if not length or short >= _LONG_FORM or date + _UTC_TIME_SIZE > end:
                    break
                if length > 1 and first in _PADDING and (first ^ window[begin + 1]) < 0x80:
                    break  # not minimal
                when = (
                    days[window[date : date + 8]]
                    + minutes[window[date + 8 : date + 12]]
                    + seconds[window[date + 12 : date + 15]]
                )
                head = (when << REASON_BITS | reasons[window[date + 15 : end]]) << WORDS_BITS
                if length == 2 * _WORD:
                    rest, key = _unpack_words(window, begin)
                    head |= 1
                elif length < 2 * _WORD:
                    serial = int.from_bytes(window[begin:date], "big", signed=True)
                    rest, key = serial >> 64 & LOW_BITS, serial & LOW_BITS
                    head |= 1
                else:
                    padding = -length % _WORD
                    piece = (_NEGATIVE if first >= _SIGN else _ZERO)[:padding] + window[begin : date - _WORD]
                    (key,) = _unpack_word(window, date - _WORD)
                    rest = offset
                    head |= len(piece) // _WORD
                    offset += len(piece)
                    pieces.append(piece)
                add_key(key)
                add_head(head)
                add_rest(rest)
                position = end
        except KeyError:
            pass  # a day or extensions not met before, or what is none: the slow path tells
        output.write(b"".join(pieces))
        return position

    def _read_slowly(self, position: int, end: int) -> int:
        """Read one entry, whatever is unusual about it; return where the next one begins."""
        tag, begin, entry_end = _cut(self._octets, position, end)
        if tag != SEQUENCE or entry_end - begin > _LARGEST_FIELD:
            raise DerSyntaxError(f"expected an entry at octet {position}")
        fields = Fields(self._octets[begin:entry_end])
        number = fields.take(INTEGER).content
        serial = read_integer(number)
        if len(number) > LONGEST_SERIAL_NUMBER:
            raise DerSyntaxError(
                f"expected serial numbers of at most {LONGEST_SERIAL_NUMBER} octets, found {len(number)}"
            )
        try:
            time = fields.take_any()
            seconds = read_time(time)
            extensions = fields.take_optional(SEQUENCE)
            fields.finish()
            found = EntryExtensions() if extensions is None else self._read_extensions(extensions.content)
        except (DerSyntaxError, TrustMaterialError) as error:
            raise TrustMaterialError(f"entry {serial:x}: {error}") from error
        if found.issuer is not None:
            self._go_to_issuer(NameKey(found.issuer.key), found.issuer.content)
        self._columns.add(serial, RevokedEntry.of(seconds, found.reason_code), self._output)
        # what the quick path may take from now on
        if time.encoded.startswith(_UTC_TIME_HEADER):
            self._days[time.encoded[:8]] = seconds - seconds % 86_400
        encoded = b"" if extensions is None else extensions.encoded
        short = len(encoded) < _LONGEST_QUICK_ENTRY and len(self._reasons) < _MOST_REMEMBERED
        if found.issuer is None and short:
            self._reasons[encoded] = found.reason_code
        return entry_end

    def _read_extensions(self, content: bytes) -> EntryExtensions:
        if not self._has_extensions:
            raise DerSyntaxError("extensions in a list of version 1")
        found = read_entry_extensions(content)
        if found.reason_code == REMOVE_FROM_CRL and self._said.base_number is None:
            raise DerSyntaxError("says removeFromCRL, which only delta lists may")
        if found.issuer is not None and not self._said.scope.indirect:
            raise DerSyntaxError("speaks for another issuer, and the list is not indirect")
        return found

    def _go_to_issuer(self, key: NameKey, der: bytes) -> None:
        """From here on, entries are about certificates of this issuer (RFC 5280 section 5.3.3)."""
        if key not in self._by_issuer:
            if len(self._by_issuer) >= _MOST_ISSUERS:
                raise TrustMaterialError(
                    f"expected a list about certificates of at most {_MOST_ISSUERS} issuers"
                )
            self._by_issuer[key] = (der, Columns.empty())
        self._columns = self._by_issuer[key][1]

    def write(self, numbers: bytes, texts: tuple[bytes, ...]) -> bytes:
        """Write sections, head and prefix behind the records, and return all of it."""
        output = self._output
        sections = [
            (der, write_section(output, columns)) for der, columns in self._by_issuer.values() if columns.keys
        ]
        head_begin = output.tell()
        with output.getbuffer() as written, written[_PREFIX.size :] as body:
            body_sha256 = hashlib.sha256(body).digest()
        head = [numbers, *map(_with_length, texts), body_sha256]
        head += [_with_length(der) + _PLACE.pack(*place) for der, place in sections]
        text = b"".join(head)
        output.write(text)
        total = output.tell()
        output.seek(0)
        output.write(_PREFIX.pack(_MAGIC, _FORMAT, head_begin, total, hashlib.sha256(text).digest()))
        return output.getvalue()  # no copy: the buffer is handed over


def _read_said(extensions: bytes, issuer_der: bytes) -> ListExtensions:
    if not extensions:
        return ListExtensions()
    return read_list_extensions(read_element(extensions, SEQUENCE).content, issuer_der)


def _with_length(octets: bytes) -> bytes:
    return _LENGTH.pack(len(octets)) + octets


def read_head(index: memoryview) -> IndexHead:
    """Read the head of an index; what a section needs is read at every look-up.

    Raises:
        TrustMaterialError: it is no index of this version and machine, is cut off, or its head was changed.

    """
    if len(index) < _PREFIX.size:
        raise TrustMaterialError("index of a revocation list is cut off")
    magic, version, head_begin, total, head_sha256 = _PREFIX.unpack_from(index)
    if (magic, version) != (_MAGIC, _FORMAT):
        raise TrustMaterialError("no index of a revocation list, or one of another version or machine")
    head = bytes(index[head_begin:])
    if total != len(index) or hashlib.sha256(head).digest() != head_sha256:
        raise TrustMaterialError("index of a revocation list is cut off or spoiled")
    this_update, next_update = _DATES.unpack_from(head)
    position = _DATES.size
    texts = []
    for _ in range(_TEXTS):
        text, position = _take_with_length(head, position)
        texts.append(text)
    issuer_der, algorithm_der, signature, digest, extensions = texts
    body_sha256, position = head[position : position + _SHA256_SIZE], position + _SHA256_SIZE
    sections = []
    while position < len(head):
        der, position = _take_with_length(head, position)
        sections.append((read_name_key(der), SectionPlace(*_PLACE.unpack_from(head, position))))
        position += _PLACE.size
    algorithm = read_signature_algorithm(algorithm_der)
    assert algorithm is not None  # `index_crl` refuses others
    return IndexHead(
        fingerprint=head_sha256,
        body_sha256=body_sha256,
        this_update=date_of(this_update),
        next_update=date_of(next_update),
        issuer_der=issuer_der,
        algorithm=algorithm,
        signature=signature,
        digest=digest,
        extensions=_read_said(extensions, issuer_der),
        sections=tuple(sections),
        body=slice(_PREFIX.size, head_begin),
    )


def _take_with_length(octets: bytes, position: int) -> tuple[bytes, int]:
    (length,) = _LENGTH.unpack_from(octets, position)
    begin = position + _LENGTH.size
    return octets[begin : begin + length], begin + length
