"""`authsvc apply`: people, groups and databases as a file says, after showing what would change."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text
from sqlalchemy import Engine

from authsvc.cli.application import app, configuration_path
from authsvc.cli.output import (
    ConfigOption,
    Exit,
    JsonOption,
    console,
    counted,
    errors,
    fail,
    guarded,
    print_json,
    print_problems,
    visible,
)
from authsvc.config import Settings, read_settings
from authsvc.store.declaration import (
    Diff,
    apply_changes,
    diff_document,
    plan_changes,
    read_declaration,
    render_diff,
)
from authsvc.store.migrate import migrate
from authsvc.store.schema import open_engine
from directory_assistance.dn import prepare
from directory_assistance.settings import SqlSettings

__all__ = ["apply", "local_actor", "store_of", "writable_directory"]

_COLOURS = {"+": "green", "-": "red", "~": "yellow", "=": "dim"}

DirectoryOption = Annotated[
    str | None,
    typer.Option("--directory", metavar="DOMAIN", help="A secondary sql directory; default the primary."),
]


@app.command()
@guarded
def apply(  # noqa: PLR0913 - the options of the contract
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A declarative document (YAML): people, groups, databases.")
    ],
    config: ConfigOption = None,
    directory: DirectoryOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before deleting or reducing.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete what the document does not name.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make people, groups and databases what a document says; show the difference first.

    Nothing that the document does not name is deleted without --prune; where something would be deleted or
    reduced, it asks. Exit code 0: done, or nothing to do; 1: refused.
    """
    settings = read_settings(configuration_path(context, config))
    sql, secondary = writable_directory(settings, directory)
    now = datetime.now(UTC)
    declaration = read_declaration(file, now=now, secondary=secondary)
    print_problems(declaration.warnings)
    with store_of(sql) as engine:
        diff = plan_changes(engine, declaration, prune=prune)
        if not as_json:
            _print_diff(diff)
        refused = "" if dry_run else _why_not(diff, yes=yes, ask=not as_json)
        applied = not (diff.is_empty or dry_run or refused)
        if applied:
            apply_changes(engine, diff, actor=local_actor(), now=now)
    if as_json:
        print_json({**diff_document(diff), "applied": applied})
    elif diff.is_empty:
        console.print("nothing to change")
    elif dry_run:
        console.print("nothing was changed (--dry-run)")
    elif applied:
        told = Text.assemble(
            ("applied", "green"), f" {counted(len(diff.differences), 'change', 'changes')} to "
        )
        console.print(told.append(visible(sql.shown)))
    if refused:
        raise fail(f"nothing was changed: {refused}", Exit.NO)


def _print_diff(diff: Diff) -> None:
    for line in render_diff(diff):
        console.print(Text(visible(line), style=_COLOURS[line[0]]))


def _why_not(diff: Diff, *, yes: bool, ask: bool) -> str:
    """Return why changes are not made, empty if they are: only a deletion or a reduction needs a yes."""
    if yes or not diff.needs_confirmation:
        return ""
    if not ask:
        return "something is deleted or reduced, which needs --yes"
    try:
        agreed = typer.confirm("something is deleted or reduced: go on?", err=True)
    except typer.Abort:  # nobody there to ask
        errors.print()
        return "something is deleted or reduced, which needs an answer or --yes"
    return "" if agreed else "you said no"


def writable_directory(settings: Settings, domain: str | None) -> tuple[SqlSettings, bool]:
    """Return the sql directory that a command writes, and whether it is a secondary one.

    Raises:
        typer.Exit: no sql directory has this name.

    """
    assistance = settings.directory_assistance
    if domain is None or prepare(domain) == prepare(assistance.primary.domain):
        return assistance.primary.directory, False
    for each in assistance.domains:
        if prepare(each.domain) == prepare(domain) and isinstance(each.directory, SqlSettings):
            return each.directory, True
    known = [each.domain for each in assistance.domains if isinstance(each.directory, SqlSettings)]
    expected = ", ".join(f"`{name}`" for name in (assistance.primary.domain, *known))
    raise fail(f"expected an sql directory ({expected}), found `{domain}`")


@contextmanager
def store_of(sql: SqlSettings) -> Iterator[Engine]:
    """Open the database of a directory, created or migrated.

    Raises:
        StoreFault: it does not answer.
        SchemaRefused: it holds something that is not ours, or of a later version.

    """
    engine = open_engine(sql.url)
    try:
        migrate(engine)
        yield engine
    finally:
        engine.dispose()


def local_actor() -> str:
    """Return who runs this command, as logs name them: `local:<login>`, or the number of an unnamed one."""
    try:
        return f"local:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's process may have a number that no login bears
        return f"local:{os.getuid()}"
