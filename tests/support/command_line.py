"""The command line inside this process: a start of Python costs a second, and most tests need none."""

import json
from pathlib import Path

from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typer.testing import CliRunner, Result

from authsvc.cli.main import register_commands

__all__ = ["Result", "command_names", "command_paths", "document_of", "run_authsvc"]


def command_names() -> frozenset[str]:
    """Return the names of all commands."""
    group = get_command(register_commands())
    assert isinstance(group, TyperGroup)
    return frozenset(group.commands)


def command_paths() -> frozenset[tuple[str, ...]]:
    """Return the words of every command that does something: one, or a group's name and the command's in it."""
    group = get_command(register_commands())
    assert isinstance(group, TyperGroup)
    found: set[tuple[str, ...]] = set()
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            found |= {(name, each) for each in command.commands}
        else:
            assert isinstance(command, TyperCommand)
            found.add((name,))
    return frozenset(found)


def run_authsvc(*arguments: str | Path, config: Path | None = None, text: str | None = None) -> Result:
    """Run a command; what is not an exit is a bug and raised.

    Args:
        arguments: the command and its own.
        config: `--config` before the command.
        text: what is typed; nothing means that nobody is there.

    """
    before = [] if config is None else ["--config", str(config)]
    result = CliRunner().invoke(
        register_commands(), [*before, *map(str, arguments)], input=text, prog_name="authsvc"
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def document_of(result: Result) -> object:
    """Return the one JSON document that stands on standard output."""
    document: object = json.loads(result.stdout)
    return document
