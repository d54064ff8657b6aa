"""Trust anchors, the store, and PEM files of certificates: what is refused at the door."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authsvc.trust.anchors import (
    AnchorSettings,
    StrengthFloor,
    TrustAnchor,
    TrustMaterialError,
    TrustStore,
    read_certificates_pem,
)
from authsvc.trust.certificate import read_certificate
from tests.support.pki import (
    NOW,
    Authority,
    KeyKind,
    SmallWorld,
    der_element,
    generate_key,
    resigned,
    small_world,
)
from tests.support.trust import anchor_of, facts_of

CORP = AnchorSettings(id="corp")


@pytest.fixture(scope="module")
def world() -> SmallWorld:
    return small_world()


def test_a_file_of_several_certificates_makes_several_anchors_of_one_id(world: SmallWorld) -> None:
    successor = Authority.root("CN=Renovations Root CA 2", now=NOW)
    anchors = TrustAnchor.from_pem(CORP, (world.root.pem + successor.pem).encode(), source="corp.pem")
    assert [(anchor.id, anchor.der) for anchor in anchors] == [
        ("corp", world.root.der),
        ("corp", successor.der),
    ]
    assert anchors[0].certificate == world.root.certificate
    assert TrustAnchor.from_der(CORP, world.root.der) == anchors[0]


def test_a_file_may_hold_a_thousand_certificates(world: SmallWorld) -> None:
    assert len(read_certificates_pem((world.root.pem * 1000).encode(), source="a.pem")) == 1000


def test_text_between_the_blocks_of_a_file_is_allowed(world: SmallWorld) -> None:
    pem = f"subject=CN = Root\n{world.root.pem}\nthe end\n".replace("\n", "\r\n")
    assert [one.der for one in read_certificates_pem(pem.encode(), source="a.pem")] == [world.root.der]


def _file(world: SmallWorld, change: str) -> bytes:
    pem = world.root.pem
    changed = {
        "cut off": pem[: len(pem) // 2],
        "second cut off": pem + pem[: len(pem) // 2],
        "key": pem + world.root.key_pem,
        "base64": pem.replace("MII", "M=II", 1),
        "der": pem.replace("MII", "MIJ", 1),
        "many": pem * 1001,
    }
    return changed.get(change, change).encode()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("", "`a.pem`: expected PEM blocks `CERTIFICATE/X509 CERTIFICATE`, found none"),
        ("hello", "`a.pem`: expected PEM blocks `CERTIFICATE/X509 CERTIFICATE`, found none"),
        ("cut off", "`a.pem`: a PEM block is cut off or malformed"),
        ("second cut off", "`a.pem`: a PEM block is cut off or malformed"),
        ("key", "`a.pem`: block 2: expected PEM `CERTIFICATE/X509 CERTIFICATE`, found `PRIVATE KEY`"),
        ("base64", "`a.pem`: block 1 is not base64: "),
        ("der", "`a.pem`: certificate 1: certificate is not DER"),
        ("many", "`a.pem`: found 1001 PEM blocks, the limit is 1000"),
    ],
)
def test_t29_a_file_without_wholly_readable_certificates_is_refused(
    world: SmallWorld, change: str, expected: str
) -> None:
    with pytest.raises(TrustMaterialError) as caught:
        read_certificates_pem(_file(world, change), source="a.pem")
    assert str(caught.value).startswith(expected)


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=300), armoured=st.booleans())
def test_any_octets_are_certificates_or_a_problem(*, body: bytes, armoured: bool) -> None:
    octets = b"-----BEGIN CERTIFICATE-----\n" + body + b"\n-----END CERTIFICATE-----\n" if armoured else body
    with pytest.raises(TrustMaterialError):
        read_certificates_pem(octets, source="a.pem")


def test_t29_a_store_without_an_anchor_cannot_exist(world: SmallWorld) -> None:
    with pytest.raises(TrustMaterialError, match="no trust anchor"):
        TrustStore.of([], [facts_of(world.issuing)])


def test_a_store_with_one_certificate_twice_under_one_id_cannot_exist(world: SmallWorld) -> None:
    with pytest.raises(TrustMaterialError, match="`corp` holds one certificate twice"):
        TrustStore.of([anchor_of(world.root), anchor_of(world.root)])
    TrustStore.of([anchor_of(world.root), anchor_of(world.root, AnchorSettings(id="other"))])


def test_t25_an_intermediate_with_an_expensive_key_is_refused(world: SmallWorld) -> None:
    key = der_element(
        0x30, bytes.fromhex("0282080200") + b"\x80" + bytes(2047) + b"\x01" + bytes.fromhex("0203010001")
    )
    info = der_element(
        0x30, bytes.fromhex("300d06092a864886f70d0101010500") + der_element(0x03, b"\x00" + key)
    )
    der = resigned(world.issuing.der, world.root.key, edit=lambda fields: [*fields[:6], info, *fields[7:]])
    with pytest.raises(
        TrustMaterialError, match="intermediate `CN=Renovations Issuing CA,O=Renovations`: expected"
    ):
        TrustStore.of([anchor_of(world.root)], [read_certificate(der)])


def test_an_intermediate_given_twice_stands_once(world: SmallWorld) -> None:
    store = TrustStore.of([anchor_of(world.root)], [facts_of(world.issuing), facts_of(world.issuing)])
    assert store.intermediates == (facts_of(world.issuing),)


def test_two_stores_of_the_same_material_are_equal(world: SmallWorld) -> None:
    first, second = (TrustStore.of([anchor_of(world.root)], [facts_of(world.issuing)]) for _ in range(2))
    assert first == second
    assert first != TrustStore.of([anchor_of(world.root)])


def test_an_anchor_without_an_id_is_refused(world: SmallWorld) -> None:
    with pytest.raises(TrustMaterialError, match="without an id"):
        TrustAnchor.from_der(AnchorSettings(id=""), world.root.der)


def test_an_anchor_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(TrustMaterialError, match="trust anchor `corp`: certificate is not DER"):
        TrustAnchor.from_der(CORP, b"nothing")


@pytest.mark.parametrize(("bits", "accepted"), [(2047, False), (2048, True), (4096, True)])
def test_t26_the_rsa_floor_of_an_anchor_may_be_raised_not_lowered(
    world: SmallWorld, bits: int, accepted: bool
) -> None:
    chosen = dataclasses.replace(CORP, floor=StrengthFloor(rsa_bits=bits))
    if accepted:
        TrustAnchor.from_der(chosen, world.root.der)
    else:
        with pytest.raises(TrustMaterialError, match="expected minimum_rsa_bits of 2048 or more, found 2047"):
            TrustAnchor.from_der(chosen, world.root.der)


@pytest.mark.parametrize("kind", [KeyKind.RSA_1024, KeyKind.SECP256K1])
def test_t26_an_anchor_with_a_key_that_no_path_could_use_is_refused(kind: KeyKind) -> None:
    root = Authority.root("CN=Weak Root", now=NOW, key=kind)
    with pytest.raises(TrustMaterialError, match="trust anchor `corp` \\(`CN=Weak Root`\\): "):
        TrustAnchor.from_der(CORP, root.der)


def test_an_anchor_below_its_own_floor_is_refused() -> None:
    root = Authority.root(now=NOW, key=generate_key(KeyKind.RSA_2048))
    TrustAnchor.from_der(CORP, root.der)
    with pytest.raises(TrustMaterialError, match="at least 3072 bits, found RSA-2048"):
        TrustAnchor.from_der(dataclasses.replace(CORP, floor=StrengthFloor(rsa_bits=3072)), root.der)


def test_t22_of_a_file_only_pinned_keys_count(world: SmallWorld) -> None:
    """A second authority of the same name in the file changes nothing; a pinned key that is missing refuses."""
    namesake = Authority.root(now=NOW)
    pem = (namesake.pem + world.root.pem).encode()
    wanted = read_certificate(world.root.der).key_sha256
    pinned = dataclasses.replace(CORP, key_pins=frozenset({wanted}))
    assert [world.root.der] == [one.der for one in TrustAnchor.from_pem(pinned, pem, source="both.pem")]
    assert 2 == len(TrustAnchor.from_pem(CORP, pem, source="both.pem"))
    with pytest.raises(
        TrustMaterialError, match=f"`one.pem`: expected a certificate of the key {wanted.hex()}, found"
    ):
        TrustAnchor.from_pem(pinned, namesake.pem.encode(), source="one.pem")
