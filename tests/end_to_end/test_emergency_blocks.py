"""An emergency block, added on the command line, in every process within a second: real processes, one store."""

from collections.abc import Iterator

import pytest

from tests.support.service import world
from tests.support.store import STORES
from tests.support.two_processes import TwoProcesses, two_processes

ALLOWED, BLOCKED = (200, "allowed"), (401, "certificate_revoked")
DAVE = world().people["dave"]
LONGEST_LAG_SECONDS = 1.0


@pytest.fixture(params=STORES)
def two(request: pytest.FixtureRequest) -> Iterator[TwoProcesses]:
    server = None if request.param == "SQLite" else request.getfixturevalue("postgresql")
    with two_processes(server) as running:
        yield running


def test_t41_a_block_ends_a_remembered_allow_in_every_process_within_a_second(two: TwoProcesses) -> None:
    """The clock runs from when the command has ended; both processes are asked all the time."""
    file = two.place.write("dave.pem", DAVE.pem)
    for process in two.both:
        process.wait_for(DAVE, ALLOWED)
        assert ALLOWED == process.ask(DAVE)
    two.run("blocks", "add", "--public-key", str(file), "--reason", "laptop stolen")
    assert max(process.wait_for(DAVE, BLOCKED) for process in two.both) < LONGEST_LAG_SECONDS
    two.run("blocks", "remove", "1")
    assert max(process.wait_for(DAVE, ALLOWED) for process in two.both) < LONGEST_LAG_SECONDS
