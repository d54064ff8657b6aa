"""Emergency blocks in SQL: what is written is read, logged and seen by everybody; what cannot be read is a fault."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, insert, text

from authsvc.store import blocks as blocks_module
from authsvc.store.blocks import SqlBlocks, add_block, list_blocks, read_block_log, remove_block
from authsvc.store.errors import ChangeRefused, NotStored, StoreMalformed, StoreUnavailable
from authsvc.store.people import create_person
from authsvc.store.schema import blocks, open_change, open_reading, read_generation
from authsvc.trust.block_reading import BlockSyntaxError
from authsvc.trust.blocks import Block, Blocked, BlockedIdentity, BlockKind
from directory_assistance.dn import InternetName, read_name
from tests.support.blocks import of
from tests.support.pki import Authority
from tests.support.store import ACTOR, NOW, STORES, changing, person, store_of

ROOT = Authority.root(now=NOW)
DAVE = ROOT.issue("CN=Dave Lawson,O=Renovations")
IDENTITY = BlockedIdentity(name=read_name("Dave Lawson/Renovations"))
ONE_OF_EACH = [
    *(of(kind, DAVE) for kind in BlockKind if kind is not BlockKind.IDENTITY),
    IDENTITY,
]


@pytest.fixture(params=STORES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    yield from store_of(request, tmp_path)


@pytest.fixture
def known(engine: Engine) -> Iterator[SqlBlocks]:
    reading = SqlBlocks(engine)
    yield reading
    reading.close()


def add(engine: Engine, blocked: Blocked = IDENTITY, **more: object) -> Block:
    told = {"owner": "Ada Admin", "reason": "key lost", "ends": None} | more
    with changing(engine) as change:
        return add_block(change, blocked, **told)  # type: ignore[arg-type]  # deviations


def remove(engine: Engine, number: int) -> None:
    with changing(engine) as change:
        remove_block(change, number)


def listed(engine: Engine) -> tuple[Block, ...]:
    with open_reading(engine) as connection:
        return list_blocks(connection)


def generation(engine: Engine) -> int:
    with open_reading(engine) as connection:
        return read_generation(connection)


def test_every_kind_of_block_is_read_as_it_was_written(engine: Engine) -> None:
    ends = NOW + timedelta(days=7, microseconds=1)
    added = tuple(add(engine, blocked, ends=ends) for blocked in ONE_OF_EACH)
    assert added == listed(engine)
    assert ONE_OF_EACH == [block.blocked for block in added]
    assert {("Ada Admin", "key lost", ends, ACTOR, NOW)} == {
        (block.owner, block.reason, block.ends, block.created_by, block.created_at) for block in added
    }


def test_a_change_counts_for_everybody_who_watches_the_generation(engine: Engine) -> None:
    before = generation(engine)
    number = add(engine).id
    assert before + 1 == generation(engine)
    remove(engine, number)
    assert before + 2 == generation(engine)


def test_who_when_and_what_is_logged(engine: Engine) -> None:
    number = add(engine).id
    later = NOW + timedelta(hours=1)
    with open_change(engine, actor="Max Manager/Renovations", now=later) as change:
        remove_block(change, number)
    with open_reading(engine) as connection:
        removed, added = read_block_log(connection)
        assert (removed,) == read_block_log(connection, limit=1)
    document = {
        "kind": "identity",
        "value": "Dave Lawson/Renovations",
        "serial": None,
        "owner": "Ada Admin",
        "reason": "key lost",
        "ends": None,
        "created_by": ACTOR,
        "created_at": "2026-03-01T12:00:00.000000Z",
    }
    assert (number, NOW, ACTOR, None, document) == (
        added.block_id,
        added.at,
        added.actor,
        added.before,
        added.after,
    )
    assert (number, later, "Max Manager/Renovations", document, None) == (
        removed.block_id,
        removed.at,
        removed.actor,
        removed.before,
        removed.after,
    )


def test_a_number_is_never_used_twice(engine: Engine) -> None:
    first = add(engine).id
    remove(engine, first)
    assert add(engine).id > first


def test_one_value_may_be_blocked_twice(engine: Engine) -> None:
    add(engine, ends=NOW + timedelta(days=1))
    add(engine)
    assert 2 == len(listed(engine))


def test_a_block_that_has_ended_stays_until_it_is_removed(engine: Engine, known: SqlBlocks) -> None:
    block = add(engine, ends=NOW + timedelta(seconds=1))
    assert (block,) == listed(engine)
    later = NOW + timedelta(days=1)
    assert not block.is_in_force(later)
    assert known.current().find_identity(IDENTITY.name, now=NOW) is not None
    assert known.current().find_identity(IDENTITY.name, now=later) is None
    remove(engine, block.id)
    assert () == listed(engine)


@pytest.mark.parametrize("ends", [NOW, NOW - timedelta(days=1)])
def test_a_block_that_would_refuse_nobody_is_refused(engine: Engine, ends: object) -> None:
    with pytest.raises(ChangeRefused, match=r"expected an end after 2026-03-01T12:00:00.000000Z"):
        add(engine, ends=ends)
    assert () == listed(engine)


def test_a_name_that_cannot_be_kept_changes_nothing(engine: Engine) -> None:
    before = generation(engine)
    with pytest.raises(BlockSyntaxError, match="cannot be kept"):
        add(engine, BlockedIdentity(name=InternetName(text="nobody")))
    assert (before, ()) == (generation(engine), listed(engine))


def test_there_are_only_so_many_blocks(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "MOST_BLOCKS", 2)
    for _ in range(2):
        last = add(engine)
    with pytest.raises(ChangeRefused, match="expected at most 2 blocks, found as many: remove those"):
        add(engine)
    remove(engine, last.id)
    assert add(engine).id > last.id


def test_what_is_not_there_cannot_be_removed(engine: Engine) -> None:
    before = generation(engine)
    with pytest.raises(NotStored, match="there is no block 7"):
        remove(engine, 7)
    assert before == generation(engine)


# --- what decisions read


def test_what_another_process_adds_or_removes_counts_at_the_next_question(
    engine: Engine, known: SqlBlocks
) -> None:
    assert () == known.current().blocks
    block = add(engine)
    assert (block,) == known.current().blocks
    remove(engine, block.id)
    assert () == known.current().blocks


def test_rows_are_read_again_only_when_a_block_has_changed(engine: Engine, known: SqlBlocks) -> None:
    """Other changes, of people for instance, come all the time."""
    add(engine)
    first = known.current()
    assert first is known.current()
    with changing(engine) as change:
        create_person(change, person("Somebody/Renovations"))
    assert first is known.current()
    add(engine)
    assert first is not known.current()


def test_a_question_costs_one_statement_while_nothing_changes(engine: Engine, known: SqlBlocks) -> None:
    known.current()
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    known.current()
    assert 1 == len(statements)
    assert "generation" in statements[0]


def test_t72_of_many_threads_that_ask_after_a_change_one_reads_the_rows(
    engine: Engine, known: SqlBlocks
) -> None:
    known.current()
    block = add(engine)
    read: list[str] = []

    def note(*arguments: object) -> None:
        statement = str(arguments[2])
        if "FROM blocks" in statement:
            read.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    barrier = threading.Barrier(8)

    def ask(_number: int) -> tuple[Block, ...]:
        barrier.wait()
        return known.current().blocks

    with ThreadPoolExecutor(max_workers=8) as workers:
        assert {(block,)} == set(workers.map(ask, range(8)))
    assert 1 == len(read)


def test_a_thread_does_not_wait_for_another_for_ever(
    known: SqlBlocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks_module, "_LOOK_UP_SECONDS", 0.05)
    with known._reading, pytest.raises(StoreUnavailable, match="another thread"):
        known.current()
    monkeypatch.undo()
    assert () == known.current().blocks


def test_a_store_that_has_lost_its_generation_is_read_each_time(engine: Engine, known: SqlBlocks) -> None:
    """Then nobody can see a change, and what is known may be old."""
    known.current()
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM generation"))
        connection.execute(
            insert(blocks).values(
                kind="identity",
                value="Dave Lawson/Renovations",
                owner="x",
                reason="by hand",
                created_by="x",
                created_at="2026-03-01T12:00:00.000000Z",
            )
        )
    assert 1 == len(known.current().blocks)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM blocks"))
    assert () == known.current().blocks


def test_a_store_that_does_not_answer_is_a_fault_and_never_no_blocks(
    engine: Engine, known: SqlBlocks
) -> None:
    add(engine)
    known.current()
    for table in ("blocks", "generation"):
        with engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE {table} RENAME TO elsewhere"))
            if table == "blocks":
                connection.execute(text("UPDATE generation SET value = value + 1"))
                connection.execute(text("DELETE FROM block_log"))
        with pytest.raises(StoreUnavailable):
            known.current()
        with engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE elsewhere RENAME TO {table}"))
        assert 1 == len(known.current().blocks)


BROKEN = {
    "a kind that there is not": {"kind": "everybody"},
    "a digest that is none": {"kind": "certificate", "value": "12"},
    "a name that is none": {"kind": "subject", "value": "Dave"},
    "a serial number missing": {"kind": "issuer_serial", "value": "CN=x"},
    "a serial number too many": {"serial": "0x1"},
    "a serial number that is none": {"kind": "issuer_serial", "value": "CN=x", "serial": "x"},
    "an end that is none": {"ends": "tomorrow"},
    "an end without a time zone": {"ends": "2026-03-01T12:00:00.000000"},
    "a beginning that is none": {"created_at": ""},
}


@pytest.mark.parametrize("changed", BROKEN.values(), ids=list(BROKEN))
def test_a_row_that_cannot_be_read_is_a_fault_that_names_it_and_can_be_removed(
    engine: Engine, known: SqlBlocks, changed: dict[str, str]
) -> None:
    number = add(engine).id
    with changing(engine) as change:
        change.connection.execute(blocks.update().values(changed))
        add_block(change, IDENTITY, owner="x", reason="x", ends=None)
    with pytest.raises(StoreMalformed, match=f"block {number} cannot be read"):
        known.current()
    remove(engine, number)
    assert 1 == len(known.current().blocks)


def test_a_line_of_the_log_that_cannot_be_read_is_a_fault(engine: Engine) -> None:
    add(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE block_log SET at = 'yesterday'"))
    with open_reading(engine) as connection, pytest.raises(StoreMalformed, match="block log"):
        read_block_log(connection)


def test_a_block_is_what_was_added_whatever_its_name_holds(engine: Engine, known: SqlBlocks) -> None:
    name = r"CN=O'Neil\, \"Bob\" \+ x,O=Ünïcode\;DROP TABLE blocks"
    subject = Authority.root(name, now=NOW, serial=2**159 - 1)
    for kind in (BlockKind.SUBJECT, BlockKind.ISSUER_SERIAL):
        assert add(engine, of(kind, subject)) in known.current().blocks
