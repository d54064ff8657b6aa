"""A small world of plain values for the pipeline: no server, no settings, no clock.

`Case` is a correct base (Dave Lawson reads `sales.nsf`); a test changes one field and looks at the verdict.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from authsvc.access.acl import Database, Requirement, read_database
from authsvc.access.databases import DatabaseTarget, Target
from authsvc.access.entries import AclEntry
from authsvc.access.levels import Level
from authsvc.decision.pipeline import Moment, Policy, Snapshot, decide
from authsvc.decision.ports import Blocks, ProvenPaths, StoreFault
from authsvc.decision.request import DecisionRequest, FrontEndPolicy
from authsvc.decision.verdict import Verdict
from authsvc.presented.presentation import Presentation, PresentedCertificate
from authsvc.trust.anchors import AnchorSettings, TrustAnchor, TrustStore
from authsvc.trust.blocks import BlockList
from authsvc.trust.certificate import read_certificate
from authsvc.trust.crl import read_crl
from authsvc.trust.ocsp_answer import OcspSource
from authsvc.trust.revocation import RevocationSnapshot
from directory_assistance.backends.memory import MemoryDirectory
from directory_assistance.candidates import FindBy, FindWay, MatchPlan
from directory_assistance.dn import MemberReference, read_name
from directory_assistance.domains import Ambiguity, DirectoryAssistance, PrimaryDomain, SecondaryDomain
from directory_assistance.entry import Entry, Group, StoredCertificate
from directory_assistance.trace import TraceRecorder
from tests.support.pki import NOW, Authority, Issued

__all__ = [
    "CRL_END",
    "DAVE",
    "DEFAULT_PLAN",
    "ISSUING",
    "ROOT",
    "Case",
    "MappingDatabases",
    "UnreachableDatabases",
    "acl",
    "person",
    "presented",
    "primary_of",
    "reading",
    "revocation",
    "sales",
    "trust",
]

ROOT = Authority.root(now=NOW)
ISSUING = ROOT.issue_authority()
DAVE = ISSUING.issue("CN=Dave Lawson,O=Renovations")
CRL_END = NOW + timedelta(days=7)

DEFAULT_PLAN = MatchPlan(
    ways=tuple(
        FindWay(find_by=way) for way in (FindBy.CERTIFICATE, FindBy.SUBJECT, FindBy.COMMON_NAME, FindBy.MAIL)
    )
)


def person(*names: str, holds: Issued | None = None, disabled: bool = False, revoked: bool = False) -> Entry:
    """An entry of these names that holds a certificate."""
    return Entry(
        key=names[0],
        names=tuple(read_name(name) for name in names),
        certificates=(StoredCertificate(der=holds.der, revoked=revoked),) if holds is not None else (),
        disabled=disabled,
    )


def acl(name: str, level: Level | str, **fields: Any) -> AclEntry:
    """An ACL entry as it would be written in a declaration."""
    return AclEntry.parse(name=name, level=level, **fields)


def sales(*entries: AclEntry, require_tls: bool = False, roles: tuple[str, ...] = ("Buyer",)) -> Database:
    """The database `sales.nsf` with these ACL entries."""
    return read_database(name="sales.nsf", entries=entries, require_tls=require_tls, roles=roles)


DIRECTORY = read_database(
    name="directory", entries=[acl("Ada Admin/Renovations", Level.MANAGER, type="person")]
)


class MappingDatabases:
    """Databases in memory."""

    def __init__(self, *databases: Database) -> None:
        self._databases: Mapping[str, Database] = {
            database.key: database for database in (DIRECTORY, *databases)
        }

    def find(self, name: str) -> Database | None:
        """Find by key."""
        return self._databases.get(name)

    def generation(self) -> int:
        """Never changes."""
        return 1


class UnreachableDatabases(MappingDatabases):
    """Databases whose store is down for everything but `directory`."""

    def find(self, name: str) -> Database | None:
        """Raise as a broken store does."""
        if name == "directory":
            return super().find(name)
        raise StoreFault("the store is locked")


def presented(certificate: Issued, *chain: Issued | Authority) -> PresentedCertificate:
    """What a web server would hand over."""
    return PresentedCertificate(der=certificate.der, chain=tuple(element.der for element in chain))


def trust(**settings: Any) -> TrustStore:
    """The store with our root, trusted with these deviations."""
    base = AnchorSettings(id="corp")
    anchor = TrustAnchor.from_der(replace(base, **settings), ROOT.der)
    return TrustStore.of([anchor], [read_certificate(ISSUING.der)])


def revocation(*revoked: Issued) -> RevocationSnapshot:
    """Current lists of root and issuing CA; the latter lists these certificates."""
    return RevocationSnapshot.of(
        [
            read_crl(ROOT.crl(next_update=CRL_END).der, source="root.crl"),
            read_crl(ISSUING.crl(revoked, next_update=CRL_END).der, source="issuing.crl"),
        ]
    )


def reading(level: Level | None = Level.READER, **fields: Any) -> Target:
    """The target `sales.nsf` with a requirement."""
    return DatabaseTarget(
        database="sales.nsf",
        requirement=Requirement(level=level, **fields),
    )


def primary_of(
    *people: Entry, groups: tuple[tuple[Group, tuple[MemberReference, ...]], ...] = ()
) -> PrimaryDomain:
    """The primary directory with these people."""
    return PrimaryDomain(
        domain="Renovations",
        directory=MemoryDirectory("Renovations", people, groups),
        plan=DEFAULT_PLAN,
    )


@dataclass(frozen=True, kw_only=True)
class Case:
    """Everything a decision depends on; the defaults allow Dave Lawson to read `sales.nsf`."""

    presentation: Presentation = field(default_factory=lambda: presented(DAVE))
    target: Target = field(default_factory=reading)
    front_end: FrontEndPolicy = field(default_factory=lambda: FrontEndPolicy(name="nginx"))
    over_tls: bool | None = None
    trust: TrustStore = field(default_factory=trust)
    revocation: RevocationSnapshot = field(default_factory=revocation)
    paths: ProvenPaths | None = None
    primary: PrimaryDomain = field(
        default_factory=lambda: primary_of(person("Dave Lawson/Renovations", holds=DAVE))
    )
    domains: tuple[SecondaryDomain, ...] = ()
    ambiguity: Ambiguity = Ambiguity.FIRST
    databases: MappingDatabases = field(
        default_factory=lambda: MappingDatabases(
            sales(acl("Dave Lawson/Renovations", Level.READER, type="person"))
        )
    )
    policy: Policy = field(default_factory=Policy)
    blocks: Blocks = field(default_factory=BlockList)
    exhaustive: bool = False
    ocsp: OcspSource | None = None

    def decide(self) -> Verdict:
        """Run the pipeline at NOW."""
        snapshot = Snapshot(
            trust=self.trust,
            revocation=self.revocation,
            paths=self.paths,
            assistance=DirectoryAssistance(
                primary=self.primary, domains=self.domains, ambiguity=self.ambiguity
            ),
            databases=self.databases,
            policy=self.policy,
            version="test",
            blocks=self.blocks,
            ocsp=self.ocsp,
        )
        request = DecisionRequest(
            presentation=self.presentation,
            front_end=self.front_end,
            target=self.target,
            over_tls=self.over_tls,
        )
        moment = Moment(now=NOW, deadline=1e12)
        return decide(request, snapshot, moment, TraceRecorder(), exhaustive=self.exhaustive)
