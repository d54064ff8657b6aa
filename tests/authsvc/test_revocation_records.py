"""What is remembered of a source of revocation lists: written whole, read whole or not at all."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from authsvc.operations.revocation_records import Record, read_record, write_record
from tests.support.pki import NOW

WHOLE = Record(
    source="http://crl.example.com/\u00e4\udcff.crl",
    digest="0123456789abcdef" * 4,
    index_digest="f" * 64,
    stamp=(1, 2, 3, 4, 5),
    etag='"1"',
    last_modified="then",
    attempted=NOW,
    succeeded=NOW,
    successes=3,
    failures=2,
    failing=1,
    problem="it hangs",
    due=NOW,
    issuer=b"\x30\x00",
    anchor="corp",
)


@pytest.mark.parametrize("record", [WHOLE, Record(source="x.crl")])
def test_what_is_written_is_read(tmp_path: Path, record: Record) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(write_record(record))
    assert record == read_record(path)


WRONG: dict[str, list[object]] = {
    "source": [None, 1],
    "digest": [None, "0", "0" * 63 + "G", "../" + "0" * 61],
    "index_digest": [1, "F" * 64],
    "stamp": [1, [1, 2, 3], [1, 2, 3, 4, "5"]],
    "etag": [None],
    "last_modified": [[]],
    "attempted": [1, "yesterday", "2026-03-01T12:00:00"],
    "succeeded": [{}],
    "successes": [-1, True, "1", None],
    "failures": [1.5],
    "failing": [None],
    "problem": [None],
    "due": ["0001-01-01T00:00:00+23:59"],
    "issuer": ["not base64!", 1],
    "anchor": [None],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_t42_a_field_of_another_type_makes_a_record_none(tmp_path: Path, name: str, value: object) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(json.loads(write_record(WHOLE)) | {name: value}))
    assert read_record(path) is None


@pytest.mark.parametrize("name", [each.name for each in fields(Record)])
def test_t42_a_field_that_is_missing_makes_a_record_none(tmp_path: Path, name: str) -> None:
    path = tmp_path / "record.json"
    whole = json.loads(write_record(WHOLE))
    path.write_text(json.dumps({key: value for key, value in whole.items() if key != name}))
    assert read_record(path) is None


@pytest.mark.parametrize("octets", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 50_000, b" " * 70_000])
def test_t42_what_is_no_record_is_none(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(octets)
    assert read_record(path) is None
    assert read_record(tmp_path / "absent.json") is None
