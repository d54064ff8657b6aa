"""The history of the schema, one Alembic revision per step; run by `authsvc.store.migrate`."""
