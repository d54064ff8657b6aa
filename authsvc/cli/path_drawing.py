"""A certification path as a drawing, one line an element, anchor above, certificate below; and as JSON.

What lives here: how `verify` and `trust show` print an answer. What does not: the answer
(`authsvc/operations/path_checking.py`).
"""

import textwrap
from datetime import datetime
from typing import Final

from rich.text import Text

from authsvc.cli.output import console, visible
from authsvc.operations.path_checking import PathAnswer, PathElement, Role
from authsvc.trust.revocation import RevocationEvidence, RevocationOutcome, RevocationStatus

__all__ = ["print_answer", "print_fact", "write_answer"]

_ROLE_WIDTH: Final = 13
"""Columns of an element's role: `intermediate` and `unknown root` have twelve letters."""

_INDENT: Final = " " * (4 + _ROLE_WIDTH)

_REMEDIES: Final = {
    Role.MISSING: "to mend: add this certificate if it is an intermediate; if it is a root, it is not trusted here",
    Role.UNKNOWN_ROOT: "no intermediate is missing: this root is not trusted here",
}


def print_answer(answer: PathAnswer, *, now: datetime) -> None:
    """Print the verdict, the drawing with the reason at the element that fails, and what revocation rests on."""
    word, colour = ("valid", "green") if answer.valid else ("not valid", "red")
    if answer.reason.status == 503:
        word, colour = "undecided", "yellow"
    line = Text.assemble((word, f"bold {colour}"))
    if not answer.valid:
        line.append(": ").append(answer.reason.value, "bold")
    if answer.anchor_id:
        line.append(f", path to anchor {visible(answer.anchor_id)}")
    console.print(line)
    for position, element in enumerate(reversed(answer.elements)):
        if position:
            console.print(Text("  │", "dim"))
        _print_element(element)
    if not answer.elements:
        label = Text.assemble("  ", ("✗", "red"), f" {Role.CERTIFICATE.value.ljust(_ROLE_WIDTH)}")
        _print_folded(label, answer.detail, style="red")
    if isinstance(answer.revocation, RevocationEvidence):
        console.print()
        print_fact("revocation", _tell(answer.revocation, now))


def _print_element(element: PathElement) -> None:
    """Print an element's line, and below it what is wrong with it."""
    mark = ("?" if element.role is Role.MISSING else "✗", "red") if element.problem else ("✓", "green")
    label = Text.assemble("  ", mark, f" {element.role.value.ljust(_ROLE_WIDTH)}")
    facts = element.facts
    _print_folded(label, element.name, "" if facts is None else f"  until {facts.not_after:%Y-%m-%d}")
    if element.problem:
        _print_folded(Text(_INDENT), element.problem, style="red")
        if element.role in _REMEDIES:
            _print_folded(Text(_INDENT), _REMEDIES[element.role])


def print_fact(label: str, text: str) -> None:
    """Print `  label         text`."""
    _print_folded(Text.assemble((f"  {label}".ljust(len(_INDENT)), "dim")), text)


def _print_folded(label: Text, text: str, end: str = "", *, style: str = "") -> None:
    """Print a text after its label; on a terminal longer texts are folded under their beginning."""
    words = visible(text)
    folded = [words]
    if console.is_terminal:
        width = max(20, console.width - len(_INDENT) - 1)
        folded = textwrap.wrap(words, width) or [""]
        if len(folded[-1]) + len(end) > width:
            end = f"\n{_INDENT}{end.strip()}"
    console.print(label.append(f"\n{_INDENT}".join(folded), style).append(end, "dim"))


def _tell(evidence: RevocationEvidence, now: datetime) -> str:
    if evidence.status is RevocationStatus.NOT_CHECKED:
        return f"not checked (mode {evidence.policy.value})"
    told = evidence.status.value.replace("_", " ")
    if evidence.lists:
        told += f", by {', '.join(f'`{each}`' for each in evidence.lists)}"
    age = evidence.age(now)
    if age is not None and evidence.next_update is not None:
        told += f", {age.total_seconds():.0f} s old, next update {evidence.next_update.isoformat()}"
    return f"{told}; {evidence.detail}" if evidence.detail else told


def write_answer(answer: PathAnswer, *, now: datetime) -> dict[str, object]:
    """Return the answer as a JSON document; the path leaf first."""
    return {
        "valid": answer.valid,
        "reason": answer.reason.value,
        "detail": answer.detail,
        "at": now.isoformat(),
        "trust_anchor": answer.anchor_id or None,
        "path": [_write_element(element) for element in answer.elements],
        "revocation": None if answer.revocation is None else _write_revocation(answer.revocation, now),
    }


def _write_element(element: PathElement) -> dict[str, object]:
    facts = element.facts
    known: dict[str, object] = {}
    if facts is not None:
        known = {
            "issuer": facts.issuer_text,
            "serial": f"{facts.serial:x}",
            "sha256": facts.sha256.hex(),
            "key": str(facts.key),
            "not_before": facts.not_before.isoformat(),
            "not_after": facts.not_after.isoformat(),
        }
    return {"role": element.role.value, "subject": element.name, "problem": element.problem, **known}


def _write_revocation(outcome: RevocationOutcome, now: datetime) -> dict[str, object]:
    if not isinstance(outcome, RevocationEvidence):
        return {"status": outcome.reason.value, "detail": outcome.detail}
    age = outcome.age(now)
    return {
        "status": outcome.status.value,
        "policy": outcome.policy.value,
        "lists": list(outcome.lists),
        "this_update": None if outcome.this_update is None else outcome.this_update.isoformat(),
        "next_update": None if outcome.next_update is None else outcome.next_update.isoformat(),
        "age_seconds": None if age is None else round(age.total_seconds()),
        "detail": outcome.detail,
    }
