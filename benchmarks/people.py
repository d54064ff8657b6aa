"""A hundred thousand people with certificates, as LDIF: what several benchmarks run over.

The certificates are one template with other serial numbers and names of the same length: nobody checks their
signatures.
"""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

__all__ = ["GROUPS", "certificate_of", "dn_of", "lines", "template"]

_SERIAL = 0x4000_0000_0000_0000_0000
_NUMBER = "00000000"
GROUPS = 1_000
_UNITS = 50


def template() -> bytes:
    """Return a certificate whose serial number and name are patched for each person."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Acme Issuing CA"),
        ]
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Person {_NUMBER}")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(_SERIAL)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.RFC822Name(f"p{_NUMBER}@acme.example")]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.DER)


def certificate_of(whole: bytes, number: int) -> bytes:
    """Return the template as the certificate of one person."""
    serial = _SERIAL.to_bytes(10, "big")
    patched = whole.replace(serial, (_SERIAL + number).to_bytes(10, "big"))
    return patched.replace(_NUMBER.encode(), f"{number:08}".encode())


def dn_of(number: int) -> str:
    """Return the name of one person."""
    return f"cn=Person {number:08},ou=Unit {number % _UNITS},o=Acme"


def lines(whole: bytes, count: int) -> Iterator[str]:
    """Yield the file as `ldapsearch` writes it: base64, folded at 78 characters."""
    yield "version: 1\n\ndn: o=Acme\nobjectClass: organization\no: Acme\n"
    for unit in range(_UNITS):
        yield f"\ndn: ou=Unit {unit},o=Acme\nobjectClass: organizationalUnit\nou: Unit {unit}\n"
    for number in range(count):
        encoded = base64.b64encode(certificate_of(whole, number)).decode()
        folded = f"userCertificate;binary:: {encoded}"
        parts = [folded[:78], *(folded[at : at + 77] for at in range(78, len(folded), 77))]
        yield (
            f"\ndn: {dn_of(number)}\n"
            "objectClass: top\nobjectClass: person\nobjectClass: organizationalPerson\nobjectClass: inetOrgPerson\n"
            f"cn: Person {number:08}\nsn: {number:08}\nuid: p{number:08}\nmail: p{number:08}@acme.example\n"
            f"telephoneNumber: +49 30 {number:08}\nemployeeNumber: {number}\n" + "\n ".join(parts) + "\n"
        )
    for group in range(GROUPS):
        members = (f"member: {dn_of(n)}\n" for n in range(group, count, GROUPS))
        yield f"\ndn: cn=Group {group},o=Acme\nobjectClass: groupOfNames\ncn: Group {group}\n" + "".join(
            members
        )
