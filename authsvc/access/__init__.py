"""Database ACLs, and which request needs which database."""
