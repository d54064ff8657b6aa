"""Emergency blocks as values: what each kind hits, and nothing beside it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from authsvc.trust.blocks import (
    BlockedIdentity,
    BlockedKey,
    BlockedSerial,
    BlockedSubject,
    BlockKind,
    BlockList,
)
from directory_assistance.dn import read_ldap_dn, read_name
from tests.support.blocks import block, blocks_of, of
from tests.support.pki import NOW, Authority, Issued
from tests.support.trust import facts_of

ROOT = Authority.root(now=NOW)
ISSUING = ROOT.issue_authority("CN=Renovations Issuing CA,O=Renovations", serial=4660)
DAVE = ISSUING.issue("CN=Dave Lawson,OU=East,O=Renovations", serial=4661)
EVE = ISSUING.issue("CN=Eve Everybody,OU=East,O=Renovations", serial=4662)
PATH = (facts_of(DAVE), facts_of(ISSUING), facts_of(ROOT))
KINDS_OF_CERTIFICATES = [kind for kind in BlockKind if kind is not BlockKind.IDENTITY]
WHERE: dict[str, Issued | Authority] = {"leaf": DAVE, "authority": ISSUING, "anchor": ROOT}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("kind", KINDS_OF_CERTIFICATES)
def test_every_certificate_of_the_path_is_looked_at_the_anchor_included(kind: BlockKind, where: str) -> None:
    hit = blocks_of(of(kind, WHERE[where])).find(PATH, now=NOW)
    assert hit is not None
    assert (7, facts_of(WHERE[where])) == (hit.block.id, hit.certificate)
    assert kind is hit.block.blocked.kind


@pytest.mark.parametrize("kind", KINDS_OF_CERTIFICATES)
def test_the_certificate_beside_it_is_not_hit(kind: BlockKind) -> None:
    assert blocks_of(of(kind, EVE)).find(PATH, now=NOW) is None


def test_t21_a_key_is_blocked_in_every_certificate_that_it_has() -> None:
    renewed = ROOT.issue_authority("CN=Quite Another CA,O=Elsewhere", key=ISSUING.key)
    found = blocks_of(of(BlockKind.PUBLIC_KEY, ISSUING))
    assert found.find((facts_of(DAVE), facts_of(renewed)), now=NOW) is not None
    assert blocks_of(of(BlockKind.CERTIFICATE, ISSUING)).find((facts_of(renewed),), now=NOW) is None


def test_t55_a_serial_number_of_another_issuer_is_not_hit() -> None:
    elsewhere = Authority.root("CN=Elsewhere", now=NOW).issue("CN=Dave Lawson", serial=4661)
    found = blocks_of(of(BlockKind.ISSUER_SERIAL, DAVE))
    assert found.find((facts_of(elsewhere),), now=NOW) is None
    assert found.find((facts_of(DAVE),), now=NOW) is not None


def test_t52_names_are_compared_as_names_whatever_their_spelling() -> None:
    subject = read_ldap_dn("cn=DAVE  lawson, ou=east, o=Renovations")
    issuer = read_ldap_dn("CN=renovations issuing ca,O=RENOVATIONS")
    assert blocks_of(BlockedSubject(subject=subject)).find(PATH, now=NOW) is not None
    assert blocks_of(BlockedSerial(issuer=issuer, serial=4661)).find(PATH, now=NOW) is not None


@pytest.mark.parametrize(
    "name", ["CN=Dave Lawson,O=Renovations", "O=Renovations", "O=Renovations,OU=East,CN=Dave Lawson"]
)
def test_only_the_whole_subject_is_hit(name: str) -> None:
    assert blocks_of(BlockedSubject(subject=read_ldap_dn(name))).find(PATH, now=NOW) is None


def test_a_name_that_cannot_be_compared_equals_no_blocks() -> None:
    hostile = ISSUING.issue("CN=Dave\\00Lawson,O=Renovations", serial=4661)
    shown = read_ldap_dn("CN=Dave\N{REPLACEMENT CHARACTER}Lawson,O=Renovations")
    assert blocks_of(BlockedSubject(subject=shown)).find((facts_of(hostile),), now=NOW) is None
    broken = replace(facts_of(DAVE), issuer_der=b"\x30\x01", subject_der=b"")
    found = blocks_of(of(BlockKind.ISSUER_SERIAL, DAVE), of(BlockKind.SUBJECT, DAVE))
    assert found.find((broken,), now=NOW) is None


def test_an_empty_subject_is_nobodys() -> None:
    nameless = ISSUING.issue(x509.Name([]))
    assert blocks_of(of(BlockKind.SUBJECT, DAVE)).find((facts_of(nameless),), now=NOW) is None


def test_the_hit_nearest_to_the_leaf_is_told() -> None:
    found = blocks_of(of(BlockKind.PUBLIC_KEY, ROOT), of(BlockKind.SUBJECT, DAVE)).find(PATH, now=NOW)
    assert found is not None
    assert facts_of(DAVE) == found.certificate


@pytest.mark.parametrize(("later", "hit"), [(-1, True), (0, False), (1, False)])
def test_a_block_ends_at_its_end(later: int, hit: bool) -> None:
    ends = NOW - timedelta(microseconds=later)
    name = read_name("Dave Lawson/Renovations")
    found = blocks_of(of(BlockKind.CERTIFICATE, DAVE), BlockedIdentity(name=name), ends=ends)
    assert hit is (found.find(PATH, now=NOW) is not None)
    assert hit is (found.find_identity(name, now=NOW) is not None)
    assert 2 == len(found.blocks)


def test_of_several_blocks_of_one_value_the_one_that_lasts_longest_counts() -> None:
    key = of(BlockKind.PUBLIC_KEY, ISSUING)
    soon, late = NOW + timedelta(hours=1), NOW + timedelta(days=1)
    ended = block(key, number=1, ends=NOW)
    for blocks, expected in (
        ((ended, block(key, number=2, ends=late), block(key, number=3, ends=soon)), 2),
        ((ended, block(key, number=2, ends=late), block(key, number=4), block(key, number=3)), 3),
    ):
        hit = BlockList.of(blocks).find(PATH, now=NOW)
        assert hit is not None
        assert expected == hit.block.id


def test_an_identity_is_found_by_its_name_in_any_spelling_and_by_no_other() -> None:
    found = blocks_of(BlockedIdentity(name=read_name("Dave Lawson/Renovations")))
    assert found.find_identity(read_name("CN=dave lawson,O=RENOVATIONS"), now=NOW) is not None
    for other in ("Dave Lawson", "Dave Lawson/East/Renovations", "dave@renovations.com"):
        assert found.find_identity(read_name(other), now=NOW) is None
    assert found.find(PATH, now=NOW) is None


def test_without_blocks_nobody_is_refused() -> None:
    for empty in (BlockList(), BlockList.of([])):
        assert empty.find(PATH, now=NOW) is None
        assert empty.find_identity(read_name("Dave"), now=NOW) is None
        assert empty == empty.current()


def test_blocks_are_listed_in_the_order_of_their_numbers() -> None:
    key = of(BlockKind.PUBLIC_KEY, ISSUING)
    assert [1, 2, 3] == [each.id for each in BlockList.of(block(key, number=n) for n in (3, 1, 2)).blocks]


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=20), st.binary(min_size=32, max_size=32))
def test_whatever_is_blocked_only_equal_keys_are_hit(blocked: list[bytes], asked: bytes) -> None:
    facts = replace(facts_of(DAVE), key_sha256=asked)
    hit = blocks_of(*(BlockedKey(sha256=each) for each in blocked)).find((facts,), now=NOW)
    assert (asked in blocked) is (hit is not None)
