"""What the pipeline asks of the store, and whom it tells of a proven path, as protocols: it never imports a database.

Not here: the implementations (`store/databases.py`, `store/blocks.py`, `operations/trust_files.py`) and the
directories (`directory_assistance.directory`).
INVARIANT: a store that cannot answer raises a `StoreFault`; it never answers "no such database" instead,
because a missing database is a refusal (`database_unknown`) and a broken store is undecided
(`store_unavailable`). For the same reason it never answers "no blocks".
"""

from typing import Protocol

from authsvc.access.acl import Database
from authsvc.trust.blocks import BlockList
from authsvc.trust.path import VerifiedCertificate

__all__ = ["Blocks", "Databases", "ProvenPaths", "StoreFault"]


class StoreFault(Exception):  # noqa: N818 - a fault is this project's word for it (GLOSSARY.md)
    """The store could not answer: it is down, locked for too long, or holds what cannot be read."""


class Databases(Protocol):
    """The databases with their ACLs, as of now."""

    def find(self, name: str) -> Database | None:
        """Return the database of this name in any spelling, or None where there is none.

        A text that is no database name (control characters, path tricks) is a database that does not exist.

        Raises:
            StoreFault: the store could not answer.

        """
        ...

    def generation(self) -> int:
        """Return the number that grows with every write: while it stays the same, nothing changed.

        Raises:
            StoreFault: the store could not answer.

        """
        ...


class Blocks(Protocol):
    """The emergency blocks, as of now. A `BlockList` is one, whose blocks do not change."""

    def current(self) -> BlockList:
        """Return all blocks, those added just now by another process too.

        Raises:
            StoreFault: the store could not answer, or holds what cannot be read.

        """
        ...


class ProvenPaths(Protocol):
    """Who is told of every path that was proven, and of no other (threat T31)."""

    def note(self, verified: VerifiedCertificate) -> str:
        """Learn where the certificates of a path say that their revocation lists are; never waits.

        Returns:
            One of these places of which there is no list yet; empty where nothing is waited for.

        """
        ...
