"""Dialect `rfc9440`: what `Client-Cert` and `Client-Cert-Chain` say."""

import base64

import pytest

from authsvc.presented.presentation import (
    NoCertificate,
    Presentation,
    PresentedCertificate,
    UnreadableCertificate,
)
from authsvc.presented.registry import Dialect, read_presentation
from tests.support.presented import byte_sequence, leaf, world

# RFC 9440 appendix A: the certificates of figure 1, and the header fields of figures 2 and 3.
APPENDIX_A = [
    (
        "MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIElu"
        "dGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYI"
        "KoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9"
        "M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAww"
        "CgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/"
        "Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk="
    ),
    (
        "MIIB5jCCAYugAwIBAgIBFjAKBggqhkjOPQQDAjBWMQswCQYDVQQGEwJVUzEbMBkGA1UECgwSTGV0J3MgQXV0aGVudGljYXRlMSow"
        "KAYDVQQDDCFMZXQncyBBdXRoZW50aWNhdGUgUm9vdCBBdXRob3JpdHkwHhcNMjAwMTE0MjEzMjMwWhcNMzAwMTExMjEzMjMwWjA6"
        "MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTBZMBMGByqGSM49AgEGCCqG"
        "SM49AwEHA0IABJf+aA54RC5pyLAR5yfXVYmNpgd+CGUTDp2KOGhc0gK91zxhHesEYkdXkpS2UN8Kati+yHtWCV3kkhCngGyv7Rqj"
        "ZjBkMB0GA1UdDgQWBBRm3WjLa38lbEYCuiCPct0ZaSED2DAfBgNVHSMEGDAWgBTEA2Q6eecKu9g9yb5glbkhhVINGDASBgNVHRMB"
        "Af8ECDAGAQH/AgEAMA4GA1UdDwEB/wQEAwIBhjAKBggqhkjOPQQDAgNJADBGAiEA5pLvaFwRRkxomIAtDIwg9D7gC1xzxBl4r28E"
        "zmSO1pcCIQCJUShpSXO9HDIQMUgH69fNDEMHXD3RRX5gP7kuu2KGMg=="
    ),
    (
        "MIICBjCCAaygAwIBAgIJAKS0yiqKtlhoMAoGCCqGSM49BAMCMFYxCzAJBgNVBAYTAlVTMRswGQYDVQQKDBJMZXQncyBBdXRoZW50"
        "aWNhdGUxKjAoBgNVBAMMIUxldCdzIEF1dGhlbnRpY2F0ZSBSb290IEF1dGhvcml0eTAeFw0yMDAxMTQyMTI1NDVaFw00MDAxMDky"
        "MTI1NDVaMFYxCzAJBgNVBAYTAlVTMRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxKjAoBgNVBAMMIUxldCdzIEF1dGhlbnRp"
        "Y2F0ZSBSb290IEF1dGhvcml0eTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFoaHU+Z5bPKmGzlYXtCf+E6HYj62fORaHDOrt+y"
        "yh3H/rTcs7ynFfGn+gyFsrSP3Ez88rajv+U2NfD0o0uZ4PmjYzBhMB0GA1UdDgQWBBTEA2Q6eecKu9g9yb5glbkhhVINGDAfBgNV"
        "HSMEGDAWgBTEA2Q6eecKu9g9yb5glbkhhVINGDAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwIBhjAKBggqhkjOPQQDAgNI"
        "ADBFAiEAmAeg1ycKHriqHnaD4M/UDBpQRpkmdcRFYGMg1Qyrkx4CIB4ivz3wQcQkGhcsUZ1SOImd/lq1Q0FLf09rGfLQPWDc"
    ),
]


def read(*fields: tuple[bytes, bytes]) -> Presentation:
    return read_presentation(Dialect.RFC9440, [(b"host", b"app.example"), *fields])


def problem_of(*fields: tuple[bytes, bytes]) -> str:
    presentation = read(*fields)
    assert isinstance(presentation, UnreadableCertificate)
    return presentation.problem


def test_the_example_of_rfc_9440_appendix_a_is_read() -> None:
    """Leaf and both chain certificates come out byte for byte."""
    certificate = f":{APPENDIX_A[0]}:".encode()
    chain = f":{APPENDIX_A[1]}:, :{APPENDIX_A[2]}:".encode()
    expected = [base64.b64decode(text) for text in APPENDIX_A]
    assert PresentedCertificate(der=expected[0], chain=(expected[1], expected[2])) == read(
        (b"client-cert", certificate), (b"client-cert-chain", chain)
    )


def test_space_and_tab_around_the_value_do_not_count() -> None:
    assert PresentedCertificate(der=leaf()) == read((b"client-cert", b" \t" + byte_sequence(leaf()) + b"\t "))


def test_the_chain_may_stand_on_several_lines() -> None:
    """RFC 9440 section 2.3: the list may be split over field lines, in order."""
    issuing, root = world().issuing.der, world().root.der
    assert PresentedCertificate(der=leaf(), chain=(issuing, root)) == read(
        (b"client-cert", byte_sequence(leaf())),
        (b"client-cert-chain", byte_sequence(issuing)),
        (b"client-cert-chain", byte_sequence(root)),
    )


@pytest.mark.parametrize("chain", [b"", b"::"], ids=["an empty list", "`::`, as HAProxy sends on resumption"])
def test_a_chain_without_certificates_is_no_chain(chain: bytes) -> None:
    expected = PresentedCertificate(der=leaf())
    assert expected == read((b"client-cert", byte_sequence(leaf())), (b"client-cert-chain", chain))


@pytest.mark.parametrize(
    "fields",
    [(), ((b"client-cert", b"::"),), ((b"client-cert", b" ::\t"),)],
    ids=["absent", "`::`", "padded"],
)
def test_no_certificate_has_these_spellings(fields: tuple[tuple[bytes, bytes], ...]) -> None:
    assert NoCertificate() == read(*fields)


def test_t82_an_empty_field_is_a_lost_certificate() -> None:
    """Load balancers empty the field when the certificate is too large: never anonymous."""
    assert problem_of((b"client-cert", b"")) == "expected a byte sequence `:base64:` without parameters"


def test_t82_a_lost_certificate_with_a_verify_result_is_unreadable() -> None:
    """HAProxy over its buffer sends `::` and verify result 0."""
    assert "another dialect" in problem_of((b"client-cert", b"::"), (b"x-ssl-client-verify", b"0"))


@pytest.mark.parametrize("fields", [(), ((b"client-cert", b"::"),)], ids=["absent", "`::`"])
def test_a_chain_without_a_certificate_is_unreadable(fields: tuple[tuple[bytes, bytes], ...]) -> None:
    assert "beside Client-Cert-Chain" in problem_of(*fields, (b"client-cert-chain", byte_sequence(leaf())))


def test_t09_ten_chain_certificates_are_read() -> None:
    chain = b", ".join([byte_sequence(world().issuing.der)] * 10)
    presentation = read((b"client-cert", byte_sequence(leaf())), (b"client-cert-chain", chain))
    assert isinstance(presentation, PresentedCertificate)
    assert len(presentation.chain) == 10


def test_t09_eleven_chain_certificates_are_refused() -> None:
    chain = b", ".join([byte_sequence(world().issuing.der)] * 11)
    problem = problem_of((b"client-cert", byte_sequence(leaf())), (b"client-cert-chain", chain))
    assert problem == "expected at most 10 chain certificates, found 11"


def test_t12_escaped_pem_is_not_guessed() -> None:
    assert "byte sequence" in problem_of((b"client-cert", b"-----BEGIN%20CERTIFICATE-----%0AMIIB"))


def deviations() -> dict[str, bytes]:
    good = byte_sequence(leaf())
    der = leaf()
    return {
        "a single colon": b":",
        "a parameter": good + b";a=1",
        "no closing colon": good[:-1],
        "no opening colon": good[1:],
        "a list of two": good + b", " + good,
        "two glued together": good + good,
        "a space inside": good[:20] + b" " + good[20:],
        "a line of base64 folded by a tab": good[:20] + b"\t" + good[20:],
        "padding missing": byte_sequence(der + b"\x00").replace(b"=", b""),
        "padding too much": good[:-1] + b"====:",
        "base64url": byte_sequence(der).replace(b"+", b"-").replace(b"/", b"_")[:-1] + b"-:",
        "bits below the padding": b":MAA=:".replace(b"AA=", b"AB="),
        "one byte after the certificate": byte_sequence(der + b"\x00"),
        "two certificates in one sequence": byte_sequence(der + der),
        "one byte missing": byte_sequence(der[:-1]),
        "another tag": byte_sequence(b"\x31" + der[1:]),
        "a length that is not minimal": byte_sequence(b"\x30\x83\x00" + der[2:4] + der[4:]),
        "a short length in long form": byte_sequence(b"\x30\x81\x02\x05\x00"),
        "an indefinite length": byte_sequence(b"\x30\x80" + der[4:] + b"\x00\x00"),
        "a length without octets": byte_sequence(b"\x30\x82"),
        "the tag alone": byte_sequence(b"\x30"),
        "no base64 at all": b":\xff\xfe:",
    }


@pytest.mark.parametrize("value", deviations().values(), ids=deviations().keys())
def test_t10_whatever_is_left_over_is_unreadable(value: bytes) -> None:
    assert isinstance(read((b"client-cert", value)), UnreadableCertificate)


def test_the_shortest_sequence_is_passed_on() -> None:
    """Whether it is a certificate is not decided here."""
    assert PresentedCertificate(der=b"\x30\x00") == read((b"client-cert", byte_sequence(b"\x30\x00")))


def test_an_element_of_the_chain_is_read_as_strictly() -> None:
    fields = (
        (b"client-cert", byte_sequence(leaf())),
        (b"client-cert-chain", byte_sequence(leaf() + b"\x00")),
    )
    assert isinstance(read(*fields), UnreadableCertificate)
