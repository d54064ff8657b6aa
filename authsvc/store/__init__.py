"""The write side of the primary directory: schema, migrations, people, groups, ACLs."""
