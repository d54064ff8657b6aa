"""`authsvc trust`: what is trusted for what, and how a certificate's path stands against it.

What lives here: the commands and how anchors are listed. What does not: changing trust (the files of the
configuration), checks (`authsvc/operations/path_checking.py`), the drawing (`path_drawing.py`).
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

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
from authsvc.cli.path_drawing import print_answer, print_fact, write_answer
from authsvc.cli.trust_options import read_certificates
from authsvc.config import read_settings
from authsvc.operations.path_checking import check_file
from authsvc.operations.service import API_NAME
from authsvc.operations.trust_files import TrustFiles
from authsvc.trust.anchors import TrustAnchor
from authsvc.trust.certificate import CertificateFacts
from authsvc.web.api.trust_anchors import write_trust_anchor
from directory_assistance.dn import render_ldap

__all__ = ["trust"]

_CLIENT_AUTH: Final = "1.3.6.1.5.5.7.3.2"
"""The one purpose that has a name here (RFC 5280 section 4.2.1.12)."""

trust = typer.Typer(
    no_args_is_help=True, help="What is trusted for what; a certificate's path drawn against it."
)
app.add_typer(trust, name="trust")


@trust.command("list")
@guarded
def list_anchors(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the trust anchors of the configuration with what each is trusted for, and the intermediates.

    Exit code 0: all are in force; 1: one has expired, or its trust has ended; 2: the configuration cannot be used.
    """
    settings = read_settings(configuration_path(context, config))
    files = TrustFiles(settings.trust)
    store, now = files.current.store, datetime.now(UTC)
    if as_json:
        print_json(
            {
                "trust_anchors": [
                    _write_anchor(anchor, now) for anchor in store.anchors if not _is_cross(anchor)
                ],
                "cross_certificates": [
                    _write_anchor(anchor, now) for anchor in store.anchors if _is_cross(anchor)
                ],
                "intermediates": [_write_certificate(facts) for facts in store.intermediates],
                "warnings": list(files.warnings(now)),
            }
        )
    else:
        for anchor in store.anchors:
            _print_anchor(anchor, now)
        for facts in store.intermediates:
            _print_certificate("intermediate", facts)
        console.print(
            f"{counted(len(store.anchors), 'anchor', 'anchors')}, "
            f"{counted(len(store.intermediates), 'intermediate', 'intermediates')}"
        )
        for warning in files.warnings(now):
            console.print(Text.assemble(("warning: ", "yellow"), visible(warning)))
    if any(_has_ended(anchor, now) for anchor in store.anchors):
        raise typer.Exit(Exit.NO)


@trust.command("show")
@guarded
def show(  # noqa: PLR0913 - each option is one part of the question
    context: typer.Context,
    certificate: Annotated[
        Path,
        typer.Argument(
            metavar="CERT", help="A certificate file, PEM or DER; further certificates in it are hints."
        ),
    ],
    config: ConfigOption = None,
    chain: Annotated[
        list[Path] | None,
        typer.Option(metavar="F", help="Certificates that a client would send along. May repeat."),
    ] = None,
    front_end: Annotated[
        str | None,
        typer.Option("--front-end", metavar="NAME", help="Whose anchors count; default: those of the API."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a certificate's path against the configured trust, with what is wrong at the element that fails.

    Exit code 0: valid; 1: not valid; 2: a file or the configuration cannot be used; 3: undecided, because a source of
    revocation cannot be used.
    """
    settings = read_settings(configuration_path(context, config))
    known = {API_NAME, *(each.name for each in settings.front_ends)}
    if front_end is not None and front_end not in known:
        expected = ", ".join(f"`{name}`" for name in sorted(known))
        raise fail(f"expected a front end ({expected}), found `{front_end}`")
    hints = [der for path in chain or () for der in read_certificates(path.read_bytes(), source=str(path))]
    trusted, now = TrustFiles(settings.trust).current, datetime.now(UTC)
    answer = check_file(
        certificate.read_bytes(),
        trusted.store,
        trusted.revocation,
        front_end=front_end or API_NAME,
        now=now,
        hints=hints,
        clock_skew=settings.clock_skew,
    )
    if as_json:
        print_json(write_answer(answer, now=now))
    else:
        print_answer(answer, now=now)
    raise typer.Exit(Exit.of(answer.reason))


def _is_cross(anchor: TrustAnchor) -> bool:
    return anchor.settings.is_cross_certificate


def _has_ended(anchor: TrustAnchor, now: datetime) -> bool:
    ends = anchor.settings.not_after
    return now > anchor.facts.not_after or (ends is not None and now >= ends)


def _print_anchor(anchor: TrustAnchor, now: datetime) -> None:
    facts = anchor.facts
    mark = ("✗", "red") if _has_ended(anchor, now) else ("✓", "green")
    kind = " (cross-certificate)" if _is_cross(anchor) else ""
    console.print(Text.assemble(mark, " ", (visible(anchor.id), "bold"), kind))
    _print_certificate("subject", facts)
    for label, told in _settings_of(anchor).items():
        print_fact(label, told)
    console.print()


def _print_certificate(label: str, facts: CertificateFacts) -> None:
    print_fact(label, facts.subject_text)
    print_fact("key", f"{facts.key}, sha256 {facts.key_sha256.hex()[:16]}…")
    print_fact("valid", f"{facts.not_before.isoformat()} to {facts.not_after.isoformat()}")


def _settings_of(anchor: TrustAnchor) -> dict[str, str]:
    """Return what an anchor is trusted for, in words, under the names of the configuration."""
    settings = anchor.settings
    floor = settings.floor
    wanted = ", ".join("clientAuth" if one == _CLIENT_AUTH else one for one in sorted(settings.purposes))
    told = {
        "front_ends": "all" if settings.front_ends is None else ", ".join(sorted(settings.front_ends)),
        "eku": wanted
        + ("" if settings.eku_required else ", or none named")
        + (", anyExtendedKeyUsage too" if settings.allow_any_eku else ""),
        "keys": f"RSA from {floor.rsa_bits} bits, curves from {floor.curve_bits}, hashes from {floor.hash_bits}",
        "revocation": settings.revocation.value,
    }
    if settings.not_before is not None:
        told["not_before"] = settings.not_before.isoformat()
    if settings.not_after is not None:
        told["not_after"] = settings.not_after.isoformat()
    if settings.permitted_names is not None:
        told["names"] = "; ".join(f"*,{render_ldap(name)}" for name in settings.permitted_names) or "none"
    if settings.domains is not None:
        told["domains"] = ", ".join(sorted(settings.domains))
    if settings.required_policies:
        told["policies"] = ", ".join(sorted(settings.required_policies))
    return told


def _write_anchor(anchor: TrustAnchor, now: datetime) -> dict[str, object]:
    return {**write_trust_anchor(anchor).model_dump(mode="json"), "in_force": not _has_ended(anchor, now)}


def _write_certificate(facts: CertificateFacts) -> dict[str, object]:
    return {
        "subject": facts.subject_text,
        "sha256": facts.sha256.hex(),
        "key": str(facts.key),
        "key_sha256": facts.key_sha256.hex(),
        "not_before": facts.not_before.isoformat(),
        "not_after": facts.not_after.isoformat(),
    }
