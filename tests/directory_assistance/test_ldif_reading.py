"""The grammar of LDIF (RFC 2849): what is read, and the line and the words of everything that is not."""

import base64
from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory_assistance.backends.ldif import reading
from directory_assistance.backends.ldif.reading import (
    LARGEST_VALUE,
    LONGEST_LINE,
    LdifSyntaxError,
    ValueReader,
    normalise_ldif,
    read_record,
    read_records,
)

Each = tuple[bytes, dict[str, tuple[bytes, ...]]]
Read = list[Each]

DAVE: Each = (b"cn=Dave Lawson,o=Acme", {"cn": (b"Dave Lawson",)})
ANN: Each = (b"cn=Ann,o=Acme", {"cn": (b"Ann",)})


def read(octets: bytes) -> Read:
    return [(record.dn, dict(record.values)) for record in read_records(normalise_ldif(octets))]


GOOD: list[tuple[str, bytes, Read]] = [
    ("nothing at all is no entries", b"", []),
    ("a version alone is no entries", b"version: 1\n", []),
    (
        "the version stands directly before the first entry",
        b"version: 1\ndn: cn=Dave Lawson,o=Acme\ncn: Dave Lawson\n",
        [DAVE],
    ),
    (
        "the version stands apart",
        b"# made by hand\nVersion:1\n\ndn: cn=Dave Lawson,o=Acme\ncn: Dave Lawson\n",
        [DAVE],
    ),
    ("the version is missing", b"dn: cn=Dave Lawson,o=Acme\ncn: Dave Lawson\n", [DAVE]),
    (
        "entries are told apart by blank lines, any number of them",
        b"\n\ndn: cn=Dave Lawson,o=Acme\ncn: Dave Lawson\n\n\n\ndn: cn=Ann,o=Acme\ncn: Ann\n\n\n",
        [DAVE, ANN],
    ),
    ("lines end in CR LF", b"version: 1\r\n\r\ndn: cn=Ann,o=Acme\r\ncn: An\r\n n\r\n", [ANN]),
    ("a byte order mark comes first", b"\xef\xbb\xbfversion: 1\ndn: cn=Ann,o=Acme\ncn: Ann\n", [ANN]),
    (
        "lines are folded anywhere, names included",
        b"dn: cn=Dave La\n wson,o=Acme\nc\n n: Dave\n  Lawson\n",
        [DAVE],
    ),
    (
        "a line that is a space alone continues the one before by nothing",
        b"dn: cn=Ann,o=Acme\ncn: Ann\n \n",
        [ANN],
    ),
    (
        "comments stand anywhere and are folded too",
        b"# one\n  cn: Eve\n\n# two\ndn: cn=Ann,o=Acme\n# three\n four\ncn: Ann\n#\n",
        [ANN],
    ),
    ("a value is in base64", b"dn: cn=Ann,o=Acme\ncn:: QW5u\n", [ANN]),
    ("a name is in base64", b"dn:: Y249QW5uLG89QWNtZQ==\ncn: Ann\n", [ANN]),
    ("base64 is folded", b"dn: cn=Ann,o=Acme\ncn:: QW\n 5u\n", [ANN]),
    ("spaces before the value are no part of it, none are needed", b"dn:cn=Ann,o=Acme\ncn:    Ann\n", [ANN]),
    ("spaces behind the value are", b"dn: a=b\ncn: Ann \n", [(b"a=b", {"cn": (b"Ann ",)})]),
    (
        "values are empty",
        b"dn:\ncn:\nsn: \nuid::\n",
        [(b"", {"cn": (b"",), "sn": (b"",), "uid": (b"",)})],
    ),
    (
        "colons and angles stand inside a value, and a colon in base64 at its start",
        b"dn: a=b\ncn: a:b<c\nsn:: OjE=\n",
        [(b"a=b", {"cn": (b"a:b<c",), "sn": (b":1",)})],
    ),
    (
        "values of one attribute keep their order, whatever the case of its name",
        b"dn: a=b\ncn: 1\nsn: x\nCN: 2\n",
        [(b"a=b", {"cn": (b"1", b"2"), "sn": (b"x",)})],
    ),
    (
        "options belong to the name",
        b"dn: a=b\nuserCertificate;binary:: MAA=\ncn;lang-de: \xc3\x96\nmember;range=0-1499: x\n1.2.3: y\nmy_own: z\n",
        [
            (
                b"a=b",
                {
                    "usercertificate;binary": (b"0\0",),
                    "cn;lang-de": ("Ö".encode(),),
                    "member;range=0-1499": (b"x",),
                    "1.2.3": (b"y",),
                    "my_own": (b"z",),
                },
            )
        ],
    ),
    (
        "text is UTF-8 as it is, cut anywhere",
        b"dn: a=b\ncn: \xc3\n \x96\n",
        [(b"a=b", {"cn": ("Ö".encode(),)})],
    ),
    ("an entry has a name alone", b"dn: a=b\n", [(b"a=b", {})]),
]


@pytest.mark.parametrize(("octets", "expected"), [case[1:] for case in GOOD], ids=[case[0] for case in GOOD])
def test_ldif_is_read(octets: bytes, expected: Read) -> None:
    assert read(octets) == expected


HEAD = b"version: 1\n\ndn: cn=Ann,o=Acme\n"
"""Three good lines, the last of them an entry's name."""

MALFORMED: list[tuple[str, bytes, int, str]] = [
    (
        "an entry without a name",
        b"version: 1\n\ncn: Ann\n",
        3,
        "expected `dn:` at the start of an entry, found `cn: Ann`",
    ),
    (
        "the end of a search",
        HEAD + b"\nsearch: 2\n",
        5,
        "expected `dn:` at the start of an entry, found `search: 2`",
    ),
    ("a name that is no line", b"dn\n", 1, "expected `dn:` at the start of an entry, found `dn`"),
    ("another version", b"# x\nversion: 2\n", 2, "expected `version: 1`, found `version: 2`"),
    (
        "a version twice",
        b"version: 1\n\nversion: 1\n",
        3,
        "expected `dn:` at the start of an entry, found `version: 1`",
    ),
    (
        "entries without a blank line",
        HEAD + b"dn: cn=Eve\n",
        4,
        "expected a blank line before the next entry, found `dn: cn=Eve`",
    ),
    (
        "a change",
        HEAD + b"changetype: modify\n",
        4,
        "expected entries as they are, found a change (`changetype: modify`)",
    ),
    (
        "a deletion",
        HEAD + b"ChangeType: delete\n",
        4,
        "expected entries as they are, found a change (`ChangeType: delete`)",
    ),
    (
        "a control",
        HEAD + b"control: 1.2.3\n",
        4,
        "expected entries as they are, found a change (`control: 1.2.3`)",
    ),
    ("the end of a change", HEAD + b"-\n", 4, "expected an attribute name and a colon, found `-`"),
    (
        "a value from a file",
        HEAD + b"cn:< file:///etc/passwd\n",
        4,
        "expected the value itself, found a reference to another place (`cn:< file:///etc/passwd`)",
    ),
    (
        "a name from a file",
        b"dn:< file:///etc/passwd\n",
        1,
        "expected the value itself, found a reference to another place (`dn:< file:///etc/passwd`)",
    ),
    ("no colon", HEAD + b"cn Ann\n", 4, "expected an attribute name and a colon, found `cn Ann`"),
    ("no name", HEAD + b": Ann\n", 4, "expected an attribute name and a colon, found `: Ann`"),
    (
        "a name with a space",
        HEAD + b"common name: Ann\n",
        4,
        "expected an attribute name and a colon, found `common name: Ann`",
    ),
    (
        "a name that a good one begins",
        HEAD + b"cn: Ann\ncn\n",
        5,
        "expected an attribute name and a colon, found `cn`",
    ),
    (
        "a name far too long",
        HEAD + b"c" * 256 + b": Ann\n",
        4,
        f"expected an attribute name and a colon, found `{'c' * 200}…`",
    ),
    ("base64 with a space", HEAD + b"cn:: QW 5u\n", 4, "expected base64 after `::`, found `cn:: QW 5u`"),
    ("base64 cut off", HEAD + b"cn:: QW5\n", 4, "expected base64 after `::`, found `cn:: QW5`"),
    (
        "base64 with more behind it",
        HEAD + b"cn:: QQ==QQ==\n",
        4,
        "expected base64 after `::`, found `cn:: QQ==QQ==`",
    ),
    (
        "a value that looks like base64",
        HEAD + b"cn: :QQ==\n",
        4,
        "expected a value that starts with `:` or `<` in base64, found `cn: :QQ==`",
    ),
    (
        "a value that looks like a URL",
        HEAD + b"cn: <b>\n",
        4,
        "expected a value that starts with `:` or `<` in base64, found `cn: <b>`",
    ),
    (
        "a mistake behind folded lines and comments",
        HEAD + b"cn: A\n n\n n\n# x\n y\nfoo\n",
        9,
        "expected an attribute name and a colon, found `foo`",
    ),
    (
        "a mistake in a folded line",
        HEAD + b"cn: Ann\nfo\n o\nsn: x\n",
        5,
        "expected an attribute name and a colon, found `foo`",
    ),
    (
        "a mistake in a later entry",
        HEAD + b"\n\n# x\n\ndn: cn=Eve\nfoo\n",
        9,
        "expected an attribute name and a colon, found `foo`",
    ),
    (
        "a mistake where lines end in CR LF",
        b"version: 1\r\ndn: a=b\r\nfoo\r\n",
        3,
        "expected an attribute name and a colon, found `foo`",
    ),
    (
        "a continued line before any other",
        b" dn: a=b\n",
        1,
        "expected the start of an entry, found a continued line (a space)",
    ),
    (
        "a continued line behind a blank one",
        HEAD + b"\n cn: Ann\n",
        5,
        "expected the start of an entry, found a continued line (a space)",
    ),
    (
        "text that is not UTF-8",
        HEAD + b"cn: Ann\nsn: J\xfcrgen\n",
        5,
        r"expected UTF-8, found `sn: J\xfcrgen`",
    ),
    ("a name that is not UTF-8", b"dn: cn=J\xfcrgen\n", 1, r"expected UTF-8, found `dn: cn=J\xfcrgen`"),
    ("a NUL", HEAD + b"cn: A\0nn\n", 4, "expected text (such values are written in base64), found NUL"),
    (
        "UTF-16",
        "dn: a=b\n".encode("utf-16-le"),
        1,
        "expected text (such values are written in base64), found NUL",
    ),
    (
        "a carriage return inside a line",
        HEAD + b"cn: A\rnn\n",
        4,
        "expected text (such values are written in base64), found a carriage return",
    ),
    (
        "a last line without an end",
        HEAD + b"cn: An",
        4,
        "expected a line end after the last line, found the end of the file",
    ),
    (
        "a terminal's escape in a line",
        HEAD + b"\x1b[2J\n",
        4,
        r"expected an attribute name and a colon, found `\x1b[2J`",
    ),
]


@pytest.mark.parametrize(
    ("octets", "line", "problem"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED]
)
def test_what_is_no_ldif_is_refused_with_its_line(octets: bytes, line: int, problem: str) -> None:
    with pytest.raises(LdifSyntaxError) as caught:
        read(octets)
    assert (caught.value.line, caught.value.problem) == (line, problem)
    assert str(caught.value) == f"line {line}: {problem}"


@pytest.mark.parametrize("name", ["userPassword", "unicodePwd", "sambaNTPassword", "krbPrincipalKey"])
def test_a_fault_does_not_repeat_what_may_be_a_secret(name: str) -> None:
    with pytest.raises(LdifSyntaxError) as caught:
        read(HEAD + f"{name}:: {{SSHA}}c2VjcmV0\n".encode())
    assert caught.value.problem == f"expected base64 after `::`, found `{name}: (not shown)`"


def test_a_value_has_a_largest_size() -> None:
    """In base64 as well as in plain text; one octet less is read."""
    assert len(read(HEAD + b"cn: " + b"x" * LARGEST_VALUE + b"\n")[0][1]["cn"][0]) == LARGEST_VALUE
    for value in (
        b"cn: " + b"x" * (LARGEST_VALUE + 1),
        b"cn:: " + base64.b64encode(b"x" * (LARGEST_VALUE + 1)),
    ):
        with pytest.raises(
            LdifSyntaxError, match=r"line 4: expected a value of at most 1048576 octets, found 1048577"
        ):
            read(HEAD + value + b"\n")


def test_a_value_of_ten_million_octets_is_refused_for_its_line_or_its_size() -> None:
    huge = b"x" * 10_000_000
    with pytest.raises(
        LdifSyntaxError, match="line 4: expected a line of at most 2097152 octets, found 10000004"
    ):
        read(HEAD + b"cn: " + huge + b"\n")
    folded = b"\n ".join(huge[at : at + 100] for at in range(0, len(huge), 100))
    with pytest.raises(LdifSyntaxError, match="line 4: expected a value of at most 1048576 octets"):
        read(HEAD + b"cn: " + folded + b"\n")


def test_the_longest_line_is_read() -> None:
    comment = b"#" * LONGEST_LINE
    assert read(comment + b"\n" + HEAD) == [(b"cn=Ann,o=Acme", {})]
    with pytest.raises(LdifSyntaxError, match=f"line 2: expected a line of at most {LONGEST_LINE} octets"):
        read(b"# short\n#" + comment + b"\n" + HEAD)


@pytest.mark.parametrize(
    ("limit", "octets", "problem"),
    [
        (
            "MOST_VALUES",
            b"dn: a=b\ncn: 1\ncn: 2\ncn: 3\n",
            "line 4: expected at most 2 values of `cn`, found more",
        ),
        (
            "MOST_ENTRIES",
            b"dn: a=1\n\ndn: a=2\n\ndn: a=3\n",
            "line 5: expected at most 2 entries, found more",
        ),
    ],
)
def test_values_and_entries_are_counted(
    monkeypatch: pytest.MonkeyPatch, limit: str, octets: bytes, problem: str
) -> None:
    read(octets)
    monkeypatch.setattr(reading, limit, 2)
    with pytest.raises(LdifSyntaxError, match=f"^{problem}$"):
        read(octets)


# --- what is printed is read back

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}(;[a-z0-9-]{1,4}){0,2}", fullmatch=True).filter(
    lambda name: name.lower() not in {"dn", "changetype", "control", "version"}
)
VALUES = st.binary(max_size=40) | st.text("ab :<#\\ö", max_size=20).map(str.encode)
RECORDS = st.lists(
    st.tuples(
        VALUES, st.dictionaries(NAMES.map(str.lower), st.lists(VALUES, min_size=1, max_size=3), max_size=4)
    ),
    max_size=4,
)


class Printer:
    """Prints LDIF in one of many ways: folded at a width, with comments, line ends and base64 as it likes."""

    def __init__(self, width: int, end: bytes, comment: bytes, *, always_base64: bool, upper: bool) -> None:
        self._width = width
        self._end = end
        self._comment = comment
        self._always = always_base64
        self._upper = upper

    def file(self, records: list[tuple[bytes, Mapping[str, list[bytes]]]]) -> bytes:
        blocks = [b"version: 1" + self._end]
        for dn, values in records:
            lines = [self._line("dn", dn)]
            lines += [self._line(name, value) for name, each in values.items() for value in each]
            blocks.append(self._comment.join(lines))
        return self._end.join(blocks)

    def _line(self, name: str, value: bytes) -> bytes:
        safe = value.isascii() and not value.startswith((b" ", b":", b"<")) and value.decode().isprintable()
        shown = (name.upper() if self._upper else name).encode()
        line = shown + (b": " + value if safe and not self._always else b":: " + base64.b64encode(value))
        pieces = [line[at : at + self._width] for at in range(0, len(line), self._width)]
        return (self._end + b" ").join(pieces) + self._end


PRINTERS = st.builds(
    Printer,
    width=st.integers(1, 80),
    end=st.sampled_from([b"\n", b"\r\n"]),
    comment=st.sampled_from([b"", b"# c\n", b"#\n folded: x\n"]),
    always_base64=st.booleans(),
    upper=st.booleans(),
)


@given(records=RECORDS, printer=PRINTERS)
def test_whatever_is_printed_is_read_back(
    records: list[tuple[bytes, Mapping[str, list[bytes]]]], printer: Printer
) -> None:
    expected = [(dn, {name: tuple(each) for name, each in values.items()}) for dn, values in records]
    assert read(printer.file(records)) == expected


@given(records=RECORDS, printer=PRINTERS, data=st.data())
def test_a_record_is_read_again_in_its_place_whole_or_in_part(
    records: list[tuple[bytes, Mapping[str, list[bytes]]]], printer: Printer, data: st.DataObject
) -> None:
    text = normalise_ldif(printer.file(records))
    wanted = data.draw(
        st.frozensets(st.sampled_from(["cn", *(name for _dn, each in records for name in each)]))
    )
    names = frozenset(name.partition(";")[0] for name in wanted)
    for record in read_records(text):
        again = read_record(text, record.start, record.end)
        assert (again.dn, again.values) == (record.dn, record.values)
        part = ValueReader(names).read(text, record.start, record.end)
        assert {name: tuple(each) for name, each in part.items()} == {
            name: each for name, each in record.values.items() if name.partition(";")[0] in names
        }


def test_what_stands_before_the_name_of_a_record_is_none_of_its_values() -> None:
    text = b"version: 1\n# cn: x\n# folded\n  cn: y\ndn: cn=z\ncn: z\n"
    (record,) = read_records(text)
    assert ValueReader(frozenset({"cn", "version"})).read(text, record.start, record.end) == {"cn": [b"z"]}


@given(octets=st.binary(max_size=200) | st.text("dn:=cn \n\r#<version1", max_size=60).map(str.encode))
def test_any_octets_are_records_or_a_syntax_error(octets: bytes) -> None:
    with suppress(LdifSyntaxError):
        read(octets)
        return
    with pytest.raises(LdifSyntaxError, match=r"^line [0-9]+: expected ") as caught:
        read(octets)
    assert 1 <= caught.value.line <= octets.count(b"\n") + 1
