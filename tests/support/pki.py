"""The certificate factory for tests: `authsvc.sample_world.pki`, a fixed instant, and a small world."""

from dataclasses import dataclass
from datetime import UTC, datetime

from authsvc.sample_world.pki import (
    CA_KEY_USAGE,
    CLIENT_AUTH,
    CLIENT_KEY_USAGE,
    SERVER_AUTH,
    SID_EXTENSION_OID,
    UPN_OID,
    Authority,
    Issued,
    IssuedCrl,
    KeyKind,
    PrivateKey,
    der_element,
    dns,
    generate_key,
    host,
    key_usage,
    mail,
    name_from_text,
    sid_extension,
    upn,
    uri,
)

__all__ = [
    "CA_KEY_USAGE",
    "CLIENT_AUTH",
    "CLIENT_KEY_USAGE",
    "NOW",
    "SERVER_AUTH",
    "SID_EXTENSION_OID",
    "UPN_OID",
    "Authority",
    "Issued",
    "IssuedCrl",
    "KeyKind",
    "PrivateKey",
    "SmallWorld",
    "der_element",
    "dns",
    "generate_key",
    "host",
    "key_usage",
    "mail",
    "name_from_text",
    "sid_extension",
    "small_world",
    "upn",
    "uri",
]

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
"""The instant at which tests happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallWorld:
    """A root, an issuing authority below it, and Dave Lawson's correct certificate."""

    root: Authority
    issuing: Authority
    dave: Issued


def small_world(now: datetime = NOW) -> SmallWorld:
    """Return a new small world, correct in everything."""
    root = Authority.root(now=now)
    issuing = root.issue_authority()
    return SmallWorld(root=root, issuing=issuing, dave=issuing.issue())
