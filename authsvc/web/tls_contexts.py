"""TLS of the listeners: server contexts, and the replacement of their material while connections are served.

Every option is written out. Here is no trust decision: the handshake is a sieve before `trust/path.py`, which
verifies again on every request. It lets a chain end at any authority it knows, and what it refuses (expired,
foreign, wrong usage, weak) ends there.
"""

import ssl
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

__all__ = ["ClientCertificates", "SwitchableContext", "TlsMaterialError", "TlsSettings"]


class TlsMaterialError(Exception):
    """Certificate, key or authorities of a listener cannot be used."""


class ClientCertificates(Enum):
    """Whether a TLS listener asks its clients for certificates."""

    IGNORED = "ignored"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """TLS of one listener.

    `certificate` and `key` are PEM files; the chain stands behind the certificate. `authorities` (DER)
    complete and end the chains of clients: anchors and intermediates alike. Without any, every client
    certificate is refused.
    """

    certificate: Path
    key: Path
    client_certificates: ClientCertificates = ClientCertificates.IGNORED
    authorities: tuple[bytes, ...] = field(default=(), repr=False)


_VERIFY_MODE: Final = {
    ClientCertificates.IGNORED: ssl.CERT_NONE,
    ClientCertificates.OPTIONAL: ssl.CERT_OPTIONAL,
    ClientCertificates.REQUIRED: ssl.CERT_REQUIRED,
}


class SwitchableContext:
    """The context that a listener is opened with, whose material can be replaced for new connections.

    Raises:
        TlsMaterialError: the material cannot be used.

    """

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self.context = _make_context(settings)
        self._current = self.context
        # The callback runs for every handshake, with and without a server name
        # (SSL_CTX_set_tlsext_servername_callback).
        self.context.sni_callback = self._switch

    def replace(self, settings: TlsSettings) -> None:
        """Use other material from the next handshake on; on error the present one stays.

        Raises:
            TlsMaterialError: the material cannot be used, or whether certificates are asked for would change.

        """
        if settings.client_certificates is not self._settings.client_certificates:
            # the mode is copied into a connection before the callback can switch it
            raise TlsMaterialError("whether client certificates are asked for changes at the next start only")
        self._current = _make_context(
            settings
        )  # even if equal: the same files may hold a renewed certificate

    def _switch(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        if self._current is not self.context:
            connection.context = self._current


def _make_context(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # No tickets: a resumed session has lost the client's chain, and brings no proof of today (threat T8).
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    context.verify_mode = _VERIFY_MODE[settings.client_certificates]
    # PARTIAL_CHAIN: a chain may end at a pinned leaf or at an anchor that is not self-signed.
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        # An encrypted key fails instead of asking on the terminal.
        context.load_cert_chain(settings.certificate, settings.key, password=lambda: "")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise TlsMaterialError(
            f"certificate `{settings.certificate}` with key `{settings.key}`: {error}"
        ) from error
    if settings.authorities and settings.client_certificates is not ClientCertificates.IGNORED:
        try:
            context.load_verify_locations(cadata=b"".join(settings.authorities))
        except (OSError, ValueError) as error:
            raise TlsMaterialError(f"client authorities: {error}") from error
    return context
