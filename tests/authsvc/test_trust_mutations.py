"""Mutated certificates: whatever the octets, an answer; and nothing but the original is accepted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authsvc.reason import Reason
from authsvc.trust.anchors import TrustMaterialError
from authsvc.trust.certificate import read_certificate
from authsvc.trust.crl import read_crl
from authsvc.trust.path import PathRefusal, VerifiedCertificate
from directory_assistance.certificate_names import read_certificate_names, read_stored_certificate
from directory_assistance.der import SEQUENCE, read_element, read_elements
from directory_assistance.errors import CertificateSyntaxError
from tests.support.pki import der_element, mail, resigned, small_world, upn
from tests.support.trust import verified, verify, world_store

WORLD = small_world()
STORE = world_store(WORLD)
DAVE = WORLD.issuing.issue(san=[mail("dave@renovations.com"), upn("dave@renovations.com")])
PATH_REASONS = frozenset(
    {
        Reason.CERTIFICATE_UNREADABLE,
        Reason.CERTIFICATE_UNTRUSTED,
        Reason.CERTIFICATE_WEAK,
        Reason.CERTIFICATE_USAGE,
        Reason.CERTIFICATE_POLICY,
        Reason.CERTIFICATE_NOT_YET_VALID,
        Reason.CERTIFICATE_EXPIRED,
    }
)


def test_the_original_is_accepted() -> None:
    """The neighbour of all mutations."""
    verified(verify(DAVE, STORE))


def _mutate(data: st.DataObject, octets: bytes) -> bytes:
    """Flip, insert, delete or repeat some octets."""
    mutated = bytearray(octets)
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(mutated) - 1))
        match data.draw(st.sampled_from(["flip", "insert", "delete", "repeat"])):
            case "flip":
                mutated[position] ^= data.draw(st.integers(1, 255))
            case "insert":
                mutated.insert(position, data.draw(st.integers(0, 255)))
            case "delete":
                del mutated[position]
            case _:
                end = data.draw(st.integers(position, min(position + 40, len(mutated))))
                mutated[position:position] = mutated[position:end]
    return bytes(mutated)


@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_t17_only_the_original_octets_are_accepted(data: st.DataObject) -> None:
    mutated = _mutate(data, DAVE.der)
    outcome = verify(mutated, STORE)
    if mutated == DAVE.der:
        verified(outcome)
    else:
        assert isinstance(outcome, PathRefusal)
        assert outcome.reason in PATH_REASONS
        assert outcome.detail
        assert "\n" not in outcome.detail


def with_unused_bits(der: bytes, unused: int) -> bytes:
    """Return what is signed with another number of unused bits in the signature, which are zero there."""
    fields = read_elements(read_element(der, SEQUENCE).content)
    content = bytes((unused,)) + fields[-1].content[1:]
    return der_element(SEQUENCE, b"".join((fields[0].encoded, fields[1].encoded, der_element(0x03, content))))


def ends_in_zero_bits(der: bytes) -> bool:
    return der[-1] & 0x07 == 0


def test_t17_a_signature_has_one_encoding() -> None:
    """OpenSSL passes over the number of unused bits: a twin of other octets would bear the same signature."""
    issued = next(each for each in iter(WORLD.issuing.issue, None) if ends_in_zero_bits(each.der))
    assert issued.der == with_unused_bits(issued.der, 0)
    verified(verify(issued.der, STORE))
    assert read_stored_certificate(issued.der) is not None
    for unused in (1, 2, 3, 7, 8, 255):
        twin = with_unused_bits(issued.der, unused)
        outcome = verify(twin, STORE)
        assert isinstance(outcome, PathRefusal)
        assert outcome.reason is Reason.CERTIFICATE_UNREADABLE
        assert read_stored_certificate(twin) is None
        with pytest.raises(CertificateSyntaxError):
            read_certificate_names(twin)


def test_t17_the_signature_of_a_list_has_one_encoding() -> None:
    listed = next(each.der for each in iter(WORLD.issuing.crl, None) if ends_in_zero_bits(each.der))
    assert read_crl(listed, source="a.crl").is_signed_by(read_certificate(WORLD.issuing.der))
    for unused in (1, 2, 3):
        with pytest.raises(TrustMaterialError, match="bit string"):
            read_crl(with_unused_bits(listed, unused), source="a.crl")


@pytest.mark.filterwarnings("ignore:Attribute's length:UserWarning")  # as in the lists
@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_a_spoiled_but_correctly_signed_certificate_is_an_answer(data: st.DataObject) -> None:
    """Signed again after the mutation, so that what lies behind the signature is reached."""

    def spoil(fields: list[bytes]) -> list[bytes]:
        which = data.draw(st.integers(0, len(fields) - 1))
        return [*fields[:which], _mutate(data, fields[which]), *fields[which + 1 :]]

    outcome = verify(resigned(DAVE.der, WORLD.issuing.key, edit=spoil), STORE)
    if isinstance(outcome, PathRefusal):
        assert outcome.reason in PATH_REASONS
        assert outcome.detail
    else:
        assert outcome.path[0].serial > 0


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_a_mutated_hint_harms_nobody(data: st.DataObject) -> None:
    chain = (_mutate(data, WORLD.issuing.der), _mutate(data, WORLD.root.der), _mutate(data, DAVE.der))
    assert isinstance(verify(DAVE, STORE, chain=chain), VerifiedCertificate)


@settings(max_examples=250, deadline=None)
@given(octets=st.binary(max_size=300) | st.binary(max_size=300).map(lambda body: der_element(0x30, body)))
def test_any_octets_are_unreadable(octets: bytes) -> None:
    outcome = verify(octets, STORE)
    assert isinstance(outcome, PathRefusal)
    assert outcome.reason is Reason.CERTIFICATE_UNREADABLE
    with pytest.raises(CertificateSyntaxError):
        read_certificate(octets)


def test_a_certificate_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(CertificateSyntaxError, match="certificate has 65537 octets, the limit is 65536"):
        read_certificate(b"\x30" + b"\x00" * 65_536)
