"""Pools that somebody made to be expensive are answered within half a second."""

import pytest

from tests.support.batch import verify_batch
from tests.support.hostile import HOSTILE

_LONGEST = 500.0
"""Milliseconds that any case may take."""

_TRIES = 3
"""The quickest of so many counts: a loaded machine makes one or the other of them slow."""

_KEYS = sorted(name for name in HOSTILE if "rsa" in name or "exponents" in name)


def require_refused_in_time(name: str) -> None:
    """Ask the command about a pool and its modest neighbour, in a process of its own."""
    pool = HOSTILE[name]()
    answers = verify_batch([pool.refused] * _TRIES + [pool.allowed])
    assert [False] * _TRIES + [True] == [answer.valid for answer in answers], answers
    assert min(answer.milliseconds for answer in answers[:_TRIES]) < _LONGEST, answers


@pytest.mark.parametrize("name", sorted(set(HOSTILE) - set(_KEYS)))
def test_t24_an_expensive_pool_is_refused_in_time_and_a_modest_one_of_its_kind_is_not(name: str) -> None:
    require_refused_in_time(name)


@pytest.mark.parametrize("name", _KEYS)
def test_t25_an_expensive_key_is_refused_in_time_and_a_modest_one_is_not(name: str) -> None:
    require_refused_in_time(name)


def test_there_is_a_pool_of_every_kind() -> None:
    assert len(HOSTILE) >= 20
    assert len(_KEYS) >= 4
