"""People of a directory in SQL: written, read, and their certificates.

What lives here: rows of `people`, `person_names` and `certificates`. What does not: which names are
possible (`records.py`), finding people for a certificate (`directory_assistance/backends/sql.py`), asking
whoever may do this (`web/api`).

A certificate is marked revoked rather than removed: the mark refuses it in the primary and binds nothing
anywhere (semantics section 4), and an entry that no longer holds it would say nothing. Deleting a person
deletes the marks.
"""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from authsvc.store.certificates import CertificateRecord
from authsvc.store.errors import NameTaken, NotStored, StoreMalformed
from authsvc.store.records import PersonRecord
from authsvc.store.schema import Change, in_code_point_order
from directory_assistance.dn import Name, NameSyntaxError, read_name, render_name
from directory_assistance.errors import shorten
from directory_assistance.sql_tables import certificates, people, person_names
from directory_assistance.sql_values import certificate_values, common_name_key, name_key, text_key

__all__ = [
    "add_certificate",
    "create_person",
    "delete_person",
    "find_person",
    "list_people",
    "mark_certificate",
    "remove_certificate",
    "replace_person",
]

_ROWS_AT_ONCE = 500
"""People read by one statement: SQLite takes 32,766 values in one, and memory stays small."""


def find_person(connection: Connection, name: Name) -> PersonRecord | None:
    """Return the person whose first name this is, or None; aliases do not count.

    Raises:
        StoreMalformed: a row cannot be read.

    """
    person_id = connection.scalar(select(people.c.id).where(people.c.name_key == name_key(name)))
    return None if person_id is None else _read_people(connection, [person_id])[0]


def list_people(
    connection: Connection, *, after: str = "", limit: int | None = None
) -> tuple[PersonRecord, ...]:
    """Return people in the order of their keys.

    Args:
        connection: an open one.
        after: the key of the last person of the page before.
        limit: how many at most; None for all.

    Raises:
        StoreMalformed: a row cannot be read.

    """
    key = in_code_point_order(connection, people.c.name_key)
    ids = connection.scalars(select(people.c.id).where(key > after).order_by(key).limit(limit)).all()
    pages = (ids[start : start + _ROWS_AT_ONCE] for start in range(0, len(ids), _ROWS_AT_ONCE))
    return tuple(person for page in pages for person in _read_people(connection, page))


def create_person(change: Change, person: PersonRecord) -> None:
    """Add a person.

    Raises:
        NameTaken: another person of the directory has this first name.

    """
    if _find_id(change, person.names[0]) is not None:
        raise NameTaken(f"a person with the first name `{shorten(person.shown_name)}` is already there")
    person_id = change.connection.execute(
        insert(people).values(_columns(person)).returning(people.c.id)
    ).scalar_one()
    _insert_names(change, person_id, person)
    for certificate in person.certificates:
        _insert_certificate(change, person_id, certificate)


def replace_person(change: Change, name: Name, person: PersonRecord) -> None:
    """Make the person whose first name is `name` be as described, the first name included.

    Raises:
        NotStored: there is no such person.
        NameTaken: another person of the directory has the new first name.

    """
    person_id = _require_id(change, name)
    if _find_id(change, person.names[0]) not in {None, person_id}:
        raise NameTaken(f"a person with the first name `{shorten(person.shown_name)}` is already there")
    connection = change.connection
    connection.execute(update(people).where(people.c.id == person_id).values(_columns(person)))
    connection.execute(delete(person_names).where(person_names.c.person_id == person_id))
    _insert_names(change, person_id, person)
    wanted = {certificate.sha256: certificate for certificate in person.certificates}
    held = _certificates_of(connection, [person_id])[person_id]
    for digest in {one.sha256 for one in held} - set(wanted):
        connection.execute(delete(certificates).where(_is_certificate(person_id, digest)))
    for certificate in held:
        if wanted.pop(certificate.sha256, certificate).revoked != certificate.revoked:
            _set_revoked(change, person_id, certificate.sha256, revoked=not certificate.revoked)
    for certificate in wanted.values():
        _insert_certificate(change, person_id, certificate)


def delete_person(change: Change, name: Name) -> None:
    """Delete a person with all names, certificates and marks; groups and ACLs keep the name.

    Raises:
        NotStored: there is no such person.

    """
    person_id = _require_id(change, name)
    for table in (person_names, certificates):  # explicitly: SQLite cascades only where foreign keys are on
        change.connection.execute(delete(table).where(table.c.person_id == person_id))
    change.connection.execute(delete(people).where(people.c.id == person_id))


def add_certificate(change: Change, name: Name, certificate: CertificateRecord) -> None:
    """Give a person one more certificate; one that is there already stays as it is, its mark included.

    Raises:
        NotStored: there is no such person.

    """
    person_id = _require_id(change, name)
    if certificate.sha256 not in {
        one.sha256 for one in _certificates_of(change.connection, [person_id])[person_id]
    }:
        _insert_certificate(change, person_id, certificate)


def mark_certificate(change: Change, name: Name, sha256: bytes, *, revoked: bool) -> None:
    """Mark a person's certificate revoked, or take the mark off.

    Raises:
        NotStored: there is no such person, or the person has no such certificate.

    """
    if not _set_revoked(change, _require_id(change, name), sha256, revoked=revoked):
        raise _no_certificate(name, sha256)


def remove_certificate(change: Change, name: Name, sha256: bytes) -> None:
    """Remove a certificate from a person, with its mark.

    Raises:
        NotStored: there is no such person, or the person has no such certificate.

    """
    condition = _is_certificate(_require_id(change, name), sha256)
    if not change.connection.execute(delete(certificates).where(condition)).rowcount:
        raise _no_certificate(name, sha256)


# --- rows


def _find_id(change: Change, name: Name) -> int | None:
    return change.connection.scalar(select(people.c.id).where(people.c.name_key == name_key(name)))


def _require_id(change: Change, name: Name) -> int:
    person_id = _find_id(change, name)
    if person_id is None:
        raise NotStored(f"no person has the first name `{shorten(render_name(name))}`")
    return person_id


def _no_certificate(name: Name, sha256: bytes) -> NotStored:
    return NotStored(f"`{shorten(render_name(name))}` has no certificate with SHA-256 {sha256.hex()}")


def _columns(person: PersonRecord) -> dict[str, str | bool]:
    return {
        "name_key": person.key,
        "display_name": person.display_name,
        "mail": person.mail,
        "mail_key": text_key(person.mail),
        "disabled": person.disabled,
    }


def _insert_names(change: Change, person_id: int, person: PersonRecord) -> None:
    change.connection.execute(
        insert(person_names),
        [
            {
                "person_id": person_id,
                "position": position,
                "text": render_name(name),
                "key": name_key(name),
                "common_name_key": common_name_key(name),
            }
            for position, name in enumerate(person.names)
        ],
    )


def _insert_certificate(change: Change, person_id: int, certificate: CertificateRecord) -> None:
    values = certificate_values(certificate.der)
    change.connection.execute(
        insert(certificates).values(
            person_id=person_id,
            der=certificate.der,
            sha256=values.sha256,
            issuer_key=values.issuer_key,
            serial=values.serial,
            subject_key_id=values.subject_key_id,
            revoked=certificate.revoked,
        )
    )


def _is_certificate(person_id: int, sha256: bytes) -> ColumnElement[bool]:
    return (certificates.c.person_id == person_id) & (certificates.c.sha256 == sha256)


def _set_revoked(change: Change, person_id: int, sha256: bytes, *, revoked: bool) -> bool:
    condition = _is_certificate(person_id, sha256)
    return (
        change.connection.execute(update(certificates).where(condition).values(revoked=revoked)).rowcount > 0
    )


def _certificates_of(
    connection: Connection, person_ids: Sequence[int]
) -> defaultdict[int, list[CertificateRecord]]:
    query = (
        select(certificates.c.person_id, certificates.c.der, certificates.c.sha256, certificates.c.revoked)
        .where(certificates.c.person_id.in_(person_ids))
        .order_by(certificates.c.id)
    )
    found: defaultdict[int, list[CertificateRecord]] = defaultdict(list)
    for person_id, der, sha256, revoked in connection.execute(query):
        found[person_id].append(CertificateRecord(der=der, sha256=sha256, revoked=revoked))
    return found


def _read_people(connection: Connection, person_ids: Sequence[int]) -> list[PersonRecord]:
    """Read the people of these ids, in their order."""
    names: defaultdict[int, list[Name]] = defaultdict(list)
    query = (
        select(person_names.c.person_id, person_names.c.text)
        .where(person_names.c.person_id.in_(person_ids))
        .order_by(person_names.c.person_id, person_names.c.position)
    )
    for person_id, text in connection.execute(query):
        names[person_id].append(_read_stored_name(text))
    held = _certificates_of(connection, person_ids)
    found: dict[int, PersonRecord] = {}
    columns = (people.c.id, people.c.display_name, people.c.mail, people.c.disabled)
    for person_id, display_name, mail, disabled in connection.execute(
        select(*columns).where(people.c.id.in_(person_ids))
    ):
        if not names[person_id]:
            raise StoreMalformed(f"person number {person_id} has no name")
        found[person_id] = PersonRecord(
            names=tuple(names[person_id]),
            mail=mail,
            display_name=display_name,
            disabled=disabled,
            certificates=tuple(held[person_id]),
        )
    return [found[person_id] for person_id in person_ids]


def _read_stored_name(text: str) -> Name:
    try:
        return read_name(text)
    except NameSyntaxError as error:
        raise StoreMalformed(f"a stored name cannot be read: {error}") from error
