"""What a snapshot of lists says about a verified certificate, for each mode; how uncertainty falls."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509

from authsvc.reason import Reason
from authsvc.trust.anchors import AnchorSettings, RevocationMode
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.crl import RevocationList, read_crl
from authsvc.trust.crl_decision import ListUse
from authsvc.trust.ocsp_answer import (
    OcspAnswer,
    OcspGood,
    OcspNotAsked,
    OcspRevoked,
    OcspUnavailable,
    OcspUnknown,
)
from authsvc.trust.path import VerifiedCertificate
from authsvc.trust.revocation import (
    CertificateEvidence,
    RevocationEvidence,
    RevocationOutcome,
    RevocationRefusal,
    RevocationSnapshot,
    RevocationStatus,
    RevocationUndecided,
    SourceProblem,
    check_revocation,
)
from tests.support.lists import issuing_point
from tests.support.pki import NOW, Authority, IssuedCrl, SmallWorld, small_world
from tests.support.trust import anchor_of, store_of, verified, verify, world_store

HOUR = timedelta(hours=1)
PROBLEM = SourceProblem(source="broken.crl", problem="cannot be read")


@pytest.fixture(scope="module")
def world() -> SmallWorld:
    return small_world()


def _dave(world: SmallWorld, mode: RevocationMode = RevocationMode.REQUIRE) -> VerifiedCertificate:
    return verified(verify(world.dave, world_store(world, AnchorSettings(id="corp", revocation=mode))))


def _list(crl: IssuedCrl, source: str) -> RevocationList:
    return read_crl(crl.der, source=source)


def _told(outcome: RevocationOutcome) -> tuple[Reason | RevocationStatus, str]:
    """Reason of a refusal or status of evidence, and the detail."""
    if isinstance(outcome, RevocationEvidence):
        return outcome.status, outcome.detail
    assert outcome.evidence.detail == outcome.detail
    assert outcome.evidence.holds_until is None
    return outcome.reason, outcome.detail


def _use(source: str, this_update: datetime, next_update: datetime) -> ListUse:
    return ListUse(source=source, number=1, this_update=this_update, next_update=next_update)


def _root_list(world: SmallWorld) -> RevocationList:
    return _list(world.root.crl(this_update=NOW - 3 * HOUR, next_update=NOW + 2 * HOUR), "root.crl")


def _issuing_list(world: SmallWorld) -> RevocationList:
    return _list(world.issuing.crl(), "issuing.crl")


def test_covered_by_current_lists_that_do_not_name_it_a_certificate_is_good(world: SmallWorld) -> None:
    snapshot = RevocationSnapshot.of([_root_list(world), _issuing_list(world)], [PROBLEM])
    evidence = check_revocation(_dave(world), snapshot, now=NOW)
    assert evidence == RevocationEvidence(
        status=RevocationStatus.GOOD,
        policy=RevocationMode.REQUIRE,
        source="crl",
        lists=("issuing.crl", "root.crl"),
        this_update=NOW - 3 * HOUR,
        next_update=NOW + 2 * HOUR,
        holds_until=NOW + 2 * HOUR,
        certificates=(
            CertificateEvidence(
                subject="CN=Dave Lawson,O=Renovations",
                serial=world.dave.certificate.serial_number,
                status=RevocationStatus.GOOD,
                source="issuing.crl",
                lists=(_use("issuing.crl", NOW - HOUR, NOW + timedelta(days=7)),),
            ),
            CertificateEvidence(
                subject="CN=Renovations Issuing CA,O=Renovations",
                serial=world.issuing.certificate.serial_number,
                status=RevocationStatus.GOOD,
                source="root.crl",
                lists=(_use("root.crl", NOW - 3 * HOUR, NOW + 2 * HOUR),),
            ),
        ),
        detail="",
    )
    assert isinstance(evidence, RevocationEvidence)
    assert evidence.age(NOW) == 3 * HOUR


@pytest.mark.parametrize("mode", [RevocationMode.REQUIRE, RevocationMode.PREFER])
def test_a_revoked_certificate_is_refused(world: SmallWorld, mode: RevocationMode) -> None:
    revoking = world.issuing.crl([world.dave], reason=x509.ReasonFlags.key_compromise)
    snapshot = RevocationSnapshot.of([_root_list(world), _list(revoking, "issuing.crl")])
    outcome = check_revocation(_dave(world, mode), snapshot, now=NOW)
    assert _told(outcome) == (
        Reason.CERTIFICATE_REVOKED,
        "`issuing.crl` revokes `CN=Dave Lawson,O=Renovations` (keyCompromise) since 2026-03-01T11:00:00+00:00",
    )
    assert isinstance(outcome, RevocationRefusal)
    evidence = outcome.evidence
    assert (evidence.status, evidence.source, evidence.lists) == (
        RevocationStatus.REVOKED,
        "crl",
        ("issuing.crl",),
    )
    assert [(one.status, one.source) for one in evidence.certificates] == [
        (RevocationStatus.REVOKED, "issuing.crl"),
        (RevocationStatus.GOOD, "root.crl"),
    ]


@pytest.mark.parametrize("mode", [RevocationMode.REQUIRE, RevocationMode.PREFER])
@pytest.mark.parametrize("issuing_known", [True, False])
def test_t21_a_revoked_intermediate_is_refused_whoever_presented_it(
    world: SmallWorld, mode: RevocationMode, issuing_known: bool
) -> None:
    settings = AnchorSettings(id="corp", revocation=mode)
    dave = verified(verify(world.dave, store_of(anchor_of(world.root, settings)), chain=(world.issuing.der,)))
    lists = [_list(world.root.crl([world.issuing]), "root.crl")]
    if issuing_known:
        lists.append(_issuing_list(world))
    outcome = check_revocation(dave, RevocationSnapshot.of(lists, [PROBLEM]), now=NOW)
    assert isinstance(outcome, RevocationRefusal)
    assert outcome.reason is Reason.CERTIFICATE_REVOKED
    assert "`root.crl` revokes `CN=Renovations Issuing CA,O=Renovations`" in outcome.detail


@pytest.mark.parametrize("instant", [NOW - 2 * HOUR, NOW + timedelta(days=30)])
def test_a_list_that_is_not_current_still_revokes(world: SmallWorld, instant: object) -> None:
    assert isinstance(instant, type(NOW))
    snapshot = RevocationSnapshot.of([_list(world.issuing.crl([world.dave]), "issuing.crl")])
    outcome = check_revocation(_dave(world, RevocationMode.PREFER), snapshot, now=instant)
    assert isinstance(outcome, RevocationRefusal)
    assert outcome.reason is Reason.CERTIFICATE_REVOKED


def test_t35_a_serial_number_listed_by_another_issuer_revokes_nobody(world: SmallWorld) -> None:
    serial = world.dave.certificate.serial_number
    twin = Authority.root("CN=Renovations Issuing CA,O=Renovations", now=NOW)  # the same name, another key
    twins = _list(twin.crl([serial], number=9), "twin.crl")
    roots = _list(world.root.crl([serial]), "root.crl")
    good = RevocationSnapshot.of([_issuing_list(world), roots, twins])
    assert isinstance(check_revocation(_dave(world), good, now=NOW), RevocationEvidence)
    # nor does the twin's silence prove anything
    silent = _list(twin.crl(), "twin.crl")
    outcome = check_revocation(_dave(world), RevocationSnapshot.of([_root_list(world), silent]), now=NOW)
    assert _told(outcome) == (
        Reason.REVOCATION_UNKNOWN,
        (
            "no current list covers `CN=Dave Lawson,O=Renovations` of issuer "
            "`CN=Renovations Issuing CA,O=Renovations`: `twin.crl` does not count: "
            "not signed with the key of `CN=Renovations Issuing CA,O=Renovations`"
        ),
    )


# ----------------------------------------------------------------------------- unknown and unavailable


def test_without_a_source_for_its_issuer_a_certificate_is_unknown(world: SmallWorld) -> None:
    outcome = check_revocation(_dave(world), RevocationSnapshot.of([_root_list(world)]), now=NOW)
    assert _told(outcome) == (
        Reason.REVOCATION_UNKNOWN,
        "no current list covers `CN=Dave Lawson,O=Renovations` of issuer `CN=Renovations Issuing CA,O=Renovations`",
    )


def test_without_any_source_a_certificate_is_unknown(world: SmallWorld) -> None:
    outcome = check_revocation(_dave(world), RevocationSnapshot(), now=NOW)
    assert isinstance(outcome, RevocationRefusal)
    assert outcome.reason is Reason.REVOCATION_UNKNOWN


def test_t34_a_list_whose_scope_does_not_cover_it_leaves_a_certificate_unknown(world: SmallWorld) -> None:
    partial = _list(world.issuing.crl(extensions=[issuing_point(authorities=True)]), "authorities.crl")
    outcome = check_revocation(_dave(world), RevocationSnapshot.of([_root_list(world), partial]), now=NOW)
    assert isinstance(outcome, RevocationRefusal)
    assert outcome.reason is Reason.REVOCATION_UNKNOWN
    revoking = _list(
        world.issuing.crl([world.dave], extensions=[issuing_point(authorities=True)]), "authorities.crl"
    )
    snapshot = RevocationSnapshot.of([_root_list(world), revoking, _issuing_list(world)])
    outcome = check_revocation(_dave(world), snapshot, now=NOW)
    assert isinstance(outcome, RevocationRefusal)
    assert outcome.reason is Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        pytest.param(-timedelta(seconds=1), None, id="a second before next update"),
        pytest.param(timedelta(0), "expired 2026-03-08T12:00:00+00:00", id="at next update"),
        pytest.param(
            -timedelta(days=7, hours=1, seconds=1), "begins 2026-03-01T11:00:00+00:00", id="before this"
        ),
    ],
)
def test_t37_a_list_that_is_not_current_makes_a_certificate_undecided(
    world: SmallWorld, offset: timedelta, expected: str | None
) -> None:
    lasting = _list(
        world.root.crl(this_update=NOW - 9 * HOUR, next_update=NOW + timedelta(days=99)), "root.crl"
    )
    snapshot = RevocationSnapshot.of([lasting, _issuing_list(world)])
    outcome = check_revocation(_dave(world), snapshot, now=NOW + timedelta(days=7) + offset)
    if expected is None:
        assert isinstance(outcome, RevocationEvidence)
    else:
        assert isinstance(outcome, RevocationUndecided)
        assert _told(outcome) == (
            Reason.REVOCATION_UNAVAILABLE,
            f"`issuing.crl` of `CN=Renovations Issuing CA,O=Renovations` {expected}",
        )


def test_t39_a_source_that_cannot_be_read_makes_certificates_without_a_current_list_undecided(
    world: SmallWorld,
) -> None:
    outcome = check_revocation(_dave(world), RevocationSnapshot.of([_root_list(world)], [PROBLEM]), now=NOW)
    assert isinstance(outcome, RevocationUndecided)
    assert _told(outcome) == (
        Reason.REVOCATION_UNAVAILABLE,
        (
            "no current list covers `CN=Dave Lawson,O=Renovations` of issuer "
            "`CN=Renovations Issuing CA,O=Renovations`, and `broken.crl` cannot be read: cannot be read"
        ),
    )


def test_when_one_element_is_unknown_and_another_unavailable_the_certificate_is_refused(
    world: SmallWorld,
) -> None:
    """Whatever the unavailable source would have said, the answer is no."""
    expired = _list(world.root.crl(next_update=NOW - timedelta(minutes=1)), "root.crl")
    outcome = check_revocation(_dave(world), RevocationSnapshot.of([expired]), now=NOW)
    assert isinstance(outcome, RevocationRefusal)
    assert outcome.reason is Reason.REVOCATION_UNKNOWN


def test_t37_of_two_lists_of_one_issuer_the_newer_counts(world: SmallWorld) -> None:
    old = _list(world.issuing.crl(number=1, this_update=NOW - 2 * HOUR), "old.crl")
    new = _list(world.issuing.crl([world.dave], number=2), "new.crl")
    for lists in [[old, new], [new, old]]:
        outcome = check_revocation(_dave(world), RevocationSnapshot.of([_root_list(world), *lists]), now=NOW)
        assert isinstance(outcome, RevocationRefusal)
        assert outcome.reason is Reason.CERTIFICATE_REVOKED
    lifted = _list(world.issuing.crl(number=3, this_update=NOW), "lifted.crl")
    snapshot = RevocationSnapshot.of([_root_list(world), lifted, new, old])
    assert isinstance(check_revocation(_dave(world), snapshot, now=NOW), RevocationEvidence)


# ------------------------------------------------------------------------------------------------ modes


def test_prefer_lets_unknown_and_unavailable_pass_marked(world: SmallWorld) -> None:
    dave = _dave(world, RevocationMode.PREFER)
    unknown = check_revocation(dave, RevocationSnapshot.of([_root_list(world)]), now=NOW)
    assert isinstance(unknown, RevocationEvidence)
    assert replace(unknown, certificates=()) == RevocationEvidence(
        status=RevocationStatus.UNKNOWN_ACCEPTED,
        policy=RevocationMode.PREFER,
        source="crl",
        lists=("root.crl",),
        this_update=NOW - 3 * HOUR,
        next_update=NOW + 2 * HOUR,
        holds_until=NOW + 2 * HOUR,
        detail="no current list covers `CN=Dave Lawson,O=Renovations` of issuer "
        "`CN=Renovations Issuing CA,O=Renovations`",
    )
    assert [one.status for one in unknown.certificates] == [RevocationStatus.UNKNOWN, RevocationStatus.GOOD]
    unavailable = check_revocation(dave, RevocationSnapshot.of([], [PROBLEM]), now=NOW)
    assert isinstance(unavailable, RevocationEvidence)
    assert unavailable.status is RevocationStatus.UNKNOWN_ACCEPTED
    assert (unavailable.source, unavailable.this_update, unavailable.next_update) == ("", None, None)
    assert unavailable.age(NOW) is None
    assert "; " in unavailable.detail


def test_prefer_says_good_where_it_knows(world: SmallWorld) -> None:
    snapshot = RevocationSnapshot.of([_root_list(world), _issuing_list(world)])
    outcome = check_revocation(_dave(world, RevocationMode.PREFER), snapshot, now=NOW)
    assert isinstance(outcome, RevocationEvidence)
    assert outcome.status is RevocationStatus.GOOD


def test_off_does_not_look(world: SmallWorld) -> None:
    snapshot = RevocationSnapshot.of([_list(world.issuing.crl([world.dave]), "issuing.crl")])
    assert check_revocation(_dave(world, RevocationMode.OFF), snapshot, now=NOW) == RevocationEvidence(
        status=RevocationStatus.NOT_CHECKED, policy=RevocationMode.OFF
    )


def test_a_pinned_certificate_has_nobody_who_could_revoke_it(world: SmallWorld) -> None:
    pinned = verified(verify(world.dave, store_of(anchor_of(world.dave, AnchorSettings(id="pinned")))))
    snapshot = RevocationSnapshot.of([_list(world.issuing.crl([world.dave]), "issuing.crl")])
    assert check_revocation(pinned, snapshot, now=NOW) == RevocationEvidence(
        status=RevocationStatus.NOT_CHECKED, policy=RevocationMode.REQUIRE
    )


def test_the_anchor_is_not_looked_up(world: SmallWorld) -> None:
    snapshot = RevocationSnapshot.of([_list(world.root.crl([world.root]), "root.crl"), _issuing_list(world)])
    assert isinstance(check_revocation(_dave(world), snapshot, now=NOW), RevocationEvidence)


# ------------------------------------------------------------------------------------------------- OCSP

RESPONDER = "http://ocsp.example/"


def _good(hours: int = 1) -> OcspGood:
    return OcspGood(source=RESPONDER, this_update=NOW - 5 * HOUR, next_update=NOW + hours * HOUR)


OCSP_REVOKED = OcspRevoked(source=RESPONDER, since=NOW - HOUR, reason="superseded")
OCSP_UNKNOWN = OcspUnknown(source=RESPONDER)
OCSP_UNAVAILABLE = OcspUnavailable(source=RESPONDER, problem="no answer within 1 s")


@dataclass(kw_only=True)
class Responder:
    """An OCSP source with fixed answers by subject; notes who was asked."""

    remembered: dict[str, OcspAnswer] = field(default_factory=dict)
    answers: dict[str, OcspAnswer] = field(default_factory=dict)
    asked: list[tuple[str, str, str, float]] = field(default_factory=list)

    def find_remembered(
        self, facts: CertificateFacts, issuer: CertificateFacts, *, anchor_id: str, now: datetime
    ) -> OcspAnswer | None:
        """Return what is remembered; `issuer` must be the next of the path."""
        assert (issuer.subject_key, anchor_id, now) == (facts.issuer_key, "corp", NOW)
        return self.remembered.get(facts.subject_text)

    def ask(
        self,
        facts: CertificateFacts,
        issuer: CertificateFacts,
        *,
        anchor_id: str,
        now: datetime,
        deadline: float,
    ) -> OcspAnswer:
        """Note the question; answer."""
        assert now == NOW
        self.asked.append((facts.subject_text, issuer.subject_text, anchor_id, deadline))
        return self.answers.get(facts.subject_text, OcspNotAsked())


DAVE, ISSUING = "CN=Dave Lawson,O=Renovations", "CN=Renovations Issuing CA,O=Renovations"


def test_nobody_is_asked_where_current_lists_cover_the_certificate(world: SmallWorld) -> None:
    responder = Responder(answers={DAVE: OCSP_REVOKED})
    snapshot = RevocationSnapshot.of([_root_list(world), _issuing_list(world)])
    evidence = check_revocation(_dave(world), snapshot, now=NOW, ocsp=responder)
    assert isinstance(evidence, RevocationEvidence)
    assert (evidence.source, evidence.responders, responder.asked) == ("crl", (), [])


@pytest.mark.parametrize("remembered", [_good(), OCSP_UNKNOWN, OCSP_UNAVAILABLE, OcspNotAsked()])
def test_what_is_remembered_changes_nothing_where_lists_prove_good_unless_it_is_revoked(
    world: SmallWorld, remembered: OcspAnswer
) -> None:
    snapshot = RevocationSnapshot.of([_root_list(world), _issuing_list(world)])
    told = _told(
        check_revocation(_dave(world), snapshot, now=NOW, ocsp=Responder(remembered={DAVE: remembered}))
    )
    assert told == (RevocationStatus.GOOD, "")
    outcome = check_revocation(
        _dave(world), snapshot, now=NOW, ocsp=Responder(remembered={DAVE: OCSP_REVOKED})
    )
    assert _told(outcome) == (
        Reason.CERTIFICATE_REVOKED,
        f"`{RESPONDER}` revokes `{DAVE}` (superseded) since 2026-03-01T11:00:00+00:00",
    )
    assert isinstance(outcome, RevocationRefusal)
    assert (outcome.evidence.source, outcome.evidence.responders, outcome.evidence.lists) == (
        "ocsp",
        (RESPONDER,),
        (),
    )


def test_a_remembered_answer_is_used_and_bounds_the_evidence(world: SmallWorld) -> None:
    responder = Responder(remembered={DAVE: _good()})
    evidence = check_revocation(
        _dave(world), RevocationSnapshot.of([_root_list(world)]), now=NOW, ocsp=responder
    )
    assert isinstance(evidence, RevocationEvidence)
    assert (evidence.status, evidence.source, evidence.lists, evidence.responders) == (
        RevocationStatus.GOOD,
        "crl+ocsp",
        ("root.crl",),
        (RESPONDER,),
    )
    assert (evidence.this_update, evidence.next_update) == (NOW - 5 * HOUR, NOW + HOUR)
    assert (evidence.holds_until, responder.asked) == (NOW + HOUR, [])
    assert [(one.status, one.source) for one in evidence.certificates] == [
        (RevocationStatus.GOOD, RESPONDER),
        (RevocationStatus.GOOD, "root.crl"),
    ]


def test_a_responder_is_asked_once_for_each_certificate_that_lists_leave_open(world: SmallWorld) -> None:
    responder = Responder(answers={DAVE: _good(), ISSUING: _good(hours=2)})
    evidence = check_revocation(_dave(world), RevocationSnapshot(), now=NOW, ocsp=responder, deadline=7.5)
    assert isinstance(evidence, RevocationEvidence)
    assert (evidence.status, evidence.source, evidence.next_update) == (
        RevocationStatus.GOOD,
        "ocsp",
        NOW + HOUR,
    )
    assert responder.asked == [
        (DAVE, ISSUING, "corp", 7.5),
        (ISSUING, "CN=Renovations Root CA,O=Renovations", "corp", 7.5),
    ]


def test_nobody_is_asked_where_another_element_is_revoked(world: SmallWorld) -> None:
    responder = Responder(answers={DAVE: _good()})
    revoking = _list(world.root.crl([world.issuing]), "root.crl")
    outcome = check_revocation(_dave(world), RevocationSnapshot.of([revoking]), now=NOW, ocsp=responder)
    assert (_told(outcome)[0], responder.asked) == (Reason.CERTIFICATE_REVOKED, [])


NOT_COVERED = f"no current list covers `{DAVE}` of issuer `{ISSUING}`"


@pytest.mark.parametrize("how", ["remembered", "answers"])
@pytest.mark.parametrize("problems", [(), (PROBLEM,)])
@pytest.mark.parametrize(
    ("answer", "without", "with_problem", "told"),
    [
        pytest.param(OCSP_REVOKED, Reason.CERTIFICATE_REVOKED, Reason.CERTIFICATE_REVOKED, "", id="revoked"),
        pytest.param(
            OCSP_UNKNOWN,
            Reason.REVOCATION_UNKNOWN,
            Reason.REVOCATION_UNAVAILABLE,
            f", and `{RESPONDER}` does not know it",
            id="unknown",
        ),
        pytest.param(
            OCSP_UNAVAILABLE,
            Reason.REVOCATION_UNAVAILABLE,
            Reason.REVOCATION_UNAVAILABLE,
            f", and `{RESPONDER}` does not say: no answer within 1 s",
            id="unavailable",
        ),
        pytest.param(
            OcspNotAsked(), Reason.REVOCATION_UNKNOWN, Reason.REVOCATION_UNAVAILABLE, "", id="nobody to ask"
        ),
        pytest.param(_good(), RevocationStatus.GOOD, RevocationStatus.GOOD, "", id="good"),
    ],
)
def test_t38_only_good_is_good(  # noqa: PLR0917 - the columns of the table
    world: SmallWorld,
    how: str,
    problems: tuple[SourceProblem, ...],
    answer: OcspAnswer,
    without: object,
    with_problem: object,
    told: str,
) -> None:
    """Unknown to the responder is not covered; a list that cannot be read might have covered, and stays unavailable."""
    known = {DAVE: answer}
    responder = Responder(remembered=known) if how == "remembered" else Responder(answers=known)
    snapshot = RevocationSnapshot.of([_root_list(world)], problems)
    reason, detail = _told(check_revocation(_dave(world), snapshot, now=NOW, ocsp=responder))
    assert reason == (with_problem if problems else without)
    if reason in {Reason.REVOCATION_UNKNOWN, Reason.REVOCATION_UNAVAILABLE}:
        assert detail.startswith(NOT_COVERED)
        assert detail.endswith(told)
