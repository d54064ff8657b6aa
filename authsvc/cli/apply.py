"""`authsvc apply`: people, groups and databases as a file says, after showing what would change."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Engine

from authsvc.cli.main import app, configuration_path
from authsvc.cli.output import (
    ConfigOption,
    Exit,
    JsonOption,
    console,
    fail,
    guarded,
    print_json,
    print_problems,
)
from authsvc.config import Settings, read_settings
from authsvc.decision.ports import StoreFault
from authsvc.store.declaration import (
    apply_changes,
    diff_document,
    plan_changes,
    read_declaration,
    render_diff,
)
from authsvc.store.errors import ChangeRefused, SchemaRefused
from authsvc.store.migrate import migrate
from authsvc.store.schema import open_engine
from directory_assistance.dn import prepare
from directory_assistance.settings import SqlSettings

__all__ = ["apply", "local_actor", "store_of", "writable_directory"]

_COLOURS = {"+": "green", "-": "red", "~": "yellow", "=": "dim"}

DirectoryOption = Annotated[
    str | None,
    typer.Option("--directory", metavar="DOMAIN", help="a secondary sql directory; default the primary"),
]


@app.command()
@guarded
def apply(  # noqa: PLR0913 - the options of the contract
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="a declarative document (YAML)")],
    config: ConfigOption = None,
    directory: DirectoryOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show what would change, change nothing")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask before deleting or reducing")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="delete what the document does not name")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make people, groups and databases what a document says; show the difference first.

    Nothing that the document does not name is deleted without --prune. Exit code 0: done, or nothing to do;
    1: refused.
    """
    settings = read_settings(configuration_path(context, config))
    sql, secondary = writable_directory(settings, directory)
    now = datetime.now(UTC)
    declaration = read_declaration(file, now=now, secondary=secondary)
    print_problems(declaration.warnings)
    with store_of(sql) as engine:
        diff = plan_changes(engine, declaration, prune=prune)
        if as_json:
            print_json(diff_document(diff))
        else:
            for line in render_diff(diff):
                console.print(line, style=_COLOURS[line[0]], markup=False)
        if diff.is_empty or dry_run:
            if not as_json:
                console.print("nothing to change" if diff.is_empty else "nothing was changed (--dry-run)")
            return
        if (
            diff.needs_confirmation
            and not yes
            and not typer.confirm("something is deleted or reduced: go on?")
        ):
            raise fail("nothing was changed", Exit.NO)
        apply_changes(engine, diff, actor=local_actor(), now=now)
        if not as_json:
            console.print(f"[green]applied[/] {len(diff.differences)} changes to {sql.shown}")


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
    """Open the database of a directory, created or migrated; faults and refusals end the command.

    Raises:
        typer.Exit: the store does not answer (3), or refuses (1).

    """
    engine = open_engine(sql.url)
    try:
        migrate(engine)
        yield engine
    except StoreFault as fault:
        raise fail(str(fault), Exit.UNDECIDED) from fault
    except (ChangeRefused, SchemaRefused) as refusal:
        raise fail(str(refusal), Exit.NO) from refusal
    finally:
        engine.dispose()


def local_actor() -> str:
    """Return who runs this command, as logs name them."""
    return f"local:{getpass.getuser()}"
