"""Reading one configuration file with models, collecting every mistake on the way; used by both packages.

What lives here: `ConfigReader`, and the small grammars that occur in every file (times, paths, secrets by
reference). What does not: any key of any file (`config.py` of either package), YAML (`yaml_lines.py`).

Invariants:

* A mistake in one place hides none in another: what a model refuses is reported and taken out, and the rest
  is read on. So models have no required keys (`require` reports those), and values read beside a mistake are
  for finding more mistakes, never for use: whoever reads asks `has_errors` at the end.
* A relative path belongs to the folder of the file it stands in and does not leave it, not even over a
  symbolic link (threat T43); who means another folder writes an absolute path.
* A secret never stands in a file and never in a problem's text.
"""

import copy
import re
import ssl
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import pydantic

from directory_assistance.errors import Problem, shorten
from directory_assistance.yaml_lines import (
    LoadedYaml,
    YamlPath,
    YamlValue,
    expand_references,
    path_in_file,
    problems_from,
)

__all__ = [
    "ConfigModel",
    "ConfigReader",
    "Duration",
    "Lax",
    "Text",
    "Texts",
    "describe_ssl_error",
    "read_duration",
    "reference_in",
]

_Model = TypeVar("_Model", bound=pydantic.BaseModel)
_Read = TypeVar("_Read")

_LONGEST_TEXT = 4_096
"""Characters of one value; the longest that make sense, filter templates and URLs, are shorter."""

_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)", re.ASCII)
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_LONGEST_DURATION = timedelta(days=3_650)
"""Ten years: more is a slip of the pen, and dates plus such a time would leave the calendar."""

_ONE_REFERENCE = re.compile(r"\$\{[^{}]*\}")

_LARGEST_FILE = 4 * 1024 * 1024
"""Octets of a file of certificates, keys or secrets: a thousand certificates."""

_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""Permissions that a secret's file should not give."""


class ConfigModel(pydantic.BaseModel):
    """What all models of configuration have in common: unknown keys are errors, types are not guessed."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


def read_duration(text: object) -> timedelta:
    """Read a time such as `500ms`, `2s`, `1m`, `12h`, `7d`.

    Raises:
        ValueError: it is none, or longer than ten years.

    """
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"expected a time such as `500ms`, `2s`, `1m` or `7d`, found `{shorten(str(text))}`")
    duration = int(match[1]) * _UNITS[match[2]]
    if duration > _LONGEST_DURATION:
        raise ValueError(f"expected a time of at most {_LONGEST_DURATION.days}d, found `{match[0]}`")
    return duration


Lax = pydantic.Strict(strict=False)
"""For tuples and enumerations, which YAML can only write as lists and words."""

Text = Annotated[str, pydantic.Field(min_length=1, max_length=_LONGEST_TEXT)]
Texts = Annotated[tuple[Text, ...], Lax]
Duration = Annotated[timedelta, pydantic.BeforeValidator(read_duration)]

_OPENSSL_PLACE = re.compile(r" \(_ssl\.c:[0-9]+\)\Z")
"""Where in Python's C file an error was raised: another line in every release."""


def describe_ssl_error(error: OSError | ValueError) -> str:
    """Say what is wrong with TLS material; OpenSSL's own words hold the line of its C file."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return shorten(_OPENSSL_PLACE.sub("", str(error)))


def reference_in(text: str) -> bool:
    """Tell whether a text holds a reference `${NAME}`."""
    return _ONE_REFERENCE.search(text) is not None


@dataclass(slots=True)
class ConfigReader:
    """Reads the values of one file and collects its problems.

    Args:
        loaded: the file's data.
        folder: where the file stands, for relative paths.
        environment: the variables that references may name.
        problems: those that are already known of the file.

    """

    loaded: LoadedYaml
    folder: Path
    environment: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)

    @property
    def has_errors(self) -> bool:
        """Whether any problem is more than a warning."""
        return any(not problem.warning for problem in self.problems)

    def error(self, path: YamlPath, problem: str, *, hint: str = "") -> None:
        """Note a mistake."""
        self.problems.append(self.loaded.problem(path, problem, hint=hint))

    def warn(self, path: YamlPath, problem: str, *, hint: str = "") -> None:
        """Note what may be a mistake, or is dangerous."""
        self.problems.append(self.loaded.problem(path, problem, hint=hint, warning=True))

    def stands(self, path: YamlPath) -> bool:
        """Tell whether the file says anything at a path, right or wrong."""
        return self.loaded.value_at(path) is not None

    def require(self, path: YamlPath, *, hint: str = "") -> None:
        """Report a key that must be there and is not; one that is there and wrong is already reported."""
        if not self.stands(path):
            self.error(path, "missing", hint=hint)

    def model(self, model: type[_Model], path: YamlPath) -> _Model | None:
        """Read a part of the file with a model, reporting and leaving out whatever it refuses.

        Returns:
            None if nothing can be read, because the part is no mapping.

        """
        data = self.loaded.value_at(path)
        try:
            return model.model_validate(data)
        except pydantic.ValidationError as error:
            self.problems.extend(problems_from(error, self.loaded, path, model=model))
            rest = copy.deepcopy(data)
            for detail in error.errors(include_url=False, include_context=False, include_input=False):
                _take_out(rest, path_in_file(detail["loc"], self.loaded, path)[len(path) :])
        try:
            return model.model_validate(rest)
        except pydantic.ValidationError:
            return None

    def read(self, path: YamlPath, text: str | None, reader: Callable[[str], _Read]) -> _Read | None:
        """Read a text by its grammar; None, reported, if the grammar refuses it (`ValueError`)."""
        if text is None:
            return None
        try:
            return reader(text)
        except ValueError as error:
            self.error(path, str(error))
            return None

    def unique(self, path: YamlPath, texts: tuple[str, ...]) -> None:
        """Report each text of a list that stands in it before."""
        for position, text in enumerate(texts):
            if text in texts[:position]:
                self.error((*path, position), f"`{shorten(text)}` stands twice")

    def located(self, path: YamlPath, text: str | None) -> Path | None:
        """Return the absolute path of a file that need not exist; None (reported) if it leaves the folder."""
        if text is None:
            return None
        given = Path(text)
        if given.is_absolute():
            return given
        folder = self.folder.absolute()
        try:
            inside = (folder / given).resolve().is_relative_to(folder.resolve())
        except (OSError, RuntimeError) as error:  # a loop of symbolic links: RuntimeError until Python 3.13
            self.error(path, f"`{shorten(text)}` cannot be followed: {shorten(str(error))}")
            return None
        if not inside:
            self.error(
                path, f"`{shorten(text)}` leaves the folder of this file", hint="write it as an absolute path"
            )
            return None
        return folder / given

    def content(self, path: YamlPath, text: str | None) -> tuple[Path, bytes] | None:
        """Return the absolute path and the octets of a file that must exist; None (reported) otherwise."""
        read = self._beginning(path, text, _LARGEST_FILE + 1)
        if read is not None and len(read[1]) > _LARGEST_FILE:
            self.error(path, f"expected a file of at most {_LARGEST_FILE} octets, found a larger one")
            return None
        return read

    def readable(self, path: YamlPath, text: str | None) -> Path | None:
        """Return the absolute path of a file of any size that must exist and be readable; None (reported) otherwise."""
        read = self._beginning(path, text, 1)
        return None if read is None else read[0]

    def _beginning(self, path: YamlPath, text: str | None, size: int) -> tuple[Path, bytes] | None:
        located = self.located(path, text)
        if located is None:
            return None
        try:
            # A named pipe would be waited for, and a device never ends.
            if not stat.S_ISREG(located.stat().st_mode):
                self.error(path, f"expected a file, found `{shorten(str(text))}`, which is none")
                return None
            with located.open("rb") as stream:
                return located, stream.read(size)
        except OSError as error:
            self.error(path, f"`{shorten(str(text))}` cannot be read: {error.strerror or error}")
            return None

    def existing(self, path: YamlPath, text: str | None) -> Path | None:
        """Return the absolute path of a file that must exist and be readable; None (reported) otherwise."""
        found = self.content(path, text)
        return None if found is None else found[0]

    def secret(self, path: YamlPath, text: str | None) -> Path | None:
        """Return the path of an existing file that holds a secret; warns if others may read it."""
        found = self.content(path, text)
        if found is None:
            return None
        located, octets = found
        mode = stat.S_IMODE(located.stat().st_mode) if located.exists() else 0
        if mode & _FOR_OTHERS:
            self.warn(
                path,
                f"`{shorten(str(text))}` is a secret and open to others (mode {mode:04o})",
                hint="chmod 0600",
            )
        if not octets.strip():
            self.error(path, f"`{shorten(str(text))}` is empty")
            return None
        return located

    def referred(self, path: YamlPath, text: str) -> str | None:
        """Return a text with its references replaced; None (reported) if one names nothing."""
        return self.read(path, text, lambda given: expand_references(given, self.environment))


def _take_out(data: YamlValue, path: YamlPath) -> None:
    """Take the value at a path out of data: its key from the mapping that is nearest to it."""
    holder: tuple[dict[str, YamlValue], str] | None = None
    here = data
    for step in path:
        if isinstance(here, dict) and isinstance(step, str) and step in here:
            holder, here = (here, step), here[step]
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
        else:
            break
    if holder is not None:
        del holder[0][holder[1]]
