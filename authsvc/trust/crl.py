"""A certificate revocation list as a value (RFC 5280 section 5): what it says, and whose key signed it.

Lives here: `RevocationList`, over the compact index that `index_crl` made of the octets. Not here: reading the octets
(`crl_reading.py`), what a list means for a certificate (`revocation.py`), files, fetching.

Invariants: a list proves nothing before `is_signed_by` has said yes for the key of an authority that may speak for
it; that is asked at every decision, and remembered. Serial numbers are looked up together with the name of the
certificate's issuer (threat T35).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from mmap import mmap
from typing import Final

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from authsvc.trust.anchors import TrustMaterialError
from authsvc.trust.certificate import CertificateFacts
from authsvc.trust.crl_reading import LARGEST_CRL, index_crl, read_head
from authsvc.trust.distribution_points import Scope
from authsvc.trust.general_names import read_name_key
from authsvc.trust.profile import StrengthFloor, find_cost_problem, find_key_problem, find_signature_problem
from authsvc.trust.serial_index import Finder, RevokedEntry, open_section
from authsvc.trust.signatures import SignatureAlgorithm, inherit_dsa_parameters, is_digest_signed_with
from directory_assistance.certificate_names import read_distinguished_name
from directory_assistance.dn import NameKey, render_ldap
from directory_assistance.errors import shorten

__all__ = ["LARGEST_CRL", "RevocationList", "RevokedEntry", "Scope", "index_crl", "read_crl"]

_MOST_KEYS: Final = 64
"""Keys of which it is remembered whether they signed a list: an issuer has one or two."""

_CLIENT_FLOOR: Final = StrengthFloor()


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """A list, read but not yet proven; two are equal if source and octets are. Made by `from_index`.

    Dates are aware; the list is current from `this_update` up to, but not including, `next_update`. `issuer_key` is
    what names compare by, `issuer_text` for messages. `number` is -1 where the list has none. `base_number` is None
    for a complete list, and for a delta list the number of the list that it completes. `authority_key_id` is empty
    where the list has none. `freshest_urls`: where the list says its delta lists are. `source` is what messages and
    evidence call it. `entry_count`: how many certificates it lists.
    """

    source: str
    fingerprint: bytes = field(repr=False)
    issuer_key: NameKey = field(repr=False, compare=False)
    issuer_text: str = field(compare=False)
    this_update: datetime = field(compare=False)
    next_update: datetime = field(compare=False)
    number: int = field(compare=False)
    base_number: int | None = field(compare=False)
    authority_key_id: bytes = field(repr=False, compare=False)
    scope: Scope = field(repr=False, compare=False)
    freshest_urls: tuple[str, ...] = field(repr=False, compare=False)
    entry_count: int = field(compare=False)
    _algorithm: SignatureAlgorithm = field(repr=False, compare=False)
    _signature: bytes = field(repr=False, compare=False)
    _digest: bytes = field(repr=False, compare=False)
    _sections: Mapping[NameKey, Finder] = field(repr=False, compare=False)
    _body: memoryview = field(repr=False, compare=False)
    _body_sha256: bytes = field(repr=False, compare=False)
    _known_keys: dict[tuple[bytes, StrengthFloor | None], str] = field(
        repr=False, compare=False, default_factory=dict
    )

    @classmethod
    def from_index(cls, index: "bytes | memoryview | mmap", *, source: str) -> "RevocationList":
        """Return the list of an index, which stays where it is: a mapped file is read only where it is looked at.

        Args:
            index: what `index_crl` returned.
            source: what messages call the list.

        Raises:
            TrustMaterialError: it is no index, cut off, or its head was changed. Not checked: the serial numbers
                themselves; `is_intact` does.

        """
        view = memoryview(index).toreadonly()
        try:
            head = read_head(view)
        except TrustMaterialError as error:
            raise TrustMaterialError(f"`{source}`: {error}") from error
        said = head.extensions
        return cls(
            source=source,
            fingerprint=head.fingerprint,
            issuer_key=read_name_key(head.issuer_der),
            issuer_text=_describe(head.issuer_der),
            this_update=head.this_update,
            next_update=head.next_update,
            number=said.number,
            base_number=said.base_number,
            authority_key_id=said.authority_key_id,
            scope=said.scope,
            freshest_urls=said.freshest_urls,
            entry_count=sum(place.entries for _, place in head.sections),
            _algorithm=head.algorithm,
            _signature=head.signature,
            _digest=head.digest,
            _sections={key: open_section(view, place) for key, place in head.sections},
            _body=view[head.body],
            _body_sha256=head.body_sha256,
        )

    @property
    def is_delta(self) -> bool:
        """Whether the list says only what changed since another one."""
        return self.base_number is not None

    def is_current(self, now: datetime, grace: timedelta = timedelta(0)) -> bool:
        """Whether the list speaks for this instant, or did until a grace ago."""
        # On this side of the comparison, because a list may end with the last instant there is.
        return self.this_update <= now and now - grace < self.next_update

    def is_intact(self) -> bool:
        """Whether the serial numbers are those that `index_crl` wrote: for files that were lying about; reads all."""
        return hashlib.sha256(self._body).digest() == self._body_sha256

    def is_signed_by(
        self,
        facts: CertificateFacts,
        *,
        floor: StrengthFloor | None = _CLIENT_FLOOR,
        above: Sequence[CertificateFacts] = (),
    ) -> bool:
        """Whether the key of a certificate made the list's signature; see `find_signature_problem`."""
        return not self.find_signature_problem(facts, floor=floor, above=above)

    def find_signature_problem(
        self,
        facts: CertificateFacts,
        *,
        floor: StrengthFloor | None = _CLIENT_FLOOR,
        above: Sequence[CertificateFacts] = (),
    ) -> str:
        """Say why a certificate's key does not prove the list, or return an empty text. Remembered for each key.

        Args:
            facts: the certificate. Not checked: that its subject is the issuer, and that it may sign lists.
            floor: the weakest key and algorithm that count; None for any that is not too expensive (profile
                `rfc5280`).
            above: the rest of its path, for a DSA key that has its parameters from there.

        """
        if facts.key.inherits:
            return self._check_signature(facts, floor, above)
        asked = (facts.key_sha256, floor)
        problem = self._known_keys.get(asked)
        if problem is None:
            problem = self._check_signature(facts, floor, above)
            if len(self._known_keys) >= _MOST_KEYS:
                self._known_keys.clear()
            self._known_keys[asked] = problem
        return problem

    def _check_signature(
        self, facts: CertificateFacts, floor: StrengthFloor | None, above: Sequence[CertificateFacts]
    ) -> str:
        problem = (
            find_cost_problem(facts)
            if floor is None
            else find_signature_problem(self._algorithm, floor) or find_key_problem(facts, floor)
        )
        if problem:
            return problem
        key = _key_of((facts, *above))
        if key is not None and is_digest_signed_with(
            key, self._algorithm, signature=self._signature, digest=self._digest
        ):
            return ""
        return f"not signed with the key of `{facts.subject_text}`"

    def find(self, serial: int, certificate_issuer: NameKey) -> RevokedEntry | None:
        """Return the entry of a certificate, None where the list does not name it. Any integer may be asked for.

        What a None means is for `scope` and dates to say; what an entry means, for `is_signed_by`.
        """
        find = self._sections.get(certificate_issuer)
        return None if find is None else find(serial)

    def same_series(self, other: "RevocationList") -> bool:
        """Whether one of two lists takes the place of the other: issuer, scope, key identifier, complete or delta."""
        return self.same_kind(other) and self.authority_key_id == other.authority_key_id

    def same_kind(self, other: "RevocationList") -> bool:
        """Whether two lists speak for the same certificates: issuer, scope, complete or delta; perhaps of two keys."""
        return (
            self.issuer_key == other.issuer_key
            and self.scope == other.scope
            and self.is_delta == other.is_delta
        )

    def supersedes(self, other: "RevocationList") -> bool:
        """Whether this list is newer than another of the same series (threat T37)."""
        return (self.number, self.this_update) > (other.number, other.this_update)


def read_crl(octets: "bytes | mmap", *, source: str) -> RevocationList:
    """Read a list, PEM or DER, into memory: for small ones.

    Raises:
        TrustMaterialError: as `index_crl`, with the source.

    """
    try:
        index = index_crl(octets)
    except TrustMaterialError as error:
        raise TrustMaterialError(f"`{source}`: {error}") from error
    return RevocationList.from_index(index, source=source)


def _key_of(path: Sequence[CertificateFacts]) -> PublicKeyTypes | None:
    """Return the key of the first certificate of a path, None where it cannot be used."""
    if not path or path[0].key.kind == "unsupported":
        return None
    if not path[0].key.inherits:
        return path[0].certificate.public_key()
    upper = _key_of(path[1:])
    return None if upper is None else inherit_dsa_parameters(path[0].key_info, upper)


def _describe(name_der: bytes) -> str:
    name = read_distinguished_name(name_der)
    return "(a name that must not be compared)" if name is None else shorten(render_ldap(name))
