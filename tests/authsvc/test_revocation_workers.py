"""A revocation list that one worker fetches counts in all of them soon: real processes, real connections."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.list_server import Answer, ListServer, Request, body, serving_lists
from tests.support.service import Place, lay_place, world
from tests.support.workers import LONGEST_WAIT, supervised, wait_until

WITHIN = 5.0
"""Seconds for what is promised in one, on a machine that does other things. Measured in `benchmarks/`."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return lay_place(tmp_path)


def _withheld(answer: Answer, until: threading.Event) -> Answer:
    def wait(request: Request, server: ListServer) -> Iterator[bytes]:
        assert until.wait(LONGEST_WAIT)
        yield from answer(request, server)

    return wait


def test_t39_t41_a_list_that_one_worker_fetches_counts_in_all_soon_and_holds_up_nobody(
    place: Place,
) -> None:
    released = threading.Event()
    dave = world().people["dave"]
    with serving_lists() as server:
        server.answers["/ca.crl"] = _withheld(body(world().crl(dave, number=2).encode()), released)
        place.configure(
            trust={
                "anchors": [{"name": "corp", "file": "root.pem"}],
                "intermediates": ["issuing.pem"],
                "revocation": {
                    "crls": ["root.crl", "issuing.crl", server.url("/ca.crl")],
                    "fetch": {"private_networks": ["127.0.0.0/8", "::1"], "timeout": "60s"},
                },
            }
        )
        with supervised(place) as running:
            workers = running.connect_to_each()
            server.wait_for_requests(1, seconds=LONGEST_WAIT)
            began = time.monotonic()
            assert {200} == {
                connection.ask(dave) for connection in workers.values()
            }  # while the server hangs
            assert time.monotonic() - began < WITHIN
            released.set()
            took = wait_until(
                lambda: {401} == {connection.ask(dave) for connection in workers.values()}, "not revoked"
            )
            assert took < WITHIN
            assert 1 == len(server.requests)
