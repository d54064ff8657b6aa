"""Paths and hosts of original requests, normalised before anything is compared (contract section 1).

What lives here: normalising, and the patterns of routes. What does not: which database a path belongs to
(`databases.py`).

The web server, this service and the application behind must mean the same resource (threat T15). So whatever
one of them could read in another way is not repaired but refused, as `None`: the caller answers
`database_unknown`.

INVARIANT: two paths that differ only in how characters are escaped match the same patterns: matching compares
decoded segments. Decoding is safe there, and only there, because no escaped separator is left.
Standard: RFC 3986 sections 2.3, 3.3 and 6.2.2.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, unquote, unquote_to_bytes

from directory_assistance.errors import shorten

__all__ = ["ANY_HOST", "PathPattern", "RouteError", "normalise_host", "normalise_path", "read_host_pattern"]

ANY_HOST = "*"
"""The host pattern that every host matches, an unknown one included."""

_ASCII = "".join(map(chr, range(128)))
_WELL_ESCAPED = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_AMBIGUOUS = ("%2F", "%5C", "%25", "//", "\\", ";", "#")
"""What one web server or application decodes, merges or cuts, and another does not."""

_HOST = re.compile(r"([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\.?(?::[0-9]{1,5})?")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class RouteError(ValueError):
    """A route, or a pattern of one, cannot be used."""


def normalise_path(uri: str) -> str | None:
    r"""Return the path of an original request in the one form in which paths are compared, or None.

    1. The path ends at `?`, and begins with `/`; an absolute URI is refused.
    2. Every escape is well formed; those of unreserved characters are decoded, once.
    3. What is left must be plain: no `%2F %5C %25`, `//`, `\`, `;`, `#`, no segment `.` or `..`, no control
       character, escaped (`%00`) or not; escapes are of UTF-8, and nothing outside ASCII is without.

    Total; applied to its own result it changes nothing.
    """
    path = uri.partition("?")[0]  # step 1
    if not path.startswith("/") or not path.isascii() or not _WELL_ESCAPED.fullmatch(path):
        return None
    path = _ESCAPE.sub(_decode_unreserved, path)  # step 2
    if any(trick in path for trick in _AMBIGUOUS):  # step 3
        return None
    if any(map(_is_dot_segment, path.split("/"))) or _holds_control_characters(path):
        return None
    return path


def normalise_host(host: str) -> str | None:
    """Return a host in lower case without port and trailing dot, or None for what is no host."""
    match = _HOST.fullmatch(host) or _ADDRESS.fullmatch(host)
    return match[1].casefold() if match else None  # ASCII by the patterns above


def read_host_pattern(text: str) -> str:
    """Read the host of a route: `*`, or one host name or bracketed address without a port.

    Raises:
        RouteError: it is neither.

    """
    if text == ANY_HOST:
        return text
    normalised = normalise_host(text)
    if normalised is None or normalised != text.casefold():
        raise RouteError(f"expected host `*`, or a host name without port, found `{shorten(text)}`")
    return normalised


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPattern:
    """The path of a route: `/sales.nsf/**`, `/*/public`.

    `segments`: literal ones decoded, None for `*`, which is exactly one segment and not an empty one.
    `below`: the pattern ends in `/**`, and matches `/x` itself and everything below it. Patterns that are
    written differently and match alike are equal.
    """

    segments: tuple[str | None, ...]
    below: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pattern, escaped or, outside ASCII, written plainly; `%2A` is a literal star.

        Raises:
            RouteError: it could match no normalised path, or a star stands where it has no meaning.

        """
        # An unpaired surrogate becomes a backslash, which is refused.
        escaped = quote(text, safe=_ASCII, errors="backslashreplace")
        normalised = None if "?" in text else normalise_path(escaped)
        if normalised is None:
            expected = "a path from `/`, without `//`, `.` and `..`, `\\`, `;`, `?`, `#`, `%2F`, `%5C`, `%25`"
            raise RouteError(f"expected {expected}, found `{shorten(text)}`")
        segments = normalised.split("/")[1:]
        below = segments[-1] == "**"
        if below:
            segments.pop()
        if any("*" in segment and segment != "*" for segment in segments):
            expected = "`*` as a whole segment, and `**` as the last one only"
            raise RouteError(f"expected {expected}, found `{shorten(text)}`")
        return cls(
            segments=tuple(None if segment == "*" else unquote(segment) for segment in segments), below=below
        )

    def matches(self, path: str) -> bool:
        """Whether a path, as `normalise_path` returns it, matches."""
        return self._takes(tuple(map(unquote, path.split("/")[1:])))

    def covers(self, other: "PathPattern") -> bool:
        """Whether every path that matches the other pattern matches this one."""
        return (self.below or not other.below) and self._takes(other.segments)

    def _takes(self, found: tuple[str | None, ...]) -> bool:
        """Whether these segments match; None among them stands for any segment that is not empty."""
        wanted = self.segments
        if len(found) < len(wanted) or (len(found) > len(wanted) and not self.below):
            return False
        return all(
            segment == want if want is not None else segment != ""
            for want, segment in zip(wanted, found, strict=False)
        )

    def __str__(self) -> str:
        """Print as it is written, literal segments decoded."""
        parts = ["*" if segment is None else segment for segment in self.segments]
        return "/" + "/".join([*parts, "**"] if self.below else parts)


def _decode_unreserved(escape: re.Match[str]) -> str:
    character = chr(int(escape[0][1:], 16))
    return character if character in _UNRESERVED else escape[0].upper()


def _is_dot_segment(segment: str) -> bool:
    """Whether a segment is `.` or `..`, also to an application that decodes `..%3B` and cuts at the `;`."""
    return unquote(segment).partition(";")[0] in {".", ".."}


def _holds_control_characters(path: str) -> bool:
    """Whether there is a control character, escaped or not, or what is no UTF-8 and could hide one."""
    try:
        decoded = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        return True
    return any(unicodedata.category(character) == "Cc" for character in decoded)
