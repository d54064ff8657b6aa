"""Every threat that is held by a test has a test of its number, so that none of them can vanish unseen.

A test is named after the threats it holds: `test_t44_...`, or `test_t52_t55_...` for two. A number that is not here
belongs to something that is not built yet; it is added with its first test, and this file says so if it is not.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]

HELD = frozenset(
    {
        *(1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 16),  # the front door
        *range(17, 31),  # certificates and paths
        *range(31, 44),  # revocation
        *(44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55),  # names and directories
        *(57, 59, 60, 61, 62, 63, 64, 65),
        *(66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 78, 79),  # state and operations
        *(81, 82, 84, 85, 86, 87, 88),  # added later
    }
)

_NAME = re.compile(r"test((?:_t[0-9]{2})+)_[a-z0-9_]+")
_NUMBER = re.compile(r"_t([0-9]{2})")


def by_threat() -> dict[int, list[str]]:
    """Return the names of the tests of each threat, of those that pytest collects."""
    found: dict[int, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for name in _collected(ast.parse(path.read_text(encoding="utf-8"))):
            for number in numbers_in(name):
                found.setdefault(number, []).append(name)
    return found


def _collected(tree: ast.Module) -> Iterator[str]:
    """Yield the names that pytest collects: functions of a module, whose last definition counts."""
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    yield from dict.fromkeys(name for name in names if name.startswith("test"))


def numbers_in(name: str) -> list[int]:
    """Return the numbers of the threats that a test is named after."""
    match = _NAME.fullmatch(name)
    return [] if match is None else [int(number) for number in _NUMBER.findall(match[1])]


def test_every_threat_that_is_held_has_a_test_of_its_number() -> None:
    missing = sorted(HELD - by_threat().keys())
    assert missing == [], f"threats without a test: {missing}"


def test_every_number_that_a_test_names_is_listed_here() -> None:
    assert sorted(by_threat().keys() - HELD) == []


def test_no_test_has_the_name_of_another_in_its_module() -> None:
    """Of two functions of one name the first is never run, and its threat is held by nobody."""
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        twice = {name for name in names if name.startswith("test") and names.count(name) > 1}
        assert twice == set(), path


def test_a_name_tells_its_threats() -> None:
    assert [44] == numbers_in("test_t44_what_it_does")
    assert [52, 55] == numbers_in("test_t52_t55_what_it_does")
    assert [] == numbers_in("test_what_t44_does")
    assert [] == numbers_in("test_t4_what_it_does")
