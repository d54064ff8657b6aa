"""Emergency blocks: certificates, keys and identities that an operator refuses now, whatever anybody else says.

Lives here: a block as a value, and `BlockList`, the index that a decision asks. Not here: reading what operators type
(`block_reading.py`), keeping blocks (`authsvc/store/blocks.py`), and what a refusal is called (the pipeline).

Invariants:

* Every certificate of a certification path is looked at, the anchor included: the key of a withdrawn CA is refused
  whoever presents it, in whichever certificate (threat T21).
* Names compare by their key (RFC 4518), serial numbers as integers, never as texts (threats T52, T55). A name of a
  certificate that cannot be read equals no block's: none could have been made with it.
* A look-up costs the same however many blocks there are. Names are read out of certificates only where there is a
  block that needs them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType

from authsvc.trust.certificate import CertificateFacts
from directory_assistance.certificate_names import read_distinguished_name
from directory_assistance.dn import DistinguishedName, Name

__all__ = [
    "Block",
    "BlockHit",
    "BlockKind",
    "BlockList",
    "Blocked",
    "BlockedCertificate",
    "BlockedIdentity",
    "BlockedKey",
    "BlockedSerial",
    "BlockedSubject",
]


class BlockKind(StrEnum):
    """By what a block refuses; the words of the command line and the API."""

    CERTIFICATE = "certificate"
    PUBLIC_KEY = "public_key"
    ISSUER_SERIAL = "issuer_serial"
    SUBJECT = "subject"
    IDENTITY = "identity"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedCertificate:
    """One certificate: SHA-256 of its DER."""

    sha256: bytes

    @property
    def kind(self) -> BlockKind:
        """`certificate`."""
        return BlockKind.CERTIFICATE


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedKey:
    """Every certificate of one key: SHA-256 of SubjectPublicKeyInfo."""

    sha256: bytes

    @property
    def kind(self) -> BlockKind:
        """`public_key`."""
        return BlockKind.PUBLIC_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedSerial:
    """A certificate by what its issuer calls it."""

    issuer: DistinguishedName
    serial: int

    @property
    def kind(self) -> BlockKind:
        """`issuer_serial`."""
        return BlockKind.ISSUER_SERIAL


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedSubject:
    """Every certificate with this whole subject."""

    subject: DistinguishedName

    @property
    def kind(self) -> BlockKind:
        """`subject`."""
        return BlockKind.SUBJECT


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedIdentity:
    """Whoever has this name for ACLs, by whichever certificate."""

    name: Name

    @property
    def kind(self) -> BlockKind:
        """`identity`."""
        return BlockKind.IDENTITY


Blocked = BlockedCertificate | BlockedKey | BlockedSerial | BlockedSubject | BlockedIdentity
"""What a block refuses; equal values refuse the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One emergency block.

    `id` is never used a second time. `owner` answers for it and `reason` says why, one line each, of whoever made it.
    `ends`: from then on it refuses nobody, None for never. `created_by` is the actor of the change. Dates are aware.
    """

    id: int
    blocked: Blocked
    owner: str
    reason: str
    ends: datetime | None
    created_by: str
    created_at: datetime

    def is_in_force(self, now: datetime) -> bool:
        """Whether it refuses at this instant."""
        return self.ends is None or now < self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockHit:
    """A block in force, and the certificate of the path that it hits."""

    block: Block
    certificate: CertificateFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockList:
    """All blocks, as an index that never changes. Made by `BlockList.of`; without blocks it refuses nobody.

    Of several blocks of one value, the one that refuses longest counts.
    """

    blocks: tuple[Block, ...] = ()
    _by_value: Mapping[Blocked, tuple[Block, ...]] = field(
        default_factory=lambda: MappingProxyType({}), repr=False, compare=False
    )
    _serials: frozenset[int] = field(default=frozenset(), repr=False, compare=False)
    _has_subjects: bool = field(default=False, repr=False, compare=False)

    @classmethod
    def of(cls, blocks: Iterable[Block]) -> "BlockList":
        """Return the index of these blocks, ended ones too."""
        listed = tuple(sorted(blocks, key=lambda block: block.id))
        by_value: dict[Blocked, list[Block]] = {}
        for block in listed:
            by_value.setdefault(block.blocked, []).append(block)
        return cls(
            blocks=listed,
            _by_value=MappingProxyType(
                {value: tuple(sorted(each, key=_longest_first)) for value, each in by_value.items()}
            ),
            _serials=frozenset(value.serial for value in by_value if isinstance(value, BlockedSerial)),
            _has_subjects=any(isinstance(value, BlockedSubject) for value in by_value),
        )

    def current(self) -> "BlockList":
        """Return itself: a list that is in no store is what it is (`authsvc.decision.ports.Blocks`)."""
        return self

    def find(self, path: Sequence[CertificateFacts], *, now: datetime) -> BlockHit | None:
        """Return the first block in force on a certification path.

        Args:
            path: leaf first, anchor last; every one is looked at.
            now: aware.

        Returns:
            The hit nearest to the leaf, None where no certificate of the path is blocked.

        """
        for certificate in path if self.blocks else ():
            for value in self._values_of(certificate):
                block = self._find(value, now)
                if block is not None:
                    return BlockHit(block=block, certificate=certificate)
        return None

    def find_identity(self, name: Name, *, now: datetime) -> Block | None:
        """Return the block in force on a name, None where there is none."""
        return self._find(BlockedIdentity(name=name), now)

    def _find(self, value: Blocked, now: datetime) -> Block | None:
        longest = self._by_value.get(value)
        return longest[0] if longest is not None and longest[0].is_in_force(now) else None

    def _values_of(self, certificate: CertificateFacts) -> Iterable[Blocked]:
        yield BlockedCertificate(sha256=certificate.sha256)
        yield BlockedKey(sha256=certificate.key_sha256)
        if certificate.serial in self._serials:
            issuer = read_distinguished_name(certificate.issuer_der)
            if issuer is not None:
                yield BlockedSerial(issuer=issuer, serial=certificate.serial)
        if self._has_subjects:
            subject = read_distinguished_name(certificate.subject_der)
            if subject is not None:
                yield BlockedSubject(subject=subject)


_NEVER = datetime.max.replace(tzinfo=UTC)
"""Sorts after every end."""


def _longest_first(block: Block) -> tuple[float, int]:
    return -(block.ends or _NEVER).timestamp(), block.id
