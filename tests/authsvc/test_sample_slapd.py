"""The slapd of the sample world: it starts, refuses, pauses, dies and comes back."""

import socket
import stat
from pathlib import Path

import pytest

from authsvc.sample_world import slapd as slapd_module
from tests.support.slapd import SlapdError, SlapdServer, ldif, serve


def answers(server: SlapdServer) -> bool:
    host, _, port = server.url.removeprefix("ldap://").partition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=0.3) as probe:
            probe.settimeout(0.3)
            probe.sendall(bytes.fromhex("300c020101600702010304008000"))
            return probe.recv(1) == b"\x30"
    except OSError:
        return False


def test_a_started_server_answers_and_a_stopped_one_does_not(tmp_path: Path) -> None:
    server = serve(tmp_path / "s", ldif())
    with server:
        assert answers(server)
        assert server.pid is not None
    assert not answers(server)
    assert server.pid is None


def test_a_killed_server_comes_back_on_its_port_with_its_content(tmp_path: Path) -> None:
    with serve(tmp_path / "s", ldif()) as server:
        url = server.url
        server.kill()
        assert not answers(server)
        server.start()
        assert server.url == url
        assert answers(server)


def test_a_paused_server_is_silent_until_it_is_resumed_and_can_be_stopped(tmp_path: Path) -> None:
    with serve(tmp_path / "s", ldif()) as server:
        server.pause()
        assert not answers(server)
        server.resume()
        assert answers(server)
        server.pause()
    assert server.pid is None


def test_stopping_or_killing_twice_is_nothing(tmp_path: Path) -> None:
    server = serve(tmp_path / "s", ldif())
    server.stop()
    server.start()
    server.kill()
    server.kill()
    server.stop()


def test_files_with_passwords_are_the_owner_s_alone(tmp_path: Path) -> None:
    with serve(tmp_path / "s", ldif()) as server:
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode) for path in (server.folder, *server.folder.iterdir())
        }
    assert modes["s"] == 0o700
    assert {modes[name] for name in ("slapd.conf", "content.ldif")} == {0o600}


def test_entries_that_are_not_accepted_are_named_and_leave_no_half_directory(tmp_path: Path) -> None:
    broken = ldif(("cn=x,o=airius.com", {"objectClass": ["noSuchClass"], "cn": ["x"]}))
    with pytest.raises(SlapdError, match=r"did not accept the entries.*noSuchClass"):
        serve(tmp_path / "s", broken).start()
    with serve(tmp_path / "s", ldif()) as server:
        assert answers(server)


def test_a_missing_program_is_named_with_its_debian_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slapd_module, "_PROGRAM_FOLDERS", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        SlapdError, match="`slapd` is not installed: it comes with the Debian package `slapd`"
    ):
        serve(tmp_path / "s", ldif()).start()


def test_a_folder_too_deep_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SlapdError, match="too long for this system"):
        serve(tmp_path / ("x" * 100), ldif()).start()


def test_a_port_that_is_taken_ends_the_start_with_what_the_server_said(tmp_path: Path) -> None:
    with serve(tmp_path / "s", ldif()) as server:
        port = int(server.url.rpartition(":")[2])
        server.stop()
        with socket.create_server(("127.0.0.1", port)), pytest.raises(SlapdError, match="ended at once"):
            server.start()
        assert server.pid is None
