"""The domains of directory assistance as values: who is asked, by which plan, trusted for which names.

Made from configuration (`config.py`) together with open directories; read by `search.py` and `identify.py`.
Nothing here asks a directory.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from directory_assistance.candidates import MatchPlan
from directory_assistance.directory import Directory, PrimaryDirectory
from directory_assistance.dn import DistinguishedName
from directory_assistance.groups import ExpansionLimits
from directory_assistance.naming import NamingRule, most_specific_match, specificity

__all__ = [
    "Ambiguity",
    "AnyDomain",
    "DirectoryAssistance",
    "GroupAuthorization",
    "OnUnavailable",
    "PrimaryDomain",
    "SecondaryDomain",
    "order_domains",
]


class OnUnavailable(StrEnum):
    """What an unreachable directory does to the search: stop it undecided, or be skipped and marked."""

    UNDECIDED = "undecided"
    SKIP = "skip"


class GroupAuthorization(StrEnum):
    """Whose groups a domain is asked for: nobody's, its own people's, everybody's."""

    NONE = "false"
    OWN = "own"
    ALL = "all"


class Ambiguity(StrEnum):
    """`first`: a hit ends the search. `strict`: every later directory is asked, and a second owner refuses."""

    FIRST = "first"
    STRICT = "strict"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimaryDomain:
    """The primary directory: always asked first, needs no rule, may always make statements about its names."""

    domain: str
    directory: PrimaryDirectory
    plan: MatchPlan
    size_limit: int = 100
    expansion: ExpansionLimits = field(default_factory=ExpansionLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondaryDomain:
    """A trusted domain: a secondary directory or an LDAP directory.

    `size_limit`: the most entries that share a looked-up name; more is `ambiguous`, never a part.
    `search_order`: lower is earlier, None is last. `mail_domains`: casefolded; only their mail leaves the
    service.
    """

    domain: str
    directory: Directory
    plan: MatchPlan
    rules: tuple[NamingRule, ...] = ()
    enabled: bool = True
    search_order: int | None = None
    size_limit: int = 100
    on_unavailable: OnUnavailable = OnUnavailable.UNDECIDED
    may_assert_primary_names: bool = False
    group_authorization: GroupAuthorization = GroupAuthorization.NONE
    plain_group_names: bool = False
    mail_domains: frozenset[str] = frozenset()
    expansion: ExpansionLimits = field(default_factory=ExpansionLimits)

    @property
    def searchable(self) -> bool:
        """Whether the domain may be searched at all: enabled, with at least one enabled trusted rule."""
        return self.enabled and any(rule.enabled and rule.trusted for rule in self.rules)


AnyDomain = PrimaryDomain | SecondaryDomain


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryAssistance:
    """The primary directory and the other domains, open and ready to be asked."""

    primary: PrimaryDomain
    domains: tuple[SecondaryDomain, ...] = ()
    ambiguity: Ambiguity = Ambiguity.FIRST

    @property
    def every_domain(self) -> tuple[AnyDomain, ...]:
        """The primary, then the others as configured, disabled ones too."""
        return (self.primary, *self.domains)

    @property
    def domain_names(self) -> frozenset[str]:
        """Return the names of all configured domains, the primary's and those of disabled ones too."""
        return frozenset(domain.domain for domain in self.every_domain)

    def close(self) -> None:
        """Close every directory."""
        for domain in self.every_domain:
            domain.directory.close()


def order_domains(
    domains: Sequence[SecondaryDomain], subject: DistinguishedName
) -> tuple[tuple[SecondaryDomain, NamingRule | None], ...]:
    """Order the searchable domains for a subject (semantics: Which directories, in which order).

    Args:
        domains: every configured domain but the primary.
        subject: the certificate's subject.

    Returns:
        The domains to ask, in order, each with its most specific trusted rule that matches the subject, or
        None: domains with a matching rule first, the most specific rule first; then the rest; ties by search
        order ascending (none is last), then by domain name. A flat subject (one component or none) matches
        nobody's rule.

    """
    hierarchical = len(subject.rdns) > 1
    matched = [
        (domain, most_specific_match(domain.rules, subject) if hierarchical else None)
        for domain in domains
        if domain.searchable
    ]
    by_name = sorted(matched, key=lambda pair: pair[0].domain.casefold())
    by_order = sorted(
        by_name, key=lambda pair: (pair[0].search_order is None, pair[0].search_order or 0)
    )  # stable: the name decides ties
    with_rule = [pair for pair in by_order if pair[1] is not None]
    with_rule.sort(key=lambda pair: specificity(pair[1]) if pair[1] is not None else (), reverse=True)
    # NOTE: `reverse=True` keeps equal elements in their order, so ties stay in search order.
    return (*with_rule, *(pair for pair in by_order if pair[1] is None))
