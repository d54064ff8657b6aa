"""`authsvc check-config`: every problem of both files at once, and every naming rule in six parts."""

from typing import Annotated

import typer
from rich.text import Text

from authsvc.cli.application import app, configuration_path
from authsvc.cli.output import (
    ConfigOption,
    Exit,
    JsonOption,
    console,
    counted,
    guarded,
    print_json,
    print_problems,
    visible,
)
from authsvc.config import check_configuration
from authsvc.operations.store_lints import lint_store
from directory_assistance.naming import render_rule

__all__ = ["check_config"]


@app.command("check-config")
@guarded
def check_config(
    context: typer.Context,
    config: ConfigOption = None,
    with_directories: Annotated[
        bool,
        typer.Option(
            "--with-directories",
            help="Look into the store and the directories too: groups that nobody defines, domains that are down.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell every mistake of authsvc.yaml and directory-assistance.yaml, and print every rule in six parts.

    Without --with-directories it needs no database and opens no connection. Exit code 0: usable, warnings or not; 2:
    errors; 3, with --with-directories only: the primary directory does not answer.
    """
    path = configuration_path(context, config)
    checked = check_configuration(path)
    mistakes = [problem for problem in checked.problems if not problem.warning]
    problems = checked.problems
    if with_directories and checked.settings is not None:
        problems = (*problems, *lint_store(path, checked.settings))
    if as_json:
        print_json(
            {
                "usable": not mistakes,
                "problems": [
                    {
                        "file": problem.file,
                        "line": problem.line,
                        "path": problem.path,
                        "problem": problem.problem,
                        "hint": problem.hint,
                        "warning": problem.warning,
                    }
                    for problem in problems
                ],
                "rules": [
                    {
                        "domain": domain,
                        "rule": render_rule(rule),
                        "trusted": rule.trusted,
                        "enabled": rule.enabled,
                    }
                    for domain, rule in checked.rules
                ],
            }
        )
    else:
        print_problems(problems)
        for domain, rule in checked.rules:
            state = "trusted" if rule.trusted else "not trusted"
            off = "" if rule.enabled else ", disabled"
            console.print(Text(visible(f"{domain}: {render_rule(rule)} ({state}{off})")))
        verdict = (counted(len(mistakes), "error", "errors"), "red") if mistakes else ("usable", "green")
        warnings = counted(len(problems) - len(mistakes), "warning", "warnings")
        console.print(Text.assemble(verdict, f", {warnings}: {visible(str(path))}"))
    if mistakes:
        raise typer.Exit(Exit.USAGE)
