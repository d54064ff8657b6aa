"""`authsvc blocks`: emergency blocks listed, added and removed; in force in every process within a second."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text
from sqlalchemy import Engine

from authsvc.access.acl import DefaultTarget, NameTarget
from authsvc.access.levels import Level
from authsvc.cli.application import app, configuration_path
from authsvc.cli.apply import local_actor, store_of
from authsvc.cli.output import (
    ConfigOption,
    JsonOption,
    console,
    counted,
    errors,
    fail,
    guarded,
    print_json,
    visible,
)
from authsvc.config import read_settings
from authsvc.decision.ports import StoreFault
from authsvc.operations.block_register import BlockRegister, BlockWish
from authsvc.store.builtin import DIRECTORY
from authsvc.store.databases import find_database
from authsvc.store.migrate import require_schema
from authsvc.store.people import find_person
from authsvc.store.schema import open_reading
from authsvc.trust.block_reading import (
    BlockSyntaxError,
    blocked_by_certificate,
    describe_blocked,
    looks_like_digest,
    read_block_certificate,
    read_typed,
    write_blocked,
)
from authsvc.trust.blocks import Block, Blocked, BlockedIdentity, BlockKind
from authsvc.trust.certificate import LARGEST_CERTIFICATE
from authsvc.web.api.blocks import write_block
from directory_assistance.settings import SqlSettings
from directory_assistance.sql_engine import open_engine as open_reading_engine

__all__ = ["blocks"]

_LARGEST_NUMBER = 2_147_483_647
"""The largest number that a store gives to a block."""

_LARGEST_FILE = 2 * LARGEST_CERTIFICATE
"""Octets of a certificate file: base64 needs a third more than the certificate itself."""

blocks = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
app.add_typer(
    blocks,
    name="blocks",
    help="Refuse a certificate, a key or an identity at once, whatever its issuer says.",
)


@blocks.command("list")
@guarded
def list_blocks(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List every block, those that have ended too."""
    now = datetime.now(UTC)
    with _reading(_primary(context, config)) as engine:
        found = BlockRegister(engine, now=lambda: now).list()
    if as_json:
        print_json({"blocks": [write_block(block, now=now).model_dump(mode="json") for block in found]})
        return
    for block in found:
        _print_block(block, now)
    in_force = sum(block.is_in_force(now) for block in found)
    console.print(f"{counted(len(found), 'block', 'blocks')}, {in_force} in force")


@blocks.command("add")
@guarded
def add_block(  # noqa: PLR0913 - the options of the contract
    context: typer.Context,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, in one line.")],
    certificate: Annotated[
        str | None,
        typer.Option("--certificate", metavar="FILE|DIGEST", help="One certificate (SHA-256 of its DER)."),
    ] = None,
    public_key: Annotated[
        str | None,
        typer.Option(
            "--public-key",
            metavar="FILE|DIGEST",
            help="Every certificate of a key (SHA-256 of SubjectPublicKeyInfo), a CA's too.",
        ),
    ] = None,
    issuer_serial: Annotated[
        str | None,
        typer.Option("--issuer-serial", metavar="FILE", help="Issuer and serial number of a certificate."),
    ] = None,
    issuer: Annotated[
        str | None, typer.Option("--issuer", metavar="DN", help="The issuer's whole name, with --serial.")
    ] = None,
    serial: Annotated[
        str | None,
        typer.Option(
            "--serial", metavar="N", help="Decimal, `0x` and hexadecimal, or octets between colons."
        ),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option("--subject", metavar="DN|FILE", help="Every certificate with this whole subject."),
    ] = None,
    identity: Annotated[
        str | None,
        typer.Option("--identity", metavar="NAME", help="A name for ACLs, whatever the certificate."),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option("--owner", metavar="TEXT", help="Who answers for the block; default: who runs this."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="DATE|DURATION",
            help="The last day, an instant, or `12h`, `7d`; default: no end.",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Refuse one thing from now on: exactly one of the options that name it, and a reason.

    Every certificate of a certification path is held against it, the trust anchor included.
    """
    primary = _primary(context, config)
    now = datetime.now(UTC)
    try:
        blocked = _read_blocked(
            {
                BlockKind.CERTIFICATE: certificate,
                BlockKind.PUBLIC_KEY: public_key,
                BlockKind.ISSUER_SERIAL: issuer_serial,
                BlockKind.SUBJECT: subject,
                BlockKind.IDENTITY: identity,
            },
            issuer=issuer,
            serial=serial,
        )
        wish = BlockWish(blocked=blocked, reason=reason, owner=owner or local_actor(), until=until)
        with store_of(primary) as engine:
            block = BlockRegister(engine, now=lambda: now).add(wish, actor=local_actor())
            warnings = _warnings(engine, blocked)
    except BlockSyntaxError as error:
        raise fail(str(error)) from None
    for warning in warnings:
        errors.print(Text.assemble(("warning: ", "yellow"), visible(warning)))
    if as_json:
        print_json(write_block(block, now=now).model_dump(mode="json"))
    else:
        _print_block(block, now)


@blocks.command("remove")
@guarded
def remove_block(
    context: typer.Context,
    number: Annotated[
        int, typer.Argument(metavar="ID", min=1, max=_LARGEST_NUMBER, help="The block's number.")
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a block, in force or ended. Exit code 1: there is no such block."""
    with store_of(_primary(context, config)) as engine:
        BlockRegister(engine, now=lambda: datetime.now(UTC)).remove(number, actor=local_actor())
    if as_json:
        print_json({"id": number, "removed": True})
    else:
        console.print(f"removed block {number}")


def _primary(context: typer.Context, config: Path | None) -> SqlSettings:
    return read_settings(configuration_path(context, config)).directory_assistance.primary.directory


@contextmanager
def _reading(sql: SqlSettings) -> Iterator[Engine]:
    """Open the store as readers do: to look makes no file and changes no table."""
    engine = open_reading_engine(sql.url)
    try:
        require_schema(engine)
        yield engine
    finally:
        engine.dispose()


def _read_blocked(named: dict[BlockKind, str | None], *, issuer: str | None, serial: str | None) -> Blocked:
    """Read the one option that says what to refuse.

    Raises:
        BlockSyntaxError: it cannot be read.
        typer.Exit: none is given, or several, or half of issuer and serial number.

    """
    given = [(kind, text) for kind, text in named.items() if text is not None]
    pair = issuer is not None or serial is not None
    if len(given) + pair != 1:
        raise fail(
            "expected exactly one of --certificate, --public-key, --issuer-serial, --issuer with --serial, --subject"
            f" and --identity, found {len(given) + pair}"
        )
    if pair:
        if issuer is None or serial is None:
            raise fail("expected --issuer and --serial together, found one of them")
        return read_typed(BlockKind.ISSUER_SERIAL, issuer, serial=serial)
    kind, text = given[0]
    match kind:
        case BlockKind.CERTIFICATE | BlockKind.PUBLIC_KEY if not looks_like_digest(text):
            return _blocked_by_file(kind, text, other="a SHA-256 digest (64 hexadecimal digits)")
        case BlockKind.ISSUER_SERIAL:
            return _blocked_by_file(kind, text, other="--issuer with --serial")
        case BlockKind.SUBJECT if "=" not in text:
            return _blocked_by_file(kind, text, other="a whole name such as `CN=Issuing CA,O=Acme,C=US`")
        case _:
            return read_typed(kind, text)


def _blocked_by_file(kind: BlockKind, text: str, *, other: str) -> Blocked:
    path = Path(text)
    if not path.is_file():
        raise fail(f"expected a certificate file or {other}, found `{text}`")
    with path.open("rb") as stream:
        octets = stream.read(_LARGEST_FILE + 1)
    if len(octets) > _LARGEST_FILE:
        raise fail(f"expected a certificate file of at most {_LARGEST_FILE} octets, found more in `{text}`")
    return blocked_by_certificate(kind, read_block_certificate(octets))


def _warnings(engine: Engine, blocked: Blocked) -> list[str]:
    """Return what to warn of; the block is in force by now, so that what fails here must not look as if it were not."""
    try:
        return list(_warn(engine, blocked))
    except StoreFault as fault:
        return [f"the block is in force; whom it hits cannot be told: {fault}"]


def _warn(engine: Engine, blocked: Blocked) -> Iterator[str]:
    """Yield what to know of a block of an identity: that it may hit nobody, and whom it hits hardest."""
    if not isinstance(blocked, BlockedIdentity):
        return
    with open_reading(engine) as connection:
        stored = find_database(connection, DIRECTORY)
        known = find_person(connection, blocked.name) is not None
    if not known:
        yield (
            "nobody in the primary directory has this as the first name: it hits only an identity of another directory"
            " that has exactly this name for ACLs, and aliases are nobody's (`authsvc explain` tells the name)"
        )
    entries = () if stored is None else stored.database.entries
    managers = [
        entry.target
        for entry in entries
        if entry.level is Level.MANAGER and not isinstance(entry.target, DefaultTarget)
    ]
    if managers == [NameTarget(name=blocked.name)]:
        yield (
            f"this is the only Manager entry of the database `{DIRECTORY}`: `authsvc blocks` still removes the block,"
            " and `authsvc init --token` makes a token for the API"
        )


def _print_block(block: Block, now: datetime) -> None:
    state = ("in force", "bold red") if block.is_in_force(now) else ("ended", "dim")
    end = "no end" if block.ends is None else f"until {_shown(block.ends)}"
    line = Text.assemble((f"block {block.id}", "bold"), " (", state, f", {end}): ")
    console.print(line.append(visible(describe_blocked(write_blocked(block.blocked)))))
    console.print(Text(visible(f"  {block.reason}")))
    told = f"  owner {block.owner}; added by {block.created_by}, {_shown(block.created_at)}"
    console.print(Text(visible(told), style="dim"))


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
