"""The table of `tests/differences.md`, and whether a disagreement stands in it.

A row explains a disagreement if everything in it fits: the oracle, what the oracle says, what we say, and a mark of the
case. Words are fragments; `valid` is the word for an acceptance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from authsvc.operations.path_checking import PathAnswer
from tests.support.chains import GeneratedCase
from tests.support.oracles import Opinion

__all__ = ["Difference", "explain_difference", "read_differences"]

_FILE = Path(__file__).parents[1] / "differences.md"
_VALID = "valid"
_ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One row: who, what they say, what we say, in which cases, and why."""

    oracle: str
    theirs: str
    reason: str
    words: str
    mark: str
    why: str

    def explains(self, oracle: str, opinion: Opinion, answer: PathAnswer, case: GeneratedCase) -> bool:
        """Whether this row is about a disagreement."""
        return (
            self.oracle == oracle
            and (
                opinion.valid
                if self.theirs == _VALID
                else not opinion.valid and self.theirs in opinion.detail
            )
            and self.reason == (_VALID if answer.valid else answer.reason.value)
            and self.words in answer.detail
            and (self.mark == _ANY or any(self.mark in mark for mark in case.marks))
        )


@cache
def read_differences() -> tuple[Difference, ...]:
    """Return every row of the table."""
    rows = [_cells(line) for line in _FILE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return tuple(
        Difference(oracle=oracle, theirs=theirs, reason=reason, words=words, mark=mark, why=why)
        for oracle, theirs, reason, words, mark, why in rows
        if oracle in {"openssl", "pyhanko"}
    )


def _cells(line: str) -> Sequence[str]:
    return [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]


def explain_difference(
    oracle: str, opinion: Opinion, answer: PathAnswer, case: GeneratedCase
) -> Difference | None:
    """Return the row that explains a disagreement, None if there is none."""
    return next((row for row in read_differences() if row.explains(oracle, opinion, answer, case)), None)
