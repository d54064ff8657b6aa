"""The fault family of directory assistance.

A fault means that the question could not be answered: a server was down, an answer was malformed, a budget
ran out. It is never an answer, so it never turns into "nobody" and never into "allow": the caller makes
*undecided* of it. Answers (no entry, ambiguous, ...) are values and live in `search.py`. What a text means
that somebody typed wrongly is a `NameSyntaxError` or a `ConfigurationError`, which are not faults.

No exception here carries an HTTP status.
"""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "CertificateSyntaxError",
    "ConfigurationError",
    "DirectoryAnswerMalformed",
    "DirectoryFault",
    "DirectoryUnavailable",
    "ExpansionLimitExceeded",
    "NameSyntaxError",
    "Problem",
    "shorten",
]

_LONGEST_QUOTE = 200
"""Characters of outside input that an error text repeats: enough to recognise it, too few to flood a log."""


def shorten(text: str) -> str:
    """Return outside input as error texts quote it: control characters escaped, at most 200 characters."""
    if len(text) <= _LONGEST_QUOTE and text.isprintable():
        return text  # nearly every text; character by character it would take 20 µs
    visible = "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text[: _LONGEST_QUOTE + 1]
    )
    return visible if len(visible) <= _LONGEST_QUOTE else visible[:_LONGEST_QUOTE] + "…"


class DirectoryFault(Exception):  # noqa: N818 - a fault is this project's word for it (GLOSSARY.md)
    """A directory could not answer.

    Args:
        domain: the domain whose directory failed.
        problem: what went wrong, lower case, one line, no full stop.

    """

    def __init__(self, domain: str, problem: str) -> None:
        super().__init__(f"domain `{domain}`: {problem}")
        self.domain = domain
        self.problem = problem


class DirectoryUnavailable(DirectoryFault):
    """The directory did not answer: refused, timed out, bind or TLS failed, busy."""


class DirectoryAnswerMalformed(DirectoryFault):
    """The directory answered something that cannot be read (an entry without a name, a value that is no DN)."""


class ExpansionLimitExceeded(DirectoryFault):
    """Group nesting went deeper, or found more groups, than the limits allow (reason `expansion_limit`)."""


class NameSyntaxError(ValueError):
    """A text is not a name in the form it claims to have."""


class CertificateSyntaxError(ValueError):
    """Bytes are not one readable X.509 certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a configuration file.

    `line` counts from 1; 0 means the file as a whole. `path` is dotted with list positions,
    `domains[1].ldap.base`. `warning` problems do not stop anything.
    """

    file: str
    line: int
    path: str
    problem: str
    hint: str = ""
    warning: bool = False

    def __str__(self) -> str:
        """Print as `file:line: path: problem (hint)`."""
        hint = f" ({self.hint})" if self.hint else ""
        path = f" {self.path}:" if self.path else ""
        return f"{self.file}:{self.line}:{path} {self.problem}{hint}"


class ConfigurationError(Exception):
    """A configuration cannot be used; carries every problem found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
