"""How commands speak: human text or JSON, colours only on a terminal, and the exit codes of the contract.

What lives here: printing, and the one place where errors become text and exit codes. What does not: what a
command says (its own file). With `--json` standard output holds one JSON document and nothing else.
"""

import json
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable
from enum import IntEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer
from rich.console import Console
from rich.text import Text

from authsvc.decision.ports import StoreFault
from authsvc.reason import Reason
from authsvc.store.errors import ChangeRefused, SchemaRefused
from authsvc.trust.anchors import TrustMaterialError
from directory_assistance.errors import ConfigurationError, DirectoryFault, Problem

__all__ = [
    "ConfigOption",
    "Exit",
    "JsonOption",
    "command_line",
    "console",
    "counted",
    "errors",
    "fail",
    "guarded",
    "place",
    "print_json",
    "print_problems",
    "visible",
]

console = Console(highlight=False, soft_wrap=True)
"""Standard output. Lines are never wrapped: a curl line must stay one line."""

errors = Console(stderr=True, highlight=False, soft_wrap=True)
"""Standard error."""

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Default $AUTHSVC_CONFIG, then ./authsvc.yaml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

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


def visible(text: str) -> str:
    """Return a text from outside so that it can neither move a terminal's cursor nor look like another (threat T73)."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


def counted(number: int, one: str, several: str) -> str:
    """Return `1 error`, `2 errors`."""
    return f"{number} {one if number == 1 else several}"


def place(path: Path) -> Path:
    """Return a path as a person here would type it: relative below the working folder, absolute elsewhere."""
    absolute = path.absolute()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute


def command_line(*arguments: str) -> str:
    """Return a command of this program, as a shell takes it, by the name that works here."""
    program = Path(sys.argv[0])
    on_path = shutil.which("authsvc")
    typed = (
        "authsvc" if program.name != "authsvc" or on_path == str(program.absolute()) else str(place(program))
    )
    return shlex.join([typed, *arguments])


def print_json(document: object) -> None:
    """Print a document as JSON, readable and stable."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def print_problems(problems: Iterable[Problem]) -> None:
    """Print configuration problems, one a line, warnings marked."""
    for problem in problems:
        mark = ("warning: ", "yellow") if problem.warning else ("error: ", "red")
        errors.print(Text.assemble(mark, visible(str(problem))))


def fail(text: str, code: Exit = Exit.USAGE) -> typer.Exit:
    """Print an error; return the exception that ends the command, for the caller to raise."""
    errors.print(Text.assemble(("error: ", "red"), visible(text)))
    return typer.Exit(code)


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Turn the errors that an operator can mend into text and an exit code; bugs keep their stack trace.

    Exit codes: 1 what was asked is refused; 2 the configuration, or a database or a file that it names, cannot
    be used; 3 something does not answer.
    """

    @wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            command(*arguments, **options)
        except ConfigurationError as error:
            print_problems(error.problems)
            raise typer.Exit(Exit.USAGE) from None
        except ChangeRefused as refusal:
            raise fail(str(refusal), Exit.NO) from None
        except (SchemaRefused, TrustMaterialError) as error:
            raise fail(str(error)) from None
        except (DirectoryFault, StoreFault) as fault:
            raise fail(str(fault), Exit.UNDECIDED) from None
        except BrokenPipeError:  # the reader of a pipe has gone: nobody is left to tell
            raise
        except OSError as error:
            where = f"`{error.filename}`: " if error.filename else ""
            raise fail(f"{where}{(error.strerror or str(error)).lower()}") from None

    return run
