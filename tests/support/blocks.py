"""Short forms for tests about emergency blocks."""

from datetime import datetime

from authsvc.trust.block_reading import blocked_by_certificate
from authsvc.trust.blocks import Block, Blocked, BlockKind, BlockList
from tests.support.pki import NOW, Authority, Issued

__all__ = ["block", "blocks_of", "of"]


def of(kind: BlockKind, issued: Issued | Authority) -> Blocked:
    """Return what a block of a kind refuses of a certificate."""
    return blocked_by_certificate(kind, issued.der)


def block(blocked: Blocked, *, number: int = 7, ends: datetime | None = None) -> Block:
    """Return a block, ordinary unless a test says otherwise."""
    return Block(
        id=number,
        blocked=blocked,
        owner="Ada Admin",
        reason="key found on a laptop",
        ends=ends,
        created_by="local:ada",
        created_at=NOW,
    )


def blocks_of(*refused: Blocked, ends: datetime | None = None) -> BlockList:
    """Return a list with a block for each, numbered from 7 on."""
    return BlockList.of(block(each, number=7 + position, ends=ends) for position, each in enumerate(refused))
