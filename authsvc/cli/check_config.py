"""`authsvc check-config`: every problem of both files at once, and every naming rule in six parts."""

import typer

from authsvc.cli.main import app, configuration_path
from authsvc.cli.output import ConfigOption, Exit, JsonOption, console, guarded, print_json, print_problems
from authsvc.config import check_configuration
from directory_assistance.naming import render_rule

__all__ = ["check_config"]


@app.command("check-config")
@guarded
def check_config(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check authsvc.yaml and directory-assistance.yaml; needs no database and opens no connection.

    Exit code 0: usable, warnings or not; 2: errors.
    """
    path = configuration_path(context, config)
    checked = check_configuration(path)
    mistakes = [problem for problem in checked.problems if not problem.warning]
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
                    for problem in checked.problems
                ],
                "rules": [{"domain": domain, "rule": render_rule(rule)} for domain, rule in checked.rules],
            }
        )
    else:
        print_problems(checked.problems)
        for domain, rule in checked.rules:
            state = "trusted" if rule.trusted else "not trusted"
            off = "" if rule.enabled else ", disabled"
            console.print(f"{domain}: {render_rule(rule)} ({state}{off})", markup=False)
        warnings = len(checked.problems) - len(mistakes)
        verdict = f"[red]{len(mistakes)} errors[/]" if mistakes else "[green]usable[/]"
        console.print(f"{verdict}, {warnings} warnings: ", end="")
        console.print(str(path), markup=False)
    if mistakes:
        raise typer.Exit(Exit.USAGE)
