"""`authsvc verify-directory`: each directory step by step, what is wrong, and what to change."""

import textwrap
import time
from datetime import UTC, datetime
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
    fail,
    guarded,
    print_json,
    visible,
)
from authsvc.config import read_settings
from authsvc.operations.assistance import open_assistance
from authsvc.operations.service import API_NAME
from authsvc.operations.trust_files import TrustFiles
from authsvc.operations.verifying import DirectoryVerifier
from authsvc.settings import Settings
from authsvc.trust.anchors import TrustMaterialError, TrustStore
from authsvc.web.api.directories import write_verification
from directory_assistance.verification import Check, CheckResult, Verification

__all__ = ["verify_directory"]

_COLOURS = {
    CheckResult.OK: "green",
    CheckResult.WARNING: "yellow",
    CheckResult.FAILED: "red",
    CheckResult.SKIPPED: "dim",
}
_RESULT_WIDTH, _NAME_WIDTH = 9, 12
"""Columns of the two labels on the left: `skipped` and `attributes` are the longest."""


@app.command("verify-directory")
@guarded
def verify_directory(
    context: typer.Context,
    domain: Annotated[
        str | None, typer.Argument(metavar="[DOMAIN]", help="A domain; without one, all that are enabled.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at each directory step by step: connection, TLS, bind, base, schema, and a sample look-up.

    The look-up needs `sample` of that directory: a certificate known to be in it. It is asked for by every way of the
    match plan. Exit code 0: nothing failed, warnings or not; 1: a check failed; 2: there is no such domain; 3: none of
    the directories could be connected to, so that nothing was asked.
    """
    settings = read_settings(configuration_path(context, config))
    assistance = open_assistance(settings.directory_assistance)
    try:
        verifier = DirectoryVerifier(
            settings.directory_assistance,
            assistance,
            trust=lambda: _trust_of(settings),
            front_ends=(API_NAME, *(front_end.name for front_end in settings.front_ends)),
            now=lambda: datetime.now(UTC),
            monotonic=time.monotonic,
        )
        names = verifier.enabled_domains
        if domain is not None:
            found = verifier.find(domain)
            if found is None:
                every = ", ".join(f"`{each.domain}`" for each in assistance.every_domain)
                raise fail(f"expected a domain ({every}), found `{domain}`")
            names = (found,)
        verified: list[Verification] = []
        for name in names:
            verified.append(verifier.verify(name))
            if not as_json:
                _print(verified[-1])
    finally:
        assistance.close()
    if as_json:
        documents = [write_verification(each).model_dump(mode="json") for each in verified]
        print_json({"directories": documents})
    else:
        _print_summary(verified)
    raise typer.Exit(_exit_of(verified))


def _trust_of(settings: Settings) -> TrustStore | None:
    """Return the anchors, None where they cannot be used: what is wrong with them is not the directory's fault."""
    try:
        return TrustFiles(settings.trust).current.store
    except (TrustMaterialError, OSError):
        return None


def _exit_of(verified: list[Verification]) -> Exit:
    if not any(each.connected for each in verified):
        return Exit.UNDECIDED
    return Exit.NO if any(each.failed for each in verified) else Exit.YES


def _print(verification: Verification) -> None:
    console.print(Text.assemble((visible(verification.domain), "bold"), f" ({verification.kind})"))
    for check in verification.checks:
        _print_check(check)
    console.print()


def _print_check(check: Check) -> None:
    """Print `  ok       tls         host: found  3.1 ms`, and below what to change."""
    time_taken = "" if check.milliseconds is None else f"  {check.milliseconds:.1f} ms"
    label = Text("  ").append(check.result.value.ljust(_RESULT_WIDTH), _COLOURS[check.result])
    label.append(check.name.ljust(_NAME_WIDTH))
    _print_folded(label, f"{check.subject}: {check.found}", time_taken)
    if check.advice:
        advice = Text("  ".ljust(2 + _RESULT_WIDTH)).append("change".ljust(_NAME_WIDTH), "dim")
        _print_folded(advice, check.advice, "")


def _print_folded(label: Text, text: str, end: str) -> None:
    """Print a text after its label; on a terminal longer texts are folded under their beginning."""
    indent = " " * (2 + _RESULT_WIDTH + _NAME_WIDTH)
    folded = [visible(text)]
    if console.is_terminal:
        folded = textwrap.wrap(folded[0], max(20, console.width - len(indent) - len(end) - 1)) or [""]
    console.print(label.append(f"\n{indent}".join(folded)).append(end, "dim"))


def _print_summary(verified: list[Verification]) -> None:
    results = [check.result for each in verified for check in each.checks]
    told = Text(counted(len(verified), "directory", "directories"))
    for result in CheckResult:
        number = results.count(result)
        word = (
            counted(number, "warning", "warnings") if result is CheckResult.WARNING else f"{number} {result}"
        )
        told.append(": " if result is CheckResult.OK else ", ").append(
            word, _COLOURS[result] if number else ""
        )
    console.print(told)
