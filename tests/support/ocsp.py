"""OCSP for tests: responses made octet by octet, so that every deviation can be made, and a responder on loopback.

The builder of `cryptography` makes neither several single responses nor anything that is wrong; what is made here is
held against its reader in `test_trust_ocsp.py`.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from directory_assistance.der import SEQUENCE, read_element, read_elements
from tests.support.pki import NOW, Authority, Issued, PrivateKey, der_element

__all__ = [
    "GOOD",
    "NO_CHECK",
    "NO_NEXT_UPDATE",
    "OCSP_SIGNING",
    "UNKNOWN",
    "OcspServer",
    "Reply",
    "access_to",
    "by_key",
    "by_name",
    "certificate_id",
    "delegate",
    "encoded_time",
    "extension",
    "failed",
    "nonce_extension",
    "nonce_of",
    "object_identifier",
    "response",
    "revoked",
    "serial_of",
    "serving_ocsp",
    "single",
    "wrapped",
]

Holder = Authority | Issued

OCSP_SIGNING = ExtendedKeyUsageOID.OCSP_SIGNING
NO_CHECK = (x509.OCSPNoCheck(), False)

GOOD = bytes.fromhex("8000")
UNKNOWN = bytes.fromhex("8200")
NO_NEXT_UPDATE = datetime(1970, 1, 1)  # noqa: DTZ001 - a mark, never compared

_HASHES = {"sha1": "1.3.14.3.2.26", "sha256": "2.16.840.1.101.3.4.2.1", "md5": "1.2.840.113549.2.5"}
_ECDSA = {"sha1": "1.2.840.10045.4.1", "sha256": "1.2.840.10045.4.3.2"}
_ED25519 = "1.3.101.112"


def object_identifier(dotted: str) -> bytes:
    """Return the DER of an object identifier."""
    arcs = [int(arc) for arc in dotted.split(".")]
    content = bytearray()
    for arc in (40 * arcs[0] + arcs[1], *arcs[2:]):
        octets = [arc & 0x7F]
        while arc := arc >> 7:
            octets.append(arc & 0x7F | 0x80)
        content.extend(reversed(octets))
    return der_element(0x06, bytes(content))


def encoded_time(instant: datetime) -> bytes:
    """Return the DER of a GeneralizedTime."""
    return der_element(0x18, instant.strftime("%Y%m%d%H%M%SZ").encode())


def extension(dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    """Return the DER of an extension."""
    flag = b"\x01\x01\xff" if critical else b""
    return der_element(SEQUENCE, object_identifier(dotted) + flag + der_element(0x04, value))


def nonce_extension(nonce: bytes, *, critical: bool = False) -> bytes:
    """Return the nonce extension of RFC 9654."""
    return extension("1.3.6.1.5.5.7.48.1.2", der_element(0x04, nonce), critical=critical)


def revoked(since: datetime = NOW - timedelta(days=3), *, reason: int | None = None) -> bytes:
    """Return the status "revoked"."""
    why = b"" if reason is None else der_element(0xA0, der_element(0x0A, bytes([reason])))
    return der_element(0xA1, encoded_time(since) + why)


def _integer(value: int) -> bytes:
    return der_element(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _key_octets(holder: Holder) -> bytes:
    info = holder.certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return read_elements(read_element(info, SEQUENCE).content)[1].content[1:]


def certificate_id(
    subject: Holder, issuer: Holder, *, hash_name: str = "sha1", serial: int | None = None
) -> bytes:
    """Return the CertID of a certificate."""
    name = issuer.certificate.subject.public_bytes()
    algorithm = der_element(SEQUENCE, object_identifier(_HASHES[hash_name]) + b"\x05\x00")
    digests = b"".join(
        der_element(0x04, hashlib.new(hash_name, octets).digest()) for octets in (name, _key_octets(issuer))
    )
    number = subject.certificate.serial_number if serial is None else serial
    return der_element(SEQUENCE, algorithm + digests + _integer(number))


def single(
    subject: Holder,
    issuer: Holder,
    status: bytes = GOOD,
    *,
    hash_name: str = "sha1",
    serial: int | None = None,
    this_update: datetime = NOW - timedelta(minutes=5),
    next_update: datetime = NOW + timedelta(hours=1),
    extensions: Sequence[bytes] = (),
) -> bytes:
    """Return what is said of one certificate; by default that it is good, for an hour."""
    next_field = b"" if next_update is NO_NEXT_UPDATE else der_element(0xA0, encoded_time(next_update))
    return der_element(
        SEQUENCE,
        certificate_id(subject, issuer, hash_name=hash_name, serial=serial)
        + status
        + encoded_time(this_update)
        + next_field
        + _extensions(extensions),
    )


def _extensions(extensions: Sequence[bytes]) -> bytes:
    return der_element(0xA1, der_element(SEQUENCE, b"".join(extensions))) if extensions else b""


def by_key(holder: Holder) -> bytes:
    """Return the responder ID that names a key."""
    return der_element(0xA2, der_element(0x04, hashlib.sha1(_key_octets(holder)).digest()))  # noqa: S324 - RFC 6960


def by_name(holder: Holder) -> bytes:
    """Return the responder ID that is a name."""
    return der_element(0xA1, holder.certificate.subject.public_bytes())


def response(
    *singles: bytes,
    signer: Holder,
    key: PrivateKey | None = None,
    responder_id: bytes | None = None,
    produced_at: datetime = NOW,
    extensions: Sequence[bytes] = (),
    certificates: Sequence[Holder | bytes] = (),
    version: bytes = b"",
    hash_name: str = "sha256",
) -> bytes:
    """Return a response, by default correct.

    Args:
        singles: from `single`.
        signer: whom the response names.
        key: another key than the signer's.
        responder_id: another than `by_key(signer)`.
        produced_at: when.
        extensions: from `extension`.
        certificates: that stand in it.
        version: the encoded field, absent by default.
        hash_name: of the signature.

    """
    signed = der_element(
        SEQUENCE,
        version
        + (responder_id or by_key(signer))
        + encoded_time(produced_at)
        + der_element(SEQUENCE, b"".join(singles))
        + _extensions(extensions),
    )
    algorithm, signature = _sign(key or signer.key, signed, hash_name)
    ders = b"".join(one if isinstance(one, bytes) else one.der for one in certificates)
    return wrapped(
        signed
        + der_element(SEQUENCE, object_identifier(algorithm))
        + der_element(0x03, b"\x00" + signature)
        + (der_element(0xA0, der_element(SEQUENCE, ders)) if certificates else b"")
    )


def wrapped(basic: bytes, *, response_type: str = "1.3.6.1.5.5.7.48.1.1") -> bytes:
    """Return a successful response around the content of a basic one."""
    octets = object_identifier(response_type) + der_element(0x04, der_element(SEQUENCE, basic))
    return der_element(SEQUENCE, b"\x0a\x01\x00" + der_element(0xA0, der_element(SEQUENCE, octets)))


def failed(status: int) -> bytes:
    """Return a response that says that there is none."""
    return der_element(SEQUENCE, der_element(0x0A, bytes([status])))


def _sign(key: PrivateKey, signed: bytes, hash_name: str) -> tuple[str, bytes]:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return _ED25519, key.sign(signed)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    chosen = hashes.SHA1() if hash_name == "sha1" else hashes.SHA256()  # noqa: S303 - a deviation
    return _ECDSA[hash_name], key.sign(signed, ec.ECDSA(chosen))


def delegate(issuer: Authority, subject: str = "CN=OCSP,O=Renovations", **deviation: object) -> Issued:
    """Return a certificate that an authority made for OCSP; deviations as for `Authority.issue`."""
    correct: dict[str, object] = {"eku": (OCSP_SIGNING,), "extensions": (NO_CHECK,)}
    return issuer.issue(subject, **(correct | deviation))  # type: ignore[arg-type] # the names are those of `issue`


def access_to(*urls: str) -> tuple[x509.ExtensionType, bool]:
    """Return the extension in which a certificate names its responders."""
    return (
        x509.AuthorityInformationAccess(
            [
                x509.AccessDescription(
                    AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url)
                )
                for url in urls
            ]
        ),
        False,
    )


def nonce_of(request: bytes) -> bytes | None:
    """Return the nonce of a request."""
    try:
        found = ocsp.load_der_ocsp_request(request).extensions.get_extension_for_class(x509.OCSPNonce)
    except x509.ExtensionNotFound:
        return None
    return found.value.nonce


def serial_of(request: bytes) -> int:
    """Return the serial number that is asked about."""
    return ocsp.load_der_ocsp_request(request).serial_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a responder sends: `hangs` sends nothing until the server ends."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/ocsp-response"
    location: str = ""
    hangs: bool = False


Answer = Callable[[bytes], bytes | Reply]


@dataclass(slots=True)
class OcspServer:
    """A responder: `answer` maps a request to a response, and may be changed; `requests` are those that came."""

    answer: Answer
    requests: list[bytes] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def host(self) -> str:
        """What a list of hosts calls it."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.host}/ocsp"


@contextmanager
def serving_ocsp(answer: Answer) -> Iterator[OcspServer]:
    """Run a responder on a free port of loopback."""
    server = OcspServer(answer=answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"]))
            server.requests.append(request)
            server.arrived.release()
            answered = server.answer(request)
            reply = Reply(body=answered) if isinstance(answered, bytes) else answered
            if reply.hangs:
                server.released.wait(30)
                return
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
            if reply.location:
                self.send_header("Location", reply.location)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server.port = listener.server_address[1]
    thread = threading.Thread(target=lambda: listener.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        listener.shutdown()
        listener.server_close()
        thread.join()
