"""`authsvc explain`: one decision, step by step, and what would change it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from authsvc.access.acl import EffectiveAccess
from authsvc.access.databases import IdentityTarget, Target, target_of_words
from authsvc.cli.main import app, configuration_path
from authsvc.cli.output import ConfigOption, Exit, JsonOption, console, fail, guarded, print_json
from authsvc.config import read_settings
from authsvc.decision.advice import advise
from authsvc.decision.ports import StoreFault
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Allowed, Denied, Undecided, Verdict
from authsvc.operations.service import API_NAME, Service
from authsvc.presented.body import read_certificate_file
from authsvc.presented.presentation import NoCertificate, Presentation
from authsvc.store.errors import SchemaRefused
from authsvc.trust.anchors import TrustMaterialError
from authsvc.web.api.documents import write_verdict
from directory_assistance.dn import render_name
from directory_assistance.entry import Identity

__all__ = ["explain"]

_COLOURS = {"allowed": "green", "denied": "red", "undecided": "yellow"}
_NONE = "none"


@app.command()
@guarded
def explain(  # noqa: PLR0913 - the options of the contract
    context: typer.Context,
    certificate: Annotated[
        Path, typer.Argument(metavar="CERT", help="PEM or DER; `none` for a request without one")
    ],
    config: ConfigOption = None,
    database: Annotated[str | None, typer.Option(help="without one, the identity alone is explained")] = None,
    level: Annotated[str | None, typer.Option(help="required level; default reader")] = None,
    privilege: Annotated[list[str] | None, typer.Option(help="required privilege, may repeat")] = None,
    role: Annotated[list[str] | None, typer.Option(help="required role, may repeat")] = None,
    front_end: Annotated[
        str | None, typer.Option("--front-end", help="whose anchors and grace count")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Decide as `serve` would, and say why: step, directory, rule or ACL entry, and what would change it.

    Exit code 0: allowed; 1: refused; 3: undecided.
    """
    settings = read_settings(configuration_path(context, config))
    presentation: Presentation = NoCertificate()
    if certificate != Path(_NONE):
        presentation = read_certificate_file(certificate.read_bytes())
    target: Target = IdentityTarget()
    if database is not None:
        target = target_of_words(database=database, level=level, privileges=privilege or (), roles=role or ())
    elif level or privilege or role:
        raise fail("expected --database beside a requirement")
    try:
        service = Service.open(settings)
    except (StoreFault, SchemaRefused, TrustMaterialError) as error:
        raise fail(str(error), Exit.UNDECIDED) from error
    try:
        policy = _policy(service, front_end)
        verdict = service.explain(DecisionRequest(presentation=presentation, front_end=policy, target=target))
        if as_json:
            document = write_verdict(
                verdict,
                request_id="",
                policy_version=service.version,
                now=service.now(),
                expose=True,
                with_trace=True,
                advice=advise(verdict),
            )
            print_json(document.model_dump(mode="json"))
        else:
            _print(verdict)
    finally:
        service.close()
    raise typer.Exit(Exit.of(verdict.reason))


def _policy(service: Service, front_end: str | None) -> FrontEndPolicy:
    if front_end is None:
        return FrontEndPolicy(name=API_NAME)
    policy = service.policies.get(front_end)
    if policy is None:
        raise fail(f"expected a front end ({', '.join(sorted(service.policies))}), found `{front_end}`")
    return policy


def _print(verdict: Verdict) -> None:
    word = {Allowed: "allowed", Denied: "denied", Undecided: "undecided"}[type(verdict)]
    colour = _COLOURS[word]
    console.print(f"[bold {colour}]{word}[/]: [bold]{verdict.reason.value}[/] ({verdict.reason.status})")
    match verdict:
        case Allowed(identity=identity, access=access):
            if identity is not None:
                _print_identity(identity)
            if access is not None:
                entries = ", ".join(access.entries) or "-"
                console.print(
                    f"  access    {escape(access.database)}: {access.level.label}, by {escape(entries)}"
                )
                console.print(f"  may       {', '.join(sorted(access.privileges)) or '-'}")
                console.print(f"  roles     {escape(', '.join(sorted(access.roles)) or '-')}")
        case Denied(identity=identity, step=step, detail=detail):
            console.print(f"  step      {step}")
            console.print(f"  because   {escape(detail)}")
            if identity is not None:
                _print_identity(identity)
        case Undecided(step=step, detail=detail):
            console.print(f"  step      {step}")
            console.print(f"  because   {escape(detail)}")
    if not isinstance(verdict, Undecided):
        for note in verdict.notes:
            console.print(f"  [yellow]note[/]      {escape(note)}")
    _print_trace(verdict)
    advice = advise(verdict)
    if advice:
        console.print()
        console.print(f"[bold]To change this:[/] {escape(advice)}")


def _print_trace(verdict: Verdict) -> None:
    console.print()
    table = Table(box=None, pad_edge=False, show_edge=False)
    for heading in ("step", "looked at", "found", "ms"):
        table.add_column(heading, style="dim" if heading in {"step", "ms"} else None, overflow="fold")
    for line in verdict.trace:
        milliseconds = "" if line.milliseconds is None else f"{line.milliseconds:.1f}"
        table.add_row(line.step, escape(line.subject), escape(line.result), milliseconds)
    console.print(table)


def _print_access(access: EffectiveAccess) -> None:
    entries = ", ".join(access.entries) or "-"
    console.print(f"  access    {escape(access.database)}: {access.level.label}, by {escape(entries)}")
    console.print(f"  may       {', '.join(sorted(access.privileges)) or '-'}")
    console.print(f"  roles     {escape(', '.join(sorted(access.roles)) or '-')}")


def _print_identity(identity: Identity) -> None:
    where = "the primary directory" if identity.primary else f"domain {identity.domain}"
    console.print(f"  identity  {escape(render_name(identity.name))}, of {escape(where)}")
    console.print(
        f"  found     by {identity.found_by}, bound by {identity.bound_by} ({identity.strength.value})"
    )
    groups = ", ".join(
        group.qualified_name + (f" (through {' → '.join(group.via)})" if group.via else "")
        for group in identity.groups
    )
    console.print(f"  groups    {escape(groups or '-')}")
