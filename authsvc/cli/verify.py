"""`authsvc verify`: is this certificate's path valid, and is nothing of it revoked? One certificate, or a batch.

What lives here: options, and where the material comes from. What does not: the check
(`authsvc/operations/path_checking.py`), its drawing (`path_drawing.py`), the batch (`verify_batch.py`).
"""

import contextlib
import json
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from authsvc.cli.application import app, configuration_path
from authsvc.cli.output import ConfigOption, Exit, JsonOption, fail, guarded, print_json
from authsvc.cli.path_drawing import print_answer, write_answer
from authsvc.cli.trust_options import (
    PathRules,
    read_certificates,
    read_policies,
    read_revocation_lists,
)
from authsvc.cli.verify_batch import answer_lines
from authsvc.config import read_settings
from authsvc.config_anchors import read_instant
from authsvc.operations.path_checking import PathAnswer, check_file, read_lists
from authsvc.operations.service import API_NAME
from authsvc.operations.trust_files import TrustFiles
from authsvc.settings import Settings
from authsvc.trust.anchors import (
    AnchorSettings,
    Profile,
    RevocationMode,
    TrustAnchor,
    TrustMaterialError,
    TrustStore,
)
from authsvc.trust.certificate import CertificateFacts, read_certificate
from authsvc.trust.revocation import RevocationSnapshot
from directory_assistance.errors import CertificateSyntaxError

__all__ = ["verify"]

_ANCHOR_ID = "given"
"""What anchors of `--anchors` are called: they have no name of their own."""

_STANDARD_INPUT = Path("-")


@app.command()
@guarded
def verify(  # noqa: PLR0913 - the options of the contract
    context: typer.Context,
    certificate: Annotated[
        Path | None,
        typer.Argument(
            metavar="CERT", help="A certificate file, PEM or DER; further certificates in it are hints."
        ),
    ] = None,
    config: ConfigOption = None,
    anchors: Annotated[
        list[Path] | None,
        typer.Option(metavar="F", help="Trust anchors; without one, the configuration's. May repeat."),
    ] = None,
    intermediates: Annotated[
        list[Path] | None,
        typer.Option(metavar="F", help="Certificates that may complete the path. May repeat."),
    ] = None,
    crls: Annotated[
        list[Path] | None, typer.Option(metavar="F", help="Revocation lists, PEM or DER. May repeat.")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OID", help="The path must be valid for one of these policies, if for any. May repeat."
        ),
    ] = None,
    profile: Annotated[
        Profile | None,
        typer.Option(
            help="`client`, the default, or `rfc5280`: the path algorithm alone, without our client profile."
        ),
    ] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="When; default now.")] = None,
    explicit_policy: Annotated[
        bool, typer.Option("--explicit-policy", help="The path must be valid for some policy.")
    ] = False,
    inhibit_policy_mapping: Annotated[
        bool, typer.Option("--inhibit-policy-mapping", help="Policies are not mapped to others.")
    ] = False,
    inhibit_any_policy: Annotated[
        bool, typer.Option("--inhibit-any-policy", help="anyPolicy in a certificate stands for nothing.")
    ] = False,
    revocation: Annotated[
        RevocationMode | None,
        typer.Option(help="`require`, the default: what cannot be shown to be good is not valid."),
    ] = None,
    batch: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="One JSON case a line, one JSON answer a line; `-` for standard input."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a certificate's path and revocation, nothing else, and draw the path with what is wrong at its element.

    Without --anchors the configuration's trust counts: --intermediates stand beside its own, --crls in the place of its
    lists.

    Exit code 0: valid, or the whole batch was answered; 1: not valid; 2: a file cannot be used; 3: undecided, because a
    source of revocation cannot be used.
    """
    try:
        rules = PathRules(
            policies=None if policy is None else read_policies(policy),
            profile=profile,
            explicit_policy=explicit_policy,
            inhibit_policy_mapping=inhibit_policy_mapping,
            inhibit_any_policy=inhibit_any_policy,
            revocation=revocation,
        )
        now = datetime.now(UTC) if at is None else read_instant(at)
    except ValueError as error:
        raise fail(str(error)) from None
    material = _Material(
        anchors=tuple(anchors or ()), intermediates=tuple(intermediates or ()), crls=tuple(crls or ())
    )
    if batch is not None:
        if certificate is not None or at is not None or material != _Material() or rules != PathRules():
            raise fail("expected --batch alone: each case says everything itself")
        _run_batch(batch)
        return
    if certificate is None:
        raise fail("expected a certificate file, or --batch")
    trust = (
        material.read(rules)
        if material.anchors
        else material.read_beside(read_settings(configuration_path(context, config)), rules)
    )
    answer = trust.check(certificate.read_bytes(), now)
    if as_json:
        print_json(write_answer(answer, now=now))
    else:
        print_answer(answer, now=now)
    raise typer.Exit(Exit.of(answer.reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trust:
    """What a certificate is held against."""

    store: TrustStore
    revocation: RevocationSnapshot
    clock_skew: timedelta = timedelta(0)

    def check(self, octets: bytes, now: datetime) -> PathAnswer:
        """Check a certificate file."""
        return check_file(
            octets, self.store, self.revocation, front_end=API_NAME, now=now, clock_skew=self.clock_skew
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Material:
    """The files of the options."""

    anchors: tuple[Path, ...] = ()
    intermediates: tuple[Path, ...] = ()
    crls: tuple[Path, ...] = ()

    def read(self, rules: PathRules) -> _Trust:
        """Read everything from the options.

        Raises:
            TrustMaterialError: a file cannot be used.
            OSError: a file cannot be read.

        """
        settings = rules.over(AnchorSettings(id=_ANCHOR_ID))
        anchors = [
            TrustAnchor.of(settings, facts)
            for facts in dict.fromkeys(facts for path in self.anchors for facts in _read_facts(path))
        ]
        store = TrustStore.of(anchors, self._read_intermediates())
        return _Trust(store=store, revocation=self._read_lists())

    def read_beside(self, settings: Settings, rules: PathRules) -> _Trust:
        """Read the configuration's trust, the options' intermediates beside it, and their lists instead of its own."""
        configured = TrustFiles(settings.trust).current
        anchors = [
            replace(anchor, settings=rules.over(anchor.settings)) for anchor in configured.store.anchors
        ]
        store = TrustStore.of(anchors, (*configured.store.intermediates, *self._read_intermediates()))
        return _Trust(
            store=store,
            revocation=self._read_lists() if self.crls else configured.revocation,
            clock_skew=settings.clock_skew,
        )

    def _read_intermediates(self) -> list[CertificateFacts]:
        return [facts for path in self.intermediates for facts in _read_facts(path)]

    def _read_lists(self) -> RevocationSnapshot:
        return read_lists(
            one for path in self.crls for one in read_revocation_lists(path.read_bytes(), source=str(path))
        )


def _read_facts(path: Path) -> list[CertificateFacts]:
    facts = []
    for number, der in enumerate(read_certificates(path.read_bytes(), source=str(path)), start=1):
        try:
            facts.append(read_certificate(der))
        except CertificateSyntaxError as error:
            raise TrustMaterialError(f"`{path}`: certificate {number}: {error}") from error
    return facts


def _run_batch(file: Path) -> None:
    with contextlib.ExitStack() as stack:
        lines: BinaryIO = sys.stdin.buffer
        if file != _STANDARD_INPUT:
            lines = stack.enter_context(file.open("rb"))
        for answer in answer_lines(lines, now=lambda: datetime.now(UTC)):
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()  # whoever asks line by line waits for it
