"""Texts that try to be more than a value: made from the grammars of filters and names, the same in every run.

What lives here: hundreds of texts around a value that somebody has, so that whoever takes one for a filter, a name, a
statement or a pattern finds that somebody, or everybody. What does not: where they are put, and what must not happen
(the tests).

Sources: RFC 4515 section 3 (filters: `filter`, `assertionvalue`, `escaped`), RFC 4514 sections 2.4 and 3 (names:
`special`, `hexstring`, `pair`), RFC 4518 (preparation), Unicode's lists of invisible and directional characters, and
the literals and comments of SQL.
"""

import unicodedata
from collections.abc import Iterator

__all__ = ["injections"]

_FILTER_SPECIALS = "*()\\\0&|!=~<>:/{}"
"""What means something in a filter or in our templates."""

_NAME_SPECIALS = ',+";<>#=\\/ '
"""What means something in a distinguished name, the slash form included."""

_OPERATORS = ("=", "~=", ">=", "<=", ":=", "=*", "!=", "==")

_ITEMS = (
    "({attribute}=*)",
    "(objectClass=*)",
    "({attribute}>=\0)",
    "({attribute}~=a)",
    "({attribute}:caseExactMatch:=a)",
    "(userPassword=*)",
)

_RULES = (
    ":caseExactMatch:={value}",
    ":dn:caseIgnoreMatch:={value}",
    "{attribute}:=*",
    "{attribute}:dn:={value}",
    "{attribute}:2.5.13.2:={value}",
    ":1.2.840.113556.1.4.1941:={value}",
    "userAccountControl:1.2.840.113556.1.4.803:=0",
    "(:dn:2.4.6.8.10:=Dino)",
)

_ESCAPES = (
    *("\\2a", "\\2A", "\\28", "\\29", "\\5c", "\\00", "\\20", "\\c3\\bc", "\\ff"),
    *("\\", "\\2", "\\g0", "\\2g", "\\x2a", "\\u002a", "\\52", "\\5c2a", "\\\\2a"),
    *("%2a", "%252a", "&#42;", "&ast;", "=2A", "+ACo-", "\\*", "\\)", '\\"', "\\,"),
)
"""Escapes of RFC 4515 and RFC 4514, broken ones, and those of other languages."""

_INVISIBLE = (
    *("\u00ad", "\u034f", "\u061c", "\u115f", "\u180e", "\u200b", "\u200c", "\u200d", "\u2060", "\u2064"),
    *("\u3164", "\ufe0f", "\ufeff", "\ufffc", "\U000e0001", "\U000e0041"),
)

_DIRECTIONAL = (
    *("\u200e", "\u200f", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068"),
    "\u2069",
)

_SPACES = (
    "\t",
    "\n",
    "\r\n",
    "\x0b",
    "\x0c",
    "\x85",
    "\u00a0",
    "\u1680",
    "\u2003",
    "\u2028",
    "\u202f",
    "\u3000",
)

_LOOKALIKES = (
    *("\u2217", "\u204e", "\ufe61", "\uff0a", "\u2731", "\u066d"),  # asterisks
    *("\uff08", "\ufe59", "\u207d", "\u2768", "\uff09", "\ufe5a", "\u207e", "\u2769"),  # parentheses
    *("\uff3c", "\ufe68", "\u2216", "\uff1d", "\ufe66", "\u207c"),  # backslashes and equals signs
    *("\uff0c", "\ufe50", "\uff0b", "\ufe62", "\uff1b", "\uff03", "\uff02", "\uff06", "\uff5c", "\uff01"),
)

_NOT_CHARACTERS = ("\ud800", "\udfff", "\udcc0\udcaa", "\udcff", "\ufffe", "\uffff", "\ufffd", "\U0010ffff")
"""Halves of pairs, octets that are no UTF-8 as Python keeps them (an overlong `*` among them), and noncharacters."""

_STATEMENTS = (
    *("' OR '1'='1", "' OR 1=1 --", "' OR ''='", '" OR ""="', "') OR ('1'='1", "'; DROP TABLE people; --"),
    *("' UNION SELECT * FROM people --", "'/**/OR/**/'1'='1", "'||'", "' AND '1'='1", "\\' OR 1=1 --", "'#"),
    *("'; SELECT pg_sleep(9); --", "$$", "E'\\x27'", "\x00' OR '1'='1", "%' OR '%'='", "\u02bc OR 1=1 --"),
    *("' LIKE '%", "' GLOB '*", "' COLLATE NOCASE --", ":key", "?1", "%(key)s", "$1", "@key"),
)

_PLACEHOLDERS = (
    *("{subject.cn}", "{san.mail}", "{issuer.dn}", "{", "}", "{}", "{0}", "${value}", "%s", "%n", "%(cn)s"),
    *("${jndi:ldap://127.0.0.1:9/x}", "$(id)", "`id`", "{{7*7}}", "<%= 1 %>", "ldap:///??sub?(cn=*)"),
)

_PATTERNS = ("%", "_", "?", ".*", "^", "$", "[a-z]*", "\\w+", "(?i)", "|")


def injections(value: str, attribute: str) -> tuple[str, ...]:
    """Return the texts around a value that somebody has in an attribute; all differ from it, some only in writing.

    Args:
        value: at least four characters, ASCII, with no special ones.
        attribute: for the filters that imitate one.

    """
    found = dict.fromkeys(
        (
            *_with_specials(value),
            *_as_filters(value, attribute),
            *_as_names(value, attribute),
            *_with_characters(value),
            *_as_statements(value),
            *_long(value),
        )
    )
    found.pop(value, None)
    return tuple(found)


def _with_specials(value: str) -> Iterator[str]:
    """Put each special character everywhere a reader might stop, start or guess."""
    for special in dict.fromkeys(_FILTER_SPECIALS + _NAME_SPECIALS):
        yield special
        yield special * 2
        yield special + value
        yield value + special
        yield value[:2] + special + value[2:]
        yield value[:2] + special
        yield special + value[2:]
        yield value[:1] + special + value[-1:]


def _as_filters(value: str, attribute: str) -> Iterator[str]:
    """End the assertion, begin another; with every number of levels and every operator."""
    for start in (value, "", "*", "x"):
        for ends in (")", "))", ")))"):
            for operator in ("", "|", "&", "!"):
                for item in _ITEMS[:3] if start in {"*", "x"} else _ITEMS:
                    inner = item.format(attribute=attribute)
                    yield (
                        f"{start}{ends}({operator}{inner[:-1]}" if operator else f"{start}{ends}{inner[:-1]}"
                    )
    for operator in _OPERATORS:
        yield f"{operator}{value}"
        yield f"{attribute}{operator}{value}"
        yield f"({attribute}{operator}{value})"
    for rule in _RULES:
        yield rule.format(attribute=attribute, value=value)
    for escape in _ESCAPES:
        yield escape
        yield value + escape
        yield escape + value
        yield value[:1] + escape + value[2:]
    yield "".join(f"\\{octet:02x}" for octet in value.encode())
    yield f"({attribute}={value})"
    yield f"( {attribute} = {value} )"
    yield f"(&({attribute}={value}))"
    yield f'{{ serialNumber 1, issuer rdnSequence:"{value}" }}'


def _as_names(value: str, attribute: str) -> Iterator[str]:
    """Begin another component, another attribute, another form of the same name."""
    octets = value.encode()
    yield f"{attribute}={value}"
    yield f"{attribute.upper()} = {value}"
    yield f"2.5.4.3={value}"
    yield f"OID.2.5.4.3={value}"
    for separator in (",", ";", "+", " , ", "\\,", "\\2c", "\\2C", "/", "\n", ",,"):
        yield f"{value}{separator}o=airius.com"
        yield f"{value}{separator}UID=x"
    yield f'"{value}"'
    yield f"'{value}'"
    for tag in (0x0C, 0x13, 0x16, 0x04):  # UTF8String, PrintableString, IA5String, OCTET STRING
        yield f"#{tag:02x}{len(octets):02x}{octets.hex()}"
        yield f"#{tag:02x}{len(octets):02X}{octets.hex().upper()}"
    yield from (
        "#",
        "#0",
        "#zz",
        "#0c",
        "#0c7f41",
        f"#0c8{len(octets):02x}{octets.hex()}",
        "\\#",
        "#30800000",
    )
    for special in (
        "<GUID=1>",
        "<SID=S-1-5-32-544>",
        "<WKGUID=a9d1ca15768811d1aded00c04fd8d5cd>",
        "dn:",
        "u:",
    ):
        yield special
        yield f"{special}{value}"
    for mark in ("<I>", "<SR>", "<SKI>", "<S>"):  # how Active Directory writes issuer and serial number
        yield f"{mark}{value}"
        yield f"{value}{mark}00"
    yield f"*/{value}"
    yield f"{value}/*"
    yield f"CN={value}/O=airius.com"
    yield value[::-1]


def _with_characters(value: str) -> Iterator[str]:
    """Write it in other characters, and with characters that are none."""
    controls = [chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))]
    for character in (*controls, *_INVISIBLE, *_DIRECTIONAL, *_NOT_CHARACTERS, *_LOOKALIKES):
        yield character
        yield value + character
        yield value[:2] + character + value[2:]
    for space in _SPACES:
        yield f"{space}{value}{space}"
        yield value.replace(" ", space) if " " in value else f"{value[:1]}{space}{value[1:]}"
    wide = "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in value)
    yield wide
    yield wide + "\uff0a"
    yield "".join(f"{letter}\u0301" for letter in value)
    yield "".join(f"{letter}\u0338" for letter in value)
    yield value + "\u0300" * 40
    yield value.replace("a", "\u0430").replace("o", "\u043e")  # Cyrillic
    yield value.replace("a", "\u00e4").replace("s", "\u017f")  # a letter with a mark; a long s folds to s
    yield value.replace("a", "\u00aa").replace("o", "\u00ba")  # ordinals compose to plain letters
    yield value.upper()
    yield value.swapcase()
    yield f"  {value}  "
    for form in ("NFD", "NFKD"):
        yield unicodedata.normalize(form, f"{value}\u00fc")


def _as_statements(value: str) -> Iterator[str]:
    for text in (*_STATEMENTS, *_PLACEHOLDERS, *_PATTERNS):
        yield text
        yield value + text
        yield text + value


def _long(value: str) -> Iterator[str]:
    """Be longer than a buffer, a stack or a limit."""
    yield value + " " * 300 + "x"
    yield " " * 5_000 + value
    yield value * 200
    yield "a" * 1_025
    yield "a" * 20_000
    yield "(" * 5_000
    yield ")" * 5_000
    yield "(&" * 2_000
    yield "\\2a" * 1_000
    yield "*" * 4_000
    yield "\0" * 1_000
    yield "\u00fc" * 3_000
    yield ",CN=x" * 1_000
    yield "{subject.cn}" * 400
