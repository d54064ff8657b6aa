"""RFC 5280 section 6.3.3, sentence by sentence: which lists speak for a certificate, and what they say together."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from authsvc.reason import Reason
from authsvc.trust.anchors import AnchorSettings, RevocationMode, TrustStore
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.crl import RevocationList, read_crl
from authsvc.trust.path import VerifiedCertificate
from authsvc.trust.profile import Profile
from authsvc.trust.revocation import (
    RevocationEvidence,
    RevocationOutcome,
    RevocationRefusal,
    RevocationSnapshot,
    RevocationStatus,
    RevocationUndecided,
    SourceProblem,
    check_revocation,
)
from directory_assistance.dn import NameKey
from tests.support.lists import delta_of, indirect_list, issuing_point
from tests.support.pki import (
    NOW,
    Authority,
    Issued,
    IssuedCrl,
    KeyKind,
    PrivateKey,
    SmallWorld,
    generate_key,
    key_usage,
    small_world,
    uri,
)
from tests.support.trust import anchor_of, facts_of, store_of, verified, verify

Arguments = dict[str, Any]
"""Arguments of the factory, handed through: Any, because each has a type of its own."""

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WORLD = small_world()
ISSUING_NAME = "CN=Renovations Issuing CA,O=Renovations"
HERE, THERE = "http://x/1.crl", "http://x/2.crl"
ROOT_LIST = read_crl(WORLD.root.crl(next_update=NOW + 99 * DAY).der, source="root.crl")
LIST_SIGNING = key_usage("crl_sign")
LISTED_FOR_COMPROMISE = frozenset({x509.ReasonFlags.key_compromise, x509.ReasonFlags.ca_compromise})
LISTED_FOR_THE_REST = frozenset(
    {
        x509.ReasonFlags.affiliation_changed,
        x509.ReasonFlags.superseded,
        x509.ReasonFlags.cessation_of_operation,
        x509.ReasonFlags.certificate_hold,
        x509.ReasonFlags.privilege_withdrawn,
        x509.ReasonFlags.aa_compromise,
    }
)

REVOKED, UNKNOWN, UNAVAILABLE = (
    Reason.CERTIFICATE_REVOKED,
    Reason.REVOCATION_UNKNOWN,
    Reason.REVOCATION_UNAVAILABLE,
)
GOOD = RevocationStatus.GOOD


def _read(crl: IssuedCrl | bytes, source: str) -> RevocationList:
    return read_crl(crl if isinstance(crl, bytes) else crl.der, source=source)


def _points(*points: x509.DistributionPoint) -> tuple[x509.ExtensionType, bool]:
    return (x509.CRLDistributionPoints(points), False)


def _point(
    *names: str,
    reasons: frozenset[x509.ReasonFlags] | None = None,
    issuers: Iterable[Authority] = (),
    relative: x509.RelativeDistinguishedName | None = None,
) -> x509.DistributionPoint:
    return x509.DistributionPoint(
        [uri(name) for name in names] or None,
        relative,
        reasons,
        [x509.DirectoryName(issuer.certificate.subject) for issuer in issuers] or None,
    )


def _verified(
    leaf: Issued,
    *further: Authority | Issued,
    world: SmallWorld = WORLD,
    mode: RevocationMode = RevocationMode.REQUIRE,
    profile: Profile = Profile.CLIENT,
) -> VerifiedCertificate:
    """Verify a leaf; the further certificates are known intermediates too."""
    settings = AnchorSettings(id="corp", revocation=mode, profile=profile)
    store = TrustStore.of(
        [anchor_of(world.root, settings)], [facts_of(one) for one in (world.issuing, *further)]
    )
    return verified(verify(leaf, store))


def _outcome(
    leaf: VerifiedCertificate | Issued,
    *lists: RevocationList,
    now: datetime = NOW,
    grace: timedelta = timedelta(0),
) -> RevocationOutcome:
    """What the root's current list and these say."""
    checked = leaf if isinstance(leaf, VerifiedCertificate) else _verified(leaf)
    return check_revocation(checked, RevocationSnapshot.of([ROOT_LIST, *lists], grace=grace), now=now)


def _says(outcome: RevocationOutcome) -> Reason | RevocationStatus:
    return outcome.status if isinstance(outcome, RevocationEvidence) else outcome.reason


def _lists(outcome: RevocationOutcome) -> tuple[str, ...]:
    """The lists that prove the leaf good."""
    assert isinstance(outcome, RevocationEvidence), outcome
    return tuple(source for use in outcome.certificates[0].lists for source in use.sources)


# --------------------------------------------------------------------------- (b) scope and distribution points


@pytest.mark.parametrize(
    ("points", "scope", "expected"),
    [
        pytest.param((), {}, GOOD, id="no points, no scope"),
        pytest.param((), {"full_name": [uri(HERE)]}, UNKNOWN, id="no points, a list for one"),
        pytest.param((_point(HERE),), {}, GOOD, id="a point, a list for everything"),
        pytest.param(
            (_point(HERE),), {"full_name": [uri(THERE), uri(HERE)]}, GOOD, id="one name is the same"
        ),
        pytest.param((_point(HERE),), {"full_name": [uri(THERE)]}, UNKNOWN, id="another point"),
        pytest.param((_point(THERE), _point(HERE)), {"full_name": [uri(HERE)]}, GOOD, id="the second point"),
        pytest.param(
            (_point(HERE),), {"full_name": [uri(HERE)], "end_entities": True}, GOOD, id="of end entities"
        ),
        pytest.param(
            (_point(HERE),), {"full_name": [uri(HERE)], "authorities": True}, UNKNOWN, id="of authorities"
        ),
        pytest.param((_point(HERE),), {"attributes": True}, UNKNOWN, id="of attribute certificates"),
        pytest.param(
            (),
            {"full_name": [x509.DirectoryName(WORLD.issuing.certificate.subject)]},
            GOOD,
            id="no points, a list under its issuer's name",
        ),
        pytest.param(
            (_point(HERE, issuers=[WORLD.issuing]),),
            {"full_name": [uri(HERE)]},
            UNKNOWN,
            id="a point for indirect lists, a list that is none",
        ),
        pytest.param(
            (_point(HERE, issuers=[WORLD.issuing]),),
            {"full_name": [uri(HERE)], "indirect": True},
            GOOD,
            id="a point for indirect lists of the issuer itself",
        ),
        pytest.param(
            (_point(HERE, issuers=[WORLD.root]),),
            {"full_name": [uri(HERE)], "indirect": True},
            UNKNOWN,
            id="a point for indirect lists of somebody else, a list of the issuer",
        ),
        pytest.param(
            (_point(issuers=[WORLD.issuing]),),
            {"full_name": [x509.DirectoryName(WORLD.issuing.certificate.subject)], "indirect": True},
            GOOD,
            id="a point that only names the issuer of lists, which is what the list is called",
        ),
    ],
)
def test_t34_a_list_proves_good_only_what_it_speaks_for(
    points: tuple[x509.DistributionPoint, ...], scope: Arguments, expected: object
) -> None:
    leaf = WORLD.issuing.issue(extensions=[_points(*points)] if points else [])
    extensions = [issuing_point(**scope)] if scope else []
    silent = _read(WORLD.issuing.crl(extensions=extensions), "a.crl")
    assert _says(_outcome(leaf, silent)) == expected
    revoking = _read(WORLD.issuing.crl([leaf], extensions=extensions), "a.crl")
    assert _says(_outcome(leaf, revoking)) == REVOKED


RDN = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, "list 1")])
OTHER_RDN = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, "list 2")])


@pytest.mark.parametrize(
    ("relative", "scope", "expected"),
    [
        (RDN, {"relative_name": RDN}, GOOD),
        (RDN, {"relative_name": OTHER_RDN}, UNKNOWN),
        (
            RDN,
            {"full_name": [x509.DirectoryName(x509.Name([*WORLD.issuing.certificate.subject.rdns, RDN]))]},
            GOOD,
        ),
        (RDN, {"full_name": [x509.DirectoryName(x509.Name([RDN]))]}, UNKNOWN),
    ],
)
def test_a_name_relative_to_the_issuer_is_the_issuers_name_with_it(
    relative: x509.RelativeDistinguishedName, scope: Arguments, expected: object
) -> None:
    leaf = WORLD.issuing.issue(extensions=[_points(_point(relative=relative))])
    crl = WORLD.issuing.crl(extensions=[issuing_point(**scope)])
    assert _says(_outcome(leaf, _read(crl, "a.crl"))) == expected


def test_a_name_relative_to_the_issuer_of_lists_is_that_issuers_name_with_it() -> None:
    leaf = WORLD.issuing.issue(extensions=[_points(_point(relative=RDN, issuers=[WORLD.root]))])
    indirect = indirect_list(WORLD.root, [], [issuing_point(relative_name=RDN, indirect=True)])
    assert _says(_outcome(leaf, _read(indirect, "a.crl"))) == GOOD


def test_an_authority_is_covered_by_a_list_for_authorities() -> None:
    """The issuing CA itself, by a partitioned list of the root."""
    issuing = _read(WORLD.issuing.crl(), "issuing.crl")
    for kind, expected in (("authorities", GOOD), ("end entities", UNKNOWN)):
        scope = issuing_point(authorities=kind == "authorities", end_entities=kind == "end entities")
        partial = _read(WORLD.root.crl(extensions=[scope]), "root.crl")
        snapshot = RevocationSnapshot.of([partial, issuing])
        assert _says(check_revocation(_verified(WORLD.dave), snapshot, now=NOW)) == expected


# --------------------------------------------------------------------------------------- (d), (e), (l) reasons


def test_t34_lists_for_some_reasons_prove_good_when_all_reasons_are_covered() -> None:
    some = _read(WORLD.issuing.crl(extensions=[issuing_point(reasons=LISTED_FOR_COMPROMISE)]), "some.crl")
    rest = _read(WORLD.issuing.crl(extensions=[issuing_point(reasons=LISTED_FOR_THE_REST)]), "rest.crl")
    assert _says(_outcome(WORLD.dave, some)) == UNKNOWN
    assert _says(_outcome(WORLD.dave, rest)) == UNKNOWN
    assert sorted(_lists(_outcome(WORLD.dave, some, rest))) == ["rest.crl", "some.crl"]
    revoking = WORLD.issuing.crl([WORLD.dave], extensions=[issuing_point(reasons=LISTED_FOR_COMPROMISE)])
    assert _says(_outcome(WORLD.dave, _read(revoking, "some.crl"), rest)) == REVOKED


def test_t34_a_point_for_some_reasons_lends_its_lists_no_more() -> None:
    scoped = _read(WORLD.issuing.crl(extensions=[issuing_point(full_name=[uri(HERE)])]), "here.crl")
    partial = WORLD.issuing.issue(extensions=[_points(_point(HERE, reasons=LISTED_FOR_COMPROMISE))])
    assert _says(_outcome(partial, scoped)) == UNKNOWN
    both = WORLD.issuing.issue(
        extensions=[
            _points(_point(HERE, reasons=LISTED_FOR_COMPROMISE), _point(HERE, reasons=LISTED_FOR_THE_REST))
        ]
    )
    assert _lists(_outcome(both, scoped)) == ("here.crl",)


def test_when_the_rest_of_the_reasons_is_stale_the_certificate_is_undecided() -> None:
    some = _read(WORLD.issuing.crl(extensions=[issuing_point(reasons=LISTED_FOR_COMPROMISE)]), "some.crl")
    stale = WORLD.issuing.crl(
        extensions=[issuing_point(reasons=LISTED_FOR_THE_REST)],
        this_update=NOW - 2 * DAY,
        next_update=NOW - DAY,
    )
    outcome = _outcome(WORLD.dave, some, _read(stale, "rest.crl"))
    assert _says(outcome) == UNAVAILABLE
    assert "`rest.crl` of `CN=Renovations Issuing CA,O=Renovations` expired 2026-02-28" in outcome.detail


# ------------------------------------------------------------------------------ (c), (h) to (k) delta lists


def _delta(number: int, base: int, *revoked: Issued, **arguments: Any) -> RevocationList:
    extensions = [delta_of(base), *arguments.pop("extensions", ())]
    return _read(
        WORLD.issuing.crl(revoked, number=number, extensions=extensions, **arguments),
        "delta.crl",
    )


def _base(number: int = 1, *revoked: Issued, **arguments: Any) -> RevocationList:
    return _read(WORLD.issuing.crl(revoked, number=number, **arguments), "base.crl")


HOLD, REMOVAL = x509.ReasonFlags.certificate_hold, x509.ReasonFlags.remove_from_crl
STALE: Arguments = {"this_update": NOW - 2 * DAY, "next_update": NOW - DAY}


def test_a_delta_list_adds_what_was_revoked_since() -> None:
    outcome = _outcome(WORLD.dave, _base(), _delta(2, 1, WORLD.dave))
    assert _says(outcome) == REVOKED
    assert outcome.detail.startswith("`delta.crl` revokes `CN=Dave Lawson")
    silent = _outcome(WORLD.dave, _base(), _delta(2, 1))
    assert _lists(silent) == ("base.crl", "delta.crl")


@pytest.mark.parametrize(
    ("delta", "held_for", "expected"),
    [
        pytest.param(
            _delta(2, 1, WORLD.dave, reason=REMOVAL), HOLD, GOOD, id="a current one that fits lifts it"
        ),
        pytest.param(_delta(2, 1), HOLD, REVOKED, id="one that does not name it lifts nothing"),
        pytest.param(
            _delta(2, 1, WORLD.dave, reason=REMOVAL),
            x509.ReasonFlags.key_compromise,
            REVOKED,
            id="only holds are lifted",
        ),
        pytest.param(
            _delta(2, 1, WORLD.dave, reason=REMOVAL), None, REVOKED, id="a reason not said is no hold"
        ),
        pytest.param(
            _delta(9, 5, WORLD.dave, reason=REMOVAL), HOLD, REVOKED, id="the list with the hold is too old"
        ),
        pytest.param(
            _delta(1, 0, WORLD.dave, reason=REMOVAL), HOLD, REVOKED, id="it is not newer than the hold"
        ),
        pytest.param(_delta(2, 1, WORLD.dave, reason=REMOVAL, **STALE), HOLD, REVOKED, id="it is stale"),
        pytest.param(
            _delta(2, 1, WORLD.dave, reason=REMOVAL, extensions=[issuing_point(end_entities=True)]),
            HOLD,
            REVOKED,
            id="it has another scope",
        ),
        pytest.param(
            _delta(2, 1, WORLD.dave, reason=REMOVAL, authority_key_id=False),
            HOLD,
            REVOKED,
            id="it names another key",
        ),
        pytest.param(
            _delta(2, 1, WORLD.dave, reason=REMOVAL, signing_key=generate_key()),
            HOLD,
            REVOKED,
            id="another key signed it",
        ),
        pytest.param(
            _delta(2, 1, WORLD.dave, reason=REMOVAL, issuer_name=WORLD.root.certificate.subject),
            HOLD,
            REVOKED,
            id="another issuer's name stands in it",
        ),
    ],
)
def test_t40_a_hold_lasts_until_a_current_delta_list_of_the_same_issuer_lifts_it(
    delta: RevocationList, held_for: x509.ReasonFlags | None, expected: object
) -> None:
    assert _says(_outcome(WORLD.dave, _base(1, WORLD.dave, reason=held_for), delta)) == expected


def test_t40_no_grace_lifts_a_hold() -> None:
    delta = _delta(2, 1, WORLD.dave, reason=REMOVAL, next_update=NOW + HOUR)
    lists = (_base(1, WORLD.dave, reason=HOLD), delta)
    for now, expected in ((NOW, GOOD), (NOW + HOUR, REVOKED)):
        assert _says(_outcome(WORLD.dave, *lists, now=now, grace=DAY)) == expected


def test_a_complete_list_takes_the_place_of_older_delta_lists() -> None:
    """What the delta list revoked, a hold, was lifted since: the complete list is newer."""
    assert _says(_outcome(WORLD.dave, _base(3), _delta(2, 1, WORLD.dave))) == GOOD
    assert _lists(_outcome(WORLD.dave, _base(3), _delta(2, 1))) == ("base.crl",)


def test_of_two_delta_lists_the_newer_counts() -> None:
    old, new = _delta(2, 1, WORLD.dave, reason=HOLD), _delta(3, 1)
    assert _says(_outcome(WORLD.dave, _base(), old, new)) == GOOD


def test_a_stale_complete_list_and_a_current_delta_list_are_current_together() -> None:
    outcome = _outcome(WORLD.dave, _base(**STALE), _delta(2, 1, next_update=NOW + HOUR))
    assert _lists(outcome) == ("base.crl", "delta.crl")
    assert isinstance(outcome, RevocationEvidence)
    assert (outcome.this_update, outcome.next_update, outcome.grace_used) == (NOW - HOUR, NOW + HOUR, False)
    use = outcome.certificates[0].lists[0]
    assert (use.number, use.delta_number) == (1, 2)
    assert _says(_outcome(WORLD.dave, _base(**STALE), _delta(3, 2))) == UNAVAILABLE


def test_a_current_complete_list_does_not_need_its_stale_delta_list() -> None:
    assert _lists(_outcome(WORLD.dave, _base(), _delta(2, 1, **STALE))) == ("base.crl",)
    assert _says(_outcome(WORLD.dave, _base(), _delta(2, 1, WORLD.dave, **STALE))) == REVOKED


def test_a_delta_list_alone_revokes_and_proves_nothing() -> None:
    assert _says(_outcome(WORLD.dave, _delta(2, 1))) == UNKNOWN
    assert _says(_outcome(WORLD.dave, _delta(2, 1, WORLD.dave))) == REVOKED
    assert _says(_outcome(WORLD.dave, _delta(2, 1, WORLD.dave, reason=REMOVAL))) == UNKNOWN


# -------------------------------------------------------------------------------- (f), (g) whose key signed


def _roll_over(key: PrivateKey | None = None, *, parent: Authority | None = None) -> Authority:
    """The issuing CA again, by the root, with another key."""
    return (parent or WORLD.root).issue_authority(ISSUING_NAME, key=key or KeyKind.P256)


def test_a_list_by_the_issuers_next_key_counts() -> None:
    successor = _roll_over()
    crl = _read(successor.crl(), "next.crl")
    assert _lists(_outcome(_verified(WORLD.dave, successor), crl)) == ("next.crl",)
    revoking = _read(successor.crl([WORLD.dave]), "next.crl")
    own = _read(WORLD.issuing.crl(), "issuing.crl")
    assert _says(_outcome(_verified(WORLD.dave, successor), revoking, own)) == REVOKED


def test_t34_a_list_by_a_key_without_a_path_does_not_count() -> None:
    """The neighbours of the one before: nobody has certified the key, or not for lists, or somebody else has."""
    stranger = Authority.root(ISSUING_NAME, now=NOW)
    elsewhere = WORLD.root.issue_authority("CN=Elsewhere,O=Renovations", path_length=None)
    for other in (
        stranger,
        WORLD.root.issue_authority(ISSUING_NAME, key_usage=key_usage("key_cert_sign")),
        WORLD.root.issue_authority(ISSUING_NAME, not_after=NOW - HOUR),
        elsewhere.issue_authority(ISSUING_NAME),
    ):
        dave = _verified(WORLD.dave, other, elsewhere)
        lists = [_read(elsewhere.crl(), "elsewhere.crl")]
        assert _says(_outcome(dave, _read(other.crl(), "other.crl"), *lists)) == UNKNOWN
        revoking = _read(other.crl([WORLD.dave]), "other.crl")
        assert _says(_outcome(dave, revoking, _read(WORLD.issuing.crl(), "issuing.crl"), *lists)) == GOOD


def test_t22_an_authority_below_another_one_does_not_speak_for_its_namesake() -> None:
    """Both have a path to the same anchor; names of the path above tell them apart."""
    other = WORLD.root.issue_authority("CN=Other,O=Renovations", path_length=None)
    twin = other.issue_authority(ISSUING_NAME)
    lists = [_read(twin.crl(number=99), "twin.crl"), _read(other.crl(), "other.crl")]
    assert _says(_outcome(_verified(WORLD.dave, other, twin), *lists)) == UNKNOWN
    mallory = twin.issue("CN=Mallory,O=Renovations")
    assert _lists(_outcome(_verified(mallory, other, twin), *lists)) == ("twin.crl",)


def test_a_separate_certificate_for_signing_lists_counts() -> None:
    """Issued by the issuer to its own name; it is no authority, and its own status comes from the issuer's key."""
    signer = WORLD.issuing.issue(ISSUING_NAME, eku=None, key_usage=LIST_SIGNING)
    signing = Authority(certificate=signer.certificate, key=signer.key, now=NOW)
    of_leaves = _read(
        signing.crl(extensions=[issuing_point(full_name=[uri(HERE)])], authority_key_id=False), "leaves.crl"
    )
    of_signers = _read(WORLD.issuing.crl(extensions=[issuing_point(full_name=[uri(THERE)])]), "signers.crl")
    leaf = WORLD.issuing.issue(extensions=[_points(_point(HERE))])
    lists_signer = WORLD.issuing.issue(
        ISSUING_NAME, key=signer.key, eku=None, key_usage=LIST_SIGNING, extensions=[_points(_point(THERE))]
    )
    assert _lists(_outcome(_verified(leaf, lists_signer), of_leaves, of_signers)) == ("leaves.crl",)
    # Without a list for the signer's certificate nobody knows whether its key is still good.
    outcome = _outcome(_verified(leaf, lists_signer), of_leaves)
    assert _says(outcome) == UNAVAILABLE
    assert "is signed by a key of which nobody can tell whether it is revoked" in outcome.detail
    # But what such a list revokes is revoked.
    revoking = signing.crl([leaf], extensions=[issuing_point(full_name=[uri(HERE)])])
    assert _says(_outcome(_verified(leaf, lists_signer), _read(revoking, "leaves.crl"))) == REVOKED
    # And when the signer is revoked, its list says nothing at all.
    lost = _read(
        WORLD.issuing.crl([lists_signer], extensions=[issuing_point(full_name=[uri(THERE)])]), "signers.crl"
    )
    assert _says(_outcome(_verified(leaf, lists_signer), _read(revoking, "leaves.crl"), lost)) == UNKNOWN


def test_t34_an_end_entity_of_the_issuers_name_signs_no_lists_without_key_usage_for_it() -> None:
    impostor = WORLD.issuing.issue(ISSUING_NAME, key_usage=None)
    signing = Authority(certificate=impostor.certificate, key=impostor.key, now=NOW)
    assert _says(_outcome(_verified(WORLD.dave, impostor), _read(signing.crl(), "a.crl"))) == UNKNOWN


def test_t34_an_issuer_without_crl_sign_signs_no_lists() -> None:
    issuer = WORLD.root.issue_authority("CN=No Lists", key_usage=key_usage("key_cert_sign"))
    leaf = issuer.issue()
    outcome = _outcome(_verified(leaf, issuer), _read(issuer.crl([leaf]), "a.crl"))
    assert _says(outcome) == UNKNOWN
    assert outcome.detail.endswith("`CN=No Lists` may not sign revocation lists (key usage without cRLSign)")
    # The same key, certified for lists beside: RFC 5280 section 6.3.3 (f) asks for any path.
    beside = WORLD.root.issue_authority(
        "CN=No Lists", key=issuer.key, key_usage=LIST_SIGNING, path_length=None
    )
    assert _says(_outcome(_verified(leaf, issuer, beside), _read(issuer.crl(), "a.crl"))) == GOOD


@pytest.mark.parametrize(("profile", "expected"), [(Profile.CLIENT, UNAVAILABLE), (Profile.RFC5280, GOOD)])
def test_a_key_vouches_for_its_own_certificate_in_the_bare_algorithm_only(
    profile: Profile, expected: object
) -> None:
    """A circle: the status of the signer's certificate stands in the very list that it signs (NIST's test 4.14.30)."""
    successor = WORLD.issuing.issue_authority(ISSUING_NAME)
    leaf = _verified(WORLD.dave, successor, profile=profile)
    assert _says(_outcome(leaf, _read(successor.crl(), "next.crl"))) == expected
    dead = Authority(certificate=successor.certificate, key=successor.key, now=NOW)
    assert _says(_outcome(leaf, _read(successor.crl([dead]), "next.crl"))) == UNKNOWN


def test_two_signers_that_vouch_for_each_other_prove_nothing() -> None:
    first, second = (
        WORLD.issuing.issue_authority(ISSUING_NAME, extensions=[_points(_point(name))])
        for name in (HERE, THERE)
    )
    crls = [
        _read(first.crl(extensions=[issuing_point(full_name=[uri(THERE)])]), "first.crl"),
        _read(second.crl(extensions=[issuing_point(full_name=[uri(HERE)])]), "second.crl"),
    ]
    leaf = WORLD.issuing.issue(extensions=[_points(_point(HERE))])
    assert _says(_outcome(_verified(leaf, first, second), *crls)) == UNAVAILABLE
    anchored = _read(WORLD.issuing.crl(extensions=[issuing_point(authorities=True)]), "anchored.crl")
    assert _says(_outcome(_verified(leaf, first, second), *crls, anchored)) == GOOD


def test_a_signer_of_whom_one_path_tells_nothing_is_believed_by_another_path() -> None:
    """The same key, certified by the anchor, and by a namesake of it that has no list."""
    signer = WORLD.root.issue_authority(ISSUING_NAME)
    namesake = Authority.root(WORLD.root.certificate.subject, now=NOW)
    twin = namesake.issue_authority(ISSUING_NAME, key=signer.key)
    own = _read(signer.crl(), "next.crl")
    untold: tuple[CertificateFacts, ...] = (facts_of(twin), facts_of(namesake))
    told: tuple[CertificateFacts, ...] = (facts_of(signer), facts_of(WORLD.root))
    for found, expected in (([untold], UNAVAILABLE), ([untold, told], GOOD), ([told, untold], GOOD)):

        def paths(
            verified: VerifiedCertificate,
            signer: NameKey,
            *,
            now: datetime,
            found: list[tuple[CertificateFacts, ...]] = found,
        ) -> list[tuple[CertificateFacts, ...]]:
            del verified, signer, now
            return found

        outcome = check_revocation(
            _verified(WORLD.dave),
            RevocationSnapshot.of([ROOT_LIST, own]),
            now=NOW,
            find_signer_paths=paths,
        )
        assert _says(outcome) == expected


def test_t24_a_hundred_signers_of_one_name_are_looked_up_within_a_budget() -> None:
    """The budget ends in "cannot be told", never in "good"."""
    signers = [_roll_over() for _ in range(70)]

    def paths(
        verified: VerifiedCertificate, signer: NameKey, *, now: datetime
    ) -> list[tuple[CertificateFacts, ...]]:
        del verified, signer, now
        return [(facts_of(one), facts_of(WORLD.root)) for one in signers]

    for count, expected in ((60, GOOD), (70, UNAVAILABLE)):
        crls = [_read(signers[count - 1].crl(authority_key_id=False), "last.crl")]
        crls += [
            _read(one.crl(extensions=[issuing_point(authorities=True)]), str(number))
            for number, one in enumerate(signers[: count - 1])
        ]
        outcome = check_revocation(
            _verified(WORLD.dave), RevocationSnapshot.of([ROOT_LIST, *crls]), now=NOW, find_signer_paths=paths
        )
        assert _says(outcome) == expected


# --------------------------------------------------------------------------------------- (b) (1) indirect lists


def _indirect_leaf(*issuers: Authority, name: str = HERE) -> Issued:
    return WORLD.issuing.issue(extensions=[_points(_point(name, issuers=issuers))])


def test_an_indirect_list_of_somebody_whom_the_certificate_names_counts() -> None:
    service = WORLD.root.issue_authority("CN=List Service", key_usage=LIST_SIGNING)
    leaf = _indirect_leaf(service)
    dave = _verified(leaf, service)
    serial = leaf.certificate.serial_number
    silent = _read(indirect_list(service, [(WORLD.issuing, 5)]), "service.crl")
    assert _lists(_outcome(dave, silent)) == ("service.crl",)
    revoking = _read(indirect_list(service, [(WORLD.issuing, serial)]), "service.crl")
    assert _says(_outcome(dave, revoking)) == REVOKED
    # also where the issuer's own list is silent
    own = _read(WORLD.issuing.crl(), "issuing.crl")
    assert _says(_outcome(dave, revoking, own)) == REVOKED
    assert _lists(_outcome(dave, silent, own)) == ("issuing.crl",)


def test_t35_an_indirect_list_lists_serial_numbers_under_their_issuer() -> None:
    """The same serial number under the service's own name, or another CA's, is another certificate."""
    service = WORLD.root.issue_authority("CN=List Service", key_usage=LIST_SIGNING)
    leaf = _indirect_leaf(service)
    serial = leaf.certificate.serial_number
    crl = _read(indirect_list(service, [(None, serial), (WORLD.root, serial)]), "service.crl")
    assert _says(_outcome(_verified(leaf, service), crl)) == GOOD


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _service: _indirect_leaf(WORLD.root), id="the certificate names somebody else"),
        pytest.param(lambda _service: WORLD.issuing.issue(), id="the certificate names nobody"),
        pytest.param(lambda service: _indirect_leaf(service, name=THERE), id="another point"),
    ],
)
def test_t34_an_indirect_list_that_the_certificate_does_not_name_proves_nothing(
    change: Callable[[Authority], Issued],
) -> None:
    service = WORLD.root.issue_authority("CN=List Service", key_usage=LIST_SIGNING)
    leaf = change(service)
    scope = [issuing_point(full_name=[uri(HERE)], indirect=True)]
    crl = _read(indirect_list(service, [], scope), "service.crl")
    assert _says(_outcome(_verified(leaf, service), crl)) == UNKNOWN


def test_t34_an_indirect_list_by_a_signer_of_another_anchor_proves_nothing() -> None:
    elsewhere = Authority.root("CN=List Service", now=NOW)
    leaf = _indirect_leaf(elsewhere)
    store = store_of(
        anchor_of(WORLD.root),
        anchor_of(elsewhere, AnchorSettings(id="other")),
        intermediates=(WORLD.issuing,),
    )
    crl = _read(indirect_list(elsewhere, []), "service.crl")
    assert _says(_outcome(verified(verify(leaf, store)), crl)) == UNKNOWN


def test_t34_a_list_of_the_named_issuer_that_is_not_indirect_proves_nothing() -> None:
    service = WORLD.root.issue_authority("CN=List Service", key_usage=LIST_SIGNING)
    indirect_elsewhere = _read(
        indirect_list(service, [], [issuing_point(full_name=[uri(THERE)], indirect=True)]), "i.crl"
    )
    direct = _read(service.crl(), "service.crl")
    leaf = _verified(_indirect_leaf(service), service)
    assert _says(_outcome(leaf, direct)) == UNKNOWN
    assert _says(_outcome(leaf, direct, indirect_elsewhere)) == UNKNOWN


def test_points_that_only_the_library_can_read_never_end_in_good() -> None:
    """A thousand and one points are more than we read; an indirect list could stand behind any of them."""
    leaf = WORLD.issuing.issue(
        extensions=[_points(*[_point(f"http://x/{number}") for number in range(1001)])]
    )
    own = _read(WORLD.issuing.crl(), "issuing.crl")
    assert _says(_outcome(leaf, own)) == GOOD
    indirect = _read(indirect_list(WORLD.root, []), "indirect.crl")
    outcome = _outcome(leaf, own, indirect)
    assert _says(outcome) == UNKNOWN
    assert (
        "its distribution points cannot be read: expected 1 to 1000 distribution points, found 1001"
        in outcome.detail
    )
    scoped = _read(WORLD.issuing.crl(extensions=[issuing_point(end_entities=True)]), "leaves.crl")
    assert _says(_outcome(leaf, scoped)) == UNKNOWN
    revoking = _read(WORLD.issuing.crl([leaf]), "issuing.crl")
    assert _says(_outcome(leaf, revoking, indirect)) == REVOKED


# --------------------------------------------------------------------------------------------- dates and grace


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        pytest.param(-timedelta(seconds=1), (GOOD, False), id="before next update"),
        pytest.param(timedelta(0), (GOOD, True), id="at next update the grace begins"),
        pytest.param(2 * HOUR - timedelta(seconds=1), (GOOD, True), id="before the grace ends"),
        pytest.param(2 * HOUR, (UNAVAILABLE, False), id="when the grace has ended"),
    ],
)
def test_t37_the_use_of_the_grace_is_visible_and_ends(late: timedelta, expected: tuple[object, bool]) -> None:
    end = NOW + 7 * DAY
    own = _read(WORLD.issuing.crl(next_update=end), "issuing.crl")
    outcome = _outcome(WORLD.dave, own, now=end + late, grace=2 * HOUR)
    used = isinstance(outcome, RevocationEvidence) and outcome.grace_used
    assert (_says(outcome), used) == expected
    if isinstance(outcome, RevocationEvidence):
        assert outcome.next_update == end
        assert outcome.holds_until == (end + 2 * HOUR if used else end)
        assert outcome.certificates[0].lists[0].in_grace == used


def test_a_list_in_its_grace_is_used_only_where_no_other_covers() -> None:
    end = NOW + 7 * DAY
    late = _read(WORLD.issuing.crl(next_update=end, number=9), "late.crl")
    fresh = _read(
        WORLD.issuing.crl(next_update=end + DAY, extensions=[issuing_point(end_entities=True)]), "fresh.crl"
    )
    outcome = _outcome(WORLD.dave, late, fresh, now=end + HOUR, grace=2 * HOUR)
    assert _lists(outcome) == ("fresh.crl",)
    delta = _delta(10, 9, next_update=end + DAY)
    outcome = _outcome(WORLD.dave, _base(9, next_update=end), delta, now=end + HOUR, grace=2 * HOUR)
    assert isinstance(outcome, RevocationEvidence)
    assert (outcome.grace_used, _lists(outcome)) == (False, ("base.crl", "delta.crl"))


def test_of_lists_that_speak_for_everything_the_one_of_the_latest_date_is_used() -> None:
    """Without a key identifier it is another series, whose numbers say nothing here."""
    old = _read(WORLD.issuing.crl(number=9, this_update=NOW - DAY), "old.crl")
    new = _read(WORLD.issuing.crl(number=1, this_update=NOW - HOUR, authority_key_id=False), "new.crl")
    assert ("new.crl",) == _lists(_outcome(WORLD.dave, old, new))


def test_a_refusal_rests_on_the_list_that_revokes_and_on_no_grace_of_another() -> None:
    end = NOW + 7 * DAY
    late = _read(WORLD.root.crl(next_update=end), "late.crl")
    own = _read(WORLD.issuing.crl([WORLD.dave], next_update=end + DAY), "issuing.crl")
    outcome = check_revocation(
        _verified(WORLD.dave), RevocationSnapshot.of([late, own], grace=2 * HOUR), now=end + HOUR
    )
    assert isinstance(outcome, RevocationRefusal)
    assert (("issuing.crl",), False) == (outcome.evidence.lists, outcome.evidence.grace_used)


def test_there_is_no_grace_unless_somebody_says_so() -> None:
    assert timedelta(0) == RevocationSnapshot().grace == RevocationSnapshot.of([]).grace


def test_of_several_sources_that_cannot_be_read_the_first_is_told() -> None:
    problems = [SourceProblem(source=f"{number}.crl", problem="is empty") for number in (1, 2)]
    outcome = check_revocation(_verified(WORLD.dave), RevocationSnapshot.of([], problems), now=NOW)
    assert isinstance(outcome, RevocationUndecided)
    assert "and `1.crl` cannot be read: is empty" in outcome.detail


def test_a_list_that_begins_later_makes_the_certificate_undecided() -> None:
    future = _read(WORLD.issuing.crl(this_update=NOW + HOUR), "issuing.crl")
    outcome = _outcome(WORLD.dave, future)
    assert _says(outcome) == UNAVAILABLE
    assert "begins 2026-03-01T13:00:00+00:00" in outcome.detail
