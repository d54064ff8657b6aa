"""What Alembic runs: the revisions, on the connection of `authsvc.store.migrate` and in its transaction.

There is no ini file and no mode without a connection. Nothing is committed here.
"""

from alembic import context
from sqlalchemy import Connection

from authsvc.store.schema import metadata

_connection = context.config.attributes["connection"]
assert isinstance(_connection, Connection)
context.configure(
    connection=_connection,
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter most things; Alembic then copies the table
    transactional_ddl=True,  # true of SQLite too, since the transaction is ours (`schema._begin_sqlite`)
)
context.run_migrations()
