"""The built-in database `directory`, which governs administration (contract section 3).

It exists in every migrated database. It starts with -Default- No Access and no Anonymous: until an
administrator is named, the bootstrap token is the only way in (`bootstrap.py`).
"""

from sqlalchemy import Connection, insert, select

from authsvc.store.schema import acl_entries, database_roles, databases

__all__ = ["DEFAULT_ENTRY", "DIRECTORY", "DIRECTORY_ROLES", "ensure_directory_database"]

DIRECTORY = "directory"
"""Name and key of the built-in database."""

DIRECTORY_ROLES = (
    "AclManager",
    "Auditor",
    "GroupCreator",
    "GroupModifier",
    "Registrar",
    "TrustManager",
    "UserCreator",
    "UserModifier",
)
"""The roles that calls under `/v1` ask for; they cannot be removed."""

DEFAULT_ENTRY = "-Default-"
"""The ACL entry that every database has: what applies to an identity that no other entry matches."""


def ensure_directory_database(connection: Connection) -> None:
    """Make the database `directory` where it is missing, and the roles it must have; change nothing else."""
    found = connection.scalar(select(databases.c.id).where(databases.c.name_key == DIRECTORY))
    if found is None:
        found = connection.execute(
            insert(databases)
            .values(
                name=DIRECTORY,
                name_key=DIRECTORY,
                title="Administration of authsvc",
                maximum_internet_access="Editor",
                wildcards="fallback",
            )
            .returning(databases.c.id)
        ).scalar_one()
        connection.execute(
            insert(acl_entries).values(
                database_id=found,
                key=DEFAULT_ENTRY.casefold(),  # as `databases.py` makes keys
                name=DEFAULT_ENTRY,
                type="unspecified",
                level="No Access",
                privileges=[],
                roles=[],
            )
        )
    present = set(
        connection.scalars(select(database_roles.c.key).where(database_roles.c.database_id == found))
    )
    for role in DIRECTORY_ROLES:
        if role.casefold() not in present:
            connection.execute(
                insert(database_roles).values(database_id=found, key=role.casefold(), name=role)
            )
