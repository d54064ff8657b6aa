"""Times as certificates and lists write them (RFC 5280 sections 4.1.2.5 and 5.1.2.4), read strictly.

Lives here: reading them as seconds since the beginning of the year 1, UTC. Not here: comparing with now.

INVARIANT: seconds are there, the zone is `Z`, there is no fraction; a date that does not exist is refused.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from directory_assistance.der import DerSyntaxError, Element

__all__ = ["date_of", "read_generalized_time", "read_time", "read_utc_time", "seconds_of"]

UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18

_YEAR_ONE: Final = datetime(1, 1, 1, tzinfo=UTC)
_CENTURY: Final = 50
"""UTCTime: years from 50 on are of the twentieth century (RFC 5280 section 4.1.2.5.1)."""


def read_time(element: Element) -> int:
    """Read a Time: either type, whatever the year (RFC 5280 section 5.1.2.4 asks readers for both).

    Raises:
        DerSyntaxError: it is none.

    """
    if element.tag == UTC_TIME:
        return read_utc_time(element.content)
    if element.tag == GENERALIZED_TIME:
        return read_generalized_time(element.content)
    raise DerSyntaxError(f"expected a time, found tag 0x{element.tag:02x}")


def read_utc_time(content: bytes) -> int:
    """Read the content of a UTCTime: YYMMDDHHMMSSZ."""
    digits = _digits(content, 12, "UTCTime")
    century = 1900 if int(digits[:2]) >= _CENTURY else 2000
    return _seconds(century + int(digits[:2]), digits[2:], "UTCTime")


def read_generalized_time(content: bytes) -> int:
    """Read the content of a GeneralizedTime: YYYYMMDDHHMMSSZ."""
    digits = _digits(content, 14, "GeneralizedTime")
    return _seconds(int(digits[:4]), digits[4:], "GeneralizedTime")


def _digits(content: bytes, count: int, what: str) -> bytes:
    digits = content[:-1]
    if len(digits) != count or content[-1:] != b"Z" or not digits.isdigit():
        raise DerSyntaxError(f"{what} is not {count} digits and Z")
    return digits


def _seconds(year: int, digits: bytes, what: str) -> int:
    month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(0, 10, 2))
    try:
        return seconds_of(datetime(year, month, day, hour, minute, second, tzinfo=UTC))
    except ValueError as error:
        raise DerSyntaxError(f"{what} is no date: {error}") from error


def seconds_of(date: datetime) -> int:
    """Return the whole seconds since the beginning of the year 1 for an aware date."""
    return (date - _YEAR_ONE) // timedelta(seconds=1)


def date_of(seconds: int) -> datetime:
    """Return the aware date for seconds since the beginning of the year 1."""
    return _YEAR_ONE + timedelta(seconds=seconds)
