"""One encoder and one decoder for the values of identity headers (contract section 1, threat T84).

A value is UTF-8, percent-encoded after RFC 3986 section 2.1: `%`, `,`, controls and everything outside ASCII
are escaped, and so is a space at either end, because HTTP drops it there. All else stays readable: `/`, `=`,
space. A list is encoded element by element, then joined with `,`.

INVARIANT: `decode_value(encode_value(text)) == text` for every text, unpaired surrogates included; an encoded
value is printable ASCII, so no name of a directory ends a header, begins another, or makes an allow fail.

The decoder is published: applications may copy it, it needs nothing but the standard library.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote_to_bytes

__all__ = ["decode_list", "decode_value", "encode_list", "encode_url", "encode_value"]

_READABLE: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in "%,")


def encode_value(text: str) -> bytes:
    """Return a text as a header value."""
    encoded = quote(text, safe=_READABLE, encoding="utf-8", errors="surrogatepass").encode("ascii")
    inner = encoded.strip(b" ")
    if len(inner) == len(encoded):
        return encoded
    leading = len(encoded) - len(encoded.lstrip(b" "))
    return b"%20" * leading + inner + b"%20" * (len(encoded) - leading - len(inner))


def decode_value(value: bytes) -> str:
    """Return the text of a header value.

    Raises:
        UnicodeDecodeError: the value was not made by `encode_value`.

    """
    return unquote_to_bytes(value).decode("utf-8", "surrogatepass")


def encode_list(elements: Iterable[str]) -> bytes:
    """Return texts as one header value, in the order given; empty for none.

    NOTE: an empty text is not told from none; no name of a group, privilege or role is empty.
    """
    return b",".join(encode_value(element) for element in elements)


def decode_list(value: bytes) -> tuple[str, ...]:
    """Return the texts of a header value that is a list.

    Raises:
        UnicodeDecodeError: the value was not made by `encode_list`.

    """
    return tuple(decode_value(element) for element in value.split(b",")) if value else ()


_URL_CHARACTERS: Final = ":/?#[]@!$&'()*+,;=-._~%"


def encode_url(url: str) -> bytes:
    """Return a URL as a header value: what RFC 3986 does not allow is escaped, its own escapes stay."""
    return quote(url, safe=_URL_CHARACTERS, encoding="utf-8", errors="surrogatepass").encode("ascii")
