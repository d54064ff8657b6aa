"""Lays the sample world into a folder: configuration, certificates, directories as files, and `world.json`.

The words of the world stand in `fixtures/world/` (certificates, people, groups, databases, stories); this
module makes files of them. It starts nothing and writes no database: `authsvc/cli/demo.py` does.
"""

import base64
import json
import secrets
import shlex
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from authsvc.sample_world import pki
from authsvc.sample_world.errors import WorldError

__all__ = [
    "WAYS",
    "LaidWorld",
    "Ports",
    "Story",
    "Way",
    "fixtures_folder",
    "lay_world",
    "read_stories",
    "write_configuration",
    "write_world_json",
]

WAYS = ("rfc9440", "nginx", "tls")
"""The ways in: a header to the front end `edge`, through a real nginx, and TLS straight to the front end
`direct`."""

_MARKER = ".sample-world"
"""The file by which a folder is known as ours to replace: no other program makes one of this name."""

_STALE = timedelta(days=2)
"""How long ago the revocation list of the legacy CA ran out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The loopback ports of a world."""

    api: int
    edge: int
    direct: int
    nginx: int

    @classmethod
    def counted_from(cls, first: int) -> "Ports":
        """Return four ports in a row."""
        return cls(api=first, edge=first + 1, direct=first + 2, nginx=first + 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidWorld:
    """What the LDAP server of a world is made of: its content, and the password of the account authsvc binds with."""

    airius_ldif: str
    airius_password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What one way into the world answers: a status, reason and identity, or who refuses before authsvc is asked."""

    curl: tuple[str, ...]
    status: int | None = None
    reason: str | None = None
    identity: str | None = None
    refused_by: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the entry of `world.json`."""
        line = shlex.join(self.curl)
        if self.refused_by is not None:
            return {"curl": line, "refused_by": self.refused_by}
        return {"curl": line, "status": self.status, "reason": self.reason, "identity": self.identity}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One story: what it tells, and how each way in answers."""

    story: str
    certificate: str
    database: str
    requirement: str
    identity_only: bool
    needs_ldap: bool
    ways: dict[str, Way]


def fixtures_folder() -> Path:
    """Return the folder with the words of the world: beside this module when installed, in the checkout otherwise."""
    installed = Path(__file__).parent / "fixtures"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "fixtures" / "world"


def lay_world(folder: Path, *, now: datetime) -> "LaidWorld":
    """Make the certificates, lists and secrets of the world in `folder`, anew.

    Args:
        folder: made if it does not exist; an earlier world in it is removed.
        now: the reference instant of every certificate (aware).

    Raises:
        WorldError: the folder holds something that is not a sample world, or is none.

    """
    marker = folder / _MARKER
    if folder.exists() and not folder.is_dir():
        raise WorldError(f"`{folder}` is no folder: name another")
    if folder.exists() and any(folder.iterdir()):
        if not marker.is_file():
            raise WorldError(f"`{folder}` is not empty and holds no sample world: name another folder")
        _clear(folder, marker)
    folder.mkdir(parents=True, exist_ok=True)
    marker.write_text("A sample world of authsvc is laid here: `authsvc demo` replaces all of it.\n")
    for name in ("certificates", "headers", "logs", "tls", "trust"):
        (folder / name).mkdir()
    for name in ("run", "secrets", "var"):
        (folder / name).mkdir(mode=0o700)
    authorities = _make_authorities(now)
    issued = _make_certificates(authorities, now)
    _write_trust(folder, authorities, issued, now)
    _write_certificates(folder, issued)
    _write_headers(folder, issued, _secret(folder / "secrets" / "edge.secret"))
    password = _secret(folder / "secrets" / "airius.password")
    values = {f"certificate {name}": base64.b64encode(one.der).decode() for name, one in issued.items()}
    return LaidWorld(airius_ldif=_filled("airius.ldif", values), airius_password=password)


def _clear(folder: Path, marker: Path) -> None:
    """Remove all of a sample world but its marker, so that what is left of a half removed one is still ours."""
    for child in folder.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        elif child != marker:
            child.unlink()


def write_configuration(folder: Path, ports: Ports, *, airius_url: str) -> None:
    """Write the YAML files of a world, with the addresses of its servers."""
    values = {
        "api_port": str(ports.api),
        "edge_port": str(ports.edge),
        "direct_port": str(ports.direct),
        "airius_url": airius_url,
    }
    for name in ("authsvc.yaml", "directory-assistance.yaml", "primary.yaml", "acme-west.yaml"):
        (folder / name).write_text(_filled(name, values), encoding="utf-8")


def _filled(name: str, values: dict[str, str]) -> str:
    text = (fixtures_folder() / name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace("{{" + key + "}}", value)
    return text


def _make_authorities(now: datetime) -> dict[str, pki.Authority]:
    root = pki.Authority.root(now=now)
    return {
        "renovations-root": root,
        "renovations": root.issue_authority(),
        "branch": root.issue_authority("CN=Renovations Branch CA,O=Renovations"),
        "legacy": root.issue_authority("CN=Renovations Legacy CA,O=Renovations"),
        "airius": pki.Authority.root("CN=Airius CA,O=airius.com", now=now),
        # the foreign CA bears the very names of ours: only its key tells it apart
        "foreign": pki.Authority.root(now=now).issue_authority(),
    }


# Any: the words of a certificate as YAML gives them; `tests/authsvc/test_sample_world.py` holds their shape
def _described() -> dict[str, dict[str, Any]]:
    described: dict[str, dict[str, Any]] = yaml.safe_load(
        (fixtures_folder() / "certificates.yaml").read_text(encoding="utf-8")
    )
    return described


def _make_certificates(authorities: dict[str, pki.Authority], now: datetime) -> dict[str, pki.Issued]:
    issued: dict[str, pki.Issued] = {}
    for name, description in _described().items():
        first, last = description.get("valid", (-1, 365))
        issued[name] = authorities[description.get("issuer", "renovations")].issue(
            description["subject"],
            not_before=now + timedelta(days=first),
            not_after=now + timedelta(days=last),
            key=pki.KeyKind.RSA_1024 if description.get("key") == "rsa1024" else pki.KeyKind.P256,
            eku=(pki.SERVER_AUTH,) if description.get("usage") == "server" else (pki.CLIENT_AUTH,),
            san=[pki.mail(description["mail"])] if "mail" in description else (),
        )
    return issued


def _write_trust(
    folder: Path, authorities: dict[str, pki.Authority], issued: dict[str, pki.Issued], now: datetime
) -> None:
    trust = folder / "trust"
    revoked = [
        issued[name] for name, description in _described().items() if description.get("revoked", False)
    ]
    files = {
        "renovations-root.pem": authorities["renovations-root"].pem,
        "renovations-issuing.pem": authorities["renovations"].pem,
        "renovations-branch.pem": authorities["branch"].pem,
        "renovations-legacy.pem": authorities["legacy"].pem,
        "airius-root.pem": authorities["airius"].pem,
        "renovations-root.crl": authorities["renovations-root"].crl().pem,
        "renovations-issuing.crl": authorities["renovations"].crl(revoked=revoked).pem,
        "renovations-legacy.crl": authorities["legacy"]
        .crl(this_update=now - 9 * _STALE, next_update=now - _STALE)
        .pem,
        "airius-root.crl": authorities["airius"].crl().pem,
    }
    for name, text in files.items():
        (trust / name).write_text(text)
    (trust / "client-ca.pem").write_text(
        "".join(text for name, text in files.items() if name.endswith(".pem"))
    )
    server_authority = pki.Authority.root("CN=Sample World TLS CA", now=now)
    server = server_authority.issue_server()
    (folder / "tls" / "ca.pem").write_text(server_authority.pem)
    (folder / "tls" / "server.pem").write_text(server.pem)
    _write_secret(folder / "tls" / "server.key", server.key_pem)


def _write_certificates(folder: Path, issued: dict[str, pki.Issued]) -> None:
    for name, certificate in issued.items():
        (folder / "certificates" / f"{name}.pem").write_text(certificate.pem)
        _write_secret(folder / "certificates" / f"{name}.key", certificate.key_pem)


def _write_headers(folder: Path, issued: dict[str, pki.Issued], secret: str) -> None:
    """Write what a web server that speaks RFC 9440 would send, for `curl -H @FILE`."""
    _write_secret(folder / "headers" / "front-end.txt", f"X-Front-End-Secret: {secret}\n")
    for name, certificate in issued.items():
        field = base64.b64encode(certificate.der).decode()
        (folder / "headers" / f"{name}.txt").write_text(f"Client-Cert: :{field}:\n")


def _secret(path: Path) -> str:
    secret = secrets.token_urlsafe(24)
    _write_secret(path, secret + "\n")
    return secret


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def read_stories(folder: Path, ports: Ports) -> list[Story]:
    """Return the stories of a world laid in `folder`, with curl lines relative to the working folder if possible."""
    shown = folder.resolve()
    if shown.is_relative_to(Path.cwd()):
        shown = shown.relative_to(Path.cwd())
    told = yaml.safe_load((fixtures_folder() / "stories.yaml").read_text(encoding="utf-8"))
    return [_story(words, shown, ports) for words in told]


# Any: the words of a story as YAML gives them; `tests/authsvc/test_sample_world.py` holds their shape
def _story(words: dict[str, Any], folder: Path, ports: Ports) -> Story:
    expect = words["expect"]
    ways: dict[str, Way] = {}
    for way in words.get("ways", WAYS):
        curl = _CURL[way](words, folder, ports)
        refused_by = words.get(way, {}).get("refused_by")
        if refused_by is not None:
            ways[way] = Way(curl=curl, refused_by=refused_by)
        else:
            ways[way] = Way(
                curl=curl, status=expect["status"], reason=expect["reason"], identity=expect.get("identity")
            )
    return Story(
        story=words["story"],
        certificate=words.get("certificate", "none"),
        database=words.get("database", ""),
        requirement=words.get("requirement", "level=reader"),
        identity_only=words.get("identity_only", False),
        needs_ldap=words.get("needs_ldap", False),
        ways=ways,
    )


def _query(words: dict[str, Any]) -> str:
    if words.get("identity_only", False):
        return "identity=only"
    return f"database={words['database']}&{words.get('requirement', 'level=reader')}"


def _curl_rfc9440(words: dict[str, Any], folder: Path, ports: Ports) -> tuple[str, ...]:
    command = ["curl", "-s", "-i"]
    if words.get("secret", True):
        command += ["-H", f"@{folder}/headers/front-end.txt"]
    certificate = words.get("certificate", "none")
    if certificate != "none":
        command += ["-H", f"@{folder}/headers/{certificate}.txt"]
    if "presented" in words:
        command += ["-H", f"Client-Cert: {words['presented']}"]
    for header in words.get("headers", ()):
        command += ["-H", header]
    return (*command, f"http://127.0.0.1:{ports.edge}/auth?{_query(words)}")


def _curl_tls(words: dict[str, Any], folder: Path, ports: Ports) -> tuple[str, ...]:
    return (*_curl_with_certificate(words, folder), f"https://localhost:{ports.direct}/auth?{_query(words)}")


def _curl_nginx(words: dict[str, Any], folder: Path, ports: Ports) -> tuple[str, ...]:
    path = words.get("path", f"/{words.get('database', '')}/")
    method = words.get("method", "GET")
    command = _curl_with_certificate(words, folder)
    if method != "GET":
        command = (*command, "-X", method)
    return (*command, f"https://localhost:{ports.nginx}{path}")


def _curl_with_certificate(words: dict[str, Any], folder: Path) -> tuple[str, ...]:
    command = ("curl", "-s", "-i", "--cacert", f"{folder}/tls/ca.pem")
    certificate = words.get("certificate", "none")
    if certificate == "none":
        return command
    return (
        *command,
        "--cert",
        f"{folder}/certificates/{certificate}.pem",
        "--key",
        f"{folder}/certificates/{certificate}.key",
    )


_CURL = {"rfc9440": _curl_rfc9440, "nginx": _curl_nginx, "tls": _curl_tls}


def write_world_json(folder: Path, stories: list[Story]) -> None:
    """Write `world.json`, for scripts: each story with its ways, the whole curl line, and what must come of it."""
    told = [
        {"story": story.story, "ways": {way: answer.as_json() for way, answer in story.ways.items()}}
        for story in stories
    ]
    (folder / "world.json").write_text(
        json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
