"""What is no mistake of `directory-assistance.yaml` and still goes wrong: warnings about domains as they are together.

What lives here: rules that cover or overlap others, ways and bindings that a kind of directory cannot answer,
rules that fit nothing below a base, outages that reach further than their domain. What does not: mistakes
(`config.py` and its parts), the relations of rules (`naming_relations.py`), what only a look into the
directories shows (`verification.py`).

Invariants:

* Everything here is a warning; settings come out all the same.
* A domain that is not enabled is never warned about, nor held against another.
* Two domains whose rules have no name in common are no reason for a warning: which of them is asked first
  concerns only certificates whose subject no rule matches, and every file of several domains would be told so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from directory_assistance.backends.ldap.questions import NotAsked, plan_questions
from directory_assistance.backends.ldap.settings import LdapSettings, ServerKind
from directory_assistance.candidates import (
    BindBy,
    Candidate,
    CertificateCandidate,
    FindBy,
    IssuerSerialCandidate,
    SidCandidate,
    SubjectKeyIdCandidate,
)
from directory_assistance.config_reading import ConfigReader
from directory_assistance.dn import read_ldap_dn, render_ldap
from directory_assistance.domains import Ambiguity, GroupAuthorization, OnUnavailable
from directory_assistance.errors import shorten
from directory_assistance.naming import NamingRule, SixPartRule, SuffixRule, render_rule, specificity
from directory_assistance.naming_relations import covers, matches_any_name, overlaps
from directory_assistance.settings import DomainSettings
from directory_assistance.yaml_lines import YamlPath

__all__ = ["PlacedDomain", "lint_domains"]

_SOMEBODY: Final = read_ldap_dn("CN=somebody")
_SAMPLE_CANDIDATES: Final[tuple[Candidate, ...]] = (
    CertificateCandidate(der=b"\0", issuer=_SOMEBODY, serial=1),
    IssuerSerialCandidate(issuer=_SOMEBODY, serial=1),
    SubjectKeyIdCandidate(subject_key_id=b"\0"),
    SidCandidate(sid="S-1-5-21-1"),
)
"""A question of each way that not every kind of LDAP server can be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedDomain:
    """A domain that was read without a mistake of its own, and where its parts stand in the file.

    `rules`: those of `settings.rules`, in their order. `find_by` and `bind_by`: the domain's keys, or those
    under `ldap`.
    """

    settings: DomainSettings
    path: YamlPath
    rules: tuple[tuple[YamlPath, NamingRule], ...]
    find_by: YamlPath
    bind_by: YamlPath

    @property
    def trusted(self) -> tuple[tuple[YamlPath, NamingRule], ...]:
        """The rules that make a domain searchable, with their places."""
        return tuple((path, rule) for path, rule in self.rules if rule.enabled and rule.trusted)


def lint_domains(reader: ConfigReader, domains: Sequence[PlacedDomain], ambiguity: Ambiguity) -> None:
    """Warn about everything that domains do to themselves and to each other.

    Args:
        reader: where warnings go, and the file that lines are counted in.
        domains: those that could be read, in the order of the file.
        ambiguity: of the whole file.

    """
    enabled = [domain for domain in domains if domain.settings.enabled]
    for domain in enabled:
        _lint_rules(reader, domain)
        _lint_base(reader, domain)
        _lint_plan(reader, domain)
        _lint_groups(reader, domain)
    searchable = [domain for domain in enabled if domain.trusted]
    for first, second in combinations(searchable, 2):
        _lint_overlaps(reader, first, second)
    _lint_skips(reader, searchable)
    _lint_strictness(reader, searchable, ambiguity)


# --- one domain


def _lint_rules(reader: ConfigReader, domain: PlacedDomain) -> None:
    """Warn of rules that match nobody, and of rules that another rule of the domain makes void."""
    trusted = domain.trusted
    for position, (path, rule) in enumerate(domain.rules):
        if not rule.enabled:
            continue
        if not matches_any_name(rule):
            reader.warn(
                path,
                f"no name matches `{_shown(rule)}`: nobody has a unit beyond one that must be empty",
                hint="six parts are `OU4/OU3/OU2/OU1/O/C`, units are counted from the right",
            )
            continue
        for cover_path, cover in trusted:
            if cover_path == path or not covers(cover, rule):
                continue
            # Of two rules of one meaning the later one is the one too many.
            same = rule.trusted and covers(rule, cover)
            if same and position < [place for place, _ in domain.rules].index(cover_path):
                continue
            _warn_covered(reader, path, rule, cover_path, same=same)
            break


def _warn_covered(
    reader: ConfigReader, path: YamlPath, rule: NamingRule, cover: YamlPath, *, same: bool
) -> None:
    line = reader.loaded.line_of(cover)
    if rule.trusted:
        reader.warn(
            path,
            f"`{_shown(rule)}` adds no name: the rule of line {line} trusts all of them already",
            hint="leave it out" if same else "all it does is to have the domain asked earlier for them",
        )
    else:
        reader.warn(
            path,
            f"`{_shown(rule)}` is not trusted, and takes nothing away: the rule of line {line} trusts its names",
            hint="narrow that rule",
        )


def _lint_base(reader: ConfigReader, domain: PlacedDomain) -> None:
    """Warn where no entry of an LDAP directory can have a name that the domain is trusted for."""
    directory = domain.settings.directory
    if not isinstance(directory, LdapSettings) or not domain.trusted or not directory.base.rdns:
        return
    base = SuffixRule(suffix=directory.base)
    if not any(overlaps(rule, base) for _path, rule in domain.trusted):
        reader.warn(
            (*domain.path, "rules"),
            f"no trusted rule matches a name below the base `{shorten(render_ldap(directory.base))}`, so every entry "
            "that is found there is refused (`domain_not_trusted_for_name`)",
            hint=f'`{{suffix: "{shorten(render_ldap(directory.base))}", trusted: true}}`',
        )


def _lint_plan(reader: ConfigReader, domain: PlacedDomain) -> None:
    """Warn of ways that the kind of server cannot be asked, and of a binding that nobody there can have."""
    directory = domain.settings.directory
    if not isinstance(directory, LdapSettings):
        return  # of other kinds such ways are mistakes
    ways = domain.settings.plan.ways
    refused = [
        (position, why) for position, way in enumerate(ways) if (why := _why_not(way.find_by, directory))
    ]
    stands = reader.stands(domain.find_by)
    for position, why in refused:
        path = (*domain.find_by, position) if stands else domain.find_by
        reader.warn(path, f"`{ways[position].find_by}` is never asked: {why}", hint=_server_hint(directory))
    if refused and len(refused) == len(ways):
        reader.warn(domain.find_by, "no way can be asked here, so nobody is ever found in this domain")
    if domain.settings.plan.bind_by is BindBy.SID and directory.server is not ServerKind.ACTIVE_DIRECTORY:
        reader.warn(
            domain.bind_by,
            "only Active Directory keeps security identifiers, so nobody is ever bound in this domain",
            hint=_server_hint(directory),
        )


def _why_not(find_by: FindBy, directory: LdapSettings) -> str:
    """Return why a server of this kind is never asked so; empty where it is."""
    for candidate in _SAMPLE_CANDIDATES:
        if candidate.find_by is find_by:
            planned = plan_questions(candidate, directory)
            return planned.why if isinstance(planned, NotAsked) else ""
    return ""


def _server_hint(directory: LdapSettings) -> str:
    return (
        f"`server` is `{directory.server}`: change it if the server is of another kind, or choose another way"
    )


def _lint_groups(reader: ConfigReader, domain: PlacedDomain) -> None:
    if domain.settings.group_authorization is GroupAuthorization.ALL:
        reader.warn(
            (*domain.path, "group_authorization"),
            "while this domain does not answer, everybody is undecided, wherever they are found",
            hint="`group_authorization: true` asks it about its own people only",
        )


# --- two domains, and all of them


def _precedence(domain: DomainSettings, rule: NamingRule) -> tuple[tuple[int, ...], bool, int, str]:
    """Return what sorts domains for names of a rule, the one asked first lowest (`domains.order_domains`)."""
    literals, empty, places = specificity(rule)
    specific = (-literals, -empty, *(-place for place in places))
    return (specific, domain.search_order is None, domain.search_order or 0, domain.domain.casefold())


def _common_rules(
    one: PlacedDomain, other: PlacedDomain
) -> Iterator[tuple[YamlPath, NamingRule, YamlPath, NamingRule]]:
    """Yield each pair of trusted rules of two domains that some name matches both of."""
    for path, rule in one.trusted:
        for other_path, other_rule in other.trusted:
            if overlaps(rule, other_rule):
                yield path, rule, other_path, other_rule


def _lint_overlaps(reader: ConfigReader, earlier: PlacedDomain, later: PlacedDomain) -> None:
    """Warn of names that two domains are trusted for, once for each rule of the one that stands later."""
    told: set[YamlPath] = set()
    for earlier_path, earlier_rule, path, rule in _common_rules(earlier, later):
        if path in told:
            continue
        told.add(path)
        line = reader.loaded.line_of(earlier_path)
        ours, theirs = _precedence(later.settings, rule), _precedence(earlier.settings, earlier_rule)
        first, second = (later, earlier) if ours < theirs else (earlier, later)
        both = (
            "every name there is" if _is_everything(rule) and _is_everything(earlier_rule) else "some names"
        )
        outage = (
            f"; while it does not answer, such people of `{second.settings.domain}` are undecided"
            if first.settings.on_unavailable is OnUnavailable.UNDECIDED
            else ""
        )
        tie = ours[:3] == theirs[:3]
        reader.warn(
            path,
            f"`{earlier.settings.domain}` (line {line}) and `{later.settings.domain}` are both trusted for {both}: "
            f"`{first.settings.domain}` is asked first{outage}",
            hint="their names alone decide that: give both a `search_order`"
            if tie
            else _order_hint(ours, theirs),
        )


def _order_hint(
    ours: tuple[tuple[int, ...], bool, int, str], theirs: tuple[tuple[int, ...], bool, int, str]
) -> str:
    return "the more specific rule decides that" if ours[0] != theirs[0] else "`search_order` decides that"


def _is_everything(rule: NamingRule) -> bool:
    return isinstance(rule, SixPartRule) and all(part == "*" for part in rule.parts)


def _lint_skips(reader: ConfigReader, domains: Sequence[PlacedDomain]) -> None:
    """Warn of domains that are left out while they are down although others are trusted for their names."""
    for domain in domains:
        if domain.settings.on_unavailable is not OnUnavailable.SKIP:
            continue
        others = [
            f"`{other.settings.domain}`"
            for other in domains
            if other is not domain and any(_common_rules(domain, other))
        ]
        if others:
            reader.warn(
                (*domain.path, "on_unavailable"),
                f"while this domain does not answer, {' or '.join(others)} may say who its people are: both are "
                "trusted for some names",
                hint="`on_unavailable: undecided`, or rules without a common name",
            )


def _lint_strictness(reader: ConfigReader, domains: Sequence[PlacedDomain], ambiguity: Ambiguity) -> None:
    """Warn of outages that concern everybody, since `strict` looks for a second owner everywhere."""
    needed = [
        f"`{domain.settings.domain}`"
        for domain in domains
        if domain.settings.on_unavailable is OnUnavailable.UNDECIDED
    ]
    if ambiguity is Ambiguity.STRICT and needed:
        reader.warn(
            ("ambiguity",),
            f"while {' or '.join(needed)} does not answer, everybody is undecided, wherever they are found",
            hint="`ambiguity: first` asks no further than the directory that knows them",
        )


def _shown(rule: NamingRule) -> str:
    return shorten(render_rule(rule))
