"""What can go wrong in the store: faults, refused changes, a schema that is not ours.

A *fault* (`StoreUnavailable`, `StoreMalformed`) means that the store could not answer; the pipeline makes
*undecided* of it. A *refused change* means that the store is well and says no; its text is written for the
administrator who asked. No exception here carries an HTTP status.
"""

from authsvc.decision.ports import StoreFault

__all__ = [
    "AclRefused",
    "ChangeRefused",
    "DocumentChanged",
    "NameRefused",
    "NameTaken",
    "NotStored",
    "SchemaRefused",
    "StoreFault",
    "StoreMalformed",
    "StoreUnavailable",
]


class StoreUnavailable(StoreFault):
    """The database did not answer: refused, timed out, locked, not a database, full."""


class StoreMalformed(StoreFault):
    """The database holds a row that cannot be read (a level nobody defined, a name that is none)."""


class SchemaRefused(Exception):  # noqa: N818 - named like the other refusals
    """The database has a schema that this version must not touch, or does not have one yet."""


class ChangeRefused(Exception):  # noqa: N818 - a refusal is an answer that unwinds a transaction
    """A change cannot be made; nothing of it was."""


class NotStored(ChangeRefused):
    """What should be changed is not there."""


class NameTaken(ChangeRefused):
    """Another entry of the directory has this first name, or another group or database this name."""


class NameRefused(ChangeRefused):
    """A text may not be a name here: it cannot be read, is reserved, or would be mistaken for another."""


class AclRefused(ChangeRefused):
    """An ACL may not become this: an impossible entry, the last Manager gone, a built-in thing removed."""


class DocumentChanged(ChangeRefused):
    """Somebody else changed the document since it was read (`If-Match`)."""
