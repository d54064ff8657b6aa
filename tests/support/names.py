"""Names for tests: attribute types by their short names, names made of them, names taken apart."""

from directory_assistance.dn import DistinguishedName, MemberReference, WildcardName, dn_from_attributes

__all__ = [
    "CN",
    "DC",
    "EMAIL",
    "OU",
    "SERIAL_NUMBER",
    "ST",
    "UID",
    "UNKNOWN_OID",
    "C",
    "O",
    "components_of",
    "dn",
]

CN = "2.5.4.3"
SERIAL_NUMBER = "2.5.4.5"
C = "2.5.4.6"
ST = "2.5.4.8"
O = "2.5.4.10"  # noqa: E741 - the attribute's name in every standard
OU = "2.5.4.11"
UID = "0.9.2342.19200300.100.1.1"
DC = "0.9.2342.19200300.100.1.25"
EMAIL = "1.2.840.113549.1.9.1"
UNKNOWN_OID = "1.3.6.1.4.1.1466.0"


def dn(*components: tuple[str, str]) -> DistinguishedName:
    """Make a name of single-valued components, leaf first."""
    return dn_from_attributes([[component] for component in components])


def components_of(name: MemberReference) -> list[list[tuple[str, str]]]:
    """Take a name apart, values as written: equality of names would not see their spelling."""
    assert isinstance(name, DistinguishedName | WildcardName)
    rdns = name.rdns if isinstance(name, DistinguishedName) else name.suffix
    return [[(attribute.oid, attribute.value) for attribute in rdn.attributes] for rdn in rdns]
