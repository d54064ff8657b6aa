"""Pools that somebody made to be expensive are answered within half a second."""

import pytest

from tests.support.batch import Answer, BatchCase, verify_batch
from tests.support.hostile import HOSTILE

_LONGEST = 500.0
"""Milliseconds that any case may take."""

_TRIES = 3
"""The quickest of so many counts: a loaded machine makes one or the other of them slow."""

_KEYS = sorted(name for name in HOSTILE if "rsa" in name or "exponents" in name)


@pytest.fixture(scope="module")
def answers() -> dict[str, list[Answer]]:
    """What the command says about every pool, asked in one process; the modest neighbour comes last."""
    cases: list[BatchCase] = []
    for name, make in HOSTILE.items():
        pool = make()
        cases += [{**case, "id": name} for case in (*[pool.refused] * _TRIES, pool.allowed)]
    found: dict[str, list[Answer]] = {}
    for answer in verify_batch(cases):
        found.setdefault(str(answer.id), []).append(answer)
    return found


def require_refused_in_time(answers: list[Answer]) -> None:
    *refused, allowed = answers
    assert [False] * _TRIES + [True] == [answer.valid for answer in (*refused, allowed)], answers
    assert min(answer.milliseconds for answer in refused) < _LONGEST, answers


@pytest.mark.parametrize("name", sorted(set(HOSTILE) - set(_KEYS)))
def test_t24_an_expensive_pool_is_refused_in_time_and_a_modest_one_of_its_kind_is_not(
    name: str, answers: dict[str, list[Answer]]
) -> None:
    require_refused_in_time(answers[name])


@pytest.mark.parametrize("name", _KEYS)
def test_t25_an_expensive_key_is_refused_in_time_and_a_modest_one_is_not(
    name: str, answers: dict[str, list[Answer]]
) -> None:
    require_refused_in_time(answers[name])


def test_there_is_a_pool_of_every_kind() -> None:
    assert len(HOSTILE) >= 20
    assert len(_KEYS) >= 4
