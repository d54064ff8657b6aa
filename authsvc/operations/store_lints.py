"""What a configuration names that only the directories and the store can tell: warnings for `check-config`.

What lives here: groups under `deny_access`, groups in ACLs, domains in `Group@Domain`, directories that do not
answer. What does not: what the files alone tell (`config.py` of either package), what is wrong with one
directory (`verifying.py`).

Invariants:

* Everything here is a warning: the store may be filled later than the files are written.
* Nothing is written, and no schema is made or migrated.
* A group that may be another domain's under its plain name is not warned about: no directory can be asked for
  a group by name but the primary.
"""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from authsvc.access.acl import AclEntry, Database, GroupTarget, NameTarget, UserType
from authsvc.operations.assistance import open_assistance
from authsvc.settings import Settings
from authsvc.store.databases import list_databases
from authsvc.store.migrate import require_schema
from authsvc.store.schema import open_reading
from directory_assistance.dn import prepare, render_name
from directory_assistance.domains import AnyDomain, DirectoryAssistance, GroupAuthorization, PrimaryDomain
from directory_assistance.errors import DirectoryFault, Problem, shorten
from directory_assistance.sql_engine import open_engine
from directory_assistance.yaml_lines import LoadedYaml, inspect_yaml, read_text

__all__ = ["lint_store"]

_SECONDS: Final = 10.0
"""How long all questions together may take."""

_GROUP_TYPES: Final = frozenset({UserType.PERSON_GROUP, UserType.SERVER_GROUP, UserType.MIXED_GROUP})


def lint_store(path: Path, settings: Settings) -> tuple[Problem, ...]:
    """Look into the directories and the store for what the files name. Blocking.

    Args:
        path: `authsvc.yaml`, as it was named.
        settings: what was read of it.

    Raises:
        StoreFault: the store did not answer.
        DirectoryFault: the primary directory did not answer.
        SchemaRefused: the store has not the schema of this version.

    """
    service_file, _ = inspect_yaml(read_text(path), str(path))
    directories = path.parent / str(service_file.value_at(("directory_assistance",)))
    directory_file, _ = inspect_yaml(read_text(directories), str(directories))
    assistance = open_assistance(settings.directory_assistance)
    try:
        lints = _Lints(assistance, deadline=time.monotonic() + _SECONDS)
        return (
            *lints.denied_groups(service_file, settings.deny_access),
            *lints.silent_directories(directory_file),
            *lints.access_lists(directory_file, _read_databases(settings)),
        )
    finally:
        assistance.close()


def _read_databases(settings: Settings) -> tuple[Database, ...]:
    engine = open_engine(settings.directory_assistance.primary.directory.url)
    try:
        require_schema(engine)
        with open_reading(engine) as connection:
            return tuple(stored.database for stored in list_databases(connection))
    finally:
        engine.dispose()


class _Lints:
    """The lints, over open directories."""

    def __init__(self, assistance: DirectoryAssistance, *, deadline: float) -> None:
        self._assistance = assistance
        self._deadline = deadline
        self._domains = {prepare(domain.domain): domain for domain in assistance.every_domain}
        self._plain = any(
            domain.enabled and domain.plain_group_names and _gives_groups(domain)
            for domain in assistance.domains
        )

    def denied_groups(self, file: LoadedYaml, deny_access: Iterable[str]) -> Iterator[Problem]:
        """Warn of each group under `deny_access` that the primary does not have: it denies nobody."""
        for position, name in enumerate(deny_access):
            if not self._holds_group(name):
                yield file.problem(
                    ("deny_access", position),
                    f"the primary directory has no group `{shorten(name)}`, so it denies nobody",
                    hint="`authsvc apply` a document with this group, of type `deny`",
                    warning=True,
                )

    def silent_directories(self, file: LoadedYaml) -> Iterator[Problem]:
        """Warn of each enabled domain that does not answer."""
        for position, domain in enumerate(self._assistance.domains):
            if not domain.enabled:
                continue
            try:
                domain.directory.check(deadline=self._deadline)
            except DirectoryFault as fault:
                yield file.problem(
                    ("domains", position),
                    f"`{domain.domain}` does not answer: {fault.problem}",
                    hint=f'authsvc verify-directory "{domain.domain}"',
                    warning=True,
                )

    def access_lists(self, file: LoadedYaml, databases: Iterable[Database]) -> Iterator[Problem]:
        """Warn of each ACL entry that names a group which nobody can be in."""
        for database in databases:
            for entry in sorted(database.entries, key=lambda each: each.name):
                problem = self._why_nobody(entry)
                if problem:
                    yield file.problem(
                        ("primary", "url"),
                        f"database `{shorten(database.name)}`: acl entry `{shorten(entry.name)}`: {problem}",
                        warning=True,
                    )

    def _why_nobody(self, entry: AclEntry) -> str:
        """Return why nobody can be in the group that an ACL entry names; empty where somebody can, or it is none."""
        match entry.meaning(frozenset(self._domains)):
            case GroupTarget(group=group, domain=str() as name):
                return self._why_not_of_domain(render_name(group), self._domains[name])
            case GroupTarget() | NameTarget():
                if entry.qualified and (entry.type in _GROUP_TYPES or self._is_meant_for_a_domain(entry)):
                    return f"there is no domain `{shorten(entry.qualified[-1].domain)}`"
                if entry.type in _GROUP_TYPES and not self._plain and not self._holds_group(entry.name):
                    return "the primary directory has no such group"
                return ""
            case _:
                return ""

    def _is_meant_for_a_domain(self, entry: AclEntry) -> bool:
        """Whether what follows the `@` is no mail domain: `Sales@Acme`, not `dave@acme.example`."""
        return entry.type is UserType.UNSPECIFIED and "." not in entry.qualified[-1].domain

    def _why_not_of_domain(self, group: str, domain: AnyDomain) -> str:
        if isinstance(domain, PrimaryDomain):
            return "" if self._holds_group(group) else "the primary directory has no such group"
        if not domain.enabled:
            return f"domain `{domain.domain}` is not enabled"
        if not _gives_groups(domain):
            return f"groups of `{domain.domain}` count for nobody (`group_authorization`)"
        return ""

    def _holds_group(self, name: str) -> bool:
        return self._assistance.primary.directory.holds_group(name, deadline=self._deadline)


def _gives_groups(domain: AnyDomain) -> bool:
    return isinstance(domain, PrimaryDomain) or domain.group_authorization is not GroupAuthorization.NONE
