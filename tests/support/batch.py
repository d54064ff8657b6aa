"""Cases of `authsvc verify --batch` as the contract writes them, and the command that answers them.

What lives here: the shape of a line, and the real command in a process of its own. What does not: where cases come
from (`pkits.py`, `chains.py`, `hostile.py`), and what others say about them (`oracles.py`).
"""

import base64
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypedDict

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.pki import NOW, Authority, Issued, IssuedCrl

__all__ = ["Answer", "BatchCase", "Certificate", "batch_case", "crl_pem", "pem_of", "verify_batch"]

_LONGEST_RUN = 240.0
"""Seconds until a batch that hangs fails the test."""

Certificate = Authority | Issued | x509.Certificate | bytes
"""A certificate in any form that a case is made of; octets are DER, or pretend to be."""


class BatchCase(TypedDict):
    """One line of `--batch` (contract section 5): PEM strings, RFC 3339, empty policies mean any policy."""

    id: str
    certificate: str
    anchors: list[str]
    intermediates: list[str]
    crls: list[str]
    policies: list[str]
    explicit_policy: bool
    inhibit_policy_mapping: bool
    inhibit_any_policy: bool
    profile: Literal["client", "rfc5280"]
    at: str
    revocation: Literal["require", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One line that came back; `id` is None where the line's own could not be read."""

    id: str | None
    valid: bool
    reason: str
    milliseconds: float


def pem_of(one: Certificate) -> str:
    """Return a certificate as PEM text."""
    match one:
        case bytes():
            return _armour("CERTIFICATE", one)
        case x509.Certificate():
            return _armour("CERTIFICATE", one.public_bytes(Encoding.DER))
        case _:
            return one.pem


def crl_pem(one: IssuedCrl | bytes) -> str:
    """Return a revocation list as PEM text."""
    return _armour("X509 CRL", one) if isinstance(one, bytes) else one.pem


def _armour(label: str, der: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"


def batch_case(
    certificate: Certificate,
    anchors: Iterable[Certificate],
    *,
    name: str = "case",
    intermediates: Iterable[Certificate] = (),
    crls: Iterable[IssuedCrl | bytes] = (),
    policies: Iterable[str] = (),
    explicit_policy: bool = False,
    inhibit_policy_mapping: bool = False,
    inhibit_any_policy: bool = False,
    profile: Literal["client", "rfc5280"] = "rfc5280",
    at: datetime = NOW,
    revocation: Literal["require", "off"] = "off",
) -> BatchCase:
    """Return a case; what is not named is ordinary, and nobody looks at revocation."""
    return BatchCase(
        id=name,
        certificate=pem_of(certificate),
        anchors=[pem_of(anchor) for anchor in anchors],
        intermediates=[pem_of(intermediate) for intermediate in intermediates],
        crls=[crl_pem(crl) for crl in crls],
        policies=list(policies),
        explicit_policy=explicit_policy,
        inhibit_policy_mapping=inhibit_policy_mapping,
        inhibit_any_policy=inhibit_any_policy,
        profile=profile,
        at=at.isoformat(),
        revocation=revocation,
    )


def verify_batch(cases: Sequence[BatchCase | str]) -> list[Answer]:
    """Run `authsvc verify --batch -` on the cases (a text is a line as it stands) in a process of its own."""
    lines = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in cases)
    ended = subprocess.run(
        [sys.executable, "-m", "authsvc", "verify", "--batch", "-"],
        input=lines,
        capture_output=True,
        text=True,
        timeout=_LONGEST_RUN,
        check=False,
    )
    assert not ended.stderr, ended.stderr
    answers = [_read_answer(line) for line in ended.stdout.splitlines()]
    assert len(cases) == len(answers)
    return answers


def _read_answer(line: str) -> Answer:
    read = json.loads(line)
    assert sorted(read) == ["id", "milliseconds", "reason", "valid"]
    return Answer(
        id=read["id"], valid=read["valid"], reason=read["reason"], milliseconds=read["milliseconds"]
    )
