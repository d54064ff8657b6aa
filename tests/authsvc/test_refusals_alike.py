"""Threat T61 on a whole service: who was not found, who is there twice and who is disabled are one answer outside.

The same octets, and about the same work: what differs is which directories were asked, since a search ends at an owner
who is disabled, or at two of them.
"""

import time
from collections.abc import Iterator
from statistics import median

import pytest

from authsvc.operations.service import Service
from authsvc.store.certificates import CertificateRecord
from authsvc.store.people import create_person
from authsvc.web.serving import _InForce
from tests.support.api import EDGE
from tests.support.asgi import AsgiAnswer, Request, ask
from tests.support.pki import Issued
from tests.support.presented import byte_sequence
from tests.support.service import Place, lay_place, serving_service, world
from tests.support.store import changing, person

REPETITIONS = 15

MOST_TIMES = 3.0
"""How much longer one refusal may take than another. A question to SQLite is a small part of checking a path."""

NOT_LINKED = world().issue("Nobody Anywhere")
DIFFERS = world().issue("Dave Lawson")
TWO = world().issue("Two Owners")
DISABLED = world().issue("Dora Disabled")

REASONS = {
    "no_entry": NOT_LINKED,
    "certificate_differs": DIFFERS,
    "ambiguous": TWO,
    "entry_disabled": DISABLED,
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Service]]:
    place = lay_place(tmp_path_factory.mktemp("alike"))
    place.configure(cache={"time": "0s"})
    with place.store() as engine, changing(engine) as change:
        two, disabled = ([CertificateRecord.from_der(issued.der)] for issued in (TWO, DISABLED))
        create_person(change, person("Two Owners/Renovations", certificates=two))
        create_person(change, person("Second Owner/Renovations", certificates=two))
        create_person(change, person("Dora Disabled/Renovations", certificates=disabled, disabled=True))
    with serving_service(place) as opened:
        yield place, opened


def send(place: Place, in_force: _InForce, issued: Issued) -> AsgiAnswer:
    headers = ((b"x-front-end-secret", place.secret.encode()), (b"client-cert", byte_sequence(issued.der)))
    return ask(
        in_force.answer, Request(query=b"database=sales.nsf&level=reader", headers=headers, connection=EDGE)
    )


def without_request_id(answer: AsgiAnswer) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    request_id = answer.value("X-Request-Id") or ""
    assert request_id
    headers = [(name, value) for name, value in answer.headers if name != b"x-request-id"]
    return answer.status, headers, answer.body.replace(request_id.encode(), b"")


def test_t61_the_refusals_of_those_who_are_not_let_in_are_one_answer(service: tuple[Place, Service]) -> None:
    place, opened = service
    in_force = _InForce(opened)
    answers = {reason: send(place, in_force, issued) for reason, issued in REASONS.items()}
    assert len({str(without_request_id(answer)) for answer in answers.values()}) == 1
    recorded = {record["request_id"]: record["reason"] for record in place.records()}
    assert {reason: recorded[answer.value("X-Request-Id")] for reason, answer in answers.items()} == {
        reason: reason for reason in REASONS
    }
    allowed = send(place, in_force, world().people["dave"])
    assert (401, 200) == (answers["no_entry"].status, allowed.status)


def test_t61_the_refusals_of_those_who_are_not_let_in_take_about_the_same_work(
    service: tuple[Place, Service],
) -> None:
    """Time of the processor, of all threads: another program's load does not count. Nothing is remembered."""
    place, opened = service
    in_force = _InForce(opened)
    took: dict[str, list[float]] = {reason: [] for reason in REASONS}
    for _repetition in range(REPETITIONS):
        for reason, issued in REASONS.items():
            began = time.process_time()
            send(place, in_force, issued)
            took[reason].append(time.process_time() - began)
    medians = {reason: median(times) for reason, times in took.items()}
    assert max(medians.values()) < MOST_TIMES * min(medians.values()), medians
