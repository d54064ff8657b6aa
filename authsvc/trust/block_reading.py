"""What operators type or paste for a block, read strictly; and how a block is written down.

Lives here: digests, serial numbers, whole names and certificates as people copy them from tools, and the texts that
store, API and command line show. Not here: blocks themselves (`blocks.py`).

INVARIANT: a text is read in the one way that it can be meant, or refused with what to write instead. A block that is
read wrongly refuses nobody and looks as if it did: that is worse than an error. So a serial number without a mark is
decimal and one with letters needs its `0x`, a name that begins at the root is not turned round, and an attribute type
that nobody knows is not taken.
INVARIANT: `read_written` of what `write_blocked` writes is the same value; where that cannot be, nothing is written.
"""

import re
from dataclasses import dataclass
from typing import Final, assert_never

from authsvc.presented.body import read_certificate_file
from authsvc.presented.presentation import PresentedCertificate, UnreadableCertificate
from authsvc.trust.blocks import (
    Blocked,
    BlockedCertificate,
    BlockedIdentity,
    BlockedKey,
    BlockedSerial,
    BlockedSubject,
    BlockKind,
)
from authsvc.trust.certificate import CertificateFacts, read_certificate
from directory_assistance.certificate_names import read_distinguished_name
from directory_assistance.dn import (
    DistinguishedName,
    Name,
    NameSyntaxError,
    RelativeDistinguishedName,
    has_unusable_characters,
    is_blank,
    is_reserved,
    read_ldap_dn,
    read_name,
    render_ldap,
    render_name,
)
from directory_assistance.errors import CertificateSyntaxError, shorten

__all__ = [
    "LONGEST_OWNER",
    "LONGEST_REASON",
    "BlockSyntaxError",
    "WrittenBlock",
    "blocked_by_certificate",
    "describe_blocked",
    "looks_like_digest",
    "read_block_certificate",
    "read_digest",
    "read_identity",
    "read_line",
    "read_serial",
    "read_typed",
    "read_whole_name",
    "read_written",
    "write_blocked",
]

LONGEST_OWNER: Final = 200
"""Characters of who answers for a block: a name, a team, an address."""

LONGEST_REASON: Final = 500
"""Characters of why: a sentence and a ticket's number, which stand in every refusal's audit record."""

_LARGEST_SERIAL: Final = 1 << 160
"""One above the largest serial number of 20 octets (RFC 5280 section 4.1.2.2)."""

_DIGEST_LABEL: Final = re.compile(r"sha-?256(?: fingerprint)?\s*[=:]\s*", re.ASCII | re.IGNORECASE)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}|(?:[0-9a-f]{2}:){31}[0-9a-f]{2}", re.ASCII | re.IGNORECASE)
_SERIAL_LABEL: Final = "serial="
_DECIMAL: Final = re.compile(r"[0-9]{1,60}", re.ASCII)
_BOTH: Final = re.compile(
    r"(?P<decimal>[0-9]{1,60}) \(0x(?P<hexadecimal>[0-9a-f]{1,40})\)", re.ASCII | re.IGNORECASE
)
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]{1,42}", re.ASCII | re.IGNORECASE)
_MARKED: Final = re.compile(r"0x[0-9a-f]{1,42}", re.ASCII | re.IGNORECASE)
_COLONS: Final = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){1,20}", re.ASCII | re.IGNORECASE)
_NAME_LABEL: Final = re.compile(r"(?:subject|issuer)\s*=\s*(?=[^\s,=+/]+\s*=)", re.ASCII | re.IGNORECASE)
_DOTTED: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+", re.ASCII)

_COUNTRY: Final = "2.5.4.6"
_ORGANISATION: Final = "2.5.4.10"
_DOMAIN_COMPONENT: Final = "0.9.2342.19200300.100.1.25"
_NEVER_AT_THE_ROOT: Final = frozenset({"2.5.4.3", "0.9.2342.19200300.100.1.1", "1.2.840.113549.1.9.1"})
"""CN, UID, emailAddress: they name what a tree holds, never the tree."""


class BlockSyntaxError(ValueError):
    """A text is not what a block of its kind is made of; says what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBlock:
    """What a block refuses, as texts.

    `value` is a digest in hexadecimal, a name as RFC 4514 has it, or an identity's name. `serial` is lower-case
    hexadecimal behind `0x`, None for every kind but `issuer_serial`.
    """

    kind: BlockKind
    value: str
    serial: str | None = None


# --- what is typed


def read_typed(kind: BlockKind, value: str, *, serial: str | None = None) -> Blocked:
    """Read what a block of a kind shall refuse.

    Args:
        kind: how `value` is read.
        value: a digest, the issuer's or the subject's whole name, or an identity's name.
        serial: beside an issuer only.

    Raises:
        BlockSyntaxError: a text cannot be read, or the serial number is missing or one too many.

    """
    if (serial is None) is (kind is BlockKind.ISSUER_SERIAL):
        raise BlockSyntaxError(f"expected a serial number for `issuer_serial` alone, found `{kind}`")
    match kind:
        case BlockKind.CERTIFICATE:
            return BlockedCertificate(sha256=read_digest(value))
        case BlockKind.PUBLIC_KEY:
            return BlockedKey(sha256=read_digest(value))
        case BlockKind.ISSUER_SERIAL:
            return BlockedSerial(issuer=read_whole_name(value), serial=read_serial(serial or ""))
        case BlockKind.SUBJECT:
            return BlockedSubject(subject=read_whole_name(value))
        case BlockKind.IDENTITY:
            return BlockedIdentity(name=read_identity(value))
    assert_never(kind)


def looks_like_digest(text: str) -> bool:
    """Tell whether a text is a SHA-256 digest in a spelling that `read_digest` reads."""
    return _DIGEST.fullmatch(_without_digest_label(text)) is not None


def read_digest(text: str) -> bytes:
    """Read a SHA-256 digest: 64 hexadecimal digits in either case, with or without colons, or as `openssl` prints it.

    Raises:
        BlockSyntaxError: it is something else.

    """
    digits = _without_digest_label(text)
    if _DIGEST.fullmatch(digits) is None:
        raise BlockSyntaxError(f"expected a SHA-256 digest (64 hexadecimal digits), found `{shorten(text)}`")
    return bytes.fromhex(digits.replace(":", ""))


def _without_digest_label(text: str) -> str:
    return _DIGEST_LABEL.sub("", text.strip(), count=1)


def read_serial(text: str) -> int:
    """Read a serial number: decimal, `0x` and hexadecimal, octets between colons, or as `openssl` prints it.

    `openssl x509 -serial` prints hexadecimal without a mark behind `serial=`, and `-text` both (`4660 (0x1234)`).

    Raises:
        BlockSyntaxError: it is something else, hexadecimal without a mark, not positive, or longer than 20 octets.

    """
    stripped = text.strip()
    marked = stripped.removeprefix(_SERIAL_LABEL)
    serial = _read_unmarked(stripped) if marked == stripped else _read_labelled(marked)
    if serial is None:
        hint = ": write `0x` before hexadecimal" if _HEXADECIMAL.fullmatch(stripped) else ""
        raise BlockSyntaxError(
            f"expected a serial number (`4660`, `0x1234` or `12:34`), found `{shorten(text)}`{hint}"
        )
    if not 0 < serial < _LARGEST_SERIAL:
        raise BlockSyntaxError(
            f"expected a positive serial number of at most 20 octets, found `{shorten(text)}`"
        )
    return serial


def _read_labelled(text: str) -> int | None:
    return int(text, 16) if _HEXADECIMAL.fullmatch(text) else None


def _read_unmarked(text: str) -> int | None:
    both = _BOTH.fullmatch(text)
    if both is not None:
        decimal = int(both["decimal"])
        return decimal if decimal == int(both["hexadecimal"], 16) else None
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _MARKED.fullmatch(text):
        return int(text, 16)
    return int(text.replace(":", ""), 16) if _COLONS.fullmatch(text) else None


def read_whole_name(text: str) -> DistinguishedName:
    """Read a certificate's whole subject or issuer as somebody types it: leaf first, with keywords.

    RFC 4514 and the slash form are read, and what stands before them in the output of `openssl` is dropped.

    Raises:
        BlockSyntaxError: no distinguished name, one that begins at the root, or an attribute type that is not known.

    """
    typed = _NAME_LABEL.sub("", text.strip(), count=1)
    try:
        name = read_name(typed)
    except NameSyntaxError as error:
        raise BlockSyntaxError(str(error)) from error
    if not isinstance(name, DistinguishedName) or "=" not in typed:
        raise BlockSyntaxError(
            f"expected a whole name such as `CN=Issuing CA,O=Acme,C=US`, found `{shorten(text)}`"
        )
    for rdn in name.rdns:
        for attribute in rdn.attributes:
            if _DOTTED.fullmatch(attribute.oid) is None:
                raise BlockSyntaxError(
                    f"expected attribute types that are known, found `{shorten(attribute.oid)}` in"
                    f" `{shorten(text)}`: write it dotted, or give the certificate itself"
                )
    if _begins_at_the_root(name.rdns):
        turned = render_ldap(DistinguishedName(rdns=tuple(reversed(name.rdns))))
        raise BlockSyntaxError(
            f"expected the leaf first, found `{shorten(text)}`, which begins at the root:"
            f" `{shorten(turned)}`, or give the certificate itself"
        )
    return name


def _begins_at_the_root(rdns: tuple[RelativeDistinguishedName, ...]) -> bool:
    """Tell whether a name is written the other way round, as `openssl` prints names by default."""
    first, last = ({attribute.oid for attribute in rdn.attributes} for rdn in (rdns[0], rdns[-1]))
    if len(rdns) == 1:
        return False
    if _COUNTRY in first:
        return _COUNTRY not in last
    if _DOMAIN_COMPONENT in first:
        return _DOMAIN_COMPONENT not in last
    return _ORGANISATION in first and bool(last & _NEVER_AT_THE_ROOT)


def read_identity(text: str) -> Name:
    """Read a name for ACLs, in any form.

    Raises:
        BlockSyntaxError: it is none, or nobody's (`Anonymous`, `-Default-`, anything with `*`).

    """
    try:
        name = read_name(text)
    except NameSyntaxError as error:
        raise BlockSyntaxError(str(error)) from error
    if is_reserved(name):
        raise BlockSyntaxError(
            f"expected the name of an identity, found `{shorten(text)}`, which is nobody's"
        )
    return name


def read_line(text: str, *, what: str, longest: int) -> str:
    """Read an owner or a reason: one line, without control characters; white space around it is dropped.

    Args:
        text: what was typed.
        what: what messages call it.
        longest: characters at most.

    Raises:
        BlockSyntaxError: nothing, more than one line, or too long.

    """
    line = text.strip()
    if is_blank(line):
        raise BlockSyntaxError(f"expected {what}, found nothing")
    if len(line) > longest or has_unusable_characters(line) or len(line.splitlines()) > 1:
        raise BlockSyntaxError(
            f"expected {what} of one line and at most {longest} characters, found `{shorten(line)}`"
        )
    return line


# --- what is taken from a certificate


def read_block_certificate(octets: bytes) -> bytes:
    """Return the certificate of a file: PEM, DER or base64, exactly one.

    Raises:
        BlockSyntaxError: none, or several: nobody knows which is meant.

    """
    presentation = read_certificate_file(octets)
    if isinstance(presentation, UnreadableCertificate):
        raise BlockSyntaxError(presentation.problem)
    assert isinstance(presentation, PresentedCertificate)  # a file is nothing else
    if presentation.chain:
        raise BlockSyntaxError(f"expected one certificate, found {1 + len(presentation.chain)}")
    return presentation.der


def blocked_by_certificate(kind: BlockKind, der: bytes) -> Blocked:
    """Return what a block of a kind refuses of a certificate.

    Raises:
        BlockSyntaxError: the certificate cannot be read, the name that is wanted cannot be compared or is empty, or
            a certificate says nothing about the kind.

    """
    try:
        facts = read_certificate(der)
    except CertificateSyntaxError as error:
        raise BlockSyntaxError(str(error)) from error
    match kind:
        case BlockKind.CERTIFICATE:
            return BlockedCertificate(sha256=facts.sha256)
        case BlockKind.PUBLIC_KEY:
            return BlockedKey(sha256=facts.key_sha256)
        case BlockKind.ISSUER_SERIAL:
            return BlockedSerial(issuer=_name_of(facts, facts.issuer_der, "issuer"), serial=facts.serial)
        case BlockKind.SUBJECT:
            return BlockedSubject(subject=_name_of(facts, facts.subject_der, "subject"))
        case BlockKind.IDENTITY:
            raise BlockSyntaxError("expected the name of an identity, found a certificate")
    assert_never(kind)


def _name_of(facts: CertificateFacts, encoded: bytes, which: str) -> DistinguishedName:
    name = read_distinguished_name(encoded)
    if name is None or not name.rdns:
        raise BlockSyntaxError(
            f"the {which} of `{facts.subject_text}` cannot be compared: block its key or the certificate instead"
        )
    return name


# --- what is written


def write_blocked(blocked: Blocked) -> WrittenBlock:
    """Write what a block refuses, so that it can be read again.

    Raises:
        BlockSyntaxError: its name cannot be written so.

    """
    written = _write(blocked)
    try:
        kept = read_written(written) == blocked
    except BlockSyntaxError:
        kept = False
    if not kept:
        raise BlockSyntaxError(
            f"the name `{shorten(written.value)}` cannot be kept as text: block the key or the certificate instead"
        )
    return written


def _write(blocked: Blocked) -> WrittenBlock:
    kind = blocked.kind
    match blocked:
        case BlockedCertificate(sha256=digest) | BlockedKey(sha256=digest):
            return WrittenBlock(kind=kind, value=digest.hex())
        case BlockedSerial(issuer=issuer, serial=serial):
            return WrittenBlock(kind=kind, value=render_ldap(issuer), serial=f"{serial:#x}")
        case BlockedSubject(subject=subject):
            return WrittenBlock(kind=kind, value=render_ldap(subject))
        case BlockedIdentity(name=name):
            return WrittenBlock(kind=kind, value=render_name(name))
    assert_never(blocked)


def read_written(written: WrittenBlock) -> Blocked:
    """Read what `write_blocked` wrote.

    Raises:
        BlockSyntaxError: it never wrote that.

    """
    match written.kind:
        case BlockKind.ISSUER_SERIAL if written.serial is not None:
            return BlockedSerial(issuer=_read_ldap(written.value), serial=read_serial(written.serial))
        case BlockKind.SUBJECT if written.serial is None:
            return BlockedSubject(subject=_read_ldap(written.value))  # a certificate may have its root first
        case kind:
            return read_typed(kind, written.value, serial=written.serial)


def _read_ldap(text: str) -> DistinguishedName:
    try:
        return read_ldap_dn(text)
    except NameSyntaxError as error:
        raise BlockSyntaxError(str(error)) from error


def describe_blocked(written: WrittenBlock) -> str:
    """Return one line about what a block refuses; outside input is shortened."""
    serial = "" if written.serial is None else f", serial {written.serial} ({int(written.serial, 16)})"
    return f"{written.kind} {shorten(written.value)}{serial}"
