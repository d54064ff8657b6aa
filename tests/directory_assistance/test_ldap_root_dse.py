"""What a server says about itself, and whether that fits what is configured."""

from collections.abc import Mapping

import pytest

from directory_assistance.backends.ldap.messages import FoundEntry
from directory_assistance.backends.ldap.notifications import Means, choose_means
from directory_assistance.backends.ldap.root_dse import (
    AD_NOTIFICATION,
    PERSISTENT_SEARCH,
    SYNC_REQUEST,
    UNKNOWN_ROOT_DSE,
    RootDse,
    contradiction,
    read_root_dse,
)
from directory_assistance.backends.ldap.settings import ServerKind

KINDS: list[tuple[str, Mapping[str, tuple[bytes, ...]], ServerKind | None, str]] = [
    (
        "an Active Directory by its capability",
        {"supportedcapabilities": (b"1.2.840.113556.1.4.800",)},
        ServerKind.ACTIVE_DIRECTORY,
        "Active Directory",
    ),
    (
        "a lightweight one by its own",
        {"supportedcapabilities": (b"1.2.840.113556.1.4.1851",), "vendorname": (b"Samba",)},
        ServerKind.ACTIVE_DIRECTORY,
        "Samba",
    ),
    ("a 389-ds by its vendor", {"vendorname": (b"389 Project",)}, ServerKind.DS389, "389 Project"),
    (
        "an OpenLDAP by its class",
        {"objectclass": (b"top", b"OpenLDAProotDSE")},
        ServerKind.STANDARD,
        "OpenLDAP",
    ),
    ("another one", {"vendorname": (b"Somebody",), "vendorversion": (b"7",)}, None, "Somebody 7"),
]


@pytest.mark.parametrize(
    ("values", "kind", "product"), [case[1:] for case in KINDS], ids=[case[0] for case in KINDS]
)
def test_a_server_is_known_by_what_it_says(
    values: Mapping[str, tuple[bytes, ...]], kind: ServerKind | None, product: str
) -> None:
    root = read_root_dse(FoundEntry(dn=b"", values=values))
    assert (root.readable, root.kind, root.product) == (True, kind, product)


def test_a_server_that_shows_nothing_is_of_no_kind_and_contradicts_nothing() -> None:
    assert read_root_dse(FoundEntry(dn=b"", values={})) == UNKNOWN_ROOT_DSE
    assert [contradiction(UNKNOWN_ROOT_DSE, kind) for kind in ServerKind] == ["", "", ""]


def test_a_root_dse_is_read_whole() -> None:
    values = {
        "supportedcontrol": (b"1.1", b"1.2"),
        "namingcontexts": (b"o=a", b"o=b"),
        "subschemasubentry": (b"cn=Subschema",),
        "supportedcapabilities": (b"1.3",),
    }
    assert read_root_dse(FoundEntry(dn=b"", values=values)) == RootDse(
        readable=True,
        controls=frozenset({"1.1", "1.2"}),
        capabilities=frozenset({"1.3"}),
        naming_contexts=("o=a", "o=b"),
        subschema="cn=Subschema",
    )


@pytest.mark.parametrize("configured", ServerKind)
def test_t65_a_server_of_another_kind_contradicts_the_configuration(configured: ServerKind) -> None:
    for kind in ServerKind:
        problem = contradiction(RootDse(readable=True, kind=kind, product="X"), configured)
        expected = (
            ""
            if kind is configured
            else f"this is X, and `server: {configured}` is configured: say `server: {kind}`"
        )
        assert expected == problem


MEANS = [
    ({SYNC_REQUEST}, Means.SYNCREPL),
    ({SYNC_REQUEST, PERSISTENT_SEARCH}, Means.PERSISTENT_SEARCH),
    ({AD_NOTIFICATION}, Means.AD_NOTIFICATION),
    ({"1.2.840.113556.1.4.319"}, None),
]


@pytest.mark.parametrize(("controls", "means"), MEANS)
def test_the_means_to_be_told_of_changes_are_chosen_by_what_the_server_offers(
    controls: set[str], means: Means | None
) -> None:
    assert choose_means(RootDse(controls=frozenset(controls))) is means
