"""Presented certificates for tests: one set of real certificates, and their form in each dialect."""

import base64
from functools import cache
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.pki import SmallWorld, small_world

__all__ = ["byte_sequence", "escaped_pem", "leaf", "world"]


@cache
def world() -> SmallWorld:
    """Return one small world for all tests that only look at bytes."""
    return small_world()


def leaf() -> bytes:
    """Return Dave Lawson's certificate (DER)."""
    return world().dave.der


def byte_sequence(der: bytes) -> bytes:
    """Return octets as RFC 9440 writes them."""
    return b":" + base64.b64encode(der) + b":"


def escaped_pem(der: bytes) -> bytes:
    """Return a certificate as nginx writes `$ssl_client_escaped_cert`."""
    pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode("ascii")
    return quote(pem, safe="").encode("ascii")
