"""What all dialects have in common: one's own fields, once, in one spelling, within limits."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.presented.header_fields import LARGEST_VALUE_BYTES
from authsvc.presented.presentation import (
    NoCertificate,
    PresentedCertificate,
    RejectedByFrontEnd,
    UnreadableCertificate,
)
from authsvc.presented.registry import (
    DEFAULT_HEADERS,
    KNOWN_CERTIFICATE_HEADERS,
    Dialect,
    DialectHeaders,
    HandshakeCertificates,
    PresentationReader,
    read_presentation,
)
from tests.support.presented import byte_sequence, escaped_pem, leaf, world

GOOD = {
    Dialect.RFC9440: [(b"client-cert", byte_sequence(leaf()))],
    Dialect.NGINX: [(b"x-ssl-client-cert", escaped_pem(leaf())), (b"x-ssl-client-verify", b"SUCCESS")],
    Dialect.TLS: [],
}
HANDSHAKE = HandshakeCertificates(certificate=leaf())
OWN = {
    Dialect.RFC9440: {b"client-cert", b"client-cert-chain"},
    Dialect.NGINX: {b"x-ssl-client-cert", b"x-ssl-client-verify"},
    Dialect.TLS: set[bytes](),
}
FOREIGN = [
    (dialect, name) for dialect in Dialect for name in sorted(KNOWN_CERTIFICATE_HEADERS - OWN[dialect])
]


@pytest.mark.parametrize("dialect", Dialect)
def test_each_dialect_reads_its_own(dialect: Dialect) -> None:
    """The neighbour of every refusal below."""
    fields = [(b"accept", b"*/*"), *GOOD[dialect], (b"remote-user", b"forged")]
    assert PresentedCertificate(der=leaf()) == read_presentation(dialect, fields, handshake=HANDSHAKE)


@pytest.mark.parametrize(("dialect", "name"), FOREIGN)
def test_t02_a_header_of_another_dialect_is_refused(dialect: Dialect, name: bytes) -> None:
    fields = [*GOOD[dialect], (name, b"")]
    expected = f"`{name.decode()}` is a certificate header of another dialect, expected only our own"
    assert UnreadableCertificate(problem=expected) == read_presentation(dialect, fields, handshake=HANDSHAKE)


@pytest.mark.parametrize("dialect", [Dialect.RFC9440, Dialect.NGINX])
@pytest.mark.parametrize("position", [0, -1], ids=["first", "last"])
def test_t03_a_duplicate_line_is_refused(dialect: Dialect, position: int) -> None:
    fields = [*GOOD[dialect], GOOD[dialect][position]]
    name = GOOD[dialect][position][0].decode()
    expected = f"expected one line of `{name}`, found several"
    assert UnreadableCertificate(problem=expected) == read_presentation(dialect, fields)


@pytest.mark.parametrize(
    "name",
    [
        b"client_cert",
        b"client-cert_chain",
        b"x_ssl_client_cert",
        b"x-ssl_client-verify",
        b"ssl_client_cert",
        b"client.cert",
        b"x_forwarded_client_cert",
    ],
)
@pytest.mark.parametrize("dialect", Dialect)
def test_t04_another_spelling_is_refused(dialect: Dialect, name: bytes) -> None:
    fields = [*GOOD[dialect], (name, b"::")]
    presentation = read_presentation(dialect, fields, handshake=HANDSHAKE)
    assert isinstance(presentation, UnreadableCertificate)
    assert "another spelling" in presentation.problem


@pytest.mark.parametrize(
    "value", [b"client-cert", b"close, X-SSL-Client-Cert", b"keep-alive,\tClient_Cert-Chain "]
)
@pytest.mark.parametrize("dialect", Dialect)
def test_t04_connection_naming_a_certificate_header_is_refused(dialect: Dialect, value: bytes) -> None:
    fields = [*GOOD[dialect], (b"connection", value)]
    presentation = read_presentation(dialect, fields, handshake=HANDSHAKE)
    assert isinstance(presentation, UnreadableCertificate)
    assert "`Connection` names" in presentation.problem


def test_an_ordinary_connection_header_is_no_matter() -> None:
    fields = [*GOOD[Dialect.RFC9440], (b"connection", b"close, Upgrade")]
    assert PresentedCertificate(der=leaf()) == read_presentation(Dialect.RFC9440, fields)


def padded(size: int) -> bytes:
    """Return a byte sequence of this many bytes; its content is no certificate, but one SEQUENCE."""
    content = (size - 2) // 4 * 3 - 4
    der = b"\x30\x82" + content.to_bytes(2, "big") + bytes(content)
    return byte_sequence(der).rjust(size)


def test_t09_a_header_of_64_kilobytes_is_read() -> None:
    value = padded(LARGEST_VALUE_BYTES)
    assert len(value) == 65_536
    assert isinstance(read_presentation(Dialect.RFC9440, [(b"client-cert", value)]), PresentedCertificate)


def test_t09_a_larger_header_is_refused_before_decoding() -> None:
    value = padded(LARGEST_VALUE_BYTES).rjust(LARGEST_VALUE_BYTES + 1)
    expected = UnreadableCertificate(problem="expected at most 65536 bytes of `client-cert`")
    assert expected == read_presentation(Dialect.RFC9440, [(b"client-cert", value)])


def test_t09_the_lines_of_a_chain_count_together() -> None:
    half = padded(LARGEST_VALUE_BYTES // 2 + 1)
    fields = [*GOOD[Dialect.RFC9440], (b"client-cert-chain", half), (b"client-cert-chain", half)]
    expected = UnreadableCertificate(problem="expected at most 65536 bytes of `client-cert-chain`")
    assert expected == read_presentation(Dialect.RFC9440, fields)


def test_tls_reads_the_handshake_alone() -> None:
    issuing = world().issuing.der
    shaken = HandshakeCertificates(certificate=leaf(), chain=(issuing,))
    assert PresentedCertificate(der=leaf(), chain=(issuing,)) == read_presentation(
        Dialect.TLS, [], handshake=shaken
    )


@pytest.mark.parametrize("handshake", [None, HandshakeCertificates()], ids=["no TLS", "no certificate"])
def test_tls_without_a_certificate_is_none(handshake: HandshakeCertificates | None) -> None:
    assert NoCertificate() == read_presentation(Dialect.TLS, [], handshake=handshake)


def test_the_handshake_says_nothing_in_another_dialect() -> None:
    """A web server's own client certificate is no certificate of its client."""
    assert NoCertificate() == read_presentation(Dialect.RFC9440, [], handshake=HANDSHAKE)


def test_t09_tls_limits_count_and_size() -> None:
    many = HandshakeCertificates(certificate=leaf(), chain=(leaf(),) * 11)
    large = HandshakeCertificates(certificate=leaf(), chain=(b"\x30\x82\xff\xff" + bytes(65_535),))
    assert isinstance(read_presentation(Dialect.TLS, [], handshake=many), UnreadableCertificate)
    assert isinstance(read_presentation(Dialect.TLS, [], handshake=large), UnreadableCertificate)
    enough = HandshakeCertificates(certificate=leaf(), chain=(leaf(),) * 10)
    assert isinstance(read_presentation(Dialect.TLS, [], handshake=enough), PresentedCertificate)


@pytest.mark.parametrize(
    ("dialect", "headers", "problem"),
    [
        (Dialect.RFC9440, DialectHeaders(certificate="A", chain="a"), "a name of its own"),
        (Dialect.RFC9440, DialectHeaders(certificate="A"), "needs the name of its chain header"),
        (Dialect.RFC9440, DialectHeaders(certificate="A", chain="B", verify="C"), "has no verify header"),
        (Dialect.NGINX, DialectHeaders(verify="A"), "needs the name of its certificate header"),
        (Dialect.NGINX, DialectHeaders(certificate="ssl_client_cert", verify="A"), "letters, digits and `-`"),
        (Dialect.NGINX, DialectHeaders(certificate="a b", verify="A"), "expected a header name"),
        (Dialect.TLS, DialectHeaders(certificate="A"), "has no certificate header"),
    ],
)
def test_names_that_cannot_be_told_apart_are_refused(
    dialect: Dialect, headers: DialectHeaders, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        PresentationReader(dialect, headers)


def test_a_renamed_header_is_read_and_the_default_one_refused() -> None:
    names = DialectHeaders(certificate="X-Cert", verify="X-Verify")
    fields = [(b"x-cert", escaped_pem(leaf())), (b"x-verify", b"SUCCESS")]
    assert PresentedCertificate(der=leaf()) == read_presentation(Dialect.NGINX, fields, names)
    forged = [*fields, (b"x-ssl-client-cert", b"")]
    assert isinstance(read_presentation(Dialect.NGINX, forged, names), UnreadableCertificate)
    folded = [*fields, (b"x_cert", b"")]
    assert isinstance(read_presentation(Dialect.NGINX, folded, names), UnreadableCertificate)


def test_the_same_fields_are_read_once() -> None:
    """The hot path: a reading is remembered by the raw bytes."""
    reader = PresentationReader(Dialect.NGINX)
    first = reader.read([*GOOD[Dialect.NGINX], (b"x-request-id", b"1")])
    assert reader.read([(b"x-request-id", b"2"), *GOOD[Dialect.NGINX]]) is first


def test_a_large_reading_is_not_remembered() -> None:
    reader = PresentationReader(Dialect.RFC9440)
    fields = [(b"client-cert", padded(9_000))]
    assert reader.read(fields) is not reader.read(fields)


def test_the_names_of_the_fields_are_known_to_caches() -> None:
    assert PresentationReader(Dialect.RFC9440).header_names == (b"client-cert", b"client-cert-chain")


def test_every_default_name_is_known() -> None:
    names = {
        name.lower().encode()
        for headers in DEFAULT_HEADERS.values()
        for name in (headers.certificate, headers.chain, headers.verify)
        if name is not None
    }
    assert names == names & KNOWN_CERTIFICATE_HEADERS


NAMES = st.one_of(
    st.sampled_from([*sorted(KNOWN_CERTIFICATE_HEADERS), b"connection", b"client_cert", b"x-request-id"]),
    st.text(string.ascii_lowercase + "-_.", min_size=1, max_size=20).map(str.encode),
)
VALUES = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=100).map(byte_sequence),
    st.sampled_from([b"", b"::", b"NONE", b"SUCCESS", b"(null)", byte_sequence(leaf()), escaped_pem(leaf())]),
    st.tuples(st.integers(0, len(leaf()) - 1), st.integers(0, 255)).map(
        lambda change: byte_sequence(leaf()[: change[0]] + bytes([change[1]]) + leaf()[change[0] + 1 :])
    ),
)


@given(
    dialect=st.sampled_from(Dialect), fields=st.lists(st.tuples(NAMES, VALUES), max_size=6), data=st.data()
)
def test_t10_any_fields_give_a_presentation(
    dialect: Dialect, fields: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    """Total: no bytes in any field raise, and where a certificate comes out no foreign field was there."""
    shaken = data.draw(
        st.none() | st.builds(HandshakeCertificates, certificate=st.none() | st.binary(max_size=50))
    )
    presentation = read_presentation(dialect, fields, handshake=shaken)
    assert isinstance(
        presentation, PresentedCertificate | NoCertificate | UnreadableCertificate | RejectedByFrontEnd
    )
    if isinstance(presentation, PresentedCertificate) and dialect is not Dialect.TLS:
        assert {name for name, _ in fields} & KNOWN_CERTIFICATE_HEADERS <= OWN[dialect]
