"""Verification of an LDAP directory over a real server: one correct directory, and one deviation for each check.

No check says `ok` here that does not have a neighbour which fails by one change.
"""

import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from directory_assistance.backends.ldap import (
    AnonymousBind,
    ExternalBind,
    GroupStyle,
    LdapDirectory,
    LdapHost,
    LdapSettings,
    LdapTls,
    ServerKind,
    SimpleBind,
    Transport,
    read_ldap_uri,
)
from directory_assistance.backends.ldap import verifying as verifying_module
from directory_assistance.backends.ldap import verifying_transport as transport_module
from directory_assistance.backends.verifying import kind_of, verify_kind
from directory_assistance.candidates import BindBy, FindBy, FindWay, MatchPlan
from directory_assistance.certificate_names import read_certificate_names
from directory_assistance.dn import read_ldap_dn
from directory_assistance.domains import GroupAuthorization, SecondaryDomain
from directory_assistance.filter_templates import read_filter_template
from directory_assistance.naming import NamingRule, read_suffix_rule
from directory_assistance.verification import Check, CheckRecorder, CheckResult, Sample, verify_sample
from tests.support.directories import DAVE, DOMAIN, ROOT, STRANGER, ldap_settings, world_ldif
from tests.support.pki import NOW, SERVER_AUTH, Authority, Issued, host
from tests.support.slapd import SUFFIX, SlapdServer, SlapdTls, change, serve

BEGIN, END = NOW - timedelta(days=2_000), NOW + timedelta(days=36_500)
"""The real server, and OpenSSL, read the real clock: what is to be valid is so for a century."""

CA = Authority.root("CN=Server CA,O=Airius", now=NOW, not_before=BEGIN, not_after=END)
OTHER_CA = Authority.root("CN=Other CA,O=Other", now=NOW, not_before=BEGIN, not_after=END)

WAYS = (FindWay(find_by=FindBy.CERTIFICATE), FindWay(find_by=FindBy.COMMON_NAME))
PLAN = MatchPlan(ways=WAYS)
RULES: tuple[NamingRule, ...] = (read_suffix_rule(SUFFIX, trusted=True),)

OK, WARNING, FAILED, SKIPPED = CheckResult.OK, CheckResult.WARNING, CheckResult.FAILED, CheckResult.SKIPPED


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of servers, right and wrong ones."""
    folder = tmp_path_factory.mktemp("tls")

    def issue(name: str, **deviation: object) -> None:
        correct: dict[str, object] = {
            "san": [host("localhost"), host("127.0.0.1")],
            "eku": (SERVER_AUTH,),
            "not_before": BEGIN,
            "not_after": END,
        }
        issued = CA.issue("CN=ldap.airius.com", **(correct | deviation))  # type: ignore[arg-type]  # deviations
        (folder / f"{name}.pem").write_text(issued.pem)
        (folder / f"{name}.key").write_text(issued.key_pem)

    issue("server")
    issue("other-name", san=[host("ldap.airius.com")])
    issue("expired", not_after=BEGIN + timedelta(days=1))
    issue("early", not_before=END - timedelta(days=1))
    (folder / "ca.pem").write_text(CA.pem)
    (folder / "other-ca.pem").write_text(OTHER_CA.pem)
    return folder


@pytest.fixture(scope="module")
def server(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlapdServer]:
    tls = SlapdTls(certificate=files / "server.pem", key=files / "server.key", client_ca=files / "ca.pem")
    with serve(tmp_path_factory.mktemp("slapd") / "s", world_ldif(), tls=tls) as running:
        yield running


@contextmanager
def serving(folder: Path, files: Path, certificate: str) -> Iterator[SlapdServer]:
    """Serve the world with another certificate."""
    tls = SlapdTls(certificate=files / f"{certificate}.pem", key=files / f"{certificate}.key")
    with serve(folder, world_ldif(), tls=tls) as running:
        yield running


def over_tls(server: SlapdServer, files: Path, **deviations: object) -> LdapSettings:
    tls = LdapTls(ca_file=files / "ca.pem")
    return ldap_settings(server, **({"hosts": (server.ldaps_url,), "tls": tls} | deviations))


def checks_of(
    settings: LdapSettings,
    *,
    sample: Issued | None = None,
    plan: MatchPlan = PLAN,
    rules: Sequence[NamingRule] = RULES,
    now: datetime = NOW,
    seconds: float = 30.0,
    **domain: object,
) -> tuple[bool, tuple[Check, ...]]:
    """Verify a domain; return whether it was connected to, and every check."""
    recorder = CheckRecorder(time.monotonic)
    deadline = time.monotonic() + seconds
    with closing(LdapDirectory(DOMAIN, settings)) as directory:
        opened = SecondaryDomain(
            domain=DOMAIN,
            directory=directory,
            plan=plan,
            rules=tuple(rules),
            group_authorization=GroupAuthorization.OWN,
        )
        opened = replace(opened, **domain)  # type: ignore[arg-type]  # deviations
        reached = verify_kind(
            recorder, opened, settings, schema_problem=lambda _sql: "", now=now, deadline=deadline
        )
        if sample is not None:
            held = Sample(names=read_certificate_names(sample.der), anchor_id="corp")
            verify_sample(recorder, opened, held, deadline=deadline)
    for check in recorder.checks:
        assert bool(check.advice) is (check.result is not OK)
        assert "\n" not in check.found + check.advice
    return reached.connected, recorder.checks


def results(checks: Sequence[Check]) -> list[tuple[str, str]]:
    return [(check.name, check.result.value) for check in checks]


def only(checks: Sequence[Check], name: str) -> Check:
    (found,) = [check for check in checks if check.name == name]
    return found


# --- the correct one


def test_a_correct_directory_has_nothing_but_ok(server: SlapdServer, files: Path) -> None:
    connected, checks = checks_of(over_tls(server, files), sample=DAVE)
    assert connected
    assert results(checks) == [
        (name, "ok")
        for name in (
            *("connect", "tls", "bind", "root_dse", "changes", "base", "attributes", "indexes"),
            *("find_by", "find_by", "owner", "rule", "state", "groups"),
        )
    ]
    told = {check.name: check for check in checks}
    assert told["connect"].found == f"127.0.0.1 port {server.ldaps_url.rpartition(':')[2]}"
    assert told["tls"].found.startswith("TLSv1.3, certificate for `localhost`, `127.0.0.1`, issued by ")
    assert told["tls"].found.endswith(" (36500 days left)")
    assert told["bind"].found == f"as `{server.reader_dn}`"
    assert told["root_dse"].found.startswith("OpenLDAP, controls: ")
    assert "paged results" in told["root_dse"].found
    assert told["base"].found == "`O=airius.com`"
    assert told["attributes"].found == "`userCertificate`, `cn`, `member`"
    assert (
        told["owner"].subject == "cn=Dave Lawson/ou=East/o=airius.com"
        or "Dave Lawson" in told["owner"].subject
    )
    assert told["owner"].found == "found by certificate, bound by certificate"
    assert told["rule"].found == "covered by `O=airius.com`"
    assert told["groups"].found == "`Everybody`, `Managers`, `Sales`"
    assert all(check.milliseconds is not None and check.milliseconds >= 0 for check in checks)


def test_a_directory_on_loopback_or_a_socket_has_no_tls_to_look_at(server: SlapdServer) -> None:
    for uri in (server.url, server.ldapi_url):
        _connected, checks = checks_of(ldap_settings(server, hosts=(uri,)))
        assert results(checks)[:2] == [("connect", "ok"), ("bind", "ok")]


def test_nothing_that_is_told_holds_a_password_or_a_certificate(server: SlapdServer, files: Path) -> None:
    """Of a correct one and of a refused bind: neither the right password nor the wrong one."""
    secret = "the wrong password"
    wrong = SimpleBind(dn=server.reader_dn, password_file=lambda: secret)
    for settings in (over_tls(server, files), over_tls(server, files, bind=wrong)):
        _connected, checks = checks_of(settings, sample=DAVE)
        told = "".join(map(repr, checks))
        assert secret not in told
        assert server.reader_password not in told
        assert "BEGIN CERTIFICATE" not in told
        assert DAVE.der.hex()[:60] not in told.replace("\\", "")


# --- the way there


def test_a_wrong_port_is_not_connected_to(server: SlapdServer) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        connected, checks = checks_of(ldap_settings(server, hosts=(f"ldap://127.0.0.1:{port}",)))
    assert not connected
    assert results(checks) == [("connect", "failed"), ("base", "skipped")]
    assert checks[0].found == f"127.0.0.1 port {port}: connection refused"


def test_a_socket_that_is_not_there_is_not_connected_to(server: SlapdServer, tmp_path: Path) -> None:
    missing = "ldapi://" + str(tmp_path / "no").replace("/", "%2F")
    connected, checks = checks_of(ldap_settings(server, hosts=(missing,)))
    assert not connected
    assert checks[0].found.endswith("no such file or directory")


def test_a_name_that_nobody_knows_is_told_so(server: SlapdServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_arguments: object, **_options: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    connected, checks = checks_of(ldap_settings(server, hosts=("ldaps://ldap.airius.invalid",)))
    assert not connected
    assert results(checks) == [("dns", "failed"), ("base", "skipped")]
    assert checks[0].found == "`ldap.airius.invalid`: name or service not known"


def test_a_name_server_that_hangs_costs_the_connect_timeout(
    server: SlapdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = threading.Event()

    def hang(*_arguments: object, **_options: object) -> object:
        never.wait(30)
        raise socket.gaierror(socket.EAI_NONAME, "at last")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    settings = ldap_settings(
        server, hosts=("ldaps://ldap.airius.invalid",), connect_timeout=timedelta(milliseconds=100)
    )
    begun = time.monotonic()
    _connected, checks = checks_of(settings)
    never.set()
    assert time.monotonic() - begun < 5
    assert checks[0].found == "`ldap.airius.invalid`: no answer in time"


def test_a_second_host_is_looked_at_whatever_the_first_is(server: SlapdServer) -> None:
    connected, checks = checks_of(ldap_settings(server, hosts=("ldap://127.0.0.1:1", server.url)))
    assert connected
    assert results(checks)[:4] == [
        *(("connect", "failed"), ("base", "skipped")),
        *(("connect", "ok"), ("bind", "ok")),
    ]


def test_a_directory_is_connected_to_if_any_of_its_hosts_is(server: SlapdServer) -> None:
    for hosts in ((server.url, "ldap://127.0.0.1:1"), ("ldap://127.0.0.1:1", server.url)):
        connected, _checks = checks_of(ldap_settings(server, hosts=hosts))
        assert connected


# --- TLS


def transport_of(settings: LdapSettings, uri: str, transport: Transport) -> tuple[tuple[bool, bool], Check]:
    """Look at the way to a host as if it stood elsewhere; return what came of it and the last check."""
    recorder = CheckRecorder(time.monotonic)
    there: LdapHost = replace(read_ldap_uri(uri), transport=transport)
    found = transport_module.verify_transport(
        recorder, there, settings, now=NOW, deadline=time.monotonic() + 10
    )
    return found, recorder.checks[-1]


def uri_of(server: SlapdServer, transport: Transport) -> str:
    return server.ldaps_url if transport is Transport.TLS else server.url


BOTH = pytest.mark.parametrize("transport", [Transport.TLS, Transport.START_TLS])


@BOTH
def test_a_verified_server_is_ok(server: SlapdServer, files: Path, transport: Transport) -> None:
    found, check = transport_of(over_tls(server, files), uri_of(server, transport), transport)
    assert (found, check.name, check.result) == ((True, True), "tls", OK)


@BOTH
@pytest.mark.parametrize(
    ("certificate", "ca_file", "expected"),
    [
        pytest.param(
            "other-name",
            "ca.pem",
            "the server shows a certificate for `ldap.airius.com`, issued by `CN=Server CA,O=Airius`, not for "
            "`127.0.0.1`",
            id="another name",
        ),
        pytest.param(
            "expired",
            "ca.pem",
            "the certificate of the server, or of its CA, has ended: certificate for `localhost`, `127.0.0.1`, "
            f"issued by `CN=Server CA,O=Airius` on {BEGIN + timedelta(days=1):%Y-%m-%d}",
            id="expired",
        ),
        pytest.param(
            "early",
            "ca.pem",
            "the certificate of the server begins later: certificate for `localhost`, `127.0.0.1`, issued by "
            f"`CN=Server CA,O=Airius` on {END - timedelta(days=1):%Y-%m-%d}",
            id="not yet valid",
        ),
        pytest.param(
            "server",
            "other-ca.pem",
            "no authority that is trusted here vouches for the server: certificate for `localhost`, `127.0.0.1`, "
            "issued by `CN=Server CA,O=Airius`",
            id="unknown authority",
        ),
    ],
)
def test_t60_a_refused_certificate_is_told_with_its_names_and_dates(  # noqa: PLR0917 - one row of the table
    files: Path, tmp_path: Path, transport: Transport, certificate: str, ca_file: str, expected: str
) -> None:
    with serving(tmp_path / "s", files, certificate) as running:
        settings = over_tls(running, files, tls=LdapTls(ca_file=files / ca_file))
        found, check = transport_of(settings, uri_of(running, transport), transport)
    assert (found, check.name, check.result) == ((True, False), "tls", FAILED)
    assert check.found == expected


def test_t60_a_refused_certificate_ends_the_checks_and_no_password_is_sent(
    files: Path, tmp_path: Path
) -> None:
    read: list[bool] = []

    def password() -> str:
        read.append(True)
        return "secret"

    with serving(tmp_path / "s", files, "expired") as running:
        bind = SimpleBind(dn=running.reader_dn, password_file=password)
        connected, checks = checks_of(over_tls(running, files, bind=bind))
    assert connected
    assert results(checks) == [("connect", "ok"), ("tls", "failed"), ("base", "skipped")]
    assert read == []


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param(20, WARNING, id="twenty days before its end it is a warning"),
        pytest.param(22, OK, id="before that it is none"),
    ],
)
def test_a_certificate_that_ends_soon_is_a_warning(
    server: SlapdServer, files: Path, days: int, expected: CheckResult
) -> None:
    _connected, checks = checks_of(over_tls(server, files), now=END - timedelta(days=days))
    assert only(checks, "tls").result is expected


def test_a_server_whose_name_is_not_looked_at_says_so(files: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "s", files, "other-name") as running:
        tls = LdapTls(ca_file=files / "ca.pem", verify_server_name=False)
        _connected, checks = checks_of(over_tls(running, files, tls=tls))
    assert "its name is not looked at" in only(checks, "tls").found


def test_a_port_without_tls_is_told_so(server: SlapdServer, files: Path) -> None:
    wrong = server.url.replace("ldap:", "ldaps:")
    settings = over_tls(server, files, hosts=(wrong,), connect_timeout=timedelta(milliseconds=500))
    _connected, checks = checks_of(settings)
    assert only(checks, "tls").result is FAILED


def test_a_server_that_declines_starttls_is_told_so(files: Path, tmp_path: Path) -> None:
    with serve(tmp_path / "s", world_ldif()) as plain:
        settings = ldap_settings(plain, tls=LdapTls(ca_file=files / "ca.pem"))
        _found, check = transport_of(settings, plain.url, Transport.START_TLS)
    assert (check.result, check.found) == (FAILED, "the server declines starttls")


def test_files_of_tls_that_cannot_be_used_are_told(server: SlapdServer, files: Path) -> None:
    for settings in (
        over_tls(server, files, tls=LdapTls(ca_file=files / "missing.pem")),
        over_tls(
            server, files, bind=ExternalBind(certificate=files / "missing.pem", key=files / "server.key")
        ),
    ):
        _connected, checks = checks_of(settings)
        assert only(checks, "tls").found == "the files of TLS cannot be used: no such file or directory"


# --- bind


@pytest.mark.parametrize(
    ("dn", "password", "expected"),
    [
        pytest.param(
            f"cn=authsvc,{SUFFIX}",
            "wrong",
            f"refused as `cn=authsvc,{SUFFIX}`: invalidCredentials, name or password are wrong",
            id="a wrong password",
        ),
        pytest.param(
            "no dn",
            "wrong",
            "refused as `no dn`: invalidDNSyntax, the name to bind with is no distinguished name",
            id="no name",
        ),
        pytest.param(
            f"ou=East,{SUFFIX}",
            "wrong",
            f"refused as `ou=East,{SUFFIX}`: invalidCredentials, name or password are wrong",
            id="an entry without a password",
        ),
        pytest.param(
            f"cn=authsvc,{SUFFIX}",
            "",
            f"as `cn=authsvc,{SUFFIX}`: the password is empty",
            id="an empty password",
        ),
    ],
)
def test_a_refused_bind_is_told_with_what_it_means(
    server: SlapdServer, dn: str, password: str, expected: str
) -> None:
    bind = SimpleBind(dn=dn, password_file=lambda: password)
    connected, checks = checks_of(ldap_settings(server, bind=bind))
    assert connected
    assert results(checks) == [("connect", "ok"), ("bind", "failed"), ("base", "skipped")]
    assert checks[1].found == expected


# --- what the server is


@pytest.mark.parametrize("kind", [ServerKind.DS389, ServerKind.ACTIVE_DIRECTORY])
def test_a_server_of_another_kind_than_configured_fails(server: SlapdServer, kind: ServerKind) -> None:
    _connected, checks = checks_of(ldap_settings(server, server=kind))
    check = only(checks, "root_dse")
    assert (check.result, check.advice) == (FAILED, "`server: standard`")
    assert f"`server` is `{kind}`" in check.found


def test_a_base_that_is_not_there_fails_and_says_which_part_is(server: SlapdServer) -> None:
    base = read_ldap_dn(f"ou=nowhere,{SUFFIX}")
    _connected, checks = checks_of(ldap_settings(server, base=base))
    check = only(checks, "base")
    assert check.result is FAILED
    assert (
        check.found == "`OU=nowhere,O=airius.com`: it does not exist, or may not be read; `o=airius.com` does"
    )
    assert check.advice == "`base` (the server holds `o=airius.com`), or what the identity may read"


def test_a_base_that_is_hidden_from_us_fails(server: SlapdServer) -> None:
    """Who binds without a name may read nothing here."""
    _connected, checks = checks_of(ldap_settings(server, bind=AnonymousBind()))
    assert (only(checks, "bind").found, only(checks, "base").result) == ("anonymous", FAILED)


@pytest.mark.parametrize(
    ("deviation", "ways", "unknown"),
    [
        pytest.param({}, "(employeeNumbr={subject.uid})", "employeeNumbr", id="in a filter"),
        pytest.param(
            {"name_attribute": "notesDM"}, "(mail={san.mail})", "notesDM", id="as the name attribute"
        ),
    ],
)
def test_an_attribute_that_the_server_does_not_know_fails(
    server: SlapdServer, deviation: dict[str, object], ways: str, unknown: str
) -> None:
    way = FindWay(find_by=FindBy.FILTER, template=read_filter_template(ways))
    _connected, checks = checks_of(ldap_settings(server, **deviation), plan=MatchPlan(ways=(way,)))
    check = only(checks, "attributes")
    assert check.result is FAILED
    assert check.found == f"the server knows no `{unknown}`: a filter with it finds nobody, and says success"


def test_attributes_are_known_in_any_case_by_each_of_their_names_and_by_number(server: SlapdServer) -> None:
    template = read_filter_template("(&(MAIL={san.mail})(rfc822mailbox={san.mail})(2.5.4.3={subject.cn}))")
    way = FindWay(find_by=FindBy.FILTER, template=template)
    _connected, checks = checks_of(ldap_settings(server), plan=MatchPlan(ways=(way,)))
    check = only(checks, "attributes")
    assert (check.result, check.found) == (OK, "`2.5.4.3`, `MAIL`, `rfc822mailbox`, `member`")


def test_the_attributes_of_members_are_those_of_the_style_of_groups(server: SlapdServer) -> None:
    settings = ldap_settings(server, group_style=GroupStyle.BOTH)
    _connected, checks = checks_of(settings)
    assert only(checks, "attributes").found.endswith("`member`, `uniqueMember`")
    _connected, checks = checks_of(settings, group_authorization=GroupAuthorization.NONE)
    assert "member" not in only(checks, "attributes").found


def test_a_schema_that_cannot_be_read_is_skipped_and_never_ok(
    server: SlapdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying_module._HostVerifier, "_read_schema", lambda _self, _subschema: None)
    _connected, checks = checks_of(ldap_settings(server))
    assert only(checks, "attributes").result is SKIPPED


def test_a_look_up_that_takes_longer_than_the_threshold_is_probably_not_indexed(
    server: SlapdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert verifying_module.SLOW_LOOK_UP_MILLISECONDS == 50.0
    _connected, checks = checks_of(ldap_settings(server))
    assert only(checks, "indexes").result is OK
    monkeypatch.setattr(verifying_module, "SLOW_LOOK_UP_MILLISECONDS", 0.0)
    _connected, checks = checks_of(ldap_settings(server))
    check = only(checks, "indexes")
    assert check.result is WARNING
    assert check.found.startswith("probably not indexed for equality: `userCertificate` ")
    assert re.findall(r"`(\w+)` [\d.]+ ms", check.found) == ["userCertificate", "cn", "member"]


def test_what_a_template_compares_is_timed_by_attribute(server: SlapdServer) -> None:
    template = read_filter_template("(|(uid={subject.cn})(mail={san.mail}))")
    plan = MatchPlan(ways=(FindWay(find_by=FindBy.FILTER, template=template),))
    _connected, checks = checks_of(ldap_settings(server), plan=plan)
    told = only(checks, "indexes").found
    assert re.findall(r"`(\w+)` [\d.]+ ms", told) == ["mail", "uid", "member"]


def test_a_server_that_hangs_ends_the_checks_of_its_host(tmp_path: Path) -> None:
    with serve(tmp_path / "s", world_ldif()) as running:
        settings = ldap_settings(
            running, timeout=timedelta(milliseconds=300), connect_timeout=timedelta(milliseconds=300)
        )
        running.pause()
        begun = time.monotonic()
        connected, checks = checks_of(settings)
        running.resume()
    assert time.monotonic() - begun < 5
    assert connected
    assert results(checks) == [("connect", "ok"), ("bind", "failed"), ("base", "skipped")]


def test_t75_a_verification_ends_at_its_deadline(server: SlapdServer) -> None:
    """Nothing is asked any more; what listens on this machine may still have been connected to."""
    _connected, checks = checks_of(ldap_settings(server), sample=DAVE, seconds=-1.0)
    told = {check.name: check.found for check in checks if check.name in {"bind", "find_by"}}
    assert "no time left" in told.get("bind", "no time left")
    assert told["find_by"].startswith("no time left")
    assert {check.result for check in checks if check.name != "connect"} <= {FAILED, SKIPPED}
    assert only(checks, "owner").found == "not known: not every way was answered"


# --- the sample


def test_a_sample_that_is_not_there_fails(server: SlapdServer) -> None:
    _connected, checks = checks_of(ldap_settings(server), sample=STRANGER)
    check = only(checks, "owner")
    assert (check.result, check.found) == (FAILED, "no way finds an entry (`no_entry`)")
    assert {each.result for each in checks if each.name == "find_by"} == {WARNING}


def test_a_look_up_that_is_not_answered_is_never_told_as_nobody(tmp_path: Path) -> None:
    with serve(tmp_path / "s", world_ldif()) as running:
        settings = ldap_settings(running)
        recorder = CheckRecorder(time.monotonic)
        with closing(LdapDirectory(DOMAIN, settings)) as directory:
            domain = SecondaryDomain(domain=DOMAIN, directory=directory, plan=PLAN, rules=RULES)
            running.kill()
            sample = Sample(names=read_certificate_names(STRANGER.der), anchor_id="corp")
            verify_sample(recorder, domain, sample, deadline=time.monotonic() + 10)
    assert results(recorder.checks) == [("find_by", "failed"), ("find_by", "failed"), ("owner", "skipped")]


def test_a_sample_that_is_found_but_not_bound_fails(server: SlapdServer) -> None:
    other = ROOT.issue("CN=Dave Lawson,O=airius.com")
    _connected, checks = checks_of(ldap_settings(server), sample=other)
    check = only(checks, "owner")
    assert check.result is FAILED
    assert check.found == (
        "found, but not bound (`certificate_differs`): does not hold this certificate: it holds 2 others"
    )
    assert [(each.subject, each.result) for each in checks if each.name == "find_by"] == [
        ("certificate", WARNING),
        ("common_name", WARNING),
    ]


def test_a_sample_of_another_anchor_than_issued_by_allows_is_not_bound(server: SlapdServer) -> None:
    plan = MatchPlan(ways=WAYS, bind_by=BindBy.NAME, issued_by=frozenset({"partner"}))
    _connected, checks = checks_of(ldap_settings(server), sample=DAVE, plan=plan)
    assert only(checks, "owner").found == (
        "found, but not bound (`certificate_differs`): the path ends in anchor `corp`, and issued_by allows `partner`"
    )
    _connected, checks = checks_of(
        ldap_settings(server), sample=DAVE, plan=replace(plan, issued_by=frozenset({"corp"}))
    )
    assert only(checks, "owner").result is OK


def test_a_sample_of_two_people_fails(tmp_path: Path) -> None:
    twin: dict[str, list[str | bytes]] = {
        "objectClass": ["inetOrgPerson"],
        "cn": ["Twin", "Dave Lawson"],
        "sn": ["x"],
        "userCertificate;binary": [DAVE.der],
    }
    with serve(tmp_path / "s", world_ldif((f"cn=Twin,{SUFFIX}", twin))) as running:
        _connected, checks = checks_of(ldap_settings(running), sample=DAVE)
    found = {each.subject: each for each in checks if each.name == "find_by"}
    assert {way: each.result for way, each in found.items()} == {"certificate": FAILED, "common_name": FAILED}
    assert found["certificate"].found.endswith("2 entries, 2 bound by certificate: `ambiguous`")
    assert only(checks, "owner").result is FAILED
    assert only(checks, "owner").found == (
        "several entries are bound to it: `Dave Lawson/East/airius.com` and `Twin/airius.com`"
    )


def test_a_name_that_no_rule_covers_fails(server: SlapdServer) -> None:
    rules = (read_suffix_rule(f"ou=West,{SUFFIX}", trusted=True), read_suffix_rule(SUFFIX, trusted=False))
    _connected, checks = checks_of(ldap_settings(server), sample=DAVE, rules=rules)
    assert only(checks, "rule").result is FAILED
    assert "domain_not_trusted_for_name" in only(checks, "rule").found


def test_a_disabled_owner_fails(tmp_path: Path) -> None:
    with serve(tmp_path / "s", world_ldif()) as running:
        dn = "cn=Dave Lawson,ou=East,o=airius.com"
        change(running, f"dn: {dn}\nchangetype: modify\nadd: nsAccountLock\nnsAccountLock: TRUE\n")
        _connected, checks = checks_of(ldap_settings(running), sample=DAVE)
    assert only(checks, "state").result is FAILED


def test_a_way_without_a_fact_and_a_way_that_cannot_be_asked_are_skipped(server: SlapdServer) -> None:
    ways = tuple(FindWay(find_by=way) for way in (FindBy.MAIL, FindBy.SUBJECT_KEY_ID, FindBy.CERTIFICATE))
    _connected, checks = checks_of(ldap_settings(server), sample=DAVE, plan=MatchPlan(ways=ways))
    assert [(check.subject, check.result) for check in checks if check.name == "find_by"] == [
        ("mail", SKIPPED),
        ("subject_key_id", SKIPPED),
        ("certificate", OK),
    ]


def test_more_entries_than_the_limit_fail(server: SlapdServer) -> None:
    john = ROOT.issue("CN=John Smith,O=airius.com")
    plan = MatchPlan(ways=(FindWay(find_by=FindBy.COMMON_NAME),))
    _connected, checks = checks_of(ldap_settings(server), sample=john, plan=plan, size_limit=1)
    check = only(checks, "find_by")
    assert (check.result, check.found) == (
        FAILED,
        "`(cn=John Smith)`: more than 1 entries, so the certificate is `ambiguous`",
    )


def test_groups_of_a_domain_that_count_for_nobody_are_not_asked_for(server: SlapdServer) -> None:
    _connected, checks = checks_of(
        ldap_settings(server), sample=DAVE, group_authorization=GroupAuthorization.NONE
    )
    assert only(checks, "groups").result is SKIPPED


def test_the_kind_is_what_type_says(server: SlapdServer) -> None:
    assert kind_of(ldap_settings(server)) == "ldap"
