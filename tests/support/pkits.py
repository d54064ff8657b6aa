"""NIST PKITS: our table of expectations (`fixtures/pkits/`) joined with the data of the package `cryptography-vectors`.

The suite is "Public Key Interoperability Test Suite (PKITS) Certification Path Validation". What each file of the table
means stands in `fixtures/pkits/README.md`.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import cryptography_vectors

from tests.support.batch import BatchCase, batch_case

__all__ = ["PKITS_TIME", "PkitsCase", "pkits_cases"]

PKITS_TIME = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""An instant at which the suite is in force: its certificates and lists run from 2010 to the end of 2030."""

_DATA = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
_TABLE = Path(__file__).parents[2] / "fixtures" / "pkits" / "cases.json"

_ANCHOR = "TrustAnchorRootCertificate.crt"
_ANCHOR_CRL = "TrustAnchorRootCRL.crl"


@dataclass(frozen=True, slots=True, kw_only=True)
class PkitsCase:
    """One case of the table: number and title as in NIST's document, expectation, reason, batch case."""

    id: str
    title: str
    valid: bool
    because: str
    batch: BatchCase


@cache
def _certificate(name: str) -> bytes:
    return (_DATA / "certs" / name).read_bytes()


@cache
def _crl(name: str) -> bytes:
    return (_DATA / "crls" / name).read_bytes()


@cache
def pkits_cases() -> tuple[PkitsCase, ...]:
    """Return every case, in the order of NIST's document."""
    return tuple(
        PkitsCase(
            id=one["id"],
            title=one["title"],
            valid=one["valid"],
            because=one["because"],
            batch=batch_case(
                _certificate(one["certificate"]),
                [_certificate(_ANCHOR)],
                name=one["id"],
                intermediates=[_certificate(name) for name in one["intermediates"]],
                crls=[_crl(name) for name in (_ANCHOR_CRL, *one["crls"])],
                policies=one["policies"],
                explicit_policy=one["explicit_policy"],
                inhibit_policy_mapping=one["inhibit_policy_mapping"],
                inhibit_any_policy=one["inhibit_any_policy"],
                at=PKITS_TIME,
                revocation="require",
            ),
        )
        for one in json.loads(_TABLE.read_text())
    )
