"""Entries of revocation lists: read strictly, all of them or none; found by the whole serial number."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from authsvc.trust.anchors import TrustMaterialError
from authsvc.trust.crl import RevocationList, read_crl
from authsvc.trust.times import date_of, read_generalized_time, read_time, read_utc_time, seconds_of
from directory_assistance.der import DerSyntaxError, read_elements
from tests.support.lists import delta_of, entry, list_of_entries
from tests.support.pki import NOW, Authority, der_element

ISSUER = Authority.root(now=NOW)
EPOCH = datetime(1950, 1, 1)  # noqa: DTZ001 - what the library takes
DATE = b"\x17\x0d260301110000Z"
HOLD = bytes.fromhex("300c300a0603551d1504030a0106")
SUPERSEDED = bytes.fromhex("300c300a0603551d1504030a0104")
REMOVAL = bytes.fromhex("300c300a0603551d1504030a0108")
UNKNOWN = bytes.fromhex("300a300806032a0304040105")
"""An extension that nobody knows, not critical."""


def _read(entries: list[bytes], *, delta: bool = False) -> RevocationList:
    return read_crl(list_of_entries(ISSUER, entries, [delta_of(0)] if delta else []), source="a.crl")


def _found(crl: RevocationList, serial: int) -> tuple[datetime, str] | None:
    found = crl.find(serial, crl.issuer_key)
    return None if found is None else (found.since, found.reason)


# --------------------------------------------------------------------------------------------- look-up

SERIALS = st.one_of(
    st.integers(-300, 300),
    st.integers(-(2**70), 2**70),
    st.integers(-(2**159), 2**159),
    st.integers(0, 20).map(lambda number: number << 64 | 7),
    st.integers(0, 20).map(lambda number: (number << 128) - 7),
    st.integers(2**400, 2**402),
    st.integers(2**120, 2**127 - 1),  # 16 octets, as many authorities make them
)


@settings(max_examples=120, deadline=None)
@given(serials=st.lists(SERIALS, max_size=400, unique=True), others=st.lists(SERIALS, max_size=50))
def test_an_index_finds_what_a_dictionary_finds(serials: list[int], others: list[int]) -> None:
    expected = {
        serial: (NOW + timedelta(seconds=number), "superseded") for number, serial in enumerate(serials)
    }
    crl = _read(
        [
            entry(serial, b"\x17\x0d" + since.strftime("%y%m%d%H%M%SZ").encode(), SUPERSEDED)
            for serial, (since, _) in expected.items()
        ]
    )
    assert crl.entry_count == len(serials)
    neighbours = [serial + change for serial in serials for change in (1, 2**64, -(2**64), 2**160)]
    for serial in (*serials, *others, *neighbours):
        assert _found(crl, serial) == expected.get(serial)


def test_t33_serial_numbers_that_are_chosen_to_collide_are_all_found() -> None:
    """Ten thousand with the same 64 lowest bits, as many in one bucket: a look-up is a binary search then."""
    same_key = [number << 64 | 5 for number in range(10_000)]
    same_bucket = [number << 24 | 5 for number in range(1, 10_000)]
    crl = _read([entry(serial) for serial in (*same_key, *same_bucket)])
    assert all(_found(crl, serial) is not None for serial in (*same_key, *same_bucket))
    for serial in (10_000 << 64 | 5, -(1 << 64) + 5, 5 << 63 | 5, 1 << 23 | 5, (1 << 24 | 5) + (1 << 70)):
        assert _found(crl, serial) is None


def test_many_numbers_of_one_bucket_are_all_found() -> None:
    """Different keys with the same lowest bits: the bucket is sorted, and nothing in it is alike."""
    serials = [number << 24 | 5 for number in range(100)]
    crl = _read([entry(serial) for serial in reversed(serials)])
    assert all(_found(crl, serial) is not None for serial in serials)
    assert _found(crl, 100 << 24 | 5) is None


@pytest.mark.parametrize("crowd", [0, 100])
@pytest.mark.parametrize("order", [(REMOVAL, HOLD), (HOLD, REMOVAL), (REMOVAL, REMOVAL)])
def test_t40_of_a_removal_and_a_hold_in_one_delta_list_the_hold_counts(
    order: tuple[bytes, bytes], crowd: int
) -> None:
    """Whatever their order, and whether or not so many numbers look alike that they are sorted."""
    alike = [entry(number << 64 | 5) for number in range(1, crowd)]
    crl = _read([*(entry(5, DATE, reason) for reason in order), *alike], delta=True)
    found = crl.find(5, crl.issuer_key)
    assert found is not None
    assert found.is_removal == (HOLD not in order)


def test_a_number_with_a_removal_is_not_taken_for_its_neighbour() -> None:
    crl = _read([entry(5, DATE, REMOVAL), entry(5 + 2**64, DATE, HOLD)], delta=True)
    assert [_found(crl, serial) for serial in (5, 5 + 2**64, 5 + 2**65)] == [
        (NOW - timedelta(hours=1), "removeFromCRL"),
        (NOW - timedelta(hours=1), "certificateHold"),
        None,
    ]


def test_a_list_of_several_windows_is_read_whole() -> None:
    """Twenty thousand entries of a megabyte, some of them unusual, some longer than a quick entry."""
    long_extension = der_element(
        0x30, der_element(0x30, bytes.fromhex("06032a0304") + der_element(0x04, bytes(300)))
    )
    kinds = (b"", SUPERSEDED, UNKNOWN, HOLD, long_extension)
    crl = _read(
        [
            entry(2**100 + number, DATE, kinds[4 if number % 1000 == 999 else number % 4])
            for number in range(20_000)
        ]
    )
    reasons = ("", "superseded", "", "certificateHold", "")
    for number in range(20_000):
        expected = reasons[4 if number % 1000 == 999 else number % 4]
        assert _found(crl, 2**100 + number) == (NOW - timedelta(hours=1), expected)


def test_extensions_that_differ_in_every_entry_are_read() -> None:
    """More than are remembered."""

    def invalid_since(number: int) -> bytes:
        date = der_element(0x18, b"2026010100%02d%02dZ" % divmod(number % 3600, 60))
        extension = bytes.fromhex("0603551d18") + der_element(0x04, date)
        return der_element(
            0x30,
            der_element(0x30, extension)
            + UNKNOWN[2:]
            + bytes.fromhex("3006")
            + b"\x06\x02\x2a"
            + bytes((number // 3600,))
            + b"\x04\x00",
        )

    crl = _read([entry(number, DATE, invalid_since(number)) for number in range(5_000)])
    assert all(_found(crl, number) == (NOW - timedelta(hours=1), "") for number in range(5_000))


# ------------------------------------------------------------------------------------------ differential

REASONS = [reason for reason in x509.ReasonFlags if reason is not x509.ReasonFlags.remove_from_crl]


@settings(max_examples=100, deadline=None)
@given(
    listed=st.dictionaries(
        st.integers(1, 2**159 - 1),
        st.tuples(
            st.datetimes(min_value=EPOCH, max_value=EPOCH.replace(year=2100)),
            st.sampled_from([None, *REASONS]),
        ),
        max_size=60,
    )
)
def test_our_reader_and_the_library_read_the_same(
    listed: dict[int, tuple[datetime, x509.ReasonFlags | None]],
) -> None:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ISSUER.certificate.subject)
        .last_update(NOW)
        .next_update(NOW + timedelta(days=1))
    )
    for serial, (since, reason) in listed.items():
        revoked = (
            x509.RevokedCertificateBuilder()
            .serial_number(serial)
            .revocation_date(since.replace(microsecond=0))
        )
        if reason is not None:
            revoked = revoked.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(revoked.build())
    library = builder.sign(ISSUER.key, hashes.SHA256())
    ours = read_crl(library.public_bytes(Encoding.DER), source="a.crl")
    assert (ours.this_update, ours.next_update, ours.entry_count) == (
        library.last_update_utc,
        library.next_update_utc,
        len(listed),
    )
    for each in library:
        reason_text = ""
        if listed[each.serial_number][1] is not None:
            reason_text = each.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
        assert _found(ours, each.serial_number) == (each.revocation_date_utc, reason_text)


# ------------------------------------------------------------------------------------------------ strictness

BAD_ENTRIES = {
    "no sequence": b"\x31" + entry(5)[1:],
    "a longer length than needed": b"\x30\x81" + entry(5)[1:],
    "an indefinite length": b"\x30\x80" + entry(5)[2:] + b"\0\0",
    "a length of five octets": b"\x30\x85\0\0\0\0" + entry(5)[1:],
    "a length that reaches beyond the list": b"\x30\x84\x7f\xff\xff\xff" + entry(5)[2:],
    "a high tag number": b"\x3f\x30" + entry(5)[1:],
    "no serial number": der_element(0x30, DATE),
    "a serial number that is no integer": der_element(0x30, der_element(0x04, b"\5") + DATE),
    "a serial number without octets": entry(b""),
    "a padded serial number": entry(b"\0\5"),
    "a padded negative serial number": entry(b"\xff\x85"),
    "a padded long serial number": entry(b"\0" + bytes(range(1, 17))),
    "a serial number of over a thousand octets": entry(b"\1" + bytes(1024)),
    "no date": der_element(0x30, der_element(0x02, b"\5")),
    "a date that is no time": entry(5, b"\x04\x0d260301110000Z"),
    "a date cut short": entry(5, b"\x17\x0b2603011100Z"),
    "a month that does not exist": entry(5, b"\x17\x0d261301110000Z"),
    "a day that does not exist": entry(5, b"\x17\x0d260230110000Z"),
    "an hour that does not exist": entry(5, b"\x17\x0d260301240000Z"),
    "a minute that does not exist": entry(5, b"\x17\x0d260301116000Z"),
    "a second that does not exist": entry(5, b"\x17\x0d260301110060Z"),
    "a date in another zone": entry(5, b"\x17\x0d260301110000A"),
    "a date that is no number": entry(5, b"\x17\x0d26030111000 Z"),
    "a sign in the date": entry(5, b"\x17\x0d26030111+100Z"),
    "a fraction of a second": entry(5, b"\x18\x1120260301110000.5Z"),
    "extensions that are none": entry(5, extensions=b"\x04\x00"),
    "no extension at all": entry(5, extensions=b"\x30\x00"),
    "something after the extensions": entry(5, extensions=HOLD, more=b"\5\0"),
    "an extension twice": entry(5, extensions=der_element(0x30, 2 * HOLD[2:])),
    "an extension that nobody knows twice": entry(5, extensions=der_element(0x30, 2 * UNKNOWN[2:])),
    "an extension that says that it is not critical": entry(
        5, extensions=bytes.fromhex("300f300d0603551d15010100") + b"\x04\x03\x0a\x01\x06"
    ),
    "a reason that does not exist": entry(5, extensions=HOLD[:-1] + b"\x07"),
    "a reason beyond the last": entry(5, extensions=HOLD[:-1] + b"\x0b"),
    "a negative reason": entry(5, extensions=HOLD[:-1] + b"\xff"),
    "a reason that is an integer": entry(5, extensions=HOLD[:-3] + b"\x02\x01\x06"),
    "a date of invalidity that is no date": entry(5, extensions=bytes.fromhex("300b30090603551d1804021800")),
    "an unknown critical extension": entry(
        5, extensions=bytes.fromhex("300d300b06032a03040101ff04010500")[:-1]
    ),
    "more than a megabyte": entry(5, more=der_element(0x04, bytes(1024 * 1024))),
}


@pytest.mark.parametrize("bad", BAD_ENTRIES)
@pytest.mark.parametrize("before", [0, 60])
@pytest.mark.parametrize("after", [0, 60])
def test_t36_an_entry_that_cannot_be_read_refuses_the_list_wherever_it_stands(
    bad: str, before: int, after: int
) -> None:
    """Sixty entries are enough for the quick path; the first and the last go the slow one."""
    good = [entry(2**100 + number, DATE, SUPERSEDED) for number in range(120)]
    assert _read([*good[:before], *good[60 : 60 + after]]).entry_count == before + after
    with pytest.raises(TrustMaterialError, match=r"\S"):
        _read([*good[:before], BAD_ENTRIES[bad], *good[60 : 60 + after]])


def test_entries_after_an_unusual_one_are_read() -> None:
    """The neighbour of the refusals: what is unusual and in order."""
    unusual = [
        entry(1),
        entry(-1),
        entry(-(2**63)),
        entry(-(2**64)),
        entry(-(2**100)),
        entry(0),
        entry(2**8191 - 1),
        entry(2, b"\x18\x0f20260301110000Z"),
        entry(3, b"\x18\x0f99991231235959Z"),
        entry(4, b"\x17\x0d500101000000Z"),
        entry(5, b"\x17\x0d491231235959Z"),
        entry(6, DATE, UNKNOWN),
    ]
    usual = [*(2**100 + number for number in range(60)), *(2**126 + number for number in range(60))]
    crl = _read([*unusual, *map(entry, usual)])
    assert crl.entry_count == 132
    for serial in (1, -1, -(2**63), -(2**64), -(2**100), 0, 2**8191 - 1, 2, 6, *usual):
        assert _found(crl, serial) == (NOW - timedelta(hours=1), "")
    assert _found(crl, 3) == (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "")
    assert _found(crl, 4) == (datetime(1950, 1, 1, tzinfo=UTC), "")
    assert _found(crl, 5) == (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), "")
    assert _found(crl, 2**64 - 1) is None


@settings(max_examples=300, deadline=None)
@given(entries=st.binary(max_size=300), before=st.sampled_from([0, 60]))
def test_any_octets_as_entries_are_entries_or_a_problem(entries: bytes, before: int) -> None:
    good = [entry(2**100 + number) for number in range(before)]
    try:
        crl = _read([*good, entries])
    except TrustMaterialError:
        return
    assert crl.entry_count >= before


@settings(max_examples=400, deadline=None)
@given(position=st.integers(0, 60 * 40 - 1), flip=st.integers(1, 255))
def test_the_quick_path_takes_nothing_that_the_slow_one_would_not(position: int, flip: int) -> None:
    """The same spoiled entry, once among many, once alone: both are read alike, or both are refused."""
    good = [entry(2**100 + number, DATE, SUPERSEDED) for number in range(120)]
    size = len(good[0])
    spoiled = bytearray(good[0])
    spoiled[position % size] ^= flip
    results: list[tuple[datetime, str] | None] = []
    for entries in ([bytes(spoiled)], [*good[1:60], bytes(spoiled), *good[60:]]):
        try:
            crl = _read(entries)
        except TrustMaterialError:
            results.append(None)
            continue
        serial = int.from_bytes(bytes(spoiled)[4 : 4 + spoiled[3]], "big", signed=True)
        results.append(_found(crl, serial))
    assert results[0] == results[1]


# ---------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("der", "expected"),
    [
        (b"\x17\x0d260301120000Z", NOW),
        (b"\x18\x0f20260301120000Z", NOW),
        (b"\x17\x0d500101000000Z", datetime(1950, 1, 1, tzinfo=UTC)),
        (b"\x18\x0f00010101000000Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_read(der: bytes, expected: datetime) -> None:
    seconds = read_time(read_elements(der)[0])
    assert date_of(seconds) == expected
    assert seconds_of(expected) == seconds


@settings(max_examples=300, deadline=None)
@given(octets=st.binary(max_size=20) | st.text("0123456789Z", max_size=16).map(str.encode))
def test_any_octets_are_a_time_or_a_problem(octets: bytes) -> None:
    for read in (read_utc_time, read_generalized_time):
        try:
            seconds = read(octets)
        except DerSyntaxError:
            continue
        assert 0 <= seconds < 10_000 * 366 * 86_400
