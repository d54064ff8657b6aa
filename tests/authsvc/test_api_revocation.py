"""`GET /v1/revocation`: where revocation lists come from and how they stand, for those who may read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from authsvc.operations.service import Service
from authsvc.web.serving import _InForce
from tests.support.api import Call, by, send_call
from tests.support.fetched import settle
from tests.support.list_server import ListServer, body, serving_lists
from tests.support.pki import NOW
from tests.support.service import BEGIN, END, Place, lay_place, serving_service, world

CALL = Call(path="/v1/revocation", method="GET", connection=by(world().people["eve"]))


@pytest.fixture
def server() -> Iterator[ListServer]:
    with serving_lists() as server:
        yield server


@pytest.fixture
def place(tmp_path: Path, server: ListServer) -> Place:
    place = lay_place(tmp_path)
    place.configure(
        trust={
            "anchors": [{"name": "corp", "file": "root.pem"}],
            "intermediates": ["issuing.pem"],
            "revocation": {
                "crls": ["root.crl", "absent.crl", server.url("/ca.crl")],
                "fetch": {"private_networks": ["127.0.0.0/8", "::1"]},
            },
        }
    )
    return place


@pytest.fixture
def service(place: Place) -> Iterator[Service]:
    with serving_service(place) as service:
        yield service


def fetched(service: Service, server: ListServer) -> None:
    """Let the service fetch a list that revokes Dave."""
    server.answers["/ca.crl"] = body(world().crl(world().people["dave"], number=2**70).encode())
    settle(service._trust)
    service._look()


def test_every_source_is_told_with_its_list_and_its_problem(
    place: Place, service: Service, server: ListServer
) -> None:
    fetched(service, server)
    reply = send_call(_InForce(service).answer, CALL)
    empty = (
        "issuer",
        "number",
        "this_update",
        "next_update",
        "age_seconds",
        "entries",
        "last_attempt",
        "last_success",
    )
    nothing = dict.fromkeys((*empty, "problem")) | {"successes": 0, "failures": 0}
    dates = {
        "state": "current",
        "this_update": "2020-01-01T00:00:00Z",
        "next_update": "2120-01-01T00:00:00Z",
        "age_seconds": int((NOW - BEGIN).total_seconds()),
    }
    assert {
        "policy_version": service.version,
        "sources": [
            nothing
            | dates
            | {
                "source": str(place.folder / "root.crl"),
                "kind": "file",
                "issuer": "CN=Renovations Root CA,O=Renovations",
                "number": "1",
                "entries": 0,
            },
            nothing
            | {
                "source": str(place.folder / "absent.crl"),
                "kind": "file",
                "state": "missing",
                "problem": f"`{place.folder / 'absent.crl'}`: cannot be read: No such file or directory",
            },
            nothing
            | dates
            | {
                "source": server.url("/ca.crl"),
                "kind": "url",
                "issuer": "CN=Renovations Issuing CA,O=Renovations",
                "number": str(2**70),
                "entries": 1,
                "last_attempt": "2026-03-01T12:00:00Z",
                "last_success": "2026-03-01T12:00:00Z",
                "successes": 1,
            },
        ],
    } == reply.document
    assert "revocation sources listed for Eve Everybody/Renovations" in [
        record.get("detail") for record in place.records()
    ]


def test_who_may_not_read_is_told_nothing(service: Service, server: ListServer) -> None:
    fetched(service, server)
    assert send_call(_InForce(service).answer, CALL).status == 200
    for somebody in (None, world().people["dave"], world().people["norma"]):
        call = Call(path=CALL.path, method="GET", connection=by(somebody))
        reply = send_call(_InForce(service).answer, call)
        assert reply.status in {401, 403}
        assert b"crl" not in reply.body


def test_t39_a_source_that_fails_is_a_warning_of_readiness_and_a_metric(
    place: Place, service: Service, server: ListServer
) -> None:
    settle(service._trust)
    url = server.url("/ca.crl")
    assert f"`{url}`: expected status 200, found 404 `Not Found`" in service.readiness().warnings
    text = send_call(_InForce(service).answer, Call(path="/metrics", method="GET")).body.decode()
    assert f'authsvc_revocation_fetches_total{{result="failure",source="{url}"}} 1.0' in text
    assert f'authsvc_revocation_list_state{{source="{url}",state="missing"}} 1.0' in text
    source = f'issuer="CN=Renovations Root CA,O=Renovations",source="{place.folder / "root.crl"}"'
    assert f"authsvc_revocation_next_update_seconds{{{source}}} {(END - NOW).total_seconds():.6e}" in text
