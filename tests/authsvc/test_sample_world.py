"""The sample world as it is told and laid: the words' shape, the certificates' deviations, files and their modes."""

import asyncio
import os
import shlex
import stat
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from authsvc.config import IDENTITY_HEADERS as CONFIGURED_HEADERS
from authsvc.config import check_configuration
from authsvc.reason import Reason
from authsvc.sample_world.application import Message, application
from authsvc.sample_world.errors import WorldError
from authsvc.sample_world.nginx import IDENTITY_HEADERS, render_nginx_configuration
from authsvc.sample_world.world import (
    WAYS,
    Ports,
    fixtures_folder,
    lay_world,
    read_stories,
    write_configuration,
    write_world_json,
)
from authsvc.store.declaration import read_declaration
from authsvc.trust.certificate import read_certificate

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
PORTS = Ports.counted_from(9440)


def words_of(name: str) -> Any:  # Any: YAML, whose shape is what is tested here
    return yaml.safe_load((fixtures_folder() / name).read_text(encoding="utf-8"))


STORIES: list[dict[str, Any]] = words_of("stories.yaml")
CERTIFICATES: dict[str, dict[str, Any]] = words_of("certificates.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    laid = tmp_path_factory.mktemp("l") / "world"
    lay_world(laid, now=NOW)
    write_configuration(laid, PORTS, airius_url="ldap://127.0.0.1:3389")
    return laid


# --- the words


@pytest.mark.parametrize("story", [pytest.param(words, id=words["story"]) for words in STORIES])
def test_a_story_has_the_shape_that_its_file_explains(story: dict[str, Any]) -> None:
    known = {
        *("story", "certificate", "database", "requirement", "identity_only", "path", "method"),
        *("expect", "ways", "nginx", "tls", "needs_ldap", "headers", "secret", "presented"),
    }
    assert set(story) <= known
    assert {"status", "reason"} <= set(story["expect"]) <= {"status", "reason", "identity"}
    assert story["expect"]["status"] == Reason(story["expect"]["reason"]).status
    assert ("identity" in story["expect"]) == (story["expect"]["status"] == 200)
    assert story.get("certificate", "none") in {"none", *CERTIFICATES}
    assert ("database" in story) != story.get("identity_only", False)
    assert set(story.get("ways", WAYS)) <= set(WAYS)
    for way in ("nginx", "tls"):
        assert story.get(way, {"refused_by": "client"})["refused_by"] in {"web server", "handshake", "client"}


def test_no_two_stories_have_one_name() -> None:
    assert len({words["story"] for words in STORIES}) == len(STORIES)


def test_every_certificate_is_in_a_story() -> None:
    assert {words.get("certificate", "none") for words in STORIES} == {"none", *CERTIFICATES}


def test_a_story_that_is_refused_before_authsvc_is_asked_is_refused_by_authsvc_too() -> None:
    """Whoever answers first, no way in allows what another refuses."""
    for words in STORIES:
        if any("refused_by" in words.get(way, {}) for way in WAYS):
            assert words["expect"]["status"] != 200
            assert "rfc9440" in words.get("ways", WAYS)


@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_certificate_has_the_words_that_its_file_explains(name: str) -> None:
    assert set(CERTIFICATES[name]) <= {"subject", "issuer", "mail", "valid", "usage", "key", "revoked"}
    assert "subject" in CERTIFICATES[name]


# --- the certificates


def certificate_of(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "certificates" / f"{name}.pem").read_bytes())


def deviation(folder: Path, name: str) -> str:
    """Tell what is unusual about a certificate: nothing, or one thing."""
    certificate = certificate_of(folder, name)
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    issuing = x509.load_pem_x509_certificate((folder / "trust" / "renovations-issuing.pem").read_bytes())
    crl = x509.load_pem_x509_crl((folder / "trust" / "renovations-issuing.crl").read_bytes())
    airius = x509.load_pem_x509_certificate((folder / "trust" / "airius-root.pem").read_bytes())
    found = []
    if certificate.not_valid_before_utc > NOW:
        found.append("not yet valid")
    if certificate.not_valid_after_utc < NOW:
        found.append("expired")
    if isinstance(certificate.public_key(), rsa.RSAPublicKey):
        found.append("weak")
    if x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH not in usages:
        found.append("usage")
    if crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
        found.append("revoked")
    if certificate.issuer not in {issuing.subject, airius.subject}:
        found.append("another issuer")
    elif certificate.issuer == issuing.subject and not is_signed_by(certificate, issuing):
        found.append("foreign")
    if "\0" in certificate.subject.rfc4514_string().replace("\\00", "\0"):
        found.append("control character")
    return ", ".join(found)


def is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize("name", CERTIFICATES)
def test_each_certificate_deviates_as_its_story_needs_and_in_nothing_else(folder: Path, name: str) -> None:
    expected = {
        "expired": "expired",
        "not-yet-valid": "not yet valid",
        "weak": "weak",
        "wrong-usage": "usage",
        "revoked": "revoked",
        "no-list": "another issuer",
        "stale-list": "another issuer",
        "foreign": "foreign",
        "control-character": "control character",
    }
    assert deviation(folder, name) == expected.get(name, "")


def test_the_foreign_authority_bears_the_name_of_ours_and_has_another_key(folder: Path) -> None:
    ours = x509.load_pem_x509_certificate((folder / "trust" / "renovations-issuing.pem").read_bytes())
    assert certificate_of(folder, "foreign").issuer == ours.subject


def test_certificates_of_one_subject_have_different_keys(folder: Path) -> None:
    same = [name for name in CERTIFICATES if CERTIFICATES[name]["subject"] == "CN=Dave Lawson,O=Renovations"]
    assert len(same) > 5
    for one, other in combinations(same, 2):
        assert certificate_of(folder, one).public_key() != certificate_of(folder, other).public_key()


def test_the_legacy_list_has_expired_and_the_others_are_current(folder: Path) -> None:
    for path in (folder / "trust").glob("*.crl"):
        next_update = x509.load_pem_x509_crl(path.read_bytes()).next_update_utc
        assert next_update is not None
        assert (next_update < NOW) is (path.name == "renovations-legacy.crl")


def test_every_certificate_can_be_read_by_us(folder: Path) -> None:
    for name in CERTIFICATES:
        der = certificate_of(folder, name).public_bytes(Encoding.DER)
        assert read_certificate(der).der == der


# --- the files


def test_the_configuration_is_usable_without_warnings(folder: Path) -> None:
    checked = check_configuration(folder / "authsvc.yaml")
    assert [str(problem) for problem in checked.problems] == []
    assert checked.settings is not None


@pytest.mark.parametrize(("name", "secondary"), [("primary.yaml", False), ("acme-west.yaml", True)])
def test_the_declarations_can_be_read_without_warnings(folder: Path, name: str, secondary: bool) -> None:
    declaration = read_declaration(folder / name, now=NOW, secondary=secondary)
    assert declaration.warnings == ()


def test_no_placeholder_is_left(folder: Path) -> None:
    for path in folder.glob("*.yaml"):
        assert "{{" not in path.read_text()
    assert "{{" not in lay_world(folder.parent / "again", now=NOW).airius_ldif


def test_keys_and_secrets_are_closed_to_others(folder: Path) -> None:
    private = [
        *(folder / "certificates").glob("*.key"),
        *(folder / "tls").glob("*.key"),
        *(folder / "secrets").iterdir(),
        folder / "headers" / "front-end.txt",
    ]
    assert len(private) > 20
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    closed = [folder / name for name in ("run", "secrets", "var")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in closed} == {0o700}


def test_a_world_laid_anew_has_new_keys_and_nothing_of_the_old(tmp_path: Path) -> None:
    lay_world(tmp_path, now=NOW)
    (tmp_path / "certificates" / "left-over.pem").write_text("old")
    (tmp_path / "left-over").symlink_to(tmp_path.parent)
    before = (tmp_path / "certificates" / "dave-lawson.key").read_text()
    lay_world(tmp_path, now=NOW + timedelta(days=1))
    assert not (tmp_path / "certificates" / "left-over.pem").exists()
    assert not (tmp_path / "left-over").exists()
    assert tmp_path.parent.exists()
    assert (tmp_path / "certificates" / "dave-lawson.key").read_text() != before


def test_a_folder_that_is_no_sample_world_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text("mine")
    with pytest.raises(WorldError, match="holds no sample world"):
        lay_world(tmp_path, now=NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["world.json"]


def test_ports_are_counted_in_a_row() -> None:
    assert Ports(api=9440, edge=9441, direct=9442, nginx=9443) == PORTS


# --- the curl lines


def test_every_curl_line_reads_back_as_it_was_meant(folder: Path) -> None:
    write_world_json(folder, read_stories(folder, PORTS))
    for story in read_stories(folder, PORTS):
        for way in story.ways.values():
            line = way.as_json()["curl"]
            assert isinstance(line, str)
            assert tuple(shlex.split(line)) == way.curl
            assert "\n" not in line


def test_curl_lines_are_relative_to_the_working_folder_where_they_can_be(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    (first, *_rest) = read_stories(folder, PORTS)
    assert "world/certificates/dave-lawson.pem" in first.ways["tls"].curl
    monkeypatch.chdir("/")
    (first, *_rest) = read_stories(folder, PORTS)
    assert str(folder.relative_to("/") / "certificates" / "dave-lawson.pem") in first.ways["tls"].curl


# --- nginx and the application behind it


def test_nginx_hands_on_every_identity_header_of_ours() -> None:
    assert frozenset(IDENTITY_HEADERS) == CONFIGURED_HEADERS


def test_t13_nginx_sets_every_identity_header_and_takes_away_what_only_a_client_could_have_sent(
    tmp_path: Path,
) -> None:
    text = render_nginx_configuration(tmp_path, port=9443)
    for header in IDENTITY_HEADERS:
        assert text.count(f"proxy_set_header {header} $auth_") == 1
        assert text.count(f" $upstream_http_{header.lower().replace('-', '_')};") == 1
    for header in ("X-SSL-Client-Cert", "X-SSL-Client-Verify", "Remote-Assertion"):
        assert f'proxy_set_header {header} "";' in text


@pytest.mark.parametrize(("user", "line"), [(0, "user root root;"), (1000, "")])
def test_nginx_keeps_the_rights_of_root_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, line: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    found = [
        each for each in render_nginx_configuration(tmp_path, port=1).splitlines() if each.startswith("user ")
    ]
    assert found == ([line] if line else [])


async def ask_application(headers: list[tuple[bytes, bytes]]) -> str:
    sent: list[Message] = []

    async def receive() -> Message:
        pytest.fail("the application read a body")

    async def send(message: Message) -> None:
        sent.append(message)

    await application({"type": "http", "path": "/wiki/", "headers": headers}, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert dict(sent[0]["headers"])[b"content-length"] == str(len(sent[1]["body"])).encode()
    text: str = sent[1]["body"].decode()
    return text


def test_the_application_shows_every_header_that_a_forger_would_like_to_reach_it() -> None:
    headers = [
        (b"remote-user", b"Dave Lawson/Renovations"),
        (b"remote_user", b"Evil"),
        (b"x-ssl-client-cert", b"forged"),
        (b"client-cert", b":forged:"),
        (b"accept", b"*/*"),
    ]
    assert asyncio.run(ask_application(headers)) == (
        "Hello Dave Lawson/Renovations, this is /wiki/.\n\n"
        "Client-Cert: :forged:\n"
        "Remote-User: Dave Lawson/Renovations\n"
        "Remote_User: Evil\n"
        "X-Ssl-Client-Cert: forged\n"
    )


def test_the_application_knows_nobody_by_itself() -> None:
    assert asyncio.run(ask_application([])) == "Hello stranger, this is /wiki/.\n\n"
