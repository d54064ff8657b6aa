"""Printing names: a case for every sentence of "Names, Printing" in the semantics, and RFC 4514."""

import pytest

from directory_assistance.dn import (
    DistinguishedName,
    FlatName,
    InternetName,
    MemberReference,
    Name,
    WildcardName,
    dn_from_attributes,
    render_canonical,
    render_ldap,
    render_member,
    render_name,
)
from tests.support.names import CN, DC, EMAIL, OU, SERIAL_NUMBER, UID, UNKNOWN_OID, C, O, dn

DAVE = dn((CN, "Dave Lawson"), (OU, "East"), (O, "Renovations"), (C, "US"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(DAVE, "Dave Lawson/East/Renovations/US", id="CN, OU, O, C is abbreviated"),
        pytest.param(dn((CN, "Dave"), (O, "Acme")), "Dave/Acme", id="CN, O is abbreviated"),
        pytest.param(dn((CN, "Dave"), (O, "Acme"), (C, "US")), "Dave/Acme/US", id="CN, O, C is abbreviated"),
        pytest.param(
            dn((CN, "X"), (OU, "Y"), (O, "US")),
            "CN=X/OU=Y/O=US",
            id="a name that would read as a country stays canonical",
        ),
        pytest.param(
            dn((CN, "X"), (OU, "East")),
            "CN=X/OU=East",
            id="a name without O stays canonical: it would read as O",
        ),
        pytest.param(dn((CN, "X"), (C, "US")), "CN=X/C=US", id="a country without O stays canonical"),
        pytest.param(
            dn((CN, "X"), (O, "Acme"), (C, "USA")), "CN=X/O=Acme/C=USA", id="a long country stays canonical"
        ),
        pytest.param(dn((OU, "X"), (O, "Acme")), "OU=X/O=Acme", id="a name without CN stays canonical"),
        pytest.param(dn((CN, "Dave")), "CN=Dave", id="a single CN stays canonical: it would read as flat"),
        pytest.param(
            dn((CN, "X"), (O, "Acme"), (OU, "East")),
            "CN=X/O=Acme/OU=East",
            id="another order stays canonical",
        ),
        pytest.param(
            dn_from_attributes([[(CN, "X"), (OU, "Y")], [(O, "Acme")]]),
            "CN=X+OU=Y/O=Acme",
            id="a multi-valued component stays canonical",
        ),
        pytest.param(
            dn((UID, "675894"), (OU, "boston"), (O, "airius.com")),
            "uid=675894/ou=boston/o=airius.com",
            id="a name with any other attribute keeps all its keywords, lower-case, in slash form",
        ),
        pytest.param(
            dn((CN, "Jerry"), (OU, "Acme"), (DC, "Corp"), (DC, "Com")),
            "cn=Jerry/ou=Acme/dc=Corp/dc=Com",
            id="CN and OU are lower-case too beside another attribute",
        ),
        pytest.param(
            dn((CN, "a"), (UNKNOWN_OID, "x"), ("employeenumber", "7")),
            "cn=a/1.3.6.1.4.1.1466.0=x/employeenumber=7",
            id="an unknown type is printed as it was read",
        ),
        pytest.param(
            dn((CN, "a/b"), (OU, "c=d"), (O, 'e"f')),
            'a"/"b/c"="d/e"""f',
            id="escapes in slash form: quotes are printed",
        ),
        pytest.param(
            dn((CN, "a$"), (O, "$b$c")), 'a"$"/$b$c', id="a $ before a separator is quoted, another is not"
        ),
        pytest.param(dn((CN, "a@b"), (O, "c")), "a@b/c", id="an @ in a component needs no quotes"),
        pytest.param(
            dn((CN, "a, b+c\\"), (O, "d")), "a, b+c\\/d", id="the specials of LDAP are plain in slash form"
        ),
        pytest.param(dn((CN, "a, b")), "CN=a\\, b", id="a single component is escaped as RFC 4514"),
        pytest.param(
            dn((UID, 'a/"b"$')),
            "uid=a\\2F\\22b\\22\\24",
            id="a single component hides what slash form would see",
        ),
        pytest.param(dn((CN, "*"), (O, "Acme")), "CN=*/O=Acme", id="a star is never printed like a wildcard"),
        pytest.param(DistinguishedName(rdns=()), "", id="the empty name is printed empty"),
        pytest.param(FlatName(text="Dave Lawson"), "Dave Lawson", id="flat as it is"),
        pytest.param(
            FlatName(text='a/b=c@d"$'),
            'a"/"b"="c"@"d""""$"',
            id="flat quotes what would give it another form",
        ),
        pytest.param(InternetName(text="dave@x.org"), "dave@x.org", id="Internet as it is"),
        pytest.param(InternetName(text="a/b@x.org"), 'a"/"b@x.org', id="Internet quotes a slash"),
    ],
)
def test_printing_a_name(name: Name, expected: str) -> None:
    assert expected == render_name(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(DAVE, "CN=Dave Lawson,OU=East,O=Renovations,C=US", id="short names are upper-case"),
        pytest.param(
            dn((UID, "1"), (DC, "a"), (EMAIL, "b"), (SERIAL_NUMBER, "c")),
            "UID=1,DC=a,emailAddress=b,serialNumber=c",
            id="long descriptors are as registered",
        ),
        pytest.param(
            dn_from_attributes([[(OU, "Sales"), (CN, "J. Smith")], [(DC, "net")]]),
            "OU=Sales+CN=J. Smith,DC=net",
            id="a multi-valued component keeps its written order",
        ),
        pytest.param(dn((CN, '"+,;<>\\')), r"CN=\"\+\,\;\<\>\\", id="specials are escaped"),
        pytest.param(dn((CN, " a ")), r"CN=\ a\ ", id="spaces at the ends are escaped"),
        pytest.param(dn((CN, " ")), r"CN=\ ", id="one space alone is escaped"),
        pytest.param(dn((CN, "#a#")), r"CN=\#a#", id="a # at the beginning is escaped"),
        pytest.param(dn((CN, "a=b/c$")), "CN=a=b/c$", id="what RFC 4514 lets stand is left alone"),
        pytest.param(dn((CN, "Lučić")), "CN=Lučić", id="letters beyond ASCII stay"),
        pytest.param(
            dn((CN, "a\0b\n\x85")), r"CN=a\00b\0A\C2\85", id="control characters are escaped octets"
        ),
        pytest.param(dn((CN, "a\n")), r"CN=a\0A", id="a line feed at the end is an escaped octet"),
        pytest.param(dn((CN, " \n")), "CN=\\ \\0A", id="a space before a line feed is not the end"),
        pytest.param(dn((CN, "\ud800")), r"CN=\ED\A0\80", id="an unpaired surrogate is escaped octets"),
        pytest.param(
            dn((UNKNOWN_OID, "Hi")), "1.3.6.1.4.1.1466.0=#0c024869", id="a dotted type has hexadecimal BER"
        ),
        pytest.param(
            dn((UNKNOWN_OID, "#04024869")),
            "1.3.6.1.4.1.1466.0=#04024869",
            id="a value that is BER stays what it is",
        ),
        pytest.param(
            dn((UNKNOWN_OID, "#0c0141")),
            "1.3.6.1.4.1.1466.0=#0c0723306330313431",
            id="a text that looks like a string in BER is one more string",
        ),
        pytest.param(
            dn((UNKNOWN_OID, "x" * 127)),
            UNKNOWN_OID + "=#0c7f" + "78" * 127,
            id="127 octets have a short length",
        ),
        pytest.param(
            dn((UNKNOWN_OID, "x" * 128)),
            UNKNOWN_OID + "=#0c8180" + "78" * 128,
            id="128 octets have a long length",
        ),
        pytest.param(
            dn((UNKNOWN_OID, "x" * 256)),
            UNKNOWN_OID + "=#0c820100" + "78" * 256,
            id="256 octets have a longer length",
        ),
        pytest.param(
            dn((UNKNOWN_OID, "\ud800")), UNKNOWN_OID + "=#0c03eda080", id="a surrogate in hexadecimal BER"
        ),
        pytest.param(
            dn(("employeenumber", "7")), "employeenumber=7", id="an unknown descriptor is printed as it is"
        ),
        pytest.param(DistinguishedName(rdns=()), "", id="the empty name is printed empty"),
    ],
)
def test_printing_the_string_form_of_ldap(name: DistinguishedName, expected: str) -> None:
    assert expected == render_ldap(name)


def test_canonical_is_printed_on_request_where_the_name_could_be_abbreviated() -> None:
    assert render_canonical(DAVE) == "CN=Dave Lawson/OU=East/O=Renovations/C=US"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (WildcardName(suffix=dn((OU, "Sales"), (O, "Acme")).rdns), "*/Sales/Acme"),
        (WildcardName(suffix=dn((OU, "Sales"), (O, "US")).rdns), "*/OU=Sales/O=US"),
        (WildcardName(suffix=dn((OU, "Sales")).rdns), "*/OU=Sales"),
        (WildcardName(suffix=dn((DC, "acme"), (DC, "com")).rdns), "*/dc=acme/dc=com"),
        (WildcardName(suffix=dn((O, "a/b")).rdns), '*/a"/"b'),
        (DAVE, "Dave Lawson/East/Renovations/US"),
    ],
)
def test_printing_a_member(reference: MemberReference, expected: str) -> None:
    assert expected == render_member(reference)
