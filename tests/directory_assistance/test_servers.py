"""The servers that tests start: they answer when they are started, and what cannot start raises."""

from pathlib import Path

import pytest

from tests.support.directories import world_ldif
from tests.support.ds389 import Ds389Server
from tests.support.processes import ServerError, find_program
from tests.support.samba_ad import SambaServer
from tests.support.slapd import SUFFIX


def test_a_missing_program_raises_and_names_the_package() -> None:
    with pytest.raises(ServerError, match=r"`no-such-server` is not installed.*`its-package`"):
        find_program("no-such-server", "its-package")


BROKEN = "dn: cn=No Class,{suffix}\nobjectClass: person\ncn: No Class\nnoSuchAttribute: x\n"


def test_389_ds_does_not_start_with_entries_that_it_skips(tmp_path: Path) -> None:
    content = f"{world_ldif()}\n{BROKEN.format(suffix=SUFFIX)}"
    server = Ds389Server(tmp_path / "s", ldif=content, suffix=SUFFIX)
    with pytest.raises(ServerError, match=r"did not accept the entries.*cn=No Class"):
        server.start()
    assert server.pid is None


def test_a_domain_controller_does_not_start_with_entries_that_it_refuses(tmp_path: Path) -> None:
    server = SambaServer(tmp_path / "s", ldif=BROKEN.format(suffix=SambaServer.SUFFIX))
    with pytest.raises(ServerError, match="`ldapmodify` failed"):
        server.start()
    assert server.pid is None
