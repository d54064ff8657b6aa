"""Measure a directory of type `ldif`: how long a large file takes to read, what it weighs, how fast it answers.

Run by hand: `.venv/bin/python benchmarks/ldif.py [ENTRIES]`. It makes its own file in a temporary folder. The
certificates are one template with other serial numbers and names of the same length: nobody checks their signatures.
"""

import base64
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from directory_assistance.backends.ldif import LdifDirectory, LdifSettings
from directory_assistance.candidates import (
    Candidate,
    CertificateCandidate,
    FilterCandidate,
    FindBy,
    SubjectCandidate,
    TextCandidate,
)
from directory_assistance.certificate_names import read_certificate_names
from directory_assistance.dn import read_ldap_dn
from directory_assistance.filters import Equality

_SERIAL = 0x4000_0000_0000_0000_0000
_NUMBER = "00000000"
_GROUPS = 1_000


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


def lines(whole: bytes, count: int) -> Iterator[str]:
    """Yield the file as `ldapsearch` writes it: base64, folded at 78 characters."""
    yield "version: 1\n\ndn: o=Acme\nobjectClass: organization\no: Acme\n"
    for number in range(count):
        encoded = base64.b64encode(certificate_of(whole, number)).decode()
        folded = f"userCertificate;binary:: {encoded}"
        parts = [folded[:78], *(folded[at : at + 77] for at in range(78, len(folded), 77))]
        yield (
            f"\ndn: cn=Person {number:08},ou=Unit {number % 50},o=Acme\n"
            "objectClass: top\nobjectClass: person\nobjectClass: organizationalPerson\nobjectClass: inetOrgPerson\n"
            f"cn: Person {number:08}\nsn: {number:08}\nuid: p{number:08}\nmail: p{number:08}@acme.example\n"
            f"telephoneNumber: +49 30 {number:08}\nemployeeNumber: {number}\n" + "\n ".join(parts) + "\n"
        )
    for group in range(_GROUPS):
        members = (
            f"member: cn=Person {n:08},ou=Unit {n % 50},o=Acme\n" for n in range(group, count, _GROUPS)
        )
        yield f"\ndn: cn=Group {group},o=Acme\nobjectClass: groupOfNames\ncn: Group {group}\n" + "".join(
            members
        )


def memory() -> float:
    """Return the resident memory of this process now, in megabytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def measured(directory: LdifDirectory, candidate: Candidate, *, rounds: int) -> float:
    """Return the median time of a look-up that finds one entry, in microseconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        found = directory.find_entries(candidate, limit=2, deadline=time.monotonic() + 60)
        times.append(time.perf_counter() - start)
        assert len(found.entries) == 1
    return statistics.median(times) * 1e6


def main() -> None:
    """Make the file, read it, ask."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    whole = template()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.ldif"
        with path.open("w", encoding="utf-8") as stream:
            stream.writelines(lines(whole, count))
        print(f"{count} entries, {_GROUPS} groups, {path.stat().st_size / 1e6:.0f} MB")
        before = memory()
        directory = LdifDirectory("Acme", LdifSettings(path=path))
        start, busy = time.perf_counter(), time.process_time()
        directory.check(deadline=time.monotonic() + 600)
        print(
            f"read in {time.perf_counter() - start:.1f} s, {time.process_time() - busy:.1f} s of them computing"
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        print(f"memory: {before:.0f} MB before, {memory():.0f} MB after, {peak:.0f} MB at most")
        number = count // 2
        der = certificate_of(whole, number)
        names = read_certificate_names(der)
        person = read_ldap_dn(f"cn=Person {number:08},ou=Unit {number % 50},o=Acme")
        ways: dict[str, tuple[Candidate, int]] = {
            "certificate": (CertificateCandidate(der=der, issuer=names.issuer, serial=names.serial), 1_000),
            "subject": (SubjectCandidate(dn=person), 1_000),
            "mail": (TextCandidate(find_by=FindBy.MAIL, text=f"p{number:08}@acme.example"), 1_000),
            "filter": (FilterCandidate(filter=Equality(attribute="employeeNumber", value=f"{number}")), 3),
        }
        for way, (candidate, rounds) in ways.items():
            print(f"{way}: {measured(directory, candidate, rounds=rounds):.0f} µs")
        start = time.perf_counter()
        groups = directory.find_groups([person], deadline=time.monotonic() + 60)
        print(f"groups: {(time.perf_counter() - start) * 1e6:.0f} µs, {len(groups)} found")
        directory.close()


if __name__ == "__main__":
    main()
