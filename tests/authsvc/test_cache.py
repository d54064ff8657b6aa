"""The verdict cache: what is served again, for how long, and to which question alone."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.access.databases import DatabaseTarget, IdentityTarget, RefusedTarget, Target
from authsvc.access.levels import Level, Privilege
from authsvc.access.requirements import Requirement
from authsvc.decision.cache import VerdictCache, cache_key
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Verdict
from authsvc.presented.presentation import (
    NoCertificate,
    Presentation,
    PresentedCertificate,
    RejectedByFrontEnd,
    UnreadableCertificate,
)
from authsvc.reason import Reason
from tests.support.pki import NOW
from tests.support.verdicts import VALID_UNTIL, allowed, anonymous, denied, undecided

SALES = DatabaseTarget(database="sales.nsf", requirement=Requirement(level=Level.READER))
BASE = DecisionRequest(
    presentation=PresentedCertificate(der=b"certificate"),
    front_end=FrontEndPolicy(name="nginx"),
    target=SALES,
    over_tls=True,
)
KEY = cache_key(BASE)
EPOCH = (1, (7,))
MOMENT = timedelta(microseconds=1)
STRANGER = replace(denied(Reason.CERTIFICATE_UNTRUSTED), certificate=None)


def filled(verdict: Verdict, **sizes: int) -> VerdictCache:
    cache = VerdictCache(**sizes)
    cache.store(KEY, verdict, epoch=EPOCH, decided_at=NOW)
    return cache


@pytest.mark.parametrize(
    "verdict",
    [allowed(), allowed(access=None), anonymous(), denied(Reason.ACL_LEVEL), STRANGER],
    ids=["an allow", "an identity", "an anonymous allow", "a refusal with a path", "a refusal without one"],
)
def test_a_verdict_is_served_again_in_its_epoch(verdict: Verdict) -> None:
    assert verdict is filled(verdict).find(KEY, epoch=EPOCH, now=NOW)


def test_a_verdict_is_served_until_the_moment_before_its_end() -> None:
    assert filled(allowed()).find(KEY, epoch=EPOCH, now=VALID_UNTIL - MOMENT) is not None


@pytest.mark.parametrize("verdict", [allowed(), STRANGER], ids=["an allow", "a refusal"])
def test_t41_no_verdict_is_served_at_its_end_or_later(verdict: Verdict) -> None:
    """The end is the earliest of cache time, the path's end and the next update of revocation."""
    for late in (VALID_UNTIL, VALID_UNTIL + timedelta(days=1)):
        assert filled(verdict).find(KEY, epoch=EPOCH, now=late) is None


def test_t30_a_clock_that_was_set_back_does_not_lengthen_a_verdict() -> None:
    assert filled(allowed()).find(KEY, epoch=EPOCH, now=NOW - MOMENT) is None


@pytest.mark.parametrize("epoch", [(2, (7,)), (1, (8,)), (1, (7, 1))])
def test_t41_t66_no_verdict_is_served_in_another_epoch(epoch: object) -> None:
    """Neither after a change of trust or revocation, nor after a write, nor with another directory."""
    assert filled(allowed()).find(KEY, epoch=epoch, now=NOW) is None


def test_a_verdict_of_an_ended_epoch_does_not_come_back() -> None:
    cache = filled(allowed())
    assert cache.find(KEY, epoch=(2, (7,)), now=NOW) is None
    assert cache.find(KEY, epoch=EPOCH, now=NOW) is None


def test_an_unknown_epoch_serves_nothing_and_keeps_nothing() -> None:
    assert filled(allowed()).find(KEY, epoch=None, now=NOW) is None
    cache = VerdictCache()
    cache.store(KEY, allowed(), epoch=None, decided_at=NOW)
    assert cache.clear() == 0


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason.status == 503])
def test_undecided_is_never_stored(reason: Reason) -> None:
    assert filled(undecided(reason)).clear() == 0


def test_a_question_has_one_verdict_even_when_its_kind_changes() -> None:
    """An allow that became a refusal is not found any more, and the other way round."""
    cache = filled(allowed())
    cache.store(KEY, STRANGER, epoch=EPOCH, decided_at=NOW)
    assert cache.find(KEY, epoch=EPOCH, now=NOW) is STRANGER
    again = allowed()
    cache.store(KEY, again, epoch=EPOCH, decided_at=NOW)
    assert cache.find(KEY, epoch=EPOCH, now=NOW) is again
    assert cache.clear() == 1


def test_an_ended_allow_does_not_hide_the_refusal_that_followed() -> None:
    cache = filled(replace(allowed(), valid_until=NOW + MOMENT))
    later = NOW + timedelta(seconds=1)
    assert cache.find(KEY, epoch=EPOCH, now=later) is None
    cache.store(KEY, STRANGER, epoch=EPOCH, decided_at=later)
    assert cache.find(KEY, epoch=EPOCH, now=later) is STRANGER


@pytest.mark.parametrize(
    "verdict",
    [STRANGER, denied(Reason.NO_ENTRY), anonymous()],
    ids=["without a path", "with a path and no entry", "without a certificate"],
)
def test_t76_strangers_do_not_push_out_those_who_work_here(verdict: Verdict) -> None:
    cache = filled(allowed(), verified=2, other=2)
    for number in range(10):
        stranger = replace(BASE, presentation=PresentedCertificate(der=b"stranger %d" % number))
        cache.store(cache_key(stranger), verdict, epoch=EPOCH, decided_at=NOW)
    assert cache.find(KEY, epoch=EPOCH, now=NOW) is not None
    assert cache.clear() == 3


def test_t76_the_cache_is_bounded_and_forgets_what_was_used_longest_ago() -> None:
    cache = VerdictCache(verified=2, other=2)
    keys = [
        cache_key(replace(BASE, presentation=PresentedCertificate(der=b"%d" % number))) for number in range(3)
    ]
    for key in keys[:2]:
        cache.store(key, allowed(), epoch=EPOCH, decided_at=NOW)
    cache.find(keys[0], epoch=EPOCH, now=NOW)
    cache.store(keys[2], allowed(), epoch=EPOCH, decided_at=NOW)
    found = [cache.find(key, epoch=EPOCH, now=NOW) is not None for key in keys]
    assert [True, False, True] == found


@pytest.mark.parametrize(("roles", "kept"), [(32, 1), (33, 0)])
def test_t76_a_question_that_a_stranger_made_long_is_not_kept(roles: int, kept: int) -> None:
    requirement = Requirement(roles=frozenset(str(number) for number in range(roles)))
    long = replace(BASE, target=DatabaseTarget(database="sales.nsf", requirement=requirement))
    cache = VerdictCache()
    cache.store(cache_key(long), denied(Reason.ACL_ROLE), epoch=EPOCH, decided_at=NOW)
    assert kept == cache.clear()


def test_clear_forgets_everything_and_tells_how_much_it_was() -> None:
    cache = filled(allowed())
    other = cache_key(replace(BASE, over_tls=False))
    cache.store(other, STRANGER, epoch=EPOCH, decided_at=NOW)
    assert cache.clear() == 2
    assert cache.find(KEY, epoch=EPOCH, now=NOW) is None
    assert cache.find(other, epoch=EPOCH, now=NOW) is None
    assert cache.clear() == 0


# --- the key -----------------------------------------------------------------------------------------------

_TEXTS = st.sampled_from(["", "none", "certificate", "a", "b"])
_BYTES = st.sampled_from([b"", b"a", b"b", b"ab", b"none", b"\x00\x00\x00\x01a"])
_FRONT_ENDS = st.builds(
    FrontEndPolicy,
    name=st.sampled_from(["nginx", "edge", "api"]),
    anonymous=st.booleans(),
    accept_expired=st.sampled_from([timedelta(0), timedelta(days=7)]),
)
_PRESENTATIONS: st.SearchStrategy[Presentation] = st.one_of(
    st.builds(NoCertificate),
    st.builds(UnreadableCertificate, problem=_TEXTS),
    st.builds(RejectedByFrontEnd, problem=_TEXTS),
    st.builds(PresentedCertificate, der=_BYTES, chain=st.lists(_BYTES, max_size=2).map(tuple)),
)
_REQUIREMENTS = st.builds(
    Requirement,
    level=st.sampled_from([None, Level.READER, Level.MANAGER]),
    privileges=st.frozensets(st.sampled_from([*Privilege][:2])),
    roles=st.frozensets(_TEXTS, max_size=2),
)
_TARGETS: st.SearchStrategy[Target] = st.one_of(
    st.builds(IdentityTarget),
    st.builds(DatabaseTarget, database=_TEXTS, requirement=_REQUIREMENTS),
    st.builds(RefusedTarget, reason=st.sampled_from([Reason.DATABASE_UNKNOWN]), problem=_TEXTS),
)
_REQUESTS = st.builds(
    DecisionRequest,
    presentation=_PRESENTATIONS,
    front_end=_FRONT_ENDS,
    target=_TARGETS,
    over_tls=st.sampled_from([None, True, False]),
    https_url=_TEXTS,
)


@given(one=_REQUESTS, other=_REQUESTS)
def test_t71_two_requests_share_a_verdict_exactly_when_they_are_equal(
    one: DecisionRequest, other: DecisionRequest
) -> None:
    cache = VerdictCache()
    cache.store(cache_key(one), allowed(), epoch=EPOCH, decided_at=NOW)
    assert (one == other) == (cache.find(cache_key(other), epoch=EPOCH, now=NOW) is not None)


_PARTS: dict[str, st.SearchStrategy[object]] = {
    "presentation": _PRESENTATIONS,
    "front_end": _FRONT_ENDS,
    "target": _TARGETS,
    "over_tls": st.sampled_from([None, True, False]),
    "https_url": _TEXTS,
}


@given(request=_REQUESTS, data=st.data())
def test_t71_one_other_part_is_another_question(request: DecisionRequest, data: st.DataObject) -> None:
    """Front end, everything presented, target, over TLS: each of them alone."""
    part = data.draw(st.sampled_from(sorted(_PARTS)))
    other = data.draw(_PARTS[part].filter(lambda value: value != getattr(request, part)))
    changed = replace(request, **{part: other})  # type: ignore[arg-type]  # a part of its own kind
    assert cache_key(request) != cache_key(changed)


def test_t71_the_same_leaf_with_another_chain_is_another_question() -> None:
    """A hint may complete a path: what was presented counts as a whole."""
    with_hint = replace(BASE, presentation=PresentedCertificate(der=b"certificate", chain=(b"hint",)))
    joined = replace(BASE, presentation=PresentedCertificate(der=b"certificatehint"))
    assert len({KEY, cache_key(with_hint), cache_key(joined)}) == 3
