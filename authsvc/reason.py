"""Reason codes: the closed set of words that say why a decision is what it is, and the status each one answers with.

The codes leave the process (header `Auth-Reason`, problem documents, audit) and never change their meaning.
The order of the 401 row is binding: when several refusals apply, over several candidates or directories, the
first of the row is the one given. `tests/authsvc/test_reason.py` holds README's table against this one.
"""

from collections.abc import Iterable
from enum import StrEnum

__all__ = ["HIDDEN_REASON", "Reason", "first_refusal", "outward_reason"]


class Reason(StrEnum):
    """Every reason code, in the order of semantics section 9."""

    # 401: no identity; the order of this block is the order of precedence
    CERTIFICATE_MISSING = "certificate_missing"
    CERTIFICATE_UNREADABLE = "certificate_unreadable"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    CERTIFICATE_WEAK = "certificate_weak"
    CERTIFICATE_USAGE = "certificate_usage"
    CERTIFICATE_POLICY = "certificate_policy"
    CERTIFICATE_NOT_YET_VALID = "certificate_not_yet_valid"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_REVOKED = "certificate_revoked"
    REVOCATION_UNKNOWN = "revocation_unknown"
    NO_USABLE_NAME = "no_usable_name"
    AMBIGUOUS = "ambiguous"
    ENTRY_DISABLED = "entry_disabled"
    DENY_GROUP = "deny_group"
    CERTIFICATE_DIFFERS = "certificate_differs"
    DOMAIN_NOT_TRUSTED_FOR_NAME = "domain_not_trusted_for_name"
    NO_ENTRY = "no_entry"
    # 403: identity known, access refused
    ACL_LEVEL = "acl_level"
    ACL_PRIVILEGE = "acl_privilege"
    ACL_ROLE = "acl_role"
    DATABASE_UNKNOWN = "database_unknown"
    TLS_REQUIRED = "tls_required"
    # 403: not a front end we know
    UNTRUSTED_FRONT_END = "untrusted_front_end"
    # 503: undecided
    DIRECTORY_UNAVAILABLE = "directory_unavailable"
    REVOCATION_UNAVAILABLE = "revocation_unavailable"
    STORE_UNAVAILABLE = "store_unavailable"
    OVERLOADED = "overloaded"
    EXPANSION_LIMIT = "expansion_limit"
    # 200
    ALLOWED = "allowed"
    ALLOWED_ANONYMOUS = "allowed_anonymous"
    ALLOWED_IDENTITY = "allowed_identity"
    ALLOWED_FULL_ACCESS = "allowed_full_access"
    # 400: the caller's mistake
    BAD_REQUEST = "bad_request"

    @property
    def status(self) -> int:
        """The HTTP status that a sub-request answers with: 200, 400, 401, 403 or 503."""
        return _STATUS[self]


HIDDEN_REASON = "not_authenticated"
"""What leaves the service instead of the codes that would tell a stranger which people exist (threat T61)."""

_ORDER = tuple(Reason)
_STATUS: dict[Reason, int] = {
    **dict.fromkeys(_ORDER[: _ORDER.index(Reason.ACL_LEVEL)], 401),
    **dict.fromkeys(_ORDER[_ORDER.index(Reason.ACL_LEVEL) : _ORDER.index(Reason.DIRECTORY_UNAVAILABLE)], 403),
    **dict.fromkeys(_ORDER[_ORDER.index(Reason.DIRECTORY_UNAVAILABLE) : _ORDER.index(Reason.ALLOWED)], 503),
    **dict.fromkeys(_ORDER[_ORDER.index(Reason.ALLOWED) : _ORDER.index(Reason.BAD_REQUEST)], 200),
    Reason.BAD_REQUEST: 400,
}
_HIDDEN = frozenset(_ORDER[_ORDER.index(Reason.AMBIGUOUS) : _ORDER.index(Reason.NO_ENTRY) + 1])


def first_refusal(reasons: Iterable[Reason]) -> Reason | None:
    """Return the reason that comes first in the order of the 401 row, or None if there is none."""
    return min(reasons, key=_ORDER.index, default=None)


def outward_reason(reason: Reason, *, expose: bool) -> str:
    """Return the code that callers see: the six from `ambiguous` to `no_entry` are one, unless `expose`."""
    return HIDDEN_REASON if reason in _HIDDEN and not expose else reason.value
