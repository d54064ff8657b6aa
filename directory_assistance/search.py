"""The search: from the names of a certificate to exactly one entry, in a directory trusted for it, bound to it.

What lives here: which directory is asked when, exactly-one, the trust test on the entry found, the marks of
revoked certificates, and what ends a search. What does not: how a directory is asked (backends), what binds
an entry (`binding.py`), which candidates a certificate yields (`candidates.py`), groups (`groups.py`), and
whether the certificate may be trusted at all.

Invariants:

* A `Match` is only made here, after every check; it cannot be built elsewhere.
* A fault is raised, never turned into "nobody": a later directory must not answer for an earlier one that did
  not answer, unless that domain says `on_unavailable: skip`, and then the trace says so.
* Over several candidates and directories the refusal given is the first in the order of `SearchRefusal`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from directory_assistance.binding import STRENGTH, binds, why_not_bound
from directory_assistance.candidates import (
    BindBy,
    Candidate,
    CandidatePlan,
    CertificateCandidate,
    FindBy,
    plan_candidates,
)
from directory_assistance.certificate_names import CertificateNames
from directory_assistance.directory import LookUp
from directory_assistance.dn import Name, is_reserved, read_ldap_dn, render_name
from directory_assistance.domains import (
    Ambiguity,
    AnyDomain,
    DirectoryAssistance,
    OnUnavailable,
    PrimaryDomain,
    order_domains,
)
from directory_assistance.entry import Entry
from directory_assistance.errors import (
    DirectoryAnswerMalformed,
    DirectoryFault,
    DirectoryUnavailable,
    NameSyntaxError,
    shorten,
)
from directory_assistance.naming import NamingRule, most_specific_match, render_rule
from directory_assistance.trace import TraceRecorder

__all__ = ["Match", "NoMatch", "SearchOutcome", "SearchRefusal", "SearchRequest", "search"]

_SEAL = object()
_UNIQUE_LIMIT = 2
"""Entries asked for where the fact is unique: enough to see that it is not."""

_MOST_RULES = 5
"""Naming rules that a text repeats; `check-config` prints them all."""


class SearchRefusal(StrEnum):
    """Why no entry was found, in the order of precedence; the values are reason codes."""

    CERTIFICATE_REVOKED = "certificate_revoked"
    NO_USABLE_NAME = "no_usable_name"
    AMBIGUOUS = "ambiguous"
    ENTRY_DISABLED = "entry_disabled"
    CERTIFICATE_DIFFERS = "certificate_differs"
    DOMAIN_NOT_TRUSTED_FOR_NAME = "domain_not_trusted_for_name"
    NO_ENTRY = "no_entry"


def _nothing_is_administrative(_name: Name) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """One question to directory assistance.

    `names`: of a certificate whose path was verified. `anchor_id`: the anchor that path ends in, which
    `issued_by` is held against. `is_administrative`: whether nobody outside the primary may have a name,
    beside the primary's own names (explicit entries in the ACL of `directory`, full access administrators);
    asked for entries found outside alone. `exhaustive`: look on after a hit and report a second owner,
    without changing the outcome (`explain`). `domains`: the only domains whose directories may hold the owner, None
    for all (a cross-certificate's). `deadline`: monotonic seconds. `now`: the request's instant; without it
    an entry that expires at all counts as expired.
    """

    names: CertificateNames
    anchor_id: str
    deadline: float
    is_administrative: Callable[[Name], bool] = _nothing_is_administrative
    exhaustive: bool = False
    domains: frozenset[str] | None = None
    now: datetime | None = None


class Match:
    """Evidence that exactly one entry, in a directory trusted for its name, is bound to the certificate.

    `name` is the name for ACLs, `own_name` the entry's own; they differ where a name attribute maps it.
    `rule` is the trusted rule that covers the name, printed, empty for the primary. `asked` names the domains whose
    directories were asked on the way: what they hold may have made the outcome.
    """

    __slots__ = (
        "asked",
        "bound_by",
        "domain",
        "entry",
        "found_by",
        "name",
        "own_name",
        "rule",
        "strength",
        "warnings",
    )

    def __init__(  # noqa: PLR0913 - evidence is made in one place, with everything it says
        self,
        *,
        seal: object,
        domain: AnyDomain,
        entry: Entry,
        name: Name,
        found_by: FindBy,
        bound_by: BindBy,
        rule: str,
        asked: frozenset[str],
        warnings: tuple[str, ...] = (),
    ) -> None:
        assert seal is _SEAL, "a Match is only made by search()"
        self.domain = domain
        self.entry = entry
        self.name = name
        self.own_name = entry.names[0]
        self.found_by = found_by
        self.bound_by = bound_by
        self.strength = STRENGTH[bound_by]
        self.rule = rule
        self.asked = asked
        self.warnings = warnings


@dataclass(frozen=True, slots=True, kw_only=True)
class NoMatch:
    """No entry, and why; `detail` says what was found and where, for administrators; `asked` as in `Match`."""

    refusal: SearchRefusal
    detail: str
    asked: frozenset[str] = field(default=frozenset(), compare=False)


SearchOutcome = Match | NoMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hit:
    """A bound entry, before the checks on its name."""

    domain: AnyDomain
    entry: Entry
    found_by: FindBy


def search(assistance: DirectoryAssistance, request: SearchRequest, trace: TraceRecorder) -> SearchOutcome:
    """Find the one owner of a verified certificate.

    1. Refuse a certificate whose names cannot be used, or that yields no candidate in any plan.
    2. Ask the primary whether it holds the certificate marked revoked.
    3. Ask directory after directory, candidate after candidate; bind what is found.
    4. The first candidate that yields exactly one bound entry ends the search, when the entry's name is one
       that its directory is trusted for; then refuse it if it is disabled or has a name that belongs to the
       primary.
    5. With `ambiguity: strict`, or to explain, look on for a second owner.

    Args:
        assistance: the directories.
        request: the question.
        trace: where each question and answer is noted.

    Returns:
        A `Match`, or a `NoMatch` with the first refusal in the order of `SearchRefusal`.

    Raises:
        DirectoryFault: a directory that had to answer did not. Not checked here: trust, dates and revocation
            by the CA.

    """
    return _Search(assistance, request, trace).run()


class _Search:
    """The state of one search: refusals met so far, and questions already answered."""

    def __init__(self, assistance: DirectoryAssistance, request: SearchRequest, trace: TraceRecorder) -> None:
        self._assistance = assistance
        self._request = request
        self._trace = trace
        self._refusals: list[NoMatch] = []
        self._told: dict[str, list[str]] = {}
        self._answers: dict[tuple[str, Candidate], LookUp] = {}
        self._asked: set[str] = set()

    def run(self) -> SearchOutcome:
        outcome = self._find()
        if isinstance(outcome, NoMatch):
            return replace(outcome, asked=frozenset(self._asked))
        return outcome

    def _find(self) -> SearchOutcome:
        names = self._request.names
        if names.unusable:  # step 1
            return NoMatch(refusal=SearchRefusal.NO_USABLE_NAME, detail=names.unusable)
        asked = self._plan()
        if asked and not any(plan.candidates for _domain, plan in asked):
            return NoMatch(
                refusal=SearchRefusal.NO_USABLE_NAME,
                detail="no way of any match plan yields a candidate for this certificate",
            )
        marked = self._find_revoked_mark()  # step 2
        if marked is not None:
            return marked
        hits = self._hits(asked)  # step 3
        for hit in hits:
            if isinstance(hit, NoMatch):
                return hit
            outcome = self._accept(hit)  # step 4
            if outcome is None:
                continue
            return self._look_on(outcome, hits)  # step 5
        return self._first_refusal()

    def _plan(self) -> list[tuple[AnyDomain, CandidatePlan]]:
        """Pair each directory to ask, in order, with its candidates.

        A hierarchical candidate is asked only of the primary and of directories with a trusted rule matching
        it.
        """
        names = self._request.names
        primary = self._assistance.primary
        asked: list[tuple[AnyDomain, CandidatePlan]] = [(primary, plan_candidates(primary.plan, names))]
        for domain, rule in order_domains(self._assistance.domains, names.subject):
            plan = plan_candidates(domain.plan, names)
            if rule is None:
                plan = plan.without(FindBy.SUBJECT, "no trusted rule of this domain matches the subject")
            asked.append((domain, plan))
        allowed = self._request.domains
        if allowed is None:
            return asked
        for each, _candidates in asked:
            if each.domain not in allowed:
                self._tell(each, "not asked, because trust in the certificate is for other domains")
                self._trace.note("search", each.domain, "not asked: trust is for other domains")
        return [(each, plan) for each, plan in asked if each.domain in allowed]

    def _find_revoked_mark(self) -> NoMatch | None:
        """Ask the primary, whatever its plan, whether it holds this certificate marked revoked."""
        names = self._request.names
        primary = self._assistance.primary
        candidate = CertificateCandidate(der=names.der, issuer=names.issuer, serial=names.serial)
        answer = self._ask(primary, candidate, limit=primary.size_limit)
        if answer.exceeded:  # among so many owners a mark could hide
            return NoMatch(
                refusal=SearchRefusal.AMBIGUOUS,
                detail=f"more than {primary.size_limit} entries of `{primary.domain}` hold this certificate",
            )
        return self._revoked(primary, answer)

    def _revoked(self, domain: AnyDomain, answer: LookUp) -> NoMatch | None:
        for entry in answer.entries:
            if any(stored.revoked and stored.der == self._request.names.der for stored in entry.certificates):
                detail = f"`{_shown(entry)}` in `{domain.domain}` holds this certificate marked revoked"
                self._trace.note("search", domain.domain, detail)
                return NoMatch(refusal=SearchRefusal.CERTIFICATE_REVOKED, detail=detail)
        return None

    def _hits(self, asked: list[tuple[AnyDomain, CandidatePlan]]) -> Iterator[_Hit | NoMatch]:
        """Ask everything in order; yield each single bound entry, and each refusal that ends the search."""
        for domain, plan in asked:
            for way, why in plan.skipped:
                self._trace.note("search", f"{domain.domain}: {way}", f"not asked: {why}")
            try:
                yield from self._hits_in(domain, plan)
            except DirectoryUnavailable as fault:
                if isinstance(domain, PrimaryDomain) or domain.on_unavailable is OnUnavailable.UNDECIDED:
                    raise
                self._tell(domain, "did not answer and was skipped")
                self._trace.note(
                    "search", domain.domain, f"SKIPPED although it did not answer: {fault.problem}"
                )

    def _hits_in(self, domain: AnyDomain, plan: CandidatePlan) -> Iterator[_Hit | NoMatch]:
        if not plan.candidates:
            self._tell(domain, "not asked")
        for candidate in plan.candidates:
            outcome = self._look_up(domain, candidate)
            if outcome is not None:
                yield outcome

    def _look_up(self, domain: AnyDomain, candidate: Candidate) -> _Hit | NoMatch | None:
        """Ask one question and bind what is found; None means that the search goes on."""
        limit = _UNIQUE_LIMIT if candidate.find_by.unique else domain.size_limit
        answer = self._ask(domain, candidate, limit=limit)
        subject = f"{domain.domain}: {candidate.find_by}: {answer.asked}"
        if not answer.supported:
            self._trace.note("search", subject, "this kind of directory cannot be asked so")
            self._tell(domain, f"{candidate.find_by} not supported")
            return None
        self._tell(domain, candidate.find_by)
        if answer.exceeded:
            self._trace.note("search", subject, f"more than {limit} entries")
            return NoMatch(
                refusal=SearchRefusal.AMBIGUOUS,
                detail=f"more than {limit} entries of `{domain.domain}` match by {candidate.find_by}",
            )
        marked = self._revoked(domain, answer)
        if marked is not None:
            return marked
        names, anchor = self._request.names, self._request.anchor_id
        bound = [entry for entry in answer.entries if binds(domain.plan, entry, names, anchor)]
        self._trace.note(
            "search", subject, f"{len(answer.entries)} found, {len(bound)} bound by {domain.plan.bind_by}"
        )
        if len(bound) > 1:
            owners = ", ".join(f"`{_shown(entry)}`" for entry in bound)
            return NoMatch(
                refusal=SearchRefusal.AMBIGUOUS,
                detail=shorten(
                    f"{len(bound)} entries of {domain.domain} are bound to this certificate: {owners}"
                ),
            )
        if bound:
            return _Hit(domain=domain, entry=bound[0], found_by=candidate.find_by)
        if answer.entries:
            found = answer.entries[0]
            self._refuse(
                SearchRefusal.CERTIFICATE_DIFFERS,
                f"`{_shown(found)}` in `{domain.domain}` was found by {candidate.find_by}, but "
                f"{why_not_bound(domain.plan, found, anchor)} (bind_by: {domain.plan.bind_by})",
            )
        return None

    def _tell(self, domain: AnyDomain, what: str) -> None:
        """Remember what was done in a directory, for the text of `no_entry`."""
        self._told.setdefault(domain.domain, []).append(what)

    def _ask(self, domain: AnyDomain, candidate: Candidate, *, limit: int) -> LookUp:
        """Ask once per search: the primary's question for revoked marks is also its `certificate` way."""
        key = (domain.domain, candidate)
        self._asked.add(domain.domain)  # before the question: one that fails and is skipped was asked too
        if key not in self._answers:
            self._answers[key] = domain.directory.find_entries(
                candidate, limit=limit, deadline=self._request.deadline
            )
        return self._answers[key]

    def _accept(self, hit: _Hit) -> SearchOutcome | None:
        """Check the name of a single bound entry; None means that the search goes on."""
        domain, entry = hit.domain, hit.entry
        if len(entry.mapped_names) > 1:
            return NoMatch(
                refusal=SearchRefusal.AMBIGUOUS,
                detail=f"the name attribute of `{_shown(entry)}` in `{domain.domain}` has several values",
            )
        names = [entry.names[0], *self._read_mapped_names(hit)]
        rules, problem = self._trusted_rules(domain, names)
        if problem:
            self._trace.note("search", f"{domain.domain}: {hit.found_by}", problem)
            self._refuse(SearchRefusal.DOMAIN_NOT_TRUSTED_FOR_NAME, problem)
            return None
        if entry.disabled:
            return NoMatch(
                refusal=SearchRefusal.ENTRY_DISABLED,
                detail=f"`{_shown(entry)}` in `{domain.domain}` is disabled",
            )
        if entry.expires is not None and (self._request.now is None or entry.expires <= self._request.now):
            return NoMatch(
                refusal=SearchRefusal.ENTRY_DISABLED,
                detail=f"`{_shown(entry)}` in `{domain.domain}` expired at {entry.expires.isoformat()}",
            )
        borrowed = self._borrowed_name(domain, names)
        if borrowed is not None:
            detail = (
                f"`{_printed(borrowed)}`, found in `{domain.domain}`, is a name of the primary directory or of an "
                "administrator, and the domain does not say may_assert_primary_names"
            )
            self._trace.note("search", domain.domain, detail)
            return NoMatch(refusal=SearchRefusal.DOMAIN_NOT_TRUSTED_FOR_NAME, detail=detail)
        return Match(
            seal=_SEAL,
            domain=domain,
            entry=entry,
            name=names[-1],
            found_by=hit.found_by,
            bound_by=domain.plan.bind_by,
            rule=rules[-1] if rules else "",
            asked=frozenset(self._asked),
        )

    def _trusted_rules(self, domain: AnyDomain, names: Sequence[Name]) -> tuple[list[str], str]:
        """Return the trusted rule that covers each name, printed (none for the primary), or what is wrong."""
        reserved = next((name for name in names if is_reserved(name)), None)
        if reserved is not None:
            return [], f"`{_printed(reserved)}` is a reserved name and never an identity"
        if isinstance(domain, PrimaryDomain):
            return [], ""
        covering = []
        for name in names:
            rule = most_specific_match(domain.rules, name)
            if rule is None:
                return [], (
                    f"no enabled trusted rule of `{domain.domain}` covers `{_printed(name)}`: "
                    f"its rules are {_printed_rules(domain.rules)}"
                )
            covering.append(render_rule(rule))
            self._trace.note("search", f"{domain.domain}: rule {covering[-1]}", f"covers `{_printed(name)}`")
        return covering, ""

    def _borrowed_name(self, domain: AnyDomain, names: Sequence[Name]) -> Name | None:
        """Return the first of the names that belongs to the primary although it was found elsewhere."""
        if isinstance(domain, PrimaryDomain) or domain.may_assert_primary_names:
            return None
        return next((name for name in names if self._belongs_to_primary(name)), None)

    def _read_mapped_names(self, hit: _Hit) -> list[Name]:
        """Read the value of the name attribute (LDAP syntax).

        Raises:
            DirectoryAnswerMalformed: it is not a distinguished name. Falling back to the DN would give the
                person another identity than the administrators meant.

        """
        try:
            return [read_ldap_dn(value) for value in hit.entry.mapped_names]
        except NameSyntaxError as error:
            raise DirectoryAnswerMalformed(
                hit.domain.domain,
                f"the name attribute of `{_shown(hit.entry)}` is no distinguished name: {error}",
            ) from error

    def _belongs_to_primary(self, name: Name) -> bool:
        self._asked.add(self._assistance.primary.domain)
        return self._request.is_administrative(name) or self._assistance.primary.directory.holds_name(
            name, deadline=self._request.deadline
        )

    def _look_on(self, outcome: SearchOutcome, rest: Iterator[_Hit | NoMatch]) -> SearchOutcome:
        """Look for a second owner after a hit, where that was asked for."""
        strict = self._assistance.ambiguity is Ambiguity.STRICT
        if isinstance(outcome, NoMatch) or not (strict or self._request.exhaustive):
            return outcome
        try:
            second = self._second_owner(outcome, rest)
        except DirectoryFault as fault:
            if strict:
                raise
            second = None
            self._trace.note("search", fault.domain, f"not asked for a second owner: {fault.problem}")
        if second is None:
            return self._looked_on(outcome, ())
        warning = f"`{_shown(outcome.entry)}` in `{outcome.domain.domain}` is not the only owner: {second}"
        self._trace.note("search", "second owner", warning)
        if strict:
            return NoMatch(refusal=SearchRefusal.AMBIGUOUS, detail=warning)
        return self._looked_on(outcome, (warning,))

    def _looked_on(self, first: Match, warnings: tuple[str, ...]) -> Match:
        """Return the first match, which now rests on every directory that was asked for a second owner too."""
        return Match(
            seal=_SEAL,
            domain=first.domain,
            entry=first.entry,
            name=first.name,
            found_by=first.found_by,
            bound_by=first.bound_by,
            rule=first.rule,
            asked=frozenset(self._asked),
            warnings=warnings,
        )

    def _second_owner(self, first: Match, rest: Iterator[_Hit | NoMatch]) -> str | None:
        for hit in rest:
            if isinstance(hit, NoMatch):
                return hit.detail
            same = hit.domain.domain == first.domain.domain and hit.entry.key == first.entry.key
            if not same:
                return f"`{_shown(hit.entry)}` in `{hit.domain.domain}` is bound to it too"
        return None

    def _refuse(self, refusal: SearchRefusal, detail: str) -> None:
        self._refusals.append(NoMatch(refusal=refusal, detail=detail))

    def _first_refusal(self) -> NoMatch:
        order = tuple(SearchRefusal)
        asked = "; ".join(f"{domain}: {', '.join(what)}" for domain, what in self._told.items())
        nobody = NoMatch(
            refusal=SearchRefusal.NO_ENTRY,
            detail=f"no directory holds an entry for this certificate; asked were {asked}",
        )
        return min((*self._refusals, nobody), key=lambda refusal: order.index(refusal.refusal))


def _printed(name: Name) -> str:
    return shorten(render_name(name))


def _printed_rules(rules: Sequence[NamingRule]) -> str:
    """Print rules with their state, at most five: the configuration has them all."""
    states = {(True, False): " (not trusted)", (False, True): " (disabled)", (True, True): ""}
    told = [
        f"`{shorten(render_rule(rule))}`{states.get((rule.enabled, rule.trusted), ' (disabled, not trusted)')}"
        for rule in rules[:_MOST_RULES]
    ]
    more = f" and {len(rules) - _MOST_RULES} more" if len(rules) > _MOST_RULES else ""
    return ", ".join(told) + more


def _shown(entry: Entry) -> str:
    return _printed(entry.names[0])
