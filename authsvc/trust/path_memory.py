"""What was read and proven of certificates whose path was accepted, so that it need not be done for every request.

Lives here: a bounded memory of octets and signatures. Not here: whether a path is in order. That is judged anew each
time, because it depends on the instant, on the front end, and on what else was presented (`path.py`); and verdicts
have a cache of their own (`decision/cache.py`).

Invariants:

* What is remembered is a function of octets alone: how they read, and whether a key made a signature over them. It
  belongs to one `TrustStore` and ends with it.
* Only what stood on an accepted path is remembered, so that strangers cannot push anybody out (threat T76).
* The key of a certificate is its octets, whole: there is no other spelling of it (threat T17).

Used by several threads: single look-ups and stores of a dict are whole; what has several steps holds the lock.
"""

import threading
from collections.abc import Container
from itertools import pairwise
from typing import Final, TypeVar

from authsvc.trust.certificate import CertificateFacts
from directory_assistance.certificate_names import CertificateNames

__all__ = ["PathMemory", "SignaturePair"]

SignaturePair = tuple[bytes, bytes]
"""A certificate, told by its digest, and a key, told by the digest of its SubjectPublicKeyInfo."""

_MOST_CERTIFICATES: Final = 2_000
"""End entities: the people who are at work at one time. Ten kilobytes each, more or less."""

_MOST_HINTS: Final = 200
"""Authorities that clients sent along and that are not configured: real networks have a dozen."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class PathMemory:
    """Certificates of accepted paths as they were read, and the signatures between them; the oldest go first.

    Args:
        most_certificates: end entities that are remembered.
        most_hints: other certificates that clients presented.

    """

    __slots__ = ("_end_entities", "_hints", "_lock", "_most_certificates", "_most_hints", "_pairs")

    def __init__(self, *, most_certificates: int = _MOST_CERTIFICATES, most_hints: int = _MOST_HINTS) -> None:
        self._most_certificates = most_certificates
        self._most_hints = most_hints
        self._end_entities: dict[bytes, tuple[CertificateNames, CertificateFacts]] = {}
        self._hints: dict[bytes, CertificateFacts] = {}
        self._pairs: dict[SignaturePair, bool] = {}
        self._lock = threading.Lock()

    def find_end_entity(self, der: bytes) -> tuple[CertificateNames, CertificateFacts] | None:
        """Return how an end-entity certificate read, None where it is not remembered."""
        return self._end_entities.get(der)

    def find_hint(self, der: bytes) -> CertificateFacts | None:
        """Return how a presented authority's certificate read, None where it is not remembered."""
        return self._hints.get(der)

    def is_proven(self, pair: SignaturePair) -> bool:
        """Whether a signature is known to hold; what is not remembered has to be checked."""
        return pair in self._pairs

    def keep(
        self,
        names: CertificateNames,
        path: tuple[CertificateFacts, ...],
        *,
        configured: Container[bytes],
    ) -> None:
        """Remember an accepted path.

        Args:
            names: of the end entity.
            path: leaf first, anchor last.
            configured: the octets of certificates that need no remembering, because the store has them.

        """
        with self._lock:
            _put(self._end_entities, path[0].der, (names, path[0]), self._most_certificates)
            for facts in path[1:]:
                if facts.der not in configured:
                    _put(self._hints, facts.der, facts, self._most_hints)
            for below, above in pairwise(path):
                if below.der not in configured:
                    pair = (below.sha256, above.key_sha256)
                    _put(self._pairs, pair, True, self._most_certificates + self._most_hints)


def _put(remembered: dict[_Key, _Value], key: _Key, value: _Value, most: int) -> None:
    while len(remembered) >= most and key not in remembered:
        del remembered[next(iter(remembered))]
    remembered[key] = value
