"""What an administrator can do about a refusal: one sentence for each reason code.

Printed by `explain` as the line that begins `To change this:`. The sentence names what decided (it is in the
verdict's detail) and the file, command or person that can change it.
"""

from typing import assert_never

from authsvc.decision.verdict import Allowed, Denied, Undecided, Verdict
from authsvc.reason import Reason

__all__ = ["advise"]


def advise(verdict: Verdict) -> str:
    """Return what would change a verdict; empty for an allowed one."""
    match verdict:
        case Allowed():
            return ""
        case Denied(reason=reason) | Undecided(reason=reason):
            return _ADVICE[reason]
    assert_never(verdict)


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
    Reason.REVOCATION_UNKNOWN: "add the issuer's revocation list under `trust.revocation.crls`, or set `revocation` of the anchor to `prefer`",
    Reason.NO_USABLE_NAME: "issue a certificate whose names have no control characters and hold what the match plan looks for, or give the "
    "directory another `find_by`",
    Reason.AMBIGUOUS: "let exactly one entry hold this certificate: remove it from the others, or bind by something only one entry holds",
    Reason.ENTRY_DISABLED: "enable the entry in its directory",
    Reason.DENY_GROUP: "take the person out of the deny group, or the group out of `deny_access`",
    Reason.CERTIFICATE_DIFFERS: "store this certificate in the entry named above, or choose a `bind_by` that survives renewal",
    Reason.DOMAIN_NOT_TRUSTED_FOR_NAME: "give the domain an enabled trusted rule that covers the entry's name, if it may make statements about "
    "such names; a name of the primary needs `may_assert_primary_names: true`",
    Reason.NO_ENTRY: "add an entry that holds this certificate (`authsvc apply`, or the LDAP directory), or widen the match plan's `find_by`",
    Reason.ACL_LEVEL: "raise the level of the ACL entry named above, or add one for the person or a group (`authsvc apply`)",
    Reason.ACL_PRIVILEGE: "give the privilege to the ACL entry named above, at a level that may hold it (`authsvc apply`)",
    Reason.ACL_ROLE: "give the role to the ACL entry named above (`authsvc apply`)",
    Reason.DATABASE_UNKNOWN: "create the database (`authsvc apply`), or add a route that covers the path and method",
    Reason.TLS_REQUIRED: "come by https, or set `require_tls: false` on the database",
    Reason.UNTRUSTED_FRONT_END: "list the web server's network under `peers`, give it the `secret_file`'s secret, or its `client_name`",
    Reason.DIRECTORY_UNAVAILABLE: "let the directory named above answer again; `on_unavailable: skip` lets later directories answer for it",
    Reason.REVOCATION_UNAVAILABLE: "put a current list of the issuer in the file named above; it is read again within five seconds",
    Reason.STORE_UNAVAILABLE: "let the primary's database answer again; the log names the error",
    Reason.OVERLOADED: "ask again, lengthen `cache.time`, or add workers",
    Reason.EXPANSION_LIMIT: "take the person out of groups, or raise `max_depth` of the domain named above",
    Reason.ALLOWED: "",
    Reason.ALLOWED_ANONYMOUS: "",
    Reason.ALLOWED_IDENTITY: "",
    Reason.ALLOWED_FULL_ACCESS: "",
    Reason.BAD_REQUEST: "ask with `database` and `level`, `privilege` or `role`, or with `identity=only`; each parameter but the middle two once",
}
