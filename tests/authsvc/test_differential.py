"""Our path engine against `openssl verify` and pyhanko-certvalidator, on generated chains and broken certificates.

Every disagreement stands in `tests/differences.md` with its explanation, or the run fails. The examples are the same
in every run, so that a change fails for what it changed; with `EXPLORE=1` in the environment they are new ones.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from authsvc.cli.verify_batch import decide_line
from tests.support.chains import GeneratedCase, chains, mutations
from tests.support.differences import explain_difference, read_differences
from tests.support.oracles import PyhankoOracle, ask_openssl, pyhanko_oracle
from tests.support.pki import NOW

Compare = Callable[[GeneratedCase], None]

ORDINARY = 50
"""Examples of an ordinary run: each costs some 30 ms, most of it the oracles'."""

MANY = 4_000


def differential(examples: int) -> settings:
    """Return the settings of a run: nothing is shrunk, because every example starts processes."""
    return settings(
        max_examples=examples,
        database=None,
        derandomize="EXPLORE" not in os.environ,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@pytest.fixture(scope="module")
def pyhanko() -> Iterator[PyhankoOracle]:
    with pyhanko_oracle() as oracle:
        yield oracle


@pytest.fixture
def compare(pyhanko: PyhankoOracle, tmp_path: Path) -> Compare:
    """Ask everybody; fail on a disagreement that nobody has explained."""

    def ask(case: GeneratedCase) -> None:
        _name, answer = decide_line(json.dumps(case.batch).encode(), now=lambda: NOW)
        opinions = {"openssl": ask_openssl(case.batch, tmp_path), "pyhanko": pyhanko.ask(case.batch)}
        for oracle, opinion in opinions.items():
            if opinion.valid != answer.valid:
                assert explain_difference(oracle, opinion, answer, case), (
                    f"{oracle} says {'valid' if opinion.valid else opinion.detail!r}; "
                    f"we say {answer.reason.value}: {answer.detail}; marks {sorted(case.marks)}; "
                    f"{json.dumps(case.batch)}"
                )

    return ask


@differential(ORDINARY)
@given(case=chains())
def test_generated_paths_are_judged_alike(compare: Compare, case: GeneratedCase) -> None:
    compare(case)


@differential(ORDINARY)
@given(case=chains(revocation=True))
def test_revocation_of_generated_paths_is_judged_alike(compare: Compare, case: GeneratedCase) -> None:
    compare(case)


@differential(ORDINARY)
@given(case=mutations())
def test_broken_certificates_are_judged_alike(compare: Compare, case: GeneratedCase) -> None:
    compare(case)


@pytest.mark.long
@differential(MANY)
@given(case=st.one_of(chains(), chains(revocation=True), mutations()))
def test_many_more_paths_and_certificates_are_judged_alike(compare: Compare, case: GeneratedCase) -> None:
    compare(case)


def test_every_row_of_the_table_says_why() -> None:
    rows = read_differences()
    assert len(rows) > 20
    assert not [row for row in rows if row.why != "As above" and len(row.why) < 40]


def test_no_row_explains_an_acceptance_that_the_oracle_refuses_for_a_reason() -> None:
    """Where we accept and an oracle refuses, the row names the oracle's trouble: a crash or a lack, never a finding."""
    findings = ("revoked", "expired", "not valid", "signature", "path length", "subtree", "policy", "usage")
    rows = [row for row in read_differences() if row.reason == "valid"]
    assert rows
    assert not [row for row in rows if not row.theirs or any(word in row.theirs for word in findings)]
