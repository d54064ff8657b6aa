"""The service and OCSP: who asks, what is counted and warned of, what a changed answer ends, and which lists count."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from authsvc.access.databases import IdentityTarget
from authsvc.decision.request import DecisionRequest
from authsvc.operations.ocsp_responders import OcspResponders
from authsvc.operations.ocsp_states import OcspFigures
from authsvc.operations.service import Service
from authsvc.reason import Reason
from authsvc.trust.anchors import TrustMaterialError
from authsvc.trust.ocsp_answer import OcspAnswer, OcspGood, OcspRevoked, OcspUnavailable
from tests.authsvc.test_service import ask as decide
from tests.authsvc.test_service import reading
from tests.support.ocsp import (
    NO_CHECK,
    OcspServer,
    Reply,
    delegate,
    nonce_extension,
    nonce_of,
    response,
    revoked,
    serial_of,
    serving_ocsp,
    single,
)
from tests.support.pki import Issued
from tests.support.service import BEGIN, END, NOW, Place, lay_place, serving_service, world
from tests.support.trust import facts_of

LOOPBACK = (ip_network("127.0.0.0/8"),)


def told(request: bytes, *, status: bytes | None = None, signer: Issued | None = None) -> bytes:
    """Return a response of the issuing authority, or of a delegate, about whom is asked."""
    issuing, nonce = world().issuing, nonce_of(request)
    statuses = () if status is None else (status,)
    return response(
        single(issuing, issuing, *statuses, serial=serial_of(request)),
        signer=signer or issuing,
        certificates=[] if signer is None else [signer],
        extensions=[] if nonce is None else [nonce_extension(nonce)],
    )


@pytest.fixture
def server() -> Iterator[OcspServer]:
    with serving_ocsp(told) as serving:
        yield serving


@pytest.fixture
def place(tmp_path: Path, server: OcspServer) -> Place:
    """Return a place whose configuration names the responder."""
    laid = lay_place(tmp_path)
    revocation = {"crls": ["root.crl", "issuing.crl"], "ocsp": {"url": server.url, "wait": "5s"}}
    laid.configure(trust={**laid.configuration["trust"], "revocation": revocation})  # type: ignore[dict-item] # a mapping
    return laid


@pytest.fixture
def service(place: Place) -> Iterator[Service]:
    """Return a service that may call this machine."""
    settings = place.settings()
    assert settings.trust.ocsp is not None
    private = replace(settings.trust.ocsp, private_networks=LOOPBACK)
    trust = replace(settings.trust, ocsp=private)
    with closing(Service.open(replace(settings, trust=trust), serving=True, now=lambda: NOW)) as opened:
        opened._look()
        yield opened


def source_of(service: Service) -> OcspResponders:
    """Return whom a decision would ask."""
    source = service._current_snapshot()[0].ocsp
    assert isinstance(source, OcspResponders)
    return source


def ask(service: Service, issued: Issued) -> OcspAnswer:
    """Ask as a decision would."""
    return source_of(service).ask(
        facts_of(issued),
        facts_of(world().issuing),
        anchor_id="corp",
        now=NOW,
        deadline=service._monotonic() + 10,
    )


def test_a_decision_can_ask_and_it_is_counted(service: Service, server: OcspServer) -> None:
    dave = world().people["dave"]
    assert isinstance(ask(service, dave), OcspGood)
    assert isinstance(ask(service, dave), OcspGood)
    figures = service.figures().ocsp
    assert ({(server.host, "good"): 1}, 1) == (figures.answers, figures.remembered)
    assert [] == [warning for warning in service.readiness().warnings if "OCSP" in warning]


def test_t39_a_responder_that_fails_is_warned_of(service: Service, server: OcspServer) -> None:
    server.answer = lambda _request: Reply(status=503)
    assert isinstance(ask(service, world().people["dave"]), OcspUnavailable)
    (warning,) = [each for each in service.readiness().warnings if "OCSP" in each]
    assert f"OCSP responder `{server.url}`: " in warning
    assert service.readiness().ready


def test_t41_an_answer_that_becomes_another_ends_every_cached_verdict(
    service: Service, server: OcspServer
) -> None:
    dave = world().people["dave"]
    ask(service, dave)
    before = service._current_snapshot()[1]
    assert before == service._current_snapshot()[1]
    server.answer = lambda request: told(request, status=revoked())
    source = source_of(service)
    source._now = lambda: NOW + timedelta(minutes=50)
    assert 1 == source.refresh()
    assert isinstance(ask(service, dave), OcspRevoked)
    assert before != service._current_snapshot()[1]


def test_t31_a_service_calls_no_private_address_unless_it_is_told_to(
    place: Place, server: OcspServer
) -> None:
    with serving_service(place) as service:
        answer = ask(service, world().people["dave"])
    assert isinstance(answer, OcspUnavailable)
    assert "is not a public address" in answer.problem
    assert [] == server.requests


def test_a_service_without_ocsp_asks_nobody(tmp_path: Path) -> None:
    with serving_service(lay_place(tmp_path)) as service:
        assert service._current_snapshot()[0].ocsp is None
        assert OcspFigures() == service.figures().ocsp


def test_pinned_responders_that_cannot_be_used_any_more_refuse_the_start(place: Place) -> None:
    place.write("responder.pem", world().issuing.pem)
    settings = place.settings()
    assert settings.trust.ocsp is not None
    pinned = replace(settings.trust.ocsp, responder_file=place.folder / "responder.pem")
    place.write("responder.pem", "")
    with pytest.raises(TrustMaterialError):
        Service.open(replace(settings, trust=replace(settings.trust, ocsp=pinned)), serving=True)


@pytest.mark.parametrize("says_no_check", [False, True], ids=["without nocheck", "with nocheck"])
def test_t38_a_delegate_is_held_against_the_lists_of_its_issuer(
    place: Place, service: Service, server: OcspServer, says_no_check: bool
) -> None:
    """The list that is in force decides; where it has expired, only the certificate itself can say."""
    extensions = (NO_CHECK,) if says_no_check else ()
    responder = delegate(world().issuing, not_before=BEGIN, not_after=END, extensions=extensions)
    server.answer = lambda request: told(request, signer=responder)
    people = world().people

    def with_list(text: str, asked: Issued) -> OcspAnswer:
        place.write("issuing.crl", text)
        service._trust.poll()
        return ask(service, asked)

    assert isinstance(with_list(world().crl(), people["dave"]), OcspGood)
    assert isinstance(with_list(world().crl(responder, number=2), people["ada"]), OcspUnavailable)
    stale = with_list(world().crl(number=3, next_update=NOW), people["max"])
    assert isinstance(stale, OcspGood if says_no_check else OcspUnavailable)


def test_a_started_service_asks_anew_in_the_background_until_it_is_closed(service: Service) -> None:
    service.start()
    source = source_of(service)
    assert source._thread is not None
    assert source._thread.is_alive()
    service.close()
    assert not source._thread.is_alive()


def prefer_its_answers(place: Place, server: OcspServer) -> None:
    """Let the responder alone tell of people, and let them pass while it does not."""
    trust = place.configuration["trust"]
    assert isinstance(trust, dict)
    revocation = {
        "mode": "prefer",
        "crls": ["root.crl"],
        "ocsp": {"url": server.url},
        "fetch": {"private_networks": ["127.0.0.0/8"]},
    }
    place.configure(trust={**trust, "revocation": revocation})


def test_t41_a_first_revoked_ends_what_was_allowed_while_nobody_answered(
    place: Place, server: OcspServer
) -> None:
    """Under `prefer` an allow without an answer is remembered; whoever asks next hears that it is revoked."""
    prefer_its_answers(place, server)
    clock = [time.monotonic()]
    dave = world().people["dave"]
    server.answer = lambda _request: Reply(status=503)
    with serving_service(place, monotonic=lambda: clock[0]) as service:
        assert Reason.ALLOWED is decide(service, reading(dave)).reason
        assert service.decider.cached(reading(dave)) is not None
        server.answer = lambda request: told(request, status=revoked())
        clock[0] += 6  # the responder is asked again
        service._look()
        assert service.decider.cached(reading(dave)) is not None
        assert isinstance(ask(service, dave), OcspRevoked)
        assert service.decider.cached(reading(dave)) is None
        assert Reason.CERTIFICATE_REVOKED is decide(service, reading(dave)).reason


def test_t39_who_blocks_a_responder_during_a_reload_does_not_unsay_revoked(
    place: Place, server: OcspServer
) -> None:
    prefer_its_answers(place, server)
    people = world().people
    with serving_service(place) as old, serving_service(place) as fresh:
        assert Reason.ALLOWED_IDENTITY is decide(old, identity(people["ada"])).reason
        server.answer = lambda request: told(request, status=revoked())
        assert Reason.CERTIFICATE_REVOKED is decide(old, identity(people["dave"])).reason
        server.answer = lambda _request: Reply(status=503)
        fresh.take_over(old)
        assert Reason.CERTIFICATE_REVOKED is decide(fresh, identity(people["dave"])).reason
        asked = len(server.requests)
        assert (
            Reason.ALLOWED_IDENTITY is decide(fresh, identity(people["ada"])).reason
        )  # by `prefer`, asked anew
        assert asked + 1 == len(server.requests)


def identity(issued: Issued) -> DecisionRequest:
    """Return the question who somebody is."""
    return replace(reading(issued), target=IdentityTarget())


def test_a_service_takes_over_from_one_without_ocsp(place: Place, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with serving_service(place) as fresh, serving_service(lay_place(tmp_path / "plain")) as plain:
        fresh.take_over(plain)
        plain.take_over(fresh)
