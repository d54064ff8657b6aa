"""Verification of a directory: what is asked of it, one check after another, and what to change where one fails.

What lives here: the values, and the part that is the same for every kind of directory: each way of the match
plan with a certificate that is known to be in it, and what would become of the entry found. What does not:
connections and servers (`backends/verifying.py` and below), whether the sample's certification path ends in
an anchor (the service knows, and tells), who may ask for a verification.

Invariants:

* A check never raises a `DirectoryFault`: that a directory does not answer is what is to be found out.
* Every check that is not `ok` says what to change, and none repeats a password or a whole certificate.
* A look-up that is not answered is never told as one that finds nobody.
* `why` repeats nothing that a directory or a certificate holds: a log may have it.
* Nothing is decided here. The entry found goes through the same functions as in a search; a `Match` is made
  by `search.py` alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from directory_assistance.binding import binds, why_not_bound
from directory_assistance.candidates import Candidate, FindBy, plan_candidates
from directory_assistance.certificate_names import CertificateNames
from directory_assistance.dn import Name, is_reserved, read_ldap_dn, render_name
from directory_assistance.domains import AnyDomain, GroupAuthorization, PrimaryDomain
from directory_assistance.entry import Entry, Group
from directory_assistance.errors import DirectoryFault, NameSyntaxError, shorten
from directory_assistance.groups import expand_groups, is_usable_group_name, references_of
from directory_assistance.naming import most_specific_match, render_rule

__all__ = ["Check", "CheckRecorder", "CheckResult", "Reached", "Sample", "Verification", "verify_sample"]

_UNIQUE_LIMIT = 2
"""Entries asked for where the fact is unique, as in a search."""

_SEVERAL_BOUND = "several entries are bound to it (`ambiguous`)"

_MOST_GROUPS_SHOWN = 10
"""Names of groups that a line repeats; `explain` has all of them."""


class CheckResult(StrEnum):
    """What came of a check. A `warning` is something that works today; `skipped` could not be looked at."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    `name` is a stable word (`connect`, `tls`, `find_by`); `subject` is what was looked at (a host, a way).
    `found` is one line. `advice` is what to change, empty where the result is `ok`. `milliseconds` is None
    for what took no time because it was not done. `why` tells a failure in words that name nobody, empty elsewhere;
    `answered` is false where it is that a question was not answered.
    """

    name: str
    subject: str
    result: CheckResult
    found: str
    advice: str = ""
    milliseconds: float | None = None
    why: str = ""
    answered: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All checks of one directory, in the order they were made.

    `connected`: whether it could be connected to at all; if not, nothing was asked.
    """

    domain: str
    kind: str
    checks: tuple[Check, ...]
    connected: bool

    @property
    def failed(self) -> bool:
        """Whether any check failed."""
        return any(check.result is CheckResult.FAILED for check in self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A certificate known to be in the directory, and the anchor that its path ends in, empty for none."""

    names: CertificateNames
    anchor_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How far one got: whether anything listens there, and whether questions can be put to it."""

    connected: bool
    answers: bool


class CheckRecorder:
    """Collects the checks of one directory; each is as long as the time since the one before, or since `begin`.

    Args:
        monotonic: seconds that never run backwards.

    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._begun = monotonic()
        self._checks: list[Check] = []

    @property
    def checks(self) -> tuple[Check, ...]:
        """All checks so far."""
        return tuple(self._checks)

    def begin(self) -> None:
        """Begin to measure."""
        self._begun = self._monotonic()

    def ok(self, name: str, subject: str, found: str) -> None:
        """Record that all is well."""
        self._add(name, subject, CheckResult.OK, found, "")

    def warn(self, name: str, subject: str, found: str, *, advice: str) -> None:
        """Record what works and should be changed."""
        self._add(name, subject, CheckResult.WARNING, found, advice)

    def fail(self, name: str, subject: str, found: str, *, advice: str, why: str = "") -> None:
        """Record what does not work; `why` in words that name nobody, by default `found`."""
        self._add(name, subject, CheckResult.FAILED, found, advice, why=why or found)

    def fail_to_ask(self, name: str, subject: str, fault: DirectoryFault, *, advice: str) -> None:
        """Record a question that was not answered."""
        self._add(name, subject, CheckResult.FAILED, fault.problem, advice, why=fault.problem, answered=False)

    def skip(self, name: str, subject: str, found: str, *, advice: str) -> None:
        """Record what could not be looked at, and why."""
        self._checks.append(
            Check(name=name, subject=subject, result=CheckResult.SKIPPED, found=found, advice=advice)
        )
        self.begin()

    def _add(  # noqa: PLR0913 - the parts of a check
        self,
        name: str,
        subject: str,
        result: CheckResult,
        found: str,
        advice: str,
        *,
        why: str = "",
        answered: bool = True,
    ) -> None:
        assert bool(advice) is (result is not CheckResult.OK)
        milliseconds = round((self._monotonic() - self._begun) * 1000, 1)
        self._checks.append(
            Check(
                name=name,
                subject=subject,
                result=result,
                found=found,
                advice=advice,
                milliseconds=milliseconds,
                why=why,
                answered=answered,
            )
        )
        self.begin()


def verify_sample(
    recorder: CheckRecorder,
    domain: AnyDomain,
    sample: Sample,
    *,
    deadline: float,
    now: datetime | None = None,
) -> None:
    """Ask a directory for the owner of a certificate that is known to be in it.

    1. Each way of the match plan: the question as asked, how many entries, how many bound.
    2. The owner: exactly one entry is bound.
    3. Of the owner, else of the first entry found: trusted rule, state (disabled or not), groups.

    Args:
        recorder: where each check goes.
        domain: whose plan and directory.
        sample: the certificate; its path is not looked at here.
        deadline: monotonic seconds.
        now: the instant; without it an entry that expires at all counts as expired, as in a search.

    """
    found, complete = _verify_ways(recorder, domain, sample, deadline)  # step 1
    entry = _verify_owner(recorder, domain, sample, found, complete=complete)  # step 2
    if entry is not None:  # step 3
        name = _verify_names(recorder, domain, entry)
        _verify_state(recorder, entry, now)
        _verify_groups(recorder, domain, entry, name, deadline)


@dataclass(frozen=True, slots=True, kw_only=True)
class _FoundEntry:
    """An entry that a way found, and whether it is bound to the sample."""

    entry: Entry
    find_by: FindBy
    bound: bool


def _verify_ways(
    recorder: CheckRecorder, domain: AnyDomain, sample: Sample, deadline: float
) -> tuple[list[_FoundEntry], bool]:
    """Return the entries found, and whether every way was answered in full."""
    plan = plan_candidates(domain.plan, sample.names)
    for find_by, why in plan.skipped:
        recorder.skip(
            "find_by", find_by, f"not asked: {why}", advice="a sample that has it, if the others have"
        )
    found: list[_FoundEntry] = []
    complete = True
    for candidate in plan.candidates:
        entries = _verify_way(recorder, domain, sample, candidate, deadline)
        complete = complete and entries is not None
        found.extend(entries or ())
    return found, complete


def _verify_way(
    recorder: CheckRecorder, domain: AnyDomain, sample: Sample, candidate: Candidate, deadline: float
) -> list[_FoundEntry] | None:
    """Return the entries that a way finds, None where it is not answered in full."""
    find_by, plan = candidate.find_by, domain.plan
    limit = _UNIQUE_LIMIT if find_by.unique else domain.size_limit
    recorder.begin()
    try:
        answer = domain.directory.find_entries(candidate, limit=limit, deadline=deadline)
    except DirectoryFault as fault:
        advice = "see the checks before; decisions are undecided"
        recorder.fail_to_ask("find_by", find_by, fault, advice=advice)
        return None
    if not answer.supported:
        recorder.skip(
            "find_by",
            find_by,
            f"this kind of directory cannot be asked so: {answer.asked}",
            advice=f"take `{find_by}` out of `find_by`, or name the right `server`",
        )
        return []
    asked = shorten(answer.asked)
    if answer.exceeded:
        recorder.fail(
            "find_by",
            find_by,
            f"{asked}: more than {limit} entries, so the certificate is `ambiguous`",
            advice="a way that finds fewer, or a larger `size_limit`",
            why=f"`{find_by}` finds more than {limit} entries (`ambiguous`)",
        )
        return None
    bound = [entry for entry in answer.entries if binds(plan, entry, sample.names, sample.anchor_id)]
    told = f"{asked}: {_counted(len(answer.entries))}, {len(bound)} bound by {plan.bind_by}"
    if len(bound) > 1:
        advice = "remove the certificate from every entry but one"
        recorder.fail("find_by", find_by, f"{told}: `ambiguous`", advice=advice, why=_SEVERAL_BOUND)
    elif bound:
        recorder.ok("find_by", find_by, told)
    elif answer.entries:
        first = answer.entries[0]
        why = f"`{_printed(first.names[0])}` {why_not_bound(plan, first, sample.anchor_id)}"
        recorder.warn("find_by", find_by, f"{told}: {why}", advice=_binding_advice(domain, first))
    else:
        recorder.warn(
            "find_by",
            find_by,
            told,
            advice=f"look for the entry with this question, or do without `{find_by}`",
        )
    return [_FoundEntry(entry=entry, find_by=find_by, bound=entry in bound) for entry in answer.entries]


def _binding_advice(domain: AnyDomain, entry: Entry) -> str:
    if not entry.certificates:
        return "store the certificate in the entry, and let the identity we bind as read it; or another `bind_by`"
    return f"store this certificate in the entry, or choose another `bind_by` than `{domain.plan.bind_by}`"


def _verify_owner(
    recorder: CheckRecorder,
    domain: AnyDomain,
    sample: Sample,
    found: list[_FoundEntry],
    *,
    complete: bool,
) -> Entry | None:
    """Tell whose the sample is; return the entry to look at further, the owner if there is one."""
    owners = {each.entry.key: each for each in reversed(found) if each.bound}
    if len(owners) == 1:
        (owner,) = owners.values()
        name = _printed(owner.entry.names[0])
        recorder.ok("owner", name, f"found by {owner.find_by}, bound by {domain.plan.bind_by}")
        return owner.entry
    first = found[0].entry if found else None
    if owners:
        named = " and ".join(sorted(f"`{_printed(each.entry.names[0])}`" for each in owners.values()))
        recorder.fail(
            "owner",
            "sample",
            f"several entries are bound to it: {named}",
            advice="remove the certificate from every entry but one",
            why=_SEVERAL_BOUND,
        )
    elif not complete:
        advice = "what is wrong with the ways above"
        recorder.skip("owner", "sample", "not known: not every way was answered", advice=advice)
    elif first is not None:
        why = why_not_bound(domain.plan, first, sample.anchor_id)
        recorder.fail(
            "owner",
            _printed(first.names[0]),
            f"found, but not bound (`certificate_differs`): {why}",
            advice=_binding_advice(domain, first),
            why=f"found, but not bound by {domain.plan.bind_by} (`certificate_differs`)",
        )
    else:
        recorder.fail(
            "owner",
            "sample",
            "no way finds an entry (`no_entry`)",
            advice="name a `sample` that is in this directory; if it is, the ways, the base, or what we may read",
        )
    return first


def _verify_names(recorder: CheckRecorder, domain: AnyDomain, entry: Entry) -> Name:
    """Tell whether the names of the entry are covered by trusted rules; return the one that ACLs see."""
    own = entry.names[0]
    if len(entry.mapped_names) > 1:
        recorder.fail(
            "rule",
            _printed(own),
            f"the name attribute has {len(entry.mapped_names)} values (`ambiguous`)",
            advice="leave the entry one value",
        )
        return own
    names = [own]
    try:
        names += [read_ldap_dn(value) for value in entry.mapped_names]
    except NameSyntaxError as error:
        recorder.fail(
            "rule",
            _printed(own),
            f"the name attribute holds no distinguished name: {error}",
            advice="write a name such as `CN=John Doe,O=Acme` there",
            why="the name attribute holds no distinguished name",
        )
        return own
    for name in names:
        _verify_name(recorder, domain, name)
    return names[-1]


def _verify_name(recorder: CheckRecorder, domain: AnyDomain, name: Name) -> None:
    if is_reserved(name):
        recorder.fail("rule", _printed(name), "the name is reserved, and nobody's", advice="rename the entry")
        return
    if isinstance(domain, PrimaryDomain):
        recorder.ok("rule", _printed(name), "the primary directory needs no rule")
        return
    rule = most_specific_match(domain.rules, name)
    if rule is not None:
        recorder.ok("rule", _printed(name), f"covered by `{shorten(render_rule(rule))}`")
        return
    recorder.fail(
        "rule",
        _printed(name),
        "no enabled trusted rule covers this name (`domain_not_trusted_for_name`)",
        advice=f"a rule of `{domain.domain}` with `trusted: true` that matches it",
    )


def _verify_state(recorder: CheckRecorder, entry: Entry, now: datetime | None) -> None:
    name = _printed(entry.names[0])
    if entry.disabled:
        recorder.fail(
            "state", name, "disabled or locked (`entry_disabled`)", advice="another `sample`, or unlock it"
        )
    elif entry.expires is not None and (now is None or entry.expires <= now):
        found = f"expired at {entry.expires.isoformat()} (`entry_disabled`)"
        recorder.fail("state", name, found, advice="another `sample`, or a later end")
    else:
        recorder.ok("state", name, "neither disabled nor locked, as far as we may read")


def _verify_groups(
    recorder: CheckRecorder, domain: AnyDomain, entry: Entry, name: Name, deadline: float
) -> None:
    own = entry.names[0]
    if not isinstance(domain, PrimaryDomain) and domain.group_authorization is GroupAuthorization.NONE:
        recorder.skip(
            "groups",
            _printed(own),
            "groups of this domain count for nobody",
            advice="`group_authorization: true`, if they should",
        )
        return
    listed = name if isinstance(domain, PrimaryDomain) else own
    recorder.begin()
    try:
        hits = expand_groups(
            domain.directory,
            references_of([listed]),
            counts=_counts,
            limits=domain.expansion,
            deadline=deadline,
        )
    except DirectoryFault as fault:
        advice = "see the checks before, and `groups`: decisions about this person are undecided"
        recorder.fail_to_ask("groups", _printed(own), fault, advice=advice)
        return
    shown = ", ".join(f"`{shorten(hit.group.name)}`" for hit in hits[:_MOST_GROUPS_SHOWN])
    more = f" and {len(hits) - _MOST_GROUPS_SHOWN} more" if len(hits) > _MOST_GROUPS_SHOWN else ""
    recorder.ok("groups", _printed(own), f"{shown}{more}" if hits else "none")


def _counts(group: Group) -> bool:
    return group.type.counts_for_acls and is_usable_group_name(group.name)


def _counted(entries: int) -> str:
    return "1 entry" if entries == 1 else f"{entries} entries"


def _printed(name: Name) -> str:
    return shorten(render_name(name))
