"""The audit record: one escaped line for each decision, or no allow."""

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.access.databases import DatabaseTarget, IdentityTarget, RefusedTarget, read_requirement
from authsvc.operations.audit import AuditFault, AuditLog, DecisionRecord, render_record
from authsvc.original_request import OriginalRequest
from authsvc.presented.presentation import PresentedCertificate, UnreadableCertificate
from authsvc.reason import Reason
from authsvc.trust.anchors import RevocationMode
from authsvc.trust.crl_decision import ListUse
from authsvc.trust.revocation import CertificateEvidence, RevocationEvidence, RevocationStatus
from directory_assistance.dn import FlatName
from directory_assistance.trace import TraceLine
from tests.support.decision import DAVE
from tests.support.pki import NOW
from tests.support.verdicts import CERTIFICATE, IDENTITY, allowed, anonymous, denied, undecided

ROOT = Path(__file__).parents[2]

RECORD = DecisionRecord(
    time=NOW + timedelta(milliseconds=5),
    request_id="0123456789abcdef01234567",
    caller_request_id="theirs",
    front_end="nginx",
    peer="unix",
    status=200,
    reason=Reason.ALLOWED,
    presentation=PresentedCertificate(der=DAVE.der),
    target=DatabaseTarget(
        database="sales.nsf", requirement=read_requirement(level="editor", roles=["Buyer"])
    ),
    original=OriginalRequest(
        method="GET", uri="/sales.nsf/x?token=hidden", host="app.example", scheme="https"
    ),
    verdict=allowed(),
    policy_version="7",
)


def members(record: DecisionRecord) -> dict[str, object]:
    line = render_record(record)
    assert line.endswith("}\n")
    found: dict[str, object] = json.loads(line)
    return found


def test_the_record_of_an_allow_answers_who_by_what_from_where_and_why() -> None:
    assert members(RECORD) == {
        "time": "2026-03-01T12:00:00.005Z",
        "event": "decision",
        "request_id": "0123456789abcdef01234567",
        "caller_request_id": "theirs",
        "front_end": "nginx",
        "peer": "unix",
        "status": 200,
        "outcome": "allowed",
        "reason": "allowed",
        "presented_sha256": CERTIFICATE.names.sha256.hex(),
        "database": "sales.nsf",
        "requirement": str(read_requirement(level="editor", roles=["Buyer"])),
        "original": {"method": "GET", "host": "app.example", "path": "/sales.nsf/x", "scheme": "https"},
        "policy_version": "7",
        "verdict": "allowed",
        "identity": {
            "name": "Dave Lawson/Renovations",
            "dn": "CN=Dave Lawson,O=Renovations",
            "domain": "Renovations",
            "directory": "primary",
            "found_by": "common_name",
            "bound_by": "certificate",
            "strength": "strong",
        },
        "access": {
            "database": "sales.nsf",
            "level": "Editor",
            "privileges": ["create_documents", "delete_documents"],
            "roles": ["Approver", "Buyer"],
            "decided_by": "groups",
            "entries": ["Sales"],
        },
        "certificate": {
            "sha256": CERTIFICATE.names.sha256.hex(),
            "subject": "CN=Dave Lawson,O=Renovations",
            "issuer": "CN=Renovations Issuing CA,O=Renovations",
            "serial": f"{DAVE.certificate.serial_number:x}",
            "not_after": "2027-03-01T12:00:00.000Z",
        },
        "evidence": {
            "trust_anchor": "corp",
            "revocation": {
                "status": "good",
                "policy": "require",
                "source": "crl",
                "lists": ["corp-issuing.crl"],
                "responders": [],
                "this_update": "2026-03-01T11:00:00.000Z",
                "next_update": "2026-03-07T12:00:00.000Z",
                "grace_used": False,
                "certificates": [
                    {
                        "serial": f"{DAVE.certificate.serial_number:x}",
                        "status": "good",
                        "source": "corp-issuing.crl",
                        "lists": [{"source": "corp-issuing.crl", "number": 7}],
                    }
                ],
            },
        },
    }


def test_the_record_of_a_refusal_has_the_true_reason_and_the_step() -> None:
    verdict = replace(denied(Reason.ENTRY_DISABLED), notes=("a note",))
    found = members(replace(RECORD, status=401, reason=Reason.ENTRY_DISABLED, verdict=verdict))
    assert ("denied", "entry_disabled", "search") == (found["outcome"], found["reason"], found["step"])
    assert "what an administrator may know" == found["verdict_detail"]
    assert found["notes"] == ["a note"]
    assert "identity" not in found


def test_the_record_of_a_refusal_says_which_list_or_responder_said_so() -> None:
    by_delta = ListUse(
        source="root.crl",
        number=-1,
        delta_source="delta.crl",
        delta_number=9,
        this_update=NOW - timedelta(days=2),
        next_update=NOW - timedelta(days=1),
        in_grace=True,
    )
    revocation = RevocationEvidence(
        status=RevocationStatus.REVOKED,
        policy=RevocationMode.PREFER,
        source="ocsp",
        responders=("http://ocsp.example/",),
        grace_used=True,
        certificates=(
            CertificateEvidence(
                subject="CN=Dave", serial=255, status=RevocationStatus.REVOKED, source="http://ocsp.example/"
            ),
            CertificateEvidence(
                subject="CN=CA", serial=1, status=RevocationStatus.GOOD, source="root.crl", lists=(by_delta,)
            ),
            CertificateEvidence(subject="CN=CA 2", serial=2, status=RevocationStatus.UNKNOWN),
        ),
    )
    for verdict in (denied(Reason.CERTIFICATE_REVOKED), replace(undecided(), certificate=CERTIFICATE)):
        record = replace(RECORD, verdict=replace(verdict, revocation=revocation))
        assert members(record)["evidence"] == {
            "trust_anchor": "corp",
            "revocation": {
                "status": "revoked",
                "policy": "prefer",
                "source": "ocsp",
                "lists": [],
                "responders": ["http://ocsp.example/"],
                "this_update": None,
                "next_update": None,
                "grace_used": True,
                "certificates": [
                    {"serial": "ff", "status": "revoked", "source": "http://ocsp.example/", "lists": []},
                    {
                        "serial": "1",
                        "status": "good",
                        "source": "root.crl",
                        "lists": [
                            {"source": "root.crl", "number": None},
                            {"source": "delta.crl", "number": 9},
                        ],
                    },
                    {"serial": "2", "status": "unknown", "source": None, "lists": []},
                ],
            },
        }


def test_the_record_of_a_fault_is_undecided_and_names_the_certificate() -> None:
    found = members(replace(RECORD, status=503, reason=Reason.DIRECTORY_UNAVAILABLE, verdict=undecided()))
    assert ("undecided", "directory_unavailable") == (found["outcome"], found["reason"])
    assert {"trust_anchor": "corp"} == found["evidence"]


def test_the_record_of_an_allow_that_was_not_given_says_both() -> None:
    """The verdict allowed, the answer did not."""
    found = members(replace(RECORD, status=503, reason=Reason.EXPANSION_LIMIT))
    assert ("undecided", "expansion_limit", "allowed") == (
        found["outcome"],
        found["reason"],
        found["verdict"],
    )


def test_a_record_before_there_is_a_verdict_has_what_is_known() -> None:
    record = DecisionRecord(
        time=NOW,
        request_id="r",
        front_end="edge",
        peer="192.0.2.1",
        status=403,
        reason=Reason.UNTRUSTED_FRONT_END,
        detail="the secret is not ours",
    )
    assert members(record) == {
        "time": "2026-03-01T12:00:00.000Z",
        "event": "decision",
        "request_id": "r",
        "caller_request_id": None,
        "front_end": "edge",
        "peer": "192.0.2.1",
        "status": 403,
        "outcome": "denied",
        "reason": "untrusted_front_end",
        "detail": "the secret is not ours",
        "policy_version": "",
    }


def test_targets_are_recorded_as_they_are() -> None:
    assert members(replace(RECORD, target=IdentityTarget()))["identity_only"] is True
    unknown = RefusedTarget(reason=Reason.DATABASE_UNKNOWN, problem="no route")
    assert members(replace(RECORD, target=unknown))["target_problem"] == "no route"


def test_an_anonymous_allow_has_neither_identity_nor_certificate() -> None:
    found = members(replace(RECORD, verdict=anonymous(), presentation=None))
    assert not {"identity", "certificate", "evidence", "presented_sha256"} & found.keys()


def test_evidence_without_a_list_says_so() -> None:
    bare = replace(allowed(), revocation=None)
    assert members(replace(RECORD, verdict=bare))["evidence"] == {"trust_anchor": "corp"}


def test_the_query_of_an_original_request_is_never_recorded() -> None:
    assert "hidden" not in render_record(RECORD)


def test_the_trace_is_recorded_where_it_is_wanted() -> None:
    line = TraceLine(step="search", subject="Renovations", result="found", milliseconds=1.5)
    verdict = replace(allowed(), trace=(line,))
    text = render_record(replace(RECORD, verdict=verdict), with_trace=True)
    expected = {"step": "search", "subject": "Renovations", "result": "found", "milliseconds": 1.5}
    assert json.loads(text)["trace"] == [expected]
    assert "trace" not in members(replace(RECORD, verdict=verdict))


@given(text=st.text(st.characters(), max_size=80))
def test_t73_any_text_stays_on_its_line_in_printable_ascii(text: str) -> None:
    identity = replace(IDENTITY, name=FlatName(text=text), domain=text)
    record = replace(
        RECORD,
        caller_request_id=text,
        detail=text,
        original=OriginalRequest(method=text, uri=text, host=text),
        presentation=UnreadableCertificate(problem=text),
        verdict=allowed(identity),
    )
    line = render_record(record)
    assert all(" " <= character <= "~" for character in line[:-1])
    assert line.count("\n") == 1
    detail = str(members(record).get("detail", ""))
    assert text.encode("utf-16", "surrogatepass") == detail.encode("utf-16", "surrogatepass")


def test_a_caller_s_request_id_is_cut() -> None:
    found = members(replace(RECORD, caller_request_id="x" * 100_000))["caller_request_id"]
    assert isinstance(found, str)
    assert len(found) == 200


# --- the file ----------------------------------------------------------------------------------------------


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines() if line]


def test_the_file_is_for_us_alone_and_grows(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for request_id in ("1", "2"):  # two runs
        log = AuditLog(path)
        log.record(replace(RECORD, request_id=request_id, verdict=None))
        log.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [line["request_id"] for line in lines(path)] == ["1", "2"]


def test_a_file_of_others_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.touch(mode=0o640)
    AuditLog(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_path_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(AuditFault, match="No such file or directory"):
        AuditLog(tmp_path / "no" / "audit.jsonl")


def test_the_same_verdict_is_written_alike_and_others_are_not(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path)
    warm = allowed()
    for verdict in (warm, warm, denied(Reason.ACL_LEVEL)):
        log.record(replace(RECORD, verdict=verdict))
    log.close()
    assert ["allowed", "allowed", "acl_level"] == [line["verdict"] for line in lines(path)]
    assert lines(path)[0] == lines(path)[1]


def test_t76_remembered_verdicts_are_bounded(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    for reason in [Reason.ACL_LEVEL, Reason.ACL_ROLE] * 1_100:
        log.record(replace(RECORD, verdict=denied(reason)))
    assert len(log._texts) == 2_048
    assert [Reason.ACL_LEVEL, Reason.ACL_ROLE] * 1_100 == [
        Reason(str(line["verdict"])) for line in lines(tmp_path / "audit.jsonl")
    ]
    log.close()


def test_a_file_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path)
    log.record(replace(RECORD, request_id="1"))
    path.rename(tmp_path / "audit.jsonl.1")
    log.reopen()
    log.record(replace(RECORD, request_id="2"))
    log.close()
    assert [line["request_id"] for line in lines(path)] == ["2"]


def test_a_file_that_cannot_be_made_anew_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    log = AuditLog(folder / "audit.jsonl")
    folder.rename(tmp_path / "moved")
    with pytest.raises(AuditFault):
        log.reopen()
    log.record(RECORD)
    log.close()
    assert len(lines(tmp_path / "moved" / "audit.jsonl")) == 1


def test_a_full_disk_is_a_fault_and_recovers() -> None:
    """`/dev/full` fails every write as a full disk does."""
    log = AuditLog(Path("/dev/full"))
    with pytest.raises(AuditFault, match="No space left on device"):
        log.record(RECORD)
    assert "No space left on device" in log.problem
    log.close()


def test_a_pipe_without_a_reader_is_a_fault_and_no_wait(tmp_path: Path) -> None:
    """Opening one would wait for its reader: a start that never ends, a reload that blocks all later ones."""
    os.mkfifo(tmp_path / "audit")
    with pytest.raises(AuditFault, match="No such device"):
        AuditLog(tmp_path / "audit")


def test_a_pipe_that_nobody_empties_is_a_fault_and_no_wait(tmp_path: Path) -> None:
    """Waiting for its reader would stop the event loop, and with it every listener."""
    os.mkfifo(tmp_path / "audit")
    reader = os.open(tmp_path / "audit", os.O_RDONLY | os.O_NONBLOCK)
    log = AuditLog(tmp_path / "audit")

    def fill() -> None:
        for _ in range(1_000):
            log.record(RECORD)

    with pytest.raises(AuditFault):
        fill()
    assert "audit" in log.problem
    while len(os.read(reader, 65_536)) == 65_536:
        pass  # empty it
    log.record(RECORD)
    assert log.problem == ""
    log.close()
    os.close(reader)


def test_after_half_a_line_the_next_one_stands_alone(tmp_path: Path) -> None:
    """A pipe that takes only a part of a line is a disk that fills up in the middle of one."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = AuditLog(path)
    os.set_blocking(log._file, False)
    os.write(log._file, b"x" * 15 * 4_096)  # of the 16 pages of a pipe
    long = replace(RECORD, detail="y" * 8_000)
    with pytest.raises(AuditFault, match="wrote 4096 of"):
        log.record(long)
    os.read(reading, 1_000_000)
    log.record(RECORD)
    assert log.problem == ""
    assert os.read(reading, 1_000_000).startswith(b'\n{"time"')
    log.close()
    os.close(reading)


# --- several writers


def test_a_record_after_half_a_line_of_another_writer_is_written_once_more(tmp_path: Path) -> None:
    """The other one was killed while it wrote, or its disk was full: this one cannot know, but sees it."""
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path)
    log.record(RECORD)
    whole = path.read_bytes()
    with path.open("ab") as other:
        other.write(whole[:40])
    for _ in range(2):
        log.record(RECORD)
    log.close()
    assert whole + whole[:40] + whole + b"\n" + whole + whole == path.read_bytes()
    assert log.problem == ""


def test_a_record_after_half_a_line_before_the_start_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b'{"time":"20')
    log = AuditLog(path)
    log.record(RECORD)
    log.close()
    assert render_record(RECORD).encode() == path.read_bytes().splitlines(keepends=True)[-1]


def test_a_file_that_may_be_written_and_not_read_is_no_hindrance(tmp_path: Path) -> None:
    """Such as a pipe to a collector: there nobody can look at what stands before."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = AuditLog(path)
    log.record(RECORD)
    log.record(RECORD)
    log.close()
    assert 2 * render_record(RECORD).encode() == os.read(reading, 1_000_000)
    os.close(reading)


_WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from authsvc.operations.audit import AuditLog
from tests.authsvc.test_audit import RECORD
log = AuditLog(Path(sys.argv[1]))
for number in range(2_000):
    log.record(replace(RECORD, request_id=f"{sys.argv[2]}-{number}", detail="x" * (number % 9_000)))
"""


def test_records_of_processes_that_write_at_the_same_time_stay_whole_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(path), name], cwd=ROOT) for name in ("a", "b")
    ]
    assert [0, 0] == [writer.wait() for writer in writers]
    written = [str(json.loads(line)["request_id"]) for line in path.read_bytes().splitlines()]
    for name in ("a", "b"):
        assert [f"{name}-{number}" for number in range(2_000)] == [
            each for each in written if each.startswith(name)
        ]
