"""`GET /v1/directories` and `POST /v1/directories/{domain}/verify`: which directories, and what is wrong with one.

The state of all needs Reader in the database `directory`; a verification needs role `Auditor`, as explanations
do: it tells what a filter finds, and makes the service open connections.

Invariants:

* Every answer is recorded before it is sent; one that cannot be recorded is 503 `store_unavailable` (threat
  T75).
* However many ask for the state at a time, the directories are asked once. As many verifications as may be are
  under way: 503 `overloaded`.
"""

import asyncio
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from authsvc.operations.service import Service
from authsvc.operations.verifying import VerifierBusy
from authsvc.reason import Reason
from authsvc.web.api.callers import (
    CallerOf,
    CallRefused,
    ServiceOf,
    admit_auditor,
    admit_reader,
    admitted_by,
)
from authsvc.web.api.recording import record_answer
from directory_assistance.backends.verifying import kind_of
from directory_assistance.domains import AnyDomain, PrimaryDomain
from directory_assistance.naming import render_rule
from directory_assistance.verification import CheckResult, Verification

__all__ = ["VerificationDocument", "states", "verifications", "write_verification"]

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
_PROBLEMS: dict[int | str, dict[str, object]] = {
    "default": {"content": _PROBLEM, "description": "the call was not made"},
}
_NO_DIRECTORY: dict[int | str, dict[str, object]] = {
    404: {"content": _PROBLEM, "description": "no directory has this name"},
}

states = APIRouter(prefix="/v1", tags=["directories"], route_class=admitted_by(admit_reader))
verifications = APIRouter(prefix="/v1", tags=["directories"], route_class=admitted_by(admit_auditor))


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True)


class RuleDocument(_Document):
    """A naming rule in six parts, or a suffix."""

    rule: str
    enabled: bool
    trusted: bool


class DirectoryDocument(_Document):
    """A directory. `problem` is why it does not answer; `reachable` is null where it was not asked."""

    domain: str
    kind: str
    primary: bool
    enabled: bool
    search_order: int | None
    rules: list[RuleDocument]
    reachable: bool | None
    problem: str | None


class DirectoriesDocument(_Document):
    """Every directory, the primary first, then as configured."""

    directories: list[DirectoryDocument]
    policy_version: str


class CheckDocument(_Document):
    """One check. `advice` is what to change, empty for `ok`; `milliseconds` is null for what was not done."""

    check: str
    subject: str
    result: Literal["ok", "warning", "failed", "skipped"]
    found: str
    advice: str
    milliseconds: float | None


class VerificationDocument(_Document):
    """All checks of a directory in the order they were made. `result` is the worst of them, `skipped` apart."""

    domain: str
    kind: str
    connected: bool
    result: Literal["ok", "warning", "failed"]
    checks: list[CheckDocument]


def write_verification(verification: Verification) -> VerificationDocument:
    """Write a verification as a document, for the API and for `--json`."""
    return VerificationDocument(
        domain=verification.domain,
        kind=verification.kind,
        connected=verification.connected,
        result=_worst(verification),
        checks=[
            CheckDocument(
                check=check.name,
                subject=check.subject,
                result=check.result.value,
                found=check.found,
                advice=check.advice,
                milliseconds=check.milliseconds,
            )
            for check in verification.checks
        ],
    )


def _worst(verification: Verification) -> Literal["ok", "warning", "failed"]:
    if verification.failed:
        return "failed"
    warned = any(check.result is CheckResult.WARNING for check in verification.checks)
    return "warning" if warned else "ok"


@states.get("/directories", summary="Which directories are there?", responses=_PROBLEMS)
async def list_directories(request: Request, caller: CallerOf, service: ServiceOf) -> DirectoriesDocument:
    """Return every directory with its rules, and whether it answers."""
    flight = request.app.state.directory_states
    if flight is None or flight.done():
        flight = asyncio.ensure_future(
            asyncio.to_thread(service.check_directories)
        )  # it may take two seconds
        request.app.state.directory_states = flight
    checked: list[tuple[AnyDomain, str]] = await asyncio.shield(flight)
    problems = {domain.domain: problem for domain, problem in checked}
    record_answer(request, service, caller, "directories listed for")
    return DirectoriesDocument(
        directories=[_write_state(service, position, problems) for position in range(len(service.domains))],
        policy_version=service.version,
    )


def _write_state(service: Service, position: int, problems: dict[str, str]) -> DirectoryDocument:
    domain, configured = service.domains[position], service.settings.directory_assistance
    primary = isinstance(domain, PrimaryDomain)
    settings = configured.primary if primary else configured.domains[position - 1]
    problem = problems.get(domain.domain)
    rules = () if isinstance(domain, PrimaryDomain) else domain.rules
    return DirectoryDocument(
        domain=domain.domain,
        kind=kind_of(settings.directory),
        primary=primary,
        enabled=isinstance(domain, PrimaryDomain) or domain.enabled,
        search_order=None if isinstance(domain, PrimaryDomain) else domain.search_order,
        rules=[
            RuleDocument(rule=render_rule(rule), enabled=rule.enabled, trusted=rule.trusted) for rule in rules
        ],
        reachable=None if problem is None else not problem,
        problem=problem or None,
    )


@verifications.post(
    "/directories/{domain:path}/verify", summary="What is wrong with it?", responses=_NO_DIRECTORY | _PROBLEMS
)
async def verify_directory(
    domain: str, request: Request, caller: CallerOf, service: ServiceOf
) -> VerificationDocument:
    """Return every check of one directory, made now; 200 whatever came of them. It may take half a minute."""
    found = service.verifier.find(domain)
    if found is None:
        raise HTTPException(404, "no such directory")
    try:
        verification = await asyncio.to_thread(service.verifier.verify, found)
    except VerifierBusy as busy:
        raise CallRefused(Reason.OVERLOADED, str(busy)) from busy
    failed = sum(check.result is CheckResult.FAILED for check in verification.checks)
    record_answer(request, service, caller, f"directory {found} verified, {failed} checks failed, for")
    return write_verification(verification)
