"""Building paths: what may stand above what, the budgets, cross-certificates, and dates of the far future."""

from datetime import UTC, datetime, timedelta

import pytest

from authsvc.reason import Reason
from tests.support.pki import NOW, SmallWorld, small_world
from tests.support.trust import refused, verified, verify, world_store

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
NO_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""What RFC 5280 section 4.1.2.5 writes for a certificate without an end."""


@pytest.fixture(scope="module")
def world() -> SmallWorld:
    return small_world()


# --------------------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize("allowed", [timedelta(0), SECOND, timedelta(minutes=5)])
def test_t30_a_certificate_without_an_end_is_an_answer_whatever_the_clock_skew(
    world: SmallWorld, allowed: timedelta
) -> None:
    """The end and the skew together are past the last instant that Python knows."""
    endless = world.issuing.issue(not_after=NO_END)
    store = world_store(world)
    evidence = verified(verify(endless, store, clock_skew=allowed, accept_expired=allowed))
    assert evidence.not_after == world.issuing.certificate.not_valid_after_utc
    early = verify(endless, store, now=NOW - 2 * DAY, clock_skew=allowed, accept_expired=allowed)
    assert refused(early).reason is Reason.CERTIFICATE_NOT_YET_VALID
