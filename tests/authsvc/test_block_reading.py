"""What operators paste for a block: read in the one way that it can be meant, or refused with what to write instead."""

import base64

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from authsvc.trust.block_reading import (
    BlockSyntaxError,
    WrittenBlock,
    blocked_by_certificate,
    describe_blocked,
    looks_like_digest,
    read_block_certificate,
    read_digest,
    read_identity,
    read_line,
    read_serial,
    read_typed,
    read_whole_name,
    read_written,
    write_blocked,
)
from authsvc.trust.blocks import (
    Blocked,
    BlockedCertificate,
    BlockedIdentity,
    BlockedKey,
    BlockedSerial,
    BlockedSubject,
    BlockKind,
)
from directory_assistance.dn import InternetName, dn_from_attributes, read_ldap_dn, read_name
from tests.support.blocks import of
from tests.support.pki import NOW, Authority
from tests.support.trust import facts_of

ROOT = Authority.root(now=NOW)
DAVE = ROOT.issue("CN=Dave Lawson,O=Renovations", serial=4660)
DIGEST = facts_of(DAVE).sha256
COLONS = DIGEST.hex(":")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(DIGEST.hex(), id="lower case"),
        pytest.param(DIGEST.hex().upper(), id="upper case"),
        pytest.param(COLONS, id="colons"),
        pytest.param(COLONS.upper(), id="colons and upper case"),
        pytest.param(f"  {COLONS}\n", id="white space around it"),
        pytest.param(f"sha256 Fingerprint={COLONS.upper()}", id="as openssl prints it"),
        pytest.param(f"SHA256:{DIGEST.hex()}", id="with the name of the algorithm"),
    ],
)
def test_a_digest_is_read_in_every_spelling(text: str) -> None:
    assert DIGEST == read_digest(text)
    assert looks_like_digest(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param(DIGEST.hex()[:-1], id="a digit is missing"),
        pytest.param(DIGEST.hex() + "0", id="a digit too many"),
        pytest.param(DIGEST.hex()[:40], id="a SHA-1 digest"),
        pytest.param(COLONS.replace(":", "", 1), id="a colon is missing"),
        pytest.param("g" + DIGEST.hex()[1:], id="no digit"),
        pytest.param("\u0661" + DIGEST.hex()[1:], id="a digit of another script"),
    ],
)
def test_what_is_no_sha256_digest_is_refused(text: str) -> None:
    assert not looks_like_digest(text)
    with pytest.raises(BlockSyntaxError, match="expected a SHA-256 digest"):
        read_digest(text)


@pytest.mark.parametrize(
    ("text", "serial"),
    [
        pytest.param("4660", 4660, id="decimal"),
        pytest.param(" 0004660 ", 4660, id="decimal with leading zeros"),
        pytest.param("0x1234", 0x1234, id="hexadecimal behind 0x"),
        pytest.param("0X00aBcD", 0xABCD, id="hexadecimal in either case"),
        pytest.param("12:34", 0x1234, id="octets between colons"),
        pytest.param("00:AB:cd", 0xABCD, id="octets with a leading zero"),
        pytest.param(
            "serial=1234", 0x1234, id="as openssl x509 -serial prints it: hexadecimal without a mark"
        ),
        pytest.param("4660 (0x1234)", 4660, id="as openssl x509 -text prints it"),
        pytest.param(str(2**160 - 1), 2**160 - 1, id="the largest"),
        pytest.param("00:" + ":".join(["ff"] * 20), 2**160 - 1, id="the largest, as DER has it"),
    ],
)
def test_t55_a_serial_number_is_an_integer_whatever_its_spelling(text: str, serial: int) -> None:
    assert serial == read_serial(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("12ab", "write `0x` before hexadecimal", id="hexadecimal without a mark"),
        pytest.param("", "expected a serial number", id="nothing"),
        pytest.param("-1", "expected a serial number", id="negative"),
        pytest.param("0x", "expected a serial number", id="a mark alone"),
        pytest.param("1:2", "expected a serial number", id="half octets"),
        pytest.param("12:34:", "expected a serial number", id="a colon at the end"),
        pytest.param("serial=12:34", "expected a serial number", id="what openssl does not print"),
        pytest.param("4661 (0x1234)", "expected a serial number", id="two numbers that differ"),
        pytest.param("\u0661", "expected a serial number", id="a digit of another script"),
        pytest.param("9" * 5_000, "expected a serial number", id="too long to be looked at"),
        pytest.param("0", "positive serial number", id="zero"),
        pytest.param(str(2**160), "at most 20 octets", id="too large"),
    ],
)
def test_a_serial_number_that_could_be_meant_otherwise_is_refused(text: str, told: str) -> None:
    with pytest.raises(BlockSyntaxError, match=told):
        read_serial(text)


@given(st.integers(min_value=1, max_value=2**160 - 1))
def test_t55_every_serial_number_is_read_in_each_of_its_spellings(serial: int) -> None:
    digits = f"{serial:x}"
    octets = bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2))
    spellings = [str(serial), hex(serial), f"serial={digits.upper()}", f"{serial} ({serial:#x})"]
    spellings += [octets.hex(":")] if len(octets) > 1 else []
    assert {serial} == set(map(read_serial, spellings))


@pytest.mark.parametrize(
    "text",
    [
        "CN=Dave Lawson,O=Renovations",
        "cn=dave lawson, o=renovations",
        "CN=Dave Lawson/O=Renovations",
        "subject=CN = Dave Lawson, O = Renovations",
        "subject= CN=Dave Lawson,O=Renovations",
        "issuer=CN=Dave Lawson,O=Renovations",
        "2.5.4.3=Dave Lawson,2.5.4.10=Renovations",
    ],
)
def test_t52_a_whole_name_is_read_as_people_copy_it(text: str) -> None:
    assert of(BlockKind.SUBJECT, DAVE) == BlockedSubject(subject=read_whole_name(text))


@pytest.mark.parametrize(
    "text",
    [
        "CN=Root,O=Acme,C=US",
        "O=Acme,C=US",
        "O=Acme",
        "C=US",
        "DC=acme,DC=com",
        "CN=Acme,DC=acme,DC=com",
        "OU=Class 3,O=Acme,C=US",
        "O=Acme,L=Boston",
    ],
)
def test_a_name_that_begins_at_the_leaf_is_taken_as_it_is(text: str) -> None:
    assert read_ldap_dn(text) == read_whole_name(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("C=US, O=Acme, CN=Dave", "`CN=Dave,O=Acme,C=US`", id="as openssl prints a name"),
        pytest.param("C=US,O=Acme", "`O=Acme,C=US`", id="country first"),
        pytest.param("DC=com,DC=acme,OU=x", "`OU=x,DC=acme,DC=com`", id="domain components first"),
        pytest.param(
            "O=Acme,OU=East,CN=Dave", "`CN=Dave,OU=East,O=Acme`", id="organisation before the person"
        ),
        pytest.param("/C=US/O=Acme/CN=Dave", "without a leading `/`", id="slash form from the root"),
        pytest.param("colour=red,O=Acme", "found `colour`", id="an attribute type that nobody knows"),
        pytest.param("subject=Dave,O=Acme", "found `subject`", id="a label that is none"),
        pytest.param("Dave Lawson/Renovations", "whole name", id="no keywords"),
        pytest.param("Dave Lawson", "whole name", id="a flat name"),
        pytest.param("a$=b@c", "whole name", id="an Internet name"),
        pytest.param("", "blank", id="nothing"),
        pytest.param("CN=a\x00b", "control character", id="a control character"),
    ],
)
def test_t52_a_name_that_would_hit_nobody_is_refused_with_what_to_write(text: str, told: str) -> None:
    with pytest.raises(BlockSyntaxError) as refused:
        read_whole_name(text)
    assert told in str(refused.value)


@pytest.mark.parametrize("text", ["Anonymous", "-Default-", "*", "*/Acme", "", "CN=*,O=Acme"])
def test_nobody_and_everybody_are_no_identity(text: str) -> None:
    with pytest.raises(BlockSyntaxError):
        read_identity(text)


def test_an_identity_is_read_in_any_form() -> None:
    assert {read_identity("Dave Lawson/Renovations")} == {read_identity("CN=Dave Lawson,O=Renovations")}
    assert read_name("dave@acme.com") == read_identity("dave@acme.com")


@pytest.mark.parametrize("text", ["", "  \n", "\u200b", "one\ntwo", "one\u2028two", "a\x1b[2Jb", "x" * 11])
def test_a_reason_is_one_line_of_limited_length(text: str) -> None:
    with pytest.raises(BlockSyntaxError, match="expected a reason"):
        read_line(text, what="a reason", longest=10)


def test_white_space_around_a_reason_is_dropped() -> None:
    assert "key lost" == read_line(" key lost\n", what="a reason", longest=10)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(DAVE.der, id="DER"),
        pytest.param(DAVE.pem.encode(), id="PEM"),
        pytest.param(b"Dave's:\n" + DAVE.pem.encode(), id="PEM with text before it"),
        pytest.param(base64.encodebytes(DAVE.der), id="base64"),
    ],
)
def test_a_certificate_is_read_from_a_file(octets: bytes) -> None:
    assert DAVE.der == read_block_certificate(octets)


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        pytest.param(
            DAVE.pem.encode() + ROOT.pem.encode(), "expected one certificate, found 2", id="a bundle"
        ),
        pytest.param(DAVE.key_pem.encode(), "labelled CERTIFICATE", id="a private key"),
        pytest.param(DAVE.der + b"\x00", "octets", id="something after it"),
        pytest.param(b"", "certificate", id="an empty file"),
    ],
)
def test_what_is_not_exactly_one_certificate_is_refused(octets: bytes, told: str) -> None:
    with pytest.raises(BlockSyntaxError, match=told):
        read_block_certificate(octets)


def test_each_kind_takes_its_part_of_a_certificate() -> None:
    facts = facts_of(DAVE)
    subject, issuer = (
        read_ldap_dn("CN=Dave Lawson,O=Renovations"),
        read_ldap_dn("CN=Renovations Root CA,O=Renovations"),
    )
    assert {
        BlockKind.CERTIFICATE: BlockedCertificate(sha256=facts.sha256),
        BlockKind.PUBLIC_KEY: BlockedKey(sha256=facts.key_sha256),
        BlockKind.ISSUER_SERIAL: BlockedSerial(issuer=issuer, serial=4660),
        BlockKind.SUBJECT: BlockedSubject(subject=subject),
    } == {kind: of(kind, DAVE) for kind in BlockKind if kind is not BlockKind.IDENTITY}


def test_a_certificate_says_nothing_about_an_identity() -> None:
    with pytest.raises(BlockSyntaxError, match="expected the name of an identity"):
        of(BlockKind.IDENTITY, DAVE)


def test_octets_that_are_no_certificate_block_nothing() -> None:
    with pytest.raises(BlockSyntaxError):
        blocked_by_certificate(BlockKind.CERTIFICATE, b"\x30\x00")


@pytest.mark.parametrize("subject", [x509.Name([]), "CN=Dave\\00Lawson,O=Renovations"])
def test_t18_a_name_that_cannot_be_compared_is_no_block(subject: str | x509.Name) -> None:
    with pytest.raises(BlockSyntaxError, match="block its key or the certificate instead"):
        of(BlockKind.SUBJECT, ROOT.issue(subject))


REVERSED = Authority.root("O=Acme,CN=Upside Down", now=NOW)


@pytest.mark.parametrize(
    "blocked",
    [
        *(pytest.param(of(kind, DAVE), id=kind) for kind in BlockKind if kind is not BlockKind.IDENTITY),
        pytest.param(BlockedIdentity(name=read_name("Dave Lawson/Renovations")), id="identity"),
        pytest.param(BlockedIdentity(name=read_name("dave@acme.com")), id="an Internet name"),
        pytest.param(of(BlockKind.SUBJECT, REVERSED), id="a subject whose certificate begins at the leaf"),
        pytest.param(of(BlockKind.ISSUER_SERIAL, REVERSED), id="such an issuer"),
        pytest.param(
            BlockedSubject(subject=read_ldap_dn(r"CN=a\,b\=c+UID=x,1.2.3.4=#0c0141,O=\ d")), id="escapes"
        ),
    ],
)
def test_what_is_written_is_read_back_as_the_same(blocked: Blocked) -> None:
    written = write_blocked(blocked)
    assert blocked == read_written(written)
    assert written == write_blocked(read_written(written))


def test_what_would_be_read_back_as_another_is_not_written() -> None:
    """No reader makes a name without components in an Internet name's place; a directory's code might."""
    with pytest.raises(BlockSyntaxError, match="cannot be kept as text"):
        write_blocked(BlockedIdentity(name=InternetName(text="nobody")))


def test_a_name_that_is_too_long_is_not_written() -> None:
    long = dn_from_attributes([[("2.5.4.3", "x" * 5_000)]])
    with pytest.raises(BlockSyntaxError, match="cannot be kept as text"):
        write_blocked(BlockedSubject(subject=long))


@pytest.mark.parametrize(
    "written",
    [
        WrittenBlock(kind=BlockKind.CERTIFICATE, value=DIGEST.hex(), serial="0x1"),
        WrittenBlock(kind=BlockKind.ISSUER_SERIAL, value="CN=x"),
        WrittenBlock(kind=BlockKind.SUBJECT, value="CN=x", serial="0x1"),
        WrittenBlock(kind=BlockKind.SUBJECT, value="x"),
        WrittenBlock(kind=BlockKind.PUBLIC_KEY, value="x"),
        WrittenBlock(kind=BlockKind.IDENTITY, value="*"),
    ],
)
def test_what_was_never_written_is_refused(written: WrittenBlock) -> None:
    with pytest.raises(BlockSyntaxError):
        read_written(written)


def test_each_kind_is_read_from_its_texts() -> None:
    issuer = "CN=Renovations Root CA,O=Renovations"
    facts = facts_of(DAVE)
    assert of(BlockKind.CERTIFICATE, DAVE) == read_typed(BlockKind.CERTIFICATE, facts.sha256.hex())
    assert of(BlockKind.PUBLIC_KEY, DAVE) == read_typed(BlockKind.PUBLIC_KEY, facts.key_sha256.hex())
    assert of(BlockKind.ISSUER_SERIAL, DAVE) == read_typed(BlockKind.ISSUER_SERIAL, issuer, serial="0x1234")
    assert of(BlockKind.SUBJECT, DAVE) == read_typed(BlockKind.SUBJECT, "CN=Dave Lawson,O=Renovations")
    assert BlockedIdentity(name=read_name("Dave")) == read_typed(BlockKind.IDENTITY, "Dave")


@pytest.mark.parametrize("kind", [kind for kind in BlockKind if kind is not BlockKind.ISSUER_SERIAL])
def test_only_an_issuer_has_a_serial_number_beside_it(kind: BlockKind) -> None:
    with pytest.raises(BlockSyntaxError, match="`issuer_serial` alone"):
        read_typed(kind, "CN=x", serial="1")
    with pytest.raises(BlockSyntaxError, match="`issuer_serial` alone"):
        read_typed(BlockKind.ISSUER_SERIAL, "CN=x")


def test_a_block_is_described_in_one_line_with_both_spellings_of_the_serial_number() -> None:
    assert "issuer_serial CN=Renovations Root CA,O=Renovations, serial 0x1234 (4660)" == describe_blocked(
        write_blocked(of(BlockKind.ISSUER_SERIAL, DAVE))
    )
    assert f"certificate {DIGEST.hex()}" == describe_blocked(write_blocked(of(BlockKind.CERTIFICATE, DAVE)))
