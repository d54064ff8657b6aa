"""Measure a directory of type `ldif`: how long a large file takes to read, what it weighs, how fast it answers.

Run by hand: `.venv/bin/python benchmarks/ldif.py [ENTRIES]`. It makes its own file in a temporary folder.
"""

import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from people import GROUPS, certificate_of, dn_of, lines, template

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
        print(f"{count} entries, {GROUPS} groups, {path.stat().st_size / 1e6:.0f} MB")
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
        person = read_ldap_dn(dn_of(number))
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
