"""Configuration text read into plain data that remembers its lines, and pydantic's complaints told with them.

What lives here: reading YAML, the line of every key and value, and turning a `pydantic.ValidationError` into
`Problem`s. What does not: what any key means (`config.py` of either package, the reader of `apply` files).

Invariants:

* Whatever the text, the answer is data or a `ConfigurationError`; no other exception leaves this module.
* The data are `dict` (keys are text), `list`, `str`, `int`, `float` (finite), `bool` and `None`, nothing
  else: no tag is honoured, so no text makes an object.
* One key, one meaning: a key that stands twice is a problem, not a choice.
* The size of the data is bounded, aliases written out, so that no later reader meets a "billion laughs".

Standard: YAML as PyYAML reads it (1.1 syntax), with the scalars of the YAML 1.2 core schema (section 10.3.2):
only `true` and `false` are booleans. YAML 1.1 also takes `no`, `off`, `on` and `yes` for booleans and `1:30`
for ninety; here they are text: `ocsp: off` says what it says, and no name or level changes by its spelling.
"""

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import pydantic
import yaml
from pydantic_core import ErrorDetails

from directory_assistance.errors import ConfigurationError, Problem, shorten

__all__ = [
    "CONFIGURATION_LIMITS",
    "DECLARATION_LIMITS",
    "LoadedYaml",
    "YamlLimits",
    "YamlPath",
    "YamlValue",
    "dotted",
    "expand_references",
    "inspect_yaml",
    "load_yaml",
    "path_in_file",
    "problems_from",
    "read_text",
    "suggest",
]

YamlValue = None | bool | int | float | str | list["YamlValue"] | dict[str, "YamlValue"]
"""What a YAML text becomes."""

YamlPath = tuple[str | int, ...]
"""Keys and list positions (from 0) from the top down to a value."""

_DEEPEST_NESTING = 32
"""Lists and mappings inside each other: our files need six, and every reader of the data recurses so deep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlLimits:
    """How large a document may be: octets (or characters) of text, and values in it with aliases written out."""

    octets: int
    values: int


CONFIGURATION_LIMITS = YamlLimits(octets=4 * 1024 * 1024, values=500_000)
"""A configuration has a few thousand octets; this is no more than a second's work."""

DECLARATION_LIMITS = YamlLimits(octets=256 * 1024 * 1024, values=20_000_000)
"""What `export` writes for 100,000 people with a certificate each; its reader is an administrator who can wait."""

_LONGEST_NUMBER = 20
"""Characters of a number; a longer one is no port, size or time, and Python refuses 4,301 digits."""

_MOST_PROBLEMS = 200
"""Problems told of one file; a file with more is another kind of file."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
"""YAML 1.2 core schema; `.inf` and `.nan` are left out: nothing is measured in them, so they stay text."""

_UNUSABLE = re.compile("[\0\ud800-\udfff]")
"""What `"\\0"` and `"\\ud800"` write: no file name, database or header takes them."""

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    """A value with its line (from 1), its parts by key or position, and how many values it is in all."""

    value: YamlValue
    line: int
    parts: "Mapping[str | int, _Node]" = field(default_factory=dict)
    key_lines: Mapping[str, int] = field(default_factory=dict)
    size: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedYaml:
    """The data of one file, and where everything in them stands. `file` is what problems call the file."""

    file: str
    root: _Node = field(repr=False)

    @property
    def data(self) -> YamlValue:
        """The whole text as plain data; None for an empty one."""
        return self.root.value

    def line_of(self, path: YamlPath) -> int:
        """Return the line of a key or list item, or of its nearest parent that is there (the top: 1)."""
        node, line = self.root, 1
        for step in path:
            if step not in node.parts:
                break
            line = node.key_lines[step] if isinstance(step, str) else node.parts[step].line
            node = node.parts[step]
        return line

    def value_at(self, path: YamlPath) -> YamlValue:
        """Return the value at a path, None where there is none."""
        node = self.root
        for step in path:
            if step not in node.parts:
                return None
            node = node.parts[step]
        return node.value

    def problem(self, path: YamlPath, problem: str, *, hint: str = "", warning: bool = False) -> Problem:
        """Return a problem that stands at a path."""
        return Problem(
            file=self.file,
            line=self.line_of(path),
            path=dotted(path),
            problem=problem,
            hint=hint,
            warning=warning,
        )


def dotted(path: YamlPath) -> str:
    """Print a path as problems show it: `domains[1].ldap.base`."""
    printed = ""
    for step in path:
        if isinstance(step, int):
            printed += f"[{step}]"
        else:
            printed += f"{'.' if printed else ''}{shorten(step)}"
    return printed


# --- reading


def read_text(path: Path, file: str | None = None, *, limits: YamlLimits = CONFIGURATION_LIMITS) -> str:
    """Read a text file (UTF-8).

    Args:
        path: the file.
        file: what problems call it; the path as given if None.
        limits: how long it may be.

    Raises:
        ConfigurationError: it cannot be read, is too long, or is not UTF-8.

    """
    called = str(path) if file is None else file
    try:
        with path.open("rb") as stream:
            octets = stream.read(limits.octets + 1)
    except OSError as error:
        raise _unreadable(called, 0, f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the path
        raise _unreadable(called, 0, f"cannot be read: {error}") from error
    if len(octets) > limits.octets:
        raise _unreadable(called, 0, f"expected at most {limits.octets} octets, found more")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise _unreadable(
            called, line, f"expected UTF-8, found the octet 0x{octets[error.start]:02x}"
        ) from error


def load_yaml(text: str, file: str, *, limits: YamlLimits = CONFIGURATION_LIMITS) -> LoadedYaml:
    """Read one YAML document.

    Raises:
        ConfigurationError: the text cannot be read, or things in it have no one meaning; all such at once.

    """
    loaded, problems = inspect_yaml(text, file, limits=limits)
    if problems:
        raise ConfigurationError(problems)
    return loaded


def inspect_yaml(
    text: str, file: str, *, limits: YamlLimits = CONFIGURATION_LIMITS
) -> tuple[LoadedYaml, tuple[Problem, ...]]:
    """Read one YAML document for somebody who goes on to report every mistake in it.

    Returns:
        The data, of a key that stands twice with its first value, and the problems found. Data with problems
        are for looking for more of them, never for use.

    Raises:
        ConfigurationError: the text breaks off (its syntax, or a limit), so that data would mislead.

    """
    if len(text) > limits.octets:
        raise _unreadable(file, 0, f"expected at most {limits.octets} characters, found {len(text)}")
    builder = _Builder(file, limits.values)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        never_closed = error.problem is not None and "<stream end>" in error.problem
        mark = (error.context_mark if never_closed else None) or error.problem_mark or error.context_mark
        builder.report(0 if mark is None else mark.line + 1, *_syntax_problem(error))
        raise ConfigurationError(builder.problems) from error
    except yaml.reader.ReaderError as error:
        builder.report(
            text.count("\n", 0, error.position) + 1,
            f"expected text, found the character U+{error.character:04X}",
        )
        raise ConfigurationError(builder.problems) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML lets numbers too large for Python through (`"\UFFFFFFFF"`, `%YAML 1.111...`).
        builder.report(0, f"not readable as YAML: {shorten(str(error))}")
        raise ConfigurationError(builder.problems) from error
    except _LimitReachedError as error:
        raise ConfigurationError(builder.problems) from error
    return LoadedYaml(file=file, root=builder.root), builder.problems


def _unreadable(file: str, line: int, problem: str) -> ConfigurationError:
    return ConfigurationError([Problem(file=file, line=line, path="", problem=problem)])


def _syntax_problem(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    """Return problem and hint of a syntax error; PyYAML's words, on one line."""
    said = shorten(": ".join(part for part in (error.context, error.problem) if part))
    if error.context == "while scanning an alias":
        return (
            f"not readable as YAML: {said}",
            'a text that begins with `*` stands in quotes: "*/Renovations"',
        )
    if error.problem == "found character '\\t' that cannot start any token":
        return f"not readable as YAML: {said}", "indent with spaces"
    return f"not readable as YAML: {said}", ""


class _LimitReachedError(Exception):
    """The text goes over a limit; the problem is already reported."""


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is still open. `key`: the key that waits for its value, None between pairs."""

    event: yaml.CollectionStartEvent
    parts: dict[str | int, _Node] = field(default_factory=dict)
    key_lines: dict[str, int] = field(default_factory=dict)
    key: str | None = None
    key_taken: bool = False
    size: int = 1
    unusable: int = 0

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.event, yaml.MappingStartEvent)


class _Builder:
    """Builds nodes from PyYAML's events, without recursion, and collects problems on the way.

    `composer` and `constructor` of PyYAML are not used: they recurse (a RecursionError for `[[[[...`), write
    aliases out without a bound, let the last of two equal keys win and follow tags.
    """

    def __init__(self, file: str, most_values: int) -> None:
        self._file = file
        self._most_values = most_values
        self._problems: list[Problem] = []
        self._open: list[_Frame] = []
        self._anchors: dict[str, _Node | None] = {}
        self._documents = 0
        self.root = _Node(value=None, line=1)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(self._problems)

    def report(self, line: int, problem: str, hint: str = "") -> None:
        if len(self._problems) < _MOST_PROBLEMS:
            self._problems.append(
                Problem(file=self._file, line=line, path=dotted(self._path()), problem=problem, hint=hint)
            )

    def take(self, event: yaml.Event) -> None:
        """Take the next event.

        Raises:
            _LimitReachedError: nothing after it should be read.

        """
        line = _line(event)
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop(line, "expected one document, found a second one", "`---` begins a document")
            case yaml.ScalarEvent():
                self._refuse_tag(event, line)
                self._add(_Node(value=self._read_scalar(event, line), line=line), event.anchor)
            case yaml.AliasEvent():
                self._add_alias(str(event.anchor), line)
            case yaml.CollectionStartEvent():
                self._refuse_tag(event, line)
                if len(self._open) >= _DEEPEST_NESTING:
                    self._stop(line, f"expected at most {_DEEPEST_NESTING} levels of nesting, found more")
                if event.anchor is not None:
                    self._anchors[event.anchor] = None  # known, but not yet complete
                self._open.append(_Frame(event=event))
            case yaml.CollectionEndEvent():
                frame = self._open.pop()
                self._add(_close(frame), frame.event.anchor)
            case _:
                pass  # the stream's and the document's ends say nothing

    def _stop(self, line: int, problem: str, hint: str = "") -> None:
        self.report(line, problem, hint)
        raise _LimitReachedError

    def _path(self) -> YamlPath:
        path: list[str | int] = []
        for frame in self._open:
            if not frame.is_mapping:
                path.append(len(frame.parts))
            elif frame.key is not None:
                path.append(frame.key)
        return tuple(path)

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, line: int) -> None:
        if event.tag is not None:
            self.report(
                line, f"expected no tag, found `{shorten(str(event.tag))}`", "leave it out; quotes make text"
            )

    def _read_scalar(  # noqa: PLR0911 - one case for each kind of scalar
        self, event: yaml.ScalarEvent, line: int
    ) -> YamlValue:
        text = str(event.value)
        unusable = _UNUSABLE.search(text)
        if unusable is not None:
            self.report(line, f"expected text, found the character U+{ord(unusable[0]):04X}")
            return None
        if event.style is not None:
            return text
        if text in _NULLS:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        is_integer = _INTEGER.fullmatch(text) is not None
        if not is_integer and _FLOAT.fullmatch(text) is None:
            return text
        if len(text) > _LONGEST_NUMBER:
            self.report(
                line, f"expected a number of at most {_LONGEST_NUMBER} characters, found `{shorten(text)}`"
            )
            return None
        if is_integer:
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        number = float(text)
        if not math.isfinite(number):
            self.report(line, f"expected a finite number, found `{shorten(text)}`")
            return None
        return number

    def _add_alias(self, anchor: str, line: int) -> None:
        node = self._anchors.get(anchor)
        if node is None:
            self.report(
                line,
                f"alias `{shorten(anchor)}` stands inside what it repeats"
                if anchor in self._anchors
                else f"alias `{shorten(anchor)}` repeats what is not there",
            )
            node = _Node(value=None, line=line)
        self._add(replace(node, line=line), None)

    def _add(self, node: _Node, anchor: str | None) -> None:
        """Put a complete value where it belongs: the top, the next of a list, a key, the value of a key."""
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
            return
        frame = self._open[-1]
        frame.size += node.size
        if sum(one.size for one in self._open) > self._most_values:
            self._stop(
                node.line, f"expected at most {self._most_values} values, aliases written out, found more"
            )
        if not frame.is_mapping:
            frame.parts[len(frame.parts)] = node
        elif not frame.key_taken:
            frame.key_taken = True
            self._take_key(frame, node)
        else:
            if frame.key is not None:
                frame.parts.setdefault(frame.key, node)
            frame.key, frame.key_taken = None, False

    def _take_key(self, frame: _Frame, node: _Node) -> None:
        if not isinstance(node.value, str):
            self.report(
                node.line, f"expected a key that is text, found {_described(node.value)}", "put it in quotes"
            )
            return
        first = frame.key_lines.setdefault(node.value, node.line)
        frame.key = node.value
        if node.value in frame.parts:
            self.report(node.line, "this key stands twice", f"first in line {first}")


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None  # the parser marks every event; only events made by hand have none
    return event.start_mark.line + 1


def _close(frame: _Frame) -> _Node:
    value: YamlValue
    if frame.is_mapping:
        value = {key: node.value for key, node in frame.parts.items() if isinstance(key, str)}
    else:
        value = [node.value for node in frame.parts.values()]
    return _Node(
        value=value,
        line=_line(frame.event),
        parts=frame.parts,
        key_lines=frame.key_lines,
        size=frame.size,
    )


# --- references


def expand_references(text: str, environment: Mapping[str, str]) -> str:
    """Put the values of environment variables into a text: `${NAME}`.

    A value is put in as it is and is not looked at for further references.

    Raises:
        ValueError: a variable is not set, is empty or is not UTF-8, or the braces hold no variable's name; the
            text says which, never a value.

    """

    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        if _VARIABLE.fullmatch(name) is None:
            raise ValueError(
                f"expected the name of an environment variable in `${{...}}`, found `{shorten(name)}`"
            )
        value = environment.get(name, "")
        if not value:
            raise ValueError(f"the environment variable `{shorten(name)}` is not set")
        if _UNUSABLE.search(value):  # octets that are no UTF-8 come as surrogates
            raise ValueError(f"the environment variable `{shorten(name)}` is not UTF-8")
        return value

    return _REFERENCE.sub(value_of, text)


# --- pydantic's complaints


def problems_from(
    error: pydantic.ValidationError,
    loaded: LoadedYaml,
    base_path: YamlPath = (),
    *,
    model: type[pydantic.BaseModel] | None = None,
) -> tuple[Problem, ...]:
    """Tell what pydantic found in this project's words, with lines, in the order of the file.

    Args:
        error: the failed validation.
        loaded: what was validated (or the file that it is a part of).
        base_path: where in the file the validated part stands.
        model: the model that validated, so that unknown keys can be compared with the known ones.

    Returns:
        At least one problem. A validator that raises `PydanticCustomError` may put a `hint` into its context.

    """
    problems = [
        _problem_from(detail, loaded, base_path, model)
        for detail in error.errors(include_url=False)[:_MOST_PROBLEMS]
    ]
    return tuple(sorted(problems, key=lambda problem: problem.line))


def suggest(found: str, known: Iterable[str]) -> str:
    """Return a hint for a word that is none of the known ones: the one that was meant, or all of them."""
    words = sorted(known)
    lower = {word.casefold(): word for word in words}
    near = difflib.get_close_matches(found.casefold()[:100], list(lower), n=1, cutoff=0.7)
    if near:
        return f"did you mean `{lower[near[0]]}`?"
    return f"expected one of {', '.join(f'`{word}`' for word in words)}" if words else ""


def _problem_from(
    detail: ErrorDetails, loaded: LoadedYaml, base_path: YamlPath, model: type[pydantic.BaseModel] | None
) -> Problem:
    kind, location = detail["type"], detail["loc"]
    context = detail.get("ctx", {})
    path = path_in_file(location, loaded, base_path, missing=kind in {"missing", "missing_argument"})
    if kind == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        return loaded.problem(path, "unknown key", hint=suggest(str(location[-1]), known))
    problem, hint = _told(kind, context, detail)
    return loaded.problem(path, problem, hint=str(context.get("hint", hint)))


def _told(kind: str, context: Mapping[str, object], detail: ErrorDetails) -> tuple[str, str]:
    """Return problem and hint for one of pydantic's error types; its own words for the rare ones."""
    found = _described(detail["input"])
    if kind == "value_error":
        return str(context.get("error", detail["msg"])), ""
    if kind in {"literal_error", "enum"}:
        allowed = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return f"expected {_either(allowed)}, found {found}", _near(detail["input"], allowed)
    if kind in _EXPECTED:
        expected, hint = _EXPECTED[kind]
        return f"expected {expected.format_map(_Blanks(context))}, found {found}", hint
    if kind == "missing":
        return "missing", ""
    message = detail["msg"].rstrip(".")
    return message[:1].lower() + message[1:], ""


_EXPECTED: Mapping[str, tuple[str, str]] = {
    "bool_type": ("`true` or `false`", ""),
    "bool_parsing": ("`true` or `false`", ""),
    "dict_type": ("a mapping", "`key: value`"),
    "float_type": ("a number", ""),
    "frozen_set_type": ("a list", "`[one, two]`"),
    "greater_than": ("a number greater than {gt}", ""),
    "greater_than_equal": ("a number of at least {ge}", ""),
    "int_from_float": ("a whole number", ""),
    "int_parsing": ("a whole number", ""),
    "int_type": ("a whole number", ""),
    "less_than": ("a number less than {lt}", ""),
    "less_than_equal": ("a number of at most {le}", ""),
    "list_type": ("a list", "`[one, two]`"),
    "model_type": ("a mapping", "`key: value`"),
    "string_too_long": ("at most {max_length} characters", ""),
    "string_too_short": ("text", ""),
    "string_type": ("text", "put it in quotes"),
    "too_short": ("at least {min_length} of them", ""),
    "tuple_type": ("a list", "`[one, two]`"),
}
"""What was expected, by pydantic's error type (with its context), and a hint."""


class _Blanks(dict[str, object]):
    """A context in which what pydantic does not say is left blank, so that telling a problem never fails."""

    def __missing__(self, key: str) -> str:
        return ""


def _described(value: object) -> str:  # noqa: PLR0911 - one case for each kind of value
    """Say what was found, short enough for an error text."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"the number `{value}`"
    if isinstance(value, str):
        return f"`{shorten(value)}`" if value else "an empty text"
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list" if value else "an empty list"
    return "something else"


def _either(words: list[str]) -> str:
    quoted = [f"`{word}`" for word in words]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def _near(found: object, allowed: list[str]) -> str:
    if isinstance(found, float | int) and str(found) in allowed:
        return "put it in quotes"
    hint = suggest(found, allowed) if isinstance(found, str) else ""
    return hint if hint.startswith("did you mean") else ""


def path_in_file(
    location: Iterable[str | int], loaded: LoadedYaml, base_path: YamlPath = (), *, missing: bool = False
) -> YamlPath:
    """Follow pydantic's location through the file.

    What is in the location but not in the file is the name of a union's member, or `[key]`, and is left out;
    unless it is the key that is missing.
    """
    steps = list(location)
    path = list(base_path)
    here = loaded.value_at(base_path)
    for position, step in enumerate(steps):
        if not _holds(here, step) and not (missing and position == len(steps) - 1):
            continue
        path.append(step)
        here = loaded.value_at(tuple(path))
    return tuple(path)


def _holds(here: YamlValue, step: str | int) -> bool:
    if isinstance(here, dict):
        return step in here
    return isinstance(here, list) and isinstance(step, int) and 0 <= step < len(here)


def _keys_at(model: type[pydantic.BaseModel] | None, location: Iterable[str | int]) -> tuple[str, ...]:
    """Return the keys that the model at a location knows, none where it cannot be told."""
    for step in location:
        if model is None:
            return ()
        if isinstance(step, str):
            by_key = {info.alias or name: info for name, info in model.model_fields.items()}
            model = next(_models_in(by_key[step].annotation), None) if step in by_key else None
    return () if model is None else tuple(info.alias or name for name, info in model.model_fields.items())


def _models_in(annotation: object) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
