"""Dialect `nginx`: what certificate and verify result say together."""

from urllib.parse import quote

import pytest

from authsvc.presented.presentation import (
    NoCertificate,
    Presentation,
    PresentedCertificate,
    RejectedByFrontEnd,
    UnreadableCertificate,
)
from authsvc.presented.registry import Dialect, DialectHeaders, read_presentation
from tests.support.presented import byte_sequence, escaped_pem, leaf, world

PEM = world().dave.pem


def read(certificate: bytes | None, verify: bytes | None) -> Presentation:
    fields = [(b"host", b"app.example")]
    if certificate is not None:
        fields.append((b"x-ssl-client-cert", certificate))
    if verify is not None:
        fields.append((b"x-ssl-client-verify", verify))
    return read_presentation(Dialect.NGINX, fields)


def test_success_with_a_certificate_is_presented() -> None:
    assert PresentedCertificate(der=leaf()) == read(escaped_pem(leaf()), b"SUCCESS")


def test_space_and_tab_around_both_values_do_not_count() -> None:
    assert PresentedCertificate(der=leaf()) == read(b"\t" + escaped_pem(leaf()) + b" ", b" SUCCESS\t")


@pytest.mark.parametrize("certificate", [None, b"", b"  "], ids=["absent", "empty", "blank"])
def test_none_without_a_certificate_is_no_certificate(certificate: bytes | None) -> None:
    assert NoCertificate() == read(certificate, b"NONE")


@pytest.mark.parametrize("verify", [b"SUCCESS", b"", None], ids=["SUCCESS", "empty", "absent"])
def test_t82_without_a_certificate_only_none_says_that_there_was_none(verify: bytes | None) -> None:
    assert isinstance(read(None, verify), UnreadableCertificate)


@pytest.mark.parametrize("verify", [b"FAILED:certificate has expired", b"FAILED", b"GENEROUS", b"0", b"none"])
def test_a_failed_result_without_a_certificate_is_rejected(verify: bytes) -> None:
    assert isinstance(read(None, verify), RejectedByFrontEnd)


@pytest.mark.parametrize(
    "verify",
    [
        b"NONE",
        b"FAILED:self-signed certificate",
        b"FAILED",
        b"",
        b"0",
        b"success",
        b"SUCCESS:",
        b"GENEROUS",
        None,
    ],
    ids=lambda verify: "absent" if verify is None else verify.decode() or "empty",
)
def test_t06_a_certificate_without_success_is_rejected(verify: bytes | None) -> None:
    assert isinstance(read(escaped_pem(leaf()), verify), RejectedByFrontEnd)


def test_the_result_is_quoted_for_the_record() -> None:
    expected = "verify result is `FAILED:expired\\x1b`, expected `SUCCESS`"
    assert RejectedByFrontEnd(problem=expected) == read(escaped_pem(leaf()), b"FAILED:expired\x1b")


def test_an_unreadable_certificate_is_unreadable_whatever_the_result() -> None:
    """The order of semantics section 9: unreadable goes before untrusted."""
    assert isinstance(read(b"garbage", b"FAILED:x"), UnreadableCertificate)


FORMS = {
    "lower-case escapes": quote(PEM, safe="").replace("%0A", "%0a"),
    "raw plus, slash and equals": quote(PEM, safe="+/="),
    "no line end after the last line": quote(PEM.rstrip("\n"), safe=""),
    "carriage returns": quote(PEM.replace("\n", "\r\n"), safe=""),
    "everything escaped": "".join(f"%{octet:02X}" for octet in PEM.encode()),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_percent_encoding_has_these_forms(form: str) -> None:
    assert PresentedCertificate(der=leaf()) == read(form.encode(), b"SUCCESS")


def test_t10_a_plus_is_a_plus() -> None:
    """Read as a space it would break the base64 of any certificate that has one."""
    der = next(
        one.der for one in (world().issuing.issue() for _ in range(100)) if b"+" in byte_sequence(one.der)
    )
    raw = escaped_pem(der).replace(b"%2B", b"+")
    assert PresentedCertificate(der=der) == read(raw, b"SUCCESS")


DEVIATIONS = {
    "T10 an escape cut off": quote(PEM, safe="")[:-1],
    "T10 an escape that is no hexadecimal": quote(PEM, safe="").replace("%0A", "%0G", 1),
    "T10 a raw space": quote(PEM, safe=" "),
    "T10 one-line PEM": PEM.replace("\n", " "),
    "T10 tab-folded PEM": PEM.replace("\n", "\t"),
    "T10 two blocks": quote(PEM + PEM, safe=""),
    "T10 text before the block": quote("x\n" + PEM, safe=""),
    "T10 text after the block": quote(PEM + "x", safe=""),
    "T10 a blank line after the block": quote(PEM + "\n", safe=""),
    "T10 a blank line inside": quote(PEM.replace("\n", "\n\n", 1), safe=""),
    "T10 a NUL after the block": quote(PEM + "\0", safe=""),
    "T10 a space inside a line": quote(PEM.replace("M", "M ", 1).replace("M IFICATE", "MIFICATE"), safe=""),
    "T10 another label": quote(PEM.replace("CERTIFICATE", "TRUSTED CERTIFICATE"), safe=""),
    "T10 an empty block": quote("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", safe=""),
    "T12 base64 DER": byte_sequence(leaf())[1:-1].decode(),
    "T12 a byte sequence": byte_sequence(leaf()).decode(),
    "`(null)`, which is Apache's": "(null)",
    "`::`, which is RFC 9440's": "::",
    "not ASCII once decoded": quote(PEM, safe="") + "%E2%80%A8",
}


@pytest.mark.parametrize("certificate", DEVIATIONS.values(), ids=DEVIATIONS.keys())
@pytest.mark.parametrize("verify", [b"SUCCESS", b"NONE"])
def test_another_form_is_unreadable(certificate: str, verify: bytes) -> None:
    assert isinstance(read(certificate.encode(), verify), UnreadableCertificate)


def test_ingress_nginx_has_its_own_names() -> None:
    names = DialectHeaders(certificate="ssl-client-cert", verify="ssl-client-verify")
    fields = [(b"ssl-client-cert", escaped_pem(leaf())), (b"ssl-client-verify", b"SUCCESS")]
    assert PresentedCertificate(der=leaf()) == read_presentation(Dialect.NGINX, fields, names)
