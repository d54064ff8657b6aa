"""The eight steps from a presented certificate to a verdict. This module is the product; the rest serves it.

    1 present     what was presented                    -> a presented certificate, or none
    2 verify      certification path, our profile       -> a verified certificate
    3 revocation  emergency blocks, then the lists, of
                  every certificate of the path         -> evidence
    4 name        the names the certificate asserts     -> candidates        } in
    5 search      directory after directory             -> one bound entry   } directory_assistance.search
    6 identify    blocks of the name; ACL name, groups  -> an identity
    7 decide      database ACL and requirement          -> effective access
    8 answer                                            -> a verdict

Invariants:

* One clock reading and one snapshot per request; nothing here reads a clock, a file or a setting.
* Emergency blocks are asked for once, when there is a path, and count for both of their steps.
* A fault is never an answer: it becomes `Undecided`, here and nowhere else, and carries no identity.
* Every way out is a `return` of a verdict; `Allowed` is built in three places, each with its subject.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import assert_never

from authsvc.access.acl import (
    AccessExplanation,
    Database,
    EffectiveAccess,
    explain_access,
    explicit_names,
    full_access,
    unmet_requirement,
)
from authsvc.access.databases import DatabaseTarget, IdentityTarget, RefusedTarget, Target
from authsvc.decision.ports import Blocks, Databases, ProvenPaths, StoreFault
from authsvc.decision.request import DecisionRequest
from authsvc.decision.verdict import Allowed, Denied, Undecided, Verdict
from authsvc.decision.wording import tell_block, tell_matches, tell_revocation, tell_unmet
from authsvc.presented.presentation import (
    NoCertificate,
    PresentedCertificate,
    RejectedByFrontEnd,
    UnreadableCertificate,
)
from authsvc.reason import Reason
from authsvc.trust.anchors import TrustStore
from authsvc.trust.blocks import Block, BlockList
from authsvc.trust.ocsp_answer import OcspSource
from authsvc.trust.path import PathRefusal, VerifiedCertificate, verify_path
from authsvc.trust.revocation import (
    RevocationEvidence,
    RevocationRefusal,
    RevocationSnapshot,
    RevocationUndecided,
    check_revocation,
)
from directory_assistance.dn import Name, render_name
from directory_assistance.domains import DirectoryAssistance
from directory_assistance.entry import Identity
from directory_assistance.errors import DirectoryFault, ExpansionLimitExceeded, shorten
from directory_assistance.identify import denying_group_of, domains_with_groups, identify
from directory_assistance.search import NoMatch, SearchRefusal, SearchRequest, search
from directory_assistance.trace import TraceRecorder

__all__ = ["DIRECTORY_DATABASE", "Moment", "Policy", "Snapshot", "decide"]

DIRECTORY_DATABASE = "directory"
"""The built-in database that governs administration; its ACL sees only primary identities and primary
groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The service's own settings that change a decision.

    `deny_access`: names of primary groups whose members are refused. `full_access_administrators`: names of
    primary identities that bypass ACLs. `anonymous_without_entry`: a valid certificate without an entry
    counts as none. `allowed_lifetime`, `refused_lifetime`: the longest life of a cached verdict.
    `domain_lifetimes`: the longest life of one that rests on what the directory of a domain holds, for domains whose
    changes nobody tells; a domain not named here bounds nothing.
    """

    deny_access: tuple[str, ...] = ()
    full_access_administrators: frozenset[Name] = frozenset()
    anonymous_without_entry: bool = False
    clock_skew: timedelta = timedelta(0)
    allowed_lifetime: timedelta = timedelta(seconds=60)
    refused_lifetime: timedelta = timedelta(seconds=5)
    domain_lifetimes: Mapping[str, timedelta] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything a decision reads, as one immutable value: swapped as a whole, never changed.

    `ocsp`: who answers for single certificates, None for nobody; what it remembers is its own. `paths` is told of
    every proven path; None where nobody wants to know.
    """

    trust: TrustStore
    revocation: RevocationSnapshot
    assistance: DirectoryAssistance
    databases: Databases
    policy: Policy
    version: str
    blocks: Blocks = BlockList()  # noqa: RUF009 - a list without blocks never changes
    ocsp: OcspSource | None = None
    paths: ProvenPaths | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The one clock reading of a request: `now` in UTC, and the deadline in monotonic seconds."""

    now: datetime
    deadline: float


def decide(
    request: DecisionRequest,
    snapshot: Snapshot,
    moment: Moment,
    trace: TraceRecorder,
    *,
    exhaustive: bool = False,
) -> Verdict:
    """Decide a request: the eight steps.

    Args:
        request: what is presented and what is wanted.
        snapshot: trust, directories, databases and policy, as they are now.
        moment: the clock reading.
        trace: collects what was looked at.
        exhaustive: search on after a hit and warn of a second owner (`explain`); never changes the verdict.

    Returns:
        A verdict; every fault of a directory or the store is `Undecided`.

    """
    return _Decision(request, snapshot, moment, trace, exhaustive=exhaustive).run()


class _Decision:
    """One run of the eight steps; holds what is known so far, for the verdict to carry."""

    def __init__(
        self,
        request: DecisionRequest,
        snapshot: Snapshot,
        moment: Moment,
        trace: TraceRecorder,
        *,
        exhaustive: bool,
    ) -> None:
        self._request = request
        self._snapshot = snapshot
        self._moment = moment
        self._trace = trace
        self._exhaustive = exhaustive
        self._certificate: VerifiedCertificate | None = None
        # Beside `_certificate`, which is dropped where it counts as none: what it said bounds the verdict still.
        self._path_end: datetime | None = None
        self._entry_end: datetime | None = None
        self._revocation: RevocationEvidence | None = None
        self._blocks = BlockList()  # read once a certificate has a path; of strangers nobody asks the store
        self._block: Block | None = None
        self._identity: Identity | None = None
        # The domains whose directories were asked; beside search outcome and identity, which a verdict about
        # Anonymous drops although it rests on nobody's having been found.
        self._asked: set[str] = set()
        self._notes: list[str] = []
        self._step = "present"

    def run(self) -> Verdict:
        target = self._request.target
        if isinstance(target, RefusedTarget) and target.reason is Reason.BAD_REQUEST:
            return self._denied(Reason.BAD_REQUEST, target.problem)
        try:
            return self._steps(target)
        except ExpansionLimitExceeded as fault:
            return self._undecided(Reason.EXPANSION_LIMIT, str(fault))
        except DirectoryFault as fault:
            return self._undecided(Reason.DIRECTORY_UNAVAILABLE, str(fault))
        except StoreFault as fault:
            return self._undecided(Reason.STORE_UNAVAILABLE, str(fault))

    def _steps(self, target: Target) -> Verdict:
        match self._request.presentation:  # step 1: present
            case NoCertificate():
                return self._decide_without_identity(target, "no certificate was presented")
            case UnreadableCertificate(problem=problem):
                return self._denied(Reason.CERTIFICATE_UNREADABLE, problem)
            case RejectedByFrontEnd(problem=problem):
                return self._denied(Reason.CERTIFICATE_UNTRUSTED, problem)
            case PresentedCertificate() as presented:
                self._trace.note("present", presented.digest.hex()[:16], "a certificate was presented")
            case _ as unreachable:
                assert_never(unreachable)
        refused = self._verify(presented) or self._find_identity()  # steps 2 to 6
        if refused is not None:
            unknown = isinstance(refused, Denied) and refused.reason is Reason.NO_ENTRY
            if (
                unknown
                and self._snapshot.policy.anonymous_without_entry
                and self._request.front_end.anonymous
            ):
                self._notes.append("a valid certificate without an entry counts as no certificate")
                return self._decide_without_identity(target, "the certificate has no entry in any directory")
            return refused
        return self._decide_access(target)  # steps 7 and 8

    def _verify(self, presented: PresentedCertificate) -> Denied | Undecided | None:
        """Steps 2 and 3: path, profile, emergency blocks, revocation."""
        self._step = "verify"
        snapshot, front_end = self._snapshot, self._request.front_end
        verified = verify_path(
            presented,
            snapshot.trust,
            front_end=front_end.name,
            now=self._moment.now,
            clock_skew=snapshot.policy.clock_skew,
            accept_expired=front_end.accept_expired,
        )
        if isinstance(verified, PathRefusal):
            return self._denied(verified.reason, verified.detail)
        self._certificate = verified
        self._path_end = verified.not_after
        self._trace.note(
            "verify", f"anchor {verified.anchor_id}", f"path of {len(verified.path)} certificates"
        )
        if verified.expired_accepted:
            self._notes.append("expired, accepted by insecure_accept_expired")
        self._step = "revocation"
        self._blocks = snapshot.blocks.current()
        hit = self._blocks.find(verified.path, now=self._moment.now)
        if hit is not None:
            what = f"`{hit.certificate.subject_text}` of the certification path"
            return self._denied_by_block(Reason.CERTIFICATE_REVOKED, hit.block, what)
        waiting = "" if snapshot.paths is None else snapshot.paths.note(verified)
        outcome = check_revocation(
            verified,
            snapshot.revocation,
            now=self._moment.now,
            ocsp=snapshot.ocsp,
            deadline=self._moment.deadline,
        )
        self._revocation = outcome if isinstance(outcome, RevocationEvidence) else outcome.evidence
        for subject, told in tell_revocation(self._revocation):
            self._trace.note("revocation", subject, told)
        match outcome:
            case RevocationRefusal(reason=Reason.REVOCATION_UNKNOWN, detail=detail) if waiting:
                # A configured source that is not there yet makes nobody unknown (semantics section 8).
                return self._undecided(
                    Reason.REVOCATION_UNAVAILABLE, f"{detail}, and `{shorten(waiting)}` is not fetched yet"
                )
            case RevocationRefusal() as refusal:
                return self._denied(refusal.reason, refusal.detail)
            case RevocationUndecided() as undecided:
                return self._undecided(undecided.reason, undecided.detail)
            case RevocationEvidence() as evidence:
                if evidence.grace_used:
                    self._notes.append("a revocation list is past its next update, accepted by the grace")
            case _ as unreachable:
                assert_never(unreachable)
        return None

    def _find_identity(self) -> Denied | None:
        """Steps 4 to 6: candidates, search, identity."""
        assert self._certificate is not None
        self._step = "search"
        snapshot, deadline = self._snapshot, self._moment.deadline
        outcome = search(
            snapshot.assistance,
            SearchRequest(
                names=self._certificate.names,
                anchor_id=self._certificate.anchor_id,
                deadline=deadline,
                is_administrative=self._is_administrative,
                exhaustive=self._exhaustive,
                domains=self._certificate.anchor.settings.domains,
                now=self._moment.now,
            ),
            self._trace,
        )
        self._asked |= outcome.asked
        if isinstance(outcome, NoMatch):
            if outcome.refusal is SearchRefusal.NO_USABLE_NAME:
                self._step = "name"
            return self._denied(Reason(outcome.refusal.value), outcome.detail)
        self._notes.extend(outcome.warnings)
        self._entry_end = outcome.entry.expires
        self._step = "identify"
        for name in (outcome.name, outcome.own_name):
            block = self._blocks.find_identity(name, now=self._moment.now)
            if block is not None:
                what = f"`{shorten(render_name(name))}` in `{outcome.domain.domain}`"
                return self._denied_by_block(Reason.ENTRY_DISABLED, block, what)
        self._asked.add(snapshot.assistance.primary.domain)
        denying = denying_group_of(
            snapshot.assistance, outcome, snapshot.policy.deny_access, deadline=deadline
        )
        if denying is not None:
            who = f"`{shorten(render_name(outcome.name))}` in `{outcome.domain.domain}`"
            return self._denied(
                Reason.DENY_GROUP, f"{who} is a member of the deny group `{shorten(denying)}` of the primary"
            )
        self._asked.update(each.domain for each in domains_with_groups(snapshot.assistance, outcome))
        self._identity = identify(snapshot.assistance, outcome, deadline=deadline, trace=self._trace)
        return None

    def _is_administrative(self, name: Name) -> bool:
        """Whether a name is an administrator's: then nobody outside the primary may bear it."""
        if name in self._snapshot.policy.full_access_administrators:
            return True
        database = self._snapshot.databases.find(DIRECTORY_DATABASE)
        if database is None:
            raise StoreFault(
                f"the built-in database `{DIRECTORY_DATABASE}` is missing: has the schema been migrated?"
            )
        return name in explicit_names(database)

    def _decide_access(self, target: Target) -> Verdict:
        """Step 7 for an identity."""
        assert self._identity is not None
        self._step = "decide"
        match target:
            case IdentityTarget():
                return self._allowed(Reason.ALLOWED_IDENTITY, None)
            case RefusedTarget(problem=problem):
                return self._denied(Reason.DATABASE_UNKNOWN, problem)
            case DatabaseTarget():
                database = self._snapshot.databases.find(target.database)
            case _ as unreachable:
                assert_never(unreachable)
        if database is None:
            return self._denied(Reason.DATABASE_UNKNOWN, f"no database `{target.database}`")
        administrator = (
            self._identity.primary and self._identity.name in self._snapshot.policy.full_access_administrators
        )
        if administrator:
            access = full_access(database)
            self._trace.note("decide", f"{database.name}: {access.decided_by.value}", "the ACL is bypassed")
            refused = self._refuse_plain(database, access)
        else:
            explanation = self._explain(database, self._identity)
            access = explanation.access
            refused = self._refuse_access(database, explanation, target)
        if refused is not None:
            return refused
        return self._allowed(Reason.ALLOWED_FULL_ACCESS if administrator else Reason.ALLOWED, access)

    def _refuse_access(
        self, database: Database, explanation: AccessExplanation, target: DatabaseTarget
    ) -> Denied | None:
        """Refuse where the requirement is not met, or TLS is required and missing."""
        unmet = unmet_requirement(explanation.access, target.requirement)
        if unmet is not None:
            return self._denied(unmet, tell_unmet(explanation, target.requirement), access=explanation.access)
        return self._refuse_plain(database, explanation.access)

    def _refuse_plain(self, database: Database, access: EffectiveAccess) -> Denied | None:
        """Refuse where the database requires TLS and the request came without."""
        if not database.require_tls or self._over_tls():
            return None
        where = f": use {self._request.https_url}" if self._request.https_url else ""
        detail = f"`{database.name}` is served over TLS only{where}"
        return self._denied(Reason.TLS_REQUIRED, detail, access=access)

    def _decide_without_identity(self, target: Target, why: str) -> Verdict:  # noqa: PLR0911 - one for each outcome
        """Step 7 for a request without a certificate: the Anonymous entry, else -Default-.

        Falls to `certificate_missing` wherever anonymous access is not given, so that the client may present
        one.
        """
        self._trace.note("present", "certificate", why)
        self._certificate = None
        if not self._request.front_end.anonymous:
            where = f"front end `{self._request.front_end.name}` does not allow anonymous"
            return self._denied(Reason.CERTIFICATE_MISSING, f"{why}, and {where}")
        self._step = "decide"
        match target:
            case IdentityTarget():
                return self._denied(Reason.CERTIFICATE_MISSING, f"{why}, and an identity is asked for")
            case RefusedTarget(problem=problem):
                return self._denied(Reason.DATABASE_UNKNOWN, problem)
            case DatabaseTarget():
                database = self._snapshot.databases.find(target.database)
            case _ as unreachable:
                assert_never(unreachable)
        if database is None:
            return self._denied(Reason.DATABASE_UNKNOWN, f"no database `{target.database}`")
        explanation = self._explain(database, None)
        refused = self._refuse_access(database, explanation, target)
        if refused is not None and refused.reason is not Reason.TLS_REQUIRED:
            return self._denied(Reason.CERTIFICATE_MISSING, f"{why}, and {refused.detail}")
        if refused is not None:
            return refused
        return self._allowed(Reason.ALLOWED_ANONYMOUS, explanation.access)

    def _explain(self, database: Database, identity: Identity | None) -> AccessExplanation:
        """Resolve the ACL, and note every entry that matched."""
        explanation = explain_access(
            database,
            identity,
            domains=self._snapshot.assistance.domain_names,
            primary_only=database.key == DIRECTORY_DATABASE,
        )
        for name, told in tell_matches(explanation):
            self._trace.note("decide", f"{database.name}: ACL entry {name}", told)
        access = explanation.access
        self._trace.note("decide", f"{database.name}: {access.decided_by.value}", access.level.label)
        return explanation

    def _over_tls(self) -> bool:
        """Whether the original request arrived over TLS; where nobody says, only if it carries a certificate."""
        if self._request.over_tls is None:
            return isinstance(self._request.presentation, PresentedCertificate)
        return self._request.over_tls

    def _allowed(self, reason: Reason, access: EffectiveAccess | None) -> Allowed:
        """Step 8, the only builder of `Allowed`."""
        self._trace.note("answer", reason.value, "allowed")
        return Allowed(
            reason=reason,
            identity=self._identity,
            access=access,
            certificate=self._certificate,
            revocation=self._revocation if self._certificate is not None else None,
            valid_until=self._valid_until(self._snapshot.policy.allowed_lifetime),
            notes=tuple(self._notes),
            trace=self._trace.lines,
        )

    def _denied(self, reason: Reason, detail: str, *, access: EffectiveAccess | None = None) -> Denied:
        self._trace.note(self._step, reason.value, detail)
        return Denied(
            reason=reason,
            detail=detail,
            step=self._step,
            identity=self._identity,
            access=access,
            certificate=self._certificate,
            revocation=self._revocation,
            valid_until=self._valid_until(self._snapshot.policy.refused_lifetime),
            block_id=None if self._block is None else self._block.id,
            notes=tuple(self._notes),
            trace=self._trace.lines,
        )

    def _denied_by_block(self, reason: Reason, block: Block, what: str) -> Denied:
        """Refuse by an emergency block; the refusal is remembered for no longer than the block lasts."""
        self._block = block
        return self._denied(reason, tell_block(block, what))

    def _undecided(self, reason: Reason, detail: str) -> Undecided:
        self._trace.note(self._step, reason.value, detail)
        return Undecided(
            reason=reason,
            detail=detail,
            step=self._step,
            certificate=self._certificate,
            revocation=self._revocation,
            trace=self._trace.lines,
        )

    def _valid_until(self, lifetime: timedelta) -> datetime:
        """Return what bounds a cached verdict: the earliest of all that it rests on.

        That is its own life, the ends of path, entry and block, the next update of a list, and the life of an answer
        from each of the directories asked that tell no changes.
        """
        bounds = [self._moment.now + lifetime]
        bounds.extend(end for end in (self._path_end, self._entry_end) if end is not None)
        if self._block is not None and self._block.ends is not None:
            bounds.append(self._block.ends)
        if self._revocation is not None and self._revocation.holds_until is not None:
            bounds.append(self._revocation.holds_until)
        lifetimes = self._snapshot.policy.domain_lifetimes
        bounds.extend(self._moment.now + lifetimes[domain] for domain in self._asked & lifetimes.keys())
        return min(bounds)
