"""What `docs/operations/nginx.md` says of a forgotten line, with a real nginx that forgets it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from authsvc.sample_world.nginx import NginxServer, render_nginx_configuration
from authsvc.sample_world.processes import start_process, stop_process, wait_for_port
from authsvc.sample_world.running import RunningWorld
from tests.support.curl import CurlAnswer, run_curl
from tests.support.sample_world import free_ports

Forget = Callable[[str], str]


def without(*lines: str) -> Forget:
    """Return what forgets every line that begins so."""

    def forget(text: str) -> str:
        kept = [line for line in text.splitlines() if not line.strip().startswith(lines)]
        assert len(kept) < len(text.splitlines())
        return "\n".join(kept)

    return forget


@contextmanager
def forgetful(world: RunningWorld, forget: Forget) -> Iterator[str]:
    """Run a second nginx before the world's authsvc, and give its address."""
    port = free_ports().nginx
    text = render_nginx_configuration(world.folder, port=port).replace("run/nginx", "run/forgetful")
    text = text.replace(f"{world.folder}/run/forgetful.sock", f"{world.folder}/run/nginx.sock")
    configuration = world.folder / "forgetful.conf"
    configuration.write_text(forget(text))
    log = world.folder / "logs" / "forgetful.log"
    options = ["-p", str(world.folder), "-c", str(configuration), "-g", "daemon off; master_process off;"]
    process = start_process([NginxServer.find_program(), *options], log=log)
    try:
        wait_for_port(port, process, name="nginx", log=log)
        yield f"https://localhost:{port}"
    finally:
        stop_process(process)


def ask(world: RunningWorld, url: str, certificate: str | None, *more: str) -> CurlAnswer:
    line = ["curl", "-s", "-i", "--cacert", f"{world.folder}/tls/ca.pem"]
    if certificate is not None:
        line += ["--cert", f"{world.folder}/certificates/{certificate}.pem"]
        line += ["--key", f"{world.folder}/certificates/{certificate}.key"]
    return run_curl(" ".join([*line, url]), *more)


def escaped_certificate(folder: Path, name: str) -> str:
    pem = (folder / "certificates" / f"{name}.pem").read_text()
    return "".join(f"%{ord(c):02X}" if c in "+/=\n " else c for c in pem)


def test_with_every_line_nothing_that_a_client_sends_counts(world: RunningWorld) -> None:
    forged = [
        *("-H", f"X-SSL-Client-Cert: {escaped_certificate(world.folder, 'ada-admin')}"),
        *("-H", "X-SSL-Client-Verify: SUCCESS", "-H", "X-Original-URI: /wiki/", "-H", "Remote-User: Evil"),
    ]
    with forgetful(world, lambda text: text) as address:
        answer = ask(world, f"{address}/sales.nsf/", "al-jones", *forged)
        assert answer.seen_by_application["remote-user"] == "Alan Jones/Renovations"
        assert answer.seen_by_application["remote-database"] == "sales.nsf"
        assert "Evil" not in answer.body
        assert ask(world, f"{address}/sales.nsf/", None, *forged).status == 401


def test_without_the_certificate_line_anybody_with_a_certificate_is_whoever_they_like(
    world: RunningWorld,
) -> None:
    header = f"X-SSL-Client-Cert: {escaped_certificate(world.folder, 'ada-admin')}"
    with forgetful(world, without("proxy_set_header X-SSL-Client-Cert   $")) as address:
        answer = ask(world, f"{address}/hr.nsf/", "unknown", "-H", header)
        assert (answer.status, answer.seen_by_application["remote-user"]) == (200, "Ada Admin/Renovations")
        assert ask(world, f"{address}/hr.nsf/", None, "-H", header).status == 401


def test_without_the_verify_line_everybody_is_refused(world: RunningWorld) -> None:
    with forgetful(world, without("proxy_set_header X-SSL-Client-Verify $")) as address:
        answer = ask(world, f"{address}/sales.nsf/", "dave-lawson")
        assert (answer.status, answer.reason) == (401, "certificate_untrusted")
        answer = ask(world, f"{address}/wiki/", None)
        assert (answer.status, answer.reason) == (401, "certificate_unreadable")


def test_without_the_original_uri_the_client_says_which_page_it_wants(world: RunningWorld) -> None:
    with forgetful(world, without("proxy_set_header X-Original-URI")) as address:
        answer = ask(world, f"{address}/hr.nsf/", "dave-lawson", "-H", "X-Original-URI: /sales.nsf/")
        assert (answer.status, answer.seen_by_application["remote-database"]) == (200, "sales.nsf")
        assert "this is /hr.nsf/" in answer.body
        assert ask(world, f"{address}/sales.nsf/", "dave-lawson").status == 503


def test_without_the_lines_of_an_identity_header_the_clients_own_reaches_the_application(
    world: RunningWorld,
) -> None:
    with forgetful(world, without("proxy_set_header Remote-Roles")) as address:
        answer = ask(world, f"{address}/sales.nsf/", "dave-lawson", "-H", "Remote-Roles: Approver")
        assert answer.seen_by_application["remote-roles"] == "Approver"


@pytest.mark.parametrize(
    "forgotten",
    [
        pytest.param(("proxy_pass_request_body off", "proxy_set_header Content-Length"), id="both"),
        pytest.param(("proxy_set_header Content-Length",), id="Content-Length alone"),
    ],
)
def test_without_the_lines_about_the_body_no_request_is_taken_for_the_body_of_another(
    world: RunningWorld, forgotten: tuple[str, ...]
) -> None:
    """Then nginx announces a body that never comes, on a connection that it uses again."""
    with forgetful(world, without(*forgotten)) as address:
        for size in (1, 100, 100_000):
            body = ("-X", "POST", "--data-binary", "x" * size)
            assert ask(world, f"{address}/sales.nsf/", "sandra-smith", *body).status == 200
            answer = ask(world, f"{address}/sales.nsf/", "dave-lawson")
            assert (answer.status, answer.seen_by_application["remote-user"]) == (
                200,
                "Dave Lawson/Renovations",
            )


def test_without_the_error_page_undecided_is_500(world: RunningWorld) -> None:
    with forgetful(world, without("error_page 500")) as address:
        answer = ask(world, f"{address}/sales.nsf/", "stale-list")
        assert (answer.status, answer.reason) == (500, "revocation_unavailable")


def test_without_internal_anybody_is_told_who_they_are_themselves(world: RunningWorld) -> None:
    def forget(text: str) -> str:
        return text.replace(
            "            internal;\n            proxy_pass http://authsvc",
            "            proxy_pass http://authsvc",
        )

    with forgetful(world, forget) as address:
        answer = ask(world, f"{address}/_authsvc?database=sales.nsf", "dave-lawson")
        assert (answer.status, answer.identity) == (200, "Dave Lawson/Renovations")
    with forgetful(world, lambda text: text) as address:
        assert ask(world, f"{address}/_authsvc?database=sales.nsf", "dave-lawson").status == 404


def test_a_location_with_a_header_line_of_its_own_loses_all_the_others(world: RunningWorld) -> None:
    def nest(text: str) -> str:
        return text.replace(
            "            proxy_pass http://application;",
            "            proxy_pass http://application;\n"
            "            location /wiki/ { proxy_set_header Host x; proxy_pass http://application; }",
        )

    with forgetful(world, nest) as address:
        answer = ask(world, f"{address}/wiki/", None, "-H", "Remote-User: Evil Eve")
        assert answer.status == 200
        assert answer.seen_by_application["remote-user"] == "Evil Eve"


def test_a_location_that_returns_is_open_whatever_authsvc_says(world: RunningWorld) -> None:
    with forgetful(
        world,
        lambda text: text.replace("auth_request /_authsvc;", 'auth_request /_authsvc; return 200 "open";'),
    ) as address:
        assert ask(world, f"{address}/hr.nsf/", None).body.strip() == "open"


def test_with_underscores_allowed_another_spelling_gets_through(world: RunningWorld) -> None:
    def allow(text: str) -> str:
        return text.replace(
            "ssl_verify_client optional;", "ssl_verify_client optional; underscores_in_headers on;"
        )

    with forgetful(world, allow) as address:
        answer = ask(world, f"{address}/wiki/", None, "-H", "Remote_User: Evil Eve")
        assert "Remote_User: Evil Eve" in answer.body


def test_optional_no_ca_is_refused_by_authsvc(world: RunningWorld) -> None:
    with forgetful(
        world, lambda text: text.replace("ssl_verify_client optional;", "ssl_verify_client optional_no_ca;")
    ) as address:
        answer = ask(world, f"{address}/sales.nsf/", "foreign")
        assert (answer.status, answer.reason) == (401, "certificate_untrusted")
        assert ask(world, f"{address}/sales.nsf/", "dave-lawson").status == 200
