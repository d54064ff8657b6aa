"""The settings of directory assistance as values: what `config.py` reads and `backends` open.

What lives here: one class for the primary, one for every other domain, one for the whole. What does not:
reading them (`config.py`), the settings of one kind of directory (its backend), open directories
(`domains.py`).

INVARIANT: what `config.py` makes of these classes is sound; a configuration error never becomes one.
"""

from dataclasses import dataclass, field
from pathlib import Path

from directory_assistance.backends.ldap.settings import LdapSettings
from directory_assistance.backends.ldif.settings import LdifSettings
from directory_assistance.candidates import MatchPlan
from directory_assistance.domains import Ambiguity, GroupAuthorization, OnUnavailable
from directory_assistance.groups import ExpansionLimits
from directory_assistance.naming import NamingRule
from directory_assistance.sql_engine import SqlSettings

__all__ = ["DirectoryAssistanceSettings", "DomainSettings", "PrimarySettings", "SqlSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimarySettings:
    """The primary directory. `sample`: a certificate known to be in it, for its self-test."""

    domain: str
    directory: SqlSettings
    plan: MatchPlan
    size_limit: int = 100
    expansion: ExpansionLimits = field(default_factory=ExpansionLimits)
    sample: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSettings:
    """Every other domain; the fields mean what they mean in `domains.SecondaryDomain`."""

    domain: str
    directory: SqlSettings | LdapSettings | LdifSettings
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
    sample: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryAssistanceSettings:
    """The whole of `directory-assistance.yaml`; `domains` as in the file, disabled ones among them."""

    primary: PrimarySettings
    domains: tuple[DomainSettings, ...] = ()
    ambiguity: Ambiguity = Ambiguity.FIRST
