"""A removed or disabled person, a changed certificate, a changed membership end what was remembered, in every kind.

Real servers, a running service, an allow in the verdict cache; then the change, and nothing else.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from authsvc.access.databases import DatabaseTarget, IdentityTarget
from authsvc.access.entries import AclEntry
from authsvc.access.levels import Level
from authsvc.access.requirements import Requirement
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Allowed, Denied, Verdict
from authsvc.operations.service import Service
from authsvc.presented.presentation import PresentedCertificate
from authsvc.reason import Reason
from directory_assistance.watching import WatchState
from tests.support.kinds import Kinds
from tests.support.living import LIVING, Living, living
from tests.support.postgresql import PostgresqlServer
from tests.support.service import Place, lay_place, serving_service, world

PATIENCE_SECONDS = 15.0
"""How long a test waits for a verdict to change; what is promised is measured in `benchmarks/live_change.py`."""

VERA = world().issue("Vera Vine")
WHO = DecisionRequest(
    presentation=PresentedCertificate(der=VERA.der),
    front_end=FrontEndPolicy(name="nginx"),
    target=IdentityTarget(),
)
MAY = DecisionRequest(
    presentation=PresentedCertificate(der=VERA.der),
    front_end=FrontEndPolicy(name="nginx"),
    target=DatabaseTarget(database="sales.nsf", requirement=Requirement(level=Level.READER)),
)


@pytest.fixture(params=LIVING)
def vera(
    request: pytest.FixtureRequest, tmp_path: Path, kinds: Kinds, postgresql: PostgresqlServer
) -> Iterator[tuple[Living, Place]]:
    place = lay_place(tmp_path)
    with living(request.param, tmp_path, VERA, kinds, postgresql) as laid:
        place.configure_directories(domains=[dict(laid.domain)])
        place.put_database(
            "sales.nsf", AclEntry.parse(name="Vets@Acme", level=Level.READER, type="person group", roles=())
        )
        laid.reset()
        yield laid, place


@pytest.fixture
def service(vera: tuple[Living, Place]) -> Iterator[Service]:
    """A service whose watches are live."""
    _laid, place = vera
    with serving_service(place) as opened:
        opened.start()
        wait_until(lambda: all(each.status.state is WatchState.LIVE for each in opened.figures().watches))
        yield opened


def wait_until(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end


def decide(service: Service, request: DecisionRequest) -> Verdict:
    async def decided() -> Verdict:
        return await service.decider.decide(request)

    return asyncio.run(decided())


def remembered_allow(service: Service, request: DecisionRequest) -> None:
    """Let an allow be decided, and see that it is remembered."""
    wait_until(lambda: isinstance(decide(service, request), Allowed))
    wait_until(lambda: isinstance(service.decider.cached(request) or decide(service, request), Allowed))


def refusal(service: Service, request: DecisionRequest) -> Reason:
    """Wait until the request is refused, however it is answered; return why."""
    wait_until(lambda: not isinstance(service.decider.cached(request) or decide(service, request), Allowed))
    verdict = decide(service, request)
    assert isinstance(verdict, Denied), verdict
    return verdict.reason


def test_t41_somebody_who_is_disabled_is_refused(vera: tuple[Living, Place], service: Service) -> None:
    remembered_allow(service, WHO)
    vera[0].disable()
    assert refusal(service, WHO) is Reason.ENTRY_DISABLED


def test_t41_somebody_who_is_removed_is_refused(vera: tuple[Living, Place], service: Service) -> None:
    remembered_allow(service, WHO)
    vera[0].remove()
    assert refusal(service, WHO) is Reason.NO_ENTRY


def test_t41_somebody_whose_certificate_is_taken_away_is_refused(
    vera: tuple[Living, Place], service: Service
) -> None:
    remembered_allow(service, WHO)
    vera[0].take_certificate()
    assert refusal(service, WHO) in {Reason.NO_ENTRY, Reason.CERTIFICATE_DIFFERS}


def test_t66_somebody_who_left_the_group_has_no_access(vera: tuple[Living, Place], service: Service) -> None:
    remembered_allow(service, MAY)
    vera[0].leave_group()
    assert refusal(service, MAY) is Reason.ACL_LEVEL


def test_somebody_who_came_back_is_let_in_again(vera: tuple[Living, Place], service: Service) -> None:
    remembered_allow(service, MAY)
    vera[0].remove()
    assert refusal(service, MAY) is Reason.NO_ENTRY
    vera[0].reset()
    remembered_allow(service, MAY)
