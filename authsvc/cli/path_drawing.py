"""A certification path as a drawing, one line an element, anchor above, certificate below; and as JSON.

What lives here: how `verify` and `trust show` print an answer. What does not: the answer
(`authsvc/operations/path_checking.py`).
"""

import textwrap
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rich.text import Text

from authsvc.cli.output import console, visible
from authsvc.decision.wording import tell_revocation
from authsvc.operations.path_checking import PathAnswer, PathElement, Role
from authsvc.trust.revocation import RevocationEvidence
from authsvc.web.api.documents import write_revocation

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
    if answer.valid and answer.revocation is not None:
        console.print()
        for position, told in enumerate(_tell(answer.revocation, now)):
            print_fact("" if position else "revocation", told)


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


def _tell(evidence: RevocationEvidence, now: datetime) -> Iterator[str]:
    """Yield what revocation of the whole path comes to, and then what is known of each certificate and from where."""
    told = f"{evidence.status.value.replace('_', ' ')} (mode {evidence.policy.value})"
    age = evidence.age(now)
    if age is not None:
        told += f", {age.total_seconds():.0f} s old"
    yield f"{told}, by grace" if evidence.grace_used else told
    *each, _everything = tell_revocation(evidence)
    yield from (f"{subject}: {known}" for subject, known in each)


def write_answer(answer: PathAnswer, *, now: datetime) -> dict[str, object]:
    """Return the answer as a JSON document; the path leaf first."""
    return {
        "valid": answer.valid,
        "reason": answer.reason.value,
        "detail": answer.detail,
        "at": now.isoformat(),
        "trust_anchor": answer.anchor_id or None,
        "path": [_write_element(element) for element in answer.elements],
        "revocation": None
        if answer.revocation is None
        else write_revocation(answer.revocation, now, expose=True).model_dump(mode="json"),
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
