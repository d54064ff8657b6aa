"""`authsvc init`: a configuration to begin with, a database, a development CA and the bootstrap token."""

import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from authsvc.cli.application import app, configuration_path
from authsvc.cli.apply import local_actor, store_of
from authsvc.cli.output import (
    ConfigOption,
    JsonOption,
    command_line,
    console,
    fail,
    guarded,
    place,
    print_json,
    visible,
)
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

_FILES = {
    "authsvc.yaml": _AUTHSVC_YAML,
    "directory-assistance.yaml": _DIRECTORY_ASSISTANCE_YAML,
    "people.yaml": _PEOPLE_YAML,
}
_FOLDERS = {
    "certificates": 0o755,
    "run": 0o750,  # its sockets admit whoever may enter: the web server's group
    "secrets": 0o700,
    "tls": 0o755,
    "trust": 0o755,
    "var": 0o750,  # people, ACLs and the audit file
}
_LIST_LIFE = timedelta(days=365)
"""How long the development CA's revocation list lasts: nobody makes the next one, so as long as its certificates."""

_TOKEN = Path("secrets/bootstrap.token")


@app.command()
@guarded
def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; default here.")] = Path(),
    config: ConfigOption = None,
    token: Annotated[
        bool, typer.Option("--token", help="Only make a new bootstrap token, for the configuration in use.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a configuration to begin with, a database, a development CA and a bootstrap token.

    Nothing that exists is overwritten. Exit code 2: something is in the way.
    """
    if token:
        _tell_token(_make_token(configuration_path(context, config)), as_json=as_json)
        return
    present = [name for name in (*_FILES, *_FOLDERS) if (folder / name).exists()]
    if present:
        raise fail(f"`{folder / present[0]}` exists already: nothing was written")
    for name, mode in _FOLDERS.items():
        (folder / name).mkdir(parents=True)
        (folder / name).chmod(mode)
    _write_development_ca(folder, datetime.now(UTC))
    for name, text in _FILES.items():
        _write(folder / name, text)
    path = place(folder) / "authsvc.yaml"
    token_file = _make_token(path)
    commands = _commands(place(folder))
    if as_json:
        print_json(
            {"configuration": str(path), "bootstrap_token_file": str(token_file), "next": list(commands)}
        )
        return
    console.print(Text.assemble(("written", "green"), f" to {visible(str(folder.absolute()))}"))
    _tell_token(token_file, as_json=False)
    console.print("next:")
    for command in commands:
        console.print(Text.assemble("  ", (visible(command), "cyan")))


def _commands(folder: Path) -> tuple[str, ...]:
    """Return what to do next, each on one line: fill the directory, serve, ask."""
    configuration = ("--config", str(folder / "authsvc.yaml"))
    certificate = str(folder / "certificates" / "first-person")
    curl = [
        *("curl", "-s", "-i", "--cacert", str(folder / "tls" / "ca.pem")),
        *("--cert", f"{certificate}.pem", "--key", f"{certificate}.key"),
        "https://localhost:9443/auth?database=wiki",
    ]
    return (
        command_line(*configuration, "apply", str(folder / "people.yaml")),
        command_line(*configuration, "serve"),
        shlex.join(curl),
    )


def _make_token(configuration: Path) -> Path:
    """Make a bootstrap token; return the file that holds it."""
    settings = read_settings(configuration)
    file = place(settings.folder) / _TOKEN
    file.parent.mkdir(mode=0o700, exist_ok=True)
    with store_of(settings.directory_assistance.primary.directory) as engine:
        create_token(engine, file, actor=local_actor(), now=datetime.now(UTC))
    return file


def _tell_token(file: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"bootstrap_token_file": str(file)})
    else:
        told = Text.assemble(("bootstrap token", "green"), f" in {visible(str(file))}")
        console.print(told.append("; it works until a certificate with Manager access is used"))


def _write_development_ca(folder: Path, now: datetime) -> None:
    authority = Authority.root("CN=Development CA,O=Example", now=now)
    server = authority.issue_server()
    person = authority.issue("CN=First Person,O=Example")
    _write(folder / "trust" / "development-ca.pem", authority.pem)
    _write_secret(folder / "secrets" / "development-ca.key", authority.key_pem)
    _write(folder / "trust" / "development-ca.crl", authority.crl(next_update=now + _LIST_LIFE).pem)
    _write(folder / "tls" / "ca.pem", authority.pem)
    _write(folder / "tls" / "server.pem", server.bundle_pem)
    _write_secret(folder / "tls" / "server.key", server.key_pem)
    _write(folder / "certificates" / "first-person.pem", person.pem)
    _write_secret(folder / "certificates" / "first-person.key", person.key_pem)


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as stream:
        stream.write(text)


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, encoding="ascii")
