"""The bootstrap token: the way in before there is an administrator (contract section 3).

What lives here: making the token, its file, checking it, and closing the door. What does not: the request
that carries it (`web/api`).

The token is 256 random bits. Its file (mode 0600) is the only copy; the store holds its SHA-256 digest, which
is enough to check it, tells nothing about it, and is seen by every process and machine at once. No digest
means that no token works: that is the state of a new database, and the state after an administrator's
certificate has been used (`note_manager_used`).
"""

import hashlib
import hmac
import os
import secrets
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, insert, select

from authsvc.store.builtin import DIRECTORY
from authsvc.store.databases import find_database, has_manager
from authsvc.store.schema import open_change, open_reading, settings
from directory_assistance.errors import ConfigurationError, Problem

__all__ = [
    "BOOTSTRAP_ACTOR",
    "create_token",
    "is_open",
    "note_manager_used",
    "read_token_file",
    "verify_token",
]

BOOTSTRAP_ACTOR = "bootstrap"
"""Who changed something with the token, in logs. No name for ACLs can be mistaken for it: it is never
matched."""

_DIGEST = "bootstrap_token_sha256"
"""Name of the setting that holds the digest, in hexadecimal."""

_TOKEN_OCTETS = 32
"""Octets of chance in a token: guessing is hopeless, so a plain digest protects it well enough."""

_LONGEST_TOKEN = 512
"""Characters of a token that is presented or read; ours have 43."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def create_token(engine: Engine, path: Path, *, actor: str, now: datetime) -> None:
    """Make a new token and write its file; tokens made before stop working. It also reopens a closed door.

    1. Write the file beside its place, readable by its owner only from its first moment.
    2. Remember the digest.
    3. Put the file in its place; should this fail, the digest is forgotten again.

    Args:
        engine: of the primary directory, migrated.
        path: the file; an old one is replaced.
        actor: `local:<login>`.
        now: the moment, for whoever reads the log.

    Raises:
        ConfigurationError: the file cannot be written.
        StoreUnavailable: the database did not answer.

    """
    token = secrets.token_urlsafe(_TOKEN_OCTETS)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write_private(beside, token + "\n")
        try:
            with open_change(engine, actor=actor, now=now) as change:
                change.connection.execute(delete(settings).where(settings.c.name == _DIGEST))
                change.connection.execute(insert(settings).values(name=_DIGEST, value=_digest(token)))
                beside.replace(path)
        finally:
            with suppress(FileNotFoundError):  # it is in its place
                beside.unlink()
    except OSError as error:
        raise _file_problem(path, f"cannot be written: {error.strerror or error}") from error


def read_token_file(path: Path) -> str:
    """Read a token from its file.

    Raises:
        ConfigurationError: the file cannot be read, others than its owner may read or write it, or it
            holds no token.

    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            octets = stream.read(_LONGEST_TOKEN + 1)
    except OSError as error:
        raise _file_problem(path, f"cannot be read: {error.strerror or error}") from error
    if mode & _OTHERS:
        raise _file_problem(path, f"expected mode 0600, found {stat.S_IMODE(mode):04o}", "chmod 600")
    token = octets.decode("ascii", "replace").strip()
    if not token or len(octets) > _LONGEST_TOKEN:
        raise _file_problem(path, "expected one token, found none", "`authsvc init --token` makes a new one")
    return token


def verify_token(engine: Engine, presented: str) -> bool:
    """Tell whether a text is the token that works now; False once the door is closed.

    The time it takes says nothing about the token: digests are compared in constant time.

    Raises:
        StoreUnavailable: the database did not answer.

    """
    with open_reading(engine) as connection:
        digest = _read_digest(connection)
    if digest is None or len(presented) > _LONGEST_TOKEN:
        return False
    return hmac.compare_digest(_digest(presented), digest)


def is_open(engine: Engine) -> bool:
    """Tell whether a token works now.

    Raises:
        StoreUnavailable: the database did not answer.

    """
    with open_reading(engine) as connection:
        return _read_digest(connection) is not None


def note_manager_used(engine: Engine, *, actor: str, now: datetime) -> bool:
    """Close the door for the token: a certificate was just used whose access to `directory` is Manager.

    Called for every such request; it costs one read once the door is closed. The caller has decided that the
    access came from the ACL of `directory` (not from full access); here it is only checked that the ACL has a
    Manager entry at all, so that no mistake there can lock everybody out.

    Returns:
        Whether the door was closed by this call.

    Raises:
        StoreUnavailable: the database did not answer.

    """
    if not is_open(engine):
        return False
    with open_change(engine, actor=actor, now=now) as change:
        stored = find_database(change.connection, DIRECTORY)
        if stored is None or not has_manager(stored.database):
            return False
        condition = settings.c.name == _DIGEST
        return change.connection.execute(delete(settings).where(condition)).rowcount > 0


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _read_digest(connection: Connection) -> str | None:
    return connection.scalar(select(settings.c.value).where(settings.c.name == _DIGEST))


def _write_private(path: Path, text: str) -> None:
    # Exclusive and not through a link: nobody else can have the file open, nor point it elsewhere.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _file_problem(path: Path, problem: str, hint: str = "") -> ConfigurationError:
    return ConfigurationError([Problem(file=str(path), line=0, path="", problem=problem, hint=hint)])
