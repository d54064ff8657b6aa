"""Trust material from files: read at start and on change, swapped whole, reported when it is wrong."""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from authsvc.operations import trust_files as module
from authsvc.operations.revocation_sources import RevocationSettings
from authsvc.operations.trust_files import (
    AnchorFile,
    TrustFiles,
    TrustSettings,
    TrustSnapshot,
    UnusableTrustMaterialError,
)
from authsvc.reason import Reason
from authsvc.trust.anchors import AnchorSettings, TrustMaterialError
from authsvc.trust.path import VerifiedCertificate
from authsvc.trust.revocation import (
    RevocationEvidence,
    RevocationOutcome,
    RevocationRefusal,
    RevocationUndecided,
    check_revocation,
)
from tests.support.pki import NOW, Authority, SmallWorld, small_world
from tests.support.trust import verified, verify

DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder with the trust material of a small world."""

    path: Path
    world: SmallWorld

    @property
    def settings(self) -> TrustSettings:
        return TrustSettings(
            anchors=(AnchorFile(file=self.path / "root.pem", settings=AnchorSettings(id="corp")),),
            intermediates=(self.path / "issuing.pem",),
            revocation=RevocationSettings(paths=(self.path / "root.crl", self.path / "issuing.crl")),
        )

    def write(self, name: str, content: str | bytes) -> Path:
        """Replace a file as careful tools do: whole, under a new inode."""
        fresh = self.path / f"{name}.new"
        fresh.write_bytes(content if isinstance(content, bytes) else content.encode())
        return fresh.replace(self.path / name)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(path=tmp_path, world=small_world())
    folder.write("root.pem", folder.world.root.pem)
    folder.write("issuing.pem", folder.world.issuing.pem)
    folder.write("root.crl", folder.world.root.crl().pem)
    folder.write("issuing.crl", folder.world.issuing.crl().der)
    return folder


def _verify(files: TrustFiles, folder: Folder) -> VerifiedCertificate:
    return verified(verify(folder.world.dave, files.current.store))


def _revocation(files: TrustFiles, folder: Folder) -> RevocationOutcome:
    return check_revocation(_verify(files, folder), files.current.revocation, now=NOW)


def test_everything_is_there_at_start(folder: Folder) -> None:
    files = TrustFiles(folder.settings)
    assert _verify(files, folder).anchor_id == "corp"
    assert isinstance(_revocation(files, folder), RevocationEvidence)
    assert files.generation == 1
    assert files.warnings(NOW) == ()


# ------------------------------------------------------------------------------------------------- at start


@pytest.mark.parametrize("name", ["root.pem", "issuing.pem"])
@pytest.mark.parametrize("content", [None, "", "hello", "-----BEGIN CERTIFICATE-----\nMIIB"])
def test_t29_missing_empty_or_broken_certificates_refuse_the_start(
    folder: Folder, name: str, content: str | None
) -> None:
    if content is None:
        (folder.path / name).unlink()
    else:
        folder.write(name, content)
    with pytest.raises(UnusableTrustMaterialError) as caught:
        TrustFiles(folder.settings)
    assert [problem.source for problem in caught.value.problems] == [str(folder.path / name)]
    assert isinstance(caught.value, TrustMaterialError)


def test_t29_every_broken_file_is_named_at_once(folder: Folder) -> None:
    folder.write("root.pem", "")
    (folder.path / "issuing.pem").unlink()
    with pytest.raises(UnusableTrustMaterialError) as caught:
        TrustFiles(folder.settings)
    assert len(caught.value.problems) == 2


def test_t29_no_anchor_at_all_refuses_the_start(folder: Folder) -> None:
    with pytest.raises(UnusableTrustMaterialError, match="no trust anchor"):
        TrustFiles(TrustSettings(anchors=(), intermediates=folder.settings.intermediates))


def test_what_is_no_regular_file_is_refused(folder: Folder) -> None:
    (folder.path / "root.pem").unlink()
    os.mkfifo(folder.path / "root.pem")
    with pytest.raises(UnusableTrustMaterialError, match="expected a regular file"):
        TrustFiles(folder.settings)


def test_t33_a_file_over_the_limit_is_refused(folder: Folder) -> None:
    limit = 4 * 1024 * 1024
    with (folder.path / "root.pem").open("ab") as file:
        file.truncate(limit)
    TrustFiles(folder.settings)
    with (folder.path / "root.pem").open("ab") as file:
        file.truncate(limit + 1)
    with pytest.raises(UnusableTrustMaterialError, match="expected at most 4194304 octets, found more"):
        TrustFiles(folder.settings)


@pytest.mark.parametrize("content", [None, "", "hello"])
def test_a_list_that_cannot_be_read_at_start_makes_certificates_undecided(
    folder: Folder, content: str | None
) -> None:
    if content is None:
        (folder.path / "issuing.crl").unlink()
    else:
        folder.write("issuing.crl", content)
    files = TrustFiles(folder.settings)
    outcome = _revocation(files, folder)
    assert isinstance(outcome, RevocationUndecided)
    assert outcome.reason is Reason.REVOCATION_UNAVAILABLE
    assert len(files.warnings(NOW)) == 1
    folder.write("issuing.crl", folder.world.issuing.crl().pem)
    assert files.poll()
    assert isinstance(_revocation(files, folder), RevocationEvidence)
    assert files.warnings(NOW) == ()


# --------------------------------------------------------------------------------------------- read again


def test_nothing_changed_is_no_change(folder: Folder) -> None:
    files = TrustFiles(folder.settings)
    before = files.current
    assert not files.poll()
    folder.write("root.pem", folder.world.root.pem)  # written again, with the same content
    folder.write("root.crl", (folder.path / "root.crl").read_bytes())
    assert not files.poll()
    assert files.current is before


def test_t42_a_new_list_counts_from_the_next_look_and_the_old_snapshot_stays_whole(folder: Folder) -> None:
    changes: list[TrustSnapshot] = []
    files = TrustFiles(folder.settings, on_change=changes.append)
    before = files.current
    folder.write("issuing.crl", folder.world.issuing.crl([folder.world.dave], number=2).pem)
    assert isinstance(_revocation(files, folder), RevocationEvidence)
    assert files.poll()
    outcome = _revocation(files, folder)
    assert isinstance(outcome, RevocationRefusal)
    assert outcome.reason is Reason.CERTIFICATE_REVOKED
    assert files.generation == 2
    assert changes == [files.current]
    dave = verified(verify(folder.world.dave, before.store))
    assert isinstance(check_revocation(dave, before.revocation, now=NOW), RevocationEvidence)


def test_t42_a_half_written_list_is_not_taken(folder: Folder) -> None:
    files = TrustFiles(folder.settings)
    whole = folder.world.issuing.crl([folder.world.dave], number=2).der
    (folder.path / "issuing.crl").write_bytes(whole[: len(whole) // 2])
    assert not files.poll()
    assert isinstance(_revocation(files, folder), RevocationEvidence)
    assert "; the list read before is kept" in files.warnings(NOW)[0]
    (folder.path / "issuing.crl").write_bytes(whole)
    assert files.poll()
    assert isinstance(_revocation(files, folder), RevocationRefusal)
    assert files.warnings(NOW) == ()


def test_t37_a_list_that_vanishes_is_kept_until_its_next_update(folder: Folder) -> None:
    files = TrustFiles(folder.settings)
    (folder.path / "issuing.crl").unlink()
    assert not files.poll()
    assert isinstance(_revocation(files, folder), RevocationEvidence)
    assert "cannot be read: No such file or directory; the list read before is kept" in files.warnings(NOW)[0]
    later = check_revocation(_verify(files, folder), files.current.revocation, now=NOW + 7 * DAY)
    assert isinstance(later, RevocationUndecided)


@pytest.mark.parametrize(
    ("number", "this_update", "taken"),
    [(4, NOW, False), (6, NOW - DAY, False), (5, NOW - DAY, False), (5, NOW, True), (6, NOW, True)],
)
def test_t37_an_older_list_never_replaces_a_newer_one(
    folder: Folder, number: int, this_update: object, taken: bool
) -> None:
    assert isinstance(this_update, type(NOW))
    folder.write("issuing.crl", folder.world.issuing.crl(number=5).pem)
    files = TrustFiles(folder.settings)
    replay = folder.world.issuing.crl([folder.world.dave], number=number, this_update=this_update)
    folder.write("issuing.crl", replay.pem)
    assert files.poll() == taken
    assert isinstance(_revocation(files, folder), RevocationRefusal) == taken
    assert bool(files.warnings(NOW)) != taken
    if not taken:
        assert "expected a list newer than number 5 of 2026-03-01T11:00:00+00:00" in files.warnings(NOW)[0]


def test_a_file_may_turn_to_the_list_of_another_issuer(folder: Folder) -> None:
    files = TrustFiles(folder.settings)
    folder.write("issuing.crl", folder.world.root.crl(number=1).pem)
    assert files.poll()
    assert isinstance(_revocation(files, folder), RevocationRefusal)


@pytest.mark.parametrize("content", [None, "", "hello"])
@pytest.mark.parametrize("name", ["root.pem", "issuing.pem"])
def test_t29_certificates_that_break_later_keep_the_old_set_and_are_reported(
    folder: Folder, name: str, content: str | None
) -> None:
    files = TrustFiles(folder.settings)
    if content is None:
        (folder.path / name).unlink()
    else:
        folder.write(name, content)
    assert not files.poll()
    assert _verify(files, folder).anchor_id == "corp"
    assert str(folder.path / name) in files.warnings(NOW)[0]
    folder.write(name, {"root.pem": folder.world.root, "issuing.pem": folder.world.issuing}[name].pem)
    assert not files.poll()
    assert files.warnings(NOW) == ()


def test_an_anchor_that_is_replaced_stops_counting(folder: Folder) -> None:
    files = TrustFiles(folder.settings)
    folder.write("root.pem", Authority.root("CN=Another Root", now=NOW).pem)
    assert files.poll()
    assert not isinstance(verify(folder.world.dave, files.current.store), VerifiedCertificate)
    assert files.generation == 2


def test_the_only_file_that_is_replaced_is_noticed(folder: Folder) -> None:
    files = TrustFiles(TrustSettings(anchors=folder.settings.anchors))
    folder.write("root.pem", Authority.root("CN=Another Root", now=NOW).pem)
    assert files.poll()


def test_a_new_intermediate_makes_the_lists_readable_that_it_signed(folder: Folder) -> None:
    folder.write("issuing.pem", folder.world.root.issue_authority("CN=Another").pem)
    files = TrustFiles(folder.settings)
    assert "is neither a trust anchor nor a configured intermediate" in files.warnings(NOW)[0]
    folder.write("issuing.pem", folder.world.issuing.pem)
    assert files.poll()
    assert isinstance(_revocation(files, folder), RevocationEvidence)


def test_a_file_that_changes_in_place_within_one_tick_of_the_clock_is_noticed(folder: Folder) -> None:
    files = TrustFiles(folder.settings)
    path = folder.path / "issuing.crl"
    status = path.stat()
    path.write_bytes(folder.world.issuing.crl([folder.world.dave], number=2).der)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert files.poll()


# ------------------------------------------------------------------------------------------------ warnings


@pytest.mark.parametrize(
    ("elapsed", "expected"),
    [
        pytest.param(timedelta(days=8), None, id="with exactly a fifth of its life left"),
        pytest.param(timedelta(days=8, seconds=1), "has less than 20% of its life left", id="with less"),
        pytest.param(timedelta(days=10), "expired 2026-03-11T12:00:00+00:00", id="at next update"),
        pytest.param(
            -timedelta(seconds=1), "begins 2026-03-01T12:00:00+00:00, in the future", id="too early"
        ),
        pytest.param(timedelta(0), None, id="at this update"),
    ],
)
def test_a_list_that_runs_out_is_reported(folder: Folder, elapsed: timedelta, expected: str | None) -> None:
    folder.write("issuing.crl", folder.world.issuing.crl(this_update=NOW, next_update=NOW + 10 * DAY).pem)
    folder.write("root.crl", folder.world.root.crl(this_update=NOW - DAY, next_update=NOW + 99 * DAY).pem)
    found = TrustFiles(folder.settings).warnings(NOW + elapsed)
    if expected is None:
        assert found == ()
    else:
        assert len(found) == 1
        assert f"of `CN=Renovations Issuing CA,O=Renovations` {expected}" in found[0]


def test_an_expired_anchor_is_reported(folder: Folder) -> None:
    old = Authority.root("CN=Old Root", now=NOW, not_after=NOW)
    folder.write("root.pem", folder.world.root.pem + old.pem)
    files = TrustFiles(folder.settings)
    assert files.warnings(NOW) == ()
    assert files.warnings(NOW + timedelta(seconds=1)) == (
        "trust anchor `corp` (`CN=Old Root`) expired 2026-03-01T12:00:00+00:00",
    )


def test_each_warning_is_logged_once_until_it_is_gone(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    files = TrustFiles(folder.settings)
    (folder.path / "issuing.crl").unlink()
    files.poll()
    with caplog.at_level(logging.WARNING):
        known = files.log_warnings(frozenset(), NOW)
        known = files.log_warnings(known, NOW)
    assert [record.message for record in caplog.records] == ["trust_file_problem"]
    assert known == frozenset(files.warnings(NOW))


# -------------------------------------------------------------------------------------------------- thread


def test_the_thread_notices_a_change_and_ends_when_told(folder: Folder) -> None:
    changed = threading.Event()
    files = TrustFiles(folder.settings, on_change=lambda _: changed.set())
    files.start(timedelta(milliseconds=5))
    files.start(timedelta(milliseconds=5))
    try:
        folder.write("issuing.crl", folder.world.issuing.crl([folder.world.dave], number=2).pem)
        assert changed.wait(5)
    finally:
        files.stop()
        files.stop()
    assert isinstance(_revocation(files, folder), RevocationRefusal)


def test_a_defect_in_a_listener_does_not_end_the_thread_and_is_reported(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []
    second = threading.Event()

    def listen(snapshot: TrustSnapshot) -> None:
        calls.append(snapshot.generation)
        if len(calls) == 1:
            folder.write("issuing.crl", folder.world.issuing.crl(number=3).pem)
            raise RuntimeError("a defect")
        second.set()

    listener: Callable[[TrustSnapshot], None] = listen
    files = TrustFiles(folder.settings, on_change=listener)
    with caplog.at_level(logging.ERROR):
        files.start(timedelta(milliseconds=5))
        folder.write("issuing.crl", folder.world.issuing.crl(number=2).pem)
        try:
            assert second.wait(5)
        finally:
            files.stop()
    assert calls == [2, 3]
    assert [record.message for record in caplog.records] == ["trust_poll_failed"]


def test_polling_survives_a_defect_of_what_is_told(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told, counted = threading.Event(), threading.Event()

    def broken(_now: datetime) -> list[str]:
        told.set()
        raise OverflowError("a defect")

    files = TrustFiles(folder.settings, on_change=lambda _snapshot: counted.set())
    monkeypatch.setattr(files._sources, "warnings", broken)
    with caplog.at_level(logging.ERROR):
        files.start(timedelta(milliseconds=5))
        try:
            assert told.wait(5)
            folder.write("issuing.crl", folder.world.issuing.crl(number=2).pem)
            assert counted.wait(5)
        finally:
            files.stop()
    assert {"trust_poll_failed"} == {record.message for record in caplog.records}


def test_a_look_that_does_not_end_is_told(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that hangs: what was read before counts on, so somebody must hear of it."""
    begun, released = threading.Event(), threading.Event()

    def hang(*_arguments: object, **_more: object) -> None:
        begun.set()
        released.wait(10)

    files = TrustFiles(folder.settings)
    monkeypatch.setattr(module, "_LONGEST_LOOK_SECONDS", 0.0)
    assert [] == [each for each in files.warnings(NOW) if "the look at them" in each]
    monkeypatch.setattr(files._sources, "poll", hang)
    files.start()
    try:
        assert begun.wait(5)
        assert any(
            "trust files: the look at them takes more than 0 s" in each for each in files.warnings(NOW)
        )
    finally:
        released.set()
        files.stop()
