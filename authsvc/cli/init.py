"""`authsvc init`: a configuration to begin with, a database, a development CA and the bootstrap token."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from authsvc.cli.apply import local_actor, store_of
from authsvc.cli.main import app, configuration_path
from authsvc.cli.output import ConfigOption, console, fail, guarded
from authsvc.config import read_settings
from authsvc.sample_world.pki import Authority
from authsvc.store.bootstrap import create_token

__all__ = ["init"]

_AUTHSVC_YAML = """\
# The service. `authsvc check-config` checks it; every key stands in the documentation.
directory_assistance: directory-assistance.yaml
api: {listen: "127.0.0.1:8443", tls: {certificate: tls/server.pem, key: tls/server.key}}
front_ends:
  # nginx on this machine (docs/operations/nginx.md):
  - {name: nginx, dialect: nginx, listen: "unix:run/nginx.sock", original_request: x-original}
  # clients straight to authsvc, to try things with curl:
  - {name: direct, dialect: tls, listen: "127.0.0.1:9443", tls: {certificate: tls/server.pem, key: tls/server.key}}
trust:
  anchors:
    # A development CA whose key lies beside it: replace it by your own before anybody relies on this.
    - {name: development, file: trust/development-ca.pem}
  revocation: {mode: require, crls: [trust/development-ca.crl]}
routes:
  - {path: "/wiki/**", database: wiki}
audit: {file: var/audit.jsonl}
"""

_DIRECTORY_ASSISTANCE_YAML = """\
# The directories. The primary is always asked first; add secondary and LDAP domains below it.
primary:
  domain: Example
  url: sqlite:///var/directory.db
"""

_PEOPLE_YAML = """\
# What `authsvc apply people.yaml` reads: people, groups and databases with their ACLs.
people:
  - names: ["First Person/Example"]              # the first name is the identity
    certificates: [certificates/first-person.pem]
groups:
  - {name: Everybody, type: multi, members: ["First Person/Example"]}
databases:
  - name: wiki
    acl:
      - {name: "-Default-", level: No Access}
      - {name: Everybody, type: person group, level: Editor}
  - name: directory                              # governs administration
    roles: [Auditor, UserCreator, UserModifier, GroupCreator, GroupModifier, AclManager, TrustManager, Registrar]
    acl:
      - {name: "-Default-", level: No Access}
      - {name: "First Person/Example", type: person, level: Manager, roles: [Auditor]}
"""

_FOLDERS = ("certificates", "run", "secrets", "tls", "trust", "var")
_TOKEN = Path("secrets/bootstrap.token")


@app.command()
@guarded
def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="where to write; default here")] = Path(),
    config: ConfigOption = None,
    token: Annotated[bool, typer.Option("--token", help="only make a new bootstrap token")] = False,
) -> None:
    """Write a configuration to begin with; nothing that exists is overwritten."""
    if token:
        _make_token(configuration_path(context, config))
        return
    path = folder / "authsvc.yaml"
    present = [
        name
        for name in ("authsvc.yaml", "directory-assistance.yaml", "people.yaml")
        if (folder / name).exists()
    ]
    if present:
        raise fail(f"`{folder / present[0]}` exists already: nothing was written")
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "secrets").chmod(0o700)
    (folder / "run").chmod(0o750)
    _write_development_ca(folder, datetime.now(UTC))
    path.write_text(_AUTHSVC_YAML)
    (folder / "directory-assistance.yaml").write_text(_DIRECTORY_ASSISTANCE_YAML)
    (folder / "people.yaml").write_text(_PEOPLE_YAML)
    _make_token(path)
    console.print(f"[green]written[/] to {folder.resolve()}; next:")
    console.print(f"  authsvc --config {path} apply {folder / 'people.yaml'}")
    console.print(f"  authsvc --config {path} serve")
    certificate = folder / "certificates" / "first-person"
    console.print(
        f"  curl -i --cacert {folder / 'tls' / 'ca.pem'} --cert {certificate}.pem --key {certificate}.key "
        "'https://localhost:9443/auth?database=wiki'"
    )


def _make_token(configuration: Path) -> None:
    settings = read_settings(configuration)
    file = settings.folder / _TOKEN
    file.parent.mkdir(mode=0o700, exist_ok=True)
    with store_of(settings.directory_assistance.primary.directory) as engine:
        create_token(engine, file, actor=local_actor(), now=datetime.now(UTC))
    console.print(
        f"[green]bootstrap token[/] in {file}; it works until a certificate with Manager access is used"
    )


def _write_development_ca(folder: Path, now: datetime) -> None:
    authority = Authority.root("CN=Development CA,O=Example", now=now)
    server = authority.issue_server()
    person = authority.issue("CN=First Person,O=Example")
    _write(folder / "trust" / "development-ca.pem", authority.pem)
    _write_secret(folder / "secrets" / "development-ca.key", authority.key_pem)
    _write(folder / "trust" / "development-ca.crl", authority.crl().pem)
    _write(folder / "tls" / "ca.pem", authority.pem)
    _write(folder / "tls" / "server.pem", server.bundle_pem)
    _write_secret(folder / "tls" / "server.key", server.key_pem)
    _write(folder / "certificates" / "first-person.pem", person.pem)
    _write_secret(folder / "certificates" / "first-person.key", person.key_pem)


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="ascii") as stream:
        stream.write(text)


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, encoding="ascii")
