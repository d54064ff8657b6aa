r"""The audit record: one JSON line for each decision: who, by which certificate, from where, and why.

Here: the record as a value, its JSON, and the append-only file. Not here: when a record is written
(`web/auth.py`, the API), logs (they name events, never people), changes of people and ACLs (the store writes
those).

Decided where the specification is silent:

* A record is written before its answer is sent. If it cannot be written, an allow becomes 503
  `store_unavailable` (nobody gets in unrecorded), refusals stay what they are, and `/readyz` is not ready.
  Every further record tries again, so the service recovers when the disk does.
* A line is one write to a file opened for appending, so several processes may share it. Lines are handed to the
  kernel, not to the disk: a power cut may lose the last ones, a crash of the process none.
* A full disk, or the end of a process in the middle of a write, may leave half a line, and whoever writes next need not
  be the one that knows. So each looks at the octet before its own line afterwards: where that ends no line, its own is
  written once more, on a line of its own. Half a line is all that is ever lost, and no record is glued to it.

INVARIANT: everything but printable ASCII is escaped (`\u...`), so no name, header or path ends a line or
moves a terminal's cursor (threat T73). The query of an original request is never recorded: it may hold
secrets.
"""

import json
import os
import stat
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeAlias, assert_never

from authsvc.access.acl import EffectiveAccess
from authsvc.access.databases import DatabaseTarget, IdentityTarget, RefusedTarget, Target
from authsvc.decision.verdict import Allowed, Denied, Undecided, Verdict
from authsvc.original_request import OriginalRequest
from authsvc.presented.presentation import Presentation, PresentedCertificate
from authsvc.reason import Reason
from authsvc.trust.path import VerifiedCertificate
from authsvc.trust.revocation import CertificateEvidence, RevocationEvidence
from directory_assistance.dn import DistinguishedName, render_ldap, render_name
from directory_assistance.entry import Identity
from directory_assistance.errors import shorten

__all__ = ["AuditFault", "AuditLog", "DecisionRecord", "render_record"]

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

_FILE_MODE: Final = 0o600
"""Only the service reads who did what."""

_REMEMBERED_VERDICTS: Final = 2_048
"""Verdicts whose part of the line is kept ready, about 2 KB each: a warm decision writes its line in
microseconds."""

_LONGEST_CALLER_ID: Final = 200
"""Characters of the caller's own request id that are kept."""


class AuditFault(Exception):  # noqa: N818 - a fault is this project's word for it (GLOSSARY.md)
    """The audit record could not be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """One decision, as it happened.

    `status` and `reason` are what was answered, the true reason included where the caller sees another.
    `detail` says more for a refusal before there was a verdict. `presentation`, `target`, `original` and
    `verdict` are None where the request did not get that far. `peer` is an address or `unix`.
    `caller_request_id` is what the caller calls the request, untrusted.
    """

    time: datetime
    request_id: str
    front_end: str
    peer: str
    status: int
    reason: Reason
    caller_request_id: str = ""
    detail: str = ""
    presentation: Presentation | None = None
    target: Target | None = None
    original: OriginalRequest | None = None
    verdict: Verdict | None = None
    policy_version: str = ""


class AuditLog:
    """The audit file; opened at once, so that a path that cannot be written stops the start.

    Args:
        path: the file; made with mode 0600 if it is not there.
        with_trace: whether records carry the trace.

    Raises:
        AuditFault: the file cannot be opened.

    Used by one event loop: no lock.
    """

    def __init__(self, path: Path, *, with_trace: bool = False) -> None:
        self._path = path
        self._with_trace = with_trace
        self._file, self._readable = _open(path)
        self._problem = ""
        # A verdict is kept beside its text, so that its id() belongs to no other object meanwhile.
        self._texts: OrderedDict[int, tuple[Verdict, str]] = OrderedDict()

    @property
    def problem(self) -> str:
        """Why the last record could not be written; empty when all is well (`/readyz`)."""
        return self._problem

    def record(self, record: DecisionRecord) -> None:
        """Append a record.

        Raises:
            AuditFault: the line, or a part of it, could not be written.

        """
        line = _render(record, self._verdict_text(record.verdict)).encode("ascii")
        if self._problem:
            line = b"\n" + line  # what failed may have left half a line behind
        try:
            self._append(line)
            if self._is_glued(line):
                self._append(b"\n" + line)
        except OSError as error:
            self._problem = f"audit file `{self._path}`: {error.strerror}"
            raise AuditFault(self._problem) from error
        self._problem = ""

    def _append(self, line: bytes) -> None:
        written = os.write(self._file, line)
        if written != len(line):
            self._problem = f"audit file `{self._path}`: wrote {written} of {len(line)} bytes"
            raise AuditFault(self._problem)

    def _is_glued(self, line: bytes) -> bool:
        """Whether the line just written follows half a line of somebody else."""
        if not self._readable or line.startswith(b"\n"):
            return False
        before = (
            os.lseek(self._file, 0, os.SEEK_CUR) - len(line) - 1
        )  # appending moves to the end of what it wrote
        return before >= 0 and os.pread(self._file, 1, before) != b"\n"

    def reopen(self) -> None:
        """Open the file anew, after it was moved away (HUP); on error the present one is kept.

        Raises:
            AuditFault: the file cannot be opened.

        """
        fresh = _open(self._path)
        os.close(self._file)
        self._file, self._readable = fresh

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _verdict_text(self, verdict: Verdict | None) -> str:
        if verdict is None:
            return ""
        ready = self._texts.get(id(verdict))
        if ready is not None:
            return ready[1]
        text = _render_verdict(verdict, with_trace=self._with_trace)
        self._texts[id(verdict)] = (verdict, text)
        if len(self._texts) > _REMEMBERED_VERDICTS:
            self._texts.popitem(last=False)
        return text


def render_record(record: DecisionRecord, *, with_trace: bool = False) -> str:
    """Return a record as its line, with the line end."""
    text = "" if record.verdict is None else _render_verdict(record.verdict, with_trace=with_trace)
    return _render(record, text)


def _open(path: Path) -> tuple[int, bool]:
    """Return the open file, and whether it can be read too: only where it is a file, and its mode lets us."""
    # Not blocking: a pipe without a reader would stop a reload for ever, a full one the event loop.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        file = os.open(path, flags, _FILE_MODE)
    except OSError as error:
        raise AuditFault(f"audit file `{path}`: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        return file, False
    try:
        # The very file that is open: its path may lead to another one by now.
        both = os.open(f"/proc/self/fd/{file}", os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except OSError:
        return file, False  # reading is for half lines of others; the record itself does not need it
    os.close(file)
    return both, True


def _render(record: DecisionRecord, verdict_text: str) -> str:
    """Return the line: the request's own members, then those of the verdict."""
    members: dict[str, Json] = {
        "time": _time(record.time),
        "event": "decision",
        "request_id": record.request_id,
        "caller_request_id": _caller_id(record.caller_request_id),
        "front_end": record.front_end,
        "peer": record.peer,
        "status": record.status,
        "outcome": _outcome(record.status),
        "reason": record.reason.value,
    }
    if record.detail:
        members["detail"] = record.detail
    if isinstance(record.presentation, PresentedCertificate):
        members["presented_sha256"] = record.presentation.sha256.hex()
    if record.original is not None:
        members["original"] = _original(record.original)
    members["policy_version"] = record.policy_version
    return f"{_dump(members)[:-1]}{_target_text(record.target)}{verdict_text}}}\n"


def _render_verdict(verdict: Verdict, *, with_trace: bool) -> str:
    """Return the verdict's members as the tail of an object: each with a comma before it."""
    members: dict[str, Json] = {"verdict": verdict.reason.value}
    if not isinstance(verdict, Allowed):
        members |= {"verdict_detail": verdict.detail, "step": verdict.step}
    if isinstance(verdict, Denied) and verdict.block_id is not None:
        members["block_id"] = verdict.block_id
    if not isinstance(verdict, Undecided):
        if verdict.identity is not None:
            members["identity"] = _identity(verdict.identity)
        if verdict.access is not None:
            members["access"] = _access(verdict.access)
        if verdict.notes:
            members["notes"] = [*verdict.notes]
    if verdict.certificate is not None:
        members["certificate"] = _certificate(verdict.certificate)
        members["evidence"] = _evidence(verdict.certificate, verdict.revocation)
    if with_trace:
        members["trace"] = [
            {
                "step": line.step,
                "subject": line.subject,
                "result": line.result,
                "milliseconds": line.milliseconds,
            }
            for line in verdict.trace
        ]
    return f",{_dump(members)[1:-1]}"


def _dump(members: dict[str, Json]) -> str:
    return _ENCODER.encode(members)


_ENCODER: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def _caller_id(text: str) -> str | None:
    return shorten(text[:_LONGEST_CALLER_ID]) if text else None


def _time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _outcome(status: int) -> str:
    if status == 200:
        return "allowed"
    return "undecided" if status >= 500 else "denied"


@lru_cache(maxsize=1_024)
def _target_text(target: Target | None) -> str:
    """Return a target's members as a part of an object: each with a comma before it."""
    members = _target(target)
    return f",{_dump(members)[1:-1]}" if members else ""


def _target(target: Target | None) -> dict[str, Json]:
    match target:
        case DatabaseTarget(database=database, requirement=requirement):
            return {"database": database, "requirement": str(requirement)}
        case IdentityTarget():
            return {"identity_only": True}
        case RefusedTarget(problem=problem):
            return {"target_problem": problem}
        case None:
            return {}
    assert_never(target)


def _original(original: OriginalRequest) -> Json:
    return {
        "method": original.method,
        "host": original.host,
        "path": original.uri.partition("?")[0],
        "scheme": original.scheme,
    }


def _identity(identity: Identity) -> Json:
    name = identity.name
    return {
        "name": render_name(name),
        "dn": render_ldap(name) if isinstance(name, DistinguishedName) else None,
        "domain": identity.domain,
        "directory": "primary" if identity.primary else "secondary",
        "found_by": identity.found_by,
        "bound_by": identity.bound_by,
        "strength": identity.strength.value,
    }


def _certificate(certificate: VerifiedCertificate) -> Json:
    names = certificate.names
    return {
        "sha256": names.sha256.hex(),
        "subject": render_ldap(names.subject),
        "issuer": render_ldap(names.issuer),
        "serial": f"{names.serial:x}",
        "not_after": _time(certificate.path[0].not_after),
    }


def _evidence(certificate: VerifiedCertificate, revocation: RevocationEvidence | None) -> Json:
    evidence: dict[str, Json] = {"trust_anchor": certificate.anchor_id}
    if revocation is not None:
        evidence["revocation"] = {
            "status": revocation.status.value,
            "policy": revocation.policy.value,
            "source": revocation.source or None,
            "lists": [*revocation.lists],
            "responders": [*revocation.responders],
            "this_update": None if revocation.this_update is None else _time(revocation.this_update),
            "next_update": None if revocation.next_update is None else _time(revocation.next_update),
            "grace_used": revocation.grace_used,
            "certificates": [_certificate_revocation(one) for one in revocation.certificates],
        }
    return evidence


def _certificate_revocation(one: CertificateEvidence) -> Json:
    """Return what is known of one certificate: the lists by name and number, their dates are the whole's."""
    return {
        "serial": f"{one.serial:x}",
        "status": one.status.value,
        "source": one.source or None,
        "lists": [
            {"source": source, "number": number if number >= 0 else None}
            for use in one.lists
            for source, number in ((use.source, use.number), (use.delta_source, use.delta_number))
            if source
        ],
    }


def _access(access: EffectiveAccess) -> Json:
    return {
        "database": access.database,
        "level": access.level.label,
        "privileges": [*sorted(privilege.value for privilege in access.privileges)],
        "roles": [*sorted(access.roles)],
        "decided_by": access.decided_by.value,
        "entries": [*access.entries],
    }
