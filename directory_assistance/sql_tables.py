"""The tables of a directory in SQL: people, their names and certificates, groups and their members.

The primary directory and every secondary `sql` directory have these tables; the store of the service adds its own
(databases, ACLs) to the same metadata and migrates both. Columns named `*_key` hold `directory_assistance.dn.key_text`
of the value beside them: comparison is done on keys, never on printed text.
"""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

__all__ = ["certificates", "generation", "group_members", "groups", "metadata", "people", "person_names"]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

people = Table(
    "people",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name_key", Text, nullable=False, unique=True),  # of the first name: unique in its directory
    Column("display_name", Text, nullable=False, default=""),
    Column("mail", Text, nullable=False, default=""),
    Column("mail_key", Text, nullable=False, default="", index=True),
    Column("disabled", Boolean, nullable=False, default=False),
)

person_names = Table(
    "person_names",
    metadata,
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),  # 0 is the identity, the others only find it
    Column("text", Text, nullable=False),
    Column("key", Text, nullable=False, index=True),
    Column("common_name_key", Text, nullable=False, default="", index=True),  # of the CN, or of a flat name
)

certificates = Table(
    "certificates",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("der", LargeBinary, nullable=False),
    # Not unique: a certificate may have several owners.
    Column("sha256", LargeBinary(32), nullable=False, index=True),
    Column("issuer_key", Text, nullable=False),
    # Hexadecimal: serial numbers are wider than any integer column.
    Column("serial", String(64), nullable=False),
    Column("subject_key_id", LargeBinary, nullable=True, index=True),
    Column("revoked", Boolean, nullable=False, default=False),
    Index("ix_certificates_issuer_serial", "issuer_key", "serial"),
)

groups = Table(
    "groups",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    Column("type", String(16), nullable=False, default="multi"),
)

group_members = Table(
    "group_members",
    metadata,
    Column("group_id", ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True, index=True),
    Column("text", Text, nullable=False),
)

generation = Table(
    "generation",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1
    Column("value", Integer, nullable=False),  # grows by one with every write
)
