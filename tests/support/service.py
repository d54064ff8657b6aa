"""A small service for tests: real files, a real store, certificates that outlive every clock.

`lay_place` writes a correct configuration with a primary directory; a test changes one thing. Nothing here
reads the wall clock: certificates and lists are valid from 2020 to 2120, so that real TLS servers take them.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from sqlalchemy import Engine

from authsvc.access.acl import Database, read_database
from authsvc.access.entries import AclEntry
from authsvc.access.levels import Level
from authsvc.config import read_settings
from authsvc.operations.service import Service
from authsvc.settings import Settings
from authsvc.store.builtin import DIRECTORY_ROLES
from authsvc.store.certificates import CertificateRecord
from authsvc.store.databases import create_database, replace_database
from authsvc.store.migrate import migrate
from authsvc.store.people import create_person
from authsvc.store.schema import open_engine
from tests.support.pki import BEGIN, END, NOW, SERVER_AUTH, Authority, Issued, host
from tests.support.sample_world import free_ports
from tests.support.store import changing, person

__all__ = [
    "BEGIN",
    "DIRECTORY",
    "END",
    "NOW",
    "Place",
    "World",
    "acl",
    "fill_store",
    "lay_place",
    "serving_service",
    "world",
]

_SECRET = "the secret of the edge"


@dataclass(frozen=True, kw_only=True)
class World:
    """Two authorities and the certificates of everybody, made once."""

    root: Authority
    issuing: Authority
    server: Issued
    people: dict[str, Issued] = field(repr=False)

    def issue(self, name: str, **deviation: object) -> Issued:
        """Return another certificate for a person."""
        dates = {"not_before": BEGIN, "not_after": END}
        return self.issuing.issue(f"CN={name},O=Renovations", **(dates | deviation))  # type: ignore[arg-type]  # deviations

    def crl(self, *revoked: Issued, number: int = 1, next_update: datetime = END) -> str:
        """Return a list of the issuing authority, as PEM text."""
        return self.issuing.crl(revoked, this_update=BEGIN, next_update=next_update, number=number).pem


@cache
def world() -> World:
    """Return the world: Dave reads, Ada audits, Max manages, Eve may nothing, Norma has no entry."""
    root = Authority.root(now=NOW, not_before=BEGIN, not_after=END)
    issuing = root.issue_authority(not_before=BEGIN, not_after=END)
    server = root.issue(
        "CN=localhost",
        san=[host("localhost"), host("127.0.0.1")],
        eku=(SERVER_AUTH,),
        not_before=BEGIN,
        not_after=END,
    )
    laid = World(root=root, issuing=issuing, server=server, people={})
    for name in ("Dave Lawson", "Ada Auditor", "Max Manager", "Eve Everybody", "Norma Nobody"):
        laid.people[name.split()[0].lower()] = laid.issue(name)
    return laid


def acl(name: str, level: Level, *roles: str) -> AclEntry:
    """Return an ACL entry for a person."""
    return AclEntry.parse(name=name, level=level, type="person", roles=roles)


DIRECTORY = (
    acl("Ada Auditor/Renovations", Level.READER, "Auditor"),
    acl("Max Manager/Renovations", Level.MANAGER, "Auditor"),
    acl("Eve Everybody/Renovations", Level.READER),
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder with everything that a service is made of."""

    folder: Path
    configuration: dict[str, object]
    assistance: dict[str, object]

    @property
    def file(self) -> Path:
        """`authsvc.yaml`."""
        return self.folder / "authsvc.yaml"

    @property
    def secret(self) -> str:
        """What the front end `edge` shows."""
        return _SECRET

    def write(self, name: str, content: str) -> Path:
        """Replace a file as careful tools do: whole, under a new inode."""
        fresh = self.folder / f"{name}.new"
        fresh.write_text(content)
        return fresh.replace(self.folder / name)

    def configure(self, **changed: object) -> None:
        """Write `authsvc.yaml`, with other values under these keys; stays so."""
        self.configuration.update(changed)
        self.write("authsvc.yaml", yaml.safe_dump(self.configuration))

    def configure_directories(self, **changed: object) -> None:
        """Write `directory-assistance.yaml`, with other values under these keys; stays so."""
        self.assistance.update(changed)
        self.write("directory-assistance.yaml", yaml.safe_dump(self.assistance))

    def settings(self) -> Settings:
        """Read the configuration as it stands."""
        return read_settings(self.file)

    @contextmanager
    def store(self) -> Iterator[Engine]:
        """Open the primary's database with an engine of its own, as another process would."""
        engine = open_engine(f"sqlite:///{self.folder / 'directory.db'}")
        try:
            yield engine
        finally:
            engine.dispose()

    def put_database(self, name: str, *entries: AclEntry) -> None:
        """Give a database another ACL, as another process would."""
        with self.store() as engine, changing(engine) as change:
            replace_database(change, name, _database(name, *entries))

    def records(self) -> list[dict[str, object]]:
        """Return the audit records so far."""
        return [json.loads(line) for line in (self.folder / "audit.jsonl").read_text().splitlines()]


def lay_place(folder: Path) -> Place:
    """Write configuration, trust and a store with people and databases into a folder."""
    everything = world()
    tls = {"certificate": "server.pem", "key": "server.key"}
    ports = free_ports()
    front_ends: list[dict[str, object]] = [
        {"name": "nginx", "dialect": "nginx", "listen": "unix:nginx.sock"},
        {
            "name": "edge",
            "dialect": "rfc9440",
            "listen": f"127.0.0.1:{ports.edge}",
            "secret_file": "edge.secret",
        },
        {"name": "direct", "dialect": "tls", "listen": f"127.0.0.1:{ports.direct}", "tls": tls},
    ]
    place = Place(
        folder=folder,
        configuration={
            "directory_assistance": "directory-assistance.yaml",
            "api": {"listen": f"127.0.0.1:{ports.api}", "tls": tls},
            "front_ends": front_ends,
            "trust": {
                "anchors": [{"name": "corp", "file": "root.pem"}],
                "intermediates": ["issuing.pem"],
                "revocation": {"mode": "require", "crls": ["root.crl", "issuing.crl"]},
            },
            "audit": {"file": "audit.jsonl"},
        },
        assistance={"primary": {"domain": "Renovations", "url": "sqlite:///directory.db"}},
    )
    place.write("root.pem", everything.root.pem)
    place.write("issuing.pem", everything.issuing.pem)
    place.write("root.crl", everything.root.crl(this_update=BEGIN, next_update=END).pem)
    place.write("issuing.crl", everything.crl())
    place.write("server.pem", everything.server.bundle_pem)
    for name, text in (("server.key", everything.server.key_pem), ("edge.secret", _SECRET)):
        place.write(name, text).chmod(0o600)
    place.configure()
    place.configure_directories()
    (folder / "directory.db").write_bytes(_filled_store())
    return place


@cache
def _filled_store() -> bytes:
    """Return a database file with people and databases; filled once, copied after."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "directory.db"
        engine = open_engine(f"sqlite:///{path}")
        fill_store(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()
        return path.read_bytes()


def fill_store(engine: Engine) -> None:
    """Write people and databases into an empty database."""
    migrate(engine)
    with changing(engine) as change:
        for short, held in world().people.items():
            if short != "norma":
                name = held.certificate.subject.rfc4514_string().split(",")[0].removeprefix("CN=")
                certificates = [CertificateRecord.from_der(held.der)]
                mail = f"{short}@renovations.example"
                told = person(f"{name}/Renovations", mail=mail, display_name=name, certificates=certificates)
                create_person(change, told)
        create_database(change, _database("sales.nsf", acl("Dave Lawson/Renovations", Level.READER, "Buyer")))
        replace_database(change, "directory", _database("directory", *DIRECTORY))


def _database(name: str, *entries: AclEntry) -> Database:
    roles = DIRECTORY_ROLES if name == "directory" else ("Buyer",)
    return read_database(name=name, entries=entries, roles=roles)


@contextmanager
def serving_service(place: Place, **options: object) -> Iterator[Service]:
    """Open a service at `NOW`, as `serve` does, and look once at what could change; nothing is watched."""
    service = Service.open(place.settings(), serving=True, **({"now": lambda: NOW} | options))  # type: ignore[arg-type]  # deviations
    try:
        service._look()
        yield service
    finally:
        service.close()
