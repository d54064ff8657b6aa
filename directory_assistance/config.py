"""Reading `directory-assistance.yaml`: every key, every default, every mistake at once (contract section 4).

What lives here: the file as a whole, its domains, their names, rules, groups and mail. What does not: the
models (`config_models.py`), match plans (`config_plan.py`), where a directory is (`config_directories.py`),
what domains do to each other (`config_lints.py`), the settings that come out (`settings.py`), opening them
(`backends`), and the trust anchors that `issued_by` names, which the service knows and passes in.

Invariants:

* Settings come out only if there is no mistake; a mistake in one place hides none in another.
* What loosens a check is a warning.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, assert_never

from directory_assistance.backends.ldap.settings import GroupStyle, LdapSettings
from directory_assistance.backends.ldif.settings import LdifSettings
from directory_assistance.config_directories import LdapReader, read_ldif, read_sql
from directory_assistance.config_lints import PlacedDomain, lint_domains
from directory_assistance.config_models import DomainModel, DomainType, FileModel, PrimaryModel, RuleModel
from directory_assistance.config_plan import PlanReader, place_keys
from directory_assistance.config_reading import ConfigReader
from directory_assistance.dn import has_unusable_characters, prepare
from directory_assistance.domains import GroupAuthorization
from directory_assistance.errors import ConfigurationError, Problem, shorten
from directory_assistance.naming import (
    NamingRule,
    SixPartRule,
    ambiguous_country_warning,
    read_naming_rule,
    read_suffix_rule,
)
from directory_assistance.settings import (
    DirectoryAssistanceSettings,
    DomainSettings,
    PrimarySettings,
)
from directory_assistance.sql_engine import SqlSettings
from directory_assistance.yaml_lines import YamlPath, inspect_yaml, read_text

__all__ = ["DirectoryAssistanceReading", "examine_directory_assistance", "read_directory_assistance"]

_KEY_OF_TYPE: Final[Mapping[str, DomainType]] = {
    "url": DomainType.SQL,
    "file": DomainType.LDIF,
    "ldap": DomainType.LDAP,
}
"""Keys that one type has, and needs."""

_URL_HINT: Final = "`sqlite:///directory.db` or `postgresql+psycopg://name:${PASSWORD}@host/database`"


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryAssistanceReading:
    """What a file says. `settings` is None if any of the problems is more than a warning.

    `rules`: every rule that could be read, with its domain, whatever else is wrong.
    """

    settings: DirectoryAssistanceSettings | None
    problems: tuple[Problem, ...]
    rules: tuple[tuple[str, NamingRule], ...] = ()


def read_directory_assistance(
    path: Path, *, environment: Mapping[str, str] = os.environ, anchors: frozenset[str] | None = None
) -> DirectoryAssistanceSettings:
    """Read `directory-assistance.yaml`.

    Args:
        path: the file.
        environment: the variables that `${NAME}` may name.
        anchors: the trust anchors that `issued_by` may name; None to leave that unchecked.

    Raises:
        ConfigurationError: anything in it is wrong; carries everything that is.

    """
    reading = examine_directory_assistance(path, environment=environment, anchors=anchors)
    if reading.settings is None:
        raise ConfigurationError(problem for problem in reading.problems if not problem.warning)
    return reading.settings


def examine_directory_assistance(
    path: Path, *, environment: Mapping[str, str] = os.environ, anchors: frozenset[str] | None = None
) -> DirectoryAssistanceReading:
    """Read `directory-assistance.yaml` and tell everything about it, warnings too; never raises."""
    try:
        loaded, problems = inspect_yaml(read_text(path), str(path))
    except ConfigurationError as error:
        return DirectoryAssistanceReading(settings=None, problems=error.problems)
    reader = ConfigReader(loaded=loaded, folder=path.parent, environment=environment, problems=list(problems))
    return _FileReader(reader=reader, anchors=anchors).read()


@dataclass(slots=True)
class _FileReader:
    """Reads the whole file; `names` and `plain` remember where things stand that may stand once.

    `placed`: the domains that could be read, for what they do to each other.
    """

    reader: ConfigReader
    anchors: frozenset[str] | None
    rules: list[tuple[str, NamingRule]] = field(default_factory=list)
    names: dict[str, YamlPath] = field(default_factory=dict)
    plain: YamlPath | None = None
    placed: list[PlacedDomain] = field(default_factory=list)

    def read(self) -> DirectoryAssistanceReading:
        model = self.reader.model(FileModel, ())
        settings = None
        if model is not None:
            primary = self._read_primary()
            read = [self._read_domain(("domains", position)) for position in range(len(model.domains))]
            domains = tuple(domain for domain in read if domain is not None)
            lint_domains(self.reader, self.placed, model.ambiguity)
            if primary is not None and not self.reader.has_errors:
                assert len(domains) == len(read)  # what could not be read has a problem
                settings = DirectoryAssistanceSettings(
                    primary=primary, domains=domains, ambiguity=model.ambiguity
                )
        problems = sorted(self.reader.problems, key=lambda problem: problem.line)
        return DirectoryAssistanceReading(
            settings=settings, problems=tuple(problems), rules=tuple(self.rules)
        )

    # --- the primary and every other domain

    def _read_primary(self) -> PrimarySettings | None:
        path: YamlPath = ("primary",)
        self.reader.require(path, hint="the primary directory: `domain` and `url`")
        model = self.reader.model(PrimaryModel, path) if self.reader.stands(path) else None
        if model is None:
            return None
        domain = self._read_name(path, model.domain)
        self.reader.require((*path, "url"), hint=_URL_HINT)
        directory = read_sql(self.reader, (*path, "url"), model.url)
        keys = place_keys(self.reader, path, model)
        plan = PlanReader(self.reader, keys, DomainType.SQL, self.anchors)
        values = (plan.plan(), plan.size_limit(), plan.expansion())
        sample = self.reader.existing((*path, "sample"), model.sample)
        if domain is None or directory is None:
            return None
        return PrimarySettings(
            domain=domain,
            directory=directory,
            plan=values[0],
            size_limit=values[1],
            expansion=values[2],
            sample=sample,
        )

    def _read_domain(self, path: YamlPath) -> DomainSettings | None:
        model = self.reader.model(DomainModel, path)
        if model is None:
            return None
        before = len(self.reader.problems)
        domain = self._read_name(path, model.domain)
        placed_rules = self._read_rules(path, model, domain or "")
        keys = place_keys(self.reader, path, model, model.ldap)
        # The widest type, so that a missing one brings no other complaint.
        plan = PlanReader(self.reader, keys, model.type or DomainType.LDAP, self.anchors)
        values = (plan.plan(), plan.size_limit(), plan.expansion())
        style = GroupStyle.MEMBER if keys.model.groups is None else keys.model.groups.style
        directory = self._read_directory(path, model, style, (*keys.paths["groups"], "style"))
        sample = self.reader.existing((*path, "sample"), model.sample)
        mail_domains = self._read_mail_domains(path, model)
        self._check_groups(path, model)
        self._check_names(path, model)
        if domain is None or directory is None:
            return None
        settings = DomainSettings(
            domain=domain,
            directory=directory,
            plan=values[0],
            rules=tuple(rule for _path, rule in placed_rules),
            enabled=model.enabled,
            search_order=model.search_order,
            size_limit=values[1],
            on_unavailable=model.on_unavailable,
            may_assert_primary_names=model.may_assert_primary_names,
            group_authorization=model.group_authorization,
            plain_group_names=model.plain_group_names,
            mail_domains=mail_domains,
            expansion=values[2],
            sample=sample,
        )
        if all(problem.warning for problem in self.reader.problems[before:]):
            self.placed.append(
                PlacedDomain(
                    settings=settings,
                    path=path,
                    rules=placed_rules,
                    find_by=keys.paths["find_by"],
                    bind_by=keys.paths["bind_by"],
                )
            )
        return settings

    def _read_name(self, path: YamlPath, name: str | None) -> str | None:
        """Read a domain's name, which no other domain may have (semantics section 4)."""
        here = (*path, "domain")
        self.reader.require(here)
        if name is None:
            return None
        if has_unusable_characters(name) or name != name.strip() or "@" in name or not prepare(name).strip():
            # `Group@Domain` must have one reading
            self.reader.error(here, f"expected the name of a domain, without `@`, found `{shorten(name)}`")
            return None
        first = self.names.setdefault(prepare(name), here)
        if first != here:
            whose = "the primary directory" if first[0] == "primary" else "another domain"
            line = self.reader.loaded.line_of(first)
            self.reader.error(here, f"`{shorten(name)}` is the name of {whose} already", hint=f"line {line}")
            return None
        return name

    def _read_directory(
        self, path: YamlPath, model: DomainModel, style: GroupStyle, style_path: YamlPath
    ) -> SqlSettings | LdapSettings | LdifSettings | None:
        reader, kind = self.reader, model.type
        reader.require((*path, "type"), hint="`sql`, `ldap` or `ldif`")
        if kind is None:
            return None
        for key, owner in _KEY_OF_TYPE.items():
            if owner is not kind and reader.stands((*path, key)):
                reader.error((*path, key), f"is for type `{owner}`, and this directory is of type `{kind}`")
        match kind:
            case DomainType.SQL:
                reader.require((*path, "url"), hint=_URL_HINT)
                return read_sql(reader, (*path, "url"), model.url)
            case DomainType.LDIF:
                reader.require((*path, "file"), hint="the LDIF file, such as an export: `partners.ldif`")
                return read_ldif(reader, (*path, "file"), model.file)
            case DomainType.LDAP:
                reader.require((*path, "ldap"), hint="with `hosts` and `base`")
                return (
                    None
                    if model.ldap is None
                    else LdapReader(reader, (*path, "ldap"), model.ldap).read(style, style_path)
                )
            case _:
                assert_never(kind)

    # --- rules

    def _read_rules(
        self, path: YamlPath, model: DomainModel, domain: str
    ) -> tuple[tuple[YamlPath, NamingRule], ...]:
        """Return the rules that could be read, each with its place."""
        here, before = (*path, "rules"), len(self.reader.problems)
        read = [
            ((*here, position), self._read_rule((*here, position))) for position in range(len(model.rules))
        ]
        rules = tuple((place, rule) for place, rule in read if rule is not None)
        self.rules.extend((domain, rule) for _place, rule in rules)
        mistaken = any(not problem.warning for problem in self.reader.problems[before:])
        is_whole = bool(read) or self.reader.loaded.value_at(here) in (None, [])
        if (
            model.enabled
            and is_whole
            and not mistaken
            and not any(rule.enabled and rule.trusted for _place, rule in rules)
        ):
            self.reader.warn(
                here,
                "no enabled rule is trusted, so nobody is ever looked for in this domain",
                hint='`rules: [{rule: "*/Acme", trusted: true}]`',
            )
        return rules

    def _read_rule(self, path: YamlPath) -> NamingRule | None:
        reader = self.reader
        model = reader.model(RuleModel, path)
        if model is None:
            return None
        has_rule, has_suffix = reader.stands((*path, "rule")), reader.stands((*path, "suffix"))
        if has_rule == has_suffix:
            reader.error(
                path, f"expected either `rule` or `suffix`, found {'both' if has_rule else 'neither'}"
            )
            return None
        enabled, trusted = model.enabled, model.trusted
        if has_suffix:
            return reader.read(
                (*path, "suffix"),
                model.suffix,
                lambda text: read_suffix_rule(text, enabled=enabled, trusted=trusted),
            )
        rule = reader.read(
            (*path, "rule"), model.rule, lambda text: read_naming_rule(text, enabled=enabled, trusted=trusted)
        )
        if rule is not None:
            self._lint_rule((*path, "rule"), model.rule or "", rule)
        return rule

    def _lint_rule(self, path: YamlPath, text: str, rule: SixPartRule) -> None:
        if ambiguous_country_warning(text):
            self.reader.warn(
                path,
                f"the last part of `{shorten(text)}` is an organisation, not a country",
                hint="a country is named in six parts (`*/*/*/*/O/C`) or with keywords (`*/O=.../C=...`)",
            )
        if rule.enabled and rule.trusted and all(part == "*" for part in rule.parts):
            self.reader.warn(
                path, "this domain is trusted for every name there is", hint="name the organisation: `*/Acme`"
            )

    # --- groups, mail, names

    def _check_groups(self, path: YamlPath, model: DomainModel) -> None:
        if not model.plain_group_names:
            return
        here = (*path, "plain_group_names")
        if self.plain is not None:
            self.reader.error(
                here,
                "one domain at most may say this, and another one does already",
                hint=f"line {self.reader.loaded.line_of(self.plain)}",
            )
        self.plain = self.plain or here
        has_groups = model.group_authorization is not GroupAuthorization.NONE
        wrong = self.reader.stands((*path, "group_authorization"))
        if not has_groups and (
            not wrong or self.reader.loaded.value_at((*path, "group_authorization")) is False
        ):
            self.reader.warn(
                here, "has no effect without groups from this domain", hint="`group_authorization: true`"
            )

    def _check_names(self, path: YamlPath, model: DomainModel) -> None:
        if model.may_assert_primary_names:
            self.reader.warn(
                (*path, "may_assert_primary_names"),
                "whoever administers this domain can become anybody of the primary directory",
            )

    def _read_mail_domains(self, path: YamlPath, model: DomainModel) -> frozenset[str]:
        for position, text in enumerate(model.mail_domains):
            if has_unusable_characters(text) or any(character in " @/,*" for character in text):
                self.reader.error(
                    (*path, "mail_domains", position),
                    f"expected what follows the `@` of mail addresses, found `{shorten(text)}`",
                )
        return frozenset(text.casefold() for text in model.mail_domains)
