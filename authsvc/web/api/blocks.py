"""`/v1/blocks`: emergency blocks, listed for level Reader in `directory`, added and removed by role `TrustManager`.

Invariants:

* A block is in force in this process when its answer leaves, and in every other one within a second.
* Every answer is recorded before it is sent; one that cannot be recorded is 503 `store_unavailable`. A change stands
  all the same, and stands in the store's own log: a full disk must not keep a stolen key alive.
* What is typed is read as the command line reads it; a text that could be meant otherwise is `bad_request`.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from authsvc.decision.ports import StoreFault
from authsvc.operations.block_register import BlockWish
from authsvc.presented.body import read_body
from authsvc.presented.presentation import PresentedCertificate
from authsvc.reason import Reason
from authsvc.store.errors import ChangeRefused, NotStored
from authsvc.trust.block_reading import (
    BlockSyntaxError,
    blocked_by_certificate,
    describe_blocked,
    read_typed,
    write_blocked,
)
from authsvc.trust.blocks import Block, Blocked, BlockKind
from authsvc.web.api.callers import (
    CallerOf,
    CallRefused,
    ServiceOf,
    admit_reader,
    admit_trust_manager,
    admitted_by,
)
from authsvc.web.api.documents import CertificateText
from authsvc.web.api.recording import record_answer

__all__ = ["BlockDocument", "changes", "listing", "write_block"]

_LONGEST_TEXT = 4_096
"""Characters of a value: as many as a name may have."""

_LARGEST_NUMBER = 2_147_483_647
"""The largest number that a store gives to a block."""

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
_PROBLEMS: dict[int | str, dict[str, object]] = {
    "default": {"content": _PROBLEM, "description": "the call was not made"},
}
_BAD: dict[int | str, dict[str, object]] = {
    400: {"content": _PROBLEM, "description": "the caller's mistake; nothing was changed"},
}
_NO_BLOCK: dict[int | str, dict[str, object]] = {
    404: {"content": _PROBLEM, "description": "no block has this number"},
}

Kind = Literal["certificate", "public_key", "issuer_serial", "subject", "identity"]
Text = Annotated[str, Field(min_length=1, max_length=_LONGEST_TEXT)]

listing = APIRouter(prefix="/v1", tags=["trust"], route_class=admitted_by(admit_reader))
changes = APIRouter(prefix="/v1", tags=["trust"], route_class=admitted_by(admit_trust_manager))


class BlockBody(BaseModel):
    """`POST /v1/blocks`: what to refuse, why, for how long.

    `value` is a SHA-256 digest (`certificate`, `public_key`), the issuer's whole name (`issuer_serial`, with `serial`
    beside it), the whole subject, or an identity's name for ACLs; instead of value and serial, `certificate` (PEM or
    base64 DER) for every kind but `identity`. `owner` answers for the block, by default the caller. `until` is a time
    from now (`12h`, `7d`), an instant (RFC 3339) or the last day; absent, the block has no end.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    kind: Kind
    value: Text | None = None
    serial: Text | None = None
    certificate: CertificateText | None = None
    reason: Text
    owner: Text | None = None
    until: Text | None = None


class BlockDocument(BaseModel):
    """An emergency block. `serial` is hexadecimal, for `issuer_serial` alone; `ends` is null for never."""

    model_config = ConfigDict(frozen=True)

    id: int
    kind: Kind
    value: str
    serial: str | None
    owner: str
    reason: str
    ends: datetime | None
    in_force: bool
    created_by: str
    created_at: datetime


class BlocksDocument(BaseModel):
    """Every block in the order in which they were added, those that have ended too."""

    model_config = ConfigDict(frozen=True)

    blocks: list[BlockDocument]


def write_block(block: Block, *, now: datetime) -> BlockDocument:
    """Write a block as a document, for the API and for `--json`."""
    written = write_blocked(block.blocked)
    return BlockDocument(
        id=block.id,
        kind=written.kind.value,
        value=written.value,
        serial=written.serial,
        owner=block.owner,
        reason=block.reason,
        ends=block.ends,
        in_force=block.is_in_force(now),
        created_by=block.created_by,
        created_at=block.created_at,
    )


@listing.get("/blocks", summary="Who is refused at once?", responses=_PROBLEMS)
async def list_blocks(request: Request, caller: CallerOf, service: ServiceOf) -> BlocksDocument:
    """Return every emergency block."""
    found = await _of_store(service.block_register.list)
    record_answer(request, service, caller, "blocks listed for")
    now = service.now()
    return BlocksDocument(blocks=[write_block(block, now=now) for block in found])


@changes.post("/blocks", status_code=201, summary="Refuse this at once", responses=_BAD | _PROBLEMS)
async def add_block(body: BlockBody, request: Request, caller: CallerOf, service: ServiceOf) -> BlockDocument:
    """Add an emergency block; it is in force when this is answered."""
    try:
        wish = BlockWish(
            blocked=_blocked(body), reason=body.reason, owner=body.owner or caller.actor, until=body.until
        )
        block = await _of_store(lambda: service.block_register.add(wish, actor=caller.actor))
    except (BlockSyntaxError, ChangeRefused) as refusal:
        raise CallRefused(Reason.BAD_REQUEST, str(refusal)) from refusal
    service.decider.flush()  # what is decided from here on asks the store
    what = describe_blocked(write_blocked(block.blocked))
    record_answer(request, service, caller, f"block {block.id} ({what}) added by")
    return write_block(block, now=service.now())


@changes.delete(
    "/blocks/{number}", status_code=204, summary="Refuse it no more", responses=_NO_BLOCK | _PROBLEMS
)
async def remove_block(
    number: Annotated[int, Path(ge=1, le=_LARGEST_NUMBER)],
    request: Request,
    caller: CallerOf,
    service: ServiceOf,
) -> None:
    """Remove an emergency block, in force or ended."""
    try:
        await _of_store(lambda: service.block_register.remove(number, actor=caller.actor))
    except NotStored as missing:
        raise HTTPException(404, "no such block") from missing
    service.decider.flush()
    record_answer(request, service, caller, f"block {number} removed by")


_Result = TypeVar("_Result")


async def _of_store(ask: Callable[[], _Result]) -> _Result:
    """Ask the store on a thread.

    Raises:
        CallRefused: it did not answer.

    """
    try:
        return await asyncio.to_thread(ask)
    except StoreFault as fault:
        raise CallRefused(Reason.STORE_UNAVAILABLE, "the store did not answer") from fault


def _blocked(body: BlockBody) -> Blocked:
    """Read what a body wants to be refused.

    Raises:
        BlockSyntaxError: a text cannot be read, is missing, or is one too many.

    """
    kind = BlockKind(body.kind)
    if body.certificate is not None:
        if body.value is not None or body.serial is not None:
            raise BlockSyntaxError("expected `certificate` or `value`, found more than one of them")
        presented = read_body(body.certificate)
        if not isinstance(presented, PresentedCertificate):
            raise BlockSyntaxError("expected one certificate, PEM or base64 DER, found something else")
        return blocked_by_certificate(kind, presented.der)
    if body.value is None:
        raise BlockSyntaxError("expected `value` or `certificate`, found neither")
    return read_typed(kind, body.value, serial=body.serial)
