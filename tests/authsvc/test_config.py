"""`authsvc.yaml` and the file beside it: what is read, every default, and every mistake of both at once."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authsvc.access.routes import RouteTable, read_route
from authsvc.config import IDENTITY_HEADERS, check_configuration, read_settings
from authsvc.config_models import AnchorModel, FileModel, FrontEndModel, RouteModel, TrustModel
from authsvc.decision.request import FrontEndPolicy
from authsvc.operations.list_fetching import FetchSettings, RefreshSettings
from authsvc.operations.ocsp_responders import NonceUse, OcspSettings
from authsvc.operations.revocation_sources import RevocationSettings
from authsvc.operations.trust_files import AnchorFile, TrustFiles, TrustSettings
from authsvc.presented.original_headers import OriginalKind, OriginalPart
from authsvc.presented.registry import Dialect, DialectHeaders
from authsvc.settings import (
    ApiSettings,
    FrontEndSettings,
    ListenAddress,
    Settings,
    TlsFiles,
    UnknownCertificate,
)
from authsvc.trust.anchors import AnchorSettings, RevocationMode, StrengthFloor, read_certificates_pem
from authsvc.web.responses import IdentityHeader
from directory_assistance.candidates import BindBy
from directory_assistance.config import read_directory_assistance
from directory_assistance.dn import read_ldap_dn, read_name
from directory_assistance.errors import ConfigurationError
from directory_assistance.naming import render_rule
from tests.support.config_files import MISTAKES, expected_problems, lay_files, printed
from tests.support.config_keys import known_keys
from tests.support.config_values import confused_texts

CONTRACT_EXAMPLE = """\
directory_assistance: directory-assistance.yaml
api: {listen: 127.0.0.1:8443, tls: {certificate: server.pem, key: server.key}}
front_ends:
  - {name: nginx, dialect: nginx, listen: "unix:run/nginx.sock", original_request: x-original, anonymous: false}
  - {name: edge, dialect: rfc9440, listen: 0.0.0.0:8444, peers: [10.0.0.0/8], secret_file: edge.secret, tls: {certificate: server.pem, key: server.key}}
  - {name: direct, dialect: tls, listen: 127.0.0.1:9443, tls: {certificate: server.pem, key: server.key}}
trust:
  anchors: [{name: corp, file: corp-root.pem}]
  intermediates: [corp-issuing.pem]
  revocation: {mode: require, crls: [corp-root.crl, corp-issuing.crl], ocsp: off}
unknown_certificate: deny
routes:
  - {host: "*", path: "/sales.nsf/**", database: sales.nsf}
audit: {file: audit.jsonl}
"""  # noqa: E501 - as the contract has it
"""Contract section 4, word for word but for its comments."""

MINIMAL = """\
directory_assistance: directory-assistance.yaml
api: {listen: 127.0.0.1:8443}
trust: {anchors: [{name: corp, file: corp-root.pem}]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("authsvc").resolve()
    lay_files(path)
    return path


def read(folder: Path, text: str) -> Settings:
    """Read a text as `authsvc.yaml`."""
    (folder / "authsvc.yaml").write_text(text, encoding="utf-8")
    return read_settings(folder / "authsvc.yaml", environment={})


def front_end(folder: Path, keys: str) -> FrontEndSettings:
    """Read one front end."""
    (one,) = read(folder, f"{MINIMAL}front_ends: [{{{keys}}}]\n").front_ends
    return one


def anchor(folder: Path, keys: str) -> AnchorSettings:
    """Read one anchor with more keys than name and file."""
    text = MINIMAL.replace("file: corp-root.pem", f"file: corp-root.pem, {keys}")
    (one,) = read(folder, text).trust.anchors
    return one.settings


def tls(folder: Path) -> TlsFiles:
    return TlsFiles(certificate=folder / "server.pem", key=folder / "server.key")


def test_the_example_of_the_contract_is_read_whole(folder: Path) -> None:
    assistance = folder / "directory-assistance.yaml"
    read_settings = read(folder, CONTRACT_EXAMPLE)
    assert read_settings == Settings(
        file=folder / "authsvc.yaml",
        directory_assistance_file=assistance,
        directory_assistance=read_directory_assistance(assistance, environment={}),
        api=ApiSettings(listen=ListenAddress(host="127.0.0.1", port=8443), tls=tls(folder)),
        front_ends=(
            FrontEndSettings(
                name="nginx",
                dialect=Dialect.NGINX,
                listen=ListenAddress(socket=folder / "run/nginx.sock"),
                headers=DialectHeaders(certificate="X-SSL-Client-Cert", verify="X-SSL-Client-Verify"),
                original_request=OriginalKind.X_ORIGINAL,
                original_parts=frozenset({OriginalPart.URI, OriginalPart.METHOD}),
            ),
            FrontEndSettings(
                name="edge",
                dialect=Dialect.RFC9440,
                listen=ListenAddress(host="0.0.0.0", port=8444),  # noqa: S104 - as the contract has it
                headers=DialectHeaders(certificate="Client-Cert", chain="Client-Cert-Chain"),
                peers=(ip_network("10.0.0.0/8"),),
                secret_file=folder / "edge.secret",
                tls=tls(folder),
            ),
            FrontEndSettings(
                name="direct",
                dialect=Dialect.TLS,
                listen=ListenAddress(host="127.0.0.1", port=9443),
                headers=DialectHeaders(),
                tls=tls(folder),
            ),
        ),
        trust=TrustSettings(
            anchors=(AnchorFile(file=folder / "corp-root.pem", settings=AnchorSettings(id="corp")),),
            intermediates=(folder / "corp-issuing.pem",),
            revocation=RevocationSettings(
                paths=(folder / "corp-root.crl", folder / "corp-issuing.crl"), cache=folder / "var/revocation"
            ),
        ),
        clock_skew=timedelta(0),
        unknown_certificate=UnknownCertificate.DENY,
        routes=RouteTable(routes=(read_route(path="/sales.nsf/**", database="sales.nsf"),)),
        audit_file=folder / "audit.jsonl",
    )
    assert read_settings.warnings == ()


def ocsp(folder: Path, keys: str) -> OcspSettings | None:
    """Read `trust` with `ocsp`."""
    text = MINIMAL.replace(
        "file: corp-root.pem}]", f"file: corp-root.pem}}], clock_skew: 3s, revocation: {{ocsp: {keys}}}"
    )
    return read(folder, text).trust.ocsp


def test_whom_to_ask_about_certificates_is_read_whole(folder: Path) -> None:
    asked = (
        "{wait: 500ms, hosts: [OCSP.example.com, 'ocsp.example.com:8080'], anchor_hosts: {corp: []}, "
        "responder: corp-issuing.pem, nonce: required, maximum_age: 2h}"
    )
    assert OcspSettings(
        wait=timedelta(milliseconds=500),
        hosts=frozenset({"ocsp.example.com", "ocsp.example.com:8080"}),
        anchor_hosts={"corp": frozenset()},
        responder_file=folder / "corp-issuing.pem",
        nonce=NonceUse.REQUIRED,
        maximum_age=timedelta(hours=2),
        clock_skew=timedelta(seconds=3),
    ) == ocsp(folder, asked)
    assert OcspSettings(url="http://ocsp.example.com/", clock_skew=timedelta(seconds=3)) == ocsp(
        folder, "{url: 'http://ocsp.example.com/'}"
    )
    assert ocsp(folder, "off") is None


def test_what_is_read_can_be_trusted_by_the_trust_files(folder: Path) -> None:
    TrustFiles(read(folder, CONTRACT_EXAMPLE).trust)


def test_the_defaults_are_those_of_the_contract(folder: Path) -> None:
    settings = read(folder, MINIMAL)
    assert settings.api.tls is None
    assert settings.front_ends == ()
    assert settings.trust.intermediates == settings.trust.revocation.paths == ()
    assert settings.trust.anchors[0].settings == AnchorSettings(
        id="corp",
        eku_required=True,
        allow_any_eku=False,
        floor=StrengthFloor(rsa_bits=2048),
        not_after=None,
        permitted_names=None,
        front_ends=None,
        required_policies=frozenset(),
        revocation=RevocationMode.REQUIRE,
    )
    assert settings.clock_skew == timedelta(0)
    assert settings.unknown_certificate is UnknownCertificate.DENY
    assert settings.routes == RouteTable()
    assert settings.audit_file == folder / "audit.jsonl"
    assert settings.deny_access == ()
    assert settings.full_access_administrators == frozenset()
    assert settings.expose_reasons is False
    assert settings.header_budget == 3500
    assert settings.identity_headers == {}
    assert settings.cache_time == timedelta(seconds=60)


def test_every_key_of_the_top_is_read(folder: Path) -> None:
    text = (
        MINIMAL
        + "unknown_certificate: anonymous\naudit: {file: /var/log/audit.jsonl}\ndeny_access: [Terminated, Left]\n"
        "full_access_administrators: ['Ada Admin/Renovations']\nexpose_reasons: true\nheader_budget: 4000\n"
        "identity_headers: {Remote-User: X-User}\ncache: {time: 5s}\n"
    )
    settings = read(folder, text.replace("]}\n", "], clock_skew: 2s}\n"))
    assert settings.clock_skew == timedelta(seconds=2)
    assert settings.unknown_certificate is UnknownCertificate.ANONYMOUS
    assert settings.audit_file == Path("/var/log/audit.jsonl")
    assert settings.deny_access == ("Terminated", "Left")
    assert settings.full_access_administrators == frozenset({read_name("Ada Admin/Renovations")})
    assert settings.expose_reasons is True
    assert settings.header_budget == 4000
    assert settings.identity_headers == {"Remote-User": "X-User"}
    assert settings.cache_time == timedelta(seconds=5)


def test_the_identity_headers_are_those_that_answers_carry() -> None:
    assert set(IdentityHeader) == IDENTITY_HEADERS


def test_every_key_of_a_front_end_is_read(folder: Path) -> None:
    keys = (
        "name: ingress, dialect: nginx, listen: '[::]:8444', tls: {certificate: server.pem, key: server.key},"
        " headers: {certificate: ssl-client-cert, verify: ssl-client-verify}, original_request: x-original,"
        " original_headers: [uri, method, host], anonymous: true, peers: [10.0.0.0/8, '2001:db8::/32', 192.0.2.1],"
        " secret_file: edge.secret, client_name: ingress.example.com, client_ca_file: client-ca.pem,"
        " insecure_accept_expired: 7d, response_cache: {max_age: 30s}"
    )
    one = front_end(folder, keys)
    assert one == FrontEndSettings(
        name="ingress",
        dialect=Dialect.NGINX,
        listen=ListenAddress(host="::", port=8444),
        headers=DialectHeaders(certificate="ssl-client-cert", verify="ssl-client-verify"),
        original_request=OriginalKind.X_ORIGINAL,
        original_parts=frozenset({OriginalPart.URI, OriginalPart.METHOD, OriginalPart.HOST}),
        anonymous=True,
        peers=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"), ip_network("192.0.2.1/32")),
        secret_file=folder / "edge.secret",
        client_name="ingress.example.com",
        client_ca_file=folder / "client-ca.pem",
        tls=tls(folder),
        accept_expired=timedelta(days=7),
        response_cache=timedelta(seconds=30),
    )
    assert one.policy == FrontEndPolicy(name="ingress", anonymous=True, accept_expired=timedelta(days=7))
    assert str(one.listen) == "[::]:8444"


@pytest.mark.parametrize(
    ("keys", "kind", "parts"),
    [
        pytest.param("", OriginalKind.NONE, set(), id="no dialect infers it"),
        pytest.param(", original_request: none", OriginalKind.NONE, set(), id="none"),
        pytest.param(
            ", original_request: x-original",
            OriginalKind.X_ORIGINAL,
            {OriginalPart.URI, OriginalPart.METHOD},
            id="x-original has uri and method",
        ),
        pytest.param(
            ", original_request: x-forwarded",
            OriginalKind.X_FORWARDED,
            set(OriginalPart),
            id="x-forwarded has all four",
        ),
        pytest.param(", original_request: appended", OriginalKind.APPENDED, set(), id="appended"),
        pytest.param(
            ", original_request: appended, original_headers: [host]",
            OriginalKind.APPENDED,
            {OriginalPart.HOST},
            id="appended with the host",
        ),
    ],
)
def test_the_original_request_stands_where_the_front_end_says(
    folder: Path, keys: str, kind: OriginalKind, parts: set[OriginalPart]
) -> None:
    one = front_end(folder, f"name: a, dialect: nginx, listen: 'unix:a.sock'{keys}")
    assert (one.original_request, one.original_parts) == (kind, frozenset(parts))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param(
            "eku: optional, allow_any_eku: true",
            AnchorSettings(id="corp", eku_required=False, allow_any_eku=True),
            id="usage",
        ),
        pytest.param(
            "minimum_rsa_bits: 3072",
            AnchorSettings(id="corp", floor=StrengthFloor(rsa_bits=3072)),
            id="key size",
        ),
        pytest.param(
            "not_after: 2027-01-31",
            AnchorSettings(id="corp", not_after=datetime(2027, 1, 31, tzinfo=UTC)),
            id="a date begins at midnight UTC",
        ),
        pytest.param(
            "not_after: 2027-01-31T12:00:00+02:00",
            AnchorSettings(id="corp", not_after=datetime(2027, 1, 31, 10, tzinfo=UTC)),
            id="an instant",
        ),
        pytest.param(
            "not_before: 2020-01-31",
            AnchorSettings(id="corp", not_before=datetime(2020, 1, 31, tzinfo=UTC)),
            id="a beginning",
        ),
        pytest.param(
            "minimum_hash_bits: 512",
            AnchorSettings(id="corp", floor=StrengthFloor(hash_bits=512)),
            id="strength of signatures",
        ),
        pytest.param(
            "purposes: [smartcardLogon, 1.3.6.1.4.1.99.2]",
            AnchorSettings(id="corp", purposes=frozenset({"1.3.6.1.4.1.311.20.2.2", "1.3.6.1.4.1.99.2"})),
            id="purposes",
        ),
        pytest.param(
            "permitted_names: ['ou=east,o=Corp', 'o=Other']",
            AnchorSettings(
                id="corp", permitted_names=(read_ldap_dn("ou=east,o=Corp"), read_ldap_dn("o=Other"))
            ),
            id="names",
        ),
        pytest.param(
            "front_ends: [api]", AnchorSettings(id="corp", front_ends=frozenset({"api"})), id="front ends"
        ),
        pytest.param(
            "policies: [1.3.6.1.4.1.99.1]",
            AnchorSettings(id="corp", required_policies=frozenset({"1.3.6.1.4.1.99.1"})),
            id="policies",
        ),
        pytest.param(
            "revocation: prefer",
            AnchorSettings(id="corp", revocation=RevocationMode.PREFER),
            id="revocation as a word",
        ),
        pytest.param(
            "revocation: {mode: off}",
            AnchorSettings(id="corp", revocation=RevocationMode.OFF),
            id="revocation as a mapping",
        ),
    ],
)
def test_an_anchor_has_options(folder: Path, keys: str, expected: AnchorSettings) -> None:
    assert expected == anchor(folder, keys)


def test_an_anchor_may_be_told_by_its_key(folder: Path) -> None:
    (root,) = read_certificates_pem((folder / "corp-root.pem").read_bytes(), source="corp-root.pem")
    digits = root.key_sha256.hex()
    spelt = ":".join(digits[at : at + 2].upper() for at in range(0, 64, 2))
    assert anchor(folder, f"key_pins: ['{spelt}']") == AnchorSettings(
        id="corp", key_pins=frozenset({root.key_sha256})
    )


def test_a_cross_certificate_has_names_domains_and_an_end(folder: Path) -> None:
    keys = (
        "permitted_names: ['o=Partners'], domains: [Renovations], not_after: 2027-01-31, revocation: prefer"
    )
    text = MINIMAL.replace(
        "]}\n", f"], cross_certificates: [{{name: partner, file: partner-ca.pem, {keys}}}]}}\n"
    )
    _corp, partner = read(folder, text).trust.anchors
    assert partner == AnchorFile(
        file=folder / "partner-ca.pem",
        settings=AnchorSettings(
            id="partner",
            permitted_names=(read_ldap_dn("o=Partners"),),
            domains=frozenset({"Renovations"}),
            not_after=datetime(2027, 1, 31, tzinfo=UTC),
            is_cross_certificate=True,
            revocation=RevocationMode.PREFER,
        ),
    )


def test_a_binding_may_name_a_cross_certificate(tmp_path: Path) -> None:
    lay_files(tmp_path)
    keys = "permitted_names: ['o=Partners'], domains: [Renovations], not_after: 2027-01-31"
    text = MINIMAL.replace(
        "]}\n", f"], cross_certificates: [{{name: partner, file: partner-ca.pem, {keys}}}]}}\n"
    )
    (tmp_path / "directory-assistance.yaml").write_text(
        "primary: {domain: Renovations, url: 'sqlite:///directory.db', find_by: [mail], bind_by: name,"
        " issued_by: [partner]}\n"
    )
    assert read(tmp_path, text).directory_assistance.primary.plan.issued_by == frozenset({"partner"})


def test_an_anchor_without_a_revocation_mode_has_that_of_all(folder: Path) -> None:
    text = MINIMAL.replace(
        "]}\n", ", {name: other, file: corp-ca.pem, revocation: require}], revocation: {mode: prefer}}\n"
    )
    modes = [each.settings.revocation for each in read(folder, text).trust.anchors]
    assert modes == [RevocationMode.PREFER, RevocationMode.REQUIRE]


def test_a_route_takes_one_privilege_or_several(folder: Path) -> None:
    routes = (
        "routes:\n"
        "  - {path: /a, database: a, privilege: delete_documents, role: Buyer, level: Editor, methods: [DELETE]}\n"
        "  - {path: /b, database: b, privilege: [delete_documents, create_documents], role: [Buyer, Approver],"
        " methods: [PUT]}\n"
        "  - {path: /c, identity_only: true}\n"
    )
    assert read(folder, MINIMAL + routes).routes == RouteTable(
        routes=(
            read_route(
                path="/a",
                database="a",
                privileges=["delete_documents"],
                roles=["Buyer"],
                level="Editor",
                methods=["DELETE"],
            ),
            read_route(
                path="/b",
                database="b",
                privileges=["delete_documents", "create_documents"],
                roles=["Buyer", "Approver"],
                methods=["PUT"],
            ),
            read_route(path="/c", identity_only=True),
        )
    )


def test_a_route_with_a_host_is_good_where_the_web_server_says_the_host(folder: Path) -> None:
    text = (
        f"{MINIMAL}front_ends: [{{name: a, dialect: nginx, listen: 'unix:a.sock', original_request: x-forwarded}},"
        " {name: b, dialect: nginx, listen: 'unix:b.sock'}]\n"
        "routes: [{host: a.example.com, path: /x, database: x}]\n"
    )
    assert len(read(folder, text).routes.routes) == 1


# --- addresses


@pytest.mark.parametrize(
    ("address", "shown", "local"),
    [
        pytest.param(ListenAddress(socket=Path("/run/a.sock")), "unix:/run/a.sock", True, id="a unix socket"),
        pytest.param(ListenAddress(host="127.0.0.1", port=1), "127.0.0.1:1", True, id="loopback"),
        pytest.param(
            ListenAddress(host="127.8.9.1", port=1), "127.8.9.1:1", True, id="another loopback address"
        ),
        pytest.param(ListenAddress(host="::1", port=1), "[::1]:1", True, id="loopback of IPv6"),
        pytest.param(ListenAddress(host="localhost", port=1), "localhost:1", True, id="localhost"),
        pytest.param(ListenAddress(host="10.0.0.1", port=1), "10.0.0.1:1", False, id="a network address"),
        pytest.param(ListenAddress(host="::", port=1), "[::]:1", False, id="every address"),
        pytest.param(ListenAddress(host="a.example.com", port=1), "a.example.com:1", False, id="a name"),
    ],
)
def test_an_address_knows_who_reaches_it(address: ListenAddress, shown: str, *, local: bool) -> None:
    assert (str(address), address.is_local) == (shown, local)


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        pytest.param(("10.0.0.1", 1), ("10.0.0.1", 1), True, id="the same"),
        pytest.param(("10.0.0.1", 1), ("10.0.0.1", 2), False, id="another port"),
        pytest.param(("10.0.0.1", 1), ("10.0.0.2", 1), False, id="another address"),
        pytest.param(("0.0.0.0", 1), ("10.0.0.2", 1), True, id="every address and one"),  # noqa: S104
        pytest.param(("10.0.0.2", 1), ("::", 1), True, id="one and every address"),
        pytest.param(("localhost", 1), ("127.0.0.1", 1), True, id="localhost is loopback"),
        pytest.param(("localhost", 1), ("10.0.0.2", 1), False, id="localhost is no network address"),
    ],
)
def test_two_listeners_need_two_addresses(
    one: tuple[str, int], other: tuple[str, int], *, clash: bool
) -> None:
    first, second = (ListenAddress(host=host, port=port) for host, port in (one, other))
    assert (first.clashes(second), second.clashes(first)) == (clash, clash)


def test_two_sockets_clash_only_if_they_are_one() -> None:
    socket = ListenAddress(socket=Path("/run/a.sock"))
    assert socket.clashes(ListenAddress(socket=Path("/run/a.sock")))
    assert not socket.clashes(ListenAddress(socket=Path("/run/b.sock")))
    assert not socket.clashes(ListenAddress(host="127.0.0.1", port=1))


# --- mistakes

_MISTAKES = sorted((MISTAKES / "authsvc").glob("*.yaml"))


@pytest.mark.parametrize("mistake", _MISTAKES, ids=lambda file: file.stem)
def test_t69_each_mistake_is_told_with_file_line_path_problem_and_hint(folder: Path, mistake: Path) -> None:
    file = folder / mistake.name
    file.write_text(mistake.read_text(encoding="utf-8"), encoding="utf-8")
    reading = check_configuration(file, environment={})
    expected = expected_problems(mistake)
    assert expected == printed(reading.problems)
    errors = [problem for problem in reading.problems if not problem.warning]
    assert (reading.settings is None) == bool(errors)
    if errors:
        with pytest.raises(ConfigurationError) as caught:
            read_settings(file, environment={})
        assert caught.value.problems == tuple(errors)
    elif reading.settings is not None:
        assert reading.settings.warnings == reading.problems, "what is warned of is logged at start"


def test_there_are_mistakes_to_look_at() -> None:
    assert len(_MISTAKES) > 100


def test_ten_different_mistakes_are_ten_problems_each_with_its_line(folder: Path) -> None:
    text = (MISTAKES / "authsvc" / "ten-different-mistakes.yaml").read_text(encoding="utf-8")
    (folder / "authsvc.yaml").write_text(text, encoding="utf-8")
    reading = check_configuration(folder / "authsvc.yaml", environment={})
    here = [problem for problem in reading.problems if problem.file.endswith("authsvc.yaml")]
    assert [problem.line for problem in here] == [2, 4, 5, 7, 8, 10, 11, 12, 14, 15]


def test_t29_missing_and_empty_trust_is_a_refusal_and_never_no_check(folder: Path) -> None:
    for name in ("absent.pem", "empty.pem", "text.pem"):
        reading = check_configuration(
            _written(folder, MINIMAL.replace("corp-root.pem", name)), environment={}
        )
        assert reading.settings is None
    reading = check_configuration(
        _written(folder, MINIMAL.replace("{name: corp, file: corp-root.pem}", "")), environment={}
    )
    assert reading.settings is None


@pytest.mark.parametrize("name", ["../corp-root.crl", "lists/../../corp-root.crl", "outside.pem"])
def test_t43_no_path_leaves_the_folder_of_its_file(folder: Path, name: str) -> None:
    text = MINIMAL.replace("]}\n", f"], revocation: {{crls: [{name}]}}}}\n")
    reading = check_configuration(_written(folder, text), environment={})
    (problem,) = [problem for problem in reading.problems if not problem.warning]
    assert problem.problem == f"`{name}` leaves the folder of this file"


def test_t43_an_absolute_path_is_what_was_meant(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.crl").write_text((folder / "corp-root.crl").read_text())
    text = MINIMAL.replace("]}\n", f"], revocation: {{crls: [{tmp_path / 'elsewhere.crl'}]}}}}\n")
    assert read(folder, text).trust.revocation.paths == (tmp_path / "elsewhere.crl",)


def test_where_revocation_lists_come_from_is_read_whole(folder: Path) -> None:
    text = """\
directory_assistance: directory-assistance.yaml
api: {listen: 127.0.0.1:8443}
trust:
  anchors:
    - {name: corp, file: corp-root.pem}
    - {name: own, file: corp-root.pem, revocation: {distribution_points: {hosts: [Own.example.com:8080]}}}
    - {name: none, file: corp-root.pem, revocation: {distribution_points: off}}
  revocation:
    crls: [corp-root.crl, lists, 'http://crl.example.com/a.crl', 'ldap://ldap.example.com/cn=CA,o=Example']
    distribution_points: {hosts: [crl.example.com]}
    fetch: {timeout: 5s, maximum_size: 2MB, private_networks: [10.0.0.0/8, '::1'], ca_file: corp-root.pem}
    refresh: {minimum: 30s, maximum: 12h}
    grace: 2h
    cache: lists/kept
"""
    assert read(folder, text).trust.revocation == RevocationSettings(
        paths=(folder / "corp-root.crl", folder / "lists"),
        urls=("http://crl.example.com/a.crl", "ldap://ldap.example.com/cn=CA,o=Example"),
        hosts={
            "": frozenset({"crl.example.com"}),
            "corp": frozenset({"crl.example.com"}),
            "own": frozenset({"own.example.com:8080"}),
        },
        fetch=FetchSettings(
            timeout=timedelta(seconds=5),
            maximum_octets=2 * 1024 * 1024,
            private_networks=(ip_network("10.0.0.0/8"), ip_network("::1/128")),
            ca_file=folder / "corp-root.pem",
        ),
        refresh=RefreshSettings(minimum=timedelta(seconds=30), maximum=timedelta(hours=12)),
        grace=timedelta(hours=2),
        cache=folder / "lists/kept",
    )


def test_a_mistake_in_the_file_beside_stops_the_start(folder: Path) -> None:
    reading = check_configuration(
        _written(folder, MINIMAL.replace("directory-assistance", "wrong")), environment={}
    )
    assert reading.settings is None
    assert {Path(problem.file).name for problem in reading.problems if not problem.warning} == {"wrong.yaml"}


def test_a_file_that_is_not_there_is_a_problem(folder: Path) -> None:
    reading = check_configuration(folder / "nowhere.yaml", environment={})
    assert printed(reading.problems) == ["error nowhere.yaml:0: cannot be read: No such file or directory"]


def test_every_rule_is_there_to_be_printed_in_six_parts(folder: Path) -> None:
    (folder / "rules.yaml").write_text(
        "primary: {domain: R, url: 'sqlite:///d.db'}\n"
        "domains: [{domain: A, type: sql, url: 'sqlite:///a.db', rules: [{rule: '*/Sales/A', trusted: true}]}]\n"
    )
    reading = check_configuration(
        _written(folder, MINIMAL.replace("directory-assistance", "rules")), environment={}
    )
    assert [(domain, render_rule(rule)) for domain, rule in reading.rules] == [("A", "*/*/*/Sales/A/*")]


def _written(folder: Path, text: str) -> Path:
    (folder / "authsvc.yaml").write_text(text, encoding="utf-8")
    return folder / "authsvc.yaml"


_KEYS = sorted(
    {
        key
        for model in (FileModel, FrontEndModel, TrustModel, AnchorModel, RouteModel)
        for key in model.model_fields
    }
    | {"certificate", "key", "chain", "max_age", "mode", "crls", "ocsp", "wait", "time", "Remote-User"}
)
_PROPERTY_FOLDER = Path()


@pytest.fixture(autouse=True, scope="module")
def _property_folder(folder: Path) -> None:
    global _PROPERTY_FOLDER  # noqa: PLW0603 - hypothesis passes no fixture of another scope into its examples
    _PROPERTY_FOLDER = folder


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(confused_texts(*_KEYS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=100))
def test_t69_any_text_gives_settings_or_problems_and_never_another_exception(text: str) -> None:
    (_PROPERTY_FOLDER / "any.yaml").write_text(text, encoding="utf-8")
    reading = check_configuration(_PROPERTY_FOLDER / "any.yaml", environment={"X": "x"})
    assert (reading.settings is None) == any(not problem.warning for problem in reading.problems)


def test_every_insecure_option_is_a_warning() -> None:
    """Each key and each word that says it is insecure has a file of its own name that brings a warning."""
    insecure = {key for key in known_keys() if key.startswith("insecure_")}
    insecure |= {word for word in BindBy if word.startswith("insecure_")}
    files = [*(MISTAKES / "authsvc").glob("*.yaml"), *(MISTAKES / "directory_assistance").glob("*.yaml")]
    told = [line for file in files for line in expected_problems(file) if line.startswith("warning ")]
    warned = {option for option in insecure if any(option.replace("_", "-") in line for line in told)}
    assert len(insecure) == 3
    assert insecure == warned
