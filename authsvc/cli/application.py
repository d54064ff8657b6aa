"""The command line `authsvc`: its name, its global options, and which configuration is meant.

Each command stands in a file of its own and registers itself with `app`; `main.py` brings them together.
"""

import os
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from authsvc.cli.output import ConfigOption, fail

__all__ = ["app", "configuration_path"]

_DEFAULT = Path("authsvc.yaml")

app = typer.Typer(
    name="authsvc",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # lines of a docstring flow together
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer hands over the option's value
    if wanted:
        typer.echo(f"authsvc {version('authsvc')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config: ConfigOption = None,
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Turns a TLS client certificate into a decision: who is this, and what may they do?

    Exit codes: 0 yes, 1 no, 2 usage or configuration, 3 undecided.
    """
    assert not show_version  # its callback has ended the command
    context.obj = config


def configuration_path(context: typer.Context, config: Path | None) -> Path:
    """Return which authsvc.yaml is meant: the command's own option, the global one, the environment, the default.

    Raises:
        typer.Exit: none is named, and there is none here.

    """
    named = config or context.obj
    if isinstance(named, Path):
        return named
    path = Path(os.environ.get("AUTHSVC_CONFIG") or _DEFAULT)
    if path == _DEFAULT and not path.exists():
        raise fail(
            f"no `{_DEFAULT}` here: name one by --config or AUTHSVC_CONFIG, or let `authsvc init` write one"
        )
    return path
