"""`authsvc verify --batch`: one JSON case a line in, one JSON line out (contract section 5).

What lives here: reading a line, answering it, and that nothing a line holds can stop the batch. What does not: the
answer itself (`authsvc/operations/path_checking.py`).

How each uncertainty falls: a line that is not a case, or names an anchor, policy, list or time that cannot be read, is
`bad_request`. An unreadable certificate is `certificate_unreadable`. Intermediates are hints: those that cannot be read
or are too expensive are left out. An anchor that no path could use trusts nobody, and so does having none. A list that
cannot be used is a source without an answer; undecided is not valid.
"""

import json
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Annotated, BinaryIO, Final, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from authsvc.cli.trust_options import (
    PathRules,
    read_certificates,
    read_policies,
    read_revocation_lists,
)
from authsvc.config_anchors import read_instant
from authsvc.operations.path_checking import PathAnswer, check_file, read_lists
from authsvc.operations.service import API_NAME
from authsvc.reason import Reason
from authsvc.trust.anchors import (
    AnchorSettings,
    Profile,
    RevocationMode,
    TrustAnchor,
    TrustMaterialError,
    TrustStore,
)
from authsvc.trust.certificate import CertificateFacts, read_certificate
from authsvc.trust.profile import find_cost_problem
from authsvc.trust.revocation import RevocationSnapshot
from directory_assistance.errors import CertificateSyntaxError

__all__ = ["BatchAnswer", "answer_line", "answer_lines", "decide_line"]

_LONGEST_LINE: Final = 128 * 1024 * 1024
"""Octets of a case: a revocation list of a million entries has 70 MB as PEM."""

_ANCHOR_ID: Final = "batch"


_LARGEST_ID: Final = 2**63 - 1
"""Of a number: what every reader of JSON can hold, and far below what Python refuses to print."""

_Id = str | int


class BatchAnswer(TypedDict):
    """One line of the answer."""

    id: _Id | None
    valid: bool
    reason: str
    milliseconds: float


class _Case(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: str | Annotated[int, Field(ge=-_LARGEST_ID, le=_LARGEST_ID)]
    certificate: str
    anchors: list[str] = Field(default_factory=list)
    intermediates: list[str] = Field(default_factory=list)
    crls: list[str] = Field(default_factory=list)
    policies: list[str] = Field(default_factory=list)
    explicit_policy: bool = False
    inhibit_policy_mapping: bool = False
    inhibit_any_policy: bool = False
    profile: Literal["client", "rfc5280"] = "client"
    at: str | None = None
    revocation: Literal["require", "off"] = "require"


def answer_lines(lines: BinaryIO, *, now: Callable[[], datetime]) -> Iterator[BatchAnswer]:
    """Answer every line that is not blank, in order, as they come."""
    while line := lines.readline(_LONGEST_LINE + 1):
        if len(line) > _LONGEST_LINE:
            while line and not line.endswith(b"\n"):
                line = lines.readline(_LONGEST_LINE)
            yield BatchAnswer(id=None, valid=False, reason=Reason.BAD_REQUEST.value, milliseconds=0.0)
        elif line.strip():
            yield answer_line(line, now=now)


def answer_line(line: bytes, *, now: Callable[[], datetime]) -> BatchAnswer:
    """Answer one line. Never raises: whatever stops a case refuses that case.

    Args:
        line: the case.
        now: the instant of a case that names none.

    """
    begun = time.perf_counter()
    name, answer = decide_line(line, now=now)
    milliseconds = round((time.perf_counter() - begun) * 1000, 3)
    return BatchAnswer(id=name, valid=answer.valid, reason=answer.reason.value, milliseconds=milliseconds)


def decide_line(line: bytes, *, now: Callable[[], datetime]) -> tuple[_Id | None, PathAnswer]:
    """Return the id of a line, None if none can be made out, and the whole answer. Otherwise as `answer_line`."""
    try:
        case = _Case.model_validate_json(line)
    except ValidationError as error:
        return _find_id(line), _refuse(
            Reason.BAD_REQUEST, f"expected a case, found {error.error_count()} mistakes"
        )
    try:
        return case.id, _decide(case, now)
    except Exception:  # noqa: BLE001 - see below
        # The outermost handler of a case: a defect of ours must neither accept it nor stop the others. It is told
        # on standard error, and the case is refused as one that nobody vouches for.
        traceback.print_exc()
        return case.id, _refuse(Reason.CERTIFICATE_UNTRUSTED, "a defect stopped the check")


def _refuse(reason: Reason, detail: str) -> PathAnswer:
    return PathAnswer(reason=reason, detail=detail, elements=())


def _find_id(line: bytes) -> _Id | None:
    """Return the id of a line that is no case, if one can be made out."""
    try:
        document: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    match document:
        case {"id": bool()}:
            return None
        case {"id": str() as text}:
            return text
        case {"id": int() as number} if abs(number) <= _LARGEST_ID:
            return number
        case _:
            return None


def _decide(case: _Case, now: Callable[[], datetime]) -> PathAnswer:
    try:
        at = now() if case.at is None else read_instant(case.at)
        rules = PathRules(
            policies=read_policies(case.policies),
            profile=Profile(case.profile),
            explicit_policy=case.explicit_policy,
            inhibit_policy_mapping=case.inhibit_policy_mapping,
            inhibit_any_policy=case.inhibit_any_policy,
            revocation=RevocationMode(case.revocation),
        )
        anchors = _read_every(case.anchors)
        intermediates = _read_every(case.intermediates)
        lists = [
            one
            for number, text in enumerate(case.crls, start=1)
            for one in read_revocation_lists(text.encode(), source=f"list {number}")
        ]
    except ValueError as error:  # TrustMaterialError among them, and text that is no Unicode
        return _refuse(Reason.BAD_REQUEST, str(error))
    store = _store_of(anchors, intermediates, rules.over(AnchorSettings(id=_ANCHOR_ID)))
    if store is None:
        return _refuse(Reason.CERTIFICATE_UNTRUSTED, "no certificate is given that can be a trust anchor")
    snapshot = RevocationSnapshot()
    if rules.revocation is RevocationMode.REQUIRE:
        snapshot = read_lists(lists)
    octets = case.certificate.encode("ascii", "replace")
    return check_file(octets, store, snapshot, front_end=API_NAME, now=at, drawn=False)


def _read_every(texts: Iterable[str]) -> list[bytes]:
    """Return the DER of every certificate, each once."""
    return list(
        dict.fromkeys(
            der
            for number, text in enumerate(texts, start=1)
            for der in read_certificates(text.encode(), source=f"certificate {number}")
        )
    )


def _store_of(
    anchors: Iterable[bytes], intermediates: Iterable[bytes], settings: AnchorSettings
) -> TrustStore | None:
    """Return what paths are built from; None where nobody is trusted."""
    usable: list[TrustAnchor] = []
    for der in anchors:
        try:
            usable.append(TrustAnchor.from_der(settings, der))
        except TrustMaterialError:
            continue
    try:
        hints = _read_hints(intermediates, any_serial=settings.profile is Profile.RFC5280)
        return TrustStore.of(usable, hints, prove=False)
    except TrustMaterialError:
        return None


def _read_hints(intermediates: Iterable[bytes], *, any_serial: bool) -> list[CertificateFacts]:
    hints = []
    for der in intermediates:
        try:
            facts = read_certificate(der, any_serial=any_serial)
        except CertificateSyntaxError:
            continue
        if not find_cost_problem(facts):
            hints.append(facts)
    return hints
