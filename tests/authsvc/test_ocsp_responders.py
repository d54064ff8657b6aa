"""Asking OCSP responders over real connections: who is asked, how often, what a bad one costs (T31, T38, T39)."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_network
from pathlib import Path

import pytest

from authsvc.operations import ocsp_memory, ocsp_responders, ocsp_states
from authsvc.operations.fetching import Fetcher
from authsvc.operations.ocsp_responders import (
    MOST_PINNED,
    MOST_QUESTIONS,
    NonceUse,
    OcspResponders,
    OcspSettings,
    read_pinned,
)
from authsvc.sample_world.processes import start_process, stop_process
from authsvc.trust.anchors import TrustMaterialError
from authsvc.trust.ocsp_answer import (
    OcspAnswer,
    OcspGood,
    OcspNotAsked,
    OcspRevoked,
    OcspUnavailable,
    OcspUnknown,
)
from authsvc.trust.ocsp_messages import LARGEST_RESPONSE
from tests.support.ocsp import (
    GOOD,
    UNKNOWN,
    OcspServer,
    Reply,
    access_to,
    delegate,
    failed,
    nonce_extension,
    nonce_of,
    response,
    revoked,
    serial_of,
    serving_ocsp,
    single,
)
from tests.support.pki import NOW, Authority, Issued, KeyKind, small_world
from tests.support.processes import find_program, free_ports
from tests.support.trust import facts_of

LOOPBACK = (ip_network("127.0.0.0/8"),)
HOUR = timedelta(hours=1)
SHORT = timedelta(milliseconds=250)
"""`wait` where somebody hangs."""


@cache
def issuing() -> Authority:
    """Return the authority of these tests."""
    return small_world().issuing


@dataclass(slots=True)
class Told:
    """What the responder of a case says; a case changes it."""

    status: bytes = GOOD
    this_update: datetime = NOW - timedelta(minutes=5)
    next_update: datetime = NOW + HOUR
    repeats_nonce: bool = True
    signer: Authority | Issued = field(default_factory=issuing)
    certificates: tuple[Issued, ...] = ()

    def __call__(self, request: bytes) -> bytes:
        nonce = nonce_of(request)
        return response(
            single(
                issuing(),  # whose serial number does not matter: the one that is asked about is named
                issuing(),
                self.status,
                serial=serial_of(request),
                this_update=self.this_update,
                next_update=self.next_update,
            ),
            signer=self.signer,
            certificates=self.certificates,
            extensions=[nonce_extension(nonce)] if nonce is not None and self.repeats_nonce else [],
        )


@dataclass(slots=True)
class Clocks:
    """The clocks of a case: `now` stands still, and monotonic time is ahead of the real one."""

    now: datetime = NOW
    ahead: float = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


@dataclass(slots=True)
class Place:
    """A responder on loopback, and us who ask it."""

    told: Told
    server: OcspServer
    clocks: Clocks
    responders: OcspResponders

    def issue(self, *urls: str) -> Issued:
        """Return a certificate that names responders, by default the one of this place."""
        return issuing().issue(extensions=(access_to(*(urls or (self.server.url,))),))

    def ask(self, issued: Issued, *, seconds: float = 10.0) -> OcspAnswer:
        """Ask about a certificate, with so many seconds left for the decision."""
        return self.responders.ask(
            facts_of(issued),
            facts_of(issuing()),
            anchor_id="corp",
            now=self.clocks.now,
            deadline=self.clocks.monotonic() + seconds,
        )

    def remembered(self, issued: Issued) -> OcspAnswer | None:
        """Return what is at hand."""
        return self.responders.find_remembered(
            facts_of(issued), facts_of(issuing()), anchor_id="corp", now=self.clocks.now
        )


Lay = Callable[..., Place]


@pytest.fixture
def lay() -> Iterator[Lay]:
    """Return what lays a place: a good responder, whose host is allowed; settings may deviate."""
    with serving_ocsp(Told()) as server:

        def make(*, is_revoked: bool | None = None, **deviation: object) -> Place:
            told, clocks = Told(), Clocks()
            server.answer = told
            settings = OcspSettings(
                hosts=frozenset({server.host}), private_networks=LOOPBACK, wait=timedelta(seconds=5)
            )
            responders = OcspResponders(
                replace(settings, **deviation),  # type: ignore[arg-type] # the names are those of the settings
                fetcher=Fetcher(),
                is_revoked=lambda _facts, _issuer, _now: is_revoked,
                now=lambda: clocks.now,
                monotonic=clocks.monotonic,
            )
            return Place(told=told, server=server, clocks=clocks, responders=responders)

        yield make


def unavailable(answer: OcspAnswer | None) -> str:
    """Return why a responder is unavailable, or fail."""
    assert isinstance(answer, OcspUnavailable), answer
    return answer.problem


# --- an answer, and remembering it


def test_a_responder_is_asked_once_and_its_answer_remembered(lay: Lay) -> None:
    place = lay()
    dave = place.issue()
    good = OcspGood(source=place.server.url, this_update=NOW - timedelta(minutes=5), next_update=NOW + HOUR)
    assert place.remembered(dave) is None
    assert good == place.ask(dave)
    assert good == place.ask(dave)
    assert good == place.remembered(dave)
    assert 1 == len(place.server.requests)


def test_a_remembered_answer_ends_where_the_response_says(lay: Lay) -> None:
    place = lay()
    dave = place.issue()
    place.ask(dave)
    place.clocks.now = NOW + HOUR
    assert place.remembered(dave) is None
    assert "the response expired" in unavailable(place.ask(dave))
    assert 2 == len(place.server.requests)


def test_what_a_responder_says_is_what_is_told(lay: Lay) -> None:
    place = lay()
    place.told.status = revoked(NOW - HOUR, reason=1)
    assert OcspRevoked(source=place.server.url, since=NOW - HOUR, reason="keyCompromise") == place.ask(
        place.issue()
    )
    place.told.status = UNKNOWN
    assert OcspUnknown(source=place.server.url) == place.ask(place.issue())


def test_unknown_is_remembered_for_half_a_minute(lay: Lay) -> None:
    """A certificate that was just issued becomes known soon."""
    place = lay()
    dave = place.issue()
    place.told.status = UNKNOWN
    assert isinstance(place.ask(dave), OcspUnknown)
    place.told.status = GOOD
    assert isinstance(place.ask(dave), OcspUnknown)
    place.clocks.now = NOW + timedelta(seconds=29)
    assert isinstance(place.ask(dave), OcspUnknown)
    place.clocks.now = NOW + timedelta(seconds=40)
    assert isinstance(place.ask(dave), OcspGood)


def test_each_request_has_a_nonce_of_its_own_unless_it_is_off(lay: Lay) -> None:
    place = lay()
    place.ask(place.issue())
    place.ask(place.issue())
    nonces = {nonce_of(request) for request in place.server.requests}
    assert 2 == len(nonces)
    assert {32} == {len(nonce or b"") for nonce in nonces}
    place = lay(nonce=NonceUse.OFF)
    place.server.requests.clear()
    assert isinstance(place.ask(place.issue()), OcspGood)
    assert [None] == [nonce_of(request) for request in place.server.requests]


def test_t38_a_response_without_the_nonce_counts_only_where_none_is_required(lay: Lay) -> None:
    place = lay(nonce=NonceUse.REQUIRED)
    assert isinstance(place.ask(place.issue()), OcspGood)
    place.told.repeats_nonce = False
    assert "the response does not repeat the nonce" == unavailable(place.ask(place.issue()))
    place = lay()
    place.told.repeats_nonce = False
    assert isinstance(place.ask(place.issue()), OcspGood)


def test_t38_an_old_response_is_not_believed_for_a_new_question(lay: Lay) -> None:
    """A replay: what was said to somebody else an hour ago, still in its time."""
    place = lay()
    dave = place.issue()
    place.ask(dave)
    old = place.told(place.server.requests[0])
    place.clocks.now = NOW + HOUR
    place.told.next_update = NOW + 2 * HOUR
    place.server.answer = lambda _request: old
    assert "another nonce" in unavailable(place.ask(dave))


# --- T31: who is called


def test_t31_nobody_is_called_whose_host_is_not_listed(lay: Lay) -> None:
    place = lay(hosts=frozenset({"ocsp.example.com"}))
    assert OcspNotAsked() == place.ask(place.issue())
    assert [] == place.server.requests


def test_t31_hosts_are_listed_for_each_authority(lay: Lay) -> None:
    server = lay().server
    elsewhere, here = frozenset({"ocsp.example.com"}), frozenset({server.host})
    place = lay(anchor_hosts={"corp": elsewhere})
    assert OcspNotAsked() == place.ask(place.issue())
    place = lay(anchor_hosts={"partner": elsewhere})
    assert isinstance(place.ask(place.issue()), OcspGood)
    place = lay(hosts=elsewhere, anchor_hosts={"corp": here})
    dave = place.issue()
    assert isinstance(place.ask(dave), OcspGood)
    place.clocks.now = NOW + timedelta(minutes=50)
    assert 1 == place.responders.refresh()  # of the same authority
    assert 3 == len(server.requests)


def test_t31_addresses_that_are_none_are_not_called(lay: Lay) -> None:
    place = lay()
    host = place.server.host
    assert OcspNotAsked() == place.ask(place.issue(f"ldap://{host}/", f"http://me@{host}/", "nowhere"))
    assert [] == place.server.requests


def test_t31_a_private_address_is_not_called_unless_it_is_listed(lay: Lay) -> None:
    place = lay(private_networks=())
    assert "is not a public address" in unavailable(place.ask(place.issue()))
    assert [] == place.server.requests


def test_a_certificate_that_names_nobody_is_not_asked_about(lay: Lay) -> None:
    place = lay()
    assert OcspNotAsked() == place.ask(issuing().issue())


def test_a_serial_number_that_no_request_can_name_is_not_asked_about(lay: Lay) -> None:
    place = lay()
    facts = replace(facts_of(place.issue()), serial=-1)
    answer = place.responders.ask(
        facts, facts_of(issuing()), anchor_id="corp", now=NOW, deadline=place.clocks.monotonic() + 1
    )
    assert OcspNotAsked() == answer


def test_the_configured_responder_is_asked_about_every_certificate(lay: Lay) -> None:
    server = lay().server
    place = lay(url=server.url, hosts=frozenset())
    assert isinstance(place.ask(issuing().issue()), OcspGood)
    assert isinstance(place.ask(place.issue("http://ocsp.example.com/")), OcspGood)
    assert 2 == len(place.server.requests)


def test_of_two_responders_the_second_is_asked_where_the_first_does_not_answer(lay: Lay) -> None:
    place = lay()
    with serving_ocsp(lambda _request: Reply(hangs=True)) as hanging:
        place = lay(hosts=frozenset({place.server.host, hanging.host}), wait=timedelta(seconds=1))
        assert isinstance(place.ask(place.issue(hanging.url, place.server.url)), OcspGood)
        assert isinstance(place.ask(place.issue(hanging.url, place.server.url)), OcspGood)
        assert 1 == len(hanging.requests)  # it has just failed


# --- T38: bad responders


BAD: dict[str, tuple[bytes | Reply, str]] = {
    "garbled": (b"\x30\x82garbled", "the response cannot be read"),
    "tryLater": (failed(3), "the responder says `tryLater`"),
    "unauthorized": (failed(6), "the responder says `unauthorized`"),
    "huge": (bytes(LARGEST_RESPONSE + 1), f"{LARGEST_RESPONSE}"),
    "an error page": (Reply(status=500, body=b"no"), "500"),
    "a page": (Reply(body=b"<html>", content_type="text/html"), "expected `application/ocsp-response`"),
    "redirecting to another host": (
        Reply(status=307, location="http://169.254.169.254/"),
        "redirects to the same host only",
    ),
}


@pytest.mark.parametrize(("reply", "problem"), BAD.values(), ids=BAD)
def test_t38_a_bad_responder_is_unavailable(lay: Lay, reply: bytes | Reply, problem: str) -> None:
    place = lay()
    place.server.answer = lambda _request: reply
    assert problem in unavailable(place.ask(place.issue()))


def test_t38_a_responder_that_refuses_connections_is_unavailable(lay: Lay) -> None:
    place = lay()
    (port,) = free_ports(1)
    place = lay(hosts=frozenset({f"127.0.0.1:{port}"}))
    assert "refused" in unavailable(place.ask(place.issue(f"http://127.0.0.1:{port}/"))).lower()


def test_t38_a_response_that_was_refused_is_not_asked_for_again_at_once(lay: Lay) -> None:
    place = lay()
    dave, signer = place.issue(), place.told.signer
    place.told.signer = Authority.root("CN=Stranger", now=NOW)
    assert "no certificate of the responder" in unavailable(place.ask(dave))
    place.told.signer = signer
    assert "no certificate of the responder" in unavailable(place.ask(dave))
    assert 1 == len(place.server.requests)
    assert isinstance(place.ask(place.issue()), OcspGood)  # that says nothing of other certificates
    place.clocks.ahead = 5.0
    assert isinstance(place.ask(dave), OcspGood)


def test_t38_a_delegate_is_held_against_the_lists_at_hand(lay: Lay) -> None:
    responder = delegate(issuing(), extensions=())
    for listed, expected in ((False, OcspGood), (True, OcspUnavailable), (None, OcspUnavailable)):
        place = lay(is_revoked=listed)
        place.told.signer, place.told.certificates = responder, (responder,)
        assert isinstance(place.ask(place.issue()), expected)


def test_t38_where_a_responder_is_pinned_nobody_else_is_believed(lay: Lay, tmp_path: Path) -> None:
    pinned = Authority.root("CN=Validation", now=NOW)
    file = tmp_path / "responder.pem"
    file.write_text(pinned.pem)
    place = lay(responder_file=file)
    assert "no certificate of the responder" in unavailable(place.ask(place.issue()))
    place.told.signer = pinned
    assert isinstance(place.ask(place.issue()), OcspGood)


def test_pinned_responders_must_be_usable() -> None:
    weak = Authority.root("CN=Weak", now=NOW, key=KeyKind.SECP256K1)
    with pytest.raises(TrustMaterialError, match=r"`a\.pem`: responder `CN=Weak`: expected a key of"):
        read_pinned(weak.pem.encode(), source="a.pem")
    many = issuing().pem * (MOST_PINNED + 1)
    with pytest.raises(TrustMaterialError, match="expected at most 16 responders, found 17"):
        read_pinned(many.encode(), source="a.pem")
    with pytest.raises(TrustMaterialError):
        read_pinned(b"", source="a.pem")


# --- T38: what was heard does not go back


def test_t38_revoked_is_not_unsaid_by_an_older_good(lay: Lay) -> None:
    """Within its time, and signed: only that it was made before "revoked" was heard tells that it is a replay."""
    place = lay(maximum_age=timedelta(minutes=10))
    dave = place.issue()
    place.told.status = revoked()
    assert isinstance(place.ask(dave), OcspRevoked)
    place.told.status = GOOD
    place.clocks.now = NOW + timedelta(minutes=10)
    assert 1 == place.responders.refresh()
    assert isinstance(place.ask(dave), OcspRevoked)
    assert 1 == place.responders.changes


def test_a_later_good_unsays_revoked(lay: Lay) -> None:
    """A hold was released."""
    place = lay(maximum_age=timedelta(minutes=10))
    dave = place.issue()
    place.told.status = revoked(reason=6)
    place.ask(dave)
    place.told.status, place.told.this_update = GOOD, NOW + timedelta(minutes=5)
    place.clocks.now = NOW + timedelta(minutes=10)
    assert 1 == place.responders.refresh()
    assert isinstance(place.ask(dave), OcspGood)
    assert 2 == place.responders.changes


def test_t38_what_a_former_configuration_heard_to_be_revoked_stays_so_where_nobody_may_be_asked(
    lay: Lay,
) -> None:
    former = lay(maximum_age=timedelta(minutes=10))
    dave, ada = former.issue(), former.issue()
    former.ask(ada)
    former.told.status = revoked()
    former.ask(dave)
    place = lay(maximum_age=timedelta(minutes=10), hosts=frozenset())
    place.responders.take_over(former.responders)
    place.clocks.now = NOW + timedelta(minutes=10)
    asked = len(place.server.requests)
    assert isinstance(place.remembered(dave), OcspRevoked)
    assert None is place.remembered(ada)
    assert 1 == place.responders.refresh()
    assert asked == len(place.server.requests)
    assert isinstance(place.remembered(dave), OcspRevoked)


BLOCKED: dict[str, Callable[[bytes], bytes | Reply]] = {
    "who answers an error page": lambda _request: Reply(status=500),
    "who answers tryLater": lambda _request: failed(3),
    "a responder that has forgotten it": Told(status=UNKNOWN, next_update=NOW + timedelta(days=9)),
}


@pytest.mark.parametrize("answer", BLOCKED.values(), ids=BLOCKED)
def test_t39_who_blocks_a_responder_does_not_unsay_revoked(
    lay: Lay, answer: Callable[[bytes], bytes | Reply]
) -> None:
    place = lay()
    dave = place.issue()
    place.told.status = revoked()
    place.ask(dave)
    place.server.answer = answer
    place.clocks.now = NOW + timedelta(days=1)
    assert isinstance(place.remembered(dave), OcspRevoked)
    assert 1 == place.responders.refresh()
    assert 2 == len(place.server.requests)
    assert isinstance(place.ask(dave), OcspRevoked)


def test_t38_an_older_good_does_not_replace_a_newer_one(lay: Lay) -> None:
    place = lay()
    dave = place.issue()
    place.ask(dave)
    place.told.this_update = NOW - timedelta(minutes=6)
    place.clocks.now = NOW + timedelta(minutes=50)
    assert 1 == place.responders.refresh()
    assert (2, NOW - timedelta(minutes=5)) == (
        len(place.server.requests),
        this_update(place.remembered(dave)),
    )


def this_update(answer: OcspAnswer | None) -> datetime:
    """Return when a good answer begins, or fail."""
    assert isinstance(answer, OcspGood), answer
    return answer.this_update


# --- T39: what a blocked or stalled responder costs


def test_t39_a_hanging_responder_costs_one_wait_and_then_nothing(lay: Lay) -> None:
    place = lay(wait=SHORT)
    place.server.answer = lambda _request: Reply(hangs=True)
    began = time.monotonic()
    assert isinstance(place.ask(place.issue()), OcspUnavailable)
    assert time.monotonic() - began < 5
    for _ in range(20):
        assert "not asked again yet" in unavailable(place.ask(place.issue()))
    assert 1 == len(place.server.requests)
    assert 20 == place.responders.figures().skipped


def test_t39_a_responder_that_is_back_is_asked_again_after_a_while(lay: Lay) -> None:
    """After 5 s, then 10, 20, 40 and never more than 60."""
    place = lay()
    place.server.answer = lambda _request: Reply(status=500)
    place.ask(place.issue())
    for number, seconds in enumerate((5.0, 10.0, 20.0, 40.0, 60.0, 60.0), start=1):
        place.clocks.ahead += seconds - 1
        place.ask(place.issue())
        assert number == len(place.server.requests)
        place.clocks.ahead += 1
        place.ask(place.issue())
        assert number + 1 == len(place.server.requests)
    place.server.answer = place.told
    place.clocks.ahead += 60
    assert isinstance(place.ask(place.issue()), OcspGood)
    assert isinstance(place.ask(place.issue()), OcspGood)


def test_t39_one_question_at_a_time_tries_a_responder_that_failed(lay: Lay) -> None:
    place = lay(wait=timedelta(seconds=30))
    place.server.answer = lambda _request: Reply(status=500)
    place.ask(place.issue())
    place.clocks.ahead = 6.0
    place.server.answer = lambda _request: Reply(hangs=True)
    while place.server.arrived.acquire(blocking=False):
        pass
    with ThreadPoolExecutor(1) as threads:
        trying = threads.submit(place.ask, place.issue())
        assert place.server.arrived.acquire(timeout=10)
        assert "not asked again yet" in unavailable(place.ask(place.issue()))
        place.server.released.set()
        assert isinstance(trying.result(timeout=10), OcspUnavailable)


def test_t39_questions_under_way_are_bounded_and_the_others_wait_no_longer_than_one(lay: Lay) -> None:
    place = lay(wait=timedelta(seconds=1))
    place.server.answer = lambda _request: Reply(hangs=True)
    people = [place.issue() for _ in range(2 * MOST_QUESTIONS)]
    began = time.monotonic()
    with ThreadPoolExecutor(len(people)) as threads:
        answers = list(threads.map(place.ask, people))
    assert time.monotonic() - began < 5
    assert all(isinstance(answer, OcspUnavailable) for answer in answers)
    assert len(place.server.requests) <= MOST_QUESTIONS
    place.clocks.ahead = 5.1  # what failed at one time failed once
    place.server.answer = place.told
    assert isinstance(place.ask(people[0]), OcspGood)


def test_t39_a_silent_host_is_not_asked_under_other_addresses_either(lay: Lay) -> None:
    """Each certificate names an address of its own, and would hold up a request for as long."""
    place = lay(wait=SHORT)
    place.server.answer = lambda _request: Reply(hangs=True)
    one, other = (place.issue(f"{place.server.url}{number}") for number in (1, 2))
    assert "in time" in unavailable(place.ask(one))
    assert "not asked again yet" in unavailable(place.ask(other))
    assert 1 == len(place.server.requests)
    place.server.answer = place.told
    place.clocks.ahead = 5.1
    assert isinstance(place.ask(other), OcspGood)


def test_t39_a_host_that_stays_silent_is_left_alone_for_longer(lay: Lay) -> None:
    place = lay(wait=SHORT)
    place.server.answer = lambda _request: Reply(hangs=True)
    one, other, third = (place.issue(f"{place.server.url}{number}") for number in (1, 2, 3))
    unavailable(place.ask(one))
    place.clocks.ahead = 5.1
    assert "in time" in unavailable(place.ask(other))
    place.clocks.ahead = 10.2  # five seconds later: ten are wanted now
    assert "not asked again yet" in unavailable(place.ask(third))
    place.clocks.ahead = 15.2
    assert "in time" in unavailable(place.ask(third))
    assert 3 == len(place.server.requests)


def test_t79_an_address_that_is_refused_at_once_takes_no_other_away(lay: Lay) -> None:
    place = lay()
    place.server.answer = lambda _request: Reply(status=404)
    assert "404" in unavailable(place.ask(place.issue(f"{place.server.url}odd")))
    place.server.answer = place.told
    assert isinstance(place.ask(place.issue()), OcspGood)


def test_t39_where_no_place_becomes_free_nobody_is_called(lay: Lay) -> None:
    place = lay(wait=SHORT)
    for _ in range(MOST_QUESTIONS):
        assert place.responders._places.acquire(blocking=False)
    assert "8 questions to responders are under way" == unavailable(place.ask(place.issue()))
    assert [] == place.server.requests


def test_t39_a_decision_without_time_asks_nobody(lay: Lay) -> None:
    place = lay()
    assert "no time left to ask" == unavailable(place.ask(place.issue(), seconds=0))
    assert [] == place.server.requests


def test_t39_a_late_decision_does_not_make_a_responder_look_down(lay: Lay) -> None:
    place = lay(wait=timedelta(seconds=5))
    place.server.answer = lambda _request: Reply(hangs=True)
    assert isinstance(place.ask(place.issue(), seconds=0.1), OcspUnavailable)
    place.server.answer = place.told
    assert isinstance(place.ask(place.issue()), OcspGood)


def test_t39_remembered_answers_do_not_wait_for_a_hanging_responder(lay: Lay) -> None:
    place = lay(wait=timedelta(seconds=30))
    dave = place.issue()
    place.ask(dave)
    place.server.answer = lambda _request: Reply(hangs=True)
    while place.server.arrived.acquire(blocking=False):
        pass
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(place.ask, place.issue())
        assert place.server.arrived.acquire(timeout=10)
        assert isinstance(place.ask(dave), OcspGood)
        assert not hanging.done()
        place.server.released.set()


# --- one question for all


def test_two_who_ask_the_same_put_one_question(lay: Lay) -> None:
    place = lay(wait=timedelta(seconds=30))
    dave, may_answer = place.issue(), threading.Event()

    def answer(request: bytes) -> bytes:
        may_answer.wait(30)
        return place.told(request)

    place.server.answer = answer
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(place.ask, dave)
        assert place.server.arrived.acquire(timeout=10)
        second = threads.submit(place.ask, dave)
        until(lambda: 1 == place.responders.figures().shared)
        assert "no answer within 30 s" == unavailable(
            place.ask(dave, seconds=0)
        )  # who has no time does not wait
        may_answer.set()
        assert isinstance(first.result(timeout=10), OcspGood)
        assert first.result() == second.result(timeout=10)
    assert 1 == len(place.server.requests)


def until(true: Callable[[], bool]) -> None:
    """Wait until something is true, ten seconds at most."""
    deadline = time.monotonic() + 10
    pause = threading.Event()
    while not true():
        assert time.monotonic() < deadline
        pause.wait(0.005)


def test_a_defect_is_told_to_the_one_who_asked_and_holds_nobody_up(lay: Lay) -> None:
    def broken(_host: str, _port: int, _seconds: float) -> list[str]:
        raise ZeroDivisionError

    place = lay(hosts=frozenset({"localhost"}))
    place.responders._fetcher = Fetcher(resolve=broken)
    dave = place.issue("http://localhost/")
    with pytest.raises(ZeroDivisionError):
        place.ask(dave)
    assert ["OCSP responder `http://localhost/`: asking it was broken off by a defect"] == (
        place.responders.warnings()
    )
    assert "not asked again yet" in unavailable(place.ask(dave))
    assert MOST_QUESTIONS == place.responders._places._value  # the place is free again


# --- in the background


def test_an_answer_in_use_is_asked_for_anew_before_it_ends(lay: Lay) -> None:
    place = lay()
    dave = place.issue()
    place.ask(dave)
    assert 0 == place.responders.refresh()
    place.clocks.now = NOW + timedelta(minutes=29)
    assert 0 == place.responders.refresh()  # not before the second half of its life
    place.clocks.now = NOW + timedelta(minutes=46)
    place.told.this_update, place.told.next_update = NOW + timedelta(minutes=45), NOW + 2 * HOUR
    assert 1 == place.responders.refresh()
    place.clocks.now = NOW + timedelta(minutes=90)
    assert isinstance(place.remembered(dave), OcspGood)  # and nobody has waited
    assert 2 == len(place.server.requests)


def test_an_answer_that_nobody_uses_any_more_is_left_to_end(lay: Lay) -> None:
    place = lay()
    place.ask(place.issue())
    place.told.next_update = NOW + 9 * HOUR
    place.clocks.now = NOW + timedelta(minutes=50)
    assert 1 == place.responders.refresh()
    place.clocks.now = NOW + 8 * HOUR
    assert 0 == place.responders.refresh()
    assert 2 == len(place.server.requests)


def test_a_long_answer_is_asked_for_anew_within_the_maximum_age(lay: Lay) -> None:
    place = lay(maximum_age=timedelta(minutes=10))
    place.told.next_update = NOW + timedelta(days=7)
    dave = place.issue()
    place.ask(dave)
    place.clocks.now = NOW + timedelta(minutes=8)
    place.told.status = revoked()
    assert 1 == place.responders.refresh()
    assert isinstance(place.remembered(dave), OcspRevoked)
    assert 1 == place.responders.changes


def test_t39_an_answer_holds_while_its_responder_fails(lay: Lay) -> None:
    place = lay()
    dave = place.issue()
    place.ask(dave)
    place.server.answer = lambda _request: Reply(status=500)
    place.clocks.now = NOW + timedelta(minutes=50)
    assert 1 == place.responders.refresh()
    assert isinstance(place.remembered(dave), OcspGood)
    assert 0 == place.responders.refresh()  # not again at once
    place.clocks.now += timedelta(seconds=30)
    assert 1 == place.responders.refresh()
    place.clocks.now = NOW + HOUR
    assert isinstance(place.ask(dave), OcspUnavailable)  # and no longer


def test_what_is_asked_about_is_not_asked_anew_at_the_same_time(lay: Lay) -> None:
    place = lay(wait=timedelta(seconds=30))
    dave = place.issue()
    place.ask(dave)
    place.clocks.now = NOW + timedelta(minutes=50)
    ((key, kept),) = place.responders._memory._kept.items()
    place.responders._flights[key] = ocsp_responders._Flight()
    assert 0 == place.responders.refresh()
    place.responders._ask_anew(key, kept.heard)  # it was put between the look and this
    assert 1 == len(place.server.requests)


def test_refreshing_goes_on_in_a_thread_until_it_is_closed(
    lay: Lay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ocsp_responders, "_LOOK_SECONDS", 0.01)
    place = lay()
    dave = place.issue()
    place.ask(dave)
    assert place.server.arrived.acquire(timeout=10)
    (kept,) = place.responders._memory._kept.values()
    heard, kept.heard = kept.heard, replace(kept.heard, certificate=b"")  # a defect
    place.clocks.now = NOW + timedelta(minutes=50)
    place.responders.start()
    until(lambda: "ocsp_refresh_broken" in caplog.messages)
    kept.heard = heard
    place.clocks.now += timedelta(seconds=31)
    assert place.server.arrived.acquire(timeout=10)
    place.responders.close()
    place.responders.close()


def test_closing_ends_refreshing_between_two_questions(lay: Lay) -> None:
    place = lay()
    for _ in range(3):
        place.ask(place.issue())
    place.clocks.now = NOW + timedelta(minutes=50)
    place.responders.close()
    assert 0 == place.responders.refresh()
    assert 3 == len(place.server.requests)


# --- bounds


def test_what_is_remembered_is_bounded(lay: Lay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocsp_memory, "_MOST_REMEMBERED", 2)
    place = lay()
    first, second, third = (place.issue() for _ in range(3))
    for each in (first, second, first, third):
        place.ask(each)
    assert place.remembered(second) is None  # the one that was used longest ago
    assert isinstance(place.remembered(first), OcspGood)
    place.server.answer = lambda _request: failed(6)
    for _ in range(4):
        place.ask(place.issue())
    assert 2 == len(place.responders._memory._refused)


def test_the_addresses_that_are_remembered_are_bounded(lay: Lay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocsp_states, "_MOST_RESPONDERS", 2)
    place = lay()
    for number in range(4):
        place.ask(place.issue(f"{place.server.url}/{number}"))
    assert 2 == len(place.responders._states._responders)


# --- what operators see


def test_everything_is_counted(lay: Lay) -> None:
    place = lay()
    dave = place.issue()
    place.ask(dave)
    place.ask(dave)
    place.server.answer = lambda _request: failed(6)
    place.ask(place.issue())
    place.server.answer = lambda _request: Reply(status=500)
    place.ask(place.issue())
    place.ask(place.issue())
    figures = place.responders.figures()
    host = place.server.host
    assert {(host, "good"): 1, (host, "unavailable"): 2} == figures.answers
    assert [host] == list(figures.seconds)
    assert 0 < figures.seconds[host] < 10
    assert (1, 0, 1) == (figures.remembered, figures.shared, figures.skipped)
    assert {host: True} == figures.failing


def test_a_responder_that_fails_is_logged_and_warned_of(lay: Lay, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="authsvc.ocsp")
    place = lay()
    place.server.answer = lambda _request: Reply(status=500)
    place.ask(place.issue())
    (warning,) = place.responders.warnings()
    assert warning.startswith(f"OCSP responder `{place.server.url}`: ")
    assert "500" in warning
    place.server.answer = place.told
    place.clocks.ahead = 5.0
    place.ask(place.issue())
    assert [] == place.responders.warnings()
    place.server.answer = lambda _request: failed(3)
    place.ask(place.issue())
    place.ask(place.issue())
    assert [
        f"OCSP responder `{place.server.url}`: the responder says `tryLater`"
    ] == place.responders.warnings()
    assert ["ocsp_responder_down", "ocsp_responder_up", "ocsp_response_refused"] == caplog.messages
    place.clocks.ahead += 601
    assert [] == place.responders.warnings()


# --- a responder of others


def test_the_responder_of_openssl_is_understood(tmp_path: Path) -> None:
    """`openssl ocsp` listens on every interface and takes nothing but a number for a port; it is stopped by its pid."""
    openssl = find_program("openssl", "openssl")
    now = datetime.now(UTC)  # it speaks by the clock of the machine
    authority = Authority.root("CN=OpenSSL CA", now=now)
    responder = delegate(authority)
    dave, norma, nobody = (authority.issue(f"CN={name}") for name in ("Dave", "Norma", "Nobody"))
    index = (
        f"V\t400101000000Z\t\t{digits(dave)}\tunknown\t/CN=Dave\n"
        f"R\t400101000000Z\t{now:%y%m%d%H%M%SZ},keyCompromise\t{digits(norma)}\tunknown\t/CN=Norma\n"
    )
    (tmp_path / "index.txt").write_text(index)
    for name, text in (
        ("ca.pem", authority.pem),
        ("responder.pem", responder.pem),
        ("key.pem", responder.key_pem),
    ):
        (tmp_path / name).write_text(text)
    (port,) = free_ports(1)
    files = {"-index": "index.txt", "-CA": "ca.pem", "-rsigner": "responder.pem", "-rkey": "key.pem"}
    arguments = [word for option, name in files.items() for word in (option, str(tmp_path / name))]
    log = tmp_path / "log"
    process = start_process([openssl, "ocsp", "-port", str(port), "-nmin", "5", *arguments], log=log)
    try:
        # Its log is waited for: a connection that is closed without a request makes it deaf for ever.
        until(lambda: b"waiting for OCSP client connections" in log.read_bytes())
        responders = OcspResponders(
            OcspSettings(
                url=f"http://127.0.0.1:{port}/",
                private_networks=LOOPBACK,
                nonce=NonceUse.REQUIRED,
                wait=timedelta(seconds=10),
                clock_skew=HOUR,
            ),
            fetcher=Fetcher(),
        )

        def ask(issued: Issued) -> OcspAnswer:
            return responders.ask(
                facts_of(issued),
                facts_of(authority),
                anchor_id="corp",
                now=now,
                deadline=time.monotonic() + 30,
            )

        assert isinstance(ask(dave), OcspGood)
        told = ask(norma)
        assert isinstance(told, OcspRevoked)
        assert "keyCompromise" == told.reason
        assert isinstance(ask(nobody), OcspUnknown)
    finally:
        stop_process(process)


def digits(issued: Issued) -> str:
    """Return a serial number as the index of openssl has it: an even number of hexadecimal digits."""
    text = f"{issued.certificate.serial_number:X}"
    return text if len(text) % 2 == 0 else f"0{text}"
