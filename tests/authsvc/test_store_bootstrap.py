"""The bootstrap token: the way in before there is an administrator, and only then."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from authsvc.access.acl import AclEntry
from authsvc.store.bootstrap import create_token, is_open, note_manager_used, read_token_file, verify_token
from authsvc.store.databases import replace_acl
from authsvc.store.schema import open_reading, settings
from directory_assistance.errors import ConfigurationError
from tests.support.store import ACTOR, NOW, STORES, changing, store_of


@pytest.fixture(params=STORES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    yield from store_of(request, tmp_path)


def _new_token(engine: Engine, path: Path) -> str:
    create_token(engine, path, actor=ACTOR, now=NOW)
    return read_token_file(path)


def _give_directory(engine: Engine, *entries: AclEntry) -> None:
    with changing(engine) as change:
        replace_acl(change, "directory", entries)


def test_the_token_of_the_file_is_accepted_and_its_neighbours_are_not(engine: Engine, tmp_path: Path) -> None:
    token = _new_token(engine, tmp_path / "token")

    assert verify_token(engine, token)
    for other in ("", token[:-1], token + "A", token.swapcase(), "x" * 10_000, "\ud800"):
        assert not verify_token(engine, other)


def test_a_new_database_accepts_no_token_at_all(engine: Engine) -> None:
    assert not is_open(engine)
    assert not verify_token(engine, "")


def test_the_file_is_for_its_owner_alone_and_nothing_is_left_beside_it(
    engine: Engine, tmp_path: Path
) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "token").write_text("old")
    (folder / "token").chmod(0o644)

    _new_token(engine, folder / "token")

    assert 0o600 == (folder / "token").stat().st_mode & 0o777
    assert [folder / "token"] == list(folder.iterdir())


def test_the_store_holds_a_digest_and_not_the_token(engine: Engine, tmp_path: Path) -> None:
    token = _new_token(engine, tmp_path / "token")

    with open_reading(engine) as connection:
        values = list(connection.scalars(select(settings.c.value)))

    assert 1 == len(values)
    assert token not in values[0]


def test_a_new_token_ends_the_old_one(engine: Engine, tmp_path: Path) -> None:
    old = _new_token(engine, tmp_path / "token")
    new = _new_token(engine, tmp_path / "token")

    assert not verify_token(engine, old)
    assert verify_token(engine, new)


def test_a_manager_who_used_a_certificate_ends_the_token_and_a_new_one_reopens(
    engine: Engine, tmp_path: Path
) -> None:
    token = _new_token(engine, tmp_path / "token")
    _give_directory(engine, AclEntry.parse(name="Ada/Renovations", level="Manager"))
    assert verify_token(engine, token)  # named is not used

    assert note_manager_used(engine, actor="Ada/Renovations", now=NOW)

    assert not is_open(engine)
    assert not verify_token(engine, token)
    assert not note_manager_used(engine, actor="Ada/Renovations", now=NOW)
    assert verify_token(engine, _new_token(engine, tmp_path / "token"))


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([], id="when directory has no entry"),
        pytest.param(
            [AclEntry.parse(name="Ada/Renovations", level="Designer")], id="when the highest is Designer"
        ),
        pytest.param(
            [AclEntry.parse(name="-Default-", level="Manager")], id="when only -Default- is Manager"
        ),
    ],
)
def test_the_token_goes_on_while_directory_names_no_manager(
    engine: Engine, tmp_path: Path, entries: list[AclEntry]
) -> None:
    token = _new_token(engine, tmp_path / "token")
    _give_directory(engine, *entries)

    assert not note_manager_used(engine, actor="Ada/Renovations", now=NOW)
    assert verify_token(engine, token)


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602])
def test_a_token_file_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    path.write_text("secret")
    path.chmod(mode)

    with pytest.raises(ConfigurationError, match=f"expected mode 0600, found {mode:04o}"):
        read_token_file(path)


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 600], ids=["empty", "blank", "too long"])
def test_a_token_file_without_one_token_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(ConfigurationError, match="expected one token, found none"):
        read_token_file(path)


def test_a_token_file_that_is_missing_or_has_no_folder_is_a_configuration_problem(
    engine: Engine, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_token_file(tmp_path / "token")
    with pytest.raises(ConfigurationError, match="cannot be written: No such file"):
        create_token(engine, tmp_path / "nowhere" / "token", actor=ACTOR, now=NOW)

    assert not is_open(engine)


def test_a_token_that_could_not_be_put_in_its_place_leaves_nothing_beside_it(
    engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "etc" / "token").mkdir(parents=True)

    with pytest.raises(ConfigurationError, match="cannot be written"):
        create_token(engine, tmp_path / "etc" / "token", actor=ACTOR, now=NOW)

    assert [tmp_path / "etc" / "token"] == list((tmp_path / "etc").iterdir())
    assert not is_open(engine)
