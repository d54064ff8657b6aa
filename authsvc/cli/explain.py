"""`authsvc explain`: one decision, step by step, and what would change it."""

import textwrap
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from authsvc.access.acl import EffectiveAccess
from authsvc.access.databases import IdentityTarget, Target, target_of_words
from authsvc.cli.application import app, configuration_path
from authsvc.cli.output import ConfigOption, Exit, JsonOption, console, fail, guarded, print_json, visible
from authsvc.config import read_settings
from authsvc.decision.advice import advise
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Allowed, Denied, Undecided, Verdict
from authsvc.operations.service import API_NAME, Service
from authsvc.presented.body import read_certificate_file
from authsvc.presented.presentation import NoCertificate, Presentation
from authsvc.trust.path import VerifiedCertificate
from authsvc.web.api.documents import write_verdict
from directory_assistance.dn import render_ldap, render_name
from directory_assistance.entry import Identity
from directory_assistance.trace import TraceLine

__all__ = ["explain"]

_COLOURS = {"allowed": "green", "denied": "red", "undecided": "yellow"}
_NONE = "none"

_LABEL_WIDTH = 12
"""Columns of the labels on the left: the longest step has ten letters."""


@app.command()
@guarded
def explain(  # noqa: PLR0913 - the options of the contract
    context: typer.Context,
    certificate: Annotated[
        Path,
        typer.Argument(
            metavar="CERT", help="A certificate file, PEM or DER; the word `none` for a request without one."
        ),
    ],
    config: ConfigOption = None,
    database: Annotated[
        str | None, typer.Option(metavar="NAME", help="Without one, the identity alone is explained.")
    ] = None,
    level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="Required level; default Reader.")
    ] = None,
    privilege: Annotated[
        list[str] | None, typer.Option(metavar="PRIVILEGE", help="Required privilege; may repeat.")
    ] = None,
    role: Annotated[list[str] | None, typer.Option(metavar="ROLE", help="Required role; may repeat.")] = None,
    front_end: Annotated[
        str | None,
        typer.Option(
            "--front-end",
            metavar="NAME",
            help="Whose anchors and grace count, and whether Anonymous is allowed; default: those of the API.",
        ),
    ] = None,
    tls: Annotated[
        bool | None,
        typer.Option(
            "--tls/--no-tls", help="Whether the client came over TLS; default: if it has a certificate."
        ),
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
    service = Service.open(settings)
    try:
        policy = _policy(service, front_end)
        verdict = service.explain(
            DecisionRequest(presentation=presentation, front_end=policy, target=target, over_tls=tls)
        )
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
        known = ", ".join(f"`{name}`" for name in sorted(service.policies)) or "there is none"
        raise fail(f"expected a front end ({known}), found `{front_end}`")
    return policy


def _print(verdict: Verdict) -> None:
    """Print the verdict with what it rests on, the trace, and last what would change it."""
    word = {Allowed: "allowed", Denied: "denied", Undecided: "undecided"}[type(verdict)]
    reason = f"{verdict.reason.value} ({verdict.reason.status})"
    console.print(Text.assemble((word, f"bold {_COLOURS[word]}"), ": ", (reason, "bold")))
    if not isinstance(verdict, Allowed):
        _print_line("step", verdict.step)
        _print_line("because", verdict.detail)
    if verdict.certificate is not None:
        _print_certificate(verdict.certificate)
    if not isinstance(verdict, Undecided):
        if verdict.identity is not None:
            _print_identity(verdict.identity)
        if verdict.access is not None:
            _print_access(verdict.access)
        for note in verdict.notes:
            _print_line("note", note, style="yellow")
    _print_trace(verdict)
    advice = advise(verdict)
    if advice:
        console.print()
        console.print(Text.assemble(("To change this:", "bold"), f" {visible(advice)}"))


def _print_line(label: str, text: str, *, style: str = "", end: str = "") -> None:
    """Print `  label       text`; on a terminal longer texts are folded under their beginning."""
    indent = " " * (2 + _LABEL_WIDTH)
    words = visible(text)
    folded = [words]
    if console.is_terminal:
        folded = textwrap.wrap(words, max(20, console.width - len(indent) - len(end) - 1)) or [""]
    line = Text.assemble(("  " + label.ljust(_LABEL_WIDTH), style or "dim"))
    line.append(f"\n{indent}".join(folded)).append(end, "dim")
    console.print(line)


def _print_trace(verdict: Verdict) -> None:
    lines: list[TraceLine] = list(verdict.trace)
    if not isinstance(verdict, Allowed) and lines and lines[-1].subject == verdict.reason.value:
        lines.pop()  # it says again what stands above
    if not lines:
        return
    console.print()
    for line in lines:
        end = "" if line.milliseconds is None else f"  {line.milliseconds:.1f} ms"
        _print_line(line.step, f"{line.subject} → {line.result}", end=end)


def _print_certificate(certificate: VerifiedCertificate) -> None:
    names = certificate.names
    _print_line(
        "certificate",
        f"{render_ldap(names.subject)}, sha256 {names.sha256.hex()[:16]}…, by anchor {certificate.anchor_id}",
    )


def _print_access(access: EffectiveAccess) -> None:
    entries = f", by {', '.join(access.entries)}" if access.entries else ""
    _print_line("access", f"{access.database}: {access.level.label}{entries} ({access.decided_by.value})")
    _print_line("privileges", ", ".join(sorted(access.privileges)) or "-")
    _print_line("roles", ", ".join(sorted(access.roles)) or "-")


def _print_identity(identity: Identity) -> None:
    where = "the primary directory" if identity.primary else "domain"
    _print_line("identity", f"{render_name(identity.name)}, of {where} {identity.domain}")
    _print_line("found", f"by {identity.found_by}, bound by {identity.bound_by} ({identity.strength.value})")
    groups = ", ".join(
        group.qualified_name + (f" (through {', '.join(group.via)})" if group.via else "")
        for group in identity.groups
    )
    _print_line("groups", groups or "-")
