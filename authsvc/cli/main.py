"""The command line `authsvc`: puts the commands together; each stands in a file of its own."""

import os
from pathlib import Path

import typer

from authsvc.cli.output import ConfigOption

__all__ = ["app", "configuration_path", "main"]

app = typer.Typer(
    name="authsvc",
    help="Turns a TLS client certificate into a decision: who is this, and what may they do?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback()
def options(context: typer.Context, config: ConfigOption = None) -> None:
    """Turns a TLS client certificate into a decision: who is this, and what may they do?"""
    context.obj = config


def configuration_path(context: typer.Context, config: Path | None) -> Path:
    """Return which authsvc.yaml is meant: the command's own option, the global one, the environment, the default."""
    named = config or context.obj
    if isinstance(named, Path):
        return named
    return Path(os.environ.get("AUTHSVC_CONFIG", "authsvc.yaml"))


def main() -> None:
    """Run the command line."""
    # Each command's file registers itself; imported here so that `authsvc --help` stays quick to read, not to
    # load.
    from authsvc.cli import (  # noqa: PLC0415 - registering needs `app`
        apply,
        check_config,
        demo,
        explain,
        export,
        init,
        openapi,
        serve,
    )

    assert all((apply, check_config, demo, explain, export, init, openapi, serve))
    app(prog_name="authsvc")
