"""How the API writes what revocation rests on, for callers who may know details and for those who may not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from authsvc.decision.verdict import Verdict
from authsvc.reason import Reason
from authsvc.trust.anchors import RevocationMode
from authsvc.trust.crl_decision import ListUse
from authsvc.trust.revocation import CertificateEvidence, RevocationEvidence, RevocationStatus
from authsvc.web.api.documents import EvidenceDocument, write_verdict
from tests.support.pki import NOW
from tests.support.verdicts import CERTIFICATE, allowed, denied, undecided

EVIDENCE = RevocationEvidence(
    status=RevocationStatus.GOOD,
    policy=RevocationMode.REQUIRE,
    source="crl+ocsp",
    lists=("root.crl", "delta.crl"),
    responders=("http://ocsp.example/",),
    this_update=NOW - timedelta(hours=2),
    next_update=NOW - timedelta(hours=1),
    grace_used=True,
    certificates=(
        CertificateEvidence(
            subject="CN=Dave", serial=255, status=RevocationStatus.GOOD, source="http://ocsp.example/"
        ),
        CertificateEvidence(
            subject="CN=CA",
            serial=1,
            status=RevocationStatus.GOOD,
            source="root.crl, delta.crl",
            lists=(
                ListUse(
                    source="root.crl",
                    number=-1,
                    delta_source="delta.crl",
                    delta_number=9,
                    this_update=NOW - timedelta(hours=2),
                    next_update=NOW - timedelta(hours=1),
                    in_grace=True,
                ),
            ),
        ),
    ),
)


def _evidence(verdict: Verdict, *, expose: bool) -> EvidenceDocument:
    document = write_verdict(verdict, request_id="1", policy_version="7", now=NOW, expose=expose)
    assert document.evidence is not None
    return document.evidence


def test_who_may_know_details_is_told_which_list_said_what() -> None:
    document = _evidence(replace(allowed(), revocation=EVIDENCE), expose=True)
    assert document.model_dump(mode="json") == {
        "trust_anchor": "corp",
        "revocation": {
            "status": "good",
            "policy": "require",
            "source": "crl+ocsp",
            "lists": ["root.crl", "delta.crl"],
            "responders": ["http://ocsp.example/"],
            "this_update": "2026-03-01T10:00:00Z",
            "next_update": "2026-03-01T11:00:00Z",
            "age_seconds": 7200,
            "grace_used": True,
            "certificates": [
                {
                    "subject": "CN=Dave",
                    "serial": "ff",
                    "status": "good",
                    "source": "http://ocsp.example/",
                    "lists": [],
                },
                {
                    "subject": "CN=CA",
                    "serial": "1",
                    "status": "good",
                    "source": "root.crl, delta.crl",
                    "lists": [
                        {
                            "source": "root.crl",
                            "number": None,
                            "delta_source": "delta.crl",
                            "delta_number": 9,
                            "this_update": "2026-03-01T10:00:00Z",
                            "next_update": "2026-03-01T11:00:00Z",
                            "in_grace": True,
                        }
                    ],
                },
            ],
        },
    }


def test_who_may_not_know_details_is_told_how_sure_we_are() -> None:
    document = _evidence(replace(allowed(), revocation=EVIDENCE), expose=False).revocation
    assert document is not None
    assert (document.status, document.source, document.grace_used) == ("good", "crl+ocsp", True)
    assert (document.lists, document.responders, document.certificates) == ([], [], [])


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (denied(Reason.CERTIFICATE_REVOKED), RevocationStatus.REVOKED),
        (denied(Reason.REVOCATION_UNKNOWN), RevocationStatus.UNKNOWN),
        (
            replace(undecided(Reason.REVOCATION_UNAVAILABLE), certificate=CERTIFICATE),
            RevocationStatus.UNAVAILABLE,
        ),
    ],
)
def test_who_may_not_know_the_reason_is_not_told_it_by_the_evidence(
    verdict: Verdict, status: RevocationStatus
) -> None:
    revocation = RevocationEvidence(status=status, policy=RevocationMode.REQUIRE)
    verdict = replace(verdict, revocation=revocation)
    assert _evidence(verdict, expose=False).revocation is None
    told = _evidence(verdict, expose=True).revocation
    assert told is not None
    assert (told.status, told.age_seconds) == (status.value, None)
