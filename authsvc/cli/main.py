"""The command line `authsvc`, whole: importing a command's file registers it."""

import logging

import typer

from authsvc.cli import (
    apply,
    blocks,
    check_config,
    demo,
    explain,
    export,
    init,
    openapi,
    serve,
    trust,
    verify,
    verify_directory,
)
from authsvc.cli.application import app

__all__ = ["main", "register_commands"]

_COMMANDS = (
    apply,
    blocks,
    check_config,
    demo,
    explain,
    export,
    init,
    openapi,
    serve,
    trust,
    verify,
    verify_directory,
)


def register_commands() -> typer.Typer:
    """Return the command line with every command."""
    assert _COMMANDS  # imported for their registration
    return app


def main() -> None:
    """Run the command line."""
    logging.captureWarnings(True)  # what a library has to say about others' certificates is no answer of ours
    register_commands()(prog_name="authsvc")
