"""What an administrator can do about a refusal: one sentence for each reason code.

Printed by `explain` as the line that begins `To change this:`. The sentence goes with the verdict's detail, which
names what decided; it names the key, command or person that can change it. Not here: whether it should be changed.
"""

from typing import assert_never

from authsvc.access.acl import DecidedBy, EffectiveAccess
from authsvc.decision.verdict import Allowed, Denied, Undecided, Verdict
from authsvc.reason import Reason
from directory_assistance.errors import shorten

__all__ = ["advise"]


def advise(verdict: Verdict) -> str:
    """Return what would change a verdict, in one line; empty for an allowed one."""
    match verdict:
        case Allowed():
            return ""
        case Denied(block_id=int() as number):
            return f"ask the owner of block {number} named above, and remove it when it has served (`authsvc blocks`)"
        case Denied(reason=reason, access=EffectiveAccess() as access) if reason in _LACKING:
            return _advise_access(access, _LACKING[reason])
        case Denied(reason=reason) | Undecided(reason=reason):
            return _ADVICE[reason]
    assert_never(verdict)


_LACKING = {
    Reason.ACL_LEVEL: "a higher level",
    Reason.ACL_PRIVILEGE: "the privilege, at a level that may hold it",
    Reason.ACL_ROLE: "the role, at Reader or above",
}
"""What the ACL entries that decided do not give."""


def _advise_access(access: EffectiveAccess, lacking: str) -> str:
    """Return which ACL entry to change; entries beside an explicit one would change nothing."""
    database = f"`{shorten(access.database)}`"
    entries = " or ".join(f"`{shorten(entry)}`" for entry in access.entries)
    if access.decided_by is DecidedBy.DEFAULT:
        return f"add an ACL entry for the person, or one of the person's groups, to {database}, with {lacking} (`authsvc apply`)"
    if access.decided_by is DecidedBy.EXPLICIT:
        return f"give ACL entry {entries} of {database} {lacking} (`authsvc apply`); it names the person, so no other counts"
    return (
        f"give ACL entry {entries} of {database} {lacking}, or add one that names the person, which then decides alone "
        "(`authsvc apply`)"
    )


_ADVICE: dict[Reason, str] = {
    Reason.CERTIFICATE_MISSING: "present a client certificate, or give the database an `Anonymous` entry that suffices and the "
    "front end `anonymous: true`",
    Reason.CERTIFICATE_UNREADABLE: "let the web server send the one header of its front end's dialect, once, unshortened, and strip "
    "the client's own",
    Reason.CERTIFICATE_UNTRUSTED: "add the missing intermediate under `trust.intermediates`, or the CA under `trust.anchors`, if it may "
    "vouch for people here; the web server's own verify result must be success too",
    Reason.CERTIFICATE_WEAK: "issue a new certificate with RSA of 2048 bits or more, ECDSA P-256/384/521 or Ed25519/Ed448, signed with SHA-2",
    Reason.CERTIFICATE_USAGE: "issue a certificate for client authentication (extended key usage clientAuth, key usage digitalSignature); "
    "`eku: optional` on the anchor accepts one without the extension",
    Reason.CERTIFICATE_POLICY: "issue a certificate under a CA without policy constraints that this version cannot check",
    Reason.CERTIFICATE_NOT_YET_VALID: "wait until the certificate is valid, or check this machine's clock and `trust.clock_skew`",
    Reason.CERTIFICATE_EXPIRED: "renew the certificate (and every CA certificate named above)",
    Reason.CERTIFICATE_REVOKED: "issue a new certificate; a revoked one does not come back",
    Reason.REVOCATION_UNKNOWN: "add the issuer's revocation list under `trust.revocation.crls`, or set `mode: prefer` under `revocation` of the anchor",
    Reason.NO_USABLE_NAME: "issue a certificate whose names have no control characters and hold what the match plan looks for, or give the "
    "directory another `find_by`",
    Reason.AMBIGUOUS: "let exactly one entry hold this certificate: remove it from the others, or bind by something only one entry holds",
    Reason.ENTRY_DISABLED: "enable the entry in its directory (`disabled: false` for `authsvc apply`)",
    Reason.DENY_GROUP: "take the person out of the deny group, or the group out of `deny_access`",
    Reason.CERTIFICATE_DIFFERS: "store this certificate in the entry named above (`authsvc apply`, or the LDAP directory), or choose a `bind_by` "
    "that survives renewal",
    Reason.DOMAIN_NOT_TRUSTED_FOR_NAME: "add a rule with `trusted: true` that covers the name to the domain in `directory-assistance.yaml`, if "
    "the domain may make statements about such names; for a name of the primary set `may_assert_primary_names: true`",
    Reason.NO_ENTRY: "add an entry that holds this certificate (`authsvc apply`, or the LDAP directory), or widen the match plan's `find_by`",
    Reason.ACL_LEVEL: "raise the level of the ACL entry that decided, or add one for the person or a group (`authsvc apply`)",
    Reason.ACL_PRIVILEGE: "give the privilege to the ACL entry that decided, at a level that may hold it (`authsvc apply`)",
    Reason.ACL_ROLE: "give the role to the ACL entry that decided (`authsvc apply`)",
    Reason.DATABASE_UNKNOWN: "create the database (`authsvc apply`), or add a route that covers the path and method",
    Reason.TLS_REQUIRED: "come by https, or set `require_tls: false` for the database (`authsvc apply`)",
    Reason.UNTRUSTED_FRONT_END: "list the web server's network under `peers`, give it the `secret_file`'s secret, or its `client_name`",
    Reason.DIRECTORY_UNAVAILABLE: "let the directory named above answer again; `on_unavailable: skip` lets later directories answer for it",
    Reason.REVOCATION_UNAVAILABLE: "put a current list of the issuer in the file named above; it is read again within five seconds",
    Reason.STORE_UNAVAILABLE: "let the primary's database answer again; the log names the error",
    Reason.OVERLOADED: "ask again; a longer `time` under `cache` lets fewer requests reach the directories",
    Reason.EXPANSION_LIMIT: "take the person out of groups, or raise `max_depth` under `groups` of the domain named above",
    Reason.ALLOWED: "",
    Reason.ALLOWED_ANONYMOUS: "",
    Reason.ALLOWED_IDENTITY: "",
    Reason.ALLOWED_FULL_ACCESS: "",
    Reason.BAD_REQUEST: "ask with `database` and `level`, `privilege` or `role`, or with `identity=only`; each parameter but the middle two once",
}
