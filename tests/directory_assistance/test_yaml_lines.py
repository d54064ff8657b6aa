"""Behaviour of the YAML reader: data with lines, one meaning for each key, never another exception."""

from pathlib import Path
from typing import Annotated, Literal

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from directory_assistance.errors import ConfigurationError
from directory_assistance.yaml_lines import (
    LoadedYaml,
    YamlPath,
    YamlValue,
    dotted,
    expand_references,
    inspect_yaml,
    load_yaml,
    problems_from,
    read_text,
    suggest,
)


def refusals(text: str) -> list[str]:
    """Return what is refused in a text, each problem as it is printed."""
    with pytest.raises(ConfigurationError) as caught:
        load_yaml(text, "some.yaml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: off", {"a": "off"}, id="off is text, not false"),
        pytest.param(
            "a: [no, No, NO, n, y, yes, on]",
            {"a": ["no", "No", "NO", "n", "y", "yes", "on"]},
            id="YAML 1.1 booleans are text",
        ),
        pytest.param("level: No Access", {"level": "No Access"}, id="No Access is text"),
        pytest.param(
            "[true, True, TRUE, false, False, FALSE]",
            [True] * 3 + [False] * 3,
            id="only true and false are booleans",
        ),
        pytest.param("[1:30, 190:20:30]", ["1:30", "190:20:30"], id="sexagesimal numbers are text"),
        pytest.param(
            "[010, 0o10, 0x1F, -7, +7, 1_000]",
            [10, 8, 31, -7, 7, "1_000"],
            id="integers are those of the core schema",
        ),
        pytest.param(
            "[1.2, .5, 5., 1e3, -1.5E-2]",
            [1.2, 0.5, 5.0, 1000.0, -0.015],
            id="floats are those of the core schema",
        ),
        pytest.param("[.inf, -.INF, .nan]", [".inf", "-.INF", ".nan"], id="infinities and nan are text"),
        pytest.param("[~, null, Null, NULL, ]", [None] * 4, id="null has four spellings"),
        pytest.param(
            "a:\nb: ''", {"a": None, "b": ""}, id="an absent value is null and quotes make empty text"
        ),
        pytest.param("['1', \"true\", 'null', |-\n  2\n]", None, id="block scalars cannot stand in flow"),
        pytest.param(
            "a: '1'\nb: \"true\"\nc: |-\n  null\n",
            {"a": "1", "b": "true", "c": "null"},
            id="quotes and blocks make text",
        ),
        pytest.param("2026-01-02", "2026-01-02", id="dates are text"),
        pytest.param("<<: {a: 1}", {"<<": {"a": 1}}, id="a merge key is a key like others"),
        pytest.param("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}, id="an alias repeats a value"),
        pytest.param("", None, id="an empty text is nothing"),
        pytest.param("--- \na: 1\n...\n", {"a": 1}, id="one document may be marked"),
    ],
)
def test_text_becomes_plain_data(text: str, expected: YamlValue) -> None:
    if expected is None and text:
        assert refusals(text)
        return
    loaded = load_yaml(text, "some.yaml")
    assert expected == loaded.data
    assert repr(expected) == repr(loaded.data), "True is not 1"


LINED = load_yaml(
    """\
# a comment
primary:
  domain: Renovations

domains:
  - domain: Acme
    rules: [{rule: '*'},
      {rule: x}]
  -
    domain: Airius
""",
    "some.yaml",
)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        pytest.param((), 1, id="the top is line 1"),
        pytest.param(("primary",), 2, id="a key stands where it is written, not where its value begins"),
        pytest.param(("primary", "domain"), 3, id="an inner key"),
        pytest.param(("primary", "url"), 2, id="what is absent stands at its parent"),
        pytest.param(("domains", 0), 6, id="a list item"),
        pytest.param(("domains", 0, "rules", 1, "rule"), 8, id="inside a flow list over two lines"),
        pytest.param(("domains", 1), 10, id="a list item that begins on the next line"),
        pytest.param(("domains", 5, "url"), 5, id="nearest parent, several levels up"),
        pytest.param(("nothing", "here"), 1, id="nothing on the way"),
        pytest.param(("primary", "domain", 0), 3, id="inside of text there is nothing"),
    ],
)
def test_every_key_has_its_line(path: YamlPath, line: int) -> None:
    assert line == LINED.line_of(path)


def test_values_are_found_by_path() -> None:
    assert LINED.value_at(("domains", 1, "domain")) == "Airius"
    assert LINED.value_at(("domains", 2)) is None
    assert dotted(("domains", 1, "ldap", "a.b")) == "domains[1].ldap.a.b"


def test_a_problem_prints_file_line_path_problem_and_hint() -> None:
    problem = LINED.problem(("domains", 0, "url"), "missing", hint="a hint")
    assert str(problem) == "some.yaml:6: domains[0].url: missing (a hint)"


_BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{this}: &{this} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, this in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "a: 1\nb: 2\na: 3\n",
            ["some.yaml:3: a: this key stands twice (first in line 1)"],
            id="a key that stands twice",
        ),
        pytest.param(
            "x:\n  - 1: 2\n    true: 3\n    [a]: b\n    ~: c\n",
            [
                "some.yaml:2: x[0]: expected a key that is text, found the number `1` (put it in quotes)",
                "some.yaml:3: x[0]: expected a key that is text, found `true` (put it in quotes)",
                "some.yaml:4: x[0]: expected a key that is text, found a list (put it in quotes)",
                "some.yaml:5: x[0]: expected a key that is text, found nothing (put it in quotes)",
            ],
            id="keys that are no text, all of them",
        ),
        pytest.param(
            "a: !!python/object/apply:os.system [x]\nb: !!str 1\nb: 2",
            [
                (
                    "some.yaml:1: a: expected no tag, found `tag:yaml.org,2002:python/object/apply:os.system`"
                    " (leave it out; quotes make text)"
                ),
                (
                    "some.yaml:2: b: expected no tag, found `tag:yaml.org,2002:str`"
                    " (leave it out; quotes make text)"
                ),
                "some.yaml:3: b: this key stands twice (first in line 2)",
            ],
            id="tags, and what else is wrong",
        ),
        pytest.param(
            "a: 1\n---\nb: 2\n",
            ["some.yaml:2: expected one document, found a second one (`---` begins a document)"],
            id="a second document",
        ),
        pytest.param(
            "a: &x [*x]\nb: *y\n",
            [
                "some.yaml:1: a[0]: alias `x` stands inside what it repeats",
                "some.yaml:2: b: alias `y` repeats what is not there",
            ],
            id="an alias of itself and one of nothing",
        ),
        pytest.param(
            _BOMB,
            ["some.yaml:6: f[3]: expected at most 500000 values, aliases written out, found more"],
            id="a billion laughs",
        ),
        pytest.param(
            "\na: " + "[" * 40 + "]" * 40,
            ["some.yaml:2: a" + "[0]" * 31 + ": expected at most 32 levels of nesting, found more"],
            id="too deep",
        ),
        pytest.param(
            "[" * 100_000,
            ["some.yaml:1: " + "[0]" * 32 + ": expected at most 32 levels of nesting, found more"],
            id="far too deep",
        ),
        pytest.param(
            "a: 1\nrule: */Renovations\n",
            [
                (
                    "some.yaml:2: rule: not readable as YAML: while scanning an alias: expected alphabetic "
                    "or numeric character, but found '/' "
                    '(a text that begins with `*` stands in quotes: "*/Renovations")'
                )
            ],
            id="a naming rule without quotes",
        ),
        pytest.param(
            "a: 1\nb: {c: 1\n\n\n",
            [
                (
                    "some.yaml:2: b: not readable as YAML: while parsing a flow mapping:"
                    " expected ',' or '}', but got '<stream end>'"
                )
            ],
            id="a bracket that is never closed, in the line where it is opened",
        ),
        pytest.param(
            'a: "x\\0y"\n"\\ud800": 1\n',
            [
                "some.yaml:1: a: expected text, found the character U+0000",
                "some.yaml:2: expected text, found the character U+D800",
                "some.yaml:2: expected a key that is text, found nothing (put it in quotes)",
            ],
            id="a NUL and a surrogate by escape",
        ),
        pytest.param(
            "a:\n\tb: 1\n",
            [
                (
                    "some.yaml:2: a: not readable as YAML: while scanning for the next token:"
                    " found character '\\t' that cannot start any token (indent with spaces)"
                )
            ],
            id="a tab as indentation",
        ),
        pytest.param(
            "a: 1\nb: x\0y\n", ["some.yaml:2: expected text, found the character U+0000"], id="a NUL"
        ),
        pytest.param(
            "a: \ud800\n", ["some.yaml:1: expected text, found the character U+D800"], id="a surrogate"
        ),
        pytest.param(
            '"\\UFFFFFFFF"',
            ["some.yaml:0: not readable as YAML: Python int too large to convert to C int"],
            id="a character beyond Unicode",
        ),
        pytest.param(
            "a: 123456789012345678901\nb: 1e999\n",
            [
                "some.yaml:1: a: expected a number of at most 20 characters, found `123456789012345678901`",
                "some.yaml:2: b: expected a finite number, found `1e999`",
            ],
            id="numbers out of bounds",
        ),
        pytest.param(
            "x" * (4 * 1024 * 1024 + 1),
            ["some.yaml:0: expected at most 4194304 characters, found 4194305"],
            id="a text over the limit",
        ),
    ],
)
def test_what_has_no_one_meaning_is_refused_with_its_line(text: str, expected: list[str]) -> None:
    assert expected == refusals(text)


def test_t69_a_key_that_stands_twice_does_not_hide_the_mistakes_after_it() -> None:
    loaded, problems = inspect_yaml("a: 1\na: 2\nb: 3\n", "some.yaml")
    assert loaded.data == {"a": 1, "b": 3}, "the first value, only to look for more mistakes"
    assert [problem.line for problem in problems] == [2]


def test_problems_of_one_file_are_limited() -> None:
    assert len(refusals("a: 1\n" * 500)) == 200


_YAML_PIECES = st.lists(
    st.sampled_from(
        [
            *[
                "a",
                "b: ",
                "- ",
                "\n",
                "  ",
                "[",
                "]",
                "{",
                "}",
                ",",
                "&a ",
                "*a",
                "!x ",
                "'",
                '"',
                ">",
                "|\n",
            ],
            *[
                "? ",
                ": ",
                "---\n",
                "...\n",
                "%YAML 1.2\n",
                "#",
                "\t",
                "\x85",
                "\u2028",
                "\ufeff",
                "~",
                "true",
            ],
            *["0x1", "1e999", "<<", "\\", "\0", chr(0xD800)],
        ]
    ),
    max_size=40,
).map("".join)


@given(st.one_of(st.text(st.characters(), max_size=200), _YAML_PIECES))
def test_t69_any_text_gives_data_or_a_configuration_error(text: str) -> None:
    try:
        loaded = load_yaml(text, "some.yaml")
    except ConfigurationError as error:
        problems = error.problems
    else:
        assert loaded.line_of(()) == 1
        return
    assert problems
    assert all(problem.file == "some.yaml" and "\n" not in str(problem) for problem in problems)


# --- files


def test_a_file_is_read_as_utf_8(tmp_path: Path) -> None:
    (tmp_path / "some.yaml").write_text("a: é\n", encoding="utf-8")
    assert read_text(tmp_path / "some.yaml") == "a: é\n"


@pytest.mark.parametrize(
    ("name", "octets", "expected"),
    [
        pytest.param("absent.yaml", None, "shown:0: cannot be read: No such file or directory", id="absent"),
        pytest.param(".", None, "shown:0: cannot be read: Is a directory", id="a folder"),
        pytest.param("a\0b", None, "shown:0: cannot be read: embedded null byte", id="a NUL in its name"),
        pytest.param(
            "latin", b"a: 1\nb: \xe9\n", "shown:2: expected UTF-8, found the octet 0xe9", id="Latin-1"
        ),
        pytest.param(
            "big", b"x" * 4_194_305, "shown:0: expected at most 4194304 octets, found more", id="too long"
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_a_problem(
    tmp_path: Path, name: str, octets: bytes | None, expected: str
) -> None:
    if octets is not None:
        (tmp_path / name).write_bytes(octets)
    with pytest.raises(ConfigurationError) as caught:
        read_text(tmp_path / name, "shown")
    assert str(caught.value) == expected


# --- references


def test_references_take_values_as_they_are() -> None:
    environment = {"PASSWORD": "p@ss${OTHER}/w", "OTHER": "never"}
    assert expand_references("x${PASSWORD}y$z", environment) == "xp@ss${OTHER}/wy$z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("${ABSENT}", "the environment variable `ABSENT` is not set", id="not set"),
        pytest.param("${EMPTY}", "the environment variable `EMPTY` is not set", id="empty"),
        pytest.param(
            "${OCTETS}", "the environment variable `OCTETS` is not UTF-8", id="octets that are no text"
        ),
        pytest.param(
            "${a b}", "expected the name of an environment variable in `${...}`, found `a b`", id="no name"
        ),
    ],
)
def test_a_reference_to_nothing_is_refused(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        expand_references(text, {"EMPTY": "", "OCTETS": "\udcff"})
    assert str(caught.value) == expected


# --- pydantic's complaints


class _Inner(pydantic.BaseModel, extra="forbid", strict=True):
    level: Literal["require", "prefer", "off"] = "require"
    count: Annotated[int, pydantic.Field(ge=2, le=10)] = 2
    on: bool = False
    name: Annotated[str, pydantic.Field(min_length=1, max_length=5)] = "x"
    names: list[str] = pydantic.Field(default=["x"], min_length=1)
    even: int = 2

    @pydantic.field_validator("even")
    @classmethod
    def _is_even(cls, value: int) -> int:
        if value == 13:
            raise PydanticCustomError("unlucky", "expected luck, found none", {"hint": "try 14"})
        if value % 2:
            raise ValueError("expected an even number")
        return value


class _Outer(pydantic.BaseModel, extra="forbid", strict=True):
    needed: str
    inner: _Inner | None = None
    list_of: Annotated[tuple[_Inner, ...], pydantic.Strict(strict=False)] = ()


def complaints(text: str) -> list[str]:
    loaded = load_yaml(text, "some.yaml")
    with pytest.raises(pydantic.ValidationError) as caught:
        _Outer.model_validate(loaded.data)
    return [str(problem) for problem in problems_from(caught.value, loaded, model=_Outer)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "inner: {level: of}",
            ":1: inner.level: expected `require`, `prefer` or `off`, found `of` (did you mean `off`?)",
            id="a word near an allowed one",
        ),
        pytest.param(
            "inner: {level: 5}",
            ":1: inner.level: expected `require`, `prefer` or `off`, found the number `5`",
            id="no word at all",
        ),
        pytest.param(
            "inner: {levle: off}", ":1: inner.levle: unknown key (did you mean `level`?)", id="a mistyped key"
        ),
        pytest.param(
            "inner: {zzz: off}",
            ":1: inner.zzz: unknown key (expected one of `count`, `even`, `level`, `name`, `names`, `on`)",
            id="an unknown key",
        ),
        pytest.param(
            "\nlist_of:\n  - {}\n  - {nme: x}",
            ":4: list_of[1].nme: unknown key (did you mean `name`?)",
            id="an unknown key in a list",
        ),
        pytest.param(
            "inner: {count: 1}",
            ":1: inner.count: expected a number of at least 2, found the number `1`",
            id="too small",
        ),
        pytest.param(
            "inner: {count: 11}",
            ":1: inner.count: expected a number of at most 10, found the number `11`",
            id="too big",
        ),
        pytest.param(
            "inner: {count: '3'}",
            ":1: inner.count: expected a whole number, found `3`",
            id="text for a number",
        ),
        pytest.param(
            "inner: {on: yes}",
            ":1: inner.on: expected `true` or `false`, found `yes`",
            id="text for a boolean",
        ),
        pytest.param(
            "inner: {name: 5}",
            ":1: inner.name: expected text, found the number `5` (put it in quotes)",
            id="a number for text",
        ),
        pytest.param(
            "inner: {name: true}",
            ":1: inner.name: expected text, found `true` (put it in quotes)",
            id="a boolean for text",
        ),
        pytest.param(
            "inner: {name: ''}", ":1: inner.name: expected text, found an empty text", id="empty text"
        ),
        pytest.param(
            "inner: {name: abcdef}",
            ":1: inner.name: expected at most 5 characters, found `abcdef`",
            id="long text",
        ),
        pytest.param(
            "inner: {names: []}",
            ":1: inner.names: expected at least 1 of them, found an empty list",
            id="an empty list",
        ),
        pytest.param(
            "inner: {names: x}",
            ":1: inner.names: expected a list, found `x` (`[one, two]`)",
            id="text for a list",
        ),
        pytest.param(
            "inner: [x]",
            ":1: inner: expected a mapping, found a list (`key: value`)",
            id="a list for a mapping",
        ),
        pytest.param("inner: {even: 3}", ":1: inner.even: expected an even number", id="a validator's word"),
        pytest.param(
            "inner: {even: 13}",
            ":1: inner.even: expected luck, found none (try 14)",
            id="a validator's word and hint",
        ),
    ],
)
def test_pydantic_s_complaints_are_told_in_our_words(text: str, expected: str) -> None:
    assert [f"some.yaml{expected}"] == complaints(_with_needed(text))


def _with_needed(text: str) -> str:
    """Add the key that is needed at the end, so that lines stay."""
    return f"{text}\nneeded: x\n"


def test_complaints_come_in_the_order_of_the_file_and_all_at_once() -> None:
    assert complaints("list_of:\n  - {level: x}\ninner:\n  on: 1\n  nam: y\n") == [
        "some.yaml:1: needed: missing",
        "some.yaml:2: list_of[0].level: expected `require`, `prefer` or `off`, found `x`",
        "some.yaml:4: inner.on: expected `true` or `false`, found the number `1`",
        "some.yaml:5: inner.nam: unknown key (did you mean `name`?)",
    ]


def test_a_file_without_a_mapping_is_one_complaint() -> None:
    assert complaints("- x") == ["some.yaml:1: expected a mapping, found a list (`key: value`)"]
    assert complaints("") == ["some.yaml:1: expected a mapping, found nothing (`key: value`)"]


def test_a_part_of_a_file_is_told_with_its_place_in_the_file() -> None:
    loaded = load_yaml("a:\n  - {}\n  - nam: x\n", "some.yaml")
    with pytest.raises(pydantic.ValidationError) as caught:
        _Inner.model_validate({"nam": "x"})
    problems = problems_from(caught.value, loaded, ("a", 1))
    assert [str(problem) for problem in problems] == ["some.yaml:3: a[1].nam: unknown key"]


def test_suggestions_ignore_case_and_list_everything_when_nothing_is_near() -> None:
    assert suggest("FIND_BYE", ["find_by", "bind_by"]) == "did you mean `find_by`?"
    assert suggest("zzz", ["b", "a"]) == "expected one of `a`, `b`"
    assert suggest("zzz", []) == ""


_DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*_Outer.model_fields, *_Inner.model_fields, "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(_DATA)
def test_any_data_give_a_model_or_problems(data: YamlValue) -> None:
    loaded: LoadedYaml = load_yaml("", "some.yaml")
    try:
        _Outer.model_validate(data)
    except pydantic.ValidationError as error:
        problems = problems_from(error, loaded, model=_Outer)
    else:
        return
    assert problems
