"""`authsvc verify-directory`, `GET /v1/directories` and `POST /v1/directories/{domain}/verify`: text, JSON, exit codes.

What each check of an LDAP host finds is held by `tests/directory_assistance/test_ldap_verifying.py`.
"""

import asyncio
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from authsvc.operations.audit import AuditFault
from authsvc.operations.service import Service
from authsvc.operations.verifying import MOST_VERIFICATIONS, DirectoryVerifier
from authsvc.web.serving import _InForce
from directory_assistance.backends.verifying import verify_kind
from directory_assistance.verification import Reached, Verification
from tests.support.api import EDGE, Call, Reply, by, reply_to, send_call
from tests.support.command_line import document_of, run_authsvc
from tests.support.service import Place, lay_place, serving_service, world
from tests.support.slapd import SUFFIX, SlapdServer, ldif, serve

LEA = world().issue("Lea Ldap")
UNKNOWN = world().issue("Una Unknown")
PEOPLE = world().people
DAVE, ADA, MAX, EVE, NORMA = (PEOPLE[name] for name in ("dave", "ada", "max", "eve", "norma"))

CONTENT = ldif(
    (
        f"cn=Lea Ldap,{SUFFIX}",
        {
            "objectClass": ["inetOrgPerson"],
            "cn": ["Lea Ldap"],
            "sn": ["Ldap"],
            "userCertificate;binary": [LEA.der],
        },
    ),
    (
        f"cn=Engineers,{SUFFIX}",
        {"objectClass": ["groupOfNames"], "cn": ["Engineers"], "member": [f"cn=Lea Ldap,{SUFFIX}"]},
    ),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlapdServer]:
    with serve(tmp_path_factory.mktemp("slapd") / "s", CONTENT, reader_password="the reader") as running:
        yield running


def airius(server: SlapdServer, /, **deviations: object) -> dict[str, object]:
    """Return the domain Airius, correct in everything but the deviations."""
    ldap: dict[str, object] = {
        "hosts": [server.url],
        "bind": {"dn": server.reader_dn, "password_file": "airius.password"},
        "base": SUFFIX,
        "find_by": ["certificate", "mail"],
    }
    domain: dict[str, object] = {
        "domain": "Airius",
        "type": "ldap",
        "search_order": 1,
        "rules": [{"suffix": SUFFIX, "trusted": True}],
        "group_authorization": True,
        "sample": "lea.pem",
    }
    keys = {key: value for key, value in deviations.items() if key in {"hosts", "base", "bind", "server"}}
    return (
        domain | {key: value for key, value in deviations.items() if key not in keys} | {"ldap": ldap | keys}
    )


def lay(folder: Path, server: SlapdServer, /, **deviations: object) -> Place:
    place = lay_place(folder)
    place.write("lea.pem", LEA.pem)
    place.write("dave.pem", DAVE.pem)
    place.write("unknown.pem", UNKNOWN.pem)
    place.write("airius.password", "the reader").chmod(0o600)
    place.configure_directories(
        primary={"domain": "Renovations", "url": "sqlite:///directory.db", "sample": "dave.pem"},
        domains=[airius(server, **deviations)],
    )
    return place


@pytest.fixture
def place(tmp_path: Path, server: SlapdServer) -> Place:
    return lay(tmp_path, server)


def steady(text: str, server: SlapdServer, folder: Path) -> str:
    """Return a text without what differs between runs: times, the port, the folder, the serial number."""
    text = re.sub(r"\d+\.\d ms", "N ms", text)
    text = re.sub(r"serialNumber \d+", "serialNumber N", text)
    text = re.sub(r"SHA-256 [0-9a-f]{64}", "SHA-256 N", text)
    return text.replace(server.url.rpartition(":")[2], "PORT").replace(str(folder.resolve()), "FOLDER")


# --- the command


WHOLE = """\
Renovations (sql)
  ok       connect     sqlite:///FOLDER/directory.db: connected  N ms
  ok       schema      sqlite:///FOLDER/directory.db: that of this version  N ms
  ok       answers     sqlite:///FOLDER/directory.db: it answers  N ms
  ok       entries     sqlite:///FOLDER/directory.db: 4 people, 4 certificates, 0 groups  N ms
  ok       sample      dave.pem: `CN=Dave Lawson,O=Renovations`, by anchor `corp`  N ms
  skipped  find_by     mail: not asked: no mail address in the subject alternative name
           change      a sample that has it, if the others have
  ok       find_by     certificate: a stored certificate has the SHA-256 N: 1 entry, 1 bound by certificate  N ms
  ok       find_by     subject: one of the names is `CN=Dave Lawson,O=Renovations`: 1 entry, 1 bound by certificate  N ms
  ok       find_by     common_name: the common name in one of the names is `Dave Lawson`: 1 entry, 1 bound by certificate  N ms
  ok       owner       Dave Lawson/Renovations: found by certificate, bound by certificate  N ms
  ok       rule        Dave Lawson/Renovations: the primary directory needs no rule  N ms
  ok       state       Dave Lawson/Renovations: neither disabled nor locked, as far as we may read  N ms
  ok       groups      Dave Lawson/Renovations: none  N ms

Airius (ldap)
  ok       connect     ldap://127.0.0.1:PORT: 127.0.0.1 port PORT  N ms
  ok       bind        ldap://127.0.0.1:PORT: as `cn=authsvc,o=airius.com`  N ms
  ok       root_dse    ldap://127.0.0.1:PORT: OpenLDAP, controls: syncrepl, paged results  N ms
  ok       changes     ldap://127.0.0.1:PORT: told by syncrepl  N ms
  ok       base        ldap://127.0.0.1:PORT: `O=airius.com`  N ms
  ok       attributes  ldap://127.0.0.1:PORT: `userCertificate`, `mail`, `member`  N ms
  ok       indexes     ldap://127.0.0.1:PORT: a value that nobody has: `userCertificate` N ms, `mail` N ms, `member` N ms  N ms
  ok       sample      lea.pem: `CN=Lea Ldap,O=Renovations`, by anchor `corp`  N ms
  skipped  find_by     mail: not asked: no mail address in the subject alternative name
           change      a sample that has it, if the others have
  ok       find_by     certificate: `(userCertificate=\\7b serialNumber N, issuer rdnSequence:"CN=Renovations Issuing CA,O=Renovations" \\7d)`: 1 entry, 1 bound by certificate  N ms
  ok       owner       Lea Ldap/airius.com: found by certificate, bound by certificate  N ms
  ok       rule        Lea Ldap/airius.com: covered by `O=airius.com`  N ms
  ok       state       Lea Ldap/airius.com: neither disabled nor locked, as far as we may read  N ms
  ok       groups      Lea Ldap/airius.com: `Engineers`  N ms

2 directories: 25 ok, 0 warnings, 0 failed, 2 skipped
"""  # noqa: E501 - lines of output are as long as they are


UNREACHABLE = """\
Airius (ldap)
  failed   connect     ldap://127.0.0.1:1: 127.0.0.1 port 1: connection refused  N ms
           change      the port in `hosts` (ldap 389, ldaps 636), whether the server runs, and firewalls
  skipped  base        ldap://127.0.0.1:1: not asked: there is no session
           change      see the checks of this host before
  skipped  sample      Airius: not asked for: nothing can be asked here
           change      see the checks before

1 directory: 0 ok, 0 warnings, 1 failed, 2 skipped
"""


def test_every_enabled_directory_is_looked_at_and_each_check_is_a_line(
    place: Place, server: SlapdServer
) -> None:
    result = run_authsvc("verify-directory", config=place.file)
    assert (WHOLE, "", 0) == (steady(result.stdout, server, place.folder), result.stderr, result.exit_code)


def test_one_directory_is_looked_at_in_whatever_case_it_is_named(place: Place, server: SlapdServer) -> None:
    result = run_authsvc("verify-directory", "AIRIUS", config=place.file)
    assert result.exit_code == 0
    expected = WHOLE[WHOLE.index("Airius (ldap)") : WHOLE.index("2 directories")]
    assert steady(result.stdout, server, place.folder) == (
        expected + "1 directory: 13 ok, 0 warnings, 0 failed, 1 skipped\n"
    )


@pytest.mark.parametrize(
    ("deviations", "line", "advice"),
    [
        pytest.param(
            {"base": f"ou=nowhere,{SUFFIX}"},
            "  failed   base        ldap://127.0.0.1:PORT: `OU=nowhere,O=airius.com`: it does not exist, or may not be "
            "read; `o=airius.com` does  N ms",
            "`base` (the server holds `o=airius.com`), or what the identity may read",
            id="the base is missing",
        ),
        pytest.param(
            {"server": "389ds"},
            "  failed   root_dse    ldap://127.0.0.1:PORT: OpenLDAP, controls: syncrepl, paged results; "
            "`server` is `389ds`, and "
            "its questions for certificates find nobody here  N ms",
            "`server: standard`",
            id="the server is of another kind",
        ),
        pytest.param(
            {"sample": "unknown.pem"},
            "  failed   owner       sample: no way finds an entry (`no_entry`)  N ms",
            "name a `sample` that is in this directory; if it is, the ways, the base, or what we may read",
            id="the sample is not there",
        ),
    ],
)
def test_a_check_that_fails_says_what_to_change_and_the_exit_code_is_1(
    tmp_path: Path, server: SlapdServer, deviations: dict[str, object], line: str, advice: str
) -> None:
    place = lay(tmp_path, server, **deviations)
    result = run_authsvc("verify-directory", "Airius", config=place.file)
    lines = steady(result.stdout, server, place.folder).splitlines()
    assert (result.exit_code, lines[lines.index(line) + 1]) == (1, f"           change      {advice}")


def test_a_directory_that_cannot_be_connected_to_is_exit_code_3(tmp_path: Path, server: SlapdServer) -> None:
    place = lay(tmp_path, server, hosts=["ldap://127.0.0.1:1"])
    result = run_authsvc("verify-directory", "Airius", config=place.file)
    assert (result.exit_code, steady(result.stdout, server, place.folder)) == (3, UNREACHABLE)


def test_where_nobody_lets_us_in_the_sample_is_not_asked_for(tmp_path: Path, server: SlapdServer) -> None:
    """A refused bind is a failure, and no reason to say that nobody holds the certificate."""
    place = lay(tmp_path, server)
    place.write("airius.password", "another").chmod(0o600)
    result = run_authsvc("verify-directory", "Airius", config=place.file)
    assert result.exit_code == 1
    assert "  skipped  sample      Airius: not asked for: nothing can be asked here\n" in result.stdout
    assert "no_entry" not in result.stdout


def test_one_directory_of_several_that_cannot_be_connected_to_is_exit_code_1(
    tmp_path: Path, server: SlapdServer
) -> None:
    place = lay(tmp_path, server, hosts=["ldap://127.0.0.1:1"])
    assert run_authsvc("verify-directory", config=place.file).exit_code == 1


def test_a_domain_that_is_not_there_is_exit_code_2(place: Place) -> None:
    result = run_authsvc("verify-directory", "Nowhere", config=place.file)
    assert (result.exit_code, result.stdout, result.stderr) == (
        2,
        "",
        "error: expected a domain (`Renovations`, `Airius`), found `Nowhere`\n",
    )


def test_as_json_it_says_the_same(place: Place) -> None:
    result = run_authsvc("verify-directory", "Airius", "--json", config=place.file)
    document = document_of(result)
    assert isinstance(document, dict)
    (told,) = document["directories"]
    assert result.exit_code == 0
    assert (told["domain"], told["kind"], told["connected"], told["result"]) == ("Airius", "ldap", True, "ok")
    assert told["checks"][1] == {
        "check": "bind",
        "subject": told["checks"][1]["subject"],
        "result": "ok",
        "found": "as `cn=authsvc,o=airius.com`",
        "advice": "",
        "milliseconds": told["checks"][1]["milliseconds"],
    }
    assert len(told["checks"]) == 14


def test_a_domain_that_is_not_enabled_is_looked_at_when_it_is_named_only(
    tmp_path: Path, server: SlapdServer
) -> None:
    place = lay(tmp_path, server, enabled=False)
    assert "Airius" not in run_authsvc("verify-directory", config=place.file).stdout
    named = run_authsvc("verify-directory", "Airius", config=place.file)
    assert named.exit_code == 0
    assert "skipped  domain      Airius: nobody is looked for here: it is not enabled" in named.stdout


def test_a_database_without_our_schema_fails_and_is_not_made(tmp_path: Path, server: SlapdServer) -> None:
    place = lay(tmp_path, server)
    (place.folder / "directory.db").unlink()
    result = run_authsvc("verify-directory", "Renovations", config=place.file)
    assert (result.exit_code, (place.folder / "directory.db").exists()) == (3, False)
    (place.folder / "directory.db").touch()
    result = run_authsvc("verify-directory", "Renovations", config=place.file)
    assert result.exit_code == 1
    assert "  failed   schema " in result.stdout
    assert "found one without our schema" in result.stdout


def test_a_sample_that_is_not_trusted_is_a_warning_and_is_looked_for_all_the_same(
    tmp_path: Path, server: SlapdServer
) -> None:
    place = lay(tmp_path, server)
    place.write("root.pem", world().server.pem)  # no authority of anybody
    result = run_authsvc("verify-directory", "Airius", config=place.file)
    assert result.exit_code == 0
    assert "  warning  sample      lea.pem: `CN=Lea Ldap,O=Renovations`: " in result.stdout
    assert "  ok       owner       Lea Ldap/airius.com" in result.stdout


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("no certificate\n", "the file holds no certificate", id="no certificate"),
        pytest.param("", "the file holds no certificate", id="nothing"),
    ],
)
def test_a_sample_that_cannot_be_read_fails(place: Place, content: str, expected: str) -> None:
    place.write("lea.pem", content)
    result = run_authsvc("verify-directory", "Airius", config=place.file)
    assert result.exit_code == 1
    assert f"  failed   sample      lea.pem: {expected}" in result.stdout


def test_t73_what_a_server_says_cannot_move_the_cursor(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("directory_assistance.backends.ldap.verifying._whom", lambda _bind: "as \x1b[2J")
    result = run_authsvc("verify-directory", "Airius", config=place.file)
    assert "\x1b" not in result.stdout
    assert "as \\x1b[2J" in result.stdout


# --- the API


class Api:
    """A service with what answers for it."""

    def __init__(self, place: Place, service: Service) -> None:
        self.place = place
        self.service = service
        self.in_force = _InForce(service)

    def send(self, call: Call) -> Reply:
        return send_call(self.in_force.answer, call)

    def details(self) -> list[str]:
        return [str(record.get("detail")) for record in self.place.records()]


@pytest.fixture
def api(place: Place) -> Iterator[Api]:
    with serving_service(place) as service:
        yield Api(place, service)


def verify(domain: str = "Airius", **call: object) -> Call:
    path = f"/v1/directories/{domain}/verify"
    return Call(**({"path": path, "body": {}, "connection": by(ADA)} | call))  # type: ignore[arg-type]  # deviations


def states(**call: object) -> Call:
    default: dict[str, object] = {
        "path": "/v1/directories",
        "method": "GET",
        "connection": by(EVE),
    }
    return Call(**(default | call))  # type: ignore[arg-type]  # deviations


def test_a_call_verifies_as_the_command_does_and_is_recorded(api: Api) -> None:
    reply = api.send(verify())
    assert (reply.status, reply.document["result"], reply.document["domain"]) == (200, "ok", "Airius")
    command = document_of(run_authsvc("verify-directory", "Airius", "--json", config=api.place.file))
    assert isinstance(command, dict)
    told = [(check["check"], check["result"]) for check in reply.document["checks"]]
    assert told == [(check["check"], check["result"]) for check in command["directories"][0]["checks"]]
    assert "directory Airius verified, 0 checks failed, for Ada Auditor/Renovations" in api.details()


def test_a_call_that_finds_failures_is_answered_200(tmp_path: Path, server: SlapdServer) -> None:
    place = lay(tmp_path, server, base=f"ou=nowhere,{SUFFIX}")
    with serving_service(place) as service:
        reply = Api(place, service).send(verify())
    assert (reply.status, reply.document["result"]) == (200, "failed")


@pytest.mark.parametrize("name", ["Acme West", "Acme/West", "acme west"])
def test_a_domain_is_named_in_the_path_whatever_its_name_holds(
    tmp_path: Path, server: SlapdServer, name: str
) -> None:
    place = lay(tmp_path, server, domain="Acme/West" if "/" in name else "Acme West")
    with serving_service(place) as service:
        reply = Api(place, service).send(verify(name))
    assert (reply.status, reply.document["domain"].casefold()) == (200, name.casefold())


def test_a_directory_that_is_not_there_is_404(api: Api) -> None:
    reply = api.send(verify("Nowhere"))
    assert (reply.status, reply.document["detail"]) == (
        404,
        "no such directory: `/v1/directories/Nowhere/verify`",
    )


@pytest.mark.parametrize(
    ("call", "status"),
    [
        pytest.param(verify(connection=by(EVE)), 403, id="to verify needs the role Auditor"),
        pytest.param(verify(connection=by(DAVE)), 403, id="to verify needs an ACL entry"),
        pytest.param(verify(connection=by(None)), 401, id="to verify needs a certificate"),
        pytest.param(verify(connection=by(NORMA)), 401, id="to verify needs an identity"),
        pytest.param(states(connection=by(DAVE)), 403, id="to list needs level Reader"),
        pytest.param(states(connection=by(None)), 401, id="to list needs a certificate"),
        pytest.param(states(method="POST"), 405, id="the list is not written"),
        pytest.param(verify(method="GET"), 405, id="a verification is not read"),
    ],
)
def test_t75_whoever_may_not_ask_is_refused_before_anything_is_asked(
    api: Api, monkeypatch: pytest.MonkeyPatch, call: Call, status: int
) -> None:
    def never(*_arguments: object) -> Verification:
        raise AssertionError("it was asked")

    monkeypatch.setattr(DirectoryVerifier, "verify", never)
    monkeypatch.setattr(Service, "check_directories", never)
    reply = api.send(call)
    assert (reply.status, reply.value("Content-Type")) == (status, "application/problem+json")


@pytest.mark.parametrize("call", [verify(connection=EDGE), states(connection=EDGE)], ids=["verify", "list"])
def test_on_a_front_end_there_is_no_such_call(api: Api, call: Call) -> None:
    assert api.send(call).status in {400, 403, 404}


def test_the_state_of_every_directory_is_told_to_a_reader(api: Api) -> None:
    reply = api.send(states())
    assert (reply.status, reply.document["directories"]) == (
        200,
        [
            {
                "domain": "Renovations",
                "kind": "sql",
                "primary": True,
                "enabled": True,
                "search_order": None,
                "rules": [],
                "reachable": True,
                "problem": None,
            },
            {
                "domain": "Airius",
                "kind": "ldap",
                "primary": False,
                "enabled": True,
                "search_order": 1,
                "rules": [{"rule": "O=airius.com", "enabled": True, "trusted": True}],
                "reachable": True,
                "problem": None,
            },
        ],
    )
    assert "directories listed for Eve Everybody/Renovations" in api.details()


@pytest.mark.parametrize(
    ("deviations", "expected"),
    [
        pytest.param({"hosts": ["ldap://127.0.0.1:1"]}, False, id="one that is down has a problem"),
        pytest.param({"enabled": False}, None, id="one that is not enabled is not asked"),
    ],
)
def test_the_state_says_whether_a_directory_answers(
    tmp_path: Path, server: SlapdServer, deviations: dict[str, object], *, expected: bool | None
) -> None:
    place = lay(tmp_path, server, **deviations)
    with serving_service(place) as service:
        told = Api(place, service).send(states()).document["directories"][1]
    assert told["reachable"] is expected
    assert (told["problem"] is not None) is (expected is False)


def test_t75_what_cannot_be_recorded_is_not_told(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise AuditFault("the disk is full")

    assert api.service.audit is not None
    monkeypatch.setattr(type(api.service.audit), "record", full)
    for call in (verify(), states()):
        reply = api.send(call)
        assert (reply.status, reply.document["reason"]) == (503, "store_unavailable")
        assert "checks" not in reply.document
        assert "directories" not in reply.document


def test_t75_a_third_verification_at_a_time_is_overloaded(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two are held inside; the third is refused at once; when they have ended, a fourth is answered."""
    inside, go_on = threading.Semaphore(0), threading.Event()

    def hold(*arguments: object, **options: object) -> Reached:
        inside.release()
        assert go_on.wait(30)
        return verify_kind(*arguments, **options)  # type: ignore[arg-type]  # handed on as they are

    monkeypatch.setattr("authsvc.operations.verifying.verify_kind", hold)

    async def ask() -> tuple[Reply, list[Reply], Reply]:
        answer = api.in_force.answer
        held = [asyncio.ensure_future(reply_to(answer, verify())) for _ in range(MOST_VERIFICATIONS)]
        for _ in held:
            assert await asyncio.to_thread(inside.acquire, timeout=30)
        third = await reply_to(answer, verify())
        go_on.set()
        replies = [await each for each in held]
        return third, replies, await reply_to(answer, verify())

    third, held, fourth = asyncio.run(ask())
    assert (third.status, third.document["reason"]) == (503, "overloaded")
    assert [reply.status for reply in (*held, fourth)] == [200, 200, 200]


def test_t75_a_verification_that_raises_frees_its_place(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object, **_options: object) -> Reached:
        raise AssertionError("a bug")

    verifier = api.service.verifier
    with monkeypatch.context() as patched:
        patched.setattr("authsvc.operations.verifying.verify_kind", broken)
        for _ in range(MOST_VERIFICATIONS + 1):
            with pytest.raises(AssertionError, match="a bug"):
                verifier.verify("Airius")
    assert isinstance(verifier.verify("Airius"), Verification)
