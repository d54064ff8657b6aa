"""Revocation lists for tests that the certificate factory has no argument for: scopes, entries, indirect lists."""

from collections.abc import Iterable, Sequence

from cryptography import x509

from authsvc.trust.general_names import GeneralName, read_general_name
from directory_assistance.der import SEQUENCE, read_elements
from tests.support.pki import Authority, der_element, resigned

__all__ = ["delta_of", "entry", "indirect_list", "issuing_point", "list_of_entries", "uri_name"]

CriticalExtension = tuple[x509.ExtensionType, bool]

_DIRECTORY_NAME = 0xA4
_URI = 0x86
_CERTIFICATE_ISSUER = bytes.fromhex("0603551d1d")
_TRUE = b"\x01\x01\xff"


def issuing_point(
    *,
    full_name: Sequence[x509.GeneralName] | None = None,
    relative_name: x509.RelativeDistinguishedName | None = None,
    end_entities: bool = False,
    authorities: bool = False,
    reasons: frozenset[x509.ReasonFlags] | None = None,
    indirect: bool = False,
    attributes: bool = False,
) -> CriticalExtension:
    """Return an issuingDistributionPoint, critical."""
    point = x509.IssuingDistributionPoint(
        full_name=full_name,
        relative_name=relative_name,
        only_contains_user_certs=end_entities,
        only_contains_ca_certs=authorities,
        only_some_reasons=reasons,
        indirect_crl=indirect,
        only_contains_attribute_certs=attributes,
    )
    return (point, True)


def delta_of(base: int) -> CriticalExtension:
    """Return a deltaCRLIndicator, critical."""
    return (x509.DeltaCRLIndicator(base), True)


def uri_name(text: str) -> GeneralName:
    """Return a URI as our own readers have it."""
    return read_general_name(read_elements(der_element(_URI, text.encode()))[0])


def entry(
    serial: bytes | int, date: bytes = b"\x17\x0d260301110000Z", extensions: bytes = b"", *, more: bytes = b""
) -> bytes:
    """Return an entry from its parts; a serial number as content octets or as a number."""
    if isinstance(serial, int):
        size = (serial if serial >= 0 else ~serial).bit_length() // 8 + 1
        serial = serial.to_bytes(size, "big", signed=True)
    return der_element(SEQUENCE, der_element(0x02, serial) + date + extensions + more)


def list_of_entries(
    authority: Authority, entries: Iterable[bytes], extensions: Sequence[CriticalExtension] = ()
) -> bytes:
    """Return a list with entries that are written by hand."""

    def replace_entries(fields: list[bytes]) -> list[bytes]:
        return [*fields[:5], der_element(SEQUENCE, b"".join(entries)), *fields[6:]]

    return resigned(authority.crl([1], extensions=extensions).der, authority.key, edit=replace_entries)


def indirect_list(
    authority: Authority,
    entries: Iterable[tuple[Authority | None, int]],
    extensions: Sequence[CriticalExtension] = (issuing_point(indirect=True),),
) -> bytes:
    """Return an indirect list: serial numbers, each with an issuer where the list says that another one begins."""

    def written(issuer: Authority | None, serial: int) -> bytes:
        if issuer is None:
            return entry(serial)
        names = der_element(SEQUENCE, der_element(_DIRECTORY_NAME, issuer.certificate.subject.public_bytes()))
        extension = der_element(SEQUENCE, _CERTIFICATE_ISSUER + _TRUE + der_element(0x04, names))
        return entry(serial, extensions=der_element(SEQUENCE, extension))

    return list_of_entries(authority, (written(issuer, serial) for issuer, serial in entries), extensions)
