"""Header fields as the web server sent them: raw bytes, and the questions every strict reader asks of them.

Here: normal forms of field names, the names in `Connection`, and the limits. Not here: what any value means
(the dialects, `original_headers.py`, `admission.py`).

INVARIANT: every reader of this package recognises a field by `normal_name` and accepts it only under its own
spelling, so that no two programs on the way can disagree about which field it is.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

__all__ = [
    "LARGEST_VALUE_BYTES",
    "HeaderField",
    "connection_names",
    "field_name",
    "normal_name",
    "strip_value",
]

HeaderField = tuple[bytes, bytes]
"""Name (lower case, as ASGI gives it) and value (as sent) of one field line."""

LARGEST_VALUE_BYTES: Final = 65_536
"""Bytes of one certificate header before decoding: a certificate of 48 KB, far beyond any that works in
TLS."""

_NOT_ALPHANUMERIC: Final = re.compile(rb"[^0-9a-z]")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


@lru_cache(maxsize=1024)
def normal_name(name: bytes) -> bytes:
    """Return the form in which other software could see two names as one: lower case, `_` and such as `-`.

    `Client_Cert`, `client.cert` and `CLIENT-CERT` all are `client-cert` (threat T4). Apache maps every
    character that is neither a letter nor a digit to `_`, so all of them are folded here, not the underscore
    alone.
    """
    return _NOT_ALPHANUMERIC.sub(b"-", name.lower())


def field_name(name: str) -> bytes:
    """Return a configured field name as it arrives: lower-case bytes.

    Raises:
        ValueError: it is not a field name (RFC 9110 section 5.1).

    """
    if not _TOKEN.match(name):
        raise ValueError(f"expected a header name, found `{name[:200]}`")
    return name.lower().encode("ascii")


def strip_value(value: bytes) -> bytes:
    """Return a value without the SP and TAB around it, which httptools leaves in place."""
    return value.strip(b" \t")


def connection_names(headers: Sequence[HeaderField]) -> frozenset[bytes]:
    """Return the normal forms of the names that `Connection` lists, for an intermediary to remove.

    A client that makes a proxy drop one of our fields (hop-by-hop abuse, threat T4) is thereby seen here.
    """
    return frozenset(_listed(value for name, value in headers if name == b"connection"))


def _listed(values: Iterable[bytes]) -> Iterable[bytes]:
    for value in values:
        for token in value.split(b","):
            yield normal_name(strip_value(token))
