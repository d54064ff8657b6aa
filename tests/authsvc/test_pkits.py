"""NIST PKITS, sections 4.1 to 4.16, through `authsvc verify --batch` as a process; and the table itself.

What is expected of each case and why stands in `fixtures/pkits/`; there too, where other implementations disagree.
"""

from collections import Counter
from pathlib import Path

import pytest

from tests.support.batch import Answer, verify_batch
from tests.support.oracles import ask_openssl, pyhanko_oracle
from tests.support.pkits import PkitsCase, pkits_cases

CASES = pkits_cases()

EXPLAINED = {"openssl": frozenset({"4.1.5", "4.14.30"}), "pyhanko": frozenset({"4.1.5"})}
"""Where an oracle is known to be wrong: `fixtures/pkits/README.md` says why."""


def described(case: PkitsCase) -> str:
    return f"{case.id} {case.title}"


@pytest.fixture(scope="module")
def answers() -> dict[str, Answer]:
    """What the command says about every case, asked at once."""
    return {str(answer.id): answer for answer in verify_batch([case.batch for case in CASES])}


@pytest.mark.parametrize("case", CASES, ids=described)
def test_a_case_of_nist_is_answered_as_expected(case: PkitsCase, answers: dict[str, Answer]) -> None:
    answer = answers[case.id]
    assert case.valid == answer.valid, f"{case.title}: {case.because}; answered {answer.reason}"


def test_every_case_of_the_document_is_in_the_table() -> None:
    """How many tests each section has; a test with several settings is several cases."""
    tests = {tuple(case.id.split(".")[1:3]) for case in CASES}
    per_section = Counter(int(section) for section, _test in tests)
    expected = [6, 8, 11, 21, 8, 17, 5, 20, 8, 14, 11, 10, 38, 35, 10, 2]
    assert dict(enumerate(expected, start=1)) == dict(per_section)
    assert len(CASES) == len({case.id for case in CASES}) == 247


def test_openssl_agrees_with_the_table_but_where_it_is_explained(tmp_path: Path) -> None:
    disagreeing = {case.id for case in CASES if ask_openssl(case.batch, tmp_path).valid != case.valid}
    assert EXPLAINED["openssl"] == disagreeing


def test_pyhanko_agrees_with_the_table_but_where_it_is_explained() -> None:
    with pyhanko_oracle() as oracle:
        disagreeing = {case.id for case in CASES if oracle.ask(case.batch).valid != case.valid}
    assert EXPLAINED["pyhanko"] == disagreeing
