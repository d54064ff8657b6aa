"""The memory of accepted paths: what it spares, what it never decides, and its bounds."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from authsvc.reason import Reason
from authsvc.trust import path_building
from authsvc.trust.anchors import AnchorSettings, TrustStore
from authsvc.trust.certificate import CertificateFacts, read_certificate
from authsvc.trust.path_memory import PathMemory
from directory_assistance.certificate_names import read_certificate_names
from tests.support.pki import NOW, Authority, Issued, small_world
from tests.support.trust import anchor_of, facts_of, refused, store_of, verified, verify, world_store

WORLD = small_world()
DAY = timedelta(days=1)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The certificates whose signature was checked, one after another."""
    found: list[bytes] = []
    is_signed_by = path_building._is_signed_by

    def count(below: CertificateFacts, key: PublicKeyTypes | None) -> bool:
        found.append(below.der)
        return is_signed_by(below, key)

    monkeypatch.setattr(path_building, "_is_signed_by", count)
    return found


def fresh_store() -> TrustStore:
    return world_store(WORLD)


def test_an_accepted_certificate_is_read_and_checked_once(checked: list[bytes]) -> None:
    store = fresh_store()
    checked.clear()  # configured certificates are proven when they are read
    first, again = (verified(verify(WORLD.dave, store)) for _ in range(2))
    assert [WORLD.dave.der] == checked
    assert first.path == again.path
    assert first.names is again.names
    assert first.path[0] is again.path[0]


def test_presented_authorities_of_an_accepted_path_are_remembered_too(checked: list[bytes]) -> None:
    store = store_of(anchor_of(WORLD.root))
    checked.clear()
    for _ in range(2):
        verified(verify(WORLD.dave, store, chain=(WORLD.issuing.der,)))
    assert sorted([WORLD.dave.der, WORLD.issuing.der]) == sorted(checked)


def test_t76_what_is_refused_is_not_remembered(checked: list[bytes]) -> None:
    store = fresh_store()
    server = WORLD.issuing.issue("CN=Server", eku=None)
    checked.clear()
    for _ in range(2):
        assert Reason.CERTIFICATE_USAGE is refused(verify(server, store)).reason
    assert [server.der, server.der] == checked
    assert store.memory.find_end_entity(server.der) is None


@pytest.mark.parametrize(
    ("when", "front_end", "expected"),
    [
        pytest.param(NOW + 1_000 * DAY, "nginx", Reason.CERTIFICATE_EXPIRED, id="after its end"),
        pytest.param(NOW - 1_000 * DAY, "nginx", Reason.CERTIFICATE_NOT_YET_VALID, id="before its beginning"),
        pytest.param(NOW, "api", Reason.CERTIFICATE_UNTRUSTED, id="on another front end"),
    ],
)
def test_a_remembered_certificate_is_judged_anew(when: object, front_end: str, expected: Reason) -> None:
    assert isinstance(when, type(NOW))
    store = world_store(WORLD, AnchorSettings(id="corp", front_ends=frozenset({"nginx"})))
    verified(verify(WORLD.dave, store))
    assert expected is refused(verify(WORLD.dave, store, now=when, front_end=front_end)).reason


def test_t22_the_memory_of_one_store_says_nothing_in_another(checked: list[bytes]) -> None:
    """A namesake root with an issuing authority of the same name: its store has never seen the certificate."""
    verified(verify(WORLD.dave, fresh_store()))
    other = small_world()
    checked.clear()
    assert Reason.CERTIFICATE_UNTRUSTED is refused(verify(WORLD.dave, world_store(other))).reason
    assert WORLD.dave.der in checked


def test_t17_another_spelling_of_a_remembered_certificate_is_another_certificate() -> None:
    store = fresh_store()
    verified(verify(WORLD.dave, store))
    twin = WORLD.dave.der[:-1] + bytes([WORLD.dave.der[-1] ^ 1])
    assert Reason.CERTIFICATE_UNTRUSTED is refused(verify(twin, store)).reason


# --- bounds


def kept(memory: PathMemory, issued: Issued, *above: Authority, configured: tuple[bytes, ...] = ()) -> None:
    path = (facts_of(issued), *map(facts_of, above))
    memory.keep(read_certificate_names(issued.der), path, configured=configured)


def test_the_oldest_certificates_are_forgotten_first() -> None:
    memory = PathMemory(most_certificates=2, most_hints=1)
    people = [WORLD.issuing.issue(f"CN=Person {number}") for number in range(3)]
    for one in people:
        kept(memory, one, WORLD.issuing, configured=(WORLD.issuing.der,))
    kept(memory, people[2], WORLD.issuing, configured=(WORLD.issuing.der,))  # again: nobody is pushed out
    assert [False, True, True] == [memory.find_end_entity(one.der) is not None for one in people]
    key = read_certificate(WORLD.issuing.der).key_sha256
    assert [True, True, True] == [memory.is_proven((facts_of(one).sha256, key)) for one in people]
    kept(memory, WORLD.issuing.issue("CN=Person 3"), WORLD.issuing, configured=(WORLD.issuing.der,))
    assert not memory.is_proven((facts_of(people[0]).sha256, key))


def test_an_end_entity_is_no_hint_and_what_the_store_has_proven_takes_no_room() -> None:
    memory = PathMemory()
    kept(memory, WORLD.dave, WORLD.issuing, WORLD.root, configured=(WORLD.issuing.der, WORLD.root.der))
    assert memory.find_hint(WORLD.dave.der) is None
    dave, issuing, root = facts_of(WORLD.dave), facts_of(WORLD.issuing), facts_of(WORLD.root)
    assert memory.is_proven((dave.sha256, issuing.key_sha256))
    assert not memory.is_proven((issuing.sha256, root.key_sha256))


def test_the_oldest_hints_are_forgotten_first() -> None:
    memory = PathMemory(most_certificates=9, most_hints=1)
    other = WORLD.root.issue_authority("CN=Other")
    for authority in (WORLD.issuing, other):
        kept(memory, authority.issue(), authority, WORLD.root, configured=(WORLD.root.der,))
    assert memory.find_hint(WORLD.issuing.der) is None
    assert facts_of(other) == memory.find_hint(other.der)
    assert memory.find_hint(WORLD.root.der) is None
