"""Building paths: what may stand above what, the budgets, cross-certificates, and dates of the far future."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import process_time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa

from authsvc.reason import Reason
from authsvc.trust import path_building
from authsvc.trust.anchors import AnchorSettings, Profile, TrustAnchor, TrustMaterialError, TrustStore
from authsvc.trust.certificate import LARGEST_CERTIFICATE, CertificateFacts, KeyFacts, read_certificate
from authsvc.trust.path import find_signer_paths
from authsvc.trust.path_building import DEEPEST_PATH, CertificatePool, SignatureChecks, build_paths, prove_all
from directory_assistance.der import SEQUENCE, read_element, read_elements
from directory_assistance.dn import read_ldap_dn
from tests.support.pki import (
    NOW,
    SERVER_AUTH,
    Authority,
    KeyKind,
    SmallWorld,
    der_element,
    generate_key,
    name_from_text,
    resigned,
    small_world,
)
from tests.support.trust import anchor_of, facts_of, refused, store_of, verified, verify, world_store

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
NO_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""What RFC 5280 section 4.1.2.5 writes for a certificate without an end."""


@pytest.fixture(scope="module")
def world() -> SmallWorld:
    return small_world()


# --------------------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize("allowed", [timedelta(0), SECOND, timedelta(minutes=5)])
def test_t30_a_certificate_without_an_end_is_an_answer_whatever_the_clock_skew(
    world: SmallWorld, allowed: timedelta
) -> None:
    """The end and the skew together are past the last instant that Python knows."""
    endless = world.issuing.issue(not_after=NO_END)
    store = world_store(world)
    evidence = verified(verify(endless, store, clock_skew=allowed, accept_expired=allowed))
    assert evidence.not_after == world.issuing.certificate.not_valid_after_utc
    early = verify(endless, store, now=NOW - 2 * DAY, clock_skew=allowed, accept_expired=allowed)
    assert refused(early).reason is Reason.CERTIFICATE_NOT_YET_VALID


# --------------------------------------------------------------------------------------- cross-certificates

PARTNER = AnchorSettings(
    id="partner",
    is_cross_certificate=True,
    permitted_names=(read_ldap_dn("O=Partner"),),
    domains=frozenset({"Partner"}),
    not_after=NOW + DAY,
)
AT_PARTNER = "CN=Pat,O=Partner"


@pytest.fixture(scope="module")
def partner() -> Authority:
    """A foreign authority, which the root of our world has certified too."""
    return Authority.root("CN=Partner CA", now=NOW)


def _certified_by(world: SmallWorld, partner: Authority, subject: str = "CN=Partner CA") -> Authority:
    return world.root.issue_authority(subject, key=partner.key, path_length=None)


@pytest.mark.parametrize(
    ("settings", "front_end", "anchor_id"),
    [
        pytest.param(None, "nginx", "corp", id="without a cross-certificate the root's certificate counts"),
        pytest.param(PARTNER, "nginx", "partner", id="a path through a cross-certificate ends there"),
        pytest.param(
            replace(PARTNER, front_ends=frozenset({"envoy"})),
            "envoy",
            "partner",
            id="a limited one counts on its front end",
        ),
        pytest.param(
            replace(PARTNER, front_ends=frozenset({"envoy"})),
            "nginx",
            None,
            id="where it does not count, its authority is not trusted without its limits",
        ),
        pytest.param(
            replace(PARTNER, permitted_names=(read_ldap_dn("O=Elsewhere"),)),
            "nginx",
            None,
            id="beyond its names no other path counts",
        ),
        pytest.param(replace(PARTNER, not_after=NOW), "nginx", None, id="nor after its end"),
        pytest.param(replace(PARTNER, not_before=NOW + SECOND), "nginx", None, id="nor before its begin"),
        pytest.param(
            replace(PARTNER, not_before=NOW), "nginx", "partner", id="it counts from its first instant on"
        ),
    ],
)
@pytest.mark.parametrize("configured", [True, False], ids=["configured", "presented"])
def test_t22_a_path_never_goes_through_a_cross_certificate_to_another_anchor(  # noqa: PLR0917 - pytest passes them by name
    world: SmallWorld,
    partner: Authority,
    settings: AnchorSettings | None,
    front_end: str,
    anchor_id: str | None,
    configured: bool,
) -> None:
    certified = _certified_by(world, partner)
    anchors = [anchor_of(world.root), *([] if settings is None else [anchor_of(partner, settings)])]
    store = store_of(*anchors, intermediates=(certified,) if configured else ())
    chain = () if configured else (certified.der,)
    outcome = verify(partner.issue(AT_PARTNER), store, chain=chain, front_end=front_end)
    if anchor_id is None:
        assert refused(outcome).reason is Reason.CERTIFICATE_UNTRUSTED
    else:
        assert verified(outcome).anchor_id == anchor_id


def _crossed_store(world: SmallWorld, partner: Authority, settings: AnchorSettings = PARTNER) -> TrustStore:
    return store_of(anchor_of(world.root), anchor_of(partner, settings))


def test_t22_the_key_of_a_cross_certificate_is_told_under_another_name(
    world: SmallWorld, partner: Authority
) -> None:
    renamed = _certified_by(world, partner, "CN=Nobody in particular")
    issued = renamed.issue(AT_PARTNER)
    assert verified(verify(issued, world_store(world), chain=(renamed.der,))).anchor_id == "corp"
    refusal = refused(verify(issued, _crossed_store(world, partner), chain=(renamed.der,)))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
    assert refusal.detail.endswith("no path goes through one to another trust anchor")


def test_t22_an_authority_below_a_cross_certificate_ends_there_too(
    world: SmallWorld, partner: Authority
) -> None:
    below = partner.issue_authority("CN=Partner Issuing CA")
    chain = (below.der, _certified_by(world, partner).der)
    store = _crossed_store(world, partner)
    assert verified(verify(below.issue(AT_PARTNER), store, chain=chain)).anchor_id == "partner"
    assert refused(verify(below.issue(), store, chain=chain)).reason is Reason.CERTIFICATE_UNTRUSTED


def test_t22_a_leaf_pinned_by_a_cross_certificate_has_no_other_path(world: SmallWorld) -> None:
    pin = replace(PARTNER, permitted_names=(read_ldap_dn("O=Renovations"),), front_ends=frozenset({"envoy"}))
    store = store_of(anchor_of(world.root), anchor_of(world.dave, pin), intermediates=(world.issuing,))
    assert verified(verify(world.dave, store, front_end="envoy")).anchor_id == "partner"
    refusal = refused(verify(world.dave, store, front_end="nginx"))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
    assert refusal.detail == "trust anchor `partner` does not count on front end `nginx`"
    late = refused(verify(world.dave, store, front_end="envoy", now=NOW + DAY))
    assert late.detail.startswith("trust in anchor `partner` ended")
    assert verified(verify(world.issuing.issue(), store)).anchor_id == "corp"


def test_a_leaf_pinned_without_limits_has_the_path_of_its_issuer_too(world: SmallWorld) -> None:
    pin = AnchorSettings(id="pin", front_ends=frozenset({"envoy"}))
    store = store_of(anchor_of(world.root), anchor_of(world.dave, pin), intermediates=(world.issuing,))
    assert verified(verify(world.dave, store, front_end="envoy")).anchor_id == "pin"
    assert verified(verify(world.dave, store, front_end="nginx")).anchor_id == "corp"


def test_t34_the_key_of_a_cross_certificate_signs_no_lists_under_another_anchor(
    world: SmallWorld, partner: Authority
) -> None:
    """The foreign authority is certified under the name of our issuing authority."""
    name = "CN=Renovations Issuing CA,O=Renovations"
    posing = _certified_by(world, partner, name)
    below = partner.issue_authority(name)
    chain = (posing.der, below.der, _certified_by(world, partner).der)
    signer = facts_of(world.issuing).subject_key
    for store, count in ((world_store(world), 3), (_crossed_store(world, partner), 1)):
        evidence = verified(verify(world.dave, store, chain=(world.issuing.der, *chain)))
        assert evidence.anchor_id == "corp"
        found = list(find_signer_paths(evidence, signer, now=NOW))
        assert len(found) == count
        assert evidence.path[1].der in {path[0].der for path in found}


@pytest.mark.parametrize(
    "deviation",
    [
        pytest.param({"permitted_names": None}, id="without names"),
        pytest.param({"permitted_names": ()}, id="with no name at all"),
        pytest.param({"domains": None}, id="without domains"),
        pytest.param({"domains": frozenset()}, id="with no domain at all"),
        pytest.param({"not_after": None}, id="without an end"),
    ],
)
def test_t22_a_cross_certificate_without_its_limits_is_refused(
    partner: Authority, deviation: dict[str, tuple[()] | frozenset[str] | None]
) -> None:
    assert anchor_of(partner, PARTNER).id == "partner"
    with pytest.raises(TrustMaterialError) as caught:
        anchor_of(partner, replace(PARTNER, **deviation))  # type: ignore[arg-type]  # each fits its field
    assert str(caught.value) == (
        "cross-certificate `partner`: expected permitted names, domains and an end of trust"
    )


@pytest.mark.parametrize(
    ("begin", "accepted"),
    [
        pytest.param(NOW - SECOND, True, id="which has begun"),
        pytest.param(NOW, True, id="which begins now"),
        pytest.param(NOW + SECOND, False, id="which begins in a second"),
    ],
)
def test_t30_trust_in_an_anchor_has_a_begin_that_no_clock_skew_moves(
    world: SmallWorld, begin: datetime, accepted: bool
) -> None:
    store = world_store(world, AnchorSettings(id="corp", not_before=begin))
    outcome = verify(world.dave, store, clock_skew=timedelta(hours=1))
    if accepted:
        verified(outcome)
    else:
        refusal = refused(outcome)
        assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
        assert refusal.detail == f"trust in anchor `corp` begins at {begin.isoformat()}"


def test_anchors_of_two_profiles_do_not_mix(world: SmallWorld, partner: Authority) -> None:
    bare = AnchorSettings(id="bare", profile=Profile.RFC5280)
    assert store_of(anchor_of(world.root, bare), anchor_of(partner, bare)).profile is Profile.RFC5280
    with pytest.raises(TrustMaterialError, match=r"^trust anchors of different profiles$"):
        store_of(anchor_of(world.root, bare), anchor_of(partner))


# ------------------------------------------------------------------------------------------ search and budgets


def _paths(
    end: CertificateFacts,
    anchors: list[CertificateFacts],
    hints: list[CertificateFacts],
    checks: SignatureChecks | None = None,
) -> list[tuple[CertificateFacts, ...]]:
    return list(
        build_paths(
            end,
            anchors=CertificatePool.of(anchors).by_subject,
            pool=CertificatePool.of(hints),
            never_between=frozenset(),
            checks=checks or SignatureChecks(),
        )
    )


def test_paths_go_by_names_and_signatures(world: SmallWorld) -> None:
    leaf, issuing, root = facts_of(world.dave), facts_of(world.issuing), facts_of(world.root)
    assert _paths(leaf, [root], [issuing]) == [(leaf, issuing, root)]
    assert _paths(leaf, [root, issuing], [issuing]) == [(leaf, issuing)]
    assert _paths(leaf, [root], []) == []
    assert _paths(leaf, [], [issuing, root]) == []
    namesake = facts_of(Authority.root("CN=Renovations Issuing CA,O=Renovations", now=NOW))
    assert _paths(leaf, [root], [namesake]) == []
    assert _paths(leaf, [root], [namesake, issuing]) == [(leaf, issuing, root)]


def test_every_path_is_found_the_named_key_first(world: SmallWorld) -> None:
    """Two authorities of one name and two keys, each certified by two roots."""
    other = Authority.root("CN=Other Root", now=NOW)
    again = other.issue_authority(key=world.issuing.key)
    namesake = world.root.issue_authority()
    pool = [facts_of(one) for one in (namesake, again, world.issuing)]
    leaf, anchors = facts_of(world.dave), [facts_of(world.root), facts_of(other)]
    found = _paths(leaf, anchors, pool)
    assert found == [(leaf, pool[1], anchors[1]), (leaf, pool[2], anchors[0])]
    # the key identifier saves the signature check of the namesake only where it comes first
    checks = SignatureChecks()
    next(
        build_paths(
            leaf,
            anchors=CertificatePool.of(anchors).by_subject,
            pool=CertificatePool.of(pool),
            never_between=frozenset(),
            checks=checks,
        )
    )
    assert checks.hold(leaf, pool[2])


@pytest.mark.parametrize("authority_key_id", [True, False])
def test_key_identifiers_are_hints_only(world: SmallWorld, authority_key_id: bool) -> None:
    """A wrong one, or none, changes the order and nothing else."""
    namesake = world.root.issue_authority()
    leaf = facts_of(world.issuing.issue(authority_key_id=authority_key_id))
    wrong = facts_of(namesake.issue(signing_key=world.issuing.key, authority_key_id=authority_key_id))
    root = facts_of(world.root)
    for pool in (
        [facts_of(namesake), facts_of(world.issuing)],
        [facts_of(world.issuing), facts_of(namesake)],
    ):
        for end in (leaf, wrong):
            assert _paths(end, [root], pool) == [(end, facts_of(world.issuing), root)]


def test_an_authority_without_a_key_identifier_comes_after_those_that_are_named(world: SmallWorld) -> None:
    leaf, issuing, root = facts_of(world.dave), facts_of(world.issuing), facts_of(world.root)
    renewed = facts_of(world.root.issue_authority(key=world.issuing.key))
    bare = replace(renewed, extensions={})
    for pool in ([bare, issuing], [issuing, bare]):
        assert [path[1] for path in _paths(leaf, [root], pool)] == [issuing, bare]


def test_t24_no_name_and_key_stands_in_a_path_twice(world: SmallWorld) -> None:
    """Two authorities that certify each other, and one that certifies itself."""
    first, second = Authority.root("CN=A", now=NOW), Authority.root("CN=B", now=NOW)
    crossed = [first.issue_authority("CN=B", key=second.key), second.issue_authority("CN=A", key=first.key)]
    pool = [facts_of(one) for one in (first, second, *crossed)]
    assert _paths(facts_of(first.issue()), [facts_of(world.root)], pool) == []
    certified = facts_of(world.root.issue_authority("CN=B", key=second.key))
    found = _paths(facts_of(first.issue()), [facts_of(world.root)], [*pool, certified])
    assert [len(path) for path in found] == [4]


@pytest.mark.parametrize("depth", [DEEPEST_PATH, DEEPEST_PATH + 1])
def test_t24_paths_have_a_depth(depth: int) -> None:
    authorities = [Authority.root("CN=0", now=NOW)]
    for number in range(1, depth + 1):
        authorities.append(authorities[-1].issue_authority(f"CN={number}", path_length=None))
    pool = [facts_of(one) for one in authorities[1:]]
    found = _paths(facts_of(authorities[-1].issue()), [facts_of(authorities[0])], pool)
    assert len(found) == (depth == DEEPEST_PATH)


@pytest.mark.parametrize(("budget", "found"), [(2, 1), (1, 0), (0, 0)])
def test_t24_signature_checks_are_counted(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch, budget: int, found: int
) -> None:
    monkeypatch.setattr(path_building, "_MOST_SIGNATURES", budget)
    checks = SignatureChecks()
    leaf, issuing, root = facts_of(world.dave), facts_of(world.issuing), facts_of(world.root)
    assert len(_paths(leaf, [root], [issuing], checks)) == found
    assert checks.exhausted == (not found)
    assert checks.may_step()  # which takes nothing back
    assert checks.exhausted == (not found)
    assert len(_paths(leaf, [root], [issuing], checks)) == found  # what is known costs nothing
    proven = SignatureChecks(prove_all([leaf, issuing, root]))
    assert len(_paths(leaf, [root], [issuing], proven)) == 1
    assert not proven.exhausted


@pytest.mark.parametrize(("budget", "found"), [(2, 1), (1, 0), (0, 0)])
def test_t24_steps_are_counted(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch, budget: int, found: int
) -> None:
    monkeypatch.setattr(path_building, "_MOST_STEPS", budget)
    checks = SignatureChecks()
    leaf, issuing, root = facts_of(world.dave), facts_of(world.issuing), facts_of(world.root)
    assert len(_paths(leaf, [root], [issuing], checks)) == found
    assert checks.exhausted == (not found)


def test_t24_signatures_that_hold_everywhere_are_answered_in_time() -> None:
    """Ten namesakes that all certify one another: every order of them is a path but for its end."""
    keys = [generate_key() for _ in range(10)]
    signer = Authority.root("CN=N", now=NOW, key=keys[0])
    hints = [signer.issue_authority("CN=N", key=key, path_length=None) for key in keys]
    below = [
        Authority(certificate=hint.certificate, key=key, now=NOW)
        for hint, key in zip(hints, keys, strict=True)
    ]
    every = {one.der: facts_of(one) for by in below for one in [by.issue_authority("CN=N", key=keys[0])]}
    pool = [*map(facts_of, hints), *every.values()]
    begin = process_time()
    checks = SignatureChecks()
    assert _paths(facts_of(below[0].issue()), [facts_of(Authority.root("CN=N", now=NOW))], pool, checks) == []
    assert process_time() - begin < 0.5


def test_an_unknown_algorithm_or_kind_of_key_holds_nothing(world: SmallWorld) -> None:
    leaf, issuing = facts_of(world.dave), facts_of(world.issuing)
    assert SignatureChecks().hold(leaf, issuing)
    assert not SignatureChecks().hold(replace(leaf, algorithm=None), issuing)
    assert not SignatureChecks().hold(leaf, replace(issuing, key=KeyFacts(kind="unsupported", bits=0)))


def test_hints_come_after_what_a_pool_has_and_each_stands_there_once(world: SmallWorld) -> None:
    issuing, root = facts_of(world.issuing), facts_of(world.root)
    namesake = facts_of(world.root.issue_authority())
    pool = CertificatePool.of([issuing], {(b"", b""): True})
    assert pool.with_hints([]) is pool
    assert pool.with_hints([issuing]) is pool
    more = pool.with_hints([namesake, issuing, root, namesake])
    assert more == CertificatePool.of([issuing, namesake, root], {(b"", b""): True})
    assert more.named(issuing.subject_key) == (issuing, namesake)
    assert pool.named(issuing.subject_key) == (issuing,)
    assert more.named(facts_of(world.dave).subject_key) == ()


def test_a_name_of_another_spelling_than_the_configured_one_chains(world: SmallWorld) -> None:
    """Names that the configuration has are not read again; others are compared by what they say."""
    spelt = world.issuing.issue(issuer_name="CN=RENOVATIONS issuing CA,O=renovations")
    evidence = verified(verify(spelt, world_store(world)))
    assert evidence.path[1:] == (facts_of(world.issuing), facts_of(world.root))
    assert evidence.names.issuer_der != verified(verify(world.dave, world_store(world))).names.issuer_der
    hint = world.root.issue_authority("CN=Below", issuer_name="CN=renovations root CA,O=RENOVATIONS")
    assert len(verified(verify(hint.issue(), world_store(world), chain=(hint.der,))).path) == 3


@pytest.mark.parametrize("configured", [True, False], ids=["configured", "presented"])
def test_t18_an_issuer_whose_name_cannot_be_compared_chains_by_its_octets(configured: bool) -> None:
    root = Authority.root(now=NOW)
    hidden = root.issue_authority(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA\x00")]))
    store = store_of(anchor_of(root), intermediates=(hidden,) if configured else ())
    evidence = verified(verify(hidden.issue(), store, chain=(hidden.der,)))
    assert len(evidence.path) == 3
    assert evidence.names.unusable
    other = hidden.issue(issuer_name="CN=CA")
    assert refused(verify(other, store, chain=(hidden.der,))).reason is Reason.CERTIFICATE_UNTRUSTED


def test_a_name_that_does_not_chain_holds_nothing(world: SmallWorld) -> None:
    leaf = facts_of(world.dave)
    renamed = facts_of(world.root.issue_authority("CN=Renamed", key=world.issuing.key))
    assert SignatureChecks().hold(leaf, facts_of(world.issuing))
    assert not SignatureChecks().hold(leaf, renamed)
    assert _paths(leaf, [renamed], [renamed]) == []


# ---------------------------------------------------------------------------------- keys that inherit (DSA)

BARE = AnchorSettings(id="bare", profile=Profile.RFC5280)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dsa:
    """An authority or end entity with a DSA key, made by hand: the factory makes none."""

    der: bytes
    subject: str
    key: dsa.DSAPrivateKey

    @property
    def facts(self) -> CertificateFacts:
        return read_certificate(self.der)

    @property
    def inheriting(self) -> CertificateFacts:
        """The same certificate with a key that has no parameters; its own signature is not asked for then."""
        algorithm, key = read_elements(read_element(self.facts.key_info, SEQUENCE).content)
        oid = read_elements(algorithm.content)[0].encoded
        info = der_element(SEQUENCE, der_element(SEQUENCE, oid) + key.encoded)
        return replace(
            self.facts,
            key_info=info,
            key_sha256=hashlib.sha256(info).digest(),
            key=KeyFacts(kind="DSA", bits=0, inherits=True),
        )

    def issue(self, subject: str, key: dsa.DSAPrivateKey) -> "_Dsa":
        der = _dsa_certificate(subject, key, self.subject, self.key)
        return _Dsa(der=der, subject=subject, key=key)


def _dsa_certificate(
    subject: str, key: dsa.DSAPrivateKey, issuer: str, signing_key: dsa.DSAPrivateKey
) -> bytes:
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name_from_text(subject))
        .issuer_name(name_from_text(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(signing_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.DER)


@pytest.fixture(scope="module")
def dsa_root() -> _Dsa:
    key = dsa.generate_private_key(1024)  # noqa: S505 - quick, and only for the bare path algorithm
    return _Dsa(der=_dsa_certificate("CN=R", key, "CN=R", key), subject="CN=R", key=key)


def _sibling(of: _Dsa) -> dsa.DSAPrivateKey:
    """Return another key of the same parameters."""
    return of.key.parameters().generate_private_key()


def _bare_store(root: _Dsa) -> TrustStore:
    return TrustStore.of([TrustAnchor.from_der(BARE, root.der)])


def test_a_key_has_its_parameters_from_above(dsa_root: _Dsa) -> None:
    """RFC 5280 section 6.1.4 (e): two authorities below a root whose parameters they have."""
    upper = dsa_root.issue("CN=U", _sibling(dsa_root))
    lower = upper.issue("CN=L", _sibling(dsa_root))
    leaf = lower.issue("CN=E", _sibling(dsa_root)).facts
    for pool in ([upper.inheriting, lower.inheriting], [upper.facts, lower.inheriting]):
        assert _paths(leaf, [dsa_root.facts], pool) == [(leaf, lower.facts, upper.facts, dsa_root.facts)]


def test_a_signature_of_an_inheriting_key_is_checked(dsa_root: _Dsa) -> None:
    upper = dsa_root.issue("CN=U", _sibling(dsa_root))
    leaf = upper.issue("CN=E", _sibling(dsa_root)).facts
    stranger = replace(upper, key=_sibling(dsa_root)).issue("CN=E", _sibling(dsa_root)).facts
    assert len(_paths(leaf, [dsa_root.facts], [upper.inheriting])) == 1
    assert _paths(stranger, [dsa_root.facts], [upper.inheriting]) == []


def test_a_key_inherits_from_a_dsa_key_only(dsa_root: _Dsa, world: SmallWorld) -> None:
    upper = dsa_root.issue("CN=U", _sibling(dsa_root))
    leaf = upper.issue("CN=E", _sibling(dsa_root)).facts
    below_ec = resigned(upper.der, world.root.key, edit=lambda fields: _issued_by(world.root, fields))
    inheriting = replace(
        read_certificate(below_ec), key=upper.inheriting.key, key_info=upper.inheriting.key_info
    )
    assert _paths(leaf, [facts_of(world.root)], [inheriting]) == []
    assert _paths(leaf, [facts_of(world.root)], [read_certificate(below_ec)]) != []
    assert _paths(leaf, [upper.inheriting], []) == []  # an anchor has nobody to inherit from
    assert _paths(leaf, [upper.facts], []) != []


def _issued_by(issuer: Authority, fields: list[bytes]) -> list[bytes]:
    return [*fields[:3], issuer.certificate.subject.public_bytes(), *fields[4:]]


def test_what_inherits_is_not_proven_beforehand(dsa_root: _Dsa) -> None:
    upper = dsa_root.issue("CN=U", _sibling(dsa_root))
    lower = upper.issue("CN=L", _sibling(dsa_root)).facts
    known = {
        (upper.facts.sha256, dsa_root.facts.key_sha256): True,
        (lower.sha256, upper.facts.key_sha256): True,
    }
    assert prove_all([lower, upper.facts, dsa_root.facts]).items() >= known.items()
    assert (lower.sha256, upper.inheriting.key_sha256) not in prove_all([lower, upper.inheriting])


@pytest.mark.parametrize(("budget", "found"), [(2, 1), (1, 0)])
def test_t24_signatures_of_inheriting_keys_are_counted_too(
    dsa_root: _Dsa, monkeypatch: pytest.MonkeyPatch, budget: int, found: int
) -> None:
    upper = dsa_root.issue("CN=U", _sibling(dsa_root))
    leaf = upper.issue("CN=E", _sibling(dsa_root)).facts
    monkeypatch.setattr(path_building, "_MOST_SIGNATURES", budget)
    checks = SignatureChecks()
    assert len(_paths(leaf, [dsa_root.facts], [upper.inheriting], checks)) == found
    assert checks.exhausted == (not found)


def test_t25_a_dsa_key_is_weak_and_an_expensive_one_is_never_used(dsa_root: _Dsa, world: SmallWorld) -> None:
    verified(verify(dsa_root.issue("CN=E", _sibling(dsa_root)).der, _bare_store(dsa_root)))
    with pytest.raises(TrustMaterialError, match="expected a key of RSA, ECDSA"):
        TrustAnchor.from_der(AnchorSettings(id="corp"), dsa_root.der)
    leaf = resigned(
        dsa_root.issue("CN=E", _sibling(dsa_root)).der,
        world.root.key,
        edit=lambda fields: _issued_by(world.root, fields),
    )
    refusal = refused(verify(leaf, world_store(world)))
    assert refusal.reason is Reason.CERTIFICATE_WEAK
    assert refusal.detail.endswith("Ed25519 or Ed448, found DSA-1024")
    costly = resigned(dsa_root.der, world.root.key, edit=lambda fields: _with_dsa_modulus(fields, 4097))
    with pytest.raises(TrustMaterialError, match="expected a DSA key of at most 4096 bits, found DSA-4097"):
        TrustAnchor.from_der(BARE, costly)
    dear = resigned(dsa_root.der, world.root.key, edit=lambda fields: _with_dsa_modulus(fields, 4096))
    assert str(TrustAnchor.from_der(BARE, dear).facts.key) == "DSA-4096"


def _with_dsa_modulus(fields: list[bytes], bits: int) -> list[bytes]:
    algorithm, key = read_elements(read_element(fields[6], SEQUENCE).content)
    oid, parameters = read_elements(algorithm.content)
    _, q, g = read_elements(parameters.content)
    modulus = (1 << (bits - 1)) + 1
    p = der_element(0x02, modulus.to_bytes(modulus.bit_length() // 8 + 1, "big"))
    numbers = der_element(SEQUENCE, p + q.encoded + g.encoded)
    info = der_element(SEQUENCE, der_element(SEQUENCE, oid.encoded + numbers) + key.encoded)
    return [*fields[:6], info, *fields[7:]]


def test_a_key_that_cannot_be_read_is_no_key_that_inherits(world: SmallWorld) -> None:
    """An ECDSA key that is no point of its curve."""
    info = der_element(
        SEQUENCE,
        bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
        + der_element(0x03, b"\x00\x04" + b"\x01" * 64),
    )
    spoilt = resigned(world.dave.der, world.issuing.key, edit=lambda fields: [*fields[:6], info, *fields[7:]])
    assert refused(verify(spoilt, world_store(world))).reason is Reason.CERTIFICATE_UNREADABLE


@pytest.mark.filterwarnings("ignore:Parsed a serial number:cryptography.utils.CryptographyDeprecationWarning")
def test_a_serial_number_of_zero_is_read_by_the_bare_path_algorithm_only(world: SmallWorld) -> None:
    zero = resigned(
        world.dave.der, world.issuing.key, edit=lambda fields: [fields[0], b"\x02\x01\x00", *fields[2:]]
    )
    bare = store_of(anchor_of(world.root, BARE), intermediates=(world.issuing,))
    assert verified(verify(zero, bare)).path[0].serial == 0
    assert refused(verify(zero, world_store(world))).reason is Reason.CERTIFICATE_UNREADABLE


# ---------------------------------------------------------------------------------------- signers of lists


def test_signers_of_lists_have_paths_to_the_same_anchor(world: SmallWorld) -> None:
    """The authority itself, the anchor, another certificate of the authority's name; never one from elsewhere."""
    evidence = verified(verify(world.dave, world_store(world)))
    root, issuing = facts_of(world.root), facts_of(world.issuing)
    assert list(find_signer_paths(evidence, root.subject_key, now=NOW)) == [(root,)]
    assert list(find_signer_paths(evidence, issuing.subject_key, now=NOW)) == [(issuing, root)]
    assert list(find_signer_paths(evidence, facts_of(world.dave).subject_key, now=NOW)) == []


@pytest.mark.parametrize(
    ("deviation", "count"),
    [
        pytest.param({}, 2, id="a second key of the authority signs too"),
        pytest.param({"not_after": NOW - SECOND}, 1, id="not once it has expired"),
        pytest.param({"not_before": NOW + SECOND}, 1, id="nor before its time"),
        pytest.param({"key": KeyKind.RSA_1024}, 1, id="nor with a weak key"),
        pytest.param({"signing_key": generate_key()}, 1, id="nor if nobody certified it"),
        pytest.param(
            {"extensions": [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b""), True)]},
            1,
            id="nor with a critical extension that nobody knows",
        ),
    ],
)
def test_t34_a_signer_of_lists_is_valid_itself(
    world: SmallWorld, deviation: dict[str, object], count: int
) -> None:
    second = world.root.issue_authority(**deviation)  # type: ignore[arg-type]  # each fits its argument
    evidence = verified(verify(world.dave, world_store(world), chain=(second.der,)))
    found = list(find_signer_paths(evidence, facts_of(world.issuing).subject_key, now=NOW))
    assert len(found) == count
    assert all(path[-1].der == world.root.der for path in found)


def test_t34_a_weak_signer_counts_for_the_bare_path_algorithm(world: SmallWorld) -> None:
    second = world.root.issue_authority(key=KeyKind.RSA_1024)
    store = store_of(anchor_of(world.root, BARE), intermediates=(world.issuing,))
    evidence = verified(verify(world.dave, store, chain=(second.der,)))
    assert len(list(find_signer_paths(evidence, facts_of(world.issuing).subject_key, now=NOW))) == 2


def test_t34_what_stands_above_a_signer_is_an_authority_within_its_constraints(world: SmallWorld) -> None:
    below = world.issuing.issue_authority("CN=Lists", path_length=None)
    evidence = verified(verify(world.dave, world_store(world), chain=(below.der,)))
    signer = facts_of(below).subject_key
    assert [len(path) for path in find_signer_paths(evidence, signer, now=NOW)] == [3]
    by_leaf = Authority(certificate=world.dave.certificate, key=world.dave.key, now=NOW).issue_authority(
        "CN=Bad"
    )
    pool = (by_leaf.der, world.dave.der)
    evidence = verified(verify(world.issuing.issue(), world_store(world), chain=pool))
    assert list(find_signer_paths(evidence, facts_of(by_leaf).subject_key, now=NOW)) == []
    constraint = x509.NameConstraints(None, [x509.DirectoryName(name_from_text("CN=Lists"))])
    upper = world.root.issue_authority("CN=Limited", path_length=None, extensions=[(constraint, True)])
    excluded, beside = upper.issue_authority("CN=Lists"), upper.issue_authority("CN=Other Lists")
    chain = (upper.der, excluded.der, beside.der)
    evidence = verified(verify(world.dave, world_store(world), chain=chain))
    assert list(find_signer_paths(evidence, facts_of(excluded).subject_key, now=NOW)) == []
    assert [len(path) for path in find_signer_paths(evidence, facts_of(beside).subject_key, now=NOW)] == [3]


def test_a_name_is_reached_round_a_circle_of_issuers(world: SmallWorld) -> None:
    """Whether an anchor can be reached is told by names, each looked at once (threat T78)."""
    first, second = Authority.root("CN=A", now=NOW), Authority.root("CN=B", now=NOW)
    circle = (
        first.issue_authority("CN=B", key=second.key).der,
        second.issue_authority("CN=A", key=first.key).der,
    )
    refusal = refused(verify(first.issue(), world_store(world), chain=circle))
    assert refusal.reason is Reason.CERTIFICATE_UNTRUSTED
    certified = world.root.issue_authority("CN=B", key=second.key, path_length=None)
    evidence = verified(verify(first.issue(), world_store(world), chain=(*circle, certified.der)))
    assert len(evidence.path) == 4


def test_the_bare_path_algorithm_asks_for_no_profile(world: SmallWorld) -> None:
    store = store_of(anchor_of(world.root, BARE), intermediates=(world.issuing,))
    server = world.issuing.issue(eku=(SERVER_AUTH,), key=KeyKind.RSA_1024)
    verified(verify(server, store))
    assert refused(verify(server, world_store(world))).reason is Reason.CERTIFICATE_WEAK


@pytest.mark.parametrize(("more", "accepted"), [(0, True), (1, False)])
def test_t24_everything_presented_together_has_a_limit(world: SmallWorld, more: int, accepted: bool) -> None:
    sizes = [LARGEST_CERTIFICATE] * 3
    last = 4 * LARGEST_CERTIFICATE - sum(sizes) - len(world.dave.der)
    chain = tuple(bytes(size) for size in (*sizes, last + more))
    outcome = verify(world.dave, world_store(world), chain=chain)
    if accepted:
        verified(outcome)
    else:
        refusal = refused(outcome)
        assert refusal.reason is Reason.CERTIFICATE_UNREADABLE
        assert refusal.detail == "expected at most 262144 octets of certificates together, found 262145"
