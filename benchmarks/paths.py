"""Measure whole verifications of a certification path against the bare client verifier of `cryptography`.

Run by hand: `PYTHONPATH=. .venv/bin/python benchmarks/paths.py`. One process, one thread. *First time*: nothing is
remembered in between but what a configuration holds; *again*: the path was accepted before. *Ours* is `verify_path`
from the presented octets to the evidence: both strict readings, names, all of RFC 5280 section 6.1, the client
profile. *Bare* parses the same presented octets and asks a verifier built for this instant; roots and configured
intermediates are parsed before the clock runs. All take turns; the clock counts time of computing, and the figures are
medians of rounds.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store

from authsvc.presented.presentation import PresentedCertificate
from authsvc.sample_world.pki import Authority, KeyKind, mail
from authsvc.trust.anchors import AnchorSettings, TrustAnchor, TrustStore
from authsvc.trust.certificate import read_certificate
from authsvc.trust.path import VerifiedCertificate, verify_path
from authsvc.trust.path_memory import PathMemory

_ROUNDS = 7
_PATHS = 400
"""Paths of one round: some 0.1 s."""

_LEAVES = 50
"""Different certificates that take turns."""

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A root, the authorities below it (the issuing one first), and end entities."""

    root: Authority
    authorities: tuple[Authority, ...]
    leaves: tuple[bytes, ...]


def world(kind: KeyKind, intermediates: int) -> World:
    """Return a world with keys of one kind."""
    root = Authority.root(now=_NOW, key=kind)
    authorities = [root]
    for number in range(intermediates):
        subject = f"CN=Renovations CA {number},OU=Certificates,O=Renovations,C=US"
        authorities.append(authorities[-1].issue_authority(subject, key=kind, path_length=None))
    issuing = authorities[-1]
    leaves = [
        issuing.issue(
            f"CN=Dave Lawson {number},OU=Sales,O=Renovations,C=US",
            key=kind,
            san=[mail(f"d{number}@renovations.com")],
        )
        for number in range(_LEAVES)
    ]
    return World(
        root=root,
        authorities=tuple(reversed(authorities[1:])),
        leaves=tuple(leaf.certificate.public_bytes(Encoding.DER) for leaf in leaves),
    )


class _NoMemory(PathMemory):
    """Remembers nothing: every certificate is seen for the first time."""

    __slots__ = ()

    def keep(self, *_path: object, **_options: object) -> None:
        """Do nothing."""


def ours(made: World, *, presented: bool, again: bool) -> Callable[[int], None]:
    """Return what verifies one end entity with our engine, seen for the first time or remembered."""
    chain = tuple(one.der for one in made.authorities)
    anchor = TrustAnchor.from_der(AnchorSettings(id="corp"), made.root.der)
    store = TrustStore.of([anchor], [] if presented else [read_certificate(der) for der in chain])
    if not again:
        store = replace(store, memory=_NoMemory())

    def verify(number: int) -> None:
        outcome = verify_path(
            PresentedCertificate(der=made.leaves[number % _LEAVES], chain=chain if presented else ()),
            store,
            front_end="nginx",
            now=_NOW,
            clock_skew=_NOTHING,
            accept_expired=_NOTHING,
        )
        assert isinstance(outcome, VerifiedCertificate), outcome

    return verify


def bare(made: World, *, presented: bool) -> Callable[[int], None]:
    """Return what verifies one end entity with the verifier of `cryptography`."""
    chain = [one.der for one in made.authorities]
    configured = [one.certificate for one in made.authorities]
    store = Store([made.root.certificate])

    def verify(number: int) -> None:
        leaf = x509.load_der_x509_certificate(made.leaves[number % _LEAVES])
        pool = [x509.load_der_x509_certificate(der) for der in chain] if presented else configured
        verifier = PolicyBuilder().store(store).time(_NOW).build_client_verifier()
        assert len(verifier.verify(leaf, pool).chain) == len(chain) + 2

    return verify


def microseconds(verify: Callable[[int], None]) -> float:
    """Return how long one verification takes, of one round."""
    begin = time.process_time()
    for number in range(_PATHS):
        verify(number)
    return (time.process_time() - begin) / _PATHS * 1e6


def medians(runs: Sequence[Callable[[], float]]) -> list[float]:
    """Return the median of each, which take turns."""
    rounds = [[run() for run in runs] for _ in range(_ROUNDS + 1)][1:]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def main() -> None:
    """Print one line for each kind of path."""
    print("| path | bare µs | ours, first time µs | ratio | ours, again µs | ratio |")
    print("|---|---|---|---|---|---|")
    for kind in (KeyKind.P256, KeyKind.RSA_2048):
        for intermediates, presented in ((1, False), (1, True), (2, False), (2, True)):
            made = world(kind, intermediates)
            first, again, theirs = medians(
                [
                    partial(microseconds, ours(made, presented=presented, again=False)),
                    partial(microseconds, ours(made, presented=presented, again=True)),
                    partial(microseconds, bare(made, presented=presented)),
                ]
            )
            source = "presented" if presented else "configured"
            count = "one intermediate" if intermediates == 1 else "two intermediates"
            figures = (
                f"{theirs:.0f} | {first:.0f} | {first / theirs:.1f} | {again:.0f} | {again / theirs:.1f}"
            )
            print(f"| {kind.value}, {count}, {source} | {figures} |")


if __name__ == "__main__":
    main()
