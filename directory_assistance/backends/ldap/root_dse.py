"""What a server says about itself: the root DSE (RFC 4512 section 5.1).

What lives here: which attributes are asked for, what they say about the kind of server and about what it can do, and
whether that fits the configuration. Pure.

Why it matters: a server of another kind than configured does not complain. The certificate filter of one kind finds
nobody on the others and says success (threat T65), so everybody would be "nobody" without a word.
"""

from dataclasses import dataclass
from typing import Final

from directory_assistance.backends.ldap.messages import FoundEntry, SearchRequest
from directory_assistance.backends.ldap.settings import ServerKind
from directory_assistance.filters import Present

__all__ = [
    "AD_NOTIFICATION",
    "HEARTBEAT_REQUEST",
    "IN_CHAIN_CAPABILITIES",
    "PERSISTENT_SEARCH",
    "ROOT_DSE_REQUEST",
    "SYNC_REQUEST",
    "UNKNOWN_ROOT_DSE",
    "RootDse",
    "contradiction",
    "read_root_dse",
]

SYNC_REQUEST: Final = "1.3.6.1.4.1.4203.1.9.1.1"
"""Content synchronisation (RFC 4533)."""

PERSISTENT_SEARCH: Final = "2.16.840.1.113730.3.4.3"
"""Persistent search (draft-ietf-ldapext-psearch-03)."""

AD_NOTIFICATION: Final = "1.2.840.113556.1.4.528"
"""LDAP_SERVER_NOTIFICATION_OID (MS-ADTS section 3.1.1.3.4.1.9)."""

_ACTIVE_DIRECTORY = "1.2.840.113556.1.4.800"
_AD_LDS = "1.2.840.113556.1.4.1851"
"""LDAP_CAP_ACTIVE_DIRECTORY_OID and _ADAM_OID (MS-ADTS section 3.1.1.3.4.3)."""

IN_CHAIN_CAPABILITIES: Final = frozenset({_ACTIVE_DIRECTORY, _AD_LDS})
"""What a server says that knows LDAP_MATCHING_RULE_IN_CHAIN; no list names matching rules of their own."""

ROOT_DSE_REQUEST: Final = SearchRequest(
    base="",
    scope="BASE",
    filter=Present(attribute="objectClass"),
    attributes=(
        "objectClass",
        "vendorName",
        "vendorVersion",
        "supportedControl",
        "supportedCapabilities",
        "namingContexts",
        "subschemaSubentry",
    ),
    size_limit=1,
)


HEARTBEAT_REQUEST: Final = SearchRequest(
    base="",
    scope="BASE",
    filter=Present(attribute="objectClass"),
    attributes=("highestCommittedUSN",),
    size_limit=1,
)
"""The smallest question; Active Directory answers it with the number of its last write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootDse:
    """What a server says about itself; `kind` is None where that does not tell.

    `readable`: whether it showed anything at all.
    """

    readable: bool = False
    kind: ServerKind | None = None
    product: str = ""
    controls: frozenset[str] = frozenset()
    capabilities: frozenset[str] = frozenset()
    naming_contexts: tuple[str, ...] = ()
    subschema: str = ""


UNKNOWN_ROOT_DSE: Final = RootDse()


def read_root_dse(found: FoundEntry) -> RootDse:
    """Read a root DSE. Total: what is missing or unreadable says nothing."""

    def texts(name: str) -> tuple[str, ...]:
        return tuple(value.decode("utf-8", "replace") for value in found.values.get(name, ()))

    capabilities = frozenset(texts("supportedcapabilities"))
    vendor = " ".join((*texts("vendorname"), *texts("vendorversion")))
    kind: ServerKind | None = None
    product = vendor
    if capabilities & IN_CHAIN_CAPABILITIES:
        kind, product = ServerKind.ACTIVE_DIRECTORY, vendor or "Active Directory"
    elif "389" in vendor:
        kind = ServerKind.DS389
    elif "openldaprootdse" in {text.lower() for text in texts("objectclass")}:
        kind, product = ServerKind.STANDARD, vendor or "OpenLDAP"
    return RootDse(
        readable=bool(found.values),
        kind=kind,
        product=product,
        controls=frozenset(texts("supportedcontrol")),
        capabilities=capabilities,
        naming_contexts=texts("namingcontexts"),
        subschema=next(iter(texts("subschemasubentry")), ""),
    )


def contradiction(root: RootDse, configured: ServerKind) -> str:
    """Return why a server cannot be of the configured kind; nothing where it may be."""
    if root.kind is None or root.kind is configured:
        return ""
    return f"this is {root.product}, and `server: {configured}` is configured: say `server: {root.kind}`"
