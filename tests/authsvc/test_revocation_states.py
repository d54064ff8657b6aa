"""How a source of revocation lists stands at an instant, and what an operator hears of it."""

from datetime import timedelta

import pytest

from authsvc.operations.revocation_states import (
    ListState,
    ListStatus,
    SourceKind,
    SourceStatus,
    life_warnings,
)
from authsvc.trust.crl import read_crl
from tests.support.pki import NOW, small_world

WORLD = small_world()
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
BEGIN, END, GRACE = NOW - 2 * HOUR, NOW + 8 * HOUR, 2 * HOUR
HELD = read_crl(WORLD.root.crl(this_update=BEGIN, next_update=END, number=7).der, source="a.crl")
WHICH = "`a.crl` of `CN=Renovations Root CA,O=Renovations`"
EXPIRED = f"{WHICH} expired 2026-03-01T20:00:00+00:00"


@pytest.mark.parametrize(
    ("since_begin", "expected", "warning"),
    [
        pytest.param(
            -SECOND,
            ListStatus.FUTURE,
            f"{WHICH} begins 2026-03-01T10:00:00+00:00, in the future",
            id="to come",
        ),
        pytest.param(timedelta(0), ListStatus.CURRENT, "", id="just begun"),
        pytest.param(8 * HOUR, ListStatus.CURRENT, "", id="a fifth of its life left"),
        pytest.param(
            8 * HOUR + SECOND,
            ListStatus.CURRENT,
            f"{WHICH} has less than 20% of its life left: next update 2026-03-01T20:00:00+00:00",
            id="less than a fifth left",
        ),
        pytest.param(
            10 * HOUR,
            ListStatus.GRACE,
            f"{EXPIRED}, and counts until 2026-03-01T22:00:00+00:00 because of `grace`",
            id="at its end the grace begins",
        ),
        pytest.param(12 * HOUR, ListStatus.EXPIRED, EXPIRED, id="at the end of the grace"),
    ],
)
def test_a_source_stands_as_the_dates_of_its_list_say(
    since_begin: timedelta, expected: ListStatus, warning: str
) -> None:
    now = BEGIN + since_begin
    status = SourceStatus.of(ListState(source="a.crl", kind=SourceKind.FILE, held=HELD), now=now, grace=GRACE)
    assert (expected, 7, 0) == (status.status, status.number, status.entries)
    assert [warning] * bool(warning) == list(life_warnings(status, now=now, grace=GRACE))


def test_a_source_without_a_list_is_missing_one_which_others_report() -> None:
    state = ListState(source="a.crl", kind=SourceKind.URL, problem="no answer")
    status = SourceStatus.of(state, now=NOW, grace=GRACE)
    assert (
        SourceStatus(source="a.crl", kind=SourceKind.URL, status=ListStatus.MISSING, problem="no answer")
        == status
    )
    assert [] == list(life_warnings(status, now=NOW, grace=GRACE))


def test_a_list_without_a_number_has_none() -> None:
    held = read_crl(WORLD.root.crl(number=None).der, source="a.crl")
    status = SourceStatus.of(ListState(source="a.crl", kind=SourceKind.FILE, held=held), now=NOW, grace=GRACE)
    assert status.number is None
