"""Reading names: a case for every sentence of "Names, Reading" in the semantics, and RFC 4514's examples."""

import pytest

from directory_assistance.dn import (
    FlatName,
    InternetName,
    NameSyntaxError,
    WildcardName,
    mark_escapes,
    read_ldap_dn,
    read_member,
    read_name,
)
from directory_assistance.dn_values import OID_BY_DESCRIPTOR, SHORT_NAME_BY_OID
from tests.support.names import CN, DC, EMAIL, OU, ST, UID, UNKNOWN_OID, C, O, components_of, dn


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "CN=Dave Lawson/OU=East/O=Renovations/C=US",
            [(CN, "Dave Lawson"), (OU, "East"), (O, "Renovations"), (C, "US")],
            id="canonical is leaf first with keywords and slashes",
        ),
        pytest.param(
            "CN=Dave/OU=4/OU=3/OU=2/OU=1/O=Renovations",
            [(CN, "Dave"), (OU, "4"), (OU, "3"), (OU, "2"), (OU, "1"), (O, "Renovations")],
            id="canonical has up to four OU",
        ),
        pytest.param(
            "Dave Lawson/East/Renovations/US",
            [(CN, "Dave Lawson"), (OU, "East"), (O, "Renovations"), (C, "US")],
            id="abbreviated leaves the keywords out",
        ),
        pytest.param(
            "CN=Dave Lawson,OU=East,O=Renovations,C=US",
            [(CN, "Dave Lawson"), (OU, "East"), (O, "Renovations"), (C, "US")],
            id="LDAP is RFC 4514",
        ),
        pytest.param(
            "CN=Dave, Lawson/O=Renovations",
            [(CN, "Dave, Lawson"), (O, "Renovations")],
            id="an unescaped = means keywords, with separator / if an unescaped one exists",
        ),
        pytest.param(
            'CN=Dave"/"Lawson/O=Renovations',
            [(CN, "Dave/Lawson"), (O, "Renovations")],
            id="an escaped / does not separate keywords",
        ),
        pytest.param("CN=Dave", [(CN, "Dave")], id="one component with a keyword needs no separator"),
        pytest.param(
            'A"="B/Renovations',
            [(CN, "A=B"), (O, "Renovations")],
            id="an escaped = does not mean keywords",
        ),
        pytest.param(
            "dave@x.org/Renovations",
            [(CN, "dave@x.org"), (O, "Renovations")],
            id="an unescaped / means abbreviated, @ or not",
        ),
        pytest.param(
            "Dave Lawson/Renovations/us",
            [(CN, "Dave Lawson"), (O, "Renovations"), (C, "us")],
            id="abbreviated with three parts: a last part of two ASCII letters is C",
        ),
        pytest.param(
            "Dave Lawson/East/Renovations",
            [(CN, "Dave Lawson"), (OU, "East"), (O, "Renovations")],
            id="abbreviated with three parts: otherwise the last part is O",
        ),
        pytest.param(
            "Dave Lawson/Renovations/U1",
            [(CN, "Dave Lawson"), (OU, "Renovations"), (O, "U1")],
            id="abbreviated with three parts: a letter and a digit are no country",
        ),
        pytest.param(
            "Dave Lawson/Renovations/ÄÖ",
            [(CN, "Dave Lawson"), (OU, "Renovations"), (O, "ÄÖ")],
            id="abbreviated with three parts: two letters beyond ASCII are no country",
        ),
        pytest.param(
            "Dave Lawson/Renovations/USA",
            [(CN, "Dave Lawson"), (OU, "Renovations"), (O, "USA")],
            id="abbreviated with three parts: three letters are no country",
        ),
        pytest.param(
            "Dave Lawson/US",
            [(CN, "Dave Lawson"), (O, "US")],
            id="with two parts the last is O, even of two letters",
        ),
        pytest.param(
            "Dave/5/4/3/2/1/Renovations",
            [(CN, "Dave"), (OU, "5"), (OU, "4"), (OU, "3"), (OU, "2"), (OU, "1"), (O, "Renovations")],
            id="abbreviated with more than four units is read all the same",
        ),
        pytest.param(
            " Dave Lawson / East / Renovations ",
            [(CN, "Dave Lawson"), (OU, "East"), (O, "Renovations")],
            id="spaces beside the separators of slash form do not count",
        ),
        pytest.param(
            "Jayne Doe/Sales$/Marketing/Lotus/GB",
            [(CN, "Jayne Doe"), (OU, "Sales/Marketing"), (O, "Lotus"), (C, "GB")],
            id="escapes in slash form: $ before a /",
        ),
        pytest.param(
            "CN=a$=b/O=Lotus",
            [(CN, "a=b"), (O, "Lotus")],
            id="escapes in slash form: $ before a =",
        ),
        pytest.param(
            'Jayne Doe/"Sales/Marketing"/Lotus',
            [(CN, "Jayne Doe"), (OU, "Sales/Marketing"), (O, "Lotus")],
            id="escapes in slash form: quotes around a value",
        ),
        pytest.param(
            'Jayne Doe/Sales"/"Marketing/Lotus',
            [(CN, "Jayne Doe"), (OU, "Sales/Marketing"), (O, "Lotus")],
            id="escapes in slash form: quotes around one character",
        ),
        pytest.param(
            'Jayne """Jay""" Doe/Lotus',
            [(CN, 'Jayne "Jay" Doe'), (O, "Lotus")],
            id="escapes in slash form: three quotes are one",
        ),
        pytest.param(
            'Jayne""""/"Doe/Lotus',
            [(CN, 'Jayne"/Doe'), (O, "Lotus")],
            id="escapes in slash form: three quotes before a quoted character",
        ),
        pytest.param(
            "ops$dave/C:\\$$x/Lotus",
            [(CN, "ops$dave"), (OU, "C:\\$$x"), (O, "Lotus")],
            id="in slash form $ before another character and the backslash are ordinary",
        ),
        pytest.param(
            '"$/"x/Lotus',
            [(CN, "$/x"), (O, "Lotus")],
            id="within quotes $ is ordinary",
        ),
        pytest.param(
            "OU=Sales$/Marketing",
            [(OU, "Sales/Marketing")],
            id="one component whose only slash is escaped is slash form",
        ),
        pytest.param(
            "CN=Sales$/Marketing,O=Lotus",
            [(CN, "Sales$/Marketing"), (O, "Lotus")],
            id="with commas and no unescaped slash the escapes are those of RFC 4514",
        ),
        pytest.param(
            "CN=C++ Team/O=Lotus",
            [(CN, "C++ Team"), (O, "Lotus")],
            id="in slash form a + without a keyword after it is ordinary",
        ),
        pytest.param(
            "uid=jdoe/cn=sales/dc=acme/dc=com",
            [(UID, "jdoe"), (CN, "sales"), (DC, "acme"), (DC, "com")],
            id="LDAP names with slashes keep their keywords",
        ),
        pytest.param(
            "cn=Dave Lawson , ou = East, o=Renovations",
            [(CN, "Dave Lawson"), (OU, "East"), (O, "Renovations")],
            id="spaces beside the separators of LDAP form do not count",
        ),
        pytest.param(
            "2.5.4.3=Dave,1.3.6.1.4.1.1466.0=x",
            [(CN, "Dave"), (UNKNOWN_OID, "x")],
            id="a dotted type is the attribute of that number",
        ),
        pytest.param(
            "S=Bavaria,E=dave@x.org,O=Lotus",
            [(ST, "Bavaria"), (EMAIL, "dave@x.org"), (O, "Lotus")],
            id="S is ST and E is emailAddress",
        ),
        pytest.param(
            "employeeNumber=7,O=Lotus",
            [("employeenumber", "7"), (O, "Lotus")],
            id="an unknown descriptor stays, casefolded",
        ),
    ],
)
def test_reading_a_hierarchical_name(text: str, expected: list[tuple[str, str]]) -> None:
    assert [[component] for component in expected] == components_of(read_name(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Dave Lawson", FlatName(text="Dave Lawson"), id="flat is what fits no other form"),
        pytest.param(" Dave Lawson ", FlatName(text="Dave Lawson"), id="flat loses the spaces around it"),
        pytest.param("-Default-", FlatName(text="-Default-"), id="-Default- is a flat name"),
        pytest.param('a"="b', FlatName(text="a=b"), id="an escaped = leaves a name flat"),
        pytest.param("a$/b", FlatName(text="a/b"), id="an escaped / leaves a name flat"),
        pytest.param('a"@"b', FlatName(text="a@b"), id="an escaped @ leaves a name flat"),
        pytest.param(
            "dave@renovations.com",
            InternetName(text="dave@renovations.com"),
            id="without = and / an @ means Internet",
        ),
        pytest.param("ops$@x.org", InternetName(text="ops$@x.org"), id="$ does not escape an @"),
        pytest.param('a"/"b@x.org', InternetName(text="a/b@x.org"), id="an escaped / leaves a name Internet"),
    ],
)
def test_reading_a_name_without_components(text: str, expected: FlatName | InternetName) -> None:
    found = read_name(text)
    assert isinstance(found, FlatName | InternetName)
    assert (type(expected), expected.text) == (type(found), found.text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # RFC 4514 section 4, each of its examples
        pytest.param(
            "UID=jsmith,DC=example,DC=net",
            [[(UID, "jsmith")], [(DC, "example")], [(DC, "net")]],
            id="RFC 4514: three attributes",
        ),
        pytest.param(
            "OU=Sales+CN=J.  Smith,DC=example,DC=net",
            [[(OU, "Sales"), (CN, "J.  Smith")], [(DC, "example")], [(DC, "net")]],
            id="RFC 4514: a multi-valued component",
        ),
        pytest.param(
            r"CN=James \"Jim\" Smith\, III,DC=example,DC=net",
            [[(CN, 'James "Jim" Smith, III')], [(DC, "example")], [(DC, "net")]],
            id="RFC 4514: escaped specials",
        ),
        pytest.param(
            "1.3.6.1.4.1.1466.0=#04024869",
            [[(UNKNOWN_OID, "#04024869")]],
            id="RFC 4514: an octet string in hexadecimal",
        ),
        pytest.param(r"CN=Lu\C4\8Di\C4\87", [[(CN, "Lučić")]], id="RFC 4514: escaped octets of UTF-8"),
        # the rest of its grammar
        pytest.param(
            r"CN=\41\\42", [[(CN, "A\\42")]], id="an escaped backslash before digits is a backslash"
        ),
        pytest.param(r"CN=\ a\ ", [[(CN, " a ")]], id="escaped spaces stay at both ends"),
        pytest.param(r"CN= a\\  ", [[(CN, "a\\")]], id="spaces after an escaped backslash go"),
        pytest.param(r"CN=\#1", [[(CN, "#1")]], id="an escaped # begins a text"),
        pytest.param("CN=a#1", [[(CN, "a#1")]], id="a # further on is ordinary"),
        pytest.param("CN=a=b", [[(CN, "a=b")]], id="a = further on is ordinary"),
        pytest.param("CN=a/b", [[(CN, "a/b")]], id="in LDAP form a / is ordinary"),
        pytest.param(r"CN=\=\;\<\>\+", [[(CN, "=;<>+")]], id="every other special may be escaped"),
        pytest.param("CN=#0c0141", [[(CN, "A")]], id="hexadecimal of a UTF8String"),
        pytest.param("CN=#0500", [[(CN, "#0500")]], id="hexadecimal of a type without content"),
        pytest.param(
            "CN=\u00a0a", [[(CN, "\u00a0a")]], id="a separator other than the space belongs to the value"
        ),
        pytest.param("X-Y=1", [[("x-y", "1")]], id="a descriptor with a hyphen"),
        pytest.param("\u00a0CN=a", None, id="a separator other than the space in a type"),
        pytest.param("CN=#0C8100", None, id="hexadecimal of an empty string is blank"),
        pytest.param("CN=#0C810141", [[(CN, "A")]], id="hexadecimal with a length of two octets"),
        pytest.param("CN=#120141", [[(CN, "A")]], id="hexadecimal of a NumericString"),
        pytest.param("CN=#130141", [[(CN, "A")]], id="hexadecimal of a PrintableString"),
        pytest.param("CN=#1401E4", [[(CN, "ä")]], id="hexadecimal of a TeletexString is Latin-1"),
        pytest.param("CN=#160141", [[(CN, "A")]], id="hexadecimal of an IA5String"),
        pytest.param("CN=#1A0141", [[(CN, "A")]], id="hexadecimal of a VisibleString"),
        pytest.param("CN=#1C0400000041", [[(CN, "A")]], id="hexadecimal of a UniversalString"),
        pytest.param("CN=#1E020041", [[(CN, "A")]], id="hexadecimal of a BMPString"),
        pytest.param(
            "CN=#0401AB", [[(CN, "#0401ab")]], id="hexadecimal of another type stays, in lower case"
        ),
        pytest.param("CN=#1E0100", None, id="hexadecimal of half a BMPString character"),
        pytest.param("CN=#0C01FF", None, id="hexadecimal of invalid UTF-8"),
        pytest.param("CN=#1601E4", None, id="hexadecimal of an IA5String beyond ASCII"),
        pytest.param("CN=#0C0241", None, id="hexadecimal with too little content"),
        pytest.param("CN=#0C014141", None, id="hexadecimal with something left over"),
        pytest.param("CN=#0C804100", None, id="hexadecimal with an indefinite length"),
        pytest.param("CN=#0480", None, id="hexadecimal with an indefinite length and no content"),
        pytest.param("CN=#1F0141", None, id="hexadecimal with a long tag"),
        pytest.param("CN=#0C", None, id="hexadecimal without a length"),
        pytest.param("CN=#0C0", None, id="half an octet of hexadecimal"),
        pytest.param("CN=#", None, id="# without hexadecimal"),
        pytest.param("CN=#0C0100", None, id="hexadecimal of a NUL"),
        pytest.param(r"CN=a\00", None, id="an escaped NUL"),
        pytest.param(r"CN=a\0Ab", None, id="an escaped line feed"),
        pytest.param(r"CN=\C4", None, id="escaped octets that are no UTF-8"),
        pytest.param(r"CN=\C4x\8D", None, id="escaped octets of one character apart"),
        pytest.param(r"CN=\ED\A0\80", None, id="escaped octets of a surrogate"),
        pytest.param("CN=a\\", None, id="a backslash at the end"),
        pytest.param(r"CN=a\x", None, id="a backslash before an ordinary character"),
        pytest.param('CN="Smith, John",O=Acme', None, id="the quoted values of RFC 1779"),
        pytest.param("CN=a;O=b", None, id="the semicolons of RFC 1779"),
        pytest.param("CN=a<b", None, id="an unescaped special"),
        pytest.param("CN=a,", None, id="a comma at the end"),
        pytest.param(",CN=a", None, id="a comma at the beginning"),
        pytest.param("CN=a+", None, id="a plus at the end"),
        pytest.param("CN=a,b", None, id="a component without a type"),
        pytest.param("=a", None, id="an empty type"),
        pytest.param("C N=a", None, id="a type with a space"),
        pytest.param("1CN=a", None, id="a type that begins with a digit"),
        pytest.param("OID.2.5.4.3=a", None, id="the OID. prefix of RFC 1779"),
        pytest.param("2.5.4.03=a", None, id="a dotted type with a leading zero"),
        pytest.param("2=a", None, id="a dotted type of one number"),
        pytest.param("2.5.4.٣=a", None, id="a dotted type with digits beyond ASCII"),
        pytest.param("CN;lang-en=a", None, id="an attribute option"),
        pytest.param("CN=", None, id="an empty value"),
        pytest.param("CN= ,O=a", None, id="a value of spaces"),
        pytest.param("CN=\u200b", None, id="a value of invisible characters"),
        pytest.param("Dave", None, id="no type at all"),
        pytest.param("", None, id="the empty name, because it names nobody"),
    ],
)
def test_reading_the_string_form_of_ldap(text: str, expected: list[list[tuple[str, str]]] | None) -> None:
    if expected is None:
        with pytest.raises(NameSyntaxError):
            read_ldap_dn(text)
    else:
        assert expected == components_of(read_ldap_dn(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected a name that is not blank, found ``"),
        (" \u3000", "expected a name that is not blank, found ` \\u3000`"),
        ('" "', 'expected a name that is not blank, found `" "`'),
        ("Dave/", "expected a name without empty components, found `Dave/`"),
        ("Dave//Acme", "expected a name without empty components, found `Dave//Acme`"),
        ("/Acme", "expected a value that is not blank in every component, found `/Acme`"),
        ("Dave/\u200b", "expected a value that is not blank in every component, found `Dave/\\u200b`"),
        (
            "/C=US/O=a/CN=b",
            "expected a name written leaf first, without a leading `/`, found `/C=US/O=a/CN=b`",
        ),
        (
            "CN=a/Acme",
            "`keyword=value` in every component, leaf first, or no keyword at all, found `CN=a/Acme`",
        ),
        (
            "CN=a=b/O=c",
            'expected one `=` in every component (write `"="` or `$=` in a value), found `CN=a=b/O=c`',
        ),
        ("CN=a+=b/O=c", "instead of ``, found `CN=a+=b/O=c`"),
        ("C?N=a/O=c", "such as `CN` or `2.5.4.3` before `=` instead of `C?N`, found `C?N=a/O=c`"),
        ("CN=/O=c", "expected a value that is not blank in every component, found `CN=/O=c`"),
        ('6" pipe', 'quotes in pairs around something (three of them mean a quote itself), found `6" pipe`'),
        ('6" pipe/Acme', "quotes in pairs around something (three of them mean a quote itself)"),
        ('CN=6" pipe/O=Acme', "quotes in pairs around something (three of them mean a quote itself)"),
        ('""b"/Acme', "quotes in pairs around something (three of them mean a quote itself)"),
        ("CN=+UID=b/O=c", "expected a value that is not blank in every component, found `CN=+UID=b/O=c`"),
        ("CN= +UID=b/O=c", "expected a value that is not blank in every component, found `CN= +UID=b/O=c`"),
        ("C?=a+UID=b/O=c", "before `=` instead of `C?`, found `C?=a+UID=b/O=c`"),
        ("a/" + "x" * 4_095, "expected a name of at most 4096 characters, found `a/xx"),
        ("CN=a\\00,O=b", "expected a value without control characters and unpaired surrogates, found `CN="),
        ("CN=#0C", "expected hexadecimal BER after `#` (write `\\#` for the character), found `CN=#0C`"),
        ("CN=\\C4", "expected escaped octets that are UTF-8, found `CN="),
        ("=a", "before `=` instead of ``, found `=a`"),
        ("CN=a,b", "expected `type=value` in every component, separated by `,` (RFC 4514), found `CN=a,b`"),
        ("CN=a;b", "expected `\\` before `;` in a value (RFC 4514), found `CN=a;b`"),
        ('a""b', "quotes in pairs around something (three of them mean a quote itself)"),
        ("a\tb", "expected a name without control characters and unpaired surrogates, found `a\\tb`"),
    ],
)
def test_a_text_that_fits_no_form_is_refused_with_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(NameSyntaxError) as caught:
        read_name(text)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "longest",
    [
        "x" * 4_096,
        "x" * 4_095 + "@",
        "CN=" + "x" * (4_096 - len(CN)),
        "x" * 2_000 + "/" + "x" * (2_096 - len(CN) - len(O)),
        "CN=" + "x" * 2_000 + "/O=" + "x" * (2_096 - len(CN) - len(O)),
    ],
)
def test_a_name_has_4096_characters_at_most(longest: str) -> None:
    read_name(longest)
    with pytest.raises(NameSyntaxError, match="at most 4096 characters"):
        read_name(longest.replace("x", "xx", 1))


def test_a_text_of_65536_characters_is_looked_at_and_no_longer_one() -> None:
    text = "CN=x" + " " * 65_532
    assert read_ldap_dn(text) == read_name(text) == read_member(text) == dn((CN, "x"))
    for read in (read_ldap_dn, read_name, read_member):
        with pytest.raises(NameSyntaxError, match="at most 65536 characters"):
            read(text + " ")


@pytest.mark.parametrize(
    "separator_and_components",
    [("/", ["x"] * 64), ("/", ["CN=x"] * 64), (",", ["CN=x"] * 64), ("+", ["CN=x"] * 64)],
)
def test_a_name_has_64_attributes_at_most(separator_and_components: tuple[str, list[str]]) -> None:
    separator, components = separator_and_components
    read_name(separator.join(components))
    with pytest.raises(NameSyntaxError, match="at most 64 attributes"):
        read_name(separator.join([*components, components[0]]))


def test_a_wildcard_has_64_attributes_at_most() -> None:
    assert len(components_of(read_member("*" + "/x" * 64))) == 64
    with pytest.raises(NameSyntaxError, match="at most 64 attributes"):
        read_member("*" + "/x" * 65)


def test_every_short_name_is_read_back_whatever_its_case() -> None:
    for oid, short_name in SHORT_NAME_BY_OID.items():
        for spelling in (short_name, short_name.upper(), short_name.lower()):
            assert components_of(read_ldap_dn(f"{spelling}=x")) == [[(oid, "x")]]


def test_every_descriptor_stands_for_a_type_that_has_a_short_name() -> None:
    assert set(OID_BY_DESCRIPTOR.values()) == set(SHORT_NAME_BY_OID)
    assert all(descriptor == descriptor.casefold() for descriptor in OID_BY_DESCRIPTOR)


def test_escapes_are_marked_in_their_places() -> None:
    marked = mark_escapes('a$/b"/="c')
    assert (marked.plain, marked.mask, marked.unpaired) == ("a/b/=c", "a\0b\0\0c", False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("*/Sales/Acme", [(OU, "Sales"), (O, "Acme")], id="abbreviated"),
        pytest.param("*/Acme", [(O, "Acme")], id="one part is O"),
        pytest.param("*/US", [(O, "US")], id="one part of two letters is O, as in a name of two parts"),
        pytest.param("*/Acme/US", [(O, "Acme"), (C, "US")], id="a last part of two letters is C"),
        pytest.param("*/OU=Sales/O=Acme", [(OU, "Sales"), (O, "Acme")], id="keywords"),
        pytest.param(
            "*/O=Acme, Inc", [(O, "Acme, Inc")], id="one keyword is slash form, the slash stands before it"
        ),
        pytest.param(" * / OU=Sales / O=Acme ", [(OU, "Sales"), (O, "Acme")], id="spaces do not count"),
        pytest.param("*,OU=Sales,O=Acme", [(OU, "Sales"), (O, "Acme")], id="LDAP form"),
        pytest.param("*/dc=acme/dc=com", [(DC, "acme"), (DC, "com")], id="another tree"),
        pytest.param('*/"Sales/East"/Acme', [(OU, "Sales/East"), (O, "Acme")], id="escapes as in names"),
    ],
)
def test_reading_a_wildcard(text: str, expected: list[tuple[str, str]]) -> None:
    wildcard = read_member(text)
    assert isinstance(wildcard, WildcardName)
    assert [[component] for component in expected] == components_of(wildcard)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "*",
            " * ",
            "*/",
            "*,",
            "*//Acme",
            "*/Sales/",
            "**",
            "*/*/Acme",
            "*Acme",
            "Sal*",
            "Dave/*",
            "*@x.org",
        ),
        *("CN=*/O=Acme", "CN=*,O=Acme", "\N{FULLWIDTH ASTERISK}/A", '"*"/Acme', "*/OU=*/O=Acme"),
        *('*/6"/Acme', "*/C=US/Acme", "*,Acme", "CN=Dave/O=A\\*e", ""),
    ],
)
def test_t46_a_star_elsewhere_than_as_the_whole_leftmost_component_is_refused(text: str) -> None:
    with pytest.raises(NameSyntaxError, match=r"^expected .*, found `"):
        read_member(text)


def test_the_refusal_of_a_star_says_where_one_may_stand() -> None:
    with pytest.raises(NameSyntaxError) as caught:
        read_member("CN=*/O=Acme")
    assert str(caught.value) == (
        "expected `*` only as the whole leftmost component, with something after it, found `CN=*/O=Acme`"
    )
    with pytest.raises(NameSyntaxError) as caught:
        read_member('*/6"/Acme')
    assert str(caught.value) == (
        'expected quotes in pairs around something (three of them mean a quote itself), found `*/6"/Acme`'
    )


@pytest.mark.parametrize(
    "text", ["Dave/Acme", "CN=Dave,O=Acme", "Dave", "dave@x.org", "Anonymous", "-Default-"]
)
def test_a_member_without_a_star_is_a_name(text: str) -> None:
    assert read_name(text) == read_member(text)
