"""`SqlDirectory`: the primary directory and every secondary `sql` directory (tables: `sql_tables.py`).

What lives here: reading. What does not: schema, migrations and every write (the store of the service), and
how keys are made (`sql_values.py`).

Invariants:

* Nothing is written; every statement is a `select` that was built when this module was imported.
* A look-up takes at most two statements in one transaction, so that names and certificates of an entry belong
  together, and no connection is held between look-ups.
* Comparison is done on keys. A key that is empty is not asked for: rows without a value have it too.

* A look-up ends at its deadline, and after `_LONGEST_LOOK_UP_SECONDS` in any case, also over a PostgreSQL that has
  become silent (`sql_waiting.py`).

NOTE: over SQLite the deadline is looked at before a statement starts. It answers in microseconds, and waits for
nobody but a writer that is switching the journal; how long is the engine's affair (`busy_timeout`).
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import assert_never

from sqlalchemy import Connection, Engine, Select, bindparam, exists, select
from sqlalchemy.exc import SQLAlchemyError

from directory_assistance.candidates import (
    Candidate,
    CertificateCandidate,
    FilterCandidate,
    FindBy,
    IssuerSerialCandidate,
    SidCandidate,
    SubjectCandidate,
    SubjectKeyIdCandidate,
    TextCandidate,
)
from directory_assistance.directory import LookUp, PersonGroups
from directory_assistance.dn import MemberReference, Name, prepare, read_name, render_ldap
from directory_assistance.entry import Entry, Group, GroupType, StoredCertificate
from directory_assistance.errors import (
    DirectoryAnswerMalformed,
    DirectoryUnavailable,
    ExpansionLimitExceeded,
    NameSyntaxError,
    shorten,
)
from directory_assistance.sql_engine import CONNECTIONS
from directory_assistance.sql_tables import certificates, group_members, groups, people, person_names
from directory_assistance.sql_values import (
    certificate_digest,
    issuer_key,
    member_key,
    name_key,
    serial_text,
    text_key,
)
from directory_assistance.sql_waiting import answered_until
from directory_assistance.watching import OnChange, Watch

__all__ = ["MOST_CERTIFICATES", "MOST_GROUPS", "SqlDirectory"]

MOST_CERTIFICATES = 10_000
"""Certificates of all entries of one look-up: a hundred people with a hundred each."""

MOST_GROUPS = 10_000
"""Groups in the answer to one question, as in an expansion."""

_MEMBERS_AT_ONCE = 500
"""Keys in one `IN`: databases limit the parameters of a statement, some to 999."""

_MOST_NAMES = 10_000
"""Names of all entries of one look-up."""

_LONGEST_LOOK_UP_SECONDS = 5.0
"""How long one look-up may take, whatever its deadline: half a decision, so that a silent secondary leaves time for
those after it. It takes a millisecond."""

_Parameter = str | bytes | int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """One way to find people, as the two prepared statements that answer it."""

    names: Select[int, str, str, bool, str | None]
    certificates: Select[int, bytes, bool]


def _prepare_question(found: Select[int]) -> _Question:
    """Build the statements that read the people whose ids a query finds, at most `:most` of them."""
    ids = found.distinct().order_by("person_id").limit(bindparam("most")).subquery().select()
    return _Question(
        names=select(
            people.c.id, people.c.display_name, people.c.mail, people.c.disabled, person_names.c.text
        )
        # Outer, so that nobody is left out for want of a name.
        .outerjoin(person_names, person_names.c.person_id == people.c.id)
        .where(people.c.id.in_(ids))
        .order_by(people.c.id, person_names.c.position)
        .limit(_MOST_NAMES + 1),
        certificates=select(certificates.c.person_id, certificates.c.der, certificates.c.revoked)
        .where(certificates.c.person_id.in_(ids))
        .order_by(certificates.c.person_id, certificates.c.id)
        .limit(MOST_CERTIFICATES + 1),
    )


def _people_with_name(column: str) -> Select[int]:
    return select(person_names.c.person_id).where(person_names.c[column] == bindparam("key"))


def _people_with_certificate(*columns: str) -> Select[int]:
    conditions = [certificates.c[column] == bindparam(column) for column in columns]
    return select(certificates.c.person_id).where(*conditions)


_BY_NAME = _prepare_question(_people_with_name("key"))
_BY_COMMON_NAME = _prepare_question(_people_with_name("common_name_key"))
_BY_MAIL = _prepare_question(
    select(people.c.id.label("person_id")).where(people.c.mail_key == bindparam("key"))
)
_BY_DIGEST = _prepare_question(_people_with_certificate("sha256"))
_BY_ISSUER_SERIAL = _prepare_question(_people_with_certificate("issuer_key", "serial"))
_BY_KEY_ID = _prepare_question(_people_with_certificate("subject_key_id"))

_GROUPS_OF = (
    select(groups.c.name, groups.c.type)
    .where(
        groups.c.id.in_(
            select(group_members.c.group_id).where(group_members.c.key.in_(bindparam("keys", expanding=True)))
        )
    )
    .limit(MOST_GROUPS + 1)
)
_HOLDS_NAME = select(
    exists().where(person_names.c.key == bindparam("key"))
    | exists().where(groups.c.name_key == bindparam("key"))
)
_HOLDS_GROUP = select(exists().where(groups.c.name_key == bindparam("key")))
_CHECK = select(people.c.id).limit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A question with its values; `words` for the trace; `holds`: the certificate an entry must hold."""

    question: _Question
    values: Mapping[str, _Parameter]
    words: str
    holds: bytes | None = None


class SqlDirectory:
    """A directory in a database; the contract is that of `directory_assistance.directory`.

    Args:
        domain: the domain it serves.
        engine: the database; its pool gives each caller a connection of its own. It is disposed of by
            `close`.

    """

    def __init__(self, domain: str, engine: Engine) -> None:
        self._domain = domain
        self._engine = engine
        self._closed = False
        # The pool would let a look-up wait for a connection, whatever its deadline.
        self._places = threading.BoundedSemaphore(CONNECTIONS)

    @property
    def domain(self) -> str:
        """The domain this directory serves."""
        return self._domain

    def find_entries(self, candidate: Candidate, *, limit: int, deadline: float) -> LookUp:
        """Find the entries that a candidate names, at most `limit`; see `directory_assistance.directory`."""
        asked = _plan(candidate)
        if asked is None:
            return LookUp(asked=f"{candidate.find_by} is not stored here", supported=False)
        if "" in asked.values.values() or b"" in asked.values.values():
            return LookUp(asked=asked.words)
        with self._connect(deadline) as connection:
            entries = self._read_entries(connection, asked, limit)
        if entries is None:
            return LookUp(asked=asked.words, exceeded=True)
        if asked.holds is not None:
            entries = tuple(entry for entry in entries if _holds(entry, asked.holds))
        return LookUp(asked=asked.words, entries=entries)

    def find_groups(self, members: Sequence[MemberReference], *, deadline: float) -> tuple[Group, ...]:
        """Find the groups that list any of `members` as a direct member, sorted by name."""
        keys = list(dict.fromkeys(map(member_key, members)))
        found: dict[str, Group] = {}
        with self._connect(deadline) as connection:
            for start in range(0, len(keys), _MEMBERS_AT_ONCE):
                rows = connection.execute(_GROUPS_OF, {"keys": keys[start : start + _MEMBERS_AT_ONCE]})
                for name, kind in rows:
                    group = self._read_group(name, kind)
                    found[group.reference.key] = group
                if len(found) > MOST_GROUPS:
                    raise ExpansionLimitExceeded(
                        self._domain, f"more than {MOST_GROUPS} groups for one question"
                    )
        return tuple(sorted(found.values(), key=lambda group: (prepare(group.name), group.reference.key)))

    def holds_name(self, name: Name, *, deadline: float) -> bool:
        """Whether any person (alias included) or any group has this name."""
        with self._connect(deadline) as connection:
            return connection.execute(_HOLDS_NAME, {"key": name_key(name)}).scalar_one()

    def holds_group(self, name: str, *, deadline: float) -> bool:
        """Whether a group has this plain name, whatever its type; a text that is no name is none's."""
        try:
            key = name_key(read_name(name))
        except NameSyntaxError:
            return False
        with self._connect(deadline) as connection:
            return connection.execute(_HOLDS_GROUP, {"key": key}).scalar_one()

    def find_groups_of_person(self, members: Sequence[MemberReference], *, deadline: float) -> PersonGroups:
        """Find the groups that list the person; this kind of directory knows no other memberships."""
        return PersonGroups(groups=self.find_groups(members, deadline=deadline))

    def watch(self, on_change: OnChange) -> Watch | None:  # noqa: ARG002 - see below
        """Return None: the service reads the generation of the database."""
        return None

    def check(self, *, deadline: float) -> None:
        """Read one row, which shows that the database answers and has our tables."""
        with self._connect(deadline) as connection:
            connection.execute(_CHECK).first()

    def close(self) -> None:
        """Close every connection; calls from now on raise `DirectoryUnavailable`."""
        self._closed = True
        self._engine.dispose()

    @contextmanager
    def _connect(self, deadline: float) -> Iterator[Connection]:
        """Open a transaction; the one place where what the database raises becomes a fault."""
        if self._closed:
            raise DirectoryUnavailable(self._domain, "the directory is closed")
        now = time.monotonic()
        if now >= deadline:
            raise DirectoryUnavailable(self._domain, "no time left to ask")
        ends_at = min(deadline, now + _LONGEST_LOOK_UP_SECONDS)
        if not self._places.acquire(timeout=ends_at - now):
            raise DirectoryUnavailable(self._domain, "no connection to the database was free in time")
        try:
            with answered_until(ends_at), self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            # The driver's own words: SQLAlchemy's repeat the statement and its values.
            cause = getattr(error, "orig", None) or error
            raise DirectoryUnavailable(
                self._domain, f"the database did not answer: {shorten(' '.join(str(cause).split()))}"
            ) from error
        finally:
            self._places.release()

    def _read_entries(self, connection: Connection, asked: _Asked, limit: int) -> tuple[Entry, ...] | None:
        """Read everybody found, or None where that is more than `limit`."""
        values = {**asked.values, "most": limit + 1}
        rows: dict[int, tuple[str, str, bool, list[str | None]]] = {}
        names = connection.execute(asked.question.names, values).all()
        for person_id, display_name, mail, disabled, text in names:
            rows.setdefault(person_id, (display_name, mail, disabled, []))[3].append(text)
        if len(rows) > limit or len(names) > _MOST_NAMES:
            return None
        if not rows:
            return ()
        held: dict[int, list[StoredCertificate]] = {person_id: [] for person_id in rows}
        stored = connection.execute(asked.question.certificates, values).all()
        if len(stored) > MOST_CERTIFICATES:
            raise DirectoryAnswerMalformed(
                self._domain, f"the entries found hold more than {MOST_CERTIFICATES} certificates"
            )
        for person_id, der, revoked in stored:
            held[person_id].append(StoredCertificate(der=der, revoked=revoked))
        return tuple(
            Entry(
                key=str(person_id),
                names=tuple(self._read_name(text) for text in texts),
                display_name=display_name,
                mails=(mail,) if mail else (),
                certificates=tuple(held[person_id]),
                disabled=disabled,
            )
            for person_id, (display_name, mail, disabled, texts) in rows.items()
        )

    def _read_name(self, text: str | None) -> Name:
        if text is None:
            raise DirectoryAnswerMalformed(self._domain, "a stored person has no name")
        try:
            return read_name(text)
        except NameSyntaxError as error:
            raise DirectoryAnswerMalformed(self._domain, f"a stored name cannot be read: {error}") from error

    def _read_group(self, name: str, kind: str) -> Group:
        try:
            return Group(name=name, type=GroupType(kind), reference=read_name(name))
        except ValueError as error:  # NameSyntaxError is one
            raise DirectoryAnswerMalformed(
                self._domain, f"the stored group `{shorten(name)}` cannot be read: {error}"
            ) from error


def _plan(candidate: Candidate) -> _Asked | None:  # noqa: PLR0911 - one question per kind of candidate
    """Return the question for a candidate, None where the tables have no column for it."""
    match candidate:
        case SubjectCandidate():
            words = f"one of the names is `{shorten(render_ldap(candidate.dn))}`"
            return _Asked(question=_BY_NAME, values={"key": name_key(candidate.dn)}, words=words)
        case TextCandidate(find_by=FindBy.COMMON_NAME):
            words = f"the common name in one of the names is `{shorten(candidate.text)}`"
            return _Asked(question=_BY_COMMON_NAME, values={"key": text_key(candidate.text)}, words=words)
        case TextCandidate(find_by=FindBy.MAIL):
            words = f"the mail address is `{shorten(candidate.text)}`"
            return _Asked(question=_BY_MAIL, values={"key": text_key(candidate.text)}, words=words)
        case CertificateCandidate():
            digest = certificate_digest(candidate.der)
            words = f"a stored certificate has the SHA-256 {digest.hex()}"
            return _Asked(question=_BY_DIGEST, values={"sha256": digest}, words=words, holds=candidate.der)
        case IssuerSerialCandidate():
            serial = serial_text(candidate.serial)
            words = f"a stored certificate is {serial} of `{shorten(render_ldap(candidate.issuer))}`"
            values = {"issuer_key": issuer_key(candidate.issuer), "serial": serial}
            return _Asked(question=_BY_ISSUER_SERIAL, values=values, words=words)
        case SubjectKeyIdCandidate():
            words = f"a stored certificate has the subject key identifier {candidate.subject_key_id.hex()}"
            return _Asked(
                question=_BY_KEY_ID, values={"subject_key_id": candidate.subject_key_id}, words=words
            )
        case TextCandidate() | SidCandidate() | FilterCandidate():
            return None
        case _:
            assert_never(candidate)


def _holds(entry: Entry, der: bytes) -> bool:
    return any(stored.der == der for stored in entry.certificates)
