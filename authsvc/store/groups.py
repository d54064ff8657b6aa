"""Groups of a directory in SQL: written and read.

What lives here: rows of `groups` and `group_members`. What does not: which names are possible
(`records.py`), nesting (`directory_assistance/groups.py`), asking whoever may do this (`web/api`). A
member need not exist: it may be a person of another directory, a wildcard, or a group that is made later.
"""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select, update

from authsvc.store.errors import ChangeRefused, NameTaken, NotStored, StoreMalformed
from authsvc.store.records import GroupRecord, read_group_member, read_group_name, read_group_type
from authsvc.store.schema import Change, in_code_point_order
from directory_assistance.dn import MemberReference, Name, render_member, render_name
from directory_assistance.errors import shorten
from directory_assistance.sql_tables import group_members, groups
from directory_assistance.sql_values import member_key, name_key

__all__ = ["create_group", "delete_group", "find_group", "list_groups", "replace_group"]

_ROWS_AT_ONCE = 500
"""Groups read by one statement: SQLite takes 32,766 values in one."""


def find_group(connection: Connection, name: Name) -> GroupRecord | None:
    """Return the group of this name, or None.

    Raises:
        StoreMalformed: a row cannot be read.

    """
    group_id = connection.scalar(select(groups.c.id).where(groups.c.name_key == name_key(name)))
    return None if group_id is None else _read_groups(connection, [group_id])[0]


def list_groups(
    connection: Connection, *, after: str = "", limit: int | None = None
) -> tuple[GroupRecord, ...]:
    """Return groups in the order of their keys; arguments as `people.list_people`.

    Raises:
        StoreMalformed: a row cannot be read.

    """
    key = in_code_point_order(connection, groups.c.name_key)
    ids = connection.scalars(select(groups.c.id).where(key > after).order_by(key).limit(limit)).all()
    pages = (ids[start : start + _ROWS_AT_ONCE] for start in range(0, len(ids), _ROWS_AT_ONCE))
    return tuple(group for page in pages for group in _read_groups(connection, page))


def create_group(change: Change, group: GroupRecord) -> None:
    """Add a group.

    Raises:
        NameTaken: another group of the directory has this name.

    """
    if _find_id(change, group.name) is not None:
        raise NameTaken(f"a group `{shorten(group.shown_name)}` is already there")
    group_id = change.connection.execute(
        insert(groups).values(_columns(group)).returning(groups.c.id)
    ).scalar_one()
    _insert_members(change, group_id, group)


def replace_group(change: Change, name: Name, group: GroupRecord) -> None:
    """Make the group `name` be as described, its name included.

    A new name does not reach the groups and ACLs that list the old one.

    Raises:
        NotStored: there is no such group.
        NameTaken: another group of the directory has the new name.

    """
    group_id = _require_id(change, name)
    if _find_id(change, group.name) not in {None, group_id}:
        raise NameTaken(f"a group `{shorten(group.shown_name)}` is already there")
    change.connection.execute(update(groups).where(groups.c.id == group_id).values(_columns(group)))
    change.connection.execute(delete(group_members).where(group_members.c.group_id == group_id))
    _insert_members(change, group_id, group)


def delete_group(change: Change, name: Name) -> None:
    """Delete a group; groups and ACLs that name it stay as they are.

    Raises:
        NotStored: there is no such group.

    """
    group_id = _require_id(change, name)
    change.connection.execute(delete(group_members).where(group_members.c.group_id == group_id))
    change.connection.execute(delete(groups).where(groups.c.id == group_id))


# --- rows


def _find_id(change: Change, name: Name) -> int | None:
    return change.connection.scalar(select(groups.c.id).where(groups.c.name_key == name_key(name)))


def _require_id(change: Change, name: Name) -> int:
    group_id = _find_id(change, name)
    if group_id is None:
        raise NotStored(f"there is no group `{shorten(render_name(name))}`")
    return group_id


def _columns(group: GroupRecord) -> dict[str, str]:
    return {"name": group.shown_name, "name_key": group.key, "type": group.type.value}


def _insert_members(change: Change, group_id: int, group: GroupRecord) -> None:
    rows = [
        {"group_id": group_id, "key": member_key(member), "text": render_member(member)}
        for member in group.members
    ]
    if rows:
        change.connection.execute(insert(group_members), rows)


def _read_groups(connection: Connection, group_ids: Sequence[int]) -> list[GroupRecord]:
    """Read the groups of these ids, in their order."""
    try:
        members: defaultdict[int, list[MemberReference]] = defaultdict(list)
        query = select(group_members.c.group_id, group_members.c.text).where(
            group_members.c.group_id.in_(group_ids)
        )
        for group_id, text in connection.execute(query):
            members[group_id].append(read_group_member(text))
        found = {
            group_id: GroupRecord.make(
                name=read_group_name(name), type=read_group_type(kind), members=members[group_id]
            )
            for group_id, name, kind in connection.execute(
                select(groups.c.id, groups.c.name, groups.c.type).where(groups.c.id.in_(group_ids))
            )
        }
    except ChangeRefused as error:
        raise StoreMalformed(f"a stored group cannot be read: {error}") from error
    return [found[group_id] for group_id in group_ids]
