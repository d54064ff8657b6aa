"""Every kind of directory with the same world in it: what the contract suite runs over.

What lives here: one builder for each kind. A new kind is a new builder in `BUILDERS`, and is then held to the whole
contract. What does not: the world itself and how it is written (`directories.py`), and what is expected of it (the
tests).

INVARIANT: a kind differs from the others only in what its `Kind` says: where its people stand, and which ways it
cannot be asked in. A test that needs more has a table of deviations, each with its reason.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from directory_assistance.backends.caching import CachingDirectory, Lifetimes
from directory_assistance.backends.ldap import LdapDirectory, LdapSettings, ServerKind, SimpleBind
from directory_assistance.backends.ldif import LdifDirectory, LdifSettings
from directory_assistance.backends.sql import SqlDirectory
from directory_assistance.candidates import Candidate, FindBy, SubjectCandidate
from directory_assistance.directory import Directory, LookUp, PersonGroups
from directory_assistance.dn import DistinguishedName, MemberReference, read_ldap_dn
from directory_assistance.entry import Group
from directory_assistance.sql_engine import open_engine
from tests.support.directories import (
    DOMAIN,
    fill_sql,
    ldif_directory,
    memory_directory,
    place_in_domain,
    postgresql_engine,
    samba_ldif,
    samba_loop,
    sql_engine,
    world_ldif,
)
from tests.support.ds389 import Ds389Server
from tests.support.postgresql import PostgresqlServer
from tests.support.samba_ad import SambaServer
from tests.support.slapd import SUFFIX, serve
from tests.support.slapd import change as change_slapd

__all__ = [
    "BUILDERS",
    "KINDS",
    "LDAP_KINDS",
    "WITH_AND_WITHOUT_CACHE",
    "Kind",
    "Kinds",
    "LdapServer",
    "Surroundings",
]


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What builders build in: a folder of their own, and servers that several kinds may share."""

    folder: Path
    postgresql: PostgresqlServer


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of directory, filled with the world.

    `directory` is shared by all tests, `open_directory` opens another one on the same content. `place` tells where
    somebody of the world stands. `not_asked`: the ways in which this kind cannot be asked, each with the reason.
    `has_aliases`: whether an entry may have names beside its own. `outage` takes the server away while it is entered;
    None where there is no server. `change` changes entries as the administrator, by an LDIF of changes; None where
    changes are not written so. `server` is the LDAP server, None where there is none.
    """

    name: str
    directory: Directory
    open_directory: Callable[[], Directory]
    place: Callable[[DistinguishedName], DistinguishedName] = lambda dn: dn
    not_asked: Mapping[FindBy, str] = field(default_factory=dict)
    has_aliases: bool = True
    outage: Callable[[], AbstractContextManager[None]] | None = None
    change: Callable[[str], None] | None = None
    server: "LdapServer | None" = None

    def dn(self, text: str) -> DistinguishedName:
        """Return the name that somebody has here; `text` is the name in the world."""
        return self.place(read_ldap_dn(text))

    def placed(self, candidate: Candidate) -> Candidate:
        """Return a candidate of the world as a certificate of this directory's people would give it."""
        if isinstance(candidate, SubjectCandidate):
            return SubjectCandidate(dn=self.place(candidate.dn))
        return candidate


class _Server(Protocol):
    """What an outage needs of a server."""

    def kill(self) -> None: ...

    def start(self) -> None: ...


class LdapServer(_Server, Protocol):
    """What a directory needs of an LDAP server."""

    suffix: str
    reader_dn: str
    reader_password: str

    @property
    def url(self) -> str: ...


_NOT_STORED = "the tables have no column for it"
_ONLY_ACTIVE_DIRECTORY = "only Active Directory stores it"


@contextmanager
def _memory(_surroundings: Surroundings) -> Iterator[Kind]:
    yield Kind(name="memory", directory=memory_directory(), open_directory=memory_directory)


_NOT_IN_SQL = dict.fromkeys((FindBy.UPN, FindBy.UID, FindBy.SID, FindBy.FILTER), _NOT_STORED)


@contextmanager
def _sqlite(surroundings: Surroundings) -> Iterator[Kind]:
    writing = sql_engine(surroundings.folder)
    fill_sql(writing)
    writing.dispose()
    url = f"sqlite:///{surroundings.folder / 'directory.db'}"

    def opened() -> Directory:
        return SqlDirectory(DOMAIN, open_engine(url))

    yield from _open("SQLite", opened, not_asked=_NOT_IN_SQL)


@contextmanager
def _postgresql(surroundings: Surroundings) -> Iterator[Kind]:
    with surroundings.postgresql.database() as url:
        writing = postgresql_engine(url)
        fill_sql(writing)
        writing.dispose()

        def opened() -> Directory:
            return SqlDirectory(DOMAIN, open_engine(url))

        yield from _open("PostgreSQL", opened, not_asked=_NOT_IN_SQL, server=surroundings.postgresql)


@contextmanager
def _ldif(surroundings: Surroundings) -> Iterator[Kind]:
    ldif_directory(surroundings.folder).close()
    settings = LdifSettings(path=surroundings.folder / "world.ldif")
    yield from _open("LDIF", lambda: LdifDirectory(DOMAIN, settings))


@contextmanager
def _slapd(surroundings: Surroundings) -> Iterator[Kind]:
    with serve(surroundings.folder / "s", world_ldif()) as server:
        yield from _open(
            "slapd",
            lambda: _ldap_directory(server, ServerKind.STANDARD),
            not_asked=dict.fromkeys((FindBy.SUBJECT_KEY_ID, FindBy.SID), _ONLY_ACTIVE_DIRECTORY),
            server=server,
            change=partial(change_slapd, server),
            ldap_server=server,
        )


@contextmanager
def _ds389(surroundings: Surroundings) -> Iterator[Kind]:
    with Ds389Server(surroundings.folder / "s", ldif=world_ldif(), suffix=SUFFIX) as server:
        yield from _open(
            "389-ds",
            lambda: _ldap_directory(server, ServerKind.DS389),
            not_asked={
                FindBy.ISSUER_SERIAL: "it compares octets only, and calls every other form a success without entries",
                FindBy.SUBJECT_KEY_ID: _ONLY_ACTIVE_DIRECTORY,
                FindBy.SID: _ONLY_ACTIVE_DIRECTORY,
            },
            server=server,
            change=server.change,
            ldap_server=server,
        )


@contextmanager
def _samba(surroundings: Surroundings) -> Iterator[Kind]:
    with SambaServer(surroundings.folder / "s", ldif=samba_ldif()) as server:
        server.change(samba_loop())
        yield from _open(
            "Samba AD",
            lambda: _ldap_directory(server, ServerKind.ACTIVE_DIRECTORY),
            place=place_in_domain,
            has_aliases=False,  # `cn` has one value
            server=server,
            change=server.change,
            ldap_server=server,
        )


BUILDERS: Mapping[str, Callable[[Surroundings], AbstractContextManager[Kind]]] = {
    "memory": _memory,
    "SQLite": _sqlite,
    "PostgreSQL": _postgresql,
    "LDIF": _ldif,
    "slapd": _slapd,
    "389-ds": _ds389,
    "Samba AD": _samba,
}

KINDS = tuple(BUILDERS)

LDAP_KINDS = frozenset({"slapd", "389-ds", "Samba AD"})

_BEHIND = " behind the cache"

WITH_AND_WITHOUT_CACHE = (*KINDS, *(name + _BEHIND for name in KINDS))
"""What the contract is held to: each kind, and each kind behind a cache."""


class AskedTwice(CachingDirectory):
    """A cache that is asked everything twice, and answers with what it remembers."""

    def find_entries(self, candidate: Candidate, *, limit: int, deadline: float) -> LookUp:
        """Ask, and ask again."""
        first = super().find_entries(candidate, limit=limit, deadline=deadline)
        assert super().find_entries(candidate, limit=limit, deadline=deadline) is first
        return first

    def find_groups(self, members: Sequence[MemberReference], *, deadline: float) -> tuple[Group, ...]:
        """Ask, and ask again."""
        first = super().find_groups(members, deadline=deadline)
        assert super().find_groups(members, deadline=deadline) is first
        return first

    def find_groups_of_person(self, members: Sequence[MemberReference], *, deadline: float) -> PersonGroups:
        """Ask, and ask again."""
        first = super().find_groups_of_person(members, deadline=deadline)
        assert super().find_groups_of_person(members, deadline=deadline) is first
        return first


def _behind_a_cache(directory: Directory) -> Directory:
    return AskedTwice(directory, Lifetimes(unwatched=timedelta(hours=1)))


class Kinds:
    """The kinds, each built when it is first asked for, all closed in the end.

    Args:
        folder: where they are built, each in a folder of its own.
        postgresql: a running server.

    """

    def __init__(self, folder: Path, postgresql: PostgresqlServer) -> None:
        self._folder = folder
        self._postgresql = postgresql
        self._built: dict[str, Kind] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def __getitem__(self, name: str) -> Kind:
        """Return a kind by its name, one of `KINDS`."""
        if name not in self._built:
            folder = self._folder / str(KINDS.index(name))  # short: paths of sockets have a limit
            folder.mkdir()
            surroundings = Surroundings(folder=folder, postgresql=self._postgresql)
            self._built[name] = self._stack.enter_context(BUILDERS[name](surroundings))
        return self._built[name]

    def with_or_without_cache(self, name: str) -> Kind:
        """Return a kind by its name, one of `WITH_AND_WITHOUT_CACHE`; its own name stays what it is."""
        plain_name, behind, _ = name.partition(_BEHIND)
        plain = self[plain_name]
        if not behind:
            return plain
        return replace(
            plain,
            directory=_behind_a_cache(plain.directory),
            open_directory=lambda: _behind_a_cache(plain.open_directory()),
        )


def _open(
    name: str,
    opened: Callable[[], Directory],
    *,
    not_asked: Mapping[FindBy, str] | None = None,
    place: Callable[[DistinguishedName], DistinguishedName] = lambda dn: dn,
    has_aliases: bool = True,
    server: _Server | None = None,
    change: Callable[[str], None] | None = None,
    ldap_server: LdapServer | None = None,
) -> Iterator[Kind]:
    """Open the directory that all tests share, and close it in the end."""
    directory = opened()
    yield Kind(
        name=name,
        directory=directory,
        open_directory=opened,
        place=place,
        not_asked=not_asked or {},
        has_aliases=has_aliases,
        outage=None if server is None else lambda: _outage(server),
        change=change,
        server=ldap_server,
    )
    directory.close()


@contextmanager
def _outage(server: _Server) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


def _ldap_directory(server: LdapServer, kind: ServerKind) -> LdapDirectory:
    settings = LdapSettings(
        hosts=(server.url,),
        base=read_ldap_dn(server.suffix),
        bind=SimpleBind(dn=server.reader_dn, password_file=lambda: server.reader_password),
        server=kind,
    )
    return LdapDirectory(DOMAIN, settings)
