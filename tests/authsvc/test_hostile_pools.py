"""Pools that somebody made to be expensive are answered within half a second (threats T24, T25)."""

import pytest

from tests.support.batch import verify_batch
from tests.support.hostile import HOSTILE

_LONGEST = 500.0
"""Milliseconds that any case may take."""

_TRIES = 3
"""The quickest of so many counts: a loaded machine makes one or the other of them slow."""


@pytest.mark.parametrize("name", HOSTILE)
def test_t24_an_expensive_pool_is_refused_in_time_and_a_modest_one_of_its_kind_is_not(name: str) -> None:
    pool = HOSTILE[name]()
    answers = verify_batch([pool.refused] * _TRIES + [pool.allowed])
    assert [False] * _TRIES + [True] == [answer.valid for answer in answers], answers
    assert min(answer.milliseconds for answer in answers[:_TRIES]) < _LONGEST
