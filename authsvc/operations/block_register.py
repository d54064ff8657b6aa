"""Emergency blocks as administrators handle them: asked for in texts, written into the store, listed.

Lives here: a wish for a block (`BlockWish`), what becomes of it, and until when a block lasts. The API and the command
line both come through here, so that both read the same spellings. Not here: rows (`authsvc/store/blocks.py`), who may
do this, audit records and HTTP (`authsvc/web/api/blocks.py`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from authsvc.store.blocks import add_block, list_blocks, remove_block
from authsvc.store.schema import open_change, open_reading
from authsvc.trust.block_reading import LONGEST_OWNER, LONGEST_REASON, BlockSyntaxError, read_line
from authsvc.trust.blocks import Block, Blocked
from directory_assistance.config_reading import read_duration
from directory_assistance.errors import shorten

__all__ = ["BlockRegister", "BlockWish", "read_until"]

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DURATION: Final = re.compile(r"[0-9]+(?:ms|s|m|h|d)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockWish:
    """A block that somebody wants; texts as they were typed. `until` is None for a block without an end."""

    blocked: Blocked
    reason: str
    owner: str
    until: str | None = None


class BlockRegister:
    """Adds, removes and lists blocks. Everything here waits for the store.

    A change counts for whatever is decided from then on, in every process; what a process has cached counts no more
    when it has looked at the generation, or when it is flushed.

    Args:
        engine: of the primary's database; only lists where it was opened for reading.
        now: the wall clock (UTC).

    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    def list(self) -> tuple[Block, ...]:
        """Return every block, ended ones too.

        Raises:
            StoreFault: the store did not answer, or holds what cannot be read.

        """
        with open_reading(self._engine) as connection:
            return list_blocks(connection)

    def add(self, wish: BlockWish, *, actor: str) -> Block:
        """Add a block; it is in force when this returns.

        Raises:
            BlockSyntaxError: a text cannot be used.
            ChangeRefused: it would refuse nobody, or there are too many.
            StoreFault: the store did not answer.

        """
        now = self._now()
        owner = read_line(wish.owner, what="an owner", longest=LONGEST_OWNER)
        reason = read_line(wish.reason, what="a reason", longest=LONGEST_REASON)
        ends = None if wish.until is None else read_until(wish.until, now=now)
        with open_change(self._engine, actor=actor, now=now) as change:
            return add_block(change, wish.blocked, owner=owner, reason=reason, ends=ends)

    def remove(self, number: int, *, actor: str) -> None:
        """Remove a block; it refuses nobody when this returns.

        Raises:
            NotStored: there is no such block.
            StoreFault: the store did not answer.

        """
        with open_change(self._engine, actor=actor, now=self._now()) as change:
            remove_block(change, number)


def read_until(text: str, *, now: datetime) -> datetime:
    """Read when a block ends: a time from now such as `12h`, an instant (RFC 3339), or a date.

    A date is the last day of the block (UTC): nobody who blocks "until the 31st" finds the block gone on the 31st.

    Raises:
        BlockSyntaxError: it is none of these.

    """
    stripped = text.strip()
    try:
        if _DURATION.fullmatch(stripped):
            return now + read_duration(stripped)
        if _DATE.fullmatch(stripped):
            return datetime.fromisoformat(f"{stripped}T00:00:00Z") + timedelta(days=1)
        end = datetime.fromisoformat(stripped)
        if end.tzinfo is not None:
            return end.astimezone(UTC)
        why = "without a time zone"
    except (ValueError, OverflowError) as error:
        why = str(error)
    raise BlockSyntaxError(
        "expected an end such as `12h`, `7d`, `2027-01-31` or `2027-01-31T12:00:00Z`,"
        f" found `{shorten(text)}`: {shorten(why)}"
    )
