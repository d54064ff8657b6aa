"""Binding: whether an entry that was found belongs to the certificate, and how firmly.

What lives here: the comparison of one entry with one verified certificate. What does not: finding entries,
exactly-one and trust in names (`search.py`).

Invariants:

* Certificates are compared whole, keys and identifiers as bytes or numbers, never as printed text.
* A stored certificate marked revoked binds nobody; one that has expired still binds.
"""

from typing import assert_never

from directory_assistance.candidates import BindBy, MatchPlan
from directory_assistance.certificate_names import CertificateNames, read_stored_certificate
from directory_assistance.entry import Entry, Strength

__all__ = ["STRENGTH", "binds", "why_not_bound"]

STRENGTH = {
    BindBy.CERTIFICATE: Strength.STRONG,
    BindBy.PUBLIC_KEY: Strength.STRONG,
    BindBy.SID: Strength.STRONG,
    BindBy.ISSUER_SERIAL: Strength.STRONG,
    BindBy.SUBJECT_KEY_ID: Strength.STRONG,
    BindBy.NAME: Strength.MEDIUM,
    BindBy.INSECURE_NAME_ONLY: Strength.WEAK,
}
"""How firmly each binding holds; those of the CA's statements only count with `issued_by`."""


def binds(plan: MatchPlan, entry: Entry, names: CertificateNames, anchor_id: str) -> bool:  # noqa: PLR0911 - one for each binding
    """Whether an entry holds what the plan's binding asks for.

    Args:
        plan: says what binds, and whose statements count (`issued_by`).
        entry: with all its stored certificates, which may be garbage: then they bind nobody.
        names: of the verified certificate.
        anchor_id: of the anchor that its path ends in.

    """
    if _is_statement_of_another(plan, anchor_id):
        return False
    stored = [certificate.der for certificate in entry.certificates if not certificate.revoked]
    match plan.bind_by:
        case BindBy.CERTIFICATE:
            return names.der in stored
        case BindBy.PUBLIC_KEY:
            facts = (read_stored_certificate(der) for der in stored)
            return any(fact is not None and fact.public_key_info == names.public_key_info for fact in facts)
        case BindBy.ISSUER_SERIAL:
            facts = (read_stored_certificate(der) for der in stored)
            return (names.issuer, names.serial) in entry.issuer_serials or any(
                fact is not None and fact.serial == names.serial and fact.issuer == names.issuer
                for fact in facts
            )
        case BindBy.SUBJECT_KEY_ID:
            if not names.subject_key_id:
                return False
            facts = (read_stored_certificate(der) for der in stored)
            return names.subject_key_id in entry.subject_key_ids or any(
                fact is not None and fact.subject_key_id == names.subject_key_id for fact in facts
            )
        case BindBy.SID:
            return len(names.sids) == 1 and entry.sid == names.sids[0]
        case BindBy.NAME | BindBy.INSECURE_NAME_ONLY:
            return True
        case _ as unreachable:
            assert_never(unreachable)


def why_not_bound(plan: MatchPlan, entry: Entry, anchor_id: str) -> str:
    """Return what an entry that does not bind lacks."""
    if _is_statement_of_another(plan, anchor_id):
        listed = ", ".join(f"`{anchor}`" for anchor in sorted(plan.issued_by)) or "no anchor"
        return f"the path ends in anchor `{anchor_id}`, and issued_by allows {listed}"
    match plan.bind_by:
        case BindBy.CERTIFICATE:
            lacks = "does not hold this certificate"
        case BindBy.PUBLIC_KEY:
            lacks = "holds no certificate with this public key"
        case _:
            return f"does not hold the {plan.bind_by} of this certificate"
    others = len(entry.certificates)
    return f"{lacks}: it holds {'none' if others == 0 else '1 other' if others == 1 else f'{others} others'}"


def _is_statement_of_another(plan: MatchPlan, anchor_id: str) -> bool:
    """Whether the path ends in a CA that may not make the statement that binds.

    Whatever is a statement of the CA counts only from the CAs that may make it. An empty `issued_by` under
    such a binding is a configuration error; here it means "none", never "all".
    """
    needed = bool(plan.issued_by) or plan.bind_by.needs_issued_by
    return needed and anchor_id not in plan.issued_by
