"""Emergency blocks in SQL: added and removed with a log, read for decisions.

What lives here: rows of `blocks` and `block_log`, and `SqlBlocks`, which the pipeline reads. What does not: what a
block hits (`authsvc.trust.blocks`), how its texts are read (`authsvc.trust.block_reading`), asking whoever may do this
(`web/api`).

Invariants:

* Adding and removing writes who, when and what, in the same transaction. A block is never changed: another is added,
  and the old one removed.
* A block that has ended stays until it is removed.
* A row that cannot be read is a fault, and so is a store that does not answer; neither is ever "no blocks".
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine, delete, func, insert, select

from authsvc.store.errors import ChangeRefused, NotStored, StoreMalformed, StoreUnavailable
from authsvc.store.schema import (
    Change,
    GenerationReader,
    block_log,
    blocks,
    open_reading,
    read_time,
    render_time,
)
from authsvc.trust.block_reading import WrittenBlock, read_written, write_blocked
from authsvc.trust.blocks import Block, Blocked, BlockKind, BlockList
from directory_assistance.sql_waiting import answered_until

__all__ = [
    "MOST_BLOCKS",
    "BlockDocument",
    "BlockLogLine",
    "SqlBlocks",
    "add_block",
    "list_blocks",
    "read_block_log",
    "remove_block",
]

MOST_BLOCKS: Final = 10_000
"""Blocks that a store keeps, ended ones too. Every process reads them all when one changes, so many in half a second; a
withdrawal of that size is a revocation list's, or one block of the issuer's key."""

_LOOK_UP_SECONDS: Final = 3.0
"""How long a decision waits for the rows, connecting included; they take milliseconds."""

BlockDocument = Mapping[str, str | None]
"""A block as the log keeps it: its columns, without the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLogLine:
    """One change. `before` is None where the block was added, `after` where it was removed."""

    number: int
    block_id: int
    at: datetime
    actor: str
    before: BlockDocument | None
    after: BlockDocument | None


def add_block(change: Change, blocked: Blocked, *, owner: str, reason: str, ends: datetime | None) -> Block:
    """Add a block; one of the same value may be there already.

    Args:
        change: an open change; its actor is who makes the block.
        blocked: what it refuses.
        owner: one line (`read_line`).
        reason: one line (`read_line`).
        ends: from when on it refuses nobody; None for never.

    Raises:
        BlockSyntaxError: the name cannot be written so that it is the same when it is read.
        ChangeRefused: it would end before it begins, or there are too many.

    """
    written = write_blocked(blocked)
    if ends is not None and ends <= change.now:
        raise ChangeRefused(
            f"expected an end after {render_time(change.now)}, found {render_time(ends)}: nobody would be refused"
        )
    if (change.connection.scalar(select(func.count()).select_from(blocks)) or 0) >= MOST_BLOCKS:
        raise ChangeRefused(
            f"expected at most {MOST_BLOCKS} blocks, found as many: remove those that have ended"
        )
    columns = {
        "kind": written.kind.value,
        "value": written.value,
        "serial": written.serial,
        "owner": owner,
        "reason": reason,
        "ends": None if ends is None else render_time(ends),
        "created_by": change.actor,
        "created_at": render_time(change.now),
    }
    number = change.connection.execute(insert(blocks).values(columns).returning(blocks.c.id)).scalar_one()
    _write_log(change, number, None, columns)
    return Block(
        id=number,
        blocked=blocked,
        owner=owner,
        reason=reason,
        ends=ends,
        created_by=change.actor,
        created_at=change.now,
    )


def remove_block(change: Change, number: int) -> None:
    """Remove a block, also one whose row cannot be read: it would keep everybody undecided.

    Raises:
        NotStored: there is no such block.

    """
    row = change.connection.execute(select(blocks).where(blocks.c.id == number)).one_or_none()
    if row is None:
        raise NotStored(f"there is no block {number}")
    change.connection.execute(delete(blocks).where(blocks.c.id == number))
    _write_log(change, number, {name: row._mapping[name] for name in _LOGGED}, None)  # noqa: SLF001 - SQLAlchemy's public name for it


def list_blocks(connection: Connection) -> tuple[Block, ...]:
    """Return every block in the order in which they were added, ended ones too.

    Raises:
        StoreMalformed: a row cannot be read.

    """
    found = []
    for number, kind, value, serial, owner, reason, ends, created_by, created_at in connection.execute(
        select(*_COLUMNS).order_by(blocks.c.id)
    ):
        try:
            block = Block(
                id=number,
                blocked=read_written(WrittenBlock(kind=BlockKind(kind), value=value, serial=serial)),
                owner=owner,
                reason=reason,
                ends=None if ends is None else read_time(ends),
                created_by=created_by,
                created_at=read_time(created_at),
            )
        except ValueError as error:
            raise StoreMalformed(f"block {number} cannot be read: {error}") from error
        found.append(block)
    return tuple(found)


def read_block_log(connection: Connection, *, limit: int = 100) -> tuple[BlockLogLine, ...]:
    """Return changes, the newest first.

    Raises:
        StoreMalformed: a line cannot be read.

    """
    query = select(
        block_log.c.id,
        block_log.c.block_id,
        block_log.c.at,
        block_log.c.actor,
        block_log.c.before,
        block_log.c.after,
    )
    try:
        return tuple(
            BlockLogLine(
                number=number, block_id=block_id, at=read_time(at), actor=actor, before=before, after=after
            )
            for number, block_id, at, actor, before, after in connection.execute(
                query.order_by(block_log.c.id.desc()).limit(limit)
            )
        )
    except ValueError as error:
        raise StoreMalformed(f"a line of the block log cannot be read: {error}") from error


_COLUMNS = (
    blocks.c.id,
    blocks.c.kind,
    blocks.c.value,
    blocks.c.serial,
    blocks.c.owner,
    blocks.c.reason,
    blocks.c.ends,
    blocks.c.created_by,
    blocks.c.created_at,
)
_LOGGED = tuple(column.name for column in _COLUMNS[1:])


def _write_log(
    change: Change, number: int, before: BlockDocument | None, after: BlockDocument | None
) -> None:
    change.connection.execute(
        insert(block_log).values(
            block_id=number, at=render_time(change.now), actor=change.actor, before=before, after=after
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The list as it was read; `generation` 0 is nobody's, `last_change` is the newest line of the log."""

    generation: int
    last_change: tuple[int, str] | None
    blocks: BlockList

    def is_of(self, generation: int) -> bool:
        """Whether nothing can have changed since. Of a store that has lost its generation nobody knows."""
        return generation != 0 and self.generation == generation


class SqlBlocks:
    """The blocks as the pipeline reads them (`authsvc.decision.ports.Blocks`): one question for each decision.

    The list is kept while the generation stays the same; when it has changed, the newest line of the log tells whether
    a block has, and only then every row is read. So a block counts from the first decision after it was added, in every
    process, whatever else the process waits for. Threads may share it.

    Args:
        engine: of a migrated database.

    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._generation = GenerationReader(engine)
        self._reading = threading.Lock()
        self._known: _Known | None = None

    def current(self) -> BlockList:
        """Return the blocks as of now.

        Raises:
            StoreFault: the store could not answer, or holds what cannot be read.

        """
        # The generation is read first: should a change come between it and the rows, newer rows are kept under an older
        # number, and looked at again next time.
        generation = self._generation.read()
        known = self._known
        if known is not None and known.is_of(generation):
            return known.blocks
        # One thread reads, the others wait for what it finds: many at once would each take as long as all.
        if not self._reading.acquire(timeout=_LOOK_UP_SECONDS):
            raise StoreUnavailable("the store did not answer: another thread still reads the blocks")
        try:
            known = self._known
            if known is None or not known.is_of(generation):
                known = self._known = self._read(known, generation)
            return known.blocks
        finally:
            self._reading.release()

    def _read(self, known: _Known | None, generation: int) -> _Known:
        """Read the blocks, unless the log says that none has changed since they were read."""
        with (
            answered_until(time.monotonic() + _LOOK_UP_SECONDS),
            open_reading(self._engine) as connection,
        ):
            last_change = _last_change(connection)
            # Where the generation is lost, somebody has written by hand, perhaps past the log too.
            if known is not None and generation and known.last_change == last_change:
                return replace(known, generation=generation)
            listed = BlockList.of(list_blocks(connection))
            return _Known(generation=generation, last_change=last_change, blocks=listed)

    def close(self) -> None:
        """Give up the connection that is kept open; a later question opens a new one."""
        self._generation.close()


def _last_change(connection: Connection) -> tuple[int, str] | None:
    """Return number and time of the newest line of the log; a backup that was put back has another time."""
    query = select(block_log.c.id, block_log.c.at).order_by(block_log.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else (row[0], row[1])
