"""Certificates in bodies and files: every spelling, and nothing but one certificate."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.presented.body import read_body, read_certificate_file
from authsvc.presented.presentation import PresentedCertificate, UnreadableCertificate
from tests.support.pki import NOW, Authority

ROOT = Authority.root(now=NOW)
DAVE = ROOT.issue()
BASE64 = base64.b64encode(DAVE.der).decode()
PRESENTED = PresentedCertificate(der=DAVE.der)


@pytest.mark.parametrize(
    "text",
    [DAVE.pem, f"\n  {DAVE.pem}\n", BASE64, "\n".join(BASE64[i : i + 64] for i in range(0, len(BASE64), 64))],
    ids=["pem", "pem with blanks around it", "base64", "folded base64"],
)
def test_a_body_is_read_in_every_spelling(text: str) -> None:
    assert read_body(text) == PRESENTED


def test_a_body_may_bring_hints() -> None:
    assert read_body(BASE64, [ROOT.pem]) == PresentedCertificate(der=DAVE.der, chain=(ROOT.der,))


@pytest.mark.parametrize(
    ("text", "chain"),
    [
        ("", []),
        ("é", []),
        (DAVE.pem + ROOT.pem, []),
        (DAVE.key_pem, []),
        (BASE64[:-8], []),
        (base64.b64encode(DAVE.der + b"\x00").decode(), []),
        (BASE64, ["junk"]),
    ],
    ids=["empty", "not ascii", "two certificates", "a key", "cut", "left over", "a hint that is none"],
)
def test_whatever_is_not_one_certificate_is_unreadable(text: str, chain: list[str]) -> None:
    assert isinstance(read_body(text, chain), UnreadableCertificate)


def test_a_file_is_read_as_der_base64_or_pem_with_hints_and_a_key_between() -> None:
    assert read_certificate_file(DAVE.der) == PRESENTED
    assert read_certificate_file(BASE64.encode() + b"\n") == PRESENTED
    assert read_certificate_file(DAVE.pem.encode()) == PRESENTED
    bundle = f"subject: Dave\n{DAVE.pem}{DAVE.key_pem}{ROOT.pem}".encode()
    assert read_certificate_file(bundle) == PresentedCertificate(der=DAVE.der, chain=(ROOT.der,))


@given(st.binary(max_size=300) | st.binary(max_size=80).map(lambda octets: DAVE.pem.encode()[:200] + octets))
def test_any_octets_are_a_presentation(octets: bytes) -> None:
    assert isinstance(read_certificate_file(octets), PresentedCertificate | UnreadableCertificate)
    assert isinstance(read_body(octets.decode("latin-1")), PresentedCertificate | UnreadableCertificate)
