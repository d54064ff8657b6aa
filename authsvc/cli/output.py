"""How commands speak: human text or JSON, colours only on a terminal, and the exit codes of the contract."""

import json
import sys
from collections.abc import Callable, Iterable
from enum import IntEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer
from rich.console import Console

from authsvc.reason import Reason
from directory_assistance.errors import ConfigurationError, DirectoryFault, Problem

__all__ = [
    "ConfigOption",
    "Exit",
    "JsonOption",
    "console",
    "errors",
    "fail",
    "guarded",
    "print_json",
    "print_problems",
]

console = Console(highlight=False, soft_wrap=True)
"""Standard output. Lines are never wrapped: a curl line must stay one line."""

errors = Console(stderr=True, highlight=False, soft_wrap=True)
"""Standard error."""

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="authsvc.yaml; default $AUTHSVC_CONFIG, then ./authsvc.yaml")
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]

P = ParamSpec("P")


class Exit(IntEnum):
    """Exit codes of every command."""

    YES = 0
    NO = 1
    USAGE = 2
    UNDECIDED = 3

    @classmethod
    def of(cls, reason: Reason) -> "Exit":
        """Return the code of a decision."""
        match reason.status:
            case 200:
                return cls.YES
            case 503:
                return cls.UNDECIDED
            case _:
                return cls.NO


def print_json(document: object) -> None:
    """Print a document as JSON, readable and stable."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def print_problems(problems: Iterable[Problem]) -> None:
    """Print configuration problems, one a line, warnings marked."""
    for problem in problems:
        mark = "[yellow]warning:[/] " if problem.warning else "[red]error:[/] "
        errors.print(mark, end="")
        errors.print(str(problem), markup=False)


def fail(text: str, code: Exit = Exit.USAGE) -> typer.Exit:
    """Print an error; return the exception that ends the command, for the caller to raise."""
    errors.print("[red]error:[/] ", end="")
    errors.print(text, markup=False)
    return typer.Exit(code)


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Turn the errors that an operator can mend into text and an exit code; bugs keep their stack trace."""

    @wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            command(*arguments, **options)
        except ConfigurationError as error:
            print_problems(error.problems)
            raise typer.Exit(Exit.USAGE) from None
        except DirectoryFault as fault:
            raise fail(str(fault), Exit.UNDECIDED) from None
        except OSError as error:
            where = f"`{error.filename}`: " if error.filename else ""
            raise fail(f"{where}{(error.strerror or str(error)).lower()}") from None

    return run
