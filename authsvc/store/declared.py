"""The declarative document that `apply` reads: people, groups, databases with their ACLs.

What lives here: reading the file, with every mistake at once, into checked values. What does not: comparing
them with the store and writing (`declaration.py`).

Decided where the specification is silent:

* A key that is left out says nothing: on something that exists, `apply` leaves that part as it is (nobody is
  enabled by a file that does not speak of `disabled`, no certificate is lost by one that lists none). An
  empty list says "none".
* A section (`people:`) that is left out is not touched at all, not even by `--prune`.
* A certificate is a text, PEM or the path of a file beside this one, or `{certificate: ..., revoked: true}`.
  A plain text leaves a revocation mark as it is.

INVARIANT: any text gives a `Declaration` or a `ConfigurationError`, never another exception (threat T69).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from authsvc.access.acl import AclEntry, AclError, Level, Target, WildcardMode, read_level, read_role
from authsvc.access.database_key import database_key
from authsvc.store.builtin import DIRECTORY, DIRECTORY_ROLES
from authsvc.store.certificates import (
    LARGEST_CERTIFICATE_FILE,
    CertificateRecord,
    find_warnings,
    read_certificate_file,
    read_pem,
)
from authsvc.store.errors import ChangeRefused
from authsvc.store.records import (
    GroupRecord,
    read_group_member,
    read_group_name,
    read_group_type,
    read_mail,
    read_person_name,
    read_text,
)
from directory_assistance.dn import MemberReference, Name, key_text
from directory_assistance.entry import GroupType
from directory_assistance.errors import CertificateSyntaxError, ConfigurationError, Problem, shorten
from directory_assistance.yaml_lines import (
    DECLARATION_LIMITS,
    LoadedYaml,
    YamlPath,
    inspect_yaml,
    problems_from,
)
from directory_assistance.yaml_lines import read_text as read_text_file

__all__ = [
    "Declaration",
    "DeclaredCertificate",
    "DeclaredDatabase",
    "DeclaredGroup",
    "DeclaredPerson",
    "read_declaration",
    "read_declaration_text",
]

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


# --- what was declared; None stands for a key that was left out, `position` for the place in the file


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredCertificate:
    """A certificate, and the mark that was named for it."""

    record: CertificateRecord
    revoked: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredPerson:
    """A person."""

    names: tuple[Name, ...]
    mail: str | None = None
    display_name: str | None = None
    disabled: bool | None = None
    certificates: tuple[DeclaredCertificate, ...] | None = None
    position: YamlPath = ()

    @property
    def key(self) -> str:
        """The first name, for comparison."""
        return key_text(self.names[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredGroup:
    """A group."""

    name: Name
    type: GroupType | None = None
    members: tuple[MemberReference, ...] | None = None
    position: YamlPath = ()

    @property
    def key(self) -> str:
        """The name, for comparison."""
        return key_text(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredDatabase:
    """A database."""

    name: str
    title: str | None = None
    require_tls: bool | None = None
    maximum_internet_access: Level | None = None
    wildcards: WildcardMode | None = None
    roles: tuple[str, ...] | None = None
    entries: tuple[AclEntry, ...] | None = None
    position: YamlPath = ()

    @property
    def key(self) -> str:
        """The name by which databases are compared."""
        return database_key(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A whole document. A section is None where the file does not have it.

    `warnings` stop nothing. `secondary`: for a secondary directory, which has no databases.
    """

    people: tuple[DeclaredPerson, ...] | None = None
    groups: tuple[DeclaredGroup, ...] | None = None
    databases: tuple[DeclaredDatabase, ...] | None = None
    warnings: tuple[Problem, ...] = ()
    secondary: bool = False
    loaded: LoadedYaml = field(repr=False, compare=False)


# --- the shape of the file


def _as_mapping(value: object) -> object:
    return {"certificate": value} if isinstance(value, str) else value


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _CertificateModel(_Model):
    certificate: str
    revoked: bool | None = None


class _PersonModel(_Model):
    names: Annotated[list[str], Field(min_length=1)]
    mail: str | None = None
    display_name: str | None = None
    disabled: bool | None = None
    certificates: list[Annotated[_CertificateModel, BeforeValidator(_as_mapping)]] | None = None


class _GroupModel(_Model):
    name: str
    type: str | None = None
    members: list[str] | None = None


class _AclEntryModel(_Model):
    name: str
    level: str
    type: str = "unspecified"
    privileges: list[str] = Field(default_factory=list)
    roles: list[str] = Field(default_factory=list)


class _DatabaseModel(_Model):
    name: str
    title: str | None = None
    require_tls: bool | None = None
    maximum_internet_access: str | None = None
    wildcards: str | None = None
    roles: list[str] | None = None
    acl: list[_AclEntryModel] | None = None


class _DocumentModel(_Model):
    people: list[object] | None = None  # each is looked at by itself, so that one mistake hides no other
    groups: list[object] | None = None
    databases: list[object] | None = None


# --- reading


def read_declaration(path: Path, *, now: datetime, secondary: bool = False) -> Declaration:
    """Read a declarative document; certificate files are relative to it.

    Args:
        path: the file.
        now: the moment to judge the dates of certificates by, for warnings.
        secondary: it is for a secondary directory, which has no databases.

    Raises:
        ConfigurationError: every mistake of the file.

    """
    text = read_text_file(path, limits=DECLARATION_LIMITS)
    return read_declaration_text(text, file=str(path), folder=path.parent, now=now, secondary=secondary)


def read_declaration_text(
    text: str, *, file: str, folder: Path, now: datetime, secondary: bool = False
) -> Declaration:
    """Read a declarative document from its text.

    Args:
        text: YAML.
        file: what problems call it.
        folder: what certificate files are relative to.
        now: the moment to judge the dates of certificates by, for warnings.
        secondary: it is for a secondary directory, which has no databases.

    Raises:
        ConfigurationError: every mistake of the text.

    """
    loaded, problems = inspect_yaml(text, file, limits=DECLARATION_LIMITS)
    return _Reader(loaded, folder, now, problems, secondary=secondary).read()


class _Reader:
    """Turns the models of one file into checked values, and collects problems on the way."""

    def __init__(
        self, loaded: LoadedYaml, folder: Path, now: datetime, problems: Iterable[Problem], *, secondary: bool
    ) -> None:
        self._loaded = loaded
        self._folder = folder
        self._now = now
        self._secondary = secondary
        self._problems = list(problems)
        self._warnings: list[Problem] = []

    def read(self) -> Declaration:
        document = self._shaped((), self._loaded.data, _DocumentModel) or _DocumentModel()
        sections = (document.people, document.groups, document.databases)
        if not self._problems and all(section is None for section in sections):
            self._report((), "expected `people`, `groups` or `databases`, found none of them")
        if self._secondary and document.databases:
            self._report(("databases",), "databases stand in the primary directory only", "leave them out")
        declaration = Declaration(
            people=self._section("people", document.people, _PersonModel, self._person),
            groups=self._section("groups", document.groups, _GroupModel, self._group),
            databases=self._section("databases", document.databases, _DatabaseModel, self._database),
            secondary=self._secondary,
            loaded=self._loaded,
        )
        self._refuse_twins("first name", [(one.position, one.key) for one in declaration.people or ()])
        self._refuse_twins("group", [(one.position, one.key) for one in declaration.groups or ()])
        self._refuse_twins("database", [(one.position, one.key) for one in declaration.databases or ()])
        if self._problems:
            raise ConfigurationError(sorted(self._problems, key=lambda problem: problem.line))
        return replace(declaration, warnings=tuple(sorted(self._warnings, key=lambda problem: problem.line)))

    def _report(self, path: YamlPath, problem: str, hint: str = "") -> None:
        self._problems.append(self._loaded.problem(path, problem, hint=hint))

    def _warn(self, path: YamlPath, problem: str) -> None:
        self._warnings.append(self._loaded.problem(path, problem, warning=True))

    def _shaped(self, path: YamlPath, raw: object, model: type[M]) -> M | None:
        """Check the shape of a part; what has another shape is reported, and left out to look on."""
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            self._problems.extend(problems_from(error, self._loaded, path, model=model))
            wrong = {detail["loc"][0] for detail in error.errors() if detail["loc"]}
        if not isinstance(raw, dict):
            return None
        try:
            return model.model_validate({key: value for key, value in raw.items() if key not in wrong})
        except ValidationError:
            return None

    def _section(
        self,
        name: str,
        parts: Sequence[object] | None,
        model: type[M],
        read: Callable[[YamlPath, M], T | None],
    ) -> tuple[T, ...] | None:
        if parts is None:
            return None
        found: list[T] = []
        for number, part in enumerate(parts):
            shaped = self._shaped((name, number), part, model)
            one = None if shaped is None else read((name, number), shaped)
            if one is not None:
                found.append(one)
        return tuple(found)

    def _attempt(self, path: YamlPath, read: Callable[[str], T], text: str | None) -> T | None:
        """Read one text; None where it was left out or is a mistake, which is then reported."""
        if text is None:
            return None
        try:
            return read(text)
        except (ChangeRefused, ValueError) as error:
            self._report(path, str(error))
            return None

    def _attempt_all(
        self, path: YamlPath, read: Callable[[str], T], texts: Sequence[str] | None
    ) -> tuple[T, ...] | None:
        if texts is None:
            return None
        found = (self._attempt((*path, number), read, text) for number, text in enumerate(texts))
        return tuple(one for one in found if one is not None)

    def _refuse_twins(self, what: str, keys: Sequence[tuple[YamlPath, str]]) -> None:
        first: dict[str, YamlPath] = {}
        for position, key in keys:
            if first.setdefault(key, position) != position:
                line = self._loaded.line_of(first[key])
                self._report(position, f"this {what} stands twice", f"first in line {line}")

    def _warn_of_twins(self, path: YamlPath, what: str, keys: Sequence[str]) -> None:
        for number, key in enumerate(keys):
            if key in keys[:number]:
                self._warn((*path, number), f"this {what} stands twice")

    def _person(self, path: YamlPath, model: _PersonModel) -> DeclaredPerson | None:
        names = self._attempt_all((*path, "names"), read_person_name, model.names)
        person = DeclaredPerson(
            names=names or (),
            mail=self._attempt((*path, "mail"), read_mail, model.mail),
            display_name=self._attempt((*path, "display_name"), read_text, model.display_name),
            disabled=model.disabled,
            certificates=self._certificates((*path, "certificates"), model.certificates),
            position=path,
        )
        if len(person.names) != len(model.names):
            return None  # without its first name nothing more can be said of it
        self._warn_of_twins((*path, "names"), "name", [key_text(name) for name in person.names])
        return person

    def _certificates(
        self, path: YamlPath, models: Sequence[_CertificateModel] | None
    ) -> tuple[DeclaredCertificate, ...] | None:
        if models is None:
            return None
        found: list[DeclaredCertificate] = []
        for number, model in enumerate(models):
            position = (*path, number)
            record = self._attempt(position, self._read_certificate, model.certificate)
            if record is None:
                continue
            for warning in find_warnings(record.der, self._now):
                self._warn(position, warning)
            found.append(DeclaredCertificate(record=record, revoked=model.revoked))
        self._warn_of_twins(path, "certificate", [one.record.sha256.hex() for one in found])
        return tuple(found)

    def _read_certificate(self, text: str) -> CertificateRecord:
        if "-----BEGIN " in text:
            return CertificateRecord.from_der(read_pem(text))
        path = self._folder / text
        try:
            if not path.is_file():  # a pipe would never end, a folder cannot be read
                raise CertificateSyntaxError(
                    f"expected PEM or a certificate file, found no file `{shorten(text)}`"
                )
            with path.open("rb") as stream:
                octets = stream.read(LARGEST_CERTIFICATE_FILE)
        except OSError as error:
            raise CertificateSyntaxError(
                f"certificate file `{shorten(text)}` cannot be read: {error.strerror or error}"
            ) from error
        try:
            return CertificateRecord.from_der(read_certificate_file(octets))
        except CertificateSyntaxError as error:
            raise CertificateSyntaxError(f"certificate file `{shorten(text)}`: {error}") from error

    def _group(self, path: YamlPath, model: _GroupModel) -> DeclaredGroup | None:
        name = self._attempt((*path, "name"), read_group_name, model.name)
        kind = self._attempt((*path, "type"), read_group_type, model.type)
        members = self._attempt_all((*path, "members"), read_group_member, model.members)
        if name is None:
            return None
        if kind is not None:
            self._attempt((*path, "name"), lambda _: GroupRecord.make(name=name, type=kind), model.name)
        if members is not None and len(members) == len(model.members or ()):
            self._warn_of_twins((*path, "members"), "member", [key_text(member) for member in members])
        return DeclaredGroup(name=name, type=kind, members=members, position=path)

    def _database(self, path: YamlPath, model: _DatabaseModel) -> DeclaredDatabase | None:
        key = self._attempt((*path, "name"), database_key, model.name)
        roles = self._attempt_all((*path, "roles"), read_role, model.roles)
        defined = None if roles is None else {*roles, *(DIRECTORY_ROLES if key == DIRECTORY else ())}
        declared = DeclaredDatabase(
            name=model.name,
            title=self._attempt((*path, "title"), read_text, model.title),
            require_tls=model.require_tls,
            maximum_internet_access=self._attempt(
                (*path, "maximum_internet_access"), read_level, model.maximum_internet_access
            ),
            wildcards=self._attempt((*path, "wildcards"), _read_wildcards, model.wildcards),
            roles=roles,
            entries=self._acl((*path, "acl"), model.acl, defined),
            position=path,
        )
        return None if key is None else declared

    def _acl(
        self, path: YamlPath, models: Sequence[_AclEntryModel] | None, defined: set[str] | None
    ) -> tuple[AclEntry, ...] | None:
        """Read the entries; `defined` are the roles that the file defines, None where it leaves them out."""
        if models is None:
            return None
        found: dict[Target, AclEntry] = {}
        for number, model in enumerate(models):
            position = (*path, number)
            entry = self._attempt(position, partial(_read_entry, model), model.name)
            if entry is None:
                continue
            if entry.target in found:
                self._report(position, f"acl entry `{shorten(entry.name)}` stands twice")
            for role in sorted(entry.roles - (entry.roles if defined is None else defined)):
                self._report(
                    (*position, "roles"),
                    f"acl entry `{shorten(entry.name)}`: role `{shorten(role)}` is not defined",
                    "add it to the `roles` of the database",
                )
            found.setdefault(entry.target, entry)
        return tuple(found.values())


def _read_entry(model: _AclEntryModel, name: str) -> AclEntry:
    return AclEntry.parse(
        name=name, level=model.level, type=model.type, privileges=model.privileges, roles=model.roles
    )


def _read_wildcards(text: str) -> WildcardMode:
    try:
        return WildcardMode(text)
    except ValueError as error:
        raise AclError(f"expected `fallback` or `union`, found `{shorten(text)}`") from error
