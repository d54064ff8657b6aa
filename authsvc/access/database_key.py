"""The one spelling of a database's name by which databases are compared (threat T67).

Everything that finds a database by name, from parameters, routes, the API, the command line or the store,
comes through here: two spellings that any software on the way could take for the same resource are the same
key, or none.
"""

import unicodedata

from directory_assistance.errors import shorten

__all__ = ["LONGEST_DATABASE_NAME", "DatabaseNameError", "database_key"]

LONGEST_DATABASE_NAME = 200
"""Characters: a database's name travels in headers, addresses and audit records."""

_FORBIDDEN = frozenset("\\:;?#%*\"'<>|,&=@`")
"""Characters that some web server, file system, header or address reads as more than a letter of a name."""


class DatabaseNameError(ValueError):
    """A text is not the name of a database."""


def database_key(name: str) -> str:
    """Return the key of a database's name: composed (NFC) and casefolded.

    Refused are: an empty text; more than `LONGEST_DATABASE_NAME` characters; control, format (invisible,
    bidirectional), private, unassigned and surrogate characters; white space other than the plain space;
    compatibility characters (full-width, ligatures); the backslash and its like; and parts between slashes
    that are empty, begin or end with a space, or end with a dot (`sales.nsf.`, `a//b`, `/a`, `..`).

    Raises:
        DatabaseNameError: the text has no key; says why.

    """
    problem = _find_problem(name)
    if problem is not None:
        raise DatabaseNameError(f"expected the name of a database, found `{shorten(name)}`: {problem}")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _find_problem(name: str) -> str | None:
    if not 1 <= len(name) <= LONGEST_DATABASE_NAME:
        return f"it has {len(name)} characters, 1 to {LONGEST_DATABASE_NAME} are possible"
    strange = next(filter(_is_forbidden, name), None)
    if strange is not None:
        return f"it holds the character U+{ord(strange):04X} (`{shorten(strange)}`)"
    if unicodedata.normalize("NFKC", name) != unicodedata.normalize("NFC", name):
        return "it holds a compatibility character (write its plain form)"
    for part in name.split("/"):
        if not part or part != part.strip(" ") or part.endswith("."):
            return f"its part `{part}` is empty, begins or ends with a space, or ends with a dot"
    return None


def _is_forbidden(character: str) -> bool:
    category = unicodedata.category(character)
    invisible = category.startswith("C") or (category.startswith("Z") and character != " ")
    return invisible or character in _FORBIDDEN
